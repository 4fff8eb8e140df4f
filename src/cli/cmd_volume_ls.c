/* SPDX-License-Identifier: Apache-2.0 */
/* kelp volume ls */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/volumes.h"
#include "volume/volume.h"

struct ls_args {
        struct strv filters;
        char *format;
        bool quiet, no_trunc;
};
#define F(f) offsetof(struct ls_args, f)
static const struct opt ls_opts[] = {
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE", "dangling, driver, label, label!, name",
     .values = "dangling=true dangling=false driver=local label= label!= name="},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show names only"},
    {"no-trunc", 0, OPT_BOOL, F(no_trunc), NULL, "Show names in full (they always are)"},
    {0},
};
#undef F
static const struct opt_section ls_sections[] = {{ls_opts, NULL, 0, false}, {0}};

#define TABLE "{{.Driver}}\t{{.Name}}"
static const struct column columns[] = {
    {"Availability", "AVAILABILITY"},
    {"Driver", "DRIVER"},
    {"Group", "GROUP"},
    {"Labels", "LABELS"},
    {"Links", "LINKS"},
    {"Mountpoint", "MOUNTPOINT"},
    {"Name", "VOLUME NAME"},
    {"Scope", "SCOPE"},
    {"Size", "SIZE"},
    {"Status", "STATUS"},
    {NULL, NULL},
};

/* What Docker leaves to "system df" and to clusters is "N/A" here as there. */
static struct json_object *make_row(const struct dirs *d, const struct volume *v)
{
        AUTO_JSON *all = volume_inspect(d, v);
        struct json_object *row = json_object_new_object(), *path = NULL;
        AUTO_STRBUF labels = {0};

        for (size_t i = 0; i < v->labels.n; i++)
                strbuf_addf(&labels, "%s%s", i > 0 ? "," : "", v->labels.v[i]);
        (void)json_object_object_get_ex(all, "Mountpoint", &path);
        json_add_string(row, "Availability", "N/A");
        json_add_string(row, "Driver", VOLUME_DRIVER);
        json_add_string(row, "Group", "N/A");
        json_add_string(row, "Labels", labels.data ? labels.data : "");
        json_add_string(row, "Links", "N/A");
        (void)json_object_object_add(row, "Mountpoint", json_object_get(path));
        json_add_string(row, "Name", v->name);
        json_add_string(row, "Scope", "local");
        json_add_string(row, "Size", "N/A");
        json_add_string(row, "Status", "N/A");
        return row;
}

/* @arg: the row's volume. */
static const char *label_value(const char *name, const void *arg)
{
        const struct volume *const *v = arg;

        return strv_env_get(&(*v)->labels, name);
}

static int ls(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct ls_args *a = args;
        const struct volume *current = NULL; /* for its labels */
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .quiet_field = "Name",
                                .table = TABLE,
                                .columns = columns,
                                .label = label_value,
                                .arg = &current};
        AUTO(output_freep) struct output *out = NULL;
        AUTO(volume_filter_freep) struct volume_filter *f = NULL;
        struct volume **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r;

        (void)operands;
        if ((r = output_new(&o, &out, reterr)) < 0 || (r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = volume_filter_parse(d, a->filters.v, false, &f, reterr)) < 0 ||
            (r = volumes_list(d, &v, &n, reterr)) < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                AUTO_JSON *row = NULL;

                if (!volume_filter_match(f, v[i]))
                        continue;
                current = v[i];
                row = make_row(d, v[i]);
                r = output_row(out, row, reterr);
        }
        volume_list_free(v, n);
        return r < 0 ? r : output_finish(out, reterr);
}

const struct verb verb_volume_ls = {
    .names = {"volume ls", "volume list"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "List volumes",
    .sections = ls_sections,
    .args_size = sizeof(struct ls_args),
    .run = ls,
};
