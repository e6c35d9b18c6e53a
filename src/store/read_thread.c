/* Threads as lists show them: which there are, by their newest message, and the messages of one as a tree. */
#include "mail/tree.h"
#include "store/read_int.h"

#define THREAD_MAX 5000 /* messages of a tree: the newest */

bool reader_thread(struct reader *r, uint64_t thread, unsigned max, msg_row_fn *fn, void *arg, struct err *err)
{
    int ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    return read_rows_by(r, sql_ask(&r->q, "SELECT id FROM msg WHERE thread=? ORDER BY date,id", "i", (int64_t)thread),
                        max, (struct str){NULL, 0}, fn, arg, err);
}

/* ---- which there are ---------------------------------------------------------------------------- */
#define THREAD_SQL "SELECT newest,thread,count,unread,flagged FROM thread WHERE box=?1 AND "
#define DOWN "(newest,thread)<(?2,?3) ORDER BY newest DESC,thread DESC LIMIT ?4"
#define UP "(newest,thread)>(?2,?3) ORDER BY newest,thread LIMIT ?4"

static struct thread_row thread_row_of(sqlite3_stmt *st)
{
    return (struct thread_row){.newest = sql_int(st, 0),
                               .thread = sql_u64(st, 1),
                               .count = sql_u32(st, 2),
                               .unread = sql_u32(st, 3),
                               .flagged = sql_u32(st, 4)};
}

static const char *const walks[][2] = {
    [LIST_ALL] = {THREAD_SQL UP, THREAD_SQL DOWN},
    [LIST_UNREAD] = {THREAD_SQL "unread>0 AND " UP, THREAD_SQL "unread>0 AND " DOWN},
    [LIST_FLAGGED] = {THREAD_SQL "flagged>0 AND " UP, THREAD_SQL "flagged>0 AND " DOWN}};

bool reader_threads(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *from, bool older,
                    unsigned max, thread_row_fn *fn, void *arg, struct err *err)
{
    if ((size_t)filter >= COUNT(walks))
        return err_set(err, ERR_USAGE, "unknown filter");
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct row_key at = from ? *from : older ? KEY_NEWEST : KEY_OLDEST;
    size_t n = 0;
    max = MIN(max, 100000u);
    struct thread_row *rows = mem_array(max ? max : 1, sizeof *rows);
    sqlite3_stmt *st = sql_ask(&r->q, walks[filter][older], "iiii", (int64_t)box, at.date,
                               (int64_t)MIN(at.id, (uint64_t)INT64_MAX), (int64_t)max);
    while (sql_step(st, &rc))
        if (n < max)
            rows[n++] = thread_row_of(st);
    bool ok = read_end(r, rc, err);
    for (size_t i = 0; ok && i < n; i++)
        fn(arg, &rows[i]);
    free(rows);
    return ok;
}

bool reader_thread_row(struct reader *r, uint64_t box, uint64_t thread, struct thread_row *row_r, struct err *err)
{
    *row_r = (struct thread_row){.thread = 0};
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = sql_ask(&r->q, THREAD_SQL "thread=?2", "ii", (int64_t)box, (int64_t)thread);
    if (sql_step(st, &rc)) {
        *row_r = thread_row_of(st);
        sqlite3_reset(st);
    }
    return read_end(r, rc, err);
}

static uint32_t counted(sqlite3_stmt *st, int *rc)
{
    uint32_t n = 0;
    if (sql_step(st, rc)) {
        n = sql_u32(st, 0);
        sqlite3_reset(st);
    }
    return n;
}

/* Of the filtered ones no block has the number: they are counted, so many at most. */
#define COUNTED(filter)                                                                                                \
    {                                                                                                                  \
        "SELECT count(*) FROM (SELECT 1 FROM thread WHERE box=?1 AND " filter                                          \
        " AND (newest,thread)>(?2,?3) LIMIT 200000)",                                                                  \
            "SELECT count(*) FROM (SELECT 1 FROM thread WHERE box=?1 AND " filter " LIMIT 200000)"                     \
    }

static bool filtered_rank(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *key,
                          uint32_t *rank_r, uint32_t *total_r, struct err *err)
{
    static const char *const texts[][2] = {[LIST_UNREAD] = COUNTED("unread>0"), [LIST_FLAGGED] = COUNTED("flagged>0")};
    int rc = SQLITE_OK;
    *rank_r = counted(
        sql_ask(&r->q, texts[filter][0], "iii", (int64_t)box, key->date, (int64_t)MIN(key->id, (uint64_t)INT64_MAX)),
        &rc);
    if (rc == SQLITE_OK)
        *total_r = counted(sql_ask(&r->q, texts[filter][1], "i", (int64_t)box), &rc);
    return read_end(r, rc, err);
}

