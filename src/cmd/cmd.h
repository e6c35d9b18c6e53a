/* cmd: the command registry, argument parsing, key names, key maps, completion, prompt history.
 *
 * Every key is a named command and every name is usable from tuimailrc, the `:` prompt, a hook, a macro and a test
 * alike. This module knows the grammar; what a command does belongs to the table that is passed in (`ui` owns one).
 * No curses and no I/O, but for history files and the directories that completion of file names reads (both wait for
 * the disk). Text from completion sources may come from mail: the one
 * who draws it cleans it. */
#ifndef TUIMAIL_CMD_H
#define TUIMAIL_CMD_H

#include "base/base.h"
#include "conf/conf.h"

/* ---- Contexts: where a key is looked up and where a command makes sense ------------------------- */
enum cmd_context {
    CTX_GLOBAL,
    CTX_LIST,
    CTX_MESSAGE,
    CTX_BOXES,
    CTX_PROMPT,
    CTX_HELP,
    CTX_COMPOSE,
    CTX_ATTACHMENTS,
    CTX_COUNT
};
#define IN(context) (1u << (context))
#define IN_ANY 0u                               /* struct command.in: everywhere */
const char *cmd_context_name(enum cmd_context); /* "list" ... */
bool cmd_context_find(const char *name, enum cmd_context *context_r);

/* ---- Commands: one row each --------------------------------------------------------------------- */
enum cmd_flags {
    CMD_NEEDS_MESSAGE = 1, /* refused (by ui) where no message is selected or under the cursor */
    CMD_REPEAT = 2,        /* `.` repeats it */
    CMD_WRITES = 4,        /* changes mail: refused (by ui) in a read-only mailbox */
    CMD_NEEDS_TEXT = 16,   /* of the open message: its key waits a moment for what is on its way */
    CMD_HIDDEN = 8,        /* not offered by completion nor listed in help (prompt editing and the like) */
};
/* What an argument is: decides its check and its completion. */
enum arg_kind {
    ARG_WORD,
    ARG_TEXT /* the rest of the line, joined by blanks */,
    ARG_NUMBER,
    ARG_MAILBOX,
    ARG_TAG,
    ARG_TAGS /* "+a -b" */,
    ARG_WHEN /* the rest of the line: mail_when_parse */,
    ARG_ADDRESS /* the rest of the line: addresses, separated by commas */,
    ARG_FILE,
    ARG_DIRECTORY,
    ARG_ACCOUNT,
    ARG_QUERY,
    ARG_OPTION,
    ARG_VALUE /* of the option before it */,
    ARG_COMMAND /* the rest is a command line */,
    ARG_COMMAND_NAME,
    ARG_KEYS,
    ARG_CONTEXT,
    ARG_EVENT,
    ARG_COLOR /* a thing of the theme */,
    ARG_THEME,
    ARG_SHELL /* the rest is for /bin/sh */,
    ARG_SAVED,
    ARG_PLACE /* a mailbox or saved search */,
    ARG_TOPIC /* a command, option or event */,
    ARG_LOOK /* a colour or attribute */,
    ARG_CHOICE,
    ARG_KIND_COUNT
};
#define CMD_MAX_ARGS 8
struct cmd_args {
    const struct command *command;
    char **words; /* after the command's name and its flags; borrowed from the line; joined for the *_TEXT kinds */
    size_t n;
    unsigned flags;                       /* bit i: the spec's i-th flag was given */
    const char *flag_value[CMD_MAX_ARGS]; /* of "-x=KIND" flags, else NULL */
    char *joined;                         /* owned */
    const char *file;                     /* where it was written; borrowed from the line */
    unsigned line;
};
typedef bool cmd_run_fn(void *context, const struct cmd_args *, struct err *);
/* The argument spec: blank-separated items, in order. `-f` a flag; `-f=KIND` a flag with a value; `KIND` a needed
 * argument; `[KIND]` an optional one; `KIND...` one or more; `[KIND...]` any number. KIND is a lower-case kind name
 * ("mailbox", "text", "number" ...: as cmd_kind_name) or alternatives "on|off|toggle" (ARG_CHOICE). text, command,
 * query, address, when and shell swallow the rest of the line. */
struct command {
    const char *name;
    const char *args;
    unsigned in; /* IN(..) | IN(..), or IN_ANY */
    unsigned flags;
    const char *help; /* one line, no dot */
    cmd_run_fn *run;
    const char *more; /* a paragraph for tuimail-commands(7), or NULL */
};
struct cmd_word {
    const char *name, *help;
};
/* A whole language: what `ui` exports as `extern const struct cmd_lang ui_lang` for `tuimail check`, `dump` and
 * completion. */
