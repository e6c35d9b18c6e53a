/* Bytes of messages on the wire: a transfer fetches one section of one message, from the front to the end, in pieces
 * (BODY.PEEK[2]<65536.131072>) into a file. What to fetch is imap_part.c's. */
#include "fetch/imap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define AHEAD_MAX 4
#define PIECE_MIN (64u << 10)
#define PIECE_MAX (1u << 20)
#define PIECE_REST (256u << 10) /* so little is asked for at once */
#define PIECE_MS 400            /* a piece that took longer is large enough */
#define LONG_MS 1000            /* a transfer that lasts longer lets what the user does next pass */
#define PIECE_LEAST 1024
#define SHORTS_MAX 16 /* pieces that are short, of one transfer */
#define SLACK 512     /* asked beyond the size that was announced: a short answer is the end (THREATS 54) */

/* ---- Files -------------------------------------------------------------------------------------- */
/* ACCOUNT/tmp/NAME; its directory is made. Caller owns; NULL with *err. */
static char *tmp_path(struct session *s, const char *name, struct err *err)
{
    char *dir = path_join(s->f->account_dir, "tmp");
    char *path = fs_mkdir_private(dir, err) ? path_join(dir, name) : NULL;
    free(dir);
    return path;
}

int tmp_open(struct session *s, char **path_r, struct err *err)
{
    char name[64];
    snprintf(name, sizeof name, "body.%ld.%u", (long)getpid(), ++s->tmp_count);
    *path_r = tmp_path(s, name, err);
    if (!*path_r)
        return -1;
    unlink(*path_r); /* of an earlier process with our number */
    int fd = open(*path_r, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_sys(err, err_from_errno(errno), errno, "%s", *path_r);
        free(*path_r);
        *path_r = NULL;
    }
    return fd;
}

/* Where what came of a section stays, so that it goes on from there another time. NULL with *err, or, without, where a
 * step that this one overtook is at it. */
static char *kept_path(struct session *s, const struct transfer *t, struct err *err)
{
    struct box *box = box_find(s, t->box);
    char key[33], name[64 + IMAP_SECTION_MAX];
    if (!box) {
        err_set(err, ERR_NO_MAILBOX, "the mailbox of this step was never selected");
        return NULL;
    }
    imap_box_key((struct str){box->name, box->name_len}, box->uidvalidity, key);
    snprintf(name, sizeof name, "part.%s.%u.%s%s", key, t->uid, t->section, t->binary ? "b" : "");
    char *path = tmp_path(s, name, err);
    for (const struct transfer *o = s->transfers; path && o; o = o->next)
        if (o != t && o->path && strcmp(o->path, path) == 0) {
            free(path);
            path = NULL;
        }
    return path;
}

static bool open_kept(struct session *s, struct transfer *t, struct err *err)
{
    struct stat st;
    t->path = kept_path(s, t, err);
    if (!t->path)
        return !err->kind && (t->fd = tmp_open(s, &t->path, err)) >= 0;
    t->keep = true;
    t->fd = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->fd < 0 || fstat(t->fd, &st) < 0)
        return err_sys(err, err_from_errno(errno), errno, "%s", t->path);
    if (!S_ISREG(st.st_mode) || lseek(t->fd, 0, SEEK_END) < 0)
        return err_set(err, ERR_IO, "%s is no file", t->path);
    t->have = (uint64_t)st.st_size;
    return true;
}

void transfer_keep(struct session *s, struct transfer *t)
{
    struct err err = ERR_INIT;
    struct stat st;
    char *path = t->keep || t->under_way ? NULL : kept_path(s, t, &err);
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > t->have &&
        lseek(fd, 0, SEEK_END) >= 0) { /* more came another time */
        unlink(t->path);
        close(t->fd);
        t->fd = fd;
        t->have = (uint64_t)st.st_size;
    } else {
        if (fd >= 0)
            close(fd);
        if (rename(t->path, path) < 0) {
            free(path);
            return;
        }
    }
    free(t->path);
    t->path = path;
    t->keep = true;
}

