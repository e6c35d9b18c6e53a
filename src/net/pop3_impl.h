/* The inside of net/pop3, for its own files only. */
#ifndef TUIMAIL_NET_POP3_IMPL_H
#define TUIMAIL_NET_POP3_IMPL_H

#include "net/pop3.h"

#define POP3_LINE_MAX 65536u
#define POP3_WINDOW 256u             /* messages on the way */
#define POP3_WINDOW_BYTES (1u << 20) /* of them by their listed sizes: a cancel or a wish waits for these */
#define POP3_DROP_MAX (4ull << 20)   /* bytes of an unwanted message that are read to keep the session */

struct pop3 {
    struct stream *stream;
    char *host;
    unsigned caps;
    enum pop3_trust trust;
    int64_t until;   /* wall clock, where trust is not POP3_AHEAD */
    bool expects;    /* pop3_expect was called: commands may go ahead of the login */
    bool assumed;    /* caps are those of an earlier session */
    bool surprised;  /* they turned out to be others */
    bool per_user;   /* the login may change login_delay and expire */
    bool went_ahead; /* commands were sent ahead of the login's answer */
    bool unanswered;
    bool deletes;        /* DELE was sent */
    unsigned owed;       /* enum owed of pop3_login.c: answers that come before the login's */
    bool capa_sent;      /* CAPA once more, behind the login */
    unsigned lists_sent; /* of STAT, LIST, UIDL, in this order; the answer of STAT is read where `counted` */
    bool counted;
    uint32_t count; /* of STAT */
    uint32_t login_delay, expire;
    struct records sizes;         /* of LIST, by number: uint64_t */
    struct buf capa, sasl;        /* capability lines; the mechanisms */
    struct buf challenge;         /* APOP */
    char wants[36], language[36]; /* LANG: asked for, granted */
    char implementation[120];
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
/* A line of a multi-line answer: 1, or 0 at its end, or -1. */
int pop3_list_line(struct pop3 *, struct str *line_r, struct err *);
/* Reads a multi-line answer to its end and drops it; ERR_LINE beyond POP3_DROP_MAX. */
bool pop3_drain(struct pop3 *, struct dots *, struct err *);
bool pop3_fickle(struct str line); /* a header field that servers change */
bool pop3_pipelines(const struct pop3 *);
/* The capabilities of an earlier session are taken for those of this one. */
void pop3_assume(struct pop3 *, struct str lines);
/* "number value": false for what is none, or outside of STAT's count. */
bool pop3_number(const struct pop3 *, struct str line, uint32_t *number_r, struct str *rest_r);
/* STAT, and in a flight LIST and UIDL behind it. */
bool pop3_list_send(struct pop3 *, struct err *);
/* The answer of STAT. */
bool pop3_list_count(struct pop3 *, struct err *);

#endif
