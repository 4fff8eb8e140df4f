/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a container's state is derived from: damaged ones are refused with words, and never believed. */
#include "fuzz.h"

#include "base/err.h"
#include "monitor/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_ERR struct err *e = NULL, *e2 = NULL;
        struct run_record run;
        struct exit_record x;

        if (run_record_parse((const char *)data, n, &run, &e) < 0) {
                if (!e)
                        abort();
        } else if (run.process.pid <= 0 || run.monitor.pid <= 0 || run.started_ns < 0 ||
                   strlen(run.process.boot_id) >= sizeof(run.process.boot_id)) {
                abort();
        }
        if (exit_record_parse((const char *)data, n, &x, &e2) < 0) {
                if (!e2)
                        abort();
        } else {
                if (x.code < 0 || x.code > 255 || x.finished_ns < 0)
                        abort();
                exit_record_release(&x);
        }
        return 0;
}
