/* Mail that is kept here whole, as option cache says: fetched newest first while line and user rest, dropped where it
 * takes more room than option cache-size gives, and the files on the disk compared with the rows once a day. */
#include "store/account.h"

#include <sys/statvfs.h>

#define QUIET_MS 2000                     /* after what the user did last */
#define SCAN_ROWS 500                     /* of one mailbox at a time */
#define WANTED_MAX 400                    /* known to be missing */
#define AHEAD_MAX 4                       /* bodies asked for at once ... */
#define AHEAD_BYTES 131072                /* ... while they are small: a user who comes waits for no more than these */
#define AWAY_MS 15000                     /* how long the mailbox on the screen is left for another */
#define AGAIN_MS 60000                    /* after a failure, or a cache that is full */
#define DISK_RESERVE ((uint64_t)32 << 20) /* stays free: what the user does is written too */
#define SLICE_ROWS 1000                   /* of a walk over all bodies, in one turn */
#define SWEEP_S 86400
#define TELL_MS 1000

struct wanted {
    uint64_t msg, box, size;
    int64_t date;
    uint32_t uid;
};
/* How far a mailbox was gone through. News send it back to the top (again, then renewed), as far as something is
 * missing there, and then on to where it was (deep). */
struct place {
    uint64_t box;
    struct cache_policy policy;
    int64_t date, deep_date;
    uint64_t id, deep_id;
    bool done, again, renewed, deep, pinned;
};
struct victim {
    uint64_t msg, size;
    int64_t date, used;
    bool wanted; /* by the policy: goes after all others, oldest first, and only for newer mail */
    char path[64];
};
enum walk_kind { WALK_NONE, WALK_ROOM, WALK_SWEEP };
struct caching {
    struct place *places;
    size_t nplaces;
    struct wanted wanted[WANTED_MAX];
    size_t n, at;
    unsigned under_way;
    uint64_t bytes_under_way, scan_box;
    int64_t not_before, told_at, away_since;
    bool full;    /* nothing may go for what is wanted next */
    bool no_disk; /* there is no room on the disk */
    bool check;   /* more may be here than there is room for */
    struct watch *timer;
    int64_t timer_at; /* monotonic */
    /* a walk over all bodies, in slices: to make room, or to compare with the files */
    enum walk_kind walk;
    int64_t walk_used, walk_start, room_date;
    uint64_t walk_msg, room;
    struct victim *victims;
    size_t nvictims, victims_cap;
    /* the sweep */
    bool sweep_due, listing;
    struct buf files; /* paths on the disk, each with a NUL */
    struct file {
        const char *path;
        bool known;
    } * found; /* the same, sorted */
    size_t nfound;
};

static void timer_fired(void *arg)
{
    struct acct *a = arg;
    a->caching->timer = NULL;
    acct_pump(a);
}

static void later(struct acct *a, int64_t ms)
{
    struct caching *c = a->caching;
    int64_t at = clock_mono_ms() + MAX(ms, (int64_t)1);
    if (c->timer && c->timer_at <= at)
        return;
    watch_free(&c->timer);
    c->timer = loop_after(a->srv->loop, MAX(ms, (int64_t)1), timer_fired, a);
    c->timer_at = at;
}

void cache_new(struct acct *a)
{
    struct buf at = BUF_INIT(64);
    struct err err = ERR_INIT;
    uint64_t swept = 0;
    a->caching = mem_new(sizeof *a->caching);
    a->caching->files = BUF_INIT(64u << 20);
    if (db_meta_get(a->db, "files-swept", &at, &err))
        str_u64(buf_str(&at), &swept);
    a->caching->sweep_due = (int64_t)swept + SWEEP_S <= clock_wall();
    buf_fini(&at);
}

static void walk_end(struct caching *c)
{
    free(c->victims);
    free(c->found);
    buf_fini(&c->files);
    c->victims = NULL;
    c->found = NULL;
    c->nvictims = c->victims_cap = c->nfound = 0;
    c->walk = WALK_NONE;
}

