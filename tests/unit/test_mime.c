/* mime: golden documents, hostile messages, parts, and building.
 *
 * A golden document is tests/golden/mime/NAME.doc beside NAME.eml; TUIMAIL_GOLDEN=write writes them anew (read the
 * difference before you commit it). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "corpus.h"
#include "mail/absent.h"
#include "mail/mail.h"
#include "mime/mime.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Helpers ------------------------------------------------------------------------------------ */
static void describe(const struct doc_item *it, struct buf *out)
{
    static const char *const kinds[] = {"", "header", "text", "banner", "part", "link", "warning", "meta"};
    buf_addf(out, "%s", kinds[it->kind]);
    if (it->level)
        buf_addf(out, " level=%u", it->level);
    if (it->style)
        buf_addf(out, " style=%u", it->style);
    if (it->number)
        buf_addf(out, " number=%u", it->number);
    if (it->kind == DOC_PART)
        buf_addf(out, " parent=%u flags=%x size=%llu", it->parent, it->flags, (unsigned long long)it->size);
    if (it->name.n)
        buf_addf(out, " [%.*s]", STR_FMT(it->name));
    for (size_t i = 0; i < it->nspans; i++)
        buf_addf(out, " {%u-%u %u %u}", it->spans[i].from, it->spans[i].to, it->spans[i].kind, it->spans[i].link);
    buf_addf(out, " |%.*s|\n", STR_FMT(it->text));
}

/* The gate: no string of a document that was read holds a control character or invalid UTF-8 (THREATS 115-118). */
static void check_clean(struct str s)
{
    assert_true(utf8_valid(s));
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        assert_true(c >= 32 && c != 127);
        assert_false(c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0);
        assert_false(c == 0xe2 && i + 2 < s.n && s.p[i + 1] == '\x80' && (unsigned char)s.p[i + 2] >= 0xaa &&
                     (unsigned char)s.p[i + 2] <= 0xae);
    }
}

static struct doc *document(struct mime *m, uint32_t flags)
{
    struct buf out = BUF_INIT(DOC_MAX_BYTES);
    struct err err = ERR_INIT;
    struct doc *d = doc_new();
    mime_document(m, flags, &out);
    assert_false(out.full);
    if (!doc_feed(d, buf_str(&out), &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < doc_count(d); i++) {
        check_clean(doc_at(d, i)->name);
        check_clean(doc_at(d, i)->text);
    }
    buf_fini(&out);
    return d;
}

static struct mime *open_bytes(struct str bytes)
{
    struct buf raw = BUF_INIT(MIME_MESSAGE_MAX);
    struct mime *m = NULL;
    struct err err = ERR_INIT;
    buf_adds(&raw, bytes);
    assert_true(mime_open(&raw, &m, &err));
    return m;
}

static bool has_text(const struct doc *d, enum doc_kind kind, const char *needle)
{
    for (size_t i = 0; i < doc_count(d); i++) {
        const struct doc_item *it = doc_at(d, i);
        if (it->kind == kind && it->text.n && memmem(it->text.p, it->text.n, needle, strlen(needle)))
            return true;
    }
    return false;
}

static size_t count_kind(const struct doc *d, enum doc_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < doc_count(d); i++)
        n += doc_at(d, i)->kind == kind;
    return n;
}

/* ---- Golden documents --------------------------------------------------------------------------- */
static char *golden_dir(void)
{
    const char *src = getenv("TUIMAIL_SRC");
    return path_join(src ? src : "..", "tests/golden/mime");
}

