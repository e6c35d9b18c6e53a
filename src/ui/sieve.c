/* Scripts on the server (ManageSieve): their list, and the editor over one of them. What is edited is a file of ours
 * until the server has it, so that nothing typed is lost with the line. */
#include "ui/sieve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mail/sieve.h"

enum { EDITED_MAX = SCRIPT_TEXT_MAX / 2 };

/* ---- Asking ------------------------------------------------------------------------------------- */
struct asked {
    script_fn *fn;
    void *arg;
    char *account;
    int fd;
};

static void asked_free(struct asked *k)
{
    close(k->fd);
    free(k->account);
    free(k);
}

static void on_done(struct ui *ui, void *arg, const struct msg *m)
{
    struct asked *k = arg;
    struct script_answer a = {.ok = false, .err = ERR_INIT, .text = BUF_INIT(SCRIPT_TEXT_MAX)};
    if (!m) {
        err_set(&a.err, ERR_CHANNEL, "the store broke off");
    } else if (m->kind == MSG_SIEVE_DONE) {
        const struct m_SIEVE_DONE *d = &m->u.SIEVE_DONE;
        a.ok = d->kind == ERR_NONE;
        a.said = d->said;
        a.warned = d->warned != 0;
        if (!a.ok)
            err_set(&a.err, (enum err_kind)MIN(d->kind, (uint32_t)ERR_COUNT - 1), "%.*s", STR_FMT(d->text));
        else
            a.ok = script_text(k->fd, &a.text, &a.err);
    } else if (m->kind == MSG_REFUSED) {
        err_set(&a.err, (enum err_kind)MIN(m->u.REFUSED.kind, (uint32_t)ERR_COUNT - 1), "%.*s",
                STR_FMT(m->u.REFUSED.text));
    } else {
        return;
    }
    if (!a.ok && err_scope(a.err.kind) == SCOPE_ACCOUNT)
        err_prefix(&a.err, "scripts of %s", k->account);
    k->fn(ui, k->arg, &a);
    buf_fini(&a.text);
    asked_free(k);
}

bool script_ask(struct ui *ui, const char *account, enum sieve_verb verb, const char *name, const char *to,
                struct str text, script_fn *fn, void *arg)
{
    struct err err = ERR_INIT;
    if (!ui_online(ui))
        return false;
    int fd = script_fd(text, &err);
    if (fd >= 0) {
        struct asked *k = mem_new(sizeof *k);
        *k = (struct asked){fn, arg, mem_dup_z(account), fd};
        uint32_t req = ui_request(ui, on_done, k);
        if (SEND(ui->client->chan, fd, &err, SIEVE, .req = req, .account = str_z(account), .verb = (uint8_t)verb,
                 .name = str_z(name), .to = str_z(to)))
            return true;
        ui_forget(ui, req);
        asked_free(k);
    }
    ui_note_err(ui, &err);
    return false;
}

/* ---- The list ----------------------------------------------------------------------------------- */
/* What is known of the account whose scripts are, or were last, on the screen. */
struct scripts {
    char *account;
    unsigned said;   /* that they are asked for */
    char *name, *to; /* of what is asked for */
    bool was_active;
    /* the script that was deleted last, to be put back */
    char *gone;
    struct buf gone_text;
    /* the one that is edited */
    char *edited, *path;
    struct buf was, text; /* what the server had of it; what it is to have */
    bool fresh;           /* the server has none of that name */
};

static struct scripts *scripts_of(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    if (!x->scripts) {
        x->scripts = mem_new(sizeof *x->scripts);
        x->scripts->gone_text = x->scripts->was = x->scripts->text = BUF_INIT(SCRIPT_TEXT_MAX);
    }
    return x->scripts;
}

static void put(char **at, const char *z)
{
    char *old = *at;
    *at = z ? mem_dup_z(z) : NULL;
    free(old);
}

