/* How the hits of a list are kept: shared by hits.c and hits_threads.c alone. */
#ifndef TUIMAIL_UI_HITS_INT_H
#define TUIMAIL_UI_HITS_INT_H

#include "ui/list_int.h"

/* Of one hit, as little as its place in the list needs. */
struct hit_at {
    uint64_t id, thread, conversation;
    int64_t date,
        number;    /* number: of the list's order; where that is a text, its place among the texts, 0 the empty one */
    uint32_t more; /* of one that no database has: its place among those, from 1 on */
    uint8_t account, sources, said;                   /* who says that it is a hit; and has said so in this round */
    bool seen : 1, flagged : 1, here : 1, placed : 1; /* here: it is where the list is about; placed: in the order */
};
struct hit_more {
    char *msgid, *from, *subject, *path;
    uint64_t size;
};
struct hits {
    struct hit_at *at;
    uint32_t n, cap, known;  /* known: so many have been looked up, and are in the order */
    uint32_t over;           /* hits that found no place */
    uint32_t *slots, nslots; /* by identity: place in `at`, plus one */
    struct hit_more *mores;
    uint32_t nmores;
    char *texts; /* from 1 on; two bytes of length, then the text */
    size_t ntexts, cap_texts;
    uint32_t *order, *shown; /* all that are known, and those the filter leaves; in the list's order, not reversed */
    uint32_t norder, nshown, nunread;
    uint32_t swept;         /* those below were looked up again since the databases changed; known: all */
    bool again;             /* and changed once more meanwhile */
    bool replace, refilter; /* order, shown are to be made again */
    enum list_order by;     /* what `number` is for */
    uint8_t clear, rounds;  /* sources whose hits go with the next one; those that are telling theirs */
    uint64_t inboxes[64];   /* of a list that is limited to them, and of which account each is */
    unsigned inbox_of[64], ninboxes;
    /* by threads: members of group g are first[g] to first[g + 1] - 1, newest first. They are as they were made, until
     * they are made anew, while hits come and are looked up again. */
    struct groups {
        uint32_t *members, *first, *of, *stands; /* of: by hit; stands: the hit whose thread names it */
        int64_t *newest;                         /* the date that it stands by */
        uint32_t n, nof;
        int64_t made_ms, cost_ms;
        bool old;
    } groups;
};

/* The message with this place in `at`, read; false where it is not in the list. */
bool hit_read(const struct list *, uint32_t i, struct list_row *row_r);
uint32_t hit_index(const struct hits *, struct ref, struct str msgid); /* UINT32_MAX: none */
struct row_key hit_key(const struct list *, uint32_t i);
/* ---- list_tree.c ---- */
/* The trees of the threads that these hits are of. */
void grove_hits(const struct list *, const uint32_t *hits, uint32_t n, struct gather *out, struct err *err);

#endif
