/* SPDX-License-Identifier: Apache-2.0 */
/* One string through every reader of numbers, quantities, times and paths. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

static void check_numbers(const char *s)
{
        uint32_t u32 = 0;
        uint64_t u64 = 0;
        int64_t i64 = 0;
        bool b;
        int sig = 0;

        /* What fits the small type fits the large one, and is the same number. */
        if (parse_u32(s, &u32) == 0 && (parse_u64(s, &u64) < 0 || u64 != u32))
                abort();
        if (parse_u64(s, &u64) == 0 && u64 <= INT64_MAX && (parse_i64(s, &i64) < 0 || i64 < 0))
                abort();
        if (parse_size(s, &u64) == 0 && u64 > INT64_MAX)
                abort();
        (void)parse_duration(s, &i64);
        (void)parse_bool(s, &b);
        if (parse_octal_mode(s, &u32) == 0 && u32 > 07777)
                abort();
        if (parse_signal(s, &sig) == 0 && (sig < 1 || sig >= NSIG))
                abort();
}

static void check_time(const char *s)
{
        char text[CLOCK_RFC3339_MAX], words[64];
        int64_t ns = 0, again = 0;

        if (clock_parse(s, &ns) < 0)
                return;
        (void)clock_human(ns, words, sizeof(words));
        if (clock_parse(clock_format(ns, text), &again) < 0 || again != ns)
                abort();
}

static void check_path(const char *s)
{
        AUTO_FREE char *clean = path_clean(s), *again = path_clean(clean);

        /* Clean is clean. */
        if (strcmp(clean, again) != 0 || clean[0] == '\0' || strstr(clean, "//"))
                abort();
        if (s[0] == '/' && (clean[0] != '/' || strstr(clean, "/../")))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_FREE char *s = xstrndup((const char *)data, n);

        check_numbers(s);
        check_time(s);
        check_path(s);
        return 0;
}
