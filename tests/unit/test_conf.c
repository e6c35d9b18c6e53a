/* conf: the language, the option table, URLs, hostile files, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static char *in_dir(const char *name)
{
    return path_join(dir, name);
}

static void write_file(const char *name, const char *text, size_t n, mode_t mode)
{
    struct err err = ERR_INIT;
    char *path = in_dir(name);
    unlink(path);
    assert_true(fs_write_atomic(path, 0600, (struct str){text, n}, &err));
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static void put(const char *name, const char *text)
{
    write_file(name, text, strlen(text), 0600);
}

/* Loads `text` as a file; *err holds the first error, `all` every complaint. */
static struct conf *load(const char *text, struct buf *all, struct err *err)
{
    put("rc", text);
    char *path = in_dir("rc");
    struct conf *conf = NULL;
    *err = ERR_INIT;
    bool ok = conf_load(path, &conf, all, err);
    assert_int_equal(ok, conf != NULL);
    assert_int_equal(ok, err->kind == ERR_NONE);
    free(path);
    return conf;
}

static struct conf *load_ok(const char *text)
{
    struct err err;
    struct conf *conf = load(text, NULL, &err);
    if (!conf)
        fail_msg("%s", err.text);
    return conf;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

static void refused(const char *text, const char *part)
{
    struct err err;
    struct conf *conf = load(text, NULL, &err);
    if (conf)
        fail_msg("accepted: %s", text);
    assert_has(err.text, part);
}

/* ---- Language ----------------------------------------------------------------------------------- */

static void lex(const char *text, size_t n, const char *wanted)
{
    struct str rest = {text, n};
    struct buf got = BUF_INIT(1 << 20);
    unsigned number = 1;
    struct line line;
    int more;
    for (;;) {
        struct err err = ERR_INIT;
        more = line_next(&rest, "rc", &number, &line, &err);
        if (more == 0)
            break;
        if (more < 0) {
            buf_addf(&got, "!%s|", err.text);
            continue;
        }
        buf_addf(&got, "%u:", line.number);
        for (size_t i = 0; i < line.n; i++)
            buf_addf(&got, "<%s>", line.words[i]);
        buf_addc(&got, '|');
        line_fini(&line);
    }
    assert_string_equal(buf_z(&got), wanted);
    buf_fini(&got);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"", ""},
        {"\n\n  \t\n", ""},
        {"set a b", "1:<set><a><b>|"},
        {"# c\nset a \"b c\" # d\n", "2:<set><a><b c>|"},
        {"a#b #c", "1:<a#b>|"},
        {"a;b ; c\nd", "1:<a;b>|1:<c>|2:<d>|"},
        {"; ;a ;", "1:<;a>|"},
        {"a \"\" ''", "1:<a><><>|"},
        {"\"\\\"\\\\\\n\\t\"", "1:<\"\\\n\t>|"},
        {"'\\n\"'", "1:<\\n\">|"},
        {"bind list \\ find", "1:<bind><list><\\><find>|"},
        {"a \\\n b\nc", "1:<a><b>|3:<c>|"},
        {"a\\\nb \"c\\\nd\"", "1:<ab><cd>|"},
        {"a\r\nb\r\n", "1:<a>|2:<b>|"},
        {"from:\"A B\"'c'", "1:<from:A Bc>|"},
        {"\xc3\xa4 x", "1:<\xc3\xa4><x>|"},
        {"x \"open\nset b", "!rc:1: column 3: no closing \"|2:<set><b>|"},
        {"x 'o\\\nb", "!rc:1: column 3: no closing '|2:<b>|"},
        {"\n\nx \x01\ny", "!rc:3: column 3: a control character|4:<y>|"},
        {"x \xff\ny", "!rc:1: column 3: not UTF-8|2:<y>|"},
        {"x \"\\q\"\ny", "!rc:1: column 4: unknown escape: \\\" \\\\ \\n \\t \\e are known|2:<y>|"},
        {"x \xc2\x9b", "!rc:1: column 3: a control character|"},
        {"x\ry", "!rc:1: column 2: a control character|"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        lex(rows[i].text, strlen(rows[i].text), rows[i].wanted[0] ? rows[i].wanted : "");
    lex("a \0 b\nc", 7, "!rc:1: column 3: a NUL byte|2:<c>|");
}

static void test_long_line(void **state)
{
    (void)state;
    for (size_t n = LINE_MAX_BYTES - 1; n <= LINE_MAX_BYTES + 1; n++) {
        struct buf text = BUF_INIT(1 << 20);
        for (size_t i = 0; i < n; i++)
            buf_addc(&text, 'x');
        buf_addz(&text, "\nnext");
        struct str rest = buf_str(&text);
        unsigned number = 1;
        struct line line;
        struct err err = ERR_INIT;
        int got = line_next(&rest, "rc", &number, &line, &err);
        assert_int_equal(got, n <= LINE_MAX_BYTES ? 1 : -1);
        line_fini(&line);
        err = ERR_INIT;
        assert_int_equal(line_next(&rest, "rc", &number, &line, &err), 1);
        assert_string_equal(line.words[0], "next");
        assert_int_equal(line.number, 2);
        line_fini(&line);
        buf_fini(&text);
    }
}

static void test_quote(void **state)
{
    (void)state;
    static const char *const words[] = {"",  "a",  "a b", "#x",  "x#",     ";",     "a;",
                                        "'", "\"", "\\",  "\\n", "a\nb\t", "\033[", "\xc3\xa4"};
    for (size_t i = 0; i < COUNT(words); i++) {
        struct buf out = BUF_INIT(100);
        line_quote(str_z(words[i]), &out);
        struct str rest = buf_str(&out);
        struct line line;
        struct err err = ERR_INIT;
        assert_int_equal(line_next(&rest, "q", &(unsigned){1}, &line, &err), 1);
        assert_int_equal(line.n, 1);
        assert_string_equal(line.words[0], words[i]);
        line_fini(&line);
        buf_fini(&out);
    }
}

/* ---- URLs --------------------------------------------------------------------------------------- */

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum url_for submission;
        const char *wanted;
    } rows[] = {
        {"imaps://alice@imap.example.org", false, "imap 0 alice imap.example.org 993  imaps://alice@imap.example.org"},
        {"imap://alice@imap.example.org/", false, "imap 1 alice imap.example.org 143  imap://alice@imap.example.org"},
        {"POP3S://alice@example.org@POP.example.net:1995", false,
         "pop3 0 alice@example.org pop.example.net 1995  pop3s://alice@example.org@pop.example.net:1995"},
        {"pop3://a%40b%25@h", false, "pop3 1 a@b% h 110  pop3://a@b%25@h"},
        {"imaps://\xc3\xa4%20x@[::1]:99", false, "imap 0 \xc3\xa4 x ::1 99  imaps://\xc3\xa4%20x@[::1]:99"},
        {"smtps://alice@h", true, "smtp 0 alice h 465  smtps://alice@h"},
        {"smtp://h:25", true, "smtp 1  h 25  smtp://h:25"},
        {"sieve://h", URL_SIEVE, "sieve 1  h 4190  sieve://h"},
        {"sieves://alice@h:1", URL_SIEVE, "sieve 0 alice h 1  sieves://alice@h:1"},
        {"maildir:/var/mail/x", false, "maildir 0   0 /var/mail/x maildir:/var/mail/x"},
        {"maildir:///m", false, "maildir 0   0 /m maildir:/m"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct endpoint e;
        struct err err = ERR_INIT;
        if (!endpoint_parse(rows[i].url, rows[i].submission, &e, &err))
            fail_msg("%s: %s", rows[i].url, err.text);
        struct buf got = BUF_INIT(1000);
        buf_addf(&got, "%s %d %s %s %u %s ", proto_name(e.proto), e.tls, e.user, e.host, (unsigned)e.port, e.path);
        endpoint_format(&e, &got);
        assert_string_equal(buf_z(&got), rows[i].wanted);
        endpoint_fini(&e);
        buf_fini(&got);
    }
}

