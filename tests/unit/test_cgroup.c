/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup/ on the real kernel: a v2 hierarchy mounted in a mount namespace of the test's own (root only), where everything that needs no controller
 * works on any host. Controllers are tested in the virtual machine.
 */
#include "unit.h"

#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "spec/resources.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#define EXIT_SKIP 77
#define WANT(x)                                                                                    \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        (void)fprintf(stderr, "line %d: %s: %s\n", __LINE__, #x, err_message(e));  \
                        return 1;                                                                  \
                }                                                                                  \
        } while (0)

/* For each test a child in a mount namespace where /sys/fs/cgroup is v2 and nothing else. */
static int private_mount(void)
{
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return EXIT_SKIP;
        (void)umount2("/sys/fs/cgroup", MNT_DETACH);
        return mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0 ? EXIT_SKIP : 0;
}

static struct cgroup_opts opts_for(char *path, size_t size, const char *name)
{
        (void)snprintf(path, size, "/kelp-unit-%d-%s/inner", (int)getpid(), name);
        return (struct cgroup_opts){.path = path, .id = "test"};
}

static void remove_parent(const char *path)
{
        char parent[256];

        (void)snprintf(parent, sizeof parent, "/sys/fs/cgroup%s", path);
        *strrchr(parent, '/') = '\0';
        (void)rmdir(parent);
}

/* Born inside; it forks one more, which waits as well. */
static pid_t start_in(const struct cgroup *cg)
{
        int pidfd = -EBADF;
        pid_t pid = sys_clone(0, &pidfd, cgroup_fd(cg));

        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)fork();
                for (;;)
                        (void)pause();
        }
        (void)fd_close(pidfd);
        return pid;
}

static size_t wait_for_pids(const struct cgroup *cg, size_t want)
{
        size_t n = 0;

        for (int i = 0; i < 500 && n != want; i++) {
                pid_t *pids = NULL;

                if (i > 0)
                        (void)usleep(10000); /* the kernel takes its time to reap and to fork */
                if (cgroup_pids(cg, &pids, &n, NULL) < 0)
                        return SIZE_MAX;
                free(pids);
        }
        return n;
}

static int life(void *arg)
{
        char path[128];
        struct cgroup_opts o;
        AUTO(cgroup_freep) struct cgroup *cg = NULL;
        AUTO(cgroup_freep) struct cgroup *again = NULL;
        AUTO(cgroup_freep) struct cgroup *other = NULL;
        AUTO_JSON *state = NULL;
        struct err *e = NULL;
        int status;
        pid_t pid;

        if (private_mount() != 0)
                return EXIT_SKIP;
        o = opts_for(path, sizeof path, "life");
        WANT(cgroup_create(&o, &cg, NULL, &e) == 0);
        WANT(strcmp(cgroup_path(cg), path) == 0);
        WANT(cgroup_fd(cg) >= 0);
        pid = start_in(cg);
        WANT(pid > 0);
        WANT(wait_for_pids(cg, 2) == 2);
        /* Another may not have the same. */
        WANT(cgroup_create(&o, &other, NULL, &e) == -EBUSY && !other);
        e = err_free(e);

        state = cgroup_to_json(cg);
        WANT(cgroup_from_json(state, "state", &again, &e) == 0);
        WANT(!cgroup_is_frozen(again));
        WANT(cgroup_freeze(again, true, &e) == 0);
        WANT(cgroup_is_frozen(cg));
        WANT(cgroup_freeze(again, false, &e) == 0);
        WANT(!cgroup_is_frozen(cg));
        WANT(cgroup_kill(again, SIGTERM, &e) == 0);
        WANT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        WANT(wait_for_pids(cg, 0) == 0);
        /* The list is empty before the kernel has let go of the last one, which it then reports. */
        for (int i = 0; i < 10 && cgroup_wait(cg, 1000); i++)
                ;
        WANT(!cgroup_wait(cg, 0));
        WANT(cgroup_remove(again, &e) == 0);
        WANT(cgroup_remove(again, &e) == 0);
        WANT(access("/sys/fs/cgroup", F_OK) == 0);
        remove_parent(path);
        return 0;
}

/* What is frozen, and what made cgroups of its own below, goes as well. */
static int removal(void *arg)
{
        char path[128], below[256];
        struct cgroup_opts o;
        AUTO(cgroup_freep) struct cgroup *cg = NULL;
        struct err *e = NULL;
        int status;
        pid_t pid;

        if (private_mount() != 0)
                return EXIT_SKIP;
        o = opts_for(path, sizeof path, "removal");
        WANT(cgroup_create(&o, &cg, NULL, &e) == 0);
        (void)snprintf(below, sizeof below, "/sys/fs/cgroup%s/a", path);
        WANT(mkdir(below, 0755) == 0);
        (void)strcat(below, "/b");
        WANT(mkdir(below, 0755) == 0);
        pid = start_in(cg);
        WANT(pid > 0 && wait_for_pids(cg, 2) == 2);
        WANT(cgroup_freeze(cg, true, &e) == 0);
        WANT(cgroup_kill(cg, SIGKILL, &e) == 0);
        WANT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        WANT(cgroup_remove(cg, &e) == 0);
        WANT(access(below, F_OK) < 0);
        (void)snprintf(below, sizeof below, "/sys/fs/cgroup%s", path);
        WANT(access(below, F_OK) < 0);
        remove_parent(path);
        return 0;
}

