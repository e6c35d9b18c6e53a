/* The parts of a message: listed, opened by mailcap, saved, piped; and the message itself piped, saved, bounced. */
#include "ui/extra.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct parts {
    struct ref ref;
    struct doc *doc;
    struct helper *viewer;
    int fd;
    size_t *items; /* of the document: its DOC_PARTs */
    size_t n, cur, top;
    char *directory; /* of files given to viewers: private, removed at the end */
};

static struct parts *listed(struct ui *ui)
{
    return ui_extra(ui)->parts;
}

void parts_free(struct ui *ui, struct parts **p)
{
    if (!*p)
        return;
    if ((*p)->directory) {
        const char *argv[] = {"rm", "-rf", "--", (*p)->directory, NULL};
        pid_t pid = fork();
        if (pid == 0) {
            char *args[] = {mem_dup_z(argv[0]), mem_dup_z(argv[1]), mem_dup_z(argv[2]), mem_dup_z(argv[3]), NULL};
            execvp("rm", args);
            _exit(127);
        }
        if (pid > 0)
            waitpid(pid, NULL, 0);
    }
    helper_end(&(*p)->viewer);
    doc_free(&(*p)->doc);
    if ((*p)->fd >= 0)
        close((*p)->fd);
    free((*p)->items);
    free((*p)->directory);
    free(*p);
    *p = NULL;
    ui->dirty = true;
}

static void list_parts(struct parts *p)
{
    free(p->items);
    p->items = mem_array(doc_count(p->doc), sizeof *p->items);
    p->n = 0;
    for (size_t i = 0; i < doc_count(p->doc); i++)
        if (doc_at(p->doc, i)->kind == DOC_PART)
            p->items[p->n++] = i;
    p->cur = p->n ? MIN(p->cur, p->n - 1) : 0;
}

static void on_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    (void)arg;
    if (!doc)
        return;
    struct parts *p = mem_new(sizeof *p);
    const struct list_row *row = ui_row(ui);
    *p = (struct parts){.doc = doc, .fd = fd, .viewer = viewer, .ref = row ? row->ref : REF_NONE};
    list_parts(p);
    for (size_t i = p->n; i > 0; i--)
        if (doc_at(doc, p->items[i - 1])->flags & DOC_PART_ATTACHMENT)
            p->cur = i - 1; /* the first attachment is what one came for */
    parts_free(ui, &ui_extra(ui)->parts);
    ui_extra(ui)->parts = p;
    ui->dirty = true;
}

/* ---- The bytes of the chosen part, fetched first where they are not here ------------------------- */
struct fetching {
    struct ref ref;
    uint32_t number;
    part_fn *fn;
    void *arg;
};

static void on_fetched(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    struct fetching f = *(struct fetching *)arg, *done = arg;
    struct parts *p = listed(ui);
    free(done);
    if (doc && p && ref_eq(p->ref, f.ref)) {
        helper_end(&p->viewer);
        doc_free(&p->doc);
        if (p->fd >= 0)
            close(p->fd);
        p->doc = doc;
        p->fd = fd;
        p->viewer = viewer;
        list_parts(p);
        ui->dirty = true;
        ui_part(ui, viewer, f.number, false, f.fn, f.arg);
        return;
    }
    if (doc)
        ui_note(ui, NOTE_WARNING, "the part is here now, but the list of parts was closed: nothing was done with it");
    doc_free(&doc);
    helper_end(&viewer);
    if (fd >= 0)
        close(fd);
    f.fn(ui, f.arg, -1);
}

static void part_bytes(struct ui *ui, const struct doc_item *part, part_fn *fn, void *arg)
{
    struct parts *p = listed(ui);
    if (!(part->flags & DOC_PART_ABSENT)) {
        ui_part(ui, p->viewer, part->number, false, fn, arg);
        return;
    }
    struct fetching *f = mem_new(sizeof *f);
    *f = (struct fetching){p->ref, part->number, fn, arg};
    char want[128];
    snprintf(want, sizeof want, "%.*s", STR_FMT(doc_absent(p->doc, part->number)));
    ui_load(ui, p->ref, want[0] ? want : "*", VIEW_STRUCTURE, on_fetched, f);
}

