/* SPDX-License-Identifier: Apache-2.0 */
/* kelp info */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/json.h"
#include "base/process.h"
#include "base/str.h"
#include "cli/host.h"
#include "cli/output.h"
#include "cli/probe_internal.h"
#include "cli/verb.h"
#include "container/container.h"
#include "container/storage.h"
#include "idmap/idmap.h"
#include "image/store.h"

#include "config.h"

#include <string.h>

struct info_args {
        char *format;
};
static const struct opt opts[] = {
    {"format", 'f', OPT_STRING, offsetof(struct info_args, format), "FORMAT", "json or TEMPLATE"},
    {0},
};
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

static int add_containers(struct json_object *o, const struct dirs *d, struct err **reterr)
{
        struct container **v = NULL;
        size_t n = 0, running = 0, paused = 0;
        int r = container_list(d, &v, &n, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                running += v[i]->status == CONTAINER_RUNNING;
                paused += v[i]->status == CONTAINER_PAUSED;
        }
        container_list_free(v, n);
        json_add_uint(o, "Containers", n);
        json_add_uint(o, "ContainersRunning", running);
        json_add_uint(o, "ContainersPaused", paused);
        json_add_uint(o, "ContainersStopped", n - running - paused);
        return 0;
}

static int add_images(struct json_object *o, const struct dirs *d, struct err **reterr)
{
        struct image **v = NULL;
        size_t n = 0;
        int r = store_list(d, &v, &n, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                image_free(v[i]);
        free(v);
        json_add_uint(o, "Images", n);
        return 0;
}

static void add_warning(struct json_object *warnings, const char *what, const char *why)
{
        AUTO_FREE char *text = xasprintf("%s: %s", what, why ? why : "unknown");

        json_object_array_add(warnings, json_object_new_string(text));
}

/* A driver that cannot be had is something to know, not a reason to show nothing. */
static void add_storage(struct json_object *o, const struct dirs *d, struct json_object *warnings)
{
        AUTO(storage_info_freep) struct storage_info *s = NULL;
        AUTO_ERR struct err *err = NULL;
        struct json_object *storage = json_object_new_object();

        if (storage_probe(d, NULL, &s, &err) < 0)
                add_warning(warnings, "storage", err_message(err));
        json_add_string(o, "Driver", s ? s->driver : "");
        json_array(o, "DriverStatus");
        json_add_string(storage, "driver", s ? s->driver : "");
        json_add_string(storage, "why", s ? s->why : err_message(err));
        json_object_object_add(o, "storage", storage);
}

static void add_userns(struct json_object *o, const struct dirs *d, struct json_object *warnings)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO_ERR struct err *err = NULL;
        struct json_object *userns = json_object(o, "userns");

        if (idmap_userns_open(d, &u, &err) < 0) {
                add_warning(warnings, "user namespace", err_message(err));
                json_add_string(userns, "tier", "");
                json_add_string(userns, "why", err_message(err));
                json_array(userns, "uidMap");
                json_array(userns, "gidMap");
                return;
        }
        json_add_string(userns, "tier", idmap_tier_name(u->tier));
        json_add_string(userns, "why", u->why ? u->why : "");
        json_add_string(userns, "remedy", u->remedy ? u->remedy : "");
        json_object_object_add(userns, "uidMap", id_map_to_json(&u->uid));
        json_object_object_add(userns, "gidMap", id_map_to_json(&u->gid));
        if (u->tier != IDMAP_TIER_FULL)
                add_warning(warnings, "ids", u->why);
}

static void add_security(struct json_object *o)
{
        struct json_object *list = json_array(o, "SecurityOptions");

        json_object_array_add(list, json_object_new_string("name=seccomp,profile=builtin"));
        json_object_array_add(list, json_object_new_string("name=rootless"));
        json_object_array_add(list, json_object_new_string("name=cgroupns"));
}

static void add_cgroup(struct json_object *o, struct cli *cli)
{
        struct probe_result p = {0};

        /* This version sets no limits: the probe says what a later one could use. */
        probe_cgroup(cli, &p);
        json_add_string(o, "CgroupDriver", "none");
        json_add_string(o, "CgroupVersion", probe_has_cgroup2() ? "2" : "1");
        json_add_string(o, "CgroupDelegation", probe_state_name(p.state));
        probe_result_release(&p);
}

static void add_host(struct json_object *o)
{
        char now[CLOCK_RFC3339_MAX];
        struct host h;

        host_get(&h);
        json_add_string(o, "SystemTime", clock_format(clock_now_ns(), now));
        json_add_string(o, "KernelVersion", h.kernel);
        json_add_string(o, "OperatingSystem", h.os_name);
        json_add_string(o, "OSVersion", h.os_version);
        json_add_string(o, "OSType", "linux");
        json_add_string(o, "Architecture", h.machine);
        json_add_uint(o, "NCPU", h.processors);
        json_add_uint(o, "MemTotal", h.memory);
        json_add_string(o, "Name", h.name);
}

static void add_plugins(struct json_object *o)
{
        static const char *const drivers[] = {"json-file", "k8s-file", "none", "passthrough"};
        static const char *const networks[] = {"none", "host"};
        struct json_object *plugins = json_object(o, "Plugins");
        struct json_object *list = json_array(plugins, "Network");

        for (size_t i = 0; i < ARRAY_SIZE(networks); i++)
                json_object_array_add(list, json_object_new_string(networks[i]));
        list = json_array(plugins, "Log");
        for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
                json_object_array_add(list, json_object_new_string(drivers[i]));
}

