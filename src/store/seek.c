/* What a query finds on an IMAP server: a second fetch program of the account asks it, mailbox by mailbox, on a line of
 * its own, because a SEARCH may take long and can only be called off by giving its line up. UIDs become rows: those
 * here, and those that are fetched for it and stored like all others. */
#include "store/account.h"

#include <unistd.h>

#include "mail/imap_query.h"

#define SEEK_MOST 5000 /* hits of a mailbox, the newest */
#define SEEK_ROWS 1000 /* of them whose rows are fetched */
#define SEEK_SLICE 100 /* UIDs looked up, or mailboxes passed by, in one turn */
#define REST_MS 60000  /* unused for so long the line is closed */

struct seek {
    struct peer *peer;
    uint64_t tag, secret_tag;
    uint8_t need;
    bool ready, up, waits_user;
    bool used;                /* the line has served an earlier search: it may be dead by now */
    uint32_t last_step, step; /* step: under way, of `kind`; 0 none */
    enum msg_kind kind;
    struct watch *timer; /* the next slice, or the end of the line */
    /* what is asked */
    bool active, fuzzy;
    uint64_t client;
    uint32_t req;
    char *query;
    uint64_t first;  /* the mailbox on the screen; 0: none */
    uint64_t *boxes; /* it comes first */
    size_t nboxes, at;
    /* the mailbox that is asked now */
    uint64_t box;
    uint32_t total;
    bool opened;         /* BOX_OPEN came, and its UIDs are those known here */
    struct buf found;    /* packed ranges, newest first */
    size_t next;         /* range looked up next, and */
    uint32_t below;      /* its UIDs below this; 0: all of them */
    struct uid_set want; /* without a row */
    struct buf ids;      /* to be told */
    uint32_t taken;      /* of what was found */
    /* of all */
    uint32_t hits, asked, more;
    struct buf names, left, wider, rest;
    struct err trouble;
};

static void seek_go(struct acct *a);

/* ---- Words to the client ------------------------------------------------------------------------ */
static void ids_tell(struct acct *a)
{
    struct seek *s = a->seek;
    if (s->ids.n > 0 && s->active)
        ANSWER(a->srv, s->client, -1, SERVER_HITS, .req = s->req, .account = str_z(a->name), .msgs = buf_str(&s->ids));
    s->hits += (uint32_t)ipc_ids_count(buf_str(&s->ids));
    buf_reset(&s->ids);
}

static void at_tell(struct acct *a)
{
    struct seek *s = a->seek;
    ptrdiff_t i = s->box ? box_at(a, s->box) : -1;
    ANSWER(a->srv, s->client, -1, SERVER_AT, .req = s->req, .account = str_z(a->name),
           .box = i < 0 ? STR("") : box_utf8(&a->boxes[i]), .at = (uint32_t)s->at, .of = (uint32_t)s->nboxes,
           .hits = s->hits);
}

static void timer_set(struct acct *a, int64_t ms);

static void seek_done(struct acct *a, enum err_kind kind, const char *text)
{
    struct seek *s = a->seek;
    if (!s->active)
        return;
    ids_tell(a);
    s->active = false;
    s->used = s->up;
    if (kind == ERR_NONE && s->trouble.kind != ERR_NONE) {
        kind = s->trouble.kind;
        text = s->trouble.text;
    }
    ANSWER(a->srv, s->client, -1, SERVER_DONE, .req = s->req, .account = str_z(a->name), .kind = kind,
           .text = str_sub(str_z(text), 0, 400), .hits = s->hits, .asked = s->asked, .more = s->more,
           .boxes = buf_str(&s->names), .left = buf_str(&s->left), .wider = buf_str(&s->wider),
           .rest = buf_str(&s->rest));
    timer_set(a, REST_MS);
}

/* ---- The program -------------------------------------------------------------------------------- */
static void searching_tell(struct acct *a, bool on)
{
    if (a->fetch && a->ready)
        PEER_SEND(a->fetch, -1, SEARCHING, .on = on);
}

