/* Mailbox names (RFC 3501 5.1.3), sequence sets, flags and dates: text <-> values. */
#include "net/imap.h"

#include "mail/tag.h"
#include "mail/utf7.h"

#include <openssl/evp.h>

#define LABEL_MAX 255 /* bytes */

bool imap_name_decode(struct str name, struct buf *out)
{
    return mail_utf7_decode(name, out);
}

bool imap_name_encode(struct str utf8, struct buf *out)
{
    return mail_utf7_encode(utf8, out);
}

void imap_box_key(struct str name, uint32_t uidvalidity, char out[33])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned char v[4] = {(unsigned char)(uidvalidity >> 24), (unsigned char)(uidvalidity >> 16),
                          (unsigned char)(uidvalidity >> 8), (unsigned char)uidvalidity};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) || !EVP_DigestUpdate(ctx, v, sizeof(v)) ||
        !EVP_DigestUpdate(ctx, name.p ? name.p : "", name.n) || !EVP_DigestFinal_ex(ctx, md, NULL))
        bug("SHA-256 is not available");
    EVP_MD_CTX_free(ctx);
    hex_encode(md, 16, out);
}

/* ---- Sets and numbers --------------------------------------------------------------------------- */
static bool number_take(struct str *s, uint32_t *n_r)
{
    size_t i = 0;
    if (s->n && s->p[0] == '*') {
        *n_r = UINT32_MAX;
        *s = str_sub(*s, 1, s->n);
        return true;
    }
    while (i < s->n && s->p[i] >= '0' && s->p[i] <= '9')
        i++;
    if (!i || !str_u32(str_sub(*s, 0, i), n_r) || !*n_r)
        return false;
    *s = str_sub(*s, i, s->n);
    return true;
}

bool imap_set_next(struct str *rest, uint32_t *lo_r, uint32_t *hi_r)
{
    struct str s = *rest;
    uint32_t lo, hi;
    if (!number_take(&s, &lo))
        return false;
    hi = lo;
    if (s.n && s.p[0] == ':') {
        s = str_sub(s, 1, s.n);
        if (!number_take(&s, &hi))
            return false;
    }
    if (s.n && s.p[0] == ',')
        s = str_sub(s, 1, s.n);
    else if (s.n)
        return false;
    *lo_r = MIN(lo, hi);
    *hi_r = MAX(lo, hi);
    *rest = s;
    return true;
}

bool imap_number_next(struct str *rest, uint32_t *n_r)
{
    while (rest->n && rest->p[0] == ' ')
        *rest = str_sub(*rest, 1, rest->n);
    return rest->n && rest->p[0] != '*' && number_take(rest, n_r) && (!rest->n || rest->p[0] == ' ');
}

/* ---- Flags -------------------------------------------------------------------------------------- */
static const struct {
    uint32_t flag;
    const char *word;
} flag_words[] = {
    {FLAG_SEEN, "\\Seen"},
    {FLAG_ANSWERED, "\\Answered"},
    {FLAG_FLAGGED, "\\Flagged"},
    {FLAG_DELETED, "\\Deleted"},
    {FLAG_DRAFT, "\\Draft"},
    {FLAG_FORWARDED, "$Forwarded"},
    {FLAG_JUNK, "$Junk"},
    {FLAG_NOTJUNK, "$NotJunk"},
    {FLAG_MDNSENT, "$MDNSent"},
    /* as programs wrote them before they were registered: read, and taken off */
    {FLAG_JUNK, "Junk"},
    {FLAG_NOTJUNK, "NonJunk"},
};
#define FLAG_WORDS_OLD 2

bool imap_keyword_valid(struct str word)
{
    if (!word.n || word.n > 255)
        return false;
    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];
        if (c <= 0x20 || c >= 0x7F || strchr("(){%*\"\\]", c))
            return false;
    }
    return true;
}

void imap_flag_read(struct str word, uint32_t *flags_r, struct buf *keywords)
{
    for (size_t i = 0; i < COUNT(flag_words); i++)
        if (str_case_eqz(word, flag_words[i].word)) {
            *flags_r |= flag_words[i].flag;
            return;
        }
    imap_keyword_add(word, keywords);
}

