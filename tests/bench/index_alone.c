/* What libnotmuch does alone: index_alone DIR, with the names of the files on standard input, one a line, below
 * DIR/mail. Prints the seconds of processor that it took, closing included. */
#include <notmuch.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
    char line[4096], config[4096];
    notmuch_database_t *db = NULL;
    struct timespec used;
    unsigned files = 0;
    if (argc != 2)
        return 64;
    snprintf(config, sizeof config, "%s/config", argv[1]);
    FILE *f = fopen(config, "w");
    if (f == NULL)
        return 73;
    fprintf(f, "[database]\npath=%s\nmail_root=%s/mail\n[index]\nheader.List=List-Id\n", argv[1], argv[1]);
    fclose(f);
    if (notmuch_database_create_with_config(argv[1], config, NULL, &db, NULL) != NOTMUCH_STATUS_SUCCESS)
        return 70;
    while (fgets(line, sizeof line, stdin) != NULL) {
        notmuch_message_t *m = NULL;
        line[strcspn(line, "\n")] = '\0';
        notmuch_status_t status = notmuch_database_index_file(db, line, NULL, &m);
        if (status == NOTMUCH_STATUS_SUCCESS && m != NULL) {
            notmuch_message_freeze(m);
            notmuch_message_add_tag(m, "inbox");
            notmuch_message_add_tag(m, "work");
            notmuch_message_thaw(m);
            files++;
        }
        if (m != NULL)
            notmuch_message_destroy(m);
    }
    notmuch_database_destroy(db);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("%u %.3f\n", files, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
    return 0;
}
