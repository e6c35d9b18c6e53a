/* Bytes to a flat table of parts: the limits come first, then GMime, then a walk that keeps its own stack. */
#include "mime/parts.h"

#include <strings.h>
#include <sys/resource.h>

void mime_init(void)
{
    /* GMime's address parser and the freeing of nested parts recurse: the main thread's stack grows up to its soft
     * limit. */
    struct rlimit r;
    const rlim_t want = 64u << 20;
    if (getrlimit(RLIMIT_STACK, &r) == 0 && r.rlim_cur != RLIM_INFINITY && r.rlim_cur < want) {
        r.rlim_cur = r.rlim_max == RLIM_INFINITY || r.rlim_max > want ? want : r.rlim_max;
        setrlimit(RLIMIT_STACK, &r);
    }
    g_mime_init();
}

/* ---- Limits before GMime ------------------------------------------------------------------------ */
/* Boundaries that the message declares, by hash: a false hit only makes a line count as a delimiter, nothing worse. */
struct scan {
    uint64_t set[32768];
    size_t known;
    struct mime *m;
    size_t parts, fields, block; /* block: bytes of the header block under way */
    bool in_header, is_message;
    size_t field_at, field_end; /* range of the field under way */
    size_t colons, colon_cut;   /* where its colons went over the limit */
    bool quote;
};

static void set_add(struct scan *c, struct str s)
{
    uint64_t h = str_hash(s) | 1;
    for (size_t i = 0, at = h % COUNT(c->set); i < 16 && c->known < COUNT(c->set) / 2;
         i++, at = (at + 1) % COUNT(c->set)) {
        if (c->set[at] == h)
            return;
        if (c->set[at] == 0) {
            c->set[at] = h;
            c->known++;
            return;
        }
    }
}

static bool set_has(const struct scan *c, struct str s)
{
    uint64_t h = str_hash(s) | 1;
    for (size_t i = 0, at = h % COUNT(c->set); i < 16 && c->set[at]; i++, at = (at + 1) % COUNT(c->set))
        if (c->set[at] == h)
            return true;
    return false;
}

static bool has_word(struct str s, const char *word, size_t *end_r)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++) {
        if (strncasecmp(s.p + i, word, n) == 0) {
            *end_r = i + n;
            return true;
        }
    }
    return false;
}

static void learn_boundary(struct scan *c, struct str line)
{
    size_t at;
    if (!has_word(line, "boundary", &at))
        return;
    struct str v = str_trim(str_sub(line, at, line.n));
    while (v.n && (v.p[0] == '*' || v.p[0] == '=' || v.p[0] == ' ' ||
                   (v.p[0] >= '0' && v.p[0] <= '9' && v.n > 1 && v.p[1] == '*')))
        v = str_sub(v, 1, v.n);
    size_t end = v.n;
    if (v.n && v.p[0] == '"') {
        v = str_sub(v, 1, v.n);
        end = v.n;
        str_find(v, '"', &end);
    } else if (!str_find(v, ';', &end)) {
        end = v.n;
    }
    v = str_trim(str_sub(v, 0, end));
    if (v.n && v.n <= 1000)
        set_add(c, v);
}

static bool is_delimiter(const struct scan *c, struct str line)
{
    if (line.n < 3 || line.p[0] != '-' || line.p[1] != '-' || line.n > 1100 || c->known == 0)
        return false;
    struct str s = str_trim(str_sub(line, 2, line.n));
    if (set_has(c, s))
        return true;
    return s.n > 2 && s.p[s.n - 1] == '-' && s.p[s.n - 2] == '-' && set_has(c, str_sub(s, 0, s.n - 2));
}

/* Overwrites with blanks, line ends kept, so that all offsets stay true. */
static void blank_out(struct mime *m, size_t from, size_t to)
{
    if (from >= to)
        return;
    if (!m->scrubbed)
        m->scrubbed = mem_dup_n(m->raw.p, m->raw.n);
    for (size_t i = from; i < to; i++)
        if (m->scrubbed[i] != '\n' && m->scrubbed[i] != '\r')
            m->scrubbed[i] = ' ';
    m->cut_fields = true;
}

