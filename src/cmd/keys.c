/* Names of keys: between what people write, what a terminal sends and what a key map holds. */
#include "cmd/cmd.h"

/* The first name of a key is the one that is shown. */
static const struct {
    const char *name;
    ckey key;
} names[] = {
    {"Enter", K_ENTER},   {"Return", K_ENTER}, {"Tab", K_TAB},       {"S-Tab", K_BACKTAB},       {"BackTab", K_BACKTAB},
    {"Esc", K_ESC},       {"Escape", K_ESC},   {"Space", ' '},       {"BackSpace", K_BACKSPACE}, {"BS", K_BACKSPACE},
    {"Delete", K_DELETE}, {"Del", K_DELETE},   {"Insert", K_INSERT}, {"Ins", K_INSERT},          {"Up", K_UP},
    {"Down", K_DOWN},     {"Left", K_LEFT},    {"Right", K_RIGHT},   {"Home", K_HOME},           {"End", K_END},
    {"PgUp", K_PGUP},     {"PageUp", K_PGUP},  {"PgDn", K_PGDN},     {"PageDown", K_PGDN},       {"Less", '<'},
    {"Greater", '>'},
};

ckey key_normal(ckey key)
{
    ckey modifiers = key & (K_SHIFT | K_CTRL | K_ALT), base = key & ~modifiers;
    if (base < 0x20) { /* as a terminal sends it */
        static const ckey named[0x20] = {[8] = K_BACKSPACE, [9] = K_TAB, [10] = K_ENTER, [13] = K_ENTER, [27] = K_ESC};
        if (named[base])
            base = named[base];
        else {
            modifiers |= K_CTRL;
            base = base == 0 ? ' ' : base <= 26 ? base + 'a' - 1 : base + '@';
        }
    } else if (base == 0x7f) {
        base = K_BACKSPACE;
    }
    if (modifiers & K_CTRL) {
        if (base >= 'A' && base <= 'Z')
            base |= 0x20;
        ckey same = base == 'i'                  ? K_TAB
                    : base == 'm' || base == 'j' ? K_ENTER
                    : base == 'h'                ? K_BACKSPACE
                    : base == '['                ? K_ESC
                                                 : 0;
        if (same) {
            base = same;
            modifiers &= ~(ckey)K_CTRL;
        }
    }
    if (modifiers & K_SHIFT) {
        if (base == K_TAB)
            base = K_BACKTAB;
        else if (base >= 'a' && base <= 'z' && !(modifiers & K_CTRL))
            base -= 0x20;
        if (base < K_SPECIAL || base == K_BACKTAB)
            modifiers &= ~(ckey)K_SHIFT;
    }
    return base | modifiers;
}

/* A name without modifiers, or one character. */
static bool parse_base(struct str name, ckey *key_r)
{
    uint32_t cp, number;
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_case_eqz(name, names[i].name)) {
            *key_r = names[i].key;
            return true;
        }
    if (name.n >= 2 && (name.p[0] | 0x20) == 'f' && str_u32(str_sub(name, 1, name.n), &number) && name.p[1] != '0' &&
        number >= 1 && number <= 24) {
        *key_r = K_F0 + number;
        return true;
    }
    unsigned n = utf8_decode(name, &cp);
    if (n == 0 || n != name.n || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
        return false;
    *key_r = cp;
    return true;
}

bool key_parse(struct str name, ckey *key_r)
{
    static const struct {
        const char *prefix;
        ckey modifier;
    } modifiers[] = {{"C-", K_CTRL}, {"M-", K_ALT}, {"A-", K_ALT}, {"S-", K_SHIFT}, {"Esc-", K_ALT}, {"^", K_CTRL}};
    ckey set = 0, base;
    if (name.n > 2 && name.p[0] == '<' && name.p[name.n - 1] == '>')
        name = str_sub(name, 1, name.n - 1);
    for (bool more = true; more && !parse_base(name, &base);) {
        more = false;
        for (size_t i = 0; i < COUNT(modifiers) && !more; i++) {
            struct str prefix = str_z(modifiers[i].prefix);
            if (name.n > prefix.n && str_case_starts(name, prefix)) {
                set |= modifiers[i].modifier;
                name = str_sub(name, prefix.n, name.n);
                more = true;
            }
        }
    }
    if (!parse_base(name, &base))
        return false;
    *key_r = key_normal(base | set);
    return true;
}

/* Takes a key off the front of a piece without blanks: the whole of it where it is a name, <Name>, else a character. */
static bool take_key(struct str *piece, ckey *key_r)
{
    size_t end;
    uint32_t cp;
    if (key_parse(*piece, key_r)) {
        *piece = str_sub(*piece, piece->n, piece->n);
        return true;
    }
    if (piece->p[0] == '<' && str_find(*piece, '>', &end) && end > 1 && key_parse(str_sub(*piece, 0, end + 1), key_r)) {
        *piece = str_sub(*piece, end + 1, piece->n);
        return true;
    }
    unsigned n = utf8_decode(*piece, &cp);
    if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
        return false;
    *key_r = key_normal(cp);
    *piece = str_sub(*piece, n, piece->n);
    return true;
}

