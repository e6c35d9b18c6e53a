/* TLS by OpenSSL: who the peer is decides one function, after the handshake and before a byte of ours (RFC 8446, 6125,
 * 9266). */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "net/stream_impl.h"

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#define SSL_get1_peer_certificate SSL_get_peer_certificate
#endif

enum doubt { DOUBT_CA = 1, DOUBT_HOST = 2, DOUBT_EXPIRED = 4, DOUBT_NOT_YET = 8, DOUBT_OTHER = 16 };

struct tls {
    SSL *ssl;
    char *host;
    char *pin;
    unsigned doubts; /* what the chain lacks */
    int other;       /* X509_V_ERR_ of DOUBT_OTHER */
    bool proven;
    bool heard; /* data of the peer came */
    bool asked; /* the server wants a certificate of ours */
};

static SSL_CTX *ctx;
static int tls_index = -1; /* of struct tls in an SSL */

static const struct {
    int error;
    enum doubt doubt;
} doubts[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, DOUBT_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, DOUBT_NOT_YET},
    {X509_V_ERR_HOSTNAME_MISMATCH, DOUBT_HOST},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, DOUBT_HOST},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, DOUBT_CA},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, DOUBT_CA},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, DOUBT_CA},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, DOUBT_CA},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, DOUBT_CA},
    {X509_V_ERR_CERT_UNTRUSTED, DOUBT_CA},
};

/* Lets the handshake go on and remembers every doubt: the verdict needs all of them and the key. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = ssl != NULL ? SSL_get_ex_data(ssl, tls_index) : NULL;
    if (t == NULL)
        return 0;
    if (ok)
        return 1;
    int error = X509_STORE_CTX_get_error(store);
    for (size_t i = 0; i < COUNT(doubts); i++) {
        if (doubts[i].error == error) {
            t->doubts |= doubts[i].doubt;
            return 1;
        }
    }
    t->doubts |= DOUBT_OTHER;
    t->other = error;
    return 1;
}

static bool library_failed(struct err *err, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return err_set(err, ERR_TLS, "%s: %s", what, why != NULL ? why : "TLS failed");
}

static int on_certificate_wanted(SSL *ssl, void *arg UNUSED)
{
    struct tls *t = SSL_get_ex_data(ssl, tls_index);
    if (t != NULL)
        t->asked = true;
    return 1;
}

static bool no_file(struct err *err, const char *option, const char *path)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return err_set(err, ERR_CONFIG, "%s %s: %s", option, path, why != NULL ? why : "cannot be read");
}

bool tls_setup(const char *ca_file, const char *cert_file, struct err *err)
{
    if (ctx != NULL)
        SSL_CTX_free(ctx);
    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return library_failed(err, "OpenSSL");
    if (tls_index < 0)
        tls_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, 0);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
    if (SSL_CTX_set_cipher_list(ctx, "DEFAULT:!aNULL:!eNULL:!PSK:!SRP:!RC4:!3DES:!MD5") != 1)
        return library_failed(err, "OpenSSL");
    int loaded =
        ca_file[0] != '\0' ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL) : SSL_CTX_set_default_verify_paths(ctx);
    if (loaded != 1)
        return no_file(err, "tls-ca-file", ca_file);
    if (cert_file[0] != '\0' && SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        return no_file(err, "tls-cert-file", cert_file);
    SSL_CTX_set_cert_cb(ctx, on_certificate_wanted, NULL);
    /* What OpenSSL loads when first needed, a sandbox would refuse: make one connection object and one random byte now.
     */
    SSL *warm = SSL_new(ctx);
    if (warm == NULL)
        return library_failed(err, "OpenSSL");
    SSL_free(warm);
    unsigned char byte[32];
    EVP_MD_free(EVP_MD_fetch(NULL, "SHA256", NULL));
    SHA256((const unsigned char *)"", 0, byte);
    return true;
}

static int on_key_password(char *out, int size, int writing UNUSED, void *arg)
{
    const struct secret *password = arg;
    if (password == NULL || password->n > (size_t)size)
        return -1;
    memcpy(out, password->p, password->n);
    return (int)password->n;
}

