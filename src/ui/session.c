/* What was on the screen when the terminal went away, kept until the next start: that one offers to go on there. The
 * file is of lines of the language's words, in the order of the buffers; what is not there any more is passed over. */
#include "ui/compose.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SESSION_MAX = 256 * 1024, SELECTED_MAX = 2000 };
static const char VIEW_FLAGS[] = "tagfd"; /* threads, across, grouped, folded, days folded */

static char *session_path(const struct ui *ui)
{
    bool keeps = ui->start.root && *ui->start.root && !ui->start.once_text;
    return keeps ? path_join(ui->start.root, "session") : NULL;
}

/* ---- saving ---- */
static void add_line(struct buf *out, const char *word, const char *const *args, size_t n)
{
    buf_addz(out, word);
    for (size_t i = 0; i < n; i++) {
        buf_addc(out, ' ');
        line_quote(str_z(args[i]), out);
    }
    buf_addc(out, '\n');
}
#define ADD(out, word, ...)                                                                                            \
    add_line(out, word, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void add_ref(const struct ui *ui, struct buf *out, const char *word, struct ref ref)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)ref.id);
    if (ref.id && ref.account < ui->accts.n)
        ADD(out, word, ui->accts.list[ref.account].name, id);
}

/* A message of no account is known by its Message-ID. */
static void add_at(const struct ui *ui, struct buf *out, const struct awaited *at)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)at->ref.id);
    if (at->ref.account < ui->accts.n && !at->ref.id && at->msgid[0])
        ADD(out, "at", ui->accts.list[at->ref.account].name, id, at->msgid);
    else
        add_ref(ui, out, "at", at->ref);
}

static struct awaited at_row(const struct list_row *row)
{
    struct awaited at = {.ref = row->ref};
    if (!row->ref.id && row->msgid.n < sizeof at.msgid && row->msgid.n)
        memcpy(at.msgid, row->msgid.p, row->msgid.n);
    return at;
}

/* Its order, and what else was chosen for it. */
static void save_view(const struct ui *ui, const struct list *l, struct buf *out)
{
    char flags[8], order[40];
    unsigned n = 0, days = 0;
    snprintf(order, sizeof order, "%s%s", l->reverse ? "reverse-" : "", ui_order_name(l));
    const bool on[] = {l->threads, l->across, l->group, l->fold, l->fold_days};
    for (size_t i = 0; i < COUNT(on); i++)
        if (on[i])
            flags[n++] = VIEW_FLAGS[i];
    flags[n] = 0;
    ADD(out, "view", order, flags);
    for (struct ref ref = REF_NONE; refs_next(&l->turned, &ref) && days++ < SELECTED_MAX;)
        add_ref(ui, out, "turned", ref);
    days = 0;
    for (struct ref ref = REF_NONE; refs_next(&l->turned_days, &ref) && days++ < SELECTED_MAX;) {
        char day[24];
        snprintf(day, sizeof day, "%llu", (unsigned long long)ref.id);
        ADD(out, "turned-day", day);
    }
}

/* A limit is asked of the list below it again. What has a name of its own bears that. */
static void save_hits(const struct list *l, struct buf *out)
{
    bool limit = l->limits || l->within;
    const char *query = limit || !l->query ? l->title : l->query;
    if (limit && l->begun)
        ADD(out, "limit", query, "begun");
    else
        ADD(out, limit ? "limit" : "search", query);
    if (strcmp(query, l->title) != 0)
        ADD(out, "title", l->title);
}

/* How it was shown, and the text at the top. */
static void save_open(unsigned view_flags, struct message_spot spot, struct buf *out)
{
    char flags[12], item[12], at[12];
    snprintf(flags, sizeof flags, "%u", view_flags);
    snprintf(item, sizeof item, "%u", (unsigned)spot.item);
    snprintf(at, sizeof at, "%u", (unsigned)spot.at);
    ADD(out, "open", flags, item, at);
}

