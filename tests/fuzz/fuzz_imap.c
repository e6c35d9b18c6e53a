/* IMAP answers: bytes in, no crash, no leak, no endless work; what is parsed keeps its promises. */
#include "net/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct imap_parser *parser;
static struct arena *arena;

static void check_set(struct str set)
{
    uint32_t lo, hi;
    while (imap_set_next(&set, &lo, &hi))
        if (!lo || lo > hi)
            bug("a set with %u:%u", lo, hi);
}

static void check_name(struct str name)
{
    struct buf utf8 = BUF_INIT(8 * IMAP_NAME_MAX), back = BUF_INIT(16 * IMAP_NAME_MAX);
    if (name.n > IMAP_NAME_MAX)
        bug("a name of %zu bytes", name.n);
    if (imap_name_decode(name, &utf8) && !utf8_valid(buf_str(&utf8)))
        bug("a decoded name that is no UTF-8");
    imap_name_encode(buf_str(&utf8), &back);
    buf_fini(&utf8);
    buf_fini(&back);
}

static void check_structure(struct str value)
{
    struct imap_structure st;
    arena_reset(arena);
    if (!imap_structure_parse(value, arena, &st))
        return;
    if (st.n == 0 || st.n > IMAP_PARTS_MAX || st.parts[0].parent != 0)
        bug("a structure of %zu parts", st.n);
    for (size_t i = 0; i < st.n; i++) {
        const struct imap_part *p = &st.parts[i];
        if ((i && (p->parent == 0 || p->parent > i || !st.parts[p->parent - 1].multipart)) ||
            !imap_section_valid(str_z(p->section)))
            bug("part %zu hangs in the air", i);
    }
}

static void one(const uint8_t *data, size_t size, bool utf8)
{
    struct imap_event ev;
    imap_parser_utf8(parser, utf8);
    imap_parse(parser, (struct str){(const char *)data, size}, &ev);
    switch (ev.what) {
    case IMAP_FETCH:
        if (!ev.fetch.seq || ev.fetch.body.n > size || ev.fetch.header.n > size ||
            ev.fetch.preview.n > IMAP_PREVIEW_MAX || ev.fetch.emailid.n > IMAP_ID_MAX)
            bug("a fetch that cannot be");
        check_structure(ev.fetch.structure);
        break;
    case IMAP_LIST:
    case IMAP_LSUB:
        check_name(ev.list.name);
        check_name(ev.list.oldname);
        break;
    case IMAP_NAMESPACE:
        for (unsigned i = 0; i < ev.namespaces->n; i++)
            check_name(ev.namespaces->list[i].prefix);
        break;
    case IMAP_QUOTA:
        check_name(ev.quota->root);
        break;
    case IMAP_QUOTAROOT:
        for (unsigned i = 0; i < ev.quotaroot->n; i++)
            check_name(ev.quotaroot->roots[i]);
        break;
    case IMAP_STATUS:
        check_name(ev.status.name);
        break;
    case IMAP_ESEARCH:
    case IMAP_VANISHED:
        check_set(ev.set);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!parser) {
        parser = imap_parser_new();
        arena = arena_new(4u << 20);
    }
    check_structure((struct str){(const char *)data, size});
    one(data, size, false);
    one(data, size, true);
    return 0;
}
