/* base: strings, buffers, the text gate, errors, files, secrets, loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_numbers(void **state)
{
    (void)state;
    uint64_t v = 7;
    uint32_t w;
    assert_true(str_u64(STR("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_false(str_u64(STR("18446744073709551616"), &v));
    assert_false(str_u64(STR("-1"), &v));
    assert_false(str_u64(STR(""), &v));
    assert_false(str_u32(STR("4294967296"), &w));
    assert_true(str_u32(STR("4294967295"), &w));
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR("archvie"), STR("archive"), 3), 1);
    assert_int_equal(str_distance(STR("colour"), STR("color"), 3), 1);
    assert_int_equal(str_distance(STR("a"), STR("zzzzzz"), 2), 3);
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *words;
    } sizes[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KB"},
                 {9830, "9.6 KB"},
                 {10188, "9.9 KB"},
                 {10189, "10 KB"},
                 {100000, "98 KB"},
                 {123456, "121 KB"},
                 {2516582, "2.4 MB"},
                 {UINT64_C(10) << 30, "10 GB"},
                 {UINT64_MAX, "16777216 TB"}};
    struct buf b = BUF_INIT(100);
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        buf_reset(&b);
        assert_true(buf_add_size(&b, sizes[i].bytes));
        assert_string_equal(buf_z(&b), sizes[i].words);
    }
    buf_fini(&b);
}

static void test_buf_limit(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4);
    assert_true(buf_addz(&b, "abcd"));
    assert_false(buf_addc(&b, 'e'));
    assert_true(b.full);
    assert_false(buf_add(&b, "", 0)); /* sticky */
    assert_string_equal(buf_z(&b), "abcd");
    buf_reset(&b);
    assert_true(buf_addf(&b, "%d", 1234));
    assert_false(buf_addf(&b, "%d", 5));
    assert_string_equal(buf_z(&b), "1234");
    buf_fini(&b);
}

static void test_arena_limit(void **state)
{
    (void)state;
    struct arena *a = arena_new(20000);
    assert_non_null(arena_alloc(a, 16000));
    assert_non_null(arena_alloc(a, 1000));
    assert_null(arena_alloc(a, 8000));
    assert_null(arena_alloc(a, SIZE_MAX));
    arena_reset(a);
    assert_non_null(arena_alloc(a, 8000));
    arena_free(&a);
}

static const char *clean(const char *raw, size_t n, unsigned flags, unsigned *cols_r)
{
    static struct buf out;
    out.max = 65536;
    buf_reset(&out);
    struct text t = text_from_bytes((struct str){raw, n}, flags, &out);
    *cols_r = t.cols;
    return buf_z(&out);
}

/* THREATS 115, 116: no control character of any encoding passes. */
static void test_gate_controls(void **state)
{
    (void)state;
    unsigned cols;
    for (unsigned c = 0; c < 256; c++) {
        char raw[3] = {'a', (char)c, 'b'};
        for (unsigned flags = 0; flags < 16; flags++) {
            const unsigned char *p = (const unsigned char *)clean(raw, 3, flags, &cols);
            for (; *p; p++)
                assert_true(*p >= 0x20 && *p != 0x7f);
            assert_true(utf8_valid(str_z(clean(raw, 3, flags, &cols))));
        }
    }
    assert_string_equal(clean("\033[2J", 4, 0, &cols), "\xe2\x90\x9b[2J");
    assert_int_equal(cols, 4);
    assert_string_equal(clean("a\xc2\x9b"
                              "31m",
                              6, 0, &cols),
                        "a\xef\xbf\xbd"
                        "31m");                                        /* C1 CSI in UTF-8 */
    assert_string_equal(clean("a\x9b", 2, 0, &cols), "a\xe2\x80\xba"); /* as one byte: 1252 */
}

