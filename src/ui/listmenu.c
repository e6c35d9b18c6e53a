/* What a mailing list says of itself (RFC 2369, 8058): where to post, read, and leave. Hostile as all of a mail: only
 * targets that a link may have are offered, each is shown whole, and nothing is opened or sent without a yes. To leave
 * by one click a program of its own asks the list's host. */
#include "ui/extra.h"

#include <unistd.h>

enum { TARGETS_MAX = 12, TARGET_BYTES = 2000 };

#define ONE_CLICK "List-Unsubscribe=One-Click" /* the field's value, and what is posted (RFC 8058) */

struct list_menu {
    unsigned account;
    struct list_target {
        char key;
        char *url; /* NULL: search the list's mail */
        bool one_click;
    } list[TARGETS_MAX];
    unsigned n;
};

static const struct {
    const char *field;
    const char *mail, *web; /* keys and words: by mail, on the web */
} offers[] = {
    {"list-post", "ppost", "Ppost on the web"},
    {"list-archive", "Aarchive by mail", "aarchive"},
    {"list-unsubscribe", "uunsubscribe by mail", "wunsubscribe on the web"},
    {"list-subscribe", "ssubscribe by mail", "Ssubscribe on the web"},
    {"list-help", "hhelp by mail", "Hhelp"},
    {"list-owner", "oowner", "Oowner on the web"},
};

void listmenu_free(struct ui *ui)
{
    struct list_menu *m = ui_extra(ui)->listmenu;
    for (unsigned i = 0; m && i < m->n; i++)
        free(m->list[i].url);
    free(m);
    ui_extra(ui)->listmenu = NULL;
}

static struct str meta(const struct doc *doc, const char *name)
{
    const struct doc_item *item = doc_named(doc, DOC_META, name);
    return item ? item->text : (struct str){"", 0};
}

/* The first <target> of the field that is of that kind, without the blanks that folding left in it. */
static bool target_get(struct str field, bool mail, struct buf *out)
{
    size_t from, to;
    while (str_find(field, '<', &from)) {
        field = str_sub(field, from + 1, field.n);
        if (!str_find(field, '>', &to))
            return false;
        buf_reset(out);
        for (size_t i = 0; i < to; i++)
            if (!strchr(" \t\r\n", field.p[i]))
                buf_addc(out, field.p[i]);
        bool is_mail = str_case_starts(buf_str(out), STR("mailto:"));
        if (!out->full && is_mail == mail && ui_url_allowed(buf_str(out)))
            return true;
        field = str_sub(field, to + 1, field.n);
    }
    return false;
}

static void offer(struct ui *ui, struct list_menu *m, const char *word, const char *url, bool one_click)
{
    struct buf row = BUF_INIT(TARGET_BYTES + 100);
    char key[2] = {word[0], 0};
    if (m->n == TARGETS_MAX)
        return;
    buf_addf(&row, "%s%s%s", word + 1, url ? "  " : "", url ? url : "");
    ui_popup_row(ui, key, buf_z(&row));
    m->list[m->n++] = (struct list_target){word[0], url ? mem_dup_z(url) : NULL, one_click};
    buf_fini(&row);
}

/* What the account permits, where the mail and this build offer it. */
static bool one_click_offered(const struct ui *ui, unsigned account, const struct doc *doc)
{
#ifdef HAVE_OAUTH
    const struct account *a = conf_account(ui->conf, ui->accts.list[account].name);
    return a && strcmp(a->one_click_unsubscribe, "no") != 0 &&
           str_case_eqz(str_trim(meta(doc, "list-unsubscribe-post")), ONE_CLICK);
#else
    (void)ui, (void)account, (void)doc;
    return false;
#endif
}

