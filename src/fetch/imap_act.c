/* What changes messages on the server: flags, moves, removal of just these (RFC 4315, 6851, 7162). Never a mailbox-wide
 * EXPUNGE, never a CLOSE. */
#include "fetch/imap.h"

#define SET_MAX 2000     /* bytes of a sequence set in one command */
#define MOVED_MAX 200000 /* pairs of one COPYUID */

bool set_piece(struct str ranges, size_t *at, size_t max, struct buf *out)
{
    size_t n = ipc_ranges_count(ranges);
    uint32_t lo, hi;
    buf_reset(out);
    for (; *at < n && out->n + 24 < max; (*at)++) {
        ipc_ranges_at(ranges, *at, &lo, &hi);
        if (!lo || hi < lo)
            continue; /* 0 would mean nothing, and a set in error more than it says */
        buf_addf(out, lo == hi ? "%s%u" : "%s%u:%u", out->n ? "," : "", lo, hi);
    }
    return out->n > 0;
}

/* ---- Commands ----------------------------------------------------------------------------------- */
/* Gmail keeps what a user calls a message as labels; "$Forwarded" and its like are keywords everywhere. */
enum { AS_KEYWORD = 1, AS_LABEL = 2 };

/* The words of "+x -y" with that sign; a bare word counts as '+'. */
static void keywords_add(struct str words, char sign, unsigned kinds, struct buf *out)
{
    struct str word;
    while (str_split(&words, ' ', &word)) {
        char its = '+';
        if (word.n && (word.p[0] == '+' || word.p[0] == '-')) {
            its = word.p[0];
            word = str_sub(word, 1, word.n);
        }
        bool keyword = word.n && word.p[0] == '$';
        if (its != sign || !word.n || !(kinds & (keyword ? AS_KEYWORD : AS_LABEL)) ||
            ((kinds & AS_KEYWORD) && !imap_keyword_valid(word)))
            continue;
        buf_addz(out, out->n ? " " : "");
        buf_adds(out, word);
    }
}

static bool act_send(struct session *s, struct act *act, const char *command, struct str name, const char *after,
                     struct err *err)
{
    struct imap_cmd c;
    uint32_t *tag = act->tags;
    while (*tag) /* no step has more commands than there are places */
        tag++;
    imap_cmd_init(&c, command);
    imap_cmd_add(&c, " %s", buf_z(&act->set)); /* no blank at the end: Cyrus refuses it */
    if (name.n) {
        imap_cmd_add(&c, " ");
        imap_cmd_mailbox(s->imap, &c, name);
    }
    if (*after)
        imap_cmd_add(&c, " %s", after);
    return imap_send(s->imap, &c, tag, err) || (err->kind != ERR_USAGE && session_lost(s, err));
}

static bool labels_send(struct session *s, struct act *act, char sign, struct str labels, struct err *err)
{
    struct imap_cmd c;
    struct str word;
    const char *sep = "";
    uint32_t *tag = act->tags;
    while (*tag)
        tag++;
    imap_cmd_init(&c, "UID STORE ");
    imap_cmd_add(&c, "%s %cX-GM-LABELS (", buf_z(&act->set), sign);
    while (str_split(&labels, ' ', &word)) {
        struct buf name = BUF_INIT(IMAP_NAME_MAX);
        if (imap_label_name(word, &name)) {
            imap_cmd_add(&c, "%s", sep);
            imap_cmd_mailbox(s->imap, &c, buf_str(&name));
            sep = " ";
        }
        buf_fini(&name);
    }
    imap_cmd_add(&c, ")");
    if (!*sep) {
        imap_cmd_fini(&c);
        return true;
    }
    return imap_send(s->imap, &c, tag, err) || (err->kind != ERR_USAGE && session_lost(s, err));
}

