/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases expect is what Go's text/template makes of the same template and document, compared once by hand; the comments say where we differ. */
#include "unit.h"

#include "base/json.h"
#include "base/str.h"
#include "template/template.h"

#define DOC                                                                                        \
        "{\"ID\":\"abc\",\"N\":5,\"Neg\":-7,\"F\":1.5,\"Big\":1000000.0,\"U\":"                    \
        "18446744073709551615,\"On\":true,\"Off\":false,\"Empty\":\"\",\"State\":{\"Status\":"     \
        "\"running\",\"Pid\":7,\"Health\":{\"Log\":[{\"Out\":\"x\"},{\"Out\":\"y\"}]}},\"List\":[" \
        "\"a\",\"b\",\"c\"],\"Nums\":[3,1,2],\"None\":[],\"Labels\":{\"z\":\"y\",\"a.b\":\"c\","   \
        "\"k\":\"v\"},\"NoLabels\":{},\"Mixed\":{\"b\":null,\"a\":[1,\"x\",{\"q\":false}]},"       \
        "\"Path\":\"/a/b c\",\"Html\":\"<a href='x'>\\\"&\\\"</a>\"}"

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;
        struct err *e = NULL;

        assert_ok(json_parse(text, strlen(text), "test", &o, &e), e);
        return o;
}

static int run(const char *text, struct json_object *doc, const struct template_opts *o,
               struct strbuf *out, struct err **reterr)
{
        struct template *t = NULL;
        int r = template_parse(text, 0, &t, reterr);

        if (r >= 0)
                r = template_execute(t, doc, o, out, reterr);
        template_free(t);
        return r;
}

/* @out: what is left there, NULL for a failure that says @message and, where given, hints @hint. */
static void check(const char *text, struct json_object *doc, const struct template_opts *o,
                  const char *expected, const char *message, const char *hint)
{
        struct strbuf out = {0};
        struct err *e = NULL;
        int r = run(text, doc, o, &out, &e);

        if (expected) {
                if (r < 0 || strcmp(out.data ? out.data : "", expected) != 0)
                        fail_msg("%s: '%s' (%s), not '%s'", text, out.data ? out.data : "",
                                 err_message(e), expected);
        } else {
                if (r >= 0 || !strstr(err_message(e), message) ||
                    (hint && (!err_hint_text(e) || !strstr(err_hint_text(e), hint))))
                        fail_msg("%s: '%s', hint '%s', not '%s'", text, err_message(e),
                                 e && err_hint_text(e) ? err_hint_text(e) : "", message);
                assert_int_equal(err_kind(e), ERR_USAGE);
        }
        strbuf_release(&out);
        err_free(e);
}

