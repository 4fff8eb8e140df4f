/* SPDX-License-Identifier: Apache-2.0 */
/* kelp attach */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/foreground.h"
#include "cli/select.h"
#include "cli/term.h"
#include "cli/verb.h"
#include "container/attach.h"

#include <errno.h>
#include <unistd.h>

struct attach_args {
        struct select_args select;
        bool no_stdin, sig_proxy;
        char *detach_keys;
};
#define F(f) offsetof(struct attach_args, f)
static const struct opt opts[] = {
    {"detach-keys", 0, OPT_STRING, F(detach_keys), "KEYS",
     "Keys that detach (" DETACH_KEYS_DEFAULT ")"},
    {"no-stdin", 0, OPT_BOOL, F(no_stdin), NULL, "Pass no standard input on"},
    {"sig-proxy", 0, OPT_BOOL, F(sig_proxy), NULL,
     "Pass signals on (true); without, they end the attached session"},
    {0},
};
static const struct opt_section sections[] = {
    {opts, NULL, 0, false},
    {select_opts_one, "Choice", F(select), false},
    {0},
};
#undef F

static void init(void *args)
{
        ((struct attach_args *)args)->sig_proxy = true;
}

/* What the container has, as it was made. */
static int read_config(const struct container *c, bool *ret_terminal, bool *ret_stdin,
                       struct err **reterr)
{
        struct json_at root = json_root(c->config, "config.json");
        struct json_at config = json_key(&root, "Config");
        int r = json_opt_bool(&config, "Tty", ret_terminal, reterr);

        return r < 0 ? r : json_opt_bool(&config, "OpenStdin", ret_stdin, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        const struct attach_args *a = args;
        struct foreground_opts fg = {.forward_stdout = true,
                                     .forward_stderr = true,
                                     .redraw = true,
                                     .sig_proxy = a->sig_proxy,
                                     .detach_keys = a->detach_keys};
        struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};
        AUTO_FREE char *name = NULL;
        struct detach_keys keys;
        bool open_stdin = false;
        struct dirs *d;
        size_t taken;
        int r = a->detach_keys ? detach_keys_parse(a->detach_keys, &keys, reterr) : 0;

        if (r >= 0)
                r = cli_dirs(cli, &d, reterr);
        if (r >= 0)
                r = select_one(cli, &a->select, operands, &name, &taken, reterr);
        if (r >= 0 && taken < operands->n)
                r = err_new(reterr, ERR_USAGE,
                            "an option names the container: '%s' is one too many", operands->v[0]);
        if (r >= 0)
                r = container_find(d, name, &c, reterr);
        if (r >= 0)
                r = read_config(c, &fg.terminal, &open_stdin, reterr);
        if (r < 0)
                return r;
        fg.dirs = d;
        fg.container = c;
        fg.forward_stdin = open_stdin && !a->no_stdin;
        if (fg.terminal && fg.forward_stdin && !fd_is_terminal(STDIN_FILENO))
                return err_hint(reterr,
                                err_new(reterr, ERR_USAGE,
                                        "container '%s' has a terminal, standard input is none",
                                        c->name),
                                "--no-stdin attaches its output alone");
        r = container_attach(d, c, &io, reterr);
        return r < 0 ? r : foreground_run(&fg, &io, reterr);
}

const struct verb verb_attach = {
    .names = {"attach", "container attach"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER]",
    .summary = "Attach to the streams of a running container",
    .sections = sections,
    .args_size = sizeof(struct attach_args),
    .init = init,
    .max_operands = 1,
    .completes = {COMPLETE_RUNNING},
    .run = run,
};
