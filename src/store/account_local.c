/* The account's Maildir (POP3 and local accounts): folders and files into rows. fetch is the only program here that
 * writes it; others may too. */
#include "mail/mark.h"
#include "store/account.h"

#define READ_MAX 128          /* rows asked for at once */
#define UNREAD_MAX (8u << 20) /* bytes of names that have no row yet */
#define AWAY_MAX_MS 10000     /* how long a Maildir that was away may be back without our notice */

struct str local_folder(struct acct *a, uint64_t box)
{
    ptrdiff_t i = box_at(a, box);
    return i < 0 ? STR("") : box_name(&a->boxes[i]);
}

static bool name_ok(struct str name)
{
    size_t at;
    return name.n > 0 && name.n <= 255 && !str_find(name, '/', &at) && !str_find(name, '\0', &at);
}

bool local_name_ok(struct acct *a, struct str name, struct err *err)
{
    size_t at;
    struct str rest = name, level;
    if (str_case_eqz(name, "INBOX"))
        return err_set(err, ERR_USAGE, "a mailbox of that name exists");
    if (str_find(name, '/', &at))
        return err_set(err, ERR_USAGE, "a folder of %s cannot have a slash in its name; a dot makes a level: a.b",
                       a->name);
    if (name.n > 250)
        return err_set(err, ERR_USAGE, "the name is too long for a folder on the disk: 250 bytes at most");
    while (str_split(&rest, '.', &level))
        if (level.n == 0)
            return err_set(err, ERR_USAGE, "a dot makes a level: there has to be a name before and behind each");
    return (name.n > 0 && name.p[0] != '.' && name.p[name.n - 1] != '.') ||
           err_set(err, ERR_USAGE, "a dot makes a level: there has to be a name before and behind each");
}

static void read_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    a->reading--;
    if (kind == ERR_NO_MESSAGE || kind == ERR_NONE || kind == ERR_CHANNEL)
        return;
    ptrdiff_t i = box_at(a, s->box);
    if (i < 0 || a->boxes[i].unreadable++ >= a->boxes[i].unreadable_told)
        log_msg(LOG_WARN, "%s: a file was skipped: %s", a->name, clean_line(text));
    if (i >= 0 && a->boxes[i].unreadable == 1)
        snprintf(a->unreadable_why, sizeof a->unreadable_why, "%s", clean_line(text));
}

/* What lies in a folder and cannot be shown is told of once, and when it becomes more. */
static void odd_tell(struct acct *a, size_t i, const struct m_MAILDIR_ODD *o)
{
    bool more = o->count > a->boxes[i].odd;
    char name[260];
    a->boxes[i].odd = o->count;
    if (!more)
        return;
    snprintf(name, sizeof name, "%s", clean_line(str_sub(o->name, 0, 40)));
    acct_note(a, 1, ERR_NONE, "%u file%s in the folder of %s of %s %s: move %s out (%s: %s)", o->count,
              o->count == 1 ? "" : "s", box_words(a, o->box), a->name, o->count == 1 ? "is no mail" : "are no mails",
              o->count == 1 ? "it" : "them", name, clean_line(o->why));
}

static void unreadable_tell(struct acct *a, size_t i)
{
    struct box *b = &a->boxes[i];
    if (b->unreadable > b->unreadable_told)
        acct_note(a, 1, ERR_PERMISSION,
                  "%u mail%s in the folder of %s of %s cannot be read (%s): give yourself the right to read %s, then "
                  "they are listed",
                  b->unreadable, b->unreadable == 1 ? "" : "s", box_words(a, a->plan[i].id), a->name, a->unreadable_why,
                  b->unreadable == 1 ? "it" : "them");
    if (b->scanned)
        b->unreadable_told = b->unreadable;
    b->unreadable = 0;
}

static void on_box(struct acct *a, const struct m_BOX *b)
{
    struct err err = ERR_INIT;
    uint64_t id;
    struct db_box put = {.name = b->name,
                         .utf8 = b->utf8.n   ? b->utf8
                                 : b->name.n ? b->name
                                             : STR("INBOX"),
                         .delim = (char)b->delim,
                         .attrs = b->attrs,
                         .role = b->name.n == 0         ? BOX_INBOX
                                 : b->role < BOX_OUTBOX ? b->role
                                                        : BOX_NONE,
                         .exists = UINT32_MAX,
                         .unread = UINT32_MAX,
                         .size = UINT64_MAX,
                         .objid = b->id};
    if (!db_box_put(a->db, &put, &id, &err))
        acct_db_error(a, &err);
}

