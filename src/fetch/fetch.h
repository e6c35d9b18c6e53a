/* fetch: the program that owns one account's connections and files: it turns the store's steps into protocol (IMAP,
 * POP3, Maildir).
 *
 * One step runs at a time, as straight-line blocking code in a handler; the loop in step.c does everything around it:
 * it receives steps, queues them, answers DONE, serves the channel during waits, ends a step on STEP_CANCEL and
 * announces a lost line. What comes over the channel is trusted as far as its message's bounds; what comes from a
 * server or a file is hostile. fetch keeps nothing between two starts, and nothing of a mailbox that the store does not
 * say again. */
#ifndef TUIMAIL_FETCH_FETCH_H
#define TUIMAIL_FETCH_FETCH_H

#include "base/base.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "net/stream.h"

struct fetch;

/* Runs one step to its end. `m` and its strings live until the return; m->fd is closed by the loop afterwards (set it
 * to -1 to keep it: handlers get a message of their own). True: the loop sends DONE with ERR_NONE. False with *err set:
 * DONE with that kind and text. The handler sends every other answer itself (FETCH_SEND) before it returns. A handler
 * whose connection is no longer usable calls fetch_lost() before it returns false. */
typedef bool step_fn(struct fetch *, struct msg *m, struct err *);
/* Puts the step's commands on the wire ahead of its turn, without waiting, so that steps in a row cost one round trip.
 * Called again as steps before it end, until it says true; what it sent is found again by `step` when its turn comes.
 * Optional (NULL), and only IMAP has use for it. */
typedef bool step_ahead_fn(struct fetch *, uint32_t step, const struct msg *m);
struct step_handler {
    enum msg_kind kind; /* MSG_NONE ends a table */
    step_fn *run;
    step_ahead_fn *ahead;
};
/* Tables: imap.c, pop.c (POP3: STEP_CONNECT, STEP_CLOSE and STEP_POP_*), local.c (STEP_MAILDIR_*; for POP3 and
 * Maildir accounts, searched after the protocol's own), file.c (cached bodies). */
extern const struct step_handler imap_steps[], pop_steps[], local_steps[], file_steps[];
/* STEP_FILE_OPEN (file.c): the loop runs it as it comes, also while another step runs. */
bool fetch_file_open(struct fetch *, const struct m_STEP_FILE_OPEN *, struct err *);
/* STEP_FILE_LINK, likewise. ERR_NO_MESSAGE: the file is not there; another error: the file system has no links. */
bool fetch_file_link(struct fetch *, const struct m_STEP_FILE_LINK *, struct err *);
/* At the start of an IMAP account's program, the only one in its directory: removes what one before it, that was
 * killed, had half written. */
void fetch_files_sweep(struct fetch *);
/* "BOXKEY/UID" and nothing else. */
bool fetch_body_path(struct str path);
/* Such a file, opened for reading; no link is followed. -1 with *err: ERR_NO_MESSAGE where it is gone. */
int fetch_body_open(struct fetch *, struct str path, struct err *);

/* What a protocol does besides its steps. All members may be NULL. */
struct fetch_protocol {
    enum proto proto;
    const struct step_handler *steps;
    /* Nothing to do: waits, on the line where there is one (IDLE, keepalive) until `wake` is seen or `until_ms`;
     * returns when fetch_pending(). NULL: fetch_idle. A line found dead is given to fetch_lost. */
    void (*idle)(struct fetch *, int64_t until_ms);
    /* The loop is about to close f->stream (lost or end of the program): free what belongs to the session. Never
     * blocks. */
    void (*closed)(struct fetch *);
    /* Inside fetch_wake: may steps that wait put their commands on the wire now? NULL: never. */
    bool (*may_send)(struct fetch *);
    /* Called from every wait. */
    void (*wake)(struct fetch *);
    /* A slice, a few milliseconds, of what goes on beside the steps: while the line is waited for, and between two
     * steps. True: there is more. */
    bool (*rest)(struct fetch *);
};
extern const struct fetch_protocol imap_protocol, imap_search_protocol, pop_protocol, local_protocol;

struct step;                  /* a queued step; step.c */
#define FETCH_QUEUE_MAX 65536 /* waiting steps; past it the channel is not read until there is room */
struct fetch {
    const struct conf *conf;
    const struct account *account;
    const struct fetch_protocol *protocol;
    struct chan *chan;
    char *account_dir;     /* ROOT/mail/ACCOUNT, made 0700 at start; the only directory this program may write */
    int account_fd;        /* the same, O_DIRECTORY */
    struct stream *stream; /* the connection of the present session or NULL; made by the protocol's STEP_CONNECT */
    struct stream_options
        stream_options;   /* filled with deadlines, CA file, pin and the wake of this program: pass it to stream_open */
    struct err unfit;     /* why no line can be opened: a file of TLS that cannot be read; kind ERR_NONE: none */
    struct secret secret; /* of the login; fetch_open() fills it, where the login needs one */
    void *session;        /* of the protocol; outlives a connection */
    struct maildir *maildir;      /* of a POP3 or Maildir account: fetch_maildir() in local.c opens it */
    const char *maildir_at;       /* what leads to it from account_dir: "" or "maildir/" */
    struct scan *scan;            /* of local.c: the folder that is being looked at */
    struct adds *adds;            /* of local.c: mails of an import that become durable together */
    bool searching;               /* another line of the account searches */
    int wake_fd;                  /* readable when the channel is, or the side line; -1 none */
    void (*side)(struct fetch *); /* takes what came on a side line, or NULL; called from every wait */
    void *side_arg;
    /* The loop's own */
    struct step *queue, *current;
    unsigned queued;
    bool canceled; /* the running step is to end with ERR_CANCELED */
    bool gentle; /* set by a handler: a cancel does not break off the wait, the answer under way is read (within 2 s) to
                    save the line */
    bool line_busy; /* set by a POP3 handler: answers are on their way, so no step that needs the line may run inside */
    int64_t cancel_by; /* with gentle: when the wait ends all the same; 0 none */
    int64_t close_by;  /* the line is given up and STEP_CLOSE is waiting: when every wait on it ends; 0 none */
    bool ended;        /* the store is gone: leave */
    bool lost;
    int given; /* the fd that SECRET brought, until it is taken; -1 */
    uint8_t given_need;
    struct err lost_err;
    unsigned depth; /* steps running one inside the other (fetch_yield) */
    int64_t progress_ms;
};

