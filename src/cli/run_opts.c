/* SPDX-License-Identifier: Apache-2.0 */
/* run_opts — see run_opts.h. */
#include "cli/run_opts.h"

#include "base/err.h"
#include "base/io.h"
#include "base/parse.h"
#include "cli/glob.h"
#include "cli/run_args.h"
#include "image/accounts.h"
#include "image/platform.h"
#include "spec/options.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* ---- options with one value: scripts that give it work, others learn why not ---- */

static int refuse(const char *option, const char *value, const char *why, const char *hint,
                  struct err **reterr)
{
        int r = err_new(reterr, ERR_UNSUPPORTED, "option '--%s %s': %s", option, value, why);

        return err_hint(reterr, r, "%s", hint);
}

static int take_runtime(void *field, const char *value, struct err **reterr)
{
        (void)field;
        if (!*value || strcmp(value, "kelp") == 0)
                return 0;
        return refuse("runtime", value, "Kelp launches containers itself",
                      "leave it out, or say kelp", reterr);
}

static int take_isolation(void *field, const char *value, struct err **reterr)
{
        (void)field;
        if (!*value || strcmp(value, "default") == 0)
                return 0;
        return refuse("isolation", value, "it chooses among the ways of Windows",
                      "leave it out, or say default", reterr);
}

static int windows_number(const char *option, const char *value, struct err **reterr)
{
        double number = -1;

        if (parse_double(value, &number) == 0 && number == 0.0)
                return 0;
        return refuse(
            option, value, "it is a limit of Windows",
            "--cpus limits processor time, --device-read-bps and its like input and output",
            reterr);
}

static int take_cpu_count(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return windows_number("cpu-count", value, reterr);
}

static int take_cpu_percent(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return windows_number("cpu-percent", value, reterr);
}

static int take_io_bandwidth(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return windows_number("io-maxbandwidth", value, reterr);
}

static int take_io_iops(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return windows_number("io-maxiops", value, reterr);
}

static int take_storage_opt(void *field, const char *value, struct err **reterr)
{
        (void)field;
        if (str_starts(value, "size="))
                return refuse("storage-opt", value,
                              "an ordinary user cannot set a quota on a directory",
                              "--read-only with --tmpfs DIR:size=… limits what is written; so "
                              "does a volume with -o type=tmpfs -o o=size=…",
                              reterr);
        return refuse("storage-opt", value, "no storage driver of Kelp has such an option",
                      "leave it out; --storage-driver chooses the driver", reterr);
}

static int take_device_rule(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return refuse("device-cgroup-rule", value, "the device cgroup is root's",
                      "--device gives the container a device that you may open", reterr);
}

/* The caller's own subordinate ids are what a container's come from: those of others the kernel gives to nobody else. */
static int take_subordinate(const char *option, const char *value, struct err **reterr)
{
        AUTO_STRV account = {0};
        uint32_t id;

        if (accounts_of_host(value, &account) && parse_u32(account.v[2], &id) == 0 &&
            id == getuid())
                return 0;
        return refuse(option, value, "only your own subordinate ids can be used",
                      "leave it out, or name yourself; --uidmap and --gidmap choose among them",
                      reterr);
}

static int take_subuid(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return take_subordinate("subuidname", value, reterr);
}

static int take_subgid(void *field, const char *value, struct err **reterr)
{
        (void)field;
        return take_subordinate("subgidname", value, reterr);
}

/* ---- tables ---- */

