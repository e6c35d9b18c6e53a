/* By which a header is known again, whatever id its message has now. */
#include <openssl/evp.h>

#include "net/pop3_impl.h"

/* Fields that a server changes when a mail is read would change it. */
bool pop3_fickle(struct str line)
{
    static const char *const names[] = {"status:", "x-status:",   "x-uid:",          "x-uidl:", "x-keywords:",
                                        "x-imap:", "x-imapbase:", "content-length:", "lines:"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (str_case_starts(line, str_z(names[i])))
            return true;
    }
    return false;
}

bool pop3_head_id(struct str header, unsigned char id[POP3_HEAD_ID])
{
    struct str line;
    unsigned n = 0;
    unsigned char md[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1;
    while (ok && str_split(&header, '\n', &line) && str_trim(line).n > 0) {
        line = str_trim(line);
        if (!pop3_fickle(line))
            ok = EVP_DigestUpdate(c, line.p, line.n) == 1 && EVP_DigestUpdate(c, "\n", 1) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(c, md, &n) == 1 && n >= POP3_HEAD_ID;
    if (ok)
        memcpy(id, md, POP3_HEAD_ID);
    EVP_MD_CTX_free(c);
    return ok;
}