/* THREATS 25: no line end and no control character gets into a protocol line. */
static void test_bad_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *part;
    } rows[] = {
        {"imap.example.org", "is not a URL"},
        {"imapz://a@h", "did you mean \"imaps\""},
        {"smtp://a@h", "is for sending"},
        {"http://a@h", "unknown protocol"},
        {"sendmail:x", "unknown protocol"},
        {"imaps:a@h", "// is missing"},
        {"imaps://h", "the user is missing"},
        {"imaps://@h", "the user is missing"},
        {"imaps://a@", "host name is missing"},
        {"imaps://a:secret@h", "password does not belong here"},
        {"imaps://a@h:0", "port"},
        {"imaps://a@h:65536", "port"},
        {"imaps://a@h:", "port"},
        {"imaps://a@h:99x", "port"},
        {"imaps://a@h/INBOX", "nothing may follow"},
        {"imaps://a@h h", "host name"},
        {"imaps://a@-h", "host name"},
        {"imaps://a@h\xc3\xa4", "xn--"},
        {"imaps://a@[::1", "]"},
        {"imaps://a@[::g]", "IPv6"},
        {"imaps://a@[::1]x", "only a port"},
        {"imaps://a%0d%0aA001@h", "control character"},
        {"imaps://a%00@h", "control character"},
        {"imaps://a%7f@h", "control character"},
        {"imaps://a%ff@h", "control character"},
        {"imaps://a\r\nb@h", "control character"},
        {"imaps://a%4@h", "hexadecimal"},
        {"imaps://a%\x14\x11@h", "control character"},
        {"imaps://a%zz@h", "hexadecimal"},
        {"maildir:mail", "absolute path"},
        {"", "is not a URL"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct endpoint e;
        struct err err = ERR_INIT;
        if (endpoint_parse(rows[i].url, false, &e, &err))
            fail_msg("accepted: %s", rows[i].url);
        assert_has(err.text, rows[i].part);
        assert_null(strstr(err.text, "secret"));
    }
    struct endpoint e;
    struct err err = ERR_INIT;
    assert_false(endpoint_parse("imaps://a@h", true, &e, &err));
    assert_has(err.text, "for reading mail");
}

static void test_loopback(void **state)
{
    (void)state;
    static const char *const yes[] = {"localhost", "127.0.0.1", "127.9.9.9", "::1", "LOCALHOST"};
    static const char *const no[] = {"localhost.example.org", "128.0.0.1", "::2", "127.0.0.1.example.org", "127", ""};
    for (size_t i = 0; i < COUNT(yes); i++)
        assert_true(host_is_loopback(yes[i]));
    for (size_t i = 0; i < COUNT(no); i++)
        assert_false(host_is_loopback(no[i]));
}

static void test_gmail_files_what_it_sends(void **state)
{
    (void)state;
    struct conf *conf = load_ok("account g imaps://bob@imap.gmail.com\nset -a g send smtps://bob@SMTP.gmail.com\n"
                                "account e imaps://bob@imap.example.org\nset -a e send smtps://bob@smtp.example.org\n"
                                "account n imaps://bob@imap.example.net\nset -a n send smtps://bob@smtp.example.net\n"
                                "set -a n copy-sent no\n");
    assert_false(account_copies_sent(&conf->accounts[0]));
    assert_true(account_copies_sent(&conf->accounts[1]));
    assert_false(account_copies_sent(&conf->accounts[2]));
    conf_free(&conf);
}

/* ---- Options ------------------------------------------------------------------------------------ */

static void test_table(void **state)
{
    (void)state;
    struct conf *conf = load_ok("account a imaps://alice@h.example.org\n");
    assert_true(conf_noptions <= 120);
    for (size_t i = 0; i < conf_noptions; i++) {
        const struct option *o = &conf_options[i];
        struct account *a = o->scope == OPT_ACCOUNT ? conf_account(conf, "a") : NULL;
        assert_ptr_equal(option_find(o->name), o);
        assert_true(o->help && o->help[0] && strlen(o->help) <= 100);
        assert_int_not_equal(o->help[strlen(o->help) - 1], '.');
        struct buf value = BUF_INIT(1000), again = BUF_INIT(1000);
        struct err err = ERR_INIT;
        option_get(conf, a, o, &value);
        assert_true(option_set(conf, a, o, buf_z(&value), &err));
        option_get(conf, a, o, &again);
        assert_string_equal(buf_z(&value), buf_z(&again));
        if (o->type != OPT_PATH)
            assert_string_equal(buf_z(&value), o->def);
        assert_false(option_set(conf, a, o, "a\033]0;x\007", &err));
        buf_fini(&value);
        buf_fini(&again);
    }
    conf_free(&conf);
}

