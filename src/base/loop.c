/* Poll loop. Watches are marked dead while callbacks run and freed between turns, so a callback may end any of them. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif
#include <unistd.h>

enum watch_kind { WATCH_FD, WATCH_TIMER, WATCH_SIGNAL, WATCH_JUMP };

struct watch {
    enum watch_kind kind;
    bool dead;
    int fd;
    short events;
    int signo;
    int64_t due;
    watch_fn *on_fd;
    timer_fn *on_time;
    void *arg;
    struct loop *loop;
};

struct loop {
    struct watch **watches;
    size_t n, cap;
    struct pollfd *polls; /* one per watch plus the signal pipe, rebuilt each turn */
    size_t npolls_cap;
    bool stop, dirty;
};

/* The handler may only write a byte; one pipe serves the process. */
static int signal_pipe[2] = {-1, -1};

static void on_signal(int signo)
{
    int saved = errno;
    unsigned char c = (unsigned char)signo;
    ssize_t n = write(signal_pipe[1], &c, 1);
    (void)n; /* a full pipe already holds the news */
    errno = saved;
}

struct loop *loop_new(void)
{
    return mem_new(sizeof(struct loop));
}

static struct watch *add(struct loop *loop, struct watch w)
{
    if (loop->n == loop->cap) {
        loop->cap = loop->cap ? loop->cap * 2 : 16;
        loop->watches = mem_resize(loop->watches, loop->cap, sizeof(struct watch *));
    }
    struct watch *at = mem_new(sizeof *at);
    w.loop = loop;
    *at = w;
    loop->watches[loop->n++] = at;
    return at;
}

struct watch *loop_fd(struct loop *loop, int fd, short events, watch_fn *fn, void *arg)
{
    return add(loop, (struct watch){.kind = WATCH_FD, .fd = fd, .events = events, .on_fd = fn, .arg = arg});
}

struct watch *loop_after(struct loop *loop, int64_t delay_ms, timer_fn *fn, void *arg)
{
    int64_t due = clock_mono_ms() + MAX(delay_ms, (int64_t)0);
    return add(loop, (struct watch){.kind = WATCH_TIMER, .due = due, .on_time = fn, .arg = arg, .fd = -1});
}

struct watch *loop_signal(struct loop *loop, int signo, timer_fn *fn, void *arg)
{
    if (signal_pipe[0] < 0) {
        if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
            bug("no pipe for signals");
    }
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(signo, &sa, NULL);
    return add(loop, (struct watch){.kind = WATCH_SIGNAL, .signo = signo, .on_time = fn, .arg = arg, .fd = -1});
}

#ifdef __linux__
/* A timer on the wall clock that is never due: reading it fails with ECANCELED when the clock was set, and when the
 * machine wakes up; then it has to be set again. */
static bool jump_arm(int fd)
{
    struct itimerspec never = {.it_value = {.tv_sec = INT64_C(1) << 40}};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) == 0;
}

static void jump_ready(void *arg, short revents)
{
    struct watch *w = arg;
    uint64_t n;
    ssize_t got = read(w->fd, &n, sizeof n);
    bool jumped = got < 0 && errno == ECANCELED;
    if ((revents & (POLLERR | POLLNVAL)) || !jump_arm(w->fd))
        w->events = 0;
    if (jumped)
        w->on_time(w->arg);
}

struct watch *loop_clock_jump(struct loop *loop, timer_fn *fn, void *arg)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (!jump_arm(fd)) {
        close(fd);
        return NULL;
    }
    return add(loop, (struct watch){.kind = WATCH_JUMP, .fd = fd, .events = POLLIN, .on_time = fn, .arg = arg});
}
#else
static void jump_ready(void *arg, short revents)
{
    (void)arg;
    (void)revents;
}

struct watch *loop_clock_jump(struct loop *loop, timer_fn *fn, void *arg)
{
    (void)loop;
    (void)fn;
    (void)arg;
    return NULL;
}
#endif

static void watch_destroy(struct watch *w)
{
    if (w->kind == WATCH_JUMP)
        close(w->fd);
    free(w);
}

