/* The program: index -c FILE --store ROOT. */
#include "index/index.h"

#include "conf/conf.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_MAX (2ull << 30)
#define NICE 10

/* Maildirs that are elsewhere are read through a link in the mail directory. */
static void maildirs(const struct conf *conf, struct sandbox *box)
{
    size_t n = 0;
    for (size_t i = 0; i < conf->naccounts && n + 1 < COUNT(box->read_paths); i++) {
        const struct endpoint *in = &conf->accounts[i].in;
        if (in->proto == PROTO_MAILDIR && in->path)
            box->read_paths[n++] = path_expand_home(in->path);
    }
}

/* The file is left alone where it says that already: a disk may be full. */
static bool write_config(const struct index *ix, struct err *err)
{
    char *text = index_config_text(ix->dir, ix->mail);
    struct buf there = BUF_INIT(32768);
    struct err none = ERR_INIT;
    bool ok = fs_read(ix->config, 32768, &there, &none) && strcmp(buf_z(&there), text) == 0;
    if (!ok)
        rmdir(ix->config); /* where it is a directory: that could not be written over */
    ok = ok || fs_write_atomic(ix->config, 0600, str_z(text), err);
    buf_fini(&there);
    free(text);
    return ok;
}

static bool prepare(struct index *ix, struct sandbox *box, int argc, char **argv, struct err *err)
{
    struct conf_program p;
    if (!conf_program(argc, argv, false, &p, err))
        return false;
    char *root = conf_root(p.conf, p.store, err);
    bool ok = root != NULL;
    if (ok) {
        ix->mail = path_join(root, "mail");
        ix->heads = path_join(ix->mail, ".heads");
        ix->dir =
            path_join(p.conf->state_dir != NULL && p.conf->state_dir[0] != '\0' ? p.conf->state_dir : root, "index");
        ix->config = path_join(ix->dir, "config");
        ix->building = path_join(ix->dir, "building");
        struct buf fields = BUF_INIT(16384);
        conf_query_headers(p.conf, &fields);
        ix->fields = buf_take(&fields, NULL);
        ok = fs_mkdir_private(ix->mail, err) && fs_mkdir_private(ix->dir, err) && write_config(ix, err);
        if (!ok && err->kind == ERR_DISK_FULL)
            index_no_room(ix->dir, err);
    }
    log_open("index", (enum log_level)p.conf->log_level);
    *box = (struct sandbox){.role = ROLE_INDEX, .write_paths = {ix->dir, ix->mail, NULL}, .memory_max = MEMORY_MAX};
    maildirs(p.conf, box);
    free(root);
    conf_free(&p.conf);
    return ok;
}

static bool serve(struct index *ix, struct err *err)
{
    for (;;) {
        struct msg m;
        *err = ERR_INIT;
        if (chan_wait(ix->store, -1, &m, err) <= 0)
            return err->kind == ERR_NONE;
        if (m.kind == MSG_INDEX_REBUILD) {
            if (!index_rebuild(ix, err))
                return false;
            continue;
        }
        if (m.kind == MSG_INDEX_PAUSE) {
            headfile_back(ix);
            if (!SEND(ix->store, -1, err, INDEX_PAUSED, .job = m.u.INDEX_PAUSE.job))
                return false;
            continue;
        }
        if (ix->db == NULL)
            return err_set(err, ix->newer.kind, "%s", ix->newer.text);
        if (m.kind != MSG_INDEX_COMMIT) {
            if (!index_job(ix, &m, err))
                return false;
            continue;
        }
        uint64_t job = m.u.INDEX_COMMIT.job, revision;
        if (!index_commit(ix, m.u.INDEX_COMMIT.last, &revision, err) ||
            !SEND(ix->store, -1, err, INDEX_DONE, .job = job, .revision = revision))
            return false;
    }
}

/* What a newer notmuch wrote may still be built anew. */
static bool open_or_wait(struct index *ix, struct err *err)
{
    if (index_open(ix, err))
        return true;
    if (ix->newer.kind == ERR_NONE)
        return false;
    index_say(ix, err->kind, err->text);
    *err = ERR_INIT;
    return true;
}

/* Behind all others: at the processor, and at the disk where the system can. */
static void step_back(void)
{
    setpriority(PRIO_PROCESS, 0, NICE);
#ifdef SYS_ioprio_set
    enum { OF_PROCESS = 1, IDLE = 3, CLASS_SHIFT = 13 };
    syscall(SYS_ioprio_set, OF_PROCESS, 0, IDLE << CLASS_SHIFT);
#endif
}

int main(int argc, char **argv)
{
    struct index ix = {.lent_fd = -1};
    struct err err = ERR_INIT;
    char report[200];
    log_open("index", LOG_WARN);
    headfile_stack();
    step_back(); /* what brings mail or answers a key goes first */
    struct sandbox box = {.role = ROLE_INDEX};
    ix.store = chan_new(IPC_CHANNEL_FD, ROLE_INDEX, ROLE_STORE);
    bool ok = prepare(&ix, &box, argc, argv, &err) && sandbox_enter(&box, report, &err);
    for (size_t i = 0; i < COUNT(box.read_paths); i++)
        free((void *)(uintptr_t)box.read_paths[i]);
    if (ok) {
        /* Ready when the store has heard of an index that begins anew: what it sends after that is not sent twice. */
        ok = open_or_wait(&ix, &err) && SEND(ix.store, -1, &err, READY, .sandbox = str_z(report)) && serve(&ix, &err);
    }
    if (!ok) {
        log_msg(LOG_ERROR, "%s", err.text);
        index_say(&ix, err.kind, err.text);
    }
    struct err ignored = ERR_INIT;
    chan_drain(ix.store, clock_mono_ms() + 1000, &ignored);
    index_close(&ix);
    chan_free(&ix.store);
    buf_fini(&ix.remove);
    free(ix.dir);
    free(ix.mail);
    free(ix.heads);
    headfile_back(&ix);
    if (ix.lent != NULL)
        unlink(ix.lent);
    free(ix.lent);
    free(ix.lent_at);
    arena_free(&ix.arena);
    free(ix.config);
    free(ix.building);
    free(ix.fields);
    return ok ? 0 : err_exit(err.kind);
}
