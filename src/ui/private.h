/* The parts of the ui that its own files share: one struct ui, its panes, prompt, popups, requests and helpers. */
#ifndef TUIMAIL_UI_PRIVATE_H
#define TUIMAIL_UI_PRIVATE_H

#include "client/client.h"
#include "cmd/cmd.h"
#include "query/query.h"
#include "ui/line.h"
#include "ui/message.h"
#include "ui/model.h"
#include "ui/theme.h"
#include "ui/ui.h"

struct ui;

/* What a terminal can show: nothing but ASCII whatever is asked for; ASCII, by its name; signs of ASCII; all. */
enum term_signs { SIGNS_ALL, SIGNS_PLAIN, SIGNS_ASCII, SIGNS_NO_UTF8 };
/* ---- What the ui asks of the terminal; tests give none ---- */
struct ui_terminal {
    enum term_signs signs;
    unsigned colors;         /* 0: none, or NO_COLOR */
    bool slow;               /* the line to it; ui_line_is after a change */
    void (*suspend)(void *); /* gives the terminal to another program (an editor) */
    void (*resume)(void *);  /* takes it back and draws all anew */
    void (*redraw)(void *);  /* draws all anew */
    void (*stop)(void *);    /* SIGTSTP by key */
    void (*bell)(void *);
    void (*escape)(void *, unsigned ms); /* within which a key belongs to the Esc before it */
    void (*mouse)(void *, bool on);      /* tells of the mouse; else the terminal itself selects text with it */
    void (*osc)(void *, struct text);    /* an operating system command of the terminal: "9;text" */
    void *arg;
};

/* ---- Requests to the store ----
 * The answer with the request's number comes to `fn` once, with PROGRESS any number of times before it; with NULL when
 * the channel ended before. fds in the message are fn's to close. */
typedef void answer_fn(struct ui *, void *arg, const struct msg *);
struct request {
    uint32_t req;
    uint32_t buffer; /* where it was made: at work while fn runs */
    answer_fn *fn;
    void *arg;
};

#define INDEX_TOLD 1000u /* fewer that wait for the index are gone before they are read */

/* ---- Helper programs: view, search ---- */
struct helper;
typedef void helper_fn(struct ui *, void *arg, struct helper *, struct msg *); /* NULL: it ended; free it */
/* NULL with a note where it cannot be started. */
struct helper *helper_start(struct ui *, enum role, const char *const *argv, helper_fn *fn, void *arg);
void helper_set(struct helper *, helper_fn *fn, void *arg);
/* What becomes of the arg where the helper is ended before it has answered; until the next helper_set. */
void helper_owns(struct helper *, void (*drop)(void *arg));
struct chan *helper_chan(struct helper *);
void helper_end(struct helper **); /* kills it; NULL-safe; sets NULL */
/* A `view` that is ready at once; another one is started behind it. */
struct helper *helper_view(struct ui *, helper_fn *fn, void *arg);
void helper_warm(struct ui *); /* starts the `view` that helper_view will give */
/* A `search` on the program's store and configuration; ready at once while a query is typed: from helper_warm_search to
 * helper_cool_search. */
struct helper *helper_search(struct ui *, helper_fn *fn, void *arg);
void helper_warm_search(struct ui *);
void helper_cool_search(struct ui *);
void ui_indexed(struct ui *, const struct m_INDEXED *);
void helper_reap(struct ui *); /* waits for those that were ended */

/* ---- Prompt: one line that is typed, below the panes ---- */
enum prompt_kind { PROMPT_NONE, PROMPT_COMMAND, PROMPT_ASK, PROMPT_PICK, PROMPT_SECRET };
typedef void prompt_fn(struct ui *, void *arg, const char *text); /* text NULL: the user left */
struct pick_item {
    char *label;       /* raw */
    char *help, *keys; /* of a command; else NULL */
    unsigned account;
    uint64_t id;
    unsigned score;
    enum pick_state { PICK_NONE, PICK_SOME, PICK_ALL } state; /* with `many`: of what it is about */
    char wanted;                                              /* '+', '-'; 0: as it is */
};
/* NULL: the user left; else account and id (of the palette: the command's place), no words. */
typedef void pick_fn(struct ui *, void *arg, const struct pick_item *);
struct prompt {
    enum prompt_kind kind;
    char label[120];
    struct edit edit;
    prompt_fn *accept, *change; /* change: after each key that changed the text, or NULL */
    pick_fn *picked;
    prompt_fn *missing; /* PROMPT_PICK: Enter where nothing matches; NULL: it stays open */
    void *arg;
    enum arg_kind complete; /* what is completed: ARG_COMMAND for `:` */
    bool completes;
    struct completions candidates;
    bool open;    /* the list of candidates is open */
    bool offered; /* and none of them is chosen yet */
    size_t chosen;
    struct history *history; /* borrowed, or NULL */
    struct pick_item *items;
    unsigned nitems, *order, nshown, cur, top;
    bool many;      /* PROMPT_PICK: several are toggled, and told to `accept` as "+x -y" */
    bool completed; /* PROMPT_PICK: the text is the chosen item */
    bool last;      /* PROMPT_PICK: the first one is what was used last */
    ckey again;     /* PROMPT_PICK: this key, typed first, takes the one used last; 0: none does */
    /* of a query: what is wrong with it, or what it comes to; refused: Enter did not take it */
    enum query_verdict verdict;
    size_t fault_from, fault_to; /* bytes of the text */
    char hint[400];              /* raw; "" nothing */
    bool refused;
    unsigned account; /* PROMPT_SECRET */
    uint8_t service;
};

