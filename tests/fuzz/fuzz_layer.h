/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* fuzz_layer — where fuzz_tar and fuzz_recipe work: an empty temporary directory, as root of a user namespace of one id. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "idmap/idmap.h"
#include "image/layer.h"

#define CHECK(x)                                                                                   \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);              \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

struct fuzz_place {
        int dir;
        char path[64];
        struct id_map map;
        struct layer_maps maps;
};

static void fuzz_write(int dirfd, const char *name, const void *data, size_t n)
{
        AUTO_CLOSE int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        CHECK(fd >= 0 && io_write_full(fd, data, n) == 0);
}

/* Before any thread: libFuzzer starts one after LLVMFuzzerInitialize(). */
static void fuzz_enter(void)
{
        char text[64];
        uid_t uid = getuid();
        gid_t gid = getgid();

        if (unshare(CLONE_NEWUSER) < 0)
                return; /* root may do without, and others see errors instead of owners */
        fuzz_write(AT_FDCWD, "/proc/self/setgroups", "deny", 4);
        (void)snprintf(text, sizeof(text), "0 %u 1", uid);
        fuzz_write(AT_FDCWD, "/proc/self/uid_map", text, strlen(text));
        (void)snprintf(text, sizeof(text), "0 %u 1", gid);
        fuzz_write(AT_FDCWD, "/proc/self/gid_map", text, strlen(text));
}

static struct fuzz_place *fuzz_the_place;

static void fuzz_leave(void)
{
        (void)path_remove_tree(AT_FDCWD, fuzz_the_place->path, NULL);
        (void)fd_close(fuzz_the_place->dir);
        id_map_release(&fuzz_the_place->map);
        free(fuzz_the_place);
}

static struct fuzz_place *fuzz_place(void)
{
        struct fuzz_place *p = fuzz_the_place;

        if (p)
                return p;
        fuzz_enter();
        p = fuzz_the_place = xnew(struct fuzz_place);
        (void)snprintf(p->path, sizeof(p->path), "%s/kelp-fuzz-XXXXXX",
                       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CHECK(mkdtemp(p->path));
        p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(p->dir >= 0);
        id_map_add(&p->map, 0, 0, 1);
        p->maps = (struct layer_maps){&p->map, &p->map, &p->map, &p->map};
        CHECK(atexit(fuzz_leave) == 0);
        return p;
}