bool reader_thread_rank(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *key,
                        uint32_t *rank_r, uint32_t *total_r, struct err *err)
{
    if ((size_t)filter >= COUNT(walks))
        return err_set(err, ERR_USAGE, "unknown filter");
    int rc = SQLITE_OK, ready = read_begin(r, err);
    *rank_r = *total_r = 0;
    if (ready < 1)
        return ready == 0;
    if (filter != LIST_ALL)
        return filtered_rank(r, box, filter, key, rank_r, total_r, err);
    int64_t id = (int64_t)MIN(key->id, (uint64_t)INT64_MAX), blocks = -(int64_t)box;
    uint32_t above = counted(sql_ask(&r->q, "SELECT coalesce(sum(n),0) FROM rank WHERE box=?1 AND (date,id)>(?2,?3)",
                                     "iii", blocks, key->date, id),
                             &rc);
    struct row_key end = KEY_NEWEST;
    sqlite3_stmt *st =
        sql_ask(&r->q, "SELECT date,id FROM rank WHERE box=?1 AND (date,id)>(?2,?3) ORDER BY date,id LIMIT 1", "iii",
                blocks, key->date, id);
    if (rc == SQLITE_OK && sql_step(st, &rc)) {
        end = ROW_KEY(sql_int(st, 0), sql_u64(st, 1));
        sqlite3_reset(st);
    }
    if (rc == SQLITE_OK)
        *rank_r = above + counted(sql_ask(&r->q,
                                          "SELECT count(*) FROM thread WHERE box=?1 AND (newest,thread)>(?2,?3) AND "
                                          "(newest,thread)<(?4,?5)",
                                          "iiiii", (int64_t)box, key->date, id, end.date, (int64_t)end.id),
                                  &rc);
    if (rc == SQLITE_OK)
        *total_r = counted(sql_ask(&r->q, "SELECT coalesce(sum(n),0) FROM rank WHERE box=?", "i", blocks), &rc);
    if (rc == SQLITE_OK && !*total_r) /* a cache from before they were counted */
        *total_r = counted(sql_ask(&r->q, "SELECT count(*) FROM thread WHERE box=?", "i", (int64_t)box), &rc);
    return read_end(r, rc, err);
}

bool reader_thread_newest(struct reader *r, uint64_t box, uint64_t thread, struct msg_row *row_r, struct err *err)
{
    *row_r = (struct msg_row){.id = 0};
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    uint64_t id = 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT id FROM msg WHERE thread=? AND +box=? ORDER BY date DESC,id DESC LIMIT 1",
                               "ii", (int64_t)thread, (int64_t)box);
    if (sql_step(st, &rc)) {
        id = sql_u64(st, 0);
        sqlite3_reset(st);
    }
    if (id && rc == SQLITE_OK)
        read_row(r, id, row_r, &rc);
    return read_end(r, rc, err);
}

/* ---- one as a tree ------------------------------------------------------------------------------ */
struct tree {
    struct tree_node *nodes;
    struct member {
        uint64_t id, box;
        bool elsewhere; /* in another mailbox than the one asked for, and shown */
    } * members;
    uint32_t n;
};

static void take_parents(struct reader *r, struct tree_node *x, struct str refs)
{
    while (refs.n && x->nparents < TREE_PARENTS) {
        size_t at = refs.n;
        while (at && refs.p[at - 1] != ' ')
            at--;
        uint64_t h = sql_msgid_hash(&r->q, str_sub(refs, at, refs.n));
        if (h && h != x->key)
            x->parents[x->nparents++] = h;
        refs = str_sub(refs, 0, at ? at - 1 : 0);
    }
}

static sqlite3_stmt *ask_thread(struct reader *r, uint64_t thread)
{
    return sql_ask(&r->q,
                   "SELECT id,mh,refs,box,date,msgid,flags FROM msg WHERE thread=? ORDER BY date DESC,id DESC LIMIT ?",
                   "ii", (int64_t)thread, (int64_t)THREAD_MAX);
}

static void tree_load(struct reader *r, uint64_t thread, uint64_t box, struct tree *t, int *rc)
{
    size_t cap = 0;
    *t = (struct tree){.nodes = NULL};
    sqlite3_stmt *st = ask_thread(r, thread);
    while (sql_step(st, rc)) {
        if (t->n == cap) {
            cap = cap ? cap * 2 : 16;
            t->nodes = mem_resize(t->nodes, cap, sizeof *t->nodes);
            t->members = mem_resize(t->members, cap, sizeof *t->members);
        }
        struct tree_node *x = &t->nodes[t->n];
        *x = (struct tree_node){.key = sql_u64(st, 1), .shown = sql_u64(st, 3) == box};
        take_parents(r, x, sql_str(st, 2));
        t->members[t->n++] = (struct member){sql_u64(st, 0), sql_u64(st, 3), false};
    }
    for (uint32_t i = 0, k = t->n; i + 1 < k--; i++) { /* oldest first */
        struct tree_node x = t->nodes[i];
        struct member m = t->members[i];
        t->nodes[i] = t->nodes[k];
        t->members[i] = t->members[k];
        t->nodes[k] = x;
        t->members[k] = m;
    }
}

