/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/process.h"
#include "launch/launch_internal.h"
#include "rootfs/rootfs.h"
#include "security/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAN_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * The filter is loaded last, where it need allow nothing but execve; that takes no_new_privs. Without it, loading takes CAP_SYS_ADMIN, so
 * it comes just before the capabilities go, and must allow capset and prctl. Hooks of the program's own rights come before the last of the two, so
 * that a filter which is loaded last need not let them run.
 */
#define STAGES_OF_RUN                                                                              \
        STAGE_FDS, STAGE_SOURCES, STAGE_IDMAP, STAGE_IDENTITY, STAGE_ROOT, STAGE_MOUNTS,           \
            STAGE_HOOKS_RUNTIME, STAGE_HOOKS_CREATE, STAGE_SYSCTLS, STAGE_PATHS, STAGE_PIVOT,      \
            STAGE_NAMES, STAGE_NETWORK, STAGE_TERMINAL, STAGE_USER, STAGE_OWNERS, STAGE_DIRECTORY, \
            STAGE_LIMITS, STAGE_IDS, STAGE_HOLD, STAGE_READY
#define STAGES_OF_EXEC                                                                             \
        STAGE_FDS, STAGE_IDENTITY, STAGE_TERMINAL, STAGE_USER, STAGE_DIRECTORY, STAGE_LIMITS,      \
            STAGE_IDS, STAGE_READY
static const enum stage launch_order_run[] = {STAGES_OF_RUN, STAGE_CAPS, STAGE_HOOKS_START,
                                              STAGE_SECCOMP, STAGE_EXEC};
static const enum stage launch_order_run_early_filter[] = {STAGES_OF_RUN, STAGE_SECCOMP, STAGE_CAPS,
                                                           STAGE_HOOKS_START, STAGE_EXEC};
const enum stage launch_order_exec[] = {STAGES_OF_EXEC, STAGE_CAPS, STAGE_SECCOMP, STAGE_EXEC};
const enum stage launch_order_exec_early_filter[] = {STAGES_OF_EXEC, STAGE_SECCOMP, STAGE_CAPS,
                                                     STAGE_EXEC};

struct launch_plan *launch_plan_alloc(const struct spec *s, const struct spec_process *process)
{
        struct launch_plan *p = xnew(struct launch_plan);

        p->spec = s;
        p->process = process;
        p->fail_stage = -1;
        p->shm_ns = -EBADF;
        p->hold_fd = -EBADF;
        for (int i = 0; i < STAGE_COUNT; i++) {
                if (fault_error(stage_name((enum stage)i)) < 0)
                        p->fail_stage = i;
        }
        return p;
}

struct launch_plan *launch_plan_free(struct launch_plan *p)
{
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_joins && !p->join_process; i++)
                (void)fd_close(p->joins[i].fd);
        (void)fd_close(p->shm_ns);
        (void)rootfs_free(p->rootfs);
        seccomp_filter_release(&p->filter);
        free(p->argv);
        free(p->envp);
        free(p->home);
        free(p->rlimits);
        free(p->groups);
        free(p->time_offsets);
        free(p->oom_score);
        free(p->init_path);
        free(p->init_argv);
        strv_release(&p->strings);
        free(p->warning);
        free(p);
        return NULL;
}

/* ---- program and environment ---- */

static int plan_program(struct launch_plan *p, struct err **reterr)
{
        const struct strv *args = &p->process->args, *env = &p->process->env;
        size_t n = 0;

        if (args->n == 0 && !(p->process->absent && p->hold_fd >= 0))
                return err_new(reterr, ERR_USAGE, "no command was given, and the image has none");
        p->argv = xcalloc(args->n + 1, sizeof(*p->argv));
        if (args->n > 0) /* else there is no array to copy from */
                memcpy(p->argv, args->v, args->n * sizeof(*p->argv));
        p->envp = xcalloc(env->n + 2, sizeof(*p->envp));
        for (size_t i = 0; i < env->n; i++)
                p->envp[n++] = env->v[i];
        if (p->process->set_home && !strv_env_get(env, "HOME")) {
                /* The child fills it in: the passwd file is the container's. */
                p->home = xcalloc(1, sizeof("HOME=") + USER_HOME_MAX);
                memcpy(p->home, "HOME=/", sizeof("HOME=/"));
                p->envp[n++] = p->home;
        }
        p->path_list = strv_env_get(env, "PATH");
        if (!p->path_list)
                p->path_list = PLAN_DEFAULT_PATH;
        return 0;
}

