"""Renders every template of a folder over the conversations of jinja_forms.py, here and as transformers does, and prints a table.

    npm run build
    python test/golden/chat-templates.py FOLDER        # *.jinja and tokenizer_config.json files, at any depth

For templates that are not ours to keep. Needs transformers; the exit status is 1 where a text differs.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from jinja import render  # noqa: E402
from jinja_forms import conversations, settings  # noqa: E402

OURS = """
import { readFileSync } from "node:fs";
const [base, file] = process.argv.slice(1);
const { Template } = await import(base + "/jinja/template.js");
const { parseJson } = await import(base + "/json.js");
const { sources, conversations, settings } = parseJson(readFileSync(file, "utf8"));
const outcome = (run) => { try { return { text: run() }; } catch (error) { return { error: error.message }; } };
console.log(JSON.stringify(sources.map((source) => {
  let template;
  try { template = new Template(source); } catch (error) { return conversations.flatMap(() => settings.map(() => ({ error: error.message }))); }
  return conversations.flatMap((messages) => settings.map((values) => outcome(() => template.render({ ...values, messages }))));
})));
"""


def templates(folder):
    for path in sorted(pathlib.Path(folder).rglob("*.jinja")):
        yield str(path.relative_to(folder)), path.read_bytes().decode()
    for path in sorted(pathlib.Path(folder).rglob("tokenizer_config.json")):
        template = json.loads(path.read_text()).get("chat_template")
        for item in template if isinstance(template, list) else [{"name": "", "template": template}]:
            if item["template"]:
                yield f"{path.relative_to(folder)} {item['name']}".strip(), item["template"]


def main(folder):
    found = list(templates(folder))
    request = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"chat-templates-{os.getpid()}.json"
    request.write_text(json.dumps({"sources": [source for _, source in found], "conversations": conversations, "settings": settings}))
    base = pathlib.Path(__file__).resolve().parents[2] / "dist" / "services" / "shared" / "base"
    answer = subprocess.run(["node", "--input-type=module", "-e", OURS, base.as_uri(), str(request)], capture_output=True, text=True, check=True)
    request.unlink()
    wrong = 0
    print(f"{'template':48} {'digest':12} {'equal':>6} {'errors':>6} {'refused':>7} {'other':>6}")
    for (name, source), ours in zip(found, json.loads(answer.stdout)):
        python = [render(source, {**values, "messages": messages}) for messages in conversations for values in settings]
        pairs = list(zip(python, ours))
        equal = sum("text" in a and a["text"] == b.get("text") for a, b in pairs)
        errors = sum("error" in a and "error" in b for a, b in pairs)
        refused = sum("text" in a and b.get("error", "").startswith("Unimplemented") for a, b in pairs)
        other = len(pairs) - equal - errors - refused
        wrong += other
        print(f"{name[-48:]:48} {hashlib.sha256(source.encode()).hexdigest()[:12]} {equal:6} {errors:6} {refused:7} {other:6}")
    print(f"{len(found)} templates, {len(found) * len(conversations) * len(settings)} renderings, {wrong} other than Python's")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
