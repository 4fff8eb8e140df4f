/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_host_config — the fields of Docker's HostConfig that nobody asked for, as Docker shows them. */
#include "base/err.h"
#include "container/container_internal.h"

#include <string.h>

/* In Docker's order. What was asked for replaces a value in its place. */
static const char defaults[] =
    "{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{}},"
    "\"NetworkMode\":\"none\",\"PortBindings\":{},"
    "\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"AutoRemove\":false,"
    "\"VolumeDriver\":\"\",\"VolumesFrom\":null,\"ConsoleSize\":[0,0],\"CapAdd\":null,"
    "\"CapDrop\":null,\"CgroupnsMode\":\"private\",\"Dns\":[],\"DnsOptions\":[],\"DnsSearch\":[],"
    "\"ExtraHosts\":null,\"GroupAdd\":null,\"IpcMode\":\"private\",\"Cgroup\":\"\",\"Links\":null,"
    "\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,\"PublishAllPorts\":false,"
    "\"ReadonlyRootfs\":false,\"SecurityOpt\":null,\"UTSMode\":\"\",\"UsernsMode\":\"\","
    "\"ShmSize\":67108864,\"Runtime\":\"kelp\",\"Isolation\":\"\",\"CpuShares\":0,\"Memory\":0,"
    "\"NanoCpus\":0,\"CgroupParent\":\"\",\"BlkioWeight\":0,\"BlkioWeightDevice\":[],"
    "\"BlkioDeviceReadBps\":[],\"BlkioDeviceWriteBps\":[],\"BlkioDeviceReadIOps\":[],"
    "\"BlkioDeviceWriteIOps\":[],\"CpuPeriod\":0,\"CpuQuota\":0,\"CpuRealtimePeriod\":0,"
    "\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"\",\"CpusetMems\":\"\",\"Devices\":[],"
    "\"DeviceCgroupRules\":null,\"DeviceRequests\":null,\"MemoryReservation\":0,\"MemorySwap\":0,"
    "\"MemorySwappiness\":null,\"OomKillDisable\":null,\"PidsLimit\":null,\"Ulimits\":[],"
    "\"CpuCount\":0,\"CpuPercent\":0,\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,"
    "\"MaskedPaths\":[],\"ReadonlyPaths\":[]}";

struct json_object *inspect_host_config(const struct container *c)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at asked = container_host_config(&root);
        struct json_object *host = NULL;

        if (json_parse(defaults, sizeof(defaults) - 1, "defaults", &host, NULL) < 0)
                host = json_object_new_object();
        if (!asked.obj || !json_object_is_type(asked.obj, json_type_object))
                return host;
        for (struct json_object_iterator i = json_object_iter_begin(asked.obj),
                                         end = json_object_iter_end(asked.obj);
             !json_object_iter_equal(&i, &end); json_object_iter_next(&i))
                (void)json_object_object_add(host, json_object_iter_peek_name(&i),
                                             json_object_get(json_object_iter_peek_value(&i)));
        return host;
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
