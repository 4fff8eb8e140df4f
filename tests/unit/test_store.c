/* SPDX-License-Identifier: Apache-2.0 */
/* The image store on directories made by hand: names, removal and its refusals, transactions, claims, collection. No archive is read. */
#include "unit.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/str.h"
#include "image/image_query.h"
#include "image/layer_info.h"
#include "image/store.h"
#include "image/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#define HEX(c)     c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define LAYER_A    HEX("a0")
#define LAYER_B    HEX("b1")
#define CONFIG_1   HEX("c1")
#define CONFIG_2   HEX("c2")
#define MANIFEST_1 HEX("d1")
#define MANIFEST_2 HEX("d2")
#define CONTAINER  HEX("ee")

static struct dirs *open_dirs(void **state)
{
        AUTO_FREE char *path = unit_dir_path(unit_dir(state));
        AUTO_FREE char *root = xasprintf("%s/root", path), *run = xasprintf("%s/run", path);
        AUTO_ERR struct err *e = NULL;
        struct dirs *d = NULL;

        (void)mkdir(run, 0700);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", run, 1), 0);
        assert_ok(dirs_open(root, &d, &e), e);
        return d;
}

static void make_layer_at(int dirfd, const char *name, const char *hex)
{
        struct layer_info info = {.bytes = 10};
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int fd = path_mkdir_open(dirfd, name, 0700, &e);

        assert_true(fd >= 0);
        (void)snprintf(info.diff_id, sizeof(info.diff_id), "sha256:%s", hex);
        (void)snprintf(info.blob_digest, sizeof(info.blob_digest), "sha256:%s", hex);
        (void)snprintf(info.format, sizeof(info.format), "plain");
        assert_ok(layer_info_write(fd, &info, &e), e);
        assert_int_equal(mkdirat(fd, "fs", 0755), 0);
        unit_write(fd, "recipe", "");
}

