/* Writing a mail: the draft is a file from the first moment, the editor edits that file, and the compose screen shows
 * what will go. What was typed is lost by nothing but an explicit discard. */
#include "ui/extra.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct compose {
    enum draft_kind kind;
    char *path;          /* ROOT/drafts/NAME */
    struct buf text;     /* as it stands in the file */
    struct arena *arena; /* of `draft` */
    struct draft draft;
    bool valid;          /* `draft` is of `text` */
    struct err problem;  /* where it is not */
    char *account;       /* who sends it */
    struct ref answers;  /* the mail that is answered or forwarded; id 0 none */
    struct ref replaces; /* the mail in Drafts that this one continues */
    bool replaced;       /* the store removes it */
    bool forwards;
    size_t top;
    struct helper *builder;
    bool saves; /* what is built goes to Drafts instead of the outbox */
    int built;  /* memory file with the finished message */
    bool busy;
};

static struct compose *composed(struct ui *ui)
{
    return ui_extra(ui)->compose;
}

void compose_free(struct compose **c)
{
    if (!*c)
        return;
    helper_end(&(*c)->builder);
    if ((*c)->built >= 0)
        close((*c)->built);
    free((*c)->path);
    free((*c)->account);
    buf_fini(&(*c)->text);
    arena_free(&(*c)->arena);
    free(*c);
    *c = NULL;
}

static void close_compose(struct ui *ui, bool remove_file)
{
    struct compose *c = composed(ui);
    if (c && remove_file)
        unlink(c->path);
    compose_free(&ui_extra(ui)->compose);
    ui->dirty = true;
}

/* ---- The file ----------------------------------------------------------------------------------- */
static void understand(struct ui *ui, struct compose *c)
{
    arena_free(&c->arena);
    c->arena = arena_new(64u << 20);
    c->problem = ERR_INIT;
    c->valid = draft_parse(buf_str(&c->text), ui->conf, c->arena, &c->draft, &c->problem);
    ui->dirty = true;
}

static bool save_file(struct ui *ui, struct compose *c)
{
    struct err err = ERR_INIT;
    bool ok = fs_write_atomic(c->path, 0600, buf_str(&c->text), &err);
    if (!ok)
        ui_note_err(ui, &err);
    return ok;
}

static bool read_file(struct ui *ui, struct compose *c)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(DRAFT_MAX);
    if (!fs_read(c->path, DRAFT_MAX, &text, &err)) {
        ui_note_err(ui, &err);
        buf_fini(&text);
        return false;
    }
    if (text.n == 0) { /* THREATS 154: an editor that leaves nothing does not take the draft along */
        ui_note(ui, NOTE_WARNING, "the editor left an empty file: the draft is as it was before");
        buf_fini(&text);
        save_file(ui, c);
        return false;
    }
    buf_fini(&c->text);
    c->text = text;
    understand(ui, c);
    return true;
}

static char *drafts_dir(struct ui *ui)
{
    struct err err = ERR_INIT;
    char *dir = path_join(ui->start.root, "drafts");
    if (!fs_mkdir_private(dir, &err)) {
        ui_note_err(ui, &err);
        free(dir);
        dir = NULL;
    }
    return dir;
}

char *compose_new_path(struct ui *ui)
{
    unsigned char r[6];
    char hex[13], name[64];
    char *dir = drafts_dir(ui);
    if (!dir)
        return NULL;
    fs_random(r, sizeof r);
    hex_encode(r, sizeof r, hex);
    snprintf(name, sizeof name, "%lld-%s.draft", (long long)clock_wall(), hex);
    char *path = path_join(dir, name);
    free(dir);
    return path;
}

/* ---- The editor --------------------------------------------------------------------------------- */
static const char *editor_of(const struct ui *ui)
{
    const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
    if (ui->conf->editor[0])
        return ui->conf->editor;
    return visual && visual[0] ? visual : editor && editor[0] ? editor : "vi";
}

