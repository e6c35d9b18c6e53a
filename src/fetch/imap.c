/* The IMAP session of fetch: connecting, the selected mailbox, untagged news. */
#include "fetch/imap.h"

#include <unistd.h>

#include "net/sasl.h"

#define GONE_MAX 32000 /* bytes of ranges in one GONE */

/* ---- Session ------------------------------------------------------------------------------------ */
bool session_need(struct fetch *f, struct session **s_r, struct err *err)
{
    *s_r = f->session;
    f->gentle = true; /* one answer of a slice is read to its end to save the line; a body's is not (imap_step_body) */
    return (f->stream && f->session && session_of(f)->imap) || err_set(err, ERR_LINE, "not connected");
}

bool session_lost(struct session *s, const struct err *err)
{
    return fetch_lost(s->f, err);
}

bool session_news(struct session *s, struct err *err)
{
    if (s->exists_news && s->selected && !s->selecting) {
        s->exists_news = false;
        if (!FETCH_SEND(s->f, err, EXISTS, .box = s->selected, .exists = s->exists))
            return false;
    }
    if (s->modseq_news && s->selected && !s->selecting) {
        s->modseq_news = false;
        return FETCH_SEND(s->f, err, MODSEQ, .box = s->selected, .modseq = s->modseq, .uidnext = s->uidnext);
    }
    return true;
}

static void code_modseq(struct session *s, struct str code, struct str args)
{
    uint64_t n;
    if (str_case_eqz(code, "HIGHESTMODSEQ") && str_u64(args, &n) && n > s->modseq && n <= INT64_MAX) {
        s->modseq = n;
        s->modseq_news = true;
    }
}

bool session_done(struct session *s, uint32_t tag, struct imap_result *r, struct err *err)
{
    struct imap_result mine = {0};
    struct err news = ERR_INIT;
    bool alive;
    r = r ? r : &mine;
    fetch_ahead(s->f); /* before each wait: what came while nobody waited would have to wait for it */
    bool ok = imap_wait_ok(s->imap, tag, r, &alive, err);
    if (!alive) {
        if (s->f->canceled && err->kind == ERR_TIMEOUT) /* the time that a cancel leaves to the answer under way */
            err_set(err, ERR_CANCELED, "canceled");
        return session_lost(s, err);
    }
    if (ok)
        code_modseq(s, r->code, r->args);
    if (!session_news(s, &news)) {
        *err = news;
        return false;
    }
    return ok;
}

static void session_deselect(struct session *s)
{
    struct box *b = box_find(s, s->selected);
    if (b) {
        b->uidnext = s->uidnext;
        b->modseq = s->nomodseq ? 0 : s->modseq;
    }
    s->selected = 0;
    s->exists = s->uidnext = s->uidvalidity = 0;
    s->modseq = 0;
    s->nmap = 0;
    watch_deselected(s);
    s->exists_news = s->modseq_news = s->nomodseq = false;
    s->keywords_ok = false;
    buf_reset(&s->keeps);
}

static struct session *session_new(struct fetch *f)
{
    struct session *s = mem_new(sizeof(*s));
    s->f = f;
    s->arena = arena_new(MAIL_ARENA_MAX);
    buf_init(&s->found, 64u << 20);
    buf_init(&s->keeps, 4096);
    struct buf self = BUF_INIT(16384);
    account_addresses(f->account, &self);
    s->self = buf_take(&self, NULL);
    return s;
}

/* The line is gone; what the store said of its mailboxes stays. */
static void imap_closed(struct fetch *f)
{
    struct session *s = f->session;
    if (!s)
        return;
    bodies_drop(s);
    acts_drop(s);
    list_free(s);
    facts_reset(s);
    watch_reset(s);
    second_close(s);
    session_deselect(s);
    s->selecting = s->finding = s->searching = false;
    s->select_step = s->select_tag = 0;
    s->rows_step = s->rows_tag = 0;
    s->window = 0;
    s->early = false;
    s->appending = (struct appending){.n = 0};
    imap_free(&s->imap);
}