/* THREATS 118: override, isolates, zero width, tags. */
static void test_gate_deceptive(void **state)
{
    (void)state;
    unsigned cols;
    assert_string_equal(clean("x\xe2\x80\xaey", 5, 0, &cols), "x\xef\xbf\xbdy");
    assert_string_equal(clean("x\xe2\x81\xa6y", 5, 0, &cols), "x\xef\xbf\xbdy");
    assert_string_equal(clean("x\xe2\x80\x8by", 5, 0, &cols), "x\xef\xbf\xbdy");
    assert_string_equal(clean("x\xf3\xa0\x81\xa1y", 6, 0, &cols), "x\xef\xbf\xbdy");
    struct buf many = BUF_INIT(8192);
    buf_addc(&many, 'e');
    for (int i = 0; i < 1000; i++)
        buf_addz(&many, "\xcc\x81");
    assert_int_equal(strlen(clean(many.p, many.n, 0, &cols)), 1 + 2 * 7);
    assert_int_equal(cols, 1);
    buf_fini(&many);
}

static void test_gate_width(void **state)
{
    (void)state;
    unsigned cols;
    clean("見本", 6, 0, &cols);
    assert_int_equal(cols, 4);
    clean("e\xcc\x81t", 4, 0, &cols);
    assert_int_equal(cols, 2);
    const char *family = "👩‍👩‍👧"; /* one cluster */
    clean(family, strlen(family), 0, &cols);
    assert_int_equal(cols, 2);
    assert_string_equal(clean("a\tb", 3, TEXT_KEEP_TABS, &cols), "a       b");
    assert_string_equal(clean("a \r\n b", 6, TEXT_FOLD_SPACE, &cols), "a b");
    assert_string_equal(clean("見x", 4, TEXT_ASCII, &cols), "??x");
    assert_int_equal(cols, 3);
    assert_string_equal(clean("1 · a", 6, TEXT_ASCII, &cols), "1 - a");
    assert_string_equal(clean("\xcc\x81", 2, 0, &cols), "\xe2\x97\x8c\xcc\x81");
    assert_string_equal(clean("caf\xe9", 4, 0, &cols), "café");
    /* a sign that belongs to what follows it stands on nothing: the circle before it is a cluster of its own */
    clean("\xd8\x80\xd8\x80p_", 6, 0, &cols);
    assert_int_equal(cols, 3);
}

static void test_text_fit(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(256);
    struct text t = text_from_bytes(STR("a見e\xcc\x81z"), 0, &out);
    assert_int_equal(t.cols, 5);
    struct text f = text_fit(t, 2);
    assert_int_equal(f.n, 1); /* the wide character does not fit and is not cut */
    f = text_fit(t, 4);
    assert_int_equal(f.n, 1 + 3 + 3);
    buf_fini(&out);
}

static void test_text_stops_between_characters(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4);
    struct text t = text_from_bytes(STR("ab見"), 0, &out);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.cols, 2);
    buf_fini(&out);
}

static void key_is(const char *raw, const char *key)
{
    char out[64];
    size_t n = text_sort_key(str_z(raw), out, sizeof out);
    assert_int_equal(n, strlen(key));
    assert_memory_equal(out, key, n);
}

static void test_sort_key(void **state)
{
    (void)state;
    key_is("  \"Élodie  DUPONT\"", "elodie dupont\"");
    key_is("\xc9lodie", "elodie"); /* Windows-1252 */
    key_is("E\xcc\x81lodie", "elodie");
    key_is("Łukasz Żak", "łukasz zak"); /* a letter of its own stays one */
    key_is("Straße", "strasse");
    key_is("\xef\xac\x81n", "fin"); /* a ligature */
    key_is("Ａlice", "alice");
    key_is("見本", "見本");
    key_is("Ό\xcf\x83\xce\xbf\xcf\x82", "\xce\xbf\xcf\x83\xce\xbf\xcf\x83");
}

static void test_set(void **state)
{
    (void)state;
    struct str_set set = {.n = 0};
    char word[32];
    size_t at;
    assert_false(str_set_has(&set, STR("")));
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(word, sizeof word, "id%u@example.org", i);
        assert_true(str_set_add(&set, str_z(word), &at));
        assert_int_equal(at, i);
        assert_false(str_set_add(&set, str_z(word), NULL));
    }
    assert_true(str_set_add(&set, STR(""), NULL) && str_set_has(&set, STR("")) && set.n == 5001);
    assert_false(str_set_has(&set, STR("id5000@example.org")));
    assert_false(str_set_add(&set, STR("id77@example.org"), &at));
    assert_int_equal(at, 77);
    assert_string_equal(set.list[77], "id77@example.org");
    str_set_free(&set);
    assert_true(str_set_add(&set, STR("a"), NULL) && set.n == 1);
    str_set_free(&set);
    /* SipHash-2-4 of its authors' test: key 00 01 .. 0f, text 00 01 .. 0e */
    uint8_t key[16];
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    assert_true(str_hash_keyed((struct str){(const char *)key, 15}, key) == UINT64_C(0xa129ca6149be45e5));
}

