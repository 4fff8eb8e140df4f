/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * What runs here is a copy of the monitor, between clone and exec: raw system calls and memcpy only, no allocation, no stdio,
 * no name service. It walks the stages that the plan lists (stage.h), each a function that returns 0 or -errno and leaves
 * in the note what it was about. The first failure is reported and ends the process; with it go its namespaces, and so
 * everything that was mounted.
 *
 * Point of no return: STAGE_PIVOT for names of the host, STAGE_READY for reports that are sure to arrive, the execve for all else.
 */
#include "base/path.h"
#include "base/prefault.h"
#include "base/sys.h"
#include "launch/launch_internal.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEWTIME 0x80 /* CLONE_NEWTIME; older headers lack it */

/* ---- descriptors ---- */

/* Out of the way of the numbers that will be given out. -EBADF stays what it is. */
static int fd_lift(int *fd, int above)
{
        if (*fd < 0)
                return 0;
        *fd = fcntl(*fd, F_DUPFD_CLOEXEC, above);
        return *fd < 0 ? -errno : 0;
}

static int fd_place(int fd, int target)
{
        if (fd < 0)
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        return fd < 0 || dup3(fd, target, 0) < 0 ? -errno : 0;
}

/*
 * First of all, so that nothing else of the monitor's is open while anything happens in foreign namespaces: standard
 * streams and preserved descriptors go where the program expects them, ours directly above them, the rest is closed.
 */
static int stage_fds(struct child *c)
{
        struct launch_plan *p = c->plan;
        struct rootfs_plan *root = p->rootfs ? rootfs_child_plan(p->rootfs) : NULL;
        int *ours[SPEC_NS_COUNT + 4 + ROOTFS_KEPT_MAX], base = 3 + (int)c->n_preserve, room, r = 0;
        size_t n = 0;

        ours[n++] = &c->sync;
        if (c->hold_fd >= 0)
                ours[n++] = &c->hold_fd;
        if (root && root->mount_fd >= 0)
                ours[n++] = &root->mount_fd;
        if (root && root->shm_fd >= 0)
                ours[n++] = &root->shm_fd;
        for (size_t i = 0; root && i < root->n_kept; i++)
                ours[n++] = root->kept[i];
        for (size_t i = 0; i < p->n_joins; i++)
                ours[n++] = &p->joins[i].fd;
        room = base + (int)n;
        if ((r = fd_lift(&c->in, room)) < 0 || (r = fd_lift(&c->out, room)) < 0 ||
            (r = fd_lift(&c->err, room)) < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = fd_lift(ours[i], room);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < c->n_preserve; i++) {
                r = fd_lift(&c->preserve[i], room);
                if (r < 0)
                        return r;
        }
        if ((r = fd_place(c->in, 0)) < 0 || (r = fd_place(c->out, 1)) < 0 ||
            (r = fd_place(c->err, 2)) < 0)
                return r;
        for (size_t i = 0; i < c->n_preserve; i++) {
                r = c->preserve[i] < 0 ? 0 : fd_place(c->preserve[i], 3 + (int)i);
                if (r < 0)
                        return r;
                if (c->preserve[i] < 0)
                        (void)sys_close(3 + (int)i); /* what the monitor had there */
        }
        for (size_t i = 0; i < n; i++) {
                if (dup3(*ours[i], base + (int)i, O_CLOEXEC) < 0)
                        return -errno;
                *ours[i] = base + (int)i;
        }
        return sys_close_range((unsigned)room, ~0U, 0);
}

/* ---- before the maps ---- */

static int stage_sources(struct child *c)
{
        const struct launch_plan *p = c->plan;
        int r = 0;

        /* Of this process on the host's /proc, which is in sight until the pivot; before the process becomes undumpable, which
         * takes its files there away from it. */
        child_note_set(c->note, "oom_score_adj");
        if (p->oom_score && !p->spec->oci)
                r = child_oom_score("/proc/self/oom_score_adj", p->oom_score);
        if (r == 0 && p->new_time)
                r = child_new_time(c);
        if (r == 0)
                r = child_open_labels(c);
        if (r == 0)
                r = child_open_init(c);
        if (r == 0)
                r = rootfs_child_open(rootfs_child_plan(c->plan->rootfs), c->note);
        return r;
}