void cache_free(struct acct *a)
{
    struct caching *c = a->caching;
    if (!c)
        return;
    a->caching = NULL;
    walk_end(c);
    watch_free(&c->timer);
    free(c->places);
    free(c);
}

/* ---- Policies ----------------------------------------------------------------------------------- */
static struct place *place_of(struct caching *c, uint64_t box)
{
    for (size_t i = 0; i < c->nplaces; i++)
        if (c->places[i].box == box)
            return &c->places[i];
    return NULL;
}

static void from_top(struct place *p)
{
    p->date = INT64_MAX;
    p->id = INT64_MAX;
}

/* What holds for each mailbox now; how far it was gone through stays where its policy does. */
void cache_policies(struct acct *a)
{
    struct caching *c = a->caching;
    if (!c)
        return;
    struct place *places = mem_array(a->nboxes + 1, sizeof *places);
    for (size_t i = 0; i < a->nboxes; i++) {
        const struct place *old = place_of(c, a->plan[i].id);
        struct place *p = &places[i];
        struct cache_policy policy = conf_cache(a->srv->conf, a->conf, box_utf8(&a->boxes[i]));
        *p = (struct place){.box = a->plan[i].id, .policy = policy};
        from_top(p);
        if (old && old->policy.what == policy.what && old->policy.days == policy.days)
            *p = *old;
        /* Drafts are the user's own work: never dropped once they are here. */
        p->pinned = policy.what == CACHE_ALL || a->boxes[i].role == BOX_DRAFTS;
        p->done = p->done || policy.what == CACHE_HEADERS || !a->plan[i].selectable;
    }
    free(c->places);
    c->places = places;
    c->nplaces = a->nboxes;
    c->n = c->at = 0;
    c->full = false;
    c->check = true;
    c->not_before = 0;
}

void cache_changed(struct acct *a, uint64_t box, bool fresh)
{
    struct place *p = a->caching ? place_of(a->caching, box) : NULL;
    if (a->caching)
        a->caching->check = true;
    if (!p || p->policy.what == CACHE_HEADERS)
        return;
    if (!p->done && !p->again && !p->renewed) {
        p->deep = true;
        p->deep_date = p->date;
        p->deep_id = p->id;
    }
    p->again = true;
    p->done = false;
    if (fresh) /* newer than what fills the room */
        a->caching->not_before = 0;
}

static int64_t since_of(const struct cache_policy *p)
{
    return p->what == CACHE_RECENT ? clock_wall() - (int64_t)p->days * 86400 : INT64_MIN;
}

/* ---- What is missing ---------------------------------------------------------------------------- */
static void bare_seen(void *arg, const struct db_bare *b)
{
    struct caching *c = arg;
    if (c->n < WANTED_MAX)
        c->wanted[c->n++] =
            (struct wanted){.msg = b->msg, .box = c->scan_box, .size = b->size, .date = b->date, .uid = b->uid};
}

/* One slice of one mailbox: true when that is all for now. */
static void scan(struct acct *a, struct place *p)
{
    struct caching *c = a->caching;
    struct err err = ERR_INIT;
    unsigned seen = 0;
    size_t had = c->n;
    if (p->again) {
        p->again = false;
        p->renewed = true;
        from_top(p);
    }
    unsigned max = (unsigned)MIN((size_t)SCAN_ROWS, WANTED_MAX - c->n);
    c->scan_box = p->box;
    if (!db_bodies_missing(a->db, p->box, since_of(&p->policy), &p->date, &p->id, max, bare_seen, c, &seen, &err)) {
        acct_db_error(a, &err);
        p->done = true;
        return;
    }
    p->done = seen < max;
    if (!p->renewed || c->n > had)
        return;
    p->renewed = false;
    p->done = !p->deep;
    if (p->deep) {
        p->deep = false;
        p->date = p->deep_date;
        p->id = p->deep_id;
    }
}

