/* Panes onto the grid. Everything that came from outside passes text_from_bytes here, once, at the last moment. */
#include "ui/bidi.h"
#include "ui/extra.h"

enum { PICK_ROWS = 10, CLEAN_MAX = 16384, QUOTA_WARN = 90, WHY_MIN = 16, CALM_MS = 10000 };

struct text ui_clean(const struct ui *ui, struct str raw, struct buf *out)
{
    buf_reset(out);
    out->max = CLEAN_MAX;
    return text_from_bytes(str_sub(raw, 0, 4096), TEXT_FOLD_SPACE | (ui->grid.ascii ? TEXT_ASCII : 0u), out);
}

static unsigned put(struct ui *ui, struct rect r, unsigned y, unsigned x, const char *z, style s)
{
    struct buf b = BUF_INIT(CLEAN_MAX);
    unsigned used = grid_text(&ui->grid, r, y, x, ui_clean(ui, str_z(z), &b), s);
    buf_fini(&b);
    return used;
}

void ui_put_field(struct ui *ui, struct rect r, unsigned y, unsigned x, unsigned width, struct str raw, style s)
{
    struct buf b = BUF_INIT(CLEAN_MAX);
    struct text t = ui_clean(ui, raw, &b);
    grid_field(&ui->grid, r, y, x, width, t, s);
    bidi_cells(&ui->grid, r, y, x, MIN(width, t.cols), bidi_is_rtl((struct str){t.p, t.n}));
    buf_fini(&b);
}

static void put_right(struct ui *ui, struct rect r, unsigned y, unsigned right, const char *z, style s)
{
    struct buf b = BUF_INIT(CLEAN_MAX);
    struct text t = ui_clean(ui, str_z(z), &b);
    if (t.cols <= right)
        grid_text(&ui->grid, r, y, right - t.cols, t, s);
    buf_fini(&b);
}

