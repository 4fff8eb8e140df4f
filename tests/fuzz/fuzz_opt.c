/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: one argument per line; the first byte chooses whether options end at the first operand. Also the keys that detach, and
 * what is typed against them. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "base/str.h"
#include "cli/term.h"

struct args {
        bool b, c;
        int tri;
        char *s;
        struct strv list, csv;
        uint32_t u;
        int64_t i, d;
        uint64_t z;
};
#define F(f) offsetof(struct args, f)
static const struct opt opts[] = {
    {"bool", 'b', OPT_BOOL, F(b), NULL, ""},
    {"other", 'c', OPT_BOOL, F(c), NULL, ""},
    {"tri", 0, OPT_TRI, F(tri), NULL, ""},
    {"string", 's', OPT_STRING, F(s), NULL, ""},
    {"list", 'l', OPT_STRV, F(list), NULL, ""},
    {"csv", 0, OPT_CSV, F(csv), NULL, ""},
    {"u32", 'u', OPT_U32, F(u), NULL, ""},
    {"i64", 'i', OPT_I64, F(i), NULL, ""},
    {"size", 'z', OPT_SIZE, F(z), NULL, ""},
    {"duration", 'd', OPT_DURATION, F(d), NULL, ""},
    {0},
};
static const struct opt_section sections[] = {{opts, NULL, 0, false}, {0}};

/* Held back and passed on together are never more than what was typed. */
static void try_keys(const char *keys, const char *typed)
{
        struct detach_keys k;
        size_t n = strlen(typed), written = 0;
        AUTO_FREE char *out = xmalloc(n + DETACH_KEYS_MAX);

        if (detach_keys_parse(keys, &k, NULL) < 0)
                return;
        if (!detach_keys_filter(&k, typed, n, out, &written) && written + k.matched != n)
                abort();
        if (written > n)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_FREE char *text = xstrndup((const char *)data, size);
        struct args a = {0};
        AUTO_STRV argv = {0};
        AUTO_STRV rest = {0};
        bool help = false;
        struct opt_parse_opts o = {
            .sections = sections, .options_first = *text & 1, .ret_help = &help};

        strv_split(&argv, *text ? text + 1 : text, '\n');
        (void)opt_parse(&o, &a, argv.v, &rest, NULL);
        if (rest.n > argv.n)
                abort();
        opt_release(sections, &a);
        if (argv.n > 1)
                try_keys(argv.v[0], argv.v[1]);
        return 0;
}