static void on_edited(struct ui *ui, void *arg, int status, struct str output)
{
    struct compose *c = composed(ui);
    (void)arg, (void)output;
    if (!c)
        return;
    bool read = read_file(ui, c);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        ui_note(ui, NOTE_WARNING, "the editor ended with status %d; the draft is kept",
                WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    else if (read && !c->valid)
        ui_note_err(ui, &c->problem);
}

static void edit(struct ui *ui)
{
    struct compose *c = composed(ui);
    const char *args[] = {c->path, NULL};
    struct buf command = BUF_INIT(8192);
    buf_addf(&command, "%s \"$1\"", editor_of(ui));
    ui_tool(ui, TOOL_TERMINAL, buf_z(&command), args, -1, on_edited, NULL);
    buf_fini(&command);
}

/* ---- Beginning ---------------------------------------------------------------------------------- */
static const struct account *sender_for(struct ui *ui, const struct doc *doc, unsigned account)
{
    const struct account *here = account < ui->accts.n ? ui->accts.list[account].conf : NULL;
    if (!here && ui->conf->naccounts)
        here = &ui->conf->accounts[0];
    return draft_identity(ui->conf, doc, here);
}

static void signature_of(const struct account *a, struct buf *out)
{
    struct err err = ERR_INIT;
    if (a->signature_file[0]) {
        char *path = path_expand_home(a->signature_file);
        if (!fs_read(path, 65536, out, &err))
            log_msg(LOG_WARN, "signature: %s", err.text);
        free(path);
    } else {
        buf_addz(out, a->signature);
    }
}

static void show(struct ui *ui, struct compose *c)
{
    struct extra *x = ui_extra(ui);
    compose_free(&x->compose);
    x->compose = c;
    understand(ui, c);
}

static struct compose *fresh(struct ui *ui, enum draft_kind kind, const struct account *account)
{
    char *path = compose_new_path(ui);
    if (!path)
        return NULL;
    struct compose *c = mem_new(sizeof *c);
    *c = (struct compose){.kind = kind, .path = path, .built = -1, .account = mem_dup_z(account->name)};
    c->text.max = DRAFT_MAX;
    return c;
}

static bool can_begin(struct ui *ui)
{
    if (composed(ui)) {
        ui_note(ui, NOTE_WARNING, "a mail is being written: send, postpone or discard it first");
        return false;
    }
    if (!ui->conf->naccounts) {
        ui_note(ui, NOTE_ERROR, "no account is configured to send from");
        return false;
    }
    return true;
}

static void begin(struct ui *ui, enum draft_kind kind, struct ref original, const struct doc *doc,
                  const struct mailto *mailto, const char *const *attach)
{
    struct err err = ERR_INIT;
    struct buf signature = BUF_INIT(65536);
    const struct account *account = sender_for(ui, doc, original.id ? original.account : 0);
    struct compose *c = fresh(ui, kind, account);
    if (!c)
        return;
    if (kind != DRAFT_AGAIN)
        signature_of(account, &signature);
    if (kind == DRAFT_AGAIN)
        c->replaces = original;
    else
        c->answers = original;
    c->forwards = kind == DRAFT_FORWARD;
    if (!draft_template(kind, ui->conf, account, doc, mailto, buf_str(&signature), attach, &c->text, &err) ||
        !save_file(ui, c)) {
        if (err.kind != ERR_NONE)
            ui_note_err(ui, &err);
        compose_free(&c);
    } else {
        show(ui, c);
        edit(ui);
    }
    buf_fini(&signature);
}

bool run_compose(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *to = cmd_arg(args, 0);
    struct mailto mailto = {0};
    struct arena *arena = arena_new(1u << 20);
    bool ok = true;
    if (to && strncmp(to, "mailto:", 7) == 0) {
        ok = mailto_parse(str_z(to), arena, &mailto, err);
        if (ok && mailto.ignored)
            ui_note(ui, NOTE_WARNING, "%u fields of the link were left out (attachments, senders, unknown ones)",
                    mailto.ignored);
    } else if (to) {
        mailto.to = str_z(to);
    }
    if (ok && can_begin(ui))
        begin(ui, DRAFT_NEW, REF_NONE, NULL, &mailto, NULL);
    arena_free(&arena);
    return ok;
}

/* Answers wait for the message; what is asked next replaces it. */
struct answer {
    enum draft_kind kind;
    struct ref ref;
};

/* ---- Attachments of a mail that is forwarded or edited again: saved beside the draft, one after the other ---- */
struct carry {
    struct answer answer;
    struct doc *doc;
    struct helper *viewer;
    int fd;
    size_t next; /* item of the document */
    char *dir;
    char *paths[64];
    size_t n;
};

static void carry_end(struct ui *ui, struct carry *k)
{
    if (can_begin(ui))
        begin(ui, k->answer.kind, k->answer.ref, k->doc, NULL, k->n ? (const char *const *)k->paths : NULL);
    for (size_t i = 0; i < k->n; i++)
        free(k->paths[i]);
    free(k->dir);
    doc_free(&k->doc);
    helper_end(&k->viewer);
    if (k->fd >= 0)
        close(k->fd);
    free(k);
}

static void carry_next(struct ui *ui, struct carry *k);

/* The name comes from the mail, cleaned by `view` and again here: one component, in a directory of its own, because it
 * is also the name under which it is sent. NULL with *err. */
static char *carried_path(struct carry *k, const struct doc_item *part, struct err *err)
{
    struct buf name = BUF_INIT(255);
    char number[16];
    snprintf(number, sizeof number, "%zu", k->n + 1);
    char *dir = path_join(k->dir, number), *path = NULL;
    for (size_t i = 0; i < part->text.n && name.n < 200; i++)
        buf_addc(&name, part->text.p[i] == '/' || (unsigned char)part->text.p[i] < 0x20 ? '_' : part->text.p[i]);
    if (!part->text.n || part->text.p[0] == '.')
        buf_addz(&name, "part");
    if (fs_mkdir_private(dir, err))
        path = path_join(dir, buf_z(&name));
    buf_fini(&name);
    free(dir);
    return path;
}

static void on_carried(struct ui *ui, void *arg, int fd)
{
    struct carry *k = arg;
    struct err err = ERR_INIT;
    struct buf bytes = BUF_INIT(64u << 20);
    if (fd >= 0) {
        char *path = carried_path(k, doc_at(k->doc, k->next - 1), &err);
        if (path && fs_read_fd(fd, bytes.max, &bytes, &err) && fs_write_atomic(path, 0600, buf_str(&bytes), &err)) {
            k->paths[k->n++] = path;
        } else {
            ui_note_err(ui, &err);
            free(path);
        }
        close(fd);
    }
    buf_fini(&bytes);
    carry_next(ui, k);
}

static void carry_next(struct ui *ui, struct carry *k)
{
    while (k->next < doc_count(k->doc) && k->n + 1 < COUNT(k->paths)) {
        const struct doc_item *item = doc_at(k->doc, k->next++);
        if (item->kind == DOC_PART && (item->flags & DOC_PART_ATTACHMENT)) {
            ui_part(ui, k->viewer, item->number, false, on_carried, k);
            return;
        }
    }
    carry_end(ui, k);
}

static void on_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    struct answer a = *(struct answer *)arg;
    free(arg);
    if (!doc)
        return;
    struct carry *k = mem_new(sizeof *k);
    *k = (struct carry){.answer = a, .doc = doc, .viewer = viewer, .fd = fd};
    char *base = a.kind == DRAFT_FORWARD || a.kind == DRAFT_AGAIN ? compose_new_path(ui) : NULL;
    struct err err = ERR_INIT;
    if (base) {
        struct buf dir = BUF_INIT(4096);
        buf_addf(&dir, "%s.d", base);
        k->dir = buf_take(&dir, NULL);
        free(base);
        bool wanted = false;
        for (size_t i = 0; i < doc_count(doc); i++)
            wanted = wanted || (doc_at(doc, i)->kind == DOC_PART && (doc_at(doc, i)->flags & DOC_PART_ATTACHMENT));
        if (wanted && fs_mkdir_private(k->dir, &err)) {
            carry_next(ui, k);
            return;
        }
        if (err.kind != ERR_NONE)
            ui_note_err(ui, &err);
    }
    carry_end(ui, k);
}

