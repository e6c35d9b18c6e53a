#include "ui/theme.h"

#include <dirent.h>
#include <limits.h>

const char *const theme_things[] = {
#define THING(name, word, help) word,
#include "ui/things.def"
/* overlays behind things, as the enum has them */
#include "ui/overlays.def"
#undef THING
    NULL};

const char *const theme_help[] = {
#define THING(name, word, help) help,
#include "ui/things.def"
/* in the same order */
#include "ui/overlays.def"
#undef THING
    NULL};

enum { THEME_MAX_BYTES = 64 * 1024, THEME_DEPTH = 4, THEMES_MAX = 200 };

/* The thing that stands for a tag. */
static bool tag_thing(struct theme *theme, const char *name, size_t *thing_r)
{
    unsigned i = 0;
    while (i < theme->ntags && strcmp(theme->tags[i], name) != 0)
        i++;
    if (i == THEME_TAGS_MAX)
        return false;
    if (i == theme->ntags)
        snprintf(theme->tags[theme->ntags++], sizeof theme->tags[0], "%s", name);
    *thing_r = THING_TAGS + i;
    return true;
}

style theme_tag(const struct theme *theme, struct str tag)
{
    for (unsigned i = 0; i < theme->ntags; i++)
        if (str_eqz(tag, theme->tags[i]))
            return (style)(THING_TAGS + i);
    return THING_TAG;
}

bool theme_color(struct theme *theme, char *const *words, size_t n, struct err *err)
{
    struct look look = {-1, -1, 0};
    unsigned attribute;
    int32_t color;
    if (n < 3)
        return err_set(err, ERR_USAGE, "color THING FOREGROUND [BACKGROUND] [ATTRIBUTE...]; \"#rrggbb\" in quotes");
    size_t thing = 0;
    bool tag = !strncmp(words[1], "tag:", 4) && tag_is(str_z(words[1] + 4));
    if (tag && !tag_thing(theme, words[1] + 4, &thing))
        return err_set(err, ERR_LIMIT, "color: %d tags have colours already", THEME_TAGS_MAX);
    while (!tag && theme_things[thing] && strcmp(theme_things[thing], words[1]) != 0)
        thing++;
    if (!tag && !theme_things[thing]) {
        const char *near = near_word(words[1], theme_things);
        return err_set(err, ERR_USAGE, "no thing \"%s\"%s%s", words[1], near ? "; did you mean " : "",
                       near ? near : "");
    }
    if (!cmd_color(words[2], &look.fg))
        return err_set(err, ERR_USAGE, "no color \"%s\"", words[2]);
    for (size_t i = 3; i < n; i++) {
        if (i == 3 && cmd_color(words[i], &color))
            look.bg = color;
        else if (cmd_attribute(words[i], &attribute))
            look.attributes |= attribute;
        else
            return err_set(err, ERR_USAGE, "no color or attribute \"%s\"", words[i]);
    }
    theme->things[thing] = look;
    return true;
}

/* ---- files ---- */
/* The user's own directory and the installed one, in this order; NULL where there is none. */
static char *theme_dir(size_t i)
{
    struct err unused = ERR_INIT;
    char *home = i == 0 ? path_config_home(&unused) : NULL, *dir = NULL;
    if (home)
        dir = path_join(home, "tuimail/themes");
    else if (i > 0)
        dir = path_join(PKGDATADIR, "themes");
    free(home);
    return dir;
}
enum { THEME_DIRS = 2 };

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= 64 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* The file of this name, as it lies there; *path_r (caller owns) is where, NULL where there is none. */
static bool read_file(char *path, struct buf *text, char **path_r, struct err *err)
{
    char *real = realpath(path, NULL);
    free(path);
    *path_r = real;
    return real && fs_read(real, THEME_MAX_BYTES, text, err);
}

static bool find_text(const char *name, struct buf *text, char **path_r, struct err *err)
{
    *path_r = NULL;
    if (strchr(name, '/'))
        return read_file(path_expand_home(name), text, path_r, err) ||
               (!*path_r && err_set(err, ERR_USAGE, "there is no file %s", name));
    for (size_t i = 0; is_name(name) && i < THEME_DIRS; i++) {
        char *dir = theme_dir(i);
        bool ok = dir && read_file(path_join(dir, name), text, path_r, err);
        free(dir);
        if (ok || *path_r)
            return ok;
    }
    for (const struct theme_text *t = theme_texts; t->name; t++)
        if (!strcmp(t->name, name))
            return buf_addz(text, t->text);
    const char *near = near_word(name, theme_names());
    return err_set(err, ERR_USAGE, "no theme \"%.60s\"%s%s", name, near ? "; did you mean " : "", near ? near : "");
}