/* The end of its channel ends the program, whatever it waits for. */
static void program_end(struct acct *a)
{
    struct seek *s = a->seek;
    watch_free(&s->timer);
    peer_free(&s->peer);
    if (s->tag)
        searching_tell(a, false);
    s->tag = s->secret_tag = 0;
    s->ready = s->up = s->waits_user = false;
    s->step = 0;
}

static void failed(struct acct *a, enum err_kind kind, const char *text)
{
    char why[400];
    snprintf(why, sizeof why, "%s", acct_command_why(a, SERVICE_INCOMING, kind, text));
    program_end(a);
    seek_done(a, kind, why);
    watch_free(&a->seek->timer);
}

static void timer_fired(void *arg)
{
    struct acct *a = arg;
    a->seek->timer = NULL;
    if (!a->seek->active)
        program_end(a);
    else
        seek_go(a);
}

static void timer_set(struct acct *a, int64_t ms)
{
    struct seek *s = a->seek;
    watch_free(&s->timer);
    s->timer = loop_after(a->srv->loop, ms, timer_fired, a);
}

static void step_send(struct acct *a, struct msg *m)
{
    struct seek *s = a->seek;
    s->step = ++s->last_step;
    s->kind = m->kind;
    m->u.STEP_CONNECT.step = s->step; /* the first field of every step */
    peer_send(s->peer, m, -1);
}
#define SEEK_STEP(a, NAME, ...)                                                                                        \
    step_send((a), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}})

static void program_start(struct acct *a)
{
    struct seek *s = a->seek;
    s->tag = server_id(a->srv);
    searching_tell(a, true);
    SPAWN(a->srv, START, .role = ROLE_FETCH, .account = str_z(a->name), .tag = s->tag, .searches = 1);
}

static void connect_send(struct acct *a)
{
    struct buf caps = BUF_INIT(3000), unbound = BUF_INIT(400);
    struct err err = ERR_INIT;
    if (!db_meta_get(a->db, "capabilities", &caps, &err) || !db_meta_get(a->db, "unbound", &unbound, &err))
        acct_db_error(a, &err);
    SEEK_STEP(a, STEP_CONNECT, .caps = buf_str(&caps), .unbound = buf_str(&unbound));
    buf_fini(&caps);
    buf_fini(&unbound);
}

/* ---- Which mailboxes ---------------------------------------------------------------------------- */
static bool selectable(const struct box *b)
{
    return !(b->attrs & (BOX_NOSELECT | BOX_NONEXISTENT)) && !b->creating;
}

/* Only where the query names them: what was thrown away, doubles of what is elsewhere, others' mail. */
static bool aside(const struct box *b)
{
    return b->role == BOX_TRASH || b->role == BOX_JUNK || b->role == BOX_FLAGGED || b->role == BOX_IMPORTANT ||
           (b->attrs & (BOX_OTHERS | BOX_SHARED));
}

static void boxes_choose(struct acct *a, uint64_t first, bool only)
{
    struct seek *s = a->seek;
    free(s->boxes);
    s->boxes = mem_array(a->nboxes + 1, sizeof *s->boxes);
    s->nboxes = s->at = 0;
    const struct {
        bool here, inbox;
    } turns[] = {{true, false}, {false, true}, {false, false}};
    for (size_t t = 0; t < (only ? 1 : COUNT(turns)); t++)
        for (size_t i = 0; i < a->nboxes; i++) {
            bool here = a->plan[i].id == first, inbox = a->boxes[i].role == BOX_INBOX;
            if (selectable(&a->boxes[i]) && here == turns[t].here && (here || inbox == turns[t].inbox))
                s->boxes[s->nboxes++] = a->plan[i].id;
        }
}

static bool make_query(struct acct *a, const struct box *b, struct imap_query *q, struct err *err)
{
    const struct imap_query_for to = {.now = clock_wall(),
                                      .account = str_z(a->name),
                                      .box = b ? acct_own_name(a, box_utf8(b)) : STR(""),
                                      .role = b ? b->role : (uint8_t)BOX_NONE};
    return imap_query_make(str_z(a->seek->query), &to, q, err);
}

