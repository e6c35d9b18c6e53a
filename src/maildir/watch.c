/* What other programs do to the files, as inotify tells it: by name, so that one change costs one look. The events of
 * one waking are put together first: a flag that changes is a file that leaves and one that comes, and a message that
 * goes to another folder is one message. */
#include "maildir/int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MASK                                                                                                     \
    (IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define ROOT_MASK (IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
enum { OWN_MAX = 4096, OWN_LOOK = 256, TOUCHED_MAX = 32768, PAIR_MS = 5, CHAIN_MAX = 16 };
/* What an inotify watch is on. */
enum part { PART_NEW, PART_CUR, PART_ROOT, PART_HALF };
struct watched {
    int wd;
    enum part part;
    unsigned folder; /* of PART_NEW, PART_CUR: index into folders */
};
struct folder {
    char *name;
    uint64_t box;
    bool live;                          /* both directories are watched */
    struct timespec when_new, when_cur; /* of the directories when they were looked at last */
};
struct watch_list {
    int fd;
    bool remote;             /* the events of this machine are not all there are */
    struct watched *watches; /* by wd, rising */
    size_t nwatches, watches_cap;
    struct folder *folders;
    size_t nfolders;
    uint64_t own[OWN_MAX]; /* deliveries of ours, in their order, whose event has not come */
    size_t own_from, own_n;
};

static struct watch_list *list_of(struct maildir *m)
{
    struct watch_list *l = m->watches;
    if (l)
        return l;
    l = m->watches = mem_new(sizeof *l);
    l->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    l->remote = m->network;
    return l;
}

void md_watch_free(struct watch_list **at)
{
    struct watch_list *l = *at;
    *at = NULL;
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    for (size_t i = 0; i < l->nfolders; i++)
        free(l->folders[i].name);
    free(l->folders);
    free(l->watches);
    free(l);
}

/* Where the watch is, or where it would stand. */
static size_t place_of(const struct watch_list *l, int wd)
{
    size_t lo = 0, hi = l->nwatches;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->watches[mid].wd < wd)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct watched *watch_of(struct watch_list *l, int wd)
{
    size_t at = place_of(l, wd);
    return at < l->nwatches && l->watches[at].wd == wd ? &l->watches[at] : NULL;
}

static bool watch_add(struct maildir *m, const char *tail, uint32_t mask, enum part part, unsigned folder)
{
    struct watch_list *l = m->watches;
    struct buf path = BUF_INIT(PATH_MAX);
    bool ok = l->fd >= 0 && buf_addf(&path, "%s/%s", m->path, tail);
    int wd = ok ? inotify_add_watch(l->fd, buf_z(&path), mask) : -1;
    buf_fini(&path);
    if (wd < 0)
        return false;
    size_t at = place_of(l, wd);
    if (at == l->nwatches || l->watches[at].wd != wd) {
        if (l->nwatches == l->watches_cap)
            l->watches =
                mem_resize(l->watches, l->watches_cap = l->watches_cap ? 2 * l->watches_cap : 32, sizeof *l->watches);
        memmove(l->watches + at + 1, l->watches + at, (l->nwatches - at) * sizeof *l->watches);
        l->nwatches++;
    }
    l->watches[at] = (struct watched){wd, part, folder};
    return true;
}

static void watch_drop(struct watch_list *l, int wd)
{
    struct watched *w = watch_of(l, wd);
    if (!w)
        return;
    if (w->part == PART_NEW || w->part == PART_CUR)
        l->folders[w->folder].live = false;
    memmove(w, w + 1, (size_t)(l->watches + l->nwatches - (w + 1)) * sizeof *w);
    l->nwatches--;
}

int maildir_watch_fd(struct maildir *m)
{
    return list_of(m)->fd;
}

static bool times(struct maildir *m, const char *dir, struct timespec *fresh, struct timespec *cur)
{
    static const char *const subs[] = {"new", "cur"};
    struct timespec *const at[] = {fresh, cur};
    for (size_t i = 0; i < COUNT(subs); i++) {
        char path[264];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, subs[i]);
        if (fstatat(m->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return false;
        *at[i] = st.st_mtim;
    }
    return true;
}

bool maildir_watch(struct maildir *m, struct str folder, uint64_t box)
{
    struct watch_list *l = list_of(m);
    char dir[256], path[264];
    struct err err = ERR_INIT;
    size_t i = 0;
    if (!md_folder_dir(folder, dir, &err))
        return false;
    while (i < l->nfolders && l->folders[i].box != box)
        i++;
    if (i == l->nfolders) {
        l->folders = mem_resize(l->folders, l->nfolders + 1, sizeof *l->folders);
        l->folders[l->nfolders++] = (struct folder){.box = box};
    }
    struct folder *f = &l->folders[i];
    if (!f->name || !str_eqz(folder, f->name)) {
        free(f->name);
        f->name = mem_dup_n(folder.p, folder.n);
    }
    snprintf(path, sizeof path, "%s/new", dir);
    f->live = watch_add(m, path, FILES_MASK, PART_NEW, (unsigned)i);
    snprintf(path, sizeof path, "%s/cur", dir);
    f->live = watch_add(m, path, FILES_MASK, PART_CUR, (unsigned)i) && f->live;
    times(m, dir, &f->when_new, &f->when_cur);
    return f->live && !l->remote;
}

bool maildir_watch_folders(struct maildir *m)
{
    list_of(m);
    return watch_add(m, ".", ROOT_MASK, PART_ROOT, 0) && !m->watches->remote;
}

/* ---- What we did ourselves ---------------------------------------------------------------------- */
static uint64_t own_hash(const char *folder, bool cur, const char *name)
{
    struct buf b = BUF_INIT(1024);
    buf_addf(&b, "%s/%d/%s", folder, cur, name);
    uint64_t hash = str_hash(buf_str(&b));
    buf_fini(&b);
    return hash;
}

void md_watch_own(struct maildir *m, struct str folder, bool cur, const char *name)
{
    struct watch_list *l = m->watches;
    size_t i = 0;
    while (l && i < l->nfolders && !str_eqz(folder, l->folders[i].name))
        i++;
    if (!l || i == l->nfolders || !l->folders[i].live)
        return;
    if (l->own_n == OWN_MAX) { /* nobody took the events: they are news then, of what is known */
        l->own_from = (l->own_from + 1) % OWN_MAX;
        l->own_n--;
    }
    l->own[(l->own_from + l->own_n++) % OWN_MAX] = own_hash(l->folders[i].name, cur, name);
}

static bool is_own(struct watch_list *l, const struct folder *f, bool cur, const char *name)
{
    if (!l->own_n)
        return false;
    uint64_t hash = own_hash(f->name, cur, name);
    for (size_t i = 0; i < MIN(l->own_n, (size_t)OWN_LOOK); i++)
        if (l->own[(l->own_from + i) % OWN_MAX] == hash) { /* events come in order: those before it are lost */
            l->own_from = (l->own_from + i + 1) % OWN_MAX;
            l->own_n -= i + 1;
            return true;
        }
    return false;
}

/* ---- Events put together ------------------------------------------------------------------------ */
/* A message that something happened to: where it is by the last event, if anywhere. */
struct touched {
    unsigned folder;
    bool there, cur, told;
    uint32_t left; /* cookie of the event by which it left */
    unsigned from; /* which of these it was before, + 1 */
    char *unique, *name;
};
struct gathering {
    struct maildir *m;
    maildir_news_fn *fn;
    void *arg;
    struct touched *list;
    unsigned n, cap;
    unsigned *table; /* of indices + 1, by folder and unique part; a power of two */
    unsigned size;
    unsigned last_left; /* + 1: which the last event took away; its other half may be to come */
    bool all, folders;
};

static unsigned slot_of(const struct gathering *g, unsigned folder, struct str unique)
{
    unsigned at = (unsigned)(str_hash(unique) ^ folder * 2654435761u) & (g->size - 1);
    while (g->table[at]) {
        const struct touched *t = &g->list[g->table[at] - 1];
        if (t->folder == folder && str_eqz(unique, t->unique))
            break;
        at = (at + 1) & (g->size - 1);
    }
    return at;
}

static struct touched *touch(struct gathering *g, unsigned folder, struct str unique)
{
    if (2 * (g->n + 1) > g->size) {
        free(g->table);
        g->size = g->size ? 2 * g->size : 64;
        g->table = mem_array(g->size, sizeof *g->table);
        for (unsigned i = 0; i < g->n; i++)
            g->table[slot_of(g, g->list[i].folder, str_z(g->list[i].unique))] = i + 1;
    }
    unsigned at = slot_of(g, folder, unique);
    if (!g->table[at]) {
        if (g->n == g->cap)
            g->list = mem_resize(g->list, g->cap = g->cap ? 2 * g->cap : 64, sizeof *g->list);
        g->list[g->n++] = (struct touched){.folder = folder, .unique = mem_dup_n(unique.p, unique.n)};
        g->table[at] = g->n;
    }
    return &g->list[g->table[at] - 1];
}

static void on_file(struct gathering *g, const struct watched *w, const struct inotify_event *e, const char *name)
{
    struct watch_list *l = g->m->watches;
    struct str unique;
    uint32_t flags;
    bool comes = e->mask & (IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE), cur = w->part == PART_CUR;
    if ((e->mask & IN_ISDIR) || !md_parse_name(name, &unique, &flags) || unique.n > 240)
        return;
    if (comes && is_own(l, &l->folders[w->folder], cur, name))
        return;
    unsigned before = g->last_left;
    g->last_left = 0;
    struct touched *t = touch(g, w->folder, unique);
    unsigned self = (unsigned)(t - g->list) + 1;
    if (comes) {
        free(t->name);
        t->name = mem_dup_z(name);
        t->there = true;
        t->cur = cur;
        if ((e->mask & IN_MOVED_TO) && before && before != self && g->list[before - 1].left == e->cookie)
            t->from = before;
    } else if (!t->there || (t->cur == cur && strcmp(t->name, name) == 0)) {
        t->there = false;
        t->left = e->mask & IN_MOVED_FROM ? e->cookie : 0;
        g->last_left = e->mask & IN_MOVED_FROM ? self : 0;
    }
}

static void on_event(struct gathering *g, const struct inotify_event *e, const char *name)
{
    struct watch_list *l = g->m->watches;
    struct watched *w = watch_of(l, e->wd);
    if (e->mask & IN_Q_OVERFLOW) {
        g->all = g->folders = true;
        l->own_n = 0;
    }
    if (!w)
        return;
    if (e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
        g->folders = true;
        if (e->mask & IN_MOVE_SELF) /* it is watched no longer as what it was */
            inotify_rm_watch(l->fd, e->wd);
        if (e->mask & (IN_IGNORED | IN_MOVE_SELF))
            watch_drop(l, e->wd);
    } else if (w->part == PART_HALF) {
        g->folders = true;
    } else if (w->part == PART_ROOT) {
        if ((e->mask & IN_ISDIR) && name[0] == '.') {
            g->folders = true;
            /* Its directories come after it. */
            if ((e->mask & (IN_CREATE | IN_MOVED_TO)) && strlen(name) < 256)
                watch_add(g->m, name, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR, PART_HALF, 0);
        } else if ((e->mask & IN_ISDIR) && (strcmp(name, "cur") == 0 || strcmp(name, "new") == 0)) {
            g->folders = true;
        } else if (md_is_subscriptions(name)) {
            g->folders = true;
        }
    } else {
        on_file(g, w, e, name);
    }
}

/* True: there may be more at once. */
static bool gather(struct gathering *g)
{
    _Alignas(struct inotify_event) char events[32768];
    ssize_t n = read(g->m->watches->fd, events, sizeof events);
    for (char *p = events; n > 0 && p < events + n;) {
        struct inotify_event e;
        memcpy(&e, p, sizeof e);
        on_event(g, &e, e.len ? p + sizeof e : "");
        p += sizeof e + e.len;
    }
    if (n <= 0 && g->last_left) { /* between two names of one file: the second comes at once, or from nowhere */
        struct pollfd fd = {.fd = g->m->watches->fd, .events = POLLIN};
        g->last_left = 0;
        return poll(&fd, 1, PAIR_MS) > 0;
    }
    return n > 0 && g->n < TOUCHED_MAX;
}

/* ---- Telling ------------------------------------------------------------------------------------ */
/* Is the file there by the last event, or under another of its names? */
static bool look(struct gathering *g, const char *dir, struct touched *t, struct stat *st, struct buf *path)
{
    buf_reset(path);
    if (t->there) {
        md_path(dir, t->cur ? "cur" : "new", t->name, path);
        return fstatat(g->m->fd, buf_z(path), st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st->st_mode);
    }
    char name[256];
    struct err err = ERR_INIT;
    int cur = md_open_dir(g->m, str_z(g->m->watches->folders[t->folder].name), "cur", &err);
    bool found = cur >= 0 && md_there(cur, str_z(t->unique), name);
    if (cur >= 0)
        close(cur);
    md_path(dir, found ? "cur" : "new", found ? name : t->unique, path);
    if (fstatat(g->m->fd, buf_z(path), st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st->st_mode))
        return false;
    t->there = true;
    t->name = (free(t->name), mem_dup_z(found ? name : t->unique));
    return true;
}

/* Which message this was before it came here: the first of those it went through. */
static struct touched *origin(struct gathering *g, const struct touched *t)
{
    struct touched *from = NULL;
    for (unsigned i = 0; i < CHAIN_MAX && t->from && !g->list[t->from - 1].there; i++)
        t = from = &g->list[t->from - 1];
    return from;
}

static void tell(struct gathering *g, struct touched *t)
{
    const struct watch_list *l = g->m->watches;
    const struct folder *f = &l->folders[t->folder];
    struct maildir_news news = {.what = MAILDIR_FILE_GONE, .box = f->box, .folder = str_z(f->name)};
    struct buf path = BUF_INIT(1024);
    struct stat st;
    struct err err = ERR_INIT;
    char dir[256];
    bool was = t->there;
    if (!md_folder_dir(news.folder, dir, &err)) {
        buf_fini(&path);
        return;
    }
    news.file.unique = str_z(t->unique);
    if (look(g, dir, t, &st, &path)) {
        struct touched *from = origin(g, t);
        struct str unique;
        news.what = from ? MAILDIR_FILE_MOVED : MAILDIR_FILE_IS;
        if (from) {
            from->told = true;
            news.was_box = l->folders[from->folder].box;
            news.was = str_z(from->unique);
        }
        md_parse_name(t->name, &unique, &news.file.flags);
        news.file.path = buf_str(&path);
        news.file.size = (uint64_t)st.st_size;
        news.file.mtime = (int64_t)st.st_mtime;
        g->fn(g->arg, &news);
    } else if (!was && !t->told) { /* what was there by its last event has left again: the next event says how */
        g->fn(g->arg, &news);
    }
    buf_fini(&path);
}

static void rescan(struct gathering *g, struct folder *f)
{
    char dir[256];
    struct err err = ERR_INIT;
    if (md_folder_dir(str_z(f->name), dir, &err))
        times(g->m, dir, &f->when_new, &f->when_cur);
    g->fn(g->arg, &(struct maildir_news){.what = MAILDIR_FOLDER_CHANGED, .box = f->box, .folder = str_z(f->name)});
}

static void tell_all(struct gathering *g)
{
    struct watch_list *l = g->m->watches;
    /* Those that came from elsewhere first: what they were is not gone then. */
    for (unsigned i = 0; i < g->n && !g->all; i++)
        if (g->list[i].from && g->list[i].there)
            tell(g, &g->list[i]);
    for (unsigned i = 0; i < g->n && !g->all; i++)
        if (!(g->list[i].from && g->list[i].there))
            tell(g, &g->list[i]);
    if (g->folders)
        g->fn(g->arg, &(struct maildir_news){.what = MAILDIR_FOLDERS_CHANGED});
    for (size_t i = 0; i < l->nfolders && g->all; i++)
        rescan(g, &l->folders[i]);
}

void maildir_watch_read(struct maildir *m, maildir_news_fn *fn, void *arg)
{
    struct gathering g = {.m = m, .fn = fn, .arg = arg};
    if (list_of(m)->fd < 0)
        return;
    while (gather(&g))
        ;
    tell_all(&g);
    for (unsigned i = 0; i < g.n; i++) {
        free(g.list[i].unique);
        free(g.list[i].name);
    }
    free(g.list);
    free(g.table);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

void maildir_watch_poll(struct maildir *m, maildir_news_fn *fn, void *arg)
{
    struct watch_list *l = list_of(m);
    struct gathering g = {.m = m, .fn = fn, .arg = arg};
    struct err err = ERR_INIT;
    for (size_t i = 0; i < l->nfolders; i++) {
        struct folder *f = &l->folders[i];
        struct timespec fresh = {0}, cur = {0};
        char dir[256];
        if ((f->live && !l->remote) || !md_folder_dir(str_z(f->name), dir, &err))
            continue;
        if (!times(m, dir, &fresh, &cur))
            fn(arg, &(struct maildir_news){.what = MAILDIR_FOLDERS_CHANGED});
        else if (!same_time(&fresh, &f->when_new) || !same_time(&cur, &f->when_cur))
            rescan(&g, f);
    }
}
