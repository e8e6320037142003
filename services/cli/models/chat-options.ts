import type { JsonObject } from "@bufbuild/protobuf";
import { type Command, InvalidArgumentError } from "commander";
import type { ResolvedChat } from "../../shared/flow/runs/chat.js";

/** What `--chat` and the options beside it say. */
export interface ChatOptions {
  readonly chat?: boolean;
  readonly system?: string;
  readonly chatTemplate?: string;
  readonly chatTemplateKwargs?: JsonObject;
}

/** Adds the options that say how prompts become text. */
export function addChatOptions(command: Command): Command {
  return command
    .option("--chat", "put each plain prompt into the model's chat template, as a user's message")
    .option("--system <text>", "the system's message before every conversation that has none")
    .option("--chat-template <name>", "which chat template, if the tokenizer has several (default: default)")
    .option("--chat-template-kwargs <json>", "names that the chat template reads, as JSON: '{\"enable_thinking\": false}'", object);
}

/** The options as the encoder takes them. */
export const chatSettings = ({ chat = false, system = "", chatTemplate = "", chatTemplateKwargs = {} }: ChatOptions): ResolvedChat => ({
  ...{ chat, system, chatTemplate, chatTemplateKwargs },
  nowMs: Date.now(),
});

function object(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new InvalidArgumentError("It must be a JSON object.");
}
