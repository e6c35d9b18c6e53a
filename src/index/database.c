/* Opening, committing and replacing the notmuch database. */
#include "index/index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPGRADE_SAY_MS 1000

void index_say(struct index *ix, enum err_kind kind, const char *text)
{
    struct err ignored = ERR_INIT;
    if (ix->store != NULL)
        SEND(ix->store, -1, &ignored, INDEX_STATE, .kind = (uint32_t)kind, .text = str_z(text));
}

/* Where the database is that is written. */
static const char *place(const struct index *ix)
{
    return ix->beside ? ix->building : ix->dir;
}

/* GKeyFile takes a backslash as an escape. */
static void put_path(struct buf *out, const char *key, const char *path)
{
    buf_addf(out, "%s=", key);
    for (; *path != '\0'; path++) {
        if (*path == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *path);
    }
    buf_addc(out, '\n');
}

char *index_config_text(const char *dir, const char *mail)
{
    struct buf out = BUF_INIT(32768);
    buf_addz(&out,
             "# Written by tuimail at each start, for its own index. Query it with notmuch --config=THIS-FILE search "
             "...; never run\n"
             "# notmuch new or notmuch reindex on it: most of its mail is not on this disk, and they would drop that.\n"
             "[database]\n");
    put_path(&out, "path", dir);
    put_path(&out, "mail_root", mail);
    buf_addz(&out, "[user]\nname=tuimail\nprimary_email=nobody@invalid\n[new]\ntags=\n[search]\nexclude_tags=\n"
                   "[maildir]\nsynchronize_flags=false\n[index]\nheader.List=List-Id\n");
    return buf_take(&out, NULL);
}

static bool no_room(const char *dir)
{
    return !fs_has_room(dir, FS_INDEX_ROOM);
}

bool index_no_room(const char *dir, struct err *err)
{
    return err_set(err, ERR_DISK_FULL,
                   "the search index has no room in %s: make some and it goes on by itself; mail comes and stays "
                   "readable all the same",
                   dir);
}

/* This program wrote that file when it began, and may not make the directory again: the next one does. */
static bool was_removed(const struct index *ix, struct err *err)
{
    bool gone = access(ix->config, F_OK) != 0 && errno == ENOENT;
    if (gone)
        err_set(err, ERR_INDEX, "the search index in %s was removed: it is built again", ix->dir);
    return gone;
}

static void err_take(struct err *err, notmuch_status_t status, char *message, const char *what)
{
    struct buf safe = BUF_INIT(300);
    text_from_bytes(str_trim(str_z(message != NULL ? message : notmuch_status_to_string(status))), TEXT_FOLD_SPACE,
                    &safe);
    err_set(err, ERR_INDEX, "%s: %s", what, buf_z(&safe));
    buf_fini(&safe);
    free(message);
}

/* A database is a flat directory. */
static void database_drop(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char *file = path_join(dir, e->d_name);
        if (unlink(file) != 0)
            rmdir(file);
        free(file);
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

/* Those of a place that have such a name. */
static void databases_drop(const char *dir, const char *name)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, name, strlen(name)) != 0)
            continue;
        char *old = path_join(dir, e->d_name);
        database_drop(old);
        free(old);
    }
    if (d != NULL)
        closedir(d);
}

static bool set_aside(struct index *ix, struct err *err)
{
    struct buf name = BUF_INIT(64);
    databases_drop(place(ix), "broken-"); /* one is kept for whoever wants to look */
    buf_addf(&name, "broken-%lld", (long long)clock_wall());
    char *from = path_join(place(ix), "xapian"), *to = path_join(place(ix), buf_z(&name));
    bool ok = rename(from, to) == 0 || errno == ENOENT;
    if (!ok)
        err_sys(err, ERR_INDEX, errno, "cannot set the damaged index aside");
    else
        log_msg(LOG_WARN, "the index was set aside as %s", to);
    free(from);
    free(to);
    buf_fini(&name);
    return ok;
}

