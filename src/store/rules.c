/* Rules over mail that has arrived, over mail whose tags were changed, and over what a client names: each rule is one
 * query of `search` over a batch of an account's messages; what the rules come to is recorded as intents in the burst
 * that takes the marks of arrival away.
 *
 * A rule whose query is broken, or that ends the program again and again, is named and passed by. Without the index the
 * mail waits in INBOX with its mark. */
#include "store/server.h"

#include <unistd.h>

#include "store/account.h"

#define BATCH_MAX 4096
#define QUERY_MS 60000 /* then the rule is as good as broken */
#define QUERY_TRIES 3
#define LACKS_MAX 3
#define TEXTS_MAX 8 /* asked for at once */
#define TEXTS_AGAIN_MS 10000
#define IDLE_STOP_MS 3000
#define AGAIN_MS 1000 /* after a failure; doubled up to ... */
#define AGAIN_MAX_MS 60000
#define LATELY_MAX 3 /* what more there is in an hour, something undoes each time */

/* What a client asked for. */
struct asked {
    struct asked *next;
    struct acct *acct;
    uint64_t client, deed;
    uint32_t req;
    size_t n;
    uint64_t msgs[];
};
struct rules {
    struct server *srv;
    struct peer *peer;
    uint64_t tag;
    struct asked *asked, *now; /* waiting in order; the one under way, NULL: arrivals */
    struct acct *acct;         /* of the batch; NULL: none is under way */
    bool tagged;               /* it is of mail whose tags were changed, in this way */
    struct db_tagged how;
    uint64_t msgs[BATCH_MAX]; /* rising */
    size_t effect[BATCH_MAX]; /* index into effects */
    bool hit[BATCH_MAX];
    size_t n, at; /* at: the rule whose query is out, or is next */
    struct rule_effects effects;
    uint32_t req;           /* of the query that is out; 0 none */
    uint32_t nasked, known; /* its messages; those that the index has */
    unsigned lacks;         /* batches given up for messages that it ought to have: it has just been made anew */
    unsigned tries;
    bool *broken; /* by rule: it was named */
    bool any_broken;
    char said[400]; /* of the last that is broken, told behind what the others did */
    bool look;      /* there may be arrivals that are ready */
    bool stuck;     /* it was said that they wait */
    bool failing;   /* the last batch, or the index, failed */
    uint64_t texts; /* the messages whose text was asked for last, as a sum */
    int64_t texts_again;
    int64_t not_before;
    unsigned failures;
    struct watch *timer, *deadline, *idle, *due; /* due: the next of db_tagged */
};

struct rules *rules_new(struct server *s)
{
    struct rules *x = mem_new(sizeof *x);
    x->srv = s;
    x->look = true;
    x->broken = mem_array(s->conf->nrules + 1, sizeof *x->broken);
    return x;
}

/* The program ends with its channel; one that does not listen is stopped. */
static void program_end(struct rules *x, bool stop)
{
    watch_free(&x->deadline);
    watch_free(&x->idle);
    peer_free(&x->peer);
    if (x->tag && stop)
        SPAWN(x->srv, STOP, .role = ROLE_SEARCH, .tag = x->tag);
    x->tag = 0;
    x->req = 0;
}

void rules_free(struct rules **rules)
{
    struct rules *x = *rules;
    *rules = NULL;
    if (!x)
        return;
    peer_free(&x->peer);
    watch_free(&x->timer);
    watch_free(&x->deadline);
    watch_free(&x->idle);
    watch_free(&x->due);
    for (struct asked *a = x->asked, *next; a; a = next) {
        next = a->next;
        free(a);
    }
    free(x->now);
    rule_effects_free(&x->effects);
    free(x->broken);
    free(x);
}

static bool arrivals_wait(const struct rules *x)
{
    for (size_t i = 0; i < x->srv->naccts; i++)
        if (x->srv->accts[i]->db && (db_arrivals_any(x->srv->accts[i]->db) || db_tagged_any(x->srv->accts[i]->db)))
            return true;
    return false;
}

