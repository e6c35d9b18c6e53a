/* ui_main: the loop between the terminal, the store and the helpers. */
#include "ui/extra.h"
#include "ui/term.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum {
    FRAME_MS = 16,
    AWAY_FRAME_MS = 1000,
    KEYS_PER_TURN = 512,
    ONCE_COLS = 100,
    ONCE_ROWS = 40,
    BLOCK_OWN = 128 * 1024, /* what is larger goes back to the system when it is freed: lists of hits come and go */
    EDITOR_POLL_MS = 50,
    HELD_MS = 1000
};

struct session {
    struct ui *ui;
    struct tty *term;
    struct ui_terminal *ops;
    struct watch *keys; /* of the terminal's input */
    struct watch *room; /* of its output; NULL where that waits itself */
    bool left;          /* its input is left to an editor that is about to start */
    bool typed;         /* a key was pressed since the last frame */
    bool lost;          /* the terminal went away, or the system ends */
};

/* ---- what the ui may ask of the terminal ---- */
static void suspend(void *arg)
{
    struct session *s = arg;
    if (s->keys)
        watch_events(s->keys, 0); /* what is typed now belongs to the other program */
    term_suspend(s->term);
}

static void measure(struct session *s)
{
    unsigned rows, cols;
    term_size(s->term, &rows, &cols);
    ui_resize(s->ui, rows, cols);
}

static void resume(void *arg)
{
    struct session *s = arg;
    term_resume(s->term);
    if (s->keys)
        watch_events(s->keys, POLLIN);
    measure(s);
}

static void redraw(void *arg)
{
    term_redraw(((struct session *)arg)->term);
}

static void stop(void *arg)
{
    suspend(arg);
    kill(0, SIGSTOP); /* the whole job, as the terminal driver would */
    resume(arg);
}

static void bell(void *arg)
{
    term_bell(((struct session *)arg)->term);
}

static void osc(void *arg, struct text words)
{
    term_osc(((struct session *)arg)->term, words);
}

static void escape(void *arg, unsigned ms)
{
    term_escape(((struct session *)arg)->term, ms);
}

static void mouse(void *arg, bool on)
{
    term_mouse(((struct session *)arg)->term, on);
}

/* ---- events ---- */
static void take_key(struct session *s, ckey key)
{
    struct mouse at;
    if (key == K_FOCUS_IN || key == K_FOCUS_OUT)
        ui_looked_at(s->ui, key == K_FOCUS_IN);
    else if (key != K_MOUSE)
        ui_key(s->ui, key);
    else if (term_mouse_at(s->term, &at))
        ui_mouse(s->ui, &at);
}

static void on_typed(void *arg, short revents)
{
    struct session *s = arg;
    ckey key;
    int n = 0;
    while (n < KEYS_PER_TURN && !s->ui->quit && !typed_for_editor(s->ui) && term_key(s->term, &key)) {
        take_key(s, key);
        s->typed = true;
        n++;
    }
    if (term_slow(s->term) != s->ops->slow) {
        s->ops->slow = !s->ops->slow;
        ui_line_is(s->ui);
    }
    if (n == 0 && (revents & (POLLHUP | POLLERR | POLLNVAL)))
        s->lost = s->ui->quit = true; /* the terminal is gone */
}

static void on_room(void *arg, short revents)
{
    struct session *s = arg;
    (void)revents;
    if (term_behind(s->term) && term_drain(s->term))
        measure(s);
}

static void on_resized(void *arg)
{
    measure(arg);
}

static void on_stopped(void *arg)
{
    stop(arg);
}

static void on_continued(void *arg)
{
    struct session *s = arg;
    term_redraw(s->term);
    measure(s);
}

static void on_ended(void *arg)
{
    ((struct session *)arg)->ui->quit = true;
}

static void on_lost(void *arg)
{
    struct session *s = arg;
    s->lost = s->ui->quit = true;
}

/* What is typed while a mail to be answered is had is for the editor that comes: it stays in the terminal's queue. */
static int64_t leave_to_editor(struct session *s, int64_t wait)
{
    bool leave = typed_for_editor(s->ui);
    if (leave != s->left && !extra_has_terminal(s->ui))
        watch_events(s->keys, leave ? 0 : POLLIN);
    s->left = leave;
    return leave && (wait < 0 || wait > EDITOR_POLL_MS) ? EDITOR_POLL_MS : wait;
}

