/* SPDX-License-Identifier: Apache-2.0 */
#include "launch_fixture.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/process.h"
#include "security/caps.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>

bool write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && io_write_full(fd, text, strlen(text)) == 0;

        (void)fd_close(fd);
        return ok;
}

/* As after idmap_userns_enter() in the one-id tier: uid 0 of a namespace that holds the caller alone. */
static void enter_namespace(void)
{
        char uid_map[32], gid_map[32];

        (void)snprintf(uid_map, sizeof(uid_map), "0 %u 1\n", geteuid());
        (void)snprintf(gid_map, sizeof(gid_map), "0 %u 1\n", getegid());
        CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
        CHECK(unshare(CLONE_NEWUSER) == 0);
        CHECK(write_file("/proc/self/setgroups", "deny"));
        CHECK(write_file("/proc/self/uid_map", uid_map) &&
              write_file("/proc/self/gid_map", gid_map));
}

static void copy_program(const char *root)
{
        const char *build = getenv("KELP_BUILD_DIR");
        AUTO_FREE char *from = xasprintf("%s/tests/guest/probe", build ? build : ".");
        AUTO_FREE char *to = xasprintf("%s/bin", root);
        struct err *e = NULL;
        struct stat st;
        int in = open(from, O_RDONLY | O_CLOEXEC), out;

        CHECK(in >= 0 && fstat(in, &st) == 0);
        CHECK(mkdir(to, 0755) == 0);
        free(to);
        to = xasprintf("%s/bin/probe", root);
        out = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
        CHECK(out >= 0 && io_copy(in, out, (uint64_t)st.st_size, &e) == 0);
        (void)fd_close(in);
        (void)fd_close(out);
}

static struct spec *make_spec(const char *root)
{
        struct spec *s = spec_new();

        s->id = xstrdup("0123456789ab");
        s->hostname = xstrdup("box");
        s->root_kind = SPEC_ROOT_DIRECTORY;
        s->root_path = xstrdup(root);
        for (int i = 0; i < SPEC_NS_TIME; i++)
                s->ns[i].enabled = true;
        id_map_add(&s->uid_map, 0, 0, 1);
        id_map_add(&s->gid_map, 0, 0, 1);
        s->rootless_one_id = true;
        (void)spec_add_mount(s, "/proc", "proc", "proc", "nosuid,noexec,nodev");
        (void)spec_add_mount(s, "/dev", "tmpfs", "tmpfs", "nosuid,mode=755");
        (void)spec_add_mount(s, "/dev/pts", "devpts", "devpts",
                             "newinstance,ptmxmode=0666,mode=0620,gid=5");
        (void)spec_add_mount(s, "/sys", "sysfs", "sysfs", "ro,nosuid,noexec,nodev");
        (void)spec_add_mount(s, "/sys/fs/cgroup", "cgroup", "cgroup", "ro");
        strv_add(&s->masked_paths, "/proc/timer_list");
        strv_add(&s->masked_paths, "/sys/firmware");
        strv_add(&s->readonly_paths, "/proc/sys");
        strv_add(&s->sysctl, "net.ipv4.ip_forward=1");
        s->process.cap_bounding = s->process.cap_permitted = s->process.cap_effective =
            caps_default();
        s->process.no_new_privileges = true;
        s->process.cwd = xstrdup("/made/for/it");
        strv_add(&s->process.env, "PATH=/bin");
        s->seccomp = SPEC_SECCOMP_UNCONFINED;
        return s;
}

void setup_in(struct fixture *f, bool namespace)
{
        (void)snprintf(f->root, sizeof(f->root), "/tmp/kelp-launch-XXXXXX");
        CHECK(mkdtemp(f->root) && chmod(f->root, 0755) == 0);
        copy_program(f->root);
        if (namespace)
                enter_namespace();
        f->cache_fd = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(f->cache_fd >= 0);
        f->spec = make_spec(f->root);
}

void setup(struct fixture *f)
{
        setup_in(f, true);
}

void remove_all(const char *path)
{
        char *argv[] = {(char *)"rm", (char *)"-rf", (char *)path, NULL}, *out = NULL;
        struct err *e = NULL;

        CHECK(process_run_capture("/bin/rm", argv, 4096, &out, &e) >= 0);
        free(out);
}

int teardown(struct fixture *f)
{
        f->spec = spec_free(f->spec);
        f->cache_fd = fd_close(f->cache_fd);
        remove_all(f->root);
        return 0;
}

void set_command(struct fixture *f, const char *words)
{
        strv_release(&f->spec->process.args);
        strv_split(&f->spec->process.args, words, ' ');
}

int start_with(struct fixture *f, const struct launch_opts *opts, int fail_stage, int out,
               struct launched *l, struct err **e)
{
        AUTO(launch_plan_freep) struct launch_plan *p = NULL;
        struct launch_io io = {.in = -EBADF, .out = out, .err = 2};
        int r = launch_plan_new_with(f->spec, f->cache_fd, f->cache_fd, opts, &p, e);

        if (r < 0)
                return r;
        p->fail_stage = fail_stage;
        return launch_start(p, &io, l, e);
}

int start(struct fixture *f, int fail_stage, int out, struct launched *l, struct err **e)
{
        return start_with(f, NULL, fail_stage, out, l, e);
}

int finish(struct launched *l)
{
        struct err *e = NULL;
        int code = process_wait(l->pidfd, &e);

        CHECK(!e);
        l->pidfd = fd_close(l->pidfd);
        l->terminal = fd_close(l->terminal);
        l->keeper = fd_close(l->keeper);
        return code;
}

char *output(struct fixture *f, const char *words, int want_code)
{
        struct launched l;
        struct err *e = NULL;
        char *text = NULL;
        int fds[2];

        set_command(f, words);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        if (start(f, -1, fds[1], &l, &e) < 0) {
                (void)fprintf(stderr, "%s: %s\n", words, err_message(e));
                _exit(1);
        }
        (void)fd_close(fds[1]);
        CHECK(io_read_fd(fds[0], "pipe", 65536, &text, NULL, &e) >= 0);
        (void)fd_close(fds[0]);
        CHECK(finish(&l) == want_code);
        return text;
}

void make_bundle(struct fixture *f)
{
        f->spec->oci = true;
        f->spec->rootless_one_id = false;
        free(f->spec->process.user);
        f->spec->process.user = xstrdup("0:0");
        f->spec->process.set_home = true;
}

struct spec_hook_entry *add_hook(struct fixture *f, enum spec_hook point, const char *path,
                                 const char *words)
{
        struct spec_hooks *hooks = &f->spec->hooks[point];
        const char *script = words ? strstr(words, "-c ") : NULL;
        struct spec_hook_entry *h;

        hooks->v = xrealloc(hooks->v, hooks->n + 1, sizeof(*hooks->v));
        h = &hooks->v[hooks->n++];
        *h = (struct spec_hook_entry){.path = xstrdup(path)};
        if (script) {
                strv_add(&h->args, "sh");
                strv_add(&h->args, "-c");
                strv_add(&h->args, script + 3);
        } else if (words) {
                strv_split(&h->args, words, ' ');
        }
        return h;
}