/* Mailboxes one after the other, newest mail first in each: changing between them costs a round trip. */
static bool fill(struct acct *a)
{
    struct caching *c = a->caching;
    if (c->at < c->n)
        return true;
    c->n = c->at = 0;
    for (int low = 0; low < 2; low++)
        for (size_t i = 0; i < c->nplaces && c->n == 0; i++) {
            ptrdiff_t b = c->places[i].done ? -1 : box_at(a, c->places[i].box);
            bool later_on = b >= 0 && !a->plan[b].inbox && c->places[i].box != a->selected;
            if (b >= 0 && later_on == (low == 1))
                scan(a, &c->places[i]);
        }
    return c->n > 0;
}

static bool scans(const struct caching *c)
{
    for (size_t i = 0; i < c->nplaces; i++)
        if (!c->places[i].done)
            return true;
    return false;
}

static void tell(struct acct *a)
{
    struct caching *c = a->caching;
    uint32_t left = (uint32_t)((c->no_disk ? 0 : c->n - c->at) + c->under_way);
    int64_t now = clock_mono_ms();
    if (left == a->caching_left || (left > 0 && a->caching_left > 0 && now - c->told_at < TELL_MS))
        return;
    c->told_at = now;
    a->caching_left = left;
    acct_tell(a, NULL);
}

/* ---- Room --------------------------------------------------------------------------------------- */
static void victim_seen(void *arg, const struct db_body *b)
{
    struct acct *a = arg;
    struct caching *c = a->caching;
    const struct place *p = place_of(c, b->box);
    if ((p && p->pinned) || open_wants(a, b->msg) || b->path.n >= sizeof c->victims->path)
        return;
    if (c->nvictims == c->victims_cap) {
        c->victims_cap = c->victims_cap ? c->victims_cap * 2 : 1024;
        c->victims = mem_resize(c->victims, c->victims_cap, sizeof *c->victims);
    }
    struct victim *v = &c->victims[c->nvictims++];
    *v = (struct victim){.msg = b->msg,
                         .size = b->size,
                         .date = b->date,
                         .used = b->used,
                         .wanted = p && p->policy.what == CACHE_RECENT && b->date >= since_of(&p->policy)};
    memcpy(v->path, b->path.p, b->path.n);
}

static int victim_order(const void *x, const void *y)
{
    const struct victim *a = x, *b = y;
    if (a->wanted != b->wanted)
        return a->wanted ? 1 : -1;
    int64_t k = a->wanted ? a->date : a->used, l = b->wanted ? b->date : b->used;
    if (k != l)
        return k < l ? -1 : 1;
    return a->date < b->date ? -1 : a->date > b->date;
}

static void files_drop(struct acct *a, struct buf *paths)
{
    if (paths->n > 0)
        STEP(a, NULL, -1, STEP_FILES_DROP, .paths = buf_str(paths));
    buf_reset(paths);
}

static void file_add(struct acct *a, struct buf *paths, struct str path)
{
    if (paths->n + path.n + 1 > paths->max)
        files_drop(a, paths);
    buf_adds(paths, path);
    buf_addc(paths, '\0');
}

/* The rows forget their files first: a crash between leaves files that the sweep finds. */
static void room_make(struct acct *a)
{
    struct caching *c = a->caching;
    struct buf paths = BUF_INIT(32768);
    struct err err = ERR_INIT;
    uint64_t freed = 0;
    unsigned dropped = 0;
    if (c->nvictims > 1)
        qsort(c->victims, c->nvictims, sizeof *c->victims, victim_order);
    bool ok = db_begin(a->db, &err);
    for (size_t i = 0; ok && i < c->nvictims && freed < c->room; i++) {
        const struct victim *v = &c->victims[i];
        if (v->wanted && v->date >= c->room_date)
            continue;
        if (!db_body_is(a->db, v->msg, STR(""), STR(""), &err))
            break;
        file_add(a, &paths, str_z(v->path));
        freed += v->size;
        dropped++;
    }
    if (!ok || !db_commit(a->db, &err))
        acct_db_error(a, &err);
    else
        files_drop(a, &paths);
    c->full = freed == 0;
    if (dropped)
        log_msg(LOG_INFO, "%s: %u cached mails, %llu bytes, made room", a->name, dropped, (unsigned long long)freed);
    buf_fini(&paths);
}