/* ---- Untagged answers --------------------------------------------------------------------------- */
/* PERMANENTFLAGS: any keyword ("\\*"), or those that it lists. May change while the mailbox is open. */
static bool on_permanent(struct session *s, struct str args, struct err *err)
{
    struct buf keeps = BUF_INIT(4096);
    struct str rest = args, word;
    bool any = false;
    if (rest.n > 1 && rest.p[0] == '(' && rest.p[rest.n - 1] == ')')
        rest = str_sub(rest, 1, rest.n - 1);
    while (str_split(&rest, ' ', &word)) {
        any = any || str_eqz(word, "\\*");
        if (word.n && word.p[0] != '\\')
            imap_keyword_add(word, &keeps);
    }
    if (any)
        buf_reset(&keeps);
    bool same = any == s->keywords_ok && str_eq(buf_str(&keeps), buf_str(&s->keeps)), ok = true;
    s->keywords_ok = any;
    buf_reset(&s->keeps);
    buf_adds(&s->keeps, buf_str(&keeps));
    buf_fini(&keeps);
    if (!same && s->selected && !s->selecting)
        ok = FETCH_SEND(s->f, err, KEYWORDS, .box = s->selected, .keywords_ok = any, .keywords = buf_str(&s->keeps));
    return ok;
}

static bool on_state(struct session *s, const struct imap_event *ev, struct err *err)
{
    uint32_t n = 0;
    if (str_case_eqz(ev->code, "ALERT")) {
        struct buf clean = BUF_INIT(400);
        text_from_bytes(ev->text, TEXT_FOLD_SPACE, &clean);
        bool ok = FETCH_SEND(s->f, err, ALERT, .text = buf_str(&clean));
        buf_fini(&clean);
        return ok;
    }
    if (str_case_eqz(ev->code, "COPYUID")) {
        imap_on_copyuid(s, ev->args);
        return true;
    }
    if (str_case_eqz(ev->code, "APPENDUID"))
        append_on_code(s, ev->args);
    if (str_case_eqz(ev->code, "UIDVALIDITY") && str_u32(ev->args, &n)) {
        if (!s->selecting && s->selected && n != s->uidvalidity)
            return err_set(err, ERR_PROTOCOL, "the server renumbered the selected mailbox");
        s->uidvalidity = n;
    } else if (str_case_eqz(ev->code, "UIDNEXT") && str_u32(ev->args, &n)) {
        s->uidnext = n;
    } else if (str_case_eqz(ev->code, "NOMODSEQ")) {
        s->nomodseq = true;
    } else if (str_case_eqz(ev->code, "PERMANENTFLAGS")) {
        return on_permanent(s, ev->args, err);
    } else {
        code_modseq(s, ev->code, ev->args);
    }
    return true;
}

bool gone_tell(struct session *s, uint64_t box, uint32_t uid, struct err *err)
{
    struct buf one = BUF_INIT(8);
    ipc_ranges_add(&one, uid, uid);
    bool ok = FETCH_SEND(s->f, err, GONE, .box = box, .ranges = buf_str(&one));
    buf_fini(&one);
    return ok;
}

static bool on_expunge(struct session *s, uint32_t seq, struct err *err)
{
    if (seq > s->exists)
        return true;
    s->exists--;
    s->exists_news = true;
    watch_expunged(s, seq);
    if (seq > s->nmap)
        return true;
    uint32_t uid = s->map[seq - 1];
    memmove(s->map + seq - 1, s->map + seq, (s->nmap - seq) * sizeof(*s->map));
    s->nmap--;
    return !uid || gone_tell(s, s->selected, uid, err);
}

