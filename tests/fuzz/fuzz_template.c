/* SPDX-License-Identifier: Apache-2.0 */
/* A template is parsed and rendered over a document with every kind of value; both come from the input: TEMPLATE NUL JSON. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "template/template.h"

#define FIXED                                                                                      \
        "{\"A\":\"a\",\"N\":-5,\"B\":true,\"Z\":null,\"L\":[1,\"x\",[2]],\"M\":{\"k\":{\"d\":\"/"  \
        "\"}},\"Labels\":{\"a.b\":\"c\"}}"

/* What was written as JSON is JSON, and says the same. */
static void check_json(struct json_object *doc)
{
        AUTO_STRBUF flat = {0};
        AUTO_STRBUF pretty = {0};
        struct json_object *again = NULL;

        json_write(&flat, doc, 0);
        json_write(&pretty, doc, 4);
        if (json_parse(flat.data, flat.len, "flat", &again, NULL) < 0 ||
            !json_object_equal(doc, again))
                abort();
        again = json_unref(again);
        if (json_parse(pretty.data, pretty.len, "pretty", &again, NULL) < 0 ||
            !json_object_equal(doc, again))
                abort();
        json_unref(again);
}

static int method(struct json_object *receiver, const char *const *args, void *arg,
                  struct json_object **ret, struct err **reterr)
{
        *ret = json_object_new_string(args[0]);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct template_method methods[] = {{"Label", 1, method}, {0}};
        AUTO_FREE char *text = xstrndup((const char *)data, size);
        AUTO(template_freep) struct template *t = NULL;
        struct template_opts opts = {.methods = methods,
                                     .maps = template_docker_maps,
                                     .output_max = 64 * 1024,
                                     .steps_max = 4096};
        AUTO_STRBUF out = {0};
        AUTO_JSON *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        size_t n = strlen(text);

        if (n < size)
                (void)json_parse((const char *)data + n + 1, size - n - 1, "input", &doc, NULL);
        if (doc)
                check_json(doc);
        else if (json_parse(FIXED, strlen(FIXED), "fixed", &doc, NULL) < 0)
                abort();
        opts.headings = n % 2;
        /* Every failure has words, a place and a hint. */
        if (template_parse(text, n % 3 ? TEMPLATE_ESCAPES : 0, &t, &e) < 0 ||
            template_execute(t, doc, &opts, &out, &e) < 0) {
                if (!e || (n <= TEMPLATE_SOURCE_MAX && !err_hint_text(e)))
                        abort();
        }
        return 0;
}
