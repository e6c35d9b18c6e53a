/* tuimail search: the search program, asked once. */
#include "cli/cli.h"

#include <unistd.h>

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_IDS, FORMAT_FILES };
#define SEARCH_MS (5 * 60 * 1000)

/* `s` in exactly `cols` columns. */
static void put_column(struct buf *out, struct str s, unsigned cols)
{
    struct buf clean = BUF_INIT(8192);
    struct text fitted = text_fit(text_from_bytes(s, TEXT_FOLD_SPACE, &clean), cols);
    buf_add(out, fitted.p ? fitted.p : "", fitted.n);
    for (unsigned i = fitted.cols; i < cols; i++)
        buf_addc(out, ' ');
    buf_fini(&clean);
}

static void put_text(struct buf *out, const struct m_HIT *h)
{
    out_date(out, h->date);
    buf_addz(out, "  ");
    put_column(out, h->from, 24);
    buf_addz(out, "  ");
    out_text(out, h->subject);
    if (h->tags.n) {
        buf_addz(out, "  (");
        out_text(out, h->tags);
        buf_addc(out, ')');
    }
    buf_addc(out, '\n');
}

/* Where the mail lies; nothing is added for one that is known by its header alone. */
static void file_of(struct buf *path, const struct cli *cli, const struct m_HIT *h)
{
    if (!h->path.n)
        return;
    buf_addf(path, "%s%s%.*s", h->path.p[0] == '/' ? "" : cli->root, h->path.p[0] == '/' ? "" : "/mail/",
             STR_FMT(h->path));
    if (access(buf_z(path), F_OK) != 0)
        buf_reset(path);
}

static void put_json(struct buf *out, const struct cli *cli, const struct m_HIT *h, bool first)
{
    struct str tags = h->tags, tag;
    buf_addz(out, first ? "{" : ",\n {");
    buf_addz(out, "\"id\": ");
    out_json(out, h->msgid);
    buf_addz(out, ", \"account\": ");
    out_json(out, h->account);
    buf_addf(out, ", \"date\": %lld, \"from\": ", (long long)h->date);
    out_json(out, h->from);
    buf_addz(out, ", \"subject\": ");
    out_json(out, h->subject);
    buf_addz(out, ", \"tags\": [");
    for (size_t n = 0; str_split(&tags, ' ', &tag);) {
        if (tag.n == 0)
            continue;
        buf_addz(out, n++ ? ", " : "");
        out_json(out, tag);
    }
    buf_addz(out, "], \"file\": ");
    struct buf path = BUF_INIT(8192);
    file_of(&path, cli, h);
    out_json(out, buf_str(&path));
    buf_fini(&path);
    buf_addc(out, '}');
}

static void put_file(struct buf *out, const struct cli *cli, const struct m_HIT *h)
{
    struct buf path = BUF_INIT(8192);
    file_of(&path, cli, h);
    if (path.n) {
        out_text(out, buf_str(&path));
        buf_addc(out, '\n');
    }
    buf_fini(&path);
}

static void put_hit(struct buf *out, const struct cli *cli, enum format format, const struct m_HIT *h, bool first)
{
    switch (format) {
    case FORMAT_TEXT:
        put_text(out, h);
        break;
    case FORMAT_JSON:
        put_json(out, cli, h, first);
        break;
    case FORMAT_IDS:
        out_text(out, h->msgid);
        buf_addc(out, '\n');
        break;
    case FORMAT_FILES:
        put_file(out, cli, h);
        break;
    }
}

static bool receive(struct cli *cli, struct open_role *h, enum format format, struct err *err)
{
    struct buf out = BUF_INIT(1 << 20);
    size_t hits = 0;
    bool ok = true, over = false;
    if (format == FORMAT_JSON)
        buf_addc(&out, '[');
    while (ok && !over) {
        struct msg m;
        int got = chan_wait(h->chan, clock_mono_ms() + SEARCH_MS, &m, err);
        if (got <= 0) {
            ok = got < 0 && err->kind != ERR_NONE ? false
                                                  : err_set(err, got ? ERR_CHANNEL : ERR_TIMEOUT, "search broke off");
        } else if (m.kind == MSG_HIT) {
            put_hit(&out, cli, format, &m.u.HIT, hits++ == 0);
            if (out.n > (1 << 18))
                ok = out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output");
        } else if (m.kind == MSG_QUERY_DONE) {
            over = true;
            if (m.u.QUERY_DONE.kind != ERR_NONE)
                ok = err_set(err, (enum err_kind)MIN(m.u.QUERY_DONE.kind, (uint32_t)ERR_COUNT - 1), "%.*s",
                             STR_FMT(m.u.QUERY_DONE.text));
        }
        if (got > 0 && m.fd >= 0)
            close(m.fd);
    }
    if (format == FORMAT_JSON && ok)
        buf_addz(&out, "]\n");
    if (ok && out.n)
        ok = out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output");
    buf_fini(&out);
    return ok;
}

int search_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    const char *format_word = "text", *limit_word = "1000", *account = "";
    const struct cli_opt opts[] = {
        {"--format", &format_word, NULL}, {"--limit", &limit_word, NULL}, {"--account", &account, NULL}};
    unsigned format = FORMAT_TEXT;
    uint32_t limit = 0;
    struct buf query = BUF_INIT(8192);
    bool ok = cli_options(cli, opts, COUNT(opts), &err) &&
              cli_choice("--format", format_word, "text json ids files", &format, &err) &&
              cli_number("--limit", limit_word, UINT32_MAX, &limit, &err) &&
              (!account[0] || cli_account(cli, account, &err));
    for (int i = 0; i < cli->argc; i++)
        buf_addf(&query, "%s%s", i ? " " : "", cli->argv[i]);
    if (ok && query.full)
        ok = err_set(&err, ERR_LIMIT, "the query is longer than 8 KB");
    if (ok && query.n == 0)
        ok = err_set(&err, ERR_USAGE, "the query is missing; \"*\" finds all");
    ok = ok && role_open(cli, ROLE_SEARCH, NULL, &h, &err) &&
         SEND(h.chan, -1, &err, QUERY, .req = 1, .query = buf_str(&query), .account = str_z(account),
              .limit = limit ? limit : UINT32_MAX, .order = SEARCH_NEWEST) &&
         chan_drain(h.chan, clock_mono_ms() + 10000, &err) && receive(cli, &h, (enum format)format, &err);
    role_close(&h);
    buf_fini(&query);
    return ok ? 0 : cli_fail(&err);
}