static bool exists(const struct dirs *d, const char *path)
{
        return faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An image of one layer, as a loader publishes it. */
static void publish(const struct dirs *d, const char *config, const char *manifest,
                    const char *layer, char *const *names)
{
        AUTO(store_txn_endp) struct store_txn *t = NULL;
        AUTO_FREE char *text = xasprintf(
            "{\"created\":\"2026-01-0%cT00:00:00Z\",\"os\":\"linux\",\"architecture\":\"amd64\","
            "\"config\":{\"Labels\":{\"k\":\"v\"}},\"rootfs\":{\"diff_ids\":[\"sha256:%s\"]}}",
            config[1], layer);
        AUTO_FREE char *mtext =
            xasprintf("{\"schemaVersion\":2,\"layers\":[{\"digest\":\"sha256:%s\"}]}", layer);
        AUTO_FREE char *c = xasprintf("sha256:%s", config), *m = xasprintf("sha256:%s", manifest);
        struct store_image image = {.config = text,
                                    .config_len = strlen(text),
                                    .config_digest = c,
                                    .manifest = mtext,
                                    .manifest_len = strlen(mtext),
                                    .manifest_digest = m,
                                    .names = names};
        AUTO_ERR struct err *e = NULL;

        assert_ok(store_txn_begin(d, &t, &e), e);
        make_layer_at(store_txn_dir(t), "new", layer);
        assert_ok(store_txn_put_layer(t, "new", layer, &e), e);
        assert_ok(store_publish(t, &image, &e), e);
}

static void publish_named(const struct dirs *d, const char *name)
{
        char *names[] = {xstrdup(name), NULL};

        publish(d, CONFIG_1, MANIFEST_1, LAYER_A, names);
        free(names[0]);
}

static char *resolve(const struct dirs *d, const char *name)
{
        AUTO(image_freep) struct image *i = NULL;

        return store_resolve(d, name, &i, NULL) < 0 ? NULL : xstrdup(i->id);
}

static void assert_resolves(const struct dirs *d, const char *name, const char *hex)
{
        AUTO_FREE char *id = resolve(d, name);

        if (!id || strcmp(id + strlen("sha256:"), hex) != 0)
                fail_msg("%s: %s", name, id ? id : "not found");
}

static void assert_gone(const struct dirs *d, const char *name)
{
        AUTO(image_freep) struct image *i = NULL;
        struct err *e = NULL;

        assert_failed(store_resolve(d, name, &i, &e), e, ERR_NOT_FOUND, "no such image");
}

static size_t count_entries(const struct dirs *d, const char *dir)
{
        AUTO_STRV names = {0};

        assert_int_equal(store_names(d, dir, &names, NULL), 0);
        return names.n;
}

static void test_resolve(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        static const char *const found[] = {
            "web", "web:latest", "localhost/web", "sha256:" CONFIG_1,      CONFIG_1,
            "c1",  "c1c1c1c1",   "sha256:c1c1",   "web@sha256:" MANIFEST_1};

        publish_named(d, "localhost/web:latest");
        for (size_t i = 0; i < ARRAY_SIZE(found); i++)
                assert_resolves(d, found[i], CONFIG_1);
        assert_gone(d, "web:2");
        assert_resolves(d, "docker.io/web", CONFIG_1); /* listings call both "web" */
        assert_gone(d, "docker.io/other/web");
        assert_gone(d, "c2");
        assert_gone(d, "Web");
        assert_gone(d, "web@sha256:" MANIFEST_2);
        assert_gone(d, "../refs");
        assert_true(store_has_image(d, "sha256:" CONFIG_1));
        assert_false(store_has_image(d, "sha256:" CONFIG_2));
        assert_false(store_has_image(d, "../../x"));
}

static void test_ambiguous_prefix(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO(image_freep) struct image *i = NULL;
        struct err *e = NULL;

        publish(d, CONFIG_1, MANIFEST_1, LAYER_A, NULL);
        publish(d, CONFIG_2, MANIFEST_2, LAYER_A, NULL);
        assert_failed(store_resolve(d, "c", &i, &e), e, ERR_USAGE, "ambiguous");
        assert_resolves(d, "c1", CONFIG_1);
}

static void test_image_fields(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO(image_freep) struct image *i = NULL;
        AUTO_ERR struct err *e = NULL;

        publish_named(d, "docker.io/library/web:1");
        assert_ok(store_find(d, "web:1", &i, &e), e);
        assert_string_equal(i->id, "sha256:" CONFIG_1);
        assert_string_equal(i->manifest_digest, "sha256:" MANIFEST_1);
        assert_string_equal(i->architecture, "amd64");
        assert_int_equal(i->layers.n, 1);
        assert_string_equal(i->layers.v[0], LAYER_A);
        assert_int_equal(i->size, 10);
        assert_int_equal(i->names.n, 1);
        assert_string_equal(i->names.v[0], "docker.io/library/web:1");
        assert_true(image_has_label(i, "k"));
        assert_true(image_has_label(i, "k=v"));
        assert_false(image_has_label(i, "k=w"));
        assert_true(i->created_ns > 0);
}

/* localhost/x and docker.io/library/x look alike: the later one wins, whichever it is. */
static void test_a_familiar_name_is_one_image(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        char *names[] = {xstrdup("docker.io/library/web:latest"), NULL};
        AUTO_ERR struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        publish(d, CONFIG_2, MANIFEST_2, LAYER_A, names);
        assert_resolves(d, "web", CONFIG_2);
        assert_int_equal(count_entries(d, STORE_REFS), 1);
        /* A tag by the short name moves the name that is there. */
        assert_ok(store_tag(d, CONFIG_1, "web", &e), e);
        assert_resolves(d, "web", CONFIG_1);
        assert_resolves(d, "docker.io/web", CONFIG_1);
        assert_int_equal(count_entries(d, STORE_REFS), 1);
        free(names[0]);
}

static void test_tag(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        assert_ok(store_tag(d, "web", "other:2", &e), e);
        assert_resolves(d, "other:2", CONFIG_1);
        assert_resolves(d, "localhost/other:2", CONFIG_1);
        assert_failed(store_tag(d, "web", "Other", &e), e, ERR_USAGE, "lower case");
        assert_failed(store_tag(d, "web", "a@sha256:" CONFIG_1, &e), e, ERR_USAGE, "digest");
        assert_failed(store_tag(d, "nope", "a", &e), e, ERR_NOT_FOUND, "nope");
}

static void test_remove_untags_then_deletes(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        struct store_remove_opts o = {0};
        AUTO_STRV report = {0};
        AUTO_ERR struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        assert_ok(store_tag(d, "web", "other", &e), e);
        assert_ok(store_remove(d, "web", &o, &report, &e), e);
        assert_int_equal(report.n, 1);
        assert_string_equal(report.v[0], "Untagged: web:latest");
        assert_resolves(d, "other", CONFIG_1);
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
        assert_ok(store_remove(d, "other", &o, &report, &e), e);
        assert_string_equal(report.v[1], "Untagged: other:latest");
        assert_string_equal(report.v[2], "Deleted: sha256:" CONFIG_1);
        assert_string_equal(report.v[3], "Deleted: sha256:" LAYER_A);
        assert_gone(d, "other");
        assert_int_equal(count_entries(d, STORE_LAYERS), 0);
        assert_int_equal(count_entries(d, STORE_BLOBS), 0);
        assert_int_equal(count_entries(d, STORE_RUN), 0);
        assert_int_equal(count_entries(d, "tmp"), 0);
}

static void test_remove_by_id(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        struct store_remove_opts o = {0};
        AUTO_STRV report = {0};
        struct err *e = NULL;

        publish_named(d, "localhost/web:1");
        assert_ok(store_tag(d, "web:1", "other", &e), e);
        assert_failed(store_remove(d, "c1c1", &o, &report, &e), e, ERR_BUSY,
                      "multiple repositories");
        assert_resolves(d, "web:1", CONFIG_1);
        o.force = true;
        assert_ok(store_remove(d, "c1c1", &o, &report, &e), e);
        assert_int_equal(count_entries(d, STORE_REFS), 0);
        assert_gone(d, CONFIG_1);
}

static void test_shared_layer_stays(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        struct store_remove_opts o = {0};
        AUTO_STRV report = {0};
        AUTO_ERR struct err *e = NULL;

        publish(d, CONFIG_1, MANIFEST_1, LAYER_A, NULL);
        publish(d, CONFIG_2, MANIFEST_2, LAYER_A, NULL);
        assert_ok(store_remove(d, CONFIG_1, &o, &report, &e), e);
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
        assert_ok(store_remove(d, CONFIG_2, &o, &report, &e), e);
        assert_false(exists(d, STORE_LAYERS "/" LAYER_A));
}

static int make_container(const struct dirs *d, const char *layer)
{
        AUTO_ERR struct err *e = NULL;
        int fd = path_mkdir_open(d->root_fd, "containers/" CONTAINER, 0700, &e);
        AUTO_FREE char *text =
            xasprintf("{\"Image\":\"sha256:" CONFIG_1 "\",\"Layers\":[\"%s\"]}", layer);

        assert_true(fd >= 0);
        unit_write(fd, "config.json", text);
        unit_write(fd, "lock", "");
        return fd;
}

static void test_containers_keep_images(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int container = -EBADF, lock = -EBADF;
        struct store_remove_opts o = {0};
        AUTO_STRV report = {0};
        struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        container = make_container(d, LAYER_A);
        assert_failed(store_remove(d, "web", &o, &report, &e), e, ERR_BUSY, "must be forced");
        assert_resolves(d, "web", CONFIG_1);
        o.force = true;
        lock = lock_acquire(container, "lock", true, &e);
        assert_failed(store_remove(d, "web", &o, &report, &e), e, ERR_BUSY, "cannot be forced");
        assert_resolves(d, "web", CONFIG_1);
        lock = fd_close(lock);
        assert_ok(store_remove(d, "web", &o, &report, &e), e);
        assert_gone(d, "web");
        /* Its files stay for as long as the container does. */
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
        assert_ok(store_sweep(d, &e), e);
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
        assert_ok(path_remove_tree(d->root_fd, "containers/" CONTAINER, &e), e);
        assert_ok(store_sweep(d, &e), e);
        assert_false(exists(d, STORE_LAYERS "/" LAYER_A));
}

static void test_prune(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        char *labels[] = {xstrdup("label=nope"), NULL}, *bad[] = {xstrdup("foo=1"), NULL};
        AUTO_STRV report = {0};
        uint64_t bytes = 0;
        struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        publish(d, CONFIG_2, MANIFEST_2, LAYER_B, NULL);
        assert_failed(store_prune(d, false, bad, &report, &bytes, &e), e, ERR_USAGE, "foo");
        assert_ok(store_prune(d, false, labels, &report, &bytes, &e), e);
        assert_int_equal(report.n, 0);
        assert_ok(store_prune(d, false, NULL, &report, &bytes, &e), e);
        assert_gone(d, CONFIG_2);
        assert_resolves(d, "web", CONFIG_1);
        assert_true(bytes >= 10);
        assert_ok(store_prune(d, true, NULL, &report, &bytes, &e), e);
        assert_gone(d, "web");
        free(labels[0]);
        free(bad[0]);
}

/* ---- transactions ---- */

static void test_transaction_ends_without_trace(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        struct store_txn *t = NULL;
        AUTO_ERR struct err *e = NULL;
        int fds = unit_count_fds();

        assert_ok(store_txn_begin(d, &t, &e), e);
        unit_write(store_txn_dir(t), "x", "y");
        assert_int_equal(count_entries(d, "tmp"), 1);
        assert_ok(store_sweep(d, &e), e);
        assert_int_equal(count_entries(d, "tmp"), 1);
        t = store_txn_end(t);
        assert_int_equal(count_entries(d, "tmp"), 0);
        assert_int_equal(unit_count_fds(), fds);
}

static int begin_and_die(void *arg)
{
        struct store_txn *t = NULL;

        if (store_txn_begin(arg, &t, NULL) < 0)
                return 1;
        make_layer_at(store_txn_dir(t), "new", LAYER_A);
        if (store_txn_put_layer(t, "new", LAYER_A, NULL) < 0)
                return 1;
        (void)raise(SIGKILL);
        return 1;
}

static void test_killed_writer_is_swept(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_ERR struct err *e = NULL;

        assert_int_equal(unit_fork(begin_and_die, d, 0), 128 + SIGKILL);
        assert_int_equal(count_entries(d, "tmp"), 1);
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
        assert_ok(store_sweep(d, &e), e);
        assert_int_equal(count_entries(d, "tmp"), 0);
        assert_false(exists(d, STORE_LAYERS "/" LAYER_A));
}

static void test_sweep_tmp(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int held = path_mkdir_open(d->root_fd, "tmp/held", 0700, &e);
        AUTO_CLOSE int free_dir = path_mkdir_open(d->root_fd, "tmp/free", 0700, &e);
        AUTO_CLOSE int moved = path_mkdir_open(d->root_fd, "tmp/moved/fs", 0700, &e);
        AUTO_CLOSE int empty = path_mkdir_open(d->root_fd, "tmp/empty", 0700, &e);
        AUTO_CLOSE int lock = lock_acquire(held, "lock", true, &e);

        unit_write(free_dir, "lock", "");
        unit_write(moved, "x", "");
        assert_ok(store_sweep(d, &e), e);
        assert_true(exists(d, "tmp/held/lock"));
        assert_false(exists(d, "tmp/free"));
        assert_false(exists(d, "tmp/moved"));
        assert_false(exists(d, "tmp/empty"));
}

static void test_sweep_temporaries(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_CLOSE int refs = -EBADF;
        AUTO_ERR struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        refs = dirs_sub(d, STORE_REFS, &e);
        unit_write(refs, ".tmp-12345", "x");
        assert_ok(store_sweep(d, &e), e);
        assert_false(exists(d, STORE_REFS "/.tmp-12345"));
        assert_resolves(d, "web", CONFIG_1);
}

static void test_claim_keeps_layer(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO(store_txn_endp) struct store_txn *t = NULL;
        struct store_remove_opts o = {.force = true};
        AUTO_STRV report = {0};
        struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        assert_ok(store_txn_begin(d, &t, &e), e);
        assert_int_equal(store_txn_claim_layer(t, LAYER_A, &e), 1);
        assert_int_equal(store_txn_claim_layer(t, LAYER_B, &e), 0);
        assert_ok(store_remove(d, "web", &o, &report, &e), e);
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
        t = store_txn_end(t);
        assert_ok(store_sweep(d, &e), e);
        assert_false(exists(d, STORE_LAYERS "/" LAYER_A));
        assert_ok(store_txn_begin(d, &t, &e), e);
        assert_failed(store_txn_claim_layer(t, "../x", &e), e, ERR_INVALID, "no layer");
        assert_failed(store_txn_claim_blob(t, "sha256:../x", &e), e, ERR_INVALID, "no sha256");
}

/* Another process collects over and over while layers are put and claimed: what a claim was answered "there" for must be there. */
static int collect_until_told(void *arg)
{
        const struct dirs *d = arg;

        for (int i = 0; i < 2000 && !exists(d, "stop"); i++)
                if (store_sweep(d, NULL) < 0)
                        return 1;
        return 0;
}

static int claim_against_collector(void *arg)
{
        struct dirs *d = arg;
        pid_t pid = fork();
        int status = 0, bad = 0;

        if (pid < 0)
                return 2;
        if (pid == 0)
                _exit(collect_until_told(d));
        for (int i = 0; i < 150 && !bad; i++) {
                struct store_txn *t = NULL;

                if (store_txn_begin(d, &t, NULL) < 0)
                        return 3;
                make_layer_at(store_txn_dir(t), "new", LAYER_A);
                if (store_txn_put_layer(t, "new", LAYER_A, NULL) < 0)
                        return 4;
                for (int k = 0; k < 20; k++) {
                        bad = bad || !exists(d, STORE_LAYERS "/" LAYER_A "/info.json");
                        (void)sched_yield();
                }
                (void)store_txn_end(t);
        }
        (void)mkdirat(d->root_fd, "stop", 0700);
        if (waitpid(pid, &status, 0) < 0 || status != 0)
                return 5;
        return bad ? 6 : 0;
}

static void test_claims_against_a_collector(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);

        assert_int_equal(unit_fork(claim_against_collector, d, 0), 0);
}

