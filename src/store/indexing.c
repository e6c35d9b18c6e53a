/* The search index's queue: what changed in rows goes to `index` in batches, each committed before the next begins.
 *
 * Headers come first. When none waits the texts of bodies follow, newest first: ten milliseconds each. A commit is dear
 * where little is committed, so a batch goes out in pieces (INDEX_PAUSE), a thousand headers or a few texts, until it
 * is full or has taken a while; between those whoever works at a screen, or for texts a machine that has other things
 * to do, is given way. A batch of texts ends when headers wait.
 *
 * A crash of the program makes the batch smaller; a batch of one that crashes it is the offender: it is marked and the
 * rest goes on. */
#include "store/server.h"

#include <sys/wait.h>
#include <unistd.h>

#include "store/account.h"
#include "store/looks.h"

#define BATCH_MAX 10000
#define HEADERS_AT_ONCE 1000 /* also the first batch: what there is, is found soon */
#define HEADERS_BATCH_MS 5000
#define BEHIND_KEYS_MS 300
#define QUEUE_HIGH (4u << 20)
#define IDLE_STOP_MS 3000
#define FIRST_LOOK_MS 2000
#define TEXTS_AT_ONCE 16
#define TEXTS_BATCH_MS 10000
#define TEXTS_REST_MS 250 /* at most, between two of them */

struct job {
    struct acct *acct;
    uint64_t number, msg;
    bool failed, moves; /* moves: to another place, and nothing else */
};
struct unindexed {
    struct acct *acct;
    char *path;
    bool gone; /* as db_unindex_next says */
};
struct indexing {
    struct server *srv;
    struct peer *peer;
    uint64_t tag;
    bool ready, pumping;
    bool exited, crashed; /* as spawn says of it; crashed: by a signal */
    char how[200];
    uint64_t job;      /* number of the last */
    uint32_t told;     /* how many wait */
    uint64_t revision; /* of the database, as told last */
    uint64_t commit;   /* number the commit under way stands for; 0 none */
    uint64_t pause;    /* of the pause that was asked for; 0 none */
    bool open;         /* a batch is: more of its stage may follow */
    enum db_index_stage stage;
    int64_t since, sent_at, rest_until;
    struct job jobs[BATCH_MAX + 1];
    size_t njobs;
    struct unindexed paths[HEADERS_AT_ONCE];
    size_t npaths;
    size_t limit; /* of the next batch */
    unsigned crashes;
    int64_t not_before;
    struct watch *timer, *idle, *first_look;
    struct looks *looks;
    bool look;     /* another program wrote a database */
    bool retagged; /* the accounts have something to do by it */
    struct acct *filling;
    bool held;            /* by the user: what waits goes on waiting */
    bool rebuild, begins; /* asked for; the program has been told, and has not begun */
    bool empty;           /* there is something to commit even where nothing waits */
    char said[401];       /* by the program, last */
};

static void on_written(void *arg, unsigned which)
{
    struct indexing *x = arg;
    (void)which;
    if (x->peer) /* it has the lock, and looks each time when it gets it */
        return;
    x->look = true;
    indexing_pump(x);
}

/* What was done while nothing of tuimail ran. */
static void first_look(void *arg)
{
    struct indexing *x = arg;
    x->first_look = NULL;
    if (looks_changed(x->looks, LOOKS_OURS))
        on_written(x, LOOKS_OURS);
}

struct indexing *indexing_new(struct server *s)
{
    struct indexing *x = mem_new(sizeof *x);
    const char *state = s->conf->state_dir;
    x->srv = s;
    x->limit = HEADERS_AT_ONCE;
    x->looks = looks_new(s->loop, on_written, x);
    char *base = state && state[0] ? path_expand_home(state) : mem_dup_z(s->root), *index = path_join(base, "index"),
         *database = path_join(index, "xapian");
    looks_at(x->looks, LOOKS_OURS, database);
    x->first_look = loop_after(s->loop, FIRST_LOOK_MS, first_look, x);
    free(base);
    free(index);
    free(database);
    return x;
}

static void batch_forget(struct indexing *x)
{
    for (size_t i = 0; i < x->npaths; i++)
        free(x->paths[i].path);
    x->npaths = x->njobs = 0;
    x->commit = x->pause = 0;
    x->open = false;
}