static void test_values(void **state)
{
    (void)state;
    struct conf *conf =
        load_ok("account work imaps://alice@imap.example.org\n"
                "set -a work max-size 20M ; set -a work interval 10m\n"
                "set -a work send smtps://alice@smtp.example.org\n"
                "set -a work signature \"Alice\\nExample\"\n"
                "set -a work leave \"days 14\"\nset -a work keyring\n"
                "set notify \"bell osc9\"\nset read-delay 2\nset log-level debug\ntheme dark\nkeys vim\n"
                "set wrap 72\nunset wrap\nset store ~/x\n");
    struct account *a = conf_account(conf, "work");
    assert_non_null(a);
    assert_int_equal(a->max_size, 20 << 20);
    assert_int_equal(a->interval, 600);
    assert_int_equal(a->out.proto, PROTO_SMTP);
    assert_int_equal(a->leave, LEAVE_DAYS);
    assert_int_equal(a->leave_days, 14);
    assert_true(a->keyring && a->copy_sent && !strcmp(conf->notify, "bell osc9"));
    assert_string_equal(a->signature, "Alice\nExample");
    assert_int_equal(conf->log_level, LOG_DEBUG);
    assert_string_equal(conf->theme, "dark");
    assert_string_equal(conf->keys, "vim");
    assert_int_equal(conf->wrap, 0);
    assert_int_equal(conf->store[0], '/');
    struct buf out = BUF_INIT(100);
    option_get(conf, a, option_find("max-size"), &out);
    buf_addc(&out, ' ');
    option_get(conf, a, option_find("interval"), &out);
    assert_string_equal(buf_z(&out), "20M 10m");
    buf_fini(&out);
    conf_free(&conf);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"set -a work archvie x", "rc:2: unknown option \"archvie\"; did you mean \"archive\"?"},
        {"accuont x imaps://a@h", "rc:2: unknown command \"accuont\"; did you mean \"account\"?"},
        {"frobnicate", "unknown command \"frobnicate\""},
        {"set -a wrok archive x", "did you mean \"work\""},
        {"set archive x", "is an option of an account"},
        {"set -a work ascii yes", "is no option of an account"},
        {"set mark-seen perhaps", "is not yes or no"},
        {"set wrap -1", "is not a number"},
        {"set wrap 501", "is not from 0 to 500"},
        {"set timeout 99999999999999999999s", "is not a time"},
        {"set timeout 18446744073709551615w", "is not a time"},
        {"set -a work max-size 18446744073709551615G", "is not a size"},
        {"set -a work leave \"days 0\"", "\"days N\""},
        {"set -a work leave days 14", "more than one value"},
        {"set -a work cache some", "is not headers, all or \"recent DAYS\""},
        {"set -a work cache \"recent 0\"", "is not headers"},
        {"set -a work cache \"recent 36501\"", "is not headers"},
        {"mailbox work Lists", "write: mailbox"},
        {"mailbox wark Lists cache all", "did you mean \"work\""},
        {"mailbox work Lists cash all", "no setting of a mailbox"},
        {"mailbox work Lists cache sometimes", "is not headers"},
        {"set layout wiide", "did you mean \"wide\""},
        {"set -a work from alice", "is not an address"},
        {"set store relative", "absolute"},
        {"set editor", "needs a value"},
        {"set", "write: set"},
        {"set -a", "write: set"},
        {"account work imaps://b@h", "exists already"},
        {"account ../x imaps://b@h", "a name has"},
        {"account .. imaps://b@h", "a name has"},
        {"account -x imaps://b@h", "a name has"},
        {"account x", "write: account"},
        {"set state-dir /state\naccount index imaps://b@h",
         "account index: with state-dir, /state/index is a directory"},
        {"set store /s\nset state-dir /s\naccount outbox imaps://b@h", "give the account another name"},
        {"account b IMAPS://alice@IMAP.example.org:993", "same host, port and user as account work"},
        {"account b imap://alice@imap.example.org\nset -a b tls none", "tls none would send"},
        {"set -a work tls none", "none of its URLs"},
        {"rule \"from:x\"", "write: rule"},
        {"rule \"  \" -folder y", "write: rule"}, /* notmuch takes it for all mail */
        {"rule x -fodler y", "did you mean \"-folder\""},
        {"rule x -folder ../y", "can be no mailbox"},
        {"rule x -folder Lists/../../y", "can be no mailbox"},
        {"rule x -folder ..", "can be no mailbox"},
        {"rule x -folder \"\"", "can be no mailbox"},
        {"rule x -tag +y", "is no tag"},
        {"rule x -untag Unread", "follows a message's flags"},
        {"rule x -tag spam", "follows a message's flags"},
        {"rule x -account nobody -tag y", "rule: unknown account"},
        {"rule x -tag", "needs a value"},
        {"saved x", "write: saved"},
        {"saved x y -account nobody", "unknown account"},
        {"alias a@b c", "write: alias"},
        {"source", "write: source"},
        {"source /nonexistent/x", "cannot read"},
        {"theme", "write: theme NAME"},
        {"set list-format \"date sbject\"", "did you mean \"subject\"?"},
        {"set list-format \"subject:0\"", "a column's width"},
        {"set list-format \"subject:91%\"", "a column's width"},
        {"set list-format \"date subject date\"", "the column date stands there twice"},
        {"set list-format \" \"", "one column at least"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[400];
        snprintf(text, sizeof text, "account work imaps://alice@imap.example.org\n%s\n", rows[i].text);
        refused(text, rows[i].part);
    }
}

/* What is set while tuimail runs, as the programs that are started later get it. */
static void test_settings(void **state)
{
    (void)state;
    static const char *const lines[] = {"set timeout 20", "set -a w tls none",       "set -a w insecure yes",
                                        "set timeout 30", "set -a w from 'W <w@h>'", "unset -a w from"};
    struct conf *conf = load_ok("account w imap://w@imap.example.org\nset -a w from x@h\n");
    struct buf settings = BUF_INIT(SETTINGS_MAX);
    struct err err = ERR_INIT;
    struct line line;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct str rest = str_z(lines[i]);
        unsigned number = 1;
        assert_int_equal(line_next(&rest, "", &number, &line, &err), 1);
        assert_true(settings_add(&settings, &line, &err));
        line_fini(&line);
    }
    assert_string_equal(buf_z(&settings),
                        "set timeout 30\nset -a w tls none\nset -a w insecure yes\nunset -a w from\n");
    settings_run(conf, buf_str(&settings));
    assert_int_equal(conf->timeout, 30);
    assert_int_equal(conf->accounts[0].in.tls, TLS_NONE);
    assert_string_equal(conf->accounts[0].from, "");
    settings_run(conf, STR("set -a gone from x\nbind list x y\nset connect-timeout 9\n"));
    assert_int_equal(conf->connect_timeout, 9);
    assert_int_equal(conf->nui_lines, 0);
    conf_free(&conf);
    buf_fini(&settings);
}

static void test_all_complaints(void **state)
{
    (void)state;
    struct err err;
    struct buf all = BUF_INIT(10000);
    struct conf *conf = load(
        "set a b\n\n\nset ascii x\naccount w imaps://w@h\nset -a w from \"open\nset c d\nset -a w send smtps://w@h\n",
        &all, &err);
    assert_null(conf);
    assert_has(err.text, "rc:1: unknown option \"a\"");
    assert_has(buf_z(&all), "rc:4: error: ascii:");
    assert_has(buf_z(&all), "rc:6: error: column 15: no closing");
    assert_has(buf_z(&all), "rc:7: error: unknown option \"c\"");
    assert_has(buf_z(&all), "rc:5: warning: account w: option from is missing");
    buf_fini(&all);
}

static void test_tls_none(void **state)
{
    (void)state;
    struct conf *conf = load_ok("account a imap://alice@localhost\nset -a a tls none\n"
                                "account b imap://bob@imap.example.org\nset -a b insecure yes\nset -a b tls none\n"
                                "account c imap://carol@imap.example.org\n");
    assert_int_equal(conf->accounts[0].in.tls, TLS_NONE);
    assert_int_equal(conf->accounts[1].in.tls, TLS_NONE);
    assert_int_equal(conf->accounts[2].in.tls, TLS_STARTTLS);
    conf_free(&conf);
    refused("account a imap://alice@localhost\nset -a a send smtp://alice@smtp.example.org\nset -a a tls none\n",
            "tls none would send your password to smtp.example.org");
}

static bool run(struct conf *conf, const char *text, struct err *err)
{
    struct str rest = str_z(text);
    struct line line;
    *err = ERR_INIT;
    assert_int_equal(line_next(&rest, "", &(unsigned){1}, &line, err), 1);
    bool ok = conf_run(conf, &line, err);
    line_fini(&line);
    return ok;
}

