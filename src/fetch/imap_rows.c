/* Rows, flags and UIDs: FETCH in slices that an urgent step can overtake, newest first; SEARCH and ESEARCH (RFC 4731).
 */
#include "fetch/imap.h"

#define SLICE_FIRST 40 /* a screen: in the 14 KB that a fresh line carries at once */
#define SLICE 125      /* messages in a FETCH of rows: some 50 KB */
#define SLICE_FLAGS 4000
#define SLICES_MAX 32     /* under way; as many as fill the line: what is urgent waits behind them */
#define SET_MAX 900       /* bytes of a sequence set */
#define QUEUE_MS 150      /* by which an answer may come later than the quickest */
#define SEARCH_SPAN 50000 /* UIDs in a SEARCH: its line stays below a megabyte */
#define FIND_MAX 100
#define DESERT 16      /* slices in a row without an answer */
#define SPLIT_MAX 128  /* commands spent on a slice that the server refuses */
#define LEFT_OUT_MAX 8 /* messages of it that cannot be had; with more it is the server, not they */
#define COMPRESS_FROM 1000
#define RANGES_PER_MSG 4000

enum { FIELDS_MORE = ROWS_NEWS + 1, FIELDS_FLAGS, FIELDS_FLAGS_MODSEQ, FIELDS_CHECK };
#define HEADER(fields) "BODY.PEEK[HEADER.FIELDS (" fields ")])"
#define WHOLE                                                                                                          \
    "(UID FLAGS INTERNALDATE RFC822.SIZE " HEADER(                                                                     \
        "DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES IN-REPLY-TO LIST-ID CONTENT-TYPE")
static const char *const row_items[] = {
    [ROWS_WHOLE] = WHOLE,
    [ROWS_NEWS] = WHOLE,
    [ROWS_FIRST] = "(UID FLAGS RFC822.SIZE " HEADER("DATE FROM SUBJECT MESSAGE-ID"),
    [ROWS_FIRST_TO] = "(UID FLAGS RFC822.SIZE " HEADER("DATE FROM TO SUBJECT MESSAGE-ID"),
    [FIELDS_MORE] = "(UID INTERNALDATE " HEADER("TO CC REFERENCES IN-REPLY-TO LIST-ID CONTENT-TYPE"),
    [FIELDS_FLAGS] =
        "(UID FLAGS RFC822.SIZE)", /* without MODSEQ only this tells a UID that is used again (THREATS 45) */
    [FIELDS_CHECK] = "(UID FLAGS RFC822.SIZE INTERNALDATE)",
    [FIELDS_FLAGS_MODSEQ] = "(UID FLAGS MODSEQ)",
};

/* Where the server has them: Gmail's labels count as flags; by what it knows message and conversation again (RFC 8474),
 * with what can wait. */
static const char *row_extras(const struct session *s, uint8_t fields)
{
    uint64_t caps = imap_caps(s->imap);
    bool ids = fields == ROWS_WHOLE || fields == ROWS_NEWS || fields == FIELDS_MORE;
    bool words = fields == ROWS_NEWS && (caps & IMAP_CAP_PREVIEW);
    if (caps & IMAP_CAP_GMAIL)
        return fields == FIELDS_MORE ? "X-GM-MSGID X-GM-THRID "
               : ids                 ? "X-GM-LABELS X-GM-MSGID X-GM-THRID "
                                     : "X-GM-LABELS ";
    if (ids && (caps & IMAP_CAP_OBJECTID))
        return words ? "EMAILID THREADID PREVIEW " : "EMAILID THREADID ";
    return words ? "PREVIEW " : "";
}

static uint8_t fields_of(uint8_t asked)
{
    return asked <= ROWS_NEWS ? asked : ROWS_WHOLE;
}