/* A publisher that was killed: what has a name stays, what nobody was told of goes, and is not listed meanwhile. */
static void test_cut_off_publication(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        struct image **v = NULL;
        AUTO_ERR struct err *e = NULL;
        size_t n = 0;

        publish_named(d, "localhost/web:latest");
        publish(d, CONFIG_2, MANIFEST_2, LAYER_B, NULL);
        assert_int_equal(count_entries(d, STORE_PENDING), 0);
        assert_ok(pending_set(d, CONFIG_1, &e), e);
        assert_ok(pending_set(d, CONFIG_2, &e), e);
        assert_ok(store_list(d, &v, &n, &e), e);
        assert_int_equal(n, 0);
        image_list_free(v, n);
        assert_ok(store_sweep(d, &e), e);
        assert_int_equal(count_entries(d, STORE_PENDING), 0);
        assert_resolves(d, "web", CONFIG_1);
        assert_gone(d, CONFIG_2);
        assert_false(exists(d, STORE_LAYERS "/" LAYER_B));
}

/* ---- damage ---- */

static void test_damage_is_contained(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO(store_txn_endp) struct store_txn *t = NULL;
        AUTO(image_freep) struct image *i = NULL;
        AUTO_CLOSE int refs = -EBADF, run = -EBADF;
        struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        refs = dirs_sub(d, STORE_REFS, &e);
        unit_write(refs, "localhost%2Ftorn%3Alatest", "{\"image\":");
        assert_failed(store_resolve(d, "torn", &i, &e), e, ERR_INVALID, "torn");
        assert_resolves(d, "web", CONFIG_1);
        run = dirs_sub(d, STORE_RUN, &e);
        unit_write(run, CONFIG_2 ".json", "{");
        /* A damaged image keeps everything, and keeps nobody from adding images. */
        assert_failed(store_sweep(d, &e), e, ERR_INVALID, "image c2c2c2c2c2c2");
        assert_ok(store_txn_begin(d, &t, &e), e);
        assert_true(exists(d, STORE_LAYERS "/" LAYER_A));
}

