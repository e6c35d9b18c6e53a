/* Opening a message: OPEN to the store, the body's fd to `view`, its document into the pane. A view that dies costs the
 * message its display for this session, and nothing else. */
#include "ui/extra.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRESS_AFTER_MS = 500, URL_MAX = 8000, PREFETCH_ROWS = 40, PREFETCH_AFTER_MS = 300, REOPEN_MAX = 3 };

static void viewer_end(struct ui *ui)
{
    helper_end(&ui->viewer);
    ui->view_req = 0;
    ui->view_more = false;
}

void ui_open_close(struct ui *ui)
{
    struct err err = ERR_INIT;
    if (ui->open_req && ui->client && ui->client->chan)
        SEND(ui->client->chan, -1, &err, CANCEL, .req = ui->open_req);
    ui_forget(ui, ui->open_req);
    ui->open_req = 0;
    viewer_end(ui);
    if (buffer_is_shown(ui)) /* else it is that of another message */
        watch_free(&ui->seen_timer);
    message_close(&ui->message);
    ui->progress[0] = 0;
    if (ui->focus == PANE_MESSAGE)
        ui->focus = PANE_LIST;
    ui->dirty = true;
}

static bool quarantined(const struct ui *ui, struct ref ref)
{
    for (unsigned i = 0; i < MIN(ui->nquarantine, (unsigned)QUARANTINE_MAX); i++)
        if (ref_eq(ui->quarantine[i], ref))
            return true;
    return false;
}

/* ---- seen ---- */
static void on_seen(void *arg)
{
    struct ui *ui = arg;
    const struct list_row *row = list_find(ui_list(ui), ui->message.ref);
    watch_free(&ui->seen_timer);
    ui->seen_waits = ui->away;
    if (ui->away)
        return;
    if (row && !(row->flags & FLAG_SEEN) && ui->client && ui->client->chan)
        ui_act_one(ui, ui->message.ref, &(struct action){.kind = INTENT_FLAGS, .verb = "marked read", .set = FLAG_SEEN},
                   true);
}

void ui_seen_soon(struct ui *ui)
{
    watch_free(&ui->seen_timer);
    if (ui->conf->mark_seen)
        ui->seen_timer = loop_after(ui->loop, (int64_t)ui->conf->read_delay * 1000, on_seen, ui);
}

static void prefetch_answer(struct ui *ui, void *arg, const struct msg *m)
{
    (void)ui, (void)arg;
    if (m && m->fd >= 0)
        close(m->fd);
}

/* The messages that are most likely read next: their text is fetched behind the user's back. */
static void prefetch(struct ui *ui)
{
    const struct list *l = ui_list(ui);
    struct err err = ERR_INIT;
    unsigned unread = 0;
    if (!ui->client || !ui->client->chan)
        return;
    for (unsigned i = l->cur; i < l->n && i <= l->cur + PREFETCH_ROWS && unread < ui->conf->prefetch; i++) {
        const struct list_row *row = &l->rows[i];
        if ((row->flags & FLAG_SEEN) || !row->ref.id || ref_eq(row->ref, ui->message.ref))
            continue;
        unread++;
        if (row->state & (ROW_BODY | ROW_TEXT | ROW_FAILED | ROW_STUB)) /* the last: too large to come by itself */
            continue;
        uint32_t req = ui_request(ui, prefetch_answer, NULL);
        SEND(ui->client->chan, -1, &err, OPEN, .req = req, .account = str_z(ui->accts.list[row->ref.account].name),
             .msg = row->ref.id, .prefetch = 1);
    }
}

static void prefetch_due(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->prefetch_timer);
    if (!ui->open_req)
        prefetch(ui);
}

void ui_prefetch_soon(struct ui *ui)
{
    if (!ui->prefetch_timer && ui->conf->prefetch)
        ui->prefetch_timer = loop_after(ui->loop, PREFETCH_AFTER_MS, prefetch_due, ui);
}

