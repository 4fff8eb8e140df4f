/* SPDX-License-Identifier: Apache-2.0 */
/* oci_linux.c — "linux" of a bundle's config.json. */
#include "spec/oci.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/resources.h"
#include "spec/spec_internal.h"

#include <string.h>
#include <sys/mount.h>

#define NSEC_PER_SEC 1000000000U
#define DEVICE_MODE  07777U

/* ---- devices ---- */

static int read_device_type(const struct json_at *at, char *ret, struct err **reterr)
{
        struct json_at type_at = json_key(at, "type");
        const char *type = NULL;
        int r = json_get_string(at, "type", &type, reterr);

        if (r < 0)
                return r;
        if (strlen(type) != 1 || !strchr("cbup", type[0]))
                return json_fail(&type_at, reterr, "'%s' is none of c, b, u and p", type);
        *ret = type[0] == 'u' ? 'c' : type[0]; /* a character device without a buffer */
        return 0;
}

static int read_device_number(const struct json_at *at, const char *key, char type, int64_t *ret,
                              struct err **reterr)
{
        struct json_at value = json_key(at, key);
        int r;

        if (type == 'p')
                return 0;
        if (!value.obj)
                return json_fail(&value, reterr, "missing: only a pipe has none");
        r = json_opt_i64(at, key, ret, reterr);
        if (r >= 0 && (*ret < 0 || *ret > UINT32_MAX))
                r = json_fail(&value, reterr, "not the number of a device");
        return r;
}

static int read_device(const struct json_at *at, struct spec *s, struct err **reterr)
{
        struct json_at path_at = json_key(at, "path"), mode_at = json_key(at, "fileMode");
        const char *path = NULL;
        struct spec_device *d;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "path", &path, reterr)) < 0 ||
            (r = spec_check_absolute(&path_at, path, reterr)) < 0)
                return r;
        d = spec_add_device(s, NULL, path, NULL);
        if ((r = read_device_type(at, &d->type, reterr)) < 0 ||
            (r = read_device_number(at, "major", d->type, &d->major, reterr)) < 0 ||
            (r = read_device_number(at, "minor", d->type, &d->minor, reterr)) < 0 ||
            (r = json_opt_u32(at, "fileMode", &d->mode, reterr)) < 0 ||
            (r = json_opt_u32(at, "uid", &d->uid, reterr)) < 0 ||
            (r = json_opt_u32(at, "gid", &d->gid, reterr)) < 0)
                return r;
        d->has_mode = mode_at.obj != NULL;
        d->mode &= DEVICE_MODE; /* some engines give the bits of the type along with it */
        return 0;
}

/* ---- clocks ---- */

static int read_clock(const struct json_at *at, struct spec_time_offset *ret, struct err **reterr)
{
        struct json_at nanosecs = json_key(at, "nanosecs");
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_i64(at, "secs", &ret->secs, reterr)) < 0 ||
            (r = json_opt_u32(at, "nanosecs", &ret->nanosecs, reterr)) < 0)
                return r;
        if (ret->nanosecs >= NSEC_PER_SEC)
                return json_fail(&nanosecs, reterr, "a second has less than %u", NSEC_PER_SEC);
        ret->set = true;
        return 0;
}

static int read_time_offsets(const struct json_at *linux_at, struct spec *s, struct err **reterr)
{
        const struct spec_namespace *ns = &s->ns[SPEC_NS_TIME];
        struct json_at at = json_key(linux_at, "timeOffsets");
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0)
                return r;
        json_object_object_foreach(at.obj, clock, value)
        {
                struct json_at e = json_key(&at, clock);

                (void)value;
                if (strcmp(clock, "boottime") == 0)
                        r = read_clock(&e, &s->boottime, reterr);
                else if (strcmp(clock, "monotonic") == 0)
                        r = read_clock(&e, &s->monotonic, reterr);
                else
                        r = json_fail(&e, reterr, "only boottime and monotonic can be set");
                if (r < 0)
                        return r;
        }
        if ((s->boottime.set || s->monotonic.set) && (!ns->enabled || ns->path))
                return json_fail(&at, reterr, "the container has no new time namespace");
        return 0;
}