bool stream_private_key(const struct secret *pem, const struct secret *password, struct err *err)
{
    union {
        const void *in;
        void *out;
    } arg = {.in = password}; /* the callback's type has no const */
    ERR_clear_error();
    BIO *bio = ctx != NULL ? BIO_new_mem_buf(pem->p, (int)pem->n) : NULL;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, on_key_password, arg.out) : NULL;
    bool ok = key != NULL;
    if (!ok)
        err_set(err, ERR_SECRET, "the private key of tls-cert-file cannot be read%s",
                password == NULL ? "; if it has a password, set tls-key-password-command" : ": is its password right?");
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        ok = err_set(err, ERR_SECRET, "the private key is not that of tls-cert-file");
    ERR_clear_error();
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

bool stream_has_private_key(void)
{
    return ctx != NULL && SSL_CTX_get0_privatekey(ctx) != NULL;
}

bool tls_showed_certificate(const struct tls *t)
{
    return t->asked && SSL_get_privatekey(t->ssl) != NULL;
}

static bool is_address(const char *host)
{
    unsigned char b[16];
    return inet_pton(AF_INET, host, b) == 1 || inet_pton(AF_INET6, host, b) == 1;
}

struct tls *tls_new(int rfd, int wfd, const char *host, const char *pin, struct err *err)
{
    ERR_clear_error();
    if (ctx == NULL && !tls_setup("", "", err))
        return NULL;
    struct tls *t = mem_new(sizeof *t);
    size_t n = strlen(host);
    if (n > 0 && host[n - 1] == '.')
        n--; /* a trailing dot is no part of the name in a certificate */
    t->host = mem_dup_n(host, n);
    t->pin = mem_dup_z(pin != NULL ? pin : "");
    t->ssl = SSL_new(ctx);
    bool address = is_address(t->host);
    bool ok = t->ssl != NULL && n > 0 && SSL_set_ex_data(t->ssl, tls_index, t) == 1 && SSL_set_rfd(t->ssl, rfd) == 1 &&
              SSL_set_wfd(t->ssl, wfd) == 1;
    if (ok) {
        X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
        X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        ok = address
                 ? X509_VERIFY_PARAM_set1_ip_asc(p, t->host) == 1
                 : X509_VERIFY_PARAM_set1_host(p, t->host, 0) == 1 && SSL_set_tlsext_host_name(t->ssl, t->host) == 1;
    }
    if (!ok) {
        library_failed(err, t->host);
        tls_free(&t, false);
        return NULL;
    }
    SSL_set_connect_state(t->ssl);
    return t;
}

void tls_free(struct tls **tp, bool say_goodbye)
{
    struct tls *t = *tp;
    if (t == NULL)
        return;
    if (t->ssl != NULL) {
        if (say_goodbye && t->proven) {
            ERR_clear_error();
            (void)SSL_shutdown(t->ssl); /* sends close_notify if the socket takes it now; waits for nothing */
        }
        SSL_free(t->ssl);
    }
    ERR_clear_error();
    free(t->host);
    free(t->pin);
    free(t);
    *tp = NULL;
}

/* ---- The verdict -------------------------------------------------------------------------------- */

static bool spki_pin(X509 *cert, struct buf *out)
{
    unsigned char *der = NULL, md[SHA256_DIGEST_LENGTH];
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    if (n <= 0)
        return false;
    SHA256(der, (size_t)n, md);
    OPENSSL_free(der);
    return buf_addz(out, "sha256/") && base64_encode((struct str){(const char *)md, sizeof md}, out);
}

static bool pinned(const char *pins, const char *seen)
{
    struct str rest = str_z(pins), want = str_z(seen);
    while (rest.n > 0) {
        size_t n = 0;
        while (n < rest.n && strchr(" \t,", rest.p[n]) == NULL)
            n++;
        if (n > 0 && str_eq(str_sub(rest, 0, n), want))
            return true;
        rest = str_sub(rest, MIN(n + 1, rest.n), rest.n);
    }
    return false;
}

static void add_clean(struct buf *out, const unsigned char *p, int n)
{
    for (int i = 0; i < n && i < 100; i++)
        buf_addc(out, p[i] > ' ' && p[i] < 0x7f ? (char)p[i] : '?');
}

