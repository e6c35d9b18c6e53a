/* Dates: RFC 5322 3.3 and 4.3, and the other forms found in Date fields. */
#include "mail/mail.h"

struct date {
    int year, month, day, hour, minute, second, zone;
    bool has_time, has_zone, bad;
};

static int64_t days_from_civil(int y, int m, int d)
{
    y -= m <= 2;
    int era = y / 400, yoe = y - era * 400;
    int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return (int64_t)era * 146097 + doe - 719468;
}

static void civil_from_days(int64_t z, int *y_r, int *m_r, int *d_r)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d_r = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m_r = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y_r = (int)(yoe + era * 400 + (*m_r <= 2));
}

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static int month_of(struct str t)
{
    for (int i = 0; t.n >= 3 && i < 12; i++)
        if (str_case_eqz(str_sub(t, 0, 3), months[i]))
            return i + 1;
    return 0;
}

static bool is_weekday(struct str t)
{
    for (int i = 0; t.n >= 3 && i < 7; i++)
        if (str_case_eqz(str_sub(t, 0, 3), weekdays[i]))
            return true;
    return false;
}

static bool number(struct str t, int max, int *n_r)
{
    uint32_t v;
    if (t.n == 0 || t.n > 6 || !str_u32(t, &v) || v > (uint32_t)max)
        return false;
    *n_r = (int)v;
    return true;
}

static void take_time(struct str t, struct date *d)
{
    struct str h, m, s = {"0", 1};
    size_t dot;
    if (str_find(t, '.', &dot) && dot >= 4)
        t.n = dot; /* fractions of seconds */
    if (!str_split(&t, ':', &h) || !str_split(&t, ':', &m)) {
        d->bad = true;
        return;
    }
    if (t.p)
        s = t;
    d->has_time = number(h, 24, &d->hour) && number(m, 59, &d->minute) && number(s, 60, &d->second);
    d->bad |= !d->has_time || d->hour == 24;
}

/* "+0100", "-05:30", "+2" */
static void take_zone(struct str t, struct date *d)
{
    int sign = t.p[0] == '-' ? -1 : 1, h = 0, m = 0;
    struct str digits = str_sub(t, 1, t.n);
    size_t colon;
    bool ok;
    if (str_find(digits, ':', &colon))
        ok = number(str_sub(digits, 0, colon), 99, &h) && number(str_sub(digits, colon + 1, digits.n), 99, &m);
    else if (digits.n <= 2)
        ok = number(digits, 99, &h);
    else
        ok =
            number(str_sub(digits, 0, digits.n - 2), 99, &h) && number(str_sub(digits, digits.n - 2, digits.n), 99, &m);
    if (!ok || h > 14 || m > 59)
        d->bad = true;
    d->zone = sign * (h * 60 + m);
    d->has_zone = true;
}

static bool take_zone_name(struct str t, struct date *d)
{
    static const struct {
        char name[5];
        int minutes;
    } zones[] = {{"UT", 0},     {"GMT", 0},    {"UTC", 0},    {"Z", 0},      {"EST", -300}, {"EDT", -240},
                 {"CST", -360}, {"CDT", -300}, {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420},
                 {"WET", 0},    {"WEST", 60},  {"CET", 60},   {"CEST", 120}, {"MET", 60},   {"MEST", 120},
                 {"BST", 60},   {"EET", 120},  {"EEST", 180}, {"MSK", 180},  {"JST", 540},  {"KST", 540}};
    for (size_t i = 0; i < COUNT(zones); i++) {
        if (str_case_eqz(t, zones[i].name)) {
            d->zone = zones[i].minutes;
            d->has_zone = true;
            return true;
        }
    }
    return false;
}

