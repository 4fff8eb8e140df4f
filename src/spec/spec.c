/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/spec.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/personality.h>

#include "base/alloc.h"
#include "base/json.h"
#include "spec/resources.h"
#include "spec/spec_internal.h"

void spec_process_init(struct spec_process *p)
{
        *p = (struct spec_process){.umask = -1, .oom_score_adj = INT64_MIN, .personality = -1};
}

struct spec *spec_new(void)
{
        struct spec *s = xnew(struct spec);

        spec_process_init(&s->process);
        s->stop_signal = SIGTERM;
        s->stop_timeout = SPEC_STOP_TIMEOUT;
        return s;
}

void spec_process_release(struct spec_process *p)
{
        free(p->user);
        free(p->cwd);
        free(p->rlimits);
        strv_release(&p->groups);
        strv_release(&p->args);
        strv_release(&p->env);
        free(p->apparmor_profile);
        free(p->selinux_label);
        free(p->cpu_affinity_initial);
        free(p->cpu_affinity_final);
        *p = (struct spec_process){0};
}

void spec_mount_release(struct spec_mount *m)
{
        free(m->destination);
        free(m->type);
        free(m->source);
        strv_release(&m->options);
        strv_release(&m->layers);
        free(m->subpath);
        free(m->upper);
        free(m->work);
        id_map_release(&m->uid_map);
        id_map_release(&m->gid_map);
}

static void spec_device_release(struct spec_device *d)
{
        free(d->path);
        free(d->host_path);
        free(d->access);
}

static void spec_secret_release(struct spec_secret *s)
{
        free(s->name);
        free(s->target);
        free(s->file);
}

void spec_hooks_release(struct spec_hooks *h)
{
        for (size_t i = 0; i < h->n; i++) {
                free(h->v[i].path);
                strv_release(&h->v[i].args);
                strv_release(&h->v[i].env);
        }
        free(h->v);
        *h = (struct spec_hooks){0};
}

void spec_rdt_release(struct spec_rdt *r)
{
        free(r->clos_id);
        free(r->l3);
        free(r->mem_bw);
        strv_release(&r->schemata);
        *r = (struct spec_rdt){0};
}

/* What only a bundle's config.json has. */
static void spec_release_oci(struct spec *s)
{
        free(s->bundle);
        for (size_t i = 0; i < SPEC_HOOK_COUNT; i++)
                spec_hooks_release(&s->hooks[i]);
        free(s->mount_label);
        free(s->cgroups_path);
        s->resources = spec_resources_free(s->resources);
        s->seccomp_profile = json_unref(s->seccomp_profile);
        free(s->seccomp_listener);
        free(s->seccomp_metadata);
        spec_rdt_release(&s->rdt);
}

struct spec *spec_free(struct spec *s)
{
        if (!s)
                return NULL;
        free(s->id);
        free(s->hostname);
        free(s->domainname);
        spec_process_release(&s->process);
        strv_release(&s->layers);
        free(s->upper);
        free(s->work);
        free(s->root_path);
        free(s->storage_driver);
        for (size_t i = 0; i < SPEC_NS_COUNT; i++)
                free(s->ns[i].path);
        id_map_release(&s->uid_map);
        id_map_release(&s->gid_map);
        for (size_t i = 0; i < s->n_mounts; i++)
                spec_mount_release(&s->mounts[i]);
        free(s->mounts);
        for (size_t i = 0; i < s->n_devices; i++)
                spec_device_release(&s->devices[i]);
        free(s->devices);
        for (size_t i = 0; i < s->n_secrets; i++)
                spec_secret_release(&s->secrets[i]);
        free(s->secrets);
        strv_release(&s->masked_paths);
        strv_release(&s->readonly_paths);
        strv_release(&s->sysctl);
        strv_release(&s->proc_options);
        free(s->seccomp_file);
        free(s->init_path);
        strv_release(&s->annotations);
        free(s->image_name);
        free(s->sdnotify);
        strv_release(&s->labels);
        spec_release_oci(s);
        free(s);
        return NULL;
}

