/* Which databases of notmuch another program has written: their directories are watched, and what a look costs is a
 * stat. */
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_SYS_INOTIFY_H
#include <sys/inotify.h>
#endif

#include "store/looks.h"

#define SETTLE_MS 300 /* a command of notmuch may write several times */

struct stamp {
    uint64_t inode, size;
    int64_t s, ns;
};
struct looks {
    struct loop *loop;
    looks_fn *changed;
    void *arg;
    int fd;
    struct watch *watch, *timer;
    struct looked {
        char *dir;
        struct stamp known;
    } at[LOOKS_MAX];
};

/* Xapian's version file is replaced by each commit. */
static struct stamp stamp_of(const char *dir)
{
    struct stat st;
    char *file = path_join(dir, "iamglass");
    struct stamp s = {0};
    if (stat(file, &st) == 0)
        s = (struct stamp){(uint64_t)st.st_ino, (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec,
                           (int64_t)st.st_mtim.tv_nsec};
    free(file);
    return s;
}

static bool same(const struct stamp *a, const struct stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->s == b->s && a->ns == b->ns;
}

bool looks_changed(const struct looks *l, unsigned which)
{
    struct stamp now = {0};
    if (l->at[which].dir)
        now = stamp_of(l->at[which].dir);
    return now.inode != 0 && !same(&now, &l->at[which].known);
}

static void settled(void *arg)
{
    struct looks *l = arg;
    l->timer = NULL;
    for (unsigned i = 0; i < LOOKS_MAX; i++)
        if (looks_changed(l, i))
            l->changed(l->arg, i);
}

#ifdef HAVE_SYS_INOTIFY_H
static void on_events(void *arg, short revents)
{
    struct looks *l = arg;
    char events[4096];
    (void)revents;
    while (read(l->fd, events, sizeof events) > 0)
        ;
    if (!l->timer)
        l->timer = loop_after(l->loop, SETTLE_MS, settled, l);
}

static void watch_dir(struct looks *l, const char *dir)
{
    if (l->fd < 0) {
        l->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (l->fd >= 0)
            l->watch = loop_fd(l->loop, l->fd, POLLIN, on_events, l);
    }
    if (l->fd >= 0) /* the same directory again is the same watch */
        inotify_add_watch(l->fd, dir, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR);
}
#else
static void watch_dir(struct looks *l, const char *dir)
{
    (void)l;
    (void)dir;
}
#endif

struct looks *looks_new(struct loop *loop, looks_fn *changed, void *arg)
{
    struct looks *l = mem_new(sizeof *l);
    *l = (struct looks){.loop = loop, .changed = changed, .arg = arg, .fd = -1};
    return l;
}

void looks_free(struct looks **looks)
{
    struct looks *l = *looks;
    *looks = NULL;
    if (!l)
        return;
    watch_free(&l->watch);
    watch_free(&l->timer);
    if (l->fd >= 0)
        close(l->fd);
    for (unsigned i = 0; i < LOOKS_MAX; i++)
        free(l->at[i].dir);
    free(l);
}

void looks_at(struct looks *l, unsigned which, const char *dir)
{
    if (!l->at[which].dir || strcmp(l->at[which].dir, dir) != 0) {
        free(l->at[which].dir);
        l->at[which].dir = mem_dup_z(dir);
        l->at[which].known = (struct stamp){0};
    }
    watch_dir(l, dir);
}

void looks_known(struct looks *l, unsigned which)
{
    if (!l->at[which].dir)
        return;
    l->at[which].known = stamp_of(l->at[which].dir);
    watch_dir(l, l->at[which].dir); /* it may be another one by now */
}
