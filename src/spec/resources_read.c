/* SPDX-License-Identifier: Apache-2.0 */
/* resources_read.c — resources from JSON. Every error names the path of the value; every list is bounded. */
#include "spec/resources.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/resources_internal.h"

#include <inttypes.h>
#include <string.h>

#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff
/* Of a name that becomes part of a file's name or of a line of words. */
#define WORD_MAX 128

/* One member: absent leaves *ret alone. */
static int read_number(const struct json_at *at, const char *key, int64_t min, int64_t max,
                       int64_t *ret, struct err **reterr)
{
        struct json_at v = json_key(at, key);
        int64_t value = SPEC_RES_UNSET;
        int r = json_opt_i64(at, key, &value, reterr);

        if (r < 0 || value == SPEC_RES_UNSET)
                return r;
        if (value < min || value > max)
                return json_fail(&v, reterr, "%" PRId64 " is not between %" PRId64 " and %" PRId64,
                                 value, min, max);
        *ret = value;
        return 0;
}

static int want_number(const struct json_at *at, const char *key, int64_t max, int64_t *ret,
                       struct err **reterr)
{
        struct json_at v = json_key(at, key);

        if (!v.obj)
                return json_fail(&v, reterr, "is missing");
        return read_number(at, key, 0, max, ret, reterr);
}

/* The elements of an optional list. */
static int want_list(const struct json_at *at, const char *key, struct json_at *ret, size_t *ret_n,
                     struct err **reterr)
{
        *ret = json_key(at, key);
        *ret_n = 0;
        return ret->obj ? json_want_array(ret, SPEC_RES_LIST_MAX, ret_n, reterr) : 0;
}

