import { createHash } from "node:crypto";
import { deferred } from "../../../shared/base/deferred.js";
import { RetortError } from "../../../shared/base/errors.js";
import type { ServerSpec } from "../../../shared/gen/retort/v1/server_pb.js";
import { encodePairs, encodePrompts, type TextModel } from "../../../shared/ml/host/texts.js";
import { completionTexts } from "../../../shared/ml/text/completion-texts.js";
import { completionTokens } from "../../../shared/ml/text/completion-tokens.js";
import type { BackendOptions, TeacherBackend, TeacherFacts, TeacherModel, TeacherSource } from "../backend.js";
import { Endpoint } from "./endpoint.js";
import { ServerMeters } from "./meters.js";
import { type ProbedServer, probeServer } from "./probe.js";
import { type RemoteWords, readRemoteWords } from "./remote-words.js";
import { ServerScorer } from "./server-scorer.js";

/**
 * A model that another server runs, which gives the log-probabilities of prompts: vLLM, SGLang, or completions with echo. What its
 * ids mean is read from a directory here, and compared with the server's answers.
 */
export function openaiBackend({ metrics, tokens }: BackendOptions): TeacherBackend {
  const endpoints = new Set<Endpoint>();
  let meters: ServerMeters | undefined;
  const connect = (server: ServerSpec): Endpoint => {
    meters ??= new ServerMeters(metrics);
    const endpoint = new Endpoint(server, tokens, meters);
    endpoints.add(endpoint);
    return endpoint;
  };
  return {
    // There is no thread to be lost.
    crashed: deferred<RetortError>().promise,
    close: async () => {
      for (const endpoint of endpoints) endpoint.close();
    },
    describe: (source) => ({
      facts: async (vocabulary) => {
        const [server, words] = [serverOf(source), await readRemoteWords(source.model)];
        const endpoint = connect(server);
        try {
          return factsOf(words, await probeServer(endpoint, server, words), endpoint.url, vocabulary);
        } finally {
          endpoints.delete(endpoint);
        }
      },
    }),
    open: async (source) => {
      const [server, words] = [serverOf(source), await readRemoteWords(source.model)];
      const endpoint = connect(server);
      const probed = await probeServer(endpoint, server, words);
      const rows = source.vocabRows || words.rows;
      return modelOf(words, probed, new ServerScorer({ endpoint, server, probed, rows, meters }), endpoint.url);
    },
  };
}

function serverOf({ server }: Pick<TeacherSource, "server">): ServerSpec {
  if (server) return server;
  throw new RetortError("InvalidArgument", "server is missing; name where the model runs", { fieldPath: "server" });
}

/** What stands for the weights, which are not known: who was asked for what. */
const digestOf = (url: string, model: string): string =>
  createHash("sha256")
    .update(JSON.stringify([url, model]))
    .digest("hex");

function factsOf(words: RemoteWords, probed: ProbedServer, url: string, vocabulary: boolean): TeacherFacts {
  const { outline, rows, listed } = words;
  const { maxTokens, largestK, dialectName, model, warnings } = probed;
  const source = `${model} of ${url} (${dialectName})`;
  return {
    ...outline,
    vocabSize: rows,
    // One token more is always written.
    maxPositions: maxTokens === undefined ? outline.maxPositions : maxTokens - 1,
    warnings: [...outline.warnings, ...warnings],
    device: source,
    weights: { digest: digestOf(url, model), headDigest: "", dtype: "float32" },
    offer: { signals: largestK > 0 ? ["sampled", "top_k"] : ["sampled"], largestK, source, dialect: dialectName },
    ...(vocabulary && { vocabulary: listed() }),
  };
}

function modelOf(words: RemoteWords, probed: ProbedServer, scorer: ServerScorer, url: string): TeacherModel {
  const { outline, tokenizer, rows } = words;
  const texts: TextModel = { tokenizer, eosIds: outline.ends.ids, layout: "one" };
  const { vocabSize, maxPositions } = factsOf(words, probed, url, false);
  const digest = digestOf(url, probed.model);
  const { architecture, hiddenSize, tokenizerSize, tokenizerDigest, templateDigest, encodingDigest, padId } = outline;
  const writesNothing = async () => {
    throw new RetortError("Unimplemented", `the model of ${url} only scores here; ask that server for texts`);
  };
  return {
    description: {
      ...{ architecture, hiddenSize, tokenizerSize, tokenizerDigest, templateDigest, encodingDigest, padId },
      ...{ digest, vocabSize: Math.min(vocabSize, rows), maxPositions },
      headDigest: "",
      configDigest: "",
      parameters: 0,
      dtype: "float32",
      bosId: outline.specials.bosId,
      eosIds: outline.ends.ids,
    },
    isAttested: false,
    facts: async (vocabulary) => factsOf(words, probed, url, vocabulary),
    encode: async (prompts, chat) => encodePrompts(texts, prompts, chat, (i) => `prompts[${i}]`).map(({ ids }) => ids),
    completionTokens: async (completions) => completionTokens(tokenizer, completions),
    encodePairs: async (pairs, chat) => encodePairs(texts, pairs, chat),
    completionTexts: async (sequences) => completionTexts(tokenizer, sequences, "one"),
    score: (inputs, signal) => scorer.score(inputs, signal),
    sample: writesNothing,
    sampleGroups: writesNothing,
  };
}