static void message_ready(struct ui *ui)
{
    message_done(&ui->message);
    ui->progress[0] = 0;
    viewer_end(ui);
    crypto_shown(ui);
    if (!buffer_is_shown(ui))
        return; /* nobody has seen it yet */
    if (!ref_eq(ui->told, ui->message.ref)) {
        struct event_words words = {.own = true};
        event_of_row(ui, list_find(ui_list(ui), ui->message.ref), &words);
        ui->told = ui->message.ref;
        ui_event(ui, EVENT_OPEN, &words);
    }
    ui_seen_soon(ui);
    prefetch(ui);
}

void ui_shown_again(struct ui *ui)
{
    if (ui->message.state == MESSAGE_SHOWN && !ui->open_req && !ui->viewer)
        ui_seen_soon(ui);
    else if (ui->waits_line && ui->accts.list[ui->message.ref.account].state == ACCOUNT_ONLINE)
        ui_open_again(ui, ui->message.ref.account);
}

/* ---- view ---- */
static void view_event(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct err err = ERR_INIT;
    (void)arg, (void)h;
    if (!m) {
        ui->quarantine[ui->nquarantine++ % QUARANTINE_MAX] = ui->message.ref;
        message_fail(&ui->message,
                     "The program that displays messages broke off at this one. It is not tried again in this "
                     "session; raw shows the bytes.");
        ui_note(ui, NOTE_ERROR, "view broke off: this message is set aside");
        viewer_end(ui);
        return;
    }
    ui->answered = m->kind == MSG_VIEW_DONE; /* what the last key asked for */
    if (m->kind == MSG_VIEW_DATA) {
        if (!message_feed(&ui->message, m->u.VIEW_DATA.bytes, &err)) {
            message_fail(&ui->message, err.text);
            ui_note_err(ui, &err);
            viewer_end(ui);
        }
    } else if (m->kind == MSG_VIEW_DONE) {
        if (m->u.VIEW_DONE.kind != ERR_NONE) {
            char why[400];
            snprintf(why, sizeof why, "%.*s", STR_FMT(m->u.VIEW_DONE.text));
            message_fail(&ui->message, why);
            viewer_end(ui);
        } else if (ui->open_req || m->u.VIEW_DONE.req != ui->view_req) { /* a first screen; the rest is on its way */
            message_done(&ui->message);
            if (m->u.VIEW_DONE.req != ui->view_req)
                message_again(&ui->message);
        } else {
            message_ready(ui);
        }
    }
    if (m->fd >= 0)
        close(m->fd);
}

void ui_view_fd(struct ui *ui, int fd, struct str absent)
{
    struct err err = ERR_INIT;
    struct buf self = BUF_INIT(2048);
    if (!ui->view_more) {
        viewer_end(ui);
        ui->viewer = helper_view(ui, view_event, NULL);
    }
    if (!ui->viewer) {
        message_fail(&ui->message, "the program that displays messages does not start");
        return;
    }
    ui->view_req++;
    if (ui->message.state == MESSAGE_SHOWN) /* else when what it is reading has been shown */
        message_again(&ui->message);
    const struct account *account = ui->accts.list[ui->message.ref.account].conf;
    if (account)
        account_addresses(account, &self);
    struct layout layout; /* as it is once the message is there */
    layout_compute(&layout, &ui->panes, ui->grid.rows, ui->grid.cols, ui->sidebar, true, PANE_MESSAGE);
    unsigned width = ui->conf->wrap ? ui->conf->wrap : MAX(layout.message.cols, 22u) - 2;
    if (!SEND(helper_chan(ui->viewer), fd, &err, VIEW, .req = ui->view_req, .width = width, .flags = ui->message.flags,
              .self = buf_str(&self), .absent = absent))
        message_fail(&ui->message, err.text);
    buf_fini(&self);
}

static void progress_due(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->progress_timer);
    if (ui->open_req || ui_extra(ui)->load)
        snprintf(ui->progress, sizeof ui->progress, "%s", ui->progress_next);
    ui->dirty = true;
}

