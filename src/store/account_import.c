/* Mails from archives: into a Maildir by durable delivery, to a server by way of the outbox directory and an APPEND
 * intent; and the answer to who waits until rows and files agree. */
#include "store/account.h"

#include <unistd.h>

#define IMPORTS_MAX 256
#define ADDS_MAX 64 /* steps under way: fetch makes those of a mailbox durable together */

struct import_req {
    struct import_req *next;
    uint64_t client, box;
    uint32_t req, flags;
    int64_t arrived;
    struct str tags; /* owned */
    int fd;          /* -1: the step has it */
    uint32_t step;   /* 0: waits */
};
struct settle_req {
    struct settle_req *next;
    uint64_t client;
    uint32_t req;
    unsigned index; /* enum settle_index */
};

static void import_free(struct import_req *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free((void *)(uintptr_t)r->tags.p);
    free(r);
}

/* ---- Into the Maildir --------------------------------------------------------------------------- */
static void tag_words(struct str tags, struct buf *out)
{
    struct str word;
    while (str_split(&tags, ' ', &word))
        if (word.n && !tag_reserved(word))
            buf_addf(out, "%s+%.*s", out->n ? " " : "", STR_FMT(word));
}

/* A tag that cannot be one is left out with the others of its mail, and the mail stays. */
static void add_tags(struct acct *a, uint64_t msg, struct str tags)
{
    struct buf words = BUF_INIT(4096);
    struct err err = ERR_INIT;
    uint64_t group;
    uint32_t count;
    tag_words(tags, &words);
    if (msg && words.n &&
        !db_intent_add(a->db,
                       &(struct db_intent){.kind = INTENT_TAGS,
                                           .msgs = &msg,
                                           .n = 1,
                                           .arg = buf_str(&words),
                                           .now = clock_wall(),
                                           .automatic = true},
                       &group, NULL, &count, &err))
        log_msg(LOG_WARN, "%s: the tags of an imported mail: %s", a->name, err.text);
    buf_fini(&words);
}

static void added(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    for (struct import_req **at = &a->imports, *r; (r = *at); at = &r->next) {
        if (r->step != s->number)
            continue;
        if (kind == ERR_NONE)
            add_tags(a, s->msg, r->tags);
        if (kind == ERR_NONE)
            ANSWER(a->srv, r->client, -1, INTENT_OK, .req = r->req, .count = 1);
        else
            server_refuse(a->srv, r->client, r->req, kind, clean_line(text));
        *at = r->next;
        import_free(r);
        return;
    }
}

bool import_row(struct acct *a, uint32_t step, uint64_t box, uint64_t msg)
{
    struct step *s = acct_step_find(a, step, MSG_STEP_MAILDIR_ADD);
    if (!s || s->done != added || s->box != box)
        return false;
    s->msg = msg;
    return true;
}

static void add_next(struct acct *a)
{
    unsigned under_way = 0;
    for (struct import_req *r = a->imports; r && under_way < ADDS_MAX; r = r->next, under_way++) {
        if (r->step)
            continue;
        struct step *s = STEP(a, added, r->fd, STEP_MAILDIR_ADD, .box = r->box, .folder = local_folder(a, r->box),
                              .flags = r->flags, .arrived = r->arrived, .row = 1);
        if (!s)
            return;
        s->box = r->box;
        r->step = s->number;
        close(r->fd);
        r->fd = -1;
    }
}

/* ---- Clients ------------------------------------------------------------------------------------ */
void import_ask(struct acct *a, uint64_t client, struct msg *m)
{
    const struct m_IMPORT *q = &m->u.IMPORT;
    struct import_req **at = &a->imports;
    unsigned n = 0;
    if (a->imap || q->undo) {
        outbox_import(a, client, m);
        return;
    }
    if (box_at(a, q->box) < 0 && a->changed_boxes)
        acct_boxes_load(a);
    for (; *at; at = &(*at)->next)
        n++;
    if (n >= IMPORTS_MAX || box_at(a, q->box) < 0) {
        server_refuse(a->srv, client, q->req, n >= IMPORTS_MAX ? ERR_LIMIT : ERR_NO_MAILBOX,
                      n >= IMPORTS_MAX ? "too many mails are imported at once" : "there is no such mailbox");
        return;
    }
    *at = mem_new(sizeof **at);
    **at = (struct import_req){.client = client,
                               .req = q->req,
                               .box = q->box,
                               .flags = q->flags,
                               .arrived = q->arrived,
                               .tags = {mem_dup_n(q->tags.p, q->tags.n), q->tags.n},
                               .fd = m->fd};
    m->fd = -1;
    acct_pump(a);
}

void import_settle(struct acct *a, uint64_t client, const struct m_SETTLE *q)
{
    struct settle_req *w = mem_new(sizeof *w);
    *w = (struct settle_req){.next = a->settles, .client = client, .req = q->req, .index = q->index};
    a->settles = w;
    a->list_wanted = a->list_wanted || !a->imap;
    local_look(a);
    acct_pump(a);
}

static bool index_waits(struct acct *a, unsigned what)
{
    struct db_index_waiting pending;
    struct err err = ERR_INIT;
    return what != SETTLE_NOTHING &&
           (!db_index_pending(a->db, &pending, &err) || pending.all - (what == SETTLE_TAGS ? pending.texts : 0) > 0);
}

void import_pump(struct acct *a)
{
    if (a->ready && !a->imap)
        add_next(a);
    if (!a->settles || (!a->imap && (!a->ready || local_busy(a))) || db_in_burst(a->db))
        return;
    for (struct settle_req **at = &a->settles, *w; (w = *at);) {
        if (index_waits(a, w->index)) {
            at = &w->next;
            continue;
        }
        ANSWER(a->srv, w->client, -1, INTENT_OK, .req = w->req);
        *at = w->next;
        free(w);
    }
}

void import_fail(struct acct *a, enum err_kind kind, const char *text)
{
    for (struct import_req **at = &a->imports, *r; (r = *at);) {
        if (r->step) { /* ends by itself */
            at = &r->next;
            continue;
        }
        server_refuse(a->srv, r->client, r->req, kind, text);
        *at = r->next;
        import_free(r);
    }
    for (struct settle_req *w = a->settles, *next; w; w = next) {
        next = w->next;
        server_refuse(a->srv, w->client, w->req, kind, text);
        free(w);
    }
    a->settles = NULL;
}

/* What was not given to fetch is not begun; what was comes to its end. */
void import_cancel(struct acct *a, uint64_t client)
{
    for (struct import_req **at = &a->imports, *r; (r = *at);) {
        if (r->client != client || r->step) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        import_free(r);
    }
    for (struct settle_req **at = &a->settles, *w; (w = *at);) {
        if (w->client != client) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w);
    }
}

void import_free_all(struct acct *a)
{
    import_fail(a, ERR_CHANNEL, "the store ends");
    while (a->imports) {
        struct import_req *r = a->imports;
        a->imports = r->next;
        import_free(r);
    }
}
