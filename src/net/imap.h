/* net/imap: the client side of an IMAP connection (RFC 3501, 9051 and the extensions of IMAP_CAPS), for `fetch`.
 *
 * Our own wire loop: framing with limits, tags, pipelining, literals both ways, untagged data in the order it came.
 * FETCH answers are read by libetpan's typed parser, one at a time from memory, after ours has taken out what its
 * grammar does not know or cannot hold; the short answers (LIST, STATUS, SEARCH, NAMESPACE, QUOTA, response codes ...)
 * have parsers of their own. Nothing here recurses on input. All bytes from the server are hostile. Calls that read or
 * write block as net/stream does: until done, its deadline, or a cancel. A call that fails with ERR_LINE, ERR_TIMEOUT,
 * ERR_CANCELED, ERR_PROTOCOL, ERR_SERVER_BYE or a TLS kind leaves a connection that can only be closed. */
#ifndef TUIMAIL_NET_IMAP_H
#define TUIMAIL_NET_IMAP_H

#include "base/base.h"
#include "conf/conf.h"
#include "mail/row.h"
#include "net/stream.h"

#define IMAP_LINE_MAX (1u << 20)          /* an answer without its literals */
#define IMAP_SET_LINE_MAX (16u << 20)     /* SEARCH, ESEARCH, VANISHED: one line for a whole mailbox */
#define IMAP_DEPTH_MAX 64                 /* parentheses; a deeper answer is skipped */
#define IMAP_LITERALS_MAX 1000            /* in one answer */
#define IMAP_LITERAL_KEPT (256u << 10)    /* of a literal in memory; the rest is read and dropped */
#define IMAP_LITERAL_STREAMED (64u << 10) /* a longer BODY[] goes to the sink */
#define IMAP_BODY_MAX (1u << 30)          /* a longer literal ends the connection */
#define IMAP_PIPELINE_MAX 64              /* commands under way */
#define IMAP_NAME_MAX 1000                /* bytes of a mailbox name */
#define IMAP_ID_MAX 255                   /* bytes of a MAILBOXID, EMAILID or THREADID (RFC 8474 5.4) */
#define IMAP_PREVIEW_MAX 1024             /* bytes of a PREVIEW: 256 characters (RFC 8970 3.1) */
#define IMAP_NAMESPACES_MAX 64            /* of all kinds together */
#define IMAP_QUOTA_MAX 16                 /* resources of a quota root, and roots of a mailbox */
#define IMAP_FIELDS_MAX 30                /* of an ID (RFC 2971 3.3) */

/* X(name, word): what the server says it can; IMAP_CAP_name is its bit. */
/* clang-format off */
#define IMAP_CAPS(X) \
    X(IMAP4REV1, "IMAP4rev1") \
    X(IMAP4REV2, "IMAP4rev2") \
    X(STARTTLS, "STARTTLS") \
    X(LOGINDISABLED, "LOGINDISABLED") \
    X(SASL_IR, "SASL-IR") \
    X(LITERAL_PLUS, "LITERAL+") \
    X(LITERAL_MINUS, "LITERAL-") \
    X(IDLE, "IDLE") \
    X(ENABLE, "ENABLE") \
    X(CONDSTORE, "CONDSTORE") \
    X(QRESYNC, "QRESYNC") \
    X(UIDPLUS, "UIDPLUS") \
    X(MOVE, "MOVE") \
    X(ESEARCH, "ESEARCH") \
    X(UNSELECT, "UNSELECT") \
    X(SPECIAL_USE, "SPECIAL-USE") \
    X(LIST_EXTENDED, "LIST-EXTENDED") \
    X(LIST_STATUS, "LIST-STATUS") \
    X(NAMESPACE, "NAMESPACE") \
    X(ID, "ID") \
    X(COMPRESS, "COMPRESS=DEFLATE") \
    X(UTF8_ACCEPT, "UTF8=ACCEPT") \
    X(NOTIFY, "NOTIFY") \
    X(QUOTA, "QUOTA") \
    X(OBJECTID, "OBJECTID") \
    X(PARTIAL, "PARTIAL") \
    X(CREATE_SPECIAL_USE, "CREATE-SPECIAL-USE") \
    X(CHILDREN, "CHILDREN") \
    X(STATUS_SIZE, "STATUS=SIZE") \
    X(SEARCHRES, "SEARCHRES") \
    X(WITHIN, "WITHIN") \
    X(FUZZY, "SEARCH=FUZZY") \
    X(QUOTA_STORAGE, "QUOTA=RES-STORAGE") \
    X(BINARY, "BINARY") \
    X(PREVIEW, "PREVIEW") \
    X(SAVEDATE, "SAVEDATE") \
    X(MULTIAPPEND, "MULTIAPPEND") \
    X(APPENDLIMIT, "APPENDLIMIT") /* of each mailbox its own: STATUS; "APPENDLIMIT=n" is imap_append_limit */ \
    X(REPLACE, "REPLACE") \
    X(UTF8_ONLY, "UTF8=ONLY") \
    X(SORT, "SORT") \
    X(THREAD_REFS, "THREAD=REFERENCES") \
    X(GMAIL, "X-GM-EXT-1") \
    X(LOGIN_REFERRALS, "LOGIN-REFERRALS") \
    X(CREATEDMODSEQ, "X-CREATEDMODSEQ") /* of Cyrus: its sign */
