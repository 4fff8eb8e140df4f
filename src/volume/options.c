/* SPDX-License-Identifier: Apache-2.0 */
/* options — type=, o= and device= of the local driver, as mount(8) and Docker know them. Pure; hostile input as far as scripts pass it on. */
#include "base/err.h"
#include "base/macros.h"
#include "base/parse.h"
#include "volume/volume.h"

#include <errno.h>
#include <string.h>

void volume_mount_release(struct volume_mount *m)
{
        free(m->device);
        strv_release(&m->options);
        *m = (struct volume_mount){0};
}

static bool is_plain(const char *o)
{
        static const char *const names[] = {
            "ro",    "rw",      "nosuid",     "suid",        "nodev",    "dev",     "noexec",
            "exec",  "noatime", "nodiratime", "strictatime", "relatime", "private", "rprivate",
            "slave", "rslave",  "shared",     "rshared",     "bind",     "rbind",   "nosymfollow",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (strcmp(names[i], o) == 0)
                        return true;
        }
        return false;
}

static int tmpfs_option(const char *o, struct strv *ret)
{
        const char *value = strchr(o, '=') ? strchr(o, '=') + 1 : NULL;
        uint64_t bytes;
        uint32_t n;

        if (!value)
                return -EINVAL;
        if (str_starts(o, "size=") && parse_size(value, &bytes) == 0) {
                strv_addf(ret, "size=%llu", (unsigned long long)bytes);
                return 0;
        }
        if (((str_starts(o, "uid=") || str_starts(o, "gid=")) && parse_u32(value, &n) == 0) ||
            (str_starts(o, "mode=") && parse_octal_mode(value, &n) == 0 && n <= 07777) ||
            (str_starts(o, "nr_inodes=") && parse_size(value, &bytes) == 0)) {
                strv_add(ret, o);
                return 0;
        }
        return -EINVAL;
}

static int take_words(const char *words, struct volume_mount *m, struct err **reterr)
{
        AUTO_STRV list = {0};

        strv_split(&list, words, ',');
        for (size_t i = 0; i < list.n; i++) {
                const char *o = list.v[i];

                if (!*o)
                        continue;
                if (is_plain(o)) {
                        /* A tmpfs is nobody's tree to be bound. */
                        if (m->kind == VOLUME_KIND_TMPFS &&
                            (strcmp(o, "bind") == 0 || strcmp(o, "rbind") == 0))
                                return err_new(reterr, ERR_USAGE,
                                               "option o: '%s' does not go with a tmpfs", o);
                        strv_add(&m->options, o);
                } else if (m->kind != VOLUME_KIND_TMPFS || tmpfs_option(o, &m->options) < 0) {
                        return err_new(reterr, ERR_USAGE, "option o: unknown word '%s'", o);
                }
        }
        return 0;
}

static bool has_bind_word(const char *words)
{
        AUTO_STRV list = {0};

        if (!words)
                return false;
        strv_split(&list, words, ',');
        return strv_contains(&list, "bind") || strv_contains(&list, "rbind");
}

static int find_kind(const char *type, const char *words, struct volume_mount *m,
                     struct err **reterr)
{
        int r;

        if (str_empty(type) || strcmp(type, "none") == 0 || strcmp(type, "bind") == 0) {
                /* Docker wants the word "bind" with type none; a type "bind" says the same. */
                if (has_bind_word(words) || (type && strcmp(type, "bind") == 0))
                        m->kind = VOLUME_KIND_BIND;
                else if (!str_empty(type) || !str_empty(words))
                        return err_hint(reterr,
                                        err_new(reterr, ERR_USAGE,
                                                "options say neither what to bind nor tmpfs"),
                                        "for a directory of the host: --opt type=none --opt "
                                        "o=bind --opt device=/the/directory");
                return 0;
        }
        if (strcmp(type, "tmpfs") == 0) {
                m->kind = VOLUME_KIND_TMPFS;
                return 0;
        }
        r = err_new(reterr, ERR_UNSUPPORTED,
                    "type '%s': the kernel lets only the administrator mount it", type);
        return err_hint(reterr, r,
                        "let the administrator mount it (/etc/fstab), then use --opt type=none "
                        "--opt o=bind --opt device=/where/it/is");
}

static int check_device(const char *device, struct volume_mount *m, struct err **reterr)
{
        switch (m->kind) {
        case VOLUME_KIND_DIRECTORY:
                if (device)
                        return err_new(reterr, ERR_USAGE,
                                       "option device '%s' needs a type: none or tmpfs", device);
                return 0;
        case VOLUME_KIND_TMPFS:
                return 0; /* any word: "tmpfs" by custom */
        case VOLUME_KIND_BIND:
        default:
                if (str_empty(device) || device[0] != '/')
                        return err_new(reterr, ERR_USAGE,
                                       "option device '%s' is not an absolute path",
                                       device ? device : "");
                m->device = xstrdup(device);
                return 0;
        }
}

int volume_mount_parse(const struct strv *options, struct volume_mount *ret, struct err **reterr)
{
        AUTO(volume_mount_release) struct volume_mount m = {0};
        const char *type = volume_pair(options, "type"), *words = volume_pair(options, "o");
        int r;

        for (size_t i = 0; i < options->n; i++) {
                size_t n = strcspn(options->v[i], "=");

                if (!options->v[i][n])
                        return err_new(reterr, ERR_USAGE, "option '%s' is not KEY=VALUE",
                                       options->v[i]);
                if (!(n == 4 && str_starts(options->v[i], "type")) &&
                    !(n == 1 && options->v[i][0] == 'o') &&
                    !(n == 6 && str_starts(options->v[i], "device")))
                        return err_hint(reterr,
                                        err_new(reterr, ERR_USAGE, "unknown option '%.*s'", (int)n,
                                                options->v[i]),
                                        "known: type, o, device");
        }
        if ((r = find_kind(type, words, &m, reterr)) < 0 ||
            (r = words ? take_words(words, &m, reterr) : 0) < 0 ||
            (r = check_device(volume_pair(options, "device"), &m, reterr)) < 0)
                return r;
        *ret = m;
        m = (struct volume_mount){0};
        return 0;
}
