/* An mbox from bytes: no crash, no endless loop, no mail beyond the file; and each mail that comes out of it, put into
 * an mbox of ours and taken out again, is the same byte for byte, with its flags. */
#include <sys/mman.h>
#include <unistd.h>

#include "archive/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const void *p, size_t n)
{
    struct err err = ERR_INIT;
    int fd = memfd_create("mbox", MFD_CLOEXEC);
    if (fd < 0 || !fs_write_all(fd, (struct str){p, n}, &err))
        bug("a file in memory");
    return fd;
}

static void read_back(int fd, struct buf *out)
{
    struct err err = ERR_INIT;
    lseek(fd, 0, SEEK_SET);
    buf_reset(out);
    if (!fs_read_fd(fd, out->max, out, &err))
        bug("%s", err.text);
}

/* The mails twice, so that the second is behind the first one's end. */
static void there_and_back(int mail, const struct mbox_mail *as)
{
    struct err err = ERR_INIT;
    struct buf want = BUF_INIT(64u << 20), got = BUF_INIT(64u << 20);
    const struct mbox_put put = {
        .flags = as->flags, .tags = STR("a b"), .arrived = 1700000000, .sender = STR("alice@example.org")};
    int box = file_of("", 0);
    read_back(mail, &want);
    for (int i = 0; i < 2; i++)
        if (!mbox_append(box, mail, &put, &err))
            bug("%s", err.text);
    struct mbox *m = mbox_open(box, &err);
    for (int i = 0; i < 2; i++) {
        struct mbox_mail back;
        int copy = file_of("", 0);
        bool same = false;
        enum mbox_got result = mbox_next(m, &back, &err);
        if (result != MBOX_MAIL && !(want.n == 0 && result == MBOX_SKIPPED))
            bug("mail %d did not come back: %s", i, back.why ? back.why : err.text);
        if (result == MBOX_MAIL) {
            if (!mbox_copy(m, &back, copy, &err))
                bug("%s", err.text);
            read_back(copy, &got);
            if (!str_eq(buf_str(&got), buf_str(&want)))
                bug("mail %d came back with %zu bytes, not %zu", i, got.n, want.n);
            if (back.flags != as->flags || back.arrived != put.arrived || !str_eqz(back.tags, "a b"))
                bug("mail %d came back with other flags", i);
            if (!mbox_same(copy, mail, &same, &err) || !same)
                bug("equal mails are not the same");
        }
        close(copy);
    }
    mbox_close(&m);
    close(box);
    buf_fini(&want);
    buf_fini(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    int fd = file_of(data, size);
    struct mbox *m = mbox_open(fd, &err);
    struct mbox_mail mail;
    enum mbox_got got;
    uint64_t last = 0, crlf;
    if (!m || !mbox_size_crlf(fd, &crlf, &err))
        bug("%s", err.text);
    mbox_is(m, &err);
    for (unsigned n = 0; (got = mbox_next(m, &mail, &err)) == MBOX_MAIL || got == MBOX_SKIPPED; n++) {
        if ((n && mail.offset <= last) || mail.from > mail.to || mail.to > size ||
            (mail.why != NULL) != (got == MBOX_SKIPPED))
            bug("mail %u lies where it cannot", n);
        last = mail.offset;
        if (got == MBOX_SKIPPED)
            continue;
        int copy = file_of("", 0);
        struct mbox_mail as = mail;
        if (!mbox_copy(m, &mail, copy, &err))
            bug("%s", err.text);
        there_and_back(copy, &as);
        close(copy);
    }
    if (got == MBOX_FAILED)
        bug("%s", err.text);
    mbox_close(&m);
    close(fd);
    return 0;
}
