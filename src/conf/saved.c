/* Saved searches: those of tuimailrc, and those in the file of option saved-file, which tuimail writes itself. */
#include "conf/internal.h"

#include <unistd.h>

enum { SAVED_MAX = 500 };

const struct saved *conf_saved(const struct conf *conf, struct str name)
{
    for (size_t i = 0; i < conf->nsaved; i++)
        if (str_eqz(name, conf->saved[i].name))
            return &conf->saved[i];
    return NULL;
}

void saved_fini(struct saved *s)
{
    free(s->name);
    free(s->query);
    free(s->account);
}

static void saved_line(const struct saved *s, struct buf *out)
{
    buf_addz(out, "saved ");
    line_quote(str_z(s->name), out);
    buf_addc(out, ' ');
    line_quote(str_z(s->query), out);
    if (s->account[0]) {
        buf_addz(out, " -account ");
        line_quote(str_z(s->account), out);
    }
    buf_addc(out, '\n');
}

static void drop_at(struct conf *conf, size_t i)
{
    saved_fini(&conf->saved[i]);
    memmove(&conf->saved[i], &conf->saved[i + 1], (--conf->nsaved - i) * sizeof *conf->saved);
}

static void drop_own(struct conf *conf)
{
    for (size_t i = conf->nsaved; i-- > 0;)
        if (conf->saved[i].own)
            drop_at(conf, i);
}

/* What another tuimail, or the user, wrote into the file since it was read. */
static bool read_again(struct conf *conf, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(CONF_MAX_BYTES);
    unsigned number = 1;
    struct line line;
    int got = 0;
    bool ok = access(path, F_OK) != 0 || conf_read(path, &text, err);
    struct str rest = buf_str(&text);
    if (ok)
        drop_own(conf);
    while (ok && (got = line_next(&rest, path, &number, &line, err)) == 1) {
        ok = !line.n || (strcmp(line.words[0], "saved") == 0 ? saved_run(conf, &line, true, err)
                                                             : err_set(err, ERR_CONFIG, "it has saved lines alone"));
        if (!ok)
            err_prefix(err, "%s:%u", path, line.number);
        line_fini(&line);
    }
    buf_fini(&text);
    return ok && got == 0;
}

static bool file_write(const struct conf *conf, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(CONF_MAX_BYTES);
    buf_addz(&text, "# Saved searches: written by save-search and the like, read behind tuimailrc.\n");
    for (size_t i = 0; i < conf->nsaved; i++)
        if (conf->saved[i].own)
            saved_line(&conf->saved[i], &text);
    char *dir = mem_dup_z(path), *slash = strrchr(dir, '/');
    bool ok = !text.full || err_set(err, ERR_LIMIT, "%s is too long", path);
    if (slash && slash != dir) {
        *slash = '\0';
        ok = ok && (access(dir, F_OK) == 0 || fs_mkdir_private(dir, err));
    }
    ok = ok && fs_write_atomic(path, 0600, buf_str(&text), err);
    free(dir);
    buf_fini(&text);
    return ok;
}

/* The place of an own one; `name` of tuimailrc's is refused, with where it stands. */
static bool find_own(const struct conf *conf, const char *name, size_t *at_r, struct err *err)
{
    const struct saved *s = conf_saved(conf, str_z(name));
    if (!s)
        return err_set(err, ERR_USAGE, "no saved search \"%.60s\"", name);
    if (!s->own)
        return err_set(err, ERR_USAGE, "the saved search \"%.60s\" stands in %.200s: change it there", name,
                       conf->file[0] ? conf->file : "a line typed here");
    *at_r = (size_t)(s - conf->saved);
    return true;
}

static bool is_name(const char *name, struct err *err)
{
    bool ok = name[0] && strlen(name) <= 80;
    for (const char *p = name; *p; p++)
        ok = ok && (unsigned char)*p >= ' ' && *p != 0x7f && *p != '"';
    return ok || err_set(err, ERR_USAGE, "a name has 1 to 80 characters, and no quotes");
}

static bool put(struct conf *conf, const char *name, const char *query, const char *account, struct err *err)
{
    const struct saved *old = conf_saved(conf, str_z(name));
    size_t at;
    if (!is_name(name, err) || (old && !find_own(conf, name, &at, err)))
        return false;
    if (!old && conf->nsaved >= SAVED_MAX)
        return err_set(err, ERR_LIMIT, "there are %d saved searches already: delete one", SAVED_MAX);
    char *words[] = {mem_dup_z("saved"), mem_dup_z(name), mem_dup_z(query), mem_dup_z("-account"), mem_dup_z(account)};
    struct line line = {.words = words, .n = account[0] ? 5 : 3};
    bool ok = saved_run(conf, &line, true, err);
    for (size_t i = 0; i < COUNT(words); i++)
        free(words[i]);
    return ok;
}

static bool change(struct conf *conf, const struct saved_change *c, struct err *err)
{
    size_t at;
    if (c->what == SAVED_PUT)
        return put(conf, c->name, c->query, c->account ? c->account : "", err);
    if (!find_own(conf, c->name, &at, err))
        return false;
    if (c->what == SAVED_DROP)
        drop_at(conf, at);
    if (c->what == SAVED_RENAME) {
        if (!is_name(c->query, err))
            return false;
        if (conf_saved(conf, str_z(c->query)))
            return err_set(err, ERR_USAGE, "there is a saved search \"%.60s\" already", c->query);
        free(conf->saved[at].name);
        conf->saved[at].name = mem_dup_z(c->query);
    }
    for (int left = c->what == SAVED_MOVE ? c->by : 0; left;) { /* among its own */
        size_t to = left < 0 ? at - 1 : at + 1;
        if (to >= conf->nsaved || !conf->saved[to].own)
            break;
        struct saved swap = conf->saved[to];
        conf->saved[to] = conf->saved[at];
        conf->saved[at] = swap;
        at = to;
        left += left < 0 ? 1 : -1;
    }
    return true;
}

bool conf_saved_change(struct conf *conf, const struct saved_change *c, struct err *err)
{
    char *path = conf_saved_file(conf, err), *name = mem_dup_z(c->name), *query = mem_dup_z(c->query);
    /* copies: the caller's may be those of the conf, which is read anew */
    const struct saved_change mine = {c->what, name, query, c->account, c->by};
    size_t n = conf->nsaved;
    struct saved *kept = mem_array(n + 1, sizeof *kept);
    for (size_t i = 0; i < n; i++) {
        const struct saved *s = &conf->saved[i];
        kept[i] = (struct saved){mem_dup_z(s->name), mem_dup_z(s->query), mem_dup_z(s->account), s->own};
    }
    bool ok = path && read_again(conf, path, err) && change(conf, &mine, err) && file_write(conf, path, err);
    struct saved *gone = ok ? kept : conf->saved;
    size_t ngone = ok ? n : conf->nsaved;
    if (!ok) {
        conf->saved = kept;
        conf->nsaved = n;
    }
    for (size_t i = 0; i < ngone; i++)
        saved_fini(&gone[i]);
    free(gone);
    free(path);
    free(name);
    free(query);
    return ok;
}
