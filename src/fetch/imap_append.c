/* APPEND: a mail of ours into a mailbox, in place of its older form where that is asked (RFC 8508), within the limits
 * that the server names (RFC 7889), with a header in UTF-8 where the session has that (RFC 6855). */
#include "fetch/imap.h"

#include <errno.h>
#include <unistd.h>

#define APPEND_MAX (UINT64_C(1) << 30)
#define LIMIT_ASK 65536 /* below it no mailbox's own limit is worth a round trip */

struct append {
    const struct m_STEP_APPEND *q;
    int fd;
    uint64_t size;  /* as it goes over the line */
    bool header8;   /* bytes above 127 in the header */
    bool replacing; /* UID REPLACE in place of APPEND */
    bool alone;     /* no other mail within the same command */
    bool shared;    /* there were such, and it failed */
};

/* Walks the file; LF and CR LF become CR LF, NUL is dropped (Cyrus refuses both: THREATS 68). With `s` NULL it only
 * looks. */
static bool append_pass(struct session *s, struct append *a, struct err *err)
{
    char in[16384], out[2 * sizeof(in)], last = 0;
    uint64_t size = 0;
    unsigned line = 0; /* bytes of the line so far: an empty one ends the header */
    bool header = true;
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(a->fd, in, sizeof(in), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "reading the message");
        if (n == 0)
            break;
        size_t len = 0;
        for (ssize_t i = 0; i < n; i++) {
            if (in[i] == '\n' && last != '\r')
                out[len++] = '\r';
            last = in[i];
            if (in[i])
                out[len++] = in[i];
            header = header && (in[i] != '\n' || line);
            a->header8 = a->header8 || (header && (unsigned char)in[i] >= 0x80);
            line = in[i] == '\n' ? 0 : line + (in[i] != '\r');
        }
        at += n;
        size += len;
        if (s && !imap_literal(s->imap, (struct str){out, len}, err))
            return session_lost(s, err);
        if (s)
            fetch_progress(s->f, size, a->size);
    }
    if (!s)
        a->size = size;
    else if (size != a->size) { /* another program wrote to the file meanwhile: what was announced cannot be kept */
        err_set(err, ERR_IO, "the message changed while it was sent");
        return session_lost(s, err);
    }
    return true;
}

/* ---- The server's limit ------------------------------------------------------------------------- */
static bool too_large(uint64_t size, uint64_t limit, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "the mail has %llu KB, and the server takes at most %llu KB in one",
                   (unsigned long long)(size + 1023) / 1024, (unsigned long long)limit / 1024);
}

bool append_on_status(struct session *s, const struct imap_status *st)
{
    if (!s->append_ask.n || !str_eq(st->name, s->append_ask))
        return false;
    s->append_limit = st->appendlimit;
    return true;
}

/* Before the upload, not after it. */
static bool within_limit(struct session *s, const struct append *a, struct err *err)
{
    uint64_t limit = imap_append_limit(s->imap);
    struct imap_cmd c;
    struct err refused = ERR_INIT;
    uint32_t tag;
    if (limit == UINT64_MAX && (imap_caps(s->imap) & IMAP_CAP_APPENDLIMIT) && a->size > LIMIT_ASK) {
        s->append_ask = a->q->name;
        s->append_limit = UINT64_MAX;
        imap_cmd_init(&c, "STATUS ");
        imap_cmd_mailbox(s->imap, &c, a->q->name);
        imap_cmd_add(&c, " (APPENDLIMIT)");
        bool ok = imap_send(s->imap, &c, &tag, err) || (err->kind != ERR_USAGE && session_lost(s, err));
        ok = ok && (session_done(s, tag, NULL, &refused) || !(s->f->lost || s->f->ended));
        s->append_ask = (struct str){NULL, 0};
        limit = s->append_limit;
        if (!ok) {
            *err = refused.kind ? refused : *err;
            return false;
        }
    }
    return a->size <= limit || too_large(a->size, limit, err);
}

