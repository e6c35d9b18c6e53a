/* Which bytes of a message are fetched, and the file that is made of them.
 *
 * A small message comes whole. Of a large one the first 8 KB and the structure come in one round trip; they decide:
 * signed and encrypted mail, mail that is nearly all text, and what the structure does not explain come whole; else
 * the texts that a screen shows come, and the file says which parts it lacks (mail/absent.h). */
#include "fetch/imap.h"
#include "mail/absent.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FIRST 8192               /* bytes for a first screen: with the rest of the answer they fit an idle TCP window */
#define WINDOW 12288             /* what comes in one round trip in any case */
#define SMALL_MAX (64u << 10)    /* a message up to this size comes whole */
#define SAVED_MIN (32u << 10)    /* parts of less together are not worth leaving out */
#define TEXT_MAX (1u << 20)      /* of one text part: a larger one is fetched when it is opened */
#define TEXTS_MAX (4u << 20)     /* of all of them */
#define LITTLE 512               /* not worth leaving out */
#define TEXTS_ASKED 16           /* parts asked for one by one; of more the message comes whole */
#define ENCLOSED_MAX (32u << 10) /* an enclosed message up to this size counts as text */
#define AHEAD_TEXT_MAX (256u << 10) /* of a message that nobody has asked for yet */
#define TEXT_SLACK 512              /* asked beyond the size that was announced */
#define HEADER_MAX (256u << 10)     /* a larger header: the message comes whole */

struct leaf {
    bool wanted, hidden;
    uint64_t at;   /* where its body begins in the first bytes of the message; 0 unknown */
    uint64_t here; /* bytes of it among them */
    struct transfer *rest;
    struct buf body;
};
struct plan {
    struct imap_structure st;
    struct leaf *leaves; /* one for each part */
    struct buf front;    /* the first bytes of the message */
    size_t header;       /* bytes of its header, the empty line too */
    struct arena *arena;
    uint8_t attachments;
};

/* ---- Choosing ----------------------------------------------------------------------------------- */
static bool is_type(const struct imap_part *p, const char *type, const char *subtype)
{
    return str_case_eqz(p->type, type) && (!subtype || str_case_eqz(p->subtype, subtype));
}

static bool is_attached(const struct imap_part *p)
{
    return str_case_eqz(p->disposition, "attachment");
}

/* What a screen would show of it: as mime/show.c does. */
static bool is_text(const struct imap_part *p)
{
    static const char *const always[] = {"calendar", "vcard", "x-vcard", "directory"};
    if (p->multipart)
        return false;
    for (size_t i = 0; i < COUNT(always); i++)
        if (is_type(p, "text", always[i]))
            return true;
    if (is_attached(p))
        return false;
    if (is_type(p, "message", "rfc822") || is_type(p, "message", "global"))
        return p->size <= ENCLOSED_MAX;
    return is_type(p, "text", NULL) || is_type(p, "message", "delivery-status") ||
           is_type(p, "message", "disposition-notification") || !p->type.n;
}

/* Its bytes are worth nothing in pieces. */
static bool is_sealed(const struct imap_part *p)
{
    return is_type(p, "multipart", "signed") || is_type(p, "multipart", "encrypted") ||
           is_type(p, "application", "pkcs7-mime") || is_type(p, "application", "x-pkcs7-mime");
}

static int rank(const struct imap_part *p)
{
    if (is_type(p, "text", "html"))
        return 2;
    if (is_type(p, "text", "plain"))
        return p->size > 4 ? 3 : 1; /* "" and a line end: nothing to read */
    return is_type(p, "text", NULL) && !is_type(p, "text", "calendar") ? 1 : 0;
}

static const struct imap_part *first_leaf(const struct imap_structure *st, size_t i)
{
    while (st->parts[i].multipart && i + 1 < st->n && st->parts[i + 1].parent == i + 1)
        i++;
    return &st->parts[i];
}

