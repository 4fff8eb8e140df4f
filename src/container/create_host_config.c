/* SPDX-License-Identifier: Apache-2.0 */
/* create_host_config — Docker's HostConfig from the options. Only what was asked for; inspect_host_config() adds the rest. */
#include "base/err.h"
#include "base/parse.h"
#include "base/str.h"
#include "container/container_internal.h"
#include "logs/logs.h"

#include <string.h>

static void add_list(struct json_object *o, const char *key, const struct strv *v)
{
        if (v->n > 0)
                (void)json_object_object_add(o, key, json_from_strv(v));
}

static void add_word(struct json_object *o, const char *key, const char *value)
{
        if (value)
                json_add_string(o, key, value);
}

char *container_bind_text(const struct run_mount *m)
{
        struct strbuf b = {0};

        strbuf_addf(&b, "%s:%s", m->source, m->target);
        for (size_t i = 0; i < m->options.n; i++)
                strbuf_addf(&b, "%s%s", i == 0 ? ":" : ",", m->options.v[i]);
        if (m->chown)
                strbuf_addf(&b, "%sU", m->options.n == 0 ? ":" : ",");
        return strbuf_take(&b);
}

static char *joined(const struct strv *v)
{
        struct strbuf b = {0};

        for (size_t i = 0; i < v->n; i++)
                strbuf_addf(&b, "%s%s", i == 0 ? "" : ",", v->v[i]);
        return strbuf_take(&b);
}

static struct json_object *sub(struct json_object *o, const char *key, bool list)
{
        struct json_object *child;

        if (json_object_object_get_ex(o, key, &child))
                return child;
        return list ? json_array(o, key) : json_object(o, key);
}

static void add_volume_options(struct json_object *o, const struct run_mount *m)
{
        struct json_object *to;

        if (!m->no_copy && !m->subpath && m->volume_labels.n == 0 && m->volume_options.n == 0)
                return;
        to = json_object(o, "VolumeOptions");
        if (m->no_copy)
                json_add_bool(to, "NoCopy", true);
        if (m->subpath)
                json_add_string(to, "Subpath", m->subpath);
        if (m->volume_labels.n)
                json_add_pairs(json_object(to, "Labels"), &m->volume_labels);
        if (m->volume_options.n)
                json_add_pairs(json_object(json_object(to, "DriverConfig"), "Options"),
                               &m->volume_options);
}

