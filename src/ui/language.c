/* Queries on the screen: what is wrong with one that is typed, what it comes to, and its words in what is shown. */
#include "ui/private.h"

#include "mail/tag.h"
#include "query/query.h"
#include "ui/bidi.h"

/* ---- what is here ---- */
static bool box_role(struct str name, uint8_t *role_r)
{
    static const struct {
        const char *name;
        uint8_t role;
    } roles[] = {{"inbox", BOX_INBOX}, {"archive", BOX_ARCHIVE}, {"drafts", BOX_DRAFTS},
                 {"sent", BOX_SENT},   {"trash", BOX_TRASH},     {"junk", BOX_JUNK},
                 {"spam", BOX_JUNK},   {"all", BOX_ALL},         {"flagged", BOX_FLAGGED}};
    for (size_t i = 0; i < COUNT(roles); i++)
        if (str_case_eqz(name, roles[i].name)) {
            *role_r = roles[i].role;
            return true;
        }
    return false;
}

/* As the program search finds them: of each account the one of the role, else the one of the name. */
static bool boxes_named(const struct ui *ui, struct str name, struct buf *out)
{
    uint8_t role;
    bool any = false, by_role = box_role(name, &role);
    for (unsigned i = 0; i < ui->boxes.n; i++) {
        const struct box_item *item = &ui->boxes.list[i];
        struct buf full = BUF_INIT(1200);
        if (item->kind != BOXK_BOX)
            continue;
        buf_addf(&full, "%s/%s", ui->accts.list[item->account].name, item->path);
        if ((by_role && item->role == role) || str_eqz(name, item->path) || str_eq(name, buf_str(&full))) {
            if (out)
                buf_addf(out, "%s%s", any ? ", " : "", buf_z(&full));
            any = true;
        }
        buf_fini(&full);
    }
    return any;
}

/* Does a mailbox of the pane, or a role, begin so? */
static bool box_begins(const struct ui *ui, struct str name)
{
    static const char *const roles[] = {"inbox", "archive", "drafts", "sent",   "trash",
                                        "junk",  "spam",    "all",    "flagged"};
    bool any = false;
    for (size_t i = 0; i < COUNT(roles) && !any; i++)
        any = str_case_starts(str_z(roles[i]), name);
    for (unsigned i = 0; i < ui->boxes.n && !any; i++) {
        const struct box_item *item = &ui->boxes.list[i];
        struct buf full = BUF_INIT(1200);
        if (item->kind == BOXK_BOX)
            buf_addf(&full, "%s/%s", ui->accts.list[item->account].name, item->path);
        any = item->kind == BOXK_BOX && (str_starts(str_z(item->path), name) || str_starts(buf_str(&full), name));
        buf_fini(&full);
    }
    return any;
}

static bool box_known(void *arg, struct str name, bool begins)
{
    return boxes_named(arg, name, NULL) || (begins && box_begins(arg, name));
}

static bool tag_is_word(struct str tag, struct str name, bool begins)
{
    return begins ? str_starts(tag, name) : str_eq(tag, name);
}

/* What the index makes itself, what any message has, what a rule gives. */
static bool tag_known(void *arg, struct str name, bool begins)
{
    static const char *const made[] = {"unread",    "flagged", "replied", "passed", "draft",   "attachment", "signed",
                                       "encrypted", "inbox",   "archive", "sent",   "deleted", "spam"};
    struct ui *ui = arg;
    struct buf word = BUF_INIT(1000);
    bool known = ui->conf->index_database[0]; /* its tags are another program's */
    tag_to_word(name, &word);
    for (size_t i = 0; i < COUNT(made) && !known; i++)
        known = tag_is_word(str_z(made[i]), buf_str(&word), begins);
    for (unsigned i = 0; i < ui->accts.n && !known; i++) {
        struct err ignored = ERR_INIT;
        struct reader *reader = ui->accts.list[i].reader;
        known = !reader || tag_is_word(str_z(ui->accts.list[i].name), buf_str(&word), begins) ||
                !reader_tag_used(reader, buf_str(&word), begins, &known, &ignored) || known;
    }
    for (size_t i = 0; i < ui->conf->nrules && !known; i++)
        for (struct str rest = str_z(ui->conf->rules[i].tags), one; !known && str_split(&rest, ' ', &one);)
            known = one.n > 1 && tag_is_word(str_sub(one, one.p[0] == '+', one.n), buf_str(&word), begins);
    buf_fini(&word);
    return known;
}

