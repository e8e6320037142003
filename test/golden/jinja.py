"""Renders the snippets and chat templates below as transformers does, and writes what came of it.

    python test/golden/jinja.py            # needs transformers (with jinja2)

Writes fixtures/jinja/snippets.json (the context, then template and text or error of each), forms.json (templates of the
forms that public chat templates have, over conversations) and strftime.json.
"""

import copy
import itertools
import json
import os
import sys
from datetime import datetime

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers.utils.chat_template_utils import _compile_jinja_template  # noqa: E402

sys.path.insert(0, os.path.dirname(__file__))
from jinja_forms import conversations, forms, settings  # noqa: E402

folder = os.path.join(os.path.dirname(__file__), "fixtures", "jinja")

context = {
    "messages": [
        {"role": "user", "content": "Hello\nthere 😀"},
        {"role": "assistant", "content": " y ", "tool_calls": [{"name": "f", "arguments": {"x": 1, "y": [1.5, None, True]}}]},
        {"role": "user", "content": "it's <b>"},
    ],
    "n": 7,
    "f": 2.5,
    "yes": True,
    "nothing": None,
    "words": ["pear", "Apple", "fig", "apple"],
    "numbers": [3, 1, 2, 1],
    "mixed": [1, "a", None, 2.0, True, [1], {"k": 1}],
    "people": [
        {"name": "Ann", "age": 30, "home": {"city": "Rome"}},
        {"name": "bob", "age": 25, "home": {"city": "oslo"}},
        {"name": "Cy", "age": 30},
    ],
    "d": {"b": 2, "a": 1, "C": 3, "items": "own", "_private": "p"},
    "empty": {},
    "wide": "a😀é\u0301b",
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
    "html": "<a href='x'>&\"</a>",
    "lines": "one\ntwo\r\nthree\n\nfour\u2028five",
}

values = ["0", "1", "-3", "7", "2.5", "-0.5", "1e16", "1e-5", "true", "none", "''", "'abc'", "[]", "[1, 'a']", "(1,)", "{}", "{'k': [1]}", "missing", "n", "12345678901234567890"]
operators = ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", "in", "not in", "and", "or", "~"]
texts = ["'Hello World'", "''", "'  a b  '", "'xxabxx'", "'a,b,,c'", "wide", "'ßtraße ǆ ﬁn'", "'ABC'", "'123'", "'it\\'s \"q\"'", "lines", "'a\\tb\\\\\\n'", "'²½٣'", "'ΑΣ ΑΣ.'"]
plain_methods = ["upper", "lower", "title", "capitalize", "swapcase", "casefold", "strip", "split", "splitlines", "isdigit", "isalpha", "isalnum", "isdecimal", "isnumeric", "isspace", "islower", "isupper", "istitle", "isidentifier", "isprintable", "isascii", "expandtabs"]
method_calls = """
strip('x') lstrip('xa') rstrip(' x') strip(none) split(',') split(' ', 1) split(none, 1) split(maxsplit=1) split(sep='a') rsplit(' ', 1) rsplit(none, 1) rsplit('a', 1) split('')
partition('b') rpartition('b') startswith('H') startswith(('a', 'x')) endswith('x') startswith('b', 1) endswith('a', 0, 3) find('b') find('b', 2) find('😀') rfind('b') index('b') rindex('b') count('a') count('') count('a', 1)
replace('a', 'o') replace('a', 'oo', 1) replace('', '-') replace('', '-', 2) removeprefix('xx') removesuffix('xx') removesuffix('') zfill(8) center(9) center(10, '*') ljust(8, '.') rjust(8) join(['1', '2']) join('ab') join([1])
splitlines(true) splitlines(keepends=true) format(1, 2) expandtabs(3) nosuch() encode upper(1) strip(1) ljust('a') center(9, 'ab') zfill('a') split(1)
""".split("\n")
filters = """
abs|attr('upper')|batch(2)|list|capitalize|center(11)|count|default('d')|d('d', true)|default(none)|dictsort|dictsort(true)|dictsort(by='value')|dictsort(reverse=true)|dictsort(by='x')|escape|e|forceescape|filesizeformat|filesizeformat(true)|first|float|float(9)|float('x')|format(1)|groupby('age')|indent|indent(2, true)|indent('> ', blank=true)|int|int(5)|int(base=16)|int(none)|items|join|join(', ')|join('-', attribute='name')|last|length|list|lower|map('upper')|map(attribute='name')|map(attribute='home.city', default='?')|max|min|max(attribute='age')|min(case_sensitive=true)|random_no|reject('string')|rejectattr('home')|replace('a', 'o')|replace('a', 'o', 1)|reverse|round|round(1)|round(-1)|round(1, 'ceil')|round(0, 'floor')|round(method='x')|safe|select|select('number')|select('>', 1)|selectattr('age', 'eq', 30)|selectattr('home')|slice(2)|slice(2, 'x')|sort|sort(reverse=true)|sort(case_sensitive=true)|sort(attribute='age')|sort(attribute='age,name')|string|striptags|sum|sum(attribute='age')|sum(start=10)|title|tojson|tojson(indent=2)|tojson(indent=0)|tojson(separators=(',', ':'))|tojson(sort_keys=true)|tojson(true)|tojson(indent='--')|tojson(ensure_ascii=true, indent=1)|trim|trim('a')|truncate(5)|truncate(5, true)|truncate(5, true, '!', 0)|truncate(8, false, '', 0)|unique|unique(true)|upper|urlencode|wordcount|xmlattr|nosuch|upper(1)|trim(x=1)|length(1)
""".strip()
filter_inputs = ["'a b c abc'", "wide", "3", "-2.55", "1234567", "'0x1F'", "' 12 '", "'1e3'", "'nan'", "none", "true", "missing", "[]", "numbers", "words", "people", "d", "mixed", "lines", "html", "range(5)", "d.items()", "(1, 2)"]
tests = "boolean|callable|defined|divisibleby 3|divisibleby(0)|eq 1|equalto(1)|escaped|even|odd|false|true|filter|test|float|ge 2|gt(2)|greaterthan 1|in [1, 2]|integer|iterable|le 2|lt 2|lessthan(2)|lower|upper|mapping|ne 1|none|number|sameas none|sameas(true)|sequence|string|undefined|nosuch|not none|not defined|== 1".split("|")
test_inputs = ["1", "3", "2.0", "true", "none", "'abc'", "'ABC'", "'tojson'", "[1]", "(1,)", "d", "missing", "range(3)", "d.keys()", "namespace()", "dict", "'a'|safe", "words|map('upper')"]
specs = ["", "5", "<5", ">5", "^7", "*^9", "05", "+", " ", "d", "5d", "05d", ",", "_", "x", "X", "#x", "b", "o", "#b", "c", "n", "f", ".2f", "8.3f", "+.1f", "e", ".2e", "g", ".3g", "%", ".1%", ",.2f", "s", ".2s", "r", "=+6", "010,.2f", "08,d", "!", "G", "#.3g", "E"]
spec_values = ["42", "-7", "3.14159", "-0.0", "1234567", "0.5", "1e20", "'abc'", "true", "none", "'é😀'", "[1]"]
percents = ["%s", "%r", "%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%i", "%x", "%X", "%#x", "%o", "%c", "%f", "%.2f", "%8.3f", "%e", "%g", "%.3s", "%5s", "%-5s|", "%%", "%q", "%", "%a", "%s %s"]

