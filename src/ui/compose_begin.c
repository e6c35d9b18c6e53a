/* How a mail comes to be written: a new one, an answer, one that is forwarded or edited again, a draft that goes on. */
#include "ui/compose.h"

#include <dirent.h>
#include <unistd.h>

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
        !compose_save(ui, c)) {
        if (err.kind != ERR_NONE)
            ui_note_err(ui, &err);
        compose_free(&c);
    } else if (compose_show(ui, c)) {
        compose_edit(ui);
    }
    buf_fini(&signature);
}

static void on_subject(struct ui *ui, void *arg, const char *subject)
{
    char *to = arg;
    if (subject)
        begin(ui, DRAFT_NEW, REF_NONE, NULL, &(struct mailto){.to = str_trim(str_z(to)), .subject = str_z(subject)},
              NULL);
    free(to);
}

static void on_to(struct ui *ui, void *arg, const char *to)
{
    (void)arg;
    if (to)
        ui_ask(ui, "Subject: ", "", ARG_TEXT, false, NULL, on_subject, NULL, mem_dup_z(to));
}

bool run_compose(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *to = cmd_arg(args, 0);
    struct mailto mailto = {0};
    struct arena *arena = arena_new(1u << 20);
    bool ok = true;
    if (!to && ui->conf->ask_headers && can_begin(ui)) {
        ui_ask(ui, "To: ", "", ARG_ADDRESS, true, NULL, on_to, NULL, NULL);
        arena_free(&arena);
        return true;
    }
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
    if (!row || !can_begin(ui) || (kind == DRAFT_AGAIN && compose_open_again(ui, row->ref)))
        return true;
    struct answer *a = mem_new(sizeof *a);
    *a = (struct answer){kind, row->ref};
    /* An answer quotes the text; what goes on needs all of it. */
    ui_load(ui, row->ref, kind == DRAFT_FORWARD || kind == DRAFT_AGAIN ? "*" : "", 0, on_loaded, a);
    ui_load_opens(ui, LOAD_EDITOR);
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

/* ---- Recall ------------------------------------------------------------------------------------- */
/* The newest draft file of this machine that is not being written; NULL where none is left. */
static char *newest_draft(struct ui *ui, unsigned *count_r)
{
    char *dir = compose_dir(ui), best[256] = "";
    DIR *d = dir ? opendir(dir) : NULL;
    *count_r = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 7 || n > 200 || strcmp(e->d_name + n - 6, ".draft") != 0)
            continue;
        char *path = path_join(dir, e->d_name);
        bool open = compose_is_open(ui, path);
        free(path);
        *count_r += !open;
        if (!open && strcmp(e->d_name, best) > 0)
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
    if (!compose_show(ui, c))
        return false;
    if (!compose_read(ui, c)) {
        compose_close(ui, false);
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

/* The Drafts of the account the user is in, else of one of the others that has some. */
static const struct box_item *drafts_of(struct ui *ui, unsigned first)
{
    struct err err = ERR_INIT;
    boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
    for (unsigned i = 0; i < ui->accts.n; i++) {
        const struct box_item *drafts = boxes_role(&ui->boxes, (first + i) % ui->accts.n, BOX_DRAFTS);
        if (drafts && drafts->total)
            return drafts;
    }
    return NULL;
}

/* Seconds: its name begins with them. */
static int64_t begun_at(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strtoll(slash ? slash + 1 : path, NULL, 10);
}

bool run_recall(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    unsigned count;
    (void)args;
    if (ui->session)
        return run_resume(context, args, err);
    if (!can_begin(ui))
        return true;
    const struct list_row *row = ui_row(ui);
    unsigned account = row ? row->ref.account : 0;
    const struct box_item *drafts = account < ui->accts.n ? boxes_role(&ui->boxes, account, BOX_DRAFTS) : NULL;
    if (drafts && row && row->box == drafts->id)
        return answer(ui, DRAFT_AGAIN);
    if (held_recall(ui, err) || err->kind != ERR_NONE)
        return err->kind == ERR_NONE;
    char *path = newest_draft(ui, &count);
    struct extra *x = ui_extra(ui);
    bool later = path && x->postponed >= begun_at(path);
    drafts = !path || later ? drafts_of(ui, x->postponed ? x->postponed_account : account) : NULL;
    x->postponed = 0;
    if (path && !drafts) {
        compose_reopen(ui, path);
        return true;
    }
    free(path);
    if (!drafts) {
        ui_note(ui, NOTE_INFO, "there is no postponed mail");
        return true;
    }
    ui_show_box(ui, drafts->account, drafts->id);
    if (count)
        ui_note(ui, NOTE_INFO, "%s on a draft goes on with it \xc2\xb7 %u unsent on this machine, too",
                ui_key_of(ui, "recall"), count);
    else
        ui_note(ui, NOTE_INFO, "%s on a draft goes on with it", ui_key_of(ui, "recall"));
    return true;
}

void extra_start(struct ui *ui)
{
    unsigned count;
    held_start(ui);
    if (ui_session_offer(ui))
        return;
    char *path = newest_draft(ui, &count);
    if (path)
        ui_note(ui, NOTE_WARNING, "%u unsent draft%s on this machine \xc2\xb7 %s goes on with the newest", count,
                count == 1 ? "" : "s", ui_key_of(ui, "recall"));
    free(path);
}
