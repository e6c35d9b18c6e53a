/* tuimail: the program with the terminal, and the door to all headless commands. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
