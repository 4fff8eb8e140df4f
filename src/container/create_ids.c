/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_ids — a range of subordinate ids for a container of its own (--userns=auto).
 *
 * The ids of U from 1 on are dealt out in blocks of BLOCK, the lowest free ones that lie side by side. A block is reserved as a name is: by the one
 * link that can be made (names.c), so nobody waits for anybody. Of two who want overlapping ranges at once each may stop at the other's block; both
 * let go of what they have and look further, which costs a gap at worst.
 *
 * The lowest range, because the layers of an image are copied for every range that its containers had: who comes after
 * somebody that was removed finds them made.
 */
#include "base/err.h"
#include "base/parse.h"
#include "container/container_internal.h"
#include "idmap/idmap.h"
#include "image/accounts.h"
#include "image/store.h"

#include <errno.h>
#include <string.h>

#define BLOCK       1024u
#define ID_OVERFLOW 65534u /* nobody: would make every range as large as all ids */

/* One more than the largest number in the third field of a file of accounts. */
static uint32_t accounts_size(const char *file)
{
        AUTO_STRV lines = {0};
        uint32_t size = 0, id;

        strv_split(&lines, file ? file : "", '\n');
        for (size_t i = 0; i < lines.n; i++) {
                AUTO_STRV fields = {0};

                strv_split(&fields, lines.v[i], ':');
                if (fields.n > 2 && parse_u32(fields.v[2], &id) == 0 && id < ID_OVERFLOW)
                        size = MAX(size, id + 1);
        }
        return size;
}

/* Enough for every owner of the image's files, everybody in its accounts, and who runs the program. */
static int derive_size(struct creation *k, uint32_t *ret, struct err **reterr)
{
        AUTO_FREE char *passwd = NULL, *group = NULL;
        const char *user = k->spec->process.user;
        uint32_t largest = 0, uid = 0, gid = 0;
        int r;

        *ret = BLOCK;
        if (!k->image)
                return 0;
        r = store_largest_id(k->d, &k->image->layers, ID_OVERFLOW, &largest, reterr);
        if (r < 0)
                return r;
        (void)creation_read_etc(k, "passwd", &passwd);
        (void)creation_read_etc(k, "group", &group);
        (void)accounts_find(passwd, group, user ? user : "", &uid, &gid);
        largest = MAX(largest, uid);
        largest = MAX(largest, gid);
        *ret = MAX(*ret, largest + 1);
        *ret = MAX(*ret, accounts_size(passwd));
        *ret = MAX(*ret, accounts_size(group));
        return 0;
}

static bool meets(const struct id_map *m, uint32_t start, uint32_t count)
{
        for (size_t i = 0; i < m->n; i++) {
                if ((uint64_t)m->v[i].outside < (uint64_t)start + count &&
                    start < (uint64_t)m->v[i].outside + m->v[i].count)
                        return true;
        }
        return false;
}

/* 1: all are ours; 0: the one at *ret_taken is another's, and none is ours. */
static int reserve_all(struct creation *k, uint32_t from, uint32_t n, uint32_t *ret_taken,
                       struct err **reterr)
{
        for (uint32_t i = 0; i < n; i++) {
                int r = ids_reserve(k->d, from + i, k->tmp.id, reterr);

                if (r > 0)
                        continue;
                *ret_taken = from + i;
                while (i > 0)
                        ids_release(k->d, from + --i, k->tmp.id);
                return r;
        }
        return 1;
}

static int none_free(const struct idmap_userns *u, uint32_t size, uint32_t blocks,
                     struct err **reterr)
{
        int r;

        if (u->tier == IDMAP_TIER_ONE) {
                r = err_new(reterr, ERR_UNSUPPORTED,
                            "--userns auto: there are no subordinate ids to give the container any "
                            "of: %s",
                            u->why ? u->why : "the user's namespace holds one id");
                return u->remedy ? err_hint(reterr, r, "%s", u->remedy) : r;
        }
        r = err_new(reterr, ERR_BUSY, "--userns auto: no range of %u ids is free among %u", size,
                    blocks * BLOCK);
        return err_hint(reterr, r,
                        "remove containers that were made with --userns=auto, ask for less with "
                        "size=N, or get more subordinate ids (usermod --add-subuids)");
}

int creation_reserve_ids(struct creation *k, const struct idmap_userns *u, struct idmap_request *q,
                         struct err **reterr)
{
        uint64_t uids = id_map_total(&u->uid), gids = id_map_total(&u->gid);
        /* At most 2^32 ids there are, and the caller's is none to give. */
        uint32_t blocks = (uint32_t)((MIN(uids, gids) - 1) / BLOCK);
        uint32_t n, taken = 0;
        int r = q->auto_size ? 0 : derive_size(k, &q->auto_size, reterr);

        if (r < 0)
                return r;
        n = q->auto_size / BLOCK + (q->auto_size % BLOCK != 0);
        for (uint32_t from = 0; n <= blocks && from <= blocks - n; from = MAX(from, taken) + 1) {
                q->auto_start = 1 + from * BLOCK;
                if (meets(&q->uid, q->auto_start, q->auto_size) ||
                    meets(&q->gid, q->auto_start, q->auto_size))
                        continue;
                r = reserve_all(k, from, n, &taken, reterr);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return none_free(u, q->auto_size, blocks, reterr);
}
