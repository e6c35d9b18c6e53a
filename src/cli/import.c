/* tuimail import: mails out of mbox files, Maildirs and files of one mail, into an account; none twice. */
#include "cli/archive.h"

#include "mail/utf7.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW 32     /* mails on their way to the store */
#define QUEUE_MAX 200 /* changes that wait for the server, while there is a line */
#define AGAIN_MS 200
#define BACK_MS 60000     /* a program that ended is back by then */
#define SAME_MAX 64       /* mails with the same Message-ID that are compared with one */
#define SKIPPED_SAID 1000 /* lines about what was no mail */
#define WAIT_MS (10 * 60 * 1000)

struct flying {
    uint32_t req; /* 0: free */
    uint64_t key; /* of Message-ID, date and size: one that may be the same waits for it */
    char where[300];
};
struct target {
    char *folder; /* of the source */
    uint64_t box;
};
struct import {
    struct desk desk;
    struct desk_account *account;
    const char *mailbox; /* "" none was named */
    bool dry;
    const char *path; /* of the present source */
    struct target *targets;
    size_t ntargets;
    struct flying flying[WINDOW];
    size_t nflying;
    size_t imported, duplicates, unsure, skipped, refused;
    struct err first; /* of what was refused */
};

/* ---- What the store says ------------------------------------------------------------------------ */
static void landed(struct import *x, struct flying *f, const struct msg *m)
{
    f->req = 0;
    x->nflying--;
    if (m->kind == MSG_INTENT_OK) {
        x->imported++;
        return;
    }
    uint32_t kind = m->u.REFUSED.kind;
    x->refused++;
    desk_say(&x->desk, "%s: not imported: %.*s", f->where, STR_FMT(m->u.REFUSED.text));
    if (x->first.kind == ERR_NONE)
        err_set(&x->first, kind > ERR_NONE && kind < ERR_COUNT ? (enum err_kind)kind : ERR_CHANNEL, "%.*s",
                STR_FMT(m->u.REFUSED.text));
}

/* Takes what the store says; true where a mail landed. */
static bool take(struct import *x, struct msg *m)
{
    uint32_t req = m->kind == MSG_INTENT_OK ? m->u.INTENT_OK.req : m->kind == MSG_REFUSED ? m->u.REFUSED.req : 0;
    for (size_t i = 0; req && i < WINDOW; i++)
        if (x->flying[i].req == req) {
            landed(x, &x->flying[i], m);
            return true;
        }
    return false;
}

/* Nothing more is begun after these: they would befall each mail that follows. */
static bool hopeless(const struct import *x)
{
    enum err_kind k = x->first.kind;
    return k == ERR_DISK_FULL || k == ERR_PERMISSION || k == ERR_IO || k == ERR_STORE || k == ERR_CHANNEL ||
           k == ERR_NO_MAILBOX || k == ERR_READ_ONLY;
}

/* Until at most `most` are on their way. What is stopped meanwhile has been begun, and comes to its end. */
static bool wait_flying(struct import *x, size_t most, struct err *err)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (x->nflying > most) {
        struct msg m;
        int got = chan_wait(x->desk.client->chan, until, &m, err);
        if (got <= 0)
            return err_set(err, got ? ERR_CHANNEL : ERR_TIMEOUT, "the store %s; run the same import again",
                           got ? "ended" : "does not answer");
        desk_note(&x->desk, &m);
        if (take(x, &m))
            until = clock_mono_ms() + WAIT_MS;
        if (m.fd >= 0)
            close(m.fd);
    }
    return true;
}

/* ---- Mailboxes ---------------------------------------------------------------------------------- */
static void take_inbox(void *arg, const struct box_row *box)
{
    char *delim = arg;
    if (box->role == BOX_INBOX || !*delim)
        *delim = box->delim ? box->delim : *delim;
}