static const struct {
        const char *text, *expected;
} good[] = {
    {"{{.ID}}", "abc"},
    {"a{{.State.Status}}b", "arunningb"},
    {"{{.State.Health.Log}}", "[map[Out:x] map[Out:y]]"},
    {"{{.List}} {{.Labels}} {{.Mixed}}",
     "[a b c] map[a.b:c k:v z:y] map[a:[1 x map[q:false]] b:<nil>]"},
    {"{{.N}} {{.Neg}} {{.F}} {{.Big}} {{.On}} {{.Off}}", "5 -7 1.5 1e+06 true false"},
    {"x  {{- .ID -}}  y", "xabcy"},
    {"x {{- \"a\" }} {{ \"b\" -}} y", "xa by"},
    {"{{- /* gone */ -}} q", "q"},
    {"a {{/* c */}} b", "a  b"},
    {"a {{- /* c */ -}} b", "ab"},
    {"{{\"\"}}{{`raw \"\\n`}}{{\"q\\\"\\\\\\x41\\u00e9\\101\\t|\"}}", "raw \"\\nq\"\\A\xc3\xa9"
                                                                      "A\t|"},
    {"{{'a'}} {{'\\n'}} {{'\\''}} {{'\xc3\xa9'}}", "97 10 39 233"},
    {"{{1}} {{-1}} {{+1}} {{0x1F}} {{0b101}} {{0o17}} {{017}} {{1_000}} {{1.5}} {{1e3}} {{.5}} "
     "{{1e21}} {{0x1p4}} {{1e-7}} {{123456.0}} {{100000.0}} {{1234567.0}}",
     "1 -1 1 31 5 15 15 1000 1.5 1000 0.5 1e+21 16 1e-07 123456 100000 1.234567e+06"},
    {"{{true}} {{false}}", "true false"},
    {"{{if .On}}yes{{else}}no{{end}}{{if .Off}}yes{{else}}no{{end}}", "yesno"},
    {"{{if .Empty}}1{{else if .None}}2{{else if .N}}3{{else}}4{{end}}", "3"},
    {"{{if not .Empty}}x{{end}}{{if and .On .N}}y{{end}}{{if or .Off .Empty}}z{{else}}w{{end}}",
     "xyw"},
    {"{{and 1 0 2}} {{and 1 2}} {{or 0 \"\" \"x\"}} {{or 0 \"\"}}|", "0 2 x |"},
    {"{{or .On (index .List 99)}}", "true"},
    {"{{and .Off (index .List 99)}}", "false"},
    {"{{with .State}}{{.Status}}{{.Pid}}{{end}}", "running7"},
    {"{{with .Empty}}x{{else}}{{.ID}}{{end}}", "abc"},
    {"{{with $x := .State}}{{$x.Pid}}{{$.ID}}{{end}}", "7abc"},
    {"{{range .List}}[{{.}}]{{end}}", "[a][b][c]"},
    {"{{range $i, $v := .List}}{{$i}}={{$v}},{{end}}", "0=a,1=b,2=c,"},
    {"{{range $v := .List}}{{$v}}{{end}}", "abc"},
    {"{{range $k, $v := .Labels}}{{$k}}:{{$v}};{{end}}", "a.b:c;k:v;z:y;"},
    {"{{range .None}}x{{else}}none{{end}}", "none"},
    {"{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"},
    {"{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"},
    {"{{range .List}}{{range $.Nums}}{{if eq . 1}}{{break}}{{end}}{{.}}{{end}}{{.}}{{end}}",
     "3a3b3c"},
    {"{{$x := 1}}{{range .List}}{{$x = .}}{{end}}{{$x}}", "c"},
    {"{{$x := 1}}{{if .On}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"},
    {"{{$i := 0}}{{$v := 0}}{{range $i, $v = .List}}{{end}}{{$i}}{{$v}}", "2c"},
    {"{{$x := .State}}{{$x.Status}} {{$x.Health.Log}}", "running [map[Out:x] map[Out:y]]"},
    {"{{(index .State.Health.Log 1).Out}}", "y"},
    {"{{(.State).Pid}}", "7"},
    {"{{index .Labels \"a.b\"}} {{index .List 1}} {{index .State.Health.Log 0 \"Out\"}} {{index "
     ".List}}",
     "c b x [a b c]"},
    {"{{index \"abc\" 1}}", "98"},
    {"{{slice .List 1}} {{slice .List 0 2}} {{slice .List}} {{slice \"hello\" 1 3}} {{slice .List "
     "0 1 2}}",
     "[b c] [a b] [a b c] el [a]"},
    {"{{len .List}} {{len .ID}} {{len .Labels}} {{len \"\xc3\xa9\"}}", "3 3 3 2"},
    {"{{.List | len | printf \"%03d\"}}", "003"},
    {"{{\"x\" | printf \"%s-%s\" \"y\"}}", "y-x"},
    {"{{printf \"%s|%q|%v|%d|%x|%X|%t|%c|%U\" .ID .ID .List .N .N 255 .On 'x' 'x'}}",
     "abc|\"abc\"|[a b c]|5|5|FF|true|x|U+0078"},
    {"{{printf \"%5d|%-5d|%05d|%+d|% d|%x|%#x|%o|%b|%#o\" 42 42 42 42 42 -255 255 8 5 8}}",
     "   42|42   |00042|+42| 42|-ff|0xff|10|101|010"},
    {"{{printf \"%5.2f|%f|%e|%g|%6v|%-8.1f|%08.3f|%.0f|%G\" 3.14159 1.5 1234.5 1e6 1.5 2.25 "
     "-3.14159 2.5 1e-10}}",
     " 3.14|1.500000|1.234500e+03|1e+06|   1.5|2.2     |-003.142|2|1E-10"},
    {"{{printf \"%10s|%-10s|%.2s|%5.1s|%q|%x|% x|%X|%#q\" \"abc\" \"abc\" \"abcdef\" \"xyz\" "
     "\"a\\tb\" \"hi\" \"hi\" \"hi\" \"a\"}}",
     "       abc|abc       |ab|    x|\"a\\tb\"|6869|68 69|6869|`a`"},
    {"{{printf \"%d %s %v\" .ID .N .On}}", "%!d(string=abc) %!s(int=5) true"},
    {"{{printf \"%d\"}} {{printf \"%d\" 1 2}} {{printf \"%\"}} {{printf \"100%%\"}} {{printf "
     "\"%z\" 1}} {{printf \"%!\"}}",
     "%!d(MISSING) 1%!(EXTRA int=2) %!(NOVERB) 100% %!z(int=1) %!!(MISSING)"},
    {"{{printf \"%[2]d %[1]d\" 1 2}} {{printf \"%*d\" 5 42}} {{printf \"%-*d|\" 5 42}} {{printf "
     "\"%.*f\" 2 3.14159}} {{printf \"%[3]d\" 1 2}}",
     "2 1    42 42   | 3.14 %!d(BADINDEX)"},
    {"{{printf \"%s %d %q\" .List .Nums .List}}", "[a b c] [3 1 2] [\"a\" \"b\" \"c\"]"},
    {"{{printf \"%v %s\" .Labels .Labels}}", "map[a.b:c k:v z:y] map[a.b:c k:v z:y]"},
    {"{{printf \"%v %+v\" .State.Health .N}}", "map[Log:[map[Out:x] map[Out:y]]] 5"},
    {"{{printf \"%5v|%-3v|\" .Nums .List}}", "[    3     1     2]|[a   b   c  ]|"},
    {"{{printf \"%t %t %5t|\" true 1 false}}", "true %!t(int=1) false|"},
    {"{{printf \"%T %T %T\" \"a\" 1 true}}", "string int bool"},
    {"{{printf \"%q\" 'x'}} {{printf \"%c\" 0x1F600}} {{printf \"%#U\" 'x'}}",
     "'x' \xf0\x9f\x98\x80 U+0078 'x'"},
    {"{{printf \"%\xc3\xa9\" 1}}", "%!\xc3\xa9(int=1)"},
    {"{{printf \"%6d|%+.2e|%+5d|%x\" -5 12345.678 3 \"\xc3\xa9\"}}", "    -5|+1.23e+04|   +3|c3a9"},
    {"{{print 1 2 \"a\" \"b\" 3 4}} {{print \"a\" 1 true}} {{print}}|{{println}}|{{println \"a\" "
     "1}}",
     "1 2ab3 4 a1 true |\n|a 1\n"},
    {"{{print nil}} {{print .None .List}}", "<nil> [] [a b c]"},
    {"{{html .Html}} {{js .Html}} {{urlquery .Path}} {{html 1 2}} {{\"a=b\" | js}} {{urlquery "
     "\"\xc3\xa9+&~\"}}",
     "&lt;a href=&#39;x&#39;&gt;&#34;&amp;&#34;&lt;/a&gt; \\u003Ca "
     "href\\u003D\\'x\\'\\u003E\\\"\\u0026\\\"\\u003C/a\\u003E %2Fa%2Fb+c 1 2 a\\u003Db "
     "%C3%A9%2B%26~"},
    {"{{split \"a,b,c\" \",\"}} {{len (split \"abc\" \"\")}} {{index (split \"a:b\" \":\") 1}} "
     "{{split \"\" \",\"}}| {{split \"a\" \",\"}} {{split \"a,\" \",\"}}",
     "[a b c] 3 b []| [a] [a ]"},
    {"{{join .List \"-\"}} {{join (split \"a b\" \" \") \"+\"}}", "a-b-c a+b"},
    {"{{title \"hello wOrld foo-bar x_y 1a don't\"}} {{upper \"abC\"}} {{lower \"ABc\"}} {{pad "
     "\"x\" 2 3}}| {{pad \"\" 2 2}}| {{truncate \"abcdef\" 3}} {{truncate \"ab\" 5}}",
     "Hello WOrld Foo-Bar X_y 1a Don'T ABC abc   x   | | abc ab"},
    {"{{eq 1 1}} {{eq 1 2}} {{eq \"a\" \"b\" \"a\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt \"b\" "
     "\"a\"}} {{ge 1.5 1.5}} {{eq true true}} {{lt .Neg .N}}",
     "true false true true true true true true true true"},
    {"{{index .NoLabels \"x\" | print}}|", "|"},
    {"{{define \"t\"}}<{{.}}>{{end}}{{template \"t\" .ID}}{{template \"t\"}}", "<abc><<no value>>"},
    {"{{block \"b\" .State}}{{.Pid}}{{end}}", "7"},
    {"{{define \"r\"}}{{if .}}{{len .}}{{template \"r\" (slice . 1)}}{{end}}{{end}}{{template "
     "\"r\" .List}}",
     "321"},
    {"{{template \"late\" 1}}{{define \"late\"}}L{{$}}{{end}}", "L1"},
    {"{{.List | printf \"%v\" | len}}", "7"},
    {"{{with $y := 3}}{{$y}}{{end}}{{range $i, $e := .List}}{{if $i}}, {{end}}{{$e}}{{end}}",
     "3a, b, c"},
    {"{{ .ID\n }}{{ \t.N }}", "abc5"},
    {"plain } { text {", "plain } { text {"},
    {"{{\"}}\"}}{{`}}`}}", "}}}}"},
    {"{{(print 1 2) | len}}", "3"},
    {"{{range $k, $v := .Mixed}}{{$k}}={{$v}} {{end}}", "a=[1 x map[q:false]] b=<nil> "},
    {"{{not true}} {{not 0}} {{not \"x\"}}", "false true false"},
    {"{{print (1)}} {{(1)}} {{print (print (print 1))}}", "1 1 1"},
    {"{{len .Mixed.a}} {{(index .Mixed.a 2).q}}", "3 false"},
    {"{{printf \"%d items\" (len .List)}}", "3 items"},
    {"{{range $i, $_ := .List}}{{$i}}{{end}}", "012"},
    {"{{\"\\a\\b\\f\\v\\r\" | printf \"%q\"}} {{printf \"%q\" \"\\u00ff\\u2028\\x80\"}}",
     "\"\\a\\b\\f\\v\\r\" \"\xc3\xbf\\u2028\\x80\""},
    {"{{$a := 1}}{{$b := 2}}{{$a}}{{$b}}{{print $a $b}}", "121 2"},
    {"{{or .Empty .ID | upper}}", "ABC"},
    {"{{if eq .State.Status \"running\" \"paused\"}}up{{end}}", "up"},
    {"{{-3}} {{- 3}}", "-33"},
    {"{{.U | printf \"%v\"}}", "18446744073709551615"},
    /* Go's later versions, for 1.19 does not know them. */
    {"{{range 3}}{{.}}{{end}}", "012"},
    {"{{with .Empty}}a{{else with .ID}}{{.}}{{end}}", "abc"},
    /* Ours: numbers beyond int64 stay whole; numbers compare across kinds; case is forgiven; printf pads an int to no more than it may. */
    {"{{.U}}", "18446744073709551615"},
    {"{{eq 1 1.0}} {{lt 1 1.5}}", "true true"},
    {"{{.id}} {{.STATE.status}}", "abc running"},
};

