/* tuimail search: the search program, asked once. */
#include "cli/cli.h"

#include "mail/mail.h"

#include <unistd.h>

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_IDS, FORMAT_FILES };

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

/* The name, or the address where there is none: a column has no room for both. */
static struct str sender(struct str from, struct arena *arena)
{
    struct mail_addrs a;
    mail_addrs_parse(from, arena, &a);
    for (size_t i = 0; i < a.count; i++)
        if (a.list[i].name.n || a.list[i].addr.n)
            return a.list[i].name.n ? a.list[i].name : a.list[i].addr;
    return from;
}

static void put_text(struct buf *out, const struct m_HIT *h, bool server)
{
    struct arena *arena = arena_new(1u << 20);
    out_date(out, h->date);
    buf_addz(out, "  ");
    put_column(out, sender(h->from, arena), 24);
    buf_addz(out, "  ");
    out_text(out, h->subject);
    if (h->tags.n) {
        buf_addz(out, "  (");
        out_text(out, h->tags);
        buf_addc(out, ')');
    }
    buf_addz(out, server ? "  [server]\n" : "\n");
    arena_free(&arena);
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

static void put_json(struct buf *out, const struct cli *cli, const struct m_HIT *h, bool first, bool server)
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
    buf_addz(out, server ? ", \"server\": true}" : ", \"server\": false}");
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

static void put_hit(struct buf *out, const struct cli *cli, enum format format, const struct m_HIT *h, bool first,
                    bool server)
{
    switch (format) {
    case FORMAT_TEXT:
        put_text(out, h, server);
        break;
    case FORMAT_JSON:
        put_json(out, cli, h, first, server);
        break;
    case FORMAT_IDS:
        out_text(out, h->msgid);
        buf_addz(out, server ? "\tserver\n" : "\n");
        break;
    case FORMAT_FILES:
        put_file(out, cli, h);
        break;
    }
}

struct listing {
    const struct cli *cli;
    enum format format;
    struct buf out;
    size_t hits;
    struct found found; /* with --server: each once */
    bool ask, server;   /* the servers are to be asked; what comes now is theirs */
};

static bool list_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct listing *l = arg;
    if (l->ask && !l->server)
        found_add(&l->found, h->account, h->msg, h->msgid);
    put_hit(&l->out, l->cli, l->format, h, l->hits++ == 0, l->server);
    return l->out.n <= 1 << 18 || out_flush(&l->out) || err_set(err, ERR_IO, "nobody reads the output");
}

static bool list(struct chan *search, const struct question *q, struct listing *l, struct err *err)
{
    if (l->format == FORMAT_JSON)
        buf_addc(&l->out, '[');
    bool ok = search_ask(search, q, list_hit, l, err);
    if (!ok && l->ask && err->kind != ERR_QUERY) { /* the servers need no index */
        fprintf(stderr, "tuimail: %s\n", err->text);
        *err = ERR_INIT;
        ok = true;
    }
    l->server = true;
    if (ok && l->ask && out_flush(&l->out)) /* what is here is not to wait for them */
        ok = search_servers(l->cli, q, search, &l->found, list_hit, l, err);
    if (!ok && !l->ask)
        return false;
    if (l->format == FORMAT_JSON)
        buf_addz(&l->out, "]\n");
    return (!l->out.n || out_flush(&l->out) || err_set(err, ERR_IO, "nobody reads the output")) && ok;
}

int search_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    const char *format_word = "text", *limit_word = "1000", *account = "";
    bool server = false;
    const struct cli_opt opts[] = {{"--format", &format_word, NULL},
                                   {"--limit", &limit_word, NULL},
                                   {"--account", &account, NULL},
                                   {"--server", NULL, &server}};
    unsigned format = FORMAT_TEXT;
    struct question q = {.account = ""};
    struct buf query = BUF_INIT(8192);
    struct listing l = {.cli = cli, .out = BUF_INIT(1 << 20)};
    bool ok = cli_options(cli, opts, COUNT(opts), &err) &&
              cli_choice("--format", format_word, "text json ids files", &format, &err) &&
              cli_number("--limit", limit_word, UINT32_MAX, &q.limit, &err) &&
              (!account[0] || cli_account(cli, account, &err)) && cli_query(cli, &query, &err) &&
              role_open(cli, ROLE_SEARCH, NULL, &h, &err);
    q.query = buf_z(&query);
    q.account = account;
    l.format = (enum format)format;
    l.ask = server;
    ok = ok && list(h.chan, &q, &l, &err);
    role_close(&h);
    buf_fini(&l.out);
    found_fini(&l.found);
    buf_fini(&query);
    return ok ? 0 : cli_fail(&err);
}

int count_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    struct question q = {.account = ""};
    const struct cli_opt opts[] = {{"--account", &q.account, NULL}};
    struct buf query = BUF_INIT(8192);
    uint32_t count = 0;
    bool ok = cli_options(cli, opts, COUNT(opts), &err) && (!q.account[0] || cli_account(cli, q.account, &err)) &&
              (cli->argc == 0 ? buf_addz(&query, "*") : cli_query(cli, &query, &err)) &&
              role_open(cli, ROLE_SEARCH, NULL, &h, &err);
    q.query = buf_z(&query);
    ok = ok && search_count(h.chan, &q, &count, &err);
    role_close(&h);
    buf_fini(&query);
    if (ok)
        printf("%u\n", count);
    return ok ? 0 : cli_fail(&err);
}