/* ---- The command -------------------------------------------------------------------------------- */
static void append_words(const struct m_STEP_APPEND *q, struct buf *out)
{
    struct str words = q->keywords, word;
    buf_addz(out, " (");
    imap_flags_write(q->flags, out);
    while (str_split(&words, ' ', &word))
        if (word.n)
            buf_addf(out, "%s%.*s", out->p[out->n - 1] == '(' ? "" : " ", STR_FMT(word));
    buf_addz(out, ") ");
    if (q->internal_date > 0) {
        buf_addc(out, '"');
        imap_date_write(q->internal_date, out);
        buf_addz(out, "\" ");
    }
}

/* One more mail for the mailbox to which a command brings one just now. Small ones: a mail that is too large would
 * refuse the others with it. */
bool append_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    struct session *s = f->session;
    struct append a = {.q = &m->u.STEP_APPEND, .fd = m->fd};
    struct err err = ERR_INIT;
    struct buf words = BUF_INIT(2000);
    if (!s || !s->appending.tag || s->appending.n == APPENDS_MAX || a.fd < 0 || a.q->replaces ||
        !str_eq(a.q->name, s->appending.name) || !append_pass(NULL, &a, &err) || a.size > LIMIT_ASK ||
        a.size > imap_append_limit(s->imap) || a.header8)
        return false;
    append_words(a.q, &words);
    bool ok = imap_literal_next(s->imap, s->appending.tag, buf_z(&words), a.size, &s->appending.refused, &err) &&
              (s->appending.refused || append_pass(s, &a, &err));
    buf_fini(&words);
    if (!ok)
        return session_lost(s, &err);
    if (s->appending.refused)
        return false;
    s->appending.list[s->appending.n++] = (struct joined){.step = step};
    return true;
}

static bool append_send(struct session *s, struct append *a, uint32_t *tag_r, struct err *err)
{
    const struct m_STEP_APPEND *q = a->q;
    struct imap_cmd c;
    struct buf words = BUF_INIT(2000);
    bool refused, utf8 = a->header8 && imap_enabled(s->imap, IMAP_CAP_UTF8_ACCEPT);
    append_words(q, &words);
    imap_cmd_init(&c, "");
    if (a->replacing)
        imap_cmd_add(&c, "UID REPLACE %u ", q->replaces);
    else
        imap_cmd_add(&c, "APPEND ");
    imap_cmd_mailbox(s->imap, &c, q->name);
    imap_cmd_add(&c, "%s", buf_z(&words));
    if (utf8) /* a header of more than ASCII has to be announced */
        imap_cmd_add(&c, "UTF8 (~");
    buf_fini(&words);
    if (!imap_send_literal(s->imap, &c, a->size, tag_r, &refused, err))
        return err->kind != ERR_USAGE && session_lost(s, err);
    if (refused)
        return true;
    if (!append_pass(s, a, err))
        return false;
    if (!utf8 && !a->alone && !a->replacing && (imap_caps(s->imap) & IMAP_CAP_MULTIAPPEND)) {
        s->appending = (struct appending){.tag = *tag_r, .name = q->name};
        fetch_wake(s->f);
        while (!s->appending.refused && fetch_join(s->f, MSG_STEP_APPEND))
            ;
        s->appending.tag = 0;
        if (s->f->lost)
            *err = s->f->lost_err;
        if (s->f->lost || s->appending.refused)
            return !s->f->lost;
    }
    bool ended = (!utf8 || imap_literal(s->imap, STR(")"), err)) && imap_literal_end(s->imap, err);
    return ended || session_lost(s, err);
}

/* The older form must be in the mailbox that is selected; a server that cannot, or a mailbox that is not open to
 * writing, gets an APPEND, and the store removes the older form by itself. */
static bool may_replace(struct session *s, const struct m_STEP_APPEND *q, struct err *err)
{
    struct err refused = ERR_INIT;
    if (!q->replaces || !(imap_caps(s->imap) & IMAP_CAP_REPLACE) || !box_find(s, q->box))
        return false;
    if (select_ensure(s, q->box, true, &refused))
        return true;
    if (s->f->lost || s->f->ended)
        *err = refused;
    return false;
}

static bool append_tell(struct session *s, const struct m_STEP_APPEND *q, uint32_t validity, uint32_t uid,
                        struct err *err)
{
    if (s->selected == q->box && uid && validity == s->uidvalidity && uid < UINT32_MAX)
        s->uidnext = MAX(s->uidnext, uid + 1); /* what is asked of all mails is asked of this one too */
    return FETCH_SEND(s->f, err, APPENDED, .step = fetch_step(s->f), .box = q->box, .uidvalidity = uid ? validity : 0,
                      .uid = uid);
}