void indexing_free(struct indexing **indexing)
{
    struct indexing *x = *indexing;
    *indexing = NULL;
    if (!x)
        return;
    batch_forget(x);
    peer_free(&x->peer);
    watch_free(&x->timer);
    watch_free(&x->idle);
    watch_free(&x->first_look);
    looks_free(&x->looks);
    free(x);
}

bool indexing_busy(const struct indexing *x)
{
    return x->commit != 0 || x->open;
}

static bool pending(struct indexing *x, struct db_index_waiting *sum_r)
{
    *sum_r = (struct db_index_waiting){0};
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct err err = ERR_INIT;
        struct db_index_waiting one;
        struct acct *a = x->srv->accts[i]; /* NULL while the server is being made */
        if (a && a->db && db_index_pending(a->db, &one, &err)) {
            sum_r->all += one.all;
            sum_r->texts += one.texts;
        }
    }
    return sum_r->all > 0;
}

/* ---- One batch ---------------------------------------------------------------------------------- */
/* The tags of a row beside its own: what its header shows, its account, the role of its mailbox. */
static const char *const of_role[BOX_ROLE_COUNT] = {[BOX_INBOX] = "inbox",
                                                    [BOX_ARCHIVE] = "archive",
                                                    [BOX_SENT] = "sent",
                                                    [BOX_TRASH] = "deleted",
                                                    [BOX_JUNK] = "spam"};

static void more_tags(struct acct *a, const struct db_msg *m, struct buf *tags)
{
    const struct {
        uint32_t attr;
        const char *tag;
    } of_attr[] = {{ROW_ATTACHMENT, "attachment"}, {ROW_SIGNED, "signed"}, {ROW_ENCRYPTED, "encrypted"}};
    for (size_t i = 0; i < COUNT(of_attr); i++)
        if (m->attrs & of_attr[i].attr)
            buf_addf(tags, "%s%s", tags->n ? " " : "", of_attr[i].tag);
    ptrdiff_t i = box_at(a, m->box);
    uint8_t role = i >= 0 ? a->boxes[i].role : BOX_NONE;
    if (role < BOX_ROLE_COUNT && of_role[role])
        buf_addf(tags, "%s%s", tags->n ? " " : "", of_role[role]);
    buf_addf(tags, "%s%s", tags->n ? " " : "", a->name);
}

static void job_send(void *arg, const struct db_index_job *j)
{
    struct indexing *x = arg;
    struct acct *a = x->filling;
    struct buf tags = BUF_INIT(16384), file = BUF_INIT(1024);
    const struct db_msg *m = &j->msg;
    if (x->njobs == x->limit)
        return;
    uint64_t job = ++x->job;
    x->jobs[x->njobs++] = (struct job){
        .acct = a, .number = job, .msg = m->id, .moves = !(j->what & INDEX_WHAT_MAIL) && (j->what & INDEX_WHAT_PATH)};
    buf_adds(&tags, j->tags);
    more_tags(a, m, &tags);
    if (m->body.n > 0)
        buf_addf(&file, "%s/%.*s", a->name, STR_FMT(m->body));
    if (j->what & (INDEX_WHAT_MAIL | INDEX_WHAT_TEXT)) {
        /* A cached body's file names no mailbox: the message has its own place beside it, from the first. */
        bool place = a->imap && (j->header || !str_eq(j->path_was, j->path));
        if (file.n == 0 || place)
            PEER_SEND(x->peer, -1, INDEX_HEADER, .job = job, .path = j->path, .tags = buf_str(&tags), .date = m->date,
                      .from_name = m->from_name, .from_addr = m->from_addr, .to = m->to, .subject = m->subject,
                      .msgid = m->msgid, .refs = m->refs, .list_id = m->list_id);
        if (file.n > 0 && !(place && j->header))
            PEER_SEND(x->peer, -1, INDEX_ADD, .job = job, .path = buf_str(&file), .msgid = m->msgid,
                      .tags = buf_str(&tags), .header_only = j->header, .place = a->imap ? j->path : STR(""));
        if (file.n > 0 && a->imap && !place) /* they are those of its place */
            PEER_SEND(x->peer, -1, INDEX_TAGS, .job = job, .msgid = m->msgid, .tags = buf_str(&tags), .path = j->path);
        if (j->path_was.n > 0 && !str_eq(j->path_was, j->path))
            PEER_SEND(x->peer, -1, INDEX_REMOVE, .job = job, .path = j->path_was);
    } else {
        if (j->what & INDEX_WHAT_PATH)
            PEER_SEND(x->peer, -1, INDEX_MOVE, .job = job, .path = j->path_was, .path_to = j->path);
        /* another mailbox is another role */
        PEER_SEND(x->peer, -1, INDEX_TAGS, .job = job, .msgid = m->msgid, .tags = buf_str(&tags), .path = j->path);
    }
    buf_fini(&tags);
    buf_fini(&file);
}

