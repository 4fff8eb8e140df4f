/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle's config.json, and its process alone. What is accepted holds what the launcher relies on. */
#include "fuzz.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/spec.h"

#include <stdlib.h>

static void want(bool holds)
{
        if (!holds)
                abort();
}

static void check_process(const struct spec_process *p)
{
        want(p->args.n > 0 && p->args.v[0] && p->user);
        want(p->cwd && p->cwd[0] == '/');
        want(p->umask >= -1 && p->umask <= 0777);
}

static void check(const struct spec *s)
{
        want(s->oci && s->root_kind == SPEC_ROOT_DIRECTORY && s->root_path[0] == '/');
        if (!s->process.absent)
                check_process(&s->process);
        for (size_t i = 0; i < SPEC_NS_COUNT; i++)
                want(!s->ns[i].path || (s->ns[i].enabled && s->ns[i].path[0] == '/'));
        for (size_t i = 0; i < s->n_mounts; i++)
                want(s->mounts[i].destination[0] == '/' && s->mounts[i].type);
        for (size_t i = 0; i < s->n_devices; i++)
                want(s->devices[i].path[0] == '/' && s->devices[i].type);
        for (size_t i = 0; i < SPEC_HOOK_COUNT; i++) {
                for (size_t j = 0; j < s->hooks[i].n; j++)
                        want(s->hooks[i].v[j].path[0] == '/');
        }
        want((s->seccomp == SPEC_SECCOMP_INLINE) == (s->seccomp_profile != NULL));
        want(!s->hostname || s->ns[SPEC_NS_UTS].enabled);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        AUTO_JSON *in = NULL;
        AUTO(spec_freep) struct spec *s = NULL;
        AUTO_STRV warnings = {0};
        struct spec_process process;
        struct err *e = NULL;
        int r;

        if (json_parse((const char *)data, n, "config.json", &in, NULL) < 0)
                return 0;
        r = spec_from_bundle(in, "config.json", "/bundle", &s, &warnings, &e);
        want((r < 0) == (e != NULL) && (r < 0) == (s == NULL));
        if (s)
                check(s);
        e = err_free(e);
        spec_process_init(&process);
        r = spec_process_from_oci(in, "process.json", &process, &warnings, &e);
        want((r < 0) == (e != NULL));
        if (r >= 0)
                check_process(&process);
        (void)err_free(e);
        spec_process_release(&process);
        return 0;
}
