#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct reader fake_accounts[2] = {{.account = "work"}, {.account = "home"}};
struct m_INTENT fake_last_intent;
bool fake_refuse, fake_body, fake_hold, fake_unindexed;
const char *fake_text = "Subject: x\n\nx\n";
unsigned fake_cancels;
uint32_t fake_job_stops, fake_undone;
unsigned fake_count_most = UINT32_MAX;
static unsigned intents;
static struct m_OPEN held[16];
static size_t nheld;

void fake_reset(void)
{
    for (size_t i = 0; i < COUNT(fake_accounts); i++) {
        const char *name = fake_accounts[i].account;
        free(fake_accounts[i].rows);
        fake_accounts[i] = (struct reader){.account = name, .version = 1};
    }
    intents = 0;
    fake_refuse = fake_body = fake_hold = fake_unindexed = false;
    nheld = 0;
    fake_cancels = 0;
    fake_job_stops = fake_undone = 0;
}

void fake_lists_boxes(void)
{
    fake_reset();
    for (size_t a = 0; a < COUNT(fake_accounts); a++) {
        fake_accounts[a].boxes[0] = (struct fake_box){1, "INBOX", BOX_INBOX, 0};
        fake_accounts[a].boxes[1] = (struct fake_box){2, "Sent", BOX_SENT, 0};
        fake_accounts[a].nboxes = 2;
    }
}

void fake_lists_open(struct fake_lists *f)
{
    struct err err = ERR_INIT;
    *f = (struct fake_lists){.conf = conf_defaults()};
    for (size_t a = 0; a < COUNT(fake_accounts); a++)
        f->accts.list[f->accts.n++].name = mem_dup_z(fake_accounts[a].account);
    assert_true(accts_open(&f->accts, "", &err));
}

void fake_lists_close(struct fake_lists *f)
{
    accts_fini(&f->accts);
    changes_fini(&f->changes);
    conf_free(&f->conf);
}

void fake_add(struct reader *r, struct fake_row row)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->rows = mem_resize(r->rows, r->cap, sizeof *r->rows);
    }
    if (!row.id)
        row.id = r->n ? r->rows[r->n - 1].id + 1 : 1;
    r->rows[r->n++] = row;
    r->version++;
}

struct fake_row *fake_find(struct reader *r, uint64_t id)
{
    size_t from = id && id <= r->n && r->rows[id - 1].id == id ? id - 1 : 0; /* most stand there */
    for (size_t i = from; i < r->n; i++)
        if (r->rows[i].id == id && !r->rows[i].gone)
            return &r->rows[i];
    return NULL;
}

/* ---- store/read.h ---- */
struct reader *reader_open(const char *state_dir, const char *account, struct err *err)
{
    (void)state_dir;
    for (size_t i = 0; i < COUNT(fake_accounts); i++)
        if (!strcmp(account, fake_accounts[i].account))
            return &fake_accounts[i];
    err_set(err, ERR_STORE, "no such account");
    return NULL;
}

void reader_close(struct reader **r)
{
    *r = NULL;
}

uint64_t reader_version(struct reader *r)
{
    return r->version;
}

void reader_hold(struct reader *r)
{
    (void)r;
}

void reader_release(struct reader *r)
{
    (void)r;
}

bool reader_unindexed(struct reader *r)
{
    (void)r;
    return fake_unindexed;
}

static uint64_t thread_of(const struct fake_row *f)
{
    return f->thread ? f->thread : f->id;
}

static struct msg_row as_row(const struct fake_row *f)
{
    return (struct msg_row){.id = f->id,
                            .box = f->box,
                            .thread = thread_of(f),
                            .date = f->date,
                            .arrived = f->date,
                            .size = f->size ? f->size : 1000,
                            .flags = f->flags,
                            .attrs = f->attrs,
                            .state = f->state,
                            .from_name = str_z(f->name),
                            .from_addr = str_z(f->addr),
                            .to = str_z(f->to),
                            .subject = str_z(f->subject),
                            .sort_from = str_z(f->name),
                            .sort_subject = str_z(f->subject),
                            .tags = str_z(f->tags ? f->tags : "")};
}

static struct box_row as_box(struct reader *r, const struct fake_box *b)
{
    struct box_row row = {
        .id = b->id, .name = str_z(b->path), .utf8 = str_z(b->path), .delim = '/', .attrs = b->attrs, .role = b->role};
    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].box == b->id && !r->rows[i].gone) {
            row.total++;
            row.unread += !(r->rows[i].flags & FLAG_SEEN);
        }
    row.known = row.total;
    return row;
}