static void test_missing_layer_is_not_published(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO(store_txn_endp) struct store_txn *t = NULL;
        static const char config[] = "{\"rootfs\":{\"diff_ids\":[\"sha256:" LAYER_A "\"]}}";
        struct store_image image = {.config = config,
                                    .config_len = sizeof(config) - 1,
                                    .config_digest = "sha256:" CONFIG_1,
                                    .manifest = "{}",
                                    .manifest_len = 2,
                                    .manifest_digest = "sha256:" MANIFEST_1};
        struct err *e = NULL;

        assert_ok(store_txn_begin(d, &t, &e), e);
        assert_failed(store_publish(t, &image, &e), e, ERR_NOT_FOUND, "layer a0a0a0a0a0a0");
        assert_gone(d, CONFIG_1);
}

static void test_index_is_derived(void **state)
{
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO_JSON *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        struct json_at root, list;
        size_t n = 0;

        publish_named(d, "localhost/web:latest");
        publish(d, CONFIG_2, MANIFEST_2, LAYER_A, NULL);
        assert_ok(json_read_file(d->root_fd, "images/index.json", 65536, &doc, &e), e);
        root = json_root(doc, "index.json");
        list = json_key(&root, "manifests");
        assert_ok(json_want_array(&list, 10, &n, &e), e);
        assert_int_equal(n, 2);
        assert_true(exists(d, "images/oci-layout"));
}

