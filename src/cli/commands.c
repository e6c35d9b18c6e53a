/* The table of subcommands, and the way from argv to one of them. */
#include "cli/cli.h"
#include "ui/ui.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <unistd.h>

const struct subcommand cli_commands[] = {
    {"check", "", CLI_NO_CONF, "read tuimailrc and name each mistake by its line",
     "Reads the file and all that it sources, checks options, accounts, rules, key bindings and the commands they run, "
     "and whether the files of passwords and keys are yours alone, and prints each "
     "complaint as FILE:LINE. Status 0 where there is no error.",
     check_main},
    {"fetch", "[--json] [ACCOUNT...]", CLI_ACCOUNTS, "look for new mail once, in all accounts or those named",
     "Starts the store where it does not run. One line for each account, or with --json an array of objects. The "
     "status is that of the "
     "first account that failed.",
     fetch_main},
    {"search",
     "[--format=text|json|ids|files] [--output=summary|messages|files|tags] "
     "[--sort=newest-first|oldest-first|relevance] "
     "[--limit N] [--offset N] [--exclude=true|false] [--null] [--account NAME] [--server] QUERY",
     0, "search all mail with a notmuch query",
     "The query is that of notmuch-search-terms(7) with the short forms of tuimail-commands(7). text: date, sender, "
     "subject and tags in columns; json: tuimail(1); ids: message ids, as --output=messages; files: paths of the mail "
     "that is on this machine, as --output=files; --output=tags: the tags of what is found. --null: each ends with a "
     "NUL, "
     "its bytes as they are. --limit 0 is no limit; the default is 1000. --exclude=false: mail tagged deleted or spam "
     "is "
     "found, too, where the query does not name these tags. The status is 0 also where nothing is found. "
     "--server asks the IMAP "
     "servers, too, and prints what they find beside what is here, behind it: marked [server] in text, with server "
     "true "
     "in json, with the word server behind a tab in ids. What a server cannot be asked is said on stderr.",
     search_main},
    {"count",
     "[--format=text|json] [--output=messages|threads|files] [--exclude=true|false] [--account NAME] [--batch | QUERY]",
     0, "count the mail that a query finds",
     "Without a query, all. --output says what is counted. --exclude=false: what is tagged deleted or spam, too. "
     "--batch: each line of standard input is a query, and gets a line.",
     count_main},
    {"tag", "[--account NAME] +TAG|-TAG... -- QUERY | --batch", CLI_ACCOUNTS,
     "add and remove tags of all mail that a query finds",
     "As the key + does it: over IMAP tags are keywords of the server, too. unread, flagged, replied and passed are "
     "the "
     "message's flags. The key for undo takes it back. It ends when a search finds the mail by its new tags, which is "
     "at once unless the index is being made. --batch: each line of standard input is +TAG -TAG -- QUERY, "
     "as notmuch tag --batch takes it and notmuch dump writes it: %20 in a tag is a blank, lines that begin with # are "
     "left out. Without --account a tag that is taken off goes from copies of the mail in all accounts.",
     tag_main},
    {"address",
     "[--format=text|mutt|json] [--limit N] [--account NAME] "
     "[WORDS | --query QUERY [--output=sender,recipients,count] [--deduplicate=address|mailbox|no]] | import FILE",
     CLI_ACCOUNTS, "print addresses, the likeliest first, or take over the aliases of another program",
     "Those met in mail, then those of option address-book, whose name or address has words that begin like these. "
     "mutt: "
     "address and name with a tab between, for the query command of other programs; json: tuimail(1). The status is 1 "
     "where there is "
     "none. --query prints who sent the mail that it finds, the newest first: each address once, with the name that "
     "most of its mail has, or each of its names (mailbox), or one for each mail (no); --output=recipients to whom it "
     "went, by To, Cc and Bcc of mail that is on this machine, sender,recipients both, and count (or --count) with how "
     "many mails. "
     "import reads aliases of mutt, an address book of abook, or vCards, and adds to the file of option alias-file "
     "what "
     "has no alias of that name there.",
     address_main},
    {"rules", "[--dry-run [QUERY]] [--run [--yes] QUERY] [--account NAME]", CLI_ACCOUNTS,
     "list the rules, show what they would do, or run them over old mail",
     "Alone it lists the rules of tuimailrc, each with its line. --dry-run prints, for each mail that they would "
     "change of those that the query matches, what they would do to it and which of them; without a query, for the "
     "unread mail in INBOX. --run does it, after "
     "asking with the count, or at once with --yes; undo takes it back. A rule whose query is broken is named on "
     "standard error, the others go on, and the status says so.",
     rules_main},
    {"view", "[--width N] [--format=text|json] [--all-headers] < MAIL", CLI_NO_CONF, "show a mail as text",
     "Reads one mail from standard input and prints what the screen would show, without a terminal's colours. --width "
     "0 does not wrap.",
     view_main},
    {"send", "[-t] [-a ACCOUNT] [ADDRESS...] < MAIL", CLI_ACCOUNTS, "put a mail into the outbox and send it",
     "Reads a mail with its header from standard input. -t takes the recipients from To, Cc and Bcc; addresses given "
     "are added. Bcc is "
     "removed; Message-ID, Date and From are added where they are missing. The account is that of the From address, or "
     "the one named. Says "
     "\"sent\" when the server took it, and \"queued\" when it is safe in the outbox and waits.",
     send_main},
    {"queue", "[--json] [drop ACCOUNT NUMBER...]", CLI_ACCOUNTS, "list what waits for the server, or drop some of it",
     "One line each, in the order in which it will be done: account, number, what it is; m before the number is a mail "
     "to be sent, or one that was not sent and why. What is on its way to the server cannot be dropped. A mail that is "
     "dropped and was written here is a draft again.",
     queue_main},
    {"sieve", "list|get|put|check|activate|deactivate|delete|rename ACCOUNT [NAME] [FILE]", CLI_ACCOUNTS,
     "work on the scripts by which the server filters mail",
     "For accounts with option sieve. list marks the active script with *. get writes to FILE, put and check read "
     "FILE; "
     "standard output and input without it. put keeps the script under NAME only where the server can compile it; "
     "check does not keep it. What the server says of errors and warnings goes to standard error, and the status is 65 "
     "for a script that it does not take, 66 for a name that it does not have. deactivate leaves no script active. "
     "rename takes the new name in place of FILE.",
     sieve_main},
    {"export", "[--format=mbox|maildir] [--account NAME] [--mailbox NAME] [--output PATH] [--overwrite] [QUERY]",
     CLI_ACCOUNTS, "copy mail into an mbox file or a Maildir",
     "Every mail that the query finds, or that the mailbox or the account holds, byte for byte; with --mailbox and a "
     "query, those of the mailbox that it finds. As in a search, mail tagged deleted or spam is left out of what a "
     "query finds unless it names them. mbox: of the kind mboxrd, with flags and tags in Status, X-Status and "
     "X-Keywords, to standard output or to the file of --output, which gets its name when it is whole and replaces "
     "another only with --overwrite. maildir: flags are in the names and the time of a file is that of its arrival; "
     "mails that the directory holds from an earlier run are not copied again; of a whole account each mailbox "
     "becomes a folder. Mail that is only on an IMAP server is fetched; where that cannot be, it is left out, counted, "
     "and the status is not 0.",
     export_main},
    {"import", "[--account NAME] [--mailbox NAME] [--dry-run] PATH...", CLI_ACCOUNTS,
     "put mail from mbox files, Maildirs or single files into an account",
     "PATH is an mbox (mboxrd, mboxo, or mboxcl2 where its Content-Length fits), a Maildir with its folders, a file "
     "that holds one mail, or - for an mbox on standard input. Into INBOX, or the mailbox named, which is made where "
     "it is missing; folders of a Maildir go into mailboxes of their names, below the one named. Flags, tags and the "
     "time of "
     "arrival are kept. A mail that the mailbox has already, byte for byte but for line ends, is a duplicate and left "
     "out, so the same import may be run again. What is no mail is named with its place in the file, and the status "
     "is then not 0. For a server the mail is queued, and sent while the command runs and whenever the account is "
     "connected. --dry-run only counts.",
     import_main},
    {"index", "[--rebuild|--hold|--resume]", CLI_ACCOUNTS,
     "wait until all mail is in the search index, or build it anew",
     "--rebuild makes a new index of all mail that is here, beside the old one, which is searched until the new one is "
     "whole; an interrupted one goes on with the next start. It costs about as much time as the mail took when it "
     "came. For an index that is damaged, or that a newer notmuch wrote. --hold stops the indexing of a tuimail that "
     "runs until --resume or its end.",
     index_main},
    {"cmd", "COMMAND", 0, "run a command of the screen in the tuimail that runs",
     "As typed behind : there, several with ; between them, as in tuimail cmd 'go inbox ; next-unread'. Of several "
     "tuimails with this store the one started last runs it. What it says is printed; status 64 where it is refused, "
     "69 "
     "where none runs.",
     cmd_main},
    {"login", "ACCOUNT", CLI_ACCOUNTS, "give tuimail your consent at an OAuth 2.0 provider",
     "For an account with oauth-provider. Shows the address of the provider's page, and waits until you have agreed "
     "there: "
     "with the device flow you type a short code into it, with the code flow the browser comes back by itself, or you "
     "paste the address of its last page where it runs on another machine. The refresh token then goes to "
     "token-save-command, the keyring or password-file. Needed once, and again when an account says so.",
     login_main},
    {"demo", "", CLI_NO_CONF, "open a mailbox that teaches the keys: no account, no network",
     "Everything it makes is removed at its end.", demo_main},
    {"doctor", "[--offline]", CLI_NO_CONF, "say what works on this machine, and what to do about the rest",
     "Looks at the configuration, the store, the sandbox, the terminal, the programs and the index, and logs in to "
     "each account, to its submission server, where it sends nothing, and to the server of its scripts. One line each: "
     "ok, warn or fail. Status 0 where nothing fails.",
     doctor_main},
    {"help", "[COMMAND]", CLI_NO_CONF, "print this list, or more about one command", "", help_main},
    {"dump", "options|commands|keys|errors|words|profiles|events|values|things [tsv|man|sample]", CLI_NO_CONF,
     "print the tables of options, commands, keys, errors", "The manual pages and completions are made from them.",
     dump_main},
};
const size_t cli_ncommands = COUNT(cli_commands);

