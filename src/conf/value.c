/* Values of options: from the words of the language into the typed fields, and back. */
#include "conf/conf.h"

static void *field(struct conf *conf, struct account *account, const struct option *o)
{
    char *base = o->scope == OPT_ACCOUNT ? (char *)account : (char *)conf;
    return base + o->at;
}

static void set_string(char **at, const char *value)
{
    free(*at);
    *at = mem_dup_z(value);
}

static bool refuse(struct err *err, const struct option *o, const char *value, const char *wants)
{
    return err_set(err, ERR_CONFIG, "%s: \"%.80s\" is not %s", o->name, value, wants);
}

static bool in_range(const struct option *o, uint64_t v, struct err *err)
{
    if (v >= o->min && (o->max == 0 || v <= o->max))
        return true;
    return err_set(err, ERR_CONFIG, "%s: %llu is not from %llu to %llu %s", o->name, (unsigned long long)v,
                   (unsigned long long)o->min, (unsigned long long)o->max, o->unit ? o->unit : "");
}

/* A number with one unit letter of `units`, each worth `worth`. */
static bool parse_scaled(const char *value, const char *units, const uint64_t *worth, uint64_t *v_r)
{
    struct str s = str_z(value);
    uint64_t factor = 1;
    const char *unit = s.n ? strchr(units, s.p[s.n - 1] | 0x20) : NULL;
    if (unit && *unit) {
        factor = worth[unit - units];
        s.n--;
    }
    uint64_t v;
    if (!str_u64(s, &v) || (v && factor > UINT64_MAX / v))
        return false;
    *v_r = v * factor;
    return true;
}

static bool set_bool(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_case_eqz(str_z(value), words[i])) {
            *(bool *)field(c, a, o) = i % 2;
            return true;
        }
    return refuse(err, o, value, "yes or no");
}

static bool set_uint(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    uint32_t v;
    if (!str_u32(str_z(value), &v))
        return refuse(err, o, value, "a number");
    if (!in_range(o, v, err))
        return false;
    *(unsigned *)field(c, a, o) = v;
    return true;
}

static bool set_size(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    static const uint64_t worth[] = {1, UINT64_C(1) << 10, UINT64_C(1) << 20, UINT64_C(1) << 30};
    uint64_t v;
    if (!parse_scaled(value, "bkmg", worth, &v))
        return refuse(err, o, value, "a size such as 500K, 20M or 1G");
    if (!in_range(o, v, err))
        return false;
    *(uint64_t *)field(c, a, o) = v;
    return true;
}

static bool set_time(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    static const uint64_t worth[] = {1, 60, 3600, 86400, 604800};
    uint64_t v;
    if (!parse_scaled(value, "smhdw", worth, &v))
        return refuse(err, o, value, "a time such as 30, 30s, 5m or 2h");
    if (!in_range(o, v, err) || v > UINT32_MAX)
        return false;
    *(unsigned *)field(c, a, o) = (unsigned)v;
    return true;
}

static bool choice_place(const struct option *o, const char *value, unsigned *place_r, struct err *err)
{
    const char *names[16] = {NULL};
    char *owned[16];
    unsigned n = 0;
    bool found = false;
    struct str rest = str_z(o->choices), piece;
    while (n < COUNT(names) - 1 && str_split(&rest, ' ', &piece)) {
        if (!found && str_eqz(piece, value)) {
            *place_r = n;
            found = true;
        }
        names[n] = owned[n] = mem_dup_n(piece.p, piece.n);
        n++;
    }
    if (!found) {
        const char *near = near_word(value, names);
        if (near)
            err_set(err, ERR_CONFIG, "%s: \"%.80s\" is none of: %s; did you mean \"%s\"?", o->name, value, o->choices,
                    near);
        else
            err_set(err, ERR_CONFIG, "%s: \"%.80s\" is none of: %s", o->name, value, o->choices);
    }
    while (n)
        free(owned[--n]);
    return found;
}

