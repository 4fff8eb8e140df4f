/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* documents — what kelp-oci says without a container: "features", and the config.json that "spec" begins a bundle with. */
#include <stdbool.h>
#include <sys/types.h>

struct err;
struct json_object;

/* The features document of runtime-spec, from the tables that the readers of a config use. Caller owns. */
struct json_object *oci_features(void);

/* A config.json that runs "sh" in ./rootfs. @rootless: in a user namespace that maps root to @uid and @gid. Caller owns. */
struct json_object *oci_default_config(bool rootless, uid_t uid, gid_t gid);
/* Puts it into the directory @bundle. ERR_EXISTS: there is one, which is left alone. */
int oci_write_default_config(const char *bundle, bool rootless, struct err **reterr);