static bool on_vanished(struct session *s, const struct imap_event *ev, struct err *err)
{
    struct str set = ev->set;
    struct buf ranges = BUF_INIT(GONE_MAX);
    uint32_t lo, hi;
    bool ok = true;
    if (!s->selected)
        return true;
    while (ok && imap_set_next(&set, &lo, &hi)) {
        if (!ev->earlier) { /* each of these was a message: (THREATS 49) as many as there were, at most */
            s->exists -= (uint32_t)MIN((uint64_t)s->exists, (uint64_t)hi - lo + 1);
            s->exists_news = true;
        }
        if (!ipc_ranges_add(&ranges, lo, hi)) { /* a line may name a million, one by one */
            ok = FETCH_SEND(s->f, err, GONE, .box = s->selected, .ranges = buf_str(&ranges));
            buf_reset(&ranges);
            ipc_ranges_add(&ranges, lo, hi);
        }
    }
    ok = ok && (!ranges.n || FETCH_SEND(s->f, err, GONE, .box = s->selected, .ranges = buf_str(&ranges)));
    buf_fini(&ranges);
    return ok;
}

static bool on_event(void *arg, const struct imap_event *ev, struct err *err)
{
    struct session *s = arg;
    switch (ev->what) {
    case IMAP_OK:
    case IMAP_NO:
    case IMAP_BAD:
        return on_state(s, ev, err);
    case IMAP_EXISTS:
        s->exists = ev->number;
        s->nmap = MIN(s->nmap, (size_t)ev->number);
        s->exists_news = true;
        return true;
    case IMAP_EXPUNGE:
        return on_expunge(s, ev->number, err);
    case IMAP_VANISHED:
        return on_vanished(s, ev, err);
    case IMAP_FETCH:
        return imap_on_fetch(s, ev, err);
    case IMAP_SEARCH:
        return imap_on_search(s, ev->set, false, err);
    case IMAP_ESEARCH:
        if (s->seek.tag && ev->number != s->seek.tag)
            return true; /* nobody asked */
        if (s->seek.tag)
            s->seek.count = ev->count;
        return !ev->uid || imap_on_search(s, ev->set, true, err);
    case IMAP_LIST:
    case IMAP_LSUB:
    case IMAP_STATUS:
        return imap_on_list(s, ev, err);
    case IMAP_NAMESPACE:
    case IMAP_QUOTA:
    case IMAP_ID:
        return imap_on_server(s, ev, err);
    default:
        return true;
    }
}

/* ---- Selecting ---------------------------------------------------------------------------------- */
struct box *box_find(struct session *s, uint64_t id)
{
    for (size_t i = 0; id && i < s->nboxes; i++)
        if (s->boxes[i].id == id)
            return &s->boxes[i];
    return NULL;
}

static struct box *box_get(struct session *s, uint64_t id)
{
    struct box *b = box_find(s, id);
    if (!b)
        bug("a mailbox that was put is gone");
    return b;
}

struct box *box_put(struct session *s, uint64_t id, struct str name)
{
    struct box *b = box_find(s, id);
    if (!b) {
        s->boxes = mem_resize(s->boxes, s->nboxes + 1, sizeof(*s->boxes));
        b = &s->boxes[s->nboxes++];
        *b = (struct box){.id = id};
    } else if (!str_eq(name, (struct str){b->name, b->name_len})) {
        b->uidvalidity = 0;
        b->modseq = 0;
    }
    char *copy = mem_dup_n(name.p, name.n);
    free(b->name);
    b->name = copy;
    b->name_len = name.n;
    return b;
}

static bool select_send(struct session *s, const struct box *b, uint32_t uidvalidity, uint64_t modseq, uint32_t *tag_r,
                        struct err *err)
{
    struct imap_cmd c;
    imap_cmd_init(&c, b->readonly ? "EXAMINE " : "SELECT ");
    imap_cmd_mailbox(s->imap, &c, (struct str){b->name, b->name_len});
    s->resync_asked = imap_enabled(s->imap, IMAP_CAP_QRESYNC) && uidvalidity && modseq;
    if (s->resync_asked)
        imap_cmd_add(&c, " (QRESYNC (%u %llu))", uidvalidity, (unsigned long long)modseq);
    else if (imap_enabled(s->imap, IMAP_CAP_CONDSTORE))
        imap_cmd_add(&c, " (CONDSTORE)");
    session_deselect(s);
    s->selects++;
    s->selecting = true;
    s->selected = b->id;
    s->readonly = b->readonly;
    return imap_send(s->imap, &c, tag_r, err);
}

