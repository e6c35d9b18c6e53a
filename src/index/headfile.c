/* Header files, and the check of a mail before libnotmuch parses it (RFC 5322 fields, by line). */
#include "index/index.h"

#include "mail/filter.h"
#include "mail/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Writing ---- */

#define LENT_STEP 1024

bool headfile_id(struct str id)
{
    if (id.n == 0 || id.n > MAIL_ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if ((unsigned char)id.p[i] <= ' ' || id.p[i] == '<' || id.p[i] == '>' || id.p[i] == 0x7f)
            return false;
    return true;
}

/* libnotmuch takes all of a field that is no message id for one ("<>"). */
static bool one_line(struct str id)
{
    bool is = id.n > 0 && id.n <= MAIL_ID_MAX;
    for (size_t i = 0; is && i < id.n; i++)
        is = (unsigned char)id.p[i] >= ' ' && id.p[i] != 0x7f;
    return is;
}

static void put_field(struct buf *out, const char *name, struct str utf8)
{
    if (utf8.n == 0)
        return;
    buf_addf(out, "%s: ", name);
    mail_words_encode(utf8, out);
    buf_addc(out, '\n');
}

/* The row has names only, and the index reads addresses: each name gets one that names nobody. */
static void put_recipients(struct buf *out, struct str to)
{
    struct str piece;
    bool first = true;
    while (str_split(&to, ',', &piece)) {
        piece = str_trim(piece);
        if (piece.n == 0)
            continue;
        buf_addz(out, first ? "To: " : ",\n ");
        first = false;
        if (mail_addr_valid(piece))
            buf_adds(out, piece);
        else
            mail_addr_format(piece, STR("to@invalid"), out);
    }
    if (!first)
        buf_addc(out, '\n');
}

static void put_ids(struct buf *out, const char *name, struct str ids)
{
    struct str id;
    bool first = true;
    while (str_split(&ids, ' ', &id))
        if (headfile_id(id)) {
            buf_addf(out, first ? "%s: <" : "\n <", name);
            first = false;
            buf_adds(out, id);
            buf_addc(out, '>');
        }
    if (!first)
        buf_addc(out, '\n');
}

static void envelope_format(const struct envelope *env, struct str msgid, struct buf *out)
{
    buf_addz(out, HEADFILE_MARK "From: ");
    mail_addr_format(env->from_name, mail_addr_valid(env->from_addr) ? env->from_addr : STR("from@invalid"), out);
    buf_addc(out, '\n');
    put_recipients(out, env->to);
    put_field(out, "Subject", env->subject);
    buf_addz(out, "Date: ");
    mail_date_format(env->date, 0, out);
    buf_addc(out, '\n');
    struct str id = msgid.n > 0 ? msgid : env->msgid;
    if (headfile_id(id))
        put_ids(out, "Message-ID", id);
    else if (one_line(id))
        buf_addf(out, "Message-ID: %.*s\n", STR_FMT(id));
    put_ids(out, "References", env->refs);
    if (headfile_id(env->list_id)) {
        buf_addz(out, "List-Id: <");
        buf_adds(out, env->list_id);
        buf_addz(out, ">\n");
    }
    buf_addz(out, "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n");
}

static bool is_headfile(const char *path)
{
    char mark[sizeof HEADFILE_MARK - 1];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    /* One that was being written when its writer was killed is empty, or cut inside the mark. */
    ssize_t n = read(fd, mark, sizeof mark);
    bool is = n >= 0 && memcmp(mark, HEADFILE_MARK, (size_t)n) == 0;
    close(fd);
    return is;
}

bool headfile_write(const char *path, const struct envelope *env, struct str msgid, struct err *err)
{
    struct buf text = BUF_INIT(256u << 10);
    const char *slash = strrchr(path, '/');
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT && slash != NULL) {
        char *dir = mem_dup_n(path, (size_t)(slash - path));
        bool made = fs_mkdir_private(dir, err);
        free(dir);
        if (!made)
            return false;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0 && errno == EEXIST) {
        if (!is_headfile(path))
            return err_set(err, ERR_PERMISSION, "a mail is at the place of a header file");
        fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot write a header file");
    envelope_format(env, msgid, &text);
    bool ok = fs_write_all(fd, buf_str(&text), err);
    if (close(fd) != 0 && ok)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot write a header file");
    if (!ok)
        unlink(path);
    buf_fini(&text);
    return ok;
}

/* The text with a field behind it that makes its size one of few: a file is cut seldom then (ext4 takes long over
 * that), and nothing is read as a body. */
static void fill_up(struct str text, struct buf *out)
{
    size_t end = text.n > 0 ? text.n - 1 : 0; /* the empty line ends the header */
    buf_adds(out, str_sub(text, 0, end));
    buf_addz(out, "X-Fill:");
    while ((out->n + 2) % LENT_STEP != 0)
        buf_addc(out, ' ');
    buf_addz(out, "\n\n");
}

static bool lent_open(struct index *ix)
{
    if (ix->lent_fd >= 0)
        return lseek(ix->lent_fd, 0, SEEK_SET) == 0;
    ix->lent = path_join(ix->mail, ".header");
    ix->lent_at = mem_dup_z(ix->lent);
    unlink(ix->lent);
    ix->lent_fd = open(ix->lent, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return ix->lent_fd >= 0;
}

/* Not every file system knows RENAME_NOREPLACE; nobody else puts anything at such a path. */
static bool rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    struct stat st;
    return (errno == EINVAL || errno == ENOSYS) && lstat(to, &st) != 0 && rename(from, to) == 0;
}

/* Never over what is there, but for a header file that a kill has left. */
static bool lent_move(struct index *ix, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(path, ix->lent_at) == 0)
        return true;
    bool ok = rename_new(ix->lent_at, path);
    if (!ok && errno == ENOENT && slash != NULL) {
        char *dir = mem_dup_n(path, (size_t)(slash - path));
        ok = fs_mkdir_private(dir, err) && rename_new(ix->lent_at, path);
        free(dir);
    }
    ok = ok || (is_headfile(path) && rename(ix->lent_at, path) == 0);
    if (ok) {
        free(ix->lent_at);
        ix->lent_at = mem_dup_z(path);
    }
    return ok;
}

