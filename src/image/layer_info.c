/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_info.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/sha256.h"
#include "base/str.h"
#include "idmap/idmap.h"

#define INFO_NAME "info.json"
#define INFO_MAX  ((size_t)16 << 20) /* LAYER_MAX_OWNERS runs of each kind fit */

/* FNV-1a, for variants: of one layer, whose maker could mix up the owners of nothing but his own files. */
static uint64_t hash_add(uint64_t h, const void *data, size_t n)
{
        const unsigned char *p = data;

        for (size_t i = 0; i < n; i++)
                h = (h ^ p[i]) * 0x100000001b3ull;
        return h;
}
#define HASH_INIT 0xcbf29ce484222325ull

static void hash_text(uint64_t h, char ret[17])
{
        for (int i = 0; i < 16; i++)
                ret[i] = "0123456789abcdef"[h >> (60 - 4 * i) & 15];
        ret[16] = '\0';
}

/* Who could make two chains collide would have his files taken over into the images of others, which share the upper layer. */
void layer_chain_name(const char *diff_hex, char *const *lowers, size_t n, char ret[LAYER_NAME_MAX])
{
        unsigned char sum[SHA256_SIZE];
        struct sha256 h;

        sha256_init(&h);
        for (size_t i = 0; i < n; i++)
                sha256_add(&h, lowers[i], strlen(lowers[i]) + 1);
        sha256_end(&h, sum);
        memcpy(ret, diff_hex, LAYER_HEX_LEN);
        ret += LAYER_HEX_LEN;
        *ret++ = '-';
        for (size_t i = 0; i < LAYER_CHAIN_LEN / 2; i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

bool layer_name_is_valid(const char *name)
{
        char hex[LAYER_HEX_LEN + 1];

        if (strnlen(name, LAYER_NAME_MAX) < LAYER_HEX_LEN)
                return false;
        memcpy(hex, name, LAYER_HEX_LEN);
        hex[LAYER_HEX_LEN] = '\0';
        if (!str_is_hex(hex, LAYER_HEX_LEN))
                return false;
        name += LAYER_HEX_LEN;
        return name[0] == '\0' || (name[0] == '-' && str_is_hex(name + 1, LAYER_CHAIN_LEN));
}

/* ---- owners ---- */

uint32_t layer_owners_host(const struct layer_owners *o, uint32_t id)
{
        size_t low = 0, high = o->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                const struct layer_owner *w = &o->v[mid];

                if (id < w->id)
                        high = mid;
                else if (id - w->id >= w->count)
                        low = mid + 1;
                else
                        return w->host + (id - w->id);
        }
        return ID_NONE;
}

/* Where the map puts an id; what it does not hold becomes its root. */
static uint32_t map_or_root(const struct id_map *m, uint32_t id)
{
        uint32_t host = id_map_to_outside(m, id);

        return host == ID_NONE ? id_map_to_outside(m, 0) : host;
}

/* Adds what the map makes of these owners; true when that is what is stored. */
static bool hash_owners(const struct layer_owners *o, const struct id_map *m, uint64_t *h)
{
        bool same = true;

        for (size_t i = 0; i < o->n; i++) {
                for (uint32_t k = 0; k < o->v[i].count; k++) {
                        uint32_t pair[2] = {o->v[i].id + k, map_or_root(m, o->v[i].id + k)};

                        *h = hash_add(*h, pair, sizeof(pair));
                        same &= pair[1] == o->v[i].host + k;
                }
        }
        *h = hash_add(*h, "|", 1);
        return same;
}

void layer_info_dir(const struct layer_info *i, const struct id_map *uid, const struct id_map *gid,
                    char ret[LAYER_DIR_MAX])
{
        uint64_t h = HASH_INIT;
        bool same = hash_owners(&i->uids, uid, &h);

        same &= hash_owners(&i->gids, gid, &h);
        memcpy(ret, "fs", 3);
        if (same)
                return;
        ret[2] = '.';
        hash_text(h, ret + 3);
}

/* ---- variants ---- */

static void shared_name(const char *dir, char ret[LAYER_DIR_MAX + 8])
{
        (void)snprintf(ret, LAYER_DIR_MAX + 8, "shared%s", dir + strlen("fs"));
}

uint64_t layer_variant_shared(int layer_fd, const char *dir)
{
        char name[LAYER_DIR_MAX + 8];
        AUTO_FREE char *text = NULL;
        uint64_t bytes = 0;
        size_t n;

        shared_name(dir, name);
        if (io_read_file(layer_fd, name, 32, &text, &n, NULL) < 0 || parse_u64(text, &bytes) < 0)
                return 0;
        return bytes;
}

int layer_variant_note_shared(int layer_fd, const char *dir, uint64_t bytes)
{
        char name[LAYER_DIR_MAX + 8], text[24];
        AUTO_CLOSE int fd = -EBADF;

        shared_name(dir, name);
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
        fd = openat(layer_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? -errno : io_write_full(fd, text, strlen(text));
}

/* ---- info.json ---- */

void layer_info_release(struct layer_info *i)
{
        free(i->uids.v);
        free(i->gids.v);
        *i = (struct layer_info){0};
}

static void add_owners(struct json_object *o, const char *key, const struct layer_owners *owners)
{
        struct json_object *list = json_array(o, key);

        for (size_t i = 0; i < owners->n; i++) {
                struct json_object *run = json_object_new_array_ext(3);

                json_object_array_add(run, json_object_new_int64(owners->v[i].id));
                json_object_array_add(run, json_object_new_int64(owners->v[i].host));
                json_object_array_add(run, json_object_new_int64(owners->v[i].count));
                json_object_array_add(list, run);
        }
}

int layer_info_write(int layer_fd, const struct layer_info *i, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();

        json_add_string(o, "diffId", i->diff_id);
        json_add_string(o, "blob", i->blob_digest);
        json_add_uint(o, "blobSize", i->blob_size);
        json_add_string(o, "format", i->format);
        json_add_uint(o, "tarSize", i->tar_size);
        json_add_uint(o, "bytes", i->bytes);
        json_add_uint(o, "diskBytes", i->disk_bytes);
        json_add_uint(o, "inodes", i->inodes);
        json_add_uint(o, "entries", i->entries);
        json_add_bool(o, "setuid", i->setuid);
        json_add_bool(o, "needsLower", i->needs_lower);
        json_add_bool(o, "acls", i->acls);
        json_add_bool(o, "folded", i->folded);
        json_add_uint(o, "skipped", i->skipped);
        add_owners(o, "uids", &i->uids);
        add_owners(o, "gids", &i->gids);
        return atomic_file_write_json(layer_fd, INFO_NAME, o, false, reterr);
}

static int get_text(const struct json_at *at, const char *key, char *ret, size_t size,
                    struct err **reterr)
{
        const char *s = "";
        int r = json_get_string(at, key, &s, reterr);

        if (r < 0)
                return r;
        if (strlen(s) >= size) {
                struct json_at child = json_key(at, key);

                return json_fail(&child, reterr, "too long");
        }
        memcpy(ret, s, strlen(s) + 1);
        return 0;
}

static int get_run(const struct json_at *run, struct layer_owner *ret, struct err **reterr)
{
        uint32_t v[3];
        size_t n = 0;
        int r = json_want_array(run, 3, &n, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < 3; i++) {
                struct json_at at = json_elem(run, i);
                int64_t id = i < n && at.obj && json_object_is_type(at.obj, json_type_int)
                                 ? json_object_get_int64(at.obj)
                                 : -1;

                if (id < 0 || id >= UINT32_MAX)
                        return json_fail(run, reterr, "expected [id, host id, count]");
                v[i] = (uint32_t)id;
        }
        *ret = (struct layer_owner){v[0], v[1], v[2]};
        return 0;
}

static int get_owners(const struct json_at *at, const char *key, struct layer_owners *ret,
                      struct err **reterr)
{
        struct json_at list = json_key(at, key);
        uint64_t total = 0, next = 0;
        size_t n = 0;
        int r = json_want_array(&list, LAYER_MAX_OWNERS, &n, reterr);

        if (r < 0)
                return r;
        ret->v = xcalloc(n ? n : 1, sizeof(*ret->v));
        for (size_t i = 0; i < n; i++) {
                struct json_at run = json_elem(&list, i);

                r = get_run(&run, &ret->v[i], reterr);
                if (r < 0)
                        return r;
                total += ret->v[i].count;
                if (ret->v[i].id < next || total > LAYER_MAX_OWNERS)
                        return json_fail(&run, reterr, "out of order, or too many");
                next = (uint64_t)ret->v[i].id + ret->v[i].count;
        }
        ret->n = n;
        return 0;
}

static int read_members(const struct json_at *at, struct layer_info *i, struct err **reterr)
{
        const struct {
                const char *key;
                char *to;
                size_t size;
        } texts[] = {
            {"diffId", i->diff_id, sizeof(i->diff_id)},
            {"blob", i->blob_digest, sizeof(i->blob_digest)},
            {"format", i->format, sizeof(i->format)},
        };
        const struct {
                const char *key;
                uint64_t *to;
        } numbers[] = {
            {"blobSize", &i->blob_size},   {"tarSize", &i->tar_size}, {"bytes", &i->bytes},
            {"diskBytes", &i->disk_bytes}, {"inodes", &i->inodes},    {"entries", &i->entries},
        };
        const struct {
                const char *key;
                bool *to;
        } flags[] = {
            {"setuid", &i->setuid},
            {"needsLower", &i->needs_lower},
            {"acls", &i->acls},
            {"folded", &i->folded},
        };
        int r = json_want_object(at, reterr);

        for (size_t k = 0; r == 0 && k < ARRAY_SIZE(texts); k++)
                r = get_text(at, texts[k].key, texts[k].to, texts[k].size, reterr);
        for (size_t k = 0; r == 0 && k < ARRAY_SIZE(numbers); k++)
                r = json_get_u64(at, numbers[k].key, numbers[k].to, reterr);
        for (size_t k = 0; r == 0 && k < ARRAY_SIZE(flags); k++)
                r = json_opt_bool(at, flags[k].key, flags[k].to, reterr);
        if (r == 0)
                r = json_opt_u32(at, "skipped", &i->skipped, reterr);
        if (r == 0)
                r = get_owners(at, "uids", &i->uids, reterr);
        if (r == 0)
                r = get_owners(at, "gids", &i->gids, reterr);
        return r;
}

int layer_info_read(int layer_fd, struct layer_info *ret, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        struct layer_info i = {0};
        struct json_at at;
        int r = json_read_file(layer_fd, INFO_NAME, INFO_MAX, &doc, reterr);

        if (r < 0)
                return r;
        at = json_root(doc, INFO_NAME);
        r = read_members(&at, &i, reterr);
        if (r < 0) {
                layer_info_release(&i);
                return r;
        }
        *ret = i;
        return 0;
}
