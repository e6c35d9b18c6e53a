/* Which list is shown: mailboxes, searches and limits, one above the other; `back` takes the top one off. Searching
 * runs in a program of its own that is killed when the next letter supersedes it. */
#include "ui/extra.h"

#include <unistd.h>

/* Few letters match much and are seldom the last: what they find may wait until the hand does. */
enum { SHORT_WORD = 3, TYPE_DELAY_MS = 120, LIVE_MS = 500, LIVE_SHARE = 10 };
#define WHOLE_CONVERSATION 1u /* the number of all hits of a list that is one */

struct list *ui_new_list(struct ui *ui)
{
    struct list *l = mem_new(sizeof *l);
    list_init(l, &ui->accts, &ui->changes);
    ui_list_settings(ui, l);
    return l;
}

void ui_push_list(struct ui *ui, struct list *l)
{
    ui_gather_left(ui);
    ui_open_close(ui);
    if (ui->depth == STACK_MAX) { /* the oldest view above the mailbox goes */
        if (ui->search_list == ui->stack[1])
            ui_search_end(ui);
        remote_forget(ui, ui->stack[1]);
        list_fini(ui->stack[1]);
        free(ui->stack[1]);
        memmove(&ui->stack[1], &ui->stack[2], (STACK_MAX - 2) * sizeof ui->stack[0]);
        ui->depth--;
    }
    ui->stack[ui->depth++] = l;
    ui->focus = PANE_LIST;
    ui->dirty = true;
}

bool ui_pop_list(struct ui *ui)
{
    if (ui->depth <= 1)
        return false;
    ui_gather_left(ui);
    ui_open_close(ui);
    struct list *top = ui->stack[--ui->depth];
    if (ui->search_list == top)
        ui_search_end(ui);
    remote_forget(ui, top);
    list_fini(top);
    free(top);
    list_stale(ui_list(ui));
    ui->dirty = true;
    return true;
}

void ui_drop_stack(struct ui *ui)
{
    while (ui_pop_list(ui))
        ;
}

/* ---- mailboxes ---- */
static void base_list(struct ui *ui)
{
    buffer_for_lists(ui);
    ui_drop_stack(ui);
    ui_gather_left(ui);
    ui_open_close(ui);
    refs_clear(&ui->selection);
    ui->focus = PANE_LIST;
}

void ui_show_inboxes(struct ui *ui)
{
    base_list(ui);
    list_show_inboxes(ui_list(ui), STR("All inboxes"));
    ui_sort_list(ui, ui_list(ui));
    boxes_follow(&ui->boxes, ui_list(ui));
    ui_watch_list(ui);
    ui_list_event(ui, "");
}

static void box_title(const struct ui *ui, unsigned account, const struct box_item *item, struct buf *out)
{
    buf_addf(out, "%s · %s", item ? item->path : "mailbox", ui->accts.list[account].name);
}

bool ui_follow_box(struct ui *ui)
{
    struct list *l = ui_list(ui);
    const struct box_item *item = l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
    if (l->source != LIST_BOX || !ui->accts.list[l->account].reader || !boxes_role(&ui->boxes, l->account, BOX_INBOX))
        return false; /* nothing is known of the mailboxes yet */
    if (!item) {
        enum pane focus = ui->focus;
        unsigned cur = ui->boxes.cur;
        ui_note(ui, NOTE_WARNING, "%s is not there any more", l->title);
        ui_show_inboxes(ui);
        if (focus == PANE_BOXES) {
            ui->focus = focus;
            ui->boxes.cur = cur;
        }
        return true;
    }
    struct buf title = BUF_INIT(1200);
    box_title(ui, l->account, item, &title);
    if (strcmp(l->title, buf_z(&title)) != 0) {
        free(l->title);
        l->title = mem_dup_z(buf_z(&title));
    }
    buf_fini(&title);
    return false;
}