/* ---- Popups over the panes ---- */
enum popup_kind {
    POPUP_NONE,
    POPUP_PAGER,
    POPUP_LINKS,
    POPUP_LIST,
    POPUP_CONFIRM,
    POPUP_KEYS,
    POPUP_QUEUE,
    POPUP_BUFFERS,
    POPUP_JOBS,
    POPUP_SCRIPTS,
    POPUP_RULE
};
typedef void confirm_fn(struct ui *, void *arg, bool yes);
struct popup_row {
    char *left, *right; /* raw */
    unsigned account;   /* POPUP_QUEUE: what the row stands for */
    uint64_t id;
    bool mail, unsent;
    uint8_t job; /* POPUP_JOBS: its kind */
    bool wraps;  /* `right` is clean, and goes on in the next line where it is long */
    bool item;   /* one of many short ones: they stand in columns where there is room */
};
/* What stands in a line of the screen: pieces of rows, side by side. */
#define POPUP_COLUMNS 4
struct popup_line {
    struct popup_piece {
        unsigned row;
        size_t from, n; /* of its `right` */
    } pieces[POPUP_COLUMNS];
    unsigned n;
};
struct popup {
    enum popup_kind kind;
    char *title;
    struct popup_row *rows;
    unsigned n, cur;
    struct popup_line *lines; /* as laid out for `cols` columns and `laid` rows */
    unsigned nlines, cols, laid;
    unsigned left, item_left, item_cols; /* columns of what stands to the left; the same of items, and of an item */
    unsigned top, height;                /* lines */
    unsigned told;                       /* notes that it lists, plus one; 0: it is not that list */
    confirm_fn *confirm;
    void *arg;
};

/* Each line is one to choose. */
static inline bool popup_has_cursor(const struct popup *p)
{
    return p->kind == POPUP_QUEUE || p->kind == POPUP_BUFFERS || p->kind == POPUP_JOBS || p->kind == POPUP_SCRIPTS;
}

enum pane { PANE_BOXES, PANE_LIST, PANE_MESSAGE };
struct layout {
    struct rect boxes, list, message, status;
    unsigned rule_x, rule_rows; /* vertical rule right of the boxes; 0 rows: none */
    unsigned split_x;           /* vertical rule between list and message; 0: none */
    bool small;
};

/* How the screen is shared: as the options say, until it is changed by key (panes.c). */
enum panes_value { PANES_LAYOUT, PANES_WIDTH, PANES_HEIGHT, PANES_LINES, PANES_SIDEBAR, PANES_COUNT };
enum panes_layout { LAYOUT_AUTO, LAYOUT_WIDE, LAYOUT_TALL, LAYOUT_SINGLE };
struct panes {
    unsigned now[PANES_COUNT]; /* enum panes_layout; percents; rows; columns */
    bool zoom;                 /* the pane that is used alone */
};

/* Keys that wait for what the one before asked for (typed.c). */
struct typed {
    ckey keys[128];
    size_t n;
    struct watch *timer;
    bool for_text;   /* the first one is for the text of the message */
    bool for_editor; /* they were typed for an editor that is about to start */
    bool given_up;   /* waited too long: keys act on what is here */
    bool again;      /* the one that is heard waited before */
};

#define NOTE_CHARS 640 /* a reason and what to do about it */
struct note {
    int64_t at; /* wall clock */
    uint8_t level;
    char text[NOTE_CHARS];
};
#define NOTES_MAX 500
#define STACK_MAX 8
#define PENDING_KEYS KEYS_MAX
#define QUARANTINE_MAX 256
enum event {
#define EVENT(constant, name, help, values) EVENT_##constant,
#include "ui/events.def"
#undef EVENT
    EVENT_COUNT
};
enum value {
#define VALUE(constant, name, help) VALUE_##constant,
#include "ui/values.def"
#undef VALUE
    VALUES_END
};
/* What an event is about: raw words, NULL where it has none. */
struct event_words {
    bool on;  /* its hooks run */
    bool own; /* it is about one message or mail: what it does not say is unknown, not that of the row */
    uint64_t msg;
    char *of[VALUES_END];
};
struct pending_event {
    enum event event;
    unsigned depth; /* so many led to it by hooks */
    struct event_words words;
};
/* New mail that was not told yet (notify.c). */
struct news {
    uint32_t count;
    unsigned account;
    uint64_t box;
    struct watch *pause; /* runs: told a moment ago */
    char title[40];      /* of the terminal, as set last */
};
/* `tuimail cmd` waits a moment for what the store says of the changes that its command asked for. */
struct late_answer {
    uint32_t req; /* of RUN; 0: nobody waits */
    uint32_t from, to;
    bool failed;
    struct buf text;
    struct watch *timer;
};
struct hook {
    unsigned event;
    struct cmd_scope scope;
    char *command, *file; /* where it was written */
    unsigned line;
};
/* What another client is at, as the store told it last. */
#define TOLD_JOBS_MAX 16
struct told_job {
    uint32_t id;
    uint64_t done, total;
    char text[200];
};
/* The messages that the next command was given: a whole thread, a count, all older ones (scope.c). */
struct scope {
    bool on;
    struct refs refs;
    char word[16]; /* as it was given, with a blank behind: for `.` */
    char *command; /* of `older`, while it asks */
};

