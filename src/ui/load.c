/* A message loaded for answering, forwarding, saving: OPEN to the store, then a `view` of its own. */
#include "ui/extra.h"

#include <sys/mman.h>
#include <unistd.h>

struct load {
    struct ref ref;
    unsigned flags;
    loaded_fn *fn;
    void *arg;
    uint32_t req;
    int fd;
    struct helper *viewer;
    struct doc *doc;
    int64_t since_ms;
    enum load_awaits opens;
    uint64_t got, whole; /* bytes */
};

/* Ends the load and tells its owner, whose argument would be lost otherwise. */
void ui_load_end(struct ui *ui)
{
    struct load *l = ui_extra(ui)->load;
    struct err err = ERR_INIT;
    if (!l)
        return;
    loaded_fn *fn = l->fn;
    void *arg = l->arg;
    if (l->req && ui->client && ui->client->chan)
        SEND(ui->client->chan, -1, &err, CANCEL, .req = l->req);
    ui_forget(ui, l->req);
    helper_end(&l->viewer);
    doc_free(&l->doc);
    if (l->fd >= 0)
        close(l->fd);
    free(l);
    ui->progress[0] = 0;
    ui_extra(ui)->load = NULL;
    fn(ui, arg, NULL, -1, NULL);
}

void ui_load_opens(struct ui *ui, enum load_awaits what)
{
    if (ui_extra(ui)->load)
        ui_extra(ui)->load->opens = what;
}

enum load_awaits ui_load_awaits(const struct ui *ui)
{
    return ui_extra(ui)->load ? ui_extra(ui)->load->opens : LOAD_NOTHING;
}

void ui_load_words(const struct ui *ui, struct buf *out)
{
    static const char *const words[] = {"reading a message", "reading a message for its parts",
                                        "reading a message to be answered"};
    const struct load *l = ui_extra(ui)->load;
    buf_addf(out, "%s ", words[l->opens]);
    amount_words(l->got, l->whole, l->since_ms, out);
}

int64_t ui_load_since(const struct ui *ui)
{
    return ui_extra(ui)->load->since_ms;
}

bool ui_load_stop(struct ui *ui)
{
    const struct load *l = ui_extra(ui)->load;
    if (!l || !l->req)
        return false;
    ui_load_end(ui);
    ui_note(ui, NOTE_INFO, "stopped; what came of it is kept for the next time");
    return true;
}

static void failed(struct ui *ui, struct str why)
{
    ui_note(ui, NOTE_ERROR, "%.*s", STR_FMT(why));
    ui_load_end(ui);
}

static void done(struct ui *ui)
{
    struct load *l = ui_extra(ui)->load;
    loaded_fn *fn = l->fn;
    void *arg = l->arg;
    struct doc *doc = l->doc;
    struct helper *viewer = l->viewer;
    int fd = l->fd;
    free(l);
    ui_extra(ui)->load = NULL;
    fn(ui, arg, doc, fd, viewer);
}

static void on_view(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct load *l = ui_extra(ui)->load;
    struct err err = ERR_INIT;
    (void)arg, (void)h;
    if (!l)
        return;
    if (!m) {
        failed(ui, STR("the program that parses messages broke off at this one"));
        return;
    }
    if (m->fd >= 0)
        close(m->fd);
    if (m->kind == MSG_VIEW_DATA) {
        if (!doc_feed(l->doc, m->u.VIEW_DATA.bytes, &err))
            failed(ui, str_z(err.text));
    } else if (m->kind == MSG_VIEW_DONE) {
        if (m->u.VIEW_DONE.kind != ERR_NONE)
            failed(ui, m->u.VIEW_DONE.text);
        else
            done(ui);
    }
}

