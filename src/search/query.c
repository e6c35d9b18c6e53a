/* Short forms of the query language. */
#include "search/search.h"

#include "mail/filter.h"

struct expander {
    struct search *search;
    struct str account;
    struct buf *out;
    struct err *err;
};

/* ---- in:MAILBOX ---- */

static const struct {
    const char *name;
    uint8_t role;
} box_roles[] = {
    {"inbox", BOX_INBOX}, {"archive", BOX_ARCHIVE}, {"drafts", BOX_DRAFTS},
    {"sent", BOX_SENT},   {"trash", BOX_TRASH},     {"junk", BOX_JUNK},
    {"spam", BOX_JUNK},   {"all", BOX_ALL},         {"flagged", BOX_FLAGGED},
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

static void put_box(struct expander *x, const char *account, const struct box_row *box, bool *first)
{
    buf_addz(x->out, *first ? "(" : " or ");
    *first = false;
    if (box->local) { /* a Maildir of ours, or the one that the account names */
        put_folder(x->out, account, "", box);
        buf_addz(x->out, " or ");
        put_folder(x->out, account, "/maildir", box);
        return;
    }
    /* ACCOUNT/BOX.UIDVALIDITY: whatever the validity is now, and the altered header files beside it */
    buf_addz(x->out, "path:\"/^(\\.dup/)?");
    put_regex(x->out, str_z(account));
    buf_addf(x->out, "/%llu\\./\"", (unsigned long long)box->id);
}

static bool expand_in(struct expander *x, struct str name)
{
    bool first = true;
    uint8_t role = BOX_NONE;
    for (size_t i = 0; i < COUNT(box_roles); i++)
        if (str_case_eqz(name, box_roles[i].name))
            role = box_roles[i].role;
    for (size_t i = 0; i < x->search->naccounts; i++) {
        struct box_row box = {.id = 0};
        struct err ignored = ERR_INIT;
        struct reader *r = search_reader(x->search, i);
        if (r == NULL || (x->account.n > 0 && !str_eqz(x->account, x->search->accounts[i])))
            continue;
        if (role != BOX_NONE && reader_box_by_role(r, role, &box, &ignored) && box.id != 0)
            put_box(x, x->search->accounts[i], &box, &first);
        else if (reader_box_by_name(r, name, &box, &ignored) && box.id != 0)
            put_box(x, x->search->accounts[i], &box, &first);
    }
    if (first) {
        struct buf safe = BUF_INIT(200);
        text_from_bytes(name, TEXT_LINE, &safe);
        err_set(x->err, ERR_QUERY, "no mailbox %s", buf_z(&safe));
        buf_fini(&safe);
        return false;
    }
    buf_addc(x->out, ')');
    return true;
}

/* ---- is:, newer: and the like ---- */

static bool expand_is(struct expander *x, struct str word)
{
    static const struct {
        const char *word, *query;
    } words[] = {{"read", "(not tag:unread)"}, {"starred", "tag:flagged"}, {"seen", "(not tag:unread)"},
                 {"answered", "tag:replied"},  {"new", "tag:unread"},      {"forwarded", "tag:passed"}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_case_eqz(word, words[i].word)) {
            buf_addz(x->out, words[i].query);
            return true;
        }
    buf_addz(x->out, "tag:\"");
    put_quoted(x->out, word);
    buf_addc(x->out, '"');
    return true;
}

/* "7d" as libnotmuch's date parser spells it. */
static bool put_age(struct expander *x, struct str age)
{
    static const struct {
        char unit;
        const char *word;
    } units[] = {{'h', "hours"}, {'d', "days"}, {'w', "weeks"}, {'m', "months"}, {'y', "years"}};
    uint32_t n;
    if (age.n >= 2 && str_u32(str_sub(age, 0, age.n - 1), &n))
        for (size_t i = 0; i < COUNT(units); i++)
            if ((age.p[age.n - 1] | 0x20) == units[i].unit)
                return buf_addf(x->out, "%u%s", n, units[i].word);
    return err_set(x->err, ERR_QUERY, "an age is a number and h, d, w, m or y, as in newer:7d");
}

static bool expand_newer(struct expander *x, struct str age)
{
    return buf_addz(x->out, "date:") && put_age(x, age) && buf_addz(x->out, "..");
}

static bool expand_older(struct expander *x, struct str age)
{
    return buf_addz(x->out, "date:..") && put_age(x, age);
}

static bool expand_after(struct expander *x, struct str date)
{
    return buf_addz(x->out, "date:") && buf_adds(x->out, date) && buf_addz(x->out, "..");
}

static bool expand_before(struct expander *x, struct str date)
{
    return buf_addz(x->out, "date:..") && buf_adds(x->out, date);
}

/* ---- header:, spam: ---- */

/* Fields that notmuch has a prefix for. */
static const struct {
    const char *name, *prefix;
} fields[] = {{"From", "from"},       {"To", "to"},        {"Cc", "to"},
              {"Subject", "subject"}, {"List-Id", "List"}, {"Message-ID", "id"}};

struct words {
    struct expander *x;
    const char *name; /* of the field, in lower case */
    size_t n;
};

static void put_word(void *arg, struct str word)
{
    struct words *w = arg;
    buf_addf(w->x->out, "%sproperty:\"%s=", w->n++ > 0 ? " and " : "(", w->name);
    put_quoted(w->x->out, word);
    buf_addc(w->x->out, '"');
}

static bool recorded(const struct search *s, struct str name)
{
    struct str rest = str_z(s->fields), one;
    bool is = filter_field(name);
    while (!is && str_split(&rest, '\n', &one))
        is = one.n > 0 && str_case_eq(one, name);
    return is;
}

static bool field_unknown(struct expander *x, struct str name)
{
    struct buf safe = BUF_INIT(200);
    text_from_bytes(name, TEXT_LINE, &safe);
    err_set(
        x->err, ERR_QUERY,
        "the field %s is not in the index: it will be of new mail when a rule or saved search in tuimailrc asks for it",
        buf_z(&safe));
    buf_fini(&safe);
    return false;
}

/* The stars or pluses of a level are no words. */
static bool is_bar(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != s.p[0] || (s.p[i] != '*' && s.p[i] != '+'))
            return false;
    return s.n > 0;
}