bool run_parts(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    (void)args, (void)err;
    if (row) {
        ui_load(ui, row->ref, "", VIEW_STRUCTURE, on_loaded, NULL);
        ui_load_opens(ui, LOAD_PARTS);
    }
    return true;
}

bool run_parts_close(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    parts_free(context, &ui_extra(context)->parts);
    return true;
}

static bool move(struct ui *ui, int by)
{
    struct parts *p = listed(ui);
    if (p && by < 0 && p->cur)
        p->cur--;
    if (p && by > 0 && p->cur + 1 < p->n)
        p->cur++;
    ui->dirty = true;
    return true;
}

bool run_part_next(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return move(context, 1);
}

bool run_part_previous(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return move(context, -1);
}

static const struct doc_item *chosen(struct ui *ui, struct err *err)
{
    struct parts *p = listed(ui);
    if (p && p->n)
        return doc_at(p->doc, p->items[p->cur]);
    err_set(err, ERR_USAGE, "no list of parts is open");
    return NULL;
}

/* One safe component, whatever the mail said (THREATS 138). */
static char *safe_name(const struct doc_item *part)
{
    struct buf name = BUF_INIT(200);
    for (size_t i = 0; i < part->text.n && name.n < 180; i++) {
        unsigned char c = (unsigned char)part->text.p[i];
        buf_addc(&name, c < 0x20 || c == 0x7f || c == '/' ? '_' : (char)c);
    }
    while (name.n && (name.p[0] == '.' || name.p[0] == '-'))
        buf_consume(&name, 1);
    if (!name.n)
        buf_addf(&name, "part-%u%s", part->number, attach_suffix(part->name));
    return buf_take(&name, NULL);
}

#define SAVE_AS "Save as: "

/* ---- Saving ------------------------------------------------------------------------------------- */
struct saving {
    char *path;
    prompt_fn *again; /* gets another name */
    bool overwrite;
    int fd;
};

static void saving_free(struct saving *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s);
}

static void save_now(struct ui *ui, struct saving *s);

static void on_overwrite(struct ui *ui, void *arg, bool yes)
{
    struct saving *s = arg;
    s->overwrite = yes;
    if (yes) {
        save_now(ui, s);
        return;
    }
    ui_ask(ui, SAVE_AS, s->path, ARG_FILE, true, NULL, s->again, NULL, NULL);
    saving_free(s);
}

static bool copy_to(int from, int to, struct err *err)
{
    char chunk[65536];
    ssize_t n;
    if (lseek(from, 0, SEEK_SET) < 0)
        return err_sys(err, ERR_IO, errno, "cannot read the part");
    while ((n = read(from, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, ERR_IO, errno, "cannot read the part");
        if (!fs_write_all(to, (struct str){chunk, (size_t)n}, err))
            return false;
    }
    return true;
}

static void save_now(struct ui *ui, struct saving *s)
{
    struct err err = ERR_INIT;
    int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (s->overwrite ? O_TRUNC : O_EXCL);
    int fd = open(s->path, flags, 0600);
    if (fd < 0 && errno == EEXIST && !s->overwrite) {
        ui_confirm(ui, "Overwrite the file?", s->path, on_overwrite, s);
        return;
    }
    bool ok = fd >= 0 || err_sys(&err, attach_err(errno), errno, "cannot create %s", s->path);
    if (ok) {
        ok = copy_to(s->fd, fd, &err);
        if (close(fd) < 0 && ok)
            ok = err_sys(&err, err_from_errno(errno), errno, "cannot write %s", s->path);
        if (!ok && !s->overwrite)
            unlink(s->path);
    }
    if (ok)
        ui_note(ui, NOTE_INFO, "saved as %s", s->path);
    else
        ui_note_err(ui, &err);
    saving_free(s);
}

static void on_saved_part(struct ui *ui, void *arg, int fd)
{
    struct saving *s = arg;
    s->fd = fd;
    if (fd >= 0)
        save_now(ui, s);
    else
        saving_free(s);
}

/* Where it goes unless the user says otherwise: the name, behind the directory as it is written in tuimailrc. */
static void ask_save(struct ui *ui, const char *name, prompt_fn *save)
{
    struct buf path = BUF_INIT(LINE_BYTES), clean = BUF_INIT(LINE_BYTES);
    const char *dir = ui->conf->download_dir;
    size_t n = strlen(dir);
    buf_addf(&path, "%s%s%s", dir, n && dir[n - 1] != '/' ? "/" : "", name);
    text_from_bytes(buf_str(&path), TEXT_LINE, &clean);
    ui_ask(ui, SAVE_AS, str_eq(buf_str(&path), buf_str(&clean)) ? buf_z(&path) : name, ARG_FILE, true, NULL, save, NULL,
           NULL);
    buf_fini(&path);
    buf_fini(&clean);
}

static char *target_path(struct ui *ui, const char *typed, const char *name)
{
    char *path = path_expand_home(typed), *dir = path_expand_home(ui->conf->download_dir);
    struct stat st;
    struct err err = ERR_INIT;
    size_t n = strlen(dir);
    if (path[0] != '/' && n) {
        char *joined = path_join(dir, path);
        free(path);
        path = joined;
    }
    /* A new home has no Downloads. Where it cannot be made, the file's own error says so. */
    if (n && !strncmp(path, dir, n) && stat(dir, &st) != 0 && errno == ENOENT && !fs_mkdir_private(dir, &err))
        log_msg(LOG_WARN, "%s", err.text);
    free(dir);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        char *joined = path_join(path, name);
        free(path);
        path = joined;
    }
    return path;
}