/* What takes longer is told, be it that nothing more comes. */
void ui_progress(struct ui *ui, const struct m_PROGRESS *p, int64_t since_ms)
{
    struct buf line = BUF_INIT(sizeof ui->progress - 1);
    int64_t left = since_ms + PROGRESS_AFTER_MS - clock_mono_ms();
    buf_addf(&line, "%.*s ", (int)MIN(p->text.n, (size_t)150), p->text.n ? p->text.p : "");
    amount_words(p->done, p->total, since_ms, &line);
    buf_addz(&line, " · Esc stops");
    snprintf(ui->progress_next, sizeof ui->progress_next, "%s", buf_z(&line));
    buf_fini(&line);
    if (left <= 0)
        snprintf(ui->progress, sizeof ui->progress, "%s", ui->progress_next);
    else if (!ui->progress_timer && buffer_is_shown(ui))
        ui->progress_timer = loop_after(ui->loop, left, progress_due, ui);
}

/* It was the line's fault, not the message's: ERR_PROTOCOL may be, and would break the next line too. */
static bool lacks_line(enum err_kind kind)
{
    return kind == ERR_OFFLINE || (err_scope(kind) == SCOPE_ACCOUNT && kind != ERR_PROTOCOL && kind != ERR_CANCELED);
}

static void not_fetched(struct ui *ui, enum err_kind kind, const char *why)
{
    message_fail(&ui->message, why);
    ui->waits_line = ui->message.state == MESSAGE_FAILED && lacks_line(kind);
}

void ui_open_again(struct ui *ui, unsigned account)
{
    const struct list_row *row = list_cursor(ui_list(ui));
    unsigned times = ui->reopened + 1u;
    if (!ui->waits_line || ui->message.state != MESSAGE_FAILED || ui->message.ref.account != account || !row ||
        !ref_eq(row->ref, ui->message.ref) || times > REOPEN_MAX)
        return;
    ui_open(ui, ui->message.flags);
    ui->reopened = (uint8_t)times;
}

static void on_body(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (!m) {
        ui->open_req = 0;
        not_fetched(ui, ERR_OFFLINE, "the store ended");
        return;
    }
    if (m->kind == MSG_PROGRESS) {
        ui->open_done = m->u.PROGRESS.done;
        ui->open_total = m->u.PROGRESS.total;
        ui_progress(ui, &m->u.PROGRESS, ui->opened_ms);
        return;
    }
    if (m->kind == MSG_BODY && m->u.BODY.more) {
        ui_view_fd(ui, m->fd, m->u.BODY.absent);
        close(m->fd);
        ui->view_more = ui->viewer != NULL;
        return;
    }
    ui->open_req = 0;
    ui->progress[0] = 0;
    if (m->kind == MSG_BODY && m->fd >= 0) {
        ui_view_fd(ui, m->fd, m->u.BODY.absent);
        close(m->fd);
    } else if (m->kind == MSG_REFUSED) {
        char why[400];
        snprintf(why, sizeof why, "%.*s", STR_FMT(m->u.REFUSED.text));
        if (ui->message.state == MESSAGE_SHOWN || ui->message.state == MESSAGE_READING)
            ui_note(ui, NOTE_ERROR, "only the beginning is here: %s", why);
        not_fetched(ui, (enum err_kind)MIN(m->u.REFUSED.kind, (uint32_t)ERR_COUNT - 1), why);
    }
}

/* What has to be here to show it so: the bytes as they are, the HTML beside a plain text, or what a screen shows. */
static void wanted(const struct ui *ui, struct ref ref, unsigned view_flags, char want[128])
{
    const struct doc *doc = ref_eq(ui->message.ref, ref) ? ui->message.doc : NULL;
    want[0] = '\0';
    if (view_flags & VIEW_RAW)
        snprintf(want, 128, "*");
    for (size_t i = 0; (view_flags & VIEW_PREFER_HTML) && doc && !want[0] && i < doc_count(doc); i++) {
        const struct doc_item *item = doc_at(doc, i);
        if (item->kind == DOC_PART && (item->flags & DOC_PART_ABSENT) && str_eqz(item->name, "text/html"))
            snprintf(want, 128, "%.*s", STR_FMT(doc_absent(doc, item->number)));
    }
}

