/* SPDX-License-Identifier: Apache-2.0 */
/* Names, states, listings and filters on directories made by hand; nothing is run. */
#include "unit.h"

#include "base/clock.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/str.h"
#include "container/container.h"
#include "container/container_internal.h"
#include "monitor/record.h"

#include <stdio.h>

#define ID_A "aaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_B "aaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct dirs *open_dirs(void **state)
{
        AUTO_FREE char *path = unit_dir_path(unit_dir(state));
        AUTO_FREE char *root = xasprintf("%s/root", path), *run = xasprintf("%s/run", path);
        AUTO_ERR struct err *e = NULL;
        struct dirs *d = NULL;

        assert_int_equal(mkdir(run, 0700), 0);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", run, 1), 0);
        assert_ok(dirs_open(root, &d, &e), e);
        return d;
}

/* A container as a creator leaves it; the descriptor of its directory. */
static int make_container(const struct dirs *d, const char *id, const char *name,
                          const char *created)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int parent = dirs_sub(d, CONTAINERS, &e);
        AUTO_FREE char *config = xasprintf(
            "{\"Name\":\"%s\",\"Created\":\"%s\",\"Image\":\"sha256:%s\",\"ImageName\":\"debian\","
            "\"Config\":{\"Labels\":{\"a\":\"1\",\"b\":\"2\"}},\"HostConfig\":{},\"Mounts\":[]}",
            name, created, ID_B);
        char other[65];
        int fd;

        assert_int_equal(mkdirat(parent, id, 0700), 0);
        fd = openat(parent, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unit_write(fd, "config.json", config);
        unit_write(fd, "lock", "");
        assert_int_equal(name_reserve(d, name, id, other, &e), 1);
        return fd;
}

static void test_name_rules(void **state)
{
        static const char *const good[] = {"a", "ab", "a.b", "A_b-9", "0x"};
        static const char *const bad[] = {"", "-a", ".ab", "a b", "a/b", "..", "\xc3\xa4\xc3\xa4"};

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                AUTO_ERR struct err *e = NULL;
                assert_ok(name_check(good[i], &e), e);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct err *e = NULL;
                assert_failed(name_check(bad[i], &e), e, ERR_USAGE, bad[i]);
        }
}

static void test_name_reservation(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", &e), maker = -EBADF, lock = -EBADF;
        char id[65];

        assert_int_equal(name_lookup(d, "web", id, &e), 0);
        /* A maker that lives has it, though its container is not there yet. */
        assert_int_equal(mkdirat(tmp, ID_A, 0700), 0);
        maker = openat(tmp, ID_A, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        lock = lock_acquire(maker, "lock", true, &e);
        assert_ok(lock, e);
        assert_int_equal(name_reserve(d, "web", ID_A, id, &e), 1);
        assert_int_equal(name_reserve(d, "web", ID_B, id, &e), 0);
        assert_string_equal(id, ID_A);
        /* A dead one has lost it. */
        lock = fd_close(lock);
        assert_int_equal(name_reserve(d, "web", ID_B, id, &e), 1);
        assert_int_equal(name_lookup(d, "web", id, &e), 1);
        assert_string_equal(id, ID_B);
        assert_int_equal(name_lookup(d, "../web", id, &e), 0);
        assert_int_equal(name_lookup(d, ".lock", id, &e), 0);
}

static void test_find(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int a = make_container(d, ID_A, "one", "2026-01-01T00:00:01Z");
        AUTO_CLOSE int b = make_container(d, ID_B, "two", "2026-01-01T00:00:02Z");
        static const char *const as_one[] = {"one", "/one", ID_A, "aaaaaaaaaaaa", "aaaaaaaaaaaabb"};
        struct container **v;
        struct err *e = NULL;
        struct container *c = NULL;
        size_t n;

        for (size_t i = 0; i < ARRAY_SIZE(as_one); i++) {
                assert_ok(container_find(d, as_one[i], &c, &e), e);
                assert_string_equal(c->id, ID_A);
                assert_true(c->dir_fd >= 0);
                c = container_free(c);
        }
        assert_failed(container_find(d, "aaa", &c, &e), e, ERR_USAGE, "'aaa'");
        assert_failed(container_find(d, "three", &c, &e), e, ERR_NOT_FOUND,
                      "no such container: three");
        assert_failed(container_find(d, "", &c, &e), e, ERR_NOT_FOUND, "no such container");
        assert_ok(container_list(d, &v, &n, &e), e);
        assert_int_equal(n, 2);
        assert_string_equal(v[0]->name, "two"); /* newest first */
        container_list_free(v, n);
        /* A removal that was killed after it had taken the name away. */
        {
                AUTO_CLOSE int names = dirs_sub(d, NAMES, &e);
                assert_int_equal(unlinkat(names, "one", 0), 0);
        }
        assert_ok(container_find(d, "one", &c, &e), e);
        c = container_free(c);
}

static void expect_status(const struct dirs *d, enum container_status status, int code)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *e = NULL;

        assert_ok(container_find(d, "one", &c, &e), e);
        assert_string_equal(container_status_name(c->status), container_status_name(status));
        assert_int_equal(c->exit_code, code);
}

