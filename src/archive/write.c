/* Mails into an mbox, or into a Maildir where those that are there stay and are not written again. */
#include "archive/archive.h"

#include <errno.h>
#include <search.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/mbox.h"
#include "mail/mail.h"
#include "maildir/maildir.h"

#define GROUP_MAX 64
#define SAME_NAMES 10000 /* mails that differ and would have the same name */

/* A name in the Maildir, in a tree by folder and name. */
struct name {
    bool claimed; /* it is that of a mail of this run */
    char path[];  /* "FOLDER/UNIQUE" */
};
struct sink {
    struct archive *a;
    struct maildir *md;
    void *names, *folders; /* trees of struct name; folders: those whose names are in the tree */
    struct str folder;
    int mbox;
    /* Mails that become durable together, of the folder group_in; answered when they are. */
    struct {
        struct delivery *delivery;
        uint32_t req;
    } group[GROUP_MAX];
    size_t ngroup;
    char group_in[256];
};

/* ---- Names -------------------------------------------------------------------------------------- */
static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

static struct name *name_new(struct str folder, struct str unique)
{
    struct name *n = mem_new(sizeof *n + folder.n + unique.n + 2);
    memcpy(n->path, folder.p, folder.n);
    n->path[folder.n] = '/';
    memcpy(n->path + folder.n + 1, unique.p, unique.n);
    return n;
}

/* The one of the tree; NULL where it is not there and `add` is false. */
static struct name *name_find(void **tree, struct str folder, struct str unique, bool add)
{
    struct name *n = name_new(folder, unique);
    struct name *const *at = add ? tsearch(n, tree, by_path) : tfind(n, tree, by_path);
    struct name *found = at ? *at : NULL;
    if (found != n)
        free(n);
    return found;
}

static bool on_file(void *arg, const struct maildir_file *f)
{
    struct sink *s = arg;
    return name_find(&s->names, s->folder, f->unique, true) != NULL;
}

/* The folder is there, and its names are in the tree. */
static bool folder_ready(struct sink *s, struct str folder, struct err *err)
{
    if (name_find(&s->folders, folder, STR(""), false))
        return true;
    s->folder = folder;
    if ((folder.n && !maildir_create(s->md, folder, err)) || !maildir_scan(s->md, folder, on_file, s, NULL, err))
        return false;
    maildir_sweep(s->md, folder);
    name_find(&s->folders, folder, STR(""), true);
    return true;
}

/* ---- Maildir ------------------------------------------------------------------------------------ */
static bool copy_file(int from, int to, struct err *err)
{
    static char chunk[1 << 16];
    for (off_t at = 0;;) {
        ssize_t n = pread(from, chunk, sizeof chunk, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "cannot read a mail");
        if (n == 0)
            return true;
        if (!fs_write_all(to, (struct str){chunk, (size_t)n}, err))
            return false;
        at += n;
    }
}

static void put_done(struct sink *s, uint32_t req, bool added, const struct err *err)
{
    ARCHIVE_SEND(s->a, -1, ARCHIVE_PUT_DONE, .req = req, .added = added && err->kind == ERR_NONE, .kind = err->kind,
                 .text = str_z(err->text));
}

static void group_commit(struct sink *s)
{
    struct delivery *d[GROUP_MAX];
    struct err errs[GROUP_MAX];
    for (size_t i = 0; i < s->ngroup; i++) {
        d[i] = s->group[i].delivery;
        errs[i] = ERR_INIT;
    }
    if (s->ngroup)
        delivery_commit_all(d, s->ngroup, MAILDIR_CUR, errs);
    for (size_t i = 0; i < s->ngroup; i++)
        put_done(s, s->group[i].req, true, &errs[i]);
    s->ngroup = 0;
}

static bool deliver(struct sink *s, const struct m_ARCHIVE_PUT *p, struct str unique, int fd, struct err *err)
{
    if (s->ngroup == GROUP_MAX || (s->ngroup && !str_eqz(p->folder, s->group_in)))
        group_commit(s);
    struct delivery *d = maildir_begin(s->md, p->folder, err);
    if (d && !copy_file(fd, delivery_fd(d), err))
        delivery_abort(&d);
    if (!d)
        return false;
    const struct timespec times[2] = {{.tv_sec = (time_t)p->arrived}, {.tv_sec = (time_t)p->arrived}};
    if (p->arrived > 0)
        futimens(delivery_fd(d), times);
    delivery_name(d, unique);
    delivery_flags(d, p->flags);
    s->group[s->ngroup].delivery = d;
    s->group[s->ngroup++].req = p->req;
    snprintf(s->group_in, sizeof s->group_in, "%.*s", STR_FMT(p->folder));
    name_find(&s->names, p->folder, unique, true)->claimed = true;
    return true;
}

static bool same_there(struct sink *s, struct str folder, struct str unique, int fd, bool *same_r, struct err *err)
{
    int there = maildir_message(s->md, folder, unique, NULL, NULL, err);
    bool ok = there >= 0 && mbox_same(fd, there, same_r, err);
    if (there >= 0)
        close(there);
    return ok;
}

/* Mails that would have one name are told apart by what they hold; the second of two equal ones is a mail of its own.
 */
