/* A scratch store for the tests of the databases. */
#ifndef TUIMAIL_DB_HELP_H
#define TUIMAIL_DB_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>

#include "store/db.h"
#include "store/read.h"

static char scratch[64];

static int rm_one(const char *path, const struct stat *s, int flag, struct FTW *ftw)
{
    (void)s;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static UNUSED int scratch_make(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/tuimail-db-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static UNUSED int scratch_drop(void **state)
{
    (void)state;
    return nftw(scratch, rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        struct err err = ERR_INIT;                                                                                     \
        if (!(call))                                                                                                   \
            fail_msg("%s: %s (%s)", #call, err.text, err_name(err.kind));                                              \
    } while (0)
#define REFUSED(kind_, call)                                                                                           \
    do {                                                                                                               \
        struct err err = ERR_INIT;                                                                                     \
        if (call)                                                                                                      \
            fail_msg("%s: succeeded", #call);                                                                          \
        assert_int_equal(err.kind, kind_);                                                                             \
    } while (0)

static UNUSED struct db *open_db(bool local, unsigned *opened_r)
{
    struct db *db = NULL;
    unsigned opened;
    OK(db_open(scratch, "work", local, &db, opened_r ? opened_r : &opened, &err));
    return db;
}

/* A mailbox that the server has listed and opened. */
static UNUSED uint64_t make_mailbox(struct db *db, const char *name, uint32_t uidvalidity)
{
    uint64_t id = 0;
    bool dropped;
    OK(db_box_put(
        db,
        &(struct db_box){
            .name = str_z(name), .utf8 = str_z(name), .delim = '/', .exists = UINT32_MAX, .unread = UINT32_MAX},
        &id, &err));
    OK(db_box_open(db, id, uidvalidity, 1, 0, false, true, STR(""), &dropped, &err));
    return id;
}

/* Arrived not long ago: older mail is no news. The same in the whole run. */
static int64_t recent(void)
{
    static int64_t at;
    at = at ? at : clock_wall() - 1000;
    return at;
}

static UNUSED struct db_row row_of(uint64_t box, uint32_t uid, const char *msgid)
{
    return (struct db_row){.box = box,
                           .uid = uid,
                           .size = 1000 + uid,
                           .internal_date = recent() + uid,
                           .date = 1700000000 + uid,
                           .attrs = ROW_FULL,
                           .from_name = STR("Alice"),
                           .from_addr = STR("alice@example.org"),
                           .to = STR("Bob"),
                           .subject = STR("hello"),
                           .msgid = str_z(msgid)};
}

static UNUSED uint64_t put(struct db *db, const struct db_row *row)
{
    uint64_t id = 0;
    OK(db_row_put(db, row, &id, NULL, &err));
    return id;
}

static UNUSED uint64_t put_uid(struct db *db, uint64_t box, uint32_t uid, const char *msgid)
{
    struct db_row row = row_of(box, uid, msgid);
    return put(db, &row);
}

static UNUSED struct db_msg msg_of(struct db *db, uint64_t id)
{
    struct db_msg m = {.id = 0};
    struct err e = ERR_INIT;
    if (!db_msg_get(db, id, &m, &e))
        m.id = 0;
    return m;
}

/* Adds an intent on messages; the group. */
static UNUSED uint64_t want(struct db *db, enum intent_kind kind, const uint64_t *msgs, size_t n, uint64_t target,
                            uint32_t set, uint32_t clear)
{
    uint64_t group = 0;
    uint32_t count;
    OK(db_intent_add(db,
                     &(struct db_intent){
                         .kind = kind, .msgs = msgs, .n = n, .target = target, .set = set, .clear = clear, .now = 1000},
                     &group, NULL, &count, &err));
    return group;
}

/* The counts a reader sees. */
static UNUSED struct box_row counts_of(uint64_t box)
{
    struct box_row row = {.id = 0};
    struct reader *r = NULL;
    struct err e = ERR_INIT;
    r = reader_open(scratch, "work", &e);
    if (!r || !reader_box(r, box, &row, &e))
        fail_msg("reader: %s", e.text);
    row.name = row.utf8 = STR("");
    reader_close(&r);
    return row;
}

#endif
