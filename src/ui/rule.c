/* A rule from a message: its conditions and what is done are chosen by letters, its text is shown, and it is kept as a
 * part of the active script of the server, or as a line in the file of rules. */
#include "ui/sieve.h"

#include <unistd.h>

#include "mail/sieve.h"
#include "mail/utf7.h"

enum { IDS_AT_ONCE = 4000, FOLDER_BYTES = 1000 }; /* FOLDER_BYTES: of RULES_DO */
enum condition { OF_LIST, OF_FROM, OF_TO, OF_SUBJECT, CONDITIONS };
static const struct {
    ckey key;
    const char *words, *query; /* query: its prefix */
} conditions[CONDITIONS] = {
    [OF_LIST] = {'l', "mailing list", "list:"},
    [OF_FROM] = {'f', "from", "from:"},
    [OF_TO] = {'t', "to", "to:"},
    [OF_SUBJECT] = {'s', "subject has", "subject:"},
};
struct rule_draft {
    unsigned account;
    char *values[CONDITIONS];
    bool on[CONDITIONS];
    char *folder, *server_name; /* as shown; UTF-8 with what the server puts before it. NULL: it stays */
    char *tag;
    bool read, flag, stop;
    bool new_folder; /* the account has none of that name: what the rule does first makes it */
    uint64_t deed;   /* the rule, and what it does to mail that is here */
    /* on its way to the server */
    char *script;
    bool fresh, made; /* none is active; none has the name either */
    struct buf block, needs, can, before, text;
    /* what it fits already */
    struct helper *search;
    struct refs refs;
    struct ref at; /* the last that has it done to it */
    uint32_t count;
    uint64_t group;
};

static void set_text(char **at, const char *z)
{
    char *old = *at;
    *at = z && *z ? mem_dup_z(z) : NULL;
    free(old);
}

void rule_free(struct ui *ui)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    if (!r)
        return;
    for (size_t i = 0; i < CONDITIONS; i++)
        free(r->values[i]);
    char **all[] = {&r->folder, &r->server_name, &r->tag, &r->script};
    for (size_t i = 0; i < COUNT(all); i++)
        free(*all[i]);
    struct buf *bufs[] = {&r->block, &r->needs, &r->can, &r->before, &r->text};
    for (size_t i = 0; i < COUNT(bufs); i++)
        buf_fini(bufs[i]);
    helper_end(&r->search);
    refs_fini(&r->refs);
    free(r);
    ui_extra(ui)->rule = NULL;
}

static bool on_server(const struct ui *ui, const struct rule_draft *r)
{
    const struct account *a = ui->accts.list[r->account].conf;
    return a && a->sieve.proto == PROTO_SIEVE;
}

/* ---- The choices -------------------------------------------------------------------------------- */
static void choice(struct ui *ui, char key, bool on, const char *what, const char *value)
{
    struct buf row = BUF_INIT(2000);
    char k[2] = {key, 0};
    buf_addf(&row, "%s %s%s%s", on ? "[x]" : "[ ]", what, value ? ": " : "", value ? value : "");
    ui_popup_row(ui, k, buf_z(&row));
    buf_fini(&row);
}

static void show(struct ui *ui)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    const char *account = ui->accts.list[r->account].name;
    struct buf title = BUF_INIT(300);
    buf_addf(&title, "a rule for mail that comes to %s", account);
    ui_popup(ui, POPUP_RULE, buf_z(&title));
    for (size_t i = 0; i < CONDITIONS; i++)
        choice(ui, (char)conditions[i].key, r->on[i], conditions[i].words, r->values[i]);
    ui_popup_row(ui, "", "");
    choice(ui, 'm', r->folder != NULL, r->new_folder ? "move to a new mailbox" : "move to", r->folder);
    choice(ui, '+', r->tag != NULL, "tag", r->tag);
    choice(ui, 'r', r->read, "mark read", NULL);
    choice(ui, 'F', r->flag, "flag", NULL);
    choice(ui, 'p', r->stop, "stop: no rule behind it is asked", NULL);
    ui_popup_row(ui, "", "");
    ui_popup_row(ui, "w", on_server(ui, r) ? "see it, and keep it on the server" : "see it, and keep it here");
    ui_popup_row(ui, "q", "leave");
    buf_fini(&title);
}