/* Is it to be asked, and what will be said of the query? */
static bool box_serves(struct acct *a, size_t i)
{
    struct seek *s = a->seek;
    const struct box *b = &a->boxes[i];
    struct imap_query q;
    struct err err = ERR_INIT;
    bool first = s->first && a->plan[i].id == s->first, covered = false;
    ptrdiff_t all = box_role(a, BOX_ALL);
    if (all >= 0 && selectable(&a->boxes[all]))
        covered = (size_t)all != i && !first;
    bool ok = make_query(a, b, &q, &err) && !q.never && !q.nothing && ((!covered && !aside(b)) || q.here || first);
    if (!s->left.n && q.left.n)
        buf_adds(&s->left, buf_str(&q.left));
    if (!s->wider.n && q.wider.n)
        buf_adds(&s->wider, buf_str(&q.wider));
    if (!s->rest.n && q.rest.n)
        buf_adds(&s->rest, buf_str(&q.rest));
    imap_query_fini(&q);
    return ok;
}

static void next_box(struct acct *a)
{
    struct seek *s = a->seek;
    s->box = 0;
    for (unsigned passed = 0; s->at < s->nboxes; passed++) {
        if (passed == SEEK_SLICE) {
            timer_set(a, 0);
            return;
        }
        ptrdiff_t i = box_at(a, s->boxes[s->at++]);
        if (i < 0 || !box_serves(a, (size_t)i))
            continue;
        const struct box *b = &a->boxes[i];
        s->box = a->plan[i].id;
        s->asked++;
        s->opened = false;
        s->total = s->taken = s->below = 0;
        s->next = 0;
        buf_reset(&s->found);
        uid_set_fini(&s->want);
        if (s->names.n > 0)
            buf_addz(&s->names, ", ");
        buf_adds(&s->names, acct_own_name(a, box_utf8(b)));
        at_tell(a);
        SEEK_STEP(a, STEP_SEARCH, .box = s->box, .name = box_name(b), .utf8 = acct_own_name(a, box_utf8(b)),
                  .role = b->role, .uidvalidity = b->uidvalidity, .query = str_z(s->query), .fuzzy = s->fuzzy,
                  .most = SEEK_MOST);
        return;
    }
    seek_done(a, ERR_NONE, "");
}

/* ---- UIDs to rows ------------------------------------------------------------------------------- */
static void take(struct acct *a, uint64_t msg)
{
    struct seek *s = a->seek;
    if (!ipc_ids_add(&s->ids, msg)) {
        ids_tell(a);
        ipc_ids_add(&s->ids, msg);
    }
    s->taken++;
}

static bool was_found(const struct seek *s, uint32_t uid)
{
    for (size_t k = 0; k < ipc_ranges_count(buf_str(&s->found)); k++) {
        uint32_t lo, hi;
        ipc_ranges_at(buf_str(&s->found), k, &lo, &hi);
        if (uid >= lo && uid <= hi)
            return true;
    }
    return false;
}

static void rows_ask(struct acct *a)
{
    struct seek *s = a->seek;
    struct buf uids = BUF_INIT(32768);
    uid_set_pack(&s->want, &uids);
    uid_set_fini(&s->want);
    SEEK_STEP(a, STEP_ROWS, .urgent = 1, .box = s->box, .fields = ROWS_WHOLE, .uids = buf_str(&uids));
    buf_fini(&uids);
}

/* What is missing is fetched. A list that has no row yet, or none so new, begins with its newest page, as lists do:
 * what lies between is a gap that the plan finds. */
static void box_looked_up(struct acct *a)
{
    struct seek *s = a->seek;
    ptrdiff_t i = box_at(a, s->box);
    ids_tell(a);
    if (i < 0 || s->want.n == 0) {
        s->more += s->total > s->taken ? s->total - s->taken : 0;
        next_box(a);
        return;
    }
    box_refresh(a, (size_t)i);
    uint32_t newest = 0;
    for (size_t k = 0; k < s->want.n; k++)
        newest = MAX(newest, s->want.uids[k]);
    if (newest > a->plan[i].hi_uid)
        SEEK_STEP(a, STEP_ROWS_TOP, .urgent = 1, .box = s->box, .count = SYNC_FIRST_PAGE, .fields = ROWS_WHOLE);
    else
        rows_ask(a);
}

