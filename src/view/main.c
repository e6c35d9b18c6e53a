/* view: reads one message (or builds one) and does nothing else. No files, no network, bounded memory and time; its
 * peer is a client. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "mail/mail.h"
#include "mime/mime.h"

enum { PIECE = 49152, CPU_SECONDS = 10 };
#define MEMORY_MAX ((uint64_t)512 << 20) /* a message of the maximum size and one part of it */

_Static_assert((int)MIME_ALL_HEADERS == (int)VIEW_ALL_HEADERS && (int)MIME_PREFER_HTML == (int)VIEW_PREFER_HTML &&
                   (int)MIME_RAW == (int)VIEW_RAW && (int)MIME_STRUCTURE == (int)VIEW_STRUCTURE &&
                   (int)MIME_KEEP_BCC == (int)BUILD_KEEP_BCC && (int)MIME_NO_FLOWED == (int)BUILD_NO_FLOWED,
               "the flags of the channel are handed on as they are");

struct view {
    struct chan *chan;
    struct mime *mime;
    struct mime_draft *draft;
};

static bool done(struct view *v, uint32_t req, const struct err *result)
{
    struct err err = ERR_INIT;
    return SEND(v->chan, -1, &err, VIEW_DONE, .req = req, .kind = result->kind,
                .text = str_z(result->kind == ERR_NONE ? "" : result->text)) &&
           chan_drain(v->chan, clock_mono_ms() + 30000, &err);
}

/* Reads the whole fd, whatever its offset; never by mmap: the file may shrink meanwhile (THREATS 113). */
static bool read_all(int fd, size_t max, struct buf *out, struct err *err)
{
    off_t end = lseek(fd, 0, SEEK_END);
    if (end > 0 && (uint64_t)end <= max)
        buf_reserve(out, (size_t)end);
    if (end >= 0)
        lseek(fd, 0, SEEK_SET);
    return fs_read_fd(fd, max, out, err);
}

static bool send_document(struct view *v, uint32_t req, const struct buf *doc, struct err *err)
{
    for (size_t i = 0; i < doc->n; i += PIECE) {
        if (!SEND(v->chan, -1, err, VIEW_DATA, .req = req, .bytes = str_sub(buf_str(doc), i, i + PIECE)))
            return false;
        if (chan_queued(v->chan) > (1u << 20) && !chan_drain(v->chan, clock_mono_ms() + 60000, err))
            return false;
    }
    return true;
}

static void on_view(struct view *v, const struct msg *m, struct err *err)
{
    struct buf raw = BUF_INIT(MIME_MESSAGE_MAX), doc = BUF_INIT(DOC_MAX_BYTES);
    mime_free(&v->mime);
    if (read_all(m->fd, MIME_MESSAGE_MAX, &raw, err) && mime_open(&raw, &v->mime, err)) {
        mime_absent(v->mime, m->u.VIEW.absent);
        mime_document(v->mime, m->u.VIEW.flags, &doc);
        send_document(v, m->u.VIEW.req, &doc, err);
    }
    buf_fini(&raw);
    buf_fini(&doc);
}

static void on_part(struct view *v, const struct msg *m, struct err *err)
{
    struct buf out = BUF_INIT(MIME_MESSAGE_MAX);
    if (!v->mime)
        err_set(err, ERR_NO_MESSAGE, "no message was given before its part was asked for");
    else if (mime_part(v->mime, m->u.VIEW_PART.part, m->u.VIEW_PART.signed_bytes, &out, err))
        fs_write_all(m->fd, buf_str(&out), err);
    buf_fini(&out);
}

static void on_build(struct view *v, const struct msg *m, struct err *err)
{
    struct buf text = BUF_INIT(MIME_TEXT_MAX);
    mime_draft_free(&v->draft);
    if (read_all(m->fd, MIME_TEXT_MAX, &text, err))
        mime_draft_new(m->u.BUILD.headers, buf_str(&text), m->u.BUILD.flags, &v->draft, err);
    buf_fini(&text);
}

static void on_attach(struct view *v, const struct msg *m, struct err *err)
{
    struct buf bytes = BUF_INIT(MIME_MESSAGE_MAX / 2);
    if (!v->draft)
        err_set(err, ERR_USAGE, "an attachment without a draft");
    else if (read_all(m->fd, bytes.max, &bytes, err))
        mime_draft_attach(v->draft, m->u.BUILD_ATTACH.name, m->u.BUILD_ATTACH.type, m->u.BUILD_ATTACH.inline_part,
                          &bytes, err);
    buf_fini(&bytes);
}

static void on_end(struct view *v, const struct msg *m, struct err *err)
{
    struct buf out = BUF_INIT(MIME_MESSAGE_MAX);
    if (!v->draft)
        err_set(err, ERR_USAGE, "the end of a draft that was not begun");
    else if (mime_draft_finish(v->draft, &out, err))
        fs_write_all(m->fd, buf_str(&out), err);
    mime_draft_free(&v->draft);
    buf_fini(&out);
}

/* Requests with their answers. An attachment that fails ends the draft: BUILD_END then says so too. */
static bool serve(struct view *v, const struct msg *m)
{
    struct err err = ERR_INIT;
    switch (m->kind) {
    case MSG_VIEW:
        on_view(v, m, &err);
        return done(v, m->u.VIEW.req, &err);
    case MSG_VIEW_PART:
        on_part(v, m, &err);
        return done(v, m->u.VIEW_PART.req, &err);
    case MSG_BUILD:
        on_build(v, m, &err);
        return err.kind == ERR_NONE || done(v, m->u.BUILD.req, &err);
    case MSG_BUILD_ATTACH:
        on_attach(v, m, &err);
        if (err.kind == ERR_NONE)
            return true;
        mime_draft_free(&v->draft);
        return done(v, m->u.BUILD_ATTACH.req, &err);
    case MSG_BUILD_END:
        on_end(v, m, &err);
        return done(v, m->u.BUILD_END.req, &err);
    default:
        return false;
    }
}

int main(void)
{
    struct err err = ERR_INIT;
    char report[200];
    log_open("view", LOG_WARN);
    tzset(); /* reads its file now: later there are none */
    mime_init();
    struct sandbox box = {.role = ROLE_VIEW, .memory_max = MEMORY_MAX, .cpu_seconds = CPU_SECONDS};
#ifdef TUIMAIL_ASAN
    box.memory_max = 0;
#endif
    if (!sandbox_enter(&box, report, &err)) {
        log_msg(LOG_ERROR, "%s", err.text);
        return err_exit(err.kind);
    }
    struct view v = {.chan = chan_new(IPC_CHANNEL_FD, ROLE_VIEW, ROLE_UI)};
    struct msg m;
    int got;
    while ((got = chan_wait(v.chan, -1, &m, &err)) > 0) {
        bool ok = serve(&v, &m);
        if (m.fd >= 0)
            close(m.fd);
        if (!ok)
            break;
    }
    mime_free(&v.mime);
    mime_draft_free(&v.draft);
    chan_free(&v.chan);
    return got < 0 && err.kind != ERR_NONE ? err_exit(err.kind) : 0;
}
