#include "index/own_files.h"

#include "mail/mail.h"
#include "mail/tag.h"

#include <errno.h>
#include <unistd.h>

#define WORDS_MAX 200 /* values of a configuration that are looked at */
#define PATHS_MAX 64  /* of one message, dropped at once; the others with its next change */

/* ---- What the configuration says ---- */

static size_t values_read(notmuch_database_t *db, notmuch_config_key_t key, char ***list_r)
{
    size_t n = 0;
    char **list = mem_array(WORDS_MAX, sizeof *list);
    notmuch_config_values_t *values = notmuch_config_get_values(db, key);
    for (; notmuch_config_values_valid(values) && n < WORDS_MAX; notmuch_config_values_move_to_next(values))
        list[n++] = mem_dup_z(notmuch_config_values_get(values));
    notmuch_config_values_destroy(values);
    *list_r = list;
    return n;
}

static void values_free(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void own_ways_free(struct own_ways *w)
{
    values_free(w->tags, w->ntags);
    values_free(w->ignored, w->nignored);
    for (size_t i = 0; i < w->npatterns; i++)
        regfree(&w->patterns[i]);
    free(w->patterns);
    *w = (struct own_ways){.tags = NULL};
}

void own_ways_read(struct own_files *o)
{
    struct own_ways *w = &o->ways;
    notmuch_bool_t flags = true;
    own_ways_free(w);
    w->ntags = values_read(o->db, NOTMUCH_CONFIG_NEW_TAGS, &w->tags);
    w->nignored = values_read(o->db, NOTMUCH_CONFIG_NEW_IGNORE, &w->ignored);
    w->patterns = mem_array(w->nignored + 1, sizeof *w->patterns);
    for (size_t i = 0; i < w->nignored; i++) { /* /REGEXP/ is one */
        char *value = w->ignored[i];
        size_t n = strlen(value);
        if (n < 2 || value[0] != '/' || value[n - 1] != '/')
            continue;
        value[n - 1] = '\0';
        w->npatterns += regcomp(&w->patterns[w->npatterns], value + 1, REG_EXTENDED | REG_NOSUB) == 0;
        value[0] = '\0'; /* no name */
    }
    if (notmuch_config_get_bool(o->db, NOTMUCH_CONFIG_SYNC_MAILDIR_FLAGS, &flags) != NOTMUCH_STATUS_SUCCESS)
        flags = true;
    w->flags = flags;
}

/* Each directory on the way to a file may be named, and the file itself. */
static bool is_ignored(const struct own_files *o, const char *full)
{
    const struct own_ways *w = &o->ways;
    struct str rest = str_z(full + strlen(o->own.mail_root) + 1), name;
    struct buf path = BUF_INIT(16384);
    bool is = false;
    while (!is && str_split(&rest, '/', &name)) {
        buf_addz(&path, path.n > 0 ? "/" : "");
        buf_adds(&path, name);
        for (size_t i = 0; !is && i < w->nignored; i++)
            is = str_eqz(name, w->ignored[i]);
        for (size_t i = 0; !is && i < w->npatterns; i++)
            is = regexec(&w->patterns[i], buf_z(&path), 0, NULL, 0) == 0;
    }
    buf_fini(&path);
    return is;
}

/* ---- Paths ---- */

char *own_full(const struct own_files *o, struct str path)
{
    struct str name, piece, rest;
    if (memchr(path.p, '\0', path.n) != NULL || !str_split(&path, '/', &name) || path.n == 0)
        return NULL;
    rest = path;
    while (str_split(&rest, '/', &piece))
        if (piece.n == 0 || str_eqz(piece, "..") || str_eqz(piece, "."))
            return NULL;
    for (size_t i = 0; i < o->naccounts; i++)
        if (str_eqz(name, o->accounts[i].name) && o->accounts[i].below != NULL &&
            str_starts(path, str_z(o->accounts[i].at))) {
            struct buf full = BUF_INIT(16384);
            buf_addz(&full, o->accounts[i].below);
            buf_adds(&full, str_sub(path, strlen(o->accounts[i].at), path.n));
            return buf_take(&full, NULL);
        }
    return NULL;
}

static bool is_ours(const struct own_files *o, const char *full)
{
    for (size_t i = 0; i < o->naccounts; i++)
        if (o->accounts[i].below != NULL && strncmp(full, o->accounts[i].below, strlen(o->accounts[i].below)) == 0)
            return true;
    return false;
}

static bool is_gone(const char *full)
{
    return access(full, F_OK) != 0 && errno == ENOENT;
}

static notmuch_message_t *by_path_of(struct own_files *o, const char *full, notmuch_status_t *status_r)
{
    notmuch_message_t *m = NULL;
    *status_r = notmuch_database_find_message_by_filename(o->db, full, &m);
    return *status_r == NOTMUCH_STATUS_SUCCESS ? m : NULL;
}

static notmuch_message_t *by_path(struct own_files *o, const char *full)
{
    notmuch_status_t status;
    return by_path_of(o, full, &status);
}

/* ---- Tags ---- */

static bool has_tag(notmuch_message_t *m, const char *tag)
{
    bool has = false;
    notmuch_tags_t *tags = notmuch_message_get_tags(m);
    for (; !has && notmuch_tags_valid(tags); notmuch_tags_move_to_next(tags))
        has = strcmp(notmuch_tags_get(tags), tag) == 0;
    notmuch_tags_destroy(tags);
    return has;
}

/* The next "+x" or "-x" as a tag of notmuch. */
static bool word_next(struct str *words, bool *add_r, struct buf *tag)
{
    struct str w;
    while (str_split(words, ' ', &w)) {
        buf_reset(tag);
        if (w.n < 2 || (w.p[0] != '+' && w.p[0] != '-'))
            continue;
        *add_r = w.p[0] == '+';
        tag_from_word(str_sub(w, 1, w.n), tag);
        if (!tag->full && strlen(buf_z(tag)) == tag->n)
            return true;
    }
    return false;
}

static bool words_need(notmuch_message_t *m, struct str words)
{
    struct buf tag = BUF_INIT(NOTMUCH_TAG_MAX);
    bool add, need = false;
    while (!need && word_next(&words, &add, &tag))
        need = has_tag(m, buf_z(&tag)) != add;
    buf_fini(&tag);
    return need;
}

static notmuch_status_t words_do(notmuch_message_t *m, struct str words)
{
    struct buf tag = BUF_INIT(NOTMUCH_TAG_MAX);
    bool add;
    notmuch_status_t status = notmuch_message_freeze(m), thawed;
    while (status == NOTMUCH_STATUS_SUCCESS && word_next(&words, &add, &tag))
        status = add ? notmuch_message_add_tag(m, buf_z(&tag)) : notmuch_message_remove_tag(m, buf_z(&tag));
    thawed = notmuch_message_thaw(m);
    buf_fini(&tag);
    return status != NOTMUCH_STATUS_SUCCESS ? status : thawed;
}

/* ---- Files ---- */

bool own_file_needs(struct own_files *o, const char *full, struct str words)
{
    notmuch_message_t *m = by_path(o, full);
    if (m == NULL)
        return !is_ignored(o, full) && !is_gone(full);
    bool need = words_need(m, words);
    notmuch_message_destroy(m);
    return need;
}

bool own_gone_needs(struct own_files *o, const char *full)
{
    notmuch_status_t status = NOTMUCH_STATUS_SUCCESS;
    notmuch_message_t *m = is_gone(full) ? by_path_of(o, full, &status) : NULL;
    if (m == NULL) /* what cannot be read now, because another program writes, is looked for when that has ended */
        return status != NOTMUCH_STATUS_SUCCESS;
    notmuch_message_destroy(m);
    return true;
}

static bool failed(struct own_files *o, notmuch_status_t status, struct err *err)
{
    const char *why = status == NOTMUCH_STATUS_XAPIAN_EXCEPTION ? notmuch_database_status_string(o->db) : NULL;
    struct buf safe = BUF_INIT(300);
    enum err_kind kind = status == NOTMUCH_STATUS_FILE_NOT_EMAIL ? ERR_PARSE
                         : status == NOTMUCH_STATUS_FILE_ERROR   ? ERR_NO_MESSAGE
                                                                 : ERR_INDEX;
    text_from_bytes(str_trim(str_z(why != NULL ? why : notmuch_status_to_string(status))), TEXT_FOLD_SPACE, &safe);
    err_set(err, kind, "your notmuch database %s cannot be written: %s", o->own.given, buf_z(&safe));
    buf_fini(&safe);
    return false;
}

static notmuch_status_t new_tags(struct own_files *o, notmuch_message_t *m)
{
    notmuch_status_t status = notmuch_message_freeze(m), thawed;
    notmuch_bool_t seen = false;
    if (status == NOTMUCH_STATUS_SUCCESS)
        status = notmuch_message_has_maildir_flag_st(m, 'S', &seen);
    for (size_t i = 0; status == NOTMUCH_STATUS_SUCCESS && i < o->ways.ntags; i++)
        if (strcmp(o->ways.tags[i], "unread") != 0 || !seen)
            status = notmuch_message_add_tag(m, o->ways.tags[i]);
    if (status == NOTMUCH_STATUS_SUCCESS && o->ways.flags)
        status = notmuch_message_maildir_flags_to_tags(m);
    thawed = notmuch_message_thaw(m);
    return status != NOTMUCH_STATUS_SUCCESS ? status : thawed;
}

/* Paths of the message where our mail was and no file is. */
static notmuch_status_t drop_gone(struct own_files *o, notmuch_message_t *m)
{
    char *gone[PATHS_MAX];
    size_t n = 0;
    notmuch_status_t status = NOTMUCH_STATUS_SUCCESS;
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    for (; notmuch_filenames_valid(files) && n < PATHS_MAX; notmuch_filenames_move_to_next(files))
        if (is_ours(o, notmuch_filenames_get(files)) && is_gone(notmuch_filenames_get(files)))
            gone[n++] = mem_dup_z(notmuch_filenames_get(files));
    notmuch_filenames_destroy(files);
    for (size_t i = 0; i < n; i++) {
        if (status == NOTMUCH_STATUS_SUCCESS || status == NOTMUCH_STATUS_DUPLICATE_MESSAGE_ID)
            status = notmuch_database_remove_message(o->db, gone[i]);
        free(gone[i]);
    }
    return status == NOTMUCH_STATUS_DUPLICATE_MESSAGE_ID ? NOTMUCH_STATUS_SUCCESS : status;
}

static bool is_mail(const char *full, struct err *err)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct envelope env;
    bool ok = headfile_check(full, STR(""), arena, &env, NULL, err);
    arena_free(&arena);
    return ok;
}

