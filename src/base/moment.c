/* SPDX-License-Identifier: Apache-2.0 */
#include "base/moment.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/parse.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* Seconds since 1970 with an optional fraction, as Docker's own client sends them. */
static bool parse_unix(const char *s, int64_t *ret)
{
        size_t whole = strspn(s, "0123456789");
        size_t fraction = s[whole] == '.' ? strspn(s + whole + 1, "0123456789") : 0;
        AUTO_FREE char *seconds = xstrndup(s, whole);
        uint64_t value;
        int64_t ns = 0;

        if (!whole || s[whole + (fraction ? fraction + 1 : 0)] || fraction > 9)
                return false;
        if (parse_u64(seconds, &value) < 0 || value > INT64_MAX / 1000000000 - 1)
                return false;
        for (size_t i = 0; i < 9; i++)
                ns = ns * 10 + (i < fraction ? s[whole + 1 + i] - '0' : 0);
        *ret = (int64_t)value * 1000000000 + ns;
        return true;
}

/* Dates and times without an offset are the caller's local time. */
static bool parse_local(const char *s, int64_t *ret)
{
        static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
                                            "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"};

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                struct tm tm = {.tm_isdst = -1};
                const char *end = strptime(s, forms[i], &tm);
                int64_t seconds;

                if (!end || *end)
                        continue;
                seconds = mktime(&tm);
                /* As far as nanoseconds since 1970 go: to 2262. */
                return !__builtin_mul_overflow(seconds, INT64_C(1000000000), ret);
        }
        return false;
}

int moment_parse(const char *s, int64_t *ret_ns)
{
        int64_t ago;

        if (parse_unix(s, ret_ns) || parse_local(s, ret_ns) || clock_parse(s, ret_ns) >= 0)
                return 0;
        if (parse_duration(s, &ago) < 0)
                return -EINVAL;
        *ret_ns = clock_now_ns() - ago;
        return 0;
}
