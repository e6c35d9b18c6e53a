/* Reading and writing mbox files: one window that is moved over the file. */
#include "archive/mbox.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mail/mail.h"

#define WINDOW 65536
#define LINE_LOOK 1100 /* of a line more is never looked at: ours are shorter, From_ lines too */

/* ---- The window --------------------------------------------------------------------------------- */
struct window {
    int fd;
    uint64_t at, size; /* of the file: where the bytes begin, how many it has */
    size_t n;
    char p[WINDOW];
};

static bool window_open(struct window *w, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot look at the file");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_USAGE, "it is not a regular file");
    w->fd = fd;
    w->size = (uint64_t)st.st_size;
    w->at = 0;
    w->n = 0;
    return true;
}

/* Up to `want` bytes from `at` on, fewer only at the end of the file. */
static bool window_get(struct window *w, uint64_t at, size_t want, struct str *bytes_r, struct err *err)
{
    want = (size_t)MIN((uint64_t)want, at < w->size ? w->size - at : 0);
    if (at < w->at || at + want > w->at + w->n) {
        w->at = at;
        w->n = 0;
        while (w->n < want) {
            ssize_t n = pread(w->fd, w->p + w->n, (size_t)MIN((uint64_t)(WINDOW - w->n), w->size - at - w->n),
                              (off_t)(at + w->n));
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return err_sys(err, err_from_errno(errno), errno, "cannot read the file");
            if (n == 0)
                return err_set(err, ERR_IO, "the file became shorter while it was read");
            w->n += (size_t)n;
        }
    }
    *bytes_r = (struct str){w->p + (at - w->at), w->n - (size_t)(at - w->at)};
    return true;
}

/* Where the line at `at` ends, behind its line feed or at `to`. */
static bool line_end(struct window *w, uint64_t at, uint64_t to, uint64_t *end_r, struct err *err)
{
    struct str s;
    size_t nl;
    for (; at < to; at += s.n) {
        if (!window_get(w, at, 1, &s, err))
            return false;
        s = str_sub(s, 0, (size_t)MIN(to - at, (uint64_t)s.n));
        if (str_find(s, '\n', &nl)) {
            *end_r = at + nl + 1;
            return true;
        }
    }
    *end_r = to;
    return true;
}

struct line {
    struct str text; /* the beginning, without its line end; until the window moves */
    uint64_t next;
    bool empty;
};

/* The line at `at`, which is below the file's end. */
static bool line_get(struct window *w, uint64_t at, struct line *l, struct err *err)
{
    size_t nl;
    if (!window_get(w, at, LINE_LOOK, &l->text, err))
        return false;
    if (str_find(l->text, '\n', &nl)) {
        l->next = at + nl + 1;
    } else {
        uint64_t end;
        if (!line_end(w, at + l->text.n, w->size, &end, err) || !window_get(w, at, LINE_LOOK, &l->text, err))
            return false;
        l->next = end;
        nl = MIN(l->text.n, (size_t)LINE_LOOK);
    }
    l->text = str_sub(l->text, 0, MIN(nl, (size_t)LINE_LOOK));
    if (l->text.n && l->text.p[l->text.n - 1] == '\r')
        l->text.n--;
    l->empty = l->text.n == 0;
    return true;
}

/* ---- From_ lines -------------------------------------------------------------------------------- */
static const char from_mark[] = "From ";

/* "From alice@example.org Sun Nov 22 10:00:00 2026", with whatever stands in place of the address. */
static bool from_date(struct str line, int64_t *date_r)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    struct str rest = str_sub(line, sizeof from_mark - 1, line.n);
    for (size_t at = 0; at + 4 < rest.n; at++) {
        struct str s = str_sub(rest, at, rest.n);
        size_t comma = s.p[3] == ',' ? 4 : 3;
        if ((at && s.p[-1] != ' ') || s.p[comma] != ' ')
            continue;
        for (size_t d = 0; d < 7; d++)
            if (memcmp(s.p, days + 3 * d, 3) == 0 && memchr(s.p, ':', s.n) && mail_date_parse(s, date_r, NULL))
                return true;
    }
    return false;
}

