#include "ui/line.h"

void edit_wipe(struct edit *e)
{
    explicit_bzero(e, sizeof *e);
}

void edit_set(struct edit *e, struct str s)
{
    edit_wipe(e);
    edit_insert(e, s);
}

bool edit_insert(struct edit *e, struct str s)
{
    if (s.n > LINE_BYTES - e->n)
        return false;
    memmove(e->p + e->at + s.n, e->p + e->at, e->n - e->at);
    if (s.n)
        memcpy(e->p + e->at, s.p, s.n);
    e->n += s.n;
    e->at += s.n;
    e->p[e->n] = 0;
    return true;
}

static size_t left_of(const struct edit *e, size_t at)
{
    struct text rest = {e->p, at, 0}, cluster;
    size_t start = 0;
    while (text_next(&rest, &cluster))
        start = (size_t)(cluster.p - e->p);
    return start;
}

static size_t right_of(const struct edit *e, size_t at)
{
    struct text rest = {e->p + at, e->n - at, 0}, cluster;
    return text_next(&rest, &cluster) ? at + cluster.n : at;
}

static size_t word_left_of(const struct edit *e)
{
    size_t at = e->at;
    while (at > 0 && e->p[at - 1] == ' ')
        at--;
    while (at > 0 && e->p[at - 1] != ' ')
        at--;
    return at;
}

static void cut(struct edit *e, size_t from, size_t to)
{
    memmove(e->p + from, e->p + to, e->n - to);
    e->n -= to - from;
    e->at = from;
    e->p[e->n] = 0;
}

void edit_left(struct edit *e)
{
    e->at = left_of(e, e->at);
}

void edit_right(struct edit *e)
{
    e->at = right_of(e, e->at);
}

void edit_word_left(struct edit *e)
{
    e->at = word_left_of(e);
}

void edit_word_right(struct edit *e)
{
    while (e->at < e->n && e->p[e->at] == ' ')
        e->at++;
    while (e->at < e->n && e->p[e->at] != ' ')
        e->at++;
}

void edit_backspace(struct edit *e)
{
    cut(e, left_of(e, e->at), e->at);
}

void edit_delete(struct edit *e)
{
    cut(e, e->at, right_of(e, e->at));
}

void edit_word_backspace(struct edit *e)
{
    cut(e, word_left_of(e), e->at);
}

void edit_kill(struct edit *e)
{
    cut(e, e->at, e->n);
}

void edit_clear(struct edit *e)
{
    cut(e, 0, e->at);
}
