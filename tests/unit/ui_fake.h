/* A store for tests of the screen: the reading side's functions over rows in memory, and a peer that answers intents.
 */
#ifndef TESTS_UI_FAKE_H
#define TESTS_UI_FAKE_H

#include "ui/private.h"

struct fake_row {
    uint64_t id, box, thread, answers; /* thread 0: one of its own; answers: the id of another */
    int64_t date;
    uint32_t flags, attrs, state;
    const char *name, *addr, *to, *subject, *tags; /* borrowed */
    bool gone;
    uint64_t size;             /* 0: 1000 */
    const char *mail, *refers; /* its Message-ID where that is in several accounts; one of another account it answers */
};
struct fake_box {
    uint64_t id;
    const char *path;
    uint8_t role;
    uint32_t attrs;
};
struct reader { /* one per account; opened by name */
    const char *account;
    struct fake_row *rows;
    size_t n, cap;
    struct fake_box boxes[16];
    size_t nboxes;
    uint64_t version;
};
extern struct reader fake_accounts[2]; /* work, home */
void fake_reset(void);
void fake_add(struct reader *, struct fake_row); /* id 0: the next one */
void fake_mails(void);                           /* the fixed rows of the golden screens */
struct fake_row *fake_find(struct reader *, uint64_t id);

/* What lists are read through, without a ui. */
struct fake_lists {
    struct conf *conf;
    struct accts accts;
    struct changes changes;
};
void fake_lists_boxes(void); /* in place of all rows: INBOX (1) and Sent (2) of both accounts, empty */
void fake_lists_open(struct fake_lists *);
void fake_lists_close(struct fake_lists *);

/* A ui of the given size over the fake store, with the conf text; no terminal. */
struct fake_ui {
    struct conf *conf;
    struct loop *loop;
    struct client client;
    struct chan *store; /* the store's end */
    struct ui *ui;
    char root[40]; /* a directory of its own, the working directory meanwhile */
    int cwd;
};
void fake_open(struct fake_ui *, unsigned rows, unsigned cols, const char *config);
void fake_close(struct fake_ui *);
/* Lets both sides run until nothing is left to say. Answers INTENT (changing the rows), UNDO (REFUSED), OPEN (REFUSED).
 */
void fake_settle(struct fake_ui *);
void fake_type(struct fake_ui *, const char *keys);   /* names as in bind; settles and draws after each */
bool fake_shows(struct fake_ui *, const char *words); /* on the screen, drawn now; printed where it is not */
/* Compares the screen with tests/golden/ui/NAME: text with style names. TUIMAIL_GOLDEN=write writes it anew (look at
 * the difference before you keep it). */
void fake_golden(struct fake_ui *, const char *name);
/* The same with colours and attributes, as the theme has them, in place of styles. */
void fake_golden_looks(struct fake_ui *, const char *name);
unsigned fake_intents(void); /* how many came */
extern struct m_INTENT fake_last_intent;
extern bool fake_refuse;                 /* answer REFUSED */
extern const char *fake_text;            /* of all bodies */
extern bool fake_unindexed;              /* the index has not all that the databases have */
extern bool fake_body;                   /* answer OPEN with a body instead of REFUSED */
extern bool fake_hold;                   /* answer OPEN when fake_answer_open says so */
void fake_answer_open(struct fake_ui *); /* with a body, all that were held */
extern unsigned fake_cancels;
extern uint32_t fake_job_stops;  /* the job of the last one */
extern uint32_t fake_undone;     /* answer UNDO with so many messages; 0: REFUSED */
extern unsigned fake_count_most; /* rows that one piece of a count has at most */

#endif
