#include "mail/absent.h"

void absent_begin(struct buf *list, uint64_t file_bytes)
{
    buf_init(list, ABSENT_LIST_MAX);
    buf_addf(list, "%llu\n", (unsigned long long)file_bytes);
}

bool absent_add(struct buf *list, const struct absent *a)
{
    return buf_addf(list, "%.*s %llu %llu %llu\n", STR_FMT(a->section), (unsigned long long)a->head,
                    (unsigned long long)a->at, (unsigned long long)a->size);
}

bool absent_open(struct str list, uint64_t *bytes_r, struct str *rest_r)
{
    struct str line;
    *bytes_r = 0;
    *rest_r = list;
    if (!list.n)
        return true;
    return list.n <= ABSENT_LIST_MAX && list.p[list.n - 1] == '\n' && str_split(rest_r, '\n', &line) &&
           str_u64(line, bytes_r);
}

bool absent_next(struct str *rest, struct absent *a)
{
    struct str line, word[4];
    if (!rest->n || !str_split(rest, '\n', &line))
        return false;
    for (size_t i = 0; i < COUNT(word); i++)
        if (!str_split(&line, ' ', &word[i]))
            return false;
    a->section = word[0];
    bool digits = word[0].n > 0 && word[0].n < 128;
    for (size_t i = 0; i < word[0].n; i++)
        digits = digits && ((word[0].p[i] >= '0' && word[0].p[i] <= '9') || word[0].p[i] == '.');
    return digits && !line.n && str_u64(word[1], &a->head) && str_u64(word[2], &a->at) && str_u64(word[3], &a->size) &&
           a->head <= a->at;
}

bool absent_find(struct str list, struct str section, struct absent *a)
{
    uint64_t bytes;
    struct str rest;
    bool found = false;
    if (absent_open(list, &bytes, &rest))
        while (!found && absent_next(&rest, a))
            found = str_eq(a->section, section);
    return found;
}

size_t absent_count(struct str list)
{
    uint64_t bytes;
    struct str rest;
    struct absent a;
    size_t n = 0;
    if (absent_open(list, &bytes, &rest))
        while (absent_next(&rest, &a))
            n++;
    return n;
}