/* "Words <id>" of a List-Id, its id; the words of a subject without Re: and the like are the user's to choose. */
static char *list_of(struct str id)
{
    size_t from, to;
    if (str_find(id, '<', &from))
        id = str_sub(id, from + 1, id.n);
    if (str_find(id, '>', &to))
        id = str_sub(id, 0, to);
    return id.n ? mem_dup_n(id.p, id.n) : NULL;
}

bool run_make_rule(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    (void)args;
    if (!row || !row->ref.id)
        return ui_none_here(ui, err);
    rule_free(ui);
    struct rule_draft *r = ui_extra(ui)->rule = mem_new(sizeof *r);
    struct buf own = BUF_INIT(400);
    r->account = row->ref.account;
    r->deed = ui_deed(ui);
    r->block = r->needs = r->can = BUF_INIT(16384);
    r->before = r->text = BUF_INIT(SCRIPT_TEXT_MAX / 2);
    r->values[OF_LIST] = list_of(row->list_id);
    if (row->from_addr.n)
        r->values[OF_FROM] = mem_dup_n(row->from_addr.p, row->from_addr.n);
    if (row->subject.n)
        r->values[OF_SUBJECT] = mem_dup_n(row->subject.p, row->subject.n);
    if (ui->accts.list[r->account].conf)
        account_address(ui->accts.list[r->account].conf, &own);
    set_text(&r->values[OF_TO], buf_z(&own));
    r->on[r->values[OF_LIST] ? OF_LIST : OF_FROM] = true;
    show(ui);
    buf_fini(&own);
    return true;
}

static void on_value(struct ui *ui, void *arg, const char *text)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    enum condition c = *(enum condition *)arg;
    free(arg);
    if (!r)
        return;
    if (text) {
        set_text(&r->values[c], text);
        r->on[c] = r->values[c] != NULL;
    }
    show(ui);
}

/* What the message says of list and sender is taken as it is; recipient and subject are words to be chosen from. */
static void key_condition(struct ui *ui, struct rule_draft *r, enum condition c)
{
    if (r->on[c] || (c <= OF_FROM && r->values[c])) {
        r->on[c] = !r->on[c];
        show(ui);
        return;
    }
    enum condition *arg = mem_new(sizeof *arg);
    char label[60];
    *arg = c;
    snprintf(label, sizeof label, "%s: ", conditions[c].words);
    ui_popup_close(ui);
    ui_ask(ui, label, r->values[c] ? r->values[c] : "", c == OF_TO ? ARG_ADDRESS : ARG_TEXT, c == OF_TO, NULL, on_value,
           NULL, arg);
}

static void on_folder(struct ui *ui, void *arg, const struct pick_item *item)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct buf name = BUF_INIT(2000);
    struct err err = ERR_INIT;
    struct box_row row;
    (void)arg;
    const struct box_item *box =
        r && item && item->account == r->account ? boxes_find(&ui->boxes, r->account, item->id) : NULL;
    struct reader *reader = r ? ui->accts.list[r->account].reader : NULL;
    if (box && reader && reader_box(reader, box->id, &row, &err) && row.id) {
        mail_utf7_decode(row.name, &name);
        set_text(&r->folder, box->path);
        set_text(&r->server_name, buf_z(&name));
    }
    buf_fini(&name);
    if (r)
        show(ui);
}

