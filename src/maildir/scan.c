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
struct maildir_scan {
    struct maildir *m;
    char folder[256], folder_dir[256], now[256]; /* now: a name that was found anew */
    DIR *new, *cur;
    struct buf names, path;
    struct listed *list;
    size_t n, at, cap;
    unsigned odd; /* and one of them: */
    char odd_name[256];
    const char *odd_why;
    bool listed; /* both directories, to their end */
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

static void odd(struct maildir_scan *s, const char *name, const char *why)
{
    if (s->odd++ == 0) {
        snprintf(s->odd_name, sizeof s->odd_name, "%s", name);
        s->odd_why = why;
    }
}

static const char *kind_words(mode_t mode)
{
    return S_ISLNK(mode)    ? "a link"
           : S_ISDIR(mode)  ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

/* One file; another program may have renamed it since it was listed. */
static bool look(struct maildir_scan *s, const struct listed *l, struct maildir_file *f)
{
    const char *name = s->names.p + l->name, *sub = l->cur ? "cur" : "new";
    char *now = s->now;
    struct err err = ERR_INIT;
    struct stat st;
    if (!md_parse_name(name, &f->unique, &f->flags))
        return false;
    if (fstatat(dirfd(l->cur ? s->cur : s->new), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        struct str unique = f->unique;
        if (!md_find(s->m, str_z(s->folder), unique, &sub, now, &err) || !md_parse_name(now, &f->unique, &f->flags) ||
            fstatat(dirfd(sub[0] == 'c' ? s->cur : s->new), now, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return false; /* gone meanwhile */
        name = now;
    }
    if (!S_ISREG(st.st_mode)) {
        odd(s, name, kind_words(st.st_mode));
        return false;
    }
    buf_reset(&s->path);
    md_path(s->folder_dir, sub, name, &s->path);
    f->path = buf_str(&s->path);
    f->size = (uint64_t)st.st_size;
    f->mtime = (int64_t)st.st_mtime;
    return true;
}

/* The next name of a directory that can be a message's; NULL at its end. s: where others are counted, or NULL. */
static const char *name_next(DIR *d, struct str *unique_r, struct maildir_scan *s)
{
    uint32_t flags;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        bool named = md_parse_name(e->d_name, unique_r, &flags);
        if (named && unique_r->n <= 240)
            return e->d_name;
        if (s)
            odd(s, e->d_name, named ? "its name is too long" : "its name is none of a mail");
    }
    return NULL;
}

/* False: there is more than fits. */
static bool list_dir(struct maildir_scan *s, DIR *d, bool cur)
{
    struct str unique;
    const char *name;
    while (s->names.n + 256 <= NAMES_MAX && (name = name_next(d, &unique, s))) {
        if (s->n == s->cap)
            s->list = mem_resize(s->list, s->cap = s->cap ? s->cap * 2 : 256, sizeof *s->list);
        s->list[s->n++] = (struct listed){.at = time_of(name), .name = s->names.n, .cur = cur};
        buf_add(&s->names, name, strlen(name) + 1);
    }
    return s->names.n + 256 <= NAMES_MAX;
}

/* new before cur: a file that another program moves meanwhile is seen twice rather than never. */
static void list(struct maildir_scan *s)
{
    s->n = s->at = 0;
    buf_reset(&s->names);
    s->listed = list_dir(s, s->new, false) && list_dir(s, s->cur, true);
    if (s->n > 1)
        qsort(s->list, s->n, sizeof *s->list, newest_first);
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

struct maildir_scan *maildir_scan_open(struct maildir *m, struct str folder, struct err *err)
{
    struct maildir_scan *s = mem_new(sizeof *s);
    s->m = m;
    buf_init(&s->names, NAMES_MAX);
    buf_init(&s->path, 1024);
    bool ok = md_folder_dir(folder, s->folder_dir, err);
    s->new = ok ? open_dir(m, folder, "new", err) : NULL;
    s->cur = s->new ? open_dir(m, folder, "cur", err) : NULL;
    if (!s->cur) {
        maildir_scan_close(&s);
        return NULL;
    }
    snprintf(s->folder, sizeof s->folder, "%.*s", STR_FMT(folder));
    list(s);
    return s;
}

bool maildir_scan_next(struct maildir_scan *s, struct maildir_file *file_r)
{
    for (;;) {
        if (s->at == s->n) {
            if (s->listed)
                return false;
            list(s);
        } else if (look(s, &s->list[s->at++], file_r)) {
            return true;
        }
    }
}

unsigned maildir_scan_odd(const struct maildir_scan *s, struct str *name_r, const char **why_r)
{
    *name_r = str_z(s->odd_name);
    *why_r = s->odd_why ? s->odd_why : "";
    return s->odd;
}

void maildir_scan_close(struct maildir_scan **sp)
{
    struct maildir_scan *s = *sp;
    if (!s)
        return;
    free(s->list);
    buf_fini(&s->names);
    buf_fini(&s->path);
    if (s->cur)
        closedir(s->cur);
    if (s->new)
        closedir(s->new);
    free(s);
    *sp = NULL;
}

bool maildir_scan(struct maildir *m, struct str folder, maildir_file_fn *fn, void *arg, unsigned *odd_r,
                  struct err *err)
{
    struct maildir_file file;
    struct maildir_scan *s = maildir_scan_open(m, folder, err);
    if (!s)
        return false;
    while (maildir_scan_next(s, &file) && fn(arg, &file))
        ;
    if (odd_r)
        *odd_r = s->odd;
    maildir_scan_close(&s);
    return true;
}

bool maildir_names(struct maildir *m, struct str folder, maildir_name_fn *fn, void *arg, struct err *err)
{
    static const char *const subs[] = {"new", "cur"};
    struct str unique;
    for (size_t i = 0; i < COUNT(subs); i++) {
        DIR *d = open_dir(m, folder, subs[i], err);
        if (!d)
            return false;
        while (name_next(d, &unique, NULL) && fn(arg, unique))
            ;
        closedir(d);
    }
    return true;
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
