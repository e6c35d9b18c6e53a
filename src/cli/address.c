/* tuimail address: those met in mail and of vCard files, for other programs' completion; and aliases of other programs.
 */
#include "cli/cli.h"

#include <unistd.h>

#include "client/book.h"
#include "mail/mail.h"
#include "mail/vcard.h"
#include "store/read.h"

#define ADDRESSES_MAX 200
#define IMPORT_MAX (4u << 20)
#define CHUNK (1u << 20) /* bytes of vCards */

/* ---- Printing ----------------------------------------------------------------------------------- */
static void add_met(void *arg, const struct address_row *row)
{
    founds_add(arg, row->name, row->addr, row->rank);
}

static void put_json(struct buf *out, const struct book_found *f, bool first)
{
    buf_addf(out, "%s{\"version\": %d, \"name\": ", first ? "" : ",\n ", CLI_JSON_VERSION);
    out_json(out, str_z(f->name));
    buf_addz(out, ", \"address\": ");
    out_json(out, str_z(f->addr));
    buf_addc(out, '}');
}

void put_address(struct buf *out, struct str name, struct str addr, enum address_format format)
{
    struct buf line = BUF_INIT(40000);
    size_t comma;
    if (format == ADDRESS_MUTT) { /* as mutt's query_command wants it: address, tab, name */
        out_text(out, addr);
        buf_addc(out, '\t');
        out_text(out, name.n ? name : addr);
    } else if (str_find(addr, ',', &comma)) { /* a group */
        out_text(out, addr);
    } else {
        mail_addr_show(name, addr, &line);
        out_text(out, buf_str(&line));
    }
    buf_addc(out, '\n');
    buf_fini(&line);
}

static bool find(struct cli *cli, const char *account, struct str words, uint32_t limit, struct founds *all,
                 struct err *err)
{
    char *state = cli_state(cli->conf, cli->root);
    bool ok = true;
    for (size_t i = 0; ok && i < cli->conf->naccounts; i++) {
        if (account[0] && strcmp(account, cli->conf->accounts[i].name) != 0)
            continue;
        struct reader *r = reader_open(state, cli->conf->accounts[i].name, err);
        ok = r && reader_addresses(r, words, limit, add_met, all, err);
        reader_close(&r);
    }
    free(state);
    struct book *book = book_new(cli->conf->address_book);
    while (ok && !account[0] && book_step(book, CHUNK))
        continue;
    if (ok && !account[0])
        book_find(book, words, limit, all);
    if (book_unread(book) > 0)
        fprintf(stderr, "tuimail: %u of option address-book could not be read\n", book_unread(book));
    book_free(&book);
    founds_sort(all);
    return ok;
}

/* ---- Aliases of other programs ------------------------------------------------------------------ */
struct importing {
    struct conf *conf;
    struct buf lines; /* what the alias file gets */
    unsigned added, known, wrong;
};

static bool is_known(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->naliases; i++)
        if (strcmp(conf->aliases[i].name, name) == 0)
            return true;
    return false;
}

static void import_one(struct importing *m, struct str name, struct str value)
{
    struct err err = ERR_INIT;
    char *n = mem_dup_n(name.p, name.n), *v = mem_dup_n(value.p, value.n);
    if (name.n == 0 || value.n == 0 || strlen(n) != name.n || strlen(v) != value.n) {
        m->wrong++;
    } else if (is_known(m->conf, n)) {
        m->known++;
    } else if (conf_alias_set(m->conf, n, v, &err)) {
        buf_addz(&m->lines, "alias ");
        line_quote(name, &m->lines);
        buf_addc(&m->lines, ' ');
        line_quote(value, &m->lines);
        buf_addc(&m->lines, '\n');
        m->added++;
    } else {
        m->wrong++;
    }
    free(n);
    free(v);
}

