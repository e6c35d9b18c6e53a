#include "ui/theme.h"

const char *const theme_things[] = {
#define THING(name, word, help) word,
#include "ui/things.def"
/* overlays behind things, as the enum has them */
#include "ui/overlays.def"
#undef THING
    NULL};

const char *const theme_names[] = {"default", "dark", "light", "mono", NULL};

/* Calm: one accent, weight for what is unread, dim for what is secondary. */
static const char dark[] = "color title default default bold\n"
                           "color rule color240\n"
                           "color status color250 color236\n"
                           "color status-note bright-white color236\n"
                           "color status-warning yellow color236\n"
                           "color status-error bright-red color236 bold\n"
                           "color accent cyan default bold\n"
                           "color unread default default bold\n"
                           "color flagged yellow default bold\n"
                           "color gone color240\n"
                           "color marker color245\n"
                           "color tag color109\n"
                           "color mailbox-unread default default bold\n"
                           "color account color245\n"
                           "color header-name color245\n"
                           "color subject default default bold\n"
                           "color quote1 color109\n"
                           "color quote2 color138\n"
                           "color quote3 color245\n"
                           "color signature color240\n"
                           "color heading default default bold\n"
                           "color code color150\n"
                           "color strong default default bold\n"
                           "color link cyan default underline\n"
                           "color diff-add green\n"
                           "color diff-delete red\n"
                           "color diff-hunk cyan\n"
                           "color banner black cyan\n"
                           "color warning black yellow\n"
                           "color part color109\n"
                           "color prompt cyan default bold\n"
                           "color popup default color235\n"
                           "color popup-dim color245 color235\n"
                           "color key cyan color235 bold\n"
                           "color cursor bright-white color24\n"
                           "color selected cyan\n"
                           "color hit black yellow\n";
static const char light[] = "color title default default bold\n"
                            "color rule color250\n"
                            "color status color238 color254\n"
                            "color status-note black color254\n"
                            "color status-warning color130 color254\n"
                            "color status-error color124 color254 bold\n"
                            "color accent color25 default bold\n"
                            "color unread default default bold\n"
                            "color flagged color130 default bold\n"
                            "color gone color249\n"
                            "color marker color243\n"
                            "color tag color25\n"
                            "color mailbox-unread default default bold\n"
                            "color account color243\n"
                            "color header-name color243\n"
                            "color subject default default bold\n"
                            "color quote1 color25\n"
                            "color quote2 color95\n"
                            "color quote3 color243\n"
                            "color signature color249\n"
                            "color heading default default bold\n"
                            "color code color22\n"
                            "color strong default default bold\n"
                            "color link color25 default underline\n"
                            "color diff-add color28\n"
                            "color diff-delete color124\n"
                            "color diff-hunk color25\n"
                            "color banner color231 color25\n"
                            "color warning black color221\n"
                            "color part color25\n"
                            "color prompt color25 default bold\n"
                            "color popup default color255\n"
                            "color popup-dim color243 color255\n"
                            "color key color25 color255 bold\n"
                            "color cursor black color153\n"
                            "color selected color25\n"
                            "color hit black color221\n";
static const char mono[] = "color title default default bold\n"
                           "color status default default reverse\n"
                           "color status-note default default reverse\n"
                           "color status-warning default default reverse\n"
                           "color status-error default default reverse bold\n"
                           "color accent default default bold\n"
                           "color unread default default bold\n"
                           "color flagged default default bold\n"
                           "color gone default default dim\n"
                           "color mailbox-unread default default bold\n"
                           "color subject default default bold\n"
                           "color heading default default bold\n"
                           "color strong default default bold\n"
                           "color link default default underline\n"
                           "color banner default default reverse\n"
                           "color warning default default reverse bold\n"
                           "color prompt default default bold\n"
                           "color key default default bold\n"
                           "color cursor default default reverse\n"
                           "color selected default default bold\n"
                           "color hit default default reverse\n";

bool theme_color(struct theme *theme, char *const *words, size_t n, struct err *err)
{
    struct look look = {-1, -1, 0};
    unsigned attribute;
    int32_t color;
    if (n < 3)
        return err_set(err, ERR_USAGE, "color THING FOREGROUND [BACKGROUND] [ATTRIBUTE...]");
    size_t thing = 0;
    while (theme_things[thing] && strcmp(theme_things[thing], words[1]) != 0)
        thing++;
    if (!theme_things[thing]) {
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

bool theme_load(struct theme *theme, const char *name, struct err *err)
{
    const char *text = !strcmp(name, "dark") || !strcmp(name, "default") ? dark
                       : !strcmp(name, "light")                          ? light
                       : !strcmp(name, "mono")                           ? mono
                                                                         : NULL;
    if (!text)
        return err_set(err, ERR_USAGE, "no theme \"%s\"", name);
    for (size_t i = 0; i < THING_ALL; i++)
        theme->things[i] = (struct look){-1, -1, 0};
    struct str rest = str_z(text);
    unsigned number = 1;
    struct line line;
    while (line_next(&rest, name, &number, &line, err) == 1) {
        bool ok = theme_color(theme, line.words, line.n, err);
        line_fini(&line);
        if (!ok)
            return false;
    }
    return true;
}

static const struct {
    style bit;
    enum thing thing;
} overlays[] = {{STYLE_SELECTED, THING_SELECTED}, {STYLE_CURSOR, THING_CURSOR}, {STYLE_HIT, THING_HIT}};

struct look theme_look(const struct theme *theme, style s)
{
    struct look look = theme->things[MIN((unsigned)(s & 0xff), (unsigned)THING_COUNT - 1)];
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
    buf_addz(out, theme_things[MIN((unsigned)(s & 0xff), (unsigned)THING_ALL - 1)]);
    for (size_t i = 0; i < COUNT(overlays); i++)
        if (s & overlays[i].bit)
            buf_addf(out, "+%s", theme_things[overlays[i].thing]);
}
