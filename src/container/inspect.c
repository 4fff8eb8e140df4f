/* SPDX-License-Identifier: Apache-2.0 */
/* inspect — Docker's JSON of one container. Every field is there with its type, whether we have something to say in it or not. */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "container/container_internal.h"
#include "container/lifetime.h"
#include "image/image_query.h"
#include "image/store.h"
#include "monitor/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *time_text(int64_t ns, char buf[CLOCK_RFC3339_MAX])
{
        return ns > 0 ? clock_format(ns, buf) : CLOCK_ZERO;
}

static void add_state(const struct container *c, struct json_object *o)
{
        struct json_object *health = container_health(c->dir_fd);
        struct json_object *s = json_object(o, "State");
        bool running = c->status == CONTAINER_RUNNING;
        char time[CLOCK_RFC3339_MAX];

        json_add_string(s, "Status", container_status_name(c->status));
        /* Docker's: between two runs it is both, without a process. */
        json_add_bool(s, "Running", running || c->status == CONTAINER_RESTARTING);
        json_add_bool(s, "Paused", c->status == CONTAINER_PAUSED);
        json_add_bool(s, "Restarting", c->status == CONTAINER_RESTARTING);
        json_add_bool(s, "OOMKilled", c->oom_killed);
        json_add_bool(s, "Dead", c->status == CONTAINER_DEAD);
        json_add_int(s, "Pid", running ? c->process.pid : 0);
        json_add_int(s, "ExitCode", running ? 0 : c->exit_code);
        json_add_string(s, "Error", c->error ? c->error : "");
        json_add_string(s, "StartedAt", time_text(c->started_ns, time));
        json_add_string(s, "FinishedAt", time_text(c->finished_ns, time));
        if (health)
                (void)json_object_object_add(s, "Health", health);
}

static void copy_key_as(struct json_object *to, const char *key, struct json_object *from,
                        const char *from_key)
{
        struct json_object *v = NULL;

        (void)json_object_object_get_ex(from, from_key, &v);
        (void)json_object_object_add(to, key, json_object_get(v));
}

static void copy_key(struct json_object *to, const char *key, struct json_object *from)
{
        copy_key_as(to, key, from, key);
}

/* A file that the container has not (--no-hosts) has no path. */
static void add_etc_file(const struct dirs *d, const struct container *c, struct json_object *o,
                         const char *key, const char *name)
{
        bool there = faccessat(c->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        AUTO_FREE char *path =
            there ? xasprintf("%s/%s/%s/%s", d->root, CONTAINERS, c->id, name) : xstrdup("");

        json_add_string(o, key, path);
}

static void add_file(const struct dirs *d, const struct container *c, struct json_object *o,
                     const char *key, const char *name)
{
        AUTO_FREE char *path = xasprintf("%s/%s/%s/%s", d->root, CONTAINERS, c->id, name);

        json_add_string(o, key, path);
}

static void add_log_path(const struct dirs *d, const struct container *c, struct json_object *o)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at host = container_host_config(&root);
        struct json_at log = json_key(&host, "LogConfig");
        const char *type = "json-file";

        if (log.obj)
                (void)json_opt_string(&log, "Type", &type, NULL);
        if (strcmp(type, "none") == 0 || strcmp(type, "passthrough") == 0)
                json_add_string(o, "LogPath", "");
        else
                add_file(d, c, o, "LogPath", "log/container.log");
}

/* Podman's words. */
static void add_pod(const struct dirs *d, const struct container *c, struct json_object *o)
{
        AUTO(container_freep) struct container *infra = NULL;

        if (*c->pod_id)
                (void)container_find(d, c->pod_id, &infra, NULL);
        json_add_string(o, "Pod", c->is_infra ? c->id : c->pod_id);
        json_add_string(o, "PodName", c->is_infra ? c->name : infra ? infra->name : "");
        json_add_bool(o, "IsInfra", c->is_infra);
}

/* The running sessions; null when there are none, as Docker has it. */
static void add_exec_ids(int dir_fd, struct json_object *o)
{
        AUTO_CLOSE int fd = openat(dir_fd, RECORD_EXECS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct json_object *ids = NULL;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                if (e->d_name[0] == '.' || strlen(e->d_name) != 64 + strlen(".json") ||
                    !exec_record_runs(fd, e->d_name))
                        continue;
                if (!ids)
                        ids = json_object_new_array();
                (void)json_object_array_add(ids, json_object_new_string_len(e->d_name, 64));
        }
        if (dir) {
                (void)closedir(dir);
                (void)TAKE_FD(fd);
        }
        (void)json_object_object_add(o, "ExecIDs", ids);
}

/* The mount lies in the container's own namespace: from outside its processes are the way to it, and without one there is none. */
static void add_merged(const struct container *c, struct json_object *data)
{
        bool runs = c->status == CONTAINER_RUNNING || c->status == CONTAINER_PAUSED;
        AUTO_FREE char *path = runs ? xasprintf("/proc/%d/root", (int)c->process.pid) : xstrdup("");

        json_add_string(data, "MergedDir", path);
}

static void add_graph_driver(const struct dirs *d, const struct container *c, const struct spec *s,
                             struct json_object *o)
{
        struct json_object *g = json_object(o, "GraphDriver"), *data, *driver = NULL;
        const char *name;

        (void)json_object_object_get_ex(c->config, "Driver", &driver);
        name = driver ? json_object_get_string(driver) : "";
        json_add_string(g, "Name", name);
        data = json_object(g, "Data");
        if (s->root_kind == SPEC_ROOT_LAYERS) {
                AUTO_FREE char *lower = store_lower_dirs(d, &s->layers, s->layers.n);

                json_add_string(data, "LowerDir", lower);
                add_merged(c, data);
                add_file(d, c, data, "UpperDir", "upper");
                add_file(d, c, data, "WorkDir", "work");
                return;
        }
        if (strcmp(name, "copy") == 0)
                add_file(d, c, data, "RootDir", "rootfs");
        else
                json_add_string(data, "RootDir", s->root_path);
        add_merged(c, data);
}

