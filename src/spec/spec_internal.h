/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of spec/ share: helpers around the plain structs, and the tables of names. */
#include "spec/options.h"
#include "spec/spec.h"

#include <assert.h>
#include <sys/resource.h>

#define SPEC_STOP_TIMEOUT 10         /* seconds, Docker's */
#define SPEC_SHM_SIZE     (64 << 20) /* bytes, Docker's */
#define SPEC_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SPEC_LIST_MAX     65536 /* elements of any array that we read */
#define SPEC_HOOKS_MAX    1024  /* at one point */

struct spec_device *spec_add_device(struct spec *s, const char *host_path, const char *path,
                                    const char *access);
void spec_mount_release(struct spec_mount *m);
void spec_process_add_rlimit(struct spec_process *p, const struct spec_rlimit *limit);
int spec_rlimit_from_name(const char *name); /* "nofile"; -1 when unknown */
const char *spec_rlimit_name(int resource);
int spec_personality_from_name(const char *name); /* personality(2)'s; -1 when unknown */
const char *spec_personality_name(int64_t personality);

/* mount_spec.c: what -v, --mount and --tmpfs have in common. @value: the whole, for messages. */
int run_mount_take_option(struct run_mount *m, const char *o, const char *value,
                          struct err **reterr); /* 1: taken; 0: unknown */
int run_mount_check(const struct run_mount *m, const char *value, struct err **reterr);
int run_mount_check_target(const char *what, const char *value, const char *target,
                           struct err **reterr);
int run_mount_size(struct run_mount *m, const char *v, const char *value, struct err **reterr);
int run_mount_mode(struct run_mount *m, const char *v, const char *value, struct err **reterr);

/* build_security.c: the options that decide about privileges. */
int spec_build_security(const struct run_options *o, const struct image_config *image,
                        struct spec *s, struct err **reterr);
/* build_mounts.c: default mounts, then the user's; devices. */
int spec_build_mounts(const struct run_options *o, struct spec *s, struct err **reterr);

/* spec_json.c, spec_read.c: one table for both directions of the member "kelp". */
#define SPEC_OCI_VERSION "1.2.0"
#define SPEC_CAP_SETS    5
enum spec_field_kind { SPEC_FIELD_STRING, SPEC_FIELD_STRV, SPEC_FIELD_BOOL, SPEC_FIELD_U32 };
struct spec_field {
        const char *name;
        enum spec_field_kind kind;
        size_t offset; /* in struct spec */
};
extern const struct spec_field spec_kelp_fields[];
extern const size_t spec_kelp_n_fields;
extern const char *const spec_seccomp_names[SPEC_SECCOMP_COUNT];
extern const char *const spec_cap_sets[SPEC_CAP_SETS];
uint64_t *spec_cap_set(struct spec_process *p, size_t i);

/* read_parts.c: what both readers of JSON take. */
struct json_at;
int spec_read_string(const struct json_at *at, const char *key, char **ret, struct err **reterr);
/* *ret: which of the @n @names the string is. */
int spec_read_name(const struct json_at *at, const char *const *names, size_t n, size_t *ret,
                   struct err **reterr);
int spec_check_absolute(const struct json_at *at, const char *path, struct err **reterr);
int spec_read_namespace(const struct json_at *at, struct spec *s, struct err **reterr);
int spec_read_id_map(const struct json_at *at, const char *key, struct id_map *map,
                     struct err **reterr);
typedef int (*spec_read_element_fn)(const struct json_at *at, struct spec *s, struct err **reterr);
/* An array that may be absent: @fn for each of its elements. */
int spec_read_list(const struct json_at *parent, const char *key, spec_read_element_fn fn,
                   struct spec *s, struct err **reterr);
/* @warnings NULL: an unknown capability is an error. */
int spec_process_from_json(const struct json_at *at, struct spec_process *p, struct strv *warnings,
                           struct err **reterr);

/* oci_*.c: parts of a bundle's config.json. */
int spec_read_oci_process(const struct json_at *at, struct spec_process *p, struct strv *warnings,
                          struct err **reterr);
int spec_read_oci_mount(const struct json_at *at, struct spec *s, struct err **reterr);
int spec_read_oci_hooks(const struct json_at *at, struct spec *s, struct err **reterr);
int spec_read_oci_linux(const struct json_at *at, struct spec *s, struct err **reterr);
