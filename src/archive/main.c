/* archive: see archive.h. */
#include "archive/archive.h"

#include <time.h>
#include <unistd.h>

#define MEMORY_MAX ((uint64_t)1 << 30) /* names of a Maildir of a million mails */

bool archive_send(struct archive *a, const struct msg *m, int fd)
{
    struct err err = ERR_INIT;
    a->ended = a->ended || !chan_send(a->chan, m, fd, &err) || !chan_drain(a->chan, clock_mono_ms() + 600000, &err);
    return !a->ended;
}

int main(int argc, char **argv)
{
    static const char *const whats[] = {"read", "maildir", "mbox"};
    struct archive a = {.last = -1, .path = argc > 2 ? argv[2] : ""};
    struct err err = ERR_INIT;
    char report[200];
    size_t what = 0;
    log_open("archive", LOG_WARN);
    tzset(); /* reads its file now */
    while (argc > 1 && what < COUNT(whats) && strcmp(argv[1], whats[what]) != 0)
        what++;
    bool ok = (argc > 1 && what < COUNT(whats)) || err_set(&err, ERR_USAGE, "archive read|maildir|mbox PATH");
    struct sandbox box = {.role = ROLE_ARCHIVE, .memory_max = MEMORY_MAX};
    bool file = a.path[0] && strcmp(a.path, "-") != 0;
    if (what == 0 && file)
        box.read_paths[0] = a.path;
    if (what == 1 && file)
        box.write_paths[0] = a.path;
    ok = ok && sandbox_enter(&box, report, &err);
    if (ok) {
        a.chan = chan_new(IPC_CHANNEL_FD, ROLE_ARCHIVE, ROLE_UI);
        ok = what == 0 ? archive_read(&a, &err) : archive_write(&a, what == 1, &err);
    }
    if (!ok)
        log_msg(LOG_ERROR, "%s", err.text);
    if (a.last >= 0)
        close(a.last);
    chan_free(&a.chan);
    return ok ? 0 : err_exit(err.kind);
}