/* "uidvalidity uid-set", in the order of the mails: of this step's, then of those that went with it. None of them is
 * told where there are fewer or more than mails (0 then). */
static void append_uids(struct session *s, struct str args, uint32_t *validity_r, uint32_t *uid_r)
{
    struct str word, set;
    uint32_t lo, hi, uids[APPENDS_MAX + 1] = {0};
    uint64_t n = 0;
    if (!str_split(&args, ' ', &word) || !str_u32(word, validity_r) || !str_split(&args, ' ', &set))
        return;
    while (imap_set_next(&set, &lo, &hi))
        for (uint64_t uid = lo; uid <= hi && n < COUNT(uids) + 1; uid++, n++)
            if (n < COUNT(uids))
                uids[n] = (uint32_t)uid;
    if (n != s->appending.n + 1)
        return;
    *uid_r = uids[0];
    for (unsigned i = 0; i < s->appending.n; i++) {
        s->appending.list[i].uidvalidity = *validity_r;
        s->appending.list[i].uid = uids[i + 1];
    }
}

/* The turn of a step whose mail went with an earlier one. */
static bool append_joined(struct session *s, const struct m_STEP_APPEND *q, bool *ok_r, struct err *err)
{
    struct appending *j = &s->appending;
    for (unsigned i = 0; i < j->n; i++)
        if (j->list[i].step == fetch_step(s->f)) {
            struct joined was = j->list[i];
            j->list[i] = j->list[--j->n];
            *ok_r = append_tell(s, q, was.uidvalidity, was.uid, err);
            return true;
        }
    return false;
}

static bool append_once(struct session *s, struct append *a, struct err *err)
{
    struct imap_result r;
    uint32_t tag, validity = 0, uid = 0;
    if (!append_send(s, a, &tag, err) || !session_done(s, tag, &r, err)) {
        a->shared = s->appending.n || s->appending.refused;
        s->appending = (struct appending){.n = 0}; /* all or nothing: each goes by itself */
        return false;
    }
    if (str_case_eqz(r.code, "APPENDUID"))
        append_uids(s, r.args, &validity, &uid);
    if (!uid && a->replacing && s->appended_uid) { /* REPLACE says it in an untagged OK (RFC 8508 3.2) */
        validity = s->appended_validity;
        uid = s->appended_uid;
    }
    /* The server said it by a number, which nobody may know the UID of. */
    if (a->replacing && !gone_tell(s, a->q->box, a->q->replaces, err))
        return false;
    return append_tell(s, a->q, validity, uid, err);
}

void append_on_code(struct session *s, struct str args)
{
    struct str word;
    if (!str_split(&args, ' ', &word) || !str_u32(word, &s->appended_validity) || !str_split(&args, ' ', &word) ||
        !str_u32(word, &s->appended_uid))
        s->appended_uid = 0;
}

bool imap_step_append(struct fetch *f, struct msg *m, struct err *err)
{
    struct append a = {.q = &m->u.STEP_APPEND, .fd = m->fd};
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    bool ok;
    if (append_joined(s, a.q, &ok, err))
        return ok;
    if (m->fd < 0)
        return err_set(err, ERR_CHANNEL, "no message to append");
    if (!append_pass(NULL, &a, err))
        return false;
    if (a.size > APPEND_MAX)
        return err_set(err, ERR_LIMIT, "the message is larger than a gigabyte");
    if (!within_limit(s, &a, err))
        return false;
    a.replacing = may_replace(s, a.q, err);
    if (f->lost)
        return false;
    s->appended_uid = 0;
    ok = append_once(s, &a, err);
    if (!ok && a.shared && !f->lost && !f->ended) {
        a.alone = true;
        ok = append_once(s, &a, err);
    }
    if (!ok && a.replacing && !f->lost && (err->kind == ERR_SERVER_NO || err->kind == ERR_NO_MESSAGE)) {
        a.replacing = false; /* the older form is gone, or the server does not mean it */
        ok = append_once(s, &a, err);
    }
    return ok ? quota_changed(s, err) : quota_refused(s, a.q->name, err);
}
