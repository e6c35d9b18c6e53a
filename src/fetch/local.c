/* The account's Maildir: scans, rows, flags, moves, and the changes that other programs make. */
#include "fetch/local.h"

#include "net/imap.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static struct maildir *maildir_of(struct fetch *f, bool make, struct err *err)
{
    if (!f->maildir) {
        const struct endpoint *in = &f->account->in;
        char *path = in->proto == PROTO_MAILDIR && in->path && in->path[0] ? path_expand_home(in->path)
                                                                           : mem_dup_z(f->account_dir);
        f->maildir = maildir_open(path, make, err);
        free(path);
        return f->maildir;
    }
    return maildir_check(f->maildir, err) ? f->maildir : NULL;
}

#define PATH_BYTES 600

struct maildir *fetch_maildir(struct fetch *f, struct err *err)
{
    return maildir_of(f, false, err);
}

/* From the account's directory. */
static void add_path(const struct fetch *f, struct str path, struct buf *out)
{
    buf_reset(out);
    buf_addz(out, f->maildir_at);
    buf_adds(out, path);
}

/* What reading the headers of many messages needs. */
struct reader {
    struct arena *arena;
    struct buf head, self;
    uint32_t step; /* of STEP_MAILDIR_ADD, else 0 */
};

static void reader_open(struct reader *r, const struct fetch *f)
{
    r->step = 0;
    r->arena = arena_new(MAIL_ARENA_MAX);
    buf_init(&r->head, MAIL_HEADER_MAX);
    buf_init(&r->self, 16384);
    account_addresses(f->account, &r->self);
}

static void reader_close(struct reader *r)
{
    arena_free(&r->arena);
    buf_fini(&r->head);
    buf_fini(&r->self);
}

/* The row of the message open as fd, told to the store. */
static bool row_send(struct fetch *f, struct reader *r, uint64_t box, int fd, const struct maildir_file *file,
                     struct str path, struct err *err)
{
    struct mail_row row;
    buf_reset(&r->head);
    arena_reset(r->arena);
    for (bool ended = false; !ended && r->head.n < MAIL_HEADER_MAX;) {
        char chunk[8192];
        ssize_t n = read(fd, chunk, MIN(sizeof chunk, MAIL_HEADER_MAX - r->head.n));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "cannot read a message");
        size_t before = r->head.n > 3 ? r->head.n - 3 : 0;
        buf_add(&r->head, chunk, (size_t)n);
        /* The empty line may lie across two reads. */
        ended = n == 0 || memmem(r->head.p + before, r->head.n - before, "\n\n", 2) ||
                memmem(r->head.p + before, r->head.n - before, "\n\r\n", 3);
    }
    mail_row_parse(buf_str(&r->head), buf_str(&r->self), r->arena, &row);
    return FETCH_SEND(f, err, MAILDIR_ROW, .box = box, .name = file->unique, .path = path, .flags = file->flags,
                      .size = file->size, .internal_date = file->mtime, .date = row.date, .attrs = row.attrs | ROW_FULL,
                      .from_name = row.from_name, .from_addr = row.from_addr, .to = row.to, .subject = row.subject,
                      .msgid = row.msgid, .refs = row.refs, .list_id = row.list_id, .step = r->step,
                      .rcpts = mail_addr_is_self(row.from_addr, buf_str(&r->self)) ? row.rcpts : STR(""));
}

/* ---- Scanning ------------------------------------------------------------------------------------------ */
#define SLICE 32     /* files of a large folder between two looks at what else there is to do */
#define SLICE_ROWS 8 /* of those that are read */

/* A folder that is being looked at, in slices: where the line is waited for and between two steps. */
struct scan {
    struct fetch *f;
    struct maildir_scan *files;
    uint32_t step;
    uint64_t box;
    char folder[256];
    bool rows; /* a folder of which nothing is known: rows at once */
    struct reader reader;
    struct buf path;
    struct err err;
    unsigned unreadable; /* files that could not be read, and why the first of them could not */
    char unreadable_name[256], unreadable_why[200];
};

