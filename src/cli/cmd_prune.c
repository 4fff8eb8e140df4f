/* SPDX-License-Identifier: Apache-2.0 */
/* kelp container prune, image prune, volume prune, system prune */
#include "base/err.h"
#include "base/str.h"
#include "cli/confirm.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/container.h"
#include "container/volumes.h"
#include "image/store.h"

#include <stdio.h>

struct prune_args {
        bool all, force, volumes;
        struct strv filters;
};
#define F(f) offsetof(struct prune_args, f)
#define FORCE                                                                                      \
        {                                                                                          \
                "force", 'f', OPT_BOOL, F(force), NULL, "Don't ask"                                \
        }
#define LABEL_UNTIL "label= label!= until="

/* ---- what they share ---- */

/* What is gone is said, whatever came after; @list is emptied. */
static void print_deleted(const char *title, struct strv *list)
{
        if (list->n > 0)
                printf("Deleted %s:\n", title);
        for (size_t i = 0; i < list->n; i++)
                printf("%s\n", list->v[i]);
        if (list->n > 0)
                printf("\n");
        strv_release(list);
}

static int print_total(uint64_t bytes, struct err **reterr)
{
        char size[OUTPUT_SIZE_MAX];

        return output_printf(reterr, "Total reclaimed space: %s\n", output_size(bytes, size));
}

/* Each adds to @total. */
static int prune_containers(const struct dirs *d, const struct prune_args *a, uint64_t *total,
                            struct err **reterr)
{
        AUTO_STRV removed = {0};
        uint64_t bytes = 0;
        int r = containers_prune(d, a->filters.v, &removed, &bytes, reterr);

        *total += bytes;
        print_deleted("Containers", &removed);
        return r;
}

static int prune_volumes(const struct dirs *d, const struct prune_args *a, uint64_t *total,
                         struct err **reterr)
{
        AUTO_STRV removed = {0};
        uint64_t bytes = 0;
        int r = volumes_prune(d, a->all, a->filters.v, &removed, &bytes, reterr);

        *total += bytes;
        print_deleted("Volumes", &removed);
        return r;
}

static int prune_images(const struct dirs *d, const struct prune_args *a, uint64_t *total,
                        struct err **reterr)
{
        AUTO_STRV report = {0};
        uint64_t bytes = 0;
        int r = store_prune(d, a->all, a->filters.v, &report, &bytes, reterr);

        *total += bytes;
        print_deleted("Images", &report);
        return r;
}

static int prune_if_confirmed(struct cli *cli, const struct prune_args *a, const char *question,
                              int (*prune)(const struct dirs *, const struct prune_args *,
                                           uint64_t *, struct err **),
                              struct err **reterr)
{
        uint64_t total = 0;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0 || (!a->force && !confirm(question)))
                return r;
        r = prune(d, a, &total, reterr);
        return r < 0 ? r : print_total(total, reterr);
}

/* ---- container prune ---- */

static const struct opt container_opts[] = {
    {"filter", 0, OPT_STRV, F(filters), "KEY=VALUE", "label, label!, until", .values = LABEL_UNTIL},
    FORCE,
    {0},
};
static const struct opt_section container_sections[] = {{container_opts, NULL, 0, false}, {0}};

static int container_prune(struct cli *cli, void *args, const struct strv *operands,
                           struct err **reterr)
{
        const struct prune_args *a = args;

        (void)operands;
        return prune_if_confirmed(cli, a, "This will remove all stopped containers.",
                                  prune_containers, reterr);
}

const struct verb verb_container_prune = {
    .names = {"container prune"},
    .group = VERB_GROUP_CONTAINER,
    .summary = "Remove the containers that are not running",
    .sections = container_sections,
    .args_size = sizeof(struct prune_args),
    .run = container_prune,
};

/* ---- image prune ---- */

static const struct opt image_opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "Remove every image that no container uses"},
    {"filter", 0, OPT_STRV, F(filters), "KEY=VALUE", "dangling, label, label!, until",
     .values = "dangling=true dangling=false " LABEL_UNTIL},
    FORCE,
    {0},
};
static const struct opt_section image_sections[] = {{image_opts, NULL, 0, false}, {0}};

static int image_prune(struct cli *cli, void *args, const struct strv *operands,
                       struct err **reterr)
{
        const struct prune_args *a = args;

