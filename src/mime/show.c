/* A parsed message to its display document. */
#include "mime/parts.h"

#include <strings.h>

struct show {
    struct mime *m;
    struct lines l;
    struct arena *arena;
    uint32_t flags;
    struct buf body;  /* parts and their lines: the warnings they cause stand before them */
    char charset[48]; /* of the first text shown */
};

/* ---- Header fields ------------------------------------------------------------------------------ */
static const char *const address_fields[] = {"From", "Sender",           "Reply-To",    "To",        "Cc",
                                             "Bcc",  "Mail-Followup-To", "Resent-From", "Resent-To", "Resent-Cc"};
static const char *const short_fields[] = {"From", "Sender",     "Reply-To", "To",     "Cc",
                                           "Bcc",  "Newsgroups", "Date",     "Subject"};
static const char *const meta_fields[] = {"From",
                                          "Sender",
                                          "Reply-To",
                                          "To",
                                          "Cc",
                                          "Subject",
                                          "Date",
                                          "Message-ID",
                                          "In-Reply-To",
                                          "References",
                                          "List-Id",
                                          "List-Post",
                                          "Mail-Followup-To",
                                          "List-Unsubscribe",
                                          "List-Unsubscribe-Post",
                                          "List-Archive",
                                          "List-Subscribe",
                                          "List-Help",
                                          "List-Owner"};

static bool is_address_field(struct str name)
{
    for (size_t i = 0; i < COUNT(address_fields); i++)
        if (str_case_eqz(name, address_fields[i]))
            return true;
    return false;
}

static void put_field(struct show *s, const struct mail_field *f, unsigned level)
{
    struct buf b = BUF_INIT(DOC_MAX_LINE - 100);
    if (is_address_field(f->name)) {
        struct mail_addrs a;
        mail_addrs_parse(f->value, s->arena, &a);
        mail_addrs_show(&a, &b);
        if (b.full || a.cut)
            lines_warn(&s->l, "%.*s has more addresses than are shown (%zu or more)", (int)MIN(f->name.n, (size_t)40),
                       f->name.p, a.count);
    } else {
        mail_words_decode(str_sub(f->value, 0, DOC_MAX_LINE / 4), &b);
        if (f->value.n > DOC_MAX_LINE / 4)
            lines_warn(&s->l, "The field %.*s is shown cut", (int)MIN(f->name.n, (size_t)40), f->name.p);
    }
    lines_put(&s->l, &(struct doc_item){.kind = DOC_HEADER,
                                        .level = (uint8_t)MIN(level, (unsigned)DOC_MAX_DEPTH),
                                        .name = f->name,
                                        .text = buf_str(&b)});
    buf_fini(&b);
}

static bool same_mailbox(struct show *s, struct str a, struct str b)
{
    struct mail_addrs x, y;
    mail_addrs_parse(str_sub(a, 0, 4096), s->arena, &x);
    mail_addrs_parse(str_sub(b, 0, 4096), s->arena, &y);
    return x.count == 1 && y.count == 1 && mail_addr_same(x.list[0].addr, y.list[0].addr);
}

static void put_headers(struct show *s, const struct mail_header *h, unsigned level)
{
    if (s->flags & MIME_ALL_HEADERS) {
        for (size_t i = 0; i < h->count && i < 2000; i++)
            put_field(s, &h->fields[i], level);
        return;
    }
    struct str from = mail_header_get(h, "From"), value;
    for (size_t i = 0; i < COUNT(short_fields); i++) {
        value = mail_header_get(h, short_fields[i]);
        if (value.n == 0 ||
            (i > 0 && i < 3 && same_mailbox(s, value, from))) /* Sender, Reply-To where they tell something */
            continue;
        put_field(s, &(struct mail_field){.name = str_z(short_fields[i]), .value = value}, level);
    }
}

static void put_meta(struct show *s, const char *name, struct str value)
{
    if (value.n)
        lines_put(&s->l, &(struct doc_item){
                             .kind = DOC_META, .name = str_z(name), .text = str_sub(value, 0, DOC_MAX_LINE - 1)});
}

