/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* status — the monitor's side of STATUS (protocol.h). A kelp that is gone is no error: the container does not depend on it. */
#include <stdbool.h>
#include <sys/types.h>

struct err;

void status_started(pid_t pid, const char *warning); /* NULL: none */
void status_error(const struct err *e);
void status_exited(int code, bool oom);
