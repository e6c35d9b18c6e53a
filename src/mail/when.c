/* Points in time as people type them: "2h", "tomorrow 9:30", "fri", "2026-12-24 18:00". */
#include <string.h>
#include <time.h>

#include "mail/mail.h"

enum { MORNING = 8 * 60, EVENING = 18 * 60 };

static const char *const weekdays[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

/* "9", "9:30", "21:05" as minutes of the day. */
static bool clock_word(struct str word, int *minutes_r)
{
    uint32_t hour, minute = 0;
    size_t colon;
    bool has = str_find(word, ':', &colon);
    if (!str_u32(has ? str_sub(word, 0, colon) : word, &hour) || hour > 23 ||
        (has && (word.n != colon + 3 || !str_u32(str_sub(word, colon + 1, word.n), &minute) || minute > 59)))
        return false;
    *minutes_r = (int)(hour * 60 + minute);
    return true;
}

/* The full name of a weekday, or its first letters from two on. */
static int weekday(struct str word)
{
    for (int i = 0; i < 7; i++)
        if (word.n >= 2 && str_case_starts(str_z(weekdays[i]), word))
            return i;
    return -1;
}

static bool span(struct str word, int64_t *seconds_r)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    uint32_t n;
    for (size_t i = 0; i < COUNT(units); i++)
        if (word.n > 1 && word.p[word.n - 1] == units[i].letter && str_u32(str_sub(word, 0, word.n - 1), &n) && n > 0 &&
            n <= 100000) {
            *seconds_r = n * units[i].seconds;
            return true;
        }
    return false;
}

static bool date_word(struct str word, struct tm *t)
{
    struct str rest = word, y, m;
    uint32_t year, month, day;
    if (!str_split(&rest, '-', &y) || !str_split(&rest, '-', &m) || !rest.p || !str_u32(y, &year) ||
        !str_u32(m, &month) || !str_u32(rest, &day) || year < 1970 || year > 2200 || month < 1 || month > 12 ||
        day < 1 || day > 31)
        return false;
    t->tm_year = (int)year - 1900;
    t->tm_mon = (int)month - 1;
    t->tm_mday = (int)day;
    return true;
}

/* Sets the day that the word means, or both words together. */
static bool day_word(struct str word, struct str after, struct tm *t, int *minutes, bool *taken_two)
{
    bool next = str_case_eqz(word, "next") && after.n;
    int day = next && str_case_eqz(after, "week") ? 1 : weekday(next ? after : word);
    *taken_two = next;
    if (str_case_eqz(word, "tonight") || str_case_eqz(word, "today")) {
        *minutes = EVENING;
    } else if (str_case_eqz(word, "tomorrow")) {
        t->tm_mday++;
    } else if (str_case_eqz(word, "weekend")) {
        t->tm_mday += (6 - t->tm_wday + 7) % 7 ? (6 - t->tm_wday + 7) % 7 : 7;
    } else if (day >= 0) {
        int ahead = (day - t->tm_wday + 7) % 7;
        t->tm_mday += ahead ? ahead : 7;
    } else {
        return date_word(word, t);
    }
    return true;
}

bool mail_when_parse(struct str text, int64_t now, int64_t *when_r)
{
    struct str rest = str_trim(text), words[4] = {{NULL, 0}}, word;
    size_t n = 0, at = 0;
    time_t today = (time_t)now;
    struct tm t;
    int64_t seconds;
    int minutes = MORNING;
    bool two;
    while (str_split(&rest, ' ', &word)) {
        if (word.n && n == COUNT(words))
            return false;
        if (word.n)
            words[n++] = word;
    }
    if (n && str_case_eqz(words[0], "in")) {
        memmove(words, words + 1, sizeof words - sizeof *words);
        n--;
    }
    if (!n || !localtime_r(&today, &t))
        return false;
    if (n == 1 && span(words[0], &seconds)) {
        *when_r = now + seconds;
        return true;
    }
    int clock;
    bool only_clock = n == 1 && str_find(words[0], ':', &at) && clock_word(words[0], &clock);
    if (only_clock) {
        if (clock <= t.tm_hour * 60 + t.tm_min)
            t.tm_mday++;
        minutes = clock;
    } else {
        if (!day_word(words[0], n > 1 ? words[1] : STR(""), &t, &minutes, &two))
            return false;
        at = two ? 2 : 1;
        if (at < n && str_case_eqz(words[at], "at"))
            at++;
        if (at < n && !clock_word(words[at++], &minutes))
            return false;
        if (at < n)
            return false;
    }
    t.tm_hour = minutes / 60;
    t.tm_min = minutes % 60;
    t.tm_sec = 0;
    t.tm_isdst = -1;
    time_t when = mktime(&t);
    if (when == (time_t)-1 || (int64_t)when <= now)
        return false;
    *when_r = (int64_t)when;
    return true;
}

bool mail_day_parse(struct str text, int64_t *when_r)
{
    struct tm t = {.tm_isdst = -1};
    if (!date_word(str_trim(text), &t))
        return false;
    *when_r = (int64_t)mktime(&t);
    return *when_r != -1;
}
