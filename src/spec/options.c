/* SPDX-License-Identifier: Apache-2.0 */
/* options.c — life of struct run_options, and the image's part of a container. */
#include "spec/options.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <json-c/linkhash.h>
#include <string.h>

struct run_options *run_options_new(void)
{
        struct run_options *o = xnew(struct run_options);

        o->stop_timeout = -1;
        o->health_interval = o->health_timeout = o->health_start_period = RUN_HEALTH_UNSET;
        o->health_start_interval = o->health_retries = RUN_HEALTH_UNSET;
        o->oom_score_adj = INT64_MIN;
        o->no_content_trust = true;
        return o;
}

const char *run_mount_type_name(enum run_mount_type t)
{
        static const char *const names[] = {
            [RUN_MOUNT_BIND] = "bind",     [RUN_MOUNT_TMPFS] = "tmpfs",
            [RUN_MOUNT_VOLUME] = "volume", [RUN_MOUNT_IMAGE] = "image",
            [RUN_MOUNT_DEVPTS] = "devpts", [RUN_MOUNT_RAMFS] = "ramfs",
            [RUN_MOUNT_GLOB] = "glob",
        };
        static_assert(ARRAY_SIZE(names) == RUN_MOUNT_TYPE_COUNT, "every type has a name");

        return names[t];
}

void run_mount_release(struct run_mount *m)
{
        free(m->source);
        free(m->target);
        free(m->subpath);
        free(m->upper);
        free(m->work);
        strv_release(&m->options);
        strv_release(&m->volume_options);
        strv_release(&m->volume_labels);
        *m = (struct run_mount){0};
}

void run_mount_copy(const struct run_mount *from, struct run_mount *ret)
{
        *ret = *from;
        ret->source = xstrdup(from->source);
        ret->target = xstrdup(from->target);
        ret->subpath = xstrdup(from->subpath);
        ret->upper = xstrdup(from->upper);
        ret->work = xstrdup(from->work);
        ret->options = ret->volume_options = ret->volume_labels = (struct strv){0};
        strv_copy(&ret->options, &from->options);
        strv_copy(&ret->volume_options, &from->volume_options);
        strv_copy(&ret->volume_labels, &from->volume_labels);
}

struct run_options *run_options_free(struct run_options *o)
{
        if (!o)
                return NULL;
        char *const strings[] = {
            o->health_cmd,
            o->health_on_failure,
            o->name,
            o->image,
            o->rootfs,
            o->cidfile,
            o->pidfile,
            o->hostname,
            o->domainname,
            o->entrypoint,
            o->user,
            o->workdir,
            o->storage_driver,
            o->network,
            o->ipc,
            o->pid,
            o->uts,
            o->userns,
            o->stop_signal,
            o->log_driver,
            o->init_path,
            o->passwd_entry,
            o->group_entry,
            o->sdnotify,
            o->umask,
            o->personality,
            o->hosts_file,
            o->tz,
            o->platform,
            o->volume_driver,
            o->image_volume,
            o->pod,
            o->lifetime,
        };
        struct strv *const lists[] = {
            &o->labels,       &o->annotations, &o->command,   &o->env,       &o->groups,
            &o->attach,       &o->devices,     &o->add_hosts, &o->dns,       &o->dns_search,
            &o->dns_options,  &o->uidmap,      &o->gidmap,    &o->cap_add,   &o->cap_drop,
            &o->security_opt, &o->ulimits,     &o->sysctls,   &o->log_opts,  &o->volumes_from,
            &o->env_below,    &o->host_users,  &o->requires,  &o->env_merge, &o->unsetenv,
            &o->expose,       &o->chroot_dirs,
        };

        for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
                free(strings[i]);
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                strv_release(lists[i]);
        for (size_t i = 0; i < o->n_mounts; i++)
                run_mount_release(&o->mounts[i]);
        free(o->mounts);
        for (size_t i = 0; i < o->n_secrets; i++)
                run_secret_release(&o->secrets[i]);
        free(o->secrets);
        free(o);
        return NULL;
}

/* Cmd and Entrypoint: an array, a string (one shell command, as old images have it), or null. */
static int config_command(const struct json_at *config, const char *key, struct strv *ret,
                          struct err **reterr)
{
        struct json_at at = json_key(config, key);
        const char *text;
        int r;

        if (!json_object_is_type(at.obj, json_type_string))
                return json_opt_strv(config, key, ret, reterr);
        if ((r = json_value_string(&at, &text, reterr)) < 0)
                return r;
        strv_add(ret, "/bin/sh");
        strv_add(ret, "-c");
        strv_add(ret, text);
        return 0;
}

/* The keys of an object ({"/data":{}}). */
static int config_keys(const struct json_at *config, const char *key, struct strv *ret,
                       struct err **reterr)
{
        struct json_at at = json_key(config, key);
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0)
                return r;
        json_object_object_foreach(at.obj, name, value)
        {
                (void)value;
                strv_add(ret, name);
        }
        return 0;
}

static int config_string(const struct json_at *config, const char *key, char **ret,
                         struct err **reterr)
{
        const char *value = NULL;
        int r = json_opt_string(config, key, &value, reterr);

        if (r >= 0 && !str_empty(value))
                *ret = xstrdup(value);
        return r;
}

int image_config_from_json(struct json_object *config, const char *what, struct image_config *ret,
                           struct err **reterr)
{
        AUTO(image_config_release) struct image_config c = {0};
        struct json_at at = json_root(config, what), health;
        int r;

        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = config_string(&at, "User", &c.user, reterr)) < 0 ||
            (r = config_string(&at, "WorkingDir", &c.workdir, reterr)) < 0 ||
            (r = config_string(&at, "StopSignal", &c.stop_signal, reterr)) < 0 ||
            (r = config_command(&at, "Entrypoint", &c.entrypoint, reterr)) < 0 ||
            (r = config_command(&at, "Cmd", &c.cmd, reterr)) < 0 ||
            (r = json_opt_strv(&at, "Env", &c.env, reterr)) < 0 ||
            (r = json_opt_pairs(&at, "Labels", &c.labels, reterr)) < 0 ||
            (r = config_keys(&at, "Volumes", &c.volumes, reterr)) < 0 ||
            (r = config_keys(&at, "ExposedPorts", &c.exposed_ports, reterr)) < 0)
                return r;
        health = json_key(&at, "Healthcheck");
        if (health.obj)
                c.healthcheck_json =
                    xstrdup(json_object_to_json_string_ext(health.obj, JSON_C_TO_STRING_PLAIN));
        *ret = c;
        c = (struct image_config){0};
        return 0;
}

void image_config_release(struct image_config *c)
{
        free(c->user);
        free(c->workdir);
        free(c->stop_signal);
        free(c->healthcheck_json);
        strv_release(&c->entrypoint);
        strv_release(&c->cmd);
        strv_release(&c->env);
        strv_release(&c->labels);
        strv_release(&c->volumes);
        strv_release(&c->exposed_ports);
        *c = (struct image_config){0};
}
