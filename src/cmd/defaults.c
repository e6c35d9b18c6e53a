/* The default keys, in the language of tuimailrc: what a user may write, and nothing a user may not. */
#include "cmd/cmd.h"

const char cmd_default_keys[] =
    /* ---- the list, from any pane ---- */
    "bind list,message j next\n"
    "bind list,message k previous\n"
    "bind list Down next\n"
    "bind list Up previous\n"
    "bind list,message = first\n"
    "bind list,message * last\n"
    "bind list,boxes,help Home first\n"
    "bind list,boxes,help End last\n"
    "bind list,boxes,help PgDn page-down\n"
    "bind list,boxes,help PgUp page-up\n"
    "bind list,message,help ] half-down\n"
    "bind list,message,help [ half-up\n"
    "bind list,message Tab next-unread\n"
    "bind list,message S-Tab previous-unread\n"
    "bind list,message,boxes Enter open\n"
    "bind global q back\n"
    "bind message i back\n"
    /* ---- the message, from any pane ---- */
    "bind list,message Space scroll-down\n"
    "bind list,message - scroll-up\n"
    "bind message PgDn scroll-down\n"
    "bind message PgUp scroll-up\n"
    "bind list,message J line-down\n"
    "bind list,message K line-up\n"
    "bind message Down line-down\n"
    "bind message Up line-up\n"
    "bind message Home top\n"
    "bind message End bottom\n"
    "bind list,message h headers\n"
    "bind list,message H html\n"
    "bind list,message Esc-q fold-quotes\n"
    "bind message o links\n"
    "bind message / find\n"
    "bind list,message n next-hit\n"
    "bind message p previous-hit\n"
    "bind list,message Esc-c conversation\n"
    "bind list,message Esc-u raw\n"
    /* ---- filing ---- */
    "bind list,message a archive\n"
    "bind list,message d delete\n"
    "bind list,message D purge\n"
    "bind list,message ! spam\n"
    "bind list,message s move\n"
    "bind list,message C copy\n"
    "bind list,message F flag\n"
    "bind list,message N unread\n"
    "bind list,message C-r read-thread\n"
    "bind list,message + tag\n"
    "bind list,message Y tag\n"
    "bind list,message t select\n"
    "bind list,message T select-pattern\n"
    "bind list,message Esc-t select-thread\n"
    "bind list,message Esc unselect\n"
    "bind list,message \";\" apply\n"
    "bind list,message Esc-a \"select-thread ; archive\"\n"
    "bind list,message Esc-d \"select-thread ; delete\"\n"
    "bind list,message Esc-s \"select-thread ; move\"\n"
    "bind global u undo\n"
    "bind global U redo\n"
    "bind list,message . repeat\n"
    /* ---- mailboxes and searches ---- */
    "bind global y mailboxes\n"
    "bind global c change\n"
    "bind global \"'i\" go inbox\n"
    "bind global \"'s\" go sent\n"
    "bind global \"'d\" go drafts\n"
    "bind global \"'a\" go archive\n"
    "bind global \"'t\" go trash\n"
    "bind global \"'j\" go spam\n"
    "bind global \"'u\" go unread\n"
    "bind global \"'f\" go flagged\n"
    "bind global \"'1\" go 1\n"
    "bind global \"'2\" go 2\n"
    "bind global \"'3\" go 3\n"
    "bind global \"'4\" go 4\n"
    "bind global \"'5\" go 5\n"
    "bind global \"'6\" go 6\n"
    "bind global \"'7\" go 7\n"
    "bind global \"'8\" go 8\n"
    "bind global \"'9\" go 9\n"
    "bind global \"''\" saved\n"
    "bind list,message l limit\n"
    "bind global / search\n"
    "bind list,message @ same-sender\n"
    "bind list,message Esc-@ same-subject\n"
    "bind global G fetch\n"
    "bind global $ sync\n"
    "bind boxes j down\n"
    "bind boxes k up\n"
    "bind boxes Down down\n"
    "bind boxes Up up\n"
    "bind boxes C create-mailbox\n"
    "bind boxes r rename-mailbox\n"
    "bind boxes d delete-mailbox\n"
    "bind boxes C-r read-all\n"
    /* ---- panes ---- */
    "bind global Left focus previous\n"
    "bind global Right focus next\n"
    "bind global \"C-w C-w\" focus next\n"
    "bind global \"C-w h\" focus boxes\n"
    "bind global \"C-w j\" focus list\n"
    "bind global \"C-w l\" focus message\n"
    "bind global \"C-w s\" sidebar toggle\n"
    "bind global C-l redraw\n"
    "bind global C-z suspend\n"
    "bind global C-c cancel\n"
    "bind global C-g cancel\n"
    "bind global : prompt\n"
    "bind global ? help\n"
    "bind help j down\n"
    "bind help k up\n"
    "bind help Down down\n"
    "bind help Up up\n"
    "bind help Space page-down\n"
    "bind help - page-up\n"
    "bind help Esc back\n"
    /* ---- prompt ---- */
    "bind prompt Enter edit-accept\n"
    "bind prompt C-g edit-cancel\n"
    "bind prompt C-c edit-cancel\n"
    "bind prompt Esc edit-cancel\n"
    "bind prompt Tab edit-complete\n"
    "bind prompt S-Tab edit-complete-back\n"
    "bind prompt Up edit-older\n"
    "bind prompt Down edit-newer\n"
    "bind prompt C-p edit-older\n"
    "bind prompt C-n edit-newer\n"
    "bind prompt Left edit-left\n"
    "bind prompt Right edit-right\n"
    "bind prompt C-b edit-left\n"
    "bind prompt C-f edit-right\n"
    "bind prompt Esc-b edit-word-left\n"
    "bind prompt Esc-f edit-word-right\n"
    "bind prompt C-Left edit-word-left\n"
    "bind prompt C-Right edit-word-right\n"
    "bind prompt Home edit-start\n"
    "bind prompt End edit-end\n"
    "bind prompt C-a edit-start\n"
    "bind prompt C-e edit-end\n"
    "bind prompt BackSpace edit-backspace\n"
    "bind prompt Delete edit-delete\n"
    "bind prompt C-d edit-delete\n"
    "bind prompt C-w edit-word-backspace\n"
    "bind prompt C-k edit-kill\n"
    "bind prompt C-u edit-clear\n";

