/* What rules do is done by one device: which intents wait until the message is this one's, and what becomes of them. */
#include "conf/conf.h"
#include "store/db_int.h"

bool row_ruled(struct db *db, uint64_t msg)
{
    sqlite3_stmt *st = q_ask(db, "SELECT kw FROM msg WHERE id=?", "i", I(msg));
    bool ruled = false;
    struct str words, word;
    if (q_step(db, st)) {
        for (words = sql_str(st, 0); !ruled && str_split(&words, ' ', &word);)
            ruled = str_case_eqz(word, RULED_KEYWORD);
        sqlite3_reset(st);
    }
    return ruled;
}

void claim_note(struct db *db, uint64_t msg, uint64_t group)
{
    q_keep(db, "INSERT OR IGNORE INTO claim(msg,grp,state) VALUES(?,?,0)", "ii", I(msg), I(group));
    db->has_claims = true;
}

bool claim_waits(struct db *db, uint64_t msg)
{
    int64_t one;
    return db->has_claims && q_one(db, &one, "SELECT 1 FROM claim WHERE msg=?", "i", I(msg));
}

/* Its pending intents of that group, the last first. */
struct waiting {
    uint64_t intent;
    enum intent_kind kind;
};
static size_t intents_waiting(struct db *db, uint64_t msg, struct waiting *list, size_t max)
{
    size_t n = 0;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT i.id,i.kind FROM claim c CROSS JOIN item t ON t.msg=c.msg CROSS JOIN intent i ON "
                             "i.id=t.intent WHERE c.msg=? AND t.state=0 AND i.state<3 AND i.grp=c.grp ORDER BY i.id "
                             "DESC",
                             "i", I(msg));
    while (q_step(db, st))
        if (n < max)
            list[n++] = (struct waiting){sql_u64(st, 0), (enum intent_kind)sql_int(st, 1)};
    return n;
}

static void item_forgo(struct db *db, uint64_t intent, uint64_t msg)
{
    struct buf did = BUF_INIT(4096), back = BUF_INIT(4096);
    sqlite3_stmt *st = q_ask(db, "SELECT tags FROM item WHERE intent=? AND msg=?", "ii", I(intent), I(msg));
    if (q_step(db, st)) {
        buf_adds(&did, sql_str(st, 0));
        sqlite3_reset(st);
    }
    item_end(db, intent, msg, ITEM_DROPPED);
    if (did.n) {
        uint64_t mh, fp;
        struct str rest = buf_str(&did), w;
        while (str_split(&rest, ' ', &w))
            if (w.n > 1)
                buf_addf(&back, "%s%c%.*s", back.n ? " " : "", w.p[0] == '+' ? '-' : '+', STR_FMT(str_sub(w, 1, w.n)));
        tag_identity(db, msg, &mh, &fp);
        if (mh || fp)
            tags_change(db, mh, fp, buf_str(&back), NULL);
        row_queue(db, msg, INDEX_WHAT_TAGS);
    }
    intent_settle(db, intent, ERR_CANCELED, "the rules of another device have this message");
    buf_fini(&did);
    buf_fini(&back);
}

void claim_lost(struct db *db, uint64_t msg)
{
    struct waiting list[16];
    size_t n = intents_waiting(db, msg, list, COUNT(list));
    for (size_t i = 0; i < n && !db->failed; i++)
        item_forgo(db, list[i].intent, msg);
    q_keep(db, "DELETE FROM claim WHERE msg=?", "i", I(msg));
    db->claims_lost++;
}

unsigned db_claims_lost(struct db *db)
{
    unsigned lost = db->claims_lost;
    db->claims_lost = 0;
    return lost;
}

/* What waits for nothing any more: it was undone, or its mailbox has gone. */
void claims_prune(struct db *db)
{
    int64_t any = 0;
    if (!db->has_claims)
        return;
    q_keep(db,
           "DELETE FROM claim WHERE NOT EXISTS(SELECT 1 FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE "
           "t.msg=claim.msg AND t.state=0 AND i.state<3 AND i.grp=claim.grp)",
           "");
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM claim)", "");
    db->has_claims = any;
}

size_t db_claims(struct db *db, const struct db_batch *b, uint64_t *msgs_r, bool *again_r, struct err *err)
{
    bool own;
    size_t n = 0;
    int64_t kind = -1;
    *again_r = false;
    if (!db->has_claims || !call_enter(db, &own, err))
        return 0;
    for (size_t i = 0; i < b->nitems; i++) {
        int64_t state = 0;
        if (!q_one(db, &state,
                   "SELECT c.state FROM claim c CROSS JOIN intent i ON i.grp=c.grp WHERE c.msg=? AND i.id=?", "ii",
                   I(b->items[i].msg), I(b->items[i].intent)) ||
            (kind >= 0 && state != kind))
            continue;
        kind = state;
        msgs_r[n++] = b->items[i].msg;
    }
    *again_r = kind == 1;
    return call_leave(db, own, err) ? n : 0;
}

bool db_claims_sent(struct db *db, const uint64_t *msgs, size_t n, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n; i++)
        q_keep(db, "UPDATE claim SET state=1 WHERE msg=?", "i", I(msgs[i]));
    return call_leave(db, own, err);
}

bool db_claim_ours(struct db *db, uint64_t msg, bool but_moves, bool *left_r, struct err *err)
{
    bool own;
    struct waiting list[16];
    *left_r = false;
    if (!call_enter(db, &own, err))
        return false;
    size_t n = but_moves ? intents_waiting(db, msg, list, COUNT(list)) : 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == INTENT_MOVE) {
            item_forgo(db, list[i].intent, msg);
            row_refresh(db, msg);
            *left_r = true;
        }
    q_keep(db, "DELETE FROM claim WHERE msg=?", "i", I(msg));
    return call_leave(db, own, err);
}

bool db_claim_lost(struct db *db, uint64_t msg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    claim_lost(db, msg);
    row_refresh(db, msg);
    return call_leave(db, own, err);
}

bool db_claim_wanted(struct db *db, uint64_t msg, bool *wanted_r, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    *wanted_r = claim_waits(db, msg);
    return call_leave(db, own, err);
}
