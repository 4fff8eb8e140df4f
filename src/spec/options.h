/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * options — what the user asked of run/create, as plain data, and the pure step from there and the image's config to a spec.
 * The command line fills it from its option table; the API will fill it from JSON.
 */
#include "spec/restart_policy.h"
#include "spec/spec.h"

enum run_mount_type {
        RUN_MOUNT_BIND,
        RUN_MOUNT_TMPFS,
        RUN_MOUNT_VOLUME,
        RUN_MOUNT_IMAGE,
        RUN_MOUNT_DEVPTS,
        RUN_MOUNT_RAMFS,
        RUN_MOUNT_GLOB, /* becomes a BIND for everything that its source matches */
        RUN_MOUNT_TYPE_COUNT
};
struct run_mount {
        enum run_mount_type type;
        /* BIND: a path, VOLUME: a name (NULL: anonymous), IMAGE: the image */
        char *source, *target;
        struct strv
            options; /* normalised mount options: ro, rw, rbind, rprivate, noexec, size=…, mode=… */
        char *subpath;      /* VOLUME, IMAGE: this below the source, without leaving it */
        char *upper, *work; /* .overlay: the user's own directories for what is changed */
        struct strv volume_options, volume_labels; /* "k=v", for a volume that is made */
        bool csv;                                  /* written as --mount, not as -v or --tmpfs */
        bool create_source;  /* -v: make a missing host directory; --mount: an error */
        bool writable_below; /* bind-recursive=writable: "ro" is for the topmost mount only */
        bool no_copy;        /* VOLUME: not filled with what the image has there */
        bool chown;          /* U: its files become the container user's */
        bool overlay;        /* O: changes go elsewhere */
        bool anonymous;      /* VOLUME: made for this container, and removed with it by rm -v */
        bool implied;        /* not the user's: of the image, or of another container */
};
/* --secret */
struct run_secret {
        char *name, *target; /* target: an absolute path, or (env) a variable; never NULL */
        bool env;
        uint32_t uid, gid, mode;
};
struct pod_create_opts;
#define RUN_HEALTH_UNSET INT64_MIN
struct run_options {
        /* identity */
        char *name, *image, *rootfs, *cidfile, *pidfile, *lifetime, *hostname, *domainname;
        struct strv labels, annotations;
        bool rm, replace;
        char *pod; /* to be a member of, by name or id */
        const struct pod_create_opts
            *infra; /* container/pod.h; borrowed: to be the infra container of a pod */
        /* process */
        struct strv command, env, groups; /* env: whole assignments, files already read */
        struct strv env_below;            /* of the caller; the image's wins */
        struct strv env_merge;            /* "NAME=text with $NAME" */
        struct strv unsetenv;
        bool unsetenv_all;
        char *entrypoint; /* NULL: the image's; "" : none */
        char *user, *workdir;
        bool tty, interactive, init, no_healthcheck;
        char *init_path, *umask, *personality; /* as typed, but for paths, which are absolute */
        int64_t oom_score_adj;                 /* INT64_MIN: as we have */
        struct strv attach;                    /* "stdin", "stdout", "stderr" */
        /* files */
        struct run_mount *mounts;
        size_t n_mounts;
        struct run_secret *secrets;
        size_t n_secrets;
        struct strv devices;      /* HOST[:CONTAINER[:rwm]], or VENDOR/CLASS=NAME */
        struct strv volumes_from; /* CONTAINER[:OPTS] */
        char *volume_driver, *image_volume;
        bool read_only, read_only_tmpfs;
        uint64_t shm_size; /* bytes; 0: 64 MiB */
        char *storage_driver;
        /* names */
        struct strv add_hosts, dns, dns_search, dns_options, expose;
        bool no_hosts, no_hostname;
        int passwd; /* names for the user: 1 yes, -1 no, 0 where his id is kept */
        char *passwd_entry, *group_entry;
        struct strv host_users;
        char *hosts_file; /* a path, "image" or "none" */
        char *tz;
        struct strv chroot_dirs;
        /* image */
        char *platform;        /* OS/ARCH[/VARIANT]; NULL: any */
        bool no_content_trust; /* Docker's signatures; true is all that there is */
        /* namespaces */
        char *network, *ipc, *pid, *uts, *userns; /* as typed; NULL: default */
        struct strv uidmap, gidmap;
        /* security */
        struct strv cap_add, cap_drop, security_opt, ulimits, sysctls;
        bool privileged;
        /* life */
        char *stop_signal, *sdnotify;
        struct strv requires; /* containers that are started first */
        int64_t stop_timeout; /* -1: default */
        uint32_t timeout;
        struct restart_policy restart;
        /* health: nanoseconds; RUN_HEALTH_UNSET: the image's, or the default */
        char *health_cmd, *health_on_failure;
        int64_t health_interval, health_timeout, health_start_period, health_start_interval;
        int64_t health_retries;
        /* logs */
        char *log_driver;
        struct strv log_opts;
};
struct run_options *run_options_new(void);
struct run_options *run_options_free(struct run_options *o);
DEFINE_CLEANUP(struct run_options *, run_options_free);
const char *run_mount_type_name(enum run_mount_type t); /* "bind" … */
/* Parsers of single values; ERR_USAGE names the value and the part at fault. Each has a fuzz target. */
int run_mount_parse_volume(const char *value, struct run_mount *ret,
                           struct err **reterr); /* -v SRC:DST[:OPTS] */
int run_mount_parse_mount(const char *value, struct run_mount *ret,
                          struct err **reterr); /* --mount type=…,… */
/* One line of CSV: fields with a comma stand in quotes, quotes in them are doubled. @what: for messages. */
int run_csv_split(const char *what, const char *value, struct strv *ret, struct err **reterr);
void run_mount_copy(const struct run_mount *from, struct run_mount *ret);
int run_mount_parse_tmpfs(const char *value, struct run_mount *ret,
                          struct err **reterr); /* --tmpfs DST[:OPTS] */
/* --expose: appends "80/tcp" for every port of the value. */
int run_expose_parse(const char *value, struct strv *ret, struct err **reterr);
/* --secret NAME[,type=mount|env][,target=…][,uid=…][,gid=…][,mode=…] */
int run_secret_parse(const char *value, struct run_secret *ret, struct err **reterr);
void run_secret_release(struct run_secret *s);
/* --entrypoint: one word, none (""), or Podman's form of several, a JSON array of strings. Appends to @ret. */
int run_entrypoint_parse(const char *value, struct strv *ret, struct err **reterr);
void run_mount_release(struct run_mount *m);

/* The image's part, from its resolved run description. */
struct image_config {
        char *user, *workdir, *stop_signal;
        struct strv entrypoint, cmd, env, labels /* k=v */, volumes, exposed_ports;
        bool
            setuid; /* some layer holds a setuid, setgid or file-capability program: no_new_privs stays off */
        char *healthcheck_json;
};
int image_config_from_json(struct json_object *config, const char *what, struct image_config *ret,
                           struct err **reterr);
void image_config_release(struct image_config *c);

/* Everything but what Kelp sets itself, into @env, in the order of precedence. */
void run_env_build(const struct run_options *o, const struct image_config *image, struct strv *env);

/* Pure: options + image → spec. Layers, upper, work, generated files, id maps and paths of this host are filled in afterwards by container/. */
int spec_build(const struct run_options *o, const struct image_config *image, const char *id,
               struct spec **ret, struct err **reterr);
