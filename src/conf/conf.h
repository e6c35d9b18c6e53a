/* conf: tuimailrc: the command language, the option table, accounts, secrets by command, checks.
 *
 * The file belongs to the user and is trusted, but may be wrong in any way: every complaint names file:line, the wrong
 * word and the nearest right one. conf runs the commands that a program without a screen needs (conf_commands: account,
 * set, saved, rule ...); bind, unbind, macro, on and color are kept as parsed lines for `ui`, which owns their tables,
 * and checked by cmd/. Blocks only to read files, and to write those that a function names. */
#ifndef TUIMAIL_CONF_H
#define TUIMAIL_CONF_H

#include "base/base.h"

/* ---- The language: shared by tuimailrc, the `:` prompt, bindings, hooks and `tuimail cmd` ------- */
/* A command a line; words are separated by blanks; "..." with \" \\ \n \t \e, '...' literally, both also inside a
 * word; # begins a comment at a word's start; a backslash at a line's end joins the next line (elsewhere outside
 * "..." it is itself); a ; that is a word of its own separates commands on one line. Text is UTF-8; CR before LF is
 * ignored. */
struct line {
    char **words; /* NUL-terminated words */
    size_t n;
    const char *file; /* borrowed */
    unsigned number;
    unsigned *columns; /* of each word, from 1, for carets */
};
#define LINE_MAX_BYTES 65536
/* Splits the first command off *rest; *number is the number of the line where *rest begins (1 at first). 1: a command
 * (free with line_fini); 0: nothing left; -1: err (ERR_CONFIG: an open quote, a control character, a line over 64 KiB);
 * *rest stands behind the bad line. */
int line_next(struct str *rest, const char *file, unsigned *number, struct line *line_r, struct err *);
void line_fini(struct line *);
/* Quotes a word so that line_next gives it back. */
void line_quote(struct str word, struct buf *out);

/* ---- Accounts and options ----------------------------------------------------------------------- */
enum proto { PROTO_NONE, PROTO_IMAP, PROTO_POP3, PROTO_SMTP, PROTO_MAILDIR, PROTO_SIEVE };
enum tls_mode { TLS_IMPLICIT, TLS_STARTTLS, TLS_NONE /* only as the user wrote tls = none */ };
struct endpoint {
    enum proto proto;
    enum tls_mode tls;
    char *user, *host; /* decoded from the URL */
    uint16_t port;
    char *path; /* maildir:PATH */
};
enum leave { LEAVE_KEEP, LEAVE_DELETE, LEAVE_DAYS };
#define LEAVE_DAYS_DEFAULT 14
/* Which mail of a live mailbox is kept on this machine whole, ahead of being read. */
enum cache_what { CACHE_HEADERS, CACHE_RECENT, CACHE_ALL };
struct cache_policy {
    enum cache_what what;
    unsigned days; /* CACHE_RECENT */
};
/* Values of all options; the fields are the options' names with - as _. Strings are "" and never NULL unless said; all
 * owned by the conf. */