static void on_save_as(struct ui *ui, void *arg, const char *typed)
{
    struct err err = ERR_INIT;
    const struct doc_item *part = chosen(ui, &err);
    (void)arg;
    if (!typed || !part || !typed[0])
        return;
    struct saving *s = mem_new(sizeof *s);
    char *name = safe_name(part);
    *s = (struct saving){.path = target_path(ui, typed, name), .again = on_save_as, .fd = -1};
    free(name);
    part_bytes(ui, part, on_saved_part, s);
}

bool run_part_save(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct doc_item *part = chosen(ui, err);
    if (!part)
        return false;
    if (cmd_arg(args, 0)) {
        on_save_as(ui, NULL, cmd_arg(args, 0));
        return true;
    }
    char *name = safe_name(part);
    ask_save(ui, name, on_save_as);
    free(name);
    return true;
}

/* ---- Piping ------------------------------------------------------------------------------------- */
/* A program that was started: its name, and the type it was to show ("": it was typed). */
struct started {
    char program[101], type[101];
};

static struct started *started_new(const char *command, struct str type)
{
    struct started *s = mem_new(sizeof *s);
    snprintf(s->program, sizeof s->program, "%.*s", (int)MIN(strcspn(command, " \t;|&<>"), (size_t)100), command);
    snprintf(s->type, sizeof s->type, "%.*s", (int)MIN(type.n, (size_t)100), type.n ? type.p : "");
    return s;
}

static void on_tool_end(struct ui *ui, void *arg, int status, struct str output)
{
    const struct started *s = arg;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    (void)output;
    if (code == 127 && s->type[0])
        ui_note(ui, NOTE_WARNING, "there is no program %s here; a line for %s in ~/.mailcap names another", s->program,
                s->type);
    else if (code == 127)
        ui_note(ui, NOTE_WARNING, "there is no program %s here", s->program);
    else if (code != 0)
        ui_note(ui, NOTE_WARNING, "%s ended with status %d", s->program, code);
}

struct piping {
    char *command;
};

static void pipe_fd(struct ui *ui, int fd, const char *command)
{
    /* What the program says stays to be read: a shell waits for Enter behind it. */
    struct buf line = BUF_INIT(65536);
    buf_addf(&line, "{ %s\n}; s=$?; printf '[Enter] '; read -r _ </dev/tty; exit $s", command);
    struct started *s = started_new(command, STR(""));
    if (lseek(fd, 0, SEEK_SET) != 0 || !ui_tool(ui, TOOL_TERMINAL, buf_z(&line), NULL, fd, on_tool_end, s))
        free(s);
    buf_fini(&line);
}

static void on_piped_part(struct ui *ui, void *arg, int fd)
{
    struct piping *p = arg;
    if (fd >= 0) {
        pipe_fd(ui, fd, p->command);
        close(fd);
    }
    free(p->command);
    free(p);
}