/* The name as it is typed, which scripts have behind the prefix of the server's personal namespace. */
static void on_new_folder(struct ui *ui, void *arg, const char *text)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct buf raw = BUF_INIT(FOLDER_BYTES), name = BUF_INIT(2 * FOLDER_BYTES);
    struct err err = ERR_INIT;
    (void)arg;
    struct str typed = str_trim(str_z(text));
    struct reader *reader = r ? ui->accts.list[r->account].reader : NULL;
    if (typed.n >= FOLDER_BYTES)
        ui_note(ui, NOTE_WARNING, "a mailbox's name has at most %d bytes", FOLDER_BYTES - 1);
    else if (typed.n && reader && reader_server(reader, "prefix", &raw, &err)) {
        mail_utf7_decode(buf_str(&raw), &name);
        if (str_starts(typed, buf_str(&name)))
            buf_reset(&name);
        buf_adds(&name, typed);
        char *folder = mem_dup_n(typed.p, typed.n);
        set_text(&r->folder, folder);
        set_text(&r->server_name, buf_z(&name));
        r->new_folder = true;
        free(folder);
    }
    buf_fini(&raw);
    buf_fini(&name);
    if (r)
        show(ui);
}

static void on_tag(struct ui *ui, void *arg, const char *text)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    (void)arg;
    if (!r)
        return;
    if (text && (strpbrk(text, " \t\"\\()*%{") || tag_reserved(str_z(text))))
        ui_note(ui, NOTE_WARNING, "\"%s\" is no tag that a rule may give", text);
    else if (text)
        set_text(&r->tag, text);
    show(ui);
}

/* ---- Mail that is here already ------------------------------------------------------------------ */
static void value_quoted(const char *value, struct buf *out)
{
    buf_addc(out, '"');
    for (; *value; value++)
        buf_addc(out, *value == '"' || (unsigned char)*value < ' ' ? ' ' : *value);
    buf_addc(out, '"');
}

static void rule_query(const struct rule_draft *r, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < CONDITIONS; i++) {
        if (!r->on[i])
            continue;
        buf_addf(out, "%s%s", any ? " and " : "", conditions[i].query);
        value_quoted(r->values[i], out);
        any = true;
    }
}

static void do_more(struct ui *ui);

static void on_more(struct ui *ui, void *arg, const struct msg *m)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    (void)arg;
    ui_lists_stale(ui);
    ui->boxes.stale = true;
    if (!r)
        return;
    if (m && m->kind == MSG_INTENT_OK) {
        r->count += m->u.INTENT_OK.count;
        r->group = m->u.INTENT_OK.group;
        do_more(ui);
        return;
    }
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_ERROR, "%.*s", STR_FMT(m->u.REFUSED.text));
    if (r->count)
        ui_undo_step(ui, UNDO_MAIL, r->deed);
    rule_free(ui);
}

/* The next of the messages, all of them one step of undo. */
static void do_more(struct ui *ui)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct err err = ERR_INIT;
    struct buf ids = BUF_INIT(32768), tags = BUF_INIT(300);
    for (unsigned n = 0; n < IDS_AT_ONCE && refs_next(&r->refs, &r->at); n++)
        ipc_ids_add(&ids, r->at.id);
    if (r->tag)
        buf_addf(&tags, "+%s", r->tag);
    if (ids.n == 0) {
        ui_note(ui, NOTE_INFO, "done to %u message%s · %s undo", r->count, r->count == 1 ? "" : "s",
                ui_key_of(ui, "undo"));
        if (r->count)
            ui_undo_step(ui, UNDO_MAIL, r->deed);
        rule_free(ui);
    } else if (!SEND(ui->client->chan, -1, &err, RULES_DO, .req = ui_request(ui, on_more, NULL),
                     .account = str_z(ui->accts.list[r->account].name), .msgs = buf_str(&ids),
                     .folder = str_z(r->folder ? r->folder : ""), .tags = buf_str(&tags),
                     .flags = (r->read ? FLAG_SEEN : 0u) | (r->flag ? FLAG_FLAGGED : 0u), .group = r->group,
                     .deed = r->deed)) {
        ui_note_err(ui, &err);
        rule_free(ui);
    }
    buf_fini(&ids);
    buf_fini(&tags);
}

