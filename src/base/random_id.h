/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* random_id — identifiers from getrandom(2). */
#define RANDOM_ID_LEN 64
void random_id(char buf[RANDOM_ID_LEN + 1]);                    /* 64 lower-case hexadecimal digits, never all decimal in the first 12 */
void random_name(char *buf, unsigned long size);                /* "adjective_noun" for containers without --name */