/* The lines of one file; a theme that another begins with is loaded where its line stands. */
static bool load(struct theme *theme, const char *name, unsigned depth, struct err *err)
{
    struct buf text = BUF_INIT(THEME_MAX_BYTES);
    char *path;
    unsigned number = 1;
    struct line line;
    int got = 0;
    bool ok = find_text(name, &text, &path, err);
    struct str rest = buf_str(&text);
    while (ok && (got = line_next(&rest, path ? path : name, &number, &line, err)) == 1) {
        bool base = line.n == 2 && !strcmp(line.words[0], "theme");
        if (base && depth + 1 < THEME_DEPTH)
            ok = load(theme, line.words[1], depth + 1, err);
        else if (base)
            ok = err_set(err, ERR_USAGE, "themes that begin with each other");
        else if (line.n && strcmp(line.words[0], "color") != 0)
            ok = err_set(err, ERR_USAGE, "a theme has color lines, and may begin with: theme NAME");
        else if (line.n)
            ok = theme_color(theme, line.words, line.n, err);
        if (!ok)
            err_prefix(err, "%s:%u", path ? path : name, line.number);
        line_fini(&line);
    }
    free(path);
    buf_fini(&text);
    return ok && got == 0;
}

bool theme_load(struct theme *theme, const char *name, struct err *err)
{
    struct theme new = {.ntags = 0};
    for (size_t i = 0; i < THING_ALL; i++)
        new.things[i] = (struct look){-1, -1, 0};
    if (!load(&new, name, 0, err))
        return false;
    *theme = new;
    return true;
}

const char *theme_for(unsigned colors)
{
    const char *ground = getenv("COLORFGBG"), *back = ground ? strrchr(ground, ';') : NULL;
    if (colors < 8)
        return "mono";
    if (colors < 256)
        return "16";
    /* "FOREGROUND;BACKGROUND", as rxvt, Konsole and others say it */
    return back && (!strcmp(back, ";15") || !strcmp(back, ";7")) ? "light" : "dark";
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_name(char *names[THEMES_MAX + 1], size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp(names[i], name))
            return;
    if (*n < THEMES_MAX)
        names[(*n)++] = mem_dup_z(name);
}

const char *const *theme_names(void)
{
    static char *names[THEMES_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; names[i]; i++)
        free(names[i]);
    add_name(names, &n, "default");
    for (const struct theme_text *t = theme_texts; t->name; t++)
        add_name(names, &n, t->name);
    for (size_t i = 0; i < THEME_DIRS; i++) {
        char *dir = theme_dir(i);
        DIR *d = dir ? opendir(dir) : NULL;
        for (struct dirent *e; d && (e = readdir(d));)
            if (is_name(e->d_name))
                add_name(names, &n, e->d_name);
        if (d)
            closedir(d);
        free(dir);
    }
    names[n] = NULL;
    qsort(names, n, sizeof *names, by_name);
    return (const char *const *)names;
}

/* ---- looks ---- */
static const struct {
    style bit;
    enum thing thing;
} overlays[] = {{STYLE_SELECTED, THING_SELECTED},
                {STYLE_CURSOR, THING_CURSOR},
                {STYLE_HIT, THING_HIT},
                {STYLE_HIT_HERE, THING_HIT_HERE}};

struct look theme_look(const struct theme *theme, style s)
{
    unsigned thing = s & 0xff;
    bool tag = thing >= THING_TAGS && thing < THING_TAGS + theme->ntags;
    struct look look = theme->things[tag ? thing : MIN(thing, (unsigned)THING_COUNT - 1)];
    for (size_t i = 0; i < COUNT(overlays); i++) {
        if (!(s & overlays[i].bit))
            continue;
        const struct look *over = &theme->things[overlays[i].thing];
        if (over->fg != -1)
            look.fg = over->fg;
        if (over->bg != -1)
            look.bg = over->bg;
        look.attributes |= over->attributes;
    }
    return look;
}

void theme_style_name(style s, struct buf *out)
{
    if ((s & 0xffu) >= THING_TAGS)
        buf_addf(out, "tag%u", (unsigned)(s & 0xff) - THING_TAGS);
    else
        buf_addz(out, theme_things[s & 0xff]);
    for (size_t i = 0; i < COUNT(overlays); i++)
        if (s & overlays[i].bit)
            buf_addf(out, "+%s", theme_things[overlays[i].thing]);
}
