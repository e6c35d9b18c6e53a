/* PGP by gpg itself: signatures of the shown message are verified behind, encrypted parts are decrypted on request,
 * with the terminal, because the agent may ask for a passphrase there. The verdict has a line of its own that no mail
 * can write to (THREATS 122, 124-126). RFC 3156, RFC 4880. */
#include "ui/extra.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct crypto {
    struct ref ref; /* of the verdict */
    char banner[400];
    bool bad;
    bool of_plain, plain_comes; /* the verdict is of a decrypted text; it is about to be shown */
    /* of the work under way */
    struct helper *viewer;
    struct doc *doc;
    int raw, data, signature, status, plain;
    uint32_t data_part, signature_part;
    bool inline_text, decrypts;
};

static struct crypto *work(struct ui *ui)
{
    return ui_extra(ui)->crypto;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void stop(struct crypto *c)
{
    helper_end(&c->viewer);
    doc_free(&c->doc);
    close_fd(&c->raw);
    close_fd(&c->data);
    close_fd(&c->signature);
    close_fd(&c->status);
    close_fd(&c->plain);
}

void crypto_free(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    if (!x->crypto)
        return;
    stop(x->crypto);
    free(x->crypto);
    x->crypto = NULL;
}

static struct crypto *fresh(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    if (!x->crypto)
        x->crypto = mem_new(sizeof *x->crypto);
    else
        stop(x->crypto);
    *x->crypto =
        (struct crypto){.ref = ui->message.ref, .raw = -1, .data = -1, .signature = -1, .status = -1, .plain = -1};
    return x->crypto;
}

PRINTF(3, 4) static void verdict(struct ui *ui, bool bad, const char *fmt, ...)
{
    struct crypto *c = work(ui);
    struct buf raw = BUF_INIT(2000), clean = BUF_INIT(sizeof c->banner - 1);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&raw, fmt, ap);
    va_end(ap);
    struct text t = text_from_bytes(buf_str(&raw), TEXT_FOLD_SPACE, &clean);
    snprintf(c->banner, sizeof c->banner, "%.*s", (int)t.n, t.p);
    c->bad = bad;
    buf_fini(&raw);
    buf_fini(&clean);
    ui->dirty = true;
}

const char *crypto_banner(const struct ui *ui, bool *bad_r)
{
    const struct crypto *c = ui_extra(ui)->crypto;
    if (!c || !c->banner[0] || !ref_eq(c->ref, ui->message.ref))
        return NULL;
    *bad_r = c->bad;
    return c->banner;
}

static const char *gpg_of(const struct ui *ui)
{
    return ui->conf->gpg[0] ? ui->conf->gpg : "gpg";
}

/* ---- gpg's status lines: "[GNUPG:] KEYWORD words", on a descriptor that carries nothing else ---- */
struct signature_status {
    unsigned good, bad, missing, other; /* expired and revoked are other */
    unsigned valid;
    bool trusted, decrypted, no_integrity;
    char key[64], uid[256];
};

static void copy_word(char *out, size_t size, struct str s)
{
    snprintf(out, size, "%.*s", STR_FMT(s));
}

static void read_status(struct str text, struct signature_status *s)
{
    struct str line, word, key;
    *s = (struct signature_status){0};
    while (str_split(&text, '\n', &line)) {
        if (!str_starts(line, STR("[GNUPG:] ")))
            continue;
        line = str_sub(line, 9, line.n);
        str_split(&line, ' ', &word);
        if (str_eqz(word, "GOODSIG")) {
            s->good++;
            str_split(&line, ' ', &key);
            copy_word(s->key, sizeof s->key, key);
            copy_word(s->uid, sizeof s->uid, line);
        } else if (str_eqz(word, "VALIDSIG")) {
            s->valid++;
        } else if (str_eqz(word, "BADSIG")) {
            s->bad++;
        } else if (str_eqz(word, "ERRSIG")) {
            s->missing++;
            str_split(&line, ' ', &key);
            copy_word(s->key, sizeof s->key, key);
        } else if (str_eqz(word, "EXPSIG") || str_eqz(word, "EXPKEYSIG") || str_eqz(word, "REVKEYSIG")) {
            s->other++;
        } else if (str_eqz(word, "TRUST_FULLY") || str_eqz(word, "TRUST_ULTIMATE")) {
            s->trusted = true;
        } else if (str_eqz(word, "DECRYPTION_OKAY")) {
            s->decrypted = true;
        } else if (str_eqz(word, "DECRYPTION_FAILED") || str_eqz(word, "BADMDC")) {
            s->no_integrity = true;
        }
    }
}