bool rules_busy(const struct rules *x)
{
    return x->acct || x->asked || (!x->failing && arrivals_wait(x));
}

static void timer_fired(void *arg)
{
    struct rules *x = arg;
    x->timer = NULL;
    rules_pump(x);
}

void rules_look(struct rules *x)
{
    x->look = true;
    x->failing = x->stuck = false;
}

/* Once for each time that mail waits for it. */
void rules_stuck(struct rules *x, const char *why)
{
    x->failing = true;
    for (size_t i = 0; i < x->srv->naccts && !x->stuck; i++) {
        struct acct *a = x->srv->accts[i];
        if (!a || !a->db || !db_arrivals_any(a->db))
            continue;
        acct_note(a, 1, ERR_INDEX, "new mail of %s stays in INBOX until the rules can use the search index: %s",
                  a->name, why);
        x->stuck = true;
    }
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        struct err err = ERR_INIT;
        if (!a || !a->db || db_in_burst(a->db) || !db_arrivals_any(a->db))
            continue;
        if (!db_arrivals_tell(a->db, &err))
            acct_db_error(a, &err);
        acct_settle(a);
    }
}

/* ---- A batch ------------------------------------------------------------------------------------ */
static void batch_end(struct rules *x)
{
    free(x->now);
    x->now = NULL;
    x->acct = NULL;
    x->tagged = false;
    x->n = 0;
    x->req = 0;
    x->tries = 0;
    watch_free(&x->deadline);
    rule_effects_free(&x->effects);
}

/* Nothing is recorded: the marks stay, and it is done again. */
static void batch_fail(struct rules *x, enum err_kind kind, const char *why)
{
    if (x->now)
        server_refuse(x->srv, x->now->client, x->now->req, kind, why);
    else if (kind)
        rules_stuck(x, why);
    batch_end(x);
    x->failing = x->look = true;
    int64_t wait = MIN((int64_t)AGAIN_MS << MIN(x->failures, 10u), (int64_t)AGAIN_MAX_MS);
    x->failures++;
    x->not_before = clock_mono_ms() + wait;
    watch_free(&x->timer);
    x->timer = loop_after(x->srv->loop, wait, timer_fired, x);
}

void rules_change(struct rules *x)
{
    if (x->acct)
        batch_fail(x, x->now ? ERR_CANCELED : ERR_NONE, "the rules have changed meanwhile");
}

void rules_box_made(struct rules *x)
{
    memset(x->broken, 0, (x->srv->conf->nrules + 1) * sizeof *x->broken);
    x->any_broken = false;
}

void rules_changed(struct rules *x)
{
    x->broken = mem_resize(x->broken, x->srv->conf->nrules + 1, sizeof *x->broken);
    rules_box_made(x); /* they may be named once more */
    x->look = true;
    for (size_t i = 0; i < x->srv->naccts; i++)
        if (x->srv->accts[i]->db)
            db_set_rules(x->srv->accts[i]->db, conf_has_rules(x->srv->conf, x->srv->accts[i]->name), x->srv->conf);
}

static void rule_broken(struct rules *x, const char *why)
{
    const struct rule *r = &x->srv->conf->rules[x->at];
    if (!x->broken[x->at] || x->now) {
        snprintf(x->said, sizeof x->said, "%s: rule \"%.100s\": %s; the others go on", r->defined_in, r->query, why);
        log_msg(LOG_WARN, "%s", x->said);
    }
    x->broken[x->at] = x->any_broken = true;
}

static void ruled_add(struct ruled *r, const char *what, uint32_t count)
{
    size_t i = 0;
    r->count += count;
    while (i < r->n && strcmp(r->list[i].what, what) != 0)
        i++;
    if (i == r->n) {
        r->list = mem_resize(r->list, r->n + 1, sizeof *r->list);
        r->list[r->n++] = (struct rule_did){.what = mem_dup_z(what)};
    }
    r->list[i].count += count;
}

void ruled_fini(struct ruled *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->list[i].what);
    free(r->list);
    *r = (struct ruled){.n = 0};
}

