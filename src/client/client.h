/* client: a program's way to the store: find it, start it where it does not run, come back when it was restarted.
 *
 * The first client starts `spawn`, which starts `store`; later ones connect to the store's socket below the runtime
 * directory. Used by `tuimail` with and without a screen. Blocks for at most CLIENT_START_MS unless said otherwise. */
#ifndef TUIMAIL_CLIENT_H
#define TUIMAIL_CLIENT_H

#include "ipc/ipc.h"

#define CLIENT_START_MS 15000 /* for the store to come up and say WELCOME */

struct client_args {
    const char *config;  /* the tuimailrc in use, absolute, or "" where there is none */
    const char *root;    /* conf_root()'s answer, absolute */
    bool offline;        /* where the store starts, nothing is connected before SET_OFFLINE says so */
    const char *program; /* who we are, for the log: "ui", "fetch", "cmd" ... */
    bool aside;          /* nothing needs to be connected for this one; for others it may */
};
/* Owns `chan`; the strings are copies. schema, root: as WELCOME told them. */
struct client {
    struct chan *chan; /* NULL while there is no connection */
    uint32_t schema;
    char *config, *root, *program;
    bool offline, aside; /* of the next connection's HELLO */
    pid_t spawn;         /* started by us, to be reaped; 0: none */
    char *log;           /* directory of the programs' logs, named in errors */
};

/* Connects (starting spawn when no socket answers) and shakes hands. NULL with *err: ERR_STORE_LOCKED with the other
 * host's name, ERR_STORE_NEWER and whatever store said before it went, ERR_CHANNEL on another version, ERR_TIMEOUT. */
struct client *client_connect(const struct client_args *, struct err *);
/* Does a store of this root run now? Never starts one. */
bool client_running(const struct client_args *);
/* After the channel ended (chan_recv -1): drops it and connects again, as client_connect. Requests that had no answer
 * are the caller's to send again; nothing durable is lost, because an intent is answered only once it is. */
bool client_reconnect(struct client *, struct err *);
void client_close(struct client **); /* NULL-safe; sets NULL */

/* Waits for a message of `kind` whose `req` field (its first, for the kinds that have one) is `req`, or REFUSED with
 * it, which becomes *err. Other messages go to `other` (or are dropped, their fds closed). 1: it is in *msg_r; 0: the
 * deadline; -1: refused or the channel ended (ERR_CHANNEL). Strings live until the next receive. */
typedef void client_other_fn(void *arg, struct msg *);
int client_wait(struct client *, enum msg_kind kind, uint32_t req, int64_t deadline_ms, client_other_fn *other,
                void *arg, struct msg *msg_r, struct err *);

#endif
