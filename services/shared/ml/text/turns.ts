// What a chat template writes between two turns of the assistant. The assistant's own turns stand in the conversation as a
// placeholder: their tokens are known, are never made from text again, and stay as they were written, whatever the template would
// make of them later (many leave out the thoughts of earlier turns).
import { RetortError } from "../../base/errors.js";
import type { ChatMessage } from "./tokenizer.js";

/** Text that no template changes, and no one writes. */
const placeholder = "retort-turn-5f0c2a";

/**
 * What a template writes behind the last of the assistant's turns: the turn's end, the messages that answer it, and what opens the
 * next turn.
 *
 * @param render writes a conversation up to where the assistant goes on
 * @param messages what comes before the assistant's first turn
 * @param answers the messages behind each turn of the assistant so far
 * @throws InvalidArgument if the template leaves out the turn or an answer, or the messages can't be answered
 */
export function textBehindTurn(
  render: (messages: readonly ChatMessage[]) => string,
  messages: readonly ChatMessage[],
  answers: readonly (readonly ChatMessage[])[],
): string {
  if (messages.at(-1)?.role === "assistant")
    throw refused(
      "the prompt ends with an assistant's message, which the student would continue: an environment answers whole turns; end it with another role's",
    );
  const turn = { role: "assistant", content: placeholder };
  const behind = (newest: readonly ChatMessage[]) => {
    const text = render([...messages, ...answers.slice(0, -1).flatMap((said) => [turn, ...said]), turn, ...newest]);
    const parts = text.split(placeholder);
    if (parts.length === answers.length + 1) return parts.at(-1) ?? "";
    throw refused("the chat template leaves out turns of the assistant once others follow, or repeats them; take another template");
  };
  const newest = answers.at(-1) ?? [];
  const text = behind(newest);
  for (const [i, { role, content }] of newest.entries()) {
    // One that is not there as it is may be there in another form, as JSON: then it makes a difference.
    if (typeof content !== "string" || content === "" || text.includes(content)) continue;
    if (behind(newest.map((one, n) => (n === i ? { ...one, content: `${content}${content}` } : one))) === text)
      throw refused(`the chat template leaves out a message of the role "${role}" that answers the assistant; take one that writes it`);
  }
  return text;
}

/**
 * The ids of {@link textBehindTurn} without the turn's end, which the assistant has written itself.
 *
 * @param ends the tokens that end a turn
 * @throws InvalidArgument if the template ends a turn with none of them
 */
export function behindEnd(ids: Int32Array, ends: ReadonlySet<number>): Int32Array {
  const end = ids.findIndex((id) => ends.has(id));
  if (end >= 0 && end + 1 < ids.length) return ids.slice(end + 1);
  throw refused(
    "the chat template ends a turn of the assistant with no token that ends a text (eos_token_id), so that the student could not end its turns; name that token in generation_config.json, or take another template",
  );
}

const refused = (what: string): RetortError => new RetortError("InvalidArgument", what);