/* Of a batch that is kept by now: among what was done before. */
static void ruled_join(struct ruled *all, const struct ruled *r)
{
    for (size_t i = 0; i < r->n; i++)
        ruled_add(all, r->list[i].what, r->list[i].count);
    all->quiet = all->quiet || r->quiet;
}

static void done_say(struct ruled *d, const struct rule_effect *e, uint32_t count)
{
    struct buf what = BUF_INIT(1100);
    if (count == 0)
        return;
    if (e->folder)
        buf_addf(&what, " to %s", e->folder);
    else if (e->tags[0])
        buf_addf(&what, " tagged %s", e->tags);
    else
        buf_addz(&what, e->flag ? " flagged" : " read");
    ruled_add(d, buf_z(&what), count);
    buf_fini(&what);
}

/* What one effect does to its messages: *group (0: made) is their undo. follows: it is that of what they follow from.
 */
static bool effect_record(struct acct *a, const struct rule_effect *e, const uint64_t *ids, size_t n, bool automatic,
                          bool follows, uint64_t *group, uint32_t *count_r, struct err *err)
{
    uint64_t target = 0, mine = 0;
    if (e->folder && (target = acct_folder(a, e->folder, group, automatic, err)) == 0)
        return false;
    struct db_intent in = {.kind = INTENT_RULES,
                           .msgs = ids,
                           .n = n,
                           .target = target,
                           .set = (e->read ? FLAG_SEEN : 0) | (e->flag ? FLAG_FLAGGED : 0),
                           .arg = str_z(e->tags),
                           .now = clock_wall(),
                           .automatic = automatic,
                           .claim = automatic && !follows && a->imap && a->conf->rule_claim,
                           .follows = follows,
                           .group = *group};
    if (!db_intent_add(a->db, &in, &mine, NULL, count_r, err))
        return false;
    *group = *group ? *group : mine;
    return true;
}

static bool is_broken(const struct err *e)
{
    return e->kind == ERR_STORE || e->kind == ERR_DISK_FULL || e->kind == ERR_IO;
}

static void refusal_tell(struct rules *x, const struct rule *r, const struct err *why, struct ruled *done)
{
    done->quiet = done->quiet || why->kind != ERR_NO_MESSAGE;
    if (why->kind != ERR_NO_MESSAGE)
        acct_note(x->acct, 1, why->kind, "%s: rule \"%.100s\" could not be done: %s", r->defined_in, r->query,
                  why->text);
}

/* Could another device move the same message by the same rule, so that there were two of it? */
static bool may_be_two(const struct acct *a)
{
    return a->imap && a->conf->rule_claim && !a->moves_whole;
}

/* An account that refuses it (a mailbox that takes none) is told with the rule, and the rest of it is done; false: the
 * database failed. */
static bool effect_do(struct rules *x, size_t effect, uint64_t *group, struct ruled *done, struct err *err)
{
    struct rule_effect now = x->effects.list[effect], *e = &now;
    bool automatic = x->tagged ? x->how.group == 0 : x->now == NULL;
    uint64_t *ids = mem_array(x->n + 1, sizeof *ids);
    uint32_t count = 0;
    struct err why = ERR_INIT;
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        if (x->effect[i] == effect)
            ids[n++] = x->msgs[i];
    if (n > 0 && x->tagged && automatic && e->folder && may_be_two(x->acct)) {
        claim_unable(x->acct);
        e->folder = NULL;
    }
    bool ok = n == 0 || !rule_does(e) || effect_record(x->acct, e, ids, n, automatic, x->tagged, group, &count, &why);
    if (!ok && !is_broken(&why) && e->folder) {
        refusal_tell(x, e->filed, &why, done);
        why = ERR_INIT;
        e->folder = NULL;
        ok = !rule_does(e) || effect_record(x->acct, e, ids, n, automatic, x->tagged, group, &count, &why);
    }
    free(ids);
    if (ok)
        done_say(done, e, count);
    else if (is_broken(&why))
        *err = why;
    else
        refusal_tell(x, e->last, &why, done);
    return ok || !is_broken(&why);
}

