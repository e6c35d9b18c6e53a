/* ipc: the typed channel between the programs, starting them, and their sandboxes.
 *
 * A channel is one end of an AF_UNIX SOCK_SEQPACKET socket: a packet is a message, with at most one fd beside it. The
 * messages are rows of messages.def. Fields from a peer are bounded by their row and otherwise hostile: the peer may be
 * taken over. Layout of a packet: u32 kind, then the fields in order, integers little-endian, strings as u32 length +
 * bytes; nothing may follow. */
#ifndef TUIMAIL_IPC_H
#define TUIMAIL_IPC_H

#include "base/base.h"

#define IPC_VERSION 1
#define IPC_PACKET_MAX 65536
#define IPC_CHANNEL_FD 3 /* where a started program finds its channel */

enum role {
    ROLE_UI,
    ROLE_STORE,
    ROLE_SPAWN,
    ROLE_FETCH,
    ROLE_INDEX,
    ROLE_SEND,
    ROLE_VIEW,
    ROLE_SEARCH,
    ROLE_OAUTH,
    ROLE_ARCHIVE,
    ROLE_POST,
    ROLE_SIEVE,
    ROLE_OWN,
    ROLE_COUNT
};
enum sieve_verb {
    SIEVE_LIST,
    SIEVE_GET,
    SIEVE_PUT,
    SIEVE_CHECK,
    SIEVE_ACTIVATE, /* name "": none */
    SIEVE_DELETE,
    SIEVE_RENAME,
    SIEVE_VERB_COUNT
};
enum account_state {
    ACCOUNT_OFFLINE,
    ACCOUNT_CONNECTING,
    ACCOUNT_ONLINE,
    ACCOUNT_FAILED /* waits for a change */,
    ACCOUNT_WAITING /* tries again */,
    ACCOUNT_WANTS_SECRET
};
enum outbox_state {
    OUTBOX_HELD,
    OUTBOX_QUEUED,
    OUTBOX_SENDING,
    OUTBOX_SENT,
    OUTBOX_REFUSED,
    OUTBOX_UNKNOWN,
    OUTBOX_FILED,
    OUTBOX_CANCELED
};
enum outbox_act { OUTBOX_ACT_SEND_NOW, OUTBOX_ACT_CANCEL };
enum intent_kind {
    INTENT_FLAGS = 1 /* set `flags`, clear those in arg's u32 */,
    INTENT_TAGS,
    INTENT_MOVE,
    INTENT_COPY,
    INTENT_ARCHIVE,
    INTENT_TRASH,
    INTENT_SPAM,
    INTENT_PURGE,
    INTENT_BOX_CREATE,
    INTENT_BOX_RENAME,
    INTENT_BOX_DELETE,
    INTENT_APPEND,
    INTENT_MARK_ALL_READ,
    INTENT_HAM /* out of Spam into INBOX */,
    INTENT_BOX_SUBSCRIBE,
    INTENT_BOX_UNSUBSCRIBE,
    INTENT_RULES /* what rules do to a message, as one: flags, tags, a move; made by the store alone */,
    INTENT_KIND_COUNT
};
static inline bool intent_on_box(enum intent_kind k)
{
    return (k >= INTENT_BOX_CREATE && k <= INTENT_BOX_DELETE) || k == INTENT_BOX_SUBSCRIBE ||
           k == INTENT_BOX_UNSUBSCRIBE;
}

enum box_op { BOX_CREATE, BOX_RENAME, BOX_DELETE, BOX_SUBSCRIBE, BOX_UNSUBSCRIBE };
/* Of a row: all; what a list shows at first; that, and to whom (sent mail); all, and the first words of the text. */
enum row_fields { ROWS_WHOLE, ROWS_FIRST, ROWS_FIRST_TO, ROWS_NEWS };
#define INDEX_GONE "\\gone" /* INDEX_TAGS: no tag begins so */
enum settle_index { SETTLE_NOTHING, SETTLE_ALL, SETTLE_TAGS /* headers and tags, texts come later */ };
enum reindex { REINDEX_REBUILD, REINDEX_HOLD, REINDEX_GO_ON };
enum search_order { SEARCH_NEWEST, SEARCH_OLDEST, SEARCH_RELEVANCE };
enum query_count { COUNT_NONE, COUNT_MESSAGES, COUNT_THREADS, COUNT_FILES };
#define QUERY_INBOXES UINT64_MAX /* in place of a mailbox: all inboxes */
enum oauth_what { OAUTH_REFRESH_TOKEN, OAUTH_CLIENT_SECRET, OAUTH_ACCESS_TOKEN, OAUTH_PASTED };
enum view_flags { VIEW_ALL_HEADERS = 1, VIEW_PREFER_HTML = 2, VIEW_RAW = 4, VIEW_STRUCTURE = 8 };
enum body_attachments { BODY_ATTACHMENTS_UNKNOWN, BODY_NO_ATTACHMENTS, BODY_HAS_ATTACHMENTS };
enum build_flags { BUILD_KEEP_BCC = 1 /* a draft, not a mail to send */, BUILD_NO_FLOWED = 2 };

