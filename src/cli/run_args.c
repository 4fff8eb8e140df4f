/* SPDX-License-Identifier: Apache-2.0 */
/* run_args — see run_args.h. */
#include "cli/run_args.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/glob.h"
#include "cli/pod_args.h"
#include "cli/run_opts.h"
#include "cli/term.h"
#include "cli/verb.h"
#include "container/container.h"
#include "container/pod.h"
#include "spec/options.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ENV_FILE_MAX (1U << 20)

/* ---- mounts: each spelling has its parser ------------------------------------------------------- */

int run_args_make_absolute(char **path, struct err **reterr)
{
        char *absolute = path_make_absolute(*path, reterr);

        if (!absolute)
                return -EINVAL;
        free(*path);
        *path = absolute;
        return 0;
}

static void take_mount_over(struct run_options *o, struct run_mount *m)
{
        o->mounts = xrealloc(o->mounts, o->n_mounts + 1, sizeof(*o->mounts));
        o->mounts[o->n_mounts++] = *m;
        *m = (struct run_mount){0};
}

/* type=glob: a mount for each match, below the target by its way from the first wildcard on, or where it is. */
static int add_matches(struct run_options *o, struct run_mount *m, const char *value,
                       struct err **reterr)
{
        AUTO_STRV matches = {0};
        size_t base = 0;
        int r = run_args_make_absolute(&m->source, reterr);

        if (r >= 0)
                r = glob_expand(m->source, &matches, &base);
        if (r < 0)
                return r;
        if (matches.n == 0)
                return err_new(reterr, ERR_NOT_FOUND, "mount '%s': nothing matches '%s'", value,
                               m->source);
        for (size_t i = 0; i < matches.n; i++) {
                struct run_mount one = {0};

                run_mount_copy(m, &one);
                one.type = RUN_MOUNT_BIND;
                free(one.source);
                free(one.target);
                one.source = xstrdup(matches.v[i]);
                one.target = m->target ? xasprintf("%s%s", m->target, matches.v[i] + base)
                                       : xstrdup(matches.v[i]);
                take_mount_over(o, &one);
        }
        return 0;
}

typedef int (*mount_parser)(const char *value, struct run_mount *ret, struct err **reterr);

static int add_mount(struct run_options *o, const char *value, mount_parser parse,
                     struct err **reterr)
{
        AUTO(run_mount_release) struct run_mount m = {0};
        int r = parse(value, &m, reterr);

        if (r >= 0 && m.type == RUN_MOUNT_GLOB)
                return add_matches(o, &m, value, reterr);
        /* "./x" is said from here; nobody who mounts it later is here any more. */
        if (r >= 0 && m.type == RUN_MOUNT_BIND && m.source[0] == '.')
                r = run_args_make_absolute(&m.source, reterr);
        if (r >= 0)
                take_mount_over(o, &m);
        return r < 0 ? r : 0;
}

int run_take_volume(void *field, const char *value, struct err **reterr)
{
        return add_mount(field, value, run_mount_parse_volume, reterr);
}

static int take_mount(void *field, const char *value, struct err **reterr)
{
        return add_mount(field, value, run_mount_parse_mount, reterr);
}

static int take_tmpfs(void *field, const char *value, struct err **reterr)
{
        return add_mount(field, value, run_mount_parse_tmpfs, reterr);
}

static int take_secret(void *field, const char *value, struct err **reterr)
{
        struct run_options *o = field;
        struct run_secret s = {0};
        int r = run_secret_parse(value, &s, reterr);

        if (r < 0)
                return r;
        o->secrets = xrealloc(o->secrets, o->n_secrets + 1, sizeof(*o->secrets));
        o->secrets[o->n_secrets++] = s;
        return 0;
}

