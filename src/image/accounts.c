/* SPDX-License-Identifier: Apache-2.0 */
#include "image/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "idmap/idmap.h"

bool accounts_have(const char *file, size_t field, const char *text)
{
        AUTO_STRV lines = {0};

        strv_split(&lines, file, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                AUTO_STRV fields = {0};

                strv_split(&fields, lines.v[i], ':');
                if (fields.n > field && strcmp(fields.v[field], text) == 0)
                        return true;
        }
        return false;
}

static bool parse_id(const char *text, uint32_t *ret)
{
        return parse_u32(text, ret) == 0 && *ret != ID_NONE;
}

/* The first line that is @who's, by name or by number, with numbers where they belong: the third field, and of an account (more than
 * three @fields at least) the fourth. */
static bool find_line(const char *file, const char *who, size_t fields, struct strv *ret)
{
        AUTO_STRV lines = {0};
        uint32_t number = 0, id, group;
        bool numeric = parse_id(who, &number);

        strv_split(&lines, file ? file : "", '\n');
        for (size_t i = 0; i < lines.n; i++) {
                strv_release(ret);
                strv_split(ret, lines.v[i], ':');
                if (ret->n < fields || !*ret->v[0] || !parse_id(ret->v[2], &id) ||
                    (fields > 3 && !parse_id(ret->v[3], &group)))
                        continue;
                if (strcmp(ret->v[0], who) == 0 || (numeric && id == number))
                        return true;
        }
        return false;
}

int accounts_find(const char *passwd, const char *group, const char *user, uint32_t *ret_uid,
                  uint32_t *ret_gid)
{
        const char *colon = strchr(user, ':');
        AUTO_FREE char *name = xstrndup(user, colon ? (size_t)(colon - user) : strlen(user));
        AUTO_STRV line = {0};
        uint32_t uid = 0, gid = 0;

        if (find_line(passwd, name, 4, &line)) {
                (void)parse_id(line.v[2], &uid);
                (void)parse_id(line.v[3], &gid);
        } else if (!parse_id(name, &uid)) {
                return -ENOENT;
        }
        if (colon && colon[1]) {
                if (find_line(group, colon + 1, 3, &line))
                        (void)parse_id(line.v[2], &gid);
                else if (!parse_id(colon + 1, &gid))
                        return -ENOENT;
        }
        *ret_uid = uid;
        *ret_gid = gid;
        return 0;
}

bool accounts_of_host(const char *who, struct strv *ret)
{
        AUTO_FREE char *file = NULL;

        return io_read_file(AT_FDCWD, "/etc/passwd", ACCOUNTS_MAX, &file, NULL, NULL) >= 0 &&
               find_line(file, who, 7, ret);
}

char *accounts_name(const char *file, uint32_t id)
{
        AUTO_STRV lines = {0};

        strv_split(&lines, file ? file : "", '\n');
        for (size_t i = 0; i < lines.n; i++) {
                AUTO_STRV fields = {0};
                uint32_t there;

                strv_split(&fields, lines.v[i], ':');
                if (fields.n >= 3 && *fields.v[0] && parse_id(fields.v[2], &there) && there == id)
                        return xstrdup(fields.v[0]);
        }
        return NULL;
}
