/* spawn: the parent of `store` and of every program that store asks for (not of `tuimail` and what that starts by
 * itself: view, search, archive, post, a login's oauth). Parts of the program.
 *
 * Started by the first client as `spawn [-c FILE] --store ROOT` with the client's connection on fd 3, which it never
 * reads: it hands it to `store` (CLIENT_FD) with the socket on which later clients connect (LISTEN_FD), and then speaks
 * with `store` alone. It holds ROOT/lock for as long as any of its programs runs. It starts what store asks for
 * and, for access tokens, oauth; restarts by itself store alone; and ends with it. */
#ifndef TUIMAIL_SPAWN_INTERNAL_H
#define TUIMAIL_SPAWN_INTERNAL_H

#include "conf/conf.h"
#include "ipc/ipc.h"

#define SPAWN_LOG_MAX (1u << 20) /* bytes of ROOT/log/ROLE.log before it becomes ROLE.log.1 */

/* ---- lock.c ---- */
/* Takes ROOT/lock and writes this machine and process into it. 0: ours, *fd_r; SPAWN_BUSY; or SPAWN_FAILED + kind with
 * *err (another host's lock: ERR_STORE_LOCKED). flock alone is not trusted between machines: what another one has
 * written counts until it is removed. */
int lock_take(const char *root, int *fd_r, struct err *);
void lock_drop(int fd);
/* Binds and listens at `path` (replacing a dead one: call under the lock); -1 with *err. */
int listen_at(const char *path, struct err *);
/* ROOT/log/NAME.log for appending, 0600; -1 where it cannot be had (the program then logs to spawn's own). */
int log_file(const char *root, const char *name);
/* "exit status 3", "signal SEGV". */
void status_word(int status, char out[64]);

/* ---- children.c ---- */
struct child {
    struct child *next;
    pid_t pid;               /* 0: waits for its delay to end */
    enum role role;          /* ROLE_COUNT: a command */
    struct command *command; /* NULL: a program of ours */
    char account[65];
    uint64_t tag;
    bool searches;  /* a second fetch program of the account */
    unsigned store; /* which run of store asked for it: a later one is not told */
    int64_t started;
    struct watch *timer; /* delayed start, time limit, or the kill after a TERM */
    struct spawn *spawn;
};
/* Bad ends of one program and account: the next start waits, longer each time. */
struct penalty {
    enum role role;
    char account[65];
    int64_t not_before, delay;
};
struct spawn {
    struct loop *loop;
    struct conf *conf;
    struct buf settings; /* options set since the file was read */
    char *config, *root, *socket_path;
    int lock_fd, listen_fd;
    struct chan *store;
    struct watch *store_watch, *store_kill, *restart;
    pid_t store_pid;
    int64_t store_started;
    unsigned store_runs, store_crashes;
    bool ending;
    int exit_status;
    struct child *children;
    size_t nchildren;
    struct penalty penalties[64];
    size_t npenalties;
    struct token *tokens; /* one for each account that has asked; token.c */
};
#define CHILDREN_MAX 64
#define COMMAND_MS 60000 /* for a command that prints a secret */
#define TERM_MS 2000     /* between SIGTERM and SIGKILL */

/* START: now, or when its delay after bad ends is over; then STARTED, or EXITED where it is refused or fails. */
void child_start(struct spawn *, enum role, struct str account, uint64_t tag, bool searches);
/* STOP: SIGTERM, SIGKILL after TERM_MS; one that waits for its delay is dropped. EXITED follows. */
void child_stop(struct spawn *, enum role, struct str account, uint64_t tag);
struct child *child_add(struct spawn *, enum role, struct str account, uint64_t tag); /* into the list, not started */
void child_kill(struct child *, int signo); /* a command with its whole process group */
void child_term(struct child *);            /* SIGTERM, SIGKILL after TERM_MS */
bool account_known(struct spawn *, struct str account);
/* True when the pid was one of ours; tells store. */
bool child_ended(struct spawn *, pid_t, int status);
/* SIGTERM to all, SIGKILL after TERM_MS; those still waiting are dropped. */
void children_end(struct spawn *);
/* ---- command.c: the user's commands ---- */
/* What is wanted, and for whom in store. */
struct secret_order {
    char account[65];
    enum need need;
    uint8_t service;
    uint64_t tag;   /* 0: nobody in store */
    unsigned store; /* its run */
};
/* As secret_source and secret_keep; what they start is watched, and its failure told. */
bool command_open(struct spawn *, const struct secret_order *, int *fd_r, struct err *);
bool command_keep(struct spawn *, const char *account, const struct secret *token, struct err *);
/* SECRET_PIPE with fd (stays the caller's), or with -1 SECRET_NONE and why. */
void secret_answer(struct spawn *, const struct secret_order *, int fd, const struct err *why);
void secret_get(struct spawn *, const struct m_SECRET_GET *);
/* Its end: tells store when it failed, and only then lets the reader of its output see the end. */
void command_ended(struct child *, int status, const char *word);
void command_free(struct command **); /* NULL-safe */

/* ---- token.c: access tokens by OAuth, kept in memory until they expire ---- */
/* Answers with secret_answer, now or when libexec/oauth has refreshed the token. refused: the kept one is of no use. */
void token_get(struct spawn *, const struct secret_order *, bool refused);
void token_forget(struct spawn *, const char *account); /* the next is a new one */
void token_program_ended(struct child *, const char *word);
void tokens_end(struct spawn *); /* wipes all */

/* ---- children.c and main.c ---- */
/* Starts a program with the log of its role. */
bool spawn_role(struct spawn *, enum role, const char *account, bool searches, pid_t *pid_r, int *chan_fd_r,
                struct err *);
void spawn_tell(struct spawn *, bool sent, const struct err *);

#endif