/* Of alternatives the one that the view shows; the others are hidden, and all in them. */
static void hide_alternatives(struct plan *p)
{
    const struct imap_structure *st = &p->st;
    size_t *best = mem_array(st->n, sizeof *best); /* index + 1 of the best child */
    int *score = mem_array(st->n, sizeof *score);
    for (size_t i = 1; i < st->n; i++) {
        size_t up = st->parts[i].parent - 1;
        int r = rank(first_leaf(st, i));
        if (is_type(&st->parts[up], "multipart", "alternative") && (r >= score[up] || !best[up])) {
            best[up] = i + 1;
            score[up] = r;
        }
    }
    for (size_t i = 1; i < st->n; i++) {
        size_t up = st->parts[i].parent - 1;
        p->leaves[i].hidden =
            p->leaves[up].hidden || (best[up] && best[up] != i + 1 && !is_type(&st->parts[i], "text", "calendar"));
    }
    free(best);
    free(score);
}

static bool counts_as_attachment(const struct imap_structure *st, const struct imap_part *p)
{
    const struct imap_part *up = p->parent ? &st->parts[p->parent - 1] : NULL;
    if (p->multipart)
        return false;
    return is_attached(p) ||
           !(is_type(p, "text", NULL) || is_type(p, "message", NULL) || !p->type.n ||
             (up && is_type(up, "multipart", "related")) || is_type(p, "application", "pgp-signature") ||
             is_type(p, "application", "pkcs7-signature"));
}

/* False: the message comes whole. */
static bool plan_make(struct plan *p, struct str structure)
{
    uint64_t texts = 0, saved = 0;
    if (!structure.n || !imap_structure_parse(structure, p->arena, &p->st))
        return false;
    p->leaves = mem_array(p->st.n, sizeof *p->leaves);
    p->attachments = BODY_NO_ATTACHMENTS;
    hide_alternatives(p);
    for (size_t i = 0; i < p->st.n; i++) {
        const struct imap_part *part = &p->st.parts[i];
        struct leaf *leaf = &p->leaves[i];
        buf_init(&leaf->body, TEXT_MAX + 65536);
        if (counts_as_attachment(&p->st, part))
            p->attachments = BODY_HAS_ATTACHMENTS;
        if (is_sealed(part) || (!part->multipart && part->size == UINT64_MAX))
            return false;
        if (part->multipart)
            continue;
        leaf->wanted = (!leaf->hidden || part->size <= LITTLE) && is_text(part) && part->size <= TEXT_MAX &&
                       texts + part->size <= TEXTS_MAX;
        if (leaf->wanted)
            texts += part->size;
        else
            saved += MIN(part->size, (uint64_t)IMAP_BODY_MAX);
    }
    return saved >= SAVED_MIN && !(p->st.n == 1 && is_text(&p->st.parts[0]));
}

static uint64_t plan_texts(const struct plan *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->st.n; i++)
        sum += p->leaves[i].wanted ? p->st.parts[i].size : 0;
    return sum;
}

static void plan_fini(struct session *s, struct plan *p)
{
    for (size_t i = 0; p->leaves && i < p->st.n; i++) {
        transfer_free(s, &p->leaves[i].rest);
        buf_fini(&p->leaves[i].body);
    }
    free(p->leaves);
    buf_fini(&p->front);
    arena_free(&p->arena);
}

/* ---- The first bytes ---------------------------------------------------------------------------- */
/* Behind the next empty line from `from` on; 0: none. `from` stands at the beginning of a line. */
static size_t behind_header(struct str s, size_t from)
{
    if (from + 2 <= s.n && s.p[from] == '\r' && s.p[from + 1] == '\n')
        return from + 2;
    const char *end = from < s.n ? memmem(s.p + from, s.n - from, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - s.p) + 4 : 0;
}

/* Behind the line that is this delimiter; 0: none. */
static size_t behind_delimiter(struct str s, size_t from, struct str boundary)
{
    struct buf line = BUF_INIT(2048);
    size_t found = 0;
    if (!boundary.n)
        return 0;
    buf_addz(&line, "\r\n--");
    buf_adds(&line, boundary);
    for (size_t at = from; !line.full && !found && at < s.n;) {
        const char *hit = memmem(s.p + at, s.n - at, line.p, line.n);
        if (!hit)
            break;
        at = (size_t)(hit - s.p) + line.n;
        while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\t'))
            at++;
        if (at + 2 <= s.n && s.p[at] == '\r' && s.p[at + 1] == '\n')
            found = at + 2;
    }
    buf_fini(&line);
    return found;
}

