/* What other programs did to tags, as the revisions of a database (lastmod) tell it. */
#include "index/index.h"

#include "mail/tag.h"

#include <stdio.h>

#define LOOKED_KEY "tuimail.looked" /* in the configuration that the database holds: "UUID REVISION" */
#define DRAIN_AT 200
#define PATH_SENT_MAX 1024 /* bytes, as INDEX_TAGGED takes it */

bool tag_automatic(const char *tag)
{
    return strcmp(tag, "attachment") == 0 || strcmp(tag, "signed") == 0 || strcmp(tag, "encrypted") == 0;
}

void tags_words(notmuch_message_t *m, struct buf *out)
{
    notmuch_tags_t *t = notmuch_message_get_tags(m);
    for (; notmuch_tags_valid(t); notmuch_tags_move_to_next(t)) {
        if (tag_automatic(notmuch_tags_get(t)))
            continue;
        buf_addz(out, out->n > 0 ? " " : "");
        tag_to_word(str_z(notmuch_tags_get(t)), out);
    }
    notmuch_tags_destroy(t);
}

/* The revision up to which all is known. False where that was never said of this database. */
static bool looked(notmuch_database_t *db, unsigned long *revision_r)
{
    char *value = NULL;
    const char *uuid;
    unsigned long now = notmuch_database_get_revision(db, &uuid);
    size_t n = strlen(uuid);
    uint64_t was = 0;
    bool known = notmuch_database_get_config(db, LOOKED_KEY, &value) == NOTMUCH_STATUS_SUCCESS && value != NULL &&
                 strncmp(value, uuid, n) == 0 && value[n] == ' ' && str_u64(str_z(value + n + 1), &was) && was <= now;
    free(value);
    *revision_r = known ? (unsigned long)was : now;
    return known;
}

bool look_since(struct chan *store, notmuch_database_t *db, unsigned long since, look_fn *fn, void *arg,
                struct err *err)
{
    char text[64];
    unsigned seen = 0, all = 0;
    notmuch_messages_t *ms = NULL;
    snprintf(text, sizeof text, "lastmod:%lu..", since + 1);
    notmuch_query_t *q = notmuch_query_create(db, text);
    if (q == NULL)
        return err_set(err, ERR_INDEX, "a query cannot be made");
    notmuch_query_set_sort(q, NOTMUCH_SORT_UNSORTED);
    notmuch_query_set_omit_excluded(q, NOTMUCH_EXCLUDE_FALSE);
    bool ok = notmuch_query_count_messages(q, &all) == NOTMUCH_STATUS_SUCCESS &&
              notmuch_query_search_messages(q, &ms) == NOTMUCH_STATUS_SUCCESS;
    bool read = ok;
    for (; ok && notmuch_messages_valid(ms); notmuch_messages_move_to_next(ms)) {
        notmuch_message_t *m = notmuch_messages_get(ms);
        if (m == NULL)
            break;
        ok = fn(arg, m, err) && (++seen % DRAIN_AT != 0 || chan_drain(store, clock_mono_ms() + 60000, err));
        notmuch_message_destroy(m);
    }
    notmuch_query_destroy(q);
    /* libnotmuch shows a list that cannot be read on as its end */
    return read && (!ok || seen >= all) ? ok : err_set(err, ERR_INDEX, "the database moved on while it was read");
}

/* Where it is, as the store knows it: an id may be notmuch's own, or ours. Lives as long as the message. */
static struct str path_of(const struct index *ix, notmuch_message_t *m)
{
    struct str path = STR("");
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    for (; path.n == 0 && notmuch_filenames_valid(files); notmuch_filenames_move_to_next(files))
        if (place_is(ix, notmuch_filenames_get(files)))
            path = place_of(ix, notmuch_filenames_get(files));
    notmuch_filenames_destroy(files);
    return path.n <= PATH_SENT_MAX ? path : STR("");
}

static bool tell_tags(void *arg, notmuch_message_t *m, struct err *err)
{
    struct index *ix = arg;
    struct buf words = BUF_INIT(16384);
    const char *id = notmuch_message_get_message_id(m);
    tags_words(m, &words);
    bool ok = words.full || SEND(ix->store, -1, err, INDEX_TAGGED, .msgid = str_z(id), .path = path_of(ix, m),
                                 .tags = buf_str(&words));
    buf_fini(&words);
    return ok;
}

bool index_look(struct index *ix, struct err *err)
{
    unsigned long since;
    const char *uuid;
    struct err why = ERR_INIT;
    if (ix->beside || !looked(ix->db, &since) || since == notmuch_database_get_revision(ix->db, &uuid))
        return true;
    ix->unheard = true;
    if (!look_since(ix->store, ix->db, since, tell_tags, ix, &why) && why.kind != ERR_INDEX) {
        *err = why; /* of a database that cannot be read the next job finds out what it is */
        return false;
    }
    return SEND(ix->store, -1, err, INDEX_TAGGED, .msgid = STR(""));
}

void index_looked(struct index *ix)
{
    unsigned long was;
    const char *uuid;
    unsigned long now = notmuch_database_get_revision(ix->db, &uuid);
    char value[128];
    if (ix->unheard || (looked(ix->db, &was) && was == now))
        return;
    snprintf(value, sizeof value, "%s %lu", uuid, now);
    notmuch_database_set_config(ix->db, LOOKED_KEY, value);
}
