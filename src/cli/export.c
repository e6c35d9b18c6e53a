/* tuimail export: mails into a Maildir or an mbox, byte for byte. */
#include "cli/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define WINDOW 64 /* mails under way */
#define PAGE 1000
#define TRIES 5
#define TRY_MS 2000
#define ITEMS_MAX 10000000
#define NAME_ID_MAX 140 /* of a Message-ID, what the name of a file holds */

struct item {
    struct desk_account *account; /* NULL: a file that the index alone knows */
    uint64_t msg;
    int64_t date;
    uint32_t folder;
    char *name;  /* of the file in a Maildir; or the path of a file that the index alone knows */
    bool unsure; /* the name may stand for another mail, too */
};
enum slot_state { SLOT_ASKED, SLOT_LATER, SLOT_READY, SLOT_PUT, SLOT_OVER };
struct slot {
    enum slot_state state;
    int fd;
    unsigned tries;
    int64_t again; /* monotonic: SLOT_LATER */
};
struct export
{
    struct desk desk;
    bool maildir, overwrite;
    const char *output; /* absolute, or "-" */
    char *path;         /* owns it */
    char *temporary;    /* of the mbox, until it is whole */
    int out;
    struct item *items;
    size_t n, cap;
    char **folders; /* of the Maildir; the first is "" */
    size_t nfolders;
    struct slot slots[WINDOW];
    size_t head, put, next; /* first item that is not done, not given to archive, not asked for */
    size_t synced;          /* items before it are answered by archive without being asked again */
    uint32_t base;          /* the request of item i is base + i */
    size_t added, there, gone, away, failed;
    char why[400]; /* of the last that is away or failed */
};

/* ---- What is exported --------------------------------------------------------------------------- */
static bool item_add(struct export *x, const struct item *item, struct err *err)
{
    if (x->n == ITEMS_MAX)
        return err_set(err, ERR_LIMIT, "these are more than %d mails", ITEMS_MAX);
    if (x->n == x->cap)
        x->items = mem_resize(x->items, x->cap = x->cap ? 2 * x->cap : 1024, sizeof *x->items);
    x->items[x->n++] = *item;
    return true;
}

/* The folder of a mailbox: its path as the server or the Maildir writes it, with '.' between the names. */
static uint32_t folder_add(struct export *x, struct str path, char delim)
{
    struct buf name = BUF_INIT(240);
    bool inbox = path.n == 0 || str_case_eqz(path, "INBOX");
    for (size_t i = 0; i < path.n && !inbox; i++) {
        char c = path.p[i];
        bool dot = delim && c == delim;
        bool bad = (unsigned char)c < ' ' || c == 0x7f || c == '/' || c == '.';
        buf_addc(&name, (char)(dot ? '.' : bad ? '_' : c));
    }
    /* What a folder's name cannot be. */
    struct buf tidy = BUF_INIT(240);
    for (size_t i = 0; i < name.n; i++) {
        bool empty = name.p[i] == '.' && (i == 0 || i + 1 == name.n || name.p[i + 1] == '.');
        buf_addc(&tidy, (char)(empty ? '_' : name.p[i]));
    }
    x->folders = mem_resize(x->folders, x->nfolders + 1, sizeof *x->folders);
    x->folders[x->nfolders] = mem_dup_z(buf_z(&tidy));
    buf_fini(&name);
    buf_fini(&tidy);
    return (uint32_t)x->nfolders++;
}

struct collecting {
    struct export *x;
    struct desk_account *account;
    uint32_t folder;
    struct row_key last;
    unsigned got;
    struct err *err;
    bool ok;
};

static void on_row(void *arg, const struct msg_row *row)
{
    struct collecting *c = arg;
    c->got++;
    c->last = ROW_KEY(row->date, row->id);
    if (c->ok)
        c->ok = item_add(c->x,
                         &(struct item){.account = c->account, .msg = row->id, .date = row->date, .folder = c->folder},
                         c->err);
}

