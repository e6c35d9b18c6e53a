/* Rows of a list, in the columns of option list-format. */
#include "ui/private.h"

enum { NAME_MIN = 10, NAME_MAX = 22, DATE = 7, SUBJECT_MIN = 8, TAGS = 14, SIGNS = 3, TREE_MAX = 12, STATE_WORD = 8 };

struct place {
    enum column_kind kind;
    unsigned x, width;
};
struct places {
    struct place list[COLUMN_COUNT];
    unsigned n;
    bool inline_tags; /* they stand at the end of the subject's column, as wide as they are */
};

void date_short(int64_t date, int64_t now, const char *format, char out[32])
{
    struct tm t, n;
    time_t at = (time_t)date, today = (time_t)now;
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    out[0] = 0;
    if (!localtime_r(&at, &t) || !localtime_r(&today, &n))
        return;
    if (format && *format) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        if (!strftime(out, 32, format, &t)) /* the user's own format */
            out[0] = 0;
#pragma GCC diagnostic pop
        return;
    }
    if (t.tm_year == n.tm_year && t.tm_yday == n.tm_yday)
        snprintf(out, 32, "%02d:%02d", t.tm_hour, t.tm_min);
    else if (t.tm_year == n.tm_year || (date <= now && now - date < 300 * 86400))
        snprintf(out, 32, "%d %s", t.tm_mday, months[(unsigned)t.tm_mon % 12]);
    else
        snprintf(out, 32, "%d-%02d", (t.tm_year + 1900) % 10000, t.tm_mon + 1);
}

/* ---- columns ---- */
static unsigned own_width(enum column_kind kind, unsigned cols, unsigned date)
{
    unsigned name = MIN(MAX(cols / 5, (unsigned)NAME_MIN), (unsigned)NAME_MAX);
    switch (kind) {
    case COLUMN_NUMBER:
        return 6;
    case COLUMN_STATE:
        return 2;
    case COLUMN_DATE:
        return date;
    case COLUMN_FROM:
    case COLUMN_TO:
        return name;
    case COLUMN_ADDRESS:
        return MAX(name, cols / 4);
    case COLUMN_TAGS:
        return TAGS;
    case COLUMN_SIZE:
        return 7;
    case COLUMN_LIST:
    case COLUMN_ACCOUNT:
    case COLUMN_MAILBOX:
        return NAME_MIN;
    case COLUMN_MARKS:
        return SIGNS;
    case COLUMN_SUBJECT:
    case COLUMN_COUNT:
        break;
    }
    return 0; /* what is left */
}

static unsigned gap_behind(const struct columns *c, unsigned i)
{
    bool close = c->list[i].kind == COLUMN_STATE || (i + 1 < c->n && c->list[i + 1].kind == COLUMN_MARKS);
    return i + 1 == c->n ? 0 : close ? 1 : 2;
}

static void take_out(struct columns *c, unsigned i)
{
    memmove(&c->list[i], &c->list[i + 1], (c->n - i - 1) * sizeof c->list[0]);
    c->n--;
}

/* The word for its state has a column; those of its marks stand behind the subject. */
static void for_words(struct columns *c)
{
    for (unsigned i = c->n; i-- > 0;)
        if (c->list[i].kind == COLUMN_STATE)
            c->list[i] = (struct column){COLUMN_STATE, STATE_WORD, false};
        else if (c->list[i].kind == COLUMN_MARKS)
            take_out(c, i);
}

static int column_at(const struct columns *c, enum column_kind kind)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->list[i].kind == kind)
            return (int)i;
    return -1;
}

static unsigned width_of(const struct column *c, unsigned cols, unsigned date)
{
    return !c->width ? own_width(c->kind, cols, date) : c->percent ? cols * c->width / 100 : c->width;
}