void watch_events(struct watch *w, short events)
{
    w->events = events;
}

void watch_free(struct watch **w)
{
    if (!*w)
        return;
    (*w)->dead = true;
    (*w)->loop->dirty = true;
    *w = NULL;
}

static void sweep(struct loop *loop)
{
    size_t keep = 0;
    if (!loop->dirty)
        return;
    for (size_t i = 0; i < loop->n; i++) {
        if (loop->watches[i]->dead)
            watch_destroy(loop->watches[i]);
        else
            loop->watches[keep++] = loop->watches[i];
    }
    loop->n = keep;
    loop->dirty = false;
}

void loop_free(struct loop **loop)
{
    if (!*loop)
        return;
    for (size_t i = 0; i < (*loop)->n; i++)
        watch_destroy((*loop)->watches[i]);
    free((*loop)->watches);
    free((*loop)->polls);
    free(*loop);
    *loop = NULL;
}

static int next_wait(const struct loop *loop, int64_t max_wait_ms)
{
    int64_t wait = max_wait_ms, now = clock_mono_ms();
    for (size_t i = 0; i < loop->n; i++) {
        const struct watch *w = loop->watches[i];
        if (w->kind == WATCH_TIMER && !w->dead) {
            int64_t left = MAX(w->due - now, (int64_t)0);
            wait = wait < 0 ? left : MIN(wait, left);
        }
    }
    return wait < 0 ? -1 : (int)MIN(wait, (int64_t)INT32_MAX);
}

static void run_signals(struct loop *loop)
{
    unsigned char got[64];
    bool seen[256] = {false};
    ssize_t n;
    while ((n = read(signal_pipe[0], got, sizeof got)) > 0)
        for (ssize_t i = 0; i < n; i++)
            seen[got[i]] = true;
    size_t count = loop->n;
    for (size_t i = 0; i < count; i++) {
        struct watch *w = loop->watches[i];
        if (w->kind == WATCH_SIGNAL && !w->dead && w->signo < 256 && seen[w->signo])
            w->on_time(w->arg);
    }
}

static void run_timers(struct loop *loop)
{
    int64_t now = clock_mono_ms();
    size_t count = loop->n;
    for (size_t i = 0; i < count; i++) {
        struct watch *w = loop->watches[i];
        if (w->kind == WATCH_TIMER && !w->dead && w->due <= now) {
            w->dead = true;
            loop->dirty = true;
            w->on_time(w->arg);
        }
    }
}

void loop_once(struct loop *loop, int64_t max_wait_ms)
{
    sweep(loop);
    size_t count = loop->n; /* watches added by a callback wait for the next turn */
    if (loop->npolls_cap < count + 1) {
        loop->npolls_cap = count + 16;
        loop->polls = mem_resize(loop->polls, loop->npolls_cap, sizeof *loop->polls);
    }
    for (size_t i = 0; i < count; i++) {
        const struct watch *w = loop->watches[i];
        loop->polls[i] =
            (struct pollfd){.fd = w->kind == WATCH_FD || w->kind == WATCH_JUMP ? w->fd : -1, .events = w->events};
    }
    loop->polls[count] = (struct pollfd){.fd = signal_pipe[0], .events = POLLIN};
    int ready = poll(loop->polls, (nfds_t)count + 1, next_wait(loop, max_wait_ms));
    if (ready < 0 && errno != EINTR)
        bug("poll failed: %d", errno);
    if (ready > 0 && loop->polls[count].revents)
        run_signals(loop);
    for (size_t i = 0; ready > 0 && i < count; i++) {
        struct watch *w = loop->watches[i];
        if (!loop->polls[i].revents || w->dead)
            continue;
        if (w->kind == WATCH_JUMP)
            jump_ready(w, loop->polls[i].revents);
        else
            w->on_fd(w->arg, loop->polls[i].revents);
    }
    run_timers(loop);
    sweep(loop);
}

void loop_run(struct loop *loop)
{
    loop->stop = false;
    while (!loop->stop)
        loop_once(loop, -1);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}
