/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/alloc.h"
#include "base/str.h"
#include "rootfs/mount_options.h"
#include "spec/spec.h"

#include <linux/mount.h>
#include <sys/mount.h>

struct parsed {
        struct spec *spec;
        struct rootfs_op op;
        struct strv strings;
        bool bind;
};

static int parse(const char *type, const char *options, struct parsed *p, struct err **e)
{
        struct spec_mount *m;

        *p = (struct parsed){.spec = spec_new()};
        m = spec_add_mount(p->spec, "/x", type, "/s", options);
        return mount_options_parse(m, &p->op, &p->strings, &p->bind, e);
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
        assert_true(p.bind && p.op.recursive && p.op.attrs_recursive && p.op.propagation_recursive);
        assert_true(p.op.attrs == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
        assert_true(p.op.propagation == MS_SLAVE);
        release(&p);
        /* A runtime-spec mount may be a bind by its options alone. */
        assert_ok(parse("none", "bind,ro", &p, &e), e);
        assert_true(p.bind && !p.op.recursive && !p.op.attrs_recursive);
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
        assert_true(p.op.copy_up && !p.bind);
        release(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_bind),
            cmocka_unit_test(test_order),
            cmocka_unit_test(test_params),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
