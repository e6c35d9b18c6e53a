/* A regexp runs inside libnotmuch, where nothing can end it: a query that has one gets so much time of the processor,
 * and when that is over the program says why and ends. */
#include "search/search.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REGEXP_SECONDS = 10 };

static struct {
    struct buf packet; /* the answer, ready to be sent */
    struct rlimit before;
    bool on;
} limit;

static void over(int signo)
{
    (void)signo;
    ssize_t sent = write(IPC_CHANNEL_FD, limit.packet.p, limit.packet.n);
    _exit(sent < 0);
}

void limit_end(void)
{
    if (limit.on)
        setrlimit(RLIMIT_CPU, &limit.before);
    limit.on = false;
}

void limit_begin(const struct m_QUERY *m)
{
    struct buf regexp = BUF_INIT(QUERY_MAX), safe = BUF_INIT(200);
    struct rusage used;
    struct err err = ERR_INIT;
    limit_end();
    if (query_regexp(m->query, &regexp) && getrlimit(RLIMIT_CPU, &limit.before) == 0 &&
        getrusage(RUSAGE_SELF, &used) == 0) {
        struct rlimit rl = limit.before;
        rlim_t most = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + REGEXP_SECONDS;
        struct text shown = text_fit(text_from_bytes(buf_str(&regexp), TEXT_FOLD_SPACE, &safe), 80);
        err_set(
            &err, ERR_QUERY,
            "the regexp /%.*s/ takes too long: leave out \\1 and repetitions within repetitions, or search for words",
            (int)shown.n, shown.p);
        struct msg done = {.kind = MSG_QUERY_DONE,
                           .fd = -1,
                           .u.QUERY_DONE = {.req = m->req, .kind = ERR_QUERY, .text = str_z(err.text)}};
        buf_fini(&limit.packet);
        buf_init(&limit.packet, IPC_PACKET_MAX);
        rl.rlim_cur = MIN(rl.rlim_cur, most); /* less where whoever started it allows less */
        if (msg_encode(&done, &limit.packet) && signal(SIGXCPU, over) != SIG_ERR)
            limit.on = setrlimit(RLIMIT_CPU, &rl) == 0;
    }
    buf_fini(&regexp);
    buf_fini(&safe);
}
