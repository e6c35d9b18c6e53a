/* Bodies: BODY.PEEK[] straight into a file of the account's directory: tmp, fsync, rename. The name is a hash of the
 * mailbox and the UID. */
#include "fetch/imap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define AHEAD_MAX 4

static void sink_drop(struct session *s)
{
    if (s->sink_fd >= 0)
        close(s->sink_fd);
    s->sink_fd = -1;
    if (s->sink_tmp)
        unlink(s->sink_tmp);
    free(s->sink_tmp);
    s->sink_tmp = NULL;
}

static void body_clear(struct body *b)
{
    if (b->fd >= 0)
        close(b->fd);
    if (b->tmp)
        unlink(b->tmp);
    free(b->tmp);
    *b = (struct body){.fd = -1};
}

void bodies_drop(struct session *s)
{
    sink_drop(s);
    for (size_t i = 0; i < BODIES_MAX; i++)
        body_clear(&s->bodies[i]);
}

static struct body *body_of_step(struct session *s, uint32_t step)
{
    for (size_t i = 0; i < BODIES_MAX; i++)
        if (s->bodies[i].step == step)
            return &s->bodies[i];
    return NULL;
}

static int tmp_open(struct session *s, char **path_r, struct err *err)
{
    struct buf path = BUF_INIT(4096);
    buf_addf(&path, "%s/tmp", s->f->account_dir);
    if (!fs_mkdir_private(buf_z(&path), err)) {
        buf_fini(&path);
        return -1;
    }
    buf_addf(&path, "/body.%ld.%u", (long)getpid(), ++s->tmp_count);
    *path_r = buf_take(&path, NULL);
    unlink(*path_r); /* of an earlier process with our number */
    int fd = open(*path_r, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_sys(err, err_from_errno(errno), errno, "%s", *path_r);
        free(*path_r);
        *path_r = NULL;
    }
    return fd;
}

int body_sink(void *arg, struct str item, uint64_t size)
{
    struct session *s = arg;
    struct err err = ERR_INIT;
    bool wanted = false;
    (void)item;
    for (size_t i = 0; i < BODIES_MAX; i++)
        wanted = wanted || (s->bodies[i].step && !s->bodies[i].arrived);
    sink_drop(s);
    if (!wanted)
        return -1;
    log_msg(LOG_DEBUG, "body of %llu bytes", (unsigned long long)size);
    s->sink_fd = tmp_open(s, &s->sink_tmp, &err);
    if (s->sink_fd < 0)
        log_msg(LOG_ERROR, "%s", err.text);
    return s->sink_fd;
}

void body_sink_progress(void *arg, uint64_t done, uint64_t size)
{
    struct session *s = arg;
    if (s->f->current)
        fetch_progress(s->f, done, size);
}

/* Takes over what came; an answer for a UID that nobody asked is dropped (THREATS 52). */
bool body_on_fetch(struct session *s, const struct imap_fetch *ft, struct err *err)
{
    (void)err;
    struct body *b = NULL;
    for (size_t i = 0; i < BODIES_MAX && !b; i++)
        if (s->bodies[i].step && s->bodies[i].uid == ft->uid && s->bodies[i].box == s->selected &&
            !s->bodies[i].arrived)
            b = &s->bodies[i];
    if (!b) {
        sink_drop(s);
        return true;
    }
    b->arrived = true;
    b->nil = (ft->has & IMAP_BODY_NIL) != 0;
    b->bytes = ft->body_bytes;
    if (ft->body_streamed) {
        b->fd = s->sink_fd;
        b->tmp = s->sink_tmp;
        s->sink_fd = -1;
        s->sink_tmp = NULL;
        if (b->bytes == UINT64_MAX)
            err_set(&b->err, ERR_IO, "the message could not be written to the disk");
        return true;
    }
    sink_drop(s);
    if (!b->nil) {
        b->fd = tmp_open(s, &b->tmp, &b->err);
        if (b->fd >= 0 && !fs_write_all(b->fd, ft->body, &b->err))
            b->bytes = UINT64_MAX;
    }
    return true;
}

