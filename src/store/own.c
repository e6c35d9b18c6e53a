/* The user's own notmuch database (option index-database): the program `own` is given what changed of mail that lies
 * below its root, and tells what was changed there. The private index comes first (db_own.c).
 *
 * Nothing else waits for it: where another program writes the database, or it cannot be written, a batch stays where it
 * is, is told of once, and is sent again later. */
#include "store/server.h"

#include <sys/wait.h>
#include <unistd.h>

#include "store/account.h"
#include "store/looks.h"

#define BATCH_MAX 100 /* new mail with its text: the database is locked for a second or so */
#define FIRST_LOOK_MS 400
#define BEHIND_KEYS_MS 300
#define IDLE_STOP_MS 3000
#define AGAIN_MS 60000 /* what cannot be written, or crashed, is tried again, or as soon as somebody else wrote */

struct sent {
    struct acct *acct;
    uint64_t number, msg, seq;
    char *words, *path; /* path: of what is gone, else NULL */
    bool failed;
};
struct own {
    struct server *srv;
    struct peer *peer;
    uint64_t tag, number, commit; /* commit: under way, 0 none */
    bool ready, pumping, exited, crashed, ended;
    bool look, retagged;
    unsigned looking; /* accounts that it is asked about */
    struct sent sent[BATCH_MAX];
    size_t nsent, limit;
    struct acct *filling;
    unsigned crashes;
    int64_t not_before;
    struct watch *timer, *idle;
    struct looks *looks;
    char said[401];
};

static bool is_set(const struct own *x)
{
    return x->srv->conf->index_database[0] != '\0';
}

static bool has_files(const struct acct *a)
{
    return a && a->db && !a->imap;
}

static void on_written(void *arg, unsigned which)
{
    struct own *x = arg;
    (void)which;
    x->look = true;
    if (x->crashes == 0)
        x->not_before = 0;
    own_pump(x);
}

struct own *own_new(struct server *s)
{
    struct own *x = mem_new(sizeof *x);
    x->srv = s;
    x->limit = BATCH_MAX;
    x->look = true; /* what was done while nothing of tuimail ran */
    x->not_before = clock_mono_ms() + FIRST_LOOK_MS;
    x->looks = looks_new(s->loop, on_written, x);
    return x;
}

static void batch_forget(struct own *x)
{
    for (size_t i = 0; i < x->nsent; i++) {
        free(x->sent[i].words);
        free(x->sent[i].path);
    }
    for (size_t i = 0; i < x->srv->naccts; i++)
        if (x->srv->accts[i])
            x->srv->accts[i]->own_given = false;
    x->nsent = 0;
    x->commit = 0;
}

static void stop(struct own *x)
{
    batch_forget(x);
    peer_free(&x->peer); /* the end of its channel is its end */
    watch_free(&x->idle);
    x->tag = 0;
    x->looking = 0;
    x->ready = false;
}

void own_free(struct own **own)
{
    struct own *x = *own;
    *own = NULL;
    if (!x)
        return;
    stop(x);
    watch_free(&x->timer);
    looks_free(&x->looks);
    free(x);
}

/* ---- What is told, and asked -------------------------------------------------------------------- */

/* What is known of it is taken up, and what is not told any more is forgotten. True: it has something to do with it. */
static bool acct_begin(struct own *x, struct acct *a)
{
    struct err err = ERR_INIT;
    struct buf uuid = BUF_INIT(100);
    uint64_t revision;
    bool ok = true;
    if (!has_files(a))
        return false;
    if (!a->own_asked) {
        ok = is_set(x) ? db_own_known(a->db, &uuid, &revision, &err) : db_own_unset(a->db, &err);
        a->own_asked = ok;
        a->own_in = ok && uuid.n > 0;
    }
    buf_fini(&uuid);
    if (!ok)
        acct_db_error(a, &err);
    return ok && is_set(x);
}

