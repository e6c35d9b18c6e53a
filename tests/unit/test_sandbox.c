/* Breaking out of every sandbox, and working inside: in a child for each role, everything forbidden is tried and
 * everything needed done. What was refused is printed, so that the log of a test run shows the walls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

/* ---- The place, made by the parent ---- */

static char base[64], *readable, *writable, *outside;
static uint16_t port_granted, port_other;
static int listeners[2];
static pid_t parent;

static uint16_t listen_somewhere(int *fd_r)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    *fd_r = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*fd_r, (struct sockaddr *)&in, n), 0);
    assert_int_equal(listen(*fd_r, 16), 0);
    assert_int_equal(getsockname(*fd_r, (struct sockaddr *)&in, &n), 0);
    return ntohs(in.sin_port);
}

static int setup(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    memcpy(base, "/tmp/tuimail-sandbox-XXXXXX", sizeof "/tmp/tuimail-sandbox-XXXXXX");
    assert_non_null(mkdtemp(base));
    readable = path_join(base, "readable");
    writable = path_join(base, "writable");
    outside = path_join(base, "outside");
    const char *const dirs[] = {readable, writable, outside};
    for (size_t i = 0; i < COUNT(dirs); i++) {
        const char *const names[] = {"tmp", "new"};
        assert_int_equal(mkdir(dirs[i], 0700), 0);
        for (size_t k = 0; k < COUNT(names); k++) {
            char *sub = path_join(dirs[i], names[k]);
            assert_int_equal(mkdir(sub, 0700), 0);
            free(sub);
        }
        char *file = path_join(dirs[i], "file");
        assert_true(fs_write_atomic(file, 0600, STR("text"), &err));
        free(file);
    }
    port_granted = listen_somewhere(&listeners[0]);
    port_other = listen_somewhere(&listeners[1]);
    parent = getpid();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", base, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    close(listeners[0]);
    close(listeners[1]);
    free(readable);
    free(writable);
    free(outside);
    return 0;
}

static struct sandbox profile(enum role role)
{
    struct sandbox box = {.role = role};
    if (role != ROLE_VIEW && role != ROLE_SEND && role != ROLE_OAUTH && role != ROLE_POST && role != ROLE_SIEVE)
        box.read_paths[0] = readable;
    if (role == ROLE_STORE || role == ROLE_FETCH || role == ROLE_INDEX || role == ROLE_ARCHIVE)
        box.write_paths[0] = writable;
    if (role == ROLE_FETCH || role == ROLE_SEND || role == ROLE_OAUTH || role == ROLE_POST || role == ROLE_SIEVE)
        box.tcp_ports[0] = port_granted;
    return box;
}

/* ---- Attempts: 0 when it worked, else errno ---- */

static int result(long r)
{
    return r >= 0 ? 0 : errno;
}

static int try_open(const char *dir, const char *name, int flags)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, flags, 0600), e = result(fd);
    if (fd >= 0)
        close(fd);
    return e;
}

