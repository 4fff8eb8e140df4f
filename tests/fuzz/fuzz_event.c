/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log of events: what is accepted has everything that printing and filtering rely on. */
#include "fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "events/events.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_JSON *event = event_parse((const char *)data, n);
        AUTO(event_filter_freep) struct event_filter *filter = NULL;
        AUTO_STRV filters = {0};

        strv_add(&filters, "container=ab");
        strv_add(&filters, "event=create");
        strv_add(&filters, "label=a=b");
        if (event_filter_parse(&filters, &filter, NULL) < 0)
                abort();
        if (!event)
                return 0;
        if (event_time_ns(event) <= 0)
                abort();
        (void)event_filter_match(filter, event);
        return 0;
}
