/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/random_id.h"
#include "container/container_internal.h"
#include "secret/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void replace_string(char **dst, const char *src)
{
        free(*dst);
        *dst = xstrdup(src);
}

static bool env_has(const struct strv *env, const char *name)
{
        return strv_env_get(env, name) != NULL;
}

/* The container's process description becomes that of the session: security and environment stay. */
static void process_for_exec(struct spec_process *p, const struct exec_options *o)
{
        p->terminal = o->tty;
        p->rows = o->rows;
        p->cols = o->cols;
        strv_release(&p->args);
        for (size_t i = 0; i < o->command.n; i++)
                strv_add(&p->args, o->command.v[i]);
        if (!str_empty(o->user)) {
                replace_string(&p->user, o->user);
                /* Another user's home is another one. */
                if (p->set_home || !env_has(&p->env, "HOME"))
                        p->set_home = true;
        }
        if (!str_empty(o->workdir))
                replace_string(&p->cwd, o->workdir);
        if (o->tty && !env_has(&p->env, "TERM"))
                strv_env_set(&p->env, "TERM=xterm");
        for (size_t i = 0; i < o->env.n; i++) {
                strv_env_set(&p->env, o->env.v[i]);
                if (str_starts(o->env.v[i], "HOME="))
                        p->set_home = false;
        }
        for (size_t i = 0; i < o->groups.n; i++)
                strv_add(&p->groups, o->groups.v[i]);
}

static struct json_object *process_config(const struct exec_options *o)
{
        struct json_object *p = json_object_new_object(), *arguments;

        json_add_bool(p, "tty", o->tty);
        json_add_string(p, "entrypoint", o->command.v[0]);
        arguments = json_array(p, "arguments");
        for (size_t i = 1; i < o->command.n; i++)
                (void)json_object_array_add(arguments, json_object_new_string(o->command.v[i]));
        json_add_bool(p, "privileged", o->privileged);
        json_add_string(p, "user", o->user ? o->user : "");
        return p;
}

/* "exec_create: sh -c true", and the same of exec_start. */
static void tell(const struct dirs *d, struct container *c, const struct exec_options *o,
                 const char *eid)
{
        static const char *const actions[] = {"exec_create", "exec_start"};
        const char *attributes[] = {"execID", eid, NULL};

        for (size_t a = 0; a < ARRAY_SIZE(actions); a++) {
                AUTO_STRBUF text = {0};

                strbuf_addf(&text, "%s:", actions[a]);
                for (size_t i = 0; i < o->command.n; i++)
                        strbuf_addf(&text, " %s", o->command.v[i]);
                container_event(d, c, text.data, attributes);
        }
}

/* A memfd with the request; it never touches the disk. */
static int request_fd(const struct dirs *d, struct container *c, const struct spec *s,
                      const struct exec_options *o, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        AUTO_JSON *doc = json_object_new_object();
        char eid[RANDOM_ID_LEN + 1];
        const char *text;
        int r;

        random_id(eid);
        json_add_string(doc, "id", eid);
        json_add_string(doc, "container", c->name);
        json_add_bool(doc, "privileged", o->privileged);
        json_add_bool(doc, "interactive", o->interactive);
        json_add_bool(doc, "detach", o->detach);
        (void)json_object_object_add(doc, "ProcessConfig", process_config(o));
        (void)json_object_object_add(doc, "spec", spec_to_json(s));
        fd = memfd_create("kelp-exec", MFD_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "prepare the request");
        text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN);
        r = io_write_full(fd, text, strlen(text));
        if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return err_sys(reterr, r < 0 ? -r : errno, "prepare the request");
        tell(d, c, o, eid);
        return TAKE_FD(fd);
}

static int exec_prepare(const struct dirs *d, struct container *c, const struct exec_options *o,
                        struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = NULL;
        int dir, r;

        if (o->command.n == 0)
                return err_new(reterr, ERR_USAGE, "no command given");
        if (c->status == CONTAINER_RESTARTING)
                return err_hint(
                    reterr,
                    err_new(reterr, ERR_BUSY, "container '%s' is between two runs", c->name),
                    "'kelp logs %s' may say why it ends", c->name);
        if (c->status != CONTAINER_RUNNING)
                return err_hint(reterr,
                                err_new(reterr, ERR_BUSY, "container '%s' is not running", c->name),
                                "start it first: kelp start %s", c->name);
        dir = container_dir(d, c, reterr);
        if (dir < 0)
                return dir;
        r = container_read_spec(dir, &s, reterr);
        if (r >= 0)
                r = secret_add_env(dir, s, &s->process.env, reterr);
        if (r < 0)
                return r;
        process_for_exec(&s->process, o);
        return request_fd(d, c, s, o, reterr);
}

int container_exec(const struct dirs *d, struct container *c, const struct exec_options *o,
                   struct container_io *ret, struct err **reterr)
{
        AUTO_CLOSE int request = exec_prepare(d, c, o, reterr);
        struct monitor_spawn m = {.attach = !o->detach,
                                  .request_fd = request,
                                  .preserve = o->preserve,
                                  .n_preserve = o->n_preserve};
        int r;

        if (request < 0)
                return err_wrap(reterr, request, "exec in container '%s'", c->name);
        strv_add(&m.argv, MONITOR_PROGRAM);
        strv_add(&m.argv, "exec");
        strv_add(&m.argv, d->root);
        strv_add(&m.argv, c->id);
        FAULT_POINT("exec-spawn");
        r = monitor_spawn(&m, ret, reterr);
        strv_release(&m.argv);
        return r < 0 ? err_wrap(reterr, r, "exec in container '%s'", c->name) : 0;
}
