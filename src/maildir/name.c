/* Names of messages and folders, and finding a message whose flags another program may have changed. */
#include "maildir/int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order of the letters, as a Maildir name wants them. */
static const struct {
    char letter;
    uint32_t flag;
} letters[] = {{'D', FLAG_DRAFT},    {'F', FLAG_FLAGGED}, {'P', FLAG_FORWARDED},
               {'R', FLAG_ANSWERED}, {'S', FLAG_SEEN},    {'T', FLAG_DELETED}};

static bool no_name(struct str folder, struct err *err)
{
    return err_set(err, ERR_USAGE, "\"%.*s\" cannot be the name of a folder", STR_FMT(str_sub(folder, 0, 100)));
}

bool md_folder_dir(struct str folder, char dir[256], struct err *err)
{
    size_t at;
    if (folder.n == 0) {
        memcpy(dir, ".", 2);
        return true;
    }
    if (folder.n > 254 || folder.p[0] == '.' || str_find(folder, '/', &at) || str_find(folder, '\0', &at))
        return no_name(folder, err);
    dir[0] = '.';
    memcpy(dir + 1, folder.p, folder.n);
    dir[folder.n + 1] = '\0';
    return true;
}

bool md_new_folder(struct str folder, struct err *err)
{
    bool bad = folder.n == 0 || folder.p[folder.n - 1] == '.';
    for (size_t i = 0; i < folder.n && !bad; i++)
        bad = (unsigned char)folder.p[i] < 0x20 || folder.p[i] == 0x7f ||
              (folder.p[i] == '.' && i + 1 < folder.n && folder.p[i + 1] == '.');
    return !bad || no_name(folder, err);
}

void md_path(const char *folder_dir, const char *sub, const char *name, struct buf *out)
{
    if (strcmp(folder_dir, ".") != 0)
        buf_addf(out, "%s/", folder_dir);
    buf_addf(out, "%s/%s", sub, name);
}

int md_open_dir(struct maildir *m, struct str folder, const char *sub, struct err *err)
{
    char dir[256], path[264];
    if (!md_folder_dir(folder, dir, err))
        return -1;
    snprintf(path, sizeof path, "%s/%s", dir, sub);
    int fd = openat(m->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        err_set(err, ERR_NO_MAILBOX, "the folder \"%.*s\" of %s does not exist", STR_FMT(folder), m->path);
    else if (fd < 0)
        err_sys(err, err_from_errno(errno), errno, "cannot open the folder \"%.*s\" of %s", STR_FMT(folder), m->path);
    return fd;
}

bool md_parse_name(const char *name, struct str *unique_r, uint32_t *flags_r)
{
    struct str s = str_z(name);
    if (s.n == 0 || s.n > 255 || name[0] == '.')
        return false;
    const char *info = strstr(name, ":2,");
    *unique_r = info ? (struct str){name, (size_t)(info - name)} : s;
    *flags_r = 0;
    for (size_t i = 0; info && i < COUNT(letters); i++)
        if (strchr(info + 3, letters[i].letter))
            *flags_r |= letters[i].flag;
    return unique_r->n > 0;
}

void md_format_name(struct str unique, uint32_t flags, const char *keep, char name[256])
{
    char info[128] = "", *at = info;
    for (size_t i = 0; i < COUNT(letters); i++)
        if (flags & letters[i].flag)
            *at++ = letters[i].letter;
    for (; *keep && at < info + 100; keep++) /* another program's letters (Dovecot: keywords a..z) */
        if (!strchr("DFPRST,:/", *keep))
            *at++ = *keep;
    *at = '\0';
    snprintf(name, 256, "%.*s:2,%s", STR_FMT(unique), info);
}

void md_new_unique(char unique[64])
{
    static unsigned counter;
    unsigned char r[10];
    char hex[21];
    /* The time is for people; what makes it unique is the random part, whatever the clock does (THREATS 161). */
    fs_random(r, sizeof r);
    hex_encode(r, sizeof r, hex);
    snprintf(unique, 64, "%lld.R%s_%u.tuimail", (long long)clock_wall(), hex, ++counter % 1000000);
}

static bool is_there(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The 64 names that our own flags can make: a few microseconds, against a listing of 100,000 names. */
bool md_there(int cur, struct str unique, char name_r[256])
{
    for (unsigned bits = 0; bits < 64; bits++) {
        uint32_t flags = 0;
        for (size_t i = 0; i < COUNT(letters); i++)
            flags |= bits >> i & 1 ? letters[i].flag : 0;
        md_format_name(unique, flags, "", name_r);
        if (is_there(cur, name_r))
            return true;
    }
    snprintf(name_r, 256, "%.*s", STR_FMT(unique));
    return is_there(cur, name_r);
}

static bool list_for(int dir, struct str unique, char name_r[256])
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    bool found = false;
    if (!d && copy >= 0)
        close(copy);
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        struct str u;
        uint32_t flags;
        if (md_parse_name(e->d_name, &u, &flags) && str_eq(u, unique)) {
            snprintf(name_r, 256, "%s", e->d_name);
            found = true;
        }
    }
    if (d)
        closedir(d);
    return found;
}

bool md_find(struct maildir *m, struct str folder, struct str unique, const char **sub_r, char name_r[256],
             struct err *err)
{
    size_t slash;
    if (unique.n == 0 || unique.n > 240 || unique.p[0] == '.' || str_find(unique, '/', &slash) ||
        memchr(unique.p, '\0', unique.n))
        return err_set(err, ERR_NO_MESSAGE, "not the name of a message");
    int cur = md_open_dir(m, folder, "cur", err), fresh = cur < 0 ? -1 : md_open_dir(m, folder, "new", err);
    bool found = false;
    /* Two rounds: another program may move it from new to cur between our two looks. */
    for (int round = 0; round < 2 && !found && fresh >= 0; round++) {
        *sub_r = "new";
        snprintf(name_r, 256, "%.*s", STR_FMT(unique));
        found = is_there(fresh, name_r);
        if (!found) {
            *sub_r = "cur";
            found = md_there(cur, unique, name_r) || list_for(cur, unique, name_r);
        }
        if (!found) {
            *sub_r = "new";
            found = list_for(fresh, unique, name_r);
        }
    }
    if (fresh >= 0 && !found)
        err_set(err, ERR_NO_MESSAGE, "the message is not in the folder any more");
    if (cur >= 0)
        close(cur);
    if (fresh >= 0)
        close(fresh);
    return found;
}