static void save_list(const struct ui *ui, const struct list *l, struct buf *out)
{
    static const char *const filters[] = {[LIST_UNREAD] = "unread", [LIST_FLAGGED] = "flagged"};
    const struct box_item *box = l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
    const struct list_row *row = list_cursor(l);
    if (l->source == LIST_INBOXES)
        buf_addz(out, "inboxes\n");
    else if (box)
        ADD(out, "box", ui->accts.list[l->account].name, box->path);
    else if (l->source == LIST_HITS && l->title)
        save_hits(l, out);
    if ((unsigned)l->filter < COUNT(filters) && filters[l->filter])
        ADD(out, "filter", filters[l->filter]);
    save_view(ui, l, out);
    struct awaited at = row ? at_row(row) : (struct awaited){.ref = REF_NONE};
    add_at(ui, out, l->stay == STAY_ASKED && awaits(&l->awaited) ? &l->awaited : &at);
}

static bool save_buffer(struct ui *ui, void *arg)
{
    struct buf *out = arg;
    const struct compose *c = composed(ui);
    if (c) {
        const char *slash = strrchr(c->path, '/');
        ADD(out, "draft", slash ? slash + 1 : c->path);
    } else {
        buf_addz(out, "buffer\n");
        for (unsigned i = 0; i < ui->depth; i++)
            save_list(ui, ui->stack[i], out);
        if (ui->message.state != MESSAGE_NONE)
            save_open(ui->message.flags, message_spot(&ui->message), out);
        else if (awaits(&ui->reopen.what))
            save_open(ui->reopen.flags, ui->reopen.spot, out);
        struct ref ref = REF_NONE;
        for (unsigned i = 0; i < SELECTED_MAX && refs_next(&ui->selection, &ref); i++)
            add_ref(ui, out, "selected", ref);
    }
    if (buffer_is_shown(ui))
        buf_addz(out, "shown\n");
    return false;
}

void ui_session_save(struct ui *ui)
{
    struct buf out = BUF_INIT(SESSION_MAX), words = BUF_INIT(2000);
    struct err err = ERR_INIT;
    char *path = session_path(ui), now[24];
    buffer_leave(ui);
    buffer_words(ui, &words);
    snprintf(now, sizeof now, "%lld", (long long)clock_wall());
    ADD(&out, "left", now, buf_z(&words));
    buffer_find(ui, save_buffer, &out);
    buffer_leave(ui);
    if (ui->prompt.kind == PROMPT_COMMAND && ui->prompt.edit.n) /* half a command: the arrow up has it */
        history_add(ui->command_history, (struct str){ui->prompt.edit.p, ui->prompt.edit.n});
    if (path && !fs_write_atomic(path, 0600, buf_str(&out), &err))
        log_msg(LOG_WARN, "what was on the screen is not kept: %s", err.text);
    free(path);
    buf_fini(&words);
    buf_fini(&out);
}

void ui_session_drop(struct ui *ui)
{
    char *path = session_path(ui);
    if (path)
        unlink(path);
    free(path);
    free(ui->session);
    ui->session = NULL;
}

/* ---- going on ---- */
struct going {
    struct ui *ui;
    struct buffer *shown;
    bool first; /* the buffer that is there at the start is the first one */
};

static bool find_ref(const struct ui *ui, const struct line *line, struct ref *ref_r)
{
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (!strcmp(ui->accts.list[a].name, line->words[1])) {
            ref_r->account = a;
            ref_r->id = strtoull(line->words[2], NULL, 10);
            return ref_r->id != 0; /* else its account is known alone */
        }
    return false;
}

static void go_buffer(struct going *g, const struct line *line)
{
    (void)line;
    if (!g->first)
        buffer_new(g->ui);
    g->first = false;
}

static void go_inboxes(struct going *g, const struct line *line)
{
    (void)line;
    ui_show_inboxes(g->ui);
}

static void go_box(struct going *g, const struct line *line)
{
    struct ui *ui = g->ui;
    for (unsigned i = 0; i < ui->boxes.n; i++) {
        const struct box_item *item = &ui->boxes.list[i];
        if (item->kind == BOXK_BOX && !strcmp(item->path, line->words[2]) &&
            !strcmp(ui->accts.list[item->account].name, line->words[1])) {
            ui_show_box(ui, item->account, item->id);
            return;
        }
    }
    ui_note(ui, NOTE_WARNING, "%s of %s is not there any more", line->words[2], line->words[1]);
}

