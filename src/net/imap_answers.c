/* The short answers, each with a small parser of ours: LIST, STATUS, NAMESPACE, QUOTA, ID, ESEARCH, VANISHED ...
 * (RFC 9051, 2087, 2342, 2971, 4731, 5258, 7162, 7889, 8438, 8474, 9208, 9394). libetpan's grammar lacks their
 * extensions. */
#include "net/imap_internal.h"

/* ---- Mailboxes: LIST, STATUS, NAMESPACE --------------------------------------------------------- */
static const struct {
    const char *word;
    uint32_t attr;
    uint8_t role;
} box_words[] = {
    {"\\Noselect", BOX_NOSELECT, 0},
    {"\\NonExistent", BOX_NONEXISTENT | BOX_NOSELECT, 0},
    {"\\Noinferiors", BOX_NOINFERIORS, 0},
    {"\\HasChildren", BOX_HASCHILDREN, 0},
    {"\\Subscribed", BOX_SUBSCRIBED, 0},
    {"\\Archive", 0, BOX_ARCHIVE},
    {"\\Drafts", 0, BOX_DRAFTS},
    {"\\Sent", 0, BOX_SENT},
    {"\\Trash", 0, BOX_TRASH},
    {"\\Junk", 0, BOX_JUNK},
    {"\\All", 0, BOX_ALL},
    {"\\Flagged", 0, BOX_FLAGGED},
    {"\\Important", 0, BOX_IMPORTANT},
};

static bool name_ok(struct str name)
{
    return name.n <= IMAP_NAME_MAX && !memchr(name.p, 0, name.n);
}

/* The children that CHILDINFO names are shown by their own lines; OLDNAME says what was renamed. */
static void list_extended(struct cursor *c, struct arena *arena, struct imap_list *l)
{
    while (!c->bad && c->p < c->end && *c->p != ')') {
        struct str word = cursor_string(c, arena, NULL);
        cursor_space(c);
        struct str value = cursor_value(c);
        struct cursor in = cursor_on(value);
        if (!c->bad && str_case_eqz(word, "OLDNAME") && cursor_is(&in, '(')) {
            struct str old = cursor_string(&in, arena, NULL);
            if (!in.bad && name_ok(old))
                l->oldname = old;
        } else if (!c->bad && str_case_eqz(word, "CHILDINFO")) {
            l->attrs |= BOX_HASCHILDREN;
        }
        while (cursor_is(c, ' '))
            ;
    }
}

static bool parse_list(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    struct imap_list *l = &ev->list;
    bool nil;
    if (!cursor_is(c, '('))
        return false;
    while (c->p < c->end && !cursor_is(c, ')')) {
        struct str word = cursor_word(c);
        for (size_t i = 0; i < COUNT(box_words); i++)
            if (str_case_eqz(word, box_words[i].word)) {
                l->attrs |= box_words[i].attr;
                l->role = box_words[i].role ? box_words[i].role : l->role;
            }
        if (!word.n && !cursor_is(c, ' '))
            return false;
    }
    cursor_space(c);
    struct str delim = cursor_string(c, arena, &nil);
    if (!nil && delim.n == 1)
        l->delim = delim.p[0];
    cursor_space(c);
    if (c->bad)
        return false;
    l->name = cursor_string(c, arena, NULL);
    if (c->bad || !l->name.n || !name_ok(l->name))
        return false;
    if (str_case_eqz(l->name, "INBOX"))
        l->role = BOX_INBOX;
    /* What follows the name is extended data, unless an unquoted name held an odd byte: then it means nothing. */
    struct cursor more = *c;
    if (cursor_is(&more, ' ') && cursor_is(&more, '('))
        list_extended(&more, arena, l);
    return true;
}

struct str imap_object_id(struct str value)
{
    struct str id = value.n > 2 && value.p[0] == '(' && value.p[value.n - 1] == ')' ? str_sub(value, 1, value.n - 1)
                                                                                    : (struct str){"", 0};
    for (size_t i = 0; i < id.n; i++) {
        unsigned char ch = (unsigned char)id.p[i];
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z') && !(ch >= '0' && ch <= '9') && ch != '_' &&
            ch != '-')
            return (struct str){"", 0};
    }
    return id.n <= IMAP_ID_MAX ? id : (struct str){"", 0};
}