static bool answer(struct ui *ui, enum draft_kind kind)
{
    const struct list_row *row = ui_row(ui);
    if (!row || !can_begin(ui))
        return true;
    struct answer *a = mem_new(sizeof *a);
    *a = (struct answer){kind, row->ref};
    /* An answer quotes the text; what goes on needs all of it. */
    ui_load(ui, row->ref, kind == DRAFT_FORWARD || kind == DRAFT_AGAIN ? "*" : "", 0, on_loaded, a);
    return true;
}

#define ANSWER(name, kind)                                                                                             \
    bool name(void *context, const struct cmd_args *args, struct err *err)                                             \
    {                                                                                                                  \
        (void)args, (void)err;                                                                                         \
        return answer(context, kind);                                                                                  \
    }
ANSWER(run_reply, DRAFT_REPLY)
ANSWER(run_reply_all, DRAFT_REPLY_ALL)
ANSWER(run_reply_list, DRAFT_REPLY_LIST)
ANSWER(run_forward, DRAFT_FORWARD)
ANSWER(run_edit_again, DRAFT_AGAIN)

/* ---- Building and sending ----------------------------------------------------------------------- */
static void idle(struct ui *ui, struct compose *c)
{
    helper_end(&c->builder);
    if (c->built >= 0)
        close(c->built);
    c->built = -1;
    c->busy = false;
    ui->dirty = true;
}

