/* The outbox: a mail is durable here before "queued" is said, goes out by the account's `send` program once its hold is
 * over, and is never sent twice: what may have been accepted is "unknown" and waits for the user. Afterwards its copy
 * goes to Sent as an APPEND intent. */
#include "store/account.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/mail.h"

#define MAIL_MAX (256u << 20)
#define HEADER_LOOK 65536
#define GIVE_UP_S (4 * 86400)
#define KEEP_S (7 * 86400)
#define NO_SECRET "no password without a person; set password-command or send-password-command"
#define SOON_S 60 /* who leaves right after sending means the mail to go */

enum send_phase { SEND_STARTING, SEND_READY, SEND_DELIVERING };
struct sending {
    uint64_t id, tag; /* id 0: no mail, a login that a client asked for */
    struct peer *peer;
    enum send_phase phase;
    bool waits_user, asked_incoming;
    uint8_t need;       /* of the last SECRET_ASK */
    struct buf refused; /* recipients, with the server's words */
};

/* ---- Files -------------------------------------------------------------------------------------- */
static bool name_ok(struct str name)
{
    size_t at;
    return name.n > 0 && name.n < 200 && name.p[0] != '.' && !str_find(name, '/', &at) && !str_find(name, '\0', &at);
}

static char *file_path(struct server *s, struct str name, const char *before)
{
    char leaf[256];
    snprintf(leaf, sizeof leaf, "%s%.*s", before, STR_FMT(name));
    return path_join(s->outbox_dir, leaf);
}

int outbox_file(struct server *s, struct str name, struct err *err)
{
    if (!name_ok(name)) {
        err_set(err, ERR_NO_MESSAGE, "the file of the mail has no proper name");
        return -1;
    }
    char *path = file_path(s, name, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        err_sys(err, errno == ENOENT ? ERR_NO_MESSAGE : err_from_errno(errno), errno, "%s", path);
    free(path);
    return fd;
}

void outbox_unlink(struct server *s, struct str name)
{
    if (!name_ok(name))
        return;
    char *path = file_path(s, name, "");
    if (unlink(path) != 0 && errno != ENOENT)
        log_msg(LOG_WARN, "%s: %s", path, strerror(errno));
    free(path);
}

/* Copies, for a server with every line end made CR LF (they refuse bare ones: THREATS 68, 145). */
static bool copy_lines(int from, int to, bool crlf, struct err *err)
{
    static char in[65536], out[2 * sizeof in + 2];
    uint64_t total = 0;
    bool cr = false;
    for (off_t at = 0;;) {
        ssize_t n = pread(from, in, sizeof in, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "the mail cannot be read");
        size_t w = 0;
        if (n == 0) {
            if (cr && crlf)
                out[w++] = '\n';
            return w == 0 || fs_write_all(to, (struct str){out, w}, err);
        }
        at += n;
        total += (uint64_t)n;
        if (total > MAIL_MAX)
            return err_set(err, ERR_LIMIT, "the mail is larger than %u MiB", MAIL_MAX >> 20);
        for (ssize_t i = 0; i < n; i++) {
            char c = in[i];
            if (crlf && cr && c != '\n')
                out[w++] = '\n';
            else if (crlf && !cr && c == '\n')
                out[w++] = '\r';
            out[w++] = c;
            cr = c == '\r';
        }
        if (!fs_write_all(to, (struct str){out, w}, err))
            return false;
    }
}

/* The mail in fd becomes ROOT/outbox/NAME, durable. `name` has room for 64 bytes. */
static bool keep_file(struct server *s, int fd, bool crlf, char *name, struct err *err)
{
    struct stat st;
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_USAGE, "the mail has to come in a regular file");
    fs_random(random, sizeof random);
    hex_encode(random, sizeof random, hex);
    snprintf(name, 64, "%lld.%s.eml", (long long)clock_wall(), hex);
    char *tmp = file_path(s, str_z(name), ".tmp-"), *final = file_path(s, str_z(name), "");
    int to = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok;
    if (to < 0) {
        ok = err_sys(err, err_from_errno(errno), errno, "%s", tmp);
    } else if (!copy_lines(fd, to, crlf, err)) {
        close(to);
        unlink(tmp);
        ok = false;
    } else {
        ok = fs_commit(to, tmp, final, err);
    }
    free(tmp);
    free(final);
    return ok;
}