static void one_golden(const char *dir, const char *file)
{
    struct buf raw = BUF_INIT(1u << 20), got = BUF_INIT(8u << 20), want = BUF_INIT(8u << 20), name = BUF_INIT(256);
    struct err err = ERR_INIT;
    buf_add(&name, file, strlen(file) - 4);
    buf_addz(&name, ".doc");
    char *eml = path_join(dir, file), *doc = path_join(dir, buf_z(&name));
    const char *mode = getenv("TUIMAIL_GOLDEN");
    struct mime *m;
    assert_true(fs_read(eml, raw.max, &raw, &err));
    assert_true(mime_open(&raw, &m, &err));
    struct doc *d = document(m, 0);
    for (size_t i = 0; i < doc_count(d); i++)
        describe(doc_at(d, i), &got);
    if (mode && strcmp(mode, "write") == 0)
        assert_true(fs_write_atomic(doc, 0644, buf_str(&got), &err));
    else if (!fs_read(doc, want.max, &want, &err))
        fail_msg("%s", err.text);
    else if (!str_eq(buf_str(&got), buf_str(&want)))
        fail_msg("%s differs; now:\n%s", doc, buf_z(&got));
    doc_free(&d);
    mime_free(&m);
    free(eml);
    free(doc);
    buf_fini(&raw);
    buf_fini(&got);
    buf_fini(&want);
    buf_fini(&name);
}

/* Among them what THREATS 97, 100, 119, 132 and 136 ask for. */
static void test_golden(void **state)
{
    (void)state;
    char *dir = golden_dir();
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".eml") != 0)
            continue;
        one_golden(dir, e->d_name);
        n++;
    }
    closedir(d);
    free(dir);
    assert_true(n >= 30);
}

static void test_flags(void **state)
{
    (void)state;
    struct mime *m =
        open_bytes(STR("X-Odd: 1\nFrom: a@b.c\nContent-Type: multipart/alternative; "
                       "boundary=b\n\n--b\n\nplain\n--b\nContent-Type: text/html\n\n<p>html</p>\n--b--\n"));
    struct doc *d = document(m, 0);
    assert_true(has_text(d, DOC_TEXT, "plain") && !has_text(d, DOC_TEXT, "html"));
    assert_null(doc_named(d, DOC_HEADER, "x-odd"));
    doc_free(&d);
    d = document(m, MIME_PREFER_HTML | MIME_ALL_HEADERS);
    assert_true(!has_text(d, DOC_TEXT, "plain") && has_text(d, DOC_TEXT, "html"));
    assert_non_null(doc_named(d, DOC_HEADER, "x-odd"));
    doc_free(&d);
    d = document(m, MIME_RAW);
    assert_true(has_text(d, DOC_TEXT, "--b--"));
    doc_free(&d);
    d = document(m, MIME_STRUCTURE);
    assert_int_equal(count_kind(d, DOC_TEXT), 0);
    assert_int_equal(count_kind(d, DOC_PART), 3);
    doc_free(&d);
    mime_free(&m);
}

/* ---- Parts -------------------------------------------------------------------------------------- */
static void part_is(struct mime *m, uint32_t n, bool signed_bytes, const char *want)
{
    struct buf out = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    if (!mime_part(m, n, signed_bytes, &out, &err))
        fail_msg("part %u: %s", n, err.text);
    if (!str_eqz(buf_str(&out), want))
        fail_msg("part %u: \"%s\"", n, buf_z(&out));
    buf_fini(&out);
}

static void test_parts(void **state)
{
    (void)state;
    static const char mail[] =
        "From: a@b.c\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/signed; "
        "protocol=\"application/pgp-signature\";\n boundary=\"ss\"\n\n"
        "pre\n--ss\nContent-Type: multipart/mixed; boundary=ssx\n\n--ssx\nContent-type:  text/plain\n\nwords  "
        "\n\n--ssx--\n\n--ss\nContent-Type: application/pgp-signature\n\nSIG\n--ss--\n"
        "--o\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ\n--o\n\nbegin 644 "
        "hi\n$:&5L;```\n`\nend\n--o--\n";
    struct mime *m = open_bytes(STR(mail));
    part_is(m, 0, false, mail);
    /* exactly the bytes between the delimiters, with CR LF (RFC 1847 2.1) */
    part_is(m, 2, true,
            "Content-Type: multipart/mixed; boundary=ssx\r\n\r\n--ssx\r\nContent-type:  text/plain\r\n\r\nwords  "
            "\r\n\r\n--ssx--\r\n");
    part_is(m, 4, false, "words  \n");
    part_is(m, 5, false, "SIG");
    part_is(m, 6, false, "hello world");
    part_is(m, 8, false, "hell");
    struct buf out = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    assert_false(mime_part(m, 99, false, &out, &err));
    assert_int_equal(err.kind, ERR_NO_MESSAGE);
    assert_false(mime_part(m, 6, true, &out, &err));
    buf_fini(&out);
    mime_free(&m);
}