/* ---- Answers ------------------------------------------------------------------------------------ */
static void map_put(struct session *s, uint32_t seq, uint32_t uid)
{
    if (imap_enabled(s->imap, IMAP_CAP_QRESYNC) || seq > UID_MAP_MAX || seq > s->exists)
        return;
    if (seq > s->nmap) {
        s->map = mem_resize(s->map, seq, sizeof(*s->map));
        memset(s->map + s->nmap, 0, (seq - s->nmap) * sizeof(*s->map));
        s->nmap = seq;
    }
    s->map[seq - 1] = uid;
}

/* Gmail does not name the label that the selected mailbox is. */
static struct str own_label(struct session *s)
{
    struct box *b = box_find(s, s->selected);
    struct str name = b ? (struct str){b->name, b->name_len} : STR("");
    bool own = name.n && name.p[0] != '[' && !str_case_eqz(name, "INBOX"); /* those of the server are below "[Gmail]" */
    return own ? name : STR("");
}

static bool row_tell(struct session *s, const struct imap_fetch *ft, struct err *err)
{
    struct mail_row row;
    bool whole = s->fields == ROWS_WHOLE || s->fields == ROWS_NEWS;
    arena_reset(s->arena);
    mail_row_parse(ft->header, str_z(s->self), s->arena, &row);
    return FETCH_SEND(s->f, err, ROW, .box = s->selected, .uid = ft->uid, .seq = ft->seq, .flags = ft->flags,
                      .keywords = ft->keywords, .modseq = ft->modseq, .size = ft->size, .internal_date = ft->date,
                      .date = row.date, .attrs = row.attrs | (whole ? (uint32_t)ROW_FULL : 0),
                      .from_name = row.from_name, .from_addr = row.from_addr, .to = row.to, .subject = row.subject,
                      .msgid = row.msgid, .refs = row.refs, .list_id = row.list_id, .emailid = ft->emailid,
                      .threadid = ft->threadid, .preview = ft->preview,
                      .rcpts = whole && mail_addr_is_self(row.from_addr, str_z(s->self)) ? row.rcpts : STR(""));
}

static bool more_tell(struct session *s, const struct imap_fetch *ft, struct err *err)
{
    struct mail_row row;
    arena_reset(s->arena);
    mail_row_parse(ft->header, str_z(s->self), s->arena, &row);
    return FETCH_SEND(s->f, err, ROW_MORE, .box = s->selected, .uid = ft->uid, .internal_date = ft->date,
                      .attrs = row.attrs, .to = row.to, .refs = row.refs, .list_id = row.list_id,
                      .emailid = ft->emailid, .threadid = ft->threadid, .rcpts = row.rcpts);
}

bool imap_on_fetch(struct session *s, const struct imap_event *ev, struct err *err)
{
    struct imap_fetch ft = ev->fetch;
    if (!s->selected || (!s->selecting && ft.seq > s->exists)) /* THREATS 48 */
        return true;
    if (!ft.uid && ft.seq <= s->nmap)
        ft.uid = s->map[ft.seq - 1];
    if (ft.uid)
        map_put(s, ft.seq, ft.uid);
    if (!ft.uid && (ft.has & IMAP_HAS_FLAGS) && !s->selecting)
        watch_nameless(s, ft.seq);
    s->broken += (ft.has & IMAP_BROKEN) != 0;
    if (!ft.uid || (ft.has & IMAP_BROKEN))
        return true; /* a row without its UID names no message; a broken one is left out and asked again later */
    if (ft.has & IMAP_HAS_BODY)
        return body_on_fetch(s, &ft, err);
    s->fetched++;
    if (s->claims && (ft.has & IMAP_HAS_FLAGS))
        claims_note(s, &ft);
    if (s->finding)
        return !(ft.has & IMAP_HAS_SIZE) ||
               FETCH_SEND(s->f, err, FOUND, .step = fetch_step(s->f), .box = s->selected, .uidvalidity = s->uidvalidity,
                          .uid = ft.uid, .size = ft.size, .internal_date = ft.date);
    if ((ft.has & IMAP_HAS_HEADER) && s->fields == FIELDS_MORE)
        return more_tell(s, &ft, err);
    struct buf words = BUF_INIT(4096);
    bool ok = true, labels = (ft.has & IMAP_HAS_LABELS) != 0;
    if (labels) {
        buf_adds(&words, ft.keywords);
        imap_label_add(own_label(s), false, &words);
        ft.keywords = buf_str(&words);
    }
    if ((ft.has & IMAP_HAS_HEADER) && (ft.has & IMAP_HAS_FLAGS))
        ok = row_tell(s, &ft, err);
    else if (ft.has & IMAP_HAS_FLAGS)
        ok = FETCH_SEND(s->f, err, FLAGS, .box = s->selected, .uid = ft.uid, .flags = ft.flags, .keywords = ft.keywords,
                        .modseq = ft.modseq, .size = ft.size, .internal_date = ft.date,
                        .flags_only = (imap_caps(s->imap) & IMAP_CAP_GMAIL) && !labels);
    buf_fini(&words);
    return ok;
}

