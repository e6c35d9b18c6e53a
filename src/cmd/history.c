/* History of a prompt. */
#include "cmd/cmd.h"

#include <errno.h>
#include <unistd.h>

#define HISTORY_BYTES (1u << 20)

struct history {
    char **lines;
    size_t n, max;
    size_t at; /* of the walk; n: at what is being typed */
};

struct history *history_new(size_t max)
{
    struct history *h = mem_new(sizeof *h);
    h->max = MAX(max, (size_t)1);
    return h;
}

void history_free(struct history **h_p)
{
    struct history *h = *h_p;
    if (!h)
        return;
    for (size_t i = 0; i < h->n; i++)
        free(h->lines[i]);
    free(h->lines);
    free(h);
    *h_p = NULL;
}

void history_add(struct history *h, struct str line)
{
    h->at = h->n;
    if (line.n == 0 || line.n > LINE_MAX_BYTES || line.p[0] == ' ' || memchr(line.p, '\n', line.n) ||
        (h->n && str_eqz(line, h->lines[h->n - 1])))
        return;
    if (h->n == h->max) {
        free(h->lines[0]);
        memmove(h->lines, h->lines + 1, (h->n - 1) * sizeof *h->lines);
        h->n--;
    }
    h->lines = mem_resize(h->lines, h->n + 1, sizeof *h->lines);
    h->lines[h->n++] = mem_dup_n(line.p, line.n);
    h->at = h->n;
}

const char *history_older(struct history *h, struct str prefix)
{
    for (size_t i = h->at; i-- > 0;)
        if (str_starts(str_z(h->lines[i]), prefix)) {
            h->at = i;
            return h->lines[i];
        }
    return NULL;
}

const char *history_newer(struct history *h, struct str prefix)
{
    for (size_t i = h->at + 1; i < h->n; i++)
        if (str_starts(str_z(h->lines[i]), prefix)) {
            h->at = i;
            return h->lines[i];
        }
    h->at = h->n;
    return NULL;
}

void history_rewind(struct history *h)
{
    h->at = h->n;
}

size_t history_count(const struct history *h)
{
    return h->n;
}

const char *history_at(const struct history *h, size_t i)
{
    return i < h->n ? h->lines[i] : NULL;
}

bool history_load(struct history *h, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(HISTORY_BYTES);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return true;
    bool ok = fs_read(path, HISTORY_BYTES, &text, err);
    struct str rest = buf_str(&text), line;
    while (ok && str_split(&rest, '\n', &line))
        history_add(h, line);
    buf_fini(&text);
    return ok;
}

bool history_save(const struct history *h, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(HISTORY_BYTES);
    size_t from = h->n, bytes = 0;
    while (from > 0 && bytes + strlen(h->lines[from - 1]) + 1 <= HISTORY_BYTES)
        bytes += strlen(h->lines[--from]) + 1;
    for (size_t i = from; i < h->n; i++)
        buf_addf(&text, "%s\n", h->lines[i]);
    bool ok = fs_write_atomic(path, 0600, buf_str(&text), err);
    buf_fini(&text);
    return ok;
}
