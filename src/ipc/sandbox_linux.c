/* Landlock for files and TCP ports, seccomp for system calls. Both by plain system calls: no library, and the numbers
 * of newer kernels than the headers know.
 *
 * A refused call fails with EPERM and the program goes on: libraries cope with that, and a test can see it. Calls that
 * the C library only probes fail with ENOSYS, so that it falls back. */
#include "ipc/sandbox_os.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Landlock ---- */

/* The kernel's ABI; linux/landlock.h of the build machine may be older than the kernel of the running one. */
#define LL_CREATE_RULESET 444
#define LL_ADD_RULE 445
#define LL_RESTRICT_SELF 446
#define LL_VERSION_QUERY 1u
#define LL_RULE_PATH 1
#define LL_RULE_PORT 2
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,     /* ABI 2 */
    FS_TRUNCATE = 1 << 14,  /* ABI 3 */
    FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
};
enum { NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 };       /* ABI 4 */
enum { SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 }; /* ABI 6 */
struct ll_ruleset {
    uint64_t fs, net, scoped;
};
struct ll_path {
    uint64_t access;
    int32_t fd;
} __attribute__((packed));
struct ll_port {
    uint64_t access, port;
};

#define FS_ON_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_READ (FS_READ_FILE | FS_READ_DIR)
#define FS_WRITE                                                                                                       \
    (FS_READ | FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_MAKE_DIR | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_REFER)

static uint64_t fs_handled(int abi)
{
    uint64_t fs = FS_REFER - 1;
    if (abi >= 2)
        fs |= FS_REFER;
    if (abi >= 3)
        fs |= FS_TRUNCATE;
    if (abi >= 5)
        fs |= FS_IOCTL_DEV;
    return fs;
}

static bool path_allow(int ruleset, const char *path, uint64_t access, struct err *err)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return true; /* not on this system: nothing to grant */
    struct ll_path rule = {.access = access, .fd = fd};
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.access &= FS_ON_FILES;
    bool ok = syscall(LL_ADD_RULE, ruleset, LL_RULE_PATH, &rule, 0) == 0;
    if (!ok)
        err_sys(err, ERR_SANDBOX, errno, "landlock refuses %s", path);
    close(fd);
    return ok;
}

static bool rules_add(int ruleset, const struct ll_ruleset *set, const struct sandbox *box,
                      const struct sandbox_paths *paths, struct err *err)
{
    for (size_t i = 0; paths->read[i] != NULL; i++)
        if (!path_allow(ruleset, paths->read[i], FS_READ & set->fs, err))
            return false;
    for (size_t i = 0; paths->write[i] != NULL; i++)
        if (!path_allow(ruleset, paths->write[i], FS_WRITE & set->fs, err))
            return false;
    for (size_t i = 0; set->net != 0 && i < COUNT(box->tcp_ports) && box->tcp_ports[i] != 0; i++) {
        struct ll_port rule = {.access = NET_CONNECT_TCP, .port = box->tcp_ports[i]};
        if (syscall(LL_ADD_RULE, ruleset, LL_RULE_PORT, &rule, 0) != 0)
            return err_sys(err, ERR_SANDBOX, errno, "landlock refuses port %u", box->tcp_ports[i]);
    }
    return true;
}

static bool landlock_enter(const struct sandbox *box, const struct sandbox_paths *paths, struct buf *report,
                           struct err *err)
{
    long abi = syscall(LL_CREATE_RULESET, NULL, 0, LL_VERSION_QUERY);
    if (abi < 1) {
        buf_addz(report, "no landlock");
        return true;
    }
    /* ABI 1 refuses every rename between directories: Maildir delivery would fail. Rather no file rules than a broken
     * role. */
    if (abi == 1 && box->write_paths[0] != NULL) {
        buf_addz(report, "no landlock (ABI 1)");
        return true;
    }
    struct ll_ruleset set = {.fs = fs_handled((int)abi)};
    if (abi >= 4)
        set.net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 6)
        set.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    size_t size = abi >= 6   ? sizeof set
                  : abi >= 4 ? offsetof(struct ll_ruleset, scoped)
                             : offsetof(struct ll_ruleset, net);
    int ruleset = (int)syscall(LL_CREATE_RULESET, &set, size, 0);
    if (ruleset < 0)
        return err_sys(err, ERR_SANDBOX, errno, "landlock");
    bool ok = rules_add(ruleset, &set, box, paths, err);
    if (ok && syscall(LL_RESTRICT_SELF, ruleset, 0) != 0)
        ok = err_sys(err, ERR_SANDBOX, errno, "landlock");
    close(ruleset);
    buf_addf(report, "landlock %ld", abi);
    return ok;
}

