/* The databases of a query: ours, the user's own or one that is being built beside it; and what is wrong with them, or
 * with the query, in words. */
#include "search/run.h"

#include <sys/stat.h>
#include <unistd.h>

/* Why, in libnotmuch's words, without where they begin and end alike. */
static void why_in(const char *message, struct buf *out)
{
    struct str why = str_trim(str_z(message != NULL ? message : "no reason given"));
    const char *behind = message != NULL ? strstr(message, "opening database: ") : NULL;
    if (behind != NULL)
        why = str_trim(str_z(behind + strlen("opening database: ")));
    if (str_starts(why, STR("Error: ")))
        why = str_sub(why, strlen("Error: "), why.n);
    while (why.n > 0 && why.p[why.n - 1] == '.')
        why = str_sub(why, 0, why.n - 1);
    text_from_bytes(why, TEXT_FOLD_SPACE, out);
}

static void cannot_read(struct str why, struct err *err)
{
    err_set(err, ERR_INDEX, "the search index cannot be read: tuimail index --rebuild makes it anew (%.*s)",
            STR_FMT(why));
}

/* libnotmuch would wait for whoever writes into a FIFO. */
static bool only_file(const char *path, struct err *err)
{
    struct stat st;
    return stat(path, &st) != 0 || S_ISREG(st.st_mode) || err_set(err, ERR_IO, "%s is no file", path);
}

/* Opened for each query: that is half a millisecond, follows a replaced database, and a failed reopen would end the
 * program. */
static bool open_index(struct run *r, struct err *err)
{
    char *message = NULL, *written = path_join(r->s->index, "xapian");
    struct err none = ERR_INIT;
    notmuch_status_t status = NOTMUCH_STATUS_FILE_ERROR;
    if (fs_only_files(written, &none) && only_file(r->s->config, &none))
        status = notmuch_database_open_with_config(r->s->index, NOTMUCH_DATABASE_MODE_READ_ONLY, r->s->config, NULL,
                                                   &r->db, &message);
    else
        message = mem_dup_z(none.text);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        struct buf safe = BUF_INIT(200);
        r->db = NULL;
        bool newer = message != NULL && (strstr(message, "newer") != NULL || strstr(message, "not supported") != NULL);
        why_in(message, &safe);
        if (access(written, F_OK) != 0)
            err_set(err, ERR_INDEX, "nothing is indexed yet: search again in a moment");
        else if (newer)
            err_set(err, ERR_INDEX,
                    "the search index is one of a newer notmuch: install that, or make it anew by tuimail index "
                    "--rebuild");
        else
            cannot_read(buf_str(&safe), err);
        buf_fini(&safe);
    }
    free(written);
    free(message);
    return r->db != NULL;
}

/* libnotmuch does not tell a bad query from a database that moved on; its words do. */
void query_error(notmuch_database_t *db, notmuch_status_t status, struct err *err)
{
    const char *words = notmuch_database_status_string(db);
    if (words == NULL || words[0] == '\0')
        words = notmuch_status_to_string(status);
    if (status == NOTMUCH_STATUS_ILLEGAL_ARGUMENT && !notmuch_built_with("sexp_queries")) {
        err_set(err, ERR_QUERY, "this libnotmuch was built without S-expressions: write words, as in from:alice");
        return;
    }
    bool moved = status == NOTMUCH_STATUS_XAPIAN_EXCEPTION && strstr(words, "parsing") == NULL;
    /* "A Xapian exception occurred parsing query: WHY", and behind it the query as we wrote it */
    const char *why = strstr(words, "parsing query: "), *query = strstr(words, "Query string was:");
    struct buf safe = BUF_INIT(300);
    why = why != NULL ? why + strlen("parsing query: ") : words;
    text_from_bytes(str_trim((struct str){why, query != NULL && query > why ? (size_t)(query - why) : strlen(why)}),
                    TEXT_FOLD_SPACE, &safe);
    if (moved)
        cannot_read(buf_str(&safe), err);
    else
        err_set(err, ERR_QUERY, "%s", buf_z(&safe));
    buf_fini(&safe);
}

