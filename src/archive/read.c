/* Mails out of an mbox, a file of one mail, or a Maildir with its folders. */
#include "archive/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/mbox.h"
#include "mail/mail.h"
#include "maildir/maildir.h"

struct source {
    struct archive *a;
    struct err *err;
    struct maildir *md;
    struct str folder;
    char **folders; /* of the Maildir */
    size_t nfolders, cap;
    uint64_t read, whole;
    bool asked; /* for the next mail, by `req`; `empty`: a file for it, or -1 */
    uint32_t req;
    int empty;
    char keywords[26][256]; /* of the folder: what the letters a to z of file names stand for (Dovecot) */
};

/* ---- The client's side -------------------------------------------------------------------------- */
static void answer_same(struct archive *a, const struct msg *m)
{
    struct err err = ERR_INIT;
    bool same = false;
    if (a->last >= 0 && !mbox_same(a->last, m->fd, &same, &err))
        log_msg(LOG_WARN, "two mails could not be compared: %s", err.text);
    ARCHIVE_SEND(a, -1, ARCHIVE_IS, .req = m->u.ARCHIVE_SAME.req, .yes = same);
}

/* Waits until the next mail is asked for, where it is not. False: the client is gone. */
static bool asked(struct source *s)
{
    struct err err = ERR_INIT;
    struct msg m;
    while (!s->asked && !s->a->ended) {
        if (chan_wait(s->a->chan, -1, &m, &err) <= 0) {
            s->a->ended = true;
            break;
        }
        if (m.kind == MSG_ARCHIVE_NEXT) {
            s->asked = true;
            s->req = m.u.ARCHIVE_NEXT.req;
            s->empty = m.fd;
            continue;
        }
        if (m.kind == MSG_ARCHIVE_SAME)
            answer_same(s->a, &m);
        if (m.fd >= 0)
            close(m.fd);
    }
    return s->asked && !s->a->ended;
}

/* The empty file that came with the question; the caller's. */
static int take_empty(struct source *s)
{
    int fd = s->empty;
    s->empty = -1;
    return fd;
}

static void skipped(struct source *s, const char *name, uint64_t offset, const struct err *why)
{
    ARCHIVE_SEND(s->a, -1, ARCHIVE_SKIPPED, .req = s->req, .folder = s->folder, .name = str_z(name), .offset = offset,
                 .kind = why->kind, .text = str_z(why->text));
}

/* ---- A mail ------------------------------------------------------------------------------------- */
struct found {
    const char *name;
    uint64_t offset;
    uint32_t flags;
    struct str tags;
    int64_t arrived;
};

static bool head_of(int fd, struct arena *arena, struct mail_row *row_r, struct err *err)
{
    struct buf head = BUF_INIT(MAIL_HEADER_MAX);
    bool ended = false;
    while (!ended && head.n < MAIL_HEADER_MAX) {
        char chunk[16384];
        ssize_t n = pread(fd, chunk, MIN(sizeof chunk, MAIL_HEADER_MAX - head.n), (off_t)head.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            buf_fini(&head);
            return err_sys(err, err_from_errno(errno), errno, "cannot read a mail");
        }
        size_t before = head.n > 3 ? head.n - 3 : 0;
        buf_add(&head, chunk, (size_t)n);
        ended = n == 0 || memmem(head.p + before, head.n - before, "\n\n", 2) ||
                memmem(head.p + before, head.n - before, "\n\r\n", 3);
    }
    mail_row_parse(buf_str(&head), STR(""), arena, row_r);
    buf_fini(&head);
    return true;
}

/* Answers the question with the mail in fd, which is kept for comparing until the next one. */
static bool give(struct source *s, const struct found *f, int fd, struct err *err)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_row row;
    struct stat st;
    uint64_t crlf;
    bool ok = fstat(fd, &st) == 0 || err_sys(err, err_from_errno(errno), errno, "cannot look at a mail");
    ok = ok && head_of(fd, arena, &row, err) && mbox_size_crlf(fd, &crlf, err);
    if (ok) {
        ARCHIVE_SEND(s->a, fd, ARCHIVE_MAIL, .req = s->req, .folder = s->folder, .name = str_z(f->name),
                     .offset = f->offset, .size = (uint64_t)st.st_size, .crlf = crlf, .flags = f->flags,
                     .tags = f->tags, .arrived = f->arrived, .date = row.date, .msgid = row.msgid, .read = s->read,
                     .whole = s->whole);
        s->asked = false;
        if (s->empty >= 0)
            close(take_empty(s));
    }
    if (s->a->last >= 0)
        close(s->a->last);
    s->a->last = fd;
    arena_free(&arena);
    return ok;
}