/* Not over what was said of a rule that is broken or could not be done. */
static void ruled_say(struct acct *a, struct ruled *r, const char *kind)
{
    struct buf all = BUF_INIT(380);
    buf_addf(&all, "rules: %u %smessage%s:", r->count, kind, r->count == 1 ? "" : "s");
    for (size_t i = 0; i < r->n; i++)
        buf_addf(&all, "%s %u%s", i > 0 ? "," : "", r->list[i].count, r->list[i].what);
    const char *words = clean_line(buf_str(&all));
    if (r->quiet)
        log_msg(LOG_INFO, "%s: %s", a->name, words);
    else
        acct_note(a, 0, ERR_NONE, "%s", words);
    buf_fini(&all);
    ruled_fini(r);
}

/* One word for all that came in one pass. */
static void ruled_tell(struct rules *x, struct acct *a)
{
    struct ruled *r = &a->ruled;
    bool more = a->pop && (a->poprun || (db_arrivals_any(a->db) && !x->stuck));
    if (r->count > 0 && !more)
        ruled_say(a, r, "new ");
    else
        r->quiet = r->quiet && more;
}

/* What changes its tags again whenever a rule has done something is no person: devices whose rules differ, or a hook.
 */
static bool lately_often(struct acct *a, uint64_t msg)
{
    unsigned times = db_tagged_times(a->db, msg);
    if (times == LATELY_MAX + 1)
        acct_note(a, 1, ERR_NONE,
                  "rules: a message is tagged again each time that a rule has done something (do rules of another "
                  "device undo it?); it is left alone for an hour");
    return times > LATELY_MAX;
}

/* The marks go; what was changed since, or was undone, has another one or none. */
static bool marks_take(struct rules *x, struct err *err)
{
    for (size_t i = 0; i < x->n; i++) {
        bool is;
        if (!db_tagged_take(x->acct->db, &x->how, x->msgs[i], &is, err))
            return false;
        bool does = x->effects.n && rule_does(&x->effects.list[x->effect[i]]);
        if (!is || (does && x->how.group == 0 && lately_often(x->acct, x->msgs[i])))
            x->effect[i] = 0;
    }
    return true;
}

/* All effects and the end of the marks, or nothing. */
static void batch_done(struct rules *x)
{
    struct acct *a = x->acct;
    struct err err = ERR_INIT;
    struct ruled done = {.quiet = x->any_broken};
    uint64_t group = x->tagged ? x->how.group : 0;
    bool ok = db_begin(a->db, &err) && (!x->tagged || marks_take(x, &err));
    db_set_deed(a->db, x->tagged ? x->how.deed : x->now ? x->now->deed : 0);
    for (size_t i = 1; ok && i < x->effects.n; i++)
        ok = effect_do(x, i, &group, &done, &err);
    db_set_deed(a->db, 0);
    ok = ok && (x->now || x->tagged || db_arrivals_done(a->db, x->msgs, x->n, &err));
    if (!ok)
        db_rollback(a->db);
    else
        ok = db_commit(a->db, &err);
    if (ok && x->now)
        ANSWER(x->srv, x->now->client, -1, INTENT_OK, .req = x->now->req, .group = group, .count = done.count);
    else if (ok)
        ruled_join(x->tagged ? &a->retagged : &a->ruled, &done);
    ruled_fini(&done);
    if (x->said[0])
        acct_note(a, 1, ERR_QUERY, "%s", x->said);
    x->said[0] = '\0';
    if (ok) {
        x->failures = x->lacks = 0;
        batch_end(x);
    } else {
        acct_db_error(a, &err);
        batch_fail(x, err.kind, err.text);
    }
    acct_settle(a);
}

static bool is_asked(const struct rules *x, size_t at)
{
    const struct rule *r = &x->srv->conf->rules[at];
    return rule_fits(r, x->acct->name) && (x->now || !x->broken[at]) &&
           (!x->tagged || rule_heeds(r, str_z(x->how.tags)));
}

