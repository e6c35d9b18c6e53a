/* base: memory, bounded buffers, strings by trust, errors, log, secrets, atomic files, records, poll loop, clock.
 *
 * Every program of tuimail links this module and nothing here links anything but libc and utf8proc. Nothing here blocks
 * unless its comment says so. A function that returns bool and takes a struct err fills it when it returns false; a
 * parameter `name_r` is a result. Unless a comment says otherwise, a pointer that a function returns is borrowed from
 * the object it was asked of and is valid until the next call that changes that object. */
#ifndef TUIMAIL_BASE_H
#define TUIMAIL_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/banned.h"

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- Memory -------------------------------------------------------------------------------
 * Sizes of our own making: failure ends the program (there is no useful way on). A size that derives
 * from input is checked against a limit first, and the arithmetic on it goes through size_add and
 * size_mul, which return false instead of wrapping. */
void *mem_new(size_t size);                             /* zeroed; never NULL */
void *mem_array(size_t count, size_t size);             /* zeroed; never NULL */
void *mem_resize(void *old, size_t count, size_t size); /* grown part is not zeroed; never NULL */
char *mem_dup_z(const char *z);                         /* NULL gives NULL */
char *mem_dup_n(const char *p, size_t n);               /* adds a NUL; bytes may hold NULs */
bool size_add(size_t a, size_t b, size_t *sum_r);
bool size_mul(size_t a, size_t b, size_t *product_r);

/* ---- Arena: allocate freely, free once -------------------------------------------------------
 * One for a unit of work (a message parsed, a plan, a frame). Memory is zeroed and aligned for any
 * type. `max` bounds the sum; past it arena_alloc returns NULL, so hostile input meets a limit and
 * not the machine's memory. */
struct arena;
struct arena *arena_new(size_t max);
void arena_free(struct arena **);                         /* NULL-safe; sets NULL */
void arena_reset(struct arena *);                         /* keeps one block for reuse */
void *arena_alloc(struct arena *, size_t size);           /* NULL past max */
char *arena_dup(struct arena *, const char *p, size_t n); /* NUL-terminated; NULL past max */

/* ---- Raw bytes: borrowed ---------------------------------------------------------------------
 * Nothing is known of the contents: any byte, NUL included. */
struct str {
    const char *p;
    size_t n;
};
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_FMT(s) (int)MIN((s).n, (size_t)INT32_MAX), (s).p /* for "%.*s" */
struct str str_z(const char *z);                             /* NULL gives the empty string */
struct str str_sub(struct str, size_t from, size_t to);      /* clamped to the string */
bool str_eq(struct str, struct str);
bool str_eqz(struct str, const char *z);
bool str_case_eq(struct str, struct str); /* ASCII case only */
bool str_case_eqz(struct str, const char *z);
bool str_starts(struct str, struct str prefix);
bool str_case_starts(struct str, struct str prefix);
bool str_find(struct str, char c, size_t *at_r);
struct str str_trim(struct str); /* ASCII blanks, tabs, CR, LF at both ends */
/* Takes the bytes up to `c` off the front of *rest, and `c` with them; the last piece leaves rest->p NULL. False when
 * rest->p is NULL; an empty string that is not NULL has one piece, the empty one. */
bool str_split(struct str *rest, char c, struct str *piece_r);
/* Decimal only, no sign, no blanks; false on overflow or any other byte. */
bool str_u64(struct str, uint64_t *value_r);
bool str_u32(struct str, uint32_t *value_r);
uint64_t str_hash(struct str);                              /* FNV-1a: tables of our own data, not for hostile keys */
uint64_t str_hash_keyed(struct str, const uint8_t key[16]); /* SipHash-2-4: nobody makes two collide without the key */
/* Edit distance (insert, delete, replace, swap of neighbours; ASCII case ignored) of two words, at most `limit` + 1,
 * which is also the answer where one is longer than 48 bytes. For "did you mean". */
unsigned str_distance(struct str, struct str, unsigned limit);

/* ---- A set of strings without NULs -------------------------------------------------------------
 * Begins zeroed. Strings are copied, and may be hostile: the hash is keyed. */
struct str_set {
    char **list; /* in the order in which they came */
    size_t n;
    uint32_t *slots; /* by hash: place in the list, plus one; 0: free */
    size_t nslots;
    uint8_t key[16];
};
#define STR_SET_MAX (1u << 28)
/* False: it was there, or (past STR_SET_MAX) there is no room. place_r (may be NULL): its place in the list. */
bool str_set_add(struct str_set *, struct str, size_t *place_r);
bool str_set_has(const struct str_set *, struct str);
void str_set_free(struct str_set *); /* to be used again */

