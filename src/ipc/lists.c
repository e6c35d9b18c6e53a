/* Packed lists inside a BYTES field. A list from a peer may have any length: what does not fill an entry is not
 * counted. */
#include "ipc/ipc.h"

#define ID_BYTES 8
#define RANGE_BYTES 8

static uint64_t le_get(const char *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return value;
}

static void le_put(char *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (char)(value >> (8 * i) & 0xff);
}

bool ipc_ids_add(struct buf *out, uint64_t id)
{
    char le[ID_BYTES];
    le_put(le, id, ID_BYTES);
    return buf_add(out, le, ID_BYTES);
}

size_t ipc_ids_count(struct str ids)
{
    return ids.n / ID_BYTES;
}

uint64_t ipc_ids_at(struct str ids, size_t i)
{
    return i < ipc_ids_count(ids) ? le_get(ids.p + i * ID_BYTES, ID_BYTES) : 0;
}

bool ipc_ranges_add(struct buf *out, uint32_t lo, uint32_t hi)
{
    if (out->n >= RANGE_BYTES && out->n % RANGE_BYTES == 0) {
        char *last = out->p + out->n - RANGE_BYTES;
        uint32_t last_hi = (uint32_t)le_get(last + 4, 4);
        if (last_hi != UINT32_MAX && last_hi + 1 == lo) {
            le_put(last + 4, hi, 4);
            return true;
        }
    }
    char le[RANGE_BYTES];
    le_put(le, lo, 4);
    le_put(le + 4, hi, 4);
    return buf_add(out, le, RANGE_BYTES);
}

size_t ipc_ranges_count(struct str ranges)
{
    return ranges.n / RANGE_BYTES;
}

void ipc_ranges_at(struct str ranges, size_t i, uint32_t *lo_r, uint32_t *hi_r)
{
    *lo_r = *hi_r = 0;
    if (i >= ipc_ranges_count(ranges))
        return;
    *lo_r = (uint32_t)le_get(ranges.p + i * RANGE_BYTES, 4);
    *hi_r = (uint32_t)le_get(ranges.p + i * RANGE_BYTES + 4, 4);
}

/* ---- Mails of a maildrop: u32 number, u64 size, u16 length, id ---------------------------------- */
#define MAIL_BYTES 14

bool ipc_mails_add(struct buf *out, uint32_t number, uint64_t size, struct str uidl)
{
    char le[MAIL_BYTES];
    uidl = str_sub(uidl, 0, MIN(uidl.n, (size_t)IPC_UIDL_MAX));
    if (out->n + MAIL_BYTES + uidl.n > out->max)
        return false;
    le_put(le, number, 4);
    le_put(le + 4, size, 8);
    le_put(le + 12, uidl.n, 2);
    return buf_add(out, le, MAIL_BYTES) && buf_adds(out, uidl);
}

bool ipc_mails_next(struct str *rest, uint32_t *number_r, uint64_t *size_r, struct str *uidl_r)
{
    size_t n = rest->n >= MAIL_BYTES ? (size_t)le_get(rest->p + 12, 2) : 0;
    if (rest->n < MAIL_BYTES || n > IPC_UIDL_MAX || n > rest->n - MAIL_BYTES)
        return false;
    *number_r = (uint32_t)le_get(rest->p, 4);
    *size_r = le_get(rest->p + 4, 8);
    *uidl_r = str_sub(*rest, MAIL_BYTES, MAIL_BYTES + n);
    *rest = str_sub(*rest, MAIL_BYTES + n, rest->n);
    return true;
}
