/* SPDX-License-Identifier: Apache-2.0 */
/* Giving the child its maps: by newuidmap and newgidmap, which run at the same time, or by writing them. */
#include "idmap/userns_program.h"

int userns_target_apply(const struct userns_target *t, pid_t pid, struct err **reterr)
{
        int r;

        if (t->how == TARGET_TOOLS)
                return idmap_run_tools(pid, &t->uid, &t->gid, reterr);
        r = idmap_write(pid, &t->uid, &t->gid, reterr);
        return r < 0 ? r : idmap_verify(pid, &t->uid, &t->gid, reterr);
}
