/* Files that a draft attaches: opened, named, typed. */
#include "ui/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum err_kind attach_err(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR ? ERR_NO_FILE : err_from_errno(errnum);
}

int attach_open(struct str typed, struct err *err)
{
    char *z = mem_dup_n(typed.p, typed.n), *path = path_expand_home(z);
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        err_sys(err, attach_err(errno), errno, "attachment %s", path);
    else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        err_set(err, ERR_IO, "attachment %s is not a regular file", path);
        close(fd);
        fd = -1;
    }
    free(z);
    free(path);
    return fd;
}

struct str attach_name(struct str path)
{
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '/')
            return str_sub(path, i, path.n);
    return path;
}

static const struct {
    const char *suffix, *type;
} types[] = {{".txt", "text/plain"},
             {".csv", "text/csv"},
             {".html", "text/html"},
             {".pdf", "application/pdf"},
             {".png", "image/png"},
             {".jpg", "image/jpeg"},
             {".jpeg", "image/jpeg"},
             {".gif", "image/gif"},
             {".svg", "image/svg+xml"},
             {".zip", "application/zip"},
             {".gz", "application/gzip"},
             {".patch", "text/x-patch"},
             {".diff", "text/x-patch"},
             {".ics", "text/calendar"},
             {".vcf", "text/vcard"},
             {".eml", "message/rfc822"},
             {".mp3", "audio/mpeg"},
             {".mp4", "video/mp4"},
             {".json", "application/json"},
             {".webp", "image/webp"},
             {".asc", "application/pgp-signature"},
             {".asc", "application/pgp-keys"},
             {".p7s", "application/pkcs7-signature"},
             {".bin", "application/octet-stream"}};

const char *attach_type(struct str name)
{
    for (size_t i = 0; i < COUNT(types); i++) {
        size_t n = strlen(types[i].suffix);
        if (name.n > n && str_case_eqz(str_sub(name, name.n - n, name.n), types[i].suffix))
            return types[i].type;
    }
    return "application/octet-stream";
}

const char *attach_suffix(struct str type)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (str_case_eqz(type, types[i].type))
            return types[i].suffix;
    return "";
}