/* A question that waits until nobody types, with what it is about. */
#define QUESTIONS_MAX 8
struct question {
    uint32_t buffer;
    char *question, *detail;
    confirm_fn *fn;
    void *arg;
    struct scope scope;
};

/* A message that was open in a list of hits when the terminal went away. */
struct reopen {
    struct awaited what; /* none: there was none */
    unsigned flags;      /* enum view_flags */
    struct message_spot spot;
};

/* ---- Buffers: several lists, messages and mails to be written, each as it was left (buffers.c) ----
 * One is shown. The state of the buffer at work is in struct ui, that of all others is kept aside; what is answered to
 * a buffer that is not shown runs with that buffer at work. */
#define BUFFERS_MAX 64
struct buffer_state {
#include "ui/buffer.def"
};
struct buffer {
    uint32_t id;
    uint32_t from; /* shown again when this one closes */
    struct buffer_state aside;
    /* of struct extra, likewise */
    struct load *load;
    struct compose *compose;
    struct parts *parts;
    struct crypto *crypto;
};

struct ui {
    struct ui_start start;
    struct conf *conf;
    struct loop *loop;
    struct client *client; /* NULL or without chan while there is no store */
    struct watch *store_watch, *retry_timer;
    int64_t retry_ms;
    const struct ui_terminal *term;
    struct grid grid;
    struct layout layout;
    struct theme theme;
    struct keymap *keymap;
    struct hook *hooks;
    size_t nhooks;
    struct event_words event;     /* whose hooks run */
    struct pending_event *events; /* that wait for the next turn */
    size_t nevents;
    struct watch *events_timer;
    unsigned hooking; /* events that led to each other so far, the last of which is having its hooks run */
    char *session;    /* offered: where to go on; NULL none */
    struct news news;

    struct accts accts;
    struct changes changes;
    struct scope scope;
    struct boxes boxes;
    bool sidebar;
    struct panes panes;

    union { /* the same members, by their names alone and as a whole */
        struct buffer_state state;
        struct {
#include "ui/buffer.def"
        };
    };
    struct buffer *buffers[BUFFERS_MAX]; /* in their order */
    unsigned nbuffers;
    struct buffer *shown, *at; /* at: at work */
    uint32_t last_buffer;      /* ids given so far */

    /* reading */
    struct helper *spare, *spare_search;
    char *message_path; /* of the message shown, where it is a file of no account */
    bool typing_query;  /* each letter wants a `search` */
    pid_t ending[8];    /* killed, and not yet waited for; 0: none */
    struct {
        unsigned account;
        uint64_t box;         /* 0: all inboxes */
        bool for_good, empty; /* when it was asked about */
    } asked;                  /* the mailbox that the question on the screen is about */
    struct {
        unsigned account;
        uint64_t box; /* 0: a new one */
    } naming;         /* the mailbox whose name is asked for */
    struct watch *seen_timer, *progress_timer, *prefetch_timer, *warm_timer;
    struct ref quarantine[QUARANTINE_MAX];
    unsigned nquarantine;
    char *url;           /* waits for the user's yes */
    struct extra *extra; /* writing, parts, tools, gpg: extra.h */

    uint32_t unindexed;         /* messages that the index waits for, as told last */
    uint32_t unindexed_texts;   /* those of them whose header it has */
    struct watch *queued_timer; /* until changes that wait are worth a word */
    bool index_held;            /* it does not go on with them */
    uint32_t index_from;        /* how many there were at most since they began to wait, and when that was */
    int64_t index_ms;
    struct told_job told_jobs[TOLD_JOBS_MAX];
    unsigned ntold_jobs;
    struct watch *live_timer;   /* until the list of hits that is shown is asked again */
    struct watch *rank_timer;   /* while the cursor's number in the list is counted */
    struct watch *search_timer; /* of the shown buffer, so seen_timer and progress_timer */

    /* counts of saved searches */
    struct helper *counter;
    struct watch *count_timer;
    uint32_t counted;                  /* saved searches asked so far in this round */
    int64_t counted_ms, count_next_ms; /* when the last round began; no other before */