void ui_show_box(struct ui *ui, unsigned account, uint64_t box)
{
    const struct box_item *item = boxes_find(&ui->boxes, account, box);
    struct buf title = BUF_INIT(1200);
    base_list(ui);
    box_title(ui, account, item, &title);
    list_show_box(ui_list(ui), account, box, buf_str(&title));
    ui_sort_list(ui, ui_list(ui));
    ui_list(ui)->outgoing = item && (item->role == BOX_SENT || item->role == BOX_DRAFTS || item->role == BOX_OUTBOX);
    buf_fini(&title);
    boxes_follow(&ui->boxes, ui_list(ui));
    ui_watch_list(ui);
    ui_list_event(ui, item ? item->path : "");
}

void ui_show_saved(struct ui *ui, const char *name, const char *query)
{
    base_list(ui);
    ui_search(ui, query, false, false);
    struct list *l = ui_list(ui);
    free(l->title);
    l->title = mem_dup_z(name);
    ui_list_event(ui, name);
}

void ui_show_item(struct ui *ui, const struct box_item *item)
{
    if (item->kind == BOXK_INBOXES)
        ui_show_inboxes(ui);
    else if (item->kind == BOXK_SAVED)
        ui_show_saved(ui, item->name, item->query);
    else if (item->kind == BOXK_BOX && !(item->attrs & (BOX_NOSELECT | BOX_NONEXISTENT)))
        ui_show_box(ui, item->account, item->id);
}

/* ---- search ---- */
void ui_search_end(struct ui *ui)
{
    helper_end(&ui->search);
    watch_free(&ui->search_timer);
    ui->search_list = NULL;
    ui->search_select = false;
    ui->search_into = NULL;
    free(ui->search_text);
    ui->search_text = NULL;
}

/* The list that a limit or a selection is about: what was on the screen when it was asked. */
static const struct list *scope(const struct ui *ui)
{
    bool own = !ui->search_select && ui->search_list && ui_list(ui) == ui->search_list && ui->depth > 1;
    return own ? ui->stack[ui->depth - 2] : ui_list(ui);
}

/* What is found is of that list alone: what a limit shows, and what is selected, which leaves the list as it is. */
static bool restricted(const struct ui *ui)
{
    return ui->search_limit || ui->search_select;
}

/* Is it among the messages that a list without a query has? */
static bool in_scope(const struct ui *ui, struct ref ref)
{
    const struct list *base = scope(ui);
    bool told = restricted(ui) && base->source == LIST_HITS && !base->query;
    return !told || list_has_hit(base, ref);
}

static void add_hit(struct ui *ui, struct hit hit)
{
    if (!in_scope(ui, hit.ref))
        return;
    if (ui->search_select) {
        refs_add(ui->search_into ? ui->search_into : &ui->selection, hit.ref);
    } else if (ui->search_list) {
        ui->search_cleared = ui->search_matched = true;
        if (ui->search_list->whole)
            hit.conversation = WHOLE_CONVERSATION;
        list_add_hit(ui->search_list, HITS_INDEX, &hit);
    }
}

static void on_hit(struct ui *ui, const struct m_HIT *m)
{
    int account = m->account.n ? accts_find(&ui->accts, m->account, false) : 0;
    struct ref ref = {account < 0 ? 0 : (unsigned)account, account < 0 ? 0 : m->msg};
    add_hit(ui, (struct hit){.ref = ref,
                             .date = m->date,
                             .msgid = m->msgid,
                             .from = m->from,
                             .subject = m->subject,
                             .path = m->path,
                             .flags = FLAG_SEEN});
}

static void on_hits(struct ui *ui, const struct m_HITS *m)
{
    int account = accts_find(&ui->accts, m->account, false);
    for (size_t i = 0; account >= 0 && i + 2 < ipc_ids_count(m->rows); i += 3)
        add_hit(ui, (struct hit){.ref = {(unsigned)account, ipc_ids_at(m->rows, i)},
                                 .date = (int64_t)ipc_ids_at(m->rows, i + 1),
                                 .conversation = ipc_ids_at(m->rows, i + 2)});
}

static void none_matched(struct ui *ui, bool none)
{
    const struct list_row *row = ui_row(ui);
    ui->none_matched = none;
    ui->none_at = row ? row->ref : REF_NONE;
}

