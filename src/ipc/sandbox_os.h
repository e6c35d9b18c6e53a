/* What each operating system implements behind sandbox_enter(); only the sandbox files include this. */
#ifndef TUIMAIL_IPC_SANDBOX_OS_H
#define TUIMAIL_IPC_SANDBOX_OS_H

#include "ipc/ipc.h"

#define SANDBOX_PATHS_MAX 64
/* Files and directories (recursively), NULL-terminated; some may not exist. */
struct sandbox_paths {
    const char *read[SANDBOX_PATHS_MAX], *write[SANDBOX_PATHS_MAX];
};
/* Applies file and port rules, then the role's system call rules, for good; adds a word for each to `report`. False
 * where the system has a mechanism and refuses it (ERR_SANDBOX). */
bool sandbox_os_enter(const struct sandbox *, const struct sandbox_paths *, struct buf *report, struct err *);

#endif