static void test_prompt(void **state)
{
    (void)state;
    struct conf *conf = load_ok("account a imap://alice@imap.example.org\n");
    struct err err;
    assert_true(run(conf, "set wrap 70", &err));
    assert_int_equal(conf->wrap, 70);
    assert_false(run(conf, "set -a a tls none", &err));
    assert_has(err.text, "tls none would send");
    assert_int_equal(conf->accounts[0].in.tls, TLS_STARTTLS);
    assert_string_equal(conf->accounts[0].tls, "auto");
    assert_false(run(conf, "account b imap://alice@imap.example.org", &err));
    assert_int_equal(conf->naccounts, 1);
    assert_true(run(conf, "account b imap://bob@imap.example.org", &err));
    put("inc", "set wrap 71\nset wrap x\n");
    char *inc = in_dir("inc"), line[200];
    snprintf(line, sizeof line, "source %s", inc);
    assert_false(run(conf, line, &err));
    assert_has(err.text, "inc:2: wrap");
    free(inc);
    conf_free(&conf);
}

/* ---- saved, rule, alias, ui lines --------------------------------------------------------------- */

static void test_lists(void **state)
{
    (void)state;
    struct conf *conf = load_ok("account work imaps://alice@imap.example.org\n"
                                "saved \"To answer\" \"tag:unread\"\nsaved x y -account work\nsaved x z\n"
                                "rule \"from:build@ci\" -folder Builds -tag ci -untag other -read\n"
                                "alias bob Bob Example <bob@example.org>, carol@example.org\n"
                                "bind list a archive ; on new-mail run \"notify {from}\"\n");
    assert_int_equal(conf->nsaved, 2);
    assert_string_equal(conf->saved[1].query, "z");
    assert_string_equal(conf->saved[1].account, "");
    assert_int_equal(conf->nrules, 1);
    assert_string_equal(conf->rules[0].tags, "+ci -other");
    assert_true(tag_reserved(STR("unread")) && tag_reserved(STR("$Junk")) && !tag_reserved(STR("work")));
    assert_string_equal(conf->rules[0].folder, "Builds");
    assert_true(conf->rules[0].read && !conf->rules[0].flag);
    assert_has(conf->rules[0].defined_in, "rc:5");
    assert_string_equal(conf->aliases[0].value, "Bob Example <bob@example.org>, carol@example.org");
    assert_int_equal(conf->nui_lines, 2);
    assert_string_equal(conf->ui_lines[1].words[0], "on");
    assert_int_equal(conf->ui_lines[1].number, 7);
    conf_free(&conf);
}

static void assert_keyword(const struct tag_names *names, const char *tag, const char *keyword)
{
    struct buf out = BUF_INIT(1000);
    bool has = tag_to_keyword(names, str_z(tag), &out);
    assert_string_equal(has ? buf_z(&out) : "(none)", keyword);
    buf_reset(&out);
    if (has) {
        assert_true(tag_of_keyword(names, str_z(keyword), &out));
        assert_string_equal(buf_z(&out), tag);
    }
    buf_fini(&out);
}

static void assert_tag(const struct tag_names *names, const char *keyword, const char *tag)
{
    struct buf out = BUF_INIT(1000);
    bool is = tag_of_keyword(names, str_z(keyword), &out);
    assert_string_equal(is ? buf_z(&out) : "(none)", tag);
    buf_fini(&out);
}

static bool is_wire(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || strchr("(){%*\"\\]", s.p[i]))
            return false;
    return s.n > 0 && s.n <= TAG_KEYWORD_MAX;
}

/* Whatever a tag is: its keyword is an atom and gives it back. */
static void tags_at_random(const struct tag_names *names)
{
    static const char *const pieces[] = {"=",  "20", "a",    "Z",  "(",  "*", "%",  "\xc3\xa9", "\xc2\xa0",     "$",
                                         "\\", "=4", "Junk", "3D", "=C", "/", "\"", "nil",      "\xe8\xa6\x8b", "{",
                                         "~"};
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        struct buf tag = BUF_INIT(400), wire = BUF_INIT(2000), back = BUF_INIT(2000);
        for (unsigned n = 1 + (unsigned)round % 9; n > 0; n--) {
            seed = seed * 1664525 + 1013904223;
            buf_addz(&tag, pieces[(seed >> 16) % COUNT(pieces)]);
        }
        struct str t = buf_str(&tag);
        if (tag_is(t) && !tag_reserved(t) && tag_to_keyword(names, t, &wire)) {
            assert_true(is_wire(buf_str(&wire)));
            assert_true(tag_of_keyword(names, buf_str(&wire), &back));
            assert_string_equal(buf_z(&back), buf_z(&tag));
        }
        buf_reset(&back); /* and as a keyword of somebody else */
        if (tag_of_keyword(names, t, &back))
            assert_true(tag_is(buf_str(&back)) && !tag_reserved(buf_str(&back)));
        buf_fini(&tag);
        buf_fini(&wire);
        buf_fini(&back);
    }
}

