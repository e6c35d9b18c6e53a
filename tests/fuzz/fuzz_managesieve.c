/* The input is a server's side of a ManageSieve session: no crash, no leak, and what comes out keeps its bounds. */
#include <sys/socket.h>
#include <unistd.h>

#include "net/managesieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void each(void *arg, struct str name, bool active)
{
    (void)active;
    if (++*(unsigned *)arg > SIEVE_SCRIPTS_MAX || name.n > SIEVE_SCRIPT_MAX + 65536)
        bug("more than a list may have");
}

static void session(struct stream *s)
{
    struct err err = ERR_INIT;
    struct managesieve *m = managesieve_new(s, "fuzz");
    struct secret secret = secret_new(STR("secret"));
    struct buf text = BUF_INIT(SIEVE_SCRIPT_MAX);
    unsigned n = 0;
    bool ok = managesieve_greet(m, false, &err) && managesieve_login(m, "alice", &secret, true, &err) &&
              managesieve_list(m, each, &n, &err) && managesieve_get(m, STR("a"), &text, &err) &&
              managesieve_put(m, STR("b"), STR("keep;\r\n"), &err) && managesieve_check(m, STR("keep;"), &err) &&
              managesieve_rename(m, STR("a"), STR("c"), &err) && managesieve_activate(m, STR(""), &err);
    if (ok)
        managesieve_logout(m);
    if (text.n > SIEVE_SCRIPT_MAX || managesieve_said(m).n > 65536)
        bug("larger than its bound");
    if (!ok && err.kind == ERR_NONE)
        bug("a failure without a reason");
    buf_fini(&text);
    secret_free(&secret);
    managesieve_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (size > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return 0;
    if (write(fds[1], data, size) == (ssize_t)size) {
        shutdown(fds[1], SHUT_WR);
        struct stream_options o = {.answer_ms = 1000, .wake_fd = -1};
        struct stream *s = stream_from_fds(fds[0], fds[0], &o);
        session(s);
        stream_close(&s);
    } else {
        close(fds[0]);
    }
    close(fds[1]);
    return 0;
}
