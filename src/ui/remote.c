/* What the servers find: the query of a list is asked of the IMAP accounts, through the store, and what they find joins
 * the hits that are here. One at a time; local hits are on the screen meanwhile, and no key waits for it. */
#include "ui/extra.h"

#include "mail/imap_query.h"

#define NAMES 3    /* mailboxes that are named */
#define CHUNK 4000 /* ids in one question: they fill its field */

struct asked {
    uint32_t req; /* 0: not asked, or answered */
    bool was;     /* it was asked */
    unsigned at, of;
    char box[120];
    struct buf held; /* packed ids, to be compared here first */
};
struct remote {
    struct list *list;
    uint32_t buffer;
    char *query;
    struct asked *accts;
    unsigned n, waits;
    uint32_t fresh, more; /* what only servers found; what they have beyond the newest */
    struct buf rest, names, left, wider, errors;
    /* comparing `rest` */
    struct helper *search;
    unsigned compared; /* the account whose held ids are compared, from `from` on */
    size_t from;
    uint32_t search_req;
};

static struct remote *remote_of(const struct ui *ui)
{
    return ui_extra(ui)->remote;
}

static void remote_free(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    helper_end(&r->search);
    for (unsigned i = 0; i < r->n; i++) {
        if (r->accts[i].req)
            ui_forget(ui, r->accts[i].req);
        buf_fini(&r->accts[i].held);
    }
    free(r->accts);
    free(r->query);
    buf_fini(&r->rest);
    buf_fini(&r->names);
    buf_fini(&r->left);
    buf_fini(&r->wider);
    buf_fini(&r->errors);
    free(r);
    ui_extra(ui)->remote = NULL;
    ui->dirty = true;
}

bool remote_runs(const struct ui *ui)
{
    return remote_of(ui) != NULL;
}

bool remote_asks(const struct ui *ui, const struct list *l)
{
    return remote_of(ui) && remote_of(ui)->list == l;
}

/* ---- hits ---- */
struct same {
    const struct list *list;
    struct ref ref;
    bool there;
};

static void same_mail(void *arg, const struct msg_row *row)
{
    struct same *s = arg;
    s->there = s->there || (row->id != s->ref.id && list_has_hit(s->list, (struct ref){s->ref.account, row->id}));
}

/* Each message once, though it be in several mailboxes. */
static bool is_there(struct ui *ui, const struct list *l, unsigned account, const struct msg_row *row)
{
    struct same s = {l, {account, row->id}, false};
    struct err err = ERR_INIT;
    struct buf msgid = BUF_INIT(1024);
    buf_adds(&msgid, row->msgid); /* the row's own text goes with the next call */
    if (msgid.n && !list_has_hit(l, s.ref))
        reader_find_msgid(ui->accts.list[account].reader, buf_str(&msgid), same_mail, &s, &err);
    buf_fini(&msgid);
    return s.there;
}

static void add(struct ui *ui, unsigned account, uint64_t msg)
{
    struct remote *r = remote_of(ui);
    struct reader *reader = ui->accts.list[account].reader;
    struct msg_row row = {.id = 0};
    struct err err = ERR_INIT;
    if (!reader || !reader_row(reader, msg, &row, &err) || !row.id)
        return;
    struct hit hit = {.ref = {account, row.id}, .date = row.date, .size = row.size, .flags = row.flags};
    if (is_there(ui, r->list, account, &row))
        return;
    uint32_t before = list_hits(r->list);
    list_add_hit(r->list, HITS_SERVER, &hit);
    r->fresh += list_hits(r->list) - before;
}

/* ---- its end ---- */
static void join(struct buf *out, const char *sep, struct str text)
{
    if (text.n)
        buf_addf(out, "%s%.*s", out->n ? sep : "", STR_FMT(text));
}

/* "a", "b" of lines. */
static void quoted_lines(struct buf *out, struct str lines)
{
    struct str one;
    while (str_split(&lines, '\n', &one))
        if (one.n)
            buf_addf(out, "%s\"%.*s\"", out->n ? ", " : "", STR_FMT(one));
}

