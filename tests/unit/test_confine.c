/* SPDX-License-Identifier: Apache-2.0 */
/* What a program that reads archives can still do to others: nothing. Each attempt runs in a confined child. */
#include "image/confine.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0 done, else the errno. */
typedef int (*attempt)(pid_t victim);

static int attempt_kill(pid_t victim)
{
        return kill(victim, SIGKILL) < 0 ? errno : 0;
}

static int attempt_tgkill(pid_t victim)
{
        return syscall(SYS_tgkill, victim, victim, SIGKILL) < 0 ? errno : 0;
}

static int attempt_queue(pid_t victim)
{
        return sigqueue(victim, SIGKILL, (union sigval){0}) < 0 ? errno : 0;
}

static int attempt_queue_thread(pid_t victim)
{
        siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_QUEUE};

        return syscall(SYS_rt_tgsigqueueinfo, victim, victim, SIGKILL, &info) < 0 ? errno : 0;
}

static int attempt_own(pid_t victim)
{
        return fcntl(STDIN_FILENO, F_SETOWN, victim) < 0 ? errno : 0;
}

static int attempt_own_signal(pid_t victim)
{
        (void)victim;
        return fcntl(STDIN_FILENO, F_SETSIG, SIGKILL) < 0 ? errno : 0;
}

static int attempt_limit(pid_t victim)
{
        struct rlimit none = {0};

        return prlimit(victim, RLIMIT_CORE, &none, NULL) < 0 ? errno : 0;
}

static int attempt_socket(pid_t victim)
{
        (void)victim;
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int attempt_fork(pid_t victim)
{
        pid_t pid = fork();

        (void)victim;
        if (pid == 0)
                _exit(0);
        return pid < 0 ? errno : 0;
}

static int attempt_execute(pid_t victim)
{
        char *argv[] = {(char[]){"true"}, NULL};

        (void)victim;
        (void)execve("/bin/true", argv, NULL);
        return errno;
}

/* This must go on working: an assertion that fails has to be seen. */
static int attempt_signal_to_itself(pid_t victim)
{
        (void)victim;
        return syscall(SYS_tgkill, getpid(), getpid(), SIGCONT) < 0 ? errno : 0;
}

static int confined(attempt a, pid_t victim)
{
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                struct confine_dir all = {.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};

                /* As root of a namespace of its own, as kelp-image is. */
                if (unshare(CLONE_NEWUSER) < 0 || confine(&all, 1, NULL) < 0)
                        _exit(255);
                _exit(a(victim));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 255);
        return WEXITSTATUS(status);
}

static void test_others_are_out_of_reach(void **state)
{
        static const struct {
                const char *name;
                attempt run;
        } refused[] = {{"kill", attempt_kill},
                       {"tgkill", attempt_tgkill},
                       {"rt_sigqueueinfo", attempt_queue},
                       {"rt_tgsigqueueinfo", attempt_queue_thread},
                       {"fcntl F_SETOWN", attempt_own},
                       {"fcntl F_SETSIG", attempt_own_signal},
                       {"prlimit64", attempt_limit},
                       {"socket", attempt_socket},
                       {"fork", attempt_fork},
                       {"execve", attempt_execute}};
        pid_t victim = fork();
        int status;

        (void)state;
        assert_true(victim >= 0);
        if (victim == 0) {
                (void)pause();
                _exit(0);
        }
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                int r = confined(refused[i].run, victim);

                if (r != EPERM)
                        print_error("%s: %s\n", refused[i].name, strerror(r));
                assert_int_equal(r, EPERM);
        }
        assert_int_equal(waitpid(victim, &status, WNOHANG), 0);
        (void)kill(victim, SIGKILL);
        assert_int_equal(waitpid(victim, &status, 0), victim);
}

static void test_it_may_end_itself(void **state)
{
        (void)state;
        assert_int_equal(confined(attempt_signal_to_itself, 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_others_are_out_of_reach),
            cmocka_unit_test(test_it_may_end_itself),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