static bool used_of(struct acct *a, uint64_t *used_r)
{
    struct err err = ERR_INIT;
    bool ok = db_bodies_total(a->db, used_r, &err);
    if (!ok)
        acct_db_error(a, &err);
    return ok;
}

/* `more` bytes past the limit have to go, where they are of mail that is not wanted or older than `date`. */
static void room_walk(struct acct *a, uint64_t more, int64_t date)
{
    struct caching *c = a->caching;
    walk_end(c);
    c->walk = WALK_ROOM;
    c->walk_used = INT64_MIN;
    c->walk_msg = 0;
    c->room = more + a->conf->cache_size / 20; /* so that the next ones do not walk again */
    c->room_date = date;
}

/* Room for a mail of that size and date; false: not yet, or never (c->full). */
static bool room_for(struct acct *a, uint64_t size, int64_t date)
{
    struct caching *c = a->caching;
    uint64_t limit = a->conf->cache_size, used, need;
    if (limit == 0)
        return true;
    if (!used_of(a, &used))
        return false;
    if (size_add(used, c->bytes_under_way, &need) && size_add(need, size, &need) && need <= limit)
        return true;
    if (size > limit)
        c->full = true;
    else if (!c->full)
        room_walk(a, need - limit, date);
    return false;
}

/* ---- Files and rows ----------------------------------------------------------------------------- */
static int file_order(const void *x, const void *y)
{
    const struct file *a = x, *b = y;
    return strcmp(a->path, b->path);
}

static void listed(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct caching *c = a->caching;
    (void)s;
    (void)text;
    c->listing = false;
    if (kind != ERR_NONE || c->walk != WALK_NONE || c->files.full) {
        buf_fini(&c->files);
        c->sweep_due = kind != ERR_NONE;
        c->not_before = clock_mono_ms() + AGAIN_MS;
        return;
    }
    size_t cap = 0;
    for (size_t i = 0; i < c->files.n; i += strlen(c->files.p + i) + 1) {
        if (c->nfound == cap)
            c->found = mem_resize(c->found, cap = cap ? cap * 2 : 1024, sizeof *c->found);
        c->found[c->nfound++] = (struct file){.path = c->files.p + i};
    }
    if (c->nfound > 1)
        qsort(c->found, c->nfound, sizeof *c->found, file_order);
    c->walk = WALK_SWEEP;
    c->walk_used = INT64_MIN;
    c->walk_msg = 0;
}

void cache_message(struct acct *a, struct msg *m)
{
    struct caching *c = a->caching;
    struct str rest = m->u.FILES.paths, path;
    if (!acct_step_find(a, m->u.FILES.step, MSG_STEP_FILES_LIST) || !c->listing) {
        acct_violation(a, "files that were not asked for");
        return;
    }
    while (str_split(&rest, '\0', &path))
        if (path.n > 0 && path.n < sizeof c->victims->path) {
            buf_adds(&c->files, path);
            buf_addc(&c->files, '\0');
        }
}

static void row_seen(void *arg, const struct db_body *b)
{
    struct acct *a = arg;
    struct caching *c = a->caching;
    size_t lo = 0, hi = c->nfound;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct str s = str_z(c->found[mid].path);
        size_t n = MIN(s.n, b->path.n);
        int order = memcmp(s.p, b->path.p, n);
        if (order == 0 && s.n == b->path.n) {
            c->found[mid].known = true;
            return;
        }
        if (order < 0 || (order == 0 && s.n < b->path.n))
            lo = mid + 1;
        else
            hi = mid;
    }
    /* What came after the list was made is not in it. */
    if (b->used >= c->walk_start)
        return;
    if (c->nvictims == c->victims_cap) {
        c->victims_cap = c->victims_cap ? c->victims_cap * 2 : 64;
        c->victims = mem_resize(c->victims, c->victims_cap, sizeof *c->victims);
    }
    c->victims[c->nvictims++] = (struct victim){.msg = b->msg};
}

