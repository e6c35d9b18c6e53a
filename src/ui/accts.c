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
static int ref_order(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    if (x->account != y->account)
        return x->account < y->account ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t refs_at(struct refs *set, struct ref ref)
{
    if (!set->sorted && set->n > 1)
        qsort(set->list, set->n, sizeof *set->list, ref_order);
    set->sorted = true;
    size_t lo = 0, hi = set->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ref_order(&set->list[mid], &ref) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool refs_has(struct refs *set, struct ref ref)
{
    size_t at = refs_at(set, ref);
    return at < set->n && ref_eq(set->list[at], ref);
}

static void refs_room(struct refs *set)
{
    if (set->n < set->cap)
        return;
    set->cap = set->cap ? set->cap * 2 : 64;
    set->list = mem_resize(set->list, set->cap, sizeof *set->list);
}

bool refs_push(struct refs *set, struct ref ref)
{
    if (set->n >= REFS_MAX || !ref.id)
        return false;
    refs_room(set);
    set->list[set->n++] = ref;
    set->sorted = false;
    return true;
}

void refs_unique(struct refs *set)
{
    size_t n = 0;
    refs_at(set, REF_NONE);
    for (size_t i = 0; i < set->n; i++)
        if (n == 0 || !ref_eq(set->list[n - 1], set->list[i]))
            set->list[n++] = set->list[i];
    set->n = n;
}

bool refs_add(struct refs *set, struct ref ref)
{
    size_t at = refs_at(set, ref);
    if ((at < set->n && ref_eq(set->list[at], ref)) || set->n >= REFS_MAX || !ref.id)
        return false;
    refs_room(set);
    memmove(&set->list[at + 1], &set->list[at], (set->n - at) * sizeof *set->list);
    set->list[at] = ref;
    set->n++;
    return true;
}

bool refs_drop(struct refs *set, struct ref ref)
{
    size_t at = refs_at(set, ref);
    if (at >= set->n || !ref_eq(set->list[at], ref))
        return false;
    memmove(&set->list[at], &set->list[at + 1], (set->n - at - 1) * sizeof *set->list);
    set->n--;
    return true;
}

void refs_clear(struct refs *set)
{
    set->n = 0;
}

void refs_fini(struct refs *set)
{
    free(set->list);
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
