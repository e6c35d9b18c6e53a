/* Does another program write a database? libnotmuch would wait for that without end, and deaf. Xapian's lock is that of
 * an open file description where the system has those. */
#include "index/index.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define LOOK_MS 100
#define SAY_MS 3000

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

bool index_wait_unlocked(const char *dir, void (*say)(void *arg), void *arg)
{
    int64_t since = clock_mono_ms();
    struct pollfd end = {.fd = IPC_CHANNEL_FD, .events = 0};
    bool said = false;
    while (index_locked(dir)) {
        if (!said && clock_mono_ms() - since > SAY_MS) {
            say(arg);
            said = true;
        }
        if (poll(&end, 1, LOOK_MS) > 0 && (end.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            return false;
    }
    return true;
}
