/* tuimail address --query: who sent what a query finds and to whom it went, the newest first. */
#include "cli/cli.h"

#include "mail/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct met {
    char *name, *addr;
    uint32_t count, best; /* best: of an address, its name that was met most often */
};
struct listing {
    const struct cli *cli;
    const struct senders *what;
    struct buf out;
    struct str_set mailboxes, addrs; /* as they are shown; addresses folded */
    struct met *met;                 /* of each mailbox */
    struct met *of;                  /* of each address */
    uint32_t printed, absent;        /* absent: mails whose recipients are not here */
};

static bool is_full(const struct listing *l)
{
    return l->what->most && l->printed >= l->what->most;
}

static bool print(struct listing *l, struct str name, struct str addr, uint32_t count, struct err *err)
{
    if (is_full(l))
        return true;
    if (l->what->format == ADDRESS_JSON) {
        buf_addf(&l->out, "%s{\"version\": %d, \"name\": ", l->printed ? ",\n " : "", CLI_JSON_VERSION);
        out_json(&l->out, name);
        buf_addz(&l->out, ", \"address\": ");
        out_json(&l->out, addr);
        if (l->what->count)
            buf_addf(&l->out, ", \"count\": %u", count);
        buf_addc(&l->out, '}');
    } else {
        if (l->what->count)
            buf_addf(&l->out, "%u\t", count);
        put_address(&l->out, name, addr, l->what->format);
    }
    l->printed++;
    return l->out.n <= 1 << 18 || out_flush(&l->out) || err_set(err, ERR_IO, "nobody reads the output");
}

/* True where the mailbox was not met before; *at_r: its place. */
static bool meet(struct listing *l, struct str name, struct str addr, size_t *at_r)
{
    struct buf key = BUF_INIT(4096);
    buf_adds(&key, addr);
    buf_addc(&key, '\n'); /* in no address */
    buf_adds(&key, name);
    bool fresh = str_set_add(&l->mailboxes, str_z(buf_z(&key)), at_r);
    buf_fini(&key);
    if (fresh) {
        if ((l->mailboxes.n & (l->mailboxes.n - 1)) == 0)
            l->met = mem_resize(l->met, 2 * l->mailboxes.n, sizeof *l->met);
        l->met[*at_r] = (struct met){.name = mem_dup_n(name.p, name.n), .addr = mem_dup_n(addr.p, addr.n)};
    }
    l->met[*at_r].count++;
    return fresh;
}

static bool take(struct listing *l, struct str name, struct str addr, struct err *err)
{
    size_t at;
    if (l->what->unique == UNIQUE_NO)
        return print(l, name, addr, 1, err);
    bool fresh = meet(l, name, addr, &at);
    bool at_once = fresh && l->what->unique == UNIQUE_MAILBOX && !l->what->count;
    return !at_once || print(l, name, addr, 1, err);
}

static bool take_all(struct listing *l, struct str field, struct arena *arena, struct err *err)
{
    struct mail_addrs a;
    bool ok = true;
    mail_addrs_parse(field, arena, &a);
    for (size_t i = 0; ok && i < a.count; i++)
        if (a.list[i].addr.n && !memchr(a.list[i].addr.p, '\0', a.list[i].addr.n))
            ok = take(l, a.list[i].name.n ? a.list[i].name : STR(""), a.list[i].addr, err);
    return ok;
}

/* The front of a mail's file, as much of it as its header may be. */
static bool read_front(const char *path, struct buf *out)
{
    struct stat st;
    char piece[16384];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 1 : -1;
    while (n > 0 && out->n < MAIL_HEADER_MAX) {
        do
            n = read(fd, piece, MIN(sizeof piece, MAIL_HEADER_MAX - out->n));
        while (n < 0 && errno == EINTR);
        if (n > 0)
            buf_add(out, piece, (size_t)n);
        if (strstr(buf_z(out), "\n\n") || strstr(buf_z(out), "\n\r\n"))
            break;
    }
    if (fd >= 0)
        close(fd);
    return n >= 0;
}

