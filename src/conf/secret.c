/* Where an account's secret comes from. The secret itself never passes through this process. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* Closes all but the standard three: no channel and no other account's pipe may reach a command. */
static void close_others(void)
{
    if (close_range(3, ~0U, 0) == 0)
        return;
    long max = sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < (max > 0 && max < 65536 ? (int)max : 65536); fd++)
        close(fd);
}

static NORETURN void become(const char *const *argv, int out)
{
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0)
        _exit(126);
    if (fcntl(2, F_GETFD) < 0)
        dup2(null, 2);
    close_others();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool start(const char *const *argv, int *fd_r, pid_t *pid_r, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, ERR_SECRET, errno, "cannot make a pipe for the password");
    pid_t pid = fork();
    if (pid == 0)
        become(argv, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_sys(err, ERR_SECRET, errno, "cannot start the password command");
    }
    setpgid(pid, pid); /* also here: the caller may kill the group before the child has run */
    *fd_r = ends[0];
    *pid_r = pid;
    return true;
}

static bool open_file(const char *path, int *fd_r, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ELOOP)
        return err_set(err, ERR_SECRET_MODE, "password file %s is a symbolic link; name the file itself", path);
    if (fd < 0)
        return err_sys(err, ERR_SECRET, errno, "cannot open the password file %s", path);
    struct stat st;
    bool ok = fstat(fd, &st) == 0;
    if (!ok)
        err_sys(err, ERR_SECRET, errno, "password file %s", path);
    else if (!S_ISREG(st.st_mode))
        ok = err_set(err, ERR_SECRET_MODE, "password file %s is not a regular file", path);
    else if (st.st_uid != geteuid())
        ok = err_set(err, ERR_SECRET_MODE, "password file %s belongs to another user", path);
    else if (st.st_mode & 077)
        ok = err_set(err, ERR_SECRET_MODE, "password file %s can be read by others: chmod 600 %s", path, path);
    if (!ok) {
        close(fd);
        return false;
    }
    *fd_r = fd;
    return true;
}

bool secret_source(UNUSED const struct conf *conf, const struct account *a, bool submission, int *fd_r, pid_t *pid_r,
                   struct err *err)
{
    *pid_r = 0;
    bool own = submission && (a->send_password_command[0] || a->send_password_file[0]);
    const char *command = own ? a->send_password_command : a->password_command;
    const char *file = own ? a->send_password_file : a->password_file;
    if (command[0])
        return start((const char *const[]){"/bin/sh", "-c", command, NULL}, fd_r, pid_r, err);
    if (file[0])
        return open_file(file, fd_r, err);
    if (a->keyring)
        return start((const char *const[]){"secret-tool", "lookup", "service", "tuimail", "account", a->name, NULL},
                     fd_r, pid_r, err);
    return err_set(err, ERR_SECRET, "%s", "");
}