    struct prompt prompt;
    struct popup popup;
    struct history *command_history, *search_history;
    ckey keys[PENDING_KEYS];
    size_t nkeys;
    unsigned count, times; /* typed before a key; of the command that runs; 0: none */
    ckey last_key;
    struct ref told;               /* the event `open` was of it */
    unsigned sourcing;             /* files of `source` under way */
    bool describing;               /* the next key is told of instead of being done */
    bool recording;                /* what is typed becomes the macro */
    ckey recorded[MACRO_MAX];      /* `record`: the last one */
    size_t nrecorded, record_mark; /* mark: where the keys of the command under way begin */
    bool failed;                   /* the last command could not be done: a macro ends there */
    struct late_answer late;
    struct buf *answer;  /* `tuimail cmd` waits: what is said and listed goes here too */
    bool listed;         /* a list is, or was, made for it */
    struct popup behind; /* what a list for the answer would have closed */
    struct watch *keys_timer;
    bool pasting;
    struct typed typed;
    int64_t key_ms;   /* when the last key came */
    unsigned keys_on; /* so many without a pause between them, since a prompt was closed */
    bool in_key;      /* one is heard now */
    struct question questions[QUESTIONS_MAX];
    unsigned nquestions;
    struct watch *question_timer;
    struct watch *secret_timer;
    unsigned macro_depth;
    char *last_command; /* for `.` */
    char *last_box_label;
    unsigned last_box_account; /* UINT_MAX: that of the mail, whichever it is */

    struct request *requests;
    size_t nrequests, cap_requests;
    uint32_t next_req;
    uint64_t deed;            /* of the key or command that is at work: ui_deed(); 0: none yet */
    uint64_t undo_deed;       /* of the newest of these */
    unsigned undo_groups[64]; /* what the user's last deeds were: of the store (0), or of the bits of extra.h */
    unsigned nundo;
    unsigned redo_groups[64];
    unsigned nredo;

    struct note *notes; /* ring of NOTES_MAX */
    unsigned nnotes;
    unsigned said; /* words in the status line so far */
    char status[NOTE_CHARS];
    size_t status_core; /* bytes; behind them stands what to do about a line that failed */
    uint8_t status_level;
    int64_t status_ms;
    unsigned status_of;      /* the words are about the line of this account, plus one; 0: about no line */
    char progress_calm[240]; /* as it is told with option accessible, and since when */
    int64_t calm_ms;
    unsigned fetching; /* it is that of a pass over the maildrop of this account, plus one; Esc ends it */

    bool dirty, quit, list_read;
    bool away;       /* the terminal says that it has not the focus */
    bool seen_waits; /* the message is marked as read when it is looked at again */
    bool answered;   /* what the last key asked for is here: it is drawn at once, not with the next frame */
    uint32_t fresh;  /* new mail since the bell rang */
};

/* ---- ui.c: life, store, drawing order ---- */
/* `client` may be NULL (nothing to talk to); borrowed. */
struct ui *ui_new(const struct ui_start *, struct loop *, struct client *, const struct ui_terminal *);
void ui_free(struct ui **);
void ui_resize(struct ui *, unsigned rows, unsigned cols);
void ui_key(struct ui *, ckey);
void ui_draw(struct ui *); /* into ui->grid; reads what changed first */
/* `once_text`: waits for the first message and prints the panes. */
int ui_print_once(struct ui *);
void ui_check(const struct ui *); /* aborts where an invariant is broken: for tests */
struct list *ui_list(const struct ui *);
const struct list_row *ui_row(const struct ui *); /* the message that verbs act on, or NULL */
enum cmd_context ui_context(const struct ui *);
enum cmd_context ui_pane(const struct ui *); /* the same without the prompt */
/* Runs a command line of the language; complaints become a note, and false. */
bool ui_run(struct ui *, const char *text);
/* The same, with complaints in *err; as a part of another command. */
bool ui_run_text(struct ui *, const char *text, struct err *err);
bool ui_run_line(struct ui *, const struct line *, struct err *); /* one command */

/* ---- hooks.c ---- */
extern const struct cmd_word ui_events[], ui_values[];
extern const char *const ui_event_values[];
void ui_list_hooks(struct ui *, const char *event); /* NULL: of all */
/* An `on` line, from the file or the prompt. */
bool ui_hook(struct ui *, const struct line *, struct err *);
/* Runs its hooks in the next turn, that of `quit` now: whoever tells of an event goes on undisturbed. The words (or
 * NULL) are taken. */
void ui_event(struct ui *, enum event, struct event_words *);
void ui_list_event(struct ui *, const char *mailbox); /* another list is shown */
void event_word(struct event_words *, enum value, struct str);
void event_of_row(const struct ui *, const struct list_row *, struct event_words *); /* NULL: nothing */
void event_words_fini(struct event_words *);
void ui_row_value(const struct ui *, const struct list_row *, enum value, struct buf *out);
void ui_hooks_fini(struct ui *);

/* ---- mouse.c ---- */
void ui_mouse(struct ui *, const struct mouse *);
void ui_looked_at(struct ui *, bool looked); /* the terminal has the focus */

/* ---- session.c: what was on the screen when the terminal went away ---- */
void ui_session_save(struct ui *);
void ui_session_drop(struct ui *);
void ui_session_reopen(struct ui *); /* the message that was open, when its hit has come */
bool ui_session_offer(struct ui *);  /* says that R goes on there; false where there was nothing */

