/* Running a query: the notmuch side. */
#include "search/search.h"

#include "mail/tag.h"

#include <notmuch.h>

#include <unistd.h>

#define HITS_MAX 100000
#define TRIES 4 /* a commit may pull the database from under a query: opened again, asked again */

struct run {
    struct search *s;
    const struct m_QUERY *m;
    notmuch_database_t *db;
    struct msg *next;
    uint32_t hits;
    bool gone; /* the channel */
    struct only {
        char *id; /* libnotmuch's */
        uint64_t msg;
    } * only; /* of a query for some messages, by id */
    size_t nonly;
};

/* Opened for each query: that is half a millisecond, follows a replaced database, and a failed reopen would end the
 * program. */
static bool open_index(struct run *r, struct err *err)
{
    char *message = NULL;
    notmuch_status_t status = notmuch_database_open_with_config(r->s->index, NOTMUCH_DATABASE_MODE_READ_ONLY,
                                                                r->s->config, NULL, &r->db, &message);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        struct buf safe = BUF_INIT(300);
        char *written = path_join(r->s->index, "xapian");
        r->db = NULL;
        text_from_bytes(str_z(message), TEXT_FOLD_SPACE, &safe);
        if (access(written, F_OK) != 0)
            err_set(err, ERR_INDEX, "nothing is indexed yet: search again in a moment");
        else
            err_set(err, ERR_INDEX, "the search index cannot be read%s%s", safe.n > 0 ? ": " : "", buf_z(&safe));
        free(written);
        buf_fini(&safe);
    }
    free(message);
    return r->db != NULL;
}

/* libnotmuch does not tell a bad query from a database that moved on; its words do. */
static void query_error(struct run *r, notmuch_status_t status, struct err *err)
{
    const char *words = notmuch_database_status_string(r->db);
    if (words == NULL || words[0] == '\0')
        words = notmuch_status_to_string(status);
    bool moved = status == NOTMUCH_STATUS_XAPIAN_EXCEPTION && strstr(words, "parsing") == NULL;
    /* "A Xapian exception occurred parsing query: WHY", and behind it the query as we wrote it */
    const char *why = strstr(words, "parsing query: "), *query = strstr(words, "Query string was:");
    struct buf safe = BUF_INIT(300);
    why = why != NULL ? why + strlen("parsing query: ") : words;
    text_from_bytes(str_trim((struct str){why, query != NULL && query > why ? (size_t)(query - why) : strlen(why)}),
                    TEXT_FOLD_SPACE, &safe);
    err_set(err, moved ? ERR_INDEX : ERR_QUERY, "%s", buf_z(&safe));
    buf_fini(&safe);
}

/* ---- Only some messages ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct only *)a)->id, ((const struct only *)b)->id);
}

static void only_free(struct run *r)
{
    for (size_t i = 0; i < r->nonly; i++)
        free(r->only[i].id);
    free(r->only);
    r->only = NULL;
    r->nonly = 0;
}

/* A message of the account by the places under which the index may have it: its file or what stands for it, or an
 * altered header file. */
static notmuch_message_t *find(struct run *r, struct reader *reader, uint64_t msg)
{
    const char *root = notmuch_config_get(r->db, NOTMUCH_CONFIG_MAIL_ROOT);
    notmuch_message_t *m = NULL;
    struct err ignored = ERR_INIT;
    struct buf place = BUF_INIT(2048), path = BUF_INIT(8192);
    for (unsigned i = 0; i < 2 && m == NULL; i++) {
        buf_reset(&place);
        buf_reset(&path);
        if (!reader_place(reader, msg, &place, &ignored))
            break;
        buf_addf(&path, "%s/%s%s", root, i % 2 ? ".dup/" : "", buf_z(&place));
        if (place.n > 0 && !path.full &&
            notmuch_database_find_message_by_filename(r->db, buf_z(&path), &m) != NOTMUCH_STATUS_SUCCESS)
            m = NULL;
    }
    buf_fini(&place);
    buf_fini(&path);
    return m;
}

