/* conf: tuimailrc: the command language, the option table, accounts, secrets by command, checks.
 *
 * The file belongs to the user and is trusted, but may be wrong in any way: every complaint names file:line, the wrong word and the
 * nearest right one. conf knows the commands that a program without a screen needs (account, set, unset, saved, rule, alias, source); `bind`,
 * `on`, `theme` and the like are kept as parsed lines for `ui`, which owns their tables, and checked by cmd/.
 * Blocks for reading the files only. */
#ifndef TUIMAIL_CONF_H
#define TUIMAIL_CONF_H

#include "base/base.h"

/* ---- The language: shared by tuimailrc, the `:` prompt, bindings, hooks and `tuimail cmd` -----------------------------
 * A command a line; words are separated by blanks; "..." with \" \\ \n \t \e, '...' literally; # begins a comment at a word's
 * start; a backslash at a line's end joins the next line; ; between blanks separates commands on one line. */
struct line {
    char **words; /* NUL-terminated words */
    size_t n;
    const char *file; /* borrowed */
    unsigned number;
    unsigned *columns; /* of each word, from 1, for carets */
};
/* Splits the first command off *rest (lines counted in *number). 1: a command (free with line_fini); 0: nothing left; -1: err (ERR_CONFIG: an
 * open quote, a control character, a line over 64 KiB); *rest stands behind the bad line. */
int line_next(struct str *rest, const char *file, unsigned *number, struct line *line_r, struct err *);
void line_fini(struct line *);
/* Quotes a word so that line_next gives it back. */
void line_quote(struct str word, struct buf *out);

/* ---- Accounts and options ---------------------------------------------------------------------------------------------- */
enum proto { PROTO_NONE, PROTO_IMAP, PROTO_POP3, PROTO_SMTP, PROTO_MAILDIR, PROTO_SENDMAIL };
enum tls_mode { TLS_IMPLICIT, TLS_STARTTLS, TLS_NONE /* only as the user wrote tls = none */ };
struct endpoint {
    enum proto proto;
    enum tls_mode tls;
    char *user, *host; /* decoded from the URL */
    uint16_t port;
    char *path;        /* maildir:PATH, sendmail:COMMAND */
};
enum leave { LEAVE_KEEP, LEAVE_DELETE, LEAVE_DAYS };
/* Values of all options; the fields are the options' names with - as _. Strings are "" and never NULL unless said; all owned by the conf. */
struct account {
    char *name; /* [A-Za-z0-9._-]{1,64}, not "." or "..": it is a directory name too */
    struct endpoint in, out;
    char *from;            /* "Name <addr>"; default: the user of the URL if it is an address */
    char *alternates;      /* further own addresses, blank or comma separated, with * */
    char *password_command, *password_file, *send_password_command, *send_password_file;
    char *keyring;         /* yes/no: secret-tool */
    char *tls_ca_file, *tls_pin;
    char *leave_text;
    enum leave leave;
    unsigned leave_days;
    uint64_t max_size;     /* 0: none */
    unsigned interval;     /* seconds between POP3 passes */
    char *archive, *sent, *drafts, *trash, *spam, *inbox; /* mailbox names; "" by role */
    char *signature, *signature_file;
    bool copy_sent;
    char *mailboxes;       /* shown ones, "" all */
    char *pgp_key;
    const char *defined_in; /* "file:line" for messages */
};
struct saved { char *name, *query, *account; };
struct conf {
    char *file;            /* the file read, "" none */
    struct account *accounts;
    size_t naccounts;
    struct saved *saved;
    size_t nsaved;
    struct line *ui_lines; /* bind, unbind, on, theme, color, alias ...: for cmd/ and ui/, in order */
    size_t nui_lines;
    /* global options */
    char *store, *state_dir, *editor, *pager, *mailcap, *browser, *theme, *keys, *date_format, *list_format, *attribution, *index_database, *layout, *html_command, *download_dir, *gpg, *sendmail;
    bool ambiguous_wide, mark_seen, auto_advance, bell, confirm_quit, save_sent, ascii, mouse;
    unsigned undo_send, purge_hold, list_ratio, sidebar_width, wrap, timeout, connect_timeout, read_delay, log_level;
};
/* file NULL: $XDG_CONFIG_HOME/tuimail/tuimailrc, else ~/.tuimailrc, else an empty conf. False with the first error; `all` (or NULL)
 * gets every complaint, a line each "file:line: ...", errors and warnings, for `tuimail check`. */
bool conf_load(const char *file, struct conf **conf_r, struct buf *all, struct err *);
struct conf *conf_defaults(void);
void conf_free(struct conf **);
struct account *conf_account(const struct conf *, const char *name); /* NULL where unknown */
/* Runs one command line of the language against the conf (the `:` prompt's set). */
bool conf_run(struct conf *, const struct line *, struct err *);
/* Root of the store: the --store argument, else option store, else $XDG_DATA_HOME/tuimail. Caller owns; NULL with *err. */
char *conf_root(const struct conf *, const char *store_arg, struct err *);

/* ---- The option table: one row per option, everything else (help, completion, man page, sample, check) comes from it ---- */
enum opt_type { OPT_STR, OPT_BOOL, OPT_UINT, OPT_SIZE, OPT_TIME, OPT_CHOICE, OPT_PATH, OPT_COMMAND, OPT_URL, OPT_LEAVE };
enum opt_scope { OPT_GLOBAL, OPT_ACCOUNT };
struct option {
    const char *name;
    enum opt_type type;
    enum opt_scope scope;
    size_t at;              /* offset in struct conf or struct account */
    const char *def;        /* in the language */
    uint64_t min, max;
    const char *choices;    /* blank separated */
    const char *unit, *help, *more; /* one line; a paragraph */
};
extern const struct option conf_options[];
extern const size_t conf_noptions;
const struct option *option_find(const char *name);
/* The present value in the language's form. */
void option_get(const struct conf *, const struct account *, const struct option *, struct buf *out);
bool option_set(struct conf *, struct account *, const struct option *, const char *value, struct err *);
/* Nearest name for "did you mean", or NULL. `names` NULL-terminated. */
const char *near_word(const char *word, const char *const *names);

/* ---- Secrets: by command, keyring, file (0600, ours, no symlink); the prompt is the ui's -------------------------------
 * Starts what the account says and returns the read end of a pipe or the file (fd, the caller closes), not waiting for the command
 * (*pid_r: the command to reap, 0 where none). ERR_SECRET with kind "nothing configured" (text empty) means: ask the user. Used by `spawn`
 * and headless commands; the secret never passes through their memory. */
bool secret_source(const struct conf *, const struct account *, bool submission, int *fd_r, pid_t *pid_r, struct err *);

#endif
