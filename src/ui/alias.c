/* Short names for addresses: a line each in the file of option alias-file, in the language of tuimailrc. */
#include "ui/extra.h"

#include <unistd.h>

enum { CHANGES_MAX = 64 };

struct alias_log {
    struct alias_change {
        char *name, *was, *now; /* was NULL: there was none */
    } list[CHANGES_MAX];
    unsigned n, at; /* those from `at` on were taken back */
    char *name;     /* whose address is asked for */
};

static struct alias_log *log_of(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    if (!x->aliases)
        x->aliases = mem_new(sizeof *x->aliases);
    return x->aliases;
}

static void change_free(struct alias_change *c)
{
    free(c->name);
    free(c->was);
    free(c->now);
}

void alias_free(struct ui *ui)
{
    struct alias_log *log = ui_extra(ui)->aliases;
    for (unsigned i = 0; log && i < log->n; i++)
        change_free(&log->list[i]);
    if (log)
        free(log->name);
    free(log);
    ui_extra(ui)->aliases = NULL;
}

/* ---- the file ----------------------------------------------------------------------------------- */
static bool is_of(struct str physical, const char *name)
{
    struct err err = ERR_INIT;
    struct line line;
    unsigned number = 1;
    bool is = false;
    if (line_next(&physical, NULL, &number, &line, &err) == 1) {
        is = line.n > 1 && !strcmp(line.words[0], "alias") && !strcmp(line.words[1], name);
        line_fini(&line);
    }
    return is;
}

static void alias_line(const char *name, const char *value, struct buf *out)
{
    buf_addz(out, "alias ");
    line_quote(str_z(name), out);
    buf_addc(out, ' ');
    line_quote(str_z(value), out);
    buf_addc(out, '\n');
}

/* All other lines stay as they are. value NULL: it goes. */
static bool file_write(const char *path, const char *name, const char *value, struct err *err)
{
    struct buf was = BUF_INIT(CONF_MAX_BYTES), now = BUF_INIT(CONF_MAX_BYTES);
    bool ok = access(path, F_OK) != 0 || fs_read(path, CONF_MAX_BYTES - 1, &was, err);
    struct str rest = buf_str(&was), line;
    bool put = false;
    while (ok && rest.n && str_split(&rest, '\n', &line)) {
        if (!is_of(line, name)) {
            buf_adds(&now, line);
            buf_addc(&now, '\n');
        } else if (value && !put) {
            alias_line(name, value, &now);
            put = true;
        }
    }
    if (ok && value && !put)
        alias_line(name, value, &now);
    char *dir = mem_dup_z(path), *slash = strrchr(dir, '/');
    if (slash && slash != dir) {
        *slash = 0;
        ok = ok && (access(dir, F_OK) == 0 || fs_mkdir_private(dir, err));
    }
    ok = ok && (!now.full || err_set(err, ERR_LIMIT, "%s is too long", path)) &&
         fs_write_atomic(path, 0600, buf_str(&now), err);
    free(dir);
    buf_fini(&was);
    buf_fini(&now);
    return ok;
}

static bool apply(struct ui *ui, const char *name, const char *value, struct err *err)
{
    char *path = conf_alias_file(ui->conf, err);
    bool ok = path && conf_alias_set(ui->conf, name, value, err) && file_write(path, name, value, err);
    free(path);
    return ok;
}

/* ---- adding ------------------------------------------------------------------------------------- */
static const char *value_of(const struct ui *ui, const char *name)
{
    for (size_t i = 0; i < ui->conf->naliases; i++)
        if (!strcmp(ui->conf->aliases[i].name, name))
            return ui->conf->aliases[i].value;
    return NULL;
}

static bool set(struct ui *ui, const char *name, const char *value, struct err *err)
{
    struct alias_log *log = log_of(ui);
    const char *was = value_of(ui, name);
    struct alias_change c = {mem_dup_z(name), was ? mem_dup_z(was) : NULL, mem_dup_z(value)};
    if (!apply(ui, name, value, err)) {
        change_free(&c);
        return false;
    }
    while (log->n > log->at)
        change_free(&log->list[--log->n]);
    if (log->n == CHANGES_MAX) {
        change_free(&log->list[0]);
        memmove(log->list, log->list + 1, --log->n * sizeof *log->list);
    }
    log->list[log->n++] = c;
    log->at = log->n;
    ui_undo_step(ui, UNDO_ALIAS, 0);
    ui_note(ui, NOTE_INFO, "%s is %s · %s undo", name, value, ui_key_of(ui, "undo"));
    return true;
}

