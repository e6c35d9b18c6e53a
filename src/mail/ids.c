/* Message ids, references and subjects (RFC 5322 3.6.4, 3.6.5; RFC 5256 2.1 in spirit). */
#include "mail/mail.h"

/* ---- Message ids -------------------------------------------------------------------------------- */
static bool id_ok(struct str id)
{
    if (id.n == 0 || id.n > MAIL_ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if ((unsigned char)id.p[i] <= 32 || id.p[i] == 127 || id.p[i] == '<' || id.p[i] == '>')
            return false;
    return true;
}

struct ids {
    struct str *list;
    size_t count; /* all that were seen; the list keeps the first and the newest */
};

static void id_add(struct ids *ids, struct str id)
{
    size_t keep = MAIL_IDS_MAX;
    if (!id_ok(id))
        return;
    size_t at = ids->count < keep ? ids->count : 1 + (ids->count - keep) % (keep - 1);
    ids->list[at] = id;
    ids->count++;
}

static void bracketed(struct str s, struct ids *ids)
{
    size_t open = SIZE_MAX;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '<') {
            open = i + 1;
        } else if (s.p[i] == '>' && open != SIZE_MAX) {
            id_add(ids, str_sub(s, open, i));
            open = SIZE_MAX;
        }
    }
}

/* Ids without brackets: only where the value holds nothing else, for "your mail of Monday, alice@example.org" names no
 * id. */
static void naked(struct str s, struct ids *ids)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s.n;) {
            size_t e = i, at;
            while (e < s.n && (unsigned char)s.p[e] > 32 && s.p[e] != ',')
                e++;
            struct str t = str_sub(s, i, e);
            if (pass == 0 && t.n && !str_find(t, '@', &at))
                return;
            if (pass == 1 && t.n)
                id_add(ids, t);
            i = e + 1;
        }
    }
}

size_t mail_ids_parse(struct str raw, struct arena *arena, struct str **ids_r)
{
    *ids_r = NULL;
    size_t most = MIN(raw.n / 2 + 1, (size_t)MAIL_IDS_MAX), open;
    if (most == MAIL_IDS_MAX || raw.n == 0)
        most = MAIL_IDS_MAX;
    struct ids ids = {.list = arena_alloc(arena, most * sizeof(struct str))};
    if (!ids.list || raw.n == 0)
        return 0;
    if (str_find(raw, '<', &open))
        bracketed(raw, &ids);
    else
        naked(raw, &ids);
    size_t n = MIN(ids.count, (size_t)MAIL_IDS_MAX);
    struct str *list = ids.list;
    if (ids.count > MAIL_IDS_MAX) { /* the ring's newest part into order */
        size_t ring = MAIL_IDS_MAX - 1, first = (ids.count - MAIL_IDS_MAX) % ring;
        list = arena_alloc(arena, MAIL_IDS_MAX * sizeof *list);
        if (!list)
            return 0;
        list[0] = ids.list[0];
        for (size_t i = 0; i < ring; i++)
            list[1 + i] = ids.list[1 + (first + i) % ring];
    }
    size_t unique = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < unique && !str_eq(list[k], list[i]))
            k++;
        if (k == unique)
            list[unique++] = list[i];
    }
    *ids_r = list;
    return unique;
}

struct str mail_id_parse(struct str raw)
{
    raw = str_trim(raw);
    size_t open, close;
    if (str_find(raw, '<', &open)) {
        struct str rest = str_sub(raw, open + 1, raw.n);
        if (str_find(rest, '>', &close))
            rest.n = close;
        rest = str_trim(rest);
        return id_ok(rest) ? rest : (struct str){"", 0};
    }
    return id_ok(raw) ? raw : (struct str){"", 0};
}

void mail_references_build(struct str references, struct str in_reply_to, struct str msgid, struct buf *out)
{
    struct str id = mail_id_parse(msgid), *ids = NULL;
    if (id.n == 0)
        return;
    struct arena *arena = arena_new(1u << 20);
    size_t n = mail_ids_parse(references, arena, &ids);
    if (n == 0)
        n = MIN(mail_ids_parse(in_reply_to, arena, &ids), (size_t)1);
    size_t used = id.n + 2, from = n;
    if (n > 0)
        used += ids[0].n + 3;
    while (from > 1 && used + ids[from - 1].n + 3 <= 900) {
        from--;
        used += ids[from].n + 3;
    }
    for (size_t i = 0; i < n; i++) {
        if ((i > 0 && i < from) || str_eq(ids[i], id))
            continue;
        buf_addf(out, "<%.*s> ", STR_FMT(ids[i]));
    }
    buf_addf(out, "<%.*s>", STR_FMT(id));
    arena_free(&arena);
}

void mail_id_new(struct str sender, struct buf *out)
{
    unsigned char r[16];
    char hex[33];
    fs_random(r, sizeof r);
    hex_encode(r, sizeof r, hex);
    hex[32] = '\0';
    struct str domain = {"", 0};
    for (size_t i = sender.n; i > 0 && domain.n == 0; i--)
        if (sender.p[i - 1] == '@')
            domain = str_sub(sender, i, sender.n);
    bool ok = domain.n > 0 && domain.n <= 255;
    for (size_t i = 0; i < domain.n; i++) {
        unsigned char c = (unsigned char)domain.p[i];
        ok &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    }
    buf_addf(out, "%s@%.*s", hex, ok ? (int)domain.n : 9, ok ? domain.p : "localhost");
}

/* ---- Subjects ----------------------------------------------------------------------------------- */
static size_t mark_length(struct str s)
{
    static const char *const marks[] = {"re",
                                        "fwd",
                                        "fw",
                                        "aw",
                                        "wg",
                                        "sv",
                                        "vs",
                                        "antw",
                                        "odp",
                                        "tr",
                                        "rv",
                                        "res",
                                        "enc",
                                        "\xe5\x9b\x9e\xe5\xa4\x8d",
                                        "\xe7\xad\x94\xe5\xa4\x8d",
                                        "\xe8\xbd\xac\xe5\x8f\x91"};
    for (size_t i = 0; i < COUNT(marks); i++) {
        size_t n = strlen(marks[i]);
        if (!str_case_starts(s, str_z(marks[i])))
            continue;
        if (n < s.n && (s.p[n] == '[' || s.p[n] == '(')) { /* Re[2]: */
            size_t k = n + 1;
            while (k < s.n && k < n + 6 && s.p[k] >= '0' && s.p[k] <= '9')
                k++;
            if (k < s.n && (s.p[k] == ']' || s.p[k] == ')'))
                n = k + 1;
        }
        while (n < s.n && s.p[n] == ' ')
            n++;
        if (n < s.n && s.p[n] == ':')
            return n + 1;
        if (str_starts(str_sub(s, n, s.n), STR("\xef\xbc\x9a"))) /* full-width colon */
            return n + 3;
    }
    return 0;
}

struct str mail_subject_base(struct str s)
{
    s = str_trim(s);
    for (;;) {
        size_t n = mark_length(s);
        if (n) {
            s = str_trim(str_sub(s, n, s.n));
        } else if (s.n > 6 && s.p[s.n - 1] == ']' && str_case_starts(s, STR("[Fwd:"))) {
            s = str_trim(str_sub(s, 5, s.n - 1));
        } else {
            return s;
        }
    }
}

void mail_subject_reply(struct str subject, struct buf *out)
{
    buf_addz(out, "Re: ");
    buf_adds(out, mail_subject_base(subject));
}

void mail_subject_forward(struct str subject, struct buf *out)
{
    buf_addz(out, "Fwd: ");
    buf_adds(out, mail_subject_base(subject));
}
