/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_config — config.json: what was asked for, in Docker's words. HostConfig holds only what was asked; inspect fills in the defaults, so
 * that a listing of a thousand containers reads little.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "container/container_internal.h"
#include "image/store.h"
#include "logs/logs.h"
#include "spec/health.h"
#include "volume/volume.h"

#include <string.h>

static void add_strv(struct json_object *o, const char *key, const struct strv *v)
{
        (void)json_object_object_add(o, key, json_from_strv(v));
}

static void add_set(struct json_object *o, const char *key, const struct strv *v)
{
        struct json_object *set;

        if (v->n == 0)
                return;
        set = json_object(o, key);
        for (size_t i = 0; i < v->n; i++)
                (void)json_object(set, v->v[i]);
}

/* The image's, and the anonymous ones of -v; --mount and -v NAME:… stand in HostConfig. */
static void add_volumes(const struct creation *k, struct json_object *c)
{
        AUTO_STRV volumes = {0};

        strv_copy(&volumes, &k->config.volumes);
        for (size_t i = 0; i < k->o->n_mounts; i++) {
                const struct run_mount *m = &k->o->mounts[i];

                if (m->type == RUN_MOUNT_VOLUME && !m->csv && !m->source &&
                    !strv_contains(&volumes, m->target))
                        strv_add(&volumes, m->target);
        }
        add_set(c, "Volumes", &volumes);
}

static void add_exposed(const struct creation *k, struct json_object *c)
{
        AUTO_STRV ports = {0};

        strv_copy(&ports, &k->config.exposed_ports);
        for (size_t i = 0; i < k->o->expose.n; i++)
                (void)run_expose_parse(k->o->expose.v[i], &ports,
                                       NULL); /* creation_config() complains */
        add_set(c, "ExposedPorts", &ports);
}

static void add_command(struct creation *k, struct json_object *c)
{
        const struct run_options *o = k->o;
        AUTO_STRV own = {0};
        const struct strv *entrypoint = o->entrypoint ? &own : &k->config.entrypoint;
        /* Another entry point does not go with the image's arguments. */
        const struct strv *cmd = o->command.n > 0 || o->entrypoint ? &o->command : &k->config.cmd;

        if (o->entrypoint)
                (void)run_entrypoint_parse(o->entrypoint, &own,
                                           NULL); /* the spec's builder complains */
        (void)json_object_object_add(c, "Cmd", cmd->n > 0 ? json_from_strv(cmd) : NULL);
        (void)json_object_object_add(c, "Entrypoint",
                                     entrypoint->n > 0 ? json_from_strv(entrypoint) : NULL);
}

static void add_env(struct creation *k, struct json_object *c)
{
        AUTO_STRV env = {0};

        run_env_build(k->o, &k->config, &env);
        add_strv(c, "Env", &env);
}

static bool attaches(const struct run_options *o, const char *stream)
{
        return strv_contains(&o->attach, stream);
}

static void add_stop(struct creation *k, struct json_object *c)
{
        const char *name = k->o->stop_signal ? k->o->stop_signal : k->config.stop_signal;

        if (!str_empty(name))
                json_add_string(c, "StopSignal", name);
        if (k->o->stop_timeout >= 0)
                json_add_int(c, "StopTimeout", k->o->stop_timeout);
}

/* The monitor tells of the container's life, and reads no more than the spec for it. */
static void keep_for_events(struct creation *k, struct json_object *labels)
{
        k->spec->image_name = xstrdup(k->o->infra    ? INFRA_IMAGE
                                      : k->o->rootfs ? k->o->rootfs
                                                     : k->o->image);
        json_object_object_foreach(labels, key, value)
        {
                strv_addf(&k->spec->labels, "%s=%s", key, json_object_get_string(value));
        }
}

static void add_config(struct creation *k, struct json_object *c)
{
        const struct run_options *o = k->o;
        struct json_object *labels;

        json_add_string(c, "Hostname", k->spec->hostname ? k->spec->hostname : "");
        json_add_string(c, "Domainname", o->domainname ? o->domainname : "");
        json_add_string(c, "User", o->user ? o->user : k->config.user ? k->config.user : "");
        json_add_bool(c, "AttachStdin", attaches(o, "stdin"));
        json_add_bool(c, "AttachStdout", attaches(o, "stdout"));
        json_add_bool(c, "AttachStderr", attaches(o, "stderr"));
        add_exposed(k, c);
        json_add_bool(c, "Tty", o->tty);
        json_add_bool(c, "OpenStdin", o->interactive);
        json_add_bool(c, "StdinOnce", o->interactive && attaches(o, "stdin"));
        add_env(k, c);
        add_command(k, c);
        json_add_string(c, "Image", o->image ? o->image : "");
        add_volumes(k, c);
        json_add_string(c, "WorkingDir",
                        o->workdir          ? o->workdir
                        : k->config.workdir ? k->config.workdir
                                            : "");
        labels = json_object(c, "Labels");
        json_add_pairs(labels, &k->config.labels);
        json_add_pairs(labels, &o->labels);
        keep_for_events(k, labels);
        add_stop(k, c);
}

static const char *propagation_of(const struct run_mount *m)
{
        const char *p = "rprivate";

        if (m->type != RUN_MOUNT_BIND)
                return "";
        for (size_t n = 0; n < m->options.n; n++) {
                if (strstr(m->options.v[n], "private") || strstr(m->options.v[n], "shared") ||
                    strstr(m->options.v[n], "slave"))
                        p = m->options.v[n];
        }
        return p;
}

