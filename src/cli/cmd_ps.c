/* SPDX-License-Identifier: Apache-2.0 */
/* kelp ps */
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "container/container.h"

#include <json-c/linkhash.h>
#include <string.h>
#include <time.h>

#define COMMAND_WIDTH 20 /* as Docker cuts it */

struct ps_args {
        bool all, quiet, latest, no_trunc, size;
        int64_t last;
        struct strv filters;
        char *format;
};
#define F(f) offsetof(struct ps_args, f)
static const struct opt opts[] = {
    {"all", 'a', OPT_BOOL, F(all), NULL, "Show all containers, not only running ones"},
    {"filter", 'f', OPT_STRV, F(filters), "KEY=VALUE",
     "ancestor, before, exited, expose, health, id, is-task, isolation, label, name, network, "
     "publish, since, status, volume",
     .values = "ancestor= before= exited= expose= health= id= is-task= isolation= label= name= "
               "network= publish= since= status=created status=exited status=running volume="},
    {"format", 0, OPT_STRING, F(format), "FORMAT", "json, table, table TEMPLATE or TEMPLATE",
     .values = "json table"},
    {"last", 'n', OPT_I64, F(last), "N", "Show the N containers created last, in any state"},
    {"latest", 'l', OPT_BOOL, F(latest), NULL, "Show the container created last, in any state"},
    {"no-trunc", 0, OPT_BOOL, F(no_trunc), NULL, "Show ids and commands in full"},
    {"quiet", 'q', OPT_BOOL, F(quiet), NULL, "Show ids only"},
    {"size", 's', OPT_BOOL, F(size), NULL, "Show what each container has written"},
    {0},
};
#undef F
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

#define TABLE                                                                                      \
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
#define TABLE_SIZE TABLE "\t{{.Size}}"
static const struct column columns[] = {
    {"Command", "COMMAND"}, {"CreatedAt", "CREATED AT"}, {"ID", "CONTAINER ID"},
    {"Image", "IMAGE"},     {"Labels", "LABELS"},        {"LocalVolumes", "LOCAL VOLUMES"},
    {"Mounts", "MOUNTS"},   {"Names", "NAMES"},          {"Networks", "NETWORKS"},
    {"Ports", "PORTS"},     {"RunningFor", "CREATED"},   {"Size", "SIZE"},
    {"State", "STATE"},     {"Status", "STATUS"},        {NULL, NULL},
};

static void init(void *args)
{
        ((struct ps_args *)args)->last = -1;
}

static struct json_object *member(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        (void)json_object_object_get_ex(o, key, &v);
        return v;
}