/* ---- Messages ------------------------------------------------------------------------------------------- */
enum msg_kind {
    MSG_NONE,
#define MSG(name, senders, fd, fields) MSG_##name,
#include "ipc/messages.def"
    MSG_COUNT
};
#define U8(f) uint8_t f;
#define U32(f) uint32_t f;
#define U64(f) uint64_t f;
#define I64(f) int64_t f;
#define BYTES(f, max) struct str f;
#define MSG(name, senders, fd, fields)                                                                                 \
    struct m_##name {                                                                                                  \
        fields                                                                                                         \
    };
#include "ipc/messages.def"

/* A decoded message. Strings borrow from the channel's receive buffer and are valid until the next chan_recv on
 * it. fd is -1 or belongs to the receiver, who closes it. */
struct msg {
    enum msg_kind kind;
    int fd;
    union {
#define MSG(name, senders, fd, fields) struct m_##name name;
#include "ipc/messages.def"
    } u;
};
const char *msg_name(enum msg_kind);                 /* its name in messages.def */
bool msg_permitted(enum msg_kind, enum role sender); /* is the role one of its senders? */
bool msg_carries_fd(enum msg_kind);
/* Appends the packet to `out` (max >= IPC_PACKET_MAX). A string over its row's maximum is cut at it, never refused: the
 * caller's value is ours, and a cut subject is better than a lost row. */
bool msg_encode(const struct msg *, struct buf *out);
/* `packet` is hostile. Strings borrow from it. False with ERR_CHANNEL where it is not exactly one message. */
bool msg_decode(struct str packet, struct msg *msg_r, struct err *);
/* One line for the debug log: name and fields; strings cut and cleaned; secrets are never fields. */
void msg_format(const struct msg *, struct buf *out);

/* Packed lists inside a BYTES field; what is read is hostile, and bytes that are too few for an entry count as none.
 * Ids: 8 bytes each. Ranges: pairs of u32 lo, hi. Adding is false where the buffer is full; an `i` past the end gives
 * 0. */
bool ipc_ids_add(struct buf *, uint64_t id);
size_t ipc_ids_count(struct str);
uint64_t ipc_ids_at(struct str, size_t i);
#define POP_HEAD_ONLY UINT32_C(0x80000000)                   /* added to both numbers of a pair in STEP_POP_RETR */
bool ipc_ranges_add(struct buf *, uint32_t lo, uint32_t hi); /* joins with the last range where they touch */
size_t ipc_ranges_count(struct str);
void ipc_ranges_at(struct str, size_t i, uint32_t *lo_r, uint32_t *hi_r);
/* Messages of a POP3 listing: number, size, id (IPC_UIDL_MAX bytes at most, the rest is cut). */
#define IPC_UIDL_MAX 1024
bool ipc_mails_add(struct buf *, uint32_t number, uint64_t size, struct str uidl);
/* Takes the first of *rest; false where there is none, or what is there is none: then *rest is not empty. */
bool ipc_mails_next(struct str *rest, uint32_t *number_r, uint64_t *size_r, struct str *uidl_r);

/* ---- Channel --------------------------------------------------------------------------------------------- */
struct chan;
/* Owns fd. `peer` is the role at the other end: what it may send is checked on every packet. */
struct chan *chan_new(int fd, enum role self, enum role peer);
void chan_free(struct chan **);
int chan_fd(const struct chan *);
enum role chan_peer(const struct chan *);
/* Queues and sends what the socket takes; never blocks. With a full socket it keeps up to 8 MiB queued, then false with
 * ERR_CHANNEL (the peer is stuck). `fd` (or -1) is duplicated. Fill `m->u.NAME` and m->kind; see SEND below. A message
 * that `self` may not send, or with an fd where its row has none (or the reverse), is a bug() of ours. */
