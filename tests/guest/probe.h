/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * probe — the program that the tests run inside containers. Static, needs nothing of its root file system: an image
 * may consist of it alone. Not part of Kelp, never installed.
 *
 * Usage: probe COMMAND [ARG…], or by a link named like a command. Commands may be strung together without a shell:
 * "probe seq COMMAND ARG… -- COMMAND ARG…".
 *
 * A command that tries something prints "ok", or the name of the errno, and ends with 0 or 1.
 */
#include <stddef.h>

struct command {
        const char *name;
        int (*run)(int argc, char **argv); /* argv[0] is the command's name; the exit code */
        int min_args;
        const char *args; /* for the usage message */
};

extern const struct command basic_commands[], file_commands[], identity_commands[],
    process_commands[], attack_commands[], tty_commands[], network_commands[], system_commands[];

/* Runs one command; 125 on wrong usage. */
int probe_run(int argc, char **argv);
/* Prints "ok" or the errno's name for the result of a system call: 0 or 1. */
int probe_verdict(long result);
/* Prints "NAME: errno" on standard error: 1. */
int probe_fail(const char *name);
int probe_number(const char *text);
/* Copies a file to standard output: 0 or 1. */
int probe_copy_out(const char *path);