static void on_done(struct ui *ui, const struct m_QUERY_DONE *d)
{
    struct list *l = ui->search_select ? NULL : ui->search_list;
    if (d->kind == ERR_QUERY && ui->prompt.kind != PROMPT_NONE)
        ui_query_told(ui, d->text);
    /* half a query is no mistake while it is typed, and what is asked again was told the first time */
    if (d->kind != ERR_NONE && ui->prompt.kind == PROMPT_NONE && !ui->search_same)
        ui_note(ui, NOTE_ERROR, "%.*s", STR_FMT(d->text));
    else if (d->kind == ERR_NONE && d->text.n && !ui->search_same) /* what could not be searched */
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(d->text));
    if (l)
        l->failed = d->kind == ERR_INDEX;
    if (l && (d->kind == ERR_NONE || !ui->search_same)) { /* else it stays as it is */
        list_hits_end(l, HITS_INDEX);
        l->cost_ms = clock_mono_ms() - l->asked_ms;
    }
    if (ui->search_into)
        ui_gather_told(ui, d->kind == ERR_NONE);
    else if (ui->search_select && ui->search_partial) /* how many are selected stands beside it */
        ui_note(ui, NOTE_INFO, "%sso far: mail is still being read", ui->selection.n ? "" : "nothing matches ");
    else if (ui->search_select && !ui->selection.n)
        ui_note(ui, NOTE_INFO, "nothing matches");
    if (!ui->search_into)
        none_matched(ui, ui->search_select && !ui->selection.n);
    ui->search_select = ui->search_same = false;
    ui->search_into = NULL;
    helper_end(&ui->search);
}

static void search_event(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    (void)arg, (void)h;
    if (!m) {
        if (!ui->search_same)
            ui_note(ui, NOTE_ERROR, "search broke off");
        ui->search_same = false;
        helper_end(&ui->search);
    } else if (m->kind == MSG_HIT && m->u.HIT.req == ui->search_req) {
        on_hit(ui, &m->u.HIT);
    } else if (m->kind == MSG_HITS && m->u.HITS.req == ui->search_req) {
        bool first = !ui->search_cleared;
        on_hits(ui, &m->u.HITS);
        ui->answered = ui->answered || first; /* what the last letter asked for */
    } else if (m->kind == MSG_HIT_COUNT && m->u.HIT_COUNT.req == ui->search_req) {
        if (ui->search_list && !ui->search_select)
            ui->search_list->asked = m->u.HIT_COUNT.count;
    } else if (m->kind == MSG_QUERY_DONE && m->u.QUERY_DONE.req == ui->search_req) {
        on_done(ui, &m->u.QUERY_DONE);
    }
}

/* Asks for what `query` finds in the lists of mailboxes that `limits` stands for; NULL: anywhere. */
static bool ask_query(struct ui *ui, const char *query, const struct list *limits)
{
    struct err err = ERR_INIT;
    bool box = limits && limits->source == LIST_BOX;
    if (!(ui->search = helper_search(ui, search_event, NULL)))
        return false;
    if (!SEND(helper_chan(ui->search), -1, &err, QUERY, .req = ++ui->search_req, .query = str_z(query),
              .account = str_z(box ? ui->accts.list[limits->account].name : ""),
              .limit = ui->search_select ? UINT32_MAX : HITS_MAX, .count = !ui->search_select, .order = SEARCH_NEWEST,
              .brief = 1,
              .box = box                                        ? limits->box
                     : limits && limits->source == LIST_INBOXES ? QUERY_INBOXES
                                                                : 0)) {
        ui_note_err(ui, &err);
        helper_end(&ui->search);
    }
    return ui->search != NULL;
}

/* The mailboxes that a limit of `base` is about; NULL: all. */
static const struct list *limits_of(const struct list *base)
{
    return base->source == LIST_HITS ? base->limits : base->source == LIST_NONE ? NULL : base;
}

static uint8_t search_order(const struct ui *ui)
{
    const char *order = ui->conf->search_order;
    return !strcmp(order, "oldest") ? SEARCH_OLDEST : !strcmp(order, "relevance") ? SEARCH_RELEVANCE : SEARCH_NEWEST;
}

