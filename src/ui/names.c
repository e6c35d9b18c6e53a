/* Names for completion: mailboxes, tags, addresses, accounts, keys; each with what it is. */
#include "client/book.h"
#include "ui/extra.h"

struct emitting {
    cmd_emit_fn *emit;
    void *arg;
    const char *sign; /* before a tag: "+", "-" or "" */
    const char *help;
};

static void emit_address(const struct emitting *e, struct str name, struct str addr)
{
    struct buf word = BUF_INIT(800), help = BUF_INIT(400);
    text_from_bytes(addr, TEXT_FOLD_SPACE, &word);
    text_from_bytes(name, TEXT_FOLD_SPACE, &help);
    e->emit(e->arg, buf_z(&word), buf_z(&help));
    buf_fini(&word);
    buf_fini(&help);
}

static void add_met(void *arg, const struct address_row *row)
{
    founds_add(arg, row->name, row->addr, row->rank);
}

/* Met in mail, the likeliest first; then those of files and of the query command. */
static void emit_addresses(struct ui *ui, const struct emitting *e, struct str prefix)
{
    struct founds all = {.n = 0};
    struct err err = ERR_INIT;
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (ui->accts.list[a].reader)
            reader_addresses(ui->accts.list[a].reader, prefix, 50, add_met, &all, &err);
    query_addresses(ui, prefix, &all);
    founds_sort(&all);
    for (size_t i = 0; i < all.n; i++)
        emit_address(e, str_z(all.list[i].name), str_z(all.list[i].addr));
    founds_free(&all);
}

/* Those in a blank-separated list, with a sign before each in "+x -y". */
static void emit_tag_words(struct emitting *e, struct str words)
{
    struct str word;
    while (words.n && str_split(&words, ' ', &word)) {
        struct buf tag = BUF_INIT(400);
        if (word.n && (word.p[0] == '+' || word.p[0] == '-'))
            word = str_sub(word, 1, word.n);
        if (word.n) {
            buf_addz(&tag, e->sign);
            text_from_bytes(word, TEXT_FOLD_SPACE, &tag);
            e->emit(e->arg, buf_z(&tag), e->help);
        }
        buf_fini(&tag);
    }
}

static void emit_known(void *arg, struct str tag, uint32_t count)
{
    struct emitting *e = arg;
    char help[40];
    snprintf(help, sizeof help, "%u message%s", count, count == 1 ? "" : "s");
    e->help = help;
    emit_tag_words(e, tag);
    e->help = "";
}

/* What is on this message, all that are known with how many have them, and those of rules. */
static void emit_tags(struct ui *ui, struct emitting e, struct str typed, bool signs)
{
    static const struct cmd_word usual[] = {
        {"unread", "not read yet"},    {"flagged", "flagged"},  {"inbox", "in an inbox"},
        {"attachment", "has a file"},  {"replied", "answered"}, {"signed", "is signed"},
        {"encrypted", "is encrypted"},
    };
    const struct list *l = ui_list(ui);
    const struct list_row *row = ui_row(ui);
    struct buf tags = BUF_INIT(4096);
    struct err err = ERR_INIT;
    bool takes = typed.n && typed.p[0] == '-';
    e.sign = !signs ? "" : takes ? "-" : "+";
    e.help = "on this message";
    struct reader *reader = row && row->ref.id ? ui->accts.list[row->ref.account].reader : NULL;
    if (reader && reader_tags(reader, row->ref.id, &tags, &err))
        emit_tag_words(&e, buf_str(&tags));
    ui_tag_names(ui, emit_known, &e);
    e.help = "in this list"; /* hits of another program's database among them */
    for (unsigned i = 0; i < l->n; i++)
        emit_tag_words(&e, l->rows[i].tags);
    e.help = "of a rule";
    for (size_t i = 0; i < ui->conf->nrules; i++)
        emit_tag_words(&e, str_z(ui->conf->rules[i].tags));
    for (size_t i = 0; i < COUNT(usual); i++) {
        e.help = usual[i].help;
        emit_tag_words(&e, str_z(usual[i].name));
    }
    buf_fini(&tags);
}

static void emit_boxes(struct ui *ui, const struct emitting *e, struct str typed)
{
    static const char *const roles[BOX_ROLE_COUNT] = {
        [BOX_INBOX] = "inbox",   [BOX_ARCHIVE] = "archive",      [BOX_SENT] = "sent mail",
        [BOX_DRAFTS] = "drafts", [BOX_TRASH] = "trash",          [BOX_JUNK] = "spam",
        [BOX_ALL] = "all mail",  [BOX_FLAGGED] = "flagged mail", [BOX_OUTBOX] = "outbox",
    };
    for (unsigned i = 0; i < ui->boxes.n; i++) {
        const struct box_item *item = &ui->boxes.list[i];
        struct buf help = BUF_INIT(400), full = BUF_INIT(1200);
        if (item->kind != BOXK_BOX)
            continue;
        const char *account = ui->accts.list[item->account].name;
        const char *role = item->role < COUNT(roles) && roles[item->role] ? roles[item->role] : "";
        if (item->unread)
            buf_addf(&help, "%u unread of ", item->unread);
        buf_addf(&help, "%u · %s%s%s", item->total, account, *role ? " · " : "", role);
        e->emit(e->arg, item->path, buf_z(&help));
        buf_addf(&full, "%s/%s", account, item->path);
        if (str_starts(typed, str_z(account))) /* of that account, where several have the name */
            e->emit(e->arg, buf_z(&full), buf_z(&help));
        buf_fini(&help);
        buf_fini(&full);
    }
}

static void emit_key(void *arg, const struct binding *b)
{
    struct emitting *e = arg;
    struct buf keys = BUF_INIT(200);
    keys_format(b->keys, b->n, &keys);
    e->emit(e->arg, buf_z(&keys), *b->macro ? b->macro : b->command);
    buf_fini(&keys);
}

/* What is bound in the context that stands before on the line. */
static void emit_keys(struct ui *ui, struct emitting e)
{
    enum cmd_context context = ui_pane(ui), named;
    struct str rest = {ui->prompt.edit.p, ui->prompt.edit.at}, word;
    while (rest.n && str_split(&rest, ' ', &word)) {
        struct str first;
        if (!str_split(&word, ',', &first))
            continue;
        char *name = mem_dup_n(first.n ? first.p : "", first.n);
        if (cmd_context_find(name, &named))
            context = named;
        free(name);
    }
    ui_place_keys(ui);
    keymap_each(ui->keymap, context, NULL, 0, emit_key, &e);
}

void ui_names(void *context, enum arg_kind kind, struct str prefix, cmd_emit_fn *emit, void *arg)
{
    struct ui *ui = context;
    struct emitting e = {emit, arg, "", ""};
    switch (kind) {
    case ARG_MAILBOX:
        emit_boxes(ui, &e, prefix);
        break;
    case ARG_TAG:
    case ARG_TAGS:
        emit_tags(ui, e, prefix, kind == ARG_TAGS);
        break;
    case ARG_ADDRESS:
        emit_addresses(ui, &e, prefix);
        break;
    case ARG_KEYS:
        emit_keys(ui, e);
        break;
    default:
        break;
    }
}