static void field_close(struct scan *c)
{
    size_t n = c->field_end - c->field_at, keep = n;
    if (n == 0)
        return;
    if (n > MIME_FIELD_MAX)
        keep = MIME_FIELD_MAX;
    if (c->colon_cut && c->colon_cut - c->field_at < keep)
        keep = c->colon_cut - c->field_at;
    if (c->fields > MAIL_FIELDS_MAX || c->block > MAIL_HEADER_MAX)
        keep = 0;
    if (keep < n)
        blank_out(c->m, c->field_at + keep, c->field_end);
    c->field_at = c->field_end = 0;
}

static void header_line(struct scan *c, struct str line, size_t at)
{
    if (line.p[0] != ' ' && line.p[0] != '\t') {
        field_close(c);
        c->field_at = at;
        c->colons = c->colon_cut = 0;
        c->quote = false;
        c->fields++;
    }
    c->field_end = at + line.n;
    c->block += line.n + 1;
    size_t word;
    c->is_message |= has_word(str_sub(line, 0, 1000), "message/", &word);
    learn_boundary(c, str_sub(line, 0, 4000));
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '"')
            c->quote = !c->quote;
        else if (line.p[i] == ':' && !c->quote && ++c->colons > MIME_COLONS_MAX && !c->colon_cut)
            c->colon_cut = at + i;
    }
}

static void header_begin(struct scan *c)
{
    c->in_header = true;
    c->is_message = false;
    c->fields = c->block = 0;
}

static void prescan(struct mime *m)
{
    struct scan *c = mem_new(sizeof *c);
    struct str s = buf_str(&m->raw);
    c->m = m;
    header_begin(c);
    m->parse_size = s.n;
    for (size_t at = 0; at < s.n;) {
        const char *e = memchr(s.p + at, '\n', s.n - at);
        size_t end = e ? (size_t)(e - s.p) : s.n, next = end + (e ? 1 : 0);
        struct str line = str_sub(s, at, end);
        while (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (is_delimiter(c, line)) {
            field_close(c);
            if (++c->parts > MIME_PARTS_MAX) {
                m->parse_size = at;
                m->cut_parts = true;
                break;
            }
            header_begin(c);
        } else if (c->in_header && line.n == 0) {
            field_close(c);
            bool again = c->is_message;
            c->in_header = false;
            if (again)
                header_begin(c);
        } else if (c->in_header) {
            header_line(c, line, at);
        }
        at = next;
    }
    if (c->in_header)
        field_close(c);
    free(c);
}

/* ---- Parts -------------------------------------------------------------------------------------- */
static const struct {
    const char *type;
    const char *name;
} extensions[] = {{"text/plain", ".txt"},
                  {"text/html", ".html"},
                  {"text/calendar", ".ics"},
                  {"text/x-patch", ".patch"},
                  {"text/x-diff", ".diff"},
                  {"image/png", ".png"},
                  {"image/jpeg", ".jpg"},
                  {"image/gif", ".gif"},
                  {"application/pdf", ".pdf"},
                  {"message/rfc822", ".eml"},
                  {"text/vcard", ".vcf"},
                  {"text/x-vcard", ".vcf"},
                  {"application/pgp-signature", ".asc"},
                  {"application/zip", ".zip"},
                  {"application/pkcs7-mime", ".p7m"},
                  {"application/pkcs7-signature", ".p7s"}};

static bool bad_in_name(uint32_t cp)
{
    return cp < 32 || cp == 127 || (cp >= 0x80 && cp < 0xa0) || cp == '/' || cp == '\\' || cp == ':' || cp == '*' ||
           cp == '?' || cp == '"' || cp == '<' || cp == '>' || cp == '|' || cp == 0xad || cp == 0x61c ||
           (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) ||
           cp == 0xfeff || (cp >= 0xfff0 && cp <= 0xfffb) || cp >= 0xe0000;
}

void mime_safe_name(struct str raw, struct buf *out)
{
    struct buf u = BUF_INIT(raw.n * 3 + 16), n = BUF_INIT(raw.n * 3 + 16);
    mail_to_utf8(STR(""), str_sub(raw, 0, 8192), &u, NULL);
    for (size_t i = 0; i < u.n; i++)
        if (u.p[i] == '/' || u.p[i] == '\\')
            buf_reset(&n);
        else
            buf_addc(&n, u.p[i]);
    struct str s = str_trim(buf_str(&n));
    buf_reset(&u);
    while (s.n) {
        uint32_t cp;
        unsigned len = utf8_decode(s, &cp);
        if (len == 0 || bad_in_name(cp))
            buf_addc(&u, '_');
        else
            buf_add(&u, s.p, len);
        s = str_sub(s, len ? len : 1, s.n);
    }
    s = buf_str(&u);
    while (s.n && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == ' '))
        s.n--;
    while (s.n && (s.p[0] == '.' || s.p[0] == '-' || s.p[0] == ' ' || s.p[0] == '~'))
        s = str_sub(s, 1, s.n);
    size_t dot = s.n;
    while (dot > 0 && s.p[dot - 1] != '.')
        dot--;
    struct str ext = dot > 1 && s.n - dot <= 12 ? str_sub(s, dot - 1, s.n) : (struct str){"", 0};
    struct str stem = str_sub(s, 0, s.n - ext.n);
    if (stem.n + ext.n > 200) {
        stem.n = 200 - ext.n;
        while (stem.n && ((unsigned char)stem.p[stem.n] & 0xc0) == 0x80)
            stem.n--;
    }
    buf_adds(out, stem);
    buf_adds(out, ext);
    buf_fini(&u);
    buf_fini(&n);
}