/* Finds the parts in the first bytes, one behind the other; what does not fit the sizes that the server told is left
 * to be fetched by its section. */
static void plan_locate(struct plan *p)
{
    struct str s = buf_str(&p->front);
    size_t at = p->header;
    if (p->st.n == 1 || at < 2)
        return;
    at -= 2; /* the empty line's end stands before the first delimiter */
    for (size_t i = 1; i < p->st.n; i++) {
        const struct imap_part *part = &p->st.parts[i];
        at = behind_delimiter(s, at, imap_param(&p->st.parts[part->parent - 1].params, "boundary"));
        at = at ? behind_header(s, at) : 0;
        if (!at)
            return;
        if (part->multipart) {
            at -= 2;
            continue;
        }
        struct leaf *leaf = &p->leaves[i];
        leaf->at = at;
        leaf->here = MIN(part->size, (uint64_t)(s.n - at));
        if (leaf->here == part->size && at + part->size + 4 <= s.n && memcmp(s.p + at + part->size, "\r\n--", 4) != 0) {
            leaf->at = leaf->here = 0;
            return;
        }
        if (part->size > s.n - at)
            return;
        at += (size_t)part->size;
    }
}

/* ---- Making the file ---------------------------------------------------------------------------- */
static bool is_token(struct str s)
{
    if (!s.n || s.n > 128)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 127 || strchr("()<>@,;:\\\"/[]?=", s.p[i]))
            return false;
    return true;
}

static void put_param(struct str name, struct str value, struct buf *out)
{
    bool bare = name.n && name.p[name.n - 1] == '*' && value.n; /* RFC 2231: such a value is not quoted */
    if (!is_token(name))
        return;
    for (size_t i = 0; i < value.n && bare; i++)
        bare = value.p[i] == '\'' || is_token(str_sub(value, i, i + 1));
    buf_addf(out, ";\r\n\t%.*s=%s", STR_FMT(name), bare ? "" : "\"");
    for (size_t i = 0; i < value.n && i < 4000; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c < ' ' || c == 127)
            continue;
        if (!bare && (c == '"' || c == '\\'))
            buf_addc(out, '\\');
        buf_addc(out, value.p[i]);
    }
    buf_addz(out, bare ? "" : "\"");
}

static void put_params(const struct imap_params *params, bool but_boundary, struct buf *out)
{
    for (size_t i = 0; i < params->n; i++)
        if (!but_boundary || !str_case_starts(params->list[i].name, STR("boundary")))
            put_param(params->list[i].name, params->list[i].value, out);
}

/* The header of a part, as the server described it. */
static void put_header(const struct imap_part *p, struct str boundary, struct buf *out)
{
    if (is_token(p->type) && is_token(p->subtype))
        buf_addf(out, "Content-Type: %.*s/%.*s", STR_FMT(p->type), STR_FMT(p->subtype));
    else
        buf_addz(out, !p->type.n || str_case_eqz(p->type, "text") ? "Content-Type: text/plain"
                                                                  : "Content-Type: application/octet-stream");
    put_params(&p->params, p->multipart, out);
    if (p->multipart)
        put_param(STR("boundary"), boundary, out);
    buf_addz(out, "\r\n");
    if (is_token(p->encoding) && !p->multipart)
        buf_addf(out, "Content-Transfer-Encoding: %.*s\r\n", STR_FMT(p->encoding));
    if (is_token(p->disposition)) {
        buf_addf(out, "Content-Disposition: %.*s", STR_FMT(p->disposition));
        put_params(&p->disposition_params, false, out);
        buf_addz(out, "\r\n");
    }
    if (p->id.n > 2 && p->id.n < 900 && p->id.p[0] == '<' && !memchr(p->id.p, '\r', p->id.n) &&
        !memchr(p->id.p, '\n', p->id.n) && !memchr(p->id.p, 0, p->id.n))
        buf_addf(out, "Content-ID: %.*s\r\n", STR_FMT(p->id));
    buf_addz(out, "\r\n");
}

struct making {
    const struct plan *p;
    struct buf *out, entries;
    uint64_t random[2];
};