static void test_filters(void **state)
{
        static const struct {
                const char *filter;
                bool named, unnamed;
        } cases[] = {
            {"dangling=true", false, true},
            {"dangling=false", true, false},
            {"label=k=v", true, true},
            {"label=x", false, false},
            {"label!=k", false, false},
            {"reference=web", true, false},
            {"reference=we*", true, false},
            {"reference=*:latest", true, false},
            {"reference=localhost/web", true, false},
            {"reference=w", false, false},
            {"before=web", false, false},
            {"since=web", false, true},
            {"until=2026-01-02T00:00:00Z", true, false},
            {"until=1h", true, true},
        };
        AUTO(dirs_freep) struct dirs *d = open_dirs(state);
        AUTO(image_freep) struct image *a = NULL, *b = NULL;
        AUTO_ERR struct err *e = NULL;

        publish_named(d, "localhost/web:latest");
        publish(d, CONFIG_2, MANIFEST_2, LAYER_A, NULL);
        assert_ok(store_find(d, "web", &a, &e), e);
        assert_ok(store_find(d, CONFIG_2, &b, &e), e);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(image_filter_freep) struct image_filter *f = NULL;
                char *filters[] = {xstrdup(cases[i].filter), NULL};

                assert_ok(image_filter_parse(d, filters, &f, &e), e);
                if (image_filter_match(f, a) != cases[i].named ||
                    image_filter_match(f, b) != cases[i].unnamed)
                        fail_msg("%s", cases[i].filter);
                free(filters[0]);
        }
}