written = r"""
{{ none }}|{{ true }}|{{ false }}|{{ True }}|{{ None }}|{{ 1.0 }}|{{ 2.50 }}|{{ 1e3 }}|{{ 10/2 }}|{{ 7/2 }}
{{ 0x1f }}|{{ 0b101 }}|{{ 0o17 }}|{{ 1_000 }}|{{ 1_0.5 }}|{{ 1e-7 }}|{{ 123456789012345678.0 }}|{{ 0.1 + 0.2 }}
{{ 007 }}
{{ [1, 2.0, 'a', none, true, [], {}, (), (1,), (1, 2)] }}
{{ {'a': 1, 1: 'b', none: 2, (1, 2): 3, 1.0: 'c', true: 'd'} }}
{{ "it's" }}|{{ ["it's", 'say "hi"', 'both \' and "'] }}
{{ ['a\tb\nc\\', '\x00\x7f\x9f', 'é', '\u200b', '😀', '\xa0', '\u2028', '\ufeff'] }}
{{ "\u00e9\x41\101\n\q" }}|{{ 'a' 'b' "c" }}
{{ 1 < 2 < 3 }}|{{ 3 > 2 > 2 }}|{{ 1 == 1.0 == true }}|{{ 1 < 2 > 1 }}
{{ not 1 == 2 }}|{{ not true or true }}|{{ 1 if 0 else 2 if 0 else 3 }}|{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}|{{ 2 ** -1 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ -7.5 // 2 }}|{{ -7.5 % 2 }}
{{ 1 + 2 ~ 3 }}|{{ 'a' ~ 1 + 2 }}|{{ 1 ~ none ~ 2.0 ~ [1] }}
{{ 'a' in 'abc' and 'b' not in 'xyz' }}|{{ 1 in [1.0] }}|{{ 'k' in {'k': 1} }}|{{ 1 not in (2, 3) }}
{{ 2 ** 100 }}|{{ 10 ** 30 // 7 }}|{{ 10 ** 30 / 7 }}|{{ (10 ** 20) % 97 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 'a' + 1 }}
{{ [1] + (2,) }}
{{ missing + 1 }}
{{ missing.x }}
{{ missing['x'] }}
{{ missing() }}
{{ missing | length }}|{{ missing | list }}|{{ missing == missing }}|{{ missing is defined }}|{% for x in missing %}x{% else %}none{% endfor %}
{{ none.x }}
{{ none.x.y }}
{{ none[0] }}
{{ none[0:1] }}
{{ messages[0].nothere }}|{{ messages[9] }}|{{ messages[-1].role }}|{{ messages['role'] }}
{{ d.items }}
{{ d.items() | list }}|{{ d['items'] }}|{{ d.get('items') }}|{{ d.get('zz') }}|{{ d.get('zz', 'x') }}|{{ d.get('b', none) }}
{{ d.keys() }}|{{ d.values() }}|{{ d.items() }}
{{ d._private }}|{{ d['_private'] }}|{{ d.__class__ }}|{{ d['__class__'] }}|{{ ''.__class__ is defined }}
{{ ''.__class__.__mro__ }}
{{ d.copy() == d }}|{{ d.pop }}|{{ numbers.append is defined }}
{{ numbers.append(1) }}
{{ d.update({}) }}
{{ numbers.sort() }}
{{ numbers.index(2) }}|{{ numbers.count(1) }}|{{ numbers.copy() }}
{{ numbers.index(9) }}
{{ (1, 2, 1).count(1) }}|{{ (1, 2).index(2) }}|{{ range(5)[1:4] }}|{{ range(0, 10, 3) | list }}|{{ range(3) }}|{{ range(5, 0, -2) | list }}|{{ range(3)[-1] }}
{{ range(100001) }}
{{ range(1, 2, 0) }}
{{ range('a') }}
{{ numbers[1:] }}|{{ numbers[:-1] }}|{{ numbers[::-1] }}|{{ numbers[::2] }}|{{ numbers[5:] }}|{{ 'abcdef'[-3:-1] }}|{{ 'abcdef'[4:1:-1] }}|{{ (1, 2, 3)[1:] }}
{{ numbers[::0] }}
{{ numbers['a':] }}
{{ wide | length }}|{{ wide[1] }}|{{ wide[::-1] }}|{{ wide[1:3] }}|{{ wide.find('b') }}|{{ wide | reverse }}|{{ wide | list }}|{{ wide | center(9) }}
{{ wide.ljust(7, '😀') }}|{{ wide.rjust(7) }}|{{ wide.index('😀') }}|{{ wide.replace('', '-') }}|{{ wide | truncate(3, true, '', 0) }}
{{ 'a'.upper }}
{{ 'a'.join }}
{{ dict(a=1) }}|{{ dict([('a', 1), ('b', 2)]) }}|{{ dict({'a': 1}, b=2) }}|{{ dict() }}
{{ dict([1]) }}
{{ dict(1) }}
{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{% set ns.b = 'x' %}{{ ns.a }}{{ ns.b }}{{ ns }}{{ ns.zz }}
{% set ns = namespace() %}{% for i in range(3) %}{% set ns.last = i %}{% endfor %}{{ ns.last }}
{% set ns = namespace({'a': 1}, b=2) %}{% set ns.a, ns.c = 5, 6 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}
{% set ns = namespace() %}{% set ns._x = 1 %}
{% set ns = namespace(_x=1) %}
{% set d.x = 1 %}
{% set x = 1 %}{% for m in messages %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, e) = 'xy' %}{{ c }}{{ e }}
{% set a, b = 1, 2, 3 %}
{% set a, b = 1 %}
{% set x = 1, %}{{ x }}
{% set x %}a{{ n }}b{% endset %}{{ x }}|{% set y | upper | trim %} abc {% endset %}{{ y }}|{% set z | length %}abc{% endset %}{{ z + 1 }}
{% if false %}{% set q = 1 %}{% endif %}{{ q is defined }}|{% if true %}{% set q = 1 %}{% endif %}{{ q }}
{% if n > 5 and yes %}A{% elif n %}B{% else %}C{% endif %}{% if not yes %}x{% elif false %}y{% else %}z{% endif %}
{% if messages[0]['role'] == 'user', 1 %}tuple{% endif %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for k, v in d | dictsort %}{{ k }}{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{{ loop.last }}{% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [1, 2] %}{{ a }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for x in n %}{{ x }}{% endfor %}
{% for x in none %}{{ x }}{% endfor %}
{% for x in numbers if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}|{% for x in numbers if x > 9 %}{{ x }}{% else %}none{% endfor %}
{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in numbers %}[{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}]{{ loop.previtem is defined }}{{ loop.changed(x) }}{{ loop.cycle('o', 'e') }}{% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% if loop.nextitem is defined and loop.nextitem == x %}same{% endif %}{% endfor %}
{% for x in numbers %}{{ loop }}{% endfor %}
{% for x in 'a😀b' %}{{ x }}-{{ loop.length }}{% endfor %}
{% for x in numbers | select('odd') %}{{ x }}{{ loop.length }}{{ loop.last }}{% endfor %}
{% for x in numbers %}{% for y in numbers %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% if loop.index == 2 %}{% continue %}{% endif %}|{% endfor %}
{% for x in [1, 2, 3] %}{% for y in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% for item in tree recursive %}{{ loop.depth }}:{{ item.v }}{% if item.kids %}({{ loop(item.kids) }}){% endif %}{% endfor %}
{% for x in numbers %}{{ loop(numbers) }}{% endfor %}
{% for x in [] %}{% else %}{{ x is defined }}{% endfor %}{{ x is defined }}
{% set ns = namespace(found=false) %}{% for m in messages if not ns.found %}{% set ns.found = true %}{{ m.role }}{% endfor %}
{% for loop in numbers %}{% endfor %}
{% for x in numbers %}{% set loop = 1 %}{% endfor %}
{% for x in numbers %}{% break %}{% else %}else{% endfor %}|{% for x in numbers %}{% continue %}{% else %}else{% endfor %}|{% for x in numbers %}{% if x == 2 %}{% continue %}{% endif %}{% else %}else{% endfor %}
{{ 'a' % d.keys() }}
{{ 'a' % range(2) }}|{{ 'a' % missing }}
{{ not none[1:] }}|{{ ('a' | upper)[0:] }}
{% for i in [1] %}{% for j in [1] %}[{{ n }}]{% endfor %}{% set n = 2 %}[{{ n }}]{% endfor %}
{% macro m() %}{{ n }}{% endmacro %}[{{ m() }}]{% set n = 2 %}[{{ m() }}]
{% for i in [1] %}[{{ n }}]{% endfor %}{% if false %}{% set n = 2 %}{% endif %}
{% with n = n %}{{ n }}{% set f = 1 %}{% endwith %}{{ f }}
{% block b %}{{ n }}{% set n = 3 %}{{ n }}{% endblock %}{{ n }}
{% break %}
{% for x in numbers %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(b=1, a=0) }}|{{ m(1, 2, c=none) }}|{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{{ n }}{% endcall %}
{% macro m(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(v, i) m(words) %}{{ i }}{{ v }} {% endcall %}
{% macro m() %}{{ caller is defined }}{{ x }}{% endmacro %}{{ m() }}{% set x = 5 %}{{ m() }}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a, a) %}{% endmacro %}
{% macro f(k) %}{{ k }}{% if k > 0 %}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(3) }}|{{ f.name }}|{{ f.arguments }}|{{ f }}
{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}
{% set x = 1 %}{% macro f() %}{% set x = 2 %}{{ x }}{% endmacro %}{{ f() }}{{ x }}
{% macro f() %}{{ n }}{{ words | join }}{% endmacro %}{{ f() | upper }}{{ f() is string }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a is defined }}{{ c is defined }}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}|{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}
{% filter upper %}abc{{ n }}{% endfilter %}|{% filter replace('a', 'b') | upper %}aa{% endfilter %}
{% filter length %}abc{% endfilter %}
{% filter nosuch %}abc{% endfilter %}
{% raw %}{{ x }}{% if %}{% endraw %}|{%- raw -%}  {{ y }}  {%- endraw -%}  z
{% generation %}gen{{ n }}{% set gg = 1 %}{% endgeneration %}{{ gg is defined }}
{% for m in messages %}{% generation %}{{ loop.index }}{{ m.role }}{% endgeneration %}{% endfor %}
{% autoescape false %}{{ html }}{% endautoescape %}
{% block b %}x{{ n }}{% endblock %}|{% block c %}{% endblock c %}
{% block b %}{% endblock %}{% block b %}{% endblock %}
{% include 'x' %}
{% if false %}{% include 'x' %}{% endif %}ok
{% import 'x' as y %}
{% from 'x' import y %}
{% extends 'x' %}
{% do numbers.append(1) %}
{% nosuch %}
{% endif %}
{% if %}{% endif %}
{% if true %}x
{% for x in numbers %}x{% endif %}
{% for x numbers %}{% endfor %}
{{ x
{{ }}
{% %}
{# never closed
{% raw %}never
{{ 'never }}
{{ (1, 2 }}
{{ [1, 2) }}
{{ 1 2 }}
{{ a b }}
{{ $ }}
{{ x | }}
{{ x is }}
{{ x is defined is none }}
{{ f(a=1, 2) }}
{{ f(**d, **d) }}
{{ f(a=1, a=2) }}
{% set 1 = 2 %}
{% set none = 2 %}
{% set x.y.z = 2 %}
{% set x[0] = 2 %}
{{ 'abc' is startingwith('a') }}
{% if false %}{{ 'x' | nosuch }}{% endif %}ok
{{ 'x' | nosuch if false else 'ok' }}
{% if true %}{{ 'x' | nosuch }}{% endif %}
{% if false %}{% for x in numbers %}{{ x | nosuch }}{% endfor %}{% endif %}
{{ (none | default('x')) }}|{{ missing | default }}|{{ missing | default(missing2) }}|{{ messages[0].tool_calls | default([]) | length }}
{{ raise_exception('no ' ~ n) }}
{{ raise_exception() }}
{% if n == 7 %}{{ raise_exception("x") }}{% endif %}
{{ cycler('a', 'b') is defined }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}
{{ cycler() }}
{% set j = joiner('; ') %}{% for w in words %}{{ j() }}{{ w }}{% endfor %}{% set k = joiner() %}{{ k() }}{{ k() }}
{{ '{} and {}'.format('a', 1) }}|{{ '{1}{0}'.format('a', 'b') }}|{{ '{x.name} {x[age]}'.format(x=people[0]) }}|{{ '{:>5}|{:<5}|{:^5}'.format(1, 'a', 2.5) }}|{{ '{{}} {0!r}'.format('q') }}|{{ '{:{}}'.format('a', 4) }}
{{ '{}'.format() }}
{{ '{x}'.format(y=1) }}
{{ '{0} {}'.format(1, 2) }}
{{ '{'.format(1) }}
{{ '}'.format(1) }}
{{ '{0.__class__}'.format(1) }}
{{ '{a}'.format_map({'a': 1}) }}
{{ '%s is %d and %.2f%%' % ('x', 3, 2.345) }}|{{ '%(a)s-%(b)05d' % {'a': 1, 'b': 2} }}|{{ '%5s|%-5s|' % ('a', 'b') }}|{{ '%s' % [1] }}|{{ '%s' % none }}|{{ '%s' % missing }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '%d' % 'a' }}
{{ 'x' % 1 }}
{{ 'x' % [1] }}
{{ '%(a)s' % 1 }}
{{ '%*d|%.*f' % (5, 1, 2, 3.14159) }}
{{ 'a%sb' | format(1) }}|{{ '%(x)s' | format(x=1) }}
{{ '%s' | format(1, x=2) }}
{{ (html | escape) ~ '<' }}|{{ (html | escape) + '<' }}|{{ ('<b>' | safe) + '<' }}|{{ '<' + ('<b>' | safe) }}|{{ ('a' | safe) * 2 }}|{{ ['<' | safe] }}|{{ ('<b>' | safe).upper() + '<' }}|{{ '<' | e | e }}|{{ '<' | e | forceescape }}
{{ ('x' | safe) is string }}|{{ ('x' | safe) == 'x' }}|{{ ('x' | safe) in 'xyz' }}|{{ {'x': 1}['x' | safe] }}|{{ ('x' | safe) | tojson }}|{{ 'x' is escaped }}
{{ people | map(attribute='name') | list }}|{{ people | map(attribute='home.city') | list }}|{{ people | map(attribute='home.city', default='?') | join(',') }}
{{ people | map(attribute='zz', nosuch=1) | list }}
{{ words | map('replace', 'p', 'b') | list }}|{{ words | map('length') | sum }}|{{ words | map('default', 'x') | first }}
{{ words | map }}
{{ words | map() | list }}
{{ words | map('nosuch') | list }}
{{ words | select('nosuch') | list }}
{{ [] | select('nosuch') | list }}|{{ words | select('in', ['fig']) | list }}|{{ numbers | reject('gt', 1) | list }}|{{ mixed | select | list }}
{{ people | selectattr('name', 'in', ['Ann']) | map(attribute='age') | list }}|{{ people | rejectattr('home', 'defined') | list }}|{{ people | selectattr | list }}
{% for g in people | groupby('age') %}{{ g.grouper }}:{{ g.list | length }} {{ g[0] }}{% endfor %}{% for k, v in people | groupby('home.city', default='?') %}{{ k }}{{ v | length }}{% endfor %}{{ people | groupby('age') | first }}
{{ words | groupby(0) | list }}
{{ words | sort | join(',') }}|{{ words | sort(case_sensitive=true) | join(',') }}|{{ words | unique | list }}|{{ words | unique(case_sensitive=true) | list }}|{{ people | sort(attribute='age,name', reverse=true) | map(attribute='name') | list }}
{{ mixed | sort }}
{{ [[2, 'b'], [1, 'a']] | sort }}|{{ [none] | sort }}|{{ 'bca' | sort | join }}
{{ numbers | batch(3, 0) | list }}|{{ numbers | slice(3, 'x') | list }}|{{ numbers | batch(2) }}
{{ numbers | slice(0) | list }}
{{ 3.5 | round }}|{{ 2.5 | round }}|{{ 2.675 | round(2) }}|{{ 1234.5 | round(-2) }}|{{ 15 | round(-1) }}|{{ 25 | round(-1) }}|{{ 1.1 | round(1, 'ceil') }}|{{ 42 | round }}|{{ 42.55 | round(1, 'floor') }}|{{ -0.4 | round }}|{{ 1e22 | round }}|{{ true | round }}
{{ 'x' | round }}
{{ '42.7' | int }}|{{ 'x' | int }}|{{ 'x' | int(-1) }}|{{ '0x1A' | int(base=16) }}|{{ '11' | int(0, 2) }}|{{ none | int }}|{{ 3.99 | int }}|{{ -3.99 | int }}|{{ true | int }}|{{ '1_000' | int }}|{{ '٣' | int }}|{{ ' 7 ' | int }}|{{ '1e3' | int }}|{{ [] | int }}|{{ 1e30 | int }}
{{ 'inf' | float }}|{{ '-inf' | float }}|{{ 'nan' | float }}|{{ '1_0.5' | float }}|{{ '.5' | float }}|{{ '5.' | float }}|{{ 'x' | float }}|{{ none | float(none) }}|{{ 3 | float }}|{{ true | float }}
{{ missing | int }}
{{ missing | float }}
{{ ('inf' | float) | int }}
{{ 1 | filesizeformat }}|{{ 999 | filesizeformat }}|{{ 1000 | filesizeformat }}|{{ 1500000 | filesizeformat }}|{{ 1536 | filesizeformat(true) }}|{{ '2e9' | filesizeformat }}|{{ 1e30 | filesizeformat }}
{{ 'one two three four' | truncate(9) }}|{{ 'one two three four' | truncate(9, true) }}|{{ 'short' | truncate(5) }}|{{ 'exactly ten' | truncate(10) }}|{{ 'exactly ten' | truncate(6, leeway=0) }}
{{ 'abc' | truncate(1) }}
{{ 1 | truncate }}
{{ "a\nb\n\nc" | indent }}|{{ "a\nb\n\nc" | indent(2, true, true) }}|{{ '' | indent }}|{{ 'a\r\nb' | indent(1) }}
{{ 'a b/ü?&=' | urlencode }}|{{ {'a b': 'c/d', 'e': 1} | urlencode }}|{{ [('x', 'y z')] | urlencode }}|{{ 5 | urlencode }}
{{ {'class': 'a "b"', 'x': none, 'y': missing, 'z': 1} | xmlattr }}|{{ {} | xmlattr }}|{{ {'a': 1} | xmlattr(false) }}
{{ {'a b': 1} | xmlattr }}
{{ '<p>a <!-- c -->  <b>b</b></p>&lt;&amp;' | striptags }}|{{ "it's a-test of\ttitle (case) <x> [y]" | title }}|{{ "don't STOP" | title }}|{{ "don't STOP 3rd".title() }}
{{ 'hello wörld foo_bar' | wordcount }}|{{ '' | wordcount }}|{{ 'aBC dEF' | capitalize }}
{{ numbers | sum }}|{{ [] | sum }}|{{ [0.1, 0.2] | sum }}|{{ [[1], [2]] | sum(start=[]) }}|{{ people | sum(attribute='age') }}|{{ numbers | max }}|{{ words | min }}|{{ words | max(case_sensitive=true) }}|{{ (people | max(attribute='age')).name }}|{{ [] | max }}
{{ words | sum }}
{{ words | sum(start='') }}
{{ [1, 'a'] | max }}
{{ words | first }}|{{ words | last }}|{{ '' | first }}|{{ [] | last }}|{{ d | first }}|{{ d | last }}|{{ 'wide😀' | last }}|{{ missing | first }}|{{ missing | last }}|{{ [none] | first }}|{{ [none] | last }}
{{ 5 | first }}
{{ words | map('upper') | last }}
{{ words | map('upper') | length }}
{{ numbers | reverse | list }}|{{ 'abc' | reverse }}|{{ d | reverse | list }}|{{ (words | map('upper')) | reverse }}
{{ 5 | reverse }}
{{ {'a': 1.0, 'b': [1, 2.5, none, true], 'c': {'d': 'é"\\\n\u2028😀</'}} | tojson }}|{{ [] | tojson }}|{{ {} | tojson(indent=2) }}|{{ [[], {}] | tojson(indent=2) }}|{{ (1, 2) | tojson }}|{{ 'x' | tojson }}|{{ 1e16 | tojson }}|{{ 1e-7 | tojson }}|{{ 'nan' | float | tojson }}|{{ '-inf' | float | tojson }}|{{ 12345678901234567890 | tojson }}
{{ {1: 'a', none: 'b', true: 'c', 1.5: 'd'} | tojson }}|{{ {'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true, indent=4) }}|{{ 'é😀\x7f' | tojson(ensure_ascii=true) }}|{{ {'a': 1, 'b': 2} | tojson(separators=[',', ':']) }}|{{ {'a': [1, 2]} | tojson(indent=2, separators=(' , ', ' : ')) }}
{{ missing | tojson }}
{{ d.items() | tojson }}
{{ {(1, 2): 3} | tojson }}
{{ words | map('upper') | tojson }}
{{ {1: 2, 'a': 3} | tojson(sort_keys=true) }}
{{ d | items | list }}|{{ missing | items | list }}
{{ words | items | list }}
{{ d | dictsort }}|{{ d | dictsort(true) }}|{{ empty | dictsort }}
{{ numbers | dictsort }}
{{ 'a' | attr('upper') }}
{{ d | attr('b') }}|{{ d | attr('items') is defined }}|{{ d | attr('zz') is defined }}
{{ [1, 2] == [1.0, 2.0] }}|{{ {'a': 1} == {'a': 1.0} }}|{{ (1,) == [1] }}|{{ [1, 2] < [1, 3] }}|{{ (1, 2) < (1, 2, 0) }}|{{ 'a' < 'b' }}|{{ 'Z' < 'a' }}|{{ '\ufffd' < '😀' }}|{{ true == 1 }}|{{ 'a' == 1 }}|{{ none == none }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ {} < {} }}
{{ missing < 1 }}
{{ 1 in 5 }}
{{ 1 in 'abc' }}
{{ [] in {} }}
{{ {[]: 1} }}
{{ {'a': 1}[[]] }}|{{ [1][true] }}|{{ [1]['x'] }}|{{ 'abc'[5] }}|{{ 5[0] }}|{{ 'abc'['upper']() }}|{{ d['get']('b') }}
{{ 1.real }}
{{ n.real }}|{{ n.numerator }}|{{ f.is_integer() }}|{{ n.bit_length() }}|{{ f.imag }}
{{ words.0 }}|{{ words.0.1 }}|{{ tree.0.kids.1.v }}
{{ numbers[1, 2] }}
{{ (1, 2)[0] }}|{{ [1, 2, 3,] }}|{{ {'a': 1,} }}|{{ (1) }}|{{ () }}|{{ 1, 2 }}|{{ (1, 2,) }}
{{ dict(*[[('a', 1)]]) }}|{{ dict(**{'a': 1}) }}|{{ range(*[1, 3]) | list }}|{{ 'a-b'.split(*['-']) }}
{{ dict(a=1, **{'a': 2}) }}
{{ dict(**[1]) }}
{{ n() }}
{{ 'abc'() }}
{{ self }}
{% print n, f %}
{% set x = missing %}{{ x is defined }}|{{ [missing] }}|{{ {'a': missing} }}|{{ missing ~ 'a' }}|{{ missing or 'x' }}|{{ missing and 1 }}
{{ -missing }}
{{ -'a' }}
{{ +n }}|{{ -f }}|{{ - n }}|{{ -true }}|{{ --1 }}|{{ -1 | abs }}|{{ (-1) | abs }}|{{ not none }}
{{ 'x' if missing }}|{{ ('x' if missing) is defined }}|{{ 'x' if missing else 'y' }}
{{ ('x' if missing) + 'a' }}
{{ 1.5 | string }}|{{ none | string }}|{{ [1.0] | string | length }}|{{ true | string | lower }}|{{ none | upper }}|{{ 1 | trim }}|{{ missing | upper }}|{{ true | replace('T', 'x') }}
{{ 100000 * 100000 }}|{{ 99999999999999999999 + 1 }}|{{ 2 ** 0.5 }}|{{ 1e308 * 10 }}|{{ 5 // 0.3 }}|{{ 1e20 // 1 }}|{{ 7 % 2.5 }}|{{ 0.1 * 3 }}|{{ 1 / 3 }}|{{ 100.0 }}|{{ 1e15 }}|{{ 123456.789e3 }}|{{ 5e-324 }}
{{ 10.0 ** 400 }}
{{ 'ab' * 3 }}|{{ 3 * 'ab' }}|{{ [1] * 2 }}|{{ (1,) * 2 }}|{{ 'a' * -1 }}|{{ true + true }}|{{ true * 'a' }}
{{ 'a' * 2.0 }}
{{ strftime_now(1) }}
{{ strftime_now() }}
{{ strftime_now('%%') }}|{{ strftime_now('x') }}|{{ strftime_now(format='%%n') }}
{{ lines.splitlines() }}|{{ lines.splitlines(true) }}|{{ 'a\x0bb\x0cc\x1cd\x85e'.splitlines() }}|{{ '\n'.splitlines() }}|{{ ''.splitlines() }}
{{ messages[1].content | trim }}|{{ messages[1]['tool_calls'][0].arguments | tojson }}|{{ messages[1].tool_calls[0].arguments }}|{{ messages | length }}|{{ messages[1:] | map(attribute='role') | join('/') }}
""".strip().split("\n")