static void look_send(struct own *x)
{
    x->look = false;
    looks_known(x->looks, LOOKS_USERS); /* before it reads: what comes behind that is seen */
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        struct err err = ERR_INIT;
        struct buf uuid = BUF_INIT(100);
        uint64_t revision;
        if (acct_begin(x, a) && db_own_known(a->db, &uuid, &revision, &err)) {
            PEER_SEND(x->peer, -1, OWN_LOOK, .account = str_z(a->name), .uuid = buf_str(&uuid), .revision = revision);
            x->looking++;
        }
        buf_fini(&uuid);
    }
}

static void file_send(void *arg, const struct db_own_job *j)
{
    struct own *x = arg;
    struct buf words = BUF_INIT(16384);
    struct str rest = j->words, w;
    if (x->nsent == x->limit)
        return;
    while (str_split(&rest, ' ', &w))
        if (w.n > 1 && !indexing_gives(x->srv, str_sub(w, 1, w.n)))
            buf_addf(&words, "%s%.*s", words.n ? " " : "", STR_FMT(w));
    uint64_t number = ++x->number;
    x->sent[x->nsent++] = (struct sent){.acct = x->filling,
                                        .number = number,
                                        .msg = j->msg,
                                        .seq = j->seq,
                                        .words = mem_dup_n(words.n ? words.p : "", words.n)};
    PEER_SEND(x->peer, -1, OWN_FILE, .job = number, .path = j->path, .words = buf_str(&words));
    buf_fini(&words);
}

static void gone_send(void *arg, struct str path)
{
    struct own *x = arg;
    if (x->nsent == x->limit)
        return;
    uint64_t number = ++x->number;
    x->sent[x->nsent++] = (struct sent){.acct = x->filling, .number = number, .path = mem_dup_n(path.p, path.n)};
    PEER_SEND(x->peer, -1, OWN_GONE, .job = number, .path = path);
}

static bool waits(struct own *x)
{
    bool any = false;
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        if (has_files(a) && !a->own_asked)
            acct_begin(x, a);
        any = any || (has_files(a) && (x->look || (a->own_in && db_own_waits(a->db))));
    }
    return any && is_set(x);
}

bool own_busy(const struct own *x)
{
    bool any = x->commit != 0 || x->looking > 0;
    for (size_t i = 0; !any && is_set(x) && i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        any = has_files(a) && a->own_in && db_own_waits(a->db) && x->not_before - clock_mono_ms() < FIRST_LOOK_MS;
    }
    return any;
}

static void idle_fired(void *arg)
{
    struct own *x = arg;
    x->idle = NULL;
    if (x->commit == 0 && x->looking == 0)
        stop(x);
}

static void batch_send(struct own *x)
{
    for (size_t i = 0; i < x->srv->naccts && x->nsent < x->limit; i++) {
        struct acct *a = x->srv->accts[i];
        struct err err = ERR_INIT;
        if (!has_files(a) || !a->own_in || !db_own_waits(a->db))
            continue;
        x->filling = a;
        a->own_given = true;
        if (!db_own_next(a->db, (unsigned)(x->limit - x->nsent), file_send, x, &err) ||
            !db_own_gone_next(a->db, (unsigned)(x->limit - x->nsent), gone_send, x, &err))
            acct_db_error(a, &err);
    }
    if (x->nsent == 0) {
        if (!x->idle)
            x->idle = loop_after(x->srv->loop, IDLE_STOP_MS, idle_fired, x);
        return;
    }
    watch_free(&x->idle);
    x->commit = ++x->number;
    PEER_SEND(x->peer, -1, OWN_COMMIT, .job = x->commit);
}

/* ---- Answers ------------------------------------------------------------------------------------ */

static void on_at(struct own *x, const struct m_OWN_AT *m)
{
    struct err err = ERR_INIT;
    struct acct *a = server_acct(x->srv, m->account);
    if (!has_files(a))
        return;
    char *dir = mem_dup_n(m->dir.p, m->dir.n), *xapian = path_join(dir, "xapian");
    looks_at(x->looks, LOOKS_USERS, xapian);
    free(dir);
    free(xapian);
    a->own_in = m->below;
    if (!db_own_at(a->db, m->below ? m->uuid : STR(""), &err))
        acct_db_error(a, &err);
}