static int read_passwd(void)
{
    return try_open("/etc", "passwd", O_RDONLY);
}
static int read_granted(void)
{
    return try_open(readable, "file", O_RDONLY);
}
static int read_outside(void)
{
    return try_open(outside, "file", O_RDONLY);
}
static int list_home(void)
{
    return try_open("/", "root", O_RDONLY | O_DIRECTORY);
}
static int read_parent_memory(void)
{
    char dir[64];
    snprintf(dir, sizeof dir, "/proc/%d", (int)parent);
    return try_open(dir, "mem", O_RDONLY);
}
static int write_readable(void)
{
    return try_open(readable, "file", O_WRONLY);
}
static int write_granted(void)
{
    return try_open(writable, "made", O_WRONLY | O_CREAT);
}
static int write_outside(void)
{
    return try_open(outside, "made", O_WRONLY | O_CREAT);
}
static int truncate_outside(void)
{
    return try_open(outside, "file", O_RDWR | O_TRUNC);
}
static int unlink_outside(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/file", outside);
    return result(unlink(path));
}
static int rename_out(void)
{
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/made", writable);
    snprintf(to, sizeof to, "%s/made", outside);
    return result(rename(from, to));
}
static int make_symlink(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/link", writable);
    return result(symlink("/etc/passwd", path));
}
static int deliver(void)
{
    char tmp[256], new[256];
    struct err err = ERR_INIT;
    snprintf(tmp, sizeof tmp, "%s/tmp/mail", writable);
    snprintf(new, sizeof new, "%s/new/mail", writable);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    if (!fs_write_all(fd, STR("mail"), &err) || !fs_commit(fd, tmp, new, &err))
        return err.sys != 0 ? err.sys : EIO;
    return result(link(new, tmp)) != 0 ? errno : result(unlink(tmp)) != 0 ? errno : result(unlink(new));
}
static int try_socket(int domain, int type)
{
    int fd = socket(domain, type | SOCK_CLOEXEC, 0), e = result(fd);
    if (fd >= 0)
        close(fd);
    return e;
}
static int socket_inet(void)
{
    return try_socket(AF_INET, SOCK_STREAM);
}
static int socket_unix(void)
{
    return try_socket(AF_UNIX, SOCK_STREAM);
}
static int socket_packet(void)
{
    return try_socket(AF_PACKET, SOCK_RAW);
}
static int socket_pair(void)
{
    int fds[2], e = result(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    if (e == 0) {
        close(fds[0]);
        close(fds[1]);
    }
    return e;
}
static int try_connect(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), e = result(fd);
    if (fd < 0)
        return e;
    e = result(connect(fd, (const struct sockaddr *)&in, sizeof in));
    close(fd);
    return e;
}
static int connect_granted(void)
{
    return try_connect(port_granted);
}
static int connect_other(void)
{
    return try_connect(port_other);
}
static int listen_tcp(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), e = result(fd);
    if (fd < 0)
        return e;
    e = bind(fd, (const struct sockaddr *)&in, sizeof in) != 0 ? errno : result(listen(fd, 1));
    close(fd);
    return e;
}
static int run_program(void)
{
    char name[] = "/bin/true";
    char *const argv[] = {name, NULL}, *const envp[] = {NULL};
    /* when it works it does not come back: exit status 0 tells the parent */
    return result(execve(name, argv, envp));
}
static int run_from_fd(void)
{
#ifdef SYS_execveat
    char name[] = "";
    char *const argv[] = {name, NULL};
    return result(syscall(SYS_execveat, 0, name, argv, argv, 0x1000));
#else
    return EPERM;
#endif
}
static int trace_parent(void)
{
    return result(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}
static int trace_me(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int read_other_process(void)
{
    char b[8];
    struct iovec local = {b, sizeof b}, remote = {b, sizeof b};
    return result(syscall(SYS_process_vm_readv, parent, &local, 1, &remote, 1, 0));
}
static int signal_parent(void)
{
    return result(kill(parent, 0));
}
static int signal_self(void)
{
    return result(kill(getpid(), 0));
}
static int own_child(void)
{
    pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0)
        for (;;)
            pause();
    int e = result(kill(pid, SIGKILL));
    return e != 0 ? e : result(waitpid(pid, NULL, 0));
}
static int own_namespace(void)
{
    return result(syscall(SYS_unshare, CLONE_NEWUSER));
}
static int child_namespace(void)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return result(pid);
}
static int type_for_user(void)
{
    return result(ioctl(0, TIOCSTI, "x"));
}
static int be_dumpable(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int raise_core(void)
{
    struct rlimit rl = {.rlim_cur = 0, .rlim_max = 0};
    getrlimit(RLIMIT_CORE, &rl);
    return rl.rlim_max == 0 ? EPERM : 0;
}
static int other_calls(void)
{
    /* one that works is named by its number as errno 0 of the whole */
    const long nrs[] = {SYS_mount,           SYS_chroot,         SYS_bpf,         SYS_keyctl,
                        SYS_perf_event_open, SYS_personality,    SYS_init_module, SYS_setuid,
                        SYS_userfaultfd,     SYS_io_uring_setup, SYS_add_key,     SYS_mknodat,
                        SYS_pidfd_open,      SYS_setns,          SYS_reboot,      SYS_listen};
    for (size_t i = 0; i < COUNT(nrs); i++)
        if (syscall(nrs[i], 0, 0, 0, 0, 0, 0) >= 0 || (errno != EPERM && errno != ENOSYS)) {
            fprintf(stderr, "# system call %ld: %s\n", nrs[i], strerror(errno));
            return 0;
        }
    return EPERM;
}

#define R(role) (1u << ROLE_##role)
#define ALL                                                                                                            \
    (R(STORE) | R(FETCH) | R(INDEX) | R(SEND) | R(VIEW) | R(SEARCH) | R(OAUTH) | R(ARCHIVE) | R(POST) | R(SIEVE))
static const struct {
    const char *name;
    int (*attempt)(void);
    unsigned permitted;
    bool files; /* walled off by Landlock alone */
} attempts[] = {
    {"read /etc/passwd", read_passwd, 0, true},
    {"read what was granted", read_granted, R(STORE) | R(FETCH) | R(INDEX) | R(SEARCH) | R(ARCHIVE), true},
    {"read beside it", read_outside, 0, true},
    {"list /root", list_home, 0, true},
    {"read the parent's memory", read_parent_memory, 0, true},
    {"write what may be read", write_readable, 0, true},
    {"write where granted", write_granted, R(STORE) | R(FETCH) | R(INDEX) | R(ARCHIVE), true},
    {"write beside it", write_outside, 0, true},
    {"truncate beside it", truncate_outside, 0, true},
    {"unlink beside it", unlink_outside, 0, true},
    {"rename out", rename_out, 0, true},
    {"make a symlink", make_symlink, 0, false},
    {"deliver tmp to new", deliver, R(STORE) | R(FETCH) | R(INDEX) | R(ARCHIVE), false},
    {"socket(AF_INET)", socket_inet, R(FETCH) | R(SEND) | R(OAUTH) | R(POST) | R(SIEVE), false},
    {"socket(AF_UNIX)", socket_unix, 0, false},
    {"socket(AF_PACKET)", socket_packet, 0, false},
    {"socketpair", socket_pair, ALL, false},
    {"connect to the port granted", connect_granted, R(FETCH) | R(SEND) | R(OAUTH) | R(POST) | R(SIEVE), false},
    {"connect to another port", connect_other, 0, true},
    {"listen on a port", listen_tcp, 0, false},
    {"execveat", run_from_fd, 0, false},
    {"ptrace the parent", trace_parent, 0, false},
    {"ptrace(TRACEME)", trace_me, 0, false},
    {"process_vm_readv", read_other_process, 0, false},
    {"kill the parent", signal_parent, 0, true},
    {"signal itself", signal_self, ALL, false},
    {"fork, kill, wait", own_child, R(FETCH) | R(SEND) | R(SIEVE), false},
    {"unshare a user namespace", own_namespace, 0, false},
    {"clone into a user namespace", child_namespace, 0, false},
    {"ioctl(TIOCSTI)", type_for_user, 0, false},
    {"become dumpable", be_dumpable, 0, false},
    {"raise the core limit", raise_core, 0, false},
    {"mount, bpf, keyctl, io_uring ...", other_calls, 0, false},
    {"execve", run_program, 0, false}, /* last: it may not come back */
};

static const enum role roles[] = {ROLE_STORE,  ROLE_FETCH, ROLE_INDEX,   ROLE_SEND, ROLE_VIEW,
                                  ROLE_SEARCH, ROLE_OAUTH, ROLE_ARCHIVE, ROLE_POST, ROLE_SIEVE};
#define DONE 42 /* exit status of a child that came to its end with everything right */

static void enter(enum role role)
{
    struct sandbox box = profile(role);
    struct err err = ERR_INIT;
    char report[200];
    if (!sandbox_enter(&box, report, &err)) {
        fprintf(stderr, "# %s\n", err.text);
        _exit(1);
    }
}

/* Runs `what` in a child inside the role's sandbox; its wait status. */
static int in_sandbox(enum role role, int (*what)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        enter(role);
        _exit(what());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static enum role current;
static bool kernel_landlock;

static int try_all(void)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT(attempts); i++) {
        if (attempts[i].files && !kernel_landlock)
            continue;
        bool permitted = (attempts[i].permitted >> current & 1) != 0;
        int e = attempts[i].attempt();
        if (permitted != (e == 0)) {
            fprintf(stderr, "# %s: WRONG: %s: %s\n", role_name(current), attempts[i].name, strerror(e));
            wrong++;
        } else if (!permitted) {
            fprintf(stderr, "# %s: refused: %s: %s\n", role_name(current), attempts[i].name, strerror(e));
        }
    }
    return wrong == 0 ? DONE : 1;
}