struct cmd_lang {
    const struct command *commands; /* in the order of help */
    size_t ncommands;
    const struct cmd_word *events;      /* of `on EVENT`; NULL-terminated, as all below */
    const struct cmd_word *values;      /* of {NAME} in what run and echo are given */
    const char *const *event_values;    /* of each event: the values that it has, blank separated */
    const char *const *things;          /* of `color THING FG [BG] [ATTRIBUTE...]` */
    const char *const *(*themes)(void); /* names of themes, theirs until the next call; or NULL */
    const char *const *thing_help;      /* what each thing is; or NULL */
};
const struct command *cmd_find(const struct cmd_lang *, const char *name);
/* The same for what is typed: also the only one whose name begins so; NULL where several do. */
const struct command *cmd_meant(const struct cmd_lang *, const char *name);
const char *cmd_kind_name(enum arg_kind);
/* Checks line->words against the spec; in a line that was typed (file ":") a name may be its beginning alone. ERR_USAGE
 * names the command, its form and, for an unknown name, the nearest one. *args_r borrows from the line; free with
 * cmd_args_fini. */
bool cmd_parse(const struct cmd_lang *, const struct line *, struct cmd_args *args_r, struct err *);
void cmd_args_fini(struct cmd_args *);
bool cmd_flag(const struct cmd_args *, char flag);
const char *cmd_flag_value(const struct cmd_args *, char flag); /* NULL where not given */
const char *cmd_arg(const struct cmd_args *, size_t i);         /* NULL past the end */
/* Parses every command of `text` (";" and lines) before it runs the first; stops at the first that fails. */
bool cmd_run_text(const struct cmd_lang *, const char *text, const char *file, void *context, struct err *);
/* "-a account mailbox" as people read it: "move [-c] MAILBOX". */
void cmd_usage(const struct command *, struct buf *out);

/* ---- Lines that conf keeps for ui --------------------------------------------------------------- */
/*   bind [SCOPE] CONTEXT[,CONTEXT] KEYS COMMAND...    one word with blanks is a command line of its own
 *   unbind [SCOPE] CONTEXT[,CONTEXT] KEYS             KEYS "*": all of that context
 *   macro [SCOPE] CONTEXT[,CONTEXT] KEYS "TYPED"      keys typed for the user
 *   on [SCOPE] EVENT COMMAND...
 *   color THING FOREGROUND [BACKGROUND] [ATTRIBUTE...]
 * SCOPE is -a ACCOUNT, -m MAILBOX (* stands for any run of characters), or both: there alone.
 * `theme NAME` and `keys PROFILE` are options and run by conf. */
/* Checks such a line: contexts, key names, the command it names with its arguments, events, colours. A NULL list in
 * `lang` is not checked. */
bool cmd_check_line(const struct cmd_lang *, const struct line *, struct err *);
/* Checks all lines of conf->ui_lines; complaints go to `all` as conf_load writes them. False where there is an error.
 */
bool cmd_check_conf(const struct cmd_lang *, const struct conf *, struct buf *all);
/* Where a binding or a hook holds; NULL: everywhere. */
struct cmd_scope {
    const char *account, *mailbox;
};
/* Reads the scope at words[*at] and stands behind it then; borrows from the line. */
bool cmd_scope_parse(const struct line *, size_t *at, struct cmd_scope *scope_r, struct err *);
bool cmd_scope_fits(const struct cmd_scope *, const char *account, const char *mailbox); /* "" none */
void cmd_scope_format(const struct cmd_scope *, struct buf *out);                        /* "-a work -m INBOX " */
/* The command line that the words from `from` on make: one word is a line of its own, several are quoted again. */
void cmd_join(char *const *words, size_t n, size_t from, struct buf *out);
/* Names of colours: "default", "red", "bright-red" ..., "color0" to "color255", "#rrggbb"; -1 default; 0x1000000 | rgb
 * for the last. */
bool cmd_color(const char *name, int32_t *color_r);
/* Attributes: bold dim italic underline reverse. */
enum cmd_attribute { ATTR_BOLD = 1, ATTR_DIM = 2, ATTR_ITALIC = 4, ATTR_UNDERLINE = 8, ATTR_REVERSE = 16 };
bool cmd_attribute(const char *name, unsigned *attribute_r);