static const struct subcommand *find(const char *name)
{
    for (size_t i = 0; i < cli_ncommands; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return NULL;
}

static bool unknown_command(const char *name, struct err *err)
{
    const char *names[COUNT(cli_commands) + 1] = {NULL};
    for (size_t i = 0; i < cli_ncommands; i++)
        names[i] = cli_commands[i].name;
    const char *near = near_word(name, names);
    if (near)
        return err_set(err, ERR_USAGE, "unknown command \"%.60s\"; did you mean \"%s\"?", name, near);
    return err_set(err, ERR_USAGE, "unknown command \"%.60s\"", name);
}

static bool asks_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int help_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT(1 << 16);
    const struct subcommand *c = cli->argc ? find(cli->argv[0]) : NULL;
    if (cli->argc && !c) {
        unknown_command(cli->argv[0], &err);
        return cli_fail(&err);
    }
    if (c) {
        buf_addf(&out, "tuimail %s%s%s: %s\n\n%s%s", c->name, c->args[0] ? " " : "", c->args, c->help, c->more,
                 c->more[0] ? "\n" : "");
    } else {
        buf_addz(&out, "tuimail [-c FILE] [--store DIR] [--offline] [COMMAND]\n\n  (no command)  the screen\n");
        for (size_t i = 0; i < cli_ncommands; i++)
            buf_addf(&out, "  %-12s  %s\n", cli_commands[i].name, cli_commands[i].help);
        buf_addz(&out, "\n  -c FILE       this tuimailrc in place of ~/.config/tuimail/tuimailrc\n"
                       "  --store DIR   this store in place of option store\n"
                       "  --offline     do not connect\n"
                       "  --version     print the version\n"
                       "  -h, --help    print this; behind a command, more about it\n\n"
                       "tuimail help COMMAND says more; so do tuimail(1), tuimailrc(5) and tuimail-commands(7).\n");
    }
    bool ok = out_flush(&out);
    buf_fini(&out);
    return ok ? 0 : err_exit(ERR_IO);
}

