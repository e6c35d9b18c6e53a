/* What other clients do to the mailboxes that are not open: counts, the list, by the server's own word (NOTIFY, RFC
 * 5465) or as the answers of rounds. */
#include "store/account.h"

#define LIST_NEWS_MS 1000
#define LIST_CHECK_MS 5000 /* after the LIST that follows news: a server may miss what happens meanwhile */
#define LATER_MS 15000     /* a mailbox that is busy, or that mail comes to all the time, waits so long */

/* ---- The list, as the server tells of it by itself ---------------------------------------------- */
static void news_fired(void *arg)
{
    struct acct *a = arg;
    a->news_timer = NULL;
    a->list_at = 0;
    acct_pump(a);
}

void watch_listed(struct acct *a)
{
    if (a->list_news && !a->news_timer)
        a->news_timer = loop_after(a->srv->loop, LIST_CHECK_MS, news_fired, a);
    a->list_news = false;
}

/* A LIST, soon: one for all that is told within a second. */
static void list_wanted(struct acct *a)
{
    a->list_news = true;
    if (!a->news_timer)
        a->news_timer = loop_after(a->srv->loop, LIST_NEWS_MS, news_fired, a);
}

static void rename_one(struct acct *a, struct str old, struct str name, struct str utf8)
{
    struct db_box had = {0}, new = {0};
    struct err err = ERR_INIT;
    if (!db_box_by_name(a->db, old, &had, &err) || db_box_by_name(a->db, name, &new, &err))
        return;
    if (!db_box_renamed(a->db, had.id, name, utf8, &err))
        acct_db_error(a, &err);
    a->changed_boxes = true;
}

/* Renamed elsewhere: the mailbox keeps its rows, and so do those below it, of which no word need come (RFC 5465 5.4).
 */
void watch_list_news(struct acct *a, struct msg *m)
{
    const struct m_LIST_NEWS *n = &m->u.LIST_NEWS;
    struct buf name = BUF_INIT(2000), utf8 = BUF_INIT(2000);
    list_wanted(a);
    if (!n->old.n || !n->name.n || str_case_eqz(n->old, "INBOX"))
        return; /* INBOX renamed leaves an INBOX behind (RFC 9051 6.3.6) */
    ptrdiff_t top = -1;
    for (size_t i = 0; i < a->nboxes; i++)
        if (str_eq(box_name(&a->boxes[i]), n->old))
            top = (ptrdiff_t)i;
    for (size_t i = 0; top >= 0 && i < a->nboxes; i++) {
        const struct box *b = &a->boxes[i];
        struct str below = str_sub(box_name(b), n->old.n, b->name_n);
        if (!b->delim || !str_starts(box_name(b), n->old) || !below.n || below.p[0] != b->delim)
            continue;
        buf_reset(&name);
        buf_reset(&utf8);
        buf_adds(&name, n->name);
        buf_adds(&name, below);
        buf_adds(&utf8, n->utf8);
        buf_adds(&utf8, str_sub(box_utf8(b), a->boxes[top].utf8_n, b->utf8_n));
        rename_one(a, box_name(b), buf_str(&name), buf_str(&utf8));
    }
    if (top >= 0)
        rename_one(a, n->old, n->name, n->utf8);
    buf_fini(&name);
    buf_fini(&utf8);
}

void watch_pushed(struct acct *a, struct msg *m)
{
    a->pushed = m->u.PUSHED.on != 0;
    if (!a->pushed)
        a->status_at = a->list_at = 0; /* what was not told is asked */
}

/* ---- Mailboxes that wait ------------------------------------------------------------------------ */
static void later_fired(void *arg)
{
    struct acct *a = arg;
    a->later_timer = NULL;
    for (size_t i = 0; i < a->nboxes; i++) {
        struct box *b = &a->boxes[i];
        struct sync_box *p = &a->plan[i];
        if (b->busy && p->failed)
            p->failed = false, p->dirty = true;
        if (b->later && !p->opened)
            p->dirty = true; /* the rest is learnt when it is opened */
        b->later = false;
    }
    acct_pump(a);
}

static void later(struct acct *a)
{
    if (!a->later_timer)
        a->later_timer = loop_after(a->srv->loop, LATER_MS, later_fired, a);
}

void watch_busy(struct acct *a, size_t i, struct str text)
{
    if (!a->boxes[i].busy)
        acct_note(a, 1, ERR_SERVER_TEMP, "%s cannot be had now and is tried again: %s", box_words(a, a->plan[i].id),
                  clean_line(text));
    a->boxes[i].busy = true;
    a->plan[i].failed = true;
    later(a);
}

/* ---- Counts ------------------------------------------------------------------------------------- */
/* Does STATUS say what was stored last? HIGHESTMODSEQ tells all; without it flags are seen by the number of unread
 * mails. */
static bool status_is_known(const struct db_box *had, const struct m_BOX *b)
{
    return (b->total == UINT32_MAX || b->total == had->known) &&
           (b->uidvalidity == UINT32_MAX || b->uidvalidity == had->uidvalidity) &&
           (b->uidnext == UINT32_MAX || b->uidnext == had->uidnext) &&
           (b->modseq && had->modseq ? b->modseq == had->modseq : b->unread == had->unread);
}

/* A mailbox that is not open differs from what is known of it: it is to be opened. */
void watch_counted(struct acct *a, size_t i, const struct m_BOX *b, const struct db_box *had)
{
    struct sync_box *p = &a->plan[i];
    bool same = had->known > 0 && status_is_known(had, b), empty = b->total == 0 && had->known == 0;
    if (b->total == UINT32_MAX && b->unread == UINT32_MAX && b->modseq == 0)
        return;
    /* The connection that has it open tells by itself, and has not got the news before it does. */
    if (p->opened && a->tail == p->id)
        return;
    bool more = b->total != UINT32_MAX && b->total > had->known;
    if (more && p->was_open && !p->inbox && !p->watched && !a->passes &&
        clock_mono_ms() - a->boxes[i].opened_at < LATER_MS) {
        a->boxes[i].later = true; /* a busy list: its counts are right without its rows */
        later(a);
        return;
    }
    if (same || empty)
        p->was_open = true;
    else
        p->dirty = p->was_open;
    p->exists = b->total != UINT32_MAX ? b->total : p->exists;
    p->uidnext = b->uidnext != UINT32_MAX ? b->uidnext : p->uidnext;
}

/* An answer to STATUS, or one that nobody asked for (NOTIFY). */
void watch_counts(struct acct *a, const struct m_BOX *b)
{
    struct err err = ERR_INIT;
    struct db_box had = {0};
    struct db_counted counts = {b->total, b->unread, b->uidvalidity, b->uidnext, b->modseq};
    if (!db_box_by_name(a->db, b->name, &had, &err)) {
        list_wanted(a); /* made by somebody since the last LIST */
        return;
    }
    if (!db_box_counts(a->db, had.id, &counts, &err)) {
        acct_db_error(a, &err);
        return;
    }
    ptrdiff_t i = box_at(a, had.id);
    if (i >= 0)
        watch_counted(a, (size_t)i, b, &had);
}