/* gpg with a home of its own; its words go nowhere. */
static int gpg(const char *home, const char *const *args)
{
    const char *argv[16] = {"gpg",   "--homedir",       home,       "--batch",      "--quiet",
                            "--yes", "--pinentry-mode", "loopback", "--passphrase", ""};
    size_t n = 10;
    for (; *args && n + 1 < COUNT(argv); args++)
        argv[n++] = *args;
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 1);
        dup2(null, 2);
        execvp("gpg", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* THREATS 124: what VIEW_PART gives for a signed part is what a real gpg signed, though the mail has lost its CR. */
static void test_signature(void **state)
{
    (void)state;
    char home[] = "/tmp/tuimail-gpg-XXXXXX";
    struct err err = ERR_INIT;
    struct buf mail = BUF_INIT(65536), sig = BUF_INIT(65536), body = BUF_INIT(65536);
    if (gpg("/nonexistent", (const char *const[]){"--version", NULL}) == 127)
        skip();
    assert_non_null(mkdtemp(home));
    char *data = path_join(home, "data"), *asc = path_join(home, "data.asc");
    assert_int_equal(
        gpg(home, (const char *const[]){"--quick-generate-key", "alice@example.org", "ed25519", "sign", "never", NULL}),
        0);
    struct str part = STR("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
                          "quoted-printable\r\n\r\nsigned =C3=A4 words =20\r\n\r\n");
    assert_true(fs_write_atomic(data, 0600, part, &err));
    assert_int_equal(gpg(home, (const char *const[]){"--armor", "--output", asc, "--detach-sign", data, NULL}), 0);
    assert_true(fs_read(asc, sig.max, &sig, &err));
    buf_addz(&mail, "From: alice@example.org\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; "
                    "boundary=s\n\n--s\n");
    for (size_t i = 0; i < part.n; i++)
        if (part.p[i] != '\r')
            buf_addc(&mail, part.p[i]);
    buf_addf(&mail, "\n--s\nContent-Type: application/pgp-signature\n\n%s\n--s--\n", buf_z(&sig));
    struct mime *m = open_bytes(buf_str(&mail));
    buf_reset(&sig);
    assert_true(mime_part(m, 1, true, &body, &err) && mime_part(m, 3, false, &sig, &err));
    assert_true(fs_write_atomic(data, 0600, buf_str(&body), &err) && fs_write_atomic(asc, 0600, buf_str(&sig), &err));
    assert_int_equal(gpg(home, (const char *const[]){"--verify", asc, data, NULL}), 0);
    body.p[body.n - 6] = '!';
    assert_true(fs_write_atomic(data, 0600, buf_str(&body), &err));
    assert_int_not_equal(gpg(home, (const char *const[]){"--verify", asc, data, NULL}), 0);
    mime_free(&m);
    buf_fini(&mail);
    buf_fini(&sig);
    buf_fini(&body);
    free(data);
    free(asc);
    pid_t pid = fork(); /* the agent ends by itself when its home is gone */
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", home, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &(int){0}, 0);
}

static void test_safe_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {/* THREATS 138 */
                                           {"../../etc/passwd", "passwd"},
                                           {"C:\\x\\y.exe", "y.exe"},
                                           {"..", ""},
                                           {".", ""},
                                           {"-rf", "rf"},
                                           {".bashrc", "bashrc"},
                                           {"~root", "root"},
                                           {"a\nb\x1b.txt", "a_b_.txt"},
                                           {"x. . ", "x"},
                                           {"\xe2\x80\xae"
                                            "cod.exe",
                                            "_cod.exe"},
                                           {"", ""},
                                           {"dir/", ""},
                                           {"a:b|c", "a_b_c"},
                                           {"b\xc3\xbc.pdf", "b\xc3\xbc.pdf"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = BUF_INIT(4096);
        mime_safe_name(str_z(cases[i][0]), &b);
        if (!str_eqz(buf_str(&b), cases[i][1]))
            fail_msg("%s: %s", cases[i][0], buf_z(&b));
        buf_fini(&b);
    }
    struct buf longer = BUF_INIT(10000), b = BUF_INIT(10000);
    for (int i = 0; i < 5000; i++)
        buf_addc(&longer, 'x');
    buf_addz(&longer, ".tar");
    mime_safe_name(buf_str(&longer), &b);
    assert_int_equal(b.n, 200);
    assert_memory_equal(b.p + b.n - 4, ".tar", 4);
    buf_fini(&b);
    buf_fini(&longer);
}

/* ---- Hostile messages --------------------------------------------------------------------------- */
static void repeat(struct buf *b, const char *z, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_addz(b, z);
}

/* Opens, shows and frees it; true where a warning holds the needle (NULL: any message is fine). */
static void hostile(struct buf *b, const char *warning)
{
    assert_false(b->full);
    struct mime *m = open_bytes(buf_str(b));
    struct doc *d = document(m, 0);
    if (warning && !has_text(d, DOC_WARNING, warning))
        fail_msg("no warning \"%s\"", warning);
    doc_free(&d);
    mime_free(&m);
    buf_reset(b);
}

static void test_hostile_header(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(64u << 20);
    buf_addz(&b, "To: "); /* FACTS: ends GMime without the cap (THREATS 95) */
    repeat(&b, "a:", 500000);
    buf_addz(&b, "\n\nbody\n");
    hostile(&b, "header is larger");
    buf_addz(&b, "Subject: x\nTo: ");
    repeat(&b, "(", 3000000);
    buf_addz(&b, "\n\nbody\n");
    hostile(&b, "header");
    buf_addz(&b, "To: ");
    repeat(&b, "a@example.org, ", 100000);
    buf_addz(&b, "\n\nbody\n");
    hostile(&b, "To has more addresses");
    repeat(&b, "X: y\n", 100000); /* THREATS 94 */
    buf_addz(&b, "\nbody\n");
    hostile(&b, "header is larger");
    buf_addz(&b, "Content-Type: text/plain;"); /* THREATS 98 */
    for (int i = 0; i < 50000; i++)
        buf_addf(&b, " n*%d*=x;", i);
    buf_addz(&b, "\n\nbody\n");
    hostile(&b, "header is larger");
    buf_addz(
        &b, "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nTo: "); /* inside, too */
    repeat(&b, "a:", 200000);
    buf_addz(&b, "\n\nbody\n--b--\n");
    hostile(&b, "header is larger");
    buf_addz(&b, "Subject: "); /* THREATS 99 */
    repeat(&b, "=?utf-8?q?x?= ", 3000);
    buf_addz(&b, "\n\nbody\n");
    hostile(&b, NULL);
    buf_addz(&b, "References:");
    repeat(&b, " <a@b>", 10000);
    buf_addz(&b, "\n\nbody\n");
    hostile(&b, NULL);
    buf_fini(&b);
}

static void test_hostile_structure(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(128u << 20);
    buf_addz(&b, "Content-Type: multipart/mixed; boundary=b\n\n"); /* THREATS 96 */
    repeat(&b, "--b\n\nx\n", 100000);
    hostile(&b, "more than 10000 parts");
    for (int i = 0; i < 10000; i++)
        buf_addf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
    hostile(&b, "nested more than");
    repeat(&b, "Content-Type: multipart/mixed; boundary=b\n\n--b\n", 10000); /* one boundary at each level */
    hostile(&b, NULL);
    repeat(&b, "Content-Type: message/rfc822\n\n", 200000);
    hostile(&b, NULL);
    buf_addz(&b, "Content-Type: multipart/mixed; boundary=\"");
    repeat(&b, "x", 1000000);
    buf_addz(&b, "\"\n\n--x\n\ntext\n");
    hostile(&b, "header is larger");
    buf_addz(&b, "Content-Type: multipart/mixed; boundary=aaaaaaaa\n\n"); /* near boundaries */
    repeat(&b, "--aaaaaaa\n", 200000);
    hostile(&b, "cannot be told apart");
    buf_addz(&b, "Content-Type: multipart/alternative; boundary=b\n\n");
    repeat(&b, "--b\nContent-Type: text/html\n\n<p>x\n", 9000);
    hostile(&b, NULL);
    buf_fini(&b);
}

static void test_hostile_text(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(128u << 20);
    buf_addz(&b, "Subject: x\n\n"); /* a 5 MB line (THREATS 121) */
    repeat(&b, "word ", 1000000);
    hostile(&b, NULL);
    buf_addz(&b, "Subject: x\n\n");
    repeat(&b, "\n", 1000000);
    hostile(&b, "longer than can be shown");
    buf_addz(&b, "Subject: x\n\n");
    repeat(&b, "http://x:/", 500000);
    hostile(&b, NULL);
    buf_addz(&b, "Subject: x\n\n");
    repeat(&b, ">", 2000000);
    hostile(&b, NULL);
    buf_addz(&b, "Subject: x\n\n");
    repeat(&b, "begin 644 x\n", 20000); /* THREATS 101 */
    hostile(&b, NULL);
    buf_addz(&b, "Subject: x\n\n");
    repeat(&b, "begin 644 x\n#86)C\n", 20000);
    hostile(&b, "more than 10000 parts");
    buf_addz(&b, "Subject: x\n\n"); /* many files in one long text */
    repeat(&b, "begin 644 x\n#86)C\n", 500000);
    hostile(&b, "more than 10000 parts");
    buf_addz(&b, "Content-Type: text/plain; charset=utf-16\n\n"); /* iconv growth (THREATS 103) */
    repeat(&b, "\x01\xd8", 500000);
    hostile(&b, "wrong in its character set");
    buf_addz(&b, "Content-Type: text/plain; format=flowed\n\n");
    repeat(&b, "soft \n", 500000);
    hostile(&b, NULL);
    buf_fini(&b);
}

static void test_hostile_html(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<div>",
                                         "<b>",
                                         "<b><p>",
                                         "<table>",
                                         "<table><tr><td>",
                                         "<a href=x>y",
                                         "<ul><li>",
                                         "<svg><p>",
                                         "&amp",
                                         "<!--",
                                         "<font size=1><p>",
                                         "<p",
                                         "<blockquote>x",
                                         "<i><table><td>",
                                         "<form>x</p>",
                                         "<select><option>",
                                         "<p a",
                                         "<div></b>",
                                         "<a href='x'",
                                         "</p>"};
    struct buf b = BUF_INIT(64u << 20);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        buf_addz(&b, "Content-Type: text/html; charset=utf-8\n\n");
        while (b.n < 1500000)
            buf_addz(&b, pieces[i]);
        hostile(&b, NULL);
    }
    buf_addz(
        &b,
        "Content-Type: text/html\n\n"); /* many different formatting elements: the list that HTML makes parsers walk */
    for (int i = 0; i < 20000; i++)
        buf_addf(&b, "<b class=c%d><p>", i);
    hostile(&b, NULL);
    buf_addz(&b, "Content-Type: text/html\n\n<p"); /* attributes, each compared with all */
    for (int i = 0; i < 200000; i++)
        buf_addf(&b, " a%d=1", i);
    buf_addz(&b, ">words");
    hostile(&b, NULL);
    buf_fini(&b);
}