/* The messages that no -stop holds; the query of the next rule. False: there is none left. */
static bool next_query(struct rules *x)
{
    const struct conf *conf = x->srv->conf;
    struct buf msgs = BUF_INIT(32768);
    for (size_t i = 0; i < x->n; i++)
        if (!x->effects.n || !x->effects.list[x->effect[i]].stop)
            ipc_ids_add(&msgs, x->msgs[i]);
    while (x->at < conf->nrules && !is_asked(x, x->at))
        x->at++;
    bool more = msgs.n > 0 && x->at < conf->nrules;
    if (more) {
        x->nasked = x->known = (uint32_t)ipc_ids_count(buf_str(&msgs));
        memset(x->hit, 0, sizeof x->hit);
        x->req = (uint32_t)server_id(x->srv);
        PEER_SEND(x->peer, -1, QUERY, .req = x->req, .query = str_z(conf->rules[x->at].query),
                  .account = str_z(x->acct->name), .limit = UINT32_MAX, .count = 1, .msgs = buf_str(&msgs));
    }
    buf_fini(&msgs);
    return more;
}

/* ---- The program -------------------------------------------------------------------------------- */
static void go_on(struct rules *x);

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void on_hit(struct rules *x, const struct m_HIT *h)
{
    if (x->req == 0 || h->req != x->req)
        return;
    uint64_t *at = bsearch(&h->msg, x->msgs, x->n, sizeof h->msg, by_id);
    if (at)
        x->hit[at - x->msgs] = true;
}

static void query_over(struct rules *x)
{
    watch_free(&x->deadline);
    x->req = 0;
    x->tries = 0;
    x->at++;
    go_on(x);
}

static void on_query_done(struct rules *x, const struct m_QUERY_DONE *d)
{
    if (x->req == 0 || d->req != x->req)
        return;
    if (d->kind == ERR_INDEX) {
        batch_fail(x, ERR_INDEX, clean_line(d->text));
        return;
    }
    if (d->kind == ERR_NONE && x->known < x->nasked && !x->now && x->lacks++ < LACKS_MAX) {
        batch_fail(x, ERR_NONE, "");
        return;
    }
    if (d->kind != ERR_NONE) {
        rule_broken(x, clean_line(d->text));
    } else {
        const struct rule *r = &x->srv->conf->rules[x->at];
        for (size_t i = 0; i < x->n; i++)
            if (x->hit[i])
                x->effect[i] = rule_effect_with(&x->effects, x->effect[i], r);
    }
    query_over(x);
}

static void search_message(void *arg, struct msg *m)
{
    struct rules *x = arg;
    if (m->kind == MSG_HIT)
        on_hit(x, &m->u.HIT);
    else if (m->kind == MSG_HIT_COUNT && x->req && m->u.HIT_COUNT.req == x->req)
        x->known = m->u.HIT_COUNT.count;
    else if (m->kind == MSG_QUERY_DONE)
        on_query_done(x, &m->u.QUERY_DONE);
    if (m->fd >= 0)
        close(m->fd);
}

/* It ended in the middle of a rule: again, and when it does so every time the rule is passed by. */
static void ended(struct rules *x, const char *why)
{
    bool asked = x->req != 0;
    if (asked || (x->acct && !x->peer))
        log_msg(LOG_WARN, "rules: search: %s", why);
    program_end(x, true);
    if (!x->acct)
        return;
    if (++x->tries < QUERY_TRIES) {
        go_on(x);
    } else if (asked) {
        rule_broken(x, why);
        query_over(x);
    } else {
        batch_fail(x, ERR_INDEX, why);
    }
}

static void search_gone(void *arg, const struct err *err)
{
    ended(arg, err->kind ? err->text : "the program ended");
}

static const struct peer_ops search_ops = {.message = search_message, .gone = search_gone};

static void deadline_fired(void *arg)
{
    struct rules *x = arg;
    x->deadline = NULL;
    x->tries = QUERY_TRIES;
    ended(x, "its query takes more than a minute");
}