bool reader_boxes(struct reader *r, box_row_fn *fn, void *arg, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < r->nboxes; i++) {
        struct box_row row = as_box(r, &r->boxes[i]);
        fn(arg, &row);
    }
    return true;
}

bool reader_box(struct reader *r, uint64_t box, struct box_row *row_r, struct err *err)
{
    (void)err;
    *row_r = (struct box_row){.id = 0};
    for (size_t i = 0; i < r->nboxes; i++)
        if (r->boxes[i].id == box)
            *row_r = as_box(r, &r->boxes[i]);
    return true;
}

static bool in_list(const struct reader *r, const struct fake_row *f, uint64_t box, enum list_filter filter)
{
    bool here = box ? f->box == box : false;
    for (size_t i = 0; !box && i < r->nboxes; i++)
        here = here || (r->boxes[i].id == f->box && r->boxes[i].role == BOX_INBOX);
    return here && !f->gone && (filter != LIST_UNREAD || !(f->flags & FLAG_SEEN)) &&
           (filter != LIST_FLAGGED || (f->flags & FLAG_FLAGGED));
}

/* Falling by (date, id): is a before b? */
static bool before(int64_t date_a, uint64_t id_a, int64_t date_b, uint64_t id_b)
{
    return date_a != date_b ? date_a > date_b : id_a > id_b;
}

/* Does a stand above b? */
static bool above(const struct row_key *a, const struct row_key *b, enum list_order order)
{
    size_t n = MIN(a->text.n, b->text.n);
    int c = n ? memcmp(a->text.p, b->text.p, n) : 0;
    c = c                        ? c
        : a->text.n != b->text.n ? (a->text.n < b->text.n ? -1 : 1)
        : a->number != b->number ? (a->number < b->number ? -1 : 1)
        : a->date != b->date     ? (a->date < b->date ? -1 : 1)
        : a->id != b->id         ? (a->id < b->id ? -1 : 1)
                                 : 0;
    return ORDER_RISES(order) ? c < 0 : c > 0;
}

bool reader_sorted(struct reader *r, uint64_t box, enum list_filter filter, enum list_order order,
                   const struct row_key *from, bool down, unsigned max, msg_row_fn *fn, void *arg, struct err *err)
{
    struct row_key at = from ? *from : ROW_KEY(0, 0), best_key = ROW_KEY(0, 0);
    bool any = from != NULL;
    (void)err;
    for (unsigned i = 0; i < max; i++) {
        const struct fake_row *best = NULL;
        for (size_t k = 0; k < r->n; k++) {
            const struct fake_row *f = &r->rows[k];
            struct msg_row row = as_row(f);
            struct row_key key = row_key_of(&row, order);
            bool beyond = !any || (down ? above(&at, &key, order) : above(&key, &at, order));
            if (!in_list(r, f, box, filter) || !beyond)
                continue;
            if (!best || (down ? above(&key, &best_key, order) : above(&best_key, &key, order))) {
                best = f;
                best_key = key;
            }
        }
        if (!best)
            break;
        struct msg_row row = as_row(best);
        at = best_key;
        any = true;
        fn(arg, &row);
    }
    return true;
}

bool reader_rows(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *from, bool older,
                 unsigned max, msg_row_fn *fn, void *arg, struct err *err)
{
    return reader_sorted(r, box, filter, ORDER_DATE, from, older, max, fn, arg, err);
}

struct counted {
    const struct row_key *to;
    enum list_order order;
    uint32_t n;
    bool met;
    struct row_key last;
};

static void count_row(void *arg, const struct msg_row *row)
{
    struct counted *c = arg;
    struct row_key key = row_key_of(row, c->order);
    c->met = c->met || (c->to && !above(&key, c->to, c->order));
    c->n += !c->met;
    if (!c->met)
        c->last = key;
}

bool reader_sorted_count(struct reader *r, uint64_t box, enum list_filter filter, enum list_order order,
                         const struct row_key *at, const struct row_key *to, unsigned max, uint32_t *n_r,
                         struct row_key *at_r, bool *done_r, struct err *err)
{
    struct counted c = {.to = to, .order = order};
    reader_sorted(r, box, filter, order, at, true, MIN(max, fake_count_most), count_row, &c, err);
    *n_r = c.n;
    *done_r = c.n < MIN(max, fake_count_most);
    *at_r = c.last;
    return true;
}

