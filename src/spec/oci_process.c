/* SPDX-License-Identifier: Apache-2.0 */
/* oci_process.c — "process" of a bundle's config.json, and of the file that exec is given. */
#include "spec/oci.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/spec_internal.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>

#define OOM_SCORE_MAX 1000
#define NICE_MIN      (-20)
#define NICE_MAX      19
#define PRIORITY_MAX  99 /* of the real-time policies */

struct number_name {
        const char *name;
        uint64_t value;
};

static const struct number_name policies[] = {
    {"SCHED_OTHER", SCHED_NORMAL}, {"SCHED_FIFO", SCHED_FIFO}, {"SCHED_RR", SCHED_RR},
    {"SCHED_BATCH", SCHED_BATCH},  {"SCHED_IDLE", SCHED_IDLE}, {"SCHED_DEADLINE", SCHED_DEADLINE},
};

static const struct number_name scheduler_flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
    {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
    {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
    {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

static const struct number_name io_classes[] = {
    {"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
    {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
    {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

static const struct number_name *find_name(const struct number_name *table, size_t n,
                                           const char *name)
{
        for (size_t i = 0; i < n; i++) {
                if (strcmp(table[i].name, name) == 0)
                        return &table[i];
        }
        return NULL;
}

/* ---- scheduling ---- */

static int read_i32(const struct json_at *at, const char *key, int64_t min, int64_t max,
                    int32_t *ret, struct err **reterr)
{
        struct json_at value = json_key(at, key);
        int64_t v = 0;
        int r = json_opt_i64(at, key, &v, reterr);

        if (r < 0)
                return r;
        if (v < min || v > max)
                return json_fail(&value, reterr, "not between %jd and %jd", (intmax_t)min,
                                 (intmax_t)max);
        *ret = (int32_t)v;
        return 0;
}

static int read_scheduler_flags(const struct json_at *at, struct spec_scheduler *s,
                                struct err **reterr)
{
        struct json_at list = json_key(at, "flags");
        AUTO_STRV names = {0};
        int r = json_opt_strv(at, "flags", &names, reterr);

        for (size_t i = 0; r >= 0 && i < names.n; i++) {
                const struct number_name *f =
                    find_name(scheduler_flags, ARRAY_SIZE(scheduler_flags), names.v[i]);

                if (!f)
                        return json_fail(&list, reterr, "unknown flag '%s'", names.v[i]);
                s->flags |= f->value;
        }
        return r;
}

/* What the kernel would pass over without a word, or refuse without saying what. */
static int check_scheduler(const struct json_at *at, const struct spec_scheduler *s,
                           struct err **reterr)
{
        bool deadline = s->policy == SCHED_DEADLINE;
        bool realtime = s->policy == SCHED_FIFO || s->policy == SCHED_RR;

        if (realtime ? s->priority < 1 || s->priority > PRIORITY_MAX : s->priority != 0)
                return json_fail(at, reterr,
                                 "priority is 1 to 99 for SCHED_FIFO and SCHED_RR, and for no "
                                 "other policy");
        if (s->nice != 0 && (deadline || realtime))
                return json_fail(at, reterr, "nice is for SCHED_OTHER, SCHED_BATCH and SCHED_IDLE");
        if (!deadline && (s->runtime || s->deadline || s->period))
                return json_fail(at, reterr, "runtime, deadline and period are for SCHED_DEADLINE");
        if (deadline &&
            (!s->runtime || s->runtime > s->deadline || (s->period && s->deadline > s->period)))
                return json_fail(at, reterr,
                                 "SCHED_DEADLINE needs 0 < runtime <= deadline <= period");
        return 0;
}

static int read_scheduler(const struct json_at *process, struct spec_scheduler *s,
                          struct err **reterr)
{
        struct json_at at = json_key(process, "scheduler"), policy_at = json_key(&at, "policy");
        const struct number_name *policy;
        const char *name = NULL;
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "policy", &name, reterr)) < 0)
                return r;
        policy = find_name(policies, ARRAY_SIZE(policies), name);
        if (!policy)
                return json_fail(&policy_at, reterr, "unknown policy '%s'", name);
        s->set = true;
        s->policy = (int)policy->value;
        if ((r = read_i32(&at, "nice", NICE_MIN, NICE_MAX, &s->nice, reterr)) < 0 ||
            (r = read_i32(&at, "priority", 0, PRIORITY_MAX, &s->priority, reterr)) < 0 ||
            (r = read_scheduler_flags(&at, s, reterr)) < 0 ||
            (r = json_opt_u64(&at, "runtime", &s->runtime, reterr)) < 0 ||
            (r = json_opt_u64(&at, "deadline", &s->deadline, reterr)) < 0 ||
            (r = json_opt_u64(&at, "period", &s->period, reterr)) < 0)
                return r;
        return check_scheduler(&at, s, reterr);
}

static int read_io_priority(const struct json_at *process, struct spec_io_priority *p,
                            struct err **reterr)
{
        struct json_at at = json_key(process, "ioPriority"), class_at = json_key(&at, "class");
        const struct number_name *class;
        const char *name = NULL;
        int32_t priority = 0;
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "class", &name, reterr)) < 0 ||
            (r = read_i32(&at, "priority", 0, IOPRIO_NR_LEVELS - 1, &priority, reterr)) < 0)
                return r;
        class = find_name(io_classes, ARRAY_SIZE(io_classes), name);
        if (!class)
                return json_fail(&class_at, reterr, "unknown class '%s'", name);
        *p = (struct spec_io_priority){
            .set = true, .class = (int)class->value, .priority = priority};
        return 0;
}

/* A list as of cpuset(7), "0-3,7"; whether these processors exist is the kernel's to say. */
static int check_cpu_list(const struct json_at *at, const char *list, struct err **reterr)
{
        if (list && (!*list || list[strspn(list, "0123456789,- ")] != '\0'))
                return json_fail(at, reterr, "'%s' is not a list of processors", list);
        return 0;
}

static int read_affinity(const struct json_at *process, struct spec_process *p, struct err **reterr)
{
        struct json_at at = json_key(process, "execCPUAffinity");
        struct json_at initial = json_key(&at, "initial"), final = json_key(&at, "final");
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = spec_read_string(&at, "initial", &p->cpu_affinity_initial, reterr)) < 0 ||
            (r = spec_read_string(&at, "final", &p->cpu_affinity_final, reterr)) < 0 ||
            (r = check_cpu_list(&initial, p->cpu_affinity_initial, reterr)) < 0)
                return r;
        return check_cpu_list(&final, p->cpu_affinity_final, reterr);
}