static void test_tag_names(void **state)
{
    (void)state;
    static const char *const reserved[] = {"unread", "flagged",   "replied", "passed", "draft", "deleted", "attachment",
                                           "signed", "encrypted", "inbox",   "new",    "spam",  "trash",   "$Junk",
                                           "\\Seen", "Unread",    "+x",      "-x",     "a b",   ""};
    static const char *const flags[] = {"$Junk",      "$NotJunk",  "Junk",       "NonJunk", "NotJunk",
                                        "$Forwarded", "Forwarded", "$MDNSent",   "\\Seen",  "unread",
                                        "inbox",      "NIL",       "$Submitted", "junk",    RULED_KEYWORD};
    struct conf *conf = load_ok("account work imaps://alice@imap.example.org\n"
                                "account other imaps://bob@imap.example.org\n"
                                "tag-keyword urgent $label1\ntag-keyword mine -local -account work\n"
                                "tag-keyword \xe8\xa6\x8b &iYs-\n");
    struct tag_names work = conf_tag_names(conf, "work"), other = conf_tag_names(conf, "other");
    for (size_t i = 0; i < COUNT(reserved); i++)
        assert_keyword(&work, reserved[i], "(none)");
    for (size_t i = 0; i < COUNT(flags); i++)
        assert_tag(&work, flags[i], "(none)");
    static const char *const pairs[][2] = {
        {"todo", "todo"},
        {"To\xc2\xa0"
         "Do",
         "To=20Do"},
        {"caf\xc3\xa9", "caf=C3=A9"},
        {"a(b)", "a=28b=29"},
        {"x=20", "x=3D20"},
        {"x=y", "x=y"},
        {"Junk", "=4Aunk"}, /* a flag to other programs */
        {"nil", "=6Eil"},
        {"phishing", "$Phishing"},
        {"important", "$Important"},
        {"label5", "$label5"},
        {"urgent", "$label1"},
        {"\xe8\xa6\x8b", "&iYs-"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_keyword(&work, pairs[i][0], pairs[i][1]);
    assert_tag(&work, "CAF=c3=a9", "CAF\xc3\xa9"); /* the case of digits is nothing */
    assert_tag(&work, "x=41", "x=41");             /* not as we write it: as it stands */
    assert_tag(&work, "bad=FF", "bad=FF");
    assert_tag(&work, "$LABEL1", "urgent");
    assert_keyword(&work, "mine", "(none)");
    assert_tag(&work, "mine", "(none)");
    assert_keyword(&other, "mine", "mine");
    char longer[TAG_MAX + 1] = {0};
    memset(longer, 'x', TAG_KEYWORD_MAX);
    assert_keyword(&work, longer, longer);
    longer[TAG_KEYWORD_MAX] = 'x';
    assert_keyword(&work, longer, "(none)"); /* stays here */
    assert_tag(&work, longer, "(none)");
    struct buf words = BUF_INIT(1000);
    tags_to_keywords(&work, STR("+urgent -urgent -mine +unread -x=41 junk"), &words);
    assert_string_equal(buf_z(&words), "+$label1 -$label1 -urgent -x=3D41 -x=41");
    buf_fini(&words);
    tags_at_random(&work);
    tags_at_random(&other);
    conf_free(&conf);
    static const char *const wrong[] = {"tag-keyword x",
                                        "tag-keyword unread y",
                                        "tag-keyword x $Junk",
                                        "tag-keyword x \"a b\"",
                                        "tag-keyword x y z",
                                        "tag-keyword x (",
                                        "tag-keyword x y -account nobody z"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct err err;
        assert_null(load(wrong[i], NULL, &err));
        assert_has(err.text, "tag-keyword");
    }
}

static void test_cache(void **state)
{
    (void)state;
    struct conf *conf = load_ok("account work imaps://alice@imap.example.org\nset -a work cache \"recent 30\"\n"
                                "set -a work cache-size 20M\nmailbox work Lists* cache headers\n"
                                "mailbox work Lists/kernel cache all\naccount other imaps://bob@imap.example.org\n");
    struct account *a = conf_account(conf, "work"), *b = conf_account(conf, "other");
    assert_int_equal(a->cache_size, 20u << 20);
    assert_int_equal(conf_cache(conf, a, STR("INBOX")).what, CACHE_RECENT);
    assert_int_equal(conf_cache(conf, a, STR("INBOX")).days, 30);
    assert_int_equal(conf_cache(conf, a, STR("Lists/mutt")).what, CACHE_HEADERS);
    assert_int_equal(conf_cache(conf, a, STR("Lists/kernel")).what, CACHE_ALL);
    assert_int_equal(conf_cache(conf, b, STR("Lists/kernel")).what, CACHE_HEADERS);
    struct buf value = BUF_INIT(100);
    option_get(conf, a, option_find("cache"), &value);
    assert_string_equal(buf_z(&value), "recent 30");
    buf_fini(&value);
    conf_free(&conf);
}

/* ---- Files -------------------------------------------------------------------------------------- */

static void test_source(void **state)
{
    (void)state;
    put("one", "set wrap 61\nsource two\n");
    put("two", "set read-delay 7\n");
    struct conf *conf = load_ok("source one\n");
    assert_int_equal(conf->wrap, 61);
    assert_int_equal(conf->read_delay, 7);
    conf_free(&conf);
    put("two", "\nset x y\n");
    refused("source one\n", "two:2: unknown option");
    put("two", "source one\n");
    refused("source one\n", "includes itself");
    refused("source rc\n", "includes itself");
    char name[20], text[40];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "d%d", i);
        snprintf(text, sizeof text, "source d%d\nsource d%d\n", i + 1, i + 1);
        put(name, text);
    }
    refused("source d0\n", "deeper than 8");
    put("d6", "set wrap 1\n");
    refused("source d0\nsource d0\n", "more than 64 files");
}

/* THREATS 21, 170: whose file it is, how large, and what is in it. */
static void test_hostile_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct conf *conf = NULL;
    char *path = in_dir("h");
    write_file("h", "set wrap 1\nset \0 x\n", 19, 0600);
    assert_false(conf_load(path, &conf, NULL, &err));
    assert_has(err.text, "h:2: column 5: a NUL byte");

    struct buf big = BUF_INIT(CONF_MAX_BYTES + 10);
    while (big.n < CONF_MAX_BYTES)
        buf_addc(&big, '#');
    write_file("h", big.p, big.n, 0600);
    err = ERR_INIT;
    assert_true(conf_load(path, &conf, NULL, &err));
    conf_free(&conf);
    buf_addc(&big, '#');
    write_file("h", big.p, big.n, 0600);
    assert_false(conf_load(path, &conf, NULL, &err));
    memset(big.p, 'x', big.n);
    write_file("h", big.p, CONF_MAX_BYTES, 0600);
    err = ERR_INIT;
    assert_false(conf_load(path, &conf, NULL, &err));
    assert_has(err.text, "h:1: column 65537: the line is longer");
    buf_fini(&big);

    write_file("h", "set wrap 1\n", 11, 0666);
    err = ERR_INIT;
    assert_false(conf_load(path, &conf, NULL, &err));
    assert_int_equal(err.kind, ERR_PERMISSION);
    assert_has(err.text, "chmod go-w");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    err = ERR_INIT;
    assert_false(conf_load(path, &conf, NULL, &err));
    assert_has(err.text, "not a regular file");
    unlink(path);
    char *target = in_dir("target");
    put("target", "set wrap 5\n");
    assert_int_equal(symlink(target, path), 0);
    err = ERR_INIT;
    assert_true(conf_load(path, &conf, NULL, &err));
    assert_int_equal(conf->wrap, 5);
    conf_free(&conf);
    unlink(path);
    free(target);

    char *open_dir = in_dir("open"), *inside = in_dir("open/rc");
    mkdir(open_dir, 0700);
    put("open/rc", "set wrap 5\n");
    assert_int_equal(chmod(open_dir, 0777), 0);
    err = ERR_INIT;
    assert_false(conf_load(inside, &conf, NULL, &err));
    assert_has(err.text, "a directory that others can write");
    assert_int_equal(chmod(open_dir, 01777), 0);
    err = ERR_INIT;
    assert_true(conf_load(inside, &conf, NULL, &err));
    conf_free(&conf);
    if (geteuid() == 0) {
        assert_int_equal(chown(inside, 12345, 0), 0);
        err = ERR_INIT;
        assert_false(conf_load(inside, &conf, NULL, &err));
        assert_has(err.text, "belongs to another user");
    }
    unlink(inside);
    rmdir(open_dir);
    free(open_dir);
    free(inside);
    free(path);
}

static void test_default_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct conf *conf = NULL;
    char *old_home = mem_dup_z(getenv("HOME")), *sub = in_dir("tuimail"), *root;
    setenv("XDG_CONFIG_HOME", dir, 1);
    setenv("HOME", dir, 1);
    setenv("XDG_DATA_HOME", "/data", 1);
    assert_true(conf_load(NULL, &conf, NULL, &err));
    assert_string_equal(conf->file, "");
    root = conf_root(conf, NULL, &err);
    assert_string_equal(root, "/data/tuimail");
    free(root);
    root = conf_root(conf, "/else", &err);
    assert_string_equal(root, "/else");
    free(root);
    conf_free(&conf);
    put(".tuimailrc", "set wrap 9\n");
    assert_true(conf_load(NULL, &conf, NULL, &err));
    assert_int_equal(conf->wrap, 9);
    conf_free(&conf);
    mkdir(sub, 0700);
    put("tuimail/tuimailrc", "set wrap 8\n");
    assert_true(conf_load(NULL, &conf, NULL, &err));
    assert_int_equal(conf->wrap, 8);
    conf_free(&conf);
    if (old_home)
        setenv("HOME", old_home, 1);
    free(old_home);
    free(sub);
}

