/* Sandboxes: what each role's libraries load behind our back, and limits; the mechanism is the operating system's file.
 */
#include "ipc/sandbox_os.h"

#include <errno.h>
#include <sys/resource.h>

/* A closed file system breaks the C library silently: iconv_open knows only UTF-8, times fall back to UTC, names do not
 * resolve. All these are files any user may read. Directories rather than files where a file is replaced by renaming.
 */
static const char *const paths_all[] = {
    /* character set converters */
    "/usr/lib/x86_64-linux-gnu/gconv", "/usr/lib/aarch64-linux-gnu/gconv", "/usr/lib/gconv", "/usr/lib64/gconv",
    /* time zones */
    "/usr/share/zoneinfo", "/etc/localtime", NULL};
/* Name service, certificates, and what is loaded as a plugin for them (NSS, OpenSSL providers, SASL mechanisms). */
static const char *const paths_network[] = {
    "/etc/resolv.conf", "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/run/connman", "/etc/hosts",
    "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/networks",
    /* certificates */
    "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
    "/usr/lib/ssl", "/etc/krb5.conf", "/etc/sasl2", "/etc/ld.so.cache", "/dev/urandom",
    /* plugins */
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", NULL};

#ifdef TUIMAIL_ASAN
/* The sanitizer reads its own maps to print a report, and its symbolizer the program files. */
static const char *const paths_asan[] = {"/proc", "/usr/lib", "/lib", "/etc/ld.so.cache", NULL};
/* Its leak check traces the process from a second one, which the sandbox does not permit: it runs in the unit tests. */
static bool entered;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return entered;
}
#endif

static void paths_add(const char **list, const char *const *more)
{
    size_t n = 0;
    while (list[n] != NULL)
        n++;
    for (; *more != NULL; more++) {
        if (n + 1 >= SANDBOX_PATHS_MAX)
            bug("too many sandbox paths");
        list[n++] = *more;
    }
}

static bool limit(int what, rlim_t value, struct err *err)
{
    struct rlimit rl;
    if (getrlimit((__typeof__(RLIMIT_CORE))what, &rl) != 0)
        return err_sys(err, ERR_SANDBOX, errno, "getrlimit");
    if (rl.rlim_max != RLIM_INFINITY && rl.rlim_max < value)
        value = rl.rlim_max;
    rl.rlim_cur = rl.rlim_max = value;
    if (setrlimit((__typeof__(RLIMIT_CORE))what, &rl) != 0)
        return err_sys(err, ERR_SANDBOX, errno, "setrlimit");
    return true;
}

bool sandbox_enter(const struct sandbox *box, char report_r[200], struct err *err)
{
    struct sandbox_paths paths = {.read = {NULL}, .write = {NULL}};
    static const char *const null_device[] = {"/dev/null", NULL};
    struct buf report = BUF_INIT(199);
    bool network = box->role == ROLE_FETCH || box->role == ROLE_SEND || box->role == ROLE_OAUTH ||
                   box->role == ROLE_POST || box->role == ROLE_SIEVE;
    paths_add(paths.read, paths_all);
    paths_add(paths.read, network ? paths_network : (const char *const[]){NULL});
#ifdef TUIMAIL_ASAN
    paths_add(paths.read, paths_asan);
    entered = true;
#endif
    paths_add(paths.read, box->read_paths);
    paths_add(paths.write, null_device);
    paths_add(paths.write, box->write_paths);
    bool ok = limit(RLIMIT_CORE, 0, err);
    if (ok && box->cpu_seconds != 0)
        ok = limit(RLIMIT_CPU, box->cpu_seconds, err);
#ifndef TUIMAIL_ASAN /* which maps terabytes of shadow */
    if (ok && box->memory_max != 0)
        ok = limit(RLIMIT_AS, (rlim_t)box->memory_max, err);
#endif
    ok = ok && sandbox_os_enter(box, &paths, &report, err);
    memset(report_r, 0, 200);
    if (report.n > 0)
        memcpy(report_r, report.p, report.n);
    buf_fini(&report);
    return ok;
}