/* The table of docs/state.md, row by row. */
static void test_states(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int dir = make_container(d, ID_A, "one", "2026-01-01T00:00:01Z");
        AUTO_CLOSE int lock = -EBADF;
        AUTO_ERR struct err *e = NULL;
        struct exit_record x = {.code = 3, .started_ns = 5, .finished_ns = 6};
        struct run_record run = {.started_ns = 5};

        expect_status(d, CONTAINER_CREATED, 0);
        lock = lock_acquire(dir, "lock", true, &e);
        expect_status(d, CONTAINER_CREATED, 0);
        assert_ok(process_identify(getpid(), &run.process, &e), e);
        run.monitor = run.process;
        assert_ok(run_record_write(dir, &run, &e), e);
        expect_status(d, CONTAINER_RUNNING, 0);
        assert_ok(exit_record_write(dir, &x, false, &e), e);
        expect_status(d, CONTAINER_EXITED, 3);
        lock = fd_close(lock);
        expect_status(d, CONTAINER_EXITED, 3);
        /* A start that failed: created, with the reason. */
        x = (struct exit_record){
            .code = 127, .error = (char[]){"no such program"}, .finished_ns = 6};
        assert_int_equal(unlinkat(dir, RECORD_RUN, 0), 0);
        assert_ok(exit_record_write(dir, &x, false, &e), e);
        expect_status(d, CONTAINER_CREATED, 127);
}

/* The monitor was killed: what runs is killed, and the end recorded once for all. */
static void test_settle(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int dir = make_container(d, ID_A, "one", "2026-01-01T00:00:01Z");
        AUTO_ERR struct err *e = NULL;
        struct run_record run = {.started_ns = 5};
        struct exit_record x;
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                (void)pause();
                _exit(0);
        }
        assert_ok(process_identify(pid, &run.process, &e), e);
        run.monitor = run.process;
        assert_ok(run_record_write(dir, &run, &e), e);
        expect_status(d, CONTAINER_EXITED, 137);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(exit_record_read(dir, &x, &e), 1);
        assert_non_null(strstr(x.error, "monitor"));
        exit_record_release(&x);
}

/* A pid that belongs to somebody else by now is left alone. */
static void test_settle_reused_pid(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int dir = make_container(d, ID_A, "one", "2026-01-01T00:00:01Z");
        AUTO_ERR struct err *e = NULL;
        struct run_record run = {.started_ns = 5};

        assert_ok(process_identify(getpid(), &run.process, &e), e);
        run.process.start_time--;
        run.monitor = run.process;
        assert_ok(run_record_write(dir, &run, &e), e);
        expect_status(d, CONTAINER_EXITED, 137); /* and we are still here */
}

static void test_damaged(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int a = make_container(d, ID_A, "one", "2026-01-01T00:00:01Z");
        AUTO_CLOSE int b = make_container(d, ID_B, "two", "2026-01-01T00:00:02Z");
        AUTO_ERR struct err *e = NULL;
        struct container **v;
        struct container *c = NULL;
        struct err *why = NULL;
        size_t n;

        unit_write(a, "config.json", "{\"Name\":[]}");
        assert_ok(container_list(d, &v, &n, &e), e);
        assert_int_equal(n, 1);
        assert_string_equal(v[0]->name, "two");
        container_list_free(v, n);
        assert_failed(container_find(d, ID_A, &c, &why), why, ERR_INVALID, "Name");
}