static bool body_send(struct session *s, uint32_t step, uint64_t box, uint32_t uid, struct err *err)
{
    struct body *b = body_of_step(s, 0);
    if (!b)
        return err_set(err, ERR_LIMIT, "too many bodies under way");
    if (!imap_sendf(s->imap, &b->tag, err, "UID FETCH %u (UID BODY.PEEK[])", uid))
        return session_lost(s, err);
    b->step = step;
    b->box = box;
    b->uid = uid;
    b->fd = -1;
    return true;
}

static bool body_wait(struct session *s, struct body *b, struct err *err)
{
    struct err e = ERR_INIT;
    uint32_t tag = b->tag;
    if (!tag)
        return true;
    b->tag = 0;
    if (!session_done(s, tag, NULL, &e)) {
        if (s->f->lost || s->f->ended) {
            *err = e;
            return false;
        }
        if (!b->err.kind)
            b->err = e;
    }
    return true;
}

bool bodies_drain(struct session *s, struct err *err)
{
    for (size_t i = 0; i < BODIES_MAX; i++)
        if (s->bodies[i].step && !body_wait(s, &s->bodies[i], err))
            return false;
    return true;
}

bool body_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    struct session *s = f->session;
    struct err err = ERR_INIT;
    const struct m_STEP_BODY *q = &m->u.STEP_BODY;
    unsigned n = 0;
    if (!s || !s->imap || s->selected != q->box || s->selecting || !q->uid)
        return false;
    for (size_t i = 0; i < BODIES_MAX; i++)
        n += s->bodies[i].step != 0;
    return n < AHEAD_MAX && body_send(s, step, q->box, q->uid, &err);
}

static bool body_publish(struct session *s, struct body *b, uint64_t msg, struct err *err)
{
    char key[33], rel[64];
    struct box *box = box_find(s, b->box);
    if (!box)
        return err_set(err, ERR_NO_MAILBOX, "the mailbox of this step was never selected");
    imap_box_key((struct str){box->name, box->name_len}, box->uidvalidity, key);
    snprintf(rel, sizeof(rel), "%s/%u", key, b->uid);
    char *dir = path_join(s->f->account_dir, key), *final = path_join(s->f->account_dir, rel);
    int fd = b->fd;
    bool ok = fs_mkdir_private(dir, err);
    if (ok) {
        b->fd = -1;
        ok = fs_commit(fd, b->tmp, final, err);
        free(b->tmp);
        b->tmp = NULL;
    }
    free(dir);
    free(final);
    return ok && FETCH_SEND(s->f, err, BODY_AT, .step = b->step, .box = b->box, .uid = b->uid, .msg = msg,
                            .bytes = b->bytes, .path = str_z(rel));
}

static bool body_result(struct session *s, struct body *b, uint64_t msg, struct err *err)
{
    if (b->err.kind) {
        *err = b->err;
        return false;
    }
    if (!b->arrived)
        return err_set(err, ERR_NO_MESSAGE, "the server has no such message any more");
    if (b->nil)
        return err_set(err, ERR_SERVER_NO, "the server has the message but did not send it");
    return body_publish(s, b, msg, err);
}

bool imap_step_body(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_BODY *q = &m->u.STEP_BODY;
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    struct body *b = body_of_step(s, fetch_step(f));
    if (!b) {
        if (!q->uid || !select_ensure(s, q->box, false, err))
            return q->uid ? false : err_set(err, ERR_NO_MESSAGE, "a message without a UID");
        if (!body_of_step(s, 0) && !bodies_drain(s, err))
            return false;
        if (!body_send(s, fetch_step(f), q->box, q->uid, err))
            return false;
        b = body_of_step(s, fetch_step(f));
    }
    f->gentle = false; /* 50 MB are not waited for after a cancel: the line is dropped */
    fetch_ahead(f);
    bool ok = !f->lost && body_wait(s, b, err);
    if (f->lost) {
        *err = f->lost_err;
        return false; /* the body went with the line */
    }
    ok = ok && body_result(s, b, q->msg, err);
    body_clear(b);
    return ok;
}
