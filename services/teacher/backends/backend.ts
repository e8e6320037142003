import type { RetortError } from "../../shared/base/errors.js";
import type { Metrics } from "../../shared/base/metrics.js";
import type { SamplingModel } from "../../shared/flow/rollouts/sample-stream.js";
import type { ResolvedChat } from "../../shared/flow/runs/chat.js";
import type { MixedModel } from "../../shared/flow/runs/ensembles.js";
import type { SamplingSettings } from "../../shared/flow/runs/resolve.js";
import type { ServerSpec } from "../../shared/gen/retort/v1/server_pb.js";
import type { ModelDescription, ModelSource, Outcome, WrittenCompletion } from "../../shared/ml/host/model-host.js";
import type { EncodedPair, PromptPair } from "../../shared/ml/host/texts.js";
import type { ModelOutline } from "../../shared/ml/models/files/outline-model.js";
import type { WeightDtype } from "../../shared/ml/models/precision/weight-dtypes.js";
import type { Piece, SampleRequest } from "../../shared/ml/sampling/chunk.js";
import type { Score, Signal } from "../../shared/ml/signals/score.js";
import type { ScoreInput } from "../../shared/ml/signals/signal.js";
import type { SignalKind } from "../../shared/ml/signals/table.js";
import type { CompletionText, CompletionTokens } from "../../shared/ml/text/completion-tokens.js";

/** What a teacher says of itself: what its files say, and as far as it is open, what its weights are. */
export interface TeacherFacts extends ModelOutline {
  /** Where it computes, or would. */
  readonly device: string;
  /** Of the open model; undefined where the weights have not been read. */
  readonly weights?: Pick<ModelDescription, "digest" | "headDigest" | "dtype" | "precision">;
  /** Which signals it gives; undefined where it gives every one. */
  readonly offer?: TeacherOffer;
}

/** The signals that a teacher gives, at temperature 1 alone. */
export interface TeacherOffer {
  readonly signals: readonly SignalKind[];
  /** Most classes of top_k. */
  readonly largestK: number;
  /** Who gives them and how, in words. */
  readonly source: string;
  /** How the server is asked, as ServerSpec.dialect has it. */
  readonly dialect: string;
}

/** A teacher that can say what it is. */
export interface DescribedTeacher {
  /** @param vocabulary whether its tokens are listed too */
  facts(vocabulary: boolean): Promise<TeacherFacts>;
}

/** The weights of an open model, where other versions of them can take their place. */
export interface ReplaceableWeights {
  /** Goes over to a version; as `useWeights` of a model's host. */
  use(directory: string): Promise<void>;
  /** Digest of the weights that now turn hidden states into logits. */
  headDigest(): Promise<string>;
}

/** A teacher's model, open: what a run's scores and texts come from. Calls may overlap; the model takes them in turn. */
export interface TeacherModel extends SamplingModel, DescribedTeacher {
  readonly description: ModelDescription;
  /** Whether its digest stands for its weights: what it says of a text may be kept, and used again. */
  readonly isAttested: boolean;
  /** Undefined where they stay as they are. */
  readonly weights?: ReplaceableWeights;
  /** Prompts with their completions in tokens; a completion that is text is written behind its prompt. */
  encodePairs(pairs: readonly PromptPair[], chat: ResolvedChat): Promise<EncodedPair[]>;
  /** Completions that were written in other tokens, in its own, or why one has none. */
  completionTokens(completions: readonly CompletionText[]): Promise<(CompletionTokens | string)[]>;
  /** Scores every completion token of each sequence, `scores[i]` those of `inputs[i]`. */
  score(inputs: readonly ScoreInput[], signal: Signal): Promise<readonly Score[]>;
  /** Completes groups of prompts together; `onWritten` hears of each group when it is written. */
  sampleGroups(
    groups: readonly (readonly SampleRequest[])[],
    sampling: SamplingSettings,
    onWritten: (group: number, outcomes: readonly Outcome[]) => void,
  ): Promise<void>;
  /** Completes prompts; `onPieces` hears of what is written as it is written. */
  sample(
    requests: readonly SampleRequest[],
    sampling: SamplingSettings,
    onPieces?: (pieces: readonly Piece[]) => void,
  ): Promise<WrittenCompletion[]>;
}

/** Which model a teacher is. */
export interface TeacherSource {
  /** What `teachers[].model` of the run's spec says, or --model. */
  readonly model: string;
  /** Where the weights are, if not there: of a teacher that is a run's student, the run's first version. */
  readonly weights?: ModelSource | undefined;
  /** What `teachers[].server` says: where the model runs, if that is not here. */
  readonly server?: ServerSpec | undefined;
  /** The models whose distributions are mixed, `model` first, where the spec names several. */
  readonly ensemble?: readonly MixedModel[] | undefined;
  /** First rows of the vocabulary that distributions range over; 0 for all. */
  readonly vocabRows: number;
}

/** A kind of teacher: how its model is opened, and closed again. Everything that role.ts and service.ts know of models. */
export interface TeacherBackend {
  /** Describes a model from its files, or its server, which are asked again at each question; nothing is opened for it. */
  describe(source: Pick<TeacherSource, "model" | "server">): DescribedTeacher;
  /** Opens the model. @throws NotFound, DataLoss or InvalidArgument naming what cannot be opened, and the way out */
  open(source: TeacherSource): Promise<TeacherModel>;
  /** Settles when the model is lost by itself: the process has failed then. */
  readonly crashed: Promise<RetortError>;
  /** Closes the model at once; calls in progress reject as Cancelled. */
  close(): Promise<void>;
}

/** What decides who gets a token: all of it the operator's. */
export interface TokenRules {
  /** Where the tokens are. */
  readonly env: NodeJS.ProcessEnv;
  /** Servers of other machines that may get them: host:port, separated by commas. */
  readonly hosts: string;
  /** Whether they may go to other machines without TLS. */
  readonly plaintext: boolean;
}

/** What every backend is told of its process. */
export interface BackendOptions {
  readonly device: "cpu" | "cuda" | "webgpu";
  /** Threads inside one operator. */
  readonly threads: number;
  /** Most tokens of one forward, padding included. */
  readonly batchTokens: number;
  /** What the weights are held in; by default as the checkpoint has them. */
  readonly dtype?: WeightDtype;
  readonly metrics: Metrics;
  /** Which servers get which token. */
  readonly tokens: TokenRules;
}
