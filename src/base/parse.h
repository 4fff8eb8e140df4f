/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* parse — numbers and quantities as Docker's flags write them. Whole string or -EINVAL/-ERANGE; no locale; no allocation. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

int parse_u32(const char *s, uint32_t *ret);
int parse_u64(const char *s, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);
/* What strtod reads, whole and finite, but for words: digits or a sign come first. */
int parse_double(const char *s, double *ret);
/* Go's strconv.ParseBool: 1 t T TRUE true True / 0 f F FALSE false False. */
int parse_bool(const char *s, bool *ret);
/* Bytes: "64m", "1.5g", "10MiB", a plain number. At most INT64_MAX. */
int parse_size(const char *s, uint64_t *ret);
/* Go's: "1m30s", "500ms"; a plain number is seconds. */
int parse_duration(const char *s, int64_t *ret_ns);
/* 9, KILL, SIGKILL, RTMIN+3, in any case. */
int parse_signal(const char *s, int *ret);
/* "SIGKILL", "SIGRTMIN+3"; NULL when unknown. */
const char *signal_name(int sig);
int parse_octal_mode(const char *s, uint32_t *ret);
