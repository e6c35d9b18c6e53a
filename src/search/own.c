/* The user's own notmuch database beside ours: opening it, and hits of both in one order without doubles. */
#include "search/own.h"

#include <sys/stat.h>

bool own_open(const struct search *s, notmuch_database_t **db_r, struct err *err)
{
    char *message = NULL;
    struct stat st;
    bool file = stat(s->own, &st) == 0 && S_ISREG(st.st_mode);
    notmuch_status_t status = notmuch_database_open_with_config(file ? NULL : s->own, NOTMUCH_DATABASE_MODE_READ_ONLY,
                                                                file ? s->own : NULL, NULL, db_r, &message);
    if (status == NOTMUCH_STATUS_NO_CONFIG && !file) { /* a database that never had one */
        free(message);
        message = NULL;
        status = notmuch_database_open_with_config(s->own, NOTMUCH_DATABASE_MODE_READ_ONLY, "", NULL, db_r, &message);
    }
    if (status == NOTMUCH_STATUS_SUCCESS) {
        free(message);
        return true;
    }
    *db_r = NULL;
    struct buf safe = BUF_INIT(300);
    text_from_bytes(str_trim(str_z(message != NULL ? message : notmuch_status_to_string(status))), TEXT_FOLD_SPACE,
                    &safe);
    err_set(err, ERR_INDEX, "your notmuch database %s cannot be read: %s", s->own, buf_z(&safe));
    buf_fini(&safe);
    free(message);
    return false;
}

void own_paths(struct search *s, struct sandbox *box)
{
    static const char *const below_home[] = {".notmuch-config", ".config/notmuch"};
    size_t n = 0;
    struct err err = ERR_INIT;
    notmuch_database_t *db = NULL;
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    while (box->read_paths[n] != NULL)
        n++;
    if (s->own == NULL || !own_open(s, &db, &err)) {
        if (s->own != NULL)
            log_msg(LOG_WARN, "%s", err.text);
    } else {
        s->own_dir = mem_dup_z(notmuch_database_get_path(db));
        notmuch_database_destroy(db);
    }
    const char *paths[] = {s->own, s->own_dir};
    for (size_t i = 0; i < COUNT(paths); i++)
        if (paths[i] != NULL)
            box->read_paths[n++] = paths[i];
    for (size_t i = 0; s->own != NULL && home != NULL && i < COUNT(below_home); i++)
        box->read_paths[n++] = s->own_config[i] = path_join(home, below_home[i]);
    if (s->own != NULL && config != NULL && config[0] != '\0')
        box->read_paths[n++] = s->own_config[COUNT(below_home)] = path_join(config, "notmuch");
}