static void run(struct session *s, struct loop *loop)
{
    struct ui *ui = s->ui;
    int64_t shown = 0;
    while (!ui->quit) {
        int64_t wait = -1, now = clock_mono_ms(), pause = ui->away ? AWAY_FRAME_MS : FRAME_MS;
        bool busy = term_behind(s->term) || term_holds(s->term); /* then the next frame shows what is true by then */
        if (ui->dirty && !busy && (s->typed || ui->answered || now - shown >= pause)) {
            ui_draw(ui);
            term_show(s->term, &ui->grid, &ui->theme);
            if (!shown) { /* with the first frame on the screen, what the next keys will want */
                helper_warm(ui);
                ui_count_soon(ui);
            }
            shown = now;
            s->typed = ui->answered = false;
        } else if (ui->dirty)
            wait = busy ? HELD_MS : pause - (now - shown);
        if (s->room)
            watch_events(s->room, term_behind(s->term) ? POLLOUT : 0);
        wait = leave_to_editor(s, wait);
        if (term_ahead(s->term))
            on_typed(s, 0);
        else if (!ui->quit)
            loop_once(loop, wait);
    }
}

static int on_screen(const struct ui_start *start, struct loop *loop, struct client *client)
{
    struct session s = {.ui = NULL};
    struct ui_terminal ops = {SIGNS_ALL, 0, false, suspend, resume, redraw, stop, bell, escape, mouse, osc, &s};
    struct err err = ERR_INIT;
    s.term = term_open(&err);
    if (!s.term) {
        fprintf(stderr, "tuimail: %s. %s\n", err.text, err_hint(err.kind));
        return err_exit(err.kind);
    }
    s.ops = &ops;
    ops.colors = term_colors(s.term);
    ops.signs = !term_utf8(s.term)            ? SIGNS_NO_UTF8
                : term_named(s.term, "vt")    ? SIGNS_ASCII
                : term_named(s.term, "linux") ? SIGNS_PLAIN
                                              : SIGNS_ALL;
    s.ui = ui_new(start, loop, client, &ops);
    measure(&s);
    struct watch *watches[] = {loop_fd(loop, STDIN_FILENO, POLLIN, on_typed, &s),
                               loop_signal(loop, SIGWINCH, on_resized, &s),
                               loop_signal(loop, SIGTSTP, on_stopped, &s),
                               loop_signal(loop, SIGCONT, on_continued, &s),
                               loop_signal(loop, SIGHUP, on_lost, &s),
                               loop_signal(loop, SIGTERM, on_lost, &s),
                               loop_signal(loop, SIGINT, on_ended, &s)};
    s.keys = watches[0];
    s.room = term_output(s.term) < 0 ? NULL : loop_fd(loop, term_output(s.term), 0, on_room, &s);
    run(&s, loop);
    s.keys = NULL;
    watch_free(&s.room);
    for (size_t i = 0; i < COUNT(watches); i++)
        watch_free(&watches[i]);
    if (s.lost)
        ui_session_save(s.ui);
    else
        ui_session_drop(s.ui);
    ui_free(&s.ui);
    term_close(&s.term);
    return 0;
}

int ui_main(const struct ui_start *start)
{
    struct err err = ERR_INIT;
    struct client_args args = {
        .config = start->config ? start->config : "", .root = start->root, .offline = start->offline, .program = "ui"};
    int status;
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_MMAP_THRESHOLD, BLOCK_OWN);
    struct client *client = client_connect(&args, &err);
    if (!client) {
        fprintf(stderr, "tuimail: %s\n", err.text);
        if (*err_hint(err.kind))
            fprintf(stderr, "%s\n", err_hint(err.kind));
        return err_exit(err.kind);
    }
    struct loop *loop = loop_new();
    if (start->once_text) {
        struct ui *ui = ui_new(start, loop, client, NULL);
        ui_resize(ui, ONCE_ROWS, ONCE_COLS);
        status = ui_print_once(ui);
        ui_free(&ui);
    } else
        status = on_screen(start, loop, client);
    loop_free(&loop);
    client_close(&client);
    return status;
}
