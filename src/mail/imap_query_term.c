/* Terms of queries as search keys. */
#include <time.h>

#include "mail/imap_query_int.h"
#include "mail/row.h"
#include "mail/tag.h"

static void key_begin(struct term *t)
{
    t->node.known = KEY;
    t->node.key = (uint32_t)t->m->keys.n;
}

static void key_end(struct term *t)
{
    t->node.key_n = (uint32_t)(t->m->keys.n - t->node.key);
}

static void put_string(struct maker *m, struct str s)
{
    buf_addc(&m->keys, IMAP_QUERY_OPEN);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        m->out->utf8 = m->out->utf8 || c >= 0x80;
        buf_addc(&m->keys, c < ' ' || c == 0x7F ? ' ' : s.p[i]);
    }
    buf_addc(&m->keys, IMAP_QUERY_CLOSE);
}

/* What is similar beside what is equal: a server has similar words of what it has indexed alone. */
static void put_text_key(struct maker *m, const char *key, struct str value)
{
    if (m->to->fuzzy) {
        buf_addf(&m->keys, "OR FUZZY %s ", key);
        put_string(m, value);
        buf_addc(&m->keys, ' ');
    }
    buf_addf(&m->keys, "%s ", key);
    put_string(m, value);
}

/* Gmail's own search, a phrase in quotes: its SEARCH knows whole words only, as that does. */
static void put_raw(struct maker *m, const char *field, struct str value)
{
    struct buf raw = BUF_INIT(IMAP_QUERY_MAX + 64);
    buf_addz(&raw, field);
    buf_addc(&raw, '"');
    for (size_t i = 0; i < value.n; i++)
        buf_addc(&raw, value.p[i] == '"' ? ' ' : value.p[i]);
    buf_addc(&raw, '"');
    buf_addz(&m->keys, "X-GM-RAW ");
    put_string(m, buf_str(&raw));
    buf_fini(&raw);
}

static void key_text(struct term *t, const char *key, struct str value)
{
    key_begin(t);
    put_text_key(t->m, key, value);
    key_end(t);
}

static void key_plain(struct term *t, const char *key)
{
    key_begin(t);
    buf_addz(&t->m->keys, key);
    key_end(t);
}

static void key_header(struct term *t, const char *field, struct str value)
{
    key_begin(t);
    buf_addf(&t->m->keys, "HEADER %s ", field);
    put_string(t->m, value);
    key_end(t);
}

static bool any(struct str value)
{
    return str_eqz(value, "*");
}

bool imap_query_word(struct term *t, struct str value)
{
    if (!t->m->to->gmail) {
        key_text(t, "TEXT", value);
        return true;
    }
    key_begin(t);
    put_raw(t->m, "", value);
    key_end(t);
    return true;
}

static bool term_from(struct term *t, struct str value)
{
    key_text(t, "FROM", any(value) ? STR("") : value);
    return true;
}

static bool term_subject(struct term *t, struct str value)
{
    key_text(t, "SUBJECT", any(value) ? STR("") : value);
    return true;
}

/* notmuch's to: covers Cc and Bcc. */
static bool term_to(struct term *t, struct str value)
{
    struct maker *m = t->m;
    value = any(value) ? STR("") : value;
    key_begin(t);
    buf_addz(&m->keys, "OR ");
    put_text_key(m, "TO", value);
    buf_addz(&m->keys, " OR ");
    put_text_key(m, "CC", value);
    buf_addc(&m->keys, ' ');
    put_text_key(m, "BCC", value);
    key_end(t);
    return true;
}

static bool term_body(struct term *t, struct str value)
{
    key_text(t, "BODY", value);
    return true;
}

static bool term_list(struct term *t, struct str value)
{
    key_header(t, "LIST-ID", any(value) ? STR("") : value);
    return true;
}

static bool term_id(struct term *t, struct str value)
{
    struct buf id = BUF_INIT(IMAP_QUERY_MAX + 2);
    bool bare = value.n > 0 && value.p[0] != '<';
    buf_addf(&id, "%s%.*s%s", bare ? "<" : "", STR_FMT(value), bare ? ">" : "");
    key_header(t, "MESSAGE-ID", buf_str(&id));
    buf_fini(&id);
    return true;
}

static bool field_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || strchr("():\"\\{%*]", s.p[i]) != NULL)
            return false;
    return s.n > 0;
}

static bool term_header(struct term *t, struct str value)
{
    size_t eq = value.n;
    bool with = str_find(value, '=', &eq);
    struct str name = str_trim(str_sub(value, 0, eq)), want = str_trim(str_sub(value, eq + with, value.n));
    char field[128];
    if (!field_name(name) || name.n >= sizeof field)
        return imap_query_fail(t->m, "header: needs the name of a field, as in header:X-Mailer=word");
    snprintf(field, sizeof field, "%.*s", STR_FMT(name));
    key_header(t, field, want);
    return true;
}

