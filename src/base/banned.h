/* Functions that have a safe counterpart here: using one is a compile error. */
#ifndef TUIMAIL_BANNED_H
#define TUIMAIL_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gmtime
#undef localtime
#undef ctime
#undef asctime

#ifdef __GNUC__
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r gets atoi atol atof system tmpnam    \
    mktemp popen
#pragma GCC poison gmtime localtime ctime asctime
#endif

#endif
