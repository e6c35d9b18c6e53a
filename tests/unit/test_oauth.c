/* What a provider, a browser and a clipboard may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "oauth/oauth.h"

static void test_forms(void **state UNUSED)
{
    struct buf form = BUF_INIT(200);
    form_add(&form, "scope", STR("a b/c"));
    form_add(&form, "x", STR("\xC3\xA9&=%+~"));
    form_add(&form, "z", STR("\0\r\n"));
    assert_string_equal(buf_z(&form), "scope=a%20b%2Fc&x=%C3%A9%26%3D%25%2B~&z=%00%0D%0A");
    buf_fini(&form);
}

static void test_queries(void **state UNUSED)
{
    static const struct {
        const char *query, *value; /* of "code"; NULL: none */
    } rows[] = {
        {"code=abc&state=x", "abc"},
        {"state=x&code=a%2Fb+c", "a/b c"},
        {"xcode=1&codex=2&code=3", "3"},
        {"code=first&code=second", "first"},
        {"code=", ""},
        {"code", ""},
        {"", NULL},
        {"code=%", NULL},
        {"code=%4", NULL},
        {"code=%zz", NULL},
        {"code=%00", NULL},
        {"code=a%0d%0aSet-Cookie:x", NULL},
        {"code=%1b[31m", NULL},
        {"&&&=&=code&code=%41", "A"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf value = BUF_INIT(100);
        bool got = query_get(str_z(rows[i].query), "code", &value);
        if (got != (rows[i].value != NULL) || (got && strcmp(buf_z(&value), rows[i].value) != 0))
            fail_msg("%s: %d %s", rows[i].query, got, buf_z(&value));
        buf_fini(&value);
    }
    struct buf small = BUF_INIT(3);
    assert_false(query_get(STR("code=four"), "code", &small));
    buf_fini(&small);
}

static void test_requests(void **state UNUSED)
{
    static const struct {
        const char *request, *path, *query;
    } rows[] = {
        {"GET /?code=1 HTTP/1.1\r\nHost: x\r\n\r\n", "/", "code=1"},
        {"GET /cb?a=b?c HTTP/1.1\r\n\r\n", "/cb", "a=b?c"},
        {"GET /cb?code=1", "/cb", "code=1"},
        {"GET /?code=1 HTTP/1.1\r\n\r\n", "/cb", NULL},
        {"GET / HTTP/1.1\r\n\r\n", "/", NULL},
        {"POST /?code=1 HTTP/1.1\r\n\r\n", "/", NULL},
        {"GET http://127.0.0.1/?code=1 HTTP/1.1\r\n\r\n", "/", NULL},
        {"GET", "/", NULL},
        {"GET  /?code=1", "/", NULL},
        {"\r\nGET /?code=1 HTTP/1.1", "/", NULL},
        {"", "/", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str query = {NULL, 0};
        bool got = request_query(str_z(rows[i].request), str_z(rows[i].path), &query);
        if (got != (rows[i].query != NULL) || (got && !str_eqz(query, rows[i].query)))
            fail_msg("%s", rows[i].request);
    }
}

static struct answer reading(const char *body, long status, enum err_kind *kind_r, struct err *err)
{
    struct answer a;
    *err = ERR_INIT;
    bool ok = answer_read("idp.example", status, str_z(body), &a, err);
    *kind_r = ok && a.error[0] == '\0' ? ERR_NONE : err->kind;
    return a;
}

static void test_answers(void **state UNUSED)
{
    enum err_kind kind;
    struct err err;
    struct answer a =
        reading("{\"access_token\":\"at\",\"refresh_token\":\"rt\",\"expires_in\":\"3599\",\"token_type\":\"bearer\"}",
                200, &kind, &err);
    assert_int_equal(kind, ERR_NONE);
    assert_string_equal(a.access.p, "at");
    assert_string_equal(a.refresh.p, "rt");
    assert_int_equal(a.expires_s, 3599);
    answer_free(&a);
    /* a token is visible ASCII, or there is none */
    static const char *const bad[] = {"a b", "a\\r\\nb", "\\u0000x", "\\u00e9", "", "\\u001b[31m"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"access_token\":\"%s\"}", bad[i]);
        a = reading(body, 200, &kind, &err);
        assert_null(a.access.p);
        answer_free(&a);
    }
    a = reading("{\"access_token\":[\"x\"],\"expires_in\":-5,\"interval\":1e99,\"user_code\":7,\"error\":{}}", 200,
                &kind, &err);
    assert_int_equal(kind, ERR_NONE);
    assert_null(a.access.p);
    assert_int_equal(a.expires_s + a.interval_s, 0);
    answer_free(&a);
    a = reading("{\"expires_in\":99999999999999999999}", 200, &kind, &err);
    assert_int_equal(kind, ERR_PROTOCOL); /* no number of JSON's */
    answer_free(&a);
    a = reading("{\"user_code\":\"A\\u001b[31mB\",\"verification_url\":\"https://idp.example/\\u0007\"}", 200, &kind,
                &err);
    assert_string_equal(a.user_code, "A?[31mB");
    assert_string_equal(a.verify_url, "https://idp.example/?");
    answer_free(&a);
}

static void test_errors(void **state UNUSED)
{
    static const struct {
        const char *body;
        long status;
        enum err_kind kind;
    } rows[] = {
        {"{\"error\":\"invalid_grant\"}", 400, ERR_TOKEN},
        {"{\"error\":\"invalid_client\"}", 401, ERR_CONFIG},
        {"{\"error\":\"temporarily_unavailable\"}", 503, ERR_SERVER_TEMP},
        {"{\"error\":\"what is this\"}", 400, ERR_TOKEN},
        {"{}", 418, ERR_TOKEN},
        {"", 200, ERR_PROTOCOL},
        {"<html>", 502, ERR_SERVER_TEMP},
        {"<html>", 302, ERR_PROTOCOL},
        {"[]", 200, ERR_PROTOCOL},
        {"\"x\"", 200, ERR_PROTOCOL},
        {"{\"error\":\"a\",\"error\":\"b\"}", 400, ERR_PROTOCOL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum err_kind kind;
        struct err err;
        struct answer a = reading(rows[i].body, rows[i].status, &kind, &err);
        if (kind != rows[i].kind)
            fail_msg("%s: %s: %s", rows[i].body, err_name(kind), err.text);
        answer_free(&a);
    }
    /* brackets without end: a depth cap */
    char *deep = malloc(200001);
    assert_non_null(deep);
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    enum err_kind kind;
    struct err err;
    struct answer a = reading(deep, 200, &kind, &err);
    assert_int_equal(kind, ERR_PROTOCOL);
    answer_free(&a);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_queries), cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