/* ---- Keys --------------------------------------------------------------------------------------- */
/* A key is a Unicode character or one of K_*, with K_CTRL and K_ALT. A terminal cannot tell Ctrl-I from Tab nor Shift
 * from a capital: key_normal() folds such pairs, and whoever reads the terminal passes every key through it. */
typedef uint32_t ckey;
enum {
    K_SPECIAL = 0x200000,
    K_ENTER = K_SPECIAL + 1,
    K_TAB,
    K_BACKTAB,
    K_ESC,
    K_BACKSPACE,
    K_DELETE,
    K_INSERT,
    K_UP,
    K_DOWN,
    K_LEFT,
    K_RIGHT,
    K_HOME,
    K_END,
    K_PGUP,
    K_PGDN,
    K_F0 = K_SPECIAL + 64, /* K_F0 + 1 .. K_F0 + 24 */
    K_RESIZE = K_SPECIAL + 128,
    K_PASTE_BEGIN,
    K_PASTE_END,
    K_MOUSE, /* never bound by users, so the next two: the terminal has the focus, or lost it */
    K_FOCUS_IN,
    K_FOCUS_OUT,
    K_SHIFT = 1 << 28, /* with named keys only */
    K_CTRL = 1 << 29,
    K_ALT = 1 << 30,
};
ckey key_normal(ckey);
#define KEYS_MAX 6 /* keys in a sequence */
/* "C-r", "Esc-v", "M-v", "F5", "Space", "PgDn", "<Enter>", "ä". False where it names no key. */
bool key_parse(struct str name, ckey *key_r);
/* "a", "'i", "gg", "g g", "C-x C-s", "Esc-v": names are separated by blanks or stand in <>; what is no name is one key
 * a character. ERR_CONFIG names the word and the nearest key name. *n_r is 1..KEYS_MAX. */
bool keys_parse(const char *word, ckey keys_r[KEYS_MAX], size_t *n_r, struct err *);
/* What a macro types: each character is a key, names stand in <> ("ltag:unread<Enter>", "<Less>" is a <). */
#define MACRO_MAX 256
bool macro_parse(const char *text, ckey keys_r[MACRO_MAX], size_t *n_r, struct err *err);
void macro_format(const ckey *, size_t n, struct buf *out); /* macro_parse gives the same back */
void key_format(ckey, struct buf *out);                     /* the name people read: "C-r", "Esc-v", "Space" */
void keys_format(const ckey *, size_t n, struct buf *out);  /* keys_parse gives the same back */

/* ---- Key maps ----------------------------------------------------------------------------------- */
/* What is bound for this mailbox or account alone comes before the rest, then a context's own bindings before the
 * global ones; the prompt has its own alone. A sequence that begins another one of the same scope replaces it: no key
 * ever waits for a time to pass. */
struct binding {
    enum cmd_context context;
    struct cmd_scope scope; /* owned */
    bool here;              /* the scope holds at the place of the keymap */
    ckey keys[KEYS_MAX];
    size_t n;
    char *command;    /* a command line; for a macro "" */
    char *macro;      /* for macro_parse; "" else */
    const char *file; /* where bound: NULL for a default, "vim" for that profile; borrowed from the keymap */
    unsigned line;
};
struct keymap;
struct keymap *keymap_new(void);
void keymap_free(struct keymap **);
/* Binds the defaults of the `profile` (option keys; "mutt" is the default one): cmd_default_keys, and what the profile
 * has otherwise. */
bool keymap_defaults(struct keymap *, const char *profile, struct err *);
extern const struct cmd_word keymap_profiles[]; /* NULL-terminated; [0] is mutt */
const char *keymap_profile(const char *name);   /* its lines over cmd_default_keys; "" for mutt, NULL for unknown */
/* Where the user is: for bindings with a scope. "" none. */
void keymap_place(struct keymap *, const char *account, const char *mailbox);
/* Runs a bind, unbind or macro line; others are left alone (true). */
bool keymap_line(struct keymap *, const struct line *, struct err *);
enum key_match { KEYS_NONE, KEYS_PREFIX, KEYS_EXACT };
/* What `keys` typed so far mean in this context. *binding_r (may be NULL) is set for KEYS_EXACT. */
enum key_match keymap_find(const struct keymap *, enum cmd_context, const ckey *keys, size_t n,
                           const struct binding **binding_r);
/* All bindings that work in the context and begin with `prefix` (n 0: all), the context's own first, sorted by key;
 * shadowed ones are left out. For
 * `?` and the popup after a prefix key. */