/* ---- For handlers ------------------------------------------------------------------------------- */
/* Sends a message to the store; waits until the socket takes it, so that a slow store slows the server down.
 * False with ERR_CHANNEL: the store is gone or stuck; return false from the handler. FETCH_SEND(f, err, ROW, .box = 1,
 * ...). fd (or -1) is duplicated. */
bool fetch_send(struct fetch *, const struct msg *, int fd, struct err *);
#define FETCH_SEND_FD(f, fd_, err_, NAME, ...)                                                                         \
    fetch_send((f), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}}, (fd_),      \
               (err_))
#define FETCH_SEND(f, err_, NAME, ...) FETCH_SEND_FD(f, -1, err_, NAME, __VA_ARGS__)
/* Number of the step that runs; 0 between steps. */
uint32_t fetch_step(const struct fetch *);
/* STEP_PROGRESS of the running step, at most four a second. */
void fetch_progress(struct fetch *, uint64_t done, uint64_t total);
/* Lets steps that wait put their commands on the wire now (their `ahead`), behind what the running step has just sent.
 */
void fetch_ahead(struct fetch *);
/* The same for the next of them alone, where it is of that kind: what it asks becomes part of the command that the
 * running step is sending. False: it stays in the queue as it is. */
bool fetch_join(struct fetch *, enum msg_kind);
/* Between two slices of a long step: receives what is there and runs urgent steps at once (inside this call; a step
 * that runs inside another never yields again). They may leave another mailbox selected. False with ERR_CANCELED (the
 * step was canceled: return false) or ERR_CHANNEL. */
bool fetch_yield(struct fetch *, struct err *);
/* The running step takes long: from here on what the user looks at next and what he does overtake it. */
void fetch_lasts(struct fetch *);
/* The running step is not done when its handler returns: fetch_ends() says so, sooner or later. */
void fetch_goes_on(struct fetch *);
void fetch_ends(struct fetch *, uint32_t step, const struct err *);
/* A slice of what goes on beside the steps (the protocol's rest); true: there is more. on_rest of f->stream_options. */
bool fetch_rest(void *fetch);
/* Does a step wait that fetch_yield would run? */
bool fetch_overtaken(const struct fetch *);
/* Receives what the channel holds, without waiting: new steps are queued, a cancel of a waiting step is answered, one
 * of the running step sets f->canceled. True when the running wait must end: canceled or ended. It is the on_wake of
 * f->stream_options. */
bool fetch_wake(void *fetch);
/* Waits on the channel alone, a while at most. */
void fetch_idle(struct fetch *, int64_t until_ms);
/* Anything to do: steps queued, or the end? */
bool fetch_pending(const struct fetch *);
/* Opens f->stream by the account's way (net/line.h) and has f->secret ready for the login. ERR_SECRET, ERR_CANCELED,
 * ERR_CHANNEL, the errors of stream_open. */
bool fetch_open(struct fetch *, struct err *);
/* The same for a further line beside f->stream, with waits of its own. */
bool fetch_open_also(struct fetch *, const struct stream_options *, struct stream **stream_r, struct err *);
bool fetch_has_tunnel(const struct fetch *);
/* It took place: an access token is forgotten, because the next line needs a valid one; a password is kept. */
void fetch_logged_in(struct fetch *);
/* A login on it failed with *err: closes f->stream. True: the access token was refused and a fresh one is here: open
 * and log in again. False: *err is for the user, and a secret that was refused is forgotten; the next fetch_open asks
 * again. `last`: this was the second try. */
bool fetch_login_failed(struct fetch *, bool last, struct err *);
/* Is the account logged in by the line itself (a tunnel), with nothing to prove? */
bool fetch_has_login(const struct fetch *);
/* The line is unusable because of *err: the loop closes it after the DONE of the steps concerned and sends LOST with
 * the same kind. Returns false. */
bool fetch_lost(struct fetch *, const struct err *);
struct step_view { /* what `ahead` functions and imap.c may see of the queue */
    uint32_t step;
    bool urgent;
    const struct msg *msg;
};
/* The i-th waiting step in the order they will run; false past the end. Borrowed until the queue changes. */
bool fetch_peek(const struct fetch *, unsigned i, struct step_view *view_r);

/* ---- The loop (step.c) -------------------------------------------------------------------------- */
/* Runs until the store closes the channel. Blocks. */
void fetch_run(struct fetch *);

#endif
