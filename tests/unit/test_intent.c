/* What the user wants: shown at once, kept apart from the server's state, replayed, settled, undone. */
#include "db_help.h"

#include <sqlite3.h>

static struct db *db;
static uint64_t in, archive, trash;

static int setup(void **state)
{
    if (scratch_make(state))
        return -1;
    db = open_db(false, NULL);
    in = make_mailbox(db, "INBOX", 7);
    archive = make_mailbox(db, "Archive", 8);
    trash = make_mailbox(db, "Trash", 9);
    return 0;
}

static int teardown(void **state)
{
    db_close(&db);
    return scratch_drop(state);
}

static void reopen(void)
{
    db_close(&db);
    db = open_db(false, NULL);
}

static struct db_batch next(int64_t now)
{
    struct db_batch b;
    OK(db_intent_next(db, now, 1000, &b, NULL, &err));
    return b;
}

/* Takes the next batch and marks it sent. */
static struct db_batch send_next(void)
{
    struct db_batch b = next(1000);
    assert_true(b.nintents > 0);
    OK(db_intents_sent(db, b.intents, b.nintents, &err));
    OK(db_sync(db, &err));
    return b;
}

static void done(struct db_batch b)
{
    OK(db_intents_done(db, b.intents, b.nintents, &err));
}

static uint32_t pending(void)
{
    struct db_counts c;
    OK(db_intent_counts(db, &c, &err));
    return c.queued + c.sent + c.unknown;
}

static void settle_all(void)
{
    for (int i = 0; i < 50; i++) {
        struct db_batch b = next(100000);
        if (!b.nintents)
            return;
        OK(db_intents_sent(db, b.intents, b.nintents, &err));
        done(b);
    }
    fail_msg("intents never end");
}

static struct db_undone undo(bool redo)
{
    struct db_undone u;
    OK(db_undo(db, redo, 0, 2000, &u, &err));
    return u;
}

/* What the rules do, to be claimed first. */
static void rule(const uint64_t *ids, size_t n, uint64_t target)
{
    uint64_t group;
    uint32_t count;
    const struct db_intent in_ = {.kind = INTENT_RULES,
                                  .msgs = ids,
                                  .n = n,
                                  .target = target,
                                  .set = FLAG_FLAGGED,
                                  .arg = STR("+ci"),
                                  .automatic = true,
                                  .claim = true,
                                  .now = 1000};
    OK(db_intent_add(db, &in_, &group, NULL, &count, &err));
    assert_int_equal(count, n);
}

static size_t claims(uint64_t *msgs, bool *again)
{
    struct err err = ERR_INIT;
    struct db_batch b = next(1000);
    assert_true(b.nintents > 0);
    size_t n = db_claims(db, &b, msgs, again, &err);
    assert_int_equal(err.kind, ERR_NONE);
    return n;
}

static bool has_tags(uint64_t id, const char *want)
{
    struct buf tags = BUF_INIT(200);
    OK(db_tags(db, id, &tags, &err));
    bool same = str_eqz(buf_str(&tags), want);
    buf_fini(&tags);
    return same;
}

/* What rules do is shown at once; what another device has is as before, and what it takes away costs no count. */
static void test_claims(void **state)
{
    (void)state;
    uint64_t ids[4], msgs[4];
    struct db_conflict conflict;
    bool again, left;
    for (uint32_t i = 0; i < 4; i++)
        ids[i] = put_uid(db, in, i + 1, (const char *[]){"a@x", "b@x", "c@x", "d@x"}[i]);
    rule(ids, 4, archive);
    assert_int_equal(counts_of(in).total, 0);
    assert_int_equal(counts_of(archive).total, 4);
    assert_true(has_tags(ids[0], "ci"));
    assert_int_equal(claims(msgs, &again), 4);
    assert_false(again);
    OK(db_claims_sent(db, msgs, 2, &err)); /* of two kinds those of one */
    assert_int_equal(claims(msgs, &again), 2);
    assert_true(again);
    reopen(); /* a kill behind the question keeps that it was asked */
    assert_int_equal(claims(msgs, &again), 2);
    assert_true(again);
    assert_int_equal(msgs[0], ids[0]);
    /* ours, but for what would be done twice; another's; another's, and gone */
    OK(db_claim_ours(db, ids[0], true, &left, &err));
    assert_true(left);
    OK(db_claim_lost(db, ids[1], &err));
    OK(db_gone(db, in, 3, 3, &err));
    OK(db_claim_ours(db, ids[3], false, &left, &err));
    assert_false(left);
    assert_int_equal(msg_of(db, ids[0]).box, in);
    assert_int_equal(msg_of(db, ids[0]).flags, FLAG_FLAGGED);
    assert_int_equal(msg_of(db, ids[1]).box, in);
    assert_int_equal(msg_of(db, ids[1]).flags, 0);
    assert_int_equal(msg_of(db, ids[3]).box, archive);
    assert_true(has_tags(ids[0], "ci") && has_tags(ids[1], "") && has_tags(ids[3], "ci"));
    assert_int_equal(counts_of(in).total, 2);
    assert_int_equal(counts_of(archive).total, 1);
    assert_false(db_take_conflict(db, &conflict));
    assert_int_equal(claims(msgs, &again), 0);
    settle_all();
    assert_int_equal(pending(), 0);
    /* who bears the keyword is not asked about */
    uint64_t group, ruled = put_uid(db, in, 9, "e@x");
    uint32_t count;
    OK(db_flags_put(db, in, 9, 0, STR("$TuimailRuled"), 9, &err));
    OK(db_intent_add(db,
                     &(struct db_intent){.kind = INTENT_RULES,
                                         .msgs = &ruled,
                                         .n = 1,
                                         .target = archive,
                                         .automatic = true,
                                         .claim = true,
                                         .now = 1000},
                     &group, NULL, &count, &err));
    assert_int_equal(count, 0);
}

