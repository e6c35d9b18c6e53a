/* POP3 in steps: the session is net/pop3's; here its messages become files and rows. */
#include "fetch/pop.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fetch/hold.h"
#include "fetch/local.h"
#include "net/pop3.h"
#include "net/sasl.h"

#define DISK_RESERVE ((uint64_t)32 << 20)  /* stays free */
#define RESERVE_EVERY ((uint64_t)16 << 20) /* bytes between two looks at the disk */
#define MESSAGE_MAX ((uint64_t)4 << 30)    /* where the account sets no max-size */
#define SIZE_SLACK 65536u                  /* a LIST that counts LF for CR LF, and fields added on the way */

_Static_assert(POP_HEAD_ONLY == POP3_HEAD, "the same bit on both sides");

struct pop_session {
    struct pop3 *pop3;
    struct records tags; /* of the UIDLs, by number: uint64_t; 0: none was listed */
};

/* A server that lost commands (THREATS 92), or may have: how far it is trusted in the sessions to come. */
static struct {
    enum pop3_trust trust;
    int64_t until;
} doubt;
#define SUSPECT_S 3600 /* after a silence that may have been the network's */

static struct pop_session *session_of(struct fetch *f)
{
    return f->session;
}

static void session_free(struct fetch *f)
{
    struct pop_session *s = f->session;
    if (s == NULL)
        return;
    pop3_free(&s->pop3);
    records_fini(&s->tags);
    free(s);
    f->session = NULL;
}

static void session_close(struct fetch *f)
{
    session_free(f);
    stream_close(&f->stream);
}

static bool online(const struct fetch *f, struct err *err)
{
    return f->stream != NULL && f->session != NULL ? true : err_set(err, ERR_OFFLINE, "not connected");
}

/* After an error of net/pop3 the session is unusable. */
static bool lose(struct fetch *f, const struct err *err)
{
    return fetch_lost(f, err);
}

/* ---- Connecting --------------------------------------------------------------------------------- */

/* "de-DE" of "de_DE.UTF-8"; "" for English, which servers speak unasked. */
static void language(char *tag, size_t size)
{
    const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *value = NULL;
    for (size_t i = 0; i < COUNT(names) && (value == NULL || value[0] == '\0'); i++)
        value = getenv(names[i]);
    size_t n = value != NULL ? strcspn(value, ".@") : 0;
    bool named = n >= 2 && n < size && strncmp(value, "en", 2) != 0 && strncmp(value, "POSIX", 5) != 0;
    snprintf(tag, size, "%.*s", named ? (int)n : 0, named ? value : "");
    for (char *c = tag; *c != '\0'; c++) {
        if (*c == '_')
            *c = '-';
    }
}

static struct pop3 *session_new(const struct fetch *f, struct str words)
{
    char tag[32];
    struct pop3 *p = pop3_new(f->stream, f->account->in.host, f->account_dir);
    language(tag, sizeof tag);
    pop3_language(p, tag);
    pop3_expect(p, words);
    pop3_distrust(p, doubt.trust, doubt.until);
    return p;
}

static void distrust(struct pop3 *p, enum pop3_trust trust, const struct err *why)
{
    int64_t until = clock_wall() + (why->kind == ERR_PROTOCOL ? POP3_DOUBT_MAX : SUSPECT_S);
    log_msg(LOG_WARN, "commands are not sent ahead any more: %s", why->text);
    pop3_distrust(p, trust, until);
    doubt.trust = trust;
    doubt.until = until;
}

static bool may_be_lossy(enum err_kind kind)
{
    return kind == ERR_PROTOCOL || kind == ERR_LINE || kind == ERR_TIMEOUT;
}

