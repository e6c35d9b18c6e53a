/* A TCP relay for benchmarks and tests of slow lines: every byte waits half the round trip, each direction passes at
 * most the given rate, the connection itself costs one round trip, and a line that was idle begins with ten segments a
 * round trip, doubled with each (slow start).
 *
 *   delayproxy LISTEN-PORT TARGET-PORT RTT-MS KBIT-PER-S(0: no limit) [SECONDS-TO-LIVE [LOG]]
 *
 * Loopback only, ends by itself. On SIGUSR1 it drops all connections and refuses new ones until the next SIGUSR1 (a
 * dead line). LOG gets a line "SECONDS > BYTES" (< for what comes back) for each read, by CLOCK_MONOTONIC. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINKS = 32, CHUNK = 1448, FIRST_WINDOW = 10 * CHUNK, LAST_WINDOW = 1 << 22 };

struct piece {
    struct piece *next;
    double due;
    size_t n, at;
    char bytes[CHUNK];
};

struct way { /* one direction of a link */
    int from, to;
    struct piece *head, *tail;
    double free_at; /* when the line has carried all that is queued */
    double round;   /* when the window's round trip began */
    size_t window, left;
    size_t queued;
    bool ended, upward;
};

struct link {
    bool used, opened;
    double open_at;
    struct way ways[2];
};

static struct link links[MAX_LINKS];
static double half, bytes_per_s;
static volatile sig_atomic_t toggled;
static FILE *logged;

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_usr1(int signo)
{
    (void)signo;
    toggled = 1;
}

static void drop(struct link *l)
{
    for (int w = 0; w < 2; w++) {
        while (l->ways[w].head) {
            struct piece *p = l->ways[w].head;
            l->ways[w].head = p->next;
            free(p);
        }
    }
    close(l->ways[0].to); /* each fd once: `from` may be -1 already */
    close(l->ways[1].to);
    memset(l, 0, sizeof *l);
}

/* When n bytes that are there at `t` may leave: as many as the window says in each round trip. */
static double window_at(struct way *w, double t, size_t n)
{
    if (half <= 0)
        return t;
    double idle = t - w->round;
    if (w->window == 0 || idle > 1 + 2 * half)
        w->window = FIRST_WINDOW;
    if (w->round <= 0 || idle > 2 * half) {
        w->round = t;
        w->left = w->window;
    }
    if (n > w->left) { /* used up: the next round has twice as much */
        w->window = w->window < LAST_WINDOW ? w->window * 2 : w->window;
        w->round += 2 * half;
        w->left = w->window;
    }
    w->left -= n;
    return w->round > t ? w->round : t;
}

static void take(struct way *w)
{
    struct piece *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    ssize_t n = read(w->from, p->bytes, sizeof p->bytes);
    if (n <= 0) {
        free(p);
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            w->ended = true;
        return;
    }
    double t = now();
    if (logged)
        fprintf(logged, "%.6f %c %zd\n", t, w->upward ? '>' : '<', n);
    p->n = (size_t)n;
    t = window_at(w, t, p->n);
    if (bytes_per_s > 0) {
        w->free_at = (w->free_at > t ? w->free_at : t) + (double)(n + 52) / bytes_per_s;
        p->due = w->free_at + half;
    } else {
        p->due = t + half;
    }
    if (w->tail && w->head)
        w->tail->next = p;
    else
        w->head = p;
    w->tail = p;
    w->queued += (size_t)n;
}

static bool give(struct way *w)
{
    while (w->head && w->head->due <= now()) {
        struct piece *p = w->head;
        ssize_t n = send(w->to, p->bytes + p->at, p->n - p->at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        p->at += (size_t)n;
        w->queued -= (size_t)n;
        if (p->at < p->n)
            return true;
        w->head = p->next;
        free(p);
    }
    if (w->ended && !w->head) {
        shutdown(w->to, SHUT_WR);
        w->ended = false;
        w->from = -1;
    }
    return true;
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void welcome(int listener, uint16_t target)
{
    int one = 1, in = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (in < 0)
        return;
    int out = dial(target);
    for (int i = 0; out >= 0 && i < MAX_LINKS; i++) {
        struct link *l = &links[i];
        if (l->used)
            continue;
        setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(out, F_SETFL, O_NONBLOCK);
        l->used = true;
        l->open_at = now() + 2 * half; /* the handshake's round trip */
        l->ways[0] = (struct way){.from = in, .to = out, .free_at = l->open_at, .upward = true};
        l->ways[1] = (struct way){.from = out, .to = in, .free_at = l->open_at};
        return;
    }
    close(in);
    if (out >= 0)
        close(out);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 64;
    uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10), target = (uint16_t)strtoul(argv[2], NULL, 10);
    half = strtod(argv[3], NULL) / 2000;
    bytes_per_s = strtod(argv[4], NULL) * 1000 / 8;
    double end = now() + (argc > 5 ? strtod(argv[5], NULL) : 600);
    if (argc > 6 && (logged = fopen(argv[6], "we")))
        setvbuf(logged, NULL, _IOLBF, 0);
    bool dead = false;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, 16) < 0) {
        perror("delayproxy");
        return 69;
    }
    struct sigaction sa = {.sa_handler = on_usr1};
    sigaction(SIGUSR1, &sa, NULL);
    while (now() < end) {
        struct pollfd fds[1 + 2 * MAX_LINKS];
        struct way *who[1 + 2 * MAX_LINKS];
        int count = 0;
        double next = now() + 1;
        fds[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < MAX_LINKS; i++) {
            struct link *l = &links[i];
            if (!l->used)
                continue;
            if (l->open_at > now()) {
                next = l->open_at < next ? l->open_at : next;
                continue;
            }
            for (int w = 0; w < 2; w++) {
                struct way *way = &l->ways[w];
                if (way->head && way->head->due < next)
                    next = way->head->due;
                if (way->from >= 0 && !way->ended && way->queued < (1u << 20)) {
                    who[count] = way;
                    fds[count++] = (struct pollfd){.fd = way->from, .events = POLLIN};
                }
            }
        }
        struct timespec wait = {0};
        double left = next - now();
        if (left > 0)
            wait = (struct timespec){(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
        if (ppoll(fds, (nfds_t)count, &wait, NULL) < 0 && errno != EINTR)
            return 71;
        if (toggled) {
            toggled = 0;
            dead = !dead;
            for (int i = 0; i < MAX_LINKS; i++)
                if (links[i].used)
                    drop(&links[i]);
            continue;
        }
        for (int i = 1; i < count; i++)
            if (fds[i].revents)
                take(who[i]);
        for (int i = 0; i < MAX_LINKS; i++) {
            struct link *l = &links[i];
            if (!l->used || l->open_at > now())
                continue;
            bool ok = give(&l->ways[0]) && give(&l->ways[1]);
            if (!ok || (l->ways[0].from < 0 && l->ways[1].from < 0))
                drop(l);
        }
        if (fds[0].revents) {
            if (dead) {
                int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0)
                    close(fd);
            } else {
                welcome(listener, target);
            }
        }
    }
    return 0;
}
