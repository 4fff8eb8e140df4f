/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources: its JSON both ways, and what becomes of it for cgroup v2. */
#include "unit.h"

#include "base/json.h"
#include "base/str.h"
#include "cgroup/convert.h"
#include "spec/resources.h"

static int from_text(const char *text, struct spec_resources **ret, struct err **e)
{
        AUTO_JSON *obj = NULL;

        assert_int_equal(json_parse(text, strlen(text), "r", &obj, NULL), 0);
        return spec_resources_from_json(obj, "r", ret, e);
}

/* "file=value" of each setting, '|' for the other one, '?' for an optional one; or the words of the error. */
static char *converted(const char *text, struct strv *warnings)
{
        AUTO(spec_resources_freep) struct spec_resources *res = NULL;
        struct cgroup_settings s = {0};
        AUTO_STRBUF out = {0};
        struct err *e = NULL;

        if (from_text(text, &res, &e) < 0 || cgroup_convert(res, &s, warnings, &e) < 0) {
                strbuf_addf(&out, "error: %s", err_message(e));
                (void)err_free(e);
        }
        for (size_t i = 0; i < s.n; i++) {
                const struct cgroup_setting *v = &s.v[i];

                strbuf_addf(&out, "%s%s%s=%s", i > 0 ? ", " : "", v->file, v->optional ? "?" : "",
                            v->value);
                if (v->other_file)
                        strbuf_addf(&out, "|%s=%s", v->other_file, v->other_value);
        }
        cgroup_settings_release(&s);
        return strbuf_take(&out);
}

static void test_convert(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
            {"{}", ""},
            {"{\"memory\":{\"limit\":1000}}", "memory.max=1000"},
            {"{\"memory\":{\"limit\":1000,\"swap\":1500,\"reservation\":10}}",
             "memory.swap.max=500, memory.max=1000, memory.low=10"},
            {"{\"memory\":{\"limit\":1000,\"swap\":1000}}", "memory.swap.max=0, memory.max=1000"},
            {"{\"memory\":{\"limit\":1000,\"swap\":-1}}", "memory.swap.max=max, memory.max=1000"},
            {"{\"memory\":{\"limit\":-1}}", "memory.swap.max=max, memory.max=max"},
            {"{\"memory\":{\"limit\":0,\"swap\":0,\"reservation\":0}}", ""},
            {"{\"memory\":{\"swap\":1500}}",
             "error: linux.resources.memory.swap: needs memory.limit, since it is the limit of "
             "both together"},
            {"{\"memory\":{\"disableOOMKiller\":true}}",
             "error: linux.resources.memory.disableOOMKiller: cgroup v2 has no such limit"},
            {"{\"memory\":{\"disableOOMKiller\":false,\"useHierarchy\":true}}", ""},
            {"{\"memory\":{\"swappiness\":0}}",
             "error: linux.resources.memory.swappiness: cgroup v2 has no such limit"},
            {"{\"cpu\":{\"shares\":1024}}", "cpu.weight=100"},
            {"{\"cpu\":{\"quota\":50000}}", "cpu.max=50000 100000"},
            {"{\"cpu\":{\"quota\":-1,\"period\":20000}}", "cpu.max=max 20000"},
            {"{\"cpu\":{\"period\":20000}}", "cpu.max=max 20000"},
            {"{\"cpu\":{\"quota\":5000,\"period\":0,\"burst\":1000}}",
             "cpu.max.burst=0, cpu.max=5000 100000, cpu.max.burst=1000"},
            {"{\"cpu\":{\"burst\":0}}", "cpu.max.burst?=0"},
            {"{\"cpu\":{\"idle\":1,\"shares\":2}}", "cpu.weight=1, cpu.idle=1"},
            {"{\"cpu\":{\"idle\":0,\"shares\":2}}", "cpu.idle?=0, cpu.weight=1"},
            {"{\"cpu\":{\"cpus\":\"0-1,3\",\"mems\":\"0\"}}", "cpuset.cpus=0-1,3, cpuset.mems=0"},
            {"{\"cpu\":{\"realtimeRuntime\":5}}",
             "error: linux.resources.cpu.realtimeRuntime: cgroup v2 has no such limit"},
            {"{\"cpu\":{\"realtimeRuntime\":0,\"realtimePeriod\":0,\"shares\":0,\"quota\":0}}", ""},
            {"{\"pids\":{\"limit\":7}}", "pids.max=7"},
            {"{\"pids\":{\"limit\":-1}}", "pids.max=max"},
            {"{\"blockIO\":{\"weight\":10}}", "io.bfq.weight=10|io.weight=1"},
            {"{\"blockIO\":{\"weight\":1000}}", "io.bfq.weight=1000|io.weight=10000"},
            {"{\"blockIO\":{\"leafWeight\":10}}",
             "error: linux.resources.blockIO.leafWeight: cgroup v2 has no such limit"},
            {"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":100}]}}",
             "io.bfq.weight=8:16 100|io.weight=8:16 910"},
            {"{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":600}],"
             "\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":0}],"
             "\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":1}],"
             "\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":2}]}}",
             "io.max=8:0 rbps=600, io.max=8:0 wbps=max, io.max=8:0 riops=1, io.max=8:0 wiops=2"},
            {"{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}]}",
             "hugetlb.2MB.rsvd.max?=4194304, hugetlb.2MB.max=4194304"},
            {"{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":10}}}",
             "rdma.max=mlx5_1 hca_handle=3 hca_object=10"},
            {"{\"network\":{\"classID\":1}}",
             "error: linux.resources.network.classID: cgroup v2 has no such limit"},
            {"{\"network\":{\"priorities\":[{\"name\":\"eth0\",\"priority\":5}]}}",
             "error: linux.resources.network.priorities: cgroup v2 has no such limit"},
            {"{\"memory\":{\"limit\":5},\"unified\":{\"memory.max\":\"9\",\"io.max\":\"8:0 "
             "rbps=1\\n8:16 rbps=2\\n\"}}",
             "memory.max=5, memory.max=9, io.max=8:0 rbps=1, io.max=8:16 rbps=2"},
            {"{\"unified\":{\"cgroup.max.depth\":\"\"}}", "cgroup.max.depth="},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *got = converted(cases[i].in, NULL);

                if (strcmp(got, cases[i].out) != 0)
                        fail_msg("%s: '%s', not '%s'", cases[i].in, got, cases[i].out);
        }
}

