/* The other end of a connection, for tests: a child process that runs straight-line code against one socket. It ends
 * with status 0 only if all it expected came. */
#ifndef TUIMAIL_TESTS_NET_PEER_H
#define TUIMAIL_TESTS_NET_PEER_H

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

typedef void peer_fn(int fd, const void *arg);

UNUSED static void say_n(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            _exit(0); /* the client left: its right */
        p += done;
        n -= (size_t)done;
    }
}

UNUSED static void say(int fd, const char *z)
{
    say_n(fd, z, strlen(z));
}

/* Reads one line, without CRLF, byte by byte; false at the end of file. */
UNUSED static bool hear_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (c == '\n')
            break;
        if (n + 1 < size)
            line[n++] = c;
    }
    if (n > 0 && line[n - 1] == '\r')
        n--;
    line[n] = '\0';
    return true;
}

/* The next line must be this one. */
UNUSED static void hear(int fd, const char *want)
{
    char line[4096];
    if (!hear_line(fd, line, sizeof line)) {
        fprintf(stderr, "# peer: end of file where \"%s\" was expected\n", want);
        _exit(1);
    }
    if (strcmp(line, want) != 0) {
        fprintf(stderr, "# peer: \"%s\" where \"%s\" was expected\n", line, want);
        _exit(1);
    }
}

UNUSED static void hear_end(int fd)
{
    char line[4096];
    if (hear_line(fd, line, sizeof line)) {
        fprintf(stderr, "# peer: \"%s\" where the end was expected\n", line);
        _exit(1);
    }
}

/* A peer_fn for fixed dialogues; arg: lines up to NULL. "S ..." says the rest as it is, "C ..." must be heard, "E" is
 * the client's end. */
UNUSED static void script(int fd, const void *arg)
{
    for (const char *const *line = arg; *line != NULL; line++) {
        if ((*line)[0] == 'S')
            say(fd, *line + 2);
        else if ((*line)[0] == 'C')
            hear(fd, *line + 2);
        else
            hear_end(fd);
    }
}
#define SCRIPT(...) ((const char *const[]){__VA_ARGS__, NULL})

/* *fd_r is the client's end of a socket pair. */
UNUSED static pid_t peer_start(peer_fn *fn, const void *arg, int *fd_r)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        close(pair[0]);
        signal(SIGPIPE, SIG_IGN);
        alarm(60);
        fn(pair[1], arg);
        _exit(0);
    }
    close(pair[1]);
    *fd_r = pair[0];
    return pid;
}

UNUSED static int listen_loopback(uint16_t *port_r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        abort();
    *port_r = ntohs(a.sin_port);
    return fd;
}

/* A TCP server on a free port of 127.0.0.1, for one connection. */
UNUSED static pid_t peer_listen(peer_fn *fn, const void *arg, uint16_t *port_r)
{
    int l = listen_loopback(port_r);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        alarm(60);
        int fd = accept(l, NULL, NULL);
        if (fd < 0)
            _exit(1);
        close(l);
        fn(fd, arg);
        _exit(0);
    }
    close(l);
    return pid;
}

/* Its exit status; -1 when a signal ended it. */
UNUSED static int peer_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

UNUSED static void peer_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    (void)peer_wait(pid);
}

#endif
