/* New mail is told: by the terminal (bell, OSC 9, OSC 777, title) and by hooks. What arrives within ten seconds after
 * is told together. */
#include "ui/extra.h"

enum { PAUSE_MS = 10000, WORDS_COLS = 120 };

static bool wants(const struct ui *ui, const char *how)
{
    struct str rest = str_z(ui->conf->notify), word;
    while (str_split(&rest, ' ', &word))
        if (str_eqz(word, how))
            return true;
    return false;
}

/* Sends "prefix" and a cleaned text, of at most some columns and without the `;` that separates parts. */
static void osc(struct ui *ui, const char *prefix, const char *first, const char *second)
{
    struct buf raw = BUF_INIT(4096), clean = BUF_INIT(8192), out = BUF_INIT(8192);
    const char *parts[] = {first, second};
    if (!ui->term || !ui->term->osc)
        return;
    buf_addz(&out, prefix);
    for (size_t i = 0; i < COUNT(parts) && parts[i]; i++) {
        buf_reset(&raw);
        buf_reset(&clean);
        buf_addz(&raw, parts[i]);
        for (size_t k = 0; k < raw.n; k++)
            raw.p[k] = raw.p[k] == ';' ? ',' : raw.p[k];
        struct text t = text_fit(text_from_bytes(buf_str(&raw), TEXT_FOLD_SPACE, &clean), WORDS_COLS);
        buf_addz(&out, i ? ";" : "");
        buf_add(&out, t.p, t.n);
    }
    buf_reset(&clean);
    struct text all = text_from_bytes(buf_str(&out), TEXT_LINE, &clean);
    ui->term->osc(ui->term->arg, all);
    buf_fini(&raw);
    buf_fini(&clean);
    buf_fini(&out);
}

/* Words of a mail for notify-send: cleaned, of at most some columns; in the body <, > and & are not markup. */
static char *plain_words(const char *raw, bool body)
{
    struct buf clean = BUF_INIT(8192), out = BUF_INIT(8192);
    struct text t = text_fit(text_from_bytes(str_z(raw), TEXT_FOLD_SPACE, &clean), WORDS_COLS);
    for (size_t i = 0; i < t.n; i++) {
        const char *as = !body           ? NULL
                         : t.p[i] == '<' ? "&lt;"
                         : t.p[i] == '>' ? "&gt;"
                         : t.p[i] == '&' ? "&amp;"
                                         : NULL;
        if (as)
            buf_addz(&out, as);
        else
            buf_addc(&out, t.p[i]);
    }
    buf_fini(&clean);
    return buf_take(&out, NULL);
}

/* The program itself, without a shell; a word that begins with - is no option of its. */
static void notify_send(const char *title, const char *subject)
{
    char *summary = plain_words(*title ? title : "new mail", false), *body = plain_words(subject, true);
    ui_spawn((const char *const[]){"notify-send", "-a", "tuimail", "--", summary, body, NULL});
    free(summary);
    free(body);
}

static void newest(void *arg, const struct msg_row *row)
{
    struct event_words *e = arg;
    e->msg = row->id;
    event_word(e, VALUE_FROM, row->from_name.n ? row->from_name : row->from_addr);
    event_word(e, VALUE_ADDRESS, row->from_addr);
    event_word(e, VALUE_SUBJECT, row->subject);
    event_word(e, VALUE_MESSAGE_ID, row->msgid);
}

static void event_fill(struct ui *ui, struct event_words *e)
{
    struct err err = ERR_INIT;
    const struct acct *a = &ui->accts.list[ui->news.account];
    const struct box_item *box = boxes_find(&ui->boxes, ui->news.account, ui->news.box);
    struct buf words = BUF_INIT(1024);
    if (a->reader)
        reader_rows(a->reader, ui->news.box, LIST_UNREAD, NULL, true, 1, newest, e, &err);
    if (a->reader && e->msg)
        reader_preview(a->reader, e->msg, &words, &err);
    event_word(e, VALUE_PREVIEW, buf_str(&words));
    event_word(e, VALUE_ACCOUNT, str_z(a->name));
    event_word(e, VALUE_MAILBOX, str_z(box ? box->path : ""));
    buf_reset(&words);
    buf_addf(&words, "%u", ui->fresh);
    event_word(e, VALUE_COUNT, buf_str(&words));
    buf_fini(&words);
}

static void on_pause_end(void *arg);

static void tell(struct ui *ui)
{
    bool desktop = wants(ui, "osc9") || wants(ui, "osc777") || wants(ui, "notify-send");
    struct event_words e = {.own = true};
    char many[40];
    ui->fresh = ui->news.count;
    ui->news.count = 0;
    ui->news.pause = loop_after(ui->loop, PAUSE_MS, on_pause_end, ui);
    if (desktop || ui->nhooks)
        event_fill(ui, &e);
    snprintf(many, sizeof many, "%u new mails", ui->fresh);
    const char *from = e.of[VALUE_FROM] ? e.of[VALUE_FROM] : "";
    const char *subject = e.of[VALUE_SUBJECT] ? e.of[VALUE_SUBJECT] : "";
    if (wants(ui, "notify-send"))
        notify_send(ui->fresh > 1 ? many : from, subject);
    if (ui->term && !extra_has_terminal(ui)) {
        if (wants(ui, "bell"))
            ui->term->bell(ui->term->arg);
        if (wants(ui, "osc9")) {
            struct buf line = BUF_INIT(2048);
            buf_addf(&line, "%s: %s", ui->fresh > 1 ? many : from, subject);
            osc(ui, "9;", buf_z(&line), NULL);
            buf_fini(&line);
        }
        if (wants(ui, "osc777")) {
            struct buf body = BUF_INIT(4096);
            const char *preview = e.of[VALUE_PREVIEW] ? e.of[VALUE_PREVIEW] : "";
            buf_addf(&body, *preview ? "%s - %s" : "%s", subject, preview);
            osc(ui, "777;notify;", ui->fresh > 1 ? many : from, buf_z(&body));
            buf_fini(&body);
        }
    }
    ui_event(ui, EVENT_NEW_MAIL, &e);
}

static void on_pause_end(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->news.pause);
    if (ui->news.count)
        tell(ui);
}

void ui_notify(struct ui *ui, unsigned account, uint64_t box, uint32_t fresh)
{
    ui->news.count = fresh < UINT32_MAX - ui->news.count ? ui->news.count + fresh : UINT32_MAX;
    ui->news.account = account;
    ui->news.box = box;
    if (!ui->news.pause)
        tell(ui);
}

void ui_notify_title(struct ui *ui)
{
    char title[sizeof ui->news.title];
    unsigned unread = ui->boxes.n ? ui->boxes.list[0].unread : 0;
    if (!ui->term || extra_has_terminal(ui) || !(wants(ui, "title") || *ui->news.title))
        return;
    if (!wants(ui, "title"))
        *title = 0;
    else if (unread)
        snprintf(title, sizeof title, "tuimail: %u unread", unread);
    else
        snprintf(title, sizeof title, "tuimail");
    if (!strcmp(title, ui->news.title))
        return;
    snprintf(ui->news.title, sizeof ui->news.title, "%s", title);
    osc(ui, "2;", title, NULL);
}

void ui_notify_end(struct ui *ui)
{
    watch_free(&ui->news.pause);
    if (*ui->news.title)
        osc(ui, "2;", "", NULL);
}
