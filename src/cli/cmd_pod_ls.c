/* SPDX-License-Identifier: Apache-2.0 */
/* kelp pod ps, inspect, exists */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "container/pod.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- ps ---- */

struct ps_args {
        struct strv filters;
        char *format;
        bool quiet, no_trunc, no_heading, names, ids, statuses, latest;
};
#define F(f) offsetof(struct ps_args, f)
static const struct opt ps_opts[] = {
    {"ctr-ids", 0, OPT_BOOL, F(ids), NULL, "Show the ids of the containers"},
    {"ctr-names", 0, OPT_BOOL, F(names), NULL, "Show the names of the containers"},
    {"ctr-status", 0, OPT_BOOL, F(statuses), NULL, "Show the states of the containers"},
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE",
     "id, label, name, status; all of them must match",
     .values = "id= label= name= status=Created status=Running status=Degraded status=Stopped "
               "status=Exited"},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"latest", 'l', OPT_BOOL, F(latest), NULL, "Show the pod created last"},
    {"no-trunc", 0, OPT_BOOL, F(no_trunc), NULL, "Show ids in full"},
    {"noheading", 0, OPT_BOOL, F(no_heading), NULL, "Leave the headings out"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show ids only"},
    {0},
};
#undef F
static const struct opt_section ps_sections[] = {{ps_opts, NULL, 0, false}, {0}};

#define TABLE "{{.Id}}\t{{.Name}}\t{{.Status}}\t{{.Created}}\t{{.InfraId}}\t{{.NumberOfContainers}}"
static const struct column columns[] = {
    {"ContainerIds", "IDS"},
    {"ContainerNames", "NAMES"},
    {"ContainerStatuses", "STATUS"},
    {"Created", "CREATED"},
    {"Id", "POD ID"},
    {"InfraId", "INFRA ID"},
    {"Labels", "LABELS"},
    {"Name", "NAME"},
    {"NumberOfContainers", "# OF CONTAINERS"},
    {"Status", "STATUS"},
    {NULL, NULL},
};

static struct json_object *labels_of(const struct pod *p)
{
        struct json_object *settings = NULL, *labels = NULL;

        if (!json_object_object_get_ex(container_config(p->infra), "Config", &settings) ||
            !json_object_object_get_ex(settings, "Labels", &labels))
                return NULL;
        return labels;
}

static bool label_matches(const struct pod *p, const char *want)
{
        AUTO_FREE char *key = xstrndup(want, strcspn(want, "="));
        const char *value = strchr(want, '=');
        struct json_object *has = NULL;

        if (!json_object_object_get_ex(labels_of(p), key, &has))
                return false;
        return !value || strcmp(json_object_get_string(has), value + 1) == 0;
}

static int check_filters(const struct strv *filters, struct err **reterr)
{
        for (size_t i = 0; i < filters->n; i++) {
                const char *f = filters->v[i];

                if (str_starts(f, "id=") || str_starts(f, "name=") || str_starts(f, "label="))
                        continue;
                if (str_starts(f, "status=") && pod_status_is(f + strlen("status=")))
                        continue;
                (void)err_new(reterr, ERR_USAGE, "option '--filter': unknown filter '%s'", f);
                return err_hint(reterr, -EINVAL,
                                "filters are id=, name=, label= and status=created, running, "
                                "degraded, stopped, exited");
        }
        return 0;
}

static bool matches(const struct pod *p, const struct strv *filters)
{
        for (size_t i = 0; i < filters->n; i++) {
                const char *f = filters->v[i], *value = strchr(f, '=') + 1;
                bool ok = str_starts(f, "id=")     ? str_starts(p->infra->id, value)
                          : str_starts(f, "name=") ? strstr(p->infra->name, value) != NULL
                          : str_starts(f, "label=")
                              ? label_matches(p, value)
                              : strcasecmp(pod_status_name(pod_status(p)), value) == 0;

                if (!ok)
                        return false;
        }
        return true;
}

