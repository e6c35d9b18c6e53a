/* cmd: arguments, keys, key maps, checks, completion, history, words for the shell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/cmd.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct buf ran;

static bool run_any(void *context, const struct cmd_args *args, struct err *err)
{
    assert_ptr_equal(context, &ran);
    buf_addf(&ran, "%s(", args->command->name);
    for (size_t i = 0; i < args->n; i++)
        buf_addf(&ran, "%s%s", i ? "," : "", cmd_arg(args, i));
    buf_addc(&ran, ')');
    if (cmd_flag(args, 'a'))
        buf_addf(&ran, "a=%s", cmd_flag_value(args, 'a') ? cmd_flag_value(args, 'a') : "");
    if (cmd_flag(args, 'c'))
        buf_addz(&ran, "c");
    return strcmp(args->command->name, "fail") != 0 || err_set(err, ERR_USAGE, "failed");
}

static const struct command commands[] = {
    {"archive", "", IN(CTX_LIST), CMD_NEEDS_MESSAGE, "move to the archive", run_any, NULL},
    {"move", "[-a=account] [-c] [mailbox]", IN(CTX_LIST), 0, "move", run_any, NULL},
    {"flag", "[on|off|toggle]", IN_ANY, 0, "flag", run_any, NULL},
    {"tag", "tags...", IN_ANY, 0, "tag", run_any, NULL},
    {"echo", "text", IN_ANY, 0, "echo", run_any, NULL},
    {"go", "number", IN_ANY, 0, "go", run_any, NULL},
    {"set", "[-a=account] option [value]", IN_ANY, 0, "set", run_any, NULL},
    {"bind", "context keys command", IN_ANY, 0, "bind", run_any, NULL},
    {"source", "file", IN_ANY, 0, "source", run_any, NULL},
    {"limit", "[query]", IN_ANY, 0, "limit", run_any, NULL},
    {"fail", "", IN_ANY, CMD_HIDDEN, "fail", run_any, NULL},
};
static const struct cmd_word events[] = {{"new-mail", "mail"}, {"sent", "gone"}, {NULL, NULL}};
static const struct cmd_word values[] = {{"from", "sender"}, {"subject", "subject"}, {NULL, NULL}};
static const char *const things[] = {"cursor", "status", NULL};
static const char *const *themes(void)
{
    static const char *const names[] = {"default", "dark", NULL};
    return names;
}
static const struct cmd_lang lang = {commands, COUNT(commands), events, values, NULL, things, themes, NULL};

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

/* ---- Commands ----------------------------------------------------------------------------------- */

static void test_run(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ran, *error;
    } rows[] = {
        {"archive", "archive()", ""},
        {"move \"My box\"", "move(My box)", ""},
        {"move -c -a work x", "move(x)a=workc", ""},
        {"move -- -c", "move(-c)", ""},
        {"move", "move()", ""},
        {"tag +a -b", "tag(+a,-b)", ""},
        {"tag -b", "tag(-b)", ""},
        {"echo a 'b  c' -d", "echo(a b  c -d)", ""},
        {"limit from:x and y", "limit(from:x and y)", ""},
        {"bind list x move \"a b\"", "bind(list,x,move \"a b\")", ""},
        {"bind list x \"tag +a ; archive\"", "bind(list,x,tag +a ; archive)", ""},
        {"flag on ; archive", "flag(on)archive()", ""},
        {"archive\ngo 3", "archive()go(3)", ""},
        {"archive ; nonsense", "", "unknown command \"nonsense\""},
        {"archvie", "", "did you mean \"archive\"?"},
        {"fali", "", "unknown command \"fali\""},
        {"archive x", "", "archive: too many words; write: archive"},
        {"tag", "", "tag: an argument is missing; write: tag TAGS..."},
        {"flag maybe", "", "\"maybe\" is none of on|off|toggle; write: flag [on|off|toggle]"},
        {"go x", "", "is not a number"},
        {"move -a", "", "the value of a flag is missing; write: move [-a ACCOUNT] [-c] [MAILBOX]"},
        {"fail ; archive", "fail()", "failed"},
        {"echo \"x", "", "no closing"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err = ERR_INIT;
        buf_init(&ran, 10000);
        bool ok = cmd_run_text(&lang, rows[i].text, "prompt", &ran, &err);
        assert_string_equal(buf_z(&ran), rows[i].ran);
        assert_int_equal(ok, rows[i].error[0] == '\0');
        if (!ok)
            assert_has(err.text, rows[i].error);
        buf_fini(&ran);
    }
}

