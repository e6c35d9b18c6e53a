/* A query of much mail is asked in slices by date, the newest first: libnotmuch collects and sorts all hits of a query
 * before it gives the first. */
#include "search/run.h"

#ifndef SLICED_FROM        /* a test's are smaller */
#define SLICED_FROM 150000 /* messages; with fewer all of them are asked at once */
#define FIRST_RANKS 20000  /* of the first slice: what every second has is a screen many times over */
#define SLICE_HITS 100000  /* of those behind it, as the one before lets expect */
#endif
#define BIG_MAX 16 /* mailboxes of an account that count for where a slice ends */
#define DATE_MIN 1
#define DATE_MAX (INT64_C(1) << 36) /* in 4147; what is beyond is no date to go by */

/* What is looked for in the databases of rows: how many messages the query is about, or where its slice ends. */
struct mailboxes {
    const struct run *r;
    uint64_t total;
    uint32_t rank;
    struct big {
        uint64_t box;
        uint32_t known;
    } big[BIG_MAX]; /* those that go beyond the rank */
    size_t nbig;
};

static void look_box(void *arg, const struct box_row *box)
{
    struct mailboxes *m = arg;
    uint64_t of = m->r->m->box;
    if (of != 0 && (of == QUERY_INBOXES ? box->role != BOX_INBOX : box->id != of))
        return;
    m->total += box->known;
    if (box->known > m->rank && m->nbig < BIG_MAX)
        m->big[m->nbig++] = (struct big){box->id, box->known};
}

static struct reader *look(struct mailboxes *m, size_t account)
{
    const struct run *r = m->r;
    struct err ignored = ERR_INIT;
    bool is = r->m->account.n == 0 || str_eqz(r->m->account, r->s->accounts[account]);
    struct reader *reader = is ? search_reader(r->s, account) : NULL;
    m->nbig = 0;
    if (reader != NULL)
        reader_boxes(reader, look_box, m, &ignored);
    return reader;
}

/* The date where so many of the mailbox with most of them are passed; false: of none there are so many. Mailboxes that
 * are not told apart make a slice some times as large. */
static bool date_at(const struct run *r, uint32_t rank, int64_t *date_r)
{
    struct mailboxes m = {.r = r, .rank = rank};
    struct err ignored = ERR_INIT;
    bool any = false;
    for (size_t a = 0; a < r->s->naccounts; a++) {
        struct reader *reader = look(&m, a);
        for (size_t i = 0; i < m.nbig; i++) {
            struct msg_row row;
            uint32_t at = r->m->order == SEARCH_OLDEST ? m.big[i].known - 1 - rank : rank;
            if (!reader_at_rank(reader, m.big[i].box, LIST_ALL, at, &row, &ignored) || row.id == 0)
                continue;
            bool before = r->m->order == SEARCH_OLDEST ? row.date < *date_r : row.date > *date_r;
            if (!any || before)
                *date_r = row.date;
            any = true;
        }
    }
    return any;
}

/* What queries in brackets ask is asked again for each slice; of some messages there are few. */
static bool worth(const struct run *r, const char *text)
{
    struct mailboxes m = {.r = r, .rank = UINT32_MAX};
    if (r->m->msgs.n > 0 || strchr(text, '{') != NULL)
        return false;
    for (size_t a = 0; a < r->s->naccounts; a++)
        look(&m, a);
    return m.total >= SLICED_FROM;
}

void slices_begin(struct run *r, const char *text)
{
    r->slices = (struct slices){.text = text, .last = !worth(r, text), .width = FIRST_RANKS};
}

/* How wide the next is, as many hits as the last had. */
static uint32_t next_width(const struct slices *s)
{
    uint64_t width = s->hits > 0 ? (uint64_t)s->width * SLICE_HITS / s->hits : UINT32_MAX;
    return (uint32_t)MIN(width, (uint64_t)UINT32_MAX - s->rank);
}

/* Where the next slice ends; false: it is the last. */
static bool next_bound(const struct run *r, int64_t *bound_r)
{
    const struct slices *s = &r->slices;
    bool oldest = r->m->order == SEARCH_OLDEST;
    if (s->last || !date_at(r, s->rank, bound_r) || *bound_r < DATE_MIN || *bound_r > DATE_MAX)
        return false;
    return s->rank == s->width || (oldest ? *bound_r > s->bound : *bound_r < s->bound);
}

/* The words that restrict it to the next slice, none where it is all. Dates are whole seconds, and those of a bound are
 * in the slice that it ends. What has no date, or one before 1970, is in no "date:..X". */
static void next_dates(struct run *r, struct buf *words)
{
    struct slices *s = &r->slices;
    bool oldest = r->m->order == SEARCH_OLDEST, begun = s->begun;
    long long from = s->bound + (oldest ? 1 : 0); /* the first second above, and behind, where the last one ended */
    s->width = begun ? next_width(s) : s->width;
    s->rank += s->width;
    s->hits = 0;
    s->begun = true;
    s->last = !next_bound(r, &s->bound);
    long long to = s->bound + (oldest ? 1 : 0), low = oldest ? from : to, high = oldest ? to : from;
    bool has_low = oldest ? begun : !s->last, has_high = oldest ? !s->last : begun;
    if (has_low && has_high)
        buf_addf(words, "date:@%lld..@%lld", low, high - 1);
    else if (has_low)
        buf_addf(words, "date:@%lld..", low);
    else if (has_high)
        buf_addf(words, "not date:@%lld..", high);
}

static void side_end(struct side *side)
{
    if (side->first != NULL)
        notmuch_message_destroy(side->first);
    if (side->part != NULL)
        notmuch_query_destroy(side->part);
    side->first = NULL;
    side->part = NULL;
    side->asked = false;
}

static bool ask_side(struct run *r, struct side *side, const struct buf *text, struct err *err)
{
    side_end(side);
    return side->db == NULL ||
           ((text->n == 0 || side_query(r, side, buf_z(text), &side->part, err)) && side_ask(side, side->part, err));
}

bool slices_next(struct run *r, bool *more_r, struct err *err)
{
    struct slices *s = &r->slices;
    struct buf dates = BUF_INIT(100), text = BUF_INIT(1u << 20);
    *more_r = !s->begun || !s->last;
    if (*more_r)
        next_dates(r, &dates);
    if (dates.n > 0)
        query_both(str_z(s->text), buf_str(&dates), &text); /* of 256 KB: it is not full */
    bool ok = !*more_r || (ask_side(r, &r->ours, &text, err) && ask_side(r, &r->own, &text, err));
    buf_fini(&dates);
    buf_fini(&text);
    return ok;
}