static void on_pipe_command(struct ui *ui, void *arg, const char *command)
{
    struct err err = ERR_INIT;
    const struct doc_item *part = chosen(ui, &err);
    (void)arg;
    if (!command || !command[0] || !part)
        return;
    struct piping *p = mem_new(sizeof *p);
    p->command = mem_dup_z(command);
    part_bytes(ui, part, on_piped_part, p);
}

bool run_part_pipe(void *context, const struct cmd_args *args, struct err *err)
{
    if (!chosen(context, err))
        return false;
    if (cmd_arg(args, 0))
        on_pipe_command(context, NULL, cmd_arg(args, 0));
    else
        ui_ask(context, "Pipe to: ", "", ARG_SHELL, true, NULL, on_pipe_command, NULL, NULL);
    return true;
}

static void on_piped_message(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    char *command = arg;
    if (doc)
        pipe_fd(ui, fd, command);
    doc_free(&doc);
    helper_end(&viewer);
    if (fd >= 0)
        close(fd);
    free(command);
}

static void on_pipe_message(struct ui *ui, void *arg, const char *command)
{
    const struct list_row *row = ui_row(ui);
    (void)arg;
    if (command && command[0] && row)
        ui_load(ui, row->ref, "*", VIEW_STRUCTURE, on_piped_message, mem_dup_z(command));
}

bool run_pipe(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    if (cmd_arg(args, 0))
        on_pipe_message(context, NULL, cmd_arg(args, 0));
    else
        ui_ask(context, "Pipe the message to: ", "", ARG_SHELL, true, NULL, on_pipe_message, NULL, NULL);
    return true;
}

static void on_save_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    struct saving *s = arg;
    doc_free(&doc);
    helper_end(&viewer);
    on_saved_part(ui, s, fd);
}

static void on_save_message(struct ui *ui, void *arg, const char *typed)
{
    const struct list_row *row = ui_row(ui);
    (void)arg;
    if (!typed || !typed[0] || !row)
        return;
    struct saving *s = mem_new(sizeof *s);
    *s = (struct saving){.path = target_path(ui, typed, "message.eml"), .again = on_save_message, .fd = -1};
    ui_load(ui, row->ref, "*", VIEW_STRUCTURE, on_save_loaded, s);
}

bool run_save_message(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    if (cmd_arg(args, 0))
        on_save_message(context, NULL, cmd_arg(args, 0));
    else
        ask_save(context, "message.eml", on_save_message);
    return true;
}

/* ---- Opening by mailcap (RFC 1524) -------------------------------------------------------------- */
struct viewer_choice {
    char *command; /* with %s where the file goes; NULL: none found */
    bool terminal;
    char suffix[17]; /* that the file's name is to have; "": any */
};

static bool type_fits(struct str pattern, struct str type)
{
    size_t slash;
    if (pattern.n > 2 && str_eqz(str_sub(pattern, pattern.n - 2, pattern.n), "/*"))
        return str_case_starts(type, str_sub(pattern, 0, pattern.n - 1));
    if (!str_find(pattern, '/', &slash))
        return str_case_starts(type, pattern) && type.n > pattern.n && type.p[pattern.n] == '/';
    return str_case_eq(pattern, type);
}

/* nametemplate=%s.html: what stands behind the %s, where it is harmless. The name before it is ours. */
static void template_suffix(struct str field, char suffix[17])
{
    size_t equals, n = 0;
    if (!str_case_starts(field, STR("nametemplate")) || !str_find(field, '=', &equals))
        return;
    struct str value = str_trim(str_sub(field, equals + 1, field.n));
    size_t at = 0;
    while (at + 1 < value.n && !(value.p[at] == '%' && value.p[at + 1] == 's'))
        at++;
    for (size_t i = at + 2; i < value.n; i++) {
        char c = value.p[i];
        bool harmless =
            c == '.' || c == '-' || c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (!harmless || n == 16)
            return;
        n++;
    }
    snprintf(suffix, 17, "%.*s", (int)n, n ? value.p + at + 2 : "");
}

/* Entries with a test= are left out: running a test with words of a mail is how mailcap was abused (THREATS 137). So is
 * %{...}. */
