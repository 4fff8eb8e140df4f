/* SPDX-License-Identifier: Apache-2.0 */
/* kelp system df */
#include "base/err.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/usage.h"
#include "image/store.h"
#include "template/template.h"
#include "volume/volume.h"

#include <string.h>

struct df_args {
        bool verbose;
        char *format;
};
#define F(f) offsetof(struct df_args, f)
static const struct opt opts[] = {
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"verbose", 'v', OPT_BOOL, F(verbose), NULL, "Show every image, container and volume"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static const struct column columns[] = {
    {"Active", "ACTIVE"}, {"Reclaimable", "RECLAIMABLE"},
    {"Size", "SIZE"},     {"TotalCount", "TOTAL"},
    {"Type", "TYPE"},     {NULL, NULL},
};

/* Everything in a row is text, as Docker has it. */
static void add_count(struct json_object *row, const char *key, size_t n)
{
        AUTO_FREE char *text = xasprintf("%zu", n);

        json_add_string(row, key, text);
}

static void add_size(struct json_object *row, const char *key, uint64_t bytes)
{
        char text[OUTPUT_SIZE_MAX];

        json_add_string(row, key, output_size(bytes, text));
}

/* ---- the sums ---- */

static struct json_object *sum_row(const char *type, const struct usage_sum *sum)
{
        struct json_object *row = json_object_new_object();
        char size[OUTPUT_SIZE_MAX];
        AUTO_STRBUF b = {0};

        strbuf_add(&b, output_size(sum->reclaimable, size));
        if (sum->bytes > 0)
                strbuf_addf(&b, " (%u%%)",
                            (unsigned)((double)sum->reclaimable * 100 / (double)sum->bytes));
        add_count(row, "Active", sum->active);
        json_add_string(row, "Reclaimable", b.data);
        add_size(row, "Size", sum->bytes);
        add_count(row, "TotalCount", sum->total);
        json_add_string(row, "Type", type);
        return row;
}

static int print_sums(const struct usage *u, const char *format, struct err **reterr)
{
        const struct {
                const char *type;
                const struct usage_sum *sum;
        } rows[] = {{"Images", &u->image_sum},
                    {"Containers", &u->container_sum},
                    {"Local Volumes", &u->volume_sum}};
        struct output_opts o = {
            .format = format,
            .table = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
            .columns = columns};
        AUTO(output_freep) struct output *out = NULL;
        int r = output_new(&o, &out, reterr);

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(rows); i++) {
                AUTO_JSON *row = sum_row(rows[i].type, rows[i].sum);

                r = output_row(out, row, reterr);
        }
        return r < 0 ? r : output_finish(out, reterr);
}

/* ---- one by one ---- */

/* All that -v shows, for tables, templates and JSON alike. */
static struct json_object *details(const struct usage *u)
{
        struct json_object *doc = json_object_new_object(), *list = json_array(doc, "Images");

        for (size_t i = 0; i < u->image_sum.total; i++) {
                const struct usage_image *of = &u->images[i];
                const struct strv *names = &of->image->names;
                struct json_object *row =
                    image_row(of->image, names->n ? names->v[0] : NULL, false);

                add_count(row, "Containers", of->containers);
                add_size(row, "SharedSize", of->shared);
                add_size(row, "Size", of->size);
                add_size(row, "UniqueSize", of->size - of->shared);
                add_size(row, "VirtualSize", of->size);
                (void)json_object_array_add(list, row);
        }
        list = json_array(doc, "Containers");
        for (size_t i = 0; i < u->container_sum.total; i++) {
                char size[OUTPUT_SIZE_MAX];

                output_size(u->containers[i].bytes, size);
                (void)json_object_array_add(
                    list, container_row(u->containers[i].container, size, NULL, false));
        }
        list = json_array(doc, "Volumes");
        for (size_t i = 0; i < u->volume_sum.total; i++) {
                struct json_object *row = json_object_new_object();

                json_add_string(row, "Driver", VOLUME_DRIVER);
                add_count(row, "Links", u->volumes[i].links);
                json_add_string(row, "Name", u->volumes[i].volume->name);
                json_add_string(row, "Scope", "local");
                add_size(row, "Size", u->volumes[i].bytes);
                (void)json_object_array_add(list, row);
        }
        (void)json_array(doc,
                         "BuildCache"); /* nothing is built here, but who reads it wants a list */
        return doc;
}