static bool log_in(struct fetch *f, struct pop_session *s, struct str words, struct err *err)
{
    const struct endpoint *in = &f->account->in;
    for (bool last = false;;) {
        if (!fetch_open(f, err))
            return false;
        s->pop3 = session_new(f, words);
        /* A tunnel without a login begins behind it. */
        if (pop3_greet(s->pop3, in->tls == TLS_STARTTLS, err) &&
            (!fetch_has_login(f) || pop3_login(s->pop3, in->user, &f->secret, in->tls == TLS_NONE, err))) {
            fetch_logged_in(f);
            return true;
        }
        bool early = pop3_went_ahead(s->pop3) && may_be_lossy(err->kind);
        if (early)
            distrust(s->pop3, POP3_CAREFUL, err);
        pop3_free(&s->pop3);
        if (early) {
            stream_close(&f->stream);
            *err = ERR_INIT;
        } else if (!fetch_login_failed(f, last, err)) {
            return false;
        } else {
            last = true;
        }
    }
}

static bool tell(struct fetch *f, const struct pop_session *s, struct err *err)
{
    struct buf text = BUF_INIT(4096), words = BUF_INIT(POP3_WORDS_MAX);
    pop3_caps_text(s->pop3, &text);
    if (stream_is_tls(f->stream) || stream_is_tunnel(f->stream)) {
        buf_addz(&text, "; ");
        stream_describe(f->stream, &text);
    }
    pop3_words(s->pop3, &words);
    bool ok =
        FETCH_SEND(f, err, ONLINE, .caps = pop3_caps(s->pop3), .caps_text = buf_str(&text), .words = buf_str(&words),
                   .unbound = sasl_unbound(), .delay = pop3_login_delay(s->pop3), .expire = pop3_expire(s->pop3));
    buf_reset(&text);
    pop3_identity(s->pop3, &text);
    ok = ok && FETCH_SEND(f, err, SERVER_ID, .text = buf_str(&text));
    buf_fini(&text);
    buf_fini(&words);
    return ok;
}

static bool step_connect(struct fetch *f, struct msg *m, struct err *err)
{
    if (f->stream != NULL)
        return true;
    struct pop_session *s = mem_new(sizeof *s);
    records_init(&s->tags, f->account_dir, sizeof(uint64_t));
    f->session = s;
    if (sasl_unbound().n == 0)
        sasl_unbound_set(m->u.STEP_CONNECT.unbound);
    if (!log_in(f, s, m->u.STEP_CONNECT.caps, err))
        return lose(f, err);
    return tell(f, s, err);
}

/* After an error in the middle of a flight: was it the server that lost a command? A line that was cut tells itself. */
static bool lose_flight(struct fetch *f, const struct err *err)
{
    struct err ignored = ERR_INIT;
    struct pop3 *p = session_of(f)->pop3;
    bool flew = pop3_trust(p) != POP3_LOCKSTEP && (pop3_caps(p) & POP_PIPELINING) != 0;
    if (flew && (err->kind == ERR_PROTOCOL || pop3_unanswered(p))) {
        distrust(p, POP3_LOCKSTEP, err);
        (void)tell(f, session_of(f), &ignored);
    }
    return lose(f, err);
}

static bool step_close(struct fetch *f, struct msg *m UNUSED, struct err *err UNUSED)
{
    session_close(f); /* without QUIT: what was marked for deletion stays */
    return true;
}

/* ---- The list ----------------------------------------------------------------------------------- */

struct listing {
    struct fetch *f;
    uint32_t step;
    struct buf mails; /* not sent yet */
};

static bool list_send(struct listing *l, struct err *err)
{
    bool ok = FETCH_SEND(l->f, err, POP_UIDLS, .step = l->step, .mails = buf_str(&l->mails));
    buf_reset(&l->mails);
    return ok;
}

static bool on_listed(void *arg, uint32_t number, uint64_t size, struct str uidl, struct err *err)
{
    struct listing *l = arg;
    struct pop_session *s = session_of(l->f);
    uint64_t *tag = records_at(&s->tags, number);
    *tag = uidl.n > 0 ? str_hash(uidl) : 0;
    return ipc_mails_add(&l->mails, number, size, uidl) ||
           (list_send(l, err) && ipc_mails_add(&l->mails, number, size, uidl));
}