const char *part_param(const struct part *p, const char *name)
{
    GMimeContentType *t = p->object ? g_mime_object_get_content_type(p->object) : NULL;
    return t ? g_mime_content_type_get_parameter(t, name) : NULL;
}

bool part_is(const struct part *p, const char *type)
{
    return strcmp(p->type, type) == 0;
}

bool type_starts(const struct part *p, const char *prefix)
{
    return strncmp(p->type, prefix, strlen(prefix)) == 0;
}

static char *type_of(GMimeObject *o)
{
    GMimeContentType *t = g_mime_object_get_content_type(o);
    char *raw = t ? g_mime_content_type_get_mime_type(t) : NULL;
    struct str s = str_sub(str_z(raw ? raw : "text/plain"), 0, 127);
    char *z = mem_dup_n(s.p, s.n);
    for (char *p = z; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : (unsigned char)*p <= 32 || (unsigned char)*p >= 127 ? '_' : *p;
    g_free(raw);
    return z;
}

static char *name_of(const struct part *p, size_t number)
{
    const char *raw = NULL;
    if (GMIME_IS_PART(p->object))
        raw = g_mime_part_get_filename(GMIME_PART(p->object));
    if (!raw)
        raw = g_mime_object_get_content_disposition_parameter(p->object, "filename");
    if (!raw)
        raw = part_param(p, "name");
    struct buf b = BUF_INIT(4096);
    if (raw) {
        struct buf u = BUF_INIT(65536);
        mail_words_decode(str_sub(str_z(raw), 0, 4096), &u); /* names that GMime left encoded */
        mime_safe_name(buf_str(&u), &b);
        buf_fini(&u);
    }
    if (b.n == 0 && !type_starts(p, "multipart/") && (raw || !type_starts(p, "text/") || part_is(p, "text/calendar"))) {
        buf_addf(&b, "part-%zu", number);
        for (size_t i = 0; i < COUNT(extensions); i++)
            if (part_is(p, extensions[i].type))
                buf_addz(&b, extensions[i].name);
    }
    return b.n ? buf_take(&b, NULL) : (buf_fini(&b), NULL);
}

static struct part *add_part(struct mime *m, GMimeObject *o, uint32_t parent, uint32_t depth)
{
    if (m->count == MIME_PARTS_MAX) {
        m->cut_parts = true;
        return NULL;
    }
    if (m->count == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 16;
        m->parts = mem_resize(m->parts, m->cap, sizeof *m->parts);
    }
    struct part *p = &m->parts[m->count++];
    *p = (struct part){.object = o, .parent = parent, .depth = depth};
    p->type = o ? type_of(o) : mem_dup_z("application/octet-stream");
    p->name = o ? name_of(p, m->count) : NULL;
    return p;
}

/* Whether the sender wants it listed instead of shown. */
static bool is_attachment(const struct part *p)
{
    const char *d = g_mime_object_get_disposition(p->object);
    if (type_starts(p, "multipart/"))
        return false;
    if (d && strcasecmp(d, "attachment") == 0)
        return true;
    if (part_is(p, "text/plain") || part_is(p, "text/html"))
        return false;
    return !part_is(p, "message/rfc822");
}

static uint32_t flags_of(const struct mime *m, const struct part *p)
{
    const struct part *parent = p->parent ? &m->parts[p->parent - 1] : NULL;
    uint32_t f = is_attachment(p) ? DOC_PART_ATTACHMENT : 0;
    if (part_is(p, "multipart/signed"))
        f |= DOC_PART_SIGNED;
    if (parent && part_is(parent, "multipart/signed") && p->nth == 1)
        f = DOC_PART_SIGNATURE;
    if (parent && part_is(parent, "multipart/encrypted"))
        f = p->nth == 1 ? DOC_PART_ENCRYPTED : 0;
    if (part_is(p, "application/pkcs7-mime") || part_is(p, "application/x-pkcs7-mime"))
        f |= DOC_PART_ENCRYPTED;
    if (p->message)
        f |= DOC_PART_MESSAGE;
    return f;
}

struct frame {
    GMimeObject *object;
    int next;
    uint32_t number;
};

/* Pre-order walk with a stack of our own. */
static void flatten(struct mime *m, GMimeObject *root)
{
    struct frame stack[MIME_DEPTH_MAX];
    size_t top = 0;
    GMimeObject *o = root;
    uint32_t parent = 0, nth = 0;
    for (;;) {
        if (o) {
            struct part *p = add_part(m, o, parent, (uint32_t)top);
            if (!p)
                return;
            p->nth = nth;
            if (GMIME_IS_MESSAGE_PART(o))
                p->message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
            p->flags = flags_of(m, p);
            if (GMIME_IS_MULTIPART(o) || p->message) {
                if (top < MIME_DEPTH_MAX)
                    stack[top++] = (struct frame){.object = o, .number = (uint32_t)m->count};
                else
                    m->cut_depth = true;
            }
        }
        if (top == 0)
            return;
        struct frame *f = &stack[top - 1];
        GMimeObject *child = NULL;
        if (GMIME_IS_MULTIPART(f->object)) {
            if (f->next < g_mime_multipart_get_count(GMIME_MULTIPART(f->object)))
                child = g_mime_multipart_get_part(GMIME_MULTIPART(f->object), f->next);
        } else if (f->next == 0) {
            GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(f->object));
            child = inner ? g_mime_message_get_mime_part(inner) : NULL;
        }
        nth = (uint32_t)f->next++;
        parent = f->number;
        o = child;
        if (!child)
            top--;
    }
}

