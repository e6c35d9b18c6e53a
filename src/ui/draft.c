/* Templates of drafts, and reading them back. */
#include "ui/draft.h"

/* Raw value of a field of the mail that is answered; empty where absent. */
static struct str meta(const struct doc *doc, const char *name)
{
    const struct doc_item *item = doc ? doc_named(doc, DOC_META, name) : NULL;
    return item ? item->text : (struct str){NULL, 0};
}

static bool owns_any(const struct account *a, struct str raw, struct arena *arena)
{
    struct mail_addrs addrs;
    mail_addrs_parse(raw, arena, &addrs);
    for (size_t i = 0; i < addrs.count; i++)
        if (addrs.list[i].addr.n && account_owns(a, addrs.list[i].addr))
            return true;
    return false;
}

const struct account *draft_identity(const struct conf *conf, const struct doc *doc, const struct account *fallback)
{
    static const char *const fields[] = {"to", "cc", "from"};
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    const struct account *found = NULL;
    for (size_t f = 0; doc && f < COUNT(fields) && !found; f++) {
        struct str raw = meta(doc, fields[f]);
        if (fallback && owns_any(fallback, raw, arena)) /* the account it arrived at comes first */
            found = fallback;
        for (size_t i = 0; i < conf->naccounts && !found; i++)
            if (owns_any(&conf->accounts[i], raw, arena))
                found = &conf->accounts[i];
    }
    arena_free(&arena);
    return found ? found : fallback;
}