static void test_warnings(void **state)
{
        AUTO_STRV warnings = {0};
        AUTO_FREE char *got = converted("{\"memory\":{\"kernel\":5,\"kernelTCP\":-1}}", &warnings);

        assert_string_equal(got, "");
        assert_int_equal(warnings.n, 1);
        assert_non_null(strstr(warnings.v[0], "memory.kernel"));
}

/* The three points through which the parabola goes are exact; it is monotonic, and never out of range. */
static void test_weight(void **state)
{
        uint64_t last = 0;

        assert_int_equal(cgroup_weight_from_shares(0), 1);
        assert_int_equal(cgroup_weight_from_shares(2), 1);
        assert_int_equal(cgroup_weight_from_shares(512), 59);
        assert_int_equal(cgroup_weight_from_shares(1024), 100);
        assert_int_equal(cgroup_weight_from_shares(2048), 174);
        assert_int_equal(cgroup_weight_from_shares(262144), 10000);
        assert_int_equal(cgroup_weight_from_shares(UINT64_MAX), 10000);
        for (uint64_t s = 2; s <= 262144; s++) {
                uint64_t w = cgroup_weight_from_shares(s);

                assert_true(w >= last && w >= 1 && w <= 10000);
                last = w;
        }
}

static void test_refused(void **state)
{
        static const struct {
                const char *in, *words;
        } cases[] = {
            {"[]", "expected an object"},
            {"{\"memory\":[]}", "r: memory: expected an object"},
            {"{\"memory\":{\"limit\":-2}}", "memory.limit"},
            {"{\"memory\":{\"limit\":\"5\"}}", "memory.limit"},
            {"{\"memory\":{\"limit\":10,\"swap\":5}}", "memory.swap"},
            {"{\"memory\":{\"swappiness\":101}}", "memory.swappiness"},
            {"{\"memory\":{\"disableOOMKiller\":1}}", "memory.disableOOMKiller"},
            {"{\"cpu\":{\"quota\":10,\"burst\":11}}", "cpu.burst"},
            {"{\"cpu\":{\"idle\":2}}", "cpu.idle"},
            {"{\"cpu\":{\"cpus\":\"all\"}}", "cpu.cpus"},
            {"{\"pids\":{\"limit\":-5}}", "pids.limit"},
            {"{\"devices\":[{}]}", "devices[0].allow: is missing"},
            {"{\"devices\":[{\"allow\":true},{\"allow\":true,\"type\":\"x\"}]}", "devices[1].type"},
            {"{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}", "devices[0].access"},
            {"{\"blockIO\":{\"weight\":1001}}", "blockIO.weight"},
            {"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0}]}}",
             "blockIO.weightDevice[0]: has neither"},
            {"{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"rate\":1}]}}",
             "blockIO.throttleReadBpsDevice[0].minor: is missing"},
            {"{\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":1}]}", "hugepageLimits[0]"},
            {"{\"hugepageLimits\":[{\"pageSize\":\"2MB\"}]}", "hugepageLimits[0].limit"},
            {"{\"rdma\":{\"a\":{}}}", "rdma.a: has neither"},
            {"{\"rdma\":{\"a b\":{\"hcaHandles\":1}}}", "no name of a device"},
            {"{\"unified\":{\"../memory.max\":\"1\"}}", "'../memory.max' is no name"},
            {"{\"unified\":{\"..\":\"1\"}}", "'..' is no name"},
            {"{\"unified\":{\"memory\":\"1\"}}", "'memory' is no name"},
            {"{\"unified\":{\"memory.max\":1}}", "unified"},
            {"{\"network\":{\"priorities\":[{\"name\":\"\",\"priority\":1}]}}",
             "network.priorities[0]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct spec_resources *res = NULL;
                struct err *e = NULL;

                assert_failed(from_text(cases[i].in, &res, &e), e, ERR_INVALID, cases[i].words);
                assert_null(res);
        }
}

