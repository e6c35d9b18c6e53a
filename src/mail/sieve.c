/* See sieve.h. */
#include "mail/sieve.h"

#define NEEDS_MAX 1000

void sieve_quote(struct str s, struct buf *out)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_addc(out, '\\');
        buf_addc(out, c < ' ' || c == 0x7f ? ' ' : s.p[i]);
    }
    buf_addc(out, '"');
}

unsigned sieve_error_line(struct str said)
{
    for (size_t i = 0; i + 5 < said.n; i++) {
        size_t at = i + 4, from;
        uint32_t line;
        if (!str_case_eq(str_sub(said, i, at), STR("line")))
            continue;
        while (at < said.n && (said.p[at] == ' ' || said.p[at] == ':'))
            at++;
        for (from = at; at < said.n && said.p[at] >= '0' && said.p[at] <= '9';)
            at++;
        if (str_u32(str_sub(said, from, at), &line) && line > 0)
            return line;
    }
    return 0;
}

/* ---- A rule ------------------------------------------------------------------------------------- */
static bool has_word(struct str words, struct str word)
{
    struct str one;
    while (words.n > 0 && str_split(&words, ' ', &one))
        if (str_case_eq(one, word))
            return true;
    return false;
}

static bool need(struct str can, const char *extension, struct buf *needs, struct err *err)
{
    if (!has_word(can, str_z(extension)))
        return err_set(err, ERR_CONFIG, "the server's scripts cannot do that: it lacks the extension %s", extension);
    if (!has_word(buf_str(needs), str_z(extension)))
        buf_addf(needs, "%s%s", needs->n ? " " : "", extension);
    return true;
}

static void test(struct buf *out, unsigned *n, const char *what, const char *value)
{
    if (!value[0])
        return;
    buf_addf(out, "%s%s ", (*n)++ ? ",\n          " : "", what);
    sieve_quote(str_z(value), out);
}

static void action(struct buf *out, const char *what, const char *value)
{
    buf_addf(out, "  %s ", what);
    sieve_quote(str_z(value), out);
    buf_addz(out, ";\n");
}

bool sieve_rule_block(const struct sieve_rule *r, struct str can, struct buf *out, struct buf *needs, struct err *err)
{
    struct buf tests = BUF_INIT(8192);
    unsigned n = 0;
    test(&tests, &n, "header :contains \"list-id\"", r->list_id);
    test(&tests, &n, "address :is \"from\"", r->from);
    test(&tests, &n, "address :is [\"to\", \"cc\"]", r->to);
    test(&tests, &n, "header :contains \"subject\"", r->subject);
    bool flags = r->tag[0] || r->read || r->flag;
    bool ok = n > 0 || err_set(err, ERR_USAGE, "a rule needs a condition");
    ok = ok && (flags || r->folder[0] || r->stop || err_set(err, ERR_USAGE, "a rule needs something to do"));
    ok = ok && (!flags || need(can, "imap4flags", needs, err)) && (!r->folder[0] || need(can, "fileinto", needs, err));
    ok = ok && (!r->new_folder || need(can, "mailbox", needs, err));
    bool create = ok && r->folder[0] && has_word(can, STR("mailbox")) && need(can, "mailbox", needs, err);
    if (ok) {
        buf_addf(out, n > 1 ? "# tuimail rule\nif allof (%s) {\n" : "# tuimail rule\nif %s {\n", buf_z(&tests));
        if (r->read)
            action(out, "addflag", "\\Seen");
        if (r->flag)
            action(out, "addflag", "\\Flagged");
        if (r->tag[0])
            action(out, "addflag", r->tag);
        if (r->folder[0])
            action(out, create ? "fileinto :create" : "fileinto", r->folder);
        buf_addz(out, r->stop ? "  stop;\n}\n# end of tuimail rule\n" : "}\n# end of tuimail rule\n");
        ok = !(tests.full || out->full) || err_set(err, ERR_LIMIT, "the rule is too long");
    }
    buf_fini(&tests);
    return ok;
}

/* ---- A script ----------------------------------------------------------------------------------- */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind blanks and comments. */
static size_t skip(struct str s, size_t at)
{
    while (at < s.n) {
        if (is_blank(s.p[at])) {
            at++;
        } else if (s.p[at] == '#') {
            while (at < s.n && s.p[at] != '\n')
                at++;
        } else if (s.p[at] == '/' && at + 1 < s.n && s.p[at + 1] == '*') {
            const char *end = memmem(s.p + at + 2, s.n - at - 2, "*/", 2);
            at = end ? (size_t)(end - s.p) + 2 : s.n;
        } else {
            break;
        }
    }
    return at;
}

/* Takes a quoted string at *at and adds it to `has`. */
static bool take_string(struct str s, size_t *at, struct buf *has)
{
    if (*at >= s.n || s.p[*at] != '"')
        return false;
    buf_addc(has, ' ');
    for (size_t i = *at + 1; i < s.n; i++) {
        if (s.p[i] == '"') {
            *at = i + 1;
            return true;
        }
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        buf_addc(has, is_blank(s.p[i]) ? '_' : s.p[i]);
    }
    return false;
}

/* One "require" at `at`: where it ends, behind its semicolon; 0 where there is none. */
static size_t take_require(struct str s, size_t at, struct buf *has)
{
    if (!str_case_eq(str_sub(s, at, at + 7), STR("require")))
        return 0;
    at = skip(s, at + 7);
    if (at < s.n && s.p[at] == '[') {
        do {
            at = skip(s, at + 1);
            if (!take_string(s, &at, has))
                return 0;
            at = skip(s, at);
        } while (at < s.n && s.p[at] == ',');
        if (at >= s.n || s.p[at++] != ']')
            return 0;
    } else if (!take_string(s, &at, has)) {
        return 0;
    }
    at = skip(s, at);
    return at < s.n && s.p[at] == ';' ? at + 1 : 0;
}

static void add_lines(struct buf *out, struct str text, bool crlf)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n' && crlf)
            buf_addc(out, '\r');
        buf_addc(out, text.p[i]);
    }
}

bool sieve_add(struct str script, struct str block, struct str needs, struct buf *out)
{
    struct buf has = BUF_INIT(65536), more = BUF_INIT(2 * NEEDS_MAX);
    const char *lf = script.n ? memchr(script.p, '\n', script.n) : NULL;
    bool crlf = !lf || (lf > script.p && lf[-1] == '\r');
    size_t at = 0, next, sound = 0; /* at: behind the last require */
    struct str one;
    while ((next = take_require(script, skip(script, at), &has)) > 0) {
        at = next;
        sound = has.n;
    }
    struct str required = str_sub(buf_str(&has), 0, sound); /* one that is not whole does not count */
    while (needs.n > 0 && str_split(&needs, ' ', &one)) {
        if (one.n == 0 || has_word(required, one))
            continue;
        buf_addz(&more, more.n ? ", " : "require [");
        sieve_quote(one, &more);
    }
    if (more.n)
        buf_addz(&more, at ? "];" : "];\n");
    buf_adds(out, str_sub(script, 0, at));
    if (more.n && at)
        add_lines(out, STR("\n"), crlf);
    add_lines(out, buf_str(&more), crlf);
    buf_adds(out, str_sub(script, at, script.n));
    if (out->n && out->p[out->n - 1] != '\n')
        add_lines(out, STR("\n"), crlf);
    add_lines(out, STR("\n"), crlf);
    add_lines(out, block, crlf);
    bool ok = !(out->full || has.full || more.full);
    buf_fini(&has);
    buf_fini(&more);
    return ok;
}