static void put_boundary(const struct making *m, uint32_t part, struct buf *out)
{
    if (part == 0) /* the message's own header names it */
        buf_adds(out, imap_param(&m->p->st.parts[0].params, "boundary"));
    else
        buf_addf(out, "=_%016llx%016llx_%u", (unsigned long long)m->random[0], (unsigned long long)m->random[1], part);
}

static void put_delimiter(const struct making *m, uint32_t part, const char *end)
{
    buf_addz(m->out, "--");
    put_boundary(m, part, m->out);
    buf_addz(m->out, end);
}

static void put_leaf(struct making *m, size_t i, uint64_t head)
{
    const struct imap_part *part = &m->p->st.parts[i];
    const struct leaf *leaf = &m->p->leaves[i];
    if (leaf->wanted && leaf->body.n) {
        buf_adds(m->out, buf_str(&leaf->body));
    } else if (part->size) {
        struct absent a = {.section = str_z(part->section), .head = head, .at = m->out->n, .size = part->size};
        absent_add(&m->entries, &a);
    }
}

/* Writes the mail that has the bodies in the leaves; `list` gets what is absent. False past a limit. */
static bool make_file(const struct plan *p, struct buf *out, struct buf *list)
{
    struct making m = {.p = p, .out = out};
    const struct imap_structure *st = &p->st;
    uint32_t up = st->parts[0].multipart; /* index + 1 of the multipart that is open */
    absent_begin(&m.entries, 0);
    buf_reset(&m.entries);
    fs_random(m.random, sizeof m.random);
    buf_adds(out, str_sub(buf_str(&p->front), 0, p->header));
    if (st->n == 1)
        put_leaf(&m, 0, 0);
    for (size_t i = 1; i < st->n; i++) {
        const struct imap_part *part = &st->parts[i];
        struct buf boundary = BUF_INIT(256);
        for (; up && up != part->parent; up = st->parts[up - 1].parent)
            put_delimiter(&m, up - 1, "--\r\n");
        put_delimiter(&m, part->parent - 1, "\r\n");
        uint64_t head = out->n;
        if (part->multipart)
            put_boundary(&m, (uint32_t)i, &boundary);
        put_header(part, buf_str(&boundary), out);
        buf_fini(&boundary);
        if (part->multipart) {
            up = (uint32_t)i + 1;
            continue;
        }
        put_leaf(&m, i, head);
        buf_addz(out, "\r\n");
    }
    for (; up; up = st->parts[up - 1].parent)
        put_delimiter(&m, up - 1, "--\r\n");
    absent_begin(list, out->n);
    buf_adds(list, buf_str(&m.entries));
    bool ok = !out->full && !m.entries.full && !list->full;
    buf_fini(&m.entries);
    return ok;
}

/* ---- Telling the store -------------------------------------------------------------------------- */
static bool body_tell(struct session *s, const struct m_STEP_BODY *q, const char *rel, struct str absent,
                      uint64_t crossed, uint8_t attachments, struct err *err)
{
    if (!q->want.n && s->f->canceled) { /* a step that overtakes this one may ask for the same */
        free(s->told.absent);
        s->told.box = q->box;
        s->told.uid = q->uid;
        s->told.attachments = attachments;
        s->told.absent = mem_dup_n(absent.p, absent.n);
        snprintf(s->told.rel, sizeof s->told.rel, "%s", rel);
    }
    return FETCH_SEND(s->f, err, BODY_AT, .step = q->step, .box = q->box, .uid = q->uid, .msg = q->msg,
                      .bytes = crossed, .path = str_z(rel), .absent = absent, .attachments = attachments);
}

/* BOXKEY/UID, and its directory made. */
static bool body_place(struct session *s, const struct m_STEP_BODY *q, char rel[64], struct err *err)
{
    struct box *box = box_find(s, q->box);
    char key[33];
    if (!box)
        return err_set(err, ERR_NO_MAILBOX, "the mailbox of this step was never selected");
    imap_box_key((struct str){box->name, box->name_len}, box->uidvalidity, key);
    snprintf(rel, 64, "%s/%u", key, q->uid);
    char *dir = path_join(s->f->account_dir, key);
    bool ok = fs_mkdir_private(dir, err);
    free(dir);
    return ok;
}