/* Is the signer's address the one in From? The user id is the key owner's claim; a trusted key makes it more than that.
 */
static bool is_sender(struct ui *ui, const char *uid)
{
    const struct doc_item *from = ui->message.doc ? doc_named(ui->message.doc, DOC_META, "from") : NULL;
    struct arena *arena = arena_new(1u << 20);
    struct mail_addrs a, b;
    mail_addrs_parse(from ? from->text : STR(""), arena, &a);
    mail_addrs_parse(str_z(uid), arena, &b);
    bool same = a.count == 1 && b.count == 1 && a.list[0].addr.n && mail_addr_same(a.list[0].addr, b.list[0].addr);
    arena_free(&arena);
    return same;
}

static void tell_signature(struct ui *ui, const struct signature_status *s, const char *front)
{
    if (s->bad)
        verdict(ui, true, "%sBAD signature: the text was changed after it was signed", front);
    else if (s->missing)
        verdict(ui, true, "%ssigned, but the key %s is not here to verify it", front, s->key);
    else if (s->other)
        verdict(ui, true, "%sthe signature or its key has expired or was revoked", front);
    else if (s->good != 1 || s->valid != 1)
        verdict(ui, true, "%ssigned, but gpg gave no clear answer", front);
    else if (!is_sender(ui, s->uid))
        verdict(ui, true, "%ssigned by %s, who is not the sender", front, s->uid);
    else if (!s->trusted)
        verdict(ui, false, "%sgood signature by %s; nobody you trust has certified the key %s", front, s->uid, s->key);
    else
        verdict(ui, false, "%sgood signature by %s", front, s->uid);
}

/* ---- Verifying ---------------------------------------------------------------------------------- */
static void on_verified(struct ui *ui, void *arg, int status, struct str output)
{
    struct signature_status s;
    (void)arg;
    if (!work(ui))
        return;
    read_status(output, &s);
    if (WIFEXITED(status) && WEXITSTATUS(status) >= 126)
        verdict(ui, true, "signed, but %s cannot be run to verify it", gpg_of(ui));
    else
        tell_signature(ui, &s, "");
    stop(work(ui));
}

/* The work that a part's bytes are for; without one, or without bytes, fd is closed and there is nothing to do. */
static struct crypto *work_with(struct ui *ui, int fd)
{
    struct crypto *c = work(ui);
    if (c && fd >= 0)
        return c;
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void on_signature(struct ui *ui, void *arg, int fd)
{
    struct crypto *c = work_with(ui, fd);
    (void)arg;
    if (!c)
        return;
    c->signature = fd;
    const char *argv[] = {
        "/bin/sh",
        "-c",
        "exec \"$1\" --batch --no-tty --status-fd 1 --enable-special-filenames --verify -- '-&3' '-&4' 2>/dev/null",
        "sh",
        gpg_of(ui),
        NULL};
    ui_tool_argv(ui, TOOL_BEHIND, argv, (struct tool_fds){-1, {c->signature, c->data}}, on_verified, NULL);
}

static void on_signed_bytes(struct ui *ui, void *arg, int fd)
{
    struct crypto *c = work_with(ui, fd);
    (void)arg;
    if (!c)
        return;
    c->data = fd;
    ui_part(ui, c->viewer, c->signature_part, false, on_signature, NULL);
}

static void on_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer);

