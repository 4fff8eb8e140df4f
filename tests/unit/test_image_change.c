/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile instructions of `import --change`, each against the config that it makes. */
#include "unit.h"

#include "base/json.h"
#include "base/macros.h"
#include "image/change.h"

#include <json-c/json_tokener.h>

static const struct {
        const char *before, *change, *after;
} good[] = {
    {"{}", "CMD [\"a\",\"b c\"]", "{\"Cmd\":[\"a\",\"b c\"]}"},
    {"{}", "CMD a b", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"a b\"]}"},
    {"{}", "cmd [ a", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[ a\"]}"},
    {"{}", "CMD [1]", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[1]\"]}"},
    {"{}", "CMD=/bin/sh", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"/bin/sh\"]}"},
    {"{}", "ENTRYPOINT [\"/x\"]", "{\"Entrypoint\":[\"/x\"]}"},
    {"{}", "ENV A=1 B=\"2 3\" C=4\\ 5", "{\"Env\":[\"A=1\",\"B=2 3\",\"C=4 5\"]}"},
    {"{}", "ENV A the rest of it", "{\"Env\":[\"A=the rest of it\"]}"},
    {"{\"Env\":[\"A=1\",\"AB=2\"]}", "ENV A=3", "{\"Env\":[\"A=3\",\"AB=2\"]}"},
    {"{}", "ENV A=", "{\"Env\":[\"A=\"]}"},
    {"{}", "ENV=A=1", "{\"Env\":[\"A=1\"]}"},
    {"{}", "ENV A='x\\y'", "{\"Env\":[\"A=x\\\\y\"]}"},
    {"{}", "EXPOSE 80 53/udp", "{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}}}"},
    {"{}", "EXPOSE 8000-8002",
     "{\"ExposedPorts\":{\"8000/tcp\":{},\"8001/tcp\":{},\"8002/tcp\":{}}}"},
    {"{}", "LABEL a=1 \"b c\"=\"d e\"", "{\"Labels\":{\"a\":\"1\",\"b c\":\"d e\"}}"},
    {"{\"Labels\":{\"a\":\"1\"}}", "LABEL a=2", "{\"Labels\":{\"a\":\"2\"}}"},
    {"{}", "USER  www-data:www  ", "{\"User\":\"www-data:www\"}"},
    {"{}", "WORKDIR srv", "{\"WorkingDir\":\"/srv\"}"},
    {"{\"WorkingDir\":\"/a/b\"}", "WORKDIR ../c", "{\"WorkingDir\":\"/a/c\"}"},
    {"{}", "STOPSIGNAL SIGINT", "{\"StopSignal\":\"SIGINT\"}"},
    {"{}", "VOLUME [\"/a\",\"/b c\"]", "{\"Volumes\":{\"/a\":{},\"/b c\":{}}}"},
    {"{}", "VOLUME /a /b", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}"},
    {"{\"OnBuild\":[\"RUN x\"]}", "ONBUILD COPY a b", "{\"OnBuild\":[\"RUN x\",\"COPY a b\"]}"},
    {"{}", "HEALTHCHECK NONE", "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}"},
    {"{}", "HEALTHCHECK CMD curl -f x",
     "{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl -f x\"]}}"},
    {"{}", "HEALTHCHECK --interval=5s --retries=3 CMD [\"a\"]",
     "{\"Healthcheck\":{\"Interval\":5000000000,\"Retries\":3,\"Test\":[\"CMD\",\"a\"]}}"},
};

static const struct {
        const char *change, *part;
} bad[] = {
    {"", "is no instruction"},
    {"RUN x", "'RUN' is no instruction"},
    {"COPY a b", "no instruction"},
    {"CMDX a", "no instruction"},
    {"CMD", "nothing follows CMD"},
    {"ENV =x", "name is missing"},
    {"ENV A", "has no value"},
    {"ENV A=1 B", "'B' is not NAME=VALUE"},
    {"ENV A=\"x", "not closed"},
    {"EXPOSE 0", "'0' is no port"},
    {"EXPOSE 70000", "no port"},
    {"EXPOSE 80/icmp", "no port"},
    {"EXPOSE 90-80", "no port"},
    {"EXPOSE 80 x", "'x' is no port"},
    {"STOPSIGNAL SIGFOO", "'SIGFOO' is no signal"},
    {"VOLUME [\"\"]", "is empty"},
    {"HEALTHCHECK", "nothing follows"},
    {"HEALTHCHECK foo", "expected CMD or NONE"},
    {"HEALTHCHECK --interval=x CMD a", "no duration"},
    {"HEALTHCHECK --foo=1 CMD a", "unknown option"},
};

static void test_good(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                AUTO_JSON *config = json_tokener_parse(good[i].before);
                AUTO_JSON *after = json_tokener_parse(good[i].after);
                AUTO_ERR struct err *e = NULL;

                assert_ok(change_apply(config, good[i].change, &e), e);
                if (!json_object_equal(config, after))
                        fail_msg("%s: %s", good[i].change, json_object_to_json_string(config));
        }
}

static void test_bad_changes_nothing(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                AUTO_JSON *config = json_tokener_parse("{\"Env\":[\"A=0\"]}");
                AUTO_JSON *after = json_tokener_parse("{\"Env\":[\"A=0\"]}");
                struct err *e = NULL;

                assert_failed(change_apply(config, bad[i].change, &e), e, ERR_USAGE, bad[i].part);
                assert_true(json_object_equal(config, after));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good),
            cmocka_unit_test(test_bad_changes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
