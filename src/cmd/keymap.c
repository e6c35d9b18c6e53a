/* Key maps: which keys run which command in which context. */
#include "cmd/cmd.h"

/* Some hundred bindings: a sorted array would win nothing that a person can feel. */
struct keymap {
    struct binding *list;
    size_t n;
    char **files; /* names of files that bound something: outlive the conf they came from */
    size_t nfiles;
};

static const char *const context_names[] = {
    [CTX_GLOBAL] = "global", [CTX_LIST] = "list", [CTX_MESSAGE] = "message", [CTX_BOXES] = "boxes",
    [CTX_PROMPT] = "prompt", [CTX_HELP] = "help", [CTX_COMPOSE] = "compose", [CTX_ATTACHMENTS] = "attachments",
};
_Static_assert(COUNT(context_names) == CTX_COUNT, "a context without a name");

const char *cmd_context_name(enum cmd_context context)
{
    return (unsigned)context < CTX_COUNT ? context_names[context] : "global";
}

bool cmd_context_find(const char *name, enum cmd_context *context_r)
{
    for (size_t i = 0; i < CTX_COUNT; i++)
        if (strcmp(context_names[i], name) == 0) {
            *context_r = (enum cmd_context)i;
            return true;
        }
    return false;
}

struct keymap *keymap_new(void)
{
    return mem_new(sizeof(struct keymap));
}

static void drop(struct keymap *map, size_t i)
{
    free(map->list[i].command);
    free(map->list[i].macro);
    memmove(map->list + i, map->list + i + 1, (map->n - i - 1) * sizeof *map->list);
    map->n--;
}

void keymap_free(struct keymap **map_p)
{
    struct keymap *map = *map_p;
    if (!map)
        return;
    while (map->n)
        drop(map, map->n - 1);
    for (size_t i = 0; i < map->nfiles; i++)
        free(map->files[i]);
    free(map->list);
    free(map->files);
    free(map);
    *map_p = NULL;
}

static const char *keep_file(struct keymap *map, const char *file)
{
    if (!file)
        return NULL;
    for (size_t i = 0; i < map->nfiles; i++)
        if (strcmp(map->files[i], file) == 0)
            return map->files[i];
    map->files = mem_resize(map->files, map->nfiles + 1, sizeof *map->files);
    return map->files[map->nfiles++] = mem_dup_z(file);
}

static bool begins(const ckey *keys, size_t n, const ckey *prefix, size_t nprefix)
{
    return nprefix <= n && (nprefix == 0 || memcmp(keys, prefix, nprefix * sizeof *keys) == 0);
}

void keymap_unbind(struct keymap *map, enum cmd_context context, const ckey *keys, size_t n)
{
    for (size_t i = map->n; i-- > 0;)
        if (map->list[i].context == context &&
            (n == 0 || (map->list[i].n == n && begins(map->list[i].keys, n, keys, n))))
            drop(map, i);
}

void keymap_bind(struct keymap *map, enum cmd_context context, const ckey *keys, size_t n, const char *command,
                 const char *macro, const char *file, unsigned line)
{
    n = MIN(n, (size_t)KEYS_MAX);
    for (size_t i = map->n; i-- > 0;) {
        const struct binding *b = &map->list[i];
        if (b->context == context && (begins(b->keys, b->n, keys, n) || begins(keys, n, b->keys, b->n)))
            drop(map, i);
    }
    struct binding b = {.context = context, .n = n, .command = mem_dup_z(command), .macro = mem_dup_z(macro)};
    memcpy(b.keys, keys, n * sizeof *keys);
    b.file = keep_file(map, file);
    b.line = line;
    map->list = mem_resize(map->list, map->n + 1, sizeof *map->list);
    map->list[map->n++] = b;
}

/* A context's own bindings, then the global ones; the prompt is for typing, so only its own count there. */
static size_t scopes(enum cmd_context context, enum cmd_context scope[2])
{
    scope[0] = context;
    scope[1] = CTX_GLOBAL;
    return context == CTX_GLOBAL || context == CTX_PROMPT ? 1 : 2;
}

enum key_match keymap_find(const struct keymap *map, enum cmd_context context, const ckey *keys, size_t n,
                           const struct binding **binding_r)
{
    enum cmd_context scope[2];
    size_t nscopes = scopes(context, scope);
    if (binding_r)
        *binding_r = NULL;
    for (size_t s = 0; s < nscopes; s++) {
        bool prefix = false;
        for (size_t i = 0; i < map->n; i++) {
            const struct binding *b = &map->list[i];
            if (b->context != scope[s] || !begins(b->keys, b->n, keys, n))
                continue;
            if (b->n > n) {
                prefix = true;
                continue;
            }
            if (binding_r)
                *binding_r = b;
            return KEYS_EXACT;
        }
        if (prefix)
            return KEYS_PREFIX;
    }
    return KEYS_NONE;
}