static bool set_choice(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    unsigned place;
    if (!choice_place(o, value, &place, err))
        return false;
    set_string(field(c, a, o), value);
    return true;
}

static bool set_choices(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    struct str rest = str_z(value), piece;
    unsigned place;
    bool ok = true;
    while (ok && str_split(&rest, ' ', &piece)) {
        char *word = mem_dup_n(piece.p, piece.n);
        ok = !piece.n || choice_place(o, word, &place, err);
        free(word);
    }
    if (ok)
        set_string(field(c, a, o), value);
    return ok;
}

static bool set_index(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    return choice_place(o, value, field(c, a, o), err);
}

static bool set_text(struct conf *c, struct account *a, const struct option *o, const char *value,
                     UNUSED struct err *err)
{
    set_string(field(c, a, o), value);
    return true;
}

static bool set_path(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    char *path = path_expand_home(value);
    bool ok = path[0] == '\0' || path[0] == '/' || strncmp(path, "~/", 2) == 0 ||
              refuse(err, o, value, "an absolute path, nor does it begin with ~/");
    if (ok)
        set_string(field(c, a, o), path);
    free(path);
    return ok;
}

/* Values end up in protocol lines, headers and on the screen (doc/THREATS 25). Only a signature has lines. */
static bool printable(const struct option *o, const char *value, struct err *err)
{
    bool lines = strcmp(o->name, "signature") == 0;
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c < 0x20 && c != '\t' && !(c == '\n' && lines)) || c == 0x7f)
            return err_set(err, ERR_CONFIG, "%s: a control character or a line end in the value", o->name);
    }
    return true;
}

static bool set_address(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    struct account probe = {.from = mem_dup_z(value), .in = {.user = mem_dup_z("")}};
    struct buf address = BUF_INIT(512);
    account_address(&probe, &address);
    bool ok = value[0] == '\0' || address.n > 0 ||
              refuse(err, o, value, "an address such as \"Alice Example <alice@example.org>\"");
    if (ok)
        set_string(field(c, a, o), value);
    buf_fini(&address);
    free(probe.from);
    free(probe.in.user);
    return ok;
}

static bool set_url(struct conf *c, struct account *a, const struct option *o, const char *value, struct err *err)
{
    struct endpoint e = {.proto = PROTO_NONE};
    if (value[0] && !endpoint_parse(value, (enum url_for)o->min, &e, err)) {
        err_prefix(err, "%s", o->name);
        return false;
    }
    struct endpoint *at = field(c, a, o);
    endpoint_fini(at);
    *at = e;
    at->user = at->user ? at->user : mem_dup_z("");
    at->host = at->host ? at->host : mem_dup_z("");
    at->path = at->path ? at->path : mem_dup_z("");
    return true;
}

static bool set_leave(UNUSED struct conf *c, struct account *a, const struct option *o, const char *value,
                      struct err *err)
{
    uint32_t days = LEAVE_DAYS_DEFAULT;
    enum leave leave = LEAVE_DAYS;
    struct str s = str_trim(str_z(value));
    if (str_case_eqz(s, "keep"))
        leave = LEAVE_KEEP;
    else if (str_case_eqz(s, "delete"))
        leave = LEAVE_DELETE;
    else if (!str_case_eqz(s, "days") && (!str_case_starts(s, STR("days ")) ||
                                          !str_u32(str_trim(str_sub(s, 5, s.n)), &days) || days < 1 || days > 36500))
        return refuse(err, o, value, "keep, delete or \"days N\"");
    a->leave = leave;
    a->leave_days = days;
    set_string(&a->leave_text, value);
    return true;
}

bool cache_policy_parse(const char *text, struct cache_policy *policy_r)
{
    struct str s = str_trim(str_z(text));
    struct cache_policy p = {.what = CACHE_RECENT};
    if (str_case_eqz(s, "headers"))
        p.what = CACHE_HEADERS;
    else if (str_case_eqz(s, "all"))
        p.what = CACHE_ALL;
    else if (!str_case_starts(s, STR("recent ")) || !str_u32(str_trim(str_sub(s, 7, s.n)), &p.days) || p.days < 1 ||
             p.days > 36500)
        return false;
    *policy_r = p;
    return true;
}

