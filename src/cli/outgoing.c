/* What a mail from a script needs before it goes: recipients, Bcc left out, Date, Message-ID and From, CRLF.
 * RFC 5322; nothing of this machine gets in (doc/THREATS 155). */
#include "cli/cli.h"
#include "mail/mail.h"

#define MESSAGE_MAX (128u << 20)
#define RCPTS_MAX 32768 /* of MSG(SUBMIT) */

void outgoing_fini(struct outgoing *o)
{
    buf_fini(&o->message);
    buf_fini(&o->rcpts);
    free(o->from);
    o->from = NULL;
}

static bool has_rcpt(const struct outgoing *o, struct str addr)
{
    struct str rest = buf_str(&o->rcpts), line;
    while (str_split(&rest, '\n', &line))
        if (mail_addr_same(line, addr))
            return true;
    return false;
}

static bool add_rcpt(struct outgoing *o, struct str addr, struct err *err)
{
    if (!mail_addr_valid(addr))
        return err_set(err, ERR_RECIPIENT, "\"%.*s\" is not an address", STR_FMT(str_sub(addr, 0, 200)));
    if (has_rcpt(o, addr))
        return true;
    buf_adds(&o->rcpts, addr);
    return buf_addc(&o->rcpts, '\n') || err_set(err, ERR_LIMIT, "more recipients than one mail may have");
}

static bool add_field(struct outgoing *o, struct str value, struct arena *arena, struct err *err)
{
    struct mail_addrs addrs;
    mail_addrs_parse(value, arena, &addrs);
    if (addrs.cut)
        return err_set(err, ERR_LIMIT, "more recipients than one mail may have");
    if (addrs.broken) /* a reading by repair will do for showing, not for sending */
        return err_set(err, ERR_RECIPIENT, "\"%.*s\" is not an address", STR_FMT(str_sub(value, 0, 200)));
    for (size_t i = 0; i < addrs.count; i++) {
        struct str addr = addrs.list[i].addr;
        if (addr.n == 0 && addrs.list[i].name.n == 0)
            continue; /* an empty group */
        if (!add_rcpt(o, addr, err))
            return false;
    }
    return true;
}

static bool take_recipients(struct outgoing *o, const struct mail_header *header, struct arena *arena, struct err *err)
{
    static const char *const names[] = {"To", "Cc", "Bcc"};
    for (size_t i = 0; i < header->count; i++)
        for (size_t k = 0; k < COUNT(names); k++)
            if (str_case_eqz(header->fields[i].name, names[k]) && !add_field(o, header->fields[i].value, arena, err))
                return false;
    return true;
}

/* Copies lines with CRLF ends; a lone CR ends a line too, so that no server can see a line end where we see none.
 * `dropping` keeps fields out. */
static void copy_lines(struct str text, bool header, struct buf *out)
{
    bool drop = false;
    while (text.n) {
        size_t end = 0;
        while (end < text.n && text.p[end] != '\n' && text.p[end] != '\r')
            end++;
        struct str line = str_sub(text, 0, end);
        size_t next = end;
        if (next < text.n && text.p[next] == '\r')
            next++;
        if (next < text.n && text.p[next] == '\n')
            next++;
        text = str_sub(text, next, text.n);
        if (header && line.n == 0)
            return;
        if (header && line.p[0] != ' ' && line.p[0] != '\t') {
            size_t colon = 0;
            drop = str_starts(line, STR("From ")) ||
                   (str_find(line, ':', &colon) && str_case_eqz(str_trim(str_sub(line, 0, colon)), "Bcc"));
        }
        if (header && drop)
            continue;
        buf_adds(out, line);
        buf_addz(out, "\r\n");
    }
}

static bool has_8bit(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

static int zone_minutes(int64_t now)
{
    struct tm tm;
    time_t t = (time_t)now;
    return localtime_r(&t, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
}

static void add_missing(struct outgoing *o, const struct account *a, const struct mail_header *header, struct str body)
{
    struct buf *out = &o->message;
    if (!mail_header_get(header, "From").p) {
        struct buf name = BUF_INIT(1000);
        account_realname(a, &name);
        buf_addz(out, "From: ");
        mail_addr_format(buf_str(&name), str_z(o->from), out);
        buf_addz(out, "\r\n");
        buf_fini(&name);
    }
    if (!mail_header_get(header, "Date").p) {
        buf_addz(out, "Date: ");
        mail_date_format(clock_wall(), zone_minutes(clock_wall()), out);
        buf_addz(out, "\r\n");
    }
    if (!mail_header_get(header, "Message-ID").p) {
        buf_addz(out, "Message-ID: <");
        mail_id_new(str_z(o->from), out);
        buf_addz(out, ">\r\n");
    }
    if (!mail_header_get(header, "MIME-Version").p && !mail_header_get(header, "Content-Type").p && has_8bit(body))
        buf_addf(out,
                 "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: 8bit\r\n",
                 utf8_valid(body) ? "utf-8" : "unknown-8bit");
}

/* The sender of the envelope: who the mail says it is from, else the account. */
static bool find_sender(struct outgoing *o, const struct account *a, const struct mail_header *header,
                        struct arena *arena, struct err *err)
{
    struct str from = mail_header_get(header, "From");
    struct mail_addrs addrs = {.count = 0};
    struct buf own = BUF_INIT(512);
    if (from.p)
        mail_addrs_parse(from, arena, &addrs);
    account_address(a, &own);
    bool ok = true;
    if (from.p && (addrs.count == 0 || !mail_addr_valid(addrs.list[0].addr)))
        ok = err_set(err, ERR_PARSE, "the From field holds no address");
    else if (addrs.count)
        o->from = mem_dup_n(addrs.list[0].addr.p, addrs.list[0].addr.n);
    else if (own.n)
        o->from = mem_dup_z(buf_z(&own));
    else
        ok = err_set(err, ERR_CONFIG, "account %s has no address: set -a %s from \"Name <address>\"", a->name, a->name);
    buf_fini(&own);
    return ok;
}

bool outgoing_build(const struct account *a, bool recipients, struct str raw, struct outgoing *o, struct err *err)
{
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_header header;
    mail_header_parse(raw, arena, &header);
    struct str body = str_sub(raw, header.size, raw.n);
    bool ok = true;
    buf_init(&o->message, MESSAGE_MAX);
    if (o->rcpts.max == 0)
        buf_init(&o->rcpts, RCPTS_MAX);
    if (header.count == 0 || header.broken)
        ok = err_set(err, ERR_PARSE, "this is no mail: its first lines are not \"Name: value\"");
    else if (header.cut)
        ok = err_set(err, ERR_LIMIT, "the header is larger than tuimail accepts");
    else if (raw.n && memchr(raw.p, '\0', raw.n))
        ok = err_set(err, ERR_PARSE, "the mail holds a NUL byte; attach the file as base64 instead");
    ok = ok && find_sender(o, a, &header, arena, err) && (!recipients || take_recipients(o, &header, arena, err));
    if (ok && o->rcpts.n == 0)
        ok = err_set(err, ERR_RECIPIENT,
                     recipients ? "the mail names no recipient" : "no recipient: name one, or use -t");
    if (ok) {
        copy_lines(str_sub(raw, 0, header.size), true, &o->message);
        add_missing(o, a, &header, body);
        buf_addz(&o->message, "\r\n");
        copy_lines(body, false, &o->message);
        if (o->message.full)
            ok = err_set(err, ERR_LIMIT, "the mail is larger than 128 MB");
    }
    arena_free(&arena);
    return ok;
}
