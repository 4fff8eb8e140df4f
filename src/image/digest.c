/* SPDX-License-Identifier: Apache-2.0 */
#include "image/digest.h"

#include "base/str.h"

#include <string.h>

static const struct {
        const char *prefix;
        size_t digits;
} algorithms[] = {
    {"sha256:", 64},
    {"sha512:", 128},
};

const char *digest_hex(const char *s)
{
        for (size_t i = 0; s && i < ARRAY_SIZE(algorithms); i++)
                if (str_starts(s, algorithms[i].prefix)) {
                        const char *hex = s + strlen(algorithms[i].prefix);

                        return str_is_hex(hex, algorithms[i].digits) ? hex : NULL;
                }
        return NULL;
}

bool digest_is_valid(const char *s)
{
        return digest_hex(s) != NULL;
}

bool digest_is_hex_prefix(const char *s)
{
        size_t n;

        if (!s)
                return false;
        if (str_starts(s, "sha256:"))
                s += strlen("sha256:");
        n = strlen(s);
        return n >= 1 && n <= 64 && str_is_hex(s, n);
}
