/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/str.h"
#include "rootfs/mount_options.h"
#include "spec/mount_option.h"
#include "spec/spec.h"

#include <linux/mount.h>
#include <sys/mount.h>

struct parsed {
        struct spec *spec;
        struct rootfs_op op;
        struct strv strings;
        struct mount_options options;
        bool oci;
};

static int parse_for(bool oci, const char *type, const char *options, struct parsed *p,
                     struct err **e)
{
        struct spec_mount *m;

        *p = (struct parsed){.spec = spec_new(), .oci = oci};
        m = spec_add_mount(p->spec, "/x", type, "/s", options);
        return mount_options_parse(m, p->oci, &p->op, &p->strings, &p->options, e);
}

static int parse(const char *type, const char *options, struct parsed *p, struct err **e)
{
        return parse_for(false, type, options, p, e);
}

static int parse_oci(const char *type, const char *options, struct parsed *p, struct err **e)
{
        return parse_for(true, type, options, p, e);
}

static void release(struct parsed *p)
{
        (void)spec_free(p->spec);
        free((void *)p->op.params);
        strv_release(&p->strings);
}

static void test_bind(void **state)
{
        struct err *e = NULL;
        struct parsed p;

        assert_ok(parse("bind", "rbind,rro,nosuid,rslave", &p, &e), e);
        assert_true(p.options.bind && p.op.recursive && p.op.propagation_recursive);
        assert_true(p.op.attrs == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
        assert_true(p.op.attrs_below == p.op.attrs && p.op.clear == 0);
        assert_true(p.op.propagation == MS_SLAVE);
        release(&p);
        /* A runtime-spec mount may be a bind by its options alone. */
        assert_ok(parse("none", "bind,ro", &p, &e), e);
        assert_true(p.options.bind && !p.op.recursive && !p.op.attrs_below);
        release(&p);
        assert_failed(parse("bind", "rbind,size=1m", &p, &e), e, ERR_USAGE, "size");
        release(&p);
        assert_failed(parse("bind", "rbind,tmpcopyup", &p, &e), e, ERR_USAGE, "tmpcopyup");
        release(&p);
}

/* The last word wins. */
static void test_order(void **state)
{
        struct err *e = NULL;
        struct parsed p;

        assert_ok(parse("tmpfs", "noexec,nodev,ro,exec,rw", &p, &e), e);
        assert_true(p.op.attrs == MOUNT_ATTR_NODEV);
        release(&p);
        assert_ok(parse("bind", "shared,rprivate", &p, &e), e);
        assert_true(p.op.propagation == MS_PRIVATE && p.op.propagation_recursive);
        release(&p);
}

static void test_params(void **state)
{
        struct err *e = NULL;
        struct parsed p;

        assert_ok(parse("tmpfs", "size=64m,nosuid,mode=1777,noswap,tmpcopyup", &p, &e), e);
        assert_int_equal(p.op.n_params, 3);
        assert_string_equal(p.op.params[0].key, "size");
        assert_string_equal(p.op.params[0].value, "64m");
        assert_string_equal(p.op.params[2].key, "noswap");
        assert_null(p.op.params[2].value);
        assert_true(p.op.copy_up && !p.options.bind);
        release(&p);
}

/* What a bundle says about the mount and what it says about those below it are two things. */
static void test_oci_below(void **state)
{
        struct err *e = NULL;
        struct parsed p;

        assert_ok(parse_oci("bind", "rbind,rro,nosuid,dev,rexec,rnoatime,strictatime", &p, &e), e);
        assert_true(p.options.bind && p.op.recursive);
        assert_true(p.op.attrs == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME));
        assert_true(p.op.clear == (MOUNT_ATTR_NODEV | MOUNT_ATTR__ATIME));
        assert_true(p.op.attrs_below == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME));
        assert_true(p.op.clear_below == (MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME));
        release(&p);
        /* The last word counts, and a time policy has one only. */
        assert_ok(parse_oci("bind", "ro,rw,nodev,noatime,relatime", &p, &e), e);
        assert_true(p.op.attrs == MOUNT_ATTR_NODEV);
        assert_true(p.op.clear == (MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME));
        release(&p);
}

