/* What rules come to, one after the other. */
#include "conf/internal.h"

bool rule_fits(const struct rule *r, const char *account)
{
    return !r->account[0] || strcmp(r->account, account) == 0;
}

bool conf_has_rules(const struct conf *conf, const char *account)
{
    for (size_t i = 0; i < conf->nrules; i++)
        if (rule_fits(&conf->rules[i], account))
            return true;
    return false;
}

/* "+x -y" with one more of them: what was said of that tag before counts no more. */
static void tag_put(char *tags, size_t size, struct str word)
{
    struct buf out = BUF_INIT(RULE_TAGS_MAX);
    struct str rest = str_z(tags), one;
    while (str_split(&rest, ' ', &one))
        if (one.n && !str_eq(str_sub(one, 1, one.n), str_sub(word, 1, word.n)))
            buf_addf(&out, "%s%.*s", out.n ? " " : "", STR_FMT(one));
    buf_addf(&out, "%s%.*s", out.n ? " " : "", STR_FMT(word));
    if (!out.full && out.n < size)
        memcpy(tags, buf_z(&out), out.n + 1);
    buf_fini(&out);
}

void rule_add(struct rule_effect *e, const struct rule *r)
{
    struct str tags = str_z(r->tags), word;
    if (e->stop)
        return;
    if (r->folder[0]) {
        e->folder = r->folder;
        e->filed = r;
    }
    while (str_split(&tags, ' ', &word))
        if (word.n > 1)
            tag_put(e->tags, sizeof e->tags, word);
    e->read |= r->read;
    e->flag |= r->flag;
    e->stop = r->stop;
    e->last = r;
}

bool rule_does(const struct rule_effect *e)
{
    return e->folder || e->tags[0] || e->read || e->flag;
}

static size_t effect_after(struct rule_effects *all, size_t from, const struct rule *r)
{
    for (size_t i = 1; i < all->n; i++)
        if (all->list[i].from == from && all->list[i].last == r)
            return i;
    if (all->n == all->cap)
        all->list = mem_resize(all->list, all->cap = all->cap ? all->cap * 2 : 16, sizeof *all->list);
    struct rule_effect e = all->n ? all->list[from] : (struct rule_effect){.folder = NULL};
    rule_add(&e, r);
    e.from = from;
    all->list[all->n] = e;
    return all->n++;
}

size_t rule_effect_with(struct rule_effects *all, size_t from, const struct rule *r)
{
    if (all->n == 0) { /* 0: nothing is done */
        all->list = mem_resize(NULL, all->cap = 16, sizeof *all->list);
        all->list[all->n++] = (struct rule_effect){.folder = NULL};
    }
    return all->list[from].stop ? from : effect_after(all, from, r);
}

void rule_effects_free(struct rule_effects *all)
{
    free(all->list);
    *all = (struct rule_effects){.n = 0};
}

/* ---- What queries ask for ----------------------------------------------------------------------- */

static bool name_char(char c)
{
    return c > ' ' && c < 0x7f && strchr("=:\"()", c) == NULL;
}

static void headers_of(const char *query, struct buf *out)
{
    static const char word[] = "header:";
    for (const char *at = query; (at = strcasestr(at, word)) != NULL;) {
        at += sizeof word - 1;
        at += *at == '"';
        size_t n = 0;
        while (name_char(at[n]))
            n++;
        struct str name = {at, n}, have = buf_str(out), one;
        bool known = n == 0;
        while (!known && str_split(&have, '\n', &one))
            known = str_case_eq(one, name);
        if (!known)
            buf_addf(out, "%.*s\n", STR_FMT(name));
    }
}

void conf_query_headers(const struct conf *conf, struct buf *out)
{
    for (size_t i = 0; i < conf->nrules; i++)
        headers_of(conf->rules[i].query, out);
    for (size_t i = 0; i < conf->nsaved; i++)
        headers_of(conf->saved[i].query, out);
}

/* ---- What has to be here of a mail -------------------------------------------------------------- */

static bool in_list(struct str word, const char *const *list)
{
    for (size_t i = 0; list[i]; i++)
        if (str_case_eqz(word, list[i]))
            return true;
    return false;
}

