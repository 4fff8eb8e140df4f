/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * spec — the description of one container to launch: the OCI runtime-spec as a struct, plus what Kelp adds (members under
 * "kelp" in the JSON). The launcher's only input. Built by spec_build() from an image's config and the command line, or read from JSON.
 *
 * Lifetime: spec_free() frees all. Strings may be NULL when absent. Pure: no function here touches the system.
 */
#include "base/macros.h"
#include "base/str.h"
#include "idmap/idmap.h"
#include "spec/oci.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct json_object;
struct spec_resources;

/* Namespaces in the order in which they are joined. */
enum spec_ns {
        SPEC_NS_USER,
        SPEC_NS_MOUNT,
        SPEC_NS_PID,
        SPEC_NS_NET,
        SPEC_NS_IPC,
        SPEC_NS_UTS,
        SPEC_NS_CGROUP,
        SPEC_NS_TIME,
        SPEC_NS_COUNT
};
const char *spec_ns_name(enum spec_ns ns); /* runtime-spec's: "network" */
struct spec_namespace {
        bool enabled; /* false: the caller's own is shared */
        char *path;   /* join this one; NULL: a new one */
};

struct spec_mount {
        char *destination, *type, *source; /* type "bind": source is a host path (absolute) */
        struct strv options; /* as in runtime-spec: "ro", "rbind", "nosuid", "size=64m", … */
        bool create_missing; /* kelp: bind source is created as a directory when missing (-v) */
        bool
            file; /* kelp: source is relative to the data root: a volume, a file that Kelp generates */
        bool chown;    /* kelp: before the start, all of it is given to the container's user */
        bool of_ipc;   /* kelp: it is the one of the container whose IPC namespace is joined */
        char *subpath; /* kelp: what is mounted is this below the source, which it cannot leave */
        /* kelp, type "overlay": lowest first, relative to the data root; none: the source is the one lower directory */
        struct strv layers;
        char *upper,
            *work; /* relative to the data root: emptied at every start; else the user's own. NULL: read-only */
        struct id_map uid_map, gid_map; /* oci: of an idmapped mount */
};
struct spec_device {
        char *path, *host_path; /* bound from host_path (rootless cannot mknod) */
        char *access;           /* "rwm" */
        char type;              /* oci: 'c', 'b', 'p', to be made; 0: bound from host_path */
        int64_t major, minor;
        uint32_t uid, gid, mode;
        bool has_mode;
};
/* What is copied into the container at every start, from a file that the container's directory has of it. */
struct spec_secret {
        char *name, *target; /* @env: a variable; else an absolute path */
        char *file;          /* relative to the data root */
        bool env;            /* the monitor's business, before the launch */
        uint32_t uid, gid, mode;
};
struct spec_rlimit {
        int resource; /* RLIMIT_… */
        uint64_t soft, hard;
};

struct spec_process {
        bool terminal;
        uint16_t rows, cols; /* initial size; 0: unknown */
        char *
            user; /* as typed: "", "name", "uid", "name:group", "uid:gid"; resolved inside the container's root */
        struct strv
            groups; /* --group-add: names or numbers; "keep-groups" keeps the caller's supplementary groups */
        int64_t umask; /* -1: 0022 */
        struct strv args, env;
        char *cwd;     /* created when missing */
        bool set_home; /* HOME is absent from env: take it from the container's passwd file */
        uint64_t cap_bounding, cap_effective, cap_permitted, cap_inheritable,
            cap_ambient; /* bit n = capability n */
        struct spec_rlimit *rlimits;
        size_t n_rlimits;
        bool no_new_privileges;
        int64_t oom_score_adj; /* INT64_MIN: leave */
        int64_t personality;   /* personality(2); -1: leave */

        /* Of a bundle's config.json only. */
        bool absent; /* it has no process: the container can be created, but not started */
        uint64_t personality_flags; /* added to personality */
        char *apparmor_profile, *selinux_label;
        struct spec_scheduler scheduler;
        struct spec_io_priority io_priority;
        char *cpu_affinity_initial, *cpu_affinity_final; /* lists as of cpuset(7) */
};

