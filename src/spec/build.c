/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.c — from what the user asked and what the image says to a spec. Docker's rules decide: the command line wins over the image,
 * an entry point given on the command line drops the image's command too.
 */
#include "spec/options.h"

#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

#define HOSTNAME_FROM_ID 12
#define HOSTNAME_LONGEST 64 /* sethostname(2) */

/* ---- process ---- */

int run_entrypoint_parse(const char *value, struct strv *args, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        AUTO_JSON *wrap = NULL;
        struct json_at at;
        int r;

        if (!*value)
                return 0;
        if (value[0] != '[') {
                strv_add(args, value);
                return 0;
        }
        if ((r = json_parse(value, strlen(value), "--entrypoint", &doc, reterr)) < 0)
                return r;
        wrap = json_object_new_object();
        json_object_object_add(wrap, "value", json_object_get(doc));
        at = json_root(wrap, "--entrypoint");
        return json_opt_strv(&at, "value", args, reterr);
}

static int build_args(const struct run_options *o, const struct image_config *image,
                      struct strv *args, struct err **reterr)
{
        int r = 0;

        if (o->entrypoint)
                r = run_entrypoint_parse(o->entrypoint, args, reterr);
        else
                strv_copy(args, &image->entrypoint);
        if (r < 0)
                return r;
        if (o->command.n)
                strv_copy(args, &o->command);
        else if (!o->entrypoint)
                strv_copy(args, &image->cmd);
        if (args->n)
                return 0;
        (void)err_new(reterr, ERR_USAGE, "no command given, and %s has none",
                      o->rootfs ? "a plain directory" : "the image");
        return err_hint(reterr, -EINVAL, "write the command behind the %s",
                        o->rootfs ? "directory" : "image's name");
}

static void build_env(const struct run_options *o, const struct image_config *image, struct spec *s)
{
        struct strv *env = &s->process.env;
        AUTO_FREE char *hostname = xasprintf("HOSTNAME=%s", s->hostname ? s->hostname : "");

        strv_env_set(env, "PATH=" SPEC_DEFAULT_PATH);
        strv_env_set(env, "container=kelp");
        if (o->tty)
                strv_env_set(env, "TERM=xterm");
        if (s->hostname)
                strv_env_set(env, hostname);
        run_env_build(o, image, env);
        s->process.set_home =
            !strv_env_get(env, "HOME") && !o->unsetenv_all && !strv_contains(&o->unsetenv, "HOME");
}

static int build_cwd(const struct run_options *o, const struct image_config *image, struct spec *s,
                     struct err **reterr)
{
        const char *cwd = !str_empty(o->workdir) ? o->workdir : image->workdir;

        if (str_empty(cwd))
                cwd = "/";
        if (o->workdir && cwd[0] != '/')
                return err_new(reterr, ERR_USAGE, "working directory '%s' is not absolute", cwd);
        /* Images do have relative ones; Docker takes them from the root. */
        s->process.cwd = cwd[0] == '/' ? path_clean(cwd) : path_join("/", cwd);
        return 0;
}

static int build_umask(const struct run_options *o, struct spec_process *p, struct err **reterr)
{
        uint32_t mode;

        if (str_empty(o->umask))
                return 0;
        if (parse_octal_mode(o->umask, &mode) < 0 || mode > 0777)
                return err_new(reterr, ERR_USAGE,
                               "option '--umask': '%s' is not an octal mode up to 0777", o->umask);
        p->umask = mode;
        return 0;
}

static int build_personality(const struct run_options *o, struct spec_process *p,
                             struct err **reterr)
{
        if (str_empty(o->personality))
                return 0;
        p->personality = spec_personality_from_name(o->personality);
        if (p->personality >= 0)
                return 0;
        return err_new(reterr, ERR_USAGE,
                       "option '--personality': '%s' is unknown: expected LINUX or LINUX32",
                       o->personality);
}

static int build_process(const struct run_options *o, const struct image_config *image,
                         struct spec *s, struct err **reterr)
{
        struct spec_process *p = &s->process;
        int r;

        if ((r = build_args(o, image, &p->args, reterr)) < 0 ||
            (r = build_cwd(o, image, s, reterr)) < 0 || (r = build_umask(o, p, reterr)) < 0 ||
            (r = build_personality(o, p, reterr)) < 0)
                return r;
        p->oom_score_adj = o->oom_score_adj;
        build_env(o, image, s);
        p->terminal = o->tty;
        p->user = xstrdup(!str_empty(o->user) ? o->user : image->user);
        strv_copy(&p->groups, &o->groups);
        s->stdin_open = o->interactive;
        s->init = o->init;
        s->init_path = xstrdup(o->init_path);
        return 0;
}

/* ---- namespaces and names ---- */

/* "private", "host", "container:X" and their like. Which container X is, container/ finds out: the path stays open here. */
static int build_ns(struct spec *s, enum spec_ns ns, const char *option, const char *value,
                    struct err **reterr)
{
        s->ns[ns].enabled = true;
        if (str_empty(value) || strcmp(value, "private") == 0)
                return 0;
        if (strcmp(value, "host") == 0) {
                s->ns[ns].enabled = false;
                return 0;
        }
        if (str_starts(value, "container:") && value[10])
                return 0;
        if (str_starts(value, "ns:") && value[3] == '/') {
                s->ns[ns].path = xstrdup(value + 3);
                return 0;
        }
        if (ns == SPEC_NS_IPC && strcmp(value, "shareable") == 0)
                return 0;
        (void)err_new(reterr, ERR_USAGE, "%s: unknown mode '%s'", option, value);
        return err_hint(reterr, -EINVAL, "modes are private, host, container:NAME and ns:PATH");
}