/* As option search-order says, unless the list was sorted by hand since. */
static void order_hits(const struct ui *ui, struct list *l)
{
    static const enum list_order orders[] = {
        [SEARCH_NEWEST] = ORDER_DATE, [SEARCH_OLDEST] = ORDER_DATE, [SEARCH_RELEVANCE] = ORDER_RELEVANCE};
    uint8_t order = search_order(ui);
    if (l->ordered)
        return;
    l->ordered = true;
    list_set_order(l, orders[order], order == SEARCH_OLDEST);
}

/* What came a moment ago the index may not have, before anybody is told how many wait for it. */
static bool any_unindexed(struct ui *ui)
{
    bool any = false;
    for (unsigned a = 0; !any && a < ui->accts.n; a++)
        any = ui->accts.list[a].reader && reader_unindexed(ui->accts.list[a].reader);
    return any;
}

/* Of hits that are limited, what they were found by as well. */
static void add_query(const char *below, struct str text, struct buf *out)
{
    if (below)
        query_both(str_z(below), text, out);
    else
        buf_adds(out, text);
}

static void start_query(struct ui *ui)
{
    const struct list *base = scope(ui);
    struct buf query = BUF_INIT(QUERY_MAX), text = BUF_INIT(QUERY_MAX);
    struct list *l = ui->search_select ? NULL : ui->search_list;
    helper_end(&ui->search); /* superseded */
    ui->search_cleared = ui->search_same = false;
    if (!ui->search_select)
        remote_forget(ui, ui->search_list);
    ui->search_partial = ui->unindexed || any_unindexed(ui) || ui_rows_to_come(ui, base);
    if (!ui->search_text || !*ui->search_text) {
        if (l)
            list_clear_hits(l);
        return;
    }
    if (ui->search_begun)
        query_begun(str_z(ui->search_text), &text);
    if (!ui->search_begun || text.full) {
        buf_reset(&text);
        buf_addz(&text, ui->search_text);
    }
    bool of_hits = restricted(ui) && base->source == LIST_HITS && base->query;
    add_query(of_hits ? base->query : NULL, buf_str(&text), &query);
    if (l) {
        struct buf typed = BUF_INIT(QUERY_MAX);
        add_query(!of_hits ? NULL : base->typed ? base->typed : base->query, str_z(ui->search_text), &typed);
        l->begun = ui->search_begun;
        free(l->query);
        free(l->typed);
        l->query = mem_dup_z(buf_z(&query));
        l->typed = mem_dup_z(buf_z(&typed));
        buf_fini(&typed);
        l->live = true;
        l->old = false;
        l->asked = 0;
        l->asked_ms = clock_mono_ms();
        list_hits_begin(l, HITS_SERVER, false); /* what servers found was for another query */
        list_hits_end(l, HITS_SERVER);
        list_hits_begin(l, HITS_INDEX, true);
    }
    if (l)
        order_hits(ui, l);
    ask_query(ui, buf_z(&query), restricted(ui) ? limits_of(base) : NULL);
    buf_fini(&query);
    buf_fini(&text);
}

void ui_search(struct ui *ui, const char *query, bool limit, bool select)
{
    ui_search_as(ui, query, limit, select, false);
}

void ui_search_as(struct ui *ui, const char *query, bool limit, bool select, bool begun)
{
    buffer_for_lists(ui);
    struct list *below = ui->search_list;
    char *copy = mem_dup_z(query);
    bool again = below && ui->depth && ui->stack[ui->depth - 1] == below && !select && ui->search_limit == limit;
    if (ui->search && below && !again && !ui->search_select)
        below->old = true; /* it has not all of them yet: asked again when it is shown again */
    helper_end(&ui->search);
    watch_free(&ui->search_timer);
    free(ui->search_text);
    ui->search_text = copy;
    ui->search_select = select;
    ui->search_begun = begun;
    ui->search_into = NULL;
    if (!select)
        ui->search_limit = limit;
    if (select) {
        start_query(ui);
        return;
    }
    if (!again) {
        struct list *l = ui_new_list(ui), *base = ui_list(ui);
        list_show_hits(l, str_z(query));
        ui_push_list(ui, l);
        if (limit && ui->depth > 1 && ui->stack[ui->depth - 2] == base) {
            l->limits = limits_of(base);
            l->within = base->source == LIST_HITS;
            list_set_filter(l, base->filter); /* of the unread ones, the unread ones */
        }
        ui->search_list = l;
    } else {
        free(below->title);
        below->title = mem_dup_z(query);
    }
    start_query(ui);
}

