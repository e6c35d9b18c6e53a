/* sync: the plan of a connection, UID sets, the decisions of POP3: pure functions, so no server and no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/ipc.h"
#include "sync/sync.h"

static struct buf ranges_of(const uint32_t *pairs, size_t n)
{
    struct buf b = BUF_INIT(32768);
    for (size_t i = 0; i + 1 < n; i += 2) {
        uint32_t lo = pairs[i], hi = pairs[i + 1];
        for (int k = 0; k < 4; k++)
            buf_addc(&b, (char)(lo >> (8 * k)));
        for (int k = 0; k < 4; k++)
            buf_addc(&b, (char)(hi >> (8 * k)));
    }
    return b;
}
#define RANGES(...) ranges_of((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void sets_pack_sorted_and_joined(void **state)
{
    (void)state;
    struct uid_set s = UID_SET_INIT(6);
    const uint32_t in[] = {9, 3, 1, 2, 2, 4294967295u};
    for (size_t i = 0; i < COUNT(in); i++)
        assert_true(uid_set_add(&s, in[i]));
    assert_false(uid_set_add(&s, 11)); /* past max */
    struct buf b = BUF_INIT(32768);
    assert_true(uid_set_pack(&s, &b));
    struct buf want = RANGES(1, 3, 9, 9, 4294967295u, 4294967295u);
    assert_true(str_eq(buf_str(&b), buf_str(&want)));
    assert_false(uid_set_add(&(struct uid_set){.max = 5}, 0));
    buf_fini(&b);
    buf_fini(&want);
    uid_set_fini(&s);
}

static void hostile_ranges_are_put_right(void **state)
{
    (void)state;
    /* THREATS 49: overlapping, falling, zero and whole-space ranges, never expanded. */
    struct buf in = RANGES(7, 9, 0, 4, 5, 2, 8, 20, 1, 3, 4000000000u, 4294967295u, 4100000000u, 4294967295u);
    struct buf out = BUF_INIT(32768), want = RANGES(1, 3, 7, 20, 4000000000u, 4294967295u);
    assert_true(ranges_normal(buf_str(&in), &out));
    assert_true(str_eq(buf_str(&out), buf_str(&want)));
    assert_int_equal(ranges_total(buf_str(&out)), 3 + 14 + 294967296u);
    buf_fini(&in);
    buf_fini(&out);
    buf_fini(&want);
}

static struct sync_box boxes[3];
static struct sync_facts facts;

static void fresh_facts(void)
{
    memset(boxes, 0, sizeof boxes);
    boxes[0] = (struct sync_box){.id = 1, .selectable = true, .inbox = true};
    boxes[1] = (struct sync_box){.id = 2, .selectable = true};
    boxes[2] = (struct sync_box){.id = 3, .selectable = true, .low = true};
    facts = (struct sync_facts){.online = true, .listed = true, .boxes = boxes, .nboxes = 3};
}