static void nobody_breaks_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(roles); i++) {
        current = roles[i];
        assert_int_equal(in_sandbox(roles[i], try_all), DONE << 8);
    }
}

/* A build whose sandbox does nothing must not pass where the kernel has one. */
static int look_at_walls(void)
{
    char report[200];
    struct err err = ERR_INIT;
    struct sandbox box = profile(ROLE_SEARCH);
    if (!sandbox_enter(&box, report, &err))
        return 1;
    fprintf(stderr, "# %s\n", report);
    if (strstr(report, "seccomp") == NULL || strstr(report, "no seccomp") != NULL || prctl(PR_GET_SECCOMP) >= 0)
        return 2; /* inside, asking is refused itself */
    return kernel_landlock == (strstr(report, "no landlock") == NULL) ? DONE : 3;
}

static void the_walls_are_there(void **state)
{
    int status;
    (void)state;
    kernel_landlock = syscall(444, NULL, 0, 1) >= 2;
    pid_t pid = fork();
    if (pid == 0)
        _exit(look_at_walls());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, DONE << 8);
}

static int call_other_abi(void)
{
#ifdef __x86_64__
    long r = 20; /* getpid of i386 */
    __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
#else
    raise(SIGSYS);
#endif
    return 0;
}

static void the_other_abi_kills(void **state)
{
    (void)state;
    assert_true(WIFSIGNALED(in_sandbox(ROLE_VIEW, call_other_abi)));
}