static bool step_list(struct fetch *f, struct msg *m, struct err *err)
{
    if (!online(f, err))
        return false;
    struct pop_session *s = session_of(f);
    records_clear(&s->tags);
    struct listing l = {.f = f, .step = m->u.STEP_POP_LIST.step, .mails = BUF_INIT(32768)};
    bool ok = pop3_list(s->pop3, on_listed, &l, err);
    if (!ok)
        lose_flight(f, err);
    else if (l.mails.n > 0)
        ok = list_send(&l, err);
    buf_fini(&l.mails);
    return ok && (records_ok(&s->tags, err) || lose(f, err));
}

static uint64_t tag_of(struct pop_session *s, uint32_t number)
{
    return *(const uint64_t *)records_get(&s->tags, number);
}

/* Packed ranges to numbers, in their order. NULL with *err where one was not listed; the caller frees. */
static uint32_t *numbers_of(const struct pop_session *s, struct str ranges, size_t *n_r, struct err *err)
{
    uint32_t count = pop3_count(s->pop3);
    size_t n = 0;
    for (size_t i = 0; i < ipc_ranges_count(ranges); i++) {
        uint32_t lo, hi;
        ipc_ranges_at(ranges, i, &lo, &hi);
        uint32_t head = lo & hi & POP_HEAD_ONLY;
        lo &= ~head;
        hi &= ~head;
        if (MIN(lo, hi) == 0 || MAX(lo, hi) > count) {
            err_set(err, ERR_NO_MESSAGE, "messages %u to %u are not in the maildrop", lo, hi);
            return NULL;
        }
        n += MAX(lo, hi) - MIN(lo, hi) + 1;
        if (n > count) {
            err_set(err, ERR_NO_MESSAGE, "more messages are asked for than there are");
            return NULL;
        }
    }
    uint32_t *numbers = mem_array(n + 1, sizeof *numbers);
    n = 0;
    for (size_t i = 0; i < ipc_ranges_count(ranges); i++) {
        uint32_t lo, hi;
        ipc_ranges_at(ranges, i, &lo, &hi);
        for (uint32_t k = lo;; k = lo < hi ? k + 1 : k - 1) {
            numbers[n++] = k;
            if (k == hi)
                break;
        }
    }
    *n_r = n;
    return numbers;
}

/* ---- What an earlier pass left ------------------------------------------------------------------
 * A file is named before the ledger knows of it; a store that ended between the two asks for the message again. The
 * tagged files that were here before this program are looked at once for that (THREATS 86). */
static struct left {
    uint64_t tag;
    char name[112];
} * left;
static size_t nleft;
static bool left_known;

static bool on_left(void *arg, struct str unique)
{
    size_t *cap = arg;
    uint64_t tag = mark_read(unique).tag;
    if (tag == 0 || unique.n >= sizeof left->name)
        return true;
    if (nleft == *cap)
        left = mem_resize(left, *cap = *cap ? *cap * 2 : 256, sizeof *left);
    left[nleft].tag = tag;
    snprintf(left[nleft++].name, sizeof left->name, "%.*s", STR_FMT(unique));
    return true;
}

static int by_tag(const void *a, const void *b)
{
    const struct left *x = a, *y = b;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

static void left_look(struct maildir *maildir, struct str folder)
{
    struct err err = ERR_INIT;
    size_t cap = 0;
    if (left_known)
        return;
    left_known = true;
    if (!maildir_names(maildir, folder, on_left, &cap, &err) || nleft == 0)
        return;
    qsort(left, nleft, sizeof *left, by_tag);
}

/* The file that holds what was just fetched, if an earlier pass wrote it; each serves once. */
static bool left_take(const struct delivery *d, uint64_t tag, struct maildir_file *file_r, struct buf *path_r,
                      struct buf *name_r)
{
    size_t lo = 0, hi = nleft;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (left[mid].tag < tag)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < nleft && left[lo].tag == tag; lo++)
        if (left[lo].name[0] != '\0' && delivery_is(d, str_z(left[lo].name), file_r, path_r)) {
            buf_addz(name_r, left[lo].name);
            left[lo].name[0] = '\0';
            return true;
        }
    return false;
}

/* ---- Messages ----------------------------------------------------------------------------------- */