/* ---- Templates --------------------------------------------------------------------------------------------- */
static void field(struct buf *out, const char *name, struct str value)
{
    buf_addf(out, "%s:", name);
    if (value.n)
        buf_addc(out, ' ');
    for (size_t i = 0; i < value.n; i++) /* one line, whatever the mail held (THREATS 142) */
        buf_addc(out, (unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f ? ' ' : value.p[i]);
    buf_addc(out, '\n');
}

static void field_buf(struct buf *out, const char *name, struct buf *value)
{
    field(out, name, buf_str(value));
    buf_reset(value);
}

static bool add_recipients(struct buf *out, enum draft_kind kind, const struct account *account, const struct doc *doc,
                           const struct mailto *mailto, struct arena *arena, struct err *err)
{
    struct buf value = BUF_INIT(1u << 20);
    struct mail_reply reply = {0};
    bool ok = true;
    if (kind == DRAFT_REPLY || kind == DRAFT_REPLY_ALL || kind == DRAFT_REPLY_LIST) {
        static const enum mail_reply_kind kinds[] = {[DRAFT_REPLY] = MAIL_REPLY_SENDER,
                                                     [DRAFT_REPLY_ALL] = MAIL_REPLY_ALL,
                                                     [DRAFT_REPLY_LIST] = MAIL_REPLY_LIST};
        struct mail_original o = {.from = meta(doc, "from"),
                                  .sender = meta(doc, "sender"),
                                  .reply_to = meta(doc, "reply-to"),
                                  .mail_followup_to = meta(doc, "mail-followup-to"),
                                  .list_post = meta(doc, "list-post"),
                                  .to = meta(doc, "to"),
                                  .cc = meta(doc, "cc")};
        struct buf self = BUF_INIT(65536);
        account_addresses(account, &self);
        mail_reply_recipients(&o, kinds[kind], buf_str(&self), arena, &reply);
        buf_fini(&self);
        if (kind == DRAFT_REPLY_LIST && !reply.to_list && !o.mail_followup_to.n) /* never to others than were meant */
            ok = err_set(err, ERR_USAGE,
                         "no mailing list that can be answered brought this message: "
                         "reply is for the sender, reply-all for everybody");
    } else if (kind == DRAFT_AGAIN) {
        mail_addrs_parse(meta(doc, "to"), arena, &reply.to);
        mail_addrs_parse(meta(doc, "cc"), arena, &reply.cc);
    }
    mail_addrs_show(&reply.to, &value);
    if (mailto)
        buf_adds(&value, mailto->to);
    field_buf(out, "To", &value);
    mail_addrs_show(&reply.cc, &value);
    if (mailto)
        buf_adds(&value, mailto->cc);
    field_buf(out, "Cc", &value);
    field(out, "Bcc", mailto ? mailto->bcc : (struct str){NULL, 0});
    buf_fini(&value);
    return ok;
}

static void add_subject(struct buf *out, enum draft_kind kind, const struct doc *doc, const struct mailto *mailto,
                        struct arena *arena)
{
    struct buf value = BUF_INIT(65536);
    struct str subject = mail_words(meta(doc, "subject"), arena);
    if (kind == DRAFT_FORWARD)
        mail_subject_forward(subject, &value);
    else if (kind == DRAFT_AGAIN)
        buf_adds(&value, subject);
    else if (kind != DRAFT_NEW)
        mail_subject_reply(subject, &value);
    else if (mailto)
        buf_adds(&value, mailto->subject);
    field_buf(out, "Subject", &value);
    buf_fini(&value);
}

static void add_thread(struct buf *out, enum draft_kind kind, const struct doc *doc, const struct mailto *mailto)
{
    struct buf refs = BUF_INIT(65536);
    struct str id = mail_id_parse(meta(doc, "message-id"));
    bool answers = kind == DRAFT_REPLY || kind == DRAFT_REPLY_ALL || kind == DRAFT_REPLY_LIST;
    if (answers && id.n) {
        buf_addf(&refs, "<%.*s>", STR_FMT(id));
        field_buf(out, "In-Reply-To", &refs);
        mail_references_build(meta(doc, "references"), meta(doc, "in-reply-to"), id, &refs);
        field_buf(out, "References", &refs);
    } else if (kind == DRAFT_AGAIN && meta(doc, "in-reply-to").n) {
        field(out, "In-Reply-To", meta(doc, "in-reply-to"));
        field(out, "References", meta(doc, "references"));
    } else if (mailto && mailto->in_reply_to.n) {
        field(out, "In-Reply-To", mailto->in_reply_to);
    }
    buf_fini(&refs);
}

static void add_attribution(struct buf *out, const struct conf *conf, const struct doc *doc, struct arena *arena)
{
    struct mail_addrs from;
    struct str date = meta(doc, "date");
    const struct doc_item *shown = doc_named(doc, DOC_HEADER, "date");
    mail_addrs_parse(meta(doc, "from"), arena, &from);
    struct str addr = from.count ? from.list[0].addr : (struct str){NULL, 0};
    struct str name = from.count && from.list[0].name.n ? from.list[0].name : addr;
    const struct {
        const char *mark;
        struct str value;
    } marks[] = {{"{name}", name},
                 {"{address}", addr},
                 {"{date}", shown ? shown->text : date},
                 {"{subject}", mail_words(meta(doc, "subject"), arena)}};
    struct buf line = BUF_INIT(8192);
    for (const char *p = conf->attribution; *p;) {
        size_t used = 0;
        for (size_t i = 0; i < COUNT(marks) && !used; i++) {
            if (str_starts(str_z(p), str_z(marks[i].mark))) {
                buf_adds(&line, marks[i].value);
                used = strlen(marks[i].mark);
            }
        }
        if (!used)
            buf_addc(&line, *p);
        p += used ? used : 1;
    }
    text_from_bytes(buf_str(&line), TEXT_FOLD_SPACE, out);
    buf_addc(out, '\n');
    buf_fini(&line);
}

/* The lines of the body as they are shown; a reply quotes them and leaves the signature out. */
static void add_body(struct buf *out, const struct doc *doc, bool quote)
{
    for (size_t i = 0; i < doc_count(doc); i++) {
        const struct doc_item *item = doc_at(doc, i);
        if (item->kind != DOC_TEXT || (quote && item->style == DOC_SIGNATURE))
            continue;
        unsigned level = item->level + (quote ? 1u : 0u);
        for (unsigned k = 0; k < level; k++)
            buf_addc(out, '>');
        if (level && item->text.n)
            buf_addc(out, ' ');
        buf_adds(out, item->text);
        buf_addc(out, '\n');
    }
}

static void add_forwarded(struct buf *out, const struct doc *doc, struct arena *arena)
{
    static const char *const names[] = {"From", "Date", "Subject", "To", "Cc"};
    buf_addz(out, "\n----- Forwarded message -----\n");
    for (size_t i = 0; i < COUNT(names); i++) {
        char lower[16];
        size_t n = strlen(names[i]);
        for (size_t k = 0; k <= n; k++)
            lower[k] = (char)(names[i][k] >= 'A' && names[i][k] <= 'Z' ? names[i][k] + 32 : names[i][k]);
        struct str value = mail_words(meta(doc, lower), arena);
        if (value.n)
            field(out, names[i], value);
    }
    buf_addc(out, '\n');
    add_body(out, doc, false);
    buf_addz(out, "----- End of forwarded message -----\n");
}

static void add_signature(struct buf *out, struct str signature)
{
    signature = str_trim(signature);
    if (signature.n) {
        buf_addz(out, "\n-- \n");
        buf_adds(out, signature);
        buf_addc(out, '\n');
    }
}

bool draft_template(enum draft_kind kind, const struct conf *conf, const struct account *account, const struct doc *doc,
                    const struct mailto *mailto, struct str signature, const char *const *attach, struct buf *out,
                    struct err *err)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct buf from = BUF_INIT(4096), addr = BUF_INIT(1024);
    account_realname(account, &from);
    account_address(account, &addr);
    struct buf shown = BUF_INIT(8192);
    mail_addr_show(buf_str(&from), buf_str(&addr), &shown);
    field_buf(out, "From", &shown);
    bool ok = add_recipients(out, kind, account, doc, mailto, arena, err);
    add_subject(out, kind, doc, mailto, arena);
    add_thread(out, kind, doc, mailto);
    for (; attach && *attach; attach++)
        field(out, "Attach", str_z(*attach));
    buf_addc(out, '\n');
    if (kind == DRAFT_AGAIN) {
        add_body(out, doc, false);
    } else if (kind == DRAFT_FORWARD) {
        add_signature(out, signature);
        add_forwarded(out, doc, arena);
    } else if (kind != DRAFT_NEW) {
        add_attribution(out, conf, doc, arena);
        add_body(out, doc, true);
        buf_addc(out, '\n');
        add_signature(out, signature);
    } else {
        if (mailto)
            buf_adds(out, mailto->body);
        buf_addc(out, '\n');
        add_signature(out, signature);
    }
    buf_fini(&from);
    buf_fini(&addr);
    buf_fini(&shown);
    arena_free(&arena);
    return ok && (!out->full || err_set(err, ERR_LIMIT, "the text is too large for a draft"));
}

