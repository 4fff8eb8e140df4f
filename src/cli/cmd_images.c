/* SPDX-License-Identifier: Apache-2.0 */
/* kelp images, kelp image inspect */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "cli/verb.h"
#include "image/image_query.h"
#include "image/store.h"

struct images_args {
        bool all, digests, no_trunc, quiet;
        struct strv filters;
        char *format;
};
#define F(f) offsetof(struct images_args, f)
static const struct opt opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "Show all images (Kelp has no hidden ones: always so)"},
    {"digests", 0, OPT_BOOL, F(digests), NULL, "Show the digests of manifests"},
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE",
     "before, dangling, label, reference, since, until",
     .values = "before= dangling=true dangling=false label= reference= since= until="},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"no-trunc", 0, OPT_BOOL, F(no_trunc), NULL, "Show ids in full"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show ids only"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

#define TABLE "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
#define TABLE_DIGESTS                                                                              \
        "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
static const struct column columns[] = {
    {"Containers", "CONTAINERS"},
    {"CreatedAt", "CREATED AT"},
    {"CreatedSince", "CREATED"},
    {"Digest", "DIGEST"},
    {"ID", "IMAGE ID"},
    {"Repository", "REPOSITORY"},
    {"SharedSize", "SHARED SIZE"},
    {"Size", "SIZE"},
    {"Tag", "TAG"},
    {"UniqueSize", "UNIQUE SIZE"},
    {"VirtualSize", "VIRTUAL SIZE"},
    {NULL, NULL},
};

static int print_image(struct output *out, const struct images_args *a,
                       const struct image_filter *filter, const struct image *i,
                       struct err **reterr)
{
        int r = 0;

        for (size_t k = 0; r >= 0 && (k < i->names.n || k == 0); k++) {
                const char *name = i->names.n ? i->names.v[k] : NULL;
                AUTO_JSON *row = NULL;

                if (name && !image_filter_match_name(filter, name))
                        continue;
                row = image_row(i, name, a->no_trunc);
                r = output_row(out, row, reterr);
                if (a->quiet)
                        break; /* an id once, however many names it has */
        }
        return r;
}

static int print_images(const struct dirs *d, const struct images_args *a,
                        const struct image_filter *filter, struct err **reterr)
{
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .quiet_field = "ID",
                                .table = a->digests ? TABLE_DIGESTS : TABLE,
                                .columns = columns};
        AUTO(output_freep) struct output *out = NULL;
        struct image **v = NULL;
        size_t n = 0;
        int r;

        if ((r = output_new(&o, &out, reterr)) < 0 || (r = store_list(d, &v, &n, reterr)) < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (image_filter_match(filter, v[i]))
                        r = print_image(out, a, filter, v[i], reterr);
        image_list_free(v, n);
        return r < 0 ? r : output_finish(out, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(image_filter_freep) struct image_filter *filter = NULL;
        const struct images_args *a = args;
        struct dirs *d;
        int r;

        if ((r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = image_filter_parse(d, a->filters.v, &filter, reterr)) < 0)
                return r;
        if (operands->n > 0)
                image_filter_add_reference(filter, operands->v[0]);
        return print_images(d, a, filter, reterr);
}

const struct verb verb_images = {
    .names = {"images", "image ls", "image list"},
    .group = VERB_GROUP_IMAGE,
    .operands = "[NAME[:TAG]]",
    .summary = "List images",
    .sections = sections,
    .args_size = sizeof(struct images_args),
    .max_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run,
};

/* ---- image inspect ---- */

struct inspect_args {
        char *format;
};
static const struct opt inspect_opts[] = {
    {"format", 'f', OPT_STRING, offsetof(struct inspect_args, format), "FORMAT",
     "json or TEMPLATE"},
    {0},
};
static const struct opt_section inspect_sections[] = {{inspect_opts, NULL, 0, false}, {0}};

static int inspect_one(const struct dirs *d, const char *name, const void *arg,
                       struct json_object **ret, struct err **reterr)
{
        return image_inspect(d, name, ret, reterr);
}

static int inspect(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct inspect_args *a = args;

        return each_inspect(cli, "image inspect", operands, inspect_one, a, a->format, reterr);
}

const struct verb verb_image_inspect = {
    .names = {"image inspect"},
    .group = VERB_GROUP_IMAGE,
    .operands = "IMAGE [IMAGE...]",
    .summary = "Show everything about images as JSON",
    .sections = inspect_sections,
    .args_size = sizeof(struct inspect_args),
    .min_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = inspect,
};