static bool uids_flush(struct session *s, bool last, struct err *err)
{
    bool ok = FETCH_SEND(s->f, err, UIDS, .step = s->search_step, .box = s->selected, .last = last,
                         .ranges = buf_str(&s->found));
    buf_reset(&s->found);
    return ok;
}

static bool found_add(struct session *s, uint32_t lo, uint32_t hi, struct err *err)
{
    s->fetched++;
    ipc_ranges_add(&s->found, lo, hi);
    return !s->search_step || ipc_ranges_count(buf_str(&s->found)) < RANGES_PER_MSG || uids_flush(s, false, err);
}

bool imap_on_search(struct session *s, struct str set, bool esearch, struct err *err)
{
    uint32_t lo, hi;
    if (!s->searching)
        return true; /* nobody asked (THREATS 49) */
    if (esearch) {
        while (imap_set_next(&set, &lo, &hi))
            if (!found_add(s, lo, hi, err))
                return false;
        return true;
    }
    while (imap_number_next(&set, &lo))
        if (!found_add(s, lo, lo, err))
            return false;
    return true;
}

/* ---- Slices ------------------------------------------------------------------------------------- */
/* Falls from hi to lo in spans of numbers, several commands under way; between slices urgent steps get their turn. */
struct slice {
    uint32_t tag, lo, hi, n; /* n: numbers in it */
    int64_t sent;
};
struct slices {
    const char *command; /* "UID FETCH" or "FETCH" */
    uint8_t fields;      /* of row_items */
    uint64_t box;
    uint32_t lo, hi, span, wanted; /* wanted: answers per slice to aim at */
    struct str ranges;             /* packed: taken one by one after lo..hi */
    uint64_t next;                 /* highest number not yet asked; 0 all asked */
    struct slice sent[SLICES_MAX];
    unsigned under_way, window, empty;
    int64_t quickest;
};

static bool set_ask(struct session *s, uint32_t *tag_r, const char *command, const char *set, uint8_t fields,
                    struct err *err)
{
    return imap_sendf(s->imap, tag_r, err, "%s %s (%s%s", command, set, row_extras(s, fields), row_items[fields] + 1) ||
           session_lost(s, err);
}

static bool items_ask(struct session *s, uint32_t *tag_r, const char *command, uint32_t lo, uint32_t hi, uint8_t fields,
                      struct err *err)
{
    char set[32];
    snprintf(set, sizeof set, "%u:%u", lo, hi);
    return set_ask(s, tag_r, command, set, fields, err);
}

static bool slice_ask(struct session *s, const struct slices *x, struct slice *slice, struct err *err)
{
    slice->sent = clock_mono_ms();
    return items_ask(s, &slice->tag, x->command, slice->lo, slice->hi, x->fields, err);
}

static bool slices_left(struct slices *x)
{
    while (!x->next && x->ranges.n >= 8) {
        ipc_ranges_at(x->ranges, 0, &x->lo, &x->hi);
        x->ranges = str_sub(x->ranges, 8, x->ranges.n);
        x->next = x->lo && x->hi >= x->lo ? x->hi : 0;
    }
    return x->next != 0;
}