#define O(f) offsetof(struct run_options, f)
const struct opt run_further_opts[] = {
    {"oom-score-adj", 0, OPT_I64, O(oom_score_adj), "N",
     "How readily the kernel kills it when memory is short: up to 1000"},
    {"umask", 0, OPT_STRING, O(umask), "MODE", "File mode creation mask, octal (0022)"},
    {"personality", 0, OPT_STRING, O(personality), "NAME", "Execution domain: LINUX or LINUX32",
     .values = "LINUX LINUX32"},
    {"gpus", 0, OPT_CALL, 0, "all|N|device=ID", "Graphics processors, as described in /etc/cdi",
     run_opts_take_gpus, .values = "all device="},
    {"tz", 0, OPT_STRING, O(tz), "ZONE", "Time zone, such as Europe/Vienna; local is the host's"},
    {"expose", 0, OPT_STRV, O(expose), "PORT[/PROTO]", "Port that the container serves"},
    {"no-hosts", 0, OPT_BOOL, O(no_hosts), NULL, "Leave the image's /etc/hosts alone"},
    {"no-hostname", 0, OPT_BOOL, O(no_hostname), NULL, "Leave the image's /etc/hostname alone"},
    {"passwd", 0, OPT_TRI, O(passwd), NULL,
     "Give a user by number a line in /etc/passwd (when --userns keeps your id)"},
    {"passwd-entry", 0, OPT_STRING, O(passwd_entry), "LINE",
     "That line; $USERNAME, $UID, $GID, $NAME and $HOME are filled in"},
    {"group-entry", 0, OPT_STRING, O(group_entry), "LINE",
     "The same for /etc/group; $GROUPNAME, $GID, $USERLIST"},
    {"hostuser", 0, OPT_STRV, O(host_users), "USER", "Give this user of the host a line too"},
    {"requires", 0, OPT_CSV, O(requires), "CONTAINER", "Start this container first",
     .values = "@container"},
    {"hosts-file", 0, OPT_STRING, O(hosts_file), "FILE",
     "What /etc/hosts begins with: a file, image (the image's) or none",
     .values = "@file image none"},
    {"chrootdirs", 0, OPT_CSV, O(chroot_dirs), "DIR",
     "Directory inside that gets the /etc/hosts, hostname and resolv.conf too"},
    {"read-only-tmpfs", 0, OPT_BOOL, O(read_only_tmpfs), NULL,
     "With --read-only: /run, /tmp and /var/tmp in memory"},
    {"sdnotify", 0, OPT_STRING, O(sdnotify), "MODE",
     "Who tells $NOTIFY_SOCKET of readiness: container (the program), conmon (Kelp), ignore "
     "(nobody)",
     .values = "container conmon healthy ignore"},
    {"init-path", 0, OPT_STRING, O(init_path), "FILE", "With --init: this program of the host"},
    {"platform", 0, OPT_STRING, O(platform), "OS/ARCH[/VARIANT]", "Take the image for no other"},
    {"disable-content-trust", 0, OPT_BOOL, O(no_content_trust), NULL,
     "Take images without Docker's signatures (true, the only one there is)"},
    {"runtime", 0, OPT_CALL, 0, "NAME", "kelp, the only one there is", take_runtime,
     .values = "kelp"},
    {"subuidname", 0, OPT_CALL, 0, "USER", "Whose subordinate user ids to use: yours", take_subuid},
    {"subgidname", 0, OPT_CALL, 0, "USER", "The same for groups", take_subgid},
    {"storage-opt", 0, OPT_CALL, 0, "KEY=VALUE", "An error: there is none for ordinary users",
     take_storage_opt},
    {"device-cgroup-rule", 0, OPT_CALL, 0, "RULE", "An error: the device cgroup is root's",
     take_device_rule},
    {"isolation", 0, OPT_CALL, 0, "NAME", "default (others are of Windows)", take_isolation,
     .values = "default"},
    {"cpu-count", 0, OPT_CALL, 0, "N", "0 (of Windows)", take_cpu_count},
    {"cpu-percent", 0, OPT_CALL, 0, "N", "0 (of Windows)", take_cpu_percent},
    {"io-maxbandwidth", 0, OPT_CALL, 0, "N", "0 (of Windows)", take_io_bandwidth},
    {"io-maxiops", 0, OPT_CALL, 0, "N", "0 (of Windows)", take_io_iops},
    {0},
};
#undef O

