/* fetch -c FILE --store DIR ACCOUNT [--search]: one account's connections and files, driven by the store over the
 * channel on fd 3.
 */
#include "fetch/fetch.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fetch/local.h"
#include "net/sasl.h"

#define MEMORY_MAX (UINT64_C(768) << 20)

static const struct fetch_protocol *const protocols[] = {&imap_protocol, &pop_protocol, &local_protocol};

static const struct fetch_protocol *protocol_of(const struct account *a)
{
    for (size_t i = 0; i < COUNT(protocols); i++)
        if (protocols[i]->proto == a->in.proto)
            return protocols[i];
    return NULL;
}

/* A Maildir elsewhere is reached from the account's directory too: by that path the index knows its mail. */
static void link_maildir(struct fetch *f)
{
    char *path = path_expand_home(f->account->in.path), at[4096];
    f->maildir_at = "";
    if (path[0] && strcmp(path, f->account_dir) != 0) {
        ssize_t n = readlinkat(f->account_fd, "maildir", at, sizeof at - 1);
        at[MAX(n, (ssize_t)0)] = '\0';
        if (strcmp(at, path) != 0) {
            unlinkat(f->account_fd, "maildir", 0);
            if (symlinkat(path, f->account_fd, "maildir") != 0)
                log_msg(LOG_WARN, "%s/maildir cannot be made: its mail is not indexed", f->account_dir);
        }
        f->maildir_at = "maildir/";
    }
    free(path);
}

/* fresh_r: the account was never here before. */
static bool directory(struct fetch *f, const char *store, bool *fresh_r, struct err *err)
{
    char *root = conf_root(f->conf, store, err);
    if (!root)
        return false;
    char *mail = path_join(root, "mail");
    f->account_dir = path_join(mail, f->account->name);
    free(mail);
    free(root);
    *fresh_r = access(f->account_dir, F_OK) != 0;
    if (!fs_mkdir_private(f->account_dir, err))
        return false;
    f->account_fd = open(f->account_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (f->account_fd < 0)
        return err_set(err, ERR_PERMISSION, "%s cannot be opened", f->account_dir);
    if (f->account->in.proto == PROTO_MAILDIR && f->account->in.path)
        link_maildir(f);
    return true;
}

static bool network(struct fetch *f, struct err *err)
{
    struct epoll_event ev = {.events = EPOLLIN};
    f->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    if (f->wake_fd >= 0 && epoll_ctl(f->wake_fd, EPOLL_CTL_ADD, chan_fd(f->chan), &ev) != 0) {
        close(f->wake_fd);
        f->wake_fd = -1;
    }
    f->stream_options = (struct stream_options){.connect_ms = (int)f->conf->connect_timeout * 1000,
                                                .answer_ms = (int)f->conf->timeout * 1000,
                                                .ca_file = f->account->tls_ca_file,
                                                .cert_file = f->account->tls_cert_file,
                                                .pin = f->account->tls_pin,
                                                .wake_fd = f->wake_fd >= 0 ? f->wake_fd : chan_fd(f->chan),
                                                .on_wake = fetch_wake,
                                                .on_rest = fetch_rest,
                                                .arg = f};
    if (f->account->in.proto == PROTO_MAILDIR)
        return true;
    stream_setup(&f->stream_options, &f->unfit); /* told when a line is wanted */
    return sasl_setup(err);
}

/* After this nothing but the account's own directory and ports. */
static bool confine(struct fetch *f, bool fresh, struct err *err)
{
    char report[200];
    const struct endpoint *in = &f->account->in;
    char *maildir = in->proto == PROTO_MAILDIR && in->path ? path_expand_home(in->path) : NULL;
    if (maildir && maildir[0] && fresh)              /* later one that is not there is a disk that is not mounted */
        fs_mkdir_private(maildir, &(struct err){0}); /* to be granted it must be there; opening it says what is wrong */
    struct sandbox box = {.role = ROLE_FETCH,
                          .write_paths = {f->account_dir, maildir},
                          .tcp_ports = {in->port, 53}, /* long answers of name servers come by TCP */
                          .memory_max = MEMORY_MAX};
    bool ok = sandbox_enter(&box, report, err) && FETCH_SEND(f, err, READY, .sandbox = str_z(report));
    free(maildir);
    return ok;
}

int main(int argc, char **argv)
{
    struct fetch f = {.account_fd = -1, .wake_fd = -1, .given = -1, .maildir_at = ""};
    struct conf_program p;
    struct err err = ERR_INIT;
    log_open("fetch", LOG_INFO);
    bool fresh = false, ok = conf_program(argc, argv, true, &p, &err);
    if (ok) {
        log_open("fetch", (enum log_level)p.conf->log_level);
        f.conf = p.conf;
        f.account = conf_account(p.conf, p.account);
        f.protocol = f.account ? protocol_of(f.account) : NULL;
        if (p.search && f.protocol)
            f.protocol = f.protocol->proto == PROTO_IMAP ? &imap_search_protocol : NULL;
        if (!f.protocol)
            ok = err_set(&err, ERR_NO_ACCOUNT, "no account %s in %s", p.account, p.conf->file);
    }
    if (ok && fcntl(IPC_CHANNEL_FD, F_GETFD) < 0)
        ok = err_set(&err, ERR_USAGE, "fetch is started by the store, with its channel on descriptor %d",
                     IPC_CHANNEL_FD);
    if (ok) {
        f.chan = chan_new(IPC_CHANNEL_FD, ROLE_FETCH, ROLE_STORE);
        ok = directory(&f, p.store, &fresh, &err) && network(&f, &err) && confine(&f, fresh, &err);
    }
    if (ok && f.account->in.proto == PROTO_IMAP && !p.search)
        fetch_files_sweep(&f);
    if (ok)
        fetch_run(&f);
    else
        log_msg(LOG_ERROR, "%s", err.text);
    secret_free(&f.secret);
    chan_free(&f.chan);
    if (f.wake_fd >= 0)
        close(f.wake_fd);
    if (f.given >= 0)
        close(f.given);
    if (f.account_fd >= 0)
        close(f.account_fd);
    local_stop(&f);
    free(f.account_dir);
    free(f.adds);
    conf_free(&p.conf);
    return ok ? 0 : err_exit(err.kind);
}