/* ---- all of it ---- */

static int check_process(const struct json_at *at, const struct spec_process *p,
                         struct err **reterr)
{
        struct json_at args = json_key(at, "args"), cwd = json_key(at, "cwd");
        struct json_at score = json_key(at, "oomScoreAdj");

        if (p->args.n == 0)
                return json_fail(&args, reterr, "at least the program must be given");
        if (!p->cwd)
                return json_fail(&cwd, reterr, "missing a string");
        if (score.obj && (p->oom_score_adj < -OOM_SCORE_MAX || p->oom_score_adj > OOM_SCORE_MAX))
                return json_fail(&score, reterr, "not between -%d and %d", OOM_SCORE_MAX,
                                 OOM_SCORE_MAX);
        return spec_check_absolute(&cwd, p->cwd, reterr);
}

int spec_read_oci_process(const struct json_at *at, struct spec_process *p, struct strv *warnings,
                          struct err **reterr)
{
        int r;

        if ((r = spec_process_from_json(at, p, warnings, reterr)) < 0 ||
            (r = spec_read_string(at, "apparmorProfile", &p->apparmor_profile, reterr)) < 0 ||
            (r = spec_read_string(at, "selinuxLabel", &p->selinux_label, reterr)) < 0 ||
            (r = read_scheduler(at, &p->scheduler, reterr)) < 0 ||
            (r = read_io_priority(at, &p->io_priority, reterr)) < 0 ||
            (r = read_affinity(at, p, reterr)) < 0)
                return r;
        if (!p->user)
                p->user = xstrdup("0:0");
        if (!p->terminal)
                p->rows = p->cols = 0;
        p->set_home = true; /* callers rely on it: the specification leaves it open */
        return check_process(at, p, reterr);
}

int spec_process_from_oci(struct json_object *process, const char *what, struct spec_process *ret,
                          struct strv *warnings, struct err **reterr)
{
        struct json_at at = json_root(process, what);

        return spec_read_oci_process(&at, ret, warnings, reterr);
}
