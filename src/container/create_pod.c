/* SPDX-License-Identifier: Apache-2.0 */
/* create_pod — what being a pod's infra container, or a member of a pod, makes of a new container. */
#include "base/dirs.h"
#include "base/err.h"
#include "container/container_internal.h"
#include "container/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the infra container ---- */

int creation_infra_root(struct creation *k, struct err **reterr)
{
        if (mkdirat(k->tmp.fd, "rootfs", 0755) < 0 || fchmodat(k->tmp.fd, "rootfs", 0755, 0) < 0)
                return err_sys(reterr, errno, "make the root file system");
        k->spec->pause = true;
        k->spec->root_kind = SPEC_ROOT_DIRECTORY;
        free(k->spec->root_path);
        k->spec->root_path = xasprintf("%s/%s/rootfs", CONTAINERS, k->tmp.id);
        return 0;
}

void creation_pod_config(const struct creation *k, struct json_object *doc)
{
        const struct pod_create_opts *infra = k->o->infra;
        struct json_object *pod;

        if (!infra && !*k->pod_id)
                return;
        pod = json_object(doc, "Pod");
        if (!infra) {
                json_add_string(pod, "Id", k->pod_id);
                return;
        }
        json_add_bool(pod, "Infra", true);
        json_add_string(pod, "ExitPolicy", infra->exit_stop ? "stop" : "continue");
        (void)json_object_object_add(pod, "Share", json_from_strv(infra->share));
}

/* ---- a member ---- */

/* What it shares with the others, where it does not say otherwise itself. */
static void share(struct creation *k, struct run_options *o, const struct strv *names)
{
        const struct {
                const char *name;
                char **mode;
        } all[] = {{"net", &o->network}, {"ipc", &o->ipc}, {"uts", &o->uts}, {"pid", &o->pid}};

        k->pod_mode = xasprintf("container:%s", k->pod_id);
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                if (strv_contains(names, all[i].name) && !*all[i].mode)
                        *all[i].mode = k->pod_mode;
        }
}

static bool has_mounts(const struct container *c)
{
        struct json_object *mounts = NULL;

        return json_object_object_get_ex(c->config, "Mounts", &mounts) &&
               json_object_is_type(mounts, json_type_array) && json_object_array_length(mounts) > 0;
}

int creation_join_pod(struct creation *k, struct run_options *o, struct err **reterr)
{
        AUTO(pod_freep) struct pod *p = NULL;
        AUTO_STRV names = {0};
        struct json_at root, pod;
        int r = pod_find(k->d, o->pod, &p, reterr);

        if (r < 0)
                return err_wrap(reterr, r, "option '--pod'");
        root = json_root(p->infra->config, CONFIG_FILE);
        pod = json_key(&root, "Pod");
        r = json_opt_strv(&pod, "Share", &names, reterr);
        if (r < 0)
                return r;
        memcpy(k->pod_id, p->infra->id, sizeof(k->pod_id));
        share(k, o, &names);
        if (has_mounts(p->infra)) {
                strv_copy(&k->volumes_from, &o->volumes_from);
                strv_add(&k->volumes_from, k->pod_id);
                o->volumes_from = k->volumes_from;
        }
        return 0;
}

/* Names and servers are those of the namespaces that it shares, unless it has lines of its own. */
const char *creation_pod_file(const struct creation *k, const char *name)
{
        const struct run_options *o = k->o;
        bool uts = strcmp(name, "hostname") == 0;
        const char *mode = uts ? o->uts : o->network;

        if (!k->pod_mode || !mode || strcmp(mode, k->pod_mode) != 0)
                return NULL;
        if (strcmp(name, "hosts") == 0 && (o->add_hosts.n > 0 || o->hosts_file))
                return NULL;
        if (strcmp(name, "resolv.conf") == 0 &&
            (o->dns.n > 0 || o->dns_search.n > 0 || o->dns_options.n > 0))
                return NULL;
        return uts || strcmp(name, "hosts") == 0 || strcmp(name, "resolv.conf") == 0 ? k->pod_id
                                                                                     : NULL;
}

bool creation_pod_is_gone(const struct creation *k)
{
        AUTO_FREE char *path = xasprintf("%s/%s", CONTAINERS, k->pod_id);

        return *k->pod_id && faccessat(k->d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
               errno == ENOENT;
}