static bool entry(struct str line, struct str type, struct viewer_choice *choice)
{
    struct str rest = line, field;
    struct str fields[32];
    size_t n = 0;
    while (n < COUNT(fields) && str_split(&rest, ';', &field))
        fields[n++] = str_trim(field);
    if (n < 2 || !fields[1].n || !type_fits(fields[0], type))
        return false;
    bool terminal = false;
    char suffix[17] = "";
    for (size_t i = 2; i < n; i++) {
        template_suffix(fields[i], suffix);
        if (str_case_starts(fields[i], STR("test")) || str_case_starts(fields[i], STR("copiousoutput")))
            return false;
        terminal = terminal || str_case_eqz(fields[i], "needsterminal");
    }
    for (size_t i = 0; i + 1 < fields[1].n; i++)
        if (fields[1].p[i] == '%' && fields[1].p[i + 1] != 's')
            return false;
    choice->command = mem_dup_n(fields[1].p, fields[1].n);
    choice->terminal = terminal;
    memcpy(choice->suffix, suffix, sizeof suffix);
    return true;
}

/* Takes the first entry of the file that fits; a file that cannot be read has none. */
static void mailcap_file(const char *name, struct str type, struct viewer_choice *choice)
{
    struct buf text = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    char *path = path_expand_home(name);
    if (path[0] && fs_read(path, text.max, &text, &err)) {
        struct str rest = buf_str(&text), line;
        while (!choice->command && str_split(&rest, '\n', &line))
            if (line.n && line.p[0] != '#')
                entry(str_trim(line), type, choice);
    }
    free(path);
    buf_fini(&text);
}

/* The option's file, then those of $MAILCAPS, with ":" between (RFC 1524), or the usual ones. */
static struct viewer_choice viewer_for(struct ui *ui, struct str type)
{
    const char *files = getenv("MAILCAPS");
    struct str rest = str_z(files && *files ? files : "~/.mailcap:/etc/mailcap"), name;
    struct viewer_choice choice = {0};
    mailcap_file(ui->conf->mailcap, type, &choice);
    while (!choice.command && str_split(&rest, ':', &name)) {
        char *path = mem_dup_n(name.p, name.n);
        mailcap_file(path, type, &choice);
        free(path);
    }
    if (!choice.command && (str_case_starts(type, STR("text/")) || str_case_starts(type, STR("message/")))) {
        const char *pager = getenv("PAGER");
        choice = (struct viewer_choice){.command = mem_dup_z(pager && *pager ? pager : "less"), .terminal = true};
    }
    if (!choice.command)
        choice.command = mem_dup_z("xdg-open");
    return choice;
}

/* Writes the part below a private directory under a name of ours (THREATS 140), with the suffix that its viewer wants,
 * else a harmless one of the mail's. */
static char *part_file(struct ui *ui, const struct doc_item *part, const char *suffix, int fd, struct err *err)
{
    struct parts *p = listed(ui);
    if (!p->directory) {
        char *runtime = path_runtime_dir(err);
        char *dir = runtime ? path_join(runtime, "tuimail-part-XXXXXX") : NULL;
        free(runtime);
        if (!dir || !mkdtemp(dir)) {
            if (dir)
                err_sys(err, err_from_errno(errno), errno, "cannot make a directory for the part");
            free(dir);
            return NULL;
        }
        p->directory = dir;
    }
    char *name = safe_name(part);
    const char *dot = *suffix ? NULL : strrchr(name, '.');
    struct buf ours = BUF_INIT(64);
    buf_addf(&ours, "part-%u%s", part->number, suffix);
    for (size_t i = 0; dot && dot[i] && i < 8; i++)
        if (dot[i] == '.' || (dot[i] >= '0' && dot[i] <= '9') || ((dot[i] | 32) >= 'a' && (dot[i] | 32) <= 'z'))
            buf_addc(&ours, dot[i]);
    char *path = path_join(p->directory, buf_z(&ours));
    buf_fini(&ours);
    free(name);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = out >= 0 || err_sys(err, err_from_errno(errno), errno, "cannot create %s", path);
    ok = ok && copy_to(fd, out, err);
    if (out >= 0)
        close(out);
    if (!ok) {
        free(path);
        path = NULL;
    }
    return path;
}