/* A controller that cannot exist: the error names it and where it is missing, and nothing is left behind. */
static int missing(void *arg)
{
        char path[128], parent[256];
        struct cgroup_opts o;
        AUTO(spec_resources_freep) struct spec_resources *res = spec_resources_new();
        AUTO(cgroup_freep) struct cgroup *cg = NULL;
        struct err *e = NULL;

        if (private_mount() != 0)
                return EXIT_SKIP;
        o = opts_for(path, sizeof path, "missing");
        strv_add(&res->unified, "nosuch.max=1");
        o.resources = res;
        o.lenient = true; /* a limit was asked for */
        WANT(cgroup_create(&o, &cg, NULL, &e) == -EOPNOTSUPP);
        WANT(strstr(err_message(e), "controller 'nosuch'"));
        WANT(err_hint_text(e));
        e = err_free(e);
        (void)snprintf(parent, sizeof parent, "/sys/fs/cgroup%s", path);
        *strrchr(parent, '/') = '\0';
        WANT(access(parent, F_OK) < 0);
        /* A file that needs no controller, but does not exist. */
        strv_release(&res->unified);
        strv_add(&res->unified, "cgroup.nosuch=1");
        WANT(cgroup_create(&o, &cg, NULL, &e) == -EOPNOTSUPP);
        WANT(strstr(err_message(e), "has no file 'cgroup.nosuch'"));
        e = err_free(e);
        WANT(access(parent, F_OK) < 0);
        /* And one that does. */
        strv_release(&res->unified);
        strv_add(&res->unified, "cgroup.max.depth=3");
        WANT(cgroup_create(&o, &cg, NULL, &e) == 0);
        WANT(cgroup_remove(cg, &e) == 0);
        remove_parent(path);
        return 0;
}

static int as_nobody(void *arg)
{
        char path[128];
        struct cgroup_opts o;
        AUTO(spec_resources_freep) struct spec_resources *res = spec_resources_new();
        AUTO(cgroup_freep) struct cgroup *cg = NULL;
        struct err *e = NULL;

        if (private_mount() != 0)
                return EXIT_SKIP;
        if (setresuid(65534, 65534, 65534) < 0)
                return EXIT_SKIP;
        o = opts_for(path, sizeof path, "nobody");
        WANT(cgroup_create(&o, &cg, NULL, &e) == -EACCES);
        WANT(err_hint_text(e));
        e = err_free(e);
        o.lenient = true;
        WANT(cgroup_create(&o, &cg, NULL, &e) == 0 && !cg);
        res->pids_limit = 10;
        o.resources = res;
        WANT(cgroup_create(&o, &cg, NULL, &e) < 0);
        e = err_free(e);
        return 0;
}

static void run(int (*fn)(void *))
{
        int code = unit_fork(fn, NULL, 0);

        if (code == EXIT_SKIP)
                skip();
        assert_int_equal(code, 0);
}

static void test_life(void **state)
{
        run(life);
}

static void test_removal(void **state)
{
        run(removal);
}

static void test_missing(void **state)
{
        run(missing);
}

static void test_nobody(void **state)
{
        run(as_nobody);
}

/* Without a path, or disabled, nothing is looked at, and a limit is an error that says so. */
static void test_none(void **state)
{
        AUTO(spec_resources_freep) struct spec_resources *res = spec_resources_new();
        struct cgroup_opts o = {.id = "test", .resources = res};
        struct cgroup *cg = NULL;
        struct err *e = NULL;

        assert_ok(cgroup_create(&o, &cg, NULL, &e), e);
        assert_null(cg);
        assert_int_equal(cgroup_fd(cg), -EBADF);
        assert_null(cgroup_path(cg));
        assert_null(cgroup_to_json(cg));
        assert_ok(cgroup_remove(cg, &e), e);
        res->pids_limit = 5;
        assert_failed(cgroup_create(&o, &cg, NULL, &e), e, ERR_UNSUPPORTED, "cgroupsPath");
        o.path = "/x";
        o.manager = CGROUP_SYSTEMD; /* refused, not taken for a path */
        assert_failed(cgroup_create(&o, &cg, NULL, &e), e, ERR_UNSUPPORTED, "systemd");
        o.manager = CGROUP_DISABLED;
        assert_failed(cgroup_create(&o, &cg, NULL, &e), e, ERR_UNSUPPORTED, "disabled");
}

static void test_state(void **state)
{
        static const char *const bad[] = {
            "{}",          "[]", "{\"path\":\"a\"}", "{\"path\":\"/\"}", "{\"path\":\"/a/../..\"}",
            "{\"path\":1}"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO_JSON *obj = NULL;
                struct cgroup *cg = NULL;
                struct err *e = NULL;

                assert_int_equal(json_parse(bad[i], strlen(bad[i]), "s", &obj, NULL), 0);
                assert_failed(cgroup_from_json(obj, "s", &cg, &e), e, ERR_INVALID, "");
                assert_null(cg);
        }
        assert_int_equal(cgroup_manager_from_name("systemd"), CGROUP_SYSTEMD);
        assert_int_equal(cgroup_manager_from_name("none"), -EINVAL);
        assert_string_equal(cgroup_manager_name(CGROUP_DISABLED), "disabled");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_life),    cmocka_unit_test(test_removal),
            cmocka_unit_test(test_missing), cmocka_unit_test(test_nobody),
            cmocka_unit_test(test_none),    cmocka_unit_test(test_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
