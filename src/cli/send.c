/* tuimail send: a mail into the outbox; then as long as a person likes to wait, what became of it. */
#include "cli/cli.h"
#include "client/client.h"
#include "mail/mail.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define STDIN_MAX (100u << 20)
#define SENT_WAIT_MS 60000

/* The account that the mail's From belongs to; the only one where there is one. NULL with *err. */
static struct account *choose_account(const struct cli *cli, const char *name, struct str raw, struct err *err)
{
    if (name[0])
        return cli_account(cli, name, err);
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_header header;
    struct mail_addrs from = {.count = 0};
    mail_header_parse(raw, arena, &header);
    struct str value = mail_header_get(&header, "From");
    if (value.p)
        mail_addrs_parse(value, arena, &from);
    struct account *a = from.count ? conf_account_owning(cli->conf, from.list[0].addr) : NULL;
    if (!a && (cli->conf->naccounts == 1 || !value.p))
        a = &cli->conf->accounts[0];
    if (!a)
        err_set(err, ERR_USAGE,
                "the From address belongs to no account; name one with -a, or add it to its alternates");
    arena_free(&arena);
    return a;
}

static int memory_file(struct str bytes, struct err *err)
{
    int fd = memfd_create("mail", MFD_CLOEXEC);
    if (fd < 0) {
        err_sys(err, ERR_IO, errno, "no memory for the mail");
        return -1;
    }
    if (fs_write_all(fd, bytes, err) && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

struct result {
    uint64_t out;
    bool over;
    enum outbox_state state;
    enum err_kind kind;
    struct buf text;
};

static void on_outbox(struct result *r, const struct account *a, const struct m_OUTBOX *m)
{
    if (m->out != r->out || !str_eqz(m->account, a->name))
        return;
    r->state = (enum outbox_state)m->state;
    r->kind = (enum err_kind)MIN(m->kind, (uint32_t)ERR_COUNT - 1);
    buf_reset(&r->text);
    buf_adds(&r->text, m->text);
    bool failed_for_now = r->state == OUTBOX_QUEUED && r->kind != ERR_NONE;
    r->over = failed_for_now || r->state >= OUTBOX_SENT;
}

/* Waits for the end of the delivery. False only where the outbox does not have the mail. */
static void wait_sent(struct client *client, const struct account *a, struct result *r)
{
    int64_t deadline = clock_mono_ms() + SENT_WAIT_MS;
    while (!r->over) {
        struct err err = ERR_INIT;
        struct msg m;
        if (chan_wait(client->chan, deadline, &m, &err) <= 0)
            return; /* it is durable: the next store sends it */
        if (m.kind == MSG_OUTBOX)
            on_outbox(r, a, &m.u.OUTBOX);
        if (m.kind == MSG_SECRET_WANTED && str_eqz(m.u.SECRET_WANTED.account, a->name) &&
            m.u.SECRET_WANTED.service == SERVICE_SUBMISSION) {
            buf_addz(&r->text, "the password is needed; start tuimail, or set send-password-command");
            r->over = true;
        }
        if (m.fd >= 0)
            close(m.fd);
    }
}

static int say_result(const struct result *r)
{
    struct buf out = BUF_INIT(2000);
    int status = 0;
    if (r->state == OUTBOX_SENT || r->state == OUTBOX_FILED) {
        puts("sent");
    } else if (r->state == OUTBOX_REFUSED || r->state == OUTBOX_UNKNOWN || r->state == OUTBOX_CANCELED) {
        struct err err = ERR_INIT;
        enum err_kind kind = r->kind != ERR_NONE          ? r->kind
                             : r->state == OUTBOX_UNKNOWN ? ERR_UNKNOWN_OUTCOME
                                                          : ERR_SERVER_NO;
        err_set(&err, kind, "not sent: %s", r->text.n ? buf_z(&r->text) : err_name(kind));
        status = cli_fail(&err);
    } else {
        out_text(&out, buf_str(&r->text));
        printf("queued%s%s\n", out.n ? ": " : "", buf_z(&out));
    }
    buf_fini(&out);
    return status;
}

/* As MSG_OUTBOX may come before the answer that names its number, all of them are kept until then. */
struct early {
    struct result *result;
    const struct account *account;
    struct buf last; /* the newest packet of each is enough: they are read again below */
    struct msg kept;
    bool have;
};

static void keep_early(void *arg, struct msg *m)
{
    struct early *e = arg;
    if (m->kind == MSG_OUTBOX && str_eqz(m->u.OUTBOX.account, e->account->name)) {
        buf_reset(&e->last);
        buf_adds(&e->last, m->u.OUTBOX.text);
        e->kept = *m;
        e->have = true;
    }
    if (m->fd >= 0)
        close(m->fd);
}

static bool submit(struct client *client, const struct account *a, const struct outgoing *o, struct result *r,
                   struct err *err)
{
    int fd = memory_file(buf_str(&o->message), err);
    if (fd < 0)
        return false;
    struct early early = {.result = r, .account = a, .last = BUF_INIT(400)};
    struct msg m;
    bool ok = SEND(client->chan, fd, err, SUBMIT, .req = 1, .account = str_z(a->name), .sender = str_z(o->from),
                   .rcpts = buf_str(&o->rcpts)) &&
              chan_drain(client->chan, clock_mono_ms() + CLIENT_START_MS, err);
    close(fd);
    if (ok) {
        int got = client_wait(client, MSG_SUBMITTED, 1, clock_mono_ms() + 60000, keep_early, &early, &m, err);
        ok = got == 1 ||
             (got == 0 ? err_set(err, ERR_TIMEOUT, "the store did not answer; whether it has the mail is not known")
                       : false);
        if (ok)
            r->out = m.u.SUBMITTED.out;
    }
    if (ok && early.have) {
        early.kept.u.OUTBOX.account = str_z(a->name);
        early.kept.u.OUTBOX.text = buf_str(&early.last);
        on_outbox(r, a, &early.kept.u.OUTBOX);
    }
    buf_fini(&early.last);
    return ok;
}

static bool add_arguments(const struct cli *cli, struct outgoing *o, struct err *err)
{
    for (int i = 0; i < cli->argc; i++) {
        if (!mail_addr_valid(str_z(cli->argv[i])))
            return err_set(err, ERR_RECIPIENT, "\"%.200s\" is not an address", cli->argv[i]);
        if (!buf_addf(&o->rcpts, "%s\n", cli->argv[i]))
            return err_set(err, ERR_LIMIT, "more recipients than one mail may have");
    }
    return true;
}

int send_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    const char *name = "";
    bool recipients = false, ignored = false;
    /* -i and -oi are what sendmail(8) callers say: a line of one dot is text, here always. */
    const struct cli_opt opts[] = {
        {"-t", NULL, &recipients}, {"-a", &name, NULL}, {"-i", NULL, &ignored}, {"-oi", NULL, &ignored}};
    struct outgoing o = {.rcpts = BUF_INIT(32768)};
    struct buf raw = BUF_INIT(STDIN_MAX);
    struct result r = {.state = OUTBOX_QUEUED, .text = BUF_INIT(2000)};
    struct client *client = NULL;
    struct account *a = NULL;
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "send", .offline = cli->offline};
    bool ok = cli_options(cli, opts, COUNT(opts), &err);
    if (ok && isatty(STDIN_FILENO))
        ok = err_set(&err, ERR_USAGE, "send reads a mail from standard input: tuimail send -t < FILE");
    ok = ok && add_arguments(cli, &o, &err) && fs_read_fd(STDIN_FILENO, STDIN_MAX, &raw, &err) &&
         (a = choose_account(cli, name, buf_str(&raw), &err));
    if (ok && a->out.proto == PROTO_NONE)
        ok = err_set(&err, ERR_CONFIG, "account %s cannot send: set -a %s send smtps://USER@HOST", a->name, a->name);
    ok = ok && outgoing_build(a, recipients, buf_str(&raw), &o, &err) && (client = client_connect(&args, &err)) &&
         submit(client, a, &o, &r, &err);
    if (ok && !cli->offline)
        wait_sent(client, a, &r);
    int status = ok ? say_result(&r) : cli_fail(&err);
    client_close(&client);
    outgoing_fini(&o);
    buf_fini(&raw);
    buf_fini(&r.text);
    return status;
}