/* ---- The screen --------------------------------------------------------------------------------- */

static int no_account(const struct cli *cli)
{
    struct err err = ERR_INIT;
    char *home = path_config_home(&err);
    fprintf(stderr,
            "tuimail: no account yet. Write two lines into %s%s:\n\n"
            "    account work imaps://alice@imap.example.org\n"
            "    set -a work password-command \"pass show mail/work\"\n\n"
            "(pop3s:// for POP3, and \"set -a work send smtps://alice@smtp.example.org\" to send.)\n"
            "tuimail demo opens a mailbox that teaches the keys, without account and network.\n",
            cli->config[0] ? cli->config
            : home         ? home
                           : "~/.config",
            cli->config[0] ? "" : "/tuimail/tuimailrc");
    free(home);
    return err_exit(ERR_NO_ACCOUNT);
}

static int screen_main(struct cli *cli)
{
    if (cli->conf->naccounts == 0)
        return no_account(cli);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        struct err err = ERR_INIT;
        err_set(&err, ERR_NO_TERMINAL, "this is not a terminal");
        return cli_fail(&err);
    }
    return ui_main(&(struct ui_start){
        .conf = cli->conf, .root = cli->root, .store = cli->store, .config = cli->config, .offline = cli->offline});
}

/* ---- argv --------------------------------------------------------------------------------------- */

