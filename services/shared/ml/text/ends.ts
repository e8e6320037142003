import type { Tokenizer } from "./tokenizer.js";

/** Which tokens end a sequence, and what is odd about them. */
export interface Ends {
  /** Any of these ends a sequence: those of generation_config.json and config.json, the tokenizer's, the template's. */
  readonly ids: readonly number[];
  /** Those that the configs name, else the tokenizer's: what the model was trained to end with. */
  readonly declared: readonly number[];
  /** What people should know: a template whose turns end otherwise, or no end at all. */
  readonly warnings: readonly string[];
}

/**
 * The tokens that end a sequence of a model.
 *
 * @param declared those of generation_config.json and config.json
 */
export function endsOf(tokenizer: Tokenizer, declared: readonly number[]): Ends {
  const { eosId } = tokenizer.specials;
  const turn = turnOf(tokenizer);
  const ids = [...new Set([...declared, ...(eosId === undefined ? [] : [eosId]), ...(turn?.end === undefined ? [] : [turn.end])])];
  const known = declared.length ? declared : eosId === undefined ? [] : [eosId];
  const found = (...warnings: string[]): Ends => ({ ids, declared: known, warnings });
  const named = (list: readonly number[]) => list.map((id) => `${tokenizer.idToToken(id) ?? "?"} (${id})`).join(", ");
  if (ids.length === 0)
    return found("no token ends a sequence: neither config.json, generation_config.json nor the tokenizer names one; set eos_token_id");
  if (!turn) return found();
  if (turn.end === undefined)
    return found(`the chat template ends an answer with no special token; ${named(ids)} ends a sequence, and answers do not teach it`);
  if (known.includes(turn.end)) return found();
  return found(
    `the chat template ends an answer with ${named([turn.end])}, and eos_token_id names ${named(known) || "none"}: both end a sequence here; name it in generation_config.json, so that other programs stop there too`,
  );
}

/** An answer that no template changes. */
const probe = "retort";

/** The special token that ends an assistant's turn in the chat template; undefined where none does, or there is no template. */
export const turnEnd = (tokenizer: Tokenizer): number | undefined => turnOf(tokenizer)?.end;

/** How a template ends an assistant's turn; undefined without a template, or where it cannot write a plain exchange. */
function turnOf(tokenizer: Tokenizer): { readonly end: number | undefined } | undefined {
  let text: string;
  try {
    const messages = [
      { role: "user", content: probe },
      { role: "assistant", content: probe },
    ];
    text = tokenizer.applyChatTemplate(messages, { addGenerationPrompt: false });
  } catch {
    // No template, several without a default, or one that wants more than a plain exchange: there is no turn to learn from.
    return undefined;
  }
  const at = text.lastIndexOf(probe);
  if (at < 0) return undefined;
  const rest = text.slice(at + probe.length);
  const special = tokenizer.specialIds;
  // A special token that the text does not spell stands for what the vocabulary lacks.
  const isEnd = (id: number) => special.has(id) && rest.includes(tokenizer.idToToken(id) ?? text);
  return { end: tokenizer.encode(rest).find(isEnd) };
}
