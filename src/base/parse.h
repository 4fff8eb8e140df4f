/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* parse — numbers and quantities as Docker's flags write them. Whole string or -EINVAL/-ERANGE; no locale; no allocation. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

int parse_u32(const char *s, uint32_t *ret);
int parse_u64(const char *s, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);
int parse_bool(const char *s,
               bool *ret); /* Go's strconv.ParseBool: 1 t T TRUE true True / 0 f F … */
int parse_size(const char *s, uint64_t *ret); /* bytes: "64m", "1.5g", "10MiB", plain number */
int parse_duration(const char *s,
                   int64_t *ret_ns);       /* Go's: "1m30s", "500ms"; a plain number is seconds */
int parse_signal(const char *s, int *ret); /* 9, KILL, SIGKILL, RTMIN+3 */
const char *signal_name(int sig); /* "SIGKILL"; NULL when unknown; RTMIN+n in a static table */
int parse_octal_mode(const char *s, uint32_t *ret);