/* The path of the mailbox for a folder of the source. */
static bool path_of(struct import *x, struct str folder, struct buf *out, struct err *err)
{
    char delim = 0;
    struct str piece;
    if (!reader_boxes(x->account->reader, take_inbox, &delim, err))
        return false;
    buf_addz(out, x->mailbox);
    while (folder.n && str_split(&folder, '.', &piece)) {
        if (out->n)
            buf_addc(out, delim ? delim : '.');
        mail_utf7_decode(piece, out); /* what is none stays */
    }
    if (!out->n)
        buf_addz(out, "INBOX");
    return !out->full || err_set(err, ERR_LIMIT, "the name of a folder is too long");
}

static bool box_make(struct import *x, struct str path, uint64_t *box_r, struct err *err)
{
    struct msg m;
    uint32_t req = ++x->desk.req;
    if (!SEND(x->desk.client->chan, -1, err, INTENT, .req = req, .account = str_z(x->account->conf->name),
              .kind = INTENT_BOX_CREATE, .arg = path, .automatic = 1) ||
        !desk_answer(&x->desk, req, &m, err))
        return false;
    *box_r = m.u.INTENT_OK.box;
    desk_say(&x->desk, "made the mailbox %.*s of %s", STR_FMT(path), x->account->conf->name);
    /* Maildir: there when the folders were looked at again. */
    req = ++x->desk.req;
    return x->account->imap ||
           (SEND(x->desk.client->chan, -1, err, SETTLE, .req = req, .account = str_z(x->account->conf->name)) &&
            desk_answer(&x->desk, req, &m, err));
}

/* Where the mails of a folder go; 0 in a dry run where that is not there yet. */
static bool target_of(struct import *x, struct str folder, uint64_t *box_r, struct err *err)
{
    struct buf path = BUF_INIT(500);
    struct box_row box = {.id = 0};
    for (size_t i = 0; i < x->ntargets; i++)
        if (str_eqz(folder, x->targets[i].folder)) {
            *box_r = x->targets[i].box;
            return true;
        }
    bool ok = wait_flying(x, 0, err) && path_of(x, folder, &path, err) &&
              reader_box_by_name(x->account->reader, buf_str(&path), &box, err);
    if (ok && !box.id && !x->dry)
        ok = box_make(x, buf_str(&path), &box.id, err);
    if (ok && (box.readonly || box.attrs & BOX_NOSELECT))
        ok = err_set(err, ERR_READ_ONLY, "mails cannot be put into %s of %s", buf_z(&path), x->account->conf->name);
    if (ok) {
        x->targets = mem_resize(x->targets, x->ntargets + 1, sizeof *x->targets);
        x->targets[x->ntargets++] = (struct target){mem_dup_n(folder.p, folder.n), box.id};
        *box_r = box.id;
    }
    buf_fini(&path);
    return ok;
}

static void targets_drop(struct import *x)
{
    for (size_t i = 0; i < x->ntargets; i++)
        free(x->targets[i].folder);
    free(x->targets);
    x->targets = NULL;
    x->ntargets = 0;
}

/* ---- Is it there? ------------------------------------------------------------------------------- */
struct mail {
    const struct m_ARCHIVE_MAIL *m;
    uint64_t box, key;
};
struct likes {
    const struct import *x;
    const struct mail *mail;
    uint64_t ids[SAME_MAX];
    bool pending[SAME_MAX];
    size_t n;
    bool passed; /* a window of rows went beyond the date */
};

static void on_like(void *arg, const struct msg_row *row)
{
    struct likes *l = arg;
    const struct m_ARCHIVE_MAIL *m = l->mail->m;
    if (row->box != l->mail->box || row->msgid.n != m->msgid.n || (m->msgid.n && !str_eq(row->msgid, m->msgid)))
        return;
    /* A server counts octets as they cross the line. */
    if (l->x->account->imap && row->size != m->crlf)
        return;
    if (l->n < SAME_MAX) {
        l->pending[l->n] = (row->state & (ROW_PENDING | ROW_BODY)) == ROW_PENDING;
        l->ids[l->n++] = row->id;
    }
}