bool reader_row(struct reader *r, uint64_t msg, struct msg_row *row_r, struct err *err)
{
    const struct fake_row *f = fake_find(r, msg);
    (void)err;
    *row_r = f ? as_row(f) : (struct msg_row){.id = 0};
    return true;
}

bool reader_rank(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *key, uint32_t *rank_r,
                 uint32_t *total_r, struct err *err)
{
    (void)err;
    *rank_r = *total_r = 0;
    for (size_t i = 0; i < r->n; i++)
        if (in_list(r, &r->rows[i], box, filter)) {
            ++*total_r;
            *rank_r += before(r->rows[i].date, r->rows[i].id, key->date, key->id);
        }
    return true;
}

bool reader_preview(struct reader *r, uint64_t msg, struct buf *out, struct err *err)
{
    (void)r, (void)msg, (void)out, (void)err;
    return true;
}

bool reader_tags(struct reader *r, uint64_t msg, struct buf *out, struct err *err)
{
    const struct fake_row *f = fake_find(r, msg);
    (void)err;
    if (f && f->tags)
        buf_addz(out, f->tags);
    return true;
}

bool reader_tag_used(struct reader *r, struct str tag, bool begins, bool *used_r, struct err *err)
{
    (void)err;
    *used_r = false;
    for (size_t i = 0; i < r->n; i++)
        for (struct str rest = str_z(r->rows[i].tags ? r->rows[i].tags : ""), one; str_split(&rest, ' ', &one);)
            *used_r = *used_r || (begins ? str_starts(one, tag) : str_eq(one, tag));
    return true;
}

bool reader_tag_names(struct reader *r, unsigned max, tag_count_fn *fn, void *arg, struct err *err)
{
    (void)err, (void)max;
    for (size_t i = 0; i < r->n; i++)
        for (struct str rest = str_z(r->rows[i].tags ? r->rows[i].tags : ""), tag; str_split(&rest, ' ', &tag);)
            if (tag.n)
                fn(arg, tag, 1);
    return true;
}

bool reader_thread(struct reader *r, uint64_t thread, unsigned max, msg_row_fn *fn, void *arg, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < r->n && max; i++)
        if (thread_of(&r->rows[i]) == thread && !r->rows[i].gone) {
            struct msg_row row = as_row(&r->rows[i]);
            fn(arg, &row);
            max--;
        }
    return true;
}

bool reader_keys(struct reader *r, const uint64_t *ids, size_t n, msg_row_fn *fn, void *arg, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const struct fake_row *f = fake_find(r, ids[i]);
        struct msg_row row = f ? as_row(f) : (struct msg_row){.id = ids[i]};
        fn(arg, &row);
    }
    return true;
}

/* The accounts have their messages in common where those bear the same `mail`. */
static void fake_msgid(const struct reader *r, const struct fake_row *f, struct buf *out)
{
    if (f->mail)
        buf_addz(out, f->mail);
    else
        buf_addf(out, "%llu@%s", (unsigned long long)f->id, r->account);
}

bool reader_thread_nodes(struct reader *r, uint64_t thread, thread_node_fn *fn, void *arg, struct err *err)
{
    (void)err;
    for (size_t i = r->n; i-- > 0;) {
        const struct fake_row *f = &r->rows[i], *up = f->answers ? fake_find(r, f->answers) : NULL;
        struct buf id = BUF_INIT(200), refs = BUF_INIT(200);
        if (f->gone || thread_of(f) != thread)
            continue;
        fake_msgid(r, f, &id);
        if (up)
            fake_msgid(r, up, &refs);
        else if (f->refers)
            buf_addz(&refs, f->refers);
        fn(arg, &(struct thread_node){f->id, f->box, f->date, f->flags, buf_str(&id), buf_str(&refs)});
        buf_fini(&id);
        buf_fini(&refs);
    }
    return true;
}

bool reader_threads_of(struct reader *r, const struct str *msgids, size_t n, uint64_t *threads, size_t max,
                       size_t *found_r, struct err *err)
{
    (void)err;
    *found_r = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r->n; k++) {
            const struct fake_row *f = &r->rows[k];
            bool is = (f->mail && str_eqz(msgids[i], f->mail)) || (f->refers && str_eqz(msgids[i], f->refers));
            size_t at = 0;
            while (at < *found_r && threads[at] != thread_of(f))
                at++;
            if (is && !f->gone && at == *found_r && at < max)
                threads[(*found_r)++] = thread_of(f);
        }
    return true;
}

