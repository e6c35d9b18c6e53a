/* Themes: how each thing on the screen looks. Themes are lines of the language (`color THING FG [BG] [ATTRIBUTE...]`),
 * so that a user's colours and ours are the same kind of thing. */
#ifndef TUIMAIL_UI_THEME_H
#define TUIMAIL_UI_THEME_H

#include "cmd/cmd.h"
#include "ui/grid.h"

enum thing {
#define THING(name, word, help) THING_##name,
#include "ui/things.def"
    THING_COUNT,
    THING_OVERLAYS = THING_COUNT - 1, /* overlays are numbered behind the things */
#include "ui/overlays.def"
#undef THING
    THING_ALL
};
#define STYLE_CURSOR 0x100u
#define STYLE_SELECTED 0x200u
#define STYLE_HIT 0x400u
#define STYLE_HIT_HERE 0x800u

struct look {
    int32_t fg, bg;      /* as cmd_color: -1 default, 0..255, 0x1000000 | rgb */
    unsigned attributes; /* enum cmd_attribute */
};
/* color tag:NAME: that tag in rows; their styles follow those of the things. */
#define THEME_TAGS_MAX 64
#define THING_TAGS ((unsigned)THING_ALL)
_Static_assert(THING_ALL + THEME_TAGS_MAX <= 0x100, "no number for a tag's style");
struct theme {
    struct look things[THING_ALL + THEME_TAGS_MAX];
    char tags[THEME_TAGS_MAX][TAG_MAX + 1];
    unsigned ntags;
};
style theme_tag(const struct theme *, struct str tag); /* THING_TAG where it has no colour of its own */
/* The themes that come with the program, by name: made from contrib/themes, for a program without its installed files.
 * Ends with a NULL name. */
struct theme_text {
    const char *name, *text;
};
extern const struct theme_text theme_texts[];
extern const char *const theme_things[]; /* names of things and overlays; NULL-terminated */
extern const char *const theme_help[];   /* what each of them is */
/* Names that theme_load knows, sorted, and "default"; NULL-terminated. Theirs until the next call. Reads directories.
 */
const char *const *theme_names(void);
/* Sets all looks as the theme says, anew. `name`: a file of the user's directory ($XDG_CONFIG_HOME/tuimail/themes), of
 * the installed one, or one of theme_texts, in this order; with a slash the path of a file. Its lines are `color`
 * lines, and `theme NAME` for one to begin with. False, the theme untouched, where there is none or a line of it is
 * wrong (ERR_USAGE with file and line). */
bool theme_load(struct theme *, const char *name, struct err *);
/* What "default" comes to on a terminal of so many colours: mono, 16, light or dark. */
const char *theme_for(unsigned colors);
/* Runs a `color` line: words[0] is "color". */
bool theme_color(struct theme *, char *const *words, size_t n, struct err *);
struct look theme_look(const struct theme *, style);
void theme_style_name(style, struct buf *out);

#endif
