/* spawn: the parent of all programs but `tuimail` itself. What its starter has to know.
 *
 * Started by the first client as `spawn [-c FILE] --store ROOT` with the client's connection on fd 3, which spawn never
 * reads: it hands it to `store` (CLIENT_FD) with the socket on which later clients connect (LISTEN_FD), and then speaks
 * with `store` alone. It holds ROOT/lock for as long as any of its programs runs. Its own complaint before the log is
 * open is a line on stderr, and its exit status says what to do. */
#ifndef TUIMAIL_SPAWN_SPAWN_H
#define TUIMAIL_SPAWN_SPAWN_H

enum {
    SPAWN_BUSY = 99,    /* another spawn of this machine holds the lock: connect to the socket */
    SPAWN_FAILED = 100, /* plus an enum err_kind: could not start, or store said so */
};
#define SPAWN_LOG_MAX (1u << 20) /* bytes of ROOT/log/ROLE.log before it becomes ROLE.log.1 */

#endif
