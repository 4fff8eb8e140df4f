/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * rootfs/child — the child's half of the root file system: between clone and exec, raw system calls only, no allocation.
 *
 * The parent's half (rootfs.h) has written everything down as a list of operations. The child first opens what belongs to the
 * host (with the caller's own ids and groups), then, as root of its namespace, mounts it all below a descriptor of the new
 * root, and at last pivots. Every target is a path that the image can booby-trap, so it is resolved by openat2 inside the root and then used
 * as a descriptor; the kernel's own file systems are mounted only where no symbolic link is on the way.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a failing step was about: copied into the report to the parent. */
struct child_note {
        char object[128]; /* a path, a name */
        char detail[112]; /* the kernel's own words, "" when it had none */
};
void child_note_set(struct child_note *n, const char *object);
void child_note_detail(struct child_note *n, const char *detail);

struct rootfs_param {
        const char *key, *value; /* value NULL: a flag */
};

/* One hierarchy of cgroup v1. */
struct rootfs_cgroup {
        const char *controllers; /* as /proc/PID/cgroup has them: "cpu,cpuacct", "name=systemd" */
        const char *dir;         /* what its directory is called: "systemd" */
        const char *mountpoint;  /* of the host */
        const char *root;        /* what of the hierarchy is mounted there */
        const struct rootfs_param *params;
        size_t n_params;
        const char *const *links; /* of a hierarchy with several controllers: each of them */
        size_t n_links;
};

/*
 * FS is a file system that we know, made by the new mount interface; MOUNT one that we don't, by mount(2), which takes parameters of any
 * length and the flags of old. LINK: a symbolic link to @source.
 */
enum rootfs_op_kind {
        ROOTFS_OP_BIND,
        ROOTFS_OP_FS,
        ROOTFS_OP_OVERLAY,
        ROOTFS_OP_MOUNT,
        ROOTFS_OP_REMOUNT,
        ROOTFS_OP_LINK,
        ROOTFS_OP_CGROUP1
};
struct rootfs_op {
        enum rootfs_op_kind kind;
        const char *target; /* inside the container */
        const char *
            source; /* BIND: path on the host; FS, MOUNT: for the eye, or the file system; LINK: content */
        const char *fs;      /* FS, MOUNT: type */
        const char *data;    /* MOUNT, REMOUNT: for the file system; NULL: none */
        uint64_t flags;      /* MOUNT, REMOUNT: MS_* */
        const char *or_bind; /* FS: refused by the kernel: this of the host, with all below it */
        const struct rootfs_cgroup *cgroups; /* CGROUP1 */
        size_t n_cgroups;
        bool cgroup_ns;      /* CGROUP1: the container has a cgroup namespace of its own */
        const char *subpath; /* BIND, OVERLAY: only this below the source, resolved beneath it */
        const char *const
            *lowers; /* OVERLAY: topmost first, relative to the data root or absolute */
        size_t n_lowers;
        const char *upper, *work; /* OVERLAY: NULL: none */
        int *fds;                 /* OVERLAY: of the lowers, then upper and work */
        const struct rootfs_param *params;
        size_t n_params;
        uint64_t attrs, clear;             /* MOUNT_ATTR_* to set and to take away */
        uint64_t attrs_below, clear_below; /* the same, for it and the mounts below */
        uint64_t propagation;              /* MS_*; 0: as it comes */
        bool recursive;                    /* BIND: with the mounts below */
        bool propagation_recursive;
        bool
            keep_locked; /* what the host has made read-only, or its time policy, stays without a word */
        bool source_nofollow, target_nofollow; /* a symbolic link there is itself what is meant */
        bool
            mode_of_target; /* the new root directory has the mode of the directory that it covers */
        bool prepared;      /* BIND: its tree is the parent's work */
        bool copy_up;       /* tmpfs: filled with what the image has there */
        bool or_empty;      /* refused by the kernel: an empty read-only tmpfs in its place */
        bool of_ipc;        /* BIND: shm_fd instead of the source */
        bool or_skip;       /* no such source: left out */
        bool to_write;      /* a directory or file of the host's for the container to write to */
        bool is_dev;        /* filled with the standard devices and links */
        bool is_proc, is_pts;
        bool no_links; /* target must be a real directory */
};

/* A file of the host whose bytes the container has in memory. */
struct rootfs_secret {
        const char *source, *target;
        uint32_t uid, gid, mode; /* as the container sees them */
};

/* A node below /dev, or wherever. */
struct rootfs_device {
        const char *path;
        const char *host; /* NULL: it is made; else bound from there */
        uint32_t type;    /* S_IFCHR, S_IFBLK, S_IFIFO */
        uint64_t rdev;
        uint32_t uid, gid, mode;
};

/* CHROOT: no mount namespace of its own, and so nothing but a change of the root directory. */
enum rootfs_root { ROOTFS_ROOT_OVERLAY, ROOTFS_ROOT_BIND, ROOTFS_ROOT_MOUNT, ROOTFS_ROOT_CHROOT };
#define ROOTFS_DEV_NODES 6
#define ROOTFS_KEPT_MAX  64

/* Read-only for the child but for the descriptors at the end, which are its own copy of the memory. */
struct rootfs_plan {
        enum rootfs_root root;
        const char *
            data_root; /* absolute; the new root is attached there, and relative layers refer to it */
        const char *const *layers; /* topmost first */
        size_t n_layers;
        const char *upper, *work; /* NULL: none */
        const char *bind;         /* BIND */
        int shm_fd;   /* /dev/shm of the container whose IPC namespace is joined; -EBADF: none */
        int mount_fd; /* MOUNT: a detached mount made by the parent's helper */
        bool bind_recursive, is_volatile, readonly;
        uint64_t propagation; /* MS_* of the container's root, once it is that; 0: as it comes */
        bool share; /* mounts that ask for it go on sharing what is mounted with the host's */
        bool no_pivot;
        const char *const
            *reveal; /* no_pivot: where the host's /proc and /sys are, in the way of masks */
        size_t n_reveal;
        bool raise_nofile;    /* more descriptors than the soft limit allows */
        uint64_t soft_nofile; /* that limit */

        const struct rootfs_op *ops;
        size_t n_ops;
        const struct rootfs_device *devices; /* after all mounts */
        size_t n_devices;
        bool dev_links; /* /dev is the container's own: with the customary links */
        bool
            dev_readonly; /* a mount of its own, which becomes read-only behind all that is put there */
        const struct rootfs_secret *secrets;
        size_t n_secrets;
        const char *const *masked, *const *readonly_paths;
        size_t n_masked, n_readonly;
        const struct rootfs_param *sysctls; /* key: path below /proc/sys */
        size_t n_sysctls;
        const char
            *containerenv; /* content of /run/.containerenv; NULL: neither it nor /.dockerenv */
        bool want_console; /* an empty /dev/console to mount the terminal on */

        int *trees; /* per op: the cloned source of a bind */
        int *device_trees;
        int *kept[ROOTFS_KEPT_MAX]; /* descriptors of the parent's that the child needs */
        size_t n_kept;
        int *layer_fds;
        int *secret_fds;
        int *secret_targets; /* the child opens these, too */
        int upper_fd, work_fd, attach_fd, root_fd, proc_fd, pts_fd;
        int dev_trees[ROOTFS_DEV_NODES];
};

/* Stage "sources". Should: open every path of the host while the caller's ids and groups are ours. Mustn't: need mapped ids. */
int rootfs_child_open(struct rootfs_plan *p, struct child_note *note);
/* Stage "root". Needs CAP_SYS_ADMIN in the namespace that owns the mount namespace, and mapped ids: a file system remembers who mounted it. */
int rootfs_child_mount_root(struct rootfs_plan *p, struct child_note *note);
/* Stage "mounts": the operations in order. Before the pivot: a fresh /proc or /sys is only granted while the old one is in sight. */
int rootfs_child_mount_all(struct rootfs_plan *p, struct child_note *note);
/* Stage "sysctls": written through the container's own /proc, before "paths" makes it read-only. */
int rootfs_child_sysctls(const struct rootfs_plan *p, struct child_note *note);
/* Stage "paths": masked and read-only paths, the read-only root. After every mount target was made. */
int rootfs_child_paths(const struct rootfs_plan *p, struct child_note *note);
/* Stage "pivot". Point of no return for names of the host: afterwards only descriptors lead out, and the caller closes them at once. */
int rootfs_child_pivot(const struct rootfs_plan *p, struct child_note *note);
/* Stage "ready": as the user who will run the program. Which of the operations mounted something .to_write that he cannot write to, as far as
 * modes and owners say so; SIZE_MAX: none. */
size_t rootfs_child_unwritable(const struct rootfs_plan *p);
/* Stage "limits": the soft limit of descriptors is the caller's again. */
int rootfs_child_limits(const struct rootfs_plan *p);