void scripts_free(struct ui *ui)
{
    struct scripts *s = ui_extra(ui)->scripts;
    if (!s)
        return;
    char **all[] = {&s->account, &s->name, &s->to, &s->gone, &s->edited, &s->path};
    for (size_t i = 0; i < COUNT(all); i++)
        put(all[i], NULL);
    buf_fini(&s->gone_text);
    buf_fini(&s->was);
    buf_fini(&s->text);
    free(s);
    ui_extra(ui)->scripts = NULL;
}

static void on_list(struct ui *ui, void *arg, struct script_answer *a)
{
    struct scripts *s = scripts_of(ui);
    struct buf title = BUF_INIT(200);
    struct str rest = buf_str(&a->text), name;
    char kind;
    (void)arg;
    if (!a->ok) {
        ui_note_err(ui, &a->err);
        return;
    }
    ui_note_past(ui, s->said);
    if (ui->popup.kind != POPUP_NONE && ui->popup.kind != POPUP_SCRIPTS)
        return; /* the user is elsewhere by now */
    buf_addf(&title, "scripts of %s · e edits · n new · a active · r renames · d deletes · q", s->account);
    unsigned cur = ui->popup.kind == POPUP_SCRIPTS ? ui->popup.cur : 0;
    ui_popup(ui, POPUP_SCRIPTS, buf_z(&title));
    while (script_next(&rest, &kind, &name)) {
        char *z = mem_dup_n(name.p, name.n);
        if (kind != '=')
            ui_popup_row(ui, kind == '+' ? "*" : " ", z);
        if (kind == '+')
            ui->popup.rows[ui->popup.n - 1].mail = true; /* the active one */
        free(z);
    }
    if (ui->popup.n == 0) {
        ui_popup_row(ui, "", "no script yet: n begins one");
        ui->popup.rows[0].unsent = true; /* stands for none */
    }
    ui->popup.cur = MIN(cur, ui->popup.n - 1);
    buf_fini(&title);
}

static void list_again(struct ui *ui)
{
    script_ask(ui, scripts_of(ui)->account, SIEVE_LIST, "", "", STR(""), on_list, NULL);
}

static bool has_scripts(const struct ui *ui, int account)
{
    const struct account *a = account >= 0 ? ui->accts.list[account].conf : NULL;
    return a && a->sieve.proto == PROTO_SIEVE;
}

const char *scripts_account(struct ui *ui, const char *name, struct err *err)
{
    const struct list_row *row = ui_row(ui);
    const struct list *l = ui_list(ui);
    int at = name                    ? accts_find(&ui->accts, str_z(name), false)
             : row && row->ref.id    ? (int)row->ref.account
             : l->source == LIST_BOX ? (int)l->account
                                     : -1;
    for (unsigned i = 0; !name && !has_scripts(ui, at) && i < ui->accts.n; i++)
        if (has_scripts(ui, (int)i) || at < 0)
            at = (int)i;
    const struct account *a = at >= 0 ? ui->accts.list[at].conf : NULL;
    if (!a)
        err_set(err, ERR_NO_ACCOUNT, "no account %s", name ? name : "");
    else if (a->sieve.proto != PROTO_SIEVE)
        err_set(err, ERR_CONFIG, "account %s has no server of scripts: set -a %s sieve sieve://HOST", a->name, a->name);
    else
        return a->name;
    return NULL;
}

bool run_sieve(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *account = scripts_account(ui, cmd_arg(args, 0), err);
    if (!account)
        return false;
    put(&scripts_of(ui)->account, account);
    ui_note(ui, NOTE_INFO, "asking %s for its scripts ...", account);
    scripts_of(ui)->said = ui->said;
    list_again(ui);
    return true;
}

/* ---- The editor --------------------------------------------------------------------------------- */
static void edit_end(struct ui *ui, bool keep_file)
{
    struct scripts *s = scripts_of(ui);
    if (s->path && !keep_file)
        unlink(s->path);
    put(&s->edited, NULL);
    put(&s->path, NULL);
}

static void on_line(struct ui *ui, void *arg, bool yes)
{
    struct scripts *s = scripts_of(ui);
    unsigned line = arg ? *(unsigned *)arg : 0;
    free(arg);
    if (!s->path)
        return;
    if (yes) {
        script_editor(ui, line);
    } else {
        ui_note(ui, NOTE_WARNING, "not on the server; your text is in %s", s->path);
        edit_end(ui, true);
        list_again(ui);
    }
}

