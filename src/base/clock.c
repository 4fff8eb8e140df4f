/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/macros.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL

static int64_t clock_get_ns(clockid_t id)
{
        struct timespec ts;

        (void)clock_gettime(id, &ts);
        return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_now_ns(void)
{
        return clock_get_ns(CLOCK_REALTIME);
}

int64_t clock_monotonic_ns(void)
{
        return clock_get_ns(CLOCK_BOOTTIME);
}

char *clock_format(int64_t ns, char buf[CLOCK_RFC3339_MAX])
{
        time_t s = (time_t)(ns / NS_PER_S);
        long frac = (long)(ns % NS_PER_S);
        struct tm tm;
        int n, digits = 9;

        if (frac < 0) {
                frac += NS_PER_S;
                s--;
        }
        (void)gmtime_r(&s, &tm);
        /* The range of int64_t nanoseconds is 1677 to 2262. */
        n = snprintf(buf, CLOCK_RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d",
                     (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                     tm.tm_sec);
        while (frac > 0 && frac % 10 == 0) {
                frac /= 10;
                digits--;
        }
        if (frac > 0)
                n += snprintf(buf + n, CLOCK_RFC3339_MAX - (size_t)n, ".%0*ld", digits, frac);
        (void)snprintf(buf + n, CLOCK_RFC3339_MAX - (size_t)n, "Z");
        return buf;
}

/* Exactly @n digits. Moves *s behind them. */
static int clock_digits(const char **s, int n, int min, int max, int *ret)
{
        int v = 0;

        for (; n > 0; n--, (*s)++) {
                if (**s < '0' || **s > '9')
                        return -EINVAL;
                v = v * 10 + (**s - '0');
        }
        if (v < min || v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

static int clock_char(const char **s, const char *set)
{
        if (**s == '\0' || !strchr(set, **s))
                return -EINVAL;
        return *(*s)++;
}

/* "." and at least one digit; digits below the nanosecond are cut off. */
static int clock_fraction(const char **s, int *ret_ns)
{
        int ns = 0, scale = NS_PER_S / 10;

        *ret_ns = 0;
        if (**s != '.')
                return 0;
        (*s)++;
        if (**s < '0' || **s > '9')
                return -EINVAL;
        for (; **s >= '0' && **s <= '9'; (*s)++) {
                ns += (**s - '0') * scale;
                scale /= 10;
        }
        *ret_ns = ns;
        return 0;
}

/* "Z" or "+hh:mm", in seconds east of UTC. */
static int clock_offset(const char **s, int *ret)
{
        int sign, hours, minutes;

        sign = clock_char(s, "Zz+-");
        if (sign < 0)
                return sign;
        *ret = 0;
        if (sign == 'Z' || sign == 'z')
                return 0;
        if (clock_digits(s, 2, 0, 23, &hours) < 0 || clock_char(s, ":") < 0 ||
            clock_digits(s, 2, 0, 59, &minutes) < 0)
                return -EINVAL;
        *ret = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
        return 0;
}

static int clock_days_in(int year, int month)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return days[month - 1] + (month == 2 && leap);
}

int clock_parse(const char *s, int64_t *ret_ns)
{
        int year, month, day, hour, minute, second, ns, offset;
        struct tm tm;
        int64_t t;

        if (clock_digits(&s, 4, 1, 9999, &year) < 0 || clock_char(&s, "-") < 0 ||
            clock_digits(&s, 2, 1, 12, &month) < 0 || clock_char(&s, "-") < 0 ||
            clock_digits(&s, 2, 1, clock_days_in(year, month), &day) < 0 ||
            clock_char(&s, "Tt ") < 0 || clock_digits(&s, 2, 0, 23, &hour) < 0 ||
            clock_char(&s, ":") < 0 || clock_digits(&s, 2, 0, 59, &minute) < 0 ||
            clock_char(&s, ":") < 0 || clock_digits(&s, 2, 0, 60, &second) < 0 ||
            clock_fraction(&s, &ns) < 0 || clock_offset(&s, &offset) < 0 || *s != '\0')
                return -EINVAL;
        tm = (struct tm){
            .tm_year = year - 1900,
            .tm_mon = month - 1,
            .tm_mday = day,
            .tm_hour = hour,
            .tm_min = minute,
            .tm_sec = second,
        };
        t = (int64_t)timegm(&tm) - offset;
        /* Go's zero time is far outside of what nanoseconds since 1970 can say in 64 bits. */
        if (__builtin_mul_overflow(t, NS_PER_S, &t) || __builtin_add_overflow(t, ns, &t))
                return -EINVAL;
        *ret_ns = t;
        return 0;
}

/* Whole hours are rounded to the nearest from the first hour on; everything below and above is cut off. */
char *clock_human(int64_t duration_ns, char *buf, size_t size)
{
        static const struct {
                int64_t from, unit; /* seconds */
                const char *name;
        } rows[] = {
            {0, 1, "seconds"},
            {120, 60, "minutes"},
            {3600, 3600, "hours"},
            {48LL * 3600, 86400, "days"},
            {14LL * 86400, 7LL * 86400, "weeks"},
            {60LL * 86400, 30LL * 86400, "months"},
            {730LL * 86400, 365LL * 86400, "years"},
        };
        int64_t s = duration_ns / NS_PER_S;
        size_t i = ARRAY_SIZE(rows) - 1;
        const char *words = NULL;

        if (s >= 3600)
                s = (s + 1800) / 3600 * 3600;
        if (s < 1)
                words = "Less than a second";
        else if (s == 1)
                words = "1 second";
        else if (s >= 60 && s < 120)
                words = "About a minute";
        else if (s == 3600)
                words = "About an hour";
        while (i > 0 && s < rows[i].from)
                i--;
        if (words)
                (void)snprintf(buf, size, "%s", words);
        else
                (void)snprintf(buf, size, "%lld %s", (long long)(s / rows[i].unit), rows[i].name);
        return buf;
}
