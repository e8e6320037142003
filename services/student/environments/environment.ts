import type { Conversation, Message } from "../../shared/gen/retort/v1/conversation_pb.js";
import type { ToolCall } from "../../shared/ml/text/tool-calls.js";

/** An episode that begins: one sample of one prompt. */
export interface EpisodeStart {
  /** Names it; another try of the same sample has another name. */
  readonly episode: string;
  readonly seed: bigint;
  readonly conversation: Conversation;
  /** Empty if there is none. */
  readonly reference: string;
}

/** A turn of the student. */
export interface Turn {
  /** From 0. */
  readonly turn: number;
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  /** No other turn follows, whatever the answer; the text may be cut off. */
  readonly last: boolean;
}

/** What a student reads before its next turn. */
export type Said = Pick<Message, "role" | "content" | "extra">;

/** What an environment answers. */
export interface TurnAnswer {
  /** At least one, unless the episode is over. */
  readonly messages: readonly Said[];
  /** The episode is over. */
  readonly done: boolean;
  /** What the turn is worth. */
  readonly reward: number;
}

/** An episode that has begun. Its turns never overlap. */
export interface Episode {
  /** @throws RetortError that says why there is no answer, for an outcome to be recorded; Cancelled if it was given up on */
  answer(turn: Turn): Promise<TurnAnswer>;
  /** Told of an episode that is over and was not ended by the environment. Never throws. */
  close(): void;
}

/** How long an environment may be waited for. */
export interface EpisodePatience {
  /** Milliseconds since `sinceMs` for which one that is away or busy is asked again. */
  readonly patienceMs: number;
  /** Of performance.now(). */
  readonly sinceMs: number;
  /** Gives up at once. */
  readonly signal: AbortSignal;
}

/** What answers a student between its turns. */
export interface Environment {
  /** @throws as {@link Episode.answer} */
  begin(start: EpisodeStart, patience: EpisodePatience): Promise<Episode>;
  close(): void;
}
