/* What changes the server: flags, moves, removal of just these messages, appending (RFC 4315, 6851, 7162). Never a
 * mailbox-wide EXPUNGE, never a CLOSE. */
#include "fetch/imap.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SET_MAX 2000 /* bytes of a sequence set in one command */

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

/* One command per piece of the set, all under way at once; the first failure is the step's. */
static bool each_piece(struct session *s, struct str ranges, const char *before, struct str name, const char *after,
                       struct err *err)
{
    struct buf set = BUF_INIT(SET_MAX + 64);
    uint32_t tags[16];
    size_t at = 0, n;
    bool ok = true, more = true;
    while (ok && more) {
        for (n = 0; ok && n < COUNT(tags) && (more = set_piece(ranges, &at, SET_MAX, &set)); n++) {
            struct imap_cmd c;
            imap_cmd_init(&c, before);
            imap_cmd_add(&c, " %s", buf_z(&set)); /* no blank at the end: Cyrus refuses it */
            if (name.n) {
                imap_cmd_add(&c, " ");
                imap_cmd_string(s->imap, &c, name);
            }
            if (*after)
                imap_cmd_add(&c, " %s", after);
            ok = imap_send(s->imap, &c, &tags[n], err) || (err->kind != ERR_USAGE && session_lost(s, err));
            if (!ok)
                break;
        }
        for (size_t i = 0; i < n && !s->f->lost; i++) {
            struct err e = ERR_INIT;
            if (!session_done(s, tags[i], NULL, &e) && ok) {
                *err = e;
                ok = false;
            }
        }
    }
    buf_fini(&set);
    return ok;
}

/* ---- STORE -------------------------------------------------------------------------------------- */
/* The words of "+x -y" with that sign; a bare word counts as '+'. */
static void keywords_add(struct str words, char sign, struct buf *out)
{
    struct str word;
    while (str_split(&words, ' ', &word)) {
        char its = '+';
        if (word.n && (word.p[0] == '+' || word.p[0] == '-')) {
            its = word.p[0];
            word = str_sub(word, 1, word.n);
        }
        if (its != sign || !imap_keyword_valid(word))
            continue;
        buf_addz(out, out->n ? " " : "");
        buf_adds(out, word);
    }
}

static bool store_send(struct session *s, struct str uids, char sign, uint32_t flags, struct str keywords,
                       struct err *err)
{
    struct buf words = BUF_INIT(4096), after = BUF_INIT(4200);
    bool ok = true;
    imap_flags_write(flags, &words);
    keywords_add(keywords, sign, &words);
    if (words.n) { /* only ever + and -: two clients may change flags at once (THREATS 71) */
        buf_addf(&after, "%cFLAGS.SILENT (%s)", sign, buf_z(&words));
        ok = each_piece(s, uids, "UID STORE", (struct str){NULL, 0}, buf_z(&after), err);
    }
    buf_fini(&words);
    buf_fini(&after);
    return ok;
}

bool imap_step_store(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_STORE *q = &m->u.STEP_STORE;
    struct session *s;
    return session_need(f, &s, err) && select_ensure(s, q->box, true, err) &&
           store_send(s, q->uids, '+', q->add, q->keywords, err) &&
           store_send(s, q->uids, '-', q->remove, q->keywords, err);
}

/* ---- MOVE, COPY, EXPUNGE ------------------------------------------------------------------------ */
/* "uidvalidity from-set to-set": walked in step, never expanded beyond what was asked. */
bool imap_on_copyuid(struct session *s, struct str args, struct err *err)
{
    struct str word, from, to;
    uint32_t validity, f_lo = 0, f_hi = 0, t_lo = 0, t_hi = 0;
    bool have_f = false, have_t = false;
    if (!s->move_target || !str_split(&args, ' ', &word) || !str_u32(word, &validity) ||
        !str_split(&args, ' ', &from) || !str_split(&args, ' ', &to))
        return true;
    for (unsigned n = 0; n < 200000; n++) {
        if (!have_f && !imap_set_next(&from, &f_lo, &f_hi))
            return true;
        if (!have_t && !imap_set_next(&to, &t_lo, &t_hi))
            return true;
        s->moved++;
        if (!FETCH_SEND(s->f, err, MOVED, .step = fetch_step(s->f), .box = s->selected, .uid = f_lo,
                        .target = s->move_target, .uidvalidity = validity, .uid_to = t_lo))
            return false;
        have_f = f_lo++ < f_hi;
        have_t = t_lo++ < t_hi;
    }
    return true;
}

