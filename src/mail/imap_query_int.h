/* What the files of the translation share. */
#ifndef TUIMAIL_MAIL_IMAP_QUERY_INT_H
#define TUIMAIL_MAIL_IMAP_QUERY_INT_H

#include "mail/imap_query.h"

enum node_kind { LEAF, AND, OR, XOR, NOT };
enum known { KEY, ALWAYS, NEVER, UNKNOWN };
struct node {
    uint8_t kind, known;
    bool unknown;            /* it or something in it is not known to a server */
    bool nots;               /* it stands under an odd number of NOTs */
    uint16_t left, right;    /* of NOT: left */
    uint32_t from, to;       /* in the query */
    uint32_t key, key_n;     /* in `keys`, of a leaf */
    uint32_t not_key, not_n; /* the narrower form that serves under a NOT */
};
enum op { OP_OR, OP_XOR, OP_AND, OP_NOT }; /* the tighter the later */
#define OPS_MAX (4 * IMAP_QUERY_DEPTH)
struct frame {
    unsigned first; /* operand inside these parentheses */
    unsigned run;   /* operand of the words side by side */
    unsigned ops;   /* the first operator inside */
    uint32_t begin; /* of the parenthesis */
    bool hated;     /* a - stood before it */
};
struct maker {
    struct str q;
    const struct imap_query_for *to;
    struct imap_query *out;
    struct err *err;
    struct buf keys;
    struct node *nodes;
    unsigned nnodes;
    struct operand {
        uint16_t node;
        uint8_t group; /* values of one field are ORed; 0 none */
        bool hated;
    } * stack;
    unsigned nstack;
    struct {
        enum op op;
        uint32_t from;
    } ops[OPS_MAX];
    unsigned nops;
    struct frame frames[IMAP_QUERY_DEPTH + 1];
    unsigned depth;
    size_t at;
};

enum group {
    G_NONE,
    G_FROM,
    G_SUBJECT,
    G_TAG,
    G_DATE,
    G_ID,
    G_THREAD,
    G_FOLDER,
    G_PATH,
    G_PROPERTY,
    G_QUERY,
    G_LASTMOD
};
struct term;
/* A field: its term becomes a key, a constant, or UNKNOWN. */
struct field {
    const char *prefix;
    bool (*term)(struct term *, struct str value);
    enum group group; /* values side by side are ORed */
    bool regex;       /* /.../ is one */
};
struct term {
    struct maker *m;
    struct node node;
    bool alone; /* not one of the values that are ORed */
};
extern const struct field imap_query_fields[];
extern const size_t imap_query_nfields;
bool imap_query_word(struct term *, struct str); /* a word or phrase of no field */
void imap_query_constant(struct term *, bool yes);

struct span {
    int64_t from, to; /* to: the first second behind it */
};
int64_t imap_query_day(int year, int month, int day); /* local midnight; numbers may overflow */
bool imap_query_date(struct str, int64_t now, struct span *);
bool imap_query_age(struct str, int64_t now, struct span *); /* "7d" before now: a point */

static inline bool imap_query_fail(struct maker *m, const char *why)
{
    return err_set(m->err, ERR_QUERY, "%s", why);
}

#endif
