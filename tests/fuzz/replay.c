/* The main of a fuzz target in an ordinary build: runs it once on each file named, or on its seeds and, where the
 * target reads mail, on all of $TUIMAIL_CORPUS. Prints TAP: a seed is a test, the corpus is one. A crash ends the run;
 * the last line before it names the file. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/base.h"

enum { FILE_MAX = 1 << 20, DEPTH_MAX = 12, NAMES_MAX = 20000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

struct names {
    char **list;
    size_t n;
};

static void add_name(struct names *names, const char *path)
{
    if (names->n >= NAMES_MAX)
        return;
    if (names->n % 64 == 0)
        names->list = mem_resize(names->list, names->n + 64, sizeof *names->list);
    names->list[names->n++] = mem_dup_z(path);
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i]);
    free(names->list);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void look_in(const char *folder, struct names *folders, struct names *files)
{
    char path[4096];
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= (int)sizeof path ||
            lstat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            add_name(folders, path);
        else if (S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
            add_name(files, path);
    }
    if (dir)
        closedir(dir);
}

/* All files below `top`; the list of folders is its own queue. */
static void find_files(const char *top, struct names *files)
{
    struct names folders = {NULL, 0};
    add_name(&folders, top);
    for (size_t at = 0; at < folders.n; at++)
        look_in(folders.list[at], &folders, files);
    free_names(&folders);
    if (files->n)
        qsort(files->list, files->n, sizeof *files->list, by_name);
}

static bool run_file(const char *path)
{
    struct buf in = BUF_INIT(FILE_MAX);
    struct err err = ERR_INIT;
    printf("# %s\n", path);
    fflush(stdout);
    bool ok = fs_read(path, FILE_MAX, &in, &err);
    if (ok)
        LLVMFuzzerTestOneInput((const uint8_t *)buf_z(&in), in.n);
    else
        printf("# %s\n", err.text);
    buf_fini(&in);
    return ok;
}

static int run_named(int n, char **paths)
{
    bool ok = true;
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        bool good = run_file(paths[i]);
        printf("%sok %d - %s\n", good ? "" : "not ", i + 1, paths[i]);
        ok = ok && good;
    }
    return ok ? 0 : 1;
}

static int run_folder(const char *src, const char *target, const char *corpus)
{
    struct names seeds = {NULL, 0}, mail = {NULL, 0};
    char path[4096];
    bool ok = true;
    snprintf(path, sizeof path, "%s/tests/fuzz/seed/%s", src, target);
    find_files(path, &seeds);
    bool reads_mail = strcmp(target, "mail") == 0 || strcmp(target, "mime") == 0 || strcmp(target, "text") == 0;
    printf("1..%zu\n", MAX(seeds.n + (reads_mail ? 1 : 0), (size_t)1));
    for (size_t i = 0; i < seeds.n; i++) {
        bool good = run_file(seeds.list[i]);
        printf("%sok %zu - %s %s\n", good ? "" : "not ", i + 1, target, seeds.list[i] + strlen(path) + 1);
        ok = ok && good;
    }
    if (reads_mail)
        find_files(corpus ? corpus : "", &mail);
    for (size_t i = 0; i < mail.n; i++)
        run_file(mail.list[i]);
    if (!seeds.n)
        printf("not ok 1 - no seeds in %s\n", path);
    else if (reads_mail && !mail.n)
        printf("ok %zu - %s # SKIP no mail in $TUIMAIL_CORPUS\n", seeds.n + 1, target);
    else if (reads_mail)
        printf("ok %zu - %s took %zu files of the corpus\n", seeds.n + 1, target, mail.n);
    ok = ok && seeds.n > 0;
    free_names(&seeds);
    free_names(&mail);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *src = getenv("TUIMAIL_SRC");
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash ? slash + 1 : argv[0];
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    if (argc > 1)
        return run_named(argc - 1, argv + 1);
    return run_folder(src ? src : ".", strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name, getenv("TUIMAIL_CORPUS"));
}