struct transfer *transfer_new(struct session *s, uint64_t box, uint32_t uid, struct str section, bool binary, bool keep,
                              struct err *err)
{
    struct transfer *t = mem_new(sizeof *t);
    *t = (struct transfer){.box = box, .uid = uid, .binary = binary, .fd = -1, .piece = PIECE_MIN};
    snprintf(t->section, sizeof t->section, "%.*s", STR_FMT(section));
    buf_init(&t->structure, IMAP_LINE_MAX);
    bool ok = keep ? open_kept(s, t, err) : (t->fd = tmp_open(s, &t->path, err)) >= 0;
    t->next = s->transfers;
    s->transfers = t;
    if (!ok)
        transfer_free(s, &t);
    return t;
}

void transfer_free(struct session *s, struct transfer **tp)
{
    struct transfer *t = *tp;
    if (!t)
        return;
    for (struct transfer **p = &s->transfers; *p; p = &(*p)->next)
        if (*p == t) {
            *p = t->next;
            break;
        }
    if (s->sinking == t)
        s->sinking = NULL;
    for (unsigned i = 0; s->imap && i < t->under_way; i++)
        imap_forget(s->imap, t->sent[i].tag);
    if (t->fd >= 0)
        close(t->fd);
    if (t->path && !(t->keep && t->have)) /* nothing to go on from */
        unlink(t->path);
    free(t->path);
    buf_fini(&t->structure);
    free(t);
    *tp = NULL;
}

bool transfer_commit(struct session *s, struct transfer *t, const char *final, struct err *err)
{
    int fd = t->fd;
    (void)s;
    t->fd = -1;
    t->keep = false; /* renamed, or lost */
    bool ok = fs_commit(fd, t->path, final, err);
    free(t->path);
    t->path = NULL;
    return ok;
}

bool transfer_read(const struct transfer *t, struct buf *out)
{
    char chunk[16384];
    uint64_t at = 0;
    while (at < t->have) {
        ssize_t n = pread(t->fd, chunk, MIN(sizeof chunk, t->have - at), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || !buf_add(out, chunk, (size_t)n))
            return false;
        at += (uint64_t)n;
    }
    return true;
}

bool transfer_seed(struct transfer *t, struct str front, struct err *err)
{
    t->have += front.n;
    return fs_write_all(t->fd, front, err);
}

/* ---- Answers ------------------------------------------------------------------------------------ */
/* The transfer that waits for this item as its next bytes, of several the one that asked first; uid 0: of any message
 * (it may stand behind the bytes). */
static struct transfer *waiting(struct session *s, const struct imap_fetch *ft, uint32_t uid)
{
    struct transfer *found = NULL;
    for (struct transfer *t = s->transfers; t; t = t->next)
        if (t->under_way && !t->complete && !t->err.kind && t->box == s->selected && (!uid || t->uid == uid) &&
            t->binary == ft->binary && str_eqz(ft->section, t->section) && t->have == (ft->partial ? ft->origin : 0))
            found = t;
    return found;
}

int body_sink(void *arg, struct str item, uint64_t size)
{
    struct session *s = arg;
    struct imap_fetch ft;
    s->sinking = imap_body_item(item, &ft) ? waiting(s, &ft, 0) : NULL;
    log_msg(LOG_DEBUG, "%.*s: %llu bytes%s", STR_FMT(item), (unsigned long long)size,
            s->sinking ? "" : ", nobody waits for them");
    return s->sinking ? s->sinking->fd : -1;
}

void body_sink_progress(void *arg, uint64_t done, uint64_t size)
{
    struct session *s = arg;
    const struct transfer *t = s->sinking;
    if (s->f->current && t)
        fetch_progress(s->f, t->have + done, MAX(t->size, t->have + size));
}