static bool exists(const char *dir)
{
    char *path = path_join(dir, "xapian");
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* ---- What else may be in the way ---- */

static void say_locked(void *arg)
{
    index_say(arg, ERR_NONE, "the search index waits: another program writes it (a notmuch command?)");
}

static bool writable(const struct index *ix, struct err *err)
{
    char *xapian = path_join(place(ix), "xapian");
    bool ok = access(place(ix), W_OK) == 0 && (access(xapian, F_OK) != 0 || access(xapian, W_OK) == 0);
    if (!ok)
        err_set(err, ERR_PERMISSION,
                "the search index in %s cannot be written (%s): make it writable, or set state-dir", place(ix),
                strerror(errno));
    free(xapian);
    return ok;
}

/* Xapian would wait for whoever writes into a FIFO among its files. */
static bool readable(const struct index *ix, char **why_r)
{
    struct err err = ERR_INIT;
    char *xapian = path_join(place(ix), "xapian");
    bool ok = fs_only_files(xapian, &err);
    if (!ok)
        *why_r = mem_dup_z(err.text);
    free(xapian);
    return ok;
}

struct upgrade {
    struct index *ix;
    int64_t said;
};

static void on_upgrade(void *arg, double progress)
{
    struct upgrade *u = arg;
    char text[100];
    if (clock_mono_ms() - u->said < UPGRADE_SAY_MS)
        return;
    u->said = clock_mono_ms();
    snprintf(text, sizeof text, "the search index is upgraded for this notmuch: %d%%", (int)(progress * 100));
    index_say(u->ix, ERR_NONE, text);
}

/* Of an older notmuch. One without a version is one whose making was cut short. */
static notmuch_status_t upgrade(struct index *ix)
{
    struct upgrade u = {ix, clock_mono_ms()};
    ix->upgraded = false;
    if (!notmuch_database_needs_upgrade(ix->db))
        return NOTMUCH_STATUS_SUCCESS;
    notmuch_status_t status = notmuch_database_get_version(ix->db) == 0
                                  ? NOTMUCH_STATUS_UPGRADE_REQUIRED
                                  : notmuch_database_upgrade(ix->db, on_upgrade, &u);
    if (status != NOTMUCH_STATUS_SUCCESS)
        notmuch_database_destroy(ix->db);
    else
        ix->upgraded = true; /* it touched all messages, and no tag */
    if (status == NOTMUCH_STATUS_SUCCESS)
        log_msg(LOG_WARN, "the search index was upgraded");
    return status;
}

static void opened(struct index *ix)
{
    ix->opts = notmuch_database_get_default_indexopts(ix->db);
    /* never an agent or gpg from here */
    notmuch_indexopts_set_decrypt_policy(ix->opts, NOTMUCH_DECRYPT_FALSE);
    ix->root = ix->mail;
}

bool index_root(struct index *ix, const char *root)
{
    if (strcmp(ix->root, root) != 0 &&
        notmuch_config_set(ix->db, NOTMUCH_CONFIG_MAIL_ROOT, root) != NOTMUCH_STATUS_SUCCESS)
        return false;
    ix->root = root;
    return true;
}

static bool create(struct index *ix, const char *why, struct err *err)
{
    char *message = NULL;
    struct err sent = ERR_INIT;
    notmuch_status_t status = notmuch_database_create_with_config(place(ix), ix->config, NULL, &ix->db, &message);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        ix->db = NULL;
        err_take(err, status, message, "cannot create the index");
        return false;
    }
    free(message);
    opened(ix);
    return SEND(ix->store, -1, &sent, INDEX_FAILED, .kind = ERR_INDEX, .text = str_z(why));
}

static void remove_headfiles(struct index *ix)
{
    for (size_t at = 0; at < ix->remove.n; at += strlen(ix->remove.p + at) + 1)
        unlink(ix->remove.p + at);
    buf_fini(&ix->remove);
}

/* libnotmuch has one status for a file that it cannot read and for what it does not know yet. */
static bool newer(notmuch_status_t status, const char *message)
{
    return status == NOTMUCH_STATUS_FILE_ERROR && message != NULL &&
           (strstr(message, "newer") != NULL || strstr(message, "not supported by this version") != NULL);
}

static bool open_fails(struct index *ix, notmuch_status_t status, char *message, struct err *err)
{
    ix->db = NULL;
    bool future = newer(status, message);
    err_take(err, status, message, "cannot open the search index");
    log_msg(LOG_WARN, "%s", err->text);
    if (no_room(place(ix)))
        return index_no_room(place(ix), err);
    if (future) {
        err_set(err, ERR_INDEX,
                "the search index in %s was written by a newer notmuch: install that one again, or build the index "
                "anew by tuimail index --rebuild",
                place(ix));
        ix->newer = *err;
        return false;
    }
    bool damaged = status == NOTMUCH_STATUS_XAPIAN_EXCEPTION || status == NOTMUCH_STATUS_NO_DATABASE ||
                   status == NOTMUCH_STATUS_FILE_ERROR || status == NOTMUCH_STATUS_UPGRADE_REQUIRED;
    if (!damaged || !set_aside(ix, err))
        return false;
    *err = ERR_INIT;
    return create(ix, "the index was damaged and is built again", err);
}