#define A(f) offsetof(struct run_args, f)
const struct opt run_env_opts[] = {
    {"env-host", 0, OPT_BOOL, A(env_host), NULL, "Pass your environment on"},
    {"env-merge", 0, OPT_STRV, A(env_merge), "NAME=VALUE",
     "Variable in which $NAME stands for what the image has"},
    {"http-proxy", 0, OPT_TRI, A(http_proxy), NULL,
     "Pass your proxy variables on (unless --network is none)"},
    {"unsetenv", 0, OPT_STRV, A(unsetenv), "NAME", "Drop a variable of the image or of Kelp"},
    {"unsetenv-all", 0, OPT_BOOL, A(unsetenv_all), NULL, "Drop all that you have not given"},
    {"arch", 0, OPT_STRING, A(arch), "ARCH", "Take the image for this machine only"},
    {"os", 0, OPT_STRING, A(os), "OS", "Take the image for this system only"},
    {"variant", 0, OPT_STRING, A(variant), "VARIANT", "With --arch: its variant"},
    {0},
};
#undef A

/* ---- environment ---- */

static bool is_proxy(const char *assignment)
{
        static const char *const names[] = {
            "http_proxy=", "https_proxy=", "ftp_proxy=", "no_proxy=",
            "HTTP_PROXY=", "HTTPS_PROXY=", "FTP_PROXY=", "NO_PROXY="};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (str_starts(assignment, names[i]))
                        return true;
        }
        return false;
}

/* What says something of this host, or of who called, would be wrong inside. */
static bool is_of_the_host(const char *assignment)
{
        static const char *const names[] = {"HOSTNAME=", "container=", "HOME=", "KELP_", "NOTIFY_"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (str_starts(assignment, names[i]))
                        return true;
        }
        return !strchr(assignment, '=') || assignment[0] == '=';
}

static int finish_env(struct run_args *a, struct err **reterr)
{
        struct run_options *o = a->options;
        bool network = o->network && strcmp(o->network, "none") != 0;
        bool proxies = a->http_proxy == OPT_TRUE || (a->http_proxy == OPT_UNSET && network);

        for (char **e = environ; *e; e++) {
                if (is_proxy(*e) ? proxies || (a->env_host && a->http_proxy != OPT_FALSE)
                                 : a->env_host && !is_of_the_host(*e))
                        strv_env_set(&o->env_below, *e);
        }
        for (size_t i = 0; i < a->env_merge.n; i++) {
                if (strchr(a->env_merge.v[i], '=') <= a->env_merge.v[i])
                        return err_new(reterr, ERR_USAGE,
                                       "option '--env-merge': '%s' is not NAME=VALUE",
                                       a->env_merge.v[i]);
                strv_add(&o->env_merge, a->env_merge.v[i]);
        }
        strv_copy(&o->unsetenv, &a->unsetenv);
        o->unsetenv_all = a->unsetenv_all;
        return 0;
}

/* ---- the rest ---- */

static int finish_platform(struct run_args *a, struct err **reterr)
{
        struct run_options *o = a->options;
        struct platform host;

        if (!a->arch && !a->os && !a->variant)
                return 0;
        if (o->platform)
                return err_new(reterr, ERR_USAGE,
                               "option '--platform' says it all: leave out --arch, --os and "
                               "--variant");
        if (a->variant && !a->arch)
                return err_new(reterr, ERR_USAGE, "option '--variant' goes with '--arch'");
        platform_host(&host);
        o->platform = xasprintf("%s/%s%s%s", a->os ? a->os : host.os, a->arch ? a->arch : host.arch,
                                a->variant ? "/" : "", a->variant ? a->variant : "");
        return 0;
}

