/* Paths: the XDG base directories and their defaults. */
#include "base/base.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    struct buf b = BUF_INIT(SIZE_MAX / 2);
    buf_addf(&b, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
    return buf_take(&b, NULL);
}

static char *xdg(const char *variable, const char *below_home, struct err *err)
{
    const char *value = getenv(variable), *home = getenv("HOME");
    if (value && value[0] == '/') /* the specification: a relative path is invalid and ignored */
        return mem_dup_z(value);
    if (!home || home[0] != '/') {
        err_set(err, ERR_CONFIG, "neither %s nor HOME is set to a directory", variable);
        return NULL;
    }
    return path_join(home, below_home);
}

char *path_config_home(struct err *err)
{
    return xdg("XDG_CONFIG_HOME", ".config", err);
}

char *path_data_home(struct err *err)
{
    return xdg("XDG_DATA_HOME", ".local/share", err);
}

char *path_runtime_dir(struct err *err)
{
    const char *value = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    if (value && value[0] == '/' && stat(value, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
        return mem_dup_z(value);
    struct buf b = BUF_INIT(64);
    buf_addf(&b, "/tmp/tuimail-%lu", (unsigned long)geteuid());
    char *path = buf_take(&b, NULL);
    /* /tmp is everybody's: the directory must be ours and no link, whoever made it first. */
    if ((mkdir(path, 0700) < 0 && errno != EEXIST) || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
        st.st_uid != geteuid() || (st.st_mode & 077)) {
        err_set(err, ERR_PERMISSION, "%s is not a private directory of yours; set XDG_RUNTIME_DIR", path);
        free(path);
        return NULL;
    }
    return path;
}

char *path_expand_home(const char *path)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home)
        return path_join(home, path[1] ? path + 2 : "");
    return mem_dup_z(path);
}