struct retrieval {
    struct fetch *f;
    uint32_t step;
    struct str folder;
    struct maildir *maildir;
    struct delivery *delivery;
    struct hold *hold;
    struct arena *arena;
    struct buf head; /* the header, up to its empty line */
    struct buf self;
    unsigned char head_id[POP3_HEAD_ID];
    struct str replaces; /* the stub whose place it takes; else "" */
    uint64_t box;        /* its mailbox */
    bool head_ended;
    uint64_t listed, bytes, max, looked;
    uint64_t done;           /* of all messages */
    size_t ended;            /* messages that are through, one way or the other */
    bool said;               /* the trouble was of the message or the disk, the line is well */
    bool doubted, confirmed; /* the header of what takes a stub's place is another; it is the same mail all the same */
};

static bool disk_has_room(int fd)
{
    struct statvfs v;
    return fstatvfs(fd, &v) != 0 || (uint64_t)v.f_bavail * v.f_frsize >= DISK_RESERVE;
}

static bool on_begin(void *arg, uint32_t number UNUSED, uint64_t size, struct err *err)
{
    struct retrieval *r = arg;
    uint64_t max = r->replaces.n ? 0 : r->f->account->max_size; /* who opens it wants it whatever it is */
    delivery_abort(&r->delivery);
    r->delivery = maildir_begin(r->maildir, r->folder, err);
    if (r->delivery == NULL && err->kind == ERR_NO_MAILBOX && maildir_create(r->maildir, r->folder, err)) {
        *err = ERR_INIT;
        r->delivery = maildir_begin(r->maildir, r->folder, err);
    }
    buf_reset(&r->head);
    r->head_ended = false;
    r->bytes = r->looked = 0;
    r->listed = size;
    r->max = (max == 0 ? MESSAGE_MAX : MAX(max, size)) + SIZE_SLACK;
    if (r->replaces.n && !FETCH_SEND(r->f, err, STEP_PROGRESS, .step = r->step, .done = 0, .total = size))
        return false;
    /* The size is the server's word, and no reason to leave out what may be small. */
    return r->delivery != NULL && (disk_has_room(delivery_fd(r->delivery)) ||
                                   err_set(err, ERR_DISK_FULL, "the disk has no room for more mail"));
}

static void take_head(struct retrieval *r, struct str bytes)
{
    size_t before = r->head.n > 3 ? r->head.n - 3 : 0;
    buf_adds(&r->head, str_sub(bytes, 0, r->head.max - r->head.n));
    r->head_ended = r->head.n == r->head.max || memmem(r->head.p + before, r->head.n - before, "\n\r\n", 3) != NULL ||
                    memmem(r->head.p + before, r->head.n - before, "\n\n", 2) != NULL;
}

/* Steps of the Maildir go between; a cancel is heard by whoever reads the line. */
static void yield(struct fetch *f)
{
    struct err ignored = ERR_INIT;
    bool busy = f->line_busy;
    f->line_busy = true;
    fetch_yield(f, &ignored);
    f->line_busy = busy;
}

static bool on_data(void *arg, struct str bytes, struct err *err)
{
    struct retrieval *r = arg;
    r->bytes += bytes.n;
    r->done += bytes.n;
    if (r->bytes > r->max)
        return err_set(err, ERR_LIMIT, "the message is longer than listed and over max-size");
    if (r->bytes - r->looked > RESERVE_EVERY) {
        r->looked = r->bytes;
        if (!disk_has_room(delivery_fd(r->delivery))) /* it goes, and the others may fit */
            return err_set(err, ERR_LIMIT, "no room on the disk for the message");
    }
    if (!r->head_ended)
        take_head(r, bytes);
    fetch_progress(r->f, r->done, r->replaces.n ? r->listed : 0);
    yield(r->f); /* a mail may take minutes */
    return fs_write_all(delivery_fd(r->delivery), bytes, err);
}

/* When the last server got it: the first Received field's date; POP3 itself does not say. */
static int64_t arrival(struct str head, struct arena *arena)
{
    struct mail_header h;
    int64_t at = 0, now = clock_wall();
    mail_header_parse(head, arena, &h);
    struct str received = mail_header_get(&h, "Received");
    size_t semicolon = received.n;
    while (semicolon > 0 && received.p[semicolon - 1] != ';')
        semicolon--;
    if (semicolon > 0 && mail_date_parse(str_sub(received, semicolon, received.n), &at, NULL) && at <= now)
        return at;
    return now;
}