/* The kernel lets a process without privileges raise its value only: what Kelp has is the least. */
static int check_oom_score(const struct run_options *o, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        int64_t own = 0;
        int r;

        if (o->oom_score_adj == INT64_MIN)
                return 0;
        if (o->oom_score_adj < -1000 || o->oom_score_adj > 1000)
                return err_new(reterr, ERR_USAGE,
                               "option '--oom-score-adj': %lld is not between -1000 and 1000",
                               (long long)o->oom_score_adj);
        r = io_read_file(AT_FDCWD, "/proc/self/oom_score_adj", 32, &text, NULL, reterr);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        if (parse_i64(text, &own) < 0 || o->oom_score_adj >= own)
                return 0;
        r = err_new(reterr, ERR_DENIED,
                    "option '--oom-score-adj': only root may go below %lld, which Kelp itself has",
                    (long long)own);
        return err_hint(reterr, r,
                        "give %lld or more, or start Kelp with OOMScoreAdjust= of a "
                        "service that root manages",
                        (long long)own);
}

static int check_files(struct run_options *o, struct err **reterr)
{
        int r = 0;

        if (o->hosts_file && strcmp(o->hosts_file, "image") != 0 &&
            strcmp(o->hosts_file, "none") != 0)
                r = run_args_make_absolute(&o->hosts_file, reterr);
        if (r >= 0 && o->no_hosts && (o->hosts_file || o->add_hosts.n))
                return err_new(
                    reterr, ERR_USAGE,
                    "option '--no-hosts' leaves no file for --add-host and --hosts-file");
        if (r >= 0 && o->passwd < 0 && (o->passwd_entry || o->group_entry || o->host_users.n))
                return err_new(reterr, ERR_USAGE,
                               "option '--passwd=false' leaves no file for --passwd-entry, "
                               "--group-entry and --hostuser");
        if (r >= 0 && o->init_path && !o->init)
                return err_new(reterr, ERR_USAGE, "option '--init-path' goes with '--init'");
        if (r >= 0 && o->init_path)
                r = run_args_make_absolute(&o->init_path, reterr);
        if (r >= 0 && o->read_only_tmpfs && !o->read_only)
                return err_new(reterr, ERR_USAGE,
                               "option '--read-only-tmpfs' goes with '--read-only'");
        if (r >= 0 && !o->no_content_trust)
                return refuse("disable-content-trust", "false",
                              "Docker's signatures of images are no longer made",
                              "leave it out; a name with a digest says which image is meant",
                              reterr);
        return r;
}

/* A pattern stands for every device that it matches, under its own name. */
static int expand_device(const char *value, struct strv *to, struct err **reterr)
{
        size_t n = strcspn(value, ":"), base;
        AUTO_FREE char *path = xstrndup(value, n);
        AUTO_STRV matches = {0};

        if (path[0] != '/' || !strpbrk(path, "*?[")) {
                strv_add(to, value);
                return 0;
        }
        if (str_starts(value + n, ":/"))
                return err_new(reterr, ERR_USAGE,
                               "option '--device': '%s': several devices cannot have one name",
                               value);
        (void)glob_expand(path, &matches, &base);
        if (matches.n == 0)
                return err_new(reterr, ERR_NOT_FOUND, "option '--device': nothing matches '%s'",
                               path);
        for (size_t i = 0; i < matches.n; i++)
                strv_addf(to, "%s%s", matches.v[i], value + n);
        return 0;
}

static int expand_devices(struct run_options *o, struct err **reterr)
{
        struct strv all = {0};
        int r = 0;

        for (size_t i = 0; i < o->devices.n && r >= 0; i++)
                r = expand_device(o->devices.v[i], &all, reterr);
        strv_release(&o->devices);
        o->devices = all;
        return r;
}

int run_opts_finish(struct run_args *a, struct err **reterr)
{
        int r = finish_env(a, reterr);

        if (r >= 0)
                r = finish_platform(a, reterr);
        if (r >= 0)
                r = check_oom_score(a->options, reterr);
        if (r >= 0)
                r = expand_devices(a->options, reterr);
        return r < 0 ? r : check_files(a->options, reterr);
}