/* CONDSTORE without QRESYNC: what changed, though not what went (RFC 7162 3.1.4.1). */
static bool changed_since(struct session *s, uint64_t modseq, struct err *err)
{
    uint32_t tag;
    if (!imap_sendf(s->imap, &tag, err, "UID FETCH 1:* (UID FLAGS RFC822.SIZE%s) (CHANGEDSINCE %llu)",
                    imap_caps(s->imap) & IMAP_CAP_GMAIL ? " X-GM-LABELS" : "", (unsigned long long)modseq))
        return session_lost(s, err);
    return session_done(s, tag, NULL, err);
}

/* Was the SELECT that was sent ahead of the login's answer lost with it? A command behind it, answered before it, says
 * so. */
static bool select_lost(struct session *s, uint32_t tag, bool *lost_r, struct err *err)
{
    uint32_t probe, first;
    *lost_r = false;
    if (!imap_sendf(s->imap, &probe, err, "NOOP") || !imap_first(s->imap, tag, probe, &first, err))
        return false;
    *lost_r = first == probe;
    imap_forget(s->imap, probe);
    if (*lost_r)
        imap_forget(s->imap, tag);
    return true;
}

static bool select_again(struct session *s, struct box *b, uint32_t uidvalidity, uint64_t modseq, struct imap_result *r,
                         bool *alive_r, struct err *err)
{
    uint32_t tag;
    *alive_r = false;
    return select_send(s, b, uidvalidity, modseq, &tag, err) && imap_wait_ok(s->imap, tag, r, alive_r, err);
}

/* The end of a SELECT; one that was refused for what it asked, or for being early, is sent anew. */
static bool select_wait(struct session *s, struct box *b, uint32_t tag, uint32_t uidvalidity, uint64_t *modseq,
                        struct err *err)
{
    struct imap_result r = {0};
    bool early = s->early, lost = false, alive, ok;
    s->early = false;
    if (early && !select_lost(s, tag, &lost, err))
        return session_lost(s, err);
    if (lost) {
        alive = true;
        ok = false;
        if (s->rows_tag)
            imap_forget(s->imap, s->rows_tag);
        s->rows_tag = s->rows_step = 0;
    } else {
        ok = imap_wait_ok(s->imap, tag, &r, &alive, err);
    }
    if (alive && early && (lost || r.what == IMAP_BAD))
        ok = imap_enable(s->imap, err) ? select_again(s, b, uidvalidity, *modseq, &r, &alive, err) : (alive = false);
    if (alive && !ok && r.what == IMAP_BAD && imap_enabled(s->imap, IMAP_CAP_CONDSTORE)) {
        /* It offered what it does not know (THREATS 62): without. */
        imap_disable(s->imap, IMAP_CAP_CONDSTORE | IMAP_CAP_QRESYNC);
        *modseq = 0;
        ok = select_again(s, b, 0, 0, &r, &alive, err);
    }
    if (!alive)
        return session_lost(s, err);
    s->selecting = false;
    s->exists_news = s->modseq_news = false;
    if (!ok) {
        s->selected = 0;
        if (err->kind == ERR_SERVER_NO)
            err->kind = ERR_NO_MAILBOX;
    } else if (str_case_eqz(r.code, "READ-ONLY")) {
        s->readonly = true;
    }
    return ok;
}