/* ---- threads: slow and simple ---- */
bool reader_thread_row(struct reader *r, uint64_t box, uint64_t thread, struct thread_row *row_r, struct err *err)
{
    (void)err;
    *row_r = (struct thread_row){.thread = 0};
    for (size_t i = 0; i < r->n; i++) {
        const struct fake_row *f = &r->rows[i];
        if (f->gone || f->box != box || thread_of(f) != thread)
            continue;
        row_r->thread = thread;
        row_r->newest = row_r->count++ ? MAX(row_r->newest, f->date) : f->date;
        row_r->unread += !(f->flags & FLAG_SEEN);
        row_r->flagged += (f->flags & FLAG_FLAGGED) != 0;
    }
    return true;
}

bool reader_threads(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *from, bool older,
                    unsigned max, thread_row_fn *fn, void *arg, struct err *err)
{
    struct row_key at = from ? *from : ROW_KEY(0, 0);
    bool any = from != NULL;
    for (unsigned n = 0; n < max; n++) {
        struct thread_row best = {.thread = 0};
        for (size_t i = 0; i < r->n; i++) {
            struct thread_row t;
            reader_thread_row(r, box, thread_of(&r->rows[i]), &t, err);
            bool beyond = !any || (older ? before(at.date, at.id, t.newest, t.thread)
                                         : before(t.newest, t.thread, at.date, at.id));
            bool better = !best.thread || (older ? before(t.newest, t.thread, best.newest, best.thread)
                                                 : before(best.newest, best.thread, t.newest, t.thread));
            if (t.thread && beyond && better && (filter == LIST_ALL || (filter == LIST_UNREAD ? t.unread : t.flagged)))
                best = t;
        }
        if (!best.thread)
            break;
        at = ROW_KEY(best.newest, best.thread);
        any = true;
        fn(arg, &best);
    }
    return true;
}

static void count_thread(void *arg, const struct thread_row *row)
{
    uint32_t *n = arg;
    (void)row;
    ++*n;
}

bool reader_thread_rank(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *key,
                        uint32_t *rank_r, uint32_t *total_r, struct err *err)
{
    *rank_r = *total_r = 0;
    return reader_threads(r, box, filter, key, false, UINT32_MAX, count_thread, rank_r, err) &&
           reader_threads(r, box, filter, NULL, true, UINT32_MAX, count_thread, total_r, err);
}

bool reader_thread_newest(struct reader *r, uint64_t box, uint64_t thread, struct msg_row *row_r, struct err *err)
{
    (void)err;
    *row_r = (struct msg_row){.id = 0};
    for (size_t i = 0; i < r->n; i++) {
        const struct fake_row *f = &r->rows[i];
        if (!f->gone && f->box == box && thread_of(f) == thread &&
            (!row_r->id || before(f->date, f->id, row_r->date, row_r->id)))
            *row_r = as_row(f);
    }
    return true;
}

/* The replies to `answers`, oldest first, and theirs. */
static void tree_below(struct reader *r, uint64_t box, uint64_t own, uint64_t thread, uint64_t answers,
                       struct thread_place place, thread_msg_fn *fn, void *arg)
{
    const struct fake_row *last = NULL, *f;
    for (int pass = 0; pass < 2; pass++) {
        struct row_key at = ROW_KEY(INT64_MIN, 0);
        for (;;) {
            const struct fake_row *next = NULL;
            for (size_t i = 0; i < r->n; i++) {
                f = &r->rows[i];
                if (!f->gone && (!box || f->box == box) && thread_of(f) == thread && f->answers == answers &&
                    before(f->date, f->id, at.date, at.id) && (!next || before(next->date, next->id, f->date, f->id)))
                    next = f;
            }
            if (!next)
                break;
            at = ROW_KEY(next->date, next->id);
            if (pass == 0) {
                last = next;
                continue;
            }
            struct msg_row row = as_row(next);
            place.last = next == last;
            place.elsewhere = next->box != own;
            fn(arg, &row, &place);
            struct thread_place below = place;
            below.depth++;
            if (place.depth && place.depth <= 64)
                below.lines |= (uint64_t)!place.last << (place.depth - 1);
            tree_below(r, box, own, thread, next->id, below, fn, arg);
        }
    }
}