/* ---- Addresses ---------------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
    (void)state;
    struct conf *conf =
        load_ok("account a imaps://alice@example.org@imap.example.org\n"
                "account b imaps://bob@h\nset -a b from \"\\\"Bob \\\\\\\"B\\\\\\\"\\\" <Bob@Example.org>\"\n"
                "set -a b alternates \"b*b+*@example.net, *@bob.example\"\n");
    struct account *a = &conf->accounts[0], *b = &conf->accounts[1];
    struct buf out = BUF_INIT(1000);
    account_addresses(a, &out);
    account_addresses(b, &out);
    account_realname(b, &out);
    assert_string_equal(buf_z(&out), "alice@example.org\nBob@Example.org\nb*b+*@example.net\n*@bob.example\nBob \"B\"");
    buf_fini(&out);
    assert_true(account_owns(a, STR("Alice@EXAMPLE.org")));
    assert_false(account_owns(a, STR("bob@example.org")));
    assert_true(account_owns(b, STR("bob@example.org")));
    assert_true(account_owns(b, STR("bob+x@example.net")));
    assert_true(account_owns(b, STR("x@bob.example")));
    assert_false(account_owns(b, STR("x@bob.example.evil")));
    assert_false(account_owns(b, STR("\"x y\"@bob.example")));
    assert_false(account_owns(b, STR("")));
    assert_ptr_equal(conf_account_owning(conf, STR("any@bob.example")), b);
    assert_null(conf_account_owning(conf, STR("nobody@example.com")));
    conf_free(&conf);
}

/* ---- Secrets ------------------------------------------------------------------------------------ */

static bool secret_is(const char *options, bool submission, const char *wanted, struct err *err)
{
    char text[600];
    snprintf(text, sizeof text, "account a imaps://alice@h\n%s\n", options);
    struct conf *conf = load_ok(text);
    int fd = -1;
    pid_t pid = 0;
    *err = ERR_INIT;
    bool ok = secret_source(&conf->accounts[0], submission ? SERVICE_SUBMISSION : SERVICE_INCOMING, NEED_LOGIN, -1, &fd,
                            NULL, &pid, err);
    if (ok) {
        struct secret secret;
        ok = secret_read(fd, clock_mono_ms() + 20000, &secret, err);
        if (ok) {
            assert_string_equal(secret.p, wanted);
            secret_free(&secret);
        }
        if (pid)
            assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    conf_free(&conf);
    return ok;
}

static void test_secrets(void **state)
{
    (void)state;
    struct err err;
    char line[200];
    char *path = in_dir("pw");
    assert_true(secret_is("set -a a password-command \"echo one; echo two\"", false, "one", &err));
    assert_true(secret_is("set -a a password-command \"echo one\"", true, "one", &err));
    assert_true(secret_is("set -a a password-command \"echo one\"\nset -a a send-password-command \"echo three\"", true,
                          "three", &err));
    /* Standard input is empty, no other descriptor is open, and it leads its own process group. */
    int leak = open("/dev/null", O_RDONLY);
    assert_true(
        secret_is("set -a a password-command \"cat; ls /proc/self/fd | grep -cv '^[0-3]$'\"", false, "0", &err));
    assert_true(
        secret_is("set -a a password-command \"test $$ = $(ps -o pgid= -p $$ 2>/dev/null || echo $$) && echo own\"",
                  false, "own", &err));
    close(leak);
    assert_false(secret_is("set -a a password-command false", false, "", &err));
    assert_int_equal(err.kind, ERR_SECRET);

    snprintf(line, sizeof line, "set -a a password-file %s", path);
    put("pw", "s3cret\nrest\n");
    assert_true(secret_is(line, false, "s3cret", &err));
    chmod(path, 0640);
    assert_false(secret_is(line, false, "", &err));
    assert_int_equal(err.kind, ERR_SECRET_MODE);
    assert_has(err.text, "chmod 600");
    assert_has(err.text, path);
    chmod(path, 0600);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 0), 0);
        assert_false(secret_is(line, false, "", &err));
        assert_has(err.text, "another user");
        assert_int_equal(chown(path, 0, 0), 0);
    }
    char *real = in_dir("pw2");
    assert_int_equal(rename(path, real), 0);
    assert_int_equal(symlink(real, path), 0);
    assert_false(secret_is(line, false, "", &err));
    assert_has(err.text, "symbolic link");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(secret_is(line, false, "", &err));
    assert_int_equal(err.kind, ERR_SECRET_MODE);
    unlink(path);
    assert_false(secret_is(line, false, "", &err));
    assert_false(secret_is("", false, "", &err));
    assert_int_equal(err.kind, ERR_SECRET);
    assert_string_equal(err.text, "");
    free(real);
    free(path);
}

static void test_keyring(void **state)
{
    (void)state;
    struct err err;
    char *old = mem_dup_z(getenv("PATH")), *tool = in_dir("secret-tool");
    char path[4200];
    write_file("secret-tool", "#!/bin/sh\necho \"$@\"\n", 20, 0700);
    snprintf(path, sizeof path, "%s:%s", dir, old ? old : "/bin:/usr/bin");
    setenv("PATH", path, 1);
    assert_true(secret_is("set -a a keyring yes", false, "lookup service tuimail account a", &err));
    setenv("PATH", old ? old : "/bin:/usr/bin", 1);
    free(old);
    free(tool);
}

/* The sample names every option with its default: loading it, and its options with their marks removed, changes
 * nothing. */
