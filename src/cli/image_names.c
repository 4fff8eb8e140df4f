/* SPDX-License-Identifier: Apache-2.0 */
/* image_names — see image_names.h. */
#include "cli/image_names.h"

#include "base/alloc.h"
#include "image/reference.h"

char *image_familiar(const char *formatted)
{
        AUTO(reference_release) struct reference r = {0};

        return reference_parse(formatted, &r, NULL) < 0 ? xstrdup(formatted)
                                                        : reference_familiar(&r);
}

void image_familiar_split(const char *formatted, char **ret_repository, char **ret_tag)
{
        AUTO(reference_release) struct reference r = {0};

        if (reference_parse(formatted, &r, NULL) < 0) {
                *ret_repository = xstrdup(formatted);
                *ret_tag = xstrdup("<none>");
                return;
        }
        *ret_tag = xstrdup(r.tag ? r.tag : "<none>");
        free(r.tag);
        r.tag = NULL;
        *ret_repository = reference_familiar(&r);
}
