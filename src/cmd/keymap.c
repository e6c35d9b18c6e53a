/* Key maps: which keys run which command in which context. */
#include "cmd/cmd.h"

/* Some hundred bindings: a sorted array would win nothing that a person can feel. */
struct keymap {
    struct binding *list;
    size_t n;
    char **files; /* names of files that bound something: outlive the conf they came from */
    size_t nfiles;
    char *account, *mailbox; /* where the user is */
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

/* ---- Where something holds ---------------------------------------------------------------------- */

bool cmd_scope_parse(const struct line *line, size_t *at, struct cmd_scope *scope_r, struct err *err)
{
    *scope_r = (struct cmd_scope){NULL, NULL};
    while (*at < line->n && (strcmp(line->words[*at], "-a") == 0 || strcmp(line->words[*at], "-m") == 0)) {
        if (*at + 1 >= line->n || !line->words[*at + 1][0])
            return err_set(err, ERR_CONFIG, "%s: the %s behind %s is missing", line->words[0],
                           line->words[*at][1] == 'a' ? "account" : "mailbox", line->words[*at]);
        *(line->words[*at][1] == 'a' ? &scope_r->account : &scope_r->mailbox) = line->words[*at + 1];
        *at += 2;
    }
    return true;
}

bool cmd_scope_fits(const struct cmd_scope *scope, const char *account, const char *mailbox)
{
    return (!scope->account || strcmp(scope->account, account) == 0) &&
           (!scope->mailbox || (mailbox[0] && glob_match(str_z(scope->mailbox), str_z(mailbox))));
}

void cmd_scope_format(const struct cmd_scope *scope, struct buf *out)
{
    const char *const words[] = {scope->account, scope->mailbox};
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i]) {
            buf_addz(out, i ? "-m " : "-a ");
            line_quote(str_z(words[i]), out);
            buf_addc(out, ' ');
        }
}

