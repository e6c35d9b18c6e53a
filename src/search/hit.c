/* One hit: where its message is here, and how the client is told. */
#include "search/run.h"

#include "mail/mail.h"
#include "mail/tag.h"

#define BATCH_MAX 500  /* of HITS */
#define SENDER_MAX 400 /* bytes of it in a HIT */

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

void places_hold(struct run *r, bool hold)
{
    if (r->held == NULL)
        r->held = mem_array(r->s->naccounts + 1, sizeof(struct reader *));
    for (size_t i = 0; i < r->s->naccounts; i++) {
        if (hold && r->held[i] == NULL && (r->held[i] = search_reader(r->s, i)) != NULL) {
            reader_hold(r->held[i]);
        } else if (!hold && r->held[i] != NULL) {
            reader_release(r->held[i]);
            r->held[i] = NULL;
        }
    }
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

bool has_tag(notmuch_message_t *m, const char *tag)
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

bool sent(struct run *r, bool ok, struct err *err)
{
    /* a client that reads slowly is waited for, a pager for hours; the socket holds a few hundred hits */
    if (ok && chan_wants_write(r->s->client)) {
        places_hold(r, false);
        ok = chan_drain(r->s->client, -1, err);
    }
    r->gone = !ok;
    return ok;
}

void batch_init(struct run *r)
{
    r->batch = BUF_INIT(24 * BATCH_MAX);
}

bool send_batch(struct run *r, struct err *err)
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

bool send_hit(struct run *r, notmuch_message_t *m, notmuch_message_t *twin, struct err *err)
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
