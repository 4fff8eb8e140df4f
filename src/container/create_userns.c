/* SPDX-License-Identifier: Apache-2.0 */
/* create_userns — the ids of a new container: what its --userns comes to for this image, and the maps that follow. */
#include "base/err.h"
#include "container/container_internal.h"
#include "idmap/idmap.h"
#include "image/image_job.h"
#include "image/store.h"

#include <string.h>
#include <unistd.h>

#define KEEP_IMAGE "keep-id:image"

/* Whoever keeps his id wants to be himself inside, as with Podman: unless he, or the image, names a user. */
static void keep_user(struct spec *s, const struct idmap_request *q)
{
        if (!str_empty(s->process.user))
                return;
        free(s->process.user);
        s->process.user = xasprintf("%u:%u", q->keep_uid != ID_NONE ? q->keep_uid : getuid(),
                                    q->keep_gid != ID_NONE ? q->keep_gid : getgid());
}

/*
 * The image's user as numbers, which stay what they are when the container is started again or inspected. An image of root's programs
 * gets the default, where root is the caller.
 */
static int resolve_image_user(struct creation *k, struct err **reterr)
{
        uint32_t uid = 0, gid = 0;
        int r;

        if (!k->image)
                return err_new(reterr, ERR_USAGE,
                               "--userns '" KEEP_IMAGE "': with --rootfs there is no image");
        r = image_job_user(k->d, &k->image->layers, k->config.user, &k->config.volumes, &uid, &gid,
                           reterr);
        if (r < 0)
                return err_wrap(reterr, r, "--userns '" KEEP_IMAGE "'");
        k->userns = r == 0 ? xstrdup("private") : xasprintf("keep-id:uid=%u,gid=%u", uid, gid);
        return 0;
}

int creation_ids(struct creation *k, const struct run_options *o, const struct idmap_userns *u,
                 struct err **reterr)
{
        struct idmap_request q = {0};
        bool of_image = o->userns && strcmp(o->userns, KEEP_IMAGE) == 0;
        int r = of_image ? resolve_image_user(k, reterr) : 0;

        if (!of_image && o->userns)
                k->userns = xstrdup(o->userns);
        if (r >= 0)
                r = idmap_request_parse(k->userns, o->uidmap.v, o->gidmap.v, &q, reterr);
        if (r < 0)
                return r;
        if (q.mode == IDMAP_MODE_AUTO)
                r = creation_reserve_ids(k, u, &q, reterr);
        if (r >= 0)
                r = idmap_plan(&q, u, getuid(), getgid(), &k->spec->uid_map, &k->spec->gid_map,
                               reterr);
        k->spec->ns[SPEC_NS_USER].enabled = q.mode != IDMAP_MODE_HOST;
        /* The image's entry point begins as whom the image says, perhaps root, and goes over to its user by itself. */
        if (r >= 0 && q.mode == IDMAP_MODE_KEEP_ID && !of_image)
                keep_user(k->spec, &q);
        idmap_request_release(&q);
        return r;
}
