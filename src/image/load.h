/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* load — what the readers of the formats share. */
#include "base/str.h"
#include "image/platform.h"

#include <stdbool.h>

struct err;
struct tool;
struct archive;
struct assembler;

struct loader {
        struct tool *tool;
        struct archive *archive;
        struct assembler *assembler;
        bool has_platform;        /* --platform: nothing else will do */
        struct platform platform; /* else the host's */
        unsigned loaded;
};
int load_oci(struct loader *l, struct err **reterr);
int load_docker(struct loader *l, struct err **reterr); /* manifest.json */
int load_repositories(struct loader *l,
                      struct err **reterr); /* before manifest.json: Docker 1.0 to 1.9 */
/* Adds names as they are stored; one that is no image name is left out with a warning. @local: a short name is of this machine
 * (localhost/x), as tools that write OCI archives mean it, else of docker.io. */
void load_add_name(struct loader *l, const char *name, bool local, struct strv *ret);
/* --platform and the config's platform. */
int load_check_platform(const struct loader *l, const struct platform *have, struct err **reterr);