blocks = [
    "   {% if true %}\nline\n   {% endif %}\nend",
    "a  {%- if true -%}  b  {%- endif -%}  c",
    "a  {%+ if true %}\n  b{%+ endif %}\n c",
    "a\n  {%+ if true +%}\n  b\n  {% endif +%}\n c",
    "a \n {{- n -}} \n b {{ n }}\n",
    "a\n\n{# comment #}\n\nb{#- c -#} d {#+ e #}\n f",
    "  {# c #}  x\n  {# d #}\ny",
    "{% for x in numbers %}\n  {{ x }}\n{% endfor %}\n",
    "{% for x in numbers -%}\n  {{ x }}\n{%- endfor %}\n\n",
    "line\r\nnext\r{% if true %}\r\nx\r\n{% endif %}\r\n",
    "{{ 'a\r\nb' }}",
    "{{ n }}\n\n\n",
    "\n\n{{ n }}",
    "\t {% if true %}\t\n\tx{% endif %}",
    "x {% if true %}y{% endif %} z",
    "{% raw %}\n  {{ a }}\n{% endraw %}\nb",
    "a\n   {% raw %} b {% endraw %}   \n c",
    "a {%- raw %} b {% endraw -%}   c",
    "a\n   {%+ raw %} b {%+ endraw %}\n c",
    "{% set x %}\n  a\n{% endset %}\n[{{ x }}]",
    "{%- set x = 1 -%}\n\n{{ x }}\n{%- set y = 2 %}\n{{ y }}",
    "{% if true -%}\n\n a\n{%- else -%}\n b\n{%- endif %}\n",
    "{{\n n\n +\n 1 }}",
    "{%\nif n\n%}x{%\nendif\n%}",
    "{{ {'a': {'b': 1}}['a'] }}{{ {'x': '}}'} }}",
    "{{ '{{ x }}' }}{{ \"%}\" }}{# {{ x }} #}",
    "a{#b#}c{# d\n#}\ne",
    "{% if true: %}x{% endif %}",
    "{{ n }}}} {% } #} {",
    "\u00a0 {%- if true %}x{% endif -%} \u2003y",
    "\ufeff{{ n }}",
    " \u2028{% if true %}x{% endif %}",
    "{% for x in numbers %}{{ x }}\n{% if loop.last %}\n  last\n{% endif %}\n{% endfor %}",
    "{{ 'a' -}}\n\n{{- 'b' }}\n {{- 'c' -}} \n",
    "{%-if true-%} x {%-endif-%} y",
    "{{n}}{{-n-}}{{n -1}}{{n+-1}}",
]