/* What is said of a message that is here. Borrows from r until the next message. */
static struct msg said(struct retrieval *r, uint32_t number, struct str name, struct str path, uint32_t flags)
{
    struct mail_row row;
    struct str head = {(const char *)r->head_id, pop3_head_id(buf_str(&r->head), r->head_id) ? POP3_HEAD_ID : 0};
    arena_reset(r->arena);
    mail_row_parse(buf_str(&r->head), buf_str(&r->self), r->arena, &row);
    int64_t internal = arrival(buf_str(&r->head), r->arena);
    return (struct msg){.kind = MSG_DELIVERED,
                        .fd = -1,
                        .u.DELIVERED = {.step = r->step,
                                        .number = number,
                                        .name = name,
                                        .path = path,
                                        .flags = flags,
                                        .size = r->bytes,
                                        .internal_date = internal,
                                        .date = row.date != 0 ? row.date : internal,
                                        .attrs = row.attrs | ROW_FULL,
                                        .from_name = row.from_name,
                                        .from_addr = row.from_addr,
                                        .to = row.to,
                                        .subject = row.subject,
                                        .msgid = row.msgid,
                                        .refs = row.refs,
                                        .list_id = row.list_id,
                                        .head = head}};
}

/* The whole message is written: it is held until it is durable, or found where an earlier pass put it. False with *err:
 * the step ends. */
static bool deliver(struct retrieval *r, uint32_t given, struct err *err)
{
    uint32_t number = given & ~POP_HEAD_ONLY;
    struct buf name = BUF_INIT(255), path = BUF_INIT(512);
    struct maildir_file file = {.flags = 0};
    uint64_t tag = tag_of(session_of(r->f), number);
    struct msg m;
    bool ok;
    left_look(r->maildir, r->folder); /* here the next messages are on their way already */
    if (tag != 0 && left_take(r->delivery, tag, &file, &path, &name)) {
        delivery_abort(&r->delivery);
        m = said(r, number, buf_str(&name), buf_str(&path), file.flags);
        ok = fetch_send(r->f, &m, -1, err);
    } else {
        delivery_mark(r->delivery, &(struct mark){.tag = tag, .stub = given & POP_HEAD_ONLY ? r->listed : 0});
        if (r->folder.n > 0)
            buf_addf(&path, ".%.*s/", STR_FMT(r->folder));
        buf_addf(&path, "new/%s", delivery_unique(r->delivery)); /* a delivery without flags */
        m = said(r, number, str_z(delivery_unique(r->delivery)), buf_str(&path), 0);
        ok = hold_add(r->hold, &r->delivery, &m, err);
    }
    buf_fini(&path);
    buf_fini(&name);
    return ok;
}

/* Is the header that came the stub's? */
static bool stub_is(const struct retrieval *r)
{
    unsigned char was[POP3_HEAD_ID], is[POP3_HEAD_ID];
    struct buf head = BUF_INIT(MAIL_HEADER_MAX);
    struct err ignored = ERR_INIT;
    int fd = maildir_message(r->maildir, r->folder, r->replaces, NULL, NULL, &ignored);
    if (fd < 0)
        return true; /* whoever puts the mail in its place says why that cannot be */
    ssize_t n = buf_reserve(&head, MAIL_HEADER_MAX) ? pread(fd, head.p, MAIL_HEADER_MAX, 0) : -1;
    head.n = n > 0 ? (size_t)n : 0;
    bool ok = n >= 0 && pop3_head_id(buf_str(&head), was) && pop3_head_id(buf_str(&r->head), is) &&
              memcmp(was, is, sizeof is) == 0;
    close(fd);
    buf_fini(&head);
    return ok;
}

