/* One job: a message added, moved, tagged or removed. */
#include "index/index.h"

#include "mail/mail.h"
#include "mail/mark.h"
#include "mail/tag.h"

#include <errno.h>
#include <unistd.h>

#define TAGS_MAX 200
#define PLACE_KEY "place." /* properties of a message that is at several places */
#define PLACE_DEAD "dead"
#define PLACE_WORDS_MAX 200 /* bytes of such a property's value: a term of Xapian ends at 245 */

/* What a job needs while it runs; the arena lives as long. */
struct job {
    struct index *ix;
    struct arena *arena;
    uint64_t number;
    struct err err; /* of this job alone */
    bool fatal;     /* the database failed */
    bool header;    /* no more than the header is indexed: files are below ix->heads, for a moment each */
    bool of_server; /* it is what an IMAP server says of a mail */
};

static bool nm(struct job *j, notmuch_status_t status, const char *what)
{
    if (status == NOTMUCH_STATUS_SUCCESS || status == NOTMUCH_STATUS_DUPLICATE_MESSAGE_ID)
        return true;
    j->fatal = status == NOTMUCH_STATUS_XAPIAN_EXCEPTION;
    enum err_kind kind = status == NOTMUCH_STATUS_FILE_NOT_EMAIL ? ERR_PARSE
                         : status == NOTMUCH_STATUS_FILE_ERROR   ? ERR_NO_MESSAGE
                                                                 : ERR_INDEX;
    return err_set(&j->err, kind, "%s: %s", what, notmuch_status_to_string(status));
}

/* A path from the store, absolute; NULL with err where it would leave the mail root. */
static const char *full_path(struct job *j, const char *prefix, struct str path)
{
    struct buf b = BUF_INIT(16384);
    struct str rest = path, piece;
    bool ok = path.n > 0 && path.p[0] != '/' && memchr(path.p, '\0', path.n) == NULL;
    while (ok && str_split(&rest, '/', &piece))
        ok = piece.n > 0 && !str_eqz(piece, "..") && !str_eqz(piece, ".");
    buf_addf(&b, "%s/%s", j->ix->root, prefix);
    buf_adds(&b, path);
    const char *full = ok && !b.full ? arena_dup(j->arena, b.p, b.n) : NULL;
    buf_fini(&b);
    if (full == NULL)
        err_set(&j->err, ERR_USAGE, "not a path below the mail root");
    return full;
}

static void remove_later(struct index *ix, const char *path)
{
    if (ix->remove.max == 0)
        buf_init(&ix->remove, 64u << 20);
    buf_add(&ix->remove, path, strlen(path) + 1);
}

static notmuch_message_t *by_path(struct job *j, const char *full)
{
    notmuch_message_t *m = NULL;
    return nm(j, notmuch_database_find_message_by_filename(j->ix->db, full, &m), "looking a path up") ? m : NULL;
}

/* NULL also for a ghost: an id that is only referred to. */
static notmuch_message_t *by_id(struct job *j, struct str msgid)
{
    notmuch_message_t *m = NULL;
    const char *id = msgid.n > 0 ? arena_dup(j->arena, msgid.p, msgid.n) : NULL;
    if (id == NULL || !nm(j, notmuch_database_find_message(j->ix->db, id, &m), "looking an id up") || m == NULL)
        return NULL;
    const char *file = notmuch_message_get_filename(m);
    if (file != NULL && file[0] != '\0')
        return m;
    notmuch_message_destroy(m);
    return NULL;
}

/* By its path, or by that of its altered header file. */
static notmuch_message_t *by_store_path(struct job *j, struct str path, const char **full_r)
{
    const char *full = full_path(j, "", path), *dup = full != NULL ? full_path(j, DUP_DIR, path) : NULL;
    notmuch_message_t *m = dup != NULL ? by_path(j, full) : NULL;
    *full_r = full;
    if (m == NULL && dup != NULL && !j->fatal && (m = by_path(j, dup)) != NULL)
        *full_r = dup;
    return m;
}