static bool file_row(struct scan *s, const struct maildir_file *file)
{
    struct err err = ERR_INIT;
    int fd = maildir_open_file(s->f->maildir, str_z(s->folder), file, &err);
    bool read = fd >= 0 && row_send(s->f, &s->reader, s->box, fd, file, buf_str(&s->path), &err);
    if (fd >= 0)
        close(fd);
    if (!read && !s->f->ended && err.kind != ERR_NO_MESSAGE && s->unreadable++ == 0) { /* else it went meanwhile */
        snprintf(s->unreadable_name, sizeof s->unreadable_name, "%.*s", STR_FMT(file->unique));
        snprintf(s->unreadable_why, sizeof s->unreadable_why, "%.190s", err.text);
    }
    return !s->f->ended;
}

static bool file_tell(struct scan *s, const struct maildir_file *file)
{
    add_path(s->f, file->path, &s->path);
    return s->rows ? file_row(s, file)
                   : FETCH_SEND(s->f, &s->err, MAILDIR_FILE, .box = s->box, .name = file->unique,
                                .path = buf_str(&s->path), .flags = file->flags, .size = file->size);
}

static void scan_end(struct scan *s)
{
    struct str name;
    const char *why;
    unsigned odd = maildir_scan_odd(s->files, &name, &why);
    if (!odd && s->unreadable) {
        name = str_z(s->unreadable_name);
        why = s->unreadable_why;
    }
    if (s->err.kind == ERR_NONE)
        FETCH_SEND(s->f, &s->err, MAILDIR_ODD, .box = s->box, .count = odd + s->unreadable, .name = name,
                   .why = str_z(why));
    fetch_ends(s->f, s->step, &s->err);
    local_stop(s->f);
}

void local_stop(struct fetch *f)
{
    struct scan *s = f->scan;
    if (!s)
        return;
    maildir_scan_close(&s->files);
    if (s->rows)
        reader_close(&s->reader);
    buf_fini(&s->path);
    free(s);
    f->scan = NULL;
}

bool local_rest(struct fetch *f)
{
    struct maildir_file file;
    struct scan *s = f->scan;
    bool more = s != NULL;
    for (unsigned i = 0; more && i < (s->rows ? SLICE_ROWS : SLICE); i++)
        more = maildir_scan_next(s->files, &file) && file_tell(s, &file);
    if (s && !more)
        scan_end(s);
    return more;
}

struct listing {
    struct fetch *f;
    struct maildir_subs *subs;
    struct err *err;
    bool ok;
};

/* Names are as Dovecot's and Courier's: modified UTF-7; what is none is shown as it is. */
static void on_folder(void *arg, struct str folder, struct str id)
{
    struct listing *s = arg;
    struct buf shown = BUF_INIT(1000);
    if (!s->ok)
        return;
    if (!imap_name_decode(folder, &shown) && !utf8_valid(buf_str(&shown))) {
        buf_reset(&shown);
        text_from_bytes(folder, TEXT_FOLD_SPACE, &shown);
    }
    s->ok = FETCH_SEND(s->f, s->err, BOX, .name = folder, .utf8 = folder.n ? buf_str(&shown) : STR("INBOX"),
                       .delim = '.', .attrs = maildir_subscribed(s->subs, folder) ? BOX_SUBSCRIBED : 0,
                       .role = folder.n ? BOX_NONE : BOX_INBOX, .total = UINT32_MAX, .unread = UINT32_MAX, .id = id);
    buf_fini(&shown);
}

static bool step_scan(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_SCAN *s = &m->u.STEP_MAILDIR_SCAN;
    struct maildir *md = maildir_of(f, s->make, err);
    if (!md)
        return false;
    if (str_eqz(s->folder, "*")) {
        struct listing l = {.f = f, .err = err, .ok = true};
        maildir_watch_folders(md);
        l.subs = maildir_subscriptions(md);
        bool ok = maildir_folders(md, on_folder, &l, err) && l.ok;
        maildir_subscriptions_free(&l.subs);
        return ok;
    }
    if (!maildir_watch(md, s->folder, s->box))
        log_msg(LOG_INFO, "%s: no events come from folder \"%.*s\": it is looked at by time", f->account->name,
                STR_FMT(s->folder));
    maildir_sweep(md, s->folder);
    while (local_rest(f)) /* the one before */
        ;
    struct maildir_scan *files = maildir_scan_open(md, s->folder, err);
    if (!files)
        return false;
    struct scan *scan = f->scan = mem_new(sizeof *scan);
    *scan = (struct scan){
        .f = f, .files = files, .step = s->step, .box = s->box, .rows = s->rows, .path = BUF_INIT(PATH_BYTES)};
    snprintf(scan->folder, sizeof scan->folder, "%.*s", STR_FMT(s->folder));
    if (scan->rows)
        reader_open(&scan->reader, f);
    fetch_goes_on(f);
    return true;
}

