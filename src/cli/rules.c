/* tuimail rules: lists them, shows what they would do, lets them loose on old mail. */
#include "cli/cli.h"

#include <unistd.h>

#include "client/client.h"
#include "mail/row.h"

#define ANSWER_MS (5 * 60 * 1000)
#define CHUNK 4000 /* messages in one query or request: their ids fill a field */
#define MAILS_MAX 1000000
#define NEW_MAIL "tag:unread and in:inbox"

struct mail {
    uint64_t msg;
    size_t effect;
    int64_t date;
    char *from, *subject;
};
/* One account's mails that the query matches, and what the rules come to for each. */
struct looked {
    const struct account *account;
    struct mail *mails;
    size_t n, cap;
    struct rule_effects effects;
    bool *hit;
};
struct ruling {
    struct cli *cli;
    struct chan *search;
    struct looked *all; /* by account */
    bool broken;        /* a rule's query */
};

/* ---- Words -------------------------------------------------------------------------------------- */
static void put_part(struct buf *out, size_t from, const char *fmt, const char *value)
{
    if (out->n > from)
        buf_addz(out, ", ");
    buf_addz(out, fmt);
    out_text(out, str_z(value));
}

static void put_actions(struct buf *out, const char *folder, const char *tags, bool read, bool flag, bool stop)
{
    size_t from = out->n;
    if (folder && folder[0])
        put_part(out, from, "to ", folder);
    if (tags[0])
        put_part(out, from, "tags ", tags);
    if (read)
        put_part(out, from, "read", "");
    if (flag)
        put_part(out, from, "flagged", "");
    if (stop)
        put_part(out, from, "stop", "");
    if (out->n == from)
        buf_addz(out, "nothing");
}

/* The part of "FILE:LINE" before the line, and its colon. */
static size_t file_of(const char *place)
{
    const char *colon = strrchr(place, ':');
    return colon ? (size_t)(colon + 1 - place) : 0;
}

/* The places of the rules that led to an effect, in their order: "tuimailrc:3, 7, more:2". */
static void put_places(struct buf *out, const struct rule_effects *all, size_t effect)
{
    size_t n = 0, at = effect;
    for (; at; at = all->list[at].from)
        n++;
    const char **places = mem_array(n + 1, sizeof *places);
    for (at = effect; at; at = all->list[at].from)
        places[--n] = all->list[at].last->defined_in;
    for (size_t i = 0; places[i]; i++) {
        size_t file = file_of(places[i]);
        bool same = i && file == file_of(places[i - 1]) && strncmp(places[i], places[i - 1], file) == 0;
        buf_addz(out, i ? ", " : "");
        out_text(out, str_z(places[i] + (same ? file : 0)));
    }
    free(places);
}

static bool list(struct cli *cli, struct err *err)
{
    struct buf out = BUF_INIT(1u << 20);
    const struct conf *conf = cli->conf;
    for (size_t i = 0; i < conf->nrules; i++) {
        const struct rule *r = &conf->rules[i];
        out_text(&out, str_z(r->defined_in));
        buf_addz(&out, "  ");
        out_text(&out, str_z(r->query));
        buf_addz(&out, "  ->  ");
        put_actions(&out, r->folder, r->tags, r->read, r->flag, r->stop);
        if (r->tagged)
            put_part(&out, 0, "when tagged", "");
        if (r->account[0])
            put_part(&out, 0, "account ", r->account);
        buf_addc(&out, '\n');
    }
    if (conf->nrules == 0)
        buf_addz(&out, "no rules: tuimailrc(5) tells of the command rule\n");
    bool ok = out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output");
    buf_fini(&out);
    return ok;
}

/* ---- Asking search ------------------------------------------------------------------------------ */
static bool ask(struct ruling *r, struct looked *l, const char *query, struct str msgs, hit_fn *fn, struct err *err)
{
    const struct question q = {.query = query, .account = l->account->name, .msgs = msgs};
    return search_ask(r->search, &q, fn, l, err);
}