bool index_open(struct index *ix, struct err *err)
{
    char *message = NULL;
    if (was_removed(ix, err))
        return false;
    ix->beside = exists(ix->building);
    if (!writable(ix, err) || !index_wait_unlocked(place(ix), say_locked, ix))
        return err->kind == ERR_NONE ? err_set(err, ERR_CHANNEL, "the store has ended") : false;
    if (!exists(place(ix)))
        return create(ix, "the index is new", err);
    notmuch_status_t status = NOTMUCH_STATUS_FILE_ERROR;
    if (readable(ix, &message))
        status = notmuch_database_open_with_config(place(ix), NOTMUCH_DATABASE_MODE_READ_WRITE, ix->config, NULL,
                                                   &ix->db, &message);
    if (status == NOTMUCH_STATUS_SUCCESS)
        status = upgrade(ix);
    if (status != NOTMUCH_STATUS_SUCCESS)
        return open_fails(ix, status, message, err);
    free(message);
    opened(ix);
    return ix->upgraded || index_look(ix, err);
}

bool index_rebuild(struct index *ix, struct err *err)
{
    index_close(ix);
    remove_headfiles(ix);
    if (was_removed(ix, err))
        return false;
    databases_drop(ix->building, "xapian");
    databases_drop(ix->building, "broken-");
    if (!fs_mkdir_private(ix->building, err))
        return false;
    ix->beside = true;
    return create(ix, "it was asked for", err);
}

/* What was built beside takes the place of what was searched: a search has the one or the other open. */
static bool take_place(struct index *ix, struct err *err)
{
    char *new = path_join(ix->building, "xapian"), *old = path_join(ix->dir, "xapian");
    bool ok = renameat2(AT_FDCWD, new, AT_FDCWD, old, RENAME_EXCHANGE) == 0;
    if (!ok) { /* there is no old one, or the file system cannot exchange */
        ix->beside = false;
        ok = set_aside(ix, err) && (rename(new, old) == 0 || err_sys(err, err_from_errno(errno), errno,
                                                                     "cannot put the new search index in its place"));
        databases_drop(ix->dir, "broken-");
    }
    if (ok) {
        databases_drop(ix->building, "xapian");
        databases_drop(ix->building, "broken-");
        rmdir(ix->building);
        log_msg(LOG_INFO, "the search index was built anew");
    }
    free(new);
    free(old);
    return ok;
}

static void destroy(struct index *ix)
{
    if (ix->db == NULL)
        return;
    if (ix->opts != NULL)
        notmuch_indexopts_destroy(ix->opts);
    ix->opts = NULL;
    notmuch_database_destroy(ix->db);
    ix->db = NULL;
}

void index_close(struct index *ix)
{
    if (ix->db != NULL) {
        index_root(ix, ix->mail);
        index_looked(ix);
    }
    destroy(ix);
}

bool index_commit(struct index *ix, bool last, uint64_t *revision_r, struct err *err)
{
    const char *uuid;
    headfile_back(ix);
    ix->unheard = false;
    index_looked(ix);
    notmuch_status_t status =
        index_root(ix, ix->mail) ? notmuch_database_close(ix->db) : NOTMUCH_STATUS_XAPIAN_EXCEPTION;
    if (status != NOTMUCH_STATUS_SUCCESS) {
        *revision_r = 0;
        return index_lost(ix, err);
    }
    remove_headfiles(ix);
    destroy(ix);
    if ((last && ix->beside && !take_place(ix, err)) || !index_open(ix, err))
        return false;
    *revision_r = notmuch_database_get_revision(ix->db, &uuid);
    return true;
}

bool index_lost(struct index *ix, struct err *err)
{
    const char *why = ix->db != NULL ? notmuch_database_status_string(ix->db) : NULL;
    log_msg(LOG_ERROR, "index: %s", why != NULL ? why : "exception");
    bool full = no_room(place(ix));
    remove_headfiles(ix);
    destroy(ix);
    if (was_removed(ix, err))
        return false;
    if (full)
        return index_no_room(place(ix), err);
    return set_aside(ix, err) && create(ix, "the index was damaged and is built again", err);
}