static const struct {
    const char *word;
    size_t at;
    bool wide;
    uint64_t max;
} status_words[] = {
    {"MESSAGES", offsetof(struct imap_status, messages), false, UINT32_MAX - 1},
    {"UNSEEN", offsetof(struct imap_status, unseen), false, UINT32_MAX - 1},
    {"UIDNEXT", offsetof(struct imap_status, uidnext), false, UINT32_MAX - 1},
    {"UIDVALIDITY", offsetof(struct imap_status, uidvalidity), false, UINT32_MAX - 1},
    {"DELETED", offsetof(struct imap_status, deleted), false, UINT32_MAX - 1},
    {"HIGHESTMODSEQ", offsetof(struct imap_status, modseq), true, INT64_MAX},
    {"SIZE", offsetof(struct imap_status, size), true, INT64_MAX},
    {"APPENDLIMIT", offsetof(struct imap_status, appendlimit), true, UINT64_MAX - 1},
};

static void status_item(struct imap_status *s, struct str word, struct str value)
{
    uint64_t n;
    if (str_case_eqz(word, "MAILBOXID"))
        s->mailboxid = imap_object_id(value);
    if (!str_u64(value, &n))
        return;
    for (size_t i = 0; i < COUNT(status_words); i++) {
        void *at = (char *)s + status_words[i].at;
        if (n > status_words[i].max || !str_case_eqz(word, status_words[i].word))
            continue;
        if (status_words[i].wide)
            *(uint64_t *)at = n;
        else
            *(uint32_t *)at = (uint32_t)n;
    }
}

static bool parse_status(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    struct imap_status *s = &ev->status;
    s->messages = s->unseen = s->uidnext = s->uidvalidity = s->deleted = UINT32_MAX;
    s->size = s->appendlimit = UINT64_MAX;
    s->name = cursor_string(c, arena, NULL);
    cursor_space(c);
    if (c->bad || !name_ok(s->name) || !cursor_is(c, '('))
        return false;
    while (c->p < c->end && *c->p != ')') {
        struct str word = cursor_word(c);
        cursor_space(c);
        struct str value = cursor_value(c);
        if (c->bad)
            return true; /* what it said up to here stands */
        status_item(s, word, value);
        while (cursor_is(c, ' '))
            ;
    }
    return true;
}

/* One kind: NIL, or (("prefix" "delimiter" extensions...) ...). */
static bool namespace_kind(struct cursor *c, struct arena *arena, uint8_t kind, struct imap_namespaces *all)
{
    if (!cursor_is(c, '('))
        return str_case_eqz(cursor_word(c), "NIL");
    while (!c->bad && !cursor_is(c, ')')) {
        bool nil;
        if (cursor_is(c, ' '))
            continue;
        if (!cursor_is(c, '('))
            return false;
        struct str prefix = cursor_string(c, arena, NULL);
        cursor_space(c);
        struct str delim = cursor_string(c, arena, &nil);
        while (!c->bad && cursor_is(c, ' '))
            cursor_value(c);
        if (c->bad || !cursor_is(c, ')') || !name_ok(prefix))
            return false;
        if (all->n < IMAP_NAMESPACES_MAX)
            all->list[all->n++] =
                (struct imap_namespace){.prefix = prefix, .delim = !nil && delim.n == 1 ? delim.p[0] : 0, .kind = kind};
    }
    return !c->bad;
}

static bool parse_namespace(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    static const uint8_t kinds[] = {IMAP_NS_PERSONAL, IMAP_NS_OTHERS, IMAP_NS_SHARED};
    struct imap_namespaces *all = arena_alloc(arena, sizeof(*all));
    if (!all)
        return false;
    ev->namespaces = all;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!namespace_kind(c, arena, kinds[i], all))
            return false;
        while (cursor_is(c, ' '))
            ;
    }
    return true;
}