/* The query's messages, and the words that restrict it to them. */
static void only_these(struct run *r, struct buf *words)
{
    struct reader *reader = NULL;
    size_t n = ipc_ids_count(r->m->msgs);
    for (size_t i = 0; i < r->s->naccounts; i++)
        if (str_eqz(r->m->account, r->s->accounts[i]))
            reader = search_reader(r->s, i);
    only_free(r);
    buf_addz(words, "(id:\"\""); /* where the index has none of them the query is still looked at */
    r->only = mem_array(n + 1, sizeof *r->only);
    for (size_t i = 0; i < n && reader != NULL; i++) {
        uint64_t msg = ipc_ids_at(r->m->msgs, i);
        notmuch_message_t *m = find(r, reader, msg);
        if (m == NULL)
            continue;
        const char *id = notmuch_message_get_message_id(m);
        buf_addz(words, " or id:\"");
        for (const char *p = id; *p != '\0'; p++)
            buf_addf(words, *p == '"' ? "\"\"" : "%c", *p);
        buf_addc(words, '"');
        r->only[r->nonly++] = (struct only){mem_dup_z(id), msg};
        notmuch_message_destroy(m);
    }
    buf_addc(words, ')');
    if (r->nonly > 0)
        qsort(r->only, r->nonly, sizeof *r->only, by_id);
}

static bool send_only(struct run *r, notmuch_message_t *m, struct err *err)
{
    const char *id = notmuch_message_get_message_id(m);
    bool ok = true;
    for (size_t i = 0; i < r->nonly && ok; i++)
        if (strcmp(r->only[i].id, id) == 0) {
            ok = SEND(r->s->client, -1, err, HIT, .req = r->m->req, .account = r->m->account, .msg = r->only[i].msg,
                      .msgid = str_z(id));
            if (ok && chan_wants_write(r->s->client))
                ok = chan_drain(r->s->client, clock_mono_ms() + 10000, err);
            r->hits += ok;
        }
    r->gone = !ok;
    return ok;
}

/* ---- Hits ---- */

struct place {
    struct str account, path;
    uint64_t msg;
};

/* "ACCOUNT/..." of a file of the index; false for one that is not below the mail root. */
static bool relative(const struct run *r, const char *file, struct str *path_r)
{
    struct str path = str_z(file), root = str_z(notmuch_config_get(r->db, NOTMUCH_CONFIG_MAIL_ROOT));
    if (!str_starts(path, root) || path.n <= root.n || path.p[root.n] != '/')
        return false;
    path = str_sub(path, root.n + 1, path.n);
    *path_r = str_starts(path, STR(".dup/")) ? str_sub(path, 5, path.n) : path;
    return true;
}

static bool account_of(const struct search *s, struct str path, size_t *account_r)
{
    struct str name;
    if (!str_split(&path, '/', &name))
        return false;
    for (size_t i = 0; i < s->naccounts; i++)
        if (str_eqz(name, s->accounts[i])) {
            *account_r = i;
            return true;
        }
    return false;
}

static void first_row(void *arg, const struct msg_row *row)
{
    uint64_t *msg = arg;
    if (*msg == 0)
        *msg = row->id;
}

static bool in_trash(struct reader *reader, const struct msg_row *row)
{
    struct box_row box = {.id = 0};
    struct err ignored = ERR_INIT;
    return reader_box(reader, row->box, &box, &ignored) && (box.role == BOX_TRASH || box.role == BOX_JUNK);
}

/* The local id: by path, else (a Maildir file was renamed meanwhile) by Message-ID in the account the path names. Of
 * several copies one that is neither in the trash nor among spam, where there is one. */
