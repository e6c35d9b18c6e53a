/* libetpan's parser of IMAP answers behind one function: a session of its own over a stream in memory, one answer at a
 * time.
 *
 * Only the calls of mailimap.h are used. The stream serves the answer and a tagged OK behind it; imap_tag and the read
 * buffer are set back before each answer, so that one that does not parse fails alone. */
#include "net/imap_internal.h"

#include <libetpan/mailimap.h>
#include <libetpan/mailstream.h>

struct etpan {
    mailimap *session;
    struct buf text; /* what the stream serves */
    size_t at;
};

static ssize_t low_read(mailstream_low *low, void *p, size_t n)
{
    struct etpan *e = low->data;
    n = MIN(n, e->text.n - e->at);
    if (!n)
        return -1; /* 0 would be read as an empty line, for ever */
    memcpy(p, e->text.p + e->at, n);
    e->at += n;
    return (ssize_t)n;
}

static ssize_t low_write(mailstream_low *low, const void *p, size_t n)
{
    (void)low, (void)p;
    return (ssize_t)n;
}

static int low_close(mailstream_low *low)
{
    (void)low;
    return 0;
}

static int low_fd(mailstream_low *low)
{
    (void)low;
    return -1;
}

static void low_free(mailstream_low *low)
{
    free(low);
}

static void low_cancel(mailstream_low *low)
{
    (void)low;
}

static mailstream_low_driver low_driver = {
    .mailstream_read = low_read,
    .mailstream_write = low_write,
    .mailstream_close = low_close,
    .mailstream_get_fd = low_fd,
    .mailstream_free = low_free,
    .mailstream_cancel = low_cancel,
};

struct etpan *etpan_new(void)
{
    struct etpan *e = mem_new(sizeof(*e));
    buf_init(&e->text, IMAP_LINE_MAX + IMAP_LITERALS_MAX * 64 + 16 * IMAP_LITERAL_KEPT);
    buf_addz(&e->text, "* PREAUTH x\r\n");
    mailstream_low *low = mailstream_low_new(e, &low_driver);
    mailstream *stream = low ? mailstream_new(low, 65536) : NULL;
    e->session = mailimap_new(0, NULL);
    if (!stream || !e->session)
        bug("libetpan has no memory");
    int r = mailimap_connect(e->session, stream);
    if (r != MAILIMAP_NO_ERROR && r != MAILIMAP_NO_ERROR_AUTHENTICATED && r != MAILIMAP_NO_ERROR_NON_AUTHENTICATED)
        bug("libetpan refuses a greeting (%d)", r);
    return e;
}

void etpan_free(struct etpan **ep)
{
    struct etpan *e = *ep;
    if (!e)
        return;
    /* With its stream attached mailimap_free would send LOGOUT and wait. */
    mailstream *stream = e->session->imap_stream;
    e->session->imap_stream = NULL;
    mailimap_free(e->session);
    mailstream_close(stream);
    buf_fini(&e->text);
    free(e);
    *ep = NULL;
}

static const char *flag_word(const struct mailimap_flag *f, char word[256])
{
    switch (f->fl_type) {
    case MAILIMAP_FLAG_ANSWERED:
        return "\\Answered";
    case MAILIMAP_FLAG_FLAGGED:
        return "\\Flagged";
    case MAILIMAP_FLAG_DELETED:
        return "\\Deleted";
    case MAILIMAP_FLAG_SEEN:
        return "\\Seen";
    case MAILIMAP_FLAG_DRAFT:
        return "\\Draft";
    case MAILIMAP_FLAG_KEYWORD:
        snprintf(word, 256, "%s", f->fl_data.fl_keyword ? f->fl_data.fl_keyword : "");
        return word;
    default:
        return ""; /* an extension's flag means nothing here */
    }
}

static void flags_value(const struct mailimap_msg_att_dynamic *dyn, struct buf *keywords, struct imap_fetch *f)
{
    char word[256];
    f->has |= IMAP_HAS_FLAGS;
    if (!dyn || !dyn->att_list)
        return;
    for (clistiter *i = clist_begin(dyn->att_list); i; i = clist_next(i)) {
        const struct mailimap_flag_fetch *flag = clist_content(i);
        if (flag->fl_type == MAILIMAP_FLAG_FETCH_OTHER && flag->fl_flag)
            imap_flag_read(str_z(flag_word(flag->fl_flag, word)), &f->flags, keywords);
    }
}

static void header_value(const struct mailimap_msg_att_body_section *s, struct arena *arena, struct imap_fetch *f)
{
    f->has |= IMAP_HAS_HEADER;
    f->header = (struct str){NULL, 0};
    if (s->sec_body_part) {
        f->header.p = arena_dup(arena, s->sec_body_part, s->sec_length);
        f->header.n = f->header.p ? s->sec_length : 0;
    }
}

static void static_value(const struct mailimap_msg_att_static *a, struct arena *arena, struct imap_fetch *f)
{
    switch (a->att_type) {
    case MAILIMAP_MSG_ATT_UID:
        f->uid = a->att_data.att_uid;
        break;
    case MAILIMAP_MSG_ATT_RFC822_SIZE:
        f->size = a->att_data.att_rfc822_size;
        f->has |= IMAP_HAS_SIZE;
        break;
    case MAILIMAP_MSG_ATT_BODY_SECTION:
        if (a->att_data.att_body_section)
            header_value(a->att_data.att_body_section, arena, f);
        break;
    default:
        break;
    }
}

bool etpan_fetch(struct etpan *e, struct str answer, struct arena *arena, struct buf *keywords, struct imap_fetch *f)
{
    mailimap *s = e->session;
    struct mailimap_response *response = NULL;
    buf_reset(&e->text);
    buf_adds(&e->text, answer);
    buf_addz(&e->text, "\r\n1 OK x\r\n");
    e->at = 0;
    s->imap_stream->read_buffer_len = 0;
    s->imap_tag = 1;
    if (e->text.full || !mailimap_read_line(s) || mailimap_parse_response(s, &response) != MAILIMAP_NO_ERROR)
        return false;
    mailimap_response_free(response);
    clist *list = s->imap_response_info ? s->imap_response_info->rsp_fetch_list : NULL;
    clistiter *first = list ? clist_begin(list) : NULL;
    if (!first)
        return false;
    const struct mailimap_msg_att *att = clist_content(first);
    f->seq = att->att_number;
    for (clistiter *i = clist_begin(att->att_list); i; i = clist_next(i)) {
        const struct mailimap_msg_att_item *item = clist_content(i);
        if (item->att_type == MAILIMAP_MSG_ATT_ITEM_DYNAMIC)
            flags_value(item->att_data.att_dyn, keywords, f);
        else if (item->att_type == MAILIMAP_MSG_ATT_ITEM_STATIC && item->att_data.att_static)
            static_value(item->att_data.att_static, arena, f);
    }
    return true;
}
