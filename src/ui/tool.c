/* Other programs: the editor, viewers, pipes, gpg. With the terminal one runs in front and the panes wait; without it
 * one runs behind. */
#include "ui/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOOL_OUTPUT_MAX = 1 << 20, TOOL_ARGS_MAX = 64 };

struct tool {
    struct ui *ui;
    enum tool_where where;
    pid_t pid;
    int out;  /* its stdout and stderr, -1 with the terminal */
    int life; /* readable (at its end) when the child is gone: the write end is inherited by nobody else */
    struct watch *out_watch, *life_watch;
    struct buf output;
    uint32_t buffer; /* where it was started: at work while fn runs */
    tool_fn *fn;
    void *arg;
};

static void take_output(struct tool *t)
{
    char chunk[16384];
    ssize_t n;
    while ((n = read(t->out, chunk, sizeof chunk)) > 0) {
        if (!buf_add(&t->output, chunk, MIN((size_t)n, t->output.max - t->output.n)))
            t->output.full = false; /* the rest is read and dropped: the program must not stand still */
    }
    if (n == 0 || (errno != EINTR && errno != EAGAIN))
        watch_free(&t->out_watch);
}

static void tool_free(struct tool *t)
{
    buf_fini(&t->output);
    free(t->arg);
    free(t);
}

static void finish(struct tool *t)
{
    struct ui *ui = t->ui;
    int status = 0;
    if (t->out >= 0)
        take_output(t);
    while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
        ;
    watch_free(&t->life_watch);
    watch_free(&t->out_watch);
    close(t->life);
    if (t->out >= 0)
        close(t->out);
    ui_extra(ui)->tool = NULL;
    if (t->where == TOOL_TERMINAL) {
        ui_extra(ui)->terminal_taken = false;
        if (ui->term && ui->term->resume)
            ui->term->resume(ui->term->arg);
    }
    buffer_enter(ui, t->buffer);
    if (ui->at->id == t->buffer) /* else nobody waits for it */
        t->fn(ui, t->arg, status, buf_str(&t->output));
    buffer_leave(ui);
    tool_free(t);
    ui->dirty = true;
}

static void on_life(void *arg, short revents)
{
    (void)revents;
    finish(arg);
}

static void on_output(void *arg, short revents)
{
    (void)revents;
    take_output(arg);
}

/* In the child: nothing of ours but what it needs. */
NORETURN static void become(const char *const *argv, struct tool_fds fds, int out)
{
    int in = fds.in, keep[2] = {-1, -1};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    if (in >= 0)
        dup2(in, STDIN_FILENO);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
    }
    for (int i = 0; i < 2; i++) /* out of the way first: what is kept may be 3 or 4 already */
        keep[i] = fds.keep[i] >= 0 ? fcntl(fds.keep[i], F_DUPFD, 10) : -1;
    for (int i = 0; i < 2; i++)
        if (keep[i] >= 0)
            dup2(keep[i], 3 + i);
        else
            close(3 + i);
    closefrom(5);
    char *args[TOOL_ARGS_MAX + 1];
    size_t n = 0;
    for (; n < TOOL_ARGS_MAX && argv[n]; n++)
        args[n] = mem_dup_z(argv[n]);
    args[n] = NULL;
    execvp(args[0], args);
    dprintf(STDERR_FILENO, "%s: %s\n", args[0], strerrordesc_np(errno));
    _exit(127);
}

bool ui_tool_argv(struct ui *ui, enum tool_where where, const char *const *argv, struct tool_fds fds, tool_fn *fn,
                  void *arg)
{
    int life[2] = {-1, -1}, out[2] = {-1, -1}, null = -1;
    if (ui_extra(ui)->tool) {
        ui_note(ui, NOTE_WARNING, "another program still runs");
        return false;
    }
    if (where == TOOL_TERMINAL && !ui->term) {
        ui_note(ui, NOTE_ERROR, "there is no terminal to run a program in");
        return false;
    }
    /* `life` is inherited through the exec by the child alone, so its end is the child's (or that of what it left
     * behind). */
    if (pipe2(life, O_CLOEXEC) < 0 || (where == TOOL_BEHIND && pipe2(out, O_CLOEXEC) < 0)) {
        ui_note(ui, NOTE_ERROR, "no pipe for a program");
        if (life[0] >= 0)
            close(life[0]), close(life[1]);
        return false;
    }
    if (fds.in < 0 && where == TOOL_BEHIND)
        fds.in = null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (where == TOOL_TERMINAL && ui->term->suspend)
        ui->term->suspend(ui->term->arg);
    pid_t pid = fork();
    if (pid == 0) {
        /* A guard in between holds `life` and nothing else, and ends with the program itself: a program that leaves a
         * child behind (an editor's server, a viewer) does not keep the panes waiting. */
        pid_t real = fork();
        if (real == 0)
            become(argv, fds, out[1]);
        signal(SIGINT, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
        dup2(life[1], 3); /* not cloexec, but nothing is executed here */
        closefrom(4);
        int status = 0;
        while (real > 0 && waitpid(real, &status, 0) < 0 && errno == EINTR)
            ;
        _exit(real < 0 || !WIFEXITED(status) ? 126 : WEXITSTATUS(status));
    }
    close(life[1]);
    if (out[1] >= 0)
        close(out[1]);
    if (null >= 0)
        close(null);
    if (pid < 0) {
        ui_note(ui, NOTE_ERROR, "no process for a program");
        close(life[0]);
        if (out[0] >= 0)
            close(out[0]);
        if (where == TOOL_TERMINAL && ui->term->resume)
            ui->term->resume(ui->term->arg);
        return false;
    }
    struct tool *t = mem_new(sizeof *t);
    *t = (struct tool){.ui = ui, .where = where, .pid = pid, .out = out[0], .life = life[0], .fn = fn, .arg = arg};
    t->buffer = ui->at->id;
    t->output.max = TOOL_OUTPUT_MAX;
    t->life_watch = loop_fd(ui->loop, t->life, POLLIN, on_life, t);
    if (t->out >= 0) {
        fd_nonblock(t->out, true);
        t->out_watch = loop_fd(ui->loop, t->out, POLLIN, on_output, t);
    }
    ui_extra(ui)->tool = t;
    ui_extra(ui)->terminal_taken = where == TOOL_TERMINAL;
    return true;
}

bool ui_tool(struct ui *ui, enum tool_where where, const char *command, const char *const *args, int stdin_fd,
             tool_fn *fn, void *arg)
{
    const char *argv[TOOL_ARGS_MAX + 1] = {"/bin/sh", "-c", command, "sh"};
    size_t n = 4;
    for (; args && *args && n < TOOL_ARGS_MAX; args++)
        argv[n++] = *args;
    argv[n] = NULL;
    return ui_tool_argv(ui, where, argv, (struct tool_fds){stdin_fd, {-1, -1}}, fn, arg);
}

void ui_tool_end(struct ui *ui)
{
    struct tool *t = ui_extra(ui)->tool;
    if (!t)
        return;
    watch_free(&t->life_watch);
    watch_free(&t->out_watch);
    close(t->life);
    if (t->out >= 0)
        close(t->out);
    tool_free(t);
    ui_extra(ui)->tool = NULL;
}
