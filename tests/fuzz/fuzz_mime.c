/* A message to its document and its parts, and the same bytes as a draft: no crash, no leak; the document is read back
 * clean, the draft is 7-bit lines. */
#include "mail/mail.h"
#include "mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    mime_init();
    return 0;
}

static void check_document(struct mime *m, uint32_t flags)
{
    struct buf out = BUF_INIT(DOC_MAX_BYTES);
    struct err err = ERR_INIT;
    struct doc *d = doc_new();
    mime_document(m, flags, &out);
    if (!doc_feed(d, buf_str(&out), &err))
        bug("%s", err.text);
    for (size_t i = 0; i < doc_count(d); i++) {
        struct str s = doc_at(d, i)->text;
        for (size_t k = 0; k < s.n; k++)
            if ((unsigned char)s.p[k] < 32 || s.p[k] == 127)
                bug("a control character reached the document");
    }
    doc_free(&d);
    buf_fini(&out);
}

static void check_draft(struct str s)
{
    struct mime_draft *d;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT(1u << 24), headers = BUF_INIT(1u << 20);
    buf_addz(&headers, "From: alice@example.org\nSubject: ");
    buf_adds(&headers, s);
    if (mime_draft_new(buf_str(&headers), s, s.n & 1 ? MIME_NO_FLOWED : 0, &d, &err)) {
        if (!mime_draft_finish(d, &out, &err))
            bug("%s", err.text);
        bool body = false; /* an address may be UTF-8 in the header (RFC 6532) */
        for (size_t i = 0, line = 0; i < out.n; i++) {
            body |= out.p[i] == '\n' && line <= 1;
            line = out.p[i] == '\n' ? 0 : line + 1;
            bool bare = out.p[i] == '\n' && (i == 0 || out.p[i - 1] != '\r');
            if ((body && (unsigned char)out.p[i] >= 128) || line > 998 || bare)
                bug("a draft that no server would take");
        }
        mime_draft_free(&d);
    }
    buf_fini(&headers);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf raw = BUF_INIT(1u << 24), out = BUF_INIT(1u << 24);
    struct err err = ERR_INIT;
    struct mime *m;
    /* Up to a NUL: the list of what the bytes behind it lack. */
    const uint8_t *nul = memchr(data, 0, size);
    struct str list = {(const char *)data, nul ? (size_t)(nul - data) : 0};
    data += nul ? list.n + 1 : 0;
    size -= nul ? list.n + 1 : 0;
    check_draft((struct str){(const char *)data, size});
    buf_add(&raw, data, size);
    if (!mime_open(&raw, &m, &err))
        bug("%s", err.text);
    mime_absent(m, list);
    check_document(m, 0);
    check_document(m, MIME_PREFER_HTML | MIME_ALL_HEADERS);
    for (uint32_t n = 0; n < 6; n++) {
        buf_reset(&out);
        mime_part(m, n, n & 1, &out, &err);
    }
    mime_free(&m);
    buf_fini(&out);
    return 0;
}