static void first_paint_comes_before_everything(void **state)
{
    (void)state;
    fresh_facts();
    facts.since_list = facts.since_status = INT64_MAX;
    facts.listed = false;
    boxes[1].watched = true;
    struct sync_step s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_SELECT);
    assert_int_equal(s.box, 2);
    assert_true(s.urgent);
    facts.selected = 2;
    assert_false(
        sync_box_opened(&boxes[1], 0, &(struct sync_opened){.uidvalidity = 7, .uidnext = 100001, .exists = 100000}));
    s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_TOP);
    assert_int_equal(s.below_seq, 0);
    assert_int_equal(s.count, SYNC_FIRST_PAGE);
    assert_true(s.urgent);
    /* The page is here: now the list of mailboxes, then counts, then what the page lacks, and only then older rows. */
    boxes[1].have = 60;
    boxes[1].hi_uid = 100000;
    boxes[1].fetched_uidnext = 100001;
    sync_rows_came(&boxes[1], 100000 - 59, 100000, 0);
    boxes[1].thin = boxes[1].page_thin = true;
    assert_int_equal(sync_next(&facts).kind, SYNC_LIST);
    facts.listed = true;
    facts.since_list = 0;
    assert_int_equal(sync_next(&facts).kind, SYNC_STATUS);
    facts.since_status = 0;
    s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_MORE);
    assert_int_equal(s.count, SYNC_FIRST_PAGE);
    boxes[1].page_thin = false;
    s = sync_next(&facts); /* the other end of a long list, for the End key */
    assert_int_equal(s.kind, SYNC_TOP);
    assert_int_equal(s.below_seq, SYNC_FIRST_PAGE);
    assert_int_equal(s.count, SYNC_FIRST_PAGE);
    sync_rows_came(&boxes[1], 1, SYNC_FIRST_PAGE, 0);
    s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_TOP);
    assert_int_equal(s.below_seq, 100000 - 60);
    assert_int_equal(s.count, SYNC_SLICE);
    assert_false(s.urgent || s.whole);
    /* New mail overtakes the older rows. */
    boxes[1].grew = true;
    boxes[1].exists++;
    s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_NEW);
    assert_int_equal(s.uid_lo, 100001);
    /* All known: watch, once. */
    boxes[1].grew = false;
    boxes[1].have = boxes[1].exists;
    sync_rows_came(&boxes[1], 1, 100000 - 60, 60);
    assert_int_equal(sync_next(&facts).kind, SYNC_MORE);
    boxes[1].thin = false;
    assert_int_equal(sync_next(&facts).kind, SYNC_WATCH);
    facts.watching = true;
    assert_int_equal(sync_next(&facts).kind, SYNC_NOTHING);
    facts.online = false;
    assert_int_equal(sync_next(&facts).kind, SYNC_NOTHING);
}

static void counts_that_disagree_end(void **state)
{
    (void)state;
    fresh_facts();
    facts.selected = 1;
    sync_box_opened(&boxes[0], 0, &(struct sync_opened){.uidvalidity = 7, .uidnext = 0, .exists = 4000000000u});
    boxes[0].have = 3; /* THREATS 50: the server claims four thousand million and gives three */
    boxes[0].stuck = true;
    assert_int_equal(sync_next(&facts).kind, SYNC_WATCH);
}

/* Rows that a full disk swallowed, or a start from a list that has a gap: where they are missing, the UIDs say, once.
 */
static void missing_rows_are_compared_once(void **state)
{
    (void)state;
    struct sync_box b = {.id = 1, .selectable = true, .inbox = true, .opened = true, .was_open = true};
    struct sync_facts f = {.online = true, .listed = true, .selected = 1, .boxes = &b, .nboxes = 1};
    b.exists = 1200;
    b.have = b.hi_uid = 1190;
    b.fetched_uidnext = b.uidnext = 1201;
    assert_int_equal(sync_next(&f).kind, SYNC_UIDS);
    sync_compare_begin(&b);
    sync_gap(&b, 1195, 1199);
    sync_gap(&b, 3, 7);
    sync_compare_end(&b);
    struct sync_step s = sync_next(&f);
    assert_int_equal(s.kind, SYNC_TOP);
    assert_int_equal(s.below_seq, 1199);
    assert_int_equal(s.count, 5);
    assert_true(s.whole);
    b.have += 5;
    sync_rows_came(&b, 1195, 1199, 1190);
    s = sync_next(&f);
    assert_int_equal(s.below_seq, 7);
    assert_false(b.stuck);
    sync_rows_came(&b, 3, 7, 1195); /* the server does not give them after all */
    assert_true(b.stuck);
    assert_int_equal(sync_next(&f).kind, SYNC_WATCH);
    assert_false(sync_busy(&f));
}

