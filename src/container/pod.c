/* SPDX-License-Identifier: Apache-2.0 */
/* pod — see pod.h. */
#include "container/pod.h"

#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "container/container_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Between the start of the infra container by somebody else and its record. */
#define START_TRIES    500
#define START_PAUSE_NS 2000000L

static const char *const status_names[] = {
    [POD_CREATED] = "Created", [POD_RUNNING] = "Running", [POD_DEGRADED] = "Degraded",
    [POD_STOPPED] = "Stopped", [POD_EXITED] = "Exited",
};
static_assert(ARRAY_SIZE(status_names) == POD_STATUS_COUNT, "every status has a name");

const char *pod_status_name(enum pod_status s)
{
        return status_names[s];
}

bool pod_status_is(const char *name)
{
        for (size_t i = 0; i < POD_STATUS_COUNT; i++) {
                if (strcasecmp(status_names[i], name) == 0)
                        return true;
        }
        return false;
}

struct pod *pod_free(struct pod *p)
{
        if (!p)
                return NULL;
        (void)container_free(p->infra);
        container_list_free(p->members, p->n);
        free(p);
        return NULL;
}

void pod_list_free(struct pod **v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)pod_free(v[i]);
        free(v);
}

enum pod_status pod_status(const struct pod *p)
{
        size_t running = 0, created = 0, total = p->n + 1;

        for (size_t i = 0; i < total; i++) {
                const struct container *c = i < p->n ? p->members[i] : p->infra;

                running += container_is_up(c);
                created += c->status == CONTAINER_CREATED;
        }
        if (running > 0)
                return running == total ? POD_RUNNING : POD_DEGRADED;
        if (created == total)
                return POD_CREATED;
        return created > 0 ? POD_STOPPED : POD_EXITED;
}

/* ---- looking ---- */

static void add_member(struct pod *p, struct container *c)
{
        p->members = xrealloc(p->members, p->n + 1, sizeof(*p->members));
        /* The list has the newest first. */
        memmove(p->members + 1, p->members, p->n * sizeof(*p->members));
        p->members[0] = c;
        p->n++;
}

/* Takes the containers of pods out of a listing; what is no pod's is left. */
static void gather(struct container **v, size_t n, struct pod **pods, size_t n_pods)
{
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; v[i] && k < n_pods; k++) {
                        if (strcmp(v[i]->pod_id, pods[k]->infra->id) == 0)
                                add_member(pods[k], TAKE_PTR(v[i]));
                }
        }
}

int pod_list(const struct dirs *d, struct pod ***ret, size_t *ret_n, struct err **reterr)
{
        struct container **v = NULL;
        struct pod **pods = NULL;
        size_t n = 0, n_pods = 0;
        int r = container_list(d, &v, &n, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (!v[i]->is_infra)
                        continue;
                pods = xrealloc(pods, n_pods + 1, sizeof(*pods));
                pods[n_pods] = xnew(struct pod);
                pods[n_pods++]->infra = TAKE_PTR(v[i]);
        }
        gather(v, n, pods, n_pods);
        container_list_free(v, n);
        *ret = pods;
        *ret_n = n_pods;
        return 0;
}

static int find_infra(const struct dirs *d, const char *name, struct container **ret,
                      struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *e = NULL;
        int r = container_find(d, name, &c, &e);

        if (r < 0 && err_kind(e) != ERR_NOT_FOUND)
                return err_move(reterr, r, &e);
        if (r >= 0 && c->is_infra) {
                *ret = TAKE_PTR(c);
                return 0;
        }
        r = err_new(reterr, ERR_NOT_FOUND, "no such pod: %s", name);
        if (c)
                return err_hint(reterr, r, "'%s' is a container", name);
        return err_hint(reterr, r, "'kelp pod ps' lists those there are");
}

int pod_find(const struct dirs *d, const char *name, struct pod **ret, struct err **reterr)
{
        AUTO(pod_freep) struct pod *p = xnew(struct pod);
        struct container **v = NULL;
        size_t n = 0;
        int r = find_infra(d, name, &p->infra, reterr);

        if (r >= 0)
                r = container_list(d, &v, &n, reterr);
        if (r < 0)
                return r;
        gather(v, n, &p, 1);
        container_list_free(v, n);
        *ret = TAKE_PTR(p);
        return 0;
}

/* ---- showing ---- */

static void copy_member(struct json_object *to, const char *key, struct json_object *from,
                        const char *from_key)
{
        struct json_object *v = NULL;

        (void)json_object_object_get_ex(from, from_key, &v);
        (void)json_object_object_add(to, key, json_object_get(v));
}

static void add_containers(const struct pod *p, struct json_object *o)
{
        struct json_object *list = json_array(o, "Containers");

        for (size_t i = 0; i <= p->n; i++) {
                const struct container *c = i == 0 ? p->infra : p->members[i - 1];
                struct json_object *one = json_object_new_object();

                json_add_string(one, "Id", c->id);
                json_add_string(one, "Name", c->name);
                json_add_string(one, "State", container_status_name(c->status));
                (void)json_object_array_add(list, one);
        }
}

struct json_object *pod_inspect(struct pod *p)
{
        struct json_object *o = json_object_new_object(), *config, *infra;
        struct json_object *pod = NULL, *settings = NULL, *host = NULL;
        char time[CLOCK_RFC3339_MAX];

