/* Running a query: the notmuch side. */
#include "search/search.h"

#include "mail/mail.h"
#include "mail/tag.h"

#include <unistd.h>

#define BATCH_MAX 500 /* of HITS */
#define FIRST_PAGE 64 /* a screen: is sent at once, and the count behind it */
#define RANKED_MAX 5000u
#define SENDER_MAX 400 /* bytes of it in a HIT */
#define TRIES 4        /* a commit may pull the database from under a query: opened again, asked again */

/* What tags hide unless the query names them: where it does, notmuch ignores the exclusion. */
static const char *const hidden[] = {"deleted", "spam"};

/* One database's hits, in order; the first of them is taken out. */
struct side {
    notmuch_database_t *db;
    notmuch_query_t *q;
    notmuch_messages_t *messages;
    notmuch_message_t *first;
    bool asked;
};

struct run {
    struct search *s;
    const struct m_QUERY *m;
    notmuch_database_t *db; /* ours; that of ours.db while it is open */
    struct side ours, own;
    struct str_set seen;     /* the ids that were given already */
    struct ranking *ranking; /* hits that wait to be sent in their order */
    bool hides[COUNT(hidden)];
    struct err own_err; /* why the user's own is left out */
    bool own_rules;     /* what the user's own has is found as it says: its tags are those that notmuch shows */
    struct msg *next;
    uint32_t hits;
    bool gone; /* the channel */
    bool counted;
    const char *batch_of; /* the account of the batch */
    struct buf batch;     /* HITS that are not sent yet */
    size_t nbatch;
    struct only {
        char *id; /* libnotmuch's */
        uint64_t msg;
    } * only; /* of a query for some messages, by id */
    size_t nonly;
    bool *found; /* which of them, as the query has them */
};

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

/* Opened for each query: that is half a millisecond, follows a replaced database, and a failed reopen would end the
 * program. */
static bool open_index(struct run *r, struct err *err)
{
    char *message = NULL;
    notmuch_status_t status = notmuch_database_open_with_config(r->s->index, NOTMUCH_DATABASE_MODE_READ_ONLY,
                                                                r->s->config, NULL, &r->db, &message);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        struct buf safe = BUF_INIT(200);
        char *written = path_join(r->s->index, "xapian");
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
        free(written);
        buf_fini(&safe);
    }
    free(message);
    return r->db != NULL;
}

/* libnotmuch does not tell a bad query from a database that moved on; its words do. */
static void query_error(notmuch_database_t *db, notmuch_status_t status, struct err *err)
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
    free(r->found);
    r->only = NULL;
    r->found = NULL;
    r->nonly = 0;
}

/* A message of the account by the places under which the index may have it: its file or what stands for it, or an
 * altered header file. */
static notmuch_message_t *find(notmuch_database_t *db, struct reader *reader, uint64_t msg)
{
    const char *root = notmuch_config_get(db, NOTMUCH_CONFIG_MAIL_ROOT);
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
            notmuch_database_find_message_by_filename(db, buf_z(&path), &m) != NOTMUCH_STATUS_SUCCESS)
            m = NULL;
    }
    buf_fini(&place);
    buf_fini(&path);
    return m;
}

