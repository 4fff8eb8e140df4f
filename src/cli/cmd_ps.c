/* SPDX-License-Identifier: Apache-2.0 */
/* kelp ps */
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/rows.h"
#include "cli/verb.h"
#include "container/container.h"

#include <stdlib.h>
#include <string.h>

struct ps_args {
        bool all, quiet, latest, no_trunc, size, pod;
        int64_t last;
        struct strv filters;
        char *format, *sort;
};
#define F(f) offsetof(struct ps_args, f)
static const struct opt opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "Show all containers, not only running ones"},
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE",
     "ancestor, before, exited, expose, health, id, is-task, isolation, label, name, network, "
     "pod, publish, restart-policy, should-start-on-boot, since, status, volume",
     .values = "ancestor= before= exited= expose= health= id= is-task= isolation= label= name= "
               "network= pod= publish= restart-policy= should-start-on-boot= since= status=created "
               "status=exited status=running volume="},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"last", 'n', OPT_I64, F(last), "N", "Show the N containers created last, in any state"},
    {"latest", 'l', OPT_BOOL, F(latest), NULL, "Show the container created last, in any state"},
    {"no-trunc", 0, OPT_BOOL, F(no_trunc), NULL, "Show ids and commands in full"},
    {"pod", 'p', OPT_BOOL, F(pod), NULL, "Show pods, and their infra containers, too"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show ids only"},
    {"sort", 0, OPT_STRING, F(sort), "KEY",
     "In this order: command, created, id, image, names, runningfor, status",
     .values = "command created id image names runningfor status"},
    {"size", 's', OPT_BOOL, F(size), NULL, "Show what each container has written"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

#define TABLE                                                                                      \
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
#define TABLE_POD  "\t{{.Pod}}\t{{.PodName}}"
#define TABLE_SIZE "\t{{.Size}}"
static const struct column columns[] = {
    {"Command", "COMMAND"},
    {"CreatedAt", "CREATED AT"},
    {"ID", "CONTAINER ID"},
    {"Image", "IMAGE"},
    {"Labels", "LABELS"},
    {"LocalVolumes", "LOCAL VOLUMES"},
    {"Mounts", "MOUNTS"},
    {"Names", "NAMES"},
    {"Networks", "NETWORKS"},
    {"Pod", "POD ID"},
    {"PodName", "PODNAME"},
    {"Ports", "PORTS"},
    {"RunningFor", "CREATED"},
    {"Size", "SIZE"},
    {"State", "STATE"},
    {"Status", "STATUS"},
    {NULL, NULL},
};

static void init(void *args)
{
        ((struct ps_args *)args)->last = -1;
}

static int size_text(const struct dirs *d, struct container *c, char **ret, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        char rw[OUTPUT_SIZE_MAX], root[OUTPUT_SIZE_MAX];
        int r = container_inspect(d, c, true, &doc, reterr);

        if (r < 0)
                return r;
        *ret = xasprintf(
            "%s (virtual %s)",
            output_size(json_object_get_uint64(json_object_object_get(doc, "SizeRw")), rw),
            output_size(json_object_get_uint64(json_object_object_get(doc, "SizeRootFs")), root));
        return 0;
}

/* Of an infra container: the pod that it is. Caller owns. */
static char *pod_name(const struct dirs *d, const struct container *c)
{
        AUTO(container_freep) struct container *infra = NULL;

        if (c->is_infra)
                return xstrdup(c->name);
        if (*c->pod_id)
                (void)container_find(d, c->pod_id, &infra, NULL);
        return xstrdup(infra ? infra->name : "");
}

static int make_row(const struct dirs *d, struct container *c, const struct ps_args *a,
                    struct json_object **ret, struct err **reterr)
{
        AUTO_FREE char *size = NULL, *name = pod_name(d, c);
        int r = a->size ? size_text(d, c, &size, reterr) : 0;

        if (r < 0)
                return r;
        *ret = container_row(c, size ? size : "0B", name, a->no_trunc);
        return 0;
}

/* A question about a state, or about what came before or after, is about stopped ones too. */
static bool shows_all(const struct ps_args *a)
{
        static const char *const keys[] = {"status=", "exited=", "before=", "since="};

        if (a->all || a->last >= 0 || a->latest)
                return true;
        for (size_t i = 0; i < a->filters.n; i++) {
                for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
                        if (str_starts(a->filters.v[i], keys[k]))
                                return true;
                }
        }
        return false;
}

static bool is_shown(const struct ps_args *a, struct container *c, bool all,
                     const struct container_filter *filter)
{
        if ((!all && !container_is_up(c)) || (c->is_infra && !a->pod))
                return false;
        return !filter || container_filter_match(filter, c);
}

static int print_row(const struct dirs *d, const struct ps_args *a, struct container *c,
                     struct output *out, struct err **reterr)
{
        AUTO_JSON *row = NULL;
        int r;

        r = make_row(d, c, a, &row, reterr);
        return r < 0 ? r : output_row(out, row, reterr);
}

static int print_rows(const struct dirs *d, struct ps_args *a, struct container *const *v, size_t n,
                      const struct container_filter *filter, struct err **reterr)
{
        const struct container *current = NULL; /* for its labels */
        AUTO_FREE char *table =
            xasprintf(TABLE "%s%s", a->pod ? TABLE_POD : "", a->size ? TABLE_SIZE : "");
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .quiet_field = "ID",
                                .table = table,
                                .columns = columns,
                                .label = container_row_label,
                                .arg = &current};
        AUTO(output_freep) struct output *out = NULL;
        uint64_t room = a->latest ? 1 : a->last >= 0 ? (uint64_t)a->last : UINT64_MAX;
        bool all = shows_all(a);
        int r = output_new(&o, &out, reterr);

        /* A template that shows sizes wants them. */
        if (r >= 0 && output_uses(out, "Size"))
                a->size = true;
        for (size_t i = 0; i < n && r >= 0 && room > 0; i++) {
                if (is_shown(a, v[i], all, filter)) {
                        room--;
                        current = v[i];
                        r = print_row(d, a, v[i], out, reterr);
                }
                container_config_drop(v[i]);
        }
        return r < 0 ? r : output_finish(out, reterr);
}