bool reader_thread_tree(struct reader *r, uint64_t box, bool others, uint64_t thread, thread_msg_fn *fn, void *arg,
                        struct err *err)
{
    (void)err;
    tree_below(r, others ? 0 : box, box, thread, 0, (struct thread_place){.depth = 0}, fn, arg);
    return true;
}

bool reader_box_by_role(struct reader *r, uint8_t role, struct box_row *row_r, struct err *err)
{
    (void)err;
    *row_r = (struct box_row){.id = 0};
    for (size_t i = 0; i < r->nboxes && !row_r->id; i++)
        if (r->boxes[i].role == role)
            *row_r = as_box(r, &r->boxes[i]);
    return true;
}

bool reader_addresses(struct reader *r, struct str prefix, unsigned max, address_fn *fn, void *arg, struct err *err)
{
    (void)r, (void)prefix, (void)max, (void)err;
    fn(arg, &(struct address_row){STR("Alice \033[31mExample"), STR("alice@example.org"), 1});
    return true;
}

bool reader_pending(struct reader *r, uint32_t *intents_r, uint32_t *outbox_r, struct err *err)
{
    (void)r, (void)err;
    *intents_r = *outbox_r = 0;
    return true;
}

bool reader_queue(struct reader *r, unsigned max, queue_row_fn *fn, void *arg, struct err *err)
{
    (void)r, (void)max, (void)fn, (void)arg, (void)err;
    return true;
}

bool reader_server(struct reader *r, const char *name, struct buf *out, struct err *err)
{
    (void)r, (void)name, (void)out, (void)err;
    return true;
}

bool reader_facts(struct reader *r, fact_fn *fn, void *arg, struct err *err)
{
    (void)r, (void)err;
    fn(arg, "server", "Example\x1b[31m 1.0", 0);
    fn(arg, "quota", "User quota: 950 KB of 1000 KB (95 %)", 95);
    return true;
}

bool reader_outbox(struct reader *r, outbox_row_fn *fn, void *arg, struct err *err)
{
    (void)r, (void)fn, (void)arg, (void)err;
    return true;
}

bool reader_find_msgid(struct reader *r, struct str msgid, msg_row_fn *fn, void *arg, struct err *err)
{
    (void)r, (void)msgid, (void)fn, (void)arg, (void)err;
    return true;
}

bool reader_find_tagged(struct reader *r, const struct msg_row *of, struct str words, msg_row_fn *fn, void *arg,
                        struct err *err)
{
    (void)r, (void)of, (void)words, (void)fn, (void)arg, (void)err;
    return true;
}

/* ---- fixed rows ---- */
#define DAY(n) (1584000000 + (n)*3600)
void fake_mails(void)
{
    static const struct fake_box work[] = {{1, "INBOX", BOX_INBOX, 0},
                                           {2, "Archive", BOX_ARCHIVE, 0},
                                           {3, "Sent", BOX_SENT, 0},
                                           {4, "Trash", BOX_TRASH, 0},
                                           {5, "Lists", BOX_NONE, BOX_NOSELECT},
                                           {6, "Lists/kernel", BOX_NONE, 0},
                                           {7, "bad\033[2Jbox\xe2\x80\xae", BOX_NONE, 0}};
    static const struct fake_box home[] = {{1, "INBOX", BOX_INBOX, 0}, {2, "受信", BOX_NONE, 0}};
    static const struct {
        const char *name, *subject;
        uint32_t flags, attrs;
    } mails[] = {
        {"Alice Example", "Re: budget for the third quarter", FLAG_SEEN | FLAG_ANSWERED, 0},
        {"Bob Example", "[patch 2/3] net: bound the literal", 0, ROW_ATTACHMENT},
        {"build@ci", "main is green again", 0, 0},
        {"見本 太郎", "見積書の件についてのご連絡とお願いがございます、よろしくお願い申し上げます", FLAG_SEEN,
         ROW_ATTACHMENT},
        {"Carol Ex.", "Fwd: slides", FLAG_SEEN | FLAG_FLAGGED | FLAG_FORWARDED, ROW_ATTACHMENT},
        {"Mallory\033]0;owned\007",
         "\033[31mred\033[0m and \x9b"
         "31m and bell\007",
         0, 0},
        {"شركة المثال",
         "مرحبا \xe2\x80\xae"
         "reversed",
         FLAG_SEEN, 0},
        {"👨‍👩‍👧‍👦 Family", "emoji 👍🏽 ❤️ 🇩🇪 and e\xcc\x81\xcc\x82\xcc\x83", FLAG_SEEN,
         ROW_ENCRYPTED},
        {"",
         "a subject that is long enough to be cut at every width that a terminal of this century has, and then some "
         "more words so that it is cut at two hundred columns too, which takes a while",
         0, 0},
    };
    fake_reset();
    memcpy(fake_accounts[0].boxes, work, sizeof work);
    fake_accounts[0].nboxes = COUNT(work);
    memcpy(fake_accounts[1].boxes, home, sizeof home);
    fake_accounts[1].nboxes = COUNT(home);
    for (size_t i = 0; i < COUNT(mails); i++)
        fake_add(&fake_accounts[i % 3 == 2], (struct fake_row){.box = 1,
                                                               .thread = i / 2 + 1,
                                                               .date = DAY((int64_t)(100 - i)),
                                                               .flags = mails[i].flags,
                                                               .attrs = mails[i].attrs,
                                                               .name = mails[i].name,
                                                               .addr = "sender@example.org",
                                                               .to = "You",
                                                               .subject = mails[i].subject});
    for (size_t i = 0; i < 60; i++)
        fake_add(&fake_accounts[0], (struct fake_row){.box = i % 10 == 9 ? 6 : 1,
                                                      .thread = 100 + i,
                                                      .date = DAY((int64_t)(80 - i)),
                                                      .flags = i % 7 ? FLAG_SEEN : 0,
                                                      .name = "Robot",
                                                      .addr = "robot@example.org",
                                                      .to = "You",
                                                      .subject = "one of many"});
}

