#include "client/script.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int script_fd(struct str text, struct err *err)
{
    int fd = memfd_create("script", MFD_CLOEXEC);
    if (fd < 0) {
        err_sys(err, err_from_errno(errno), errno, "no room for a script");
        return -1;
    }
    if (!fs_write_all(fd, text, err) || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool script_text(int fd, struct buf *out, struct err *err)
{
    buf_reset(out);
    return lseek(fd, 0, SEEK_SET) == 0 ? fs_read_fd(fd, SCRIPT_TEXT_MAX, out, err)
                                       : err_sys(err, ERR_IO, errno, "a script cannot be read");
}

bool script_next(struct str *rest, char *kind_r, struct str *value_r)
{
    struct str line;
    while (str_split(rest, '\n', &line)) {
        if (line.n > 2 && line.p[1] == ' ' && strchr("+-=", line.p[0])) {
            *kind_r = line.p[0];
            *value_r = str_sub(line, 2, line.n);
            return true;
        }
    }
    return false;
}