static void test_good(void **state)
{
        struct json_object *doc = parse(DOC);

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                check(good[i].text, doc, NULL, good[i].expected, NULL, NULL);
        json_unref(doc);
}

static const struct {
        const char *text, *message;
} bad[] = {
    {"{{.ID", "1:1: this action is not ended: '}}' is missing"},
    {"ab{{range .List}}", "1:5: 'range' without an 'end'"},
    {"{{if}}x{{end}}", "1:5: a value is missing here"},
    {"{{}}", "1:3: a value is missing here"},
    {"{{.A.}}", "1:5: unexpected '.' in an operand"},
    {"{{..A}}", "1:5: this has no fields"},
    {"{{.ID .N}}", "1:4: 'ID' is no method but has arguments"},
    {"{{\"abc}}", "1:3: this string is not ended"},
    {"{{'a}}", "1:3: this character is not ended"},
    {"{{'ab'}}", "1:3: ''ab'' is no character of Go"},
    {"{{$x}}", "1:3: variable '$x' is not defined"},
    {"{{nosuch 1}}", "1:3: function 'nosuch' is not defined"},
    {"{{end}}", "1:6: 'end' without anything to end"},
    {"{{else}}", "1:3: 'else' without an 'if', 'with' or 'range'"},
    {"{{if .On}}a{{else}}b{{else}}c{{end}}", "1:27: unexpected '}}' in else: 'end' is missing"},
    {"{{break}}", "1:3: this stands outside of any range"},
    {"{{continue}}", "1:3: this stands outside of any range"},
    {"{{range .List}}{{end}}{{break}}", "1:25: this stands outside of any range"},
    {"{{template \"nope\"}}", "1:3: template 'nope' is not defined"},
    {"{{template nope}}", "1:12: unexpected 'nope' in a template's name, which is a quoted string"},
    {"{{define \"x\"}}", "1:3: this definition has no 'end'"},
    {"{{if .On}}{{define \"x\"}}{{end}}{{end}}", "1:13: unexpected 'define' in a block"},
    {"{{1 | 2}}", "1:7: a pipeline goes on with a function, not a value"},
    {"{{.ID | \"x\"}}", "1:9: a pipeline goes on with a function, not a value"},
    {"{{nil}}", "1:3: nil is not a command"},
    {"{{(1}}", "1:5: unexpected '}}' in an action"},
    {"{{1)}}", "1:4: unexpected ')' in an action"},
    {"{{/* a}}", "1:1: this comment is not ended"},
    {"{{/* a */ b}}", "1:10: a comment ends before its '}}', with nothing between"},
    {"{{index .List 9}}", "1:3: index out of range: 9"},
    {"{{index .ID 99}}", "1:3: index out of range: 99"},
    {"{{index .N 0}}", "1:3: can't index item of type int"},
    {"{{index .List \"a\"}}", "1:3: index: expected an int, not string"},
    {"{{index .Labels 1}}", "1:3: index: a map's key is a string, not int"},
    {"{{index nil 1}}", "1:3: index of nil"},
    {"{{len .N}}", "1:3: len of type int"},
    {"{{len nil}}", "1:3: len of type nil"},
    {"{{slice .List 2 1}}", "1:3: invalid slice index: 2 > 1"},
    {"{{slice .List 9}}", "1:3: index out of range: 9"},
    {"{{slice .N 1}}", "1:3: can't slice item of type int"},
    {"{{slice \"abc\" 1 2 3}}", "1:3: cannot 3-index slice a string"},
    {"{{eq}}", "1:3: eq takes at least 2 arguments, not 0"},
    {"{{eq 1}}", "1:3: eq takes at least 2 arguments, not 1"},
    {"{{eq 1 \"a\"}}", "1:3: incompatible types for comparison: int and string"},
    {"{{lt true false}}", "1:3: invalid type for comparison: bool and bool"},
    {"{{eq .List .List}}", "1:3: non-comparable type slice"},
    {"{{range .ID}}{{end}}", "1:10: range can't iterate over string"},
    {"{{.ID.X}}", "1:4: can't evaluate field 'X' in type string"},
    {"{{range $a, $b, $c := .List}}{{end}}", "1:11: unexpected ','"},
    {"{{$a, $b := .List}}", "1:7: only range takes two variables"},
    {"{{if $a, $b := .List}}{{end}}", "1:10: only range takes two variables"},
    {"{{$x = 1}}", "1:3: variable '$x' is not defined"},
    {"{{call .ID}}", "1:3: call: there are no functions among these values, but string"},
    {"{{upper .List}}", "1:3: upper: expected a string, not slice"},
    {"{{upper}}", "1:3: upper takes 1 argument, not 0"},
    {"{{upper \"a\" \"b\"}}", "1:3: upper takes at most 1 argument, not 2"},
    {"{{join \"a\" \",\"}}", "1:3: join: expected a list, not string"},
    {"{{truncate \"a\" -1}}", "1:3: truncate: the length is negative: -1"},
    {"{{1.2.3}}", "1:3: '1.2.3' is no number of Go"},
    {"{{0x}}", "1:3: '0x' is no number of Go"},
    {"{{09}}", "1:3: '09' is no number of Go"},
    {"{{1__0}}", "1:3: '1__0' is no number of Go"},
    {"{{\"\\q\"}}", "1:3: '\"\\q\"' is no string of Go"},
    {"{{\"\\ud800\"}}", "1:3: '\"\\ud800\"' is no string of Go"},
    {"{{.A#}}", "1:5: unexpected '#'"},
    {"{{,}}", "1:3: unexpected ',' in an action"},
    {"{{:= 1}}", "1:3: unexpected ':=' in an action"},
    {"{{1 .ID}}", "1:3: this is no function but has arguments"},
    {"{{\"a\" \"b\"}}", "1:3: this is no function but has arguments"},
    {"{{true.X}}", "1:8: this has no fields"},
    {"{{nil.X}}", "1:7: this has no fields"},
    {"{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}",
     "1:17: templates call each other too deeply"},
    {"{{not}}", "1:3: not takes 1 argument, not 0"},
    {"{{.ID | 1}}", "1:9: a pipeline goes on with a function, not a value"},
    {"{{print (}}", "1:10: unexpected '}}' in an action"},
    {"{{else if .On}}{{end}}", "1:3: 'else' without an 'if', 'with' or 'range'"},
    {"{{range .List}}{{else}}{{break}}{{end}}", "1:26: this stands outside of any range"},
    {"{{99999999999999999999}}", "1:3: '99999999999999999999' is no number of Go"},
    {"{{printf 1}}", "1:3: printf: expected a string, not int"},
    {"{{.List.x}}", "1:4: can't evaluate field 'x' in type slice"},
    {"{{$.Nope.X.Y}}{{.N.X}}", "1:3: can't evaluate field 'Nope' in type struct"},
    {"{{and}}", "1:3: and takes arguments"},
    {"{{with}}{{end}}", "1:7: a value is missing here"},
    {"{{a := 1}}", "1:3: function 'a' is not defined"},
    {"{{\"a\nb\"}}", "1:3: this string is not ended"},
    {"{{.ID | }}", "1:9: a value is missing here"},
    {"{{| .ID}}", "1:3: a value is missing here"},
    {"{{.ID || .N}}", "1:8: a value is missing here"},
};