/* The first names a certificate is for, as text for the user. */
static void names_of(X509 *cert, struct buf *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int shown = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < 4; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        char ip[INET6_ADDRSTRLEN] = "";
        if (g->type != GEN_DNS && g->type != GEN_IPADD)
            continue;
        const ASN1_STRING *s = g->type == GEN_DNS ? g->d.dNSName : g->d.iPAddress;
        const unsigned char *p = ASN1_STRING_get0_data(s);
        int n = ASN1_STRING_length(s);
        if (g->type == GEN_IPADD) {
            if ((n != 4 && n != 16) || inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof ip) == NULL)
                continue;
            p = (const unsigned char *)ip;
            n = (int)strlen(ip);
        }
        if (shown++ > 0)
            buf_addz(out, ", ");
        add_clean(out, p, n);
    }
    if (shown == 0)
        buf_addz(out, "no host at all");
    GENERAL_NAMES_free(names);
}

static void add_time(struct buf *out, const ASN1_TIME *at)
{
    struct tm tm;
    if (at != NULL && ASN1_TIME_to_tm(at, &tm) == 1)
        buf_addf(out, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min);
    else
        buf_addz(out, "an unreadable date");
}

static bool refuse(const struct tls *t, X509 *cert, const char *pin, struct err *err)
{
    struct buf b = BUF_INIT(600);
    if ((t->doubts & DOUBT_CA) != 0) {
        if ((t->doubts & DOUBT_HOST) != 0) {
            buf_addz(&b, "; besides, it is for ");
            names_of(cert, &b);
        }
        err_set(err, ERR_TLS_UNKNOWN_CA,
                "%s: the certificate comes from an authority that is not trusted here; its key is %s%s", t->host, pin,
                buf_z(&b));
    } else if ((t->doubts & DOUBT_HOST) != 0) {
        names_of(cert, &b);
        err_set(err, ERR_TLS_HOST, "%s: the certificate is for %s, not for %s; its key is %s", t->host, buf_z(&b),
                t->host, pin);
    } else if ((t->doubts & DOUBT_EXPIRED) != 0) {
        add_time(&b, X509_get0_notAfter(cert));
        err_set(err, ERR_TLS_EXPIRED, "%s: the certificate or one it rests on has expired (its own end: %s)", t->host,
                buf_z(&b));
    } else if ((t->doubts & DOUBT_NOT_YET) != 0) {
        add_time(&b, X509_get0_notBefore(cert));
        err_set(err, ERR_TLS_NOT_YET, "%s: the certificate or one it rests on is not valid yet (its own start: %s)",
                t->host, buf_z(&b));
    } else {
        err_set(err, ERR_TLS, "%s: the certificate was refused: %s", t->host, X509_verify_cert_error_string(t->other));
    }
    buf_fini(&b);
    return false;
}

static bool prove(struct tls *t, struct err *err)
{
    X509 *cert = SSL_get1_peer_certificate(t->ssl);
    if (cert == NULL)
        return err_set(err, ERR_TLS, "%s showed no certificate", t->host);
    struct buf pin = BUF_INIT(100);
    bool ok;
    if (!spki_pin(cert, &pin))
        ok = err_set(err, ERR_TLS, "%s: the certificate's key cannot be read", t->host);
    else if (t->pin[0] != '\0')
        ok = pinned(t->pin, buf_z(&pin)) ||
             err_set(err, ERR_TLS_PIN, "%s: the key is %s, not the pinned one", t->host, buf_z(&pin));
    else if (t->doubts != 0)
        ok = refuse(t, cert, buf_z(&pin), err);
    else if (SSL_get_verify_result(t->ssl) != X509_V_OK)
        ok = err_set(err, ERR_TLS, "%s: the certificate was refused: %s", t->host,
                     X509_verify_cert_error_string(SSL_get_verify_result(t->ssl)));
    else
        ok = true;
    buf_fini(&pin);
    X509_free(cert);
    t->proven = ok;
    return ok;
}

/* ---- Bytes -------------------------------------------------------------------------------------- */

static enum io failed(struct tls *t, int ret, const char *what, struct err *err)
{
    int e = errno;
    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (e != 0)
            err_sys(err, ERR_LINE, e, "%s: the connection was lost", t->host);
        else
            err_set(err, ERR_LINE, "%s: the connection was cut", t->host);
        return IO_FAIL;
    default:
        break;
    }
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        err_set(err, ERR_LINE, "%s: the connection was cut", t->host);
        return IO_FAIL;
    }
#endif
    char prefix[400];
    snprintf(prefix, sizeof prefix, "%.250s: %s", t->host, what);
    library_failed(err, prefix);
    /* Once the peer has spoken it is the line that broke, as any line does. Before, a TLS 1.3 server may refuse us. */
    if (t->heard)
        err->kind = ERR_LINE;
    return IO_FAIL;
}

