/* The parts of the ui that write mail, show and save parts, run other programs and ask gpg: what the rest of the ui
 * needs of them. */
#ifndef TUIMAIL_UI_EXTRA_H
#define TUIMAIL_UI_EXTRA_H

#include "ui/draft.h"
#include "ui/private.h"

/* ---- extra.c ---- */
struct extra; /* of one ui: what is loaded, composed, listed, running */
struct extra *extra_new(struct ui *);
void extra_free(struct ui *); /* drafts stay on the disk */
/* What of these is on the screen decides the context; false: nothing. */
bool extra_context(const struct ui *, enum cmd_context *context_r);
/* Draws over the rectangle of list and message. */
void extra_draw(struct ui *, struct rect);
/* A program has the terminal: neither draw nor read keys. */
bool extra_has_terminal(const struct ui *);
/* Unsent drafts of an earlier run, told by a note at the start. */
void extra_start(struct ui *);

/* ---- load.c: a message's document and bytes, without the message pane ---- */
/* doc: the callee's (doc_free), complete; NULL where it could not be had (a note said why). fd: the raw message, the
 * callee's; viewer: a `view` that has parsed it and answers VIEW_PART, the callee's (helper_end). */
typedef void loaded_fn(struct ui *, void *arg, struct doc *doc, int fd, struct helper *viewer);
/* One at a time: a second one ends the first, whose fn then gets no document. want: as in OPEN (ipc/messages.def):
 * what has to be on this machine of it; progress is in the status line. */
void ui_load(struct ui *, struct ref, const char *want, unsigned view_flags, loaded_fn *, void *arg);
void ui_load_end(struct ui *);
/* What the load that was just begun opens when it ends: the keys that follow are for that. */
enum load_awaits { LOAD_NOTHING, LOAD_PARTS, LOAD_EDITOR };
void ui_load_opens(struct ui *, enum load_awaits);
enum load_awaits ui_load_awaits(const struct ui *);
void ui_load_words(const struct ui *, struct buf *out); /* what is loaded, and how far */
int64_t ui_load_since(const struct ui *);               /* where there is one */
/* Decoded bytes of a part, from the viewer of a load, into a memory file at offset 0; -1 and a note where it fails. The
 * viewer's callback is taken over. */
typedef void part_fn(struct ui *, void *arg, int fd);
void ui_part(struct ui *, struct helper *viewer, uint32_t part, bool signed_bytes, part_fn *, void *arg);

/* ---- act.c: actions on more messages than go to the store at once ---- */
struct batch;
/* The next of those that still have some to send, from NULL on, with what is said of it; false: there is none. */
bool batches_next(const struct ui *, const struct batch **at, struct buf *words);
/* What is not sent yet of it, of all of them with NULL, is left as it is; false: nothing was. */
bool batches_stop(struct ui *, const struct batch *);
void batches_end(struct ui *); /* none looks for copies any more */

/* ---- gather.c: all messages of the list that is shown ---- */
struct gather_what {
    int64_t before; /* only those older than that; INT64_MAX: all */
    bool unread;    /* only those, beside what the list's own filter says */
};
struct gathered {
    struct refs refs;
    size_t unread, flagged;
};
/* What remains in `refs` behind the call is freed; `arg` is the callee's. */
typedef bool gathered_fn(struct ui *, void *arg, struct gathered *, struct err *);
/* Calls fn when they are read: before it returns, and returns what fn does, where that takes some milliseconds; else
 * later, with progress. Never, and `arg` is freed, where it is stopped, the list is left, or it cannot be read. One at
 * a time: a second one ends the first. */
bool ui_gather(struct ui *, struct gather_what, gathered_fn *, void *arg, struct err *);
bool ui_gather_stop(struct ui *); /* by the user; false: none is under way */
void ui_gather_left(struct ui *); /* another list is shown */
void ui_gather_end(struct ui *);
void ui_gather_words(const struct ui *, struct buf *out);
/* find.c: asks the index for all that the list finds, none of which the list keeps; NULL: that is not wanted any more.
 * Then ui_gather_told. */
