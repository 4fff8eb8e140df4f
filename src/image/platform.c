/* SPDX-License-Identifier: Apache-2.0 */
#include "image/platform.h"

#include "base/err.h"
#include "base/macros.h"
#include "base/parse.h"
#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
        const char *name, *arch, *variant;
} spellings[] = {
    {"x86_64", "amd64", ""},  {"x86-64", "amd64", ""},
    {"i386", "386", ""},      {"i486", "386", ""},
    {"i586", "386", ""},      {"i686", "386", ""},
    {"aarch64", "arm64", ""}, {"armhf", "arm", "v7"},
    {"armel", "arm", "v6"},   {"armv7l", "arm", "v7"},
    {"armv6l", "arm", "v6"},  {"armv8l", "arm", "v8"},
    {"riscv", "riscv64", ""}, {"powerpc64le", "ppc64le", ""},
};

static void put(char dst[PLATFORM_PART], const char *src)
{
        (void)snprintf(dst, PLATFORM_PART, "%s", src ? src : "");
}

void platform_set(struct platform *p, const char *os, const char *arch, const char *variant)
{
        put(p->os, str_empty(os) ? "linux" : os);
        put(p->arch, arch);
        put(p->variant, variant);
        for (size_t i = 0; arch && i < ARRAY_SIZE(spellings); i++)
                if (strcmp(arch, spellings[i].name) == 0) {
                        put(p->arch, spellings[i].arch);
                        if (str_empty(variant))
                                put(p->variant, spellings[i].variant);
                }
        /* Spellings of the baseline. */
        if ((strcmp(p->arch, "amd64") == 0 && strcmp(p->variant, "v1") == 0) ||
            (strcmp(p->arch, "arm64") == 0 &&
             (strcmp(p->variant, "v8") == 0 || strcmp(p->variant, "8") == 0)))
                p->variant[0] = '\0';
        if (strcmp(p->arch, "arm") == 0 && p->variant[0] == '\0')
                put(p->variant, "v7");
}

int platform_parse(const char *s, struct platform *ret, struct err **reterr)
{
        AUTO_STRV parts = {0};
        bool good = true;
        int r;

        strv_split(&parts, s, '/');
        for (size_t i = 0; i < parts.n; i++)
                good = good && parts.v[i][0] && strlen(parts.v[i]) < PLATFORM_PART;
        if (!good || parts.n < 1 || parts.n > 3) {
                r = err_new(reterr, ERR_USAGE, "invalid platform '%s'", s);
                return err_hint(reterr, r,
                                "write it as os/architecture[/variant], for example linux/arm64");
        }
        if (parts.n == 1 && strcmp(parts.v[0], "linux") == 0)
                platform_host(ret);
        else if (parts.n == 1)
                platform_set(ret, "linux", parts.v[0], NULL);
        else
                platform_set(ret, parts.v[0], parts.v[1], parts.n == 3 ? parts.v[2] : NULL);
        return 0;
}

void platform_host(struct platform *ret)
{
        struct utsname u;

        platform_set(ret, "linux", uname(&u) == 0 ? u.machine : "", NULL);
#ifdef __x86_64__
        /* The levels of the psABI: an image for v3 runs where the processor has v3. */
        __builtin_cpu_init();
        if (strcmp(ret->arch, "amd64") == 0) {
                if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
                        put(ret->variant, "v4");
                else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                         __builtin_cpu_supports("fma"))
                        put(ret->variant, "v3");
                else if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
                        put(ret->variant, "v2");
        }
#endif
}

/* "v8.2" → 802, "v7" → 700, "" → the architecture's baseline. */
static int variant_level(const struct platform *p)
{
        const char *v = p->variant[0] == 'v' ? p->variant + 1 : p->variant;
        uint32_t major = 0, minor = 0;
        char head[PLATFORM_PART];
        size_t n = strcspn(v, ".");

        if (p->variant[0] == '\0')
                return strcmp(p->arch, "amd64") == 0   ? 100
                       : strcmp(p->arch, "arm64") == 0 ? 800
                                                       : 0;
        (void)snprintf(head, sizeof(head), "%.*s", (int)n, v);
        if (parse_u32(head, &major) < 0 || major > 99)
                return -1;
        if (v[n] && (parse_u32(v + n + 1, &minor) < 0 || minor > 99))
                return -1;
        return (int)(major * 100 + minor);
}

int platform_score(const struct platform *wanted, const struct platform *candidate)
{
        int have = variant_level(wanted), need = variant_level(candidate);

        if (strcmp(wanted->os, candidate->os) != 0)
                return 0;
        if (strcmp(wanted->arch, candidate->arch) == 0) {
                if (strcmp(wanted->variant, candidate->variant) == 0)
                        return 100000;
                /* Every level runs what was made for the ones below it; the nearest is the best. */
                return have >= 0 && need >= 0 && need <= have ? PLATFORM_SAME_ARCH + need : 0;
        }
        if (strcmp(wanted->arch, "amd64") == 0 && strcmp(candidate->arch, "386") == 0)
                return 1000;
        /* 64-bit ARM machines run 32-bit programs, as a rule. */
        if (strcmp(wanted->arch, "arm64") == 0 && strcmp(candidate->arch, "arm") == 0 &&
            need >= 500)
                return 1000 + need;
        return 0;
}

void platform_format(const struct platform *p, char ret[3 * PLATFORM_PART])
{
        (void)snprintf(ret, 3 * PLATFORM_PART, "%s/%s%s%s", p->os, p->arch[0] ? p->arch : "unknown",
                       p->variant[0] ? "/" : "", p->variant);
}
