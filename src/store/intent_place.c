/* Where what was asked is to be done: a message may not be where it was when it was asked, for a move before that was
 * refused or taken back, or another program has moved it. */
#include "store/db_int.h"

struct away {
    uint64_t msg, box;
};

/* Those that are held elsewhere; *n_r: how many wait in all. */
static struct away *away_load(struct db *db, const struct intent *in, size_t *n_r, size_t *away_r)
{
    struct away *list = NULL;
    size_t n = 0;
    *n_r = 0;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT t.msg,h.box FROM item t LEFT JOIN held h ON h.msg=t.msg WHERE t.intent=? AND "
                             "t.state=0",
                             "i", I(in->id));
    while (q_step(db, st)) {
        uint64_t box = sql_u64(st, 1);
        ++*n_r;
        if (!box || box == in->box)
            continue;
        if (n % 64 == 0)
            list = mem_resize(list, n + 64, sizeof *list);
        list[n++] = (struct away){sql_u64(st, 0), box};
    }
    *away_r = n;
    return list;
}

/* What waits of the message from this intent on gets intents of its own, in the same order; and what waits of the
 * copies that these make. */
static void part(struct db *db, uint64_t msg, uint64_t from)
{
    uint64_t *msgs = mem_array(1, sizeof *msgs);
    size_t n = 1;
    msgs[0] = msg;
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct asked {
            uint64_t intent, copy;
        } *asked = NULL;
        size_t k = 0;
        sqlite3_stmt *st =
            q_ask(db,
                  "SELECT t.intent,t.copy FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE t.msg=? "
                  "AND t.state=0 AND i.state=0 AND t.intent>=? ORDER BY t.intent",
                  "ii", I(msgs[i]), I(from));
        while (q_step(db, st)) {
            if (k % 16 == 0)
                asked = mem_resize(asked, k + 16, sizeof *asked);
            asked[k++] = (struct asked){sql_u64(st, 0), sql_u64(st, 1)};
        }
        for (size_t j = 0; j < k && !db->failed; j++) {
            q_keep(
                db,
                "INSERT INTO intent(grp,round,inverse,kind,state,box,target,fset,fclear,arg,utf8,old,oldutf8,due,"
                "uids) SELECT grp,round,inverse,kind,state,box,target,fset,fclear,arg,utf8,old,oldutf8,due,uids FROM "
                "intent WHERE id=?",
                "i", I(asked[j].intent));
            q_keep(db, "UPDATE item SET intent=? WHERE intent=? AND msg=?", "iii", sqlite3_last_insert_rowid(db->q.h),
                   I(asked[j].intent), I(msgs[i]));
            intent_settle(db, asked[j].intent, ERR_NONE, "");
            if (asked[j].copy) {
                msgs = mem_resize(msgs, n + 1, sizeof *msgs);
                msgs[n++] = asked[j].copy;
            }
        }
        free(asked);
    }
    free(msgs);
}

bool intent_place(struct db *db, struct intent *in)
{
    size_t n, naway;
    if (in->uids.n || intent_on_box(in->kind) || in->kind == INTENT_APPEND)
        return true;
    struct away *away = away_load(db, in, &n, &naway);
    size_t rest = 0;
    for (size_t i = 0; i < naway && !db->failed; i++)
        if (in->kind == INTENT_MOVE && away[i].box == in->target) {
            item_end(db, in->id, away[i].msg, ITEM_DONE);
            row_refresh(db, away[i].msg);
            n--;
        } else {
            away[rest++] = away[i];
        }
    bool together = rest == n;
    for (size_t i = 1; i < rest; i++)
        together = together && away[i].box == away[0].box;
    if (rest > 0 && together) {
        in->box = away[0].box;
        q_keep(db, "UPDATE intent SET box=? WHERE id=?", "ii", I(in->box), I(in->id));
        if (in->kind == INTENT_MOVE)
            q_keep(db, "UPDATE item SET bbox=? WHERE intent=? AND state=0", "ii", I(in->box), I(in->id));
    } else {
        for (size_t i = 0; i < rest && !db->failed; i++)
            part(db, away[i].msg, in->id);
        n -= rest;
    }
    free(away);
    if (n == 0)
        intent_settle(db, in->id, ERR_NONE, "");
    return n > 0;
}
