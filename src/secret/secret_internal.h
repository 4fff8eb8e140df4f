/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* secret_internal — what the files of secret/ share. */
#include "secret/secret.h"

#define SECRET_INFO "info.json"
#define SECRET_DATA "data"

/* By its very name; no words for a name that cannot be one: ERR_NOT_FOUND. */
int secret_load(const struct dirs *d, const char *name, struct secret **ret, struct err **reterr);
int secret_no_such(const char *name, struct err **reterr);