bool ui_search_all(struct ui *, const struct list *, struct refs *into);
void ui_gather_told(struct ui *, bool all);

/* ---- transfer.c: mail to another account ---- */
/* One after the other each is had whole and saved there; those to be moved go to Trash when they are. `refs` is the
 * callee's. */
void ui_transfer(struct ui *, struct refs *refs, const struct action *);
void ui_transfer_end(struct ui *);
bool ui_transfer_stop(struct ui *); /* by the user: what is there stays; false: none is under way */
void ui_transfer_words(const struct ui *, struct buf *out);
/* The next undo takes back what the store knows as this deed, or what is none of the store's; parts of one deed are one
 * step. deed 0: one by itself. */
#define UNDO_ONCE 0x80000000u /* only a new action does it again */
#define UNDO_ALIAS 0x40000000u
#define UNDO_RULE 0x20000000u
#define UNDO_SAVED 0x10000000u
#define UNDO_MAIL 0x08000000u /* of the store, beside what is not */
void ui_undo_step(struct ui *, unsigned what, uint64_t deed);

/* ---- alias.c ---- */
void alias_free(struct ui *);
void alias_undo(struct ui *, bool redo);

/* ---- saved.c ---- */
void saved_free(struct ui *);
void saved_undo(struct ui *, bool redo); /* what was deleted */

/* ---- listmenu.c ---- */
void listmenu_free(struct ui *);
bool listmenu_key(struct ui *, ckey); /* in POPUP_LIST */

/* ---- query.c: addresses from vCard files and the query command ---- */
struct founds;
void query_start(struct ui *);
/* Adds what is known of `prefix`, and asks for more; ui_prompt_more when that is here. */
void query_addresses(struct ui *, struct str prefix, struct founds *);
void query_free(struct ui *);

/* ---- sieve.c, rule.c, rule_kept.c ---- */
bool rule_undo(struct ui *, bool redo, struct err *); /* false: not yet, it stays the next one */
void rules_kept_free(struct ui *);
void scripts_free(struct ui *);
bool scripts_key(struct ui *, ckey); /* in POPUP_SCRIPTS */
void rule_free(struct ui *);
bool rule_key(struct ui *, ckey); /* in POPUP_RULE */

/* ---- remote.c: what the servers find ---- */
/* Asks the accounts that a list of hits is about for its query; what they find becomes hits of it. One at a time. */
bool remote_search(struct ui *, struct list *, struct err *);
void remote_auto(struct ui *);                        /* a search was entered: where option server-search says so */
void remote_forget(struct ui *, const struct list *); /* the list goes, or asks something else; NULL: any */
bool remote_stop(struct ui *);                        /* by the user; false: none is under way */
bool remote_runs(const struct ui *);
bool remote_asks(const struct ui *, const struct list *); /* for this list */
void remote_indexed(struct ui *);                         /* the index has all rows */
/* find.c: the prompt of a search, as `search` has it, then `entered`. */
void ui_ask_search(struct ui *, const char *label, void (*entered)(struct ui *));
void remote_words(const struct ui *, struct buf *out); /* what is asked, and how far; nothing: none is under way */

/* ---- tool.c: other programs ---- */
enum tool_where { TOOL_TERMINAL /* has the terminal until it ends */, TOOL_BEHIND /* no terminal; output is kept */ };
/* status: of wait(2), -1 where it could not be started; output: TOOL_BEHIND's stdout and stderr, at most 1 MiB. */
typedef void tool_fn(struct ui *, void *arg, int status, struct str output);
/* /bin/sh -c COMMAND with `args` as "$1", "$2" ...: the command is the user's own text, the arguments are data.
 * stdin_fd: -1 for the terminal or nothing; it is duplicated. arg: NULL, or of the heap and freed behind the call of
 * tool_fn, or without that when the ui ends. False with a note where it cannot start or another one runs: arg is the
 * caller's then. */
bool ui_tool(struct ui *, enum tool_where, const char *command, const char *const *args, int stdin_fd, tool_fn *,
             void *arg);