struct account {
    char *name;                     /* [A-Za-z0-9._-]{1,64}, no . or - in front: it is a directory name too */
    struct endpoint in, out, sieve; /* sieve: PROTO_NONE where it is not set */
    char *from;                     /* "Name <addr>"; default: the user of the URL if it is an address */
    char *alternates;               /* further own addresses, blank or comma separated, with * */
    char *password_command, *password_file, *send_password_command, *send_password_file;
    bool keyring; /* secret-tool lookup service tuimail account NAME */
    char *tls; /* "auto": as the URL says; "none": no TLS for imap:, pop3:, smtp: URLs (loopback, or with insecure) */
    bool insecure;
    char *tls_ca_file, *tls_pin, *one_click_unsubscribe;
    char *tls_cert_file, *tls_key_file, *tls_key_command, *tls_key_password_command;
    char *tunnel, *send_tunnel, *sieve_tunnel; /* commands that carry the protocol in place of a connection of ours */
    char *token_command;                       /* prints an OAuth 2.0 access token */
    char *oauth_provider, *oauth_client_id, *oauth_client_secret_command, *oauth_flow, *oauth_scope, *oauth_auth_url,
        *oauth_token_url, *oauth_device_url, *oauth_redirect_url, *oauth_ca_file, *token_save_command;
    char *leave_text;
    enum leave leave;
    unsigned leave_days;
    char *delete_on_server, *fetch_order;
    uint64_t max_size;                                              /* bytes; 0: none */
    unsigned interval;                                              /* seconds between POP3 passes */
    unsigned connections;                                           /* IMAP: at most */
    char *archive, *sent, *drafts, *trash, *spam, *inbox, *snoozed; /* mailbox names; "" by role */
    char *signature, *signature_file;
    bool copy_sent;
    bool send_id, make_mailboxes, rule_claim;
    char *mailboxes; /* shown ones, "" all */
    char *cache_text;
    struct cache_policy cache;
    uint64_t cache_size;    /* bytes of cached mail; 0: no limit */
    bool offline;           /* not connected before the user says so */
    const char *defined_in; /* "file:line" for messages */
};
/* saved NAME QUERY [-account ACCOUNT]; account "" is all. */
struct saved {
    char *name, *query, *account;
    bool own; /* of the file of option saved-file */
};
/* A change of an own one: PUT a query (account "" or NULL: of all), DROP, RENAME to `query`, MOVE `by` places. */
struct saved_change {
    enum { SAVED_PUT, SAVED_DROP, SAVED_RENAME, SAVED_MOVE } what;
    const char *name, *query, *account;
    int by;
};
/* rule QUERY [-account ACCOUNT] [-tagged] [-folder MAILBOX] [-tag TAG]... [-untag TAG]... [-read] [-flag] [-stop]: what
 * happens to new mail that matches; tags: "+x -y", blank separated. */
struct rule {
    char *query, *account, *folder, *tags;
    bool tagged; /* when a tag that the query names is set or taken off, too */
    bool read, flag, stop;
    const char *defined_in;
};
#define RULE_TAGS_MAX 1024
/* tag-keyword TAG KEYWORD|-local [-account ACCOUNT]; keyword "": the tag stays here; account "" is all. */
struct tag_keyword {
    char *tag, *keyword, *account;
};
/* What the rules that match a message come to, taken in their order: a later -folder or word about a tag counts, and
 * after -stop nothing does. */
struct rule_effect {
    const char *folder;       /* NULL: it stays where it is */
    char tags[RULE_TAGS_MAX]; /* "+x -y" */
    bool read, flag, stop;
    const struct rule *last;  /* the last that matched, NULL none */
    const struct rule *filed; /* whose folder it is */
    size_t from;              /* of what it is the continuation */
};
/* All that came up, each once; [0] is nothing. */
struct rule_effects {
    struct rule_effect *list;
    size_t n, cap;
};
/* mailbox ACCOUNT MAILBOX cache POLICY, sort ORDER, or rules yes|no: what differs in one mailbox, or with * in several;
 * the last line that fits counts. */
struct mailbox_setting {
    char *account, *mailbox, *cache_text, *sort; /* the last two NULL where they are not set */
    struct cache_policy cache;
    bool rules, has_rules; /* has_rules: it is set */
    const char *defined_in;
};
/* alias NAME ADDRESS[, ADDRESS...] */
struct alias {
    char *name, *value;
};

/* ---- Columns of a list ---------------------------------------------------------------------------- */
enum column_kind {
    COLUMN_NUMBER,
    COLUMN_STATE,
    COLUMN_DATE,
    COLUMN_FROM,
    COLUMN_ADDRESS,
    COLUMN_TO,
    COLUMN_SUBJECT,
    COLUMN_TAGS,
    COLUMN_SIZE,
    COLUMN_LIST,
    COLUMN_ACCOUNT,
    COLUMN_MAILBOX,
    COLUMN_MARKS,
    COLUMN_COUNT
};
extern const char *const column_names[COLUMN_COUNT + 1]; /* NULL at the end */
struct column {
    enum column_kind kind;
    unsigned width; /* columns; 0: by what it holds */
    bool percent;   /* width is a part of the list's */
};
struct columns {
    struct column list[COLUMN_COUNT];
    unsigned n;
};
/* "state date from:25% subject": names with widths or without, each once, in the order of the screen. ERR_CONFIG. */
bool columns_parse(const char *text, struct columns *columns_r, struct err *);

