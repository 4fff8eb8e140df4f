/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/confirm.h"

#include "base/fd.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool confirm(const char *warning)
{
        char answer[16];

        printf("WARNING! %s\nAre you sure you want to continue? [y/N] ", warning);
        (void)fflush(stdout);
        if (!fgets(answer, sizeof(answer), stdin))
                answer[0] = '\0';
        if (!fd_is_terminal(STDIN_FILENO))
                printf("\n");
        answer[strcspn(answer, "\r\n")] = '\0';
        return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}