/* ---- seccomp: one row per system call; a role may make those of its groups ---- */

enum group {
    G_BASE = 1,    /* memory, time, own signals, open descriptors */
    G_READ = 2,    /* open and look at files: Landlock says which */
    G_WRITE = 4,   /* create, change, rename, sync */
    G_NET = 8,     /* internet sockets */
    G_FORK = 16,   /* a child that runs our own code (name lookup) */
    G_ACCEPT = 32, /* take connections on a socket that was handed over */
    G_WATCH = 64,  /* inotify */
};
static const unsigned role_groups[ROLE_COUNT] = {
    [ROLE_STORE] = G_BASE | G_READ | G_WRITE | G_ACCEPT | G_WATCH,
    [ROLE_FETCH] = G_BASE | G_READ | G_WRITE | G_NET | G_FORK | G_WATCH,
    [ROLE_INDEX] = G_BASE | G_READ | G_WRITE,
    [ROLE_OWN] = G_BASE | G_READ | G_WRITE,
    [ROLE_SIEVE] = G_BASE | G_READ | G_NET | G_FORK,
    [ROLE_SEND] = G_BASE | G_READ | G_NET | G_FORK,
    [ROLE_VIEW] = G_BASE | G_READ,
    [ROLE_SEARCH] = G_BASE | G_READ,
    [ROLE_OAUTH] = G_BASE | G_READ | G_NET | G_ACCEPT,
    [ROLE_ARCHIVE] = G_BASE | G_READ | G_WRITE,
    [ROLE_POST] = G_BASE | G_READ | G_NET,
};

#define SELF UINT32_MAX /* in `values`: our process id */
/* Argument `arg` must be one of `values` (low 32 bits, the kernel looks at no more), or have none of `forbidden`. */
struct check {
    unsigned arg;
    uint32_t forbidden;
    unsigned nvalues;
    uint32_t values[8];
};
static const struct check check_self = {.arg = 0, .nvalues = 1, .values = {SELF}};
static const struct check check_ioctl = {
    .arg = 1, .nvalues = 5, .values = {TCGETS, FIONREAD, FIONBIO, FIOCLEX, TIOCGWINSZ}};
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
static const struct check check_prctl = {
    .arg = 0, .nvalues = 5, .values = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_SET_PDEATHSIG}};
static const struct check check_open = {.arg = 1, .forbidden = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC};
static const struct check check_openat = {.arg = 2, .forbidden = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC};
/* AF_UNIX would reach the session bus and the agents; a name service daemon is done without. */
static const struct check check_socket = {.arg = 0, .nvalues = 3, .values = {AF_INET, AF_INET6, AF_NETLINK}};
static const struct check check_socketpair = {.arg = 0, .nvalues = 1, .values = {AF_UNIX}};
#define CLONE_NAMESPACES 0x7e020080u
static const struct check check_clone = {.arg = 0, .forbidden = CLONE_NAMESPACES | CLONE_THREAD | CLONE_PTRACE};

struct rule {
    uint32_t nr;
    unsigned groups;
    const struct check *check; /* NULL: any arguments */
};
#define ALLOW(name, groups)                                                                                            \
    {                                                                                                                  \
        SYS_##name, (groups), NULL                                                                                     \
    }
#define ALLOW_IF(name, groups, check)                                                                                  \
    {                                                                                                                  \
        SYS_##name, (groups), &(check)                                                                                 \
    }