static void the_first_mail_of_an_empty_mailbox_is_asked_for(void **state)
{
    (void)state;
    fresh_facts();
    boxes[0].was_open = boxes[0].opened = true;
    facts.selected = 1;
    facts.watching = true;
    assert_int_equal(sync_next(&facts).kind, SYNC_NOTHING);
    boxes[0].exists = 1;
    boxes[0].grew = true;
    struct sync_step s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_TOP);
    assert_int_equal(s.below_seq, 0);
    /* a server that counts it and does not give it is not asked for ever */
    for (unsigned i = 0; i < 20 && s.kind == SYNC_TOP; i++) {
        sync_rows_came(&boxes[0], 1, 1, 0);
        s = sync_next(&facts);
    }
    assert_int_not_equal(s.kind, SYNC_TOP);
}

static void a_list_with_a_gap_fills_from_both_ends(void **state)
{
    (void)state;
    struct sync_box b = {.id = 1, .selectable = true, .inbox = true, .watched = true};
    struct sync_facts f = {.online = true, .listed = true, .selected = 1, .boxes = &b, .nboxes = 1};
    sync_box_opened(&b, 0, &(struct sync_opened){.uidvalidity = 7, .uidnext = 100001, .exists = 100000});
    b.have = 60;
    b.hi_uid = 100000;
    b.fetched_uidnext = 100001;
    sync_rows_came(&b, 99941, 100000, 0);
    sync_want(&b, 1, 20, 39); /* the End key */
    struct sync_step s = sync_next(&f);
    assert_int_equal(s.kind, SYNC_TOP);
    assert_true(s.urgent);
    assert_int_equal(s.below_seq, SYNC_FIRST_PAGE);
    assert_int_equal(s.count, SYNC_FIRST_PAGE);
    b.have += 60;
    sync_rows_came(&b, 1, 60, 60);
    assert_int_equal(b.want.hi, 0);
    s = sync_next(&f);
    assert_false(s.urgent);
    assert_int_equal(s.below_seq, 99940);
    assert_int_equal(s.count, SYNC_SLICE);
    /* Ten messages go, one does not know where: their numbers are asked for again rather than left out. */
    b.exists -= 10;
    sync_rows_gone(&b, 10);
    assert_int_equal(b.gaps[0].lo, 51);
    assert_int_equal(b.gaps[0].hi, 99940);
    /* A page in the middle makes two of one; what lies across an edge takes from it. */
    sync_rows_came(&b, 5000, 5100, 0);
    assert_int_equal(b.ngaps, 2);
    assert_int_equal(b.gaps[0].hi, 4999);
    assert_int_equal(b.gaps[1].lo, 5101);
    sync_rows_came(&b, 4000, 6000, 0);
    assert_int_equal(b.gaps[0].hi, 3999);
    assert_int_equal(b.gaps[1].lo, 6001);
    sync_rows_came(&b, 1, 4000, 0);
    assert_int_equal(b.ngaps, 1);
    b.exists = 5000;
    sync_rows_gone(&b, 0);
    assert_int_equal(b.ngaps, 0);
}