/* ---- Building ----------------------------------------------------------------------------------- */
static void build(const char *headers, const char *text, uint32_t flags, struct buf *out)
{
    struct mime_draft *d = NULL;
    struct err err = ERR_INIT;
    if (!mime_draft_new(str_z(headers), str_z(text), flags, &d, &err) || !mime_draft_finish(d, out, &err))
        fail_msg("%s", err.text);
    mime_draft_free(&d);
}

/* Seven bits, CR LF only, short lines (THREATS 145, 146). */
static void check_wire(struct str s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        assert_true(c < 127 && (c >= 32 || c == '\r' || c == '\n' || c == '\t'));
        assert_true(c != '\n' || (i > 0 && s.p[i - 1] == '\r'));
        assert_true(c != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
        line = c == '\n' ? 0 : line + 1;
        assert_true(line <= 998);
    }
}

static void test_build(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(8u << 20);
    struct err err = ERR_INIT;
    struct mime_draft *draft;
    static const char headers[] =
        "From: J\xc3\xb6rg Example <joerg@example.org>\nTo: \"Doe, John\" <john@example.com>, team: a@b.example, "
        "c@d.example;\nBcc: secret@example.net\n"
        "Subject: Gr\xc3\xbc\xc3\x9f"
        "e\nIn-Reply-To: <p@x>\nReferences: <o@x> <p@x>\nX-Note: hi\nUser-Agent: no\nContent-Type: evil/type\n";
    static const char text[] = "A long paragraph that goes on and on so that it has to be wrapped by the writer of "
                               "format flowed text, \xc3\xa4nd more.\n\n> quoted\nFrom here\n  indented\n.\n-- \nJ";
    assert_true(mime_draft_new(str_z(headers), str_z(text), 0, &draft, &err));
    struct buf att = BUF_INIT(1000), att2 = BUF_INIT(1000);
    buf_add(&att, "\0\1\2\xff\n.\n", 7);
    buf_addz(&att2, "From: x@y.z\nSubject: inner\n\nhi\n");
    assert_true(mime_draft_attach(
        draft, STR("../b\xc3\xbcro einer sehr langen Datei mit vielen Zeichen im Namen und noch mehr.pdf"),
        STR("Application/PDF"), false, &att, &err));
    assert_true(mime_draft_attach(draft, STR("m.eml"), STR("message/rfc822"), true, &att2, &err));
    assert_true(mime_draft_finish(draft, &out, &err));
    mime_draft_free(&draft);
    check_wire(buf_str(&out));
    assert_null(memmem(out.p, out.n, "secret", 6)); /* THREATS 143 */
    assert_null(memmem(out.p, out.n, "User-Agent", 10));
    assert_null(memmem(out.p, out.n, "evil", 4));
    struct mime *m = open_bytes(buf_str(&out));
    struct doc *d = document(m, 0);
    assert_true(str_eqz(doc_named(d, DOC_HEADER, "subject")->text, "Gr\xc3\xbc\xc3\x9f"
                                                                   "e"));
    assert_true(str_eqz(doc_named(d, DOC_HEADER, "from")->text, "J\xc3\xb6rg Example <joerg@example.org>"));
    assert_true(
        str_eqz(doc_named(d, DOC_HEADER, "to")->text, "\"Doe, John\" <john@example.com>, a@b.example, c@d.example"));
    assert_true(str_eqz(doc_named(d, DOC_META, "references")->text, "<o@x> <p@x>"));
    struct str id = doc_named(d, DOC_META, "message-id")->text; /* THREATS 155 */
    assert_true(id.n == 1 + 32 + 12 + 1 && memcmp(id.p + 33, "@example.org>", 13) == 0);
    assert_true(has_text(d, DOC_TEXT,
                         "A long paragraph that goes on and on so that it has to be wrapped by the writer of format "
                         "flowed text, \xc3\xa4nd more."));
    assert_true(has_text(d, DOC_TEXT, "From here"));
    assert_true(has_text(d, DOC_TEXT, "  indented"));
    assert_true(
        has_text(d, DOC_PART, "b\xc3\xbcro einer sehr langen Datei mit vielen Zeichen im Namen und noch mehr.pdf"));
    struct buf back = BUF_INIT(1000);
    assert_true(mime_part(m, 3, false, &back, &err));
    assert_int_equal(back.n, 7);
    assert_memory_equal(back.p, "\0\1\2\xff\n.\n", 7);
    buf_fini(&back);
    doc_free(&d);
    mime_free(&m);
    buf_reset(&out);
    build("From: a@b.c\nBcc: secret@example.net\n", "x", MIME_KEEP_BCC, &out);
    assert_non_null(memmem(out.p, out.n, "Bcc: secret@example.net\r\n", 25));
    buf_fini(&out);
    buf_fini(&att);
    buf_fini(&att2);
}

