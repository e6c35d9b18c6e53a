/* Columns of a list, as option list-format names them. */
#include "conf/conf.h"

const char *const column_names[COLUMN_COUNT + 1] = {
    [COLUMN_NUMBER] = "number",   [COLUMN_STATE] = "state", [COLUMN_DATE] = "date",       [COLUMN_FROM] = "from",
    [COLUMN_ADDRESS] = "address", [COLUMN_TO] = "to",       [COLUMN_SUBJECT] = "subject", [COLUMN_TAGS] = "tags",
    [COLUMN_SIZE] = "size",       [COLUMN_LIST] = "list",   [COLUMN_ACCOUNT] = "account", [COLUMN_MAILBOX] = "mailbox",
    [COLUMN_MARKS] = "marks",
};

static bool column_width(struct str word, struct column *c, struct err *err)
{
    uint32_t n;
    c->percent = word.n && word.p[word.n - 1] == '%';
    if (!str_u32(str_sub(word, 0, word.n - c->percent), &n) || n < 1 || n > (c->percent ? 90u : 200u))
        return err_set(err, ERR_CONFIG, "a column's width is a number of columns up to 200, or a part as 25%%");
    c->width = n;
    return true;
}

bool columns_parse(const char *text, struct columns *columns_r, struct err *err)
{
    struct str rest = str_z(text), word;
    struct columns got = {.n = 0};
    while (str_split(&rest, ' ', &word)) {
        struct column c = {.kind = COLUMN_COUNT};
        size_t colon;
        struct str name = str_find(word, ':', &colon) ? str_sub(word, 0, colon) : word;
        if (!word.n)
            continue;
        for (unsigned k = 0; k < COLUMN_COUNT; k++)
            if (str_eqz(name, column_names[k]))
                c.kind = (enum column_kind)k;
        if (c.kind == COLUMN_COUNT) {
            char *typed = mem_dup_n(name.p, MIN(name.n, (size_t)40));
            const char *near = near_word(typed, column_names);
            err_set(err, ERR_CONFIG, "no column \"%s\"%s%s%s", typed, near ? "; did you mean \"" : "", near ? near : "",
                    near ? "\"?" : "");
            free(typed);
            return false;
        }
        if (name.n < word.n && !column_width(str_sub(word, name.n + 1, word.n), &c, err))
            return false;
        for (unsigned i = 0; i < got.n; i++)
            if (got.list[i].kind == c.kind)
                return err_set(err, ERR_CONFIG, "the column %s stands there twice", column_names[c.kind]);
        got.list[got.n++] = c; /* each kind once: they have room */
    }
    if (!got.n)
        return err_set(err, ERR_CONFIG, "a list has one column at least");
    *columns_r = got;
    return true;
}
