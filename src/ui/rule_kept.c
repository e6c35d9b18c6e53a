/* Rules that were kept, and their undo: one here is a line in the file of rules; one on the server is a script that
 * becomes what it was, where nobody has changed it since. */
#include "ui/sieve.h"

enum { KEPT_MAX = 16 };

struct kept {
    char *account;
    char *script;             /* NULL: it is kept here */
    bool made, activated;     /* as in struct kept_rule */
    struct buf before, after; /* the script; after: of one kept here, its line */
};
struct rules_kept {
    struct kept list[KEPT_MAX];
    unsigned n, at; /* those from `at` on were taken back */
    /* What is under way, at the server of the one before `at`, or of that at it (redo). */
    bool busy, redo;
    enum sieve_verb steps[4];
    unsigned next;
};

static void kept_fini(struct kept *k)
{
    free(k->account);
    free(k->script);
    buf_fini(&k->before);
    buf_fini(&k->after);
}

void rules_kept_free(struct ui *ui)
{
    struct rules_kept *log = ui_extra(ui)->rules;
    for (unsigned i = 0; log && i < log->n; i++)
        kept_fini(&log->list[i]);
    free(log);
    ui_extra(ui)->rules = NULL;
}

static struct rules_kept *log_of(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    if (!x->rules)
        x->rules = mem_new(sizeof *x->rules);
    return x->rules;
}

void rule_kept(struct ui *ui, const struct kept_rule *rule)
{
    struct rules_kept *log = log_of(ui);
    struct kept k = {.account = mem_dup_z(rule->account),
                     .script = mem_dup_z(rule->script),
                     .made = rule->made,
                     .activated = rule->activated,
                     .before = BUF_INIT(SCRIPT_TEXT_MAX),
                     .after = BUF_INIT(SCRIPT_TEXT_MAX)};
    buf_adds(&k.before, rule->before);
    buf_adds(&k.after, rule->after);
    while (log->n > log->at)
        kept_fini(&log->list[--log->n]);
    if (log->n == KEPT_MAX) {
        kept_fini(&log->list[0]);
        memmove(log->list, log->list + 1, --log->n * sizeof *log->list);
    }
    log->list[log->n++] = k;
    log->at = log->n;
    ui_undo_step(ui, UNDO_RULE, rule->deed);
}

/* ---- Here --------------------------------------------------------------------------------------- */
static void on_setting(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "it counts when tuimail starts again: %.*s", STR_FMT(m->u.REFUSED.text));
}

static bool change_here(struct ui *ui, const struct kept *k, bool redo, struct err *err)
{
    struct str line = buf_str(&k->after);
    bool ok = redo ? conf_rule_keep(ui->conf, line, err) : conf_rule_unkeep(ui->conf, line, err);
    ok = ok &&
         SEND(ui->client->chan, -1, err, SETTING, .req = ui_request(ui, on_setting, NULL), .line = line, .drop = !redo);
    if (ok)
        ui_note(ui, NOTE_INFO, redo ? "the rule is kept again" : "the rule is kept no more");
    return ok;
}

/* ---- On the server ------------------------------------------------------------------------------ */
bool script_same(struct str a, struct str b)
{
    size_t i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a.n && a.p[i] == '\r')
            i++;
        while (k < b.n && b.p[k] == '\r')
            k++;
        if (i >= a.n || k >= b.n)
            return i >= a.n && k >= b.n;
        if (a.p[i] != b.p[k])
            return false;
    }
}

static struct kept *under_way(struct rules_kept *log)
{
    return &log->list[log->at - !log->redo];
}

static void done(struct ui *ui, const struct err *why)
{
    struct rules_kept *log = log_of(ui);
    const struct kept *k = under_way(log);
    if (why->kind != ERR_NONE)
        ui_note_err(ui, why);
    else if (log->redo)
        ui_note(ui, NOTE_INFO, "the rule is in the script %s again", k->script);
    else
        ui_note(ui, NOTE_INFO, k->made ? "the script %s is gone again" : "the script %s is as it was", k->script);
    log->at = log->redo ? log->at + 1 : log->at - 1;
    log->busy = false;
}

/* Asks for the next of log->steps; with the last one it is done. */
static void step(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rules_kept *log = log_of(ui);
    const struct kept *k = under_way(log);
    struct err err = a->err;
    (void)arg;
    if (err.kind != ERR_NONE || log->next == COUNT(log->steps) || log->steps[log->next] == SIEVE_VERB_COUNT) {
        done(ui, &err);
        return;
    }
    enum sieve_verb verb = log->steps[log->next++];
    bool off = verb == SIEVE_ACTIVATE && !log->redo;
    struct str text = verb != SIEVE_PUT ? STR("") : log->redo ? buf_str(&k->after) : buf_str(&k->before);
    if (!script_ask(ui, k->account, verb, off ? "" : k->script, "", text, step, NULL)) {
        err_set(&err, ERR_CHANNEL, "the server was not asked");
        done(ui, &err);
    }
}

/* Only what nobody has changed since is changed back. */
static void on_text(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rules_kept *log = log_of(ui);
    const struct kept *k = under_way(log);
    if (a->err.kind == ERR_NONE && !script_same(buf_str(&a->text), buf_str(log->redo ? &k->before : &k->after)))
        err_set(&a->err, ERR_NOT_UNDOABLE, "the script %s has changed since and is left alone: sieve edits it",
                k->script);
    step(ui, arg, a);
}

static void on_list(struct ui *ui, void *arg, struct script_answer *a)
{
    struct rules_kept *log = log_of(ui);
    const struct kept *k = under_way(log);
    struct str rest = buf_str(&a->text), name;
    bool active = false, other = false, there = false;
    char kind;
    while (script_next(&rest, &kind, &name)) {
        bool ours = kind != '=' && str_eqz(name, k->script);
        there = there || ours;
        active = active || (ours && kind == '+');
        other = other || (!ours && kind == '+');
    }
    if (a->err.kind == ERR_NONE && log->redo && ((k->activated && other) || (k->made && there)))
        err_set(&a->err, ERR_NOT_UNDOABLE, "the scripts are others now: make the rule anew");
    unsigned n = 0;
    if (log->redo || !k->made)
        log->steps[n++] = SIEVE_PUT;
    if (k->activated && active != log->redo)
        log->steps[n++] = SIEVE_ACTIVATE;
    if (!log->redo && k->made)
        log->steps[n++] = SIEVE_DELETE;
    log->steps[n] = SIEVE_VERB_COUNT;
    log->next = 0;
    if (a->err.kind != ERR_NONE || (log->redo && k->made))
        step(ui, arg, a);
    else if (!script_ask(ui, k->account, SIEVE_GET, k->script, "", STR(""), on_text, NULL))
        done(ui, &(struct err){.kind = ERR_CHANNEL, .text = "the server was not asked"});
}

bool rule_undo(struct ui *ui, bool redo, struct err *err)
{
    struct rules_kept *log = log_of(ui);
    if (log->busy)
        return err_set(err, ERR_USAGE, "the server has not answered to the change of the rule before");
    if (redo ? log->at == log->n : log->at == 0)
        return true; /* forgotten: it was too long ago */
    log->redo = redo;
    const struct kept *k = under_way(log);
    if (!k->script) {
        bool ok = change_here(ui, k, redo, err);
        log->at = redo ? log->at + 1 : log->at - 1;
        return ok;
    }
    ui_note(ui, NOTE_INFO, "asking for the script %s ...", k->script);
    log->busy = script_ask(ui, k->account, SIEVE_LIST, "", "", STR(""), on_list, NULL);
    return true;
}
