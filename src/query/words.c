/* The words of a query in a text: what is marked where it is shown. */
#include "query/internal.h"

enum { WORDS_MAX = 64, TEXT_MAX = 16384, WORD_MAX_BYTES = 400 };

struct query_words {
    struct word {
        char *text;       /* folded; between its words one blank */
        size_t n, stem;   /* stem: bytes that a word with another ending has too */
        unsigned places;  /* enum query_place */
        bool open, piece; /* open: x*; piece: within words, too */
    } list[WORDS_MAX];
    size_t n;
};

/* One character of a text, folded. */
static size_t fold(struct str *rest, char out[64], uint32_t *first_r)
{
    uint32_t cp;
    unsigned len = utf8_decode(*rest, &cp);
    size_t n = text_fold(str_sub(*rest, 0, len ? len : 1), out, 64);
    *first_r = len ? cp : 0xfffd;
    *rest = str_sub(*rest, len ? len : 1, rest->n);
    return n;
}

static bool is_mark(uint32_t cp)
{
    return (cp >= 0x300 && cp < 0x370) || cp == 0x200d || cp == 0xad;
}

static bool in_word(uint32_t cp)
{
    return (cp >= '0' && cp <= '9') || ((cp | 32) >= 'a' && (cp | 32) <= 'z') || cp == '_' || is_mark(cp) ||
           (cp >= 0xc0 && cp != 0xd7 && cp != 0xf7 && (cp < 0x2000 || cp >= 0x2c00) && !(cp >= 0x3000 && cp < 0x3040) &&
            !(cp >= 0xff00 && cp < 0xff10));
}

/* Written without blanks between words. */
static bool ideograph(uint32_t cp)
{
    return cp >= 0x2e80;
}

/* ---- The words ---- */

static const char *const endings[] = {"ing", "ies", "ied", "ers", "er", "ed", "es", "ly", "s", "e", "y", "d"};

/* What English words of one stem share, roughly as the index takes it. */
static size_t stem_of(const char *word, size_t n)
{
    for (size_t i = 0; i < COUNT(endings); i++) {
        size_t len = strlen(endings[i]);
        if (n >= len + 4 && memcmp(word + n - len, endings[i], len) == 0)
            return n - len;
    }
    return n;
}

static bool is_ending(const char *p, size_t n)
{
    for (size_t i = 0; i < COUNT(endings); i++)
        if (strlen(endings[i]) == n && memcmp(p, endings[i], n) == 0)
            return true;
    return n == 0;
}

static void add(struct query_words *w, struct str text, unsigned places, bool phrase, bool piece)
{
    struct buf folded = BUF_INIT(WORD_MAX_BYTES);
    bool blank = false, many = false, open = !piece && text.n > 1 && text.p[text.n - 1] == '*';
    char bytes[64];
    if (open)
        text.n--;
    while (text.n) {
        uint32_t cp;
        size_t n = fold(&text, bytes, &cp);
        if (!piece && !in_word(cp)) {
            blank = folded.n > 0;
            continue;
        }
        if (blank)
            buf_addc(&folded, ' ');
        many = many || blank;
        blank = false;
        buf_add(&folded, bytes, n);
    }
    if (folded.n && !folded.full && w->n < WORDS_MAX) {
        size_t n = folded.n;
        char *z = buf_take(&folded, NULL);
        w->list[w->n++] = (struct word){.text = z,
                                        .n = n,
                                        .stem = phrase || many || open || piece ? n : stem_of(z, n),
                                        .places = places,
                                        .open = open,
                                        .piece = piece};
    }
    buf_fini(&folded);
}

static unsigned places_of(struct str prefix)
{
    static const struct {
        const char *prefix;
        unsigned places;
    } of[] = {{"from:", PLACE_FROM}, {"f:", PLACE_FROM},         {"to:", PLACE_TO},     {"t:", PLACE_TO},
              {"c:", PLACE_TO},      {"cc:", PLACE_TO},          {"s:", PLACE_SUBJECT}, {"subject:", PLACE_SUBJECT},
              {"body:", PLACE_BODY}, {"attachment:", PLACE_FILE}};
    for (size_t i = 0; i < COUNT(of); i++)
        if (str_case_eqz(prefix, of[i].prefix))
            return of[i].places;
    return prefix.n ? 0 : PLACE_ANY;
}

