/* Every file of a collection of real and broken mail: $TUIMAIL_CORPUS, else ../shared/corpus beside the sources. */
#ifndef TUIMAIL_CORPUS_H
#define TUIMAIL_CORPUS_H

#include <dirent.h>
#include <sys/stat.h>

#include "base/base.h"

typedef void corpus_fn(const char *path);

static unsigned corpus_walk(const char *dir, unsigned depth, corpus_fn *fn)
{
    DIR *d = opendir(dir);
    unsigned n = 0;
    for (struct dirent *e; d && depth < 12 && (e = readdir(d));) {
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        char *path = path_join(dir, e->d_name);
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            n += corpus_walk(path, depth + 1, fn);
        } else if (S_ISREG(st.st_mode)) {
            fn(path);
            n++;
        }
        free(path);
    }
    if (d)
        closedir(d);
    return n;
}

/* Says so where there is none. */
static void corpus_each(corpus_fn *fn)
{
    const char *dir = getenv("TUIMAIL_CORPUS"), *src = getenv("TUIMAIL_SRC");
    char *beside = path_join(src ? src : ".", "../shared/corpus");
    struct stat st;
    if (!dir)
        dir = beside;
    if (stat(dir, &st) != 0)
        print_message("no corpus at %s (TUIMAIL_CORPUS): skipped\n", dir);
    else
        assert_true(corpus_walk(dir, 0, fn) > 0);
    free(beside);
}

#endif
