/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp-userns — makes the user's namespace U and leaves its holder behind.
 *
 * Run by idmap_userns_open() only, with holder.lock on descriptor 3 and the runtime directory on 4. Exit code 0: holder.json names a
 * living holder. Otherwise 1, with the error as JSON on standard output.
 *
 * Point of no return: the rename of holder.json, after which we only exit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/random_id.h"
#include "idmap/userns_program.h"

#define TIME_LIMIT_S 60 /* a directory service may take its time, but others wait for holder.lock */

struct maker {
        struct userns_request request;
        struct userns_target target;
        struct holder_child_opts opts;
        struct holder_child child;
        char nonce[HOLDER_NONCE_LEN + 1];
};

static void maker_release(struct maker *m)
{
        userns_request_release(&m->request);
        userns_target_release(&m->target);
        holder_child_kill(&m->child);
}

static int attempt(struct maker *m, struct err **reterr)
{
        int r;

        if (m->child.pid == 0) {
                r = holder_child_start(&m->opts, &m->child, reterr);
                if (r < 0)
                        return r;
                r = holder_child_wait_unshared(&m->child, reterr);
                if (r < 0)
                        return r;
        }
        return userns_target_apply(&m->target, m->child.pid, reterr);
}

/* One id, when more were refused. A child's maps can be written only once: it takes another. */
static int attempt_one(struct maker *m, const struct err *refused, struct err **reterr)
{
        const char *hint = err_hint_text(refused);

        holder_child_kill(&m->child);
        userns_target_one_take(&m->request, &m->target, xstrdup(err_message(refused)),
                               xstrdup(hint ? hint : "see kelp doctor"));
        return attempt(m, reterr);
}

/* Not even one id could be mapped. */
static int explain_refused(const struct maker *m, int r, struct err **reterr)
{
        if (r == -EPERM && m->request.may_map_all)
                return err_hint(
                    reterr, r,
                    "root of a container can pass its own id on only with CAP_SETFCAP: start "
                    "the surrounding container with it");
        return r;
}

static int make_namespace(struct maker *m, struct err **reterr)
{
        AUTO_ERR struct err *refused = NULL;
        int r;

        /* First of all, while we are small: the holder's memory is this copy of ours. */
        r = holder_child_start(&m->opts, &m->child, reterr);
        if (r == 0)
                r = userns_request_init(&m->request, reterr);
        if (r < 0)
                return r;
        userns_target_plan(&m->request, &m->target);
        r = holder_child_wait_unshared(&m->child, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("userns-unshared");
        r = attempt(m, &refused);
        if (r < 0 && id_map_total(&m->target.uid) + id_map_total(&m->target.gid) > 2)
                r = attempt_one(m, refused, reterr);
        else if (r < 0)
                (void)err_move(reterr, r, &refused);
        if (r < 0)
                return explain_refused(m, r, reterr);
        FAULT_POINT("userns-mapped");
        return holder_child_go(&m->child, reterr);
}

static int make_record(const struct maker *m, const char *identity_full, const char *identity_one,
                       struct holder_record *ret, struct err **reterr)
{
        char ns[40];
        int r = process_identify(m->child.pid, &ret->process, reterr);

        if (r < 0)
                return r;
        (void)snprintf(ns, sizeof(ns), "/proc/%d/ns/user", (int)m->child.pid);
        ret->ns = holder_ns_name(AT_FDCWD, ns);
        ret->parent_ns = holder_ns_name(AT_FDCWD, "/proc/self/ns/user");
        if (!ret->ns || !ret->parent_ns)
                return err_sys(reterr, errno, "examine %s", ns);
        memcpy(ret->nonce, m->nonce, sizeof(ret->nonce));
        ret->uid = m->request.uid;
        ret->gid = m->request.gid;
        ret->made = (uint64_t)clock_monotonic_ns();
        ret->tier = idmap_tier_of(&m->target.uid, &m->target.gid);
        ret->identity = xstrdup(ret->tier == IDMAP_TIER_ONE ? identity_one : identity_full);
        ret->why = xstrdup(m->target.why);
        ret->remedy = xstrdup(m->target.remedy);
        ret->uid_map = id_map_copy(&m->target.uid);
        ret->gid_map = id_map_copy(&m->target.gid);
        return 0;
}

static int run(char **argv, struct err **reterr)
{
        AUTO(maker_release) struct maker m = {.child = {.sock = -EBADF}};
        AUTO(holder_record_release) struct holder_record record = {0};
        AUTO_FREE char *full = NULL, *one = NULL;
        AUTO_JSON *obj = NULL;
        char id[RANDOM_ID_LEN + 1];
        struct stat st;
        int r;

        if (fstat(HOLDER_FD_LOCK, &st) < 0 || !S_ISREG(st.st_mode) ||
            fstat(HOLDER_FD_RUNTIME, &st) < 0 || !S_ISDIR(st.st_mode))
                return err_new(reterr, ERR_USAGE, "%s is run by kelp, not by hand", HOLDER_PROGRAM);
        random_id(id);
        memcpy(m.nonce, id, HOLDER_NONCE_LEN);
        m.opts = (struct holder_child_opts){HOLDER_FD_RUNTIME, m.nonce, argv};
        /* Before the ranges are read: a change in between must look like one. */
        full = holder_identity(IDMAP_TIER_FULL);
        one = holder_identity(IDMAP_TIER_ONE);
        r = make_namespace(&m, reterr);
        if (r == 0)
                r = make_record(&m, full, one, &record, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("userns-ready");
        obj = holder_record_to_json(&record);
        r = atomic_file_write_json(HOLDER_FD_RUNTIME, HOLDER_FILE, obj, false, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "namespace holder");
        FAULT_POINT("userns-written");
        m.child.pid = 0; /* on its own from here */
        return 0;
}

int main(int argc, char **argv)
{
        AUTO_ERR struct err *err = NULL;
        AUTO_JSON *obj = NULL;

        (void)fd_sanitize_stdio();
        if (argc < 1)
                return 1;
        (void)alarm(TIME_LIMIT_S);
        if (run(argv, &err) == 0)
                return 0;
        if (fd_is_terminal(STDOUT_FILENO)) {
                err_print(err, stderr, HOLDER_PROGRAM, 0);
                return 1;
        }
        obj = err_encode(err);
        (void)puts(json_object_to_json_string(obj));
        return fflush(stdout) == 0 ? 1 : 2;
}