/* ---- live: what changed is asked again ---- */
static bool conversation_read(struct ui *ui, struct list *l, struct err *err);

static bool list_old(struct ui *ui, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ui->depth; i++)
        ui->stack[i]->old = ui->stack[i]->source == LIST_HITS;
    return false;
}

void ui_hits_changed(struct ui *ui)
{
    buffer_find(ui, list_old, NULL);
}

static void ask_index(struct ui *ui, struct list *l)
{
    l->old = false;
    l->asked_ms = clock_mono_ms();
    if (!l->query)
        return;
    ui->search_list = l;
    ui->search_select = false;
    ui->search_into = NULL;
    ui->search_same = ui->search_cleared = true;
    ui->search_limit = l->limits || l->within;
    free(ui->search_text);
    ui->search_text = mem_dup_z(l->title ? l->title : "");
    list_hits_begin(l, HITS_INDEX, false);
    ask_query(ui, l->query, l->limits);
}

static void ask_again(struct ui *ui, struct list *l)
{
    struct err err = ERR_INIT;
    struct list *below = l->within && ui->depth > 1 ? ui->stack[ui->depth - 2] : NULL;
    if (!l->live || !l->old)
        return;
    if (l->whole)
        conversation_read(ui, l, &err);
    else if (below && below->whole)
        conversation_read(ui, below, &err);
    ask_index(ui, l);
    ui->dirty = true;
}

static void on_live(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->live_timer);
    if (!ui->search && ui->prompt.kind == PROMPT_NONE) /* else the next frame looks again */
        ask_again(ui, ui_list(ui));
}

/* A burst of changes is one question, and questions take a small part of the time. */
void ui_live_soon(struct ui *ui)
{
    const struct list *l = ui_list(ui);
    int64_t since = clock_mono_ms() - l->asked_ms, wait = MAX((int64_t)LIVE_MS, l->cost_ms * LIVE_SHARE - since);
    if (l->live && l->old && (l->query || l->whole) && !ui->live_timer && !ui->search && ui->prompt.kind == PROMPT_NONE)
        ui->live_timer = loop_after(ui->loop, wait, on_live, ui);
}

/* ---- the prompts ---- */
static void on_type_pause(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->search_timer);
    if (ui->prompt.kind == PROMPT_NONE || (ui->prompt.verdict < QUERY_BAD && !ui_query_unfinished(&ui->prompt)))
        start_query(ui);
}

/* Letters of the last word, without the field before it. */
static size_t letters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n = strchr(" :\"()*", *text) ? 0 : n + ((*text & 0xc0) != 0x80);
    return n;
}

/* Was a letter typed, or taken away? What comes at once, of the history or by completion, is meant as it is. */
static bool by_letter(const char *was, const char *is)
{
    size_t a = strlen(was), b = strlen(is), n = MIN(a, b), chars = 0;
    for (const char *rest = a > b ? was + n : is + n; *rest; rest++)
        chars += (*rest & 0xc0) != 0x80;
    return chars <= 1 && !strncmp(was, is, n);
}

static void typed(struct ui *ui, void *arg, const char *text)
{
    size_t n = letters(text);
    bool more = n && n < SHORT_WORD && by_letter(ui->search_text ? ui->search_text : "", text);
    (void)arg;
    free(ui->search_text);
    ui->search_text = mem_dup_z(text);
    ui->search_matched = ui->search_matched && *text;
    watch_free(&ui->search_timer);
    if (ui->search_list) {
        free(ui->search_list->title);
        ui->search_list->title = mem_dup_z(text);
    }
    ui->search_timer = /* the letter itself is shown first */
        loop_after(ui->loop, more ? TYPE_DELAY_MS : 0, on_type_pause, ui);
}