/* A file of the user's own notmuch database, which is none of ours: it is read, and nothing is done to it. */
static void open_file(struct ui *ui, const struct list_row *row, unsigned view_flags)
{
    enum pane focus = ui->focus;
    struct stat st;
    char *path = mem_dup_n(row->path.p, row->path.n);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ui_open_close(ui);
    message_show(&ui->message, row->ref, row->subject, view_flags);
    free(ui->message_path);
    ui->message_path = path;
    ui->waits_line = false;
    ui->focus = focus;
    ui->opened_ms = clock_mono_ms();
    if (ok)
        ui_view_fd(ui, fd, STR(""));
    else
        message_fail(&ui->message, fd >= 0 ? "This is no file of a mail any more."
                                           : "The file of this message is gone: notmuch new tells your database.");
    if (fd >= 0)
        close(fd);
}

static bool is_shown(const struct ui *ui, const struct list_row *row)
{
    return ref_eq(row->ref, ui->message.ref) &&
           (row->ref.id || (ui->message_path && str_eqz(row->path, ui->message_path)));
}

/* glance: who passes by a mail of which only the header is here does not fetch the rest. */
static void open_row(struct ui *ui, unsigned view_flags, bool glance)
{
    const struct list_row *row = list_cursor(ui_list(ui));
    struct err err = ERR_INIT;
    char want[128];
    if (!row)
        return;
    if (!row->ref.id && row->path.n && row->path.p[0] == '/') {
        open_file(ui, row, view_flags);
        return;
    }
    if (!row->ref.id) {
        ui_note(ui, NOTE_WARNING, "this message belongs to no account of tuimail");
        return;
    }
    struct ref ref = row->ref;
    bool stub = row->state & ROW_STUB;
    enum pane focus = ui->focus;
    wanted(ui, ref, view_flags, want);
    ui_open_close(ui);
    message_show(&ui->message, ref, row->subject, view_flags);
    ui->waits_line = false;
    ui->reopened = 0;
    ui->focus = focus;
    if (quarantined(ui, ref) && !(view_flags & VIEW_RAW)) {
        message_fail(&ui->message, "The display of this message broke off before; raw shows the bytes.");
        return;
    }
    if (!ui_online(ui)) {
        message_fail(&ui->message, "the store does not run");
        return;
    }
    ui->opened_ms = clock_mono_ms();
    ui->open_done = ui->open_total = 0;
    ui->open_req = ui_request(ui, on_body, NULL);
    if (!SEND(ui->client->chan, -1, &err, OPEN, .req = ui->open_req, .account = str_z(ui->accts.list[ref.account].name),
              .msg = ref.id, .want = str_z(want), .prefetch = glance && stub)) {
        ui_note_err(ui, &err);
        message_fail(&ui->message, err.text);
    }
}

void ui_open(struct ui *ui, unsigned view_flags)
{
    open_row(ui, view_flags, false);
}

/* Who reads on comes into a folded day by its end that is next. */
static void unfold_to_read(struct ui *ui)
{
    struct list *l = ui_list(ui);
    struct err err = ERR_INIT;
    struct ref from = ui->message.ref;
    const struct list_row *row = list_cursor(l), *shown = list_find(l, from);
    bool up = shown && shown > row;
    list_fold_day(l, row, false);
    list_update(l, &err);
    if (up && list_goto(l, from, &err))
        list_move(l, -1, &err);
}

void ui_follow(struct ui *ui)
{
    const struct list_row *row = list_cursor(ui_list(ui));
    if (ui->message.state == MESSAGE_NONE)
        return;
    if (row && row->folded_day) {
        unfold_to_read(ui);
        row = list_cursor(ui_list(ui));
    }
    if (!row)
        ui_open_close(ui);
    else if (!is_shown(ui, row))
        open_row(ui, 0, true);
}

/* ---- commands of the message pane ---- */
static bool is_open(const struct ui *ui)
{
    return ui->message.state != MESSAGE_NONE;
}