/* THREATS 142: whatever a value holds, it stays one field. */
static void test_build_injection(void **state)
{
    (void)state;
    static const char *const headers[] = {"From: a@b.c\nSubject: x\rBcc: evil@x.y\n",
                                          "From: \"a\rBcc: evil@x.y\" <a@b.c>\nSubject: x\n",
                                          "From: a@b.c\nSubject: =?utf-8?q?x=0D=0ABcc:_evil@x.y?=\n",
                                          "From: =?utf-8?q?x=0D=0ABcc:_evil?= <a@b.c>\n",
                                          "From: a@b.c\nX-Y: 1\r2\n",
                                          "From: a@b.c\nReferences: <x\rBcc:@y>\n"};
    for (size_t i = 0; i < COUNT(headers); i++) {
        struct buf out = BUF_INIT(1u << 20);
        build(headers[i], "text\n", 0, &out);
        check_wire(buf_str(&out));
        assert_null(memmem(out.p, out.n, "\nBcc", 4));
        buf_fini(&out);
    }
    static const struct {
        const char *headers;
        enum err_kind kind;
    } bad[] = {{"From: a@b.c\nTo: nobody\n", ERR_RECIPIENT},
               {"To: a@b.c\n", ERR_USAGE},
               {"From: a@b.c\nTo: \"x\r\ny\"@b.c\n", ERR_RECIPIENT},
               {"From: a@b.c\nCc: -x@b.c\n", ERR_RECIPIENT}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct mime_draft *d = NULL;
        struct err err = ERR_INIT;
        assert_false(mime_draft_new(str_z(bad[i].headers), STR("x"), 0, &d, &err));
        assert_int_equal(err.kind, bad[i].kind);
        assert_null(d);
    }
}

