/* Opening, committing and replacing the notmuch database. */
#include "index/index.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

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
    struct statvfs vfs;
    return statvfs(dir, &vfs) == 0 && (uint64_t)vfs.f_bavail * vfs.f_frsize < 16u << 20;
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

/* Keeps one broken database for whoever wants to look: removes an earlier one, which is a flat directory. */
static void broken_drop(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, "broken-", 7) != 0)
            continue;
        char *old = path_join(dir, e->d_name);
        DIR *inner = opendir(old);
        for (struct dirent *f; inner != NULL && (f = readdir(inner)) != NULL;) {
            char *file = path_join(old, f->d_name);
            unlink(file);
            free(file);
        }
        if (inner != NULL)
            closedir(inner);
        rmdir(old);
        free(old);
    }
    if (d != NULL)
        closedir(d);
}

static bool set_aside(struct index *ix, struct err *err)
{
    struct buf name = BUF_INIT(64);
    broken_drop(ix->dir);
    buf_addf(&name, "broken-%lld", (long long)clock_wall());
    char *from = path_join(ix->dir, "xapian"), *to = path_join(ix->dir, buf_z(&name));
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

static bool exists(const struct index *ix)
{
    char *path = path_join(ix->dir, "xapian");
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void opened(struct index *ix)
{
    ix->opts = notmuch_database_get_default_indexopts(ix->db);
    /* never an agent or gpg from here */
    notmuch_indexopts_set_decrypt_policy(ix->opts, NOTMUCH_DECRYPT_FALSE);
}

static bool create(struct index *ix, const char *why, struct err *err)
{
    char *message = NULL;
    struct err sent = ERR_INIT;
    notmuch_status_t status = notmuch_database_create_with_config(ix->dir, ix->config, NULL, &ix->db, &message);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        ix->db = NULL;
        err_take(err, status, message, "cannot create the index");
        return false;
    }
    free(message);
    opened(ix);
    return SEND(ix->store, -1, &sent, INDEX_FAILED, .kind = ERR_INDEX, .text = str_z(why));
}

bool index_open(struct index *ix, struct err *err)
{
    char *message = NULL;
    if (!exists(ix))
        return create(ix, "the index is new", err);
    notmuch_status_t status = notmuch_database_open_with_config(ix->dir, NOTMUCH_DATABASE_MODE_READ_WRITE, ix->config,
                                                                NULL, &ix->db, &message);
    /* A database without its version is one whose making was cut short. */
    if (status == NOTMUCH_STATUS_SUCCESS && notmuch_database_needs_upgrade(ix->db)) {
        notmuch_database_destroy(ix->db);
        status = NOTMUCH_STATUS_UPGRADE_REQUIRED;
    }
    if (status == NOTMUCH_STATUS_SUCCESS) {
        free(message);
        opened(ix);
        return true;
    }
    ix->db = NULL;
    err_take(err, status, message, "cannot open the index");
    log_msg(LOG_WARN, "%s", err->text);
    if (no_room(ix->dir))
        return err_set(err, ERR_DISK_FULL, "no room for the index");
    bool damaged = status == NOTMUCH_STATUS_XAPIAN_EXCEPTION || status == NOTMUCH_STATUS_NO_DATABASE ||
                   status == NOTMUCH_STATUS_FILE_ERROR || status == NOTMUCH_STATUS_UPGRADE_REQUIRED;
    if (!damaged || !set_aside(ix, err))
        return false;
    *err = ERR_INIT;
    return create(ix, "the index was damaged and is built again", err);
}

void index_close(struct index *ix)
{
    if (ix->db == NULL)
        return;
    if (ix->opts != NULL)
        notmuch_indexopts_destroy(ix->opts);
    ix->opts = NULL;
    notmuch_database_destroy(ix->db);
    ix->db = NULL;
}

static void remove_headfiles(struct index *ix)
{
    for (size_t at = 0; at < ix->remove.n; at += strlen(ix->remove.p + at) + 1)
        unlink(ix->remove.p + at);
    buf_fini(&ix->remove);
}

bool index_commit(struct index *ix, uint64_t *revision_r, struct err *err)
{
    const char *uuid;
    notmuch_status_t status = notmuch_database_close(ix->db);
    if (status != NOTMUCH_STATUS_SUCCESS) {
        const char *why = notmuch_database_status_string(ix->db);
        err_take(err, status, mem_dup_z(why), "cannot commit to the index");
        return false;
    }
    remove_headfiles(ix);
    index_close(ix);
    if (!index_open(ix, err))
        return false;
    *revision_r = notmuch_database_get_revision(ix->db, &uuid);
    return true;
}

bool index_lost(struct index *ix, struct err *err)
{
    const char *why = notmuch_database_status_string(ix->db);
    log_msg(LOG_ERROR, "index: %s", why != NULL ? why : "exception");
    bool full = no_room(ix->dir);
    remove_headfiles(ix);
    index_close(ix);
    if (full)
        return err_set(err, ERR_DISK_FULL, "no room for the index");
    return set_aside(ix, err) && create(ix, "the index was damaged and is built again", err);
}