static void note_all(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    struct buf note = BUF_INIT(1200), terms = BUF_INIT(600);
    buf_addf(&note, r->fresh ? "%u more on the server" : "nothing more on the server", r->fresh);
    if (r->more)
        buf_addf(&note, " · %u older ones left there", r->more);
    quoted_lines(&terms, buf_str(&r->left));
    if (terms.n)
        buf_addf(&note, " · %s is not known there%s", buf_z(&terms), r->rest.n ? ": compared here" : "");
    buf_reset(&terms);
    quoted_lines(&terms, buf_str(&r->wider));
    if (terms.n)
        buf_addf(&note, " · %s is \"and\" there", buf_z(&terms));
    if (r->names.n)
        buf_addf(&note, " · %s asked", buf_z(&r->names));
    if (r->errors.n)
        ui_note(ui, NOTE_ERROR, "%s%s%s", buf_z(&r->errors), r->names.n ? " · " : "", r->names.n ? buf_z(&note) : "");
    else
        ui_note(ui, NOTE_INFO, "%s", buf_z(&note));
    buf_fini(&note);
    buf_fini(&terms);
}

static void finish(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    list_hits_end(r->list, HITS_SERVER);
    note_all(ui);
    remote_free(ui);
}

/* ---- what the server does not know is compared here ---- */
static void compare(struct ui *ui);

static void on_compared(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct remote *r = remote_of(ui);
    (void)arg, (void)h;
    if (!m) {
        helper_end(&r->search);
        join(&r->errors, "; ", STR("what the servers found could not be compared here"));
        finish(ui);
    } else if (m->kind == MSG_HIT && m->u.HIT.req == r->search_req) {
        add(ui, r->compared, m->u.HIT.msg);
    } else if (m->kind == MSG_QUERY_DONE && m->u.QUERY_DONE.req == r->search_req) {
        if (m->u.QUERY_DONE.kind != ERR_NONE)
            join(&r->errors, "; ", m->u.QUERY_DONE.text);
        r->from += 8 * CHUNK;
        compare(ui);
    }
}

static void compare(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    struct err err = ERR_INIT;
    while (r->compared < r->n && r->from >= r->accts[r->compared].held.n) {
        r->compared++;
        r->from = 0;
    }
    if (r->compared == r->n) {
        finish(ui);
        return;
    }
    struct str held = buf_str(&r->accts[r->compared].held);
    if (!r->search && !(r->search = helper_search(ui, on_compared, NULL)))
        return;
    r->search_req++;
    if (!SEND(helper_chan(r->search), -1, &err, QUERY, .req = r->search_req, .query = buf_str(&r->rest),
              .account = str_z(ui->accts.list[r->compared].name),
              .msgs = str_sub(held, r->from, MIN(held.n, r->from + 8 * CHUNK))))
        ui_note_err(ui, &err);
}

void remote_indexed(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    if (!r || r->waits || r->search || ui->unindexed)
        return;
    buffer_enter(ui, r->buffer);
    compare(ui);
    buffer_leave(ui);
}

static void answered(struct ui *ui, struct asked *a)
{
    struct remote *r = remote_of(ui);
    a->req = 0;
    if (--r->waits)
        return;
    if (r->rest.n)
        remote_indexed(ui); /* else when the index has all rows */
    else
        finish(ui);
}

/* ---- answers of the store ---- */
static void on_done(struct ui *ui, struct asked *a, const struct m_SERVER_DONE *d)
{
    struct remote *r = remote_of(ui);
    const char *name = ui->accts.list[a - r->accts].name;
    if (d->asked > NAMES)
        buf_addf(&r->names, "%s%s: %u mailboxes", r->names.n ? "; " : "", name, d->asked);
    else if (d->asked)
        buf_addf(&r->names, "%s%s: %.*s", r->names.n ? "; " : "", name, STR_FMT(d->boxes));
    if (!r->left.n)
        buf_adds(&r->left, d->left);
    if (!r->wider.n)
        buf_adds(&r->wider, d->wider);
    r->more += d->more;
    if (d->kind != ERR_NONE)
        buf_addf(&r->errors, "%s%s: %.*s", r->errors.n ? "; " : "", name, STR_FMT(d->text));
    answered(ui, a);
}