/* THREATS 145: bodies that smuggle. */
static void test_build_body(void **state)
{
    (void)state;
    static const char *const bodies[] = {"a\n.\nb", "a\r.\rb", "a\n.\r\nb", "a\r\n.\r\n\r\nMAIL FROM:<x>\r\n",
                                         "",        "\n",      "\xff\xfe",  "x\ty  \n"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        for (uint32_t flags = 0; flags <= MIME_NO_FLOWED; flags += MIME_NO_FLOWED) {
            struct buf out = BUF_INIT(1u << 20);
            build("From: a@b.c\n", bodies[i], flags, &out);
            check_wire(buf_str(&out));
            buf_fini(&out);
        }
    }
    struct buf body = BUF_INIT(1u << 20), out = BUF_INIT(4u << 20);
    repeat(&body, "x", 5000);
    build("From: a@b.c\n", buf_z(&body), 0, &out);
    check_wire(buf_str(&out));
    struct mime *m = open_bytes(buf_str(&out));
    struct doc *d = document(m, 0);
    assert_true(has_text(d, DOC_TEXT, buf_z(&body)));
    doc_free(&d);
    mime_free(&m);
    buf_fini(&body);
    buf_fini(&out);
}

/* ---- Mail that nobody here wrote ---------------------------------------------------------------- */
static unsigned files;