struct spec_mount *spec_add_mount(struct spec *s, const char *destination, const char *type,
                                  const char *source, const char *options)
{
        struct spec_mount *m;

        s->mounts = xrealloc(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
        m = &s->mounts[s->n_mounts++];
        *m = (struct spec_mount){
            .destination = xstrdup(destination),
            .type = xstrdup(type),
            .source = xstrdup(source),
        };
        if (!str_empty(options))
                strv_split(&m->options, options, ',');
        return m;
}

void spec_remove_mount(struct spec *s, const char *destination)
{
        size_t kept = 0;

        for (size_t i = 0; i < s->n_mounts; i++) {
                if (strcmp(s->mounts[i].destination, destination) == 0)
                        spec_mount_release(&s->mounts[i]);
                else
                        s->mounts[kept++] = s->mounts[i];
        }
        s->n_mounts = kept;
}

void spec_keep_mounts(struct spec *s, bool (*keep)(struct spec_mount *m, const void *arg),
                      const void *arg)
{
        size_t kept = 0;

        for (size_t i = 0; i < s->n_mounts; i++) {
                if (keep(&s->mounts[i], arg))
                        s->mounts[kept++] = s->mounts[i];
                else
                        spec_mount_release(&s->mounts[i]);
        }
        s->n_mounts = kept;
}

void spec_remove_devices(struct spec *s)
{
        for (size_t i = 0; i < s->n_devices; i++)
                spec_device_release(&s->devices[i]);
        s->n_devices = 0;
}

struct spec_secret *spec_add_secret(struct spec *s, const char *name, const char *target,
                                    const char *file)
{
        struct spec_secret *secret;

        s->secrets = xrealloc(s->secrets, s->n_secrets + 1, sizeof(*s->secrets));
        secret = &s->secrets[s->n_secrets++];
        *secret = (struct spec_secret){
            .name = xstrdup(name), .target = xstrdup(target), .file = xstrdup(file)};
        return secret;
}

struct spec_device *spec_add_device(struct spec *s, const char *host_path, const char *path,
                                    const char *access)
{
        struct spec_device *d;

        s->devices = xrealloc(s->devices, s->n_devices + 1, sizeof(*s->devices));
        d = &s->devices[s->n_devices++];
        *d = (struct spec_device){
            .path = xstrdup(path),
            .host_path = xstrdup(host_path),
            .access = xstrdup(access),
        };
        return d;
}

void spec_process_add_rlimit(struct spec_process *p, const struct spec_rlimit *limit)
{
        for (size_t i = 0; i < p->n_rlimits; i++) {
                if (p->rlimits[i].resource == limit->resource) {
                        p->rlimits[i] = *limit;
                        return;
                }
        }
        p->rlimits = xrealloc(p->rlimits, p->n_rlimits + 1, sizeof(*p->rlimits));
        p->rlimits[p->n_rlimits++] = *limit;
}

static const struct {
        const char *name;
        int resource;
} rlimit_names[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};
static_assert(ARRAY_SIZE(rlimit_names) == RLIM_NLIMITS, "every limit of the kernel has its name");

int spec_rlimit_from_name(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(rlimit_names); i++) {
                if (strcasecmp(rlimit_names[i].name, name) == 0)
                        return rlimit_names[i].resource;
        }
        return -1;
}

const char *spec_rlimit_name(int resource)
{
        for (size_t i = 0; i < ARRAY_SIZE(rlimit_names); i++) {
                if (rlimit_names[i].resource == resource)
                        return rlimit_names[i].name;
        }
        return NULL;
}

static const struct {
        const char *name;
        int64_t value;
} personalities[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};

int spec_personality_from_name(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(personalities); i++) {
                if (strcasecmp(personalities[i].name, name) == 0)
                        return (int)personalities[i].value;
        }
        return -1;
}

const char *spec_personality_name(int64_t personality)
{
        for (size_t i = 0; i < ARRAY_SIZE(personalities); i++) {
                if (personalities[i].value == personality)
                        return personalities[i].name;
        }
        return NULL;
}

static const char *const ns_names[] = {
    [SPEC_NS_USER] = "user",     [SPEC_NS_MOUNT] = "mount", [SPEC_NS_PID] = "pid",
    [SPEC_NS_NET] = "network",   [SPEC_NS_IPC] = "ipc",     [SPEC_NS_UTS] = "uts",
    [SPEC_NS_CGROUP] = "cgroup", [SPEC_NS_TIME] = "time",
};
static_assert(ARRAY_SIZE(ns_names) == SPEC_NS_COUNT, "name every namespace");

const char *spec_ns_name(enum spec_ns ns)
{
        return ns_names[ns];
}

static const char *const hook_names[] = {
    [SPEC_HOOK_PRESTART] = "prestart",
    [SPEC_HOOK_CREATE_RUNTIME] = "createRuntime",
    [SPEC_HOOK_CREATE_CONTAINER] = "createContainer",
    [SPEC_HOOK_START_CONTAINER] = "startContainer",
    [SPEC_HOOK_POSTSTART] = "poststart",
    [SPEC_HOOK_POSTSTOP] = "poststop",
};
static_assert(ARRAY_SIZE(hook_names) == SPEC_HOOK_COUNT, "name every hook");

const char *spec_hook_name(enum spec_hook h)
{
        return hook_names[h];
}
