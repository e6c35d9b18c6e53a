/* Lines of tuimailrc that come while accounts are open: what each of them changes here and in the other programs. */
#include "store/account.h"

/* What may change; theirs are not moved by it. */
static bool setting_ok(const struct line *line, struct err *err)
{
    static const char *const words[] = {"mailbox", "tag-keyword", "rule"};
    const struct option *o = setting_option(line, NULL);
    for (size_t i = 0; i < COUNT(words); i++)
        if (line->n > 0 && strcmp(line->words[0], words[i]) == 0)
            return true;
    if (o && o->acts == ACTS_START)
        return err_set(err, ERR_USAGE, "option %s acts when tuimail starts", o->name);
    return (o && o->acts != ACTS_SCREEN) || err_set(err, ERR_USAGE, "it is nothing that the store does");
}

/* What accounts were told of the configuration when they were opened. */
static void acct_told(struct acct *a)
{
    if (a->db) {
        struct buf self = BUF_INIT(16384);
        account_addresses(a->conf, &self);
        db_set_self(a->db, buf_str(&self));
        buf_fini(&self);
        db_set_purge_hold(a->db, a->srv->conf->purge_hold);
        db_set_tag_names(a->db, conf_tag_names(a->srv->conf, a->name));
        acct_threads(a);
        cache_policies(a);
    }
    acct_pump(a);
}

static bool one_of(const char *name, const char *names)
{
    struct str rest = str_z(names), one;
    while (str_split(&rest, ' ', &one))
        if (str_eqz(one, name))
            return true;
    return false;
}

static void acct_changed(struct acct *a, const struct option *o)
{
    if (o->acts == ACTS_CONNECTION || one_of(o->name, "sieve sieve-tunnel"))
        sieve_moved(a);
    if (o->acts == ACTS_CONNECTION || strncmp(o->name, "send", 4) == 0)
        outbox_again(a);
    if (o->acts == ACTS_CONNECTION)
        acct_renew(a);
    else if (strcmp(o->name, "interval") == 0)
        pop_interval(a);
    else if (one_of(o->name, "inbox snoozed archive drafts sent spam trash"))
        a->list_at = 0; /* the next list of the server's gives them their roles */
}

/* Those of all accounts. */
static void server_changed(struct server *s, const struct option *o)
{
    if (strcmp(o->name, "index-database") == 0) {
        own_free(&s->own);
        for (size_t i = 0; i < s->naccts; i++)
            s->accts[i]->own_asked = false;
        s->own = own_new(s);
        own_pump(s->own);
    } else if (strcmp(o->name, "log-level") == 0) {
        log_open("store", (enum log_level)s->conf->log_level);
    }
}

static void option_changed(struct server *s, const struct option *o, const char *account, struct str text)
{
    SPAWN(s, SETTING, .line = text);
    if (!account[0])
        server_changed(s, o);
    for (size_t i = 0; i < s->naccts; i++)
        if (!account[0] || strcmp(account, s->accts[i]->name) == 0)
            acct_changed(s->accts[i], o);
}

void setting_take(struct client *c, const struct m_SETTING *q)
{
    struct server *s = c->srv;
    struct str rest = q->line;
    struct line line = {0};
    struct err err = ERR_INIT;
    unsigned number = 1;
    int got = line_next(&rest, "", &number, &line, &err);
    bool ok = got > 0 && setting_ok(&line, &err);
    bool rule = ok && strcmp(line.words[0], "rule") == 0;
    const char *account = "";
    const struct option *o = ok ? setting_option(&line, &account) : NULL;
    struct buf was = BUF_INIT(LINE_MAX_BYTES), is = BUF_INIT(LINE_MAX_BYTES);
    if (o)
        option_get(s->conf, conf_account(s->conf, account), o, &was);
    if (rule)
        rules_change(s->rules);
    ok = ok && (rule && q->drop ? conf_rule_drop(s->conf, &line, &err) : conf_run(s->conf, &line, &err));
    if (rule)
        rules_changed(s->rules);
    if (rule && ok)
        server_conf_taken(s);
    if (ok && o)
        option_get(s->conf, conf_account(s->conf, account), o, &is);
    if (ok && o && !str_eq(buf_str(&was), buf_str(&is)))
        option_changed(s, o, account, q->line);
    buf_fini(&was);
    buf_fini(&is);
    if (got > 0)
        line_fini(&line);
    for (size_t i = 0; ok && i < s->naccts; i++)
        acct_told(s->accts[i]);
    if (ok)
        ANSWER(s, c->id, -1, INTENT_OK, .req = q->req);
    else
        server_refuse(s, c->id, q->req, err.kind ? err.kind : ERR_USAGE, err.text);
}