static int read_numbers(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        for (size_t i = 0; i < n_resource_numbers; i++) {
                const struct resource_number *f = &resource_numbers[i];
                struct json_at group = json_key(at, f->object);
                int r;

                if (!group.obj)
                        continue;
                r = json_want_object(&group, reterr);
                if (r == 0)
                        r = read_number(&group, f->key, f->min, f->max, resource_number(res, f),
                                        reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- devices ---- */

static int read_access(const struct json_at *rule, struct spec_device_rule *d, struct err **reterr)
{
        struct json_at at = json_key(rule, "access");
        const char *text = NULL;
        int r = json_opt_string(rule, "access", &text, reterr);

        if (r < 0)
                return r;
        if (!text) /* as the kernel's own files have it: all that can be done */
                d->access = SPEC_DEVICE_READ | SPEC_DEVICE_WRITE | SPEC_DEVICE_MKNOD;
        for (; text && *text; text++) {
                const char *letters = "rwm", *found = strchr(letters, *text);

                if (!found)
                        return json_fail(&at, reterr, "'%c' is none of r, w and m", *text);
                d->access |= 1U << (found - letters);
        }
        return 0;
}

static int read_device(const struct json_at *rule, struct spec_device_rule *d, struct err **reterr)
{
        struct json_at allow = json_key(rule, "allow"), at = json_key(rule, "type");
        const char *type = NULL;
        int r;

        *d = (struct spec_device_rule){.type = 'a', .major = -1, .minor = -1};
        if ((r = json_want_object(rule, reterr)) < 0)
                return r;
        if (!allow.obj)
                return json_fail(&allow, reterr, "is missing");
        if ((r = json_opt_bool(rule, "allow", &d->allow, reterr)) < 0 ||
            (r = json_opt_string(rule, "type", &type, reterr)) < 0 ||
            (r = read_number(rule, "major", -1, MAJOR_MAX, &d->major, reterr)) < 0 ||
            (r = read_number(rule, "minor", -1, MINOR_MAX, &d->minor, reterr)) < 0)
                return r;
        if (!str_empty(type)) {
                /* 'u' is how mknod(1) calls an unbuffered character device. */
                if (type[1] != '\0' || !strchr("abcu", type[0]))
                        return json_fail(&at, reterr, "'%s' is none of a, b, c and u", type);
                d->type = type[0] == 'u' ? 'c' : type[0];
        }
        return read_access(rule, d, reterr);
}

static int read_devices(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at list;
        size_t n;
        int r = want_list(at, "devices", &list, &n, reterr);

        if (r < 0 || n == 0)
                return r;
        res->devices = xcalloc(n, sizeof *res->devices);
        for (size_t i = 0; i < n; i++) {
                struct json_at rule = json_elem(&list, i);

                r = read_device(&rule, &res->devices[res->n_devices++], reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- memory, cpu ---- */

static int read_memory(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at memory = json_key(at, "memory"), hierarchy;
        bool use = false;
        int r;

        if (!memory.obj)
                return 0;
        hierarchy = json_key(&memory, "useHierarchy");
        if ((r = json_opt_bool(&memory, "disableOOMKiller", &res->memory.disable_oom_killer,
                               reterr)) < 0 ||
            (r = json_opt_bool(&memory, "checkBeforeUpdate", &res->memory.check_before_update,
                               reterr)) < 0 ||
            (r = json_opt_bool(&memory, "useHierarchy", &use, reterr)) < 0)
                return r;
        if (hierarchy.obj)
                res->memory.use_hierarchy = use;
        if (res->memory.swap > 0 && res->memory.limit > 0 && res->memory.swap < res->memory.limit) {
                struct json_at swap = json_key(&memory, "swap");

                return json_fail(&swap, reterr,
                                 "memory and swap together cannot be less than memory alone "
                                 "(memory.limit)");
        }
        return 0;
}

/* "0-3,7": digits, commas and hyphens. What they mean is the kernel's business. */
static int read_cpu_list(const struct json_at *cpu, const char *key, char **ret,
                         struct err **reterr)
{
        struct json_at at = json_key(cpu, key);
        const char *text = NULL;
        int r = json_opt_string(cpu, key, &text, reterr);

        if (r < 0 || !text)
                return r;
        if (text[strspn(text, "0123456789,- ")] != '\0')
                return json_fail(&at, reterr, "'%s' is no list such as 0-3,7", text);
        *ret = xstrdup(text);
        return 0;
}

static int read_cpu(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at cpu = json_key(at, "cpu"), burst;
        int r;

        if (!cpu.obj)
                return 0;
        if ((r = read_cpu_list(&cpu, "cpus", &res->cpu.cpus, reterr)) < 0 ||
            (r = read_cpu_list(&cpu, "mems", &res->cpu.mems, reterr)) < 0)
                return r;
        burst = json_key(&cpu, "burst");
        if (res->cpu.burst > 0 && res->cpu.quota > 0 && res->cpu.burst > res->cpu.quota)
                return json_fail(&burst, reterr, "cannot be more than cpu.quota");
        return 0;
}

/* ---- block devices ---- */

static int read_weights(const struct json_at *e, struct spec_block_device *d, struct err **reterr)
{
        int r = read_number(e, "weight", 0, 1000, &d->weight, reterr);

        if (r == 0)
                r = read_number(e, "leafWeight", 0, 1000, &d->leaf_weight, reterr);
        if (r == 0 && d->weight == SPEC_RES_UNSET && d->leaf_weight == SPEC_RES_UNSET)
                return json_fail(e, reterr, "has neither weight nor leafWeight");
        return r;
}

static int read_block_list(const struct json_at *block, const char *key, bool rates,
                           struct spec_block_list *ret, struct err **reterr)
{
        struct json_at list;
        size_t n;
        int r = want_list(block, key, &list, &n, reterr);

        if (r < 0 || n == 0)
                return r;
        ret->v = xcalloc(n, sizeof *ret->v);
        for (size_t i = 0; i < n; i++) {
                struct json_at e = json_elem(&list, i);
                struct spec_block_device *d = &ret->v[ret->n++];

                *d = (struct spec_block_device){.weight = SPEC_RES_UNSET,
                                                .leaf_weight = SPEC_RES_UNSET};
                if ((r = json_want_object(&e, reterr)) < 0 ||
                    (r = want_number(&e, "major", MAJOR_MAX, &d->major, reterr)) < 0 ||
                    (r = want_number(&e, "minor", MINOR_MAX, &d->minor, reterr)) < 0)
                        return r;
                r = rates ? want_number(&e, "rate", INT64_MAX, &d->rate, reterr)
                          : read_weights(&e, d, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_block(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at block = json_key(at, "blockIO");
        int r;

        if (!block.obj)
                return 0;
        r = read_block_list(&block, "weightDevice", false, &res->block.weights, reterr);
        for (size_t i = 0; r == 0 && i < SPEC_THROTTLE_COUNT; i++)
                r = read_block_list(&block, resource_throttle_keys[i], true,
                                    &res->block.throttle[i], reterr);
        return r;
}

/* ---- huge pages, rdma, network, unified ---- */

static bool is_page_size(const char *s)
{
        size_t n = strspn(s, "0123456789");

        return n > 0 && n < 8 && s[0] != '0' && s[n] != '\0' && strchr("KMG", s[n]) &&
               strcmp(s + n + 1, "B") == 0;
}

static int read_hugepages(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at list;
        size_t n;
        int r = want_list(at, "hugepageLimits", &list, &n, reterr);

        if (r < 0 || n == 0)
                return r;
        res->hugepages = xcalloc(n, sizeof *res->hugepages);
        for (size_t i = 0; i < n; i++) {
                struct json_at e = json_elem(&list, i);
                struct spec_hugepage *h = &res->hugepages[i];
                const char *size = NULL;

                if ((r = json_want_object(&e, reterr)) < 0 ||
                    (r = json_get_string(&e, "pageSize", &size, reterr)) < 0 ||
                    (r = json_get_u64(&e, "limit", &h->limit, reterr)) < 0)
                        return r;
                if (!is_page_size(size))
                        return json_fail(&e, reterr, "pageSize '%s' is no size such as 64KB or 2MB",
                                         size);
                h->size = xstrdup(size);
                res->n_hugepages++;
        }
        return 0;
}

static bool is_word(const char *s)
{
        size_t n = strlen(s);

        return n > 0 && n <= WORD_MAX && s[strcspn(s, " \t\n/=")] == '\0';
}

static int read_rdma(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at map = json_key(at, "rdma");
        int r = map.obj ? json_want_object(&map, reterr) : 0, n;

        if (r < 0 || !map.obj)
                return r;
        n = json_object_object_length(map.obj);
        if (n > SPEC_RES_LIST_MAX)
                return json_fail(&map, reterr, "more than %d members", SPEC_RES_LIST_MAX);
        res->rdma = xcalloc((size_t)n + 1, sizeof *res->rdma);
        json_object_object_foreach(map.obj, device, value)
        {
                struct json_at e = json_key(&map, device);
                struct spec_rdma *d = &res->rdma[res->n_rdma];

                (void)value;
                *d = (struct spec_rdma){.handles = SPEC_RES_UNSET, .objects = SPEC_RES_UNSET};
                if (!is_word(device))
                        return json_fail(&map, reterr, "'%s' is no name of a device", device);
                if ((r = json_want_object(&e, reterr)) < 0 ||
                    (r = read_number(&e, "hcaHandles", 0, UINT32_MAX, &d->handles, reterr)) < 0 ||
                    (r = read_number(&e, "hcaObjects", 0, UINT32_MAX, &d->objects, reterr)) < 0)
                        return r;
                if (d->handles == SPEC_RES_UNSET && d->objects == SPEC_RES_UNSET)
                        return json_fail(&e, reterr, "has neither hcaHandles nor hcaObjects");
                d->device = xstrdup(device);
                res->n_rdma++;
        }
        return 0;
}

static int read_network(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at network = json_key(at, "network"), list;
        size_t n;
        int r;

        if (!network.obj)
                return 0;
        r = want_list(&network, "priorities", &list, &n, reterr);
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct json_at e = json_elem(&list, i);
                const char *name = NULL;
                int64_t priority = 0;

                if ((r = json_want_object(&e, reterr)) < 0 ||
                    (r = json_get_string(&e, "name", &name, reterr)) < 0 ||
                    (r = want_number(&e, "priority", UINT32_MAX, &priority, reterr)) < 0)
                        return r;
                if (!is_word(name))
                        return json_fail(&e, reterr, "'%s' is no name of an interface", name);
                strv_addf(&res->net_priorities, "%s=%" PRId64, name, priority);
        }
        return r;
}

/* The key becomes the name of a file: it must not lead out of the cgroup. */
static int read_unified(const struct json_at *at, struct spec_resources *res, struct err **reterr)
{
        struct json_at map = json_key(at, "unified");
        int r = map.obj ? json_want_object(&map, reterr) : 0;

        if (r < 0 || !map.obj)
                return r;
        if (json_object_object_length(map.obj) > SPEC_RES_LIST_MAX)
                return json_fail(&map, reterr, "more than %d members", SPEC_RES_LIST_MAX);
        json_object_object_foreach(map.obj, file, value)
        {
                (void)value;
                if (!is_word(file) || file[0] == '.' || !strchr(file, '.'))
                        return json_fail(&map, reterr,
                                         "'%s' is no name of a cgroup file such as memory.high",
                                         file);
        }
        return json_opt_pairs(at, "unified", &res->unified, reterr);
}

static int (*const readers[])(const struct json_at *at, struct spec_resources *res,
                              struct err **reterr) = {
    read_numbers,   read_devices, read_memory,  read_cpu,     read_block,
    read_hugepages, read_rdma,    read_network, read_unified,
};

int spec_resources_read(const struct json_at *at, struct spec_resources **ret, struct err **reterr)
{
        AUTO(spec_resources_freep) struct spec_resources *res = spec_resources_new();
        int r = json_want_object(at, reterr);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(readers); i++)
                r = readers[i](at, res, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(res);
        return 0;
}

int spec_resources_from_json(struct json_object *obj, const char *what, struct spec_resources **ret,
                             struct err **reterr)
{
        struct json_at at = json_root(obj, what);

        return spec_resources_read(&at, ret, reterr);
}