static int stage_idmap(struct child *c)
{
        struct child_report report;
        int fds[SYNC_FDS], r;

        r = sync_recv(c->sync, &report, fds);
        if (r < 0)
                return r;
        if (report.what != REPORT_GO_IDMAP)
                return -EPROTO;
        if (c->plan->new_cgroup) {
                child_note_set(c->note, "cgroup namespace");
                r = sys_unshare(CLONE_NEWCGROUP);
                if (r < 0)
                        return r;
        }
        /* Until here the monitor had to write our maps, which takes a dumpable process. From here on nobody in the
         * container may look at us: our program and memory are the host's. The exec makes the process dumpable again. */
        return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

static int drop_groups(struct child *c)
{
        const struct launch_plan *p = c->plan;
        int r;

        if (p->keep_groups || p->no_setgroups)
                return 0;
        r = sys_setgroups(0, NULL);
        /* Somebody else has made the namespace, or its maps: whether it forbids this shows only here. */
        if (r != -EPERM || !p->by_number)
                return r;
        c->no_setgroups = true;
        return 0;
}

/* Root, else the user that the program will run as: without an owner that the map knows no file can be made. */
static int become(int (*set)(uid_t, uid_t, uid_t), bool by_number, uint32_t id)
{
        int r = set(0, 0, 0);

        if (r == -EINVAL && by_number)
                r = set(id, id, id);
        return r == -EINVAL ? 0 : r;
}

/*
 * Root of the namespace when the map has one (-EINVAL: it has not, as with a single id kept as itself): then the ids stay as
 * they are, and so do the capabilities of the namespace's first process.
 */
static int stage_identity(struct child *c)
{
        const struct launch_plan *p = c->plan;
        int r = drop_groups(c);

        child_note_set(c->note, "setgroups");
        if (r < 0)
                return r;
        child_note_set(c->note, "setresgid");
        r = become(sys_setresgid, p->by_number, p->gid);
        if (r < 0)
                return r;
        child_note_set(c->note, "setresuid");
        r = become(sys_setresuid, p->by_number, p->uid);
        if (r < 0)
                return r;
        /* Modes of what we make are the ones we ask for. */
        (void)umask(0);
        return 0;
}

/* ---- the file system ---- */

static int stage_root(struct child *c)
{
        return rootfs_child_mount_root(rootfs_child_plan(c->plan->rootfs), c->note);
}

static int stage_mounts(struct child *c)
{
        return rootfs_child_mount_all(rootfs_child_plan(c->plan->rootfs), c->note);
}

static int stage_sysctls(struct child *c)
{
        return rootfs_child_sysctls(rootfs_child_plan(c->plan->rootfs), c->note);
}

static int stage_paths(struct child *c)
{
        return rootfs_child_paths(rootfs_child_plan(c->plan->rootfs), c->note);
}

/* The lowest of the descriptors that are still needed, from @from on; ~0U: none. */
static unsigned next_kept(const struct child *c, unsigned from)
{
        const int kept[] = {
            c->sync,
            c->init_fd,
            c->hold_fd,
            rootfs_child_plan(c->plan->rootfs)->pts_fd,
            c->hook_fds[HOOK_FD_CREATED],
            c->hook_fds[HOOK_FD_OUT],
            c->hook_fds[HOOK_FD_ERR],
            c->label_fds[0],
            c->label_fds[1],
        };
        unsigned next = ~0U;

        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                if (kept[i] >= 0 && (unsigned)kept[i] >= from && (unsigned)kept[i] < next)
                        next = (unsigned)kept[i];
        }
        return next;
}

/*
 * Descriptors of the host's directories would be names of the host: the image chooses the working directory, the program, PATH and
 * the interpreter of a script, and may say /proc/self/fd/4/../../.. for each. Closing them with the exec would be too late.
 */
static int close_host(const struct child *c)
{
        unsigned from = 3 + (unsigned)c->n_preserve;

        for (;;) {
                unsigned next = next_kept(c, from);
                int r = next > from ? sys_close_range(from, next == ~0U ? next : next - 1, 0) : 0;

                if (r < 0 || next == ~0U)
                        return r;
                from = next + 1;
        }
}

static int stage_pivot(struct child *c)
{
        int r = rootfs_child_pivot(rootfs_child_plan(c->plan->rootfs), c->note);

        return r < 0 ? r : close_host(c);
}

/* ---- names and network ---- */

