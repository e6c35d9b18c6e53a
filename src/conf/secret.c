/* How an account logs in, and where its secrets come from. A secret that is read never passes through this process. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- How an account logs in --------------------------------------------------------------------- */

static bool has_password(const struct account *a, enum service service)
{
    return a->password_command[0] || a->password_file[0] || a->keyring ||
           (service == SERVICE_SUBMISSION && (a->send_password_command[0] || a->send_password_file[0]));
}

const struct endpoint *account_endpoint(const struct account *a, enum service service)
{
    return service == SERVICE_SUBMISSION ? &a->out : service == SERVICE_SIEVE ? &a->sieve : &a->in;
}

const char *account_tunnel(const struct account *a, enum service service)
{
    return service == SERVICE_SUBMISSION ? a->send_tunnel : service == SERVICE_SIEVE ? a->sieve_tunnel : a->tunnel;
}

const char *account_user(const struct account *a, enum service service)
{
    const char *user = account_endpoint(a, service)->user;
    return service == SERVICE_SIEVE && (!user || !user[0]) ? a->in.user : user;
}

enum login account_login(const struct account *a, enum service service)
{
    const char *user = account_user(a, service);
    if (!user || !user[0])
        return LOGIN_NOTHING;
    if (a->token_command[0] || account_has_oauth(a))
        return LOGIN_TOKEN;
    if (has_password(a, service))
        return LOGIN_PASSWORD;
    if (a->tls_cert_file[0])
        return LOGIN_CERTIFICATE;
    return account_tunnel(a, service)[0] ? LOGIN_NOTHING : LOGIN_PASSWORD;
}

/* ---- Commands ----------------------------------------------------------------------------------- */

/* Closes all but the standard three: no channel and no other account's pipe may reach a command. */
static void close_others(void)
{
    if (close_range(3, ~0U, 0) == 0)
        return;
    long max = sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < (max > 0 && max < 65536 ? (int)max : 65536); fd++)
        close(fd);
}

/* By way of high numbers, so that none of the three overwrites another; -1 is /dev/null. */
static bool fds_place(int in, int out, int err_fd)
{
    int from[3] = {in, out, err_fd};
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        if ((from[i] = fcntl(from[i] >= 0 ? from[i] : null, F_DUPFD, 10)) < 0)
            return false;
    for (int i = 0; i < 3; i++)
        if (dup2(from[i], i) < 0)
            return false;
    close_others();
    return true;
}

static bool start(const char *const *argv, int in, int out, int err_fd, pid_t *pid_r, struct err *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(err, ERR_SECRET, errno, "cannot start a command");
    if (pid == 0) {
        sigset_t none;
        setpgid(0, 0);
        if (!fds_place(in, out, err_fd))
            _exit(126);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int s = 1; s < NSIG; s++)
            signal(s, SIG_DFL);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    setpgid(pid, pid); /* also here: the caller may kill the group before the child has run */
    *pid_r = pid;
    return true;
}

#define SHELL(command)                                                                                                 \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        "/bin/sh", "-c", (command), NULL                                                                               \
    }

struct opened {
    int *fd_r, *end_r;
    pid_t *pid_r;
};

/* `ends[0]` goes to whom it is for, `ends[1]` is the command's. */
static bool started(const char *const *argv, const int ends[2], bool both_ways, int err_fd, const struct opened *o,
                    struct err *err)
{
    bool ok = start(argv, both_ways ? ends[1] : -1, ends[1], err_fd, o->pid_r, err);
    if (ok && o->end_r != NULL)
        *o->end_r = ends[1];
    else
        close(ends[1]);
    if (ok)
        *o->fd_r = ends[0];
    else
        close(ends[0]);
    return ok;
}

static bool from_command(const char *const *argv, int err_fd, const struct opened *o, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, ERR_SECRET, errno, "cannot make a pipe for a command");
    return started(argv, ends, false, err_fd, o, err);
}

static bool through_command(const char *command, int err_fd, const struct opened *o, struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(err, ERR_CONNECT, errno, "cannot make a socket for the tunnel command");
    return started(SHELL(command), ends, true, err_fd, o, err);
}

static bool from_file(const char *what, const char *path, int *fd_r, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ELOOP)
        return err_set(err, ERR_SECRET_MODE, "%s file %s is a symbolic link; name the file itself", what, path);
    if (fd < 0)
        return err_sys(err, ERR_SECRET, errno, "cannot open the %s file %s", what, path);
    struct stat st;
    bool ok = fstat(fd, &st) == 0;
    if (!ok)
        err_sys(err, ERR_SECRET, errno, "%s file %s", what, path);
    else if (!S_ISREG(st.st_mode))
        ok = err_set(err, ERR_SECRET_MODE, "%s file %s is not a regular file", what, path);
    else if (st.st_uid != geteuid())
        ok = err_set(err, ERR_SECRET_MODE, "%s file %s belongs to another user", what, path);
    else if (st.st_mode & 077)
        ok = err_set(err, ERR_SECRET_MODE, "%s file %s can be read by others: chmod 600 %s", what, path, path);
    if (!ok) {
        close(fd);
        return false;
    }
    *fd_r = fd;
    return true;
}