def sampled(rows, step):
    """Every step-th of a product, so that all values of each part appear."""
    return [row for index, row in enumerate(rows) if index % step == 0]


def snippets():
    yield from written
    yield from blocks
    for left, operator, right in sampled(itertools.product(values, operators, values), 7):
        if operator == "**" and "12345678901234567890" in right:
            continue
        yield "{{ (%s) %s (%s) }}" % (left, operator, right)
    for text in texts:
        for name in plain_methods:
            yield "{{ (%s).%s() }}" % (text, name)
    calls = [call for line in method_calls for call in split_calls(line)]
    for call, text in sampled(itertools.product(calls, texts), 3):
        if call != "encode":
            yield "{{ (%s).%s }}" % (text, call)
    applied = [part for part in filters.split("|") if part != "random_no"]
    for name, value in itertools.product(applied, filter_inputs):
        yield "{{ (%s) | %s | list }}" % (value, name) if lazy(name) else "{{ (%s) | %s }}" % (value, name)
    for test, value in itertools.product(tests, test_inputs):
        yield "{{ (%s) is %s }}" % (value, test)
    for spec, value in itertools.product(specs, spec_values):
        yield "{{ '{:%s}'.format(%s) }}" % (spec, value)
    for spec, value in itertools.product(percents, spec_values):
        yield "{{ '%s' %% (%s,) }}" % (spec, value)
        if "%%" not in spec and value != "[1]":
            yield "{{ '%s' %% %s }}" % (spec, value)