char *cli_absolute(const char *path, struct err *err)
{
    char cwd[PATH_MAX];
    if (!path[0] || path[0] == '/')
        return mem_dup_z(path);
    if (!getcwd(cwd, sizeof cwd)) {
        err_sys(err, ERR_IO, errno, "the working directory");
        return NULL;
    }
    return path_join(cwd, path);
}

static int run(struct cli *cli, const struct subcommand *c)
{
    struct err err = ERR_INIT;
    struct conf *conf = NULL;
    char *config = NULL, *root = NULL, *config_arg = NULL;
    int status = -1;
    if (cli->config_arg && !(config_arg = cli_absolute(cli->config_arg, &err)))
        return cli_fail(&err);
    cli->config_arg = config_arg;
    if (!c || !(c->flags & CLI_NO_CONF)) {
        bool ok = conf_load(config_arg, &conf, NULL, &err) && (config = cli_absolute(conf->file, &err)) &&
                  (root = conf_root(conf, cli->store, &err));
        cli->conf = conf;
        cli->config = config ? config : "";
        cli->root = root;
        if (!ok)
            status = cli_fail(&err);
        else if (c && (c->flags & CLI_ACCOUNTS) && conf->naccounts == 0)
            status = no_account(cli);
        else
            text_set_ambiguous_wide(conf->ambiguous_wide);
    }
    if (status < 0)
        status = c ? c->run(cli) : screen_main(cli);
    conf_free(&conf);
    free(config);
    free(config_arg);
    free(root);
    return status;
}

/* Options before the subcommand; *at_r is the subcommand's place. True to go on. */
static bool global_options(struct cli *cli, int argc, char **argv, int *at_r, struct err *err)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char **value = strcmp(argv[i], "-c") == 0        ? &cli->config_arg
                             : strcmp(argv[i], "--store") == 0 ? &cli->store
                                                               : NULL;
        if (value && i + 1 == argc)
            return err_set(err, ERR_USAGE, "%s needs a value", argv[i]);
        if (value)
            *value = argv[++i];
        else if (strncmp(argv[i], "--store=", 8) == 0)
            cli->store = argv[i] + 8;
        else if (strcmp(argv[i], "--offline") == 0)
            cli->offline = true;
        else if (asks_help(argv[i]) || strcmp(argv[i], "--version") == 0)
            break;
        else
            return err_set(err, ERR_USAGE, "unknown option \"%.60s\"", argv[i]);
    }
    *at_r = i;
    return true;
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {.config = "", .root = ""};
    struct err err = ERR_INIT;
    int at = 1;
    setlocale(LC_ALL, "");
    log_open("tuimail", LOG_WARN);
    if (!global_options(&cli, argc, argv, &at, &err))
        return cli_fail(&err);
    if (at < argc && strcmp(argv[at], "--version") == 0) {
        puts("tuimail " PACKAGE_VERSION);
        return 0;
    }
    if (at < argc && asks_help(argv[at]))
        return help_main(&cli);
    if (at == argc)
        return run(&cli, NULL);
    const struct subcommand *c = find(argv[at]);
    if (!c) {
        unknown_command(argv[at], &err);
        return cli_fail(&err);
    }
    if (at + 1 < argc && asks_help(argv[at + 1])) { /* tuimail COMMAND --help is tuimail help COMMAND */
        cli.argc = 1;
        cli.argv = argv + at;
        return help_main(&cli);
    }
    cli.argc = argc - at - 1;
    cli.argv = argv + at + 1;
    return run(&cli, c);
}

/* ---- check -------------------------------------------------------------------------------------- */

int check_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct conf *conf;
    struct buf all = BUF_INIT(1 << 20), out = BUF_INIT(2 << 20);
    bool ok = conf_load_anyway(cli->config_arg, &conf, &all, &err);
    if (!conf)
        return cli_fail(&err);
    ok = cmd_check_conf(&ui_lang, conf, &all) && ok;
    ok = secret_check_files(conf, &all) && ok;
    struct str rest = buf_str(&all), line;
    while (str_split(&rest, '\n', &line)) {
        if (line.n == 0)
            continue;
        out_text(&out, line);
        buf_addc(&out, '\n');
    }
    if (ok)
        buf_addf(&out, "%s: %zu account%s, no errors\n", conf->file[0] ? conf->file : "no tuimailrc", conf->naccounts,
                 conf->naccounts == 1 ? "" : "s");
    out_flush(&out);
    conf_free(&conf);
    buf_fini(&all);
    buf_fini(&out);
    return ok ? 0 : err_exit(ERR_CONFIG);
}
