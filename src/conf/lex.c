/* The command language: from text to lines of words, and back. */
#include "conf/conf.h"

/* One command being read. A physical line that breaks a rule is skipped as a whole, so that one mistake gives one
 * complaint. */
struct lexer {
    struct str in;       /* what is left of the text */
    const char *line_at; /* where the present physical line begins: columns count from here */
    const char *file;
    unsigned number;
    size_t bytes; /* of this command, over all joined lines */
    bool failed;
    struct err *err;
};

static int peek(const struct lexer *lex, size_t ahead)
{
    return ahead < lex->in.n ? (unsigned char)lex->in.p[ahead] : -1;
}

static void skip(struct lexer *lex, size_t n)
{
    lex->in = str_sub(lex->in, n, lex->in.n);
    lex->bytes += n;
}

static unsigned column(const struct lexer *lex)
{
    return (unsigned)(lex->in.p - lex->line_at) + 1;
}

static void fail_at(struct lexer *lex, unsigned number, unsigned at_column, const char *what)
{
    bool typed = lex->file && !strcmp(lex->file, ":"); /* at the prompt: its lines have no numbers */
    if (!lex->failed && typed)
        err_set(lex->err, ERR_USAGE, "column %u: %s", at_column, what);
    else if (!lex->failed)
        err_set(lex->err, ERR_CONFIG, "%s:%u: column %u: %s", lex->file ? lex->file : "", number, at_column, what);
    lex->failed = true;
}

static void fail(struct lexer *lex, const char *what)
{
    fail_at(lex, lex->number, column(lex), what);
}

/* Length of a line end here: LF, CR LF, or the end of the text after a CR. 0 where there is none. */
static size_t line_end(const struct lexer *lex, size_t ahead)
{
    if (peek(lex, ahead) == '\n')
        return 1;
    if (peek(lex, ahead) == '\r' && (peek(lex, ahead + 1) == '\n' || peek(lex, ahead + 1) < 0))
        return MIN(2, lex->in.n - ahead);
    return 0;
}

static void next_line(struct lexer *lex, size_t n)
{
    skip(lex, n);
    lex->number++;
    lex->line_at = lex->in.p;
}

static void skip_line(struct lexer *lex)
{
    size_t end;
    if (str_find(lex->in, '\n', &end))
        next_line(lex, end + 1);
    else
        skip(lex, lex->in.n);
}

/* Joins the next line where a backslash ends this one. */
static bool joined(struct lexer *lex)
{
    size_t end = peek(lex, 0) == '\\' ? line_end(lex, 1) : 0;
    if (end)
        next_line(lex, 1 + end);
    return end > 0;
}

/* Takes one character that stands for itself; refuses what must not be in a configuration. */
static bool take_character(struct lexer *lex, struct buf *word)
{
    uint32_t cp;
    unsigned n = utf8_decode(lex->in, &cp);
    if (n == 0)
        fail(lex, "not UTF-8");
    else if ((cp < 0x20 && cp != '\t') || (cp >= 0x7f && cp < 0xa0))
        fail(lex, cp ? "a control character" : "a NUL byte");
    else if (lex->bytes + n > LINE_MAX_BYTES || !buf_add(word, lex->in.p, n))
        fail(lex, "the line is longer than 64 KiB");
    if (lex->failed)
        return false;
    skip(lex, n);
    return true;
}

static char escaped(int c)
{
    static const char from[] = "\"\\nte", to[] = "\"\\\n\t\033";
    const char *at = c > 0 ? strchr(from, c) : NULL;
    return at ? to[at - from] : '\0';
}

static bool take_quoted(struct lexer *lex, struct buf *word)
{
    unsigned opened = column(lex), opened_line = lex->number;
    int quote = peek(lex, 0);
    skip(lex, 1);
    while (peek(lex, 0) != quote) {
        if (lex->in.n == 0 || line_end(lex, 0)) {
            fail_at(lex, opened_line, opened, quote == '"' ? "no closing \"" : "no closing '");
            return false;
        }
        if (quote == '"' && joined(lex))
            continue;
        char c = quote == '"' && peek(lex, 0) == '\\' ? escaped(peek(lex, 1)) : '\0';
        if (c) {
            if (!buf_addc(word, c))
                fail(lex, "the line is longer than 64 KiB");
            skip(lex, 2);
        } else if (quote == '"' && peek(lex, 0) == '\\') {
            fail(lex, "unknown escape: \\\" \\\\ \\n \\t \\e are known");
        } else {
            take_character(lex, word);
        }
        if (lex->failed)
            return false;
    }
    skip(lex, 1);
    return true;
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t';
}

