/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include "base/macros.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool parse_is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Reads decimal digits, at least one, and moves *s behind them. */
static int parse_digits(const char **s, uint64_t *ret)
{
        uint64_t v = 0;

        if (!parse_is_digit(**s))
                return -EINVAL;
        for (; parse_is_digit(**s); (*s)++)
                if (__builtin_mul_overflow(v, 10U, &v) ||
                    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
                        return -ERANGE;
        *ret = v;
        return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
        uint64_t v;
        int r;

        r = parse_digits(&s, &v);
        if (r < 0)
                return r;
        if (*s != '\0')
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
        uint64_t v;
        int r;

        r = parse_u64(s, &v);
        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return -ERANGE;
        *ret = (uint32_t)v;
        return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
        bool negative = *s == '-';
        uint64_t v;
        int r;

        r = parse_u64(s + (negative || *s == '+'), &v);
        if (r < 0)
                return r;
        if (v > (uint64_t)INT64_MAX + negative)
                return -ERANGE;
        *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
        return 0;
}

int parse_double(const char *s, double *ret)
{
        const char *digits = s + (*s == '-' || *s == '+');
        char *end;
        double d;

        if (*digits != '.' && (*digits < '0' || *digits > '9'))
                return -EINVAL;
        d = strtod(s, &end);
        if (*end || end == s || isinf(d))
                return -EINVAL;
        *ret = d;
        return 0;
}

int parse_bool(const char *s, bool *ret)
{
        static const struct {
                const char *word;
                bool value;
        } words[] = {
            {"1", true},    {"t", true},      {"T", true},      {"TRUE", true},
            {"true", true}, {"True", true},   {"0", false},     {"f", false},
            {"F", false},   {"FALSE", false}, {"false", false}, {"False", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(s, words[i].word) == 0) {
                        *ret = words[i].value;
                        return 0;
                }
        return -EINVAL;
}

int parse_octal_mode(const char *s, uint32_t *ret)
{
        uint32_t v = 0;

        if (*s == '\0')
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '7')
                        return -EINVAL;
                v = v * 8 + (uint32_t)(*s - '0');
                if (v > 07777)
                        return -ERANGE;
        }
        *ret = v;
        return 0;
}

/* ---- quantities: a decimal number times a unit, in integers, because doubles lose bytes above 2^53 ---- */

struct decimal {
        uint64_t whole;
        uint64_t frac, scale; /* frac / scale, scale a power of ten */
};

/* "1", "1.5", ".5" and "1.", as Go reads them; digits that no unit could make visible are dropped. */
static int parse_decimal(const char **s, struct decimal *ret)
{
        bool any = parse_is_digit(**s);
        int r = 0;

        *ret = (struct decimal){.scale = 1};
        if (any)
                r = parse_digits(s, &ret->whole);
        if (r < 0 || **s != '.')
                return any ? r : -EINVAL;
        for ((*s)++; parse_is_digit(**s); (*s)++) {
                any = true;
                if (ret->scale >= 1000000000000000000ULL)
                        continue;
                ret->frac = ret->frac * 10 + (uint64_t)(**s - '0');
                ret->scale *= 10;
        }
        return any ? 0 : -EINVAL;
}

/* value * unit, rounded down, at most @max. */
static int parse_scale(const struct decimal *d, uint64_t unit, uint64_t max, uint64_t *ret)
{
        __extension__ typedef unsigned __int128 wide;
        wide v = (wide)d->whole * unit + (wide)d->frac * unit / d->scale;

        if (v > max)
                return -ERANGE;
        *ret = (uint64_t)v;
        return 0;
}

/* The letter of a binary unit, as the power of 1024; -1 when it is none. */
static int parse_unit_power(char c)
{
        static const char letters[] = "kmgtpe";
        const char *at = c ? strchr(letters, c | 0x20) : NULL;

        return at ? (int)(at - letters) + 1 : -1;
}

int parse_size(const char *s, uint64_t *ret)
{
        struct decimal d;
        int r, power;

        r = parse_decimal(&s, &d);
        if (r < 0)
                return r;
        if (*s == ' ')
                s++;
        power = parse_unit_power(*s);
        if (power > 0) {
                s++;
                if (*s == 'i' || *s == 'I')
                        s++;
        }
        if (*s == 'b' || *s == 'B')
                s++;
        if (*s != '\0')
                return -EINVAL;
        return parse_scale(&d, 1ULL << (power > 0 ? 10 * power : 0), INT64_MAX, ret);
}