/* A resync with old flags never flicks a shown row back. */
static void test_no_flicker(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_FLAGS, &id, 1, 0, FLAG_SEEN, 0);
    assert_int_equal(msg_of(db, id).flags, FLAG_SEEN);
    assert_int_equal(msg_of(db, id).state & ROW_PENDING, ROW_PENDING);
    assert_int_equal(counts_of(in).unread, 0);
    OK(db_flags_put(db, in, 1, FLAG_FLAGGED, STR(""), 9, &err)); /* the server has not heard of it */
    assert_int_equal(msg_of(db, id).flags, FLAG_SEEN | FLAG_FLAGGED);
    assert_int_equal(msg_of(db, id).sflags, FLAG_FLAGGED);
    put_uid(db, in, 1, "a@x");
    assert_int_equal(msg_of(db, id).flags, FLAG_SEEN);
    reopen();
    assert_int_equal(msg_of(db, id).flags, FLAG_SEEN);
    assert_int_equal(counts_of(in).unread, 0);
    struct db_batch b = send_next();
    assert_int_equal(b.kind, INTENT_FLAGS);
    assert_int_equal(b.set, FLAG_SEEN);
    assert_int_equal(b.uidvalidity, 7);
    done(b);
    assert_int_equal(msg_of(db, id).sflags, FLAG_SEEN);
    assert_int_equal(msg_of(db, id).state & ROW_PENDING, 0);
    OK(db_flags_put(db, in, 1, 0, STR(""), 10, &err)); /* now another client unmarks it */
    assert_int_equal(msg_of(db, id).flags, 0);
    assert_int_equal(pending(), 0);
}

static void test_refused(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    want(db, INTENT_FLAGS, &id, 1, 0, FLAG_FLAGGED, 0);
    struct db_batch b = send_next();
    assert_int_equal(b.kind, INTENT_MOVE);
    assert_int_equal(next(1000).nintents, 0); /* the flag waits for the move */
    OK(db_intents_refused(db, (uint64_t[]){1}, 1, ERR_OVERQUOTA, "quota", &err));
    assert_int_equal(msg_of(db, id).box, in);
    assert_int_equal(msg_of(db, id).flags, FLAG_FLAGGED);
    assert_int_equal(counts_of(archive).total, 0);
    assert_int_equal(db_intent_state(db, 1), INTENT_REFUSED);
}

/* What was asked of messages where a move would have brought them is done where they are, when that move is refused or
 * taken back: in order, and each for itself. */
static void test_what_follows_a_move_that_is_not(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), there = put_uid(db, archive, 3, "c@x");
    uint64_t both[] = {a, b}, all[] = {a, b, there};
    want(db, INTENT_MOVE, both, 2, archive, 0, 0);
    want(db, INTENT_FLAGS, all, 3, 0, FLAG_FLAGGED, 0);
    want(db, INTENT_COPY, &a, 1, trash, 0, 0);
    want(db, INTENT_MOVE, both, 2, in, 0, 0);
    want(db, INTENT_FLAGS, both, 2, 0, FLAG_SEEN, 0);
    struct db_batch m = send_next();
    assert_int_equal(m.kind, INTENT_MOVE);
    OK(db_intents_refused(db, m.intents, m.nintents, ERR_OVERQUOTA, "quota", &err));

    unsigned in_place = 0, moves = 0;
    uint32_t flagged = 0, seen = 0, copied = 0; /* sets of UIDs of `in` */
    for (unsigned round = 0; round < 20 && pending(); round++) {
        struct db_batch s = send_next();
        moves += s.kind == INTENT_MOVE;
        for (size_t i = 0; i < s.nitems; i++) {
            const struct db_item *t = &s.items[i];
            assert_int_not_equal(t->uid, 0);
            assert_int_equal(s.box, t->msg == there ? archive : in);
            in_place += s.box == archive && t->uid == 3 && s.set == FLAG_FLAGGED;
            if (s.box != in)
                continue;
            assert_int_equal(s.uidvalidity, 7);
            if (s.kind == INTENT_COPY) {
                assert_true(flagged & 1u << t->uid); /* as it was asked: behind the flag */
                copied |= 1u << t->uid;
            } else if (s.set == FLAG_FLAGGED) {
                flagged |= 1u << t->uid;
            } else {
                assert_true(flagged & 1u << t->uid);
                seen |= 1u << t->uid;
            }
        }
        done(s);
    }
    assert_int_equal(pending(), 0);
    assert_int_equal(in_place, 1);
    assert_int_equal(moves, 0); /* to where they are */
    assert_int_equal(flagged, 6);
    assert_int_equal(seen, 6);
    assert_int_equal(copied, 2);
    assert_int_equal(msg_of(db, a).box, in);
    assert_int_equal(msg_of(db, a).sflags, FLAG_FLAGGED | FLAG_SEEN);
    assert_int_equal(msg_of(db, b).sflags, FLAG_FLAGGED | FLAG_SEEN);
    assert_int_equal(msg_of(db, there).sflags, FLAG_FLAGGED);
    assert_int_equal(counts_of(archive).total, 1);
}

