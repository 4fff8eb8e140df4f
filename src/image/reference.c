/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * A reference is cut from the right: "@digest" at the first '@', then ":tag" at the last ':' that has no '/' behind it, then
 * the domain at the first '/'. What stands before that '/' is a domain only when it cannot be a path component: it contains
 * '.' or ':', holds an upper-case letter, or is "localhost". Everything else is a short name of docker.io, where a single
 * component lives below "library/". Each part is then checked against its grammar, so that no part can hold a byte that has a
 * meaning in a path or on a terminal.
 */
#include "image/reference.h"

#include "base/err.h"
#include "base/str.h"
#include "image/digest.h"

#include <string.h>

#define NAME_MAX_LEN   255 /* domain and path together, as registries and Docker have it */
#define TAG_MAX_LEN    128
#define DEFAULT_DOMAIN "docker.io"
#define LIBRARY        "library/"

static bool is_lower(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
        return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* One run of separators between two letters or digits: ".", "_", "__" or any number of "-". */
static size_t separator_length(const char *s, size_t n)
{
        size_t i = 0;

        if (s[0] == '.')
                return 1;
        if (s[0] == '_')
                return n > 1 && s[1] == '_' ? 2 : 1;
        while (i < n && s[i] == '-')
                i++;
        return i;
}

static bool component_is_valid(const char *s, size_t n)
{
        size_t i = 0;

        if (n == 0 || !is_lower(s[0]) || !is_lower(s[n - 1]))
                return false;
        while (i < n) {
                if (is_lower(s[i])) {
                        i++;
                        continue;
                }
                size_t sep = separator_length(s + i, n - i);
                if (sep == 0 || i + sep >= n || !is_lower(s[i + sep]))
                        return false;
                i += sep;
        }
        return true;
}

static bool path_is_valid(const char *path)
{
        const char *p = path;

        for (;;) {
                size_t n = strcspn(p, "/");

                if (!component_is_valid(p, n))
                        return false;
                if (!p[n])
                        return true;
                p += n + 1;
        }
}

static bool label_is_valid(const char *s, size_t n)
{
        if (n == 0 || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_alnum(s[i]) && s[i] != '-')
                        return false;
        return true;
}

/* host.name[:port] or [IPv6][:port] */
static bool domain_is_valid(const char *domain)
{
        const char *p = domain, *port;

        if (*p == '[') {
                size_t n = strspn(p + 1, "0123456789abcdefABCDEF:");

                if (n == 0 || p[1 + n] != ']')
                        return false;
                port = p + n + 2;
        } else {
                for (;;) {
                        size_t n = strcspn(p, ".:");

                        if (!label_is_valid(p, n))
                                return false;
                        p += n;
                        if (*p != '.')
                                break;
                        p++;
                }
                port = p;
        }
        if (!*port)
                return true;
        return *port == ':' && port[1] && strspn(port + 1, "0123456789") == strlen(port + 1);
}

static bool tag_is_valid(const char *tag)
{
        size_t n = strlen(tag);

        if (n == 0 || n > TAG_MAX_LEN || !(is_alnum(tag[0]) || tag[0] == '_'))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_alnum(tag[i]) && !strchr("_.-", tag[i]))
                        return false;
        return true;
}

static bool prefix_is_domain(const char *s, size_t n)
{
        if (n == strlen("localhost") && strncmp(s, "localhost", n) == 0)
                return true;
        for (size_t i = 0; i < n; i++)
                if (s[i] == '.' || s[i] == ':' || s[i] == '[' || (s[i] >= 'A' && s[i] <= 'Z'))
                        return true;
        return false;
}