static void test_err(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_false(err_set(&e, ERR_AUTH, "login as \"%s\" refused", "a\033]0;x\007"));
    assert_null(strchr(e.text, '\033'));
    err_prefix(&e, "work");
    assert_int_equal(strncmp(e.text, "work: login", 11), 0);
    assert_int_equal(err_exit(ERR_AUTH), 77);
    assert_string_equal(err_name((enum err_kind)9999), "CHANNEL"); /* a broken peer's number */
}

static void test_base64(void **state)
{
    (void)state;
    struct buf a = BUF_INIT(100), b = BUF_INIT(100);
    assert_true(base64_encode(STR("any carnal pleas"), &a));
    assert_string_equal(buf_z(&a), "YW55IGNhcm5hbCBwbGVhcw==");
    assert_true(base64_decode(buf_str(&a), &b));
    assert_string_equal(buf_z(&b), "any carnal pleas");
    assert_false(base64_decode(STR("YW5=5"), &b));
    assert_false(base64_decode(STR("YW5"), &b));
    assert_false(base64_decode(STR("Y*=="), &b));
    buf_fini(&a);
    buf_fini(&b);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/tuimail-base-XXXXXX";
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(100);
    assert_non_null(mkdtemp(dir));
    char *sub = path_join(dir, "a/b/c"), *file = path_join(sub, "f"), *fifo = path_join(dir, "fifo");
    assert_true(fs_mkdir_private(sub, &e));
    assert_true(fs_write_atomic(file, 0600, STR("old"), &e));
    assert_true(fs_write_atomic(file, 0600, STR("new"), &e));
    assert_true(fs_read(file, 100, &b, &e));
    assert_string_equal(buf_z(&b), "new");
    assert_false(fs_read(file, 2, &b, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    /* THREATS 114: a FIFO does not hang the reader. */
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_false(fs_read(fifo, 100, &b, &e));
    /* THREATS 21: a directory others may write is refused. */
    assert_int_equal(chmod(sub, 0777), 0);
    assert_false(fs_mkdir_private(sub, &e));
    assert_int_equal(e.kind, ERR_PERMISSION);
    unlink(file);
    unlink(fifo);
    rmdir(sub);
    char *up = path_join(dir, "a/b");
    rmdir(up);
    free(up);
    up = path_join(dir, "a");
    rmdir(up);
    free(up);
    assert_int_equal(rmdir(dir), 0);
    free(sub);
    free(file);
    free(fifo);
    buf_fini(&b);
}

/* THREATS 22: first line only, CR dropped, NUL and emptiness refused, a silent command times out. */
static void test_secret(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *want;
    } rows[] = {{"pw\nsecond\n", 10, "pw"}, {"pw\r\n", 4, "pw"}, {"pw", 2, "pw"}, {"\n", 1, NULL},
                {"a\0b\n", 4, NULL},        {"", 0, NULL}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        int p[2];
        struct secret s = {.p = NULL};
        struct err e = ERR_INIT;
        assert_int_equal(pipe(p), 0);
        assert_int_equal(write(p[1], rows[i].in, rows[i].n), (ssize_t)rows[i].n);
        close(p[1]);
        bool ok = secret_read(p[0], clock_mono_ms() + 5000, &s, &e);
        assert_int_equal(ok, rows[i].want != NULL);
        if (ok)
            assert_string_equal(s.p, rows[i].want);
        else
            assert_int_equal(e.kind, ERR_SECRET);
        secret_free(&s);
    }
    int p[2];
    struct secret s;
    struct err e = ERR_INIT;
    assert_int_equal(pipe(p), 0);
    assert_false(secret_read(p[0], clock_mono_ms() + 20, &s, &e));
    close(p[1]);
}

static int fired;
static struct watch *other;

static void on_timer(void *arg)
{
    fired++;
    watch_free(&other); /* a callback may end another watch of the same turn */
    if (arg)
        loop_stop(arg);
}

static void on_read(void *arg, short revents)
{
    (void)arg;
    (void)revents;
    fired += 100;
}

static void on_signal_seen(void *arg)
{
    fired += 1000;
    loop_stop(arg);
}

static void on_jump(void *arg)
{
    ++*(int *)arg;
}

/* Nobody sets the clock here: it waits, costs no turn, and goes like any watch. */
static void test_clock_jump(void **state)
{
    (void)state;
    int jumps = 0;
    struct loop *l = loop_new();
    struct watch *w = loop_clock_jump(l, on_jump, &jumps), *kept = loop_clock_jump(l, on_jump, &jumps);
    loop_once(l, 0);
    assert_int_equal(jumps, 0);
    watch_free(&w);
    loop_once(l, 0);
    (void)kept; /* freed with the loop */
    loop_free(&l);
}

static void test_loop(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    int p[2];
    assert_int_equal(pipe(p), 0);
    fired = 0;
    struct watch *w = loop_fd(l, p[0], POLLIN, on_read, NULL);
    other = loop_after(l, 0, on_timer, NULL);
    struct watch *first = loop_after(l, 0, on_timer, l);
    (void)first;
    assert_int_equal(write(p[1], "x", 1), 1);
    loop_run(l);
    assert_true(fired == 101 || fired == 102); /* the read, and one or both timers */
    watch_free(&w);
    loop_signal(l, SIGUSR1, on_signal_seen, l);
    raise(SIGUSR1);
    loop_run(l);
    assert_true(fired >= 1100);
    loop_free(&l);
    close(p[0]);
    close(p[1]);
}

/* Records beside an array of the same: more than are held, in any order, of odd sizes; what was never written is zeros,
 * also far out; a directory that is not there is told at the end, and nothing but zeros is read from then on. */
static void records_are_an_array(void **state)
{
    (void)state;
    enum { N = 20000, SIZE = 40 };
    struct records r, set;
    struct err err = ERR_INIT;
    uint64_t *mirror = mem_array(N, sizeof *mirror), seed = 7;
    records_init(&r, "/tmp", SIZE);
    records_init(&set, "/tmp", sizeof(uint64_t));
    for (int step = 0; step < 200000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t i = step % 3 ? (size_t)(step % N) : (size_t)(seed >> 33) % N;
        if (step & 1) {
            uint64_t value = seed ^ i;
            memcpy((char *)records_at(&r, i) + SIZE - sizeof value, &value, sizeof value);
            mirror[i] = value;
        } else {
            assert_memory_equal((const char *)records_get(&r, i) + SIZE - sizeof *mirror, &mirror[i], sizeof *mirror);
        }
    }
    for (size_t i = 0; i < N; i++)
        assert_memory_equal((const char *)records_get(&r, i) + SIZE - sizeof *mirror, &mirror[i], sizeof *mirror);
    static const char zeros[SIZE];
    assert_memory_equal(records_get(&r, UINT64_C(1) << 30), zeros, SIZE);
    for (uint64_t i = 0; i < 5000000; i += 977)
        records_set_bit(&set, i, i % 2 == 0);
    for (uint64_t i = 0; i < 5000000; i += 977)
        assert_true(records_bit(&set, i) == (i % 2 == 0) && !records_bit(&set, i + 1));
    assert_true(records_ok(&r, &err) && records_ok(&set, &err));
    records_fini(&set);
    records_fini(&r);
    records_fini(&r);
    records_init(&r, "/tmp/tuimail-no-such-directory", SIZE);
    for (size_t i = 0; i < N; i++)
        memset(records_at(&r, i), 1, SIZE);
    assert_false(records_ok(&r, &err));
    assert_non_null(strstr(err.text, "no-such-directory"));
    assert_memory_equal(records_get(&r, 1), zeros, SIZE);
    records_fini(&r);
    free(mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_buf_limit),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_gate_controls),
        cmocka_unit_test(test_gate_deceptive),
        cmocka_unit_test(test_gate_width),
        cmocka_unit_test(test_text_fit),
        cmocka_unit_test(test_text_stops_between_characters),
        cmocka_unit_test(test_sort_key),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_err),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_clock_jump),
        cmocka_unit_test(records_are_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
