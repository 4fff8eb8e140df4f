/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real launches, of the probe program on a plain directory, in a user namespace that each test makes for itself (one id): what the
 * program does, and that the failure of every single stage arrives by name and leaves nothing behind.
 */
#include "launch_fixture.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/sys.h"
#include "launch/launch_internal.h"
#include "security/caps.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* ---- what a program sees ---- */

static int run_world(void *arg)
{
        struct fixture f;
        char *text;

        (void)arg;
        setup(&f);
        text = output(&f, "/bin/probe seq id -- hostname -- cwd -- umask -- fds", 0);
        CHECK(strstr(text, "uid=0"));
        CHECK(strstr(text, "box\n"));
        CHECK(strstr(text, "/made/for/it\n"));
        CHECK(strstr(text, "022"));
        CHECK(strstr(text, "\n2 ") && !strstr(text, "\n3 "));
        free(text);
        text = output(&f, "probe read /proc/sys/net/ipv4/ip_forward", 0);
        CHECK(strcmp(text, "1\n") == 0);
        free(text);
        text = output(&f, "probe read /proc/timer_list", 0);
        CHECK(*text == '\0');
        free(text);
        text = output(&f, "probe poke /proc/sys/net/ipv4/ip_forward 0", 1);
        free(text);
        text = output(&f, "probe exit 7", 7);
        free(text);
        return teardown(&f);
}

static void test_world(void **state)
{
        assert_int_equal(unit_fork(run_world, NULL, 1), 0);
}

/* ---- stages ---- */

static bool has_child(void)
{
        return waitpid(-1, NULL, WNOHANG | __WALL) >= 0 || errno != ECHILD;
}

static void fail_at(struct fixture *f, enum stage stage)
{
        struct launched l;
        struct err *e = NULL;
        int fds = unit_count_fds(), r = start(f, (int)stage, -EBADF, &l, &e);

        if (r != -ECANCELED && !(stage == STAGE_EXEC && r < 0))
                (void)fprintf(stderr, "stage %s: %d (%s)\n", stage_name(stage), r, err_message(e));
        CHECK(r < 0 && e);
        CHECK(strstr(err_message(e), stage_what(stage)));
        CHECK(strstr(err_message(e), strerror(ECANCELED)));
        CHECK(err_kind(e) == (stage == STAGE_EXEC ? ERR_EXEC_DENIED : ERR_SYS));
        e = err_free(e);
        CHECK(!has_child());
        CHECK(unit_count_fds() == fds);
}

static int run_faults(void *arg)
{
        struct fixture f;
        char *text;

        (void)arg;
        setup(&f);
        set_command(&f, "/bin/probe true");
        for (int i = 0; i < STAGE_COUNT; i++) {
                if (i != STAGE_JOIN)
                        fail_at(&f, (enum stage)i);
        }
        /* And the other order of the last stages. */
        f.spec->process.no_new_privileges = false;
        fail_at(&f, STAGE_SECCOMP);
        fail_at(&f, STAGE_CAPS);
        text = output(&f, "/bin/probe true", 0);
        free(text);
        return teardown(&f);
}

static void test_faults(void **state)
{
        assert_int_equal(unit_fork(run_faults, NULL, 1), 0);
}

/* ---- failures with words ---- */

static void fails_with(struct fixture *f, enum err_kind kind, const char *part)
{
        struct launched l;
        struct err *e = NULL;
        int r = start(f, -1, -EBADF, &l, &e);

        if (r >= 0 || err_kind(e) != kind || !strstr(err_message(e), part))
                (void)fprintf(stderr, "%d: %s (wanted %s)\n", r, err_message(e), part);
        CHECK(r < 0 && err_kind(e) == kind && strstr(err_message(e), part));
        e = err_free(e);
        CHECK(!has_child());
}

