/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, what ids there are for him, and what U can be made of them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/process.h"
#include "base/str.h"
#include "config.h"
#include "idmap/userns_program.h"

#if HAVE_SUBID
#include <shadow/subid.h>
#endif

#define PROC_MAP_MAX   (64U * 1024)
#define SUBID_FILE_MAX (4U * 1024 * 1024)

/* ---- who asks ---- */

static int read_own_map(const char *path, struct id_map *ret, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        int r = io_read_file(AT_FDCWD, path, PROC_MAP_MAX, &text, NULL, reterr);

        if (r == 0)
                r = id_map_parse(text, ret, reterr);
        return r < 0 ? err_wrap(reterr, r, "%s", path) : 0;
}

static bool is_whole(const struct id_map *m)
{
        return m->n == 1 && m->v[0].inside == 0 && m->v[0].outside == 0 && m->v[0].count == ID_NONE;
}

/* CAP_SETUID and CAP_SETGID in our own namespace are what the kernel asks of who maps more than himself. */
static bool may_set_ids(void)
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {0};
        const uint32_t need = 1U << CAP_SETUID | 1U << CAP_SETGID;

        return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & need) == need;
}

int userns_request_init(struct userns_request *q, struct err **reterr)
{
        const struct passwd *pw;
        int r;

        *q = (struct userns_request){.uid = geteuid(), .gid = getegid()};
        r = read_own_map("/proc/self/uid_map", &q->parent_uid, reterr);
        if (r == 0)
                r = read_own_map("/proc/self/gid_map", &q->parent_gid, reterr);
        if (r < 0)
                return r;
        q->nested = !is_whole(&q->parent_uid) || !is_whole(&q->parent_gid);
        q->may_map_all = q->uid == 0 && may_set_ids();
        if (q->may_map_all)
                return 0;
        pw = getpwuid(q->uid);
        q->user = pw ? xstrdup(pw->pw_name) : NULL;
        return 0;
}

void userns_request_release(struct userns_request *q)
{
        free(q->user);
        id_map_release(&q->parent_uid);
        id_map_release(&q->parent_gid);
        *q = (struct userns_request){0};
}

/* ---- the ranges ---- */

struct ranges_of {
        struct subid_ranges uid, gid;
        bool unreadable; /* the source did not answer, as opposed to: has nothing for this user */
};

static void ranges_of_release(struct ranges_of *r)
{
        subid_ranges_release(&r->uid);
        subid_ranges_release(&r->gid);
}

static bool file_exists(const char *path)
{
        return access(path, F_OK) == 0;
}

#if HAVE_SUBID
/* Through NSS where /etc/nsswitch.conf says so, else from the files; exactly what newuidmap will look at. */
static void read_ranges(const struct userns_request *q, struct ranges_of *ret)
{
        AUTO_FREE struct subid_range *uids = NULL, *gids = NULL;
        int n_uids, n_gids;

        (void)subid_init(HOLDER_PROGRAM, NULL);
        n_uids = subid_get_uid_ranges(q->user, &uids);
        n_gids = subid_get_gid_ranges(q->user, &gids);
        for (int i = 0; i < n_uids; i++)
                subid_ranges_add(&ret->uid, uids[i].start, uids[i].count);
        for (int i = 0; i < n_gids; i++)
                subid_ranges_add(&ret->gid, gids[i].start, gids[i].count);
        /* A missing file is answered like a dead server. */
        ret->unreadable = (n_uids < 0 && file_exists("/etc/subuid")) ||
                          (n_gids < 0 && file_exists("/etc/subgid"));
}
#else
static void read_file_ranges(const struct userns_request *q, const char *path,
                             struct subid_ranges *ret, bool *unreadable)
{
        AUTO_FREE char *text = NULL;

        if (io_read_file(AT_FDCWD, path, SUBID_FILE_MAX, &text, NULL, NULL) == 0)
                subid_parse(text, q->user, q->uid, ret);
        else if (file_exists(path))
                *unreadable = true;
}

/* Built without libsubid: the files only. */
static void read_ranges(const struct userns_request *q, struct ranges_of *ret)
{
        read_file_ranges(q, "/etc/subuid", &ret->uid, &ret->unreadable);
        read_file_ranges(q, "/etc/subgid", &ret->gid, &ret->unreadable);
}
#endif

/* ---- the target ---- */

void userns_target_release(struct userns_target *t)
{
        id_map_release(&t->uid);
        id_map_release(&t->gid);
        free(t->why);
        free(t->remedy);
        *t = (struct userns_target){0};
}