static void do_now(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (ui_extra(ui)->rule && yes && ui_online(ui))
        do_more(ui);
    else
        rule_free(ui);
}

static void on_hit(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    char question[120];
    (void)arg, (void)h;
    if (!m) {
        helper_end(&r->search);
    } else if (m->kind == MSG_HIT && m->u.HIT.msg) {
        refs_add(&r->refs, (struct ref){r->account, m->u.HIT.msg});
    } else if (m->kind == MSG_QUERY_DONE) {
        helper_end(&r->search);
        snprintf(question, sizeof question, "Do the same to mail that is here: %zu message%s?", r->refs.n,
                 r->refs.n == 1 ? "" : "s");
        if (r->refs.n)
            ui_confirm(ui, question, "What it does to them, undo takes back.", do_now, NULL);
        else
            rule_free(ui);
    }
    if (m && m->fd >= 0)
        close(m->fd);
}

/* The rule is kept: is there older mail that it fits? */
static void kept(struct ui *ui, const char *script, const char *where)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct buf query = BUF_INIT(8000);
    struct err err = ERR_INIT;
    rule_kept(ui, &(struct kept_rule){.account = ui->accts.list[r->account].name,
                                      .script = script,
                                      .made = r->made,
                                      .activated = r->fresh,
                                      .before = buf_str(&r->before),
                                      .after = buf_str(&r->text),
                                      .deed = r->deed});
    ui_note(ui, NOTE_INFO, "the rule is kept %s · %s undo", where, ui_key_of(ui, "undo"));
    rule_query(r, &query);
    if (!r->folder && !r->tag && !r->read && !r->flag) {
        rule_free(ui);
    } else if ((r->search = helper_search(ui, on_hit, NULL)) &&
               !SEND(helper_chan(r->search), -1, &err, QUERY, .req = 1, .query = buf_str(&query),
                     .account = str_z(ui->accts.list[r->account].name), .limit = UINT32_MAX)) {
        helper_end(&r->search);
    }
    buf_fini(&query);
}

/* ---- Kept here ---------------------------------------------------------------------------------- */
static void local_line(const struct ui *ui, const struct rule_draft *r, struct buf *out)
{
    struct buf query = BUF_INIT(8000);
    rule_query(r, &query);
    buf_addz(out, "rule ");
    line_quote(buf_str(&query), out);
    buf_addf(out, " -account %s", ui->accts.list[r->account].name);
    const char *const values[] = {r->folder, r->tag}, *const words[] = {" -folder ", " -tag "};
    for (size_t i = 0; i < COUNT(values); i++)
        if (values[i]) {
            buf_addz(out, words[i]);
            line_quote(str_z(values[i]), out);
        }
    buf_addf(out, "%s%s%s", r->read ? " -read" : "", r->flag ? " -flag" : "", r->stop ? " -stop" : "");
    buf_fini(&query);
}

static void on_setting(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (!ui_extra(ui)->rule)
        return;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "the rule is kept, and used when tuimail starts again: %.*s",
                STR_FMT(m->u.REFUSED.text));
    struct err err = ERR_INIT;
    char *path = conf_rule_file(ui->conf, &err), where[400];
    snprintf(where, sizeof where, "in %.300s", path ? path : "the file of option rule-file");
    kept(ui, NULL, where);
    free(path);
}

static void on_keep_here(struct ui *ui, void *arg, bool yes)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct err err = ERR_INIT;
    (void)arg;
    if (!r || !yes) {
        rule_free(ui);
        return;
    }
    if (!conf_rule_keep(ui->conf, buf_str(&r->text), &err) || !ui_online(ui) ||
        !SEND(ui->client->chan, -1, &err, SETTING, .req = ui_request(ui, on_setting, NULL),
              .line = buf_str(&r->text))) {
        ui_note_err(ui, &err);
        rule_free(ui);
    }
}

