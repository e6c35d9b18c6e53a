/* Which of several devices runs its rules over a mail: the one that sets a keyword first (RFC 7162 3.1.3). A STORE with
 * UNCHANGEDSINCE does nothing where the message has changed since its flags were read, so of two only one succeeds;
 * what had changed otherwise is read and tried again. */
#include "fetch/imap.h"

#define ROUNDS_MAX 8
#define STORES_MAX 8 /* under way */
#define SET_MAX 2000
#define ANSWER_MAX 4000 /* ranges */

struct claim {
    uint32_t uid;
    uint64_t modseq;
    bool here, ruled; /* by the last FETCH */
    bool tried;       /* a STORE of it ended in a way that does not tell */
    enum { OPEN, SURE, UNSURE, OTHERS } is;
};
struct claims {
    struct claim *list; /* by UID */
    size_t n;
};

static int by_uid(const void *a, const void *b)
{
    uint32_t x = ((const struct claim *)a)->uid, y = ((const struct claim *)b)->uid;
    return (x > y) - (x < y);
}

static int by_modseq(const void *a, const void *b)
{
    const struct claim *x = *(struct claim *const *)a, *y = *(struct claim *const *)b;
    return x->modseq != y->modseq ? (x->modseq > y->modseq) - (x->modseq < y->modseq) : by_uid(x, y);
}

void claims_note(struct session *s, const struct imap_fetch *ft)
{
    struct claim key = {.uid = ft->uid}, *c = bsearch(&key, s->claims->list, s->claims->n, sizeof key, by_uid);
    struct str words = ft->keywords, word;
    if (!c)
        return;
    c->here = true;
    c->ruled = false;
    c->modseq = ft->modseq;
    while (!c->ruled && str_split(&words, ' ', &word))
        c->ruled = str_case_eqz(word, RULED_KEYWORD);
}

static bool can_be_kept(const struct session *s)
{
    struct str words = buf_str(&s->keeps), word;
    bool kept = s->keywords_ok;
    while (!kept && str_split(&words, ' ', &word))
        kept = str_case_eqz(word, RULED_KEYWORD);
    return kept;
}

/* "1,2,3" of those from `at` on, of at most SET_MAX bytes. */
static size_t set_of(struct claim *const *list, size_t at, size_t n, struct buf *out)
{
    buf_reset(out);
    for (; at < n && out->n + 12 < SET_MAX; at++)
        buf_addf(out, out->n ? ",%u" : "%u", list[at]->uid);
    return at;
}

/* What the open ones are now. */
static bool look(struct session *s, struct claim **list, size_t n, struct err *err)
{
    struct buf set = BUF_INIT(SET_MAX);
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        list[i]->here = false;
    for (size_t at = 0; ok && at < n;) {
        uint32_t tag;
        at = set_of(list, at, n, &set);
        ok = imap_sendf(s->imap, &tag, err, "UID FETCH %s (UID FLAGS%s)", buf_z(&set), s->modseq ? " MODSEQ" : "") ||
             session_lost(s, err);
        ok = ok && session_done(s, tag, NULL, err);
    }
    buf_fini(&set);
    return ok;
}

struct store {
    uint32_t tag;
    size_t from, to; /* in the list */
};

static bool store_send(struct session *s, struct claim **list, struct store *x, size_t end, struct err *err)
{
    struct buf set = BUF_INIT(SET_MAX), when = BUF_INIT(64);
    x->to = set_of(list, x->from, end, &set);
    uint64_t modseq = list[x->to - 1]->modseq; /* the highest, for they are in that order */
    if (s->modseq)
        buf_addf(&when, " (UNCHANGEDSINCE %llu)", (unsigned long long)modseq);
    bool ok = imap_sendf(s->imap, &x->tag, err, "UID STORE %s%s +FLAGS.SILENT (" RULED_KEYWORD ")", buf_z(&set),
                         buf_z(&when)) ||
              session_lost(s, err);
    buf_fini(&set);
    buf_fini(&when);
    return ok;
}

static bool in_set(struct str set, uint32_t uid)
{
    uint32_t lo, hi;
    while (imap_set_next(&set, &lo, &hi))
        if (lo <= uid && uid <= hi)
            return true;
    return false;
}

/* False only for a broken line. A refusal leaves open what it did. */
static bool store_wait(struct session *s, struct claim **list, const struct store *x, struct err *err)
{
    struct imap_result r = {.code = STR(""), .args = STR("")};
    bool ok = session_done(s, x->tag, &r, err);
    if (!ok && (s->f->lost || s->f->ended))
        return false;
    bool some = str_case_eqz(r.code, "MODIFIED");
    for (size_t i = x->from; i < x->to; i++)
        if (!ok)
            list[i]->tried = true;
        else if (!some || !in_set(r.args, list[i]->uid))
            list[i]->is = s->modseq ? SURE : UNSURE;
    *err = ERR_INIT;
    return true;
}