/* Of many at once that a move brought and that one takes back, one intent stays one. */
static void test_what_follows_stays_together(void **state)
{
    (void)state;
    uint64_t ids[5];
    for (uint32_t i = 0; i < COUNT(ids); i++)
        ids[i] = put_uid(db, in, i + 1, (const char *[]){"a@x", "b@x", "c@x", "d@x", "e@x"}[i]);
    want(db, INTENT_MOVE, ids, COUNT(ids), archive, 0, 0);
    want(db, INTENT_FLAGS, ids, COUNT(ids), 0, FLAG_SEEN, 0);
    uint32_t count;
    OK(db_intent_drop(db, 1, &count, &err));
    struct db_batch b = send_next();
    assert_int_equal(b.kind, INTENT_FLAGS);
    assert_int_equal(b.box, in);
    assert_int_equal(b.nitems, COUNT(ids));
    assert_int_equal(b.uidvalidity, 7);
    done(b);
    assert_int_equal(pending(), 0);
}

static void test_move_with_copyuid(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    assert_int_equal(msg_of(db, id).box, archive);
    assert_int_equal(msg_of(db, id).sbox, in);
    assert_int_equal(counts_of(in).total, 0);
    assert_int_equal(counts_of(archive).unread, 1);
    struct db_batch b = send_next();
    OK(db_gone(db, in, 1, 1, &err)); /* EXPUNGE before the answer */
    assert_int_equal(msg_of(db, id).box, archive);
    OK(db_item_moved(db, b.intents[0], id, 8, 44, STR(""), &err));
    OK(db_item_moved(db, b.intents[0], id, 8, 44, STR(""), &err));
    done(b);
    struct db_msg m = msg_of(db, id);
    assert_true(m.sbox == archive && m.uid == 44 && m.uidvalidity == 8);
    assert_int_equal(counts_of(archive).total, 1);
    assert_int_equal(put_uid(db, archive, 44, "a@x"), id);
    assert_int_equal(pending(), 0);
}

/* The message arrives in the target before its UID was told, in any order of events: one row, its old id. */
static void test_arrival_merges(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        char msgid[16];
        snprintf(msgid, sizeof msgid, "m%d@x", order);
        uint32_t uid = 10 + (uint32_t)order, to = 50 + (uint32_t)order;
        uint64_t id = put_uid(db, in, uid, msgid);
        want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
        struct db_batch b = send_next();
        struct db_row row = row_of(archive, uid, msgid);
        row.uid = to;
        if (order == 0) { /* row, end */
            assert_int_equal(put(db, &row), id);
            OK(db_gone(db, in, uid, uid, &err));
            done(b);
        } else if (order == 1) { /* end without a UID, then the row */
            OK(db_gone(db, in, uid, uid, &err));
            done(b);
            assert_int_equal(msg_of(db, id).uid, 0);
            assert_int_equal(put(db, &row), id);
        } else { /* the row of another size is another message until COPYUID says it is this one */
            row.size += 5;
            uint64_t other = put(db, &row);
            assert_int_not_equal(other, id);
            OK(db_item_moved(db, b.intents[0], id, 8, to, STR(""), &err));
            done(b);
            assert_int_equal(msg_of(db, other).id, 0);
        }
        assert_int_equal(msg_of(db, id).uid, to);
        assert_int_equal(msg_of(db, id).sbox, archive);
        assert_int_equal(counts_of(archive).known, order + 1);
    }
    assert_int_equal(counts_of(archive).total, 3);
    assert_int_equal(counts_of(in).total, 0);
}

/* A copy of the same message in the target is not the one that is still to be sent. */
static void test_arrival_of_another(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    uint64_t other = put_uid(db, archive, 1, "a@x");
    assert_int_not_equal(other, id);
}

static void test_gone_conflict(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x"), purged = put_uid(db, in, 2, "b@x");
    uint64_t group = want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    want(db, INTENT_PURGE, &purged, 1, 0, 0, 0);
    OK(db_gone(db, in, 1, 2, &err));
    struct db_conflict c;
    assert_true(db_take_conflict(db, &c));
    assert_true(c.msg == id && c.group == group && c.why == ERR_NO_MESSAGE);
    assert_false(db_take_conflict(db, &c)); /* the purge got what it wanted */
    assert_int_equal(msg_of(db, id).id, 0);
    assert_int_equal(pending(), 0);
}

/* Thirty archives, each after its message was read: two commands. */
static void test_merging(void **state)
{
    (void)state;
    uint64_t ids[30];
    for (uint32_t i = 0; i < 30; i++) {
        char msgid[16];
        snprintf(msgid, sizeof msgid, "m%u@x", i);
        ids[i] = put_uid(db, in, 100 - i, msgid);
    }
    for (size_t i = 0; i < 30; i++) {
        want(db, INTENT_FLAGS, &ids[i], 1, 0, FLAG_SEEN, 0);
        want(db, INTENT_ARCHIVE, &ids[i], 1, 0, 0, 0);
    }
    struct db_batch b = send_next();
    assert_int_equal(b.kind, INTENT_FLAGS);
    assert_int_equal(b.nitems, 30);
    assert_int_equal(b.items[0].uid, 71); /* rising */
    done(b);
    b = send_next();
    assert_int_equal(b.kind, INTENT_MOVE);
    assert_int_equal(b.nitems, 30);
    assert_int_equal(b.target, archive);
    done(b);
    assert_int_equal(next(1000).nintents, 0);
}

