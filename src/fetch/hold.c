#include "fetch/hold.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define HOLD_MAX 128 /* a descriptor for the file and one for its directory each */
#define HOLD_BYTES (4u << 20)
#define HOLD_MS 250

struct hold {
    struct fetch *f;
    struct delivery *deliveries[HOLD_MAX];
    size_t at[HOLD_MAX]; /* where what is said of each begins in `said` */
    size_t n;
    struct buf said; /* packets, one behind the other */
    uint64_t bytes;
    int64_t committed_ms, due_ms;
    int timer; /* in f's wake_fd; -1 none */
    struct err failed;
};

bool hold_ends(enum err_kind kind)
{
    return err_scope(kind) == SCOPE_PROGRAM || kind == ERR_CANCELED;
}

/* 0: never. */
static bool timer_set(struct hold *h, int64_t ms)
{
    struct itimerspec t = {.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000}};
    return h->timer >= 0 && timerfd_settime(h->timer, TFD_TIMER_ABSTIME, &t, NULL) == 0;
}

/* Between two pieces of the answer, or while none comes. */
static void look(struct fetch *f)
{
    struct hold *h = f->side_arg;
    struct err err = ERR_INIT;
    if (clock_mono_ms() < h->due_ms)
        return;
    h->due_ms = INT64_MAX;
    timer_set(h, 0);
    if (h->n > 0)
        hold_commit(h, &err);
}

struct hold *hold_new(struct fetch *f)
{
    struct hold *h = mem_new(sizeof *h);
    struct epoll_event ev = {.events = EPOLLIN};
    h->f = f;
    h->due_ms = INT64_MAX;
    buf_init(&h->said, (size_t)HOLD_MAX * IPC_PACKET_MAX);
    h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (h->timer >= 0 && (f->wake_fd < 0 || epoll_ctl(f->wake_fd, EPOLL_CTL_ADD, h->timer, &ev) != 0)) {
        close(h->timer);
        h->timer = -1;
    }
    f->side = look;
    f->side_arg = h;
    return h;
}

void hold_free(struct hold **hp)
{
    struct hold *h = *hp;
    if (h == NULL)
        return;
    h->f->side = NULL;
    h->f->side_arg = NULL;
    for (size_t i = 0; i < h->n; i++)
        delivery_abort(&h->deliveries[i]);
    if (h->timer >= 0)
        close(h->timer); /* and so it is out of wake_fd */
    buf_fini(&h->said);
    free(h);
    *hp = NULL;
}

/* Tells what became of one. */
static bool tell(struct hold *h, size_t i, const struct err *why, struct err *err)
{
    struct msg m;
    size_t end = i + 1 < h->n ? h->at[i + 1] : h->said.n;
    if (!msg_decode(str_sub(buf_str(&h->said), h->at[i], end), &m, err))
        bug("what was encoded does not decode");
    if (why->kind == ERR_NONE)
        return fetch_send(h->f, &m, -1, err);
    return FETCH_SEND(h->f, err, POP_FAILED, .step = m.u.DELIVERED.step, .number = m.u.DELIVERED.number,
                      .kind = why->kind, .text = str_z(why->text));
}

bool hold_commit(struct hold *h, struct err *err)
{
    struct err *errs = mem_array(HOLD_MAX, sizeof *errs);
    delivery_commit_all(h->deliveries, h->n, 0, errs);
    for (size_t i = 0; i < h->n; i++) {
        bool said = tell(h, i, &errs[i], err);
        if (h->failed.kind == ERR_NONE && (!said || hold_ends(errs[i].kind)))
            h->failed = said ? errs[i] : *err;
    }
    free(errs);
    h->n = 0;
    h->bytes = 0;
    buf_reset(&h->said);
    h->committed_ms = clock_mono_ms();
    if (h->failed.kind != ERR_NONE)
        *err = h->failed;
    return h->failed.kind == ERR_NONE;
}

bool hold_add(struct hold *h, struct delivery **d, const struct msg *said, struct err *err)
{
    h->deliveries[h->n] = *d;
    h->at[h->n] = h->said.n;
    *d = NULL;
    if (!msg_encode(said, &h->said))
        bug("%s does not fit a packet", msg_name(said->kind));
    if (h->n++ == 0)
        h->due_ms = timer_set(h, h->committed_ms + HOLD_MS) ? h->committed_ms + HOLD_MS : 0; /* else nothing wakes us */
    h->bytes += said->u.DELIVERED.size;
    if (h->n == HOLD_MAX || h->bytes >= HOLD_BYTES || clock_mono_ms() >= h->due_ms)
        return hold_commit(h, err);
    if (h->failed.kind != ERR_NONE)
        *err = h->failed;
    return h->failed.kind == ERR_NONE;
}