/* Some hundred at a time: looking up is quick, but a client may be waiting for something else. */
static void look_up(struct acct *a)
{
    struct seek *s = a->seek;
    struct db_msg m;
    for (unsigned n = 0; s->next < ipc_ranges_count(buf_str(&s->found)); n++) {
        uint32_t lo, hi;
        if (n == SEEK_SLICE) {
            ids_tell(a);
            timer_set(a, 0);
            return;
        }
        ipc_ranges_at(buf_str(&s->found), s->next, &lo, &hi);
        uint32_t uid = s->below ? s->below - 1 : hi;
        struct err err = ERR_INIT;
        if (db_msg_at(a->db, s->box, uid, &m, &err))
            take(a, m.id);
        else if (s->want.n < SEEK_ROWS)
            uid_set_add(&s->want, uid);
        s->below = uid;
        if (uid == lo) {
            s->below = 0;
            s->next++;
        }
    }
    box_looked_up(a);
}

/* ---- What the program says ---------------------------------------------------------------------- */
static void on_open(struct acct *a, const struct m_BOX_OPEN *o)
{
    struct seek *s = a->seek;
    ptrdiff_t i = o->box == s->box ? box_at(a, o->box) : -1;
    struct err err = ERR_INIT;
    bool dropped;
    if (i < 0 || !o->uidvalidity)
        return;
    if (!a->boxes[i].uidvalidity) { /* never opened */
        if (!db_box_open(a->db, o->box, o->uidvalidity, o->uidnext, o->exists, o->readonly, o->keywords_ok, o->keywords,
                         &dropped, &err))
            acct_db_error(a, &err);
        box_refresh(a, (size_t)i);
    }
    s->opened = a->boxes[i].uidvalidity == o->uidvalidity;
    a->plan[i].dirty = a->plan[i].dirty || !s->opened;
}

static void on_row(struct acct *a, const struct m_ROW *r)
{
    struct seek *s = a->seek;
    uint64_t id;
    if (r->box == s->box && s->opened && r->uid && acct_row_put(a, r, &id, NULL) && was_found(s, r->uid))
        take(a, id);
}

static bool on_done(struct acct *a, const struct m_DONE *d)
{
    struct seek *s = a->seek;
    if (d->kind >= ERR_COUNT || d->step != s->step || !s->step)
        return false;
    enum err_kind kind = (enum err_kind)d->kind;
    enum msg_kind was = s->kind;
    s->step = 0;
    if (was == MSG_STEP_CONNECT || line_error(kind)) {
        s->up = kind == ERR_NONE;
        bool again = s->used && was == MSG_STEP_SEARCH && s->asked == 1;
        s->used = false;
        if (again) {
            s->at = s->asked = 0;
            s->box = 0;
            buf_reset(&s->names);
            timer_set(a, 0);
        } else if (kind != ERR_NONE)
            failed(a, kind, clean_line(d->text));
        else
            timer_set(a, 0);
        return true;
    }
    if (kind != ERR_NONE && s->trouble.kind == ERR_NONE)
        err_set(&s->trouble, kind, "%s: %s", box_words(a, s->box), clean_line(d->text));
    if (kind != ERR_NONE || !s->opened)
        buf_reset(&s->found);
    if (was == MSG_STEP_SEARCH)
        s->next = 0;
    else if (was == MSG_STEP_ROWS)
        s->more += s->total > s->taken ? s->total - s->taken : 0;
    s->kind = was;
    timer_set(a, 0); /* outside of the burst */
    return true;
}

static bool on_uids(struct acct *a, const struct m_UIDS *u)
{
    struct seek *s = a->seek;
    if (u->step != s->step || s->kind != MSG_STEP_SEARCH || u->ranges.n % 8 || !buf_adds(&s->found, u->ranges))
        return false;
    for (size_t k = 0; k < ipc_ranges_count(u->ranges); k++) {
        uint32_t lo, hi;
        ipc_ranges_at(u->ranges, k, &lo, &hi);
        if (!lo || hi < lo || hi - lo >= SEEK_MOST)
            return false;
    }
    return true;
}

