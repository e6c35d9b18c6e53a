/* Completion: what can stand where the cursor is. */
#include "cmd/internal.h"

#include <dirent.h>
#include <sys/stat.h>

enum { RANK_PREFIX = 4000, RANK_INSIDE = 2000 }; /* of cmd_fuzzy */

/* ---- Fuzzy rank --------------------------------------------------------------------------------- */

static char fold(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool same(char pattern, char c, bool exact_case)
{
    return exact_case ? pattern == c : fold(pattern) == fold(c);
}

static bool word_start(struct str s, size_t i)
{
    return i == 0 || strchr(" ./-_@<", s.p[i - 1]) || (s.p[i] >= 'A' && s.p[i] <= 'Z' && s.p[i - 1] >= 'a');
}

/* The typed letters in order, each at the first place that fits. Linear. */
static unsigned in_order(struct str pattern, struct str word, bool exact_case)
{
    size_t p = 0;
    unsigned starts = 0, runs = 0;
    bool last = false;
    for (size_t i = 0; i < word.n && p < pattern.n; i++) {
        bool hit = same(pattern.p[p], word.p[i], exact_case);
        if (hit) {
            starts += word_start(word, i);
            runs += last;
            p++;
        }
        last = hit;
    }
    return p < pattern.n ? 0 : 1 + MIN(starts * 20 + runs * 5, 900u);
}

unsigned cmd_fuzzy(struct str pattern, struct str word)
{
    bool exact_case = false;
    for (size_t i = 0; i < pattern.n; i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a str of n > 0 bytes has them */
        exact_case |= pattern.p[i] >= 'A' && pattern.p[i] <= 'Z';
    if (pattern.n == 0)
        return 1;
    if (str_eq(pattern, word))
        return 5000;
    if (exact_case ? str_starts(word, pattern) : str_case_starts(word, pattern))
        return RANK_PREFIX;
    /* As one piece inside, best at the start of a word. Bounded: patterns are typed by hand. */
    for (size_t i = 1; pattern.n <= 256 && i + pattern.n <= MIN(word.n, (size_t)4096); i++) {
        struct str tail = str_sub(word, i, word.n);
        if (exact_case ? str_starts(tail, pattern) : str_case_starts(tail, pattern))
            return word_start(word, i) ? 3000 : RANK_INSIDE;
    }
    return in_order(pattern, word, exact_case);
}

/* ---- Candidates --------------------------------------------------------------------------------- */

struct gather {
    struct completions *out;
    struct str typed;
    unsigned *ranks; /* beside out->list */
    unsigned bonus;
    size_t front; /* bytes of `typed` that stay in front of each word */
    bool given;   /* by a source that knows what fits: by a nickname that stands nowhere else, say */
    bool quoted;  /* a word with blanks or brackets gets quotes */
    bool by_help; /* the typed letters may stand in the description (a name beside its address) */
};

static void emit(void *arg, const char *word, const char *help)
{
    struct gather *g = arg;
    struct str pattern = str_sub(g->typed, g->front, g->typed.n);
    unsigned rank = cmd_fuzzy(pattern, str_z(word));
    if (rank < RANK_INSIDE && g->by_help && help && cmd_fuzzy(pattern, str_z(help)) >= RANK_INSIDE)
        rank = RANK_INSIDE;
    if (g->given && rank < RANK_INSIDE)
        rank = RANK_INSIDE;
    if (rank == 0 || !word[0] || g->out->n == COMPLETIONS_MAX)
        return;
    if (g->by_help && rank >= RANK_INSIDE) /* who gives addresses knows which are the likeliest */
        rank = RANK_INSIDE + COMPLETIONS_MAX - (unsigned)g->out->n;
    struct buf whole = BUF_INIT(LINE_MAX_BYTES);
    buf_adds(&whole, str_sub(g->typed, 0, g->front));
    bool quotes = g->quoted && strpbrk(word, " ()");
    buf_addf(&whole, quotes ? "\"%s\"" : "%s", word);
    g->out->list = mem_resize(g->out->list, g->out->n + 1, sizeof *g->out->list);
    g->ranks = mem_resize(g->ranks, g->out->n + 1, sizeof *g->ranks);
    g->ranks[g->out->n] = rank + g->bonus;
    g->out->list[g->out->n++] = (struct candidate){.word = buf_take(&whole, NULL), .help = mem_dup_z(help ? help : "")};
}

struct ranked {
    struct candidate candidate;
    unsigned rank;
    size_t place;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    int words = strcmp(x->candidate.word, y->candidate.word);
    return words ? words : (x->place > y->place) - (x->place < y->place);
}

static void free_candidate(struct candidate *c)
{
    free(c->word);
    free(c->help);
}

/* Front part that the `n` first candidates share. */
static char *common_front(const struct candidate *list, size_t n)
{
    size_t common = n ? strlen(list[0].word) : 0;
    for (size_t i = 1; i < n; i++) {
        size_t k = 0;
        while (k < common && list[i].word[k] == list[0].word[k])
            k++;
        common = k;
    }
    while (common && ((unsigned char)list[0].word[common] & 0xc0) == 0x80)
        common--;
    return mem_dup_n(n ? list[0].word : "", common);
}

/* Best first, no word twice; letters merely in order count only where nothing fits better. */
static void finish(struct gather *g)
{
    struct completions *out = g->out;
    if (!g->ranks) { /* nothing was found */
        out->common = mem_dup_z("");
        return;
    }
    struct ranked *sorted = mem_array(out->n + 1, sizeof *sorted);
    for (size_t i = 0; i < out->n; i++)
        sorted[i] = (struct ranked){out->list[i], g->ranks[i], i};
    qsort(sorted, out->n, sizeof *sorted, by_rank);
    unsigned least = out->n && sorted[0].rank >= RANK_INSIDE ? RANK_INSIDE : 0;
    size_t n = 0, nprefix = 0;
    for (size_t i = 0; i < out->n; i++) {
        bool twice = n && strcmp(out->list[n - 1].word, sorted[i].candidate.word) == 0;
        if (twice || sorted[i].rank < least) {
            free_candidate(&sorted[i].candidate);
            continue;
        }
        out->list[n++] = sorted[i].candidate;
        nprefix += sorted[i].rank >= RANK_PREFIX;
    }
    out->n = n;
    free(sorted);
    free(g->ranks);
    out->common = common_front(out->list, nprefix ? nprefix : n);
}

void completions_fini(struct completions *c)
{
    for (size_t i = 0; i < c->n; i++)
        free_candidate(&c->list[i]);
    free(c->list);
    free(c->common);
    *c = (struct completions){.n = 0};
}

/* ---- What each kind offers ---------------------------------------------------------------------- */

struct ask {
    const struct cmd_lang *lang;
    const struct conf *conf;
    enum cmd_context context;
    const struct cmd_sources *sources;
    const struct line *line; /* the words before the one that is completed */
};

static void give_list(const char *const *list, struct gather *g)
{
    for (; list && *list; list++)
        emit(g, *list, "");
}

static void give_words(const struct cmd_word *list, struct gather *g)
{
    for (; list && list->name; list++)
        emit(g, list->name, list->help);
}

static void give_files(struct gather *g, bool only_directories);

static void give_commands(const struct ask *ask, struct gather *g)
{
    for (size_t i = 0; i < ask->lang->ncommands; i++) {
        const struct command *c = &ask->lang->commands[i];
        g->bonus = c->in == IN_ANY || (c->in & IN(ask->context)) ? 500 : 0;
        if (!(c->flags & CMD_HIDDEN))
            emit(g, c->name, c->help);
    }
    g->bonus = 0;
}

static bool asks_account(const struct ask *ask)
{
    for (size_t i = 0; ask->line && i < ask->line->n; i++)
        if (strcmp(ask->line->words[i], "-a") == 0)
            return true;
    return false;
}

static void give_options(const struct ask *ask, struct gather *g)
{
    enum opt_scope scope = asks_account(ask) ? OPT_ACCOUNT : OPT_GLOBAL;
    for (size_t i = 0; i < conf_noptions; i++)
        if (conf_options[i].scope == scope)
            emit(g, conf_options[i].name, conf_options[i].help);
}

static void give_values(const struct ask *ask, struct gather *g)
{
    const struct option *o = ask->line && ask->line->n ? option_find(ask->line->words[ask->line->n - 1]) : NULL;
    if (!o)
        return;
    if (strcmp(o->name, "theme") == 0)
        give_list(ask->lang->themes ? ask->lang->themes() : NULL, g);
    if (strcmp(o->name, "keys") == 0)
        give_words(keymap_profiles, g);
    if (o->type == OPT_PATH)
        give_files(g, false);
    struct str rest = str_z(o->type == OPT_BOOL ? "yes no" : o->choices), piece;
    while (str_split(&rest, ' ', &piece)) {
        char *word = mem_dup_n(piece.p, piece.n);
        emit(g, word, strcmp(word, o->def) == 0 ? "the default" : "");
        free(word);
    }
    struct buf now = BUF_INIT(LINE_MAX_BYTES);
    struct account *account = NULL;
    for (size_t i = 0; ask->conf && i + 1 < ask->line->n; i++)
        if (strcmp(ask->line->words[i], "-a") == 0)
            account = conf_account(ask->conf, ask->line->words[i + 1]);
    if (ask->conf && (o->scope == OPT_GLOBAL || account)) {
        option_get(ask->conf, account, o, &now);
        if (now.n)
            emit(g, buf_z(&now), "as it is now");
    }
    buf_fini(&now);
}

static void give_files(struct gather *g, bool only_directories)
{
    char *typed = mem_dup_n(g->typed.p ? g->typed.p : "", g->typed.n);
    char *slash = strrchr(typed, '/');
    char *shown = mem_dup_n(typed, slash ? (size_t)(slash - typed) + 1 : 0);
    char *path = shown[0] ? path_expand_home(shown) : mem_dup_z(".");
    DIR *dir = opendir(path);
    struct dirent *entry;
    for (unsigned seen = 0; dir && seen < 20000 && (entry = readdir(dir)); seen++) {
        struct stat st;
        if (entry->d_name[0] == '.' && !(slash ? slash[1] == '.' : typed[0] == '.'))
            continue;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *full = path_join(path, entry->d_name);
        bool known = stat(full, &st) == 0, is_directory = known && S_ISDIR(st.st_mode);
        free(full);
        if (only_directories && !is_directory)
            continue;
        struct buf word = BUF_INIT(8192), help = BUF_INIT(64);
        buf_addf(&word, "%s%s%s", shown, entry->d_name, is_directory ? "/" : "");
        if (is_directory)
            buf_addz(&help, "directory");
        else if (known)
            buf_add_size(&help, (uint64_t)st.st_size);
        if (str_starts(buf_str(&word), g->typed))
            emit(g, buf_z(&word), buf_z(&help));
        buf_fini(&word);
        buf_fini(&help);
    }
    if (dir)
        closedir(dir);
    free(path);
    free(shown);
    free(typed);
}

static void give(const struct ask *ask, const struct spec_item *item, struct gather *g);

/* Words of a query: prefixes, and behind one what may follow it. */
static void give_query(const struct ask *ask, struct gather *g)
{
    static const struct cmd_word days[] = {{"today", "since midnight"},
                                           {"yesterday", "the day before"},
                                           {"this_week", "the last seven days"},
                                           {"last_week", "the seven days before those"},
                                           {"this_month", "since the same day of last month"},
                                           {"last_month..", "since"},
                                           {"1week..", "the last seven days"},
                                           {"..1month", "older than a month"},
                                           {"monday", "the last one; any weekday"},
                                           {NULL, NULL}};
    static const struct cmd_word one_day[] = {{"today", "since midnight"},
                                              {"yesterday", "the day before"},
                                              {"last_week", "a week ago"},
                                              {"last_month", "a month ago"},
                                              {"monday", "any weekday"},
                                              {"january", "any month"},
                                              {NULL, NULL}};
    static const struct cmd_word ages[] = {{"24h", "hours"}, {"7d", "days"},  {"2w", "weeks"},
                                           {"3m", "months"}, {"1y", "years"}, {NULL, NULL}};
    static const struct cmd_word marks[] = {
        {"attachment", "a file"}, {"signed", "a signature"}, {"encrypted", "a text that is encrypted"}, {NULL, NULL}};
    static const struct cmd_word states[] = {{"unread", "not read yet"}, {"read", "read"},
                                             {"flagged", "flagged"},     {"replied", "answered"},
                                             {"forwarded", "forwarded"}, {NULL, NULL}};
    static const struct cmd_word roles[] = {{"inbox", "all inboxes"},
                                            {"sent", "sent mail"},
                                            {"archive", "all archives"},
                                            {"drafts", "drafts"},
                                            {"trash", "trash"},
                                            {"spam", "spam"},
                                            {NULL, NULL}};
    static const struct cmd_word judged[] = {
        {"yes", "the filter says so"}, {"no", "it does not"}, {"5", "a level of at least"}, {NULL, NULL}};
    static const struct cmd_word types[] = {{"text/html", ""},
                                            {"text/calendar", "invitations"},
                                            {"text/x-patch", ""},
                                            {"image/", "pictures"},
                                            {"application/pdf", ""},
                                            {"multipart/signed", "signed mail"},
                                            {"message/rfc822", ""},
                                            {"multipart/encrypted", "encrypted mail"},
                                            {NULL, NULL}};
    static const struct {
        const char *prefix, *help;
        enum arg_kind kind; /* ARG_WORD: nothing is known of what follows */
        const struct cmd_word *words;
    } terms[] = {
        {"from:", "sender", ARG_ADDRESS, NULL},
        {"to:", "recipient", ARG_ADDRESS, NULL},
        {"subject:", "words of the subject", ARG_WORD, NULL},
        {"tag:", "tag", ARG_TAG, NULL},
        {"is:", "unread, flagged ... or a tag", ARG_TAG, states},
        {"has:", "attachment, signed, encrypted", ARG_WORD, marks},
        {"in:", "mailbox, or inbox, sent, archive", ARG_MAILBOX, roles},
        {"account:", "in one account", ARG_ACCOUNT, NULL},
        {"saved:", "what a saved search finds", ARG_SAVED, NULL},
        {"newer:", "of the last: newer:7d", ARG_WORD, ages},
        {"older:", "older than: older:2w", ARG_WORD, ages},
        {"after:", "since a day", ARG_WORD, one_day},
        {"before:", "up to a day", ARG_WORD, one_day},
        {"f:", "sender", ARG_ADDRESS, NULL},
        {"t:", "recipient", ARG_ADDRESS, NULL},
        {"c:", "recipient of a copy", ARG_ADDRESS, NULL},
        {"cc:", "recipient of a copy", ARG_ADDRESS, NULL},
        {"s:", "words of the subject", ARG_WORD, NULL},
        {"list:", "mailing list", ARG_WORD, NULL},
        {"date:", "date:2026-01-01..2026-02-01, date:yesterday", ARG_WORD, days},
        {"folder:", "mailbox", ARG_MAILBOX, NULL},
        {"attachment:", "file name", ARG_WORD, NULL},
        {"mimetype:", "type of a part", ARG_WORD, types},
        {"id:", "message id", ARG_WORD, NULL},
        {"thread:", "thread", ARG_WORD, NULL},
        {"body:", "words of the text", ARG_WORD, NULL},
        {"spam:", "yes, no, or a level", ARG_WORD, judged},
        {"header:", "header:FIELD=WORDS", ARG_WORD, NULL},
        {"and", "both", ARG_WORD, NULL},
        {"or", "one of them", ARG_WORD, NULL},
        {"not", "none of it", ARG_WORD, NULL},
    };
    size_t at = 0;
    while (at < g->typed.n && strchr("(-+", g->typed.p[at]))
        at++;
    g->front = at;
    struct str typed = str_sub(g->typed, at, g->typed.n);
    for (size_t i = 0; i < COUNT(terms); i++) {
        if (!strchr(terms[i].prefix, ':') || !str_case_starts(typed, str_z(terms[i].prefix))) {
            emit(g, terms[i].prefix, terms[i].help);
            continue;
        }
        g->front = at + strlen(terms[i].prefix);
        give_words(terms[i].words, g);
        g->quoted = true;
        if (terms[i].kind != ARG_WORD)
            give(ask, &(struct spec_item){.kind = terms[i].kind}, g);
        return;
    }
}

/* {from} and the like, behind the { that is open. */
static void give_braces(const struct ask *ask, struct gather *g)
{
    size_t open = g->typed.n;
    while (open > 0 && g->typed.p[open - 1] != '{' && g->typed.p[open - 1] != '}')
        open--;
    if (open == 0 || g->typed.p[open - 1] != '{')
        return;
    g->front = open;
    for (const struct cmd_word *v = ask->lang->values; v && v->name; v++) {
        struct buf word = BUF_INIT(100);
        buf_addf(&word, "%s}", v->name);
        emit(g, buf_z(&word), v->help);
        buf_fini(&word);
    }
    g->front = 0;
}

static void give_looks(struct gather *g)
{
    static const char *const names[] = {"default", "black",   "red",  "green", "yellow",
                                        "blue",    "magenta", "cyan", "white", NULL};
    static const char *const attributes[] = {"bold", "dim", "italic", "underline", "reverse", NULL};
    for (size_t i = 0; names[i]; i++) {
        char bright[32];
        snprintf(bright, sizeof bright, "bright-%s", names[i]);
        emit(g, names[i], i ? "" : "that of the terminal");
        if (i)
            emit(g, bright, "");
    }
    for (size_t i = 0; attributes[i]; i++)
        emit(g, attributes[i], "attribute");
}

static void give_key_names(struct gather *g)
{
    static const struct cmd_word names[] = {{"Enter", ""},
                                            {"Space", ""},
                                            {"Tab", ""},
                                            {"S-Tab", ""},
                                            {"Esc", ""},
                                            {"BackSpace", ""},
                                            {"Delete", ""},
                                            {"Insert", ""},
                                            {"Up", ""},
                                            {"Down", ""},
                                            {"Left", ""},
                                            {"Right", ""},
                                            {"Home", ""},
                                            {"End", ""},
                                            {"PgUp", ""},
                                            {"PgDn", ""},
                                            {"F1", "to F24"},
                                            {"C-", "with Ctrl: C-x"},
                                            {"Esc-", "with Alt: Esc-x"},
                                            {NULL, NULL}};
    give_words(names, g);
}

static void give_times(struct gather *g)
{
    static const struct cmd_word times[] = {{"2h", "in two hours"},
                                            {"tonight", "today, 18:00"},
                                            {"tomorrow", "8:00"},
                                            {"weekend", "Saturday, 8:00"},
                                            {"monday", "8:00; any weekday"},
                                            {"1w", "in a week"},
                                            {"off", "back now"},
                                            {NULL, NULL}};
    for (size_t i = 0; times[i].name; i++) { /* the next one first */
        g->bonus = COUNT(times) - (unsigned)i;
        emit(g, times[i].name, times[i].help);
    }
    g->bonus = 0;
}

static const char *choice_help(struct str word)
{
    static const struct cmd_word words[] = {
        {"on", "from now on"},
        {"off", "no longer"},
        {"toggle", "the other way"},
        {"all", "everything"},
        {"unread", "unread messages alone"},
        {"flagged", "flagged messages alone"},
        {"boxes", "the mailboxes"},
        {"list", "the list of messages"},
        {"message", "the message"},
        {"next", "the one behind"},
        {"previous", "the one before"},
        {"auto", "by the size of the terminal"},
        {"wide", "side by side"},
        {"tall", "one above the other"},
        {"single", "one at a time"},
    };
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_eqz(word, words[i].name))
            return words[i].help;
    return "";
}

static void give_choices(const struct spec_item *item, struct gather *g)
{
    struct str rest = item->choices, piece;
    while (str_split(&rest, '|', &piece)) {
        char *word = mem_dup_n(piece.p, piece.n);
        emit(g, word, choice_help(piece));
        free(word);
    }
}

static void give_contexts(struct gather *g)
{
    static const char *const help[] = {
        [CTX_GLOBAL] = "everywhere but in prompts",
        [CTX_LIST] = "the list of messages",
        [CTX_MESSAGE] = "the message",
        [CTX_BOXES] = "the mailboxes",
        [CTX_PROMPT] = "a line that is typed",
        [CTX_HELP] = "help and other lists to read",
        [CTX_COMPOSE] = "a mail that is written",
        [CTX_ATTACHMENTS] = "the list of parts",
    };
    _Static_assert(COUNT(help) == CTX_COUNT, "a context without a description");
    size_t comma = g->typed.n; /* several are separated by commas */
    while (comma > 0 && g->typed.p[comma - 1] != ',')
        comma--;
    g->front = comma;
    for (unsigned i = 0; i < CTX_COUNT; i++)
        emit(g, cmd_context_name((enum cmd_context)i), help[i]);
    g->front = 0;
}

static void give_accounts(const struct ask *ask, struct gather *g)
{
    for (size_t i = 0; ask->conf && i < ask->conf->naccounts; i++) {
        struct buf where = BUF_INIT(1000);
        endpoint_format(&ask->conf->accounts[i].in, &where);
        emit(g, ask->conf->accounts[i].name, buf_z(&where));
        buf_fini(&where);
    }
}

static void give(const struct ask *ask, const struct spec_item *item, struct gather *g)
{
    g->by_help = item->kind == ARG_ADDRESS;
    /* first, since of words that come twice the first one counts, and these know more of them */
    if (ask->sources && ask->sources->each) {
        g->given = item->kind == ARG_ADDRESS;
        ask->sources->each(ask->sources->context, item->kind, str_sub(g->typed, g->front, g->typed.n), emit, g);
        g->given = false;
    }
    switch (item->kind) {
    case ARG_COMMAND:
    case ARG_COMMAND_NAME:
        give_commands(ask, g);
        break;
    case ARG_TOPIC:
        give_commands(ask, g);
        for (size_t i = 0; i < conf_noptions; i++)
            emit(g, conf_options[i].name, conf_options[i].help);
        give_words(ask->lang->events, g);
        break;
    case ARG_OPTION:
        give_options(ask, g);
        break;
    case ARG_VALUE:
        give_values(ask, g);
        break;
    case ARG_CHOICE:
        give_choices(item, g);
        break;
    case ARG_ACCOUNT:
        give_accounts(ask, g);
        break;
    case ARG_SAVED:
        for (size_t i = 0; ask->conf && i < ask->conf->nsaved; i++)
            emit(g, ask->conf->saved[i].name, ask->conf->saved[i].query);
        break;
    case ARG_PLACE:
        give(ask, &(struct spec_item){.kind = ARG_MAILBOX}, g);
        give(ask, &(struct spec_item){.kind = ARG_SAVED}, g);
        break;
    case ARG_CONTEXT:
        give_contexts(g);
        break;
    case ARG_KEYS:
        give_key_names(g);
        break;
    case ARG_EVENT:
        give_words(ask->lang->events, g);
        break;
    case ARG_COLOR:
        for (size_t i = 0; ask->lang->things && ask->lang->things[i]; i++)
            emit(g, ask->lang->things[i], ask->lang->thing_help ? ask->lang->thing_help[i] : "");
        break;
    case ARG_LOOK:
        give_looks(g);
        break;
    case ARG_THEME:
        give_list(ask->lang->themes ? ask->lang->themes() : NULL, g);
        break;
    case ARG_QUERY:
        give_query(ask, g);
        break;
    case ARG_SHELL:
        give_braces(ask, g);
        give_files(g, false);
        break;
    case ARG_TEXT:
        give_braces(ask, g);
        break;
    case ARG_FILE:
    case ARG_DIRECTORY:
        give_files(g, item->kind == ARG_DIRECTORY);
        break;
    case ARG_ADDRESS:
        for (size_t i = 0; ask->conf && i < ask->conf->naliases; i++)
            emit(g, ask->conf->aliases[i].name, ask->conf->aliases[i].value);
        break;
    case ARG_WHEN:
        give_times(g);
        break;
    case ARG_WORD:
    case ARG_NUMBER:
    case ARG_MAILBOX:
    case ARG_TAG:
    case ARG_TAGS:
    case ARG_KIND_COUNT:
        break;
    }
}

/* ---- Which argument is it? ---------------------------------------------------------------------- */

/* What the words of `line` leave to be given next, and which of them is its first. False where nothing fits. */
static bool next_item(const struct cmd_lang *lang, const struct line *line, const char *typed, struct spec_item *item_r,
                      size_t *begin_r, struct gather *flags)
{
    const struct command *command = cmd_find(lang, line->words[0]);
    struct spec spec;
    if (!command)
        return false;
    spec_parse(command->args, &spec);
    size_t at = 1, item = 0;
    while (at < line->n && line->words[at][0] == '-' && line->words[at][1]) {
        size_t i = 0;
        while (i < spec.nflags && line->words[at][1] != spec.flags[i].flag)
            i++;
        if (i == spec.nflags)
            break;
        at++;
        if (spec.flags[i].has_value && at == line->n) {
            *item_r = spec.flags[i];
            return true;
        }
        at += spec.flags[i].has_value;
    }
    if (at >= line->n && flags && typed[0] == '-')
        for (size_t i = 0; i < spec.nflags; i++) {
            char word[3] = {'-', spec.flags[i].flag, '\0'};
            emit(flags, word, spec.flags[i].has_value ? cmd_kind_name(spec.flags[i].kind) : "");
        }
    *begin_r = at;
    for (; at < line->n && item < spec.n; at++)
        if (!spec.items[item].many && !kind_swallows(spec.items[item].kind)) {
            item++;
            *begin_r = at + 1;
        }
    if (item >= spec.n)
        return false;
    *item_r = spec.items[item];
    return true;
}

/* The last command before the cursor, cut into finished words and the one being typed (without its quotes). */
struct cut {
    struct line line; /* finished words */
    struct buf typed;
    size_t from; /* where the typed word begins, its quote included */
};

static void cut_word(struct cut *cut, struct str before, size_t from, size_t end)
{
    struct str raw = str_sub(before, from, end), rest = raw;
    struct line one;
    struct err err = ERR_INIT;
    unsigned number = 1;
    buf_reset(&cut->typed);
    cut->from = from;
    if (line_next(&rest, "", &number, &one, &err) == 1 && one.n == 1) {
        buf_addz(&cut->typed, one.words[0]);
        line_fini(&one);
        return;
    }
    line_fini(&one);
    for (size_t i = 0; i < raw.n; i++) /* an open quote: what stands in it */
        if (raw.p[i] != '"' && !(raw.p[i] == '\'' && i == 0))
            buf_addc(&cut->typed, raw.p[i]);
}

static void finish_word(struct cut *cut)
{
    if (strcmp(buf_z(&cut->typed), ";") == 0) {
        line_fini(&cut->line);
        return;
    }
    cut->line.words = mem_resize(cut->line.words, cut->line.n + 2, sizeof *cut->line.words);
    cut->line.words[cut->line.n++] = mem_dup_z(buf_z(&cut->typed));
    cut->line.words[cut->line.n] = NULL;
}

static void cut_line(struct cut *cut, struct str before)
{
    size_t i = 0;
    for (;;) {
        while (i < before.n && (before.p[i] == ' ' || before.p[i] == '\t'))
            i++;
        size_t from = i;
        char quote = '\0';
        for (; i < before.n && (quote || (before.p[i] != ' ' && before.p[i] != '\t')); i++) {
            if (quote == '"' && before.p[i] == '\\' && i + 1 < before.n)
                i++;
            else if (quote && before.p[i] == quote)
                quote = '\0';
            else if (!quote && (before.p[i] == '"' || before.p[i] == '\''))
                quote = before.p[i];
        }
        cut_word(cut, before, from, i);
        if (i >= before.n)
            return;
        finish_word(cut);
    }
}

static size_t word_end(struct str line, size_t cursor)
{
    while (cursor < line.n && line.p[cursor] != ' ' && line.p[cursor] != '\t')
        cursor++;
    return cursor;
}

bool cmd_complete(const struct cmd_lang *lang, const struct conf *conf, enum cmd_context context,
                  const struct cmd_sources *sources, struct str line, size_t cursor, struct completions *out_r)
{
    struct cut cut = {.typed = BUF_INIT(LINE_MAX_BYTES)};
    struct str before = str_sub(line, 0, cursor);
    *out_r = (struct completions){.n = 0};
    cut_line(&cut, before);
    out_r->from = cut.from;
    out_r->to = word_end(line, before.n);
    struct gather g = {.out = out_r, .typed = buf_str(&cut.typed)};
    struct ask ask = {lang, conf, context, sources, &cut.line};
    struct spec_item item = {.kind = ARG_COMMAND_NAME};
    /* An argument that is a command line (bind list x ...) is completed as one. */
    struct line inner = cut.line;
    bool have = true;
    size_t begin = 0;
    while (inner.n && (have = next_item(lang, &inner, buf_z(&cut.typed), &item, &begin, &g)) &&
           item.kind == ARG_COMMAND) {
        inner = (struct line){.words = inner.words + begin, .n = inner.n - begin};
        item = (struct spec_item){.kind = ARG_COMMAND_NAME};
    }
    out_r->kind = item.kind;
    if (have)
        give(&ask, &item, &g);
    finish(&g);
    line_fini(&cut.line);
    buf_fini(&cut.typed);
    return out_r->n > 0;
}

bool cmd_complete_kind(const struct cmd_lang *lang, const struct conf *conf, enum arg_kind kind,
                       const struct cmd_sources *sources, struct str text, size_t cursor, struct completions *out_r)
{
    static const char *const ends[ARG_KIND_COUNT] = {[ARG_QUERY] = " (", [ARG_TAGS] = " ", [ARG_ADDRESS] = ","};
    struct str before = str_sub(text, 0, cursor);
    size_t from = ends[kind] ? before.n : 0;
    while (from > 0 && !strchr(ends[kind], before.p[from - 1]))
        from--;
    while (from < before.n && before.p[from] == ' ')
        from++;
    *out_r = (struct completions){.from = from, .to = before.n, .kind = kind};
    struct gather g = {.out = out_r, .typed = str_sub(before, from, before.n)};
    struct ask ask = {lang, conf, CTX_GLOBAL, sources, NULL};
    give(&ask, &(struct spec_item){.kind = kind}, &g);
    finish(&g);
    return out_r->n > 0;
}

void completions_apply(const struct completions *c, size_t i, struct str line, bool quote, struct buf *out,
                       size_t *cursor_r)
{
    const char *word = i < c->n ? c->list[i].word : c->common;
    buf_adds(out, str_sub(line, 0, c->from));
    if (quote)
        line_quote(str_z(word), out);
    else
        buf_addz(out, word);
    *cursor_r = out->n;
    buf_adds(out, str_sub(line, c->to, line.n));
}
