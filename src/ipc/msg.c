/* The codec: every row of messages.def becomes one walk over its fields; encoder, decoder and logger are visitors of
 * it. */
#include "ipc/ipc.h"

struct visit {
    void (*u64)(struct visit *, const char *name, uint64_t *value, unsigned bytes);
    void (*bytes)(struct visit *, const char *name, struct str *value, uint32_t max);
    struct str in;   /* decoder: what is left; p NULL after the first fault */
    struct buf *out; /* encoder and logger */
};

static void visit_u8(struct visit *v, const char *name, uint8_t *value)
{
    uint64_t wide = *value;
    v->u64(v, name, &wide, 1);
    *value = (uint8_t)wide;
}

static void visit_u32(struct visit *v, const char *name, uint32_t *value)
{
    uint64_t wide = *value;
    v->u64(v, name, &wide, 4);
    *value = (uint32_t)wide;
}

static void visit_i64(struct visit *v, const char *name, int64_t *value)
{
    uint64_t wide = (uint64_t)*value;
    v->u64(v, name, &wide, 8);
    *value = (int64_t)wide;
}

#define U8(f) visit_u8(v, #f, &m->f);
#define U32(f) visit_u32(v, #f, &m->f);
#define U64(f) v->u64(v, #f, &m->f, 8);
#define I64(f) visit_i64(v, #f, &m->f);
#define BYTES(f, max) v->bytes(v, #f, &m->f, (max));
#define MSG(name, senders, fd, fields)                                                                                 \
    static void walk_##name(struct msg *msg, struct visit *v)                                                          \
    {                                                                                                                  \
        struct m_##name *m = &msg->u.name;                                                                             \
        fields                                                                                                         \
    }
#include "ipc/messages.def"

/* A row whose fields at their largest do not fit a packet does not compile. */
#define U8(f) +1
#define U32(f) +4
#define U64(f) +8
#define I64(f) +8
#define BYTES(f, max) +4 + (max)
#define MSG(name, senders, fd, fields) _Static_assert((4 fields) <= IPC_PACKET_MAX, #name " does not fit a packet");
#include "ipc/messages.def"

#define BIT(role) (1u << (role))
#define C BIT(ROLE_UI)
#define S BIT(ROLE_STORE)
#define P BIT(ROLE_SPAWN)
#define F BIT(ROLE_FETCH)
#define I BIT(ROLE_INDEX)
#define O BIT(ROLE_SEND)
#define V BIT(ROLE_VIEW)
#define Q BIT(ROLE_SEARCH)
#define A BIT(ROLE_OAUTH)
#define R BIT(ROLE_ARCHIVE)
#define W BIT(ROLE_POST)
#define M BIT(ROLE_SIEVE)
#define N BIT(ROLE_OWN)
#define FD true
#define NOFD false
static const struct row {
    const char *name;
    void (*walk)(struct msg *, struct visit *);
    unsigned senders; /* BIT(role) */
    bool fd;
} rows[MSG_COUNT] = {
    [MSG_NONE] = {.name = "NONE"},
#define MSG(name, senders, fd, fields) [MSG_##name] = {#name, walk_##name, senders, fd},
#include "ipc/messages.def"
};
#undef C
#undef S
#undef P
#undef F
#undef I
#undef O
#undef V
#undef Q
#undef A
#undef R
#undef W
#undef M
#undef N
#undef FD
#undef NOFD

static const struct row *row_of(enum msg_kind kind)
{
    return (unsigned)kind < MSG_COUNT ? &rows[kind] : &rows[MSG_NONE];
}

const char *msg_name(enum msg_kind kind)
{
    return row_of(kind)->name;
}

bool msg_permitted(enum msg_kind kind, enum role sender)
{
    return (unsigned)sender < ROLE_COUNT && (row_of(kind)->senders & BIT(sender)) != 0;
}

bool msg_carries_fd(enum msg_kind kind)
{
    return row_of(kind)->fd;
}

/* ---- Encoder ---- */

