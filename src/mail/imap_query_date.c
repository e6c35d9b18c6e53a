/* Dates of queries: what libnotmuch takes, as far as people type it. */
#include <time.h>

#include "mail/imap_query_int.h"

int64_t imap_query_day(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_isdst = -1};
    return mktime(&tm);
}

/* Up to three numbers with one of the separators between; each of at most 4 digits. */
static unsigned numbers(struct str s, char between, int n[3])
{
    unsigned count = 0;
    struct str rest = s, one;
    while (count < 3 && str_split(&rest, between, &one)) {
        uint32_t v;
        if (!one.n || one.n > 4 || !str_u32(one, &v))
            return 0;
        n[count++] = (int)v;
        if (!rest.p)
            return count;
    }
    return rest.n ? 0 : count;
}

static bool calendar(int year, int month, int day, struct span *out)
{
    if (year < 1970 || year > 2200 || month < 0 || month > 12 || day < 0 || day > 31)
        return false;
    out->from = imap_query_day(year, month ? month : 1, day ? day : 1);
    out->to = day     ? imap_query_day(year, month, day + 1)
              : month ? imap_query_day(year, month + 1, 1)
                      : imap_query_day(year + 1, 1, 1);
    return true;
}

static bool date_numbers(struct str s, struct span *out)
{
    int n[3] = {0};
    unsigned count = numbers(s, '-', n);
    if (count && s.n >= 4)
        return calendar(n[0], n[1], n[2], out);
    if (numbers(s, '/', n) == 3)
        return n[0] >= 1970 ? calendar(n[0], n[1], n[2], out) : n[0] && n[1] && calendar(n[2], n[0], n[1], out);
    return numbers(s, '.', n) == 3 && n[0] && n[1] && calendar(n[2], n[1], n[0], out);
}

/* "7d", "2weeks", "1monthago": so long before now. */
bool imap_query_age(struct str s, int64_t now, struct span *out)
{
    static const struct {
        const char *words[5];
        int seconds, days, months;
    } units[] = {
        {{"s", "sec", "secs", "second", "seconds"}, 1, 0, 0}, {{"min", "mins", "minute", "minutes", NULL}, 60, 0, 0},
        {{"h", "hour", "hours", "hrs", NULL}, 3600, 0, 0},    {{"d", "day", "days", NULL, NULL}, 0, 1, 0},
        {{"w", "week", "weeks", NULL, NULL}, 0, 7, 0},        {{"m", "month", "months", NULL, NULL}, 0, 0, 1},
        {{"y", "year", "years", NULL, NULL}, 0, 0, 12}};
    size_t digits = 0;
    uint32_t n;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    struct str unit = str_sub(s, digits, s.n);
    if (!digits || !str_u32(str_sub(s, 0, digits), &n) || n > 100000)
        return false;
    for (size_t i = 0; i < COUNT(units); i++)
        for (size_t k = 0; k < COUNT(units[i].words) && units[i].words[k]; k++) {
            if (!str_eqz(unit, units[i].words[k]))
                continue;
            time_t at = (time_t)now - (time_t)n * units[i].seconds;
            struct tm tm;
            if (!localtime_r(&at, &tm))
                return false;
            tm.tm_mday -= (int)n * units[i].days;
            tm.tm_mon -= (int)n * units[i].months;
            tm.tm_isdst = -1;
            out->from = out->to = units[i].seconds ? (int64_t)at : (int64_t)mktime(&tm);
            return true;
        }
    return false;
}

static bool date_word(struct str s, int64_t now, struct span *out)
{
    static const char *const months[] = {"january", "february", "march",     "april",   "may",      "june",
                                         "july",    "august",   "september", "october", "november", "december"};
    static const char *const days[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
    time_t at = (time_t)now;
    struct tm tm;
    if (!localtime_r(&at, &tm))
        return false;
    int year = tm.tm_year + 1900, month = tm.tm_mon + 1, day = tm.tm_mday;
    if (str_eqz(s, "now"))
        return *out = (struct span){now, now}, true;
    if (str_eqz(s, "today"))
        return calendar(year, month, day, out);
    if (str_eqz(s, "yesterday"))
        return *out = (struct span){imap_query_day(year, month, day - 1), imap_query_day(year, month, day)}, true;
    if (str_eqz(s, "thisweek") || str_eqz(s, "lastweek")) {
        int monday = day - (tm.tm_wday + 6) % 7 - (s.p[0] == 'l' ? 7 : 0);
        return *out = (struct span){imap_query_day(year, month, monday), imap_query_day(year, month, monday + 7)}, true;
    }
    if (str_eqz(s, "thismonth") || str_eqz(s, "lastmonth")) {
        month -= s.p[0] == 'l';
        return *out = (struct span){imap_query_day(year, month, 1), imap_query_day(year, month + 1, 1)}, true;
    }
    if (str_eqz(s, "thisyear") || str_eqz(s, "lastyear"))
        return calendar(year - (s.p[0] == 'l'), 0, 0, out);
    for (int i = 0; i < 12 && s.n >= 3; i++)
        if (str_starts(str_z(months[i]), s))
            return calendar(i + 1 > month ? year - 1 : year, i + 1, 0, out);
    for (int i = 0; i < 7 && s.n >= 3; i++)
        if (str_starts(str_z(days[i]), s)) {
            int back = (tm.tm_wday - i + 7) % 7;
            return *out = (struct span){imap_query_day(year, month, day - back),
                                        imap_query_day(year, month, day - back + 1)},
                   true;
        }
    return false;
}

bool imap_query_date(struct str raw, int64_t now, struct span *out)
{
    struct buf plain = BUF_INIT(64);
    bool fits = true;
    uint64_t seconds;
    for (size_t i = 0; i < raw.n && fits; i++) {
        char c = raw.p[i];
        if (c != ' ' && c != '_')
            fits = buf_addc(&plain, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    struct str s = buf_str(&plain);
    if (s.n > 3 && str_eqz(str_sub(s, s.n - 3, s.n), "ago"))
        s = str_sub(s, 0, s.n - 3);
    bool ok = fits && s.n > 0;
    if (ok && s.p[0] == '@') {
        ok = str_u64(str_sub(s, 1, s.n), &seconds) && seconds < UINT64_C(7258118400);
        *out = (struct span){(int64_t)seconds, (int64_t)seconds + 1};
    } else if (ok) {
        ok = date_numbers(s, out) || imap_query_age(s, now, out) || date_word(s, now, out);
    }
    buf_fini(&plain);
    return ok;
}

bool imap_query_dates(struct str value, int64_t now, int64_t *from_r, int64_t *to_r)
{
    size_t dots = 0;
    while (dots + 1 < value.n && (value.p[dots] != '.' || value.p[dots + 1] != '.'))
        dots++;
    bool range = dots + 1 < value.n;
    struct str a = str_trim(range ? str_sub(value, 0, dots) : value);
    struct str b = range ? str_trim(str_sub(value, dots + 2, value.n)) : a;
    struct span first, last;
    if (str_eqz(b, "!"))
        b = a;
    if ((a.n && !imap_query_date(a, now, &first)) || (b.n && !imap_query_date(b, now, &last)) || (!a.n && !b.n))
        return false;
    *from_r = a.n ? first.from : INT64_MIN;
    *to_r = b.n ? last.to : INT64_MAX;
    if (!range && *from_r == *to_r) { /* a point in time alone is its day */
        time_t at = (time_t)*from_r;
        struct tm tm;
        if (!localtime_r(&at, &tm))
            return false;
        *from_r = imap_query_day(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        *to_r = imap_query_day(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday + 1);
    }
    return true;
}