/* The row of a message; ERR_NO_MESSAGE where it is gone. */
static bool tell_row(struct fetch *f, uint32_t step, uint64_t box, struct str folder, struct str name, struct err *err)
{
    struct maildir_file file;
    struct buf path = BUF_INIT(PATH_BYTES);
    buf_addz(&path, f->maildir_at);
    int fd = maildir_message(f->maildir, folder, name, &file, &path, err);
    bool ok = fd >= 0;
    if (ok) {
        struct reader r;
        reader_open(&r, f);
        r.step = step;
        ok = row_send(f, &r, box, fd, &file, buf_str(&path), err);
        reader_close(&r);
        close(fd);
    }
    buf_fini(&path);
    return ok;
}

static bool step_read(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_READ *s = &m->u.STEP_MAILDIR_READ;
    if (!fetch_maildir(f, err))
        return false;
    if (tell_row(f, 0, s->box, s->folder, s->name, err))
        return true;
    /* Removed by another program since the scan: no failure. */
    return err->kind == ERR_NO_MESSAGE && FETCH_SEND(f, err, MAILDIR_GONE, .box = s->box, .name = s->name);
}

/* ---- Actions --------------------------------------------------------------------------------------------- */
/* Where the message is now, told to the store. */
bool local_place(struct fetch *f, uint32_t step, uint64_t box, struct str folder, struct str name, struct err *err)
{
    struct maildir_file file;
    struct buf path = BUF_INIT(PATH_BYTES);
    buf_addz(&path, f->maildir_at);
    int fd = maildir_message(f->maildir, folder, name, &file, &path, err);
    bool ok = fd >= 0 && FETCH_SEND(f, err, MAILDIR_IS, .step = step, .box = box, .name = name, .path = buf_str(&path),
                                    .flags = file.flags);
    if (fd >= 0)
        close(fd);
    buf_fini(&path);
    return ok;
}

/* A stub whose body came while the step waited has another name now. */
static struct str named_now(struct maildir *md, struct str folder, struct str name, char whole[256])
{
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT(255);
    int fd = mark_read(name).stub ? maildir_message(md, folder, name, NULL, NULL, &err) : -1;
    if (fd >= 0)
        close(fd);
    if (err.kind == ERR_NO_MESSAGE && mark_whole(name, &b)) {
        snprintf(whole, 256, "%s", buf_z(&b));
        name = str_z(whole);
    }
    buf_fini(&b);
    return name;
}

static bool step_flags(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_FLAGS *s = &m->u.STEP_MAILDIR_FLAGS;
    struct maildir *md = fetch_maildir(f, err);
    char whole[256];
    if (!md)
        return false;
    struct str name = named_now(md, s->folder, s->name, whole);
    return maildir_flags(md, s->folder, name, s->flags, err) && local_place(f, s->step, s->box, s->folder, name, err);
}

/* ---- Copies that an earlier program may have made: all programs were killed, or this one, before the store knew ---- */
struct copies {
    char folder[256];
    uint64_t *keys;
    size_t n, cap;
};