bool run_scroll_down(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!is_open(ui) || !ui->layout.message.rows) { /* not there, or hidden by the pane that is used */
        if (!is_open(ui))
            ui_open(ui, 0);
        ui->focus = is_open(ui) ? PANE_MESSAGE : ui->focus;
        return true;
    }
    if (ui->waits_line && ui->message.state == MESSAGE_FAILED) { /* not read: not passed over */
        const struct acct *a = &ui->accts.list[ui->message.ref.account];
        if (a->state == ACCOUNT_ONLINE)
            ui_open(ui, ui->message.flags);
        else
            ui_note(ui, NOTE_INFO, "loaded by itself when %s is connected · j goes on", a->name);
        return true;
    }
    if (message_scroll(&ui->message, MAX(ui_text_rows(ui), 3u) - 2, ui_text_rows(ui)))
        return true;
    if (ui->open_req) { /* not read to its end: not passed over */
        ui_note(ui, NOTE_INFO, "the rest of the message is on its way · j goes on");
        return true;
    }
    if (list_unread(ui_list(ui), true, err))
        ui_follow(ui);
    else
        ui_note(ui, NOTE_INFO, "no unread message below");
    return true;
}

bool run_scroll_up(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    message_scroll(&ui->message, -(int64_t)(MAX(ui_text_rows(ui), 3u) - 2), ui_text_rows(ui));
    return true;
}

bool run_line_down(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    message_scroll(&ui->message, ui_times(ui), ui_text_rows(ui));
    return true;
}

bool run_line_up(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    message_scroll(&ui->message, -(int64_t)ui_times(ui), ui_text_rows(ui));
    return true;
}

static bool view_again(struct ui *ui, unsigned flip)
{
    ui_open(ui, (is_open(ui) ? ui->message.flags : 0) ^ flip);
    return true;
}

bool run_headers(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return view_again(context, VIEW_ALL_HEADERS);
}

bool run_html(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return view_again(context, VIEW_PREFER_HTML);
}

bool run_raw(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return view_again(context, VIEW_RAW);
}

bool run_fold_quotes(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    message_fold(&ui->message, !ui->message.fold);
    return true;
}

static void find_typed(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    if (!text)
        return;
    message_set_find(&ui->message, text);
    if (*text && message_find(&ui->message, true, ui_text_rows(ui)) == FOUND_NONE)
        ui_note(ui, NOTE_WARNING, "not found: %s", text);
}

bool run_find(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    if (cmd_arg(args, 0))
        find_typed(ui, NULL, cmd_arg(args, 0));
    else
        ui_ask(ui, "find: ", "", ARG_TEXT, false, ui->search_history, find_typed, NULL, NULL);
    return true;
}

/* Is anything marked in the open message? */
static bool hits_here(struct ui *ui)
{
    ui->message.words = list_searched(ui_list(ui));
    return message_marked(&ui->message);
}

static bool next_hit(struct ui *ui, bool forward, struct err *err)
{
    if (is_open(ui) && (ui->message.find || ui->focus == PANE_MESSAGE) && hits_here(ui)) {
        enum message_found found = message_find(&ui->message, forward, ui_text_rows(ui));
        if (found == FOUND_NONE && ui->message.find)
            ui_note(ui, NOTE_WARNING, "not found: %s", ui->message.find);
        else if (found == FOUND_NONE)
            ui_note(ui, NOTE_WARNING, "the words of the search are not in what is shown");
        else if (found == FOUND_AROUND)
            ui_note(ui, NOTE_INFO, forward ? "on from the top" : "on from the end");
    } else if (ui_list(ui)->source == LIST_HITS) {
        list_move(ui_list(ui), forward ? 1 : -1, err);
        ui_follow(ui);
    }
    return true;
}

static bool hits(struct ui *ui, bool down, struct err *err)
{
    bool ok = true;
    for (unsigned i = 0; ok && i < MIN(ui_times(ui), 1000u); i++)
        ok = next_hit(ui, down, err);
    return ok;
}

bool run_next_hit(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return hits(context, true, err);
}

bool run_previous_hit(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (args->n && !(is_open(ui) && hits_here(ui))) {
        struct buf line = BUF_INIT(LINE_BYTES);
        cmd_join(args->words, args->n, 0, &line);
        bool ok = ui_run_text(ui, buf_z(&line), err);
        buf_fini(&line);
        return ok;
    }
    return hits(context, false, err);
}

/* ---- links ---- */
/* Only what cannot read a file, run a program or hide its target: the schemes of the list, no control, no blank
 * (THREATS 132, 133). */