/* What the least needed columns leave is the subject's. */
static void place(const struct columns *wanted, unsigned cols, unsigned date, struct places *p)
{
    static const enum column_kind least[] = {COLUMN_NUMBER, COLUMN_LIST,    COLUMN_ACCOUNT, COLUMN_MAILBOX, COLUMN_SIZE,
                                             COLUMN_TO,     COLUMN_ADDRESS, COLUMN_TAGS,    COLUMN_DATE};
    struct columns c = *wanted;
    int tags = column_at(&c, COLUMN_TAGS), at;
    *p = (struct places){.n = 0};
    if (tags > 0 && c.list[tags - 1].kind == COLUMN_SUBJECT && !c.list[tags].width) {
        p->inline_tags = true;
        take_out(&c, (unsigned)tags);
    }
    unsigned used, rest;
    for (unsigned next = 0;; next++) {
        used = 0;
        for (unsigned i = 0; i < c.n; i++)
            used += width_of(&c.list[i], cols, date) + gap_behind(&c, i);
        rest = cols > used ? cols - used : 0;
        at = column_at(&c, COLUMN_SUBJECT);
        if (used <= cols && (at < 0 || c.list[at].width || rest >= SUBJECT_MIN))
            break;
        while (next < COUNT(least) && column_at(&c, least[next]) < 0)
            next++;
        if (next == COUNT(least))
            break;
        take_out(&c, (unsigned)column_at(&c, least[next]));
    }
    for (unsigned i = 0, x = 0; i < c.n && x < cols; i++) {
        unsigned width = (int)i == at && !c.list[i].width ? rest : width_of(&c.list[i], cols, date);
        p->list[p->n++] = (struct place){c.list[i].kind, x, MIN(width, cols - x)};
        x += width + gap_behind(&c, i);
    }
}

/* ---- cells ---- */
/* Words that marks and mailboxes show already, and those of protocols. */
static bool own_tag(struct str tag)
{
    static const char *const known[] = {"inbox",      "unread", "flagged", "replied",   "passed",
                                        "attachment", "signed", "draft",   "encrypted", "new",
                                        "NonJunk",    "Junk",   "NotJunk", "Forwarded"};
    for (size_t i = 0; i < COUNT(known); i++)
        if (str_case_eqz(tag, known[i]))
            return false;
    return tag.n && tag.p[0] != '$' && tag.p[0] != '\\';
}

static void tag_words(struct str tags, struct buf *out)
{
    struct str tag;
    while (str_split(&tags, ' ', &tag))
        if (own_tag(tag))
            buf_addf(out, "%s%.*s", out->n ? " " : "", STR_FMT(tag));
}

struct cell_of {
    struct ui *ui;
    const struct list *list;
    const struct list_row *row;
    uint32_t number;
    int64_t now;
    style s, small;
    const struct query_words *words;
};

static const char *box_name_of(const struct ui *ui, const struct list_row *row)
{
    const struct box_item *box = boxes_find(&ui->boxes, row->ref.account, row->box);
    return box ? box->path : "";
}

static struct str names_of(const struct cell_of *c, enum column_kind kind)
{
    const struct list_row *row = c->row;
    if (kind == COLUMN_TO || (kind == COLUMN_FROM && c->list->outgoing && row->to.n))
        return row->to;
    return kind == COLUMN_ADDRESS || !row->from_name.n ? row->from_addr : row->from_name;
}

/* What is encrypted is more often than not signed within. Mail to oneself is worth a mark among that of a mailing list.
 */
static uint32_t shown_attrs(uint32_t attrs)
{
    uint32_t hidden = (attrs & ROW_ENCRYPTED ? ROW_SIGNED : 0) | (attrs & ROW_LIST ? 0 : ROW_TO_ME);
    return attrs & ~hidden;
}

/* Words of its marks, where there are no signs. */
static void mark_words(const struct cell_of *c, struct buf *out)
{
    static const struct {
        uint32_t bit;
        enum { OF_FLAGS, OF_STATE, OF_ATTRS } of;
        enum sign sign;
    } marks[] = {{FLAG_FLAGGED, OF_FLAGS, SIGN_FLAGGED},      {ROW_FAILED, OF_STATE, SIGN_FAILED},
                 {ROW_ATTACHMENT, OF_ATTRS, SIGN_ATTACHMENT}, {ROW_ENCRYPTED, OF_ATTRS, SIGN_ENCRYPTED},
                 {ROW_SIGNED, OF_ATTRS, SIGN_SIGNED},         {ROW_TO_ME, OF_ATTRS, SIGN_TO_ME},
                 {FLAG_FORWARDED, OF_FLAGS, SIGN_FORWARDED},  {FLAG_ANSWERED, OF_FLAGS, SIGN_ANSWERED}};
    const uint32_t has[] = {
        [OF_FLAGS] = c->row->flags, [OF_STATE] = c->row->state, [OF_ATTRS] = shown_attrs(c->row->attrs)};
    for (size_t i = 0; i < COUNT(marks); i++) {
        struct text word = grid_sign(&c->ui->grid, marks[i].sign);
        if (has[marks[i].of] & marks[i].bit)
            buf_addf(out, "%s%.*s", out->n ? " " : "", (int)word.n, word.p);
    }
}

