/* A draft to an RFC 5322 message. Written by hand: every byte of a header goes through an encoder, so none can be
 * slipped in. */
#include "mail/mail.h"
#include "mime/mime.h"

#include <time.h>

struct attachment {
    struct buf bytes, name;
    char type[128];
    bool inline_part;
};

struct mime_draft {
    uint32_t flags;
    struct arena *arena;
    struct mail_header header;
    struct buf headers; /* backs `header` */
    struct buf text;    /* UTF-8, LF */
    struct buf head;    /* finished fields */
    struct attachment *list;
    size_t count;
    uint64_t bytes;
};

/* ---- Header fields ------------------------------------------------------------------------------ */
enum field_kind { FIELD_TEXT, FIELD_ADDRESSES, FIELD_IDS, FIELD_DATE };
static const struct {
    const char *name;
    enum field_kind kind;

} known[] = {{"Date", FIELD_DATE},         {"From", FIELD_ADDRESSES},
             {"Sender", FIELD_ADDRESSES},  {"Reply-To", FIELD_ADDRESSES},
             {"To", FIELD_ADDRESSES},      {"Cc", FIELD_ADDRESSES},
             {"Bcc", FIELD_ADDRESSES},     {"Mail-Followup-To", FIELD_ADDRESSES},
             {"Subject", FIELD_TEXT},      {"Message-ID", FIELD_IDS},
             {"In-Reply-To", FIELD_IDS},   {"References", FIELD_IDS},
             {"Keywords", FIELD_TEXT},     {"Comments", FIELD_TEXT},
             {"Organization", FIELD_TEXT}, {"Importance", FIELD_TEXT}};

/* Appends "Name: value" with folds at blanks; value is printable ASCII (or UTF-8 in an address), so it holds no line
 * end. */
static void put_folded(struct buf *out, const char *name, struct str value)
{
    size_t col = strlen(name) + 1, i = 0;
    buf_addz(out, name);
    buf_addc(out, ':');
    while (i < value.n) {
        size_t e = i;
        while (e < value.n && value.p[e] == ' ')
            e++;
        while (e < value.n && value.p[e] != ' ')
            e++;
        size_t word = i == 0 ? e - i + 1 : e - i;
        if (i > 0 && col + word > 76) {
            buf_addz(out, "\r\n");
            col = 0;
        }
        if (i == 0)
            buf_addc(out, ' ');
        buf_adds(out, str_sub(value, i, e));
        col += word;
        i = e;
    }
    buf_addz(out, "\r\n");
}

static bool put_addresses(struct mime_draft *d, size_t k, struct str raw, struct err *err)
{
    struct mail_addrs a;
    struct buf b = BUF_INIT(4u << 20);
    mail_addrs_parse(raw, d->arena, &a);
    size_t n = 0;
    for (size_t i = 0; i < a.count; i++) {
        const struct mail_addr *e = &a.list[i];
        if (e->addr.n == 0 && e->name.n == 0)
            continue; /* an empty group */
        if (!mail_addr_valid(e->addr)) {
            struct str bad = e->addr.n ? e->addr : e->name;
            buf_fini(&b);
            return err_set(err, ERR_RECIPIENT, "%s: not a mail address: %.*s", known[k].name,
                           (int)MIN(bad.n, (size_t)100), bad.p);
        }
        if (n++)
            buf_addz(&b, ", ");
        mail_addr_format(e->name, e->addr, &b);
    }
    bool full = b.full || a.cut;
    if (n)
        put_folded(&d->head, known[k].name, buf_str(&b));
    buf_fini(&b);
    return !full || err_set(err, ERR_LIMIT, "%s: too many addresses", known[k].name);
}

static void put_ids(struct mime_draft *d, size_t k, struct str raw)
{
    struct str *ids;
    size_t n = mail_ids_parse(raw, d->arena, &ids);
    struct buf b = BUF_INIT(65536);
    for (size_t i = 0; i < n; i++) {
        bool ascii = true;
        for (size_t j = 0; j < ids[i].n; j++)
            ascii &= (unsigned char)ids[i].p[j] < 127;
        if (ascii)
            buf_addf(&b, "%s<%.*s>", b.n ? " " : "", STR_FMT(ids[i]));
    }
    if (b.n)
        put_folded(&d->head, known[k].name, buf_str(&b));
    buf_fini(&b);
}

static void put_text(struct mime_draft *d, const char *name, struct str raw)
{
    struct buf b = BUF_INIT(1u << 20);
    mail_words_encode(str_sub(raw, 0, 65536), &b);
    if (b.n)
        put_folded(&d->head, name, buf_str(&b));
    buf_fini(&b);
}