/* ---- Raw bytes: owned, growing, with a mandatory maximum ---------------------------------------
 * Past `max` an add changes nothing, sets `full` and returns false; `full` is sticky, so a run of adds
 * is checked once at its end. buf.p is always NUL-terminated (the NUL is not counted) or NULL. */
struct buf {
    char *p;
    size_t n, cap, max;
    bool full;
};
#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})
void buf_init(struct buf *, size_t max);
void buf_fini(struct buf *);                 /* frees; the buf may be used again */
void buf_reset(struct buf *);                /* empties and clears `full`; keeps the memory */
bool buf_reserve(struct buf *, size_t more); /* room for `more` bytes behind buf.n */
bool buf_add(struct buf *, const void *p, size_t n);
bool buf_addc(struct buf *, char c);
bool buf_addz(struct buf *, const char *z);
bool buf_adds(struct buf *, struct str);
bool buf_addf(struct buf *, const char *fmt, ...) PRINTF(2, 3);
bool buf_addv(struct buf *, const char *fmt, va_list) PRINTF(2, 0);
/* A size for people, "770 B", "9.6 KB", "2.4 MB": rounded, of units of 1024. */
bool buf_add_size(struct buf *, uint64_t bytes);
void buf_consume(struct buf *, size_t n); /* drops n bytes from the front; O(rest) */
struct str buf_str(const struct buf *);
const char *buf_z(const struct buf *);     /* never NULL */
char *buf_take(struct buf *, size_t *n_r); /* caller owns; buf is empty after; never NULL */

/* ---- Text: the only thing that may be drawn or logged --------------------------------------------
 * Valid UTF-8 with no C0, DEL or C1 control, no bidi control, no other invisible format character that
 * can reorder or hide text; width known by grapheme cluster. Only the functions below make one, so the
 * compiler keeps escape sequences off the terminal (doc/THREATS 115-121). */
struct text {
    const char *p;
    size_t n;
    unsigned cols; /* terminal columns */
};
enum text_flags {
    TEXT_LINE = 0,       /* every control character becomes a visible sign */
    TEXT_KEEP_TABS = 1,  /* TAB becomes spaces up to the next multiple of 8 */
    TEXT_ASCII = 2,      /* punctuation by its like, every other non-ASCII character as '?' */
    TEXT_FOLD_SPACE = 4, /* runs of blanks, CR, LF and TAB become one space (header fields) */
};
/* Cleans `raw` (hostile) and appends the result to `out`; the text borrows from `out`. Linear time. Stops at the
 * buffer's maximum, between two characters. Invalid UTF-8 is taken as Windows-1252 byte by byte; a C0 or DEL
 * becomes its Unicode control picture, a C1 or bidi control U+FFFD; a grapheme cluster is cut to 8 characters. */
struct text text_from_bytes(struct str raw, unsigned flags, struct buf *out);
/* The longest front part of `t` that fits `cols`, never cutting a grapheme. */
struct text text_fit(struct text, unsigned cols);
/* Takes one grapheme cluster off the front: its bytes and columns (0..2); false at the end. */
bool text_next(struct text *rest, struct text *grapheme_r);
#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1, sizeof(literal) - 1}) /* ASCII only */
/* What `raw` (hostile) is sorted by: case and accents folded, runs of blanks as one, without punctuation in front; at
 * most `max` bytes into `out`, bytewise comparable. Returns their number. */
size_t text_sort_key(struct str raw, char *out, size_t max);
/* `raw` (hostile) with case and accents folded, at most `max` bytes into `out`; returns their number. */
size_t text_fold(struct str raw, char *out, size_t max);
void text_set_ambiguous_wide(bool wide); /* option ambiguous-width; process-wide, set at start */

/* UTF-8, strict (RFC 3629): returns the bytes used (1..4) or 0 where `s` is not valid. */
unsigned utf8_decode(struct str s, uint32_t *cp_r);
unsigned utf8_encode(uint32_t cp, char out[4]); /* 0 for surrogates and past U+10FFFF */
bool utf8_valid(struct str);

/* The servers of an account: its mail, the one that sends, that of its scripts. */
enum service { SERVICE_INCOMING, SERVICE_SUBMISSION, SERVICE_SIEVE, SERVICE_COUNT };

/* ---- Errors --------------------------------------------------------------------------------------
 * The kinds are rows of errors.def: scope, when to try again, exit status and a hint for the user. A
 * failing function fills *err once, where the fact is known; callers may only prefix it. */
