#include "ui/grid.h"
#include "ui/theme.h"

static const struct cell blank_cell = {.p = " ", .n = 1, .cols = 1};

void grid_init(struct grid *g)
{
    *g = (struct grid){.rows = 0};
}

static void drop_links(struct grid *g)
{
    for (unsigned i = 0; i < g->nlinks; i++)
        free(g->links[i].target);
    g->nlinks = 0;
}

void grid_fini(struct grid *g)
{
    drop_links(g);
    free(g->links);
    free(g->cells);
    grid_init(g);
}

void grid_resize(struct grid *g, unsigned rows, unsigned cols)
{
    cols = MIN(MAX(cols, 1u), GRID_MAX_COLS);
    rows = MIN(MAX(rows, 1u), GRID_MAX_CELLS / cols);
    if (rows != g->rows || cols != g->cols) {
        g->cells = mem_resize(g->cells, (size_t)rows * cols, sizeof *g->cells);
        g->rows = rows;
        g->cols = cols;
    }
    grid_clear(g, 0);
}

void grid_clear(struct grid *g, style s)
{
    struct cell c = blank_cell;
    c.style = s;
    drop_links(g);
    for (size_t i = 0; i < (size_t)g->rows * g->cols; i++)
        g->cells[i] = c;
    g->cursor_on = false;
    g->cursor_y = g->cursor_x = 0;
}

const struct cell *grid_at(const struct grid *g, unsigned y, unsigned x)
{
    return y < g->rows && x < g->cols ? &g->cells[(size_t)y * g->cols + x] : &blank_cell;
}

/* A cell that loses its other half becomes blank. */
static void split_wide(struct grid *g, unsigned y, unsigned x)
{
    struct cell *row = &g->cells[(size_t)y * g->cols];
    if (row[x].n == 0 && x > 0) {
        style s = row[x - 1].style;
        row[x - 1] = blank_cell;
        row[x - 1].style = s;
    }
    if (row[x].cols == 2 && x + 1 < g->cols) {
        style s = row[x + 1].style;
        row[x + 1] = blank_cell;
        row[x + 1].style = s;
    }
}