static void put_date(struct mime_draft *d, struct str raw)
{
    int64_t t;
    int zone;
    struct buf b = BUF_INIT(100);
    if (!mail_date_parse(raw, &t, &zone)) {
        time_t now = (time_t)clock_wall();
        struct tm tm;
        t = now;
        zone = localtime_r(&now, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
    }
    mail_date_format(t, zone, &b);
    put_folded(&d->head, "Date", buf_str(&b));
    buf_fini(&b);
}

static bool put_known(struct mime_draft *d, size_t k, struct err *err)
{
    struct str v = mail_header_get(&d->header, known[k].name);
    if (known[k].kind == FIELD_DATE) {
        put_date(d, v);
        return true;
    }
    if (v.n == 0 || (strcmp(known[k].name, "Bcc") == 0 && !(d->flags & MIME_KEEP_BCC))) /* THREATS 143 */
        return true;
    if (known[k].kind == FIELD_ADDRESSES)
        return put_addresses(d, k, v, err);
    if (known[k].kind == FIELD_IDS)
        put_ids(d, k, v);
    else
        put_text(d, known[k].name, v);
    return true;
}

/* "X-" fields of the user: letters, digits and '-' only in the name. */
static void put_extra(struct mime_draft *d)
{
    for (size_t i = 0; i < d->header.count; i++) {
        struct str n = d->header.fields[i].name;
        bool ok = n.n > 2 && n.n < 60 && str_case_starts(n, STR("X-"));
        for (size_t k = 0; k < n.n; k++)
            ok &= n.p[k] == '-' || (n.p[k] >= '0' && n.p[k] <= '9') || (n.p[k] >= 'a' && n.p[k] <= 'z') ||
                  (n.p[k] >= 'A' && n.p[k] <= 'Z');
        if (!ok)
            continue;
        char name[64];
        memcpy(name, n.p, n.n);
        name[n.n] = '\0';
        put_text(d, name, d->header.fields[i].value);
    }
}

static bool put_head(struct mime_draft *d, struct err *err)
{
    struct mail_addrs from;
    mail_addrs_parse(mail_header_get(&d->header, "From"), d->arena, &from);
    if (from.count == 0)
        return err_set(err, ERR_USAGE, "the draft has no From field");
    for (size_t k = 0; k < COUNT(known); k++)
        if (!put_known(d, k, err))
            return false;
    if (mail_id_parse(mail_header_get(&d->header, "Message-ID")).n == 0) {
        struct buf id = BUF_INIT(400);
        buf_addc(&id, '<');
        mail_id_new(from.list[0].addr, &id);
        buf_addc(&id, '>');
        put_folded(&d->head, "Message-ID", buf_str(&id));
        buf_fini(&id);
    }
    put_extra(d);
    buf_addz(&d->head, "MIME-Version: 1.0\r\n");
    return !d->head.full || err_set(err, ERR_LIMIT, "the header is too large");
}

/* ---- Text --------------------------------------------------------------------------------------- */
/* LF line ends, valid UTF-8, no NUL and no other control but TAB (THREATS 145). */
static void normalise(struct str raw, struct buf *out)
{
    struct buf u = BUF_INIT(raw.n * 3 + 16);
    mail_to_utf8(STR(""), raw, &u, NULL);
    for (size_t i = 0; i < u.n; i++) {
        char c = u.p[i];
        if (c == '\r') {
            buf_addc(out, '\n');
            i += i + 1 < u.n && u.p[i + 1] == '\n';
        } else if (c == '\n' || c == '\t' || ((unsigned char)c >= 32 && c != 127)) {
            buf_addc(out, c);
        }
    }
    if (out->n && out->p[out->n - 1] != '\n')
        buf_addc(out, '\n');
    buf_fini(&u);
}

/* One line of format=flowed: quote marks, stuffing, then pieces of at most 72 columns that end in a blank (RFC
 * 3676 4.2). */
static void flow_line(struct str line, struct buf *out)
{
    size_t depth = 0;
    while (depth < line.n && line.p[depth] == '>')
        depth++;
    struct str quote = str_sub(line, 0, depth), rest = str_sub(line, depth, line.n);
    if (!str_eqz(rest, "-- "))
        while (rest.n && rest.p[rest.n - 1] == ' ')
            rest.n--;
    bool more = true;
    if (depth && rest.n && rest.p[0] == ' ')
        rest = str_sub(rest, 1, rest.n);
    while (more) {
        size_t take = rest.n;
        if (rest.n + depth > 78) {
            take = 0;
            for (size_t i = 0; i < rest.n && (i + depth < 72 || take == 0); i++)
                if (rest.p[i] == ' ' && i > 0)
                    take = i + 1;
            if (take == 0)
                take = rest.n;
        }
        buf_adds(out, quote);
        bool stuff = depth > 0 || (rest.n && (rest.p[0] == ' ' || rest.p[0] == '>')) || str_starts(rest, STR("From "));
        if (stuff && (rest.n || depth == 0))
            buf_addc(out, ' ');
        buf_adds(out, str_sub(rest, 0, take));
        buf_addc(out, '\n');
        rest = str_sub(rest, take, rest.n);
        more = rest.n > 0;
    }
}

static void flow(struct str text, struct buf *out)
{
    struct str line;
    while (text.n) {
        size_t e = text.n;
        str_find(text, '\n', &e);
        line = str_sub(text, 0, e);
        text = str_sub(text, e + 1, text.n);
        flow_line(line, out);
    }
}

/* 7-bit with lines that every server takes as they are? */
static bool is_7bit(struct str s, bool binary)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 128 || c == 0 || (binary && c == '\r' && (i + 1 >= s.n || s.p[i + 1] != '\n')))
            return false;
        line = c == '\n' ? 0 : line + 1;
        if (line > 900)
            return false;
    }
    return true;
}