static bool whole_publish(struct session *s, const struct m_STEP_BODY *q, struct transfer *t, uint8_t attachments,
                          struct err *err)
{
    char rel[64];
    if (!body_place(s, q, rel, err))
        return false;
    char *final = path_join(s->f->account_dir, rel);
    bool ok = transfer_commit(s, t, final, err) && body_tell(s, q, rel, STR(""), t->crossed, attachments, err);
    free(final);
    return ok;
}

bool begun_tell(struct session *s, uint32_t step, const char *path, struct str list, bool all, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(err, err_from_errno(errno), errno, "%s", path);
    bool ok = FETCH_SEND_FD(s->f, fd, err, BODY_BEGUN, .step = step, .absent = list, .all = all);
    close(fd);
    return ok;
}

static bool made_publish(struct session *s, const struct m_STEP_BODY *q, struct str bytes, struct str list,
                         uint64_t crossed, uint8_t attachments, struct err *err)
{
    char rel[64], *tmp = NULL;
    if (!body_place(s, q, rel, err))
        return false;
    int fd = tmp_open(s, &tmp, err);
    if (fd < 0)
        return false;
    char *final = path_join(s->f->account_dir, rel);
    bool ok = fs_write_all(fd, bytes, err) && (!q->urgent || begun_tell(s, fetch_step(s->f), tmp, list, true, err));
    if (ok) {
        ok = fs_commit(fd, tmp, final, err);
    } else {
        close(fd);
        unlink(tmp);
    }
    free(final);
    free(tmp);
    return ok && body_tell(s, q, rel, list, crossed, attachments, err);
}

static bool begun_made(struct session *s, const struct plan *p, struct err *err)
{
    struct buf out = BUF_INIT(HEADER_MAX + TEXTS_MAX + (4u << 20)), list;
    char *tmp = NULL;
    int fd = -1;
    bool ok = make_file(p, &out, &list);
    if (ok) {
        fd = tmp_open(s, &tmp, err);
        ok = fd >= 0 && fs_write_all(fd, buf_str(&out), err) &&
             begun_tell(s, fetch_step(s->f), tmp, buf_str(&list), false, err);
    } else {
        ok = true; /* past a limit: without a first screen */
    }
    if (fd >= 0)
        close(fd);
    if (tmp)
        unlink(tmp);
    free(tmp);
    buf_fini(&out);
    buf_fini(&list);
    return ok;
}

/* ---- The text of a message ---------------------------------------------------------------------- */
bool text_serves(const struct m_STEP_BODY *q)
{
    return !q->want.n || (str_eqz(q->want, "*") && q->size && q->size <= SMALL_MAX);
}

struct transfer *text_begin(struct session *s, const struct m_STEP_BODY *q, struct err *err)
{
    struct transfer *t = transfer_new(s, q->box, q->uid, STR(""), false, false, err);
    if (!t)
        return NULL;
    bool small = q->size && q->size <= SMALL_MAX, ok = true;
    t->size = q->size;
    t->structure_wanted = !small && !(s->odd.box == q->box && s->odd.uid == q->uid);
    if (!small || (q->urgent && !q->want.n && q->size > WINDOW)) {
        t->shows = small ? q->step : 0;
        ok = transfer_ask(s, t, FIRST, err);
    }
    if (ok && small)
        ok = transfer_ask(s, t, 0, err);
    if (!ok)
        transfer_free(s, &t);
    return t;
}

/* Goes on until the whole message is here, and publishes it. */
static bool whole_finish(struct session *s, const struct m_STEP_BODY *q, struct transfer *t, uint8_t attachments,
                         struct err *err)
{
    if (!q->urgent && !q->want.n && MAX(t->size, t->have) > AHEAD_TEXT_MAX)
        return true; /* too much for a message that nobody has asked for yet */
    bool shown = q->urgent && !q->want.n;
    if (shown && !t->complete && !t->begun && !begun_tell(s, q->step, t->path, STR(""), false, err))
        return false;
    if (!t->complete && t->size > SMALL_MAX)
        transfer_keep(s, t);
    return transfer_run(s, t, err) && (!shown || begun_tell(s, q->step, t->path, STR(""), true, err)) &&
           whole_publish(s, q, t, attachments, err);
}