static bool write_headfile(struct job *j, const char *path, const struct envelope *env)
{
    if (place_in_maildir(j->ix, path))
        return err_set(&j->err, ERR_NO_MESSAGE, "the file is not in the Maildir");
    if (!headfile_write(path, env, STR(""), &j->err))
        return false;
    remove_later(j->ix, path);
    return true;
}

/* ---- Tags ---- */

static bool word_listed(struct str words, struct str word)
{
    struct str one;
    bool found = false;
    while (!found && str_split(&words, ' ', &one))
        found = str_eq(one, word);
    return found;
}

static bool tag_listed(struct str tags, const char *tag)
{
    struct buf word = BUF_INIT(3 * NOTMUCH_TAG_MAX);
    tag_to_word(str_z(tag), &word);
    bool found = word_listed(tags, buf_str(&word));
    buf_fini(&word);
    return found;
}

/* Makes the message's tags those of `tags`, writing only what differs. */
static bool set_tags(struct job *j, notmuch_message_t *m, struct str tags)
{
    const char *drop[TAGS_MAX];
    size_t ndrop = 0;
    struct str rest = tags, one;
    bool ok = nm(j, notmuch_message_freeze(m), "tags");
    notmuch_tags_t *have = notmuch_message_get_tags(m);
    for (; ok && notmuch_tags_valid(have); notmuch_tags_move_to_next(have)) {
        const char *tag = notmuch_tags_get(have);
        if (!tag_automatic(tag) && !tag_listed(tags, tag) && ndrop < TAGS_MAX)
            drop[ndrop++] = arena_dup(j->arena, tag, strlen(tag));
    }
    for (size_t i = 0; ok && i < ndrop; i++)
        ok = drop[i] == NULL || nm(j, notmuch_message_remove_tag(m, drop[i]), "tags");
    while (ok && str_split(&rest, ' ', &one)) {
        struct buf tag = BUF_INIT(NOTMUCH_TAG_MAX);
        tag_from_word(one, &tag);
        if (tag.n && !tag.full && strlen(buf_z(&tag)) == tag.n)
            ok = nm(j, notmuch_message_add_tag(m, buf_z(&tag)), "tags");
        buf_fini(&tag);
    }
    return nm(j, notmuch_message_thaw(m), "tags") && ok;
}

/* ---- Copies ----
 *
 * All files of one Message-ID are one message here, and each place of it has its own flags, mailbox and account. What a
 * place gives to the tags is kept with the message, in properties "place.HASH-OF-ITS-PATH", as long as there is more
 * than one: it is committed with the rest, and nobody else has to be asked when another place changes. The tags are
 * made of all of them. A place without such a property (there was only one until now) has given the tags that are
 * there. */
struct copy {
    char key[sizeof PLACE_KEY + 16];
    const char *account;
    struct str words;
    bool known; /* it has its property */
};
struct copies {
    struct copy *list; /* by key; freed by who reads them */
    size_t n;
    char was[sizeof PLACE_KEY + 16], now[sizeof PLACE_KEY + 16]; /* a place that moved; "": none */
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct copy *)a)->key, ((const struct copy *)b)->key);
}

static void place_key(const struct index *ix, const char *file, char key[static sizeof PLACE_KEY + 16])
{
    snprintf(key, sizeof PLACE_KEY + 16, PLACE_KEY "%016llx", (unsigned long long)str_hash(place_below(ix, file)));
}

static struct copy *copy_find(const struct copies *cs, const char *key)
{
    struct copy want = {.known = false};
    snprintf(want.key, sizeof want.key, "%s", key);
    return cs->n > 0 ? bsearch(&want, cs->list, cs->n, sizeof want, by_key) : NULL;
}

static struct str words_add(struct job *j, struct str words, struct str more)
{
    struct buf b = BUF_INIT(64u << 10);
    buf_adds(&b, words);
    if (words.n > 0 && more.n > 0)
        buf_addc(&b, ' ');
    buf_adds(&b, more);
    const char *p = arena_dup(j->arena, b.p, b.n);
    struct str all = {p, p != NULL ? b.n : 0};
    buf_fini(&b);
    return all;
}