static void sweep_end(struct acct *a)
{
    struct caching *c = a->caching;
    struct buf paths = BUF_INIT(32768);
    struct err err = ERR_INIT;
    size_t orphans = 0;
    char now[24];
    snprintf(now, sizeof now, "%lld", (long long)clock_wall());
    bool ok = db_begin(a->db, &err);
    for (size_t i = 0; ok && i < c->nvictims; i++)
        ok = db_body_is(a->db, c->victims[i].msg, STR(""), STR(""), &err);
    ok = ok && db_meta_set(a->db, "files-swept", str_z(now), &err);
    if (!db_commit(a->db, &err))
        ok = false;
    for (size_t i = 0; ok && i < c->nfound; i++)
        if (!c->found[i].known) {
            file_add(a, &paths, str_z(c->found[i].path));
            orphans++;
        }
    files_drop(a, &paths);
    if (!ok)
        acct_db_error(a, &err);
    if (orphans + c->nvictims > 0)
        log_msg(LOG_INFO, "%s: %zu cached files belonged to no message, %zu messages had lost theirs", a->name, orphans,
                c->nvictims);
    for (size_t i = 0; c->nvictims > 0 && i < c->nplaces; i++)
        cache_changed(a, c->places[i].box, true);
    buf_fini(&paths);
}

static bool walk_step(struct acct *a)
{
    struct caching *c = a->caching;
    struct err err = ERR_INIT;
    unsigned seen = 0;
    if (!db_bodies(a->db, &c->walk_used, &c->walk_msg, SLICE_ROWS, c->walk == WALK_ROOM ? victim_seen : row_seen, a,
                   &seen, &err)) {
        acct_db_error(a, &err);
        walk_end(c);
        return false;
    }
    if (seen == SLICE_ROWS) {
        later(a, 1);
        return true;
    }
    if (c->walk == WALK_ROOM)
        room_make(a);
    else
        sweep_end(a);
    walk_end(c);
    later(a, 1); /* what it was for goes on */
    return false;
}

/* ---- Fetching ----------------------------------------------------------------------------------- */
static void body_came(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct caching *c = a->caching;
    struct err err = ERR_INIT;
    (void)text;
    c->under_way--;
    c->bytes_under_way -= MIN(s->b, c->bytes_under_way);
    if (kind == ERR_DISK_FULL || kind == ERR_IO) {
        c->not_before = clock_mono_ms() + AGAIN_MS;
    } else if (kind != ERR_NONE && kind != ERR_CANCELED && kind != ERR_NO_MESSAGE &&
               (!line_error(kind) || kind == ERR_PROTOCOL) && /* it would break each line */
               !db_body_failed(a->db, s->msg, &err)) {
        acct_db_error(a, &err);
    }
    tell(a);
}

static bool body_ask(struct acct *a, const struct wanted *w)
{
    struct caching *c = a->caching;
    struct db_msg m;
    struct err err = ERR_INIT;
    /* It may have been moved, opened or removed since it was found. */
    if (!db_msg_get(a->db, w->msg, &m, &err) || m.sbox != w->box || m.uid != w->uid || (m.body.n > 0 && !m.absent.n) ||
        open_wants(a, w->msg))
        return true;
    uint64_t size = m.size;
    if (!room_for(a, w->size, w->date))
        return false;
    if (open_link(a, &m, true))
        return true;
    if (!imap_select(a, w->box, false))
        return false;
    struct step *s = STEP(a, body_came, -1, STEP_BODY, .urgent = false, .box = w->box, .uid = w->uid, .msg = w->msg,
                          .size = size, .want = STR("*"));
    if (!s)
        return false;
    s->msg = w->msg;
    s->box = w->box;
    s->a = w->uid;
    s->b = w->size;
    c->under_way++;
    c->bytes_under_way += w->size;
    return true;
}

