/* Headers, words, addresses, dates, ids, rows, answers and mailto: links: bytes in, no crash, no leak; what is made
 * keeps its promises. */
#include "mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || (unsigned char)s.p[i] > 126)
            bug("byte %d in a header that goes out", s.p[i]);
}

static void check_words(struct str raw)
{
    struct buf decoded = BUF_INIT(1u << 22), encoded = BUF_INIT(1u << 23);
    mail_words_decode(raw, &decoded);
    mail_words_encode(buf_str(&decoded), &encoded);
    check_plain(buf_str(&encoded));
    buf_fini(&decoded);
    buf_fini(&encoded);
}

static void check_addrs(struct str raw, struct arena *arena)
{
    struct mail_addrs a;
    struct buf b = BUF_INIT(1u << 22);
    mail_addrs_parse(raw, arena, &a);
    for (size_t i = 0; i < a.count; i++) {
        if (a.list[i].addr.n > MAIL_ADDR_MAX)
            bug("an address of %zu bytes", a.list[i].addr.n);
        buf_reset(&b);
        mail_addr_format(a.list[i].name, (struct str){"x@y", 3}, &b);
        check_plain(buf_str(&b));
    }
    mail_addrs_show(&a, &b);
    buf_fini(&b);
}

static void check_answers(struct str raw, struct arena *arena)
{
    struct mail_original o = {
        .from = raw, .reply_to = str_sub(raw, raw.n / 2, raw.n), .to = raw, .cc = raw, .list_post = raw};
    struct mail_reply r;
    struct mailto m;
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT(1u << 22);
    struct str *ids;
    int64_t t;
    for (int kind = MAIL_REPLY_SENDER; kind <= MAIL_REPLY_LIST; kind++) {
        mail_reply_recipients(&o, (enum mail_reply_kind)kind, STR("me@example.org"), arena, &r);
        for (size_t i = 0; i < r.to.count; i++)
            if (!mail_addr_valid(r.to.list[i].addr))
                bug("an answer to an address that is none");
    }
    mailto_parse(raw, arena, &m, &err);
    mail_ids_parse(raw, arena, &ids);
    mail_references_build(raw, raw, raw, &b);
    if (b.n > 1000 + MAIL_ID_MAX)
        bug("references of %zu bytes", b.n);
    check_plain(STR(""));
    if (mail_date_parse(raw, &t, NULL))
        mail_date_format(t, 0, &b);
    mail_subject_reply(raw, &b);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str raw = {(const char *)data, size};
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_row row;
    struct mail_header h;
    mail_header_parse(raw, arena, &h);
    if (h.size > size)
        bug("a header of %zu bytes in %zu", h.size, size);
    mail_row_parse(raw, STR("me@example.org"), arena, &row);
    if (row.from_name.n > 256 || row.from_addr.n > 320 || row.to.n > 512 || row.subject.n > 1024 || row.msgid.n > 512 ||
        row.refs.n > 4096 || row.list_id.n > 256)
        bug("a row over its limits");
    check_words(raw);
    check_addrs(raw, arena);
    check_answers(raw, arena);
    arena_free(&arena);
    return 0;
}