enum imap_cap_bit {
#define X(name, word) IMAP_BIT_##name,
    IMAP_CAPS(X)
#undef X
    IMAP_BIT_COUNT
};
/* clang-format on */
#define X(name, word) static const uint64_t IMAP_CAP_##name = UINT64_C(1) << IMAP_BIT_##name;
IMAP_CAPS(X)
#undef X

/* ---- Answers ------------------------------------------------------------------------------------ */
enum imap_what {
    IMAP_SKIPPED, /* nothing we know, or past a limit */
    IMAP_OK,
    IMAP_NO,
    IMAP_BAD,
    IMAP_BYE,
    IMAP_PREAUTH, /* text, code, args */
    IMAP_CAPABILITY,
    IMAP_ENABLED, /* text: the words */
    IMAP_LIST,
    IMAP_LSUB,
    IMAP_STATUS,
    IMAP_FLAGS,
    IMAP_EXISTS,
    IMAP_EXPUNGE,
    IMAP_VANISHED,
    IMAP_SEARCH,
    IMAP_ESEARCH,
    IMAP_FETCH,
    IMAP_CONTINUE, /* "+": text */
    IMAP_NAMESPACE,
    IMAP_QUOTA,
    IMAP_QUOTAROOT,
    IMAP_ID,
};
struct imap_list {
    struct str name;    /* in modified UTF-7 (imap_cmd_mailbox), or what the server made of it; at most IMAP_NAME_MAX */
    struct str oldname; /* OLDNAME (RFC 9051 6.3.9.7): what it was called; else empty */
    char delim;         /* 0: NIL, or unusable */
    uint32_t attrs;     /* enum box_attr */
    uint8_t role;       /* enum box_role */
};
struct imap_status {
    struct str name;
    struct str mailboxid;                                     /* "" where absent */
    uint32_t messages, unseen, uidnext, uidvalidity, deleted; /* UINT32_MAX where absent or absurd */
    uint64_t modseq;                                          /* 0 where absent */
    uint64_t size, appendlimit;                               /* bytes; UINT64_MAX where absent, or without a limit */
};
/* RFC 2342: where mailboxes of a kind are. */
struct imap_namespace {
    struct str prefix; /* in the form of mailbox names; "" is all the rest */
    char delim;        /* 0: flat */
    uint8_t kind;      /* enum imap_namespace_kind */
};
enum imap_namespace_kind { IMAP_NS_PERSONAL, IMAP_NS_OTHERS, IMAP_NS_SHARED };
struct imap_namespaces {
    unsigned n;
    struct imap_namespace list[IMAP_NAMESPACES_MAX];
};
/* RFC 9208, 2087. STORAGE counts units of 1024 octets. */
struct imap_quota {
    struct str root;
    unsigned n;
    struct imap_resource {
        struct str name; /* as the server wrote it */
        uint64_t used, limit;
    } list[IMAP_QUOTA_MAX];
};
struct imap_quotaroot {
    struct str name; /* of the mailbox */
    unsigned n;
    struct str roots[IMAP_QUOTA_MAX];
};
/* RFC 2971: pairs in the server's order, raw. */
struct imap_id {
    unsigned n;
    struct imap_field {
        struct str name, value;
    } list[IMAP_FIELDS_MAX];
};
enum imap_fetch_has {
    IMAP_HAS_FLAGS = 1,
    IMAP_HAS_SIZE = 2,
    IMAP_HAS_DATE = 4,
    IMAP_HAS_HEADER = 8,
    IMAP_HAS_BODY = 16,
    IMAP_HAS_MODSEQ = 32,
    IMAP_BODY_NIL = 64,
    IMAP_BROKEN = 128, /* not readable but for the uid */
    IMAP_HAS_PREVIEW = 256,
    IMAP_HAS_SAVEDATE = 512,
    IMAP_HAS_STRUCTURE = 1024,
    IMAP_HAS_LABELS = 2048, /* X-GM-LABELS: they are among the keywords, as imap_label_add has them */
    IMAP_ASTRAY = 4096      /* broken behind a literal: where that ended is not known, nor what follows */
};
struct imap_fetch {
    uint32_t seq, uid;   /* uid 0: not said */
    uint32_t has;        /* enum imap_fetch_has */
    uint32_t flags;      /* enum mail_flags */
    struct str keywords; /* the others, blank separated */
    uint64_t size, modseq;
    int64_t date;     /* INTERNALDATE */
    int64_t savedate; /* RFC 8514; 0 where the mailbox keeps none */
    struct str header, body;
    struct str emailid, threadid; /* RFC 8474, or X-GM-MSGID and X-GM-THRID; "" where absent */
    struct str preview;           /* RFC 8970: UTF-8 as the server wrote it, at most IMAP_PREVIEW_MAX */
    struct str section;           /* of the body: "" the whole, "1.2" a part, as the server wrote it */
    bool binary, partial;         /* BINARY[...]; only a range of it, from `origin` on */
    uint64_t origin;
    bool body_streamed; /* body went to the sink, which has body_bytes of it */
    uint64_t body_bytes;
    struct str structure; /* of BODYSTRUCTURE, for imap_structure_parse */
};
/* One untagged answer. Strings are valid until the handler returns. */
struct imap_event {
    enum imap_what what;
    uint32_t number;       /* EXISTS, EXPUNGE, FETCH; ESEARCH: number of the command's tag */
    struct str text;       /* human text, or the rest of the line */
    struct str code, args; /* [CODE args] */
    struct str set;        /* VANISHED: UIDs; SEARCH: numbers; ESEARCH: ALL or those of PARTIAL; FLAGS: words */
    struct str range;      /* ESEARCH PARTIAL: the range asked for ("1:500", "-1:-500"), its set is `set` */
    bool earlier;          /* VANISHED (EARLIER) */
    bool uid;              /* ESEARCH: numbers are UIDs */
    uint32_t count;        /* ESEARCH COUNT, UINT32_MAX where absent */
    uint32_t min, max;     /* ESEARCH, 0 where absent */
    uint64_t modseq;       /* ESEARCH, SEARCH: the highest of what was found; 0 where absent */
    struct imap_list list;
    struct imap_status status;
    const struct imap_namespaces *namespaces; /* these four: of their own answer only, else NULL */
    const struct imap_quota *quota;
    const struct imap_quotaroot *quotaroot;
    const struct imap_id *id;
    struct imap_fetch fetch;
};
/* The end of a command. Strings are valid until the next imap_ call on the connection. */
struct imap_result {
    enum imap_what what; /* IMAP_OK, IMAP_NO, IMAP_BAD */
    struct str text, code, args;
};
struct imap_handler {
    void *arg;
    /* Each untagged answer, in order. False with *err set ends the call that reads, and the connection. */
    bool (*event)(void *arg, const struct imap_event *, struct err *);
    /* A body of more than IMAP_LITERAL_STREAMED bytes comes; `item` names it as the server does ("BODY[2]<65536>"): the
     * fd to write it to, or -1 to drop it. Stays the handler's. May be NULL. */
    int (*sink)(void *arg, struct str item, uint64_t size);
    void (*sink_progress)(void *arg, uint64_t done, uint64_t size);
    /* Right behind the login's last words, before its answer: commands may be sent, not waited for, that the server
     * does after it. They may be refused (BAD) or lost: imap_first() tells. May be NULL. */
    bool (*ahead)(void *arg, struct err *);
};

