/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/documents.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/str.h"
#include "spec/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAPS "[\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"]"

static const char template[] =
    "{\"ociVersion\": \"" SPEC_OCI_VERSION_MAX "\","
    "\"process\": {\"terminal\": true, \"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"sh\"],"
    "\"env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", "
    "\"TERM=xterm\"],"
    "\"cwd\": \"/\", \"capabilities\": {\"bounding\": " CAPS ", \"effective\": " CAPS
    ", \"permitted\": " CAPS "},"
    "\"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024}],"
    "\"noNewPrivileges\": true},"
    "\"root\": {\"path\": \"rootfs\", \"readonly\": true}, \"hostname\": \"kelp\","
    "\"mounts\": ["
    "{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\","
    " \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},"
    "{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
    " \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},"
    "{\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\","
    " \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\"]},"
    "{\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\","
    " \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},"
    "{\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\","
    " \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},"
    "{\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\","
    " \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]},"
    "{\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\","
    " \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"]}],"
    "\"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": "
    "\"ipc\"},"
    " {\"type\": \"uts\"}, {\"type\": \"cgroup\"}, {\"type\": \"mount\"}],"
    "\"maskedPaths\": [\"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", \"/proc/keys\","
    " \"/proc/latency_stats\", \"/proc/timer_list\", \"/proc/timer_stats\", "
    "\"/proc/sched_debug\","
    " \"/proc/scsi\", \"/sys/firmware\"],"
    "\"readonlyPaths\": [\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\","
    " \"/proc/sysrq-trigger\"]}}";

static void add_map(struct json_object *linux_doc, const char *key, uint32_t id)
{
        struct json_object *line = json_object_new_object();

        json_add_uint(line, "containerID", 0);
        json_add_uint(line, "hostID", id);
        json_add_uint(line, "size", 1);
        json_object_array_add(json_array(linux_doc, key), line);
}

/* No more ids than the caller's own: any user has these. */
static void make_rootless(struct json_object *linux_doc, uid_t uid, gid_t gid)
{
        struct json_object *ns = json_object_new_object();

        json_add_string(ns, "type", "user");
        json_object_array_add(json_object_object_get(linux_doc, "namespaces"), ns);
        add_map(linux_doc, "uidMappings", uid);
        add_map(linux_doc, "gidMappings", gid);
}

struct json_object *oci_default_config(bool rootless, uid_t uid, gid_t gid)
{
        struct json_object *doc = NULL;

        if (json_parse(template, sizeof(template) - 1, "config.json", &doc, NULL) < 0)
                abort(); /* it is ours */
        if (rootless)
                make_rootless(json_object_object_get(doc, "linux"), uid, gid);
        return doc;
}

int oci_write_default_config(const char *bundle, bool rootless, struct err **reterr)
{
        AUTO_JSON *doc = oci_default_config(rootless, geteuid(), getegid());
        AUTO_CLOSE int dir = -EBADF, fd = -EBADF;
        AUTO_STRBUF text = {0};
        int r;

        dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return err_sys(reterr, errno, "bundle '%s'", bundle);
        fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == EEXIST) {
                r = err_new(reterr, ERR_EXISTS, "bundle '%s': config.json already exists", bundle);
                return err_hint(reterr, r, "remove it first, or name another directory");
        }
        if (fd < 0)
                return err_sys(reterr, errno, "bundle '%s': config.json", bundle);
        json_write(&text, doc, 4);
        strbuf_add(&text, "\n");
        r = io_write_full(fd, text.data, text.len);
        if (r < 0)
                (void)unlinkat(dir, "config.json", 0);
        return r < 0 ? err_sys(reterr, -r, "bundle '%s': config.json", bundle) : 0;
}