/* What people know them by: the places of the index are of no use to them. */
static bool box_words(void *arg, struct str name, struct buf *out, struct err *err)
{
    struct buf names = BUF_INIT(4096);
    bool any = boxes_named(arg, name, &names);
    buf_addf(out, "in:[%s]", buf_z(&names));
    buf_fini(&names);
    return any || err_set(err, ERR_QUERY, "no such mailbox");
}

static bool account_known(void *arg, struct str name)
{
    struct ui *ui = arg;
    return accts_find(&ui->accts, name, false) >= 0;
}

static bool saved(void *arg, struct str name, struct buf *out)
{
    const struct saved *s = conf_saved(((struct ui *)arg)->conf, name);
    return s && query_of_saved(s->query, s->account, out);
}

static bool field_known(void *arg, struct str name)
{
    struct buf fields = BUF_INIT(16384);
    bool is = false;
    conf_query_headers(((struct ui *)arg)->conf, &fields);
    struct str rest = buf_str(&fields), one;
    while (!is && str_split(&rest, '\n', &one))
        is = one.n && str_case_eq(one, name);
    buf_fini(&fields);
    return is;
}

static struct query_world world_of(struct ui *ui)
{
    return (struct query_world){.arg = ui,
                                .box = box_words,
                                .box_known = box_known,
                                .tag_known = tag_known,
                                .field_known = field_known,
                                .saved = saved,
                                .account_known = account_known};
}

/* ---- the prompt ---- */
static bool asks_query(const struct prompt *p)
{
    return p->kind == PROMPT_ASK && p->complete == ARG_QUERY;
}

void ui_query_typed(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    const struct query_world world = world_of(ui);
    struct str typed = {p->edit.p, p->edit.n};
    struct buf asked = BUF_INIT(QUERY_MAX);
    struct query_fault fault;
    struct err err = ERR_INIT;
    p->refused = false;
    p->verdict = QUERY_GOOD;
    p->hint[0] = 0;
    p->fault_from = p->fault_to = 0;
    if (!asks_query(p))
        return;
    p->verdict = query_check(typed, &world, &fault);
    p->fault_from = fault.from;
    p->fault_to = fault.to;
    if (p->verdict != QUERY_GOOD)
        snprintf(p->hint, sizeof p->hint, "%s", fault.text);
    if (p->verdict <= QUERY_HINT && query_expand(typed, STR(""), &world, &asked, &err) && !p->hint[0] &&
        !str_eq(str_trim(typed), buf_str(&asked)) && !str_eqz(buf_str(&asked), "*"))
        snprintf(p->hint, sizeof p->hint, "asks %.*s", (int)MIN(asked.n, sizeof p->hint - 6), buf_z(&asked));
    buf_fini(&asked);
}

bool ui_query_unfinished(const struct prompt *p)
{
    size_t end = p->edit.n;
    while (end && p->edit.p[end - 1] == ' ')
        end--;
    return asks_query(p) && p->verdict == QUERY_OPEN && p->fault_to >= end;
}

bool ui_query_refused(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    if (!asks_query(p) || p->verdict < QUERY_OPEN)
        return false;
    p->refused = true;
    p->edit.at = MIN(p->fault_from, p->edit.n);
    if (ui_query_unfinished(p))
        p->edit.at = p->edit.n; /* what is missing comes there */
    ui->dirty = true;
    return true;
}

void ui_query_told(struct ui *ui, struct str text)
{
    struct prompt *p = &ui->prompt;
    if (!asks_query(p) || p->verdict > QUERY_HINT)
        return;
    p->fault_from = p->fault_to = 0;
    p->verdict = QUERY_HINT;
    snprintf(p->hint, sizeof p->hint, "%.*s", STR_FMT(text));
    ui->dirty = true;
}

/* ---- words ---- */
void ui_mark_words(struct ui *ui, struct rect r, unsigned y, unsigned x, unsigned width, struct str raw, unsigned place,
                   const struct query_words *words)
{
    size_t from = 0, to;
    if (!query_words_count(words) || !width || bidi_is_rtl(raw))
        return;
    for (unsigned i = 0; i < 64 && query_words_find(words, place, raw, &from, &to); i++, from = to) {
        struct buf b = BUF_INIT(8192);
        unsigned at = ui_clean(ui, str_sub(raw, 0, from), &b).cols;
        buf_reset(&b);
        unsigned end = ui_clean(ui, str_sub(raw, 0, to), &b).cols;
        buf_fini(&b);
        if (at >= width)
            break;
        grid_overlay(&ui->grid, r, y, x + at, MIN(end, width) - at, STYLE_HIT);
    }
}
