/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals and job control. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int cmd_tty(int argc, char **argv)
{
        char name[256];
        int r = ttyname_r(0, name, sizeof(name));

        printf("stdin=%d stdout=%d stderr=%d name=%s\n", isatty(0), isatty(1), isatty(2),
               r == 0 ? name : strerrorname_np(r));
        return 0;
}

/* exclusive: nobody else may open the terminal any more. */
static int cmd_exclusive(int argc, char **argv)
{
        return ioctl(0, TIOCEXCL) < 0 ? probe_fail("TIOCEXCL") : 0;
}

/* ctty: is there a controlling terminal, and are we in its foreground? */
static int cmd_ctty(int argc, char **argv)
{
        int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return probe_verdict(-1);
        printf("foreground=%d session=%d\n", tcgetpgrp(fd) == getpgrp(), tcgetsid(fd) == getsid(0));
        return 0;
}

static int print_size(void)
{
        struct winsize ws;

        if (ioctl(0, TIOCGWINSZ, &ws) < 0)
                return probe_fail("TIOCGWINSZ");
        printf("%u %u\n", ws.ws_row, ws.ws_col);
        fflush(stdout);
        return 0;
}

static int cmd_winsize(int argc, char **argv)
{
        return print_size();
}

/* winsize-wait: prints the size, then again after the next SIGWINCH. */
static int cmd_winsize_wait(int argc, char **argv)
{
        sigset_t set;
        int sig;

        sigemptyset(&set);
        sigaddset(&set, SIGWINCH);
        sigprocmask(SIG_BLOCK, &set, NULL);
        if (print_size() != 0)
                return 1;
        sigwait(&set, &sig);
        return print_size();
}

/* interact: says "ready", then "line TEXT" for each line; ends on the line "quit" (0) or the end of input (3). */
static int cmd_interact(int argc, char **argv)
{
        char line[4096];

        puts("ready");
        fflush(stdout);
        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\r\n")] = '\0';
                printf("line %s\n", line);
                fflush(stdout);
                if (strcmp(line, "quit") == 0)
                        return 0;
        }
        puts("eof");
        return 3;
}

static int cmd_termios(int argc, char **argv)
{
        struct termios t;

        if (tcgetattr(0, &t) < 0)
                return probe_fail("tcgetattr");
        printf("echo=%d icanon=%d isig=%d opost=%d\n", !!(t.c_lflag & ECHO), !!(t.c_lflag & ICANON),
               !!(t.c_lflag & ISIG), !!(t.c_oflag & OPOST));
        return 0;
}

const struct command tty_commands[] = {
    {"tty", cmd_tty, 0, ""},
    {"exclusive", cmd_exclusive, 0, ""},
    {"ctty", cmd_ctty, 0, ""},
    {"winsize", cmd_winsize, 0, ""},
    {"winsize-wait", cmd_winsize_wait, 0, ""},
    {"interact", cmd_interact, 0, ""},
    {"termios", cmd_termios, 0, ""},
    {NULL, NULL, 0, NULL},
};