/* Is the older form in the mailbox where the new one goes? Then saving replaces it; a mail from elsewhere that was
 * edited again goes to the trash instead. */
static bool replaced_there(struct ui *ui, const struct compose *c)
{
    int account = accts_find(&ui->accts, str_z(c->account), false);
    struct msg_row row = {.id = 0};
    struct err err = ERR_INIT;
    if (!c->replaces.id || account < 0 || c->replaces.account != (unsigned)account)
        return false;
    const struct box_item *drafts = boxes_role(&ui->boxes, (unsigned)account, BOX_DRAFTS);
    struct reader *reader = ui->accts.list[account].reader;
    return drafts && reader && reader_row(reader, c->replaces.id, &row, &err) && row.id && row.box == drafts->id;
}

static void drop_replaced(struct ui *ui, const struct compose *c)
{
    if (c->replaces.id)
        ui_act_on(ui, &c->replaces, 1, &(struct action){.kind = INTENT_TRASH, .verb = "replaced", .hide = true}, true);
}

static void on_submitted(struct ui *ui, void *arg, const struct msg *m)
{
    struct compose *c = composed(ui);
    (void)arg;
    if (!c)
        return;
    if (!m || m->kind != MSG_SUBMITTED) {
        ui_note(ui, NOTE_ERROR, "not sent: %.*s; the draft is kept",
                STR_FMT(m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended")));
        idle(ui, c);
        return;
    }
    ui_extra(ui)->last_out = m->u.SUBMITTED.out;
    snprintf(ui_extra(ui)->last_out_account, sizeof ui_extra(ui)->last_out_account, "%s", c->account);
    int account = accts_find(&ui->accts, str_z(c->account), false);
    if (account >= 0 && ui->accts.list[account].offline)
        ui_note(ui, NOTE_INFO, "sent when %s is online \xc2\xb7 :unsend takes it back", c->account);
    else if (ui->conf->undo_send)
        ui_note(ui, NOTE_INFO, "sent in %u s \xc2\xb7 :unsend takes it back", ui->conf->undo_send);
    else
        ui_note(ui, NOTE_INFO, "in the outbox");
    drop_replaced(ui, c);
    bool kept = held_keep(ui, c->path, c->account, m->u.SUBMITTED.out);
    close_compose(ui, !kept);
}

static void on_saved(struct ui *ui, void *arg, const struct msg *m)
{
    struct compose *c = composed(ui);
    (void)arg;
    if (!c)
        return;
    if (!m || m->kind != MSG_INTENT_OK) {
        ui_note(ui, NOTE_WARNING, "not saved in Drafts: %.*s; the draft stays on this machine",
                STR_FMT(m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended")));
        idle(ui, c);
        return;
    }
    ui_note(ui, NOTE_INFO, "postponed in Drafts \xc2\xb7 R goes on with it");
    if (!c->replaced)
        drop_replaced(ui, c);
    close_compose(ui, true);
}

static void hand_over(struct ui *ui, struct compose *c)
{
    struct err err = ERR_INIT;
    struct buf rcpts = BUF_INIT(32768);
    int account = accts_find(&ui->accts, str_z(c->account), false);
    bool ok = ui_online(ui) && account >= 0 && lseek(c->built, 0, SEEK_SET) == 0;
    if (ok && c->saves) {
        const struct box_item *drafts = boxes_role(&ui->boxes, (unsigned)account, BOX_DRAFTS);
        if (!drafts) {
            ui_note(ui, NOTE_WARNING, "%s has no Drafts mailbox; the draft stays on this machine and R finds it",
                    c->account);
            close_compose(ui, false);
            return;
        }
        uint32_t req = ui_request(ui, on_saved, NULL);
        c->replaced = replaced_there(ui, c);
        ok = SEND(ui->client->chan, c->built, &err, SAVE, .req = req, .account = str_z(c->account), .box = drafts->id,
                  .flags = FLAG_DRAFT | FLAG_SEEN, .replaces = c->replaced ? c->replaces.id : 0);
    } else if (ok) {
        for (size_t i = 0; i < c->draft.nrcpts; i++)
            buf_addf(&rcpts, "%.*s\n", STR_FMT(c->draft.rcpts[i]));
        ok = !rcpts.full || err_set(&err, ERR_LIMIT, "too many recipients for one mail");
        bool same = c->answers.id && (int)c->answers.account == account;
        uint32_t req = ok ? ui_request(ui, on_submitted, NULL) : 0;
        ok = ok && SEND(ui->client->chan, c->built, &err, SUBMIT, .req = req, .account = str_z(c->account),
                        .sender = c->draft.sender, .rcpts = buf_str(&rcpts), .hold_s = ui->conf->undo_send,
                        .answers = same ? c->answers.id : 0, .forwards = c->forwards);
    }
    if (!ok) {
        if (err.kind != ERR_NONE)
            ui_note_err(ui, &err);
        idle(ui, c);
    }
    buf_fini(&rcpts);
}

static void on_built(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct compose *c = composed(ui);
    (void)arg, (void)h;
    if (m && m->fd >= 0)
        close(m->fd);
    if (!c || (m && m->kind != MSG_VIEW_DONE))
        return;
    if (!m || m->u.VIEW_DONE.kind != ERR_NONE) {
        ui_note(ui, NOTE_ERROR, "%.*s",
                STR_FMT(m ? m->u.VIEW_DONE.text : STR("the program that builds mails broke off; the draft is kept")));
        idle(ui, c);
        return;
    }
    helper_end(&c->builder);
    hand_over(ui, c);
}

static bool send_attachments(struct compose *c, struct err *err)
{
    for (size_t i = 0; i < c->draft.nattach; i++) {
        struct str name = attach_name(c->draft.attach[i]);
        int fd = attach_open(c->draft.attach[i], err);
        bool ok = fd >= 0 && SEND(helper_chan(c->builder), fd, err, BUILD_ATTACH, .req = 1, .name = name,
                                  .type = str_z(attach_type(name)));
        if (fd >= 0)
            close(fd);
        if (!ok)
            return false;
    }
    return true;
}

static void build(struct ui *ui, bool saves)
{
    struct compose *c = composed(ui);
    struct err err = ERR_INIT;
    int body = memfd_create("tuimail-draft", MFD_CLOEXEC);
    c->saves = saves;
    c->busy = true;
    c->built = memfd_create("tuimail-mail", MFD_CLOEXEC);
    c->builder = helper_view(ui, on_built, NULL);
    struct buf headers = BUF_INIT(49152);
    buf_adds(&headers, c->draft.headers);
    if (saves && c->draft.bcc.n)
        buf_addf(&headers, "Bcc: %.*s\n", STR_FMT(c->draft.bcc));
    bool ok = body >= 0 && c->built >= 0 && c->builder && !headers.full;
    if (!ok)
        err_set(&err, ERR_LIMIT,
                headers.full ? "the header is too large" : "no memory or no program to build the mail");
    ok = ok && fs_write_all(body, c->draft.body, &err) && lseek(body, 0, SEEK_SET) == 0;
    ok = ok && SEND(helper_chan(c->builder), body, &err, BUILD, .req = 1, .flags = saves ? BUILD_KEEP_BCC : 0,
                    .headers = buf_str(&headers));
    ok = ok && send_attachments(c, &err) && SEND(helper_chan(c->builder), c->built, &err, BUILD_END, .req = 1);
    if (body >= 0)
        close(body);
    buf_fini(&headers);
    if (!ok) {
        ui_note_err(ui, &err);
        idle(ui, c);
    }
}

static bool ready(struct ui *ui, bool to_send, struct err *err)
{
    struct compose *c = composed(ui);
    if (!c)
        return err_set(err, ERR_USAGE, "no mail is being written");
    if (c->busy) {
        ui_note(ui, NOTE_INFO, "it is already on its way");
        return false;
    }
    if (!c->valid) {
        *err = c->problem;
        return false;
    }
    return !to_send || draft_ready(&c->draft, err);
}

static void on_send_anyway(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (yes && composed(ui) && !composed(ui)->busy)
        build(ui, false);
}

bool run_send(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!ready(ui, true, err))
        return err->kind == ERR_NONE;
    const struct draft *d = &composed(ui)->draft;
    if (draft_misses_attachment(d))
        ui_confirm(ui, "Send without an attachment?", "the text speaks of one", on_send_anyway, NULL);
    else if (!d->subject.n)
        ui_confirm(ui, "Send without a subject?", "", on_send_anyway, NULL);
    else
        build(ui, false);
    return true;
}

bool run_postpone(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!ready(ui, false, err))
        return err->kind == ERR_NONE;
    build(ui, true);
    return true;
}

static void on_discard(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (yes) {
        close_compose(ui, true);
        ui_note(ui, NOTE_INFO, "discarded");
    }
}

bool run_discard(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!composed(ui))
        return err_set(err, ERR_USAGE, "no mail is being written");
    ui_confirm(ui, "Discard this mail?", "q postpones it instead", on_discard, NULL);
    return true;
}

bool run_edit(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    if (!ready(context, false, err) && err->kind == ERR_NONE)
        return true;
    if (!composed(context))
        return false;
    *err = ERR_INIT; /* a draft that cannot be read is what the editor is for */
    edit(context);
    return true;
}

/* ---- Header fields and attachments, by key ------------------------------------------------------ */
static void replace_text(struct ui *ui, struct compose *c, struct buf *text, bool ok)
{
    if (!ok) {
        ui_note(ui, NOTE_ERROR, "the draft is too large");
        buf_fini(text);
        return;
    }
    buf_fini(&c->text);
    c->text = *text;
    save_file(ui, c);
    understand(ui, c);
    if (!c->valid)
        ui_note_err(ui, &c->problem);
}

static void on_field(struct ui *ui, void *arg, const char *value)
{
    const char *name = arg;
    struct compose *c = composed(ui);
    struct buf text = BUF_INIT(DRAFT_MAX);
    if (value && c && !c->busy)
        replace_text(ui, c, &text,
                     draft_set(buf_str(&c->text), name, str_z(value), strcmp(name, "Attach") == 0, &text));
}

static bool set_field(struct ui *ui, char *name, struct str present, enum arg_kind kind, const char *value,
                      struct err *err)
{
    struct compose *c = composed(ui);
    char label[32];
    if (!c)
        return err_set(err, ERR_USAGE, "no mail is being written");
    if (value) {
        on_field(ui, name, value);
        return true;
    }
    snprintf(label, sizeof label, "%s: ", name);
    char *now = mem_dup_n(present.p, present.n);
    ui_ask(ui, label, c->valid ? now : "", kind, true, NULL, on_field, NULL, name);
    free(now);
    return true;
}

#define FIELD(function, name, member, kind)                                                                            \
    bool function(void *context, const struct cmd_args *args, struct err *err)                                         \
    {                                                                                                                  \
        static char field_name[] = name;                                                                               \
        struct compose *c = composed(context);                                                                         \
        return set_field(context, field_name, c ? c->draft.member : STR(""), kind, cmd_arg(args, 0), err);             \
    }
FIELD(run_set_to, "To", to, ARG_ADDRESS)
FIELD(run_set_cc, "Cc", cc, ARG_ADDRESS)
FIELD(run_set_bcc, "Bcc", bcc, ARG_ADDRESS)
FIELD(run_set_subject, "Subject", subject, ARG_TEXT)
FIELD(run_set_from, "From", from, ARG_ADDRESS)

bool run_attach(void *context, const struct cmd_args *args, struct err *err)
{
    static char name[] = "Attach";
    return set_field(context, name, STR(""), ARG_FILE, cmd_arg(args, 0), err);
}

bool run_detach(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct compose *c = composed(ui);
    uint32_t number = 0;
    if (!c || !c->valid || !c->draft.nattach)
        return err_set(err, ERR_USAGE, "there is no attachment");
    const char *word = cmd_arg(args, 0);
    if (word && (!str_u32(str_z(word), &number) || number == 0 || number > c->draft.nattach))
        return err_set(err, ERR_USAGE, "attachments are numbered 1 to %zu", c->draft.nattach);
    struct buf text = BUF_INIT(DRAFT_MAX);
    size_t i = number ? number - 1 : c->draft.nattach - 1;
    replace_text(ui, c, &text, draft_detach(buf_str(&c->text), i, &text));
    return true;
}

bool run_compose_down(void *context, const struct cmd_args *args, struct err *err)
{
    struct compose *c = composed(context);
    (void)args, (void)err;
    if (c)
        c->top += 10;
    ((struct ui *)context)->dirty = true;
    return true;
}

bool run_compose_up(void *context, const struct cmd_args *args, struct err *err)
{
    struct compose *c = composed(context);
    (void)args, (void)err;
    if (c)
        c->top -= MIN(c->top, (size_t)10);
    ((struct ui *)context)->dirty = true;
    return true;
}

/* ---- Recall ------------------------------------------------------------------------------------- */
/* The newest draft file of this machine; NULL where none is left. */
static char *newest_draft(struct ui *ui, unsigned *count_r)
{
    char *dir = drafts_dir(ui), best[256] = "";
    DIR *d = dir ? opendir(dir) : NULL;
    *count_r = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 7 || n > 200 || strcmp(e->d_name + n - 6, ".draft") != 0)
            continue;
        ++*count_r;
        if (strcmp(e->d_name, best) > 0)
            snprintf(best, sizeof best, "%s", e->d_name);
    }
    if (d)
        closedir(d);
    char *path = best[0] ? path_join(dir, best) : NULL;
    free(dir);
    return path;
}