/* Up to a comment; a # within quotes is none. */
static struct str uncommented(struct str line)
{
    bool quoted = false;
    for (size_t i = 0; i < line.n; i++) {
        quoted ^= line.p[i] == '"';
        if (line.p[i] == '#' && !quoted && (i == 0 || line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
            return str_trim(str_sub(line, 0, i));
    }
    return str_trim(line);
}

/* "alias [-group NAME]... KEY ADDRESS, ...", as mutt and neomutt have it. */
static void import_mutt(struct importing *m, struct str line)
{
    struct str rest = uncommented(line), word = STR("");
    str_split(&rest, ' ', &word);
    for (bool group = false; rest.n > 0 && str_split(&rest, ' ', &word);) {
        if (word.n == 0)
            continue;
        if (!group && !str_eqz(word, "-group"))
            break;
        group = !group && str_eqz(word, "-group");
        word = STR("");
    }
    import_one(m, word, str_trim(rest));
}

/* A name of one word for a person without one: "Alice Example" is alice-example. */
static void short_name(struct str full, struct buf *out)
{
    for (size_t i = 0; i < full.n; i++) {
        char c = full.p[i];
        bool word = !strchr(" \t,<>@\"\n\\'.()", c);
        if (word)
            buf_addc(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
        else if (out->n > 0 && out->p[out->n - 1] != '-')
            buf_addc(out, '-');
    }
    while (out->n > 0 && out->p[out->n - 1] == '-')
        out->p[--out->n] = '\0';
}

static void import_person(struct importing *m, struct str nick, struct str name, struct str addr)
{
    struct buf key = BUF_INIT(200), value = BUF_INIT(2000);
    short_name(nick.n ? nick : name.n ? name : addr, &key);
    mail_addr_show(name, str_trim(addr), &value);
    import_one(m, buf_str(&key), mail_addr_valid(str_trim(addr)) ? buf_str(&value) : STR(""));
    buf_fini(&key);
    buf_fini(&value);
}

struct person {
    struct buf name, email, nick;
};

/* Of several addresses the first. */
static void import_abook(struct importing *m, struct person *p)
{
    struct str emails = buf_str(&p->email), first = STR("");
    if (emails.n > 0 && str_split(&emails, ',', &first))
        import_person(m, buf_str(&p->nick), buf_str(&p->name), first);
    buf_reset(&p->name);
    buf_reset(&p->email);
    buf_reset(&p->nick);
}

static void take_line(struct importing *m, struct str line, struct person *p)
{
    const struct {
        const char *key;
        struct buf *to;
    } fields[] = {{"name=", &p->name}, {"email=", &p->email}, {"nick=", &p->nick}};
    line = str_trim(line);
    if (str_starts(line, STR("alias ")) || str_starts(line, STR("alias\t")))
        import_mutt(m, line);
    else if (line.n > 0 && line.p[0] == '[')
        import_abook(m, p);
    for (size_t i = 0; i < COUNT(fields); i++)
        if (str_starts(line, str_z(fields[i].key))) {
            buf_reset(fields[i].to);
            buf_adds(fields[i].to, str_sub(line, strlen(fields[i].key), line.n));
        }
}

static void import_text(struct importing *m, struct str text)
{
    struct person p = {.name = BUF_INIT(1000), .email = BUF_INIT(4000), .nick = BUF_INIT(200)};
    struct str rest = text, line;
    struct vcard_reader *cards = vcard_reader_new();
    const struct vcard *card;
    struct buf joined = BUF_INIT(LINE_MAX_BYTES);
    while (rest.n > 0 && str_split(&rest, '\n', &line)) {
        bool more = line.n > 0 && line.p[line.n - 1] == '\\';
        buf_adds(&joined, str_sub(line, 0, line.n - more));
        if (more && rest.n > 0)
            continue;
        take_line(m, buf_str(&joined), &p);
        buf_reset(&joined);
    }
    import_abook(m, &p);
    buf_fini(&p.name);
    buf_fini(&p.email);
    buf_fini(&p.nick);
    for (rest = text; (card = vcard_read(cards, &rest)) || (card = vcard_read_end(cards));)
        if (card->nemails > 0)
            import_person(m, card->nick, card->name, card->emails[0]);
    buf_fini(&joined);
    vcard_reader_free(&cards);
}

static bool keep(const struct importing *m, struct err *err)
{
    struct buf all = BUF_INIT(CONF_MAX_BYTES);
    char *path = conf_alias_file(m->conf, err), *slash = path ? strrchr(path, '/') : NULL;
    char *dir = slash ? mem_dup_n(path, (size_t)(slash - path)) : NULL;
    bool ok = path && (access(path, F_OK) != 0 || fs_read(path, CONF_MAX_BYTES - 1, &all, err));
    if (ok && all.n > 0 && all.p[all.n - 1] != '\n')
        buf_addc(&all, '\n');
    ok = ok && (buf_adds(&all, buf_str(&m->lines)) || err_set(err, ERR_LIMIT, "%s would be too long", path)) &&
         (!dir || access(dir, F_OK) == 0 || fs_mkdir_private(dir, err)) &&
         fs_write_atomic(path, 0600, buf_str(&all), err);
    if (ok)
        printf("%u aliases added to %s, %u were there, %u cannot be used\n", m->added, path, m->known, m->wrong);
    free(dir);
    free(path);
    buf_fini(&all);
    return ok;
}

static int import(struct cli *cli, const char *file)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(IMPORT_MAX);
    struct importing m = {.conf = cli->conf, .lines = BUF_INIT(CONF_MAX_BYTES)};
    bool ok = fs_read(file, IMPORT_MAX, &text, &err);
    if (ok) {
        import_text(&m, buf_str(&text));
        if (m.added + m.known == 0)
            ok = err_set(&err, ERR_PARSE, "%s: no aliases of mutt or abook, and no vCards with an address", file);
    }
    ok = ok && (!m.lines.full || err_set(&err, ERR_LIMIT, "%s has too many aliases", file)) && keep(&m, &err);
    buf_fini(&text);
    buf_fini(&m.lines);
    return ok ? 0 : cli_fail(&err);
}

/* What is found by words, in the address book and among those met. */
static bool print_words(struct cli *cli, const char *account, enum address_format format, uint32_t most, bool *any_r,
                        struct err *err)
{
    struct buf words = BUF_INIT(1000), out = BUF_INIT(8u << 20);
    struct founds all = {.n = 0};
    for (int i = 0; i < cli->argc; i++)
        buf_addf(&words, "%s%s", i ? " " : "", cli->argv[i]);
    bool ok = find(cli, account, buf_str(&words), most, &all, err);
    if (ok && format == ADDRESS_JSON)
        buf_addc(&out, '[');
    else if (ok && format == ADDRESS_MUTT) /* a line for the person comes first */
        buf_addf(&out, "addresses met in mail\n");
    for (size_t i = 0; ok && i < MIN(all.n, (size_t)most); i++)
        if (format == ADDRESS_JSON)
            put_json(&out, &all.list[i], i == 0);
        else
            put_address(&out, str_z(all.list[i].name), str_z(all.list[i].addr), format);
    if (ok && format == ADDRESS_JSON)
        buf_addz(&out, "]\n");
    *any_r = all.n > 0;
    ok = ok && (out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output"));
    buf_fini(&words);
    buf_fini(&out);
    founds_free(&all);
    return ok;
}

/* "sender,recipients,count", as notmuch address names them. */
static bool outputs(const char *option, struct senders *s, struct err *err)
{
    struct str rest = str_z(option), word;
    bool ok = true;
    while (ok && rest.n > 0 && str_split(&rest, ',', &word)) {
        unsigned place = 0;
        char *one = mem_dup_n(word.p, word.n);
        ok = cli_choice("--output", one, "sender recipients count", &place, err);
        free(one);
        s->sender = s->sender || (ok && place == 0);
        s->recipients = s->recipients || (ok && place == 1);
        s->count = s->count || (ok && place == 2);
    }
    s->sender = s->sender || !s->recipients;
    return ok;
}

int address_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    const char *format = "text", *limit = "", *account = "", *query = NULL, *unique = "address", *output = "";
    bool count = false, any = false;
    const struct cli_opt opts[] = {{"--format", &format, NULL},      {"--limit", &limit, NULL},
                                   {"--account", &account, NULL},    {"--query", &query, NULL},
                                   {"--deduplicate", &unique, NULL}, {"--count", NULL, &count},
                                   {"--output", &output, NULL}};
    unsigned kind = 0, which = 0;
    uint32_t most;
    bool ok = cli_options(cli, opts, COUNT(opts), &err) &&
              cli_choice("--format", format, "text mutt json", &kind, &err) &&
              cli_choice("--deduplicate", unique, "address mailbox no", &which, &err) &&
              (!account[0] || cli_account(cli, account, &err));
    if (ok && cli->argc == 2 && strcmp(cli->argv[0], "import") == 0)
        return import(cli, cli->argv[1]);
    if (ok && !query && (which != UNIQUE_ADDRESS || count || *output))
        ok = err_set(&err, ERR_USAGE, "--output, --deduplicate and --count go with --query");
    struct senders senders = {.count = count};
    ok = ok && outputs(output, &senders, &err);
    count = senders.count;
    if (ok && query && cli->argc > 0)
        ok = err_set(&err, ERR_USAGE, "--query QUERY takes no other words: put the query in quotes");
    if (ok && count && which == UNIQUE_NO)
        ok = err_set(&err, ERR_USAGE, "--count counts what --deduplicate leaves: address or mailbox");
    most = query ? 0 : 100;
    ok = ok && (!limit[0] || cli_number("--limit", limit, query ? UINT32_MAX : ADDRESSES_MAX, &most, &err));
    senders.question = (struct question){.query = query, .account = account};
    senders.unique = (enum address_unique)which;
    senders.format = (enum address_format)kind;
    senders.most = most;
    ok = ok && (query ? senders_print(cli, &senders, &any, &err)
                      : print_words(cli, account, (enum address_format)kind, most, &any, &err));
    return !ok ? cli_fail(&err) : !any;
}
