/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images: what is accepted comes back as it was, is safe as a file name, and has no byte that means something elsewhere. */
#include "fuzz.h"

#include "base/alloc.h"
#include "image/digest.h"
#include "image/reference.h"

#include <stdlib.h>
#include <string.h>

static void must(int ok)
{
        if (!ok)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_FREE char *s = xstrndup((const char *)data, n);
        AUTO_FREE char *unescaped = reference_unescape(s);
        AUTO(reference_release) struct reference r = {0}, full = {0}, short_form = {0};
        AUTO_FREE char *formatted = NULL, *again = NULL, *familiar = NULL, *escaped = NULL;
        AUTO_FREE char *back = NULL, *twin = NULL, *same = NULL;

        (void)digest_is_hex_prefix(s);
        if (digest_is_valid(s))
                must(strspn(digest_hex(s), "0123456789abcdef") == strlen(digest_hex(s)));
        if (unescaped) {
                escaped = reference_escape(unescaped);
                free(TAKE_PTR(escaped));
        }
        if (reference_parse(s, &r, NULL) < 0)
                return 0;
        formatted = reference_format(&r);
        must(reference_parse(formatted, &full, NULL) == 0);
        again = reference_format(&full);
        must(strcmp(formatted, again) == 0);
        /* The familiar form means the same image, or its twin on this machine. */
        familiar = reference_familiar(&r);
        must(reference_parse(familiar, &short_form, NULL) == 0);
        same = reference_format(&short_form);
        twin = reference_twin(&r);
        must(strcmp(same, formatted) == 0 || (twin && strcmp(same, twin) == 0));
        escaped = reference_escape(formatted);
        must(escaped && strlen(escaped) < 255 && !strchr(escaped, '/') && escaped[0] != '.');
        back = reference_unescape(escaped);
        must(back && strcmp(back, formatted) == 0);
        return 0;
}
