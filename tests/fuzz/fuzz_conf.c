/* The command language and every option value: bytes in, no crash, no leak, and what was quoted comes back. */
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quote(const char *word)
{
    struct buf out = BUF_INIT(4 * LINE_MAX_BYTES);
    line_quote(str_z(word), &out);
    struct str rest = buf_str(&out);
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 1;
    if (line_next(&rest, "q", &number, &line, &err) == 1 && (line.n != 1 || strcmp(line.words[0], word) != 0))
        bug("a quoted word came back changed");
    line_fini(&line);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = conf_defaults();
    struct str rest = {(const char *)data, size};
    unsigned number = 1;
    struct line line;
    for (;;) {
        struct err err = ERR_INIT;
        int got = line_next(&rest, "fuzz", &number, &line, &err);
        if (got == 0)
            break;
        if (got < 0)
            continue;
        for (size_t i = 0; i < line.n; i++)
            check_quote(line.words[i]);
        if (strcmp(line.words[0], "source") != 0)
            conf_run(conf, &line, &err);
        line_fini(&line);
    }
    for (size_t i = 0; i < conf->naccounts; i++) {
        struct buf out = BUF_INIT(1 << 20);
        for (size_t k = 0; k < conf_noptions; k++)
            if (conf_options[k].scope == OPT_ACCOUNT)
                option_get(conf, &conf->accounts[i], &conf_options[k], &out);
        account_addresses(&conf->accounts[i], &out);
        account_owns(&conf->accounts[i], (struct str){(const char *)data, MIN(size, 300)});
        buf_fini(&out);
    }
    conf_free(&conf);
    return 0;
}
