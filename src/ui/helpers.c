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
    helper_fn *fn;   /* NULL: nothing is asked of it */
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

static struct helper *start(struct ui *ui, enum role role, const char *const *argv, helper_fn *fn, void *arg,
                            struct err *err)
{
    pid_t pid;
    int fd, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool ok = role_start(role, argv, null, &pid, &fd, err);
    if (null >= 0)
        close(null);
    if (!ok)
        return NULL;
    struct helper *h = mem_new(sizeof *h);
    *h = (struct helper){.ui = ui, .role = role, .pid = pid, .buffer = ui->at->id, .fn = fn, .arg = arg};
    h->chan = chan_new(fd, ROLE_UI, role);
    h->watch = loop_fd(ui->loop, fd, POLLIN, on_ready, h);
    return h;
}

struct helper *helper_start(struct ui *ui, enum role role, const char *const *argv, helper_fn *fn, void *arg)
{
    struct err err = ERR_INIT;
    struct helper *h = start(ui, role, argv, fn, arg, &err);
    if (!h)
        ui_note_err(ui, &err);
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

static void reap(pid_t pid, bool wait, pid_t *slot)
{
    int status;
    pid_t got;
    while ((got = waitpid(pid, &status, wait ? 0 : WNOHANG)) < 0 && errno == EINTR)
        ;
    if (got != 0)
        *slot = 0;
}

/* One that waits for a disk ends when the disk has answered, and no key waits for that. */
static void end_process(struct ui *ui, pid_t pid)
{
    size_t at = COUNT(ui->ending);
    kill(pid, SIGKILL); /* it owns nothing that needs an end in order */
    for (size_t i = COUNT(ui->ending); i-- > 0;) {
        if (ui->ending[i])
            reap(ui->ending[i], false, &ui->ending[i]);
        if (!ui->ending[i])
            at = i;
    }
    if (at == COUNT(ui->ending))
        reap(ui->ending[at = 0], true, &ui->ending[0]);
    ui->ending[at] = pid;
    reap(pid, false, &ui->ending[at]);
}

void helper_reap(struct ui *ui)
{
    for (size_t i = 0; i < COUNT(ui->ending); i++)
        if (ui->ending[i])
            reap(ui->ending[i], true, &ui->ending[i]);
}

void helper_end(struct helper **at)
{
    struct helper *h = *at;
    if (!h)
        return;
    watch_free(&h->watch);
    chan_free(&h->chan);
    end_process(h->ui, h->pid);
    if (h->drop)
        h->drop(h->arg);
    free(h);
    *at = NULL;
}

static void spare_event(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct helper **spare = arg;
    (void)ui;
    (void)h;
    if (m && m->fd >= 0)
        close(m->fd);
    if (!m)
        helper_end(spare); /* the next that is asked for starts another one */
}

/* One that waits for work and cannot be started is not missed before there is work, and then it is told. */
void helper_warm(struct ui *ui)
{
    static const char *const none[] = {NULL};
    struct err untold = ERR_INIT;
    if (!ui->spare)
        ui->spare = start(ui, ROLE_VIEW, none, spare_event, &ui->spare, &untold);
}

static struct helper *start_search(struct ui *ui, helper_fn *fn, void *arg, struct err *err)
{
    const char *argv[] = {"--store", ui->start.root, "-c", ui->start.config, NULL};
    if (!ui->start.config || !*ui->start.config)
        argv[2] = NULL;
    return start(ui, ROLE_SEARCH, argv, fn, arg, err);
}

void helper_warm_search(struct ui *ui)
{
    struct err untold = ERR_INIT;
    ui->typing_query = true;
    if (!ui->spare_search)
        ui->spare_search = start_search(ui, spare_event, &ui->spare_search, &untold);
}

void helper_cool_search(struct ui *ui)
{
    ui->typing_query = false;
    helper_end(&ui->spare_search);
}

static void warm_due(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->warm_timer);
    helper_warm(ui);
    if (ui->typing_query)
        helper_warm_search(ui);
}

/* The next one starts when this one has shown what it was taken for. */
static void warm_later(struct ui *ui)
{
    if (!ui->warm_timer)
        ui->warm_timer = loop_after(ui->loop, WARM_AFTER_MS, warm_due, ui);
}

static struct helper *take(struct helper **spare, helper_fn *fn, void *arg)
{
    struct helper *h = *spare;
    *spare = NULL;
    if (h)
        helper_set(h, fn, arg);
    return h;
}

struct helper *helper_view(struct ui *ui, helper_fn *fn, void *arg)
{
    static const char *const none[] = {NULL};
    struct helper *h = take(&ui->spare, fn, arg);
    if (!h)
        h = helper_start(ui, ROLE_VIEW, none, fn, arg);
    if (h)
        warm_later(ui);
    return h;
}

struct helper *helper_search(struct ui *ui, helper_fn *fn, void *arg)
{
    struct helper *h = take(&ui->spare_search, fn, arg);
    struct err err = ERR_INIT;
    if (!h && !(h = start_search(ui, fn, arg, &err)))
        ui_note_err(ui, &err);
    if (h && ui->typing_query)
        warm_later(ui);
    return h;
}