/* The next `span` numbers, of as many ranges as they take. */
static bool slice_send(struct session *s, struct slices *x, struct err *err)
{
    struct slice *slice = &x->sent[x->under_way];
    struct buf set = BUF_INIT(SET_MAX + 32);
    uint32_t n = 0;
    *slice = (struct slice){.lo = UINT32_MAX, .sent = clock_mono_ms()};
    do {
        uint32_t hi = (uint32_t)x->next, take = (uint32_t)MIN((uint64_t)x->span - n, x->next - x->lo + 1);
        uint32_t lo = hi - take + 1;
        buf_addf(&set, "%s%u:%u", set.n ? "," : "", lo, hi);
        slice->lo = MIN(slice->lo, lo);
        slice->hi = MAX(slice->hi, hi);
        n += take;
        x->next = lo > x->lo ? lo - 1 : 0;
    } while (n < x->span && set.n < SET_MAX && slices_left(x));
    bool ok = set_ask(s, &slice->tag, x->command, buf_z(&set), x->fields, err);
    buf_fini(&set);
    slice->n = n;
    x->under_way += ok;
    return ok;
}

/* More under way while answers come as quickly as ever: the line is not full. */
static void window_adapt(struct slices *x, int64_t took)
{
    x->quickest = x->quickest ? MIN(x->quickest, took) : took;
    if (took <= x->quickest + QUEUE_MS)
        x->window = MIN(x->window + 1, (unsigned)SLICES_MAX);
    else if (x->window > 2)
        x->window--;
}

/* UIDs have holes: widen where few answers came, narrow where many did. Only a desert is crossed in ever longer
 * strides: behind a small hole a wide slice would be long under way. */
static void slice_adapt(struct slices *x, uint32_t fetched, uint32_t numbers)
{
    x->empty = fetched ? 0 : x->empty + 1;
    uint32_t most = x->empty > DESERT ? UINT32_MAX : x->wanted * 16;
    if (fetched < MIN(x->wanted, numbers) / 2)
        x->span = x->span > most / 4 ? most : x->span * 4;
    else
        x->span = MAX(x->wanted, x->span / 2);
}

/* The server refused a slice, for the sake of one message perhaps (THREATS 53): the halves, the halves of these, and
 * what remains is left out. */
static bool slice_split(struct session *s, const struct slices *x, const struct slice *whole, struct err *err)
{
    struct slice todo[40] = {*whole};
    struct err refused = *err;
    unsigned n = 1, left_out = 0;
    for (unsigned asked = 0; n && asked < SPLIT_MAX && left_out <= LEFT_OUT_MAX; asked++) {
        struct slice half = todo[--n];
        if (asked == 0 || !slice_ask(s, x, &half, err) || !session_done(s, half.tag, NULL, err)) {
            if (s->f->lost || s->f->ended)
                return false;
            if (half.lo == half.hi) {
                left_out++;
                log_msg(LOG_WARN, "message %u: %s", half.lo, refused.text);
                continue;
            }
            uint32_t middle = half.lo + (half.hi - half.lo) / 2;
            todo[n++] = (struct slice){.lo = half.lo, .hi = middle};
            todo[n++] = (struct slice){.lo = middle + 1, .hi = half.hi};
        }
    }
    if (!n && left_out <= LEFT_OUT_MAX)
        return true;
    *err = refused;
    return false;
}

static bool slice_wait(struct session *s, struct slices *x, struct err *err)
{
    struct slice slice = x->sent[0];
    x->under_way--;
    memmove(x->sent, x->sent + 1, x->under_way * sizeof *x->sent);
    bool ok = session_done(s, slice.tag, NULL, err);
    /* Dovecot may end several together, behind the rows of the last: what is more than this one's is the next one's. */
    uint32_t own = MIN(s->fetched, slice.n);
    s->fetched -= own;
    slice_adapt(x, own, slice.n);
    window_adapt(x, clock_mono_ms() - slice.sent);
    if (ok || s->f->lost || s->f->ended)
        return ok;
    /* Yahoo says "not available" of the one message it has lost. */
    bool one = err->kind == ERR_SERVER_NO || (err->kind == ERR_SERVER_TEMP && !imap_busy(str_z(err->text)));
    return one && slice_split(s, x, &slice, err);
}