static int build_network(const struct run_options *o, struct spec *s, struct err **reterr)
{
        const char *mode = o->network;

        if (str_empty(mode) || strcmp(mode, "none") == 0) {
                s->ns[SPEC_NS_NET].enabled = true;
                return 0;
        }
        if (strcmp(mode, "host") == 0 || str_starts(mode, "container:") || str_starts(mode, "ns:"))
                return build_ns(s, SPEC_NS_NET, "--network", mode, reterr);
        (void)err_new(reterr, ERR_UNSUPPORTED,
                      "network '%s': this version of kelp has no such network", mode);
        return err_hint(reterr, -EOPNOTSUPP, "use --network none, host, container:NAME or ns:PATH");
}

static int build_namespaces(const struct run_options *o, struct spec *s, struct err **reterr)
{
        int r;

        s->ns[SPEC_NS_MOUNT].enabled = true;
        s->ns[SPEC_NS_CGROUP].enabled = true;
        s->ns[SPEC_NS_USER].enabled = !o->userns || strcmp(o->userns, "host") != 0;
        if ((r = build_ns(s, SPEC_NS_PID, "--pid", o->pid, reterr)) < 0 ||
            (r = build_ns(s, SPEC_NS_IPC, "--ipc", o->ipc, reterr)) < 0 ||
            (r = build_ns(s, SPEC_NS_UTS, "--uts", o->uts, reterr)) < 0)
                return r;
        return build_network(o, s, reterr);
}

static int check_hostname(const char *name, struct err **reterr)
{
        size_t n = strlen(name);

        if (n > HOSTNAME_LONGEST ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789-._") != n)
                return err_new(reterr, ERR_USAGE,
                               "hostname '%s' is not a host name of at most %d characters", name,
                               HOSTNAME_LONGEST);
        return 0;
}

static int build_names(const struct run_options *o, struct spec *s, const char *id,
                       struct err **reterr)
{
        int r;

        if (!s->ns[SPEC_NS_UTS].enabled || s->ns[SPEC_NS_UTS].path ||
            (o->uts && str_starts(o->uts, "container:"))) {
                if (str_empty(o->hostname) && str_empty(o->domainname))
                        return 0;
                return err_new(reterr, ERR_USAGE,
                               "--hostname and --domainname need a host name of the container's "
                               "own, not --uts %s",
                               o->uts);
        }
        if (str_empty(o->hostname)) {
                s->hostname = xstrndup(id, HOSTNAME_FROM_ID);
        } else {
                if ((r = check_hostname(o->hostname, reterr)) < 0)
                        return r;
                s->hostname = xstrdup(o->hostname);
        }
        if (!str_empty(o->domainname)) {
                if ((r = check_hostname(o->domainname, reterr)) < 0)
                        return r;
                s->domainname = xstrdup(o->domainname);
        }
        return 0;
}

/* ---- life ---- */

static int build_life(const struct run_options *o, const struct image_config *image, struct spec *s,
                      struct err **reterr)
{
        const char *sig = !str_empty(o->stop_signal) ? o->stop_signal : image->stop_signal;

        if (!str_empty(sig) && parse_signal(sig, &s->stop_signal) < 0)
                return err_new(reterr, ERR_USAGE, "stop signal '%s' is unknown", sig);
        if (o->stop_timeout >= 0)
                s->stop_timeout =
                    o->stop_timeout > UINT32_MAX ? UINT32_MAX : (uint32_t)o->stop_timeout;
        s->timeout = o->timeout;
        s->volatile_upper = o->rm;
        strv_copy(&s->annotations, &o->annotations);
        return 0;
}

static int build_sdnotify(const struct run_options *o, struct spec *s, struct err **reterr)
{
        static const char *const known[] = {"container", "conmon", "healthy", "ignore"};

        if (str_empty(o->sdnotify))
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (strcmp(known[i], o->sdnotify) != 0)
                        continue;
                s->sdnotify = xstrdup(o->sdnotify);
                return 0;
        }
        return err_new(
            reterr, ERR_USAGE,
            "option '--sdnotify': '%s' is unknown: expected container, conmon, healthy or "
            "ignore",
            o->sdnotify);
}

static void build_root(const struct run_options *o, struct spec *s)
{
        s->root_kind = o->rootfs ? SPEC_ROOT_DIRECTORY : SPEC_ROOT_LAYERS;
        s->root_path = xstrdup(o->rootfs);
        s->root_readonly = o->read_only;
}

int spec_build(const struct run_options *o, const struct image_config *image, const char *id,
               struct spec **ret, struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = spec_new();
        int r;

        s->id = xstrdup(id);
        build_root(o, s);
        if ((r = build_namespaces(o, s, reterr)) < 0 || (r = build_names(o, s, id, reterr)) < 0 ||
            (r = build_process(o, image, s, reterr)) < 0 ||
            (r = build_life(o, image, s, reterr)) < 0 || (r = build_sdnotify(o, s, reterr)) < 0 ||
            (r = spec_build_security(o, image, s, reterr)) < 0 ||
            (r = spec_build_mounts(o, s, reterr)) < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