static bool select_finish(struct session *s, struct box *b, uint32_t tag, uint32_t uidvalidity, uint64_t modseq,
                          uint8_t *resync_r, struct err *err)
{
    if (!select_wait(s, b, tag, uidvalidity, &modseq, err))
        return false;
    if (s->nomodseq || !imap_enabled(s->imap, IMAP_CAP_CONDSTORE))
        s->modseq = 0;
    bool same = uidvalidity && uidvalidity == s->uidvalidity && modseq && s->modseq;
    *resync_r = !same ? 0 : s->resync_asked ? 1 : 2;
    if (*resync_r == 2 && s->modseq > modseq && s->exists && !changed_since(s, modseq, err))
        return false;
    b->modseq = s->modseq;
    if (!b->uidvalidity)
        b->uidvalidity = s->uidvalidity;
    return true;
}

/* Another mailbox is wanted before the turn of steps whose commands were sent ahead: the answers are read, for the
 * mailbox that they are about, and these steps ask again. */
static bool select_drain(struct session *s, struct err *err)
{
    uint32_t tag = s->select_tag;
    struct box *b = box_find(s, s->selected);
    struct err refused = ERR_INIT;
    uint64_t modseq = 0;
    s->select_tag = s->select_step = 0;
    if (tag && b)
        select_wait(s, b, tag, 0, &modseq, &refused);
    if (s->rows_tag && !s->f->lost)
        rows_wait(s, &refused);
    *err = refused;
    return !s->f->lost && !s->f->ended;
}

bool select_box(struct session *s, struct box *b, uint32_t uidvalidity, uint64_t modseq, uint8_t *resync_r,
                struct err *err)
{
    uint32_t tag;
    uint64_t id = b->id;
    if (!select_drain(s, err) || !bodies_drain(s, err) || !acts_drain(s, err))
        return false;
    b = box_get(s, id);
    if (!select_send(s, b, uidvalidity, modseq, &tag, err))
        return session_lost(s, err);
    fetch_ahead(s->f);
    if (s->f->lost) {
        *err = s->f->lost_err;
        return false;
    }
    b = box_get(s, id);
    return select_finish(s, b, tag, uidvalidity, modseq, resync_r, err);
}

bool select_leave(struct session *s, struct str name, struct err *err)
{
    struct box *b = box_find(s, s->selected);
    struct err refused = ERR_INIT;
    bool unselect = (imap_caps(s->imap) & IMAP_CAP_UNSELECT) != 0, alive;
    struct imap_result r;
    uint32_t tag;
    if (!b || !str_eq(name, (struct str){b->name, b->name_len}))
        return true;
    if (!select_drain(s, err) || !bodies_drain(s, err) || !acts_drain(s, err))
        return false;
    session_deselect(s);
    s->selecting = true; /* what EXAMINE tells is of no mailbox here */
    bool ok = imap_sendf(s->imap, &tag, &refused, unselect ? "UNSELECT" : "EXAMINE INBOX") &&
              (imap_wait_ok(s->imap, tag, &r, &alive, &refused) || alive);
    s->selecting = false;
    session_deselect(s);
    if (ok)
        return true;
    *err = refused;
    return session_lost(s, err);
}

bool box_open_tell(struct session *s, uint8_t resync, struct err *err)
{
    return FETCH_SEND(s->f, err, BOX_OPEN, .box = s->selected, .uidvalidity = s->uidvalidity, .uidnext = s->uidnext,
                      .modseq = s->modseq, .exists = s->exists, .readonly = s->readonly, .resync = resync,
                      .keywords_ok = s->keywords_ok, .keywords = buf_str(&s->keeps));
}

bool select_ensure(struct session *s, uint64_t id, bool write, struct err *err)
{
    struct box *b = box_find(s, id);
    uint8_t resync;
    if (!b)
        return err_set(err, ERR_NO_MAILBOX, "the mailbox of this step was never selected");
    bool here = s->selected == id && !s->selecting;
    if (here && !(write && s->readonly))
        return true;
    if (here && !b->readonly)
        return err_set(err, ERR_READ_ONLY, "the server gives this mailbox for reading only");
    if (write)
        b->readonly = false;
    uint32_t known = b->uidvalidity;
    if (!select_box(s, b, known, b->modseq, &resync, err))
        return false;
    if (known && s->uidvalidity != known) { /* never act on old UIDs (THREATS 43, 44) */
        box_get(s, id)->uidvalidity = s->uidvalidity;
        return box_open_tell(s, 0, err) && err_set(err, ERR_NO_MESSAGE, "the mailbox was renumbered by the server");
    }
    if (write && s->readonly)
        return err_set(err, ERR_READ_ONLY, "the server gives this mailbox for reading only");
    s->exists_news = true;
    return session_news(s, err);
}