/* ---- Connection --------------------------------------------------------------------------------- */
struct imap;
/* Borrows the stream, which must outlive it. `answer_ms`: deadline of each single answer; a wait for a
 * command's end lasts 5 times as long and a second for each KiB that comes, 15 minutes and 256 MiB of answers at most.
 */
struct imap *imap_new(struct stream *, const struct imap_handler *, int64_t answer_ms);
void imap_free(struct imap **);                       /* NULL-safe; sends nothing */
uint64_t imap_caps(const struct imap *);              /* IMAP_CAP_* */
struct str imap_caps_text(const struct imap *);       /* the words as the server sent them */
bool imap_enabled(const struct imap *, uint64_t cap); /* by ENABLE, confirmed */
/* Bytes that APPEND takes in any mailbox (RFC 7889), UINT64_MAX where the server names no limit for all. */
uint64_t imap_append_limit(const struct imap *);
/* Are names and quoted strings UTF-8 in this session (RFC 6855, or 9051 alone)? */
bool imap_utf8(const struct imap *);
/* Take an extension as not enabled after all. */
void imap_disable(struct imap *, uint64_t caps);
/* No deadline of ours is later than this (a cancel's grace); 0: none. */
void imap_deadline_cap(struct imap *, const int64_t *mono_ms);