/* ---- Kept on the server ------------------------------------------------------------------------- */
/* The server cannot have it, or is not there: here it works as well. */
static void keep_here_instead(struct ui *ui, const struct err *why)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct buf detail = BUF_INIT(SCRIPT_TEXT_MAX);
    set_text(&r->script, NULL);
    buf_reset(&r->before);
    buf_reset(&r->text);
    r->fresh = r->made = false;
    local_line(ui, r, &r->text);
    buf_addf(&detail, "%s\n%s", why->text, buf_z(&r->text));
    ui_confirm(ui, "The server does not take it. Keep the rule here, for mail that comes while tuimail runs?",
               buf_z(&detail), on_keep_here, NULL);
    buf_fini(&detail);
}

static void ask(struct ui *ui, enum sieve_verb verb, struct str text, script_fn *fn)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    const char *name = verb == SIEVE_LIST ? "" : r->script;
    if (!script_ask(ui, ui->accts.list[r->account].name, verb, name, "", text, fn, NULL))
        rule_free(ui);
}

static void on_active(struct ui *ui, void *arg, struct script_answer *a)
{
    (void)arg;
    if (!ui_extra(ui)->rule)
        return;
    if (a->ok) {
        kept(ui, ui_extra(ui)->rule->script, "on the server, in a script that is active now");
    } else { /* the script is there: what is left is to be seen there */
        ui_note_err(ui, &a->err);
        rule_free(ui);
    }
}

static void on_kept(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    (void)arg;
    if (!r)
        return;
    if (!a->ok)
        keep_here_instead(ui, &a->err);
    else if (!r->fresh)
        kept(ui, r->script, "in the script on the server");
    else
        ask(ui, SIEVE_ACTIVATE, STR(""), on_active);
}

static void on_script(struct ui *, void *, struct script_answer *);

/* Time has passed while the question stood there. */
static void on_looked(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    if (r && a->ok && script_same(buf_str(&a->text), buf_str(&r->before)))
        ask(ui, SIEVE_PUT, buf_str(&r->text), on_kept);
    else
        on_script(ui, arg, a);
}

static void on_keep_there(struct ui *ui, void *arg, bool yes)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    (void)arg;
    if (!r || !yes)
        rule_free(ui);
    else if (r->made)
        ask(ui, SIEVE_PUT, buf_str(&r->text), on_kept);
    else
        ask(ui, SIEVE_GET, STR(""), on_looked);
}

static void on_script(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    char question[200];
    (void)arg;
    if (!r)
        return;
    if (!a->ok) {
        keep_here_instead(ui, &a->err);
        return;
    }
    buf_reset(&r->before);
    buf_reset(&r->text);
    buf_adds(&r->before, buf_str(&a->text));
    if (!sieve_add(buf_str(&a->text), buf_str(&r->block), buf_str(&r->needs), &r->text)) {
        ui_note(ui, NOTE_ERROR, "the script %s is too long for one more rule", r->script);
        rule_free(ui);
        return;
    }
    snprintf(question, sizeof question,
             r->made    ? "Begin the script %.80s with this, and activate it?"
             : r->fresh ? "Add this to the script %.80s, and activate it?"
                        : "Add this to the script %.80s?",
             r->script);
    ui_confirm(ui, question, buf_z(&r->block), on_keep_there, NULL);
}

