/* What the files of net/imap share; nobody else includes it. */
#ifndef TUIMAIL_NET_IMAP_INTERNAL_H
#define TUIMAIL_NET_IMAP_INTERNAL_H

#include "net/imap.h"

/* ---- A cursor over one answer: sticky failure, no recursion ------------------------------------- */
struct cursor {
    const char *p, *end;
    bool bad;
    const char *behind; /* the last literal that was passed, or NULL */
};
struct cursor cursor_on(struct str);
struct str cursor_rest(const struct cursor *);
bool cursor_is(struct cursor *c, char ch);          /* takes `ch` if it is there */
void cursor_space(struct cursor *);                 /* takes blanks; none is bad */
struct str cursor_word(struct cursor *);            /* up to a blank, parenthesis or the end; may be empty */
bool cursor_number(struct cursor *, uint64_t *n_r); /* false, not bad, where there is none or it does not fit */
/* A string, literal or atom. `arena` holds unescaped text. *nil_r (or NULL): it was the atom NIL. */
struct str cursor_string(struct cursor *, struct arena *, bool *nil_r);
/* Skips any one value: atom, string, literal, list of any depth up to IMAP_DEPTH_MAX. The bytes skipped. */
struct str cursor_value(struct cursor *);

/* ---- The short answers (imap_answers.c) --------------------------------------------------------- */
/* The untagged answer that begins with `word`; the cursor stands behind it; utf8: names come in UTF-8. False where it
 * is none we know. */
bool imap_answer(struct arena *, bool utf8, struct str word, struct cursor *, struct imap_event *event_r);
/* "(id)" of RFC 8474; "" where it is none. */
struct str imap_object_id(struct str value);

/* ---- libetpan's typed parser (imap_etpan.c) ----------------------------------------------------- */
struct etpan;
struct etpan *etpan_new(void);
void etpan_free(struct etpan **);
/* Reads "* n FETCH (...)" of known items only, numbers within 32 bits, without CRLF at its end. Strings go to the
 * arena, keywords to `keywords`. False where its grammar refuses it. */
bool etpan_fetch(struct etpan *, struct str answer, struct arena *, struct buf *keywords, struct imap_fetch *fetch_r);

/* Reads the literal announced at the end of `line` ("{123}", "{123+}", "~{123}"); *start_r: where the brace stands. */
bool imap_literal_size(struct str line, uint64_t *size_r, size_t *start_r);
bool imap_line_is_text(struct str line); /* a state or continuation: no literal can follow */

/* ---- The connection (imap_wire.c; logging in is imap_session.c's) ------------------------------- */
struct imap_slot {
    uint32_t tag; /* 0: free */
    bool done, forgotten;
    struct buf line; /* the tagged answer behind its tag */
};
struct imap {
    struct stream *stream;
    struct imap_handler handler;
    int64_t answer_ms;
    const int64_t *deadline_cap;
    int64_t wait_from;                 /* when the present wait began; 0: none yet */
    uint64_t wait_bytes, wait_answers; /* bytes of the line then; bytes of answers since */
    struct imap_parser *parser;
    struct buf answer; /* the one being framed */
    size_t line_bytes; /* of it outside literals */
    unsigned literals;
    bool body_came; /* one of them is a body */
    bool streamed;  /* its BODY[] went to the sink */
    uint64_t streamed_bytes;
    uint32_t next_tag, idle_tag, enable_tag;
    struct imap_slot slots[IMAP_PIPELINE_MAX];
    struct buf result; /* what imap_result borrows from */
    uint64_t caps;
    uint64_t append_limit; /* UINT64_MAX: none for all */
    bool caps_known;       /* said since the last imap_caps_forget */
    struct buf caps_text;
    uint64_t enabled;
    bool continued;       /* a "+" came */
    struct buf challenge; /* and its text */
    bool bye, logging_in;
    bool cyrus;                           /* by its greeting */
    char identity[128];                   /* what ID says of us; "" nothing */
    bool waiting;                         /* in imap_wait: no command is half sent */
    bool compressing;                     /* what is sent before the answer would go out plain */
    bool preauth, went_ahead, identified; /* went_ahead: commands lie behind the login */
    uint64_t expected, asked;             /* capabilities after an earlier login; those that ENABLE named */
};
/* Is one of the words, which are in small letters, in the text? */
bool imap_says(struct str text, const char *const *words, size_t count);
void imap_caps_forget(struct imap *);
void imap_caps_take(struct imap *, struct str words);
/* Reads and handles one answer. */
bool imap_turn(struct imap *, struct err *);
/* Reads until "+" or the end of `tag`: *continued_r tells which. */
bool imap_wait_continue(struct imap *, uint32_t tag, bool *continued_r, struct err *);
/* One framed answer without its CRLF, borrowed until the next. */
bool imap_read_answer(struct imap *, struct str *answer_r, struct err *);

#endif
