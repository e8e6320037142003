"""Writes fixtures/jinja/tables.json: templates made by tables, and what transformers' own Jinja environment makes of them.

    python test/golden/jinja_tables.py     (jinja2, transformers)

A text is recorded, or that it raises: syntax, white space, every method and filter over several values, every strftime directive.
"""

import copy
import datetime
import json
from pathlib import Path

from transformers.utils import chat_template_utils

OUT = Path(__file__).parent / "fixtures" / "jinja" / "tables.json"
NOW = datetime.datetime(2026, 3, 2, 14, 17, 4)  # a Monday, in whatever time zone


class Frozen(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = Frozen

CONTEXT = {
    "s": "Hello World, it's 2026",
    "u": "Größe ﬁ ǅ ß 😀 日本",
    "blank": "  a b\n\tc  ",
    "lines": "one\ntwo\r\nthree\n\nfive",
    "empty": "",
    "i": 42,
    "neg": -7,
    "big": 12345678901234567890,
    "f": 2.5,
    "g": 1e16,
    "h": 1e-05,
    "whole": 3.0,
    "yes": True,
    "no": False,
    "none": None,
    "list": [3, 1, 2],
    "words": ["b", "A", "c", "a"],
    "mixed": [1, "two", None, 3.0, True, [4], {"k": "v"}],
    "nolist": [],
    "d": {"b": 1, "a": "x", "C": [1, 2]},
    "rows": [
        {"name": "x", "n": 2, "tag": "p"},
        {"name": "Y", "n": 1, "tag": "q"},
        {"name": "z", "n": 2, "tag": "P"},
    ],
    "nested": {"a": {"b": [{"c": 1}]}},
    "odd": "tab\there \"quote\" 'single' back\\slash \x07 \u200b end",
    "html": "<a href='x'>&amp;</a>",
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}, {"role": "user", "content": "bye"}],
}
VALUES = [k for k in CONTEXT if k != "messages"]