static bool texts_fetch(struct session *s, const struct m_STEP_BODY *q, struct plan *p, uint64_t *crossed, bool *all_r,
                        struct err *err)
{
    bool ok = true, some = false;
    unsigned missing = 0;
    *all_r = false;
    for (size_t i = 0; i < p->st.n; i++)
        missing += p->leaves[i].wanted && p->leaves[i].here < p->st.parts[i].size;
    if (missing > TEXTS_ASKED)
        return true;
    for (size_t i = 0; ok && i < p->st.n; i++) {
        const struct imap_part *part = &p->st.parts[i];
        struct leaf *leaf = &p->leaves[i];
        if (!leaf->wanted)
            continue;
        struct str here = str_sub(buf_str(&p->front), (size_t)leaf->at, (size_t)(leaf->at + leaf->here));
        buf_adds(&leaf->body, here);
        some = some || here.n;
        if (here.n == part->size)
            continue;
        leaf->rest = transfer_new(s, q->box, q->uid, str_z(part->section), false, false, err);
        ok = leaf->rest && transfer_seed(leaf->rest, here, err);
        if (!ok)
            break;
        leaf->rest->size = part->size;
        ok = transfer_ask(s, leaf->rest, part->size - here.n + TEXT_SLACK, err);
    }
    if (ok && some && missing && q->urgent)
        ok = begun_made(s, p, err);
    for (size_t i = 0; ok && i < p->st.n; i++) {
        struct leaf *leaf = &p->leaves[i];
        if (!leaf->rest)
            continue;
        ok = transfer_run(s, leaf->rest, err);
        if (!ok)
            break;
        *crossed += leaf->rest->crossed;
        buf_reset(&leaf->body);
        if (!leaf->rest->have || !transfer_read(leaf->rest, &leaf->body))
            return true; /* not what was announced: all of it, then */
    }
    *all_r = ok;
    return ok;
}

/* More of the beginning, until the header is in it. */
static bool front_fill(struct session *s, struct plan *p, struct transfer *t, struct err *err)
{
    buf_reset(&p->front);
    bool ok = transfer_read(t, &p->front);
    while (ok && !(p->header = behind_header(buf_str(&p->front), 0)) && !t->complete && t->have < HEADER_MAX) {
        if (!transfer_ask(s, t, 4 * FIRST, err) || !transfer_wait(s, t, err))
            return false;
        buf_reset(&p->front);
        ok = transfer_read(t, &p->front);
    }
    if (!ok)
        p->header = 0;
    return true;
}

/* A large message whose first bytes are here. */
static bool text_of_large(struct session *s, const struct m_STEP_BODY *q, struct transfer *t, struct err *err)
{
    struct plan p = {.arena = arena_new(8u << 20)};
    struct buf out = BUF_INIT(HEADER_MAX + TEXTS_MAX + (4u << 20)), list = {0};
    bool parts = plan_make(&p, buf_str(&t->structure)), ok, all = false;
    buf_init(&p.front, HEADER_MAX + 8 * FIRST);
    ok = !parts || front_fill(s, &p, t, err);
    struct str boundary = p.st.n ? imap_param(&p.st.parts[0].params, "boundary") : STR("");
    parts = parts && p.header && !t->complete &&
            (p.st.n == 1 || (boundary.n && memmem(p.front.p, p.header, boundary.p, boundary.n)));
    if (ok && parts && (q->urgent || plan_texts(&p) <= AHEAD_TEXT_MAX)) {
        uint64_t crossed = t->crossed;
        plan_locate(&p);
        ok = texts_fetch(s, q, &p, &crossed, &all, err);
        if (!ok && err->kind == ERR_SERVER_NO && !s->f->lost)
            ok = true; /* it does not know the part that it named: all of it, then */
        if (ok && all && make_file(&p, &out, &list)) {
            ok = made_publish(s, q, buf_str(&out), buf_str(&list), crossed, p.attachments, err);
            parts = true;
        } else {
            parts = false;
        }
    }
    if (ok && !parts)
        ok = whole_finish(s, q, t, p.attachments, err);
    plan_fini(s, &p);
    buf_fini(&out);
    buf_fini(&list);
    return ok;
}

