/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* host — facts about this machine that listings show. */
#include <stdint.h>

struct host {
        char kernel[65], machine[65], name[65];
        char os_name[128], os_version[64]; /* from os-release */
        const char *go_arch;               /* "amd64": the word of image configurations */
        uint64_t memory;                   /* bytes */
        unsigned processors;               /* that we may use */
};
void host_get(struct host *ret);