/* It takes the stub's place, in whatever folder and with whatever flags that is now. */
static bool replace(struct retrieval *r, const struct err *why, struct err *err)
{
    struct buf whole = BUF_INIT(255);
    r->said = true; /* the answer was read to its end */
    if (why != NULL)
        *err = *why;
    else if (!r->confirmed && !stub_is(r))
        return r->doubted = true;
    bool ok = why == NULL && mark_whole(r->replaces, &whole) &&
              delivery_replace(&r->delivery, r->replaces, buf_str(&whole), err) &&
              local_place(r->f, r->step, r->box, r->folder, buf_str(&whole), err);
    delivery_abort(&r->delivery);
    buf_fini(&whole);
    return ok;
}

static bool on_end(void *arg, uint32_t given, const struct err *why, struct err *err)
{
    struct retrieval *r = arg;
    r->ended++;
    if (r->replaces.n)
        return replace(r, why, err);
    if (why == NULL) {
        if (!deliver(r, given, err))
            return false;
    } else {
        delivery_abort(&r->delivery);
        if (!FETCH_SEND(r->f, err, POP_FAILED, .step = r->step, .number = given & ~POP_HEAD_ONLY, .kind = why->kind,
                        .text = str_z(why->text)))
            return false;
        if (hold_ends(why->kind)) {
            *err = *why;
            return false;
        }
    }
    yield(r->f);
    return !r->f->ended || err_set(err, ERR_CHANNEL, "the store is gone");
}

static bool body_waits(const struct fetch *f)
{
    struct step_view v;
    return fetch_peek(f, 0, &v) && v.msg->kind == MSG_STEP_POP_BODY;
}

static bool enough(void *arg)
{
    struct retrieval *r = arg;
    return r->f->canceled || r->f->close_by || (r->replaces.n == 0 && body_waits(r->f));
}

/* All of them, in as many goes as others wait for the line. */
static bool get_all(struct retrieval *r, const uint32_t *numbers, size_t n, struct err *err)
{
    struct fetch *f = r->f;
    struct pop3 *pop3 = session_of(f)->pop3;
    struct pop3_sink sink = {on_begin, on_data, on_end, r};
    for (r->ended = 0; r->ended < n;) {
        size_t from = r->ended;
        f->gentle = f->line_busy = true;
        pop3_interrupt(pop3, enough, r);
        bool ok = pop3_get(pop3, POP3_RETR, numbers + from, n - from, &sink, err);
        pop3_interrupt(pop3, NULL, NULL);
        f->line_busy = false;
        if (f->canceled || f->close_by) {
            struct err why = *err;
            err_set(err, ERR_CANCELED, "stopped");
            return ok || why.kind == ERR_NONE ? false : lose(f, err);
        }
        if (!ok)
            return lose_flight(f, err);
        if (!fetch_yield(f, err)) /* what waited for the line; it may have lost it */
            return false;
    }
    return true;
}

/* Those that are wanted by their header alone, where the server cannot give it, are told of and left out. */
static bool without_top(struct retrieval *r, uint32_t *numbers, size_t *n, struct err *err)
{
    size_t kept = 0;
    unsigned caps = pop3_caps(session_of(r->f)->pop3);
    bool has = (caps & POP_CAPA) == 0 || (caps & POP_TOP) != 0;
    for (size_t i = 0; i < *n; i++) {
        if (has || !(numbers[i] & POP_HEAD_ONLY))
            numbers[kept++] = numbers[i];
        else if (!FETCH_SEND(r->f, err, POP_FAILED, .step = r->step, .number = numbers[i] & ~POP_HEAD_ONLY,
                             .kind = ERR_SERVER_NO, .text = STR("the server gives no headers (it has no TOP)")))
            return false;
    }
    *n = kept;
    return true;
}