static void on_put(struct ui *ui, void *arg, struct script_answer *a)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (!s->path)
        return;
    if (a->ok) {
        ui_note(ui, a->warned ? NOTE_WARNING : NOTE_INFO, "%s is on the server%s%.*s", s->edited,
                a->warned ? ", with warnings: " : "", STR_FMT(a->warned ? a->said : STR("")));
        edit_end(ui, false);
        list_again(ui);
    } else if (a->err.kind == ERR_SERVER_NO && a->said.n > 0) {
        unsigned *line = mem_new(sizeof *line);
        char *said = mem_dup_n(a->said.p, a->said.n), question[100];
        *line = sieve_error_line(a->said);
        snprintf(question, sizeof question,
                 *line ? "The server does not take it. Edit line %u?" : "The server does not take it. Edit it again?",
                 *line);
        ui_confirm(ui, question, said, on_line, line);
        free(said);
    } else {
        ui_note(ui, NOTE_ERROR, "not on the server: %s · your text is in %s, and sieve goes on with it", a->err.text,
                s->path);
        edit_end(ui, true);
    }
}

static void give(struct ui *ui)
{
    struct scripts *s = scripts_of(ui);
    ui_note(ui, NOTE_INFO, "giving %s to the server ...", s->edited);
    if (!script_ask(ui, s->account, SIEVE_PUT, s->edited, "", buf_str(&s->text), on_put, NULL))
        edit_end(ui, true);
}

static void on_replace(struct ui *ui, void *arg, bool yes)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (!s->path)
        return;
    if (yes) {
        give(ui);
    } else {
        ui_note(ui, NOTE_WARNING, "not on the server; your text is in %s", s->path);
        edit_end(ui, true);
        list_again(ui);
    }
}

/* Another program may have written it while the editor was open. */
static void on_look(struct ui *ui, void *arg, struct script_answer *a)
{
    struct scripts *s = scripts_of(ui);
    bool none = !a->ok && a->err.kind == ERR_NO_FILE;
    if (!s->path)
        return;
    if (!a->ok && !none)
        on_put(ui, arg, a);
    else if (none ? s->fresh : !s->fresh && script_same(buf_str(&a->text), buf_str(&s->was)))
        give(ui);
    else
        ui_confirm(ui,
                   none       ? "It is gone from the server meanwhile. Put yours there?"
                   : s->fresh ? "The server has a script of that name. Put yours in its place?"
                              : "It was changed on the server meanwhile. Put yours in its place?",
                   s->edited, on_replace, NULL);
}

static void on_edited(struct ui *ui, void *arg, int status, struct str output)
{
    struct scripts *s = scripts_of(ui);
    struct buf text = BUF_INIT(EDITED_MAX);
    struct err err = ERR_INIT;
    (void)arg, (void)output;
    if (!s->path)
        return;
    bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (!fs_read(s->path, EDITED_MAX, &text, &err)) {
        ui_note_err(ui, &err);
        edit_end(ui, true);
    } else if (failed) {
        ui_note(ui, NOTE_WARNING, "the editor failed: nothing is changed on the server; your text is in %s", s->path);
        edit_end(ui, true);
    } else if (text.n == 0 || (!s->fresh && str_eq(buf_str(&text), buf_str(&s->was)))) {
        ui_note(ui, NOTE_INFO, text.n ? "%s is as it was" : "%s: nothing was written", s->edited);
        edit_end(ui, false);
        list_again(ui);
    } else {
        buf_reset(&s->text);
        buf_adds(&s->text, buf_str(&text));
        if (!script_ask(ui, s->account, SIEVE_GET, s->edited, "", STR(""), on_look, NULL))
            edit_end(ui, true);
    }
    buf_fini(&text);
}