/* Takes over what came; an answer that nobody asked for is dropped (THREATS 52). */
bool body_on_fetch(struct session *s, const struct imap_fetch *ft, struct err *err)
{
    struct transfer *t = waiting(s, ft, ft->uid), *sinking = s->sinking;
    bool nil = (ft->has & IMAP_BODY_NIL) != 0;
    struct err e = ERR_INIT;
    s->sinking = NULL;
    (void)err;
    if (sinking && (sinking != t || ft->body_bytes == UINT64_MAX)) {
        if (ftruncate(sinking->fd, (off_t)sinking->have) < 0 || lseek(sinking->fd, 0, SEEK_END) < 0)
            err_sys(&sinking->err, ERR_IO, errno, "%s", sinking->path);
        if (sinking == t)
            err_set(&t->err, ERR_IO, "the message could not be written to the disk");
    }
    if (!t || t->err.kind || (ft->body_streamed && sinking != t))
        return true;
    if ((ft->has & IMAP_HAS_STRUCTURE) && !t->structure.n)
        buf_adds(&t->structure, ft->structure);
    if (!ft->body_streamed && !fs_write_all(t->fd, ft->body, &t->err))
        return true;
    uint64_t n = ft->body_streamed ? ft->body_bytes : ft->body.n, asked = UINT64_MAX;
    for (unsigned i = 0; i < t->under_way; i++)
        if (t->sent[i].from == t->have)
            asked = t->sent[i].asked;
    t->nil = nil && !t->have;
    t->have += n;
    t->crossed += n;
    /* A short answer is the end, unless much was announced: then the next one, empty, is. */
    t->complete = !ft->partial || nil || n == 0 || (n < asked && t->have >= t->size);
    if (n < asked && !t->complete) {
        t->broken_off = true;
        t->piece = MAX(n, (uint64_t)PIECE_LEAST);
        if (++t->shorts > SHORTS_MAX)
            err_set(&t->err, ERR_SERVER_NO, "the server sends less and less of the message than it announced");
    }
    if (t->shows && !t->begun && !t->complete) /* now: the tagged answer may follow that of the next piece */
        t->begun = begun_tell(s, t->shows, t->path, STR(""), false, &e);
    return true;
}

/* ---- Asking ------------------------------------------------------------------------------------- */
static bool piece_send(struct session *s, struct transfer *t, uint64_t from, uint64_t asked, struct err *err)
{
    struct piece *p = &t->sent[t->under_way];
    char range[48] = "";
    if (asked != UINT64_MAX)
        snprintf(range, sizeof range, "<%llu.%llu>", (unsigned long long)from, (unsigned long long)asked);
    *p = (struct piece){.from = from, .asked = asked, .at_ms = clock_mono_ms()};
    if (!imap_sendf(s->imap, &p->tag, err, "UID FETCH %u (UID%s %s.PEEK[%s]%s)", t->uid,
                    t->structure_wanted ? " BODYSTRUCTURE" : "", t->binary ? "BINARY" : "BODY", t->section, range))
        return session_lost(s, err);
    t->under_way++;
    t->structured = t->structured || t->structure_wanted;
    t->structure_wanted = false;
    return true;
}

bool transfer_ask(struct session *s, struct transfer *t, uint64_t most, struct err *err)
{
    if (t->complete || t->under_way == COUNT(t->sent))
        return true;
    if (t->broken_off && t->under_way)
        return true; /* asked from where that ended, when what is under way has passed */
    t->broken_off = false;
    const struct piece *last = t->under_way ? &t->sent[t->under_way - 1] : NULL;
    if (last && last->asked == UINT64_MAX)
        return true;
    uint64_t from = last ? last->from + last->asked : t->have;
    uint64_t left = t->size > from ? t->size - from : 0, asked = t->piece;
    if (t->under_way && !left)
        return true; /* the end is expected in what is under way */
    if (most)
        asked = most;
    else if (!from && t->size && t->size <= PIECE_MIN)
        asked = UINT64_MAX; /* small: the message, as every server can give it */
    else if (left && left <= PIECE_REST && !t->shorts)
        asked = left + SLACK;
    return piece_send(s, t, from, asked, err);
}