static void answered_row(void *arg, const struct msg_row *row)
{
    *(uint64_t *)arg = row->id;
}

/* The mail that the draft answers, by its In-Reply-To: it is marked when the draft is sent. */
static void find_answered(struct ui *ui, struct compose *c)
{
    int at = accts_find(&ui->accts, str_z(c->account), false);
    struct reader *reader = at >= 0 ? ui->accts.list[at].reader : NULL;
    struct str msgid = str_trim(c->draft.in_reply_to);
    struct err err = ERR_INIT;
    if (msgid.n > 2 && msgid.p[0] == '<' && msgid.p[msgid.n - 1] == '>')
        msgid = str_sub(msgid, 1, msgid.n - 1);
    c->answers = (struct ref){.account = (unsigned)MAX(at, 0)};
    if (reader && msgid.n)
        reader_find_msgid(reader, msgid, answered_row, &c->answers.id, &err);
}

bool compose_reopen(struct ui *ui, char *path)
{
    if (!can_begin(ui)) {
        free(path);
        return false;
    }
    const struct account *account = &ui->conf->accounts[0];
    struct compose *c = mem_new(sizeof *c);
    *c = (struct compose){.kind = DRAFT_AGAIN, .path = path, .built = -1};
    c->text.max = DRAFT_MAX;
    c->account = mem_dup_z(account->name);
    show(ui, c);
    if (!read_file(ui, c)) {
        close_compose(ui, false);
        return false;
    }
    struct str sender = c->valid ? c->draft.sender : STR("");
    const struct account *owner = sender.n ? conf_account_owning(ui->conf, sender) : NULL;
    if (owner) {
        free(c->account);
        c->account = mem_dup_z(owner->name);
    }
    if (c->valid)
        find_answered(ui, c);
    return true;
}

