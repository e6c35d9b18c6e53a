/* One line a message to fd 2, in one write so that programs sharing the file do not mix. */
#include "base/base.h"

#include <unistd.h>

static const char *log_program = "tuimail";
static enum log_level log_max = LOG_WARN;

void log_open(const char *program, enum log_level max)
{
    log_program = program;
    log_max = max;
}

bool log_wants(enum log_level level)
{
    return level <= log_max;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (!log_wants(level))
        return;
    struct buf raw = BUF_INIT(4096), line = BUF_INIT(8192);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&raw, fmt, ap);
    va_end(ap);
    struct tm tm;
    time_t now = (time_t)clock_wall();
    char stamp[32] = "";
    if (gmtime_r(&now, &tm))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_addf(&line, "%s %s[%d] %s: ", stamp, log_program, (int)getpid(), names[level]);
    text_from_bytes(buf_str(&raw), TEXT_FOLD_SPACE, &line);
    line.full = false;
    buf_addc(&line, '\n');
    ssize_t n = write(STDERR_FILENO, line.p, line.n);
    (void)n; /* nobody is left to tell */
    buf_fini(&raw);
    buf_fini(&line);
}