/* Of To, Cc and Bcc, as they stand in its file: nothing else has their addresses. */
static bool take_recipients(struct listing *l, const struct m_HIT *h, struct arena *arena, struct err *err)
{
    static const char *const names[] = {"To", "Cc", "Bcc"};
    struct buf path = BUF_INIT(8192), front = BUF_INIT(MAIL_HEADER_MAX + 1);
    struct mail_header header;
    bool ok = true;
    cli_hit_file(l->cli, h, &path);
    if (path.n && read_front(buf_z(&path), &front)) {
        mail_header_parse(buf_str(&front), arena, &header);
        for (size_t i = 0; ok && i < COUNT(names); i++)
            ok = take_all(l, mail_header_get(&header, names[i]), arena, err);
    } else {
        l->absent++;
    }
    buf_fini(&path);
    buf_fini(&front);
    return ok;
}

static bool on_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct listing *l = arg;
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    bool ok = (!l->what->sender || take_all(l, h->from, arena, err)) &&
              (!l->what->recipients || take_recipients(l, h, arena, err));
    arena_free(&arena);
    return ok;
}

/* Each address once, under the name that most of its mail has. */
static void gather(struct listing *l)
{
    l->of = mem_array(l->mailboxes.n + 1, sizeof *l->of);
    for (size_t i = 0; i < l->mailboxes.n; i++) {
        const struct met *m = &l->met[i];
        char *folded = mem_dup_z(m->addr);
        size_t at;
        for (char *p = folded; *p; p++)
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 32 : *p);
        bool fresh = str_set_add(&l->addrs, str_z(folded), &at);
        free(folded);
        if (fresh || m->count > l->of[at].best) {
            l->of[at].best = m->count;
            l->of[at].name = m->name;
            l->of[at].addr = m->addr;
        }
        l->of[at].count += m->count;
    }
}

static bool print_met(struct listing *l, struct err *err)
{
    bool ok = true, mailboxes = l->what->unique == UNIQUE_MAILBOX;
    if (l->what->unique == UNIQUE_NO || (mailboxes && !l->what->count))
        return true;
    if (!mailboxes)
        gather(l);
    const struct met *list = mailboxes ? l->met : l->of;
    for (size_t i = 0; ok && i < (mailboxes ? l->mailboxes.n : l->addrs.n); i++)
        ok = print(l, str_z(list[i].name), str_z(list[i].addr), list[i].count, err);
    return ok;
}

bool senders_print(struct cli *cli, const struct senders *what, bool *any_r, struct err *err)
{
    struct listing l = {.cli = cli, .what = what, .out = BUF_INIT(1u << 20)};
    struct open_role h = {.pid = 0};
    bool ok = role_open(cli, ROLE_SEARCH, NULL, &h, err);
    if (what->format == ADDRESS_JSON)
        buf_addc(&l.out, '[');
    else if (what->format == ADDRESS_MUTT)
        buf_addz(&l.out, "addresses of what was found\n"); /* a line for the person comes first */
    ok = ok && search_ask(h.chan, &what->question, on_hit, &l, err) && print_met(&l, err);
    role_close(&h);
    if (what->format == ADDRESS_JSON)
        buf_addz(&l.out, "]\n");
    ok = ok && (!l.out.n || out_flush(&l.out) || err_set(err, ERR_IO, "nobody reads the output"));
    if (ok && l.absent)
        fprintf(
            stderr,
            "tuimail: %u mail%s: the recipients are not known, for the mail is not on this machine (option cache)\n",
            l.absent, l.absent == 1 ? "" : "s");
    *any_r = l.printed > 0;
    for (size_t i = 0; i < l.mailboxes.n; i++) {
        free(l.met[i].name);
        free(l.met[i].addr);
    }
    free(l.met);
    free(l.of);
    str_set_free(&l.mailboxes);
    str_set_free(&l.addrs);
    buf_fini(&l.out);
    return ok;
}