static void on_opened_part(struct ui *ui, void *arg, int fd)
{
    struct err err = ERR_INIT;
    const struct doc_item *part = NULL; /* the cursor may have moved meanwhile */
    const struct parts *p = listed(ui);
    for (size_t i = 0; p && i < p->n; i++)
        if (doc_at(p->doc, p->items[i])->number == (uint32_t)(uintptr_t)arg)
            part = doc_at(p->doc, p->items[i]);
    struct viewer_choice v = {0};
    if (part)
        v = viewer_for(ui, part->name);
    char *path = fd >= 0 && part ? part_file(ui, part, v.suffix, fd, &err) : NULL;
    if (path) {
        struct buf command = BUF_INIT(16384);
        const char *args[] = {path, NULL};
        const char *at = v.command;
        bool placed = false;
        for (; *at; at++) {
            bool quoted = (strncmp(at, "'%s'", 4) == 0 || strncmp(at, "\"%s\"", 4) == 0);
            if (quoted || strncmp(at, "%s", 2) == 0) {
                buf_addz(&command, "\"$1\"");
                at += quoted ? 3 : 1;
                placed = true;
            } else {
                buf_addc(&command, *at);
            }
        }
        if (!placed)
            buf_addz(&command, " \"$1\"");
        struct started *s = started_new(v.command, part->name);
        enum tool_where where = v.terminal || !getenv("DISPLAY") ? TOOL_TERMINAL : TOOL_BEHIND;
        if (!ui_tool(ui, where, buf_z(&command), args, -1, on_tool_end, s))
            free(s);
        buf_fini(&command);
        free(path);
    } else if (err.kind != ERR_NONE) {
        ui_note_err(ui, &err);
    }
    free(v.command);
    if (fd >= 0)
        close(fd);
}

bool run_part_open(void *context, const struct cmd_args *args, struct err *err)
{
    const struct doc_item *part = chosen(context, err);
    (void)args;
    if (part)
        part_bytes(context, part, on_opened_part, (void *)(uintptr_t)part->number);
    return part != NULL;
}

/* ---- Bounce: the message as it is, to somebody else (RFC 5322 3.6.6) ---------------------------- */
struct bounce {
    char *rcpts, *shown, *account;
};

static void bounce_free(struct bounce *b)
{
    free(b->rcpts);
    free(b->shown);
    free(b->account);
    free(b);
}

