/* SPDX-License-Identifier: Apache-2.0 */
/* kelp rmi, kelp image prune */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "image/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct rmi_args {
        bool force, no_prune;
};
#define F(f) offsetof(struct rmi_args, f)
static const struct opt opts[] = {
    {"force", 'f', OPT_BOOL, F(force), NULL,
     "Also with several names or stopped containers; one that is not there is no error"},
    {"no-prune", 0, OPT_BOOL, F(no_prune), NULL,
     "Keep nameless parents (Kelp never has any: always so)"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int remove_one(struct dirs *d, const char *name, const void *arg, struct err **reterr)
{
        const struct rmi_args *a = arg;
        struct store_remove_opts o = {.force = a->force, .no_prune = a->no_prune};
        AUTO_ERR struct err *err = NULL;
        AUTO_STRV report = {0};
        int r = store_remove(d, name, &o, &report, &err);

        for (size_t i = 0; i < report.n; i++)
                printf("%s\n", report.v[i]);
        if (r >= 0 || (a->force && err_kind(err) == ERR_NOT_FOUND))
                return 0;
        return err_move(reterr, r, &err);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        return each_name(cli, "rmi", operands, remove_one, args, reterr);
}

const struct verb verb_rmi = {
    .names = {"rmi", "image rm", "image remove"},
    .group = VERB_GROUP_IMAGE,
    .operands = "IMAGE [IMAGE...]",
    .summary = "Remove names of images, and images with their last name",
    .sections = sections,
    .args_size = sizeof(struct rmi_args),
    .min_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run,
};

/* ---- image prune ---- */

struct prune_args {
        bool all, force;
        struct strv filters;
};
#define F(f) offsetof(struct prune_args, f)
static const struct opt prune_opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "Remove every image that no container uses"},
    {"filter", 0, OPT_STRV, F(filters), "KEY=VALUE", "dangling, label, label!, until",
     .values = "dangling=true dangling=false label= label!= until="},
    {"force", 'f', OPT_BOOL, F(force), NULL, "Don't ask"},
    {0},
};
#undef F
static const struct opt_section prune_sections[] = {{prune_opts, NULL, 0, false}, {0}};

static bool confirmed(const struct prune_args *a)
{
        char answer[16];

        if (a->force)
                return true;
        printf("WARNING! This will remove all %s.\nAre you sure you want to continue? [y/N] ",
               a->all ? "images that no container uses" : "dangling images");
        (void)fflush(stdout);
        if (!fgets(answer, sizeof(answer), stdin))
                answer[0] = '\0';
        if (!fd_is_terminal(STDIN_FILENO))
                printf("\n");
        return answer[0] == 'y' || answer[0] == 'Y';
}

static int prune(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct prune_args *a = args;
        char size[OUTPUT_SIZE_MAX];
        AUTO_STRV report = {0};
        uint64_t bytes = 0;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        if (!confirmed(a))
                return 0;
        r = store_prune(d, a->all, a->filters.v, &report, &bytes, reterr);
        if (r < 0)
                return r;
        if (report.n > 0)
                printf("Deleted Images:\n");
        for (size_t i = 0; i < report.n; i++)
                printf("%s\n", report.v[i]);
        return output_printf(reterr, "%sTotal reclaimed space: %s\n", report.n ? "\n" : "",
                             output_size(bytes, size));
}

const struct verb verb_image_prune = {
    .names = {"image prune"},
    .group = VERB_GROUP_IMAGE,
    .summary = "Remove images without a name",
    .sections = prune_sections,
    .args_size = sizeof(struct prune_args),
    .run = prune,
};
