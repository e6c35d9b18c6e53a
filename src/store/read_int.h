/* What the files of the reading side share. Private to src/store/read*.c. */
#ifndef TUIMAIL_STORE_READ_INT_H
#define TUIMAIL_STORE_READ_INT_H

#include <sys/stat.h>

#include "store/read.h"
#include "store/read_sql.h"

struct reader {
    struct sql q;
    char *account, *dir;
    bool open;
    unsigned held;     /* reader_hold */
    bool within;       /* and the transaction is begun */
    struct stat cache; /* the file that is open: the store may have set it aside */
    uint64_t opened;   /* how often; part of the version */
    struct arena *out; /* strings of the last rows */
};

/* Begins a read transaction, opening the databases if they are there by now. 1: ready; 0: no database yet; -1: *err. */
int read_begin(struct reader *, struct err *);
/* Ends it; rc of the last step. */
bool read_end(struct reader *, int rc, struct err *);
struct str read_str(struct reader *, struct str); /* a copy that lives until the next call */

/* The mailboxes meant by `box`: itself, or all of role inbox for 0. */
#define READ_BOXES_MAX 64
size_t read_boxes_of(struct reader *, uint64_t box, uint64_t ids[READ_BOXES_MAX], int *rc);
/* Keys from `from` on, in the order of the walk; the number found. */
struct sorted {
    enum list_order order;
    enum list_filter filter;
};
/* Over several mailboxes they are merged. `from` NULL: from the end. */
size_t read_keys_of(struct reader *, const uint64_t *boxes, size_t n, struct sorted, const struct row_key *from,
                    bool down, unsigned max, struct row_key *keys, int *rc);
/* Rows of the mailbox, filtered, by the counters. */
int64_t read_total(struct reader *, uint64_t box, enum list_filter, int *rc);
/* False with row_r->id 0: it is not there, or gone. */
bool read_box(struct reader *, uint64_t id, struct box_row *row_r, int *rc);
/* Appends the tags, blank separated. */
#define TAGS_MAX 4096
void read_tags(struct reader *, int64_t mh, int64_t fp, struct buf *out, int *rc);
/* Reads the row into *row (strings copied); row->id 0 where it is gone. */
void read_row(struct reader *, uint64_t id, struct msg_row *row, int *rc);

/* Ids from a statement of one column, then their rows; ends the transaction. `msgid` NULL: any. */
bool read_rows_by(struct reader *, sqlite3_stmt *, unsigned max, struct str msgid, msg_row_fn *, void *arg,
                  struct err *);

#define KEY_NEWEST ROW_KEY(INT64_MAX, INT64_MAX)
#define KEY_OLDEST ROW_KEY(INT64_MIN, 0)

#endif
