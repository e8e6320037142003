import { Template } from "../../../../../services/shared/base/jinja/template.js";

const refusal = (source: string, values: Readonly<Record<string, unknown>> = {}): string => {
  try {
    new Template(source).render(values);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was rendered");
};

/** Sets `n.t` anew so many times. */
const again = (times: number, first: string, next: string, then = "") =>
  `{% set n = namespace(t=${first}) %}{% for i in range(${times}) %}{% set n.t = ${next} %}{% endfor %}${then}`;

describe("Template.render()", () => {
  it.each([
    ["a text times a number", "{{ 'a' * 10**9 }}"],
    ["a list times a number", "{{ [1] * 10**8 }}"],
    ["a tuple times a number", "{{ (1, 2) * 10**7 }}"],
    ["a marked text times a number", "{{ ('ab' | safe) * 10**8 }}"],
    ["doubled texts", again(60, "'ab'", "n.t + n.t")],
    ["doubled texts by ~", again(60, "'ab'", "n.t ~ n.t")],
    ["doubled lists", again(60, "[1]", "n.t + n.t")],
    ["doubled tuples", again(60, "(1,)", "n.t + n.t")],
    ["joins within joins", again(60, "'ab'", "[n.t, n.t, n.t] | join(n.t)")],
    ["the method join", again(60, "'ab'", "n.t.join([n.t, n.t, n.t])")],
    ["replace by what is longer", again(60, "'aa'", "n.t.replace('a', 'aaaa')")],
    ["replace between all characters", again(60, "'aa'", "n.t | replace('', 'aaaa')")],
    ["a wide ljust", "{{ 'a'.ljust(10**8) }}"],
    ["a wide center", "{{ 'a' | center(10**8) }}"],
    ["a wide zfill", "{{ 'a'.zfill(10**9) }}"],
    ["a wide indent", "{{ 'a\\nb' | indent(10**9) }}"],
    ["an indent of many lines", "{{ ('\\n' * 10**6) | indent(10**4) }}"],
    ["wide tabs", "{{ ('\\t' * 10**5).expandtabs(10**5) }}"],
    ["a wide format", "{{ '%1000000000d' % 1 }}"],
    ["a width that is given", "{{ '%*d' % (10**9, 1) }}"],
    ["many wide formats", "{{ ('%9999999s' * 100) % ((1,) * 100) }}"],
    ["many long fractions", "{{ ('%.65000f' * 5000) % ((0.1,) * 5000) }}"],
    ["a wide format field", "{{ '{:1000000000}'.format(1) }}"],
    ["a wide field with group marks", "{{ '{:0100000,}'.format(1) }}"],
    ["many wide format fields", "{{ ('{0:9999999}' * 100).format(1) }}"],
    ["a wide date", "{{ strftime_now('%1000000000d') }}"],
    ["batches that are filled up", "{{ [1] | batch(10**9, 0) | list }}"],
    ["slices without end", "{{ [1] | slice(10**9) | list }}"],
    ["a large range", "{{ range(10**9) | list }}"],
    ["a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
    [
      "macros that call each other twice",
      `${["a", "b"].map((m, i) => `{% macro ${m}() %}{% if true %}{{ ${"ba"[i]}() }}{{ ${"ba"[i]}() }}{% endif %}{% endmacro %}`).join("")}{{ a() }}`,
    ],
    ["a caller that calls itself", "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}"],
    ["a loop that calls itself", `${again(500, "[]", "[n.t]")}{% for x in [n.t] recursive %}{{ loop(x) }}{% endfor %}`],
    ["a list within lists", again(5000, "[]", "[n.t]", "{{ n.t }}")],
    ["a dict within dicts as JSON", again(5000, "{}", "{'a': n.t}", "{{ n.t | tojson }}")],
    ["lists that double", again(60, "['ab']", "[n.t, n.t]", "{{ n.t }}")],
    ["lists that double as JSON", again(60, "['ab']", "[n.t, n.t]", "{{ n.t | tojson }}")],
    [
      "lists that double, compared",
      `${again(60, "['ab']", "[n.t, n.t]")}${again(60, "['ab']", "[n.t, n.t]").replaceAll("n.t", "o.t").replace("set n", "set o")}{{ n.t == o.t }}`,
    ],
    ["tuples that double as keys", again(60, "('ab',)", "(n.t, n.t)", "{{ {n.t: 1} }}")],
    [
      "wide JSON",
      again(50, "[1]", "[n.t]", "{{ (n.t,) * 9999 | int }}{{ [n.t] * 9999 | tojson(indent=1024) }}").replace(
        "[n.t] * 9999 | tojson",
        "([n.t] * 9999) | tojson",
      ),
    ],
    ["whole numbers without end", again(99, "10", "n.t * n.t")],
    ["a power without end", "{{ 10 ** (10 ** 10) }}"],
    ["a whole number of a million digits", "{{ ('9' * 10**6) | int(base=7) + 1 }}{{ 'a' * 10**9 }}"],
    ["long texts, read over and over", "{% for i in range(99999) %}{{ ('a' * 10**7) | length }}{% endfor %}"],
    ["characters of long texts", "{% set t = '😀' * 10**6 %}{% for i in range(99999) %}{{ t[i] }}{% endfor %}"],
    ["tags to strip", "{{ ('<>' * 10**6) | striptags }}"],
    ["long lines", "{{ ('\\n' * 10**7).splitlines() | length }}"],
    ["many words", "{{ ('a ' * 8 * 10**6).split() | length }}"],
    ["long texts compared", "{% set t = 'a' * 10**7 %}{% set u = 'a' * 10**7 %}{% for i in range(99999) %}{{ t == u }}{% endfor %}"],
    ["a sum of texts in lists", "{{ ([['a' * 10**6]] * 5000) | sum(start=[]) }}{{ 'a' * 10**9 }}"],
    ["a long path of attributes", "{{ ([{}] * 10**5) | map(attribute='a.' * 10**4 ~ 'a', default={}) | list }}"],
  ])("ends %s with an error", (_, source) => {
    const started = performance.now();
    expect(refusal(source)).toMatch(/^(MemoryError|OverflowError|RecursionError|TimeoutError|ValueError): /);
    // None of them would end by itself within an hour, or without all memory; this leaves room for a machine that is busy.
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it.each([
    ["parentheses", `{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}`],
    ["lists", `{{ ${"[".repeat(5000)}${"]".repeat(5000)} }}`],
    ["calls", `{{ ${"a(".repeat(5000)}${")".repeat(5000)} }}`],
    ["negations", `{{ ${"not ".repeat(5000)}1 }}`],
    ["signs", `{{ ${"- ".repeat(5000)}1 }}`],
    ["conditions", `{{ ${"1 if 1 else ".repeat(5000)}1 }}`],
    ["attributes", `{{ a${".b".repeat(50_000)} }}`],
    ["items", `{{ a${"[0]".repeat(50_000)} }}`],
    ["filters", `{{ a${"|e".repeat(50_000)} }}`],
    ["sums", `{{ 1${"+1".repeat(50_000)} }}`],
    ["statements", `${"{% if 1 %}".repeat(5000)}${"{% endif %}".repeat(5000)}`],
    ["a template of 5 MB", "a".repeat(5e6)],
  ])("refuses %s without end before the stack ends", (_, source) => {
    expect(refusal(source)).toMatch(/^(MemoryError|RecursionError): /);
  });

  it("leaves room for all that a conversation takes", () => {
    const messages = Array.from({ length: 2000 }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: `${i} `.repeat(500) }));
    const source =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim | replace('1', 'one') }}{{ m.content.split('9')[0] }}{{ m | tojson }}\n{% endfor %}";
    expect(new Template(source).render({ messages }).length).toBeGreaterThan(8_000_000);
    const nested = `${"{% if true %}".repeat(40)}x${"{% endif %}".repeat(40)}{{ ${"(".repeat(40)}1${")".repeat(40)} }}{{ a${" ~ 1".repeat(500)} }}`;
    expect(new Template(nested).render({ a: "" })).toBe(`x1${"1".repeat(500)}`);
    const recursive =
      "{% macro m(i) %}{% if i %}{% for x in [i] %}{{ m(x - 1) }}{% endfor %}{% endif %}{{ i }}{% endmacro %}{{ m(60) | length }}";
    expect(new Template(recursive).render({})).toBe("112");
  });
});