static bool field_name(struct str line, struct str *name_r)
{
    size_t n = 0;
    while (n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
        n++;
    *name_r = str_sub(line, 0, n);
    return n > 0 && n < line.n && line.p[n] == ':';
}

/* Does a mail begin with the line at `at`? By its date; without one, only where it stands behind an empty line and in
 * front of a field, and holds at most one word. */
static bool is_from(struct window *w, uint64_t at, bool behind_empty, bool *is_r, int64_t *date_r, struct err *err)
{
    struct line l;
    struct str s, name;
    size_t blank;
    *is_r = false;
    *date_r = 0;
    if (!window_get(w, at, LINE_LOOK, &s, err))
        return false;
    if (!str_starts(s, str_z(from_mark)))
        return true;
    if (!line_get(w, at, &l, err))
        return false;
    if (from_date(l.text, date_r)) {
        *is_r = true;
        return true;
    }
    struct str word = str_trim(str_sub(l.text, sizeof from_mark - 1, l.text.n));
    if (!behind_empty || str_find(word, ' ', &blank) || l.next >= w->size)
        return true;
    if (!line_get(w, l.next, &l, err))
        return false;
    *is_r = field_name(l.text, &name);
    return true;
}

/* Is the line at `at` of '>'s and "From "? *quotes_r: are there any. */
static bool is_quotable(struct window *w, uint64_t at, bool *is_r, bool *quotes_r, struct err *err)
{
    struct str s;
    uint64_t p = at;
    *is_r = false;
    for (; p < w->size; p++) {
        if (!window_get(w, p, sizeof from_mark - 1, &s, err))
            return false;
        size_t n = 0;
        while (n < s.n && s.p[n] == '>')
            n++;
        p += n;
        if (n < s.n) {
            if (!window_get(w, p, sizeof from_mark - 1, &s, err))
                return false;
            *is_r = str_starts(s, str_z(from_mark));
            break;
        }
        p--;
    }
    *quotes_r = p > at;
    return true;
}

/* ---- What other programs put into the header ---------------------------------------------------- */
static const struct {
    char letter;
    uint32_t flag;
} letters[] = {{'R', FLAG_SEEN}, {'A', FLAG_ANSWERED}, {'F', FLAG_FLAGGED}, {'D', FLAG_DELETED}, {'T', FLAG_DRAFT}};
static const struct {
    const char *word;
    uint32_t flag;
} words[] = {{"$Forwarded", FLAG_FORWARDED}, {"$Junk", FLAG_JUNK},      {"Junk", FLAG_JUNK},
             {"$NotJunk", FLAG_NOTJUNK},     {"NonJunk", FLAG_NOTJUNK}, {"$MDNSent", FLAG_MDNSENT}};
enum house {
    HOUSE_STATUS,
    HOUSE_X_STATUS,
    HOUSE_KEYWORDS,
    HOUSE_LENGTH,
    HOUSE_UID,
    HOUSE_BASE,
    HOUSE_DATA,
    HOUSE_LINES,
    HOUSE_NONE
};
static const char *const house_names[HOUSE_NONE] = {
    [HOUSE_STATUS] = "Status",         [HOUSE_X_STATUS] = "X-Status", [HOUSE_KEYWORDS] = "X-Keywords",
    [HOUSE_LENGTH] = "Content-Length", [HOUSE_UID] = "X-UID",         [HOUSE_BASE] = "X-IMAPbase",
    [HOUSE_DATA] = "X-IMAP",           [HOUSE_LINES] = "Lines" /* beside Content-Length */};
#define UNENDED "X-Mbox-Last-Line: open"

static enum house house_of(struct str line)
{
    struct str name;
    enum house h = HOUSE_NONE;
    if (field_name(line, &name))
        for (h = HOUSE_STATUS; h < HOUSE_NONE && !str_case_eqz(name, house_names[h]);)
            h++;
    return h;
}

static struct str field_value(struct str line)
{
    size_t colon = 0;
    str_find(line, ':', &colon);
    return str_trim(str_sub(line, colon + 1, line.n));
}

static uint32_t letters_of(struct str value)
{
    uint32_t flags = 0;
    for (size_t i = 0; i < value.n; i++)
        for (size_t k = 0; k < COUNT(letters); k++)
            flags |= value.p[i] == letters[k].letter ? letters[k].flag : 0;
    return flags;
}

uint32_t mbox_words(struct str value, struct buf *tags)
{
    uint32_t flags = 0;
    struct str word;
    while (str_split(&value, ' ', &word)) {
        size_t k = 0;
        while (k < COUNT(words) && !str_case_eqz(word, words[k].word))
            k++;
        if (k < COUNT(words)) {
            flags |= words[k].flag;
        } else if (word.n && tags->n + 1 + word.n <= tags->max) {
            buf_addz(tags, tags->n ? " " : "");
            buf_adds(tags, word);
        }
    }
    return flags;
}

/* ---- Reading ------------------------------------------------------------------------------------ */
struct mbox {
    struct window w;
    uint64_t at; /* of the next From_ line, or of what stands in its place */
    struct buf tags;
};

struct mbox *mbox_open(int fd, struct err *err)
{
    struct mbox *m = mem_new(sizeof *m);
    m->tags = BUF_INIT(MBOX_TAGS_MAX);
    if (!window_open(&m->w, fd, err))
        mbox_close(&m);
    return m;
}

void mbox_close(struct mbox **m)
{
    if (*m)
        buf_fini(&(*m)->tags);
    free(*m);
    *m = NULL;
}

uint64_t mbox_size(const struct mbox *m)
{
    return m->w.size;
}

static bool skip_empty(struct mbox *m, struct err *err)
{
    struct line l = {.empty = true};
    while (m->at < m->w.size && line_get(&m->w, m->at, &l, err) && l.empty)
        m->at = l.next;
    return m->at >= m->w.size || !l.empty;
}

bool mbox_is(struct mbox *m, struct err *err)
{
    bool is = false;
    int64_t date;
    return skip_empty(m, err) && m->at < m->w.size && is_from(&m->w, m->at, true, &is, &date, err) && is;
}

/* The lines of ours in their order; *end_r: where the mail itself begins. */
static bool read_ours(struct mbox *m, struct mbox_mail *mail, uint64_t *end_r, struct err *err)
{
    uint64_t at = mail->from;
    uint32_t flags = 0;
    struct line l = {.text = {"", 0}};
    buf_reset(&m->tags);
    if (at < m->w.size && !line_get(&m->w, at, &l, err))
        return false;
    bool unended = str_eqz(l.text, UNENDED);
    at = unended ? l.next : at;
    for (enum house h = HOUSE_STATUS; h <= HOUSE_KEYWORDS; h++, at = l.next) {
        l.text = STR("");
        if (at < m->w.size && !line_get(&m->w, at, &l, err))
            return false;
        if (house_of(l.text) != h)
            return true;
        flags |= h == HOUSE_KEYWORDS ? mbox_words(field_value(l.text), &m->tags) : letters_of(field_value(l.text));
    }
    mail->ours = true;
    mail->unended = unended;
    mail->flags = flags;
    *end_r = at;
    return true;
}

struct head {
    uint64_t end;              /* behind the empty line, or where the next mail begins */
    uint64_t length, empty_at; /* empty_at: of the empty line, UINT64_MAX none */
    bool has_length, data;
};

/* The fields that mbox programs use. */
static bool read_head(struct mbox *m, struct mbox_mail *mail, struct head *h, struct err *err)
{
    *h = (struct head){.end = mail->from, .empty_at = UINT64_MAX};
    buf_reset(&m->tags);
    while (h->end < m->w.size) {
        struct line l;
        bool is;
        int64_t date;
        if (h->end > mail->from && !is_from(&m->w, h->end, false, &is, &date, err))
            return false;
        if (h->end > mail->from && is)
            return true;
        if (!line_get(&m->w, h->end, &l, err))
            return false;
        switch (house_of(l.text)) {
        case HOUSE_STATUS:
        case HOUSE_X_STATUS:
            mail->flags |= letters_of(field_value(l.text));
            break;
        case HOUSE_KEYWORDS:
            mail->flags |= mbox_words(field_value(l.text), &m->tags);
            break;
        case HOUSE_LENGTH:
            h->has_length = str_u64(field_value(l.text), &h->length);
            break;
        case HOUSE_DATA:
            h->data = true;
            break;
        default:
            break;
        }
        if (l.empty)
            h->empty_at = h->end;
        h->end = l.next;
        if (l.empty)
            return true;
    }
    return true;
}

/* Does the next mail, or the end, stand where Content-Length says? */
static bool length_fits(struct mbox *m, const struct head *h, bool *fits_r, uint64_t *next_r, struct err *err)
{
    *fits_r = false;
    if (!h->has_length || h->empty_at == UINT64_MAX || h->length > m->w.size - h->end)
        return true;
    uint64_t at = h->end + h->length;
    struct line l = {.empty = false};
    if (at < m->w.size && !line_get(&m->w, at, &l, err))
        return false;
    if (l.empty)
        at = l.next;
    int64_t date;
    *next_r = at;
    *fits_r = at == m->w.size;
    return *fits_r || is_from(&m->w, at, l.empty, fits_r, &date, err);
}

/* A body with a From line as it is was not quoted when it was put there (mboxcl2); any other was, as by most programs
 * that deliver into files. */
static bool is_exact(struct mbox *m, uint64_t at, uint64_t to, bool *exact_r, struct err *err)
{
    struct str s;
    for (*exact_r = false; at < to && !*exact_r;) {
        if (!window_get(&m->w, at, sizeof from_mark - 1, &s, err))
            return false;
        *exact_r = str_starts(s, str_z(from_mark));
        if (!line_end(&m->w, at, to, &at, err))
            return false;
    }
    return true;
}

/* From `at` on: where the next mail begins, and where the empty line before it does. empty_at: of one that ends at
 * `at`, UINT64_MAX none. */
static bool find_next(struct mbox *m, uint64_t at, uint64_t empty_at, uint64_t *last_r, uint64_t *next_r,
                      struct err *err)
{
    while (at < m->w.size) {
        struct line l;
        bool is;
        int64_t date;
        if (!is_from(&m->w, at, empty_at != UINT64_MAX, &is, &date, err))
            return false;
        if (is)
            break;
        if (!line_get(&m->w, at, &l, err))
            return false;
        empty_at = l.empty ? at : UINT64_MAX;
        at = l.next;
    }
    *next_r = at;
    *last_r = MIN(empty_at, at);
    return true;
}

static enum mbox_got failed(struct err *err)
{
    if (err->kind == ERR_NONE)
        bug("a failure without an error");
    return MBOX_FAILED;
}

static bool read_mail(struct mbox *m, struct mbox_mail *mail, struct head *h, uint64_t *next_r, struct err *err)
{
    bool fits = false;
    if (!read_ours(m, mail, &mail->from, err))
        return false;
    if (mail->ours) {
        *h = (struct head){.end = mail->from};
        return find_next(m, mail->from, UINT64_MAX, &mail->to, next_r, err);
    }
    if (!read_head(m, mail, h, err) || !length_fits(m, h, &fits, next_r, err))
        return false;
    mail->counted = h->has_length;
    mail->to = h->end + h->length;
    if (fits)
        return is_exact(m, h->end, mail->to, &mail->exact, err);
    return find_next(m, h->end, h->empty_at, &mail->to, next_r, err);
}

enum mbox_got mbox_next(struct mbox *m, struct mbox_mail *mail, struct err *err)
{
    bool is = false, end = false;
    struct head h;
    struct line l;
    *mail = (struct mbox_mail){.tags = STR("")};
    if (!skip_empty(m, err))
        return failed(err);
    if (m->at >= m->w.size)
        return MBOX_END;
    mail->offset = mail->from = m->at;
    if (!is_from(&m->w, m->at, true, &is, &mail->arrived, err))
        return failed(err);
    if (!is) {
        mail->why = "no From line stands before it";
        return find_next(m, m->at, UINT64_MAX, &mail->to, &m->at, err) ? MBOX_SKIPPED : failed(err);
    }
    if (!line_get(&m->w, m->at, &l, err))
        return failed(err);
    mail->from = l.next;
    if (!read_mail(m, mail, &h, &m->at, err))
        return failed(err);
    mail->to = MAX(mail->to, mail->from);
    mail->tags = buf_str(&m->tags);
    if (mail->unended && mail->to > mail->from)
        mail->to--;
    end = mail->to == mail->from;
    if (h.data)
        mail->why = "a mailbox program's own data, not a mail";
    else if (mail->to - mail->from > MBOX_MAIL_MAX)
        mail->why = "it is larger than a gigabyte";
    else if (end)
        mail->why = "it is empty";
    return mail->why ? MBOX_SKIPPED : MBOX_MAIL;
}

/* ---- Copying ------------------------------------------------------------------------------------ */
struct out {
    int fd;
    size_t n;
    char p[WINDOW];
};

static bool out_flush(struct out *o, struct err *err)
{
    bool ok = fs_write_all(o->fd, (struct str){o->p, o->n}, err);
    o->n = 0;
    return ok;
}

static bool out_put(struct out *o, struct str s, struct err *err)
{
    while (s.n > 0) {
        size_t n = MIN(s.n, sizeof o->p - o->n);
        memcpy(o->p + o->n, s.p, n);
        o->n += n;
        s = str_sub(s, n, s.n);
        if (o->n == sizeof o->p && !out_flush(o, err))
            return false;
    }
    return true;
}

static bool out_range(struct out *o, struct window *w, uint64_t from, uint64_t to, struct err *err)
{
    struct str s;
    for (; from < to; from += s.n) {
        if (!window_get(w, from, 1, &s, err))
            return false;
        s = str_sub(s, 0, (size_t)MIN(to - from, (uint64_t)s.n));
        if (!out_put(o, s, err))
            return false;
    }
    return true;
}

enum quoting { QUOTE_NONE, QUOTE_ADD, QUOTE_REMOVE };

static bool copy_lines(struct window *w, uint64_t from, uint64_t to, enum quoting quoting, struct out *o,
                       struct err *err)
{
    if (quoting == QUOTE_NONE)
        return out_range(o, w, from, to, err);
    while (from < to) {
        struct str s;
        bool is = false, quotes = false;
        uint64_t end;
        if (!window_get(w, from, 1, &s, err))
            return false;
        if ((s.p[0] == '>' || s.p[0] == 'F') && !is_quotable(w, from, &is, &quotes, err))
            return false;
        if (is && quoting == QUOTE_ADD && !out_put(o, STR(">"), err))
            return false;
        if (!line_end(w, from, to, &end, err) ||
            !out_range(o, w, from + (is && quotes && quoting == QUOTE_REMOVE), end, err))
            return false;
        from = end;
    }
    return true;
}

static bool to_drop(const struct mbox_mail *mail, enum house h)
{
    return h < HOUSE_LINES || (h == HOUSE_LINES && mail->counted);
}

/* The header without what mbox programs wrote into it. */
static bool copy_head(struct window *w, const struct mbox_mail *mail, struct out *o, uint64_t *end_r, struct err *err)
{
    uint64_t at = mail->from;
    bool drop = false;
    struct line l = {.empty = false};
    while (at < mail->to && !l.empty) {
        if (!line_get(w, at, &l, err))
            return false;
        if (!l.text.n || (l.text.p[0] != ' ' && l.text.p[0] != '\t'))
            drop = to_drop(mail, house_of(l.text));
        uint64_t end = MIN(l.next, mail->to);
        if (!drop && !copy_lines(w, at, end, mail->exact ? QUOTE_NONE : QUOTE_REMOVE, o, err))
            return false;
        at = end;
    }
    *end_r = at;
    return true;
}

bool mbox_copy(struct mbox *m, const struct mbox_mail *mail, int fd, struct err *err)
{
    static struct out o;
    uint64_t body = mail->from;
    o.fd = fd;
    o.n = 0;
    return (mail->ours || copy_head(&m->w, mail, &o, &body, err)) &&
           copy_lines(&m->w, body, mail->to, mail->exact ? QUOTE_NONE : QUOTE_REMOVE, &o, err) && out_flush(&o, err);
}

/* ---- Writing ------------------------------------------------------------------------------------ */
static void put_front(const struct mbox_put *p, bool unended, struct buf *out)
{
    char date[64];
    time_t t = (time_t)p->arrived;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || p->arrived < 0 || !strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm))
        snprintf(date, sizeof date, "Thu Jan  1 00:00:00 1970");
    buf_addz(out, from_mark);
    buf_adds(out, mail_addr_valid(p->sender) ? p->sender : STR("MAILER-DAEMON"));
    buf_addf(out, " %s\n%s%s: %sO\n%s: ", date, unended ? UNENDED "\n" : "", house_names[HOUSE_STATUS],
             p->flags & FLAG_SEEN ? "R" : "", house_names[HOUSE_X_STATUS]);
    for (size_t i = 1; i < COUNT(letters); i++)
        if (p->flags & letters[i].flag)
            buf_addc(out, letters[i].letter);
    buf_addf(out, "\n%s: ", house_names[HOUSE_KEYWORDS]);
    const char *gap = "";
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].word[0] == '$' && p->flags & words[i].flag) {
            buf_addf(out, "%s%s", gap, words[i].word);
            gap = " ";
        }
    for (size_t i = 0; i < p->tags.n; i++) {
        unsigned char c = (unsigned char)p->tags.p[i];
        if (i == 0)
            buf_addz(out, gap);
        buf_addc(out, c < ' ' || c == 0x7f ? '_' : (char)c);
    }
    buf_addc(out, '\n');
}