/* ---- Files -------------------------------------------------------------------------------------- */
static bool read_mbox(struct source *s, struct mbox *m)
{
    while (asked(s)) {
        struct mbox_mail mail;
        struct err why = ERR_INIT;
        enum mbox_got got = mbox_next(m, &mail, s->err);
        if (got == MBOX_FAILED)
            return false;
        if (got == MBOX_END)
            break;
        s->read = mail.to;
        if (got == MBOX_SKIPPED) {
            err_set(&why, ERR_PARSE, "%s", mail.why);
            skipped(s, "", mail.offset, &why);
            continue;
        }
        const struct found f = {
            .name = "", .offset = mail.offset, .flags = mail.flags, .tags = mail.tags, .arrived = mail.arrived};
        int fd = take_empty(s);
        if (!mbox_copy(m, &mail, fd, s->err)) {
            close(fd);
            return false;
        }
        if (!give(s, &f, fd, s->err))
            return false;
    }
    return true;
}

/* A header without the From_ line of an mbox before it. */
static bool begins_with_field(int fd)
{
    char p[1000];
    ssize_t n = pread(fd, p, sizeof p, 0);
    for (ssize_t i = 0; i < n; i++) {
        if (p[i] == ':')
            return i > 0;
        if (p[i] <= ' ' || p[i] > 126)
            return false;
    }
    return false;
}

static bool read_one(struct source *s, int file, const struct stat *st)
{
    const struct found f = {.name = "", .tags = STR(""), .arrived = (int64_t)st->st_mtime};
    int mail = fcntl(file, F_DUPFD_CLOEXEC, 0);
    s->read = s->whole;
    if (mail < 0)
        return err_sys(s->err, ERR_IO, errno, "cannot hold the file");
    if ((uint64_t)st->st_size > MBOX_MAIL_MAX) {
        close(mail);
        return err_set(s->err, ERR_LIMIT, "the mail is larger than a gigabyte");
    }
    if (!asked(s)) {
        close(mail);
        return true;
    }
    return give(s, &f, mail, s->err);
}

static bool read_file(struct source *s, int file)
{
    struct stat st = {.st_size = 0};
    struct mbox *m = mbox_open(file, s->err);
    bool mbox = m && mbox_is(m, s->err), ok = m && s->err->kind == ERR_NONE;
    fstat(file, &st);
    s->whole = (uint64_t)st.st_size;
    if (ok)
        ok = mbox || !begins_with_field(file) ? read_mbox(s, m) : read_one(s, file, &st);
    mbox_close(&m);
    return ok;
}

/* ---- Maildirs ----------------------------------------------------------------------------------- */
static void on_folder(void *arg, struct str folder, struct str id UNUSED)
{
    struct source *s = arg;
    if (s->nfolders == s->cap)
        s->folders = mem_resize(s->folders, s->cap = s->cap ? 2 * s->cap : 64, sizeof *s->folders);
    s->folders[s->nfolders++] = mem_dup_n(folder.p, folder.n);
}

static bool count_file(void *arg, const struct maildir_file *f)
{
    struct source *s = arg;
    (void)f;
    s->whole++;
    return true;
}

/* "0 $Forwarded": a number and a name a line. */
static void keywords_load(struct source *s)
{
    struct buf text = BUF_INIT(16384);
    struct err ignored = ERR_INIT;
    char path[4400];
    memset(s->keywords, 0, sizeof s->keywords);
    snprintf(path, sizeof path, "%s/%s%.*s%sdovecot-keywords", s->a->path, s->folder.n ? "." : "", STR_FMT(s->folder),
             s->folder.n ? "/" : "");
    if (fs_read(path, text.max, &text, &ignored)) {
        struct str rest = buf_str(&text), line, number;
        uint32_t i;
        while (str_split(&rest, '\n', &line))
            if (str_split(&line, ' ', &number) && str_u32(number, &i) && i < COUNT(s->keywords) && line.n < 200)
                snprintf(s->keywords[i], sizeof s->keywords[i], "%.*s", STR_FMT(line));
    }
    buf_fini(&text);
}

static void keywords_of(const struct source *s, struct str path, uint32_t *flags, struct buf *tags)
{
    const char *info = memmem(path.p, path.n, ":2,", 3);
    for (const char *p = info ? info + 3 : path.p + path.n; p < path.p + path.n; p++) {
        if (*p < 'a' || *p > 'z' || !s->keywords[*p - 'a'][0])
            continue;
        *flags |= mbox_words(str_z(s->keywords[*p - 'a']), tags);
    }
}