static void test_created_target(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x"), group, box;
    uint32_t n;
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_BOX_CREATE, .arg = STR("New"), .now = 1}, &group, &box, &n,
                     &err));
    assert_true(box && n == 1);
    REFUSED(ERR_USAGE, db_intent_add(db, &(struct db_intent){.kind = INTENT_BOX_CREATE, .arg = STR("New"), .now = 1},
                                     &group, NULL, &n, &err));
    want(db, INTENT_MOVE, &id, 1, box, 0, 0);
    assert_int_equal(counts_of(box).total, 1);
    struct db_batch b = send_next();
    assert_int_equal(b.kind, INTENT_BOX_CREATE);
    assert_true(str_eqz(b.arg, "New"));
    uint64_t create = b.intents[0];
    assert_int_equal(next(1000).nintents, 0);
    OK(db_boxes_begin(db, &err)); /* a LIST that does not know it yet leaves it */
    for (int i = 0; i < 3; i++)
        make_mailbox(db, (const char *[]){"INBOX", "Archive", "Trash"}[i], 7 + (uint32_t)i);
    OK(db_boxes_end(db, &err));
    OK(db_intents_done(db, &create, 1, &err));
    b = send_next();
    assert_int_equal(b.kind, INTENT_MOVE);
    assert_true(str_eqz(b.target_name, "New"));
    OK(db_intents_refused(db, b.intents, b.nintents, ERR_SERVER_NO, "no", &err));
    assert_int_equal(msg_of(db, id).box, in);
}

static void test_create_refused(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x"), group, box;
    uint32_t n;
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_BOX_CREATE, .arg = STR("New"), .now = 1}, &group, &box, &n,
                     &err));
    want(db, INTENT_MOVE, &id, 1, box, 0, 0);
    struct db_batch b = send_next();
    OK(db_intents_refused(db, b.intents, b.nintents, ERR_SERVER_NO, "no", &err));
    assert_int_equal(msg_of(db, id).box, in); /* what depended on it ends too, and is said */
    struct db_conflict c;
    assert_true(db_take_conflict(db, &c));
    assert_int_equal(c.why, ERR_NO_MAILBOX);
    assert_int_equal(pending(), 0);
}

static void test_rename_children(void **state)
{
    (void)state;
    uint64_t a = make_mailbox(db, "A", 3), child = make_mailbox(db, "A/B", 4), group;
    uint32_t n;
    OK(db_intent_add(
        db, &(struct db_intent){.kind = INTENT_BOX_RENAME, .box = a, .arg = STR("Z"), .utf8 = STR("Z"), .now = 1},
        &group, NULL, &n, &err));
    struct db_box box;
    OK(db_box_get(db, a, &box, &err));
    assert_true(str_eqz(box.utf8, "Z") && str_eqz(box.name, "A")); /* shown at once */
    done(send_next());
    OK(db_box_get(db, child, &box, &err));
    assert_true(str_eqz(box.name, "Z/B") && str_eqz(box.utf8, "Z/B"));
    OK(db_box_by_name(db, STR("Z"), &box, &err));
    assert_int_equal(box.id, a);
}

static void test_copy(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_COPY, &id, 1, archive, 0, 0);
    assert_int_equal(counts_of(archive).total, 1);
    assert_int_equal(counts_of(in).total, 1);
    struct db_batch b = send_next();
    uint64_t copy = b.items[0].copy;
    assert_int_equal(msg_of(db, copy).box, archive);
    OK(db_item_moved(db, b.intents[0], id, 8, 5, STR(""), &err));
    done(b);
    assert_int_equal(msg_of(db, copy).uid, 5);
    assert_int_equal(msg_of(db, copy).state & ROW_PENDING, 0);
    assert_int_equal(put_uid(db, archive, 5, "a@x"), copy);
    want(db, INTENT_COPY, &id, 1, trash, 0, 0);
    b = send_next();
    copy = b.items[0].copy;
    OK(db_intents_refused(db, b.intents, b.nintents, ERR_OVERQUOTA, "full", &err));
    assert_int_equal(msg_of(db, copy).id, 0);
    assert_int_equal(msg_of(db, id).box, in);
}

static void test_append(void **state)
{
    (void)state;
    struct db_row row = row_of(0, 0, "sent@x");
    uint64_t group;
    uint32_t n;
    OK(db_intent_add(
        db, &(struct db_intent){.kind = INTENT_APPEND, .target = archive, .arg = STR("7.eml"), .row = &row, .now = 1},
        &group, NULL, &n, &err));
    assert_int_equal(counts_of(archive).total, 1);
    struct db_batch b = send_next();
    assert_int_equal(b.kind, INTENT_APPEND);
    assert_true(str_eqz(b.arg, "7.eml"));
    assert_int_equal(b.nitems, 1);
    uint64_t id = b.items[0].msg;
    OK(db_item_moved(db, b.intents[0], 0, 8, 77, STR(""), &err));
    done(b);
    assert_int_equal(msg_of(db, id).uid, 77);
    /* without APPENDUID the row finds it by its id, whatever the server made of its size */
    OK(db_intent_add(db,
                     &(struct db_intent){.kind = INTENT_APPEND,
                                         .target = archive,
                                         .arg = STR("8.eml"),
                                         .row = &(struct db_row){.msgid = STR("s2@x"), .size = 10, .attrs = ROW_FULL},
                                         .now = 1},
                     &group, NULL, &n, &err));
    b = send_next();
    id = b.items[0].msg;
    struct db_row came = row_of(archive, 78, "s2@x");
    assert_int_equal(put(db, &came), id);
    done(b);
    assert_int_equal(msg_of(db, id).uid, 78);
    assert_int_equal(counts_of(archive).total, 2);
}

