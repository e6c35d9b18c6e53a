/* Name resolution in a forked child that is killed at the deadline. The child speaks to hostile name servers: it sends
 * back fixed-size addresses, which the parent checks. */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/stream_impl.h"

struct answer {
    int32_t error; /* getaddrinfo's */
    int32_t sys;
    struct resolved got;
};

static bool literal(const char *host, uint16_t port, struct resolved *r)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&r->at[0].addr, &v4, sizeof v4);
        r->at[0].len = sizeof v4;
    } else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(&r->at[0].addr, &v6, sizeof v6);
        r->at[0].len = sizeof v6;
    } else {
        return false;
    }
    r->n = 1;
    return true;
}

/* The first family the resolver prefers, then the other, in turn. */
static void interleave(const struct addrinfo *list, struct resolved *r)
{
    int first = list->ai_family;
    const struct addrinfo *same = list, *other = list;
    bool want_same = true;
    while (r->n < RESOLVE_MAX) {
        while (same != NULL && same->ai_family != first)
            same = same->ai_next;
        while (other != NULL && other->ai_family == first)
            other = other->ai_next;
        const struct addrinfo *a = (want_same && same != NULL) || other == NULL ? same : other;
        if (a == NULL)
            return;
        if (a == same)
            same = same->ai_next;
        else
            other = other->ai_next;
        want_same = a->ai_family != first;
        if (a->ai_addrlen > sizeof r->at[0].addr)
            continue;
        memcpy(&r->at[r->n].addr, a->ai_addr, a->ai_addrlen);
        r->at[r->n++].len = a->ai_addrlen;
    }
}

NORETURN static void child(int fd, const char *host, uint16_t port)
{
    struct answer a;
    memset(&a, 0, sizeof a);
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    a.error = getaddrinfo(host, service, &hints, &list);
    a.sys = errno;
    if (a.error == EAI_NONAME || a.error == EAI_BADFLAGS) {
        hints.ai_flags = 0; /* a machine with loopback alone has no address "configured" */
        a.error = getaddrinfo(host, service, &hints, &list);
        a.sys = errno;
    }
    if (a.error == 0)
        interleave(list, &a.got);
    ssize_t done = write(fd, &a, sizeof a);
    _exit(done == (ssize_t)sizeof a ? 0 : 1);
}

static bool check(const struct answer *a, const char *host, struct resolved *out, struct err *err)
{
    if (a->error == EAI_SYSTEM)
        return err_sys(err, ERR_DNS, a->sys, "%s", host);
    if (a->error != 0)
        return err_set(err, ERR_DNS, "%s: %s", host, gai_strerror(a->error));
    if (a->got.n == 0 || a->got.n > RESOLVE_MAX)
        return err_set(err, ERR_DNS, "%s has no usable address", host);
    for (unsigned i = 0; i < a->got.n; i++) {
        if (a->got.at[i].len > sizeof a->got.at[i].addr)
            return err_set(err, ERR_DNS, "%s has no usable address", host);
    }
    *out = a->got;
    return true;
}

static bool collect(int fd, const char *host, int64_t deadline_ms, const struct stream_options *o, struct answer *a,
                    struct err *err)
{
    size_t n = 0;
    while (n < sizeof *a) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        bool late = clock_mono_ms() > deadline_ms; /* an answer that is there all the same is too late */
        if (late || !net_wait_ready(o, &p, 1, deadline_ms, host, err)) {
            if (late || err->kind == ERR_TIMEOUT)
                err_set(err, ERR_DNS, "%s: the name could not be resolved in time", host);
            return false;
        }
        ssize_t got = read(fd, (char *)a + n, sizeof *a - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, ERR_DNS, "%s: the resolver ended without an answer", host);
        n += (size_t)got;
    }
    return true;
}

bool resolve_host(const char *host, uint16_t port, int64_t deadline_ms, const struct stream_options *o,
                  struct resolved *out_r, struct err *err)
{
    memset(out_r, 0, sizeof *out_r);
    if (literal(host, port, out_r))
        return true;
    for (const char *p = host; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80 || (unsigned char)*p <= ' ')
            return err_set(err, ERR_DNS, "\"%s\" is no host name: write an international name in its xn-- form", host);
    }
    int pipefd[2];
    if (pipe2(pipefd, O_CLOEXEC) != 0)
        return err_sys(err, ERR_DNS, errno, "%s: pipe", host);
    pid_t pid = fork();
    if (pid == 0)
        child(pipefd[1], host, port);
    int e = errno;
    close(pipefd[1]);
    if (pid < 0) {
        close(pipefd[0]);
        return err_sys(err, ERR_DNS, e, "%s: fork", host);
    }
    struct answer a;
    bool ok = collect(pipefd[0], host, deadline_ms, o, &a, err);
    close(pipefd[0]);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return ok && check(&a, host, out_r, err);
}