/* ---- buffers.c ---- */
void buffers_init(struct ui *);
void buffers_fini(struct ui *);
bool buffer_is_shown(const struct ui *);   /* the one at work */
unsigned buffer_number(const struct ui *); /* of the one at work, from 1 on */
/* Puts another buffer to work, for as long as an answer to it is heard; then the shown one is back. An id that is no
 * longer there changes nothing. */
void buffer_enter(struct ui *, uint32_t id);
void buffer_leave(struct ui *);
/* A new one with an empty list, shown. NULL with a note where there are too many. */
struct buffer *buffer_new(struct ui *);
void buffer_show(struct ui *, struct buffer *);
/* Closes the one at work, and what is under way in it. The one that is shown next: where it came from, else a
 * neighbour. False for the last one. */
bool buffer_close(struct ui *);
/* Mailboxes and searches are not shown where a mail is being written: another buffer is at work then. */
void buffer_for_lists(struct ui *);
void ui_lists_stale(struct ui *); /* in all buffers */
/* Calls fn with each buffer at work, in their order, until it returns true; that one stays at work and is returned with
 * its number, from 1 on: the caller leaves it. 0: none. */
typedef bool buffer_fn(struct ui *, void *arg);
unsigned buffer_find(struct ui *, buffer_fn *, void *arg);
bool buffer_can_go(struct ui *);                 /* another one shows a list */
void buffer_words(struct ui *, struct buf *out); /* what the one at work shows; raw */
bool buffers_key(struct ui *, ckey);             /* in POPUP_BUFFERS */

/* ---- jobs.c ---- */
/* "3.1 MB of 8.0 MB · 310 KB/s", as far as it is known; total 0: only how fast. */
void amount_words(uint64_t done, uint64_t total, int64_t since_ms, struct buf *out);
bool jobs_key(struct ui *, ckey); /* in POPUP_JOBS */
void jobs_again(struct ui *);     /* shows them anew where they are listed */
void messages_again(
    struct ui *); /* shows new notices where they are listed, unless the reader went on from the first */
void jobs_told(struct ui *, const struct m_JOB *);

/* ---- typed.c ---- */
bool typed_hold(struct ui *, ckey); /* true: the key waits, for what the one before it asked for */
/* A command that needs the text of a message that is on its way: true, its keys wait. */
bool typed_hold_for_text(struct ui *, const struct binding *, const ckey *keys, size_t n);
void typed_go_on(struct ui *);             /* hears what waited, where what it waited for is here */
void typed_give_up(struct ui *);           /* it did not come in time */
bool typed_for_editor(const struct ui *);  /* an editor is about to start: what is typed is left to it */
bool typed_on(const struct ui *);          /* several keys have come one after the other, the last one just now */
int64_t typed_quiet_in(const struct ui *); /* ms until nobody types: what opens by itself waits so long */

/* ---- notes.c ---- */
enum { NOTE_INFO, NOTE_WARNING, NOTE_ERROR };
enum { QUEUED_TOLD_MS = 1000 };
void ui_note(struct ui *, uint8_t level, const char *fmt, ...) PRINTF(3, 4);
void ui_note_err(struct ui *, const struct err *);
/* The words said last are about the line of this account: they go from the status line when that is over. */
void ui_note_line(struct ui *, unsigned account);
void ui_note_line_over(struct ui *, unsigned account);
/* A word from the store: with what to do about it, where it is about the line of this account (negative: of none). */
void ui_note_told(struct ui *, uint8_t level, int account, enum err_kind, struct str text);
/* For the list of messages alone. */
void ui_note_quiet(struct ui *, const char *fmt, ...) PRINTF(2, 3);
/* A command succeeded that was begun when so much had been said (ui->said): what was said before it is over. */
void ui_note_past(struct ui *, unsigned said);

/* ---- store.c: the channel to the store ---- */
bool ui_online(struct ui *); /* a channel is there; else a note says that it is not */
uint32_t ui_request(struct ui *, answer_fn *fn, void *arg);
void ui_forget(struct ui *, uint32_t req);
void ui_requests_end(struct ui *); /* none is answered any more: each is told so */
void ui_store_watch(struct ui *);
/* Those of the accounts' databases that are not open yet. */
void ui_open_readers(struct ui *);
void ui_store_events(struct ui *); /* waits for room in the socket where something is queued */
void ui_store_fini(struct ui *);
/* The mailbox of this account that the list shows, or NULL. */
const struct box_item *ui_list_box(const struct ui *, const struct list *, unsigned account);
void ui_watch_list(struct ui *); /* tells the store what is on the screen */
/* Messages of the shown mailboxes whose rows are still to come. */
uint32_t ui_rows_to_come(const struct ui *, const struct list *);
bool ui_list_reads(const struct ui *);        /* it is empty, and rows are on their way */
bool ui_none_here(struct ui *, struct err *); /* false: why there is no message, and the key that leads on */
/* Where rows are still to come: the one with so many above it (UINT32_MAX: the oldest) before the others, and the
 * cursor goes there when it is here. False where there is nothing to ask for, or of several accounts in one list. */