static void put_metas(struct show *s, const struct mail_header *h)
{
    for (size_t i = 0; i < COUNT(meta_fields); i++) {
        char name[32];
        size_t n = 0;
        for (const char *p = meta_fields[i]; *p && n + 1 < sizeof name; p++)
            name[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        name[n] = '\0';
        put_meta(s, name, mail_header_get(h, meta_fields[i]));
    }
    int64_t t;
    struct buf b = BUF_INIT(40);
    if (mail_date_parse(str_sub(mail_header_get(h, "Date"), 0, 4096), &t, NULL)) {
        buf_addf(&b, "%lld", (long long)t);
        put_meta(s, "time", buf_str(&b));
    }
    buf_fini(&b);
}

/* ---- What looks wrong --------------------------------------------------------------------------- */
enum script { SCRIPT_NONE, SCRIPT_LATIN = 1, SCRIPT_GREEK = 2, SCRIPT_CYRILLIC = 4, SCRIPT_OTHER = 8 };

static unsigned script_of(uint32_t cp)
{
    if ((cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= 0xc0 && cp < 0x250))
        return SCRIPT_LATIN;
    if (cp >= 0x370 && cp < 0x400)
        return SCRIPT_GREEK;
    if (cp >= 0x400 && cp < 0x530)
        return SCRIPT_CYRILLIC;
    return cp < 128 ? SCRIPT_NONE : SCRIPT_OTHER;
}

/* Letters of several alphabets that look alike, in one domain (THREATS 119). */
static bool mixes_scripts(struct str domain)
{
    unsigned seen = 0;
    while (domain.n) {
        uint32_t cp;
        unsigned n = utf8_decode(domain, &cp);
        seen |= n ? script_of(cp) & 7u : 0;
        domain = str_sub(domain, n ? n : 1, domain.n);
    }
    return (seen & (seen - 1)) != 0;
}

/* A name that looks like an address other than the real one (THREATS 120). */
static bool name_claims(const struct mail_addr *a)
{
    size_t at;
    if (!str_find(a->name, '@', &at) || at == 0 || at + 3 >= a->name.n)
        return false;
    size_t from = at, to = at + 1, dot;
    while (from > 0 && !strchr(" <\"'(,;", a->name.p[from - 1]))
        from--;
    while (to < a->name.n && !strchr(" >\"'),;", a->name.p[to]))
        to++;
    struct str claim = str_sub(a->name, from, to);
    return str_find(str_sub(a->name, at, to), '.', &dot) && !mail_addr_same(claim, a->addr);
}

static void check_headers(struct show *s, const struct mail_header *h)
{
    const char *twice = mail_header_duplicate(h);
    if (twice)
        lines_warn(&s->l, "The mail has more than one %s field; the first one is shown", twice);
    if (h->cut || s->m->cut_fields)
        lines_warn(&s->l, "The header is larger than tuimail reads; a part of it is left out");
    struct mail_addrs a;
    mail_addrs_parse(str_sub(mail_header_get(h, "From"), 0, 16384), s->arena, &a);
    for (size_t i = 0; i < a.count && i < 5; i++) {
        const struct mail_addr *e = &a.list[i];
        size_t at;
        if (name_claims(e))
            lines_warn(&s->l, "The sender's name looks like an address, but the mail is from <%.*s>", STR_FMT(e->addr));
        if (str_find(e->addr, '@', &at) && mixes_scripts(str_sub(e->addr, at + 1, e->addr.n)))
            lines_warn(&s->l, "The sender's domain mixes letters of several alphabets: <%.*s>", STR_FMT(e->addr));
    }
}

static void check_limits(struct show *s)
{
    if (s->m->cut_parts)
        lines_warn(&s->l, "The mail has more than %u parts; the rest is not shown", MIME_PARTS_MAX);
    if (s->m->cut_depth)
        lines_warn(&s->l, "The mail's parts are nested more than %u deep; the inner ones are not shown",
                   MIME_DEPTH_MAX);
}

/* ---- Choosing ----------------------------------------------------------------------------------- */
/* The type of what a part would show: of containers that of their first leaf. */
static const struct part *first_leaf(const struct mime *m, size_t i)
{
    const struct part *p = &m->parts[i];
    while (type_starts(p, "multipart/") && i + 1 < m->count && m->parts[i + 1].parent == i + 1)
        p = &m->parts[++i];
    return p;
}

static int rank(const struct part *p, bool prefer_html)
{
    if (part_is(p, "text/html"))
        return prefer_html ? 4 : 2;
    if (part_is(p, "text/plain"))
        return 3;
    return type_starts(p, "text/") && !part_is(p, "text/calendar") ? 1 : 0;
}

/* Plain text that only says "your reader cannot show this" is no alternative: an empty one is passed over. */
static bool is_empty(const struct mime *m, const struct part *p)
{
    struct buf b = BUF_INIT(4096);
    part_content(m, p, &b);
    bool empty = !b.full && str_trim(buf_str(&b)).n == 0;
    buf_fini(&b);
    return empty;
}

static void choose(struct show *s)
{
    struct mime *m = s->m;
    bool html = (s->flags & MIME_PREFER_HTML) != 0;
    size_t *best =
        mem_array(m->count + 1, sizeof *best); /* of each alternative, by its number: the chosen child's index + 1 */
    int *score = mem_array(m->count + 1, sizeof *score);
    for (size_t i = 0; i < m->count; i++) {
        const struct part *p = &m->parts[i];
        if (p->parent == 0 || !part_is(&m->parts[p->parent - 1], "multipart/alternative"))
            continue;
        const struct part *leaf = first_leaf(m, i);
        int r = leaf->absent ? -1 : rank(leaf, html);
        if (r == 3 && !html && is_empty(m, leaf))
            r = 1;
        if (r >= score[p->parent] || best[p->parent] == 0) {
            best[p->parent] = i + 1;
            score[p->parent] = r;
        }
    }
    for (size_t i = 0; i < m->count; i++) {
        struct part *p = &m->parts[i];
        const struct part *up = p->parent ? &m->parts[p->parent - 1] : NULL;
        bool other = up && part_is(up, "multipart/alternative") && best[p->parent] != i + 1;
        p->hidden = up && (up->hidden || (other && !part_is(p, "text/calendar")) || /* an invitation beside its text */
                           part_is(up, "multipart/encrypted") || (up->message && (up->flags & DOC_PART_ATTACHMENT)));
    }
    free(best);
    free(score);
}

/* ---- Texts -------------------------------------------------------------------------------------- */
/* charset= of a <meta> in the first bytes of an HTML text, for parts that name none. */
static struct str meta_charset(struct str html)
{
    struct str s = str_sub(html, 0, 1024);
    for (size_t i = 0; i + 8 < s.n; i++) {
        if (strncasecmp(s.p + i, "charset=", 8) != 0)
            continue;
        size_t from = i + 8, to;
        while (from < s.n && (s.p[from] == '"' || s.p[from] == '\'' || s.p[from] == ' '))
            from++;
        to = from;
        while (to < s.n && ((s.p[to] >= '0' && s.p[to] <= '9') || (s.p[to] >= 'a' && s.p[to] <= 'z') ||
                            (s.p[to] >= 'A' && s.p[to] <= 'Z') || s.p[to] == '-' || s.p[to] == '_'))
            to++;
        return str_sub(s, from, to);
    }
    return (struct str){"", 0};
}

/* uuencoded lines are a part of their own: they are not shown as text. */
static void cut_uu(const struct show *s, uint32_t number, struct buf *text)
{
    size_t from = 0, kept = 0; /* of what is still to be looked at, of what stays */
    for (size_t i = 0; i <= s->m->count && text->n; i++) {
        const struct part *p = i < s->m->count ? &s->m->parts[i] : NULL;
        if (p && (p->object || p->parent != number))
            continue;
        size_t end = p ? MIN(p->uu_from, text->n) : text->n; /* they stand in order */
        if (end > from) {
            memmove(text->p + kept, text->p + from, end - from);
            kept += end - from;
        }
        from = p ? MAX(from, p->uu_to) : from;
    }
    text->n = kept;
}

static bool text_of(struct show *s, struct part *p, uint32_t number, struct buf *utf8)
{
    struct buf raw = BUF_INIT(MIME_TEXT_MAX);
    part_content(s->m, p, &raw);
    if (raw.full) {
        p->flags |= DOC_PART_TRUNCATED;
        lines_warn(&s->l, "Part %u is larger than %u MB and is shown cut", number, MIME_TEXT_MAX >> 20);
    }
    if (p->flags & DOC_PART_SHOWN)
        cut_uu(s, number, &raw);
    const char *named = part_param(p, "charset");
    struct str charset = str_z(named ? named : "");
    if (charset.n == 0 && part_is(p, "text/html"))
        charset = meta_charset(buf_str(&raw));
    size_t bad;
    if (!mail_to_utf8(charset, buf_str(&raw), utf8, &bad))
        lines_warn(&s->l, "Part %u is in an unknown character set", number);
    else if (bad > 0)
        lines_warn(&s->l, "Part %u holds bytes that are wrong in its character set", number);
    if (s->charset[0] == '\0') {
        struct str c = charset.n ? str_sub(charset, 0, sizeof s->charset - 1) : STR("us-ascii");
        memcpy(s->charset, c.p, c.n);
    }
    buf_fini(&raw);
    return utf8->n > 0;
}

static bool is_flowed(const struct part *p)
{
    const char *f = part_param(p, "format");
    return f && strcasecmp(f, "flowed") == 0;
}

static void text_plain(struct show *s, const struct part *p, struct str text)
{
    const char *delsp = part_param(p, "delsp");
    if (is_flowed(p))
        show_flowed(&s->l, text, delsp && strcasecmp(delsp, "yes") == 0);
    else
        show_plain(&s->l, text, part_is(p, "text/x-diff") || part_is(p, "text/x-patch"));
}

static void text_html(struct show *s, const struct part *p, struct str text)
{
    (void)p;
    show_html(&s->l, text);
}

static void text_calendar(struct show *s, const struct part *p, struct str text)
{
    (void)p;
    show_calendar(&s->l, text);
}

static void text_vcard(struct show *s, const struct part *p, struct str text)
{
    (void)p;
    show_vcard(&s->l, text);
}

static const struct renderer {
    const char *type;
    bool listed; /* shown even where the sender calls it an attachment, or has to be called one */
    bool when_attached;
    void (*show)(struct show *, const struct part *, struct str utf8);
} renderers[] = {
    {"text/plain", false, false, text_plain},
    {"text/html", false, false, text_html},
    {"text/x-diff", true, false, text_plain},
    {"text/x-patch", true, false, text_plain},
    {"text/calendar", true, true, text_calendar},
    {"text/vcard", true, true, text_vcard},
    {"text/x-vcard", true, true, text_vcard},
    {"text/directory", true, true, text_vcard},
    {"text/rfc822-headers", true, false, text_plain},
    {"message/delivery-status", true, false, text_plain},
    {"message/disposition-notification", true, false, text_plain},
    {"text/enriched", true, false, text_plain},
    {"text/markdown", true, false, text_plain},
};

static const struct renderer *renderer_of(const struct part *p)
{
    const char *d = p->object ? g_mime_object_get_disposition(p->object) : NULL;
    bool attached = d && strcasecmp(d, "attachment") == 0;
    if (p->hidden || p->absent || !p->object || p->message || (p->flags & (DOC_PART_SIGNATURE | DOC_PART_ENCRYPTED)))
        return NULL;
    for (size_t i = 0; i < COUNT(renderers); i++)
        if (part_is(p, renderers[i].type))
            return attached && !renderers[i].when_attached ? NULL : &renderers[i];
    return NULL;
}

/* ---- Parts -------------------------------------------------------------------------------------- */
static void put_part(struct show *s, const struct part *p, uint32_t number)
{
    uint64_t size = type_starts(p, "multipart/") ? 0 : part_size(s->m, p);
    const char *protocol = p->flags & DOC_PART_SIGNED ? part_param(p, "protocol") : NULL;
    lines_put(&s->l, &(struct doc_item){.kind = DOC_PART,
                                        .level = (uint8_t)MIN(p->depth, (uint32_t)DOC_MAX_DEPTH),
                                        .number = number,
                                        .parent = p->parent,
                                        .flags = p->flags,
                                        .size = size,
                                        .name = str_z(protocol ? protocol : p->type),
                                        .text = str_z(p->name)});
}

static void put_inner_headers(struct show *s, const struct part *p)
{
    struct buf b = BUF_INIT(2u << 20);
    char *raw = g_mime_object_get_headers(GMIME_OBJECT(p->message), NULL);
    if (raw) {
        struct mail_header h;
        buf_addz(&b, raw);
        mail_header_parse(buf_str(&b), s->arena, &h);
        put_headers(s, &h, p->depth + 1);
        g_free(raw);
    }
    buf_fini(&b);
}

static void put_one(struct show *s, uint32_t number)
{
    struct part *p = &s->m->parts[number - 1];
    const struct renderer *r = (s->flags & MIME_STRUCTURE) || s->l.full ? NULL : renderer_of(p);
    struct buf text = BUF_INIT(MIME_TEXT_MAX * 3u);
    if (r) {
        p->flags |= DOC_PART_SHOWN;
        if (r->listed && p->name && p->name[0])
            p->flags |= DOC_PART_ATTACHMENT;
        else if (!r->when_attached)
            p->flags &= ~(uint32_t)DOC_PART_ATTACHMENT;
        text_of(s, p, number, &text);
    }
    if (p->absent) {
        if (!p->hidden)
            p->flags |= DOC_PART_ATTACHMENT; /* whatever it is, it is listed */
        lines_put(&s->l, &(struct doc_item){
                             .kind = DOC_META, .number = number, .name = STR("absent"), .text = str_z(p->section)});
    }
    put_part(s, p, number);
    if (r)
        r->show(s, p, buf_str(&text));
    if (p->message && !p->hidden && !p->absent && !(p->flags & DOC_PART_ATTACHMENT) && !(s->flags & MIME_STRUCTURE))
        put_inner_headers(s, p);
    buf_fini(&text);
}

static void put_raw(struct show *s)
{
    struct buf utf8 = BUF_INIT(DOC_MAX_BYTES);
    struct str rest = str_sub(buf_str(&s->m->raw), 0, MIME_TEXT_MAX), line;
    if (s->m->raw.n > MIME_TEXT_MAX)
        lines_warn(&s->l, "The message is larger than %u MB and is shown cut", MIME_TEXT_MAX >> 20);
    while (rest.n && !s->l.full) {
        const char *e = memchr(rest.p, '\n', rest.n);
        size_t n = e ? (size_t)(e - rest.p) : rest.n;
        line = str_sub(rest, 0, n);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        rest = str_sub(rest, n + (e ? 1 : 0), rest.n);
        buf_reset(&utf8);
        mail_to_utf8(STR(""), line, &utf8, NULL);
        lines_text(&s->l, 0, DOC_PRE, buf_str(&utf8), NULL, 0);
    }
    buf_fini(&utf8);
}

/* A container without children: its boundary is missing or wrong, and its text is what stands there (THREATS 97). */
static void put_unsplit(struct show *s, struct part *p)
{
    static const char *(*const pieces[])(GMimeMultipart *) = {g_mime_multipart_get_prologue,
                                                              g_mime_multipart_get_epilogue};
    lines_warn(&s->l, "The parts of this mail cannot be told apart; its text is shown as it is");
    for (size_t i = 0; i < COUNT(pieces); i++) {
        const char *z = pieces[i](GMIME_MULTIPART(p->object));
        struct buf utf8 = BUF_INIT(MIME_TEXT_MAX * 3u);
        mail_to_utf8(STR(""), str_sub(str_z(z), 0, MIME_TEXT_MAX), &utf8, NULL);
        show_plain(&s->l, buf_str(&utf8), false);
        buf_fini(&utf8);
    }
}

/* A message without any part that GMime could make out is shown as it is. */
static void put_body(struct show *s)
{
    choose(s);
    if (s->m->count == 0 && !(s->flags & MIME_STRUCTURE))
        put_raw(s);
    for (size_t i = 0; i < s->m->count; i++) {
        struct part *p = &s->m->parts[i];
        if (p->parent && s->m->parts[p->parent - 1].absent)
            continue; /* what the parser makes of nothing */
        put_one(s, (uint32_t)(i + 1));
        bool leaf = i + 1 == s->m->count || s->m->parts[i + 1].parent != i + 1;
        if (leaf && !p->hidden && p->object && GMIME_IS_MULTIPART(p->object) && !s->m->cut_depth &&
            !(s->flags & MIME_STRUCTURE))
            put_unsplit(s, p);
    }
}

void mime_document(struct mime *m, uint32_t flags, struct buf *out)
{
    struct show s = {.m = m, .flags = flags, .arena = arena_new((size_t)MAIL_ARENA_MAX * 4)};
    struct mail_header h;
    buf_init(&s.body, DOC_MAX_BYTES / 8 * 7);
    buf_init(&s.l.link_items, 4u << 20);
    buf_init(&s.l.warning_items, 1u << 20);
    s.l.out = out;
    mail_header_parse(buf_str(&m->raw), s.arena, &h);
    put_metas(&s, &h);
    check_headers(&s, &h);
    check_limits(&s);
    s.l.out = &s.body;
    if (flags & MIME_RAW) {
        put_raw(&s);
    } else {
        if (!(flags & MIME_STRUCTURE))
            put_headers(&s, &h, 0);
        put_body(&s);
    }
    s.l.out = out;
    put_meta(&s, "charset", str_z(s.charset));
    buf_adds(out, buf_str(&s.l.warning_items));
    buf_adds(out, buf_str(&s.body));
    buf_adds(out, buf_str(&s.l.link_items));
    buf_fini(&s.body);
    buf_fini(&s.l.link_items);
    buf_fini(&s.l.warning_items);
    arena_free(&s.arena);
}