struct conf {
    char *file; /* the file read, "" none */
    struct account *accounts;
    size_t naccounts;
    struct saved *saved;
    size_t nsaved;
    struct rule *rules; /* in order */
    size_t nrules;
    struct mailbox_setting *mailboxes;
    size_t nmailboxes;
    struct tag_keyword *tag_keywords;
    size_t ntag_keywords;
    struct alias *aliases;
    size_t naliases;
    struct line *ui_lines; /* bind, unbind, macro, on, color: for cmd/ and ui/, in order */
    size_t nui_lines;
    char **files; /* all files read, in order: owns what struct line.file and defined_in point to */
    size_t nfiles;
    /* global options */
    char *store, *state_dir, *editor, *mailcap, *browser, *theme, *keys, *date_format, *attribution, *index_database,
        *layout, *ascii, *arrow_cursor, *download_dir, *gpg, *notify, *list_format, *list_view, *sort, *group, *bidi;
    char *auto_advance, *alias_file, *rule_file, *address_book, *query_command, *saved_file, *search_order;
    char *server_search; /* off, ask or auto */
    bool server_fuzzy;
    struct columns columns; /* of list_format */
    bool ask_headers, ambiguous_wide, mark_seen, confirm_quit, accessible, mouse, fold_threads, threads_across,
        threads_by_subject;
    unsigned undo_send, purge_hold, list_ratio, list_height, pager_index_lines, sidebar_width, wrap, prefetch, timeout,
        connect_timeout, read_delay, log_level, confirm_result, escape_time;
};
#define CONF_MAX_BYTES (1u << 20) /* of one file */
#define CONF_MAX_DEPTH 8          /* of source */
#define CONF_MAX_FILES 64
/* file NULL: $XDG_CONFIG_HOME/tuimail/tuimailrc, else ~/.tuimailrc, else an empty conf. False with the first error
 * (ERR_CONFIG; ERR_PERMISSION for a file of another user or one that others may write) and *conf_r untouched; `all` (or
 * NULL) gets every complaint, a line each "file:line: error: ..." or "file:line: warning: ...", for `tuimail check`. */
bool conf_load(const char *file, struct conf **conf_r, struct buf *all, struct err *);
/* The same for checking: *conf_r is set also where there are errors (then without what they concern); NULL only where
 * there is no home. */
bool conf_load_anyway(const char *file, struct conf **conf_r, struct buf *all, struct err *err);
/* A file of lines, for `source` at the prompt: refused as conf_load does, at most CONF_MAX_BYTES. */
bool conf_read(const char *path, struct buf *text, struct err *);
struct conf *conf_defaults(void);
void conf_free(struct conf **);
struct account *conf_account(const struct conf *, const char *name); /* NULL where unknown */
/* Runs one command line of the language against the conf (the `:` prompt's set). A change that the check of the whole
 * refuses is undone. */
bool conf_run(struct conf *, const struct line *, struct err *);
/* value NULL: there is none of that name any more. ERR_CONFIG as for the command. */
bool conf_alias_set(struct conf *, const char *name, const char *value, struct err *);
/* Where aliases are kept and read from (option alias-file), the caller's; NULL where there is no home. */
char *conf_alias_file(const struct conf *, struct err *);
char *conf_rule_file(const struct conf *, struct err *); /* the same for rules */
/* A rule's line (of the language, without its end) is run and added to the file of option rule-file, which is read
 * behind tuimailrc. Waits for the disk. ERR_CONFIG as for the command. */
bool conf_rule_keep(struct conf *, struct str line, struct err *);
/* The newest rule that says the same as this line is one no more. ERR_USAGE: there is none. */
bool conf_rule_drop(struct conf *, const struct line *, struct err *);
/* The same for a rule of the file of option rule-file: its line is taken out. ERR_USAGE where it is no more there.
 * Waits for the disk. */
bool conf_rule_unkeep(struct conf *, struct str line, struct err *);
/* By its name; NULL where there is none. */
const struct saved *conf_saved(const struct conf *, struct str name);
/* Where own saved searches are kept (option saved-file), the caller's; NULL where there is no home. */
char *conf_saved_file(const struct conf *, struct err *);
/* The file is read again, changed and written; where that fails, all stays as it is. Those of tuimailrc are refused
 * (ERR_USAGE). Waits for the disk. */
bool conf_saved_change(struct conf *, const struct saved_change *, struct err *);
/* headers, all, "recent DAYS". */
bool cache_policy_parse(const char *text, struct cache_policy *policy_r);
/* "*" in `pattern` stands for any run of characters; ASCII case is ignored. At worst the product of the two lengths. */
bool glob_match(struct str pattern, struct str s);
/* What holds for a mailbox, by its name as shown. */
struct cache_policy conf_cache(const struct conf *, const struct account *, struct str mailbox);
#define CONF_SORT_ORDERS                                                                                               \
    "date arrival from subject size activity reverse-date reverse-arrival reverse-from reverse-subject reverse-size "  \
    "reverse-activity"
