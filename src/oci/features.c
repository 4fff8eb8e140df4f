/* SPDX-License-Identifier: Apache-2.0 */
/* features.c — the features document: each list comes from the table that a config is read with, so that it can say no more and no less. */
#include "oci/documents.h"

#include "base/json.h"
#include "config.h"
#include "security/caps.h"
#include "security/profile_names.h"
#include "spec/mount_option.h"
#include "spec/oci.h"
#include "spec/spec.h"

static void add_names(struct json_object *o, const char *key, const char *const *names, size_t n)
{
        struct json_object *list = json_array(o, key);

        for (size_t i = 0; i < n; i++)
                json_object_array_add(list, json_object_new_string(names[i]));
}

static void add_enabled(struct json_object *o, const char *key, bool enabled)
{
        json_add_bool(json_object(o, key), "enabled", enabled);
}

#define NAME(name, ...) name,
static void add_seccomp(struct json_object *linux_doc)
{
        static const char *const actions[] = {PROFILE_ACTIONS(NAME)};
        static const char *const operators[] = {PROFILE_COMPARISONS(NAME)};
        static const char *const archs[] = {PROFILE_ARCHES(NAME)};
        static const char *const flags[] = {PROFILE_FLAGS(NAME)};
        struct json_object *o = json_object(linux_doc, "seccomp");

        json_add_bool(o, "enabled", HAVE_SECCOMP);
        if (!HAVE_SECCOMP)
                return;
        add_names(o, "actions", actions, ARRAY_SIZE(actions));
        add_names(o, "operators", operators, ARRAY_SIZE(operators));
        add_names(o, "archs", archs, ARRAY_SIZE(archs));
        add_names(o, "knownFlags", flags, ARRAY_SIZE(flags));
        add_names(o, "supportedFlags", flags, ARRAY_SIZE(flags));
}
#undef NAME

static void add_linux(struct json_object *doc)
{
        struct json_object *o = json_object(doc, "linux"), *list, *cgroup;

        list = json_array(o, "namespaces");
        for (int i = 0; i < SPEC_NS_COUNT; i++)
                json_object_array_add(list, json_object_new_string(spec_ns_name((enum spec_ns)i)));
        list = json_array(o, "capabilities");
        for (int i = 0; cap_name(i); i++)
                json_object_array_add(list, json_object_new_string(cap_name(i)));
        cgroup = json_object(o, "cgroup");
        json_add_bool(cgroup, "v1", false);
        json_add_bool(cgroup, "v2", true);
        add_seccomp(o);
        add_enabled(o, "apparmor", true);
        add_enabled(o, "selinux", true);
        add_enabled(o, "intelRdt", false);
        add_enabled(json_object(o, "mountExtensions"), "idmap", true);
        add_enabled(o, "netDevices", false);
}

struct json_object *oci_features(void)
{
        struct json_object *doc = json_object_new_object(), *list;

        json_add_string(doc, "ociVersionMin", SPEC_OCI_VERSION_MIN);
        json_add_string(doc, "ociVersionMax", SPEC_OCI_VERSION_MAX);
        list = json_array(doc, "hooks");
        for (int i = 0; i < SPEC_HOOK_COUNT; i++)
                json_object_array_add(list,
                                      json_object_new_string(spec_hook_name((enum spec_hook)i)));
        list = json_array(doc, "mountOptions");
        for (size_t i = 0; mount_option_at(i); i++)
                json_object_array_add(list, json_object_new_string(mount_option_at(i)->name));
        add_linux(doc);
        if (HAVE_SECCOMP)
                json_add_string(json_object(doc, "annotations"),
                                "io.github.seccomp.libseccomp.version", KELP_SECCOMP_VERSION);
        /* A prefix: all of these change what the runtime does with its own rights. */
        list = json_array(doc, "potentiallyUnsafeConfigAnnotations");
        json_object_array_add(list, json_object_new_string("run.oci."));
        return doc;
}