/* ---- Which are shown ---------------------------------------------------------------------------- */
struct uu_context {
    struct mime *m;
    struct str text;
    uint32_t parent;
};

static void add_uu(void *arg, struct str name, size_t from, size_t to)
{
    struct uu_context *c = arg;
    struct part *p = add_part(c->m, NULL, c->parent, c->m->parts[c->parent - 1].depth + 1);
    if (!p)
        return;
    struct buf b = BUF_INIT(4096);
    mime_safe_name(name, &b);
    p->flags = DOC_PART_ATTACHMENT;
    p->uu_from = from;
    p->uu_to = to;
    struct buf decoded = BUF_INIT(MIME_TEXT_MAX);
    uu_decode(str_sub(c->text, from, to), &decoded);
    p->uu_size = decoded.n;
    buf_fini(&decoded);
    p->name = b.n ? buf_take(&b, NULL) : (buf_fini(&b), NULL);
}

/* Files inside texts become parts behind all others, so that the numbers of these stay. */
static void find_uu(struct mime *m)
{
    size_t n = m->count;
    for (size_t i = 0; i < n; i++) {
        if (!part_is(&m->parts[i], "text/plain") || (m->parts[i].flags & DOC_PART_ATTACHMENT))
            continue;
        struct buf b = BUF_INIT(MIME_TEXT_MAX);
        part_content(m, &m->parts[i], &b);
        struct str t = buf_str(&b);
        if (t.n && memmem(t.p, t.n, "begin ", 6)) {
            struct uu_context c = {.m = m, .text = t, .parent = (uint32_t)(i + 1)};
            uu_find(t, add_uu, &c);
        }
        if (t.n && (memmem(t.p, t.n, "-----BEGIN PGP MESSAGE-----", 27) ||
                    memmem(t.p, t.n, "-----BEGIN PGP SIGNED MESSAGE-----", 34)))
            m->parts[i].flags |= DOC_PART_PGP_INLINE;
        buf_fini(&b);
    }
}

