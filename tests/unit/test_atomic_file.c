/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>

static int count_entries(int dir)
{
        DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        int n = 0;

        while (readdir(d))
                n++;
        (void)closedir(d);
        return n - 2;
}

static void test_write(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *text = NULL;
        int dir = unit_dir(state);
        mode_t old = umask(077);
        struct stat st;

        assert_ok(atomic_file_write(dir, "f", "one", 3, 0644, false, &e), e);
        assert_ok(atomic_file_write(dir, "f", "second", 6, 0644, true, &e), e);
        (void)umask(old);
        text = unit_read(dir, "f");
        assert_string_equal(text, "second");
        assert_int_equal(fstatat(dir, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(count_entries(dir), 1);
}

static void test_path_descriptor(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int dir = openat(unit_dir(state), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_ok(atomic_file_write(dir, "f", "x", 1, 0600, true, &e), e);
}

static void test_failure_leaves_nothing(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);

        assert_int_equal(mkdirat(dir, "d", 0700), 0);
        assert_failed(atomic_file_write(dir, "d", "x", 1, 0600, false, &e), e, ERR_SYS,
                      "write 'd': Is a directory");
        assert_failed(atomic_file_write(dir, "none/f", "x", 1, 0600, false, &e), e, ERR_SYS,
                      "No such file");
        assert_int_equal(count_entries(dir), 1);
        assert_int_equal(unlinkat(dir, "d", AT_REMOVEDIR), 0);
}

static void test_replaces_link(void **state)
{
        AUTO_FREE char *text = NULL;
        int dir = unit_dir(state);

        unit_write(dir, "target", "old");
        assert_int_equal(symlinkat("target", dir, "f"), 0);
        assert_int_equal(atomic_file_write(dir, "f", "new", 3, 0600, false, NULL), 0);
        text = unit_read(dir, "target");
        assert_string_equal(text, "old");
}

static void test_json(void **state)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *text = NULL;
        AUTO_JSON *o = json_object_new_object();
        int dir = unit_dir(state);

        json_add_string(o, "path", "/a/b");
        assert_ok(atomic_file_write_json(dir, "f", o, false, &e), e);
        text = unit_read(dir, "f");
        assert_string_equal(text, "{\"path\":\"/a/b\"}");
}

static void test_sweep(void **state)
{
        AUTO_ERR struct err *e = NULL;
        int dir = unit_dir(state);
        AUTO_CLOSE int live = -EBADF;

        unit_write(dir, "keep", "x");
        unit_write(dir, ".tmp-dead", "x");
        live = lock_acquire(dir, ".tmp-live", true, &e);
        assert_ok(live, e);
        assert_ok(atomic_file_sweep(dir, &e), e);
        assert_int_equal(faccessat(dir, ".tmp-dead", F_OK, 0), -1);
        assert_int_equal(faccessat(dir, ".tmp-live", F_OK, 0), 0);
        assert_int_equal(faccessat(dir, "keep", F_OK, 0), 0);
        assert_failed(atomic_file_sweep(-EBADF, &e), e, ERR_SYS, "read a directory");
}

/* A sweeper that never rests, and readers, beside a writer: every write succeeds, every read is whole. */
static void test_sweep_beside_writer(void **state)
{
        int dir = unit_dir(state);
        pid_t sweeper;

        assert_int_equal(atomic_file_write(dir, "f", "0123456789", 10, 0600, false, NULL), 0);
        sweeper = fork();
        if (sweeper == 0)
                while (getppid() != 1)
                        (void)atomic_file_sweep(dir, NULL);
        for (int i = 0; i < 2000; i++) {
                AUTO_ERR struct err *e = NULL;
                AUTO_FREE char *text = NULL;

                assert_ok(atomic_file_write(dir, "f", "0123456789", 10, 0600, false, &e), e);
                text = unit_read(dir, "f");
                assert_string_equal(text, "0123456789");
        }
        (void)kill(sweeper, SIGKILL);
        (void)waitpid(sweeper, NULL, 0);
        assert_int_equal(atomic_file_sweep(dir, NULL), 0);
        assert_int_equal(count_entries(dir), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            unit_test_dir(test_write),
            unit_test_dir(test_path_descriptor),
            unit_test_dir(test_failure_leaves_nothing),
            unit_test_dir(test_replaces_link),
            unit_test_dir(test_json),
            unit_test_dir(test_sweep),
            unit_test_dir(test_sweep_beside_writer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
