/* The program: search -c FILE --store ROOT. */
#include "search/search.h"

#include <poll.h>
#include <unistd.h>

#define MEMORY_MAX (1ull << 30)

struct reader *search_reader(struct search *s, size_t account)
{
    struct err err = ERR_INIT;
    if (s->readers[account] == NULL &&
        (s->readers[account] = reader_open(s->state, s->accounts[account], &err)) == NULL)
        log_msg(LOG_WARN, "%s: %s", s->accounts[account], err.text);
    return s->readers[account];
}

static bool prepare(struct search *s, int argc, char **argv, struct err *err)
{
    struct conf_program p;
    if (!conf_program(argc, argv, false, &p, err))
        return false;
    const struct conf *conf = s->conf = p.conf;
    log_open("search", (enum log_level)conf->log_level);
    char *root = conf_root(conf, p.store, err);
    if (root != NULL) {
        bool apart = conf->state_dir != NULL && conf->state_dir[0] != '\0';
        s->index = path_join(apart ? conf->state_dir : root, "index");
        s->config = path_join(s->index, "config");
        s->state = apart ? mem_dup_z(conf->state_dir) : path_join(root, "state");
        struct buf fields = BUF_INIT(16384);
        conf_query_headers(conf, &fields);
        s->fields = buf_take(&fields, NULL);
        if (conf->index_database[0] != '\0')
            s->own.given = path_expand_home(conf->index_database);
        s->naccounts = conf->naccounts;
        s->accounts = mem_array(s->naccounts + 1, sizeof *s->accounts);
        s->readers = mem_array(s->naccounts + 1, sizeof(struct reader *));
        for (size_t i = 0; i < s->naccounts; i++)
            s->accounts[i] = mem_dup_z(conf->accounts[i].name);
    }
    free(root);
    return s->index != NULL;
}

/* The screen keeps one of this program waiting while a query is typed: whatever the first query of a process has to
 * load, map and open was loaded, mapped and opened before the letter comes. */
static void warm(struct search *s)
{
    struct pollfd asked = {.fd = IPC_CHANNEL_FD, .events = POLLIN};
    for (size_t i = 0; i < s->naccounts && poll(&asked, 1, 0) == 0; i++) {
        struct reader *r = search_reader(s, i);
        if (r != NULL)
            reader_version(r);
    }
    if (poll(&asked, 1, 0) == 0)
        search_touch(s);
}

/* The next message to work on: the newest QUERY of those that wait, the older ones answered as superseded. */
static bool serve(struct search *s, struct err *err)
{
    struct msg m = {.kind = MSG_NONE}, next;
    for (;;) {
        struct err gone = ERR_INIT;
        if (m.kind == MSG_NONE && chan_wait(s->client, -1, &m, &gone) <= 0) {
            if (gone.kind != ERR_NONE)
                *err = gone;
            return gone.kind == ERR_NONE;
        }
        if (m.fd >= 0)
            close(m.fd);
        next.kind = MSG_NONE;
        if (m.kind == MSG_QUERY) {
            /* its strings live in the channel's buffer, which the look for a newer one may overwrite */
            struct buf query = BUF_INIT(8192), account = BUF_INIT(64);
            struct m_QUERY q = m.u.QUERY;
            buf_adds(&query, q.query);
            buf_adds(&account, q.account);
            q.query = buf_str(&query);
            q.account = buf_str(&account);
            bool ok = search_run(s, &q, &next, err);
            buf_fini(&query);
            buf_fini(&account);
            if (!ok)
                return err->kind == ERR_NONE || err->kind == ERR_CHANNEL;
        } else if (m.kind != MSG_CANCEL) {
            return err_set(err, ERR_CHANNEL, "%s is not for search", msg_name(m.kind));
        }
        m = next;
    }
}

int main(int argc, char **argv)
{
    struct search s = {.client = NULL};
    struct err err = ERR_INIT;
    char report[200];
    log_open("search", LOG_WARN);
    bool ok = prepare(&s, argc, argv, &err);
    struct sandbox box = {.role = ROLE_SEARCH, .read_paths = {s.index, s.state, NULL}, .memory_max = MEMORY_MAX};
    struct err unread = ERR_INIT;
    if (ok && !own_find(&s.own, &unread))
        log_msg(LOG_WARN, "%s", unread.text);
    own_paths(&s.own, box.read_paths, COUNT(box.read_paths));
    ok = ok && sandbox_enter(&box, report, &err);
    if (ok) {
        s.client = chan_new(IPC_CHANNEL_FD, ROLE_SEARCH, ROLE_UI);
        warm(&s);
        ok = serve(&s, &err);
    }
    if (!ok)
        log_msg(LOG_ERROR, "%s", err.text);
    chan_free(&s.client);
    for (size_t i = 0; i < s.naccounts; i++) {
        if (s.readers[i] != NULL)
            reader_close(&s.readers[i]);
        free(s.accounts[i]);
    }
    free(s.accounts);
    free(s.readers);
    own_free(&s.own);
    free(s.index);
    free(s.config);
    free(s.fields);
    free(s.state);
    conf_free(&s.conf);
    return ok ? 0 : err_exit(err.kind);
}