bool headfile_lend_text(struct index *ix, const char *path, struct str text, struct err *err)
{
    struct buf filled = BUF_INIT(text.n + 2 * LENT_STEP);
    if (!lent_open(ix))
        return err_sys(err, err_from_errno(errno), errno, "cannot write a header file");
    fill_up(text, &filled);
    bool ok = fs_write_all(ix->lent_fd, buf_str(&filled), err) &&
              (filled.n == ix->lent_size || ftruncate(ix->lent_fd, (off_t)filled.n) == 0);
    ix->lent_size = ok ? filled.n : 0;
    buf_fini(&filled);
    if (ok && lent_move(ix, path, err))
        return true;
    headfile_back(ix);
    return false;
}

void headfile_back(struct index *ix)
{
    struct err ignored = ERR_INIT;
    if (ix->lent_fd >= 0 && !lent_move(ix, ix->lent, &ignored)) { /* it has no name any more: another is made */
        close(ix->lent_fd);
        ix->lent_fd = -1;
        ix->lent_size = 0;
        free(ix->lent);
        free(ix->lent_at);
        ix->lent = ix->lent_at = NULL;
    }
}

bool headfile_lend(struct index *ix, const char *path, const struct envelope *env, struct err *err)
{
    struct buf text = BUF_INIT(256u << 10);
    envelope_format(env, STR(""), &text);
    bool ok = headfile_lend_text(ix, path, buf_str(&text), err);
    buf_fini(&text);
    return ok;
}

/* The fields of a header that say nothing of its body, which is not there. */
static void header_format(struct str header, struct buf *out)
{
    bool keep = true, first = true;
    struct str line;
    buf_addz(out, HEADFILE_MARK);
    for (; str_split(&header, '\n', &line); first = false) {
        if (line.n == 0 || str_eqz(line, "\r"))
            break;
        if (line.p[0] != ' ' && line.p[0] != '\t')
            keep = !str_case_starts(line, STR("content-")) && !str_case_starts(line, STR("mime-version")) &&
                   !(first && str_starts(line, STR("From ")));
        if (keep) {
            buf_adds(out, line);
            buf_addc(out, '\n');
        }
    }
    buf_addz(out, "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n");
}

/* ---- Checking ---- */

void headfile_stack(void)
{
    struct rlimit stack;
    if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur < INDEX_STACK && stack.rlim_max >= INDEX_STACK) {
        stack.rlim_cur = INDEX_STACK;
        setrlimit(RLIMIT_STACK, &stack);
    }
}

static const char *const address_fields[] = {"from",   "to",          "cc",        "bcc",      "reply-to",
                                             "sender", "resent-from", "resent-to", "resent-cc"};

static bool is_address_field(struct str name)
{
    for (size_t i = 0; i < COUNT(address_fields); i++)
        if (str_case_eqz(name, address_fields[i]))
            return true;
    return false;
}

/* Watches one field at a time while lines go by. */
struct scan {
    bool in_address, in_header, quoted;
    size_t field, header;
    unsigned colons;
};