/* A line lost after the command: doubtful ones are settled by looking, the harmless go again. */
static void test_unknown(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), f = put_uid(db, in, 3, "f@x");
    want(db, INTENT_MOVE, &a, 1, archive, 0, 0);
    struct db_batch one = send_next();
    uint64_t first = one.intents[0];
    want(db, INTENT_MOVE, &b, 1, trash, 0, 0);
    one = send_next();
    uint64_t second = one.intents[0];
    want(db, INTENT_FLAGS, &f, 1, 0, FLAG_SEEN, 0);
    one = send_next();
    uint64_t third = one.intents[0];
    unsigned opened;
    db_close(&db); /* killed while under way */
    db = open_db(false, &opened);
    assert_true(opened & DB_HAS_UNKNOWN);
    assert_int_equal(db_intent_state(db, third), INTENT_QUEUED);
    assert_int_equal(msg_of(db, a).box, archive);
    struct db_row row = row_of(archive, 1, "a@x"); /* a resync shows that the first went through */
    row.uid = 60;
    assert_int_equal(put(db, &row), a);
    OK(db_gone(db, in, 1, 1, &err));
    OK(db_unknown_next(db, &one, &err));
    assert_int_equal(one.nintents, 1);
    assert_int_equal(one.intents[0], second);
    assert_int_equal(db_intent_state(db, first), INTENT_DONE);
    OK(db_intents_requeue(db, &second, 1, &err)); /* it did not: again */
    OK(db_unknown_next(db, &one, &err));
    assert_int_equal(one.nintents, 0);
    one = send_next();
    assert_int_equal(one.intents[0], second);
}

static void test_item_failed(void **state)
{
    (void)state;
    uint64_t ids[2] = {put_uid(db, in, 1, "a@x"), put_uid(db, in, 2, "b@x")};
    want(db, INTENT_MOVE, ids, 2, archive, 0, 0);
    struct db_batch b = send_next();
    uint64_t intent = b.intents[0];
    OK(db_item_failed(db, intent, ids[0], ERR_NO_MESSAGE, "gone", &err));
    assert_int_equal(msg_of(db, ids[0]).box, in);
    OK(db_item_moved(db, intent, ids[1], 8, 9, STR(""), &err));
    assert_int_equal(db_intent_state(db, intent), INTENT_DONE);
    assert_int_equal(msg_of(db, ids[1]).uid, 9);
}

/* ---- undo --------------------------------------------------------------------------------------- */

static void test_undo_queued(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    assert_int_equal(undo(false).count, 1);
    assert_int_equal(msg_of(db, id).box, in);
    assert_int_equal(msg_of(db, id).state & ROW_PENDING, 0);
    assert_int_equal(pending(), 0); /* nothing goes to the server */
    REFUSED(ERR_NOT_UNDOABLE, db_undo(db, false, 0, 1, &(struct db_undone){0}, &err));
    assert_int_equal(undo(true).count, 1);
    assert_int_equal(msg_of(db, id).box, archive);
    assert_int_equal(undo(false).count, 1);
    assert_int_equal(msg_of(db, id).box, in);
    want(db, INTENT_FLAGS, &id, 1, 0, FLAG_SEEN, 0);
    REFUSED(ERR_NOT_UNDOABLE, db_undo(db, true, 0, 1, &(struct db_undone){0}, &err)); /* a new act ends redo */
}

static void test_undo_done(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    struct db_batch b = send_next();
    OK(db_item_moved(db, b.intents[0], id, 8, 44, STR(""), &err));
    done(b);
    reopen();
    assert_int_equal(undo(false).count, 1);
    assert_int_equal(msg_of(db, id).box, in);
    b = send_next();
    assert_int_equal(b.kind, INTENT_MOVE);
    assert_true(b.box == archive && b.target == in && b.items[0].uid == 44 && b.uidvalidity == 8);
    OK(db_item_moved(db, b.intents[0], id, 7, 45, STR(""), &err));
    done(b);
    assert_int_equal(undo(true).count, 1);
    assert_int_equal(msg_of(db, id).box, archive);
}

/* Only what the group changed, and only where nobody has changed it since. */
static void test_undo_flags(void **state)
{
    (void)state;
    struct db_row row = row_of(in, 1, "a@x");
    row.flags = FLAG_ANSWERED;
    uint64_t a = put(db, &row), b = put_uid(db, in, 2, "b@x"), c = put_uid(db, in, 3, "c@x");
    row = row_of(in, 3, "c@x");
    row.flags = FLAG_SEEN;
    put(db, &row);
    want(db, INTENT_FLAGS, (uint64_t[]){a, b, c}, 3, 0, FLAG_SEEN | FLAG_FLAGGED, 0);
    settle_all();
    OK(db_flags_put(db, in, 2, FLAG_SEEN, STR(""), 9, &err)); /* another client took the star off b */
    struct db_undone u = undo(false);
    assert_int_equal(u.count, 3);
    assert_int_equal(msg_of(db, a).flags, FLAG_ANSWERED);
    assert_int_equal(msg_of(db, b).flags, 0);
    assert_int_equal(msg_of(db, c).flags, FLAG_SEEN); /* was read before */
    settle_all();
    assert_int_equal(msg_of(db, a).sflags, FLAG_ANSWERED);
}

static void test_undo_moved_since(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    struct db_batch b = send_next();
    OK(db_item_moved(db, b.intents[0], id, 8, 44, STR(""), &err));
    done(b);
    OK(db_gone(db, archive, 44, 44, &err)); /* another client removed it */
    struct db_undone u = undo(false);
    assert_int_equal(u.count, 0);
    assert_int_equal(u.skipped, 1);
    assert_int_equal(pending(), 0);
}

static void test_undo_sent(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    struct db_batch b = send_next();
    uint64_t move = b.intents[0];
    assert_int_equal(undo(false).count, 1);
    assert_int_equal(msg_of(db, id).box, in);
    assert_int_equal(next(1000).nintents, 0); /* behind the one under way */
    OK(db_item_moved(db, move, id, 8, 44, STR(""), &err));
    assert_int_equal(msg_of(db, id).box, in);
    b = send_next();
    assert_true(b.box == archive && b.items[0].uid == 44);
}