/* ---- QUOTA, QUOTAROOT, ID ----------------------------------------------------------------------- */
static bool parse_quota(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    struct imap_quota *q = arena_alloc(arena, sizeof(*q));
    if (!q)
        return false;
    ev->quota = q;
    q->root = cursor_string(c, arena, NULL);
    cursor_space(c);
    if (c->bad || !name_ok(q->root) || !cursor_is(c, '('))
        return false;
    while (!c->bad && c->p < c->end && !cursor_is(c, ')')) {
        struct imap_resource r = {0};
        bool ok;
        if (cursor_is(c, ' '))
            continue;
        r.name = cursor_string(c, arena, NULL);
        cursor_space(c);
        ok = cursor_number(c, &r.used);
        cursor_space(c);
        ok = cursor_number(c, &r.limit) && ok;
        if (c->bad)
            return false;
        if (ok && q->n < IMAP_QUOTA_MAX && r.name.n <= 64 && r.used <= INT64_MAX && r.limit <= INT64_MAX)
            q->list[q->n++] = r;
    }
    return !c->bad;
}

static bool parse_quotaroot(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    struct imap_quotaroot *q = arena_alloc(arena, sizeof(*q));
    if (!q)
        return false;
    ev->quotaroot = q;
    q->name = cursor_string(c, arena, NULL);
    if (c->bad || !name_ok(q->name))
        return false;
    while (!c->bad && cursor_is(c, ' ') && c->p < c->end) {
        struct str root = cursor_string(c, arena, NULL);
        if (!c->bad && q->n < IMAP_QUOTA_MAX && name_ok(root))
            q->roots[q->n++] = root;
    }
    return !c->bad;
}

static bool parse_id(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    struct imap_id *id = arena_alloc(arena, sizeof(*id));
    bool nil;
    if (!id)
        return false;
    ev->id = id;
    if (!cursor_is(c, '('))
        return str_case_eqz(cursor_word(c), "NIL");
    while (!c->bad && c->p < c->end && !cursor_is(c, ')')) {
        if (cursor_is(c, ' '))
            continue;
        struct imap_field f = {.name = cursor_string(c, arena, NULL)};
        cursor_space(c);
        f.value = cursor_string(c, arena, &nil);
        if (!c->bad && !nil && id->n < IMAP_FIELDS_MAX && f.name.n <= 30 && f.value.n <= 1024)
            id->list[id->n++] = f;
    }
    return !c->bad;
}

/* ---- SEARCH, ESEARCH, VANISHED ------------------------------------------------------------------ */
/* A tag of ours: "T" and a number. */
static uint32_t tag_number(struct str tag)
{
    uint32_t n;
    return tag.n > 1 && tag.p[0] == 'T' && str_u32(str_sub(tag, 1, tag.n), &n) ? n : 0;
}

/* "(1:500 3:7,9)" or "(1:500 NIL)" (RFC 9394 3.1). */
static void esearch_partial(struct str value, struct imap_event *ev)
{
    struct cursor c = cursor_on(value);
    if (!cursor_is(&c, '('))
        return;
    struct str range = cursor_word(&c);
    cursor_space(&c);
    struct str set = cursor_word(&c);
    if (c.bad || !cursor_is(&c, ')'))
        return;
    ev->range = range;
    ev->set = str_case_eqz(set, "NIL") ? (struct str){"", 0} : set;
}

static void esearch_item(struct str word, struct str value, struct imap_event *ev)
{
    static const struct {
        const char *word;
        size_t at;
    } numbers[] = {{"COUNT", offsetof(struct imap_event, count)},
                   {"MIN", offsetof(struct imap_event, min)},
                   {"MAX", offsetof(struct imap_event, max)}};
    uint32_t n;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (str_case_eqz(word, numbers[i].word) && str_u32(value, &n))
            *(uint32_t *)(void *)((char *)ev + numbers[i].at) = n;
    if (str_case_eqz(word, "ALL"))
        ev->set = value;
    else if (str_case_eqz(word, "PARTIAL"))
        esearch_partial(value, ev);
    else if (str_case_eqz(word, "MODSEQ") && (!str_u64(value, &ev->modseq) || ev->modseq > INT64_MAX))
        ev->modseq = 0;
}

static bool parse_esearch(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    ev->count = UINT32_MAX;
    while (c->p < c->end && !c->bad) {
        while (cursor_is(c, ' '))
            ;
        if (cursor_is(c, '(')) { /* (TAG "T7") */
            struct str word = cursor_word(c);
            cursor_space(c);
            struct str tag = cursor_string(c, arena, NULL);
            if (str_case_eqz(word, "TAG"))
                ev->number = tag_number(tag);
            if (!cursor_is(c, ')'))
                return false;
            continue;
        }
        struct str word = cursor_word(c), value;
        if (str_case_eqz(word, "UID")) {
            ev->uid = true;
            continue;
        }
        if (!word.n)
            return c->p == c->end;
        cursor_space(c);
        value = cursor_value(c);
        if (!c->bad)
            esearch_item(word, value, ev);
    }
    return !c->bad;
}