enum err_kind {
#define ERR(name, scope, retry, exit_status, hint) ERR_##name,
#include "base/errors.def"
#undef ERR
    ERR_COUNT
};
enum err_scope { SCOPE_MESSAGE, SCOPE_MAILBOX, SCOPE_ACCOUNT, SCOPE_PROGRAM };
enum err_retry { RETRY_NEVER, RETRY_NOW, RETRY_LATER, RETRY_AFTER_CHANGE };
struct err {
    enum err_kind kind; /* ERR_NONE: no error */
    int sys;            /* errno or 0 */
    char text[400];     /* safe text in one line, no secret, no trailing dot */
};
#define ERR_INIT ((struct err){.kind = ERR_NONE})
/* Fills *err and returns false, so that a failing function can `return err_set(...)`. */
bool err_set(struct err *, enum err_kind, const char *fmt, ...) PRINTF(3, 4);
bool err_sys(struct err *, enum err_kind, int errnum, const char *fmt, ...) PRINTF(4, 5); /* adds ": strerror" */
void err_prefix(struct err *, const char *fmt, ...) PRINTF(2, 3);                         /* "prefix: text" */
const char *err_name(enum err_kind);
enum err_scope err_scope(enum err_kind);
enum err_retry err_retry(enum err_kind);
int err_exit(enum err_kind);                          /* sysexits(3) status */
const char *err_hint(enum err_kind);                  /* what the user can do; "" where nothing */
enum err_kind err_from_errno(int errnum);             /* ENOSPC, EDQUOT -> ERR_DISK_FULL ... else ERR_IO */
NORETURN void bug(const char *fmt, ...) PRINTF(1, 2); /* broken invariant: message and abort */

/* ---- Log -------------------------------------------------------------------------------------------
 * One line each to fd 2 (`spawn` makes that the log file): time, program, level, text. What is logged is cleaned
 * like any text. Never log a secret, a command line that holds one, or a message body. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
void log_open(const char *program, enum log_level max);
void log_msg(enum log_level, const char *fmt, ...) PRINTF(2, 3);
bool log_wants(enum log_level);

/* ---- Secrets ----------------------------------------------------------------------------------------
 * In memory that is not dumped into a core and, where the limit allows, not swapped; wiped when freed. */
struct secret {
    char *p; /* NUL-terminated */
    size_t n;
    bool token; /* an OAuth 2.0 access token, not a password: the reader says so */
};
#define SECRET_MAX 16000              /* a private key of 8192 bits in PEM */
struct secret secret_new(struct str); /* copies SECRET_MAX bytes at most; wipe the source yourself */
void secret_free(struct secret *);    /* wipes; NULL-safe */
/* Reads the first line, without its line end, from `fd` (a pipe); closes fd in every case. Blocks until the line, the
 * end of the pipe or the deadline (clock_mono_ms). Errors: ERR_SECRET (empty, SECRET_MAX or longer, NUL, time). */
bool secret_read(int fd, int64_t deadline_ms, struct secret *secret_r, struct err *);
/* The same with all lines. */
bool secret_read_all(int fd, int64_t deadline_ms, struct secret *secret_r, struct err *);

/* ---- Clock --------------------------------------------------------------------------------------- */
int64_t clock_mono_ms(void); /* for every deadline and timer */
int64_t clock_wall(void);    /* seconds since 1970, for what a person reads */

/* ---- Files -----------------------------------------------------------------------------------------
 * All may wait for the disk. Paths are NUL-terminated and ours, never taken from mail. */
bool fs_mkdir_private(const char *path, struct err *); /* 0700 with parents; refuses another owner or g/o write */
bool fs_sync_dir(const char *dir, struct err *);
/* Publishes tmp as `final`: fsync(tmp fd), rename, fsync(directory of final). Closes fd in every case. On failure tmp
 * is gone and `final` as it was, unless the fsync of the directory failed: then `final` is the new file, and after a
 * power cut one of the two. */
bool fs_commit(int fd, const char *tmp, const char *final, struct err *);
bool fs_write_atomic(const char *path, mode_t mode, struct str data, struct err *); /* tmp + fs_commit */
bool fs_write_all(int fd, struct str data, struct err *);
/* A file of `dir` to read and write that is gone when it is closed, however that comes; -1 with *err. */
int fs_open_unnamed(const char *dir, struct err *);
/* Appends the whole file to `out`, at most `max` bytes (ERR_LIMIT past it); opens with O_NONBLOCK|O_NOFOLLOW and
 * refuses all but regular files, so a FIFO cannot hang the caller. */