static bool store_send(struct session *s, struct act *act, char sign, uint32_t flags, struct str keywords,
                       struct err *err)
{
    struct buf words = BUF_INIT(4096), labels = BUF_INIT(4096), after = BUF_INIT(4200);
    bool ok = true;
    bool gmail = (imap_caps(s->imap) & IMAP_CAP_GMAIL) != 0;
    if (gmail)
        keywords_add(keywords, sign, AS_LABEL, &labels);
    imap_flags_write(flags, &words);
    if (sign == '-')
        imap_flags_old(flags, &words);
    /* What is a label may be a keyword too, by another program: it is taken off as both. */
    keywords_add(keywords, sign, gmail && sign == '+' ? AS_KEYWORD : AS_KEYWORD | AS_LABEL, &words);
    if (words.n) { /* only ever + and -: two clients may change flags at once (THREATS 71) */
        buf_addf(&after, "%cFLAGS.SILENT (%s)", sign, buf_z(&words));
        ok = act_send(s, act, "UID STORE", STR(""), buf_z(&after), err);
    }
    ok = ok && (!labels.n || labels_send(s, act, sign, buf_str(&labels), err));
    buf_fini(&labels);
    buf_fini(&words);
    buf_fini(&after);
    return ok;
}

static bool by_copy(const struct session *s, const struct msg *m)
{
    return m->kind == MSG_STEP_MOVE && !m->u.STEP_MOVE.copy && !(imap_caps(s->imap) & IMAP_CAP_MOVE);
}

/* What a step asks for the UIDs of one act, as far as it needs no answer in between. */
static bool act_begin(struct session *s, struct act *act, const struct msg *m, struct err *err)
{
    if (m->kind == MSG_STEP_EXPUNGE)
        return store_send(s, act, '+', FLAG_DELETED, STR(""), err);
    if (m->kind == MSG_STEP_STORE) {
        const struct m_STEP_STORE *q = &m->u.STEP_STORE;
        return store_send(s, act, '+', q->add, q->keywords, err) &&
               store_send(s, act, '-', q->remove, q->keywords, err);
    }
    act->moves = true;
    return act_send(s, act, m->u.STEP_MOVE.copy || by_copy(s, m) ? "UID COPY" : "UID MOVE", m->u.STEP_MOVE.target_name,
                    "", err);
}

static struct str act_uids(const struct msg *m)
{
    return m->kind == MSG_STEP_STORE  ? m->u.STEP_STORE.uids
           : m->kind == MSG_STEP_MOVE ? m->u.STEP_MOVE.uids
                                      : m->u.STEP_EXPUNGE.uids;
}

static uint64_t act_box(const struct msg *m)
{
    return m->kind == MSG_STEP_STORE  ? m->u.STEP_STORE.box
           : m->kind == MSG_STEP_MOVE ? m->u.STEP_MOVE.box
                                      : m->u.STEP_EXPUNGE.box;
}

static uint32_t act_validity(const struct msg *m)
{
    return m->kind == MSG_STEP_STORE  ? m->u.STEP_STORE.uidvalidity
           : m->kind == MSG_STEP_MOVE ? m->u.STEP_MOVE.uidvalidity
                                      : m->u.STEP_EXPUNGE.uidvalidity;
}

static bool act_select(struct session *s, const struct msg *m, bool write, struct err *err)
{
    return select_uids(s, act_box(m), act_validity(m), write, err);
}

/* Copying leaves its source as it is. */
static bool act_writes(const struct msg *m)
{
    return m->kind != MSG_STEP_MOVE || !m->u.STEP_MOVE.copy;
}

static struct act *act_of_step(struct session *s, uint32_t step)
{
    for (size_t i = 0; i < ACTS_MAX; i++)
        if (s->acts[i].step == step)
            return &s->acts[i];
    return NULL;
}

static void act_free(struct session *s, struct act *act)
{
    buf_fini(&act->set);
    buf_fini(&act->pairs);
    size_t i = (size_t)(act - s->acts);
    memmove(act, act + 1, (ACTS_MAX - i - 1) * sizeof(*act));
    s->acts[ACTS_MAX - 1] = (struct act){.step = 0};
}

/* A slot for the next piece of the set from *at on; NULL where none is free or no UID is left. */
static struct act *act_new(struct session *s, uint32_t step, struct str uids, size_t *at)
{
    struct act *act = act_of_step(s, 0);
    struct buf set = BUF_INIT(SET_MAX + 64);
    if (!act || !set_piece(uids, at, SET_MAX, &set)) {
        buf_fini(&set);
        return NULL;
    }
    *act = (struct act){.step = step, .set = set, .pairs = BUF_INIT(4u << 20)};
    return act;
}