static void go_search(struct going *g, const struct line *line)
{
    ui_search_as(g->ui, line->words[1], !strcmp(line->words[0], "limit"), false, line->n > 2);
}

static void go_filter(struct going *g, const struct line *line)
{
    list_set_filter(ui_list(g->ui), !strcmp(line->words[1], "unread") ? LIST_UNREAD : LIST_FLAGGED);
}

static void go_view(struct going *g, const struct line *line)
{
    struct list *l = ui_list(g->ui);
    const char *flags = line->words[2];
    l->ordered = ui_sort_by(l, line->words[1]) || l->ordered; /* not as option search-order says */
    list_set_threads(l, strchr(flags, VIEW_FLAGS[0]));
    list_set_across(l, strchr(flags, VIEW_FLAGS[1]));
    list_set_group(l, strchr(flags, VIEW_FLAGS[2]));
    if (l->fold != (strchr(flags, VIEW_FLAGS[3]) != NULL))
        list_fold_all(l, !l->fold);
    if (l->fold_days != (strchr(flags, VIEW_FLAGS[4]) != NULL))
        list_fold_days(l, !l->fold_days);
}

static void go_turned(struct going *g, const struct line *line)
{
    struct ref ref;
    if (find_ref(g->ui, line, &ref))
        refs_add(&ui_list(g->ui)->turned, ref);
}

static void go_turned_day(struct going *g, const struct line *line)
{
    refs_add(&ui_list(g->ui)->turned_days, (struct ref){0, strtoull(line->words[1], NULL, 10)});
}

static void go_at(struct going *g, const struct line *line)
{
    struct err err = ERR_INIT;
    struct list *l = ui_list(g->ui);
    struct awaited to = {.ref = REF_NONE};
    struct ref ref = REF_NONE;
    bool known = find_ref(g->ui, line, &ref);
    to.ref = ref;
    if (!known && line->n == 4)
        snprintf(to.msgid, sizeof to.msgid, "%s", line->words[3]);
    if (l->source == LIST_HITS && awaits(&to)) {
        list_await(l, &to);
        return;
    }
    if (!known)
        return;
    if (g->ui->layout.list.rows > 1)
        list_set_height(l, g->ui->layout.list.rows - 1);
    if (list_update(l, &err) && list_reach(l, ref, &err))
        l->stay = STAY_ROW;
}

static uint32_t number_of(const struct line *line, size_t i)
{
    uint32_t n = 0;
    return i < line->n && str_u32(str_z(line->words[i]), &n) ? n : 0;
}

static void open_at(struct ui *ui, const struct reopen *to)
{
    ui_open(ui, to->flags);
    message_seek(&ui->message, to->spot);
}

static void go_open(struct going *g, const struct line *line)
{
    const struct list *l = ui_list(g->ui);
    struct reopen to = {.what = l->awaited,
                        .flags = number_of(line, 1) & (VIEW_ALL_HEADERS | VIEW_PREFER_HTML | VIEW_RAW | VIEW_STRUCTURE),
                        .spot = {number_of(line, 2), number_of(line, 3)}};
    if (l->source == LIST_HITS)
        g->ui->reopen = to;
    else
        open_at(g->ui, &to);
}

void ui_session_reopen(struct ui *ui)
{
    const struct list_row *row = ui_row(ui);
    struct reopen to = ui->reopen;
    if (!awaits(&to.what) || ui_list(ui)->stay == STAY_ASKED)
        return;
    ui->reopen = (struct reopen){.what.ref = REF_NONE};
    struct awaited at = row ? at_row(row) : (struct awaited){.ref = REF_NONE};
    if (ref_eq(at.ref, to.what.ref) && !strcmp(at.msgid, to.what.msgid) && ui->message.state == MESSAGE_NONE)
        open_at(ui, &to);
}

static void go_title(struct going *g, const struct line *line)
{
    struct list *l = ui_list(g->ui);
    free(l->title);
    l->title = mem_dup_z(line->words[1]);
}

static void go_selected(struct going *g, const struct line *line)
{
    struct ref ref;
    if (find_ref(g->ui, line, &ref))
        refs_add(&g->ui->selection, ref);
}