/* The header of our own mail, for the list and to find it again. The strings live in the arena. */
static bool header_of(struct server *s, const char *name, struct arena *arena, struct mail_row *row, uint64_t *size_r)
{
    struct err err = ERR_INIT;
    struct stat st;
    int fd = outbox_file(s, str_z(name), &err);
    char *head = arena_alloc(arena, HEADER_LOOK);
    memset(row, 0, sizeof *row);
    if (fd < 0 || !head || fstat(fd, &st) != 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    ssize_t n = pread(fd, head, HEADER_LOOK, 0);
    close(fd);
    *size_r = (uint64_t)st.st_size;
    mail_row_parse((struct str){head, n > 0 ? (size_t)n : 0}, STR(""), arena, row);
    return true;
}

static struct db_row row_of(const struct mail_row *r, uint64_t size, uint32_t flags, int64_t arrived)
{
    return (struct db_row){.flags = flags,
                           .size = size,
                           .internal_date = arrived,
                           .date = r->date ? r->date : arrived,
                           .attrs = r->attrs | ROW_FULL,
                           DB_ROW_HEADER(r)};
}

/* ---- Words -------------------------------------------------------------------------------------- */
static void count_one(void *arg, const struct db_outbox *o)
{
    struct outbox_counts *n = arg;
    n->waits += o->state <= OUTBOX_SENDING;
    n->refused += o->state == OUTBOX_REFUSED;
    n->unknown += o->state == OUTBOX_UNKNOWN;
}

static void tell_counts(struct acct *a)
{
    struct err err = ERR_INIT;
    struct outbox_counts n = {0};
    if (db_outbox_each(a->db, count_one, &n, &err) && memcmp(&n, &a->outbox, sizeof n) != 0) {
        a->outbox = n;
        acct_tell(a, NULL);
    }
}

static void tell(struct acct *a, uint64_t id, enum outbox_state state, enum err_kind kind, const char *text)
{
    BROADCAST(a->srv, OUTBOX, .account = str_z(a->name), .out = id, .state = (uint8_t)state, .kind = kind,
              .text = str_z(text));
    tell_counts(a);
}

static bool set(struct acct *a, uint64_t id, enum outbox_state state, int64_t due, enum err_kind kind, const char *text)
{
    struct err err = ERR_INIT;
    if (!db_outbox_set(a->db, id, state, due, kind, text, false, &err) || !db_sync(a->db, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    tell(a, id, state, kind, text);
    return true;
}

/* ---- What clients ask --------------------------------------------------------------------------- */
static const char *cannot_send(const struct acct *a, enum err_kind *kind)
{
    *kind = ERR_CONFIG;
    switch (a->conf->out.proto) {
    case PROTO_SMTP:
        return NULL;
    case PROTO_NONE:
        return "the account has no way to send: set -a ACCOUNT send smtps://...";
    default:
        return "this account can only send by smtp or smtps";
    }
}

void outbox_submit(struct acct *a, uint64_t client, struct msg *m)
{
    const struct m_SUBMIT *s = &m->u.SUBMIT;
    struct err err = ERR_INIT;
    char name[64] = "";
    const char *no = cannot_send(a, &err.kind);
    uint64_t id = 0, size = 0;
    if (no || s->rcpts.n == 0 || s->sender.n == 0) {
        server_refuse(a->srv, client, s->req, no ? err.kind : ERR_RECIPIENT,
                      no ? no : "the mail has no sender or no recipient");
        return;
    }
    if (!keep_file(a->srv, m->fd, true, name, &err)) {
        server_refuse(a->srv, client, s->req, err.kind, err.text);
        return;
    }
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_row row;
    header_of(a->srv, name, arena, &row, &size);
    int64_t now = clock_wall();
    struct db_outbox out = {.state = s->hold_s ? OUTBOX_HELD : OUTBOX_QUEUED,
                            .created = now,
                            .due = now + MIN(s->hold_s, 86400u),
                            .sender = s->sender,
                            .rcpts = s->rcpts,
                            .subject = row.subject,
                            .msgid = row.msgid,
                            .file = str_z(name),
                            .answers = s->answers,
                            .forwards = s->forwards};
    bool ok = db_outbox_add(a->db, &out, &id, &err) && db_sync(a->db, &err);
    arena_free(&arena);
    if (!ok) {
        outbox_unlink(a->srv, str_z(name));
        server_refuse(a->srv, client, s->req, err.kind, err.text);
        return;
    }
    ANSWER(a->srv, client, -1, SUBMITTED, .req = s->req, .out = id, .text = STR("queued"));
    tell(a, id, out.state, ERR_NONE, "");
    acct_settle(a);
}

/* An APPEND intent for the file; the file is the intent's from now on. replaces: a message, or 0. */
struct append {
    uint64_t box, replaces;
    const char *name;
    uint32_t flags;
    int64_t arrived; /* 0: now */
    struct str tags;
    bool undo;
};
static bool append_intent(struct acct *a, const struct append *p, uint64_t *group, uint32_t *count, struct err *err)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_row row;
    uint64_t size = 0;
    bool ok = header_of(a->srv, p->name, arena, &row, &size) || err_set(err, ERR_IO, "the mail cannot be read again");
    if (ok) {
        struct db_row r = row_of(&row, size, p->flags, p->arrived > 0 ? p->arrived : clock_wall());
        r.keywords = p->tags;
        ok = db_intent_add(a->db,
                           &(struct db_intent){.kind = INTENT_APPEND,
                                               .target = p->box,
                                               .set = p->flags,
                                               .arg = str_z(p->name),
                                               .row = &r,
                                               .msgs = &p->replaces,
                                               .n = p->replaces != 0,
                                               .now = clock_wall(),
                                               .automatic = !p->undo},
                           group, NULL, count, err) &&
             db_sync(a->db, err);
    }
    arena_free(&arena);
    return ok;
}

/* The mailbox of a role, created where there is none. 0 with *err. */
uint64_t acct_role_box(struct acct *a, uint8_t role, struct err *err)
{
    static const char *const names[BOX_ROLE_COUNT] = {[BOX_ARCHIVE] = "Archive",
                                                      [BOX_SENT] = "Sent",
                                                      [BOX_DRAFTS] = "Drafts",
                                                      [BOX_TRASH] = "Trash",
                                                      [BOX_JUNK] = "Junk"};
    struct db_box b = {0};
    const struct account *c = a->conf;
    static const char *const words[BOX_ROLE_COUNT] = {[BOX_ARCHIVE] = "archive",
                                                      [BOX_SENT] = "sent",
                                                      [BOX_DRAFTS] = "drafts",
                                                      [BOX_TRASH] = "trash",
                                                      [BOX_JUNK] = "spam"};
    const char *const options[BOX_ROLE_COUNT] = {[BOX_ARCHIVE] = c->archive,
                                                 [BOX_SENT] = c->sent,
                                                 [BOX_DRAFTS] = c->drafts,
                                                 [BOX_TRASH] = c->trash,
                                                 [BOX_JUNK] = c->spam};
    const char *option = options[role];
    if (db_box_by_role(a->db, role, &b, err))
        return b.id;
    if (err->kind != ERR_NO_MAILBOX || !names[role])
        return 0;
    /* What has left the inbox of a server that keeps a mailbox of everything is archived there (Gmail). */
    if (role == BOX_ARCHIVE && !(option && option[0]) && db_box_by_role(a->db, BOX_ALL, &b, err))
        return b.id;
    if (!c->make_mailboxes) {
        err_set(err, ERR_NO_MAILBOX, "%s has no mailbox for this: create %s, or set -a %s %s to another", a->name,
                names[role], a->name, words[role]);
        return 0;
    }
    *err = ERR_INIT;
    struct buf name = BUF_INIT(1000);
    ptrdiff_t inbox = box_role(a, BOX_INBOX);
    char delim = inbox >= 0 ? a->boxes[inbox].delim : 0;
    /* Some servers keep everything under INBOX (Courier): a new mailbox goes where the others are, also where no
     * NAMESPACE says so. */
    bool below = a->imap && delim && a->nboxes > 1 && !(option && option[0]) && !a->prefix_n;
    for (size_t i = 0; i < a->nboxes && below; i++)
        below =
            (ptrdiff_t)i == inbox || (a->boxes[i].name_n > 6 && str_case_starts(box_name(&a->boxes[i]), STR("INBOX")) &&
                                      a->boxes[i].name[5] == delim);
    if (below)
        buf_addf(&name, "INBOX%c", delim);
    buf_addz(&name, option && option[0] ? option : names[role]);
    struct buf server = BUF_INIT(4000), shown = BUF_INIT(1000);
    acct_box_name(a, buf_str(&name), &server, &shown);
    uint64_t group = 0, target = 0;
    uint32_t count = 0;
    bool ok = db_intent_add(a->db,
                            &(struct db_intent){.kind = INTENT_BOX_CREATE,
                                                .arg = buf_str(&server),
                                                .utf8 = buf_str(&shown),
                                                .now = clock_wall(),
                                                .automatic = true},
                            &group, &target, &count, err);
    if (ok && target && !db_box_set_role(a->db, target, role, err))
        ok = false;
    buf_fini(&name);
    buf_fini(&server);
    buf_fini(&shown);
    acct_boxes_load(a);
    return ok ? target : 0;
}

void outbox_save(struct acct *a, uint64_t client, struct msg *m)
{
    const struct m_SAVE *s = &m->u.SAVE;
    struct err err = ERR_INIT;
    char name[64] = "";
    uint64_t group = 0, box = s->box;
    uint32_t count = 0;
    if (box == 0)
        box = acct_role_box(a, s->flags & FLAG_DRAFT ? BOX_DRAFTS : BOX_SENT, &err);
    if (box == 0 || !keep_file(a->srv, m->fd, true, name, &err)) {
        server_refuse(a->srv, client, s->req, err.kind ? err.kind : ERR_NO_MAILBOX,
                      err.kind ? err.text : "there is no such mailbox");
        return;
    }
    struct db_msg old;
    bool there = s->replaces && db_msg_get(a->db, s->replaces, &old, &err) && old.box == box;
    err = ERR_INIT;
    const struct append p = {
        .box = box, .name = name, .flags = s->flags, .replaces = there ? s->replaces : 0, .tags = STR("")};
    if (!append_intent(a, &p, &group, &count, &err)) {
        outbox_unlink(a->srv, str_z(name));
        server_refuse(a->srv, client, s->req, err.kind, err.text);
        return;
    }
    ANSWER(a->srv, client, -1, INTENT_OK, .req = s->req, .group = group, .count = count);
    acct_settle(a);
}

void outbox_import(struct acct *a, uint64_t client, const struct msg *m)
{
    const struct m_IMPORT *q = &m->u.IMPORT;
    struct err err = ERR_INIT;
    char name[64] = "";
    uint64_t group;
    uint32_t count;
    if (!keep_file(a->srv, m->fd, a->imap, name, &err)) {
        server_refuse(a->srv, client, q->req, err.kind, err.text);
        return;
    }
    const struct append p = {
        .box = q->box, .name = name, .flags = q->flags, .arrived = q->arrived, .tags = q->tags, .undo = q->undo != 0};
    db_set_deed(a->db, q->deed);
    bool ok = append_intent(a, &p, &group, &count, &err);
    db_set_deed(a->db, 0);
    if (!ok) {
        outbox_unlink(a->srv, str_z(name));
        server_refuse(a->srv, client, q->req, err.kind, err.text);
        return;
    }
    ANSWER(a->srv, client, -1, INTENT_OK, .req = q->req, .group = group, .count = count);
    acct_settle(a);
}

void outbox_act(struct acct *a, uint64_t client, const struct msg *m)
{
    const struct m_OUTBOX_ACT *act = &m->u.OUTBOX_ACT;
    struct db_outbox o;
    struct err err = ERR_INIT;
    if (!db_outbox_get(a->db, act->out, &o, &err)) {
        server_refuse(a->srv, client, act->req, err.kind, err.text);
        return;
    }
    bool cancel = act->act == OUTBOX_ACT_CANCEL;
    if (o.state == OUTBOX_SENDING ||
        (a->sending && a->sending->id == act->out && a->sending->phase == SEND_DELIVERING)) {
        server_refuse(a->srv, client, act->req, ERR_NOT_UNDOABLE, "it is being sent now");
        return;
    }
    if (o.state == OUTBOX_SENT || o.state == OUTBOX_FILED || (cancel && o.state == OUTBOX_CANCELED)) {
        server_refuse(a->srv, client, act->req, ERR_NOT_UNDOABLE,
                      o.state == OUTBOX_CANCELED ? "it is canceled" : "it is sent");
        return;
    }
    enum outbox_state to = cancel ? OUTBOX_CANCELED : OUTBOX_QUEUED;
    if (!db_outbox_set(a->db, act->out, to, clock_wall(), ERR_NONE, "", true, &err) || !db_sync(a->db, &err)) {
        server_refuse(a->srv, client, act->req, err.kind, err.text);
        return;
    }
    if (cancel && db_outbox_get(a->db, act->out, &o, &err))
        outbox_unlink(a->srv, o.file);
    tell(a, act->out, to, ERR_NONE, "");
    outbox_pump(a);
}

struct refused {
    uint64_t *ids;
    size_t n;
};

static void refused_one(void *arg, const struct db_outbox *o)
{
    struct refused *r = arg;
    if (o->state != OUTBOX_REFUSED || err_scope(o->why) != SCOPE_ACCOUNT)
        return;
    r->ids = mem_resize(r->ids, r->n + 1, sizeof *r->ids);
    r->ids[r->n++] = o->id;
}

void outbox_again(struct acct *a)
{
    struct refused r = {.n = 0};
    struct err err = ERR_INIT;
    if (!a->db)
        return;
    bool ok = db_outbox_each(a->db, refused_one, &r, &err);
    for (size_t i = 0; ok && i < r.n; i++) {
        ok = db_outbox_set(a->db, r.ids[i], OUTBOX_QUEUED, clock_wall(), ERR_NONE, "", true, &err);
        if (ok)
            tell(a, r.ids[i], OUTBOX_QUEUED, ERR_NONE, "");
    }
    if (!ok)
        acct_db_error(a, &err);
    free(r.ids);
    outbox_pump(a);
}

void outbox_check(struct acct *a, uint64_t client, uint32_t req)
{
    enum err_kind kind;
    const char *no = cannot_send(a, &kind);
    if (!no && a->offline) {
        kind = ERR_OFFLINE;
        no = "the account is offline";
    } else if (!no && a->sending && a->sending->waits_user) {
        kind = ERR_SECRET;
        no = NO_SECRET;
    } else if (!no && a->check.client && server_has_client(a->srv, a->check.client)) {
        kind = ERR_LIMIT;
        no = "it is being tried for another program";
    }
    if (no) {
        server_refuse(a->srv, client, req, kind, no);
        return;
    }
    a->check = (struct out_check){client, req};
    outbox_pump(a);
}

/* ---- Sending ------------------------------------------------------------------------------------ */
static void sending_end(struct acct *a)
{
    if (!a->sending)
        return;
    peer_free(&a->sending->peer);
    buf_fini(&a->sending->refused);
    if (a->sending->tag)
        SPAWN(a->srv, STOP, .role = ROLE_SEND, .account = str_z(a->name), .tag = a->sending->tag);
    free(a->sending);
    a->sending = NULL;
    a->send_secret_tag = 0;
}

static void checked(struct acct *a, enum err_kind kind, const char *text)
{
    struct out_check check = a->check;
    sending_end(a);
    a->check = (struct out_check){0};
    ANSWER(a->srv, check.client, -1, LOGIN_CHECKED, .req = check.req, .kind = kind, .text = str_z(text));
}

/* Nothing of it reached the server for sure: again later, or refused when waiting does not help. */
static void not_sent(struct acct *a, uint64_t id, enum err_kind kind, const char *text)
{
    struct db_outbox o;
    struct err err = ERR_INIT;
    uint32_t random;
    fs_random(&random, sizeof random);
    if (id == 0) {
        checked(a, kind, acct_command_why(a, SERVICE_SUBMISSION, kind, text));
        return;
    }
    sending_end(a);
    if (!db_outbox_get(a->db, id, &o, &err)) {
        acct_db_error(a, &err);
        return;
    }
    text = acct_command_why(a, SERVICE_SUBMISSION, kind, text);
    bool later = err_retry(kind) == RETRY_LATER || err_retry(kind) == RETRY_NOW;
    int64_t now = clock_wall();
    if (later && now - o.created < GIVE_UP_S) {
        int64_t wait = MAX(sync_backoff_ms(MAX(o.tries, 1u) + 3, random) / 1000, (int64_t)1);
        set(a, id, OUTBOX_QUEUED, now + wait, kind, text);
        return;
    }
    set(a, id, OUTBOX_REFUSED, 0, kind, text);
    log_msg(LOG_ERROR, "%s: a mail was not sent and stays in the outbox: %s", a->name, text);
}

/* Who got the mail is known from now on. Where its copy comes to Sent as news, as the server's or another program's, it
 * is met there. */
static void met_there(struct acct *a, const char *file)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_row row;
    struct err err = ERR_INIT;
    uint64_t size;
    if (a->imap && account_copies_sent(a->conf) && header_of(a->srv, file, arena, &row, &size) &&
        !db_wrote_to(a->db, row.rcpts, clock_wall(), &err))
        acct_db_error(a, &err);
    arena_free(&arena);
}

/* What follows a sent mail, each step durable: the copy in Sent, the mark on what was answered, the end of the outbox
 * entry. */
static void file_sent(struct acct *a, uint64_t id)
{
    struct db_outbox o;
    struct err err = ERR_INIT;
    uint64_t group;
    uint32_t count;
    if (!db_outbox_get(a->db, id, &o, &err) || o.state != OUTBOX_SENT)
        return;
    /* A new account: which mailbox is Sent is known when the server has listed them; then this is begun again. */
    if (a->imap && a->nboxes == 0 && account_copies_sent(a->conf)) {
        a->file_later = true;
        return;
    }
    char *file = mem_dup_n(o.file.p, o.file.n), copy[80];
    uint64_t answers = o.answers;
    uint32_t mark = o.forwards ? FLAG_FORWARDED : FLAG_ANSWERED;
    bool ok = true;
    if (account_copies_sent(a->conf)) {
        uint64_t box = acct_role_box(a, BOX_SENT, &err);
        snprintf(copy, sizeof copy, "%.60s.sent", file);
        char *from = file_path(a->srv, str_z(file), ""), *to = file_path(a->srv, str_z(copy), "");
        /* The same name after a crash: the link may be there, the intent not. */
        ok = box && (link(from, to) == 0 || errno == EEXIST || err_sys(&err, err_from_errno(errno), errno, "%s", to)) &&
             fs_sync_dir(a->srv->outbox_dir, &err) &&
             append_intent(a, &(struct append){.box = box, .name = copy, .flags = FLAG_SEEN, .tags = STR("")}, &group,
                           &count, &err);
        free(from);
        free(to);
    }
    if (ok && answers)
        db_intent_add(
            a->db,
            &(struct db_intent){
                .kind = INTENT_FLAGS, .msgs = &answers, .n = 1, .set = mark, .now = clock_wall(), .automatic = true},
            &group, NULL, &count, &err);
    if (ok && set(a, id, OUTBOX_FILED, 0, ERR_NONE, "")) {
        met_there(a, file);
        outbox_unlink(a->srv, str_z(file));
        if (!db_outbox_forget(a->db, id, &err))
            acct_db_error(a, &err);
    } else if (!ok) {
        acct_note(a, 1, err.kind, "the mail was sent; its copy could not be filed: %s", err.text);
    }
    free(file);
}

static void on_done(struct acct *a, const struct m_DELIVER_DONE *d)
{
    struct sending *s = a->sending;
    char text[400];
    enum err_kind kind = d->kind < ERR_COUNT ? (enum err_kind)d->kind : ERR_CHANNEL;
    uint64_t id = s->id;
    snprintf(text, sizeof text, "%s", clean_line(s->refused.n ? buf_str(&s->refused) : d->text));
    if (id == 0 && kind == ERR_NONE) {
        checked(a, ERR_NONE, "");
        return;
    }
    if (kind == ERR_NONE && s->refused.n > 0)
        acct_note(a, 1, ERR_RECIPIENT, "the mail was sent, but not to all: %s", text);
    if (kind == ERR_NONE) {
        sending_end(a);
        if (set(a, id, OUTBOX_SENT, 0, ERR_NONE, text))
            file_sent(a, id);
    } else if (id && (kind == ERR_UNKNOWN_OUTCOME || kind == ERR_CHANNEL)) {
        sending_end(a);
        set(a, id, OUTBOX_UNKNOWN, 0, ERR_UNKNOWN_OUTCOME, text);
        acct_note(a, 2, ERR_UNKNOWN_OUTCOME, "it is not known whether a mail was sent: %s", text);
    } else {
        not_sent(a, id, kind, text);
    }
}

static void deliver(struct acct *a)
{
    struct sending *s = a->sending;
    struct db_outbox o;
    struct err err = ERR_INIT;
    if (s->id == 0) {
        s->phase = SEND_DELIVERING;
        PEER_SEND(s->peer, -1, DELIVER_NOTHING, .unused = 0);
        return;
    }
    if (!set(a, s->id, OUTBOX_SENDING, 0, ERR_NONE, "")) {
        sending_end(a);
        return;
    }
    int fd = -1;
    if (!db_outbox_get(a->db, s->id, &o, &err) || (fd = outbox_file(a->srv, o.file, &err)) < 0) {
        not_sent(a, s->id, err.kind, err.text);
        return;
    }
    s->phase = SEND_DELIVERING;
    PEER_SEND(s->peer, fd, DELIVER, .sender = o.sender, .rcpts = o.rcpts);
    close(fd);
}

static void ask_secret(struct acct *a, uint8_t service, uint8_t need, uint8_t refused)
{
    a->send_secret_tag = server_id(a->srv);
    a->sending->need = need;
    acct_command(a, SERVICE_SUBMISSION, a->send_secret_tag);
    SPAWN(a->srv, SECRET_GET, .account = str_z(a->name), .service = service, .tag = a->send_secret_tag, .need = need,
          .refused = refused);
}

void outbox_secret(struct acct *a, int fd, enum err_kind kind, struct str text)
{
    struct sending *s = a->sending;
    if (!s || !s->peer) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (fd >= 0) {
        s->waits_user = false;
        PEER_SEND(s->peer, fd, SECRET, .service = SERVICE_SUBMISSION, .need = s->need);
        close(fd);
        if (s->phase == SEND_READY)
            deliver(a);
    } else if (text.n > 0) {
        char why[400];
        snprintf(why, sizeof why, "%s", clean_line(text));
        not_sent(a, s->id, kind && kind < ERR_COUNT ? kind : ERR_SECRET, why);
    } else if (s->need != NEED_LOGIN) {
        not_sent(a, s->id, ERR_SECRET, "the submission server asks for what tuimailrc does not have");
    } else if (!s->asked_incoming) {
        /* None of its own: the account's password serves. */
        s->asked_incoming = true;
        ask_secret(a, SERVICE_INCOMING, NEED_LOGIN, 0);
    } else if (s->id == 0) {
        checked(a, ERR_SECRET, NO_SECRET);
    } else {
        s->waits_user = true;
        BROADCAST(a->srv, SECRET_WANTED, .account = str_z(a->name), .service = SERVICE_SUBMISSION);
    }
}

static void send_message(void *arg, struct msg *m)
{
    struct acct *a = arg;
    struct sending *s = a->sending;
    bool ok = s != NULL;
    if (ok && m->kind == MSG_READY && s->phase == SEND_STARTING) {
        s->phase = SEND_READY;
        /* It asks for the password first where it needs one, and takes the mail when it has it. */
        enum login login = account_login(a->conf, SERVICE_SUBMISSION);
        if (login != LOGIN_PASSWORD && login != LOGIN_TOKEN)
            deliver(a);
    } else if (ok && m->kind == MSG_SECRET_ASK && m->u.SECRET_ASK.service == SERVICE_SUBMISSION) {
        ask_secret(a, SERVICE_SUBMISSION, m->u.SECRET_ASK.need, m->u.SECRET_ASK.refused);
    } else if (ok && m->kind == MSG_RCPT_REFUSED && s->phase == SEND_DELIVERING) {
        buf_addf(&s->refused, "%s%.*s: %.*s", s->refused.n ? "; " : "", STR_FMT(m->u.RCPT_REFUSED.rcpt),
                 STR_FMT(m->u.RCPT_REFUSED.text));
    } else if (ok && m->kind == MSG_DELIVER_DONE && s->phase == SEND_DELIVERING) {
        on_done(a, &m->u.DELIVER_DONE);
    } else if (ok && m->kind == MSG_DELIVER_DONE && s->phase == SEND_READY && m->u.DELIVER_DONE.kind < ERR_COUNT &&
               m->u.DELIVER_DONE.kind != ERR_NONE) {
        char text[400];
        snprintf(text, sizeof text, "%s", clean_line(m->u.DELIVER_DONE.text));
        not_sent(a, s->id, (enum err_kind)m->u.DELIVER_DONE.kind, text);
    } else if (ok) {
        acct_note(a, 2, ERR_CHANNEL, "the send program said %s out of turn and was ended", msg_name(m->kind));
        if (s->phase == SEND_DELIVERING)
            on_done(a, &(struct m_DELIVER_DONE){.kind = ERR_CHANNEL, .text = STR("the send program failed")});
        else
            not_sent(a, s->id, ERR_CHANNEL, "the send program failed");
    }
    if (m->fd >= 0)
        close(m->fd);
}

static void send_gone(void *arg, const struct err *err)
{
    struct acct *a = arg;
    (void)err;
    if (!a->sending)
        return;
    if (a->sending->phase == SEND_DELIVERING && !a->sending->waits_user)
        on_done(a, &(struct m_DELIVER_DONE){.kind = ERR_CHANNEL,
                                            .text = STR("the send program ended before it could say")});
    else
        not_sent(a, a->sending->id, ERR_CHANNEL, "the send program ended");
}

static void send_end(void *arg)
{
    acct_settle(arg);
}

static const struct peer_ops send_ops = {.message = send_message, .end = send_end, .gone = send_gone};

void outbox_started(struct acct *a, uint64_t tag, int fd)
{
    if (!a->sending || a->sending->tag != tag || a->sending->peer)
        close(fd);
    else
        a->sending->peer = peer_new(a->srv->loop, fd, ROLE_SEND, &send_ops, a);
}

bool outbox_exited(struct acct *a, uint64_t tag, struct str text)
{
    (void)text;
    if (!a->sending || a->sending->tag != tag)
        return false;
    /* With a channel, what it said last is still to be read there; its end tells. */
    a->sending->tag = 0;
    if (!a->sending->peer)
        not_sent(a, a->sending->id, ERR_CHANNEL, "the send program could not be started");
    return true;
}

static void timer_fired(void *arg)
{
    struct acct *a = arg;
    a->out_timer = NULL;
    outbox_pump(a);
}

struct leftovers {
    struct acct *a;
    uint64_t sent[64], old[64]; /* not filed; done with for so long that nobody asks */
    size_t nsent, nold;
};

static void leftover(void *arg, const struct db_outbox *o)
{
    struct leftovers *l = arg;
    if (o->state == OUTBOX_SENT && l->nsent < COUNT(l->sent))
        l->sent[l->nsent++] = o->id;
    bool done = o->state == OUTBOX_CANCELED || o->state == OUTBOX_FILED;
    if (done)
        outbox_unlink(l->a->srv, o->file);
    if (done && clock_wall() - o->due > KEEP_S && l->nold < COUNT(l->old))
        l->old[l->nold++] = o->id;
}

/* What an earlier run left: sent but not filed, canceled long ago. */
static void start_over(struct acct *a)
{
    struct leftovers l = {.a = a};
    struct err err = ERR_INIT;
    if (!db_outbox_each(a->db, leftover, &l, &err))
        acct_db_error(a, &err);
    for (size_t i = 0; i < l.nsent; i++)
        file_sent(a, l.sent[i]);
    for (size_t i = 0; i < l.nold; i++)
        if (!db_outbox_forget(a->db, l.old[i], &err))
            acct_db_error(a, &err);
    tell_counts(a);
}

void outbox_pump(struct acct *a)
{
    uint64_t id = 0;
    int64_t due = 0, now = clock_wall();
    struct err err = ERR_INIT;
    enum err_kind ignored;
    if (!a->db || db_in_burst(a->db))
        return;
    if (!a->out_begun || (a->file_later && a->nboxes > 0)) {
        a->out_begun = true;
        a->file_later = false;
        start_over(a);
    }
    if (a->sending || a->offline || !a->srv->spawn || cannot_send(a, &ignored))
        return;
    watch_free(&a->out_timer);
    if (!a->check.client && !db_outbox_next(a->db, &id, &due, &err)) {
        acct_db_error(a, &err);
        return;
    }
    if (id == 0 && !a->check.client)
        return;
    if (due > now) {
        a->out_timer = loop_after(a->srv->loop, MIN(due - now, (int64_t)3600) * 1000, timer_fired, a);
        return;
    }
    a->sending = mem_new(sizeof *a->sending);
    a->sending->id = id;
    a->sending->tag = server_id(a->srv);
    a->sending->refused = BUF_INIT(4000);
    SPAWN(a->srv, START, .role = ROLE_SEND, .account = str_z(a->name), .tag = a->sending->tag);
}

bool outbox_sends(const struct acct *a)
{
    return a->sending && !a->sending->waits_user;
}

bool outbox_soon(struct acct *a)
{
    uint64_t id = 0;
    int64_t due = 0;
    struct err err = ERR_INIT;
    enum err_kind ignored;
    if (!a->db || a->offline || cannot_send(a, &ignored) || (a->sending && a->sending->waits_user))
        return false;
    return a->sending || (db_outbox_next(a->db, &id, &due, &err) && id != 0 && due <= clock_wall() + SOON_S);
}

void outbox_free(struct acct *a)
{
    if (!a->sending)
        return;
    /* Before DELIVER the entry is queued still; after it the next start finds it "sending" and says unknown. */
    sending_end(a);
}
