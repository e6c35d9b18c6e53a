/* Queries as search keys: what becomes of any bytes is one command line, in which every string ends and no parenthesis
 * is left open, and no longer than was promised. */
#include "mail/imap_query.h"
#include "mail/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(struct str keys)
{
    size_t depth = 0;
    bool string = false;
    for (size_t i = 0; i < keys.n; i++) {
        unsigned char c = (unsigned char)keys.p[i];
        if (string ? c == IMAP_QUERY_OPEN : c == IMAP_QUERY_CLOSE)
            bug("a string inside a string");
        if (c == IMAP_QUERY_OPEN || c == IMAP_QUERY_CLOSE) {
            string = !string;
            continue;
        }
        if (c < ' ' || c == 0x7F || (!string && c > 0x7E))
            bug("byte %u in a command", c);
        if (string)
            continue;
        depth += c == '(';
        if (c == ')' && depth-- == 0)
            bug("a parenthesis too many");
    }
    if (string || depth)
        bug("left open");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct imap_query_for to = {.now = 1795348800,
                                .account = STR("work"),
                                .box = STR("INBOX"),
                                .role = (uint8_t)(data[0] % BOX_ROLE_COUNT),
                                .within = (data[0] & 32) != 0,
                                .gmail = (data[0] & 64) != 0,
                                .fuzzy = (data[0] & 128) != 0};
    struct imap_query q;
    struct err err = ERR_INIT;
    bool ok = imap_query_make((struct str){(const char *)data + 1, size - 1}, &to, &q, &err);
    if (!ok && (err.kind == ERR_NONE || !err.text[0]))
        bug("refused without a reason");
    if (ok && !q.keys.n)
        bug("no keys");
    if (ok)
        check_keys(buf_str(&q.keys));
    imap_query_fini(&q);
    return 0;
}