typedef void binding_fn(void *arg, const struct binding *);
void keymap_each(const struct keymap *, enum cmd_context, const ckey *prefix, size_t n, binding_fn *, void *arg);
/* All of the keymap, whether it can be reached or not, in the order of binding. */
void keymap_all(const struct keymap *, binding_fn *, void *arg);
/* Keys that run `command` in the context ("a", "C-r"), blank separated, best first; false and nothing added where none.
 */
bool keymap_where(const struct keymap *, enum cmd_context, const char *command, struct buf *out);
extern const char cmd_default_keys[]; /* bind lines in the user's language */

/* ---- Completion ---------------------------------------------------------------------------------
 * Sources of names that only the caller knows. `each` calls `emit` for names that may match `prefix` (it may give all:
 * they are filtered). */
typedef void cmd_emit_fn(void *arg, const char *word, const char *help);
struct cmd_sources {
    void (*each)(void *context, enum arg_kind, struct str prefix, cmd_emit_fn *,
                 void *arg); /* MAILBOX TAG ADDRESS SAVED ...; may be NULL */
    void *context;
};
struct candidate {
    char *word; /* unquoted */
    char *help; /* "" where none */
};
struct completions {
    struct candidate *list;
    size_t n;
    size_t from, to; /* bytes of the line that a candidate replaces */
    enum arg_kind kind;
    char *common; /* longest common front part of all candidates; never NULL */
};
#define COMPLETIONS_MAX 1000
/* Completes the word at `cursor`: command names (`context` puts those of the pane first), flags, options, values,
 * arguments. Files are read from the disk. Prefix matches come first, then words that hold the typed letters in order.
 * True where there is at least one. */
bool cmd_complete(const struct cmd_lang *, const struct conf *, enum cmd_context, const struct cmd_sources *,
                  struct str line, size_t cursor, struct completions *out_r);
/* The same for one argument of a kind, in a prompt that asks for just that. */
bool cmd_complete_kind(const struct cmd_lang *, const struct conf *, enum arg_kind, const struct cmd_sources *,
                       struct str text, size_t cursor, struct completions *out_r);
void completions_fini(struct completions *);
/* The line with candidate i put in, quoted where the language needs it; *cursor_r stands behind it. */
void completions_apply(const struct completions *, size_t i, struct str line, bool quote, struct buf *out,
                       size_t *cursor_r);
/* Fuzzy rank for pickers: 0 no match, else higher is better (exact, prefix, word starts, letters in order); smart case.
 * Linear. */
unsigned cmd_fuzzy(struct str pattern, struct str word);

/* ---- Prompt history ----------------------------------------------------------------------------- */
/* Newest last, no neighbours alike, at most `max` lines. A line that begins with a blank is not kept. */
struct history;
struct history *history_new(size_t max);
void history_free(struct history **);
void history_add(struct history *, struct str line);
/* Walks: the next older (or newer) line that begins with `prefix`, from where the walk stands; NULL at the end (newer:
 * back at what was typed). */
const char *history_older(struct history *, struct str prefix);
const char *history_newer(struct history *, struct str prefix);
void history_rewind(struct history *);
size_t history_count(const struct history *);
const char *history_at(const struct history *, size_t i);                  /* 0 oldest */
bool history_load(struct history *, const char *path, struct err *);       /* a missing file is empty */
bool history_save(const struct history *, const char *path, struct err *); /* 0600, atomic */

/* ---- Words put into a shell command ------------------------------------------------------------- */
/* Appends the value of `name` (it may come from mail); false where there is no such name. */
typedef bool cmd_value_fn(void *arg, const char *name, struct buf *value);
/* Appends `format` with each {name} replaced by its value, quoted as one word for /bin/sh whatever the value holds
 * (control characters become blanks, so that mail cannot write a second command or an escape sequence); {{ is a brace.
 * False with ERR_CONFIG for an unknown name or an open brace. */
bool cmd_expand(struct str format, cmd_value_fn *value_of, void *arg, struct buf *out, struct err *err);
/* The same with values as they are, for people to read. */
bool cmd_expand_plain(struct str format, cmd_value_fn *value_of, void *arg, struct buf *out, struct err *err);
/* Appends it (hostile) as one word for /bin/sh: control characters become blanks, and one that begins with - gets a
 * blank in front, so that it is no option. */
void shell_quote(struct str, struct buf *out);

#endif