static void test_bad(void **state)
{
        struct json_object *doc = parse(DOC);

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                check(bad[i].text, doc, NULL, NULL, bad[i].message, "^");
        json_unref(doc);
}

/* Maps by name: their missing keys are no error. */
static void test_maps(void **state)
{
        static const char *const maps[] = {"Labels", "Ports", NULL};
        static const struct template_opts o = {.maps = maps};
        static const struct {
                const char *text, *expected, *message;
        } cases[] = {
            {"{{.Labels.x}} {{.Labels.x.y}} {{.Labels.k}}", "<no value> <no value> v", NULL},
            {"{{index .Labels \"x\"}}|{{index .Ports \"x\"}}", "|[]", NULL},
            {"{{if .Labels.x}}a{{else}}b{{end}} {{with .Labels}}{{.x}}{{end}}", "b <no value>",
             NULL},
            {"{{print .Labels.x}} {{json .Labels.x}} {{html .Labels.x}}",
             "<nil> null &lt;no value&gt;", NULL},
            {"{{printf \"%v %s\" .Labels.x .Nil}}", "<nil> %!s(<nil>)", NULL},
            {"{{.Nil}} {{print .Nil}} {{json .Nil}} {{if .Nil}}a{{else}}b{{end}}",
             "<nil> <nil> null b", NULL},
            {"{{range .Nil}}x{{else}}none{{end}} {{eq .Nil nil}} {{ne .Labels.x nil}}",
             "none true false", NULL},
            {"{{.Labels.K}}", "<no value>", NULL},
            {"{{.Nope}}", NULL, "can't evaluate field 'Nope' in type struct"},
            {"{{.Nil.X}}", NULL, "nil has no field 'X'"},
            {"{{index . \"Nope\"}}", NULL, "nothing under 'Nope'"},
            {"{{.Two}}", NULL, "can't evaluate field 'Two'"},
            {"{{index .Nil \"x\"}}", NULL, "index of nil"},
        };
        struct json_object *doc =
            parse("{\"Labels\":{\"k\":\"v\"},\"Ports\":{\"80\":[]},\"Nil\":null,"
                  "\"TWO\":1,\"two\":2}");

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                check(cases[i].text, doc, &o, cases[i].expected, cases[i].message, NULL);
        json_unref(doc);
}