static void test_limits(void **state)
{
        static const struct {
                const char *in;
                bool limits;
        } cases[] = {
            {"{}", false},
            {"{\"devices\":[{\"allow\":false}]}", false},
            {"{\"memory\":{\"limit\":0,\"swap\":-1,\"disableOOMKiller\":false}}", false},
            {"{\"memory\":{\"limit\":1}}", true},
            {"{\"cpu\":{\"cpus\":\"0\"}}", true},
            {"{\"unified\":{\"pids.max\":\"1\"}}", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(spec_resources_freep) struct spec_resources *res = NULL;
                struct err *e = NULL;

                assert_ok(from_text(cases[i].in, &res, &e), e);
                assert_int_equal(spec_resources_limits(res), cases[i].limits);
        }
        assert_false(spec_resources_limits(NULL));
}

static void test_controllers(void **state)
{
        AUTO(spec_resources_freep) struct spec_resources *res = NULL;
        struct cgroup_settings s = {0};
        AUTO_STRV got = {0};
        struct err *e = NULL;

        assert_ok(from_text("{\"memory\":{\"limit\":9,\"swap\":9},\"cpu\":{\"cpus\":\"0\"},"
                            "\"unified\":{\"cgroup.max.depth\":\"1\"}}",
                            &res, &e),
                  e);
        assert_ok(cgroup_convert(res, &s, NULL, &e), e);
        cgroup_settings_controllers(&s, &got);
        assert_int_equal(got.n, 2);
        assert_string_equal(got.v[0], "memory");
        assert_string_equal(got.v[1], "cpuset");
        cgroup_settings_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_convert), cmocka_unit_test(test_warnings),
            cmocka_unit_test(test_weight),  cmocka_unit_test(test_refused),
            cmocka_unit_test(test_limits),  cmocka_unit_test(test_controllers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
