/* Shared by the files of conf/ alone. */
#ifndef TUIMAIL_CONF_INTERNAL_H
#define TUIMAIL_CONF_INTERNAL_H

#include "conf/conf.h"

/* A load under way: what `source` needs to know, and where complaints go. */
struct loader {
    struct conf *conf;
    struct buf *all;   /* may be NULL */
    struct err *first; /* of the errors */
    bool failed;
    bool own; /* what is read is the file of option saved-file */
    unsigned depth, count;
    struct {
        uint64_t dev, ino;
    } open[CONF_MAX_DEPTH + 1];
};
void saved_fini(struct saved *);
/* Runs a saved line; an own one leaves that of tuimailrc as it is. */
bool saved_run(struct conf *, const struct line *, bool own, struct err *);
void load_file(struct loader *, const char *path, const char *where);
void loader_complain(struct loader *, const char *where, bool error, const struct err *);

/* Runs a command; `loader` is NULL at the prompt. The error text has no file:line. */
bool command_run(struct conf *, struct loader *, const struct line *, struct err *);
/* Where a line stands, kept as long as the conf. */
const char *conf_keep_where(struct conf *, const struct line *);
void line_copy(struct conf *, const struct line *, struct line *copy_r);

/* The rules that concern more than one option. */
void account_apply_tls(struct account *);
bool account_check(const struct conf *, const struct account *, struct err *);
void conf_check(struct loader *); /* all of it, with warnings */

/* The line tag-keyword, and the end of all of them. */
bool conf_tag_keyword(struct conf *, const struct line *, struct err *);
void tag_keywords_free(struct conf *);

void account_init(struct account *, const char *name);
void account_fini(struct account *);

#endif