static int run_words(void *arg)
{
        struct fixture f;
        AUTO_FREE char *text_file = NULL, *script = NULL;
        int fd;

        (void)arg;
        setup(&f);
        text_file = xasprintf("%s/bin/text", f.root);
        script = xasprintf("%s/bin/script", f.root);
        fd = open(text_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        CHECK(fd >= 0 && io_write_full(fd, "no program", 10) == 0);
        fd = fd_close(fd);
        fd = open(script, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        CHECK(fd >= 0 && io_write_full(fd, "#!/bin/nothing\n", 15) == 0);
        fd = fd_close(fd);

        set_command(&f, "nosuch");
        fails_with(&f, ERR_EXEC_MISSING, "exec 'nosuch': executable file not found in $PATH");
        set_command(&f, "/nosuch");
        fails_with(&f, ERR_EXEC_MISSING, "exec '/nosuch': No such file");
        set_command(&f, "/bin");
        fails_with(&f, ERR_EXEC_DENIED, "exec '/bin': Is a directory");
        set_command(&f, "text");
        fails_with(&f, ERR_EXEC_DENIED, "Exec format error");
        set_command(&f, "script");
        fails_with(&f, ERR_EXEC_MISSING, "interpreter");
        set_command(&f, "/bin/probe true");
        f.spec->process.user = xstrdup("alice");
        fails_with(&f, ERR_USAGE, "'alice'");
        free(f.spec->process.user);
        f.spec->process.user = xstrdup("77");
        fails_with(&f, ERR_SYS, "change ids to '77'");
        f.spec->process.user[0] = '\0';
        (void)spec_add_mount(f.spec, "/mnt", "bind", "/nosuch/source", "rbind");
        fails_with(&f, ERR_SYS, "open '/nosuch/source': No such file");
        spec_remove_mount(f.spec, "/mnt");
        (void)spec_add_mount(f.spec, "/mnt", "tmpfs", "tmpfs", "size=lots");
        fails_with(&f, ERR_SYS, "mount '/mnt'");
        spec_remove_mount(f.spec, "/mnt");
        (void)spec_add_mount(f.spec, "/mnt", "ext4", "/dev/sda", "");
        fails_with(&f, ERR_UNSUPPORTED, "'ext4'");
        spec_remove_mount(f.spec, "/mnt");
        strv_add(&f.spec->sysctl, "kernel.core_pattern=x");
        fails_with(&f, ERR_USAGE, "kernel.core_pattern");
        f.spec->rdt.set = true;
        fails_with(&f, ERR_UNSUPPORTED, "linux.intelRdt");
        return teardown(&f);
}

static void test_words(void **state)
{
        assert_int_equal(unit_fork(run_words, NULL, 1), 0);
}

/* ---- a bundle ---- */

/* The namespaces and mounts of a bundle instead of Kelp's own. */
static void make_bundle_root(struct fixture *f, bool namespace)
{
        struct spec *s = f->spec;

        s->oci = true;
        s->bundle = xstrdup(f->root);
        s->ns[SPEC_NS_USER].enabled = namespace;
        if (!namespace) {
                id_map_release(&s->uid_map);
                id_map_release(&s->gid_map);
                s->rootless_one_id = false;
        }
        (void)spec_add_mount(s, "/t", "tmpfs", "tmpfs", "noexec,nosuid,size=1m,noatime");
        (void)spec_add_mount(s, "/t/b", "bind", "bin", "bind,ro,nodev,nosymfollow");
        (void)spec_add_mount(s, "/t", "none", NULL, "remount,nodev");
        (void)spec_add_mount(s, "relative", "none", "bin", "rbind,rro,rprivate");
}

static void check_bundle_root(struct fixture *f)
{
        char *text = output(f, "/bin/probe read /proc/self/mountinfo", 0);

        CHECK(strstr(text, " /t rw,nosuid,nodev,noexec,noatime"));
        CHECK(strstr(text, " /t/b ro,") && strstr(text, ",nosymfollow "));
        CHECK(strstr(text, " /relative ro,"));
        CHECK(strstr(text, " /sys ro,nosuid,nodev,noexec"));
        CHECK(strstr(text, " /proc/timer_list "));
        free(text);
        text = output(f, "/bin/probe seq stat /dev/null /dev/tty -- readlink /dev/ptmx", 0);
        CHECK(strstr(text, "1:3") && strstr(text, "5:0") && strstr(text, "pts/ptmx"));
        free(text);
}

static int run_bundle_root(void *arg)
{
        bool namespace = *(const bool *)arg;
        struct fixture f;
        struct spec_device *d;
        char *text;

        setup_in(&f, namespace);
        make_bundle_root(&f, namespace);
        check_bundle_root(&f);
        /* Once more on what the first run has made in the root. */
        check_bundle_root(&f);
        f.spec->devices = d = xcalloc(1, sizeof(*f.spec->devices));
        f.spec->n_devices = 1;
        *d =
            (struct spec_device){.path = xstrdup("/dev/full"), .type = 'c', .major = 1, .minor = 5};
        if (namespace) {
                fails_with(&f, ERR_INVALID, "c 1:5 was asked for, the host's is c 1:7");
        } else {
                text = output(&f, "/bin/probe stat /dev/full", 0);
                CHECK(strstr(text, "1:5"));
                free(text);
        }
        d->minor = 7;
        (void)spec_add_mount(f.spec, "/nosuch", "none", NULL, "remount,ro");
        fails_with(&f, ERR_SYS, "mount '/nosuch'");
        spec_remove_mount(f.spec, "/nosuch");
        f.spec->ns[SPEC_NS_MOUNT].enabled = false;
        fails_with(&f, ERR_UNSUPPORTED, "'mounts' without a mount namespace");
        return teardown(&f);
}

static void test_bundle_root(void **state)
{
        const bool namespace = true, none = false;

        assert_int_equal(unit_fork(run_bundle_root, (void *)&namespace, 1), 0);
        if (geteuid() == 0)
                assert_int_equal(unit_fork(run_bundle_root, (void *)&none, 0), 0);
}

/* ---- a further process ---- */

static int run_exec(void *arg)
{
        struct spec_process process = {.umask = -1, .oom_score_adj = INT64_MIN};
        struct launch_io io = {.in = -EBADF, .out = -EBADF, .err = 2};
        struct launch_exec_opts opts = {.process = &process};
        struct launched first, l;
        struct err *e = NULL;
        struct fixture f;
        int fds;

        (void)arg;
        setup(&f);
        set_command(&f, "/bin/probe pause");
        CHECK(start(&f, -1, -EBADF, &first, &e) == 0);
        opts.spec = f.spec;
        opts.container_pidfd = first.pidfd;
        process.cap_bounding = caps_default();
        strv_add(&process.env, "PATH=/bin");
        strv_split(&process.args, "probe exit 9", ' ');
        fds = unit_count_fds();
        CHECK(launch_exec(&opts, f.cache_fd, f.cache_fd, &io, &l, &e) == 0);
        CHECK(finish(&l) == 9);
        CHECK(unit_count_fds() == fds);
        strv_release(&process.args);
        strv_add(&process.args, "nosuch");
        CHECK(launch_exec(&opts, f.cache_fd, f.cache_fd, &io, &l, &e) < 0);
        CHECK(err_kind(e) == ERR_EXEC_MISSING);
        e = err_free(e);
        CHECK(unit_count_fds() == fds);
        /* A terminal of the container's own devpts. */
        strv_release(&process.args);
        strv_split(&process.args, "probe tty", ' ');
        process.terminal = true;
        CHECK(launch_exec(&opts, f.cache_fd, f.cache_fd, &io, &l, &e) == 0);
        CHECK(l.terminal >= 0 && isatty(l.terminal) && l.keeper >= 0 && isatty(l.keeper));
        CHECK(finish(&l) == 0);
        CHECK(sys_pidfd_send_signal(first.pidfd, SIGKILL) == 0);
        CHECK(finish(&first) == 128 + SIGKILL);
        strv_release(&process.args);
        strv_release(&process.env);
        return teardown(&f);
}

static void test_exec(void **state)
{
        assert_int_equal(unit_fork(run_exec, NULL, 1), 0);
}

/* ---- hooks ---- */

static void remove_hooks(struct fixture *f)
{
        for (int i = 0; i < SPEC_HOOK_COUNT; i++)
                spec_hooks_release(&f->spec->hooks[i]);
}

static void setup_hooks(struct fixture *f)
{
        setup(f);
        f->spec->bundle = xstrdup(f->root);
        strv_add(&f->spec->annotations, "com.example=yes");
        strv_addf(&f->spec->annotations, "run.oci.hooks.stdout=%s/out", f->root);
        set_command(f, "/bin/probe true");
}

/* What hooks have printed since the last time. Caller frees. */
static char *hooks_said(struct fixture *f)
{
        AUTO_FREE char *path = xasprintf("%s/out", f->root);
        struct err *e = NULL;
        char *text = NULL;

        CHECK(io_read_file(AT_FDCWD, path, 65536, &text, NULL, &e) >= 0);
        CHECK(unlink(path) == 0);
        return text;
}

/* Each is given the container's state, in the status that its point has, with the pid that we know it by. */
static int run_hooks(void *arg)
{
        static const char *const statuses[] = {"creating", "creating", "creating", "created"};
        struct launched l;
        struct err *e = NULL;
        AUTO_STRBUF want = {0};
        struct fixture f;
        char *text;
        int fds;

        (void)arg;
        setup_hooks(&f);
        add_hook(&f, SPEC_HOOK_START_CONTAINER, "/bin/probe", "probe cat");
        add_hook(&f, SPEC_HOOK_CREATE_CONTAINER, "/bin/cat", NULL);
        add_hook(&f, SPEC_HOOK_CREATE_RUNTIME, "/bin/cat", NULL);
        add_hook(&f, SPEC_HOOK_PRESTART, "/bin/cat", NULL);
        fds = unit_count_fds();
        for (int i = 0; i < 2; i++) {
                f.spec->process.no_new_privileges = i == 0; /* the order of the last stages */
                if (start(&f, -1, -EBADF, &l, &e) < 0)
                        (void)fprintf(stderr, "%s\n", err_message(e));
                CHECK(!e);
                CHECK(finish(&l) == 0);
                CHECK(unit_count_fds() == fds);
                for (size_t j = 0; j < ARRAY_SIZE(statuses); j++)
                        strbuf_addf(&want,
                                    "{\"ociVersion\":\"1.3.0\",\"id\":\"0123456789ab\","
                                    "\"status\":\"%s\",\"pid\":%d,\"bundle\":\"%s\","
                                    "\"annotations\":{\"com.example\":\"yes\","
                                    "\"run.oci.hooks.stdout\":\"%s/out\"}}",
                                    statuses[j], l.pid, f.root, f.root);
                text = hooks_said(&f);
                if (strcmp(text, want.data) != 0)
                        (void)fprintf(stderr, "%s\n%s\n", text, want.data);
                CHECK(strcmp(text, want.data) == 0);
                free(text);
                strbuf_release(&want);
        }
        return teardown(&f);
}

static void test_hooks(void **state)
{
        assert_int_equal(unit_fork(run_hooks, NULL, 1), 0);
}

static int run_hook_failures(void *arg)
{
        static const char noise[] = "-c echo first >&2; echo; printf 'no net\\377work' >&2; exit 3";
        struct fixture f;
        char *text;

        (void)arg;
        setup_hooks(&f);
        for (int i = SPEC_HOOK_PRESTART; i <= SPEC_HOOK_CREATE_CONTAINER; i++) {
                AUTO_FREE char *words =
                    xasprintf("%s hook '/bin/sh': exit status 3: no net\xef\xbf\xbdwork",
                              spec_hook_name((enum spec_hook)i));

                add_hook(&f, (enum spec_hook)i, "/bin/sh", noise);
                /* Nothing comes behind one that failed. */
                add_hook(&f, (enum spec_hook)i, "/bin/sh", "-c echo behind");
                fails_with(&f, ERR_REMOTE, words);
                text = hooks_said(&f);
                CHECK(strcmp(text, "\n") == 0);
                free(text);
                remove_hooks(&f);
        }
        add_hook(&f, SPEC_HOOK_START_CONTAINER, "/bin/probe", "probe exit 4");
        fails_with(&f, ERR_REMOTE, "startContainer hook '/bin/probe': exit status 4");
        remove_hooks(&f);
        add_hook(&f, SPEC_HOOK_CREATE_CONTAINER, "/nosuch/hook", NULL);
        fails_with(&f, ERR_SYS, "createContainer hook '/nosuch/hook': No such file");
        remove_hooks(&f);
        add_hook(&f, SPEC_HOOK_START_CONTAINER, "/bin/cat", NULL); /* not in this root */
        fails_with(&f, ERR_SYS, "startContainer hook '/bin/cat': No such file");
        remove_hooks(&f);
        add_hook(&f, SPEC_HOOK_CREATE_RUNTIME, "/bin/sh", "-c kill -9 $$");
        fails_with(&f, ERR_REMOTE, "killed by signal 9");
        remove_hooks(&f);
        /* The whole group goes with it, and what holds its stderr open is not waited for. */
        for (int i = SPEC_HOOK_CREATE_RUNTIME; i <= SPEC_HOOK_CREATE_CONTAINER; i++) {
                add_hook(&f, (enum spec_hook)i, "/bin/sh", "-c sleep 300; true")->timeout = 1;
                fails_with(&f, ERR_REMOTE, "hook '/bin/sh': its time is up");
                remove_hooks(&f);
        }
        return teardown(&f);
}

static void test_hook_failures(void **state)
{
        assert_int_equal(unit_fork(run_hook_failures, NULL, 1), 0);
}

/* Those that the runtime runs alone. */
static int run_own_hooks(void *arg)
{
        AUTO_STRV warnings = {0};
        struct err *e = NULL;
        struct fixture f;
        char *text;

        (void)arg;
        setup_hooks(&f);
        strv_add(&add_hook(&f, SPEC_HOOK_POSTSTART, "/usr/bin/env", NULL)->env, "A=b c");
        add_hook(&f, SPEC_HOOK_POSTSTART, "/bin/sh", "-c pwd; umask; echo /proc/self/fd/*");
        add_hook(&f, SPEC_HOOK_POSTSTART, "/usr/bin/env", NULL);
        CHECK(dup3(2, 9, 0) == 9); /* what would be inherited */
        CHECK(launch_hooks_run(f.spec, SPEC_HOOK_POSTSTART, "running", 7, NULL, &e) == 0);
        text = hooks_said(&f);
        CHECK(str_starts(text, "A=b c\n") && strstr(text, f.root) && strstr(text, "\n0022\n"));
        CHECK(strstr(text, "/proc/self/fd/2") && !strstr(text, "/proc/self/fd/9"));
        free(text);
        (void)fd_close(9);
        add_hook(&f, SPEC_HOOK_POSTSTOP, "/bin/false", NULL);
        add_hook(&f, SPEC_HOOK_POSTSTOP, "/bin/cat", NULL);
        CHECK(launch_hooks_run(f.spec, SPEC_HOOK_POSTSTOP, "stopped", 0, &warnings, &e) == 0);
        CHECK(warnings.n == 1 &&
              strstr(warnings.v[0], "poststop hook '/bin/false': exit status 1"));
        text = hooks_said(&f);
        CHECK(strstr(text, "\"status\":\"stopped\",\"pid\":0,"));
        free(text);
        /* Another hook's stderr, too, when it has a file. */
        remove_hooks(&f);
        strv_addf(&f.spec->annotations, "run.oci.hooks.stderr=%s/out", f.root);
        add_hook(&f, SPEC_HOOK_POSTSTART, "/bin/sh", "-c echo a; echo b >&2; exit 5");
        CHECK(launch_hooks_run(f.spec, SPEC_HOOK_POSTSTART, "running", 7, NULL, &e) < 0);
        CHECK(str_ends(err_message(e), "poststart hook '/bin/sh': exit status 5"));
        e = err_free(e);
        text = hooks_said(&f);
        CHECK(strcmp(text, "a\nb\n") == 0);
        free(text);
        CHECK(!has_child());
        return teardown(&f);
}

static void test_own_hooks(void **state)
{
        assert_int_equal(unit_fork(run_own_hooks, NULL, 1), 0);
}

/* ---- who made it dies ---- */

static int run_orphan_inner(void *arg)
{
        int *sock = arg;
        struct launched l;
        struct err *e = NULL;
        struct fixture f;

        setup(&f);
        set_command(&f, "/bin/probe pause");
        CHECK(start(&f, -1, -EBADF, &l, &e) == 0);
        CHECK(fd_send(*sock, f.root, sizeof(f.root), &l.pidfd, 1) == sizeof(f.root));
        (void)raise(SIGKILL);
        return 1;
}

/* pid 1 of the container goes with the process that launched it, however that ended. */
static void test_orphan(void **state)
{
        char root[64];
        int pair[2], pidfd = -EBADF;
        size_t n_fds = 1;
        struct err *e = NULL;

        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair, &e), e);
        assert_int_equal(unit_fork(run_orphan_inner, &pair[1], 1), 128 + SIGKILL);
        assert_int_equal(fd_recv(pair[0], root, sizeof(root), &pidfd, &n_fds), sizeof(root));
        assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 10000), 1);
        (void)fd_close(pidfd);
        (void)fd_close(pair[0]);
        (void)fd_close(pair[1]);
        remove_all(root);
}

