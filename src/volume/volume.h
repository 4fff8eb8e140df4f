/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * volume — directories with a name, and their life (docs/state.md, "Volumes").
 *
 *   volumes/<name>/info.json   what was asked at its creation; never changes
 *   volumes/<name>/_data       the files
 *   volumes/<name>/lock        shared: a container is being made with it; exclusive: it is being filled, imported into or removed
 *   volumes/<name>/used        made when the first container has it: from then on it is never filled from an image
 *
 * Who uses a volume is not written down here: the containers' config.json say so. A container is made under the shared lock of its
 * volumes, and removal scans the containers under the exclusive one, so that neither misses the other.
 *
 * Process: everything here runs outside U as well as in it; files of subordinate ids are never touched, only renamed along with
 * the directories above them.
 */
#include "base/macros.h"
#include "base/str.h"
#include "base/tmp_dir.h"

#include <stdbool.h>
#include <stdint.h>

struct dirs;
struct err;
struct json_object;

#define VOLUMES          "volumes"
#define VOLUME_DATA      "_data"
#define VOLUME_INFO      "info.json"
#define VOLUME_LOCK      TMP_DIR_LOCK
#define VOLUME_USED      "used"
#define VOLUME_LIST      "volumes" /* in a container's directory: the names of those that go with it */
#define VOLUME_DRIVER    "local"
#define VOLUME_ANONYMOUS "com.docker.volume.anonymous" /* the label that Docker gives them */

struct volume {
        char *name;
        int64_t created_ns;
        struct strv labels, options; /* "k=v" */
};
struct volume *volume_free(struct volume *v);
DEFINE_CLEANUP(struct volume *, volume_free);
bool volume_is_anonymous(const struct volume *v);
/* The value of a label or option; NULL: it has none. */
const char *volume_pair(const struct strv *pairs, const char *key);

/* ---- names and options ---- */
/* Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]*. ERR_USAGE. */
int volume_check_name(const char *name, struct err **reterr);
/* "" or "local", else ERR_UNSUPPORTED. */
int volume_check_driver(const char *driver, struct err **reterr);

enum volume_kind { VOLUME_KIND_DIRECTORY, VOLUME_KIND_BIND, VOLUME_KIND_TMPFS };
/* What the options type, o and device ask to be mounted. */
struct volume_mount {
        enum volume_kind kind;
        char *device;        /* BIND: absolute */
        struct strv options; /* for the launcher: "ro", "size=64m", … */
};
void volume_mount_release(struct volume_mount *m);
/* ERR_UNSUPPORTED for what the kernel keeps from ordinary users, ERR_USAGE for what is no option. @options: "k=v". */
int volume_mount_parse(const struct strv *options, struct volume_mount *ret, struct err **reterr);

/* Tells the log of events: "create", "destroy", "mount", "unmount". @attributes (NULL ok) as in events.h, at most four pairs. */
void volume_event(const struct dirs *d, const char *name, const char *action,
                  const char *const *attributes);

/* ---- life ---- */
struct volume_create_opts {
        const char *name; /* NULL: anonymous, 64 hexadecimal digits */
        bool anonymous;   /* with a name of the caller's */
        bool quick; /* for a container that is removed on exit: need not survive a power cut */
        const char *driver; /* NULL: local */
        const struct strv *labels, *options;
};
/* *ret_name: caller owns. *ret_made (NULL ok): false when one of that name was there, which is no error and changes nothing. */
int volume_create(const struct dirs *d, const struct volume_create_opts *o, char **ret_name,
                  bool *ret_made, struct err **reterr);
/* ERR_NOT_FOUND "get X: no such volume". */
int volume_load(const struct dirs *d, const char *name, struct volume **ret, struct err **reterr);
/* By name. Damaged ones are left out. */
int volume_list(const struct dirs *d, struct volume ***ret, size_t *ret_n, struct err **reterr);
void volume_list_free(struct volume **v, size_t n);
bool volume_exists(const struct dirs *d, const char *name);
char *volume_relative_path(const char *name); /* "volumes/<name>/_data"; caller owns */
/* Docker's JSON: CreatedAt Driver Labels Mountpoint Name Options Scope. Caller owns. */
struct json_object *volume_inspect(const struct dirs *d, const struct volume *v);

/* ---- use ---- */
/*
 * The shared lock, for as long as a container is being made with it. *ret_first: nobody has had it yet, and the lock is exclusive:
 * the caller fills it or not, then calls volume_first_use_done(), which makes the lock a shared one. ERR_NOT_FOUND when it is not
 * there, or went while it was waited for. Waits for whoever fills it.
 */
int volume_hold(const struct dirs *d, const char *name, int *ret_lock, bool *ret_first,
                struct err **reterr);
int volume_first_use_done(const struct dirs *d, const char *name, int lock_fd, struct err **reterr);
/* The exclusive lock, for changes of the whole. ERR_BUSY when a container is being made with it. */
int volume_lock(const struct dirs *d, const char *name, int *ret_lock, struct err **reterr);
/* The containers that have the volume, but for @except (NULL: none): ids are added to @ret. */
int volume_users(const struct dirs *d, const char *name, const char *except, struct strv *ret,
                 struct err **reterr);
/*
 * Takes it away: into tmp/@ret_tmp->id, whose files the caller deletes, inside U if need be, before he lets the lock in
 * @ret_tmp go. ERR_BUSY names the containers that use it, but for @except. ERR_NOT_FOUND.
 */
int volume_remove(const struct dirs *d, const char *name, const char *except,
                  struct tmp_dir *ret_tmp, struct err **reterr);

/*
 * @tmp_name: the directory of a removed container (or of one that was never finished) in tmp/. Moves the volumes that its VOLUME_LIST names into it,
 * those that another container has excepted, so that they are deleted with it. May be repeated. Never fails.
 */
void volume_take_listed(const struct dirs *d, const char *tmp_name);

/* All volumes that some container has: those that are not in it are "dangling". */
int volume_used_names(const struct dirs *d, struct strv *ret, struct err **reterr);