/* One word: what is selected or waits, else whether it is unread. */
static void state_in_words(const struct cell_of *c, struct rect r, unsigned y, const struct place *p, bool selected)
{
    struct grid *g = &c->ui->grid;
    const struct list_row *row = c->row;
    bool pending = row->pending || (row->state & ROW_PENDING), unread = !(row->flags & FLAG_SEEN);
    if (selected || pending || unread)
        grid_field(g, r, y, p->x, p->width,
                   grid_sign(g, selected  ? SIGN_SELECTED
                                : pending ? SIGN_PENDING
                                          : SIGN_UNREAD),
                   row->ghost ? (style)THING_GONE : (style)THING_ACCENT);
}

static void draw_state(const struct cell_of *c, struct rect r, unsigned y, const struct place *p, bool selected)
{
    struct grid *g = &c->ui->grid;
    const struct list_row *row = c->row;
    if (g->words)
        state_in_words(c, r, y, p, selected);
    else if (selected)
        grid_text(g, r, y, p->x, grid_sign(g, SIGN_SELECTED), THING_ACCENT);
    else if (row->pending || (row->state & ROW_PENDING))
        grid_text(g, r, y, p->x, grid_sign(g, SIGN_PENDING), c->small);
    if (!g->words && !(row->flags & FLAG_SEEN))
        grid_text(g, r, y, p->x + 1, grid_sign(g, SIGN_UNREAD), row->ghost ? THING_GONE : THING_ACCENT);
}

/* Lines from what it answers, or the sign of a folded thread and how many messages it has. Deep ones are cut on the
 * left. */
static unsigned draw_tree(const struct cell_of *c, struct rect r, unsigned y, const struct place *p)
{
    struct grid *g = &c->ui->grid;
    const struct list_row *row = c->row;
    style s = row->ghost ? THING_GONE : c->small;
    char count[16];
    unsigned x = p->x;
    if (row->folded && p->width > 8) {
        x += grid_text(g, r, y, x, grid_sign(g, SIGN_FOLDED), s) + g->words;
        snprintf(count, sizeof count, "%u", row->count);
        struct buf b = BUF_INIT(64);
        x += grid_text(g, r, y, x, ui_clean(c->ui, str_z(count), &b), s) + 1;
        buf_fini(&b);
        return x - p->x;
    }
    if (g->words && row->place.depth && p->width > 16) {
        snprintf(count, sizeof count, "level %u", MIN(row->place.depth, 999u) + 1);
        struct buf b = BUF_INIT(64);
        x += grid_text(g, r, y, x, ui_clean(c->ui, str_z(count), &b), s) + 1;
        buf_fini(&b);
    }
    if (g->words)
        return x - p->x;
    unsigned depth = row->place.depth, most = MIN(p->width / 6, (unsigned)TREE_MAX); /* a third of it */
    for (unsigned d = depth > most ? depth - most + 1 : 1; depth && most && d < depth; d++) {
        if (d <= 64 && row->place.lines >> (d - 1) & 1)
            grid_text(g, r, y, x, grid_sign(g, SIGN_VERTICAL), s);
        x += 2;
    }
    if (depth && most) {
        grid_text(g, r, y, x, grid_sign(g, row->place.last ? SIGN_LAST : SIGN_BRANCH), s);
        x += 2;
    }
    return x - p->x;
}

