/* Addresses from elsewhere: vCard files, read in slices while nothing else is to do, and the query command, which runs
 * beside all else and is given up after a while. No key waits for either. */
#include "ui/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/book.h"

enum {
    BYTES_A_SLICE = 1 << 18,
    SLICE_MS = 20,
    LOOK_MS = 2000,
    FRESH_MS = 60000,
    DEADLINE_MS = 8000,
    OUTPUT_MAX = 1 << 18,
    SHOWN = 200
};

struct queries {
    struct book *book;
    char *book_of; /* option address-book when it was made */
    struct watch *slice;
    int64_t looked_ms;
    /* the command */
    char *term, *of; /* it runs, or ran, for this; option query-command then */
    int64_t asked_ms;
    pid_t pid; /* of its group; 0: none runs */
    int out;
    struct watch *out_watch, *deadline;
    struct buf output;
    struct founds answers; /* of `term` */
    bool done;
};

static struct queries *queries_of(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    if (!x->queries) {
        x->queries = mem_new(sizeof *x->queries);
        x->queries->output = BUF_INIT(OUTPUT_MAX);
        x->queries->out = -1;
    }
    return x->queries;
}

/* ---- The book ----------------------------------------------------------------------------------- */
static void on_slice(void *arg)
{
    struct ui *ui = arg;
    struct queries *q = queries_of(ui);
    q->slice = NULL;
    if (book_step(q->book, BYTES_A_SLICE))
        q->slice = loop_after(ui->loop, SLICE_MS, on_slice, ui);
}

/* Begins to read what changed; what is known serves meanwhile. */
static void book_look(struct ui *ui)
{
    struct queries *q = queries_of(ui);
    int64_t now = clock_mono_ms();
    if (q->book && strcmp(q->book_of, ui->conf->address_book) != 0) {
        watch_free(&q->slice);
        book_free(&q->book);
        free(q->book_of);
        q->book_of = NULL;
    }
    if (!ui->conf->address_book[0])
        return;
    if (!q->book) {
        q->book = book_new(ui->conf->address_book);
        q->book_of = mem_dup_z(ui->conf->address_book);
    } else if (now - q->looked_ms < LOOK_MS) {
        return;
    }
    q->looked_ms = now;
    if (!q->slice)
        q->slice = loop_after(ui->loop, 0, on_slice, ui);
}

void query_start(struct ui *ui)
{
    if (ui->term)
        book_look(ui);
}

/* ---- The command -------------------------------------------------------------------------------- */
static void command_end(struct ui *ui, bool kill_it)
{
    struct queries *q = queries_of(ui);
    if (!q->pid)
        return;
    watch_free(&q->out_watch);
    watch_free(&q->deadline);
    close(q->out);
    q->out = -1;
    if (kill_it)
        kill(-q->pid, SIGKILL);
    while (waitpid(q->pid, &(int){0}, 0) < 0 && errno == EINTR)
        ;
    q->pid = 0;
}

static void finished(struct ui *ui)
{
    struct queries *q = queries_of(ui);
    founds_free(&q->answers);
    query_parse(buf_str(&q->output), SHOWN, &q->answers);
    q->done = true;
    buf_reset(&q->output);
    if (q->answers.n)
        ui_prompt_more(ui, str_z(q->term));
    ui->dirty = true;
}

static void on_output(void *arg, short revents)
{
    struct ui *ui = arg;
    struct queries *q = queries_of(ui);
    char chunk[8192];
    ssize_t n;
    (void)revents;
    while ((n = read(q->out, chunk, sizeof chunk)) > 0)
        if (!buf_add(&q->output, chunk, MIN((size_t)n, q->output.max - q->output.n)) || q->output.n == q->output.max)
            break;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    command_end(ui, true); /* its end, or enough: what it left behind goes too */
    finished(ui);
}

static void on_deadline(void *arg)
{
    struct ui *ui = arg;
    command_end(ui, true);
    buf_reset(&queries_of(ui)->output);
    queries_of(ui)->done = true;
    ui_note(ui, NOTE_WARNING, "the query command gave no answer in %d s", DEADLINE_MS / 1000);
}

NORETURN static void become(const char *command, const char *term, int out)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDERR_FILENO);
    }
    dup2(out, STDOUT_FILENO);
    closefrom(3);
    execl("/bin/sh", "sh", "-c", command, "sh", term, (char *)NULL);
    _exit(127);
}

static void command_start(struct ui *ui, struct str term)
{
    struct queries *q = queries_of(ui);
    struct buf command = BUF_INIT(65536);
    int ends[2];
    command_end(ui, true); /* that for an earlier term */
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    free(q->term);
    free(q->of);
    q->term = mem_dup_n(term.p, term.n);
    q->of = mem_dup_z(ui->conf->query_command);
    q->asked_ms = clock_mono_ms();
    q->done = false;
    founds_free(&q->answers);
    buf_reset(&q->output);
    query_command(ui->conf->query_command, &command);
    pid_t pid = fork();
    if (pid == 0)
        become(buf_z(&command), q->term, ends[1]);
    close(ends[1]);
    buf_fini(&command);
    if (pid < 0) {
        close(ends[0]);
        return;
    }
    setpgid(pid, pid); /* whoever is first */
    q->pid = pid;
    q->out = ends[0];
    fd_nonblock(q->out, true);
    q->out_watch = loop_fd(ui->loop, q->out, POLLIN, on_output, ui);
    q->deadline = loop_after(ui->loop, DEADLINE_MS, on_deadline, ui);
}

/* ---- What both know ----------------------------------------------------------------------------- */
void query_addresses(struct ui *ui, struct str prefix, struct founds *out)
{
    struct queries *q = queries_of(ui);
    struct str term = str_trim(prefix);
    book_look(ui);
    if (q->book)
        book_find(q->book, term, SHOWN, out);
    if (!ui->conf->query_command[0] || term.n == 0)
        return;
    bool same = q->term && str_eqz(term, q->term) && !strcmp(q->of, ui->conf->query_command) &&
                (!q->done || clock_mono_ms() - q->asked_ms < FRESH_MS);
    if (!same)
        command_start(ui, term);
    for (size_t i = 0; same && q->done && i < q->answers.n; i++)
        founds_add(out, str_z(q->answers.list[i].name), str_z(q->answers.list[i].addr), 0);
}

void query_free(struct ui *ui)
{
    struct queries *q = ui_extra(ui)->queries;
    if (!q)
        return;
    command_end(ui, true);
    watch_free(&q->slice);
    book_free(&q->book);
    founds_free(&q->answers);
    buf_fini(&q->output);
    free(q->book_of);
    free(q->term);
    free(q->of);
    free(q);
    ui_extra(ui)->queries = NULL;
}
