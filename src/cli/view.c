/* tuimail view: the display document of a mail as text or JSON. */
#include "cli/cli.h"
#include "mail/doc.h"

#include <unistd.h>

#define VIEW_MS (2 * 60 * 1000)

static bool receive(struct open_role *h, struct doc *doc, struct err *err)
{
    for (;;) {
        struct msg m;
        int got = chan_wait(h->chan, clock_mono_ms() + VIEW_MS, &m, err);
        if (got == 0)
            return err_set(err, ERR_TIMEOUT, "the mail takes too long");
        if (got < 0)
            return err->kind != ERR_NONE
                       ? false
                       : err_set(err, ERR_LIMIT, "view broke off: the mail needs more than it may have");
        if (m.fd >= 0)
            close(m.fd);
        if (m.kind == MSG_VIEW_DATA && !doc_feed(doc, m.u.VIEW_DATA.bytes, err))
            return false;
        if (m.kind == MSG_VIEW_DONE)
            return m.u.VIEW_DONE.kind == ERR_NONE ||
                   err_set(err, (enum err_kind)MIN(m.u.VIEW_DONE.kind, (uint32_t)ERR_COUNT - 1), "%.*s",
                           STR_FMT(m.u.VIEW_DONE.text));
    }
}

/* ---- Text --------------------------------------------------------------------------------------- */

struct wrapped {
    struct buf *out;
    const struct doc_item *item;
    const char *prefix;
};

static void put_line(void *arg, size_t from, size_t to)
{
    struct wrapped *w = arg;
    buf_addz(w->out, w->prefix);
    text_from_bytes(str_sub(w->item->text, from, to), TEXT_KEEP_TABS, w->out);
    buf_addc(w->out, '\n');
}

static void put_wrapped(struct buf *out, const struct doc_item *item, const char *prefix, unsigned width)
{
    struct wrapped w = {out, item, prefix};
    unsigned used = (unsigned)strlen(prefix);
    if (width == 0)
        put_line(&w, 0, item->text.n);
    else
        doc_wrap(item, width > used + 20 ? width - used : 20, put_line, &w);
}

static void put_body_line(struct buf *out, const struct doc_item *item, unsigned width)
{
    char prefix[2 * DOC_MAX_DEPTH + 1] = "";
    unsigned depth = MIN(item->level, DOC_MAX_DEPTH);
    for (unsigned i = 0; i < depth; i++)
        memcpy(prefix + 2 * i, "> ", 3);
    put_wrapped(out, item, prefix, width);
}

static void put_item(struct buf *out, const struct doc_item *item, unsigned width)
{
    switch (item->kind) {
    case DOC_HEADER:
        out_text(out, item->name);
        buf_addz(out, ": ");
        out_text(out, item->text);
        buf_addc(out, '\n');
        break;
    case DOC_TEXT:
        put_body_line(out, item, width);
        break;
    case DOC_BANNER:
        put_wrapped(out, item, "[-- ", 0);
        break;
    case DOC_WARNING:
        put_wrapped(out, item, "[!! ", 0);
        break;
    case DOC_PART:
        if (!(item->flags & DOC_PART_ATTACHMENT))
            break;
        buf_addf(out, "[part %u: ", (unsigned)item->number);
        out_text(out, item->name);
        buf_addz(out, item->text.n ? ", " : "");
        out_text(out, item->text);
        buf_addf(out, ", %llu bytes]\n", (unsigned long long)item->size);
        break;
    case DOC_LINK:
        buf_addf(out, "[%u] ", (unsigned)item->number);
        out_text(out, item->text);
        buf_addc(out, '\n');
        break;
    case DOC_META:
        break;
    }
}

static bool print_text(const struct doc *doc, unsigned width)
{
    struct buf out = BUF_INIT(8u << 20);
    bool ok = true, body = false;
    for (size_t i = 0; ok && i < doc_count(doc); i++) {
        const struct doc_item *item = doc_at(doc, i);
        if (!body && item->kind == DOC_TEXT) {
            buf_addc(&out, '\n');
            body = true;
        }
        put_item(&out, item, width);
        if (out.n > (1u << 18))
            ok = out_flush(&out);
    }
    ok = out_flush(&out) && ok;
    buf_fini(&out);
    return ok;
}

