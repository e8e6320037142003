import { RetortError } from "../../../base/errors.js";
import { classOfModelType, pythonClasses, rebuiltClasses, typesWithWrongClass } from "./auto-classes.js";
import { isRecord, type ParsedFiles } from "./parse.js";

/** The class that reads tokenizer.json as it is. */
const backend = "TokenizersBackend";

/** Names that mean the class that reads tokenizer.json as it is, or one that every tokenizer derives from. */
const generic = new Set([backend, "PreTrainedTokenizer", "PythonBackend", "PreTrainedTokenizerBase"]);

/**
 * The tokenizer class that AutoTokenizer of transformers 5.24 takes for the files, without "Fast"; TokenizersBackend for
 * every class that reads tokenizer.json as it is.
 *
 * @throws InvalidArgument for classes that are code of the model's own, or that do not read tokenizer.json
 */
export function tokenizerClass(files: ParsedFiles): string {
  const named = bare(nameOf(files.config.tokenizer_class) ?? nameOf(files.model?.tokenizer_class));
  const type = nameOf(files.model?.model_type) ?? "";
  const registered = classOfModelType.get(type);
  const remote = hasRemoteCode(files.config.auto_map) && !typesWithWrongClass.has(type);
  if (remote) {
    if (named !== undefined && isKnown(named)) return supported(named);
    throw new RetortError(
      "InvalidArgument",
      'tokenizer_config.json: auto_map names a tokenizer that is code of its own, which is not run; save the tokenizer without auto_map, with "tokenizer_class": "PreTrainedTokenizerFast", if tokenizer.json says it all',
      { fieldPath: "auto_map" },
    );
  }
  // Llama 3 and its like name LlamaTokenizer, whose rules are those of Llama 2.
  const byteLevel = named === "LlamaTokenizer" && !typesWithWrongClass.has(type) && files.mentionsByteLevel;
  if (byteLevel) return backend;
  if (named === undefined) return supported(registered ?? backend);
  if (registered === undefined || registered === named) return supported(named);
  if (registered === backend) return backend;
  return supported(typesWithWrongClass.has(type) ? registered : named);
}

const nameOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

const bare = (name: string | undefined): string | undefined => name?.replace(/Fast$/, "");

const isKnown = (name: string): boolean => generic.has(name) || rebuiltClasses.has(name) || pythonClasses.has(name);

const hasRemoteCode = (map: unknown): boolean => Array.isArray(map) || (isRecord(map) && map.AutoTokenizer != null);

function supported(name: string): string {
  if (!pythonClasses.has(name)) return rebuiltClasses.has(name) ? name : backend;
  throw new RetortError(
    "InvalidArgument",
    `tokenizer_config.json: tokenizer_class ${name} is written in Python and does not read tokenizer.json; its ids cannot be had here`,
    { fieldPath: "tokenizer_class" },
  );
}
