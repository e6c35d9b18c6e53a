/* post: one form to one HTTPS address (a mailing list is left by one click, RFC 8058), then it ends. Its peer is a
 * client, which has asked the user; the address comes from a mail and is hostile. No files. */
#include <poll.h>
#include <signal.h>

#include "conf/conf.h"
#include "http/http.h"
#include "ipc/ipc.h"

enum { ORDER_MS = 60000, ANSWER_MAX = 64 << 10 };
#define MEMORY_MAX (UINT64_C(256) << 20)

static bool confine(const char *url, const char *ca_file, struct err *err)
{
    struct sandbox box = {.role = ROLE_POST,
                          .read_paths = {ca_file[0] != '\0' ? ca_file : NULL},
                          .tcp_ports = {53},
                          .memory_max = MEMORY_MAX};
    char host[256], report[200];
    if (!https_parse(url, false, host, &box.tcp_ports[1]))
        return err_set(err, ERR_USAGE, "no https: address");
    return http_setup(err) && sandbox_enter(&box, report, err);
}

int main(void)
{
    struct err err = ERR_INIT, lost = ERR_INIT;
    struct buf answer = BUF_INIT(ANSWER_MAX); /* nothing in it is of use */
    struct msg m;
    long status = 0;
    log_open("post", LOG_INFO);
    signal(SIGPIPE, SIG_IGN);
    struct chan *chan = chan_new(IPC_CHANNEL_FD, ROLE_POST, ROLE_UI);
    int got = chan_wait(chan, clock_mono_ms() + ORDER_MS, &m, &err);
    if (got != 1 || m.kind != MSG_POST)
        return 1; /* nobody is there who would be told */
    char *url = mem_dup_n(m.u.POST.url.p, m.u.POST.url.n), *form = mem_dup_n(m.u.POST.form.p, m.u.POST.form.n);
    char *ca_file = mem_dup_n(m.u.POST.ca_file.p, m.u.POST.ca_file.n);
    struct http_request request = {.url = url,
                                   .form = str_z(form),
                                   .accept = "Accept: */*",
                                   .ca_file = ca_file,
                                   .own_network = m.u.POST.own_network != 0};
    /* an answer that is longer than anyone reads is an answer all the same */
    bool ok = confine(url, ca_file, &err) && (http_post(&request, &status, &answer, &err) || err.kind == ERR_LIMIT);
    bool told = SEND(chan, -1, &lost, POST_DONE, .status = (uint32_t)status, .kind = ok ? ERR_NONE : err.kind,
                     .text = str_z(ok ? "" : err.text)) &&
                chan_drain(chan, clock_mono_ms() + ORDER_MS, &lost);
    chan_free(&chan);
    buf_fini(&answer);
    free(url);
    free(form);
    free(ca_file);
    return told ? 0 : 1;
}