static void a_row_in_the_middle_is_asked_for_before_the_rest(void **state)
{
    (void)state;
    struct sync_box b = {.id = 1, .selectable = true, .inbox = true, .watched = true};
    struct sync_facts f = {.online = true, .listed = true, .selected = 1, .boxes = &b, .nboxes = 1};
    assert_false(sync_knows(&b));
    sync_box_opened(&b, 0, &(struct sync_opened){.uidvalidity = 7, .uidnext = 100001, .exists = 100000});
    b.have = 60;
    b.hi_uid = 100000;
    b.fetched_uidnext = 100001;
    sync_rows_came(&b, 99941, 100000, 0);
    assert_true(sync_knows(&b));
    sync_want(&b, 50000, 20, 39);
    assert_true(sync_place(&b, 50000).missing);
    struct sync_step s = sync_next(&f);
    assert_int_equal(s.kind, SYNC_TOP);
    assert_true(s.urgent);
    assert_int_equal(s.below_seq, 50020);
    assert_int_equal(s.count, 60);
    b.have += 60;
    sync_rows_came(&b, 49961, 50020, 60);
    assert_int_equal(b.ngaps, 2);
    assert_false(sync_next(&f).urgent);
    struct sync_place at = sync_place(&b, 50000);
    assert_false(at.missing);
    assert_int_equal(at.newer, 99940 - 50020);
    assert_int_equal(at.older, 49960);
    /* By the rows that are here: 60 newest, then those of the middle. */
    assert_int_equal(sync_seq(&b, 0), 100000);
    assert_int_equal(sync_seq(&b, 59), 99941);
    assert_int_equal(sync_seq(&b, 60), 50020);
    assert_int_equal(sync_seq(&b, 119), 49961);
    assert_int_equal(sync_seq(&b, 5000000), 0); /* there are not so many */
    /* Some of the slice below the newest have come, and in the order of the server: no row is another's for that. */
    struct sync_box part = b;
    for (uint32_t seq = 99700; seq < 99750; seq++)
        sync_row_came(&part, seq);
    sync_row_came(&part, 0);
    part.have += 50;
    assert_int_equal(part.ngaps, 3);
    assert_int_equal(sync_place(&part, 50000).newer, 99940 - 50020 - 50);
    assert_int_equal(sync_seq(&part, 60), 99749);
    assert_int_equal(sync_seq(&part, 110), 50020);
    sync_rows_came(&part, 99691, 99940, 120);
    assert_int_equal(part.ngaps, 2);
    assert_int_equal(part.gaps[1].hi, 99690);
    /* What lies beside it, of which a part is here. */
    sync_want(&b, 50000, 100, 100);
    s = sync_next(&f);
    assert_int_equal(s.below_seq, 50100);
    assert_int_equal(s.count, 201);
    b.have += 141;
    sync_rows_came(&b, 49900, 50100, 120);
    assert_false(sync_next(&f).urgent);
    sync_want(&b, 50080, 100, 100);
    s = sync_next(&f);
    assert_int_equal(s.below_seq, 50180);
    assert_int_equal(s.count, 80);
    b.have += 80;
    sync_rows_came(&b, 50101, 50180, 261);
    assert_false(sync_next(&f).urgent);
    /* The first and the last of all. */
    sync_want(&b, 1, 0, 0);
    s = sync_next(&f);
    assert_int_equal(s.below_seq, 1);
    assert_int_equal(s.count, 1);
    sync_want(&b, 100000, UINT32_MAX, 0);
    assert_int_equal(sync_next(&f).kind, SYNC_TOP);
    assert_false(sync_next(&f).urgent);
}

static void more_gaps_than_are_kept_become_wider_ones(void **state)
{
    (void)state;
    struct sync_box b = {.exists = 1000000, .have = 10};
    sync_compare_begin(&b);
    for (uint32_t hi = 1000000; hi > 900000; hi -= 1000)
        sync_gap(&b, hi - 10, hi);
    assert_int_equal(b.ngaps, SYNC_GAPS);
    assert_int_equal(b.gaps[0].lo, 900990);
    for (unsigned i = 1; i < b.ngaps; i++)
        assert_true(b.gaps[i - 1].hi < b.gaps[i].lo);
    sync_rows_came(&b, 985495, 985496, 0); /* no room to cut one in two: the lowest grows, nothing is forgotten */
    assert_int_equal(b.ngaps, SYNC_GAPS);
    assert_false(sync_place(&b, 985495).missing);
    for (uint32_t hi = 1000000; hi > 900000; hi -= 1000)
        for (uint32_t seq = hi - 10; seq <= hi; seq++)
            assert_true(sync_place(&b, seq).missing || seq == 985495 || seq == 985496);
}

/* THREATS 50: four thousand million messages, of which nothing comes. */
static void numbers_that_bring_nothing_end(void **state)
{
    (void)state;
    struct sync_box b = {.id = 1};
    sync_box_opened(&b, 0, &(struct sync_opened){.uidvalidity = 7, .exists = 4000000000u});
    sync_rows_came(&b, 3999999941u, 4000000000u, 0);
    assert_int_equal(b.ngaps, 0); /* not believed: to be compared */
    assert_false(b.stuck);
    sync_compare_begin(&b);
    sync_gap(&b, 1, 4000000000u);
    sync_compare_end(&b);
    unsigned slices = 0;
    for (; b.ngaps && slices < 1000; slices++) {
        uint32_t hi = b.gaps[b.ngaps - 1].hi;
        sync_rows_came(&b, hi - SYNC_SLICE + 1, hi, 0);
    }
    assert_true(slices <= SYNC_FRUITLESS + 1);
    assert_true(b.stuck);
}

