/* What a server says of itself, of its namespaces and of its quota (RFC 2342, 2971, 9208), and how it spells the names
 * of mailboxes made here. */
#include "mail/utf7.h"
#include "store/account.h"
#include "store/read.h"

#define FULL_WARN 90 /* percent of a quota from where the user is told */
#define FULL_CALM 85 /* below it, told again the next time */

/* ---- Quota -------------------------------------------------------------------------------------- */

/* The end of a round: what is told to clients, and to the user when it becomes tight. */
static void quota_settle(struct acct *a)
{
    uint8_t was = a->full;
    a->full = a->full_next;
    if (a->full >= FULL_WARN && !a->full_told) {
        a->full_told = true;
        acct_note(a, 1, ERR_NONE, "the server is %u %% full (%s): empty the trash", a->full, a->full_words);
    }
    if (a->full < FULL_CALM)
        a->full_told = false;
    if (a->full != was)
        acct_tell(a, NULL);
}

static void on_quota(struct acct *a, struct msg *m)
{
    const struct m_QUOTA *q = &m->u.QUOTA;
    struct err err = ERR_INIT;
    bool ok = true;
    if (!a->quota_open) {
        ok = db_quota_clear(a->db, &err);
        a->full_next = 0;
        a->full_words[0] = 0;
    }
    a->quota_open = q->resource.n > 0;
    if (!a->quota_open) {
        quota_settle(a);
    } else {
        const struct quota_row row = {q->root, q->resource, q->used, q->limit};
        unsigned percent = quota_percent(&row);
        ok = ok && db_quota_put(a->db, q->root, q->resource, q->used, q->limit, &err);
        bool mail = str_case_eqz(q->resource, "STORAGE") || str_case_eqz(q->resource, "MESSAGE");
        if (mail && percent >= a->full_next) {
            struct buf words = BUF_INIT(sizeof a->full_words - 1);
            quota_words(&row, &words);
            snprintf(a->full_words, sizeof a->full_words, "%s", buf_z(&words));
            buf_fini(&words);
            a->full_next = (uint8_t)percent;
        }
    }
    if (!ok)
        acct_db_error(a, &err);
}

/* ---- Names -------------------------------------------------------------------------------------- */
/* RFC 3501 5.1.3 (modified UTF-7), or as it is where the server's own names are plain UTF-8. */
static void name_encode(bool plain, struct str utf8, struct buf *out)
{
    if (plain || !mail_utf7_encode(utf8, out))
        buf_adds(out, utf8);
}

static struct str first_part(struct str path, char delim)
{
    size_t n = path.n;
    if (delim)
        str_find(path, delim, &n);
    return str_sub(path, 0, n);
}

/* Does the name lead to where mailboxes of others are? Then it is whole as it stands. */
static bool name_of_others(const struct acct *a, struct str utf8)
{
    for (size_t i = 0; i < a->nboxes; i++) {
        const struct box *b = &a->boxes[i];
        if ((b->attrs & (BOX_OTHERS | BOX_SHARED)) &&
            str_eq(first_part(box_utf8(b), b->delim), first_part(utf8, b->delim)))
            return true;
    }
    return false;
}

struct str acct_own_name(const struct acct *a, struct str name)
{
    struct str prefix = {a->prefix, a->prefix_n};
    bool below = prefix.n && name.n > prefix.n && str_case_eq(str_sub(name, 0, prefix.n), prefix);
    return below ? str_sub(name, prefix.n, name.n) : name;
}

void acct_box_name(const struct acct *a, struct str utf8, struct buf *name, struct buf *shown)
{
    bool plain = false;
    for (size_t i = 0; i < a->nboxes && !plain; i++)
        for (size_t k = 0; k < a->boxes[i].name_n && !plain; k++)
            plain = (unsigned char)a->boxes[i].name[k] >= 0x80;
    bool others = name_of_others(a, utf8);
    utf8 = others ? utf8 : acct_own_name(a, utf8);
    buf_adds(shown, utf8);
    if (!others)
        buf_add(name, a->prefix, a->prefix_n);
    name_encode(plain, utf8, name);
}

static void prefix_take(struct acct *a, struct str prefix)
{
    a->prefix_n = MIN(prefix.n, sizeof a->prefix);
    memcpy(a->prefix, prefix.n ? prefix.p : "", a->prefix_n);
}

static void on_namespace(struct acct *a, struct msg *m)
{
    struct err err = ERR_INIT;
    prefix_take(a, m->u.NAMESPACE.prefix);
    if (!db_server_set(a->db, "prefix", m->u.NAMESPACE.prefix, &err))
        acct_db_error(a, &err);
}

static void keep(struct acct *a, const char *name, struct str value)
{
    struct buf had = BUF_INIT(4096);
    struct err err = ERR_INIT;
    if (!db_server_get(a->db, name, &had, &err) ||
        (!str_eq(buf_str(&had), value) && !db_server_set(a->db, name, value, &err)))
        acct_db_error(a, &err);
    buf_fini(&had);
}

static void on_server_id(struct acct *a, struct msg *m)
{
    keep(a, "id", m->u.SERVER_ID.text);
}

/* ---- Limits of a POP3 server (RFC 2449) --------------------------------------------------------- */
static void keep_number(struct acct *a, const char *name, uint32_t value, uint32_t none)
{
    struct buf text = BUF_INIT(20);
    if (value != none)
        buf_addf(&text, "%u", value);
    keep(a, name, buf_str(&text));
    buf_fini(&text);
}

void acct_server_limits(struct acct *a, uint32_t delay, uint32_t expire)
{
    a->pop_delay = delay;
    a->pop_expire = expire;
    keep_number(a, "delay", delay, 0);
    keep_number(a, "expire", expire, UINT32_MAX);
    /* The next store has to wait too: cron starts one each time. */
    a->pop_login = clock_mono_ms();
    if (delay > 0)
        keep_number(a, "login", (uint32_t)clock_wall(), 0);
}

static void limit_load(struct acct *a, const char *name, uint32_t none, uint32_t *value_r)
{
    struct buf text = BUF_INIT(20);
    struct err err = ERR_INIT;
    if (!db_server_get(a->db, name, &text, &err))
        acct_db_error(a, &err);
    if (!str_u32(buf_str(&text), value_r))
        *value_r = none;
    buf_fini(&text);
}

/* ---- All ---------------------------------------------------------------------------------------- */
void acct_server_message(struct acct *a, struct msg *m)
{
    if (m->kind == MSG_QUOTA)
        on_quota(a, m);
    else if (m->kind == MSG_NAMESPACE)
        on_namespace(a, m);
    else
        on_server_id(a, m);
}

void acct_server_load(struct acct *a)
{
    struct buf prefix = BUF_INIT(sizeof a->prefix);
    struct err err = ERR_INIT;
    if (!db_server_get(a->db, "prefix", &prefix, &err))
        acct_db_error(a, &err);
    prefix_take(a, buf_str(&prefix));
    limit_load(a, "delay", 0, &a->pop_delay);
    limit_load(a, "expire", UINT32_MAX, &a->pop_expire);
    uint32_t login = 0;
    limit_load(a, "login", 0, &login);
    int64_t ago = clock_wall() - login;
    a->pop_login = ago >= 0 && ago < a->pop_delay ? clock_mono_ms() - ago * 1000 : 0;
    buf_fini(&prefix);
}