static bool add_box(struct export *x, struct desk_account *a, const struct box_row *box, uint32_t folder,
                    struct err *err)
{
    struct collecting c = {.x = x, .account = a, .folder = folder, .err = err, .ok = true};
    uint64_t id = box->id;
    uint32_t total = box->total;
    size_t before = x->n;
    char name[200];
    snprintf(name, sizeof name, "%.*s", STR_FMT(box->utf8));
    do {
        bool first = c.got == 0;
        c.got = 0;
        if (!reader_rows(a->reader, id, LIST_ALL, first ? NULL : &c.last, false, PAGE, on_row, &c, err))
            return false;
    } while (c.ok && c.got == PAGE);
    if (c.ok && x->n - before < total) {
        snprintf(x->why, sizeof x->why, "%u mails of %s of %s have not been listed yet",
                 (unsigned)(total - (x->n - before)), name, a->conf->name);
        x->away += total - (x->n - before);
    }
    return c.ok;
}

struct boxes {
    struct box_row *list;
    size_t n, cap;
};

static void on_box(void *arg, const struct box_row *box)
{
    struct boxes *b = arg;
    if (box->attrs & (BOX_NOSELECT | BOX_NONEXISTENT))
        return;
    if (b->n == b->cap)
        b->list = mem_resize(b->list, b->cap = b->cap ? 2 * b->cap : 32, sizeof *b->list);
    b->list[b->n] = *box;
    b->list[b->n].name = (struct str){mem_dup_n(box->name.p, box->name.n), box->name.n};
    b->list[b->n].utf8 = (struct str){mem_dup_n(box->utf8.p, box->utf8.n), box->utf8.n};
    b->n++;
}

/* A whole account: into a Maildir, each mailbox is a folder of it. */
static bool add_account(struct export *x, struct desk_account *a, struct err *err)
{
    struct boxes boxes = {.n = 0};
    bool ok = reader_boxes(a->reader, on_box, &boxes, err);
    for (size_t i = 0; i < boxes.n; i++) {
        const struct box_row *b = &boxes.list[i];
        ok = ok && add_box(x, a, b, x->maildir ? folder_add(x, b->name, b->delim) : 0, err);
        free((void *)(uintptr_t)b->name.p);
        free((void *)(uintptr_t)b->utf8.p);
    }
    free(boxes.list);
    return ok;
}

static struct desk_account *account_named(struct export *x, struct str name)
{
    for (size_t i = 0; i < x->desk.n; i++)
        if (str_eqz(name, x->desk.accounts[i].conf->name))
            return &x->desk.accounts[i];
    return NULL;
}

static bool add_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct export *x = arg;
    struct item item = {.account = account_named(x, h->account), .msg = h->msg, .date = h->date};
    if (!item.account && h->path.n && h->path.p[0] == '/')
        item.name = mem_dup_n(h->path.p, h->path.n);
    if (!item.account && !item.name) {
        x->gone++;
        return true;
    }
    return item_add(x, &item, err);
}

static bool add_query(struct export *x, const char *account, const char *query, struct err *err)
{
    struct open_role h = {.pid = 0};
    const struct question q = {.query = query, .account = account, .order = SEARCH_OLDEST};
    bool ok = role_open(x->desk.cli, ROLE_SEARCH, NULL, &h, err) && search_ask(h.chan, &q, add_hit, x, err);
    role_close(&h);
    return ok;
}

/* ---- Names of files ------------------------------------------------------------------------------ */
/* The same for the same mail in every run, whatever machine or mailbox it is exported from: arrival, Message-ID, size.
 * Where that is not all there is to know, the mail is compared with the one that has the name. */
static bool name_item(struct item *it, struct err *err)
{
    static const char hex[] = "0123456789abcdef";
    struct msg_row row;
    struct buf name = BUF_INIT(230);
    if (!it->account)
        return true;
    if (!reader_row(it->account->reader, it->msg, &row, err))
        return false;
    it->unsure = row.msgid.n == 0;
    buf_addf(&name, "%lld.", (long long)(row.arrived > 0 ? row.arrived : row.date));
    for (size_t i = 0; i < row.msgid.n; i++) {
        unsigned char c = (unsigned char)row.msgid.p[i];
        if (name.n > NAME_ID_MAX) {
            it->unsure = true;
            break;
        }
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '@' ||
            c == '.' || c == '_')
            buf_addc(&name, (char)c);
        else
            buf_addf(&name, "=%c%c", hex[c >> 4], hex[c & 15]);
    }
    buf_addf(&name, ".%llu.tuimail", (unsigned long long)row.size);
    it->name = mem_dup_z(buf_z(&name));
    buf_fini(&name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    if (x->folder != y->folder)
        return x->folder < y->folder ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_date(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->date != y->date)
        return x->date < y->date ? -1 : 1;
    return (x->msg > y->msg) - (x->msg < y->msg);
}