static void resync_depends_on_what_the_server_told(void **state)
{
    (void)state;
    struct sync_box b = {
        .id = 1, .selectable = true, .inbox = true, .have = 50, .hi_uid = 12000, .fetched_uidnext = 12001};
    struct sync_opened o = {.uidvalidity = 7, .uidnext = 12001, .exists = 50, .resync = 1};
    assert_false(sync_box_opened(&b, 7, &o));
    assert_false(b.need_uids);
    assert_int_equal(b.flags_below, 0);
    o.resync = 2;
    sync_box_opened(&b, 7, &o);
    assert_true(b.need_uids);
    assert_int_equal(b.flags_below, 0);
    o.resync = 0;
    sync_box_opened(&b, 7, &o);
    fresh_facts();
    boxes[0] = b;
    facts.selected = 1;
    assert_int_equal(sync_next(&facts).kind, SYNC_UIDS);
    boxes[0].need_uids = false;
    struct sync_step s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_FLAGS);
    assert_int_equal(s.uid_hi, 12000);
    assert_int_equal(s.uid_lo, 12001 - SYNC_FLAG_SLICE);
    boxes[0].flags_below = 3;
    s = sync_next(&facts);
    assert_int_equal(s.uid_lo, 1);
    assert_int_equal(s.uid_hi, 2);
    /* UIDVALIDITY changed or is none: the rows are void (THREATS 43, 44). */
    o.uidvalidity = 8;
    assert_true(sync_box_opened(&b, 7, &o));
    assert_int_equal(b.have, 0);
    assert_false(b.need_uids);
    b.have = 5;
    o.uidvalidity = 0;
    assert_true(sync_box_opened(&b, 0, &o));
}

static void other_mailboxes_wait_for_idle_and_low_ones_are_last(void **state)
{
    (void)state;
    fresh_facts();
    facts.selected = 1;
    sync_box_opened(&boxes[0], 0, &(struct sync_opened){.uidvalidity = 1, .uidnext = 1});
    assert_int_equal(sync_next(&facts).kind, SYNC_WATCH);
    facts.idle_sync = true;
    struct sync_step s = sync_next(&facts);
    assert_int_equal(s.kind, SYNC_SELECT);
    assert_int_equal(s.box, 2);
    assert_true(sync_busy(&facts));
    boxes[1].failed = true; /* refused: the next one */
    assert_int_equal(sync_next(&facts).box, 3);
    boxes[2].was_open = true;
    assert_int_equal(sync_next(&facts).kind, SYNC_WATCH);
    assert_false(sync_busy(&facts));
    boxes[2].dirty = true;
    facts.deep = true;
    facts.idle_sync = false;
    assert_int_equal(sync_next(&facts).box, 3);
    /* The background keeps the connection for a while only. */
    facts.selected = 3;
    boxes[0].opened = false;
    assert_int_equal(sync_next(&facts).box, 3);
    facts.since_fore = SYNC_FORE_EVERY;
    assert_int_equal(sync_next(&facts).box, 1);
    facts.since_fore = 0;
    /* The user looks at another mailbox: it comes first whatever runs. */
    boxes[1].failed = false;
    boxes[1].watched = boxes[1].dirty = true;
    s = sync_next(&facts);
    assert_int_equal(s.box, 2);
    assert_true(s.urgent);
}

static void plan(struct pop_mail *m, size_t n, const struct pop_policy *p)
{
    for (size_t i = 0; i < n; i++)
        sync_pop_plan(&m[i], p);
}