bool mbox_append(int out, int fd, const struct mbox_put *p, struct err *err)
{
    static struct window w;
    static struct out o;
    struct buf front = BUF_INIT(8192);
    struct str last = STR("\n");
    o.fd = out;
    o.n = 0;
    bool ok = window_open(&w, fd, err) && (w.size == 0 || window_get(&w, w.size - 1, 1, &last, err));
    bool unended = ok && last.p[0] != '\n';
    if (ok)
        put_front(p, unended, &front);
    ok = ok && out_put(&o, buf_str(&front), err) && copy_lines(&w, 0, w.size, QUOTE_ADD, &o, err) &&
         out_put(&o, unended ? STR("\n\n") : STR("\n"), err) && out_flush(&o, err);
    buf_fini(&front);
    return ok;
}

/* ---- Comparing ---------------------------------------------------------------------------------- */
/* A mail byte by byte with every line end as one line feed, and without NUL. */
struct reader {
    struct window w;
    uint64_t at;
    struct str s;
    size_t i;
    bool cr;
};

/* -1 at the end, -2 where it cannot be read. */
static int reader_next(struct reader *r, struct err *err)
{
    for (;;) {
        if (r->i == r->s.n) {
            r->at += r->s.n;
            r->i = 0;
            r->s = (struct str){"", 0};
            if (r->at >= r->w.size)
                return -1;
            if (!window_get(&r->w, r->at, 1, &r->s, err))
                return -2;
        }
        unsigned char c = (unsigned char)r->s.p[r->i++];
        bool was_cr = r->cr;
        r->cr = c == '\r';
        if (c == '\r')
            return '\n';
        if (c != 0 && !(c == '\n' && was_cr))
            return c;
    }
}

static bool reader_open(struct reader *r, int fd, struct err *err)
{
    r->at = 0;
    r->s = (struct str){"", 0};
    r->i = 0;
    r->cr = false;
    return window_open(&r->w, fd, err);
}

bool mbox_size_crlf(int fd, uint64_t *size_r, struct err *err)
{
    static struct reader r;
    int c = 0;
    *size_r = 0;
    if (!reader_open(&r, fd, err))
        return false;
    while ((c = reader_next(&r, err)) >= 0)
        *size_r += c == '\n' ? 2 : 1;
    return c == -1;
}

bool mbox_same(int a, int b, bool *same_r, struct err *err)
{
    static struct reader x, y;
    int c = 0, d = 0;
    *same_r = false;
    if (!reader_open(&x, a, err) || !reader_open(&y, b, err))
        return false;
    while (c == d && c >= 0) {
        c = reader_next(&x, err);
        d = reader_next(&y, err);
    }
    *same_r = c == -1 && d == -1;
    return c != -2 && d != -2;
}