static void on_tagged(struct own *x, const struct m_OWN_TAGGED *m)
{
    struct err err = ERR_INIT;
    struct acct *a = server_acct(x->srv, m->account);
    struct buf tags = BUF_INIT(16384);
    struct str rest = m->tags, w;
    while (str_split(&rest, ' ', &w))
        if (w.n && !indexing_gives(x->srv, w))
            buf_addf(&tags, "%s%.*s", tags.n ? " " : "", STR_FMT(w));
    if (has_files(a) && a->own_in && !db_own_tags(a->db, m->msgid, m->path, buf_str(&tags), clock_wall(), &err))
        acct_db_error(a, &err);
    x->retagged = true;
    buf_fini(&tags);
}

static void on_looked(struct own *x, const struct m_OWN_LOOKED *m)
{
    struct err err = ERR_INIT;
    struct acct *a = server_acct(x->srv, m->account);
    x->looking -= x->looking > 0;
    if (has_files(a) && a->own_in && !db_own_looked(a->db, m->revision, &err))
        acct_db_error(a, &err);
    x->said[0] = '\0';
}

static void on_done(struct own *x, const struct m_OWN_DONE *m)
{
    if (x->commit == 0 || m->job != x->commit)
        return;
    for (size_t i = 0; i < x->nsent; i++) {
        struct err err = ERR_INIT;
        struct sent *s = &x->sent[i];
        bool ok = s->path ? db_own_gone_done(s->acct->db, str_z(s->path), &err)
                          : db_own_done(s->acct->db, s->msg, s->seq, str_z(s->failed ? "" : s->words), &err);
        if (!ok)
            acct_db_error(s->acct, &err);
    }
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct err err = ERR_INIT;
        struct acct *a = x->srv->accts[i];
        if (has_files(a) && a->own_given && !db_own_kept(a->db, &err))
            acct_db_error(a, &err);
    }
    batch_forget(x);
    x->crashes = 0;
    x->limit = MIN(x->limit * 2, (size_t)BATCH_MAX);
    x->said[0] = '\0';
}

static void on_failed(struct own *x, const struct m_OWN_FAILED *m)
{
    log_msg(LOG_WARN, "own: %s", clean_line(m->text));
    for (size_t i = 0; i < x->nsent; i++)
        x->sent[i].failed = x->sent[i].failed || x->sent[i].number == m->job;
}

/* Once, however often it is started again. */
static void on_state(struct own *x, const struct m_OWN_STATE *m)
{
    const char *text = clean_line(m->text);
    if (strcmp(x->said, text) == 0)
        return;
    snprintf(x->said, sizeof x->said, "%s", text);
    BROADCAST(x->srv, NOTE, .level = m->kind == ERR_NONE ? 0 : 1, .kind = m->kind, .text = str_z(x->said));
}

static void own_begin(void *arg)
{
    struct own *x = arg;
    server_bursts(x->srv, true);
}

static void own_end(void *arg)
{
    struct own *x = arg;
    bool retagged = x->retagged;
    x->retagged = false;
    server_bursts(x->srv, false);
    server_stir(x->srv);
    for (size_t i = 0; retagged && i < x->srv->naccts; i++)
        acct_settle(x->srv->accts[i]);
    indexing_pump(x->srv->indexing);
    own_pump(x);
}

static void own_message(void *arg, struct msg *m)
{
    struct own *x = arg;
    switch (m->kind) {
    case MSG_READY:
        x->ready = true;
        break;
    case MSG_OWN_AT:
        on_at(x, &m->u.OWN_AT);
        break;
    case MSG_OWN_TAGGED:
        on_tagged(x, &m->u.OWN_TAGGED);
        break;
    case MSG_OWN_LOOKED:
        on_looked(x, &m->u.OWN_LOOKED);
        break;
    case MSG_OWN_DONE:
        on_done(x, &m->u.OWN_DONE);
        break;
    case MSG_OWN_FAILED:
        on_failed(x, &m->u.OWN_FAILED);
        break;
    case MSG_OWN_STATE:
        on_state(x, &m->u.OWN_STATE);
        break;
    default:
        break;
    }
    if (m->fd >= 0)
        close(m->fd);
}