/* ---- seccomp ---- */

static int read_seccomp(const struct json_at *linux_at, struct spec *s, struct err **reterr)
{
        struct json_at at = json_key(linux_at, "seccomp");
        struct json_at metadata = json_key(&at, "listenerMetadata");
        const char *action = NULL;
        int r;

        s->seccomp = SPEC_SECCOMP_UNCONFINED;
        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "defaultAction", &action, reterr)) < 0 ||
            (r = spec_read_string(&at, "listenerPath", &s->seccomp_listener, reterr)) < 0 ||
            (r = spec_read_string(&at, "listenerMetadata", &s->seccomp_metadata, reterr)) < 0)
                return r;
        if (!str_empty(s->seccomp_metadata) && str_empty(s->seccomp_listener))
                return json_fail(&metadata, reterr, "given without a listenerPath");
        s->seccomp = SPEC_SECCOMP_INLINE;
        s->seccomp_profile = json_object_get(at.obj);
        return 0;
}

/* ---- small things ---- */

static int read_propagation(const struct json_at *linux_at, struct spec *s, struct err **reterr)
{
        static const struct {
                const char *name;
                uint64_t value;
        } names[] = {
            {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
            {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
            {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
            {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
        };
        struct json_at at = json_key(linux_at, "rootfsPropagation");
        const char *value = NULL;
        int r = json_opt_string(linux_at, "rootfsPropagation", &value, reterr);

        if (r < 0 || str_empty(value))
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcmp(names[i].name, value) == 0) {
                        s->rootfs_propagation = names[i].value;
                        return 0;
                }
        }
        return json_fail(&at, reterr, "'%s' is none of shared, slave, private and unbindable",
                         value);
}

static int read_personality(const struct json_at *linux_at, struct spec_process *p,
                            struct err **reterr)
{
        struct json_at at = json_key(linux_at, "personality");
        struct json_at flags_at = json_key(&at, "flags"), domain_at = json_key(&at, "domain");
        const char *domain = NULL;
        size_t n = 0;
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "domain", &domain, reterr)) < 0)
                return r;
        p->personality = spec_personality_from_name(domain);
        if (p->personality < 0)
                return json_fail(&domain_at, reterr, "'%s' is neither LINUX nor LINUX32", domain);
        if (flags_at.obj && (r = json_want_array(&flags_at, SPEC_LIST_MAX, &n, reterr)) < 0)
                return r;
        return n == 0 ? 0 : json_fail(&flags_at, reterr, "the specification has no flags yet");
}

static int read_rdt(const struct json_at *linux_at, struct spec *s, struct err **reterr)
{
        struct json_at at = json_key(linux_at, "intelRdt");
        struct json_at clos = json_key(&at, "closID"), mb = json_key(&at, "memBwSchema");
        struct spec_rdt *rdt = &s->rdt;
        int r;

        if (!at.obj)
                return 0;
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = spec_read_string(&at, "closID", &rdt->clos_id, reterr)) < 0 ||
            (r = spec_read_string(&at, "l3CacheSchema", &rdt->l3, reterr)) < 0 ||
            (r = spec_read_string(&at, "memBwSchema", &rdt->mem_bw, reterr)) < 0 ||
            (r = json_opt_strv(&at, "schemata", &rdt->schemata, reterr)) < 0 ||
            (r = json_opt_bool(&at, "enableMonitoring", &rdt->monitoring, reterr)) < 0)
                return r;
        rdt->set = true;
        if (rdt->clos_id && (strchr(rdt->clos_id, '/') || strcmp(rdt->clos_id, ".") == 0 ||
                             strcmp(rdt->clos_id, "..") == 0))
                return json_fail(&clos, reterr, "'%s' is not the name of a directory",
                                 rdt->clos_id);
        if (!str_empty(rdt->mem_bw) &&
            (!str_starts(rdt->mem_bw, "MB:") || strchr(rdt->mem_bw, '\n')))
                return json_fail(&mb, reterr, "expected one line that begins with MB:");
        return 0;
}

