/* net/sasl against the server side of Cyrus SASL in the same process, and against lies. Numbers are those of
 * doc/THREATS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "net/sasl.h"
#include "net_cert.h"
#include "net_peer.h"

#define PASSWORD "correct horse \"battery\\ stapl\xc3\xa9"

/* ---- A server ----------------------------------------------------------------------------------- */

static int lookup(void *glob UNUSED, sasl_server_params_t *params, unsigned flags UNUSED, const char *user UNUSED,
                  unsigned n UNUSED)
{
    params->utils->prop_set(params->propctx, "*userPassword", PASSWORD, -1);
    params->utils->prop_set(params->propctx, "userPassword", PASSWORD, -1);
    return SASL_OK;
}

static sasl_auxprop_plug_t plug = {.auxprop_lookup = lookup};

static int plug_init(const sasl_utils_t *utils UNUSED, int max UNUSED, int *version_r, sasl_auxprop_plug_t **plug_r,
                     const char *name UNUSED)
{
    static char plug_name[] = "fixed";
    plug.name = plug_name;
    *version_r = SASL_AUXPROP_PLUG_VERSION;
    *plug_r = &plug;
    return SASL_OK;
}

static int getopt_server(void *context UNUSED, const char *plugin UNUSED, const char *option, const char **result,
                         unsigned *len)
{
    static const char *const options[][2] = {{"pwcheck_method", "auxprop"}, {"auxprop_plugin", "fixed"}};
    for (size_t i = 0; i < COUNT(options); i++) {
        if (strcmp(option, options[i][0]) == 0) {
            *result = options[i][1];
            if (len != NULL)
                *len = (unsigned)strlen(*result);
            return SASL_OK;
        }
    }
    return SASL_FAIL;
}

static int quiet(void *context UNUSED, int level UNUSED, const char *text UNUSED)
{
    return SASL_OK;
}

static struct secret password(const char *z)
{
    return secret_new(str_z(z));
}

/* Runs the whole login; true when both sides are content. `initial`: send the initial response with the command. */
static bool login(const char *offered, const char *secret_z, const struct stream *stream,
                  const sasl_channel_binding_t *binding, bool insecure_ok, bool initial, char mechanism[40],
                  struct err *err)
{
    struct secret secret = password(secret_z);
    struct sasl *c = sasl_new(str_z(offered), "imap", "mail.example.org", "alice", &secret, stream, insecure_ok, err);
    secret_free(&secret);
    if (c == NULL)
        return false;
    snprintf(mechanism, 40, "%s", sasl_mechanism(c));
    sasl_conn_t *server = NULL;
    assert_int_equal(sasl_server_new("imap", "mail.example.org", "example.org", NULL, NULL, NULL, 0, &server), SASL_OK);
    if (binding != NULL)
        sasl_setprop(server, SASL_CHANNEL_BINDING, binding);
    struct buf wire = BUF_INIT(20000), raw = BUF_INIT(20000), challenge = BUF_INIT(20000);
    bool has = initial && sasl_initial(c, &wire);
    if (has && !str_eqz(buf_str(&wire), "="))
        assert_true(base64_decode(buf_str(&wire), &raw));
    const char *out = NULL;
    unsigned n = 0;
    int r = sasl_server_start(server, sasl_mechanism(c), has ? (raw.p != NULL ? raw.p : "") : NULL, (unsigned)raw.n,
                              &out, &n);
    bool ok = true;
    for (int turn = 0; turn < 10 && (r == SASL_CONTINUE || (r == SASL_OK && n > 0)); turn++) {
        bool last = r == SASL_OK;
        buf_reset(&wire);
        buf_reset(&raw);
        buf_reset(&challenge);
        base64_encode((struct str){out, n}, &challenge);
        if (last) {
            ok = sasl_finish(c, buf_str(&challenge), err);
            break;
        }
        if (!sasl_step(c, buf_str(&challenge), &wire, err)) {
            ok = false;
            break;
        }
        base64_decode(buf_str(&wire), &raw);
        n = 0;
        r = sasl_server_step(server, raw.p != NULL ? raw.p : "", (unsigned)raw.n, &out, &n);
    }
    ok = ok && r == SASL_OK && sasl_finish(c, STR(""), err);
    if (ok) {
        const void *user = NULL;
        sasl_getprop(server, SASL_USERNAME, &user);
        assert_non_null(user);
        assert_int_equal(strncmp(user, "alice", 5), 0);
    } else if (err->kind == ERR_NONE) {
        err_set(err, ERR_AUTH, "refused");
    }
    sasl_dispose(&server);
    sasl_free(&c);
    buf_fini(&wire);
    buf_fini(&raw);
    buf_fini(&challenge);
    return ok;
}