/* ---- tag: and is: ---- */
void imap_query_constant(struct term *t, bool yes)
{
    t->node.known = yes ? ALWAYS : NEVER;
}

static const struct tag_key {
    const char *tag, *key;
    uint8_t role; /* or: all that is in the mailbox of this role, and nothing else */
} tag_keys[] = {
    {"unread", "UNSEEN", BOX_NONE},
    {"flagged", "FLAGGED", BOX_NONE},
    {"replied", "ANSWERED", BOX_NONE},
    {"draft", "DRAFT", BOX_NONE},
    {"deleted", "DELETED", BOX_TRASH},
    {"passed", "KEYWORD $Forwarded", BOX_NONE},
    {"spam", "KEYWORD $Junk", BOX_JUNK},
    {"signed", "HEADER CONTENT-TYPE \1multipart/signed\2", BOX_NONE},
    {"encrypted", "HEADER CONTENT-TYPE \1multipart/encrypted\2", BOX_NONE},
    {"inbox", NULL, BOX_INBOX},
    {"archive", NULL, BOX_ARCHIVE},
    {"sent", NULL, BOX_SENT},
};

/* What the list's sign goes by too. Gmail knows better. */
static void term_attachment(struct term *t)
{
    key_plain(t, t->m->to->gmail ? "X-GM-RAW \1has:attachment\2" : "HEADER CONTENT-TYPE \1multipart/mixed\2");
}

static bool keyword(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7F || strchr("(){%*\"\\]", s.p[i]) != NULL)
            return false;
    return s.n > 0;
}

static bool term_tag(struct term *t, struct str value)
{
    struct maker *m = t->m;
    for (size_t i = 0; i < COUNT(tag_keys); i++) {
        const struct tag_key *k = &tag_keys[i];
        if (!str_eqz(value, k->tag))
            continue;
        if (k->role != BOX_NONE && m->to->role == k->role)
            imap_query_constant(t, m->out->here = true);
        else if (k->key)
            key_plain(t, k->key);
        else
            imap_query_constant(t, false);
        return true;
    }
    if (str_eqz(value, "attachment")) {
        term_attachment(t);
    } else if (str_eq(value, m->to->account)) {
        imap_query_constant(t, true);
    } else if (any(value)) {
        t->node.known = UNKNOWN;
    } else if (m->to->gmail) {
        struct buf label = BUF_INIT(IMAP_QUERY_MAX);
        tag_from_word(value, &label);
        key_begin(t);
        buf_addz(&m->keys, "X-GM-LABELS ");
        put_string(m, buf_str(&label));
        key_end(t);
        buf_fini(&label);
    } else if (keyword(value)) {
        key_begin(t);
        buf_addf(&m->keys, "KEYWORD %.*s", STR_FMT(value));
        key_end(t);
    } else {
        imap_query_constant(t, false); /* no server can have it: what has it is known here */
    }
    return true;
}

static bool term_is(struct term *t, struct str value)
{
    static const struct {
        const char *word, *tag;
    } words[] = {{"starred", "flagged"}, {"answered", "replied"}, {"new", "unread"}, {"forwarded", "passed"}};
    if (str_case_eqz(value, "read") || str_case_eqz(value, "seen")) {
        t->alone = true;
        key_plain(t, "SEEN");
        return true;
    }
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_case_eqz(value, words[i].word))
            return term_tag(t, str_z(words[i].tag));
    return term_tag(t, value);
}

static bool term_in(struct term *t, struct str value)
{
    static const struct {
        const char *name;
        uint8_t role;
    } roles[] = {{"inbox", BOX_INBOX}, {"archive", BOX_ARCHIVE}, {"drafts", BOX_DRAFTS},
                 {"sent", BOX_SENT},   {"trash", BOX_TRASH},     {"junk", BOX_JUNK},
                 {"spam", BOX_JUNK},   {"all", BOX_ALL},         {"flagged", BOX_FLAGGED}};
    bool here = str_case_eq(value, t->m->to->box);
    for (size_t i = 0; i < COUNT(roles); i++)
        here = here || (t->m->to->role == roles[i].role && str_case_eqz(value, roles[i].name));
    t->m->out->here = t->m->out->here || here;
    imap_query_constant(t, here);
    return true;
}

static bool term_attached(struct term *t, struct str value)
{
    if (!t->m->to->gmail) {
        t->node.known = UNKNOWN;
        return true;
    }
    key_begin(t);
    put_raw(t->m, "filename:", value);
    key_end(t);
    return true;
}

static bool term_unknown(struct term *t, struct str value)
{
    (void)value;
    t->node.known = UNKNOWN;
    return true;
}

