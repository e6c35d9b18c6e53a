/* From a header to the row of a list. */
#include "mail/mail.h"

/* The limits of MSG ROW (ipc/messages.def). */
enum { NAME_MAX_ = 256, RCPTS_MAX = 2048, TO_MAX = 512, SUBJECT_MAX = 1024, REFS_MAX = 4096, LIST_MAX = 256 };

static struct str cut(struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    size_t n = max;
    while (n > 0 && max - n < 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return (struct str){s.p, n};
}

/* Only a few kilobytes can be shown: the rest of a giant field is not worth decoding. */
static struct str front(struct str s)
{
    return str_sub(s, 0, 16384);
}

static struct str keep(struct str s, struct arena *arena)
{
    char *p = s.n ? arena_dup(arena, s.p, s.n) : NULL;
    return p ? (struct str){p, s.n} : (struct str){"", 0};
}

static void row_from(const struct mail_header *h, struct arena *arena, struct mail_row *row)
{
    struct str from = mail_header_get(h, "From");
    if (from.n == 0)
        from = mail_header_get(h, "Sender");
    struct mail_addrs a;
    mail_addrs_parse(front(from), arena, &a);
    if (a.count == 0)
        return;
    const struct mail_addr *e = &a.list[0];
    for (size_t i = 0; i < a.count && e->addr.n == 0; i++)
        if (a.list[i].addr.n)
            e = &a.list[i];
    size_t at;
    struct str local = str_find(e->addr, '@', &at) && at > 0 ? str_sub(e->addr, 0, at) : e->addr;
    row->from_addr = cut(e->addr, MAIL_ADDR_MAX);
    row->from_name = cut(e->name.n ? e->name : local.n ? local : e->group, NAME_MAX_);
}

/* A whole line, or nothing. */
static void rcpt(const struct mail_addr *a, struct buf *out)
{
    struct str name = cut(a->name, NAME_MAX_);
    size_t at;
    if (!mail_addr_valid(a->addr) || a->addr.n > MAIL_ADDR_MAX || a->addr.n + name.n + 2 > out->max - out->n)
        return;
    if (str_find(name, '\n', &at) || str_find(name, '\t', &at))
        name = STR("");
    buf_addf(out, "%.*s\t%.*s\n", STR_FMT(a->addr), STR_FMT(name));
}

static void row_to(const struct mail_header *h, struct str self, struct arena *arena, struct mail_row *row)
{
    static const char *const names[] = {"To", "Cc", "Bcc"};
    struct buf to = BUF_INIT(TO_MAX), rcpts = BUF_INIT(RCPTS_MAX);
    for (size_t k = 0; k < COUNT(names); k++) {
        struct mail_addrs a;
        mail_addrs_parse(front(mail_header_get(h, names[k])), arena, &a);
        bool show = to.n == 0 && k < 2;
        for (size_t i = 0; i < a.count; i++) {
            const struct mail_addr *e = &a.list[i];
            if (!mail_addr_is_self(e->addr, self))
                rcpt(e, &rcpts);
            else if (k < 2)
                row->attrs |= ROW_TO_ME;
            struct str who = e->name.n ? e->name : e->addr.n ? e->addr : e->group;
            if (!show || who.n == 0 || to.full)
                continue;
            size_t need = who.n + (to.n ? 2 : 0);
            if (to.n + need > TO_MAX) {
                if (to.n == 0)
                    buf_adds(&to, cut(who, TO_MAX));
                show = false;
                continue;
            }
            if (to.n)
                buf_addz(&to, ", ");
            buf_adds(&to, who);
        }
    }
    row->to = keep(buf_str(&to), arena);
    row->rcpts = keep(buf_str(&rcpts), arena);
    buf_fini(&to);
    buf_fini(&rcpts);
}

static void row_refs(const struct mail_header *h, struct arena *arena, struct mail_row *row)
{
    struct str *ids;
    size_t n = mail_ids_parse(mail_header_get(h, "References"), arena, &ids);
    if (n == 0)
        n = MIN(mail_ids_parse(mail_header_get(h, "In-Reply-To"), arena, &ids), (size_t)1);
    if (n == 0)
        return;
    size_t used = ids[0].n, from = n;
    while (from > 1 && used + ids[from - 1].n + 1 <= REFS_MAX)
        used += ids[--from].n + 1;
    struct buf b = BUF_INIT(REFS_MAX);
    for (size_t i = 0; i < n; i++) {
        if ((i > 0 && i < from) || str_eq(ids[i], row->msgid)) /* a mail that refers to itself (THREATS 108) */
            continue;
        if (b.n)
            buf_addc(&b, ' ');
        buf_adds(&b, ids[i]);
    }
    row->refs = keep(buf_str(&b), arena);
    buf_fini(&b);
}

static bool holds(struct str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++)
        if (str_case_starts(str_sub(s, i, s.n), (struct str){word, n}))
            return true;
    return false;
}

