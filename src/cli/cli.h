/* cli: the subcommands of `tuimail`: each talks to the running store or to a role program, as the screen does.
 *
 * Output is one of two: text, every byte of which that is not ours has passed the text gate, or JSON in valid UTF-8
 * with all control characters escaped (doc/THREATS 117). Complaints go to stderr as "tuimail: ..."; the exit status is
 * err_exit() of the error. */
#ifndef TUIMAIL_CLI_CLI_H
#define TUIMAIL_CLI_CLI_H

#include "base/base.h"
#include "conf/conf.h"
#include "ipc/ipc.h"

struct cli {
    struct conf *conf;      /* loaded; for CLI_NO_CONF commands NULL */
    const char *config;     /* the tuimailrc in use, absolute, or "" */
    const char *config_arg; /* the -c argument, or NULL */
    const char *store;      /* the --store argument, or NULL */
    const char *root;       /* conf_root()'s answer */
    bool offline;
    int argc; /* words after the subcommand */
    char **argv;
};
typedef int cli_fn(struct cli *);
enum cli_flags {
    CLI_NO_CONF = 1,  /* runs without reading a tuimailrc */
    CLI_ACCOUNTS = 2, /* needs at least one account */
};
struct subcommand {
    const char *name, *args;
    unsigned flags;
    const char *help; /* one line */
    const char *more; /* a paragraph for `tuimail help NAME` and tuimail(1) */
    cli_fn *run;
};
extern const struct subcommand cli_commands[];
extern const size_t cli_ncommands;
/* Parses the whole command line and runs it; returns an exit status of sysexits(3). */
int cli_main(int argc, char **argv);

cli_fn check_main, fetch_main, search_main, count_main, tag_main, address_main, rules_main, view_main, send_main,
    queue_main, demo_main, doctor_main, help_main, dump_main, login_main, cmd_main, export_main, import_main,
    sieve_main, index_main;

/* ---- Options of a subcommand -------------------------------------------------------------------- */
struct cli_opt {
    const char *name;   /* "--json", "-a" */
    const char **value; /* takes a value ("--limit 3", "--limit=3", "-a work"); NULL: a flag */
    bool *flag;
};
/* Takes the options out of cli->argv, wherever they stand; "--" ends them. ERR_USAGE names the nearest one. */
bool cli_options(struct cli *, const struct cli_opt *, size_t n, struct err *);
bool cli_number(const char *option, const char *value, uint32_t max, uint32_t *number_r, struct err *);
/* One of a blank-separated list; its place in *place_r. */
bool cli_choice(const char *option, const char *value, const char *choices, unsigned *place_r, struct err *);
/* The path from the root of the file system; "" stays. Caller owns; NULL with *err. */
char *cli_absolute(const char *path, struct err *);
/* The account of that name, or NULL with ERR_CONFIG and the nearest one. */
struct account *cli_account(const struct cli *, const char *name, struct err *);

/* Where the databases are; caller owns. */
char *cli_state(const struct conf *, const char *root);

/* ---- Output ------------------------------------------------------------------------------------- */
void out_text(struct buf *, struct str raw);  /* through the text gate, in one line */
void out_json(struct buf *, struct str raw);  /* a JSON string with its quotes */
#define CLI_JSON_VERSION 1                    /* of the objects of search, count and address: tuimail(1) */
void out_date(struct buf *, int64_t seconds); /* local time, "2026-11-22 14:02" */
/* Writes and empties `out`; false where stdout is gone. */
bool out_flush(struct buf *out);
int cli_fail(const struct err *); /* prints "tuimail: TEXT. HINT" to stderr; its exit status */

/* ---- Roles that a subcommand starts by itself --------------------------------------------------- */
struct open_role {
    struct chan *chan;
    pid_t pid;
};
bool role_open(const struct cli *, enum role, const char *account, struct open_role *role_r, struct err *); /* account:
                                                                                                             or NULL */
void role_close(struct open_role *); /* closes the channel, then kills and reaps */

/* ---- Asking search ------------------------------------------------------------------------------ */
struct question {
    const char *query;
    const char *account; /* "" all */
    struct str msgs;     /* packed ids: these of the account alone */
    bool all;            /* what is tagged deleted or spam, too */
    enum search_order order;
    uint32_t limit;  /* 0: none */
    uint32_t offset; /* so many are left out first */
};
/* Called for each hit; what it borrows is gone afterwards. False with *err ends it. */
typedef bool hit_fn(void *arg, const struct m_HIT *, struct err *);
/* Blocks until all hits have come; `search` is the channel of that role. ERR_QUERY: the query is broken. */
bool search_ask(struct chan *search, const struct question *, hit_fn *, void *arg, struct err *);
/* How many there are. */
bool search_count(struct chan *search, const struct question *, enum query_count, uint32_t *count_r, struct err *);
/* Appends the path of its file; nothing where it is not on this machine. */
void cli_hit_file(const struct cli *, const struct m_HIT *, struct buf *path);
/* Prints who sent what the query finds, or to whom it went: the part of `tuimail address` that is asked about mail
 * (tuimail(1)). */
enum address_unique { UNIQUE_ADDRESS, UNIQUE_MAILBOX, UNIQUE_NO };
enum address_format { ADDRESS_TEXT, ADDRESS_MUTT, ADDRESS_JSON };
struct senders {
    struct question question;
    enum address_unique unique;
    enum address_format format;
    bool count; /* how often each was met, too */
    bool sender, recipients;
    uint32_t most; /* so many are printed; 0: all */
};
bool senders_print(struct cli *, const struct senders *, bool *any_r, struct err *);
void put_address(struct buf *out, struct str name, struct str addr, enum address_format);
/* The words behind the options, as one query; ERR_LIMIT past 8 KB, ERR_USAGE where there is none. */
bool cli_query(const struct cli *, struct buf *query, struct err *);

/* Messages met, by Message-ID where they have one. */
bool found_add(struct str_set *, struct str account, uint64_t msg, struct str msgid); /* false: it was met before */
/* Asks the servers of q->account, or of all, and tells what they find beyond `found`, which it becomes part of. What
 * they cannot be asked is said on stderr. Blocks until they have answered. */
bool search_servers(const struct cli *, const struct question *, struct chan *search, struct str_set *found, hit_fn *,
                    void *arg, struct err *);

/* Adds what a mail from a script lacks and leaves out Bcc (pure). `raw` is hostile. rcpts: one
 * addr-spec a line. */
struct outgoing {
    struct buf message; /* RFC 5322 with CRLF */
    struct buf rcpts;
    char *from; /* first addr-spec of From; "" none */
};
bool outgoing_build(const struct account *, bool take_recipients, struct str raw, struct outgoing *, struct err *);
void outgoing_fini(struct outgoing *);

#endif