static void secret_ask(struct acct *a, const struct m_SECRET_ASK *m)
{
    struct seek *s = a->seek;
    s->secret_tag = server_id(a->srv);
    s->need = m->need;
    acct_command(a, SERVICE_INCOMING, s->secret_tag);
    SPAWN(a->srv, SECRET_GET, .account = str_z(a->name), .service = SERVICE_INCOMING, .tag = s->secret_tag,
          .need = m->need, .refused = m->refused);
}

bool seek_secret(struct acct *a, uint64_t tag, int fd, enum err_kind kind, struct str text)
{
    struct seek *s = a->seek;
    bool typed = s && tag == 0 && s->waits_user;
    if (!s || !s->peer || (!typed && (!s->secret_tag || tag != s->secret_tag)))
        return false;
    s->secret_tag = 0;
    s->waits_user = false;
    if (fd >= 0) {
        PEER_SEND(s->peer, fd, SECRET, .service = SERVICE_INCOMING, .need = s->need);
        close(fd);
    } else if (text.n == 0 && s->need == NEED_LOGIN) { /* the one that was typed is with the other program alone */
        s->waits_user = true;
        BROADCAST(a->srv, SECRET_WANTED, .account = str_z(a->name), .service = SERVICE_INCOMING,
                  .text = STR("the search has a connection of its own"));
    } else {
        failed(a, kind && kind < ERR_COUNT ? kind : ERR_SECRET,
               text.n ? clean_line(text) : "the server asks for what tuimailrc does not have");
    }
    return true;
}

static bool understood(struct acct *a, struct msg *m)
{
    struct seek *s = a->seek;
    switch (m->kind) {
    case MSG_READY:
        s->ready = true;
        connect_send(a);
        return true;
    case MSG_DONE:
        return on_done(a, &m->u.DONE);
    case MSG_SECRET_ASK:
        if (m->u.SECRET_ASK.service != SERVICE_INCOMING)
            return false;
        secret_ask(a, &m->u.SECRET_ASK);
        return true;
    case MSG_BOX_OPEN:
        on_open(a, &m->u.BOX_OPEN);
        return true;
    case MSG_UIDS:
        return on_uids(a, &m->u.UIDS);
    case MSG_SEARCHED:
        s->total = m->u.SEARCHED.step == s->step ? m->u.SEARCHED.total : s->total;
        return true;
    case MSG_ROW:
        on_row(a, &m->u.ROW);
        return true;
    case MSG_GONE:
        if (m->u.GONE.box == s->box && s->opened)
            imap_message(a, m);
        return true;
    case MSG_LOST:
        s->up = false;
        return true;
    case MSG_ONLINE: /* the other line has said all that */
    case MSG_ALERT:
    case MSG_EXISTS:
    case MSG_MODSEQ:
    case MSG_KEYWORDS:
    case MSG_FLAGS:
    case MSG_STEP_PROGRESS:
    case MSG_PUSHED:
    case MSG_SERVER_ID:
    case MSG_QUOTA:
    case MSG_NAMESPACE:
        return true;
    default:
        return false;
    }
}

static void seek_message(void *arg, struct msg *m)
{
    struct acct *a = arg;
    if (a->seek->peer && !understood(a, m)) {
        log_msg(LOG_ERROR, "%s: the program that searches said %s out of turn and was ended", a->name,
                msg_name(m->kind));
        failed(a, ERR_CHANNEL, "the program that searches failed");
    }
    if (m->fd >= 0)
        close(m->fd);
}

static void seek_gone(void *arg, const struct err *err)
{
    (void)err;
    failed(arg, ERR_CHANNEL, "the program that searches ended");
}

static const struct peer_ops seek_ops = {
    .begin = acct_burst_begin, .message = seek_message, .end = acct_burst_end, .gone = seek_gone};

void seek_started(struct acct *a, int fd)
{
    a->seek->peer = peer_new(a->srv->loop, fd, ROLE_FETCH, &seek_ops, a);
}

bool seek_is(const struct acct *a, uint64_t tag)
{
    return a->seek && tag && a->seek->tag == tag && !a->seek->peer;
}

void seek_exited(struct acct *a, struct str text)
{
    failed(a, ERR_CHANNEL, clean_line(text));
}