static void row_type(const struct mail_header *h, struct mail_row *row)
{
    struct str type = str_sub(mail_header_get(h, "Content-Type"), 0, 1024);
    if (type.n == 0)
        return;
    static const struct {
        const char *type, *with;
        uint32_t attrs;
    } types[] = {
        {"multipart/mixed", "", ROW_ATTACHMENT},
        {"multipart/signed", "", ROW_SIGNED},
        {"multipart/encrypted", "", ROW_ENCRYPTED},
        {"application/pkcs7-mime", "signed-data", ROW_SIGNED},
        {"application/x-pkcs7-mime", "signed-data", ROW_SIGNED},
        {"application/pkcs7-mime", "", ROW_ENCRYPTED},
        {"application/x-pkcs7-mime", "", ROW_ENCRYPTED},
        {"application/", "", ROW_ATTACHMENT},
        {"image/", "", ROW_ATTACHMENT},
        {"audio/", "", ROW_ATTACHMENT},
        {"video/", "", ROW_ATTACHMENT},
    };
    for (size_t i = 0; i < COUNT(types); i++) {
        if (str_case_starts(type, str_z(types[i].type)) && holds(type, types[i].with)) {
            row->attrs |= types[i].attrs;
            return;
        }
    }
    if (str_case_starts(str_trim(mail_header_get(h, "Content-Disposition")), STR("attachment")))
        row->attrs |= ROW_ATTACHMENT;
}

static void row_list(const struct mail_header *h, struct arena *arena, struct mail_row *row)
{
    struct str id = mail_header_get(h, "List-Id");
    size_t open, close;
    if (id.p && str_find(id, '<', &open)) {
        id = str_sub(id, open + 1, id.n);
        if (str_find(id, '>', &close))
            id.n = close;
    }
    row->list_id = cut(str_trim(mail_words(front(id), arena)), LIST_MAX);
    if (row->list_id.n || mail_header_get(h, "List-Post").p)
        row->attrs |= ROW_LIST;
}

void mail_row_parse(struct str header, struct str self, struct arena *arena, struct mail_row *row)
{
    struct str none = {"", 0};
    *row = (struct mail_row){.from_name = none,
                             .from_addr = none,
                             .to = none,
                             .rcpts = none,
                             .subject = none,
                             .msgid = none,
                             .refs = none,
                             .list_id = none};
    struct mail_header h;
    /* Values borrow from what is parsed: a copy in the arena outlives the caller's bytes, as the contract says. */
    size_t n = MIN(header.n, (size_t)MAIL_HEADER_MAX);
    char *own = n ? arena_dup(arena, header.p, n) : NULL;
    if (!own && n)
        return;
    mail_header_parse((struct str){own, n}, arena, &h);
    row->suspicious = mail_header_duplicate(&h) != NULL;
    row->subject = cut(mail_words(front(mail_header_get(&h, "Subject")), arena), SUBJECT_MAX);
    row->msgid = mail_id_parse(front(mail_header_get(&h, "Message-ID")));
    if (!mail_date_parse(front(mail_header_get(&h, "Date")), &row->date, NULL))
        row->date = 0;
    row_from(&h, arena, row);
    row_to(&h, self, arena, row);
    row_refs(&h, arena, row);
    row_list(&h, arena, row);
    row_type(&h, row);
}
