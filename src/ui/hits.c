/* Hits: kept small and in the list's order, whatever comes from whom. They are looked up in the databases some
 * milliseconds at a time, so that neither a hundred thousand of them nor a change of all delays a key. */
#include "ui/hits_int.h"

enum { LOOK_MS = 4, LOOK_BATCH = 256, UNREAD_TRIES = 1000, TEXT_MAX = 512 };

/* ---- which they are ---- */
static uint32_t slot_of(const struct hits *h, struct ref ref, struct str msgid)
{
    uint64_t x = (ref.id ? ref.id * 2 : str_hash(msgid) | 1) + ref.account * UINT64_C(0x632BE59BD9B4E019);
    return (uint32_t)((x * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (h->nslots - 1);
}

static struct str msgid_of(const struct hits *h, const struct hit_at *a)
{
    return a->id ? STR("") : str_z(h->mores[a->more - 1].msgid);
}

/* The slot of the message, or the free one where it would be. */
static uint32_t slot_find(const struct hits *h, struct ref ref, struct str msgid)
{
    uint32_t s = slot_of(h, ref, msgid);
    for (; h->slots[s]; s = (s + 1) & (h->nslots - 1)) {
        const struct hit_at *a = &h->at[h->slots[s] - 1];
        if (a->account == ref.account && a->id == ref.id && (ref.id || str_eq(msgid_of(h, a), msgid)))
            break;
    }
    return s;
}

uint32_t hit_index(const struct hits *h, struct ref ref, struct str msgid)
{
    return h && h->nslots ? h->slots[slot_find(h, ref, msgid)] - 1 : UINT32_MAX; /* 0 - 1: none */
}

static void slots_make(struct hits *h, uint32_t n)
{
    free(h->slots);
    h->nslots = n;
    h->slots = mem_array(n, sizeof *h->slots);
    for (uint32_t i = 0; i < h->n; i++)
        h->slots[slot_find(h, (struct ref){h->at[i].account, h->at[i].id}, msgid_of(h, &h->at[i]))] = i + 1;
}

static void more_free(struct hit_more *m)
{
    free(m->msgid);
    free(m->from);
    free(m->subject);
    free(m->path);
}

void hits_fini(struct list *l)
{
    struct hits *h = l->hits;
    if (!h)
        return;
    groups_free(h);
    for (uint32_t i = 0; i < h->nmores; i++)
        more_free(&h->mores[i]);
    free(h->mores);
    free(h->at);
    free(h->slots);
    free(h->texts);
    free(h->order);
    free(h->shown);
    free(h);
    l->hits = NULL;
}

static char *dup_str(struct str s)
{
    return mem_dup_n(s.n ? s.p : "", s.n);
}

static uint32_t more_add(struct hits *h, struct hit_more m)
{
    if (h->nmores % 64 == 0)
        h->mores = mem_resize(h->mores, h->nmores + 64, sizeof *h->mores);
    h->mores[h->nmores++] = m;
    return h->nmores;
}

struct hits *hits_copy(const struct hits *from)
{
    if (!from)
        return NULL;
    struct hits *h = mem_new(sizeof *h);
    h->at = mem_array(from->n ? from->n : 1, sizeof *h->at);
    h->n = h->cap = from->n;
    h->over = from->over;
    h->by = from->by;
    for (uint32_t i = 0; i < from->nmores; i++) {
        const struct hit_more *m = &from->mores[i];
        more_add(h, (struct hit_more){mem_dup_z(m->msgid), mem_dup_z(m->from), mem_dup_z(m->subject),
                                      mem_dup_z(m->path), m->size});
    }
    for (uint32_t i = 0; i < from->n; i++) {
        h->at[i] = from->at[i];
        h->at[i].placed = false;
        h->at[i].number = 0;
    }
    if (from->nslots)
        slots_make(h, from->nslots);
    return h;
}

/* ---- by what they are sorted ---- */
/* What has gone, or has not been looked up, has the empty text. */
static struct str text_at(const struct hits *h, const struct hit_at *a)
{
    const char *p = h->texts + a->number;
    if (!a->number)
        return STR("");
    return (struct str){p + 2, (size_t)(unsigned char)p[0] << 8 | (unsigned char)p[1]};
}

struct row_key hit_key(const struct list *l, uint32_t i)
{
    const struct hit_at *a = &l->hits->at[i];
    struct row_key key = ROW_KEY(a->date, a->id ? a->id : a->more);
    if (ORDER_RISES(l->order))
        key.text = text_at(l->hits, a);
    else if (l->order != ORDER_DATE)
        key.number = a->number;
    return key;
}

static int compare(const struct list *l, uint32_t i, uint32_t k)
{
    struct row_key a = hit_key(l, i), b = hit_key(l, k);
    return key_compare(l->order, &a, l->hits->at[i].account, &b, l->hits->at[k].account);
}

static void merge(const struct list *l, const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t *out)
{
    for (uint32_t i = 0, k = 0; i < na || k < nb;)
        *out++ = k == nb || (i < na && compare(l, a[i], b[k]) <= 0) ? a[i++] : b[k++];
}

/* Most come sorted already. */
static void sort(const struct list *l, uint32_t *list, uint32_t n)
{
    uint32_t i = 1;
    while (i < n && compare(l, list[i - 1], list[i]) <= 0)
        i++;
    if (i >= n)
        return;
    uint32_t *from = list, *room = mem_array(n, sizeof *room), *to = room;
    for (uint32_t run = 1; run < n; run *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * run) {
            uint32_t mid = MIN(lo + run, n), end = MIN(lo + 2 * run, n);
            merge(l, from + lo, mid - lo, from + mid, end - mid, to + lo);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != list)
        memcpy(list, from, n * sizeof *list);
    free(room);
}

static bool kept(const struct list *l, const struct hit_at *a)
{
    return a->here && (l->filter == LIST_ALL || (l->filter == LIST_UNREAD ? !a->seen : a->flagged));
}

/* Those that have no place yet, or another one now, go to theirs. */
static void place_new(struct list *l)
{
    struct hits *h = l->hits;
    uint32_t *order = mem_array(h->known + 1u, sizeof *order), *fresh = mem_array(h->known + 1u, sizeof *fresh);
    uint32_t n = 0, nfresh = 0;
    for (uint32_t i = 0; i < h->norder; i++)
        if (h->at[h->order[i]].placed)
            order[n++] = h->order[i];
    for (uint32_t i = 0; i < h->known; i++)
        if (!h->at[i].placed) {
            h->at[i].placed = true;
            fresh[nfresh++] = i;
        }
    sort(l, fresh, nfresh);
    if (!n || !nfresh || compare(l, order[n - 1], fresh[0]) <= 0) {
        memcpy(order + n, fresh, nfresh * sizeof *order);
        free(h->order);
        h->order = order;
    } else {
        h->order = mem_resize(h->order, h->known + 1u, sizeof *h->order);
        merge(l, order, n, fresh, nfresh, h->order);
        free(order);
    }
    h->norder = n + nfresh;
    free(fresh);
}

static bool arrange(struct list *l)
{
    struct hits *h = l->hits;
    if (!h->replace && !h->refilter)
        return false;
    if (h->replace)
        place_new(l);
    h->replace = h->refilter = false;
    h->shown = mem_resize(h->shown, h->norder + 1u, sizeof *h->shown);
    h->nshown = h->nunread = 0;
    for (uint32_t i = 0; i < h->norder; i++)
        if (kept(l, &h->at[h->order[i]])) {
            h->nunread += !h->at[h->order[i]].seen;
            h->shown[h->nshown++] = h->order[i];
        }
    h->groups.old = true;
    return true;
}

void hits_reorder(struct list *l)
{
    struct hits *h = l->hits;
    if (!h)
        return;
    h->refilter = true;
    if (h->by == l->order)
        return;
    h->by = l->order;
    h->replace = true;
    h->norder = h->nshown = 0;
    h->ntexts = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        h->at[i].placed = false;
        h->at[i].number = 0;
    }
    if (l->order != ORDER_DATE) /* what they are sorted by is read again */
        h->known = h->swept = 0;
}

/* ---- looking up ---- */
static void inbox_add(void *arg, const struct box_row *box)
{
    struct hits *h = arg;
    if (box->role == BOX_INBOX && h->ninboxes < COUNT(h->inboxes))
        h->inboxes[h->ninboxes++] = box->id;
}

static void limits_read(struct list *l)
{
    struct hits *h = l->hits;
    struct err err = ERR_INIT;
    h->ninboxes = 0;
    for (unsigned a = 0; l->limits && l->limits->source == LIST_INBOXES && a < l->accts->n; a++) {
        unsigned from = h->ninboxes;
        if (l->accts->list[a].reader)
            reader_boxes(l->accts->list[a].reader, inbox_add, h, &err);
        for (unsigned i = from; i < h->ninboxes; i++)
            h->inbox_of[i] = a;
    }
}

static bool in_limits(const struct list *l, unsigned account, uint64_t box)
{
    const struct list *of = l->limits;
    if (!box || !of || (of->source != LIST_BOX && of->source != LIST_INBOXES))
        return box != 0;
    if (of->source == LIST_BOX)
        return account == of->account && box == of->box;
    for (unsigned i = 0; i < l->hits->ninboxes; i++)
        if (l->hits->inboxes[i] == box && l->hits->inbox_of[i] == account)
            return true;
    return false;
}

static int64_t text_keep(struct hits *h, struct str text)
{
    size_t at = MAX(h->ntexts, (size_t)1), n = MIN(text.n, (size_t)TEXT_MAX);
    while (h->cap_texts < at + n + 2)
        h->texts = mem_resize(h->texts, h->cap_texts = h->cap_texts ? h->cap_texts + h->cap_texts / 2 : 65536, 1);
    h->texts[at] = (char)(n >> 8);
    h->texts[at + 1] = (char)n;
    if (n)
        memcpy(h->texts + at + 2, text.p, n);
    h->ntexts = at + n + 2;
    return (int64_t)at;
}

struct look {
    struct list *list;
    uint32_t at[LOOK_BATCH], n, next;
};

/* How much of what is searched for its header has; one that has all of it in the subject comes before others. */
static int64_t score(struct list *l, struct str from, struct str addr, struct str subject)
{
    const struct query_words *words = list_searched(l);
    unsigned in = query_words_in(words, PLACE_SUBJECT, subject), all = (unsigned)query_words_count(words);
    unsigned sender = MAX(query_words_in(words, PLACE_FROM, from), query_words_in(words, PLACE_FROM, addr));
    return (int64_t)in * 4 + (in && in == all ? 8 : 0) + (int64_t)sender * 3;
}

static void looked(struct list *l, struct hit_at *a, const struct msg_row *row)
{
    struct hits *h = l->hits;
    bool here = in_limits(l, a->account, row->box), seen = row->flags & FLAG_SEEN,
         flagged = (row->flags & FLAG_FLAGGED) != 0;
    if (row->box) {
        struct row_key key = row_key_of(row, l->order);
        if (l->order == ORDER_RELEVANCE)
            key.number = score(l, row->from_name, row->from_addr, row->subject);
        bool same = a->placed && a->date == row->date;
        if (ORDER_RISES(l->order)) {
            key.text.n = MIN(key.text.n, (size_t)TEXT_MAX);
            if (!a->placed || !str_eq(text_at(h, a), key.text)) {
                a->number = text_keep(h, key.text);
                same = false;
            }
        } else {
            same = same && (l->order == ORDER_DATE || a->number == key.number);
            a->number = key.number;
        }
        h->groups.old = h->groups.old || a->thread != row->thread;
        a->date = row->date;
        a->thread = row->thread;
        a->placed = same;
        h->replace = h->replace || !same;
    }
    h->refilter = h->refilter || here != a->here || seen != a->seen || flagged != a->flagged;
    a->here = here;
    a->seen = seen;
    a->flagged = flagged;
}

static void look_row(void *arg, const struct msg_row *row)
{
    struct look *k = arg;
    looked(k->list, &k->list->hits->at[k->at[k->next++]], row);
}

/* One that no database has is what its source said of it. */
static void look_more(struct list *l, struct hit_at *a)
{
    const struct hit_more *m = &l->hits->mores[a->more - 1];
    char text[TEXT_MAX];
    if (a->placed)
        return;
    if (ORDER_RISES(l->order))
        a->number = text_keep(
            l->hits,
            (struct str){text, text_sort_key(str_z(l->order == ORDER_FROM ? m->from : m->subject), text, sizeof text)});
    else if (l->order == ORDER_RELEVANCE)
        a->number = score(l, str_z(m->from), str_z(""), str_z(m->subject));
    else
        a->number = l->order == ORDER_SIZE ? (int64_t)MIN(m->size, (uint64_t)INT64_MAX) : a->date;
    a->here = true;
    l->hits->replace = true;
}

/* Those from `from` on, some of them; where it ended. */
static uint32_t look_some(struct list *l, uint32_t from, uint32_t to)
{
    struct hits *h = l->hits;
    struct look k = {.list = l};
    uint64_t ids[LOOK_BATCH];
    struct err err = ERR_INIT;
    unsigned account = h->at[from].account;
    for (to = MIN(to, from + LOOK_BATCH); from < to && h->at[from].account == account; from++) {
        struct hit_at *a = &h->at[from];
        if (!a->id) {
            look_more(l, a);
            continue;
        }
        k.at[k.n] = from;
        ids[k.n++] = a->id;
    }
    struct reader *reader = account < l->accts->n ? l->accts->list[account].reader : NULL;
    if (reader && k.n)
        reader_keys(reader, ids, k.n, look_row, &k, &err);
    for (; k.next < k.n; k.next++) /* they cannot be read */
        h->at[k.at[k.next]].here = false;
    return from;
}

/* New ones first, then those whose databases changed: at least one batch, as many as there is time for. */
static void look_on(struct list *l)
{
    struct hits *h = l->hits;
    int64_t start = l->clock();
    do {
        bool fresh = h->known < h->n, all = h->swept == h->known;
        if (fresh)
            h->known = look_some(l, h->known, h->n);
        else if (!all)
            h->swept = look_some(l, h->swept, h->known);
        else
            return;
        h->replace = h->replace || fresh;
        if (fresh && all)
            h->swept = h->known;
    } while (l->clock() - start < LOOK_MS);
}

bool hits_update(struct list *l, bool again)
{
    struct hits *h = l->hits;
    if (!h)
        return false;
    if (again && h->swept < h->known)
        h->again = true;
    else if (again)
        h->swept = 0;
    if (!h->swept)
        limits_read(l);
    look_on(l);
    if (h->swept == h->known && h->again) {
        h->again = false;
        h->swept = 0;
    }
    bool changed = arrange(l);
    return (list_threaded(l) && groups_make(l)) || changed;
}

bool hits_busy(const struct list *l)
{
    const struct hits *h = l->hits;
    return h && (h->known < h->n || h->swept < h->known || (list_threaded(l) && h->groups.old));
}

/* ---- what sources say ---- */
/* Those that nobody says any more go. */
static void purge(struct hits *h)
{
    uint32_t n = 0, known = 0, norder = 0, nshown = 0, *moved = mem_array(h->n + 1u, sizeof *moved);
    for (uint32_t i = 0; i < h->n; i++) {
        moved[i] = h->at[i].sources ? n : UINT32_MAX;
        known += i < h->known && moved[i] != UINT32_MAX;
        if (moved[i] != UINT32_MAX)
            h->at[n++] = h->at[i];
    }
    if (n < h->n) {
        for (uint32_t i = 0; i < h->norder; i++)
            if (moved[h->order[i]] != UINT32_MAX)
                h->order[norder++] = moved[h->order[i]];
        for (uint32_t i = 0; i < h->nshown; i++)
            if (moved[h->shown[i]] != UINT32_MAX)
                h->shown[nshown++] = moved[h->shown[i]];
        h->swept = h->swept == h->known ? known : 0;
        h->n = n;
        h->known = known;
        h->norder = norder;
        h->nshown = nshown;
        h->refilter = true;
        if (h->nslots)
            slots_make(h, h->nslots);
        groups_free(h);
    }
    free(moved);
}

static struct hits *hits_of(struct list *l)
{
    if (!l->hits) {
        l->hits = mem_new(sizeof *l->hits);
        l->hits->by = l->order;
    }
    return l->hits;
}

void list_hits_begin(struct list *l, enum hit_source source, bool clear)
{
    struct hits *h = hits_of(l);
    for (uint32_t i = 0; i < h->n; i++)
        h->at[i].said &= (uint8_t)~source;
    h->clear = (uint8_t)(clear ? h->clear | source : h->clear & ~source);
    h->over = 0;
    h->rounds |= (uint8_t)source;
    l->full_hits = false;
}

static void clear_source(struct list *l, enum hit_source source)
{
    struct hits *h = l->hits;
    for (uint32_t i = 0; i < h->n; i++)
        h->at[i].sources &= (uint8_t)~source;
    h->clear &= (uint8_t)~source;
    purge(h);
    list_to_newest(l);
}

void list_add_hit(struct list *l, enum hit_source source, const struct hit *hit)
{
    struct hits *h = hits_of(l);
    if (h->clear & source)
        clear_source(l, source);
    if (h->nslots < 2 * (h->n + 1u))
        slots_make(h, h->nslots ? h->nslots * 2 : 256);
    uint32_t slot = slot_find(h, hit->ref, hit->msgid);
    if (!h->slots[slot] && h->n == HITS_MAX) {
        h->over++;
        return;
    }
    if (!h->slots[slot]) {
        if (h->n == h->cap)
            h->at = mem_resize(h->at, h->cap = h->cap ? h->cap + h->cap / 2 : 256, sizeof *h->at);
        struct hit_at a = {.id = hit->ref.id,
                           .account = (uint8_t)hit->ref.account,
                           .date = hit->date,
                           .seen = (hit->flags & FLAG_SEEN) != 0,
                           .flagged = (hit->flags & FLAG_FLAGGED) != 0};
        if (!a.id)
            a.more = more_add(h, (struct hit_more){dup_str(hit->msgid), dup_str(hit->from), dup_str(hit->subject),
                                                   dup_str(hit->path), hit->size});
        h->at[h->n++] = a;
        h->slots[slot] = h->n;
        l->stale = true;
    }
    struct hit_at *a = &h->at[h->slots[slot] - 1];
    a->sources |= (uint8_t)source;
    a->said |= (uint8_t)source;
    if (hit->conversation && a->conversation != hit->conversation) {
        a->conversation = hit->conversation;
        h->groups.old = true;
    }
}

void list_hits_end(struct list *l, enum hit_source source)
{
    struct hits *h = hits_of(l);
    if (h->clear & source)
        clear_source(l, source);
    for (uint32_t i = 0; i < h->n; i++)
        if (!(h->at[i].said & source))
            h->at[i].sources &= (uint8_t)~source;
    purge(h);
    h->rounds &= (uint8_t)~source;
    l->full_hits = !h->rounds;
    l->stale = true;
}

uint32_t list_hits(const struct list *l)
{
    return l->hits ? l->hits->n : 0;
}

uint32_t list_hits_over(const struct list *l)
{
    uint32_t n = list_hits(l), told = n == HITS_MAX && l->asked > n ? l->asked - n : 0;
    return l->hits ? MAX(l->hits->over, told) : 0;
}

bool list_hit_at(const struct list *l, uint32_t i, struct hit *hit_r)
{
    if (!l->hits || i >= l->hits->n)
        return false;
    const struct hit_at *a = &l->hits->at[i];
    *hit_r = (struct hit){.ref = i < l->hits->known && !a->here ? REF_NONE : (struct ref){a->account, a->id},
                          .date = a->date,
                          .conversation = a->conversation,
                          .msgid = msgid_of(l->hits, a),
                          .flags = (a->seen ? FLAG_SEEN : 0u) | (a->flagged ? FLAG_FLAGGED : 0u)};
    return true;
}

bool list_has_hit(const struct list *l, struct ref ref)
{
    return ref.id && hit_index(l->hits, ref, STR("")) != UINT32_MAX;
}

/* ---- rows ---- */
bool hit_read(const struct list *l, uint32_t i, struct list_row *row_r)
{
    const struct hit_at *a = &l->hits->at[i];
    struct msg_row raw = {.id = 0};
    struct err err = ERR_INIT;
    struct reader *reader = a->account < l->accts->n ? l->accts->list[a->account].reader : NULL;
    bool here = true;
    *row_r = (struct list_row){.mem = NULL};
    if (a->id) {
        if (!reader || !reader_row(reader, a->id, &raw, &err) || !raw.id)
            return false;
        here = in_limits(l, a->account, raw.box);
    } else {
        const struct hit_more *m = &l->hits->mores[a->more - 1];
        raw = (struct msg_row){.flags = (a->seen ? FLAG_SEEN : 0u) | (a->flagged ? FLAG_FLAGGED : 0u),
                               .size = m->size,
                               .from_name = str_z(m->from),
                               .subject = str_z(m->subject),
                               .msgid = str_z(m->msgid)};
    }
    /* it stands where the list has it, until it is looked up again */
    struct row_key key = hit_key(l, i);
    raw.date = a->date;
    if (l->order == ORDER_ARRIVAL)
        raw.arrived = key.number;
    else if (l->order == ORDER_SIZE)
        raw.size = (uint64_t)key.number;
    else if (l->order == ORDER_FROM)
        raw.sort_from = key.text;
    else if (l->order == ORDER_SUBJECT)
        raw.sort_subject = key.text;
    *row_r = row_of_file(a->account, &raw, str_z(a->id ? "" : l->hits->mores[a->more - 1].path));
    row_r->sources = a->sources;
    row_r->score = l->order == ORDER_RELEVANCE ? key.number : 0;
    row_r->hit = a->id ? 0 : a->more;
    row_r->ghost = !a->id && !(a->sources & HITS_SERVER);
    return row_changes(l, row_r) && here;
}

/* How many of those that are shown stand above it, not reversed. */
static uint32_t above(const struct list *l, const struct row_key *key, unsigned account, bool with)
{
    const struct hits *h = l->hits;
    uint32_t lo = 0, hi = h ? h->nshown : 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct row_key at = hit_key(l, h->shown[mid]);
        int c = key_compare(l->order, &at, h->at[h->shown[mid]].account, key, account);
        if (c < 0 || (with && c == 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool hits_rows(const struct list *l, const struct list_row *from, bool down, unsigned want, struct gather *out,
               bool *end_r)
{
    const struct hits *h = l->hits;
    bool rising = down != l->reverse;
    int64_t n = h ? h->nshown : 0, i = rising ? 0 : n - 1;
    *out = (struct gather){.list = l};
    if (from) {
        struct row_key key = row_place(l, from);
        i = (int64_t)above(l, &key, from->ref.account, rising) - !rising;
    }
    for (; i >= 0 && i < n && out->n < want; i += rising ? 1 : -1) {
        struct list_row row;
        if (hit_read(l, h->shown[i], &row))
            gather_add(out, row);
        else
            row_free(&row);
    }
    *end_r = i < 0 || i >= n;
    for (unsigned a = 0, b = out->n; !down && a + 1 < b--; a++) {
        struct list_row swap = out->rows[a];
        out->rows[a] = out->rows[b];
        out->rows[b] = swap;
    }
    return true;
}

void hits_count(const struct list *l, const struct list_row *top, const struct list_row *bottom, struct day_count *c)
{
    const struct hits *h = l->hits;
    struct row_key from = row_place(l, top), to = row_place(l, bottom);
    if (list_threaded(l)) {
        groups_count(l, top, bottom, c);
        return;
    }
    for (uint32_t i = above(l, &from, top->ref.account, false), end = above(l, &to, bottom->ref.account, false);
         i < end; i++, c->n++)
        c->unread += !h->at[h->shown[i]].seen;
}

bool hits_find(const struct list *l, struct ref ref, struct str msgid, struct list_row *row_r)
{
    uint32_t i = ref.id || msgid.n ? hit_index(l->hits, ref, msgid) : UINT32_MAX;
    *row_r = (struct list_row){.mem = NULL};
    return i != UINT32_MAX && i < l->hits->known && l->hits->at[i].placed && hit_read(l, i, row_r);
}

bool hits_row(const struct list *l, const struct list_row *old, struct list_row *row_r)
{
    uint32_t i = hit_index(l->hits, old->ref, old->msgid);
    *row_r = (struct list_row){.mem = NULL};
    return i != UINT32_MAX && i < l->hits->known && l->hits->at[i].placed && hit_read(l, i, row_r);
}

bool hits_at_rank(const struct list *l, uint32_t rank, struct list_row *row_r)
{
    uint32_t n = l->hits ? l->hits->nshown : 0;
    for (uint32_t i = rank; i < n; i++) { /* the next one, where that has just gone */
        if (hit_read(l, l->hits->shown[l->reverse ? n - 1 - i : i], row_r))
            return true;
        row_free(row_r);
    }
    return false;
}

void hits_rank(const struct list *l, uint32_t *rank_r, uint32_t *total_r)
{
    const struct list_row *row = list_cursor(l);
    *total_r = l->hits ? l->hits->nshown : 0;
    *rank_r = 0;
    if (!row)
        return;
    struct row_key key = row_place(l, row);
    uint32_t up = above(l, &key, row->ref.account, false);
    *rank_r = !l->reverse ? up : *total_r > up + !row->ghost ? *total_r - up - !row->ghost : 0;
}

struct ref hits_unread(const struct list *l, bool down)
{
    const struct hits *h = l->hits;
    const struct list_row *row = list_cursor(l);
    struct row_key key = row_place(l, row);
    bool rising = down != l->reverse;
    int64_t i = (int64_t)above(l, &key, row->ref.account, rising) - !rising;
    for (unsigned tries = 0; i >= 0 && i < (int64_t)h->nshown && tries < UNREAD_TRIES; i += rising ? 1 : -1) {
        const struct hit_at *a = &h->at[h->shown[i]];
        struct list_row at;
        if (a->seen || !a->id)
            continue;
        bool unread = hit_read(l, h->shown[i], &at) && !(at.flags & FLAG_SEEN);
        row_free(&at);
        if (unread)
            return (struct ref){a->account, a->id};
        tries++; /* read a moment ago */
    }
    return REF_NONE;
}

uint32_t hits_unread_count(const struct list *l)
{
    return l->hits ? l->hits->nunread : 0;
}
