/* SPDX-License-Identifier: Apache-2.0 */
/* kelp export */
#include "base/err.h"
#include "base/str.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "cli/verb.h"
#include "container/container.h"

struct export_args {
        char *output;
        bool quiet;
};
#define F(f) offsetof(struct export_args, f)
static const struct opt opts[] = {
    {"output", 'o', OPT_STRING, F(output), "FILE", "Write to this file"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show no progress"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct export_args *a = args;
        AUTO(target_release) struct target target = TARGET_NONE;
        AUTO(container_freep) struct container *c = NULL;
        struct container_job job = {.progress = progress_show, .warning = progress_warn};
        struct progress p;
        struct dirs *d;
        int r;

        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = container_find(d, operands->v[0], &c, reterr)) < 0 ||
            (r = target_open(a->output, "name a file in it", &target, reterr)) < 0)
                return r;
        progress_init(&p, "Exporting", !a->quiet);
        job.arg = &p;
        r = container_export(d, c, target.fd, &job, reterr);
        progress_end(&p);
        return r < 0 ? r : target_finish(&target, reterr);
}

const struct verb verb_export = {
    .names = {"export", "container export"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER",
    .summary = "Write a container's files to a tar archive or standard output",
    .details = "What is mounted in the container is not part of it: mount points are empty.",
    .sections = sections,
    .args_size = sizeof(struct export_args),
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_CONTAINER, COMPLETE_NONE},
    .run = run,
};
