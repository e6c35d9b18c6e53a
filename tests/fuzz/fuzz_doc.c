/* The reader of display documents: bytes in any cut, no crash; every string is clean and every span inside its text;
 * wrapping covers it. */
#include "mail/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(struct str s)
{
    if (!utf8_valid(s))
        bug("a string that is not UTF-8");
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
            bug("control %d in a clean string", s.p[i]);
}

struct seen {
    size_t at, n;
};

static void on_line(void *arg, size_t from, size_t to)
{
    struct seen *s = arg;
    if (from < s->at || to < from || to > s->n)
        bug("line %zu-%zu behind %zu of %zu", from, to, s->at, s->n);
    s->at = to;
}

static void check_item(const struct doc_item *it)
{
    check_clean(it->name);
    check_clean(it->text);
    for (size_t i = 0; i < it->nspans; i++)
        if (it->spans[i].from > it->spans[i].to || it->spans[i].to > it->text.n)
            bug("a span outside its text");
    static const unsigned widths[] = {0, 1, 7, 80};
    for (size_t i = 0; i < COUNT(widths); i++)
        doc_wrap(it, widths[i], on_line, &(struct seen){.n = it->text.n});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc *d = doc_new();
    struct err err = ERR_INIT;
    size_t step = size ? 1 + data[0] % 50u : 1;
    bool ok = true;
    for (size_t i = 0; i < size && ok; i += step)
        ok = doc_feed(d, str_sub((struct str){(const char *)data, size}, i, i + step), &err);
    for (size_t i = 0; i < doc_count(d); i++)
        check_item(doc_at(d, i));
    doc_free(&d);
    /* what the writer makes of any string is read back */
    struct buf b = BUF_INIT(1u << 24);
    struct doc_span spans[2] = {{.from = 0, .to = (uint32_t)size / 2, .kind = 1},
                                {.from = (uint32_t)size / 3, .to = (uint32_t)size, .kind = 2}};
    struct doc_item it = {.kind = DOC_TEXT,
                          .text = {(const char *)data, size},
                          .name = {(const char *)data, size},
                          .spans = spans,
                          .nspans = 2};
    if (!doc_put(&b, &it))
        bug("the writer refused a line");
    d = doc_new();
    if (!doc_feed(d, buf_str(&b), &err))
        bug("the reader refused what the writer wrote: %s", err.text);
    for (size_t i = 0; i < doc_count(d); i++)
        check_item(doc_at(d, i));
    doc_free(&d);
    buf_fini(&b);
    return 0;
}