static void add_bind_options(struct json_object *o, const struct run_mount *m)
{
        static const char *const propagations[] = {"private", "rprivate", "slave",
                                                   "rslave",  "shared",   "rshared"};
        const struct {
                const char *key;
                bool on;
        } flags[] = {{"NonRecursive", strv_contains(&m->options, "bind")},
                     {"CreateMountpoint", m->create_source},
                     {"ReadOnlyNonRecursive", m->writable_below},
                     {"ReadOnlyForceRecursive", strv_contains(&m->options, "rro")}};

        for (size_t i = 0; i < ARRAY_SIZE(propagations); i++) {
                if (strv_contains(&m->options, propagations[i]))
                        json_add_string(sub(o, "BindOptions", false), "Propagation",
                                        propagations[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
                if (flags[i].on)
                        json_add_bool(sub(o, "BindOptions", false), flags[i].key, true);
        }
}

static void add_tmpfs_options(struct json_object *o, const struct run_mount *m)
{
        for (size_t i = 0; i < m->options.n; i++) {
                const char *option = m->options.v[i];
                uint64_t size;
                uint32_t mode;

                if (str_starts(option, "size=") && parse_u64(option + 5, &size) == 0)
                        json_add_uint(sub(o, "TmpfsOptions", false), "SizeBytes", size);
                else if (str_starts(option, "mode=") && parse_octal_mode(option + 5, &mode) == 0)
                        json_add_uint(sub(o, "TmpfsOptions", false), "Mode", mode);
        }
}

/* Docker's VolumeOptions, BindOptions … of --mount. */
static void add_mount_options(struct json_object *o, const struct run_mount *m)
{
        if (m->type == RUN_MOUNT_IMAGE && m->subpath)
                json_add_string(json_object(o, "ImageOptions"), "Subpath", m->subpath);
        else if (m->type == RUN_MOUNT_VOLUME)
                add_volume_options(o, m);
        else if (m->type == RUN_MOUNT_BIND)
                add_bind_options(o, m);
        else if (m->type == RUN_MOUNT_TMPFS)
                add_tmpfs_options(o, m);
}

/* -v appears in Binds, --mount in Mounts, --tmpfs in Tmpfs, as with Docker. Anonymous volumes of -v are in Config.Volumes there. */
static void add_mount(struct json_object *host, const struct run_mount *m)
{
        AUTO_FREE char *text = NULL;
        struct json_object *o;

        if (m->type == RUN_MOUNT_TMPFS && !m->csv) {
                text = joined(&m->options);
                json_add_string(sub(host, "Tmpfs", false), m->target, text);
                return;
        }
        if (!m->csv) { /* -v */
                if (!m->source)
                        return;
                text = container_bind_text(m);
                (void)json_object_array_add(sub(host, "Binds", true), json_object_new_string(text));
                return;
        }
        o = json_object_new_object();
        json_add_string(o, "Type", run_mount_type_name(m->type));
        json_add_string(o, "Source", m->source ? m->source : "");
        json_add_string(o, "Target", m->target);
        if (strv_contains(&m->options, "ro"))
                json_add_bool(o, "ReadOnly", true);
        add_mount_options(o, m);
        (void)json_object_array_add(sub(host, "Mounts", true), o);
}

static int add_log(const struct run_options *o, struct json_object *host, struct err **reterr)
{
        struct log_options parsed = {0};
        struct json_object *log, *config;
        enum log_driver driver;
        int r = log_driver_parse(o->log_driver, &driver, reterr);

        if (r >= 0)
                r = log_options_parse(driver, o->log_opts.v, &parsed, reterr);
        if (r >= 0 && parsed.tag)
                r = log_tag_check(parsed.tag, reterr);
        log_options_release(&parsed);
        if (r < 0)
                return r;
        if (driver == LOG_PASSTHROUGH && o->tty)
                return err_new(reterr, ERR_USAGE,
                               "log driver 'passthrough' and --tty exclude each other");
        log = json_object(host, "LogConfig");
        json_add_string(log, "Type", log_driver_name(driver));
        config = json_object(log, "Config");
        for (size_t i = 0; i < o->log_opts.n; i++) {
                const char *eq = strchr(o->log_opts.v[i], '=');
                AUTO_FREE char *key = xstrndup(o->log_opts.v[i], (size_t)(eq - o->log_opts.v[i]));

                json_add_string(config, key, eq + 1);
        }
        return 0;
}

/* HOST[:CONTAINER[:rwm]] */
static void add_device(struct json_object *list, const char *value)
{
        AUTO_STRV part = {0};
        struct json_object *o = json_object_new_object();
        const char *inside, *access;

        strv_split(&part, value, ':');
        inside = part.n > 1 && part.v[1][0] == '/' ? part.v[1] : part.v[0];
        access = part.n > 2 ? part.v[2] : part.n == 2 && part.v[1][0] != '/' ? part.v[1] : "rwm";
        json_add_string(o, "PathOnHost", part.v[0]);
        json_add_string(o, "PathInContainer", inside);
        json_add_string(o, "CgroupPermissions", access);
        (void)json_object_array_add(list, o);
}

/* All devices by name are one request. */
static void add_device_request(struct json_object *host, const char *device)
{
        struct json_object *list = sub(host, "DeviceRequests", true), *request;

        request = json_object_array_get_idx(list, 0);
        if (!request) {
                request = json_object_new_object();
                json_add_string(request, "Driver", "cdi");
                json_add_int(request, "Count", 0);
                (void)json_array(request, "DeviceIDs");
                (void)json_object_object_add(request, "Capabilities", NULL);
                (void)json_object_object_add(request, "Options", NULL);
                (void)json_object_array_add(list, request);
        }
        (void)json_object_array_add(sub(request, "DeviceIDs", true),
                                    json_object_new_string(device));
}

static int64_t limit_value(const char *text)
{
        int64_t v = -1;

        return parse_i64(text, &v) < 0 ? -1 : v; /* "unlimited" */
}

/* name=soft[:hard], as they were checked by spec_build(). */
static void add_ulimit(struct json_object *list, const char *value)
{
        AUTO_STRV part = {0};
        struct json_object *o;
        const char *eq = strchr(value, '=');
        AUTO_FREE char *name = NULL;
        int64_t soft, hard;

        if (!eq)
                return;
        name = xstrndup(value, (size_t)(eq - value));
        strv_split(&part, eq + 1, ':');
        soft = limit_value(part.v[0]);
        hard = part.n < 2 ? soft : limit_value(part.v[1]);
        o = json_object_new_object();
        json_add_string(o, "Name", name);
        json_add_int(o, "Hard", hard);
        json_add_int(o, "Soft", soft);
        (void)json_object_array_add(list, o);
}

static void add_security(const struct run_options *o, struct json_object *host)
{
        add_list(host, "CapAdd", &o->cap_add);
        add_list(host, "CapDrop", &o->cap_drop);
        add_list(host, "SecurityOpt", &o->security_opt);
        add_list(host, "GroupAdd", &o->groups);
        if (o->privileged)
                json_add_bool(host, "Privileged", true);
        if (o->read_only)
                json_add_bool(host, "ReadonlyRootfs", true);
        for (size_t i = 0; i < o->devices.n; i++) {
                if (creation_is_cdi(o->devices.v[i]))
                        add_device_request(host, o->devices.v[i]);
                else
                        add_device(sub(host, "Devices", true), o->devices.v[i]);
        }
        for (size_t i = 0; i < o->ulimits.n; i++)
                add_ulimit(sub(host, "Ulimits", true), o->ulimits.v[i]);
        if (o->sysctls.n)
                json_add_pairs(json_object(host, "Sysctls"), &o->sysctls);
}

/* A container that is joined is named by its id, as Docker does it: it may be called otherwise tomorrow. */
static void add_mode(const struct creation *k, struct json_object *host, const char *key,
                     const char *mode, enum spec_ns ns)
{
        AUTO_FREE char *prefix = xasprintf("%d:", (int)ns), *with_id = NULL;

        for (size_t i = 0; i < k->joins.n && container_join_target(mode); i++) {
                if (str_starts(k->joins.v[i], prefix)) {
                        with_id = xasprintf("container:%s", k->joins.v[i] + strlen(prefix));
                        mode = with_id;
                }
        }
        add_word(host, key, mode);
}

static int add_restart(const struct run_options *o, struct json_object *host, struct err **reterr)
{
        if (o->restart.mode == RESTART_NO)
                return 0;
        if (o->rm)
                return err_new(reterr, ERR_USAGE,
                               "options '--restart' and '--rm' contradict each other: its end "
                               "either starts a container again or removes it");
        restart_policy_to_host_config(&o->restart, host);
        return restart_check_log_driver(o->log_driver, reterr);
}

int creation_host_config(struct creation *k, struct json_object *host, struct err **reterr)
{
        const struct run_options *o = k->o;
        int r;

        for (size_t i = 0; i < o->n_mounts; i++)
                add_mount(host, &o->mounts[i]);
        add_list(host, "VolumesFrom", &o->volumes_from);
        add_word(host, "VolumeDriver", o->volume_driver);
        add_word(host, "ContainerIDFile", o->cidfile);
        add_mode(k, host, "NetworkMode", o->network ? o->network : "none", SPEC_NS_NET);
        if (o->rm)
                json_add_bool(host, "AutoRemove", true);
        if (o->annotations.n)
                json_add_pairs(json_object(host, "Annotations"), &o->annotations);
        add_list(host, "Dns", &o->dns);
        add_list(host, "DnsOptions", &o->dns_options);
        add_list(host, "DnsSearch", &o->dns_search);
        add_list(host, "ExtraHosts", &o->add_hosts);
        add_mode(k, host, "IpcMode", o->ipc, SPEC_NS_IPC);
        add_mode(k, host, "PidMode", o->pid, SPEC_NS_PID);
        add_mode(k, host, "UTSMode", o->uts, SPEC_NS_UTS);
        add_word(host, "UsernsMode", k->userns ? k->userns : o->userns);
        if (o->oom_score_adj != INT64_MIN)
                json_add_int(host, "OomScoreAdj", o->oom_score_adj);
        if (o->shm_size)
                json_add_uint(host, "ShmSize", o->shm_size);
        if (o->init)
                json_add_bool(host, "Init", true);
        add_security(o, host);
        r = add_restart(o, host, reterr);
        return r < 0 ? r : add_log(o, host, reterr);
}