static bool name_all(struct export *x, struct err *err)
{
    struct item **sorted = mem_array(x->n + 1, sizeof *sorted);
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < x->n; i++) {
        ok = name_item(&x->items[i], err);
        if (x->items[i].account && x->items[i].name)
            sorted[n++] = &x->items[i];
    }
    if (ok && n)
        qsort(sorted, n, sizeof(struct item *), by_name);
    for (size_t i = 1; ok && i < n; i++)
        if (by_name(&sorted[i - 1], &sorted[i]) == 0)
            sorted[i - 1]->unsure = sorted[i]->unsure = true;
    free(sorted);
    return ok;
}

/* ---- The mails ---------------------------------------------------------------------------------- */
static struct slot *slot_of(struct export *x, size_t i)
{
    return &x->slots[i % WINDOW];
}

/* Of a large mail only the header may be here: it is asked for as if somebody looked at it, so that the rest comes. */
static bool ask(struct export *x, size_t i, struct err *err)
{
    const struct item *it = &x->items[i];
    struct msg_row row;
    slot_of(x, i)->state = SLOT_ASKED;
    if (!reader_row(it->account->reader, it->msg, &row, err))
        return false;
    return SEND(x->desk.client->chan, -1, err, OPEN, .req = x->base + (uint32_t)i,
                .account = str_z(it->account->conf->name), .msg = it->msg, .prefetch = !(row.state & ROW_STUB),
                .want = STR("*"));
}

/* What archive says of a mail that it was given. */
static bool put_done(struct export *x, const struct m_ARCHIVE_PUT_DONE *d, struct err *err)
{
    size_t i = d->req - x->base;
    if (d->req < x->base || i < x->head || i >= x->put || slot_of(x, i)->state != SLOT_PUT)
        return err_set(err, ERR_CHANNEL, "an answer that was not asked for");
    slot_of(x, i)->state = SLOT_OVER;
    if (d->kind != ERR_NONE)
        return err_set(err, (enum err_kind)MIN(d->kind, (uint32_t)ERR_COUNT - 1), "%.*s", STR_FMT(d->text));
    x->added += d->added;
    x->there += !d->added;
    return true;
}

/* Its next word, other than that. */
static bool role_next(struct export *x, struct msg *m, struct err *err)
{
    bool ok = desk_role_receive(&x->desk, m, err);
    if (ok && m->fd >= 0)
        close(m->fd);
    if (ok && m->kind == MSG_ARCHIVE_PUT_DONE)
        ok = put_done(x, &m->u.ARCHIVE_PUT_DONE, err);
    return ok;
}

static bool has(struct export *x, const struct item *it, bool *has_r, struct err *err)
{
    struct msg m = {.kind = MSG_NONE};
    *has_r = false;
    if (!x->maildir || it->unsure || !it->account)
        return true;
    bool ok = SEND(x->desk.role.chan, -1, err, ARCHIVE_HAS, .req = 0, .folder = str_z(x->folders[it->folder]),
                   .name = str_z(it->name));
    while (ok && m.kind != MSG_ARCHIVE_IS)
        ok = role_next(x, &m, err);
    *has_r = ok && m.u.ARCHIVE_IS.yes;
    return ok;
}

