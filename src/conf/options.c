/* The option table. The manual page, the sample, completion and `tuimail check` are made from these rows. */
#include "conf/conf.h"

#define GLOBAL(field) .scope = OPT_GLOBAL, .at = offsetof(struct conf, field)
#define ACCOUNT(field) .scope = OPT_ACCOUNT, .at = offsetof(struct account, field)

/* Sorted by scope and theme, as people read them. */
const struct option conf_options[] = {
    /* ---- accounts: who and how to log in ---- */
    {.name = "from",
     .type = OPT_ADDRESS,
     ACCOUNT(from),
     .def = "",
     .help = "Name and address of mail written from this account",
     .more = "As in \"Alice Example <alice@example.org>\". Without it the user of the URL is taken where that is an "
             "address."},
    {.name = "alternates",
     .type = OPT_STR,
     ACCOUNT(alternates),
     .def = "",
     .help = "Further own addresses",
     .more = "Separated by blanks or commas; * stands for any run of characters, as in *@example.org. Replies leave "
             "them out, choose the "
             "sender by them, and mark mail to them as mail to you."},
    {.name = "password-command",
     .type = OPT_COMMAND,
     ACCOUNT(password_command),
     .def = "",
     .help = "Command whose first output line is the password",
     .more = "Run by /bin/sh with standard input from /dev/null, once for each connection. The command \"pass show "
             "mail/work\" is an example; so is "
             "one that prints the refresh token where oauth-provider is set."},
    {.name = "password-file",
     .type = OPT_PATH,
     ACCOUNT(password_file),
     .def = "",
     .help = "File whose first line is the password",
     .more = "It must belong to you, have mode 0600 and be no symbolic link; otherwise it is not read. A command or "
             "the keyring is safer."},
    {.name = "keyring",
     .type = OPT_BOOL,
     ACCOUNT(keyring),
     .def = "no",
     .help = "Take the password from the desktop's keyring",
     .more = "Asks secret-tool lookup service tuimail account NAME. Store it with secret-tool store --label=tuimail "
             "service tuimail account "
             "NAME. Without command, file and keyring the screen asks for the password."},
    {.name = "send-password-command",
     .type = OPT_COMMAND,
     ACCOUNT(send_password_command),
     .def = "",
     .help = "password-command of the submission server, where it differs"},
    {.name = "send-password-file",
     .type = OPT_PATH,
     ACCOUNT(send_password_file),
     .def = "",
     .help = "password-file of the submission server, where it differs"},
    {.name = "send",
     .type = OPT_URL,
     ACCOUNT(out),
     .def = "",
     .min = URL_SUBMISSION,
     .help = "Where mail is handed over for sending",
     .more = "smtps://USER@HOST (TLS from the first byte) or smtp://USER@HOST (STARTTLS required). The user may be "
             "left out where "
             "the server needs no login."},
    {.name = "sieve",
     .type = OPT_URL,
     ACCOUNT(sieve),
     .def = "",
     .min = URL_SIEVE,
     .help = "Server of the scripts that filter mail as it arrives (ManageSieve)",
     .more =
         "sieve://HOST (STARTTLS required) or sieves://HOST (TLS from the first byte), port 4190. The account's own "
         "user and password serve; another user may be named, as in sieve://USER@HOST."},
    /* ---- accounts: OAuth 2.0 ---- */
    {.name = "oauth-provider",
     .type = OPT_CHOICE,
     ACCOUNT(oauth_provider),
     .def = "none",
     .choices = "none google microsoft yahoo fastmail custom",
     .help = "Log in by OAuth 2.0 with this provider",
     .more = "tuimail login ACCOUNT asks for your consent once, on the provider's own page; the refresh token it gives "
             "is kept where token-save-command, keyring or password-file says, and read from there. custom needs "
             "oauth-token-url, oauth-scope, and oauth-device-url or oauth-auth-url."},
    {.name = "oauth-client-id",
     .type = OPT_STR,
     ACCOUNT(oauth_client_id),
     .def = "",
     .help = "Name under which the provider knows your tuimail",
     .more =
         "None comes with tuimail. Google: console.cloud.google.com, Clients, type \"Desktop app\"; it comes with a "
         "secret. Microsoft: entra.microsoft.com, App registrations, platform \"Mobile and desktop\" with redirect "
         "http://localhost and public client flows allowed; no secret. Yahoo: developer.yahoo.com. Fastmail: on "
         "request. Your organization's administrators may have one for you."},
    {.name = "oauth-client-secret-command",
     .type = OPT_COMMAND,
     ACCOUNT(oauth_client_secret_command),
     .def = "",
     .help = "Command that prints the client's secret, where the provider gave one"},
    {.name = "oauth-flow",
     .type = OPT_CHOICE,
     ACCOUNT(oauth_flow),
     .def = "auto",
     .choices = "auto device code",
     .help = "How tuimail login asks for consent",
     .more =
         "device: a short code that you type into a page on any machine (RFC 8628); Google does not offer it for mail. "
         "code: a page that sends the browser back to tuimail on this machine, or whose last address you paste "
         "(RFC 8252). auto: device where the provider offers it for mail."},
    {.name = "oauth-scope",
     .type = OPT_STR,
     ACCOUNT(oauth_scope),
     .def = "",
     .help = "What is asked for, blank separated; empty: the provider's scopes of mail"},
    {.name = "oauth-auth-url",
     .type = OPT_STR,
     ACCOUNT(oauth_auth_url),
     .def = "",
     .help = "Page of the code flow, where it is not the provider's usual one"},
    {.name = "oauth-token-url",
     .type = OPT_STR,
     ACCOUNT(oauth_token_url),
     .def = "",
     .help = "Where tokens come from, where it is not the provider's usual one",
     .more = "Also for one tenant of Microsoft: https://login.microsoftonline.com/TENANT/oauth2/v2.0/token."},
    {.name = "oauth-device-url",
     .type = OPT_STR,
     ACCOUNT(oauth_device_url),
     .def = "",
     .help = "Where the device flow begins, where it is not the provider's usual place"},
    {.name = "oauth-redirect-url",
     .type = OPT_STR,
     ACCOUNT(oauth_redirect_url),
     .def = "",
     .help = "Where the code flow sends the browser, as registered with the client id",
     .more =
         "An http: URL of this machine; without a port any free one is taken. With an https: one, as Yahoo wants it, "
         "the browser's last page does not load, and its address is pasted. Empty: http://127.0.0.1, for microsoft "
         "and fastmail http://localhost."},
    {.name = "oauth-ca-file",
     .type = OPT_PATH,
     ACCOUNT(oauth_ca_file),
     .def = "",
     .help = "PEM file of the authority of the provider's certificate; empty: the system's"},
    {.name = "token-save-command",
     .type = OPT_COMMAND,
     ACCOUNT(token_save_command),
     .def = "",
     .help = "Command that keeps the refresh token, read from its standard input",
     .more =
         "As in \"pass insert -f -m mail/work\", with \"pass show mail/work\" as password-command. It runs at tuimail "
         "login, and when the provider replaces the token."},
    {.name = "token-command",
     .type = OPT_COMMAND,
     ACCOUNT(token_command),
     .def = "",
     .help = "Command that prints an OAuth 2.0 access token",
     .more = "For a program of your own that does all of OAuth, such as oama or mutt_oauth2.py; nothing else of it is "
             "needed then. Run once for each connection."},
    {.name = "send-id",
     .type = OPT_BOOL,
     ACCOUNT(send_id),
     .def = "yes",
     .help = "Tell an IMAP server the name and version of this program",
     .more = "Nothing else is told. Some providers ask for it; with no the server is told nothing."},
    /* ---- accounts: TLS ---- */
    {.name = "tls",
     .type = OPT_CHOICE,
     ACCOUNT(tls),
     .def = "auto",
     .choices = "auto none",
     .help = "TLS as the URL says, or none",
     .more = "none turns encryption off for imap:, pop3: and smtp: URLs. It is accepted only for this machine "
             "(localhost, 127.0.0.1, ::1) or "
             "together with insecure yes."},
    {.name = "insecure",
     .type = OPT_BOOL,
     ACCOUNT(insecure),
     .def = "no",
     .help = "Permit tls none to another machine",
     .more = "Your password and your mail then cross the network for everybody to read."},
    {.name = "one-click-unsubscribe",
     .type = OPT_CHOICE,
     ACCOUNT(one_click_unsubscribe),
     .def = "yes",
     .choices = "yes own-network no",
     .help = "The menu of a mailing list offers to leave it by one click (RFC 8058)",
     .more =
         "After a yes the address of the list is asked once over HTTPS, without cookies and without following anything "
         "further. Only hosts of the public Internet are asked, with own-network others too. That a mail asks for this "
         "is not proven by its signature here: the question names the host."},
    {.name = "tls-ca-file",
     .type = OPT_PATH,
     ACCOUNT(tls_ca_file),
     .def = "",
     .help = "PEM file of the authority that signed the server's certificate",
     .more = "Used instead of the system's authorities."},
    {.name = "tls-pin",
     .type = OPT_STR,
     ACCOUNT(tls_pin),
     .def = "",
     .help = "SHA-256 of the server's public key",
     .more = "In hexadecimal or base64, several separated by blanks. A server with such a key is accepted whoever "
             "signed its certificate, and no other "
             "is. tuimail doctor prints the key that a server shows."},
    {.name = "tls-cert-file",
     .type = OPT_PATH,
     ACCOUNT(tls_cert_file),
     .def = "",
     .help = "PEM file of your client certificate, and those between it and its authority",
     .more = "Shown to a server that asks for one. An account without password-command, password-file, keyring and "
             "token then logs in by it (SASL EXTERNAL)."},
    {.name = "tls-key-file",
     .type = OPT_PATH,
     ACCOUNT(tls_key_file),
     .def = "",
     .help = "PEM file of its private key; empty: in tls-cert-file too",
     .more = "It must belong to you and have mode 0600."},
    {.name = "tls-key-command",
     .type = OPT_COMMAND,
     ACCOUNT(tls_key_command),
     .def = "",
     .help = "Command that prints the private key as PEM, in place of tls-key-file"},
    {.name = "tls-key-password-command",
     .type = OPT_COMMAND,
     ACCOUNT(tls_key_password_command),
     .def = "",
     .help = "Command that prints the password of the private key"},
    {.name = "tunnel",
     .type = OPT_COMMAND,
     ACCOUNT(tunnel),
     .def = "",
     .help = "Command that carries IMAP or POP3 in place of a connection",
     .more =
         "Its standard input and output are the connection, as in \"ssh host exec /usr/lib/dovecot/imap\". The command "
         "counts as safe: with imap: and pop3: there is no TLS within it, with imaps: and pop3s: there is. A server "
         "that says PREAUTH is believed; else the account's password is used, where there is one."},
    {.name = "send-tunnel",
     .type = OPT_COMMAND,
     ACCOUNT(send_tunnel),
     .def = "",
     .help = "The same for the submission server"},
    {.name = "sieve-tunnel",
     .type = OPT_COMMAND,
     ACCOUNT(sieve_tunnel),
     .def = "",
     .help = "The same for the server of option sieve",
     .more =
         "As in \"ssh host nc localhost 4190\". Without it the scripts are reached at the host of option sieve, though "
         "the mail comes through a tunnel."},
    /* ---- accounts: POP3 ---- */
    {.name = "leave",
     .type = OPT_LEAVE,
     ACCOUNT(leave_text),
     .def = "days 14",
     .help = "POP3: what stays on the server",
     .more = "keep leaves all mail there; delete removes a mail when it is safely on disk here; \"days 14\" removes it "
             "14 days after it was fetched, and days alone means that too. Mail of which only the header is here "
             "(max-size) stays."},
    {.name = "delete-on-server",
     .type = OPT_CHOICE,
     ACCOUNT(delete_on_server),
     .def = "never",
     .choices = "never purged trash",
     .help = "POP3: delete there what is deleted here",
     .more = "Whatever leave says: purged deletes a mail on the server when it has been deleted for good here, trash "
             "also when it lies in the trash here. It is done with the next look for mail; what is only a header here "
             "goes when it is deleted for good. Other programs that remove files delete nothing on the server."},
    {.name = "fetch-order",
     .type = OPT_CHOICE,
     ACCOUNT(fetch_order),
     .def = "newest",
     .choices = "newest oldest",
     .help = "POP3: which mail comes first",
     .more = "With newest today's mail is on the screen while the backlog still comes."},
    {.name = "max-size",
     .type = OPT_SIZE,
     ACCOUNT(max_size),
     .def = "0",
     .unit = "bytes",
     .max = UINT64_C(1) << 40,
     .help = "POP3: fetch only the header of larger mail",
     .more = "0 fetches all. K, M and G are understood. A mail that was left out is fetched when it is opened."},
    {.name = "connections",
     .type = OPT_UINT,
     ACCOUNT(connections),
     .def = "2",
     .min = 1,
     .max = 2,
     .help = "IMAP: connections to the server at most",
     .more = "The second one hears what happens in the mailboxes that are not open: in all of them where the server "
             "can tell "
             "(NOTIFY), else in INBOX. With one, they are asked about every three minutes. A server that refuses it is "
             "served by one."},
    {.name = "interval",
     .type = OPT_TIME,
     ACCOUNT(interval),
     .def = "5m",
     .unit = "seconds",
     .min = 10,
     .max = 86400,
     .help = "POP3: time between two looks for new mail"},
    /* ---- accounts: mailboxes ---- */
    {.name = "inbox", .type = OPT_STR, ACCOUNT(inbox), .def = "", .help = "Mailbox of new mail, where it is not INBOX"},
    {.name = "snoozed",
     .type = OPT_STR,
     ACCOUNT(snoozed),
     .def = "",
     .help = "Mailbox where mail waits for its time; empty: Snoozed",
     .more = "The command snooze moves mail there. It comes back unread, to where it was; made where there is none."},
    {.name = "archive",
     .type = OPT_STR,
     ACCOUNT(archive),
     .def = "",
     .help = "Mailbox of archived mail",
     .more = "Like drafts, sent, spam and trash it is needed only where the server does not say which mailbox has this "
             "role and its name is not one of the "
             "usual ones."},
    {.name = "drafts", .type = OPT_STR, ACCOUNT(drafts), .def = "", .help = "Mailbox of drafts"},
    {.name = "sent", .type = OPT_STR, ACCOUNT(sent), .def = "", .help = "Mailbox of sent mail"},
    {.name = "spam", .type = OPT_STR, ACCOUNT(spam), .def = "", .help = "Mailbox of junk"},
    {.name = "trash", .type = OPT_STR, ACCOUNT(trash), .def = "", .help = "Mailbox of deleted mail"},
    {.name = "make-mailboxes",
     .type = OPT_BOOL,
     ACCOUNT(make_mailboxes),
     .def = "yes",
     .help = "Make the archive, drafts, sent, spam or trash mailbox where it is missing",
     .more = "It is made when it is needed first, and marked with its purpose where the server keeps that, so that "
             "other mail programs use it too. With no the action is refused, and says so."},
    {.name = "mailboxes",
     .type = OPT_STR,
     ACCOUNT(mailboxes),
     .def = "",
     .help = "Mailboxes shown, comma separated; empty: all"},
    {.name = "rule-claim",
     .type = OPT_BOOL,
     ACCOUNT(rule_claim),
     .def = "yes",
     .help = "IMAP: run the rules once over a mail, however many devices have rules",
     .more = "Before a rule does something to new mail, the mail is claimed on the server by the keyword "
             "$tuimailRuled, which one device alone gets (CONDSTORE); the others leave that mail to it. Where the "
             "server cannot do this, only what does no harm twice is done: flags, tags, and a move where the server "
             "moves in one piece (MOVE); else the mail stays where it is, which is said. no: nothing is claimed and "
             "everything is done, for the one device that has rules."},
    /* ---- accounts: offline ---- */
    {.name = "offline",
     .type = OPT_BOOL,
     ACCOUNT(offline),
     .def = "no",
     .help = "Do not connect before the command offline off says so",
     .more = "What is on this machine can be read and searched; what is done and sent waits."},
    {.name = "cache",
     .type = OPT_CACHE,
     ACCOUNT(cache_text),
     .def = "headers",
     .help = "IMAP: mail fetched whole ahead of being read",
     .more = "headers fetches lists alone, and a mail when it is opened; \"recent 30\" fetches the mail of the last 30 "
             "days too; all fetches everything and never drops it. It is done newest mail first, when nothing else "
             "is to be done. A mailbox line sets it for one mailbox."},
    {.name = "cache-size",
     .type = OPT_SIZE,
     ACCOUNT(cache_size),
     .def = "1G",
     .unit = "bytes",
     .max = UINT64_C(1) << 50,
     .help = "IMAP: room for mail that was fetched; 0: no limit",
     .more = "Past it the mail that was not opened for the longest time goes first, then the oldest of what is "
             "recent. What cache all keeps is never dropped; it is fetched until this room is full."},
    /* ---- accounts: writing ---- */
    {.name = "signature", .type = OPT_STR, ACCOUNT(signature), .def = "", .help = "Signature below what you write"},
    {.name = "signature-file",
     .type = OPT_PATH,
     ACCOUNT(signature_file),
     .def = "",
     .help = "File that holds the signature"},
    {.name = "copy-sent",
     .type = OPT_BOOL,
     ACCOUNT(copy_sent),
     .def = "yes",
     .help = "Put a copy of sent mail into the sent mailbox",
     .more =
         "What goes out by Gmail's servers is there already, and no copy is put. Say no for others that do the same."},

    /* ---- files and programs ---- */
    {.name = "store",
     .type = OPT_PATH,
     GLOBAL(store),
     .def = "",
     .help = "Root of the store; empty: $XDG_DATA_HOME/tuimail"},
    {.name = "state-dir",
     .type = OPT_PATH,
     GLOBAL(state_dir),
     .def = "",
     .help = "Local directory for databases and index",
     .more = "Needed where the store lies on a network file system; the mail itself stays in the store."},
    {.name = "index-database",
     .type = OPT_PATH,
     GLOBAL(index_database),
     .def = "",
     .help = "Your own notmuch database, searched and kept in step",
     .more =
         "Its directory, or the configuration file of notmuch that names it. Searches without an account find what is "
         "in either, once; what search.exclude_tags names stays out of its part. Mail of Maildir and POP3 accounts "
         "below its root is added, moved and removed there as notmuch new does it (new.tags, new.ignore, "
         "maildir.synchronize_flags), but no hook of notmuch runs; tags that are changed in one are changed in the "
         "other, and those of mail that is there already stay. It is never upgraded. Mail that no account has is "
         "opened from its file, and nothing is done to it."},
    {.name = "download-dir",
     .type = OPT_PATH,
     GLOBAL(download_dir),
     .def = "~/Downloads",
     .help = "Where attachments are saved first"},
    {.name = "editor",
     .type = OPT_COMMAND,
     GLOBAL(editor),
     .def = "",
     .help = "Editor for mail; empty: $VISUAL, $EDITOR, vi"},
    {.name = "browser",
     .type = OPT_COMMAND,
     GLOBAL(browser),
     .def = "",
     .help = "Opens links; empty: the first of $BROWSER, else xdg-open"},
    {.name = "mailcap",
     .type = OPT_PATH,
     GLOBAL(mailcap),
     .def = "",
     .help = "mailcap file for attachments; then those of $MAILCAPS, or the usual ones",
     .more = "The usual ones are ~/.mailcap and /etc/mailcap; $MAILCAPS has paths with : between them."},
    {.name = "gpg", .type = OPT_COMMAND, GLOBAL(gpg), .def = "gpg", .help = "Program for OpenPGP"},
    /* ---- the screen ---- */
    {.name = "theme",
     .type = OPT_STR,
     GLOBAL(theme),
     .def = "default",
     .help = "Colours: a theme by its name, or the path of a file",
     .more =
         "dark, light, 16, mono, contrast, solarized-dark, solarized-light, gruvbox and nord come with tuimail. A "
         "file of that name in ~/.config/tuimail/themes comes first. default is dark or light, as the terminal says in "
         "COLORFGBG; 16 where it has fewer than 256 colours, mono where it has none or NO_COLOR is set."},
    {.name = "keys",
     .type = OPT_CHOICE,
     GLOBAL(keys),
     .def = "mutt",
     .choices = "mutt vim gmail emacs alpine",
     .help = "Set of default keys",
     .more = "All have a key for each command; tuimail-commands(7) lists them. What bind says goes on top."},
    {.name = "layout",
     .type = OPT_CHOICE,
     GLOBAL(layout),
     .def = "auto",
     .choices = "auto wide tall single",
     .help = "Order of the panes",
     .more =
         "wide: message beside the list; tall: below it; single: one at a time; auto: by the size of the terminal."},
    {.name = "list-ratio",
     .type = OPT_UINT,
     GLOBAL(list_ratio),
     .def = "40",
     .unit = "percent",
     .min = 10,
     .max = 90,
     .help = "Part of the width for the list, beside an open message",
     .more = "What is changed by key (command resize) is kept for the next start, until the option is changed."},
    {.name = "list-height",
     .type = OPT_UINT,
     GLOBAL(list_height),
     .def = "40",
     .unit = "percent",
     .min = 10,
     .max = 90,
     .help = "Part of the height for the list, above an open message"},
    {.name = "pager-index-lines",
     .type = OPT_UINT,
     GLOBAL(pager_index_lines),
     .def = "6",
     .unit = "rows",
     .min = 0,
     .max = 50,
     .help = "Rows of the list that stay above an open message where one pane is shown at a time; 0: none"},
    {.name = "sidebar-width",
     .type = OPT_UINT,
     GLOBAL(sidebar_width),
     .def = "24",
     .unit = "columns",
     .min = 0,
     .max = 80,
     .help = "Width of the mailbox pane; 0 hides it"},
    {.name = "list-view",
     .type = OPT_CHOICE,
     GLOBAL(list_view),
     .def = "flat",
     .choices = "flat threads",
     .help = "Lists by message, or by thread",
     .more = "A thread stands where its newest message would, its messages as a tree of answers. The command threads "
             "changes it for the list that is shown."},
    {.name = "sort",
     .type = OPT_CHOICE,
     GLOBAL(sort),
     .def = "date",
     .choices = CONF_SORT_ORDERS,
     .help = "Order of lists",
     .more =
         "date, arrival (when the mailbox got it): the newest first; size: the largest; from, subject: as in a book, "
         "without regard to case, accents and marks of answers, the oldest of one subject first; activity: by thread, "
         "the one with the newest message first. reverse- turns it round; by reverse-date a list begins at its end. "
         "A line mailbox ACCOUNT MAILBOX sort ORDER sets it for one mailbox, or with * for several. The command sort "
         "changes it for the list that is shown."},
    {.name = "group",
     .type = OPT_CHOICE,
     GLOBAL(group),
     .def = "none",
     .choices = "none day",
     .help = "Lists by date have a heading for each day",
     .more = "Those by thread are grouped by the newest message of a thread. The command group changes it for the list "
             "that is shown."},
    {.name = "fold-threads",
     .type = OPT_BOOL,
     GLOBAL(fold_threads),
     .def = "no",
     .help = "Threads are one row until they are unfolded",
     .more = "What is done to a folded thread is done to all its messages in the list."},
    {.name = "threads-across",
     .type = OPT_BOOL,
     GLOBAL(threads_across),
     .def = "yes",
     .help = "Threads show what of them is in other mailboxes and accounts, your own answers too",
     .more =
         "Dimmed, and with the mailbox's name; not what is in the trash, the spam mailbox or the drafts. What is done "
         "to a whole thread leaves these messages alone; what is done to one of them is done where it is."},
    {.name = "threads-by-subject",
     .type = OPT_BOOL,
     GLOBAL(threads_by_subject),
     .def = "no",
     .help = "Mail that names no other message is of the thread with its subject",
     .more =
         "Its subject without Re: and Fwd: (RFC 5256). For correspondents whose programs lose the references; else the "
         "weekly reports of years are one thread. What is here already follows in the background."},
    {.name = "list-format",
     .type = OPT_COLUMNS,
     GLOBAL(list_format),
     .def = "state date from subject tags marks",
     .help = "Columns of a list, in their order",
     .more = "number; state: selected, waiting, unread; date; from (to, in lists of sent mail); address; to; subject; "
             "tags: "
             "your own, not those that marks show; size; list: List-Id; account; mailbox; marks: refused, still on "
             "the server, flagged, "
             "attachment, encrypted, signed, to you (of a mailing list's mail), forwarded, answered. A width may "
             "follow, in columns or as a part of the list: "
             "\"from:24 subject tags:20%\". Subject takes what is left. Where there is little room the least "
             "needed ones are left out."},
    {.name = "date-format",
     .type = OPT_STR,
     GLOBAL(date_format),
     .def = "",
     .help = "Date in lists, as strftime(3); empty: short, by age"},
    {.name = "wrap",
     .type = OPT_UINT,
     GLOBAL(wrap),
     .def = "0",
     .unit = "columns",
     .min = 0,
     .max = 500,
     .help = "Text of a message is wrapped here; 0: at the pane's width"},
    {.name = "ambiguous-wide",
     .type = OPT_BOOL,
     GLOBAL(ambiguous_wide),
     .def = "no",
     .help = "East Asian characters of ambiguous width take two columns"},
    {.name = "bidi",
     .type = OPT_CHOICE,
     GLOBAL(bidi),
     .def = "reorder",
     .choices = "reorder terminal off",
     .help = "Who puts right-to-left text in order",
     .more = "reorder: tuimail, and the terminal is told not to. terminal: for terminals that do it and cannot be "
             "told. off: text "
             "is drawn in the order in which it is stored."},
    {.name = "ascii",
     .type = OPT_CHOICE,
     GLOBAL(ascii),
     .def = "auto",
     .choices = "auto yes no",
     .help = "Draw with ASCII characters alone",
     .more = "auto: where the locale is not one of UTF-8, and on terminals of the name vt100 and the like. The console "
             "of Linux (linux), whose font has few signs, gets its lines and signs in ASCII and text as it is."},
    {.name = "arrow-cursor",
     .type = OPT_CHOICE,
     GLOBAL(arrow_cursor),
     .def = "auto",
     .choices = "auto yes no",
     .help = "Mark the row of the cursor with > in place of a bar",
     .more =
         "A move then takes some 30 bytes to the terminal, not 200. auto: where two large pictures in a row have come "
         "to the terminal at less than 16 kB a second. Under tmux and screen, which answer for the terminal, set "
         "it."},
    {.name = "accessible",
     .type = OPT_BOOL,
     GLOBAL(accessible),
     .def = "no",
     .help = "For screen readers and braille: the cursor on the current row, words in place of signs",
     .more = "The terminal's cursor stands at the beginning of the row or line where you are. Unread, flagged, "
             "answered and "
             "the like are words, lines between panes are blank, threads are told by level, layout auto shows one pane "
             "at a "
             "time, and what changes by itself, as the bytes of a transfer, changes every ten seconds at most."},
    {.name = "confirm-result",
     .type = OPT_UINT,
     GLOBAL(confirm_result),
     .def = "50",
     .max = 1000000,
     .unit = "messages",
     .help = "The command result asks above so many messages",
     .more = "0: always."},
    {.name = "escape-time",
     .type = OPT_UINT,
     GLOBAL(escape_time),
     .def = "30",
     .min = 1,
     .max = 5000,
     .unit = "milliseconds",
     .help = "A key that follows Esc within this time is that key with Alt",
     .more = "1000 for fingers that type Esc and v one after the other, as for mutt, and for lines that tear the keys "
             "with arrows on them apart; Esc alone then acts so much later, or with the next key."},
    {.name = "mouse",
     .type = OPT_BOOL,
     GLOBAL(mouse),
     .def = "no",
     .help = "Click and wheel work in the panes",
     .more = "A click goes to a row, opens a mailbox, or opens the message it is on already; the wheel scrolls what is "
             "below "
             "it. The terminal then selects text only with Shift held."},
    {.name = "notify",
     .type = OPT_CHOICES,
     GLOBAL(notify),
     .def = "",
     .choices = "bell osc9 osc777 notify-send title",
     .help = "How the terminal tells of new mail; several separated by blanks",
     .more = "bell rings. osc9 and osc777 ask the terminal for a notification of the desktop: osc9 in iTerm2, kitty, "
             "WezTerm, Windows Terminal and others, osc777 in urxvt, foot, Ghostty and VTE ones. notify-send runs that "
             "program, on the machine where tuimail runs. title shows the number "
             "of unread mails in the title of the terminal, or of the pane inside tmux, where osc9 and osc777 need its "
             "option "
             "allow-passthrough. New is "
             "unread mail that just arrived in an inbox or a mailbox of no special role: no copy of one's own, no mail "
             "that was moved, nothing old. It is told at most every ten seconds. \"on new-mail run\" runs a command."},
    {.name = "confirm-quit",
     .type = OPT_BOOL,
     GLOBAL(confirm_quit),
     .def = "no",
     .help = "Ask before quitting even where nothing is under way",
     .more = "Where mail waits to be sent, or changes wait that the server cannot get before the end, offline or held "
             "for undo, it is asked always. What waits is kept, and done at the next start."},
    /* ---- reading and writing ---- */
    {.name = "alias-file",
     .type = OPT_PATH,
     GLOBAL(alias_file),
     .def = "",
     .help = "Where the command add-alias keeps aliases; empty: ~/.config/tuimail/aliases",
     .more = "Lines of the same language, read behind tuimailrc; edit it as you like."},
    {.name = "address-book",
     .type = OPT_STR,
     GLOBAL(address_book),
     .def = "",
     .help = "Directories of vCard files, separated by \":\", for completion of addresses",
     .more =
         "As khard keeps them, with directories within directories, as vdirsyncer and CardDAV servers have them, or "
         "one file; names, nicknames, "
         "addresses and groups are read from files *.vcf, again when a directory changes. A leading ~/ is expanded "
         "in each."},
    {.name = "query-command",
     .type = OPT_COMMAND,
     GLOBAL(query_command),
     .def = "",
     .help = "Command that finds addresses; the term stands for %s, or behind it",
     .more =
         "As mutt's query_command: it prints a line for the person, then ADDRESS, NAME and NOTE with tabs between. For "
         "example: khard email --parsable %s; abook --mutt-query %s; lbdbq %s. Tab in an address begins it; what it "
         "finds "
         "is offered as soon as it is there, or at the next Tab behind what is known already."},
    {.name = "rule-file",
     .type = OPT_PATH,
     GLOBAL(rule_file),
     .def = "",
     .help = "Where the command make-rule keeps rules; empty: ~/.config/tuimail/rules",
     .more = "Lines of the same language, read behind tuimailrc; edit it as you like."},
    {.name = "saved-file",
     .type = OPT_PATH,
     GLOBAL(saved_file),
     .def = "",
     .help = "Where the command save-search keeps searches; empty: ~/.config/tuimail/saved",
     .more = "saved lines, read behind tuimailrc, whose own stay as they are. tuimail writes the file anew with each "
             "change; what is written into it by hand is kept as long as it is a saved line."},
    {.name = "search-order",
     .type = OPT_CHOICE,
     GLOBAL(search_order),
     .choices = "newest relevance oldest",
     .def = "newest",
     .help = "Which hits of a search come first",
     .more = "relevance: of the newest 5,000 hits those whose subject and sender have the words that were searched, "
             "then the others, newest first."},
    {.name = "auto-advance",
     .type = OPT_CHOICE,
     GLOBAL(auto_advance),
     .def = "next",
     .choices = "next next-unread previous list no",
     .help = "Where to go after archive, delete and the like",
     .more =
         "next: the message below, where there is none the one above; next-unread: the next unread one below, else "
         "above, else as next; previous: the message above; list: as next, and an open message is closed; no: the row "
         "stays, greyed, until you move."},
    {.name = "mark-seen",
     .type = OPT_BOOL,
     GLOBAL(mark_seen),
     .def = "yes",
     .help = "Mark a message as read when it is shown"},
    {.name = "read-delay",
     .type = OPT_TIME,
     GLOBAL(read_delay),
     .def = "0",
     .unit = "seconds",
     .max = 3600,
     .help = "How long it must be shown for that"},
    {.name = "server-search",
     .type = OPT_CHOICE,
     GLOBAL(server_search),
     .def = "ask",
     .choices = "off ask auto",
     .help = "When IMAP servers are asked for what a search does not find here",
     .more = "ask: by the command server-search. auto: also with each search that is entered, for accounts that "
             "are online. "
             "off: never."},
    {.name = "server-fuzzy",
     .type = OPT_BOOL,
     GLOBAL(server_fuzzy),
     .def = "no",
     .help = "Ask the server for words that are similar, too, where it can (RFC 6203)"},
    {.name = "prefetch",
     .type = OPT_UINT,
     GLOBAL(prefetch),
     .def = "2",
     .max = 20,
     .help = "How many of the next unread messages are fetched ahead",
     .more = "Their text only, behind everything else, and without marking them read. 0 fetches none."},
    {.name = "undo-send",
     .type = OPT_TIME,
     GLOBAL(undo_send),
     .def = "10",
     .unit = "seconds",
     .max = 86400,
     .help = "Sent mail is held so long and can be taken back"},
    {.name = "purge-hold",
     .type = OPT_TIME,
     GLOBAL(purge_hold),
     .def = "30",
     .unit = "seconds",
     .max = 86400,
     .help = "Deletion for good is held so long and can be undone"},
    {.name = "attribution",
     .type = OPT_STR,
     GLOBAL(attribution),
     .def = "{name} wrote on {date}:",
     .help = "Line above the quoted text of a reply",
     .more = "{name}, {address}, {date} and {subject} are replaced."},
    /* ---- network and log ---- */
    {.name = "timeout",
     .type = OPT_TIME,
     GLOBAL(timeout),
     .def = "1m",
     .unit = "seconds",
     .min = 5,
     .max = 3600,
     .help = "Longest wait for a server's answer"},
    {.name = "connect-timeout",
     .type = OPT_TIME,
     GLOBAL(connect_timeout),
     .def = "30",
     .unit = "seconds",
     .min = 2,
     .max = 600,
     .help = "Longest wait for a connection"},
    {.name = "log-level",
     .type = OPT_INDEX,
     GLOBAL(log_level),
     .def = "info",
     .choices = "error warn info debug",
     .help = "What the log file gets"},
};
const size_t conf_noptions = COUNT(conf_options);

