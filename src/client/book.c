/* See book.h. */
#include "client/book.h"

#include <dirent.h>
#include <sys/stat.h>

#include "mail/mail.h"
#include "mail/vcard.h"

/* ---- Founds ------------------------------------------------------------------------------------- */
void founds_add(struct founds *f, struct str name, struct str addr, int64_t weight, int64_t last)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_case_eqz(addr, f->list[i].addr)) {
            struct book_found *at = &f->list[i];
            at->weight += weight;
            at->last = MAX(at->last, last);
            if (!at->name[0] && name.n > 0) {
                free(at->name);
                at->name = mem_dup_n(name.p, name.n);
            }
            return;
        }
    if (f->n == FOUNDS_MAX || addr.n == 0)
        return;
    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->list = mem_resize(f->list, f->cap, sizeof *f->list);
    }
    f->list[f->n] = (struct book_found){.name = mem_dup_n(name.n ? name.p : "", name.n),
                                        .addr = mem_dup_n(addr.p, addr.n),
                                        .weight = weight,
                                        .last = last,
                                        .place = f->n};
    f->n++;
}

static int by_likelihood(const void *a, const void *b)
{
    const struct book_found *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    if (x->last != y->last)
        return x->last > y->last ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

void founds_sort(struct founds *f)
{
    if (f->n > 1)
        qsort(f->list, f->n, sizeof *f->list, by_likelihood);
}

void founds_free(struct founds *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].name);
        free(f->list[i].addr);
    }
    free(f->list);
    *f = (struct founds){.n = 0};
}

/* ---- The book ----------------------------------------------------------------------------------- */
struct entry {
    char *name, *nick, *uid, *value; /* value: an address, or of a group what its members come to */
    char *members;                   /* of a group: a line each; else NULL */
};
struct shelf {
    char *path;
    struct timespec read; /* the directory's time when it was read last */
    bool known;
    DIR *dir; /* being read */
    struct entry *list, *fresh;
    size_t n, cap, nfresh;
};
struct book {
    struct shelf *shelves;
    size_t n;
    unsigned unread;
};

static void entries_free(struct entry *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].nick);
        free(list[i].uid);
        free(list[i].value);
        free(list[i].members);
    }
    free(list);
}

struct book *book_new(const char *directories)
{
    struct book *b = mem_new(sizeof *b);
    struct str rest = str_z(directories), one;
    while (rest.n > 0 && b->n < 64 && str_split(&rest, ':', &one)) {
        if (one.n == 0)
            continue;
        char *word = mem_dup_n(one.p, one.n);
        b->shelves = mem_resize(b->shelves, b->n + 1, sizeof *b->shelves);
        b->shelves[b->n++] = (struct shelf){.path = path_expand_home(word)};
        free(word);
    }
    return b;
}

void book_free(struct book **bp)
{
    struct book *b = *bp;
    *bp = NULL;
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->n; i++) {
        struct shelf *s = &b->shelves[i];
        entries_free(s->list, s->n);
        entries_free(s->fresh, s->nfresh);
        if (s->dir != NULL)
            closedir(s->dir);
        free(s->path);
    }
    free(b->shelves);
    free(b);
}

static char *dup_str(struct str s)
{
    return mem_dup_n(s.n ? s.p : "", s.n);
}

static void add_entry(struct shelf *s, const struct vcard *c, const char *value, char *members)
{
    if (s->nfresh == BOOK_ENTRIES_MAX) {
        free(members);
        return;
    }
    if (s->nfresh == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->fresh = mem_resize(s->fresh, s->cap, sizeof *s->fresh);
    }
    s->fresh[s->nfresh++] = (struct entry){.name = dup_str(c->name),
                                           .nick = dup_str(c->nick),
                                           .uid = dup_str(c->uid),
                                           .value = mem_dup_z(value),
                                           .members = members};
}

static void add_card(struct shelf *s, const struct vcard *c)
{
    if (c->group) {
        struct buf members = BUF_INIT(65536);
        for (size_t i = 0; i < c->nmembers; i++)
            if (!memchr(c->members[i].p, '\n', c->members[i].n))
                buf_addf(&members, "%.*s\n", STR_FMT(c->members[i]));
        add_entry(s, c, "", buf_take(&members, &(size_t){0}));
    }
    for (size_t i = 0; !c->group && i < c->nemails; i++) {
        char *addr = dup_str(c->emails[i]);
        add_entry(s, c, addr, NULL);
        free(addr);
    }
}

static bool read_file(struct shelf *s, const char *name)
{
    struct buf text = BUF_INIT(BOOK_FILE_MAX);
    struct err err = ERR_INIT;
    char *path = path_join(s->path, name);
    bool ok = fs_read(path, BOOK_FILE_MAX, &text, &err);
    struct str rest = buf_str(&text);
    struct arena *arena = arena_new(4 * BOOK_FILE_MAX);
    struct vcard *card = mem_new(sizeof *card);
    while (ok && vcard_next(&rest, arena, card))
        add_card(s, card);
    free(card);
    arena_free(&arena);
    buf_fini(&text);
    free(path);
    return ok;
}