static void row_said(struct acct *a, const struct m_MAILDIR_ROW *r)
{
    struct err err = ERR_INIT;
    uint64_t id;
    bool fresh = false;
    struct mark mark = a->pop ? mark_read(r->name) : (struct mark){0};
    struct db_row row = {.box = r->box,
                         .name = r->name,
                         .flags = r->flags,
                         .size = mark.stub ? mark.stub : r->size,
                         .internal_date = r->internal_date,
                         .date = r->date ? r->date : r->internal_date,
                         .attrs = r->attrs | ROW_FULL,
                         .state = ROW_BODY,
                         .arrived =
                             !a->pop && !r->step, /* of POP3 the ledger says what has come; else it is imported */
                         .rcpts = r->rcpts,
                         DB_ROW_HEADER(r)};
    if (!db_row_put(a->db, &row, &id, &fresh, &err) || !db_body_is(a->db, id, r->path, STR(""), &err) ||
        (a->pop && !db_pop_whole(a->db, id, r->name, clock_wall(), &err)))
        acct_db_error(a, &err);
    if (r->step && !import_row(a, r->step, r->box, id))
        acct_violation(a, "a file that was not asked for");
    a->pass_fresh += a->passes && fresh && !a->pop;
}

/* It has no row, or its bytes are others than they were: it is to be read. */
static void unread_add(struct acct *a, size_t box, struct str name)
{
    struct buf *b = &a->unread;
    size_t before = b->n;
    b->max = UNREAD_MAX;
    if (buf_add(b, &a->plan[box].id, sizeof a->plan[box].id) && buf_add(b, name.p, name.n) && buf_addc(b, '\0'))
        return;
    b->n = before;
    b->full = false;
    a->boxes[box].scan = true; /* found by the next one */
}

static void file_said(struct acct *a, size_t box, const struct m_MAILDIR_FILE *f)
{
    struct err err = ERR_INIT;
    bool known = true;
    uint64_t stub;
    if (!db_scan_seen(a->db, f->box, f->name, f->path, f->flags, f->size, &known, &err))
        acct_db_error(a, &err);
    else if (known)
        ;
    else if (!a->pop || !(stub = db_pop_stub_of(a->db, f->box, f->name)))
        unread_add(a, box, f->name);
    else if (!db_pop_body_is(a->db, stub, f->box, f->name, f->path, f->flags, clock_wall(), &err))
        acct_db_error(a, &err);
}

static void moved_said(struct acct *a, size_t to, const struct m_MAILDIR_MOVED *m)
{
    struct err err = ERR_INIT;
    bool known = true;
    if (!db_name_moved(a->db, m->box, m->name, m->target, m->to, m->path, m->flags, &known, &err))
        acct_db_error(a, &err);
    else if (!known)
        unread_add(a, to, m->to);
}

/* Asks for the rows of files that have none, a window at a time. */
static void reads_send(struct acct *a)
{
    while (a->reading < READ_MAX && a->unread_at < a->unread.n) {
        uint64_t box;
        memcpy(&box, a->unread.p + a->unread_at, sizeof box);
        struct str name = str_z(a->unread.p + a->unread_at + sizeof box);
        ptrdiff_t i = box_at(a, box);
        struct step *s = i < 0 ? NULL
                               : STEP(a, read_done, -1, STEP_MAILDIR_READ, .box = box, .folder = box_name(&a->boxes[i]),
                                      .name = name);
        if (i >= 0 && !s)
            break;
        a->reading += s != NULL;
        a->unread_at += sizeof box + name.n + 1;
    }
    if (a->unread_at > 0 && a->unread_at == a->unread.n) {
        a->unread_at = 0;
        buf_fini(&a->unread);
    }
}

/* All that was met has been read. */
static void reads_end(struct acct *a)
{
    for (size_t i = 0; a->reading == 0 && a->unread.n == 0 && i < a->nboxes; i++) {
        struct err err = ERR_INIT;
        if (a->boxes[i].scanned && !a->boxes[i].scan && !db_box_filled(a->db, a->plan[i].id, &err))
            acct_db_error(a, &err);
        if (a->boxes[i].scanned || a->boxes[i].unreadable)
            unreadable_tell(a, i);
        a->boxes[i].scanned = false;
    }
}

static const struct said { /* what a message of fetch names, to be looked at before it is believed */
    uint64_t box, target;
    struct str name, to, path;
} said_nothing = {.name = {"x", 1}, .to = {"x", 1}};

