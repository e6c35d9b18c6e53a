/* A folder's files, newest first: the names are read and put in order, then each file is looked at. */
#include "maildir/int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX ((size_t)16 << 20) /* bytes of names put in order at once: some 250,000 */

struct listed {
    int64_t at;  /* the time in its name; 0 none */
    size_t name; /* in names, with its NUL */
    bool cur;
};
struct scan {
    struct maildir *m;
    struct str folder;
    const char *folder_dir;
    DIR *new, *cur;
    struct buf names, path;
    struct listed *list;
    size_t n, cap;
    maildir_file_fn *fn;
    void *arg;
    unsigned odd;
    bool ended;
};

/* "1700000000.M1P2.host": seconds of 1970, as every delivery agent has them. */
static int64_t time_of(const char *name)
{
    int64_t at = 0;
    int i = 0;
    for (; i < 12 && name[i] >= '0' && name[i] <= '9'; i++)
        at = at * 10 + (name[i] - '0');
    return name[i] == '.' ? at : 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    if (x->at != y->at)
        return x->at > y->at ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name);
}

/* One file; another program may have renamed it since it was listed. */
static void look(struct scan *s, const struct listed *l)
{
    const char *name = s->names.p + l->name, *sub = l->cur ? "cur" : "new";
    char now[256];
    struct err err = ERR_INIT;
    struct maildir_file f;
    struct stat st;
    if (!md_parse_name(name, &f.unique, &f.flags))
        return;
    if (fstatat(dirfd(l->cur ? s->cur : s->new), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        struct str unique = f.unique;
        if (!md_find(s->m, s->folder, unique, &sub, now, &err) || !md_parse_name(now, &f.unique, &f.flags) ||
            fstatat(dirfd(sub[0] == 'c' ? s->cur : s->new), now, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return; /* gone meanwhile */
        name = now;
    }
    if (!S_ISREG(st.st_mode)) {
        s->odd++;
        return;
    }
    buf_reset(&s->path);
    md_path(s->folder_dir, sub, name, &s->path);
    f.path = buf_str(&s->path);
    f.size = (uint64_t)st.st_size;
    f.mtime = (int64_t)st.st_mtime;
    s->ended = !s->fn(s->arg, &f);
}

static void look_all(struct scan *s)
{
    if (s->n > 1)
        qsort(s->list, s->n, sizeof *s->list, newest_first);
    for (size_t i = 0; i < s->n && !s->ended; i++)
        look(s, &s->list[i]);
    s->n = 0;
    buf_reset(&s->names);
}

static void list_dir(struct scan *s, DIR *d, bool cur)
{
    for (struct dirent *e; !s->ended && (e = readdir(d));) {
        struct str unique;
        uint32_t flags;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (!md_parse_name(e->d_name, &unique, &flags) || unique.n > 240) {
            s->odd++;
            continue;
        }
        size_t n = strlen(e->d_name) + 1;
        if (s->names.n + n > NAMES_MAX)
            look_all(s);
        if (s->n == s->cap)
            s->list = mem_resize(s->list, s->cap = s->cap ? s->cap * 2 : 256, sizeof *s->list);
        s->list[s->n++] = (struct listed){.at = time_of(e->d_name), .name = s->names.n, .cur = cur};
        buf_add(&s->names, e->d_name, n);
    }
}

static DIR *open_dir(struct maildir *m, struct str folder, const char *sub, struct err *err)
{
    int fd = md_open_dir(m, folder, sub, err);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !d) {
        err_sys(err, err_from_errno(errno), errno, "cannot list %s", m->path);
        close(fd);
    }
    return d;
}

bool maildir_scan(struct maildir *m, struct str folder, maildir_file_fn *fn, void *arg, unsigned *odd_r,
                  struct err *err)
{
    char dir[256];
    struct scan s = {.m = m, .folder = folder, .folder_dir = dir, .fn = fn, .arg = arg};
    if (!md_folder_dir(folder, dir, err))
        return false;
    s.new = open_dir(m, folder, "new", err);
    s.cur = s.new ? open_dir(m, folder, "cur", err) : NULL;
    bool ok = s.cur != NULL;
    if (ok) {
        buf_init(&s.names, NAMES_MAX);
        buf_init(&s.path, 1024);
        /* new before cur: a file that another program moves meanwhile is seen twice rather than never. */
        list_dir(&s, s.new, false);
        list_dir(&s, s.cur, true);
        look_all(&s);
        free(s.list);
        buf_fini(&s.names);
        buf_fini(&s.path);
        closedir(s.cur);
    }
    if (s.new)
        closedir(s.new);
    if (odd_r)
        *odd_r = s.odd;
    return ok;
}

int maildir_open_file(struct maildir *m, struct str folder, const struct maildir_file *file, struct err *err)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%.*s", STR_FMT(file->path));
    int fd = openat(m->fd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    if (fd >= 0)
        close(fd);
    return maildir_message(m, folder, file->unique, NULL, NULL, err);
}