static void search_typed(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    helper_cool_search(ui);
    if (!text || !*text) {
        if (ui->search_list && ui_list(ui) == ui->search_list)
            ui_pop_list(ui);
        return;
    }
    if (ui->search_timer || !ui->search_text || strcmp(text, ui->search_text) != 0)
        ui_search_as(ui, text, ui->search_limit, false, true);
    if (ui_extra(ui)->asked_server)
        ui_extra(ui)->asked_server(ui);
    else
        remote_auto(ui);
}

static bool ask(struct ui *ui, bool limit, const char *label)
{
    if (ui_line_taken(ui, label))
        return false;
    ui_extra(ui)->asked_server = NULL;
    ui->search_matched = false;
    buffer_for_lists(ui);
    if (ui->search_list && ui_list(ui) == ui->search_list && ui->search_limit == limit)
        ui_pop_list(ui); /* a new limit replaces the old one */
    ui_search_as(ui, "", limit, false, true);
    helper_warm_search(ui);
    ui_ask(ui, label, "", ARG_QUERY, true, ui->search_history, search_typed, typed, NULL);
    return true;
}

void ui_ask_search(struct ui *ui, const char *label, void (*entered)(struct ui *))
{
    if (ask(ui, false, label))
        ui_extra(ui)->asked_server = entered;
}

struct list *ui_drawn_list(const struct ui *ui)
{
    struct list *l = ui_list(ui);
    bool limiting = ui->prompt.kind == PROMPT_ASK && l == ui->search_list && ui->search_limit && ui->depth > 1;
    return limiting && !l->n && !ui->search_matched ? ui->stack[ui->depth - 2] : l;
}

bool run_search(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    if (cmd_arg(args, 0))
        ui_search(ui, cmd_arg(args, 0), false, false);
    else
        ask(ui, false, "search: ");
    return true;
}

bool run_limit(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    if (!cmd_arg(args, 0))
        ask(ui, true, "limit: ");
    else if (!*cmd_arg(args, 0) || !strcmp(cmd_arg(args, 0), "all"))
        ui_drop_stack(ui);
    else
        ui_search(ui, cmd_arg(args, 0), true, false);
    return true;
}

bool ui_search_all(struct ui *ui, const struct list *l, struct refs *into)
{
    helper_end(&ui->search);
    ui->search_select = l != NULL;
    ui->search_into = into;
    ui->search_same = false;
    if (l && !ask_query(ui, l->query, l->limits)) {
        ui->search_select = false;
        ui->search_into = NULL;
    }
    return ui->search_into != NULL;
}

/* Everything is what the list has, whatever the index knows of it. */
static bool every_found(struct ui *ui, void *arg, struct gathered *g, struct err *err)
{
    (void)arg, (void)err;
    for (struct ref ref = REF_NONE; refs_next(&g->refs, &ref);)
        refs_add(&ui->selection, ref);
    none_matched(ui, !ui->selection.n);
    struct err none = ERR_INIT;
    if (ui->none_matched && !ui_none_here(ui, &none))
        ui_note(ui, NOTE_INFO, "%s", none.text);
    return true;
}

static void pattern_typed(struct ui *ui, void *arg, const char *text)
{
    struct err err = ERR_INIT;
    (void)arg;
    if (text && str_eqz(str_trim(str_z(text)), "*") &&
        !ui_gather(ui, (struct gather_what){.before = INT64_MAX}, every_found, NULL, &err))
        ui_note_err(ui, &err);
    if (text && str_eqz(str_trim(str_z(text)), "*"))
        return;
    if (text && *text)
        ui_search(ui, text, true, true);
}

bool run_select_pattern(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    if (cmd_arg(args, 0))
        pattern_typed(ui, NULL, cmd_arg(args, 0));
    else
        ui_ask(ui, "select what matches: ", "", ARG_QUERY, true, ui->search_history, pattern_typed, NULL, NULL);
    return true;
}

/* A query for one value, quoted as notmuch does: quotes inside are blanks, for they can be in no phrase. */
static bool query_for(struct ui *ui, const char *prefix, struct str value, struct err *err)
{
    struct buf query = BUF_INIT(2000);
    if (!value.n)
        return err_set(err, ERR_USAGE, "the message does not say");
    buf_addf(&query, "%s\"", prefix);
    for (size_t i = 0; i < value.n; i++)
        buf_addc(&query, value.p[i] == '"' || (unsigned char)value.p[i] < ' ' ? ' ' : value.p[i]);
    buf_addc(&query, '"');
    ui_search(ui, buf_z(&query), false, false);
    buf_fini(&query);
    return true;
}