static struct str present_words(struct job *j, notmuch_message_t *m)
{
    struct buf b = BUF_INIT(64u << 10);
    tags_words(m, &b);
    struct str words = words_add(j, STR(""), buf_str(&b));
    buf_fini(&b);
    return words;
}

static void files_read(struct job *j, notmuch_message_t *m, struct copies *cs)
{
    size_t max = 0;
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    for (; notmuch_filenames_valid(files); notmuch_filenames_move_to_next(files)) {
        const char *file = notmuch_filenames_get(files);
        struct str path = place_of(j->ix, file), account;
        if (!place_is(j->ix, file))
            continue;
        if (cs->n == max)
            cs->list = mem_resize(cs->list, max = max * 2 + 8, sizeof *cs->list);
        str_split(&path, '/', &account);
        struct copy *c = &cs->list[cs->n++];
        *c = (struct copy){.account = arena_dup(j->arena, account.p, account.n)};
        place_key(j->ix, file, c->key);
    }
    notmuch_filenames_destroy(files);
    if (cs->n > 0)
        qsort(cs->list, cs->n, sizeof *cs->list, by_key);
}

/* The places of a message with what each gave; properties of paths that it has no more go. */
static bool copies_read(struct job *j, notmuch_message_t *m, struct copies *cs)
{
    const char *gone[64]; /* what does not fit goes with the next change */
    size_t ngone = 0;
    bool ok = true;
    files_read(j, m, cs);
    notmuch_message_properties_t *ps = notmuch_message_get_properties(m, PLACE_KEY, false);
    for (; notmuch_message_properties_valid(ps); notmuch_message_properties_move_to_next(ps)) {
        const char *key = notmuch_message_properties_key(ps);
        struct copy *c = copy_find(cs, key);
        bool here = c != NULL;
        if (!here && strcmp(key, cs->was) == 0)
            c = copy_find(cs, cs->now);
        if (c != NULL) {
            c->words = words_add(j, c->words, str_z(notmuch_message_properties_value(ps)));
            c->known = true;
        }
        if (!here && ngone < COUNT(gone))
            gone[ngone++] = arena_dup(j->arena, key, strlen(key));
    }
    notmuch_message_properties_destroy(ps);
    for (size_t i = 0; ok && i < ngone; i++)
        ok = gone[i] == NULL || nm(j, notmuch_message_remove_all_properties(m, gone[i]), "properties");
    return ok;
}

/* In as few properties as fit; one that is empty says that the place gives nothing. */
static bool copy_write(struct job *j, notmuch_message_t *m, const struct copy *c)
{
    struct buf value = BUF_INIT(PLACE_WORDS_MAX + 1);
    struct str rest = c->words, word;
    bool ok = nm(j, notmuch_message_remove_all_properties(m, c->key), "properties");
    while (ok && str_split(&rest, ' ', &word)) {
        if (word.n == 0 || word.n > PLACE_WORDS_MAX)
            continue;
        if (value.n > 0 && value.n + 1 + word.n > PLACE_WORDS_MAX) {
            ok = nm(j, notmuch_message_add_property(m, c->key, buf_z(&value)), "properties");
            buf_reset(&value);
        }
        buf_addz(&value, value.n > 0 ? " " : "");
        buf_adds(&value, word);
    }
    ok = ok && nm(j, notmuch_message_add_property(m, c->key, buf_z(&value)), "properties");
    buf_fini(&value);
    return ok;
}

static bool is_gone(struct str words)
{
    return str_eqz(words, INDEX_GONE);
}

static bool is_dead(struct str words)
{
    return is_gone(words) || word_listed(words, STR("deleted")) || word_listed(words, STR("spam"));
}

/* All that any place gives; but a message is deleted or spam only where no place of it is anything else, and a copy in
 * the trash or among spam that nobody read does not make it unread. */