static int add_size(const struct dirs *d, struct container *c, struct json_object *o,
                    struct err **reterr)
{
        AUTO(image_freep) struct image *image = NULL;
        AUTO_FREE uint64_t *size = NULL;
        AUTO_STRV path = {0};
        uint64_t bytes;
        int r;

        strv_add_take(&path, container_upper_path(c->id));
        r = measure_trees(d, &path, &size, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "size of container '%s'", c->name);
        bytes = size[0] == UINT64_MAX ? 0 : size[0]; /* it has no writable layer */
        json_add_uint(o, "SizeRw", bytes);
        if (*c->image_id)
                (void)store_resolve(d, c->image_id, &image, NULL);
        json_add_uint(o, "SizeRootFs", bytes + (image ? image->size : 0));
        return 0;
}

static void add_old_volume(struct json_object *m, struct json_object *volumes,
                           struct json_object *writable)
{
        struct json_at at = json_root(m, "Mounts");
        const char *source = NULL, *destination = NULL;
        bool rw = false;

        if (json_opt_string(&at, "Source", &source, NULL) < 0 ||
            json_opt_string(&at, "Destination", &destination, NULL) < 0 || !destination ||
            json_opt_bool(&at, "RW", &rw, NULL) < 0)
                return;
        json_add_string(volumes, destination, source ? source : "");
        json_add_bool(writable, destination, rw);
}

/* Volumes are stored by their place in the data root, which can be moved. Volumes and VolumesRW are what Docker had before Mounts. */
static void add_mounts(const struct dirs *d, const struct container *c, struct json_object *o)
{
        struct json_object *list = json_array(o, "Mounts"), *from = NULL;
        struct json_object *volumes = json_object(o, "Volumes"),
                           *writable = json_object(o, "VolumesRW");
        size_t n;

        if (!json_object_object_get_ex(c->config, "Mounts", &from) ||
            !json_object_is_type(from, json_type_array))
                return;
        n = json_object_array_length(from);
        for (size_t i = 0; i < n; i++) {
                struct json_object *m = NULL, *source = NULL, *name = NULL;

                if (json_object_deep_copy(json_object_array_get_idx(from, i), &m, NULL) < 0)
                        continue;
                if (json_object_object_get_ex(m, "Name", &name) &&
                    json_object_object_get_ex(m, "Source", &source)) {
                        AUTO_FREE char *path = path_join(d->root, json_object_get_string(source));

                        json_add_string(m, "Source", path);
                }
                add_old_volume(m, volumes, writable);
                (void)json_object_array_add(list, m);
        }
}

static void add_image_descriptor(const struct dirs *d, const struct container *c,
                                 struct json_object *o)
{
        AUTO(image_freep) struct image *image = NULL;
        struct json_object *descriptor = NULL;

        if (*c->image_id && store_resolve(d, c->image_id, &image, NULL) >= 0)
                descriptor = image_descriptor(d, image);
        if (descriptor)
                (void)json_object_object_add(o, "ImageManifestDescriptor", descriptor);
}

int container_inspect(const struct dirs *d, struct container *c, bool size,
                      struct json_object **ret, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        AUTO_FREE char *name = xasprintf("/%s", c->name);
        AUTO(spec_freep) struct spec *s = NULL;
        struct json_object *host;
        char time[CLOCK_RFC3339_MAX];
        int dir = container_dir(d, c, reterr), r;

        if (dir < 0)
                return dir;
        r = container_read_spec(dir, &s, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "container '%s'", c->name);
        json_add_string(o, "Id", c->id);
        json_add_string(o, "Created", time_text(c->created_ns, time));
        copy_key(o, "Path", c->config);
        copy_key(o, "Args", c->config);
        add_state(c, o);
        json_add_string(o, "Image", c->image_id);
        add_etc_file(d, c, o, "ResolvConfPath", "resolv.conf");
        add_etc_file(d, c, o, "HostnamePath", "hostname");
        add_etc_file(d, c, o, "HostsPath", "hosts");
        add_log_path(d, c, o);
        json_add_string(o, "Name", name);
        json_add_uint(o, "RestartCount", c->restarts);
        add_pod(d, c, o);
        copy_key(o, "Driver", c->config);
        json_add_string(o, "Lifetime", lifetime_name(c));
        json_add_string(o, "ExecDriver", RUNTIME_NAME);
        json_add_string(o, "Platform", "linux");
        json_add_string(o, "MountLabel", "");
        json_add_string(o, "ProcessLabel", "");
        json_add_string(o, "AppArmorProfile", "");
        add_exec_ids(dir, o);
        host = inspect_host_config(c, s);
        (void)json_object_object_add(o, "HostConfig", host);
        add_graph_driver(d, c, s, o);
        if (size) {
                r = add_size(d, c, o, reterr);
                if (r < 0)
                        return r;
        }
        add_mounts(d, c, o);
        (void)json_object_object_add(o, "Config", inspect_config(c, host));
        (void)json_object_object_add(o, "NetworkSettings", inspect_network_settings(c));
        add_image_descriptor(d, c, o);
        if (json_object_object_get_ex(c->config, "Requires", NULL))
                copy_key_as(o, "Dependencies", c->config, "Requires");
        (void)json_object_object_add(o, "Isolation", inspect_isolation(c, s));
        *ret = TAKE_PTR(o);
        return 0;
}