static bool on_copy(void *arg, struct str unique)
{
    struct copies *c = arg;
    uint64_t key = maildir_copy_key(unique);
    if (key && c->n == c->cap)
        c->keys = mem_resize(c->keys, c->cap = c->cap ? c->cap * 2 : 64, sizeof *c->keys);
    if (key)
        c->keys[c->n++] = key;
    return true;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The names of a folder are read once, for all that is copied into it again. */
static bool copied_before(struct maildir *md, const struct m_STEP_MAILDIR_MOVE *s, struct str from, struct buf *name,
                          struct err *err)
{
    static struct copies c;
    static bool known;
    if (!known || !str_eqz(s->target_folder, c.folder)) {
        c.n = 0;
        snprintf(c.folder, sizeof c.folder, "%.*s", STR_FMT(s->target_folder));
        known = maildir_names(md, s->target_folder, on_copy, &c, err);
        *err = ERR_INIT;
        if (c.n > 1)
            qsort(c.keys, c.n, sizeof *c.keys, by_value);
    }
    return c.n > 0 && bsearch(&s->key, c.keys, c.n, sizeof *c.keys, by_value) &&
           maildir_copied(md, from, s->target_folder, s->key, name, err);
}

static bool step_move(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_MOVE *s = &m->u.STEP_MAILDIR_MOVE;
    struct maildir *md = fetch_maildir(f, err);
    struct buf name = BUF_INIT(255);
    char whole[256];
    bool ok = md != NULL;
    struct str from = ok ? named_now(md, s->folder, s->name, whole) : s->name;
    if (ok && s->copy)
        ok = (s->again && copied_before(md, s, from, &name, err)) ||
             (err->kind == ERR_NONE && maildir_copy(md, s->folder, from, s->target_folder, s->key, &name, err));
    else if (ok)
        ok = maildir_move(md, s->folder, from, s->target_folder, err) && buf_adds(&name, from);
    ok = ok && local_place(f, s->step, s->target, s->target_folder, buf_str(&name), err);
    buf_fini(&name);
    return ok;
}

static bool step_remove(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_REMOVE *s = &m->u.STEP_MAILDIR_REMOVE;
    struct maildir *md = fetch_maildir(f, err);
    char whole[256];
    if (!md)
        return false;
    struct str name = named_now(md, s->folder, s->name, whole);
    /* Gone already is what was asked for. */
    if (!maildir_remove(md, s->folder, name, err) && err->kind != ERR_NO_MESSAGE)
        return false;
    *err = ERR_INIT;
    return FETCH_SEND(f, err, MAILDIR_GONE, .box = s->box, .name = name);
}

static bool copy_all(struct fetch *f, int from, int to, struct err *err)
{
    char chunk[65536];
    for (off_t at = 0;;) { /* whoever gave the fd may have its position elsewhere */
        ssize_t n = pread(from, chunk, sizeof chunk, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "cannot read the mail to save");
        if (n == 0)
            return true;
        if (!fs_write_all(to, (struct str){chunk, (size_t)n}, err))
            return false;
        at += n;
        fetch_wake(f);
        if (f->canceled || f->ended)
            return err_set(err, ERR_CANCELED, "stopped");
    }
}

static struct delivery *add_begin(struct fetch *f, const struct m_STEP_MAILDIR_ADD *s, int fd, struct err *err)
{
    struct maildir *md = fetch_maildir(f, err);
    struct delivery *d = md ? maildir_begin(md, s->folder, err) : NULL;
    if (d && !copy_all(f, fd, delivery_fd(d), err))
        delivery_abort(&d);
    if (d && s->arrived > 0) {
        const struct timespec times[2] = {{.tv_sec = (time_t)s->arrived}, {.tv_sec = (time_t)s->arrived}};
        futimens(delivery_fd(d), times);
    }
    if (d)
        delivery_flags(d, s->flags);
    return d;
}

/* ---- Mails of an import that wait behind one another are made durable together ---- */
#define ADDS_MAX 64
struct add {
    uint32_t step;
    struct delivery *delivery; /* NULL once it is committed */
    char unique[256];
    struct err err;
};
struct adds {
    struct add list[ADDS_MAX];
    size_t n;
    struct str folder; /* while the group grows; p NULL: it does not */
};

/* One more for the group that the running step begins. */
static bool add_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    const struct m_STEP_MAILDIR_ADD *s = &m->u.STEP_MAILDIR_ADD;
    struct adds *g = f->adds;
    struct err err = ERR_INIT;
    if (!g || !g->folder.p || g->n == ADDS_MAX || !s->row || !str_eq(s->folder, g->folder))
        return false;
    struct add *a = &g->list[g->n];
    *a = (struct add){.step = step, .delivery = add_begin(f, s, m->fd, &err)};
    g->n += a->delivery != NULL; /* what fails does so again in its turn, and says why */
    return a->delivery != NULL;
}