/* ---- Every mechanism ---------------------------------------------------------------------------- */

static void test_mechanisms(void **state UNUSED)
{
    static const char *const names[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (int initial = 0; initial < 2; initial++) {
            struct err err = ERR_INIT;
            char m[40] = "";
            if (!login(names[i], PASSWORD, NULL, NULL, true, initial == 1, m, &err))
                fail_msg("%s, initial %d: %s", names[i], initial, err.text);
            assert_string_equal(m, names[i]);
            err = ERR_INIT;
            assert_false(login(names[i], "wrong", NULL, NULL, true, initial == 1, m, &err));
            assert_int_equal(err.kind, ERR_AUTH);
        }
    }
}

/* ---- What is chosen ----------------------------------------------------------------------------- */

struct peer {
    struct cert leaf;
    int max_version;
    bool no_ems, wants_certificate;
};

struct pair {
    struct cert ca;
    struct peer peer;
    char *ca_path;
    struct stream *s;
    pid_t pid;
    struct buf binding;
    const char *type;
};

static int any_certificate(int ok UNUSED, X509_STORE_CTX *store UNUSED)
{
    return 1;
}

static void tls_peer(int fd, const void *arg)
{
    const struct peer *peer = arg;
    SSL_CTX *ctx = cert_context(&peer->leaf, peer->max_version);
    if (peer->no_ems)
        SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    if (peer->wants_certificate)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, any_certificate);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) != 1)
        return;
    char b[8];
    while (ssl != NULL && SSL_read(ssl, b, sizeof b) > 0)
        continue;
}

static void pair_open(struct pair *p)
{
    p->peer = (struct peer){.max_version = p->peer.max_version, .no_ems = p->peer.no_ems};
    p->ca = cert_make(NULL, "Test authority", NULL, -1000, 100000);
    p->peer.leaf = cert_make(&p->ca, "x", "DNS:mail.example.org", -10, 100000);
    p->ca_path = cert_file(&p->ca);
    struct stream_options o = {.ca_file = p->ca_path, .wake_fd = -1};
    struct err err = ERR_INIT;
    assert_true(stream_setup(&o, &err));
    int fd;
    p->pid = peer_start(tls_peer, &p->peer, &fd);
    p->s = stream_from_fds(fd, fd, &o);
    assert_true(stream_starttls(p->s, "mail.example.org", &err));
    p->binding = BUF_INIT(100);
    assert_true(stream_channel_binding(p->s, &p->type, &p->binding));
}

static void pair_close(struct pair *p)
{
    stream_close(&p->s);
    peer_wait(p->pid);
    buf_fini(&p->binding);
    unlink(p->ca_path);
    free(p->ca_path);
    cert_free(&p->ca);
    cert_free(&p->peer.leaf);
}

