import type { Command } from "commander";
import { isHubReference, parseHubReference } from "../shared/base/hub/reference.js";
import { bytesInWords } from "./bytes.js";

/** What Retort reads of a model's folder: what lies beside the weights, and these in their one form. */
const modelFiles =
  /^(?:(?:config|generation_config|special_tokens_map|added_tokens|adapter_config|tekken)\.json|tokenizer[\w.]*\.(?:json|model)|(?:spiece|tiktoken)\.model|vocab\.(?:json|txt)|merges\.txt|chat_template\.(?:json|jinja)|additional_chat_templates\/[^/]+\.jinja|(?:adapter_)?model(?:-\d+-of-\d+)?\.safetensors(?:\.index\.json)?)$/;
const weightFiles = /\.safetensors(?:\.index\.json)?$/;
const dataFiles = /\.(?:jsonl|json|parquet)(?:\.gz)?$/;

/**
 * Where something that is named by a path, or by a reference to a hub (`hf://OWNER/NAME`), lies on this machine: what isn't in the cache
 * is fetched, with progress on standard error. Of a model's folder come the files that Retort reads, of a dataset's the rows, and a
 * file that is named comes whatever it is.
 *
 * @param withoutWeights whether only tokenizer and configs of a model are read
 */
export async function located(
  named: string,
  { withoutWeights = false }: { readonly withoutWeights?: boolean | undefined } = {},
): Promise<string> {
  if (!isHubReference(named)) return named;
  const { type, path: asked } = parseHubReference(named);
  const wanted = (path: string) => {
    const own = asked ? path.slice(asked.length + 1) : path;
    if (withoutWeights && weightFiles.test(own)) return false;
    return path === asked || (type === "model" ? modelFiles : dataFiles).test(own);
  };
  const { fetchSnapshot } = await import("../shared/base/hub/snapshot.js");
  const shown = progress(named);
  try {
    return await fetchSnapshot(named, { wanted, onProgress: shown.update });
  } finally {
    shown.end();
  }
}

/** Finds what a command's arguments and options refer to on a hub, before it runs. */
export async function locateArguments(command: Command): Promise<void> {
  const places = async (value: unknown): Promise<unknown> => {
    if (Array.isArray(value)) return Promise.all(value.map(places));
    if (typeof value !== "string") return value;
    const [, flag = "", named = value] = /^(--[\w-]+=)(hf:.*)$/.exec(value) ?? [];
    return isHubReference(named) ? `${flag}${await located(named)}` : value;
  };
  for (const [name, value] of Object.entries(command.opts())) {
    const place = await places(value);
    if (place !== value) command.setOptionValueWithSource(name, place, command.getOptionValueSource(name));
  }
  for (const [i, value] of command.processedArgs.entries()) command.processedArgs[i] = await places(value);
}

/** A line that counts bytes, on a terminal; two lines elsewhere. */
function progress(what: string) {
  const { isTTY } = process.stderr;
  let last = 0;
  let begun = false;
  return {
    update: (done: number, total: number) => {
      if (!isTTY && !begun && done < total) console.error(`fetching ${what} (${bytesInWords(total)}) …`);
      begun ||= done < total;
      if (!isTTY || !begun || (Date.now() - last < 200 && done < total)) return;
      last = Date.now();
      process.stderr.write(
        `\rfetching ${what}: ${bytesInWords(done)} of ${bytesInWords(total)} (${Math.floor((100 * done) / total)} %)\u001b[K`,
      );
    },
    end: () => {
      if (isTTY && begun) process.stderr.write("\n");
    },
  };
}