/* Which login an account uses follows from its options alone. */
static void test_login(void **state)
{
    static const struct {
        const char *url, *options;
        enum login in, out, scripts;
    } rows[] = {
        {"imaps://a@h", "", LOGIN_PASSWORD, LOGIN_PASSWORD, LOGIN_PASSWORD},
        {"imaps://a@h", "set -a a tls-cert-file /c", LOGIN_CERTIFICATE, LOGIN_CERTIFICATE, LOGIN_CERTIFICATE},
        {"imaps://a@h", "set -a a tls-cert-file /c\nset -a a keyring yes", LOGIN_PASSWORD, LOGIN_PASSWORD,
         LOGIN_PASSWORD},
        {"imaps://a@h", "set -a a tls-cert-file /c\nset -a a send-password-file /p", LOGIN_CERTIFICATE, LOGIN_PASSWORD,
         LOGIN_CERTIFICATE},
        {"imap://a@h", "set -a a tunnel x", LOGIN_NOTHING, LOGIN_PASSWORD, LOGIN_PASSWORD},
        {"imap://a@h", "set -a a tunnel x\nset -a a password-file /p", LOGIN_PASSWORD, LOGIN_PASSWORD, LOGIN_PASSWORD},
        {"imaps://a@h", "set -a a token-command x\nset -a a password-file /p", LOGIN_TOKEN, LOGIN_TOKEN, LOGIN_TOKEN},
#ifdef HAVE_OAUTH
        {"imaps://a@h", "set -a a oauth-client-id x\nset -a a oauth-provider google", LOGIN_TOKEN, LOGIN_TOKEN,
         LOGIN_TOKEN},
#endif
        {"imaps://a@h", "set -a a send smtps://h", LOGIN_PASSWORD, LOGIN_NOTHING, LOGIN_PASSWORD},
        {"imaps://a@h", "set -a a sieve-tunnel x", LOGIN_PASSWORD, LOGIN_PASSWORD, LOGIN_NOTHING},
        {"imaps://a@h", "set -a a sieve-tunnel x\nset -a a keyring yes", LOGIN_PASSWORD, LOGIN_PASSWORD,
         LOGIN_PASSWORD},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[400];
        snprintf(text, sizeof text, "account a %s\nset -a a send smtps://a@h\nset -a a sieve sieve://h\n%s\n",
                 rows[i].url, rows[i].options);
        struct conf *conf = load_ok(text);
        assert_int_equal(account_login(&conf->accounts[0], SERVICE_INCOMING), rows[i].in);
        assert_int_equal(account_login(&conf->accounts[0], SERVICE_SUBMISSION), rows[i].out);
        assert_int_equal(account_login(&conf->accounts[0], SERVICE_SIEVE), rows[i].scripts);
        assert_string_equal(account_user(&conf->accounts[0], SERVICE_SIEVE), "a");
        assert_int_equal(conf->accounts[0].sieve.tls,
                         account_tunnel(&conf->accounts[0], SERVICE_SIEVE)[0] ? TLS_NONE : TLS_STARTTLS);
        /* a tunnel is no line to encrypt, unless the URL says so */
        if (account_tunnel(&conf->accounts[0], SERVICE_INCOMING)[0])
            assert_int_equal(conf->accounts[0].in.tls, TLS_NONE);
        conf_free(&conf);
    }
}

/* What the file of rules has is what is run; another's lines stay. */
static void test_rule_file(void **state)
{
    (void)state;
    char path[] = "/tmp/tuimail-test-rules-XXXXXX", text[200];
    int fd = mkstemp(path);
    struct err err = ERR_INIT;
    struct buf got = BUF_INIT(1000);
    assert_true(fd >= 0);
    static const char begun[] = "rule from:a -read\nrule from:b -flag # mine";
    assert_int_equal(write(fd, begun, sizeof begun - 1), sizeof begun - 1);
    close(fd);
    snprintf(text, sizeof text, "account a imaps://a@h\nset rule-file %s\n", path);
    struct conf *conf = load_ok(text);
    assert_int_equal(conf->nrules, 2);
    assert_true(conf_rule_keep(conf, STR("rule from:a -read"), &err));
    assert_true(conf_rule_keep(conf, STR("rule \"from:c d\" -account a -tag x"), &err));
    assert_int_equal(conf->nrules, 4);
    /* the newest of two that are the same */
    assert_true(conf_rule_unkeep(conf, STR("rule from:a -read"), &err));
    assert_int_equal(conf->nrules, 3);
    assert_string_equal(conf->rules[0].query, "from:a");
    assert_true(fs_read(path, 1000, &got, &err));
    assert_string_equal(buf_z(&got),
                        "rule from:a -read\nrule from:b -flag # mine\nrule \"from:c d\" -account a -tag x\n");
    assert_false(conf_rule_unkeep(conf, STR("rule from:gone -read"), &err));
    assert_int_equal(err.kind, ERR_USAGE);
    assert_non_null(strstr(err.text, path));
    assert_false(conf_rule_unkeep(conf, STR("rule from:b"), &err));
    assert_int_equal(conf->nrules, 3);
    /* a file that cannot be written: no rule either */
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(conf_rule_keep(conf, STR("rule from:e -read"), &err));
    assert_int_equal(conf->nrules, 3);
    rmdir(path);
    buf_fini(&got);
    conf_free(&conf);
}