bool run_same_sender(void *context, const struct cmd_args *args, struct err *err)
{
    const struct list_row *row = ui_row(context);
    (void)args;
    return query_for(context, "from:", row ? row->from_addr : (struct str){"", 0}, err);
}

bool run_same_subject(void *context, const struct cmd_args *args, struct err *err)
{
    const struct list_row *row = ui_row(context);
    (void)args;
    return query_for(context, "subject:", row ? row->subject : (struct str){"", 0}, err);
}

/* "Words <id>": the id. */
bool run_same_list(void *context, const struct cmd_args *args, struct err *err)
{
    const struct list_row *row = ui_row(context);
    struct str id = row ? row->list_id : (struct str){"", 0};
    size_t from, to;
    (void)args;
    if (str_find(id, '<', &from))
        id = str_sub(id, from + 1, id.n);
    if (str_find(id, '>', &to))
        id = str_sub(id, 0, to);
    return id.n ? query_for(context, "list:", id, err)
                : err_set(err, ERR_USAGE, "the message is of no mailing list, or it is not known yet");
}

/* ---- a whole conversation ---- */
struct thread_list {
    struct list *list;
    unsigned account;
};

static void thread_hit(void *arg, const struct msg_row *row)
{
    struct thread_list *t = arg;
    list_add_hit(t->list, HITS_STORE,
                 &(struct hit){.ref = {t->account, row->id}, .date = row->date, .conversation = WHOLE_CONVERSATION});
}

static bool add_thread(struct ui *ui, struct thread_list *t, unsigned account, uint64_t thread, struct err *err)
{
    t->account = account;
    return reader_thread(ui->accts.list[account].reader, thread, 5000, thread_hit, t, err);
}

/* Can it stand in a query as it is? */
static bool plain_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if ((unsigned char)id.p[i] <= ' ' || strchr("\"'(){}<>", id.p[i]))
            return false;
    return id.n > 0;
}

/* What the databases know of it. Where its message has gone the list stays as it is. */
static bool conversation_read(struct ui *ui, struct list *l, struct err *err)
{
    struct reader *own = ui->accts.list[l->whole_of.account].reader;
    struct thread_list t = {.list = l};
    struct msg_row row = {.id = 0};
    struct buf id = BUF_INIT(4096);
    uint64_t threads[16];
    if (!own || !reader_row(own, l->whole_of.id, &row, err) || !row.id || !row.thread)
        return err->kind == ERR_NONE;
    uint64_t thread = row.thread;
    buf_adds(&id, row.msgid);
    struct str msgid = buf_str(&id);
    bool ok = true;
    list_hits_begin(l, HITS_STORE, false);
    for (unsigned a = 0; ok && a < ui->accts.n; a++) {
        size_t n = 0;
        if (a == l->whole_of.account)
            ok = add_thread(ui, &t, a, thread, err);
        else if (ui->accts.list[a].reader && msgid.n)
            ok = reader_threads_of(ui->accts.list[a].reader, &msgid, 1, threads, COUNT(threads), &n, err);
        for (size_t i = 0; ok && i < n; i++)
            ok = add_thread(ui, &t, a, threads[i], err);
    }
    if (ok)
        list_hits_end(l, HITS_STORE);
    buf_fini(&id);
    return ok;
}

/* What the databases know is shown at once; what the index knows of it besides comes when it has answered. */
bool run_conversation(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    struct buf query = BUF_INIT(4096);
    (void)args;
    if (!row || !row->ref.id || !row->thread || !ui->accts.list[row->ref.account].reader)
        return err_set(err, ERR_USAGE, "no thread is known for this message");
    struct list *l = ui_new_list(ui);
    struct ref ref = row->ref;
    list_show_hits(l, row->subject);
    l->whole = l->live = l->old = true;
    l->whole_of = ref;
    list_set_order(l, ORDER_DATE, false);
    list_set_threads(l, true);
    list_fold_all(l, false);
    if (plain_id(row->msgid)) {
        buf_addf(&query, "thread:{id:%.*s}", STR_FMT(row->msgid));
        l->query = mem_dup_z(buf_z(&query));
    }
    buf_fini(&query);
    bool ok = conversation_read(ui, l, err);
    ui_push_list(ui, l);
    list_update(l, err);
    list_goto(l, ref, err);
    if (!ui->search)
        ask_index(ui, l);
    return ok;
}