static bool on_file(void *arg, const struct maildir_file *file)
{
    struct source *s = arg;
    if (!asked(s))
        return false;
    struct err why = ERR_INIT;
    struct maildir_file now = {.size = 0};
    struct buf tags = BUF_INIT(MBOX_TAGS_MAX);
    char *name = mem_dup_n(file->unique.p, file->unique.n);
    int fd = maildir_message(s->md, s->folder, file->unique, &now, NULL, &why);
    s->read++;
    if (fd >= 0 && (now.size == 0 || now.size > MBOX_MAIL_MAX)) {
        err_set(&why, ERR_PARSE, now.size ? "it is larger than a gigabyte" : "it is empty");
        close(fd);
    } else if (fd >= 0) {
        struct found f = {.name = name, .flags = now.flags, .arrived = now.mtime};
        keywords_of(s, file->path, &f.flags, &tags);
        f.tags = buf_str(&tags);
        give(s, &f, fd, &why);
    }
    if (why.kind != ERR_NONE)
        skipped(s, name, 0, &why);
    free(name);
    buf_fini(&tags);
    return !s->a->ended;
}

static void say_odd(struct source *s, unsigned odd)
{
    struct err why = ERR_INIT;
    err_set(&why, ERR_PARSE, "%u file%s there %s no mail", odd, odd == 1 ? "" : "s", odd == 1 ? "is" : "are");
    if (odd && asked(s))
        skipped(s, "", 0, &why);
}

static bool read_maildir(struct source *s)
{
    s->md = maildir_open(s->a->path, false, s->err);
    bool ok = s->md && maildir_folders(s->md, on_folder, s, s->err);
    if (!s->md && s->err->kind == ERR_NO_MAILDIR)
        err_set(s->err, ERR_NO_FILE, "the directory is not a Maildir: it has no cur and new");
    for (size_t i = 0; ok && i < s->nfolders; i++)
        ok = maildir_scan(s->md, str_z(s->folders[i]), count_file, s, NULL, s->err);
    for (size_t i = 0; ok && i < s->nfolders && !s->a->ended; i++) {
        unsigned odd = 0;
        s->folder = str_z(s->folders[i]);
        keywords_load(s);
        ok = maildir_scan(s->md, s->folder, on_file, s, &odd, s->err);
        say_odd(s, odd);
    }
    s->folder = STR("");
    for (size_t i = 0; i < s->nfolders; i++)
        free(s->folders[i]);
    free(s->folders);
    if (s->md)
        maildir_close(&s->md);
    return ok;
}

/* ---- The source --------------------------------------------------------------------------------- */
/* The file that the client read standard input into. */
static int wait_file(struct archive *a)
{
    struct err err = ERR_INIT;
    struct msg m;
    if (chan_wait(a->chan, -1, &m, &err) <= 0)
        return -1;
    if (m.kind == MSG_ARCHIVE_FILE)
        return m.fd;
    if (m.fd >= 0)
        close(m.fd);
    return -1;
}

static bool read_path(struct source *s)
{
    struct stat st;
    bool given = strcmp(s->a->path, "-") == 0;
    int fd = given ? wait_file(s->a) : open(s->a->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && given)
        return true; /* the client is gone */
    if (fd < 0)
        return err_sys(s->err, err_from_errno(errno), errno, "cannot open it");
    bool ok = fstat(fd, &st) == 0 || err_sys(s->err, err_from_errno(errno), errno, "cannot look at it");
    if (ok && S_ISDIR(st.st_mode))
        ok = read_maildir(s);
    else if (ok && S_ISREG(st.st_mode))
        ok = read_file(s, fd);
    else if (ok)
        ok = err_set(s->err, ERR_USAGE, "it is neither a file nor a Maildir");
    close(fd);
    return ok;
}

/* What failed is the answer to the question for the next mail. */
bool archive_read(struct archive *a, struct err *err)
{
    struct err why = ERR_INIT;
    struct source s = {.a = a, .err = &why, .folder = STR(""), .empty = -1};
    (void)err;
    read_path(&s);
    if (asked(&s))
        ARCHIVE_SEND(a, -1, ARCHIVE_DONE, .req = s.req, .kind = why.kind, .text = str_z(why.text));
    s.asked = false;
    if (s.empty >= 0)
        close(s.empty);
    asked(&s); /* until the client has seen it */
    return true;
}
