#include "own/own.h"

#include <sys/stat.h>
#include <unistd.h>

bool own_open(const struct own *o, notmuch_database_mode_t mode, notmuch_database_t **db_r, struct err *err)
{
    char *message = NULL;
    struct stat st;
    bool file = stat(o->given, &st) == 0 && S_ISREG(st.st_mode);
    notmuch_status_t status =
        notmuch_database_open_with_config(file ? NULL : o->given, mode, file ? o->given : NULL, NULL, db_r, &message);
    if (status == NOTMUCH_STATUS_NO_CONFIG && !file) { /* a database that never had one */
        free(message);
        message = NULL;
        status = notmuch_database_open_with_config(o->given, mode, "", NULL, db_r, &message);
    }
    if (status == NOTMUCH_STATUS_SUCCESS) {
        free(message);
        return true;
    }
    *db_r = NULL;
    struct buf safe = BUF_INIT(300);
    text_from_bytes(str_trim(str_z(message != NULL ? message : notmuch_status_to_string(status))), TEXT_FOLD_SPACE,
                    &safe);
    err_set(err, ERR_INDEX, "your notmuch database %s cannot be %s: %s", o->given,
            mode == NOTMUCH_DATABASE_MODE_READ_ONLY ? "read" : "written", buf_z(&safe));
    buf_fini(&safe);
    free(message);
    return false;
}

/* Xapian's files are in PATH/.notmuch/xapian, or in PATH/xapian where the mail is elsewhere. */
static char *dir_of(const char *path)
{
    char *dot = path_join(path, ".notmuch"), *there = path_join(dot, "xapian");
    bool is = access(there, F_OK) == 0;
    free(there);
    if (is)
        return dot;
    free(dot);
    return mem_dup_z(path);
}

bool own_find(struct own *o, struct err *err)
{
    static const char *const below_home[] = {".notmuch-config", ".config/notmuch"};
    notmuch_database_t *db = NULL;
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    if (o->given == NULL)
        return true;
    for (size_t i = 0; home != NULL && i < COUNT(below_home); i++)
        o->config[i] = path_join(home, below_home[i]);
    if (config != NULL && config[0] != '\0')
        o->config[COUNT(below_home)] = path_join(config, "notmuch");
    if (!own_open(o, NOTMUCH_DATABASE_MODE_READ_ONLY, &db, err))
        return false;
    const char *root = notmuch_config_get(db, NOTMUCH_CONFIG_MAIL_ROOT);
    o->path = mem_dup_z(notmuch_database_get_path(db));
    o->dir = dir_of(o->path);
    o->mail_root = mem_dup_z(root != NULL && root[0] != '\0' ? root : o->path);
    notmuch_database_destroy(db);
    return true;
}

void own_paths(const struct own *o, const char **paths, size_t max)
{
    const char *const all[] = {o->given, o->path, o->mail_root, o->config[0], o->config[1], o->config[2]};
    size_t n = 0;
    while (n < max && paths[n] != NULL)
        n++;
    for (size_t i = 0; i < COUNT(all) && n + 1 < max; i++)
        if (all[i] != NULL)
            paths[n++] = all[i];
}

void own_free(struct own *o)
{
    free(o->given);
    free(o->path);
    free(o->dir);
    free(o->mail_root);
    for (size_t i = 0; i < COUNT(o->config); i++)
        free(o->config[i]);
    *o = (struct own){.given = NULL};
}