static bool expand_header(struct expander *x, struct str value)
{
    size_t eq = value.n;
    bool with = str_find(value, '=', &eq);
    struct str name = str_trim(str_sub(value, 0, with ? eq : value.n)),
               want = str_trim(str_sub(value, eq + with, value.n));
    for (size_t i = 0; i < COUNT(fields); i++)
        if (str_case_eqz(name, fields[i].name)) {
            buf_addf(x->out, with ? "%s:\"" : "%s:", fields[i].prefix);
            if (with)
                put_quoted(x->out, want);
            else
                buf_addc(x->out, '*');
            return with ? buf_addc(x->out, '"') : true;
        }
    if (!recorded(x->search, name))
        return field_unknown(x, name);
    if (is_bar(want))
        return buf_addf(x->out, "property:spamlevel=%zu", MIN(want.n, (size_t)FILTER_LEVEL_MAX));
    char *lower = mem_dup_n(name.p, name.n);
    for (char *p = lower; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
    struct words w = {x, lower, 0};
    if (with)
        filter_words(want, put_word, &w);
    else
        buf_addf(x->out, "property:\"header=%s\"", lower);
    free(lower);
    if (with && w.n == 0)
        return err_set(x->err, ERR_QUERY, "header:FIELD=WORDS needs a word of letters or digits");
    return with ? buf_addc(x->out, ')') : true;
}

static bool expand_spam(struct expander *x, struct str value)
{
    uint32_t level;
    if (str_case_eqz(value, "yes") || str_case_eqz(value, "no"))
        return buf_addf(x->out, "property:spam=%s", (value.p[0] | 0x20) == 'y' ? "yes" : "no");
    if (str_u32(value, &level) && level > 0)
        return buf_addf(x->out, "property:spamlevel=%u", MIN(level, (uint32_t)FILTER_LEVEL_MAX));
    return err_set(x->err, ERR_QUERY, "spam: takes yes, no or a level, as in spam:5");
}

static const struct {
    const char *prefix, *to;                       /* replaced by `to` ... */
    bool (*expand)(struct expander *, struct str); /* ... or the value is rewritten */
} forms[] = {
    {"f:", "from:", NULL},
    {"t:", "to:", NULL},
    {"c:", "to:", NULL},
    {"cc:", "to:", NULL},
    {"s:", "subject:", NULL},
    {"has:", "tag:", NULL},
    {"list:", "List:", NULL},
    {"is:", NULL, expand_is},
    {"in:", NULL, expand_in},
    {"newer:", NULL, expand_newer},
    {"older:", NULL, expand_older},
    {"after:", NULL, expand_after},
    {"before:", NULL, expand_before},
    {"header:", NULL, expand_header},
    {"spam:", NULL, expand_spam},
};

/* ---- Words ---- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Reads a value at `at`, "..." (a doubled quote inside stands for one) or up to a blank or closing bracket, or
 * NAME="..."; returns where it ends. */
static size_t value_read(struct str q, size_t at, struct buf *out)
{
    bool quoted = at < q.n && q.p[at] == '"';
    for (at += quoted; at < q.n; at++) {
        if (!quoted && (blank(q.p[at]) || q.p[at] == ')'))
            return at;
        if (!quoted && q.p[at] == '"' && at > 0 && q.p[at - 1] == '=') {
            quoted = true;
            continue;
        }
        if (quoted && q.p[at] == '"') {
            if (at + 1 >= q.n || q.p[at + 1] != '"')
                return at + 1;
            at++;
        }
        buf_addc(out, q.p[at]);
    }
    return at;
}

/* A short form at `at`: rewritten, *at moved behind it. */
static bool expand_word(struct expander *x, struct str q, size_t *at, bool *done_r)
{
    struct str rest = str_sub(q, *at, q.n);
    *done_r = false;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct str prefix = str_z(forms[i].prefix);
        if (!str_case_starts(rest, prefix))
            continue;
        *done_r = true;
        *at += prefix.n;
        if (forms[i].expand == NULL)
            return buf_addz(x->out, forms[i].to);
        struct buf value = BUF_INIT(8192);
        *at = value_read(q, *at, &value);
        bool ok = value.n > 0 ? forms[i].expand(x, buf_str(&value))
                              : err_set(x->err, ERR_QUERY, "%s needs a value", forms[i].prefix);
        buf_fini(&value);
        return ok;
    }
    return true;
}