/* An mbox "From " line at the front is none of GMime's business: its mbox mode would end at the next one inside a body
 * (THREATS 105). */
static size_t mbox_line(struct str s)
{
    if (!str_starts(s, STR("From ")) && !str_starts(s, STR(">From ")))
        return 0;
    size_t end;
    return str_find(s, '\n', &end) ? end + 1 : s.n;
}

bool mime_open(struct buf *raw, struct mime **mime_r, struct err *err)
{
    if (raw->n > MIME_MESSAGE_MAX)
        return err_set(err, ERR_LIMIT, "the message is larger than %u MB", MIME_MESSAGE_MAX >> 20);
    struct mime *m = mem_new(sizeof *m);
    m->raw = *raw;
    buf_init(raw, raw->max);
    if (m->raw.n && !memchr(m->raw.p, '\n', m->raw.n)) /* line ends of old: GMime knows LF alone */
        for (size_t i = 0; i < m->raw.n; i++)
            if (m->raw.p[i] == '\r')
                m->raw.p[i] = '\n';
    prescan(m);
    m->skip = MIN(mbox_line(buf_str(&m->raw)), m->parse_size);
    char *from = m->scrubbed ? m->scrubbed : m->raw.p;
    m->bytes = g_byte_array_new_take(from ? (guint8 *)from + m->skip : NULL,
                                     m->parse_size - m->skip); /* lent: see mime_free */
    GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(m->bytes);
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    m->message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
    GMimeObject *root = m->message ? g_mime_message_get_mime_part(m->message) : NULL;
    if (root)
        flatten(m, root);
    find_uu(m);
    *mime_r = m;
    return true;
}

void mime_free(struct mime **mp)
{
    struct mime *m = *mp;
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->parts[i].type);
        free(m->parts[i].name);
        free(m->parts[i].section);
    }
    free(m->parts);
    if (m->message)
        g_object_unref(m->message);
    if (m->bytes)
        g_byte_array_free(m->bytes, FALSE);
    free(m->scrubbed);
    buf_fini(&m->raw);
    free(m);
    *mp = NULL;
}

/* ---- Bytes of a part ---------------------------------------------------------------------------- */
static void write_out(GMimeStream *mem, struct buf *out)
{
    GByteArray *a = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(mem));
    if (a)
        buf_add(out, a->data, a->len);
}

