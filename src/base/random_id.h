/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* random_id — identifiers from getrandom(2). */
#define RANDOM_ID_LEN 64
/* 64 lower-case hexadecimal digits, never all decimal in the first 12. */
void random_id(char buf[RANDOM_ID_LEN + 1]);
/* "adjective_noun" for containers without --name. */
void random_name(char *buf, unsigned long size);
