/* The program: own -c FILE --store ROOT. The user's own notmuch database (option index-database) hears of the mail that
 * is ours and lies below its root, and tells what was changed there.
 *
 * It is written for a moment at a time, and only where something differs: whoever types `notmuch tag` waits for that.
 * It is never upgraded, set aside or configured from here, and no hook of notmuch runs. */
#include "index/own_files.h"

#include "conf/conf.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MAX (2ull << 30)
#define NICE 10
#define JOBS_MAX 256

struct job {
    uint64_t number;
    bool gone, needed;
    char *full, *words;
};
struct own_program {
    struct own_files files;
    struct chan *store;
    struct job jobs[JOBS_MAX];
    size_t njobs;
    const struct own_account *told; /* whose mail is told of */
    bool first;                     /* and nothing is known of it: mail without a tag given by hand is no news */
};

static void say(struct own_program *p, enum err_kind kind, const char *text)
{
    struct err ignored = ERR_INIT;
    SEND(p->store, -1, &ignored, OWN_STATE, .kind = (uint32_t)kind, .text = str_z(text));
}

/* ---- Opening ---- */

static void own_close(struct own_program *p)
{
    if (p->files.db != NULL)
        notmuch_database_destroy(p->files.db);
    p->files.db = NULL;
}

static bool own_read(struct own_program *p, struct err *err)
{
    if (!own_open(&p->files.own, NOTMUCH_DATABASE_MODE_READ_ONLY, &p->files.db, err))
        return false;
    own_ways_read(&p->files);
    return true;
}

static void say_locked(void *arg)
{
    struct own_program *p = arg;
    struct err text = ERR_INIT;
    err_set(&text, ERR_NONE,
            "another program (notmuch new?) writes your notmuch database %s: what changes here goes there when that is "
            "done",
            p->files.own.given);
    say(p, ERR_NONE, text.text);
}

static bool own_write(struct own_program *p, struct err *err)
{
    char *xapian = path_join(p->files.own.dir, "xapian");
    bool ok = access(xapian, W_OK) == 0;
    if (!ok)
        err_set(err, ERR_PERMISSION,
                "your notmuch database %s cannot be written (%s): what changes here stays here; make it writable",
                p->files.own.given, strerror(errno));
    free(xapian);
    if (!ok || !own_open(&p->files.own, NOTMUCH_DATABASE_MODE_READ_WRITE, &p->files.db, err))
        return false;
    if (notmuch_database_needs_upgrade(p->files.db)) {
        own_close(p);
        return err_set(err, ERR_INDEX,
                       "your notmuch database %s is of an older notmuch: run notmuch new, which brings it up to date; "
                       "until then what changes here stays here",
                       p->files.own.given);
    }
    own_ways_read(&p->files);
    return true;
}

/* ---- What was changed there ---- */

static bool tell(void *arg, notmuch_message_t *m, struct err *err)
{
    struct own_program *p = arg;
    struct buf words = BUF_INIT(16384), path = BUF_INIT(1024);
    size_t below = strlen(p->told->below);
    notmuch_filenames_t *files = notmuch_message_get_filenames(m);
    for (; path.n == 0 && notmuch_filenames_valid(files); notmuch_filenames_move_to_next(files)) {
        const char *file = notmuch_filenames_get(files);
        if (strncmp(file, p->told->below, below) == 0)
            buf_addf(&path, "%s/%s%s", p->told->name, p->told->at, file + below);
    }
    notmuch_filenames_destroy(files);
    tags_words(m, &words);
    struct str rest = buf_str(&words), word;
    bool by_hand = !p->first;
    while (!by_hand && str_split(&rest, ' ', &word))
        by_hand = !tag_reserved(word);
    bool ok = path.n == 0 || path.full || !by_hand || words.full ||
              SEND(p->store, -1, err, OWN_TAGGED, .account = str_z(p->told->name),
                   .msgid = str_z(notmuch_message_get_message_id(m)), .path = buf_str(&path), .tags = buf_str(&words));
    buf_fini(&words);
    buf_fini(&path);
    return ok;
}