static void go_on(struct rules *x)
{
    watch_free(&x->idle);
    if (!x->peer && !x->tag) {
        x->tag = server_id(x->srv);
        SPAWN(x->srv, START, .role = ROLE_SEARCH, .tag = x->tag);
    }
    if (!x->peer)
        return;
    if (next_query(x))
        x->deadline = loop_after(x->srv->loop, QUERY_MS, deadline_fired, x);
    else
        batch_done(x);
}

void rules_started(struct rules *x, uint64_t tag, int fd)
{
    if (tag != x->tag || x->peer) {
        close(fd);
        return;
    }
    x->peer = peer_new(x->srv->loop, fd, ROLE_SEARCH, &search_ops, x);
    if (x->acct)
        go_on(x);
}

bool rules_exited(struct rules *x, uint64_t tag, struct str text)
{
    if (tag == 0 || tag != x->tag)
        return false;
    x->tag = 0;
    if (!x->peer) /* else its channel's end tells, after what it said last */
        ended(x, clean_line(text));
    return true;
}

/* ---- What is next ------------------------------------------------------------------------------- */
static void idle_fired(void *arg)
{
    struct rules *x = arg;
    x->idle = NULL;
    if (!x->acct)
        program_end(x, false);
}

static void batch_begin(struct rules *x, struct acct *a, size_t n)
{
    x->acct = a;
    x->n = n;
    qsort(x->msgs, n, sizeof *x->msgs, by_id);
    x->at = 0;
    memset(x->effect, 0, sizeof x->effect);
    go_on(x);
}

static bool next_asked(struct rules *x)
{
    struct asked *q = x->asked;
    if (!q)
        return false;
    x->asked = q->next;
    x->now = q;
    memcpy(x->msgs, q->msgs, q->n * sizeof *q->msgs);
    batch_begin(x, q->acct, q->n);
    return true;
}

/* May what the rules do be recorded now? */
static bool can_begin(const struct acct *a)
{
    return !db_in_burst(a->db) && !a->held && (!a->imap || acct_listed(a));
}

/* The text of new mail that the rules want to read: newest first, some at a time. */
static void texts_ask(struct rules *x, struct acct *a)
{
    uint64_t msgs[TEXTS_MAX], these = 0;
    size_t n = 0;
    int64_t now = clock_mono_ms();
    struct err err = ERR_INIT;
    if (a->line != LINE_UP)
        return;
    if (!db_arrivals_bare(a->db, msgs, COUNT(msgs), &n, &err))
        acct_db_error(a, &err);
    for (size_t i = 0; i < n; i++)
        these = these * 31 + msgs[i];
    if (these == x->texts && now < x->texts_again) /* the same again: not at once */
        return;
    x->texts = these;
    x->texts_again = now + TEXTS_AGAIN_MS;
    for (size_t i = 0; i < n; i++)
        if (!open_wants(a, msgs[i]))
            open_ask(a, 0, &(struct m_OPEN){.msg = msgs[i], .prefetch = 1});
}

static bool next_arrivals(struct rules *x, bool *more)
{
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        struct db_arrivals found;
        struct err err = ERR_INIT;
        if (!a->db || !db_arrivals_any(a->db))
            continue;
        if (!can_begin(a)) {
            *more = true;
            continue;
        }
        bool text = a->imap && conf_rules_read_text(x->srv->conf, a->name);
        if (!db_arrivals(a->db, text, x->msgs, BATCH_MAX, &found, &err)) {
            acct_db_error(a, &err);
            *more = true;
        } else if (found.ready > 0) {
            batch_begin(x, a, found.ready);
            return true;
        } else if (text && found.waiting > 0) {
            texts_ask(x, a);
            *more = true;
        }
    }
    return false;
}

static void due_fired(void *arg)
{
    struct rules *x = arg;
    x->due = NULL;
    x->look = true;
    rules_pump(x);
}