bool chan_send(struct chan *, const struct msg *m, int fd, struct err *);
bool chan_wants_write(const struct chan *);
bool chan_flush(struct chan *, struct err *);                      /* on POLLOUT; never blocks */
bool chan_drain(struct chan *, int64_t deadline_ms, struct err *); /* blocks until all is sent or the deadline */
size_t chan_queued(const struct chan *);                           /* bytes not yet taken by the socket */
/* 1: a message; 0: none now; -1: peer gone (err->kind ERR_NONE) or bad bytes (ERR_CHANNEL): close it. Never blocks. */
int chan_recv(struct chan *, struct msg *msg_r, struct err *);
/* Waits for a message until the deadline (-1: for ever): as chan_recv, 0 at the deadline. */
int chan_wait(struct chan *, int64_t deadline_ms, struct msg *msg_r, struct err *);
/* SEND(chan, -1, err, NOTE, .level = 1, .text = str_z("..")): builds and sends in one expression. */
#define SEND(c, fd_, err_, NAME, ...)                                                                                  \
    chan_send((c), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}}, (fd_), (err_))

/* ---- Programs --------------------------------------------------------------------------------------------- */
/* "store", "fetch" ...; also the name of the program file in libexec. */
const char *role_name(enum role);
bool role_from_name(const char *, enum role *role_r);
/* Directory of the role programs: $TUIMAIL_LIBEXEC; else the one this program is in, where that holds them; else
 * `libexec` beside an uninstalled build's binary (it holds a file `.build-tree`); else ../libexec/tuimail from the
 * binary where that exists; else the configured one. Caller owns. */
char *role_dir(void);
/* Each program that is started from now on has this variable (one name in all). */
#define ROLE_ENV_MAX 100000
void role_env(const char *name, struct str value);
/* Starts `role` with `argv` (without argv[0], NULL-terminated), its channel on fd 3, stdin from /dev/null, stdout and
 * stderr on `log_fd` (or this process's stderr for -1), no other fd, signals at their defaults, umask 077, a session of
 * its own and few variables of the environment; it gets SIGTERM when we end (spawn does not). Blocks until the exec.
 * *chan_fd_r is our end; the caller waits for *pid_r. */
bool role_start(enum role, const char *const *argv, int log_fd, pid_t *pid_r, int *chan_fd_r, struct err *);

/* ---- The store of a root ------------------------------------------------------------------------------------ */
/* RUNTIME_DIR/tuimail/HEX/store, where the store of this root listens, whether it runs or not; makes the directory
 * (0700). Caller owns; NULL with *err. */
char *ipc_socket_path(const char *root, struct err *);
/* Exit statuses of spawn before its log is open; its complaint is then a line on stderr. */
enum {
    SPAWN_BUSY = 99,    /* another spawn of this machine holds the root's lock: connect to the socket */
    SPAWN_FAILED = 100, /* plus an enum err_kind: it could not start */
};

/* ---- Sandbox ----------------------------------------------------------------------------------------------- */
/* What a program may still do after sandbox_enter. Paths that do not exist are skipped. */
struct sandbox {
    enum role role;
    const char *read_paths[16]; /* files or directories, recursively; NULL-terminated */
    const char *write_paths[8]; /* read, create, rename within, link, unlink */
    uint16_t tcp_ports[8]; /* connect allowed to these, 0-terminated (Landlock ABI >= 4); the seccomp profile of the
                              role decides whether sockets exist */
    uint64_t memory_max;   /* RLIMIT_AS; 0: none */
    uint32_t cpu_seconds;  /* RLIMIT_CPU; 0: none */
};
/* Landlock + seccomp of the role + rlimits (RLIMIT_CORE 0 always) + PR_SET_NO_NEW_PRIVS + PR_SET_DUMPABLE 0. Call
 * before the first hostile byte; open logs and databases' directories may stay open. What the libraries load lazily is
 * granted by the role's profile: converters and time zones to all; resolver files, CA store and plugins to fetch, send,
 * sieve, oauth and post. A resolver file that is later replaced by renaming is no longer readable: a fetch whose
 * lookups fail should end, and be started again. A refused system call fails with EPERM; execve is refused to all,
 * AF_UNIX sockets too (but not socketpair). spawn gets RLIMIT_CORE and PR_SET_DUMPABLE only and ui does not call this:
 * what they start would inherit the rules, and must not. Under Landlock ABI 1 a program that writes files has no file
 * rules, as that ABI refuses every rename between directories. `report_r` gets a line such as "landlock 7, seccomp" for
 * READY and doctor. False only where the kernel has the feature and refuses it (ERR_SANDBOX); a system without it
 * reports "none". */
bool sandbox_enter(const struct sandbox *, char report_r[200], struct err *);

#endif