static bool text_step(struct session *s, const struct m_STEP_BODY *q, struct err *err)
{
    bool selected = select_ensure(s, q->box, false, err);
    if (selected && s->told.uid == q->uid && s->told.box == q->box) {
        s->told.uid = 0;
        return body_tell(s, q, s->told.rel, str_z(s->told.absent), 0, s->told.attachments, err);
    }
    s->told.uid = 0;
    struct transfer *t = transfer_ahead(s, q);
    if (selected && !t && s->f->canceled)
        return err_set(err, ERR_CANCELED, "canceled");
    if (selected && !t)
        t = text_begin(s, q, err);
    if (!selected || !t) {
        transfer_free(s, &t);
        return false;
    }
    t->step = 0;
    bool ok = transfer_wait(s, t, err);
    if (!ok && err->kind == ERR_SERVER_NO && !t->nil && !s->f->lost && !s->f->ended) {
        /* It knows no ranges, or no structure: the message as every server gives it. */
        transfer_free(s, &t);
        *err = ERR_INIT;
        t = transfer_new(s, q->box, q->uid, STR(""), false, false, err);
        ok = t && transfer_ask(s, t, UINT64_MAX, err);
    }
    if (ok && (t->complete || !t->structure.n))
        ok = whole_finish(s, q, t, BODY_ATTACHMENTS_UNKNOWN, err);
    else if (ok)
        ok = text_of_large(s, q, t, err);
    if (s->f->lost)
        *err = s->f->lost_err; /* what came went with the line */
    transfer_free(s, &t);
    return ok && !s->f->lost;
}

/* ---- One part, and the message byte for byte ---------------------------------------------------- */
static bool whole_step(struct session *s, const struct m_STEP_BODY *q, struct err *err)
{
    struct transfer *t = transfer_new(s, q->box, q->uid, STR(""), false, true, err);
    bool ok = t != NULL;
    if (ok) {
        t->size = q->size;
        ok = transfer_run(s, t, err) && whole_publish(s, q, t, BODY_ATTACHMENTS_UNKNOWN, err);
    }
    transfer_free(s, &t);
    return ok;
}