static int take_restart(void *field, const char *value, struct err **reterr)
{
        return restart_policy_parse(value, field, reterr);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define O(f) offsetof(struct run_options, f)
const struct opt run_container_opts[] = {
    {"name", 0, OPT_STRING, O(name), "NAME", "Name of the container"},
    {"rm", 0, OPT_BOOL, O(rm), NULL, "Remove the container when it ends"},
    {"restart", 0, OPT_CALL, O(restart), "POLICY",
     "Start it again when it ends: no, on-failure[:N], always, unless-stopped", take_restart,
     .values = "no on-failure always unless-stopped"},
    {"replace", 0, OPT_BOOL, O(replace), NULL, "Remove a container of the same name first"},
    {"interactive", 'i', OPT_BOOL, O(interactive), NULL, "Keep standard input open"},
    {"tty", 't', OPT_BOOL, O(tty), NULL, "Give the container a terminal"},
    {"workdir", 'w', OPT_STRING, O(workdir), "DIR", "Working directory of the command"},
    {"user", 'u', OPT_STRING, O(user), "USER",
     "User the command runs as: name or uid[:group or gid]"},
    {"group-add", 0, OPT_STRV, O(groups), "GROUP",
     "Further group of the command; keep-groups keeps the caller's", .values = "keep-groups"},
    {"entrypoint", 0, OPT_STRING, O(entrypoint), "COMMAND",
     "Replace the image's entry point; \"\" removes it"},
    {"hostname", 'h', OPT_STRING, O(hostname), "NAME", "Host name inside"},
    {"domainname", 0, OPT_STRING, O(domainname), "NAME", "NIS domain name inside"},
    {"init", 0, OPT_BOOL, O(init), NULL, "Run an init that passes signals on and reaps processes"},
    {"volume", 'v', OPT_CALL, 0, "[SRC:]DST[:OPTS]",
     "Mount a volume, or a directory or file of the host", run_take_volume,
     .values = "@volume @dir"},
    {"mount", 0, OPT_CALL, 0, "SPEC", "Mount: type=bind|volume|…,source=…,target=…[,…]", take_mount,
     .values = "type=bind type=devpts type=glob type=image type=ramfs type=tmpfs type=volume"},
    {"volumes-from", 0, OPT_STRV, O(volumes_from), "CONTAINER[:ro]",
     "Mount what another container has mounted", .values = "@container"},
    {"volume-driver", 0, OPT_STRING, O(volume_driver), "DRIVER", "local, the only one there is",
     .values = "local"},
    {"image-volume", 0, OPT_STRING, O(image_volume), "KIND",
     "What the image's volumes become: anonymous (the default), tmpfs, ignore",
     .values = "anonymous tmpfs ignore"},
    {"secret", 0, OPT_CALL, 0, "SECRET[,OPTS]",
     "Give the container a secret: type=mount|env,target=…,uid=…,gid=…,mode=…", take_secret,
     .values = "@secret"},
    {"tmpfs", 0, OPT_CALL, 0, "DST[:OPTS]", "Mount an empty file system in memory", take_tmpfs},
    {"read-only", 0, OPT_BOOL, O(read_only), NULL, "Make the root file system read-only"},
    {"device", 0, OPT_STRV, O(devices), "HOST[:DST[:rwm]]",
     "Give the container a device of the host", .values = "@file"},
    {"shm-size", 0, OPT_SIZE, O(shm_size), "BYTES", "Size of /dev/shm (64m)"},
    {"storage-driver", 0, OPT_STRING, O(storage_driver), "DRIVER",
     "overlay, fuse-overlayfs or copy; chosen by probing when not given",
     .values = "overlay fuse-overlayfs copy"},
    {"network", 0, OPT_STRING, O(network), "MODE",
     "none (the default), host, container:NAME or ns:PATH", .values = "none host container: ns:"},
    {"net", 0, OPT_STRING, O(network), NULL, NULL},
    {"add-host", 0, OPT_STRV, O(add_hosts), "NAME:IP", "Line of /etc/hosts"},
    {"dns", 0, OPT_STRV, O(dns), "IP", "Name server in /etc/resolv.conf"},
    {"dns-search", 0, OPT_STRV, O(dns_search), "DOMAIN", "Search domain in /etc/resolv.conf"},
    {"dns-option", 0, OPT_STRV, O(dns_options), "OPTION", "Option in /etc/resolv.conf"},
    {"dns-opt", 0, OPT_STRV, O(dns_options), NULL, NULL},
    {"pod", 0, OPT_STRING, O(pod), "POD", "Make it a member of a pod; new:NAME makes the pod",
     .values = "@pod new:"},
    {"ipc", 0, OPT_STRING, O(ipc), "MODE", "private (the default), host, container:NAME or ns:PATH",
     .values = "private host container: ns:"},
    {"pid", 0, OPT_STRING, O(pid), "MODE", "private (the default), host, container:NAME or ns:PATH",
     .values = "private host container: ns:"},
    {"uts", 0, OPT_STRING, O(uts), "MODE", "private (the default), host, container:NAME or ns:PATH",
     .values = "private host container: ns:"},
    {"userns", 0, OPT_STRING, O(userns), "MODE",
     "private (the default), host, keep-id[:uid=N,gid=N], keep-id:image, nomap or auto[:size=N]",
     .values = "private host keep-id keep-id:image nomap auto"},
    {"uidmap", 0, OPT_STRV, O(uidmap), "C:H[:N]", "Map N users from C on to H of the user's range"},
    {"gidmap", 0, OPT_STRV, O(gidmap), "C:H[:N]", "The same for groups"},
    {"privileged", 0, OPT_BOOL, O(privileged), NULL,
     "All capabilities over its own namespaces, nothing masked or filtered"},
    {"cap-add", 0, OPT_CSV, O(cap_add), "CAP", "Add a capability, or ALL"},
    {"cap-drop", 0, OPT_CSV, O(cap_drop), "CAP", "Drop a capability, or ALL"},
    {"security-opt", 0, OPT_STRV, O(security_opt), "OPT",
     "no-new-privileges, seccomp=FILE|unconfined, mask=PATHS, unmask=PATHS|ALL",
     .values = "no-new-privileges seccomp= seccomp=unconfined mask= unmask= unmask=ALL"},
    {"ulimit", 0, OPT_STRV, O(ulimits), "NAME=SOFT[:HARD]", "Resource limit"},
    {"sysctl", 0, OPT_STRV, O(sysctls), "KEY=VALUE", "Kernel parameter of its namespaces"},
    {"annotation", 0, OPT_STRV, O(annotations), "KEY=VALUE",
     "Annotation in the runtime specification"},
    {"stop-signal", 0, OPT_STRING, O(stop_signal), "SIGNAL", "Signal of kelp stop (SIGTERM)"},
    {"timeout", 0, OPT_U32, O(timeout), "SECONDS", "Kill the container after so long"},
    {"lifetime", 0, OPT_STRING, O(lifetime), "KIND",
     "End with the command, the session, the job, or the user's processes (the default)",
     .values = "command session user job"},
    {"log-driver", 0, OPT_STRING, O(log_driver), "DRIVER",
     "json-file (the default), k8s-file, none, passthrough",
     .values = "json-file k8s-file none passthrough"},
    {"log-opt", 0, OPT_STRV, O(log_opts), "KEY=VALUE", "max-size, max-file, tag",
     .values = "max-size= max-file= tag="},
    {"cidfile", 0, OPT_STRING, O(cidfile), "FILE", "Write the container's id to FILE"},
    {"pidfile", 0, OPT_STRING, O(pidfile), "FILE", "Write the pid of its first process to FILE"},
    {"health-cmd", 0, OPT_STRING, O(health_cmd), "COMMAND",
     "Check its health with this: a text for the shell, a JSON array of words, or none"},
    {"health-interval", 0, OPT_DURATION, O(health_interval), NULL,
     "Time between two health checks (30s)"},
    {"health-timeout", 0, OPT_DURATION, O(health_timeout), NULL,
     "Kill a health check, which has failed, after this time (30s)"},
    {"health-retries", 0, OPT_I64, O(health_retries), "N",
     "So many failures in a row make it unhealthy (3)"},
    {"health-start-period", 0, OPT_DURATION, O(health_start_period), NULL,
     "Failures in this time from the start count for nothing (0s)"},
    {"health-start-interval", 0, OPT_DURATION, O(health_start_interval), NULL,
     "Time between two health checks in the start period (5s)"},
    {"health-on-failure", 0, OPT_STRING, O(health_on_failure), "ACTION",
     "What is done when it becomes unhealthy: none, kill, restart, stop",
     .values = "none kill restart stop"},
    {"no-healthcheck", 0, OPT_BOOL, O(no_healthcheck), NULL, "Do without the image's health check"},
    {0},
};
#undef O

#define A(f) offsetof(struct run_args, f)
const struct opt run_create_opts[] = {
    {"env", 'e', OPT_STRV, A(env), "NAME[=VALUE]",
     "Environment variable; without a value the caller's"},
    {"env-file", 0, OPT_STRV, A(env_files), "FILE", "Environment variables, one per line"},
    {"label", 'l', OPT_STRV, A(labels), "KEY[=VALUE]", "Label of the container"},
    {"label-file", 0, OPT_STRV, A(label_files), "FILE", "Labels, one per line"},
    {"attach", 'a', OPT_STRV, A(attach), "STREAM", "Attach stdin, stdout or stderr only",
     .values = "stdin stdout stderr"},
    {"rootfs", 0, OPT_BOOL, A(rootfs), NULL,
     "The first argument is a directory to be used as root file system, not an image"},
    {"stop-timeout", 0, OPT_I64, A(stop_timeout), "SECONDS",
     "How long kelp stop waits before it kills (10)"},
    {0},
};
const struct opt run_only_opts[] = {
    {"detach", 'd', OPT_BOOL, A(detach), NULL, "Run in the background and print the id"},
    {"detach-keys", 0, OPT_STRING, A(detach_keys), "KEYS",
     "Keys that detach (" DETACH_KEYS_DEFAULT ")"},
    {"rmi", 0, OPT_BOOL, A(rmi), NULL,
     "Remove the image too when the container has ended (implies --rm)"},
    {"sig-proxy", 0, OPT_BOOL, A(sig_proxy), NULL, "Pass signals on to the command (true)"},
    {0},
};
#undef A

void run_args_init(void *args)
{
        struct run_args *a = args;

        a->options = run_options_new();
        a->sig_proxy = true;
        a->stop_timeout = -1;
}

void run_args_release(void *args)
{
        struct run_args *a = args;

        a->options = run_options_free(a->options);
        free(TAKE_PTR(a->preserved));
}

/* ---- environment --------------------------------------------------------------------------------- */

int env_add(struct strv *env, const char *assignment, struct err **reterr)
{
        AUTO_FREE char *whole = NULL;
        const char *value;

        if (!*assignment || *assignment == '=')
                return err_new(reterr, ERR_USAGE, "environment variable '%s': it has no name",
                               assignment);
        if (strchr(assignment, '=')) {
                strv_env_set(env, assignment);
                return 0;
        }
        value = getenv(assignment);
        if (!value)
                return 0;
        whole = xasprintf("%s=%s", assignment, value);
        strv_env_set(env, whole);
        return 0;
}

static int add_line(struct strv *env, char *line, bool from_environment, struct err **reterr)
{
        AUTO_FREE char *empty = NULL;
        size_t name;

        while (isspace((unsigned char)*line))
                line++;
        if (!*line || *line == '#')
                return 0;
        name = strcspn(line, "=");
        for (size_t i = 0; i < name; i++) {
                if (isspace((unsigned char)line[i]))
                        return err_new(reterr, ERR_USAGE, "variable '%.*s' contains white space",
                                       (int)name, line);
        }
        if (from_environment || line[name])
                return env_add(env, line, reterr);
        empty = xasprintf("%s=", line);
        strv_env_set(env, empty);
        return 0;
}

int env_add_file(struct strv *env, const char *path, bool from_environment, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        size_t len, number = 1;
        char *p, *next;
        int r = io_read_file(AT_FDCWD, path, ENV_FILE_MAX, &text, &len, reterr);

        if (r < 0)
                return r;
        p = str_starts(text, "\xef\xbb\xbf") ? text + 3 : text;
        for (; p; p = next, number++) {
                size_t n;

                next = strchr(p, '\n');
                if (next)
                        *next++ = '\0';
                n = strlen(p);
                if (n && p[n - 1] == '\r')
                        p[n - 1] = '\0';
                r = add_line(env, p, from_environment, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "file '%s' line %zu", path, number);
        }
        return 0;
}

/* Files first, so that what is typed wins. */
static int merge_env(struct run_args *a, struct err **reterr)
{
        struct run_options *o = a->options;

        for (size_t i = 0; i < a->env_files.n; i++) {
                int r = env_add_file(&o->env, a->env_files.v[i], true, reterr);

                if (r < 0)
                        return err_wrap(reterr, r, "option '--env-file'");
        }
        for (size_t i = 0; i < a->env.n; i++) {
                int r = env_add(&o->env, a->env.v[i], reterr);

                if (r < 0)
                        return err_wrap(reterr, r, "option '--env'");
        }
        return 0;
}

int labels_merge(const struct strv *labels, const struct strv *files, struct strv *ret,
                 struct err **reterr)
{
        for (size_t i = 0; i < files->n; i++) {
                int r = env_add_file(ret, files->v[i], false, reterr);

                if (r < 0)
                        return err_wrap(reterr, r, "option '--label-file'");
        }
        for (size_t i = 0; i < labels->n; i++) {
                const char *label = labels->v[i];
                AUTO_FREE char *whole =
                    strchr(label, '=') ? xstrdup(label) : xasprintf("%s=", label);

                if (*whole == '=')
                        return err_new(reterr, ERR_USAGE, "option '--label': '%s' has no name",
                                       label);
                strv_env_set(ret, whole);
        }
        return 0;
}

/* ---- checks --------------------------------------------------------------------------------------- */

static int finish_operands(struct run_args *a, const struct strv *operands, struct err **reterr)
{
        struct run_options *o = a->options;

        if (a->rootfs) {
                o->rootfs = path_make_absolute(operands->v[0], reterr);
                if (!o->rootfs)
                        return -EINVAL;
        } else {
                o->image = xstrdup(operands->v[0]);
        }
        for (size_t i = 1; i < operands->n; i++)
                strv_add(&o->command, operands->v[i]);
        return 0;
}

/* A profile is named from here, too, and read by the monitor. */
static int finish_seccomp(struct run_options *o, struct err **reterr)
{
        static const char *const words[] = {"unconfined", "builtin"};

        for (size_t i = 0; i < o->security_opt.n; i++) {
                char **option = &o->security_opt.v[i];
                const char *file =
                    str_starts(*option, "seccomp=") || str_starts(*option, "seccomp:")
                        ? *option + strlen("seccomp=")
                        : "";
                AUTO_FREE char *absolute = NULL;

                if (!*file || *file == '/' || strcmp(file, words[0]) == 0 ||
                    strcmp(file, words[1]) == 0)
                        continue;
                absolute = path_make_absolute(file, reterr);
                if (!absolute)
                        return -EINVAL;
                free(*option);
                *option = xasprintf("seccomp=%s", absolute);
        }
        return 0;
}

static int check_network(const struct run_options *o, struct err **reterr)
{
        int r;

        if (!o->network || strcmp(o->network, "none") == 0 || strcmp(o->network, "host") == 0 ||
            str_starts(o->network, "container:") || str_starts(o->network, "ns:"))
                return 0;
        r = err_new(reterr, ERR_UNSUPPORTED, "option '--network': mode '%s' is not there",
                    o->network);
        return err_hint(reterr, r,
                        "this version has --network none (the default), host, container:NAME and "
                        "ns:PATH");
}

/* What is attached by default depends on who starts it: "create" does not say, and means the foreground, as with Docker. */
static int finish_attach(struct run_args *a, struct err **reterr)
{
        static const char *const streams[] = {"stdin", "stdout", "stderr"};
        struct run_options *o = a->options;

        if (a->detach && a->attach.n)
                return err_new(reterr, ERR_USAGE,
                               "options '--detach' and '--attach' contradict each other");
        for (size_t i = 0; i < a->attach.n; i++) {
                size_t s = 0;

                while (s < ARRAY_SIZE(streams) && strcasecmp(streams[s], a->attach.v[i]) != 0)
                        s++;
                if (s == ARRAY_SIZE(streams))
                        return err_new(reterr, ERR_USAGE,
                                       "option '--attach': unknown stream '%s': expected stdin, "
                                       "stdout or stderr",
                                       a->attach.v[i]);
                if (!strv_contains(&o->attach, streams[s]))
                        strv_add(&o->attach, streams[s]);
        }
        if (a->attach.n || a->detach)
                return 0;
        if (o->interactive)
                strv_add(&o->attach, "stdin");
        strv_add(&o->attach, "stdout");
        strv_add(&o->attach, "stderr");
        return 0;
}

static int check_terminal(const struct run_options *o, bool detached, struct err **reterr)
{
        int r;

        if (detached || !o->tty || !o->interactive || fd_is_terminal(STDIN_FILENO))
                return 0;
        r = err_new(reterr, ERR_USAGE, "options '-it': standard input is no terminal");
        return err_hint(reterr, r, "leave out -t to feed the command from a pipe or file");
}

/* Whoever waits for the end removes the image: the monitor outlives the command, but not to change the store of images. */
static int finish_rmi(struct run_args *a, struct err **reterr)
{
        if (!a->rmi)
                return 0;
        if (a->detach)
                return err_hint(reterr,
                                err_new(reterr, ERR_UNSUPPORTED,
                                        "option '--rmi': with --detach nobody waits for the end to "
                                        "remove the image"),
                                "leave out -d, or call kelp rmi behind kelp wait");
        if (a->rootfs)
                return err_new(reterr, ERR_USAGE,
                               "option '--rmi': with --rootfs there is no image");
        a->options->rm = true;
        return 0;
}

int run_args_finish(struct run_args *a, const struct strv *operands, bool detached,
                    struct err **reterr)
{
        struct detach_keys keys;
        int r = preserve_collect(&a->preserve, &a->preserved, &a->n_preserved, reterr);

        if (r >= 0 && a->n_preserved && a->options->restart.mode != RESTART_NO)
                r = err_new(reterr, ERR_USAGE,
                            "option '--restart' does not go with preserved descriptors: they are "
                            "there for one run");
        if (r >= 0)
                r = finish_operands(a, operands, reterr);
        if (a->stop_timeout < -1)
                a->stop_timeout = INT32_MAX; /* Docker's "wait for ever" */
        a->options->stop_timeout = a->stop_timeout;
        if (r >= 0)
                r = merge_env(a, reterr);
        if (r >= 0)
                r = labels_merge(&a->labels, &a->label_files, &a->options->labels, reterr);
        if (r >= 0)
                r = check_network(a->options, reterr);
        if (r >= 0)
                r = finish_seccomp(a->options, reterr);
        if (r >= 0)
                r = run_opts_finish(a, reterr);
        if (r >= 0)
                r = finish_rmi(a, reterr);
        if (r >= 0)
                r = finish_attach(a, reterr);
        if (r >= 0)
                r = check_terminal(a->options, detached, reterr);
        if (r >= 0 && a->detach_keys)
                r = detach_keys_parse(a->detach_keys, &keys, reterr);
        return r;
}

/* ---- creation -------------------------------------------------------------------------------------- */

/* Reserved before the container is made: a file that is there belongs to another container. */
static int open_cidfile(const char *path, struct err **reterr)
{
        int fd;

        if (!path)
                return -EBADF;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd >= 0)
                return fd;
        if (errno != EEXIST)
                return err_sys(reterr, errno, "option '--cidfile': file '%s'", path);
        return err_hint(reterr,
                        err_new(reterr, ERR_EXISTS, "option '--cidfile': file '%s' exists", path),
                        "remove it, or name another one");
}

