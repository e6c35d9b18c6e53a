/* What reader and writer of the state databases share: prepared statements, bindings, error words, the keyed hash.
 * Private to src/store. */
#ifndef TUIMAIL_STORE_READ_SQL_H
#define TUIMAIL_STORE_READ_SQL_H

#include <sqlite3.h>

#include "base/base.h"

#define SQL_KEEP_NAME "keep.db"
#define SQL_CACHE_NAME "cache.db"

/* A connection with its prepared statements, each found by the address of its text: texts are literals, written where
 * they are used. */
struct sql {
    sqlite3 *h;
    struct sql_slot {
        const char *text;
        sqlite3_stmt *st;
    } * slots;
    size_t cap, used;
    uint8_t key[16]; /* of sql_hash, from keep.db */
    bool has_key;
};
void sql_fini(struct sql *); /* finalises and closes; NULL-safe */
/* Opens `path` with SQLite's flags `flags`. No mutexes: every program here is one thread. */
int sql_open(struct sql *, const char *path, int flags);
/* Safe settings of every connection: no trusted schema, defensive, no load of extensions. */
bool sql_harden(struct sql *, struct err *);
/* Prepared, reset, unbound; NULL on error (sql_fail tells). */
sqlite3_stmt *sql_get(struct sql *, const char *text);
/* types: i int64_t, s struct str as blob, n the same but NULL when empty. */
sqlite3_stmt *sql_ask(struct sql *, const char *text, const char *types, ...);
sqlite3_stmt *sql_vask(struct sql *, const char *text, const char *types, va_list);
/* Steps: true on a row; at the end, or on an error (*rc_r), the statement is reset. */
bool sql_step(sqlite3_stmt *, int *rc_r);
struct str sql_str(sqlite3_stmt *, int col);
static inline int64_t sql_int(sqlite3_stmt *st, int col)
{
    return sqlite3_column_int64(st, col);
}
static inline uint64_t sql_u64(sqlite3_stmt *st, int col)
{
    return (uint64_t)sqlite3_column_int64(st, col);
}
static inline uint32_t sql_u32(sqlite3_stmt *st, int col)
{
    return (uint32_t)sqlite3_column_int64(st, col);
}
bool sql_exec(struct sql *, const char *text, struct err *);
/* Fills *err from the connection's last failure and returns false. */
bool sql_fail(struct sql *, int rc, struct err *);

/* SipHash-2-4 under the account's own key: a sender cannot make two ids collide. Never 0. */
uint64_t sql_hash(const struct sql *, struct str);
bool sql_load_key(struct sql *, struct err *);
/* Message-ID without <> and blanks around. */
struct str sql_msgid(struct str raw);
/* Hash of a Message-ID; 0 where it is empty. */
uint64_t sql_msgid_hash(const struct sql *, struct str msgid);
/* Fingerprint of a message's content as far as a row knows it: tags hold on to (Message-ID, fingerprint). */
uint64_t sql_fingerprint(const struct sql *, struct str from_addr, struct str subject, int64_t date);
/* Role by the usual names, for servers without SPECIAL-USE. */
uint8_t sql_role_by_name(struct str name, struct str utf8, char delim);
/* Account directory "STATE/ACCOUNT"; caller owns. NULL with ERR_USAGE where the account's name is no directory name. */
char *sql_account_dir(const char *state_dir, const char *account, struct err *);

#endif
