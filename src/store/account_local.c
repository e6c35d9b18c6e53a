/* The account's Maildir (POP3 and local accounts): folders and files into rows. fetch is the only program here that
 * writes it; others may too. */
#include "store/account.h"

#define READ_MAX 128 /* rows asked for at once */

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

static void read_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)s;
    a->reading--;
    if (kind == ERR_NO_MESSAGE || kind == ERR_NONE || kind == ERR_CHANNEL)
        return;
    log_msg(LOG_WARN, "%s: a file was skipped: %s", a->name, clean_line(text));
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
                         .unread = UINT32_MAX};
    if (!db_box_put(a->db, &put, &id, &err))
        acct_db_error(a, &err);
    else if (box_at(a, id) < 0)
        a->changed_boxes = true;
}

static void row_said(struct acct *a, const struct m_MAILDIR_ROW *r)
{
    struct err err = ERR_INIT;
    uint64_t id;
    bool fresh = false;
    struct db_row row = {.box = r->box,
                         .name = r->name,
                         .flags = r->flags,
                         .size = r->size,
                         .internal_date = r->internal_date,
                         .date = r->date ? r->date : r->internal_date,
                         .attrs = r->attrs | ROW_FULL,
                         .state = ROW_BODY,
                         .arrived = !a->pop, /* there the ledger says what has come */
                         DB_ROW_HEADER(r)};
    if (!db_row_put(a->db, &row, &id, &fresh, &err) || !db_body_is(a->db, id, r->path, STR(""), &err))
        acct_db_error(a, &err);
    a->pass_fresh += a->passes && fresh && !a->pop;
}

static void file_said(struct acct *a, const struct m_MAILDIR_FILE *f)
{
    struct err err = ERR_INIT;
    bool known = true;
    if (!db_scan_seen(a->db, f->box, f->name, f->flags, f->size, &known, &err)) {
        acct_db_error(a, &err);
        return;
    }
    if (known)
        return;
    /* Those that do not fit are found by the scan that follows this one. */
    if (a->unread_box != f->box)
        buf_reset(&a->unread);
    a->unread_box = f->box;
    if (!buf_add(&a->unread, f->name.p, f->name.n) || !buf_addc(&a->unread, '\0')) {
        a->scan_again = true;
        a->unread_box = 0;
    }
}

/* Asks for the rows of files met by the scan, a window at a time. True while some are to come. */
static bool reads_send(struct acct *a)
{
    while (a->reading < READ_MAX && a->unread_at < a->unread.n && a->unread_box) {
        struct str name = str_z(a->unread.p + a->unread_at);
        struct step *s = STEP(a, read_done, -1, STEP_MAILDIR_READ, .box = a->unread_box,
                              .folder = local_folder(a, a->unread_box), .name = name);
        if (!s)
            break;
        a->reading++;
        a->unread_at += name.n + 1;
    }
    if (a->reading > 0 || (a->unread_box && a->unread_at < a->unread.n))
        return true;
    a->unread_at = 0;
    a->unread_box = 0;
    buf_fini(&a->unread);
    return false;
}

