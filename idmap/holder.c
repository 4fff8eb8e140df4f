/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "base/str.h"
#include "base/sys.h"

void holder_record_release(struct holder_record *r)
{
        free(r->parent_ns);
        free(r->ns);
        free(r->identity);
        free(r->why);
        free(r->remedy);
        id_map_release(&r->uid_map);
        id_map_release(&r->gid_map);
        *r = (struct holder_record){0};
}

/* ---- JSON ---- */

struct json_object *holder_record_to_json(const struct holder_record *r)
{
        struct json_object *o = json_object_new_object();
        AUTO_FREE char *uid = id_map_format(&r->uid_map);
        AUTO_FREE char *gid = id_map_format(&r->gid_map);

        /* First, so that the holder finds its own mark at the start of the file (HOLDER_HEAD). */
        json_add_string(o, "nonce", r->nonce);
        json_add_int(o, "pid", r->process.pid);
        json_add_uint(o, "startTime", r->process.start_time);
        json_add_string(o, "bootId", r->process.boot_id);
        json_add_uint(o, "uid", r->uid);
        json_add_uint(o, "gid", r->gid);
        json_add_string(o, "parentNs", r->parent_ns);
        json_add_string(o, "ns", r->ns);
        json_add_string(o, "identity", r->identity);
        json_add_uint(o, "made", r->made);
        json_add_string(o, "tier", idmap_tier_name(r->tier));
        json_add_string(o, "why", r->why);
        json_add_string(o, "remedy", r->remedy);
        json_add_string(o, "uidMap", uid);
        json_add_string(o, "gidMap", gid);
        return o;
}

static int get_copy(const struct json_at *at, const char *key, char **ret, struct err **reterr)
{
        const char *s;
        int r = json_get_string(at, key, &s, reterr);

        if (r < 0)
                return r;
        *ret = xstrdup(s);
        return 0;
}

static int get_map(const struct json_at *at, const char *key, struct id_map *ret,
                   struct err **reterr)
{
        const char *s;
        int r = json_get_string(at, key, &s, reterr);

        if (r == 0)
                r = id_map_parse(s, ret, reterr);
        if (r == 0 && id_map_to_outside(ret, 0) == ID_NONE)
                r = err_new(reterr, ERR_INVALID, "%s: id 0 is not mapped", key);
        return r;
}

static int get_process(const struct json_at *at, struct process_id *ret, struct err **reterr)
{
        const char *boot;
        uint64_t pid = 0;
        int r;

        r = json_get_u64(at, "pid", &pid, reterr);
        if (r == 0)
                r = json_get_u64(at, "startTime", &ret->start_time, reterr);
        if (r == 0)
                r = json_get_string(at, "bootId", &boot, reterr);
        if (r < 0)
                return r;
        if (pid == 0 || pid > INT32_MAX || strlen(boot) >= sizeof(ret->boot_id))
                return err_new(reterr, ERR_INVALID, "no valid process");
        ret->pid = (pid_t)pid;
        memcpy(ret->boot_id, boot, strlen(boot) + 1);
        return 0;
}

static int get_tier(const struct json_at *at, enum idmap_tier *ret, struct err **reterr)
{
        const char *s;
        int r = json_get_string(at, "tier", &s, reterr);

        if (r < 0)
                return r;
        for (int t = 0; t < IDMAP_TIER_COUNT; t++) {
                *ret = (enum idmap_tier)t;
                if (strcmp(s, idmap_tier_name(*ret)) == 0)
                        return 0;
        }
        return err_new(reterr, ERR_INVALID, "unknown tier '%s'", s);
}

static int get_identity(const struct json_at *at, struct holder_record *ret, struct err **reterr)
{
        uint64_t uid = 0, gid = 0;
        const char *nonce;
        int r;

        r = json_get_string(at, "nonce", &nonce, reterr);
        if (r == 0)
                r = json_get_u64(at, "uid", &uid, reterr);
        if (r == 0)
                r = json_get_u64(at, "gid", &gid, reterr);
        if (r == 0)
                r = json_get_u64(at, "made", &ret->made, reterr);
        if (r == 0)
                r = get_copy(at, "parentNs", &ret->parent_ns, reterr);
        if (r == 0)
                r = get_copy(at, "ns", &ret->ns, reterr);
        if (r == 0)
                r = get_copy(at, "identity", &ret->identity, reterr);
        if (r < 0)
                return r;
        if (!str_is_hex(nonce, HOLDER_NONCE_LEN) || uid >= ID_NONE || gid >= ID_NONE)
                return err_new(reterr, ERR_INVALID, "no valid identity");
        memcpy(ret->nonce, nonce, HOLDER_NONCE_LEN + 1);
        ret->uid = (uint32_t)uid;
        ret->gid = (uint32_t)gid;
        return 0;
}