/* ---- what only bundles have ---- */

/* Field @n of proc_pid_stat(5), from 3 on. */
static char *stat_field(const char *text, size_t n)
{
        AUTO_STRV fields = {0};

        strv_split(&fields, strrchr(text, ')') + 2, ' ');
        CHECK(fields.n > n - 3);
        return xstrdup(fields.v[n - 3]);
}

static int run_bundle(void *arg)
{
        struct fixture f;
        char *text, *field;
        int64_t now;

        (void)arg;
        setup(&f);
        make_bundle(&f);
        f.spec->ns[SPEC_NS_TIME].enabled = true;
        f.spec->boottime = (struct spec_time_offset){.set = true, .secs = 1000000000};
        f.spec->process.scheduler =
            (struct spec_scheduler){.set = true, .policy = SCHED_BATCH, .nice = 7};
        f.spec->process.oom_score_adj = 321;
        f.spec->domainname = xstrdup("inside");
        /* The first process itself has the clocks, not only its children. */
        text = output(&f, "probe read /proc/uptime", 0);
        text[strcspn(text, ".")] = '\0';
        CHECK(parse_i64(text, &now) == 0 && now >= 1000000000);
        free(text);
        text = output(&f, "probe read /proc/self/stat", 0);
        field = stat_field(text, 19);
        CHECK(strcmp(field, "7") == 0);
        free(field);
        field = stat_field(text, 41);
        CHECK(strcmp(field, "3") == 0); /* SCHED_BATCH */
        free(field);
        free(text);
        text = output(&f,
                      "probe seq read /proc/self/oom_score_adj -- read "
                      "/proc/sys/kernel/domainname -- env HOME",
                      0);
        CHECK(strcmp(text, "321\ninside\n/\n") == 0);
        free(text);
        return teardown(&f);
}