static void split_domain(const char *name, struct reference *ret)
{
        const char *slash = strchr(name, '/');

        if (slash && prefix_is_domain(name, (size_t)(slash - name))) {
                ret->domain = xstrndup(name, (size_t)(slash - name));
                ret->path = xstrdup(slash + 1);
                ret->has_domain = true;
        } else {
                ret->domain = xstrdup(DEFAULT_DOMAIN);
                ret->path = xstrdup(name);
        }
        if (strcmp(ret->domain, "index.docker.io") == 0) {
                free(ret->domain);
                ret->domain = xstrdup(DEFAULT_DOMAIN);
        }
        if (strcmp(ret->domain, DEFAULT_DOMAIN) == 0 && !strchr(ret->path, '/')) {
                char *full = xasprintf(LIBRARY "%s", ret->path);

                free(ret->path);
                ret->path = full;
        }
}

static int check_parts(const char *s, const struct reference *r, const char *name,
                       struct err **reterr)
{
        AUTO_FREE char *formatted = NULL, *escaped = NULL;

        if (str_is_hex(name, 64))
                return err_new(reterr, ERR_USAGE,
                               "invalid image name '%s': 64 hexadecimal digits are an image id", s);
        for (const char *p = name; *p && !r->has_domain; p++)
                if (*p >= 'A' && *p <= 'Z')
                        return err_new(reterr, ERR_USAGE,
                                       "invalid image name '%s': it must be lower case", s);
        if (!domain_is_valid(r->domain))
                return err_new(reterr, ERR_USAGE, "invalid image name '%s': bad host '%s'", s,
                               r->domain);
        if (!path_is_valid(r->path))
                return err_new(reterr, ERR_USAGE,
                               "invalid image name '%s': invalid reference format", s);
        if (strlen(r->domain) + 1 + strlen(r->path) > NAME_MAX_LEN)
                return err_new(reterr, ERR_USAGE,
                               "invalid image name '%.40s…': longer than %d bytes", s,
                               NAME_MAX_LEN);
        if (r->tag && !tag_is_valid(r->tag))
                return err_new(reterr, ERR_USAGE, "invalid image name '%s': bad tag '%s'", s,
                               r->tag);
        if (r->digest && !digest_is_valid(r->digest))
                return err_new(reterr, ERR_USAGE, "invalid image name '%s': bad digest '%s'", s,
                               r->digest);
        formatted = reference_format(r);
        escaped = reference_escape(formatted);
        if (!escaped)
                return err_new(reterr, ERR_USAGE,
                               "invalid image name '%.40s…': too long to be stored", s);
        return 0;
}

int reference_parse(const char *s, struct reference *ret, struct err **reterr)
{
        AUTO(reference_release) struct reference r = {0};
        AUTO_FREE char *name = NULL;
        char *at, *colon;
        int ret_check;

        if (str_empty(s))
                return err_new(reterr, ERR_USAGE, "invalid image name '': it is empty");
        if (strlen(s) > 1024)
                return err_new(reterr, ERR_USAGE, "invalid image name '%.40s…': too long", s);
        name = xstrdup(s);
        at = strchr(name, '@');
        if (at) {
                *at = '\0';
                r.digest = xstrdup(at + 1);
        }
        colon = strrchr(name, ':');
        if (colon && !strchr(colon, '/')) {
                *colon = '\0';
                r.tag = xstrdup(colon + 1);
        }
        split_domain(name, &r);
        if (!r.tag && !r.digest)
                r.tag = xstrdup("latest");
        ret_check = check_parts(s, &r, name, reterr);
        if (ret_check < 0)
                return ret_check;
        *ret = r;
        r = (struct reference){0};
        return 0;
}

void reference_release(struct reference *r)
{
        free(r->domain);
        free(r->path);
        free(r->tag);
        free(r->digest);
        *r = (struct reference){0};
}

static char *format_with(const char *prefix, const char *path, const struct reference *r)
{
        return xasprintf("%s%s%s%s%s%s", prefix, path, r->tag ? ":" : "", r->tag ? r->tag : "",
                         r->digest ? "@" : "", r->digest ? r->digest : "");
}