static size_t cut_bytes(struct text t)
{
    size_t n = MIN(t.n, (size_t)CELL_BYTES);
    while (n < t.n && n > 0 && ((unsigned char)t.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void put(struct grid *g, unsigned y, unsigned x, struct text cluster, style s)
{
    struct cell *at = &g->cells[(size_t)y * g->cols + x];
    split_wide(g, y, x);
    if (cluster.cols == 2)
        split_wide(g, y, x + 1);
    *at = (struct cell){.n = (uint8_t)cut_bytes(cluster), .cols = (uint8_t)cluster.cols, .style = s};
    memcpy(at->p, cluster.p, at->n);
    if (cluster.cols == 2)
        at[1] = (struct cell){.n = 0, .cols = 0, .style = s};
}

/* The rectangle as far as it lies on the grid; false where nothing is left. */
static bool clip(const struct grid *g, struct rect *r)
{
    if (r->y >= g->rows || r->x >= g->cols)
        return false;
    r->rows = MIN(r->rows, g->rows - r->y);
    r->cols = MIN(r->cols, g->cols - r->x);
    return r->rows && r->cols;
}

unsigned grid_text(struct grid *g, struct rect r, unsigned y, unsigned x, struct text t, style s)
{
    struct text cluster;
    unsigned used = 0;
    if (!clip(g, &r) || y >= r.rows)
        return 0;
    while (x + used < r.cols && text_next(&t, &cluster)) {
        if (cluster.cols == 0)
            continue;
        if (x + used + cluster.cols > r.cols)
            break;
        put(g, r.y + y, r.x + x + used, cluster, s);
        used += cluster.cols;
    }
    return used;
}

static void blanks(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned n, style s)
{
    for (unsigned i = 0; i < n && x + i < r.cols; i++)
        put(g, r.y + y, r.x + x + i, TEXT(" "), s);
}

void grid_field(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned width, struct text t, style s)
{
    if (!clip(g, &r) || y >= r.rows || x >= r.cols)
        return;
    width = MIN(width, r.cols - x);
    if (!width)
        return;
    struct rect field = {r.y + y, r.x + x, 1, width};
    if (t.cols <= width) {
        unsigned used = grid_text(g, field, 0, 0, t, s);
        blanks(g, field, 0, used, width - used, s);
        return;
    }
    struct text dots = grid_sign(g, SIGN_ELLIPSIS);
    unsigned room = width > dots.cols ? width - dots.cols : 0;
    unsigned used = grid_text(g, field, 0, 0, text_fit(t, room), s);
    used += grid_text(g, field, 0, used, dots, s);
    blanks(g, field, 0, used, width - used, s);
}

void grid_field_right(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned width, struct text t, style s)
{
    if (t.cols >= width) {
        grid_field(g, r, y, x, width, t, s);
        return;
    }
    grid_field(g, r, y, x, width - t.cols, TEXT(""), s);
    grid_text(g, r, y, x + width - t.cols, t, s);
}

void grid_fill_row(struct grid *g, struct rect r, unsigned y, style s)
{
    if (clip(g, &r) && y < r.rows)
        blanks(g, r, y, 0, r.cols, s);
}

void grid_fill(struct grid *g, struct rect r, style s)
{
    for (unsigned y = 0; y < r.rows; y++)
        grid_fill_row(g, r, y, s);
}

void grid_overlay(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned n, style overlay)
{
    if (!clip(g, &r) || y >= r.rows)
        return;
    for (; n && x < r.cols; n--, x++) {
        struct cell *c = &g->cells[(size_t)(r.y + y) * g->cols + r.x + x];
        c->style = (style)(c->style | overlay);
    }
}

void grid_cursor(struct grid *g, struct rect r, unsigned y, style overlay)
{
    if (!g->arrow)
        grid_overlay(g, r, y, 0, r.cols, overlay);
    else if (clip(g, &r) && y < r.rows)
        put(g, r.y + y, r.x, TEXT(">"), 0);
}

/* ---- links ---- */
static bool encode(struct str url, struct buf *out)
{
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c <= ' ' || c == 0x7f)
            return false;
        if (c < 0x7f ? !buf_addc(out, (char)c) : !buf_addf(out, "%%%02X", c))
            return false;
    }
    return url.n > 0;
}

/* The number of the target among those of the grid; the same target has the same one in each frame. */
static uint32_t link_number(struct grid *g, const char *target)
{
    uint32_t h = 2166136261u;
    for (const char *p = target; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    h |= 1;
    const char *old = grid_link_target(g, h);
    if (old)
        return strcmp(old, target) == 0 ? h : 0;
    if (g->nlinks == GRID_MAX_LINKS)
        return 0;
    g->links = mem_resize(g->links, g->nlinks + 1, sizeof *g->links);
    g->links[g->nlinks++] = (struct grid_link){h, mem_dup_z(target)};
    return h;
}

void grid_link(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned n, struct str url)
{
    struct buf target = BUF_INIT(GRID_MAX_TARGET);
    uint32_t number = 0;
    if (clip(g, &r) && y < r.rows && encode(url, &target))
        number = link_number(g, buf_z(&target));
    buf_fini(&target);
    for (; number && n && x < r.cols; n--, x++)
        g->cells[(size_t)(r.y + y) * g->cols + r.x + x].link = number;
}

const char *grid_link_target(const struct grid *g, uint32_t number)
{
    for (unsigned i = 0; i < g->nlinks; i++)
        if (g->links[i].number == number)
            return g->links[i].target;
    return NULL;
}

struct text grid_sign(const struct grid *g, enum sign sign)
{
    static const struct {
        const char *utf8, *ascii, *word;
    } signs[SIGN_COUNT] = {
        [SIGN_UNREAD] = {"●", "N", "unread"},
        [SIGN_FLAGGED] = {"!", "!", "flagged"},
        [SIGN_ATTACHMENT] = {"@", "@", "attachment"},
        [SIGN_ANSWERED] = {"↩", "r", "answered"},
        [SIGN_FORWARDED] = {"→", "f", "forwarded"},
        [SIGN_PENDING] = {"·", ".", "waiting"},
        [SIGN_STUB] = {"↓", "v", "not fetched"},
        [SIGN_FAILED] = {"×", "x", "refused"},
        [SIGN_SELECTED] = {"▸", ">", "selected"},
        [SIGN_SIGNED] = {"s", "s", "signed"}, /* nobody has verified it */
        [SIGN_ENCRYPTED] = {"✱", "e", "encrypted"},
        [SIGN_TO_ME] = {"+", "+", "to me"},
        [SIGN_VERTICAL] = {"│", "|", " "},
        [SIGN_HORIZONTAL] = {"─", "-", " "},
        [SIGN_ELLIPSIS] = {"…", "...", "..."},
        [SIGN_DOT] = {"·", "-", "-"},
        [SIGN_QUOTE] = {"│", ">", ">"},
        [SIGN_FOLDED] = {"▸", "+", "folded"},
        [SIGN_BRANCH] = {"├", "|", " "},
        [SIGN_LAST] = {"└", "`", " "},
    };
    bool sign_itself = !g->words && !g->ascii && !g->plain;
    const char *p = g->words ? signs[sign].word : sign_itself ? signs[sign].utf8 : signs[sign].ascii;
    size_t n = strlen(p);
    return (struct text){p, n, sign_itself ? 1 : (unsigned)n};
}

void grid_hline(struct grid *g, struct rect r, unsigned y, style s)
{
    for (unsigned x = 0; x < r.cols; x++)
        grid_text(g, r, y, x, grid_sign(g, SIGN_HORIZONTAL), s);
}

void grid_vline(struct grid *g, unsigned y, unsigned x, unsigned rows, style s)
{
    for (unsigned i = 0; i < rows; i++)
        grid_text(g, (struct rect){y + i, x, 1, 1}, 0, 0, grid_sign(g, SIGN_VERTICAL), s);
}

static void print_styles(const struct grid *g, unsigned y, struct buf *out)
{
    for (unsigned x = 0; x < g->cols;) {
        style s = grid_at(g, y, x)->style;
        unsigned to = x;
        while (to + 1 < g->cols && grid_at(g, y, to + 1)->style == s)
            to++;
        if (s) {
            buf_addz(out, "  | ");
            theme_style_name(s, out);
            buf_addf(out, "@%u-%u\n", x, to);
        }
        x = to + 1;
    }
}

void grid_print(const struct grid *g, bool styles, struct buf *out)
{
    for (unsigned y = 0; y < g->rows; y++) {
        unsigned end = g->cols;
        while (end > 0 && grid_at(g, y, end - 1)->n == 1 && grid_at(g, y, end - 1)->p[0] == ' ')
            end--;
        for (unsigned x = 0; x < end; x++)
            buf_add(out, grid_at(g, y, x)->p, grid_at(g, y, x)->n);
        buf_addc(out, '\n');
        if (styles)
            print_styles(g, y, out);
    }
}