bool transfer_wait(struct session *s, struct transfer *t, struct err *err)
{
    struct err e = ERR_INIT;
    struct piece p = t->sent[0];
    uint64_t before = t->have;
    if (!t->under_way) {
        *err = t->err;
        return !t->err.kind;
    }
    bool due = p.from == t->have;
    uint32_t unread = s->broken;
    bool ok = session_done(s, p.tag, NULL, &e);
    t->sent[0] = t->sent[1];
    t->under_way--;
    if (!ok && (s->f->lost || s->f->ended)) {
        /* Of an answer that broke off what came is good; in one that went astray it is anybody's (THREATS 31). */
        if (e.kind != ERR_LINE && e.kind != ERR_CANCELED && ftruncate(t->fd, (off_t)t->have) < 0)
            t->keep = false;
        if (e.kind == ERR_PROTOCOL && t->structured && !t->structure.n) { /* for the structure's sake, perhaps */
            s->odd.box = t->box;
            s->odd.uid = t->uid;
        }
        t->under_way = 0;
        *err = e;
        return false;
    }
    if (!ok && !t->err.kind)
        t->err = e;
    if (!t->err.kind && due && t->have == before && !t->complete) {
        if (s->broken != unread)
            err_set(&t->err, ERR_SERVER_NO, "the server's answer about the message cannot be read");
        else
            err_set(&t->err, ERR_NO_MESSAGE, "the server has no such message any more");
    }
    if (!t->err.kind && t->have > IMAP_BODY_MAX) { /* pieces without end (THREATS 82) */
        err_set(&t->err, ERR_LIMIT, "the server sends more than %u bytes of one message", IMAP_BODY_MAX);
        t->keep = false;
    }
    if (!t->err.kind && t->nil)
        err_set(&t->err, ERR_SERVER_NO, "the server has the message but did not send it");
    if (clock_mono_ms() - p.at_ms < PIECE_MS && t->piece < PIECE_MAX && p.asked >= t->piece && !t->shorts)
        t->piece *= 2;
    fetch_progress(s->f, t->have, MAX(t->size, t->have));
    if (t->err.kind)
        *err = t->err;
    return !t->err.kind;
}

static bool transfer_drain(struct session *s, struct transfer *t, struct err *err)
{
    struct err e = ERR_INIT;
    bool ok = true;
    while (t->under_way && !s->f->lost && !s->f->ended)
        if (!transfer_wait(s, t, ok ? err : &e))
            ok = false;
    return ok && !s->f->lost && !s->f->ended;
}

bool transfer_run(struct session *s, struct transfer *t, struct err *err)
{
    int64_t begun = clock_mono_ms();
    while (!t->complete) {
        if (clock_mono_ms() - begun > LONG_MS)
            fetch_lasts(s->f);
        bool ok = true;
        for (unsigned i = 0; ok && i < COUNT(t->sent); i++)
            ok = transfer_ask(s, t, 0, err);
        if (!ok)
            return false;
        ok = transfer_wait(s, t, err);
        fetch_wake(s->f);
        if (ok && !fetch_overtaken(s->f) && !s->f->canceled)
            continue;
        if (!transfer_drain(s, t, err) || !ok) {
            if (s->f->lost)
                *err = s->f->lost_err;
            return false;
        }
        if (!t->complete && !(fetch_yield(s->f, err) && select_ensure(s, t->box, false, err)))
            return false;
    }
    return transfer_drain(s, t, err);
}

void bodies_drop(struct session *s)
{
    while (s->transfers) {
        struct transfer *t = s->transfers;
        transfer_free(s, &t);
    }
}

bool bodies_drain(struct session *s, struct err *err)
{
    struct err of_one = ERR_INIT;
    for (struct transfer *t = s->transfers; t; t = t->next)
        if (!transfer_drain(s, t, &of_one) && (s->f->lost || s->f->ended)) {
            *err = of_one;
            return false;
        }
    return true;
}

struct transfer *transfer_ahead(struct session *s, const struct m_STEP_BODY *q)
{
    for (struct transfer *t = s->transfers; t; t = t->next)
        if (t->step && t->box == q->box && t->uid == q->uid && !t->section[0])
            return t;
    return NULL;
}

bool body_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    struct session *s = f->session;
    struct err err = ERR_INIT;
    const struct m_STEP_BODY *q = &m->u.STEP_BODY;
    unsigned n = 0;
    if (!s || !s->imap || s->selected != q->box || s->selecting || !q->uid || !text_serves(q))
        return false;
    if (s->rows_due && !q->urgent) /* what may be read next does not share the line with the page it is on */
        return false;
    for (const struct transfer *t = s->transfers; t; t = t->next)
        n += t->step != 0;
    struct transfer *t = n < AHEAD_MAX ? text_begin(s, q, &err) : NULL;
    if (t)
        t->step = step;
    return t != NULL;
}
