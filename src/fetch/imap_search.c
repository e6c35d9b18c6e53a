/* What a query finds on the server: SEARCH on a line of its own (RFC 3501 6.4.4, ESEARCH RFC 4731, PARTIAL RFC 9394).
 */
#include "fetch/imap.h"
#include "mail/imap_query.h"

#define PATIENCE_MS 600000 /* without an index of words a server reads every mail */
#define RANGES_PER_MSG 4000

static void keys_add(struct session *s, struct imap_cmd *c, struct str keys)
{
    struct str text, string;
    while (str_split(&keys, IMAP_QUERY_OPEN, &text)) {
        imap_cmd_add(c, "%.*s", STR_FMT(text));
        if (keys.p && str_split(&keys, IMAP_QUERY_CLOSE, &string))
            imap_cmd_string(s->imap, c, string);
    }
}

static bool ask(struct session *s, const struct imap_query *q, uint32_t most, struct err *err)
{
    uint64_t caps = imap_caps(s->imap);
    struct imap_cmd c;
    struct imap_result r = {.code = STR("")};
    bool partial = (caps & IMAP_CAP_PARTIAL) && (caps & IMAP_CAP_ESEARCH);
    imap_cmd_init(&c, "UID SEARCH ");
    if (partial)
        imap_cmd_add(&c, "RETURN (PARTIAL -1:-%u COUNT) ", most);
    else if (caps & IMAP_CAP_ESEARCH)
        imap_cmd_add(&c, "RETURN (ALL COUNT) ");
    if (q->utf8 && !imap_utf8(s->imap))
        imap_cmd_add(&c, "CHARSET UTF-8 ");
    keys_add(s, &c, buf_str(&q->keys));
    buf_reset(&s->found);
    s->seek.count = UINT32_MAX;
    imap_patience(s->imap, PATIENCE_MS);
    bool ok = imap_send(s->imap, &c, &s->seek.tag, err);
    if (!ok && err->kind != ERR_USAGE)
        session_lost(s, err);
    s->searching = true;
    ok = ok && session_done(s, s->seek.tag, &r, err);
    s->searching = false;
    s->seek.tag = 0;
    if (s->f->lost || s->f->ended)
        return false;
    imap_patience(s->imap, s->f->stream_options.answer_ms);
    if (!ok && str_case_eqz(r.code, "BADCHARSET"))
        return err_set(err, ERR_SERVER_NO, "the server searches for ASCII characters alone");
    return ok;
}

struct range {
    uint32_t lo, hi;
};

static int by_lo(const void *a, const void *b)
{
    uint32_t x = ((const struct range *)a)->lo, y = ((const struct range *)b)->lo;
    return (x > y) - (x < y);
}

/* The newest `most` of what the server named, in whatever order and however absurd. */
static bool found_tell(struct session *s, uint64_t box, uint32_t most, struct err *err)
{
    size_t n = ipc_ranges_count(buf_str(&s->found)), kept = 0;
    uint32_t top = s->uidnext ? s->uidnext - 1 : UINT32_MAX;
    struct range *list = mem_array(n + 1, sizeof *list);
    struct buf out = BUF_INIT(8 * RANGES_PER_MSG);
    uint64_t total = 0;
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        struct range r;
        ipc_ranges_at(buf_str(&s->found), i, &r.lo, &r.hi);
        r.hi = MIN(r.hi, top);
        if (r.lo && r.lo <= r.hi)
            list[kept++] = r;
    }
    buf_fini(&s->found);
    qsort(list, kept, sizeof *list, by_lo);
    n = 0;
    for (size_t i = 0; i < kept; i++) { /* joined */
        if (n > 0 && list[i].lo - 1 <= list[n - 1].hi)
            list[n - 1].hi = MAX(list[n - 1].hi, list[i].hi);
        else
            list[n++] = list[i];
    }
    for (size_t i = 0; i < n; i++)
        total += (uint64_t)list[i].hi - list[i].lo + 1;
    if (s->seek.count != UINT32_MAX && s->seek.count <= s->exists)
        total = MAX(total, (uint64_t)s->seek.count);
    for (size_t i = n; i-- > 0 && most > 0 && ok;) {
        uint32_t take = (uint32_t)MIN((uint64_t)most, (uint64_t)list[i].hi - list[i].lo + 1);
        ipc_ranges_add(&out, list[i].hi - take + 1, list[i].hi);
        most -= take;
        if (ipc_ranges_count(buf_str(&out)) == RANGES_PER_MSG) {
            ok = FETCH_SEND(s->f, err, UIDS, .step = fetch_step(s->f), .box = box, .ranges = buf_str(&out));
            buf_reset(&out);
        }
    }
    ok = ok && FETCH_SEND(s->f, err, UIDS, .step = fetch_step(s->f), .box = box, .last = 1, .ranges = buf_str(&out)) &&
         FETCH_SEND(s->f, err, SEARCHED, .step = fetch_step(s->f), .box = box,
                    .total = (uint32_t)MIN(total, (uint64_t)s->exists));
    buf_fini(&out);
    free(list);
    return ok;
}

static bool open_box(struct session *s, const struct m_STEP_SEARCH *q, struct err *err)
{
    uint8_t resync;
    struct box *b = box_put(s, q->box, q->name);
    b->readonly = true; /* only looking: no \Recent is taken from anybody */
    /* also where it is open since an earlier search: what came meanwhile is above the UIDNEXT of then */
    if (!select_box(s, b, 0, 0, &resync, err))
        return false;
    b = box_find(s, q->box);
    if (b)
        b->uidvalidity = s->uidvalidity;
    if (!box_open_tell(s, 0, err))
        return false;
    return !q->uidvalidity || q->uidvalidity == s->uidvalidity ||
           err_set(err, ERR_NO_MESSAGE, "the server has numbered the mailbox anew");
}

bool imap_step_search(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_SEARCH *q = &m->u.STEP_SEARCH;
    struct session *s;
    struct imap_query keys;
    if (!session_need(f, &s, err))
        return false;
    f->gentle = false; /* a search cannot be called off: the line is given up */
    if (!q->box || !q->name.n)
        return err_set(err, ERR_NO_MAILBOX, "a mailbox without a name");
    if (!open_box(s, q, err))
        return false;
    uint64_t caps = imap_caps(s->imap);
    struct imap_query_for to = {.now = clock_wall(),
                                .account = str_z(f->account->name),
                                .box = q->utf8,
                                .role = q->role,
                                .within = (caps & IMAP_CAP_WITHIN) != 0,
                                .gmail = (caps & IMAP_CAP_GMAIL) != 0,
                                .fuzzy = q->fuzzy && (caps & IMAP_CAP_FUZZY)};
    bool ok = imap_query_make(q->query, &to, &keys, err);
    buf_reset(&s->found);
    s->seek.count = UINT32_MAX;
    if (ok && !keys.never && !keys.nothing && s->exists > 0)
        ok = ask(s, &keys, q->most, err);
    imap_query_fini(&keys);
    return ok && found_tell(s, q->box, q->most, err);
}
