#include "conf/conf.h"

bool conf_program(int argc, char **argv, bool account, struct conf_program *p, struct err *err)
{
    *p = (struct conf_program){.config = ""};
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "-c") == 0)
            p->config = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--store") == 0)
            p->store = argv[++i];
        else if (account && strcmp(argv[i], "--search") == 0)
            p->search = true;
        else if (account && !p->account && argv[i][0] != '-')
            p->account = argv[i];
        else
            return err_set(err, ERR_USAGE, "unknown argument %s", argv[i]);
    }
    if (account && !p->account)
        return err_set(err, ERR_USAGE, "no account is named: this program is started by the store");
    if (!p->config[0])
        p->conf = conf_defaults();
    else if (!conf_load(p->config, &p->conf, NULL, err))
        return false;
    const char *settings = getenv(SETTINGS_ENV);
    if (settings)
        settings_run(p->conf, str_z(settings));
    return true;
}