static void add_infix(struct query_words *w, struct str q)
{
    size_t at = 0;
    bool not = false;
    unsigned skip = 0, group[WORDS_MAX] = {PLACE_ANY}, depth = 0; /* skip: the bracket behind a not; and in it */
    unsigned next = PLACE_ANY;                                    /* subject:( ... ) */
    for (struct token t; (t = token_next(q, &at)).kind != TOKEN_END;) {
        struct buf value = BUF_INIT(QUERY_MAX);
        enum query_operator op = token_operator(q, &t);
        if (t.kind == TOKEN_OPEN) {
            unsigned outer = group[depth];
            depth += depth + 1 < WORDS_MAX;
            group[depth] = next == PLACE_ANY ? outer : next;
            if (not &&!skip)
                skip = depth;
            not = false;
        } else if (t.kind == TOKEN_CLOSE) {
            skip = skip == depth ? 0 : skip;
            depth -= depth > 0;
        } else if (op != OPERATOR_NONE) {
            not = op == OPERATOR_NOT;
        } else {
            token_value(q, &t, &value);
            unsigned places = t.prefix.n ? places_of(t.prefix) : group[depth];
            bool regexp = t.prefix.n && value.n && value.p[0] == '/';
            if (!not &&!skip && t.sign != '-' && places && !regexp)
                add(w, buf_str(&value), places, t.value < t.to && q.p[t.value] == '"', false);
            not = false;
        }
        next = t.kind == TOKEN_WORD && t.prefix.n && t.value == t.to ? places_of(t.prefix) : PLACE_ANY;
        buf_fini(&value);
    }
}

/* (subject budget), (from "alice a"), in and, or, of: words behind a field, or behind an operator. */
static void add_sexp(struct query_words *w, struct str q)
{
    unsigned places[WORDS_MAX] = {0}, depth = 0, not_at = 0;
    for (size_t i = 0; i < q.n;) {
        char c = q.p[i];
        size_t from = i;
        if (c == '(') {
            for (i++; i < q.n && (q.p[i] == ' ' || q.p[i] == '\n' || q.p[i] == '\t');)
                i++;
            for (from = i; i < q.n && !strchr(" \t\r\n()\"", q.p[i]);)
                i++;
            struct str name = str_sub(q, from, i);
            unsigned outer = places[depth];
            depth += depth + 1 < WORDS_MAX;
            char prefix[32];
            snprintf(prefix, sizeof prefix, "%.*s:", (int)MIN(name.n, (size_t)30), name.n ? name.p : "");
            unsigned of = name.n ? places_of(str_z(prefix)) : 0;
            bool joins = str_eqz(name, "and") || str_eqz(name, "or") || str_eqz(name, "starts-with");
            places[depth] = of ? of : joins ? (outer ? outer : PLACE_ANY) : 0;
            if (str_eqz(name, "not") && !not_at)
                not_at = depth;
        } else if (c == ')') {
            not_at = not_at == depth ? 0 : not_at;
            depth -= depth > 0;
            i++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            i++;
        } else {
            bool quoted = c == '"';
            for (i++; i < q.n && (quoted ? q.p[i] != '"' : !strchr(" \t\r\n()\"", q.p[i])); i++)
                i += q.p[i] == '\\' && i + 1 < q.n;
            if (places[depth] && !not_at)
                add(w, str_sub(q, from + quoted, i), places[depth], quoted, false);
            i += quoted;
        }
    }
}

struct query_words *query_words_new(struct str q)
{
    struct query_words *w = mem_new(sizeof *w);
    struct str body;
    if (query_is_sexp(q, &body))
        add_sexp(w, body);
    else
        add_infix(w, str_sub(q, 0, MIN(q.n, (size_t)QUERY_MAX)));
    return w;
}

struct query_words *query_words_piece(struct str typed)
{
    struct query_words *w = mem_new(sizeof *w);
    add(w, str_sub(typed, 0, MIN(typed.n, (size_t)WORD_MAX_BYTES)), PLACE_ANY, true, true);
    return w;
}

