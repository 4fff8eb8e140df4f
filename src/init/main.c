/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp-init — the container's pid 1 on --init: starts the command, passes signals on to it, reaps what is orphaned, and ends as
 * the command ended (its exit code, or 128 + n for a signal). When pid 1 ends, the kernel ends everything else.
 *
 * usage: kelp-init -- COMMAND [ARG…]
 *        kelp-init --exec COMMAND [ARG…]
 *        kelp-init --pause
 *
 * The second form only becomes the command. The launcher uses it as a springboard, so that /proc/self/exe is this harmless file on a
 * read-only mount, and not the engine's, at the moment when the kernel opens what the image calls a program (src/launch/child_exec.c).
 *
 * The third form has no command: it is the infra container of a pod, which holds namespaces for others, reaps what is orphaned in them, and
 * ends on SIGTERM or SIGINT.
 *
 * Process: inside the container, with the container's ids, capabilities and filter. Static, no dependencies, no allocation.
 * Point of no return: once the child was forked, this process only waits.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 125, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL_BASE = 128 };

static int complain(const char *what, const char *object, int error, int code)
{
        (void)fprintf(stderr, "kelp-init: %s%s%s: %s\n", what, object ? " " : "",
                      object ? object : "", strerror(error));
        return code;
}

/* Signals that mean this very process (a fault of our own) keep their default; all others are taken from the queue. */
static void pick_signals(sigset_t *set)
{
        static const int own[] = {SIGFPE,  SIGILL, SIGSEGV, SIGBUS, SIGABRT,
                                  SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

        (void)sigfillset(set);
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
                (void)sigdelset(set, own[i]);
}

static __attribute__((noreturn)) void command_exec(char *const argv[])
{
        (void)execvp(argv[0], argv);
        _exit(complain("cannot run", argv[0], errno,
                       errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN));
}

/*
 * A process group of its own, in the foreground of the terminal when there is one: keys like ^C then reach the command and its
 * children once, from the terminal, and not a second time through us. SIGTTOU would stop a background caller of tcsetpgrp().
 */
static void child_run(char *const argv[], const sigset_t *mask)
{
        void (*tty_out)(int);

        (void)setpgid(0, 0);
        tty_out = signal(SIGTTOU, SIG_IGN);
        if (isatty(STDIN_FILENO))
                (void)tcsetpgrp(STDIN_FILENO, getpgrp());
        (void)signal(SIGTTOU, tty_out);
        (void)sigprocmask(SIG_SETMASK, mask, NULL);
        command_exec(argv);
}

/* Reaps everything that has ended. True, and *ret_code, when the command itself did. */
static bool reap(pid_t command, int *ret_code)
{
        bool ended = false;
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid != command)
                        continue;
                *ret_code =
                    WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL_BASE + WTERMSIG(status);
                ended = true;
        }
        return ended;
}

static int hold(const sigset_t *set)
{
        int code;

        /* It was executed by a descriptor, whose number would be its name. */
        (void)prctl(PR_SET_NAME, "kelp-init");
        for (;;) {
                int sig = sigwaitinfo(set, NULL);

                if (sig < 0 && errno != EINTR)
                        return complain("wait for signals", NULL, errno, EXIT_USAGE);
                if (sig == SIGTERM || sig == SIGINT)
                        return 0;
                if (sig == SIGCHLD)
                        (void)reap(0, &code);
        }
}

int main(int argc, char *argv[])
{
        sigset_t set, before;
        pid_t command;
        int code = 0;

        if (argc >= 3 && strcmp(argv[1], "--exec") == 0)
                command_exec(argv + 2);
        if (argc == 2 && strcmp(argv[1], "--pause") == 0) {
                pick_signals(&set);
                if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                        return complain("block signals", NULL, errno, EXIT_USAGE);
                return hold(&set);
        }
        if (argc < 3 || strcmp(argv[1], "--") != 0) {
                (void)fputs("usage: kelp-init -- COMMAND [ARG...]\n", stderr);
                return EXIT_USAGE;
        }
        pick_signals(&set);
        if (sigprocmask(SIG_BLOCK, &set, &before) < 0)
                return complain("block signals", NULL, errno, EXIT_USAGE);
        /* With --pid host we are not pid 1: orphans come to us all the same. */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        command = fork();
        if (command < 0)
                return complain("fork", NULL, errno, EXIT_USAGE);
        if (command == 0)
                child_run(argv + 2, &before);
        for (;;) {
                siginfo_t info;
                int sig = sigwaitinfo(&set, &info);

                if (sig < 0 && errno != EINTR)
                        return complain("wait for signals", NULL, errno, EXIT_USAGE);
                if (sig == SIGCHLD && reap(command, &code))
                        return code;
                /* SIGTSTP and friends from the terminal went to the foreground group already. */
                if (sig > 0 && sig != SIGCHLD && !(sig == SIGTSTP && info.si_code == SI_KERNEL))
                        (void)kill(command, sig);
        }
}