static void on_scripts(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    struct str rest = buf_str(&a->text), value;
    struct err err = ERR_INIT;
    bool taken = false;
    char kind;
    (void)arg;
    if (!r)
        return;
    if (!a->ok) {
        keep_here_instead(ui, &a->err);
        return;
    }
    set_text(&r->script, NULL);
    while (script_next(&rest, &kind, &value)) {
        if (kind == '=' && str_case_starts(value, STR("SIEVE ")))
            buf_adds(&r->can, str_sub(value, 6, value.n));
        if (kind == '+')
            r->script = mem_dup_n(value.p, value.n);
        taken = taken || (kind == '-' && str_eqz(value, "tuimail"));
    }
    r->fresh = r->script == NULL;
    r->made = r->fresh && !taken;
    if (r->fresh)
        set_text(&r->script, "tuimail");
    const struct sieve_rule rule = {.list_id = r->on[OF_LIST] ? r->values[OF_LIST] : "",
                                    .from = r->on[OF_FROM] ? r->values[OF_FROM] : "",
                                    .to = r->on[OF_TO] ? r->values[OF_TO] : "",
                                    .subject = r->on[OF_SUBJECT] ? r->values[OF_SUBJECT] : "",
                                    .folder = r->server_name ? r->server_name : "",
                                    .new_folder = r->new_folder,
                                    .tag = r->tag ? r->tag : "",
                                    .read = r->read,
                                    .flag = r->flag,
                                    .stop = r->stop};
    bool ok = sieve_rule_block(&rule, buf_str(&r->can), &r->block, &r->needs, &err);
    if (!ok) {
        keep_here_instead(ui, &err);
    } else if (r->made) {
        struct script_answer none = {.ok = true, .text = BUF_INIT(1)};
        on_script(ui, NULL, &none);
    } else {
        ask(ui, SIEVE_GET, STR(""), on_script);
    }
}

/* ---- Keys --------------------------------------------------------------------------------------- */
static void keep(struct ui *ui, struct rule_draft *r)
{
    bool any = false;
    for (size_t i = 0; i < CONDITIONS; i++)
        any = any || r->on[i];
    if (!any || !(r->folder || r->tag || r->read || r->flag || r->stop)) {
        ui_note(ui, NOTE_WARNING,
                any ? "nothing is to be done: m moves, + tags, r marks read" : "a rule needs a condition");
        return;
    }
    buf_reset(&r->block);
    buf_reset(&r->needs);
    buf_reset(&r->can);
    buf_reset(&r->text);
    ui_popup_close(ui);
    if (on_server(ui, r)) {
        ui_note(ui, NOTE_INFO, "asking for the script ...");
        ask(ui, SIEVE_LIST, STR(""), on_scripts);
    } else {
        local_line(ui, r, &r->text);
        ui_confirm(ui, "Keep this rule?", buf_z(&r->text), on_keep_here, NULL);
    }
}

bool rule_key(struct ui *ui, ckey key)
{
    struct rule_draft *r = ui_extra(ui)->rule;
    if (!r)
        return false;
    ui->dirty = true;
    for (size_t i = 0; i < CONDITIONS; i++)
        if (conditions[i].key == key) {
            key_condition(ui, r, (enum condition)i);
            return true;
        }
    bool *const toggles[] = {&r->read, &r->flag, &r->stop};
    static const char letters[] = "rFp";
    const char *at = key < 128 && key ? strchr(letters, (int)key) : NULL;
    if (at) {
        *toggles[at - letters] = !*toggles[at - letters];
        show(ui);
    } else if (key == 'm' && r->folder) {
        set_text(&r->folder, NULL);
        set_text(&r->server_name, NULL);
        r->new_folder = false;
        show(ui);
    } else if (key == 'm') {
        ui_popup_close(ui);
        if (ui_pick_box(ui, "move to: ", r->account, 0, on_folder, on_new_folder, NULL))
            ui_pick_own(ui, r->account); /* a rule names a mailbox, not an account */
    } else if (key == '+' && r->tag) {
        set_text(&r->tag, NULL);
        show(ui);
    } else if (key == '+') {
        ui_popup_close(ui);
        ui_ask(ui, "tag: ", "", ARG_TAG, true, NULL, on_tag, NULL, NULL);
    } else if (key == 'w' || key == K_ENTER) {
        keep(ui, r);
    } else {
        ui_popup_close(ui);
        rule_free(ui);
    }
    return true;
}