bool secret_source(const struct account *a, enum service service, enum need need, int err_fd, int *fd_r, int *end_r,
                   pid_t *pid_r, struct err *err)
{
    const struct opened o = {fd_r, end_r, pid_r};
    bool own = service == SERVICE_SUBMISSION && (a->send_password_command[0] || a->send_password_file[0]);
    const char *command = "", *file = "";
    bool keyring = false;
    *pid_r = 0;
    if (end_r != NULL)
        *end_r = -1;
    switch (need) {
    case NEED_LOGIN:
        if (account_login(a, service) == LOGIN_TOKEN) {
            command = a->token_command; /* oauth-provider's tokens come from elsewhere */
            break;
        }
        command = own ? a->send_password_command : a->password_command;
        file = own ? a->send_password_file : a->password_file;
        keyring = !own && a->keyring;
        break;
    case NEED_REFRESH:
        command = a->password_command;
        file = a->password_file;
        keyring = a->keyring;
        break;
    case NEED_KEY:
        command = a->tls_key_command;
        file = a->tls_key_file[0] ? a->tls_key_file : a->tls_cert_file;
        break;
    case NEED_KEY_PASSWORD:
        command = a->tls_key_password_command;
        break;
    case NEED_CLIENT:
        command = a->oauth_client_secret_command;
        break;
    case NEED_TUNNEL:
        if (account_tunnel(a, service)[0])
            return through_command(account_tunnel(a, service), err_fd, &o, err);
        break;
    case NEED_COUNT:
        break;
    }
    if (command[0])
        return from_command(SHELL(command), err_fd, &o, err);
    if (file[0])
        return from_file(need == NEED_KEY ? "key" : "password", file, fd_r, err);
    if (keyring)
        return from_command(
            (const char *const[]){"secret-tool", "lookup", "service", "tuimail", "account", a->name, NULL}, err_fd, &o,
            err);
    return err_set(err, ERR_SECRET, "%s", "");
}

bool secret_check_files(const struct conf *conf, struct buf *all)
{
    bool all_ok = true;
    for (size_t i = 0; i < conf->naccounts; i++) {
        const struct account *a = &conf->accounts[i];
        const struct {
            const char *what, *path, *instead;
            bool written; /* by `login` */
        } files[] = {{"password", a->password_file, a->password_command, account_has_oauth(a)},
                     {"password", a->send_password_file, a->send_password_command, false},
                     {"key", a->tls_key_file[0] ? a->tls_key_file : a->tls_cert_file, a->tls_key_command, false}};
        for (size_t f = 0; f < COUNT(files); f++) {
            struct err err = ERR_INIT;
            int fd = -1;
            if (!files[f].path[0] || files[f].instead[0] || (files[f].written && access(files[f].path, F_OK) != 0))
                continue;
            if (from_file(files[f].what, files[f].path, &fd, &err)) {
                close(fd);
                continue;
            }
            buf_addf(all, "%s: error: account %s: %s\n", a->defined_in, a->name, err.text);
            all_ok = false;
        }
    }
    return all_ok;
}

/* ---- Keeping a refresh token -------------------------------------------------------------------- */

bool secret_keepable(const struct account *a, struct err *err)
{
    bool readable = a->password_command[0] || a->password_file[0] || a->keyring;
    if (a->token_save_command[0] && !readable)
        return err_set(
            err, ERR_CONFIG,
            "account %s: token-save-command keeps the token, but password-command does not say how to read it",
            a->name);
    if (a->token_save_command[0] || (!a->password_command[0] && (a->keyring || a->password_file[0])))
        return true;
    return err_set(err, ERR_CONFIG,
                   "account %s: where is the token to be kept? Set token-save-command and password-command, or keyring "
                   "yes, or password-file (which tuimail then writes)",
                   a->name);
}

static bool to_command(const char *const *argv, const struct secret *token, int err_fd, pid_t *pid_r, struct err *err)
{
    int ends[2];
    struct err ignored = ERR_INIT;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, ERR_SECRET, errno, "cannot make a pipe for the token");
    bool ok = start(argv, ends[0], -1, err_fd, pid_r, err);
    /* Less than a pipe holds: never waits. A command that does not read it fails by itself. */
    if (ok && fs_write_all(ends[1], (struct str){token->p, token->n}, &ignored))
        fs_write_all(ends[1], STR("\n"), &ignored);
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static bool to_file(const char *path, const struct secret *token, struct err *err)
{
    struct buf line = BUF_INIT(SECRET_MAX + 1);
    buf_reserve(&line, token->n + 1);
    buf_add(&line, token->p, token->n);
    buf_addc(&line, '\n');
    bool ok = fs_write_atomic(path, 0600, buf_str(&line), err);
    explicit_bzero(line.p, line.cap);
    buf_fini(&line);
    return ok;
}

bool secret_keep(const struct account *a, const struct secret *token, int err_fd, pid_t *pid_r, struct err *err)
{
    *pid_r = 0;
    if (!secret_keepable(a, err))
        return false;
    if (a->token_save_command[0])
        return to_command(SHELL(a->token_save_command), token, err_fd, pid_r, err);
    if (a->password_file[0])
        return to_file(a->password_file, token, err);
    return to_command((const char *const[]){"secret-tool", "store", "--label=tuimail", "service", "tuimail", "account",
                                            a->name, NULL},
                      token, err_fd, pid_r, err);
}