static bool step_retr(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_POP_RETR *q = &m->u.STEP_POP_RETR;
    if (!online(f, err))
        return false;
    size_t n = 0;
    struct retrieval r = {
        .f = f, .step = q->step, .folder = q->folder, .head = BUF_INIT(MAIL_HEADER_MAX), .self = BUF_INIT(16384)};
    uint32_t *numbers = numbers_of(session_of(f), q->numbers, &n, err);
    r.maildir = numbers != NULL ? fetch_maildir(f, err) : NULL;
    bool ok = r.maildir != NULL;
    if (ok) {
        r.arena = arena_new(MAIL_ARENA_MAX);
        r.hold = hold_new(f);
        account_addresses(f->account, &r.self);
        ok = without_top(&r, numbers, &n, err) && get_all(&r, numbers, n, err);
        /* However it ended: what came whole is kept. */
        struct err last = ERR_INIT;
        if (!hold_commit(r.hold, &last) && ok) {
            *err = last;
            ok = false;
        }
        hold_free(&r.hold);
        delivery_abort(&r.delivery);
        arena_free(&r.arena);
    }
    buf_fini(&r.head);
    buf_fini(&r.self);
    free(numbers);
    return ok;
}

/* ---- Headers by which messages are known again -------------------------------------------------- */

struct heads {
    struct retrieval r;
    enum pop3_verb verb;
    uint32_t *again; /* those that RETR is asked for */
    size_t nagain;
    bool same;
};

static bool heads_begin(void *arg, uint32_t number UNUSED, uint64_t size UNUSED, struct err *err UNUSED)
{
    struct retrieval *r = &((struct heads *)arg)->r;
    buf_reset(&r->head);
    r->head_ended = false;
    return true;
}

static bool heads_data(void *arg, struct str bytes, struct err *err UNUSED)
{
    struct retrieval *r = &((struct heads *)arg)->r;
    if (!r->head_ended)
        take_head(r, bytes);
    return true;
}

static bool heads_end(void *arg, uint32_t given, const struct err *why, struct err *err)
{
    struct heads *h = arg;
    struct retrieval *r = &h->r;
    if (why != NULL && h->verb == POP3_TOP && !(given & POP_HEAD_ONLY))
        h->again[h->nagain++] = given;
    if (why != NULL || !pop3_head_id(buf_str(&r->head), r->head_id))
        return true; /* it stays unknown */
    return FETCH_SEND(r->f, err, POP_HEAD, .step = r->step, .number = given & ~POP_HEAD_ONLY,
                      .head = {(const char *)r->head_id, POP3_HEAD_ID});
}

static bool heads_get(struct heads *h, enum pop3_verb verb, const uint32_t *numbers, size_t n, struct err *err)
{
    struct pop3_sink sink = {heads_begin, heads_data, heads_end, h};
    h->verb = verb;
    return n == 0 || pop3_get(session_of(h->r.f)->pop3, verb, numbers, n, &sink, err) || lose_flight(h->r.f, err);
}

/* By TOP; what that does not give by all of the message, which is better than to have it twice, or not at all. */
static bool step_heads(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_POP_HEADS *q = &m->u.STEP_POP_HEADS;
    if (!online(f, err))
        return false;
    unsigned caps = pop3_caps(session_of(f)->pop3);
    bool top = (caps & POP_CAPA) == 0 || (caps & POP_TOP) != 0;
    size_t n = 0, kept = 0;
    struct heads h = {.r = {.f = f, .step = q->step, .head = BUF_INIT(MAIL_HEADER_MAX)}};
    uint32_t *numbers = numbers_of(session_of(f), q->numbers, &n, err);
    h.again = mem_array(n + 1, sizeof *h.again);
    for (size_t i = 0; i < n; i++) {
        if (top && !q->whole)
            numbers[kept++] = numbers[i];
        else if (!(numbers[i] & POP_HEAD_ONLY))
            h.again[h.nagain++] = numbers[i];
    }
    bool all = kept + h.nagain == n;
    bool ok = numbers != NULL && heads_get(&h, POP3_TOP, numbers, kept, err) &&
              heads_get(&h, POP3_RETR, h.again, h.nagain, err);
    if (ok && !all)
        ok = err_set(err, ERR_SERVER_NO, "the server has no TOP");
    buf_fini(&h.r.head);
    free(h.again);
    free(numbers);
    return ok;
}

/* The header that came with the whole mail is not that of the stub: is the one that TOP gives? Else it is another mail,
 * which has the id of one that has gone. */
static bool body_head_end(void *arg, uint32_t number UNUSED, const struct err *why, struct err *err UNUSED)
{
    struct heads *h = arg;
    h->same = why == NULL && stub_is(&h->r);
    return true;
}