enum spec_seccomp {
        SPEC_SECCOMP_DEFAULT,
        SPEC_SECCOMP_UNCONFINED,
        SPEC_SECCOMP_FILE,
        SPEC_SECCOMP_INLINE, /* oci: the profile is in the spec */
        SPEC_SECCOMP_COUNT
};
enum spec_root { SPEC_ROOT_LAYERS, SPEC_ROOT_DIRECTORY, SPEC_ROOT_COUNT };

struct spec {
        char *id, *hostname, *domainname;
        struct spec_process process;

        enum spec_root root_kind;
        struct strv
            layers; /* LAYERS: absolute or root-relative directories, lowest first (see kelp.layers) */
        char *upper,
            *work; /* LAYERS: directories on disk; both NULL: read-only root without an upper layer */
        bool volatile_upper; /* container is removed on exit: no fsync by overlay */
        char *root_path;     /* DIRECTORY: --rootfs, used as it is */
        bool root_readonly;
        char *storage_driver; /* "overlay", "fuse-overlayfs", "copy" */

        struct spec_namespace ns[SPEC_NS_COUNT];
        struct id_map uid_map,
            gid_map; /* container → U; empty with an enabled new user namespace never happens */
        bool rootless_one_id; /* setgroups is denied: supplementary groups are skipped */

        struct spec_mount *
            mounts; /* in order; /proc, /dev, /dev/pts, /dev/shm, /dev/mqueue, /sys, binds, tmpfs, generated files */
        size_t n_mounts;
        struct spec_device *devices;
        size_t n_devices;
        struct spec_secret *secrets;
        size_t n_secrets;
        struct strv masked_paths, readonly_paths;
        struct strv sysctl;       /* "net.ipv4.ip_forward=1" */
        struct strv proc_options; /* until the mounts are built: for that of /proc */

        enum spec_seccomp seccomp;
        char *seccomp_file; /* FILE: absolute path of a JSON profile */
        bool privileged;
        bool pause; /* kelp-init is the program: the infra container of a pod */
        bool init;  /* run kelp-init as pid 1 */
        char *
            init_path; /* host path of kelp-init, bound to /sbin/kelp-init-like hidden path by the launcher */
        bool stdin_open; /* -i */

        int stop_signal;
        uint32_t stop_timeout; /* seconds */
        uint32_t timeout;      /* --timeout: seconds after which the container is killed; 0 none */
        struct strv annotations; /* "k=v" */
        char *sdnotify;     /* --sdnotify: "container" (the same as NULL), "conmon", "ignore" */
        char *image_name;   /* as typed; for events, as the labels are */
        struct strv labels; /* "k=v" */

        /* Of a bundle's config.json only. */
        bool oci;     /* what Kelp adds of itself to its own containers is left out */
        char *bundle; /* absolute */
        struct spec_hooks hooks[SPEC_HOOK_COUNT];
        struct spec_time_offset boottime, monotonic;
        uint64_t rootfs_propagation; /* MS_SHARED …; 0: not given */
        char *mount_label;
        char *cgroups_path;                  /* in any of its forms; NULL: not given */
        struct spec_resources *resources;    /* spec/resources.h; NULL: none */
        struct json_object *seccomp_profile; /* INLINE: linux.seccomp as it stands */
        char *seccomp_listener, *seccomp_metadata;
        struct spec_rdt rdt;
};

struct spec *spec_new(
    void); /* everything empty, umask -1, oom_score_adj INT64_MIN, stop_signal SIGTERM */
struct spec *spec_free(struct spec *s);
void spec_process_init(struct spec_process *p); /* the same for one that stands alone */
void spec_process_release(struct spec_process *p);
DEFINE_CLEANUP(struct spec *, spec_free);
struct spec_mount *spec_add_mount(struct spec *s, const char *destination, const char *type,
                                  const char *source, const char *options /* comma list */);
void spec_remove_mount(struct spec *s, const char *destination);
/* Removes those for which @keep, which may change them, says no. */
void spec_keep_mounts(struct spec *s, bool (*keep)(struct spec_mount *m, const void *arg),
                      const void *arg);
void spec_remove_devices(struct spec *s);
struct spec_secret *spec_add_secret(struct spec *s, const char *name, const char *target,
                                    const char *file);

/* runtime-spec 1.x JSON with a "kelp" member for what has no place there. Round-trips. */
struct json_object *spec_to_json(const struct spec *s);
int spec_from_json(struct json_object *obj, const char *what, struct spec **ret,
                   struct err **reterr);