def split_calls(line):
    """Calls of one line, which spaces part that are not within parentheses."""
    depth, call = 0, ""
    for character in line:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == " " and depth == 0:
            if call:
                yield call
            call = ""
        else:
            call += character
    if call:
        yield call


def lazy(name):
    return name.split("(")[0] in ("batch", "items", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "slice", "unique")


def render(source, values):
    try:
        text = _compile_jinja_template(source).render(**copy.deepcopy(values))
        text.encode()
        return {"text": text}
    except Exception as error:
        return {"error": type(error).__name__}


def write(name, rows, **head):
    with open(os.path.join(folder, name), "w") as file:
        body = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
        file.write(json.dumps({**head, "rows": []}, ensure_ascii=True)[:-2] + "\n" + body + "\n]}\n")
    print(name, len(rows), "rows,", sum("error" in row for row in rows), "errors")


def strftime_rows():
    moments = [(2024, 2, 29, 0, 5, 9), (2025, 1, 1, 12, 0, 0), (2026, 11, 5, 23, 59, 59), (2021, 1, 3, 9, 30, 1), (1999, 12, 31, 13, 7, 0), (2020, 12, 28, 1, 1, 1), (2023, 7, 9, 11, 11, 11)]
    letters = "aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzZ%f"
    formats = ["%" + letter for letter in letters] + ["%d %B %Y", "%d %b %Y", "%Y-%m-%d", "%A, %d %B %Y %H:%M:%S", "%-d/%-m/%y", "%-I:%M %p", "%_d|%_H|%0e", "%^a %^B", "%#Z", "%#p", "%10Y|%5d|%3a", "%Ey %Od", "%Q", "%", "é %j 😀", "%-j", "%_j", "%+", "100%%", "%^p %#a", "%-H%-M%-S", "%5%", "%E", "%-f", "%_5m", "%-5m", "%010d"]
    for moment in moments:
        for form in formats:
            yield {"moment": moment, "format": form, "text": datetime(*moment).strftime(form)}


if __name__ == "__main__":
    seen = list(dict.fromkeys(snippets()))
    rows = [{"template": source, **render(source, context)} for source in seen]
    # What prints an address in memory has no text that could be told again.
    write("snippets.json", [row for row in rows if " at 0x" not in row.get("text", "")], context=context)
    write(
        "forms.json",
        [
            {"form": form, "conversation": c, "settings": s, **render(source, {**settings[s], "messages": conversations[c]})}
            for form, source in forms.items()
            for c in range(len(conversations))
            for s in range(len(settings))
        ],
        forms=forms,
        conversations=conversations,
        settings=settings,
    )
    write("strftime.json", list(strftime_rows()))
