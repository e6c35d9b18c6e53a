/* Figures of the databases: bench_db [ROWS]: inserts, flags, windows, ranks, UIDL passes. Not a test: it asserts
 * nothing. */
#include <inttypes.h>
#include <unistd.h>

#include "store/db.h"
#include "store/read.h"

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        struct err err = ERR_INIT;                                                                                     \
        if (!(call)) {                                                                                                 \
            fprintf(stderr, "%s: %s\n", #call, err.text);                                                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Processor time: what counts where other work runs beside it. */
static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void row_fill(struct db_row *row, uint64_t box, uint32_t uid, uint32_t rows, char text[512], bool full)
{
    char *subject = text + 128, *addr = text + 256, *refs = text + 320;
    snprintf(text, 128, "20260101.%08u.%u@mail.example.org", uid, uid * 7919);
    snprintf(subject, 128, "Re: budget for the quarter, part %u of many, second reading", uid % 1000);
    snprintf(addr, 64, "user%u@example.org", uid % 997);
    snprintf(refs, 192, "20260101.%08u.%u@mail.example.org", uid - uid % 4, (uid - uid % 4) * 7919);
    *row = (struct db_row){.box = box,
                           .uid = uid,
                           .flags = uid % 5 ? FLAG_SEEN : 0,
                           .size = 4000 + uid % 90000,
                           .internal_date = 1600000000 + (int64_t)uid * 60,
                           .date = 1600000000 + (int64_t)uid * 60 + uid % 100,
                           .attrs = full ? ROW_FULL : 0,
                           .from_name = STR("Alice Example"),
                           .from_addr = str_z(addr),
                           .subject = str_z(subject),
                           .msgid = str_z(text),
                           .refs = full && uid % 4 ? str_z(refs) : STR(""),
                           .to = full ? STR("Bob, Carol") : STR("")};
    (void)rows;
}

static void fill(struct db *db, uint64_t box, uint32_t rows, bool full, const char *what)
{
    double start = now_us(), cpu = cpu_us();
    char text[512];
    for (uint32_t uid = rows; uid > 0;) {
        TRY(db_begin(db, &err));
        for (unsigned i = 0; i < 1000 && uid > 0; i++, uid--) {
            struct db_row row;
            uint64_t id;
            row_fill(&row, box, uid, rows, text, full);
            TRY(db_row_put(db, &row, &id, NULL, &err));
        }
        TRY(db_commit(db, &err));
    }
    double us = now_us() - start, busy = cpu_us() - cpu;
    printf("%-28s %8u rows %10.0f /s, %.0f /s of processor time\n", what, rows, rows / us * 1e6, rows / busy * 1e6);
}

static void on_row(void *arg, const struct msg_row *row)
{
    (void)row;
    ++*(unsigned *)arg;
}

static void reading(const char *state, uint64_t box, uint32_t rows)
{
    struct reader *r = NULL;
    unsigned n = 0;
    uint32_t rank = 0, total = 0;
    struct msg_row row;
    struct err e = ERR_INIT;
    r = reader_open(state, "bench", &e);
    if (!r)
        exit(1);
    for (int pass = 0; pass < 2; pass++) { /* the second is warm */
        double t0 = now_us();
        TRY(reader_rows(r, box, LIST_ALL, NULL, true, 50, on_row, &n, &err));
        double t1 = now_us();
        TRY(reader_at_rank(r, box, LIST_ALL, rows / 2, &row, &err));
        double t2 = now_us();
        TRY(reader_rank(r, box, LIST_ALL, &ROW_KEY(row.date, row.id), &rank, &total, &err));
        double t3 = now_us();
        TRY(reader_at_rank(r, box, LIST_UNREAD, rows / 12, &row, &err));
        double t4 = now_us();
        TRY(reader_rows(r, box, LIST_UNREAD, NULL, false, 50, on_row, &n, &err));
        double t5 = now_us();
        printf("%s  newest 50: %.0f us, at rank n/2: %.0f us, rank: %.0f us, unread at rank: %.0f us, oldest 50 "
               "unread: %.0f us\n",
               pass ? "warm" : "cold", t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4);
    }
    reader_close(&r);
}

static void ledger(struct db *db)
{
    for (int pass = 0; pass < 2; pass++) {
        double start = now_us();
        TRY(db_pop_begin(db, &err));
        for (uint32_t i = 1; i <= 100000; i++) {
            char uidl[48];
            snprintf(uidl, sizeof uidl, "%08x%08x.example", i * 2654435761u, i);
            TRY(db_pop_add(db, i, 1000, str_z(uidl), &err));
        }
        uint32_t doubts;
        TRY(db_pop_end(db, 1, &doubts, &err));
        printf("%s pass over 100000 UIDLs: %.0f ms\n", pass ? "second" : "first", (now_us() - start) / 1000);
    }
}

int main(int argc, char **argv)
{
    uint32_t rows = 100000;
    if (argc > 1 && !str_u32(str_z(argv[1]), &rows))
        return 64;
    char state[] = "/tmp/tuimail-bench-XXXXXX";
    if (!mkdtemp(state))
        return 1;
    struct db *db;
    unsigned opened;
    uint64_t box;
    bool dropped;
    TRY(db_open(state, "bench", false, &db, &opened, &err));
    TRY(db_box_put(db, &(struct db_box){.name = STR("INBOX"), .exists = rows, .unread = 0}, &box, &err));
    TRY(db_box_open(db, box, 1, rows + 1, rows, false, true, STR(""), &dropped, &err));
    fill(db, box, rows, false, "first pass, newest first");
    reading(state, box, rows);
    fill(db, box, rows, true, "second pass");
    reading(state, box, rows);
    double start = now_us();
    TRY(db_begin(db, &err));
    for (uint32_t uid = 1; uid <= rows; uid++)
        TRY(db_flags_put(db, box, uid, FLAG_SEEN, STR(""), 1, &err));
    TRY(db_commit(db, &err));
    printf("flags of all rows again: %.0f /s\n", rows / (now_us() - start) * 1e6);
    start = now_us();
    for (unsigned i = 1; i <= 200; i++) {
        struct db_msg m;
        uint64_t group, id;
        uint32_t n;
        TRY(db_msg_at(db, box, i, &m, &err));
        id = m.id;
        TRY(db_intent_add(db, &(struct db_intent){.kind = INTENT_FLAGS, .msgs = &id, .n = 1, .set = FLAG_FLAGGED},
                          &group, NULL, &n, &err));
    }
    printf("one intent, committed: %.0f us\n", (now_us() - start) / 200);
    ledger(db);
    db_close(&db);
    printf("left in %s\n", state);
    return 0;
}