static struct str copies_words(struct job *j, const struct copies *cs)
{
    struct buf all = BUF_INIT(64u << 10);
    bool alive = false;
    for (size_t i = 0; i < cs->n && !alive; i++)
        alive = !is_dead(cs->list[i].words);
    for (size_t i = 0; i < cs->n; i++) {
        struct str rest = cs->list[i].words, word;
        bool dead = alive && is_dead(rest);
        while (!is_gone(cs->list[i].words) && str_split(&rest, ' ', &word)) {
            if (word.n == 0 || word_listed(buf_str(&all), word) ||
                (dead && (str_eqz(word, "deleted") || str_eqz(word, "spam") || str_eqz(word, "unread"))))
                continue;
            buf_addz(&all, all.n > 0 ? " " : "");
            buf_adds(&all, word);
        }
    }
    struct str words = words_add(j, STR(""), buf_str(&all));
    buf_fini(&all);
    return words;
}

/* Accounts in which all places are deleted or spam while another account has one that is not: a search in such an
 * account leaves the message out (search/query.c). */
static bool dead_write(struct job *j, notmuch_message_t *m, const struct copies *cs)
{
    struct {
        const char *name;
        bool alive;
    } accounts[64]; /* more than anybody has */
    size_t n = 0;
    bool alive = false, ok = nm(j, notmuch_message_remove_all_properties(m, PLACE_DEAD), "properties");
    for (size_t i = 0; i < cs->n; i++) {
        const struct copy *c = &cs->list[i];
        bool lives = !is_dead(c->words);
        size_t k = 0;
        while (k < n && c->account != NULL && strcmp(accounts[k].name, c->account) != 0)
            k++;
        if (k == n && n < COUNT(accounts) && c->account != NULL) {
            accounts[n].name = c->account;
            accounts[n++].alive = false;
        }
        if (k < n && c->account != NULL)
            accounts[k].alive = accounts[k].alive || lives;
        alive = alive || lives;
    }
    for (size_t k = 0; ok && alive && k < n; k++)
        ok = accounts[k].alive || nm(j, notmuch_message_add_property(m, PLACE_DEAD, accounts[k].name), "properties");
    return ok;
}

/* What each gives from now on, and how many are not gone; more than one place, or one that is gone, is recorded. */
static bool copies_write(struct job *j, notmuch_message_t *m, struct copies *cs, const char *own, struct str tags,
                         size_t *living_r)
{
    struct str present = present_words(j, m);
    bool ok = true;
    *living_r = 0;
    for (size_t i = 0; ok && i < cs->n; i++) {
        struct copy *c = &cs->list[i];
        bool mine = strcmp(c->key, own) == 0,
             same = c->known && strcmp(c->key, cs->now) != 0 && (!mine || str_eq(c->words, tags));
        c->words = mine ? tags : c->known ? c->words : present;
        *living_r += !is_gone(c->words);
        if (cs->n > 1 || is_gone(c->words))
            ok = same || copy_write(j, m, c);
        else
            ok = !c->known || nm(j, notmuch_message_remove_all_properties(m, c->key), "properties");
    }
    return ok;
}

/* The tags of a message that is gone everywhere: a search leaves out what is deleted, and nobody has it to read. */
static struct str gone_words(struct job *j, notmuch_message_t *m)
{
    struct buf all = BUF_INIT(64u << 10);
    struct str rest = present_words(j, m), word;
    buf_addz(&all, "deleted");
    while (str_split(&rest, ' ', &word))
        if (word.n > 0 && !str_eqz(word, "inbox") && !str_eqz(word, "unread") && !str_eqz(word, "deleted")) {
            buf_addc(&all, ' ');
            buf_adds(&all, word);
        }
    struct str words = words_add(j, STR(""), buf_str(&all));
    buf_fini(&all);
    return words;
}

/* Makes the message's tags those of its places. `file` gives `tags` from now on, or has moved here from `was`; NULL:
 * neither. To be frozen, so that it is written once. */
static bool settle(struct job *j, notmuch_message_t *m, const char *file, const char *was, struct str tags)
{
    struct copies cs = {.n = 0};
    char own[sizeof PLACE_KEY + 16] = "";
    size_t living = 0;
    if (was != NULL) {
        place_key(j->ix, was, cs.was);
        place_key(j->ix, file, cs.now);
    } else if (file != NULL && place_is(j->ix, file)) {
        place_key(j->ix, file, own);
    }
    bool ok = copies_read(j, m, &cs) && copies_write(j, m, &cs, own, tags, &living);
    if (living > 0)
        ok = ok && set_tags(j, m, copies_words(j, &cs)) && dead_write(j, m, &cs);
    else if (cs.n > 0)
        ok = ok && set_tags(j, m, gone_words(j, m));
    else if (file != NULL && was == NULL)
        ok = ok && set_tags(j, m, tags);
    free(cs.list);
    return ok;
}

