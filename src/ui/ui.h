/* ui: the screen of tuimail: mailboxes, messages and one message on a cell grid; every key a named command.
 *
 * Owns the terminal and nothing else: it reads the state databases (store/read.h), asks `store` by channel for every
 * change and for bodies, and has `view` and `search` parse and look up. Nothing here waits for any of them: all is
 * driven by one poll loop. */
#ifndef TUIMAIL_UI_UI_H
#define TUIMAIL_UI_UI_H

#include "cmd/cmd.h"
#include "conf/conf.h"

struct ui_start {
    struct conf *conf;   /* borrowed; `:set` changes it */
    const char *root;    /* conf_root()'s answer, absolute */
    const char *store;   /* the --store argument, or NULL */
    const char *config;  /* the tuimailrc in use, absolute, or "" */
    const char *mailbox; /* opened first: "ACCOUNT/MAILBOX" or a query; NULL for all inboxes */
    bool offline;        /* ask the store not to connect */
    bool once_text;      /* print the panes once as plain text to stdout and return; needs no terminal */
};
/* Runs until the user quits, the terminal goes away or a signal says so; leaves the terminal as it was. Returns an exit
 * status of sysexits(3); complaints that the user must see after the screen is gone are on stderr. ERR_NO_TERMINAL's
 * status without a usable terminal. Blocks as client_connect does at its start, then never but for input. */
int ui_main(const struct ui_start *);

/* All commands, events, themes and things of themes: the language of bindings and of the `:` prompt. */
extern const struct cmd_lang ui_lang;

#endif
