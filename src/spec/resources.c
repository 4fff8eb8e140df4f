/* SPDX-License-Identifier: Apache-2.0 */
/* resources.c — the struct, and the JSON that it is written as. One table of numbers serves both directions (resources_internal.h). */
#include "spec/resources.h"

#include "base/json.h"
#include "base/parse.h"
#include "spec/resources_internal.h"

#include <string.h>

#define FIELD(member) offsetof(struct spec_resources, member)
const struct resource_number resource_numbers[] = {
    {"memory", "limit", FIELD(memory.limit), -1, INT64_MAX},
    {"memory", "reservation", FIELD(memory.reservation), -1, INT64_MAX},
    {"memory", "swap", FIELD(memory.swap), -1, INT64_MAX},
    {"memory", "kernel", FIELD(memory.kernel), -1, INT64_MAX},
    {"memory", "kernelTCP", FIELD(memory.kernel_tcp), -1, INT64_MAX},
    {"memory", "swappiness", FIELD(memory.swappiness), 0, 100},
    {"cpu", "shares", FIELD(cpu.shares), 0, INT64_MAX},
    {"cpu", "quota", FIELD(cpu.quota), -1, INT64_MAX},
    {"cpu", "burst", FIELD(cpu.burst), 0, INT64_MAX},
    {"cpu", "period", FIELD(cpu.period), 0, INT64_MAX},
    {"cpu", "realtimeRuntime", FIELD(cpu.rt_runtime), -1, INT64_MAX},
    {"cpu", "realtimePeriod", FIELD(cpu.rt_period), 0, INT64_MAX},
    {"cpu", "idle", FIELD(cpu.idle), 0, 1},
    {"pids", "limit", FIELD(pids_limit), -1, INT64_MAX},
    {"blockIO", "weight", FIELD(block.weight), 0, 1000},
    {"blockIO", "leafWeight", FIELD(block.leaf_weight), 0, 1000},
    {"network", "classID", FIELD(net_class), 0, UINT32_MAX},
};
const size_t n_resource_numbers = ARRAY_SIZE(resource_numbers);

const char *const resource_throttle_keys[SPEC_THROTTLE_COUNT] = {
    [SPEC_THROTTLE_READ_BPS] = "throttleReadBpsDevice",
    [SPEC_THROTTLE_WRITE_BPS] = "throttleWriteBpsDevice",
    [SPEC_THROTTLE_READ_IOPS] = "throttleReadIOPSDevice",
    [SPEC_THROTTLE_WRITE_IOPS] = "throttleWriteIOPSDevice",
};

int64_t *resource_number(struct spec_resources *r, const struct resource_number *f)
{
        return (int64_t *)(void *)((char *)r + f->offset);
}

static int64_t number_of(const struct spec_resources *r, const struct resource_number *f)
{
        int64_t value;

        memcpy(&value, (const char *)r + f->offset, sizeof value);
        return value;
}

struct spec_resources *spec_resources_new(void)
{
        struct spec_resources *r = xnew(struct spec_resources);

        for (size_t i = 0; i < n_resource_numbers; i++)
                *resource_number(r, &resource_numbers[i]) = SPEC_RES_UNSET;
        r->memory.use_hierarchy = SPEC_RES_UNSET;
        return r;
}

struct spec_resources *spec_resources_free(struct spec_resources *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < SPEC_THROTTLE_COUNT; i++)
                free(r->block.throttle[i].v);
        for (size_t i = 0; i < r->n_hugepages; i++)
                free(r->hugepages[i].size);
        for (size_t i = 0; i < r->n_rdma; i++)
                free(r->rdma[i].device);
        free(r->block.weights.v);
        free(r->hugepages);
        free(r->rdma);
        free(r->devices);
        free(r->cpu.cpus);
        free(r->cpu.mems);
        strv_release(&r->net_priorities);
        strv_release(&r->unified);
        free(r);
        return NULL;
}

bool spec_resources_limits(const struct spec_resources *r)
{
        if (!r)
                return false;
        for (size_t i = 0; i < n_resource_numbers; i++) {
                int64_t v = number_of(r, &resource_numbers[i]);

                if (v != SPEC_RES_UNSET && v != 0 && v != -1)
                        return true;
        }
        for (size_t i = 0; i < SPEC_THROTTLE_COUNT; i++) {
                if (r->block.throttle[i].n > 0)
                        return true;
        }
        return r->memory.disable_oom_killer || !str_empty(r->cpu.cpus) || !str_empty(r->cpu.mems) ||
               r->block.weights.n > 0 || r->n_hugepages > 0 || r->n_rdma > 0 ||
               r->net_priorities.n > 0 || r->unified.n > 0;
}

/* ---- to JSON ---- */

static struct json_object *member(struct json_object *o, const char *key)
{
        struct json_object *found = NULL;

        return json_object_object_get_ex(o, key, &found) ? found : json_object(o, key);
}

