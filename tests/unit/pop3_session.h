/* A session of net/pop3 against a scripted server, and what it got; for the tests of net/pop3. */
#ifndef TUIMAIL_TESTS_POP3_SESSION_H
#define TUIMAIL_TESTS_POP3_SESSION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/pop3.h"
#include "net_peer.h"

struct got {
    char ids[40][120]; /* "NUMBER SIZE UIDL" */
    unsigned nids;
    char mail[300][64]; /* by number: the bytes, or "-" and the error's name */
    unsigned ends;
    struct buf now;
    uint64_t bytes;
    unsigned refuse_data; /* this number meets a full disk */
};

struct session {
    pid_t pid;
    struct stream *s;
    struct pop3 *p;
    struct got got;
    struct err err;
};

UNUSED static void start(struct session *t, peer_fn *fn, const void *arg)
{
    memset(t, 0, sizeof *t);
    struct stream_options o = {.answer_ms = 20000, .wake_fd = -1};
    int fd;
    t->pid = peer_start(fn, arg, &fd);
    t->s = stream_from_fds(fd, fd, &o);
    t->p = pop3_new(t->s, "pop.example.org", "/tmp");
    t->got.now = BUF_INIT(1u << 20);
}

UNUSED static void end(struct session *t)
{
    pop3_free(&t->p);
    stream_close(&t->s);
    buf_fini(&t->got.now);
    assert_int_equal(peer_wait(t->pid), 0);
}

UNUSED static bool on_id(void *arg, uint32_t number, uint64_t size, struct str uidl, struct err *err UNUSED)
{
    struct got *g = arg;
    if (g->nids < COUNT(g->ids))
        snprintf(g->ids[g->nids], sizeof g->ids[0], "%u %llu %.*s", number, (unsigned long long)size,
                 (int)MIN(uidl.n, (size_t)90), uidl.p);
    g->nids++;
    return true;
}

UNUSED static bool on_begin(void *arg, uint32_t number UNUSED, uint64_t size UNUSED, struct err *err UNUSED)
{
    struct got *g = arg;
    buf_reset(&g->now);
    return true;
}

UNUSED static bool on_data(void *arg, struct str bytes, struct err *err)
{
    struct got *g = arg;
    g->bytes += bytes.n;
    if (g->refuse_data != 0)
        return err_set(err, ERR_DISK_FULL, "disk full");
    buf_adds(&g->now, bytes);
    return true;
}

UNUSED static bool on_end(void *arg, uint32_t number, const struct err *why, struct err *err UNUSED)
{
    struct got *g = arg;
    assert_true(number < COUNT(g->mail));
    assert_string_equal(g->mail[number], ""); /* once for each */
    if (why != NULL)
        snprintf(g->mail[number], sizeof g->mail[0], "-%s", err_name(why->kind));
    else
        snprintf(g->mail[number], sizeof g->mail[0], "%s", buf_z(&g->now));
    g->ends++;
    return true;
}

UNUSED static struct pop3_sink sink_of(struct session *t)
{
    return (struct pop3_sink){on_begin, on_data, on_end, &t->got};
}

#define CAPS_PIPE "S +OK\r\nTOP\r\nUIDL\r\nUSER\r\nPIPELINING\r\nRESP-CODES\r\n.\r\n"
#define LISTS "C STAT", "C LIST", "C UIDL"
#define CAPS_STEP "S +OK\r\nTOP\r\nUIDL\r\nUSER\r\n.\r\n"

#endif