static bool moved_tell(struct session *s, struct str uids, uint64_t target, struct str pairs, struct err *err)
{
    struct str line;
    while (str_split(&pairs, '\n', &line))
        if (line.n && !imap_on_copyuid(s, line, err))
            return false;
    if (s->moved)
        return true;
    size_t n = ipc_ranges_count(uids);
    uint32_t lo, hi;
    unsigned told = 0;
    for (size_t i = 0; i < n; i++) {
        ipc_ranges_at(uids, i, &lo, &hi);
        for (uint64_t uid = lo; uid <= hi && told++ < 200000; uid++)
            if (!FETCH_SEND(s->f, err, MOVED, .step = fetch_step(s->f), .box = s->selected, .uid = (uint32_t)uid,
                            .target = target))
                return false;
    }
    return true;
}

/* COPY and MOVE: COPYUID may stand in the tagged answer, so each is waited for by itself. It is kept in `pairs`, a line
 * each: a message is told to have moved only when its original has gone. */
static bool copy_or_move(struct session *s, struct str uids, const char *command, struct str target, struct buf *pairs,
                         struct err *err)
{
    struct buf set = BUF_INIT(SET_MAX + 64);
    struct imap_result r;
    struct imap_cmd c;
    uint32_t tag;
    size_t at = 0;
    bool ok = true;
    while (ok && set_piece(uids, &at, SET_MAX, &set)) {
        imap_cmd_init(&c, command);
        imap_cmd_add(&c, " %s ", buf_z(&set));
        imap_cmd_mailbox(s->imap, &c, target);
        ok = imap_send(s->imap, &c, &tag, err) || (err->kind != ERR_USAGE && session_lost(s, err));
        ok = ok && session_done(s, tag, &r, err);
        if (ok && str_case_eqz(r.code, "COPYUID"))
            ok = (buf_adds(pairs, r.args) && buf_addc(pairs, '\n')) || err_set(err, ERR_LIMIT, "too long a COPYUID");
    }
    buf_fini(&set);
    return ok;
}

static bool remove_these(struct session *s, struct str uids, struct err *err)
{
    return store_send(s, uids, '+', FLAG_DELETED, (struct str){NULL, 0}, err) &&
           each_piece(s, uids, "UID EXPUNGE", (struct str){NULL, 0}, "", err);
}

bool imap_step_move(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MOVE *q = &m->u.STEP_MOVE;
    struct session *s;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, !q->copy, err))
        return false;
    uint64_t caps = imap_caps(s->imap);
    bool move = !q->copy && (caps & IMAP_CAP_MOVE);
    s->move_target = q->target;
    s->moved = 0;
    struct buf pairs = BUF_INIT(4u << 20);
    bool ok = copy_or_move(s, q->uids, move ? "UID MOVE" : "UID COPY", q->target_name, &pairs, err);
    /* Copied, and told so: now the originals, and nothing but them (THREATS 65). */
    bool marked = ok && !move && !q->copy && !(caps & IMAP_CAP_UIDPLUS);
    if (marked)
        ok = store_send(s, q->uids, '+', FLAG_DELETED, (struct str){NULL, 0}, err);
    else if (!move && !q->copy)
        ok = ok && remove_these(s, q->uids, err);
    ok = ok && moved_tell(s, q->uids, q->target, buf_str(&pairs), err);
    s->move_target = 0;
    buf_fini(&pairs);
    if (!ok)
        return quota_refused(s, q->target_name, err);
    return (!marked || FETCH_SEND(f, err, ALERT,
                                  .text = STR("This server cannot remove single messages: the moved ones stay "
                                              "behind, marked as deleted")));
}

bool imap_step_expunge(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_EXPUNGE *q = &m->u.STEP_EXPUNGE;
    struct session *s;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, true, err))
        return false;
    if (imap_caps(s->imap) & IMAP_CAP_UIDPLUS)
        return remove_these(s, q->uids, err);
    return store_send(s, q->uids, '+', FLAG_DELETED, (struct str){NULL, 0}, err) &&
           err_set(err, ERR_SERVER_NO,
                   "this server cannot remove single messages (no UIDPLUS): they are marked as deleted");
}