/* The query's messages that no other database had, and the words that restrict it to them. */
static void only_these(struct run *r, notmuch_database_t *db, struct buf *words)
{
    struct reader *reader = NULL;
    size_t n = ipc_ids_count(r->m->msgs);
    for (size_t i = 0; i < r->s->naccounts; i++)
        if (str_eqz(r->m->account, r->s->accounts[i]))
            reader = search_reader(r->s, i);
    buf_addz(words, "(id:\"\""); /* where the index has none of them the query is still looked at */
    if (r->only == NULL) {
        r->only = mem_array(n + 1, sizeof *r->only);
        r->found = mem_array(n + 1, sizeof *r->found);
    }
    for (size_t i = 0; i < n && reader != NULL; i++) {
        uint64_t msg = ipc_ids_at(r->m->msgs, i);
        notmuch_message_t *m = r->found[i] ? NULL : find(db, reader, msg);
        if (m == NULL)
            continue;
        r->found[i] = true;
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

static bool in_trash(struct reader *reader, uint64_t id)
{
    struct box_row box = {.id = 0};
    struct err ignored = ERR_INIT;
    return reader_box(reader, id, &box, &ignored) && (box.role == BOX_TRASH || box.role == BOX_JUNK);
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
            uint64_t msg = 0, box = 0;
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
                reader_find_path(reader, path, &msg, &box, &ignored);
            else
                reader_find_msgid(reader, str_z(notmuch_message_get_message_id(m)), first_row, &msg, &ignored);
            if (msg == 0)
                continue;
            bool other = several && by_id == 0 && in_trash(reader, box);
            if (best.msg == 0 || !other)
                best = (struct place){str_z(r->s->accounts[account]), path, msg};
            dead = other;
        }
    }
    /* the names live as long as the message */
    return best;
}

static bool has_tag(notmuch_message_t *m, const char *tag)
{
    bool has = false;
    for (notmuch_tags_t *t = notmuch_message_get_tags(m); !has && notmuch_tags_valid(t); notmuch_tags_move_to_next(t))
        has = strcmp(notmuch_tags_get(t), tag) == 0;
    return has;
}

static void put_tags(struct buf *out, notmuch_message_t *m, notmuch_message_t *except)
{
    for (notmuch_tags_t *t = notmuch_message_get_tags(m); notmuch_tags_valid(t); notmuch_tags_move_to_next(t)) {
        if (except != NULL && has_tag(except, notmuch_tags_get(t)))
            continue;
        buf_addz(out, out->n > 0 ? " " : "");
        tag_to_word(str_z(notmuch_tags_get(t)), out);
    }
}

static bool sent(struct run *r, bool ok, struct err *err)
{
    /* a client that reads slowly is waited for; the socket holds a few hundred hits */
    if (ok && chan_wants_write(r->s->client))
        ok = chan_drain(r->s->client, clock_mono_ms() + 10000, err);
    r->gone = !ok;
    return ok;
}

static bool send_batch(struct run *r, struct err *err)
{
    bool ok = r->nbatch == 0 || sent(r,
                                     SEND(r->s->client, -1, err, HITS, .req = r->m->req, .account = str_z(r->batch_of),
                                          .rows = buf_str(&r->batch)),
                                     err);
    buf_reset(&r->batch);
    r->nbatch = 0;
    return ok;
}

/* One that a database has is a place and a thread. */
static bool send_brief(struct run *r, notmuch_message_t *m, struct place at, struct err *err)
{
    uint64_t thread = strtoull(notmuch_message_get_thread_id(m), NULL, 16);
    if (r->nbatch > 0 && (!str_eqz(at.account, r->batch_of) || r->nbatch == BATCH_MAX) && !send_batch(r, err))
        return false;
    for (size_t i = 0; i < r->s->naccounts; i++)
        if (str_eqz(at.account, r->s->accounts[i]))
            r->batch_of = r->s->accounts[i];
    ipc_ids_add(&r->batch, at.msg);
    ipc_ids_add(&r->batch, (uint64_t)(int64_t)notmuch_message_get_date(m));
    ipc_ids_add(&r->batch, thread);
    r->nbatch++;
    r->hits++;
    return r->hits != FIRST_PAGE || send_batch(r, err);
}

/* As much of a header field as a HIT takes, its last character whole. */
static struct str front(const char *z, size_t max)
{
    struct str s = str_z(z);
    size_t n = MIN(s.n, max);
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return str_sub(s, 0, n);
}