bool query_expand(struct search *s, struct str q, struct str account, struct buf *out, struct err *err)
{
    struct expander x = {s, account, out, err};
    bool start = true, quoted = false, done;
    if (memchr(q.p != NULL ? q.p : "", '\0', q.n) != NULL)
        return err_set(err, ERR_QUERY, "a query is text");
    q = str_trim(q);
    /* "*" means everything only when it stands alone */
    bool all = q.n == 0 || str_eqz(q, "*"), part = account.n > 0 && !all;
    if (all)
        q = account.n > 0 ? STR("") : STR("*");
    if (part)
        buf_addc(out, '(');
    for (size_t at = 0; at < q.n;) {
        char c = q.p[at];
        if (start && !quoted) {
            if (!expand_word(&x, q, &at, &done))
                return err->kind != ERR_NONE ? false : err_set(err, ERR_LIMIT, "the query is too long");
            start = false;
            if (done)
                continue;
        }
        if (c == '"')
            quoted = !quoted;
        start = !quoted && (blank(c) || c == '(' || (c == '-' && (at == 0 || blank(q.p[at - 1]))));
        buf_addc(out, c);
        at++;
    }
    if (account.n > 0) {
        buf_addz(out, part ? ") and (path:\"" : "(path:\"");
        put_quoted(out, account);
        buf_addz(out, "/**\" or path:\".dup/");
        put_quoted(out, account);
        /* deleted there, though not elsewhere (index/job.c) */
        buf_addz(out, "/**\") and not property:\"dead=");
        put_quoted(out, account);
        buf_addc(out, '"');
    }
    return out->full ? err_set(err, ERR_LIMIT, "the query is too long") : true;
}

/* ---- Mailboxes ---- */

struct boxes_of {
    struct expander *x;
    const char *account;
    uint64_t box;
    bool first;
};

static void box_of(void *arg, const struct box_row *box)
{
    struct boxes_of *b = arg;
    if (b->box == QUERY_INBOXES ? box->role == BOX_INBOX : box->id == b->box)
        put_box(b->x, b->account, box, &b->first);
}

bool query_box(struct search *s, struct str account, uint64_t box, struct buf *out)
{
    struct err ignored = ERR_INIT;
    struct expander x = {s, account, out, &ignored};
    struct boxes_of b = {.x = &x, .box = box, .first = true};
    for (size_t i = 0; i < s->naccounts; i++) {
        struct reader *r = account.n == 0 || str_eqz(account, s->accounts[i]) ? search_reader(s, i) : NULL;
        b.account = s->accounts[i];
        if (r != NULL)
            reader_boxes(r, box_of, &b, &ignored);
    }
    return !b.first && buf_addc(out, ')');
}