/* A text part that is clear-signed rather than encrypted; the signature is checked with the text that it covers. */
static bool clear_signed(const struct doc *doc)
{
    for (size_t i = 0; i < doc_count(doc); i++)
        if (doc_at(doc, i)->kind == DOC_TEXT &&
            str_eqz(str_trim(doc_at(doc, i)->text), "-----BEGIN PGP SIGNED MESSAGE-----"))
            return true;
    return false;
}

void crypto_shown(struct ui *ui)
{
    const struct doc *doc = ui->message.doc;
    uint32_t data = 0, signature = 0;
    bool encrypted = false, in_text = false;
    for (size_t i = 0; doc && i < doc_count(doc); i++) {
        const struct doc_item *item = doc_at(doc, i);
        if (item->kind != DOC_PART)
            continue;
        if ((item->flags & DOC_PART_SIGNED) && !data && item->parent == 0)
            data = item->number;
        if ((item->flags & DOC_PART_SIGNATURE) && data && item->parent == data)
            signature = item->number;
        encrypted = encrypted || (item->flags & DOC_PART_ENCRYPTED);
        in_text = in_text || (item->flags & DOC_PART_PGP_INLINE);
    }
    struct crypto *c = work(ui);
    if (c && ref_eq(c->ref, ui->message.ref) && c->banner[0]) {
        if (!c->of_plain || c->plain_comes) {
            c->plain_comes = false;
            return;
        }
        c->banner[0] = '\0'; /* the message as it came is shown again: what was said of its plain text is not of it */
    }
    if (!data && !encrypted && !in_text)
        return;
    c = fresh(ui);
    if (!encrypted && in_text && clear_signed(doc)) {
        verdict(ui, false, "says it is signed within the text \xc2\xb7 :decrypt verifies it");
    } else if (encrypted || in_text) {
        verdict(ui, false, "encrypted \xc2\xb7 :decrypt reads it");
    } else if (signature) {
        c->data_part = data;
        c->signature_part = signature;
        verdict(ui, false, "verifying the signature ...");
        ui_load(ui, ui->message.ref, "*", VIEW_STRUCTURE, on_loaded, NULL);
    }
}

/* ---- Decrypting --------------------------------------------------------------------------------- */
/* The fields of the mail around what was inside, so that the panes know whose it is. */
static bool put_fields(struct crypto *c, int out, struct err *err)
{
    struct buf raw = BUF_INIT(MAIL_HEADER_MAX), head = BUF_INIT(2 * MAIL_HEADER_MAX);
    struct arena *arena = arena_new(MAIL_ARENA_MAX);
    struct mail_header h;
    char chunk[65536];
    ssize_t n;
    bool ok = lseek(c->raw, 0, SEEK_SET) == 0;
    while (ok && raw.n < MAIL_HEADER_MAX && (n = read(c->raw, chunk, MIN(sizeof chunk, MAIL_HEADER_MAX - raw.n))) > 0)
        buf_add(&raw, chunk, (size_t)n);
    mail_header_parse(buf_str(&raw), arena, &h);
    for (size_t i = 0; i < h.count; i++)
        if (!str_case_starts(h.fields[i].name, STR("content-")) && !str_case_eqz(h.fields[i].name, "mime-version"))
            buf_addf(&head, "%.*s: %.*s\n", STR_FMT(h.fields[i].name), STR_FMT(h.fields[i].value));
    if (c->inline_text)
        buf_addz(&head, "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n");
    ok = ok && fs_write_all(out, buf_str(&head), err);
    arena_free(&arena);
    buf_fini(&raw);
    buf_fini(&head);
    return ok;
}

static bool append(int from, int to, struct err *err)
{
    char chunk[65536];
    ssize_t n;
    if (lseek(from, 0, SEEK_SET) < 0)
        return err_set(err, ERR_IO, "cannot read what gpg wrote");
    while ((n = read(from, chunk, sizeof chunk)) > 0)
        if (!fs_write_all(to, (struct str){chunk, (size_t)n}, err))
            return false;
    return n == 0 || err_set(err, ERR_IO, "cannot read what gpg wrote");
}

