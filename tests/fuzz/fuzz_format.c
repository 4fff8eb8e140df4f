/* SPDX-License-Identifier: Apache-2.0 */
/* A template is parsed and rendered over a document with every kind of value; both come from the input: TEMPLATE NUL JSON. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/output.h"

#define FIXED                                                                                      \
        "{\"A\":\"a\",\"N\":-5,\"B\":true,\"Z\":null,\"L\":[1,\"x\",[2]],\"M\":{\"k\":{\"d\":\"/"  \
        "\"}}}"

/* What was written as JSON is JSON, and says the same. */
static void check_json(struct json_object *doc)
{
        AUTO_STRBUF flat = {0};
        AUTO_STRBUF pretty = {0};
        struct json_object *again = NULL;

        output_json(&flat, doc, 0);
        output_json(&pretty, doc, 4);
        if (json_parse(flat.data, flat.len, "flat", &again, NULL) < 0 ||
            !json_object_equal(doc, again))
                abort();
        again = json_unref(again);
        if (json_parse(pretty.data, pretty.len, "pretty", &again, NULL) < 0 ||
            !json_object_equal(doc, again))
                abort();
        json_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_FREE char *text = xstrndup((const char *)data, size);
        AUTO(format_freep) struct format *f = NULL;
        AUTO_STRBUF out = {0};
        AUTO_JSON *doc = NULL;
        size_t n = strlen(text);

        if (n < size)
                (void)json_parse((const char *)data + n + 1, size - n - 1, "input", &doc, NULL);
        if (doc)
                check_json(doc);
        else if (json_parse(FIXED, strlen(FIXED), "fixed", &doc, NULL) < 0)
                abort();
        if (format_parse(text, &f, NULL) >= 0)
                (void)format_render(f, doc, &out, NULL);
        return 0;
}