static int do_abort(void)
{
    abort();
}

static void abort_still_works(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(roles); i++) {
        int status = in_sandbox(roles[i], do_abort);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

/* ---- Limits ---- */

static int take_memory(void)
{
    void *p = mmap(NULL, 512u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? DONE : 1;
}

static void memory_and_time_are_bounded(void **state)
{
    int status;
    (void)state;
    for (int what = 0; what < 2; what++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct err err = ERR_INIT;
            char report[200];
            struct sandbox box = {.role = ROLE_VIEW, .memory_max = 256u << 20, .cpu_seconds = 1};
            if (!sandbox_enter(&box, report, &err))
                _exit(1);
            if (what == 0)
                _exit(take_memory());
            for (volatile unsigned spin = 0;; spin++)
                continue;
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
#ifdef TUIMAIL_ASAN
        if (what == 0)
            continue;
#endif
        if (what == 0)
            assert_int_equal(status, DONE << 8);
        else
            assert_true(WIFSIGNALED(status));
    }
}

/* ---- What must work ---- */

static struct buf charsets; /* NUL-terminated names that iconv_open knows outside */

static int open_charsets(void)
{
    unsigned wrong = 0;
    for (size_t at = 0; at < charsets.n; at += strlen(charsets.p + at) + 1) {
        iconv_t cd = iconv_open("UTF-8", charsets.p + at);
        if (cd == (iconv_t)-1) {
            fprintf(stderr, "# %s: no converter for %s\n", role_name(current), charsets.p + at);
            wrong++;
        } else {
            iconv_close(cd);
        }
    }
    return wrong == 0 ? DONE : 1;
}

static void every_charset_converts(void **state)
{
    struct err err = ERR_INIT;
    struct buf list = BUF_INIT(1 << 20);
    int pipes[2];
    unsigned n = 0;
    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], 1);
        execlp("iconv", "iconv", "-l", (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    assert_true(fs_read_fd(pipes[0], 1 << 20, &list, &err));
    close(pipes[0]);
    waitpid(pid, NULL, 0);
    buf_init(&charsets, 1 << 20);
    struct str rest = buf_str(&list), name;
    /* known outside: asked in a child, so that no converter is open here when the sandbox comes */
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        while (str_split(&rest, '\n', &name)) {
            struct buf z = BUF_INIT(100);
            name = str_trim(name);
            if (name.n < 3 || !buf_adds(&z, str_sub(name, 0, name.n - 2))) /* "NAME//" */
                continue;
            iconv_t cd = iconv_open("UTF-8", buf_z(&z));
            if (cd != (iconv_t)-1) {
                iconv_close(cd);
                if (write(pipes[1], z.p, z.n + 1) < 0)
                    _exit(1);
            }
            buf_fini(&z);
        }
        _exit(0);
    }
    close(pipes[1]);
    assert_true(fs_read_fd(pipes[0], 1 << 20, &charsets, &err));
    close(pipes[0]);
    waitpid(pid, NULL, 0);
    for (size_t i = 0; i < charsets.n; i++)
        n += charsets.p[i] == '\0';
    fprintf(stderr, "# %u charsets\n", n);
    assert_true(n > 100);
    const enum role need[] = {ROLE_VIEW, ROLE_INDEX, ROLE_FETCH, ROLE_SEND, ROLE_SEARCH};
    for (size_t i = 0; i < COUNT(need); i++) {
        current = need[i];
        assert_int_equal(in_sandbox(need[i], open_charsets), DONE << 8);
    }
    buf_fini(&list);
    buf_fini(&charsets);
}

static int berlin(void)
{
    struct tm tm;
    time_t summer = 1720000000;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    return localtime_r(&summer, &tm) != NULL && tm.tm_gmtoff == 7200 ? DONE : 1;
}

static void time_zones_work(void **state)
{
    (void)state;
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
        return; /* no time zones on this system */
    for (size_t i = 0; i < COUNT(roles); i++)
        assert_int_equal(in_sandbox(roles[i], berlin), DONE << 8);
}

static int resolve(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    int e = getaddrinfo("localhost", "993", &hints, &found);
    if (e != 0 || found == NULL) {
        fprintf(stderr, "# %s\n", gai_strerror(e));
        return 1;
    }
    freeaddrinfo(found);
    return DONE;
}

static int resolve_in_child(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(resolve());
    return waitpid(pid, &status, 0) == pid && status == DONE << 8 ? resolve() : 1;
}

static void names_resolve(void **state)
{
    (void)state;
    assert_int_equal(in_sandbox(ROLE_FETCH, resolve_in_child), DONE << 8);
    assert_int_equal(in_sandbox(ROLE_SEND, resolve_in_child), DONE << 8);
}

static int sql(const char *sub, int flags, const char *text)
{
    char path[256];
    sqlite3 *db = NULL;
    char *message = NULL;
    snprintf(path, sizeof path, "%s/mail.db", sub);
    int r = sqlite3_open_v2(path, &db, flags, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_exec(db, text, NULL, NULL, &message);
    if (r != SQLITE_OK)
        fprintf(stderr, "# %s: %s\n", role_name(current), message != NULL ? message : sqlite3_errmsg(db));
    sqlite3_free(message);
    sqlite3_close(db);
    return r == SQLITE_OK ? DONE : 1;
}

static int sql_insert(void)
{
    return sql(writable, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(a); INSERT INTO t VALUES(1);"
               "PRAGMA wal_checkpoint(TRUNCATE); VACUUM; CREATE INDEX i ON t(a);");
}

static int sql_read(void)
{
    return sql(readable, SQLITE_OPEN_READONLY, "SELECT count(*) FROM t ORDER BY a");
}

static void databases_work(void **state)
{
    (void)state;
    current = ROLE_STORE;
    assert_int_equal(in_sandbox(ROLE_STORE, sql_insert), DONE << 8);
    /* search reads a database that the store has open */
    char path[256];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/mail.db", readable);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)", NULL, NULL, NULL),
        SQLITE_OK);
    current = ROLE_SEARCH;
    int status = in_sandbox(ROLE_SEARCH, sql_read);
    sqlite3_close(db);
    assert_int_equal(status, DONE << 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_walls_are_there),
        cmocka_unit_test(nobody_breaks_out),
        cmocka_unit_test(the_other_abi_kills),
        cmocka_unit_test(abort_still_works),
        cmocka_unit_test(memory_and_time_are_bounded),
        cmocka_unit_test(every_charset_converts),
        cmocka_unit_test(time_zones_work),
        cmocka_unit_test(names_resolve),
        cmocka_unit_test(databases_work),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
