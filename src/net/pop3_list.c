/* What is in the maildrop: STAT, LIST, UIDL, and ids made by hash where the server gives none. */
#include "net/pop3_impl.h"

#include <openssl/evp.h>
#include <string.h>

/* ---- Lists -------------------------------------------------------------------------------------- */

struct listing {
    struct pop3 *p;
    uint8_t *seen; /* bit per number: its id was given */
    pop3_list_fn *fn;
    void *arg;
};

bool pop3_number(const struct pop3 *p, struct str line, uint32_t *number_r, struct str *rest_r)
{
    size_t n = 0;
    line = str_trim(line);
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
        n++;
    if (!str_u32(str_sub(line, 0, n), number_r) || *number_r == 0 || *number_r > p->count)
        return false;
    *rest_r = str_trim(str_sub(line, n, line.n));
    return true;
}

bool pop3_list_send(struct pop3 *p, struct err *err)
{
    bool all = pop3_pipelines(p);
    p->lists_sent = all ? 3 : 1;
    p->counted = false;
    return stream_printf(p->stream, err, all ? "STAT\r\nLIST\r\nUIDL\r\n" : "STAT\r\n");
}

bool pop3_list_count(struct pop3 *p, struct err *err)
{
    struct pop3_answer a;
    struct str word;
    uint64_t count;
    if (!pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        return pop3_refused(p, a.text, ERR_SERVER_TEMP, err);
    if (!str_split(&a.text, ' ', &word) || !str_u64(word, &count))
        return err_set(err, ERR_PROTOCOL, "%s: STAT gives no number", p->host);
    if (count > POP3_MESSAGES_MAX)
        return err_set(err, ERR_LIMIT, "%s: %llu messages in the maildrop are too many", p->host,
                       (unsigned long long)count);
    p->count = (uint32_t)count;
    p->counted = true;
    return true;
}

/* Lines that a server may add to an honest list before it counts as endless (THREATS 79). */
static size_t lines_max(const struct pop3 *p)
{
    return (size_t)p->count * 2 + 1000;
}

static bool list_answer(struct listing *l, struct err *err)
{
    struct pop3_answer a;
    struct str line, rest;
    if (!pop3_answer(l->p, &a, err))
        return false;
    if (!a.ok)
        return true; /* sizes stay unknown */
    for (size_t n = 0; n < lines_max(l->p); n++) {
        int r = pop3_list_line(l->p, &line, err);
        if (r <= 0)
            return r == 0;
        uint32_t number;
        uint64_t size;
        if (!pop3_number(l->p, line, &number, &rest))
            continue;
        size_t end = 0;
        while (end < rest.n && rest.p[end] >= '0' && rest.p[end] <= '9')
            end++;
        if (str_u64(str_sub(rest, 0, end), &size) && size <= (uint64_t)INT64_MAX)
            *(uint64_t *)records_at(&l->p->sizes, number) = size;
    }
    return err_set(err, ERR_LIMIT, "%s: LIST does not end", l->p->host);
}

static bool give_id(struct listing *l, uint32_t number, struct str uidl, struct err *err)
{
    char hashed[16 + 64 + 1];
    if (uidl.n > POP3_UIDL_MAX) {
        unsigned char md[32];
        unsigned n = 0;
        EVP_Digest(uidl.p, uidl.n, md, &n, EVP_sha256(), NULL);
        memcpy(hashed, "long-", 5);
        hex_encode(md, n, hashed + 5);
        uidl = str_z(hashed);
    }
    l->seen[(number - 1) / 8] |= (uint8_t)(1u << ((number - 1) % 8));
    return l->fn(l->arg, number, pop3_size(l->p, number), uidl, err);
}

static bool is_seen(const struct listing *l, uint32_t number)
{
    return (l->seen[(number - 1) / 8] >> ((number - 1) % 8) & 1) != 0;
}

static bool uidl_answer(struct listing *l, struct err *err)
{
    struct pop3_answer a;
    struct str line, rest;
    if (!pop3_answer(l->p, &a, err))
        return false;
    if (!a.ok)
        return true; /* all ids are made by hash */
    for (size_t n = 0; n < lines_max(l->p); n++) {
        int r = pop3_list_line(l->p, &line, err);
        if (r <= 0)
            return r == 0;
        uint32_t number;
        if (!pop3_number(l->p, line, &number, &rest) || rest.n == 0 || is_seen(l, number))
            continue;
        if (!give_id(l, number, rest, err))
            return false;
    }
    return err_set(err, ERR_LIMIT, "%s: UIDL does not end", l->p->host);
}

/* ---- Ids by hash -------------------------------------------------------------------------------- */

struct hashing {
    struct listing *l;
    EVP_MD_CTX *md;
    struct buf line; /* of the header, cut */
    bool body;
    struct {
        unsigned char id[32];
        uint32_t times;
    } * table; /* open addressing, twice as many places as messages */
    size_t places;
};

static bool hash_begin(void *arg, uint32_t number UNUSED, uint64_t size UNUSED, struct err *err UNUSED)
{
    struct hashing *h = arg;
    EVP_DigestInit_ex(h->md, EVP_sha256(), NULL);
    buf_reset(&h->line);
    h->body = false;
    return true;
}

static bool hash_data(void *arg, struct str bytes, struct err *err UNUSED)
{
    struct hashing *h = arg;
    while (bytes.n > 0 && !h->body) {
        size_t lf, n = str_find(bytes, '\n', &lf) ? lf + 1 : bytes.n;
        buf_adds(&h->line, str_sub(bytes, 0, MIN(n, h->line.max - h->line.n)));
        if (bytes.p[n - 1] == '\n') {
            struct str line = str_trim(buf_str(&h->line));
            h->body = line.n == 0;
            if (!pop3_fickle(line)) {
                EVP_DigestUpdate(h->md, line.p, line.n);
                EVP_DigestUpdate(h->md, "\n", 1);
            }
            buf_reset(&h->line);
        }
        bytes = str_sub(bytes, n, bytes.n);
    }
    return true;
}

/* How often was this id seen before? */
static uint32_t hash_times(struct hashing *h, const unsigned char id[32])
{
    uint64_t first;
    memcpy(&first, id, sizeof first); /* SHA-256: nobody chooses the place cheaply for many */
    for (size_t i = first % h->places;; i = (i + 1) % h->places) {
        if (h->table[i].times == 0)
            memcpy(h->table[i].id, id, 32);
        if (memcmp(h->table[i].id, id, 32) == 0)
            return h->table[i].times++;
    }
}

static bool hash_end(void *arg, uint32_t number, const struct err *why, struct err *err)
{
    struct hashing *h = arg;
    unsigned char id[32];
    char text[100];
    if (why != NULL)
        return true; /* it cannot be read: no id, so it stays on the server */
    char size[32];
    int n = snprintf(size, sizeof size, "%llu", (unsigned long long)pop3_size(h->l->p, number));
    EVP_DigestUpdate(h->md, size, (size_t)n);
    EVP_DigestFinal_ex(h->md, id, NULL);
    memcpy(text, "hash-", 5);
    hex_encode(id, sizeof id, text + 5);
    uint32_t times = hash_times(h, id);
    if (times > 0)
        snprintf(text + strlen(text), sizeof text - strlen(text), "-%u", times + 1);
    return give_id(h->l, number, str_z(text), err);
}

static bool hash_rest(struct listing *l, struct err *err)
{
    struct pop3 *p = l->p;
    uint32_t *numbers = mem_array((size_t)p->count + 1, sizeof *numbers);
    size_t n = 0;
    for (uint32_t i = 1; i <= p->count; i++) {
        if (!is_seen(l, i))
            numbers[n++] = i;
    }
    bool ok = true;
    if (n > 0) {
        struct hashing h = {.l = l, .md = EVP_MD_CTX_new(), .line = BUF_INIT(4096), .places = 2 * n + 1};
        h.table = mem_array(h.places, sizeof *h.table);
        struct pop3_sink sink = {hash_begin, hash_data, hash_end, &h};
        bool top = (p->caps & POP_CAPA) == 0 || (p->caps & POP_TOP) != 0;
        if (top && (p->caps & POP_TOP) == 0) { /* not announced: try with one */
            struct pop3_answer a;
            struct dots d = {.lf = false};
            ok = stream_printf(p->stream, err, "TOP %u 0\r\n", numbers[0]) && pop3_answer(p, &a, err);
            top = ok && a.ok;
            if (top) {
                d.lf = a.lf;
                ok = pop3_drain(p, &d, err);
            }
        }
        ok = ok && pop3_get(p, top ? POP3_TOP : POP3_RETR, numbers, n, &sink, err);
        EVP_MD_CTX_free(h.md);
        buf_fini(&h.line);
        free(h.table);
    }
    free(numbers);
    return ok;
}

bool pop3_list(struct pop3 *p, pop3_list_fn *fn, void *arg, struct err *err)
{
    stream_answer(p->stream); /* the time since the last one was ours */
    if (p->lists_sent == 0) {
        p->count = 0;
        if (!pop3_list_send(p, err))
            return false;
    }
    if (!p->counted && !pop3_list_count(p, err))
        return false;
    bool all = p->lists_sent > 1;
    p->lists_sent = 0;
    p->counted = false;
    struct listing l = {.p = p, .fn = fn, .arg = arg};
    records_clear(&p->sizes);
    l.seen = mem_array((size_t)p->count / 8 + 1, 1);
    bool ok = (all || stream_printf(p->stream, err, "LIST\r\n")) && list_answer(&l, err);
    /* Announced or not: some servers know it and do not say so, and ids by hash cost a command for each message. */
    ok = ok && (all || stream_printf(p->stream, err, "UIDL\r\n")) && uidl_answer(&l, err);
    ok = ok && hash_rest(&l, err);
    free(l.seen);
    return ok && records_ok(&p->sizes, err);
}

uint64_t pop3_size(struct pop3 *p, uint32_t number)
{
    return *(const uint64_t *)records_get(&p->sizes, number);
}
