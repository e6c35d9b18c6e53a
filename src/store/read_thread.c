/* Threads as lists show them: which there are, by their newest message, and the messages of one as a tree. */
#include "store/read_int.h"

#define THREAD_MAX 5000 /* messages of a tree: the newest */
#define PARENTS 8 /* of a message's references, the last: its parent, or what stands in for one that is not here */

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

bool reader_threads(struct reader *r, uint64_t box, bool unread, const struct row_key *from, bool older, unsigned max,
                    thread_row_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct row_key at = from ? *from : older ? KEY_NEWEST : KEY_OLDEST;
    const char *text = unread ? (older ? THREAD_SQL "unread>0 AND " DOWN : THREAD_SQL "unread>0 AND " UP)
                              : (older ? THREAD_SQL DOWN : THREAD_SQL UP);
    size_t n = 0;
    max = MIN(max, 100000u);
    struct thread_row *rows = mem_array(max ? max : 1, sizeof *rows);
    sqlite3_stmt *st =
        sql_ask(&r->q, text, "iiii", (int64_t)box, at.date, (int64_t)MIN(at.id, (uint64_t)INT64_MAX), (int64_t)max);
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

bool reader_thread_rank(struct reader *r, uint64_t box, const struct row_key *key, uint32_t *rank_r, uint32_t *total_r,
                        struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    *rank_r = *total_r = 0;
    if (ready < 1)
        return ready == 0;
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
#define NONE UINT32_MAX
struct node {
    uint64_t id, mh;
    uint32_t parent, child, last, next; /* by place in date order; NONE */
    uint64_t parents[PARENTS];          /* hashes, nearest first */
    uint32_t nparents;
    uint64_t box;
    bool here, elsewhere; /* shown; in another mailbox than the one asked for */
};

struct tree {
    struct node *nodes;
    uint32_t n;
};

static void take_parents(struct reader *r, struct node *x, struct str refs)
{
    while (refs.n && x->nparents < PARENTS) {
        size_t at = refs.n;
        while (at && refs.p[at - 1] != ' ')
            at--;
        uint64_t h = sql_msgid_hash(&r->q, str_sub(refs, at, refs.n));
        if (h && h != x->mh)
            x->parents[x->nparents++] = h;
        refs = str_sub(refs, 0, at ? at - 1 : 0);
    }
}

static void tree_load(struct reader *r, uint64_t thread, uint64_t box, struct tree *t, int *rc)
{
    size_t cap = 0;
    *t = (struct tree){.nodes = NULL};
    sqlite3_stmt *st =
        sql_ask(&r->q, "SELECT id,mh,refs,box FROM msg WHERE thread=? ORDER BY date DESC,id DESC LIMIT ?", "ii",
                (int64_t)thread, (int64_t)THREAD_MAX);
    while (sql_step(st, rc)) {
        if (t->n == cap)
            t->nodes = mem_resize(t->nodes, cap = cap ? cap * 2 : 16, sizeof *t->nodes);
        struct node *x = &t->nodes[t->n++];
        *x = (struct node){
            .id = sql_u64(st, 0), .mh = sql_u64(st, 1), .parent = NONE, .child = NONE, .last = NONE, .next = NONE};
        take_parents(r, x, sql_str(st, 2));
        x->box = sql_u64(st, 3);
        x->here = x->box == box;
    }
    for (uint32_t i = 0; i < t->n / 2; i++) {
        struct node x = t->nodes[i];
        t->nodes[i] = t->nodes[t->n - 1 - i];
        t->nodes[t->n - 1 - i] = x;
    }
}

/* What is filed elsewhere, and one's own answers; not what was thrown away or is not sent. */
static void tree_others(struct reader *r, struct tree *t, int *rc)
{
    for (uint32_t i = 0; i < t->n && *rc == SQLITE_OK; i++) {
        struct node *x = &t->nodes[i];
        uint32_t k = 0;
        while (k < i && t->nodes[k].box != x->box)
            k++;
        if (x->here || !x->box)
            continue;
        struct box_row box;
        if (k < i)
            x->elsewhere = t->nodes[k].elsewhere; /* one of that mailbox was met before */
        else if (read_box(r, x->box, &box, rc))
            x->elsewhere = box.role != BOX_TRASH && box.role != BOX_JUNK && box.role != BOX_DRAFTS;
        x->here = x->elsewhere;
    }
}

struct known {
    uint64_t mh;
    uint32_t at;
};

static int by_hash(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    if (x->mh != y->mh)
        return x->mh < y->mh ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Of several of one Message-ID the one that is here, else the oldest. */
static uint32_t known_at(const struct known *known, const struct tree *t, uint64_t mh)
{
    uint32_t lo = 0, hi = t->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (known[mid].mh < mh)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t first = lo < t->n && known[lo].mh == mh ? known[lo].at : NONE;
    for (uint32_t end = lo + PARENTS; lo < t->n && lo < end && known[lo].mh == mh; lo++)
        if (t->nodes[known[lo].at].here)
            return known[lo].at;
    return first;
}

/* Is `x` above `y`? References may loop: what would close a ring is no parent (THREATS 108). */
static bool above(const struct tree *t, uint32_t x, uint32_t y)
{
    while (y != NONE && y != x)
        y = t->nodes[y].parent;
    return y == x;
}

static void tree_link(struct tree *t)
{
    struct known *known = mem_array(t->n ? t->n : 1, sizeof *known);
    for (uint32_t i = 0; i < t->n; i++)
        known[i] = (struct known){t->nodes[i].mh, i};
    qsort(known, t->n, sizeof *known, by_hash);
    for (uint32_t i = 0; i < t->n; i++) {
        struct node *x = &t->nodes[i];
        for (uint32_t k = 0; k < x->nparents && x->parent == NONE; k++) {
            uint32_t p = known_at(known, t, x->parents[k]);
            if (p != NONE && !above(t, i, p))
                x->parent = p;
        }
    }
    free(known);
    /* Those that are not shown leave their children to what is above them. */
    for (uint32_t i = 0; i < t->n; i++) {
        struct node *x = &t->nodes[i];
        uint32_t p = x->parent;
        while (p != NONE && !t->nodes[p].here)
            p = t->nodes[p].parent;
        if (!x->here || p == NONE)
            continue;
        struct node *up = &t->nodes[p];
        if (up->last == NONE)
            up->child = i;
        else
            t->nodes[up->last].next = i;
        up->last = i;
    }
}

/* The nearest shown one above, or NONE. */
static uint32_t shown_parent(const struct tree *t, uint32_t i)
{
    uint32_t p = t->nodes[i].parent;
    while (p != NONE && !t->nodes[p].here)
        p = t->nodes[p].parent;
    return p;
}

struct placed {
    struct msg_row row;
    struct thread_place place;
};

/* In the order of the screen: what has no parent here by date, replies below what they answer. Without recursion: down
 * to the first child, else on to the next one here or above. */
static uint32_t tree_walk(struct reader *r, const struct tree *t, struct placed *out, int *rc)
{
    uint32_t n = 0;
    for (uint32_t root = 0; root < t->n; root++) {
        if (!t->nodes[root].here || shown_parent(t, root) != NONE)
            continue;
        struct thread_place place = {.depth = 0};
        for (uint32_t i = root; i != NONE && *rc == SQLITE_OK;) {
            const struct node *x = &t->nodes[i];
            place.last = x->next == NONE;
            place.elsewhere = x->elsewhere;
            out[n].place = place;
            read_row(r, x->id, &out[n].row, rc);
            n += out[n].row.id != 0;
            if (x->child != NONE) {
                /* bit 0 stands for depth 1 */
                if (place.depth && place.depth <= 64)
                    place.lines = (place.lines & ~(UINT64_C(1) << (place.depth - 1))) | (uint64_t)!place.last
                                                                                            << (place.depth - 1);
                place.depth++;
                i = x->child;
                continue;
            }
            while (i != root && t->nodes[i].next == NONE) {
                i = shown_parent(t, i);
                place.depth--;
            }
            i = i == root ? NONE : t->nodes[i].next;
        }
    }
    return n;
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
    tree_link(&t);
    struct placed *out = mem_array(t.n + 1, sizeof *out);
    uint32_t n = rc == SQLITE_OK ? tree_walk(r, &t, out, &rc) : 0;
    bool ok = read_end(r, rc, err);
    for (uint32_t i = 0; ok && i < n; i++)
        fn(arg, &out[i].row, &out[i].place);
    free(out);
    free(t.nodes);
    return ok;
}