/* Ends what is under way, so that another step may use the connection as it likes. */
static bool slices_drain(struct session *s, struct slices *x, struct err *err)
{
    bool ok = true;
    while (x->under_way && !s->f->lost)
        ok = slice_wait(s, x, err) && ok;
    return ok;
}

static bool slices_run(struct session *s, struct slices *x, struct err *err)
{
    struct err other = ERR_INIT;
    bool ok = true;
    x->next = x->hi >= x->lo ? x->hi : 0;
    s->fetched = 0;
    /* The first long way begins gently: what the user looks at next comes soon. */
    bool longer = x->hi - x->lo >= SLICE;
    x->window = longer ? MAX(s->window, 1u) : 2;
    s->fields = x->fields;
    while (ok && (slices_left(x) || x->under_way)) {
        while (ok && x->under_way < x->window && slices_left(x))
            ok = slice_send(s, x, err);
        ok = ok && slice_wait(s, x, err);
        fetch_wake(s->f);
        if (!fetch_overtaken(s->f) && !s->f->canceled && !s->f->ended)
            continue;
        ok = slices_drain(s, x, ok ? err : &other) && ok;
        if (ok && slices_left(x))
            ok = fetch_yield(s->f, err) && select_ensure(s, x->box, false, err);
        s->fetched = 0;
        s->fields = x->fields;
    }
    if (!ok && !s->f->lost)
        slices_drain(s, x, &other);
    if (longer)
        s->window = x->window;
    return ok;
}

/* Header fields by the thousand shrink to a quarter; for a screenful the round trip is not worth it. */
static bool compress_for(struct session *s, uint32_t count, bool urgent, struct err *err)
{
    return urgent || count < COMPRESS_FROM || imap_compress(s->imap, err) || session_lost(s, err);
}

/* What `ahead` functions sent for a step of rows: *left_r, the rest is still to be asked; one that was refused with its
 * SELECT is asked anew. */
static bool rows_sent(struct session *s, bool *done_r, struct err *err)
{
    *done_r = false;
    if (!s->rows_tag || s->rows_step != fetch_step(s->f))
        return true;
    *done_r = rows_wait(s, err);
    return *done_r || (!s->f->lost && !s->f->ended);
}

bool rows_wait(struct session *s, struct err *err)
{
    uint32_t tag = s->rows_tag;
    s->rows_tag = s->rows_step = 0;
    s->fields = s->rows_fields;
    s->rows_due = true;
    bool ok = session_done(s, tag, NULL, err);
    s->rows_due = false;
    return ok;
}

static void top_range(const struct session *s, const struct m_STEP_ROWS_TOP *q, uint32_t *lo_r, uint32_t *hi_r)
{
    *hi_r = q->below_seq ? MIN(q->below_seq, s->exists) : s->exists;
    *lo_r = *hi_r > q->count ? *hi_r - q->count + 1 : 1;
}

/* The newest page behind a SELECT that is under way itself, so how many there are is not known yet: the server counts
 * (RFC 9394), or the numbers are those of the last count. */
static bool top_behind(struct session *s, const struct m_STEP_ROWS_TOP *q, struct err *err)
{
    bool partial = (imap_caps(s->imap) & IMAP_CAP_PARTIAL) != 0;
    if (q->below_seq || (!partial && !q->total))
        return false;
    s->fields = s->rows_fields; /* its answers may come in any wait */
    if (partial)
        return imap_sendf(s->imap, &s->rows_tag, err, "UID FETCH 1:* (%s%s (PARTIAL -1:-%u)",
                          row_extras(s, s->rows_fields), row_items[s->rows_fields] + 1, q->count) ||
               session_lost(s, err);
    s->rows_lo = q->total > q->count ? q->total - q->count + 1 : 1;
    s->rows_hi = q->total;
    return items_ask(s, &s->rows_tag, "FETCH", s->rows_lo, s->rows_hi, s->rows_fields, err);
}

