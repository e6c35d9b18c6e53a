/* Statements, bindings, errors and the hash that reader and writer share. */
#include "store/read_sql.h"

#include <errno.h>
#include <strings.h>

#include "mail/row.h"

void sql_fini(struct sql *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->cap; i++)
        sqlite3_finalize(q->slots[i].st);
    free(q->slots);
    sqlite3_close(q->h);
    memset(q, 0, sizeof *q);
}

int sql_open(struct sql *q, const char *path, int flags)
{
    static bool configured;
    if (!configured) { /* refused, without harm, where SQLite runs already */
        sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        configured = true;
    }
    return sqlite3_open_v2(path, &q->h, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
}

bool sql_harden(struct sql *q, struct err *err)
{
    sqlite3_db_config(q->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(q->h, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(q->h, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    /* One plan per statement: else each binding that touches a partial index prepares it anew. */
    sqlite3_db_config(q->h, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    sqlite3_extended_result_codes(q->h, 1);
    sqlite3_limit(q->h, SQLITE_LIMIT_ATTACHED, 1);
    return sql_exec(q, "PRAGMA trusted_schema=OFF", err) && sql_exec(q, "PRAGMA cell_size_check=ON", err);
}

static struct sql_slot *slot_find(struct sql *q, const char *text)
{
    size_t i = ((uintptr_t)text >> 3) * 0x9E3779B97F4A7C15u >> 20;
    for (;; i++) {
        struct sql_slot *s = &q->slots[i & (q->cap - 1)];
        if (!s->text || s->text == text)
            return s;
    }
}

static void slots_grow(struct sql *q)
{
    struct sql old = *q;
    q->cap = q->cap ? q->cap * 2 : 128;
    q->slots = mem_array(q->cap, sizeof *q->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].text)
            *slot_find(q, old.slots[i].text) = old.slots[i];
    free(old.slots);
}

sqlite3_stmt *sql_get(struct sql *q, const char *text)
{
    if (q->used * 2 >= q->cap)
        slots_grow(q);
    struct sql_slot *s = slot_find(q, text);
    if (!s->text) {
        sqlite3_stmt *st = NULL;
        if (sqlite3_prepare_v3(q->h, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
            return NULL;
        s->text = text;
        s->st = st;
        q->used++;
    } else {
        sqlite3_reset(s->st);
        sqlite3_clear_bindings(s->st);
    }
    return s->st;
}

static bool bind_str(sqlite3_stmt *st, int at, struct str s)
{
    return sqlite3_bind_blob64(st, at, s.n ? s.p : "", s.n, SQLITE_TRANSIENT) == SQLITE_OK;
}

sqlite3_stmt *sql_vask(struct sql *q, const char *text, const char *types, va_list ap)
{
    sqlite3_stmt *st = sql_get(q, text);
    if (!st)
        return NULL;
    int at = 1;
    for (const char *t = types; *t; t++, at++) {
        if (*t == 'i') {
            sqlite3_bind_int64(st, at, va_arg(ap, int64_t));
        } else {
            struct str s = va_arg(ap, struct str);
            if (*t == 'n' && !s.n)
                continue;
            if (!bind_str(st, at, s))
                return NULL;
        }
    }
    return st;
}

sqlite3_stmt *sql_ask(struct sql *q, const char *text, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *st = sql_vask(q, text, types, ap);
    va_end(ap);
    return st;
}

bool sql_step(sqlite3_stmt *st, int *rc_r)
{
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    if (rc == SQLITE_ROW)
        return true;
    sqlite3_reset(st);
    *rc_r = rc == SQLITE_DONE ? SQLITE_OK : rc;
    return false;
}

struct str sql_str(sqlite3_stmt *st, int col)
{
    const void *p = sqlite3_column_blob(st, col);
    int n = sqlite3_column_bytes(st, col);
    return (struct str){p && n > 0 ? p : "", n > 0 ? (size_t)n : 0};
}

bool sql_exec(struct sql *q, const char *text, struct err *err)
{
    int rc = sqlite3_exec(q->h, text, NULL, NULL, NULL);
    return rc == SQLITE_OK || sql_fail(q, rc, err);
}

/* The file of the database, for the user. */
static const char *place(const struct sql *q)
{
    const char *path = q->h ? sqlite3_db_filename(q->h, "main") : NULL;
    return path && *path ? path : "the store";
}

bool sql_fail(struct sql *q, int rc, struct err *err)
{
    int sys = q->h ? sqlite3_system_errno(q->h) : 0;
    const char *words = q->h ? sqlite3_errmsg(q->h) : sqlite3_errstr(rc);
    int base = rc & 0xff;
    if (base == SQLITE_FULL || ((base == SQLITE_IOERR || base == SQLITE_CANTOPEN) && (sys == ENOSPC || sys == EDQUOT)))
        return err_set(err, ERR_DISK_FULL, "%s; make room for %s",
                       sys == EDQUOT ? "the disk quota is used up" : "the disk is full", place(q));
    if (base == SQLITE_PERM || base == SQLITE_READONLY || base == SQLITE_AUTH ||
        (base == SQLITE_CANTOPEN && (sys == EACCES || sys == EPERM || sys == EROFS)))
        return err_set(err, ERR_PERMISSION, "cannot use the store: %s", sys ? strerror(sys) : words);
    if (base == SQLITE_IOERR || base == SQLITE_CANTOPEN)
        return err_set(err, ERR_IO, "cannot read or write the store: %s", sys ? strerror(sys) : words);
    if (base == SQLITE_BUSY || base == SQLITE_LOCKED || base == SQLITE_NOMEM) /* it will pass */
        return err_set(err, ERR_IO, "cannot read or write the store: %s", words);
    return err_set(err, ERR_STORE, "the store's database failed: %s", words);
}

/* ---- the keyed hash ----------------------------------------------------------------------------- */

uint64_t sql_hash(const struct sql *q, struct str s)
{
    uint64_t h = str_hash_keyed(s, q->key);
    return h ? h : 1;
}

bool sql_load_key(struct sql *q, struct err *err)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = sql_ask(q, "SELECT value FROM meta WHERE name='hash-key'", "");
    q->has_key = false;
    if (sql_step(st, &rc)) {
        struct str s = sql_str(st, 0);
        if (s.n == sizeof q->key) {
            memcpy(q->key, s.p, s.n);
            q->has_key = true;
        }
        sqlite3_reset(st);
    }
    return rc == SQLITE_OK || sql_fail(q, rc, err);
}

struct str sql_msgid(struct str raw)
{
    raw = str_trim(raw);
    if (raw.n && raw.p[0] == '<')
        raw = str_sub(raw, 1, raw.n);
    if (raw.n && raw.p[raw.n - 1] == '>')
        raw = str_sub(raw, 0, raw.n - 1);
    return raw;
}

uint64_t sql_msgid_hash(const struct sql *q, struct str msgid)
{
    msgid = sql_msgid(msgid);
    return msgid.n ? sql_hash(q, msgid) : 0;
}

uint64_t sql_fingerprint(const struct sql *q, struct str from_addr, struct str subject, int64_t date)
{
    uint64_t part[3] = {sql_hash(q, from_addr), sql_hash(q, subject), (uint64_t)date};
    return sql_hash(q, (struct str){(const char *)part, sizeof part});
}

/* ---- names -------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t role;
} usual_names[] = {
    {"inbox", BOX_INBOX},     {"archive", BOX_ARCHIVE}, {"archives", BOX_ARCHIVE},    {"drafts", BOX_DRAFTS},
    {"draft", BOX_DRAFTS},    {"sent", BOX_SENT},       {"sent items", BOX_SENT},     {"sent messages", BOX_SENT},
    {"sent mail", BOX_SENT},  {"trash", BOX_TRASH},     {"deleted items", BOX_TRASH}, {"deleted messages", BOX_TRASH},
    {"bin", BOX_TRASH},       {"junk", BOX_JUNK},       {"spam", BOX_JUNK},           {"junk e-mail", BOX_JUNK},
    {"junk email", BOX_JUNK}, {"bulk mail", BOX_JUNK},  {"bulk", BOX_JUNK},
};

uint8_t sql_role_by_name(struct str name, struct str utf8, char delim)
{
    if (str_case_eqz(name, "INBOX") || !name.n)
        return BOX_INBOX;
    struct str s = utf8.n ? utf8 : name;
    /* Courier puts all under INBOX: the usual names count there too. */
    if (delim && s.n > 6 && str_case_starts(s, STR("INBOX")) && s.p[5] == delim)
        s = str_sub(s, 6, s.n);
    for (size_t i = 0; i < COUNT(usual_names); i++)
        if (usual_names[i].role != BOX_INBOX && str_case_eqz(s, usual_names[i].name))
            return usual_names[i].role;
    return BOX_NONE;
}

char *sql_account_dir(const char *state_dir, const char *account, struct err *err)
{
    size_t n = account ? strlen(account) : 0;
    if (!n || n > 64 || strchr(account, '/') || account[0] == '.') {
        err_set(err, ERR_USAGE, "'%s' is not an account's name", account ? account : "");
        return NULL;
    }
    return path_join(state_dir, account);
}
