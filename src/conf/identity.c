/* Own addresses of an account. Its options are the user's words; the address asked about comes from mail. */
#include "conf/internal.h"

/* An addr-spec as far as it matters here: local@domain without blanks, brackets and control characters. */
static bool is_address(struct str s)
{
    size_t at;
    if (s.n < 3 || s.n > 320 || !str_find(s, '@', &at) || at == 0 || at + 1 == s.n)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("<>()[]\",;", s.p[i]))
            return false;
    return !str_find(str_sub(s, at + 1, s.n), '@', &at);
}

/* Splits "Name <addr>" or "addr". */
static bool split_from(struct str from, struct str *name_r, struct str *addr_r)
{
    struct str s = str_trim(from), name = {NULL, 0};
    if (s.n && s.p[s.n - 1] == '>') {
        size_t open = s.n;
        while (open > 0 && s.p[open - 1] != '<')
            open--;
        if (open == 0)
            return false;
        name = str_trim(str_sub(s, 0, open - 1));
        s = str_trim(str_sub(s, open, s.n - 1));
    }
    if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
        name = str_sub(name, 1, name.n - 1);
    *name_r = name;
    *addr_r = s;
    return is_address(s);
}

/* Option from, else the user of either URL where it is an address. */
static struct str own_address(const struct account *a)
{
    struct str name, addr;
    if (split_from(str_z(a->from), &name, &addr))
        return addr;
    if (a->in.user && is_address(str_z(a->in.user)))
        return str_z(a->in.user);
    if (a->out.user && is_address(str_z(a->out.user)))
        return str_z(a->out.user);
    return STR("");
}

void account_address(const struct account *a, struct buf *out)
{
    buf_adds(out, own_address(a));
}

void account_realname(const struct account *a, struct buf *out)
{
    struct str name, addr;
    if (!split_from(str_z(a->from), &name, &addr))
        return;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '\\' && i + 1 < name.n)
            i++;
        buf_addc(out, name.p[i]);
    }
}

static char fold(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Goes back to the last star only. */
bool glob_match(struct str pattern, struct str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < pattern.n && fold(pattern.p[p]) == fold(s.p[i])) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool next_alternate(struct str *rest, struct str *piece_r)
{
    while (rest->n && strchr(" ,\t", rest->p[0]))
        *rest = str_sub(*rest, 1, rest->n);
    size_t end = 0;
    while (end < rest->n && !strchr(" ,\t", rest->p[end]))
        end++;
    *piece_r = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, end, rest->n);
    return end > 0;
}

bool account_owns(const struct account *a, struct str addr)
{
    addr = str_trim(addr);
    if (!is_address(addr))
        return false;
    if (str_case_eq(addr, own_address(a)))
        return true;
    struct str rest = str_z(a->alternates), piece;
    while (next_alternate(&rest, &piece))
        if (glob_match(piece, addr))
            return true;
    return false;
}

void account_addresses(const struct account *a, struct buf *out)
{
    struct str rest = str_z(a->alternates), piece, own = own_address(a);
    if (own.n) {
        buf_adds(out, own);
        buf_addc(out, '\n');
    }
    while (next_alternate(&rest, &piece)) {
        buf_adds(out, piece);
        buf_addc(out, '\n');
    }
}

struct account *conf_account_owning(const struct conf *conf, struct str addr)
{
    for (size_t i = 0; i < conf->naccounts; i++)
        if (account_owns(&conf->accounts[i], addr))
            return &conf->accounts[i];
    return NULL;
}
