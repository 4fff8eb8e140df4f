/* SPDX-License-Identifier: Apache-2.0 */
/* kelp cp */
#include "base/err.h"
#include "base/str.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/verb.h"
#include "container/container.h"
#include "container/copy.h"

#include <string.h>
#include <unistd.h>

struct cp_args {
        bool archive, follow, overwrite, quiet;
};
#define F(f) offsetof(struct cp_args, f)
static const struct opt opts[] = {
    {"archive", 'a', OPT_BOOL, F(archive), NULL, "Keep owners, modes and extended attributes"},
    {"follow-link", 'L', OPT_BOOL, F(follow), NULL, "Copy what SRC points to if it is a link"},
    {"overwrite", 0, OPT_BOOL, F(overwrite), NULL,
     "Let a directory be replaced by something else, and the other way"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

struct side {
        struct container *c;
        struct container_copy_end end;
};
#define SIDE_NONE                                                                                  \
        {                                                                                          \
                .end = CONTAINER_COPY_END_NONE                                                     \
        }

static void side_release(struct side *s)
{
        (void)container_free(s->c);
}

/* "-", and what users of Podman write for it. */
static bool is_stream(const char *text, const char *device)
{
        return strcmp(text, "-") == 0 || strcmp(text, device) == 0;
}

/* "NAME:PATH"; a path of the host that has a colon in it is written with "/" or "./" in front. */
static int parse_side(const struct dirs *d, const char *text, struct side *s, struct err **reterr)
{
        const char *colon = *text == '/' || *text == '.' ? NULL : strchr(text, ':');
        AUTO_FREE char *name = NULL;
        AUTO_ERR struct err *e = NULL;
        int r;

        s->end.path = text;
        if (!*text)
                return err_new(reterr, ERR_USAGE, "a name is empty");
        if (!colon)
                return 0;
        name = xstrndup(text, (size_t)(colon - text));
        r = container_find(d, name, &s->c, &e);
        if (r < 0 && err_kind(e) == ERR_NOT_FOUND && access(text, F_OK) == 0) {
                r = err_new(reterr, ERR_NOT_FOUND, "no such container: %s", name);
                return err_hint(reterr, r, "the file here of that name is './%s'", text);
        }
        if (r < 0)
                return err_move(reterr, r, &e);
        s->end.container = s->c;
        s->end.path = colon + 1;
        if (colon[1])
                return 0;
        return err_new(reterr, ERR_USAGE, "'%s': the path in the container is missing", text);
}

static int parse(const struct dirs *d, const struct strv *operands, struct side *from,
                 struct side *to, struct err **reterr)
{
        int r = parse_side(d, operands->v[0], from, reterr);

        if (r >= 0)
                r = parse_side(d, operands->v[1], to, reterr);
        if (r < 0 || from->c || to->c)
                return r;
        r = err_new(reterr, ERR_USAGE, "neither '%s' nor '%s' is in a container", operands->v[0],
                    operands->v[1]);
        return err_hint(reterr, r, "a container's file is written NAME:PATH");
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct cp_args *a = args;
        AUTO(side_release) struct side from = SIDE_NONE, to = SIDE_NONE;
        AUTO(target_release) struct target target = TARGET_NONE;
        struct container_job job = {.progress = progress_show, .warning = progress_warn};
        struct container_copy_opts o = {
            .archive = a->archive, .follow = a->follow, .overwrite = a->overwrite};
        struct progress p;
        struct dirs *d;
        int r;

        if ((r = cli_dirs(cli, &d, reterr)) < 0 || (r = parse(d, operands, &from, &to, reterr)) < 0)
                return r;
        if (is_stream(operands->v[0], "/dev/stdin")) {
                from.end.path = "standard input";
                from.end.stream_fd = STDIN_FILENO;
        }
        if (is_stream(operands->v[1], "/dev/stdout")) {
                r = target_open(NULL, NULL, &target, reterr);
                if (r < 0)
                        return r;
                to.end.path = "standard output";
                to.end.stream_fd = target.fd;
        }
        progress_init(&p, "Copying", !a->quiet);
        job.arg = &p;
        r = container_copy(d, &from.end, &to.end, &o, &job, reterr);
        progress_end(&p);
        if (r < 0)
                return err_wrap(reterr, r, "copy '%s' to '%s'", operands->v[0], operands->v[1]);
        return 0;
}

const struct verb verb_cp = {
    .names = {"cp", "container cp"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "SRC DST",
    .summary = "Copy files between a container and the host, or two containers",
    .details =
        "One of SRC and DST, or both, is CONTAINER:PATH. The container may run or not. - is a "
        "tar archive on standard input or output.",
    .sections = sections,
    .args_size = sizeof(struct cp_args),
    .min_operands = 2,
    .max_operands = 2,
    .completes = {COMPLETE_COPY, COMPLETE_COPY},
    .run = run,
};