static bool next_tagged(struct rules *x, bool *more)
{
    for (size_t i = 0; i < x->srv->naccts; i++) {
        struct acct *a = x->srv->accts[i];
        struct err err = ERR_INIT;
        int64_t now = clock_wall();
        if (!a->db || !db_tagged_any(a->db))
            continue;
        if (!can_begin(a)) {
            *more = true;
            continue;
        }
        size_t n = db_tagged(a->db, now, x->msgs, BATCH_MAX, &x->how, &err);
        if (err.kind)
            acct_db_error(a, &err);
        if (n > 0) {
            x->tagged = true;
            batch_begin(x, a, n);
            return true;
        }
        if (x->how.due > now && !x->due)
            x->due = loop_after(x->srv->loop, (x->how.due - now) * 1000, due_fired, x);
    }
    return false;
}

static bool next_marked(struct rules *x)
{
    bool more = false;
    if (next_arrivals(x, &more) || next_tagged(x, &more))
        return true;
    for (size_t i = 0; i < x->srv->naccts; i++)
        if (x->srv->accts[i]->retagged.count > 0)
            ruled_say(x->srv->accts[i], &x->srv->accts[i]->retagged, "");
    x->look = more;
    return false;
}

void rules_pump(struct rules *x)
{
    for (size_t i = 0; x && i < x->srv->naccts; i++)
        if (x->srv->accts[i]->db)
            ruled_tell(x, x->srv->accts[i]);
    if (!x || x->acct || !x->srv->spawn || clock_mono_ms() < x->not_before)
        return;
    if (next_asked(x) || (x->look && next_marked(x)))
        return;
    if (x->peer && !x->idle)
        x->idle = loop_after(x->srv->loop, IDLE_STOP_MS, idle_fired, x);
}

void rules_ask(struct rules *x, struct acct *a, uint64_t client, const struct m_RULES_RUN *m)
{
    size_t n = ipc_ids_count(m->msgs);
    if (n == 0 || n > BATCH_MAX || !conf_has_rules(x->srv->conf, a->name)) {
        server_refuse(x->srv, client, m->req, ERR_USAGE,
                      n > BATCH_MAX ? "too many messages at once"
                      : n           ? "there is no rule for this account"
                                    : "there is no message");
        return;
    }
    struct asked *q = mem_new(sizeof *q + n * sizeof *q->msgs), **at = &x->asked;
    q->acct = a;
    q->client = client;
    q->deed = m->deed;
    q->req = m->req;
    for (size_t i = 0; i < n; i++)
        q->msgs[q->n++] = ipc_ids_at(m->msgs, i);
    while (*at)
        at = &(*at)->next;
    *at = q;
    rules_pump(x);
}

void rules_do(struct acct *a, uint64_t client, const struct m_RULES_DO *m)
{
    struct rule_effect e = {.read = (m->flags & FLAG_SEEN) != 0, .flag = (m->flags & FLAG_FLAGGED) != 0};
    struct err err = ERR_INIT;
    size_t n = MIN(ipc_ids_count(m->msgs), (size_t)BATCH_MAX);
    uint64_t *ids = mem_array(n + 1, sizeof *ids), group = m->group;
    uint32_t count = 0;
    char *folder = mem_dup_n(m->folder.p, m->folder.n);
    for (size_t i = 0; i < n; i++)
        ids[i] = ipc_ids_at(m->msgs, i);
    if (m->folder.n)
        e.folder = folder;
    memcpy(e.tags, m->tags.p ? m->tags.p : "", MIN(m->tags.n, sizeof e.tags - 1));
    bool ok = db_begin(a->db, &err);
    db_set_deed(a->db, m->deed);
    bool done = ok && effect_record(a, &e, ids, n, false, false, &group, &count, &err);
    db_set_deed(a->db, 0);
    if (ok)
        ok = db_commit(a->db, done ? &err : &(struct err){.kind = ERR_NONE}) && done;
    if (ok)
        ANSWER(a->srv, client, -1, INTENT_OK, .req = m->req, .group = group, .count = count);
    else
        server_refuse(a->srv, client, m->req, err.kind, err.text);
    free(folder);
    free(ids);
    acct_settle(a);
}