bool ui_ask_row(struct ui *, uint32_t rank);
void ui_look(struct ui *); /* the rows around the cursor, likewise */

/* ---- act.c: what changes mail ---- */
struct action {
    enum intent_kind kind;
    const char *verb; /* "archived" */
    uint32_t set, clear;
    bool hide;
    uint64_t target, box; /* box: whose list showed the messages, or 0 */
    const char *arg;
    const char *where; /* "to Archive", or NULL */
    unsigned into;     /* of MOVE and COPY: the account of `target`, and 1; 0: that of the message */
    uint64_t deed;     /* whose part it is, where it follows later from what a key did; 0: of what is done now */
    bool once;         /* not to be done again after undo */
    bool looks;        /* TAGS: when it is done, copies in other accounts are looked for */
    int64_t due;       /* ACT_SNOOZE: until then, 1: to be back at once; ACT_REMIND: by then, 0: not any more */
    enum act_how { ACT_INTENT, ACT_RULES, ACT_SNOOZE, ACT_REMIND, ACT_MUTE, ACT_UNMUTE } how;
};
/* By which the store knows all that one key, or one command line, does. */
uint64_t ui_deed(struct ui *);
/* On the selection, else on the row, unless that has left the list; moves on to the next message where the row leaves
 * it. */
void ui_act(struct ui *, const struct action *);
/* What "[on|off|toggle]" comes to, where it is `now`. */
bool ui_wanted(const struct cmd_args *, bool now);
void ui_act_on(struct ui *, struct refs *, const struct action *, bool quiet); /* takes the messages out of the set */
void ui_act_one(struct ui *, struct ref, const struct action *, bool quiet);

/* The messages that the next command is about: given, else selected; NULL: the row. */
const struct refs *ui_chosen(const struct ui *);

/* ---- select.c: what is selected ---- */
/* A range that was begun ends at the cursor, and is selected. */
bool ui_range_end(struct ui *, struct err *err);
/* Rows lo to hi - 1 of the window are in a range that was begun. */
void ui_range_rows(const struct ui *, const struct list *, unsigned *lo_r, unsigned *hi_r);

/* ---- scope.c: what a command is about ---- */
void ui_scope_clear(struct ui *);
void ui_scope_set(struct ui *, struct refs *); /* takes them */
void ui_scope_settle(struct ui *); /* a command is over: unless it asks something, what it was given is too */
/* The cursor's row and those below it, n in all; a folded thread is one. */
bool ui_scope_rows(struct ui *, unsigned n, struct err *);
/* All messages of the row's thread that are in this list. */
bool ui_thread_refs(struct ui *, const struct list_row *, struct refs *out, struct err *);
unsigned ui_times(const struct ui *); /* how often the command that runs is to be done */
/* What `.` does: the command with what it was told after it asked. */
void ui_remember(struct ui *, const char *command, const char *words);

/* ---- read.c: opening and showing a message ---- */
void ui_open(struct ui *, unsigned view_flags);
void ui_open_close(struct ui *);
void ui_shown_again(struct ui *); /* its buffer is shown again */
void ui_seen_soon(struct ui *);   /* the shown message is marked as read, after option read-delay */
void ui_follow(struct ui *);      /* the cursor moved: an open message pane shows its message */
bool ui_url_allowed(struct str url);
void ui_url_ask(struct ui *, struct str url); /* an allowed one: shows it whole, and opens it where the user says so */
/* Shows the message in the fd in the pane, in place of the body of the message that is open there; the fd stays the
 * caller's. */
void ui_view_fd(struct ui *, int fd, struct str absent);
/* The status line's words for bytes under way, when they have taken a while. */
void ui_progress(struct ui *, const struct m_PROGRESS *, int64_t since_ms);
/* The account has a line: what waited for it in the pane is opened. */
void ui_open_again(struct ui *, unsigned account);
bool ui_load_stop(struct ui *); /* load.c: by the user, while a message or a part is fetched; false: nothing is */
/* The list is new, or new mail is in it: the text of the next unread messages is fetched (option prefetch). */
void ui_prefetch_soon(struct ui *);
/* Starts a program without a terminal that nobody waits for (argv, NULL-terminated). */
bool ui_spawn(const char *const *argv);

/* ---- find.c: search and limit ---- */
void ui_search(struct ui *, const char *query, bool limit, bool select);
/* begun: as it was typed, the last word also for what begins with it (query_begun). */
void ui_search_as(struct ui *, const char *query, bool limit, bool select, bool begun);
void ui_search_end(struct ui *);
/* Mail, tags or places changed, or the index follows: lists of hits are asked again when they are shown. */
void ui_hits_changed(struct ui *);
void ui_live_soon(struct ui *); /* of the list that is shown, where it is old */
/* The one whose rows are in sight: what is being limited stays there until something has been found. */
struct list *ui_drawn_list(const struct ui *);
void ui_push_list(struct ui *, struct list *);
bool ui_pop_list(struct ui *);
struct list *ui_new_list(struct ui *);
void ui_show_box(struct ui *, unsigned account, uint64_t box);
void ui_show_inboxes(struct ui *);
/* The mailbox shown may have been renamed or removed elsewhere; true: another list is shown now. */
bool ui_follow_box(struct ui *);
void ui_show_item(struct ui *, const struct box_item *);
void ui_drop_stack(struct ui *);