static void pop_policies(void **state)
{
    (void)state;
    struct pop_mail m[] = {
        {.number = 1, .known = POP_NEW, .size = 10},
        {.number = 2, .known = POP_HAVE, .size = 5000, .delivered_at = 1000},
        {.number = 3, .known = POP_HAVE, .size = 10, .delivered_at = 1000, .deleted_here = true},
        {.number = 4, .known = POP_NEW, .size = 5000},
        {.number = 5, .known = POP_PARTLY, .size = 5000},
    };
    struct pop_policy p = {.keep = true, .max_size = 1000, .now = 2000};
    plan(m, COUNT(m), &p);
    static const enum pop_take limited[] = {POP_WHOLE, POP_NOTHING, POP_NOTHING, POP_HEADER, POP_NOTHING};
    for (size_t i = 0; i < COUNT(m); i++) {
        assert_int_equal(m[i].take, limited[i]);
        assert_int_equal(sync_pop_may_delete(&p, &m[i]), i == 2); /* keep holds for what nobody deleted here */
    }
    p.max_size = 5000; /* raised: what was left out comes */
    plan(m, COUNT(m), &p);
    assert_true(m[3].take == POP_WHOLE && m[4].take == POP_WHOLE);
    p.max_size = 0;
    m[4].failures = POP_FAILURES_MAX;
    plan(m, COUNT(m), &p);
    assert_int_equal(m[4].take, POP_NOTHING); /* the others come all the same */
    p.by_hand = true;
    plan(m, COUNT(m), &p);
    assert_true(m[3].take == POP_WHOLE && m[4].take == POP_WHOLE);
    p.keep = false; /* delete: what is here, at once; never what is not, nor a header alone (THREATS 86, 87) */
    for (size_t i = 0; i < COUNT(m); i++)
        assert_int_equal(sync_pop_may_delete(&p, &m[i]), i == 1 || i == 2);
    p.days_given = true;
    p.days = 1;
    assert_false(sync_pop_may_delete(&p, &m[1]));
    assert_true(sync_pop_may_delete(&p, &m[2]));
    p.now = 1000 + 86400 - 1;
    assert_false(sync_pop_may_delete(&p, &m[1]));
    p.now = 1000 + 86400;
    assert_true(sync_pop_may_delete(&p, &m[1]));
    p.now = 10; /* THREATS 161 */
    assert_false(sync_pop_may_delete(&p, &m[1]));
    p.now = INT64_MAX;
    p.days = UINT32_MAX;
    m[1].delivered_at = 0; /* nobody knows when */
    assert_false(sync_pop_may_delete(&p, &m[1]));
}

enum { LOOKS = 100, DAY = 86400 };
static size_t looked_for(struct pop_mail *m, int64_t now, bool idle, size_t max, size_t *first_r)
{
    struct records mails;
    struct err err = ERR_INIT;
    records_init(&mails, ".", sizeof *m);
    for (size_t i = 0; i < LOOKS; i++)
        memcpy(records_at(&mails, i), &m[i], sizeof *m);
    size_t n = sync_pop_look(&mails, LOOKS, now, idle, max), found = 0;
    for (size_t i = 0; i < LOOKS; i++)
        memcpy(&m[i], records_get(&mails, i), sizeof *m);
    assert_true(records_ok(&mails, &err));
    records_fini(&mails);
    *first_r = LOOKS;
    for (size_t i = LOOKS; i-- > 0;)
        if (m[i].look) {
            found++;
            m[i].looked_at = now;
            *first_r = i;
        }
    assert_int_equal(n, found);
    return n;
}

/* Ids that were used again: what stands where it did not is looked at now, the last of the list once a day, the others
 * ever more rarely; an idle session does so once a day, and never more than it may. */
