/* Fills an account's databases as a finished synchronisation leaves them: fill_store STATE-DIR ACCOUNT ROWS
 * [unindexed | addresses]. Three of four messages answer another one, one of fifty is unread; nothing waits for the
 * index, or all. addresses: of as many people as there are rows, too, one of ten met often.
 * For the benches: what they measure is a list of a million rows, and no server hands that over in a minute. */
#include "store/db.h"

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        struct err err = ERR_INIT;                                                                                     \
        if (!(call)) {                                                                                                 \
            fprintf(stderr, "%s: %s\n", #call, err.text);                                                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { PER_THREAD = 4, PER_COMMIT = 2000, TEXT = 512 };

static const char *const first[] = {"Alice", "Bob",  "Carol",   "Dave", "Erin",   "Frank", "Grace",  "Heidi",
                                    "Ivan",  "Judy", "Mallory", "Niaj", "Olivia", "Peggy", "Rupert", "Sybil"};
static const char *const last[] = {"Example", "Sample", "Brown", "Winter", "Keller",
                                   "Marsh",   "Stone",  "Field", "Young"};
static const char *const words[] = {"budget",  "quarter", "patch",   "release", "notes",   "meeting",
                                    "minutes", "invoice", "travel",  "review",  "draft",   "backup",
                                    "kernel",  "network", "holiday", "parser",  "slides",  "schedule",
                                    "print",   "museum",  "garden",  "orders",  "tickets", "summary"};

struct texts {
    char name[64], addr[64], subject[160], msgid[64], refs[64];
};

static uint32_t mixed(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ x >> 16;
}

static void write_texts(uint32_t uid, struct texts *t)
{
    uint32_t root = uid - uid % PER_THREAD, h = mixed(uid), s = mixed(root);
    const char *name = first[h % COUNT(first)], *family = last[(h >> 8) % COUNT(last)];
    snprintf(t->name, sizeof t->name, "%s %s", name, family);
    snprintf(t->addr, sizeof t->addr, "%s.%s.%u@example.org", name, family, h % 997);
    snprintf(t->subject, sizeof t->subject, "%s%s %s for the %s and %s of %u",
             uid == root ? "" : "Re: ", words[s % COUNT(words)], words[(s >> 5) % COUNT(words)],
             words[(s >> 10) % COUNT(words)], words[(s >> 15) % COUNT(words)], root);
    snprintf(t->msgid, sizeof t->msgid, "20260101.%08u@mail.example.org", uid);
    snprintf(t->refs, sizeof t->refs, "20260101.%08u@mail.example.org", root);
}

static void put(struct db *db, uint64_t box, uint32_t uid, uint32_t rows, int64_t now)
{
    struct texts t;
    uint64_t id;
    write_texts(uid, &t);
    int64_t date = now - (int64_t)(rows - uid) * 240;
    struct db_row row = {.box = box,
                         .uid = uid,
                         .flags = mixed(uid + 1) % 50 ? FLAG_SEEN : 0,
                         .size = 2000 + mixed(uid) % 90000,
                         .internal_date = date,
                         .date = date,
                         .attrs = ROW_FULL | (uid % 11 ? 0 : ROW_ATTACHMENT),
                         .from_name = str_z(t.name),
                         .from_addr = str_z(t.addr),
                         .to = STR("Bob Example"),
                         .subject = str_z(t.subject),
                         .msgid = str_z(t.msgid),
                         .refs = uid % PER_THREAD ? str_z(t.refs) : STR("")};
    TRY(db_row_put(db, &row, &id, NULL, &err));
}

struct batch {
    uint64_t ids[PER_COMMIT];
    size_t n;
};

static void on_job(void *arg, const struct db_index_job *job)
{
    struct batch *b = arg;
    b->ids[b->n++] = job->msg.id;
}

/* As if the index had taken what waits for it; false where nothing does. */
static bool index_some(struct db *db)
{
    struct batch b = {.n = 0};
    TRY(db_begin(db, &err));
    TRY(db_index_next(db, INDEX_STAGE_FIRST, PER_COMMIT, on_job, &b, &err));
    TRY(db_index_done(db, b.ids, b.n, &err));
    TRY(db_commit(db, &err));
    return b.n > 0;
}

static void meet(struct db *db, uint32_t number, int64_t now)
{
    char name[80], addr[80];
    uint32_t h = mixed(number);
    const char *given = first[h % COUNT(first)], *family = last[(h >> 8) % COUNT(last)];
    snprintf(name, sizeof name, "%s %s%c%c", given, family, 'a' + (h >> 16) % 26, 'a' + (h >> 21) % 26);
    snprintf(addr, sizeof addr, "%s.%s.%u@%s%u.example.org", given, family, number, words[number % COUNT(words)],
             number % 97);
    TRY(db_address_met(db, str_z(name), str_z(addr), number % 10 ? 1 : 30, now - (int64_t)number * 3600, &err));
}

int main(int argc, char **argv)
{
    uint32_t rows;
    struct db *db;
    unsigned opened;
    uint64_t box, other;
    bool dropped;
    if (argc < 4 || argc > 5 || !str_u32(str_z(argv[3]), &rows))
        return 64;
    TRY(db_open(argv[1], argv[2], false, &db, &opened, &err));
    TRY(db_box_put(db, &(struct db_box){.name = STR("INBOX"), .delim = '/', .exists = rows}, &box, &err));
    TRY(db_box_put(db, &(struct db_box){.name = STR("Archive"), .delim = '/', .role = BOX_ARCHIVE}, &other, &err));
    TRY(db_box_put(db, &(struct db_box){.name = STR("Trash"), .delim = '/', .role = BOX_TRASH}, &other, &err));
    TRY(db_box_open(db, box, 1, rows + 1, rows, false, true, STR(""), &dropped, &err));
    int64_t now = clock_wall();
    for (uint32_t uid = rows; uid > 0;) {
        TRY(db_begin(db, &err));
        for (unsigned i = 0; i < PER_COMMIT && uid > 0; i++, uid--)
            put(db, box, uid, rows, now);
        TRY(db_commit(db, &err));
    }
    bool unindexed = argc == 5 && strcmp(argv[4], "unindexed") == 0;
    while (!unindexed && index_some(db))
        ;
    for (uint32_t i = 0; argc == 5 && !unindexed && i < rows;) {
        TRY(db_begin(db, &err));
        for (unsigned k = 0; k < PER_COMMIT && i < rows; k++, i++)
            meet(db, i, now);
        TRY(db_commit(db, &err));
    }
    TRY(db_begin(db, &err));
    TRY(db_box_filled(db, box, &err));
    TRY(db_box_synced(db, box, 1, rows + 1, &err));
    TRY(db_commit(db, &err));
    db_close(&db);
    return 0;
}