static bool mail_add(void *arg, const struct m_HIT *h, struct err *err)
{
    struct looked *l = arg;
    (void)err;
    if (h->msg == 0 || l->n == MAILS_MAX)
        return true;
    if (l->n == l->cap)
        l->mails = mem_resize(l->mails, l->cap = l->cap ? l->cap * 2 : 64, sizeof *l->mails);
    l->mails[l->n++] = (struct mail){.msg = h->msg,
                                     .date = h->date,
                                     .from = mem_dup_n(h->from.p, h->from.n),
                                     .subject = mem_dup_n(h->subject.p, h->subject.n)};
    return true;
}

static int by_msg(const void *a, const void *b)
{
    const struct mail *x = a, *y = b;
    return (x->msg > y->msg) - (x->msg < y->msg);
}

static int newest(const void *a, const void *b)
{
    const struct mail *x = a, *y = b;
    return x->date != y->date ? (x->date < y->date) - (x->date > y->date) : by_msg(a, b);
}

static bool mail_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct looked *l = arg;
    (void)err;
    struct mail key = {.msg = h->msg};
    struct mail *m = l->n ? bsearch(&key, l->mails, l->n, sizeof key, by_msg) : NULL;
    if (m)
        l->hit[m - l->mails] = true;
    return true;
}

/* One rule over what no -stop holds. A broken query is said, and the others go on. */
static bool rule_look(struct ruling *r, struct looked *l, const struct rule *rule, struct err *err)
{
    struct buf msgs = BUF_INIT(32768);
    bool ok = true;
    memset(l->hit, 0, l->n * sizeof *l->hit);
    for (size_t i = 0; ok && i <= l->n; i++) {
        bool end = i == l->n, stopped = !end && l->effects.n && l->effects.list[l->mails[i].effect].stop;
        if (!end && !stopped)
            ipc_ids_add(&msgs, l->mails[i].msg);
        if (msgs.n && (end || ipc_ids_count(buf_str(&msgs)) == CHUNK)) {
            ok = ask(r, l, rule->query, buf_str(&msgs), mail_hit, err);
            buf_reset(&msgs);
        }
    }
    buf_fini(&msgs);
    if (!ok && err->kind == ERR_QUERY) {
        fprintf(stderr, "tuimail: %s: rule \"%.200s\": %s\n", rule->defined_in, rule->query, err->text);
        *err = ERR_INIT;
        r->broken = true;
        return true;
    }
    for (size_t i = 0; ok && i < l->n; i++)
        if (l->hit[i])
            l->mails[i].effect = rule_effect_with(&l->effects, l->mails[i].effect, rule);
    return ok;
}

static bool account_look(struct ruling *r, struct looked *l, const char *query, struct err *err)
{
    const struct conf *conf = r->cli->conf;
    if (!ask(r, l, query, STR(""), mail_add, err))
        return false;
    if (l->n)
        qsort(l->mails, l->n, sizeof *l->mails, by_msg);
    l->hit = mem_array(l->n + 1, sizeof *l->hit);
    bool ok = true;
    for (size_t i = 0; ok && l->n && i < conf->nrules; i++)
        if (rule_fits(&conf->rules[i], l->account->name))
            ok = rule_look(r, l, &conf->rules[i], err);
    if (l->n)
        qsort(l->mails, l->n, sizeof *l->mails, newest);
    return ok;
}

/* ---- Saying it ---------------------------------------------------------------------------------- */
static const struct rule_effect *effect_of(const struct looked *l, const struct mail *m)
{
    return m->effect ? &l->effects.list[m->effect] : NULL;
}

static bool changes(const struct looked *l, const struct mail *m)
{
    const struct rule_effect *e = effect_of(l, m);
    return e && rule_does(e);
}