static void on_body(struct ui *ui, void *arg, const struct msg *m)
{
    struct load *l = ui_extra(ui)->load;
    struct err err = ERR_INIT;
    (void)arg;
    if (m && m->kind == MSG_PROGRESS) {
        if (!l)
            return;
        l->got = m->u.PROGRESS.done;
        l->whole = m->u.PROGRESS.total;
        ui_progress(ui, &m->u.PROGRESS, l->since_ms);
        return;
    }
    if (!l || (m && m->kind == MSG_BODY && m->u.BODY.more)) {
        if (m && m->fd >= 0)
            close(m->fd);
        return;
    }
    l->req = 0;
    ui->progress[0] = 0;
    if (!m || m->kind != MSG_BODY) {
        failed(ui, m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended"));
        return;
    }
    l->fd = m->fd;
    l->doc = doc_new();
    l->viewer = helper_view(ui, on_view, NULL);
    if (!l->viewer) {
        failed(ui, STR("the program that parses messages does not start"));
        return;
    }
    struct buf self = BUF_INIT(2048);
    const struct account *account = ui->accts.list[l->ref.account].conf;
    if (account)
        account_addresses(account, &self);
    if (!SEND(helper_chan(l->viewer), l->fd, &err, VIEW, .req = 1, .width = 78, .flags = l->flags,
              .self = buf_str(&self), .absent = m->u.BODY.absent))
        failed(ui, str_z(err.text));
    buf_fini(&self);
}

void ui_load(struct ui *ui, struct ref ref, const char *want, unsigned view_flags, loaded_fn *fn, void *arg)
{
    struct err err = ERR_INIT;
    ui_load_end(ui);
    if (!ui_online(ui)) {
        fn(ui, arg, NULL, -1, NULL);
        return;
    }
    struct load *l = mem_new(sizeof *l);
    *l = (struct load){.ref = ref, .flags = view_flags, .fn = fn, .arg = arg, .fd = -1, .since_ms = clock_mono_ms()};
    ui_extra(ui)->load = l;
    l->req = ui_request(ui, on_body, NULL);
    if (!SEND(ui->client->chan, -1, &err, OPEN, .req = l->req, .account = str_z(ui->accts.list[ref.account].name),
              .msg = ref.id, .want = str_z(want)))
        failed(ui, str_z(err.text));
}

/* ---- One part ----------------------------------------------------------------------------------------------- */
struct want {
    part_fn *fn;
    void *arg;
    int fd;
};

static void want_drop(void *arg)
{
    struct want *w = arg;
    close(w->fd);
    free(w);
}

static void on_part(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct want *w = arg;
    if (m && m->fd >= 0)
        close(m->fd);
    if (m && m->kind != MSG_VIEW_DONE)
        return;
    struct want taken = *w;
    helper_set(h, NULL, NULL);
    free(w);
    if (!m || m->u.VIEW_DONE.kind != ERR_NONE || lseek(taken.fd, 0, SEEK_SET) < 0) {
        struct str why = m ? m->u.VIEW_DONE.text : STR("the program that parses messages broke off at this part");
        ui_note(ui, NOTE_ERROR, "%.*s", STR_FMT(why));
        close(taken.fd);
        taken.fd = -1;
    }
    taken.fn(ui, taken.arg, taken.fd);
}

void ui_part(struct ui *ui, struct helper *viewer, uint32_t part, bool signed_bytes, part_fn *fn, void *arg)
{
    struct err err = ERR_INIT;
    int fd = memfd_create("tuimail-part", MFD_CLOEXEC);
    if (fd < 0) {
        ui_note(ui, NOTE_ERROR, "no memory for a part of a message");
        fn(ui, arg, -1);
        return;
    }
    struct want *w = mem_new(sizeof *w);
    *w = (struct want){fn, arg, fd};
    helper_set(viewer, on_part, w);
    helper_owns(viewer, want_drop);
    if (!SEND(helper_chan(viewer), fd, &err, VIEW_PART, .req = 2, .part = part, .signed_bytes = signed_bytes)) {
        ui_note_err(ui, &err);
        helper_set(viewer, NULL, NULL);
        want_drop(w);
        fn(ui, arg, -1);
    }
}