static void on_date(void *arg, const struct msg_row *row)
{
    struct likes *l = arg;
    int64_t date = l->mail->m->date ? l->mail->m->date : l->mail->m->arrived;
    if (row->date == date)
        on_like(arg, row);
    else
        l->passed = true;
}

/* The rows that may be this mail: by Message-ID, or without one by the date that it has in a list. */
static bool find_likes(struct import *x, struct likes *l, struct err *err)
{
    const struct m_ARCHIVE_MAIL *m = l->mail->m;
    if (m->msgid.n)
        return reader_find_msgid(x->account->reader, m->msgid, on_like, l, err);
    struct row_key from = ROW_KEY(m->date ? m->date : m->arrived, 0);
    return from.date <= 0 ||
           reader_rows(x->account->reader, l->mail->box, LIST_ALL, &from, false, 2 * SAME_MAX, on_date, l, err);
}

/* One answer to a request for its bytes: -1 with *err, or where it was refused, with why in *kind_r. */
static int body_asked(struct import *x, uint64_t msg, int64_t until, enum err_kind *kind_r, struct err *err)
{
    uint32_t req = ++x->desk.req;
    *kind_r = ERR_NONE;
    if (!SEND(x->desk.client->chan, -1, err, OPEN, .req = req, .account = str_z(x->account->conf->name), .msg = msg,
              .prefetch = 1, .want = STR("*")))
        return -1;
    for (;;) {
        struct msg m;
        int got = desk_receive(&x->desk, until, &m, err);
        if (got <= 0) {
            if (got == 0)
                err_set(err, ERR_CANCELED, "stopped");
            return -1;
        }
        if (m.kind == MSG_BODY && m.u.BODY.req == req && !m.u.BODY.more)
            return m.fd;
        take(x, &m);
        if (m.fd >= 0)
            close(m.fd);
        if (m.kind == MSG_REFUSED && m.u.REFUSED.req == req) {
            *kind_r = (enum err_kind)MIN(m.u.REFUSED.kind, (uint32_t)ERR_COUNT - 1);
            return -1;
        }
    }
}

/* Its bytes, from here or from the server; -1 where they cannot be had. A mail on this machine that cannot be looked at
 * just now is no mail that is not there: the program that looks may have ended, and is started again. */
static int body_of(struct import *x, uint64_t msg, struct err *err)
{
    int64_t until = clock_mono_ms() + BACK_MS;
    for (;;) {
        enum err_kind kind;
        int fd = body_asked(x, msg, clock_mono_ms() + WAIT_MS, &kind, err);
        if (fd >= 0 || x->account->imap || (kind != ERR_CHANNEL && kind != ERR_CANCELED))
            return fd;
        struct msg m;
        int got = desk_receive(&x->desk, clock_mono_ms() + AGAIN_MS, &m, err);
        if (got < 0 || desk_stopped() || clock_mono_ms() >= until)
            return err->kind != ERR_NONE ? -1 : (err_set(err, kind, "a mail that is there could not be compared"), -1);
        if (got > 0)
            take(x, &m);
        if (got > 0 && m.fd >= 0)
            close(m.fd);
    }
}

static bool same(struct import *x, int fd, bool *same_r, struct err *err)
{
    struct msg m;
    if (!SEND(x->desk.role.chan, fd, err, ARCHIVE_SAME, .req = 0) || !desk_role_receive(&x->desk, &m, err))
        return false;
    if (m.fd >= 0)
        close(m.fd);
    *same_r = m.kind == MSG_ARCHIVE_IS && m.u.ARCHIVE_IS.yes;
    return true;
}

/* A mail is there when one with its bytes is, whatever ends its lines. *guess_r: what is on the server could not be
 * read, and Message-ID and size stand for it. */