/* ---- changing the mailbox ---- */
static void picked_box(struct ui *ui, void *arg, const struct pick_item *item)
{
    (void)arg;
    if (item && item->account == UINT32_MAX && item->id < ui->conf->nsaved)
        ui_saved_open(ui, ui->conf->saved[item->id].name);
    else if (item)
        ui_show_box(ui, item->account, item->id);
}

bool run_change(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    unsigned account;
    uint64_t box;
    if (!cmd_arg(args, 0)) {
        if (ui_pick_box(ui, "open: ", UINT32_MAX, 0, picked_box, NULL, NULL))
            ui_pick_saved(ui);
        return true;
    }
    if (!ui_find_box(ui, cmd_arg(args, 0), &account, &box))
        return ui_saved_open(ui, cmd_arg(args, 0)) ||
               err_set(err, ERR_NO_MAILBOX, "no mailbox \"%s\"", cmd_arg(args, 0));
    ui_show_box(ui, account, box);
    return true;
}

bool run_go(void *context, const struct cmd_args *args, struct err *err)
{
    static const struct {
        const char *name;
        uint8_t role;
    } roles[] = {{"archive", BOX_ARCHIVE}, {"sent", BOX_SENT}, {"drafts", BOX_DRAFTS},   {"trash", BOX_TRASH},
                 {"spam", BOX_JUNK},       {"all", BOX_ALL},   {"flagged", BOX_FLAGGED}, {"outbox", BOX_OUTBOX}};
    struct ui *ui = context;
    const char *where = cmd_arg(args, 0);
    uint32_t number;
    buffer_for_lists(ui);
    boxes_update(&ui->boxes, &ui->accts, ui->conf, err);
    if (!strcmp(where, "inbox")) {
        ui_show_inboxes(ui);
        return true;
    }
    if (str_u32(str_z(where), &number)) {
        const struct box_item *inbox =
            number >= 1 && number <= ui->accts.n ? boxes_role(&ui->boxes, number - 1, BOX_INBOX) : NULL;
        if (!inbox)
            return err_set(err, ERR_USAGE, "no account %u", number);
        ui_show_box(ui, inbox->account, inbox->id);
        return true;
    }
    if (!strcmp(where, "unread") || !strcmp(where, "flagged")) {
        list_set_filter(ui_list(ui), !strcmp(where, "unread") ? LIST_UNREAD : LIST_FLAGGED);
        return true;
    }
    const struct list_row *row = ui_row(ui);
    unsigned first = ui_list(ui)->source == LIST_BOX ? ui_list(ui)->account : row ? row->ref.account : 0;
    for (size_t i = 0; i < COUNT(roles); i++) {
        if (strcmp(roles[i].name, where) != 0)
            continue;
        for (unsigned a = 0; a < ui->accts.n; a++) { /* the account the user is in, then the others */
            const struct box_item *box = boxes_role(&ui->boxes, (first + a) % ui->accts.n, roles[i].role);
            if (box) {
                ui_show_box(ui, box->account, box->id);
                return true;
            }
        }
        return err_set(err, ERR_NO_MAILBOX, "no account has a mailbox for %s", where);
    }
    return err_set(err, ERR_USAGE, "go inbox, archive, sent, drafts, trash, spam, flagged, unread, all or 1 to 9");
}

bool run_filter(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    const char *word = cmd_arg(args, 0);
    (void)err;
    if (!word)
        list_set_filter(l, l->filter == LIST_ALL ? LIST_UNREAD : LIST_ALL);
    else
        list_set_filter(l, !strcmp(word, "unread") ? LIST_UNREAD : !strcmp(word, "flagged") ? LIST_FLAGGED : LIST_ALL);
    return true;
}