        config = container_config(p->infra);
        (void)json_object_object_get_ex(config, "Pod", &pod);
        (void)json_object_object_get_ex(config, "Config", &settings);
        (void)json_object_object_get_ex(config, "HostConfig", &host);
        json_add_string(o, "Id", p->infra->id);
        json_add_string(o, "Name", p->infra->name);
        json_add_string(o, "Created", clock_format(p->infra->created_ns, time));
        copy_member(o, "ExitPolicy", pod, "ExitPolicy");
        json_add_string(o, "State", pod_status_name(pod_status(p)));
        copy_member(o, "Hostname", settings, "Hostname");
        copy_member(o, "Labels", settings, "Labels");
        json_add_bool(o, "CreateCgroup", false);
        json_add_bool(o, "CreateInfra", true);
        json_add_string(o, "InfraContainerID", p->infra->id);
        infra = json_object(o, "InfraConfig");
        copy_member(infra, "DNSServer", host, "Dns");
        copy_member(infra, "DNSSearch", host, "DnsSearch");
        copy_member(infra, "DNSOption", host, "DnsOptions");
        copy_member(infra, "HostAdd", host, "ExtraHosts");
        copy_member(infra, "NetworkMode", host, "NetworkMode");
        copy_member(infra, "userns", host, "UsernsMode");
        copy_member(o, "SharedNamespaces", pod, "Share");
        json_add_uint(o, "NumContainers", p->n + 1);
        add_containers(p, o);
        copy_member(o, "Mounts", config, "Mounts");
        copy_member(o, "SecurityOpts", host, "SecurityOpt");
        return o;
}

/* ---- life ---- */

int pod_create(const struct dirs *d, const struct run_options *o, const struct pod_create_opts *p,
               char ret_id[65], struct strv *warnings, struct err **reterr)
{
        struct run_options infra = *o; /* a view: the strings stay the caller's */
        AUTO_STRV command = {0};
        AUTO_STRV no_caps = {0};

        strv_add(&no_caps, "ALL");
        infra.cap_drop = no_caps;
        strv_add(&command, "kelp-init");
        strv_add(&command, "--pause");
        infra.command = command;
        infra.infra = p;
        infra.read_only = true;
        return container_create(d, &infra, ret_id, warnings, reterr);
}

int pod_start_infra(const struct dirs *d, const char *id, struct err **reterr)
{
        const struct timespec pause = {.tv_nsec = START_PAUSE_NS};
        struct container_start_opts start = {0};

        for (int i = 0;; i++) {
                AUTO(container_freep) struct container *infra = NULL;
                AUTO_ERR struct err *e = NULL;
                struct container_io io;
                int r = container_find(d, id, &infra, &e);

                if (r < 0 && err_kind(e) == ERR_NOT_FOUND)
                        return err_hint(reterr,
                                        err_new(reterr, ERR_NOT_FOUND, "its pod %.12s is gone", id),
                                        "remove it, and make it anew in another pod or in none");
                if (r < 0)
                        return err_move(reterr, r, &e);
                if (infra->status == CONTAINER_RUNNING)
                        return 0;
                r = container_start(d, infra, &start, &io, &e);
                if (r >= 0) {
                        container_io_close(&io);
                        return 0;
                }
                /* Another member's start was quicker: until it is through. */
                if (err_kind(e) != ERR_BUSY || i == START_TRIES)
                        return err_move(reterr, r, &e);
                /* lint-allow: nanosleep: who starts it tells nobody when it runs */
                (void)nanosleep(&pause, NULL);
        }
}

static int check_idle(const struct pod *p, struct err **reterr)
{
        for (size_t i = 0; i < p->n; i++) {
                int r;

                if (!container_is_up(p->members[i]))
                        continue;
                r = err_new(reterr, ERR_BUSY, "pod '%s' has a running container: '%s'",
                            p->infra->name, p->members[i]->name);
                return err_hint(reterr, r, "stop it first (kelp pod stop %s), or use --force",
                                p->infra->name);
        }
        return 0;
}

static int remove_members(const struct dirs *d, struct pod *p, bool force, int64_t timeout_s,
                          struct err **reterr)
{
        struct container_remove_opts o = {
            .force = force, .volumes = true, .timeout_s = timeout_s, .of_pod = true};
        int r = 0;

        for (size_t i = 0; i < p->n && r >= 0; i++) {
                AUTO_ERR struct err *e = NULL;

                r = container_remove(d, p->members[i], &o, &e);
                if (r < 0 && err_kind(e) == ERR_NOT_FOUND)
                        r = 0;
                if (r < 0)
                        return err_move(reterr, r, &e);
        }
        return r;
}

/*
 * A member is committed first and then looks for its pod; here the pod goes first and then once more members are looked for: one
 * of the two always sees the other.
 */
int pod_remove(const struct dirs *d, struct pod *p, bool force, int64_t timeout_s,
               struct err **reterr)
{
        struct container_remove_opts o = {
            .force = true, .volumes = true, .timeout_s = timeout_s, .of_pod = true};
        struct pod late = {.infra = p->infra};
        struct pod *at = &late;
        struct container **v = NULL;
        size_t n = 0;
        int r = force ? 0 : check_idle(p, reterr);

        if (r >= 0)
                r = remove_members(d, p, force, timeout_s, reterr);
        FAULT_POINT("pod-empty");
        if (r >= 0)
                r = container_remove(d, p->infra, &o, reterr);
        FAULT_POINT("pod-removed");
        if (r < 0 || container_list(d, &v, &n, NULL) < 0)
                return r;
        gather(v, n, &at, 1);
        container_list_free(v, n);
        r = remove_members(d, &late, true, timeout_s, reterr);
        container_list_free(late.members, late.n);
        return r;
}