static void adds_commit(struct adds *g)
{
    struct delivery *d[ADDS_MAX];
    struct err errs[ADDS_MAX];
    for (size_t i = 0; i < g->n; i++) {
        d[i] = g->list[i].delivery;
        errs[i] = ERR_INIT;
        snprintf(g->list[i].unique, sizeof g->list[i].unique, "%s", delivery_unique(d[i]));
    }
    delivery_commit_all(d, g->n, MAILDIR_CUR, errs); /* old mail: never in new/ */
    for (size_t i = 0; i < g->n; i++) {
        g->list[i].delivery = NULL;
        g->list[i].err = errs[i];
    }
}

static bool add_group(struct fetch *f, const struct m_STEP_MAILDIR_ADD *s, int fd, struct err *err)
{
    struct adds *g = f->adds;
    struct delivery *d = add_begin(f, s, fd, err);
    if (!d)
        return false;
    g->list[0] = (struct add){.step = s->step, .delivery = d};
    g->n = 1;
    g->folder = s->folder;
    while (fetch_join(f, MSG_STEP_MAILDIR_ADD))
        ;
    g->folder.p = NULL;
    adds_commit(g);
    return true;
}

/* In its turn, or as the first of a group. */
static bool add_row(struct fetch *f, const struct m_STEP_MAILDIR_ADD *s, int fd, struct err *err)
{
    size_t i = 0;
    if (!f->adds)
        f->adds = mem_new(sizeof *f->adds);
    struct adds *g = f->adds;
    while (i < g->n && g->list[i].step != s->step)
        i++;
    if (i == g->n) {
        if (!add_group(f, s, fd, err))
            return false;
        i = 0;
    }
    struct add *a = &g->list[i];
    a->step = 0;
    if (a->err.kind != ERR_NONE) {
        *err = a->err;
        return false;
    }
    return tell_row(f, s->step, s->box, s->folder, str_z(a->unique), err);
}

static bool step_add(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_ADD *s = &m->u.STEP_MAILDIR_ADD;
    struct buf name = BUF_INIT(255);
    if (s->row)
        return add_row(f, s, m->fd, err);
    struct delivery *d = add_begin(f, s, m->fd, err);
    bool ok = d && delivery_commit(&d, s->flags, &name, err) &&
              local_place(f, s->step, s->box, s->folder, buf_str(&name), err);
    buf_fini(&name);
    return ok;
}

static bool step_box(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_BOX *s = &m->u.STEP_MAILDIR_BOX;
    struct maildir *md = fetch_maildir(f, err);
    if (!md)
        return false;
    struct err sub = ERR_INIT; /* the folder is what matters */
    switch ((enum box_op)s->op) {
    case BOX_CREATE:
        return maildir_create(md, s->folder, err) && (maildir_subscribe(md, STR(""), s->folder, &sub), true);
    case BOX_RENAME:
        return maildir_rename(md, s->folder, s->to, err) && (maildir_subscribe(md, s->folder, s->to, &sub), true);
    case BOX_DELETE:
        return maildir_delete(md, s->folder, err) && (maildir_subscribe(md, s->folder, STR(""), &sub), true);
    case BOX_SUBSCRIBE:
        return maildir_subscribe(md, STR(""), s->folder, err);
    case BOX_UNSUBSCRIBE:
        return maildir_subscribe(md, s->folder, STR(""), err);
    }
    return true;
}

static bool step_open(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MAILDIR_OPEN *s = &m->u.STEP_MAILDIR_OPEN;
    struct maildir *md = fetch_maildir(f, err);
    struct maildir_file file;
    int fd = md ? maildir_message(md, s->folder, s->name, &file, NULL, err) : -1;
    struct mark mark = mark_read(s->name);
    if (fd >= 0 && mark.stub > file.size) {
        int shown = stub_open(fd, mark.stub, err);
        close(fd);
        fd = shown;
    }
    if (fd < 0)
        return false;
    bool ok = FETCH_SEND_FD(f, fd, err, MAILDIR_FD, .step = s->step, .name = s->name);
    close(fd);
    return ok;
}

