/* Words of mail put into a shell command: always one word, whatever they hold. */
#include "cmd/cmd.h"

void shell_quote(struct str value, struct buf *out)
{
    buf_addc(out, '\'');
    if (value.n && value.p[0] == '-')
        buf_addc(out, ' '); /* words of mail are never options of the program */
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool c1 = c == 0xc2 && i + 1 < value.n && ((unsigned char)value.p[i + 1] & 0xe0) == 0x80;
        if (c == '\'') {
            buf_addz(out, "'\\''");
        } else if (c1) {
            buf_addc(out, ' ');
            i++;
        } else
            buf_addc(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
    buf_addc(out, '\'');
}

static bool expand(struct str format, bool quote, cmd_value_fn *value_of, void *arg, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < format.n; i++) {
        size_t end;
        if (format.p[i] != '{') {
            buf_addc(out, format.p[i]);
            continue;
        }
        if (i + 1 < format.n && format.p[i + 1] == '{') {
            buf_addc(out, '{');
            i++;
            continue;
        }
        if (!str_find(str_sub(format, i, format.n), '}', &end))
            return err_set(err, ERR_CONFIG, "a { without its }; a { itself is {{");
        char *name = mem_dup_n(format.p + i + 1, end - 1);
        struct buf value = BUF_INIT(LINE_MAX_BYTES);
        bool known = value_of(arg, name, &value);
        if (known && quote)
            shell_quote(buf_str(&value), out);
        else if (known)
            buf_adds(out, buf_str(&value));
        else
            err_set(err, ERR_CONFIG, "nothing is called {%.40s} here", name);
        buf_fini(&value);
        free(name);
        if (!known)
            return false;
        i += end;
    }
    return !out->full || err_set(err, ERR_LIMIT, "the command is too long");
}

bool cmd_expand(struct str format, cmd_value_fn *value_of, void *arg, struct buf *out, struct err *err)
{
    return expand(format, true, value_of, arg, out, err);
}

bool cmd_expand_plain(struct str format, cmd_value_fn *value_of, void *arg, struct buf *out, struct err *err)
{
    return expand(format, false, value_of, arg, out, err);
}