static bool put_maildir(struct sink *s, const struct m_ARCHIVE_PUT *p, int fd, bool *added_r, struct err *err)
{
    struct buf name = BUF_INIT(250);
    bool ok = folder_ready(s, p->folder, err), done = false;
    for (unsigned n = 0; ok && !done; n++) {
        buf_reset(&name);
        buf_adds(&name, p->name);
        if (n)
            buf_addf(&name, "_%u", n);
        struct name *there = name_find(&s->names, p->folder, buf_str(&name), false);
        bool same = there && !p->unsure;
        if (n > SAME_NAMES)
            ok = err_set(err, ERR_LIMIT, "too many mails have the same name");
        else if (!there)
            done = *added_r = true;
        else if (there->claimed)
            continue;
        else if (!same)
            ok = same_there(s, p->folder, buf_str(&name), fd, &same, err);
        if (ok && same)
            done = there->claimed = true;
    }
    ok = ok && (!*added_r || deliver(s, p, buf_str(&name), fd, err));
    buf_fini(&name);
    return ok;
}

/* ---- mbox --------------------------------------------------------------------------------------- */
/* The envelope's sender: Return-Path, where the delivery agent kept it, else who wrote it. */
static struct str sender_of(int fd, struct buf *head, struct arena *arena)
{
    static const char *const fields[] = {"Return-Path", "Sender", "From"};
    struct mail_header h;
    while (head->n < MAIL_HEADER_MAX) {
        char chunk[16384];
        ssize_t n = pread(fd, chunk, MIN(sizeof chunk, MAIL_HEADER_MAX - head->n), (off_t)head->n);
        if (n < 0 && errno == EINTR)
            continue;
        size_t before = head->n > 3 ? head->n - 3 : 0;
        if (n > 0)
            buf_add(head, chunk, (size_t)n);
        if (n <= 0 || memmem(head->p + before, head->n - before, "\n\n", 2) ||
            memmem(head->p + before, head->n - before, "\n\r\n", 3))
            break;
    }
    mail_header_parse(buf_str(head), arena, &h);
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct mail_addrs addrs = {.count = 0};
        struct str value = mail_header_get(&h, fields[i]);
        if (value.p)
            mail_addrs_parse(str_sub(value, 0, 10000), arena, &addrs);
        if (i == 0 && value.p && !addrs.count)
            break; /* <>: nobody */
        for (size_t k = 0; k < addrs.count; k++)
            if (mail_addr_valid(addrs.list[k].addr) && !memchr(addrs.list[k].addr.p, ' ', addrs.list[k].addr.n))
                return addrs.list[k].addr;
    }
    return STR("");
}

static bool put_mbox(struct sink *s, const struct m_ARCHIVE_PUT *p, int fd, struct err *err)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct buf head = BUF_INIT(MAIL_HEADER_MAX);
    struct stat st;
    off_t before = lseek(s->mbox, 0, SEEK_CUR);
    const struct mbox_put put = {
        .flags = p->flags, .tags = p->tags, .arrived = p->arrived, .sender = sender_of(fd, &head, arena)};
    bool ok = s->mbox >= 0 ? mbox_append(s->mbox, fd, &put, err) : err_set(err, ERR_USAGE, "no file was given");
    /* No half mail, where that can be taken back. */
    if (!ok && before >= 0 && fstat(s->mbox, &st) == 0 && S_ISREG(st.st_mode) && ftruncate(s->mbox, before) == 0)
        lseek(s->mbox, before, SEEK_SET);
    buf_fini(&head);
    arena_free(&arena);
    return ok;
}

/* ---- The client's side -------------------------------------------------------------------------- */
static void on_put(struct sink *s, const struct msg *m)
{
    const struct m_ARCHIVE_PUT *p = &m->u.ARCHIVE_PUT;
    struct err err = ERR_INIT;
    bool added = false;
    if (!s->md)
        added = put_mbox(s, p, m->fd, &err);
    else if (put_maildir(s, p, m->fd, &added, &err) && added)
        return; /* answered with its group */
    else if (err.kind != ERR_NONE)
        group_commit(s); /* what was written before is safe, whatever the client does now */
    put_done(s, p->req, added, &err);
}

static void on_has(struct sink *s, const struct msg *m)
{
    const struct m_ARCHIVE_HAS *h = &m->u.ARCHIVE_HAS;
    struct err err = ERR_INIT;
    struct name *there = NULL;
    if (s->md && folder_ready(s, h->folder, &err)) /* what fails here fails again where it is said, in PUT */
        there = name_find(&s->names, h->folder, h->name, false);
    if (there)
        there->claimed = true;
    ARCHIVE_SEND(s->a, -1, ARCHIVE_IS, .req = h->req, .yes = there != NULL);
}

bool archive_write(struct archive *a, bool maildir, struct err *err)
{
    static struct sink s;
    s = (struct sink){.a = a, .mbox = -1};
    struct err gone = ERR_INIT;
    struct msg m;
    if (maildir && !(s.md = maildir_open(a->path, true, err)))
        return false;
    while (!a->ended && chan_wait(a->chan, -1, &m, &gone) > 0) {
        if (m.kind == MSG_ARCHIVE_PUT) {
            on_put(&s, &m);
        } else if (m.kind == MSG_ARCHIVE_HAS) {
            on_has(&s, &m);
        } else if (m.kind == MSG_ARCHIVE_SYNC) {
            group_commit(&s);
        } else if (m.kind == MSG_ARCHIVE_FILE && s.mbox < 0) {
            s.mbox = m.fd;
            m.fd = -1;
        }
        if (m.fd >= 0)
            close(m.fd);
    }
    group_commit(&s);
    tdestroy(s.names, free);
    tdestroy(s.folders, free);
    if (s.mbox >= 0)
        close(s.mbox);
    if (s.md)
        maildir_close(&s.md);
    return true;
}