static void pop_looks(void **state)
{
    (void)state;
    struct pop_mail m[LOOKS];
    size_t first;
    for (uint32_t i = 0; i < LOOKS; i++)
        m[i] = (struct pop_mail){.number = i + 1, .known = POP_HAVE, .delivered_at = 1000, .order = i + 1};
    assert_int_equal(looked_for(m, 2000, false, LOOKS, &first), 0);
    m[LOOKS - 1].order = 7; /* that of a mail of before */
    m[6].known = POP_NEW;
    m[6].order = LOOKS + 1;
    assert_int_equal(looked_for(m, 3000, true, LOOKS, &first), 1);
    assert_int_equal(first, LOOKS - 1);
    assert_int_equal(looked_for(m, 4000, true, LOOKS, &first), 0);
    m[LOOKS - 1].order = LOOKS;
    m[6].order = 7;
    m[6].known = POP_HAVE;
    /* A day later: newest first, so many at a time; where nothing else is to be done, not again on that day. */
    int64_t now = 3000 + DAY;
    assert_int_equal(looked_for(m, now, true, 30, &first), 30);
    assert_int_equal(first, LOOKS - 30);
    assert_int_equal(looked_for(m, now + 60, true, 30, &first), 0);
    assert_int_equal(looked_for(m, now + 60, false, 30, &first), 30);
    assert_int_equal(looked_for(m, now + 60, false, LOOKS, &first), 40);
    assert_int_equal(looked_for(m, now + 60, false, LOOKS, &first), 0);
    /* As old again; but the last few each day. */
    assert_int_equal(looked_for(m, now + DAY + 2260, true, LOOKS, &first), LOOKS);
    assert_int_equal(looked_for(m, now + 2 * DAY + 3000, true, LOOKS, &first), POP_LOOK_LAST);
    assert_int_equal(looked_for(m, now + 3 * DAY + 6600, true, LOOKS, &first), LOOKS);
    assert_int_equal(looked_for(m, 10, false, LOOKS, &first), LOOKS); /* a clock that was set back: once, and */
    m[3].sure = true;                                                 /* not what came just now */
    m[4].known = POP_NEW;
    assert_int_equal(looked_for(m, now + 100 * DAY, false, LOOKS, &first), LOOKS - 2);
    /* A server that lists the newest first, or in no order: that says nothing. */
    for (uint32_t i = 0; i < LOOKS; i++)
        m[i] = (struct pop_mail){.number = i + 1, .known = POP_HAVE, .delivered_at = 1000, .order = LOOKS - i};
    assert_int_equal(looked_for(m, 2000, false, LOOKS, &first), 0);
    struct records none;
    records_init(&none, ".", sizeof *m);
    assert_int_equal(sync_pop_look(&none, 0, 2000, false, LOOKS), 0);
    records_fini(&none);
}

static void backoff_doubles_to_its_end(void **state)
{
    (void)state;
    assert_int_equal(sync_backoff_ms(1, 0), 1000);
    assert_int_equal(sync_backoff_ms(2, 0), 2000);
    assert_int_equal(sync_backoff_ms(9, 0), 256000);
    assert_int_equal(sync_backoff_ms(10, 0), 300000);
    assert_int_equal(sync_backoff_ms(4000000000u, 0), 300000);
    for (uint32_t r = 0; r < 1000; r++) {
        int64_t ms = sync_backoff_ms(3, r * 2654435761u);
        assert_true(ms >= 3000 && ms <= 4000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_pack_sorted_and_joined),
        cmocka_unit_test(hostile_ranges_are_put_right),
        cmocka_unit_test(first_paint_comes_before_everything),
        cmocka_unit_test(counts_that_disagree_end),
        cmocka_unit_test(missing_rows_are_compared_once),
        cmocka_unit_test(the_first_mail_of_an_empty_mailbox_is_asked_for),
        cmocka_unit_test(a_list_with_a_gap_fills_from_both_ends),
        cmocka_unit_test(a_row_in_the_middle_is_asked_for_before_the_rest),
        cmocka_unit_test(more_gaps_than_are_kept_become_wider_ones),
        cmocka_unit_test(numbers_that_bring_nothing_end),
        cmocka_unit_test(resync_depends_on_what_the_server_told),
        cmocka_unit_test(other_mailboxes_wait_for_idle_and_low_ones_are_last),
        cmocka_unit_test(pop_policies),
        cmocka_unit_test(pop_looks),
        cmocka_unit_test(backoff_doubles_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