static int stage_names(struct child *c)
{
        const struct spec *s = c->plan->spec;

        if (!s->ns[SPEC_NS_UTS].enabled || (s->ns[SPEC_NS_UTS].path && !s->oci))
                return 0;
        if (s->hostname) {
                child_note_set(c->note, s->hostname);
                if (sethostname(s->hostname, strlen(s->hostname)) < 0)
                        return -errno;
        }
        if (s->domainname) {
                child_note_set(c->note, s->domainname);
                if (setdomainname(s->domainname, strlen(s->domainname)) < 0)
                        return -errno;
        }
        return 0;
}

static int stage_network(struct child *c)
{
        struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        int fd, r;

        if (!c->plan->loopback)
                return 0;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        r = ioctl(fd, SIOCSIFFLAGS, &lo) < 0 ? -errno : 0;
        (void)sys_close(fd);
        return r;
}

/* ---- user and directory ---- */

static int user_by_number(struct child *c)
{
        c->user.uid = c->plan->uid;
        c->user.gid = c->plan->gid;
        child_note_set(c->note, "/etc/passwd");
        return c->plan->home ? user_home(c->user.uid, c->user.home) : 0;
}

static int stage_user(struct child *c)
{
        struct launch_plan *p = c->plan;
        const struct spec_process *process = p->process;
        int r;

        if (p->by_number)
                r = user_by_number(c);
        else
                r = user_resolve(process->user ? process->user : "", getuid(), getgid(),
                                 p->keep_groups ? NULL : process->groups.v,
                                 p->keep_groups ? 0 : process->groups.n, &c->user, c->note);
        if (r < 0 || !p->home)
                return r;
        memcpy(p->home + 5, c->user.home, strlen(c->user.home) + 1);
        return 0;
}

/* The monitor changes the owners of what is mounted: it may belong to ids that this container has not. */
static int stage_owners(struct child *c)
{
        struct child_report report = {
            .what = REPORT_USER, .stage = STAGE_OWNERS, .uid = c->user.uid, .gid = c->user.gid};
        int fds[SYNC_FDS], r;

        if (!c->plan->give_mounts)
                return 0;
        r = sync_send(c->sync, &report, NULL, 0);
        if (r == 0)
                r = sync_recv(c->sync, &report, fds);
        return r == 0 && report.what != REPORT_GO_ON ? -EPROTO : r;
}

/* By no link of /proc, whose way leads by what is open in this process instead of by names. We are in the root directory. */
static int enter_directory(const char *path)
{
        int fd = path_open_in_root_raw(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0), r;

        if (fd < 0)
                return fd;
        r = fchdir(fd) < 0 ? -errno : 0;
        (void)sys_close(fd);
        return r;
}

/* As root: an image may keep its directory from the user whom it starts. Where even root may not enter, the user may. */
static int stage_directory(struct child *c)
{
        const char *cwd = c->plan->process->cwd;
        int fd, r;

        if (!cwd || !*cwd)
                cwd = "/";
        child_note_set(c->note, cwd);
        r = enter_directory(cwd);
        if (r == -EACCES) {
                c->retry_directory = true;
                return 0;
        }
        if (r != -ENOENT || !c->plan->rootfs)
                return r;
        fd = path_mkdir_in_root_raw(AT_FDCWD, cwd, 0755);
        if (fd < 0)
                return fd;
        r = fchdir(fd) < 0 ? -errno : 0;
        (void)sys_close(fd);
        return r;
}

/* ---- privileges ---- */

static int stage_limits(struct child *c)
{
        static const char *const names[] = {
            "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
            "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
        };
        const struct launch_plan *p = c->plan;
        int failed = 0, r;

        r = p->rootfs ? rootfs_child_limits(rootfs_child_plan(p->rootfs)) : 0;
        if (r == 0)
                r = apply_rlimits(p->rlimits, p->process->n_rlimits, &failed);
        child_note_set(c->note,
                       failed >= 0 && failed < (int)ARRAY_SIZE(names) ? names[failed] : "limits");
        if (r == 0 && p->spec->process.personality >= 0 &&
            personality((unsigned long)p->spec->process.personality |
                        (unsigned long)p->spec->process.personality_flags) < 0) {
                child_note_set(c->note, "personality");
                return -errno;
        }
        if (r == 0)
                r = child_schedule(c);
        /* Last, since it governs what the stages before create. */
        (void)umask(p->process->umask >= 0 ? (mode_t)p->process->umask : 0022);
        return r;
}