void userns_target_one_take(const struct userns_request *q, struct userns_target *t, char *why,
                            char *remedy)
{
        userns_target_release(t);
        t->how = TARGET_WRITE;
        id_map_add(&t->uid, 0, q->uid, 1);
        id_map_add(&t->gid, 0, q->gid, 1);
        t->why = why;
        t->remedy = remedy;
}

/* Words for ranges that are there, but give too little. */
static void explain_short(const struct userns_request *q, struct userns_target *t)
{
        uint64_t uids = id_map_total(&t->uid), gids = id_map_total(&t->gid);

        if (q->nested)
                t->why =
                    xasprintf("already inside a user namespace, of which %llu uids and %llu gids "
                              "can be used (%d are usual)",
                              (unsigned long long)uids, (unsigned long long)gids, IDMAP_FULL_IDS);
        else
                t->why =
                    xasprintf("user '%s' has only %llu uids and %llu gids (%d are usual)", q->user,
                              (unsigned long long)uids, (unsigned long long)gids, IDMAP_FULL_IDS);
        t->remedy = userns_remedy_ranges(q);
}

static void plan_all(const struct userns_request *q, struct userns_target *t)
{
        t->how = TARGET_WRITE;
        t->uid = subid_plan_all(q->uid, &q->parent_uid);
        t->gid = subid_plan_all(q->gid, &q->parent_gid);
        if (idmap_tier_of(&t->uid, &t->gid) != IDMAP_TIER_FULL)
                explain_short(q, t);
}

/* Why no range can be used; NULL when some can. */
static char *explain_none(const struct userns_request *q, const struct ranges_of *have,
                          const struct userns_target *t)
{
        const char *missing = "/etc/subuid and /etc/subgid";

        if (have->unreadable)
                return xasprintf("the subordinate ids of user '%s' cannot be read", q->user);
        if (have->uid.n > 0 && have->gid.n == 0)
                missing = "/etc/subgid";
        else if (have->uid.n == 0 && have->gid.n > 0)
                missing = "/etc/subuid";
        if (have->uid.n == 0 || have->gid.n == 0)
                return xasprintf("no subordinate ids for user '%s' in %s", q->user, missing);
        if (idmap_tier_of(&t->uid, &t->gid) != IDMAP_TIER_ONE)
                return NULL;
        if (q->nested)
                return xasprintf(
                    "already inside a user namespace that holds none of the subordinate ids "
                    "of user '%s'",
                    q->user);
        return xasprintf("the subordinate ids of user '%s' are no valid ids", q->user);
}

static void plan_ranges(const struct userns_request *q, struct userns_target *t)
{
        AUTO(ranges_of_release) struct ranges_of have = {0};
        char *why;

        read_ranges(q, &have);
        t->how = TARGET_TOOLS;
        t->uid = subid_plan(q->uid, &have.uid, &q->parent_uid);
        t->gid = subid_plan(q->gid, &have.gid, &q->parent_gid);
        why = explain_none(q, &have, t);
        if (why)
                userns_target_one_take(q, t, why,
                                       have.unreadable
                                           ? xstrdup("is the source named by 'subid:' in "
                                                     "/etc/nsswitch.conf reachable?")
                                           : userns_remedy_ranges(q));
        else if (idmap_tier_of(&t->uid, &t->gid) != IDMAP_TIER_FULL)
                explain_short(q, t);
}

void userns_target_plan(const struct userns_request *q, struct userns_target *t)
{
        static const char *const tools[] = {"newuidmap", "newgidmap"};

        if (q->may_map_all) {
                plan_all(q, t);
                return;
        }
        if (!q->user) {
                userns_target_one_take(
                    q, t,
                    xasprintf(
                        "uid %u has no user name, by which its subordinate ids could be found",
                        q->uid),
                    xasprintf("give uid %u an entry in /etc/passwd, or through NSS", q->uid));
                return;
        }
        plan_ranges(q, t);
        for (size_t i = 0; t->how == TARGET_TOOLS && i < ARRAY_SIZE(tools); i++) {
                AUTO_FREE char *path = process_find_program(tools[i]);

                if (!path)
                        userns_target_one_take(
                            q, t, xasprintf("%s is not installed", tools[i]),
                            xstrdup("as root: install the package uidmap (Debian, Ubuntu) "
                                    "or shadow-utils (Fedora, Arch: shadow)"));
        }
}
