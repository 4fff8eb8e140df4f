/* SPDX-License-Identifier: Apache-2.0 */
/* oci_state.c — the state of a container as the runtime-spec has it, which hooks and seccomp agents are given. */
#include "spec/oci.h"

#include "base/alloc.h"
#include "base/json.h"
#include "spec/spec.h"

struct json_object *spec_oci_state_json(const struct spec *s, const char *status, pid_t pid)
{
        struct json_object *o = json_object_new_object();

        json_add_string(o, "ociVersion", SPEC_OCI_VERSION_MAX);
        json_add_string(o, "id", s->id);
        json_add_string(o, "status", status);
        json_add_int(o, "pid", pid);
        json_add_string(o, "bundle", s->bundle);
        if (s->annotations.n)
                json_add_pairs(json_object(o, "annotations"), &s->annotations);
        return o;
}

char *spec_oci_state(const struct spec *s, const char *status, pid_t pid)
{
        AUTO_JSON *o = spec_oci_state_json(s, status, pid);

        return xstrdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                             JSON_C_TO_STRING_NOSLASHESCAPE));
}