const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < conf_noptions; i++)
        if (strcmp(conf_options[i].name, name) == 0)
            return &conf_options[i];
    return NULL;
}

const char *option_type_name(enum opt_type type)
{
    static const char *const names[] = {
        [OPT_STR] = "text",
        [OPT_BOOL] = "yes|no",
        [OPT_UINT] = "number",
        [OPT_SIZE] = "size",
        [OPT_TIME] = "time",
        [OPT_CHOICE] = "choice",
        [OPT_CHOICES] = "choices",
        [OPT_INDEX] = "choice",
        [OPT_PATH] = "path",
        [OPT_COMMAND] = "command",
        [OPT_ADDRESS] = "address",
        [OPT_URL] = "url",
        [OPT_LEAVE] = "keep|delete|days N",
        [OPT_CACHE] = "headers|recent N|all",
        [OPT_COLUMNS] = "columns",
    };
    return names[type];
}

const char *near_word(const char *word, const char *const *names)
{
    unsigned best = (unsigned)MIN(strlen(word) / 3 + 1, 3) + 1;
    const char *near = NULL;
    for (; *names; names++) {
        unsigned distance = str_distance(str_z(word), str_z(*names), best);
        if (distance < best && distance < strlen(*names)) {
            best = distance;
            near = *names;
        }
    }
    return near;
}
