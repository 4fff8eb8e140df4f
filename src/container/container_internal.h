/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* container_internal — what the files of container/ share. */
#include "base/json.h"
#include "base/tmp_dir.h"
#include "container/container.h"
#include "spec/options.h"

#include <errno.h>

#define CONTAINERS      "containers"
#define NAMES           "names"
#define IDS             "ids"
#define CONFIG_FILE     "config.json"
#define SPEC_FILE       "spec.json"
#define CONFIG_LOCK     "config.lock" /* held while config.json is replaced */
#define CONFIG_MAX      JSON_OWN_MAX
#define INFRA_IMAGE     "kelp-infra" /* what an infra container shows in the place of an image */
#define CONFIG_FORMAT   1
#define MONITOR_PROGRAM "kelp-monitor"
#define RUNTIME_NAME    "kelp" /* HostConfig.Runtime: what launches containers is part of Kelp */

/* ---- names.c ---- */
int name_check(const char *name, struct err **reterr);
/* 1 and the id that the name leads to (a live maker's id too), 0: nobody has it. */
int name_lookup(const struct dirs *d, const char *name, char ret_id[65], struct err **reterr);
/* Exclusive. 1 reserved, 0 taken (ret_id: by whom). Names that lead nowhere are taken over. */
int name_reserve(const struct dirs *d, const char *name, const char *id, char ret_id[65],
                 struct err **reterr);
/* The same for a block of ids (create_ids.c): 1 it is ours, 0 it is another's. Gone with the container; earlier with ids_release(). */
int ids_reserve(const struct dirs *d, uint32_t block, const char *id, struct err **reterr);
void ids_release(const struct dirs *d, uint32_t block, const char *id);
/* Deletes names that lead nowhere and whose makers are gone. */
void names_sweep(const struct dirs *d);

/* ---- tmp.c ---- */
/* Starts the removal of unlocked directories in tmp/ and does not wait for it. Never fails: it is nobody's errand. */
void container_tmp_sweep(const struct dirs *d);
/* Deletes tmp/<name>, inside U if need be. @wait: until it is gone. */
int container_tmp_delete(const struct dirs *d, const char *name, bool wait, struct err **reterr);

/* ---- state.c ---- */
/* Reads config.json and the records. @dir_fd is borrowed; c->dir_fd is left alone. Kills what a dead monitor left (settle). */
int container_load(const struct dirs *d, int dir_fd, const char *id, struct container *c,
                   struct err **reterr);
/* The records and the lock again: what may have changed since. */
int container_refresh(const struct dirs *d, int dir_fd, struct container *c, struct err **reterr);
/* health.c: what its health checks have found, and the status alone; NULL when it is not checked. Caller owns. */
struct json_object *container_health(int dir_fd);
char *container_health_status(int dir_fd);
/* False: certainly not running, and nothing of it is left to be settled. Reads no JSON. */
bool container_may_run(int dir_fd);
/* containers/<id>, opened when the caller's container came from a listing. */
int container_dir(const struct dirs *d, struct container *c, struct err **reterr);
/* 1: an exit record was found or made, 0: it is not running and never was. Needs nobody alive. */
bool container_auto_remove(const struct container *c);
struct json_at container_host_config(const struct json_at *root);
int container_read_spec(int dir_fd, struct spec **ret, struct err **reterr);

/* config.json again, and everything that follows from it. */
int container_reload(const struct dirs *d, struct container *c, struct err **reterr);
/* An event of a container, with its labels. @attributes as in events.h. */
void container_event(const struct dirs *d, struct container *c, const char *action,
                     const char *const *attributes);
/* rename.c: the lock under which config.json may be replaced, after it was read again. The caller closes it. */
int container_change_begin(const struct dirs *d, struct container *c, struct err **reterr);

/* ---- measure.c ---- */
/* Bytes on disk of each of @paths (relative to the data root), in that order; UINT64_MAX: there is none. Inside U where need be. Caller owns
 * *ret. */
int measure_trees(const struct dirs *d, const struct strv *paths, uint64_t **ret,
                  struct err **reterr);
char *container_upper_path(const char *id); /* its writable layer, relative; caller owns */

/* ---- create_*.c ---- */
struct creation {
        const struct dirs *d;
        const struct run_options *o;
        struct strv *warnings;
        struct tmp_dir tmp;
        char *name;
        struct image *image; /* NULL with --rootfs */
        struct image_config config;
        struct spec *spec;
        char *driver;
        char *userns; /* --userns as it came to be; NULL: not asked for, or another container's */
        char pod_id[65], *pod_mode;   /* of a member: the pod, and "container:<its id>" */
        struct strv volumes_from;     /* with what the pod has mounted */
        struct strv joins;            /* "pid:<id>", … */
        struct json_object *doc;      /* config.json */
        struct id_map to_uid, to_gid; /* container → the caller's namespace */
        struct run_mount *mounts;     /* all of them: the user's, other containers', the image's */
        size_t n_mounts;
        int *volume_locks;
        size_t n_volume_locks;
        struct json_object *secrets;                  /* for inspect; NULL: none */
        struct strv mounted_images, mounted_layers;   /* of images that are mounted: ids, names */
        struct strv cdi_devices, cdi_env, cdi_groups; /* with those that the user gave himself */
        int64_t created_ns;
};
int creation_spec(struct creation *k,
                  struct err **reterr); /* create_spec.c: spec and everything of this host in it */
