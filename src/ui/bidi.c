/* Right-to-left runs of cells, by FriBidi. */
#include "ui/bidi.h"

#include <fribidi.h>

#define FIRST_RTL 0x590u /* Hebrew: nothing before it is written from the right */

bool bidi_is_rtl(struct str paragraph)
{
    uint32_t cp;
    for (unsigned n; (n = utf8_decode(paragraph, &cp)) > 0; paragraph = str_sub(paragraph, n, paragraph.n)) {
        FriBidiCharType type = fribidi_get_bidi_type(cp);
        if (FRIBIDI_IS_LETTER(type))
            return FRIBIDI_IS_RTL(type);
    }
    return false;
}

static uint32_t base_of(const struct cell *c)
{
    uint32_t cp = ' ';
    utf8_decode((struct str){c->p, c->n}, &cp);
    return cp;
}

static bool has_rtl(const struct cell *cells, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (cells[i].n > 1 && base_of(&cells[i]) >= FIRST_RTL &&
            FRIBIDI_IS_RTL(fribidi_get_bidi_type(base_of(&cells[i]))))
            return true;
    return false;
}

/* Another base character, with the marks it had. */
static void set_base(struct cell *c, uint32_t cp)
{
    char p[4];
    uint32_t was;
    unsigned n = utf8_encode(cp, p), old = utf8_decode((struct str){c->p, c->n}, &was);
    if (!n || c->n - old + n > CELL_BYTES)
        return;
    memmove(c->p + n, c->p + old, c->n - old);
    memcpy(c->p, p, n);
    c->n = (uint8_t)(c->n - old + n);
}

/* A line of clusters: their cells, and what FriBidi says of them. */
struct line_of_cells {
    int n;
    struct cell *cells;
    FriBidiChar *chars;
    FriBidiCharType *types;
    FriBidiBracketType *brackets;
    FriBidiLevel *levels;
    FriBidiArabicProp *joins;
    FriBidiStrIndex *map;
};

/* Letters take the form that their neighbours ask for; brackets turn. Two letters stay two: columns hold. */
static void shape(struct line_of_cells *l)
{
    fribidi_get_joining_types(l->chars, l->n, l->joins);
    fribidi_join_arabic(l->types, l->n, l->levels, l->joins);
    fribidi_shape(FRIBIDI_FLAG_SHAPE_MIRRORING | FRIBIDI_FLAG_SHAPE_ARAB_PRES, l->levels, l->n, l->joins, l->chars);
    for (int i = 0; i < l->n; i++)
        if (l->chars[i] != base_of(&l->cells[i]))
            set_base(&l->cells[i], l->chars[i]);
}

static bool arrange(struct line_of_cells *l, bool rtl)
{
    FriBidiParType base = rtl ? FRIBIDI_PAR_RTL : FRIBIDI_PAR_LTR;
    for (int i = 0; i < l->n; i++) {
        l->chars[i] = base_of(&l->cells[i]);
        l->map[i] = i;
    }
    fribidi_get_bidi_types(l->chars, l->n, l->types);
    fribidi_get_bracket_types(l->chars, l->n, l->types, l->brackets);
    if (!fribidi_get_par_embedding_levels_ex(l->types, l->brackets, l->n, &base, l->levels))
        return false; /* no memory: as it is stored */
    shape(l);
    return fribidi_reorder_line(FRIBIDI_FLAGS_DEFAULT, l->types, l->n, 0, base, l->levels, NULL, l->map) != 0;
}

static void reorder(struct cell *at, unsigned n, bool rtl)
{
    struct line_of_cells l = {0,
                              mem_array(n, sizeof *l.cells),
                              mem_array(n, sizeof *l.chars),
                              mem_array(n, sizeof *l.types),
                              mem_array(n, sizeof *l.brackets),
                              mem_array(n, sizeof *l.levels),
                              mem_array(n, sizeof *l.joins),
                              mem_array(n, sizeof *l.map)};
    for (unsigned i = 0; i < n; i++)
        if (at[i].n)
            l.cells[l.n++] = at[i];
    if (arrange(&l, rtl))
        for (int i = 0; i < l.n; i++) {
            const struct cell *c = &l.cells[l.map[i]];
            *at++ = *c;
            if (c->cols == 2)
                *at++ = (struct cell){.n = 0, .cols = 0, .style = c->style};
        }
    free(l.cells);
    free(l.chars);
    free(l.types);
    free(l.brackets);
    free(l.levels);
    free(l.joins);
    free(l.map);
}

static void append(struct cell *c, const char *mark)
{
    size_t n = strlen(mark);
    if (c->n && c->n + n <= CELL_BYTES) {
        memcpy(c->p + c->n, mark, n);
        c->n = (uint8_t)(c->n + n);
    }
}

/* The signs take no column: they ride on the cell before the run and on its last one. */
static void isolate(struct cell *before, struct cell *at, unsigned n)
{
    while (n > 1 && !at[n - 1].n)
        n--;
    append(before, "\xe2\x81\xa8");     /* U+2068, first strong isolate */
    append(&at[n - 1], "\xe2\x81\xa9"); /* U+2069, its end */
}

void bidi_cells(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned n, bool rtl)
{
    if (g->bidi == BIDI_OFF || y >= r.rows || x >= r.cols || r.y + y >= g->rows || r.x + x >= g->cols)
        return;
    n = MIN(n, MIN(r.cols, g->cols - r.x) - x);
    struct cell *at = &g->cells[(size_t)(r.y + y) * g->cols + r.x + x];
    if (n && !at[0].n) { /* the right half of a cell before the run */
        at++;
        n--;
    }
    n += n && at[n - 1].cols == 2; /* cells are whole */
    if (!n || (!rtl && !has_rtl(at, n)))
        return;
    if (g->bidi == BIDI_REORDER) {
        g->reordered = true;
        reorder(at, n, rtl);
    } else if (r.x + x > 0) {
        isolate(at - 1, at, n);
    }
}