void local_message(struct acct *a, struct msg *m)
{
    uint64_t box = m->kind == MSG_MAILDIR_FILE   ? m->u.MAILDIR_FILE.box
                   : m->kind == MSG_MAILDIR_ROW  ? m->u.MAILDIR_ROW.box
                   : m->kind == MSG_MAILDIR_GONE ? m->u.MAILDIR_GONE.box
                                                 : 0;
    struct str name = m->kind == MSG_MAILDIR_FILE   ? m->u.MAILDIR_FILE.name
                      : m->kind == MSG_MAILDIR_ROW  ? m->u.MAILDIR_ROW.name
                      : m->kind == MSG_MAILDIR_GONE ? m->u.MAILDIR_GONE.name
                                                    : STR("x");
    struct err err = ERR_INIT;
    if (m->kind == MSG_BOX) {
        on_box(a, &m->u.BOX);
        return;
    }
    if (m->kind == MSG_MAILDIR_CHANGED) {
        a->scan_wanted = true;
        return;
    }
    if (!name_ok(name) || (m->kind == MSG_MAILDIR_ROW && !acct_path_ok(m->u.MAILDIR_ROW.path))) {
        acct_violation(a, "a file name that leads elsewhere");
        return;
    }
    if (box_at(a, box) < 0) {
        if (box == 0 || box > a->max_box)
            acct_violation(a, "%s for a mailbox of no account", msg_name(m->kind));
        return;
    }
    if (m->kind == MSG_MAILDIR_FILE)
        file_said(a, &m->u.MAILDIR_FILE);
    else if (m->kind == MSG_MAILDIR_ROW)
        row_said(a, &m->u.MAILDIR_ROW);
    else if (!db_name_gone(a->db, box, name, &err))
        acct_db_error(a, &err);
}

/* ---- Scans: the folder list, then folder by folder ---------------------------------------------- */
static void folders_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    (void)s;
    a->scanning = false;
    a->list_open = false;
    if (kind != ERR_NONE) {
        a->scan_wanted = false;
        if (kind != ERR_CHANNEL)
            acct_note(a, 2, kind, "the folders of %s could not be read: %s", a->name, clean_line(text));
        acct_pass_end(a, kind, clean_line(text));
        return;
    }
    a->scan_folders = true;
    a->scan_at = 0;
    a->changed_boxes = true;
    if (!db_boxes_end(a->db, &err))
        acct_db_error(a, &err);
}

static void folder_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    a->scanning = false;
    if (kind == ERR_NONE) {
        if (!db_scan_end(a->db, s->box, &err))
            acct_db_error(a, &err);
    } else if (kind != ERR_CHANNEL) {
        acct_note(a, 2, kind, "%s of %s could not be read: %s", box_words(a, s->box), a->name, clean_line(text));
    }
    if (kind != ERR_NONE)
        a->scan_again = false;
}

/* One folder at a time, and again while it had more new files than were read at once. False after the last. */
static bool scan_next(struct acct *a)
{
    struct err err = ERR_INIT;
    if (a->scan_again && a->scan_at > 0)
        a->scan_at--;
    a->scan_again = false;
    while (a->scan_at < a->nboxes && a->boxes[a->scan_at].creating) /* it is made when its intent comes to it */
        a->scan_at++;
    if (a->scan_at >= a->nboxes) {
        a->scan_folders = false;
        if (!a->pop && a->state != ACCOUNT_ONLINE)
            acct_state(a, ACCOUNT_ONLINE, ERR_NONE, "");
        return false;
    }
    size_t i = a->scan_at++;
    if (!db_scan_begin(a->db, a->plan[i].id, &err)) {
        acct_db_error(a, &err);
        return true;
    }
    struct step *s =
        STEP(a, folder_done, -1, STEP_MAILDIR_SCAN, .box = a->plan[i].id, .folder = box_name(&a->boxes[i]));
    if (s) {
        s->box = a->plan[i].id;
        a->scanning = true;
    }
    return true;
}

bool local_pump(struct acct *a)
{
    struct err err = ERR_INIT;
    if (a->changed_boxes && !a->list_open)
        acct_boxes_load(a);
    if (reads_send(a) || a->scanning)
        return true;
    if (a->batch)
        return false;
    if (a->scan_folders && scan_next(a))
        return true;
    if (!a->scan_wanted) /* what changed during the last scan is looked at by the next */
        return false;
    a->scan_wanted = false;
    if (!db_boxes_begin(a->db, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    struct step *s = STEP(a, folders_done, -1, STEP_MAILDIR_SCAN, .folder = STR("*"));
    if (s) {
        a->list_open = true;
        a->scanning = true;
    }
    return s != NULL;
}