static const char *string_of(struct json_object *v)
{
        return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* The command as Docker shows it: joined, quoted, cut. */
static char *command_text(const struct container *c, bool full)
{
        struct json_object *args = member(c->config, "Args");
        AUTO_STRBUF b = {0};
        AUTO_FREE char *cut = NULL;
        AUTO_JSON *quoted = NULL;
        AUTO_STRBUF out = {0};

        strbuf_add(&b, string_of(member(c->config, "Path")));
        for (size_t i = 0;
             json_object_is_type(args, json_type_array) && i < json_object_array_length(args); i++)
                strbuf_addf(&b, " %s", string_of(json_object_array_get_idx(args, i)));
        cut = full ? strbuf_take(&b) : output_ellipsis(b.data ? b.data : "", COMMAND_WIDTH - 1);
        quoted = json_object_new_string(cut);
        json_write(&out, quoted, 0); /* a JSON string is quoted as Go quotes one */
        return strbuf_take(&out);
}

static char *labels_text(const struct container *c)
{
        struct json_object *labels = member(member(c->config, "Config"), "Labels");
        AUTO_STRBUF b = {0};

        if (json_object_is_type(labels, json_type_object)) {
                json_object_object_foreach(labels, key, value)
                {
                        strbuf_addf(&b, "%s%s=%s", b.len ? "," : "", key, string_of(value));
                }
        }
        return strbuf_take(&b);
}

static char *mounts_text(const struct container *c, bool full)
{
        struct json_object *mounts = member(c->config, "Mounts");
        AUTO_STRBUF b = {0};

        for (size_t i = 0;
             json_object_is_type(mounts, json_type_array) && i < json_object_array_length(mounts);
             i++) {
                struct json_object *m = json_object_array_get_idx(mounts, i);
                const char *name = string_of(member(m, "Name"));
                AUTO_FREE char *cut = output_ellipsis(*name ? name : string_of(member(m, "Source")),
                                                      full ? SIZE_MAX : 15);

                strbuf_addf(&b, "%s%s", b.len ? "," : "", cut);
        }
        return strbuf_take(&b);
}

/* How many of its mounts are volumes. */
static char *volumes_text(const struct container *c)
{
        struct json_object *mounts = member(c->config, "Mounts");
        size_t n = 0;

        for (size_t i = 0;
             json_object_is_type(mounts, json_type_array) && i < json_object_array_length(mounts);
             i++)
                n += *string_of(member(json_object_array_get_idx(mounts, i), "Name")) != '\0';
        return xasprintf("%zu", n);
}

static const char *network_text(const struct container *c)
{
        const char *mode = string_of(member(member(c->config, "HostConfig"), "NetworkMode"));

        return *mode ? mode : "none";
}

/* "2026-11-24 07:02:26 +0000 UTC" in the caller's time zone. */
static char *created_at(int64_t ns)
{
        time_t t = (time_t)(ns / 1000000000);
        struct tm tm;
        char buf[64];

        if (!localtime_r(&t, &tm) || !strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S %z %Z", &tm))
                return xstrdup("");
        return xstrdup(buf);
}

/* @arg: the row's container. */
static const char *label_value(const char *name, const void *arg)
{
        const struct container *const *c = arg;

        return string_of(member(member(member((*c)->config, "Config"), "Labels"), name));
}

static int size_text(const struct dirs *d, struct container *c, char **ret, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        char rw[OUTPUT_SIZE_MAX], root[OUTPUT_SIZE_MAX];
        int r = container_inspect(d, c, true, &doc, reterr);

        if (r < 0)
                return r;
        *ret = xasprintf("%s (virtual %s)",
                         output_size(json_object_get_uint64(member(doc, "SizeRw")), rw),
                         output_size(json_object_get_uint64(member(doc, "SizeRootFs")), root));
        return 0;
}

static void add_take(struct json_object *row, const char *key, char *value)
{
        json_add_string(row, key, value);
        free(value);
}

/* Keys in Docker's order: sorted. */
static int make_row(const struct dirs *d, struct container *c, const struct ps_args *a,
                    struct json_object **ret, struct err **reterr)
{
        AUTO_JSON *row = json_object_new_object();
        AUTO_FREE char *size = xstrdup("0B");
        int64_t now = clock_now_ns();
        char human[64];

        if (a->size) {
                int r;

                free(TAKE_PTR(size));
                r = size_text(d, c, &size, reterr);
                if (r < 0)
                        return r;
        }
        add_take(row, "Command", command_text(c, a->no_trunc));
        add_take(row, "CreatedAt", created_at(c->created_ns));
        add_take(row, "ID", output_id(c->id, a->no_trunc));
        json_add_string(row, "Image", c->image_name ? c->image_name : "");
        add_take(row, "Labels", labels_text(c));
        add_take(row, "LocalVolumes", volumes_text(c));
        add_take(row, "Mounts", mounts_text(c, a->no_trunc));
        json_add_string(row, "Names", c->name ? c->name : "");
        json_add_string(row, "Networks", network_text(c));
        json_add_string(row, "Ports", "");
        add_take(row, "RunningFor",
                 xasprintf("%s ago", clock_human(now - c->created_ns, human, sizeof(human))));
        json_add_string(row, "Size", size);
        json_add_string(row, "State", container_status_name(c->status));
        add_take(row, "Status", container_status_text(c, now));
        *ret = TAKE_PTR(row);
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

static int print_row(const struct dirs *d, const struct ps_args *a, struct container *c,
                     struct output *out, struct err **reterr)
{
        AUTO_JSON *row = NULL;
        int r;

        (void)container_config(c);
        r = make_row(d, c, a, &row, reterr);
        return r < 0 ? r : output_row(out, row, reterr);
}

static int print_rows(const struct dirs *d, struct ps_args *a, struct container *const *v, size_t n,
                      const struct container_filter *filter, struct err **reterr)
{
        const struct container *current = NULL; /* for its labels */
        struct output_opts o = {.format = a->format,
                                .quiet = a->quiet,
                                .quiet_field = "ID",
                                .table = a->size ? TABLE_SIZE : TABLE,
                                .columns = columns,
                                .label = label_value,
                                .arg = &current};
        AUTO(output_freep) struct output *out = NULL;
        uint64_t room = a->latest ? 1 : a->last >= 0 ? (uint64_t)a->last : UINT64_MAX;
        bool all = shows_all(a);
        int r = output_new(&o, &out, reterr);

        /* A template that shows sizes wants them. */
        if (r >= 0 && output_uses(out, "Size"))
                a->size = true;
        for (size_t i = 0; i < n && r >= 0 && room > 0; i++) {
                if (!all && !container_is_up(v[i]))
                        continue;
                if (!filter || container_filter_match(filter, v[i])) {
                        room--;
                        current = v[i];
                        r = print_row(d, a, v[i], out, reterr);
                }
                container_config_drop(v[i]);
        }
        return r < 0 ? r : output_finish(out, reterr);
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
        r = print_rows(d, a, v, n, filter, reterr);
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