static bool look(struct own_program *p, struct str account, struct str known, uint64_t since, struct err *err)
{
    const char *uuid = "";
    const struct own_account *a = NULL;
    for (size_t i = 0; i < p->files.naccounts; i++)
        if (str_eqz(account, p->files.accounts[i].name))
            a = &p->files.accounts[i];
    if (a == NULL || !own_read(p, err))
        return a == NULL ? err_set(err, ERR_CHANNEL, "no such account") : false;
    unsigned long now = notmuch_database_get_revision(p->files.db, &uuid);
    p->first = !str_eqz(known, uuid);
    if (p->first || since > now)
        since = 0;
    bool ok = SEND(p->store, -1, err, OWN_AT, .account = str_z(a->name), .dir = str_z(p->files.own.dir),
                   .uuid = str_z(uuid), .below = a->below != NULL);
    p->told = a;
    if (ok && a->below != NULL && since < now)
        ok = look_since(p->store, p->files.db, (unsigned long)since, tell, p, err);
    own_close(p);
    return ok && SEND(p->store, -1, err, OWN_LOOKED, .account = str_z(a->name), .revision = now);
}

/* What is read while another program commits twice is not all there: it is read again. */
static bool look_whole(struct own_program *p, const struct m_OWN_LOOK *m, struct err *err)
{
    struct buf account = BUF_INIT(64), uuid = BUF_INIT(64);
    bool ok = false;
    buf_adds(&account, m->account);
    buf_adds(&uuid, m->uuid);
    for (int i = 0; i < 5 && !ok && (i == 0 || err->kind == ERR_INDEX); i++) {
        *err = ERR_INIT;
        ok = look(p, buf_str(&account), buf_str(&uuid), m->revision, err);
        own_close(p);
    }
    buf_fini(&account);
    buf_fini(&uuid);
    return ok;
}

/* ---- What changed here ---- */

static void jobs_forget(struct own_program *p)
{
    for (size_t i = 0; i < p->njobs; i++) {
        free(p->jobs[i].full);
        free(p->jobs[i].words);
    }
    p->njobs = 0;
}

static bool job_take(struct own_program *p, uint64_t number, struct str path, struct str words, bool gone,
                     struct err *err)
{
    if (p->njobs == JOBS_MAX)
        return err_set(err, ERR_CHANNEL, "more jobs than a batch has");
    char *full = own_full(&p->files, path);
    if (full == NULL) /* not below the root: nothing is to be done there */
        return true;
    p->jobs[p->njobs++] = (struct job){
        .number = number, .gone = gone, .full = full, .words = mem_dup_n(words.n > 0 ? words.p : "", words.n)};
    return true;
}

static bool jobs_need(struct own_program *p, bool *any_r, struct err *err)
{
    *any_r = false;
    if (!own_read(p, err))
        return false;
    for (size_t i = 0; i < p->njobs; i++) {
        struct job *j = &p->jobs[i];
        j->needed = j->gone ? own_gone_needs(&p->files, j->full) : own_file_needs(&p->files, j->full, str_z(j->words));
        *any_r = *any_r || j->needed;
    }
    own_close(p);
    return true;
}

static bool jobs_do(struct own_program *p, struct err *err)
{
    for (size_t i = 0; i < p->njobs; i++) {
        struct job *j = &p->jobs[i];
        struct err why = ERR_INIT;
        if (!j->needed ||
            (j->gone ? own_gone(&p->files, j->full, &why) : own_file(&p->files, j->full, str_z(j->words), &why)))
            continue;
        if (why.kind == ERR_INDEX) {
            *err = why;
            return false;
        }
        if (!SEND(p->store, -1, err, OWN_FAILED, .job = j->number, .kind = (uint32_t)why.kind, .text = str_z(why.text)))
            return false;
    }
    notmuch_status_t status = notmuch_database_close(p->files.db);
    return status == NOTMUCH_STATUS_SUCCESS || err_set(err, ERR_INDEX, "your notmuch database %s cannot be written: %s",
                                                       p->files.own.given, notmuch_status_to_string(status));
}

static bool commit(struct own_program *p, struct err *err)
{
    bool any = false;
    if (p->njobs > 0 && !jobs_need(p, &any, err))
        return false;
    if (any && !index_wait_unlocked(p->files.own.dir, say_locked, p))
        return err_set(err, ERR_CHANNEL, "the store has ended");
    bool ok = !any || (own_write(p, err) && jobs_do(p, err));
    own_close(p);
    jobs_forget(p);
    return ok;
}

/* ---- Whole ---- */

/* As tuimailrc names it where that is below the root, else by what both really are. */
static char *below_of(const struct own *own, const char *dir)
{
    struct buf below = BUF_INIT(16384);
    char *real = realpath(dir, NULL), *root = realpath(own->mail_root, NULL);
    const struct {
        const char *root, *dir;
    } pairs[] = {{own->mail_root, dir}, {root, real}};
    for (size_t i = 0; i < COUNT(pairs) && below.n == 0; i++) {
        size_t n = pairs[i].root != NULL ? strlen(pairs[i].root) : 0;
        if (n == 0 || pairs[i].dir == NULL || strncmp(pairs[i].dir, pairs[i].root, n) != 0 ||
            (pairs[i].dir[n] != '/' && pairs[i].dir[n] != '\0'))
            continue;
        size_t end = strlen(pairs[i].dir);
        while (end > n && pairs[i].dir[end - 1] == '/')
            end--;
        buf_addf(&below, "%s%.*s/", own->mail_root, (int)(end - n), pairs[i].dir + n);
    }
    free(real);
    free(root);
    return below.n > 0 ? buf_take(&below, NULL) : NULL;
}