/* ---- Dates ---- */
/* The day of t, or with `up` the first that begins at t or later. */
static void put_day(struct maker *m, const char *key, int64_t t, bool up)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t at = (time_t)t;
    struct tm tm;
    if (!localtime_r(&at, &tm))
        return;
    if (up && (tm.tm_hour || tm.tm_min || tm.tm_sec)) {
        at = (time_t)imap_query_day(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday + 1);
        if (!localtime_r(&at, &tm))
            return;
    }
    buf_addf(&m->keys, "%s %d-%s-%d", key, tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900);
}

static void put_days(struct maker *m, int64_t from, int64_t to, bool narrow)
{
    bool both = from != INT64_MIN && to != INT64_MAX;
    if (both)
        buf_addc(&m->keys, '(');
    if (from != INT64_MIN)
        put_day(m, "SENTSINCE", from, narrow);
    if (both)
        buf_addc(&m->keys, ' ');
    if (to != INT64_MAX)
        put_day(m, "SENTBEFORE", to, !narrow);
    if (both)
        buf_addc(&m->keys, ')');
}

/* Servers know days: of what is more exact a wider span is asked, and under a NOT a narrower one. */
static void key_days(struct term *t, int64_t from, int64_t to)
{
    key_begin(t);
    put_days(t->m, from, to, false);
    key_end(t);
    t->node.not_key = (uint32_t)t->m->keys.n;
    put_days(t->m, from, to, true);
    t->node.not_n = (uint32_t)(t->m->keys.n - t->node.not_key);
}

static bool term_date(struct term *t, struct str value)
{
    int64_t from, to;
    if (imap_query_dates(value, t->m->to->now, &from, &to))
        key_days(t, from, to);
    else
        t->node.known = UNKNOWN;
    return true;
}

static bool term_age(struct term *t, struct str value, bool newer)
{
    struct span s;
    int64_t now = t->m->to->now;
    if (!imap_query_age(value, now, &s))
        return imap_query_fail(t->m, "an age is a number and h, d, w, m or y, as in newer:7d");
    if (t->m->to->within && s.from < now && now - s.from < UINT32_MAX) {
        key_begin(t);
        buf_addf(&t->m->keys, "%s %lld", newer ? "YOUNGER" : "OLDER", (long long)(now - s.from));
        key_end(t);
    } else {
        key_days(t, newer ? s.from : INT64_MIN, newer ? INT64_MAX : s.from);
    }
    return true;
}

static bool term_newer(struct term *t, struct str value)
{
    return term_age(t, value, true);
}

static bool term_older(struct term *t, struct str value)
{
    return term_age(t, value, false);
}

static bool term_after(struct term *t, struct str value)
{
    struct span s;
    if (imap_query_date(value, t->m->to->now, &s))
        key_days(t, s.from, INT64_MAX);
    else
        t->node.known = UNKNOWN;
    return true;
}

static bool term_before(struct term *t, struct str value)
{
    struct span s;
    if (imap_query_date(value, t->m->to->now, &s))
        key_days(t, INT64_MIN, s.to); /* as date:..DATE */
    else
        t->node.known = UNKNOWN;
    return true;
}

/* ---- Fields ---- */
const struct field imap_query_fields[] = {
    {"from:", term_from, G_FROM, true},
    {"f:", term_from, G_FROM, true},
    {"to:", term_to, G_NONE, false},
    {"t:", term_to, G_NONE, false},
    {"cc:", term_to, G_NONE, false},
    {"c:", term_to, G_NONE, false},
    {"subject:", term_subject, G_SUBJECT, true},
    {"s:", term_subject, G_SUBJECT, true},
    {"body:", term_body, G_NONE, false},
    {"list:", term_list, G_NONE, false},
    {"tag:", term_tag, G_TAG, true},
    {"is:", term_is, G_TAG, true},
    {"has:", term_tag, G_TAG, false},
    {"date:", term_date, G_DATE, false},
    {"newer:", term_newer, G_NONE, false},
    {"older:", term_older, G_NONE, false},
    {"after:", term_after, G_NONE, false},
    {"before:", term_before, G_NONE, false},
    {"id:", term_id, G_ID, false},
    {"mid:", term_id, G_ID, true},
    {"in:", term_in, G_NONE, false},
    {"header:", term_header, G_NONE, false},
    {"attachment:", term_attached, G_NONE, false},
    {"thread:", term_unknown, G_THREAD, false},
    {"folder:", term_unknown, G_FOLDER, false},
    {"path:", term_unknown, G_PATH, false},
    {"property:", term_unknown, G_PROPERTY, false},
    {"query:", term_unknown, G_QUERY, false},
    {"lastmod:", term_unknown, G_LASTMOD, false},
    {"mimetype:", term_unknown, G_NONE, false},
    {"sexp:", term_unknown, G_QUERY, false},
    {"spam:", term_unknown, G_NONE, false},
    {"type:", term_unknown, G_NONE, false},
};

const size_t imap_query_nfields = COUNT(imap_query_fields);