void acts_drop(struct session *s)
{
    while (s->acts[0].step)
        act_free(s, &s->acts[0]);
}

/* False when the line is gone; a refusal is kept in the act. */
static bool act_wait(struct session *s, struct act *act, struct err *err)
{
    for (size_t i = 0; i < COUNT(act->tags); i++) {
        uint32_t tag = act->tags[i];
        struct imap_result r;
        struct err e = ERR_INIT;
        if (!tag)
            continue;
        bool ok = session_done(s, tag, &r, &e);
        act->tags[i] = 0;
        if (!ok && (s->f->lost || s->f->ended)) {
            *err = e;
            return false;
        }
        if (ok && str_case_eqz(r.code, "COPYUID"))
            ok = (buf_adds(&act->pairs, r.args) && buf_addc(&act->pairs, '\n')) ||
                 err_set(&e, ERR_LIMIT, "too long a COPYUID");
        if (!ok && !act->err.kind)
            act->err = e;
    }
    return true;
}

bool acts_drain(struct session *s, struct err *err)
{
    for (size_t i = 0; i < ACTS_MAX && s->acts[i].step; i++)
        if (!act_wait(s, &s->acts[i], err))
            return false;
    return true;
}

bool act_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    struct session *s = f->session;
    size_t at = 0;
    if (!s || !s->imap || s->selected != act_box(m) || s->selecting || (s->readonly && act_writes(m)) ||
        (act_validity(m) && act_validity(m) != s->uidvalidity))
        return false;
    struct act *act = act_new(s, step, act_uids(m), &at);
    if (!act)
        return false;
    if (at < ipc_ranges_count(act_uids(m))) { /* more than one command: in its own turn */
        act_free(s, act);
        return false;
    }
    if (!act_begin(s, act, m, &act->err))
        act->err.kind = act->err.kind ? act->err.kind : ERR_USAGE;
    return !f->lost;
}

/* ---- MOVED -------------------------------------------------------------------------------------- */
static bool set_has(struct str set, uint32_t uid)
{
    uint32_t lo, hi;
    while (imap_set_next(&set, &lo, &hi))
        if (lo <= uid && uid <= hi)
            return true;
    return false;
}

/* To the move of these UIDs: a server may tell of the next move before it ends this one, and no two have a UID in
 * common. */
void imap_on_copyuid(struct session *s, struct str args)
{
    struct str rest = args, validity, from;
    uint32_t lo, hi;
    if (!str_split(&rest, ' ', &validity) || !str_split(&rest, ' ', &from) || !imap_set_next(&from, &lo, &hi))
        return;
    for (size_t i = 0; i < ACTS_MAX && s->acts[i].step; i++)
        if (s->acts[i].moves && set_has(buf_str(&s->acts[i].set), lo)) {
            buf_adds(&s->acts[i].pairs, args);
            buf_addc(&s->acts[i].pairs, '\n');
            return;
        }
}

static bool moved_one(struct session *s, const struct msg *m, uint32_t uid, uint32_t validity, uint32_t uid_to,
                      struct err *err)
{
    return FETCH_SEND(s->f, err, MOVED, .step = fetch_step(s->f), .box = m->u.STEP_MOVE.box, .uid = uid,
                      .target = m->u.STEP_MOVE.target, .uidvalidity = validity, .uid_to = uid_to);
}

/* "uidvalidity from-set to-set": walked in step, never expanded beyond what was asked; others' UIDs are left out. */
static bool moved_pairs(struct session *s, const struct act *act, const struct msg *m, struct str args, unsigned *told,
                        struct err *err)
{
    struct str word, from, to;
    uint32_t validity, f_lo = 0, f_hi = 0, t_lo = 0, t_hi = 0;
    bool have_f = false, have_t = false;
    if (!str_split(&args, ' ', &word) || !str_u32(word, &validity) || !str_split(&args, ' ', &from) ||
        !str_split(&args, ' ', &to))
        return true;
    for (unsigned n = 0; n < MOVED_MAX; n++) {
        if (!have_f && !imap_set_next(&from, &f_lo, &f_hi))
            return true;
        if (!have_t && !imap_set_next(&to, &t_lo, &t_hi))
            return true;
        if (set_has(buf_str(&act->set), f_lo)) {
            ++*told;
            if (!moved_one(s, m, f_lo, validity, t_lo, err))
                return false;
        }
        have_f = f_lo++ < f_hi;
        have_t = t_lo++ < t_hi;
    }
    return true;
}

