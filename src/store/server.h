/* The store program: one poll loop that serves clients, drives each account's `fetch`, sends the outbox and feeds the
 * index.
 *
 * Nothing here waits for the network, a parser or a child; calls into db.h may wait for the local disk. A message from
 * a peer is handled inside one database burst of its account and only changes facts; what to do next is decided after
 * the burst (acct_pump), so a decision never sees half of the news and a durable point (db_sync) can always be reached.
 * Peers are numbered, never pointed to, by what outlives a turn. */
#ifndef TUIMAIL_STORE_SERVER_H
#define TUIMAIL_STORE_SERVER_H

#include "base/base.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "store/db.h"

struct server;
struct acct;

/* ---- Peers (server_peer.c) ---------------------------------------------------------------------- */
/* A channel in the loop. Messages come in runs: `begin` before the first of a run, `end` after its last, so that a run
 * is one database burst. `gone` is called once, in the loop, when the peer closed, broke the protocol (err says so) or
 * is stuck; then the peer must be freed. Any callback may free it. */
struct peer;
struct peer_ops {
    void (*begin)(void *arg);                 /* or NULL */
    void (*message)(void *arg, struct msg *); /* owns m->fd */
    void (*end)(void *arg);                   /* or NULL */
    void (*gone)(void *arg, const struct err *);
};
struct peer *peer_new(struct loop *, int fd, enum role, const struct peer_ops *, void *arg);
void peer_free(struct peer **); /* NULL-safe; sets NULL */
/* Never blocks. A peer that cannot take more is reported by `gone` in a later turn. */
void peer_send(struct peer *, const struct msg *, int fd);
size_t peer_queued(const struct peer *);
#define PEER_SEND(p, fd_, NAME, ...)                                                                                   \
    peer_send((p), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}}, (fd_))

/* ---- Server (server.c, server_client.c) --------------------------------------------------------- */
#define CLIENT_MAX 64
struct client {
    struct peer *peer;
    struct server *srv;
    uint64_t id;
    bool greeted, screen;
    bool offline; /* it said that nothing is to be connected */
    uint32_t job; /* its number, where it is at something; 0: none */
    uint64_t job_done, job_total;
    char job_text[201];
};
#define SCREEN_RUNS_MAX 16
/* A command line that a screen was given: for whom. */
struct screen_run {
    uint64_t client, screen;
    uint32_t req, asked; /* the number that the screen has; the client's own */
};
struct indexing;
struct own;
struct rules;
struct server {
    struct loop *loop;
    struct conf *conf;
    char *root, *state_dir, *outbox_dir;
    struct peer *spawn;
    int listen_fd;
    struct watch *listen_watch, *linger, *tick, *sync_timer, *rest, *jump;
    struct client *clients[CLIENT_MAX];
    size_t nclients;
    struct screen_run runs[SCREEN_RUNS_MAX];
    size_t nruns;
    struct acct **accts;
    size_t naccts;
    struct indexing *indexing;
    struct own *own;
    struct rules *rules;
    uint64_t last_id; /* clients and tags */
    int64_t last_mono, last_wall;
    int64_t tick_at, stirred_at; /* monotonic: of the next tick; something happened last */
    int64_t active_at;           /* monotonic: a client asked for something last */
    int64_t ending_since;        /* monotonic; 0 not ending */
    bool had_client, greeted;    /* greeted: by the first client */
    uint64_t conf_stamp;         /* of its files when they were read */
    bool quiet;                  /* accounts are offline because a client that came first said so */
    int exit_status;
};
/* A client comes, and tuimailrc is another one by now. 1: this store ends without a word, and one that reads it is
 * started by the client; 2: it cannot, others are here or something is under way; 0: it is the same. */
int server_conf_changed(struct server *);
void server_conf_taken(struct server *); /* what the files say more by now was told us */
/* Takes `chan_fd` over. Returns the exit status when the work has ended. Blocks (it is the program). */
int server_run(struct conf *, const char *root, int chan_fd);
uint64_t server_id(struct server *);
/* To every client. */
void server_broadcast(struct server *, const struct msg *);
#define BROADCAST(s, NAME, ...)                                                                                        \
    server_broadcast((s), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}})