static int check_absolute_list(const struct json_at *linux_at, const char *key,
                               const struct strv *paths, struct err **reterr)
{
        struct json_at list = json_key(linux_at, key);

        for (size_t i = 0; i < paths->n; i++) {
                struct json_at e = json_elem(&list, i);
                int r = spec_check_absolute(&e, paths->v[i], reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_paths(const struct json_at *at, struct spec *s, struct err **reterr)
{
        int r;

        if ((r = json_opt_strv(at, "maskedPaths", &s->masked_paths, reterr)) < 0 ||
            (r = json_opt_strv(at, "readonlyPaths", &s->readonly_paths, reterr)) < 0 ||
            (r = check_absolute_list(at, "maskedPaths", &s->masked_paths, reterr)) < 0)
                return r;
        return check_absolute_list(at, "readonlyPaths", &s->readonly_paths, reterr);
}

static int read_maps(const struct json_at *at, struct spec *s, struct err **reterr)
{
        struct json_at uids = json_key(at, "uidMappings");
        int r;

        if ((r = spec_read_id_map(at, "uidMappings", &s->uid_map, reterr)) < 0 ||
            (r = spec_read_id_map(at, "gidMappings", &s->gid_map, reterr)) < 0)
                return r;
        if ((s->uid_map.n || s->gid_map.n) && !s->ns[SPEC_NS_USER].enabled) {
                r = json_fail(uids.obj ? &uids : at, reterr,
                              "ids are mapped, but the container has no user namespace");
                return err_hint(reterr, r, "add {\"type\": \"user\"} to linux.namespaces");
        }
        return 0;
}

/* Whoever asks for one of these must not get a container that goes without. */
static int refuse_absent(const struct json_at *at, struct err **reterr)
{
        static const char *const absent[] = {"netDevices", "memoryPolicy"};

        for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
                struct json_at value = json_key(at, absent[i]);

                if (value.obj && !(json_object_is_type(value.obj, json_type_object) &&
                                   json_object_object_length(value.obj) == 0))
                        return json_fail(&value, reterr, "not supported by this runtime");
        }
        return 0;
}

static int read_resources(const struct json_at *linux_at, struct spec *s, struct err **reterr)
{
        struct json_at at = json_key(linux_at, "resources");

        return at.obj ? spec_resources_read(&at, &s->resources, reterr) : 0;
}

int spec_read_oci_linux(const struct json_at *at, struct spec *s, struct err **reterr)
{
        int r;

        s->seccomp = SPEC_SECCOMP_UNCONFINED;
        if (!at->obj)
                return 0;
        if ((r = json_want_object(at, reterr)) < 0 || (r = refuse_absent(at, reterr)) < 0 ||
            (r = spec_read_list(at, "namespaces", spec_read_namespace, s, reterr)) < 0 ||
            (r = read_maps(at, s, reterr)) < 0 ||
            (r = spec_read_list(at, "devices", read_device, s, reterr)) < 0 ||
            (r = spec_read_string(at, "cgroupsPath", &s->cgroups_path, reterr)) < 0 ||
            (r = spec_read_string(at, "mountLabel", &s->mount_label, reterr)) < 0 ||
            (r = json_opt_pairs(at, "sysctl", &s->sysctl, reterr)) < 0 ||
            (r = read_paths(at, s, reterr)) < 0 || (r = read_seccomp(at, s, reterr)) < 0 ||
            (r = read_propagation(at, s, reterr)) < 0 ||
            (r = read_personality(at, &s->process, reterr)) < 0 ||
            (r = read_rdt(at, s, reterr)) < 0 || (r = read_resources(at, s, reterr)) < 0)
                return r;
        return read_time_offsets(at, s, reterr);
}