/* The same without a shell: argv[0] is looked up in PATH. */
struct tool_fds {
    int in;      /* its stdin, -1 as for ui_tool */
    int keep[2]; /* its fds 3 and 4, -1 none */
};
bool ui_tool_argv(struct ui *, enum tool_where, const char *const *argv, struct tool_fds, tool_fn *, void *arg);
void ui_tool_end(struct ui *); /* at the end of the program: forgets it */

/* ---- compose.c, compose_begin.c ---- */
struct compose;
void compose_free(struct compose **);
void compose_draw(struct ui *, const struct compose *, struct rect);
char *compose_new_path(struct ui *); /* of a draft file, newer than all others; NULL with a note */
/* Shows the draft in the file, in a buffer of its own; `path` is the callee's. False: it stays a file, for it cannot be
 * read (a note says why). */
bool compose_reopen(struct ui *, char *path);

/* ---- attach.c: files to attach ---- */
/* A regular file that can be read now, or -1 with *err before anything is built (THREATS 153). `typed` may begin with
 * ~. */
int attach_open(struct str typed, struct err *err);
struct str attach_name(struct str path);    /* its last component, part of `path` */
const char *attach_type(struct str name);   /* media type by the name's suffix */
enum err_kind attach_err(int errnum);       /* of a path that the user wrote */
const char *attach_suffix(struct str type); /* ".html"; "" where none is usual */

/* ---- held.c: the drafts of mails in the outbox ---- */
/* The mail is in the outbox under this number: its draft waits until the server took it. False where it cannot be
 * renamed. */
bool held_keep(struct ui *, const char *draft, const char *account, uint64_t out);
/* The store tells of an outbox entry: the draft of a mail that is sent or discarded goes, of one that is taken back it
 * is a draft again, of one that is refused it waits. True where a note told the user. */
bool held_outbox(struct ui *, const struct m_OUTBOX *);
/* Takes a mail of the outbox back, to be written on. */
bool held_take_back(struct ui *, const char *account, uint64_t out, struct err *);
bool held_has(struct ui *, const char *account, uint64_t out); /* there is a draft to go on with */
/* Takes back the newest refused mail that has a draft; false where there is none. */
bool held_recall(struct ui *, struct err *);
void held_ask_discard(struct ui *, const char *account, uint64_t out);
void held_send_again(struct ui *, const char *account, uint64_t out);
void held_start(struct ui *); /* the same for what happened while no ui ran */

/* ---- parts.c ---- */
struct parts;
void parts_free(struct ui *, struct parts **);
void parts_draw(struct ui *, const struct parts *, struct rect);

/* ---- crypto.c: gpg ---- */
/* The message pane shows a message: verifies a signature behind, tells how to decrypt. */
void crypto_shown(struct ui *);
void crypto_free(struct ui *);
/* The verdict's line for the message that is shown: our own place, which no mail can write to (THREATS 122). NULL:
 * none. */
const char *crypto_banner(const struct ui *, bool *bad_r);

struct extra {
    struct load *load;
    struct tool *tool;
    struct compose *compose;
    struct parts *parts;
    struct crypto *crypto;
    struct transfer *transfer;
    struct gather *gather;
    struct remote *remote;
    struct batch *batches;             /* act.c: actions that have not ended */
    void (*asked_server)(struct ui *); /* what Enter does at the prompt of a search beside the search; NULL */
    struct alias_log *aliases;
    struct saved_log *saved;
    struct list_menu *listmenu;
    struct scripts *scripts;
    struct rule_draft *rule;
    struct rules_kept *rules;
    struct queries *queries;
    struct buf settings;    /* options that other programs read, set since the start */
    struct helper *leaving; /* asks a list's host */
    bool terminal_taken;
    bool unsending;    /* the user takes last_out back */
    bool discarding;   /* the user discards last_out */
    uint64_t last_out; /* outbox entry of the last mail, or the one that was chosen */
    char last_out_account[65];
    int64_t postponed; /* when mail was put into Drafts here last, in seconds; 0: not, or gone on with */
    unsigned postponed_account;
};
struct extra *ui_extra(const struct ui *);

/* Cleans and draws one line; returns the columns used. */
unsigned extra_line(struct ui *, struct rect, unsigned y, unsigned x, struct str raw, style);

#endif
