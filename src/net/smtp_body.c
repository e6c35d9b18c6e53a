/* The mail on its way into DATA: CR LF everywhere, dots doubled, no Bcc. One pass, constant memory: a bare CR or LF
 * never reaches the wire, so no server can see the end of the data where we do not (RFC 5321 4.5.2). */
#include <string.h>

#include "net/smtp.h"

static void put(struct smtp_body *b, char c, struct buf *out)
{
    if (b->skip)
        return;
    buf_addc(out, c);
}

static bool is_hidden(const struct smtp_body *b)
{
    struct str name = str_trim((struct str){b->name, b->name_n});
    return str_case_eqz(name, "Bcc") || str_case_eqz(name, "Resent-Bcc");
}

/* The name is known, or too long to matter. */
static void release(struct smtp_body *b, bool field, struct buf *out)
{
    b->holding = false;
    b->skip = field && is_hidden(b);
    if (!b->skip && b->name_n > 0 && b->name[0] == '.')
        buf_addc(out, '.');
    for (unsigned i = 0; i < b->name_n; i++)
        put(b, b->name[i], out);
    b->name_n = 0;
}

static void take_char(struct smtp_body *b, char c, struct buf *out)
{
    bool first = !b->in_line;
    b->in_line = true;
    if (c == '\0')
        b->seen_nul = true;
    if ((unsigned char)c >= 0x80)
        *(b->in_body ? &b->seen_8bit_body : &b->seen_8bit_header) = true;
    if (first && !b->in_body && c != ' ' && c != '\t') {
        b->holding = true;
        b->skip = false;
        b->name_n = 0;
    }
    if (b->holding) {
        if (c == ':' || b->name_n == sizeof b->name) {
            release(b, c == ':', out);
            put(b, c, out);
        } else {
            b->name[b->name_n++] = c;
        }
        return;
    }
    if (first && c == '.')
        put(b, '.', out);
    put(b, c, out);
}

static void take_end(struct smtp_body *b, struct buf *out)
{
    if (b->holding)
        release(b, false, out);
    if (!b->in_line && !b->in_body) {
        b->in_body = true;
        b->skip = false;
    }
    if (!b->skip)
        buf_addz(out, "\r\n");
    b->in_line = false;
}

void smtp_body_take(struct smtp_body *b, struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (b->held_cr) {
            b->held_cr = false;
            take_end(b, out);
            if (c == '\n')
                continue;
        }
        if (c == '\r')
            b->held_cr = true;
        else if (c == '\n')
            take_end(b, out);
        else
            take_char(b, c, out);
    }
}

void smtp_body_end(struct smtp_body *b, struct buf *out)
{
    if (b->held_cr || b->in_line)
        take_end(b, out);
    b->held_cr = false;
}