/* ---- Reading back ---------------------------------------------------------------------------------------------- */
static const char *alias_value(const struct conf *conf, struct str word)
{
    for (size_t i = 0; i < conf->naliases; i++)
        if (str_case_eqz(word, conf->aliases[i].name))
            return conf->aliases[i].value;
    return NULL;
}

/* Entries without '@' that are aliases are replaced, once: an alias may name several addresses but no other alias. */
static struct str expand(struct str typed, const struct conf *conf, struct arena *arena)
{
    struct buf out = BUF_INIT(1u << 20);
    struct str rest = typed, entry;
    bool changed = false;
    size_t at;
    while (str_split(&rest, ',', &entry)) {
        const char *value = alias_value(conf, str_trim(entry));
        bool known = value && !str_find(entry, '@', &at);
        if (out.n)
            buf_addz(&out, ", ");
        buf_adds(&out, known ? str_z(value) : str_trim(entry));
        changed = changed || known;
    }
    struct str result = typed;
    if (changed && !out.full) {
        char *copy = arena_dup(arena, out.p, out.n);
        if (copy)
            result = (struct str){copy, out.n};
    }
    buf_fini(&out);
    return result;
}

struct reader {
    struct draft *d;
    struct arena *arena;
    struct buf headers;
    size_t rcpts_cap;
    struct err *err;
};

