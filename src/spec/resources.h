/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * resources — "linux.resources" of the OCI runtime-spec as a struct: what a container may use. Kelp's own containers and
 * bundles share it; what becomes of it on this kernel is src/cgroup's business (cgroup/convert.h).
 *
 * Pure: no function here touches the system. A quantity that was not given is SPEC_RES_UNSET; -1 is "no limit" where the spec says so.
 * Lifetime: spec_resources_free() frees all.
 */
#include "base/macros.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct json_at;
struct json_object;

#define SPEC_RES_UNSET    INT64_MIN
#define SPEC_RES_LIST_MAX 4096

enum spec_device_access { SPEC_DEVICE_READ = 1, SPEC_DEVICE_WRITE = 2, SPEC_DEVICE_MKNOD = 4 };
struct spec_device_rule {
        bool allow;
        char type;            /* 'a', 'b', 'c' */
        int64_t major, minor; /* -1: any */
        unsigned access;      /* of enum spec_device_access */
};
struct spec_block_device {
        int64_t major, minor;
        int64_t weight, leaf_weight; /* weightDevice */
        int64_t rate;                /* the others; 0: no limit */
};
struct spec_block_list {
        struct spec_block_device *v;
        size_t n;
};
enum spec_throttle {
        SPEC_THROTTLE_READ_BPS,
        SPEC_THROTTLE_WRITE_BPS,
        SPEC_THROTTLE_READ_IOPS,
        SPEC_THROTTLE_WRITE_IOPS,
        SPEC_THROTTLE_COUNT
};
struct spec_hugepage {
        char *size; /* "2MB" */
        uint64_t limit;
};
struct spec_rdma {
        char *device;
        int64_t handles, objects;
};

struct spec_resources {
        struct spec_device_rule *devices; /* in the order in which they apply */
        size_t n_devices;

        struct {
                int64_t limit, reservation, swap /* memory and swap together */, kernel, kernel_tcp;
                int64_t swappiness;
                bool disable_oom_killer, check_before_update;
                int64_t use_hierarchy; /* 0, 1 */
        } memory;
        struct {
                int64_t shares, quota, burst, period, rt_runtime, rt_period, idle;
                char *cpus, *mems; /* "0-3,7" */
        } cpu;
        int64_t pids_limit;
        struct {
                int64_t weight, leaf_weight;
                struct spec_block_list weights;
                struct spec_block_list throttle[SPEC_THROTTLE_COUNT];
        } block;
        struct spec_hugepage *hugepages;
        size_t n_hugepages;
        struct spec_rdma *rdma;
        size_t n_rdma;
        /* network: cgroup v1 only */
        int64_t net_class;
        struct strv net_priorities; /* "eth0=500" */
        struct strv unified;        /* "memory.high=1073741824" */
};

struct spec_resources *spec_resources_new(void);
struct spec_resources *spec_resources_free(struct spec_resources *r);
DEFINE_CLEANUP(struct spec_resources *, spec_resources_free);
/* @at: the object. What the spec forbids is ERR_INVALID, and names the value's path. A key that is unknown is left out, as the spec wants it. */
int spec_resources_read(const struct json_at *at, struct spec_resources **ret, struct err **reterr);
/* A document of its own, as "update --resources" takes it. */
int spec_resources_from_json(struct json_object *obj, const char *what, struct spec_resources **ret,
                             struct err **reterr);
/* Round-trips. */
struct json_object *spec_resources_to_json(const struct spec_resources *r);
/* Something is limited: devices are not looked at (every runtime's caller sends a list of them). */
bool spec_resources_limits(const struct spec_resources *r);
