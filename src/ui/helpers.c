/* Helper programs at the end of a channel: one that misbehaves or dies costs a word in the status line. */
#include "ui/private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARM_AFTER_MS 30

struct helper {
    struct ui *ui;
    enum role role;
    pid_t pid;
    struct chan *chan;
    struct watch *watch;
    uint32_t buffer; /* where it was taken: at work while fn runs */
    helper_fn *fn; /* NULL: nothing is asked of it */
    void *arg;
    void (*drop)(void *arg);
};

static void on_ready(void *arg, short revents)
{
    struct helper *h = arg;
    struct ui *ui = h->ui;
    struct err err = ERR_INIT;
    struct msg m;
    int got = 0;
    if (revents & POLLOUT)
        chan_flush(h->chan, &err);
    ui->dirty = true;
    /* One message a turn: fn may end the helper. */
    got = chan_recv(h->chan, &m, &err);
    buffer_enter(ui, h->buffer);
    if (got && h->fn) {
        h->fn(ui, h->arg, h, got == 1 ? &m : NULL);
    } else if (got == 1 && m.fd >= 0) {
        close(m.fd);
    } else if (got < 0) { /* the next thing asked of it fails */
        watch_free(&h->watch);
    }
    buffer_leave(ui);
}

struct helper *helper_start(struct ui *ui, enum role role, const char *const *argv, helper_fn *fn, void *arg)
{
    struct err err = ERR_INIT;
    pid_t pid;
    int fd, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool ok = role_start(role, argv, null, &pid, &fd, &err);
    if (null >= 0)
        close(null);
    if (!ok) {
        ui_note_err(ui, &err);
        return NULL;
    }
    struct helper *h = mem_new(sizeof *h);
    *h = (struct helper){.ui = ui, .role = role, .pid = pid, .buffer = ui->at->id, .fn = fn, .arg = arg};
    h->chan = chan_new(fd, ROLE_UI, role);
    h->watch = loop_fd(ui->loop, fd, POLLIN, on_ready, h);
    return h;
}

void helper_set(struct helper *h, helper_fn *fn, void *arg)
{
    h->buffer = h->ui->at->id;
    h->fn = fn;
    h->arg = arg;
    h->drop = NULL;
}

void helper_owns(struct helper *h, void (*drop)(void *arg))
{
    h->drop = drop;
}

struct chan *helper_chan(struct helper *h)
{
    return h->chan;
}

void helper_end(struct helper **at)
{
    struct helper *h = *at;
    int status;
    if (!h)
        return;
    watch_free(&h->watch);
    chan_free(&h->chan);
    kill(h->pid, SIGKILL); /* it owns nothing that needs an end in order */
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (h->drop)
        h->drop(h->arg);
    free(h);
    *at = NULL;
}

static void spare_event(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    (void)arg;
    (void)h;
    if (m && m->fd >= 0)
        close(m->fd);
    if (!m)
        helper_end(&ui->spare); /* the next message starts another one */
}

void helper_warm(struct ui *ui)
{
    static const char *const none[] = {NULL};
    if (!ui->spare)
        ui->spare = helper_start(ui, ROLE_VIEW, none, spare_event, NULL);
}

static void warm_due(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->warm_timer);
    helper_warm(ui);
}

struct helper *helper_view(struct ui *ui, helper_fn *fn, void *arg)
{
    static const char *const none[] = {NULL};
    struct helper *h = ui->spare;
    ui->spare = NULL;
    if (h)
        helper_set(h, fn, arg);
    else
        h = helper_start(ui, ROLE_VIEW, none, fn, arg);
    /* The next one starts when this one has shown what it was taken for. */
    if (h && !ui->warm_timer)
        ui->warm_timer = loop_after(ui->loop, WARM_AFTER_MS, warm_due, ui);
    return h;
}
