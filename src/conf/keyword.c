/* Tags and the keywords by which an IMAP server keeps them. A keyword is an atom, and servers do not tell its case
 * (RFC 9051 2.3.2, 9), so what stands in no atom is "=" and two digits of base 16 for each octet, which no change of
 * case alters. */
#include "conf/internal.h"

/* Registered keywords with a meaning that a tag can have (RFC 5788, RFC 8457), and Thunderbird's five, whose names
 * are each user's own. */
static const struct {
    const char *tag, *keyword;
} usual[] = {{"phishing", "$Phishing"}, {"important", "$Important"}, {"label1", "$label1"}, {"label2", "$label2"},
             {"label3", "$label3"},     {"label4", "$label4"},       {"label5", "$label5"}};

/* Words that are flags of a message to other programs, with "$" or without, and one that is none in the grammar. */
static const char *const no_tags[] = {"Junk",      "NonJunk",    "NotJunk", "NoJunk",
                                      "Forwarded", "$Forwarded", "MDNSent", "NIL"};

static bool is_special(struct str word)
{
    for (size_t i = 0; i < COUNT(no_tags); i++)
        if (str_case_eqz(word, no_tags[i]))
            return true;
    return false;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* "=" and two digits at `i`. */
static bool escape_at(struct str s, size_t i)
{
    return i + 2 < s.n && s.p[i] == '=' && hex_of(s.p[i + 1]) >= 0 && hex_of(s.p[i + 2]) >= 0;
}

/* As the rule above says, whatever tables have; a blank of the tag is written as everywhere (mail/tag.h). */
static bool plain_keyword(struct str tag, struct buf *out)
{
    size_t from = out->n;
    bool special = is_special(tag);
    for (size_t i = 0; i < tag.n; i++) {
        unsigned char c = (unsigned char)tag.p[i];
        if (c == 0xC2 && i + 1 < tag.n && (unsigned char)tag.p[i + 1] == 0xA0) {
            buf_addz(out, "=20");
            i++;
        } else if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c) || (i == 0 && (special || c == '$')) ||
                   escape_at(tag, i)) {
            buf_addf(out, "=%02X", c);
        } else {
            buf_addc(out, (char)c);
        }
    }
    if (!out->full && out->n - from <= TAG_KEYWORD_MAX)
        return tag.n > 0;
    out->n = from;
    return false;
}

static void unescape(struct str keyword, struct buf *out)
{
    for (size_t i = 0; i < keyword.n; i++) {
        bool escape = escape_at(keyword, i);
        int c = escape ? hex_of(keyword.p[i + 1]) * 16 + hex_of(keyword.p[i + 2]) : (unsigned char)keyword.p[i];
        if (escape && c == ' ')
            buf_addz(out, "\xC2\xA0");
        else
            buf_addc(out, (char)c);
        i += escape ? 2 : 0;
    }
}

static bool fits(const struct tag_keyword *k, const char *account)
{
    return !k->account[0] || strcmp(k->account, account) == 0;
}

/* The last line of tuimailrc that fits counts. */
static const struct tag_keyword *by_hand(const struct tag_names *names, struct str tag, struct str keyword)
{
    for (size_t i = names->n; i-- > 0;) {
        const struct tag_keyword *k = &names->list[i];
        if (fits(k, names->account) &&
            (tag.n ? str_eqz(tag, k->tag) : k->keyword[0] && str_case_eqz(keyword, k->keyword)))
            return k;
    }
    return NULL;
}

bool tag_to_keyword(const struct tag_names *names, struct str tag, struct buf *out)
{
    const struct tag_keyword *k = by_hand(names, tag, STR(""));
    if (!tag_is(tag) || tag_reserved(tag) || (k && !k->keyword[0]))
        return false;
    if (k)
        return buf_addz(out, k->keyword);
    for (size_t i = 0; i < COUNT(usual); i++)
        if (str_eqz(tag, usual[i].tag))
            return buf_addz(out, usual[i].keyword);
    return plain_keyword(tag, out);
}

/* A keyword that is not as we would write it is a tag as it stands. */
static bool plain_tag(struct str keyword, struct buf *out)
{
    struct buf tag = BUF_INIT(4 * TAG_KEYWORD_MAX), again = BUF_INIT(4 * TAG_KEYWORD_MAX);
    unescape(keyword, &tag);
    bool ours = tag_is(buf_str(&tag)) && plain_keyword(buf_str(&tag), &again) && str_case_eq(buf_str(&again), keyword);
    struct str word = ours ? buf_str(&tag) : keyword;
    bool ok = tag_is(word) && !tag_reserved(word) && !(is_special(word) && !ours) && buf_adds(out, word);
    buf_fini(&tag);
    buf_fini(&again);
    return ok;
}

