/* See book.h. */
#include "client/book.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/lookup.h"
#include "mail/mail.h"
#include "mail/vcard.h"

/* ---- Founds ------------------------------------------------------------------------------------- */
void founds_add(struct founds *f, struct str name, struct str addr, int64_t rank)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_case_eqz(addr, f->list[i].addr)) {
            struct book_found *at = &f->list[i];
            at->rank = MAX(at->rank, rank);
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
                                        .rank = rank,
                                        .place = f->n};
    f->n++;
}

static int by_likelihood(const void *a, const void *b)
{
    const struct book_found *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
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
/* One for each word by which an entry is found, ordered by its first bytes. */
struct posting {
    uint64_t head;
    uint32_t entry;
};
struct cards {
    struct entry *list;
    size_t n, cap;
    struct posting *words;
    size_t nwords, words_cap;
};
struct folder {
    char *path;
    struct timespec time; /* when it was read last */
    dev_t dev;
    ino_t ino;
};
struct shelf {
    struct folder folders[1 + BOOK_FOLDERS_MAX]; /* itself, and those below it */
    size_t nfolders;
    bool known;
    struct cards cards;
    /* what is being read in their place */
    bool reading;
    struct cards fresh;
    size_t at; /* the folder */
    DIR *dir;
    int fd; /* a file of it; -1 */
    uint64_t taken;
    struct vcard_reader *reader;
    /* and put in order: runs of `width` are, up to `sorted` those of twice that */
    struct posting *spare;
    size_t width, sorted;
};
struct book {
    struct shelf *shelves;
    size_t n;
    unsigned unread;
};

static void cards_free(struct cards *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->list[i].name);
        free(c->list[i].nick);
        free(c->list[i].uid);
        free(c->list[i].value);
        free(c->list[i].members);
    }
    free(c->list);
    free(c->words);
    *c = (struct cards){.n = 0};
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
        b->shelves[b->n++] = (struct shelf){.folders[0].path = path_expand_home(word), .nfolders = 1, .fd = -1};
        free(word);
    }
    return b;
}

/* What is known of the folders below it goes. */
static void folders_cut(struct shelf *s, size_t n)
{
    while (s->nfolders > n)
        free(s->folders[--s->nfolders].path);
}

static void stop_reading(struct shelf *s)
{
    if (s->dir != NULL)
        closedir(s->dir);
    if (s->fd >= 0)
        close(s->fd);
    s->dir = NULL;
    s->fd = -1;
    s->reading = false;
    vcard_reader_free(&s->reader);
    free(s->spare);
    s->spare = NULL;
    cards_free(&s->fresh);
}

void book_free(struct book **bp)
{
    struct book *b = *bp;
    *bp = NULL;
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->n; i++) {
        stop_reading(&b->shelves[i]);
        cards_free(&b->shelves[i].cards);
        folders_cut(&b->shelves[i], 0);
    }
    free(b->shelves);
    free(b);
}

/* ---- What a card comes to ----------------------------------------------------------------------- */
static char *dup_str(struct str s)
{
    return mem_dup_n(s.n ? s.p : "", s.n);
}

/* The first bytes of a word as a number that orders as they do; `fill` stands for what it lacks. */
static uint64_t head_of(struct str word, uint8_t fill)
{
    uint64_t head = 0;
    for (size_t i = 0; i < sizeof head; i++)
        head = head << 8 | (i < word.n ? (uint8_t)word.p[i] : fill);
    return head;
}

static void add_words(struct cards *c, struct str text)
{
    struct lookup words;
    struct str word;
    lookup_begin(&words, text);
    for (unsigned n = 0; n < 12 && lookup_next(&words, &word); n++) {
        if (c->nwords == c->words_cap) {
            c->words_cap = c->words_cap ? 2 * c->words_cap : 256;
            c->words = mem_resize(c->words, c->words_cap, sizeof *c->words);
        }
        c->words[c->nwords++] = (struct posting){head_of(word, 0), (uint32_t)c->n};
    }
}