SYNTAX = r"""
{{ 1 + 2 * 3 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 7 / 2 }}|{{ 6 / 2 }}
{{ 2 ** 3 ** 2 }}|{{ -2 ** 2 }}|{{ 1 - -1 }}|{{ +3 }}|{{ - 3 }}
{{ 1.5 + 1 }}|{{ 1e3 }}|{{ 1E-5 }}|{{ 0.1 + 0.2 }}|{{ 1_000 }}|{{ 0x1F }}|{{ 0b101 }}|{{ 0o17 }}
{{ 10 ** 30 }}|{{ 9007199254740993 }}|{{ 9007199254740993 + 1 }}|{{ big * 2 }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.0 }}|{{ 'a' * 3 }}|{{ 3 * 'ab' }}|{{ [1] * 2 }}|{{ (1,) + (2,) }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + (2,) }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 1 == 1.0 }}|{{ true == 1 }}|{{ '1' == 1 }}|{{ none == false }}|{{ [1, 2] == [1, 2] }}|{{ {'a': 1} == {'a': 1.0} }}|{{ (1,) == [1] }}
{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}|{{ 1 != 2 }}|{{ 2 >= 2.0 }}
{{ 'a' < 1 }}
{{ none < 1 }}
{{ 1 in [1, 2] }}|{{ 'a' in 'cat' }}|{{ 'x' not in 'cat' }}|{{ 'b' in d }}|{{ 3 not in list }}|{{ 1 in nothing }}
{{ 1 in 'a' }}
{{ not true or true and false }}|{{ not (true or false) }}|{{ 'x' or 'y' }}|{{ '' or 'y' }}|{{ 'x' and 'y' }}|{{ 0 and 'y' }}
{{ 'a' if yes else 'b' }}|{{ 'a' if no else 'b' }}|{{ 'a' if no }}|{{ 'a' if no else 'b' if no else 'c' }}
{{ [1, 'a', none, true, 1.0, (1, 2), (1,), (), {'a': [1]}, {}] }}
{{ {'a': 1, 2: 'b', none: true, 1.5: 'x'} }}|{{ {1: 'a', true: 'b'} }}
{{ (1, 2)[0] }}|{{ [1, 2, 3][-1] }}|{{ 'abc'[1] }}|{{ 'abc'[-1] }}|{{ [1][5] }}|{{ 'abc'[9] }}|{{ d['b'] }}|{{ d['zz'] }}|{{ d.b }}|{{ d.zz }}
{{ list[0:2] }}|{{ list[::-1] }}|{{ list[1:] }}|{{ list[:-1] }}|{{ u[2:5] }}|{{ s[::2] }}|{{ s[-4:] }}|{{ list[5:9] }}|{{ s[10:2:-3] }}|{{ list[none:2] }}
{{ list[::0] }}
{{ list['a'] }}
{{ d[list] }}
{{ u[5] }}|{{ u | length }}|{{ u | reverse }}
{{ nested.a.b[0].c }}|{{ nested['a']['b'][0]['c'] }}|{{ nested.a.x }}|{{ nested.a.x is defined }}
{{ nested.x.y }}
{{ nothing }}|{{ nothing is defined }}|{{ nothing or 'd' }}|{{ nothing ~ 'x' }}|[{% for x in nothing %}x{% endfor %}]
{{ nothing.a }}
{{ nothing['a'] }}
{{ nothing() }}
{{ nothing + 1 }}
{{ -nothing }}
{{ nothing == nothing2 }}|{{ nothing != 1 }}|{{ nothing is none }}
{{ nothing < 1 }}
{{ i() }}
{{ 'a' 'b' "c" }}|{{ "\x41\u00e9\n\t\\ \'" }}|{{ '\q' }}|{{ "\101" }}
{{ d.items() }}|{{ d.keys() | list }}|{{ d.values() | list }}|{{ d.get('b') }}|{{ d.get('z') }}|{{ d.get('z', 5) }}
{{ d.items() | list }}|{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{{ list.append(1) }}
{{ d.update({}) }}
{{ d.pop('a') }}
{{ list.append }}|
{{ s.__class__ }}|
{{ s.__class__.__mro__ }}
{{ list.index(2) }}|{{ list.count(1) }}|{{ list.copy() }}|{{ (1, 2).index(2) }}
{{ list.index(9) }}
{{ range(5) | list }}|{{ range(1, 4) | list }}|{{ range(5, 0, -2) | list }}|{{ range(0) | list }}
{{ range(200000) | list }}
{{ dict(a=1, b='x') }}|{{ dict({'q': 1}, z=2) }}|{{ dict([('a', 1)]) }}
{% set x = 1 %}{{ x }}{% set x, y = 2, 3 %}{{ x }}{{ y }}{% set (a, b) = (4, 5) %}{{ a }}{{ b }}
{% set x %}abc{{ i }}{% endset %}{{ x }}|{% set y | upper %}abc{% endset %}{{ y }}
{% set ns = namespace(a=1) %}{% for x in [1, 2] %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}
{% set d.x = 1 %}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% for y in [1] %}{% set x = 3 %}{{ x }}{% endfor %}{{ x }}
{% for x in [1, 2, 3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in [1, 2, 3] %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.cycle('a', 'b') }} {% endfor %}
{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% else %}none{% endfor %}
{% for x in [] %}{{ x }}{% else %}none{% endfor %}|{% for x in [1] if false %}x{% else %}none{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}|{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in [1, 2, 3, 4] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% break %}
{% for x in [{'v': 1, 'c': [{'v': 2, 'c': []}]}] recursive %}{{ x.v }}{{ loop.depth }}[{{ loop(x.c) }}]{% endfor %}
{% for x in 'añ😀' %}{{ x }},{% endfor %}|{% for k in d %}{{ k }}{% endfor %}
{% macro f(a, b=2, *c) %}{% endmacro %}
{% macro f(a, b=2) %}{{ a }}-{{ b }}-{{ varargs }}-{{ kwargs }}{% endmacro %}{{ f(1) }}|{{ f(1, 3) }}|{{ f(b=5, a=1) }}|{{ f(1, 2, 3, z=4) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f() }}|{{ f(1) | upper }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}
{% macro w(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) w('q') %}in {{ y }}{% endcall %}|{% call w(1) %}z{% endcall %}
{% macro f() %}{{ i }}{% endmacro %}{% set i = 5 %}{{ f() }}
{% filter upper %}abc {{ s }}{% endfilter %}|{% filter replace('a', 'b') | trim %} aa {% endfilter %}
{% with a = 1, b = i %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% raw %}{{ x }} {% if %}{% endraw %}|{%- raw -%}  {{ y }}  {%- endraw %}
a {# comment #} b {#- strip -#} c
{% generation %}gen{{ i }}{% endgeneration %}
{% autoescape false %}{{ html }}{% endautoescape %}
{% block x %}in {{ i }}{% endblock %}
{% include 'x' %}
{% extends 'x' %}
{% import 'x' as y %}
{% do list.append(1) %}
{% foo %}
{% if %}
{{ }}
{{ a b }}
{{ (1 }}
{{ 1 | nofilter }}
{{ 1 is notest }}
{% if 1 %}
{% endif %}
{% for x in %}{% endfor %}
{{ x. }}
{{ 'abc }}
{{ raise_exception('no') }}
{{ cycler('a', 'b').next() }}|{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}|{% set j = joiner('; ') %}{{ j() }}{{ j() }}
{{ i is divisibleby 7 }}|{{ i is divisibleby(5) }}|{{ i is even }}|{{ neg is odd }}|{{ yes is boolean }}|{{ i is integer }}|{{ f is float }}|{{ i is number }}|{{ yes is number }}|{{ yes is integer }}
{{ s is string }}|{{ d is mapping }}|{{ list is sequence }}|{{ s is iterable }}|{{ d is iterable }}|{{ i is iterable }}|{{ none is none }}|{{ yes is true }}|{{ no is false }}|{{ i is sameas i }}|{{ 1 is in [1] }}|{{ s is callable }}
{{ 'abc' is lower }}|{{ 'ABC' is upper }}|{{ 'aB' is lower }}|{{ '' is lower }}|{{ s is defined }}|{{ zz is undefined }}|{{ 5 is gt 3 }}|{{ 5 is eq 5 }}|{{ 5 is not lt 3 }}|{{ 5 is ne(4) }}|{{ 'a' is filter }}
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}|{{ messages | rejectattr('role', 'eq', 'user') | list | length }}
{{ list | select('gt', 1) | list }}|{{ list | reject('odd') | list }}|{{ mixed | select | list | length }}|{{ words | map('upper') | list }}|{{ rows | map(attribute='zz', default='-') | list }}|{{ list | map('string') | join }}
{{ rows | groupby('n') | list | length }}|{% for g in rows | groupby('n') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}|{% for k, v in rows | groupby('tag') %}{{ k }}{{ v | length }}{% endfor %}
{{ rows | sort(attribute='name') | map(attribute='name') | join }}|{{ rows | sort(attribute='n,name', reverse=true) | map(attribute='name') | join }}|{{ words | sort }}|{{ words | sort(case_sensitive=true) }}|{{ list | sort(reverse=true) }}
{{ rows | sum(attribute='n') }}|{{ list | sum }}|{{ list | sum(start=10) }}|{{ [[1], [2]] | sum(start=[]) }}|{{ [1.5, 2] | sum }}
{{ words | unique | list }}|{{ rows | map(attribute='n') | unique | list }}|{{ words | min }}|{{ words | max }}|{{ rows | max(attribute='n') }}|{{ [] | max }}
{{ list | batch(2) | list }}|{{ list | batch(2, 0) | list }}|{{ range(7) | slice(3) | list }}|{{ range(7) | slice(3, 'x') | list }}
{{ d | dictsort }}|{{ d | dictsort(true) }}|{{ {'b': 2, 'a': 3} | dictsort(by='value') }}|{{ {'b': 2, 'a': 3} | dictsort(reverse=true) }}|{{ d | items | list }}
{{ 3.7 | int }}|{{ '12' | int }}|{{ 'x' | int }}|{{ 'x' | int(5) }}|{{ '0x1f' | int(0, 16) }}|{{ '1.9' | int }}|{{ none | int }}|{{ '3.5' | float }}|{{ 'x' | float }}|{{ '1e3' | float }}
{{ 2.5 | round }}|{{ 3.5 | round }}|{{ 2.675 | round(2) }}|{{ 2.1 | round(0, 'ceil') }}|{{ 2.9 | round(0, 'floor') }}|{{ 42 | round }}|{{ 1234.567 | round(1) }}|{{ -3 | abs }}|{{ -3.5 | abs }}
{{ d | tojson }}|{{ d | tojson(indent=2) }}|{{ d | tojson(sort_keys=true) }}|{{ mixed | tojson }}|{{ u | tojson }}|{{ u | tojson(ensure_ascii=true) }}|{{ d | tojson(separators=(',', ':')) }}|{{ g | tojson }}|{{ h | tojson }}|{{ big | tojson }}|{{ html | tojson }}|{{ odd | tojson }}
{{ [] | tojson(indent=2) }}|{{ {} | tojson(indent=2) }}|{{ [[]] | tojson(indent=1) }}|{{ (1, 2) | tojson }}|{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}
{{ nothing | tojson }}
{{ '%s is %d and %.2f %5s|%-5s| %x %%' | format('a', 3, 2.5, 'r', 'l', 255) }}|{{ '%s' % 'x' }}|{{ '%(a)s' % {'a': 1} }}|{{ '%05d' % 42 }}|{{ '%+d' % 3 }}|{{ '%e' % 12345.678 }}|{{ '%g' % 0.0001 }}|{{ '%r' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '{} {}'.format(1, 'b') }}|{{ '{0}{1}{0}'.format('a', 'b') }}|{{ '{x}'.format(x=1) }}|{{ '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c') }}|{{ '{:05d}'.format(42) }}|{{ '{:.2f}'.format(2.345) }}|{{ '{:,}'.format(1234567) }}|{{ '{!r}'.format('x') }}|{{ '{{}}'.format() }}|{{ '{:%}'.format(0.5) }}
{{ html | striptags }}|{{ s | wordcount }}|{{ s | truncate(10) }}|{{ s | truncate(10, true) }}|{{ s | truncate(10, true, '!') }}|{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent('> ', blank=true) }}|{{ s | center(30) }}|{{ 1000000 | filesizeformat }}|{{ 1024 | filesizeformat(true) }}|{{ s | urlencode }}|{{ d | urlencode }}
{{ html | safe }}|{{ html | escape }}|{{ html | e ~ '<' }}|{{ (html | safe) + '<' }}|{{ '<' + (html | safe) }}|{{ html | e | safe }}|{{ html | forceescape }}|{{ html | e | tojson }}|{{ html | e is string }}{{ html | e is escaped }}|{{ (s | safe) == s }}|{{ i | safe }}|{{ d | tojson | safe }}
{{ s | first }}|{{ s | last }}|{{ list | first }}|{{ list | last }}|{{ [] | first }}|{{ nothing | first }}|{{ nothing | length }}|{{ nothing | join }}|{{ nothing | list }}|{{ nothing | upper }}|{{ nothing | default('q') }}|{{ '' | d('q') }}|{{ '' | d('q', true) }}|{{ none | default('x') }}
{{ i | length }}
{{ none | length }}
{{ nothing | int }}
{{ d | attr('b') }}|{{ s | attr('upper') is defined }}
{{ 1 | string is string }}|{{ 'a,b' | replace(',', ';') }}|{{ 'aaa' | replace('a', 'b', 2) }}|{{ ' a ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ 'hello world' | title }}|{{ "it's a-b" | title }}|{{ 'hELLO' | capitalize }}
""".strip("\n").split("\n")

