/* query: the language of searches, as far as it can be told without an index: what a query says, what is wrong with it
 * and where, how its short forms are written out, and which words of it a text has. Pure: nothing blocks, nothing is
 * opened. Queries are typed by the user or stand in tuimailrc; they may be any bytes.
 *
 * The language is notmuch-search-terms(7) with short forms (query_forms), or, where a query is one bracket that begins
 * with a name of notmuch-sexp-queries(7), or has sexp: in front, that language of S-expressions. */
#ifndef TUIMAIL_QUERY_QUERY_H
#define TUIMAIL_QUERY_QUERY_H

#include "base/base.h"

#define QUERY_MAX 8192 /* bytes of one */

/* Is it an S-expression? *body_r (may be NULL): without sexp: in front. "(not tag:x)" is none: it has prefixes. */
bool query_is_sexp(struct str query, struct str *body_r);
/* Finds what both find, whatever syntax each has. */
bool query_both(struct str a, struct str b, struct buf *out);

/* What a saved search asks that is limited to an account ("" none). */
bool query_of_saved(const char *query, const char *account, struct buf *out);

/* ---- Words behind a colon ---- */
struct query_form {
    const char *prefix, *to; /* "f:" and "from:" that it stands for; NULL: it is notmuch's, or its value is rewritten */
    const char *help;
    bool terms; /* its value is words, not a name as a whole */
};
extern const struct query_form query_forms[];
extern const size_t query_nforms;

/* ---- What only the caller knows; functions may be NULL: then anything is taken to be there ---- */
struct query_world {
    void *arg;
    /* What a mailbox comes to; ERR_QUERY where there is none of the name. */
    bool (*box)(void *arg, struct str name, struct buf *out, struct err *);
    /* begins: is there one whose name begins so? It is being typed. */
    bool (*box_known)(void *arg, struct str name, bool begins);
    bool (*tag_known)(void *arg, struct str tag, bool begins);
    bool (*field_known)(void *arg, struct str name); /* of a header, in the index */
    /* Appends the saved search's query (query_of_saved); false where there is none. */
    bool (*saved)(void *arg, struct str name, struct buf *out);
    bool (*account_known)(void *arg, struct str name);
};

/* ---- Checking ---- */
enum query_verdict {
    QUERY_GOOD,
    QUERY_HINT, /* it can be asked, and will find nothing: no such tag or mailbox */
    QUERY_OPEN, /* not finished: what is typed behind it may mend it */
    QUERY_BAD,
};
struct query_fault {
    size_t from, to; /* bytes of the query */
    char text[200];  /* safe text in one line, no dot */
};
/* The first fault; of a good query *fault_r is empty. Linear. */
enum query_verdict query_check(struct str query, const struct query_world *, struct query_fault *fault_r);
/* A regexp that would take the memory or the time of hours: nested repetitions of many. ERR_QUERY names it. */
bool query_regexp_bounded(struct str regexp, struct err *);

/* The first regexp of the query; false where it has none. */
bool query_regexp(struct str query, struct buf *out);

/* ---- Short forms ---- */
/* Writes the query as notmuch takes it: short forms written out, saved searches in their place, an S-expression without
 * its prefix. `account` ("" all) limits what it finds to one account. False with ERR_QUERY where a short form makes no
 * sense, ERR_LIMIT where `out` is full. */
bool query_expand(struct str query, struct str account, const struct query_world *, struct buf *out, struct err *);

/* ---- Queries that are being typed ---- */
/* Appends the query so that its last word finds what begins with it, too: of "bud" a budget. A word stays as it is that
 * has fewer than three letters or anything but letters and digits, that a blank, a quote or a bracket ends, that is not
 * one of a text (a tag, a date), and behind not, near and adj. */
void query_begun(struct str query, struct buf *out);

/* ---- Words to be marked ---- */
enum query_place {
    PLACE_FROM = 1,
    PLACE_TO = 2,
    PLACE_SUBJECT = 4,
    PLACE_BODY = 8,
    PLACE_FILE = 16,
    PLACE_ANY = 31,
};
/* The words that a text is to have for the query to find it: not those behind a not, no regexps. */
struct query_words;
struct query_words *query_words_new(struct str query);
/* A piece of text as it was typed, wherever it stands, even within words. */
struct query_words *query_words_piece(struct str typed);
void query_words_free(struct query_words **);
size_t query_words_count(const struct query_words *);
/* The next of them in `text` (hostile) from *from_r on, for a text at that place: *from_r and *to_r are its bytes.
 * Case and accents do not count; a word may have another ending, as the index has it. Linear in the text, which is
 * looked at as far as its first 16 KB. */
bool query_words_find(const struct query_words *, unsigned place, struct str text, size_t *from_r, size_t *to_r);
/* How many of the words the text has. */
unsigned query_words_in(const struct query_words *, unsigned place, struct str text);

#endif
