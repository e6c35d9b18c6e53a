/* The POP3 steps of fetch (messages.def, STEP_POP_*): pop_steps and pop_protocol of fetch.h.
 *
 * A pass is STEP_CONNECT, STEP_POP_LIST, STEP_POP_RETR, STEP_POP_DELE, STEP_POP_QUIT; the store decides what is fetched
 * and deleted. A message is DELIVERED only after its file and directory are on the disk; what a broken line leaves
 * unfinished is removed from tmp/ (THREATS 80, 86, 89). Message numbers belong to the session that listed them: a step
 * that names one the session has not listed fails with ERR_NO_MESSAGE (91). */
#ifndef TUIMAIL_FETCH_POP_H
#define TUIMAIL_FETCH_POP_H

#include "fetch/fetch.h"

#endif