/* Tags, each in its colour; those that do not fit are cut as one text. */
static void draw_tags(const struct cell_of *c, struct rect r, unsigned y, unsigned x, unsigned width)
{
    struct buf words = BUF_INIT(16384);
    struct str rest, tag;
    unsigned at = 0;
    tag_words(c->row->tags, &words);
    ui_put_field(c->ui, r, y, x, width, STR(""), c->row->ghost ? THING_GONE : THING_TAG);
    for (rest = buf_str(&words); at < width && rest.n;) {
        struct buf b = BUF_INIT(16384);
        struct str all = rest;
        str_split(&rest, ' ', &tag);
        unsigned cols = ui_clean(c->ui, tag, &b).cols;
        bool fits = at + cols + (rest.n ? 2 : 0) <= width;
        ui_put_field(c->ui, r, y, x + at, fits ? cols : width - at, fits ? tag : all,
                     c->row->ghost ? (style)THING_GONE : theme_tag(&c->ui->theme, tag));
        at = fits ? at + cols + 1 : width;
        buf_fini(&b);
    }
    buf_fini(&words);
}

/* The subject, and where they are told here the tags behind it: they take a third at most. */
static void draw_subject(const struct cell_of *c, struct rect r, unsigned y, const struct place *p, bool tags)
{
    struct buf words = BUF_INIT(1024), shown = BUF_INIT(4096);
    unsigned room = 0, tree = list_threaded(c->list) ? draw_tree(c, r, y, p) : 0;
    if (c->ui->grid.words)
        mark_words(c, &words);
    bool other = c->row->ref.account != c->row->group.account; /* than the thread's */
    bool place = c->row->place.elsewhere || c->list->whole;    /* its mailbox's name, in place of tags */
    if (place)
        buf_addf(&words, "%s%s%s%s", words.n ? " " : "", box_name_of(c->ui, c->row), other ? " \xc2\xb7 " : "",
                 other ? c->ui->accts.list[c->row->ref.account].name : "");
    else if (tags)
        tag_words(c->row->tags, &words);
    if (c->row->sources == HITS_SERVER)
        buf_addf(&words, "%sserver", words.n ? " " : "");
    if (c->row->state & ROW_STUB) {
        buf_addz(&words, words.n ? " " : "");
        buf_add_size(&words, c->row->size);
    }
    if (words.n) {
        struct text t = ui_clean(c->ui, buf_str(&words), &shown);
        room = MIN(t.cols, c->ui->grid.words ? p->width / 2 : p->width / 3);
        if (room && tags && !place && !c->row->ghost && !c->ui->grid.words && !(c->row->state & ROW_STUB) &&
            c->row->sources != HITS_SERVER)
            draw_tags(c, r, y, p->x + p->width - room, room);
        else if (room)
            grid_field(&c->ui->grid, r, y, p->x + p->width - room, room, t,
                       c->row->ghost ? (style)THING_GONE : (style)THING_TAG);
        room += room != 0;
    }
    unsigned left = p->width > room + tree ? p->width - room - tree : 0;
    ui_put_field(c->ui, r, y, p->x + tree, left, c->row->subject, c->s);
    ui_mark_words(c->ui, r, y, p->x + tree, left, c->row->subject, PLACE_SUBJECT, c->words);
    buf_fini(&shown);
    buf_fini(&words);
}

static void put_field_right(const struct cell_of *c, struct rect r, unsigned y, const struct place *p, const char *z)
{
    struct buf b = BUF_INIT(64);
    grid_field_right(&c->ui->grid, r, y, p->x, p->width, ui_clean(c->ui, str_z(z), &b), c->small);
    buf_fini(&b);
}

