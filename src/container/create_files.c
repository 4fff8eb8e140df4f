/* SPDX-License-Identifier: Apache-2.0 */
/* create_files — the container's directories, and the files that Kelp puts into its /etc: hosts, hostname, resolv.conf. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "container/container_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_FILE_MAX (1024 * 1024)
#define ZONES         "/usr/share/zoneinfo"
#define HOSTS_BASE                                                                                 \
        "127.0.0.1\tlocalhost\n"                                                                   \
        "::1\tlocalhost ip6-localhost ip6-loopback\n"                                              \
        "fe00::\tip6-localnet\n"                                                                   \
        "ff00::\tip6-mcastprefix\n"                                                                \
        "ff02::1\tip6-allnodes\n"                                                                  \
        "ff02::2\tip6-allrouters\n"

static bool uses_host_network(const struct creation *k)
{
        return k->o->network && strcmp(k->o->network, "host") == 0;
}

static bool is_address(const char *text)
{
        unsigned char buf[16];

        return inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1;
}

/* "name:address", "name=address", several names with ";", IPv6 with or without brackets. */
static int add_host(struct strbuf *hosts, const char *value, struct err **reterr)
{
        AUTO_FREE char *names = xstrdup(value), *address = NULL;
        char *sep = strchr(names, '=');
        size_t n;
        int r;

        if (!sep)
                sep = strchr(names, ':');
        if (!sep || sep == names || !sep[1])
                return err_new(reterr, ERR_USAGE, "--add-host '%s': want NAME:ADDRESS", value);
        *sep = 0;
        address = xstrdup(sep + 1);
        n = strlen(address);
        if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
                memmove(address, address + 1, n - 2);
                address[n - 2] = 0;
        }
        if (strcmp(address, "host-gateway") == 0) {
                r = err_new(
                    reterr, ERR_UNSUPPORTED,
                    "--add-host '%s': without a network of its own the container has no gateway",
                    value);
                return err_hint(reterr, r, "give an address, or use --network host and 127.0.0.1");
        }
        if (!is_address(address) || strpbrk(names, " \t\r\n#"))
                return err_new(reterr, ERR_USAGE, "--add-host '%s': '%s' is no address", value,
                               address);
        for (char *p = names; *p; p++) {
                if (*p == ';')
                        *p = ' ';
        }
        strbuf_addf(hosts, "%s\t%s\n", address, names);
        return 0;
}

/* What the file begins with: that of --hosts-file, of the host whose network it has, or the lines of every machine. */
static int make_hosts_base(struct creation *k, struct strbuf *out, struct err **reterr)
{
        const char *file = k->o->hosts_file;
        AUTO_FREE char *text = NULL;
        int r = 0;

        if (file && strcmp(file, "image") == 0)
                (void)creation_read_etc(k, "hosts", &text);
        else if (file && strcmp(file, "none") != 0)
                r = io_read_file(AT_FDCWD, file, HOST_FILE_MAX, &text, NULL, reterr);
        else if (!file && uses_host_network(k))
                (void)io_read_file(AT_FDCWD, "/etc/hosts", HOST_FILE_MAX, &text, NULL, NULL);
        if (r < 0)
                return err_wrap(reterr, r, "option '--hosts-file'");
        if (!text && !file)
                strbuf_add(out, HOSTS_BASE);
        if (text && *text)
                strbuf_addf(out, "%s%s", text, text[strlen(text) - 1] == '\n' ? "" : "\n");
        return 0;
}

static int make_hosts(struct creation *k, struct strbuf *out, struct err **reterr)
{
        int r = make_hosts_base(k, out, reterr);

        for (size_t i = 0; i < k->o->add_hosts.n && r >= 0; i++)
                r = add_host(out, k->o->add_hosts.v[i], reterr);
        if (k->spec->hostname && strcmp(k->spec->hostname, "localhost") != 0)
                strbuf_addf(out, "127.0.0.1\t%s %s\n", k->spec->hostname, k->name);
        return r;
}

static bool is_clean_word(const char *s)
{
        return *s && !strpbrk(s, " \t\r\n");
}

