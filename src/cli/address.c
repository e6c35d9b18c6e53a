/* tuimail address: those met in mail, for other programs' completion. */
#include "cli/cli.h"

#include "mail/mail.h"
#include "store/read.h"

#define ADDRESSES_MAX 200

struct addresses {
    struct buf out, seen; /* seen: one a line, in lower case */
    unsigned format;      /* text, mutt */
    uint32_t n, limit;
};

static bool is_new(struct addresses *l, struct str addr)
{
    struct str rest = buf_str(&l->seen), one;
    while (str_split(&rest, '\n', &one))
        if (one.n && str_case_eq(one, addr))
            return false;
    buf_adds(&l->seen, addr);
    buf_addc(&l->seen, '\n');
    return true;
}

static void put_address(void *arg, struct str name, struct str addr)
{
    struct addresses *l = arg;
    struct buf line = BUF_INIT(2000);
    if (l->n >= l->limit || !is_new(l, addr))
        return;
    l->n++;
    if (l->format) { /* as mutt's query_command wants it: address, tab, name */
        out_text(&l->out, addr);
        buf_addc(&l->out, '\t');
        out_text(&l->out, name.n ? name : addr);
    } else {
        mail_addr_show(name, addr, &line);
        out_text(&l->out, buf_str(&line));
    }
    buf_addc(&l->out, '\n');
    buf_fini(&line);
}

int address_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    const char *format = "text", *limit = "100", *account = "";
    const struct cli_opt opts[] = {
        {"--format", &format, NULL}, {"--limit", &limit, NULL}, {"--account", &account, NULL}};
    struct addresses l = {.out = BUF_INIT(1u << 20), .seen = BUF_INIT(1u << 20)};
    struct buf words = BUF_INIT(1000);
    bool ok =
        cli_options(cli, opts, COUNT(opts), &err) && cli_choice("--format", format, "text mutt", &l.format, &err) &&
        cli_number("--limit", limit, ADDRESSES_MAX, &l.limit, &err) && (!account[0] || cli_account(cli, account, &err));
    for (int i = 0; i < cli->argc; i++)
        buf_addf(&words, "%s%s", i ? " " : "", cli->argv[i]);
    char *state = ok ? cli_state(cli->conf, cli->root) : NULL;
    if (ok && l.format) /* a line for the person comes first */
        buf_addf(&l.out, "addresses met in mail\n");
    for (size_t i = 0; ok && i < cli->conf->naccounts; i++) {
        if (account[0] && strcmp(account, cli->conf->accounts[i].name) != 0)
            continue;
        struct reader *r = reader_open(state, cli->conf->accounts[i].name, &err);
        ok = r && reader_addresses(r, buf_str(&words), l.limit, put_address, &l, &err);
        reader_close(&r);
    }
    ok = ok && (out_flush(&l.out) || err_set(&err, ERR_IO, "nobody reads the output"));
    free(state);
    buf_fini(&words);
    buf_fini(&l.out);
    buf_fini(&l.seen);
    return !ok ? cli_fail(&err) : l.n == 0;
}