static void test_status_text(void **state)
{
        struct container c = {.status = CONTAINER_RUNNING,
                              .started_ns = 1000000000,
                              .exit_code = 3,
                              .finished_ns = 1000000000};
        const int64_t minute = 60000000000;
        static const struct {
                enum container_status status;
                const char *text;
        } rows[] = {
            {CONTAINER_RUNNING, "Up 5 minutes"},
            {CONTAINER_EXITED, "Exited (3) 5 minutes ago"},
            {CONTAINER_CREATED, "Created"},
            {CONTAINER_PAUSED, "Up 5 minutes (Paused)"},
            {CONTAINER_RESTARTING, "Restarting (3) 5 minutes ago"},
            {CONTAINER_REMOVING, "Removal In Progress"},
            {CONTAINER_DEAD, "Dead"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                AUTO_FREE char *text = NULL;

                c.status = rows[i].status;
                text = container_status_text(&c, 1000000000 + 5 * minute);
                assert_string_equal(text, rows[i].text);
        }
}

static void expect_filter(const struct dirs *d, const char *filters, const char *want)
{
        AUTO(container_filter_freep) struct container_filter *f = NULL;
        AUTO_STRV list = {0};
        AUTO_STRBUF got = {0};
        AUTO_ERR struct err *e = NULL;
        struct container **v;
        size_t n;

        strv_split(&list, filters, ' ');
        assert_ok(container_filter_parse(d, list.v, &f, &e), e);
        assert_ok(container_list(d, &v, &n, &e), e);
        for (size_t i = 0; i < n; i++) {
                if (container_filter_match(f, v[i]))
                        strbuf_addf(&got, "%s ", v[i]->name);
        }
        container_list_free(v, n);
        if (strcmp(got.data ? got.data : "", want) != 0)
                fail_msg("%s: '%s', not '%s'", filters, got.data ? got.data : "", want);
}

static void test_filters(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int a = make_container(d, ID_A, "one", "2026-01-01T00:00:01Z");
        AUTO_CLOSE int b = make_container(d, ID_B, "two", "2026-01-01T00:00:02Z");
        AUTO_ERR struct err *e = NULL;
        struct exit_record x = {.code = 3, .started_ns = 5, .finished_ns = 6};
        struct container_filter *f = NULL;
        struct err *why = NULL;
        char *bad[] = {(char[]){"colour=red"}, NULL},
             *bad_status[] = {(char[]){"status=fine"}, NULL};

        assert_ok(exit_record_write(b, &x, false, &e), e);
        expect_filter(d, "name=one", "one ");
        expect_filter(d, "name=^/one$", "one ");
        expect_filter(d, "name=one name=two", "two one ");
        expect_filter(d, "name=o", "two one ");
        expect_filter(d, "status=exited", "two ");
        expect_filter(d, "status=exited status=created", "two one ");
        expect_filter(d, "exited=3", "two ");
        expect_filter(d, "exited=0", "");
        expect_filter(d, "id=aaaaaaaaaaaa", "one ");
        expect_filter(d, "label=a label=b=2", "two one ");
        expect_filter(d, "label=a label=b=3", "");
        expect_filter(d, "before=two", "one ");
        expect_filter(d, "since=one", "two ");
        expect_filter(d, "ancestor=debian name=two", "two ");
        expect_filter(d,
                      "ancestor="
                      "aaaaaaaaaaab",
                      "two one ");
        expect_filter(d, "ancestor=alpine", "");
        expect_filter(d, "network=none", "two one ");
        assert_failed(container_filter_parse(d, bad, &f, &why), why, ERR_USAGE, "'colour'");
        assert_failed(container_filter_parse(d, bad_status, &f, &why), why, ERR_USAGE, "'fine'");
}

/* Garbage in tmp/ goes, what somebody works on stays. */
static void test_sweep(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", &e);
        struct tmp_dir live = TMP_DIR_NONE, dead = TMP_DIR_NONE;
        struct stat st;

        assert_ok(tmp_dir_make(d, &live, &e), e);
        assert_ok(tmp_dir_make(d, &dead, &e), e);
        unit_write(dead.fd, "config.json", "{}");
        tmp_dir_close(&dead);
        assert_int_equal(mkdirat(tmp, "empty", 0700), 0);
        container_tmp_sweep(d);
        assert_int_equal(fstatat(tmp, live.id, &st, 0), 0);
        assert_int_equal(fstatat(tmp, dead.id, &st, 0), -1);
        assert_int_equal(fstatat(tmp, "empty", &st, 0), -1);
        tmp_dir_close(&live);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_name_rules), unit_test_dir(test_name_reservation),
            unit_test_dir(test_find),          unit_test_dir(test_states),
            unit_test_dir(test_settle),        unit_test_dir(test_settle_reused_pid),
            unit_test_dir(test_damaged),       cmocka_unit_test(test_status_text),
            unit_test_dir(test_filters),       unit_test_dir(test_sweep),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
