/* Starting the role programs: the channel on fd 3 and nothing else of ours. */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif
#include <sys/resource.h>

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_UI] = "ui",       [ROLE_STORE] = "store",     [ROLE_SPAWN] = "spawn", [ROLE_FETCH] = "fetch",
    [ROLE_INDEX] = "index", [ROLE_SEND] = "send",       [ROLE_VIEW] = "view",   [ROLE_SEARCH] = "search",
    [ROLE_OAUTH] = "oauth", [ROLE_ARCHIVE] = "archive", [ROLE_POST] = "post",   [ROLE_SIEVE] = "sieve",
    [ROLE_OWN] = "own",
};

const char *role_name(enum role role)
{
    return (unsigned)role < ROLE_COUNT ? role_names[role] : "?";
}

bool role_from_name(const char *name, enum role *role_r)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++)
        if (strcmp(role_names[i], name) == 0) {
            *role_r = (enum role)i;
            return true;
        }
    return false;
}

static bool has_file(const char *dir, const char *name)
{
    struct stat st;
    char *path = path_join(dir, name);
    bool there = stat(path, &st) == 0;
    free(path);
    return there;
}

char *role_dir(void)
{
    const char *env = getenv("TUIMAIL_LIBEXEC");
    if (env != NULL && env[0] == '/')
        return mem_dup_z(env);
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return mem_dup_z(PKGLIBEXECDIR);
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return mem_dup_z(PKGLIBEXECDIR);
    *slash = '\0';
    /* A role program asks from inside the directory itself. */
    if (has_file(self, ".build-tree") || (has_file(self, "spawn") && has_file(self, "store")))
        return mem_dup_z(self);
    if (has_file(self, "libexec/.build-tree"))
        return path_join(self, "libexec");
    if (has_file(self, "../libexec/tuimail/spawn"))
        return path_join(self, "../libexec/tuimail");
    return mem_dup_z(PKGLIBEXECDIR);
}

/* ---- Environment: what a program needs to find its files, and nothing that could tell a taken-over one more ---- */

static const char *const env_all[] = {"PATH", "HOME",      "XDG_*",        "LANG",          "LC_*",
                                      "TZ",   "TUIMAIL_*", "ASAN_OPTIONS", "UBSAN_OPTIONS", NULL};
/* Password commands: their agents, their bus, and the screen where a pinentry opens. */
static const char *const env_spawn[] = {"USER",
                                        "LOGNAME",
                                        "SHELL",
                                        "TMPDIR",
                                        "GPG_*",
                                        "GNUPGHOME",
                                        "SSH_AUTH_SOCK",
                                        "DBUS_SESSION_BUS_ADDRESS",
                                        "DISPLAY",
                                        "WAYLAND_DISPLAY",
                                        "XAUTHORITY",
                                        "PASSWORD_STORE_*",
                                        "PINENTRY_USER_DATA",
                                        NULL};

static bool env_listed(const char *entry, const char *const *list)
{
    const char *eq = strchr(entry, '=');
    if (eq == NULL)
        return false;
    struct str name = {entry, (size_t)(eq - entry)};
    for (; *list != NULL; list++) {
        struct str pattern = str_z(*list);
        if (pattern.p[pattern.n - 1] == '*' ? str_starts(name, str_sub(pattern, 0, pattern.n - 1))
                                            : str_eq(name, pattern))
            return true;
    }
    return false;
}

extern char **environ;

static char *own_entry; /* NAME=VALUE */
static size_t own_name; /* bytes of NAME= */

void role_env(const char *name, struct str value)
{
    struct buf entry = BUF_INIT(ROLE_ENV_MAX);
    buf_addf(&entry, "%s=%.*s", name, STR_FMT(value));
    free(own_entry);
    own_entry = mem_dup_z(buf_z(&entry));
    own_name = strlen(name) + 1;
    buf_fini(&entry);
}

static char **env_for(enum role role)
{
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        n++;
    char **env = mem_array(n + 2, sizeof *env);
    if (own_entry != NULL)
        env[kept++] = own_entry;
    for (size_t i = 0; i < n; i++)
        if ((own_entry == NULL || strncmp(environ[i], own_entry, own_name) != 0) &&
            (env_listed(environ[i], env_all) || (role == ROLE_SPAWN && env_listed(environ[i], env_spawn))))
            env[kept++] = environ[i];
    return env;
}

/* ---- The child between fork and exec ---- */

static void close_from(unsigned first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0u, 0u) == 0)
        return;
#endif
    struct rlimit rl;
    rlim_t last = getrlimit(RLIMIT_NOFILE, &rl) == 0 ? MIN(rl.rlim_cur, (rlim_t)65536) : 65536;
    for (unsigned fd = first; fd < last; fd++)
        close((int)fd);
}

static void signals_all(void (*handler)(int))
{
    struct sigaction sa = {.sa_handler = handler};
    sigemptyset(&sa.sa_mask);
    for (int signo = 1; signo < NSIG; signo++)
        sigaction(signo, &sa, NULL); /* fails for KILL, STOP and the C library's own: as it should */
}