/* argv of kelp-init: its own name and mode, then the command. */
static void plan_use_init(struct launch_plan *p, const char *path, bool springboard)
{
        size_t n = p->process->args.n, at = 0;

        free(p->init_path);
        free(p->init_argv);
        p->init_path = xstrdup(path);
        p->init_argv = xcalloc(n + 3, sizeof(*p->init_argv));
        p->init_argv[at++] = (char *)"kelp-init";
        p->init_argv[at++] = (char *)(springboard ? "--exec" : "--");
        memcpy(p->init_argv + at, p->argv, n * sizeof(*p->argv));
}

/* Fields 48 and 49 of proc_pid_stat(5): where the arguments are, 0 where the kernel does not say. */
int launch_plan_hide_args(struct launch_plan *p, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        AUTO_STRV fields = {0};
        uint64_t start = 0, end = 0;
        const char *at;
        size_t len;
        int r = io_read_file(AT_FDCWD, "/proc/self/stat", 4096, &text, &len, reterr);

        if (r < 0)
                return r;
        at = strrchr(text, ')'); /* of the name, which may hold anything */
        strv_split(&fields, at ? at : "", ' ');
        if (fields.n < 48 || parse_u64(fields.v[46], &start) < 0 ||
            parse_u64(fields.v[47], &end) < 0 || start == 0 || end <= start)
                return 0;
        p->args = (char *)(uintptr_t)start;
        p->args_len = end - start;
        return 0;
}

/*
 * Could root of a container change the file that we were executed from? It could when it is the caller's own, or his to
 * write; from inside U every right of the caller counts already, and a file of the host's root shows the overflow id.
 */
static bool own_program_is_exposed(void)
{
        static const char self[] = "/proc/self/exe";
        struct stat st;

        if (stat(self, &st) < 0 || st.st_uid == geteuid())
                return true;
        return faccessat(AT_FDCWD, self, W_OK, AT_EACCESS) == 0;
}

int launch_plan_protect_exe(struct launch_plan *p, struct err **reterr)
{
        AUTO_FREE char *path = NULL;

        if (p->init_path || !own_program_is_exposed())
                return 0;
        path = process_helper_path("kelp-init");
        if (access(path, X_OK) < 0) {
                int r = err_sys(reterr, errno, "'%s'", path);

                return err_hint(
                    reterr, r,
                    "the monitor's program file could be changed from inside a container, and "
                    "kelp-init, which prevents that, is missing: install it beside kelp-monitor");
        }
        plan_use_init(p, path, true);
        return 0;
}

static int plan_init(struct launch_plan *p, struct err **reterr)
{
        const struct spec *s = p->spec;
        AUTO_FREE char *found = NULL;
        const char *path = s->init_path;

        if (!s->init && !s->pause)
                return launch_plan_protect_exe(p, reterr);
        if (!path)
                path = found = process_helper_path("kelp-init");
        if (access(path, X_OK) < 0)
                return err_sys(reterr, errno, "init '%s'", path);
        plan_use_init(p, path, false);
        if (s->pause) {
                p->init_alone = true;
                memcpy(p->init_argv, p->argv, (s->process.args.n + 1) * sizeof(*p->argv));
        }
        return 0;
}

/* ---- privileges ---- */

static void plan_caps(struct launch_plan *p, bool all)
{
        const struct spec_process *process = p->process;
        uint64_t known = caps_known();

        p->caps_known = known;
        p->caps = (struct apply_caps){
            .bounding = all ? known : process->cap_bounding & known,
            .effective = all ? known : process->cap_effective & known,
            .permitted = all ? known : process->cap_permitted & known,
            .inheritable = process->cap_inheritable & known,
            .ambient = process->cap_ambient & known,
        };
}

static int plan_bundle_filter(struct launch_plan *p, int cache_fd, struct err **reterr)
{
        const struct spec *s = p->spec;
        const char *text =
            json_object_to_json_string_ext(s->seccomp_profile, JSON_C_TO_STRING_PLAIN);
        int r = seccomp_filter_get_text(text, strlen(text), cache_fd, &p->filter, reterr);

        /* A filter that notifies nobody would make its calls fail, which is not what was asked for. */
        if (r == 0 && (p->filter.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER))
                return err_new(reterr, ERR_UNSUPPORTED,
                               "linux.seccomp: SCMP_ACT_NOTIFY: listeners are not supported by "
                               "this runtime");
        return r;
}