static bool add_rcpt(struct reader *r, struct str addr)
{
    struct draft *d = r->d;
    for (size_t i = 0; i < d->nrcpts; i++)
        if (mail_addr_same(d->rcpts[i], addr))
            return true;
    if (d->nrcpts == r->rcpts_cap) {
        size_t cap = r->rcpts_cap ? r->rcpts_cap * 2 : 16;
        struct str *grown = arena_alloc(r->arena, cap * sizeof *grown);
        if (!grown)
            return err_set(r->err, ERR_LIMIT, "too many recipients");
        if (d->nrcpts)
            memcpy(grown, d->rcpts, d->nrcpts * sizeof *grown);
        d->rcpts = grown;
        r->rcpts_cap = cap;
    }
    d->rcpts[d->nrcpts++] = addr;
    return true;
}

static bool add_rcpts(struct reader *r, const char *name, struct str value)
{
    struct mail_addrs addrs;
    mail_addrs_parse(value, r->arena, &addrs);
    for (size_t i = 0; i < addrs.count; i++) {
        const struct mail_addr *a = &addrs.list[i];
        if (!a->addr.n && a->group.n)
            continue; /* an empty group is allowed */
        if (!mail_addr_valid(a->addr))
            return err_set(r->err, ERR_RECIPIENT, "%s: \"%.*s\" is not an address", name,
                           STR_FMT(a->addr.n ? a->addr : a->name));
        if (!add_rcpt(r, a->addr))
            return false;
    }
    return true;
}

static bool read_field(struct reader *r, const struct mail_field *f, const struct conf *conf)
{
    struct draft *d = r->d;
    const struct {
        const char *name;
        struct str *value;
        bool recipients, local;
    } known[] = {{"From", &d->from, false, false},
                 {"To", &d->to, true, false},
                 {"Cc", &d->cc, true, false},
                 {"Bcc", &d->bcc, true, true},
                 {"Subject", &d->subject, false, false},
                 {"Fcc", &d->fcc, false, true},
                 {"In-Reply-To", &d->in_reply_to, false, false}};
    struct str value = f->value;
    if (str_case_eqz(f->name, "Attach")) {
        if (!value.n)
            return true;
        if (d->nattach == DRAFT_ATTACHMENTS_MAX)
            return err_set(r->err, ERR_LIMIT, "more than %d attachments", DRAFT_ATTACHMENTS_MAX);
        d->attach[d->nattach++] = value;
        return true;
    }
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!str_case_eqz(f->name, known[i].name))
            continue;
        if (known[i].value->p)
            return err_set(r->err, ERR_USAGE, "there are two \"%s\" lines; keep one", known[i].name);
        if (known[i].recipients)
            value = expand(value, conf, r->arena);
        *known[i].value = value.p ? value : (struct str){"", 0};
        if (known[i].recipients && !add_rcpts(r, known[i].name, value))
            return false;
        if (known[i].local)
            return true;
    }
    if (value.n)
        buf_addf(&r->headers, "%.*s: %.*s\n", STR_FMT(f->name), STR_FMT(value));
    return true;
}

