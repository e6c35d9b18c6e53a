/* tuimail demo: a store of its own, the screen, and nothing left behind. */
#include "cli/cli.h"
#include "cli/demo.h"
#include "ui/ui.h"

#include <unistd.h>

int demo_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct conf *conf = NULL;
    char *rc = NULL, *root = NULL;
    if (cli->argc > 0) {
        err_set(&err, ERR_USAGE, "demo takes no words");
        return cli_fail(&err);
    }
    char *dir = demo_make(&rc, &root, &err);
    int status;
    if (dir && conf_load(rc, &conf, NULL, &err))
        status = ui_main(&(struct ui_start){.conf = conf,
                                            .root = root,
                                            .store = root,
                                            .config = rc,
                                            /* without a terminal: the panes once, as text */
                                            .once_text = !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)});
    else
        status = cli_fail(&err);
    if (dir)
        demo_remove(dir);
    conf_free(&conf);
    free(dir);
    free(rc);
    free(root);
    return status;
}