/* All are blocked since before the fork. One that came since was meant for the parent's group: ignoring drops it. */
static void signals_reset(void)
{
    sigset_t none;
    signals_all(SIG_IGN);
    signals_all(SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

enum { FD_STATUS = IPC_CHANNEL_FD + 1 };

/* Puts the descriptors in their places by way of high numbers, so that none overwrites another. */
static bool fds_place(int null_fd, int log_fd, int chan, int status)
{
    const int from[] = {null_fd, log_fd, log_fd, chan, status};
    int high[COUNT(from)];
    for (size_t i = 0; i < COUNT(from); i++)
        if ((high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, (int)COUNT(from))) < 0)
            return false;
    for (size_t i = 0; i < COUNT(from); i++)
        if (dup2(high[i], (int)i) < 0)
            return false;
    close_from(COUNT(from));
    return fd_cloexec(FD_STATUS, true);
}

/* Does not return. Its errno goes through the status pipe, which a successful exec closes. */
NORETURN static void child_exec(enum role role, const char *path, char *const *argv, char *const *env, pid_t parent,
                                const int fds[4])
{
    int status = fds[3];
    /* No controlling terminal: a key typed there must not end it, and it must not reach into the terminal. */
    setsid();
    signals_reset();
#ifdef HAVE_SYS_PRCTL_H
    if (role != ROLE_SPAWN) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(0);
    }
#else
    (void)parent;
#endif
    if (fds_place(fds[0], fds[1], fds[2], status)) {
        status = FD_STATUS;
        umask(077);
        execve(path, argv, env);
    }
    int errnum = errno;
    if (write(status, &errnum, sizeof errnum) < 0)
        _exit(126);
    _exit(127);
}

static char **argv_with(const char *path, const char *const *argv)
{
    size_t n = 0;
    while (argv != NULL && argv[n] != NULL)
        n++;
    char **all = mem_array(n + 2, sizeof *all);
    all[0] = mem_dup_z(path);
    for (size_t i = 0; i < n; i++)
        all[i + 1] = mem_dup_z(argv[i]);
    return all;
}

static void argv_free(char **argv)
{
    for (size_t i = 0; argv[i] != NULL; i++)
        free(argv[i]);
    free(argv);
}

/* Reads the child's errno; 0 when the exec closed the pipe. */
static int exec_status(int fd)
{
    int errnum = 0;
    ssize_t n;
    do
        n = read(fd, &errnum, sizeof errnum);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof errnum ? errnum : 0;
}

static void close_if(int fd)
{
    if (fd >= 0)
        close(fd);
}

bool role_start(enum role role, const char *const *argv, int log_fd, pid_t *pid_r, int *chan_fd_r, struct err *err)
{
    int sock[2] = {-1, -1}, status[2] = {-1, -1};
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool ok = false;
    char *dir = role_dir(), *path = path_join(dir, role_name(role));
    char **args = argv_with(path, argv), **env = env_for(role);
    pid_t parent = getpid(), pid = -1;
    sigset_t every, before;
    sigfillset(&every);
    if (null_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) != 0 ||
        pipe2(status, O_CLOEXEC) != 0) {
        err_sys(err, err_from_errno(errno), errno, "cannot start %s", role_name(role));
        goto out;
    }
    sigprocmask(SIG_SETMASK, &every, &before);
    pid = fork();
    if (pid == 0)
        child_exec(role, path, args, env, parent, (const int[]){null_fd, log_fd >= 0 ? log_fd : 2, sock[1], status[1]});
    int errnum = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        err_sys(err, err_from_errno(errnum), errnum, "cannot start %s", role_name(role));
        goto out;
    }
    close(status[1]);
    status[1] = -1;
    errnum = exec_status(status[0]);
    if (errnum != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        err_sys(err, err_from_errno(errnum), errnum, "cannot run %s", path);
        goto out;
    }
    *pid_r = pid;
    *chan_fd_r = sock[0];
    sock[0] = -1;
    ok = true;
out:
    close_if(null_fd);
    close_if(sock[0]);
    close_if(sock[1]);
    close_if(status[0]);
    close_if(status[1]);
    argv_free(args);
    free(env);
    free(path);
    free(dir);
    return ok;
}

/* ---- The store of a root ---- */

char *ipc_socket_path(const char *root, struct err *err)
{
    char *runtime = path_runtime_dir(err);
    if (runtime == NULL)
        return NULL;
    char *real = realpath(root, NULL), *path = NULL;
    if (real == NULL && errno == ENOENT && fs_mkdir_private(root, err))
        real = realpath(root, NULL);
    if (real == NULL) {
        if (err->kind == ERR_NONE)
            err_sys(err, err_from_errno(errno), errno, "cannot resolve %s", root);
    } else {
        struct buf dir = BUF_INIT(PATH_MAX);
        buf_addf(&dir, "%s/tuimail/%016llx", runtime, (unsigned long long)str_hash(str_z(real)));
        if (fs_mkdir_private(buf_z(&dir), err))
            path = path_join(buf_z(&dir), "store");
        buf_fini(&dir);
    }
    free(real);
    free(runtime);
    return path;
}
