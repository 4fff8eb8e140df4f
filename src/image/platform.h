/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* platform — "os/arch[/variant]": parsing, normalising, and how well a candidate suits a wish. Pure, but for platform_host(). */
#include <stdbool.h>

struct err;
#define PLATFORM_PART 32
struct platform {
        char os[PLATFORM_PART], arch[PLATFORM_PART],
            variant[PLATFORM_PART]; /* variant "" when it has none */
};
/* "linux/amd64", "arm64", "linux/arm/v7". ERR_USAGE names the value. */
int platform_parse(const char *s, struct platform *ret, struct err **reterr);
/* From an image's fields (NULL: absent), normalised: x86_64 → amd64, aarch64 → arm64, armhf → arm/v7 … */
void platform_set(struct platform *p, const char *os, const char *arch, const char *variant);
void platform_host(struct platform *ret);
/* 0: does not run; otherwise the higher the better, from PLATFORM_SAME_ARCH on for the same architecture. */
#define PLATFORM_SAME_ARCH 10000
int platform_score(const struct platform *wanted, const struct platform *candidate);
void platform_format(const struct platform *p, char ret[3 * PLATFORM_PART]);