enum io tls_handshake(struct tls *t, struct err *err)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_do_handshake(t->ssl);
    if (r == 1)
        return prove(t, err) ? IO_OK : IO_FAIL;
    enum io io = failed(t, r, "no TLS", err);
    if (io == IO_EOF)
        err_set(err, ERR_LINE, "%s: the connection was closed when TLS began", t->host);
    return io;
}

enum io tls_read(struct tls *t, char *p, size_t n, size_t *got_r, struct err *err)
{
    if (!t->proven)
        bug("tls_read before the peer is proven");
    ERR_clear_error();
    errno = 0;
    int r = SSL_read_ex(t->ssl, p, n, got_r);
    t->heard = t->heard || r == 1;
    return r == 1 ? IO_OK : failed(t, r, "TLS broke", err);
}

enum io tls_write(struct tls *t, const char *p, size_t n, size_t *done_r, struct err *err)
{
    if (!t->proven)
        bug("tls_write before the peer is proven");
    ERR_clear_error();
    errno = 0;
    int r = SSL_write_ex(t->ssl, p, n, done_r);
    return r == 1 ? IO_OK : failed(t, r, "TLS broke", err);
}

void tls_wire_bytes(const struct tls *t, uint64_t *in_r, uint64_t *out_r)
{
    *in_r = BIO_number_read(SSL_get_rbio(t->ssl));
    *out_r = BIO_number_written(SSL_get_wbio(t->ssl));
}

bool tls_key(const struct tls *t, struct buf *out)
{
    X509 *cert = t->proven ? SSL_get1_peer_certificate(t->ssl) : NULL;
    bool ok = cert != NULL && spki_pin(cert, out);
    X509_free(cert);
    return ok;
}

void tls_describe(const struct tls *t, struct buf *out)
{
    X509 *cert = SSL_get1_peer_certificate(t->ssl);
    if (cert == NULL || !t->proven) {
        X509_free(cert);
        return;
    }
    const char *version = SSL_get_version(t->ssl); /* "TLSv1.3" */
    buf_addf(out, "TLS %s, %s, issued by ", strncmp(version, "TLSv", 4) == 0 ? version + 4 : version,
             SSL_get_cipher_name(t->ssl));
    unsigned char issuer[128];
    int n = X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_commonName, (char *)issuer, sizeof issuer);
    if (n > 0) {
        for (int i = 0; i < n; i++)
            buf_addc(out, issuer[i] >= ' ' && issuer[i] < 0x7f ? (char)issuer[i] : '?');
    } else {
        buf_addz(out, "an authority without a name");
    }
    buf_addz(out, ", ");
    spki_pin(cert, out);
    if (t->pin[0] != '\0')
        buf_addz(out, " (pinned)");
    X509_free(cert);
}

/* RFC 5929 4.1: the certificate's hash by the algorithm that signed it, MD5 and SHA-1 replaced. */
static bool end_point(const struct tls *t, struct buf *out)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int nid = NID_undef;
    X509 *cert = SSL_get1_peer_certificate(t->ssl);
    bool ok = cert != NULL && X509_get_signature_info(cert, &nid, NULL, NULL, NULL) == 1;
    const EVP_MD *how = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
    ok = ok && how != NULL && X509_digest(cert, how, md, &n) == 1 && buf_add(out, md, n);
    X509_free(cert);
    return ok;
}

bool tls_channel_binding(const struct tls *t, const char **type_r, struct buf *out)
{
    unsigned char b[64];
    if (!t->proven)
        return false;
    if (SSL_version(t->ssl) >= TLS1_3_VERSION) {
        static const char label[] = "EXPORTER-Channel-Binding";
        *type_r = "tls-exporter";
        return SSL_export_keying_material(t->ssl, b, 32, label, sizeof label - 1, NULL, 0, 0) == 1 &&
               buf_add(out, b, 32);
    }
    /* Without the extended master secret a man in the middle can make two lines end alike (RFC 7627). */
    if (SSL_get_extms_support(t->ssl) == 1) {
        *type_r = "tls-unique";
        size_t n = SSL_get_finished(t->ssl, b, sizeof b); /* no resumption here, so the client's Finished came first */
        return n > 0 && n <= sizeof b && buf_add(out, b, n);
    }
    *type_r = "tls-server-end-point";
    return end_point(t, out);
}