/* 4311 as "4,311" */
static void number(uint32_t n, char out[16])
{
    char digits[16];
    int len = snprintf(digits, sizeof digits, "%u", n);
    size_t o = 0;
    for (int i = 0; i < len && o < 14; i++) {
        if (i && (len - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    out[o] = 0;
}

/* ---- mailboxes ---- */
static const char *state_word(const struct acct *acct)
{
    static const char *const words[] = {
        [ACCOUNT_OFFLINE] = "offline", [ACCOUNT_CONNECTING] = "connecting", [ACCOUNT_ONLINE] = "live",
        [ACCOUNT_FAILED] = "failed",   [ACCOUNT_WAITING] = "offline",       [ACCOUNT_WANTS_SECRET] = "wants password"};
    return words[MIN(acct->state, COUNT(words) - 1)];
}

/* What stands to the right of a mailbox or an account. */
static const char *box_says(const struct ui *ui, const struct box_item *item, char count[40])
{
    char all[16];
    const struct acct *acct = item->kind == BOXK_ACCOUNT ? &ui->accts.list[item->account] : NULL;
    if (acct && acct->known && acct->state != ACCOUNT_ONLINE)
        return acct->held ? "held" : state_word(acct);
    if (item->kind == BOXK_SAVED && item->counted && item->total) { /* hits are counted nowhere else */
        number(item->total, all);
        char unread[16];
        number(item->unread, unread);
        snprintf(count, 40, "%s%s%s", item->unread ? unread : "", item->unread ? "/" : "", all);
        return count;
    }
    if (!item->unread)
        return "";
    number(item->unread, count);
    return count;
}

static void draw_box(struct ui *ui, struct rect r, unsigned y, const struct box_item *item, bool here)
{
    style s = item->kind == BOXK_ACCOUNT || item->kind == BOXK_HEADING ? THING_BOX_ACCOUNT
              : item->unread                                           ? THING_BOX_UNREAD
                                                                       : THING_BOX;
    if (item->attrs & (BOX_NOSELECT | BOX_NONEXISTENT))
        s = THING_BOX_ACCOUNT;
    else if (item->aside && !item->unread)
        s = THING_GONE;
    unsigned indent =
        item->kind >= BOXK_HEADING || (item->kind == BOXK_SAVED && item->depth) ? 3 + MIN(item->depth, 6u) * 2 : 1;
    char count[40];
    const char *says = box_says(ui, item, count);
    unsigned room = (unsigned)strlen(says);
    unsigned width = r.cols > indent + room + 2 ? r.cols - indent - room - 2 : 1;
    ui_put_field(ui, r, y, indent, width, str_z(item->name), s);
    put_right(ui, r, y, r.cols - 1, says, item->kind == BOXK_ACCOUNT || !item->unread ? THING_MARKER : s);
    if (here)
        grid_cursor(&ui->grid, r, y, STYLE_CURSOR);
}

static bool shown_box(const struct ui *ui, const struct box_item *item)
{
    const struct list *l = ui->stack[0];
    return (l->source == LIST_INBOXES && item->kind == BOXK_INBOXES) ||
           (l->source == LIST_BOX && item->kind == BOXK_BOX && item->account == l->account && item->id == l->box);
}

static void draw_boxes(struct ui *ui)
{
    struct rect r = ui->layout.boxes;
    struct boxes *b = &ui->boxes;
    if (!r.rows)
        return;
    b->height = r.rows;
    if (b->cur < b->top)
        b->top = b->cur;
    if (b->cur >= b->top + b->height)
        b->top = b->cur - b->height + 1;
    if (b->top + b->height > b->n) /* no empty lines below while there are rows above */
        b->top = b->n > b->height ? b->n - b->height : 0;
    for (unsigned y = 0; y < r.rows && b->top + y < b->n; y++) {
        const struct box_item *item = &b->list[b->top + y];
        draw_box(ui, r, y, item, (ui->focus == PANE_BOXES || b->browsed) && b->top + y == b->cur);
        if (ui->focus != PANE_BOXES && shown_box(ui, item) && !ui->grid.words)
            grid_text(&ui->grid, r, y, 0, grid_sign(&ui->grid, SIGN_SELECTED), THING_ACCENT);
    }
}

/* ---- the list ---- */
static uint32_t unread_of(const struct ui *ui, const struct list *l)
{
    if (l->source == LIST_HITS)
        return l->unread;
    for (unsigned i = 0; i < ui->boxes.n; i++) {
        const struct box_item *item = &ui->boxes.list[i];
        if ((l->source == LIST_INBOXES && item->kind == BOXK_INBOXES) ||
            (l->source == LIST_BOX && item->kind == BOXK_BOX && item->account == l->account && item->id == l->box))
            return item->unread;
    }
    return 0;
}

/* By what the list holds, not by what the mailbox held when its counts were read: rows come between the two. */
uint32_t ui_rows_to_come(const struct ui *ui, const struct list *l)
{
    uint64_t whole = 0, known = 0;
    for (unsigned a = 0; l->filter == LIST_ALL && a < ui->accts.n; a++) {
        const struct box_item *box = ui_list_box(ui, l, a);
        if (!box || box->total == UINT32_MAX)
            continue;
        whole += box->total;
        known += MIN(box->known, box->total);
    }
    uint64_t here = list_dated(l) ? l->total : known;
    return known < whole && whole > here ? (uint32_t)MIN(whole - here, (uint64_t)UINT32_MAX - l->total) : 0;
}

/* Is an empty list no answer yet? Not before the mailbox was opened, or its account has said that it cannot be. */
enum fill { FILL_DONE, FILL_UNASKED, FILL_WAITS, FILL_RUNS };

static enum fill fill_of(const struct ui *ui, const struct list *l)
{
    enum fill fill = FILL_DONE;
    for (unsigned a = 0; a < ui->accts.n; a++) {
        const struct acct *acct = &ui->accts.list[a];
        const struct box_item *box =
            l->source == LIST_BOX ? boxes_find(&ui->boxes, a, l->box) : boxes_role(&ui->boxes, a, BOX_INBOX);
        bool unasked = box && box->unasked && acct->conf && acct->conf->in.proto == PROTO_IMAP;
        bool more = !box || box->total > box->known, online = acct->state == ACCOUNT_ONLINE;
        if (!acct->known || (l->source == LIST_BOX && a != l->account))
            continue;
        if (acct->state == ACCOUNT_CONNECTING || (online && more) || ui->fetching == a + 1)
            return FILL_RUNS;
        if (more || unasked)
            fill = MAX(fill, online ? FILL_UNASKED : FILL_WAITS);
    }
    return fill;
}

bool ui_list_reads(const struct ui *ui)
{
    const struct list *l = ui_list(ui);
    return !l->n && l->source != LIST_HITS && fill_of(ui, l) == FILL_RUNS;
}

/* Are more hits to come? What is asked again is here already. */
static bool comes(const struct ui *ui, const struct list *l)
{
    return ui->search && l == ui->search_list && !ui->search_same;
}

/* How many hits there are: those that are kept, or as many as the index says; and that they are cut. */
static void hits_words(const struct ui *ui, const struct list *l, struct buf *total)
{
    char n[16];
    uint32_t kept = list_hits(l);
    bool whole = l->filter == LIST_ALL && !list_threaded(l), more = comes(ui, l), cut = kept >= HITS_MAX;
    number(whole && (more || cut) ? MAX(l->asked, l->total) : l->total, n);
    buf_addf(total, "%s%s", whole && (more || cut) && l->asked > kept ? "~" : "", n);
    if (list_threaded(l))
        buf_addz(total, l->total == 1 ? " thread" : " threads");
    if (more)
        buf_addz(total, "…");
    else if (cut)
        buf_addz(total, " · the newest 100,000");
    else if (l == ui->search_list && ui->search_partial)
        buf_addz(total, " so far");
}

/* Is it the list of a query of which nothing is typed yet? */
static bool unasked(const struct ui *ui, const struct list *l)
{
    return l->source == LIST_HITS && l == ui->search_list && !(ui->search_text && *ui->search_text);
}

static const char *empty_title(const struct ui *ui, const struct list *l)
{
    static const char *const words[] = {
        [FILL_DONE] = "empty", [FILL_RUNS] = "reading", [FILL_UNASKED] = "not read yet", [FILL_WAITS] = "not read yet"};
    if (l->source == LIST_HITS)
        return comes(ui, l)                                         ? "searching"
               : unasked(ui, l) || ui_query_unfinished(&ui->prompt) ? ""
               : l != ui_drawn_list(ui)                             ? "nothing matches"
                                                                    : "empty";
    return words[fill_of(ui, l)];
}

/* Of the cursor's row, from 1 on. */
static uint32_t row_number(const struct ui *ui, const struct list *l)
{
    uint32_t come = list_dated(l) ? ui_rows_to_come(ui, l) : 0;
    return l->rank + 1 + (come > l->older ? come - l->older : 0);
}

static void draw_title(struct ui *ui, struct rect r, const struct list *l)
{
    struct buf right = BUF_INIT(200), left = BUF_INIT(CLEAN_MAX);
    char n[16], total_n[16];
    struct buf total = BUF_INIT(100);
    bool threads = list_threaded(l);
    uint32_t come = list_dated(l) ? ui_rows_to_come(ui, l) : 0;
    number(l->total + come, total_n);
    if (l->source == LIST_HITS)
        hits_words(ui, l, &total);
    else
        buf_addf(&total, "%s%s", total_n, !threads ? "" : l->total == 1 ? " thread" : " threads");
    number(row_number(ui, l), n);
    if (l->source == LIST_HITS)
        buf_addf(&left, "%s: ",
                 l->whole                                                  ? "conversation"
                 : l->limits || (ui->search_limit && l == ui->search_list) ? "limit"
                                                                           : "search");
    buf_addz(&left, l->title ? l->title : "");
    const struct box_item *box = l->source == LIST_BOX ? ui_list_box(ui, l, l->account) : NULL;
    if (box && (box->attrs & BOX_READONLY))
        buf_addz(&left, " · read only");
    if (l->filter != LIST_ALL)
        buf_addf(&left, " · %s", l->filter == LIST_UNREAD ? "unread" : "flagged");
    if (*list_order_words(l))
        buf_addf(&left, " · %s", list_order_words(l));
    uint32_t unread = unread_of(ui, l);
    if (unread && r.cols >= 60) {
        char u[16];
        number(unread, u);
        buf_addf(&right, "%s unread · ", u);
    }
    if (l->n)
        buf_addf(&right, "%s%s%s", l->rank_unknown ? "" : n, l->rank_unknown ? "" : " of ", buf_z(&total));
    else
        buf_addz(&right, empty_title(ui, l));
    buf_fini(&total);
    if (remote_asks(ui, l))
        buf_addz(&right, " · asking the server");
    unsigned room = (unsigned)right.n + 2;
    ui_put_field(ui, r, 0, 1, r.cols > room + 2 ? r.cols - room - 2 : 1, buf_str(&left), THING_TITLE);
    put_right(ui, r, 0, r.cols - 1, buf_z(&right), THING_MARKER);
    buf_fini(&right);
    buf_fini(&left);
}

/* May a text be on the server alone? Then "nothing" would be too much said. */
static bool bodies_away(const struct ui *ui, const struct list *l)
{
    for (unsigned a = 0; a < ui->accts.n && l->query && *l->query; a++)
        if (ui->accts.list[a].conf && ui->accts.list[a].conf->in.proto == PROTO_IMAP)
            return true;
    return false;
}

static const char *empty_words(const struct ui *ui, const struct list *l)
{
    if (!ui->accts.n)
        return "No account: write one in tuimailrc, or look at tuimail demo.";
    if (unasked(ui, l))
        return ui->search_limit ? "Type what the list is limited to." : "Type what to look for, in all mail.";
    if (l->source == LIST_HITS)
        return comes(ui, l)         ? "searching"
               : l->failed          ? "The search index cannot be read; :reindex makes it anew."
               : ui->search_partial ? "Nothing matches so far; mail is still being read."
               : remote_asks(ui, l) ? "Nothing here; the server is being asked."
               : bodies_away(ui, l)
                   ? "Nothing matches. Mail not opened here yet is found by its header alone: server-search."
                   : "Nothing matches.";
    if (l->filter != LIST_ALL)
        return "Nothing here; q shows all again.";
    static const char *const words[] = {
        [FILL_DONE] = "No messages here.",
        [FILL_RUNS] = "The list is being read.",
        [FILL_UNASKED] = "Nothing of it is on this machine yet.",
        [FILL_WAITS] = "Nothing is on this machine yet, and there is no connection to the server."};
    return words[fill_of(ui, l)];
}

static void put_empty_words(struct ui *ui, struct rect rows, struct list *l)
{
    struct str words = str_z(empty_words(ui, l));
    unsigned width = rows.cols > 11 ? rows.cols - 3 : 8;
    for (size_t y = 1, from = 0, next; from < words.n && y < rows.rows; y++, from = next) {
        struct buf b = BUF_INIT(CLEAN_MAX);
        struct str piece = {words.p + from, ui_fits(words, from, width, &next)};
        grid_text(&ui->grid, rows, (unsigned)y, 3, ui_clean(ui, piece, &b), THING_MARKER);
        buf_fini(&b);
    }
}

static void draw_list(struct ui *ui)
{
    struct rect r = ui->layout.list;
    struct list *l = ui_list(ui);
    if (r.rows < 2)
        return;
    draw_title(ui, r, l);
    l = ui_drawn_list(ui);
    struct rect rows = {r.y + 1, r.x, r.rows - 1, r.cols};
    if (!l->n)
        put_empty_words(ui, rows, l);
    draw_rows(ui, rows, l, row_number(ui, l));
    if (l->n && list_lines(l, l->top, l->cur) < rows.rows) {
        ui->grid.cursor_y = rows.y + list_lines(l, l->top, l->cur);
        ui->grid.cursor_x = rows.x;
    }
}

/* ---- the message ---- */
enum { FILES_ROWS = 8 }; /* of the pane, for a line of attachments */

static bool has_files(const struct ui *ui)
{
    return ui->message.nfiles && ui->message.state == MESSAGE_SHOWN && ui->layout.message.rows >= FILES_ROWS;
}

static const char *verdict(const struct ui *ui, bool *bad_r)
{
    *bad_r = false;
    return ui->message.state == MESSAGE_SHOWN && ui->layout.message.rows > 2 ? crypto_banner(ui, bad_r) : NULL;
}

/* Between the title line and what is below the text. */
unsigned ui_text_rows(const struct ui *ui)
{
    bool bad;
    unsigned rows = ui->layout.message.rows, other = 1 + (verdict(ui, &bad) != NULL) + has_files(ui);
    return rows > other ? rows - other : 1;
}

/* What is attached, and the key that lists it: seen without going to the end of the text. */
static void draw_files(struct ui *ui, struct rect r)
{
    struct buf line = BUF_INIT(4096), key = BUF_INIT(200);
    const struct message *m = &ui->message;
    struct text sign = grid_sign(&ui->grid, SIGN_ATTACHMENT);
    unsigned y = r.rows - 1 - (ui_text_rows(ui) + 2 < r.rows);
    if (keymap_where(ui->keymap, CTX_MESSAGE, "parts", &key))
        buf_addz(&key, " lists, saves");
    unsigned right = (unsigned)key.n && r.cols > key.n + 30 ? (unsigned)key.n + 2 : 0;
    buf_addf(&line, "%.*s ", (int)sign.n, sign.p);
    if (m->nfiles > 1)
        buf_addf(&line, "%u files: ", m->nfiles);
    buf_addz(&line, m->files);
    grid_fill_row(&ui->grid, r, y, THING_PART);
    ui_put_field(ui, r, y, 1, r.cols - 1 - right, buf_str(&line), THING_PART);
    if (right)
        put_right(ui, r, y, r.cols - 1, buf_z(&key), THING_PART);
    buf_fini(&line);
    buf_fini(&key);
}

static void draw_message(struct ui *ui)
{
    struct rect r = ui->layout.message;
    char place[16];
    if (r.rows < 2 || ui->message.state == MESSAGE_NONE)
        return;
    struct rect text = {r.y + 1, r.x + 1, MIN(ui_text_rows(ui), r.rows - 1), r.cols > 2 ? r.cols - 2 : r.cols};
    if (ui->conf->wrap && ui->conf->wrap < text.cols)
        text.cols = ui->conf->wrap;
    style s = ui->focus == PANE_MESSAGE ? THING_ACCENT : THING_RULE;
    grid_hline(&ui->grid, r, 0, s);
    const struct list_row *row = ui_row(ui);
    if (row && ref_eq(row->ref, ui->message.ref))
        message_set_tags(&ui->message, row->tags);
    ui->message.words = list_searched(ui_list(ui));
    message_draw(&ui->message, &ui->grid, text);
    if (has_files(ui))
        draw_files(ui, r);
    const char *word = message_place(&ui->message, text.rows, place);
    char label[40];
    snprintf(label, sizeof label, " %s%s%s ", ui->message.flags & VIEW_RAW ? "raw " : "",
             ui->message.flags & VIEW_PREFER_HTML ? "html " : "", word);
    if (*word)
        put_right(ui, r, 0, r.cols - 1, label, THING_MARKER);
}

/* ---- the status line ---- */
/* When it is tried again, as a time of day: a countdown would draw for ever. */
static void again_words(const struct acct *acct, struct buf *out)
{
    char when[16];
    time_t t = (time_t)acct->again;
    struct tm tm;
    if (acct->state == ACCOUNT_WAITING && acct->again && localtime_r(&t, &tm) &&
        strftime(when, sizeof when, "%H:%M:%S", &tm))
        buf_addf(out, ", again %s", when);
}

/* Why it has no line, in at most *room columns, which become fewer; not where the words to the left say it. */
static void why_words(const struct ui *ui, unsigned a, unsigned *room, struct buf *out)
{
    const struct acct *acct = &ui->accts.list[a];
    bool off = acct->state == ACCOUNT_WAITING || acct->state == ACCOUNT_FAILED;
    if (!off || *room < WHY_MIN || !acct->text[0] || (ui->status_of == a + 1 && ui->status[0]))
        return;
    struct buf b = BUF_INIT(CLEAN_MAX);
    struct text all = ui_clean(ui, str_z(acct->text), &b), dots = grid_sign(&ui->grid, SIGN_ELLIPSIS);
    struct text t = text_fit(all, all.cols + 2 > *room ? *room - 2 - dots.cols : all.cols);
    buf_addf(out, ": %.*s%.*s", (int)t.n, t.p, t.cols < all.cols ? (int)dots.n : 0, dots.p);
    *room -= MIN(t.cols + 2 + dots.cols, *room);
    buf_fini(&b);
}

/* How much is said of the accounts: all, without what can wait, nothing of those that are well, no numbers. */
enum say { SAY_ALL, SAY_BRIEF, SAY_TROUBLE, SAY_LEAST };

/* Changes of a live account are told once they have waited. */
static bool tell_queued(const struct acct *acct)
{
    return acct->queued && (acct->state != ACCOUNT_ONLINE || clock_mono_ms() - acct->queued_ms >= QUEUED_TOLD_MS);
}

static void account_words(const struct ui *ui, enum say say, unsigned room, struct buf *out)
{
    for (unsigned a = 0; a < ui->accts.n && a < 8; a++) {
        const struct acct *acct = &ui->accts.list[a];
        bool well = acct->state == ACCOUNT_ONLINE && acct->full < QUOTA_WARN && !tell_queued(acct) && !acct->outbox &&
                    !acct->refused && !acct->unknown;
        if (!acct->known || (say >= SAY_TROUBLE && well))
            continue;
        buf_addf(out, "%s%s %s", out->n ? " · " : "", acct->name, state_word(acct));
        if (say == SAY_ALL)
            again_words(acct, out);
        if (say == SAY_LEAST)
            continue;
        if (acct->full >= QUOTA_WARN)
            buf_addf(out, ", %u %% full", acct->full);
        if (tell_queued(acct))
            buf_addf(out, ", %u %s", acct->queued, acct_is_local(acct) ? "to be done" : "queued");
        if (acct->outbox)
            buf_addf(out, ", %u to send", acct->outbox);
        if (acct->refused)
            buf_addf(out, ", %u not sent", acct->refused);
        if (acct->unknown)
            buf_addf(out, ", %u perhaps sent", acct->unknown);
        if (acct->held)
            buf_addz(out, ": held, see :identity");
        else if (say == SAY_ALL && acct->caching)
            buf_addf(out, ", fetching %u ahead", acct->caching);
        if (!acct->held)
            why_words(ui, a, &room, out);
    }
}

static unsigned state_words(const struct ui *ui, enum say say, unsigned room, struct buf *out)
{
    struct buf b = BUF_INIT(CLEAN_MAX);
    buf_reset(out);
    if (ui->nbuffers > 1)
        buf_addf(out, "buffer %u of %u", buffer_number(ui), ui->nbuffers);
    if (ui->recording)
        buf_addf(out, "%srecording", out->n ? " · " : "");
    if (ui->selection.n)
        buf_addf(out, "%s%zu selected", out->n ? " · " : "", ui->selection.n);
    if (ui->unindexed >= INDEX_TOLD && say < SAY_TROUBLE)
        buf_addf(out, "%s%s %u", out->n ? " · " : "", ui->index_held ? "index held," : "to index", ui->unindexed);
    account_words(ui, say, room, out);
    unsigned cols = ui_clean(ui, buf_str(out), &b).cols;
    buf_fini(&b);
    return cols;
}

/* What stands to the right, before column `right`: as much as fits into these columns. */
static void draw_state(struct ui *ui, struct rect r, unsigned right, unsigned width)
{
    struct buf words = BUF_INIT(CLEAN_MAX);
    enum say say = SAY_ALL;
    while (say < SAY_LEAST && state_words(ui, say, 0, &words) > width)
        say++;
    unsigned cols = state_words(ui, say, 0, &words);
    if (cols <= width) {
        state_words(ui, say, width - cols, &words);
        put_right(ui, r, 0, right, buf_z(&words), THING_STATUS);
    }
    buf_fini(&words);
}

/* Columns of a piece of what is typed. */
static unsigned typed_cols(const struct ui *ui, size_t from, size_t to)
{
    const struct edit *e = &ui->prompt.edit;
    struct buf b = BUF_INIT(CLEAN_MAX);
    unsigned cols = ui_clean(ui, str_sub((struct str){e->p, e->n}, from, to), &b).cols;
    buf_fini(&b);
    return cols;
}

/* Above the prompt: what is wrong with the query, with a sign above its place; else what will be
 * asked. `x`: where the text begins. */
static void draw_hint(struct ui *ui, struct rect prompt, unsigned x)
{
    const struct prompt *p = &ui->prompt;
    bool bad = p->verdict == QUERY_BAD || p->refused, fault = p->verdict != QUERY_GOOD && p->fault_to > p->fault_from;
    style s = bad ? THING_STATUS_ERROR : p->verdict == QUERY_HINT ? THING_STATUS_WARNING : THING_POPUP_DIM;
    unsigned col = x, left;
    if (p->open || !p->hint[0] || prompt.y < 3 || (ui_query_unfinished(p) && !p->refused))
        return;
    if (fault && p->fault_from >= p->edit.at)
        col = ui->grid.cursor_x + typed_cols(ui, p->edit.at, p->fault_from);
    else if (fault)
        col = ui->grid.cursor_x - MIN(ui->grid.cursor_x, typed_cols(ui, p->fault_from, p->edit.at));
    col = MIN(MAX(col, x), prompt.cols - 1);
    struct rect r = {prompt.y - 1, 0, 1, prompt.cols};
    struct buf b = BUF_INIT(CLEAN_MAX), c = BUF_INIT(CLEAN_MAX);
    struct text words = ui_clean(ui, str_z(p->hint), &b);
    grid_fill_row(&ui->grid, r, 0, THING_POPUP);
    if (fault && bad) { /* the piece itself */
        struct str piece = str_sub((struct str){p->edit.p, p->edit.n}, p->fault_from, p->fault_to);
        grid_text(&ui->grid, prompt, 0, col, ui_clean(ui, piece, &c), THING_WARNING);
    }
    if (fault)
        grid_text(&ui->grid, r, 0, col, TEXT("^"), s);
    if (col + 2 + words.cols < r.cols || col < r.cols / 2)
        left = fault ? col + 2 : col;
    else
        left = col > words.cols + 1 ? col - words.cols - 1 : 1;
    unsigned room = left < col && fault ? col - left - 1 : r.cols - left - 1;
    if (left < r.cols)
        grid_field(&ui->grid, r, 0, left, room, words, s);
    buf_fini(&b);
    buf_fini(&c);
}

static void draw_prompt(struct ui *ui, struct rect r)
{
    struct prompt *p = &ui->prompt;
    struct buf label = BUF_INIT(CLEAN_MAX);
    unsigned x =
        grid_text(&ui->grid, r, 0, 0, text_from_bytes(str_z(p->label), ui->grid.ascii ? TEXT_ASCII : TEXT_LINE, &label),
                  THING_PROMPT);
    buf_fini(&label);
    x = MIN(x, r.cols > 10 ? r.cols - 10 : 0);
    ui->grid.cursor_on = true;
    ui->grid.cursor_y = r.y;
    if (p->kind == PROMPT_SECRET) { /* nothing shows, not even how long it is */
        grid_field(&ui->grid, r, 0, x, r.cols - x, TEXT(""), THING_INPUT);
        ui->grid.cursor_x = MIN(x, r.cols - 1);
        return;
    }
    struct buf b = BUF_INIT(CLEAN_MAX), c = BUF_INIT(CLEAN_MAX);
    unsigned flags = ui->grid.ascii ? TEXT_ASCII : TEXT_LINE, room = r.cols - x;
    size_t from = 0;
    struct text before = text_from_bytes((struct str){p->edit.p, p->edit.at}, flags, &b);
    /* scrolls by dropping clusters in front until the cursor fits */
    struct text rest = before, cluster;
    while (rest.cols + 1 >= room && text_next(&rest, &cluster))
        from += cluster.n;
    struct text after = text_from_bytes((struct str){p->edit.p + p->edit.at, p->edit.n - p->edit.at}, flags, &c);
    grid_field(&ui->grid, r, 0, x, room, TEXT(""), THING_INPUT);
    unsigned used = grid_text(&ui->grid, r, 0, x, rest, THING_INPUT);
    grid_text(&ui->grid, r, 0, x + used, after, THING_INPUT);
    ui->grid.cursor_x = MIN(x + used, r.cols - 1);
    (void)from;
    draw_hint(ui, r, x);
    buf_fini(&b);
    buf_fini(&c);
}

/* With option accessible it changes now and then, not with each byte. */
static const char *progress_words(struct ui *ui)
{
    int64_t now = clock_mono_ms();
    if (!ui->grid.words)
        return ui->progress;
    if (!ui->progress[0] || !ui->progress_calm[0] || now - ui->calm_ms >= CALM_MS) {
        memcpy(ui->progress_calm, ui->progress, sizeof ui->progress_calm);
        ui->calm_ms = now;
    }
    return ui->progress_calm;
}

static void draw_status(struct ui *ui)
{
    static const style levels[] = {THING_STATUS_NOTE, THING_STATUS_WARNING, THING_STATUS_ERROR};
    struct rect r = ui->layout.status;
    if (ui->prompt.kind != PROMPT_NONE) {
        draw_prompt(ui, r);
        return;
    }
    struct buf keys = BUF_INIT(400);
    grid_fill_row(&ui->grid, r, 0, THING_STATUS);
    if (ui->count)
        buf_addf(&keys, "%u", ui->count);
    keys_format(ui->keys, ui->nkeys, &keys);
    if (!keys.n && !ui->progress[0] && !ui->status[0])
        remote_words(ui, &keys);
    const char *left = keys.n ? buf_z(&keys) : ui->progress[0] ? progress_words(ui) : ui->status;
    style s = keys.n || ui->progress[0] ? THING_STATUS_NOTE : levels[MIN(ui->status_level, 2u)];
    struct buf b = BUF_INIT(CLEAN_MAX), help = BUF_INIT(200);
    unsigned need = ui_clean(ui, str_z(left), &b).cols, least = state_words(ui, SAY_TROUBLE, 0, &b), core = need;
    if (left == ui->status) {
        buf_reset(&b);
        core = ui_clean(ui, (struct str){left, ui->status_core}, &b).cols;
    }
    /* what happened comes first, then the state of the accounts, then what to do about it: that is a key away */
    bool whole = need == core ? need < r.cols : need + least + 12 < r.cols;
    if (!whole && left == ui->status && keymap_where(ui->keymap, CTX_LIST, "messages", &help))
        buf_addz(&help, " shows all");
    else
        buf_addz(&help, "? help");
    unsigned tail = (unsigned)help.n + 3, shown = whole ? need : core;
    if (!whole && r.cols > tail + 20)
        shown = MIN(shown, r.cols - tail - 1);
    if (shown + tail + 3 < r.cols)
        draw_state(ui, r, r.cols - tail, r.cols - shown - tail - 3);
    if (shown + tail + 1 <= r.cols)
        put_right(ui, r, 0, r.cols - 1, buf_z(&help), THING_STATUS);
    ui_put_field(ui, r, 0, 1, MIN(shown, r.cols - 1), str_z(left), s);
    buf_fini(&b);
    buf_fini(&help);
    buf_fini(&keys);
}

/* ---- popups ---- */
static struct rect popup_rect(const struct ui *ui, unsigned rows)
{
    unsigned high = MIN(rows, ui->layout.status.y);
    return (struct rect){ui->layout.status.y - high, 0, high, ui->grid.cols};
}

/* What of a row stands in a column that begins at x. */
static void draw_piece(struct ui *ui, struct rect r, unsigned y, unsigned x, const struct popup_piece *piece)
{
    const struct popup *p = &ui->popup;
    if (piece->row >= p->n)
        return;
    const struct popup_row *row = &p->rows[piece->row];
    unsigned left = row->item ? p->item_left : p->left, end = row->item ? MIN(x + p->item_cols, r.cols) : r.cols;
    if (*row->left && !piece->from)
        ui_put_field(ui, r, y, x, *row->right ? left : end - x - 1, str_z(row->left), THING_KEY);
    struct str text = {row->right + piece->from, row->wraps ? piece->n : strlen(row->right)};
    x += left ? left + 2 : 0;
    if (text.n && x + 1 < end)
        ui_put_field(ui, r, y, x, end - x - 1, text, THING_POPUP);
}

static void draw_popup(struct ui *ui)
{
    struct popup *p = &ui->popup;
    if (p->kind == POPUP_NONE)
        return;
    ui_popup_layout(ui);
    unsigned most = ui->layout.status.y;
    unsigned high = p->kind == POPUP_CONFIRM ? most : MAX(most * 3 / 4, 3u);
    unsigned rows = p->kind == POPUP_PAGER ? most : MIN(p->nlines + 1, high);
    struct rect r = popup_rect(ui, rows);
    p->height = r.rows > 1 ? r.rows - 1 : 1;
    bool rows_chosen = popup_has_cursor(p); /* a line each */
    if (rows_chosen)
        p->top = p->cur < p->top ? p->cur : p->cur >= p->top + p->height ? p->cur - p->height + 1 : p->top;
    p->top = MIN(p->top, p->nlines > p->height ? p->nlines - p->height : 0);
    grid_fill(&ui->grid, r, THING_POPUP);
    put(ui, r, 0, 1, p->title, THING_POPUP);
    grid_overlay(&ui->grid, r, 0, 0, r.cols, STYLE_SELECTED);
    for (unsigned y = 0; y + 1 < r.rows && p->top + y < p->nlines; y++) {
        const struct popup_line *line = &p->lines[p->top + y];
        for (unsigned c = 0; c < line->n; c++)
            draw_piece(ui, r, y + 1, 2 + c * p->item_cols, &line->pieces[c]);
    }
    if (rows_chosen && p->cur >= p->top && p->cur + 1 - p->top < r.rows)
        grid_cursor(&ui->grid, r, p->cur - p->top + 1, STYLE_CURSOR);
    if (p->top + p->height < p->nlines)
        put_right(ui, r, 0, r.cols - 1, "more below", THING_POPUP_DIM);
}

/* On all, some or none of the messages, and what becomes of it. Where the name begins. */
static unsigned draw_pick_state(struct ui *ui, struct rect r, unsigned y, const struct pick_item *item)
{
    static const char *const states[] = {[PICK_NONE] = "[ ]", [PICK_SOME] = "[~]", [PICK_ALL] = "[x]"};
    const char *word = item->wanted == '+' ? "[+]" : item->wanted == '-' ? "[-]" : states[item->state];
    put(ui, r, y, 2, word, item->wanted ? THING_KEY : THING_POPUP);
    return 6;
}

static void draw_choices(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    bool pick = p->kind == PROMPT_PICK;
    if (!pick && !p->open)
        return;
    size_t n = pick ? p->nshown : p->candidates.n, cur = pick ? p->cur : p->offered ? 0 : p->chosen;
    if (n == 0 && (p->edit.n || p->many)) {
        struct rect none = popup_rect(ui, 1);
        grid_fill_row(&ui->grid, none, 0, THING_POPUP);
        const char *words = p->many && !p->edit.n           ? "there is none yet: type the first one"
                            : p->many                       ? "a new one: Enter puts it on"
                            : p->missing                    ? "no mailbox has this name: Enter creates it"
                            : p->nitems && p->items[0].help ? "no command is called so or does that"
                                                            : "no mailbox has this name";
        ui_put_field(ui, none, 0, 2, none.cols - 3, str_z(words), THING_POPUP_DIM);
        return;
    }
    unsigned rows = (unsigned)MIN(n, (size_t)PICK_ROWS);
    struct rect r = popup_rect(ui, rows);
    size_t top = cur >= r.rows && r.rows ? cur - r.rows + 1 : 0;
    for (unsigned y = 0; y < r.rows && top + y < n; y++) {
        const char *word = pick ? p->items[p->order[top + y]].label : p->candidates.list[top + y].word;
        const struct pick_item *item = pick ? &p->items[p->order[top + y]] : NULL;
        const char *help = !pick ? p->candidates.list[top + y].help : item->help ? item->help : "";
        struct buf keys = BUF_INIT(200);
        if (pick && item->keys)
            buf_addz(&keys, item->keys);
        else if (!pick && p->candidates.kind == ARG_COMMAND_NAME)
            keymap_where(ui->keymap, ui_pane(ui), word, &keys);
        grid_fill_row(&ui->grid, r, y, THING_POPUP);
        unsigned x = pick && p->many ? draw_pick_state(ui, r, y, item) : 2;
        ui_put_field(ui, r, y, x, r.cols - x - 1, str_z(word), THING_POPUP);
        bool key = keys.n && r.cols > (r.cols > 50 ? 50 : 26) + keys.n; /* beside the help, or the name */
        if (*help && r.cols > 50)
            ui_put_field(ui, r, y, 32, r.cols - 33 - (key ? (unsigned)keys.n + 2 : 0), str_z(help), THING_POPUP_DIM);
        if (key)
            put_right(ui, r, y, r.cols - 1, buf_z(&keys), THING_KEY);
        buf_fini(&keys);
        if (top + y == cur && !p->offered)
            grid_cursor(&ui->grid, r, y, STYLE_CURSOR);
    }
}

/* Writing and lists of parts take the place of list and message; the verdict on a signature has the last line of the
 * message's pane. */
static void draw_extra(struct ui *ui)
{
    const struct layout *l = &ui->layout;
    enum cmd_context context;
    bool bad = false;
    const char *banner = verdict(ui, &bad);
    if (banner)
        extra_line(ui, l->message, l->message.rows - 1, 0, str_z(banner), bad ? THING_WARNING : THING_BANNER);
    if (extra_context(ui, &context)) {
        unsigned x = l->boxes.cols && l->rule_rows ? l->rule_x + 1 : 0;
        extra_draw(ui, (struct rect){0, x, l->status.y, ui->grid.cols - x});
    }
}

/* Where a screen reader or a braille line finds the user: at the beginning of the row that keys act on. */
static void place_cursor(struct ui *ui)
{
    const struct layout *l = &ui->layout;
    const struct popup *p = &ui->popup;
    const struct prompt *prompt = &ui->prompt;
    struct rect at = l->list;
    unsigned row = ui->grid.cursor_y - at.y;               /* where draw_list has left it */
    if (ui->grid.cursor_on || prompt->kind != PROMPT_NONE) /* in what is typed */
        return;
    if (p->kind != POPUP_NONE) {
        unsigned rows = p->height + 1;
        at = (struct rect){l->status.y > rows ? l->status.y - rows : 0, 0, rows, ui->grid.cols};
        bool chosen = popup_has_cursor(p);
        row = chosen && p->cur >= p->top ? p->cur - p->top + 1 : 0;
    } else if (ui_context(ui) == CTX_BOXES) {
        at = l->boxes;
        row = ui->boxes.cur - ui->boxes.top;
    } else if (ui_context(ui) == CTX_MESSAGE) {
        at = l->message;
        row = 1;
    } else if (ui_context(ui) != CTX_LIST) { /* what takes the place of list and message */
        at = (struct rect){0, l->boxes.cols && l->rule_rows ? l->rule_x + 1 : 0, l->status.y, ui->grid.cols};
        row = 0;
    }
    ui->grid.cursor_y = MIN(at.y + row, ui->grid.rows - 1);
    ui->grid.cursor_x = MIN(at.x, ui->grid.cols - 1);
    ui->grid.cursor_on = true;
}

void draw_all(struct ui *ui)
{
    const struct layout *l = &ui->layout;
    grid_clear(&ui->grid, THING_NORMAL);
    if (l->small) {
        put(ui, (struct rect){0, 0, ui->grid.rows, ui->grid.cols}, 0, 0, "too small", THING_NORMAL);
        return;
    }
    draw_list(ui);
    draw_boxes(ui);
    if (l->rule_rows)
        grid_vline(&ui->grid, 0, l->rule_x, l->rule_rows, THING_RULE);
    if (l->split_x)
        grid_vline(&ui->grid, 0, l->split_x, l->status.y, THING_RULE);
    draw_message(ui);
    draw_extra(ui);
    draw_popup(ui);
    draw_choices(ui);
    draw_status(ui);
    if (ui->grid.words)
        place_cursor(ui);
}
