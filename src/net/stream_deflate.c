/* COMPRESS=DEFLATE (RFC 4978): raw deflate both ways, each command flushed, with a bound on what a byte may blow up to
 * (THREATS 63). */
#include <string.h>

#include "net/stream_impl.h"

#ifdef HAVE_ZLIB
#include <zlib.h>

#define RATIO_MAX 200
#define RATIO_FROM (1u << 20) /* small answers may compress as they like */

struct deflate {
    z_stream in, out;
    char raw[16384];
    uint64_t total_in, total_out;
    bool pending; /* inflate may have more without new input */
};

bool stream_can_compress(void)
{
    return true;
}

bool stream_compress(struct stream *s, struct err *err)
{
    if (s->deflate != NULL)
        bug("stream_compress: twice");
    if (!stream_flush(s, err))
        return false;
    struct deflate *d = mem_new(sizeof *d);
    if (inflateInit2(&d->in, -15) != Z_OK ||
        deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        bug("zlib does not start");
    s->deflate = d;
    /* What was read behind the server's OK is compressed already. */
    struct str early = stream_peek(s);
    if (early.n > sizeof d->raw) {
        err_set(err, ERR_PROTOCOL, "%s: too much data where compression begins", s->host);
        return stream_break(s, err);
    }
    memcpy(d->raw, early.p, early.n);
    stream_take(s, early.n);
    d->in.next_in = (Bytef *)d->raw;
    d->in.avail_in = (uInt)early.n;
    return true;
}

void deflate_free(struct deflate **dp)
{
    struct deflate *d = *dp;
    if (d == NULL)
        return;
    inflateEnd(&d->in);
    deflateEnd(&d->out);
    explicit_bzero(d->raw, sizeof d->raw);
    free(d);
    *dp = NULL;
}

enum io deflate_read(struct stream *s, char *p, size_t n, size_t *got_r, struct err *err)
{
    struct deflate *d = s->deflate;
    for (;;) {
        if (d->in.avail_in > 0 || d->pending) {
            uInt before = d->in.avail_in;
            d->in.next_out = (Bytef *)p;
            d->in.avail_out = (uInt)MIN(n, (size_t)1 << 30);
            int z = inflate(&d->in, Z_SYNC_FLUSH);
            size_t got = (size_t)((char *)d->in.next_out - p);
            d->total_in += before - d->in.avail_in;
            d->total_out += got;
            d->pending = d->in.avail_out == 0;
            if (z == Z_STREAM_END && got == 0)
                return IO_EOF;
            if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR) {
                err_set(err, ERR_PROTOCOL, "%s: the compressed data are damaged", s->host);
                return IO_FAIL;
            }
            if (d->total_out > RATIO_FROM && d->total_out / RATIO_MAX > d->total_in) {
                err_set(err, ERR_LIMIT, "%s: the compressed data blow up beyond 1:%d", s->host, RATIO_MAX);
                return IO_FAIL;
            }
            if (got > 0) {
                *got_r = got;
                return IO_OK;
            }
        }
        if (d->in.avail_in > 0)
            continue;
        size_t raw = 0;
        enum io r = stream_raw_read(s, d->raw, sizeof d->raw, &raw, err);
        if (r != IO_OK)
            return r;
        d->in.next_in = (Bytef *)d->raw;
        d->in.avail_in = (uInt)raw;
    }
}

bool deflate_add(struct deflate *d, struct str data, struct buf *out)
{
    d->out.next_in = (Bytef *)(uintptr_t)data.p;
    d->out.avail_in = (uInt)data.n;
    do {
        char b[16384];
        d->out.next_out = (Bytef *)b;
        d->out.avail_out = sizeof b;
        if (deflate(&d->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
            return false;
        if (!buf_add(out, b, sizeof b - d->out.avail_out))
            return false;
    } while (d->out.avail_out == 0);
    return true;
}

#else

bool stream_can_compress(void)
{
    return false;
}

bool stream_compress(struct stream *s, struct err *err)
{
    return err_set(err, ERR_CONFIG, "%s: built without zlib", s->host);
}

void deflate_free(struct deflate **dp)
{
    *dp = NULL;
}

enum io deflate_read(struct stream *s, char *p UNUSED, size_t n UNUSED, size_t *got_r UNUSED, struct err *err)
{
    err_set(err, ERR_CONFIG, "%s: built without zlib", s->host);
    return IO_FAIL;
}

bool deflate_add(struct deflate *d UNUSED, struct str data UNUSED, struct buf *out UNUSED)
{
    return false;
}
#endif