/* "2026-11-22T14:02:05+01:00", and "22-Nov-2026" of IMAP */
static bool take_dashed(struct str t, struct date *d)
{
    struct str a, b, c;
    size_t at;
    if (str_find(t, 'T', &at) && at == 10) {
        struct str clock = str_sub(t, 11, t.n);
        t.n = 10;
        size_t z = 0;
        while (z < clock.n && clock.p[z] != '+' && clock.p[z] != '-' && clock.p[z] != 'Z')
            z++;
        take_time(str_sub(clock, 0, z), d);
        if (z < clock.n && clock.p[z] != 'Z')
            take_zone(str_sub(clock, z, clock.n), d);
        else
            d->has_zone = true;
    }
    if (!str_split(&t, '-', &a) || !str_split(&t, '-', &b) || !t.p)
        return false;
    c = t;
    if (a.n == 4)
        return number(a, 9999, &d->year) && number(b, 12, &d->month) && number(c, 31, &d->day);
    d->month = month_of(b);
    return d->month && number(a, 31, &d->day) && number(c, 9999, &d->year) && c.n >= 2;
}

static void take_number(struct str t, struct date *d)
{
    int v;
    if (!number(t, 999999, &v)) {
        d->bad = true;
    } else if (d->day == 0 && t.n <= 2) {
        d->day = v;
        d->bad |= v < 1 || v > 31;
    } else if (d->year < 0) {
        d->year = t.n == 2 ? v + (v < 50 ? 2000 : 1900) : t.n == 3 ? v + 1900 : v;
    }
}

static void take(struct str t, struct date *d)
{
    size_t at;
    char c = t.p[0];
    if (str_find(t, ':', &at) && at <= 2)
        take_time(t, d);
    else if ((c == '+' || c == '-') && t.n > 1)
        take_zone(t, d);
    else if (c >= '0' && c <= '9' && str_find(t, '-', &at) && d->year < 0)
        d->bad |= !take_dashed(t, d);
    else if (c >= '0' && c <= '9')
        take_number(t, d);
    else if (d->month == 0 && month_of(t) && !(is_weekday(t) && d->day == 0 && t.n > 3))
        d->month = month_of(t);
    else if (!is_weekday(t) && !take_zone_name(t, d) && t.n > 4 && str_case_starts(t, STR("GMT")))
        take_zone(str_sub(t, 3, t.n), d);
}

/* Blanks and commas separate; comments count as a blank. At most 12 tokens are looked at. */
static void tokens(struct str raw, struct date *d)
{
    size_t depth = 0, start = SIZE_MAX;
    unsigned seen = 0;
    for (size_t i = 0; i <= raw.n && seen < 12 && !d->bad; i++) {
        char c = i < raw.n ? raw.p[i] : ' ';
        bool part = depth == 0 && (unsigned char)c > 32 && c != ',' && c != '(';
        if (part && start == SIZE_MAX)
            start = i;
        if (!part && start != SIZE_MAX) {
            take(str_sub(raw, start, i), d);
            start = SIZE_MAX;
            seen++;
        }
        if (c == '(')
            depth++;
        else if (c == ')' && depth)
            depth--;
    }
}

bool mail_date_parse(struct str raw, int64_t *time_r, int *zone_r)
{
    static const char length[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct date d = {.year = -1};
    tokens(str_trim(raw), &d);
    if (d.bad || d.year < 1970 || d.year > 2200 || d.month < 1 || d.day < 1 || d.day > length[d.month - 1])
        return false;
    int64_t t =
        days_from_civil(d.year, d.month, d.day) * 86400 + d.hour * 3600 + d.minute * 60 + d.second - d.zone * 60;
    if (t < 0)
        return false;
    *time_r = t;
    if (zone_r)
        *zone_r = d.zone;
    return true;
}

void mail_date_format(int64_t time, int zone, struct buf *out)
{
    int64_t t = time + (int64_t)zone * 60, days = t / 86400, s = t % 86400;
    if (s < 0) {
        s += 86400;
        days--;
    }
    int y, m, d;
    civil_from_days(days, &y, &m, &d);
    int64_t wd = ((days + 4) % 7 + 7) % 7;
    int z = zone < 0 ? -zone : zone;
    buf_addf(out, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d", weekdays[wd], d, months[m - 1], y, (int)(s / 3600),
             (int)(s / 60 % 60), (int)(s % 60), zone < 0 ? '-' : '+', z / 60, z % 60);
}
