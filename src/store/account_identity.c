/* Whose mail an account holds: the server and login that its changes were made for. */
#include "store/account.h"

static void identity_words(const struct acct *a, struct buf *out)
{
    const struct endpoint *in = &a->conf->in;
    buf_addf(out, "%s\t%u\t%s",
             in->host   ? in->host
             : in->path ? in->path
                        : "",
             (unsigned)in->port, in->user ? in->user : "");
}

struct box_ids {
    uint64_t *ids;
    size_t n, cap;
};

static void box_id(void *arg, const struct db_box *b)
{
    struct box_ids *l = arg;
    if (l->n == l->cap)
        l->ids = mem_resize(l->ids, l->cap = l->cap ? l->cap * 2 : 32, sizeof *l->ids);
    l->ids[l->n++] = b->id;
}

/* Rows of another server's mailboxes say nothing, even where UIDVALIDITY happens to be the same. */
static bool rows_forget(struct acct *a, struct err *err)
{
    struct box_ids l = {0};
    bool ok = db_begin(a->db, err) && db_boxes_each(a->db, box_id, &l, err);
    for (size_t i = 0; ok && i < l.n; i++)
        ok = db_box_gone(a->db, l.ids[i], err);
    free(l.ids);
    if (!db_commit(a->db, err))
        return false;
    return ok;
}

bool acct_identity(struct acct *a, bool same, uint32_t *count_r, struct err *err)
{
    struct buf is = BUF_INIT(2000);
    struct db_counts counts = {0};
    bool ok = db_intent_counts(a->db, &counts, err);
    *count_r = counts.queued + counts.sent + counts.unknown;
    identity_words(a, &is);
    ok = ok && (same || (db_intents_discard(a->db, count_r, err) && rows_forget(a, err))) &&
         db_identity_set(a->db, buf_str(&is), err) && db_sync(a->db, err);
    buf_fini(&is);
    if (!ok)
        return false;
    a->held = false;
    a->changed_boxes = true;
    acct_state(a, a->offline ? ACCOUNT_OFFLINE : ACCOUNT_WAITING, ERR_NONE, a->offline ? "offline" : "");
    acct_tell(a, NULL);
    acct_settle(a);
    return true;
}

bool acct_identity_check(struct acct *a, struct err *err)
{
    struct buf had = BUF_INIT(2000), is = BUF_INIT(2000);
    struct db_counts counts = {0};
    identity_words(a, &is);
    bool ok = db_identity(a->db, &had, err) && db_intent_counts(a->db, &counts, err);
    if (ok && !str_eq(buf_str(&had), buf_str(&is))) {
        /* Another server or login: what was meant for the old one must not be done to this one. */
        a->queued = counts.queued + counts.sent + counts.unknown;
        a->held = had.n > 0 && a->queued > 0;
        /* Nor is it asked what it has: what waits would seem to have lost its mailboxes. */
        if (a->held)
            log_msg(LOG_WARN, "%s: %u changes made for another server or login are held back", a->name, a->queued);
        else
            ok = (had.n == 0 || !a->imap || rows_forget(a, err)) && db_identity_set(a->db, buf_str(&is), err);
    }
    buf_fini(&had);
    buf_fini(&is);
    return ok;
}
