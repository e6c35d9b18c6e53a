/* Where a message is: the file of a Maildir, or its place on a server. */
#include "index/index.h"

struct str place_below(const struct index *ix, const char *file)
{
    struct str path = str_z(file);
    return str_sub(path, MIN(strlen(ix->root) + 1, path.n), path.n);
}

struct str place_of(const struct index *ix, const char *file)
{
    struct str path = place_below(ix, file);
    return str_starts(path, STR(DUP_DIR)) ? str_sub(path, strlen(DUP_DIR), path.n) : path;
}

bool place_in_maildir(const struct index *ix, const char *file)
{
    struct str path = place_below(ix, file), dir, last = {NULL, 0}, before = {NULL, 0};
    if (str_starts(path, STR(DUP_DIR)))
        return false;
    while (str_split(&path, '/', &dir)) {
        before = last;
        last = dir;
    }
    return str_eqz(before, "cur") || str_eqz(before, "new");
}

bool place_is(const struct index *ix, const char *file)
{
    uint64_t box;
    uint32_t uidvalidity, uid;
    struct str path = place_of(ix, file), account, a, b;
    if (place_in_maildir(ix, file))
        return true;
    return str_split(&path, '/', &account) && str_split(&path, '.', &a) && str_split(&path, '/', &b) &&
           path.p != NULL && str_u64(a, &box) && str_u32(b, &uidvalidity) && str_u32(path, &uid);
}