static void on_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    struct buf url = BUF_INIT(TARGET_BYTES), title = BUF_INIT(300);
    struct list_menu *m = ui_extra(ui)->listmenu;
    (void)arg;
    if (fd >= 0)
        close(fd);
    helper_end(&viewer);
    if (!doc)
        return;
    struct str id = meta(doc, "list-id");
    buf_addf(&title, "mailing list %.*s", (int)MIN(id.n, (size_t)200), id.p);
    ui_popup(ui, POPUP_LIST, buf_z(&title));
    for (size_t i = 0; i < COUNT(offers); i++)
        for (int mail = 1; mail >= 0; mail--)
            if (target_get(meta(doc, offers[i].field), mail, &url))
                offer(ui, m, mail ? offers[i].mail : offers[i].web, buf_z(&url), false);
    if (one_click_offered(ui, m->account, doc) && target_get(meta(doc, "list-unsubscribe"), false, &url) &&
        str_case_starts(buf_str(&url), STR("https:")))
        offer(ui, m, "1unsubscribe by one click", buf_z(&url), true);
    bool any = m->n > 0;
    if (id.n)
        offer(ui, m, "fits mail, found", NULL, false);
    if (!any && !id.n) {
        ui_popup_close(ui);
        ui_note(ui, NOTE_INFO, "the message is of no mailing list");
    }
    doc_free(&doc);
    buf_fini(&url);
    buf_fini(&title);
}

bool run_list_menu(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    (void)args, (void)err;
    if (!row || !row->ref.id)
        return true;
    struct ref ref = row->ref;
    ui_load_end(ui); /* of an earlier menu, perhaps */
    listmenu_free(ui);
    ui_extra(ui)->listmenu = mem_new(sizeof(struct list_menu));
    ui_extra(ui)->listmenu->account = ref.account;
    ui_load(ui, ref, "", 0, on_loaded, NULL);
    return true;
}

/* ---- Leaving by one click ---- */

static void on_post(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    const char *host = arg;
    struct str why = m && m->kind == MSG_POST_DONE ? m->u.POST_DONE.text : STR("the program that asks broke off");
    uint32_t status = m && m->kind == MSG_POST_DONE ? m->u.POST_DONE.status : 0;
    (void)h;
    if (m && m->kind == MSG_POST_DONE && m->u.POST_DONE.kind == ERR_NONE && status / 100 == 2)
        ui_note(ui, NOTE_INFO, "%s was asked to take you off the list", host);
    else if (status)
        ui_note(ui, NOTE_ERROR, "%s does not take the one click (status %u): unsubscribe by mail or on the web", host,
                status);
    else
        ui_note(ui, NOTE_ERROR, "still on the list, %.*s: try again, or unsubscribe by mail or on the web",
                STR_FMT(why));
    helper_end(&ui_extra(ui)->leaving);
}

static void leave(struct ui *ui, void *arg, bool yes)
{
    struct list_menu *m = ui_extra(ui)->listmenu;
    const struct list_target *t = arg;
    static const char *const none[] = {NULL};
    struct err err = ERR_INIT;
    char host[256] = "";
    uint16_t port;
    const struct account *a = m ? conf_account(ui->conf, ui->accts.list[m->account].name) : NULL;
    if (!yes || !a || !https_parse(t->url, false, host, &port))
        return;
    helper_end(&ui_extra(ui)->leaving);
    char *asked = mem_dup_z(host);
    struct helper *h = ui_extra(ui)->leaving = helper_start(ui, ROLE_POST, none, on_post, asked);
    if (!h) {
        free(asked);
        return;
    }
    helper_owns(h, free);
    if (SEND(helper_chan(h), -1, &err, POST, .url = str_z(t->url), .form = STR(ONE_CLICK),
             .ca_file = str_z(a->tls_ca_file), .own_network = !strcmp(a->one_click_unsubscribe, "own-network")))
        ui_note(ui, NOTE_INFO, "asking %s ...", host);
    else
        ui_note_err(ui, &err);
}

bool listmenu_key(struct ui *ui, ckey key)
{
    struct list_menu *m = ui_extra(ui)->listmenu;
    struct buf line = BUF_INIT(2 * TARGET_BYTES);
    ui_popup_close(ui);
    for (unsigned i = 0; m && i < m->n; i++) {
        struct list_target *t = &m->list[i];
        if ((ckey)t->key != key)
            continue;
        if (!t->url) {
            ui_run(ui, "same-list");
        } else if (t->one_click) {
            ui_confirm(ui, "Leave the list? Its host is asked to take you off:", t->url, leave, t);
        } else if (str_case_starts(str_z(t->url), STR("mailto:"))) { /* a draft, to be looked at and sent */
            buf_addz(&line, "compose ");
            line_quote(str_z(t->url), &line);
            ui_run(ui, buf_z(&line));
        } else {
            ui_url_ask(ui, str_z(t->url));
        }
        break;
    }
    buf_fini(&line);
    return true;
}