static bool settle_frozen(struct job *j, notmuch_message_t *m, const char *file, const char *was, struct str tags)
{
    bool ok = nm(j, notmuch_message_freeze(m), "tags") && settle(j, m, file, was, tags);
    return nm(j, notmuch_message_thaw(m), "tags") && ok;
}

static bool remove_path(struct job *j, struct str path)
{
    const char *full;
    notmuch_message_t *old = by_store_path(j, path, &full);
    if (old == NULL) /* not there is what was wanted */
        return j->err.kind == ERR_NONE;
    const char *id = notmuch_message_get_message_id(old);
    struct str msgid = {arena_dup(j->arena, id, strlen(id)), strlen(id)};
    notmuch_message_destroy(old);
    notmuch_status_t status = notmuch_database_remove_message(j->ix->db, full);
    bool ok = nm(j, status, "removing");
    if (status != NOTMUCH_STATUS_DUPLICATE_MESSAGE_ID || msgid.p == NULL || (old = by_id(j, msgid)) == NULL)
        return ok && !j->fatal;
    ok = settle_frozen(j, old, NULL, NULL, STR(""));
    notmuch_message_destroy(old);
    return ok;
}

/* ---- Adding ---- */

static struct envelope envelope_of(struct job *j, notmuch_message_t *m)
{
    struct envelope env = {.date = (int64_t)notmuch_message_get_date(m)};
    struct mail_addrs addrs;
    const char *from = notmuch_message_get_header(m, "from"), *subject = notmuch_message_get_header(m, "subject");
    mail_addrs_parse(str_z(from), j->arena, &addrs);
    if (addrs.count > 0) {
        env.from_name = addrs.list[0].name;
        env.from_addr = addrs.list[0].addr;
    }
    env.subject = str_z(subject);
    env.msgid = str_z(notmuch_message_get_message_id(m));
    return env;
}

static struct str subject_core(struct str subject)
{
    size_t end;
    struct str s = str_trim(mail_subject_base(str_trim(subject)));
    /* a list's mark in front of it */
    if (s.n > 0 && s.p[0] == '[' && str_find(s, ']', &end))
        s = str_trim(mail_subject_base(str_trim(str_sub(s, end + 1, s.n))));
    return s;
}

/* The same mail by another way (a list adds a mark to the subject or takes over From), or a different one under its id?
 */
static bool alike(const struct envelope *a, const struct envelope *b)
{
    unsigned same = (a->date == b->date) + mail_addr_same(a->from_addr, b->from_addr) +
                    str_eq(subject_core(a->subject), subject_core(b->subject));
    return same >= 2;
}

/* Reindexing drops every path whose file is missing: header files stand in for them until the commit. In a Maildir a
 * missing file is gone. */
static bool other_paths_back(struct job *j, notmuch_message_t *m, const char *keep)
{
    struct envelope env = envelope_of(j, m);
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    bool ok = true;
    for (; ok && notmuch_filenames_valid(files); notmuch_filenames_move_to_next(files)) {
        const char *file = notmuch_filenames_get(files);
        if (strcmp(file, keep) == 0 || place_in_maildir(j->ix, file) || access(file, F_OK) == 0)
            continue;
        ok = write_headfile(j, file, &env);
    }
    notmuch_filenames_destroy(files);
    return ok;
}

/* "KEY=VALUE" lines as properties; what is there stays. */
static bool set_marks(struct job *j, notmuch_message_t *m, struct str marks)
{
    struct str line;
    bool ok = true;
    while (ok && str_split(&marks, '\n', &line)) {
        size_t eq;
        if (!str_find(line, '=', &eq))
            continue;
        const char *key = arena_dup(j->arena, line.p, eq),
                   *value = arena_dup(j->arena, line.p + eq + 1, line.n - eq - 1);
        ok = key == NULL || value == NULL || nm(j, notmuch_message_add_property(m, key, value), "properties");
    }
    return ok;
}

