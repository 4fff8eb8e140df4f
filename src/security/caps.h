/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * caps — capability names, sets as 64-bit masks (bit n = capability n), and what --cap-add, --cap-drop mean.
 *
 * Pure but for caps_known(), which asks the kernel. A mask may hold capabilities that the running kernel lacks; they are cut
 * off with caps_known() where a mask meets the kernel.
 */
#include <stdint.h>

struct err;
struct strv;

#define CAPS_COUNT 41
#define CAPS_ALL   ((UINT64_C(1) << CAPS_COUNT) - 1)

const char *cap_name(int cap); /* "CAP_CHOWN"; NULL beyond the table */
/* With or without "CAP_", any case; -1 when unknown. */
int cap_from_name(const char *name);
/* Docker's default set. */
uint64_t caps_default(void);
/* Every capability of the running kernel. */
uint64_t caps_known(void);
/* Those that we may use ourselves. */
uint64_t caps_permitted(void);
/* Docker's rules: ALL stands for every one; drops are taken from the set that the adds made, except that "drop ALL, add X"
 * leaves X. ERR_USAGE names an unknown capability. */
int caps_adjust(uint64_t base, const struct strv *add, const struct strv *drop, uint64_t *ret,
                struct err **reterr);