/* ---- the ui and the peer ---- */
static const char base_config[] = "account work imaps://alice@imap.example.org\n"
                                  "account home maildir:/nonexistent/mail\n"
                                  "set editor true\n"
                                  "set date-format \"%Y-%m-%d\"\n"
                                  "saved \"To answer\" \"tag:unread\"\n";

static void on_intent(struct fake_ui *f, const struct m_INTENT *m)
{
    struct err err = ERR_INIT;
    struct reader *r = str_eqz(m->account, "home") ? &fake_accounts[1] : &fake_accounts[0];
    static const uint64_t to[] = {[INTENT_ARCHIVE] = 2, [INTENT_TRASH] = 4, [INTENT_SPAM] = 4};
    uint32_t clear = 0;
    intents++;
    static char arg[1000];
    fake_last_intent = *m;
    snprintf(arg, sizeof arg, "%.*s", STR_FMT(m->arg));
    fake_last_intent.arg = str_z(arg);
    if (fake_refuse) {
        SEND(f->store, -1, &err, REFUSED, .req = m->req, .kind = ERR_SERVER_NO, .text = STR("no \033[1mway"));
        return;
    }
    if (m->kind == INTENT_BOX_CREATE && r->nboxes < COUNT(r->boxes)) {
        static char paths[COUNT(r->boxes)][200];
        snprintf(paths[r->nboxes], sizeof paths[0], "%.*s", STR_FMT(m->arg));
        r->boxes[r->nboxes] = (struct fake_box){.id = 100 + r->nboxes, .path = paths[r->nboxes]};
        r->nboxes++;
    }
    for (size_t i = 0; i < m->arg.n && i < 4 && m->kind == INTENT_FLAGS; i++)
        clear |= (uint32_t)(unsigned char)m->arg.p[i] << (8 * i);
    for (size_t i = 0; i < ipc_ids_count(m->msgs); i++) {
        struct fake_row *row = fake_find(r, ipc_ids_at(m->msgs, i));
        if (!row)
            continue;
        if (m->kind == INTENT_FLAGS)
            row->flags = (row->flags | m->flags) & ~clear;
        else if (m->kind == INTENT_MOVE)
            row->box = m->target;
        else if (m->kind == INTENT_PURGE)
            row->gone = true;
        else if (m->kind < COUNT(to) && to[m->kind])
            row->box = to[m->kind];
    }
    r->version++;
    SEND(f->store, -1, &err, INTENT_OK, .req = m->req, .group = intents,
         .count = m->kind == INTENT_BOX_CREATE ? 1 : (uint32_t)ipc_ids_count(m->msgs),
         .box = m->kind == INTENT_BOX_CREATE ? r->boxes[r->nboxes - 1].id : 0);
    SEND(f->store, -1, &err, CHANGED, .account = m->account, .box = 0, .fresh = 0);
}

