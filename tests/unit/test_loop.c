/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"

#include <errno.h>
#include <signal.h>

#define MS 1000000ULL

struct seen {
        struct loop_source *a, *b, *timer;
        int count, signal;
        uint32_t events;
};

static struct loop *new_loop(void)
{
        AUTO_ERR struct err *e = NULL;
        struct loop *l = NULL;

        assert_ok(loop_new(&l, &e), e);
        return l;
}

static int on_read(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct seen *s = arg;
        char c;

        s->events = events;
        if (read(fd, &c, 1) == 1)
                s->count++;
        else
                loop_stop(l);
        return 0;
}

static void test_fd(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        struct seen s = {0};
        int p[2];

        assert_int_equal(fd_pipe(p, NULL), 0);
        assert_int_equal(loop_add_fd(l, p[0], EPOLLIN, on_read, &s, &s.a, NULL), 0);
        assert_int_equal(write(p[1], "abc", 3), 3);
        (void)fd_close(p[1]);
        assert_int_equal(loop_run(l, NULL), 0);
        assert_int_equal(s.count, 3);
        assert_true(s.events & EPOLLHUP);
        s.a = loop_remove(s.a);
        assert_null(loop_remove(NULL));
        /* The descriptor stays its owner's. */
        assert_true(fcntl(p[0], F_GETFD) >= 0);
        (void)fd_close(p[0]);
}

/* What epoll refuses is ready always. */
static void test_regular_file(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        int dir = unit_dir(state), before = unit_count_fds();
        struct seen s = {0};
        int fd, null;

        unit_write(dir, "f", "12345");
        fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(loop_add_fd(l, fd, EPOLLIN, on_read, &s, &s.a, NULL), 0);
        assert_int_equal(loop_run(l, NULL), 0);
        assert_int_equal(s.count, 5);
        assert_int_equal(loop_set_events(s.a, 0), 0);
        assert_int_equal(loop_add_fd(l, null, EPOLLIN, on_read, &s, NULL, NULL), 0);
        assert_int_equal(loop_run(l, NULL), 0);
        assert_int_equal(s.count, 5);
        l = loop_free(l);
        (void)fd_close(fd);
        (void)fd_close(null);
        assert_int_equal(unit_count_fds(), before - 1); /* the loop's own */
}

static void test_bad_fd(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        AUTO_ERR struct err *e = NULL;

        assert_int_equal(loop_add_fd(l, -EBADF, EPOLLIN, on_read, NULL, NULL, &e), -EBADF);
        assert_non_null(e);
}

static int on_remove_both(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct seen *s = arg;

        s->count++;
        s->a = loop_remove(s->a);
        s->b = loop_remove(s->b);
        loop_stop(l);
        return 0;
}

/* Both are in one batch; whichever comes first removes itself and the other, which must not be called any more. */
static void test_remove_in_callback(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        struct seen s = {0};
        int p[2], q[2];

        assert_int_equal(fd_pipe(p, NULL) | fd_pipe(q, NULL), 0);
        assert_int_equal(write(p[1], "x", 1) + write(q[1], "x", 1), 2);
        assert_int_equal(loop_add_fd(l, p[0], EPOLLIN, on_remove_both, &s, &s.a, NULL), 0);
        assert_int_equal(loop_add_fd(l, q[0], EPOLLIN, on_remove_both, &s, &s.b, NULL), 0);
        assert_int_equal(loop_run(l, NULL), 0);
        assert_int_equal(s.count, 1);
        for (int i = 0; i < 2; i++) {
                (void)fd_close(p[i]);
                (void)fd_close(q[i]);
        }
}

static int on_timer(struct loop *l, void *arg)
{
        struct seen *s = arg;

        if (++s->count < 3)
                return loop_timer_set(s->timer, s->count * MS);
        loop_stop(l);
        return 0;
}

static void test_timer(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        struct seen s = {0};
        int64_t start = clock_monotonic_ns();

        assert_int_equal(loop_add_timer(l, 0, on_timer, &s, &s.timer, NULL), 0);
        assert_int_equal(loop_run(l, NULL), 0);
        assert_int_equal(s.count, 3);
        assert_true(clock_monotonic_ns() - start >= (int64_t)(3 * MS));
}

static int on_never(struct loop *l, void *arg)
{
        return -EXDEV;
}

static void test_timer_stop(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        struct loop_source *never;
        struct seen s = {.count = 2};

        assert_int_equal(loop_add_timer(l, MS, on_never, NULL, &never, NULL), 0);
        assert_int_equal(loop_timer_stop(never), 0);
        assert_int_equal(loop_add_timer(l, 3 * MS, on_timer, &s, &s.timer, NULL), 0);
        assert_int_equal(loop_run(l, NULL), 0);
}

static void test_callback_fails(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();

        assert_int_equal(loop_add_timer(l, 0, on_never, NULL, NULL, NULL), 0);
        assert_int_equal(loop_run(l, NULL), -EXDEV);
}

static int on_signal(struct loop *l, const struct signalfd_siginfo *si, void *arg)
{
        struct seen *s = arg;

        s->signal |= 1 << si->ssi_signo;
        if (++s->count == 2)
                loop_stop(l);
        return 0;
}

static void test_signals(void **state)
{
        AUTO(loop_freep) struct loop *l = new_loop();
        struct seen s = {0};
        sigset_t set, old;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGUSR1);
        (void)sigaddset(&set, SIGUSR2);
        (void)sigprocmask(SIG_BLOCK, &set, &old);
        assert_int_equal(loop_add_signals(l, &set, on_signal, &s, NULL), 0);
        (void)raise(SIGUSR1);
        (void)raise(SIGUSR2);
        assert_int_equal(loop_run(l, NULL), 0);
        (void)sigprocmask(SIG_SETMASK, &old, NULL);
        assert_int_equal(s.signal, 1 << SIGUSR1 | 1 << SIGUSR2);
}

static void test_nothing_leaks(void **state)
{
        int before = unit_count_fds();
        struct loop *l = new_loop();
        sigset_t set;

        (void)sigemptyset(&set);
        assert_int_equal(loop_add_timer(l, 0, on_never, NULL, NULL, NULL), 0);
        assert_int_equal(loop_add_signals(l, &set, on_signal, NULL, NULL), 0);
        assert_null(loop_free(l));
        assert_null(loop_free(NULL));
        assert_int_equal(unit_count_fds(), before);
}

/* What a loop would wait for may have happened before it runs. */
static void test_stop_before_run(void **state)
{
        struct loop *l = NULL;
        struct err *e = NULL;

        assert_ok(loop_new(&l, &e), e);
        loop_stop(l);
        (void)alarm(10);
        assert_ok(loop_run(l, &e), e);
        (void)alarm(0);
        loop_free(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_stop_before_run),
            cmocka_unit_test(test_fd),
            unit_test_dir(test_regular_file),
            cmocka_unit_test(test_bad_fd),
            cmocka_unit_test(test_remove_in_callback),
            cmocka_unit_test(test_timer),
            cmocka_unit_test(test_timer_stop),
            cmocka_unit_test(test_callback_fails),
            cmocka_unit_test(test_signals),
            cmocka_unit_test(test_nothing_leaks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
