/* SPDX-License-Identifier: Apache-2.0 */
/* given — the copies of secrets in a container's directory, where they become its environment. Files are the launcher's (rootfs/). */
#include "base/err.h"
#include "base/io.h"
#include "secret/secret.h"
#include "spec/spec.h"

#include <string.h>

int secret_add_env(int dir_fd, const struct spec *s, struct strv *env, struct err **reterr)
{
        for (size_t i = 0; i < s->n_secrets; i++) {
                const struct spec_secret *secret = &s->secrets[i];
                AUTO_FREE char *path = NULL, *text = NULL, *whole = NULL;
                size_t len;
                int r;

                if (!secret->env)
                        continue;
                path = xasprintf(SECRET_GIVEN "/%zu", i);
                r = io_read_file(dir_fd, path, SECRET_MAX, &text, &len, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "secret '%s'", secret->name);
                whole = xasprintf("%s=%s", secret->target, text);
                strv_env_set(env, whole);
        }
        return 0;
}
