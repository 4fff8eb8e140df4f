/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_secrets — the copies of the secrets that a container is given. They are made once, in its own directory and outside its layer: what
 * happens to the secret afterwards does not change the container, and commit, diff and export never meet them. Their names and places are in the
 * description, their content is in none of the files that inspect reads.
 */
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "container/container_internal.h"
#include "secret/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_copy(struct creation *k, size_t i, const char *data, size_t len,
                      struct err **reterr)
{
        AUTO_FREE char *name = xasprintf(SECRET_GIVEN "/%zu", i);
        AUTO_CLOSE int fd = openat(k->tmp.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        int r = fd < 0 ? -errno : io_write_full(fd, data, len);

        if (r >= 0 && !k->o->rm && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? err_sys(reterr, -r, "write its copy") : 0;
}

/* Podman's words, and how it is given. */
static void describe(struct creation *k, const struct secret *s, const struct spec_secret *given)
{
        struct json_object *o = json_object_new_object();

        json_add_string(o, "Name", s->name);
        json_add_string(o, "ID", s->id);
        json_add_uint(o, "UID", given->uid);
        json_add_uint(o, "GID", given->gid);
        json_add_uint(o, "Mode", given->mode);
        json_add_string(o, "Type", given->env ? "env" : "mount");
        json_add_string(o, "Target", given->target);
        (void)json_object_array_add(k->secrets, o);
}

static int give(struct creation *k, size_t i, struct err **reterr)
{
        const struct run_secret *want = &k->o->secrets[i];
        AUTO(secret_freep) struct secret *s = NULL;
        AUTO_FREE char *data = NULL, *target = NULL, *file = NULL;
        struct spec_secret *given;
        size_t len = 0;
        int r = secret_read(k->d, want->name, &s, &data, &len, reterr);

        if (r < 0)
                return r;
        if (want->env && memchr(data, '\0', len))
                return err_new(reterr, ERR_USAGE,
                               "it holds a NUL byte, which no variable can: give it as a file");
        r = write_copy(k, i, data, len, reterr);
        if (r < 0)
                return r;
        target = want->target ? xstrdup(want->target)
                 : want->env  ? xstrdup(s->name)
                              : xasprintf(SECRET_DIR "/%s", s->name);
        file = xasprintf(CONTAINERS "/%s/" SECRET_GIVEN "/%zu", k->tmp.id, i);
        given = spec_add_secret(k->spec, s->name, target, file);
        given->env = want->env;
        given->uid = want->uid;
        given->gid = want->gid;
        given->mode = want->mode;
        describe(k, s, given);
        return 0;
}

int creation_secrets(struct creation *k, struct err **reterr)
{
        int r = 0;

        if (k->o->n_secrets == 0)
                return 0;
        k->secrets = json_object_new_array();
        if (mkdirat(k->tmp.fd, SECRET_GIVEN, 0700) < 0)
                return err_sys(reterr, errno, "make a directory for its secrets");
        for (size_t i = 0; i < k->o->n_secrets && r >= 0; i++) {
                r = give(k, i, reterr);
                if (r < 0)
                        (void)err_wrap(reterr, r, "secret '%s'", k->o->secrets[i].name);
        }
        FAULT_POINT("secrets-given");
        return r;
}