static void draw_cell(const struct cell_of *c, struct rect r, unsigned y, const struct place *p)
{
    const struct list_row *row = c->row;
    struct buf words = BUF_INIT(1024);
    char date[32];
    switch (p->kind) {
    case COLUMN_NUMBER:
        if (c->number)
            buf_addf(&words, "%u", c->number);
        put_field_right(c, r, y, p, buf_z(&words));
        break;
    case COLUMN_DATE:
        date_short(row->date, c->now, c->ui->conf->date_format, date);
        put_field_right(c, r, y, p, date);
        break;
    case COLUMN_SIZE:
        buf_add_size(&words, row->size);
        put_field_right(c, r, y, p, buf_z(&words));
        break;
    case COLUMN_FROM:
    case COLUMN_TO:
    case COLUMN_ADDRESS:
        ui_put_field(c->ui, r, y, p->x, p->width, names_of(c, p->kind), c->s);
        ui_mark_words(c->ui, r, y, p->x, p->width, names_of(c, p->kind),
                      p->kind == COLUMN_TO || c->list->outgoing ? PLACE_TO : PLACE_FROM, c->words);
        break;
    case COLUMN_TAGS:
        draw_tags(c, r, y, p->x, p->width);
        break;
    case COLUMN_LIST:
        ui_put_field(c->ui, r, y, p->x, p->width, row->list_id, c->small);
        break;
    case COLUMN_ACCOUNT:
        ui_put_field(c->ui, r, y, p->x, p->width, str_z(c->ui->accts.list[row->ref.account].name), c->small);
        break;
    case COLUMN_MAILBOX:
        ui_put_field(c->ui, r, y, p->x, p->width, str_z(box_name_of(c->ui, row)), c->small);
        break;
    case COLUMN_STATE:
    case COLUMN_SUBJECT:
    case COLUMN_MARKS:
    case COLUMN_COUNT:
        break;
    }
    buf_fini(&words);
}

static void draw_marks(struct ui *ui, struct rect r, unsigned y, const struct place *p, const struct list_row *row)
{
    enum sign signs[9];
    unsigned n = 0;
    style s[9];
    uint32_t attrs = shown_attrs(row->attrs);
#define MARK(cond, sign, st)                                                                                           \
    if (cond) {                                                                                                        \
        signs[n] = sign;                                                                                               \
        s[n++] = st;                                                                                                   \
    }
    MARK(row->state & ROW_FAILED, SIGN_FAILED, THING_WARNING)
    MARK(row->state & ROW_STUB, SIGN_STUB, THING_MARKER)
    MARK(row->flags & FLAG_FLAGGED, SIGN_FLAGGED, THING_FLAGGED)
    MARK(attrs & ROW_ATTACHMENT, SIGN_ATTACHMENT, THING_MARKER)
    MARK(attrs & ROW_ENCRYPTED, SIGN_ENCRYPTED, THING_MARKER)
    MARK(attrs & ROW_SIGNED, SIGN_SIGNED, THING_MARKER)
    MARK(attrs & ROW_TO_ME, SIGN_TO_ME, THING_MARKER)
    MARK(row->flags & FLAG_FORWARDED, SIGN_FORWARDED, THING_MARKER)
    MARK(row->flags & FLAG_ANSWERED, SIGN_ANSWERED, THING_MARKER)
#undef MARK
    for (unsigned i = 0; i < n && i < p->width; i++)
        grid_text(&ui->grid, r, y, p->x + p->width - 1 - i, grid_sign(&ui->grid, signs[i]),
                  row->ghost ? THING_GONE : s[i]);
}

/* What a folded day has: "34 messages, 3 unread". */
static void add_count(const struct list_row *row, struct buf *words)
{
    const char *more = row->day_more ? "+" : "";
    if (!row->day_counted)
        return;
    buf_addf(words, " \xc2\xb7 %u%s message%s", row->day_n, more, row->day_n == 1 && !row->day_more ? "" : "s");
    if (row->day_unread)
        buf_addf(words, ", %u%s unread", row->day_unread, row->day_unread == row->day_n ? more : "");
}