static void test_bundle(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_bundle, NULL, 1), 0);
}

/* Asking for less badness than the process has is root's to do; asking for what it has is nobody's business. */
static int run_refused(void *arg)
{
        struct launched l;
        struct fixture f;
        struct err *e = NULL;
        char *text;

        (void)arg;
        setup(&f);
        make_bundle(&f);
        CHECK(write_file("/proc/self/oom_score_adj", "500"));
        set_command(&f, "probe true");
#define REFUSED(words)                                                                             \
        do {                                                                                       \
                CHECK(start(&f, -1, 2, &l, &e) < 0);                                               \
                if (!strstr(err_message(e), words))                                                \
                        (void)fprintf(stderr, "%s\n", err_message(e));                             \
                CHECK(strstr(err_message(e), words));                                              \
                e = err_free(e);                                                                   \
        } while (0)
        f.spec->ns[SPEC_NS_NET].path = xstrdup("/proc/self/ns/uts");
        REFUSED("join network namespace '/proc/self/ns/uts': it is a uts namespace");
        free(f.spec->ns[SPEC_NS_NET].path);
        f.spec->ns[SPEC_NS_NET].path = xstrdup("/proc/self/status");
        REFUSED("join network namespace '/proc/self/status': it is not a namespace");
        free(f.spec->ns[SPEC_NS_NET].path);
        f.spec->ns[SPEC_NS_NET].path = NULL;
        f.spec->process.user[0] = '5';
        REFUSED("change ids to '5:0'");
        f.spec->process.user[0] = '0';
        strv_add(&f.spec->process.groups, "17");
        REFUSED("change ids to 'additionalGids'");
        strv_release(&f.spec->process.groups);
        f.spec->process.selinux_label = xstrdup("system_u:object_r:nothing_t");
        if (access("/sys/fs/selinux/enforce", F_OK) < 0)
                REFUSED("this host does not enforce SELinux");
        free(f.spec->process.selinux_label);
        f.spec->process.selinux_label = NULL;
        f.spec->process.oom_score_adj = 500;
        text = output(&f, "probe read /proc/self/oom_score_adj", 0);
        CHECK(strcmp(text, "500\n") == 0);
        free(text);
        return teardown(&f);
}

static void test_refused(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_refused, NULL, 1), 0);
}

/* The one id of the map need not be root's. */
static int run_without_root(void *arg)
{
        struct fixture f;
        char *text;

        (void)arg;
        setup(&f);
        make_bundle(&f);
        f.spec->uid_map.v[0].inside = f.spec->gid_map.v[0].inside = 1000;
        free(f.spec->process.user);
        f.spec->process.user = xstrdup("1000:1000");
        text = output(&f, "probe id", 0);
        CHECK(strstr(text, "uid=1000") && strstr(text, "gid=1000"));
        free(text);
        return teardown(&f);
}

static void test_without_root(void **state)
{
        (void)state;
        assert_int_equal(unit_fork(run_without_root, NULL, 1), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_world),         cmocka_unit_test(test_faults),
            cmocka_unit_test(test_words),         cmocka_unit_test(test_exec),
            cmocka_unit_test(test_orphan),        cmocka_unit_test(test_hooks),
            cmocka_unit_test(test_hook_failures), cmocka_unit_test(test_own_hooks),
            cmocka_unit_test(test_bundle),        cmocka_unit_test(test_refused),
            cmocka_unit_test(test_without_root),  cmocka_unit_test(test_bundle_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
