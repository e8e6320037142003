import { RetortError } from "../../../../base/errors.js";
import { templateFolder } from "../files.js";
import { isRecord, type ParsedFiles } from "../parse.js";

/**
 * The chat templates of a directory by name, `default` for the only one: chat_template.jinja and additional_chat_templates/
 * before tokenizer_config.json's, and chat_template.json where there is no other.
 *
 * @throws InvalidArgument naming the file whose template is no text
 */
export function chatTemplates(texts: Readonly<Record<string, string>>, parsed: ParsedFiles): ReadonlyMap<string, string> {
  const written = new Map<string, string>();
  for (const [path, text] of Object.entries(texts)) {
    if (path === "chat_template.jinja") written.set("default", text);
    else if (path.startsWith(`${templateFolder}/`)) written.set(path.slice(templateFolder.length + 1).replace(/\.jinja$/, ""), text);
  }
  if (written.size > 0) return written;
  const inConfig = templatesIn(parsed.config.chat_template, "tokenizer_config.json");
  return inConfig.size > 0 ? inConfig : templatesIn(parsed.chatTemplate?.chat_template, "chat_template.json");
}

/**
 * The template that a conversation is written with: the named one, else `tool_use` where there are tools, else `default`.
 *
 * @throws FailedPrecondition if there is none; InvalidArgument, listing the names, if the name is not among them or is needed
 */
export function chooseTemplate(templates: ReadonlyMap<string, string>, name: string | undefined, hasTools: boolean): string {
  if (templates.size === 0)
    throw new RetortError("FailedPrecondition", "this tokenizer has no chat template; give prompts as text instead of messages");
  const names = [...templates.keys()].sort().join(", ");
  const chosen = name ?? (hasTools && templates.has("tool_use") ? "tool_use" : "default");
  const template = templates.get(chosen);
  if (template !== undefined) return template;
  const message =
    name === undefined
      ? `this tokenizer has several chat templates and none is the default; name one of them: ${names}`
      : `this tokenizer has no chat template "${name}"; it has ${names}`;
  throw new RetortError("InvalidArgument", message, { fieldPath: "chat_template" });
}

function templatesIn(value: unknown, file: string): Map<string, string> {
  if (value === null || value === undefined) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  const entries = isRecord(value)
    ? Object.entries(value)
    : Array.isArray(value)
      ? value.map((entry: unknown) => (isRecord(entry) ? ([entry.name, entry.template] as const) : ([undefined, undefined] as const)))
      : [[undefined, undefined] as const];
  if (entries.every((entry): entry is [string, string] => typeof entry[0] === "string" && typeof entry[1] === "string"))
    return new Map(entries);
  throw new RetortError("InvalidArgument", `${file}: chat_template must be text, or a list of {"name": …, "template": …} with texts`, {
    fieldPath: "chat_template",
  });
}
