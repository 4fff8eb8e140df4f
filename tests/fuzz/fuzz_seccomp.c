/* SPDX-License-Identifier: Apache-2.0 */
/* A seccomp profile: parsed for two sets of capabilities, compiled when it is short enough to be quick. */
#include "fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "security/profile.h"

#include <stdlib.h>

#define COMPILE_MAX 4096 /* bytes: libseccomp's time grows with the number of rules */

static void try_caps(struct json_object *obj, uint64_t caps, int compile)
{
        struct seccomp_filter f = {0};
        struct profile p = {0};
        struct profile_host host;
        struct err *e = NULL;
        int r;

        (void)profile_host_get(caps, &host);
        r = profile_parse(obj, "profile", &host, &p, &e);
        if ((r < 0) != (e != NULL))
                abort();
        if (r == 0 && compile) {
                r = profile_compile(&p, &f, &e);
                if ((r < 0) != (e != NULL) || (r == 0 && f.n == 0))
                        abort();
        }
        seccomp_filter_release(&f);
        profile_release(&p);
        (void)err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_JSON *obj = NULL;

        if (json_parse((const char *)data, n, "profile", &obj, NULL) < 0)
                return 0;
        try_caps(obj, 0, n <= COMPILE_MAX);
        try_caps(obj, UINT64_MAX, 0);
        return 0;
}