/* ---- language.c ---- */
void ui_query_typed(struct ui *); /* the prompt's text changed */
/* What is wrong may be mended by what is typed behind it: it is neither told nor asked yet. */
bool ui_query_unfinished(const struct prompt *);
bool ui_query_refused(struct ui *);              /* Enter: true where it is broken; the cursor goes to the fault */
void ui_query_told(struct ui *, struct str why); /* by the program search, of the query that is typed */
/* Marks them in a field that was drawn there. */
void ui_mark_words(struct ui *, struct rect, unsigned y, unsigned x, unsigned width, struct str raw, unsigned place,
                   const struct query_words *);

/* ---- notify.c ---- */
void ui_notify(struct ui *, unsigned account, uint64_t box, uint32_t fresh); /* new mail; box's newest is told of */
void ui_notify_title(struct ui *);                                           /* after the counts changed */
void ui_notify_end(struct ui *);

/* ---- saved.c ---- */
void ui_show_saved(struct ui *, const char *name, const char *query); /* find.c */
bool ui_saved_open(struct ui *, const char *name);                    /* false: there is none */
bool ui_read_hits(struct ui *, struct err *);                         /* all hits of the list, after a question */

/* ---- counts.c ---- */
void ui_count_soon(struct ui *); /* counts saved searches again, soon */

/* ---- prompt.c ---- */
/* What no key has just asked for (a hook, another program) does not take the line from what is being typed: true, and
 * it is told that `label` was not asked. Whatever opens a prompt looks; the caller hears the answer of an Esc. */
bool ui_line_taken(struct ui *, const char *label);
void ui_ask(struct ui *, const char *label, const char *text, enum arg_kind complete, bool completes, struct history *,
            prompt_fn *accept, prompt_fn *change, void *arg);
/* Asks for the first password that is wanted and was not declined, of this account or of all (negative); false: none.
 */
bool ui_ask_secret(struct ui *, int account);
/* The user wants to be connected: for those that were declined too. */
bool ui_ask_secret_again(struct ui *, int account);
/* only_account UINT_MAX: of all; `but` is left out (a mailbox of that account, 0 none). `missing` gets a name that no
 * mailbox has; where it is NULL the prompt stays open until there is one. False: not asked. */
bool ui_pick_box(struct ui *, const char *label, unsigned only_account, uint64_t but, pick_fn *picked,
                 prompt_fn *missing, void *arg);
/* Behind ui_pick_box: saved searches too, with account UINT32_MAX and their place in the conf as id. */
void ui_pick_saved(struct ui *);
/* Items of which several are toggled before Enter; a name that is none of them is one more. done: "+x -y", or NULL. The
 * items are the callee's. */
void ui_pick_many(struct ui *, const char *label, struct pick_item *items, unsigned n, prompt_fn *done, void *arg);
/* ---- tags.c ---- */
void ui_tag_names(struct ui *, tag_count_fn *, void *arg); /* of all accounts, the most used first */
/* Behind ui_ask: shows what may be typed before Tab is pressed. */
void ui_offer(struct ui *);
/* Behind ui_pick_box: only mailboxes of this account. */
void ui_pick_own(struct ui *, unsigned account);
/* Behind ui_pick_box: the key that was pressed for it, pressed again, takes the mailbox used last. */
void ui_pick_again(struct ui *);
void ui_command_prompt(struct ui *, const char *text);
/* All commands that make sense here, to be found by their names and descriptions; each with its keys. */
void ui_palette(struct ui *);
void ui_prompt_key(struct ui *, ckey);
void ui_prompt_close(struct ui *);
void ui_prompt_changed(struct ui *);
/* More is known than at the last Tab, which found nothing: it is done now, where the line still ends with `term`. */
void ui_prompt_more(struct ui *, struct str term);
bool ui_find_box(struct ui *, const char *name, unsigned *account_r, uint64_t *box_r);

/* ---- names.c ---- */
/* For completion: names that only the ui knows, described (struct cmd_sources.each; context: the ui). */
void ui_names(void *context, enum arg_kind, struct str prefix, cmd_emit_fn *emit, void *arg);