static void put_u64(struct visit *v, const char *name, uint64_t *value, unsigned bytes)
{
    char le[8];
    (void)name;
    for (unsigned i = 0; i < bytes; i++)
        le[i] = (char)(*value >> (8 * i) & 0xff);
    buf_add(v->out, le, bytes);
}

static void put_bytes(struct visit *v, const char *name, struct str *value, uint32_t max)
{
    uint64_t n = MIN(value->n, max);
    put_u64(v, name, &n, 4);
    if (n > 0)
        buf_add(v->out, value->p, (size_t)n);
}

bool msg_encode(const struct msg *msg, struct buf *out)
{
    const struct row *row = row_of(msg->kind);
    if (row->walk == NULL)
        bug("msg_encode: message kind %d", (int)msg->kind);
    struct msg copy = *msg;
    struct visit v = {.u64 = put_u64, .bytes = put_bytes, .out = out};
    uint64_t kind = msg->kind;
    put_u64(&v, "kind", &kind, 4);
    row->walk(&copy, &v);
    return !out->full;
}

/* ---- Decoder: the first fault makes in.p NULL, and every later field is zero ---- */

static void get_u64(struct visit *v, const char *name, uint64_t *value, unsigned bytes)
{
    (void)name;
    *value = 0;
    if (v->in.p == NULL || v->in.n < bytes) {
        v->in.p = NULL;
        return;
    }
    for (unsigned i = 0; i < bytes; i++)
        *value |= (uint64_t)(unsigned char)v->in.p[i] << (8 * i);
    v->in.p += bytes;
    v->in.n -= bytes;
}

static void get_bytes(struct visit *v, const char *name, struct str *value, uint32_t max)
{
    uint64_t n;
    get_u64(v, name, &n, 4);
    if (v->in.p == NULL || n > max || n > v->in.n) {
        v->in.p = NULL;
        *value = (struct str){"", 0};
        return;
    }
    *value = (struct str){v->in.p, (size_t)n};
    v->in.p += n;
    v->in.n -= (size_t)n;
}

bool msg_decode(struct str packet, struct msg *msg_r, struct err *err)
{
    struct visit v = {.u64 = get_u64, .bytes = get_bytes, .in = packet};
    uint64_t kind;
    memset(msg_r, 0, sizeof *msg_r);
    msg_r->fd = -1;
    if (packet.p == NULL || packet.n > IPC_PACKET_MAX)
        return err_set(err, ERR_CHANNEL, "packet of %zu bytes", packet.n);
    get_u64(&v, "kind", &kind, 4);
    if (v.in.p == NULL || kind == MSG_NONE || kind >= MSG_COUNT)
        return err_set(err, ERR_CHANNEL, "unknown message");
    const struct row *row = &rows[kind];
    row->walk(msg_r, &v);
    if (v.in.p == NULL)
        return err_set(err, ERR_CHANNEL, "%s with a field that is cut or too long", row->name);
    if (v.in.n != 0)
        return err_set(err, ERR_CHANNEL, "%s with %zu bytes too many", row->name, v.in.n);
    msg_r->kind = (enum msg_kind)kind;
    return true;
}

/* ---- Logger ---- */

static void show_u64(struct visit *v, const char *name, uint64_t *value, unsigned bytes)
{
    (void)bytes;
    buf_addf(v->out, " %s=%llu", name, (unsigned long long)*value);
}

#define SHOWN_BYTES 60
static void show_bytes(struct visit *v, const char *name, struct str *value, uint32_t max)
{
    (void)max;
    buf_addf(v->out, " %s=\"", name);
    text_from_bytes(str_sub(*value, 0, SHOWN_BYTES), TEXT_LINE, v->out);
    buf_addz(v->out, value->n > SHOWN_BYTES ? "...\"" : "\"");
}

void msg_format(const struct msg *msg, struct buf *out)
{
    const struct row *row = row_of(msg->kind);
    buf_addz(out, row->name);
    if (row->walk == NULL)
        return;
    struct msg copy = *msg;
    struct visit v = {.u64 = show_u64, .bytes = show_bytes, .out = out};
    row->walk(&copy, &v);
}