void script_editor(struct ui *ui, unsigned line)
{
    struct scripts *s = scripts_of(ui);
    const char *args[] = {s->path, NULL};
    struct buf command = BUF_INIT(8192);
    buf_addz(&command, compose_editor(ui));
    if (line)
        buf_addf(&command, " +%u", line);
    buf_addz(&command, " \"$1\"");
    if (!ui_tool(ui, TOOL_TERMINAL, buf_z(&command), args, -1, on_edited, NULL))
        edit_end(ui, true);
    buf_fini(&command);
}

/* ROOT/scripts/ACCOUNT.NAME.HASH.sieve: the same for the same script, so that it is found again; a dot of a name is _,
 * so that the account is all before the third from the end. */
static char *file_of(struct ui *ui, const struct scripts *s, struct err *err)
{
    char leaf[250];
    char *dir = path_join(ui->start.root, "scripts"), *path = NULL;
    size_t n = (size_t)snprintf(leaf, sizeof leaf, "%.60s.", s->account);
    for (const char *p = s->edited; *p && n < sizeof leaf - 30; p++)
        leaf[n++] =
            (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '-' ? *p : '_';
    snprintf(leaf + n, sizeof leaf - n, ".%04x.sieve", (unsigned)(str_hash(str_z(s->edited)) & 0xffff));
    if (fs_mkdir_private(dir, err))
        path = path_join(dir, leaf);
    free(dir);
    return path;
}

static void begin_edit(struct ui *ui, bool old)
{
    struct scripts *s = scripts_of(ui);
    struct err err = ERR_INIT;
    if (!old && !fs_write_atomic(s->path, 0600, buf_str(&s->was), &err)) {
        ui_note_err(ui, &err);
        edit_end(ui, true);
        return;
    }
    script_editor(ui, 0);
}

static void on_go_on(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (scripts_of(ui)->path)
        begin_edit(ui, yes);
}

/* s->edited and s->was are there. */
static void edit(struct ui *ui)
{
    struct scripts *s = scripts_of(ui);
    struct err err = ERR_INIT;
    char *path = file_of(ui, s, &err);
    put(&s->path, path);
    free(path);
    if (!s->path) {
        ui_note_err(ui, &err);
        put(&s->edited, NULL);
    } else if (access(s->path, F_OK) == 0) {
        ui_confirm(ui, "It was edited before and did not reach the server. Go on with that text?", s->path, on_go_on,
                   NULL);
    } else {
        begin_edit(ui, false);
    }
}

/* A script as the server has it, with CR LF, is edited with the line ends of this system, and goes back with them. */
static void take_lines(struct str raw, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < raw.n; i++)
        if (raw.p[i] != '\r' || i + 1 == raw.n || raw.p[i + 1] != '\n')
            buf_addc(out, raw.p[i]);
}

static void on_got(struct ui *ui, void *arg, struct script_answer *a)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (!a->ok) {
        ui_note_err(ui, &a->err);
        put(&s->edited, NULL);
        return;
    }
    take_lines(buf_str(&a->text), &s->was);
    s->fresh = false;
    if (s->edited)
        edit(ui);
}

static bool edits_already(struct ui *ui)
{
    bool yes = scripts_of(ui)->edited != NULL;
    if (yes)
        ui_note(ui, NOTE_WARNING, "another script is being edited");
    return yes;
}

static void on_new(struct ui *ui, void *arg, const char *text)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (!text || !*text || edits_already(ui))
        return;
    put(&s->edited, text);
    buf_reset(&s->was);
    s->fresh = true;
    edit(ui);
}

/* ---- Keys --------------------------------------------------------------------------------------- */
static void on_did(struct ui *ui, void *arg, struct script_answer *a)
{
    const char *what = arg; /* static */
    if (a->ok)
        ui_note(ui, NOTE_INFO, "%s: %s", scripts_of(ui)->account, what);
    else
        ui_note_err(ui, &a->err);
    list_again(ui);
}

static char did_renamed[] = "renamed", did_on[] = "the script is active", did_off[] = "no script is active",
            did_back[] = "it is back";

static void on_renamed(struct ui *ui, void *arg, const char *text)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (text && *text && s->name && strcmp(text, s->name) != 0)
        script_ask(ui, s->account, SIEVE_RENAME, s->name, text, STR(""), on_did, did_renamed);
    else
        list_again(ui);
}