/* Another deadline for single answers than that of imap_new, from the next command on: a search may take its time. */
void imap_patience(struct imap *, int64_t answer_ms);
/* What ID tells the server of us (RFC 2971), name and version and nothing more; before imap_login. Without it nothing
 * is told. */
void imap_identity(struct imap *, const char *name, const char *version);

/* What the server said it can after an earlier login: imap_login goes by it until it says it again. */
void imap_caps_expect(struct imap *, struct str words);
/* Reads the greeting, takes STARTTLS where ep->tls asks it, asks the capabilities. PREAUTH without TLS, an unreadable
 * greeting and data behind the STARTTLS answer end it; capabilities from before TLS are forgotten; referrals are
 * ignored. Errors: ERR_NO_STARTTLS, ERR_SERVER_TEMP (the server asks to come later), ERR_PROTOCOL, those of stream. */
bool imap_greet(struct imap *, const struct endpoint *ep, struct err *);
/* After imap_greet: logs in (not after PREAUTH), ENABLEs QRESYNC or CONDSTORE, UTF8=ACCEPT and IMAP4rev2, and says ID.
 * Where the login is one message and its answer (PLAIN with SASL-IR, LOGIN), or at its last message, ENABLE, ID and the
 * handler's `ahead` follow at once: a server reads its commands one by one (RFC 3501 5.5). One try. Errors: ERR_AUTH,
 * ERR_NO_AUTH_METHOD, ERR_SERVER_TEMP, ERR_SERVER_BYE, ERR_PROTOCOL, those of stream and sasl. A server that cannot
 * bear what was sent ahead ends it with ERR_PROTOCOL, ERR_SERVER_BYE or ERR_LINE: again without `ahead`. */
bool imap_login(struct imap *, const struct endpoint *ep, const struct secret *, struct err *);
/* What was sent ahead was refused: ENABLE once more, by what the server says now. */
bool imap_enable(struct imap *, struct err *);

/* ---- Commands ----------------------------------------------------------------------------------- */
/* A command line being made. Text is ours and holds no CR, LF or NUL. */
struct imap_cmd {
    struct buf text;
    size_t sync[8]; /* where the server must be waited for (literals without LITERAL+) */
    unsigned nsync;
    bool bad;       /* a string cannot be sent: NUL */
    struct err err; /* the line broke meanwhile */
};
void imap_cmd_init(struct imap_cmd *, const char *text);
void imap_cmd_fini(struct imap_cmd *);
void imap_cmd_add(struct imap_cmd *, const char *fmt, ...) PRINTF(2, 3);
/* A string of any bytes but NUL as quoted string or literal. */
void imap_cmd_string(struct imap *, struct imap_cmd *, struct str);
/* A mailbox name in modified UTF-7, as all names are outside of this module; goes out as UTF-8 where the session has
 * that (RFC 6855, 9051 5.1). May read until the server has answered ENABLE. */
void imap_cmd_mailbox(struct imap *, struct imap_cmd *, struct str name);
/* Sends it under a new tag (flushed by imap_wait, or now where a literal waits). False with ERR_USAGE when cmd->bad,
 * nothing sent. Frees the command. *tag_r is never 0. */
