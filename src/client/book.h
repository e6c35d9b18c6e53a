/* client/book: addresses for completion: those of vCard files (option address-book), and several sources put in one
 * order. */
#ifndef TUIMAIL_CLIENT_BOOK_H
#define TUIMAIL_CLIENT_BOOK_H

#include "conf/conf.h"

#define BOOK_ENTRIES_MAX 20000
#define BOOK_FILE_MAX (256u << 10)

/* ---- What several sources know, the likeliest first ------------------------------------------------ */
struct book_found {
    char *name, *addr; /* raw; addr: of a group: its addresses, comma separated */
    int64_t weight, last;
    size_t place;
};
struct founds {
    struct book_found *list;
    size_t n, cap;
};
#define FOUNDS_MAX 1000
/* An address that is there already adds its weight, and its name where there was none. */
void founds_add(struct founds *, struct str name, struct str addr, int64_t weight, int64_t last);
void founds_sort(struct founds *); /* by weight, then by time, then as they came */
void founds_free(struct founds *);

/* ---- vCard files ----------------------------------------------------------------------------------- */
struct book;
/* directories: those of option address-book, separated by ":". Reads nothing yet. */
struct book *book_new(const char *directories);
void book_free(struct book **); /* NULL-safe; sets NULL */
/* Reads at most `files` files of what has changed since; true: there is more to read. A directory is read anew when its
 * time changed, as every program that replaces its files makes it; what was read before serves until then. What cannot
 * be read is passed over and counted. May wait for the disk. */
bool book_step(struct book *, unsigned files);
unsigned book_unread(const struct book *); /* files or directories that could not be read */
/* Those with a word in name, nickname or address that begins so (each word of `prefix` has to be found). */
void book_find(const struct book *, struct str prefix, unsigned max, struct founds *);

/* ---- The output of a query command ------------------------------------------------------------------ */
/* mutt's format: a line for the person, then ADDRESS<tab>NAME<tab>NOTE. Hostile. */
void query_parse(struct str output, unsigned max, struct founds *);
/* The command with the term as "$1": in place of %s, quoted or not, else behind it. */
void query_command(const char *option, struct buf *out);

#endif