/* ---- popup.c ---- */
void ui_popup(struct ui *, enum popup_kind, const char *title);
/* From now on lists and values are words for `tuimail cmd`; ui_answer_end puts those that were listed there. */
void ui_answer_begin(struct ui *, struct buf *answer);
void ui_answer_end(struct ui *);
void ui_popup_row(struct ui *, const char *left, const char *right);
/* Wrapped at blanks. */
void ui_popup_text(struct ui *, const char *left, const char *right);
/* What of a clean text fits into these columns, up to a blank where there is one; *next_r: where the rest begins. */
size_t ui_fits(struct str all, size_t from, unsigned width, size_t *next_r);
/* One of many short ones, in columns where there is room; wrapped too. */
void ui_popup_item(struct ui *, const char *left, const char *right);
/* The same as rows of their own, where each line is one to choose; left_cols: columns of what stands to the left. */
void ui_popup_pieces(struct ui *, const char *left, unsigned left_cols, const char *right);
void ui_popup_layout(struct ui *); /* `lines`, for this screen */
void ui_popup_close(struct ui *);
/* One that no key of now asks for waits until the prompt is closed, the question before it is answered and nobody
 * types: no letter that is meant for something else answers it. With more than QUESTIONS_MAX the answer is no. */
void ui_confirm(struct ui *, const char *question, const char *detail, confirm_fn *fn, void *arg);
void ui_questions_go_on(struct ui *); /* with each frame */
void ui_questions_drop(struct ui *,
                       uint32_t buffer); /* the buffer is closed: the answers are no; 0: of all, unanswered */
bool ui_popup_key(struct ui *, ckey);    /* true: taken */
bool ui_popup_move(struct ui *, ckey);   /* in a list of rows: the cursor; false: no such key */
void ui_popup_keys(struct ui *);         /* what may follow the keys typed so far */
void ui_help(struct ui *, const char *command);

/* ---- bindings.c: what keys do, macros ---- */
void ui_place_keys(struct ui *); /* the key map is asked about where the user is */
/* "file:line", "typed at :", "keys vim", "default" (NULL). */
/* What a command line does, by the help of its command, and of the command that this runs: nothing where it is none. */
void ui_line_words(const char *line, struct buf *out);
void ui_written_where(const char *file, unsigned line, struct buf *out);
void ui_record_key(struct ui *, ckey);
void ui_type_macro(struct ui *, const char *macro);
/* The best key that runs the command in the panes of lists and message; else ":command". Until the next call. */
const char *ui_key_of(struct ui *, const char *command);
/* Tells what keys do in the context, where that was said, and what may follow. */
void ui_describe_keys(struct ui *, enum cmd_context, const ckey *, size_t n);

/* ---- queue.c: offline, what waits, whose changes they are ---- */
bool queue_key(struct ui *, ckey);              /* in POPUP_QUEUE */
void queue_changed(struct ui *);                /* an account said something: shows it anew where it is open */
void queue_held(struct ui *, unsigned account); /* its changes were made for another server */
void queue_offline(struct ui *, unsigned account, bool offline);

/* ---- draw.c, layout.c ---- */
void layout_compute(struct layout *, const struct panes *, unsigned rows, unsigned cols, bool sidebar, bool message,
                    enum pane focus);
/* How list and an open message share a screen of this size. */
enum layout_shape { SHAPE_SINGLE, SHAPE_TALL, SHAPE_WIDE };
enum layout_shape layout_shape(const struct panes *, unsigned rows, unsigned cols);
bool layout_has_sidebar(const struct panes *, unsigned cols);
/* ---- panes.c ---- */
void panes_options(struct ui *, const char *name); /* that option was set; NULL: all of them */
void panes_load(struct ui *);                      /* as they were left at the end of the last run */
void panes_save(struct ui *);
/* ---- draw.c ---- */
void draw_all(struct ui *);
unsigned ui_text_rows(const struct ui *); /* of the message's text in its pane, 1 at least */
/* Into a field: what came from outside passes text_from_bytes in these two, once, at the last moment. */
struct text ui_clean(const struct ui *, struct str raw, struct buf *out);
void ui_put_field(struct ui *, struct rect, unsigned y, unsigned x, unsigned width, struct str raw, style);

/* ---- draw_row.c ---- */
/* The list's rows; `number`: that of the cursor's, from 1 on. */
void draw_rows(struct ui *, struct rect, const struct list *, uint32_t number);
void date_short(int64_t date, int64_t now, const char *format, char out[32]);

/* ---- settings.c ---- */
void ui_load_settings(struct ui *);
void ui_settings_again(struct ui *); /* what was set since the start, to a store that begins anew */
/* bind, unbind, macro, on: the line that the arguments are, kept with those of tuimailrc, and done. */
bool ui_setting_line(struct ui *, const struct cmd_args *, struct err *);
void ui_line_is(struct ui *);                            /* the line to the terminal was found slow, or no longer is */
void ui_list_settings(const struct ui *, struct list *); /* by thread or not, in which order, as the options say */
void ui_sort_list(const struct ui *, struct list *);     /* as the options say for its mailbox */
const char *ui_order_name(const struct list *);          /* "date", without reverse- */
bool ui_sort_by(struct list *, const char *name);        /* one of those, with reverse- or without; false: no such */
const char *list_order_words(const struct list *);       /* "by sender"; "" for the usual one */

/* Declares every command. */
#define CMD(name, args, in, flags, help, fn, more) cmd_run_fn fn;
#include "ui/commands.def"
#include "ui/compose.def"
#undef CMD

#endif
