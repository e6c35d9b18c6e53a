/* The front half of the input is a server's side of a submission, the rest the mail: no crash, no leak, and the mail's
 * bytes never hold a line end that is not CR LF nor a lone dot. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(struct str mail)
{
    for (size_t step = 1; step <= 7; step += 6) {
        struct smtp_body b = {.in_body = false};
        struct buf out = BUF_INIT(4 * mail.n + 64);
        for (size_t at = 0; at < mail.n; at += step)
            smtp_body_take(&b, str_sub(mail, at, at + step), &out);
        smtp_body_end(&b, &out);
        if (out.full || (out.n > 0 && (out.n < 2 || out.p[out.n - 1] != '\n')))
            bug("the last line does not end");
        for (size_t i = 0; i < out.n; i++) {
            bool cr = out.p[i] == '\r', lf = out.p[i] == '\n';
            if ((cr && out.p[i + 1] != '\n') || (lf && (i == 0 || out.p[i - 1] != '\r')))
                bug("a bare CR or LF");
            if (out.p[i] == '.' && (i == 0 || out.p[i - 1] == '\n') && out.p[i + 1] != '.')
                bug("a lone dot at a line's start");
        }
        buf_fini(&out);
    }
}

static void session(struct stream *s, int fd)
{
    struct err err = ERR_INIT;
    struct smtp *p = smtp_new(s, "fuzz");
    struct secret secret = secret_new(STR("secret"));
    const char *const rcpts[] = {"bob@example.org", "carol@example.org"};
    struct smtp_mail mail = {.sender = "alice@example.org", .rcpts = rcpts, .nrcpts = 2, .fd = fd};
    bool ok = smtp_greet(p, false, &err);
    if (ok && (smtp_caps(p) & SMTP_AUTH) != 0)
        ok = smtp_login(p, "alice", &secret, true, &err);
    if (ok && smtp_send(p, &mail, &err))
        smtp_quit(p);
    secret_free(&secret);
    smtp_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (size > 60000)
        return 0;
    size_t half = size / 2;
    check_body((struct str){(const char *)data + half, size - half});
    int mail = memfd_create("mail", MFD_CLOEXEC);
    if (mail < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
        close(mail);
        return 0;
    }
    if (write(mail, data + half, size - half) == (ssize_t)(size - half) && write(fds[1], data, half) == (ssize_t)half) {
        shutdown(fds[1], SHUT_WR);
        struct stream_options o = {.answer_ms = 1000, .wake_fd = -1};
        struct stream *s = stream_from_fds(fds[0], fds[0], &o);
        session(s, mail);
        stream_close(&s);
    } else {
        close(fds[0]);
    }
    close(fds[1]);
    close(mail);
    return 0;
}