static void add_entry(struct cards *c, const struct vcard *card, struct str value, char *members)
{
    if (c->n == BOOK_ENTRIES_MAX) {
        free(members);
        return;
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->list = mem_resize(c->list, c->cap, sizeof *c->list);
    }
    add_words(c, card->name);
    add_words(c, card->nick);
    add_words(c, value);
    c->list[c->n++] = (struct entry){.name = dup_str(card->name),
                                     .nick = dup_str(card->nick),
                                     .uid = dup_str(card->uid),
                                     .value = dup_str(value),
                                     .members = members};
}

static void add_card(struct cards *c, const struct vcard *card)
{
    if (card->group) {
        struct buf members = BUF_INIT(65536);
        for (size_t i = 0; i < card->nmembers; i++)
            if (!memchr(card->members[i].p, '\n', card->members[i].n))
                buf_addf(&members, "%.*s\n", STR_FMT(card->members[i]));
        add_entry(c, card, STR(""), buf_take(&members, &(size_t){0}));
    }
    for (size_t i = 0; !card->group && i < card->nemails; i++)
        add_entry(c, card, card->emails[i], NULL);
}

struct uid {
    uint64_t hash;
    size_t entry;
};

static int by_hash(const void *a, const void *b)
{
    const struct uid *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->entry > y->entry) - (x->entry < y->entry);
}