/* One STORE for all that has not changed since `known` was the mailbox's last change, whatever each one's: nothing can
 * have changed behind it that is not above it. What is newer is claimed by its own. */
static size_t store_end(const struct session *s, struct claim *const *list, size_t from, size_t n, uint64_t known)
{
    size_t to = from + 1;
    while (to < n && (!s->modseq || list[to]->modseq == list[from]->modseq || list[to]->modseq <= known))
        to++;
    return to;
}

static bool stores_run(struct session *s, struct claim **list, size_t n, uint64_t known, struct err *err)
{
    struct store sent[STORES_MAX];
    size_t under_way = 0, at = 0;
    bool ok = true;
    qsort(list, n, sizeof(struct claim *), by_modseq);
    while (ok && (at < n || under_way)) {
        if (at < n && under_way < STORES_MAX) {
            struct store *x = &sent[under_way];
            x->from = at;
            ok = store_send(s, list, x, store_end(s, list, at, n, known), err);
            at = x->to;
            under_way += ok;
        } else {
            ok = store_wait(s, list, &sent[0], err);
            memmove(sent, sent + 1, --under_way * sizeof *sent);
        }
    }
    return ok;
}

/* A round: what is there without the keyword is claimed; *open_r: still undecided. */
static bool claims_round(struct session *s, const struct m_STEP_CLAIM *q, bool kept, size_t *open_r, struct err *err)
{
    struct claims *all = s->claims;
    struct claim **list = mem_array(all->n + 1, sizeof *list);
    size_t n = 0, free_ones = 0;
    uint64_t known = s->modseq;
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i].is == OPEN)
            list[n++] = &all->list[i];
    bool ok = look(s, list, n, err);
    for (size_t i = 0; ok && i < n; i++) {
        struct claim *c = list[i];
        if (!c->here)
            c->is = OTHERS;
        else if (c->ruled)
            c->is = q->again || c->tried ? UNSURE : OTHERS;
        else if (!kept || c->tried) /* the server takes no such keyword */
            c->is = UNSURE;
        else if (!s->modseq || c->modseq)
            list[free_ones++] = c;
        else
            c->is = UNSURE;
    }
    ok = ok && stores_run(s, list, free_ones, known, err);
    *open_r = 0;
    for (size_t i = 0; i < all->n; i++)
        *open_r += all->list[i].is == OPEN;
    free(list);
    return ok;
}

static bool claims_tell(struct session *s, uint64_t box, bool sure, struct err *err)
{
    struct buf ranges = BUF_INIT(8 * ANSWER_MAX);
    const struct claims *all = s->claims;
    bool ok = true;
    for (size_t i = 0; ok && i <= all->n; i++) {
        if (i < all->n && all->list[i].is == (sure ? SURE : UNSURE))
            ipc_ranges_add(&ranges, all->list[i].uid, all->list[i].uid);
        if ((i == all->n && ranges.n) || ipc_ranges_count(buf_str(&ranges)) == ANSWER_MAX) {
            ok = FETCH_SEND(s->f, err, CLAIMED, .step = fetch_step(s->f), .box = box, .sure = sure,
                            .ranges = buf_str(&ranges));
            buf_reset(&ranges);
        }
    }
    buf_fini(&ranges);
    return ok;
}

static bool claims_of(struct str ranges, struct claims *all)
{
    size_t cap = 0;
    uint32_t lo, hi;
    for (size_t k = 0; k < ipc_ranges_count(ranges); k++) {
        ipc_ranges_at(ranges, k, &lo, &hi);
        for (uint64_t uid = lo; lo && uid <= hi; uid++) {
            if (all->n == ANSWER_MAX)
                return false;
            if (all->n == cap)
                all->list = mem_resize(all->list, cap = cap ? cap * 2 : 64, sizeof *all->list);
            all->list[all->n++] = (struct claim){.uid = (uint32_t)uid};
        }
    }
    if (all->n)
        qsort(all->list, all->n, sizeof *all->list, by_uid);
    return true;
}

bool imap_step_claim(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_CLAIM *q = &m->u.STEP_CLAIM;
    struct session *s;
    struct claims all = {.n = 0};
    size_t open = 1;
    if (!session_need(f, &s, err) || !select_uids(s, q->box, q->uidvalidity, true, err))
        return false;
    bool ok = claims_of(q->uids, &all) || err_set(err, ERR_LIMIT, "too many messages in one claim");
    s->claims = &all;
    for (unsigned i = 0; ok && open && i < ROUNDS_MAX; i++)
        ok = claims_round(s, q, can_be_kept(s), &open, err);
    /* also what was decided before the server refused something */
    bool told = f->lost || (claims_tell(s, q->box, true, err) && claims_tell(s, q->box, false, err));
    s->claims = NULL;
    free(all.list);
    return ok && told && (!open || err_set(err, ERR_SERVER_TEMP, "the messages change all the time"));
}