static bool prepare(struct own_program *p, struct sandbox *box, int argc, char **argv, struct err *err)
{
    struct conf_program c;
    struct own *own = &p->files.own;
    if (!conf_program(argc, argv, false, &c, err))
        return false;
    log_open("own", (enum log_level)c.conf->log_level);
    char *root = conf_root(c.conf, c.store, err);
    bool ok = root != NULL;
    if (ok && c.conf->index_database[0] == '\0')
        ok = err_set(err, ERR_CONFIG, "index-database is not set");
    if (ok) {
        own->given = path_expand_home(c.conf->index_database);
        ok = own_find(own, err);
    }
    char *mail = ok ? path_join(root, "mail") : NULL;
    p->files.accounts = mem_array(c.conf->naccounts + 1, sizeof *p->files.accounts);
    for (size_t i = 0; ok && i < c.conf->naccounts; i++) {
        const struct account *a = &c.conf->accounts[i];
        bool link = a->in.proto == PROTO_MAILDIR && a->in.path != NULL;
        char *dir = link ? path_expand_home(a->in.path) : path_join(mail, a->name);
        p->files.accounts[p->files.naccounts++] =
            (struct own_account){.name = mem_dup_z(a->name), .below = below_of(own, dir), .at = link ? "maildir/" : ""};
        free(dir);
    }
    *box = (struct sandbox){
        .role = ROLE_OWN, .read_paths = {NULL}, .write_paths = {own->dir, NULL}, .memory_max = MEMORY_MAX};
    own_paths(own, box->read_paths, COUNT(box->read_paths));
    free(mail);
    free(root);
    conf_free(&c.conf);
    return ok;
}

static bool serve(struct own_program *p, struct err *err)
{
    for (;;) {
        struct msg m;
        bool ok = true;
        *err = ERR_INIT;
        if (chan_wait(p->store, -1, &m, err) <= 0)
            return err->kind == ERR_NONE;
        if (m.kind == MSG_OWN_LOOK) {
            ok = look_whole(p, &m.u.OWN_LOOK, err);
        } else if (m.kind == MSG_OWN_FILE) {
            ok = job_take(p, m.u.OWN_FILE.job, m.u.OWN_FILE.path, m.u.OWN_FILE.words, false, err);
        } else if (m.kind == MSG_OWN_GONE) {
            ok = job_take(p, m.u.OWN_GONE.job, m.u.OWN_GONE.path, STR(""), true, err);
        } else if (m.kind == MSG_OWN_COMMIT) {
            uint64_t job = m.u.OWN_COMMIT.job;
            ok = commit(p, err) && SEND(p->store, -1, err, OWN_DONE, .job = job);
        } else {
            ok = err_set(err, ERR_CHANNEL, "%s is not for own", msg_name(m.kind));
        }
        if (!ok)
            return false;
    }
}

int main(int argc, char **argv)
{
    struct own_program p = {.store = NULL};
    struct err err = ERR_INIT, ignored = ERR_INIT;
    struct sandbox box = {.role = ROLE_OWN};
    char report[200];
    log_open("own", LOG_WARN);
    headfile_stack();
    setpriority(PRIO_PROCESS, 0, NICE);
    p.store = chan_new(IPC_CHANNEL_FD, ROLE_OWN, ROLE_STORE);
    bool ok = prepare(&p, &box, argc, argv, &err) && sandbox_enter(&box, report, &err) &&
              SEND(p.store, -1, &err, READY, .sandbox = str_z(report)) && serve(&p, &err);
    if (!ok) {
        log_msg(LOG_ERROR, "%s", err.text);
        say(&p, err.kind, err.text);
    }
    chan_drain(p.store, clock_mono_ms() + 1000, &ignored);
    own_close(&p);
    jobs_forget(&p);
    own_ways_free(&p.files.ways);
    chan_free(&p.store);
    for (size_t i = 0; i < p.files.naccounts; i++) {
        free(p.files.accounts[i].name);
        free(p.files.accounts[i].below);
    }
    free(p.files.accounts);
    own_free(&p.files.own);
    return ok ? 0 : err_exit(err.kind);
}