static bool parse_vanished(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    (void)arena;
    if (cursor_is(c, '(')) {
        ev->earlier = str_case_eqz(cursor_word(c), "EARLIER");
        if (!cursor_is(c, ')'))
            return false;
        cursor_space(c);
    }
    ev->set = cursor_word(c);
    return !c->bad && ev->set.n;
}

/* "2 84 (MODSEQ 917)" */
static bool parse_search(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    size_t at;
    (void)arena;
    ev->set = cursor_rest(c);
    if (str_find(ev->set, '(', &at)) {
        struct cursor in = cursor_on(str_sub(ev->set, at + 1, ev->set.n));
        bool modseq = str_case_eqz(cursor_word(&in), "MODSEQ");
        cursor_space(&in);
        if (!modseq || in.bad || !cursor_number(&in, &ev->modseq) || ev->modseq > INT64_MAX)
            ev->modseq = 0;
    }
    return true;
}

static bool parse_rest(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    (void)arena;
    ev->set = cursor_rest(c);
    return true;
}

/* ---- Names of a session in UTF-8 ---------------------------------------------------------------- */
/* Outside of this module a name has one form, whatever the session speaks. */
static struct str name_in_utf7(struct arena *arena, struct str name)
{
    struct buf out = BUF_INIT(IMAP_NAME_MAX);
    bool plain = true;
    for (size_t i = 0; i < name.n; i++)
        plain = plain && (unsigned char)name.p[i] < 0x80 && name.p[i] != '&';
    if (!plain && imap_name_encode(name, &out)) {
        char *copy = arena_dup(arena, out.p, out.n);
        name = copy ? (struct str){copy, out.n} : name;
    }
    buf_fini(&out);
    return name;
}

static void names_in_utf7(struct arena *arena, struct imap_event *ev)
{
    ev->list.name = name_in_utf7(arena, ev->list.name);
    ev->list.oldname = name_in_utf7(arena, ev->list.oldname);
    ev->status.name = name_in_utf7(arena, ev->status.name);
    if (ev->namespaces) {
        struct imap_namespaces *n = arena_alloc(arena, sizeof(*n));
        if (!n)
            return;
        *n = *ev->namespaces;
        for (unsigned i = 0; i < n->n; i++)
            n->list[i].prefix = name_in_utf7(arena, n->list[i].prefix);
        ev->namespaces = n;
    }
}

/* ---- All ---------------------------------------------------------------------------------------- */
bool imap_answer(struct arena *arena, bool utf8, struct str word, struct cursor *c, struct imap_event *ev)
{
    static const struct {
        const char *word;
        enum imap_what what;
        bool (*parse)(struct cursor *, struct arena *, struct imap_event *);
    } words[] = {{"CAPABILITY", IMAP_CAPABILITY, parse_rest},
                 {"ENABLED", IMAP_ENABLED, parse_rest},
                 {"LIST", IMAP_LIST, parse_list},
                 {"LSUB", IMAP_LSUB, parse_list},
                 {"STATUS", IMAP_STATUS, parse_status},
                 {"FLAGS", IMAP_FLAGS, parse_rest},
                 {"SEARCH", IMAP_SEARCH, parse_search},
                 {"ESEARCH", IMAP_ESEARCH, parse_esearch},
                 {"VANISHED", IMAP_VANISHED, parse_vanished},
                 {"NAMESPACE", IMAP_NAMESPACE, parse_namespace},
                 {"QUOTA", IMAP_QUOTA, parse_quota},
                 {"QUOTAROOT", IMAP_QUOTAROOT, parse_quotaroot},
                 {"ID", IMAP_ID, parse_id}};
    size_t i;
    for (i = 0; i < COUNT(words) && !str_case_eqz(word, words[i].word); i++)
        ;
    if (i == COUNT(words))
        return false;
    if (c->p < c->end)
        cursor_space(c);
    ev->text = cursor_rest(c);
    if (!words[i].parse(c, arena, ev))
        return false;
    ev->what = words[i].what;
    if (utf8)
        names_in_utf7(arena, ev);
    return true;
}