static void test_oauth(void **state)
{
#ifndef HAVE_OAUTH
    (void)state;
    refused("account a imaps://a@h\nset -a a oauth-client-id x\nset -a a oauth-provider google\n", "without OAuth");
#else
    struct conf *conf = load_ok("account a imaps://a@h\nset -a a oauth-client-id x\nset -a a oauth-provider microsoft\n"
                                "set -a a oauth-token-url https://Login.example:8443/t?x=1\n");
    struct oauth o;
    struct err err = ERR_INIT;
    char host[256];
    uint16_t port;
    (void)state;
    assert_true(account_oauth(&conf->accounts[0], &o, &err));
    assert_true(o.device);
    assert_string_equal(o.token_url, "https://Login.example:8443/t?x=1");
    assert_has(o.device_url, "devicecode");
    assert_has(o.scope, "offline_access");
    assert_true(https_parse(o.token_url, false, host, &port) && port == 8443 && strcmp(host, "Login.example") == 0);
    conf_free(&conf);
    static const char *const bad[] = {
        "",          "http://h/",       "https://",     "https://h:0/", "https://h:99999/",
        "https:h",   "https://u@h/",    "https://h\n/", "https://h/#x", "https://[::1]/",
        "ftp://h/x", "https://h:12a/x", "https://h/ x"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (https_parse(bad[i], false, host, &port))
            fail_msg("%s is taken", bad[i]);
    assert_true(https_parse("http://127.0.0.1", true, host, &port) && port == 80);
#endif
}

static void test_keeping(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct secret token = secret_new(STR("refresh-1"));
    char *path = in_dir("token"), *out = in_dir("kept"), text[600];
    pid_t pid = -1;
    int status;
    struct buf got = BUF_INIT(100);
    snprintf(text, sizeof text, "account a imaps://a@h\nset -a a password-file %s\n", path);
    struct conf *conf = load_ok(text);
    assert_true(secret_keep(&conf->accounts[0], &token, -1, &pid, &err));
    assert_int_equal(pid, 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    conf_free(&conf);
    snprintf(text, sizeof text,
             "account a imaps://a@h\nset -a a token-save-command \"cat > %s\"\nset -a a password-command \"cat %s\"\n",
             out, out);
    conf = load_ok(text);
    assert_true(secret_keep(&conf->accounts[0], &token, -1, &pid, &err));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(fs_read(out, 100, &got, &err));
    assert_string_equal(buf_z(&got), "refresh-1\n");
    conf_free(&conf);
    conf = load_ok("account a imaps://a@h\nset -a a password-command x\n");
    assert_false(secret_keep(&conf->accounts[0], &token, -1, &pid, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    conf_free(&conf);
    unlink(path);
    unlink(out);
    free(path);
    free(out);
    buf_fini(&got);
    secret_free(&token);
}

static void test_sample(void **state)
{
    (void)state;
    const char *src = getenv("TUIMAIL_SRC");
    char *path = path_join(src ? src : "..", "tuimailrc.sample");
    struct buf text = BUF_INIT(CONF_MAX_BYTES), open = BUF_INIT(CONF_MAX_BYTES);
    struct err err = ERR_INIT;
    if (!fs_read(path, CONF_MAX_BYTES, &text, &err))
        fail_msg("%s", err.text);
    struct conf *plain = load_ok(buf_z(&text));
    assert_int_equal(plain->naccounts + plain->nsaved + plain->nrules + plain->nui_lines, 0);
    buf_addz(&open, "account work imaps://alice@imap.example.org\n");
    struct str rest = buf_str(&text), line;
    bool options = false;
    while (str_split(&rest, '\n', &line)) {
        options = options || str_eq(line, STR("# BEGIN options"));
        if (options && str_starts(line, STR("#set ")))
            buf_addf(&open, "%.*s\n", STR_FMT(str_sub(line, 1, line.n)));
    }
    struct conf *set = load_ok(buf_z(&open)), *defaults = load_ok("account work imaps://alice@imap.example.org\n");
    for (size_t i = 0; i < conf_noptions; i++) {
        const struct option *o = &conf_options[i];
        bool account = o->scope == OPT_ACCOUNT;
        struct buf a = BUF_INIT(1000), b = BUF_INIT(1000);
        char named[100];
        snprintf(named, sizeof named, "\nset %s%s ", account ? "-a work " : "", o->name);
        assert_has(buf_z(&open), named);
        option_get(set, account ? set->accounts : NULL, o, &a);
        option_get(defaults, account ? defaults->accounts : NULL, o, &b);
        assert_string_equal(buf_z(&a), buf_z(&b));
        buf_fini(&a);
        buf_fini(&b);
    }
    conf_free(&plain);
    conf_free(&set);
    conf_free(&defaults);
    buf_fini(&text);
    buf_fini(&open);
    free(path);
}

static void test_near(void **state)
{
    (void)state;
    static const char *const names[] = {"archive", "set", "on", NULL};
    assert_string_equal(near_word("archvie", names), "archive");
    assert_string_equal(near_word("ste", names), "set");
    assert_null(near_word("zzzzzz", names));
    assert_null(near_word("", names));
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_conf.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(127);
    }
    return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/* ---- Rules -------------------------------------------------------------------------------------- */
static void test_rule_effects(void **state)
{
    (void)state;
    char none[] = "", work[] = "work", first[] = "A", second[] = "B", xy[] = "+x +y", not_x[] = "-x";
    struct rule a = {.query = none, .account = none, .folder = first, .tags = xy, .read = true},
                b = {.query = none, .account = work, .folder = second, .tags = not_x},
                stop = {.query = none, .account = none, .folder = none, .tags = none, .stop = true};
    struct rule_effects all = {.n = 0};
    assert_true(rule_fits(&a, "home") && rule_fits(&b, "work") && !rule_fits(&b, "home"));
    size_t one = rule_effect_with(&all, 0, &a), two = rule_effect_with(&all, one, &b);
    assert_int_equal(rule_effect_with(&all, 0, &a), one); /* the same again */
    assert_string_equal(all.list[one].folder, "A");
    assert_string_equal(all.list[two].folder, "B"); /* the later one counts */
    assert_string_equal(all.list[two].tags, "+y -x");
    assert_true(all.list[one].filed == &a && all.list[two].filed == &b && all.list[two].last == &b);
    assert_true(all.list[two].read && !all.list[two].flag && rule_does(&all.list[two]));
    size_t end = rule_effect_with(&all, two, &stop);
    assert_int_equal(rule_effect_with(&all, end, &a), end);
    assert_string_equal(all.list[end].folder, "B");
    assert_true(all.list[end].filed == &b && all.list[end].last == &stop);
    size_t nothing = rule_effect_with(&all, 0, &stop);
    assert_false(rule_does(&all.list[nothing]));
    assert_int_equal(all.list[end].from, two);
    rule_effects_free(&all);
}

static void test_rules_heed(void **state)
{
    (void)state;
    static const struct {
        const char *query, *tags;
        bool heeds;
    } cases[] = {
        {"tag:todo", "+todo", true},
        {"tag:todo", "-todo +x", true},
        {"tag:todo", "+todos", false},
        {"tag:todo", "+other", false},
        {"from:a and (is:Todo or tag:x)", "+todo", true},
        {"from:a and -tag:\"to do\"", "+todo", false},
        {"from:a not tag:\"todo\"", "+todo", true},
        {"subject:tag and mytag:todo", "+todo", true}, /* it names none */
        {"tag:proj*", "+todo", true},
        {"tag:/^t/", "+x", true},
        {"sexp:(and (tag todo))", "+x", true},
        {"from:a", "+x", true},
        {"tag:", "+x", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *query = mem_dup_z(cases[i].query), *account = mem_dup_z("work");
        struct rule r = {.query = query, .account = account, .tagged = true};
        struct conf conf = {.rules = &r, .nrules = 1};
        if (conf_rules_heed(&conf, "work", str_z(cases[i].tags)) != cases[i].heeds)
            fail_msg("%s: %s", cases[i].query, cases[i].tags);
        assert_false(conf_rules_heed(&conf, "home", str_z(cases[i].tags)));
        r.tagged = false;
        assert_false(rule_heeds(&r, str_z(cases[i].tags)));
        free(query);
        free(account);
    }
}

static void test_rules_need(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        bool text;
    } cases[] = {{"from:a and not (subject:\"b c\" or to:d)", false},
                 {"is:unread newer:2d -tag:x *", false},
                 {"list:dev or header:List-Id=dev or header:\"From=a b\"", false},
                 {"word", true},
                 {"from:a \"two words\"", true},
                 {"spam:yes", true},
                 {"header:X-Spam-Flag=YES", true},
                 {"header:From", true},
                 {"body:x", true},
                 {"from:a and attachment:pdf", true}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *query = mem_dup_z(cases[i].query), *empty = mem_dup_z("");
        struct rule r = {.query = query, .account = empty, .folder = empty, .tags = empty};
        struct conf conf = {.rules = &r, .nrules = 1};
        if (conf_rules_read_text(&conf, "work") != cases[i].text)
            fail_msg("%s", query);
        free(query);
        free(empty);
    }
    char one[] = "header:X-One=a or HEADER:\"X-Two=b c\"", two[] = "(header:x-one) header:", three[] = "header:X-Three";
    struct rule r[] = {{.query = one}, {.query = two}};
    struct saved s = {.query = three};
    struct conf conf = {.rules = r, .nrules = 2, .saved = &s, .nsaved = 1};
    struct buf out = BUF_INIT(1000);
    conf_query_headers(&conf, &out);
    assert_string_equal(buf_z(&out), "X-One\nX-Two\nX-Three\n");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_gmail_files_what_it_sends),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_complaints),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_tls_none),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_hostile_file),
        cmocka_unit_test(test_default_file),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_keyring),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_rule_file),
        cmocka_unit_test(test_oauth),
        cmocka_unit_test(test_keeping),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_rule_effects),
        cmocka_unit_test(test_tag_names),
        cmocka_unit_test(test_rules_need),
        cmocka_unit_test(test_rules_heed),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