const char *conf_sort(const struct conf *, const char *account, struct str mailbox); /* one of CONF_SORT_ORDERS */
/* Is `name` one of conf_commands: does conf_run run it, or keep it for ui? */
bool conf_is_command(const char *name);
extern const char *const conf_commands[]; /* their names, NULL-terminated */
/* What a program of libexec is started with: -c FILE (without it, or with "": the defaults) --store DIR and, where
 * `account` is true, the account's name; in the environment the options that were set since. Strings are argv's; conf
 * is the caller's (NULL where false). ERR_USAGE, and what conf_load says. */
struct conf_program {
    const char *config, *store, *account; /* config: "" where there is none */
    bool search;                          /* --search: of an account's program */
    struct conf *conf;
};
bool conf_program(int argc, char **argv, bool account, struct conf_program *, struct err *);
/* Root of the store: the --store argument, else option store, else $XDG_DATA_HOME/tuimail. Caller owns; NULL with *err.
 */
char *conf_root(const struct conf *, const char *store_arg, struct err *);

/* "imaps://alice@imap.example.org:993" and the like into *endpoint_r (endpoint_fini frees). The user is
 * percent-decoded, and all up to the last @ is the user; a host is a name in ASCII (A-labels), an IPv4 address or an
 * IPv6 address in []. CR, LF, NUL and other control characters are refused also in their %xx form, and so is a
 * password. URL_SUBMISSION: smtp, smtps; URL_SIEVE: sieve, sieves; else imap, imaps, pop3, pop3s, maildir. */
enum url_for { URL_INCOMING, URL_SUBMISSION, URL_SIEVE };
bool endpoint_parse(const char *url, enum url_for, struct endpoint *endpoint_r, struct err *);
void endpoint_fini(struct endpoint *);
void endpoint_format(const struct endpoint *, struct buf *out); /* endpoint_parse gives it back */
const char *proto_name(enum proto);
bool host_is_loopback(const char *host);
bool account_copies_sent(const struct account *); /* copy-sent, unless the submission server does it */

/* ---- Own addresses ------------------------------------------------------------------------------ */
/* The bare address of option from (or of the URL's user where that is an address); "" where unknown. */
void account_address(const struct account *, struct buf *out);
/* The display name of option from; "" where none. */
void account_realname(const struct account *, struct buf *out);
/* Is `addr` (hostile) an address of this account: from, or an alternate ("*" stands for any run of characters)? ASCII
 * case is ignored. */
bool account_owns(const struct account *, struct str addr);
/* All of them, one a line (what VIEW's `self` wants). */
void account_addresses(const struct account *, struct buf *out);
/* The first account that owns the address, NULL where none. */
struct account *conf_account_owning(const struct conf *, struct str addr);

/* ---- The option table: one row per option, everything else (help, completion, man page, sample, check) comes from it
 * ---- */
enum opt_type {
    OPT_STR,
    OPT_BOOL,    /* yes no (on off true false 1 0) -> bool */
    OPT_UINT,    /* -> unsigned */
    OPT_SIZE,    /* bytes, K M G -> uint64_t */
    OPT_TIME,    /* seconds, s m h d w -> unsigned */
    OPT_CHOICE,  /* one of the choices -> char * */
    OPT_CHOICES, /* some of the choices, blank separated -> char * */
    OPT_INDEX,   /* one of the choices -> unsigned, its place */
    OPT_PATH,    /* a leading ~/ is expanded -> char * */
    OPT_COMMAND, /* for /bin/sh -c -> char * */
    OPT_ADDRESS, /* "Name <addr>" -> char * */
    OPT_URL,     /* of what `min` says (enum url_for) -> struct endpoint */
    OPT_LEAVE,   /* keep, delete, "days N" -> leave_text, leave, leave_days */
    OPT_COLUMNS, /* -> list_format, columns */
    OPT_CACHE,   /* headers, all, "recent N" -> cache_text, cache */
};
enum opt_scope { OPT_GLOBAL, OPT_ACCOUNT };
/* When a value that is set while tuimail runs acts. */
enum opt_acts {
    ACTS_SCREEN,     /* at once: the screen alone reads it */
    ACTS_STORE,      /* at once: the store reads it, and the programs that are started from now on */
    ACTS_CONNECTION, /* at once: the connections are made anew */
    ACTS_START,      /* when tuimail starts: it is refused */
};
struct option {
    const char *name;
    enum opt_type type;
    enum opt_scope scope;
    enum opt_acts acts;
    size_t at;       /* offset in struct conf or struct account */
    const char *def; /* in the language */
    uint64_t min, max;
    const char *choices;            /* blank separated */
    const char *unit, *help, *more; /* one line; a paragraph */
};
extern const struct option conf_options[];
extern const size_t conf_noptions;
/* ---- settings.c: options set since tuimailrc was read, for the programs that read it for themselves ---- */
#define SETTINGS_ENV "TUIMAIL_SETTINGS" /* the variable in which a program of libexec gets them */
#define SETTINGS_MAX 65536
#define SETTING_LINE_MAX 4096
/* The option that a line of set or unset is about, NULL none; its account ("") where account_r is not NULL. */
const struct option *setting_option(const struct line *, const char **account_r);
/* A line of set or unset that was accepted is added to the others, in the place of that about the same option. False
 * with ERR_LIMIT. */
