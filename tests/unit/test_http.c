/* Which hosts a mail may have asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "http/http.h"

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_public((const struct sockaddr *)(const void *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_is_public((const struct sockaddr *)(const void *)&v6);
}

static void test_addresses(void **state UNUSED)
{
    static const char *const own[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fdff::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::1",
        "2001:db8::1",
        "::127.0.0.1",
    };
    static const char *const others[] = {
        "1.1.1.1",        "9.255.255.255",    "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",    "126.255.255.255",  "128.0.0.1",       "172.15.255.255",
        "172.32.0.0",     "192.167.255.255",  "192.169.0.0",     "198.17.255.255",
        "198.20.0.0",     "223.255.255.255",  "2606:4700::1111", "2001:4860:4860::8888",
        "::ffff:1.1.1.1", "64:ff9b::101:101",
    };
    struct sockaddr local = {.sa_family = AF_UNIX};
    for (size_t i = 0; i < COUNT(own); i++)
        if (is_public(own[i]))
            fail_msg("%s is public", own[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        if (!is_public(others[i]))
            fail_msg("%s is not public", others[i]);
    assert_false(address_is_public(&local));
}

/* Refused before a byte is sent. */
static void test_refused(void **state UNUSED)
{
    static const char *const urls[] = {"http://example.org/",
                                       "https://127.0.0.1/x",
                                       "https://[::1]/x",
                                       "https://localhost:1/",
                                       "file:///etc/passwd",
                                       "https://",
                                       ""};
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct buf body = BUF_INIT(100);
        struct err err = ERR_INIT;
        long status = 0;
        struct http_request request = {.url = urls[i], .form = STR("a=b"), .accept = "Accept: */*", .ca_file = ""};
        assert_false(http_post(&request, &status, &body, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_int_equal(status, 0);
        buf_fini(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