static int label(struct json_object *receiver, const char *const *args, void *arg,
                 struct json_object **ret, struct err **reterr)
{
        if (strcmp(args[0], "bad") == 0)
                return err_new(reterr, ERR_USAGE, "no label '%s'", args[0]);
        *ret = json_object_new_string(strcmp(args[0], "k") == 0 ? arg : "");
        return 0;
}

static void test_methods(void **state)
{
        static const struct template_method methods[] = {{"Label", 1, label}, {0}};
        struct template_opts o = {.methods = methods, .arg = (char[]){"value"}};
        static const struct {
                const char *text, *expected, *message;
        } cases[] = {
            {"{{.Label \"k\"}}|{{.Label \"x\"}}|{{\"k\" | .Label}}|{{$.Label \"k\" | upper}}",
             "value||value|VALUE", NULL},
            {"{{range .L}}{{$.Label .}}{{end}}", "value", NULL},
            {"{{with (.Label \"k\")}}{{.}}{{end}}", "value", NULL},
            {"{{.Label}}", NULL, "Label takes 1 arguments, not 0"},
            {"{{.Label \"a\" \"b\"}}", NULL, "takes 1 arguments, not 2"},
            {"{{.Label 1}}", NULL, "expected a string"},
            {"{{.Label \"bad\"}}", NULL, "no label 'bad'"},
            {"{{.ID \"x\"}}", NULL, "is no method but has arguments"},
            {"{{.Nope}}", NULL, "can't evaluate field 'Nope'"},
        };
        struct json_object *doc = parse("{\"ID\":\"i\",\"L\":[\"k\"]}");

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                check(cases[i].text, doc, &o, cases[i].expected, cases[i].message, NULL);
        json_unref(doc);
}