bool settings_add(struct buf *settings, const struct line *, struct err *);
/* All of them; what fits no more, because the file is another by now, is logged. */
void settings_run(struct conf *, struct str settings);
/* Is the rule one of this account? */
bool rule_fits(const struct rule *, const char *account);
bool conf_has_rules(const struct conf *, const char *account);
/* Does the rule run when these tags ("+x -y") were changed? It has -tagged, and its query names one of them, or none at
 * all, or some by a pattern. */
bool rule_heeds(const struct rule *, struct str tags);
bool conf_rules_heed(const struct conf *, const char *account, struct str tags); /* does any? */
/* Do the rules run over new mail of this mailbox (as the list shows its name), beside INBOX? */
bool conf_rules_in(const struct conf *, const char *account, struct str mailbox);
/* Do rules of the account ask for more of a mail than an IMAP server tells for its list: its text, its attachments, or
 * fields of its header that no list shows? */
bool conf_rules_read_text(const struct conf *, const char *account);
/* ---- keyword.c: tags, and the keywords of an IMAP server that stand for them ---- */
#define TAG_MAX 200         /* bytes */
#define TAG_KEYWORD_MAX 100 /* bytes; a longer one is no keyword */
/* What the rules have been run over, for the other devices: no tag. */
#define RULED_KEYWORD "$tuimailRuled"
/* One word that can be a tag: UTF-8 without blanks and controls, no sign in front, at most TAG_MAX. */
bool tag_is(struct str tag);
/* Tags that follow flags, places or the index: never stored by name nor sent as keywords. */
bool tag_reserved(struct str tag);
/* The lines tag-keyword of one account: good until the conf changes. */
struct tag_names {
    const struct tag_keyword *list;
    size_t n;
    const char *account;
};
struct tag_names conf_tag_names(const struct conf *, const char *account);
/* The keyword of a tag, appended; false where it has none and stays here. tag_of_keyword gives the tag back (its case
 * too, as far as the server keeps that). */
bool tag_to_keyword(const struct tag_names *, struct str tag, struct buf *out);
/* The tag of a keyword (hostile), appended; false where it is none: a flag, a word of other programs, or one that
 * cannot be a tag. */
bool tag_of_keyword(const struct tag_names *, struct str keyword, struct buf *out);
/* "+x -y" of tags as "+x -y" of keywords; what is taken off has all forms in which it may be there. */
void tags_to_keywords(const struct tag_names *, struct str words, struct buf *out);
bool rule_does(const struct rule_effect *); /* anything at all */
void rule_add(struct rule_effect *, const struct rule *);
/* Index of the effect `from` followed by a rule; the same for the same. Pointers into the list are void then. */
size_t rule_effect_with(struct rule_effects *, size_t from, const struct rule *);
void rule_effects_free(struct rule_effects *);
/* The fields that queries of rules and saved searches ask for by header:NAME, one a line, each once. */
void conf_query_headers(const struct conf *, struct buf *out);
const struct option *option_find(const char *name);
/* The option `name`, and the account that has it: of one named by set -a (account NULL: by set alone). False with the
 * words for who typed it (`command` is that which was typed): no such account or option, or the other kind of one. */
bool option_target(struct conf *, const char *command, const char *account, const char *name,
                   struct account **account_r, const struct option **option_r, struct err *err);