/* A page that the user waits for, behind a SELECT or while slices are under way. */
bool top_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    const struct m_STEP_ROWS_TOP *q = &m->u.STEP_ROWS_TOP;
    struct session *s = f->session;
    struct err err = ERR_INIT;
    uint32_t lo, hi;
    if (!s || !s->imap || s->rows_tag || s->selected != q->box || !q->count || q->count > SLICE ||
        !(s->selecting || (q->urgent && s->exists)))
        return false;
    top_range(s, q, &lo, &hi);
    s->rows_fields = fields_of(q->fields);
    s->rows_lo = 1; /* all that is wanted */
    s->rows_hi = UINT32_MAX;
    if (s->selecting ? !top_behind(s, q, &err) : !items_ask(s, &s->rows_tag, "FETCH", lo, hi, s->rows_fields, &err))
        return false;
    s->rows_step = step;
    return true;
}

bool imap_step_rows_top(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_ROWS_TOP *q = &m->u.STEP_ROWS_TOP;
    struct session *s;
    bool done;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, false, err) || !rows_sent(s, &done, err))
        return false;
    uint32_t lo, hi;
    top_range(s, q, &lo, &hi);
    if ((done && s->rows_lo <= lo && s->rows_hi >= hi) || !hi || !q->count)
        return true;
    if (!compress_for(s, hi - lo + 1, q->urgent, err))
        return false;
    uint8_t fields = fields_of(q->fields);
    struct slices x = {
        .command = "FETCH", .fields = fields, .box = q->box, .hi = hi, .wanted = SLICE, .lo = lo, .span = SLICE_FIRST};
    return slices_run(s, &x, err);
}

bool imap_step_more(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_MORE *q = &m->u.STEP_MORE;
    struct session *s;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, false, err))
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < ipc_ranges_count(q->uids); i++) {
        uint32_t lo, hi;
        ipc_ranges_at(q->uids, i, &lo, &hi);
        n += hi >= lo ? hi - lo + 1 : 0;
    }
    if (!compress_for(s, (uint32_t)MIN(n, (uint64_t)s->exists), false, err))
        return false;
    struct slices x = {.command = "UID FETCH",
                       .fields = FIELDS_MORE,
                       .box = q->box,
                       .lo = 1,
                       .ranges = q->uids,
                       .wanted = SLICE,
                       .span = SLICE};
    bool ok = slices_run(s, &x, err);
    s->fields = ROWS_WHOLE;
    return ok;
}

/* The highest UID worth asking for, by what the server said. */
static uint32_t uid_top(const struct session *s, uint32_t hi)
{
    uint32_t top = s->uidnext ? s->uidnext - 1 : UINT32_MAX;
    if (!hi)
        return s->exists ? top : 0;
    return hi;
}

/* Behind a SELECT that is under way itself. How many there are is not known yet, so no more than are soon here: the
 * rest follows newest first. */
bool rows_ahead(struct fetch *f, uint32_t step, const struct msg *m)
{
    const struct m_STEP_ROWS *q = &m->u.STEP_ROWS;
    struct session *s = f->session;
    struct err err = ERR_INIT;
    if (!s || !s->imap || !s->selecting || s->rows_tag || s->selected != q->box || q->uid_hi)
        return false;
    uint32_t lo = MAX(q->uid_lo, 1);
    s->rows_hi = UINT32_MAX - lo < SLICE ? UINT32_MAX : lo + SLICE - 1;
    s->rows_fields = fields_of(q->fields);
    if (!items_ask(s, &s->rows_tag, "UID FETCH", lo, s->rows_hi, s->rows_fields, &err))
        return false;
    s->rows_step = step;
    return true;
}