static struct place locate(struct run *r, notmuch_message_t *m)
{
    struct place best = {.msg = 0};
    bool several = notmuch_message_count_files(m) > 1, dead = false;
    struct err ignored = ERR_INIT;
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    for (int by_id = 0; by_id < 2 && best.msg == 0; by_id++) {
        if (by_id == 1) {
            notmuch_filenames_destroy(files);
            files = notmuch_message_get_filenames(m);
        }
        for (; notmuch_filenames_valid(files) && (best.msg == 0 || dead); notmuch_filenames_move_to_next(files)) {
            struct str path;
            struct msg_row row = {.id = 0};
            size_t account;
            if (!relative(r, notmuch_filenames_get(files), &path))
                continue;
            if (best.path.p == NULL)
                best.path = path;
            if (!account_of(r->s, path, &account) ||
                (r->m->account.n > 0 && !str_eqz(r->m->account, r->s->accounts[account])))
                continue;
            struct reader *reader = search_reader(r->s, account);
            if (reader == NULL)
                continue;
            if (by_id == 0)
                reader_find_path(reader, path, &row, &ignored);
            else
                reader_find_msgid(reader, str_z(notmuch_message_get_message_id(m)), first_row, &row.id, &ignored);
            if (row.id == 0)
                continue;
            bool other = several && by_id == 0 && in_trash(reader, &row);
            if (best.msg == 0 || !other)
                best = (struct place){str_z(r->s->accounts[account]), path, row.id};
            dead = other;
        }
    }
    /* the names live as long as the message */
    return best;
}

static bool send_hit(struct run *r, notmuch_message_t *m, struct err *err)
{
    struct place at = locate(r, m);
    struct buf tags = BUF_INIT(2048);
    const char *from = notmuch_message_get_header(m, "from"), *subject = notmuch_message_get_header(m, "subject");
    notmuch_tags_t *t = notmuch_message_get_tags(m);
    for (; notmuch_tags_valid(t); notmuch_tags_move_to_next(t)) {
        buf_addz(&tags, tags.n > 0 ? " " : "");
        tag_to_word(str_z(notmuch_tags_get(t)), &tags);
    }
    bool ok = SEND(r->s->client, -1, err, HIT, .req = r->m->req, .account = at.account, .msg = at.msg,
                   .msgid = str_z(notmuch_message_get_message_id(m)), .path = at.path,
                   .date = (int64_t)notmuch_message_get_date(m), .from = str_z(from), .subject = str_z(subject),
                   .tags = buf_str(&tags));
    /* a client that reads slowly is waited for; the socket holds a few hundred hits */
    if (ok && chan_wants_write(r->s->client))
        ok = chan_drain(r->s->client, clock_mono_ms() + 10000, err);
    buf_fini(&tags);
    r->gone = !ok;
    r->hits += ok;
    return ok;
}

/* Something new from the client ends this query. */
static bool superseded(struct run *r)
{
    struct err err = ERR_INIT;
    int got = chan_recv(r->s->client, r->next, &err);
    r->gone = got < 0;
    return got != 0;
}

static bool send_hits(struct run *r, notmuch_query_t *q, bool *canceled_r, struct err *err)
{
    notmuch_messages_t *messages = NULL;
    notmuch_status_t status = notmuch_query_search_messages(q, &messages);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        query_error(r, status, err);
        return false;
    }
    bool only = r->m->msgs.n > 0; /* what was sent by an earlier try is sent again: it is the same messages */
    uint32_t at = 0, limit = only ? UINT32_MAX : MIN(r->m->limit, HITS_MAX), skip = only ? 0 : r->m->offset + r->hits;
    for (; r->hits < limit && notmuch_messages_valid(messages); notmuch_messages_move_to_next(messages), at++) {
        if (at < skip)
            continue;
        notmuch_message_t *m = notmuch_messages_get(messages);
        /* 0.37 shows an invalidated list as its end, or as a message without header */
        if (m == NULL || notmuch_message_get_header(m, "from") == NULL) {
            err_set(err, ERR_INDEX, "the index moved on");
            return false;
        }
        bool sent = only ? send_only(r, m, err) : send_hit(r, m, err);
        notmuch_message_destroy(m);
        if (!sent)
            return false;
        if (at % 16 == 15 && superseded(r)) {
            *canceled_r = true;
            return true;
        }
    }
    return true;
}

