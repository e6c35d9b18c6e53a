/* The inside of net/pop3, for its own files only. */
#ifndef TUIMAIL_NET_POP3_IMPL_H
#define TUIMAIL_NET_POP3_IMPL_H

#include "net/pop3.h"

#define POP3_LINE_MAX 65536u
#define POP3_WINDOW 64u             /* commands on the way */
#define POP3_DROP_MAX (64ull << 20) /* bytes of an unwanted message that are read to keep the session */

struct pop3 {
    struct stream *stream;
    char *host;
    unsigned caps;
    bool lockstep;
    uint32_t count; /* of STAT */
    uint32_t login_delay, expire;
    uint64_t *sizes;           /* of LIST, by number - 1; NULL before */
    struct buf capa, sasl;     /* capability lines; the mechanisms */
    struct buf challenge;      /* APOP */
    bool (*enough)(void *arg); /* pop3_interrupt */
    void *enough_arg;
};

struct pop3_answer {
    bool ok, more;   /* +OK; "+ " of AUTH; neither: -ERR */
    bool lf;         /* the line ended with a bare LF */
    struct str text; /* borrowed until the next stream call */
};
/* Begins the time of an answer and reads its status line. */
bool pop3_answer(struct pop3 *, struct pop3_answer *answer_r, struct err *);
/* Fills *err from a server's words; false. */
bool pop3_refused(const struct pop3 *, struct str text, enum err_kind otherwise, struct err *);
/* Reads a multi-line answer to its end and drops it; ERR_LIMIT beyond POP3_DROP_MAX. */
bool pop3_drain(struct pop3 *, struct dots *, struct err *);
bool pop3_pipelines(const struct pop3 *);
/* "<unique@host>" and nothing else: an APOP challenge that may be answered. */
bool pop3_is_msg_id(struct str);

#endif