bool imap_send(struct imap *, struct imap_cmd *, uint32_t *tag_r, struct err *);
/* The same for a plain line. */
bool imap_sendf(struct imap *, uint32_t *tag_r, struct err *, const char *fmt, ...) PRINTF(4, 5);
/* While imap_wait waits no command is half sent: the stream's on_wake may then send another (it goes out at once). */
bool imap_may_send(const struct imap *);
/* Reads until the command's end; untagged answers go to the handler, ends of other commands are kept for their own
 * imap_wait. False only for a broken connection. */
bool imap_wait(struct imap *, uint32_t tag, struct imap_result *result_r, struct err *);
/* Reads until one of two commands has ended, for imap_wait: *first_r says which. */
bool imap_first(struct imap *, uint32_t tag, uint32_t other, uint32_t *first_r, struct err *);
/* imap_wait, and a NO or BAD becomes an error by its response code: ERR_OVERQUOTA, ERR_NO_MAILBOX, ERR_READ_ONLY,
 * ERR_NO_MESSAGE, ERR_SERVER_TEMP, else ERR_SERVER_NO, with the server's words, cleaned. *alive_r is false when the
 * connection is broken. */
bool imap_wait_ok(struct imap *, uint32_t tag, struct imap_result *result_r, bool *alive_r, struct err *);
/* imap_wait_ok without interest in the result. */
bool imap_done(struct imap *, uint32_t tag, bool *alive_r, struct err *);
/* Do a server's words ask to come later, as many do without a response code? */
bool imap_busy(struct str words);
/* The error that a NO or BAD stands for. */
bool imap_result_err(const struct imap_result *, struct err *);
/* Ends of commands that nobody will wait for are thrown away. */
void imap_forget(struct imap *, uint32_t tag);
/* APPEND's message: everything up to the literal is in `cmd`, which is freed; `size` bytes then come by imap_literal,
 * in pieces, and imap_literal_end; imap_wait with *tag_r ends it. Waits for the server's leave where there is no
 * LITERAL+; *refused_r: it said NO or BAD instead, and nothing more is to be sent. */
bool imap_send_literal(struct imap *, struct imap_cmd *, uint64_t size, uint32_t *tag_r, bool *refused_r, struct err *);
bool imap_literal(struct imap *, struct str piece, struct err *);
/* Behind the bytes of a message another one in the same command (RFC 3502): `text` of ours, then its size. */
bool imap_literal_next(struct imap *, uint32_t tag, const char *text, uint64_t size, bool *refused_r, struct err *);
bool imap_literal_end(struct imap *, struct err *); /* the command's line ends behind the literal */

/* Compresses the connection from here on (RFC 4978) where the server offers it and nothing is under way; otherwise, or
 * refused, does nothing. A round trip: worth it before much data. False only for a broken connection. */
bool imap_compress(struct imap *, struct err *);

/* IDLE (RFC 2177). Between begin and end the caller polls the stream's fd (stream_fd) and calls imap_idle_read when it
 * is readable. begin: *on_r false when the server refused it. */
bool imap_idle_begin(struct imap *, bool *on_r, struct err *);
bool imap_idle_read(struct imap *,
                    struct err *); /* handles what has come, without waiting for more than the answer under way */
bool imap_idle_end(struct imap *, struct err *);
/* imap_idle_begin that waits for nothing: imap_idle_on tells whether the server has taken it. */
bool imap_idle_send(struct imap *, struct err *);
bool imap_idle_on(const struct imap *);
bool imap_idle_over(struct imap *); /* the server ended it by itself: imap_idle_end is not to be called */
bool imap_buffered(struct imap *, bool *yes_r, struct err *); /* is anything there to read, without waiting? */

/* ---- Words, names, sets: pure ------------------------------------------------------------------- */
/* Appends the UTF-8 form of a name in modified UTF-7 (RFC 3501 5.1.3). A name that is not valid modified UTF-7 is kept
 * as it is: false. */
bool imap_name_decode(struct str name, struct buf *out);
/* Appends the modified UTF-7 form; invalid UTF-8 and control characters refuse: false. */
bool imap_name_encode(struct str utf8, struct buf *out);
/* 32 hex digits that stand for (name, UIDVALIDITY) in file names: never the name itself (THREATS 38). Collisions cannot
 * be made (SHA-256). */
void imap_box_key(struct str name, uint32_t uidvalidity, char out[33]);
/* Takes one element off a sequence set: lo <= hi. `*` counts as UINT32_MAX. False at the end or at the first byte that
 * is no set. */
