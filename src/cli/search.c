/* tuimail search: the search program, asked once. */
#include "cli/cli.h"

#include "mail/mail.h"

#include <unistd.h>

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_IDS, FORMAT_FILES };
enum output { OUTPUT_SUMMARY, OUTPUT_MESSAGES, OUTPUT_FILES, OUTPUT_TAGS };
enum { TAGS_MAX = 10000 };

struct listing {
    const struct cli *cli;
    enum format format; /* text or json of what `output` says */
    enum output output;
    bool null;
    struct buf out;
    size_t hits, words;
    char **tags; /* of all hits, each once */
    size_t ntags;
    struct str_set found; /* with --server: each once */
    bool ask, server;     /* the servers are to be asked; what comes now is theirs */
};

/* `s` in at least `cols` columns: what is longer is for a script to cut. */
static void put_column(struct buf *out, struct str s, unsigned cols)
{
    struct buf clean = BUF_INIT(8192);
    struct text whole = text_from_bytes(s, TEXT_FOLD_SPACE, &clean);
    buf_add(out, whole.p ? whole.p : "", whole.n);
    for (unsigned i = whole.cols; i < cols; i++)
        buf_addc(out, ' ');
    buf_fini(&clean);
}

/* The name, or the address where there is none. */
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
void cli_hit_file(const struct cli *cli, const struct m_HIT *h, struct buf *path)
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
    buf_addf(out, "\"version\": %d, \"id\": ", CLI_JSON_VERSION);
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
    cli_hit_file(cli, h, &path);
    out_json(out, buf_str(&path));
    buf_fini(&path);
    buf_addz(out, server ? ", \"server\": true}" : ", \"server\": false}");
}

/* One word, for a script: an array's string, or a line; with --null the bytes as they are. */
static void put_word(struct listing *l, struct str word, const char *behind)
{
    if (l->format == FORMAT_JSON) {
        buf_addz(&l->out, l->words++ ? ",\n " : "");
        out_json(&l->out, word);
    } else if (l->null) {
        buf_adds(&l->out, word);
        buf_addc(&l->out, '\0');
    } else {
        out_text(&l->out, word);
        buf_addf(&l->out, "%s\n", behind);
    }
}

static void keep_tags(struct listing *l, struct str tags)
{
    struct str tag;
    while (str_split(&tags, ' ', &tag)) {
        bool known = !tag.n || l->ntags == TAGS_MAX;
        for (size_t i = 0; !known && i < l->ntags; i++)
            known = str_eqz(tag, l->tags[i]);
        if (known)
            continue;
        l->tags = mem_resize(l->tags, l->ntags + 1, sizeof *l->tags);
        l->tags[l->ntags++] = mem_dup_n(tag.p, tag.n);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_tags(struct listing *l)
{
    if (l->ntags)
        qsort(l->tags, l->ntags, sizeof *l->tags, by_name);
    for (size_t i = 0; i < l->ntags; i++) {
        put_word(l, str_z(l->tags[i]), "");
        free(l->tags[i]);
    }
    free(l->tags);
}

static void put_hit(struct listing *l, const struct m_HIT *h)
{
    struct buf path = BUF_INIT(8192);
    switch (l->output) {
    case OUTPUT_SUMMARY:
        if (l->format == FORMAT_JSON)
            put_json(&l->out, l->cli, h, l->words++ == 0, l->server);
        else
            put_text(&l->out, h, l->server);
        break;
    case OUTPUT_MESSAGES:
        put_word(l, h->msgid, l->server ? "\tserver" : "");
        break;
    case OUTPUT_FILES:
        cli_hit_file(l->cli, h, &path);
        if (path.n)
            put_word(l, buf_str(&path), "");
        break;
    case OUTPUT_TAGS:
        keep_tags(l, h->tags);
        break;
    }
    buf_fini(&path);
}

static bool list_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct listing *l = arg;
    if (l->ask && !l->server)
        found_add(&l->found, h->account, h->msg, h->msgid);
    l->hits++;
    put_hit(l, h);
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
    if (ok || l->ask)
        put_tags(l);
    if (l->format == FORMAT_JSON)
        buf_addz(&l->out, "]\n");
    return (!l->out.n || out_flush(&l->out) || err_set(err, ERR_IO, "nobody reads the output")) && ok;
}

static bool excludes(const char *word, struct question *q, struct err *err)
{
    unsigned all = 0;
    bool ok = cli_choice("--exclude", word, "true false", &all, err);
    q->all = all;
    return ok;
}

/* --format=ids and files say both in one word. */
static bool formats(const char *format, const char *output, const char *sort, struct listing *l, struct question *q,
                    struct err *err)
{
    unsigned f, o, s;
    if (!cli_choice("--format", format, "text json ids files", &f, err) ||
        !cli_choice("--output", output, "summary messages files tags", &o, err) ||
        !cli_choice("--sort", sort, "newest-first oldest-first relevance", &s, err))
        return false;
    if (f >= FORMAT_IDS && o != OUTPUT_SUMMARY)
        return err_set(err, ERR_USAGE, "--output goes with --format=text or json");
    l->output = f == FORMAT_IDS ? OUTPUT_MESSAGES : f == FORMAT_FILES ? OUTPUT_FILES : (enum output)o;
    l->format = f == FORMAT_JSON ? FORMAT_JSON : FORMAT_TEXT;
    q->order = (enum search_order)s;
    return !l->null || (l->output != OUTPUT_SUMMARY && l->format == FORMAT_TEXT) ||
           err_set(err, ERR_USAGE, "--null goes with --output=messages, files or tags as text");
}

int search_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    const char *format = "text", *output = "summary", *sort = "newest-first", *limit = "1000", *offset = "0",
               *account = "", *exclude = "true";
    struct listing l = {.cli = cli, .out = BUF_INIT(1 << 20)};
    struct question q = {.account = ""};
    const struct cli_opt opts[] = {
        {"--format", &format, NULL}, {"--output", &output, NULL}, {"--sort", &sort, NULL},
        {"--limit", &limit, NULL},   {"--offset", &offset, NULL}, {"--account", &account, NULL},
        {"--server", NULL, &l.ask},  {"--null", NULL, &l.null},   {"--exclude", &exclude, NULL}};
    struct buf query = BUF_INIT(8192);
    bool ok = cli_options(cli, opts, COUNT(opts), &err) && formats(format, output, sort, &l, &q, &err) &&
              excludes(exclude, &q, &err) && cli_number("--limit", limit, UINT32_MAX, &q.limit, &err) &&
              cli_number("--offset", offset, UINT32_MAX / 2, &q.offset, &err) &&
              (!account[0] || cli_account(cli, account, &err)) && cli_query(cli, &query, &err) &&
              role_open(cli, ROLE_SEARCH, NULL, &h, &err);
    q.query = buf_z(&query);
    q.account = account;
    ok = ok && list(h.chan, &q, &l, &err);
    role_close(&h);
    buf_fini(&l.out);
    str_set_free(&l.found);
    buf_fini(&query);
    return ok ? 0 : cli_fail(&err);
}