static int add_words(struct strbuf *out, const char *keyword, const struct strv *words,
                     const char *option, struct err **reterr)
{
        if (words->n == 0)
                return 0;
        strbuf_add(out, keyword);
        for (size_t i = 0; i < words->n; i++) {
                if (!is_clean_word(words->v[i]))
                        return err_new(reterr, ERR_USAGE, "%s: '%s' is not one word", option,
                                       words->v[i]);
                /* Docker: "." alone takes the host's search list away. */
                if (strcmp(words->v[i], ".") != 0 || words->n > 1)
                        strbuf_addf(out, " %s", words->v[i]);
        }
        strbuf_add(out, "\n");
        return 0;
}

/* The host's lines that no option replaces. Without a network its servers cannot be reached: then none is named. */
static void add_host_resolv(struct creation *k, struct strbuf *out, bool servers)
{
        AUTO_FREE char *host = NULL;
        AUTO_STRV lines = {0};
        size_t n;

        if (io_read_file(AT_FDCWD, "/etc/resolv.conf", HOST_FILE_MAX, &host, &n, NULL) < 0)
                return;
        strv_split(&lines, host, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                const char *line = lines.v[i];
                bool keep = (str_starts(line, "nameserver") && servers) ||
                            ((str_starts(line, "search") || str_starts(line, "domain")) &&
                             k->o->dns_search.n == 0) ||
                            (str_starts(line, "options") && k->o->dns_options.n == 0);

                if (keep)
                        strbuf_addf(out, "%s\n", line);
        }
}

static int make_resolv(struct creation *k, struct strbuf *out, struct err **reterr)
{
        bool own = k->o->dns.n > 0;
        int r;

        add_host_resolv(k, out, !own && uses_host_network(k));
        r = add_words(out, "search", &k->o->dns_search, "--dns-search", reterr);
        for (size_t i = 0; i < k->o->dns.n && r >= 0; i++) {
                if (!is_address(k->o->dns.v[i]))
                        return err_new(reterr, ERR_USAGE, "--dns: '%s' is no address",
                                       k->o->dns.v[i]);
                strbuf_addf(out, "nameserver %s\n", k->o->dns.v[i]);
        }
        if (r >= 0)
                r = add_words(out, "options", &k->o->dns_options, "--dns-option", reterr);
        return r;
}

static int write_text(struct creation *k, const char *name, const struct strbuf *text,
                      struct err **reterr)
{
        AUTO_CLOSE int fd = openat(k->tmp.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        int r;

        if (fd < 0)
                return err_sys(reterr, errno, "write %s", name);
        /* Whatever our umask is: every user of the container reads these. */
        r = fchmod(fd, 0644) < 0 ? -errno
                                 : io_write_full(fd, text->data ? text->data : "", text->len);
        if (r >= 0 && !k->o->rm && fsync(fd) < 0)
                r = -errno;
        return r < 0 ? err_sys(reterr, -r, "write %s", name) : 0;
}

bool creation_mounts_over(const struct creation *k, const char *name)
{
        AUTO_FREE char *target = xasprintf("/etc/%s", name);

        for (size_t i = 0; i < k->spec->n_mounts; i++) {
                const char *at = k->spec->mounts[i].destination;

                if (at && (strcmp(at, target) == 0 || strcmp(at, "/etc") == 0))
                        return true;
        }
        return false;
}

static void mount_file(struct creation *k, const char *name, const char *target)
{
        const char *of_pod = creation_pod_file(k, name);
        AUTO_FREE char *source =
            xasprintf("%s/%s/%s", CONTAINERS, of_pod ? of_pod : k->tmp.id, name);

        spec_add_mount(k->spec, target, "bind", source, "bind,rprivate")->file = true;
}

/* What the user has mounted there comes first. */
static void mount_over(struct creation *k, const char *name)
{
        AUTO_FREE char *target = xasprintf("/etc/%s", name);

        if (!creation_mounts_over(k, name))
                mount_file(k, name, target);
}

int creation_put_file(struct creation *k, const char *name, const struct strbuf *text,
                      struct err **reterr)
{
        int r = write_text(k, name, text, reterr);