        (void)operands;
        return prune_if_confirmed(cli, a,
                                  a->all ? "This will remove all images that no container uses."
                                         : "This will remove all dangling images.",
                                  prune_images, reterr);
}

const struct verb verb_image_prune = {
    .names = {"image prune"},
    .group = VERB_GROUP_IMAGE,
    .summary = "Remove images without a name",
    .sections = image_sections,
    .args_size = sizeof(struct prune_args),
    .run = image_prune,
};

/* ---- volume prune ---- */

static const struct opt volume_opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "Also those with a name, not only anonymous ones"},
    {"filter", 0, OPT_STRV, F(filters), "KEY=VALUE", "all, label, label!",
     .values = "all=true label= label!="},
    FORCE,
    {0},
};
static const struct opt_section volume_sections[] = {{volume_opts, NULL, 0, false}, {0}};

static int volume_prune(struct cli *cli, void *args, const struct strv *operands,
                        struct err **reterr)
{
        const struct prune_args *a = args;

        (void)operands;
        return prune_if_confirmed(
            cli, a,
            a->all ? "This will remove all local volumes that no container has."
                   : "This will remove anonymous local volumes that no container has.",
            prune_volumes, reterr);
}

const struct verb verb_volume_prune = {
    .names = {"volume prune"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Remove anonymous volumes that no container has",
    .sections = volume_sections,
    .args_size = sizeof(struct prune_args),
    .run = volume_prune,
};

/* ---- system prune ---- */

static const struct opt system_opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL,
     "All images that no container uses, not only nameless ones"},
    {"filter", 0, OPT_STRV, F(filters), "KEY=VALUE", "label, label!, until", .values = LABEL_UNTIL},
    FORCE,
    {"volumes", 0, OPT_BOOL, F(volumes), NULL, "Also anonymous volumes that no container has"},
    {0},
};
static const struct opt_section system_sections[] = {{system_opts, NULL, 0, false}, {0}};

/* Before anything is removed: each part would refuse what it does not know, but only when it comes to it. */
static int check_filters(const struct dirs *d, const struct prune_args *a, struct err **reterr)
{
        AUTO(container_filter_freep) struct container_filter *f = NULL;
        int r = container_prune_filter_parse(d, a->filters.v, &f, reterr);

        for (size_t i = 0; r >= 0 && a->volumes && i < a->filters.n; i++) {
                if (!str_starts(a->filters.v[i], "until="))
                        continue;
                r = err_new(reterr, ERR_USAGE, "filter 'until' does not go with --volumes");
                return err_hint(reterr, r,
                                "a volume has no time at which it was used last: remove "
                                "volumes by themselves, with 'kelp volume prune'");
        }
        return r;
}

static bool system_confirmed(const struct prune_args *a)
{
        AUTO_STRBUF b = {0};

        strbuf_add(&b, "This will remove:\n  - all stopped containers\n");
        if (a->volumes)
                strbuf_add(&b, "  - all anonymous volumes that no container has\n");
        strbuf_addf(&b, "  - all %s\n",
                    a->all ? "images that no container uses" : "dangling images");
        if (a->filters.n > 0)
                strbuf_add(&b, "\n  Of these only what matches:\n");
        for (size_t i = 0; i < a->filters.n; i++)
                strbuf_addf(&b, "  - %s\n", a->filters.v[i]);
        return confirm(b.data);
}

static int system_prune(struct cli *cli, void *args, const struct strv *operands,
                        struct err **reterr)
{
        const struct prune_args *a = args;
        const struct prune_args anonymous = {.filters = a->filters}; /* --all is about images */
        uint64_t total = 0;
        struct dirs *d;
        int r;

        (void)operands;
        if ((r = cli_dirs(cli, &d, reterr)) < 0 || (r = check_filters(d, a, reterr)) < 0)
                return r;
        if (!a->force && !system_confirmed(a))
                return 0;
        /* Containers first: what they have is free then. */
        r = prune_containers(d, a, &total, reterr);
        if (r >= 0 && a->volumes)
                r = prune_volumes(d, &anonymous, &total, reterr);
        if (r >= 0)
                r = prune_images(d, a, &total, reterr);
        return r < 0 ? r : print_total(total, reterr);
}

const struct verb verb_system_prune = {
    .names = {"system prune"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Remove stopped containers, nameless images and, if asked to, volumes",
    .sections = system_sections,
    .args_size = sizeof(struct prune_args),
    .run = system_prune,
};
