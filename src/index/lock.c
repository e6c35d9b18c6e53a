/* Does another program write a database? libnotmuch would wait for that without end, and deaf. Xapian's lock is that of
 * an open file description where the system has those. */
#include "index/index.h"

#include <fcntl.h>
#include <unistd.h>

bool index_locked(const char *dir)
{
    char *xapian = path_join(dir, "xapian"), *path = path_join(xapian, "flintlock");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
#ifdef F_OFD_GETLK
    int asks = F_OFD_GETLK;
#else
    int asks = F_GETLK;
#endif
    bool is = fd >= 0 && fcntl(fd, asks, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    free(xapian);
    free(path);
    return is;
}
