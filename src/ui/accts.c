/* Accounts, sets of messages, and actions under way. */
#include "ui/model.h"

void accts_init(struct accts *accts, const struct conf *conf)
{
    *accts = (struct accts){.n = 0};
    for (size_t i = 0; i < conf->naccounts && accts->n < ACCOUNTS_MAX; i++)
        accts->list[accts->n++] = (struct acct){.name = mem_dup_z(conf->accounts[i].name), .conf = &conf->accounts[i]};
}

void accts_fini(struct accts *accts)
{
    for (unsigned i = 0; i < accts->n; i++) {
        free(accts->list[i].name);
        reader_close(&accts->list[i].reader);
    }
    accts->n = 0;
}

bool accts_open(struct accts *accts, const char *state_dir, struct err *err)
{
    bool ok = true;
    for (unsigned i = 0; i < accts->n; i++) {
        struct acct *a = &accts->list[i];
        struct err why = ERR_INIT;
        if (a->reader)
            continue;
        a->reader = reader_open(state_dir, a->name, &why);
        if (!a->reader && ok) {
            *err = why;
            err_prefix(err, "%s", a->name);
            ok = false;
        }
    }
    return ok;
}

int accts_find(struct accts *accts, struct str name, bool add)
{
    for (unsigned i = 0; i < accts->n; i++)
        if (str_eqz(name, accts->list[i].name))
            return (int)i;
    if (!add || accts->n == ACCOUNTS_MAX || !name.n)
        return -1;
    accts->list[accts->n] = (struct acct){.name = mem_dup_n(name.p, name.n)};
    return (int)accts->n++;
}

/* ---- sets ---- */
enum { PAGE_BITS = 512 };
struct refs_page {
    unsigned account, n;
    uint64_t no; /* of its ids: id / PAGE_BITS */
    uint64_t bits[PAGE_BITS / 64];
};

/* The page of the message, or where it would be. */
static size_t page_at(const struct refs *set, struct ref ref)
{
    uint64_t no = ref.id / PAGE_BITS;
    size_t lo = 0, hi = set->npages;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct refs_page *p = &set->pages[mid];
        if (p->account < ref.account || (p->account == ref.account && p->no < no))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct refs_page *page_of(const struct refs *set, struct ref ref, size_t *at_r)
{
    *at_r = page_at(set, ref);
    struct refs_page *p = *at_r < set->npages ? &set->pages[*at_r] : NULL;
    return p && p->account == ref.account && p->no == ref.id / PAGE_BITS ? p : NULL;
}

static uint64_t *word_of(struct refs_page *p, struct ref ref)
{
    return &p->bits[ref.id % PAGE_BITS / 64];
}

static uint64_t bit_of(struct ref ref)
{
    return UINT64_C(1) << ref.id % 64;
}

bool refs_has(const struct refs *set, struct ref ref)
{
    size_t at;
    struct refs_page *p = page_of(set, ref, &at);
    return p && (*word_of(p, ref) & bit_of(ref));
}

bool refs_add(struct refs *set, struct ref ref)
{
    size_t at;
    struct refs_page *p = page_of(set, ref, &at);
    if (!ref.id || (!p && set->npages == REFS_PAGES_MAX) || (p && (*word_of(p, ref) & bit_of(ref))))
        return false;
    if (!p) {
        if (set->npages == set->cap)
            set->pages = mem_resize(set->pages, set->cap = set->cap ? set->cap * 2 : 4, sizeof *set->pages);
        p = &set->pages[at];
        memmove(p + 1, p, (set->npages++ - at) * sizeof *p);
        *p = (struct refs_page){.account = ref.account, .no = ref.id / PAGE_BITS};
    }
    *word_of(p, ref) |= bit_of(ref);
    p->n++;
    set->n++;
    return true;
}

bool refs_drop(struct refs *set, struct ref ref)
{
    size_t at;
    struct refs_page *p = page_of(set, ref, &at);
    if (!p || !(*word_of(p, ref) & bit_of(ref)))
        return false;
    *word_of(p, ref) &= ~bit_of(ref);
    set->n--;
    if (!--p->n)
        memmove(p, p + 1, (--set->npages - at) * sizeof *p);
    return true;
}

bool refs_next(const struct refs *set, struct ref *at)
{
    struct ref from = at->id == UINT64_MAX ? (struct ref){at->account + 1, 0} : (struct ref){at->account, at->id + 1};
    for (size_t i = page_at(set, from); i < set->npages; i++) {
        const struct refs_page *p = &set->pages[i];
        bool same = p->account == from.account && p->no == from.id / PAGE_BITS;
        for (unsigned bit = same ? from.id % PAGE_BITS : 0; bit < PAGE_BITS;) {
            uint64_t rest = p->bits[bit / 64] >> bit % 64;
            if (rest) {
                *at = (struct ref){p->account, p->no * PAGE_BITS + bit + (unsigned)__builtin_ctzll(rest)};
                return true;
            }
            bit = (bit / 64 + 1) * 64;
        }
    }
    return false;
}

void refs_clear(struct refs *set)
{
    set->n = set->npages = 0;
}

void refs_fini(struct refs *set)
{
    free(set->pages);
    *set = (struct refs){.n = 0};
}

/* ---- actions under way ---- */
void changes_add(struct changes *c, struct change change)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->list = mem_resize(c->list, c->cap, sizeof *c->list);
    }
    c->list[c->n++] = change;
}

void changes_settle(struct changes *c, uint32_t req)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->list[i].req != req)
            c->list[kept++] = c->list[i];
    c->n = kept;
}

void changes_fini(struct changes *c)
{
    free(c->list);
    *c = (struct changes){.n = 0};
}