static struct mark mark_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct str name = str_z(slash ? slash + 1 : file);
    size_t flags;
    return mark_read(str_find(name, ':', &flags) ? str_sub(name, 0, flags) : name);
}

/* The whole mail has taken the place of its header, and whoever was to say so was killed: the header's path goes. */
static bool stubs_gone(struct job *j, notmuch_message_t *m, const char *full)
{
    const char *gone[8]; /* as many copies as one mail has at most, and the next time the others */
    size_t n = 0;
    struct mark mine = mark_of(full);
    if (!mine.tag || mine.stub)
        return true;
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    for (; notmuch_filenames_valid(files) && n < COUNT(gone); notmuch_filenames_move_to_next(files)) {
        const char *file = notmuch_filenames_get(files);
        struct mark mark = mark_of(file);
        if (mark.stub && mark.tag == mine.tag && place_in_maildir(j->ix, file) && access(file, F_OK) != 0 &&
            (gone[n] = arena_dup(j->arena, file, strlen(file))) != NULL)
            n++;
    }
    notmuch_filenames_destroy(files);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = nm(j, notmuch_database_remove_message(j->ix->db, gone[i]), "removing");
    return ok;
}

/* m: what is at that path, destroyed by this; NULL: nothing is. */
static bool add_file(struct job *j, notmuch_message_t *m, const char *full, const struct envelope *of, struct str tags)
{
    bool known = m != NULL,
         ok = !known || j->header ||
              (other_paths_back(j, m, full) && nm(j, notmuch_message_reindex(m, j->ix->opts), "indexing"));
    notmuch_status_t status =
        known ? NOTMUCH_STATUS_SUCCESS : notmuch_database_index_file(j->ix->db, full, j->ix->opts, &m);
    bool alone = !known && status == NOTMUCH_STATUS_SUCCESS;
    ok = ok && nm(j, status, "indexing");
    if (ok && m != NULL && !alone && !j->header && mark_of(full).tag) {
        ok = stubs_gone(j, m, full);
        notmuch_message_destroy(m);
        m = ok ? by_path(j, full) : NULL; /* read anew */
    }
    if (ok && m != NULL) { /* frozen, so that it is written once */
        ok = nm(j, notmuch_message_freeze(m), "properties") && set_marks(j, m, of->marks) &&
             (alone ? set_tags(j, m, tags) : settle(j, m, full, NULL, tags));
        ok = nm(j, notmuch_message_thaw(m), "properties") && ok;
    }
    ok = ok && m != NULL;
    if (m != NULL)
        notmuch_message_destroy(m);
    return ok;
}

/* Under a header file of its own below .dup: for a mail that must not, or cannot, be read as it is. */
static bool add_altered(struct job *j, struct str path, const struct envelope *env, struct str msgid, struct str tags)
{
    const char *dup = full_path(j, DUP_DIR, path);
    if (dup == NULL || !headfile_write(dup, env, msgid, &j->err))
        return false;
    remove_later(j->ix, dup);
    notmuch_message_t *known = by_path(j, dup);
    return !j->fatal && add_file(j, known, dup, env, tags);
}

static bool add(struct job *j, struct str path, const char *full, const struct envelope *env, struct str tags)
{
    /* The place of a header on a server is that of one mail for ever: where its id is not known, neither is the place.
     */
    notmuch_message_t *same = by_id(j, env->msgid), *known = NULL;
    bool differs = false;
    bool unknown = j->of_server && same == NULL && headfile_id(env->msgid);
    if (!j->fatal && !unknown)
        known = by_path(j, full);
    if (!j->fatal && known == NULL && same != NULL) {
        struct envelope other = envelope_of(j, same);
        differs = !alike(env, &other);
    }
    if (same != NULL)
        notmuch_message_destroy(same);
    if (j->fatal)
        return false;
    if (!differs)
        return add_file(j, known, full, env, tags);
    struct buf id = BUF_INIT(128);
    buf_addf(&id, "%016llx.dup@tuimail.invalid", (unsigned long long)str_hash(path));
    bool ok = add_altered(j, path, env, buf_str(&id), tags);
    buf_fini(&id);
    return ok;
}