static void test_headings(void **state)
{
        static const struct template_opts o = {.headings = true};
        struct json_object *doc = parse("{\"ID\":\"CONTAINER id\"}");

        check("{{upper .ID}} {{.ID | lower}} {{json .ID}} {{truncate .ID 3}} {{join .ID \",\"}} "
              "{{title .ID}} {{split .ID \"/\"}} {{pad .ID 1 1}} {{len .ID}}",
              doc, &o,
              "CONTAINER id CONTAINER id CONTAINER id CONTAINER id CONTAINER id CONTAINER id "
              "CONTAINER id  CONTAINER id  12",
              NULL, NULL);
        json_unref(doc);
}

static void test_flags_and_uses(void **state)
{
        struct json_object *doc = parse("{\"A\":{\"B\":1}}");
        struct strbuf out = {0};
        struct template *t = NULL;
        struct err *e = NULL;

        assert_ok(template_parse("a\\tb\\n\\x\\{{.A.B}}\\", TEMPLATE_ESCAPES, &t, &e), e);
        assert_ok(template_execute(t, doc, NULL, &out, &e), e);
        assert_string_equal(out.data, "a\tb\n\\x\\1\\");
        assert_true(template_uses(t, "A") && template_uses(t, "B") && !template_uses(t, "C"));
        strbuf_release(&out);
        template_free(t);
        json_unref(doc);
}