static const struct rule rules[] = {
    /* in the order of how often they are called */
    ALLOW(read, G_BASE),
    ALLOW(write, G_BASE),
    ALLOW(recvmsg, G_BASE),
    ALLOW(sendmsg, G_BASE),
    ALLOW(ppoll, G_BASE),
    ALLOW(pread64, G_BASE),
    ALLOW(pwrite64, G_BASE),
    ALLOW(lseek, G_BASE),
    ALLOW(fcntl, G_BASE),
    ALLOW(close, G_BASE),
    ALLOW_IF(openat, G_READ, check_openat),
    ALLOW(openat, G_WRITE),
    ALLOW(fstat, G_BASE),
    ALLOW(newfstatat, G_READ),
    ALLOW(mmap, G_BASE),
    ALLOW(munmap, G_BASE),
    ALLOW(mremap, G_BASE),
    ALLOW(mprotect, G_BASE),
    ALLOW(madvise, G_BASE),
    ALLOW(brk, G_BASE),
    ALLOW(readv, G_BASE),
    ALLOW(writev, G_BASE),
    ALLOW(preadv, G_BASE),
    ALLOW(pwritev, G_BASE),
    ALLOW(msync, G_BASE),
    ALLOW(mincore, G_BASE),
    ALLOW(mlock, G_BASE),
    ALLOW(munlock, G_BASE),
    ALLOW(futex, G_BASE),
    ALLOW(rt_sigaction, G_BASE),
    ALLOW(rt_sigprocmask, G_BASE),
    ALLOW(rt_sigreturn, G_BASE),
    ALLOW(sigaltstack, G_BASE),
    ALLOW(rt_sigtimedwait, G_BASE),
    ALLOW(restart_syscall, G_BASE),
    ALLOW(exit, G_BASE),
    ALLOW(exit_group, G_BASE),
    ALLOW(pselect6, G_BASE),
    ALLOW(epoll_create1, G_BASE),
    ALLOW(epoll_ctl, G_BASE),
    ALLOW(epoll_pwait, G_BASE),
    ALLOW(eventfd2, G_BASE),
    ALLOW(signalfd4, G_BASE),
    ALLOW(timerfd_create, G_BASE),
    ALLOW(timerfd_settime, G_BASE),
    ALLOW(clock_gettime, G_BASE),
    ALLOW(clock_getres, G_BASE),
    ALLOW(clock_nanosleep, G_BASE),
    ALLOW(nanosleep, G_BASE),
    ALLOW(gettimeofday, G_BASE),
    ALLOW(setitimer, G_BASE),
    ALLOW(times, G_BASE),
    ALLOW(getrusage, G_BASE),
    ALLOW(getpid, G_BASE),
    ALLOW(getppid, G_BASE),
    ALLOW(gettid, G_BASE),
    ALLOW(getuid, G_BASE),
    ALLOW(geteuid, G_BASE),
    ALLOW(getgid, G_BASE),
    ALLOW(getegid, G_BASE),
    ALLOW(getrandom, G_BASE),
    ALLOW(uname, G_BASE),
    ALLOW(sysinfo, G_BASE),
    ALLOW(sched_yield, G_BASE),
    ALLOW(sched_getaffinity, G_BASE),
    ALLOW(getcpu, G_BASE),
    ALLOW(umask, G_BASE),
    ALLOW(dup, G_BASE),
    ALLOW(dup3, G_BASE),
    ALLOW(pipe2, G_BASE),
    ALLOW(prlimit64, G_BASE),
    ALLOW(memfd_create, G_BASE),
    ALLOW(set_robust_list, G_BASE),
    ALLOW(set_tid_address, G_BASE),
    ALLOW(rseq, G_BASE),
    ALLOW(membarrier, G_BASE),
    ALLOW(recvfrom, G_BASE),
    ALLOW(sendto, G_BASE),
    ALLOW(getsockopt, G_BASE),
    ALLOW(shutdown, G_BASE),
    ALLOW(close_range, G_BASE),
    ALLOW(fadvise64, G_BASE),
    ALLOW(sendfile, G_BASE),
    ALLOW(ftruncate, G_BASE),
    ALLOW_IF(ioctl, G_BASE, check_ioctl),
    ALLOW_IF(prctl, G_BASE, check_prctl),
    ALLOW_IF(tgkill, G_BASE, check_self),
    ALLOW_IF(kill, G_BASE, check_self),
    ALLOW_IF(socketpair, G_BASE, check_socketpair),
    /* files */
    ALLOW(faccessat, G_READ),
    ALLOW(faccessat2, G_READ),
    ALLOW(statx, G_READ),
    ALLOW(readlinkat, G_READ),
    ALLOW(getdents64, G_READ),
    ALLOW(getcwd, G_READ),
    ALLOW(statfs, G_READ),
    ALLOW(fstatfs, G_READ),
    ALLOW(flock, G_READ),
    ALLOW(renameat, G_WRITE),
    ALLOW(renameat2, G_WRITE),
    ALLOW(linkat, G_WRITE),
    ALLOW(unlinkat, G_WRITE),
    ALLOW(mkdirat, G_WRITE),
    ALLOW(truncate, G_WRITE),
    ALLOW(fsync, G_WRITE),
    ALLOW(fdatasync, G_WRITE),
    ALLOW(sync_file_range, G_WRITE),
    ALLOW(syncfs, G_WRITE),
    ALLOW(fallocate, G_WRITE),
    ALLOW(fchmod, G_WRITE),
    ALLOW(fchmodat, G_WRITE),
    ALLOW(fchown, G_WRITE),
    ALLOW(utimensat, G_WRITE),
    ALLOW(copy_file_range, G_WRITE),
    /* sockets */
    ALLOW_IF(socket, G_NET, check_socket),
    ALLOW(connect, G_NET),
    ALLOW(bind, G_NET),
    ALLOW(setsockopt, G_NET | G_ACCEPT),
    ALLOW(getsockname, G_NET | G_ACCEPT),
    ALLOW(getpeername, G_NET | G_ACCEPT),
    ALLOW(sendmmsg, G_NET),
    ALLOW(recvmmsg, G_NET),
    ALLOW(accept4, G_ACCEPT),
    ALLOW(accept, G_ACCEPT),
    /* children; who may be signalled is for Landlock to say */
    ALLOW_IF(clone, G_FORK, check_clone),
    ALLOW(wait4, G_FORK),
    ALLOW(waitid, G_FORK),
    ALLOW(kill, G_FORK),
    ALLOW(tgkill, G_FORK),
    /* new files */
    ALLOW(inotify_init1, G_WATCH),
    ALLOW(inotify_add_watch, G_WATCH),
    ALLOW(inotify_rm_watch, G_WATCH),
#ifdef __x86_64__ /* older names that other architectures never had */
    ALLOW(poll, G_BASE),
    ALLOW(select, G_BASE),
    ALLOW(epoll_wait, G_BASE),
    ALLOW(epoll_create, G_BASE),
    ALLOW(time, G_BASE),
    ALLOW(alarm, G_BASE),
    ALLOW(getrlimit, G_BASE),
    ALLOW(arch_prctl, G_BASE),
    ALLOW(dup2, G_BASE),
    ALLOW(pipe, G_BASE),
    ALLOW_IF(open, G_READ, check_open),
    ALLOW(open, G_WRITE),
    ALLOW(stat, G_READ),
    ALLOW(lstat, G_READ),
    ALLOW(access, G_READ),
    ALLOW(readlink, G_READ),
    ALLOW(getdents, G_READ),
    ALLOW(rename, G_WRITE),
    ALLOW(link, G_WRITE),
    ALLOW(unlink, G_WRITE),
    ALLOW(mkdir, G_WRITE),
    ALLOW(rmdir, G_WRITE),
    ALLOW(creat, G_WRITE),
    ALLOW(chmod, G_WRITE),
    ALLOW(utime, G_WRITE),
    ALLOW(utimes, G_WRITE),
    ALLOW(fork, G_FORK),
    ALLOW(vfork, G_FORK),
    ALLOW(inotify_init, G_WATCH),
#endif
};
/* Newer than this is unknown to us: the C library that tries it has an older way (ENOSYS). */
#define NR_KNOWN SYS_faccessat2

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH

#define FILTER_MAX 1024
struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned n;
};

static void emit(struct filter *f, uint16_t op, uint32_t k, unsigned jump_true, unsigned jump_false)
{
    if (f->n >= FILTER_MAX)
        bug("seccomp filter too long");
    f->code[f->n++] = (struct sock_filter){op, (uint8_t)jump_true, (uint8_t)jump_false, k};
}

static void emit_return(struct filter *f, uint32_t action)
{
    emit(f, BPF_RET | BPF_K, action, 0, 0);
}

static void emit_load(struct filter *f, size_t at)
{
    emit(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

#define ERRNO(e) (SECCOMP_RET_ERRNO | ((e)&SECCOMP_RET_DATA))

/* The number is in the accumulator; each block that loads something else ends in a return. */
static void emit_rule(struct filter *f, const struct rule *rule)
{
    const struct check *check = rule->check;
    if (check == NULL) {
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, rule->nr, 0, 1);
        emit_return(f, SECCOMP_RET_ALLOW);
        return;
    }
    unsigned body = check->nvalues > 0 ? check->nvalues + 3 : 4;
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, rule->nr, 0, body);
    emit_load(f, offsetof(struct seccomp_data, args) + check->arg * sizeof(uint64_t)); /* low half: little-endian */
    for (unsigned i = 0; i < check->nvalues; i++) {
        uint32_t value = check->values[i] == SELF ? (uint32_t)getpid() : check->values[i];
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, value, check->nvalues - i, 0);
    }
    if (check->nvalues == 0)
        emit(f, BPF_JMP | BPF_JSET | BPF_K, check->forbidden, 0, 1);
    emit_return(f, ERRNO(EPERM));
    emit_return(f, SECCOMP_RET_ALLOW);
}