static void on_deleted(struct ui *ui, void *arg, struct script_answer *a)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (a->ok)
        ui_note(ui, NOTE_INFO, "deleted %s · u here puts it back", s->gone);
    else
        ui_note_err(ui, &a->err);
    if (!a->ok)
        put(&s->gone, NULL);
    list_again(ui);
}

/* What is deleted is had first. */
static void on_had(struct ui *ui, void *arg, struct script_answer *a)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (!a->ok) {
        ui_note_err(ui, &a->err);
        return;
    }
    put(&s->gone, s->name);
    buf_reset(&s->gone_text);
    buf_adds(&s->gone_text, buf_str(&a->text));
    script_ask(ui, s->account, SIEVE_DELETE, s->gone, "", STR(""), on_deleted, NULL);
}

static void on_delete(struct ui *ui, void *arg, bool yes)
{
    struct scripts *s = scripts_of(ui);
    (void)arg;
    if (yes && s->name)
        script_ask(ui, s->account, SIEVE_GET, s->name, "", STR(""), on_had, NULL);
    else
        list_again(ui);
}

static void key_edit(struct ui *ui, const struct popup_row *row)
{
    struct scripts *s = scripts_of(ui);
    if (!row || edits_already(ui))
        return;
    put(&s->edited, row->right);
    if (!script_ask(ui, s->account, SIEVE_GET, s->edited, "", STR(""), on_got, NULL))
        put(&s->edited, NULL);
}

static void key_new(struct ui *ui, const struct popup_row *row)
{
    (void)row;
    ui_popup_close(ui);
    ui_ask(ui, "name of the new script: ", "", ARG_TEXT, false, NULL, on_new, NULL, NULL);
}

static void key_active(struct ui *ui, const struct popup_row *row)
{
    if (row)
        script_ask(ui, scripts_of(ui)->account, SIEVE_ACTIVATE, row->mail ? "" : row->right, "", STR(""), on_did,
                   row->mail ? did_off : did_on);
}

static void key_rename(struct ui *ui, const struct popup_row *row)
{
    if (!row)
        return;
    put(&scripts_of(ui)->name, row->right);
    ui_popup_close(ui);
    ui_ask(ui, "new name: ", scripts_of(ui)->name, ARG_TEXT, false, NULL, on_renamed, NULL, NULL);
}

static void key_delete(struct ui *ui, const struct popup_row *row)
{
    if (!row)
        return;
    put(&scripts_of(ui)->name, row->right);
    ui_confirm(ui, "Delete the script on the server?", scripts_of(ui)->name, on_delete, NULL);
}

static void key_undo(struct ui *ui, const struct popup_row *row)
{
    struct scripts *s = scripts_of(ui);
    (void)row;
    if (s->gone)
        script_ask(ui, s->account, SIEVE_PUT, s->gone, "", buf_str(&s->gone_text), on_did, did_back);
    else
        ui_note(ui, NOTE_INFO, "nothing was deleted here");
    put(&s->gone, NULL);
}

bool scripts_key(struct ui *ui, ckey key)
{
    static const struct {
        ckey key;
        void (*fn)(struct ui *, const struct popup_row *);
    } keys[] = {{'e', key_edit},   {K_ENTER, key_edit}, {'n', key_new}, {'a', key_active},
                {'r', key_rename}, {'d', key_delete},   {'u', key_undo}};
    struct popup *p = &ui->popup;
    if (ui_popup_move(ui, key))
        return true;
    ui->dirty = true;
    for (size_t i = 0; i < COUNT(keys); i++)
        if (keys[i].key == key) {
            keys[i].fn(ui, p->cur < p->n && !p->rows[p->cur].unsent ? &p->rows[p->cur] : NULL);
            return true;
        }
    if (key == '?')
        ui_note(ui, NOTE_INFO,
                "e or Enter edits · n new · a activates, or no longer · r renames · d deletes, u puts back · q closes");
    else
        ui_popup_close(ui);
    return true;
}