static struct said said_of(const struct msg *m)
{
    struct said s = said_nothing;
    if (m->kind == MSG_MAILDIR_FILE) {
        s.box = m->u.MAILDIR_FILE.box;
        s.name = m->u.MAILDIR_FILE.name;
        s.path = m->u.MAILDIR_FILE.path;
    } else if (m->kind == MSG_MAILDIR_ROW) {
        s.box = m->u.MAILDIR_ROW.box;
        s.name = m->u.MAILDIR_ROW.name;
        s.path = m->u.MAILDIR_ROW.path;
    } else if (m->kind == MSG_MAILDIR_GONE) {
        s.box = m->u.MAILDIR_GONE.box;
        s.name = m->u.MAILDIR_GONE.name;
    } else if (m->kind == MSG_MAILDIR_MOVED) {
        s.box = m->u.MAILDIR_MOVED.box;
        s.name = m->u.MAILDIR_MOVED.name;
        s.target = m->u.MAILDIR_MOVED.target;
        s.to = m->u.MAILDIR_MOVED.to;
        s.path = m->u.MAILDIR_MOVED.path;
    } else if (m->kind == MSG_MAILDIR_ODD) {
        s.box = m->u.MAILDIR_ODD.box;
    } else {
        s.box = m->u.MAILDIR_CHANGED.box;
    }
    return s;
}

void local_message(struct acct *a, struct msg *m)
{
    struct err err = ERR_INIT;
    if (m->kind == MSG_BOX) {
        on_box(a, &m->u.BOX);
        return;
    }
    struct said s = said_of(m);
    if (!name_ok(s.name) || !name_ok(s.to) || (s.path.n > 0 && !acct_path_ok(s.path)) ||
        (m->kind == MSG_MAILDIR_ROW && s.path.n == 0)) {
        acct_violation(a, "a file name that leads elsewhere");
        return;
    }
    if (m->kind == MSG_MAILDIR_CHANGED && s.box == 0) {
        a->list_wanted = true;
        return;
    }
    ptrdiff_t box = box_at(a, s.box), to = box_at(a, s.target);
    if (box < 0 || (to < 0 && m->kind == MSG_MAILDIR_MOVED)) {
        if (s.box == 0 || s.box > a->max_box || s.target > a->max_box)
            acct_violation(a, "%s for a mailbox of no account", msg_name(m->kind));
        return;
    }
    if (m->kind == MSG_MAILDIR_CHANGED)
        a->boxes[box].scan = true;
    else if (m->kind == MSG_MAILDIR_ODD)
        odd_tell(a, (size_t)box, &m->u.MAILDIR_ODD);
    else if (m->kind == MSG_MAILDIR_FILE)
        file_said(a, (size_t)box, &m->u.MAILDIR_FILE);
    else if (m->kind == MSG_MAILDIR_MOVED)
        moved_said(a, (size_t)to, &m->u.MAILDIR_MOVED);
    else if (m->kind == MSG_MAILDIR_ROW)
        row_said(a, &m->u.MAILDIR_ROW);
    else if (!db_name_gone(a->db, s.box, s.name, &err))
        acct_db_error(a, &err);
}

/* ---- Scans: the list of folders, then each folder that has to be looked at ------------------------------------- */
/* The Maildir is not there, or is not to be read. What it held is not taken for deleted: all waits until it is back,
 * for a program whose sandbox knows the directory that is there then. */
void local_away(struct acct *a)
{
    struct err why = a->away;
    uint32_t random;
    a->away = ERR_INIT;
    a->is_away = true;
    fs_random(&random, sizeof random);
    acct_fetch_stop(a, why.text);
    acct_drop_line(a);
    pop_drop(a, why.kind, str_z(why.text));
    open_fail_all(a, why.kind, why.text, true);
    int64_t delay = sync_backoff_ms(++a->attempt, random);
    delay = MIN(delay, (int64_t)AWAY_MAX_MS);
    acct_fetch_after(a, delay);
    if (a->why != why.kind || strcmp(a->text, why.text) != 0)
        acct_note(a, 2, why.kind, "%s", why.text);
    a->again = clock_wall() + (delay + 999) / 1000;
    a->state = ACCOUNT_CONNECTING; /* told again with the new time */
    acct_state(a, ACCOUNT_WAITING, why.kind, why.text);
    acct_pass_end(a, why.kind, why.text);
    import_fail(a, why.kind, why.text);
    acct_settle(a);
}

