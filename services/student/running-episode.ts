import { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import { deriveSeed } from "../shared/base/random.js";
import type { Written } from "../shared/flow/rollouts/sample-task.js";
import type { TaskSample, WrittenEpisode } from "../shared/flow/rollouts/sequences.js";
import type { EnvironmentSettings } from "../shared/flow/runs/environment.js";
import type { Outcome, WrittenCompletion } from "../shared/ml/host/model-host.js";
import type { EncodedReply, ReplyRequest } from "../shared/ml/host/texts.js";
import { replyTokens } from "../shared/ml/models/architectures/sequence-inputs.js";
import type { SampleRequest } from "../shared/ml/sampling/chunk.js";
import { toolCallsIn } from "../shared/ml/text/tool-calls.js";
import type { Environment, Episode, EpisodePatience, Said, TurnAnswer } from "./environments/environment.js";

/** Largest size of what a turn may pay. */
const largestReward = 1e20;

/** Most characters of an answer: more would take the model's thread long to turn into tokens, and are more than a student reads. */
const mostCharacters = 2 ** 20;

/** One sample on its way through its turns. */
export class RunningEpisode {
  readonly #sample: TaskSample;
  readonly #name: string;
  readonly #maxNewTokens: number;
  readonly #bounds: Pick<EnvironmentSettings, "maxTurns" | "maxReplyTokens">;
  #episode: Episode | undefined;
  readonly #turns: WrittenCompletion[] = [];
  readonly #answers: (readonly Said[])[] = [];
  readonly #replies: WrittenEpisode["replies"][number][] = [];
  #reward = 0;
  /** What became of it; undefined while it goes on. */
  outcome: Written | undefined;

  /**
   * @param name of this try, part of the episode's
   * @param maxNewTokens of all turns together
   */
  constructor(sample: TaskSample, name: string, maxNewTokens: number, bounds: Pick<EnvironmentSettings, "maxTurns" | "maxReplyTokens">) {
    const { prompt, task } = sample;
    const { runId = "", purpose, step, task: number } = found(task.key, "the task's key");
    this.#sample = sample;
    this.#name = [runId, purpose, step, number, prompt, sample.sample, name].join("/");
    this.#maxNewTokens = maxNewTokens;
    this.#bounds = bounds;
  }

  /** Begins it in the environment. @throws Cancelled */
  async begin(environment: Environment, patience: EpisodePatience): Promise<void> {
    const { seed, prompt, task } = this.#sample;
    const { reference, conversation } = found(task.prompts[prompt], "a sample's prompt");
    await this.#orFail(async () => {
      if (!conversation) throw new RetortError("InvalidArgument", "the task has no conversation for the environment to go on with");
      this.#episode = await environment.begin({ episode: this.#name, seed, conversation, reference }, patience);
    });
  }

  /** The turn that is to be written next. */
  request(): SampleRequest {
    const { promptIds, seed } = this.#sample;
    const behind = this.#turns.flatMap(({ ids }, turn) => [...ids, ...(this.#replies[turn]?.ids ?? [])]);
    const turn = this.#turns.length;
    return {
      promptIds: Int32Array.from([...promptIds, ...behind]),
      seed: turn === 0 ? seed : deriveSeed(seed, turn),
      maxNewTokens: this.#room,
      ...(turn + 1 < this.#bounds.maxTurns ? { conversation: this.#name } : {}),
    };
  }

  /** Takes a turn, and has the environment answer it. @throws Cancelled */
  async take(written: Outcome): Promise<void> {
    if ("refusal" in written) {
      this.outcome = written;
      return;
    }
    const { text, finish } = written;
    const turn = this.#turns.push(written) - 1;
    const last = finish === "length" || this.#room === 0 || turn + 1 >= this.#bounds.maxTurns;
    await this.#orFail(async () => {
      const episode = found(this.#episode, "an episode that has begun");
      const answer = await episode.answer({ turn, text, toolCalls: toolCallsIn(text), last });
      checkAnswer(answer, last);
      this.#reward += answer.reward;
      if (answer.done) this.#episode = undefined;
      if (answer.done || last) this.#end(answer.done ? finish : "length");
      else this.#answers.push(answer.messages);
    });
  }

  /** What the template is asked to write behind the last turn. */
  replyRequest(): ReplyRequest {
    const { prompt, task } = this.#sample;
    const conversation = found(task.prompts[prompt]?.conversation, "the conversation");
    return { conversation, answers: this.#answers };
  }

  /** Reads what the template wrote; where that is too much, the last turn was the last. */
  read(reply: EncodedReply): void {
    if ("refusal" in reply) {
      this.outcome = { refusal: `the environment's answer cannot be read: ${reply.refusal}` };
      return;
    }
    const { ids, text } = reply;
    if (replyTokens({ replies: this.#replies }) + ids.length > this.#bounds.maxReplyTokens) this.#end("length");
    else this.#replies.push({ at: this.#ids.length, ids, text });
  }

  /** Leaves an episode that the environment has not ended. */
  leave(): void {
    this.#episode?.close();
    this.#episode = undefined;
  }

  get #ids(): Int32Array {
    return Int32Array.from(this.#turns.flatMap(({ ids }) => [...ids]));
  }

  /** How many tokens the student may still write. */
  get #room(): number {
    return this.#maxNewTokens - this.#turns.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  #end(finish: WrittenCompletion["finish"]): void {
    const turns = this.#turns;
    const topIds = turns.flatMap(({ topIds = [] }) => [...topIds]);
    this.outcome = {
      ids: this.#ids,
      logprobs: Float32Array.from(turns.flatMap(({ logprobs }) => [...logprobs])),
      ...(topIds.length > 0 ? { topIds: Int32Array.from(topIds) } : {}),
      text: turns.at(-1)?.text ?? "",
      finish,
      episode: { replies: this.#replies, reward: this.#reward },
    };
  }

  /** What an environment fails with is the sample's outcome. */
  async #orFail(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { code, message } = RetortError.from(error);
      if (code === "Cancelled") throw error;
      this.outcome = { refusal: message };
    }
  }
}

/** @throws InvalidArgument for an answer that nothing can be made of */
function checkAnswer({ messages, done, reward }: TurnAnswer, last: boolean): void {
  const refuse = (what: string) => {
    throw new RetortError("InvalidArgument", `the environment's answer ${what}`);
  };
  if (!(Math.abs(reward) <= largestReward)) refuse(`pays ${reward}; a reward must be finite and lie within ±${largestReward}`);
  if (done || last) return;
  if (messages.length === 0) refuse("has no message, and the episode isn't over: there is nothing for the student to go on with");
  const characters = messages.reduce((sum, { content = "", extra }) => sum + content.length + extra.length, 0);
  if (characters > mostCharacters) refuse(`has ${characters} characters; at most ${mostCharacters} can be read`);
  if (messages.some(({ role }) => role === "assistant")) refuse("has a message of the role assistant, which is the student's own");
}