static bool is_there(struct import *x, const struct mail *mail, bool *there_r, bool *guess_r, struct err *err)
{
    struct likes l = {.x = x, .mail = mail};
    *there_r = *guess_r = false;
    if (!mail->box || !find_likes(x, &l, err))
        return err->kind == ERR_NONE;
    for (size_t i = 0; i < l.n && !*there_r; i++) {
        int fd = -1;
        if (l.pending[i]) { /* in the queue since an earlier run */
            *there_r = true;
            break;
        }
        fd = body_of(x, l.ids[i], err);
        if (fd < 0 && err->kind != ERR_NONE)
            return false;
        if (fd < 0)
            *there_r = *guess_r = x->account->imap;
        else if (!same(x, fd, there_r, err))
            *there_r = false;
        if (fd >= 0)
            close(fd);
        if (err->kind != ERR_NONE)
            return false;
    }
    return true;
}

/* ---- A mail ------------------------------------------------------------------------------------- */
static void where_of(const struct import *x, struct str folder, struct str name, uint64_t offset, char out[300])
{
    if (name.n)
        snprintf(out, 300, "%.150s: %.*s%s%.*s", x->path, STR_FMT(folder), folder.n ? "/" : "", STR_FMT(name));
    else
        snprintf(out, 300, "%.250s: at %llu", x->path, (unsigned long long)offset);
}

/* While there is a line, the queue for the server stays short; without one nothing is begun that only the user can
 * want: --offline. */
static bool wait_queue(struct import *x, struct err *err)
{
    struct desk_account *a = x->account;
    while (a->imap && !x->desk.client->offline && a->queued >= QUEUE_MAX) {
        struct msg m;
        if (!desk_line(a) && a->state != ACCOUNT_WAITING)
            return err_set(err, ERR_OFFLINE, "%s is not connected (%s); %u mails wait for it", a->conf->name, a->text,
                           (unsigned)a->queued);
        int got = desk_receive(&x->desk, clock_mono_ms() + 1000, &m, err);
        if (got < 0)
            return false;
        if (desk_stopped())
            return err_set(err, ERR_CANCELED, "stopped");
        if (got > 0)
            take(x, &m);
        if (got > 0 && m.fd >= 0)
            close(m.fd);
    }
    return true;
}

static bool send_mail(struct import *x, const struct mail *mail, int fd, struct err *err)
{
    struct flying *f = x->flying;
    if (!wait_flying(x, WINDOW - 1, err) || !wait_queue(x, err))
        return false;
    while (f->req)
        f++;
    *f = (struct flying){.req = ++x->desk.req, .key = mail->key};
    where_of(x, mail->m->folder, mail->m->name, mail->m->offset, f->where);
    x->nflying++;
    return SEND(x->desk.client->chan, fd, err, IMPORT, .req = f->req, .account = str_z(x->account->conf->name),
                .box = mail->box, .flags = mail->m->flags, .arrived = mail->m->arrived, .tags = mail->m->tags);
}

static bool on_mail(struct import *x, const struct m_ARCHIVE_MAIL *m, int fd, struct err *err)
{
    struct mail mail = {.m = m, .key = str_hash(m->msgid) ^ (uint64_t)m->date ^ m->crlf << 40};
    bool there, guess;
    for (size_t i = 0; i < WINDOW; i++)
        if (x->flying[i].req && x->flying[i].key == mail.key && !wait_flying(x, 0, err))
            return false;
    if (!target_of(x, m->folder, &mail.box, err) || !is_there(x, &mail, &there, &guess, err))
        return false;
    x->duplicates += there;
    x->unsure += guess;
    if (there)
        return true;
    if (x->dry) {
        x->imported++;
        return true;
    }
    return send_mail(x, &mail, fd, err);
}

static void on_skipped(struct import *x, const struct m_ARCHIVE_SKIPPED *m)
{
    char where[300];
    if (++x->skipped > SKIPPED_SAID)
        return;
    where_of(x, m->folder, m->name, m->offset, where);
    desk_say(&x->desk, "%s: not imported: %.*s", where, STR_FMT(m->text));
}