static int set_groups(struct child *c)
{
        const struct launch_plan *p = c->plan;

        if (p->keep_groups || p->no_setgroups)
                return 0;
        if (!p->by_number)
                return sys_setgroups(c->user.n_groups, c->user.groups);
        if (p->n_groups == 0)
                return 0; /* dropped by now, as far as possible */
        child_note_set(c->note, "additionalGids");
        return c->no_setgroups ? -EPERM : sys_setgroups(p->n_groups, p->groups);
}

static int stage_ids(struct child *c)
{
        const struct launch_plan *p = c->plan;
        int r;

        child_note_set(c->note, "a bounding set of capabilities");
        r = apply_bounding(p->caps.bounding, p->caps_known);
        if (r == 0)
                r = apply_keep_caps();
        if (r < 0)
                return r;
        child_note_set(c->note, p->process->user ? p->process->user : "");
        r = set_groups(c);
        if (r < 0)
                return r;
        child_note_set(c->note, p->process->user ? p->process->user : "");
        r = sys_setresgid(c->user.gid, c->user.gid, c->user.gid);
        if (r == 0)
                r = sys_setresuid(c->user.uid, c->user.uid, c->user.uid);
        /* Changing to another user emptied the effective set; the stages that follow need it once more. */
        if (r == 0)
                r = apply_raise_effective();
        if (r == 0 && c->retry_directory) {
                child_note_set(c->note, p->process->cwd);
                r = enter_directory(p->process->cwd);
        }
        if (r == 0 && p->new_keyring)
                r = apply_new_keyring();
        return r == 0 ? child_set_labels(c) : r;
}

/* The mount that the user cannot write to, counted from 1; 0: none, or he has a capability that modes and owners don't stop. */
static int32_t unwritable(const struct child *c)
{
        const struct launch_plan *p = c->plan;
        size_t i = SIZE_MAX;

        if (p->rootfs && !(p->caps.ambient & 1ULL << CAP_DAC_OVERRIDE))
                i = rootfs_child_unwritable(rootfs_child_plan(p->rootfs));
        return i < INT32_MAX ? (int32_t)i + 1 : 0;
}