static void test_purge(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    int64_t due;
    struct db_batch b;
    want(db, INTENT_PURGE, &id, 1, 0, 0, 0);
    assert_int_equal(counts_of(in).total, 0);
    OK(db_intent_next(db, 1000, 100, &b, &due, &err));
    assert_int_equal(b.nintents, 0);
    assert_int_equal(due, 1030);
    assert_int_equal(undo(false).count, 1);
    assert_int_equal(counts_of(in).total, 1);
    want(db, INTENT_PURGE, &id, 1, 0, 0, 0);
    uint64_t other = put_uid(db, in, 2, "b@x");
    want(db, INTENT_FLAGS, &other, 1, 0, FLAG_SEEN, 0);
    assert_int_equal(next(1000).kind, INTENT_FLAGS); /* a held purge holds nothing else */
    settle_all();
    assert_int_equal(msg_of(db, id).id, 0);
    undo(false); /* the flag */
    REFUSED(ERR_NOT_UNDOABLE, db_undo(db, false, 0, 1, &(struct db_undone){0}, &err));
}

static void test_undo_copy_and_tags(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x"), group;
    uint32_t n;
    want(db, INTENT_COPY, &id, 1, archive, 0, 0);
    struct db_batch b = send_next();
    uint64_t copy = b.items[0].copy;
    OK(db_item_moved(db, b.intents[0], id, 8, 5, STR(""), &err));
    done(b);
    undo(false);
    assert_int_equal(counts_of(archive).total, 0);
    b = send_next();
    assert_true(b.kind == INTENT_PURGE && b.box == archive && b.items[0].uid == 5);
    done(b);
    assert_int_equal(msg_of(db, copy).id, 0);
    struct buf tags = BUF_INIT(100);
    OK(db_intent_add(
        db, &(struct db_intent){.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("+work +caf\xc3\xa9"), .now = 1},
        &group, NULL, &n, &err));
    settle_all();
    undo(false);
    OK(db_tags(db, id, &tags, &err));
    assert_string_equal(buf_z(&tags), "");
    b = next(1000);
    assert_true(b.kind == INTENT_TAGS && str_eqz(b.arg, "-work -caf\xc3\xa9"));
    buf_fini(&tags);
    REFUSED(ERR_USAGE,
            db_intent_add(
                db, &(struct db_intent){.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("+unread"), .now = 1},
                &group, NULL, &n, &err));
    REFUSED(ERR_USAGE,
            db_intent_add(db,
                          &(struct db_intent){.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("work"), .now = 1},
                          &group, NULL, &n, &err));
}

static void test_undo_boxes(void **state)
{
    (void)state;
    uint64_t group, box, last = 0;
    struct db_undo_next next_undo;
    uint32_t n;
    struct db_box b;
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_BOX_CREATE, .arg = STR("New"), .now = 1}, &group, &box, &n,
                     &err));
    undo(false);
    REFUSED(ERR_NO_MAILBOX, db_box_get(db, box, &b, &err));
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_BOX_RENAME, .box = archive, .arg = STR("Z"), .now = 1},
                     &group, NULL, &n, &err));
    settle_all();
    undo(false);
    OK(db_box_get(db, archive, &b, &err));
    assert_true(str_eqz(b.utf8, "Archive") && str_eqz(b.name, "Z"));
    settle_all();
    OK(db_box_by_name(db, STR("Archive"), &b, &err));
    assert_int_equal(b.id, archive);
    for (int i = 0; i < 3; i++) { /* stamps always rise */
        uint64_t id = put_uid(db, in, 1 + (uint32_t)i, "");
        want(db, INTENT_FLAGS, &id, 1, 0, FLAG_SEEN, 0);
        OK(db_undo_peek(db, false, 0, &next_undo, &err));
        assert_true(next_undo.stamp > last);
        last = next_undo.stamp;
    }
}

static void test_mark_all_read(void **state)
{
    (void)state;
    for (uint32_t uid = 1; uid <= 2500; uid++)
        put_uid(db, in, uid, "");
    uint64_t group;
    uint32_t n;
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_MARK_ALL_READ, .box = in, .now = 1}, &group, NULL, &n,
                     &err));
    assert_int_equal(n, 2500);
    assert_int_equal(counts_of(in).unread, 0);
    struct db_batch b = next(1000); /* one command; the mailbox is not known whole: the server is asked who is unread */
    assert_int_equal(b.nitems, 0);
    assert_int_equal(b.nintents, 1);
    assert_true(str_eqz(b.arg, "?"));
    uint32_t ranges[] = {1, 1000, 1502, 2500, 2600, 2600};
    OK(db_span_narrow(db, b.intents[0], (struct str){(char *)ranges, sizeof ranges}, &err));
    assert_int_equal(counts_of(in).unread, 501);
    b = next(1000);
    assert_int_equal(b.uids.n, sizeof ranges);
    assert_int_equal(b.arg.n, 0);
    struct db_row late = row_of(in, 2600, ""); /* its row comes while that waits */
    put(db, &late);
    assert_int_equal(counts_of(in).unread, 501);
    reopen();
    assert_int_equal(counts_of(in).unread, 501);
    b = next(1000);
    OK(db_intents_sent(db, b.intents, b.nintents, &err));
    OK(db_intents_done(db, b.intents, b.nintents, &err));
    assert_int_equal(counts_of(in).unread, 501);
    assert_int_equal(undo(false).count, 2000);
    assert_int_equal(counts_of(in).unread, 2501);
    assert_int_equal(undo(true).count, 2501);
    assert_int_equal(counts_of(in).unread, 0);
    assert_int_equal(undo(false).count, 2501); /* nothing had left */
    assert_int_equal(counts_of(in).unread, 2501);
}

