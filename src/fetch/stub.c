/* What is shown of a mail of which only the header is here. */
#include "fetch/local.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The fields that speak of a body that is not there; a folded line belongs to the field before it. */
static void without_content(struct str header, struct buf *out)
{
    struct str line;
    bool content = false;
    while (str_split(&header, '\n', &line) && str_trim(line).n > 0) {
        if (line.p[0] != ' ' && line.p[0] != '\t')
            content = str_case_starts(line, STR("content-"));
        if (content)
            continue;
        buf_adds(out, line);
        buf_addc(out, '\n');
    }
}

int stub_open(int fd, uint64_t size, struct err *err)
{
    struct buf head = BUF_INIT(MAIL_HEADER_MAX), out = BUF_INIT(MAIL_HEADER_MAX + 1000);
    char chunk[8192];
    ssize_t n;
    while (head.n < head.max && (n = read(fd, chunk, MIN(sizeof chunk, head.max - head.n))) > 0)
        buf_add(&head, chunk, (size_t)n);
    without_content(buf_str(&head), &out);
    buf_addz(&out, "Content-Type: text/plain; charset=utf-8\n\n");
    buf_add_size(&out, size);
    buf_addz(&out, ", still on the server. Enter fetches it.\n");
    int shown = memfd_create("tuimail-stub", MFD_CLOEXEC);
    if (shown < 0 || !fs_write_all(shown, buf_str(&out), err) || lseek(shown, 0, SEEK_SET) != 0) {
        if (shown >= 0)
            close(shown);
        shown = -1;
        if (err->kind == ERR_NONE)
            err_set(err, ERR_IO, "no memory to show a message");
    }
    buf_fini(&head);
    buf_fini(&out);
    return shown;
}