static void add_paths(struct json_object *o, const struct dirs *d)
{
        AUTO_FREE char *helper = process_helper_path("kelp-monitor");
        struct json_object *paths = json_object(o, "paths");

        json_add_string(o, "DockerRootDir", d->root);
        json_add_string(paths, "root", d->root);
        json_add_string(paths, "runtime", d->runtime);
        json_add_string(paths, "cache", d->cache);
        json_add_string(paths, "monitor", helper);
}

static int collect(struct cli *cli, struct json_object *o, struct err **reterr)
{
        struct json_object *warnings = json_object_new_array();
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        json_object_object_add(o, "Warnings", warnings);
        if (r >= 0)
                r = add_containers(o, d, reterr);
        if (r >= 0)
                r = add_images(o, d, reterr);
        if (r < 0)
                return r;
        add_storage(o, d, warnings);
        add_plugins(o);
        json_add_string(o, "LoggingDriver", "json-file");
        add_cgroup(o, cli);
        add_host(o);
        add_paths(o, d);
        json_add_string(o, "ServerVersion", KELP_VERSION);
        json_add_string(o, "InitBinary", "kelp-init");
        json_add_bool(o, "Rootless", true);
        add_security(o);
        add_userns(o, d, warnings);
        return 0;
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* "a.b" in the object. */
static struct json_object *at(struct json_object *o, const char *path)
{
        AUTO_STRV keys = {0};

        strv_split(&keys, path, '.');
        for (size_t i = 0; i < keys.n; i++) {
                struct json_object *next = NULL;

                (void)json_object_object_get_ex(o, keys.v[i], &next);
                o = next;
        }
        return o;
}

static void text_value(struct strbuf *b, struct json_object *v)
{
        for (size_t i = 0;
             json_object_is_type(v, json_type_array) && i < json_object_array_length(v); i++)
                strbuf_addf(b, "%s%s", i ? ", " : "",
                            json_object_get_string(json_object_array_get_idx(v, i)));
        if (!json_object_is_type(v, json_type_array))
                strbuf_add(b, v ? json_object_get_string(v) : "");
}

static void text_maps(struct strbuf *b, const char *title, struct json_object *map)
{
        strbuf_addf(b, "%s:", title);
        for (size_t i = 0;
             json_object_is_type(map, json_type_array) && i < json_object_array_length(map); i++) {
                struct json_object *line = json_object_array_get_idx(map, i);

                strbuf_addf(b, "%s %s → %s (%s)", i ? "," : "",
                            json_object_get_string(at(line, "containerID")),
                            json_object_get_string(at(line, "hostID")),
                            json_object_get_string(at(line, "size")));
        }
        strbuf_add(b, "\n");
}

static int print_text(struct json_object *o, struct err **reterr)
{
        static const struct {
                const char *title, *path;
        } lines[] = {
            {"Version", "ServerVersion"},
            {"Containers", "Containers"},
            {" Running", "ContainersRunning"},
            {" Stopped", "ContainersStopped"},
            {"Images", "Images"},
            {"Storage driver", "storage.driver"},
            {" Why", "storage.why"},
            {"Ids", "userns.tier"},
            {" Why", "userns.why"},
            {"Logging driver", "LoggingDriver"},
            {"Networks", "Plugins.Network"},
            {"Security options", "SecurityOptions"},
            {"Cgroup version", "CgroupVersion"},
            {"Cgroup delegation", "CgroupDelegation"},
            {"Kernel", "KernelVersion"},
            {"Operating system", "OperatingSystem"},
            {"Architecture", "Architecture"},
            {"CPUs", "NCPU"},
            {"Root directory", "paths.root"},
            {"Runtime directory", "paths.runtime"},
            {"Cache directory", "paths.cache"},
        };
        struct json_object *warnings = at(o, "Warnings");
        AUTO_STRBUF b = {0};
        char memory[OUTPUT_SIZE_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                AUTO_STRBUF value = {0};

                text_value(&value, at(o, lines[i].path));
                if (value.len)
                        strbuf_addf(&b, "%s: %s\n", lines[i].title, value.data);
        }
        strbuf_addf(&b, "Memory: %s\n",
                    output_size(json_object_get_uint64(at(o, "MemTotal")), memory));
        text_maps(&b, "User ids", at(o, "userns.uidMap"));
        text_maps(&b, "Group ids", at(o, "userns.gidMap"));
        for (size_t i = 0; i < json_object_array_length(warnings); i++)
                strbuf_addf(&b, "Warning: %s\n",
                            json_object_get_string(json_object_array_get_idx(warnings, i)));
        return output_text(b.data, b.len, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        const struct info_args *a = args;
        AUTO_JSON *o = json_object_new_object();
        int r = collect(cli, o, reterr);

        if (r < 0)
                return r;
        if (str_empty(a->format))
                return print_text(o, reterr);
        return output_inspect(&o, 1, a->format, reterr);
}

const struct verb verb_info = {
    .names = {"info", "system info"},
    .group = VERB_GROUP_SYSTEM,
    .summary = "Show what Kelp uses on this host, and why",
    .sections = sections,
    .args_size = sizeof(struct info_args),
    .run = run,
};
