/* Sets of keys: what each has otherwise than the default one. All that it leaves alone stays as it is there, and each
 * command that loses its key gets another (a test sees to both). */
#include "cmd/cmd.h"

#pragma GCC diagnostic ignored "-Woverlength-strings"
/* Where o is taken: the orders of a list behind Esc-o. */
#define SORT_KEYS                                                                                                      \
    "bind list \"Esc-o d\" sort date\n"                                                                                \
    "bind list \"Esc-o r\" sort arrival\n"                                                                             \
    "bind list \"Esc-o f\" sort from\n"                                                                                \
    "bind list \"Esc-o s\" sort subject\n"                                                                             \
    "bind list \"Esc-o z\" sort size\n"                                                                                \
    "bind list \"Esc-o t\" threads\n"                                                                                  \
    "bind list \"Esc-o c\" conversations\n"                                                                            \
    "bind list \"Esc-o o\" sort reverse\n"                                                                             \
    "bind list \"Esc-o g\" group\n"                                                                                    \
    "bind list \"Esc-o v\" fold-day\n"                                                                                 \
    "bind list \"Esc-o V\" fold-days\n"

/* g goes, z folds, d and y take a motion's second key. */
static const char vim_keys[] = "bind list,boxes,help gg first\n"
                               "bind list,boxes,help G last\n"
                               "bind message gg top\n"
                               "bind message G bottom\n"
                               "unbind global y\n"
                               "bind global gm fetch\n"
                               "bind global gc change\n"
                               "bind global gb mailboxes\n"
                               "bind global gr recall\n"
                               "bind list,message ga parts\n"
                               "bind list,message gu unread\n"
                               "bind list,message gs read-thread\n"
                               "bind list,message R reply-all\n"
                               "bind list,boxes,help C-f page-down\n"
                               "bind list,boxes,help C-b page-up\n"
                               "bind list,boxes,help C-d half-down\n"
                               "bind list,boxes,help C-u half-up\n"
                               "bind message C-f scroll-down\n"
                               "bind message C-b scroll-up\n"
                               "bind list,message C-e line-down\n"
                               "bind list,message C-y line-up\n"
                               "bind list N previous-hit\n"
                               "bind message N \"previous-hit unread\"\n"
                               "bind list,message C-r redo\n"
                               "bind list,message v select\n"
                               "bind list,message zz snooze\n"
                               "bind list,message za fold toggle\n"
                               "bind list,message zo fold off\n"
                               "bind list,message zc fold on\n"
                               "bind list,message zR fold-all off\n"
                               "bind list,message zM fold-all on\n"
                               "bind list,message dd delete\n"
                               "bind list,message dt thread delete\n"
                               "bind list,message x delete\n"
                               "bind list,message yy yank\n"
                               "bind list,message yf yank from\n"
                               "bind list,message ys yank subject\n"
                               "bind list,message yl yank link\n"
                               "bind global gt next-buffer\n"
                               "bind global gT previous-buffer\n";