static void remove_new_pod(const struct dirs *d, const char *id)
{
        AUTO(pod_freep) struct pod *p = NULL;

        if (pod_find(d, id, &p, NULL) >= 0)
                (void)pod_remove(d, p, true, 0, NULL);
}

int run_args_create(struct cli *cli, const struct run_args *a, char ret_id[65], struct err **reterr)
{
        AUTO_CLOSE int cidfile = -EBADF;
        AUTO_STRV warnings = {0};
        struct dirs *d;
        char pod_id[65];
        bool new_pod;
        int r = cli_dirs(cli, &d, reterr);

        if (r < 0)
                return r;
        cidfile = open_cidfile(a->options->cidfile, reterr);
        if (cidfile < 0 && a->options->cidfile)
                return cidfile;
        new_pod = a->options->pod && str_starts(a->options->pod, POD_NEW);
        r = new_pod ? pod_new_for(cli, a->options, pod_id, reterr) : 0;
        if (r >= 0) {
                r = container_create(d, a->options, ret_id, &warnings, reterr);
                if (r < 0 && new_pod)
                        remove_new_pod(d, pod_id);
        }
        for (size_t i = 0; i < warnings.n; i++)
                log_warn("%s", warnings.v[i]);
        if (cidfile < 0)
                return r;
        if (r < 0) {
                (void)unlink(a->options->cidfile);
                return r;
        }
        r = io_write_full(cidfile, ret_id, 64);
        return r < 0 ? err_sys(reterr, -r, "write '%s'", a->options->cidfile) : 0;
}