bool select_uids(struct session *s, uint64_t id, uint32_t uidvalidity, bool write, struct err *err)
{
    uint32_t selects = s->selects;
    if (!select_ensure(s, id, write, err))
        return false;
    bool stands = selects == s->selects;
    if (uidvalidity ? uidvalidity == s->uidvalidity : stands)
        return true;
    return (stands || box_open_tell(s, 0, err)) &&
           err_set(err, ERR_CANCELED, "the server has numbered the mailbox anew"); /* THREATS 43, 44 */
}

static bool select_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    struct session *s = f->session;
    struct err err = ERR_INIT;
    const struct m_STEP_SELECT *q = &m->u.STEP_SELECT;
    if (!s || !s->imap || s->selected || s->selecting || s->select_tag || !q->box)
        return false;
    for (size_t i = 0; s->early && i < q->name.n; i++)
        if ((unsigned char)q->name.p[i] < 0x20 || (unsigned char)q->name.p[i] >= 0x7F || q->name.p[i] == '&')
            return false; /* a literal, or what ENABLE says of names, would be waited for */
    struct box *b = box_put(s, q->box, q->name);
    b->readonly = false;
    if (!select_send(s, b, q->uidvalidity, q->modseq, &s->select_tag, &err))
        return session_lost(s, &err);
    s->select_step = step;
    return true;
}

static bool step_select(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s;
    const struct m_STEP_SELECT *q = &m->u.STEP_SELECT;
    uint8_t resync = 0;
    bool ok;
    if (!session_need(f, &s, err))
        return false;
    if (!q->box || !q->name.n)
        return err_set(err, ERR_NO_MAILBOX, "a mailbox without a name");
    if (s->select_tag && s->select_step == fetch_step(f)) {
        uint32_t tag = s->select_tag;
        s->select_tag = s->select_step = 0;
        ok = select_finish(s, box_get(s, q->box), tag, q->uidvalidity, q->modseq, &resync, err);
    } else {
        struct box *b = box_put(s, q->box, q->name);
        b->readonly = false;
        ok = select_box(s, b, q->uidvalidity, q->modseq, &resync, err);
    }
    if (!ok)
        return false;
    struct box *b = box_get(s, q->box);
    b->uidvalidity = s->uidvalidity;
    return box_open_tell(s, resync, err);
}

/* ---- Connecting --------------------------------------------------------------------------------- */
/* What is to be done first goes out behind the login. */
static bool on_ahead(void *arg, struct err *err)
{
    struct session *s = arg;
    fetch_wake(s->f);
    s->early = true;
    fetch_ahead(s->f);
    s->early = s->select_tag != 0;
    if (s->f->lost)
        *err = s->f->lost_err;
    return !s->f->lost;
}

static bool log_in(struct fetch *f, struct session *s, struct str caps, struct err *err)
{
    struct imap_handler h = {.arg = s,
                             .event = on_event,
                             .sink = body_sink,
                             .sink_progress = body_sink_progress,
                             .ahead = s->cautious ? NULL : on_ahead};
    for (bool last = false;; last = true) {
        if (!fetch_open(f, err))
            return false;
        s->imap = imap_new(f->stream, &h, f->stream_options.answer_ms);
        imap_deadline_cap(s->imap, &f->cancel_by);
        imap_caps_expect(s->imap, caps);
        if (f->account->send_id)
            imap_identity(s->imap, PACKAGE_NAME, PACKAGE_VERSION);
        if (imap_greet(s->imap, &f->account->in, err) && imap_login(s->imap, &f->account->in, &f->secret, err)) {
            fetch_logged_in(f);
            return true;
        }
        s->cautious = s->cautious || err->kind == ERR_PROTOCOL || err->kind == ERR_SERVER_BYE || err->kind == ERR_LINE;
        f->lost = false; /* the login says what was wrong */
        imap_closed(f);
        if (!fetch_login_failed(f, last, err))
            return false;
    }
}