bool imap_step_rows(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_ROWS *q = &m->u.STEP_ROWS;
    struct session *s;
    bool done;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, false, err) || !rows_sent(s, &done, err))
        return false;
    uint32_t lo = MAX(q->uid_lo, 1), top = uid_top(s, q->uid_hi);
    if (done && s->rows_hi >= s->uidnext - 1)
        return true;
    if (done)
        lo = s->rows_hi + 1;
    if (!compress_for(s, MIN(s->exists, top >= lo ? top - lo : 0), q->urgent, err))
        return false;
    uint8_t fields = s->fields = fields_of(q->fields);
    struct slices x = {
        .command = "UID FETCH", .fields = fields, .box = q->box, .lo = lo, .wanted = SLICE, .span = SLICE};
    if (q->uids.n) {
        x.ranges = q->uids;
        x.lo = 1; /* and hi 0: nothing but these */
        return slices_run(s, &x, err);
    }
    if (q->uid_hi) {
        x.hi = q->uid_hi;
        return slices_run(s, &x, err);
    }
    /* New mail may lie above the UIDNEXT of the SELECT. Not to "*", which always names the last message. */
    uint32_t tag, base = s->uidnext;
    bool all = !base || lo >= base;
    if (!items_ask(s, &tag, x.command, all ? lo : base, UINT32_MAX, x.fields, err))
        return false;
    x.hi = base - 1;
    return session_done(s, tag, NULL, err) && (all || slices_run(s, &x, err));
}

bool imap_step_flags(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_FLAGS *q = &m->u.STEP_FLAGS;
    struct session *s;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, false, err))
        return false;
    struct slices x = {.command = "UID FETCH",
                       .fields = q->uids.n   ? FIELDS_CHECK
                                 : s->modseq ? FIELDS_FLAGS_MODSEQ
                                             : FIELDS_FLAGS,
                       .box = q->box,
                       .lo = MAX(q->uid_lo, 1),
                       .hi = q->uids.n ? 0 : uid_top(s, q->uid_hi),
                       .ranges = q->uids,
                       .wanted = SLICE_FLAGS,
                       .span = SLICE_FLAGS};
    return slices_run(s, &x, err);
}

/* ---- SEARCH ------------------------------------------------------------------------------------- */
/* One SEARCH whose hits go to s->found (or, with search_step, to UIDS). */
static bool search_wait(struct session *s, uint32_t tag, struct err *err)
{
    s->searching = true;
    bool ok = session_done(s, tag, NULL, err);
    s->searching = false;
    return ok;
}

static bool search_spans(struct session *s, struct err *err)
{
    uint64_t lo = 1, top = uid_top(s, 0), span = SEARCH_SPAN;
    while (lo <= top) {
        uint32_t tag, hi = (uint32_t)MIN(top, lo + span - 1);
        s->fetched = 0;
        if (!imap_sendf(s->imap, &tag, err, "UID SEARCH UID %u:%u", (uint32_t)lo, hi))
            return session_lost(s, err);
        if (!search_wait(s, tag, err))
            return false;
        lo = (uint64_t)hi + 1;
        span = s->fetched < SEARCH_SPAN / 8 ? span * 4 : SEARCH_SPAN;
    }
    return true;
}

/* Pieces of the ranges, one after the other. */
static bool search_unseen(struct session *s, struct str among, struct err *err)
{
    struct buf set = BUF_INIT(2100);
    size_t at = 0;
    bool ok = true;
    while (ok && set_piece(among, &at, 2000, &set)) {
        uint32_t tag;
        ok = imap_sendf(s->imap, &tag, err, "UID SEARCH%s UID %s UNSEEN",
                        imap_caps(s->imap) & IMAP_CAP_ESEARCH ? " RETURN (ALL)" : "", buf_z(&set)) ||
             session_lost(s, err);
        ok = ok && search_wait(s, tag, err);
    }
    buf_fini(&set);
    return ok;
}

bool imap_step_uids(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_UIDS *q = &m->u.STEP_UIDS;
    struct session *s;
    uint32_t tag;
    bool ok;
    if (!session_need(f, &s, err) || !select_ensure(s, q->box, false, err))
        return false;
    buf_reset(&s->found);
    s->search_step = fetch_step(f);
    if (q->among.n) {
        ok = search_unseen(s, q->among, err);
    } else if (imap_caps(s->imap) & IMAP_CAP_ESEARCH) {
        if (!imap_sendf(s->imap, &tag, err, "UID SEARCH RETURN (ALL) ALL"))
            return session_lost(s, err);
        ok = search_wait(s, tag, err);
    } else {
        ok = search_spans(s, err);
    }
    ok = ok && uids_flush(s, true, err);
    s->search_step = 0;
    return ok;
}