static bool take_word(struct lexer *lex, struct buf *word)
{
    while (lex->in.n && !is_space(peek(lex, 0)) && !line_end(lex, 0)) {
        if (joined(lex))
            continue;
        if (peek(lex, 0) == '"' || peek(lex, 0) == '\'') {
            if (!take_quoted(lex, word))
                return false;
        } else if (!take_character(lex, word)) {
            return false;
        }
    }
    return true;
}

static bool is_separator(const struct lexer *lex)
{
    return peek(lex, 0) == ';' && (peek(lex, 1) < 0 || is_space(peek(lex, 1)) || line_end(lex, 1));
}

static void add_word(struct line *line, struct buf *word, unsigned at_column)
{
    line->words = mem_resize(line->words, line->n + 2, sizeof *line->words);
    line->columns = mem_resize(line->columns, line->n + 1, sizeof *line->columns);
    line->words[line->n] = mem_dup_n(word->p ? word->p : "", word->n);
    line->columns[line->n] = at_column;
    line->words[++line->n] = NULL;
    buf_reset(word);
}

/* Reads words up to the end of the command: a line end, a separator or the end of the text. */
static void take_command(struct lexer *lex, struct line *line)
{
    struct buf word = BUF_INIT(LINE_MAX_BYTES);
    while (!lex->failed && lex->in.n) {
        size_t end = line_end(lex, 0);
        if (end) {
            next_line(lex, end);
            if (line->n)
                break;
            line->number = lex->number;
            lex->bytes = 0;
        } else if (is_space(peek(lex, 0))) {
            skip(lex, 1);
        } else if (peek(lex, 0) == '#') {
            size_t stop;
            skip(lex, str_find(lex->in, '\n', &stop) ? stop : lex->in.n);
        } else if (is_separator(lex)) {
            skip(lex, 1);
            if (line->n)
                break;
            line->number = lex->number;
        } else if (!joined(lex)) {
            unsigned at = column(lex);
            if (line->n == 0)
                line->number = lex->number;
            if (take_word(lex, &word))
                add_word(line, &word, at);
        }
    }
    buf_fini(&word);
}

int line_next(struct str *rest, const char *file, unsigned *number, struct line *line_r, struct err *err)
{
    struct lexer lex = {.in = *rest, .line_at = rest->p, .file = file, .number = *number, .err = err};
    struct line line = {.file = file, .number = *number};
    take_command(&lex, &line);
    if (lex.failed)
        skip_line(&lex);
    *rest = lex.in;
    *number = lex.number;
    if (!lex.failed && line.n) {
        *line_r = line;
        return 1;
    }
    line_fini(&line);
    *line_r = (struct line){.file = file};
    return lex.failed ? -1 : 0;
}

void line_fini(struct line *line)
{
    for (size_t i = 0; i < line->n; i++)
        free(line->words[i]);
    free(line->words);
    free(line->columns);
    *line = (struct line){.file = line->file};
}

void line_quote(struct str word, struct buf *out)
{
    bool plain = word.n > 0 && word.p[0] != '#' && !str_eqz(word, ";");
    for (size_t i = 0; i < word.n && plain; i++)
        plain = (unsigned char)word.p[i] > ' ' && !strchr("\"'\\\177", word.p[i]);
    if (plain) {
        buf_adds(out, word);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < word.n; i++) {
        static const char from[] = "\"\\\n\t\033", to[] = "\"\\nte";
        const char *at = word.p[i] ? strchr(from, word.p[i]) : NULL;
        if (at)
            buf_addc(out, '\\');
        buf_addc(out, at ? to[at - from] : word.p[i]);
    }
    buf_addc(out, '"');
}