static int by_keys(const void *a, const void *b)
{
    const struct binding *x = *(const struct binding *const *)a, *y = *(const struct binding *const *)b;
    bool x_global = x->context == CTX_GLOBAL, y_global = y->context == CTX_GLOBAL;
    if (x_global != y_global)
        return x_global - y_global;
    for (size_t i = 0; i < MIN(x->n, y->n); i++)
        if (x->keys[i] != y->keys[i])
            return x->keys[i] < y->keys[i] ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

/* Can the user still reach it? Not where the context binds the same keys, or a part of them, otherwise. */
static bool reachable(const struct keymap *map, enum cmd_context context, const struct binding *b)
{
    const struct binding *found;
    for (size_t n = 1; n < b->n; n++)
        if (keymap_find(map, context, b->keys, n, NULL) != KEYS_PREFIX)
            return false;
    return keymap_find(map, context, b->keys, b->n, &found) == KEYS_EXACT && found == b;
}

void keymap_each(const struct keymap *map, enum cmd_context context, const ckey *prefix, size_t n, binding_fn *fn,
                 void *arg)
{
    enum cmd_context scope[2];
    size_t nscopes = scopes(context, scope), count = 0;
    const struct binding **found = mem_array(map->n + 1, sizeof *found);
    for (size_t i = 0; i < map->n; i++) {
        const struct binding *b = &map->list[i];
        bool here = b->context == scope[0] || (nscopes == 2 && b->context == scope[1]);
        if (here && begins(b->keys, b->n, prefix, n) && reachable(map, context, b))
            found[count++] = b;
    }
    qsort(found, count, sizeof *found, by_keys);
    for (size_t i = 0; i < count; i++)
        fn(arg, found[i]);
    free(found);
}

/* ---- Where is it bound? ------------------------------------------------------------------------- */

bool keymap_where(const struct keymap *map, enum cmd_context context, const char *command, struct buf *out)
{
    enum cmd_context scope[2];
    size_t nscopes = scopes(context, scope), found = 0;
    for (size_t chars = 1; chars <= KEYS_MAX; chars++)
        for (size_t s = 0; s < nscopes; s++)
            for (size_t i = 0; i < map->n; i++) {
                const struct binding *b = &map->list[i];
                if (b->n != chars || b->context != scope[s] || strcmp(b->command, command) != 0 ||
                    !reachable(map, context, b))
                    continue;
                if (found++)
                    buf_addc(out, ' ');
                keys_format(b->keys, b->n, out);
            }
    return found > 0;
}

/* ---- bind, unbind, macro ------------------------------------------------------------------------ */

/* "list,message": calls nothing; gives the contexts as bits. */
static bool parse_contexts(const char *word, unsigned *in_r, struct err *err)
{
    struct str rest = str_z(word), piece;
    *in_r = 0;
    while (str_split(&rest, ',', &piece)) {
        char *name = mem_dup_n(piece.p ? piece.p : "", piece.n);
        enum cmd_context context;
        bool known = cmd_context_find(name, &context);
        if (known) {
            *in_r |= IN(context);
        } else {
            const char *all[CTX_COUNT + 1] = {NULL};
            memcpy(all, context_names, sizeof context_names);
            const char *near = near_word(name, all);
            err_set(err, ERR_CONFIG, "unknown context \"%.40s\"%s%s%s", name, near ? "; did you mean \"" : "",
                    near ? near : ": global list message boxes prompt help compose attachments", near ? "\"?" : "");
        }
        free(name);
        if (!known)
            return false;
    }
    return true;
}

/* The command line that words n.. of a bind line make: one word is a line of its own, several are quoted again. */
static void join_command(const struct line *line, size_t from, struct buf *out)
{
    if (line->n == from + 1) {
        buf_addz(out, line->words[from]);
        return;
    }
    for (size_t i = from; i < line->n; i++) {
        if (i > from)
            buf_addc(out, ' ');
        line_quote(str_z(line->words[i]), out);
    }
}

static bool line_place(struct keymap *map, const struct line *line, unsigned in, const ckey *keys, size_t n,
                       struct err *err)
{
    bool unbind = strcmp(line->words[0], "unbind") == 0, macro = strcmp(line->words[0], "macro") == 0;
    struct buf command = BUF_INIT(LINE_MAX_BYTES), typed = BUF_INIT(LINE_MAX_BYTES);
    if (!unbind)
        join_command(line, 3, macro ? &typed : &command);
    bool ok = (!command.full && !typed.full) || err_set(err, ERR_CONFIG, "the command is too long");
    for (unsigned c = 0; ok && c < CTX_COUNT; c++) {
        if (!(in & IN(c)))
            continue;
        if (unbind)
            keymap_unbind(map, (enum cmd_context)c, keys, n);
        else
            keymap_bind(map, (enum cmd_context)c, keys, n, buf_z(&command), buf_z(&typed), line->file, line->number);
    }
    buf_fini(&command);
    buf_fini(&typed);
    return ok;
}

bool keymap_line(struct keymap *map, const struct line *line, struct err *err)
{
    const char *name = line->n ? line->words[0] : "";
    bool unbind = strcmp(name, "unbind") == 0, macro = strcmp(name, "macro") == 0;
    unsigned in;
    ckey keys[KEYS_MAX];
    size_t n = 0;
    if (strcmp(name, "bind") != 0 && !unbind && !macro)
        return true;
    if (unbind ? line->n != 3 : macro ? line->n != 4 : line->n < 4)
        return err_set(err, ERR_CONFIG, "write: %s",
                       unbind  ? "unbind CONTEXT KEYS"
                       : macro ? "macro CONTEXT KEYS \"TYPED\""
                               : "bind CONTEXT KEYS COMMAND");
    if (!parse_contexts(line->words[1], &in, err))
        return false;
    if (!(unbind && strcmp(line->words[2], "*") == 0) && !keys_parse(line->words[2], keys, &n, err))
        return false;
    return line_place(map, line, in, keys, n, err);
}