bool tag_of_keyword(const struct tag_names *names, struct str keyword, struct buf *out)
{
    const struct tag_keyword *k = by_hand(names, STR(""), keyword);
    if (k)
        return buf_addz(out, k->tag);
    for (size_t i = 0; i < COUNT(usual); i++)
        if (str_case_eqz(keyword, usual[i].keyword))
            return buf_addz(out, usual[i].tag);
    size_t from = out->n;
    if (keyword.n > TAG_KEYWORD_MAX || !plain_tag(keyword, out))
        return false;
    k = by_hand(names, (struct str){out->p + from, out->n - from}, STR(""));
    if (!k || k->keyword[0])
        return true;
    out->n = from; /* a tag that stays here has no namesake on the server */
    return false;
}

static void word_put(struct str word, char sign, struct buf *out)
{
    struct str have = buf_str(out), one;
    while (str_split(&have, ' ', &one))
        if (one.n > 1 && one.p[0] == sign && str_case_eq(str_sub(one, 1, one.n), word))
            return;
    buf_addf(out, "%s%c%.*s", out->n ? " " : "", sign, STR_FMT(word));
}

/* Could it stand in a list of flags as it is? */
static bool is_atom(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((unsigned char)word.p[i] <= ' ' || (unsigned char)word.p[i] >= 0x7f || strchr("(){%*\"\\]", word.p[i]))
            return false;
    return word.n > 0 && !is_special(word);
}

void tags_to_keywords(const struct tag_names *names, struct str words, struct buf *out)
{
    struct str w;
    while (str_split(&words, ' ', &w)) {
        struct buf keyword = BUF_INIT(4 * TAG_KEYWORD_MAX);
        if (w.n < 2 || (w.p[0] != '+' && w.p[0] != '-'))
            continue;
        struct str tag = str_sub(w, 1, w.n);
        if (tag_to_keyword(names, tag, &keyword)) {
            word_put(buf_str(&keyword), w.p[0], out);
            /* the other forms in which another program may have given it */
            buf_reset(&keyword);
            if (w.p[0] == '-' && plain_keyword(tag, &keyword))
                word_put(buf_str(&keyword), '-', out);
            if (w.p[0] == '-' && is_atom(tag))
                word_put(tag, '-', out);
        }
        buf_fini(&keyword);
    }
}

bool tag_is(struct str tag)
{
    if (!tag.n || tag.n > TAG_MAX || tag.p[0] == '-' || tag.p[0] == '+' || !utf8_valid(tag))
        return false;
    for (size_t i = 0; i < tag.n; i++)
        if ((unsigned char)tag.p[i] <= ' ' || tag.p[i] == 0x7f)
            return false;
    return true;
}

struct tag_names conf_tag_names(const struct conf *conf, const char *account)
{
    return (struct tag_names){conf->tag_keywords, conf->ntag_keywords, account};
}

/* ---- tag-keyword -------------------------------------------------------------------------------- */
static bool keyword_ok(const char *word)
{
    static const char *const flags[] = {"$Forwarded", "$Junk", "$NotJunk", "$MDNSent", RULED_KEYWORD};
    for (size_t i = 0; i < COUNT(flags); i++)
        if (str_case_eqz(str_z(word), flags[i]))
            return false;
    return is_atom(str_z(word)) && strlen(word) <= TAG_KEYWORD_MAX;
}

bool conf_tag_keyword(struct conf *conf, const struct line *line, struct err *err)
{
    bool has_account = line->n == 5 && strcmp(line->words[3], "-account") == 0;
    if (line->n != 3 && !has_account)
        return err_set(err, ERR_CONFIG, "write: tag-keyword TAG KEYWORD [-account NAME]; -local in place of KEYWORD");
    const char *tag = line->words[1], *keyword = line->words[2];
    bool local = strcmp(keyword, "-local") == 0;
    if (!tag_is(str_z(tag)) || tag_reserved(str_z(tag)))
        return err_set(err, ERR_CONFIG, "tag-keyword: \"%.80s\" is no tag that can be given", tag);
    if (!local && !keyword_ok(keyword))
        return err_set(err, ERR_CONFIG, "tag-keyword: \"%.80s\" is no keyword, or has a meaning of its own", keyword);
    conf->tag_keywords = mem_resize(conf->tag_keywords, conf->ntag_keywords + 1, sizeof *conf->tag_keywords);
    conf->tag_keywords[conf->ntag_keywords++] = (struct tag_keyword){mem_dup_z(tag), mem_dup_z(local ? "" : keyword),
                                                                     mem_dup_z(has_account ? line->words[4] : "")};
    return true;
}

void tag_keywords_free(struct conf *conf)
{
    for (size_t i = 0; i < conf->ntag_keywords; i++) {
        free(conf->tag_keywords[i].tag);
        free(conf->tag_keywords[i].keyword);
        free(conf->tag_keywords[i].account);
    }
    free(conf->tag_keywords);
}