/* "Today", "Friday 20 November", "20 November 2024"; of a folded day with its sign, and what it has. */
static void draw_heading(const struct cell_of *c, struct rect r, unsigned y, int64_t date)
{
    static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    struct tm t, n, y1;
    time_t at = (time_t)date, now = (time_t)c->now, before = now - 86400;
    const struct list_row *row = c->row;
    char words[64] = "";
    struct buf clean = BUF_INIT(400), text = BUF_INIT(200);
    style s = !row->folded_day ? (style)THING_MARKER : c->s == THING_READ ? (style)THING_MARKER : c->s;
    if (localtime_r(&at, &t) && localtime_r(&now, &n) && localtime_r(&before, &y1)) {
        const char *day = days[(unsigned)t.tm_wday % 7], *month = months[(unsigned)t.tm_mon % 12];
        if (t.tm_year == n.tm_year && t.tm_yday == n.tm_yday)
            snprintf(words, sizeof words, "Today, %s %d %s", day, t.tm_mday, month);
        else if (t.tm_year == y1.tm_year && t.tm_yday == y1.tm_yday)
            snprintf(words, sizeof words, "Yesterday, %s %d %s", day, t.tm_mday, month);
        else if (t.tm_year == n.tm_year)
            snprintf(words, sizeof words, "%s %d %s", day, t.tm_mday, month);
        else
            snprintf(words, sizeof words, "%s %d %s %d", day, t.tm_mday, month, (t.tm_year + 1900) % 100000);
    }
    if (row->folded_day) {
        struct text sign = grid_sign(&c->ui->grid, SIGN_FOLDED);
        buf_add(&text, sign.p, sign.n);
        buf_addc(&text, ' ');
    }
    buf_addz(&text, words);
    if (row->folded_day)
        add_count(row, &text);
    grid_fill_row(&c->ui->grid, r, y, s);
    grid_field(&c->ui->grid, r, y, 1, r.cols > 2 ? r.cols - 2 : 1, ui_clean(c->ui, buf_str(&text), &clean), s);
    buf_fini(&clean);
    buf_fini(&text);
}

static void draw_row(const struct cell_of *c, struct rect r, unsigned y, const struct places *p, bool here, bool ranged)
{
    struct grid *g = &c->ui->grid;
    bool selected = c->row->ref.id && (ranged || refs_has(&c->ui->selection, c->row->ref));
    grid_fill_row(g, r, y, c->s);
    if (c->row->folded_day)
        draw_heading(c, r, y, list_row_date(c->list, c->row));
    for (unsigned i = 0; i < p->n && !c->row->folded_day; i++) {
        const struct place *at = &p->list[i];
        if (at->kind == COLUMN_STATE)
            draw_state(c, r, y, at, selected);
        else if (at->kind == COLUMN_SUBJECT)
            draw_subject(c, r, y, at, p->inline_tags);
        else if (at->kind == COLUMN_MARKS)
            draw_marks(c->ui, r, y, at, c->row);
        else
            draw_cell(c, r, y, at);
    }
    if (selected)
        grid_overlay(g, r, y, 0, r.cols, STYLE_SELECTED);
    if (here && !g->arrow)
        grid_cursor(g, r, y, STYLE_CURSOR);
}

void draw_rows(struct ui *ui, struct rect r, const struct list *l, uint32_t number)
{
    struct places p;
    struct rect whole = r;
    struct cell_of c = {.ui = ui, .list = l, .now = clock_wall(), .words = list_searched(ui_list(ui))};
    unsigned dates = DATE, range, range_end;
    char date[32];
    bool days = l->fold_days || l->turned_days.n; /* rows are not messages, then */
    if (ui->conf->date_format[0]) {
        date_short(c.now, c.now, ui->conf->date_format, date);
        dates = MIN(MAX((unsigned)strlen(date), 5u), 20u);
    }
    struct columns columns = ui->conf->columns;
    if (ui->grid.words)
        for_words(&columns);
    if (ui->grid.arrow && r.cols > 1) { /* a column of its own */
        r.x++;
        r.cols--;
    }
    place(&columns, r.cols, dates, &p);
    ui_range_rows(ui, l, &range, &range_end);
    for (unsigned y = 0, i = l->top; y < r.rows && i < l->n; i++, y++) {
        const struct list_row *row = &l->rows[i];
        bool unread = !(row->flags & FLAG_SEEN);
        c.row = row;
        if (list_heading(l, i))
            draw_heading(&c, r, y++, list_row_date(l, row));
        if (y == r.rows)
            break;
        c.number = list_threaded(l) || l->rank_unknown || days ? 0 : number + i - l->cur;
        bool dim = row->ghost || (row->place.elsewhere && !unread);
        c.s = dim ? THING_GONE : unread ? THING_UNREAD : THING_READ;
        /* an unread row is bold throughout: a change of weight within it would cost more bytes than the words */
        c.small = dim ? THING_GONE : unread ? THING_UNREAD : THING_MARKER;
        bool here = i == l->cur && ui->focus != PANE_BOXES;
        draw_row(&c, r, y, &p, here, i >= range && i < range_end);
        if (here && ui->grid.arrow)
            grid_cursor(&ui->grid, whole, y, STYLE_CURSOR);
    }
}
