/* Tags that are known, the list from which several are chosen at once, and one that is put on or taken off by a key. */
#include "ui/extra.h"

enum { LOOKED_AT = 500, NAMES_MAX = 5000 };

/* ---- all that are known ---- */
struct known {
    char *name;
    uint32_t count; /* messages of all accounts */
    unsigned here;  /* of those that the command is about */
};
struct knowns {
    struct known *list;
    size_t n;
};

static struct known *known_of(struct knowns *k, struct str tag)
{
    for (size_t i = 0; i < k->n; i++)
        if (str_eqz(tag, k->list[i].name))
            return &k->list[i];
    if (k->n == NAMES_MAX)
        return NULL;
    if (k->n % 64 == 0)
        k->list = mem_resize(k->list, k->n + 64, sizeof *k->list);
    k->list[k->n] = (struct known){.name = mem_dup_n(tag.p, tag.n)};
    return &k->list[k->n++];
}

static void on_name(void *arg, struct str tag, uint32_t count)
{
    struct known *k = known_of(arg, tag);
    if (k)
        k->count += count;
}

static int by_use(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    if (x->here != y->here)
        return x->here > y->here ? -1 : 1;
    return x->count != y->count ? (x->count > y->count ? -1 : 1) : strcmp(x->name, y->name);
}

static void knowns_read(struct ui *ui, struct knowns *k)
{
    struct err err = ERR_INIT;
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (ui->accts.list[a].reader)
            reader_tag_names(ui->accts.list[a].reader, NAMES_MAX, on_name, k, &err);
}

static void knowns_fini(struct knowns *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->list[i].name);
    free(k->list);
}

void ui_tag_names(struct ui *ui, tag_count_fn *fn, void *arg)
{
    struct knowns k = {NULL, 0};
    knowns_read(ui, &k);
    if (k.n)
        qsort(k.list, k.n, sizeof *k.list, by_use);
    for (size_t i = 0; i < k.n; i++)
        fn(arg, str_z(k.list[i].name), k.list[i].count);
    knowns_fini(&k);
}

/* ---- what the messages have ---- */
static void look_at(struct ui *ui, struct ref ref, struct knowns *k)
{
    struct buf tags = BUF_INIT(16384);
    struct err err = ERR_INIT;
    struct reader *reader = ref.id && ref.account < ui->accts.n ? ui->accts.list[ref.account].reader : NULL;
    if (reader && reader_tags(reader, ref.id, &tags, &err))
        for (struct str rest = buf_str(&tags), word; rest.n && str_split(&rest, ' ', &word);) {
            struct known *one = word.n ? known_of(k, word) : NULL;
            if (one)
                one->here++;
        }
    buf_fini(&tags);
}

/* Of many the first say it; *n_r: how many were looked at. */
static void chosen_look(struct ui *ui, struct knowns *k, unsigned *n_r)
{
    const struct refs *chosen = ui_chosen(ui);
    const struct list_row *row = ui_row(ui);
    struct refs thread = {.n = 0};
    struct err err = ERR_INIT;
    if (!chosen && row && row->folded && list_thread_refs(ui_list(ui), row, &thread, &err))
        chosen = &thread;
    unsigned n = 0;
    for (struct ref ref = REF_NONE; chosen && n < LOOKED_AT && refs_next(chosen, &ref); n++)
        look_at(ui, ref, k);
    if (!chosen && row && ++n)
        look_at(ui, row->ref, k);
    *n_r = n;
    refs_fini(&thread);
}

/* ---- the list ---- */
static void tags_chosen(struct ui *ui, void *arg, const char *words)
{
    struct buf line = BUF_INIT(LINE_BYTES);
    struct err err = ERR_INIT;
    (void)arg;
    struct str rest = str_z(words ? words : ""), word;
    buf_addz(&line, "tag");
    while (str_split(&rest, ' ', &word)) {
        buf_addc(&line, ' ');
        line_quote(word, &line);
    }
    if (words && *words && !ui_run_text(ui, buf_z(&line), &err))
        ui_note_err(ui, &err);
    buf_fini(&line);
}

bool run_pick_tags(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct knowns k = {NULL, 0};
    unsigned n;
    char label[60];
    (void)args, (void)err;
    knowns_read(ui, &k);
    chosen_look(ui, &k, &n);
    if (k.n)
        qsort(k.list, k.n, sizeof *k.list, by_use);
    struct pick_item *items = mem_array(MAX(k.n, (size_t)1), sizeof *items);
    unsigned nitems = 0;
    for (size_t i = 0; i < k.n; i++) {
        struct buf help = BUF_INIT(100);
        if (tag_reserved(str_z(k.list[i].name)))
            continue;
        buf_addf(&help, "%u message%s", k.list[i].count, k.list[i].count == 1 ? "" : "s");
        if (n > 1 && k.list[i].here && k.list[i].here < n)
            buf_addf(&help, " · on %u of these %u", k.list[i].here, n);
        items[nitems++] = (struct pick_item){.label = mem_dup_z(k.list[i].name),
                                             .help = buf_take(&help, NULL),
                                             .score = 1,
                                             .state = !k.list[i].here       ? PICK_NONE
                                                      : k.list[i].here == n ? PICK_ALL
                                                                            : PICK_SOME};
    }
    knowns_fini(&k);
    snprintf(label, sizeof label, n > 1 ? "tags of %u messages (Tab toggles): " : "tags (Tab toggles): ", n);
    ui_pick_many(ui, label, items, nitems, tags_chosen, NULL);
    return true;
}

bool run_toggle_tag(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct knowns k = {NULL, 0};
    struct buf line = BUF_INIT(LINE_BYTES);
    unsigned n;
    chosen_look(ui, &k, &n);
    buf_addz(&line, "tag");
    for (size_t i = 0; i < args->n; i++) {
        struct known *one = known_of(&k, str_z(args->words[i]));
        struct buf word = BUF_INIT(TAG_MAX + 2);
        buf_addf(&word, "%c%s", one && n && one->here == n ? '-' : '+', args->words[i]);
        buf_addc(&line, ' ');
        line_quote(buf_str(&word), &line);
        buf_fini(&word);
    }
    knowns_fini(&k);
    bool ok = ui_run_text(ui, buf_z(&line), err);
    buf_fini(&line);
    return ok;
}