void alias_undo(struct ui *ui, bool redo)
{
    struct alias_log *log = log_of(ui);
    struct err err = ERR_INIT;
    if (redo ? log->at == log->n : log->at == 0) {
        ui_note(ui, NOTE_WARNING, redo ? "nothing to redo" : "nothing to undo");
        return;
    }
    const struct alias_change *c = &log->list[redo ? log->at++ : --log->at];
    const char *value = redo ? c->now : c->was;
    if (!apply(ui, c->name, value, &err))
        ui_note_err(ui, &err);
    else if (value)
        ui_note(ui, NOTE_INFO, "%s is %s again", c->name, value);
    else
        ui_note(ui, NOTE_INFO, "%s is no alias any more", c->name);
}

/* Whose mail it is; in lists of sent mail, to whom. Mail writes it: cleaned, and quoted where it has to be. */
static void address_of(struct ui *ui, struct buf *out)
{
    const struct list_row *row = ui_row(ui);
    struct buf name = BUF_INIT(1000);
    if (!row)
        return;
    if (ui_list(ui)->outgoing) {
        text_from_bytes(row->to, TEXT_FOLD_SPACE, out);
        return;
    }
    text_from_bytes(row->from_name, TEXT_FOLD_SPACE, &name);
    bool plain = name.n > 0;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        plain = plain && (c >= 0x80 || c == ' ' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'));
    }
    if (name.n && !plain)
        buf_addc(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"' || name.p[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, name.p[i]);
    }
    buf_addz(out, name.n ? plain ? " <" : "\" <" : "");
    text_from_bytes(row->from_addr, TEXT_FOLD_SPACE, out);
    buf_addz(out, name.n ? ">" : "");
    buf_fini(&name);
}

/* What stands before the @, as far as it is plain. */
static void nick_of(struct ui *ui, struct buf *out)
{
    const struct list_row *row = ui_row(ui);
    struct str addr = row && !ui_list(ui)->outgoing ? row->from_addr : (struct str){"", 0};
    for (size_t i = 0; i < addr.n && out->n < 30 && addr.p[i] != '@' && addr.p[i] != '+'; i++) {
        char c = addr.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_')
            buf_addc(out, c);
        else if (c >= 'A' && c <= 'Z')
            buf_addc(out, (char)(c | 32));
    }
}

static void address_typed(struct ui *ui, void *arg, const char *text)
{
    struct err err = ERR_INIT;
    (void)arg;
    if (text && *text && !set(ui, log_of(ui)->name, text, &err))
        ui_note_err(ui, &err);
}

static void name_typed(struct ui *ui, void *arg, const char *text)
{
    struct buf address = BUF_INIT(3000), label = BUF_INIT(100);
    struct alias_log *log = log_of(ui);
    (void)arg;
    if (!text || !*text)
        return;
    free(log->name);
    log->name = mem_dup_z(text);
    address_of(ui, &address);
    buf_addf(&label, "%.60s is: ", text);
    ui_ask(ui, buf_z(&label), buf_z(&address), ARG_ADDRESS, true, NULL, address_typed, NULL, NULL);
    buf_fini(&address);
    buf_fini(&label);
}

bool run_add_alias(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct buf nick = BUF_INIT(100);
    if (args->n > 1)
        return set(ui, cmd_arg(args, 0), cmd_arg(args, 1), err);
    if (args->n == 1) {
        name_typed(ui, NULL, cmd_arg(args, 0));
        return true;
    }
    nick_of(ui, &nick);
    ui_ask(ui, "alias: ", buf_z(&nick), ARG_WORD, false, NULL, name_typed, NULL, NULL);
    buf_fini(&nick);
    return true;
}