/* To one, if it is still there. */
void server_answer(struct server *, uint64_t client, const struct msg *, int fd);
#define ANSWER(s, client, fd_, NAME, ...)                                                                              \
    server_answer((s), (client),                                                                                       \
                  &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}}, (fd_))
void server_refuse(struct server *, uint64_t client, uint32_t req, enum err_kind, const char *text);
bool server_has_client(const struct server *, uint64_t client);
struct acct *server_acct(struct server *, struct str name); /* NULL where unknown */
/* Commits reach the disk 50 ms from now at the latest. */
void server_sync_soon(struct server *);
/* All accounts are asked again what to do at `mono_ms` at the latest. */
void server_wake_by(struct server *, int64_t mono_ms);
/* Something happened: when nothing has for a while, memory that it took is given back. */
void server_stir(struct server *);
/* Begins a burst of changes in each account's databases, or ends it. */
void server_bursts(struct server *, bool open);
void server_spawn(struct server *, const struct msg *);
#define SPAWN(s, NAME, ...)                                                                                            \
    server_spawn((s), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}})
/* server_setting.c: a line of tuimailrc that acts from now on. */
void setting_take(struct client *, const struct m_SETTING *);
/* server_client.c: one message of a client. */
void screen_ask(struct client *, const struct m_COMMAND *); /* server_screen.c */
void screen_ran(struct client *, const struct m_RAN *);
void screen_gone(struct client *);
void screen_jobs(struct client *); /* a new one: what others are at */
void screen_job(struct client *, const struct m_JOB *);
void screen_job_stop(struct client *, const struct m_JOB_STOP *);
void client_message(struct client *, struct msg *);
/* An error line cleaned for people: `raw` may be a server's words. Static buffer, valid until the next call. */
const char *clean_line(struct str raw);

/* ---- Index (indexing.c) ------------------------------------------------------------------------- */
struct indexing *indexing_new(struct server *);
void indexing_free(struct indexing **);
void indexing_pump(struct indexing *); /* rows may wait: starts the program when there is work */
void indexing_started(struct indexing *, uint64_t tag, int fd);
bool indexing_exited(struct indexing *, uint64_t tag, uint32_t status, struct str text); /* false: not ours */
bool indexing_busy(const struct indexing *);
void indexing_do(struct indexing *, enum reindex);
/* Does the index give this tag to messages by their account or mailbox? Those are nobody's to change. */
bool indexing_gives(const struct server *, struct str tag);

/* ---- The user's own notmuch database (own.c) ---------------------------------------------------- */
struct own *own_new(struct server *);
void own_free(struct own **);
bool own_busy(const struct own *); /* a batch or a look is under way, or about to be */
void own_pump(struct own *);       /* something may wait for it */
void own_started(struct own *, uint64_t tag, int fd);
void own_exited(struct own *, uint64_t tag, uint32_t status, struct str text);

/* ---- Rules (rules.c) ---------------------------------------------------------------------------- */
struct rules *rules_new(struct server *);
void rules_free(struct rules **);
/* What waits for them is looked at; outside a burst. rules_look: the index has had more of it. rules_stuck: it cannot
 * be used, which is said once where new mail waits. */
void rules_pump(struct rules *);
struct ruled;
void ruled_fini(struct ruled *);
void rules_look(struct rules *);
void rules_stuck(struct rules *, const char *why);
void rules_ask(struct rules *, struct acct *, uint64_t client, const struct m_RULES_RUN *);
void rules_do(struct acct *, uint64_t client, const struct m_RULES_DO *);
/* There will be one more, or there is now: what is under way is begun anew, for it knows the rules by their places. */
void rules_change(struct rules *);
void rules_changed(struct rules *);
void rules_box_made(struct rules *);   /* what is broken for want of a mailbox may not be any more */
bool rules_busy(const struct rules *); /* mail waits that they could look at now, or soon */
void rules_started(struct rules *, uint64_t tag, int fd);
bool rules_exited(struct rules *, uint64_t tag, struct str text); /* false: not ours */

#endif
