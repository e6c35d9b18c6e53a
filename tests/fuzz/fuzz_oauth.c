/* An OAuth provider's answer and a browser's request: no crash, no leak, and no token that could end a protocol line.
 * The first byte chooses. */
#include "oauth/oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visible(const struct secret *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i] <= ' ' || s->p[i] >= 0x7f)
            bug("a token with a byte that no token has");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str in = {(const char *)data + 1, size - 1}, query;
    struct err err = ERR_INIT;
    if (data[0] % 2 == 0) {
        struct answer a;
        if (!answer_read("idp.example", data[0] < 128 ? 200 : 400, in, &a, &err) && err.kind == ERR_NONE)
            bug("an answer that is refused without a word");
        visible(&a.access);
        visible(&a.refresh);
        visible(&a.device_code);
        answer_free(&a);
    } else if (request_query(in, STR("/"), &query)) {
        struct buf value = BUF_INIT(1000);
        if (query_get(query, "code", &value))
            for (size_t i = 0; i < value.n; i++)
                if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
                    bug("a control character in a query's value");
        buf_fini(&value);
    }
    return 0;
}