WHITESPACE = [
    "a\n{% if true %}\nb\n{% endif %}\nc",
    "  {% if true %}  \n  b\n  {% endif %}  \nc",
    "x  {%- if true -%}  b  {%- endif -%}  c",
    "  {%+ if true %}b{% endif %}",
    "{% if true +%}\nb{% endif %}",
    "a\r\n{% if true %}\r\nb\r{% endif %}\r\nc\r\n",
    "a\n\n",
    "\n\na",
    "{{ 1 }}\n",
    "{{ 1 }}\n\n",
    "{{- 1 -}}\n  x",
    "a {{- 1 }} b {{ 2 -}} c",
    "  {# c #}\nx",
    "x {# c #} y\n{#- d -#}\nz",
    "{%- for x in [1, 2] %}\n  {{ x }}\n{%- endfor %}",
    "  {{ 1 }}  {% if true %}x{% endif %}  \n",
    "\t{% set x = 1 %}\n{{ x }}",
    "{% raw %}\n a {% endraw %}\nb",
    "  {% raw %} a {% endraw %}  ",
    "a\u00a0{%- if true %}b{% endif %}",
    "{% if true %}{% endif %}\n\n{% if true %}{% endif %}\nx",
    "{{ '\r\n' }}x{{ \"a\r\nb\" }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': '}}'} }}",
    "{{ '{% x %}' }}{{ \"{{\" }}",
    "line{% if true %}\n{% endif %}end",
    "a{#\n\n#}b",
    "",
    "plain text only\n",
]

