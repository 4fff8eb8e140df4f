/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/str.h"

#include <errno.h>

/* Each case sets what it needs in an environment that has nothing. */
static char *fresh(void **state)
{
        static const char *const names[] = {
            "HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "KELP_ROOT",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                (void)unsetenv(names[i]);
        return unit_dir_path(unit_dir(state));
}

static void set(const char *name, const char *top, const char *below)
{
        AUTO_FREE char *path = xasprintf("%s%s", top, below);

        (void)setenv(name, path, 1);
}

static void assert_private(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(st.st_uid, geteuid());
}

static void test_xdg(void **state)
{
        AUTO_FREE char *top = fresh(state), *root = xasprintf("%s/data/kelp", top);
        AUTO_FREE char *cache = xasprintf("%s/cache/kelp", top),
                       *run = xasprintf("%s/run/kelp/", top);
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int sub = -EBADF, cache_fd = -EBADF;

        set("XDG_DATA_HOME", top, "/data");
        set("XDG_CACHE_HOME", top, "/cache");
        set("XDG_RUNTIME_DIR", top, "/run");
        assert_int_equal(mkdirat(unit_dir(state), "run", 0700), 0);
        assert_ok(dirs_open(NULL, &d, &e), e);
        assert_string_equal(d->root, root);
        assert_string_equal(d->cache, cache);
        assert_true(str_starts(d->runtime, run));
        assert_int_equal(strlen(d->runtime), strlen(run) + 16);
        assert_private(d->root_fd);
        assert_private(d->runtime_fd);
        sub = dirs_sub(d, "containers", &e);
        assert_ok(sub, e);
        assert_private(sub);
        cache_fd = dirs_cache_fd(d, &e);
        assert_ok(cache_fd, e);
        assert_private(cache_fd);
}

static void test_home(void **state)
{
        AUTO_FREE char *top = fresh(state), *root = xasprintf("%s/.local/share/kelp", top);
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;

        set("HOME", top, "");
        set("XDG_RUNTIME_DIR", top, "");
        (void)setenv("XDG_DATA_HOME", "relative/is/ignored", 1);
        assert_ok(dirs_open(NULL, &d, &e), e);
        assert_string_equal(d->root, root);
}

static void test_root_wins(void **state)
{
        AUTO_FREE char *top = fresh(state), *option = xasprintf("%s/option", top);
        AUTO_FREE char *env = xasprintf("%s/env", top), *cache = xasprintf("%s/env/cache", top);
        AUTO(dirs_freep) struct dirs *a = NULL, *b = NULL;
        AUTO_ERR struct err *e = NULL;

        set("XDG_RUNTIME_DIR", top, "");
        set("KELP_ROOT", top, "/env");
        assert_ok(dirs_open(option, &a, &e), e);
        assert_string_equal(a->root, option);
        assert_ok(dirs_open(NULL, &b, &e), e);
        assert_string_equal(b->root, env);
        assert_string_equal(b->cache, cache);
        /* Two roots share no sockets. */
        assert_string_not_equal(a->runtime, b->runtime);
}

static void test_same_root_same_runtime(void **state)
{
        AUTO_FREE char *top = fresh(state), *one = xasprintf("%s/root", top);
        AUTO_FREE char *two = xasprintf("%s/x/../link/", top);
        AUTO(dirs_freep) struct dirs *a = NULL, *b = NULL;
        AUTO_ERR struct err *e = NULL;

        set("XDG_RUNTIME_DIR", top, "");
        assert_int_equal(symlinkat("root", unit_dir(state), "link"), 0);
        assert_ok(dirs_open(one, &a, &e), e);
        assert_ok(dirs_open(two, &b, &e), e);
        assert_string_equal(a->runtime, b->runtime);
}

static void test_nowhere(void **state)
{
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;

        free(fresh(state));
        assert_int_equal(dirs_open(NULL, &d, &e), -EOPNOTSUPP);
        assert_non_null(strstr(err_hint_text(e), "HOME"));
        e = err_free(e);
        assert_failed(dirs_open("", &d, &e), e, ERR_USAGE, "empty path");
}

/* A runtime directory that others may write to is not used; our own in /tmp is. */
static void test_runtime_of_others(void **state)
{
        AUTO_FREE char *top = fresh(state), *root = xasprintf("%s/root", top);
        AUTO_FREE char *own = xasprintf("/tmp/kelp-%u/", (unsigned)geteuid());
        int dir = unit_dir(state);
        AUTO_ERR struct err *e = NULL;

        assert_int_equal(mkdirat(dir, "open", 0700) | fchmodat(dir, "open", 0777, 0), 0);
        assert_int_equal(mkdirat(dir, "mine", 0700) | symlinkat("mine", dir, "link"), 0);
        for (int i = 0; i < 4; i++) {
                static const char *const tails[] = {"/open", "/none", "/link", NULL};
                AUTO(dirs_freep) struct dirs *d = NULL;

                (void)unsetenv("XDG_RUNTIME_DIR");
                if (tails[i])
                        set("XDG_RUNTIME_DIR", top, tails[i]);
                assert_ok(dirs_open(root, &d, &e), e);
                assert_true(str_starts(d->runtime, own));
                assert_int_equal(unlinkat(AT_FDCWD, d->runtime, AT_REMOVEDIR), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            unit_test_dir(test_xdg),       unit_test_dir(test_home),
            unit_test_dir(test_root_wins), unit_test_dir(test_same_root_same_runtime),
            unit_test_dir(test_nowhere),   unit_test_dir(test_runtime_of_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