/* The unit at *s in nanoseconds; 0 when there is none that is known. */
static uint64_t parse_time_unit(const char **s)
{
        /* Longer names before their beginnings. The micro sign exists twice in Unicode. */
        static const struct {
                const char *name;
                uint64_t ns;
        } units[] = {
            {"ns", 1},       {"us", 1000},      {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
            {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
        };

        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                size_t n = strlen(units[i].name);

                if (strncmp(*s, units[i].name, n) == 0) {
                        *s += n;
                        return units[i].ns;
                }
        }
        return 0;
}

int parse_duration(const char *s, int64_t *ret_ns)
{
        bool negative = *s == '-', first = true;
        uint64_t total = 0;

        s += negative || *s == '+';
        do {
                struct decimal d;
                uint64_t unit, part;
                int r;

                r = parse_decimal(&s, &d);
                if (r < 0)
                        return r;
                unit = parse_time_unit(&s);
                /* A plain number, and nothing else, is seconds. */
                if (unit == 0 && (*s != '\0' || !first))
                        return -EINVAL;
                first = false;
                r = parse_scale(&d, unit ? unit : 1000000000, INT64_MAX, &part);
                if (r < 0)
                        return r;
                total += part;
                if (total > INT64_MAX)
                        return -ERANGE;
        } while (*s);
        *ret_ns = negative ? -(int64_t)total : (int64_t)total;
        return 0;
}

/* ---- signals ---- */

/* "+3" or "-2" behind RTMIN or RTMAX, or nothing. */
static int parse_signal_realtime(const char *s, int base, char sign, int *ret)
{
        uint32_t n = 0;
        int r;

        if (*s != '\0') {
                r = *s == sign ? parse_u32(s + 1, &n) : -EINVAL;
                if (r < 0)
                        return r;
        }
        if (n > (uint32_t)(SIGRTMAX - SIGRTMIN))
                return -EINVAL;
        *ret = sign == '+' ? base + (int)n : base - (int)n;
        return 0;
}

static bool parse_signal_is(const char *s, const char *name)
{
        /* signal_name() has the SIG, the user may leave it out; "kill" is fine too. */
        return strcasecmp(s, name + (strncasecmp(s, "SIG", 3) == 0 ? 0 : 3)) == 0;
}

int parse_signal(const char *s, int *ret)
{
        const char *bare = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
        uint32_t n;

        if (parse_is_digit(*s)) {
                if (parse_u32(s, &n) < 0 || n == 0 || n >= NSIG)
                        return -EINVAL;
                *ret = (int)n;
                return 0;
        }
        if (strncasecmp(bare, "RTMIN", 5) == 0)
                return parse_signal_realtime(bare + 5, SIGRTMIN, '+', ret);
        if (strncasecmp(bare, "RTMAX", 5) == 0)
                return parse_signal_realtime(bare + 5, SIGRTMAX, '-', ret);
        for (int sig = 1; sig < SIGRTMIN; sig++)
                if (signal_name(sig) && parse_signal_is(s, signal_name(sig))) {
                        *ret = sig;
                        return 0;
                }
        /* Old names of two. */
        if (strcasecmp(bare, "IOT") == 0 || strcasecmp(bare, "CLD") == 0) {
                *ret = strcasecmp(bare, "IOT") == 0 ? SIGABRT : SIGCHLD;
                return 0;
        }
        return strcasecmp(bare, "POLL") == 0 ? (*ret = SIGIO, 0) : -EINVAL;
}

const char *signal_name(int sig)
{
        /* Real-time signals by their distance from RTMIN; RTMIN itself is no constant in libc, so the rows cannot be
         * indexed by number. */
        static const char *const realtime[] = {
            "SIGRTMIN",    "SIGRTMIN+1",  "SIGRTMIN+2",  "SIGRTMIN+3",  "SIGRTMIN+4",
            "SIGRTMIN+5",  "SIGRTMIN+6",  "SIGRTMIN+7",  "SIGRTMIN+8",  "SIGRTMIN+9",
            "SIGRTMIN+10", "SIGRTMIN+11", "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14",
            "SIGRTMIN+15", "SIGRTMAX-14", "SIGRTMAX-13", "SIGRTMAX-12", "SIGRTMAX-11",
            "SIGRTMAX-10", "SIGRTMAX-9",  "SIGRTMAX-8",  "SIGRTMAX-7",  "SIGRTMAX-6",
            "SIGRTMAX-5",  "SIGRTMAX-4",  "SIGRTMAX-3",  "SIGRTMAX-2",  "SIGRTMAX-1",
            "SIGRTMAX",
        };
        static const char *const names[] = {
            [SIGHUP] = "SIGHUP",       [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT",
            [SIGILL] = "SIGILL",       [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",
            [SIGBUS] = "SIGBUS",       [SIGFPE] = "SIGFPE",   [SIGKILL] = "SIGKILL",
            [SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
            [SIGPIPE] = "SIGPIPE",     [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM",
            [SIGCHLD] = "SIGCHLD",     [SIGCONT] = "SIGCONT", [SIGSTOP] = "SIGSTOP",
            [SIGTSTP] = "SIGTSTP",     [SIGTTIN] = "SIGTTIN", [SIGTTOU] = "SIGTTOU",
            [SIGURG] = "SIGURG",       [SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ",
            [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGWINCH] = "SIGWINCH",
            [SIGIO] = "SIGIO",         [SIGPWR] = "SIGPWR",   [SIGSYS] = "SIGSYS",
#ifdef SIGSTKFLT
            [SIGSTKFLT] = "SIGSTKFLT",
#endif
        };

        if (sig >= SIGRTMIN && (size_t)(sig - SIGRTMIN) < ARRAY_SIZE(realtime))
                return realtime[sig - SIGRTMIN];
        return sig > 0 && (size_t)sig < ARRAY_SIZE(names) ? names[sig] : NULL;
}
