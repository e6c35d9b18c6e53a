/* Forms and query strings (application/x-www-form-urlencoded). */
#include "oauth/oauth.h"

#include <string.h>

void buf_wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

void form_add(struct buf *form, const char *name, struct str value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    buf_addf(form, "%s%s=", form->n > 0 && form->p[form->n - 1] != '?' ? "&" : "", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c != '\0' && strchr(plain, c) != NULL)
            buf_addc(form, (char)c);
        else
            buf_addf(form, "%%%02X", c);
    }
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

bool query_get(struct str query, const char *name, struct buf *value)
{
    struct str pair, key;
    while (str_split(&query, '&', &pair)) {
        struct str rest = pair;
        if (!str_split(&rest, '=', &key) || !str_eqz(key, name))
            continue;
        for (size_t i = 0; i < rest.n; i++) {
            int c = rest.p[i] == '+' ? ' ' : (unsigned char)rest.p[i];
            if (c == '%') {
                int high = i + 2 < rest.n ? hex(rest.p[i + 1]) : -1, low = i + 2 < rest.n ? hex(rest.p[i + 2]) : -1;
                if (high < 0 || low < 0)
                    return false;
                c = high * 16 + low;
                i += 2;
            }
            if (c < ' ' || c == 0x7f || !buf_addc(value, (char)c))
                return false;
        }
        return true;
    }
    return false;
}

bool request_query(struct str request, struct str path, struct str *query_r)
{
    struct str verb, target;
    size_t end, mark;
    request = str_find(request, '\n', &end) ? str_sub(request, 0, end) : request;
    if (!str_split(&request, ' ', &verb) || !str_eqz(verb, "GET") || !str_split(&request, ' ', &target) ||
        !str_find(target, '?', &mark) || !str_eq(str_sub(target, 0, mark), path))
        return false;
    *query_r = str_sub(target, mark + 1, target.n);
    return true;
}
