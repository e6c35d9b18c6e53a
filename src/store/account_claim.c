/* Rules of several devices over one mail: the server gives it to one of them (STEP_CLAIM), and only that one's intents
 * go. */
#include "store/replay.h"

void claim_unable(struct acct *a)
{
    if (!a->claim_told)
        acct_note(
            a, 1, ERR_NONE,
            "rules file no mail of %s: its server cannot tell two devices apart, and both would (no CONDSTORE, no "
            "MOVE); if this is the only one with rules: set -a %s rule-claim no",
            a->name, a->name);
    a->claim_told = true;
}

/* Nobody can say whose it is: what does no harm when both do it is done. */
static void claim_ours(struct acct *a, uint64_t msg, bool sure)
{
    struct err err = ERR_INIT;
    bool left = false;
    if (!db_claim_ours(a->db, msg, !sure && !a->moves_whole, &left, &err))
        acct_db_error(a, &err);
    else if (left)
        claim_unable(a);
}

void claim_message(struct acct *a, struct msg *m)
{
    const struct m_CLAIMED *c = &m->u.CLAIMED;
    struct step *s = acct_step_find(a, c->step, MSG_STEP_CLAIM);
    const struct batch_run *r = s ? s->data : NULL;
    if (!r || c->box != r->b.box || c->ranges.n % 8) {
        acct_violation(a, "a claim that was not asked for");
        return;
    }
    for (size_t i = 0; i < r->b.nitems; i++)
        for (size_t k = 0; k < ipc_ranges_count(c->ranges); k++) {
            uint32_t lo, hi;
            ipc_ranges_at(c->ranges, k, &lo, &hi);
            if (r->b.items[i].uid >= lo && r->b.items[i].uid <= hi)
                claim_ours(a, r->b.items[i].msg, c->sure);
        }
}

static void claim_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = s->data;
    struct err err = ERR_INIT;
    bool later = line_error(kind) || try_later(kind);
    if (kind != ERR_NONE)
        log_msg(LOG_INFO, "%s: claiming %zu messages: %s", a->name, r->nclaims, clean_line(text));
    if (!line_error(kind) && later)
        a->replay_after = clock_mono_ms() + sync_backoff_ms(++a->replay_tries, 0);
    for (size_t i = 0; i < r->nclaims && !later; i++) {
        bool wanted = false;
        if (!db_claim_wanted(a->db, r->claims[i], &wanted, &err))
            acct_db_error(a, &err);
        else if (wanted && kind != ERR_NONE)
            claim_ours(a, r->claims[i], false);
        else if (wanted && !db_claim_lost(a->db, r->claims[i], &err))
            acct_db_error(a, &err);
    }
    run_free(a, r);
}

/* They were told of when the rules had run here. */
void claims_lost_tell(struct acct *a)
{
    unsigned lost = db_claims_lost(a->db);
    if (lost > 0)
        acct_note(a, 0, ERR_NONE, "rules: %u of them %s done by another device, which was first", lost,
                  lost == 1 ? "is" : "are");
}

bool claim_begin(struct acct *a, struct batch_run *r)
{
    struct err err = ERR_INIT;
    bool again;
    if (!a->imap || r->b.nitems == 0)
        return false;
    r->claims = mem_array(r->b.nitems, sizeof *r->claims);
    r->nclaims = db_claims(a->db, &r->b, r->claims, &again, &err);
    if (err.kind)
        acct_db_error(a, &err);
    if (!err.kind && r->nclaims == 0)
        return false;
    struct uid_set set = UID_SET_INIT(BATCH_MAX);
    struct buf uids = BUF_INIT(32768);
    for (size_t i = 0, k = 0; i < r->b.nitems && k < r->nclaims; i++)
        if (r->b.items[i].msg == r->claims[k]) {
            uid_set_add(&set, r->b.items[i].uid);
            k++;
        }
    r->phase = PHASE_FIND;
    bool ok = !err.kind && a->batch == r && !r->next && uid_set_pack(&set, &uids) &&
              db_claims_sent(a->db, r->claims, r->nclaims, &err) && db_sync(a->db, &err) &&
              imap_select(a, r->b.box, false) &&
              run_sent(r, STEP(a, claim_done, -1, STEP_CLAIM, .box = r->b.box, .uids = buf_str(&uids),
                               .uidvalidity = r->b.uidvalidity, .again = again));
    if (err.kind)
        acct_db_error(a, &err);
    if (!ok)
        run_free(a, r);
    uid_set_fini(&set);
    buf_fini(&uids);
    return true;
}