bool draft_parse(struct str text, const struct conf *conf, struct arena *arena, struct draft *draft_r, struct err *err)
{
    struct mail_header header;
    struct reader r = {.d = draft_r, .arena = arena, .headers = BUF_INIT(1u << 20), .err = err};
    *draft_r = (struct draft){.attach = arena_alloc(arena, DRAFT_ATTACHMENTS_MAX * sizeof(struct str))};
    if (text.n > DRAFT_MAX || !draft_r->attach)
        return err_set(err, ERR_LIMIT, "the draft is larger than %u MiB", DRAFT_MAX >> 20);
    mail_header_parse(text, arena, &header);
    if (header.broken || header.count == 0)
        return err_set(err, ERR_USAGE, "the draft must begin with header lines (To:, Subject: ...) and an empty line");
    bool ok = true;
    for (size_t i = 0; ok && i < header.count; i++)
        ok = read_field(&r, &header.fields[i], conf);
    struct mail_addrs from;
    mail_addrs_parse(draft_r->from, arena, &from);
    if (from.count == 1 && mail_addr_valid(from.list[0].addr))
        draft_r->sender = from.list[0].addr;
    draft_r->body = str_sub(text, header.size, text.n);
    char *headers = arena_dup(arena, buf_z(&r.headers), r.headers.n);
    draft_r->headers = (struct str){headers, r.headers.n};
    if (ok && (!headers || r.headers.full))
        ok = err_set(err, ERR_LIMIT, "the draft's header is too large");
    buf_fini(&r.headers);
    return ok;
}

bool draft_ready(const struct draft *d, struct err *err)
{
    if (!d->sender.n)
        return err_set(err, ERR_USAGE, "From: \"%.*s\" is not one address", STR_FMT(d->from));
    if (d->nrcpts == 0)
        return err_set(err, ERR_RECIPIENT, "there is no recipient: fill in To");
    return true;
}

static bool speaks_of_attachment(struct str line)
{
    static const char *const words[] = {"attach", "enclosed", "anhang", "angeh", "pièce jointe", "adjunt", "allegat"};
    for (size_t i = 0; i + 5 <= line.n; i++)
        for (size_t w = 0; w < COUNT(words); w++)
            if (str_case_starts(str_sub(line, i, line.n), str_z(words[w])))
                return true;
    return false;
}

bool draft_misses_attachment(const struct draft *d)
{
    struct str rest = d->body, line;
    if (d->nattach)
        return false;
    while (str_split(&rest, '\n', &line)) {
        if (str_eqz(line, "-- ") || str_starts(line, STR("-----")))
            return false;
        if (line.n && line.p[0] != '>' && speaks_of_attachment(line))
            return true;
    }
    return false;
}

/* ---- Changing one field ------------------------------------------------------------------------- */
/* Length of the header line at the front with its continuations; 0 at the end of the header. */
static size_t field_length(struct str text)
{
    size_t n = 0, nl;
    if (!text.n || text.p[0] == '\n')
        return 0;
    do {
        if (!str_find(str_sub(text, n, text.n), '\n', &nl))
            return text.n;
        n += nl + 1;
    } while (n < text.n && (text.p[n] == ' ' || text.p[n] == '\t'));
    return n;
}

static bool is_field(struct str line, const char *name)
{
    size_t n = strlen(name);
    return str_case_starts(line, str_z(name)) && line.n > n && line.p[n] == ':';
}

bool draft_set(struct str text, const char *name, struct str value, bool add, struct buf *out)
{
    bool done = false;
    size_t n;
    while ((n = field_length(text)) > 0) {
        struct str line = str_sub(text, 0, n);
        text = str_sub(text, n, text.n);
        if (add || !is_field(line, name)) {
            buf_adds(out, line);
        } else if (!done) {
            if (value.n)
                field(out, name, value);
            done = true;
        }
    }
    if (!done && value.n)
        field(out, name, value);
    return buf_adds(out, text) && !out->full;
}

bool draft_detach(struct str text, size_t i, struct buf *out)
{
    size_t n, seen = 0;
    while ((n = field_length(text)) > 0) {
        struct str line = str_sub(text, 0, n);
        text = str_sub(text, n, text.n);
        if (!is_field(line, "Attach") || seen++ != i)
            buf_adds(out, line);
    }
    return buf_adds(out, text) && !out->full;
}
