/* What stands in where the screen is not linked: the headless commands work all the same. */
#include "ui/ui.h"

#include <unistd.h>

const struct cmd_lang ui_lang = {.commands = NULL};

int ui_main(UNUSED const struct ui_start *start)
{
    fputs("tuimail: this build has no screen; tuimail help lists the commands\n", stderr);
    return err_exit(ERR_NO_TERMINAL);
}