/* The messages of the role borrow from its channel's buffer, which what is asked meanwhile overwrites. */
struct held {
    struct m_ARCHIVE_MAIL m;
    char bytes[4][1100];
};

static void hold(const struct m_ARCHIVE_MAIL *m, struct held *h)
{
    h->m = *m;
    struct str *const fields[] = {&h->m.folder, &h->m.name, &h->m.tags, &h->m.msgid};
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct str s = str_sub(*fields[i], 0, sizeof h->bytes[i]);
        memcpy(h->bytes[i], s.p, s.n);
        *fields[i] = (struct str){h->bytes[i], s.n};
    }
}

static bool read_source(struct import *x, struct err *err)
{
    static struct held h;
    for (uint32_t req = 1;; req++) {
        struct msg m;
        if (desk_stopped())
            return err_set(err, ERR_CANCELED, "stopped");
        if (hopeless(x)) {
            *err = x->first;
            return false;
        }
        int fd = desk_temporary(x->desk.cli->root, err);
        bool ok = fd >= 0 && SEND(x->desk.role.chan, fd, err, ARCHIVE_NEXT, .req = req);
        if (fd >= 0)
            close(fd);
        while (ok && (ok = desk_role_receive(&x->desk, &m, err)) && m.kind == MSG_ARCHIVE_SKIPPED)
            on_skipped(x, &m.u.ARCHIVE_SKIPPED);
        if (!ok)
            return false;
        if (m.kind == MSG_ARCHIVE_DONE)
            return m.u.ARCHIVE_DONE.kind == ERR_NONE ||
                   err_set(err, (enum err_kind)MIN(m.u.ARCHIVE_DONE.kind, (uint32_t)ERR_COUNT - 1), "%s: %.*s", x->path,
                           STR_FMT(m.u.ARCHIVE_DONE.text));
        if (m.kind != MSG_ARCHIVE_MAIL)
            return err_set(err, ERR_CHANNEL, "an answer that was not asked for");
        hold(&m.u.ARCHIVE_MAIL, &h);
        ok = on_mail(x, &h.m, m.fd, err);
        close(m.fd);
        if (!ok)
            return false;
        desk_progress(&x->desk, x->path, h.m.read, h.m.whole);
    }
}