static void counts(const struct ruling *r, size_t *mails, size_t *changed)
{
    *mails = *changed = 0;
    for (size_t i = 0; i < r->cli->conf->naccounts; i++)
        for (size_t k = 0; k < r->all[i].n; k++) {
            *mails += 1;
            *changed += changes(&r->all[i], &r->all[i].mails[k]);
        }
}

/* What would be done: of the mails that nothing is done to there is a number alone. */
static bool say(const struct ruling *r, struct err *err)
{
    struct buf out = BUF_INIT(1u << 20);
    bool ok = true;
    for (size_t i = 0; i < r->cli->conf->naccounts; i++) {
        const struct looked *l = &r->all[i];
        for (size_t k = 0; ok && k < l->n; k++) {
            const struct mail *m = &l->mails[k];
            const struct rule_effect *e = effect_of(l, m);
            if (!e || !changes(l, m))
                continue;
            out_date(&out, m->date);
            buf_addz(&out, "  ");
            out_text(&out, str_z(m->from));
            buf_addz(&out, "  ");
            out_text(&out, str_z(m->subject));
            buf_addz(&out, "\n    ");
            put_actions(&out, e->folder, e->tags, e->read, e->flag, false);
            buf_addz(&out, "  by ");
            put_places(&out, &l->effects, m->effect);
            buf_addc(&out, '\n');
            if (out.n > (1 << 18))
                ok = out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output");
        }
    }
    size_t mails, changed;
    counts(r, &mails, &changed);
    buf_addf(&out, "%zu message%s, %zu of them changed by rules\n", mails, mails == 1 ? "" : "s", changed);
    ok = ok && (out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output"));
    buf_fini(&out);
    return ok;
}

/* ---- Doing it ----------------------------------------------------------------------------------- */
static bool agreed(const struct ruling *r, bool yes, struct err *err)
{
    size_t mails, changed;
    char answer[16] = "";
    counts(r, &mails, &changed);
    if (yes)
        return true;
    if (!isatty(STDIN_FILENO))
        return err_set(err, ERR_USAGE, "nobody can be asked: add --yes to change %zu message%s", changed,
                       changed == 1 ? "" : "s");
    fprintf(stderr, "Change %zu of %zu message%s? [y/N] ", changed, mails, mails == 1 ? "" : "s");
    bool got = fgets(answer, sizeof answer, stdin) != NULL;
    return (got && (answer[0] == 'y' || answer[0] == 'Y')) || err_set(err, ERR_CANCELED, "nothing is changed");
}

/* Exactly what was shown: the store may have other rules in mind. */
static bool effect_run(struct client *c, const struct looked *l, size_t effect, uint32_t *req, uint32_t *count,
                       uint64_t *group, struct err *err)
{
    const struct rule_effect *e = &l->effects.list[effect];
    struct buf msgs = BUF_INIT(32768);
    bool ok = true;
    for (size_t i = 0; ok && i <= l->n; i++) {
        if (i < l->n && l->mails[i].effect == effect)
            ipc_ids_add(&msgs, l->mails[i].msg);
        if (msgs.n == 0 || (i < l->n && ipc_ids_count(buf_str(&msgs)) < CHUNK))
            continue;
        struct msg m;
        ok = SEND(c->chan, -1, err, RULES_DO, .req = ++*req, .account = str_z(l->account->name), .msgs = buf_str(&msgs),
                  .folder = str_z(e->folder), .tags = str_z(e->tags),
                  .flags = (e->read ? FLAG_SEEN : 0) | (e->flag ? FLAG_FLAGGED : 0), .group = *group);
        int got = ok ? client_wait(c, MSG_INTENT_OK, *req, clock_mono_ms() + ANSWER_MS, NULL, NULL, &m, err) : -1;
        if (got == 0)
            err_set(err, ERR_TIMEOUT, "the store did not answer");
        ok = got > 0;
        if (got > 0) {
            *count += m.u.INTENT_OK.count;
            *group = m.u.INTENT_OK.group;
        }
        buf_reset(&msgs);
    }
    buf_fini(&msgs);
    return ok;
}

static bool run(struct ruling *r, struct err *err)
{
    const struct cli *cli = r->cli;
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "rules", .offline = cli->offline};
    struct client *c = client_connect(&args, err);
    uint32_t req = 0, count = 0;
    bool ok = c != NULL;
    for (size_t i = 0; ok && i < cli->conf->naccounts; i++) {
        uint64_t group = 0;
        for (size_t k = 1; ok && k < r->all[i].effects.n; k++)
            if (rule_does(&r->all[i].effects.list[k]))
                ok = effect_run(c, &r->all[i], k, &req, &count, &group, err);
    }
    client_close(&c);
    if (ok)
        printf("%u message%s changed; the key for undo takes it back\n", count, count == 1 ? "" : "s");
    return ok;
}