static void test_errors(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x"), group, none = 999999;
    uint32_t n;
    REFUSED(ERR_NO_MESSAGE,
            db_intent_add(db, &(struct db_intent){.kind = INTENT_FLAGS, .msgs = &none, .n = 1, .set = 1}, &group, NULL,
                          &n, &err));
    REFUSED(ERR_NO_MAILBOX,
            db_intent_add(db, &(struct db_intent){.kind = INTENT_MOVE, .msgs = &id, .n = 1, .target = 999}, &group,
                          NULL, &n, &err));
    REFUSED(ERR_NO_MAILBOX,
            db_intent_add(db, &(struct db_intent){.kind = INTENT_SPAM, .msgs = &id, .n = 1}, &group, NULL, &n, &err));
    REFUSED(ERR_USAGE, db_intent_add(db, &(struct db_intent){.kind = (enum intent_kind)77, .msgs = &id, .n = 1}, &group,
                                     NULL, &n, &err));
    bool dropped;
    OK(db_box_open(db, in, 7, 2, 1, true, false, STR(""), &dropped, &err));
    REFUSED(ERR_READ_ONLY, db_intent_add(db, &(struct db_intent){.kind = INTENT_FLAGS, .msgs = &id, .n = 1, .set = 1},
                                         &group, NULL, &n, &err));
    assert_int_equal(pending(), 0);
    struct db_undo_next next_undo;
    OK(db_undo_peek(db, false, 0, &next_undo, &err));
    assert_int_equal(next_undo.group, 0);
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("+x"), .now = 1},
                     &group, NULL, &n, &err));
    assert_int_equal(next(1000).nintents, 0); /* the mailbox keeps no keywords: done here */
    assert_int_equal(pending(), 0);
}

static void test_discard_and_prune(void **state)
{
    (void)state;
    uint64_t id = put_uid(db, in, 1, "a@x");
    uint32_t n;
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    want(db, INTENT_FLAGS, &id, 1, 0, FLAG_SEEN, 0);
    OK(db_intents_discard(db, &n, &err));
    assert_int_equal(n, 2);
    assert_int_equal(msg_of(db, id).box, in);
    assert_int_equal(msg_of(db, id).flags, 0);
    OK(db_intents_prune(db, INT64_MAX, &err));
    want(db, INTENT_FLAGS, &id, 1, 0, FLAG_SEEN, 0);
    OK(db_intents_prune(db, INT64_MAX, &err));
    assert_int_equal(pending(), 1);
}

/* ---- everything at random: counters never drift ------------------------------------------------- */