static const struct column detail_columns[] = {
    {"Command", "COMMAND"},
    {"Containers", "CONTAINERS"},
    {"CreatedSince", "CREATED"},
    {"ID", "ID"},
    {"Image", "IMAGE"},
    {"Links", "LINKS"},
    {"LocalVolumes", "LOCAL VOLUMES"},
    {"Name", "VOLUME NAME"},
    {"Names", "NAMES"},
    {"Repository", "REPOSITORY"},
    {"RunningFor", "CREATED"},
    {"SharedSize", "SHARED SIZE"},
    {"Size", "SIZE"},
    {"Status", "STATUS"},
    {"Tag", "TAG"},
    {"UniqueSize", "UNIQUE SIZE"},
    {NULL, NULL},
};

static int print_table(struct json_object *list, const char *title, const char *table,
                       struct err **reterr)
{
        struct output_opts o = {.table = table, .columns = detail_columns};
        AUTO(output_freep) struct output *out = NULL;
        int r = output_printf(reterr, "%s space usage:\n\n", title);

        if (r >= 0)
                r = output_new(&o, &out, reterr);
        for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++)
                r = output_row(out, json_object_array_get_idx(list, i), reterr);
        return r < 0 ? r : output_finish(out, reterr);
}

static int print_tables(struct json_object *doc, struct err **reterr)
{
        static const struct {
                const char *key, *title, *table;
        } tables[] = {
            {"Images", "Images",
             "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t"
             "{{.UniqueSize}}\t{{.Containers}}"},
            {"Containers", "\nContainers",
             "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t"
             "{{.Status}}\t{{.Names}}"},
            {"Volumes", "\nLocal Volumes", "{{.Name}}\t{{.Links}}\t{{.Size}}"},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(tables); i++)
                r = print_table(json_object_object_get(doc, tables[i].key), tables[i].title,
                                tables[i].table, reterr);
        return r;
}

static int print_details(const struct usage *u, const char *format, struct err **reterr)
{
        static const struct template_opts maps = {.maps = template_docker_maps};
        AUTO(template_freep) struct template *t = NULL;
        AUTO_JSON *doc = details(u);
        AUTO_STRBUF b = {0};
        int r = 0;

        if (!format || strcmp(format, "table") == 0)
                return print_tables(doc, reterr);
        if (strcmp(format, "json") == 0)
                json_write(&b, doc, 0);
        else if ((r = template_parse(format, TEMPLATE_ESCAPES, &t, reterr)) >= 0)
                r = template_execute(t, doc, &maps, &b, reterr);
        if (r < 0)
                return r;
        strbuf_add(&b, "\n");
        return output_rendered(&b, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct df_args *a = args;
        AUTO(usage_freep) struct usage *u = NULL;
        struct dirs *d;
        int r;

        (void)operands;
        if (a->verbose && a->format && str_starts(a->format, "table "))
                return err_hint(reterr,
                                err_new(reterr, ERR_USAGE,
                                        "-v shows several tables: --format "
                                        "'table TEMPLATE' is of one"),
                                "leave out -v, or use a template without 'table': it is given "
                                ".Images, .Containers and .Volumes");
        if ((r = cli_dirs(cli, &d, reterr)) < 0 || (r = usage_read(d, &u, reterr)) < 0)
                return r;
        return a->verbose ? print_details(u, a->format, reterr) : print_sums(u, a->format, reterr);
}

const struct verb verb_system_df = {
    .names = {"system df"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Show what images, containers and volumes take on disk",
    .sections = sections,
    .args_size = sizeof(struct df_args),
    .run = run,
};