/* The keys of Gmail in a browser; g goes, * selects. */
static const char gmail_keys[] = "bind global c compose\n"
                                 "bind global gl change\n"
                                 "bind global gi go inbox\n"
                                 "bind global gs go flagged\n"
                                 "bind global gt go sent\n"
                                 "bind global gd go drafts\n"
                                 "bind global ga go all\n"
                                 "bind list,message gn page-down\n"
                                 "bind list,message gp page-up\n"
                                 "bind list,message e archive\n"
                                 "bind list,message a reply-all\n"
                                 "bind list,message \"#\" delete\n"
                                 "bind list,message z undo\n"
                                 "bind list,message Z redo\n"
                                 "bind list,message b snooze\n"
                                 "bind list,message gr remind\n"
                                 "bind list,message m mute\n"
                                 "bind list,message Esc-b bounce\n"
                                 "bind list,message x select\n"
                                 "bind list,message s flag\n"
                                 "bind list,message v move\n"
                                 "bind list,message P parts\n"
                                 "bind list,message ^ parent\n"
                                 "bind message n next-in-thread\n"
                                 "bind message p previous-in-thread\n"
                                 "bind message gh next-hit\n"
                                 "bind message gH previous-hit\n"
                                 "bind list,message l tag\n"
                                 "bind list,message Esc-l limit\n"
                                 "bind list,message u back stay\n"
                                 "bind list,message I unread off\n"
                                 "bind list,message U unread on\n"
                                 "bind message / search\n"
                                 "bind message Esc-/ find\n"
                                 "bind list o open\n" SORT_KEYS "bind list *a select-pattern *\n"
                                 "bind list *n unselect\n"
                                 "bind list *r select-pattern not tag:unread\n"
                                 "bind list *u select-pattern tag:unread\n"
                                 "bind list *s select-pattern tag:flagged\n"
                                 "bind list *t select-pattern not tag:flagged\n";

/* C-x and C-c begin what is rarer; single letters stay. C-h is BackSpace in a terminal: help is ? or F1. */
static const char emacs_keys[] = "bind list,message C-n next\n"
                                 "bind list,message C-p previous\n"
                                 "bind list,message Esc-n next-thread\n"
                                 "bind list,message Esc-p previous-thread\n"
                                 "bind boxes,help C-n down\n"
                                 "bind boxes,help C-p up\n"
                                 "bind attachments C-n part-next\n"
                                 "bind attachments C-p part-previous\n"
                                 "bind compose C-n compose-down\n"
                                 "bind compose C-p compose-up\n"
                                 "bind list,boxes,help C-v page-down\n"
                                 "bind list,boxes,help Esc-v page-up\n"
                                 "bind message C-v scroll-down\n"
                                 "bind message Esc-v scroll-up\n"
                                 "bind list,boxes,help Esc-< first\n"
                                 "bind list,boxes,help Esc-> last\n"
                                 "bind message Esc-< top\n"
                                 "bind message Esc-> bottom\n"
                                 "bind list,message \"C-c C-f\" fold\n"
                                 "bind list,message \"C-c C-d\" decrypt\n"
                                 "bind list,message C-d delete\n"
                                 "bind list,message C-k delete\n"
                                 "bind list,message C-Space select\n"
                                 "bind list C-s search\n"
                                 "bind message C-s find\n"
                                 "bind list,message Esc-w yank\n"
                                 "bind list,message \"C-x C-w\" save-message\n"
                                 "bind global C-_ undo\n"
                                 "bind global \"C-x u\" undo\n"
                                 "bind global \"C-x C-f\" change\n"
                                 "bind global \"C-x b\" change\n"
                                 "bind global \"C-x k\" close-buffer\n"
                                 "bind global \"C-x C-b\" buffers\n"
                                 "bind global \"C-x o\" focus next\n"
                                 "bind global \"C-x 1\" layout single\n"
                                 "bind global \"C-x 2\" layout tall\n"
                                 "bind global \"C-x 3\" layout wide\n"
                                 "bind global \"C-x 0\" layout auto\n"
                                 "bind global \"C-x m\" compose\n"
                                 "bind global \"C-x (\" record on\n"
                                 "bind global \"C-x )\" record off\n"
                                 "bind global \"C-x e\" play\n"
                                 "bind global \"C-x C-z\" suspend\n"
                                 "bind global \"C-x C-c\" quit\n"
                                 "bind global \"C-c C-u\" unsend\n"
                                 "bind global Esc-x palette\n"
                                 "bind global F1 help\n"
                                 "bind global F3 record on\n"
                                 "bind global F4 play\n"
                                 "bind compose \"C-c C-c\" send\n"
                                 "bind compose \"C-c C-k\" discard\n"
                                 "bind compose \"C-c C-a\" attach\n"
                                 "bind compose \"C-c C-e\" edit\n"
                                 "bind compose \"C-x C-s\" postpone\n";