static bool copy_range(int from, uint64_t at, uint64_t n, int to, struct err *err)
{
    char chunk[65536];
    while (n) {
        ssize_t got = pread(from, chunk, MIN(n, (uint64_t)sizeof chunk), (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, ERR_IO, errno, "cannot read a cached message");
        if (got == 0)
            return err_set(err, ERR_NO_MESSAGE, "the cached message is shorter than it was");
        if (!fs_write_all(to, (struct str){chunk, (size_t)got}, err))
            return false;
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return true;
}

/* The list for the file that has the part: what stands behind it moves. */
static void list_without(struct str old, const struct absent *a, uint64_t file, uint64_t added, struct buf *list)
{
    struct str rest;
    struct absent e;
    uint64_t bytes;
    absent_begin(list, file);
    absent_open(old, &bytes, &rest);
    while (absent_next(&rest, &e)) {
        if (str_eq(e.section, a->section) && e.at == a->at)
            continue;
        uint64_t by = e.head >= a->at ? added : 0;
        e.head += by;
        e.at += by;
        absent_add(list, &e);
    }
}

static const char base64_line[] = "Content-Transfer-Encoding: base64\r\n";
static const char binary_line[] = "Content-Transfer-Encoding: binary\r\n";
_Static_assert(sizeof base64_line == sizeof binary_line, "a header that changes its encoding keeps its size");

/* Puts the fetched part where the file lacks it. */
static bool part_put(struct session *s, const struct m_STEP_BODY *q, int fd, const struct absent *a, struct str head,
                     const struct transfer *t, struct err *err)
{
    char *tmp = NULL;
    struct buf list = {0};
    uint64_t bytes;
    struct str rest;
    absent_open(q->absent, &bytes, &rest);
    int out = tmp_open(s, &tmp, err);
    if (out < 0)
        return false;
    list_without(q->absent, a, bytes + t->have, t->have, &list);
    bool ok = copy_range(fd, 0, a->head, out, err) && fs_write_all(out, head, err) &&
              copy_range(t->fd, 0, t->have, out, err) && copy_range(fd, a->at, bytes - a->at, out, err);
    if (ok) {
        char *copy = mem_dup_n(q->path.p, q->path.n), *final = path_join(s->f->account_dir, copy);
        ok = fs_commit(out, tmp, final, err) &&
             body_tell(s, q, copy, buf_str(&list), t->crossed, BODY_ATTACHMENTS_UNKNOWN, err);
        free(final);
        free(copy);
    } else {
        close(out);
        unlink(tmp);
    }
    free(tmp);
    buf_fini(&list);
    return ok;
}

static bool part_fetch(struct session *s, const struct m_STEP_BODY *q, int fd, const struct absent *a, struct str head,
                       bool binary, struct err *err)
{
    struct transfer *t = transfer_new(s, q->box, q->uid, a->section, binary, true, err);
    bool ok = t != NULL;
    if (ok) {
        t->size = binary ? a->size / 78 * 57 : a->size; /* lines of base64 */
        ok = transfer_run(s, t, err) &&
             (t->have || err_set(err, ERR_SERVER_NO, "the server has the part but did not send it")) &&
             part_put(s, q, fd, a, head, t, err);
        t->keep = !ok; /* it is in the file now */
    }
    transfer_free(s, &t);
    return ok;
}

static bool part_step(struct session *s, const struct m_STEP_BODY *q, struct err *err)
{
    struct absent a;
    struct buf head = BUF_INIT(HEADER_MAX);
    uint64_t bytes;
    struct str rest;
    off_t size;
    int fd = fetch_body_open(s->f, q->path, err);
    if (fd < 0)
        return false;
    bool ok = (absent_open(q->absent, &bytes, &rest) && absent_find(q->absent, q->want, &a) && a.at <= bytes &&
               (size = lseek(fd, 0, SEEK_END)) >= 0 && (uint64_t)size == bytes && a.at - a.head < HEADER_MAX) ||
              err_set(err, ERR_NO_MESSAGE, "the cached message is another than the one that is meant");
    if (ok) {
        buf_reserve(&head, (size_t)(a.at - a.head));
        ok = pread(fd, head.p, (size_t)(a.at - a.head), (off_t)a.head) == (ssize_t)(a.at - a.head) ||
             err_set(err, ERR_IO, "cannot read a cached message");
        head.n = ok ? (size_t)(a.at - a.head) : 0;
    }
    /* Decoded by the server it is a quarter shorter (RFC 3516). */
    char *line = ok && head.n && a.head ? memmem(head.p, head.n, base64_line, sizeof base64_line - 1) : NULL;
    if (line && (imap_caps(s->imap) & IMAP_CAP_BINARY)) {
        memcpy(line, binary_line, sizeof binary_line - 1);
        ok = part_fetch(s, q, fd, &a, buf_str(&head), true, err);
        memcpy(line, base64_line, sizeof base64_line - 1);
        if (!ok && err->kind == ERR_SERVER_NO && !s->f->lost) {
            *err = ERR_INIT;
            ok = part_fetch(s, q, fd, &a, buf_str(&head), false, err);
        }
    } else if (ok) {
        ok = part_fetch(s, q, fd, &a, buf_str(&head), false, err);
    }
    if (!ok && (err->kind == ERR_SERVER_NO || err->kind == ERR_NO_MESSAGE) && !s->f->lost) {
        /* It does not give the part that it named: all of it, then. */
        *err = ERR_INIT;
        ok = whole_step(s, q, err);
    }
    buf_fini(&head);
    close(fd);
    return ok;
}

bool imap_step_body(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_BODY *q = &m->u.STEP_BODY;
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    if (!q->uid)
        return err_set(err, ERR_NO_MESSAGE, "a message without a UID");
    bool ok = text_serves(q) ? text_step(s, q, err)
                             : select_ensure(s, q->box, false, err) &&
                                   (str_eqz(q->want, "*") ? whole_step(s, q, err) : part_step(s, q, err));
    if (!ok && text_serves(q) && (err->kind == ERR_SERVER_NO || err->kind == ERR_NO_MESSAGE) && !f->lost) {
        /* Perhaps for its BODYSTRUCTURE's sake, which some servers cannot make or quote: the message without it. */
        *err = ERR_INIT;
        ok = select_ensure(s, q->box, false, err) && whole_step(s, q, err);
    }
    if (!ok && f->lost)
        *err = f->lost_err;
    return ok;
}