/* ---- order ---- */

static int text_order(const char *a, const char *b)
{
        return strcmp(a ? a : "", b ? b : "");
}

static int by_command(const struct container *a, const struct container *b)
{
        return text_order(json_object_get_string(json_object_object_get(a->config, "Path")),
                          json_object_get_string(json_object_object_get(b->config, "Path")));
}

static int by_created(const struct container *a, const struct container *b)
{
        return a->created_ns < b->created_ns ? -1 : a->created_ns > b->created_ns;
}

static int by_runningfor(const struct container *a, const struct container *b)
{
        return by_created(b, a); /* the youngest has run the shortest */
}

static int by_id(const struct container *a, const struct container *b)
{
        return text_order(a->id, b->id);
}

static int by_image(const struct container *a, const struct container *b)
{
        return text_order(a->image_name, b->image_name);
}

static int by_names(const struct container *a, const struct container *b)
{
        return text_order(a->name, b->name);
}

static int by_status(const struct container *a, const struct container *b)
{
        return text_order(container_status_name(a->status), container_status_name(b->status));
}

struct order {
        const char *name;
        int (*compare)(const struct container *a, const struct container *b);
};
static const struct order orders[] = {
    {"command", by_command}, {"created", by_created}, {"id", by_id},
    {"image", by_image},     {"names", by_names},     {"runningfor", by_runningfor},
    {"status", by_status},
};

static int find_order(const char *name, const struct order **ret, struct err **reterr)
{
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
                *ret = &orders[i];
                if (strcmp(orders[i].name, name) == 0)
                        return 0;
        }
        r = err_new(reterr, ERR_USAGE, "--sort '%s': no such order", name);
        return err_hint(reterr, r, "one of: command created id image names runningfor status");
}

/* What is equal stays in the order of the ids, so that a listing is the same every time. */
static int compare(const void *a, const void *b, void *arg)
{
        const struct container *x = *(struct container *const *)a,
                               *y = *(struct container *const *)b;
        const struct order *order = arg;
        int r = order->compare(x, y);

        return r ? r : by_id(x, y);
}

/* The chosen of @v in their order. Those that -n and -l mean are the newest, whatever order they are shown in: they are chosen first. */
static int print_sorted(const struct dirs *d, struct ps_args *a, struct container **v, size_t n,
                        const struct container_filter *filter, struct err **reterr)
{
        AUTO_FREE struct container **chosen = xcalloc(n + 1, sizeof(struct container *));
        const struct order *order = NULL;
        uint64_t room = a->latest ? 1 : a->last >= 0 ? (uint64_t)a->last : UINT64_MAX;
        bool all = shows_all(a);
        size_t k = 0;
        int r = find_order(a->sort, &order, reterr);

        for (size_t i = 0; r >= 0 && i < n && k < room; i++) {
                if (is_shown(a, v[i], all, filter))
                        chosen[k++] = v[i];
                if (order->compare == by_command)
                        (void)container_config(v[i]);
                else
                        container_config_drop(v[i]);
        }
        if (r < 0)
                return r;
        qsort_r(chosen, k, sizeof(struct container *), compare, (void *)order);
        return print_rows(d, a, chosen, k, NULL, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_filter_freep) struct container_filter *filter = NULL;
        struct ps_args *a = args;
        struct container **v = NULL;
        struct dirs *d;
        size_t n = 0;
        int r = cli_dirs(cli, &d, reterr);

        if (r >= 0 && a->filters.n)
                r = container_filter_parse(d, a->filters.v, &filter, reterr);
        if (r >= 0)
                r = shows_all(a) ? container_list(d, &v, &n, reterr)
                                 : container_list_running(d, &v, &n, reterr);
        if (r < 0)
                return r;
        r = a->sort ? print_sorted(d, a, v, n, filter, reterr)
                    : print_rows(d, a, v, n, filter, reterr);
        container_list_free(v, n);
        return r;
}

const struct verb verb_ps = {
    .names = {"ps", "container ls", "container list", "container ps"},
    .group = VERB_GROUP_CONTAINER,
    .summary = "List containers",
    .sections = sections,
    .args_size = sizeof(struct ps_args),
    .init = init,
    .run = run,
};