static const struct entry *by_uid(const struct cards *c, const struct uid *uids, size_t n, struct str uid)
{
    uint64_t hash = str_hash(uid);
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (uids[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n && uids[lo].hash == hash; lo++)
        if (str_eqz(uid, c->list[uids[lo].entry].uid))
            return &c->list[uids[lo].entry];
    return NULL;
}

static void resolve_group(const struct cards *c, const struct uid *uids, size_t n, struct entry *e)
{
    struct buf all = BUF_INIT(32768);
    struct str rest = str_z(e->members), one;
    while (rest.n > 0 && str_split(&rest, '\n', &one)) {
        const struct entry *m = one.n > 0 && !mail_addr_valid(one) ? by_uid(c, uids, n, one) : NULL;
        struct str addr = m ? str_z(m->value) : one;
        if (mail_addr_valid(addr))
            buf_addf(&all, "%s%.*s", all.n ? ", " : "", STR_FMT(addr));
    }
    free(e->value);
    e->value = mem_dup_z(buf_z(&all));
    buf_fini(&all);
}

/* Members of groups become addresses, once all cards are there. */
static void resolve_groups(struct cards *c)
{
    size_t groups = 0, n = 0;
    for (size_t i = 0; i < c->n; i++)
        groups += c->list[i].members != NULL;
    if (groups == 0)
        return;
    struct uid *uids = mem_array(c->n, sizeof *uids);
    for (size_t i = 0; i < c->n; i++)
        if (!c->list[i].members && c->list[i].uid[0])
            uids[n++] = (struct uid){str_hash(str_z(c->list[i].uid)), i};
    qsort(uids, n, sizeof *uids, by_hash);
    for (size_t i = 0; i < c->n; i++)
        if (c->list[i].members)
            resolve_group(c, uids, n, &c->list[i]);
    free(uids);
}

/* ---- The order by words ------------------------------------------------------------------------- */
static bool goes_before(const struct posting *a, const struct posting *b)
{
    return a->head != b->head ? a->head < b->head : a->entry < b->entry;
}

static void merge(struct shelf *s, size_t from, size_t middle, size_t to)
{
    const struct posting *w = s->fresh.words;
    size_t a = from, b = middle;
    for (size_t i = from; i < to; i++)
        s->spare[i] = a < middle && (b == to || !goes_before(&w[b], &w[a])) ? w[a++] : w[b++];
}

/* Some of the way to an order, by merging runs that are in order; false: all of it is. */
static bool sort_some(struct shelf *s, size_t moves)
{
    struct cards *c = &s->fresh;
    if (s->spare == NULL) {
        s->spare = mem_array(c->nwords + 1, sizeof *s->spare);
        s->width = 1;
        s->sorted = 0;
    }
    for (size_t done = 0; s->width < c->nwords; done += 2 * s->width) {
        if (done >= moves)
            return true;
        size_t middle = MIN(s->sorted + s->width, c->nwords), to = MIN(middle + s->width, c->nwords);
        merge(s, s->sorted, middle, to);
        s->sorted = to;
        if (to == c->nwords) {
            struct posting *full = s->spare;
            s->spare = c->words;
            c->words = full;
            c->words_cap = c->nwords + 1;
            s->width *= 2;
            s->sorted = 0;
        }
    }
    return false;
}

/* ---- Reading ------------------------------------------------------------------------------------ */
static bool same_time(const struct stat *st, const struct folder *f)
{
    return st->st_mtim.tv_sec == f->time.tv_sec && st->st_mtim.tv_nsec == f->time.tv_nsec;
}

static bool changed(struct book *b, struct shelf *s)
{
    struct stat st;
    bool other = !s->known;
    for (size_t i = 0; i < s->nfolders; i++)
        other = (stat(s->folders[i].path, &st) == 0 ? !same_time(&st, &s->folders[i]) : i > 0) || other;
    if (other && stat(s->folders[0].path, &st) != 0) {
        b->unread += !s->known;
        s->known = true;
        return false;
    }
    return other;
}

static void open_file(struct book *b, struct shelf *s, const char *path)
{
    struct stat st;
    s->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    s->taken = 0;
    if (s->fd >= 0 && (fstat(s->fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(s->fd);
        s->fd = -1;
        errno = 0;
    }
    /* one that was renamed meanwhile changed its folder, which is read again then */
    b->unread += s->fd < 0 && !(errno == ENOENT && s->dir != NULL);
}

/* The time is taken first, so that what comes while it is read is seen the next time. */
static void open_folder(struct book *b, struct shelf *s)
{
    struct folder *f = &s->folders[s->at];
    struct stat st;
    if (stat(f->path, &st) != 0) {
        b->unread += s->at == 0 || errno != ENOENT;
        return;
    }
    f->time = st.st_mtim;
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    for (size_t i = 0; i < s->at; i++)
        if (s->folders[i].dev == f->dev && s->folders[i].ino == f->ino) /* a link led there again */
            return;
    if (s->at == 0 && S_ISREG(st.st_mode))
        open_file(b, s, f->path);
    else
        b->unread += (s->dir = opendir(f->path)) == NULL;
}

static bool is_folder(const char *path, const struct dirent *d)
{
    struct stat st;
    return d->d_type == DT_DIR ||
           ((d->d_type == DT_UNKNOWN || d->d_type == DT_LNK) && stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static void take_dirent(struct book *b, struct shelf *s, const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    bool card = n > 4 && strcasecmp(d->d_name + n - 4, ".vcf") == 0;
    if (d->d_name[0] == '.' || (!card && (s->nfolders == COUNT(s->folders) || d->d_type == DT_REG)))
        return;
    char *path = path_join(s->folders[s->at].path, d->d_name);
    if (card)
        open_file(b, s, path);
    else if (is_folder(path, d))
        s->folders[s->nfolders++] = (struct folder){.path = mem_dup_z(path)};
    free(path);
}

/* The next piece of the file; at its end it is closed. */
static size_t take_piece(struct book *b, struct shelf *s)
{
    char piece[16384];
    const struct vcard *card;
    ssize_t n = s->taken < BOOK_FILE_MAX ? read(s->fd, piece, sizeof piece) : 0;
    struct str data = {piece, n > 0 ? (size_t)n : 0};
    while ((card = vcard_read(s->reader, &data)) != NULL)
        add_card(&s->fresh, card);
    s->taken += n > 0 ? (uint64_t)n : 0;
    if (n > 0 || (n < 0 && errno == EINTR))
        return (size_t)MAX(n, (ssize_t)0);
    if ((card = vcard_read_end(s->reader)) != NULL)
        add_card(&s->fresh, card);
    b->unread += n < 0 || s->taken >= BOOK_FILE_MAX;
    close(s->fd);
    s->fd = -1;
    return 0;
}

/* One more step of reading, and what it counts for; 0: all is read. */
static size_t read_some(struct book *b, struct shelf *s)
{
    const struct dirent *d;
    if (s->fd >= 0)
        return take_piece(b, s) + 1;
    if (s->dir == NULL) {
        if (s->at == s->nfolders)
            return 0;
        open_folder(b, s);
        s->at += s->dir == NULL; /* a file is what it is itself */
        return 4096;
    }
    if ((d = readdir(s->dir)) != NULL) {
        take_dirent(b, s, d);
        return s->fd >= 0 ? 4096 : 64;
    }
    closedir(s->dir);
    s->dir = NULL;
    s->at++;
    return 64;
}

static void begin_reading(struct shelf *s)
{
    folders_cut(s, 1);
    s->known = s->reading = true;
    s->reader = vcard_reader_new();
    s->at = 0;
}

static void finish(struct shelf *s)
{
    resolve_groups(&s->fresh);
    cards_free(&s->cards);
    s->cards = s->fresh;
    s->fresh = (struct cards){.n = 0};
    stop_reading(s);
}

bool book_step(struct book *b, size_t bytes)
{
    size_t done = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct shelf *s = &b->shelves[i];
        size_t some = 1;
        if (!s->reading && !changed(b, s))
            continue;
        if (!s->reading)
            begin_reading(s);
        for (; some > 0 && done < bytes; done += some)
            some = read_some(b, s);
        if (some > 0 || sort_some(s, bytes / 4 + 1))
            return true;
        finish(s);
    }
    return false;
}

unsigned book_unread(const struct book *b)
{
    return b->unread;
}

/* ---- Finding ------------------------------------------------------------------------------------ */
enum { WORDS_MAX = 8, LOOKED_AT_MAX = 20000 };
struct wanted {
    struct lookup text;
    struct str words[WORDS_MAX];
    unsigned n;
};

static bool fits(const struct entry *e, const struct wanted *w)
{
    bool all = e->value[0] != '\0';
    for (unsigned i = 0; all && i < w->n; i++)
        all = lookup_has(str_z(e->name), w->words[i]) || lookup_has(str_z(e->nick), w->words[i]) ||
              (!e->members && lookup_has(str_z(e->value), w->words[i])); /* a group is not found by its members */
    return all;
}

static size_t first_from(const struct cards *c, uint64_t head)
{
    size_t lo = 0, hi = c->nwords;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->words[mid].head < head)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void find_in(const struct cards *c, const struct wanted *w, unsigned max, struct founds *out)
{
    size_t from = 0, to = SIZE_MAX;
    for (unsigned i = 0; i < w->n; i++) { /* by the word that fewest have */
        uint64_t last = head_of(w->words[i], 0xff);
        size_t lo = first_from(c, head_of(w->words[i], 0));
        size_t hi = last == UINT64_MAX ? c->nwords : first_from(c, last + 1);
        if (hi - lo < to - from) {
            from = lo;
            to = hi;
        }
    }
    bool any = w->n == 0;
    to = MIN(any ? c->n : to, from + LOOKED_AT_MAX);
    for (size_t i = from, n = 0; i < to && n < max; i++) {
        const struct entry *e = &c->list[any ? i : c->words[i].entry];
        if (fits(e, w)) {
            founds_add(out, str_z(e->name), str_z(e->value), 0);
            n++;
        }
    }
}

void book_find(const struct book *b, struct str prefix, unsigned max, struct founds *out)
{
    struct wanted w = {.n = 0};
    lookup_begin(&w.text, prefix);
    while (w.n < WORDS_MAX && lookup_next(&w.text, &w.words[w.n]))
        w.n++;
    for (size_t i = 0; i < b->n; i++)
        find_in(&b->shelves[i].cards, &w, max, out);
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
        founds_add(out, str_trim(name), addr, 0);
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