/* What is filed elsewhere, and one's own answers; not what was thrown away or is not sent. */
static void tree_others(struct reader *r, struct tree *t, int *rc)
{
    for (uint32_t i = 0; i < t->n && *rc == SQLITE_OK; i++) {
        struct member *x = &t->members[i];
        uint32_t k = 0;
        while (k < i && t->members[k].box != x->box)
            k++;
        if (t->nodes[i].shown || !x->box)
            continue;
        struct box_row box;
        if (k < i)
            x->elsewhere = t->members[k].elsewhere; /* one of that mailbox was met before */
        else if (read_box(r, x->box, &box, rc))
            x->elsewhere = box.role != BOX_TRASH && box.role != BOX_JUNK && box.role != BOX_DRAFTS;
        t->nodes[i].shown = x->elsewhere;
    }
}

struct placed {
    struct msg_row row;
    struct thread_place place;
};
struct walk {
    struct reader *r;
    const struct tree *t;
    struct placed *out;
    uint32_t n;
    int rc;
};

static void walk_row(void *arg, uint32_t i, const struct tree_place *place)
{
    struct walk *w = arg;
    struct placed *p = &w->out[w->n];
    if (w->rc != SQLITE_OK)
        return;
    p->place = (struct thread_place){place->depth, place->last, place->lines, w->t->members[i].elsewhere};
    read_row(w->r, w->t->members[i].id, &p->row, &w->rc);
    w->n += p->row.id != 0;
}

bool reader_thread_tree(struct reader *r, uint64_t box, bool others, uint64_t thread, thread_msg_fn *fn, void *arg,
                        struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct tree t;
    tree_load(r, thread, box, &t, &rc);
    if (others)
        tree_others(r, &t, &rc);
    tree_link(t.nodes, t.n);
    struct walk w = {.r = r, .t = &t, .out = mem_array(t.n + 1, sizeof *w.out), .rc = rc};
    tree_walk(t.nodes, t.n, walk_row, &w);
    bool ok = read_end(r, w.rc, err);
    for (uint32_t i = 0; ok && i < w.n; i++)
        fn(arg, &w.out[i].row, &w.out[i].place);
    free(w.out);
    free(t.nodes);
    free(t.members);
    return ok;
}

/* ---- across mailboxes and accounts --------------------------------------------------------------- */
bool reader_thread_nodes(struct reader *r, uint64_t thread, thread_node_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = ask_thread(r, thread);
    while (sql_step(st, &rc)) {
        struct thread_node x = {.id = sql_u64(st, 0),
                                .box = sql_u64(st, 3),
                                .date = sql_int(st, 4),
                                .flags = sql_u32(st, 6),
                                .msgid = sql_msgid(sql_str(st, 5)),
                                .refs = sql_str(st, 2)};
        if (x.box)
            fn(arg, &x);
    }
    return read_end(r, rc, err);
}

bool reader_threads_of(struct reader *r, const struct str *msgids, size_t n, uint64_t *threads, size_t max,
                       size_t *found_r, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    *found_r = 0;
    if (ready < 1)
        return ready == 0;
    for (size_t i = 0; i < n && *found_r < max && rc == SQLITE_OK; i++) {
        uint64_t mh = sql_msgid_hash(&r->q, msgids[i]), thread = 0;
        sqlite3_stmt *st = sql_ask(&r->q,
                                   "SELECT thread FROM tref WHERE h=?1 UNION SELECT thread FROM msg WHERE mh=?1 AND "
                                   "mh<>0 LIMIT 1",
                                   "i", (int64_t)mh);
        if (mh && sql_step(st, &rc)) {
            thread = sql_u64(st, 0);
            sqlite3_reset(st);
        }
        size_t k = 0;
        while (k < *found_r && threads[k] != thread)
            k++;
        if (thread && k == *found_r)
            threads[(*found_r)++] = thread;
    }
    return read_end(r, rc, err);
}

bool reader_keys(struct reader *r, const uint64_t *ids, size_t n, msg_row_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        struct msg_row row = {.id = ids[i]};
        sqlite3_stmt *st = sql_ask(&r->q, "SELECT box,thread,date,idate,size,flags,fkey,skey FROM msg WHERE id=?", "i",
                                   (int64_t)ids[i]);
        if (sql_step(st, &rc)) {
            row = (struct msg_row){.id = ids[i],
                                   .box = sql_u64(st, 0),
                                   .thread = sql_u64(st, 1),
                                   .date = sql_int(st, 2),
                                   .arrived = sql_int(st, 3),
                                   .size = sql_u64(st, 4),
                                   .flags = sql_u32(st, 5),
                                   .sort_from = sql_str(st, 6),
                                   .sort_subject = sql_str(st, 7)};
            fn(arg, &row);
            sqlite3_reset(st);
        } else {
            fn(arg, &row);
        }
    }
    return read_end(r, rc, err);
}