static bool seccomp_enter(enum role role, struct buf *report, struct err *err)
{
    struct filter *f = mem_new(sizeof *f);
    unsigned groups = role_groups[role];
    emit_load(f, offsetof(struct seccomp_data, arch));
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    emit_return(f, SECCOMP_RET_KILL_PROCESS);
    emit_load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__ /* the x32 ABI has numbers of its own for everything below */
    emit(f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    emit_return(f, SECCOMP_RET_KILL_PROCESS);
#endif
    /* The freest rule of a call wins: unconditional ones come first. */
    for (int conditional = 0; conditional < 2; conditional++)
        for (size_t i = 0; i < COUNT(rules); i++)
            if ((rules[i].groups & groups) != 0 && (rules[i].check != NULL) == conditional)
                emit_rule(f, &rules[i]);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0);
    emit(f, BPF_JMP | BPF_JGT | BPF_K, NR_KNOWN, 0, 1);
    emit_return(f, ERRNO(ENOSYS));
    emit_return(f, ERRNO(EPERM));
    struct sock_fprog prog = {.len = (unsigned short)f->n, .filter = f->code};
    bool ok = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
    int errnum = errno;
    free(f);
    if (!ok && errnum == EINVAL) { /* built without it */
        buf_addz(report, ", no seccomp");
        return true;
    }
    if (!ok)
        return err_sys(err, ERR_SANDBOX, errnum, "seccomp");
    buf_addz(report, ", seccomp");
    return true;
}

#else

static bool seccomp_enter(enum role role, struct buf *report, struct err *err)
{
    (void)role;
    (void)err;
    buf_addz(report, ", no seccomp");
    return true;
}

#endif

bool sandbox_os_enter(const struct sandbox *box, const struct sandbox_paths *paths, struct buf *report, struct err *err)
{
    prctl(PR_SET_DUMPABLE, 0);
    /* What these two start (password commands, editors, the roles themselves) would inherit every rule. */
    if (role_groups[box->role] == 0) {
        buf_addz(report, "none");
        return true;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_sys(err, ERR_SANDBOX, errno, "no_new_privs");
    return landlock_enter(box, paths, report, err) && seccomp_enter(box->role, report, err);
}

#else

bool sandbox_os_enter(const struct sandbox *box, const struct sandbox_paths *paths, struct buf *report, struct err *err)
{
    (void)box;
    (void)paths;
    (void)err;
    buf_addz(report, "none");
    return true;
}

#endif