METHODS = {
    "strip": ["", "'H'", "' a'", "none"], "lstrip": ["", "'H '", "'\\n'"], "rstrip": ["", "'6 '", "'\\n'"],
    "split": ["", "' '", "','", "'l', 1", "none, 1", "sep='o', maxsplit=1", "''"], "rsplit": ["", "' '", "'l', 1", "none, 1"],
    "splitlines": ["", "true"], "partition": ["'o'", "'zz'"], "rpartition": ["'o'", "'zz'"], "startswith": ["'H'", "('x', 'H')", "'e', 1", "''"],
    "endswith": ["'6'", "('x', '6')", "'l', 0, 4"], "find": ["'o'", "'zz'", "'o', 5", "''"], "rfind": ["'o'", "'zz'"], "index": ["'o'", "'zz'"], "rindex": ["'l'"],
    "count": ["'l'", "''", "'l', 4"], "replace": ["'l', 'L'", "'l', 'L', 1", "'', '-'", "'', '-', 2"], "join": ["['a', 'b']", "'abc'", "[1]"], "title": [""], "capitalize": [""],
    "upper": [""], "lower": [""], "swapcase": [""], "casefold": [""], "zfill": ["30", "2"], "center": ["30", "31, '*'"], "ljust": ["30, '.'"], "rjust": ["30"],
    "isdigit": [""], "isalpha": [""], "isalnum": [""], "isspace": [""], "isupper": [""], "islower": [""], "istitle": [""], "isnumeric": [""], "isdecimal": [""], "isascii": [""],
    "isprintable": [""], "removeprefix": ["'Hello'", "'zz'"], "removesuffix": ["'2026'", "''"],
}
TEXTS = ["s", "u", "blank", "lines", "empty", "odd", "'12'", "'-5'", "'²½'", "'ABC def'", "'don\\'t stop'"]
FILTERS = [
    "abs", "batch(2)|list", "capitalize", "center(9)", "count", "default('x')", "dictsort", "first", "float", "indent", "int", "items|list", "join('-')", "last", "length", "list", "lower", "max", "min",
    "reverse|list", "round", "sort", "string", "sum", "title", "tojson", "trim", "truncate(5)", "unique|list", "upper", "urlencode", "wordcount", "map('string')|list", "select|list",
]  # fmt: skip
DIRECTIVES = "aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYZz%"  # but %s, which depends on the time zone