/* ---- Sources ------------------------------------------------------------------------------------ */
/* Standard input is read into a file first: where a mail ends is looked for ahead. */
static int spool_stdin(struct import *x, struct err *err)
{
    static char chunk[1 << 16];
    int fd = desk_temporary(x->desk.cli->root, err);
    while (fd >= 0) {
        ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR && !desk_stopped())
            continue;
        if (n == 0)
            break;
        if (n < 0)
            err_sys(err, desk_stopped() ? ERR_CANCELED : err_from_errno(errno), errno, "cannot read standard input");
        if (n < 0 || !fs_write_all(fd, (struct str){chunk, (size_t)n}, err)) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

static bool import_path(struct import *x, const char *path, struct err *err)
{
    bool input = strcmp(path, "-") == 0;
    char *absolute = input ? mem_dup_z("-") : cli_absolute(path, err);
    bool ok = absolute != NULL;
    x->path = input ? "standard input" : path;
    if (ok && !input && access(absolute, R_OK) != 0)
        ok = err_sys(err, errno == ENOENT ? ERR_NO_FILE : err_from_errno(errno), errno, "%s", path);
    ok = ok && desk_role(&x->desk, "read", absolute, err);
    if (ok && input) {
        int fd = spool_stdin(x, err);
        ok = fd >= 0 && SEND(x->desk.role.chan, fd, err, ARCHIVE_FILE, .req = 0);
        if (fd >= 0)
            close(fd);
    }
    ok = ok && read_source(x, err);
    struct err why = ERR_INIT;
    if (x->desk.client && x->desk.client->chan && !wait_flying(x, 0, &why) && ok) {
        *err = why;
        ok = false;
    }
    desk_progress_end(&x->desk);
    role_close(&x->desk.role);
    targets_drop(x);
    free(absolute);
    return ok;
}

/* ---- All ---------------------------------------------------------------------------------------- */
static bool choose(struct import *x, const char *account, struct err *err)
{
    struct cli *cli = x->desk.cli;
    const struct account *a = account[0] ? cli_account(cli, account, err) : &cli->conf->accounts[0];
    if (!a)
        return false;
    if (!account[0] && cli->conf->naccounts > 1)
        return err_set(err, ERR_USAGE, "which account? --account NAME");
    x->account = &x->desk.accounts[a - cli->conf->accounts];
    return true;
}

/* What was queued goes to the server while somebody is here. */
static bool wait_server(struct import *x, struct err *err)
{
    struct desk_account *a = x->account;
    struct msg ok;
    uint32_t req = ++x->desk.req;
    if (!a->imap || x->dry)
        return true;
    /* Behind what the store says of the last mail. */
    if (!SEND(x->desk.client->chan, -1, err, SETTLE, .req = req, .account = str_z(a->conf->name)) ||
        !desk_answer(&x->desk, req, &ok, err))
        return false;
    if (x->desk.client->offline)
        return true;
    for (size_t most = a->queued; a->queued > 0 && (desk_line(a) || a->state == ACCOUNT_WAITING);) {
        struct msg m;
        most = MAX(most, (size_t)a->queued);
        desk_progress(&x->desk, "on the server", most - a->queued, most);
        int got = desk_receive(&x->desk, clock_mono_ms() + 1000, &m, err);
        if (got < 0)
            return false;
        if (got > 0 && m.fd >= 0)
            close(m.fd);
        if (desk_stopped())
            break;
    }
    desk_progress_end(&x->desk);
    return true;
}

static void say(struct import *x)
{
    const char *would = x->dry ? "would be " : "";
    desk_say(&x->desk, "%zu mail%s %simported, %zu duplicate%s, %zu not taken", x->imported,
             x->imported == 1 ? "" : "s", would, x->duplicates, x->duplicates == 1 ? "" : "s", x->skipped + x->refused);
    if (x->unsure)
        desk_say(&x->desk,
                 "%zu of the duplicates are told by Message-ID and size alone: what the server has could not "
                 "be read",
                 x->unsure);
    if (x->account->imap && x->account->queued)
        desk_say(&x->desk, "%u wait for %s: they go when it is connected", (unsigned)x->account->queued,
                 x->account->conf->name);
}

int import_main(struct cli *cli)
{
    struct import x = {.mailbox = ""};
    struct err err = ERR_INIT;
    const char *account = "";
    const struct cli_opt opts[] = {
        {"--account", &account, NULL}, {"--mailbox", &x.mailbox, NULL}, {"--dry-run", NULL, &x.dry}};
    bool ok = cli_options(cli, opts, COUNT(opts), &err);
    if (ok && cli->argc == 0)
        ok = err_set(&err, ERR_USAGE, "import needs the path of an mbox, a Maildir or a mail; - is standard input");
    const struct account *a = ok && account[0] ? cli_account(cli, account, &err) : &cli->conf->accounts[0];
    /* A Maildir needs no line. */
    ok = ok && a && desk_open(&x.desk, cli, "import", a->in.proto != PROTO_IMAP, &err) && choose(&x, account, &err) &&
         desk_settle(&x.desk, x.account, false, &err);
    bool begun = ok;
    for (int i = 0; ok && i < cli->argc; i++)
        ok = import_path(&x, cli->argv[i], &err);
    ok = ok && wait_server(&x, &err);
    if (begun && x.account)
        say(&x);
    if (!ok && x.imported)
        err_prefix(&err, "run the same import again to go on");
    desk_close(&x.desk);
    if (!ok)
        return cli_fail(&err);
    return x.refused ? err_exit(x.first.kind) : x.skipped ? err_exit(ERR_PARSE) : 0;
}
