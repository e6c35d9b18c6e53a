/* client/book: addresses for completion: those of vCard files (option address-book), and several sources put in one
 * order. */
#ifndef TUIMAIL_CLIENT_BOOK_H
#define TUIMAIL_CLIENT_BOOK_H

#include "conf/conf.h"

#define BOOK_ENTRIES_MAX 100000    /* of one directory */
#define BOOK_FILE_MAX (256u << 20) /* what a file has behind it is not read */
#define BOOK_FOLDERS_MAX 64        /* below one directory */

/* ---- What several sources know, the likeliest first ------------------------------------------------ */
struct book_found {
    char *name, *addr; /* raw; addr: of a group: its addresses, comma separated */
    int64_t rank;      /* how often and how lately it was met; 0: never */
    size_t place;
};
struct founds {
    struct book_found *list;
    size_t n, cap;
};
#define FOUNDS_MAX 1000
/* An address that is there already has the better rank, and a name where there was none. */
void founds_add(struct founds *, struct str name, struct str addr, int64_t rank);
void founds_sort(struct founds *); /* by rank, then as they came */
void founds_free(struct founds *);

/* ---- vCard files ----------------------------------------------------------------------------------- */
struct book;
/* directories: those of option address-book, separated by ":": a directory of files *.vcf, as khard keeps it, one of
 * such directories, as vdirsyncer does, or one file. Reads nothing yet. */
struct book *book_new(const char *directories);
void book_free(struct book **); /* NULL-safe; sets NULL */
/* Reads about so many bytes of what has changed since (a file counts for 4 KB at least), or puts what was read in
 * order; true: there is more to do. A directory is read anew when its time changed, as every program that replaces its
 * files makes it; what was read before serves until then. What cannot be read is passed over and counted. May wait for
 * the disk. */
bool book_step(struct book *, size_t bytes);
unsigned book_unread(const struct book *); /* files or directories that could not be read */
/* Those with a word in name, nickname or address that begins so (each word of `prefix` has to be found; case and
 * accents do not count). Looked up in an order by words. */
void book_find(const struct book *, struct str prefix, unsigned max, struct founds *);

/* ---- The output of a query command ------------------------------------------------------------------ */
/* mutt's format: a line for the person, then ADDRESS<tab>NAME<tab>NOTE. Hostile. */
void query_parse(struct str output, unsigned max, struct founds *);
/* The command with the term as "$1": in place of %s, quoted or not, else behind it. */
void query_command(const char *option, struct buf *out);

#endif