def cases():
    for t in [*SYNTAX, *WHITESPACE]:
        yield t, {}
    for name in VALUES:
        yield "{{ %s }}|{{ [%s] }}|{{ %s | string }}|{{ 1 if %s else 0 }}|{{ %s is string }}{{ %s is mapping }}{{ %s is sequence }}{{ %s is number }}{{ %s is none }}" % ((name,) * 9), {}
        for f in FILTERS:
            yield "{{ %s | %s }}" % (name, f), {}
        for op in ("+ 1", "* 2", "== 1", "< 2", "~ 'x'", "in list", "% 5", "// 2", "/ 2", "- 1", "** 2"):
            yield "{{ %s %s }}" % (name, op), {}
    for method, arguments in METHODS.items():
        for a in arguments:
            for text in TEXTS:
                yield "{{ %s.%s(%s) }}" % (text if text.isidentifier() else f"({text})", method, a), {}
    for d in DIRECTIVES:
        yield "{{ strftime_now('%%%s|%%-%s|%%_%s|%%^%s') }}" % (d, d, d, d) if d != "%" else "{{ strftime_now('%%|100%%') }}", {}
    yield "{{ strftime_now('%A, %d %B %Y at %H:%M') }}", {}
    yield "{{ strftime_now('') }}|{{ strftime_now('plain') }}", {}


def render(template, more):
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        return {"text": compiled.render(**copy.deepcopy({**CONTEXT, **more}))}
    except Exception as error:
        return {"raises": type(error).__name__}


def main():
    OUT.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"template": t, **render(t, more)} for t, more in cases()]
    # json.dumps would escape what no file needs escaped; one case a line keeps changes readable.
    lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    OUT.write_text('{"now": %s, "context": %s, "cases": [\n%s\n]}\n' % ([NOW.year, NOW.month - 1, NOW.day, NOW.hour, NOW.minute, NOW.second], json.dumps(CONTEXT, ensure_ascii=False), lines))
    print(len(rows), "cases,", sum("raises" in r for r in rows), "of them raise")


if __name__ == "__main__":
    main()