static bool moved_tell(struct session *s, const struct act *act, const struct msg *m, struct err *err)
{
    struct str pairs = buf_str(&act->pairs), set = buf_str(&act->set), line;
    uint32_t lo, hi;
    unsigned told = 0;
    while (str_split(&pairs, '\n', &line))
        if (line.n && !moved_pairs(s, act, m, line, &told, err))
            return false;
    /* A server that names new places and names none has moved none. */
    bool names = (imap_caps(s->imap) & IMAP_CAP_UIDPLUS) != 0;
    while (!told && !names && imap_set_next(&set, &lo, &hi))
        for (uint64_t uid = lo; uid <= hi && uid - lo < MOVED_MAX; uid++)
            if (!moved_one(s, m, (uint32_t)uid, 0, 0, err))
                return false;
    return true;
}

/* ---- The steps ---------------------------------------------------------------------------------- */
/* Of what is marked as deleted, only ours, never mailbox-wide (THREATS 65). Not in one flight with the STORE:
 * Dovecot 2.3 looks for what is marked before it has marked it, while commands sent earlier are still to end. */
static bool expunge(struct session *s, struct act *act, const struct msg *m, struct err *err)
{
    return act->err.kind || !(imap_caps(s->imap) & IMAP_CAP_UIDPLUS) ||
           (act_select(s, m, true, err) && act_send(s, act, "UID EXPUNGE", STR(""), "", err) && act_wait(s, act, err));
}

/* The answers of one act; a message is told to have moved only when its original has gone. */
static bool act_finish(struct session *s, struct act *act, const struct msg *m, struct err *err)
{
    if (!act_wait(s, act, err))
        return false;
    if (!act->err.kind && by_copy(s, m)) { /* copied, and told so: now the originals, and nothing but them */
        act->moves = false;
        if (!act_select(s, m, true, err) || !store_send(s, act, '+', FLAG_DELETED, STR(""), err) ||
            !act_wait(s, act, err))
            return false;
    }
    if ((by_copy(s, m) || m->kind == MSG_STEP_EXPUNGE) && !expunge(s, act, m, err))
        return false;
    if (act->err.kind) {
        *err = act->err;
        return false;
    }
    return m->kind != MSG_STEP_MOVE || moved_tell(s, act, m, err);
}

/* Pieces of the set, several under way at once; the first failure is the step's. */
bool imap_step_act(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s;
    uint32_t step = fetch_step(f);
    if (!session_need(f, &s, err))
        return false;
    size_t at = act_of_step(s, step) ? ipc_ranges_count(act_uids(m)) : 0;
    struct act *act;
    struct err e = ERR_INIT;
    bool ok = at > 0 || act_select(s, m, act_writes(m), err);
    for (;;) {
        while (ok && (act = act_new(s, step, act_uids(m), &at)) != NULL)
            if (!(ok = act_begin(s, act, m, err)))
                act->err = *err;
        if (f->lost || !(act = act_of_step(s, step)))
            break;
        if (!act_finish(s, act, m, &e) && ok) {
            *err = e;
            ok = false;
        }
        if (!f->lost)
            act_free(s, act);
    }
    if (f->lost) {
        *err = f->lost_err;
        return false;
    }
    if (!ok && m->kind == MSG_STEP_MOVE)
        return quota_refused(s, m->u.STEP_MOVE.target_name, err);
    if (!ok || (imap_caps(s->imap) & IMAP_CAP_UIDPLUS))
        return ok && (m->kind != MSG_STEP_EXPUNGE || quota_changed(s, err));
    if (m->kind == MSG_STEP_EXPUNGE)
        return err_set(err, ERR_SERVER_NO,
                       "this server cannot remove single messages (no UIDPLUS): they are marked as deleted");
    return !by_copy(s, m) || FETCH_SEND(f, err, ALERT,
                                        .text = STR("This server cannot remove single messages: the moved ones stay "
                                                    "behind, marked as deleted"));
}