static void path_send(void *arg, struct str path, bool gone)
{
    struct indexing *x = arg;
    if (x->npaths == COUNT(x->paths))
        return;
    x->paths[x->npaths++] = (struct unindexed){x->filling, mem_dup_n(path.p, path.n), gone};
    if (gone)
        PEER_SEND(x->peer, -1, INDEX_TAGS, .job = ++x->job, .path = path, .tags = STR(INDEX_GONE));
    else
        PEER_SEND(x->peer, -1, INDEX_REMOVE, .job = ++x->job, .path = path);
}

/* Nothing has waited for a while: the program and the database it holds open are not kept for later. */
static void idle_fired(void *arg)
{
    struct indexing *x = arg;
    struct db_index_waiting n;
    x->idle = NULL;
    if (indexing_busy(x) || pending(x, &n))
        return;
    peer_free(&x->peer); /* the end of its channel is its end */
    x->tag = 0;
    x->ready = false;
}

/* It sends INDEX_FAILED of job 0 when it has one. */
static void rebuild_send(struct indexing *x)
{
    x->begins = x->empty = true;
    PEER_SEND(x->peer, -1, INDEX_REBUILD, .unused = 0);
}

/* Rows of a stage, as many as the batch still takes, but no more than `most` of each account. */
static void stage_send(struct indexing *x, enum db_index_stage stage, size_t most)
{
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        struct err err = ERR_INIT;
        if (!a || !a->db || a->is_away || x->njobs >= x->limit || peer_queued(x->peer) > QUEUE_HIGH)
            continue;
        x->filling = a;
        bool ok = db_index_next(a->db, stage, (unsigned)MIN(x->limit - x->njobs, most), job_send, x, &err);
        if (ok && stage == INDEX_STAGE_FIRST && (x->crashes == 0 || x->njobs == 0))
            ok = db_unindex_next(a->db, clock_wall(), COUNT(x->paths), path_send, x, &err);
        if (!ok)
            acct_db_error(a, &err);
    }
}

static void commit_send(struct indexing *x, bool last)
{
    watch_free(&x->idle);
    x->empty = x->open = false;
    x->commit = x->njobs + x->npaths > 0 ? x->job : ++x->job;
    PEER_SEND(x->peer, -1, INDEX_COMMIT, .job = x->commit, .last = last);
}

static bool late(const struct indexing *x)
{
    return clock_mono_ms() - x->since >= (x->stage == INDEX_STAGE_TEXT ? TEXTS_BATCH_MS : HEADERS_BATCH_MS);
}

/* The batch goes on when what was sent of it is done. */
static void pause_send(struct indexing *x)
{
    watch_free(&x->idle);
    x->open = true;
    x->sent_at = clock_mono_ms();
    x->pause = ++x->job;
    PEER_SEND(x->peer, -1, INDEX_PAUSE, .job = x->pause);
}

/* Some more of a batch, or its end. */
static void more_send(struct indexing *x)
{
    struct db_index_waiting left;
    size_t before = x->njobs, most = MAX(TEXTS_AT_ONCE / MAX(x->srv->naccts, (size_t)1), (size_t)1);
    bool texts = x->stage == INDEX_STAGE_TEXT, whole = !late(x) && x->njobs < x->limit;
    pending(x, &left);
    if (whole && (!texts || left.all == left.texts))
        stage_send(x, x->stage, texts ? most : HEADERS_AT_ONCE);
    if (x->njobs > before)
        pause_send(x);
    else if (x->njobs > 0)
        commit_send(x, whole && (texts || left.texts == 0));
}

/* False: there is none, and the program is idle. */
static bool texts_begin(struct indexing *x)
{
    struct db_index_waiting left, before = {0};
    while (pending(x, &left) && left.texts > 0 && left.texts != before.texts) {
        before = left;
        for (size_t i = 0; i < x->srv->naccts; i++)
            if (x->srv->accts[i] && x->srv->accts[i]->db)
                db_index_texts(x->srv->accts[i]->db);
        x->since = clock_mono_ms();
        x->stage = INDEX_STAGE_TEXT;
        more_send(x);
        if (x->njobs > 0)
            return true;
    }
    return false;
}