bool run_recall(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    unsigned count;
    (void)args, (void)err;
    if (!can_begin(ui))
        return true;
    char *path = newest_draft(ui, &count);
    if (path) {
        compose_reopen(ui, path);
        return true;
    }
    const struct list_row *row = ui_row(ui);
    unsigned account = row ? row->ref.account : 0;
    const struct box_item *drafts = account < ui->accts.n ? boxes_role(&ui->boxes, account, BOX_DRAFTS) : NULL;
    const struct list *l = ui_list(ui);
    if (drafts && row && l->source == LIST_BOX && l->account == account && l->box == drafts->id)
        return answer(ui, DRAFT_AGAIN);
    if (!drafts) {
        ui_note(ui, NOTE_INFO, "there is no postponed mail");
        return true;
    }
    ui_show_box(ui, account, drafts->id);
    ui_note(ui, NOTE_INFO, "R on a draft goes on with it");
    return true;
}

void extra_start(struct ui *ui)
{
    unsigned count;
    held_start(ui);
    char *path = newest_draft(ui, &count);
    if (path)
        ui_note(ui, NOTE_WARNING, "%u unsent draft%s on this machine \xc2\xb7 R goes on with the newest", count,
                count == 1 ? "" : "s");
    free(path);
}

/* ---- The screen --------------------------------------------------------------------------------- */
static unsigned draw_field(struct ui *ui, struct rect r, unsigned y, const char *name, struct str value)
{
    char label[16];
    snprintf(label, sizeof label, "%-9s", name);
    extra_line(ui, r, y, 1, str_z(label), THING_HEADER_NAME);
    extra_line(ui, r, y, 10, value, THING_HEADER);
    return y + 1;
}