static bool no_key(struct str piece, struct err *err)
{
    const char *known[COUNT(names) + 1] = {NULL};
    for (size_t i = 0; i < COUNT(names); i++)
        known[i] = names[i].name;
    char *word = mem_dup_n(piece.p, piece.n);
    const char *near = near_word(word, known);
    if (near)
        err_set(err, ERR_CONFIG, "\"%.40s\" names no key; did you mean \"%s\"?", word, near);
    else
        err_set(err, ERR_CONFIG, "\"%.40s\" names no key", word);
    free(word);
    return false;
}

/* A long word in one piece is a mistyped name rather than a chord: "C-", "PgDwn", "Entre". */
static bool looks_like_name(struct str piece)
{
    if (piece.n < 4 && !(piece.n >= 2 && piece.p[1] == '-'))
        return false;
    for (size_t i = 0; i < piece.n; i++)
        if (!((piece.p[i] | 0x20) >= 'a' && (piece.p[i] | 0x20) <= 'z') && piece.p[i] != '-')
            return false;
    return true;
}

bool keys_parse(const char *word, ckey keys_r[KEYS_MAX], size_t *n_r, struct err *err)
{
    struct str rest = str_z(word), piece;
    size_t n = 0;
    while (str_split(&rest, ' ', &piece)) {
        ckey whole;
        if (piece.n && !key_parse(piece, &whole) && looks_like_name(piece))
            return no_key(piece, err);
        while (piece.n) {
            if (n == KEYS_MAX)
                return err_set(err, ERR_CONFIG, "\"%.60s\": at most %d keys in a row", word, KEYS_MAX);
            if (!take_key(&piece, &keys_r[n]))
                return no_key(piece, err);
            n++;
        }
    }
    *n_r = n;
    return n > 0 || err_set(err, ERR_CONFIG, "the key is missing; a blank is written Space");
}

bool macro_parse(const char *text, ckey keys_r[MACRO_MAX], size_t *n_r, struct err *err)
{
    struct str rest = str_z(text);
    size_t end;
    for (*n_r = 0; rest.n; ++*n_r) {
        if (*n_r == MACRO_MAX)
            return err_set(err, ERR_CONFIG, "a macro types at most %d keys", MACRO_MAX);
        if (rest.p[0] == '<' && str_find(rest, '>', &end)) {
            if (!key_parse(str_sub(rest, 0, end + 1), &keys_r[*n_r]))
                return no_key(str_sub(rest, 0, end + 1), err);
            rest = str_sub(rest, end + 1, rest.n);
            continue;
        }
        uint32_t cp;
        unsigned n = utf8_decode(rest, &cp);
        if (n == 0)
            return err_set(err, ERR_CONFIG, "a macro is UTF-8");
        keys_r[*n_r] = key_normal(cp);
        rest = str_sub(rest, n, rest.n);
    }
    return *n_r > 0 || err_set(err, ERR_CONFIG, "the macro types nothing");
}

void key_format(ckey key, struct buf *out)
{
    ckey base = key & ~(ckey)(K_SHIFT | K_CTRL | K_ALT);
    char utf8[4];
    if (key & K_ALT)
        buf_addz(out, "Esc-");
    if (key & K_CTRL)
        buf_addz(out, "C-");
    if (key & K_SHIFT)
        buf_addz(out, "S-");
    for (size_t i = 0; i < COUNT(names); i++)
        if (names[i].key == base && base != '<' && base != '>') {
            buf_addz(out, names[i].name);
            return;
        }
    if (base > K_F0 && base <= K_F0 + 24)
        buf_addf(out, "F%u", (unsigned)(base - K_F0));
    else
        buf_add(out, utf8, utf8_encode(base, utf8));
}

void keys_format(const ckey *keys, size_t n, struct buf *out)
{
    struct buf plain = BUF_INIT(256);
    bool simple = true;
    for (size_t i = 0; i < n; i++) {
        simple = simple && keys[i] < K_SPECIAL && keys[i] > ' ';
        key_format(keys[i], &plain);
    }
    ckey back[KEYS_MAX];
    size_t nback = 0;
    struct err err = ERR_INIT;
    simple = simple && keys_parse(buf_z(&plain), back, &nback, &err) && nback == n &&
             memcmp(back, keys, n * sizeof *keys) == 0;
    if (simple)
        buf_adds(out, buf_str(&plain));
    for (size_t i = 0; i < n && !simple; i++) {
        if (i)
            buf_addc(out, ' ');
        key_format(keys[i], out);
    }
    buf_fini(&plain);
}

void macro_format(const ckey *keys, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        bool plain = keys[i] < K_SPECIAL && keys[i] >= ' ' && keys[i] != '<';
        if (!plain)
            buf_addc(out, '<');
        if (keys[i] == '<')
            buf_addz(out, "Less");
        else if (keys[i] == ' ')
            buf_addc(out, ' ');
        else
            key_format(keys[i], out);
        if (!plain)
            buf_addc(out, '>');
    }
}