static void on_answer(struct ui *ui, void *arg, const struct msg *m)
{
    struct remote *r = remote_of(ui);
    struct asked *a = arg;
    if (!r)
        return;
    unsigned account = (unsigned)(a - r->accts);
    if (!m) { /* the store is gone */
        a->req = 0;
        list_hits_end(r->list, HITS_SERVER);
        remote_free(ui);
    } else if (m->kind == MSG_SERVER_AT) {
        a->at = m->u.SERVER_AT.at;
        a->of = m->u.SERVER_AT.of;
        snprintf(a->box, sizeof a->box, "%.*s", (int)MIN(m->u.SERVER_AT.box.n, sizeof a->box - 1),
                 m->u.SERVER_AT.box.n ? m->u.SERVER_AT.box.p : "");
    } else if (m->kind == MSG_SERVER_HITS) {
        if (r->rest.n) {
            buf_adds(&a->held, m->u.SERVER_HITS.msgs);
            return;
        }
        for (size_t i = 0; i < ipc_ids_count(m->u.SERVER_HITS.msgs); i++)
            add(ui, account, ipc_ids_at(m->u.SERVER_HITS.msgs, i));
    } else if (m->kind == MSG_SERVER_DONE) {
        on_done(ui, a, &m->u.SERVER_DONE);
    } else if (m->kind == MSG_REFUSED) {
        buf_addf(&r->errors, "%s%s: %.*s", r->errors.n ? "; " : "", ui->accts.list[account].name,
                 STR_FMT(m->u.REFUSED.text));
        answered(ui, a);
    }
}

/* ---- asking ---- */
static void cancel(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    struct err err = ERR_INIT;
    for (unsigned i = 0; i < r->n; i++)
        if (r->accts[i].req && ui->client && ui->client->chan)
            SEND(ui->client->chan, -1, &err, CANCEL, .req = r->accts[i].req);
}

void remote_forget(struct ui *ui, const struct list *l)
{
    struct remote *r = ui->extra ? remote_of(ui) : NULL;
    if (!r || (l && r->list != l))
        return;
    cancel(ui);
    remote_free(ui);
}

bool remote_stop(struct ui *ui)
{
    struct remote *r = remote_of(ui);
    if (!r)
        return false;
    list_hits_end(r->list, HITS_SERVER);
    ui_note(ui, NOTE_INFO, "the server is not asked any more · %u found there", r->fresh);
    remote_forget(ui, NULL);
    return true;
}

/* The mailbox to begin with in an account, and whether it is the only one. */
static uint64_t first_box(const struct ui *ui, const struct list *l, unsigned account, bool *only)
{
    const struct list *base = l->limits ? l->limits : ui->stack[0];
    *only = l->limits != NULL;
    if (base->source == LIST_BOX)
        return base->account == account ? base->box : 0;
    const struct box_item *inbox = boxes_role(&ui->boxes, account, BOX_INBOX);
    return base->source == LIST_INBOXES && inbox ? inbox->id : 0;
}

static bool ask_account(struct ui *ui, unsigned i, struct err *err)
{
    struct remote *r = remote_of(ui);
    struct acct *acct = &ui->accts.list[i];
    bool only;
    uint64_t box = first_box(ui, r->list, i, &only);
    if (!acct->conf || acct->conf->in.proto != PROTO_IMAP || (only && !box))
        return true;
    r->accts[i].req = ui_request(ui, on_answer, &r->accts[i]);
    r->accts[i].was = true;
    r->waits++;
    return SEND(ui->client->chan, -1, err, SERVER_SEARCH, .req = r->accts[i].req, .account = str_z(acct->name),
                .query = str_z(r->query), .box = box, .only = only, .fuzzy = ui->conf->server_fuzzy);
}

