/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile instructions: a failing one changes nothing, a good one leaves an object. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/json.h"
#include "image/change.h"
#include "image/platform.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_FREE char *s = xstrndup((const char *)data, n);
        AUTO_JSON *config = json_object_new_object();
        AUTO_FREE char *before = NULL;
        struct platform p;

        json_object_array_add(json_array(config, "Env"), json_object_new_string("A=1"));
        json_add_string(config, "WorkingDir", "/a");
        before = xstrdup(json_object_to_json_string(config));
        if (change_apply(config, s, NULL) < 0 &&
            strcmp(before, json_object_to_json_string(config)) != 0)
                abort();
        if (!json_object_is_type(config, json_type_object))
                abort();
        if (platform_parse(s, &p, NULL) >= 0 && platform_score(&p, &p) <= 0)
                abort();
        return 0;
}