static bool body_is(struct retrieval *r, uint32_t number, struct err *err)
{
    struct heads h = {.r = *r};
    struct pop3_sink sink = {heads_begin, heads_data, body_head_end, &h};
    buf_init(&h.r.head, MAIL_HEADER_MAX);
    bool ok = pop3_get(session_of(r->f)->pop3, POP3_TOP, &number, 1, &sink, err) || lose_flight(r->f, err);
    buf_fini(&h.r.head);
    r->confirmed = h.same;
    return ok && (h.same || err_set(err, ERR_NO_MESSAGE,
                                    "it is not on the server any more, another mail has its id: this header is all "
                                    "there is"));
}

static bool step_body(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_POP_BODY *q = &m->u.STEP_POP_BODY;
    if (!online(f, err))
        return false;
    struct pop_session *s = session_of(f);
    struct retrieval r = {.f = f,
                          .step = q->step,
                          .folder = q->folder,
                          .box = q->box,
                          .replaces = q->name,
                          .head = BUF_INIT(MAIL_HEADER_MAX)};
    if (mark_read(q->name).stub == 0)
        return err_set(err, ERR_NO_MESSAGE, "the message is here already");
    r.maildir = fetch_maildir(f, err);
    bool ok = r.maildir != NULL;
    struct pop3_sink sink = {on_begin, on_data, on_end, &r};
    if (ok && !(ok = pop3_get(s->pop3, POP3_RETR, &q->number, 1, &sink, err)) && !r.said)
        lose_flight(f, err);
    if (ok && r.doubted)
        ok = body_is(&r, q->number, err) && replace(&r, NULL, err);
    if (f->canceled)
        err_set(err, ERR_CANCELED, "stopped");
    delivery_abort(&r.delivery);
    buf_fini(&r.head);
    return ok;
}

/* ---- Deletion and the end ----------------------------------------------------------------------- */

struct deletion {
    struct fetch *f;
    uint32_t step;
    bool ok;
};

static void on_refused(void *arg, uint32_t number, const struct err *why)
{
    struct deletion *d = arg;
    struct err err = ERR_INIT;
    d->ok = d->ok && FETCH_SEND(d->f, &err, POP_FAILED, .step = d->step, .number = number, .kind = why->kind,
                                .text = str_z(why->text));
}

static bool step_dele(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_POP_DELE *q = &m->u.STEP_POP_DELE;
    if (!online(f, err))
        return false;
    size_t n = 0;
    uint32_t *numbers = numbers_of(session_of(f), q->numbers, &n, err);
    if (numbers == NULL)
        return false;
    struct deletion d = {f, q->step, true};
    bool ok = pop3_delete(session_of(f)->pop3, numbers, n, on_refused, &d, err) || lose(f, err);
    free(numbers);
    return ok && (d.ok || err_set(err, ERR_CHANNEL, "the store is gone"));
}

static bool step_quit(struct fetch *f, struct msg *m UNUSED, struct err *err)
{
    if (!online(f, err))
        return false;
    if (!pop3_quit(session_of(f)->pop3, err))
        return lose(f, err);
    session_close(f);
    return true;
}

const struct step_handler pop_steps[] = {
    {MSG_STEP_CONNECT, step_connect, NULL},
    {MSG_STEP_CLOSE, step_close, NULL},
    {MSG_STEP_POP_LIST, step_list, NULL},
    {MSG_STEP_POP_RETR, step_retr, NULL},
    {MSG_STEP_POP_BODY, step_body, NULL},
    {MSG_STEP_POP_HEADS, step_heads, NULL},
    {MSG_STEP_POP_DELE, step_dele, NULL},
    {MSG_STEP_POP_QUIT, step_quit, NULL},
    {MSG_NONE, NULL, NULL},
};
const struct fetch_protocol pop_protocol = {.proto = PROTO_POP3,
                                            .steps = pop_steps,
                                            .idle = local_idle,
                                            .wake = local_wake,
                                            .rest = local_rest,
                                            .closed = session_free};
