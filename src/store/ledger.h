/* The maildrop as it was listed last, beside the ledger of what is here. Private to src/store/ledger*.c.
 * What is held in memory does not grow with the maildrop: numbers are of one session only and lie in records. */
#ifndef TUIMAIL_STORE_LEDGER_H
#define TUIMAIL_STORE_LEDGER_H

#include "store/db_int.h"

#define HEAD_MAX 32
#define UIDL_MAX 1024

struct listed {
    uint64_t size, id; /* id: ledger entry, 0 until matched */
    uint64_t uidl;     /* where it is in pop.uidls */
    uint32_t head;     /* 1 + where in pop.heads; 0: not looked at */
    uint8_t state;     /* enum pop_state */
    bool here : 1;     /* there is a message of that number */
    bool again : 1;    /* its UIDL is not alone: all of them are matched at the end */
    bool doubt : 1;
    bool unsure : 1; /* known by its UIDL alone, and that is not enough to delete it */
    bool sure : 1;   /* known by its header */
};
struct head {
    unsigned char n, id[HEAD_MAX];
};
struct pop {
    struct records list;  /* of struct listed, by number */
    uint32_t n, last;     /* messages; the greatest number */
    struct records heads; /* of struct head: of those that were looked at */
    uint32_t nheads;
    int uidls;        /* a file: u16 length + bytes, one after the other; -1: they are all in uidls_new */
    uint64_t written; /* so much is in it */
    struct buf uidls_new;
    struct records seen;  /* set of the entries that are listed */
    struct records twice; /* set of those among them that the same UIDL named twice */
    bool again;           /* any are `again` or `twice` */
    bool matched, ended;
};
#define POP_EACH(p, i) for (uint32_t i = 1; i <= (p)->last; i++)

const struct listed *listed_get(struct pop *, uint32_t number); /* until the next of either */
struct listed *listed_change(struct pop *, uint32_t number);
struct str listed_head(struct pop *, const struct listed *); /* "": it was not looked at */
void listed_head_is(struct pop *, struct listed *, struct str head);
/* Does the entry know its header? *same_r: it is that of the listed message. */
bool listed_has_head(struct db *, uint64_t id, const struct listed *, bool *same_r);
/* What a full disk did to the records is a failure of the transaction. */
bool listed_ok(struct db *);

#endif