const struct step_handler local_steps[] = {
    {.kind = MSG_STEP_MAILDIR_SCAN, .run = step_scan},
    {.kind = MSG_STEP_MAILDIR_READ, .run = step_read},
    {.kind = MSG_STEP_MAILDIR_FLAGS, .run = step_flags},
    {.kind = MSG_STEP_MAILDIR_MOVE, .run = step_move},
    {.kind = MSG_STEP_MAILDIR_REMOVE, .run = step_remove},
    {.kind = MSG_STEP_MAILDIR_ADD, .run = step_add, .ahead = add_ahead},
    {.kind = MSG_STEP_MAILDIR_BOX, .run = step_box},
    {.kind = MSG_STEP_MAILDIR_OPEN, .run = step_open},
    {.kind = MSG_NONE},
};

/* ---- A local account: always there ------------------------------------------------------------------------- */
static bool step_connect(struct fetch *f, struct msg *m, struct err *err)
{
    (void)m;
    return fetch_maildir(f, err) && FETCH_SEND(f, err, ONLINE, .caps = 0);
}

static bool step_close(struct fetch *f, struct msg *m, struct err *err)
{
    (void)f;
    (void)m;
    (void)err;
    return true;
}

static const struct step_handler own_steps[] = {
    {.kind = MSG_STEP_CONNECT, .run = step_connect},
    {.kind = MSG_STEP_CLOSE, .run = step_close},
    {.kind = MSG_NONE},
};

/* ---- What other programs do ---------------------------------------------------------------------------------- */
static void on_news(void *arg, const struct maildir_news *n)
{
    struct fetch *f = arg;
    struct err err = ERR_INIT;
    struct buf path = BUF_INIT(PATH_BYTES);
    bool ok = true;
    add_path(f, n->file.path, &path);
    switch (n->what) {
    case MAILDIR_FILE_IS:
        ok = FETCH_SEND(f, &err, MAILDIR_FILE, .box = n->box, .name = n->file.unique, .path = buf_str(&path),
                        .flags = n->file.flags, .size = n->file.size);
        break;
    case MAILDIR_FILE_GONE:
        ok = FETCH_SEND(f, &err, MAILDIR_GONE, .box = n->box, .name = n->file.unique);
        break;
    case MAILDIR_FILE_MOVED:
        ok = FETCH_SEND(f, &err, MAILDIR_MOVED, .box = n->was_box, .name = n->was, .target = n->box,
                        .to = n->file.unique, .path = buf_str(&path), .flags = n->file.flags);
        break;
    case MAILDIR_FOLDER_CHANGED:
        ok = FETCH_SEND(f, &err, MAILDIR_CHANGED, .box = n->box);
        break;
    case MAILDIR_FOLDERS_CHANGED:
        ok = FETCH_SEND(f, &err, MAILDIR_CHANGED, .box = 0);
        break;
    }
    buf_fini(&path);
    f->ended = f->ended || !ok;
}

void local_wake(struct fetch *f)
{
    if (f->maildir)
        maildir_watch_read(f->maildir, on_news, f);
}

enum { LOOK_MS = 10000 };

void local_idle(struct fetch *f, int64_t until_ms)
{
    int64_t look_at = clock_mono_ms() + LOOK_MS;
    while (!fetch_pending(f) && !f->ended) {
        int64_t now = clock_mono_ms(), left = until_ms < 0 ? LOOK_MS : until_ms - now;
        if (left <= 0)
            return;
        if (f->maildir && now >= look_at) {
            struct err err = ERR_INIT;
            look_at = now + LOOK_MS;
            maildir_watch_poll(f->maildir, on_news, f);
            if (!maildir_check(f->maildir, &err) && !FETCH_SEND(f, &err, MAILDIR_CHANGED, .box = 0))
                f->ended = true;
        }
        struct pollfd fds[2] = {
            {.fd = chan_fd(f->chan), .events = (short)(chan_wants_write(f->chan) ? POLLIN | POLLOUT : POLLIN)},
            {.fd = f->maildir ? maildir_watch_fd(f->maildir) : -1, .events = POLLIN},
        };
        if (poll(fds, 2, (int)MIN(left, (int64_t)LOOK_MS)) > 0)
            fetch_wake(f); /* flushes, takes steps, tells the news */
    }
}

const struct fetch_protocol local_protocol = {
    .proto = PROTO_MAILDIR, .steps = own_steps, .idle = local_idle, .wake = local_wake, .rest = local_rest};