/* The last word counts: what another container's mode added stands behind its own. */
static bool is_writable(const struct run_mount *m)
{
        bool rw = true;

        for (size_t n = 0; n < m->options.n; n++) {
                const char *o = m->options.v[n];

                rw = strcmp(o, "rw") == 0 || (rw && strcmp(o, "ro") != 0 && strcmp(o, "rro") != 0);
        }
        return rw;
}

/* Docker's shape; Options and Subpath for those who take the mount over with --volumes-from. The source of a volume is relative to the
 * data root, which can be moved: inspect makes it whole. */
static void add_mounts(struct creation *k, struct json_object *list)
{
        for (size_t i = 0; i < k->n_mounts; i++) {
                const struct run_mount *m = &k->mounts[i];
                struct json_object *o = json_object_new_object();
                AUTO_FREE char *path =
                    m->type == RUN_MOUNT_VOLUME ? volume_relative_path(m->source) : NULL;
                AUTO_FREE char *target = path_clean(m->target);

                json_add_string(o, "Type", run_mount_type_name(m->type));
                if (m->type == RUN_MOUNT_VOLUME)
                        json_add_string(o, "Name", m->source);
                json_add_string(o, "Source", path ? path : m->source ? m->source : "");
                json_add_string(o, "Destination", target);
                if (m->type == RUN_MOUNT_VOLUME)
                        json_add_string(o, "Driver", VOLUME_DRIVER);
                json_add_string(o, "Mode", is_writable(m) ? "" : "ro");
                json_add_bool(o, "RW", is_writable(m));
                json_add_string(o, "Propagation", propagation_of(m));
                if (m->options.n > 0)
                        add_strv(o, "Options", &m->options);
                if (m->subpath)
                        json_add_string(o, "Subpath", m->subpath);
                (void)json_object_array_add(list, o);
        }
}

static void add_process(struct creation *k, struct json_object *doc)
{
        const struct strv *args = &k->spec->process.args;
        struct json_object *list;

        json_add_string(doc, "Path", args->n > 0 ? args->v[0] : "");
        list = json_array(doc, "Args");
        for (size_t i = 1; i < args->n; i++)
                (void)json_object_array_add(list, json_object_new_string(args->v[i]));
}

/* By id: they may be renamed. One that is made later cannot be among them, so no circle closes. */
static int add_required(struct creation *k, struct json_object *doc, struct err **reterr)
{
        AUTO_STRV ids = {0};

        for (size_t i = 0; i < k->o->requires.n; i++) {
                AUTO(container_freep) struct container *c = NULL;
                int r = container_find(k->d, k->o->requires.v[i], &c, reterr);

                if (r < 0)
                        return err_wrap(reterr, r, "option '--requires'");
                if (!strv_contains(&ids, c->id))
                        strv_add(&ids, c->id);
        }
        if (ids.n > 0)
                add_strv(doc, "Requires", &ids);
        return 0;
}

int creation_config(struct creation *k, struct err **reterr)
{
        struct json_object *doc = k->doc = json_object_new_object(), *config;
        char time[CLOCK_RFC3339_MAX];
        int r;

        for (size_t i = 0; i < k->o->expose.n; i++) {
                AUTO_STRV ports = {0};

                r = run_expose_parse(k->o->expose.v[i], &ports, reterr);
                if (r < 0)
                        return r;
        }
        json_add_int(doc, "Format", CONFIG_FORMAT);
        json_add_string(doc, "Id", k->tmp.id);
        json_add_string(doc, "Name", k->name);
        json_add_string(doc, "Created", clock_format(k->created_ns, time));
        json_add_string(doc, "Image", k->image ? k->image->id : "");
        json_add_string(doc, "ImageName",
                        k->o->infra    ? INFRA_IMAGE
                        : k->o->rootfs ? k->o->rootfs
                                       : k->o->image);
        if (k->image)
                add_strv(doc, "Layers", &k->image->layers);
        if (k->mounted_layers.n > 0)
                add_strv(doc, "MountedLayers", &k->mounted_layers);
        add_process(k, doc);
        json_add_string(doc, "Driver", k->driver ? k->driver : "");
        config = json_object(doc, "Config");
        add_config(k, config);
        r = health_to_config(k->o, k->config.healthcheck_json, config, reterr);
        if (r >= 0)
                r = creation_host_config(k, json_object(doc, "HostConfig"), reterr);
        if (r < 0)
                return r;
        add_mounts(k, json_array(doc, "Mounts"));
        creation_pod_config(k, doc);
        if (k->secrets)
                (void)json_object_object_add(doc, "Secrets", json_object_get(k->secrets));
        if (k->joins.n > 0)
                add_strv(doc, "Joins", &k->joins);
        if (k->o->lifetime)
                json_add_string(doc, "Lifetime", k->o->lifetime);
        r = add_required(k, doc, reterr);
        if (r < 0)
                return r;
        if (k->o->pidfile) {
                AUTO_FREE char *path = path_make_absolute(k->o->pidfile, reterr);

                if (!path)
                        return -ENOENT;
                json_add_string(doc, "PidFile", path);
        }
        return 0;
}
