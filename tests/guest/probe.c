/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const tables[] = {
    basic_commands,  file_commands, identity_commands, process_commands,
    attack_commands, tty_commands,  network_commands,  system_commands,
};

int probe_number(const char *text)
{
        char *end;
        long n = strtol(text, &end, 0);

        if (*text == '\0' || *end != '\0') {
                fprintf(stderr, "probe: not a number: %s\n", text);
                exit(125);
        }
        return (int)n;
}

int probe_fail(const char *name)
{
        const char *word = strerrorname_np(errno);

        fflush(stdout);
        fprintf(stderr, "%s: %s\n", name, word ? word : "?");
        return 1;
}

int probe_verdict(long result)
{
        const char *word = result >= 0 ? "ok" : strerrorname_np(errno);

        puts(word ? word : "?");
        return result >= 0 ? 0 : 1;
}

int probe_copy_out(const char *path)
{
        char buf[65536];
        ssize_t n;
        int fd = strcmp(path, "-") == 0 ? 0 : open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return probe_fail(path);
        fflush(stdout);
        while ((n = read(fd, buf, sizeof(buf))) > 0) {
                for (ssize_t done = 0; done < n;) {
                        ssize_t w = write(1, buf + done, (size_t)(n - done));
                        if (w < 0)
                                return probe_fail("stdout");
                        done += w;
                }
        }
        if (n < 0)
                return probe_fail(path);
        if (fd != 0)
                close(fd);
        return 0;
}

static const struct command *find(const char *name)
{
        for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
                for (const struct command *c = tables[t]; c->name; c++)
                        if (strcmp(c->name, name) == 0)
                                return c;
        return NULL;
}

int probe_run(int argc, char **argv)
{
        const struct command *c = argc > 0 ? find(argv[0]) : NULL;

        if (!c) {
                fprintf(stderr, "probe: no such command: %s\n", argc > 0 ? argv[0] : "");
                return 125;
        }
        if (argc - 1 < c->min_args) {
                fprintf(stderr, "usage: probe %s %s\n", c->name, c->args);
                return 125;
        }
        return c->run(argc, argv);
}

/* seq A … -- B …: one after the other, whatever they return; the first failure is the result. */
static int cmd_seq(int argc, char **argv)
{
        int result = 0, start = 1;

        for (int i = 1; i <= argc; i++) {
                if (i < argc && strcmp(argv[i], "--") != 0)
                        continue;
                argv[i] = NULL;
                if (i > start) {
                        int r = probe_run(i - start, argv + start);
                        if (result == 0)
                                result = r;
                        fflush(stdout);
                }
                start = i + 1;
        }
        return result;
}

static int cmd_exit(int argc, char **argv)
{
        return argc > 1 ? probe_number(argv[1]) : strcmp(argv[0], "false") == 0;
}

static int print_words(FILE *to, int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                fprintf(to, "%s%s", i > 1 ? " " : "", argv[i]);
        fputc('\n', to);
        return fflush(to) == 0 ? 0 : probe_fail("write");
}

static int cmd_echo(int argc, char **argv)
{
        return print_words(stdout, argc, argv);
}

static int cmd_err(int argc, char **argv)
{
        return print_words(stderr, argc, argv);
}

static int cmd_args(int argc, char **argv)
{
        for (int i = 0; i < argc; i++)
                puts(argv[i]);
        return 0;
}

static int cmd_env(int argc, char **argv)
{
        if (argc > 1) {
                const char *value = getenv(argv[1]);
                puts(value ? value : "(unset)");
                return value ? 0 : 1;
        }
        for (char **e = environ; *e; e++)
                puts(*e);
        return 0;
}

static int cmd_cat(int argc, char **argv)
{
        int r = 0;

        if (argc == 1)
                return probe_copy_out("-");
        for (int i = 1; i < argc; i++)
                r |= probe_copy_out(argv[i]);
        return r;
}

static int cmd_cwd(int argc, char **argv)
{
        char buf[4096];

        if (!getcwd(buf, sizeof(buf)))
                return probe_fail("getcwd");
        puts(buf);
        return 0;
}

static int cmd_hostname(int argc, char **argv)
{
        char buf[256];

        if (gethostname(buf, sizeof(buf)) < 0)
                return probe_fail("gethostname");
        puts(buf);
        return 0;
}

/* lines N [WORD]: N numbered lines. */
static int cmd_lines(int argc, char **argv)
{
        int n = probe_number(argv[1]);

        for (int i = 1; i <= n; i++)
                if (printf("%s %d\n", argc > 2 ? argv[2] : "line", i) < 0)
                        return probe_fail("stdout");
        return fflush(stdout) == 0 ? 0 : probe_fail("stdout");
}

/* bytes N: N bytes that depend on their place, without any line end. */
static int cmd_bytes(int argc, char **argv)
{
        int n = probe_number(argv[1]);

        for (int i = 0; i < n; i++)
                if (putchar('a' + i % 23) == EOF)
                        return probe_fail("stdout");
        return fflush(stdout) == 0 ? 0 : probe_fail("stdout");
}

/* count: how many bytes standard input has, and a sum over them. */
static int cmd_count(int argc, char **argv)
{
        unsigned long n = 0, sum = 5381;
        int c;

        while ((c = getchar()) != EOF) {
                n++;
                sum = (sum * 33 + (unsigned char)c) & 0xffffffff;
        }
        printf("%lu %lu\n", n, sum);
        return 0;
}

const struct command basic_commands[] = {
    {"seq", cmd_seq, 1, "COMMAND ARG… [-- COMMAND ARG…]"},
    {"true", cmd_exit, 0, ""},
    {"false", cmd_exit, 0, ""},
    {"exit", cmd_exit, 1, "CODE"},
    {"echo", cmd_echo, 0, "[WORD…]"},
    {"err", cmd_err, 0, "[WORD…]"},
    {"args", cmd_args, 0, "[WORD…]"},
    {"env", cmd_env, 0, "[NAME]"},
    {"cat", cmd_cat, 0, "[FILE…]"},
    {"read", cmd_cat, 1, "FILE…"},
    {"cwd", cmd_cwd, 0, ""},
    {"hostname", cmd_hostname, 0, ""},
    {"lines", cmd_lines, 1, "N [WORD]"},
    {"bytes", cmd_bytes, 1, "N"},
    {"count", cmd_count, 0, ""},
    {NULL, NULL, 0, NULL},
};

int main(int argc, char **argv)
{
        const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;
        int r;

        base = base ? base + 1 : argc > 0 ? argv[0] : "";
        if (find(base)) {
                argv[0] = (char *)base;
                r = probe_run(argc, argv);
        } else if (argc > 1) {
                r = probe_run(argc - 1, argv + 1);
        } else {
                puts("probe");
                r = 0;
        }
        return fflush(stdout) == 0 ? r : 1;
}
