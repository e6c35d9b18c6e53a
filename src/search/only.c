/* A query for some messages of an account, by their ids. */
#include "search/run.h"

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct only *)a)->id, ((const struct only *)b)->id);
}

void only_free(struct run *r)
{
    for (size_t i = 0; i < r->nonly; i++)
        free(r->only[i].id);
    free(r->only);
    free(r->found);
    r->only = NULL;
    r->found = NULL;
    r->nonly = 0;
}

/* A message of the account by the places under which the index may have it: its file or what stands for it, or an
 * altered header file. */
static notmuch_message_t *find(notmuch_database_t *db, struct reader *reader, uint64_t msg)
{
    const char *root = notmuch_config_get(db, NOTMUCH_CONFIG_MAIL_ROOT);
    notmuch_message_t *m = NULL;
    struct err ignored = ERR_INIT;
    struct buf place = BUF_INIT(2048), path = BUF_INIT(8192);
    for (unsigned i = 0; i < 2 && m == NULL; i++) {
        buf_reset(&place);
        buf_reset(&path);
        if (!reader_place(reader, msg, &place, &ignored))
            break;
        buf_addf(&path, "%s/%s%s", root, i % 2 ? ".dup/" : "", buf_z(&place));
        if (place.n > 0 && !path.full &&
            notmuch_database_find_message_by_filename(db, buf_z(&path), &m) != NOTMUCH_STATUS_SUCCESS)
            m = NULL;
    }
    buf_fini(&place);
    buf_fini(&path);
    return m;
}

void only_these(struct run *r, notmuch_database_t *db, struct buf *words)
{
    struct reader *reader = NULL;
    size_t n = ipc_ids_count(r->m->msgs);
    for (size_t i = 0; i < r->s->naccounts; i++)
        if (str_eqz(r->m->account, r->s->accounts[i]))
            reader = search_reader(r->s, i);
    buf_addz(words, "(id:\"\""); /* where the index has none of them the query is still looked at */
    if (r->only == NULL) {
        r->only = mem_array(n + 1, sizeof *r->only);
        r->found = mem_array(n + 1, sizeof *r->found);
    }
    for (size_t i = 0; i < n && reader != NULL; i++) {
        uint64_t msg = ipc_ids_at(r->m->msgs, i);
        notmuch_message_t *m = r->found[i] ? NULL : find(db, reader, msg);
        if (m == NULL)
            continue;
        r->found[i] = true;
        const char *id = notmuch_message_get_message_id(m);
        buf_addz(words, " or id:\"");
        for (const char *p = id; *p != '\0'; p++)
            buf_addf(words, *p == '"' ? "\"\"" : "%c", *p);
        buf_addc(words, '"');
        r->only[r->nonly++] = (struct only){mem_dup_z(id), msg};
        notmuch_message_destroy(m);
    }
    buf_addc(words, ')');
    if (r->nonly > 0)
        qsort(r->only, r->nonly, sizeof *r->only, by_id);
}

bool send_only(struct run *r, notmuch_message_t *m, struct err *err)
{
    const char *id = notmuch_message_get_message_id(m);
    bool ok = true;
    for (size_t i = 0; i < r->nonly && ok; i++)
        if (strcmp(r->only[i].id, id) == 0) {
            ok = SEND(r->s->client, -1, err, HIT, .req = r->m->req, .account = r->m->account, .msg = r->only[i].msg,
                      .msgid = str_z(id));
            ok = sent(r, ok, err);
            r->hits += ok;
        }
    return ok;
}