static void add_number(struct json_object *o, const char *key, int64_t value)
{
        if (value != SPEC_RES_UNSET)
                json_add_int(o, key, value);
}

static void add_devices(struct json_object *o, const struct spec_resources *r)
{
        struct json_object *list = r->n_devices > 0 ? json_array(o, "devices") : NULL;

        for (size_t i = 0; i < r->n_devices; i++) {
                const struct spec_device_rule *d = &r->devices[i];
                struct json_object *e = json_object_new_object();
                char access[4] = "", *end = access;

                json_add_bool(e, "allow", d->allow);
                json_add_string(e, "type", (const char[]){d->type, '\0'});
                if (d->major >= 0)
                        json_add_int(e, "major", d->major);
                if (d->minor >= 0)
                        json_add_int(e, "minor", d->minor);
                if (d->access & SPEC_DEVICE_READ)
                        *end++ = 'r';
                if (d->access & SPEC_DEVICE_WRITE)
                        *end++ = 'w';
                if (d->access & SPEC_DEVICE_MKNOD)
                        *end = 'm';
                json_add_string(e, "access", access);
                (void)json_object_array_add(list, e);
        }
}

static void add_block(struct json_object *o, const char *key, const struct spec_block_list *list,
                      bool rates)
{
        struct json_object *a = list->n > 0 ? json_array(member(o, "blockIO"), key) : NULL;

        for (size_t i = 0; i < list->n; i++) {
                struct json_object *e = json_object_new_object();

                json_add_int(e, "major", list->v[i].major);
                json_add_int(e, "minor", list->v[i].minor);
                if (rates)
                        json_add_int(e, "rate", list->v[i].rate);
                add_number(e, "weight", list->v[i].weight);
                add_number(e, "leafWeight", list->v[i].leaf_weight);
                (void)json_object_array_add(a, e);
        }
}

static void add_pages_and_rdma(struct json_object *o, const struct spec_resources *r)
{
        struct json_object *list = r->n_hugepages > 0 ? json_array(o, "hugepageLimits") : NULL;

        for (size_t i = 0; i < r->n_hugepages; i++) {
                struct json_object *e = json_object_new_object();

                json_add_string(e, "pageSize", r->hugepages[i].size);
                json_add_uint(e, "limit", r->hugepages[i].limit);
                (void)json_object_array_add(list, e);
        }
        for (size_t i = 0; i < r->n_rdma; i++) {
                struct json_object *e = json_object(member(o, "rdma"), r->rdma[i].device);

                add_number(e, "hcaHandles", r->rdma[i].handles);
                add_number(e, "hcaObjects", r->rdma[i].objects);
        }
}

static void add_network(struct json_object *o, const struct spec_resources *r)
{
        struct json_object *list;

        if (r->net_priorities.n == 0)
                return;
        list = json_array(member(o, "network"), "priorities");
        for (size_t i = 0; i < r->net_priorities.n; i++) {
                const char *entry = r->net_priorities.v[i], *sep = strrchr(entry, '=');
                struct json_object *e = json_object_new_object();
                AUTO_FREE char *name = xstrndup(entry, (size_t)(sep - entry));
                int64_t priority = 0;

                (void)parse_i64(sep + 1, &priority); /* our own writing (resources_read.c) */
                json_add_string(e, "name", name);
                json_add_int(e, "priority", priority);
                (void)json_object_array_add(list, e);
        }
}

struct json_object *spec_resources_to_json(const struct spec_resources *r)
{
        struct json_object *o = json_object_new_object();

        add_devices(o, r);
        for (size_t i = 0; i < n_resource_numbers; i++) {
                const struct resource_number *f = &resource_numbers[i];
                int64_t value = number_of(r, f);

                if (value != SPEC_RES_UNSET)
                        json_add_int(member(o, f->object), f->key, value);
        }
        if (r->memory.disable_oom_killer)
                json_add_bool(member(o, "memory"), "disableOOMKiller", true);
        if (r->memory.check_before_update)
                json_add_bool(member(o, "memory"), "checkBeforeUpdate", true);
        if (r->memory.use_hierarchy != SPEC_RES_UNSET)
                json_add_bool(member(o, "memory"), "useHierarchy", r->memory.use_hierarchy);
        if (r->cpu.cpus)
                json_add_string(member(o, "cpu"), "cpus", r->cpu.cpus);
        if (r->cpu.mems)
                json_add_string(member(o, "cpu"), "mems", r->cpu.mems);
        add_block(o, "weightDevice", &r->block.weights, false);
        for (size_t i = 0; i < SPEC_THROTTLE_COUNT; i++)
                add_block(o, resource_throttle_keys[i], &r->block.throttle[i], true);
        add_pages_and_rdma(o, r);
        add_network(o, r);
        if (r->unified.n > 0)
                json_add_pairs(json_object(o, "unified"), &r->unified);
        return o;
}
