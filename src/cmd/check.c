/* Checks of the lines that conf keeps for ui. */
#include "cmd/internal.h"

static const char *const color_names[] = {"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"};

bool cmd_color(const char *name, int32_t *color_r)
{
    struct str s = str_z(name);
    bool bright = str_starts(s, STR("bright-"));
    uint32_t n;
    if (str_eqz(s, "default")) {
        *color_r = -1;
        return true;
    }
    for (size_t i = 0; i < COUNT(color_names); i++)
        if (str_eqz(bright ? str_sub(s, 7, s.n) : s, color_names[i])) {
            *color_r = (int32_t)i + (bright ? 8 : 0);
            return true;
        }
    if (str_starts(s, STR("color")) && str_u32(str_sub(s, 5, s.n), &n) && n < 256) {
        *color_r = (int32_t)n;
        return true;
    }
    if (s.n != 7 || s.p[0] != '#' || strspn(name + 1, "0123456789abcdefABCDEF") != 6)
        return false;
    *color_r = (int32_t)(0x1000000ul | strtoul(name + 1, NULL, 16));
    return true;
}

bool cmd_attribute(const char *name, unsigned *attribute_r)
{
    static const char *const names[] = {"bold", "dim", "italic", "underline", "reverse"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *attribute_r = 1u << i;
            return true;
        }
    return false;
}

static bool check_event(const struct cmd_word *list, const char *word, struct err *err)
{
    const char *names[64] = {NULL};
    for (size_t i = 0; list && list[i].name; i++) {
        if (strcmp(list[i].name, word) == 0)
            return true;
        if (i + 1 < COUNT(names))
            names[i] = list[i].name;
    }
    const char *near = near_word(word, names);
    if (near)
        return err_set(err, ERR_CONFIG, "unknown event \"%.60s\"; did you mean \"%s\"?", word, near);
    return !list || err_set(err, ERR_CONFIG, "unknown event \"%.60s\"; :on lists them", word);
}

static bool check_name(const char *const *list, const char *word, const char *what, struct err *err)
{
    if (!list)
        return true;
    for (const char *const *name = list; *name; name++)
        if (strcmp(*name, word) == 0)
            return true;
    const char *near = near_word(word, list);
    if (near)
        return err_set(err, ERR_CONFIG, "unknown %s \"%.60s\"; did you mean \"%s\"?", what, word, near);
    return err_set(err, ERR_CONFIG, "unknown %s \"%.60s\"", what, word);
}

/* The command at the end of a bind or on line. */
static bool check_command(const struct cmd_lang *lang, const struct line *line, size_t from, struct err *err)
{
    bool ok;
    if (!lang->commands)
        return true;
    if (line->n == from + 1) {
        ok = text_check(lang, line->words[from], err);
    } else {
        struct line rest = {
            .words = line->words + from, .n = line->n - from, .file = line->file, .number = line->number};
        struct cmd_args args;
        ok = cmd_parse(lang, &rest, &args, err);
        if (ok)
            cmd_args_fini(&args);
    }
    err->kind = ok ? err->kind : ERR_CONFIG;
    return ok;
}

static bool check_bind(const struct cmd_lang *lang, const struct line *line, struct err *err)
{
    struct keymap *map = keymap_new();
    struct cmd_scope scope;
    size_t at = 1;
    bool ok = keymap_line(map, line, err) && cmd_scope_parse(line, &at, &scope, err);
    keymap_free(&map);
    if (ok && strcmp(line->words[0], "bind") == 0)
        ok = check_command(lang, line, at + 2, err);
    if (ok && strcmp(line->words[0], "macro") == 0) {
        ckey keys[MACRO_MAX];
        size_t n;
        ok = macro_parse(line->words[at + 2], keys, &n, err);
    }
    return ok;
}

static bool check_on(const struct cmd_lang *lang, const struct line *line, struct err *err)
{
    struct cmd_scope scope;
    size_t at = 1;
    if (!cmd_scope_parse(line, &at, &scope, err))
        return false;
    if (line->n < at + 2)
        return err_set(err, ERR_CONFIG, "write: on [-a ACCOUNT] [-m MAILBOX] EVENT COMMAND");
    return check_event(lang->events, line->words[at], err) && check_command(lang, line, at + 1, err);
}

static bool check_color(const struct cmd_lang *lang, const struct line *line, struct err *err)
{
    int32_t color;
    unsigned attribute;
    if (line->n < 3)
        return err_set(err, ERR_CONFIG,
                       "write: color THING FOREGROUND [BACKGROUND] [ATTRIBUTE...]; \"#rrggbb\" in quotes");
    bool tag = strncmp(line->words[1], "tag:", 4) == 0 && tag_is(str_z(line->words[1] + 4));
    if (!tag && !check_name(lang->things, line->words[1], "thing to colour", err))
        return false;
    for (size_t i = 2, ncolors = 0; i < line->n; i++) {
        if (cmd_color(line->words[i], &color) && ++ncolors <= 2)
            continue;
        if (!cmd_attribute(line->words[i], &attribute))
            return err_set(
                err, ERR_CONFIG,
                "\"%.60s\" is neither a colour (default, red, bright-red, color0 to color255, #rrggbb) nor bold, dim, "
                "italic, underline or reverse",
                line->words[i]);
    }
    return true;
}

bool cmd_check_line(const struct cmd_lang *lang, const struct line *line, struct err *err)
{
    static const struct {
        const char *name;
        bool (*check)(const struct cmd_lang *, const struct line *, struct err *);
    } checks[] = {
        {"bind", check_bind}, {"unbind", check_bind}, {"macro", check_bind}, {"on", check_on}, {"color", check_color},
    };
    for (size_t i = 0; i < COUNT(checks) && line->n; i++)
        if (strcmp(line->words[0], checks[i].name) == 0)
            return checks[i].check(lang, line, err);
    return true;
}

/* A scope whose account there is not would hold nowhere. */
static bool check_account(const struct conf *conf, const struct line *line, struct err *err)
{
    struct cmd_scope scope = {NULL, NULL};
    size_t at = 1;
    if (strcmp(line->words[0], "color") == 0 || !cmd_scope_parse(line, &at, &scope, err) || !scope.account ||
        conf_account(conf, scope.account))
        return true;
    return err_set(err, ERR_CONFIG, "%s: no account \"%.64s\"", line->words[0], scope.account);
}

bool cmd_check_conf(const struct cmd_lang *lang, const struct conf *conf, struct buf *all)
{
    bool ok = true;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < conf->nui_lines; i++) {
        const struct line *line = &conf->ui_lines[i];
        if (cmd_check_line(lang, line, &err) && check_account(conf, line, &err))
            continue;
        buf_addf(all, "%s:%u: error: %s\n", line->file, line->number, err.text);
        ok = false;
    }
    bool by_name = lang->themes && !strchr(conf->theme, '/');
    if (by_name && !check_name(lang->themes(), conf->theme, "theme", &err)) {
        buf_addf(all, "%s%serror: %s\n", conf->file, conf->file[0] ? ": " : "", err.text);
        ok = false;
    }
    return ok;
}