/* The name goes with the mail; where it lies matters for a file that the user named. */
static unsigned draw_attachment(struct ui *ui, struct rect r, unsigned y, struct str path)
{
    struct buf line = BUF_INIT(8192);
    struct str name = attach_name(path);
    buf_adds(&line, name);
    if (name.n < path.n && !memmem(path.p, path.n, ".draft.d/", 9))
        buf_addf(&line, "  in %.*s", STR_FMT(str_sub(path, 0, path.n - name.n)));
    y = draw_field(ui, r, y, "Attach", buf_str(&line));
    buf_fini(&line);
    return y;
}

void compose_draw(struct ui *ui, const struct compose *c, struct rect r)
{
    unsigned y = 0;
    char line[200];
    snprintf(line, sizeof line, " %s",
             c->busy ? "one moment ..."
                     : "y send  e edit  q postpone  X discard  a attach  D detach  t to  c cc  b bcc  s subject");
    grid_fill(&ui->grid, r, THING_NORMAL);
    extra_line(ui, r, y++, 0, str_z(line), THING_TITLE);
    if (!c->valid) {
        extra_line(ui, r, y++, 1, str_z(c->problem.text), THING_WARNING);
        extra_line(ui, r, y++, 1, STR("e opens the editor again; nothing is lost"), THING_NORMAL);
    } else {
        y = draw_field(ui, r, y, "From", c->draft.from);
        y = draw_field(ui, r, y, "To", c->draft.to);
        if (c->draft.cc.n)
            y = draw_field(ui, r, y, "Cc", c->draft.cc);
        if (c->draft.bcc.n)
            y = draw_field(ui, r, y, "Bcc", c->draft.bcc);
        y = draw_field(ui, r, y, "Subject", c->draft.subject);
        for (size_t i = 0; i < c->draft.nattach && y + 3 < r.rows; i++)
            y = draw_attachment(ui, r, y, c->draft.attach[i]);
    }
    if (y < r.rows)
        grid_hline(&ui->grid, r, y++, THING_RULE);
    struct str rest = c->valid ? c->draft.body : buf_str(&c->text), text;
    for (size_t i = 0; y < r.rows && str_split(&rest, '\n', &text); i++)
        if (i >= c->top)
            extra_line(ui, r, y++, 1, text, text.n && text.p[0] == '>' ? THING_QUOTE1 : THING_NORMAL);
}