static void batch_send(struct indexing *x)
{
    if (x->rebuild) {
        if (!x->begins)
            rebuild_send(x);
        return;
    }
    x->since = clock_mono_ms();
    x->stage = INDEX_STAGE_MORE;
    stage_send(x, INDEX_STAGE_FIRST, HEADERS_AT_ONCE);
    if (x->njobs + x->npaths == 0 && !x->empty) {
        if (!texts_begin(x) && !x->idle)
            x->idle = loop_after(x->srv->loop, IDLE_STOP_MS, idle_fired, x);
        return;
    }
    struct db_index_waiting left;
    pending(x, &left);
    if (left.all - left.texts > x->njobs + x->npaths && x->njobs > 0 && x->njobs < x->limit)
        pause_send(x);
    else
        commit_send(x, left.texts == 0 && x->njobs < x->limit && peer_queued(x->peer) <= QUEUE_HIGH);
}

static void tell(struct indexing *x, const struct db_index_waiting *left)
{
    x->told = left->all;
    BROADCAST(x->srv, INDEXED, .revision = x->revision, .pending = left->all, .texts = left->texts, .held = x->held,
              .rebuilds = x->rebuild);
}

/* ---- Answers ------------------------------------------------------------------------------------ */
static void on_done(struct indexing *x, const struct m_INDEX_DONE *d)
{
    struct db_index_waiting left;
    if (x->commit == 0 || d->job != x->commit)
        return;
    for (size_t i = 0; i < x->njobs; i++) {
        struct err err = ERR_INIT;
        struct job *j = &x->jobs[i];
        bool ok = j->failed && j->moves ? db_index_again(j->acct->db, j->msg, &err)
                  : j->failed           ? db_index_failed(j->acct->db, j->msg, &err)
                                        : db_index_done(j->acct->db, &j->msg, 1, &err);
        if (!ok)
            acct_db_error(j->acct, &err);
    }
    for (size_t i = 0; i < x->npaths; i++) {
        struct err err = ERR_INIT;
        if (!db_unindex_done(x->paths[i].acct->db, str_z(x->paths[i].path), x->paths[i].gone, &err))
            acct_db_error(x->paths[i].acct, &err);
    }
    batch_forget(x);
    x->crashes = 0;
    x->limit = MIN(x->limit * 2, (size_t)BATCH_MAX);
    pending(x, &left);
    rules_look(x->srv->rules);
    x->revision = d->revision;
    x->said[0] = '\0';
    tell(x, &left);
}

/* A machine that has more to do than it has processors is given as much time as was taken, within bounds: the program
 * is nice.*/
static void on_paused(struct indexing *x, const struct m_INDEX_PAUSED *p)
{
    double load = 0;
    if (p->job != x->pause)
        return;
    x->pause = 0;
    int64_t now = clock_mono_ms();
    if (getloadavg(&load, 1) == 1 && load - 1 >= (double)sysconf(_SC_NPROCESSORS_ONLN)) /* 1: itself */
        x->rest_until = now + MIN(now - x->sent_at, (int64_t)TEXTS_REST_MS);
}

bool indexing_gives(const struct server *s, struct str tag)
{
    for (size_t i = 0; i < COUNT(of_role); i++)
        if (of_role[i] && str_eqz(tag, of_role[i]))
            return true;
    for (size_t i = 0; i < s->naccts; i++)
        if (s->accts[i] && str_eqz(tag, s->accts[i]->name))
            return true;
    return false;
}

/* Another program changed the tags of a message in our index. Where something changed here too that the index has not
 * heard of, that comes later and holds. */
static void on_tagged(struct indexing *x, const struct m_INDEX_TAGGED *t)
{
    struct db_flag_tags flags = {0};
    struct buf tags = BUF_INIT(16384);
    struct str rest = t->tags, w;
    struct err err = ERR_INIT;
    unsigned theirs = 0;
    x->empty = true;
    for (size_t i = 0; t->msgid.n && i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        if (a && a->db && !db_flag_tags(a->db, t->msgid, t->path, &flags, &err))
            acct_db_error(a, &err);
    }
    if (flags.rows == 0 || flags.waits)
        return;
    while (str_split(&rest, ' ', &w)) {
        theirs |= db_flag_tag(w);
        if (w.n && !indexing_gives(x->srv, w))
            buf_addf(&tags, "%s%.*s", tags.n ? " " : "", STR_FMT(w));
    }
    unsigned ours = db_flag_tags_all(&flags);
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        if (a && a->db &&
            !db_tags_from_index(a->db, t->msgid, t->path, buf_str(&tags), theirs & ~ours, ours & ~theirs, clock_wall(),
                                &err))
            acct_db_error(a, &err);
    }
    x->retagged = true;
    buf_fini(&tags);
}

