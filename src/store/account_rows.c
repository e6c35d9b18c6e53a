/* Rows that the user looks at while a list fills: a jump to the middle of 100,000, the End key, a page up from there.
 */
#include "store/account.h"

#define PAGE 40                /* rows each way of one that is gone to: a screen up or down */
#define AROUND SYNC_FIRST_PAGE /* of one that the cursor is on */

struct rows_req {
    struct rows_req *next;
    uint64_t client, box, msg;
    uint32_t req, rank;
};

static void rows_end(struct acct *a, struct rows_req *o)
{
    for (struct rows_req **p = &a->rows; *p; p = &(*p)->next)
        if (*p == o) {
            *p = o->next;
            free(o);
            return;
        }
}

static void rows_refuse(struct acct *a, struct rows_req *o, enum err_kind kind, const char *text)
{
    server_refuse(a->srv, o->client, o->req, kind, text);
    rows_end(a, o);
}

void rows_want(struct acct *a, uint64_t client, const struct m_WANT_ROWS *m)
{
    for (struct rows_req *o = a->rows, *next; o; o = next) {
        next = o->next;
        if (o->client == client)
            rows_refuse(a, o, ERR_CANCELED, "another row is looked at");
    }
    struct rows_req *o = mem_new(sizeof *o);
    *o = (struct rows_req){a->rows, client, m->box, m->msg, m->req, m->rank};
    a->rows = o;
    acct_pump(a);
}

void rows_cancel(struct acct *a, uint64_t client)
{
    for (struct rows_req *o = a->rows, *next; o; o = next) {
        next = o->next;
        if (o->client == client)
            rows_end(a, o);
    }
}

void rows_free(struct acct *a)
{
    while (a->rows)
        rows_end(a, a->rows);
}

/* The sequence number of the row that is looked at. */
static bool rows_seq(struct acct *a, const struct rows_req *o, const struct sync_box *p, uint32_t *seq_r,
                     struct err *err)
{
    struct db_msg m;
    uint32_t newer;
    if (!o->msg) {
        *seq_r = o->rank < p->exists ? p->exists - o->rank : MIN(p->exists, 1u);
        return true;
    }
    if (!db_msg_get(a->db, o->msg, &m, err))
        return false;
    if (m.sbox != o->box || !m.uid)
        return err_set(err, ERR_NO_MESSAGE, "the message is not in this mailbox");
    if (!db_rows_above(a->db, o->box, m.uid, &newer, err))
        return false;
    *seq_r = sync_seq(p, newer);
    return true;
}

static void rows_look(struct acct *a, struct rows_req *o)
{
    ptrdiff_t i = a->imap ? box_at(a, o->box) : -1;
    struct sync_box *p = i < 0 ? NULL : &a->plan[i];
    struct err err = ERR_INIT;
    uint64_t msg = o->msg;
    uint32_t seq = 0;
    if (!p || p->failed) {
        rows_refuse(a, o, ERR_NO_MAILBOX, "this mailbox has no such row");
        return;
    }
    if (a->line == LINE_DOWN && (a->offline || a->held || a->wait_change || a->retry)) {
        rows_refuse(a, o, ERR_OFFLINE, "that part of the list was not fetched before, and there is no connection");
        return;
    }
    if (!sync_knows(p))
        return; /* soon */
    if (!rows_seq(a, o, p, &seq, &err)) {
        rows_refuse(a, o, err.kind, err.text);
        return;
    }
    uint32_t rows = o->msg ? AROUND : PAGE;
    sync_want(p, seq, rows, rows);
    struct sync_place at = sync_place(p, seq);
    if (at.missing && !p->stuck)
        return;
    uint32_t newer = p->exists - seq;
    if (!msg && !db_row_below(a->db, o->box, newer - MIN(newer, at.newer), &msg, &err)) {
        rows_refuse(a, o, err.kind, err.text);
        return;
    }
    ANSWER(a->srv, o->client, -1, ROW_AT, .req = o->req, .msg = msg, .older = at.older);
    rows_end(a, o);
}

void rows_pump(struct acct *a)
{
    for (struct rows_req *o = a->rows, *next; o; o = next) {
        next = o->next;
        rows_look(a, o);
    }
}