static bool same_word(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static bool same_scope(const struct cmd_scope *a, const struct cmd_scope *b)
{
    return same_word(a->account, b->account) && same_word(a->mailbox, b->mailbox);
}

/* A mailbox says more than an account does. */
static unsigned closeness(const struct binding *b)
{
    return (b->scope.mailbox ? 2u : 0u) + (b->scope.account ? 1u : 0u);
}

/* ---- The map ------------------------------------------------------------------------------------ */

struct keymap *keymap_new(void)
{
    struct keymap *map = mem_new(sizeof(struct keymap));
    map->account = mem_dup_z("");
    map->mailbox = mem_dup_z("");
    return map;
}

static void drop(struct keymap *map, size_t i)
{
    free((char *)(uintptr_t)map->list[i].scope.account);
    free((char *)(uintptr_t)map->list[i].scope.mailbox);
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
    free(map->account);
    free(map->mailbox);
    free(map);
    *map_p = NULL;
}

void keymap_place(struct keymap *map, const char *account, const char *mailbox)
{
    if (strcmp(map->account, account) == 0 && strcmp(map->mailbox, mailbox) == 0)
        return;
    free(map->account);
    free(map->mailbox);
    map->account = mem_dup_z(account);
    map->mailbox = mem_dup_z(mailbox);
    for (size_t i = 0; i < map->n; i++)
        map->list[i].here = cmd_scope_fits(&map->list[i].scope, account, mailbox);
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

/* Drops what these keys are, or begin, or continue; `exactly`: only what they are. n 0: all of the context. */
static void clear_keys(struct keymap *map, const struct binding *like, bool exactly)
{
    for (size_t i = map->n; i-- > 0;) {
        const struct binding *b = &map->list[i];
        bool same = b->n == like->n && begins(b->keys, b->n, like->keys, like->n);
        bool near = begins(b->keys, b->n, like->keys, like->n) || begins(like->keys, like->n, b->keys, b->n);
        if (b->context == like->context && same_scope(&b->scope, &like->scope) &&
            (like->n == 0 || (exactly ? same : near)))
            drop(map, i);
    }
}

static void add(struct keymap *map, struct binding b, const char *command, const char *macro, const char *file)
{
    clear_keys(map, &b, false);
    b.here = cmd_scope_fits(&b.scope, map->account, map->mailbox);
    b.scope.account = b.scope.account ? mem_dup_z(b.scope.account) : NULL;
    b.scope.mailbox = b.scope.mailbox ? mem_dup_z(b.scope.mailbox) : NULL;
    b.command = mem_dup_z(command);
    b.macro = mem_dup_z(macro);
    b.file = keep_file(map, file);
    map->list = mem_resize(map->list, map->n + 1, sizeof *map->list);
    map->list[map->n++] = b;
}

/* The bindings of a rank come before those of the next: by scope, then the context's own before the global ones; the
 * prompt is for typing, so only its own count there. -1: it does not hold here. */
enum { RANKS = 8 };
static int rank_of(const struct binding *b, enum cmd_context context)
{
    bool global = b->context == CTX_GLOBAL;
    if (!b->here || (b->context != context && (!global || context == CTX_PROMPT)))
        return -1;
    return (int)((3 - closeness(b)) * 2 + (global && context != CTX_GLOBAL));
}

enum key_match keymap_find(const struct keymap *map, enum cmd_context context, const ckey *keys, size_t n,
                           const struct binding **binding_r)
{
    const struct binding *exact[RANKS] = {NULL};
    bool prefix[RANKS] = {false};
    if (binding_r)
        *binding_r = NULL;
    for (size_t i = 0; i < map->n; i++) { /* of one rank, by different patterns, the last one counts */
        const struct binding *b = &map->list[i];
        int rank = begins(b->keys, b->n, keys, n) ? rank_of(b, context) : -1;
        if (rank < 0)
            continue;
        if (b->n == n)
            exact[rank] = b;
        else
            prefix[rank] = true;
    }
    for (size_t r = 0; r < RANKS; r++) {
        if (exact[r] && binding_r)
            *binding_r = exact[r];
        if (exact[r])
            return KEYS_EXACT;
        if (prefix[r])
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
    size_t count = 0;
    const struct binding **found = mem_array(map->n + 1, sizeof *found);
    for (size_t i = 0; i < map->n; i++) {
        const struct binding *b = &map->list[i];
        if (rank_of(b, context) >= 0 && begins(b->keys, b->n, prefix, n) && reachable(map, context, b))
            found[count++] = b;
    }
    qsort(found, count, sizeof *found, by_keys);
    for (size_t i = 0; i < count; i++)
        fn(arg, found[i]);
    free(found);
}

void keymap_all(const struct keymap *map, binding_fn *fn, void *arg)
{
    for (size_t i = 0; i < map->n; i++)
        fn(arg, &map->list[i]);
}

/* ---- Where is it bound? ------------------------------------------------------------------------- */

bool keymap_where(const struct keymap *map, enum cmd_context context, const char *command, struct buf *out)
{
    size_t found = 0;
    for (size_t chars = 1; chars <= KEYS_MAX; chars++)
        for (int rank = 0; rank < RANKS; rank++)
            for (size_t i = 0; i < map->n; i++) {
                const struct binding *b = &map->list[i];
                if (b->n != chars || rank_of(b, context) != rank || strcmp(b->command, command) != 0 ||
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

void cmd_join(char *const *words, size_t n, size_t from, struct buf *out)
{
    if (n == from + 1) {
        buf_addz(out, words[from]);
        return;
    }
    for (size_t i = from; i < n; i++) {
        if (i > from)
            buf_addc(out, ' ');
        line_quote(str_z(words[i]), out);
    }
}

static bool line_place(struct keymap *map, const struct line *line, size_t at, unsigned in, const struct binding *like,
                       struct err *err)
{
    bool unbind = strcmp(line->words[0], "unbind") == 0, macro = strcmp(line->words[0], "macro") == 0;
    struct buf command = BUF_INIT(LINE_MAX_BYTES), typed = BUF_INIT(LINE_MAX_BYTES);
    if (!unbind)
        cmd_join(line->words, line->n, at + 2, macro ? &typed : &command);
    bool ok = (!command.full && !typed.full) || err_set(err, ERR_CONFIG, "the command is too long");
    for (unsigned c = 0; ok && c < CTX_COUNT; c++) {
        struct binding b = *like;
        b.context = (enum cmd_context)c;
        b.line = line->number;
        if (!(in & IN(c)))
            continue;
        if (unbind)
            clear_keys(map, &b, true);
        else
            add(map, b, buf_z(&command), buf_z(&typed), line->file);
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
    struct binding like = {.n = 0};
    size_t at = 1;
    if (strcmp(name, "bind") != 0 && !unbind && !macro)
        return true;
    if (!cmd_scope_parse(line, &at, &like.scope, err))
        return false;
    size_t words = line->n - at;
    if (unbind ? words != 2 : macro ? words != 3 : words < 3)
        return err_set(err, ERR_CONFIG, "write: %s%s", name,
                       unbind  ? " [-a ACCOUNT] [-m MAILBOX] CONTEXT KEYS"
                       : macro ? " [-a ACCOUNT] [-m MAILBOX] CONTEXT KEYS \"TYPED\""
                               : " [-a ACCOUNT] [-m MAILBOX] CONTEXT KEYS COMMAND");
    if (!parse_contexts(line->words[at], &in, err))
        return false;
    if (!(unbind && strcmp(line->words[at + 1], "*") == 0) && !keys_parse(line->words[at + 1], like.keys, &like.n, err))
        return false;
    return line_place(map, line, at, in, &like, err);
}
