/* The program: store -c FILE --store ROOT, its channel to spawn on fd 3. spawn holds the lock of the root. */
#include "store/server.h"

#include <unistd.h>

/* WAL's shared memory does not work on network file systems: rows and intents need a local disk (option state-dir). */
static bool directories(const struct conf *conf, const char *root, struct sandbox *box, struct err *err)
{
    static char *state, *outbox;
    state = conf->state_dir && conf->state_dir[0] ? path_expand_home(conf->state_dir) : path_join(root, "state");
    outbox = path_join(root, "outbox");
    if (!fs_mkdir_private(root, err) || !fs_mkdir_private(state, err) || !fs_mkdir_private(outbox, err))
        return false;
    if (fs_is_network(state))
        return err_set(err, ERR_CONFIG, "%s is on a network file system: set state-dir to a directory on a local disk",
                       state);
    box->write_paths[0] = state;
    box->write_paths[1] = outbox;
    return true;
}

int main(int argc, char **argv)
{
    struct conf_program p;
    struct err err = ERR_INIT;
    struct sandbox box = {.role = ROLE_STORE};
    char report[200], *root = NULL;
    int status = 0;
    log_open("store", LOG_WARN);
    bool ok = conf_program(argc, argv, false, &p, &err) && (root = conf_root(p.conf, p.store, &err)) &&
              directories(p.conf, root, &box, &err) && sandbox_enter(&box, report, &err);
    if (ok) {
        log_open("store", (enum log_level)p.conf->log_level);
        log_msg(LOG_INFO, "sandbox: %s", report);
        status = server_run(p.conf, root, IPC_CHANNEL_FD);
    } else {
        log_msg(LOG_ERROR, "%s", err.text);
        status = err_exit(err.kind);
    }
    free(root);
    conf_free(&p.conf);
    return status;
}