/* The present value in the language's form. account: not NULL for an option of an account. */
void option_get(const struct conf *, const struct account *, const struct option *, struct buf *out);
bool option_set(struct conf *, struct account *, const struct option *, const char *value, struct err *);
const char *option_type_name(enum opt_type);
/* Nearest name for "did you mean", or NULL. `names` NULL-terminated. */
const char *near_word(const char *word, const char *const *names);

/* ---- Secrets: by command, keyring, file (0600, ours, no symlink); the prompt is the ui's -------- */
/* How an account proves who its user is. */
enum login {
    LOGIN_NOTHING,     /* none: no user in the URL, or a tunnel that is expected to have done it */
    LOGIN_PASSWORD,    /* from a command, file, keyring, or typed */
    LOGIN_TOKEN,       /* an OAuth 2.0 access token (RFC 6750, 7628) */
    LOGIN_CERTIFICATE, /* the client certificate of its TLS: SASL EXTERNAL (RFC 4422 A) */
};
/* The account's own login serves for SERVICE_SIEVE too: its user where that URL names none, and its password, token or
 * certificate. */
enum login account_login(const struct account *, enum service);
const struct endpoint *account_endpoint(const struct account *, enum service);
const char *account_user(const struct account *, enum service);   /* "" or NULL: no login */
const char *account_tunnel(const struct account *, enum service); /* the command, "" where there is none */
bool account_has_oauth(const struct account *); /* option oauth-provider: its tokens come from libexec/oauth */

/* What only `spawn` may get for another program: it comes as an fd, which passes through `store` unread. */
enum need {
    NEED_LOGIN,        /* password or access token: one line */
    NEED_KEY,          /* private key of the client certificate: PEM, to the end */
    NEED_KEY_PASSWORD, /* that of the key: one line */
    NEED_TUNNEL,       /* the tunnel command's standard input and output, as one socket */
    NEED_REFRESH,      /* spawn's own: the refresh token: one line */
    NEED_CLIENT,       /* spawn's own: the OAuth client's secret: one line */
    NEED_COUNT
};
/* Starts what the account says and returns its output (a pipe, a socket, or the file; the caller closes it), not
 * waiting for the command (*pid_r: leader of its group, to be reaped; 0 where there is none). `err_fd` becomes the
 * command's standard error; -1: /dev/null. *end_r (or NULL): a duplicate of the command's end of the fd, so that the
 * other one sees its end only when the caller has closed this too; -1 where there is none. ERR_SECRET with an empty
 * text: nothing is configured, ask the user. A secret never passes through the memory of the process that calls this.
 */
bool secret_source(const struct account *, enum service, enum need, int err_fd, int *fd_r, int *end_r, pid_t *pid_r,
                   struct err *);
/* Gives a new refresh token to what keeps it: token-save-command or the keyring's program (its standard input; *pid_r
 * is to be reaped, its end with status 0 means kept), else password-file, replaced at once with mode 0600 (*pid_r 0).
 * ERR_CONFIG where the account says no place for one. `token` stays the caller's. */
bool secret_keep(const struct account *, const struct secret *token, int err_fd, pid_t *pid_r, struct err *);
/* For `tuimail check`: would secret_source open the files of passwords and keys? Complaints as conf_load's. A file that
 * `tuimail login` is to write need not be there yet. */
bool secret_check_files(const struct conf *, struct buf *all);
/* Is there a place where secret_keep would put it? ERR_CONFIG says how to name one. */
bool secret_keepable(const struct account *, struct err *);

/* ---- OAuth 2.0 (oauth.c) ------------------------------------------------------------------------ */
/* The provider's row with the account's own options over it. Strings are borrowed from the account or static. */
struct oauth {
    const char *auth_url, *token_url, *device_url; /* https, host and path checked; "" where the provider has none */
    const char *scope, *client_id, *redirect_url, *ca_file;
    const char *auth_extra; /* further parameters of the authorization request, "&a=b" or "" */
    bool device;            /* the device flow rather than the code flow */
};
/* ERR_CONFIG: no client id, a flow that the provider lacks, a URL that is not https. */
bool account_oauth(const struct account *, struct oauth *oauth_r, struct err *);
/* Host and port of an https URL, of http where `plain` (a loopback redirect). False for anything else. */
bool https_parse(const char *url, bool plain, char host_r[256], uint16_t *port_r);

#endif
