/* What filters wrote into a header. */
#include "mail/filter.h"

/* SpamAssassin and amavis, rspamd, bogofilter, DSPAM, CRM114, SpamProbe, Barracuda, Vade, Exchange. */
static const struct {
    const char *name;
    bool verdict; /* its first word that means something is yes or no */
    bool score;
} known[] = {
    {"X-Spam-Flag", true, false},
    {"X-Spam-Status", true, true},
    {"X-Spam-Level", false, true},
    {"X-Spam-Score", false, true},
    {"X-Spam", true, false},
    {"X-Spamd-Result", true, true},
    {"X-Spamd-Bar", false, true},
    {"X-Rspamd-Action", true, false},
    {"X-Rspamd-Score", false, true},
    {"X-Bogosity", true, false},
    {"X-DSPAM-Result", true, false},
    {"X-CRM114-Status", true, false},
    {"X-SpamProbe", true, false},
    {"X-Barracuda-Spam-Status", true, false},
    {"X-Barracuda-Spam-Flag", true, false},
    {"X-VR-SPAMSTATE", true, false},
    {"X-Virus-Status", false, false},
    {"X-MS-Exchange-Organization-SCL", false, true},
    {"X-Microsoft-Antispam", false, false},
    {"Auto-Submitted", false, false},
    {"Precedence", false, false},
};

/* "Unsure" and "greylist" are neither. */
static const struct {
    const char *word;
    bool spam;
} verdicts[] = {{"yes", true},       {"true", true},    {"spam", true}, {"add", true},         {"rewrite", true},
                {"reject", true},    {"discard", true}, {"no", false},  {"false", false},      {"ham", false},
                {"innocent", false}, {"good", false},   {"ok", false},  {"whitelisted", false}};

static const char *known_as(struct str name, size_t *at_r)
{
    for (size_t i = 0; i < COUNT(known); i++)
        if (str_case_eqz(name, known[i].name)) {
            *at_r = i;
            return known[i].name;
        }
    return NULL;
}

bool filter_field(struct str name)
{
    size_t at;
    return known_as(name, &at) != NULL;
}

/* ---- Words -------------------------------------------------------------------------------------- */

static bool word_char(unsigned char c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c != '\0' && strchr("._-+@/", c) != NULL);
}

void filter_words(struct str value, filter_word_fn *fn, void *arg)
{
    char word[FILTER_WORD_MAX];
    size_t count = 0;
    for (size_t at = 0; at < value.n && count < FILTER_WORDS_MAX;) {
        size_t end = at;
        while (end < value.n && word_char((unsigned char)value.p[end]))
            end++;
        size_t from = at, to = end;
        while (from < to && strchr("._-+@/", value.p[from]) != NULL)
            from++;
        while (to > from && strchr("._-+@/", value.p[to - 1]) != NULL)
            to--;
        at = end + 1;
        if (to == from || to - from > sizeof word)
            continue;
        for (size_t i = from; i < to; i++)
            word[i - from] = value.p[i] >= 'A' && value.p[i] <= 'Z' ? (char)(value.p[i] | 0x20) : value.p[i];
        fn(arg, (struct str){word, to - from});
        count++;
    }
}

/* ---- Marks -------------------------------------------------------------------------------------- */

struct marks {
    struct buf *out;
    char name[80]; /* in lower case, of the field at hand */
    bool judged, spam, ham;
};

static void put_word(void *arg, struct str word)
{
    struct marks *m = arg;
    if (utf8_valid(word))
        buf_addf(m->out, "%s=%.*s\n", m->name, STR_FMT(word));
}

static void judge(void *arg, struct str word)
{
    struct marks *m = arg;
    for (size_t i = 0; i < COUNT(verdicts) && !m->judged; i++)
        if (str_eqz(word, verdicts[i].word)) {
            m->judged = true;
            m->spam = m->spam || verdicts[i].spam;
            m->ham = m->ham || !verdicts[i].spam;
        }
}

/* The whole part of a number; 0 where there is none or it is negative. */
static unsigned whole(struct str s)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && n <= FILTER_LEVEL_MAX; i++)
        n = n * 10 + (unsigned)(s.p[i] - '0');
    return MIN(n, (unsigned)FILTER_LEVEL_MAX);
}

/* "score=7.2", "[12.30 / 15.00]", "*****", "++++", "7.2". */
static unsigned level_of(struct str value)
{
    static const char *const before[] = {"score=", "hits=", "["};
    unsigned n = 0;
    if (value.n > 0 && (value.p[0] == '*' || value.p[0] == '+'))
        while (n < value.n && value.p[n] == value.p[0] && n < FILTER_LEVEL_MAX)
            n++;
    if (n > 0)
        return n;
    for (size_t i = 0; i < COUNT(before); i++) {
        const char *at = value.n > 0 ? memmem(value.p, value.n, before[i], strlen(before[i])) : NULL;
        if (at != NULL)
            return whole(str_trim(str_sub(value, (size_t)(at - value.p) + strlen(before[i]), value.n)));
    }
    return whole(value);
}

static bool listed(struct str names, struct str name)
{
    struct str one;
    while (str_split(&names, '\n', &one))
        if (one.n > 0 && str_case_eq(one, name))
            return true;
    return false;
}

void filter_marks(const struct mail_header *h, struct str also, struct buf *out)
{
    struct marks m = {.out = out};
    unsigned level = 0, fields = 0;
    for (size_t i = 0; i < h->count && fields < FILTER_FIELDS_MAX; i++) {
        struct str name = h->fields[i].name, value = h->fields[i].value;
        size_t at = COUNT(known);
        if ((!known_as(name, &at) && !listed(also, name)) || name.n >= sizeof m.name)
            continue;
        struct buf plain = BUF_INIT(8192);
        mail_words_decode(str_sub(value, 0, 8000), &plain);
        value = buf_str(&plain);
        fields++;
        for (size_t k = 0; k < name.n; k++)
            m.name[k] = name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] | 0x20) : name.p[k];
        m.name[name.n] = '\0';
        buf_addf(out, "header=%s\n", m.name);
        filter_words(value, put_word, &m);
        m.judged = false;
        if (at < COUNT(known) && known[at].verdict)
            filter_words(value, judge, &m);
        if (at < COUNT(known) && known[at].score)
            level = MAX(level, level_of(value));
        buf_fini(&plain);
    }
    if (m.spam || m.ham)
        buf_addf(out, "spam=%s\n", m.spam ? "yes" : "no");
    for (unsigned i = 1; i <= level; i++)
        buf_addf(out, "spamlevel=%u\n", i);
}