/* Returns the decoded size; out NULL: only that. */
static uint64_t add_decoded(GMimeDataWrapper *w, struct buf *out)
{
    uint64_t size = 0;
    GMimeStream *s = g_mime_data_wrapper_get_stream(w);
    GMimeContentEncoding e = g_mime_data_wrapper_get_encoding(w);
    GMimeEncoding state;
    char in[8192], decoded[8192 * 2 + 64];
    g_mime_encoding_init_decode(&state, e);
    g_mime_stream_reset(s);
    bool end = false;
    while (!end && !(out && out->full)) {
        ssize_t n = g_mime_stream_read(s, in, sizeof in);
        end = n <= 0;
        if (end && e != GMIME_CONTENT_ENCODING_BASE64)
            break;
        /* missing padding would cost the last letters */
        size_t d =
            end ? g_mime_encoding_step(&state, "==", 2, decoded) : g_mime_encoding_step(&state, in, (size_t)n, decoded);
        size += d;
        if (!out)
            continue;
        size_t room = out->max - out->n;
        buf_add(out, decoded, MIN(d, room)); /* filled to the brim before it is full */
        if (d > room)
            out->full = true;
    }
    return size;
}

/* Where the part's header names its type; SIZE_MAX: nowhere. */
static size_t type_offset(const struct mime *m, const struct part *p)
{
    GMimeHeaderList *list = p->object ? g_mime_object_get_header_list(p->object) : NULL;
    GMimeHeader *h = list ? g_mime_header_list_get_header(list, "Content-Type") : NULL;
    gint64 offset = h ? g_mime_header_get_offset(h) : -1;
    return offset < 0 ? SIZE_MAX : (size_t)offset + m->skip;
}

void mime_absent(struct mime *m, struct str list)
{
    uint64_t bytes;
    struct str rest;
    struct absent a;
    if (!absent_open(list, &bytes, &rest))
        return;
    size_t i = 0; /* both are in the order of the bytes */
    while (absent_next(&rest, &a)) {
        size_t at = SIZE_MAX, k = i;
        for (; k < m->count && (at == SIZE_MAX || at < a.head || at >= a.at); k++)
            at = type_offset(m, &m->parts[k]);
        if (at == SIZE_MAX || at < a.head || at >= a.at || GMIME_IS_MULTIPART(m->parts[k - 1].object))
            continue;
        struct part *p = &m->parts[k - 1];
        p->absent = a.size;
        p->flags |= DOC_PART_ABSENT;
        free(p->section);
        p->section = mem_dup_n(a.section.p, a.section.n);
        i = k;
    }
}

uint64_t part_size(const struct mime *m, const struct part *p)
{
    if (p->absent) { /* lines of base64: about */
        bool base64 = GMIME_IS_PART(p->object) &&
                      g_mime_part_get_content_encoding(GMIME_PART(p->object)) == GMIME_CONTENT_ENCODING_BASE64;
        return base64 ? p->absent / 78 * 57 : p->absent;
    }
    GMimeDataWrapper *w = p->object && GMIME_IS_PART(p->object) ? g_mime_part_get_content(GMIME_PART(p->object)) : NULL;
    if (w)
        return add_decoded(w, NULL);
    if (!p->object)
        return p->uu_size; /* thousands of them may share one text */
    struct buf b = BUF_INIT(MIME_MESSAGE_MAX);
    part_content(m, p, &b);
    uint64_t size = b.n;
    buf_fini(&b);
    return size;
}

void part_content(const struct mime *m, const struct part *p, struct buf *out)
{
    if (!p->object) {
        struct buf text = BUF_INIT(MIME_TEXT_MAX);
        part_content(m, &m->parts[p->parent - 1], &text); /* a text: one level, never more */
        uu_decode(str_sub(buf_str(&text), p->uu_from, p->uu_to), out);
        buf_fini(&text);
    } else if (GMIME_IS_PART(p->object)) {
        GMimeDataWrapper *w = g_mime_part_get_content(GMIME_PART(p->object));
        if (w)
            add_decoded(w, out);
    } else {
        GMimeObject *o = p->message ? GMIME_OBJECT(p->message) : p->object;
        GMimeStream *mem = g_mime_stream_mem_new();
        g_mime_object_write_to_stream(o, NULL, mem);
        write_out(mem, out);
        g_object_unref(mem);
    }
}