/* The search for a message, and where the server keeps what it finds (RFC 5182) the FETCH of that in the same flight.
 */
static bool find_search(struct session *s, const struct m_STEP_FIND *q, bool by_id, struct err *err)
{
    uint64_t caps = imap_caps(s->imap);
    struct imap_cmd c;
    struct buf id = BUF_INIT(1024);
    struct err refused = ERR_INIT;
    uint32_t tag, fetch = 0;
    /* An id finds few. */
    bool kept = (by_id || q->msgid.n) && (caps & IMAP_CAP_SEARCHRES) && (caps & IMAP_CAP_ESEARCH);
    imap_cmd_init(&c, kept ? "UID SEARCH RETURN (SAVE) " : "UID SEARCH ");
    if (q->uid_lo)
        imap_cmd_add(&c, "UID %u:* ", q->uid_lo);
    if (by_id) {
        imap_cmd_add(&c, "%s %.*s", caps & IMAP_CAP_GMAIL ? "X-GM-MSGID" : "EMAILID", STR_FMT(q->emailid));
    } else if (q->msgid.n) {
        buf_addf(&id, "<%.*s>", STR_FMT(q->msgid));
        imap_cmd_add(&c, "HEADER MESSAGE-ID ");
        imap_cmd_string(s->imap, &c, buf_str(&id));
    } else {
        imap_cmd_add(&c, "LARGER %llu SMALLER %llu", (unsigned long long)(q->size ? q->size - 1 : 0),
                     (unsigned long long)q->size + 1);
    }
    buf_fini(&id);
    if (!imap_send(s->imap, &c, &tag, err))
        return err->kind != ERR_USAGE && session_lost(s, err);
    if (kept && !imap_sendf(s->imap, &fetch, err, "UID FETCH $ (UID RFC822.SIZE INTERNALDATE)"))
        return session_lost(s, err);
    bool ok = search_wait(s, tag, err);
    if (!fetch || s->f->lost || s->f->ended)
        return ok;
    s->finding = ok;
    bool came = session_done(s, fetch, NULL, &refused);
    s->finding = false;
    if (ok && !came)
        *err = refused;
    return ok && came;
}

bool imap_step_find(struct fetch *f, struct msg *m, struct err *err)
{
    const struct m_STEP_FIND *q = &m->u.STEP_FIND;
    struct session *s;
    struct buf set = BUF_INIT(8192);
    uint32_t tag;
    size_t at = 0;
    bool ok = true;
    if (!session_need(f, &s, err))
        return false;
    struct box *b = box_put(s, q->box, q->name);
    if (s->selected != q->box)
        b->readonly = true; /* only looking: no \Recent is taken from anybody */
    if (!q->box || !select_ensure(s, q->box, false, err))
        return false;
    buf_reset(&s->found);
    bool by_id = (imap_caps(s->imap) & (IMAP_CAP_GMAIL | IMAP_CAP_OBJECTID)) && imap_keyword_valid(q->emailid);
    if (q->uid)
        ipc_ranges_add(&s->found, q->uid, q->uid);
    else
        ok = find_search(s, q, by_id, err) || (by_id && !f->lost && !f->ended && find_search(s, q, false, err));
    if (ok && s->found.n && set_piece(str_sub(buf_str(&s->found), 0, 8 * FIND_MAX), &at, 4000, &set)) {
        ok = imap_sendf(s->imap, &tag, err, "UID FETCH %s (UID RFC822.SIZE INTERNALDATE)", buf_z(&set)) ||
             session_lost(s, err);
        s->finding = true;
        ok = ok && session_done(s, tag, NULL, err);
        s->finding = false;
    }
    buf_fini(&set);
    return ok;
}
