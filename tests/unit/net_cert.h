/* Certificates made in the test: one authority, and leaves with what the test wants wrong. */
#ifndef TUIMAIL_TESTS_NET_CERT_H
#define TUIMAIL_TESTS_NET_CERT_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/base.h"

struct cert {
    X509 *x;
    EVP_PKEY *key;
};

static void cert_add(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX c;
    X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
    if (e == NULL || X509_add_ext(x, e, -1) != 1)
        abort();
    X509_EXTENSION_free(e);
}

/* issuer NULL: an authority, self-signed. san NULL: none. from and to: seconds from now. */
static struct cert cert_make(const struct cert *issuer, const char *cn, const char *san, long from, long to)
{
    struct cert c = {.x = X509_new(), .key = EVP_EC_gen("P-256")};
    static long serial = 1;
    X509_set_version(c.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c.x), from);
    X509_gmtime_adj(X509_getm_notAfter(c.x), to);
    X509_set_pubkey(c.x, c.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(c.x, X509_get_subject_name(issuer != NULL ? issuer->x : c.x));
    cert_add(c.x, issuer != NULL ? issuer->x : c.x, NID_basic_constraints,
             issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    if (san != NULL)
        cert_add(c.x, issuer != NULL ? issuer->x : c.x, NID_subject_alt_name, san);
    if (X509_sign(c.x, issuer != NULL ? issuer->key : c.key, EVP_sha256()) == 0)
        abort();
    return c;
}

static void cert_free(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
}

/* Writes the certificate as PEM to a new file; the caller unlinks and frees the path. */
UNUSED static char *cert_file(const struct cert *c)
{
    char path[] = "/tmp/tuimail-test-ca-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f == NULL || PEM_write_X509(f, c->x) != 1 || fclose(f) != 0)
        abort();
    return mem_dup_z(path);
}

/* The server's side of the handshake, on a blocking fd; NULL when the client broke off. */
UNUSED static SSL_CTX *cert_context(const struct cert *c, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (max_version != 0) {
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_min_proto_version(ctx, 0);
        SSL_CTX_set_max_proto_version(ctx, max_version);
    }
    SSL_CTX_use_certificate(ctx, c->x);
    SSL_CTX_use_PrivateKey(ctx, c->key);
    return ctx;
}

UNUSED static SSL *cert_accept(int fd, const struct cert *c, int max_version)
{
    SSL_CTX *ctx = cert_context(c, max_version);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    return SSL_accept(ssl) == 1 ? ssl : NULL;
}

#endif