char *reference_format(const struct reference *r)
{
        AUTO_FREE char *prefix = xasprintf("%s/", r->domain);

        return format_with(prefix, r->path, r);
}

/* Whether the path alone, read again, would be taken for a host and a path, or for an image id. */
static bool path_needs_host(const char *path)
{
        const char *slash = strchr(path, '/');

        if (str_starts(path, LIBRARY) && str_is_hex(path + strlen(LIBRARY), 64))
                return true;
        return slash ? prefix_is_domain(path, (size_t)(slash - path)) : str_is_hex(path, 64);
}

char *reference_familiar(const struct reference *r)
{
        const char *path = r->path;
        AUTO_FREE char *prefix = NULL;

        if ((strcmp(r->domain, DEFAULT_DOMAIN) != 0 && strcmp(r->domain, "localhost") != 0) ||
            path_needs_host(path)) {
                prefix = xasprintf("%s/", r->domain);
                return format_with(prefix, path, r);
        }
        if (strcmp(r->domain, "localhost") == 0)
                return format_with("", path, r);
        /* "library/x/y" would not come back as what it was: only a single component loses its library. */
        if (str_starts(path, LIBRARY) && !strchr(path + strlen(LIBRARY), '/'))
                path += strlen(LIBRARY);
        return format_with("", path, r);
}

char *reference_twin(const struct reference *r)
{
        struct reference twin = *r;
        AUTO_FREE char *path = NULL;

        if (path_needs_host(r->path))
                return NULL;
        if (strcmp(r->domain, "localhost") == 0) {
                twin.domain = (char[]){DEFAULT_DOMAIN};
                if (!strchr(r->path, '/'))
                        twin.path = path = xasprintf(LIBRARY "%s", r->path);
                return reference_format(&twin);
        }
        if (strcmp(r->domain, DEFAULT_DOMAIN) != 0)
                return NULL;
        twin.domain = (char[]){"localhost"};
        if (str_starts(r->path, LIBRARY) && !strchr(r->path + strlen(LIBRARY), '/'))
                twin.path = path = xstrdup(r->path + strlen(LIBRARY));
        return reference_format(&twin);
}

char *reference_escape(const char *formatted)
{
        static const char hex[] = "0123456789ABCDEF";
        AUTO_STRBUF out = {0};

        for (const char *p = formatted; *p; p++) {
                /* A leading dot is escaped too: "." and ".." are no names, and ".tmp-…" belongs to atomic_file. */
                if (is_alnum(*p) || strchr("_-", *p) || (*p == '.' && out.len > 0)) {
                        strbuf_add_len(&out, p, 1);
                } else {
                        unsigned char c = (unsigned char)*p;
                        char esc[3] = {'%', hex[c >> 4], hex[c & 15]};

                        strbuf_add_len(&out, esc, sizeof(esc));
                }
        }
        /* atomic_file adds a prefix and a random part to the temporary's name. */
        if (out.len == 0 || out.len > NAME_MAX_LEN - 32)
                return NULL;
        return strbuf_take(&out);
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

char *reference_unescape(const char *name)
{
        AUTO_STRBUF out = {0};

        if (str_empty(name) || name[0] == '.')
                return NULL;
        for (const char *p = name; *p; p++) {
                char c = *p;

                if (c == '%') {
                        int hi = hex_value(p[1]);
                        int lo = hi < 0 ? -1 : hex_value(p[2]);

                        if (lo < 0 || (hi | lo) == 0)
                                return NULL;
                        c = (char)(hi << 4 | lo);
                        p += 2;
                } else if (!is_alnum(c) && !strchr("._-", c)) {
                        return NULL;
                }
                strbuf_add_len(&out, &c, 1);
        }
        return strbuf_take(&out);
}

char *reference_shown(const char *formatted)
{
        AUTO(reference_release) struct reference r = {0};

        return reference_parse(formatted, &r, NULL) < 0 ? xstrdup(formatted)
                                                        : reference_familiar(&r);
}