/* By its header alone: what is read is a file of ours at the same place below another root, because nothing but mail is
 * written into a Maildir, and all of the mail takes twenty times as long. */
static bool add_header(struct job *j, struct str path, struct str header, const struct envelope *env, struct str tags)
{
    j->header = true;
    if (!index_root(j->ix, j->ix->heads))
        return err_set(&j->err, ERR_INDEX, "the index has no other root");
    const char *full = full_path(j, "", path);
    struct err why = ERR_INIT;
    if (full == NULL)
        return false;
    if (!headfile_lend_text(j->ix, full, header, &why))
        return err_set(&j->err, why.kind == ERR_NONE ? ERR_IO : why.kind, "%s",
                       why.kind == ERR_NONE ? "cannot write a header file" : why.text);
    return add(j, path, full, env, tags);
}

/* The envelope of a mail on a server and its text may not agree on the id (there is none, or one that only a server
 * reads): the place goes to the message of the text, or the mail would be found twice. */
static bool place_joins(struct job *j, struct str path, struct str place, struct str tags)
{
    const char *at, *full;
    notmuch_message_t *m = by_store_path(j, path, &at), *old = m != NULL ? by_store_path(j, place, &full) : NULL;
    bool ok = m != NULL,
         joined = old != NULL && strcmp(notmuch_message_get_message_id(old), notmuch_message_get_message_id(m)) == 0;
    struct envelope env = {.date = 0};
    if (ok)
        env = envelope_of(j, m);
    if (old != NULL)
        notmuch_message_destroy(old);
    if (ok && !joined) {
        ok = remove_path(j, place) && (full = full_path(j, "", place)) != NULL && write_headfile(j, full, &env) &&
             add_file(j, NULL, full, &env, tags);
    }
    if (m != NULL)
        notmuch_message_destroy(m);
    return ok;
}

static bool job_add(struct job *j, const struct m_INDEX_ADD *m)
{
    struct envelope env;
    struct buf header = BUF_INIT(INDEX_HEADER_MAX + 200);
    const char *full = full_path(j, "", m->path);
    if (full == NULL)
        return false;
    if (!m->header_only)
        headfile_back(j->ix);
    bool checked = headfile_check(full, str_z(j->ix->fields), j->arena, &env, m->header_only ? &header : NULL, &j->err);
    if (env.msgid.n == 0)
        env.msgid = m->msgid;
    if (!checked) {
        /* Found at least by what a list shows of it; the store still hears what happened. */
        if (j->err.kind == ERR_LIMIT) {
            struct err why = j->err;
            add_altered(j, m->path, &env, STR(""), m->tags);
            j->err = why;
        }
        buf_fini(&header);
        return false;
    }
    bool ok =
        m->header_only ? add_header(j, m->path, buf_str(&header), &env, m->tags) : add(j, m->path, full, &env, m->tags);
    buf_fini(&header);
    if (ok && m->place.n > 0)
        return place_joins(j, m->path, m->place, m->tags);
    /* What libnotmuch does not take for a mail (an mbox, hardly a header) is found by what a list shows of it. */
    if (!ok && j->err.kind == ERR_PARSE && (env.subject.n > 0 || env.from_addr.n > 0)) {
        j->err = ERR_INIT;
        ok = add_altered(j, m->path, &env, STR(""), m->tags);
    }
    return ok;
}

static bool job_header(struct job *j, const struct m_INDEX_HEADER *m)
{
    const char *full = full_path(j, "", m->path);
    struct envelope env = {m->from_name, m->from_addr, m->to,   m->subject, m->msgid,
                           m->refs,      m->list_id,   m->date, STR("")};
    struct err ignored = ERR_INIT;
    if (full == NULL)
        return false;
    j->of_server = true;
    bool lent = !place_in_maildir(j->ix, full) && headfile_lend(j->ix, full, &env, &ignored);
    if (!lent && !write_headfile(j, full, &env))
        return false;
    return add(j, m->path, full, &env, m->tags);
}

