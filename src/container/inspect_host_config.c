/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_host_config — the fields of Docker's HostConfig and Config that nobody asked for, as Docker shows them. */
#include "base/err.h"
#include "container/container_internal.h"

#include <string.h>

/* In Docker's order. What was asked for replaces a value in its place. */
static const char host_defaults[] =
    "{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{}},"
    "\"NetworkMode\":\"none\",\"PortBindings\":{},"
    "\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"AutoRemove\":false,"
    "\"VolumeDriver\":\"\",\"VolumesFrom\":null,\"ConsoleSize\":[0,0],\"CapAdd\":null,"
    "\"CapDrop\":null,\"CgroupnsMode\":\"private\",\"Dns\":[],\"DnsOptions\":[],\"DnsSearch\":[],"
    "\"ExtraHosts\":null,\"GroupAdd\":null,\"IpcMode\":\"private\",\"Cgroup\":\"\",\"Links\":null,"
    "\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,\"PublishAllPorts\":false,"
    "\"ReadonlyRootfs\":false,\"SecurityOpt\":null,\"UTSMode\":\"\",\"UsernsMode\":\"\","
    "\"ShmSize\":67108864,\"Runtime\":\"" RUNTIME_NAME
    "\",\"Isolation\":\"\",\"CpuShares\":0,\"Memory\":0,"
    "\"NanoCpus\":0,\"CgroupParent\":\"\",\"BlkioWeight\":0,\"BlkioWeightDevice\":[],"
    "\"BlkioDeviceReadBps\":[],\"BlkioDeviceWriteBps\":[],\"BlkioDeviceReadIOps\":[],"
    "\"BlkioDeviceWriteIOps\":[],\"CpuPeriod\":0,\"CpuQuota\":0,\"CpuRealtimePeriod\":0,"
    "\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"\",\"CpusetMems\":\"\",\"Devices\":[],"
    "\"DeviceCgroupRules\":null,\"DeviceRequests\":null,\"MemoryReservation\":0,\"MemorySwap\":0,"
    "\"MemorySwappiness\":null,\"OomKillDisable\":null,\"PidsLimit\":null,\"Ulimits\":[],"
    "\"CpuCount\":0,\"CpuPercent\":0,\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,"
    "\"MaskedPaths\":[],\"ReadonlyPaths\":[]}";

static const char config_defaults[] =
    "{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,\"AttachStdout\":"
    "false,"
    "\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":[],"
    "\"Cmd\":null,\"Image\":\"\",\"Volumes\":null,\"WorkingDir\":\"\",\"Entrypoint\":null,"
    "\"OnBuild\":null,\"Labels\":{}}";

static struct json_object *with_defaults(const char *defaults, struct json_object *asked)
{
        struct json_object *o = NULL;

        if (json_parse(defaults, strlen(defaults), "defaults", &o, NULL) < 0)
                o = json_object_new_object();
        if (!asked || !json_object_is_type(asked, json_type_object))
                return o;
        for (struct json_object_iterator i = json_object_iter_begin(asked),
                                         end = json_object_iter_end(asked);
             !json_object_iter_equal(&i, &end); json_object_iter_next(&i))
                (void)json_object_object_add(o, json_object_iter_peek_name(&i),
                                             json_object_get(json_object_iter_peek_value(&i)));
        return o;
}

static void set_paths(struct json_object *host, const char *key, const struct spec *s,
                      const struct strv *paths)
{
        /* With --privileged nobody has taken anything away: null, not an empty list. */
        (void)json_object_object_add(host, key, s->privileged ? NULL : json_from_strv(paths));
}

struct json_object *inspect_host_config(const struct container *c, const struct spec *s)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_object *host = with_defaults(host_defaults, container_host_config(&root).obj);

        set_paths(host, "MaskedPaths", s, &s->masked_paths);
        set_paths(host, "ReadonlyPaths", s, &s->readonly_paths);
        return host;
}

struct json_object *inspect_config(const struct container *c, struct json_object *host)
{
        /* Where Docker had the limits before HostConfig. */
        static const struct {
                const char *old, *now;
        } moved[] = {{"Memory", "Memory"},
                     {"MemorySwap", "MemorySwap"},
                     {"CpuShares", "CpuShares"},
                     {"Cpuset", "CpusetCpus"}};
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_object *secrets = NULL;
        struct json_object *config = with_defaults(config_defaults, json_key(&root, "Config").obj);

        for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
                struct json_object *v = NULL;

                (void)json_object_object_get_ex(host, moved[i].now, &v);
                (void)json_object_object_add(config, moved[i].old, json_object_get(v));
        }
        /* Podman's place for them; none is part of what commit takes over. */
        if (json_object_object_get_ex(c->config, "Secrets", &secrets))
                (void)json_object_object_add(config, "Secrets", json_object_get(secrets));
        return config;
}

struct json_object *inspect_network_settings(const struct container *c)
{
        static const char *const empty[] = {
            "Bridge",  "SandboxID",         "SandboxKey", "LinkLocalIPv6Address", "EndpointID",
            "Gateway", "GlobalIPv6Address", "IPAddress",  "IPv6Gateway",          "MacAddress"};
        static const char *const zero[] = {"LinkLocalIPv6PrefixLen", "GlobalIPv6PrefixLen",
                                           "IPPrefixLen"};
        struct json_object *n = json_object_new_object(), *network;
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at host = container_host_config(&root);
        const char *mode = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
                json_add_string(n, empty[i], "");
        for (size_t i = 0; i < ARRAY_SIZE(zero); i++)
                json_add_int(n, zero[i], 0);
        json_add_bool(n, "HairpinMode", false);
        (void)json_object(n, "Ports");
        (void)json_object_object_add(n, "SecondaryIPAddresses", NULL);
        (void)json_object_object_add(n, "SecondaryIPv6Addresses", NULL);
        network = json_object(n, "Networks");
        if (host.obj)
                (void)json_opt_string(&host, "NetworkMode", &mode, NULL);
        if (!mode)
                mode = "none";
        if (str_starts(mode, "container:"))
                return n; /* that container's */
        network = json_object(network, mode);
        for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
                if (strcmp(empty[i], "Bridge") != 0 && !str_starts(empty[i], "Sandbox") &&
                    !str_starts(empty[i], "LinkLocal"))
                        json_add_string(network, empty[i], "");
        }
        json_add_int(network, "IPPrefixLen", 0);
        json_add_int(network, "GlobalIPv6PrefixLen", 0);
        json_add_string(network, "NetworkID", "");
        static const char *const null[] = {"IPAMConfig", "Links", "Aliases", "DriverOpts",
                                           "DNSNames"};
        for (size_t i = 0; i < ARRAY_SIZE(null); i++)
                (void)json_object_object_add(network, null[i], NULL);
        json_add_int(network, "GwPriority", 0);
        return n;
}