/* What writes, answers and shows attachments. */
static const char compose_keys[] = "bind global m compose\n"
                                   "bind list,message r reply\n"
                                   "bind list,message g reply-all\n"
                                   "bind list,message L reply-list\n"
                                   "bind list,message f forward\n"
                                   "bind list,message b bounce\n"
                                   "bind list,message e edit-again\n"
                                   "bind global R recall\n"
                                   "bind list,message v parts\n"
                                   "bind list,message \"|\" pipe\n"
                                   "bind list,message S save-message\n"
                                   "bind message Esc-p decrypt\n"
                                   "bind compose y send\n"
                                   "bind compose e edit\n"
                                   "bind compose Enter edit\n"
                                   "bind compose a attach\n"
                                   "bind compose D detach\n"
                                   "bind compose t set-to\n"
                                   "bind compose c set-cc\n"
                                   "bind compose b set-bcc\n"
                                   "bind compose s set-subject\n"
                                   "bind compose f set-from\n"
                                   "bind compose P postpone\n"
                                   "bind compose q discard\n"
                                   "bind compose Space compose-down\n"
                                   "bind compose - compose-up\n"
                                   "bind compose PgDn compose-down\n"
                                   "bind compose PgUp compose-up\n"
                                   "bind attachments j part-next\n"
                                   "bind attachments k part-previous\n"
                                   "bind attachments Down part-next\n"
                                   "bind attachments Up part-previous\n"
                                   "bind attachments Enter part-open\n"
                                   "bind attachments s part-save\n"
                                   "bind attachments \"|\" part-pipe\n"
                                   "bind attachments q parts-close\n"
                                   "bind attachments v parts-close\n"
                                   "bind attachments Esc parts-close\n";

static const char vim_keys[] = "bind list,message \"gg\" first\n"
                               "bind list,message G last\n"
                               "bind global C-f page-down\n"
                               "bind global C-b page-up\n"
                               "bind global C-d half-down\n"
                               "bind global C-u half-up\n"
                               "bind list,message N previous-hit\n"
                               "bind global C-r redo\n"
                               "bind list,message v select\n";

static const char gmail_keys[] = "bind list,message e archive\n"
                                 "bind list,message \"#\" delete\n"
                                 "bind list,message z undo\n"
                                 "bind list,message x select\n"
                                 "bind list,message s flag\n"
                                 "bind list,message v move\n";

static const struct {
    const char *profile;
    const char *texts[3];
} profiles[] = {
    {"mutt", {cmd_default_keys, compose_keys, NULL}},
    {"vim", {cmd_default_keys, compose_keys, vim_keys}},
    {"gmail", {cmd_default_keys, compose_keys, gmail_keys}},
};

bool keymap_defaults(struct keymap *map, const char *profile, struct err *err)
{
    size_t p = 0;
    while (p < COUNT(profiles) && strcmp(profiles[p].profile, profile) != 0)
        p++;
    if (p == COUNT(profiles))
        return err_set(err, ERR_CONFIG, "unknown set of keys \"%.40s\"", profile);
    for (size_t i = 0; i < COUNT(profiles[p].texts) && profiles[p].texts[i]; i++) {
        struct str rest = str_z(profiles[p].texts[i]);
        unsigned number = 1;
        struct line line;
        while (line_next(&rest, NULL, &number, &line, err) == 1) {
            bool ok = keymap_line(map, &line, err);
            line_fini(&line);
            if (!ok)
                return false;
        }
    }
    return err->kind == ERR_NONE;
}
