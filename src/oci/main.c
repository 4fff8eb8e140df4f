/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp-oci — the command line that the OCI runtime's callers use. One process per command; what a command leaves running is the container alone.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/prefault.h"
#include "oci/oci.h"
#include "spec/oci.h"

#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const struct oci_command *const commands[] = {
    &oci_cmd_create, &oci_cmd_start,    &oci_cmd_exec,  &oci_cmd_state,
    &oci_cmd_kill,   &oci_cmd_delete,   &oci_cmd_run,   &oci_cmd_list,
    &oci_cmd_spec,   &oci_cmd_features, &oci_cmd_pause, &oci_cmd_resume,
};

#define FIELD(f) offsetof(struct oci_globals, f)
static const struct opt global_opts[] = {
    {"root", 0, OPT_STRING, FIELD(root), "DIR",
     "the state directory (default: $XDG_RUNTIME_DIR/kelp-oci; root's: /run/kelp-oci)"},
    {"log", 0, OPT_STRING, FIELD(log), "FILE", "write errors there as well"},
    {"log-format", 0, OPT_STRING, FIELD(log_format), "FORMAT", "of that file: text or json"},
    {"log-level", 0, OPT_STRING, FIELD(log_level), "LEVEL", "debug, info, warn or error"},
    {"debug", 0, OPT_BOOL, FIELD(debug), NULL, "say what is done, on standard error"},
    {"cgroup-manager", 0, OPT_STRING, FIELD(cgroup_manager), "NAME",
     "who makes cgroups: cgroupfs, systemd or disabled"},
    {"systemd-cgroup", 0, OPT_BOOL, FIELD(systemd_cgroup), NULL,
     "same as --cgroup-manager systemd"},
    {"rootless", 0, OPT_STRING, FIELD(rootless), "WHEN",
     "do without a cgroup that may not be made: auto (not as root), true or false"},
    {"criu", 0, OPT_STRING, FIELD(criu), NULL, NULL},
    {"version", 'v', OPT_BOOL, FIELD(version), NULL, "print the version"},
    {"version", 'V', OPT_BOOL, FIELD(version), NULL, NULL},
    {0}};
const struct opt_section oci_global_sections[] = {{global_opts, NULL, 0, false}, {0}};

static int print_help(void)
{
        puts("Usage: kelp-oci [OPTION…] COMMAND [OPTION…] [ID]\n\nCommands:");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                printf("  %-10s %-12s %s\n", commands[i]->name, commands[i]->operands,
                       commands[i]->help);
        putchar('\n');
        opt_print_help(oci_global_sections, stdout);
        puts("\nkelp-oci COMMAND --help explains a command.");
        return 0;
}

static int print_command_help(const struct oci_command *c)
{
        printf("Usage: kelp-oci %s %s%s\n\n%s\n", c->name, c->sections ? "[OPTION…] " : "",
               c->operands, c->help);
        if (c->sections) {
                putchar('\n');
                opt_print_help(c->sections, stdout);
        }
        return 0;
}

int oci_print_json(struct json_object *o, struct err **reterr)
{
        AUTO_STRBUF text = {0};

        json_write(&text, o, 2);
        puts(text.data);
        return 0;
}

static int check_operands(const struct oci_command *c, const struct strv *operands,
                          struct err **reterr)
{
        int r;

        if (operands->n >= c->min && operands->n <= c->max)
                return 0;
        r = err_new(reterr, ERR_USAGE,
                    operands->n < c->min ? "an operand is missing" : "too many operands");
        return err_hint(reterr, r, "usage: kelp-oci %s %s", c->name, c->operands);
}

static int run_with(struct oci *o, const struct oci_command *c, void *args, char *const *argv,
                    struct err **reterr)
{
        AUTO_STRV operands = {0};
        bool help = false;
        struct opt_parse_opts parse = {
            .sections = c->sections, .options_first = c->options_first, .ret_help = &help};
        int r = opt_parse(&parse, args, argv, &operands, reterr);

        if (r < 0)
                return r;
        if (help)
                return print_command_help(c);
        r = check_operands(c, &operands, reterr);
        return r < 0 ? r : c->run(o, args, &operands, reterr);
}

static int run_command(struct oci *o, char *const *argv, struct err **reterr)
{
        const char *names[ARRAY_SIZE(commands)];
        const char *closest;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
                AUTO_FREE void *args = NULL;

                names[i] = commands[i]->name;
                if (strcmp(names[i], argv[0]) != 0)
                        continue;
                args = xcalloc(1, commands[i]->args_size + 1);
                r = run_with(o, commands[i], args, argv + 1, reterr);
                opt_release(commands[i]->sections, args);
                return r;
        }
        r = err_new(reterr, ERR_USAGE, "unknown command '%s'", argv[0]);
        closest = opt_closest(argv[0], names, ARRAY_SIZE(names));
        return closest ? err_hint(reterr, r, "did you mean '%s'?", closest)
                       : err_hint(reterr, r, "kelp-oci --help lists the commands");
}

static int check_rootless(const struct oci_globals *g, struct err **reterr)
{
        static const char *const values[] = {"auto", "true", "false"};

        for (size_t i = 0; g->rootless && i < ARRAY_SIZE(values); i++) {
                if (strcmp(values[i], g->rootless) == 0)
                        return 0;
        }
        return g->rootless
                   ? err_new(reterr, ERR_USAGE,
                             "option '--rootless': '%s' is not auto, true or false", g->rootless)
                   : 0;
}

static int run(struct oci_globals *g, char **argv, struct err **reterr)
{
        struct oci o = {.globals = g, .root_fd = -EBADF};
        AUTO_STRV rest = {0};
        bool help = false;
        struct opt_parse_opts parse = {
            .sections = oci_global_sections, .options_first = true, .ret_help = &help};
        int r = opt_parse(&parse, g, argv + 1, &rest, reterr);

        if (r == 0)
                r = oci_log_check(g, reterr);
        if (r == 0)
                r = check_rootless(g, reterr);
        if (r < 0)
                return r;
        if (help)
                return print_help();
        if (g->version) {
                printf("kelp-oci version %s\nspec: " SPEC_OCI_VERSION_MAX "\n", KELP_VERSION);
                return 0;
        }
        log_set_debug(g->debug || (g->log_level && strcmp(g->log_level, "debug") == 0));
        if (!rest.n)
                return err_hint(reterr, err_new(reterr, ERR_USAGE, "which command?"),
                                "kelp-oci --help lists the commands");
        r = run_command(&o, rest.v, reterr);
        (void)fd_close(o.root_fd);
        return r;
}

int main(int argc, char **argv)
{
        AUTO_ERR struct err *err = NULL;
        struct oci_globals g = {0};
        int r;

        prefault_program();
        fd_sanitize_stdio();
        (void)signal(SIGPIPE, SIG_IGN);
        r = argc > 0 ? run(&g, argv, &err) : 1;
        if (r < 0) {
                oci_log_error(&g, err);
                r = 1;
        }
        opt_release(oci_global_sections, &g);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "kelp-oci: error: write to standard output: %s\n", strerror(errno));
                return r ? r : 1;
        }
        return r;
}