static void timer_fired(void *arg)
{
    struct own *x = arg;
    x->timer = NULL;
    own_pump(x);
}

static bool put_off(struct own *x, int64_t until)
{
    int64_t wait = until - clock_mono_ms();
    if (wait > 0 && !x->timer)
        x->timer = loop_after(x->srv->loop, wait, timer_fired, x);
    return wait > 0;
}

/* It is gone, with its channel and its exit both told. A crash is by the first message of what was sent; alone, it is
 * left out. */
static void ended(struct own *x)
{
    bool crashed = x->crashed && x->nsent > 0;
    if (crashed && x->nsent == 1 && x->crashes >= 2 && !x->sent[0].path) {
        struct err err = ERR_INIT;
        struct sent *s = &x->sent[0];
        log_msg(LOG_WARN, "own: a message is not told of: the program crashes by it");
        if (!db_own_done(s->acct->db, s->msg, s->seq, STR(""), &err))
            acct_db_error(s->acct, &err);
    }
    x->limit = crashed ? 1 : BATCH_MAX;
    x->crashes = crashed ? x->crashes + 1 : 0;
    x->look = x->look || x->looking > 0;
    stop(x);
    x->not_before = clock_mono_ms() + (crashed ? 1000 : AGAIN_MS);
    watch_free(&x->timer);
    put_off(x, x->not_before);
}

static void own_gone(void *arg, const struct err *err)
{
    struct own *x = arg;
    if (err->kind && !x->exited) {
        SPAWN(x->srv, STOP, .role = ROLE_OWN, .tag = x->tag);
        log_msg(LOG_WARN, "own: %s", err->text);
    }
    peer_free(&x->peer);
    x->ready = false;
    if (x->exited)
        ended(x);
}

static const struct peer_ops own_ops = {.begin = own_begin, .message = own_message, .end = own_end, .gone = own_gone};

void own_started(struct own *x, uint64_t tag, int fd)
{
    if (tag != x->tag || x->peer)
        close(fd);
    else
        x->peer = peer_new(x->srv->loop, fd, ROLE_OWN, &own_ops, x);
}

void own_exited(struct own *x, uint64_t tag, uint32_t status, struct str text)
{
    if (tag == 0 || tag != x->tag)
        return;
    x->exited = true;
    x->crashed = WIFSIGNALED((int)status);
    log_msg(LOG_WARN, "the program own ended (%s); its log says why", clean_line(text));
    if (!x->peer)
        ended(x);
}

void own_pump(struct own *x)
{
    if (!x || x->pumping || x->commit || x->looking)
        return;
    for (size_t i = 0; i < x->srv->naccts; i++)
        if (x->srv->accts[i] && x->srv->accts[i]->db && db_in_burst(x->srv->accts[i]->db))
            return;
    x->pumping = true;
    bool any = waits(x);
    if (!any && x->peer && x->ready && !x->idle)
        x->idle = loop_after(x->srv->loop, IDLE_STOP_MS, idle_fired, x);
    if (any && !put_off(x, x->not_before) &&
        !put_off(x, x->srv->active_at > 0 ? x->srv->active_at + BEHIND_KEYS_MS : 0)) {
        if (x->peer && x->ready && x->look) {
            watch_free(&x->idle);
            look_send(x);
        } else if (x->peer && x->ready) {
            batch_send(x);
        } else if (!x->peer && !x->tag && x->srv->spawn) {
            x->tag = server_id(x->srv);
            x->exited = x->crashed = false;
            SPAWN(x->srv, START, .role = ROLE_OWN, .tag = x->tag);
        }
    }
    x->pumping = false;
}