static notmuch_status_t query_make(struct run *r, const char *text, notmuch_query_t **q_r)
{
    struct buf words = BUF_INIT(1u << 20);
    if (r->m->msgs.n > 0) {
        only_these(r, &words);
        if (strcmp(text, "*") != 0)
            buf_addf(&words, " and (%s)", text);
        text = buf_z(&words);
    }
    notmuch_status_t status = words.full
                                  ? NOTMUCH_STATUS_OUT_OF_MEMORY
                                  : notmuch_query_create_with_syntax(r->db, text, NOTMUCH_QUERY_SYNTAX_XAPIAN, q_r);
    buf_fini(&words);
    return status;
}

static bool ask(struct run *r, const char *text, uint32_t *count_r, bool *canceled_r, struct err *err)
{
    notmuch_query_t *q = NULL;
    unsigned count = 0;
    if (!open_index(r, err))
        return false;
    notmuch_status_t status = query_make(r, text, &q);
    if (status == NOTMUCH_STATUS_SUCCESS && r->m->msgs.n == 0) {
        notmuch_query_set_sort(q, r->m->order == SEARCH_OLDEST ? NOTMUCH_SORT_OLDEST_FIRST : NOTMUCH_SORT_NEWEST_FIRST);
        notmuch_query_set_omit_excluded(q, NOTMUCH_EXCLUDE_TRUE);
        /* hidden unless the query names them; "ignored" means that it does */
        (void)notmuch_query_add_tag_exclude(q, "deleted");
        (void)notmuch_query_add_tag_exclude(q, "spam");
    }
    bool ok = status == NOTMUCH_STATUS_SUCCESS && send_hits(r, q, canceled_r, err);
    if (status == NOTMUCH_STATUS_SUCCESS && ok && r->m->count && !*canceled_r) {
        status = notmuch_query_count_messages(q, &count);
        ok = status == NOTMUCH_STATUS_SUCCESS;
    }
    if (status != NOTMUCH_STATUS_SUCCESS)
        query_error(r, status, err);
    *count_r = r->m->msgs.n > 0 ? (uint32_t)r->nonly : count;
    if (q != NULL)
        notmuch_query_destroy(q);
    return ok;
}

static void close_index(struct run *r)
{
    if (r->db != NULL)
        notmuch_database_destroy(r->db);
    r->db = NULL;
}

bool search_run(struct search *s, const struct m_QUERY *m, struct msg *next_r, struct err *err)
{
    struct run r = {.s = s, .m = m, .next = next_r};
    struct buf text = BUF_INIT(256u << 10);
    struct err why = ERR_INIT;
    bool canceled = false;
    /* what is asked for by its id needs no path of the account */
    bool ok = query_expand(s, m->query, m->msgs.n > 0 ? STR("") : m->account, &text, &why);
    uint32_t count = 0;
    /* The answer's number is copied: the message that supersedes this one takes the place of its strings. */
    uint32_t req = m->req;
    next_r->kind = MSG_NONE;
    for (unsigned i = 0; ok && i < TRIES; i++) {
        why = ERR_INIT;
        bool done = ask(&r, buf_z(&text), &count, &canceled, &why);
        close_index(&r);
        if (done || why.kind != ERR_INDEX || r.gone)
            break;
    }
    buf_fini(&text);
    only_free(&r);
    if (r.gone)
        return false;
    if (canceled)
        err_set(&why, ERR_CANCELED, "superseded");
    if (why.kind == ERR_NONE && m->count && !SEND(s->client, -1, err, HIT_COUNT, .req = req, .count = count))
        return false;
    return SEND(s->client, -1, err, QUERY_DONE, .req = req, .kind = (uint32_t)why.kind, .hits = r.hits,
                .text = str_z(why.text));
}