static void send_body(struct fake_ui *f, const struct m_OPEN *m)
{
    struct err err = ERR_INIT;
    int fd = memfd_create("body", MFD_CLOEXEC);
    size_t n = strlen(fake_text);
    if (fd < 0 || write(fd, fake_text, n) != (ssize_t)n)
        bug("memfd");
    lseek(fd, 0, SEEK_SET);
    SEND(f->store, fd, &err, BODY, .req = m->req, .msg = m->msg);
    close(fd);
}

static bool serve(struct fake_ui *f)
{
    struct err err = ERR_INIT;
    struct msg m;
    bool any = false;
    while (chan_recv(f->store, &m, &err) == 1) {
        any = true;
        if (m.kind == MSG_INTENT)
            on_intent(f, &m.u.INTENT);
        else if (m.kind == MSG_CANCEL)
            fake_cancels++;
        else if (m.kind == MSG_JOB_STOP)
            fake_job_stops = m.u.JOB_STOP.job;
        else if (m.kind == MSG_OPEN && fake_hold) {
            if (nheld < COUNT(held) && !m.u.OPEN.prefetch)
                held[nheld++] = m.u.OPEN;
        } else if (m.kind == MSG_OPEN && fake_body)
            send_body(f, &m.u.OPEN);
        else if (m.kind == MSG_OPEN)
            SEND(f->store, -1, &err, REFUSED, .req = m.u.OPEN.req, .kind = ERR_OFFLINE, .text = STR("not here"));
        else if (m.kind == MSG_UNDO && fake_undone)
            SEND(f->store, -1, &err, UNDONE, .req = m.u.UNDO.req, .redo = m.u.UNDO.redo, .count = fake_undone,
                 .text = STR("tags of some put back"));
        else if (m.kind == MSG_UNDO)
            SEND(f->store, -1, &err, REFUSED, .req = m.u.UNDO.req, .kind = ERR_NOT_UNDOABLE,
                 .text = STR("nothing to undo"));
        if (m.fd >= 0)
            close(m.fd);
    }
    return any;
}

void fake_settle(struct fake_ui *f)
{
    for (int quiet = 0; quiet < 2;) {
        bool any = serve(f);
        loop_once(f->loop, 0);
        quiet = any ? 0 : quiet + 1;
    }
}

void fake_open(struct fake_ui *f, unsigned rows, unsigned cols, const char *config)
{
    struct err err = ERR_INIT;
    int fd[2];
    *f = (struct fake_ui){.conf = conf_defaults(), .loop = loop_new()};
    const char *texts[] = {base_config, config ? config : ""};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct str rest = str_z(texts[i]);
        struct line line;
        unsigned number = 1;
        while (line_next(&rest, "test", &number, &line, &err) == 1) {
            if (!conf_run(f->conf, &line, &err))
                bug("%s", err.text);
            line_fini(&line);
        }
    }
    snprintf(f->root, sizeof f->root, "/tmp/tuimail-test-XXXXXX");
    f->cwd = open(".", O_DIRECTORY | O_CLOEXEC);
    if (!mkdtemp(f->root) || chdir(f->root) < 0)
        bug("no directory for the test");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
        bug("socketpair");
    f->client.chan = chan_new(fd[0], ROLE_UI, ROLE_STORE);
    f->store = chan_new(fd[1], ROLE_STORE, ROLE_UI);
    struct ui_start start = {.conf = f->conf, .root = f->root, .config = ""};
    f->ui = ui_new(&start, f->loop, &f->client, NULL);
    ui_resize(f->ui, rows, cols);
    SEND(f->store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_ONLINE);
    SEND(f->store, -1, &err, ACCOUNT, .account = STR("home"), .state = ACCOUNT_OFFLINE, .queued = 2);
    fake_settle(f);
    ui_draw(f->ui);
}

static int unlink_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void fake_close(struct fake_ui *f)
{
    ui_free(&f->ui);
    if (fchdir(f->cwd) < 0)
        bug("the test's directory is gone");
    close(f->cwd);
    nftw(f->root, unlink_entry, 8, FTW_DEPTH | FTW_PHYS);
    chan_free(&f->client.chan);
    chan_free(&f->store);
    loop_free(&f->loop);
    conf_free(&f->conf);
}