/* ---- Moving, removing, tagging ---- */

/* The new path comes first, so that the message is never without one and keeps its tags and thread. */
static bool job_move(struct job *j, const struct m_INDEX_MOVE *m)
{
    const char *from, *to = full_path(j, "", m->path_to);
    notmuch_message_t *old = to != NULL ? by_store_path(j, m->path, &from) : NULL, *new = NULL;
    if (old == NULL)
        return j->err.kind == ERR_NONE ? err_set(&j->err, ERR_NO_MESSAGE, "no message is at the old path") : false;
    bool ok = true, dup = strstr(from, "/" DUP_DIR) != NULL;
    if (dup)
        ok = (to = full_path(j, DUP_DIR, m->path_to)) != NULL;
    if (ok && access(to, F_OK) != 0) {
        struct envelope env = envelope_of(j, old);
        ok = write_headfile(j, to, &env);
    }
    ok = ok && strcmp(from, to) != 0 &&
         nm(j, notmuch_database_index_file(j->ix->db, to, j->ix->opts, &new), "moving") &&
         nm(j, notmuch_database_remove_message(j->ix->db, from), "moving");
    if (new != NULL)
        notmuch_message_destroy(new);
    notmuch_message_destroy(old);
    /* read anew: each of the two knew of one change */
    if (ok && (new = by_path(j, to)) != NULL) {
        ok = settle_frozen(j, new, to, from, STR(""));
        notmuch_message_destroy(new);
    }
    return ok && !j->fatal;
}

static bool job_tags(struct job *j, const struct m_INDEX_TAGS *m)
{
    const char *full;
    notmuch_message_t *found = m->path.n > 0 ? by_store_path(j, m->path, &full) : by_id(j, m->msgid);
    if (found == NULL && j->err.kind == ERR_NONE && is_gone(m->tags))
        return true;
    if (found == NULL)
        return j->err.kind == ERR_NONE ? err_set(&j->err, ERR_NO_MESSAGE, "no such message in the index") : false;
    if (m->path.n == 0)
        full = notmuch_message_get_filename(found);
    bool ok = settle_frozen(j, found, full, NULL, m->tags);
    notmuch_message_destroy(found);
    return ok;
}

bool index_job(struct index *ix, const struct msg *m, struct err *err)
{
    if (ix->arena == NULL)
        ix->arena = arena_new(MAIL_ARENA_MAX);
    struct job j = {.ix = ix, .arena = ix->arena, .err = ERR_INIT};
    bool ok = false;
    arena_reset(ix->arena);
    if (m->kind != MSG_INDEX_HEADER && m->kind != MSG_INDEX_ADD)
        headfile_back(ix);
    if (!index_root(ix, ix->mail))
        return index_lost(ix, err);
    switch (m->kind) {
    case MSG_INDEX_ADD:
        j.number = m->u.INDEX_ADD.job;
        ok = job_add(&j, &m->u.INDEX_ADD);
        break;
    case MSG_INDEX_HEADER:
        j.number = m->u.INDEX_HEADER.job;
        ok = job_header(&j, &m->u.INDEX_HEADER);
        break;
    case MSG_INDEX_MOVE:
        j.number = m->u.INDEX_MOVE.job;
        ok = job_move(&j, &m->u.INDEX_MOVE);
        break;
    case MSG_INDEX_REMOVE:
        j.number = m->u.INDEX_REMOVE.job;
        ok = remove_path(&j, m->u.INDEX_REMOVE.path);
        break;
    case MSG_INDEX_TAGS:
        j.number = m->u.INDEX_TAGS.job;
        ok = job_tags(&j, &m->u.INDEX_TAGS);
        break;
    default:
        err_set(&j.err, ERR_CHANNEL, "%s is no job", msg_name(m->kind));
        break;
    }
    if (j.fatal)
        return index_lost(ix, err);
    if (ok)
        return true;
    log_msg(LOG_WARN, "job %llu: %s", (unsigned long long)j.number, j.err.text);
    return SEND(ix->store, -1, err, INDEX_FAILED, .job = j.number, .kind = (uint32_t)j.err.kind,
                .text = str_z(j.err.text));
}