static void one_file(const char *path)
{
    static const uint32_t flags[] = {0, MIME_ALL_HEADERS | MIME_PREFER_HTML, MIME_RAW, MIME_STRUCTURE};
    struct buf raw = BUF_INIT(MIME_MESSAGE_MAX);
    struct err err = ERR_INIT;
    struct mime *m;
    if (fs_read(path, raw.max, &raw, &err)) {
        assert_true(mime_open(&raw, &m, &err));
        for (size_t i = 0; i < COUNT(flags); i++) {
            struct doc *d = document(m, flags[i]);
            doc_free(&d);
        }
        for (uint32_t n = 0; n < 5; n++) {
            struct buf out = BUF_INIT(MIME_MESSAGE_MAX);
            mime_part(m, n, false, &out, &err);
            mime_part(m, n, true, &out, &err);
            buf_fini(&out);
        }
        mime_free(&m);
        files++;
    }
    buf_fini(&raw);
}

static void test_corpus(void **state)
{
    (void)state;
    corpus_each(one_file);
    print_message("%u messages\n", files);
}

/* ---- Parts that are not here -------------------------------------------------------------------- */
static const char absent_mail[] =
    "From: alice@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
    "boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n"
    "Content-Type: text/plain\r\n\r\nthe text\r\n--c\r\nContent-Type: text/html\r\n\r\n\r\n"
    "--c--\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\r\n"
    "--b--\r\n";