/* ---- Keys --------------------------------------------------------------------------------------- */

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *word, *wanted;
    } rows[] = {
        {"a", "a"},
        {"A", "A"},
        {"'i", "'i"},
        {"gg", "gg"},
        {"g g", "gg"},
        {"C-r", "C-r"},
        {"C-R", "C-r"},
        {"^r", "C-r"},
        {"Esc-v", "Esc-v"},
        {"M-v", "Esc-v"},
        {"A-V", "Esc-V"},
        {"F5", "F5"},
        {"f12", "F12"},
        {"Space", "Space"},
        {"PgDn", "PgDn"},
        {"<Enter>", "Enter"},
        {"Return", "Enter"},
        {"C-m", "Enter"},
        {"C-i", "Tab"},
        {"S-Tab", "S-Tab"},
        {"C-S-Up", "C-S-Up"},
        {"\xc3\xa4", "\xc3\xa4"},
        {"C-x C-s", "C-x C-s"},
        {"'<Enter>", "' Enter"},
        {"x<F1>y", "x F1 y"},
        {"C-[", "Esc"},
        {"-", "-"},
        {"<", "<"},
        {"<<", "<<"},
        {"U p", "U p"},
        {"Up", "Up"},
        {"C-Space", "C-Space"},
        {"C-w h", "C-w h"},
        {"S-a", "A"},
        {"M-C-x", "Esc-C-x"},
        {"Esc", "Esc"},
        {"Esc-Esc", "Esc-Esc"},
        {"C-^", "C-^"},
        {"C-\\", "C-\\"},
        {"F 5", "F 5"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        ckey keys[KEYS_MAX], again[KEYS_MAX];
        size_t n, nagain;
        struct err err = ERR_INIT;
        struct buf out = BUF_INIT(100);
        if (!keys_parse(rows[i].word, keys, &n, &err))
            fail_msg("%s: %s", rows[i].word, err.text);
        keys_format(keys, n, &out);
        assert_string_equal(buf_z(&out), rows[i].wanted);
        assert_true(keys_parse(buf_z(&out), again, &nagain, &err));
        assert_int_equal(n, nagain);
        assert_memory_equal(keys, again, n * sizeof *keys);
        buf_fini(&out);
    }
    static const struct {
        const char *word, *error;
    } bad[] = {
        {"", "the key is missing"},     {" ", "the key is missing"}, {"Entre", "did you mean \"Enter\""},
        {"C-", "names no key"},         {"PgDwn", "\"PgDn\""},       {"abcdefg", "names no key"},
        {"a b c d e f g", "at most 6"}, {"\x01", "names no key"},    {"\xff", "names no key"},
        {"x \xc2\x9b", "names no key"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        ckey keys[KEYS_MAX];
        size_t n;
        struct err err = ERR_INIT;
        if (keys_parse(bad[i].word, keys, &n, &err))
            fail_msg("accepted: %s", bad[i].word);
        assert_has(err.text, bad[i].error);
    }
    assert_int_equal(key_normal(13), K_ENTER);
    assert_int_equal(key_normal(27), K_ESC);
    assert_int_equal(key_normal(0), K_CTRL | ' ');
    assert_int_equal(key_normal(1), K_CTRL | 'a');
    assert_int_equal(key_normal(0x1c), K_CTRL | '\\');
    assert_int_equal(key_normal(0x7f), K_BACKSPACE);
    assert_int_equal(key_normal(K_ALT | 18), K_ALT | K_CTRL | 'r');
}

static void test_macro(void **state)
{
    (void)state;
    ckey keys[MACRO_MAX];
    size_t n;
    struct err err = ERR_INIT;
    assert_true(macro_parse("l a<Enter><Less>", keys, &n, &err));
    assert_int_equal(n, 5);
    assert_int_equal(keys[1], ' ');
    assert_int_equal(keys[3], K_ENTER);
    assert_int_equal(keys[4], '<');
    assert_false(macro_parse("<Entre>", keys, &n, &err));
    assert_false(macro_parse("", keys, &n, &err));
    char longest[MACRO_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[MACRO_MAX + 1] = '\0';
    assert_false(macro_parse(longest, keys, &n, &err));
    longest[MACRO_MAX] = '\0';
    assert_true(macro_parse(longest, keys, &n, &err));
    static const char text[] = "l a<Less>b<Enter><C-r><Esc-v>\xc3\xa4>";
    struct buf out = BUF_INIT(1000);
    assert_true(macro_parse(text, keys, &n, &err));
    macro_format(keys, n, &out);
    assert_string_equal(buf_z(&out), text);
    buf_fini(&out);
}

/* ---- Key maps ----------------------------------------------------------------------------------- */

static bool map_line(struct keymap *map, const char *text, struct err *err)
{
    struct str rest = str_z(text);
    struct line line;
    unsigned number = 1;
    *err = ERR_INIT;
    assert_int_equal(line_next(&rest, "rc", &number, &line, err), 1);
    bool ok = keymap_line(map, &line, err);
    line_fini(&line);
    return ok;
}

static void must(struct keymap *map, const char *text)
{
    struct err err;
    if (!map_line(map, text, &err))
        fail_msg("%s: %s", text, err.text);
}

/* "none", "prefix" or the command. */
static const char *find(struct keymap *map, enum cmd_context context, const char *word)
{
    ckey keys[KEYS_MAX];
    size_t n;
    struct err err = ERR_INIT;
    const struct binding *b;
    assert_true(keys_parse(word, keys, &n, &err));
    switch (keymap_find(map, context, keys, n, &b)) {
    case KEYS_NONE:
        return "none";
    case KEYS_PREFIX:
        return "prefix";
    case KEYS_EXACT:
        break;
    }
    return b->command;
}

static void add_binding(void *arg, const struct binding *b)
{
    struct buf *out = arg;
    keys_format(b->keys, b->n, out);
    buf_addf(out, "=%s%s;", b->command, b->macro);
}

static void test_keymap(void **state)
{
    (void)state;
    struct keymap *map = keymap_new();
    struct err err;
    must(map, "bind global q back");
    must(map, "bind global \"'x\" go 9");
    must(map, "bind list,message a archive");
    must(map, "bind list \"'i\" go 1");
    must(map, "bind list m move \"a b\"");
    must(map, "bind list x \"tag +a ; archive\"");
    must(map, "macro list Q \"lx<Enter>\"");
    assert_string_equal(find(map, CTX_LIST, "a"), "archive");
    assert_string_equal(find(map, CTX_MESSAGE, "a"), "archive");
    assert_string_equal(find(map, CTX_BOXES, "a"), "none");
    assert_string_equal(find(map, CTX_BOXES, "q"), "back");
    assert_string_equal(find(map, CTX_PROMPT, "q"), "none");
    assert_string_equal(find(map, CTX_LIST, "'"), "prefix");
    assert_string_equal(find(map, CTX_LIST, "'i"), "go 1");
    assert_string_equal(find(map, CTX_LIST, "'x"), "go 9");
    assert_string_equal(find(map, CTX_LIST, "'z"), "none");
    assert_string_equal(find(map, CTX_LIST, "m"), "move \"a b\"");
    assert_string_equal(find(map, CTX_LIST, "x"), "tag +a ; archive");

    struct buf out = BUF_INIT(1000);
    keymap_each(map, CTX_LIST, (ckey[]){'\''}, 1, add_binding, &out);
    assert_string_equal(buf_z(&out), "'i=go 1;'x=go 9;");
    buf_reset(&out);
    /* The context's own keys hide global ones, also those that begin with them. */
    must(map, "bind list q archive");
    must(map, "bind list \"'\" archive");
    keymap_each(map, CTX_LIST, NULL, 0, add_binding, &out);
    assert_string_equal(buf_z(&out), "'=archive;Q=lx<Enter>;a=archive;m=move \"a b\";q=archive;x=tag +a ; archive;");
    buf_reset(&out);
    assert_true(keymap_where(map, CTX_LIST, "archive", &out));
    assert_string_equal(buf_z(&out), "a q '");
    buf_reset(&out);
    assert_false(keymap_where(map, CTX_LIST, "back", &out));
    assert_true(keymap_where(map, CTX_BOXES, "go 9", &out));
    assert_string_equal(buf_z(&out), "'x");
    buf_fini(&out);

    must(map, "unbind list q");
    assert_string_equal(find(map, CTX_LIST, "q"), "back");
    must(map, "unbind list *");
    assert_string_equal(find(map, CTX_LIST, "a"), "none");
    assert_string_equal(find(map, CTX_MESSAGE, "a"), "archive");
    assert_false(map_line(map, "bind lsit a archive", &err));
    assert_has(err.text, "did you mean \"list\"");
    assert_false(map_line(map, "bind list a", &err));
    assert_has(err.text, "write: bind [-a ACCOUNT] [-m MAILBOX] CONTEXT KEYS COMMAND");
    assert_false(map_line(map, "bind list Entre archive", &err));
    assert_false(map_line(map, "macro list x", &err));
    assert_false(map_line(map, "unbind list x y", &err));
    must(map, "set wrap 3");
    keymap_free(&map);
}

static void test_origin(void **state)
{
    (void)state;
    struct keymap *map = keymap_new();
    struct err err = ERR_INIT;
    const struct binding *b;
    assert_true(keymap_defaults(map, "mutt", &err));
    assert_int_equal(keymap_find(map, CTX_LIST, (ckey[]){'a'}, 1, &b), KEYS_EXACT);
    assert_null(b->file);
    must(map, "bind list a flag");
    assert_int_equal(keymap_find(map, CTX_LIST, (ckey[]){'a'}, 1, &b), KEYS_EXACT);
    assert_string_equal(b->file, "rc");
    assert_int_equal(b->line, 1);
    keymap_free(&map);
}

/* No default binding may undo another one of the same text; every profile loads. */
static void test_defaults(void **state)
{
    (void)state;
    for (size_t i = 0; keymap_profiles[i].name; i++) {
        struct keymap *map = keymap_new();
        struct err err = ERR_INIT;
        if (!keymap_defaults(map, keymap_profiles[i].name, &err))
            fail_msg("%s: %s", keymap_profiles[i].name, err.text);
        assert_string_equal(find(map, CTX_LIST, "j"), "next");
        assert_string_equal(find(map, CTX_PROMPT, "Enter"), "edit-accept");
        assert_string_equal(find(map, CTX_PROMPT, "j"), "none");
        assert_string_equal(find(map, CTX_MESSAGE, "'"), "prefix");
        keymap_free(&map);
    }
    struct keymap *map = keymap_new();
    struct err err = ERR_INIT;
    struct str rest = str_z(cmd_default_keys);
    struct line line;
    unsigned number = 1;
    while (line_next(&rest, NULL, &number, &line, &err) == 1) {
        struct str contexts = str_z(line.words[1]), name;
        while (str_split(&contexts, ',', &name)) {
            char *word = mem_dup_n(name.p, name.n);
            enum cmd_context context;
            ckey keys[KEYS_MAX];
            size_t n;
            assert_true(cmd_context_find(word, &context));
            assert_true(keys_parse(line.words[2], keys, &n, &err));
            if (context != CTX_GLOBAL) {
                const struct binding *b;
                keymap_find(map, context, keys, n, &b);
                if (b && b->context == context)
                    fail_msg("%s %s is bound twice", word, line.words[2]);
            }
            free(word);
        }
        assert_true(keymap_line(map, &line, &err));
        line_fini(&line);
    }
    keymap_free(&map);
    map = keymap_new();
    assert_false(keymap_defaults(map, "ed", &err));
    keymap_free(&map);
}

/* ---- Sets of keys are whole --------------------------------------------------------------------- */

struct profile {
    const char *name;
    struct keymap *map;
    enum cmd_context context;
};

/* Every command line that the default set runs in a context, some key runs there. A command alone is also run where a
 * key gives it words (fold, fold on). */
static void wanted(void *arg, const struct binding *b)
{
    const struct profile *p = arg;
    struct buf keys = BUF_INIT(400);
    if (!keymap_where(p->map, p->context, b->command, &keys))
        fail_msg("keys %s: in %s no key runs \"%s\": give it one in src/cmd/profiles.c", p->name,
                 cmd_context_name(p->context), b->command);
    buf_fini(&keys);
}

/* What is bound can be typed: where the context hides a global binding, it is by the same keys and not by a part of
 * them. */
static void typable(void *arg, const struct binding *b)
{
    const struct profile *p = arg;
    struct buf name = BUF_INIT(100);
    if (b->context != p->context && (b->context != CTX_GLOBAL || p->context == CTX_PROMPT))
        return;
    keys_format(b->keys, b->n, &name);
    for (size_t n = 1; n <= b->n; n++) {
        enum key_match match = keymap_find(p->map, p->context, b->keys, n, NULL);
        if (match != (n == b->n ? KEYS_EXACT : KEYS_PREFIX))
            fail_msg("keys %s: in %s %s (%s) cannot be typed", p->name, cmd_context_name(p->context), buf_z(&name),
                     b->command);
    }
    buf_fini(&name);
}

/* No line of a set undoes another one of it. */
static void lines_hold(struct profile *p)
{
    struct str rest = str_z(keymap_profile(p->name));
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 1;
    while (line_next(&rest, "", &number, &line, &err) == 1) {
        struct str contexts = str_z(line.words[1]), name;
        while (strcmp(line.words[0], "bind") == 0 && str_split(&contexts, ',', &name)) {
            char *word = mem_dup_n(name.p, name.n);
            enum cmd_context context;
            assert_true(cmd_context_find(word, &context));
            struct buf command = BUF_INIT(1000);
            cmd_join(line.words, line.n, 3, &command);
            const char *got = context == CTX_GLOBAL ? buf_z(&command) : find(p->map, context, line.words[2]);
            if (strcmp(got, buf_z(&command)) != 0)
                fail_msg("keys %s: %s %s is \"%s\", not \"%s\"", p->name, word, line.words[2], got, buf_z(&command));
            buf_fini(&command);
            free(word);
        }
        line_fini(&line);
    }
    assert_int_equal(err.kind, ERR_NONE);
}

static void test_profiles_are_whole(void **state)
{
    (void)state;
    struct keymap *mutt = keymap_new();
    struct err err = ERR_INIT;
    assert_true(keymap_defaults(mutt, "mutt", &err));
    assert_string_equal(keymap_profiles[0].name, "mutt");
    assert_null(keymap_profile("ed"));
    for (size_t i = 0; keymap_profiles[i].name; i++) {
        struct profile p = {.name = keymap_profiles[i].name, .map = keymap_new()};
        assert_true(keymap_defaults(p.map, p.name, &err));
        for (unsigned c = 0; c < CTX_COUNT; c++) {
            p.context = (enum cmd_context)c;
            keymap_each(mutt, p.context, NULL, 0, wanted, &p);
            keymap_all(p.map, typable, &p);
        }
        lines_hold(&p);
        keymap_free(&p.map);
    }
    keymap_free(&mutt);
}

/* ---- Keys of an account and a mailbox ----------------------------------------------------------- */

static void test_scopes(void **state)
{
    (void)state;
    struct keymap *map = keymap_new();
    struct err err;
    struct buf out = BUF_INIT(1000);
    must(map, "bind list d delete");
    must(map, "bind global x quit");
    must(map, "bind -a work list d go 1");
    must(map, "bind -m Lists/* list d go 2");
    must(map, "bind -a work -m Lists/* list d go 3");
    must(map, "bind -m Lists/* global x go 4");
    must(map, "bind -m Trash list dd go 5");
    assert_string_equal(find(map, CTX_LIST, "d"), "delete");
    keymap_place(map, "work", "INBOX");
    assert_string_equal(find(map, CTX_LIST, "d"), "go 1");
    assert_string_equal(find(map, CTX_LIST, "x"), "quit");
    keymap_place(map, "home", "Lists/kernel");
    assert_string_equal(find(map, CTX_LIST, "d"), "go 2");
    assert_string_equal(find(map, CTX_LIST, "x"), "go 4");
    keymap_place(map, "work", "lists/kernel");
    assert_string_equal(find(map, CTX_LIST, "d"), "go 3");
    keymap_each(map, CTX_LIST, NULL, 0, add_binding, &out);
    assert_string_equal(buf_z(&out), "d=go 3;x=go 4;");
    /* A chord of one mailbox leaves the key elsewhere what it was. */
    keymap_place(map, "home", "Trash");
    assert_string_equal(find(map, CTX_LIST, "d"), "prefix");
    assert_string_equal(find(map, CTX_LIST, "dd"), "go 5");
    keymap_place(map, "home", "");
    assert_string_equal(find(map, CTX_LIST, "d"), "delete");
    /* Of two patterns that both fit the one bound last counts; unbind is of its own scope. */
    must(map, "bind -m Lists/k* list d go 6");
    keymap_place(map, "home", "Lists/kernel");
    assert_string_equal(find(map, CTX_LIST, "d"), "go 6");
    must(map, "unbind -m Lists/k* list d");
    assert_string_equal(find(map, CTX_LIST, "d"), "go 2");
    must(map, "unbind list d");
    assert_string_equal(find(map, CTX_LIST, "d"), "go 2");
    keymap_place(map, "home", "INBOX");
    assert_string_equal(find(map, CTX_LIST, "d"), "none");
    assert_false(map_line(map, "bind -a", &err));
    assert_has(err.text, "the account behind -a is missing");
    assert_false(map_line(map, "bind -m Trash list", &err));
    buf_fini(&out);
    keymap_free(&map);
}

/* ---- Checks ------------------------------------------------------------------------------------- */

static void check(const char *text, const char *error)
{
    struct str rest = str_z(text);
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 1;
    assert_int_equal(line_next(&rest, "rc", &number, &line, &err), 1);
    bool ok = cmd_check_line(&lang, &line, &err);
    line_fini(&line);
    if (ok != (error[0] == '\0'))
        fail_msg("%s: %s", text, ok ? "accepted" : err.text);
    if (!ok)
        assert_has(err.text, error);
}

static void test_check(void **state)
{
    (void)state;
    check("bind list a archive", "");
    check("bind list a \"tag +x ; archive\"", "");
    check("bind list a archvie", "did you mean \"archive\"");
    check("bind list a \"archive ; tag\"", "an argument is missing");
    check("bind list,nowhere a archive", "unknown context \"nowhere\"");
    check("unbind list a", "");
    check("macro list a \"lx<Enter>\"", "");
    check("macro list a \"<Etner>\"", "names no key");
    check("on new-mail echo hello", "");
    check("on new-mial echo hello", "did you mean \"new-mail\"");
    check("on new-mail", "write: on");
    check("on -a work -m Lists/* new-mail echo x", "");
    check("on -a work", "write: on");
    check("bind -m Trash list d archive", "");
    check("bind -m Trash list d archvie", "did you mean \"archive\"");
    check("macro -a work list a \"<Etner>\"", "names no key");
    check("on new-mail nonsense x", "unknown command");
    check("color cursor black bright-yellow bold", "");
    check("color cursor default color255 '#aabbcc'", "is neither a colour");
    check("color cursor '#aabbcc'", "");
    check("color cursor '#aabbcg'", "is neither");
    check("color cursor #aabbcc", "write: color");
    check("color cursor color256", "is neither");
    check("color cursr red", "did you mean \"cursor\"");
    check("color cursor", "write: color");
    int32_t color;
    assert_true(cmd_color("#102030", &color) && color == 0x1102030);
    assert_true(cmd_color("bright-red", &color) && color == 9);
    assert_true(cmd_color("default", &color) && color == -1);
    assert_false(cmd_color("bright-", &color));
}

static void test_check_conf(void **state)
{
    (void)state;
    struct conf *conf = conf_defaults();
    struct str rest = STR("bind list a archive\nbind list b nonsense\ntheme drak\non -a wrok sent archive\n");
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 1;
    while (line_next(&rest, "rc", &number, &line, &err) == 1) {
        assert_true(conf_run(conf, &line, &err));
        line_fini(&line);
    }
    struct buf all = BUF_INIT(1000);
    assert_false(cmd_check_conf(&lang, conf, &all));
    assert_string_equal(buf_z(&all), "rc:2: error: unknown command \"nonsense\"\nrc:4: error: on: no account "
                                     "\"wrok\"\nerror: unknown theme \"drak\"; did you mean \"dark\"?\n");
    buf_fini(&all);
    conf_free(&conf);
}

/* ---- Completion --------------------------------------------------------------------------------- */

static void each(void *context, enum arg_kind kind, UNUSED struct str prefix, cmd_emit_fn *emit, void *arg)
{
    assert_ptr_equal(context, &lang);
    if (kind == ARG_MAILBOX) {
        emit(arg, "Archive", "12 messages");
        emit(arg, "Lists/kernel", "");
        emit(arg, "My box", "");
    } else if (kind == ARG_TAGS) {
        emit(arg, "+todo", "");
        emit(arg, "+later", "");
    }
}
static const struct cmd_sources sources = {each, (void *)(uintptr_t)&lang};

static void complete(const char *line, const char *wanted, const char *applied)
{
    struct conf *conf = conf_defaults();
    struct err err = ERR_INIT;
    struct line l = {.words = (char *[]){(char[]){"account"}, (char[]){"work"}, (char[]){"imaps://alice@h"}, NULL},
                     .n = 3};
    assert_true(conf_run(conf, &l, &err));
    struct completions c;
    struct buf got = BUF_INIT(100000), out = BUF_INIT(100000);
    size_t cursor = 0;
    cmd_complete(&lang, conf, CTX_LIST, &sources, str_z(line), strlen(line), &c);
    for (size_t i = 0; i < c.n; i++)
        buf_addf(&got, "%s%s", i ? "|" : "", c.list[i].word);
    if (strcmp(buf_z(&got), wanted) != 0)
        fail_msg("%s: %s, not %s", line, buf_z(&got), wanted);
    if (applied) {
        completions_apply(&c, 0, str_z(line), true, &out, &cursor);
        assert_string_equal(buf_z(&out), applied);
        assert_int_equal(cursor, out.n);
    }
    completions_fini(&c);
    buf_fini(&got);
    buf_fini(&out);
    conf_free(&conf);
}

static void test_complete(void **state)
{
    (void)state;
    complete("arch", "archive", "archive");
    complete("archive ; mov", "move", "archive ; move");
    complete("fai", "", NULL);
    complete("move arc", "Archive", "move Archive");
    complete("move box", "My box", "move \"My box\"");
    complete("move \"My b", "My box", "move \"My box\"");
    complete("move -", "-a|-c", "move -a");
    complete("move -a w", "work", "move -a work");
    complete("move -a work -c L", "Lists/kernel", NULL);
    complete("flag tog", "toggle", NULL);
}

static void test_complete_more(void **state)
{
    (void)state;
    complete("set asci", "ascii", "set ascii");
    complete("set ascii ", "auto|no|yes", NULL);
    complete("set theme d", "dark|default", NULL);
    complete("set -a work password-c", "password-command|send-password-command|tls-key-password-command", NULL);
    complete("tag +a +l", "+later", NULL);
    complete("bind li", "list", "bind list");
    complete("bind list x arch", "archive", "bind list x archive");
    complete("bind list x move Li", "Lists/kernel", "bind list x move Lists/kernel");
    complete("limit fro", "from:", NULL);
    complete("limit tag:to", "", NULL);
    complete("limit mimetype:text/c", "mimetype:text/calendar", "limit mimetype:text/calendar");
    complete("echo \"hi {sub", "hi {subject}", "echo \"hi {subject}\"");
    complete("bind list,mess", "list,message", "bind list,message");
    complete("nonsense x", "", NULL);
    struct completions c;
    assert_true(cmd_complete_kind(&lang, NULL, ARG_QUERY, NULL, STR("from:x an"), 9, &c));
    assert_string_equal(c.list[0].word, "and");
    assert_int_equal(c.from, 7);
    completions_fini(&c);
    assert_true(cmd_complete_kind(&lang, NULL, ARG_MAILBOX, &sources, STR("ker"), 3, &c));
    assert_string_equal(c.list[0].word, "Lists/kernel");
    completions_fini(&c);
}

static void test_complete_files(void **state)
{
    (void)state;
    char dir[64] = "/tmp/test_cmd.XXXXXX", line[200], wanted[300];
    assert_non_null(mkdtemp(dir));
    char *a = path_join(dir, "alpha one"), *b = path_join(dir, "alphabet"), *h = path_join(dir, ".hidden");
    struct err err = ERR_INIT;
    assert_true(fs_write_atomic(a, 0600, STR("x"), &err));
    assert_true(fs_write_atomic(h, 0600, STR("x"), &err));
    assert_int_equal(mkdir(b, 0700), 0);
    snprintf(line, sizeof line, "source %s/", dir);
    snprintf(wanted, sizeof wanted, "%s|%s/", a, b);
    complete(line, wanted, NULL);
    snprintf(line, sizeof line, "source %s/alphab", dir);
    snprintf(wanted, sizeof wanted, "%s/", b);
    complete(line, wanted, NULL);
    unlink(a);
    unlink(h);
    rmdir(b);
    rmdir(dir);
    free(a);
    free(b);
    free(h);
}

static void test_fuzzy(void **state)
{
    (void)state;
    assert_true(cmd_fuzzy(STR("arch"), STR("archive")) > cmd_fuzzy(STR("arch"), STR("my-archive")));
    assert_true(cmd_fuzzy(STR("arch"), STR("my-archive")) > cmd_fuzzy(STR("arch"), STR("search")));
    assert_true(cmd_fuzzy(STR("lk"), STR("Lists/kernel")) > 0);
    assert_true(cmd_fuzzy(STR("lk"), STR("Lists/kernel")) > cmd_fuzzy(STR("lk"), STR("walok")));
    assert_int_equal(cmd_fuzzy(STR("kl"), STR("Lists/k")), 0);
    assert_int_equal(cmd_fuzzy(STR("A"), STR("archive")), 0);
    assert_true(cmd_fuzzy(STR(""), STR("x")) > 0);
    struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    for (size_t i = 0; i < 1 << 19; i++) {
        buf_addc(&a, 'a');
        buf_addc(&b, 'a');
    }
    buf_addc(&a, 'b');
    assert_int_equal(cmd_fuzzy(buf_str(&a), buf_str(&b)), 0);
    buf_fini(&a);
    buf_fini(&b);
}

/* ---- History, shell ----------------------------------------------------------------------------- */

static void test_history(void **state)
{
    (void)state;
    struct history *h = history_new(3);
    struct err err = ERR_INIT;
    history_add(h, STR("one"));
    history_add(h, STR("two"));
    history_add(h, STR("two"));
    history_add(h, STR(" secret"));
    history_add(h, STR(""));
    history_add(h, STR("over"));
    history_add(h, STR("three"));
    assert_int_equal(history_count(h), 3);
    assert_string_equal(history_at(h, 0), "two");
    assert_string_equal(history_older(h, STR("")), "three");
    assert_string_equal(history_older(h, STR("t")), "two");
    assert_null(history_older(h, STR("t")));
    assert_string_equal(history_newer(h, STR("t")), "three");
    assert_null(history_newer(h, STR("t")));
    assert_string_equal(history_older(h, STR("o")), "over");
    history_rewind(h);
    char path[64] = "/tmp/test_cmd.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    struct history *again = history_new(100);
    assert_true(history_load(again, path, &err));
    assert_true(history_save(h, path, &err));
    assert_true(history_load(again, path, &err));
    assert_int_equal(history_count(again), 3);
    assert_string_equal(history_at(again, 2), "three");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    unlink(path);
    history_free(&h);
    history_free(&again);
}

static bool value_of(void *arg, const char *name, struct buf *value)
{
    return strcmp(name, "from") == 0 && buf_addz(value, arg);
}

static void test_expand(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT(1000);
    char hostile[] = "it's `x` $(y) \"z\"\n; rm\033[31m\xc2\x9b!";
    assert_true(cmd_expand(STR("echo {from} {{x}"), value_of, hostile, &out, &err));
    assert_string_equal(buf_z(&out), "echo 'it'\\''s `x` $(y) \"z\" ; rm [31m !' {x}");
    /* A shell takes it as one word. */
    buf_reset(&out);
    assert_true(cmd_expand(STR("test \"$(printf %s {from})\" = \"$0\""), value_of, hostile, &out, &err));
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", buf_z(&out), "it's `x` $(y) \"z\" ; rm [31m !", (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    buf_reset(&out);
    assert_false(cmd_expand(STR("{nobody}"), value_of, hostile, &out, &err));
    assert_false(cmd_expand(STR("{from"), value_of, hostile, &out, &err));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_macro),
        cmocka_unit_test(test_keymap),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_conf),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_complete_more),
        cmocka_unit_test(test_complete_files),
        cmocka_unit_test(test_fuzzy),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_profiles_are_whole),
        cmocka_unit_test(test_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