int holder_record_from_json(struct json_object *obj, struct holder_record *ret, struct err **reterr)
{
        AUTO(holder_record_release) struct holder_record rec = {0};
        struct json_at at = json_root(obj, HOLDER_FILE);
        const char *why = NULL, *remedy = NULL;
        int r;

        r = json_want_object(&at, reterr);
        if (r == 0)
                r = get_process(&at, &rec.process, reterr);
        if (r == 0)
                r = get_identity(&at, &rec, reterr);
        if (r == 0)
                r = get_tier(&at, &rec.tier, reterr);
        if (r == 0)
                r = json_opt_string(&at, "why", &why, reterr);
        if (r == 0)
                r = json_opt_string(&at, "remedy", &remedy, reterr);
        if (r == 0)
                r = get_map(&at, "uidMap", &rec.uid_map, reterr);
        if (r == 0)
                r = get_map(&at, "gidMap", &rec.gid_map, reterr);
        if (r < 0)
                return r;
        rec.why = xstrdup(why);
        rec.remedy = xstrdup(remedy);
        *ret = rec;
        rec = (struct holder_record){0};
        return 0;
}

/* ---- reading ---- */

int holder_record_read(int runtime_fd, struct holder_record *ret, int *ret_fd, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        AUTO_FREE char *text = NULL;
        AUTO_JSON *obj = NULL;
        struct stat st;
        size_t n;
        int r;

        /* O_NONBLOCK: a FIFO put here by somebody must not hang us. */
        fd = openat(runtime_fd, HOLDER_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return err_sys(reterr, errno, "open %s", HOLDER_FILE);
        if (fstat(fd, &st) < 0)
                return err_sys(reterr, errno, "stat %s", HOLDER_FILE);
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
                return err_new(reterr, ERR_DENIED, "%s is not a private file of ours", HOLDER_FILE);
        r = io_read_fd(fd, HOLDER_FILE, HOLDER_FILE_MAX, &text, &n, reterr);
        if (r < 0)
                return r;
        r = json_parse(text, n, HOLDER_FILE, &obj, reterr);
        if (r == 0)
                r = holder_record_from_json(obj, ret, reterr);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static char *ns_name(const struct stat *st)
{
        return xasprintf("%llu:%llu", (unsigned long long)st->st_dev,
                         (unsigned long long)st->st_ino);
}

char *holder_ns_name(int dirfd, const char *path)
{
        struct stat st;

        return fstatat(dirfd, path, &st, 0) == 0 ? ns_name(&st) : NULL;
}

int holder_open_ns(const struct holder_record *r, struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF, fd = -EBADF;
        AUTO_FREE char *name = NULL;
        uid_t owner = ID_NONE;
        char path[40];
        struct stat st;

        pidfd = process_open(&r->process, reterr);
        if (pidfd < 0)
                return pidfd;
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)r->process.pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "open %s", path);
        if (fstat(fd, &st) < 0 || ioctl(fd, NS_GET_OWNER_UID, &owner) < 0)
                return err_sys(reterr, errno, "examine %s", path);
        /* The descriptor keeps U alive from here on; that it was opened from the right process, the pidfd tells afterwards. */
        name = ns_name(&st);
        if (sys_pidfd_send_signal(pidfd, 0) < 0 || strcmp(name, r->ns) != 0 || owner != geteuid())
                return err_new(reterr, ERR_NOT_FOUND, "process %d does not hold our namespace",
                               (int)r->process.pid);
        return TAKE_FD(fd);
}

/* ---- what the maps depend on ---- */

static void add_file(struct strbuf *b, const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0) {
                strbuf_add(b, "-;");
                return;
        }
        strbuf_addf(b, "%llx:%llx:%llx:%llx.%lx:%llx.%lx;", (unsigned long long)st.st_dev,
                    (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
                    (unsigned long long)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec,
                    (unsigned long long)st.st_ctim.tv_sec, (unsigned long)st.st_ctim.tv_nsec);
}

char *holder_identity(enum idmap_tier tier)
{
        static const char *const tools[] = {"newuidmap", "newgidmap"};
        AUTO_STRBUF b = {0};

        add_file(&b, "/etc/subuid");
        add_file(&b, "/etc/subgid");
        add_file(&b, "/etc/nsswitch.conf");
        if (tier != IDMAP_TIER_ONE)
                return strbuf_take(&b);
        /*
         * With one id the cause may be a missing or powerless program: installing it, or coming from a process that can
         * gain privilege, must count at once and not after the holder's idle time.
         */
        for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
                AUTO_FREE char *path = process_find_program(tools[i]);

                add_file(&b, path ? path : "");
        }
        strbuf_addf(&b, "nnp%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        return strbuf_take(&b);
}