static void word_add(struct str word, struct buf *keywords)
{
    struct str have = buf_str(keywords), w;
    if (keywords->n + word.n + 1 > keywords->max)
        return;
    while (str_split(&have, ' ', &w))
        if (str_case_eq(w, word))
            return;
    if (keywords->n)
        buf_addc(keywords, ' ');
    buf_adds(keywords, word);
}

void imap_keyword_add(struct str word, struct buf *keywords)
{
    if (imap_keyword_valid(word))
        word_add(word, keywords);
}

void imap_label_add(struct str label, bool utf8, struct buf *keywords)
{
    struct buf name = BUF_INIT(LABEL_MAX), word = BUF_INIT(2 * LABEL_MAX);
    if (utf8)
        buf_adds(&name, label);
    else
        imap_name_decode(label, &name);
    bool ok = !name.full && name.n && utf8_valid(buf_str(&name)) && !memmem(name.p, name.n, TAG_BLANK, 2);
    for (size_t i = 0; ok && i < name.n; i++)
        ok = (unsigned char)name.p[i] >= ' ' && name.p[i] != 0x7F;
    if (ok) {
        tag_to_word(buf_str(&name), &word);
        word_add(buf_str(&word), keywords);
    }
    buf_fini(&name);
    buf_fini(&word);
}

bool imap_label_name(struct str word, struct buf *out)
{
    struct buf name = BUF_INIT(LABEL_MAX);
    tag_from_word(word, &name);
    bool ok = !name.full && name.n && imap_name_encode(buf_str(&name), out);
    buf_fini(&name);
    return ok;
}

void imap_flags_write(uint32_t flags, struct buf *out)
{
    const char *sep = "";
    for (size_t i = 0; i < COUNT(flag_words) - FLAG_WORDS_OLD; i++)
        if (flags & flag_words[i].flag) {
            buf_addf(out, "%s%s", sep, flag_words[i].word);
            sep = " ";
        }
}

void imap_flags_old(uint32_t flags, struct buf *out)
{
    for (size_t i = COUNT(flag_words) - FLAG_WORDS_OLD; i < COUNT(flag_words); i++)
        if (flags & flag_words[i].flag)
            buf_addf(out, "%s%s", out->n ? " " : "", flag_words[i].word);
}

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void imap_date_write(int64_t when, struct buf *out)
{
    struct tm tm;
    time_t t = (time_t)MAX(0, MIN(when, INT64_C(253402300799))); /* the form has four digits for the year */
    if (gmtime_r(&t, &tm))
        buf_addf(out, "%2d-%s-%04d %02d:%02d:%02d +0000", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
                 tm.tm_min, tm.tm_sec);
}

/* Two or four digits; a blank may stand for the first. */
static bool digits(const char *p, unsigned n, int *v_r)
{
    int v = 0;
    for (unsigned i = 0; i < n; i++) {
        char ch = i == 0 && p[i] == ' ' ? '0' : p[i];
        if (ch < '0' || ch > '9')
            return false;
        v = v * 10 + (ch - '0');
    }
    *v_r = v;
    return true;
}

bool imap_date_read(struct str q, int64_t *time_r)
{
    static const char form[] = "\"__-___-____ __:__:__ _____\"";
    int day, year, hour, minute, second, zone_h, zone_m, month = 0;
    if (q.n != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < q.n; i++)
        if (form[i] != '_' && form[i] != q.p[i])
            return false;
    while (month < 12 && !str_case_eq(str_sub(q, 4, 7), str_z(months[month])))
        month++;
    if (month == 12 || !digits(q.p + 1, 2, &day) || !digits(q.p + 8, 4, &year) || !digits(q.p + 13, 2, &hour) ||
        !digits(q.p + 16, 2, &minute) || !digits(q.p + 19, 2, &second) || !digits(q.p + 23, 2, &zone_h) ||
        !digits(q.p + 25, 2, &zone_m) || (q.p[22] != '+' && q.p[22] != '-'))
        return false;
    if (day < 1 || day > 31 || year < 1970 || year > 2200 || hour > 23 || minute > 59 || second > 60 || zone_m > 59)
        return false;
    /* days since 1970 of a Gregorian date: March begins the year, so that the leap day ends it */
    int64_t y = year - (month < 2), yoe = y % 400, doy = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    int64_t days = y / 400 * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    int64_t zone = (zone_h * 60 + zone_m) * (q.p[22] == '-' ? -60 : 60);
    *time_r = days * 86400 + hour * 3600 + minute * 60 + second - zone;
    return true;
}