/* create_userns.c: the maps of its user namespace; @o is k->o as it is meant. */
int creation_ids(struct creation *k, const struct run_options *o, const struct idmap_userns *u,
                 struct err **reterr);
/* create_ids.c: a range of ids for --userns=auto, into @q. */
int creation_reserve_ids(struct creation *k, const struct idmap_userns *u, struct idmap_request *q,
                         struct err **reterr);
/* create_cdi.c: VENDOR/CLASS=NAME; what such devices need, added to the view @o of the options, mounts to k->mounts. */
bool creation_is_cdi(const char *device);
int creation_cdi(struct creation *k, struct run_options *o, struct err **reterr);
/* create_mounts.c: an empty mount, to be filled; whether there is one at @target, a clean path. */
struct run_mount *creation_mount_add(struct creation *k);
bool creation_mount_taken(const struct creation *k, const char *target);
int creation_mounts(struct creation *k, struct err **reterr); /* create_mounts.c: mounts */
/* create_volumes.c: the volumes, held until creation_volumes_release(); overlays of mounts. Behind creation_spec(). */
int creation_volumes(struct creation *k, struct err **reterr);
void creation_let_volumes_go(struct creation *k); /* of the locks on them */
void creation_volumes_release(struct creation *k);
/* create_spec.c: the layers of an image for this container's ids, made when missing; its files as a plain directory below the data root. */
int creation_layers(struct creation *k, const struct image *image, struct strv *ret,
                    struct err **reterr);
int creation_flatten(struct creation *k, const struct image *image, const char *target,
                     struct err **reterr);
int creation_files(
    struct creation *k,
    struct err **reterr); /* create_files.c: hosts, resolv.conf, hostname, directories */
/* create_pod.c: the empty root of an infra container; what both kinds have in config.json; the options of a member, which
 * become those of its pod; the container whose file of /etc it has (NULL: its own). */
int creation_infra_root(struct creation *k, struct err **reterr);
void creation_pod_config(const struct creation *k, struct json_object *doc);
int creation_join_pod(struct creation *k, struct run_options *o, struct err **reterr);
const char *creation_pod_file(const struct creation *k, const char *name);
bool creation_pod_is_gone(const struct creation *k);
/* create_secrets.c: copies of the secrets that it is given; behind creation_spec(). */
int creation_secrets(struct creation *k, struct err **reterr);
/* create_files.c: a file of the container, mounted on /etc/@name unless the user has mounted something there. */
bool creation_mounts_over(const struct creation *k, const char *name);
int creation_put_file(struct creation *k, const char *name, const struct strbuf *text,
                      struct err **reterr);
/* create_passwd.c: the text of the image's /etc/@name; false: it has none that can be taken over. Caller owns *ret. */
bool creation_read_etc(const struct creation *k, const char *name, char **ret);
int creation_accounts(struct creation *k, struct err **reterr); /* create_passwd.c */
int creation_config(struct creation *k, struct err **reterr);   /* create_config.c: doc */
int creation_host_config(struct creation *k, struct json_object *host, struct err **reterr);
/* "name or id" of --pid=container:X and the like; NULL when @value is none. */
const char *container_join_target(const char *value);
char *container_bind_text(const struct run_mount *m); /* SRC:DST[:OPTS]; caller owns */

/* find.c: the id that a name, an id or the beginning of one leads to, whatever state the container is in: 1, 0: none. */
int container_find_id(const struct dirs *d, const char *name, char ret_id[65], struct err **reterr);

/* ---- start.c ---- */
struct monitor_spawn {
        struct strv argv;
        bool attach, passthrough;
        int request_fd;        /* -EBADF: none */
        struct strv *warnings; /* NULL ok */
        const int *preserve;
        size_t n_preserve;
};
int monitor_spawn(struct monitor_spawn *m, struct container_io *ret, struct err **reterr);
void container_io_close(struct container_io *io);

/* ---- log_tag.c ---- */
/* The log option "tag" is a template over ID FullID Name FullName ImageID ImageFullID ImageName Command DaemonName. ERR_USAGE. */
int log_tag_check(const char *tag, struct err **reterr);
int log_tag_expand(const struct container *c, const char *tag, char **ret, struct err **reterr);

/* ---- inspect_*.c ---- */
/* Docker's HostConfig and Config, every field present: the defaults, then what was asked; and what Docker had in other places
 * before. Caller owns. */
struct json_object *inspect_host_config(const struct container *c, const struct spec *s);
struct json_object *inspect_config(const struct container *c, struct json_object *host);
/* What keeps it apart, by property: State (enforced, emulated, absent), Reason, Observed (of the process, not of the description). Caller owns. */
struct json_object *inspect_isolation(const struct container *c, const struct spec *s);
struct json_object *inspect_network_settings(const struct container *c);

/* ---- changes.c ---- */
/* kelp-image's description of a container (image_protocol.h). *ret_fd: what to give it as input, or -EBADF. @compare: the layers are needed. */
int container_source(const struct dirs *d, struct container *c, bool compare,
                     struct json_object **ret, int *ret_fd, struct err **reterr);