static notmuch_status_t file_add(struct own_files *o, const char *full)
{
    notmuch_message_t *m = NULL;
    notmuch_indexopts_t *opts = notmuch_database_get_default_indexopts(o->db);
    notmuch_indexopts_set_decrypt_policy(opts, NOTMUCH_DECRYPT_FALSE); /* never an agent or gpg from here */
    notmuch_status_t status = notmuch_database_index_file(o->db, full, opts, &m);
    notmuch_indexopts_destroy(opts);
    if (status == NOTMUCH_STATUS_SUCCESS) {
        status = new_tags(o, m);
    } else if (status == NOTMUCH_STATUS_DUPLICATE_MESSAGE_ID) {
        status = drop_gone(o, m);
        notmuch_message_destroy(m); /* it knows of one path less */
        m = by_path(o, full);
        if (status == NOTMUCH_STATUS_SUCCESS && m != NULL && o->ways.flags)
            status = notmuch_message_maildir_flags_to_tags(m);
    }
    if (m != NULL)
        notmuch_message_destroy(m);
    return status;
}

bool own_file(struct own_files *o, const char *full, struct str words, struct err *err)
{
    notmuch_status_t status;
    notmuch_message_t *m = by_path_of(o, full, &status);
    if (m == NULL && status != NOTMUCH_STATUS_SUCCESS)
        return failed(o, status, err);
    if (m == NULL) {
        if (is_ignored(o, full) || is_gone(full))
            return true;
        if (!is_mail(full, err))
            return false;
        status = file_add(o, full);
        m = status == NOTMUCH_STATUS_SUCCESS ? by_path(o, full) : NULL;
    }
    if (m != NULL) {
        status = words_do(m, words);
        notmuch_message_destroy(m);
    }
    return status == NOTMUCH_STATUS_SUCCESS || failed(o, status, err);
}

bool own_gone(struct own_files *o, const char *full, struct err *err)
{
    notmuch_status_t status = NOTMUCH_STATUS_SUCCESS;
    notmuch_message_t *m = is_gone(full) ? by_path_of(o, full, &status) : NULL, *left = NULL;
    if (m == NULL)
        return status == NOTMUCH_STATUS_SUCCESS || failed(o, status, err);
    char *id = mem_dup_z(notmuch_message_get_message_id(m));
    notmuch_message_destroy(m);
    status = notmuch_database_remove_message(o->db, full);
    if (status == NOTMUCH_STATUS_DUPLICATE_MESSAGE_ID) {
        status = notmuch_database_find_message(o->db, id, &left);
        if (status == NOTMUCH_STATUS_SUCCESS && left != NULL && o->ways.flags)
            status = notmuch_message_maildir_flags_to_tags(left);
        if (left != NULL)
            notmuch_message_destroy(left);
    }
    free(id);
    return status == NOTMUCH_STATUS_SUCCESS || failed(o, status, err);
}
