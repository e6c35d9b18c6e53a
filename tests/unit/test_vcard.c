/* mail/vcard: versions 2.1, 3.0 and 4.0, and what is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "mail/vcard.h"

#define CARD(lines) "BEGIN:VCARD\r\n" lines "END:VCARD\r\n"

static void format(const struct vcard *c, struct buf *out)
{
    buf_addf(out, "%.*s/%.*s%s:", STR_FMT(c->name), STR_FMT(c->nick), c->group ? "/group" : "");
    for (size_t i = 0; i < c->nemails; i++)
        buf_addf(out, " %.*s", STR_FMT(c->emails[i]));
    for (size_t i = 0; i < c->nmembers; i++)
        buf_addf(out, " <%.*s>", STR_FMT(c->members[i]));
    buf_addc(out, ';');
}

static void read_by(struct vcard_reader *r, struct str file, size_t piece, struct buf *out)
{
    const struct vcard *card;
    for (size_t at = 0; at < file.n; at += piece) {
        struct str rest = str_sub(file, at, at + piece);
        while ((card = vcard_read(r, &rest)))
            format(card, out);
    }
    if ((card = vcard_read_end(r)))
        format(card, out);
}

static void test_cards(void **state)
{
    (void)state;
    static const struct {
        const char *file, *want;
    } rows[] = {
        {CARD("VERSION:3.0\r\nFN:Alice Example\r\nN:Example;Alice\r\nEMAIL;TYPE=home:alice@example.org\r\n"
              "EMAIL:a@example.net\r\nNICKNAME:al,ali\r\n"),
         "Alice Example/al: alice@example.org a@example.net;"},
        {CARD("FN:Alice Ex\r\n ample\r\nitem1.EMAIL;TYPE=\"a;b:c\",x:ali\r\n\tce@example.org\r\n"),
         "Alice Example/: alice@example.org;"},
        {CARD("N:Example;Alice;Q.;Dr.;MSc\r\nEMAIL:a@b.c\r\n"), "Dr. Alice Q. Example MSc/: a@b.c;"},
        {CARD("FN:Smith\\, Bob\\nInc\\\\\r\nEMAIL:mailto:b@b.c\r\n"), "Smith, Bob Inc\\/: b@b.c;"},
        {CARD("ORG:ACME;Sales\r\nEMAIL:a@b.c\r\n"), "ACME/: a@b.c;"},
        {"BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;J=\n=F6rg\n"
         "EMAIL;INTERNET:j@b.c\nEND:VCARD\n",
         "J\xc3\xb6rg M\xc3\xbcller/: j@b.c;"},
        {CARD("FN;ENCODING=b:QWxpY2U=\r\nEMAIL:a@b.c\r\n"), "Alice/: a@b.c;"},
        {CARD("KIND:group\r\nFN:Team\r\nMEMBER:mailto:b@b.c\r\nMEMBER:urn:uuid:12\r\n"), "Team//group: <b@b.c> <12>;"},
        {CARD("X-ADDRESSBOOKSERVER-KIND:group\r\nFN:T\r\nX-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1\r\n"), "T//group: <1>;"},
        {CARD("FN:a\r\n") CARD("FN:b\r\n"), "a/:;b/:;"},
        /* broken */
        {"", ""},
        {"FN:a\r\nEMAIL:a@b.c\r\nEND:VCARD\r\n", ""},
        {"BEGIN:VCARD\r\nFN:cut", ""},
        {"BEGIN:VCARD\r\nFN:lost\r\n" CARD("FN:b\r\n"), "b/:;"},
        {CARD("FN\r\n:x\r\nFN;:\r\nEMAIL:no address\r\nEMAIL:\r\nEMAIL:a@b.c\r\nTEL;X=\"open:1\r\n"), "/: a@b.c;"},
        {CARD("EMAIL:x@y.z\\nBcc: e@v.il\r\nEMAIL:a@b.c\r\n"), "/: a@b.c;"},
        {CARD("FN:\xff\xfe\r\n"), "\xff\xfe/:;"},
        /* photos, as 2.1, 3.0 and 4.0 have them, and what looks like a card within one */
        {"BEGIN:VCARD\nVERSION:2.1\nPHOTO;ENCODING=BASE64;TYPE=GIF:\n R0lGODdhfgA4AOYAAAAAAK+vr62t\n "
         "END:VCARD\n\nFN:a\n"
         "EMAIL:a@b.c\nEND:VCARD\n",
         "a/: a@b.c;"},
        {CARD("PHOTO;ENCODING=b;TYPE=JPEG:MIICajCCAdOgAwIBAgICBEUwDQYJKoZIhvcN\r\n "
              "AQEEBQAwdzELMAkGA1UEBhMCVVMxLDAqBg\r\n"
              "FN:a\r\nEMAIL:a@b.c\r\n"),
         "a/: a@b.c;"},
        {CARD("PHOTO:data:image/jpeg;base64,MIICajCC\r\nEMAIL;PREF=1:a@b.c\r\nFN:a\r\nEND:VCALENDAR\r\n"),
         "a/: a@b.c;"},
        {"BEGIN:VCARD\nNOTE;ENCODING=QUOTED-PRINTABLE:a=\nEND:VCARD=\nFN:no\nFN:a\nEND:VCARD", "a/:;"},
        {"BEGIN:VCARD\nBEGIN:VCARD\nFN:a\nEND:VCARD\nEND:VCARD\nFN:b\n", "a/:;"},
        {CARD("begin:vcard\r\nfn:low\r\nemail:l@b.c\r\n"), "low/: l@b.c;"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t piece = 1; piece < 200; piece += 6) {
            struct vcard_reader *r = vcard_reader_new();
            struct buf got = BUF_INIT(4000);
            read_by(r, str_z(rows[i].file), piece, &got);
            if (strcmp(buf_z(&got), rows[i].want) != 0)
                fail_msg("row %zu, pieces of %zu: \"%s\"", i, piece, buf_z(&got));
            buf_fini(&got);
            vcard_reader_free(&r);
        }
    }
}

/* THREATS 175: lines, members and cards without end. */
static void test_bounds(void **state)
{
    (void)state;
    struct vcard_reader *r = vcard_reader_new();
    struct buf file = BUF_INIT(4u << 20);
    buf_addz(&file, "BEGIN:VCARD\r\nKIND:group\r\nFN:");
    for (unsigned i = 0; i < 100000; i++)
        buf_addz(&file, "xxxxxxxxxx\r\n ");
    buf_addz(&file, "\r\n");
    for (unsigned i = 0; i < VCARD_MEMBERS_MAX + 1; i++)
        buf_addf(&file, "MEMBER:mailto:a%u@b.c\r\nEMAIL:a%u@b.c\r\n", i, i);
    buf_addz(&file, "END:VCARD\r\n");
    struct str rest = buf_str(&file);
    const struct vcard *card = vcard_read(r, &rest);
    assert_non_null(card);
    assert_int_equal(card->name.n, VCARD_LINE_MAX - 3);
    assert_int_equal(card->nmembers, VCARD_MEMBERS_MAX);
    assert_int_equal(card->nemails, VCARD_EMAILS_MAX);
    assert_null(vcard_read(r, &rest));
    assert_null(vcard_read_end(r));
    buf_fini(&file);
    vcard_reader_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cards), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