static bool set_cache(UNUSED struct conf *c, struct account *a, const struct option *o, const char *value,
                      struct err *err)
{
    if (!cache_policy_parse(value, &a->cache))
        return refuse(err, o, value, "headers, all or \"recent DAYS\"");
    set_string(&a->cache_text, value);
    return true;
}

static bool set_columns(struct conf *c, UNUSED struct account *a, const struct option *o, const char *value,
                        struct err *err)
{
    if (!columns_parse(value, &c->columns, err)) {
        err_prefix(err, "%s", o->name);
        return false;
    }
    set_string(&c->list_format, value);
    return true;
}

typedef bool set_fn(struct conf *, struct account *, const struct option *, const char *, struct err *);
static set_fn *const setters[] = {
    [OPT_STR] = set_text,    [OPT_BOOL] = set_bool,     [OPT_UINT] = set_uint,       [OPT_SIZE] = set_size,
    [OPT_TIME] = set_time,   [OPT_CHOICE] = set_choice, [OPT_CHOICES] = set_choices, [OPT_INDEX] = set_index,
    [OPT_PATH] = set_path,   [OPT_COMMAND] = set_text,  [OPT_ADDRESS] = set_address, [OPT_URL] = set_url,
    [OPT_LEAVE] = set_leave, [OPT_CACHE] = set_cache,   [OPT_COLUMNS] = set_columns,
};

bool option_set(struct conf *conf, struct account *account, const struct option *o, const char *value, struct err *err)
{
    if (o->scope == OPT_ACCOUNT && !account)
        bug("option %s without an account", o->name);
    return printable(o, value, err) && setters[o->type](conf, account, o, value, err);
}

/* The largest unit that divides the value. */
static void put_scaled(uint64_t v, const char *units, const uint64_t *worth, size_t n, struct buf *out)
{
    size_t i = n;
    while (v && i && v % worth[i - 1])
        i--;
    if (v && i)
        buf_addf(out, "%llu%c", (unsigned long long)(v / worth[i - 1]), units[i - 1]);
    else
        buf_addf(out, "%llu", (unsigned long long)v);
}

void option_get(const struct conf *conf, const struct account *account, const struct option *o, struct buf *out)
{
    static const uint64_t sizes[] = {UINT64_C(1) << 10, UINT64_C(1) << 20, UINT64_C(1) << 30};
    static const uint64_t times[] = {60, 3600, 86400, 604800};
    if (o->scope == OPT_ACCOUNT && !account)
        bug("option %s without an account", o->name);
    const char *base = o->scope == OPT_ACCOUNT ? (const char *)account : (const char *)conf;
    const void *at = base + o->at;
    switch (o->type) {
    case OPT_BOOL:
        buf_addz(out, *(const bool *)at ? "yes" : "no");
        break;
    case OPT_UINT:
        buf_addf(out, "%u", *(const unsigned *)at);
        break;
    case OPT_SIZE:
        put_scaled(*(const uint64_t *)at, "KMG", sizes, COUNT(sizes), out);
        break;
    case OPT_TIME:
        put_scaled(*(const unsigned *)at, "mhdw", times, COUNT(times), out);
        break;
    case OPT_URL:
        endpoint_format(at, out);
        break;
    case OPT_INDEX: {
        struct str rest = str_z(o->choices), piece = {NULL, 0};
        for (unsigned i = 0; i <= *(const unsigned *)at && str_split(&rest, ' ', &piece); i++)
            continue;
        buf_adds(out, piece);
        break;
    }
    case OPT_STR:
    case OPT_CHOICE:
    case OPT_CHOICES:
    case OPT_PATH:
    case OPT_COMMAND:
    case OPT_ADDRESS:
    case OPT_LEAVE:
    case OPT_CACHE:
    case OPT_COLUMNS:
        buf_addz(out, *(char *const *)at);
        break;
    }
}