/* ---- JSON --------------------------------------------------------------------------------------- */

static void json_pair(struct buf *out, const char *key, struct str value)
{
    buf_addf(out, "\"%s\": ", key);
    out_json(out, value);
}

static void json_item(struct buf *out, const struct doc_item *item)
{
    switch (item->kind) {
    case DOC_HEADER:
    case DOC_META:
        buf_addc(out, '{');
        json_pair(out, "name", item->name);
        buf_addz(out, ", ");
        json_pair(out, "value", item->text);
        buf_addc(out, '}');
        break;
    case DOC_TEXT:
        buf_addf(out, "{\"quote\": %u, ", (unsigned)item->level);
        json_pair(out, "text", item->text);
        buf_addc(out, '}');
        break;
    case DOC_PART:
        buf_addf(out, "{\"number\": %u, \"parent\": %u, \"size\": %llu, \"attachment\": %s, ", (unsigned)item->number,
                 (unsigned)item->parent, (unsigned long long)item->size,
                 item->flags & DOC_PART_ATTACHMENT ? "true" : "false");
        json_pair(out, "type", item->name);
        buf_addz(out, ", ");
        json_pair(out, "name", item->text);
        buf_addc(out, '}');
        break;
    case DOC_BANNER:
    case DOC_WARNING:
    case DOC_LINK:
        out_json(out, item->text);
        break;
    }
}

static bool print_json(const struct doc *doc)
{
    static const struct {
        enum doc_kind kind;
        const char *name;
    } lists[] = {{DOC_HEADER, "headers"}, {DOC_TEXT, "text"},        {DOC_PART, "parts"}, {DOC_LINK, "links"},
                 {DOC_BANNER, "banners"}, {DOC_WARNING, "warnings"}, {DOC_META, "meta"}};
    struct buf out = BUF_INIT(8u << 20);
    bool ok = true;
    buf_addc(&out, '{');
    for (size_t l = 0; l < COUNT(lists); l++) {
        size_t n = 0;
        buf_addf(&out, "%s\"%s\": [", l ? ",\n " : "", lists[l].name);
        for (size_t i = 0; ok && i < doc_count(doc); i++) {
            const struct doc_item *item = doc_at(doc, i);
            if (item->kind != lists[l].kind)
                continue;
            buf_addz(&out, n++ ? ",\n  " : "");
            json_item(&out, item);
            if (out.n > (1u << 18))
                ok = out_flush(&out);
        }
        buf_addc(&out, ']');
    }
    buf_addz(&out, "}\n");
    ok = out_flush(&out) && ok;
    buf_fini(&out);
    return ok;
}

int view_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    const char *format_word = "text", *width_word = "80";
    bool all_headers = false;
    const struct cli_opt opts[] = {
        {"--format", &format_word, NULL}, {"--width", &width_word, NULL}, {"--all-headers", NULL, &all_headers}};
    unsigned format = 0;
    uint32_t width = 80;
    struct doc *doc = doc_new();
    bool ok = cli_options(cli, opts, COUNT(opts), &err) &&
              cli_choice("--format", format_word, "text json", &format, &err) &&
              cli_number("--width", width_word, 10000, &width, &err);
    if (ok && (cli->argc > 0 || isatty(STDIN_FILENO)))
        ok = err_set(&err, ERR_USAGE, "view reads a mail from standard input: tuimail view < FILE");
    ok =
        ok && role_open(cli, ROLE_VIEW, NULL, &h, &err) &&
        SEND(h.chan, STDIN_FILENO, &err, VIEW, .req = 1, .width = width, .flags = all_headers ? VIEW_ALL_HEADERS : 0) &&
        chan_drain(h.chan, clock_mono_ms() + 10000, &err) && receive(&h, doc, &err);
    bool some = doc_count(doc) > 0;
    if ((ok || some) && !(format ? print_json(doc) : print_text(doc, width)))
        ok = err_set(&err, ERR_IO, "nobody reads the output");
    role_close(&h);
    doc_free(&doc);
    return ok ? 0 : cli_fail(&err);
}