bool ui_url_allowed(struct str url)
{
    static const char *const schemes[] = {"https://", "http://", "mailto:", "ftp://"};
    bool scheme = false;
    for (size_t i = 0; i < COUNT(schemes); i++)
        scheme = scheme || str_case_starts(url, str_z(schemes[i]));
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
            return false;
    return scheme && url.n < URL_MAX && utf8_valid(url);
}

bool ui_spawn(const char *const *argv)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) { /* twice, so that nobody has to wait for it */
        if (fork() == 0) {
            int null = open("/dev/null", O_RDWR);
            setsid();
            dup2(null, 0);
            dup2(null, 1);
            dup2(null, 2);
            execvp(argv[0], (char *const *)(uintptr_t)argv);
        }
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid;
}

/* The words of the option, else of the first command in $BROWSER, and then the target: an argv, no shell; the target
 * begins with its scheme, so it is no option. */
static void start_browser(struct ui *ui, const char *url)
{
    const char *usual = getenv("BROWSER");
    struct str rest = str_z(ui->conf->browser), names = str_z(usual);
    if (!rest.n && str_split(&names, ':', &rest))
        rest = str_trim(rest);
    if (!rest.n)
        rest = STR("xdg-open");
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 1;
    if (line_next(&rest, "browser", &number, &line, &err) != 1) {
        ui_note(ui, NOTE_ERROR, "option browser, or $BROWSER, names no program");
        return;
    }
    const char **argv = mem_array(line.n + 2, sizeof *argv);
    for (size_t i = 0; i < line.n; i++)
        argv[i] = line.words[i];
    argv[line.n] = url;
    if (ui_spawn(argv))
        ui_note(ui, NOTE_INFO, "opened by %s", argv[0]);
    else
        ui_note(ui, NOTE_ERROR, "%s cannot be started", argv[0]);
    free(argv);
    line_fini(&line);
}

static void url_answer(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (yes && ui->url && ui_url_allowed(str_z(ui->url))) {
        if (str_case_starts(str_z(ui->url), STR("mailto:")) && cmd_find(&ui_lang, "mailto")) {
            struct buf line = BUF_INIT(2 * URL_MAX);
            buf_addz(&line, "mailto ");
            line_quote(str_z(ui->url), &line);
            ui_run(ui, buf_z(&line));
            buf_fini(&line);
        } else
            start_browser(ui, ui->url);
    }
    free(ui->url);
    ui->url = NULL;
}

void ui_url_ask(struct ui *ui, struct str url)
{
    free(ui->url);
    ui->url = mem_dup_n(url.p, url.n);
    ui_confirm(ui, "Open this?", ui->url, url_answer, NULL);
}

static bool open_link(struct ui *ui, size_t number, struct err *err)
{
    const struct doc_item *link = message_link(&ui->message, number);
    if (!link)
        return err_set(err, ERR_USAGE, "no link %zu in this message", number + 1);
    if (!ui_url_allowed(link->text))
        return err_set(err, ERR_USAGE, "not opened, only http, https, ftp and mailto are: %.*s",
                       (int)MIN(link->text.n, (size_t)200), link->text.p);
    ui_url_ask(ui, link->text);
    return true;
}

bool run_links(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    uint32_t number;
    if (!is_open(ui))
        return err_set(err, ERR_USAGE, "open the message first");
    if (cmd_arg(args, 0)) {
        if (!str_u32(str_z(cmd_arg(args, 0)), &number) || !number)
            return err_set(err, ERR_USAGE, "links NUMBER");
        return open_link(ui, number - 1, err);
    }
    const struct doc_item *link = message_link(&ui->message, 0);
    if (!link) {
        ui_note(ui, NOTE_INFO, "no links in this message");
        return true;
    }
    ui_popup(ui, POPUP_LINKS, "links: a letter opens one, a capital copies it");
    for (size_t i = 0; i < 26 && (link = message_link(&ui->message, i)); i++) {
        char letter[2] = {(char)('a' + i), 0};
        char *target = mem_dup_n(link->text.p, link->text.n);
        ui_popup_row(ui, letter, target);
        free(target);
    }
    return true;
}
