/* What a query finds in each database, and which of it comes next. */
#include "search/run.h"

/* What tags hide unless the query names them: where it does, notmuch ignores the exclusion. */
static const char *const hidden[HIDDEN] = {"deleted", "spam"};

static bool query_make(struct run *r, notmuch_database_t *db, const char *text, notmuch_query_t **q_r, struct err *err)
{
    struct buf words = BUF_INIT(1u << 20), both = BUF_INIT(1u << 20);
    if (r->m->msgs.n > 0) {
        only_these(r, db, &words);
        query_both(buf_str(&words), str_z(text), &both);
        text = buf_z(&both);
    }
    bool full = words.full || both.full, ok = !full && query_create(db, text, q_r, err);
    if (full)
        query_error(db, NOTMUCH_STATUS_OUT_OF_MEMORY, err);
    buf_fini(&words);
    buf_fini(&both);
    return ok;
}

bool side_query(struct run *r, struct side *side, const char *text, notmuch_query_t **q_r, struct err *err)
{
    bool own = side == &r->own;
    if (!query_make(r, side->db, text, q_r, err))
        return false;
    if (r->m->msgs.n > 0)
        return true;
    notmuch_query_set_sort(*q_r, r->m->order == SEARCH_OLDEST ? NOTMUCH_SORT_OLDEST_FIRST : NOTMUCH_SORT_NEWEST_FIRST);
    if (r->m->all)
        return true;
    notmuch_query_set_omit_excluded(*q_r, NOTMUCH_EXCLUDE_TRUE);
    for (size_t i = 0; !own && i < HIDDEN; i++)
        r->hides[i] = notmuch_query_add_tag_exclude(*q_r, hidden[i]) == NOTMUCH_STATUS_SUCCESS;
    if (!own)
        return true;
    notmuch_config_values_t *tags = notmuch_config_get_values(side->db, NOTMUCH_CONFIG_EXCLUDE_TAGS);
    for (; notmuch_config_values_valid(tags); notmuch_config_values_move_to_next(tags))
        (void)notmuch_query_add_tag_exclude(*q_r, notmuch_config_values_get(tags));
    notmuch_config_values_destroy(tags);
    return true;
}

bool side_next(struct side *side, struct err *err)
{
    if (side->first != NULL || !side->asked || !notmuch_messages_valid(side->messages))
        return true;
    side->first = notmuch_messages_get(side->messages);
    notmuch_messages_move_to_next(side->messages);
    /* 0.37 shows an invalidated list as its end, or as a message without header */
    return (side->first != NULL && notmuch_message_get_header(side->first, "from") != NULL) ||
           err_set(err, ERR_INDEX, "the index moved on");
}

bool side_ask(struct side *side, notmuch_query_t *part, struct err *err)
{
    notmuch_query_t *q = part != NULL ? part : side->q;
    notmuch_status_t status = notmuch_query_search_messages(q, &side->messages);
    side->asked = status == NOTMUCH_STATUS_SUCCESS;
    if (side->first != NULL)
        notmuch_message_destroy(side->first);
    side->first = NULL;
    if (!side->asked)
        query_error(side->db, status, err);
    return side->asked;
}

struct side *side_of_next(struct run *r)
{
    if (r->ours.first == NULL || r->own.first == NULL)
        return r->ours.first != NULL ? &r->ours : r->own.first != NULL ? &r->own : NULL;
    time_t a = notmuch_message_get_date(r->ours.first), b = notmuch_message_get_date(r->own.first);
    return (r->m->order == SEARCH_OLDEST ? b < a : b > a) ? &r->own : &r->ours;
}

notmuch_message_t *known_to(notmuch_database_t *db, notmuch_message_t *m)
{
    notmuch_message_t *twin = NULL;
    if (db == NULL ||
        notmuch_database_find_message(db, notmuch_message_get_message_id(m), &twin) != NOTMUCH_STATUS_SUCCESS)
        return NULL;
    const char *file = twin != NULL ? notmuch_message_get_filename(twin) : NULL;
    if (twin != NULL && (file == NULL || file[0] == '\0')) {
        notmuch_message_destroy(twin);
        twin = NULL;
    }
    return twin;
}

bool is_hidden(const struct run *r, notmuch_message_t *m)
{
    bool is = false;
    for (size_t i = 0; i < HIDDEN && !is; i++)
        is = r->hides[i] && has_tag(m, hidden[i]);
    return is;
}

bool left_to_own(const struct run *r, notmuch_message_t *m)
{
    notmuch_message_t *twin = r->own_rules ? known_to(r->own.db, m) : NULL;
    if (twin != NULL)
        notmuch_message_destroy(twin);
    return twin != NULL;
}

bool wanted(struct run *r, const struct side *side, notmuch_message_t **twin_r)
{
    *twin_r = side == &r->own ? known_to(r->ours.db, side->first) : NULL;
    if (side == &r->ours && left_to_own(r, side->first))
        return false;
    return (*twin_r == NULL || !is_hidden(r, *twin_r)) &&
           (r->own.db == NULL || str_set_add(&r->seen, str_z(notmuch_message_get_message_id(side->first)), NULL));
}
