/* The demo's store: mails with fresh dates in a Maildir, and a tuimailrc that names it. */
#include "cli/demo.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static const char date_mark[] = "@MINUTES-";

static void add_date(struct buf *out, uint64_t minutes)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)(clock_wall() - (int64_t)minutes * 60);
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        memset(&tm, 0, sizeof tm);
    buf_addf(out, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12],
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void add_line(struct buf *out, const char *line, uint64_t *minutes)
{
    const char *mark = strstr(line, date_mark);
    struct str number = str_z(mark ? mark + sizeof date_mark - 1 : NULL);
    size_t end;
    if (mark && str_find(number, '@', &end) && str_u64(str_sub(number, 0, end), minutes)) {
        buf_add(out, line, (size_t)(mark - line));
        add_date(out, *minutes);
        buf_adds(out, str_sub(number, end + 1, number.n));
    } else {
        buf_addz(out, line);
    }
}

static bool put_mail(const char *dir, size_t number, struct err *err)
{
    struct buf text = BUF_INIT(1 << 20), name = BUF_INIT(64);
    uint64_t minutes = 0;
    for (const char *const *line = demo_mail[number]; *line; line++)
        add_line(&text, *line, &minutes);
    buf_addf(&name, "%lld.demo_%zu.tuimail:2,", (long long)(clock_wall() - (int64_t)minutes * 60), number);
    char *path = path_join(dir, buf_z(&name));
    bool ok = fs_write_atomic(path, 0600, buf_str(&text), err);
    free(path);
    buf_fini(&text);
    buf_fini(&name);
    return ok;
}

static bool put_all(const char *root, struct err *err)
{
    static const char *const dirs[] = {"cur",          "new",         "tmp",         ".Archive/cur", ".Archive/new",
                                       ".Archive/tmp", ".Drafts/cur", ".Drafts/new", ".Drafts/tmp",  ".Sent/cur",
                                       ".Sent/new",    ".Sent/tmp",   ".Trash/cur",  ".Trash/new",   ".Trash/tmp",
                                       ".Spam/cur",    ".Spam/new",   ".Spam/tmp"};
    char *mail = path_join(root, "mail/demo");
    bool ok = true;
    for (size_t i = 0; ok && i < COUNT(dirs); i++) {
        char *dir = path_join(mail, dirs[i]);
        ok = fs_mkdir_private(dir, err);
        free(dir);
    }
    char *cur = path_join(mail, "cur");
    for (size_t i = 0; ok && demo_mail[i]; i++)
        ok = put_mail(cur, i, err);
    free(cur);
    free(mail);
    return ok;
}

static bool put_rc(const char *rc, const char *root, struct err *err)
{
    struct buf text = BUF_INIT(65536);
    buf_addf(&text,
             "# The demo's configuration: one mailbox on this machine.\n"
             "account demo maildir:%s/mail/demo\n"
             "set -a demo from \"You <you@tuimail.example>\"\n",
             root);
    bool ok = fs_write_atomic(rc, 0600, buf_str(&text), err);
    buf_fini(&text);
    return ok;
}

char *demo_make(char **rc_r, char **root_r, struct err *err)
{
    char *runtime = path_runtime_dir(err);
    if (!runtime)
        return NULL;
    char *dir = path_join(runtime, "tuimail-demo-XXXXXX");
    free(runtime);
    if (!mkdtemp(dir)) {
        err_sys(err, err_from_errno(errno), errno, "cannot make a directory for the demo");
        free(dir);
        return NULL;
    }
    *rc_r = path_join(dir, "tuimailrc");
    *root_r = path_join(dir, "store");
    if (!put_all(*root_r, err) || !put_rc(*rc_r, *root_r, err)) {
        demo_remove(dir);
        free(*rc_r);
        free(*root_r);
        free(dir);
        return NULL;
    }
    return dir;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void demo_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