static void test_errors_point_at_the_place(void **state)
{
        struct json_object *doc = parse("{\"ID\":\"x\",\"L\":[]}");

        check("a\n{{.ID}} {{.Nope}}", doc, NULL, NULL,
              "template: 2:12: can't evaluate field 'Nope'",
              "{{.ID}} {{.Nope}}\n           ^ known here: .ID .L");
        check("\xc3\xa4{{nosuch}}", doc, NULL, NULL, "1:4: function 'nosuch' is not defined",
              "\xc3\xa4{{nosuch}}\n   ^");
        /* Of a long line, the part that matters. */
        check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              "aaaa"
              "{{.ID",
              doc, NULL, NULL, "this action is not ended", "a{{.ID\n");
        json_unref(doc);
}

static void repeated(struct strbuf *b, const char *s, size_t n)
{
        while (n-- > 0)
                strbuf_add(b, s);
}

/* Time, memory, output and depth are bounded. */
static void test_limits(void **state)
{
        static const struct template_opts o = {.output_max = 100000, .steps_max = 100000};
        static const struct {
                const char *text, *message;
        } cases[] = {
            {"{{range 1000000000}}{{end}}", "too much memory"},
            {"{{$l := split \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" \"\"}}{{range $l}}{{range "
             "$l}}{{range $l}}{{range $l}}{{end}}{{end}}{{end}}{{end}}",
             "too m"},
            {"{{range 1000}}{{printf \"%9999d\" 1}}{{end}}", "too much memory"},
            {"{{define \"r\"}}aaaaaaaa{{template \"r\"}}{{end}}{{template \"r\"}}", "too deeply"},
            {"{{define \"r\"}}{{range 100}}{{template \"r\"}}{{end}}{{end}}{{template \"r\"}}",
             "too "},
        };
        struct json_object *doc = parse("{}");
        struct strbuf deep = {0};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                check(cases[i].text, doc, &o, NULL, cases[i].message, NULL);
        strbuf_add(&deep, "{{");
        repeated(&deep, "(", 1000);
        strbuf_add(&deep, "}}");
        check(deep.data, doc, &o, NULL, "too deeply nested", NULL);
        strbuf_release(&deep);
        repeated(&deep, "{{if 1}}", 1000);
        check(deep.data, doc, &o, NULL, "too deeply nested", NULL);
        strbuf_release(&deep);
        strbuf_add(&deep, "{{if 1}}");
        repeated(&deep, "{{else if 1}}", 1000);
        check(deep.data, doc, &o, NULL, "too deeply nested", NULL);
        strbuf_release(&deep);
        repeated(&deep, "0123456789", TEMPLATE_SOURCE_MAX / 10 + 1);
        check(deep.data, doc, &o, NULL, "longer than", NULL);
        strbuf_release(&deep);
        json_unref(doc);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good),
            cmocka_unit_test(test_bad),
            cmocka_unit_test(test_maps),
            cmocka_unit_test(test_methods),
            cmocka_unit_test(test_headings),
            cmocka_unit_test(test_flags_and_uses),
            cmocka_unit_test(test_errors_point_at_the_place),
            cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