static void on_decrypted(struct ui *ui, void *arg, int status, struct str output)
{
    struct crypto *c = work(ui);
    struct signature_status s;
    struct buf lines = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    (void)arg, (void)output;
    if (!c)
        return;
    if (lseek(c->status, 0, SEEK_SET) == 0)
        fs_read_fd(c->status, lines.max, &lines, &err);
    read_status(buf_str(&lines), &s);
    buf_fini(&lines);
    /* Without integrity nothing is shown, whatever came out (THREATS 127). A clear-signed text is not encrypted: gpg
     * gives what the signature covers and its verdict. */
    bool told = s.good || s.bad || s.missing || s.other;
    if (!WIFEXITED(status) || WEXITSTATUS(status) >= 3 || !(s.decrypted || (c->inline_text && told)) ||
        s.no_integrity) {
        verdict(ui, true, "not decrypted: no key, a wrong passphrase, or the data was changed");
        stop(c);
        return;
    }
    int whole = memfd_create("tuimail-decrypted", MFD_CLOEXEC);
    if (whole < 0 || !put_fields(c, whole, &err) || !append(c->plain, whole, &err) || lseek(whole, 0, SEEK_SET) < 0) {
        ui_note(ui, NOTE_ERROR, "%s", err.kind ? err.text : "no memory for the decrypted text");
    } else if (ref_eq(c->ref, ui->message.ref)) {
        if (told)
            tell_signature(ui, &s, s.decrypted ? "decrypted \xc2\xb7 " : "");
        else
            verdict(ui, false, "decrypted \xc2\xb7 not signed");
        c->of_plain = c->plain_comes = true;
        char *subject = mem_dup_z(ui->message.subject ? ui->message.subject : "");
        message_show(&ui->message, c->ref, str_z(subject), ui->message.flags);
        free(subject);
        ui_view_fd(ui, whole, STR(""));
    }
    if (whole >= 0)
        close(whole);
    stop(c);
}

static void on_encrypted_bytes(struct ui *ui, void *arg, int fd)
{
    struct crypto *c = work_with(ui, fd);
    (void)arg;
    if (!c)
        return;
    c->data = fd;
    c->plain = memfd_create("tuimail-plain", MFD_CLOEXEC);
    c->status = memfd_create("tuimail-status", MFD_CLOEXEC);
    const char *argv[] = {
        "/bin/sh", "-c",       "GPG_TTY=$(tty </dev/tty); export GPG_TTY; exec \"$1\" --status-fd 4 --decrypt >&3",
        "sh",      gpg_of(ui), NULL};
    if (c->plain < 0 || c->status < 0)
        ui_note(ui, NOTE_ERROR, "no memory to decrypt into");
    else
        ui_tool_argv(ui, TOOL_TERMINAL, argv, (struct tool_fds){c->data, {c->plain, c->status}}, on_decrypted, NULL);
}

static void on_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    struct crypto *c = work(ui);
    (void)arg;
    if (!doc)
        return;
    if (!c) {
        doc_free(&doc);
        helper_end(&viewer);
        close(fd);
        return;
    }
    c->doc = doc;
    c->raw = fd;
    c->viewer = viewer;
    if (c->decrypts)
        ui_part(ui, viewer, c->data_part, false, on_encrypted_bytes, NULL);
    else
        ui_part(ui, viewer, c->data_part, true, on_signed_bytes, NULL);
}

bool run_decrypt(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct doc *doc = ui->message.doc;
    (void)args;
    for (size_t i = 0; doc && i < doc_count(doc); i++) {
        const struct doc_item *item = doc_at(doc, i);
        if (item->kind != DOC_PART || !(item->flags & (DOC_PART_ENCRYPTED | DOC_PART_PGP_INLINE)))
            continue;
        struct crypto *c = fresh(ui);
        c->data_part = item->number;
        c->inline_text = item->flags & DOC_PART_PGP_INLINE;
        c->decrypts = true;
        ui_load(ui, ui->message.ref, "*", VIEW_STRUCTURE, on_loaded, NULL);
        return true;
    }
    return err_set(err, ERR_USAGE, "the open message has no encrypted part");
}