/* Files whose messages are gone. */
static void drop_gone(struct acct *a)
{
    struct buf path = BUF_INIT(600), paths = BUF_INIT(32768);
    if (a->ready)
        while (db_take_dropped(a->db, &path))
            file_add(a, &paths, buf_str(&path));
    files_drop(a, &paths);
    buf_fini(&path);
    buf_fini(&paths);
}

/* Bytes that may still be filled; where none are, it is looked at again later, for others may fill and empty the disk.
 */
static uint64_t disk_left(struct acct *a)
{
    struct caching *c = a->caching;
    struct statvfs v;
    uint64_t kept = DISK_RESERVE + c->bytes_under_way, there = UINT64_MAX;
    if (statvfs(a->srv->root, &v) == 0)
        there = (uint64_t)v.f_bavail * v.f_frsize;
    bool none = there <= kept;
    if (none && !c->no_disk)
        acct_note(a, 1, ERR_DISK_FULL, "the disk is nearly full: no mail is fetched ahead");
    if (none)
        c->not_before = clock_mono_ms() + AGAIN_MS;
    c->no_disk = none;
    return none ? 0 : there - kept;
}

/* Asks for bodies up to what may be under way. True: the line is in use for it. */
static bool ask_some(struct acct *a)
{
    struct caching *c = a->caching;
    while (c->under_way < AHEAD_MAX && c->at < c->n) {
        const struct wanted *w = &c->wanted[c->at];
        if (c->under_way > 0 && (c->bytes_under_way + w->size > AHEAD_BYTES || w->box != a->tail))
            break;
        uint64_t left = disk_left(a);
        if (left == 0 || (w->size <= left && !body_ask(a, w))) /* one that is too large is left out */
            break;
        c->at++;
    }
    if (c->full && c->at < c->n && c->under_way == 0) {
        /* What is wanted next has no place: older mail has none either. */
        log_msg(LOG_INFO, "%s: the cache is full", a->name);
        c->n = c->at = 0;
        c->not_before = clock_mono_ms() + AGAIN_MS;
        c->full = false;
        for (size_t i = 0; i < c->nplaces; i++)
            c->places[i].done = true;
    }
    return c->under_way > 0;
}

bool cache_pump(struct acct *a, bool away)
{
    struct caching *c = a->caching;
    int64_t now = clock_mono_ms(), quiet = a->srv->active_at + QUIET_MS;
    if (!c || !a->ready)
        return false;
    drop_gone(a);
    if (c->listing || c->under_way > 0)
        return true;
    if (!away)
        c->away_since = now;
    if (now - c->away_since > AWAY_MS)
        return false; /* what is new in the mailbox on the screen is seen first */
    if (now < quiet || now < c->not_before) {
        if (c->walk || c->sweep_due || c->check || c->at < c->n || scans(c))
            later(a, MAX(quiet, c->not_before) - now);
        return false;
    }
    if (c->walk)
        return walk_step(a);
    if (c->sweep_due) {
        c->sweep_due = false;
        c->walk_start = clock_wall() - 1;
        c->listing = STEP(a, listed, -1, STEP_FILES_LIST, .step = 0) != NULL;
        return c->listing;
    }
    uint64_t limit = a->conf->cache_size, used = 0;
    /* What the user opened may have filled it; or the limit is new. */
    if (c->check && limit > 0 && used_of(a, &used) && used > limit)
        room_walk(a, used - limit, INT64_MAX);
    c->check = false;
    bool busy = !c->walk && fill(a) && ask_some(a);
    if (!busy && (c->walk || c->at < c->n || scans(c)))
        later(a, 1);
    tell(a);
    return busy;
}