static void folders_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    (void)s;
    a->scanning = false;
    a->list_open = false;
    if (kind == ERR_CHANNEL || kind == ERR_CANCELED)
        return;
    if (kind != ERR_NONE) {
        err_set(&a->away, kind, "%s", clean_line(text));
        return;
    }
    a->changed_boxes = true;
    if (a->is_away) { /* what failed for want of it is tried */
        a->wait_change = false;
        watch_free(&a->retry);
        a->pop_due = 0;
    }
    a->is_away = false;
    if (!db_boxes_end(a->db, &err))
        acct_db_error(a, &err);
    if (!a->pop || (a->state == ACCOUNT_WAITING && a->why != ERR_NONE)) { /* it was away */
        a->attempt = 0;
        acct_state(a, a->pop ? ACCOUNT_WAITING : ACCOUNT_ONLINE, ERR_NONE, "");
    }
}

static void folder_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    a->scanning = false;
    if (kind == ERR_NONE) {
        ptrdiff_t i = box_at(a, s->box);
        if (!db_scan_end(a->db, s->box, &err))
            acct_db_error(a, &err);
        else if (i >= 0)
            a->boxes[i].scanned = true;
    } else if (kind == ERR_NO_MAILBOX || kind == ERR_NO_MAILDIR) { /* since it was listed */
        a->list_wanted = true;
    } else if (kind != ERR_CHANNEL && kind != ERR_CANCELED) {
        acct_note(a, 2, kind, "%s of %s could not be read: %s", box_words(a, s->box), a->name, clean_line(text));
    }
}

/* What the user looks at first, then the inbox. -1: none. */
static ptrdiff_t scan_choose(struct acct *a)
{
    ptrdiff_t best = -1;
    int best_rank = -1;
    for (size_t i = 0; i < a->nboxes; i++) {
        int rank = a->plan[i].id == a->watched ? 2 : a->boxes[i].role == BOX_INBOX ? 1 : 0;
        if (a->boxes[i].scan && !a->boxes[i].creating && rank > best_rank) {
            best = (ptrdiff_t)i;
            best_rank = rank;
        }
    }
    return best;
}

static void scan_folder(struct acct *a, size_t i)
{
    struct err err = ERR_INIT;
    if (!db_scan_begin(a->db, a->plan[i].id, &err)) {
        acct_db_error(a, &err);
        return;
    }
    box_refresh(a, i);
    struct step *s = STEP(a, folder_done, -1, STEP_MAILDIR_SCAN, .box = a->plan[i].id, .folder = box_name(&a->boxes[i]),
                          .rows = a->plan[i].have == 0);
    if (s) {
        s->box = a->plan[i].id;
        a->boxes[i].scan = false;
        a->scanning = true;
    }
}

/* One that never was read may be made; one that was is away. */
static bool is_new(struct acct *a)
{
    struct db_box inbox;
    struct err err = ERR_INIT;
    return !db_box_by_name(a->db, STR(""), &inbox, &err) || !inbox.filled;
}

static void scan_list(struct acct *a)
{
    struct err err = ERR_INIT;
    a->list_wanted = false;
    if (!db_boxes_begin(a->db, &err)) {
        acct_db_error(a, &err);
        return;
    }
    a->scanning = a->list_open = STEP(a, folders_done, -1, STEP_MAILDIR_SCAN, .folder = STR("*"), .make = is_new(a));
}

bool local_pump(struct acct *a)
{
    if (a->changed_boxes && !a->list_open)
        acct_boxes_load(a);
    reads_send(a);
    reads_end(a);
    if (a->scanning || a->batch) /* what we change ourselves is not looked at in the middle */
        return a->scanning;
    ptrdiff_t next;
    if (a->list_wanted)
        scan_list(a);
    else if (!a->imports && (next = scan_choose(a)) >= 0) /* what an import adds has its row */
        scan_folder(a, (size_t)next);
    return a->scanning;
}

bool local_busy(struct acct *a)
{
    return a->scanning || a->list_wanted || a->reading > 0 || a->unread_at < a->unread.n || scan_choose(a) >= 0;
}

void local_begin(struct acct *a)
{
    a->list_wanted = !a->imap;
    a->scanning = false;
    a->reading = 0;
    a->unread_at = 0;
    buf_fini(&a->unread);
    local_look(a);
}

void local_look(struct acct *a)
{
    for (size_t i = 0; i < a->nboxes && !a->imap; i++)
        a->boxes[i].scan = true;
}
