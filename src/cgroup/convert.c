/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert.c — theory of operation
 *
 * The spec speaks of cgroup v1; each function below translates one object of it. Zero means "not given" for quantities, as the callers of runtimes
 * have it (Go's zero value), and -1 "no limit". The order of what is written matters in three places: cpu.idle = 0 before a
 * weight, which an idle group refuses; a burst may not be above the quota, so it is taken away first and given last; and unified is
 * last, since it is to win.
 */
#include "cgroup/convert.h"

#include "base/err.h"
#include "base/str.h"
#include "spec/resources.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SHARES_MIN     2
#define SHARES_MAX     262144
#define WEIGHT_MAX     10000
#define DEFAULT_PERIOD 100000

struct convert {
        const struct spec_resources *res;
        struct cgroup_settings *out;
        struct strv *warnings;
};

static struct cgroup_setting *add(struct convert *c, const char *file, char *value)
{
        struct cgroup_settings *s = c->out;

        if (s->n == s->cap) {
                s->cap = s->cap ? 2 * s->cap : 16;
                s->v = xrealloc(s->v, s->cap, sizeof *s->v);
        }
        s->v[s->n] = (struct cgroup_setting){.file = xstrdup(file), .value = value};
        return &s->v[s->n++];
}

static bool given(int64_t v)
{
        return v != SPEC_RES_UNSET && v != 0;
}

static char *amount(int64_t v)
{
        return v < 0 ? xstrdup("max") : xasprintf("%" PRId64, v);
}

static int no_such_thing(const char *key, const char *hint, struct err **reterr)
{
        int r = err_new(reterr, ERR_UNSUPPORTED, "linux.resources.%s: cgroup v2 has no such limit",
                        key);

        return err_hint(reterr, r, "%s", hint);
}

/* ---- memory ---- */

static int convert_swap(struct convert *c, struct err **reterr)
{
        int64_t limit = c->res->memory.limit, swap = c->res->memory.swap;

        if (limit == -1 && !given(swap))
                swap = -1; /* what had a limit together with the memory loses it with it */
        if (!given(swap))
                return 0;
        if (swap > 0 && limit <= 0)
                return err_new(reterr, ERR_USAGE,
                               "linux.resources.memory.swap: needs memory.limit, since it is the "
                               "limit of both together");
        if (swap > 0 && swap < limit)
                return err_new(reterr, ERR_USAGE,
                               "linux.resources.memory.swap: memory and swap together cannot be "
                               "less than memory alone (memory.limit)");
        (void)add(c, "memory.swap.max", amount(swap < 0 ? -1 : swap - limit));
        return 0;
}

static int convert_memory(struct convert *c, struct err **reterr)
{
        const struct spec_resources *res = c->res;
        int r;

        if (res->memory.disable_oom_killer)
                return no_such_thing("memory.disableOOMKiller",
                                     "leave it out: memory.oom.group and memory.high can be set "
                                     "by linux.resources.unified",
                                     reterr);
        if (res->memory.swappiness != SPEC_RES_UNSET)
                return no_such_thing("memory.swappiness",
                                     "leave it out, or limit swap with memory.swap", reterr);
        if (c->warnings && res->memory.kernel > 0)
                strv_add(c->warnings, "linux.resources.memory.kernel: no kernel has this limit "
                                      "any more: it is left out");
        if (c->warnings && res->memory.kernel_tcp > 0)
                strv_add(c->warnings, "linux.resources.memory.kernelTCP: cgroup v2 does not have "
                                      "this limit: it is left out");
        /* Swap first: where both shrink, memory that has to go must not fill the swap that was to be taken away. */
        r = convert_swap(c, reterr);
        if (r < 0)
                return r;
        if (given(res->memory.limit))
                (void)add(c, "memory.max", amount(res->memory.limit));
        if (given(res->memory.reservation))
                (void)add(c, "memory.low", amount(res->memory.reservation));
        return 0;
}

/* ---- cpu ---- */

uint64_t cgroup_weight_from_shares(uint64_t shares)
{
        double l;

        if (shares <= SHARES_MIN)
                return 1;
        if (shares >= SHARES_MAX)
                return WEIGHT_MAX;
        /*
         * A parabola through (2, 1), (1024, 100) and (262144, 10000) on logarithmic scales: both defaults meet, which the straight line of
         * older runtimes missed (it made 1024 into 39). 7/34 is 126/612: one division keeps the three points exact.
         */
        l = log2((double)shares);
        return (uint64_t)ceil(pow(10, (l * l + 125 * l - 126) / 612));
}

static void convert_quota(struct convert *c)
{
        int64_t quota = c->res->cpu.quota, period = c->res->cpu.period;
        bool burst = c->res->cpu.burst != SPEC_RES_UNSET;

        if (burst)
                add(c, "cpu.max.burst", xstrdup("0"))->optional = c->res->cpu.burst == 0;
        if (given(quota) || given(period)) {
                AUTO_FREE char *max = given(quota) ? amount(quota) : xstrdup("max");

                (void)add(c, "cpu.max",
                          xasprintf("%s %" PRId64, max, given(period) ? period : DEFAULT_PERIOD));
        }
        if (burst && c->res->cpu.burst > 0)
                (void)add(c, "cpu.max.burst", amount(c->res->cpu.burst));
}

static int convert_cpu(struct convert *c, struct err **reterr)
{
        const struct spec_resources *res = c->res;

        if (given(res->cpu.rt_runtime))
                return no_such_thing("cpu.realtimeRuntime", "leave it out", reterr);
        if (given(res->cpu.rt_period))
                return no_such_thing("cpu.realtimePeriod", "leave it out", reterr);
        if (res->cpu.idle == 0)
                add(c, "cpu.idle", xstrdup("0"))->optional = true;
        if (given(res->cpu.shares))
                (void)add(
                    c, "cpu.weight",
                    xasprintf("%" PRIu64, cgroup_weight_from_shares((uint64_t)res->cpu.shares)));
        if (res->cpu.idle == 1)
                (void)add(c, "cpu.idle", xstrdup("1"));
        convert_quota(c);
        if (!str_empty(res->cpu.cpus))
                (void)add(c, "cpuset.cpus", xstrdup(res->cpu.cpus));
        if (!str_empty(res->cpu.mems))
                (void)add(c, "cpuset.mems", xstrdup(res->cpu.mems));
        return 0;
}

static int convert_pids(struct convert *c, struct err **reterr)
{
        if (given(c->res->pids_limit))
                (void)add(c, "pids.max", amount(c->res->pids_limit));
        return 0;
}

/* ---- block devices ---- */

/* 10–1000 as 1–10000. */
static int64_t io_weight(int64_t weight)
{
        return weight <= 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

/* BFQ's own file has the numbers of v1; any other scheduler has io.weight. */
static void add_weight(struct convert *c, const char *prefix, int64_t weight)
{
        struct cgroup_setting *s = add(c, "io.bfq.weight", xasprintf("%s%" PRId64, prefix, weight));

        s->other_file = xstrdup("io.weight");
        s->other_value = xasprintf("%s%" PRId64, prefix, io_weight(weight));
}

static void add_throttle(struct convert *c, const struct spec_block_list *list, const char *key)
{
        for (size_t i = 0; i < list->n; i++) {
                const struct spec_block_device *d = &list->v[i];
                AUTO_FREE char *rate = amount(d->rate == 0 ? -1 : d->rate);

                (void)add(
                    c, "io.max",
                    xasprintf("%" PRId64 ":%" PRId64 " %s=%s", d->major, d->minor, key, rate));
        }
}

static int convert_block(struct convert *c, struct err **reterr)
{
        static const char *const keys[SPEC_THROTTLE_COUNT] = {
            [SPEC_THROTTLE_READ_BPS] = "rbps",
            [SPEC_THROTTLE_WRITE_BPS] = "wbps",
            [SPEC_THROTTLE_READ_IOPS] = "riops",
            [SPEC_THROTTLE_WRITE_IOPS] = "wiops",
        };
        const struct spec_resources *res = c->res;

        if (given(res->block.leaf_weight))
                return no_such_thing("blockIO.leafWeight", "use blockIO.weight", reterr);
        if (given(res->block.weight))
                add_weight(c, "", res->block.weight);
        for (size_t i = 0; i < res->block.weights.n; i++) {
                const struct spec_block_device *d = &res->block.weights.v[i];
                AUTO_FREE char *prefix = xasprintf("%" PRId64 ":%" PRId64 " ", d->major, d->minor);

                if (given(d->leaf_weight))
                        return no_such_thing("blockIO.weightDevice: leafWeight", "use weight",
                                             reterr);
                if (given(d->weight))
                        add_weight(c, prefix, d->weight);
        }
        for (size_t i = 0; i < SPEC_THROTTLE_COUNT; i++)
                add_throttle(c, &res->block.throttle[i], keys[i]);
        return 0;
}

/* ---- the rest ---- */

/* What is reserved is limited as well as what is used, where the kernel counts it. */
static int convert_hugepages(struct convert *c, struct err **reterr)
{
        for (size_t i = 0; i < c->res->n_hugepages; i++) {
                const struct spec_hugepage *h = &c->res->hugepages[i];
                AUTO_FREE char *reserved = xasprintf("hugetlb.%s.rsvd.max", h->size);
                AUTO_FREE char *used = xasprintf("hugetlb.%s.max", h->size);

                add(c, reserved, xasprintf("%" PRIu64, h->limit))->optional = true;
                (void)add(c, used, xasprintf("%" PRIu64, h->limit));
        }
        return 0;
}

static int convert_rdma(struct convert *c, struct err **reterr)
{
        for (size_t i = 0; i < c->res->n_rdma; i++) {
                const struct spec_rdma *d = &c->res->rdma[i];
                AUTO_STRBUF line = {0};

                strbuf_add(&line, d->device);
                if (d->handles != SPEC_RES_UNSET)
                        strbuf_addf(&line, " hca_handle=%" PRId64, d->handles);
                if (d->objects != SPEC_RES_UNSET)
                        strbuf_addf(&line, " hca_object=%" PRId64, d->objects);
                (void)add(c, "rdma.max", strbuf_take(&line));
        }
        return 0;
}

static int convert_network(struct convert *c, struct err **reterr)
{
        if (given(c->res->net_class))
                return no_such_thing("network.classID", "match the cgroup in a firewall's rules",
                                     reterr);
        if (c->res->net_priorities.n > 0)
                return no_such_thing("network.priorities", "match the cgroup in a firewall's rules",
                                     reterr);
        return 0;
}

/* The kernel takes one device per write: a value of several lines is as many writes. */
static int convert_unified(struct convert *c, struct err **reterr)
{
        for (size_t i = 0; i < c->res->unified.n; i++) {
                const char *entry = c->res->unified.v[i], *sep = strchr(entry, '=');
                AUTO_FREE char *file = xstrndup(entry, (size_t)(sep - entry));
                AUTO_STRV lines = {0};

                strv_split(&lines, sep + 1, '\n');
                for (size_t k = 0; k < lines.n; k++) {
                        if (lines.n == 1 || *lines.v[k])
                                (void)add(c, file, xstrdup(lines.v[k]));
                }
        }
        return 0;
}

int cgroup_convert(const struct spec_resources *res, struct cgroup_settings *ret,
                   struct strv *warnings, struct err **reterr)
{
        static int (*const parts[])(struct convert * c, struct err * *reterr) = {
            convert_memory,    convert_cpu,  convert_pids,    convert_block,
            convert_hugepages, convert_rdma, convert_network, convert_unified,
        };
        struct convert c = {.res = res, .out = ret, .warnings = warnings};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
                r = parts[i](&c, reterr);
        if (r < 0)
                cgroup_settings_release(ret);
        return r;
}

void cgroup_settings_release(struct cgroup_settings *s)
{
        for (size_t i = 0; i < s->n; i++) {
                free(s->v[i].file);
                free(s->v[i].value);
                free(s->v[i].other_file);
                free(s->v[i].other_value);
        }
        free(s->v);
        *s = (struct cgroup_settings){0};
}

void cgroup_settings_controllers(const struct cgroup_settings *s, struct strv *ret)
{
        for (size_t i = 0; i < s->n; i++) {
                const char *file = s->v[i].file;
                AUTO_FREE char *controller = xstrndup(file, strcspn(file, "."));

                if (strcmp(controller, "cgroup") != 0 && !strv_contains(ret, controller))
                        strv_add(ret, controller);
        }
}