/* The entry of the part whose header begins with `type`. */
static void absent_entry(struct buf *list, const char *section, const char *type, uint64_t size)
{
    const char *head = strstr(absent_mail, type), *at = strstr(head, "\r\n\r\n") + 4;
    struct absent a = {str_z(section), (uint64_t)(head - absent_mail), (uint64_t)(at - absent_mail), size};
    assert_true(absent_add(list, &a));
}

static const struct doc_item *part_of_type(const struct doc *d, const char *type)
{
    for (size_t i = 0; i < doc_count(d); i++)
        if (doc_at(d, i)->kind == DOC_PART && str_eqz(doc_at(d, i)->name, type))
            return doc_at(d, i);
    fail_msg("no part %s", type);
    return NULL;
}

static void test_absent(void **state)
{
    struct buf list, out = BUF_INIT(1000);
    struct err err = ERR_INIT;
    (void)state;
    absent_begin(&list, sizeof absent_mail - 1);
    absent_entry(&list, "1.2", "Content-Type: text/html", 90000);
    absent_entry(&list, "2", "Content-Type: application/pdf", 78000);
    absent_entry(&list, "3", "Content-Type: message/rfc822", 70000);
    assert_int_equal(absent_count(buf_str(&list)), 3);
    struct mime *m = open_bytes(str_z(absent_mail));
    mime_absent(m, buf_str(&list));
    struct doc *d = document(m, MIME_PREFER_HTML);
    assert_true(has_text(d, DOC_TEXT, "the text")); /* the HTML is not here */
    const struct doc_item *pdf = part_of_type(d, "application/pdf"), *html = part_of_type(d, "text/html"),
                          *enclosed = part_of_type(d, "message/rfc822");
    assert_int_equal(pdf->flags & (DOC_PART_ABSENT | DOC_PART_ATTACHMENT), DOC_PART_ABSENT | DOC_PART_ATTACHMENT);
    assert_int_equal(pdf->size, 57000);
    assert_true(str_eqz(pdf->text, "x.pdf"));
    assert_int_equal(html->flags & (DOC_PART_ABSENT | DOC_PART_ATTACHMENT), DOC_PART_ABSENT);
    assert_int_equal(enclosed->size, 70000);
    assert_int_equal(count_kind(d, DOC_PART), 6); /* what a parser makes of an empty message is no part */
    assert_false(has_text(d, DOC_WARNING, ""));
    size_t sections = 0;
    for (size_t i = 0; i < doc_count(d); i++) {
        const struct doc_item *it = doc_at(d, i);
        if (it->kind != DOC_META || !str_eqz(it->name, "absent"))
            continue;
        sections++;
        assert_true(it->number == pdf->number        ? str_eqz(it->text, "2")
                    : it->number == html->number     ? str_eqz(it->text, "1.2")
                    : it->number == enclosed->number ? str_eqz(it->text, "3")
                                                     : false);
    }
    assert_int_equal(sections, 3);
    assert_false(mime_part(m, pdf->number, false, &out, &err));
    assert_int_equal(err.kind, ERR_NO_MESSAGE);
    doc_free(&d);
    mime_free(&m);
    buf_fini(&list);
    buf_fini(&out);
}

static void test_absent_lists_that_lie(void **state)
{
    static const char *const lists[] = {"x\n2 1 2 3\n",
                                        "99\n2 0 9999999 5\n",
                                        "99\n2 5 1 5\n",
                                        "99\n2 1\n",
                                        "99\n\n2 0 1 5\n",
                                        "99\n../x 0 50 5\n",
                                        "99\n2 0 50 99999999999999999999\n",
                                        "99",
                                        "99\n2 0 50 5"};
    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct mime *m = open_bytes(str_z(absent_mail));
        mime_absent(m, str_z(lists[i]));
        struct doc *d = document(m, 0);
        assert_true(count_kind(d, DOC_PART) >= 5);
        doc_free(&d);
        mime_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_absent_lists_that_lie),
        cmocka_unit_test(test_safe_names),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_hostile_structure),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_hostile_html),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_build_injection),
        cmocka_unit_test(test_build_body),
        cmocka_unit_test(test_corpus),
    };
    mime_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
