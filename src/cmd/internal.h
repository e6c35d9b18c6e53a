/* Shared by the files of cmd/ alone. */
#ifndef TUIMAIL_CMD_INTERNAL_H
#define TUIMAIL_CMD_INTERNAL_H

#include "cmd/cmd.h"

/* An argument spec, parsed. It is ours: a mistake in it is a bug. */
struct spec_item {
    enum arg_kind kind;
    struct str choices; /* of ARG_CHOICE: "on|off" */
    char flag;
    bool has_value, needed, many;
};
struct spec {
    struct spec_item flags[CMD_MAX_ARGS], items[CMD_MAX_ARGS];
    size_t nflags, n;
};
void spec_parse(const char *text, struct spec *spec_r);
bool kind_swallows(enum arg_kind); /* takes the rest of the line */
/* Parses every command of the text and runs none. */
bool text_check(const struct cmd_lang *, const char *text, struct err *err);

#endif