static void test_oci_words(void **state)
{
        struct err *e = NULL;
        struct parsed p;

        assert_ok(parse_oci("none", "bind,copy-symlink,src-nofollow,dest-nofollow,remount", &p, &e),
                  e);
        assert_true(p.options.bind && p.options.copy_symlink && p.options.remount);
        assert_true(p.op.source_nofollow && p.op.target_nofollow && p.op.n_params == 0);
        release(&p);
        assert_ok(parse_oci("bind", "ridmap,idmap=uids=0-1-2;gids=0-1-2", &p, &e), e);
        assert_true(p.options.idmap && p.options.idmap_recursive);
        assert_string_equal(p.options.idmap_text, "uids=0-1-2;gids=0-1-2");
        release(&p);
        assert_ok(parse_oci("ext4", "sync,lazytime,dirsync,nolazytime,data=ordered", &p, &e), e);
        assert_true(p.options.super == (MS_SYNCHRONOUS | MS_DIRSYNC));
        assert_int_equal(p.op.n_params, 1);
        release(&p);
        assert_failed(parse_oci("bind", "tmpcopyup", &p, &e), e, ERR_USAGE, "tmpcopyup");
        release(&p);
}

/* On Kelp's own command line they are what they have been: unknown. */
static void test_foreign(void **state)
{
        static const char *const words[] = {"remount", "idmap", "copy-symlink", "src-nofollow",
                                            "sync",    "rexec", "dest-nofollow"};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                struct err *e = NULL;
                struct parsed p;

                assert_failed(parse("bind", words[i], &p, &e), e, ERR_USAGE, words[i]);
                release(&p);
        }
}

/* The look-up halves the table, and "features" lists it. */
static void test_table(void **state)
{
        static const char *const must[] = {"async",         "atime",        "bind",
                                           "defaults",      "dev",          "diratime",
                                           "dirsync",       "exec",         "idmap",
                                           "iversion",      "lazytime",     "loud",
                                           "mand",          "noatime",      "nodev",
                                           "nodiratime",    "noexec",       "noiversion",
                                           "nolazytime",    "nomand",       "norelatime",
                                           "nostrictatime", "nosuid",       "nosymfollow",
                                           "private",       "ratime",       "rbind",
                                           "rdev",          "rdiratime",    "relatime",
                                           "remount",       "rexec",        "ridmap",
                                           "rnoatime",      "rnodev",       "rnodiratime",
                                           "rnoexec",       "rnorelatime",  "rnostrictatime",
                                           "rnosuid",       "rnosymfollow", "ro",
                                           "rprivate",      "rrelatime",    "rro",
                                           "rrw",           "rshared",      "rslave",
                                           "rstrictatime",  "rsuid",        "rsymfollow",
                                           "runbindable",   "rw",           "shared",
                                           "silent",        "slave",        "strictatime",
                                           "suid",          "symfollow",    "sync",
                                           "tmpcopyup",     "unbindable"};

        for (size_t i = 0; mount_option_at(i); i++) {
                const struct mount_option *o = mount_option_at(i), *next = mount_option_at(i + 1);

                assert_true(!next || strcmp(o->name, next->name) < 0);
                assert_ptr_equal(mount_option_find(o->name), o);
        }
        for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
                if (!mount_option_find(must[i]))
                        fail_msg("no mount option '%s'", must[i]);
        }
        assert_null(mount_option_find("size=1m"));
        assert_null(mount_option_find(""));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_bind),      cmocka_unit_test(test_order),
            cmocka_unit_test(test_params),    cmocka_unit_test(test_oci_below),
            cmocka_unit_test(test_oci_words), cmocka_unit_test(test_foreign),
            cmocka_unit_test(test_table),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
