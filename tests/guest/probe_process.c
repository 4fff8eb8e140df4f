/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and signals. */
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void delay(double seconds)
{
        struct timespec ts = {.tv_sec = (time_t)seconds,
                              .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

        while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
                ;
}

static int cmd_sleep(int argc, char **argv)
{
        delay(atof(argv[1]));
        return 0;
}

static int cmd_spin(int argc, char **argv)
{
        double end = atof(argv[1]);
        struct rusage u;

        do {
                getrusage(RUSAGE_SELF, &u);
        } while ((double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 +
                     (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6 <
                 end);
        return 0;
}

static int cmd_pids(int argc, char **argv)
{
        printf("pid=%d ppid=%d pgid=%d sid=%d\n", getpid(), getppid(), getpgrp(), getsid(0));
        return 0;
}

/* pause [SIGNAL…]: says "ready", then names the first of these signals (TERM, INT) that comes, and ends with 0. A program
 * that is pid 1 gets no default actions, so that it must handle what it wants to end on. */
static int cmd_pause(int argc, char **argv)
{
        sigset_t set;
        int sig;

        sigemptyset(&set);
        for (int i = 1; i < argc; i++)
                sigaddset(&set, probe_number(argv[i]));
        if (argc == 1) {
                sigaddset(&set, SIGTERM);
                sigaddset(&set, SIGINT);
        }
        sigprocmask(SIG_BLOCK, &set, NULL);
        puts("ready");
        fflush(stdout);
        if (sigwait(&set, &sig) != 0)
                return 1;
        printf("got %d\n", sig);
        return 0;
}

/* stubborn: ignores what can be ignored, until killed. */
static int cmd_stubborn(int argc, char **argv)
{
        for (int sig = 1; sig < 65; sig++)
                signal(sig, SIG_IGN);
        puts("ready");
        fflush(stdout);
        while (pause() < 0)
                ;
        return 0;
}

static int cmd_kill(int argc, char **argv)
{
        return probe_verdict(kill(probe_number(argv[1]), probe_number(argv[2])));
}

static int cmd_kill_self(int argc, char **argv)
{
        int sig = probe_number(argv[1]);
        sigset_t set;

        fflush(stdout);
        signal(sig, SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, sig);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        kill(getpid(), sig);
        delay(0.2);
        puts("survived");
        return 0;
}

static int cmd_segv(int argc, char **argv)
{
        volatile char *nowhere = NULL;

        fflush(stdout);
        *nowhere = 1;
        return 0;
}

/* orphan SECONDS: leaves a process behind that prints "orphan done" then. */
static int cmd_orphan(int argc, char **argv)
{
        fflush(stdout);
        if (fork() == 0) {
                delay(atof(argv[1]));
                puts("orphan done");
                fflush(stdout);
                _exit(0);
        }
        return 0;
}

/* fork N: N children that wait for ever; says "ready". */
static int cmd_fork(int argc, char **argv)
{
        fflush(stdout);
        for (int i = 0; i < probe_number(argv[1]); i++) {
                pid_t pid = fork();
                if (pid < 0)
                        return probe_fail("fork");
                if (pid == 0) {
                        setsid();
                        for (;;)
                                pause();
                }
        }
        puts("ready");
        fflush(stdout);
        return 0;
}

static char process_state(const char *pid, char comm[64])
{
        char path[300], line[1024], state = '?';
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%s/stat", pid);
        f = fopen(path, "re");
        if (!f)
                return '?';
        if (fgets(line, sizeof(line), f)) {
                char *open = strchr(line, '('), *close = strrchr(line, ')');
                if (open && close) {
                        *close = '\0';
                        snprintf(comm, 64, "%s", open + 1);
                        state = close[2];
                }
        }
        fclose(f);
        return state;
}

static int cmd_processes(int argc, char **argv)
{
        DIR *d = opendir("/proc");
        struct dirent *e;

        if (!d)
                return probe_fail("/proc");
        while ((e = readdir(d))) {
                char comm[64] = "?", state;
                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                state = process_state(e->d_name, comm);
                printf("%s %c %s\n", e->d_name, state, comm);
        }
        closedir(d);
        return 0;
}

/* zombies N: makes N orphans that end at once, gives pid 1 a second to reap them, prints how many zombies it sees. */
static int cmd_zombies(int argc, char **argv)
{
        int left = 0;

        fflush(stdout);
        for (int i = 0; i < probe_number(argv[1]); i++) {
                pid_t pid = fork();
                if (pid == 0) {
                        if (fork() == 0) {
                                delay(0.05);
                                _exit(0);
                        }
                        _exit(0);
                }
                waitpid(pid, NULL, 0);
        }
        for (int tries = 0; tries < 50; tries++) {
                DIR *d = opendir("/proc");
                struct dirent *e;
                delay(0.05);
                left = 0;
                while (d && (e = readdir(d))) {
                        char comm[64];
                        left += isdigit((unsigned char)e->d_name[0]) &&
                                process_state(e->d_name, comm) == 'Z';
                }
                if (d)
                        closedir(d);
                if (left == 0 && tries > 2)
                        break;
        }
        printf("%d\n", left);
        return 0;
}

static int cmd_exec(int argc, char **argv)
{
        fflush(stdout);
        execv(argv[1], argv + 1);
        return probe_fail(argv[1]);
}

/* run COMMAND…: a command of the probe's in a process of its own; prints how that ended. */
static int cmd_run(int argc, char **argv)
{
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid < 0)
                return probe_fail("fork");
        if (pid == 0) {
                int r = probe_run(argc - 1, argv + 1);
                fflush(stdout);
                _exit(r);
        }
        waitpid(pid, &status, 0);
        if (WIFSIGNALED(status))
                printf("signal %d\n", WTERMSIG(status));
        else
                printf("exit %d\n", WEXITSTATUS(status));
        return 0;
}

const struct command process_commands[] = {
    {"sleep", cmd_sleep, 1, "SECONDS"},
    {"spin", cmd_spin, 1, "CPU-SECONDS"},
    {"pids", cmd_pids, 0, ""},
    {"pause", cmd_pause, 0, "[SIGNAL…]"},
    {"stubborn", cmd_stubborn, 0, ""},
    {"kill", cmd_kill, 2, "PID SIGNAL"},
    {"kill-self", cmd_kill_self, 1, "SIGNAL"},
    {"segv", cmd_segv, 0, ""},
    {"orphan", cmd_orphan, 1, "SECONDS"},
    {"fork", cmd_fork, 1, "N"},
    {"ps", cmd_processes, 0, ""},
    {"zombies", cmd_zombies, 1, "N"},
    {"exec", cmd_exec, 1, "PATH ARG…"},
    {"run", cmd_run, 1, "COMMAND ARG…"},
    {NULL, NULL, 0, NULL},
};