void query_words_free(struct query_words **w)
{
    for (size_t i = 0; *w && i < (*w)->n; i++)
        free((*w)->list[i].text);
    free(*w);
    *w = NULL;
}

size_t query_words_count(const struct query_words *w)
{
    return w ? w->n : 0;
}

/* ---- Finding them ---- */

/* What of a word's ending stands at `rest`: letters up to its end, folded; *end_r is behind them. */
static bool ends_well(struct str rest, size_t at, size_t *end_r)
{
    char letters[16], bytes[64];
    size_t n = 0;
    struct str s = rest;
    while (s.n) {
        struct str before = s;
        uint32_t cp;
        size_t got = fold(&s, bytes, &cp);
        if (!in_word(cp) || ideograph(cp)) {
            s = before;
            break;
        }
        if (n + got > sizeof letters)
            return false;
        memcpy(letters + n, bytes, got);
        n += got;
    }
    *end_r = at + (rest.n - s.n);
    return is_ending(letters, n);
}

static size_t word_end(struct str text, size_t at)
{
    while (at < text.n) {
        struct str rest = str_sub(text, at, text.n);
        size_t left = rest.n;
        char bytes[64];
        uint32_t cp;
        fold(&rest, bytes, &cp);
        if (!in_word(cp))
            break;
        at += left - rest.n;
    }
    return at;
}

/* Does the word stand in `text` at `at`? *end_r: behind it. */
static bool stands(const struct word *w, struct str text, size_t at, size_t *end_r)
{
    struct str rest = str_sub(text, at, text.n);
    size_t got = 0;
    char bytes[64];
    bool cjk = false;
    while (got < w->stem && rest.n) {
        uint32_t cp;
        size_t n = fold(&rest, bytes, &cp);
        if (!w->piece && !in_word(cp)) {
            if (got && w->text[got] == ' ')
                while (rest.n) { /* anything between two words */
                    struct str before = rest;
                    fold(&rest, bytes, &cp);
                    if (in_word(cp)) {
                        rest = before;
                        break;
                    }
                }
            else
                return false;
            got++;
            continue;
        }
        if (got + n > w->stem || memcmp(w->text + got, bytes, n) != 0)
            return false;
        cjk = cjk || ideograph(cp);
        got += n;
    }
    if (got < w->stem)
        return false;
    while (rest.n) { /* marks that belong to its last character */
        struct str before = rest;
        uint32_t cp;
        fold(&rest, bytes, &cp);
        if (!is_mark(cp)) {
            rest = before;
            break;
        }
    }
    size_t end = text.n - rest.n;
    *end_r = end;
    if (w->piece || cjk)
        return true;
    if (w->open) {
        *end_r = word_end(text, end);
        return true;
    }
    if (w->stem < w->n || w->n >= 4)
        return ends_well(rest, end, end_r);
    return word_end(text, end) == end;
}

bool query_words_find(const struct query_words *w, unsigned place, struct str text, size_t *from_r, size_t *to_r)
{
    bool inside = false;
    text = str_sub(text, 0, MIN(text.n, (size_t)TEXT_MAX));
    size_t at = *from_r;
    if (!w || !w->n)
        return false;
    while (at < text.n) {
        struct str rest = str_sub(text, at, text.n);
        size_t left = rest.n, best = 0, end;
        char bytes[64];
        uint32_t cp;
        fold(&rest, bytes, &cp);
        bool start = in_word(cp) && (!inside || ideograph(cp));
        for (size_t i = 0; i < w->n; i++) {
            const struct word *one = &w->list[i];
            if ((one->places & place) && (one->piece || (start && !is_mark(cp))) && one->text[0] == bytes[0] &&
                stands(one, text, at, &end))
                best = MAX(best, end);
        }
        if (best > at) {
            *from_r = at;
            *to_r = best;
            return true;
        }
        inside = in_word(cp);
        at += left - rest.n;
    }
    return false;
}

unsigned query_words_in(const struct query_words *w, unsigned place, struct str text)
{
    unsigned n = 0;
    for (size_t i = 0; w && i < w->n; i++) {
        struct query_words one = {.n = 1};
        size_t from = 0, to;
        one.list[0] = w->list[i];
        n += query_words_find(&one, place, text, &from, &to);
    }
    return n;
}