/* ---- Asking ------------------------------------------------------------------------------------- */
/* What comes next: one step is under way at a time. */
static void seek_go(struct acct *a)
{
    struct seek *s = a->seek;
    if (!s->active || s->step || db_in_burst(a->db))
        return;
    if (!s->tag) {
        program_start(a);
    } else if (s->ready && !s->up) {
        connect_send(a);
    } else if (s->ready && !s->box) {
        next_box(a);
    } else if (s->ready && s->kind == MSG_STEP_SEARCH) {
        look_up(a);
    } else if (s->ready && s->kind == MSG_STEP_ROWS_TOP && s->found.n) {
        rows_ask(a);
    } else if (s->ready) {
        ids_tell(a);
        next_box(a);
    }
}

static const char *cannot(struct acct *a, enum err_kind *kind_r)
{
    *kind_r = ERR_USAGE;
    if (!a->imap)
        return "all its mail is on this machine: nothing is to be asked of a server";
    *kind_r = ERR_OFFLINE;
    if (a->offline)
        return "the account is offline: its server cannot be asked; go online with :online";
    *kind_r = ERR_CONFIG;
    if (a->held)
        return a->text;
    if (a->conf->connections < 2)
        return "a search needs a connection of its own: set -a ACCOUNT connections 2 or more";
    return NULL;
}

void seek_ask(struct acct *a, uint64_t client, const struct m_SERVER_SEARCH *m)
{
    struct imap_query q;
    struct err err = ERR_INIT;
    enum err_kind kind;
    const char *no = cannot(a, &kind);
    struct seek *s = a->seek;
    if (no) {
        server_refuse(a->srv, client, m->req, kind, no);
        return;
    }
    if (!s) {
        s = a->seek = mem_new(sizeof *s);
        s->found = BUF_INIT(8 * SEEK_MOST);
        s->want = UID_SET_INIT(SEEK_ROWS);
        s->ids = BUF_INIT(8 * 1000);
        s->names = BUF_INIT(1000);
        s->left = BUF_INIT(1000);
        s->wider = BUF_INIT(200);
        s->rest = BUF_INIT(16384);
    }
    seek_cancel(a, s->client, 0);
    free(s->query);
    s->query = mem_dup_n(m->query.p, m->query.n);
    bool ok = make_query(a, NULL, &q, &err);
    imap_query_fini(&q);
    if (!ok) {
        server_refuse(a->srv, client, m->req, err.kind, err.text);
        return;
    }
    watch_free(&s->timer);
    s->active = true;
    s->fuzzy = m->fuzzy;
    s->client = client;
    s->req = m->req;
    s->box = 0;
    s->kind = MSG_NONE;
    s->hits = s->asked = s->more = 0;
    buf_reset(&s->names);
    buf_reset(&s->left);
    buf_reset(&s->wider);
    buf_reset(&s->rest);
    s->trouble = ERR_INIT;
    s->first = m->box;
    boxes_choose(a, m->box, m->only);
    at_tell(a);
    timer_set(a, 0);
}

void seek_cancel(struct acct *a, uint64_t client, uint32_t req)
{
    struct seek *s = a->seek;
    if (!s || !s->active || s->client != client || (req && s->req != req))
        return;
    if (s->step || !s->ready)
        program_end(a);
    seek_done(a, ERR_CANCELED, "canceled");
    if (!s->tag)
        watch_free(&s->timer);
}

void seek_offline(struct acct *a)
{
    if (a->seek && a->seek->tag)
        failed(a, ERR_OFFLINE, "the account is offline");
}

void seek_renew(struct acct *a)
{
    if (a->seek && a->seek->tag)
        failed(a, ERR_CANCELED, "its options have changed: search again");
}

void seek_free(struct acct *a)
{
    struct seek *s = a->seek;
    if (!s)
        return;
    program_end(a);
    free(s->query);
    free(s->boxes);
    buf_fini(&s->found);
    uid_set_fini(&s->want);
    buf_fini(&s->ids);
    buf_fini(&s->names);
    buf_fini(&s->left);
    buf_fini(&s->wider);
    buf_fini(&s->rest);
    free(s);
    a->seek = NULL;
}