/* Next line from *at; its end without the line break, *next behind it. */
static struct str line_at(struct str s, size_t at, size_t *next)
{
    const char *e = memchr(s.p + at, '\n', s.n - at);
    size_t end = e ? (size_t)(e - s.p) : s.n;
    *next = end + (e ? 1 : 0);
    return str_sub(s, at, end);
}

static bool delimits(struct str line, struct str boundary)
{
    if (line.n < boundary.n + 2 || line.p[0] != '-' || line.p[1] != '-' ||
        memcmp(line.p + 2, boundary.p, boundary.n) != 0)
        return false;
    struct str rest = str_trim(str_sub(line, boundary.n + 2, line.n)); /* another boundary may begin with this one */
    return rest.n == 0 || str_eqz(rest, "--");
}

/* The raw range of the first child, found in the bytes themselves: what GMime would write again is not proven to be the
 * same. */
static bool signed_range(const struct mime *m, const struct part *p, struct str *range_r)
{
    const char *b = part_param(p, "boundary");
    GMimeHeaderList *list = g_mime_object_get_header_list(p->object);
    GMimeHeader *h = list ? g_mime_header_list_get_header(list, "Content-Type") : NULL;
    gint64 offset = h ? g_mime_header_get_offset(h) : -1;
    struct str s = str_sub(buf_str(&m->raw), 0, m->parse_size), line;
    if (!b || offset < 0 || (uint64_t)offset >= s.n)
        return false;
    size_t at = (size_t)offset + m->skip, next, start = SIZE_MAX;
    bool header = true;
    for (; at < s.n; at = next) {
        line = line_at(s, at, &next);
        if (header) {
            header = !(line.n == 0 || (line.n == 1 && line.p[0] == '\r'));
        } else if (delimits(line, str_z(b))) {
            if (start != SIZE_MAX)
                break;
            start = next;
        }
    }
    if (start == SIZE_MAX || at >= s.n)
        return false;
    size_t end = at;
    if (end > start && s.p[end - 1] == '\n')
        end--;
    if (end > start && s.p[end - 1] == '\r')
        end--;
    *range_r = str_sub(s, start, end);
    return true;
}

static void add_crlf(struct str s, struct buf *out)
{
    size_t run = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'))
            continue;
        buf_add(out, s.p + run, i - run);
        buf_add(out, "\r\n", 2);
        run = i + 1;
    }
    buf_add(out, s.p + run, s.n - run);
}

bool mime_part(struct mime *m, uint32_t number, bool signed_bytes, struct buf *out, struct err *err)
{
    if (number > m->count)
        return err_set(err, ERR_NO_MESSAGE, "the message has no part %u", number);
    if (number == 0) {
        buf_adds(out, buf_str(&m->raw));
    } else if (signed_bytes) {
        const struct part *p = &m->parts[number - 1];
        struct str range;
        if (!(p->flags & DOC_PART_SIGNED) || !signed_range(m, p, &range))
            return err_set(err, ERR_PARSE, "part %u is no signed part", number);
        add_crlf(range, out);
    } else if (m->parts[number - 1].absent) {
        return err_set(err, ERR_NO_MESSAGE, "part %u is not on this machine", number);
    } else {
        buf_reserve(out, (size_t)MIN(part_size(m, &m->parts[number - 1]), (uint64_t)MIME_MESSAGE_MAX));
        part_content(m, &m->parts[number - 1], out);
    }
    return !out->full || err_set(err, ERR_LIMIT, "part %u is too large", number);
}