/* A word with its prefix, or one of the operators, that the list alone can answer. */
static bool word_of_list(struct str word)
{
    static const char *const operators[] = {"and", "or", "not", "xor", "*", "", NULL};
    static const char *const prefixes[] = {"from",   "to",    "cc",    "f",     "t",      "c",    "s",      "subject",
                                           "date",   "newer", "older", "after", "before", "is",   "tag",    "in",
                                           "folder", "path",  "id",    "mid",   "list",   "List", "thread", NULL};
    static const char *const fields[] = {"from", "to", "cc", "subject", "list-id", "message-id", NULL};
    size_t colon, eq;
    if (in_list(word, operators))
        return true;
    if (!str_find(word, ':', &colon))
        return false;
    struct str value = str_sub(word, colon + 1, word.n);
    if (value.n && value.p[0] == '"')
        value = str_sub(value, 1, value.n);
    if (str_case_eqz(str_sub(word, 0, colon), "header"))
        return str_find(value, '=', &eq) && in_list(str_sub(value, 0, eq), fields);
    return in_list(str_sub(word, 0, colon), prefixes);
}

static bool query_reads_text(struct str q)
{
    for (size_t at = 0; at < q.n;) {
        if (strchr(" \t\n()+-", q.p[at])) {
            at++;
            continue;
        }
        size_t from = at;
        bool quoted = false;
        for (; at < q.n && (quoted || !strchr(" \t\n()", q.p[at])); at++)
            quoted ^= q.p[at] == '"';
        if (!word_of_list(str_sub(q, from, at)))
            return true;
    }
    return false;
}

bool conf_rules_read_text(const struct conf *conf, const char *account)
{
    for (size_t i = 0; i < conf->nrules; i++)
        if (rule_fits(&conf->rules[i], account) && query_reads_text(str_z(conf->rules[i].query)))
            return true;
    return false;
}

/* ---- Tags that are set and taken off ------------------------------------------------------------ */

/* The words after tag: and is:, one by one: *at goes on behind each. */
static bool next_tag(const char **at, struct str *tag_r)
{
    static const char *const prefixes[] = {"tag:", "is:"};
    for (const char *p = *at; *p; p++)
        for (size_t i = 0; i < COUNT(prefixes); i++) {
            size_t n = strlen(prefixes[i]);
            bool begins = p == *at || strchr(" \t\n(+-\"", p[-1]);
            if (!begins || strncasecmp(p, prefixes[i], n) != 0)
                continue;
            p += n;
            size_t quoted = *p == '"';
            size_t len = strcspn(p + quoted, quoted ? "\"" : " \t\n()\"");
            *tag_r = (struct str){p + quoted, len};
            *at = p + quoted + len;
            return true;
        }
    return false;
}

static bool is_changed(struct str tags, struct str tag)
{
    struct str w;
    while (str_split(&tags, ' ', &w))
        if (w.n > 1 && str_case_eq(str_sub(w, 1, w.n), tag))
            return true;
    return false;
}

bool rule_heeds(const struct rule *r, struct str tags)
{
    const char *at = r->query;
    struct str tag;
    bool any = strcasestr(r->query, "(tag ") != NULL; /* an S-expression */
    bool named = false;
    while (r->tagged && !any && next_tag(&at, &tag)) {
        named = true;
        any = is_changed(tags, tag) || memchr(tag.p, '*', tag.n) || (tag.n && tag.p[0] == '/');
    }
    return r->tagged && (any || !named);
}

bool conf_rules_heed(const struct conf *conf, const char *account, struct str tags)
{
    for (size_t i = 0; i < conf->nrules; i++)
        if (rule_fits(&conf->rules[i], account) && rule_heeds(&conf->rules[i], tags))
            return true;
    return false;
}

/* ---- Tags ------------------------------------------------------------------------------------------ */
/* Flags and the index own these: notmuch mirrors them from flags, places and structure. */
static const char *const reserved[] = {"unread", "flagged",   "replied", "passed", "draft", "deleted", "attachment",
                                       "signed", "encrypted", "inbox",   "new",    "spam",  "trash"};

bool tag_reserved(struct str tag)
{
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (str_case_eqz(tag, reserved[i]))
            return true;
    return tag.n && (tag.p[0] == '$' || tag.p[0] == '\\');
}