static void on_bounced(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (m && m->kind == MSG_SUBMITTED)
        ui_note(ui, NOTE_INFO, "bounced: in the outbox");
    else
        ui_note(ui, NOTE_ERROR, "not bounced: %.*s",
                STR_FMT(m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended")));
}

static void on_bounce_loaded(struct ui *ui, void *arg, struct doc *doc, int fd, struct helper *viewer)
{
    struct bounce *b = arg;
    struct err err = ERR_INIT;
    const struct account *a = conf_account(ui->conf, b->account);
    int out = doc && a ? memfd_create("tuimail-bounce", MFD_CLOEXEC) : -1;
    struct buf head = BUF_INIT(65536), addr = BUF_INIT(1024);
    if (out >= 0 && ui_online(ui)) {
        account_address(a, &addr);
        buf_addf(&head, "Resent-From: %s\r\nResent-To: %s\r\nResent-Date: ", buf_z(&addr), b->shown);
        mail_date_format(clock_wall(), 0, &head);
        buf_addz(&head, "\r\nResent-Message-ID: <");
        mail_id_new(buf_str(&addr), &head);
        buf_addz(&head, ">\r\n");
        uint32_t req = ui_request(ui, on_bounced, NULL);
        if (!fs_write_all(out, buf_str(&head), &err) || !copy_to(fd, out, &err) || lseek(out, 0, SEEK_SET) < 0 ||
            !SEND(ui->client->chan, out, &err, SUBMIT, .req = req, .account = str_z(b->account),
                  .sender = buf_str(&addr), .rcpts = str_z(b->rcpts), .hold_s = ui->conf->undo_send)) {
            ui_forget(ui, req);
            ui_note_err(ui, &err);
        }
    }
    buf_fini(&head);
    buf_fini(&addr);
    doc_free(&doc);
    helper_end(&viewer);
    if (fd >= 0)
        close(fd);
    if (out >= 0)
        close(out);
    bounce_free(b);
}

static void on_bounce_confirmed(struct ui *ui, void *arg, bool yes)
{
    const struct list_row *row = ui_row(ui);
    if (yes && row)
        ui_load(ui, row->ref, "*", VIEW_STRUCTURE, on_bounce_loaded, arg);
    else
        bounce_free(arg);
}

static void on_bounce_to(struct ui *ui, void *arg, const char *typed)
{
    const struct list_row *row = ui_row(ui);
    (void)arg;
    if (!typed || !typed[0] || !row)
        return;
    struct arena *arena = arena_new(1u << 20);
    struct buf rcpts = BUF_INIT(32768), shown = BUF_INIT(32768);
    struct mail_addrs to;
    bool ok = true;
    mail_addrs_parse(str_z(typed), arena, &to);
    for (size_t i = 0; i < to.count; i++) {
        ok = ok && mail_addr_valid(to.list[i].addr);
        buf_addf(&rcpts, "%.*s\n", STR_FMT(to.list[i].addr));
        buf_addf(&shown, "%s%.*s", i ? ", " : "", STR_FMT(to.list[i].addr));
    }
    if (!ok || !to.count) {
        ui_note(ui, NOTE_ERROR, "that is not an address");
    } else {
        struct bounce *b = mem_new(sizeof *b);
        *b = (struct bounce){buf_take(&rcpts, NULL), buf_take(&shown, NULL),
                             mem_dup_z(ui->accts.list[row->ref.account].name)};
        ui_confirm(ui, "Send this message on, as it is?", b->shown, on_bounce_confirmed, b);
    }
    buf_fini(&rcpts);
    buf_fini(&shown);
    arena_free(&arena);
}

bool run_bounce(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    if (cmd_arg(args, 0))
        on_bounce_to(context, NULL, cmd_arg(args, 0));
    else
        ui_ask(context, "Bounce to: ", "", ARG_ADDRESS, true, NULL, on_bounce_to, NULL, NULL);
    return true;
}

/* ---- The list ----------------------------------------------------------------------------------- */
static unsigned depth_of(const struct parts *p, uint32_t number)
{
    unsigned depth = 0;
    for (size_t i = p->n; i > 0 && depth < 16; i--) { /* parents stand before their children */
        const struct doc_item *item = doc_at(p->doc, p->items[i - 1]);
        if (item->number == number && item->parent) {
            number = item->parent;
            depth++;
        }
    }
    return depth;
}

void parts_draw(struct ui *ui, const struct parts *p, struct rect r)
{
    grid_fill(&ui->grid, r, THING_NORMAL);
    extra_line(ui, r, 0, 0, STR(" Enter open  s save  | pipe  q back"), THING_TITLE);
    size_t rows = r.rows > 1 ? r.rows - 1 : 0;
    size_t top = p->cur >= rows ? p->cur - rows + 1 : 0;
    for (size_t i = top; i < p->n && i - top < rows; i++) {
        const struct doc_item *item = doc_at(p->doc, p->items[i]);
        unsigned y = (unsigned)(i - top) + 1, indent = depth_of(p, item->number) * 2;
        struct buf size = BUF_INIT(40);
        if (!str_case_starts(item->name, STR("multipart/")))
            buf_add_size(&size, item->size);
        style look = item->flags & DOC_PART_ATTACHMENT ? THING_PART : THING_NORMAL;
        if (i == p->cur)
            look |= STYLE_CURSOR;
        grid_fill_row(&ui->grid, r, y, look);
        extra_line(ui, r, y, 9 - MIN((unsigned)size.n, 8u), buf_str(&size), look);
        /* in few columns the name gives way to the type, as far as that is one of the usual ones */
        unsigned named = MIN(40 + indent, MAX(r.cols / 2 + indent, MIN(13u + indent + (unsigned)item->name.n, 30u)));
        struct rect type = {r.y, r.x, r.rows, MIN(named, r.cols + 1) - 1};
        extra_line(ui, item->text.n ? type : r, y, 11 + indent, item->name, look);
        extra_line(ui, r, y, named, item->text, look);
        if (item->flags & DOC_PART_ABSENT && r.cols > 50)
            extra_line(ui, r, y, r.cols - 13, STR("  not fetched"), look);
        buf_fini(&size);
    }
}