int child_ask_death_signal(const struct child *c)
{
        return !c->plan->orphan && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

int child_report_ready(struct child *c, enum report_what what, enum stage stage)
{
        struct child_report report = {.what = (uint16_t)what,
                                      .stage = (uint16_t)stage,
                                      .value = unwritable(c),
                                      .uid = c->user.uid,
                                      .gid = c->user.gid};
        int fds[] = {c->master, c->keeper}, r;

        r = sync_send(c->sync, &report, fds, c->master >= 0 ? ARRAY_SIZE(fds) : 0);
        if (r < 0)
                return r;
        if (c->master >= 0) {
                (void)sys_close(c->master);
                (void)sys_close(c->keeper);
                c->master = c->keeper = -EBADF;
        }
        return 0;
}

/* After the last change of credentials, where the kernel forgets the death signal. */
static int stage_ready(struct child *c)
{
        int r;

        if (c->plan->hold_fd < 0) {
                r = child_ask_death_signal(c);
                return r < 0 ? r : child_report_ready(c, REPORT_NEXT_IS_EXEC, STAGE_READY);
        }
        /* Who has released us may be gone: we are started all the same. */
        r = child_report_ready(c, REPORT_NEXT_IS_EXEC, STAGE_READY);
        return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

static int stage_seccomp(struct child *c)
{
        const struct launch_plan *p = c->plan;
        int r = p->no_new_privs ? apply_no_new_privs() : 0;

        if (r == 0 && p->filter.n > 0)
                r = apply_seccomp(p->filter.insns, p->filter.n, p->filter.flags);
        return r;
}

static int stage_caps(struct child *c)
{
        return apply_caps(&c->plan->caps);
}

/* ---- the walk ---- */

/* STAGE_JOIN is not here: another process walks it, child_join_main(). */
static int (*const stage_functions[STAGE_COUNT])(struct child *) = {
    [STAGE_FDS] = stage_fds,
    [STAGE_SOURCES] = stage_sources,
    [STAGE_IDMAP] = stage_idmap,
    [STAGE_IDENTITY] = stage_identity,
    [STAGE_ROOT] = stage_root,
    [STAGE_MOUNTS] = stage_mounts,
    [STAGE_HOOKS_RUNTIME] = child_stage_hooks_runtime,
    [STAGE_HOOKS_CREATE] = child_stage_hooks_create,
    [STAGE_SYSCTLS] = stage_sysctls,
    [STAGE_PATHS] = stage_paths,
    [STAGE_PIVOT] = stage_pivot,
    [STAGE_NAMES] = stage_names,
    [STAGE_NETWORK] = stage_network,
    [STAGE_TERMINAL] = child_stage_terminal,
    [STAGE_USER] = stage_user,
    [STAGE_OWNERS] = stage_owners,
    [STAGE_DIRECTORY] = stage_directory,
    [STAGE_LIMITS] = stage_limits,
    [STAGE_IDS] = stage_ids,
    [STAGE_HOLD] = child_stage_hold,
    [STAGE_READY] = stage_ready,
    [STAGE_SECCOMP] = stage_seccomp,
    [STAGE_CAPS] = stage_caps,
    [STAGE_HOOKS_START] = child_stage_hooks_start,
    [STAGE_EXEC] = child_stage_exec,
};

void child_fail(const struct child *c, enum stage stage, int errnum)
{
        struct child_report report = {
            .what = REPORT_FAILED,
            .stage = (uint16_t)stage,
            .value = errnum,
            .note = *c->note,
        };

        (void)sync_send(c->sync, &report, NULL, 0);
        /* What the monitor sees should the filter have kept the report from it. */
        _exit(stage == STAGE_EXEC && errnum == ENOENT ? 127 : 126);
}

static int run_stage(struct child *c, enum stage stage)
{
        c->note->object[0] = c->note->detail[0] = '\0';
        if (c->plan->fail_stage == (int)stage)
                return -ECANCELED;
        return stage_functions[stage](c);
}

static void child_walk(struct child *c, const enum stage *order)
{
        for (;; order++) {
                int r = run_stage(c, *order);

                /* Success of STAGE_EXEC does not come back. */
                if (r < 0 || *order == STAGE_EXEC)
                        child_fail(c, *order, r < 0 ? -r : EPROTO);
        }
}

static struct child child_init(struct launch_plan *p, const struct launch_io *io, int sync,
                               struct child_note *note)
{
        bool terminal = p->process->terminal;
        struct child c = {
            .plan = p,
            .note = note,
            .sync = sync,
            .in = terminal ? -EBADF : io->in,
            .out = terminal ? -EBADF : io->out,
            .err = terminal ? -EBADF : io->err,
            .n_preserve = io->n_preserve,
            .init_fd = -EBADF,
            .hold_fd = p->hold_fd,
            .master = -EBADF,
            .slave = -EBADF,
            .keeper = -EBADF,
            .hook_fds = {-EBADF, -EBADF, -EBADF, -EBADF},
            .label_fds = {-EBADF, -EBADF},
        };

        for (size_t i = 0; i < c.n_preserve; i++)
                c.preserve[i] = io->preserve[i];
        return c;
}

void child_main(struct launch_plan *p, const struct launch_io *io, int sync)
{
        struct child_note note;
        struct child c = child_init(p, io, sync, &note);

        prefault_child();
        child_walk(&c, p->order);
        _exit(126);
}

/* ---- joining ---- */

/*
 * The user namespace is what gives an ordinary user the right to the others. Root loses by it the right to what belongs to the host, such as a network
 * namespace that an engine has made for the container. So whatever we may enter as we are comes first.
 */
static int enter_before(const struct launch_join *j, int flags)
{
        static const int all[] = {CLONE_NEWNS,  CLONE_NEWPID,    CLONE_NEWNET, CLONE_NEWIPC,
                                  CLONE_NEWUTS, CLONE_NEWCGROUP, NEWTIME};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                if ((flags & all[i]) && sys_setns(j->fd, all[i]) == 0)
                        flags &= ~all[i];
        }
        return flags;
}

/* Every namespace of the process but those that it shares with us. setns refuses to enter the user namespace one is in. */
static int join_process(struct child *c, const struct launch_join *j)
{
        int flags = j->nstype, r;

        child_note_set(c->note, j->name);
        if (flags & CLONE_NEWUSER) {
                if (c->plan->spec->oci && child_open_init(c) == 0)
                        flags = enter_before(j, flags);
                r = sys_setns(j->fd, CLONE_NEWUSER);
                if (r < 0 && r != -EINVAL)
                        return r;
                flags &= ~CLONE_NEWUSER;
        }
        child_note_set(c->note, j->name);
        r = child_open_init(c);
        if (r < 0)
                return r;
        return flags ? sys_setns(j->fd, flags) : 0;
}

static int join_each(struct child *c)
{
        const struct launch_plan *p = c->plan;
        bool entered[SPEC_NS_COUNT] = {0};

        if (p->spec->oci && p->joins[0].nstype == CLONE_NEWUSER) {
                for (size_t i = 1; i < p->n_joins; i++)
                        entered[i] = enter_before(&p->joins[i], p->joins[i].nstype) == 0;
        }
        for (size_t i = 0; i < p->n_joins; i++) {
                int r;

                if (entered[i])
                        continue;
                child_note_set(c->note, p->joins[i].name);
                r = sys_setns(p->joins[i].fd, p->joins[i].nstype);
                /* Of a container with --userns=host: the one that we are in. */
                if (r < 0 && !(r == -EINVAL && p->joins[i].nstype == CLONE_NEWUSER))
                        return r;
        }
        return 0;
}

/* What the child inherits, and what it could not do any more: as we are, the host's /proc in sight. */
static int before_join(struct child *c)
{
        const struct launch_plan *p = c->plan;

        if (p->oom_score && p->spec->oci) {
                int r = child_oom_score("/proc/self/oom_score_adj", p->oom_score);

                child_note_set(c->note, "oom_score_adj");
                if (r < 0)
                        return r;
        }
        return child_set_cpus(c, "execCPUAffinity.initial", &p->cpus_initial);
}

/* Of a user namespace that is joined: ours now, and so may be the clocks. (Of a new one the child makes them.) */
static int after_join(struct child *c)
{
        struct launch_plan *p = c->plan;
        int r;

        if (!p->new_time || p->write_maps)
                return 0;
        if (prctl(PR_SET_DUMPABLE, 1) < 0)
                return -errno;
        r = child_new_time(c);
        p->new_time = false;
        return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : r;
}

static int stage_join(struct child *c)
{
        const struct launch_plan *p = c->plan;
        int r = before_join(c);

        if (r < 0)
                return r;
        /* In foreign namespaces others may have the right to trace us; not so while we are undumpable, since our memory belongs
         * to the user namespace in which the monitor was executed. A run's child has its maps written and must stay dumpable until
         * then, but it has no process around it that could see it, unless it joins a pid namespace. */
        if (!p->write_maps && prctl(PR_SET_DUMPABLE, 0) < 0)
                return -errno;
        /* /proc/PID/cmdline is for everybody, dumpable or not. */
        if (p->args)
                memset(p->args, 0, p->args_len);
        r = p->join_process ? join_process(c, &p->joins[0]) : join_each(c);
        return r == 0 ? after_join(c) : r;
}

static void join_close(struct launch_plan *p)
{
        for (size_t i = 0; i < p->n_joins; i++) {
                (void)sys_close(p->joins[i].fd);
                p->joins[i].fd = -EBADF;
        }
        p->n_joins = 0;
}

void child_join_main(struct launch_plan *p, const struct launch_io *io, int sync)
{
        struct child_report report = {.what = REPORT_JOINED, .stage = STAGE_JOIN};
        struct child_note note;
        struct child c = child_init(p, io, sync, &note);
        int pidfd = -EBADF, r;
        pid_t pid;

        prefault_child();
        r = run_stage(&c, STAGE_FDS);
        if (r < 0)
                child_fail(&c, STAGE_FDS, -r);
        note.object[0] = note.detail[0] = '\0';
        r = p->fail_stage == STAGE_JOIN ? -ECANCELED : stage_join(&c);
        if (r < 0)
                child_fail(&c, STAGE_JOIN, -r);
        join_close(p);
        /* A new pid namespace applies to children only. Ours is to be the monitor's: a sibling. */
        pid = sys_clone(p->clone_flags | CLONE_PARENT, &pidfd, -EBADF);
        if (pid == 0) {
                prefault_child();
                child_walk(&c, p->order + 1);
                _exit(126);
        }
        child_note_set(&note, "clone");
        if (pid < 0)
                child_fail(&c, STAGE_JOIN, -pid);
        /* Our own pid namespace is still the monitor's, so the number means the same to it. */
        report.value = pid;
        r = sync_send(c.sync, &report, &pidfd, 1);
        _exit(r < 0 ? 126 : 0);
}
