/* What waits, in words: a change, a mail. */
#include "store/read.h"

static const char *flag_words(const struct queue_row *q)
{
    static const struct {
        uint32_t flag;
        const char *set, *clear;
    } words[] = {{FLAG_SEEN, "mark read", "mark unread"},
                 {FLAG_FLAGGED, "flag", "unflag"},
                 {FLAG_ANSWERED, "mark answered", "mark not answered"},
                 {FLAG_FORWARDED, "mark forwarded", "mark not forwarded"}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (q->set & words[i].flag)
            return words[i].set;
        else if (q->clear & words[i].flag)
            return words[i].clear;
    return "change flags";
}

/* Of which messages; places before subjects, which may be long. */
static void which_words(const struct queue_row *q, struct buf *out)
{
    if (q->whole)
        buf_addz(out, q->inverse ? ": as it was before" : ": all messages");
    else if (q->count == 1)
        buf_addf(out, ": \"%.*s\"", STR_FMT(q->subject));
    else
        buf_addf(out, ": %u messages", q->count);
}

void queue_words(const struct queue_row *q, int64_t now, struct buf *out)
{
    static const char *const states[] = {"", ", on its way", ", sent; looked up whether it was done"};
    struct str target = q->target.n ? q->target : STR("a mailbox"), box = q->box.n ? q->box : STR("a mailbox");
    bool messages = true;
    switch (q->kind) {
    case INTENT_FLAGS:
        buf_addf(out, "%s in %.*s", flag_words(q), STR_FMT(box));
        break;
    case INTENT_TAGS:
        buf_addf(out, "tag %.*s in %.*s", STR_FMT(q->arg), STR_FMT(box));
        break;
    case INTENT_MOVE:
    case INTENT_COPY:
        buf_addf(out, "%s from %.*s to %.*s", q->kind == INTENT_MOVE ? "move" : "copy", STR_FMT(box), STR_FMT(target));
        break;
    case INTENT_PURGE:
        buf_addf(out, "delete for good in %.*s", STR_FMT(box));
        break;
    case INTENT_APPEND:
        buf_addf(out, "put into %.*s", STR_FMT(target));
        break;
    case INTENT_BOX_CREATE:
        buf_addf(out, "create mailbox %.*s", STR_FMT(q->arg));
        messages = false;
        break;
    case INTENT_BOX_RENAME:
        buf_addf(out, "rename mailbox %.*s to %.*s", STR_FMT(box), STR_FMT(q->arg));
        messages = false;
        break;
    case INTENT_BOX_DELETE:
        buf_addf(out, "delete mailbox %.*s", STR_FMT(box));
        messages = false;
        break;
    case INTENT_BOX_SUBSCRIBE:
    case INTENT_BOX_UNSUBSCRIBE:
        buf_addf(out, "%s mailbox %.*s", q->kind == INTENT_BOX_SUBSCRIBE ? "subscribe to" : "unsubscribe from",
                 STR_FMT(box));
        messages = false;
        break;
    default:
        buf_addf(out, "a change of %.*s", STR_FMT(box));
        break;
    }
    if (messages)
        which_words(q, out);
    if (q->due > now)
        buf_addf(out, ", held %lld s more", (long long)(q->due - now));
    else
        buf_addz(out, states[MIN(q->state, COUNT(states) - 1)]);
}

bool outbox_waits(const struct outbox_row *o)
{
    return o->state <= OUTBOX_SENDING;
}

bool outbox_unsent(const struct outbox_row *o)
{
    return o->state == OUTBOX_REFUSED || o->state == OUTBOX_UNKNOWN;
}

char *outbox_draft(const char *root, const char *account, uint64_t id)
{
    char name[128];
    snprintf(name, sizeof name, "drafts/%s.%llu.held", account, (unsigned long long)id);
    return path_join(root, name);
}

void outbox_words(const struct outbox_row *o, struct buf *out)
{
    struct str rest = o->rcpts, first = {NULL, 0}, more;
    unsigned others = 0;
    str_split(&rest, '\n', &first);
    while (str_split(&rest, '\n', &more))
        others += more.n > 0;
    buf_addf(out, "%s to %.*s",
             o->state == OUTBOX_REFUSED   ? "not sent"
             : o->state == OUTBOX_UNKNOWN ? "perhaps sent"
                                          : "send",
             STR_FMT(first));
    if (others)
        buf_addf(out, " and %u more", others);
    buf_addf(out, ": \"%.*s\"", STR_FMT(o->subject));
    if (o->state == OUTBOX_SENDING)
        buf_addz(out, ", on its way");
    else if (outbox_unsent(o))
        buf_addf(out, ": %.*s%s", STR_FMT(o->text),
                 o->state == OUTBOX_UNKNOWN ? "; look before you send it again" : "");
    else if (o->text.n)
        buf_addf(out, ", tried: %.*s", STR_FMT(o->text));
}