static int plan_filter(struct launch_plan *p, int cache_fd, struct err **reterr)
{
        const struct spec *s = p->spec;
        AUTO_FREE char *found = NULL;
        const char *path = s->seccomp_file;
        bool own = false;

        if (s->seccomp == SPEC_SECCOMP_UNCONFINED) {
                p->new_keyring = true;
                return 0;
        }
        if (s->seccomp == SPEC_SECCOMP_INLINE) {
                p->new_keyring = true;
                return plan_bundle_filter(p, cache_fd, reterr);
        }
        if (s->seccomp != SPEC_SECCOMP_FILE)
                path = found = seccomp_default_profile(&own);
        /* Our own profile lets nobody get at a keyring; of another, also one that a file makes the default, nothing is known. */
        p->new_keyring = !own;
        return seccomp_filter_get(path, p->caps.bounding, cache_fd, &p->filter, reterr);
}

static void plan_limits(struct launch_plan *p)
{
        const struct spec_process *process = p->process;

        p->rlimits = xcalloc(process->n_rlimits + 1, sizeof(*p->rlimits));
        for (size_t i = 0; i < process->n_rlimits; i++)
                p->rlimits[i] = (struct apply_rlimit){
                    .resource = process->rlimits[i].resource,
                    .soft = process->rlimits[i].soft,
                    .hard = process->rlimits[i].hard,
                };
        if (process->oom_score_adj != INT64_MIN)
                p->oom_score = xasprintf("%jd", (intmax_t)process->oom_score_adj);
}

int launch_plan_process(struct launch_plan *p, bool all_caps, int cache_fd, struct err **reterr)
{
        int r;

        r = plan_program(p, reterr);
        if (r < 0)
                return r;
        p->no_new_privs = p->process->no_new_privileges;
        p->no_setgroups = p->spec->rootless_one_id;
        p->keep_groups = strv_contains(&p->process->groups, "keep-groups");
        if (p->keep_groups && p->process->groups.n > 1)
                return err_new(reterr, ERR_USAGE,
                               "keep-groups cannot be combined with other groups");
        plan_caps(p, all_caps);
        plan_limits(p);
        if (p->spec->oci) {
                r = launch_plan_bundle(p, reterr);
                if (r < 0)
                        return r;
        }
        return plan_filter(p, cache_fd, reterr);
}

/* ---- all ---- */

/* The child opens everything itself, in its own mount namespace, so it needs the data root by name. */
static int plan_data_root(int root_fd, char buf[PATH_MAX], struct err **reterr)
{
        char link[FD_PATH_MAX];
        ssize_t n = readlink(fd_path(root_fd, link), buf, PATH_MAX - 1);

        if (n < 0)
                return err_sys(reterr, errno, "find the data root");
        buf[n] = '\0';
        return 0;
}

int launch_plan_new_with(const struct spec *s, int root_fd, int cache_fd,
                         const struct launch_opts *o, struct launch_plan **ret, struct err **reterr)
{
        AUTO(launch_plan_freep) struct launch_plan *p = launch_plan_alloc(s, &s->process);
        char data_root[PATH_MAX];
        int r;

        if (o) {
                p->orphan = o->orphan;
                p->hold_fd = o->hold_fd;
                p->place = o->place;
                p->place_arg = o->place_arg;
        }
        if (s->rdt.set) /* whoever asks for a share of the cache must not get a container without */
                return err_new(reterr, ERR_UNSUPPORTED,
                               "linux.intelRdt: not supported by this runtime");
        r = launch_plan_namespaces(p, reterr);
        if (r >= 0)
                r = launch_shm_plan(p, reterr);
        if (r < 0)
                return r;
        if (s->ns[SPEC_NS_PID].path) {
                r = launch_plan_hide_args(p, reterr);
                if (r < 0)
                        return r;
        }
        r = launch_plan_process(p, false, cache_fd, reterr);
        if (r < 0)
                return r;
        r = plan_init(p, reterr);
        if (r < 0)
                return r;
        p->hooks = launch_hooks_wanted(s);
        p->order = p->no_new_privs ? launch_order_run : launch_order_run_early_filter;
        r = plan_data_root(root_fd, data_root, reterr);
        if (r < 0)
                return r;
        r = rootfs_new(s, data_root, &p->rootfs, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_mounts; i++)
                p->give_mounts = p->give_mounts || s->mounts[i].chown;
        *ret = TAKE_PTR(p);
        return 0;
}

int launch_plan_new(const struct spec *s, int root_fd, int cache_fd, struct launch_plan **ret,
                    struct err **reterr)
{
        return launch_plan_new_with(s, root_fd, cache_fd, NULL, ret, reterr);
}