/* The keys of alpine's menus, which do not care for the case of a letter. */
static const char alpine_keys[] = "bind list,message n next\n"
                                  "bind list,message p previous\n"
                                  "bind list,message P previous\n"
                                  "bind list,message ^ parent\n"
                                  "bind list,message Esc-n next-hit\n"
                                  "bind message Esc-b previous-hit\n"
                                  "bind list,boxes > open\n"
                                  "bind message < back\n"
                                  "bind list < mailboxes\n"
                                  "bind list,message l mailboxes\n"
                                  "bind list,message Esc-l limit\n"
                                  "bind list,message,boxes g change\n"
                                  "bind list,message c compose\n"
                                  "bind boxes c compose\n"
                                  "bind list,message R reply-all\n"
                                  "bind list,message Esc-r recall\n"
                                  "bind list,message D delete\n"
                                  "bind list,message X purge\n"
                                  "bind list,message U undo\n"
                                  "bind list,message Esc-U redo\n"
                                  "bind list,message e save-message\n"
                                  "bind list,message E save-message\n"
                                  "bind list,message S move\n"
                                  "bind list,message \"*\" flag\n"
                                  "bind message Esc-> last\n"
                                  "bind list,message \";\" select-pattern\n"
                                  "bind list,message T add-alias\n"
                                  "bind list,message \"Esc-;\" apply\n"
                                  "bind list,message w find\n"
                                  "bind list,message W search\n"
                                  "bind global Esc-W offline\n"
                                  "bind list,message i back\n"
                                  "bind list,message o palette\n"
                                  "bind message Esc-o links\n" SORT_KEYS "bind boxes a create-mailbox\n"
                                  "bind boxes < back\n"
                                  "bind compose C-x send\n"
                                  "bind compose C-o postpone\n"
                                  "bind compose Esc-o sidebar-open\n"
                                  "bind global Esc-. next-buffer\n"
                                  "bind global Esc-, previous-buffer\n"
                                  "bind compose C-t attach\n"
                                  "bind attachments < parts-close\n"
                                  "bind attachments S part-save\n";

const struct cmd_word keymap_profiles[] = {
    {"mutt", "mutt's keys, and tuimail's own for what mutt has not"},
    {"vim", "g, z, d and y begin what they begin in vim, C-f C-b C-d C-u page"},
    {"gmail", "the keys of Gmail in a browser: e archives, # deletes, g goes, * selects"},
    {"emacs", "C-n C-p C-v Esc-v move, C-x and C-c begin the rest"},
    {"alpine", "the keys of alpine's menus: N and P, D deletes, S saves, G goes, T takes the address, ^X sends"},
    {NULL, NULL}};
static const char *const texts[] = {"", vim_keys, gmail_keys, emacs_keys, alpine_keys};
_Static_assert(COUNT(texts) + 1 == COUNT(keymap_profiles), "a profile without its keys");

const char *keymap_profile(const char *name)
{
    for (size_t i = 0; i < COUNT(texts); i++)
        if (strcmp(keymap_profiles[i].name, name) == 0)
            return texts[i];
    return NULL;
}

static bool bind_text(struct keymap *map, const char *text, const char *file, struct err *err)
{
    struct str rest = str_z(text);
    unsigned number = 1;
    struct line line;
    while (line_next(&rest, file, &number, &line, err) == 1) {
        bool ok = keymap_line(map, &line, err);
        line_fini(&line);
        if (!ok)
            return false;
    }
    return err->kind == ERR_NONE;
}

bool keymap_defaults(struct keymap *map, const char *profile, struct err *err)
{
    const char *text = keymap_profile(profile);
    if (!text)
        return err_set(err, ERR_CONFIG, "unknown set of keys \"%.40s\"", profile);
    return bind_text(map, cmd_default_keys, NULL, err) && bind_text(map, text, profile, err);
}