static void test_choice(void **state UNUSED)
{
    struct pair p = {.s = NULL};
    pair_open(&p);
    static const struct {
        const char *offered;
        bool tls, insecure_ok;
        const char *want; /* NULL: none */
    } rows[] = {
        {"PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", true, false, "SCRAM-SHA-256"},
        {"PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", true, false, "SCRAM-SHA-256-PLUS"},
        {"plain scram-sha-1", true, false, "SCRAM-SHA-1"},
        {"CRAM-MD5 LOGIN PLAIN", true, false, "PLAIN"}, /* THREATS 18 */
        {"CRAM-MD5 LOGIN", true, false, "LOGIN"},
        {"CRAM-MD5", true, false, "CRAM-MD5"},
        {"GSSAPI NTLM DIGEST-MD5 EXTERNAL ANONYMOUS", true, false, NULL},
        {"", true, false, NULL},
        {"PLAIN LOGIN", false, false, NULL}, /* THREATS 2: no password in plain text */
        {"PLAIN LOGIN", false, true, "PLAIN"},
        {"PLAIN CRAM-MD5", false, true, "CRAM-MD5"},
        {"PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-256", false, false, "SCRAM-SHA-256"},
        {"OAUTHBEARER", false, true, NULL},
        {"  PLAIN   ", true, false, "PLAIN"},
        {"PLAINER XPLAIN", true, false, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err = ERR_INIT;
        struct secret secret = password(PASSWORD);
        struct sasl *c = sasl_new(str_z(rows[i].offered), "imap", "mail.example.org", "alice", &secret,
                                  rows[i].tls ? p.s : NULL, rows[i].insecure_ok, &err);
        secret_free(&secret);
        if (rows[i].want == NULL) {
            if (c != NULL)
                fail_msg("\"%s\" gave %s", rows[i].offered, sasl_mechanism(c));
            assert_int_equal(err.kind, ERR_NO_AUTH_METHOD);
        } else {
            if (c == NULL)
                fail_msg("\"%s\": %s", rows[i].offered, err.text);
            assert_string_equal(sasl_mechanism(c), rows[i].want);
        }
        sasl_free(&c);
    }
    pair_close(&p);
}

/* ---- A whole login ------------------------------------------------------------------------------ */
struct carried {
    char mechanisms[200]; /* in order, a blank behind each */
    const char *refusal;  /* of a login with channel binding */
};

static bool carry(void *arg, struct sasl *s, struct err *err)
{
    struct carried *c = arg;
    size_t n = strlen(c->mechanisms);
    snprintf(c->mechanisms + n, sizeof c->mechanisms - n, "%s ", sasl_mechanism(s));
    return strstr(sasl_mechanism(s), "-PLUS") == NULL || err_set(err, ERR_AUTH, "it says \"%s\"", c->refusal);
}

/* Without the binding where it could not be followed, and from then on; a password is never tried twice. */
static void test_login_without_binding(void **state UNUSED)
{
    static const struct {
        const char *host, *refusal, *want;
        bool ok;
        const char *known; /* the host of a refusal under the key of this line, NULL: none is known */
        int64_t age;
    } rows[] = {
        {"a.example.org", "authentication failure", "SCRAM-SHA-256-PLUS ", false, NULL, 0},
        {"a.example.org", "bad protocol / cancel", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 ", true, NULL, 0},
        {"a.example.org", "no", "SCRAM-SHA-256-PLUS ", false, NULL, 0}, /* another key */
        {"a.example.org", "", "SCRAM-SHA-256 ", true, "a.example.org", 60},
        {"b.example.org", "no", "SCRAM-SHA-256-PLUS ", false, "a.example.org", 60},
        {"a.example.org", "no", "SCRAM-SHA-256-PLUS ", false, "a.example.org", 8 * 86400},
        {"a.example.org", "no", "SCRAM-SHA-256-PLUS ", false, "a.example.org", -86400}, /* a clock set back */
        {"b.example.org", "no " PASSWORD, "SCRAM-SHA-256-PLUS ", false, NULL, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p = {.s = NULL};
        struct err err = ERR_INIT;
        struct secret secret = password(PASSWORD);
        struct carried c = {.refusal = rows[i].refusal};
        bool tried = false;
        pair_open(&p);
        struct sasl_login l = {.offered = STR("PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-256"),
                               .service = "pop",
                               .host = rows[i].host,
                               .user = "alice",
                               .secret = &secret,
                               .stream = p.s,
                               .carry = carry,
                               .arg = &c};
        if (rows[i].known) {
            struct buf words = BUF_INIT(SASL_UNBOUND_MAX);
            buf_addf(&words, "%s ", rows[i].known);
            assert_true(stream_key(p.s, &words));
            buf_addf(&words, " %lld", (long long)(clock_wall() - rows[i].age));
            sasl_unbound_set(buf_str(&words));
            buf_fini(&words);
        }
        assert_int_equal(sasl_login(&l, &tried, &err), rows[i].ok);
        assert_true(tried);
        assert_string_equal(c.mechanisms, rows[i].want);
        assert_int_equal(err.kind, rows[i].ok ? ERR_NONE : ERR_AUTH);
        assert_null(strstr(err.text, PASSWORD));
        if (rows[i].ok) {
            struct buf words = BUF_INIT(SASL_UNBOUND_MAX);
            buf_addf(&words, "%s ", rows[i].host);
            assert_true(stream_key(p.s, &words));
            assert_true(str_starts(sasl_unbound(), buf_str(&words)));
            buf_fini(&words);
        }
        l.offered = STR("GSSAPI");
        assert_false(sasl_login(&l, &tried, &err));
        assert_false(tried);
        secret_free(&secret);
        pair_close(&p);
    }
}

/* RFC 5802 with channel binding: the right one is accepted, another line's (a man in the middle) is not. */
static void test_channel_binding(void **state UNUSED)
{
    static const struct {
        int max_version;
        bool no_ems;
        const char *type;
    } rows[] = {
        {0, false, "tls-exporter"},
        {TLS1_2_VERSION, false, "tls-unique"},
        {TLS1_2_VERSION, true, "tls-server-end-point"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p = {.peer = {.max_version = rows[i].max_version, .no_ems = rows[i].no_ems}};
        pair_open(&p);
        assert_string_equal(p.type, rows[i].type);
        if (rows[i].no_ems) {
            unsigned char md[32];
            unsigned n = 0;
            X509_digest(p.peer.leaf.x, EVP_sha256(), md, &n);
            assert_int_equal(p.binding.n, 32);
            assert_memory_equal(p.binding.p, md, 32);
        }
        char m[40] = "";
        struct err err = ERR_INIT;
        sasl_channel_binding_t right = {.name = p.type, .len = p.binding.n, .data = (const unsigned char *)p.binding.p};
        if (!login("SCRAM-SHA-256-PLUS SCRAM-SHA-256", PASSWORD, p.s, &right, false, true, m, &err))
            fail_msg("%s", err.text);
        assert_string_equal(m, "SCRAM-SHA-256-PLUS");
        unsigned char other[64];
        memset(other, 7, sizeof other);
        sasl_channel_binding_t wrong = {.name = p.type, .len = p.binding.n, .data = other};
        assert_false(login("SCRAM-SHA-256-PLUS", PASSWORD, p.s, &wrong, false, true, m, &err));
        assert_int_equal(err.kind, ERR_AUTH);
        pair_close(&p);
    }
}

/* EXTERNAL: only where the server asked for our certificate and got it, and never beside a password. */
static void test_external(void **state UNUSED)
{
    for (int asked = 0; asked < 2; asked++) {
        struct cert ca = cert_make(NULL, "Test authority", NULL, -1000, 100000);
        struct peer peer = {.leaf = cert_make(&ca, "x", "DNS:mail.example.org", -10, 100000),
                            .wants_certificate = asked};
        struct cert own = cert_make(&ca, "alice", NULL, -10, 100000), other = cert_make(&ca, "eve", NULL, -10, 100000);
        char *ca_path = cert_file(&ca), *own_path = cert_file(&own), *pem;
        struct stream_options o = {.ca_file = ca_path, .cert_file = own_path, .wake_fd = -1};
        struct err err = ERR_INIT;
        assert_true(stream_setup(&o, &err));
        assert_false(stream_has_private_key());
        for (int right = 0; right < 2; right++) {
            BIO *bio = BIO_new(BIO_s_mem());
            assert_int_equal(PEM_write_bio_PrivateKey(bio, right ? own.key : other.key, NULL, NULL, 0, NULL, NULL), 1);
            long n = BIO_get_mem_data(bio, &pem);
            struct secret key = secret_new((struct str){pem, (size_t)n});
            assert_int_equal(stream_private_key(&key, NULL, &err), right);
            if (!right)
                assert_int_equal(err.kind, ERR_SECRET);
            secret_free(&key);
            BIO_free(bio);
        }
        int fd;
        pid_t pid = peer_start(tls_peer, &peer, &fd);
        struct stream *s = stream_from_fds(fd, fd, &o);
        assert_true(stream_starttls(s, "mail.example.org", &err));
        assert_int_equal(stream_showed_certificate(s), asked);
        struct secret none = {.p = NULL}, some = password(PASSWORD);
        struct buf wire = BUF_INIT(100);
        struct sasl *c = sasl_new(STR("PLAIN EXTERNAL"), "imap", "mail.example.org", "alice", &none, s, false, &err);
        assert_int_equal(c != NULL, asked);
        if (c != NULL) {
            assert_string_equal(sasl_mechanism(c), "EXTERNAL");
            assert_true(sasl_initial(c, &wire));
            assert_string_equal(buf_z(&wire), "YWxpY2U=");
            sasl_free(&c);
            assert_null(sasl_new(STR("PLAIN"), "imap", "mail.example.org", "alice", &none, s, false, &err));
            assert_int_equal(err.kind, ERR_NO_AUTH_METHOD);
        } else {
            assert_int_equal(err.kind, ERR_SECRET);
        }
        c = sasl_new(STR("EXTERNAL PLAIN"), "imap", "mail.example.org", "alice", &some, s, false, &err);
        assert_string_equal(sasl_mechanism(c), "PLAIN");
        sasl_free(&c);
        secret_free(&some);
        buf_fini(&wire);
        stream_close(&s);
        peer_wait(pid);
        unlink(ca_path);
        unlink(own_path);
        free(ca_path);
        free(own_path);
        cert_free(&ca);
        cert_free(&own);
        cert_free(&other);
        cert_free(&peer.leaf);
    }
}

static void test_bearer(void **state UNUSED)
{
    struct pair p = {.s = NULL};
    pair_open(&p);
    char token[200] = "ya29.";
    memset(token + 5, 'a', 150);
    static const char *const names[] = {"OAUTHBEARER", "XOAUTH2"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char offered[60], want[400];
        snprintf(offered, sizeof offered, "PLAIN %s", names[i]);
        struct secret secret = password(token);
        secret.token = true;
        struct err err = ERR_INIT;
        struct sasl *c = sasl_new(str_z(offered), "imap", "mail.example.org", "alice", &secret, p.s, false, &err);
        secret_free(&secret);
        assert_non_null(c);
        assert_string_equal(sasl_mechanism(c), names[i]);
        struct buf wire = BUF_INIT(5000), raw = BUF_INIT(5000);
        assert_true(sasl_initial(c, &wire));
        assert_true(base64_decode(buf_str(&wire), &raw));
        snprintf(want, sizeof want,
                 i == 0 ? "n,a=alice,\001host=mail.example.org\001auth=Bearer %s\001\001"
                        : "user=alice\001auth=Bearer %s\001\001",
                 token);
        assert_string_equal(buf_z(&raw), want);
        /* THREATS 23: the error's details are answered once, so that the refusal can follow. */
        buf_reset(&wire);
        assert_true(sasl_step(c, STR("eyJzdGF0dXMiOiI0MDEifQ=="), &wire, &err));
        assert_string_equal(buf_z(&wire), i == 0 ? "AQ==" : "");
        assert_false(sasl_step(c, STR("eyJzdGF0dXMiOiI0MDEifQ=="), &wire, &err));
        assert_int_equal(err.kind, ERR_AUTH);
        err_set(&err, ERR_AUTH, "refused");
        sasl_explain(c, &err);
        assert_string_equal(err.text, "refused (of the access token: 401)");
        buf_fini(&wire);
        buf_fini(&raw);
        sasl_free(&c);
        /* a token is never a password, and never on an open line */
        struct secret again = password(token);
        again.token = true;
        assert_null(sasl_new(STR("PLAIN LOGIN"), "imap", "mail.example.org", "alice", &again, p.s, true, &err));
        assert_null(sasl_new(str_z(offered), "imap", "mail.example.org", "alice", &again, NULL, true, &err));
        assert_int_equal(err.kind, ERR_NO_AUTH_METHOD);
        secret_free(&again);
    }
    pair_close(&p);
}

/* What a server may say of a token: only a short plain word of it is shown. */
static void test_bearer_status(void **state UNUSED)
{
    static const struct {
        const char *json, *shown;
    } rows[] = {
        {"{\"status\":\"invalid_token\",\"scope\":\"mail\"}", "refused (of the access token: invalid_token)"},
        {"{ \"status\" : 400 }", "refused (of the access token: 400 )"},
        {"{\"status\":\"\\u001b[31m\"}", "refused"},
        {"{\"status\"", "refused"},
        {"{\"status\":", "refused"},
        {"{\"status\":\"", "refused"},
        {"", "refused"},
        {"not json", "refused"},
    };
    struct pair p = {.s = NULL};
    pair_open(&p);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct secret secret = password("t0ken");
        struct err err = ERR_INIT;
        struct buf wire = BUF_INIT(1000), out = BUF_INIT(100);
        secret.token = true;
        struct sasl *c = sasl_new(STR("OAUTHBEARER"), "imap", "h", "alice", &secret, p.s, false, &err);
        assert_true(sasl_initial(c, &out));
        base64_encode(str_z(rows[i].json), &wire);
        assert_true(sasl_step(c, buf_str(&wire), &out, &err));
        err_set(&err, ERR_AUTH, "refused");
        sasl_explain(c, &err);
        assert_string_equal(err.text, rows[i].shown);
        sasl_free(&c);
        secret_free(&secret);
        buf_fini(&wire);
        buf_fini(&out);
    }
    pair_close(&p);
}

/* ---- Lies --------------------------------------------------------------------------------------- */

static void test_lies(void **state UNUSED)
{
    static const struct {
        const char *mechanism;
        const char *challenge; /* as sent */
        enum err_kind want;
    } rows[] = {
        {"CRAM-MD5", "", ERR_PROTOCOL},                              /* THREATS 18: no message id */
        {"CRAM-MD5", "YWJj", ERR_PROTOCOL},                          /* abc */
        {"CRAM-MD5", "PGFAYgpjPg==", ERR_PROTOCOL},                  /* with a line end */
        {"CRAM-MD5", "%%%", ERR_PROTOCOL},                           /* no base64 */
        {"SCRAM-SHA-256", "cj1ub25lLHM9YWJjZCxpPTQwOTY=", ERR_AUTH}, /* another nonce */
        {"SCRAM-SHA-256", "dj1hYmNk", ERR_AUTH},                     /* the end before the middle */
        {"SCRAM-SHA-256", "ZT1vdGhlci1lcnJvcg==", ERR_AUTH},         /* e=other-error */
        {"PLAIN", "YWJj", ERR_AUTH},                                 /* PLAIN has no second step */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err = ERR_INIT;
        struct secret secret = password(PASSWORD);
        struct sasl *c =
            sasl_new(str_z(rows[i].mechanism), "pop", "mail.example.org", "alice", &secret, NULL, true, &err);
        secret_free(&secret);
        assert_non_null(c);
        struct buf out = BUF_INIT(20000);
        sasl_initial(c, &out);
        buf_reset(&out);
        if (sasl_step(c, str_z(rows[i].challenge), &out, &err))
            fail_msg("%s took %s", rows[i].mechanism, rows[i].challenge);
        assert_int_equal(err.kind, rows[i].want);
        assert_null(strstr(err.text, "correct horse"));
        buf_fini(&out);
        sasl_free(&c);
    }
    /* A server that says OK without its proof. */
    struct err err = ERR_INIT;
    struct secret secret = password(PASSWORD);
    struct sasl *c = sasl_new(STR("SCRAM-SHA-256"), "pop", "mail.example.org", "alice", &secret, NULL, true, &err);
    assert_non_null(c);
    assert_false(sasl_finish(c, STR(""), &err));
    assert_int_equal(err.kind, ERR_AUTH);
    sasl_free(&c);
    /* A challenge of megabytes. */
    c = sasl_new(STR("SCRAM-SHA-256"), "pop", "mail.example.org", "alice", &secret, NULL, true, &err);
    char *big = mem_new(1u << 20);
    memset(big, 'A', 1u << 20);
    struct buf out = BUF_INIT(20000);
    assert_false(sasl_step(c, (struct str){big, 1u << 20}, &out, &err));
    buf_fini(&out);
    free(big);
    sasl_free(&c);
    secret_free(&secret);
}

/* THREATS 24, 25: control characters in names and passwords are refused before anything is sent. */
static void test_control(void **state UNUSED)
{
    static const struct {
        const char *user, *secret;
        enum err_kind want;
    } rows[] = {
        {"alice\r\nDELE 1", "x", ERR_CONFIG},
        {"", "x", ERR_CONFIG},
        {"alice", "a\nb", ERR_SECRET},
        {"alice", "", ERR_SECRET},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err = ERR_INIT;
        struct secret secret = password(rows[i].secret);
        assert_null(sasl_new(STR("PLAIN"), "pop", "h", rows[i].user, &secret, NULL, true, &err));
        assert_int_equal(err.kind, rows[i].want);
        secret_free(&secret);
    }
}

static int setup(void **state UNUSED)
{
    static const sasl_callback_t callbacks[] = {{SASL_CB_GETOPT, (int (*)(void))(void (*)(void))getopt_server, NULL},
                                                {SASL_CB_LOG, (int (*)(void))(void (*)(void))quiet, NULL},
                                                {SASL_CB_LIST_END, NULL, NULL}};
    struct err err = ERR_INIT;
    if (!sasl_setup(&err) || sasl_server_init(callbacks, "tuimail-test") != SASL_OK)
        return -1;
    return sasl_auxprop_add_plugin("fixed", plug_init) == SASL_OK ? 0 : -1;
}

/* THREATS 20: a server that repeats the login in its refusal. */
static void test_what_a_server_repeats(void **state UNUSED)
{
    static const struct {
        const char *secret, *said, *shown;
    } cases[] = {
        {"s3cr3tPw", "no: LOGIN alice \"s3cr3tPw\"", "no: LOGIN alice \"***\""},
        {"s3cr3tPw", "AUTH PLAIN AGFsaWNlAHMzY3IzdFB3 is bad", "AUTH PLAIN *** is bad"},
        {"s3cr3tPw", "x czNjcjN0UHc= y", "x *** y"},
        {"s3cr3tPw", "abAGFsaWNlAHMzY3IzdFB3", "***"},
        {"s3cr3tPw", "s3cr3tPws3cr3tPw", "******"},
        {"ab", "cabbage", "c***ge"},
        {"s3cr3tPw", "LOGIN ALICE S3CR3TPW is bad", "LOGIN ALICE *** is bad"},
        {"s3cr3tPw", "pass=%733CR3t%50w&x=%7", "pass=***&x=%7"},
        {"a%25b c", "?a%25b c, ?a%2525b%20C", "?***, ?***"},
        {"Pass1", "pass1 %50ass1", "pass1 %50ass1"}, /* short: a word as it stands */
        {"s3cr3tPw", "%%s3cr3tP", "%%s3cr3tP"},
        {"s3cr3tPw", "[AUTHENTICATIONFAILED] Authentication failed", "[AUTHENTICATIONFAILED] Authentication failed"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct secret secret = password(cases[i].secret);
        struct err err = ERR_INIT;
        err_set(&err, ERR_AUTH, "%s", cases[i].said);
        sasl_redact(&secret, &err);
        assert_null(strstr(err.text, cases[i].secret));
        if (i != 5)
            assert_string_equal(err.text, cases[i].shown);
        secret_free(&secret);
    }
    /* a token longer than the text that repeats it */
    char token[2000], said[2100], *wire;
    for (size_t i = 0; i < sizeof token; i++)
        token[i] = (char)('A' + (i * i + i / 7) % 26);
    token[sizeof token - 1] = '\0';
    snprintf(said, sizeof said, "bad: %s", token);
    struct buf b = BUF_INIT(4000);
    base64_encode(str_z(said), &b);
    wire = buf_take(&b, NULL);
    const char *const echoes[] = {said, wire};
    for (size_t i = 0; i < COUNT(echoes); i++) {
        struct secret secret = password(token);
        struct err err = ERR_INIT;
        err_set(&err, ERR_AUTH, "%s", echoes[i]);
        sasl_redact(&secret, &err);
        if (strlen(err.text) >= 20)
            fail_msg("%s", err.text);
        secret_free(&secret);
    }
    free(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mechanisms),      cmocka_unit_test(test_choice),
        cmocka_unit_test(test_channel_binding), cmocka_unit_test(test_login_without_binding),
        cmocka_unit_test(test_external),        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_bearer_status),   cmocka_unit_test(test_lies),
        cmocka_unit_test(test_control),         cmocka_unit_test(test_what_a_server_repeats),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
