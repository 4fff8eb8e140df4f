/* SPDX-License-Identifier: Apache-2.0 */
/* A spec in JSON. What is accepted is written again, and must then be accepted and be the same. */
#include "fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_JSON *in = NULL;
        AUTO_JSON *out = NULL;
        AUTO_JSON *again = NULL;
        AUTO(spec_freep) struct spec *first = NULL;
        AUTO(spec_freep) struct spec *second = NULL;
        struct err *e = NULL;

        if (json_parse((const char *)data, n, "spec", &in, NULL) < 0)
                return 0;
        if (spec_from_json(in, "spec", &first, &e) < 0) {
                if (!e || first)
                        abort();
                (void)err_free(e);
                return 0;
        }
        out = spec_to_json(first);
        if (spec_from_json(out, "spec", &second, &e) < 0)
                abort();
        again = spec_to_json(second);
        if (!json_object_equal(out, again))
                abort();
        return 0;
}
