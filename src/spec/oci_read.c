/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_read.c — a spec from a bundle's config.json. Theory of operation: the file is a stranger's. What the runtime-spec has a MUST for, and
 * can be seen without looking at the system, is checked here, so that a container that cannot be is refused before anything was made; every
 * error names the JSON path. Unknown properties are passed over (the specification wants it so); values that cannot be applied are not.
 */
#include "spec/oci.h"

#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "spec/spec_internal.h"

#include <ctype.h>
#include <string.h>

/* SemVer's numbers are behind *p, and a dot between two of them. */
static bool skip_number(const char **p)
{
        size_t n = strspn(*p, "0123456789");

        if (n == 0 || (n > 1 && **p == '0'))
                return false;
        *p += n;
        return true;
}

static bool is_semver(const char *v)
{
        const char *p = v;

        for (int i = 0; i < 3; i++) {
                if ((i > 0 && *p++ != '.') || !skip_number(&p))
                        return false;
        }
        if (*p == '\0')
                return true;
        if ((*p != '-' && *p != '+') || p[1] == '\0')
                return false;
        for (p++; *p; p++) {
                if (!isalnum((unsigned char)*p) && !strchr("-+.", *p))
                        return false;
        }
        return true;
}

static int check_version(const struct json_at *config, struct err **reterr)
{
        struct json_at at = json_key(config, "ociVersion");
        const char *version = NULL;
        int r = json_get_string(config, "ociVersion", &version, reterr);

        if (r < 0)
                return r;
        if (!is_semver(version))
                return json_fail(&at, reterr, "'%s' is not a version like 1.3.0", version);
        if (!str_starts(version, "1."))
                return json_fail(&at, reterr, "version %s of the specification is not 1.x",
                                 version);
        return 0;
}

static int read_root(const struct json_at *config, struct spec *s, struct err **reterr)
{
        struct json_at at = json_key(config, "root"), path_at = json_key(&at, "path");
        const char *path = NULL;
        int r;

        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "path", &path, reterr)) < 0 ||
            (r = json_opt_bool(&at, "readonly", &s->root_readonly, reterr)) < 0)
                return r;
        if (*path == '\0')
                return json_fail(&path_at, reterr, "empty");
        s->root_kind = SPEC_ROOT_DIRECTORY;
        s->root_path = path_join(s->bundle, path);
        return 0;
}

static int read_process(const struct json_at *config, struct spec *s, struct strv *warnings,
                        struct err **reterr)
{
        struct json_at at = json_key(config, "process");

        s->process.absent = !at.obj;
        return at.obj ? spec_read_oci_process(&at, &s->process, warnings, reterr) : 0;
}

/* Names of the UTS namespace that the container shares with us are not its to set. */
static int read_uts_name(const struct json_at *config, const char *key, struct spec *s, char **ret,
                         struct err **reterr)
{
        struct json_at at = json_key(config, key);
        int r = spec_read_string(config, key, ret, reterr);

        if (r < 0 || str_empty(*ret)) {
                free(TAKE_PTR(*ret));
                return r;
        }
        if (s->ns[SPEC_NS_UTS].enabled)
                return 0;
        r = json_fail(&at, reterr, "'%s' would be the host's: there is no uts namespace", *ret);
        return err_hint(reterr, r, "add {\"type\": \"uts\"} to linux.namespaces");
}

static int read_annotations(const struct json_at *config, struct spec *s, struct err **reterr)
{
        struct json_at at = json_key(config, "annotations");
        const char *receiver;
        int r = json_opt_pairs(config, "annotations", &s->annotations, reterr);

        if (r < 0)
                return r;
        if (at.obj && json_object_object_get_ex(at.obj, "", NULL))
                return json_fail(&at, reterr, "a key is empty");
        if (strv_contains(&s->annotations, "run.oci.keep_original_groups=1")) {
                strv_release(&s->process.groups);
                strv_add(&s->process.groups, "keep-groups");
        }
        /* What callers said before the profile had a place for it. */
        receiver = strv_env_get(&s->annotations, "run.oci.seccomp.receiver");
        if (!str_empty(receiver) && !s->seccomp_listener)
                s->seccomp_listener = xstrdup(receiver);
        return 0;
}

static int read_config(const struct json_at *at, struct spec *s, struct strv *warnings,
                       struct err **reterr)
{
        struct json_at linux_at = json_key(at, "linux"), hooks = json_key(at, "hooks");
        int r;

        if ((r = json_want_object(at, reterr)) < 0 || (r = check_version(at, reterr)) < 0 ||
            (r = read_root(at, s, reterr)) < 0 || (r = read_process(at, s, warnings, reterr)) < 0 ||
            (r = spec_read_oci_linux(&linux_at, s, reterr)) < 0 ||
            /* These look at the namespaces. */
            (r = read_uts_name(at, "hostname", s, &s->hostname, reterr)) < 0 ||
            (r = read_uts_name(at, "domainname", s, &s->domainname, reterr)) < 0 ||
            (r = spec_read_list(at, "mounts", spec_read_oci_mount, s, reterr)) < 0 ||
            (r = spec_read_oci_hooks(&hooks, s, reterr)) < 0)
                return r;
        return read_annotations(at, s, reterr);
}

int spec_from_bundle(struct json_object *config, const char *what, const char *bundle,
                     struct spec **ret, struct strv *warnings, struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = spec_new();
        struct json_at at = json_root(config, what);
        int r;

        s->oci = true;
        s->bundle = xstrdup(bundle);
        r = read_config(&at, s, warnings, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
