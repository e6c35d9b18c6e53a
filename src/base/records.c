/* Records in bounded memory: a few blocks, the others in a file that has no name. */
#include "base/base.h"

#include <errno.h>
#include <unistd.h>

#define BLOCK ((size_t)16384)

void records_init(struct records *r, const char *dir, size_t size)
{
    if (size == 0 || size > RECORD_MAX)
        bug("records of %zu bytes", size);
    *r = (struct records){.dir = mem_dup_z(dir), .size = size, .fd = -1};
}

void records_clear(struct records *r)
{
    for (size_t i = 0; i < COUNT(r->blocks); i++)
        if (r->blocks[i].bytes) {
            memset(r->blocks[i].bytes, 0, BLOCK);
            r->blocks[i].at = i;
            r->blocks[i].dirty = false;
        }
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    r->err = ERR_INIT;
}

void records_fini(struct records *r)
{
    if (!r->dir)
        return;
    for (size_t i = 0; i < COUNT(r->blocks); i++)
        free(r->blocks[i].bytes);
    if (r->fd >= 0)
        close(r->fd);
    free(r->dir);
    *r = (struct records){.fd = -1};
}

static bool block_write(struct records *r, struct records_block *b)
{
    if (r->fd < 0 && (r->fd = fs_open_unnamed(r->dir, &r->err)) < 0)
        return false;
    for (size_t n = 0; n < BLOCK;) {
        ssize_t did = pwrite(r->fd, b->bytes + n, BLOCK - n, (off_t)(b->at * BLOCK + n));
        if (did < 0 && errno == EINTR)
            continue;
        if (did <= 0) {
            int why = did < 0 ? errno : ENOSPC;
            return err_sys(&r->err, err_from_errno(why), why, "cannot write to a file in %s", r->dir);
        }
        n += (size_t)did;
    }
    b->dirty = false;
    return true;
}

/* What was never written is zeros. */
static bool block_read(struct records *r, struct records_block *b)
{
    size_t n = 0;
    while (r->fd >= 0 && n < BLOCK) {
        ssize_t got = pread(r->fd, b->bytes + n, BLOCK - n, (off_t)(b->at * BLOCK + n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(&r->err, err_from_errno(errno), errno, "cannot read from a file in %s", r->dir);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    memset(b->bytes + n, 0, BLOCK - n);
    return true;
}

/* That with record i; NULL where it cannot be had. */
static struct records_block *block_of(struct records *r, uint64_t at)
{
    struct records_block *b = &r->blocks[r->last];
    if (b->bytes && b->at == at)
        return b;
    b = &r->blocks[0];
    for (size_t i = 0; i < COUNT(r->blocks); i++) {
        struct records_block *c = &r->blocks[i];
        if (c->bytes && c->at == at) {
            b = c;
            break;
        }
        if (b->bytes && (!c->bytes || c->used < b->used))
            b = c;
    }
    if (!b->bytes || b->at != at) {
        if (b->bytes && b->dirty && !block_write(r, b))
            return NULL;
        b->bytes = b->bytes ? b->bytes : mem_array(BLOCK, 1);
        b->at = at;
        if (!block_read(r, b)) {
            b->at = UINT64_MAX;
            return NULL;
        }
    }
    b->used = ++r->clock;
    r->last = (size_t)(b - r->blocks);
    return b;
}

static unsigned char *record(struct records *r, uint64_t i, bool change)
{
    size_t each = BLOCK / r->size;
    struct records_block *b = r->err.kind ? NULL : block_of(r, i / each);
    if (!b) { /* the caller sees at its end that this is none */
        memset(r->none, 0, sizeof r->none);
        return r->none;
    }
    b->dirty = b->dirty || change;
    return b->bytes + i % each * r->size;
}

const void *records_get(struct records *r, uint64_t i)
{
    return record(r, i, false);
}

void *records_at(struct records *r, uint64_t i)
{
    return record(r, i, true);
}

bool records_ok(const struct records *r, struct err *err)
{
    if (r->err.kind)
        *err = r->err;
    return r->err.kind == ERR_NONE;
}

/* ---- Sets of numbers: 64 to a record ------------------------------------------------------------ */
bool records_bit(struct records *r, uint64_t i)
{
    const uint64_t *word = records_get(r, i / 64);
    return *word >> i % 64 & 1;
}

void records_set_bit(struct records *r, uint64_t i, bool on)
{
    if (records_bit(r, i) == on)
        return;
    uint64_t *word = records_at(r, i / 64);
    *word ^= UINT64_C(1) << i % 64;
}
