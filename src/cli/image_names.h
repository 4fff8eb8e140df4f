/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* image_names — names of images as listings show them. */

/* "docker.io/library/debian:12" → "debian:12". Caller owns. */
char *image_familiar(const char *formatted);
/* The same in two: "debian" and "12". Caller owns both. */
void image_familiar_split(const char *formatted, char **ret_repository, char **ret_tag);