static bool step_connect(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s = f->session;
    if (!s)
        f->session = s = session_new(f);
    if (f->stream && s->imap)
        return true;
    if (!sasl_unbound().n)
        sasl_unbound_set(m->u.STEP_CONNECT.unbound);
    if (!log_in(f, s, m->u.STEP_CONNECT.caps, err))
        return false;
    struct str caps = imap_caps_text(s->imap);
    struct buf text = BUF_INIT(4096);
    caps = str_sub(caps, 0, MIN(caps.n, 3000));
    stream_describe(f->stream, &text);
    buf_addz(&text, text.n ? "; " : "");
    buf_adds(&text, caps);
    bool ok = FETCH_SEND(f, err, ONLINE, .caps = imap_caps(s->imap), .caps_text = buf_str(&text), .words = caps,
                         .unbound = sasl_unbound());
    buf_fini(&text);
    return ok;
}

static bool step_close(struct fetch *f, struct msg *m, struct err *err)
{
    (void)m;
    struct session *s = f->session;
    uint32_t tag;
    struct err ignored = ERR_INIT;
    (void)err;
    if (f->stream && s && s->imap) {
        /* A farewell that is not waited for. */
        if (imap_sendf(s->imap, &tag, &ignored, "LOGOUT"))
            stream_flush(f->stream, &ignored);
        imap_closed(f);
        stream_close(&f->stream);
    }
    return true;
}

/* ---- Tables ------------------------------------------------------------------------------------- */
const struct step_handler imap_steps[] = {
    {MSG_STEP_CONNECT, step_connect, NULL},
    {MSG_STEP_CLOSE, step_close, NULL},
    {MSG_STEP_LIST, imap_step_list, NULL},
    {MSG_STEP_STATUS, imap_step_status, NULL},
    {MSG_STEP_SELECT, step_select, select_ahead},
    {MSG_STEP_ROWS_TOP, imap_step_rows_top, top_ahead},
    {MSG_STEP_ROWS, imap_step_rows, rows_ahead},
    {MSG_STEP_MORE, imap_step_more, NULL},
    {MSG_STEP_FLAGS, imap_step_flags, NULL},
    {MSG_STEP_UIDS, imap_step_uids, NULL},
    {MSG_STEP_BODY, imap_step_body, body_ahead},
    {MSG_STEP_STORE, imap_step_act, act_ahead},
    {MSG_STEP_CLAIM, imap_step_claim, NULL},
    {MSG_STEP_MOVE, imap_step_act, act_ahead},
    {MSG_STEP_EXPUNGE, imap_step_act, act_ahead},
    {MSG_STEP_FIND, imap_step_find, NULL},
    {MSG_STEP_SEARCH, imap_step_search, NULL},
    {MSG_STEP_APPEND, imap_step_append, append_ahead},
    {MSG_STEP_BOX, imap_step_box, NULL},
    {MSG_STEP_WATCH, imap_step_watch, NULL},
    {MSG_NONE, NULL, NULL},
};
static bool may_send(struct fetch *f)
{
    struct session *s = f->session;
    return s && s->imap && imap_may_send(s->imap);
}

/* Between two searches nothing is said, and no mail is looked for. */
const struct fetch_protocol imap_search_protocol = {
    .proto = PROTO_IMAP, .steps = imap_steps, .closed = imap_closed, .may_send = may_send};
const struct fetch_protocol imap_protocol = {.proto = PROTO_IMAP,
                                             .steps = imap_steps,
                                             .idle = imap_idle,
                                             .closed = imap_closed,
                                             .may_send = may_send,
                                             .wake = second_wake};
