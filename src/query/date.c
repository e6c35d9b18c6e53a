/* Dates of queries: what notmuch's parser knows, so that a word that it does not is told where it was typed. */
#include "query/internal.h"

/* Whole words; each may be cut short, as most of them may there. */
static const char *const words[] = {
    "sunday",   "monday", "tuesday", "wednesday", "thursday", "friday",    "saturday",  "january",  "february", "march",
    "april",    "may",    "june",    "july",      "august",   "september", "october",   "november", "december", "years",
    "months",   "weeks",  "wks",     "days",      "hours",    "hrs",       "minutes",   "mins",     "seconds",  "secs",
    "one",      "two",    "three",   "four",      "five",     "six",       "seven",     "eight",    "nine",     "ten",
    "eleven",   "twelve", "dozen",   "hundred",   "this",     "last",      "yesterday", "today",    "now",      "noon",
    "midnight", "am",     "pm",      "st",        "nd",       "rd",        "th",        "ago",      "a",        "p",
    "m",        "utc",    "gmt",     "est",       "edt",      "cst",       "cdt",       "mst",      "mdt",      "pst",
    "pdt",      "cet",    "cest",    "eet",       "eest",     "wet",       "west",      "wedt",     "hst",      "akst",
    "akdt",     "ast",    "adt",     "nst",       "ndt",      "bst",       "ist",       "jst",      "kst",      "msk",
    "aest",     "aedt",   "acst",    "awst",      "nzst",     "nzdt",      "sgt",       "sast",
};

/* A word, in any case: known, or the beginning of one. */
static bool known(struct str word)
{
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_case_starts(str_z(words[i]), word))
            return true;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "2026-13-40": months and days that there are not. */
static bool iso_wrong(struct str s)
{
    uint32_t year, month, day = 1;
    if (s.n < 7 || s.p[4] != '-' || !str_u32(str_sub(s, 0, 4), &year) || !str_u32(str_sub(s, 5, 7), &month))
        return false;
    if (s.n >= 10 && s.p[7] == '-' && !str_u32(str_sub(s, 8, 10), &day))
        return false;
    return month < 1 || month > 12 || day < 1 || day > 31;
}

bool query_date(struct str v, size_t *from_r, size_t *to_r)
{
    for (size_t i = 0; i < v.n;) {
        size_t from = i;
        char c = v.p[i];
        if (is_digit(c)) {
            while (i < v.n && (is_digit(v.p[i]) || v.p[i] == '-'))
                i++;
            if (!iso_wrong(str_sub(v, from, i)))
                continue;
        } else if ((unsigned char)c >= 0x80 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
            while (i < v.n && ((unsigned char)v.p[i] >= 0x80 || ((v.p[i] | 0x20) >= 'a' && (v.p[i] | 0x20) <= 'z')))
                i++;
            if (known(str_sub(v, from, i)))
                continue;
        } else if (strchr(" _,.:/-+@!", c)) {
            i++;
            continue;
        } else {
            i++;
        }
        *from_r = from;
        *to_r = i;
        return false;
    }
    return true;
}

bool query_age(struct str age, uint32_t *n_r, const char **unit_r)
{
    static const struct {
        char unit;
        const char *word;
    } units[] = {{'h', "hours"}, {'d', "days"}, {'w', "weeks"}, {'m', "months"}, {'y', "years"}};
    if (age.n >= 2 && str_u32(str_sub(age, 0, age.n - 1), n_r))
        for (size_t i = 0; i < COUNT(units); i++)
            if ((age.p[age.n - 1] | 0x20) == units[i].unit) {
                *unit_r = units[i].word;
                return true;
            }
    return false;
}
