/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp-monitor — one per container (run), one per exec session (exec); the remover of trees (remove) and their measure (size). Started by kelp only; the
 * arguments and descriptors are described in protocol.h.
 *
 * Point of no return: monitor_enter(), after which we are in the user's namespace U for good.
 */
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/prefault.h"
#include "base/str.h"
#include "monitor/monitor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int usage(void)
{
        (void)fprintf(stderr,
                      "kelp-monitor is started by kelp: run|exec|pause ROOT ID, lend ROOT ID "
                      "read|write, remove ROOT NAME…, usage ROOT PATH…, unshare ROOT COMMAND…\n");
        return 125;
}

static bool parse_dimensions(const char *text, struct run_args *a)
{
        AUTO_STRV part = {0};
        uint32_t rows, cols;

        strv_split(&part, text, 'x');
        if (part.n != 2 || parse_u32(part.v[0], &rows) < 0 || parse_u32(part.v[1], &cols) < 0 ||
            rows > UINT16_MAX || cols > UINT16_MAX)
                return false;
        a->rows = (uint16_t)rows;
        a->cols = (uint16_t)cols;
        return true;
}

static bool parse_process(const char *text, struct process_id *ret)
{
        AUTO_STRV part = {0};
        uint32_t pid;

        strv_split(&part, text, ':');
        if (part.n != 2 || parse_u32(part.v[0], &pid) < 0 || pid == 0 || pid > INT32_MAX ||
            parse_u64(part.v[1], &ret->start_time) < 0)
                return false;
        ret->pid = (pid_t)pid;
        (void)snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", process_boot_id());
        return true;
}

static const char *value_of(const char *arg, const char *option)
{
        return str_starts(arg, option) ? arg + strlen(option) : NULL;
}

static bool parse_run(char **argv, struct run_args *a)
{
        for (; *argv; argv++) {
                const char *v;

                if (strcmp(*argv, "--rm") == 0)
                        a->rm = true;
                else if (strcmp(*argv, "--stdin-once") == 0)
                        a->stdin_once = true;
                else if (strcmp(*argv, "--health") == 0)
                        a->health = true;
                else if ((v = value_of(*argv, "--name=")))
                        a->name = v;
                else if ((v = value_of(*argv, "--log-driver=")))
                        a->log_driver = v;
                else if ((v = value_of(*argv, "--log-opt=")))
                        strv_add(&a->log_opts, v);
                else if ((v = value_of(*argv, "--end-pod=")))
                        a->pod = v;
                else if ((v = value_of(*argv, "--join=")))
                        strv_add(&a->joins, v);
                else if ((v = value_of(*argv, "--preserve="))) {
                        if (!preserve_parse(v, &a->preserve))
                                return false;
                } else if ((v = value_of(*argv, "--lives-with="))) {
                        if (!parse_process(v, &a->lives_with))
                                return false;
                } else if ((v = value_of(*argv, "--pidfile=")))
                        a->pidfile = v;
                else if (!(v = value_of(*argv, "--size=")) || !parse_dimensions(v, a))
                        return false;
        }
        return true;
}

/* What we inherited from whoever called kelp must not reach the container, nor end us. */
static void settle_down(void)
{
        (void)fd_sanitize_stdio();
        (void)umask(022);
        (void)setsid(); /* fails only when kelp has done it for us */
        if (chdir("/") < 0)
                log_debug("monitor: cannot leave the working directory");
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);
        for (int fd = 3; fd <= 5; fd++)
                (void)fd_set_cloexec(fd, true, NULL);
}

int main(int argc, char **argv)
{
        int r;

        if (argc < 4)
                return usage();
        if (strcmp(argv[1], "unshare") == 0) /* everything of the caller's stays as it is */
                return monitor_unshare(argv[2], argv + 3);
        prefault_program();
        settle_down();
        if (strcmp(argv[1], "run") == 0) {
                struct run_args a = {.root = argv[2], .id = argv[3]};

                if (!str_is_hex(a.id, 64) || !parse_run(argv + 4, &a))
                        return usage();
                r = monitor_run(&a);
                strv_release(&a.log_opts);
                strv_release(&a.joins);
                return r;
        }
        if (strcmp(argv[1], "exec") == 0 && argc <= 5 && str_is_hex(argv[3], 64)) {
                const char *list = argc == 5 ? value_of(argv[4], "--preserve=") : "";
                struct preserve p = {0};

                if (!list || (*list && !preserve_parse(list, &p)))
                        return usage();
                return monitor_exec(argv[2], argv[3], &p);
        }
        if (strcmp(argv[1], "pause") == 0 && argc == 4 && str_is_hex(argv[3], 64))
                return monitor_pause(argv[2], argv[3]);
        if (strcmp(argv[1], "lend") == 0 && argc == 5 && str_is_hex(argv[3], 64))
                return monitor_lend(argv[2], argv[3], strcmp(argv[4], "write") == 0);
        if (strcmp(argv[1], "usage") == 0)
                return monitor_usage(argv[2], argv + 3);
        if (strcmp(argv[1], "remove") == 0)
                return monitor_remove(argv[2], argv + 3);
        return usage();
}
