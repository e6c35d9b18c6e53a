/* The terminal: the only file that knows curses. Turns the grid into as few bytes as the terminal allows, and bytes
 * that are typed into keys.
 *
 * One per process. Works from vt100 to 24-bit colour; without UTF-8 in the locale the grid has to be ASCII. */
#ifndef TUIMAIL_UI_TERM_H
#define TUIMAIL_UI_TERM_H

#include "cmd/cmd.h"
#include "ui/theme.h"

struct tty;
/* Takes the terminal on stdin and stdout: alternate screen, raw keys. ERR_NO_TERMINAL where they are no terminal, or
 * TERM names one that is unknown or cannot move its cursor. */
struct tty *term_open(struct err *);
void term_close(struct tty **); /* leaves the terminal as it was; NULL-safe */
bool term_utf8(const struct tty *);
bool term_named(const struct tty *, const char *prefix); /* does its name (TERM) begin so? */
unsigned term_colors(const struct tty *);                /* 0: none, or NO_COLOR is set */
/* The size now (after SIGWINCH it is read again). */
void term_size(struct tty *, unsigned *rows_r, unsigned *cols_r);
/* Draws what changed since the last call. Never waits for the terminal: while term_behind what it has not taken is
 * kept, and the next frame had better wait for it (term_drain when term_output can be written), as while term_holds:
 * the line is slow, and so much is on its way that an answer of the terminal (a key) comes first. */
void term_show(struct tty *, const struct grid *, const struct theme *);
bool term_behind(const struct tty *);
bool term_drain(struct tty *);       /* true: all is written, and term_size is worth asking */
int term_output(const struct tty *); /* its descriptor; -1 where nothing is ever kept */
bool term_holds(const struct tty *);
/* The next key that was typed; false where there is none now. Never waits but for the time that tells Esc
 * from a key that begins with it (term_escape). */
bool term_key(struct tty *, ckey *);
/* Gives the terminal to another program, and takes it back. */
void term_suspend(struct tty *);
void term_resume(struct tty *);
void term_redraw(struct tty *);      /* all anew at the next term_show */
bool term_ahead(const struct tty *); /* keys were read that term_key has not given */
/* Is the line to it slow? By what large frames took; false until it is known. */
bool term_slow(const struct tty *);
/* A key within so many ms behind Esc is one with Alt (term_key waits so long for it); 30 at first. */
void term_escape(struct tty *, unsigned ms);
/* Tells of the mouse (K_MOUSE) from now on, or no more. */
void term_mouse(struct tty *, bool on);
bool term_mouse_at(struct tty *, struct mouse *); /* after K_MOUSE; false where nothing of it is wanted */
void term_bell(struct tty *);
/* "9;words": an operating system command, past tmux to the terminal itself, but for a title ("2;"), which a pane of
 * tmux has itself. Nothing while another program has the terminal. */
void term_osc(struct tty *, struct text words);

#endif