static bool put_count(struct chan *search, const struct question *q, enum query_count what, bool json, struct err *err)
{
    uint32_t count = 0;
    if (!search_count(search, q, what, &count, err))
        return false;
    if (json)
        printf("{\"version\": %d, \"count\": %u}\n", CLI_JSON_VERSION, count);
    else
        printf("%u\n", count);
    return true;
}

/* A query a line, a count a line: what a status bar or a script asks for at once. */
static bool count_lines(struct chan *search, struct question *q, enum query_count what, bool json, struct err *err)
{
    struct buf all = BUF_INIT(1u << 20);
    bool ok = fs_read_fd(STDIN_FILENO, (1u << 20) - 1, &all, err);
    struct str rest = buf_str(&all), line;
    for (unsigned n = 1; ok && rest.n && str_split(&rest, '\n', &line); n++) {
        char *z = mem_dup_n(line.n ? line.p : "", line.n);
        q->query = *z ? z : "*";
        ok = put_count(search, q, what, json, err);
        if (!ok)
            err_prefix(err, "line %u", n);
        free(z);
    }
    buf_fini(&all);
    return ok;
}

int count_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    struct question q = {.account = ""};
    const char *format = "text", *output = "messages", *exclude = "true";
    bool batch = false;
    const struct cli_opt opts[] = {{"--format", &format, NULL},
                                   {"--output", &output, NULL},
                                   {"--exclude", &exclude, NULL},
                                   {"--account", &q.account, NULL},
                                   {"--batch", NULL, &batch}};
    struct buf query = BUF_INIT(8192);
    unsigned json = 0, what = 0;
    bool ok = cli_options(cli, opts, COUNT(opts), &err) && cli_choice("--format", format, "text json", &json, &err) &&
              cli_choice("--output", output, "messages threads files", &what, &err) && excludes(exclude, &q, &err) &&
              (!q.account[0] || cli_account(cli, q.account, &err)) &&
              (!batch || cli->argc == 0 || err_set(&err, ERR_USAGE, "--batch reads the queries from standard input")) &&
              (cli->argc == 0 ? buf_addz(&query, "*") : cli_query(cli, &query, &err)) &&
              role_open(cli, ROLE_SEARCH, NULL, &h, &err);
    q.query = buf_z(&query);
    what += COUNT_MESSAGES;
    ok = ok && (batch ? count_lines(h.chan, &q, what, json, &err) : put_count(h.chan, &q, what, json, &err));
    role_close(&h);
    buf_fini(&query);
    return ok ? 0 : cli_fail(&err);
}