static bool scan_line(struct scan *s, struct str line, struct err *err)
{
    struct str rest = line;
    size_t colon;
    bool continued = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
    if (s->in_header) {
        s->header += line.n + 1;
        if (line.n == 0 || (line.n == 1 && line.p[0] == '\r'))
            s->in_header = false;
        if (s->header > INDEX_HEADER_MAX)
            return err_set(err, ERR_LIMIT, "the header is over %u bytes", INDEX_HEADER_MAX);
    }
    if (!continued) {
        s->field = s->colons = 0;
        s->quoted = false;
        s->in_address =
            str_find(str_sub(line, 0, 40), ':', &colon) && is_address_field(str_trim(str_sub(line, 0, colon)));
        if (s->in_address)
            rest = str_sub(line, colon + 1, line.n);
    }
    if (!s->in_address)
        return true;
    s->field += line.n;
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] == '"')
            s->quoted = !s->quoted;
        else if (rest.p[i] == '\\')
            i++;
        else if (rest.p[i] == ':' && !s->quoted)
            s->colons++;
    }
    if (s->field > INDEX_ADDRESS_MAX || s->colons > INDEX_COLONS_MAX)
        return err_set(err, ERR_LIMIT, "an address field is too long or too deep");
    return true;
}

/* Line by line through a window, so that memory does not grow with the file; a line longer than the window is fed in
 * pieces. */
static bool scan_file(int fd, bool whole, struct buf *header, struct err *err)
{
    struct scan scan = {.in_header = true};
    char window[65536];
    size_t have = 0;
    bool piece = false; /* the front of the window continues a line */
    for (;;) {
        ssize_t n = read(fd, window + have, sizeof window - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "cannot read");
        if (header->n < header->max)
            buf_add(header, window + have, MIN((size_t)n, header->max - header->n));
        have += (size_t)n;
        size_t at = 0;
        const char *nl;
        while ((nl = memchr(window + at, '\n', have - at)) != NULL) {
            struct str line = {window + at, (size_t)(nl - (window + at))};
            if (!piece && !scan_line(&scan, line, err))
                return false;
            if (piece && scan.in_address)
                return err_set(err, ERR_LIMIT, "an address field is too long");
            piece = false;
            at = (size_t)(nl - window) + 1;
        }
        if (at == 0 && have == sizeof window) {
            /* no line end in 64 KiB */
            if (!piece && !scan_line(&scan, (struct str){window, have}, err))
                return false;
            scan.header += piece && scan.in_header ? have : 0;
            if (scan.header > INDEX_HEADER_MAX)
                return err_set(err, ERR_LIMIT, "the header is over %u bytes", INDEX_HEADER_MAX);
            piece = true;
            at = have;
        }
        memmove(window, window + at, have - at);
        have -= at;
        if (!whole && !scan.in_header)
            return true;
        if (n == 0)
            return piece || have == 0 || scan_line(&scan, (struct str){window, have}, err);
    }
}

/* A field that is too long may stand above all that a list shows of the mail. */
static void read_on(int fd, struct buf *header)
{
    char more[65536];
    ssize_t n = 1;
    while (header->n < header->max && n > 0)
        if ((n = read(fd, more, MIN(sizeof more, header->max - header->n))) > 0)
            buf_add(header, more, (size_t)n);
}

bool headfile_check(const char *path, struct str fields, struct arena *arena, struct envelope *env_r,
                    struct buf *header_r, struct err *err)
{
    struct stat st;
    struct buf header = BUF_INIT(INDEX_HEADER_MAX);
    struct mail_row row;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? ERR_NO_MESSAGE : err_from_errno(errno), errno, "cannot open the mail");
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!ok)
        err_set(err, ERR_PARSE, "not a regular file");
    else if (st.st_size == 0)
        ok = err_set(err, ERR_PARSE, "the file is empty");
    else
        ok = scan_file(fd, header_r == NULL, &header, err);
    if (!ok && err->kind == ERR_LIMIT)
        read_on(fd, &header);
    close(fd);
    if (ok && header_r == NULL && (uint64_t)st.st_size > INDEX_FILE_MAX)
        ok = err_set(err, ERR_LIMIT, "the mail is too large for the index");
    if (header_r != NULL)
        header_format(buf_str(&header), header_r);
    mail_row_parse(buf_str(&header), STR(""), arena, &row);
    struct mail_header fields_of;
    struct buf marks = BUF_INIT(256u << 10);
    mail_header_parse(buf_str(&header), arena, &fields_of);
    filter_marks(&fields_of, fields, &marks);
    *env_r = (struct envelope){row.from_name, row.from_addr, row.to,   row.subject,    row.msgid,
                               row.refs,      row.list_id,   row.date, buf_str(&marks)};
    /* what mail_row_parse returns may borrow from the bytes */
    struct str *all[] = {&env_r->from_name, &env_r->from_addr, &env_r->to,      &env_r->subject,
                         &env_r->msgid,     &env_r->refs,      &env_r->list_id, &env_r->marks};
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *copy = arena_dup(arena, all[i]->n > 0 ? all[i]->p : "", all[i]->n);
        *all[i] = copy != NULL ? (struct str){copy, all[i]->n} : STR("");
    }
    buf_fini(&header);
    buf_fini(&marks);
    return ok;
}