bool remote_search(struct ui *ui, struct list *l, struct err *err)
{
    struct imap_query q;
    const struct imap_query_for to = {.now = clock_wall()};
    if (!strcmp(ui->conf->server_search, "off"))
        return err_set(err, ERR_USAGE, "option server-search is off: servers are not asked");
    if (l->source != LIST_HITS || !l->query || !*l->query)
        return err_set(err, ERR_USAGE, "this list has no query that a server could be asked");
    bool ok = imap_query_make(str_z(l->query), &to, &q, err);
    if (ok && q.nothing) {
        struct buf terms = BUF_INIT(600);
        quoted_lines(&terms, buf_str(&q.left));
        ok = err_set(err, ERR_QUERY, "a server cannot be asked for %s: it does not know that", buf_z(&terms));
        buf_fini(&terms);
    }
    remote_forget(ui, NULL);
    if (ok && ui_online(ui)) {
        struct remote *r = ui_extra(ui)->remote = mem_new(sizeof *r);
        *r = (struct remote){.list = l,
                             .buffer = ui->at->id,
                             .query = mem_dup_z(l->query),
                             .n = ui->accts.n,
                             .accts = mem_array(ui->accts.n + 1, sizeof *r->accts),
                             .rest = BUF_INIT(16384),
                             .names = BUF_INIT(600),
                             .left = BUF_INIT(1000),
                             .wider = BUF_INIT(200),
                             .errors = BUF_INIT(800)};
        buf_adds(&r->rest, buf_str(&q.rest));
        list_hits_begin(l, HITS_SERVER, false);
        for (unsigned i = 0; i < r->n; i++) {
            r->accts[i].held = BUF_INIT(1u << 20);
            ok = ok && ask_account(ui, i, err);
        }
        if (ok && !r->waits)
            ok = err_set(err, ERR_USAGE, "all of this mail is on this machine: there is no server to ask");
        if (!ok) {
            list_hits_end(l, HITS_SERVER);
            remote_free(ui);
        }
    }
    imap_query_fini(&q);
    ui->dirty = true;
    return ok;
}

/* ---- words ---- */
void remote_words(const struct ui *ui, struct buf *out)
{
    const struct remote *r = remote_of(ui);
    if (!r)
        return;
    if (!r->waits) {
        buf_addz(out, "comparing what the servers found");
        return;
    }
    for (unsigned i = 0; i < r->n; i++) {
        const struct asked *a = &r->accts[i];
        if (!a->req)
            continue;
        buf_addf(out, "%s%s: ", out->n ? "; " : "asking the server · ", ui->accts.list[i].name);
        if (a->box[0])
            buf_addf(out, "%s, mailbox %u of %u", a->box, a->at, a->of);
        else
            buf_addz(out, "connecting");
    }
    buf_addf(out, " · %u found", r->fresh);
}

/* ---- commands ---- */
static void asked_typed(struct ui *ui)
{
    struct err err = ERR_INIT;
    if (ui->search_list && ui_list(ui) == ui->search_list && !remote_search(ui, ui->search_list, &err))
        ui_note_err(ui, &err);
}

void remote_auto(struct ui *ui)
{
    struct err err = ERR_INIT; /* nobody asked for it: what cannot be is passed by */
    bool away = false;
    for (unsigned i = 0; i < ui->accts.n; i++) {
        const struct account *a = ui->accts.list[i].conf;
        away = away || (a && a->in.proto == PROTO_IMAP && ui->accts.list[i].state == ACCOUNT_ONLINE);
    }
    if (away && !strcmp(ui->conf->server_search, "auto") && ui->search_list && ui_list(ui) == ui->search_list)
        remote_search(ui, ui->search_list, &err);
}

bool run_server_search(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (cmd_arg(args, 0))
        ui_search(ui, cmd_arg(args, 0), false, false);
    struct list *l = ui_list(ui);
    if (!strcmp(ui->conf->server_search, "off"))
        return err_set(err, ERR_USAGE, "option server-search is off: servers are not asked");
    if (l->source == LIST_HITS && l->query && *l->query)
        return remote_search(ui, l, err);
    ui_ask_search(ui, "search here and on the server: ", asked_typed);
    return true;
}
