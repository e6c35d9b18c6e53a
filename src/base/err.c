/* Errors: the rows of errors.def, and filling a struct err. */
#include "base/base.h"

#include <errno.h>
#include <unistd.h>

static const struct {
    const char *name;
    enum err_scope scope;
    enum err_retry retry;
    int exit_status;
    const char *hint;
} rows[] = {
#define ERR(name, scope, retry, exit_status, hint) [ERR_##name] = {#name, scope, retry, exit_status, hint},
#include "base/errors.def"
#undef ERR
};

/* A kind may have come over a channel: out of range is a broken peer's word, shown as such. */
static enum err_kind known(enum err_kind kind)
{
    return (unsigned)kind < ERR_COUNT ? kind : ERR_CHANNEL;
}

const char *err_name(enum err_kind kind)
{
    return rows[known(kind)].name;
}

enum err_scope err_scope(enum err_kind kind)
{
    return rows[known(kind)].scope;
}

enum err_retry err_retry(enum err_kind kind)
{
    return rows[known(kind)].retry;
}

int err_exit(enum err_kind kind)
{
    return rows[known(kind)].exit_status;
}

const char *err_hint(enum err_kind kind)
{
    return rows[known(kind)].hint;
}

enum err_kind err_from_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_PERMISSION;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

/* The text may quote a server or a file name: cut at the size, cleaned, in one line. */
static void store_text(struct err *err, struct str raw)
{
    struct buf clean = BUF_INIT(sizeof err->text - 1);
    struct text t = text_from_bytes(raw, TEXT_FOLD_SPACE, &clean);
    memcpy(err->text, t.n ? t.p : "", t.n);
    err->text[t.n] = '\0';
    buf_fini(&clean);
}

static PRINTF(4, 0) void set(struct err *err, enum err_kind kind, int errnum, const char *fmt, va_list ap)
{
    struct buf raw = BUF_INIT(4096);
    char number[64];
    buf_addv(&raw, fmt, ap);
    if (errnum) {
        const char *word = strerrordesc_np(errnum);
        snprintf(number, sizeof number, "error %d", errnum);
        buf_addf(&raw, ": %s", word ? word : number);
    }
    err->kind = kind;
    err->sys = errnum;
    store_text(err, buf_str(&raw));
    buf_fini(&raw);
}

bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set(err, kind, 0, fmt, ap);
    va_end(ap);
    return false;
}

bool err_sys(struct err *err, enum err_kind kind, int errnum, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set(err, kind, errnum, fmt, ap);
    va_end(ap);
    return false;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
    struct buf raw = BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&raw, fmt, ap);
    va_end(ap);
    buf_addf(&raw, ": %s", err->text);
    store_text(err, buf_str(&raw));
    buf_fini(&raw);
}

void bug(const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_msg(LOG_ERROR, "bug: %s", text);
    abort();
}
