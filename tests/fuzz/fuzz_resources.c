/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources. What is accepted is written again and stays the same; what it becomes for cgroup v2 never leads out of the cgroup. */
#include "fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cgroup/convert.h"
#include "spec/resources.h"

#include <stdlib.h>
#include <string.h>

static void try_convert(const struct spec_resources *res)
{
        struct cgroup_settings settings = {0};
        AUTO_STRV controllers = {0};
        struct err *e = NULL;
        int r = cgroup_convert(res, &settings, NULL, &e);

        if ((r < 0) != (e != NULL) || (r < 0 && settings.n > 0))
                abort();
        for (size_t i = 0; i < settings.n; i++) {
                const char *file = settings.v[i].file;

                if (strchr(file, '/') || file[0] == '.' || strchr(settings.v[i].value, '\n'))
                        abort();
        }
        cgroup_settings_controllers(&settings, &controllers);
        cgroup_settings_release(&settings);
        (void)err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_JSON *in = NULL;
        AUTO_JSON *out = NULL;
        AUTO_JSON *again = NULL;
        AUTO(spec_resources_freep) struct spec_resources *first = NULL;
        AUTO(spec_resources_freep) struct spec_resources *second = NULL;
        struct err *e = NULL;

        if (json_parse((const char *)data, n, "resources", &in, NULL) < 0)
                return 0;
        if (spec_resources_from_json(in, "resources", &first, &e) < 0) {
                if (!e || first)
                        abort();
                (void)err_free(e);
                return 0;
        }
        out = spec_resources_to_json(first);
        if (spec_resources_from_json(out, "resources", &second, &e) < 0)
                abort();
        again = spec_resources_to_json(second);
        if (!json_object_equal(out, again) ||
            spec_resources_limits(first) != spec_resources_limits(second))
                abort();
        try_convert(first);
        return 0;
}