/* What is asked of some messages alone is asked of a database that is being built, too: what is new is there. */
static notmuch_database_t *open_building(const struct run *r)
{
    notmuch_database_t *db = NULL;
    char *building = path_join(r->s->index, "building"), *written = path_join(building, "xapian"), *message = NULL;
    struct err none = ERR_INIT;
    if (r->m->msgs.n > 0 && access(written, F_OK) == 0 && fs_only_files(written, &none) &&
        notmuch_database_open_with_config(building, NOTMUCH_DATABASE_MODE_READ_ONLY, r->s->config, NULL, &db,
                                          &message) != NOTMUCH_STATUS_SUCCESS)
        db = NULL;
    free(building);
    free(written);
    free(message);
    return db;
}

/* The user's own database knows neither accounts nor local ids. */
static bool asks_own(const struct run *r)
{
    return r->s->own.given != NULL && r->m->account.n == 0 && r->m->msgs.n == 0;
}

/* Where ours alone knows what is asked for (places, accounts), it alone says what is found. */
static bool ours_knows(const struct search *s, const char *text)
{
    static const char *const fields[] = {"path:", "folder:", "property:", "(path ", "(folder ", "(property "};
    bool is = false;
    for (size_t i = 0; !is && i < COUNT(fields); i++)
        is = strstr(text, fields[i]) != NULL;
    for (size_t i = 0; !is && i < s->naccounts; i++)
        is = strstr(text, s->accounts[i]) != NULL;
    return is;
}

bool open_both(struct run *r, const char *text, struct err *err)
{
    r->own_err = ERR_INIT;
    r->own.db = open_building(r);
    if (asks_own(r) && !own_open(&r->s->own, NOTMUCH_DATABASE_MODE_READ_ONLY, &r->own.db, &r->own_err))
        log_msg(LOG_WARN, "%s", r->own_err.text);
    if (!open_index(r, err)) {
        if (r->own.db == NULL)
            return false;
        r->own_err = *err; /* what there is is searched */
        *err = ERR_INIT;
    }
    r->ours.db = r->db;
    r->own_rules = asks_own(r) && r->own.db != NULL && r->ours.db != NULL && !ours_knows(r->s, text);
    return true;
}

static void side_close(struct side *side)
{
    if (side->first != NULL)
        notmuch_message_destroy(side->first);
    if (side->part != NULL)
        notmuch_query_destroy(side->part);
    if (side->q != NULL)
        notmuch_query_destroy(side->q);
    if (side->db != NULL)
        notmuch_database_destroy(side->db);
    *side = (struct side){.db = NULL};
}

void close_index(struct run *r)
{
    side_close(&r->ours);
    side_close(&r->own);
    str_set_free(&r->seen);
    r->db = NULL;
}

bool query_create(notmuch_database_t *db, const char *text, notmuch_query_t **q_r, struct err *err)
{
    bool sexp = strncmp(text, "sexp:(", 6) == 0;
    notmuch_status_t status = notmuch_query_create_with_syntax(
        db, text + (sexp ? 5 : 0), sexp ? NOTMUCH_QUERY_SYNTAX_SEXP : NOTMUCH_QUERY_SYNTAX_XAPIAN, q_r);
    if (status != NOTMUCH_STATUS_SUCCESS)
        query_error(db, status, err);
    return status == NOTMUCH_STATUS_SUCCESS;
}

void search_touch(struct search *s)
{
    struct run r = {.s = s};
    struct err ignored = ERR_INIT;
    unsigned count;
    if (open_index(&r, &ignored)) {
        r.ours.db = r.db;
        if (query_create(r.db, "id:x from:x", &r.ours.q, &ignored))
            (void)notmuch_query_count_messages(r.ours.q, &count);
    }
    close_index(&r);
}