        if (r >= 0)
                mount_over(k, name);
        return r;
}

static int generate(struct creation *k, const char *name,
                    int (*make)(struct creation *, struct strbuf *, struct err **),
                    struct err **reterr)
{
        AUTO_STRBUF text = {0};
        int r = make(k, &text, reterr);

        return r < 0 ? r : creation_put_file(k, name, &text, reterr);
}

/* Programs that change their root into one of these directories see the same names. */
static int mount_in_roots(struct creation *k, const char *name, struct err **reterr)
{
        for (size_t i = 0; i < k->o->chroot_dirs.n; i++) {
                const char *dir = k->o->chroot_dirs.v[i];
                AUTO_FREE char *clean = NULL, *target = NULL;

                if (dir[0] != '/')
                        return err_new(reterr, ERR_USAGE,
                                       "option '--chrootdirs': '%s' is not absolute", dir);
                clean = path_clean(dir);
                target = xasprintf("%s/etc/%s", clean, name);
                mount_file(k, name, target);
        }
        return 0;
}

/* A zone's rules, checked by their first bytes: the name is the user's, and the file becomes the container's. */
static int make_localtime(struct creation *k, struct strbuf *out, struct err **reterr)
{
        const char *zone = k->o->tz;
        AUTO_FREE char *path =
            strcmp(zone, "local") == 0 ? xstrdup("/etc/localtime") : path_join(ZONES, zone);
        AUTO_FREE char *text = NULL;
        AUTO_ERR struct err *e = NULL;
        size_t n = 0;
        int r;

        if (!strstr(zone, "..") && *zone && zone[0] != '/' &&
            io_read_file(AT_FDCWD, path, HOST_FILE_MAX, &text, &n, &e) >= 0 &&
            str_starts(text, "TZif")) {
                strbuf_add_len(out, text, n);
                return 0;
        }
        r = err_new(reterr, ERR_NOT_FOUND, "option '--tz': there is no time zone '%s' in " ZONES,
                    zone);
        return err_hint(reterr, r,
                        "zones are named Area/City; they come with the host's package tzdata");
}

static int make_hostname(struct creation *k, struct strbuf *out, struct err **reterr)
{
        char host[256] = "";

        if (k->spec->hostname) {
                strbuf_addf(out, "%s\n", k->spec->hostname);
                return 0;
        }
        (void)gethostname(host, sizeof(host) - 1);
        strbuf_addf(out, "%s\n", host);
        return 0;
}

static int make_directories(struct creation *k, struct err **reterr)
{
        static const struct {
                const char *name;
                mode_t mode;
                bool layered;
        } all[] = {{"log", 0700, false}, {"upper", 0755, true}, {"work", 0700, true}};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                if (all[i].layered && !k->spec->upper)
                        continue;
                if (mkdirat(k->tmp.fd, all[i].name, all[i].mode) < 0 ||
                    (all[i].layered && fchmodat(k->tmp.fd, all[i].name, all[i].mode, 0) < 0))
                        return err_sys(reterr, errno, "make directory '%s'", all[i].name);
        }
        return 0;
}

int creation_files(struct creation *k, struct err **reterr)
{
        const struct {
                const char *name;
                int (*make)(struct creation *, struct strbuf *, struct err **);
                bool wanted, in_roots;
        } all[] = {{"hosts", make_hosts, !k->o->no_hosts, true},
                   {"resolv.conf", make_resolv, true, true},
                   {"hostname", make_hostname, !k->o->no_hostname, true},
                   {"localtime", make_localtime, k->o->tz, false}};
        int r = make_directories(k, reterr);

        for (size_t i = 0; i < ARRAY_SIZE(all) && r >= 0; i++) {
                if (all[i].wanted && creation_pod_file(k, all[i].name))
                        mount_over(k, all[i].name);
                else if (all[i].wanted)
                        r = generate(k, all[i].name, all[i].make, reterr);
                if (r >= 0 && all[i].wanted && all[i].in_roots)
                        r = mount_in_roots(k, all[i].name, reterr);
        }
        if (r >= 0)
                r = creation_accounts(k, reterr);
        return r;
}