/* The sender in as much as a HIT takes: names are cut before addresses are. */
static void put_sender(struct buf *out, const char *from)
{
    struct arena *arena = arena_new(1u << 20);
    struct mail_addrs a;
    if (strlen(from) <= SENDER_MAX) {
        buf_addz(out, from);
        arena_free(&arena);
        return;
    }
    mail_addrs_parse(str_z(from), arena, &a);
    for (size_t i = 0; i < a.count; i++) {
        struct buf one = BUF_INIT(SENDER_MAX + 100);
        struct str name = a.list[i].name, addr = a.list[i].addr;
        size_t room = SENDER_MAX - MIN(SENDER_MAX, out->n + addr.n + 20);
        char *z = mem_dup_n(name.n ? name.p : "", name.n);
        struct str cut = front(z, room / 2); /* quoted it may be twice as long */
        mail_addr_show(cut, addr, &one);
        if (out->n + one.n + 2 <= SENDER_MAX)
            buf_addf(out, "%s%s", out->n ? ", " : "", buf_z(&one));
        buf_fini(&one);
        free(z);
    }
    if (!out->n)
        buf_adds(out, front(from, SENDER_MAX));
    arena_free(&arena);
}

/* `twin`: the message in our database, where `m` is of the user's own; its place is that one's. */
static bool send_hit(struct run *r, notmuch_message_t *m, notmuch_message_t *twin, struct err *err)
{
    bool own = twin == NULL && notmuch_message_get_database(m) == r->own.db && r->own.db != NULL;
    struct place at = {.path = own ? str_z(notmuch_message_get_filename(m)) : STR("")};
    if (!own)
        at = locate(r, twin ? twin : m);
    if (r->m->brief && at.msg != 0)
        return send_brief(r, twin != NULL ? twin : m, at, err);
    struct buf tags = BUF_INIT(2048), from = BUF_INIT(SENDER_MAX);
    const char *subject = notmuch_message_get_header(m, "subject");
    put_sender(&from, notmuch_message_get_header(m, "from"));
    put_tags(&tags, m, NULL);
    if (twin != NULL)
        put_tags(&tags, twin, m);
    bool ok = SEND(r->s->client, -1, err, HIT, .req = r->m->req, .account = at.account, .msg = at.msg,
                   .msgid = str_z(notmuch_message_get_message_id(m)), .path = at.path,
                   .date = (int64_t)notmuch_message_get_date(m), .from = buf_str(&from),
                   .subject = front(subject, 1024), .tags = buf_str(&tags));
    ok = sent(r, ok, err);
    buf_fini(&tags);
    buf_fini(&from);
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

/* Takes the next message of a side out of its list; side->first is NULL at the end. */
static bool side_next(struct side *side, struct err *err)
{
    if (side->first != NULL || !side->asked || !notmuch_messages_valid(side->messages))
        return true;
    side->first = notmuch_messages_get(side->messages);
    notmuch_messages_move_to_next(side->messages);
    /* 0.37 shows an invalidated list as its end, or as a message without header */
    return (side->first != NULL && notmuch_message_get_header(side->first, "from") != NULL) ||
           err_set(err, ERR_INDEX, "the index moved on");
}

static bool side_ask(struct side *side, struct err *err)
{
    notmuch_status_t status = notmuch_query_search_messages(side->q, &side->messages);
    side->asked = status == NOTMUCH_STATUS_SUCCESS;
    if (side->first != NULL)
        notmuch_message_destroy(side->first);
    side->first = NULL;
    if (!side->asked)
        query_error(side->db, status, err);
    return side->asked;
}

/* The side whose message comes next; ours of two that are as old. */
static struct side *side_of_next(struct run *r)
{
    if (r->ours.first == NULL || r->own.first == NULL)
        return r->ours.first != NULL ? &r->ours : r->own.first != NULL ? &r->own : NULL;
    time_t a = notmuch_message_get_date(r->ours.first), b = notmuch_message_get_date(r->own.first);
    return (r->m->order == SEARCH_OLDEST ? b < a : b > a) ? &r->own : &r->ours;
}

static bool is_hidden(const struct run *r, notmuch_message_t *m)
{
    bool is = false;
    for (size_t i = 0; i < COUNT(hidden) && !is; i++)
        is = r->hides[i] && has_tag(m, hidden[i]);
    return is;
}

/* A message of one database as the other knows it, NULL where it does not. */
static notmuch_message_t *known_to(notmuch_database_t *db, notmuch_message_t *m)
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

/* A hit of ours that is given, or not, as the user's own has it. */
static bool left_to_own(const struct run *r, notmuch_message_t *m)
{
    notmuch_message_t *twin = r->own_rules ? known_to(r->own.db, m) : NULL;
    if (twin != NULL)
        notmuch_message_destroy(twin);
    return twin != NULL;
}

/* Is it given? Once, and not what is in the trash here: *twin_r is what stands for it, to be destroyed. */
static bool wanted(struct run *r, const struct side *side, notmuch_message_t **twin_r)
{
    *twin_r = side == &r->own ? known_to(r->ours.db, side->first) : NULL;
    if (side == &r->ours && left_to_own(r, side->first))
        return false;
    return (*twin_r == NULL || !is_hidden(r, *twin_r)) &&
           (r->own.db == NULL || str_set_add(&r->seen, str_z(notmuch_message_get_message_id(side->first)), NULL));
}

/* ---- The best first ---- */

/* The newest RANKED_MAX hits, by how much of their header was asked for; the others follow, newest first. */
struct ranking {
    struct query_words *words;
    struct ranked {
        char *id; /* libnotmuch's */
        struct side *side;
        unsigned score;
        uint32_t at;
    } list[RANKED_MAX];
    uint32_t n;
};

static void ranking_free(struct run *r)
{
    for (uint32_t i = 0; r->ranking != NULL && i < r->ranking->n; i++)
        free(r->ranking->list[i].id);
    if (r->ranking != NULL)
        query_words_free(&r->ranking->words);
    free(r->ranking);
    r->ranking = NULL;
}

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static void rank(struct run *r, struct side *side)
{
    struct ranking *k = r->ranking;
    notmuch_message_t *m = side->first;
    struct str from = str_z(notmuch_message_get_header(m, "from")),
               subject = str_z(notmuch_message_get_header(m, "subject"));
    unsigned n = query_words_in(k->words, PLACE_SUBJECT, subject);
    unsigned score =
        n * 4 + (n > 0 && n == query_words_count(k->words) ? 8 : 0) + query_words_in(k->words, PLACE_FROM, from) * 3;
    k->list[k->n] = (struct ranked){mem_dup_z(notmuch_message_get_message_id(m)), side, score, k->n};
    k->n++;
}

/* Those from `skip` on, as many as are wanted. */
static bool send_ranked(struct run *r, uint32_t limit, uint32_t skip, bool *canceled_r, struct err *err)
{
    struct ranking *k = r->ranking;
    bool ok = true;
    if (k->n > 0)
        qsort(k->list, k->n, sizeof *k->list, by_score);
    for (uint32_t i = skip; ok && !*canceled_r && i < k->n && r->hits < limit; i++) {
        notmuch_message_t *m = NULL, *twin;
        if (notmuch_database_find_message(k->list[i].side->db, k->list[i].id, &m) != NOTMUCH_STATUS_SUCCESS ||
            m == NULL)
            continue;
        twin = k->list[i].side == &r->own ? known_to(r->ours.db, m) : NULL;
        ok = send_hit(r, m, twin, err);
        if (twin != NULL)
            notmuch_message_destroy(twin);
        notmuch_message_destroy(m);
        *canceled_r = ok && i % 16 == 15 && superseded(r);
    }
    ranking_free(r);
    return ok;
}

/* The first message of a side, taken from it. */
static bool send_first(struct run *r, struct side *side, uint32_t *at, uint32_t skip, struct err *err)
{
    notmuch_message_t *m = side->first, *twin = NULL;
    bool ok = true;
    if (r->m->msgs.n > 0)
        ok = send_only(r, m, err);
    else if (wanted(r, side, &twin)) {
        bool later = (*at)++ >= skip;
        if (r->ranking != NULL)
            rank(r, side);
        else if (later)
            ok = send_hit(r, m, twin, err);
    }
    if (twin != NULL)
        notmuch_message_destroy(twin);
    notmuch_message_destroy(m);
    side->first = NULL;
    return ok;
}

static bool count_hits(struct run *r, uint32_t *count_r, bool *canceled_r, struct err *err);

/* How many there are, as soon as the first of them are told; where all are counted here in one step. */
static bool count_early(struct run *r, bool *canceled_r, struct err *err)
{
    uint32_t count;
    if (!r->m->brief || !r->m->count || r->counted || r->hits < FIRST_PAGE || r->own.db != NULL)
        return true;
    r->counted = true;
    return count_hits(r, &count, canceled_r, err) &&
           sent(r, SEND(r->s->client, -1, err, HIT_COUNT, .req = r->m->req, .count = count), err);
}

static bool send_hits(struct run *r, bool *canceled_r, struct err *err)
{
    bool only = r->m->msgs.n > 0; /* what was sent by an earlier try is sent again: it is the same messages */
    uint32_t at = 0, limit = only ? UINT32_MAX : r->m->limit, skip = only ? 0 : r->m->offset + r->hits;
    if (limit > 0 &&
        ((r->ours.db != NULL && !side_ask(&r->ours, err)) || (r->own.db != NULL && !side_ask(&r->own, err))))
        return false;
    ranking_free(r);
    if (!only && limit > 0 && r->m->order == SEARCH_RELEVANCE) {
        r->ranking = mem_new(sizeof *r->ranking);
        r->ranking->words = query_words_new(r->m->query);
    }
    for (unsigned looked = 1; r->hits < limit; looked++) {
        if (!side_next(&r->ours, err) || !side_next(&r->own, err))
            return false;
        struct side *side = side_of_next(r);
        if (r->ranking != NULL && (side == NULL || r->ranking->n == RANKED_MAX) &&
            !send_ranked(r, limit, skip, canceled_r, err))
            return false;
        if (side == NULL || *canceled_r)
            break;
        if (!send_first(r, side, &at, skip, err) || !count_early(r, canceled_r, err))
            return false;
        if (looked % 16 == 0 && superseded(r)) {
            *canceled_r = true;
            return true;
        }
    }
    return true;
}

/* ---- How many ---- */

/* All ids of a side that `fn` wants. */
static bool each_id(struct run *r, struct side *side, void (*fn)(struct run *, notmuch_message_t *, uint32_t *),
                    uint32_t *n, bool *canceled_r, struct err *err)
{
    if (!side_ask(side, err))
        return false;
    for (unsigned looked = 1; !*canceled_r; looked++) {
        if (!side_next(side, err))
            return false;
        if (side->first == NULL)
            break;
        fn(r, side->first, n);
        notmuch_message_destroy(side->first);
        side->first = NULL;
        *canceled_r = looked % 64 == 0 && superseded(r);
    }
    return true;
}

/* Those of the user's own that ours has too are looked for among ours. */
static void count_own(struct run *r, notmuch_message_t *m, uint32_t *n)
{
    notmuch_message_t *twin = known_to(r->ours.db, m);
    if (twin != NULL && !is_hidden(r, twin))
        str_set_add(&r->seen, str_z(notmuch_message_get_message_id(m)), NULL);
    *n += twin == NULL || !is_hidden(r, twin);
    if (twin != NULL)
        notmuch_message_destroy(twin);
}

/* Of ours, what is counted as the user's own, or is not there at all. */
static void count_both(struct run *r, notmuch_message_t *m, uint32_t *n)
{
    *n += str_set_has(&r->seen, str_z(notmuch_message_get_message_id(m))) || left_to_own(r, m);
}

static void count_files(struct run *r, notmuch_message_t *m, uint32_t *n)
{
    (void)r;
    *n += (uint32_t)MAX(notmuch_message_count_files(m), 0);
}

static bool count_side(struct run *r, struct side *side, uint32_t *n, struct err *err)
{
    unsigned count = 0;
    notmuch_status_t status = r->m->count == COUNT_THREADS ? notmuch_query_count_threads(side->q, &count)
                                                           : notmuch_query_count_messages(side->q, &count);
    if (status != NOTMUCH_STATUS_SUCCESS)
        query_error(side->db, status, err);
    *n += count;
    return status == NOTMUCH_STATUS_SUCCESS;
}

static bool count_hits(struct run *r, uint32_t *count_r, bool *canceled_r, struct err *err)
{
    uint32_t ours = 0, own = 0, both = 0;
    if (r->m->count > COUNT_MESSAGES && r->own.db != NULL)
        return err_set(err, ERR_USAGE, "threads and files are counted in one index: name an account");
    if (r->m->count == COUNT_FILES) {
        *count_r = 0;
        return r->ours.db == NULL || each_id(r, &r->ours, count_files, count_r, canceled_r, err);
    }
    bool ok = r->ours.db == NULL || count_side(r, &r->ours, &ours, err);
    str_set_free(&r->seen);
    ok = ok && (r->own.db == NULL || each_id(r, &r->own, count_own, &own, canceled_r, err));
    ok = ok && ((r->seen.n == 0 && !r->own_rules) || *canceled_r || ours == 0 ||
                each_id(r, &r->ours, count_both, &both, canceled_r, err));
    *count_r = ours + own - both;
    return ok;
}

static notmuch_status_t query_create(notmuch_database_t *db, const char *text, notmuch_query_t **q_r)
{
    bool sexp = strncmp(text, "sexp:(", 6) == 0;
    return notmuch_query_create_with_syntax(db, text + (sexp ? 5 : 0),
                                            sexp ? NOTMUCH_QUERY_SYNTAX_SEXP : NOTMUCH_QUERY_SYNTAX_XAPIAN, q_r);
}

static notmuch_status_t query_make(struct run *r, notmuch_database_t *db, const char *text, notmuch_query_t **q_r)
{
    struct buf words = BUF_INIT(1u << 20), both = BUF_INIT(1u << 20);
    if (r->m->msgs.n > 0) {
        only_these(r, db, &words);
        query_both(buf_str(&words), str_z(text), &both);
        text = buf_z(&both);
    }
    notmuch_status_t status = words.full || both.full ? NOTMUCH_STATUS_OUT_OF_MEMORY : query_create(db, text, q_r);
    buf_fini(&words);
    buf_fini(&both);
    return status;
}

static notmuch_status_t query_side(struct run *r, struct side *side, const char *text)
{
    bool own = side == &r->own;
    notmuch_status_t status = query_make(r, side->db, text, &side->q);
    if (status != NOTMUCH_STATUS_SUCCESS || r->m->msgs.n > 0)
        return status;
    notmuch_query_set_sort(side->q,
                           r->m->order == SEARCH_OLDEST ? NOTMUCH_SORT_OLDEST_FIRST : NOTMUCH_SORT_NEWEST_FIRST);
    if (r->m->all)
        return status;
    notmuch_query_set_omit_excluded(side->q, NOTMUCH_EXCLUDE_TRUE);
    for (size_t i = 0; !own && i < COUNT(hidden); i++)
        r->hides[i] = notmuch_query_add_tag_exclude(side->q, hidden[i]) == NOTMUCH_STATUS_SUCCESS;
    if (!own)
        return status;
    notmuch_config_values_t *tags = notmuch_config_get_values(side->db, NOTMUCH_CONFIG_EXCLUDE_TAGS);
    for (; notmuch_config_values_valid(tags); notmuch_config_values_move_to_next(tags))
        (void)notmuch_query_add_tag_exclude(side->q, notmuch_config_values_get(tags));
    notmuch_config_values_destroy(tags);
    return status;
}

/* What is asked of some messages alone is asked of a database that is being built, too: what is new is there. */
static notmuch_database_t *open_building(const struct run *r)
{
    notmuch_database_t *db = NULL;
    char *building = path_join(r->s->index, "building"), *written = path_join(building, "xapian"), *message = NULL;
    if (r->m->msgs.n > 0 && access(written, F_OK) == 0 &&
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

static bool open_both(struct run *r, const char *text, struct err *err)
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

static bool ask(struct run *r, const char *text, uint32_t *count_r, bool *canceled_r, struct err *err)
{
    struct side *const sides[] = {&r->own, &r->ours}; /* what is being built is newer */
    if (!open_both(r, text, err))
        return false;
    only_free(r);
    bool ok = true;
    for (size_t i = 0; ok && i < COUNT(sides); i++) {
        notmuch_status_t status = sides[i]->db != NULL ? query_side(r, sides[i], text) : NOTMUCH_STATUS_SUCCESS;
        ok = status == NOTMUCH_STATUS_SUCCESS;
        if (!ok)
            query_error(sides[i]->db, status, err);
    }
    ok = ok && send_hits(r, canceled_r, err);
    if (r->m->msgs.n > 0)
        *count_r = (uint32_t)r->nonly;
    else if (ok && r->m->count && !*canceled_r)
        ok = count_hits(r, count_r, canceled_r, err);
    return ok;
}

static void side_close(struct side *side)
{
    if (side->first != NULL)
        notmuch_message_destroy(side->first);
    if (side->q != NULL)
        notmuch_query_destroy(side->q);
    if (side->db != NULL)
        notmuch_database_destroy(side->db);
    *side = (struct side){.db = NULL};
}

static void close_index(struct run *r)
{
    side_close(&r->ours);
    side_close(&r->own);
    str_set_free(&r->seen);
    r->db = NULL;
}

void search_touch(struct search *s)
{
    struct run r = {.s = s};
    struct err ignored = ERR_INIT;
    unsigned count;
    if (open_index(&r, &ignored)) {
        r.ours.db = r.db;
        if (query_create(r.db, "id:x from:x", &r.ours.q) == NOTMUCH_STATUS_SUCCESS)
            (void)notmuch_query_count_messages(r.ours.q, &count);
    }
    close_index(&r);
}

/* The query within its mailbox. False: there is no such mailbox, and nothing in it. */
static bool in_box(struct search *s, const struct m_QUERY *m, const struct buf *query, struct buf *out)
{
    struct buf box = BUF_INIT(64u << 10);
    bool ok = query_box(s, m->account, m->box, &box) && query_both(buf_str(query), buf_str(&box), out);
    buf_fini(&box);
    return ok;
}

bool search_run(struct search *s, const struct m_QUERY *m, struct msg *next_r, struct err *err)
{
    struct run r = {.s = s, .m = m, .next = next_r};
    struct buf text = BUF_INIT(256u << 10);
    struct err why = ERR_INIT;
    bool canceled = false;
    /* what is asked for by its id needs no path of the account */
    struct buf own = BUF_INIT(128u << 10);
    bool part = m->msgs.n > 0 || m->box != 0, ok = search_expand(s, m->query, part ? STR("") : m->account, &own, &why);
    uint32_t count = 0;
    r.batch = BUF_INIT(24 * BATCH_MAX);
    if (ok && m->box != 0)
        ok = in_box(s, m, &own, &text);
    else
        buf_adds(&text, buf_str(&own));
    buf_fini(&own);
    /* The answer's number is copied: the message that supersedes this one takes the place of its strings. */
    uint32_t req = m->req;
    next_r->kind = MSG_NONE;
    limit_begin(m);
    for (unsigned i = 0; ok && i < TRIES; i++) {
        why = ERR_INIT;
        bool done = ask(&r, buf_z(&text), &count, &canceled, &why);
        close_index(&r);
        if (!r.gone)
            send_batch(&r, &why);
        if (done || why.kind != ERR_INDEX || r.gone)
            break;
    }
    limit_end();
    ranking_free(&r);
    buf_fini(&text);
    buf_fini(&r.batch);
    only_free(&r);
    if (r.gone)
        return false;
    if (canceled)
        err_set(&why, ERR_CANCELED, "superseded");
    if (why.kind == ERR_NONE) /* found is what there is; and this is said of the rest */
        memcpy(why.text, r.own_err.text, sizeof why.text);
    if (why.kind == ERR_NONE && m->count && !r.counted &&
        !SEND(s->client, -1, err, HIT_COUNT, .req = req, .count = count))
        return false;
    return SEND(s->client, -1, err, QUERY_DONE, .req = req, .kind = (uint32_t)why.kind, .hits = r.hits,
                .text = str_z(why.text));
}