static void on_state(struct indexing *x, const struct m_INDEX_STATE *m)
{
    const char *text = clean_line(m->text);
    struct db_index_waiting left;
    if (pending(x, &left)) /* it is not found yet, and may not be for long */
        tell(x, &left);
    if (strcmp(x->said, text) == 0) /* it was started again, and nothing is better */
        return;
    snprintf(x->said, sizeof x->said, "%s", text);
    BROADCAST(x->srv, NOTE, .level = m->kind == ERR_NONE ? 0 : 1, .kind = m->kind, .text = str_z(x->said));
}

static void on_failed(struct indexing *x, const struct m_INDEX_FAILED *f)
{
    if (f->job == 0) {
        log_msg(LOG_WARN, "the index begins anew: %s", clean_line(f->text));
        x->rebuild = x->rebuild && !x->begins;
        x->begins = false;
        for (size_t i = 0; i < x->srv->naccts; i++) {
            struct err err = ERR_INIT;
            struct acct *a = x->srv->accts[i];
            if (a->db && !db_index_reset(a->db, &err))
                acct_db_error(a, &err);
        }
        struct db_index_waiting left;
        pending(x, &left);
        tell(x, &left);
        return;
    }
    for (size_t i = 0; i < x->njobs; i++)
        if (x->jobs[i].number == f->job) {
            if (!x->jobs[i].moves)
                log_msg(LOG_WARN, "%s: a message is not in the index: %s", x->jobs[i].acct->name, clean_line(f->text));
            x->jobs[i].failed = true;
        }
}

static void index_begin(void *arg)
{
    struct indexing *x = arg;
    server_bursts(x->srv, true);
}

static void index_end(void *arg)
{
    struct indexing *x = arg;
    server_bursts(x->srv, false);
    server_stir(x->srv);
    rules_pump(x->srv->rules);
    indexing_pump(x);
    own_pump(x->srv->own);
    for (size_t i = 0; i < x->srv->naccts; i++) {
        import_pump(x->srv->accts[i]); /* who waits for the index */
        if (x->retagged)
            acct_pump(x->srv->accts[i]);
    }
    x->retagged = false;
}

static void index_message(void *arg, struct msg *m)
{
    struct indexing *x = arg;
    if (m->kind == MSG_READY || m->kind == MSG_INDEX_DONE)
        looks_known(x->looks, LOOKS_OURS);
    if (m->kind == MSG_READY) {
        x->ready = true;
        x->look = false;
    } else if (m->kind == MSG_INDEX_DONE)
        on_done(x, &m->u.INDEX_DONE);
    else if (m->kind == MSG_INDEX_FAILED)
        on_failed(x, &m->u.INDEX_FAILED);
    else if (m->kind == MSG_INDEX_STATE)
        on_state(x, &m->u.INDEX_STATE);
    else if (m->kind == MSG_INDEX_PAUSED)
        on_paused(x, &m->u.INDEX_PAUSED);
    else if (m->kind == MSG_INDEX_TAGGED)
        on_tagged(x, &m->u.INDEX_TAGGED);
    if (m->fd >= 0)
        close(m->fd);
}

static void timer_fired(void *arg)
{
    struct indexing *x = arg;
    x->timer = NULL;
    indexing_pump(x);
}

/* It is gone, and what it had not committed with it. Crashed: a message did it, the first that was not done; one that
 * it could not even open its database for is not to blame. */