bool imap_set_next(struct str *rest, uint32_t *lo_r, uint32_t *hi_r);
/* The next number of a blank-separated list. */
bool imap_number_next(struct str *rest, uint32_t *n_r);
/* Flags and keywords as atoms or "\Seen": adds to *flags_r or appends the word to `keywords`. */
void imap_flag_read(struct str word, uint32_t *flags_r, struct buf *keywords);
/* Appends a word that is an atom and not yet among them. */
void imap_keyword_add(struct str word, struct buf *keywords);
/* The same for a label of Gmail, in modified UTF-7 or UTF-8: as a tag of one word (mail/tag.h), where it can be one. */
void imap_label_add(struct str label, bool utf8, struct buf *keywords);
/* Appends the label that such a word stands for, in modified UTF-7 (imap_cmd_mailbox). */
bool imap_label_name(struct str word, struct buf *out);
void imap_flags_write(uint32_t flags, struct buf *out); /* "\Seen $Forwarded", blank separated */
/* Other words that mean the same, for taking them off: appended. */
void imap_flags_old(uint32_t flags, struct buf *out);
bool imap_keyword_valid(struct str word);
/* INTERNALDATE as "22-Nov-2026 14:02:05 +0000" without quotes. */
void imap_date_write(int64_t time, struct buf *out);
/* The same from the server, with its quotes and any zone; years 1970 to 2200. */
bool imap_date_read(struct str quoted, int64_t *time_r);

/* ---- BODYSTRUCTURE (RFC 3501 7.4.2, RFC 9051 7.5.2) -------------------------------------------- */
#define IMAP_PARTS_MAX 1000  /* a message of more is none that is fetched by parts */
#define IMAP_PARTS_DEPTH 32  /* multiparts one inside the other */
#define IMAP_PARAMS_MAX 32   /* of one part; the rest is left out */
#define IMAP_SECTION_MAX 128 /* bytes of "1.2.3", its NUL too */
struct imap_param {
    struct str name, value;
};
struct imap_params {
    const struct imap_param *list;
    size_t n;
};
/* Strings are as the server wrote them, "" where it wrote NIL: hostile. */
struct imap_part {
    uint32_t parent; /* index of the enclosing part + 1; 0: the root */
    bool multipart;
    char section[IMAP_SECTION_MAX]; /* "" for a root that is a multipart, else what BODY[...] takes */
    struct str type, subtype;       /* "multipart" for a multipart */
    struct str id, encoding, disposition;
    struct imap_params params, disposition_params;
    uint64_t size; /* bytes as transferred; UINT64_MAX where the server did not say */
};
struct imap_structure {
    struct imap_part *parts; /* in order of appearance, containers before what they hold */
    size_t n;
};
/* `value` is what follows BODYSTRUCTURE in a FETCH answer. An enclosed message counts as one part, whatever is in it.
 * Missing and additional fields are tolerated. Everything lives in the arena. False where it is no structure or
 * exceeds a limit: fetch the message whole. */
bool imap_structure_parse(struct str value, struct arena *, struct imap_structure *structure_r);
/* Value of a parameter by its name without RFC 2231's "*" (ASCII case); "" where absent. */
struct str imap_param(const struct imap_params *, const char *name);
/* Reads "BODY[1.2]<65536>": what the item of an answer holds. Fills section, binary, partial, origin. False where it is
 * no body. */
bool imap_body_item(struct str item, struct imap_fetch *);
/* "" or "1.2.3": what may stand in BODY[...] for a part. */
bool imap_section_valid(struct str);

/* ---- For tests and the fuzzer: parsing of one framed answer ------------------------------------- */
struct imap_parser;
struct imap_parser *imap_parser_new(void);
void imap_parser_utf8(struct imap_parser *, bool on); /* names come in UTF-8; given on in modified UTF-7 */
void imap_parser_free(struct imap_parser **);
/* `answer` is a whole untagged answer without its last CRLF ("* 1 EXISTS", literals inside). Strings of the event live
 * until the next call. Never fails: IMAP_SKIPPED. */
void imap_parse(struct imap_parser *, struct str answer, struct imap_event *event_r);
/* "OK [CODE args] text" behind the tag. False where it is no state. */
bool imap_parse_state(struct str line, struct imap_event *event_r);

#endif