static bool begin_item(struct export *x, struct err *err)
{
    size_t i = x->next++;
    const struct item *it = &x->items[i];
    bool there;
    *slot_of(x, i) = (struct slot){.state = SLOT_OVER, .fd = -1};
    if (!has(x, it, &there, err))
        return false;
    if (there) {
        x->there++;
        return true;
    }
    if (it->account)
        return ask(x, i, err);
    int fd = open(it->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *slot_of(x, i) = (struct slot){.state = fd >= 0 ? SLOT_READY : SLOT_OVER, .fd = fd};
    x->gone += fd < 0;
    return true;
}

/* Gives it to archive, with its flags and tags as they are now. */
static bool put(struct export *x, size_t i, int fd, struct err *err)
{
    const struct item *it = &x->items[i];
    struct msg_row row = {.flags = FLAG_SEEN, .arrived = it->date};
    struct buf tags = BUF_INIT(4000), name = BUF_INIT(230);
    bool ok = !it->account || (reader_row(it->account->reader, it->msg, &row, err) &&
                               reader_tags(it->account->reader, it->msg, &tags, err));
    if (!it->account) /* its path is not for others */
        buf_addf(&name, "%lld.%016llx.tuimail", (long long)it->date, (unsigned long long)str_hash(str_z(it->name)));
    ok = ok && SEND(x->desk.role.chan, fd, err, ARCHIVE_PUT, .req = x->base + (uint32_t)i,
                    .folder = str_z(x->maildir ? x->folders[it->folder] : ""),
                    .name = it->account ? str_z(it->name) : buf_str(&name), .unsure = it->unsure || !it->account,
                    .flags = row.flags, .tags = str_sub(buf_str(&tags), 0, 1024),
                    .arrived = row.arrived > 0 ? row.arrived : it->date);
    buf_fini(&tags);
    buf_fini(&name);
    return ok;
}

/* A line that was lost is back soon; the rest is counted, and said at the end. */
static void not_had(struct export *x, struct slot *s, const struct m_REFUSED *r)
{
    bool line = r->kind == ERR_LINE || r->kind == ERR_TIMEOUT || r->kind == ERR_SERVER_BYE || r->kind == ERR_PROTOCOL ||
                r->kind == ERR_SERVER_TEMP || r->kind == ERR_LIMIT;
    if (line && s->tries++ < TRIES) {
        s->state = SLOT_LATER;
        s->again = clock_mono_ms() + TRY_MS;
        return;
    }
    s->state = SLOT_OVER;
    if (r->kind == ERR_NO_MESSAGE) {
        x->gone++;
        return;
    }
    x->away += line || r->kind == ERR_OFFLINE;
    x->failed += !line && r->kind != ERR_OFFLINE;
    snprintf(x->why, sizeof x->why, "%.*s", STR_FMT(r->text));
}

static void receive(struct export *x, struct msg *m)
{
    uint32_t req = m->kind == MSG_BODY ? m->u.BODY.req : m->kind == MSG_REFUSED ? m->u.REFUSED.req : 0;
    size_t i = req - x->base;
    struct slot *s = req >= x->base && i >= x->head && i < x->next ? slot_of(x, i) : NULL;
    if (s && s->state == SLOT_ASKED && m->kind == MSG_REFUSED) {
        not_had(x, s, &m->u.REFUSED);
    } else if (s && s->state == SLOT_ASKED && m->kind == MSG_BODY && !m->u.BODY.more && !m->u.BODY.absent.n) {
        *s = (struct slot){.state = SLOT_READY, .fd = m->fd};
        m->fd = -1;
    }
    if (m->fd >= 0)
        close(m->fd);
}

/* In order; what is not here yet is waited for. */
static bool put_ready(struct export *x, struct err *err)
{
    for (; x->put < x->next; x->put++) {
        struct slot *s = slot_of(x, x->put);
        if (s->state == SLOT_LATER && clock_mono_ms() >= s->again && !ask(x, x->put, err))
            return false;
        if (s->state != SLOT_READY && s->state != SLOT_OVER)
            break;
        if (s->state == SLOT_OVER)
            continue;
        bool ok = put(x, x->put, s->fd, err);
        close(s->fd);
        *s = (struct slot){.state = SLOT_PUT, .fd = -1};
        if (!ok)
            return false;
    }
    return true;
}

static bool wait_some(struct export *x, struct err *err)
{
    struct msg m;
    /* A good number of mails is made durable at once; fewer, where no more come soon. */
    bool more = x->put < x->next && x->put - x->head < WINDOW / 2;
    if (slot_of(x, x->head)->state == SLOT_PUT && (x->head < x->synced || !more)) {
        if (x->head >= x->synced) {
            if (!SEND(x->desk.role.chan, -1, err, ARCHIVE_SYNC, .unused = 0))
                return false;
            x->synced = x->put;
        }
        return role_next(x, &m, err);
    }
    int got = desk_receive(&x->desk, clock_mono_ms() + 500, &m, err);
    if (got > 0)
        receive(x, &m);
    return got >= 0;
}

static bool copy_all(struct export *x, struct err *err)
{
    bool ok = true;
    x->base = x->desk.req + 1;
    while (ok && x->head < x->n) {
        if (desk_stopped())
            return err_set(err, ERR_CANCELED, "stopped");
        while (ok && x->next < x->n && x->next - x->head < WINDOW)
            ok = begin_item(x, err);
        ok = ok && put_ready(x, err);
        if (ok && x->head < x->next && slot_of(x, x->head)->state != SLOT_OVER)
            ok = wait_some(x, err);
        while (ok && x->head < x->put && slot_of(x, x->head)->state == SLOT_OVER)
            x->head++;
        desk_progress(&x->desk, "exported", x->head, x->n);
    }
    desk_progress_end(&x->desk);
    return ok;
}

/* ---- Where it goes ------------------------------------------------------------------------------- */
static bool out_open(struct export *x, struct err *err)
{
    if (x->maildir)
        return fs_mkdir_private(x->output, err) && desk_role(&x->desk, "maildir", x->output, err);
    bool stdout_ = strcmp(x->output, "-") == 0;
    if (!stdout_ && !x->overwrite && access(x->output, F_OK) == 0)
        return err_set(err, ERR_USAGE, "%s exists; --overwrite replaces it", x->output);
    if (!stdout_) {
        unsigned char random[6];
        char hex[2 * sizeof random + 1];
        struct buf name = BUF_INIT(8192);
        fs_random(random, sizeof random);
        hex_encode(random, sizeof random, hex);
        buf_addf(&name, "%s.%s.part", x->output, hex);
        x->temporary = mem_dup_z(buf_z(&name));
        buf_fini(&name);
        x->out = open(x->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (x->out < 0) {
            int saved = errno;
            free(x->temporary);
            x->temporary = NULL;
            return err_sys(err, err_from_errno(saved), saved, "cannot write %s", x->output);
        }
    }
    return desk_role(&x->desk, "mbox", "", err) &&
           SEND(x->desk.role.chan, stdout_ ? STDOUT_FILENO : x->out, err, ARCHIVE_FILE, .req = 0);
}

/* The mbox gets its name when it is whole, and takes no other file's unless it was told to. */
static bool out_link(struct export *x, struct err *err)
{
    char *dir = mem_dup_z(x->output), *slash = strrchr(dir, '/');
    slash[slash == dir] = '\0'; /* the path is absolute */
    bool ok = fsync(x->out) == 0 || err_sys(err, err_from_errno(errno), errno, "cannot write %s", x->output);
    if (ok && link(x->temporary, x->output) != 0)
        ok = errno == EEXIST ? err_set(err, ERR_USAGE, "%s exists by now; --overwrite replaces it", x->output)
                             : err_sys(err, err_from_errno(errno), errno, "cannot name %s", x->output);
    if (ok)
        unlink(x->temporary);
    ok = ok && fs_sync_dir(dir, err);
    free(dir);
    return ok;
}

static bool out_end(struct export *x, struct err *err)
{
    if (x->out < 0)
        return true;
    if (!x->overwrite)
        return out_link(x, err);
    int fd = x->out;
    x->out = -1;
    bool ok = fs_commit(fd, x->temporary, x->output, err);
    free(x->temporary);
    x->temporary = NULL;
    return ok;
}

static void out_drop(struct export *x)
{
    if (x->out >= 0)
        close(x->out);
    if (x->temporary)
        unlink(x->temporary);
    free(x->temporary);
}

/* ---- All ---------------------------------------------------------------------------------------- */
static bool collect(struct export *x, const char *account, const char *mailbox, struct str query, struct err *err)
{
    bool any = false;
    x->folders = mem_array(1, sizeof *x->folders);
    x->folders[x->nfolders++] = mem_dup_z("");
    for (size_t i = 0; i < x->desk.n; i++)
        if ((!account[0] || strcmp(account, x->desk.accounts[i].conf->name) == 0) &&
            !desk_settle(&x->desk, &x->desk.accounts[i], query.n > 0, err))
            return false;
    struct buf all = BUF_INIT(8192);
    if (query.n && mailbox[0])
        buf_addf(&all, "(%.*s) and in:\"%s\"", STR_FMT(query), mailbox);
    else
        buf_adds(&all, query);
    bool ok = !all.full || err_set(err, ERR_LIMIT, "the query is longer than 8 KB");
    if (ok && query.n)
        ok = add_query(x, account, buf_z(&all), err);
    buf_fini(&all);
    for (size_t i = 0; ok && !query.n && i < x->desk.n; i++) {
        struct desk_account *a = &x->desk.accounts[i];
        struct box_row box = {.id = 0};
        if (account[0] && strcmp(account, a->conf->name) != 0)
            continue;
        if (!mailbox[0])
            ok = add_account(x, a, err);
        else
            ok = reader_box_by_name(a->reader, str_z(mailbox), &box, err) && (!box.id || add_box(x, a, &box, 0, err));
        any = any || box.id || !mailbox[0];
    }
    if (ok && !query.n && !any)
        ok = err_set(err, ERR_NO_MAILBOX, "no account has a mailbox \"%.200s\"", mailbox);
    if (ok && x->n)
        qsort(x->items, x->n, sizeof *x->items, by_date);
    return ok && (!x->maildir || name_all(x, err));
}

static bool check_words(struct export *x, const struct cli *cli, const char *format, const char *account,
                        const char *mailbox, struct err *err)
{
    unsigned kind;
    if (!cli_choice("--format", format, "mbox maildir", &kind, err) || (account[0] && !cli_account(cli, account, err)))
        return false;
    x->maildir = kind == 1;
    if (x->maildir && strcmp(x->output, "-") == 0)
        return err_set(err, ERR_USAGE, "--format=maildir needs --output DIRECTORY");
    if (!x->maildir && strcmp(x->output, "-") == 0 && isatty(STDOUT_FILENO))
        return err_set(err, ERR_USAGE, "standard output is the terminal: --output FILE, or > FILE");
    if (strcmp(x->output, "-") != 0) {
        x->path = cli_absolute(x->output, err);
        x->output = x->path ? x->path : "-";
        if (!x->path || !x->path[0])
            return err->kind ? false : err_set(err, ERR_USAGE, "--output needs a path");
    }
    if (cli->argc == 0 && !account[0] && !mailbox[0])
        return err_set(err, ERR_USAGE, "what? a query (\"*\" is all), --mailbox NAME or --account NAME");
    return true;
}

static void say(struct export *x)
{
    size_t left = x->away + x->failed;
    desk_say(&x->desk, "%zu mail%s exported%s", x->added, x->added == 1 ? "" : "s",
             x->there || x->gone || left ? ":" : "");
    if (x->there)
        desk_say(&x->desk, "  %zu were there already", x->there);
    if (x->gone)
        desk_say(&x->desk, "  %zu were removed meanwhile", x->gone);
    if (left)
        desk_say(&x->desk, "  %zu left out (%s)%s", left, x->why,
                 x->maildir ? "; the same command adds them later" : "");
}

/* What is there when it broke off, and what to do. */
static void say_broken(struct export *x, struct err *err)
{
    if (!x->n)
        return;
    if (x->maildir)
        desk_say(&x->desk, "%zu of %zu mails are in %s; the same command adds the rest", x->added + x->there, x->n,
                 x->output);
    else
        err_prefix(err, "nothing is written to %s", strcmp(x->output, "-") == 0 ? "the end" : x->output);
}

int export_main(struct cli *cli)
{
    struct export x = {.output = "-", .out = -1};
    struct err err = ERR_INIT;
    const char *format = "mbox", *account = "", *mailbox = "";
    const struct cli_opt opts[] = {{"--format", &format, NULL},
                                   {"--account", &account, NULL},
                                   {"--mailbox", &mailbox, NULL},
                                   {"--output", &x.output, NULL},
                                   {"--overwrite", NULL, &x.overwrite}};
    struct buf query = BUF_INIT(8192);
    bool ok = cli_options(cli, opts, COUNT(opts), &err) && check_words(&x, cli, format, account, mailbox, &err);
    for (int i = 0; i < cli->argc; i++)
        buf_addf(&query, "%s%s", i ? " " : "", cli->argv[i]);
    ok = ok && (!query.full || err_set(&err, ERR_LIMIT, "the query is longer than 8 KB")) &&
         desk_open(&x.desk, cli, "export", false, &err) && collect(&x, account, mailbox, buf_str(&query), &err) &&
         out_open(&x, &err) && copy_all(&x, &err) && out_end(&x, &err);
    if (ok)
        say(&x);
    else
        say_broken(&x, &err);
    out_drop(&x);
    for (size_t i = x.head; i < x.next; i++)
        if (slot_of(&x, i)->fd >= 0)
            close(slot_of(&x, i)->fd);
    desk_close(&x.desk);
    for (size_t i = 0; i < x.n; i++)
        free(x.items[i].name);
    for (size_t i = 0; i < x.nfolders; i++)
        free(x.folders[i]);
    free(x.folders);
    free(x.path);
    free(x.items);
    buf_fini(&query);
    if (!ok)
        return cli_fail(&err);
    return x.away ? err_exit(ERR_OFFLINE) : x.failed ? err_exit(ERR_IO) : 0;
}