static const struct entry *by_uid(const struct shelf *s, struct str uid)
{
    for (size_t i = 0; i < s->nfresh; i++)
        if (!s->fresh[i].members && str_eqz(uid, s->fresh[i].uid))
            return &s->fresh[i];
    return NULL;
}

/* Members of groups become addresses, once all cards are there. */
static void resolve_groups(struct shelf *s)
{
    for (size_t i = 0; i < s->nfresh; i++) {
        struct entry *e = &s->fresh[i];
        if (!e->members)
            continue;
        struct buf all = BUF_INIT(32768);
        struct str rest = str_z(e->members), one;
        while (rest.n > 0 && str_split(&rest, '\n', &one)) {
            const struct entry *m = one.n > 0 && !mail_addr_valid(one) ? by_uid(s, one) : NULL;
            struct str addr = m ? str_z(m->value) : one;
            if (mail_addr_valid(addr))
                buf_addf(&all, "%s%.*s", all.n ? ", " : "", STR_FMT(addr));
        }
        free(e->value);
        e->value = mem_dup_z(buf_z(&all));
        buf_fini(&all);
    }
}

static void finish(struct shelf *s)
{
    resolve_groups(s);
    closedir(s->dir);
    s->dir = NULL;
    entries_free(s->list, s->n);
    s->list = s->fresh;
    s->n = s->nfresh;
    s->fresh = NULL;
    s->nfresh = s->cap = 0;
}

static bool changed(struct book *b, struct shelf *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0) {
        b->unread += !s->known;
        s->known = true;
        return false;
    }
    if (s->known && st.st_mtim.tv_sec == s->read.tv_sec && st.st_mtim.tv_nsec == s->read.tv_nsec)
        return false;
    s->known = true;
    s->read = st.st_mtim;
    s->dir = opendir(s->path);
    b->unread += s->dir == NULL;
    return s->dir != NULL;
}

bool book_step(struct book *b, unsigned files)
{
    for (size_t i = 0; i < b->n; i++) {
        struct shelf *s = &b->shelves[i];
        if (s->dir == NULL && !changed(b, s))
            continue;
        for (struct dirent *d; (d = readdir(s->dir)) != NULL;) {
            size_t n = strlen(d->d_name);
            if (n < 5 || d->d_name[0] == '.' || strcasecmp(d->d_name + n - 4, ".vcf") != 0)
                continue;
            b->unread += !read_file(s, d->d_name);
            if (--files == 0)
                return true;
        }
        finish(s);
    }
    return false;
}

unsigned book_unread(const struct book *b)
{
    return b->unread;
}

/* ---- Finding ------------------------------------------------------------------------------------ */
static bool in_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* Does a word of it begin so? ASCII case is ignored. */
static bool begins(const char *z, struct str prefix)
{
    for (size_t i = 0; z[i]; i++)
        if ((i == 0 || !in_word(z[i - 1])) && strncasecmp(z + i, prefix.p, prefix.n) == 0)
            return true;
    return false;
}

static bool fits(const struct entry *e, struct str prefix)
{
    struct str word;
    while (prefix.n > 0 && str_split(&prefix, ' ', &word))
        if (word.n > 0 && !begins(e->name, word) && !begins(e->nick, word) &&
            (e->members || !begins(e->value, word))) /* a group is not found by its members */
            return false;
    return e->value[0] != '\0';
}

void book_find(const struct book *b, struct str prefix, unsigned max, struct founds *out)
{
    unsigned n = 0;
    for (size_t i = 0; i < b->n; i++)
        for (size_t k = 0; k < b->shelves[i].n && n < max; k++) {
            const struct entry *e = &b->shelves[i].list[k];
            if (!fits(e, prefix))
                continue;
            founds_add(out, str_z(e->name), str_z(e->value), 0, 0);
            n++;
        }
}

/* ---- Query commands ----------------------------------------------------------------------------- */
void query_parse(struct str output, unsigned max, struct founds *out)
{
    struct str line;
    unsigned n = 0;
    while (output.n > 0 && n < max && str_split(&output, '\n', &line)) {
        struct str addr, name = STR("");
        size_t tab;
        if (!str_find(line, '\t', &tab)) /* the line for the person; lbdbq and others give bare addresses too */
            continue;
        addr = str_trim(str_sub(line, 0, tab));
        line = str_sub(line, tab + 1, line.n);
        if (!mail_addr_valid(addr))
            continue;
        str_split(&line, '\t', &name);
        founds_add(out, str_trim(name), addr, 0, 0);
        n++;
    }
}

void query_command(const char *option, struct buf *out)
{
    const char *at = strstr(option, "%s");
    if (at == NULL) {
        buf_addf(out, "%s \"$1\"", option);
        return;
    }
    size_t before = (size_t)(at - option);
    const char *behind = at + 2;
    bool quoted = before > 0 && (at[-1] == '\'' || at[-1] == '"') && *behind == at[-1];
    buf_add(out, option, before - quoted);
    buf_addz(out, "\"$1\"");
    buf_addz(out, behind + quoted);
}