/* The infra container first. */
static void add_lists(const struct pod *p, bool full, struct json_object *row)
{
        AUTO_STRBUF ids = {0};
        AUTO_STRBUF names = {0};
        AUTO_STRBUF statuses = {0};

        for (size_t i = 0; i <= p->n; i++) {
                const struct container *c = i == 0 ? p->infra : p->members[i - 1];
                AUTO_FREE char *id = output_id(c->id, full);
                const char *comma = i > 0 ? "," : "";

                strbuf_addf(&ids, "%s%s", comma, id);
                strbuf_addf(&names, "%s%s", comma, c->name);
                strbuf_addf(&statuses, "%s%s", comma, container_status_name(c->status));
        }
        json_add_string(row, "ContainerIds", ids.data);
        json_add_string(row, "ContainerNames", names.data);
        json_add_string(row, "ContainerStatuses", statuses.data);
}

static struct json_object *make_row(const struct pod *p, const struct ps_args *a)
{
        struct json_object *row = json_object_new_object();
        char human[64];
        AUTO_FREE char *id = output_id(p->infra->id, a->no_trunc);
        AUTO_FREE char *ago = xasprintf(
            "%s ago", clock_human(clock_now_ns() - p->infra->created_ns, human, sizeof(human)));

        add_lists(p, a->no_trunc, row);
        json_add_string(row, "Created", ago);
        json_add_string(row, "Id", id);
        json_add_string(row, "InfraId", id);
        (void)json_object_object_add(row, "Labels", json_object_get(labels_of(p)));
        json_add_string(row, "Name", p->infra->name);
        json_add_uint(row, "NumberOfContainers", p->n + 1);
        json_add_string(row, "Status", pod_status_name(pod_status(p)));
        return row;
}

static int ps(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct ps_args *a = args;
        AUTO_FREE char *table = xasprintf(TABLE "%s%s%s", a->ids ? "\t{{.ContainerIds}}" : "",
                                          a->names ? "\t{{.ContainerNames}}" : "",
                                          a->statuses ? "\t{{.ContainerStatuses}}" : "");
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .no_heading = a->no_heading,
                                .quiet_field = "Id",
                                .table = table,
                                .columns = columns};
        AUTO(output_freep) struct output *out = NULL;
        struct pod **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r;

        (void)operands;
        if ((r = check_filters(&a->filters, reterr)) < 0 ||
            (r = output_new(&o, &out, reterr)) < 0 || (r = cli_dirs(cli, &d, reterr)) < 0 ||
            (r = pod_list(d, &v, &n, reterr)) < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < (a->latest ? MIN(n, (size_t)1) : n); i++) {
                AUTO_JSON *row = NULL;

                if (!matches(v[i], &a->filters))
                        continue;
                row = make_row(v[i], a);
                r = output_row(out, row, reterr);
        }
        pod_list_free(v, n);
        return r < 0 ? r : output_finish(out, reterr);
}

const struct verb verb_pod_ps = {
    .names = {"pod ps", "pod ls", "pod list"},
    .group = VERB_GROUP_CONTAINER,
    .summary = "List pods",
    .sections = ps_sections,
    .args_size = sizeof(struct ps_args),
    .run = ps,
};

/* ---- inspect ---- */

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
        AUTO(pod_freep) struct pod *p = NULL;
        int r = pod_find(d, name, &p, reterr);

        if (r >= 0)
                *ret = pod_inspect(p);
        return r;
}

static int inspect(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct inspect_args *a = args;

        return each_inspect(cli, "pod inspect", operands, inspect_one, a, a->format, reterr);
}

const struct verb verb_pod_inspect = {
    .names = {"pod inspect"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "POD [POD...]",
    .summary = "Show everything about pods as JSON",
    .sections = inspect_sections,
    .args_size = sizeof(struct inspect_args),
    .min_operands = 1,
    .completes = {COMPLETE_POD},
    .run = inspect,
};

/* ---- exists ---- */

static int exists(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(pod_freep) struct pod *p = NULL;
        AUTO_ERR struct err *e = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        (void)args;
        if (r < 0)
                return r;
        r = pod_find(d, operands->v[0], &p, &e);
        if (r < 0 && err_kind(e) != ERR_NOT_FOUND)
                return err_move(reterr, r, &e);
        return r < 0 ? 1 : 0;
}

const struct verb verb_pod_exists = {
    .names = {"pod exists"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "POD",
    .summary = "Exit with 0 if the pod exists, with 1 if not",
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_POD},
    .run = exists,
};