void fake_type(struct fake_ui *f, const char *keys)
{
    struct str rest = str_z(keys), word;
    ckey key;
    while (rest.n && str_split(&rest, ' ', &word)) {
        if (!word.n)
            continue;
        if (!key_parse(word, &key))
            bug("no key %.*s", STR_FMT(word));
        ui_key(f->ui, key);
        f->ui->keys_on = 0; /* one who waits for what comes of it */
        fake_settle(f);
        ui_draw(f->ui);
        ui_check(f->ui);
    }
}

bool fake_shows(struct fake_ui *f, const char *words)
{
    struct buf out = BUF_INIT(1u << 20);
    ui_draw(f->ui);
    ui_check(f->ui);
    grid_print(&f->ui->grid, false, &out);
    bool found = strstr(buf_z(&out), words) != NULL;
    struct str rest = buf_str(&out), line;
    if (!found)
        print_message("# no \"%s\" in\n", words);
    while (!found && rest.n && str_split(&rest, '\n', &line)) /* lines of their own: what reads TAP passes over them */
        print_message("# %.*s\n", STR_FMT(line));
    buf_fini(&out);
    return found;
}

void fake_answer_open(struct fake_ui *f)
{
    for (size_t i = 0; i < nheld; i++)
        send_body(f, &held[i]);
    nheld = 0;
    fake_settle(f);
    ui_draw(f->ui);
}

unsigned fake_intents(void)
{
    return intents;
}

/* ---- golden screens ---- */
static char *golden_path(const char *name)
{
    const char *src = getenv("TUIMAIL_SRC");
    char *dir = path_join(src ? src : ".", "tests/golden/ui");
    char *path = path_join(dir, name);
    free(dir);
    return path;
}

static void show(struct fake_ui *f)
{
    fake_settle(f);
    ui_list(f->ui)->rank_cost_ms = 0; /* threads are counted each time, not seldom enough */
    ui_draw(f->ui);
    ui_check(f->ui);
}

static void compare(const char *name, const struct buf *got)
{
    struct buf want = BUF_INIT(4u << 20);
    struct err err = ERR_INIT;
    const char *mode = getenv("TUIMAIL_GOLDEN");
    char *path = golden_path(name);
    if (mode && !strcmp(mode, "write"))
        assert_true(fs_write_atomic(path, 0644, buf_str(got), &err));
    if (!fs_read(path, 4u << 20, &want, &err))
        fail_msg("%s: %s", path, err.text);
    if (!str_eq(buf_str(got), buf_str(&want))) {
        print_message("---- wanted %s\n%s---- got\n%s", name, buf_z(&want), buf_z(got));
        fail_msg("%s differs", name);
    }
    buf_fini(&want);
    free(path);
}

void fake_golden(struct fake_ui *f, const char *name)
{
    struct buf got = BUF_INIT(4u << 20);
    show(f);
    grid_print(&f->ui->grid, true, &got);
    compare(name, &got);
    buf_fini(&got);
}

static void add_color(struct buf *out, int32_t color)
{
    if (color < 0)
        buf_addz(out, "-");
    else
        buf_addf(out, color > 255 ? "#%06x" : "%d", (unsigned)color & 0xffffff);
}

void fake_golden_looks(struct fake_ui *f, const char *name)
{
    static const char *const attributes[] = {"bold", "dim", "italic", "underline", "reverse"};
    const struct grid *g = &f->ui->grid;
    struct buf got = BUF_INIT(4u << 20);
    show(f);
    for (unsigned y = 0; y < g->rows; y++) {
        for (unsigned x = 0; x < g->cols; x++)
            buf_add(&got, grid_at(g, y, x)->p, grid_at(g, y, x)->n);
        buf_addc(&got, '\n');
        for (unsigned x = 0, from = 0; x < g->cols; x++) {
            struct look look = theme_look(&f->ui->theme, grid_at(g, y, x)->style);
            struct look next = x + 1 < g->cols ? theme_look(&f->ui->theme, grid_at(g, y, x + 1)->style) : look;
            if (x + 1 < g->cols && look.fg == next.fg && look.bg == next.bg && look.attributes == next.attributes)
                continue;
            buf_addf(&got, "  | %u-%u ", from, x);
            add_color(&got, look.fg);
            buf_addz(&got, " on ");
            add_color(&got, look.bg);
            for (unsigned i = 0; i < COUNT(attributes); i++)
                buf_addf(&got, "%s%s", look.attributes & 1u << i ? " " : "",
                         look.attributes & 1u << i ? attributes[i] : "");
            buf_addc(&got, '\n');
            from = x + 1;
        }
    }
    compare(name, &got);
    buf_fini(&got);
}