bool fs_read(const char *path, size_t max, struct buf *out, struct err *);
bool fs_read_fd(int fd, size_t max, struct buf *out, struct err *);
/* Are all entries of a directory regular files (or links to such)? False, with the name of one that is not: a FIFO
 * would hang who opens it. True where there is no directory. */
bool fs_only_files(const char *dir, struct err *);
bool fs_is_network(const char *path);               /* NFS, CIFS, FUSE ... by statfs */
#define FS_INDEX_ROOM (16u << 20)                   /* what the search index wants free for its next commit */
bool fs_has_room(const char *path, uint64_t bytes); /* also where nobody can say */
void fs_random(void *p, size_t n);                  /* getrandom(2) */
bool fd_cloexec(int fd, bool on);
bool fd_nonblock(int fd, bool on);
char *path_join(const char *dir, const char *name); /* caller owns */
/* XDG base directories with their defaults; NULL with *err where HOME is unset and needed. Caller owns. */
char *path_config_home(struct err *);
char *path_data_home(struct err *);
char *path_runtime_dir(struct err *); /* XDG_RUNTIME_DIR where that is our own directory, else /tmp/tuimail-UID, 0700 */
char *path_expand_home(const char *path); /* a leading "~/"; caller owns */

/* ---- Records of one size, as many as come, in bounded memory ----------------------------------------
 * Some 64 KB are held, the rest lies in a file of `dir` that has no name, and is none while they suffice. Any index is
 * there, as zeros until it is changed. Blocks as the disk does. A disk that is full or fails is remembered: from then
 * on all that is read is zeros and what is changed is lost, so each piece of work ends with records_ok. */
#define RECORD_MAX 64
struct records {
    char *dir;
    size_t size;
    int fd;
    struct records_block {
        unsigned char *bytes;
        uint64_t at, used;
        bool dirty;
    } blocks[4];
    size_t last;
    uint64_t clock;
    struct err err;
    _Alignas(max_align_t) unsigned char none[RECORD_MAX];
};
void records_init(struct records *, const char *dir, size_t size); /* of at most RECORD_MAX bytes each */
void records_clear(struct records *);                              /* all zeros again; forgets an error */
void records_fini(struct records *);                               /* of all zeros: nothing is done */
/* Both until the next call for these records. */
const void *records_get(struct records *, uint64_t i);
void *records_at(struct records *, uint64_t i); /* to change it */
bool records_ok(const struct records *, struct err *);
/* Records of 8 bytes as a set of numbers. */
bool records_bit(struct records *, uint64_t i);
void records_set_bit(struct records *, uint64_t i, bool on);

/* ---- Encodings small enough to be here --------------------------------------------------------------- */
bool base64_encode(struct str, struct buf *out); /* no line breaks */
/* Strict (RFC 4648 4: padding, no stray bits), blanks and line ends skipped; false leaves what was decoded. */
bool base64_decode(struct str, struct buf *out);
void hex_encode(const void *p, size_t n, char *out); /* 2n digits and a NUL */

/* ---- Poll loop ---------------------------------------------------------------------------------------
 * One per process. Callbacks run one at a time; a callback may add and remove any watch, its own too. */
struct loop;
struct watch;
typedef void watch_fn(void *arg, short revents);
typedef void timer_fn(void *arg);
struct loop *loop_new(void);
void loop_free(struct loop **);
/* `events` is poll(2)'s; the fd stays the caller's and must outlive the watch. */
struct watch *loop_fd(struct loop *, int fd, short events, watch_fn *, void *arg);
void watch_events(struct watch *, short events);
/* Calls once, `delay_ms` from now. The handle is freed after that call: `fn` forgets it, and nobody uses it later. */
struct watch *loop_after(struct loop *, int64_t delay_ms, timer_fn *, void *arg);
void watch_free(struct watch **); /* ends the watch; NULL-safe; sets NULL */
/* Turns `fn` on when the signal arrived; runs in the loop, not in the handler. Takes over the signal process-wide. */
struct watch *loop_signal(struct loop *, int signo, timer_fn *, void *arg);
/* Calls whenever the wall clock jumps: it was set, or the machine slept. NULL where the system does not tell. */
struct watch *loop_clock_jump(struct loop *, timer_fn *, void *arg);
void loop_run(struct loop *);                       /* until loop_stop; blocks */
void loop_once(struct loop *, int64_t max_wait_ms); /* one turn; -1 waits for the next event */
void loop_stop(struct loop *);

#endif