static void ruling_free(struct ruling *r)
{
    for (size_t i = 0; r->all && i < r->cli->conf->naccounts; i++) {
        struct looked *l = &r->all[i];
        for (size_t k = 0; k < l->n; k++) {
            free(l->mails[k].from);
            free(l->mails[k].subject);
        }
        free(l->mails);
        free(l->hit);
        rule_effects_free(&l->effects);
    }
    free(r->all);
}

static bool look(struct cli *cli, const char *query, const char *account, bool do_it, bool yes, struct err *err)
{
    struct ruling r = {.cli = cli};
    struct open_role h = {.pid = 0};
    const struct conf *conf = cli->conf;
    bool ok = role_open(cli, ROLE_SEARCH, NULL, &h, err);
    r.search = h.chan;
    r.all = mem_array(conf->naccounts + 1, sizeof *r.all);
    for (size_t i = 0; i < conf->naccounts; i++)
        r.all[i].account = &conf->accounts[i];
    for (size_t i = 0; ok && i < conf->naccounts; i++)
        if (conf_has_rules(conf, conf->accounts[i].name) &&
            (!account[0] || strcmp(account, conf->accounts[i].name) == 0))
            ok = account_look(&r, &r.all[i], query, err);
    role_close(&h);
    size_t mails, changed;
    counts(&r, &mails, &changed);
    ok = ok && say(&r, err);
    if (ok && do_it && changed > 0)
        ok = agreed(&r, yes, err) && run(&r, err);
    ruling_free(&r);
    return ok && (!r.broken || err_set(err, ERR_QUERY, "not all rules could be asked"));
}

int rules_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    bool dry = false, do_it = false, yes = false;
    const char *account = "";
    const struct cli_opt opts[] = {
        {"--dry-run", NULL, &dry}, {"--run", NULL, &do_it}, {"--yes", NULL, &yes}, {"--account", &account, NULL}};
    struct buf query = BUF_INIT(8192);
    bool ok = cli_options(cli, opts, COUNT(opts), &err) && (!account[0] || cli_account(cli, account, &err));
    for (int i = 0; i < cli->argc; i++)
        buf_addf(&query, "%s%s", i ? " " : "", cli->argv[i]);
    if (ok && query.full)
        ok = err_set(&err, ERR_LIMIT, "the query is longer than 8 KB");
    else if (ok && do_it && query.n == 0)
        ok = err_set(&err, ERR_USAGE, "write: tuimail rules --run QUERY");
    else if (ok && !dry && !do_it && query.n)
        ok = err_set(&err, ERR_USAGE, "write: tuimail rules --dry-run QUERY, or tuimail rules --run QUERY");
    else if (ok && !dry && !do_it)
        ok = list(cli, &err);
    else if (ok)
        ok = look(cli, query.n ? buf_z(&query) : NEW_MAIL, account, do_it && !dry, yes, &err);
    if (!ok && err.kind == ERR_QUERY && cli->argc > 1)
        fprintf(stderr, "tuimail: the query was put together of %d words, \"%.200s\": put it in quotes for the shell\n",
                cli->argc, buf_z(&query));
    buf_fini(&query);
    return ok ? 0 : cli_fail(&err);
}