static void put_qp(struct str s, struct buf *out)
{
    size_t col = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\n') {
            buf_addz(out, "\r\n");
            col = 0;
            continue;
        }
        bool last = i + 1 >= s.n || s.p[i + 1] == '\n';
        bool from = col == 0 && c == 'F' && str_starts(str_sub(s, i, s.n), STR("From "));
        bool plain = c >= 32 && c < 127 && c != '=' && !(c == ' ' && last) && !(c == '.' && col == 0) && !from;
        size_t need = plain ? 1 : 3;
        if (col + need > 75) {
            buf_addz(out, "=\r\n");
            col = 0;
        }
        if (plain)
            buf_addc(out, (char)c);
        else
            buf_addf(out, "=%02X", c);
        col += need;
    }
}

static void put_crlf(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
            buf_addc(out, '\r');
        buf_addc(out, s.p[i]);
    }
}

static void put_text_part(struct mime_draft *d, struct buf *out)
{
    struct buf flowed = BUF_INIT(d->text.n * 4 + 1024);
    bool flow_it = !(d->flags & MIME_NO_FLOWED);
    if (flow_it)
        flow(buf_str(&d->text), &flowed);
    else
        buf_adds(&flowed, buf_str(&d->text));
    struct str t = buf_str(&flowed);
    bool ascii = is_7bit(t, false), utf8 = false;
    for (size_t i = 0; i < t.n; i++)
        utf8 |= (unsigned char)t.p[i] >= 128;
    buf_addf(out, "Content-Type: text/plain; charset=%s%s\r\n", utf8 ? "utf-8" : "us-ascii",
             flow_it ? "; format=flowed" : "");
    buf_addf(out, "Content-Transfer-Encoding: %s\r\n\r\n", ascii ? "7bit" : "quoted-printable");
    if (ascii)
        put_crlf(t, out);
    else
        put_qp(t, out);
    buf_fini(&flowed);
}

/* ---- Attachments -------------------------------------------------------------------------------- */
static bool type_ok(struct str t)
{
    size_t slash = 0, n = 0;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  (c && strchr("!#$&-^_.+/", c));
        if (!ok)
            return false;
        if (c == '/') {
            slash = i;
            n++;
        }
    }
    return n == 1 && slash > 0 && slash + 1 < t.n && t.n < 128;
}

static bool name_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || (unsigned char)s.p[i] > 126 || s.p[i] == '"' || s.p[i] == '\\')
            return false;
    return s.n < 60;
}

/* RFC 2231: filename="x" where that is plain, else filename*N*= pieces. */
static void put_name(struct str name, struct buf *out)
{
    if (name.n == 0)
        return;
    if (name_plain(name)) {
        buf_addf(out, ";\r\n filename=\"%.*s\"", STR_FMT(name));
        return;
    }
    unsigned piece = 0;
    for (size_t i = 0; i < name.n; piece++) {
        buf_addf(out, ";\r\n filename*%u*=%s", piece, piece == 0 ? "utf-8''" : "");
        for (size_t col = 0; i < name.n && col < 48; i++) {
            unsigned char c = (unsigned char)name.p[i];
            bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                         c == '-' || c == '_';
            if (plain)
                buf_addc(out, (char)c);
            else
                buf_addf(out, "%%%02X", c);
            col += plain ? 1 : 3;
        }
    }
}