static void ended(struct indexing *x, const char *why)
{
    uint32_t random;
    fs_random(&random, sizeof random);
    log_msg(LOG_WARN, "index: %s", why);
    x->tag = 0;
    x->begins = false;
    if (x->crashed && x->njobs == 1) {
        struct err err = ERR_INIT;
        struct job *j = &x->jobs[0];
        /* Alone twice: it is this one. */
        if (x->crashes >= 2 && !db_index_failed(j->acct->db, j->msg, &err))
            acct_db_error(j->acct, &err);
    }
    if (x->crashed && x->njobs > 0)
        x->limit = MAX(x->njobs / 8, (size_t)1);
    batch_forget(x);
    x->crashes++;
    rules_stuck(x->srv->rules, why);
    int64_t wait = sync_backoff_ms(x->crashes > 4 ? x->crashes - 4 : 1, random) / (x->crashes > 4 ? 1 : 10);
    x->not_before = clock_mono_ms() + wait;
    watch_free(&x->timer);
    x->timer = loop_after(x->srv->loop, wait, timer_fired, x);
}

/* What it said last is read; how it ended spawn tells, before this or after. */
static void index_gone(void *arg, const struct err *err)
{
    struct indexing *x = arg;
    watch_free(&x->idle);
    peer_free(&x->peer);
    x->ready = false;
    if (err->kind && !x->exited) { /* it says what it may not: it did not end by itself */
        SPAWN(x->srv, STOP, .role = ROLE_INDEX, .tag = x->tag);
        log_msg(LOG_WARN, "index: %s", err->text);
    }
    if (x->exited)
        ended(x, x->how);
}

static const struct peer_ops index_ops = {
    .begin = index_begin, .message = index_message, .end = index_end, .gone = index_gone};

void indexing_started(struct indexing *x, uint64_t tag, int fd)
{
    if (tag != x->tag || x->peer)
        close(fd);
    else
        x->peer = peer_new(x->srv->loop, fd, ROLE_INDEX, &index_ops, x);
}

bool indexing_exited(struct indexing *x, uint64_t tag, uint32_t status, struct str text)
{
    if (tag == 0 || tag != x->tag)
        return false;
    x->exited = true;
    x->crashed = WIFSIGNALED((int)status);
    snprintf(x->how, sizeof x->how, "the program index ended (%s); its log says why", clean_line(text));
    if (!x->peer) /* else its channel's end tells, after what it said last */
        ended(x, x->how);
    return true;
}

/* Waits until then, if it is not yet. */
static bool put_off(struct indexing *x, int64_t until)
{
    int64_t wait = until - clock_mono_ms();
    if (wait > 0 && !x->timer)
        x->timer = loop_after(x->srv->loop, wait, timer_fired, x);
    return wait > 0;
}

/* What a key asked for goes to the screen first, and a machine that is busy gets its rest. */
static bool gives_way(struct indexing *x)
{
    struct db_index_waiting n;
    int64_t until = x->srv->active_at > 0 ? x->srv->active_at + BEHIND_KEYS_MS : 0;
    if (x->open && x->stage == INDEX_STAGE_TEXT)
        until = MAX(until, x->rest_until);
    if (until <= clock_mono_ms() || (!x->open && !x->rebuild && !pending(x, &n)))
        return until > clock_mono_ms();
    if (x->open && late(x))
        commit_send(x, false); /* what is done is kept */
    return put_off(x, until);
}

void indexing_pump(struct indexing *x)
{
    struct db_index_waiting n;
    if (!x || x->pumping || x->commit || x->pause)
        return;
    if (x->held && !x->rebuild) {
        if (x->open)
            commit_send(x, false);
        if (pending(x, &n) && n.all != x->told)
            tell(x, &n);
        return;
    }
    if (clock_mono_ms() < x->not_before)
        return;
    for (size_t i = 0; i < x->srv->naccts; i++)
        if (x->srv->accts[i] && x->srv->accts[i]->db && db_in_burst(x->srv->accts[i]->db))
            return;
    if (gives_way(x))
        return;
    x->pumping = true;
    if (x->peer && x->ready && x->open) {
        more_send(x);
    } else if (x->peer && x->ready) {
        batch_send(x);
    } else if (!x->peer && !x->tag && x->srv->spawn && (x->rebuild || x->look || pending(x, &n))) {
        x->tag = server_id(x->srv);
        x->exited = x->crashed = false;
        SPAWN(x->srv, START, .role = ROLE_INDEX, .tag = x->tag);
    }
    x->pumping = false;
}

void indexing_do(struct indexing *x, enum reindex what)
{
    struct db_index_waiting left;
    x->held = what == REINDEX_HOLD;
    if (what == REINDEX_REBUILD) {
        x->rebuild = true;
        x->not_before = 0; /* what was wrong may be mended by it */
        x->said[0] = '\0';
    }
    pending(x, &left);
    tell(x, &left);
    indexing_pump(x);
}