/* Labels are the image's: anything may stand there. */
static void test_labels(void **state)
{
        static const char text[] = "{\"config\":{\"Labels\":{\"a\":\"x\",\"none\":null,\"n\":1}}}";
        struct json_object *doc = NULL;
        struct image image = {0};
        AUTO_ERR struct err *e = NULL;

        (void)state;
        assert_ok(json_parse(text, strlen(text), "image", &doc, &e), e);
        image.doc = doc;
        assert_true(image_has_label(&image, "a"));
        assert_true(image_has_label(&image, "a=x"));
        assert_false(image_has_label(&image, "a=y"));
        assert_true(image_has_label(&image, "none"));
        assert_true(image_has_label(&image, "none="));
        assert_false(image_has_label(&image, "none=x"));
        assert_true(image_has_label(&image, "n=1"));
        assert_false(image_has_label(&image, "b"));
        (void)json_unref(doc);
}

#define T(f) unit_test_dir(f)
int main(void)
{
        const struct CMUnitTest tests[] = {
            T(test_resolve),
            T(test_ambiguous_prefix),
            T(test_image_fields),
            T(test_a_familiar_name_is_one_image),
            T(test_tag),
            T(test_remove_untags_then_deletes),
            T(test_remove_by_id),
            T(test_shared_layer_stays),
            T(test_containers_keep_images),
            T(test_prune),
            T(test_transaction_ends_without_trace),
            T(test_killed_writer_is_swept),
            T(test_sweep_tmp),
            T(test_sweep_temporaries),
            T(test_claim_keeps_layer),
            T(test_claims_against_a_collector),
            T(test_cut_off_publication),
            T(test_damage_is_contained),
            T(test_missing_layer_is_not_published),
            T(test_index_is_derived),
            T(test_filters),
            T(test_labels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