static void put_base64(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i += 57) {
        base64_encode(str_sub(s, i, i + 57), out);
        buf_addz(out, "\r\n");
    }
}

static void put_attachment(const struct attachment *a, struct buf *out)
{
    struct str bytes = buf_str(&a->bytes);
    bool message = strcmp(a->type, "message/rfc822") == 0;
    bool as_is = message && is_7bit(bytes, true); /* base64 is forbidden for it (RFC 2046 5.2.1) */
    buf_addf(out, "Content-Type: %s\r\n", message && !as_is ? "application/octet-stream" : a->type);
    buf_addf(out, "Content-Disposition: %s", a->inline_part ? "inline" : "attachment");
    put_name(buf_str(&a->name), out);
    buf_addf(out, "\r\nContent-Transfer-Encoding: %s\r\n\r\n", as_is ? "7bit" : "base64");
    if (as_is)
        put_crlf(bytes, out);
    else
        put_base64(bytes, out);
}

/* ---- The draft ---------------------------------------------------------------------------------- */
bool mime_draft_new(struct str headers, struct str text, uint32_t flags, struct mime_draft **draft_r, struct err *err)
{
    if (text.n > MIME_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "the text is larger than %u MB", MIME_TEXT_MAX >> 20);
    struct mime_draft *d = mem_new(sizeof *d);
    d->flags = flags;
    d->arena = arena_new((size_t)MAIL_ARENA_MAX * 2);
    buf_init(&d->headers, MAIL_HEADER_MAX);
    buf_init(&d->text, text.n * 4 + 16);
    buf_init(&d->head, 8u << 20);
    buf_adds(&d->headers, headers);
    mail_header_parse(buf_str(&d->headers), d->arena, &d->header);
    normalise(text, &d->text);
    if (!put_head(d, err)) {
        mime_draft_free(&d);
        return false;
    }
    *draft_r = d;
    return true;
}

bool mime_draft_attach(struct mime_draft *d, struct str name, struct str type, bool inline_part, struct buf *bytes,
                       struct err *err)
{
    if (d->count == MIME_ATTACHMENTS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d attachments", MIME_ATTACHMENTS_MAX);
    if (d->bytes + bytes->n > MIME_MESSAGE_MAX / 2)
        return err_set(err, ERR_LIMIT, "the attachments are larger than %u MB", (MIME_MESSAGE_MAX / 2) >> 20);
    d->bytes += bytes->n;
    d->list = mem_resize(d->list, d->count + 1, sizeof *d->list);
    struct attachment *a = &d->list[d->count++];
    *a = (struct attachment){.bytes = *bytes, .inline_part = inline_part};
    buf_init(bytes, bytes->max);
    buf_init(&a->name, 4096);
    mime_safe_name(name, &a->name);
    struct str t = type_ok(type) && !str_case_starts(type, STR("multipart/")) ? type : STR("application/octet-stream");
    for (size_t i = 0; i < t.n; i++)
        a->type[i] = (char)(t.p[i] >= 'A' && t.p[i] <= 'Z' ? t.p[i] + 32 : t.p[i]);
    a->type[t.n] = '\0';
    return true;
}

bool mime_draft_finish(struct mime_draft *d, struct buf *out, struct err *err)
{
    buf_adds(out, buf_str(&d->head));
    if (d->count == 0) {
        put_text_part(d, out);
    } else {
        unsigned char r[15];
        char boundary[31];
        fs_random(r, sizeof r); /* 120 random bits: no text holds it */
        hex_encode(r, sizeof r, boundary);
        boundary[30] = '\0';
        buf_addf(out, "Content-Type: multipart/mixed; boundary=\"=_%s\"\r\n\r\n--=_%s\r\n", boundary, boundary);
        put_text_part(d, out);
        for (size_t i = 0; i < d->count; i++) {
            buf_addf(out, "\r\n--=_%s\r\n", boundary);
            put_attachment(&d->list[i], out);
        }
        buf_addf(out, "\r\n--=_%s--\r\n", boundary);
    }
    return !out->full || err_set(err, ERR_LIMIT, "the message is too large");
}

void mime_draft_free(struct mime_draft **dp)
{
    struct mime_draft *d = *dp;
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        buf_fini(&d->list[i].bytes);
        buf_fini(&d->list[i].name);
    }
    free(d->list);
    buf_fini(&d->headers);
    buf_fini(&d->text);
    buf_fini(&d->head);
    arena_free(&d->arena);
    free(d);
    *dp = NULL;
}
