/* What `tuimail export` and `tuimail import` share: the store with its accounts, and the program archive, which alone
 * touches the bytes of mails. */
#ifndef TUIMAIL_CLI_ARCHIVE_H
#define TUIMAIL_CLI_ARCHIVE_H

#include "cli/cli.h"
#include "client/client.h"
#include "store/read.h"

struct desk_account {
    const struct account *conf;
    struct reader *reader;
    bool imap, wants_secret;
    enum account_state state; /* as the store said last */
    uint32_t queued;          /* changes that are not on the server */
    char text[400];
};
struct desk {
    struct cli *cli;
    struct client *client;
    struct desk_account *accounts; /* of tuimailrc, in its order */
    size_t n;
    struct open_role role; /* archive */
    uint32_t req;          /* the last number given */
    const char *does;      /* "export" or "import" */
    bool tty;              /* progress goes to stderr */
    int64_t said;          /* monotonic: progress was shown last */
};
/* Connects to the store; aside: no account has to be connected. From here on Ctrl-C, SIGTERM and a
 * screen that ends it (:jobs) only set what desk_stopped() tells. */
bool desk_open(struct desk *, struct cli *, const char *does, bool aside, struct err *);
void desk_close(struct desk *); /* also one that was not opened */
bool desk_stopped(void);
/* Waits until the account's rows are those of its files and the server, as far as that can be had now: without a line
 * it says so on stderr and goes on. index: until the search knows them too. */
bool desk_settle(struct desk *, struct desk_account *, bool index, struct err *);
/* Notes what a message of the store says of accounts, and that it is to stop: of one that did not come by
 * desk_receive. */
void desk_note(struct desk *, const struct msg *);
/* One message of the store, after what it says of accounts was noted: 1; 0: none until the deadline, or stopped; -1
 * with *err: the store ended. */
int desk_receive(struct desk *, int64_t deadline_ms, struct msg *msg_r, struct err *);
/* Waits for INTENT_OK of `req`; others are dropped. */
bool desk_answer(struct desk *, uint32_t req, struct msg *msg_r, struct err *);
/* Can mails that are on the server alone be had? */
bool desk_line(const struct desk_account *);
/* Starts the program archive. */
bool desk_role(struct desk *, const char *what, const char *path, struct err *);
/* Its next message; false with *err where it broke off. */
bool desk_role_receive(struct desk *, struct msg *msg_r, struct err *);
/* "WHAT DONE of TOTAL", on a terminal and in the screens' lists of jobs, four times a second. */
void desk_progress(struct desk *, const char *what, uint64_t done, uint64_t total);
void desk_progress_end(struct desk *);
/* A line on stderr, cleaned. */
void desk_say(struct desk *, const char *fmt, ...) PRINTF(2, 3);
/* Opens a file without a name in `dir`, for reading and writing; -1 with *err. */
int desk_temporary(const char *dir, struct err *);

#endif