static void go_draft(struct going *g, const struct line *line)
{
    struct stat st;
    char *dir = compose_dir(g->ui), *path = NULL;
    if (dir && !strchr(line->words[1], '/') && line->words[1][0] != '.')
        path = path_join(dir, line->words[1]);
    free(dir);
    if (path && stat(path, &st) == 0)
        compose_reopen(g->ui, path); /* takes it */
    else
        free(path);
}

static void go_shown(struct going *g, const struct line *line)
{
    (void)line;
    g->shown = g->ui->at;
}

static void go_line(struct going *g, const struct line *line)
{
    static const struct {
        const char *word;
        size_t n;
        void (*fn)(struct going *, const struct line *);
    } words[] = {{"buffer", 1, go_buffer},
                 {"inboxes", 1, go_inboxes},
                 {"box", 3, go_box},
                 {"search", 2, go_search},
                 {"limit", 2, go_search},
                 {"limit", 3, go_search},
                 {"title", 2, go_title},
                 {"filter", 2, go_filter},
                 {"at", 3, go_at},
                 {"at", 4, go_at},
                 {"view", 3, go_view},
                 {"turned", 3, go_turned},
                 {"turned-day", 2, go_turned_day},
                 {"open", 1, go_open},
                 {"open", 4, go_open},
                 {"selected", 3, go_selected},
                 {"draft", 2, go_draft},
                 {"shown", 1, go_shown}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (line->n == words[i].n && !strcmp(line->words[0], words[i].word))
            words[i].fn(g, line);
}

bool run_resume(void *context, const struct cmd_args *args, struct err *err)
{
    struct going g = {.ui = context, .first = true};
    struct ui *ui = context;
    unsigned number = 1;
    struct line line;
    (void)args;
    if (!ui->session)
        return err_set(err, ERR_USAGE, "there is nothing to go on with: the last end was an orderly one");
    char *text = ui->session;
    struct str rest = str_z(text);
    ui->session = NULL; /* once */
    while (line_next(&rest, "session", &number, &line, err) == 1) {
        go_line(&g, &line);
        line_fini(&line);
    }
    free(text);
    if (g.shown)
        buffer_show(ui, g.shown);
    ui_session_drop(ui);
    ui->dirty = true;
    return true;
}

/* The first line: when it was, and where. */
static void offer(struct ui *ui, const struct line *line)
{
    char when[40] = "";
    struct tm then, today;
    time_t at = (time_t)strtoll(line->words[1], NULL, 10), now = (time_t)clock_wall();
    struct buf key = BUF_INIT(100);
    if (localtime_r(&at, &then) && localtime_r(&now, &today))
        strftime(when, sizeof when,
                 then.tm_year == today.tm_year && then.tm_yday == today.tm_yday ? "%H:%M" : "%Y-%m-%d %H:%M", &then);
    if (!keymap_where(ui->keymap, CTX_LIST, "recall", &key))
        buf_addz(&key, ":resume");
    size_t end = 0;
    while (end < key.n && key.p[end] != ' ') /* the first of them is enough */
        end++;
    ui_note(ui, NOTE_WARNING, "the terminal went away at %s: %.200s \xc2\xb7 %.*s goes on there", when, line->words[2],
            (int)end, buf_z(&key));
    buf_fini(&key);
}

bool ui_session_offer(struct ui *ui)
{
    struct buf text = BUF_INIT(SESSION_MAX);
    struct err err = ERR_INIT;
    struct line line;
    unsigned number = 1;
    char *path = session_path(ui);
    bool there = path && access(path, F_OK) == 0 && fs_read(path, SESSION_MAX, &text, &err);
    struct str rest = buf_str(&text);
    bool ok = there && line_next(&rest, "session", &number, &line, &err) == 1;
    if (ok) {
        ok = line.n == 3 && !strcmp(line.words[0], "left");
        if (ok) {
            free(ui->session);
            ui->session = mem_dup_n(rest.p, rest.n);
            offer(ui, &line);
        }
        line_fini(&line);
    }
    free(path);
    buf_fini(&text);
    return ok;
}
