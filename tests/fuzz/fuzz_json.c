/* SPDX-License-Identifier: Apache-2.0 */
/* Any text: parses or is refused with words; what parses survives being read by every getter and being written again. */
#include "fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* The values of an object and the elements of an array, as every type there is. */
static void read_as_everything(const struct json_at *at, const char *key)
{
        AUTO_STRV v = {0};
        const char *s = NULL;
        uint64_t u;
        uint32_t u32;
        int64_t i;
        bool b;

        (void)json_opt_string(at, key, &s, NULL);
        (void)json_opt_u64(at, key, &u, NULL);
        (void)json_opt_u32(at, key, &u32, NULL);
        (void)json_opt_i64(at, key, &i, NULL);
        (void)json_opt_bool(at, key, &b, NULL);
        (void)json_opt_strv(at, key, &v, NULL);
}

static void walk(const struct json_at *at)
{
        AUTO_ERR struct err *e = NULL;
        size_t n = 0;

        if (json_object_is_type(at->obj, json_type_object)) {
                json_object_object_foreach(at->obj, key, value)
                {
                        struct json_at child = json_key(at, key);

                        if (child.obj != value)
                                abort();
                        read_as_everything(at, key);
                        walk(&child);
                }
        } else if (json_want_array(at, SIZE_MAX, &n, &e) >= 0) {
                for (size_t i = 0; i < n; i++) {
                        struct json_at child = json_elem(at, i);

                        walk(&child);
                }
        } else if (!err_message(e)) {
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_ERR struct err *e = NULL, *again_e = NULL;
        AUTO_JSON *o = NULL, *again = NULL;
        struct json_at root;
        const char *text;

        if (json_parse((const char *)data, n, "input", &o, &e) < 0) {
                if (!e || o)
                        abort();
                return 0;
        }
        root = json_root(o, "input");
        walk(&root);
        text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        if (json_parse(text, strlen(text), "written", &again, &again_e) < 0 ||
            !json_object_equal(o, again))
                abort();
        return 0;
}