static uint32_t seed = 20261122;
static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static int64_t ask(const char *sql)
{
    char path[128];
    sqlite3 *h;
    sqlite3_stmt *st;
    snprintf(path, sizeof path, "%s/work/cache.db", scratch);
    assert_int_equal(sqlite3_open_v2(path, &h, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(h);
    return v;
}

/* Each counter against the rows it counts. */
static void check_counters(void)
{
    static const char *const wrong[] = {
        "SELECT count(*) FROM box b WHERE shown<>(SELECT count(*) FROM msg WHERE box=b.id)",
        "SELECT count(*) FROM box b WHERE shown_unread<>(SELECT count(*) FROM msg WHERE box=b.id AND flags&1=0)",
        "SELECT count(*) FROM box b WHERE known<>(SELECT count(*) FROM msg WHERE sbox=b.id AND suid>0)",
        "SELECT count(*) FROM box b WHERE known_unread<>(SELECT count(*) FROM msg WHERE sbox=b.id AND suid>0 AND "
        "sflags&1=0)",
        "SELECT count(*) FROM box b WHERE shown<>(SELECT coalesce(sum(n),0) FROM rank WHERE box=b.id)",
        "SELECT count(*) FROM box b WHERE (SELECT count(*) FROM thread WHERE box=b.id)<>(SELECT coalesce(sum(n),0) "
        "FROM "
        "rank WHERE box=-b.id)",
        "SELECT count(*) FROM box b WHERE shown_unread<>(SELECT coalesce(sum(unread),0) FROM rank WHERE box=b.id)",
        "SELECT count(*) FROM box b WHERE (SELECT count(*) FROM msg WHERE box=b.id AND flags&4)<>(SELECT "
        "coalesce(sum(flagged),0) FROM rank WHERE box=b.id)",
        "SELECT count(*) FROM thread t WHERE count<>(SELECT count(*) FROM msg WHERE box=t.box AND thread=t.thread) OR "
        "unread<>(SELECT count(*) FROM msg WHERE box=t.box AND thread=t.thread AND flags&1=0)"
        " OR flagged<>(SELECT count(*) FROM msg WHERE box=t.box AND thread=t.thread AND flags&4) OR newest<>(SELECT "
        "max(date) FROM msg WHERE box=t.box AND thread=t.thread)",
        "SELECT count(*) FROM msg m WHERE box<>0 AND NOT EXISTS(SELECT 1 FROM thread WHERE box=m.box AND "
        "thread=m.thread)",
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (ask(wrong[i]))
            fail_msg("%s", wrong[i]);
}

static uint64_t any_msg(void)
{
    struct db_msg m = {.id = 0};
    for (int i = 0; i < 20 && !m.id; i++)
        m = msg_of(db, 1 + pick(400));
    return m.id;
}

/* A server of three mailboxes that does what it is told, loses lines, and has another client. */
static void random_step(uint32_t uids[3])
{
    uint64_t boxes[3] = {in, archive, trash}, id = any_msg(), group;
    uint32_t what = pick(15), n, b = pick(3);
    struct err e = ERR_INIT;
    struct db_undone u;
    struct db_intent intent = {.msgs = &id,
                               .n = 1,
                               .now = 1000,
                               .target = boxes[b],
                               .set = pick(2) ? FLAG_SEEN : FLAG_FLAGGED,
                               .clear = pick(3) ? 0 : FLAG_SEEN};
    if (what < 3) {
        char msgid[24], ref[24];
        snprintf(msgid, sizeof msgid, "m%u@x", pick(150));
        snprintf(ref, sizeof ref, "m%u@x", pick(150));
        struct db_row row = row_of(boxes[b], ++uids[b], msgid);
        row.size = 1000;
        row.date = 1700000000 + pick(50);
        row.flags = pick(2) ? FLAG_SEEN : 0;
        row.refs = pick(6) ? STR("") : str_z(ref);
        put(db, &row);
    } else if (what < 8 && id) {
        static const enum intent_kind kinds[] = {INTENT_FLAGS, INTENT_MOVE, INTENT_COPY, INTENT_PURGE, INTENT_FLAGS};
        intent.kind = kinds[what - 3];
        db_intent_add(db, &intent, &group, NULL, &n, &e);
    } else if (what == 8) {
        uint32_t uid = 1 + pick(uids[b] + 1);
        OK(db_gone(db, boxes[b], uid, uid, &err));
    } else if (what == 9) {
        OK(db_flags_put(db, boxes[b], 1 + pick(uids[b] + 1), pick(8), STR(""), 1, &err));
    } else if (what == 14 && pick(3) == 0) {
        intent = (struct db_intent){.kind = INTENT_MARK_ALL_READ, .box = boxes[b], .now = 1000};
        db_intent_add(db, &intent, &group, NULL, &n, &e);
    } else if (what == 10) {
        db_undo(db, pick(3) == 0, 0, 2000, &u, &e);
    } else {
        struct db_batch batch = next(100000);
        if (!batch.nintents)
            return;
        if (str_eqz(batch.arg, "?")) {
            OK(db_span_narrow(db, batch.intents[0], batch.uids, &err));
            return;
        }
        OK(db_intents_sent(db, batch.intents, batch.nintents, &err));
        uint32_t fate = pick(5);
        for (size_t i = 0; fate < 2 && i < batch.nitems && (batch.kind == INTENT_MOVE || batch.kind == INTENT_COPY);
             i++) {
            uint32_t t = batch.target == in ? 0 : batch.target == archive ? 1 : 2;
            OK(db_item_moved(db, batch.items[i].intent, batch.items[i].msg, 7 + t, ++uids[t], STR(""), &err));
        }
        if (fate < 3)
            OK(db_intents_done(db, batch.intents, batch.nintents, &err));
        else if (fate == 3)
            OK(db_intents_refused(db, batch.intents, batch.nintents, ERR_SERVER_NO, "no", &err));
        else
            OK(db_intents_lost(db, batch.intents, batch.nintents, &err));
    }
    while (what == 13) { /* what is doubtful did not happen */
        struct db_batch batch;
        OK(db_unknown_next(db, &batch, &err));
        if (!batch.nintents)
            return;
        OK(db_intents_requeue(db, batch.intents, batch.nintents, &err));
    }
}

static void test_random(void **state)
{
    (void)state;
    uint32_t uids[3] = {0};
    for (unsigned i = 0; i < 4000; i++) {
        random_step(uids);
        if (i % 50 == 0)
            check_counters();
        if (i % 500 == 499)
            reopen();
    }
    check_counters();
    for (int i = 0; i < 200 && pending(); i++) {
        struct db_batch batch;
        OK(db_unknown_next(db, &batch, &err));
        if (batch.nintents) {
            OK(db_intents_requeue(db, batch.intents, batch.nintents, &err));
            continue;
        }
        batch = next(100000);
        if (batch.nintents && str_eqz(batch.arg, "?")) {
            OK(db_span_narrow(db, batch.intents[0], batch.uids, &err));
        } else if (batch.nintents) {
            OK(db_intents_sent(db, batch.intents, batch.nintents, &err));
            OK(db_intents_done(db, batch.intents, batch.nintents, &err));
        }
    }
    assert_int_equal(pending(), 0); /* every intent comes to an end */
    check_counters();
    assert_int_equal(ask("SELECT count(*) FROM msg WHERE state&1"), 0);
    assert_int_equal(ask("SELECT count(*) FROM msg WHERE box<>sbox OR flags<>sflags"),
                     0); /* shown is what the server has */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_claims),
        T(test_no_flicker),
        T(test_refused),
        T(test_what_follows_a_move_that_is_not),
        T(test_what_follows_stays_together),
        T(test_move_with_copyuid),
        T(test_arrival_merges),
        T(test_arrival_of_another),
        T(test_gone_conflict),
        T(test_merging),
        T(test_created_target),
        T(test_create_refused),
        T(test_rename_children),
        T(test_copy),
        T(test_append),
        T(test_unknown),
        T(test_item_failed),
        T(test_undo_queued),
        T(test_undo_done),
        T(test_undo_flags),
        T(test_undo_moved_since),
        T(test_undo_sent),
        T(test_purge),
        T(test_undo_copy_and_tags),
        T(test_undo_boxes),
        T(test_mark_all_read),
        T(test_errors),
        T(test_discard_and_prune),
        T(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
