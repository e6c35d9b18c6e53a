/* What the language of queries asks of the store: mailboxes, fields, accounts, saved searches. */
#include "search/search.h"

static const struct {
    const char *name;
    uint8_t role;
} box_roles[] = {
    {"inbox", BOX_INBOX}, {"archive", BOX_ARCHIVE}, {"drafts", BOX_DRAFTS},
    {"sent", BOX_SENT},   {"trash", BOX_TRASH},     {"junk", BOX_JUNK},
    {"spam", BOX_JUNK},   {"all", BOX_ALL},         {"flagged", BOX_FLAGGED},
};

struct world {
    struct search *search;
    struct str account;
};

/* Inside a "..." of a query a quote is doubled. */
static void put_quoted(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_addc(out, '"');
        buf_addc(out, s.p[i]);
    }
}

/* Escapes for a POSIX regex inside the quotes. */
static void put_regex(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\0' && strchr("\\^$.[]|()*+?{}", s.p[i]) != NULL)
            buf_addc(out, '\\');
        put_quoted(out, str_sub(s, i, i + 1));
    }
}

/* INBOX is the Maildir itself, the others are Maildir++ folders in it. */
static void put_folder(struct buf *out, const char *account, const char *at, const struct box_row *box)
{
    bool inbox = box->name.n == 0 || str_case_eqz(box->name, "INBOX");
    buf_addf(out, "folder:\"%s%s%s", account, at, inbox ? "" : "/.");
    for (size_t i = 0; i < box->name.n && !inbox; i++)
        if (box->delim != '\0' && box->name.p[i] == box->delim)
            buf_addc(out, '.');
        else
            put_quoted(out, str_sub(box->name, i, i + 1));
    buf_addc(out, '"');
}

static void put_box(struct buf *out, const char *account, const struct box_row *box, bool *first)
{
    buf_addz(out, *first ? "(" : " or ");
    *first = false;
    if (box->local) { /* a Maildir of ours, or the one that the account names */
        put_folder(out, account, "", box);
        buf_addz(out, " or ");
        put_folder(out, account, "/maildir", box);
        return;
    }
    /* ACCOUNT/BOX.UIDVALIDITY: whatever the validity is now, and the altered header files beside it */
    buf_addz(out, "path:\"/^(\\.dup/)?");
    put_regex(out, str_z(account));
    buf_addf(out, "/%llu\\./\"", (unsigned long long)box->id);
}

/* ACCOUNT/NAME is that of one account alone. */
static struct str name_in(struct str name, const char *account)
{
    struct str a = str_z(account);
    bool of = name.n > a.n + 1 && str_starts(name, a) && name.p[a.n] == '/';
    return of ? str_sub(name, a.n + 1, name.n) : name;
}

static bool box(void *arg, struct str name, struct buf *out, struct err *err)
{
    struct world *w = arg;
    bool first = true;
    uint8_t role = BOX_NONE;
    for (size_t i = 0; i < COUNT(box_roles); i++)
        if (str_case_eqz(name, box_roles[i].name))
            role = box_roles[i].role;
    for (size_t i = 0; i < w->search->naccounts; i++) {
        const char *account = w->search->accounts[i];
        struct box_row row = {.id = 0};
        struct err ignored = ERR_INIT;
        struct reader *r = search_reader(w->search, i);
        if (r == NULL || (w->account.n > 0 && !str_eqz(w->account, account)))
            continue;
        if (role != BOX_NONE && reader_box_by_role(r, role, &row, &ignored) && row.id != 0)
            put_box(out, account, &row, &first);
        else if (reader_box_by_name(r, name, &row, &ignored) && row.id != 0)
            put_box(out, account, &row, &first);
        else if (reader_box_by_name(r, name_in(name, account), &row, &ignored) && row.id != 0)
            put_box(out, account, &row, &first);
    }
    if (first) {
        struct buf safe = BUF_INIT(200);
        text_from_bytes(name, TEXT_LINE, &safe);
        err_set(err, ERR_QUERY, "no mailbox %s", buf_z(&safe));
        buf_fini(&safe);
        return false;
    }
    buf_addc(out, ')');
    return true;
}

static bool field_known(void *arg, struct str name)
{
    const struct world *w = arg;
    struct str rest = str_z(w->search->fields), one;
    bool is = false;
    while (!is && str_split(&rest, '\n', &one))
        is = one.n > 0 && str_case_eq(one, name);
    return is;
}

static bool account_known(void *arg, struct str name)
{
    const struct world *w = arg;
    for (size_t i = 0; i < w->search->naccounts; i++)
        if (str_eqz(name, w->search->accounts[i]))
            return true;
    return false;
}

static bool saved(void *arg, struct str name, struct buf *out)
{
    const struct world *w = arg;
    const struct saved *s = conf_saved(w->search->conf, name);
    return s && query_of_saved(s->query, s->account, out);
}

bool search_expand(struct search *s, struct str query, struct str account, struct buf *out, struct err *err)
{
    struct world arg = {s, account};
    const struct query_world world = {
        .arg = &arg, .box = box, .field_known = field_known, .saved = saved, .account_known = account_known};
    return query_expand(query, account, &world, out, err);
}

/* ---- Mailboxes ---- */

struct boxes_of {
    struct buf *out;
    const char *account;
    uint64_t box;
    bool first;
};

static void box_of(void *arg, const struct box_row *box)
{
    struct boxes_of *b = arg;
    if (b->box == QUERY_INBOXES ? box->role == BOX_INBOX : box->id == b->box)
        put_box(b->out, b->account, box, &b->first);
}

bool query_box(struct search *s, struct str account, uint64_t box, struct buf *out)
{
    struct err ignored = ERR_INIT;
    struct boxes_of b = {.out = out, .box = box, .first = true};
    for (size_t i = 0; i < s->naccounts; i++) {
        struct reader *r = account.n == 0 || str_eqz(account, s->accounts[i]) ? search_reader(s, i) : NULL;
        b.account = s->accounts[i];
        if (r != NULL)
            reader_boxes(r, box_of, &b, &ignored);
    }
    return !b.first && buf_addc(out, ')');
}
