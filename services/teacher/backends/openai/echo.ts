import { z } from "zod";
import { checkCount, type Dialect, given, inForm, logprob, plainSampling } from "./dialect.js";

const form = z.object({
  choices: z.array(
    z.object({
      index: z.number(),
      logprobs: z.object({
        tokens: z.array(z.string()),
        token_logprobs: z.array(logprob),
        top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
      }),
    }),
  ),
});

/** A token by its id, as servers write it that know `return_tokens_as_token_ids`. */
const named = /^token_id:(\d+)$/;

/**
 * OpenAI's completions with `echo` and `logprobs`: the prompt comes back with the log-probabilities of its tokens. Classes are
 * named by text, which several ids may share, unless the server knows `return_tokens_as_token_ids`; without it there is no
 * top_k. One token is written, since not every server echoes without, and is dropped.
 */
export const echo: Dialect = {
  path: "completions",
  body: (model, asked, k) => ({
    model,
    prompt: asked.map(({ ids }) => ids),
    max_tokens: 1,
    echo: true,
    logprobs: k,
    return_tokens_as_token_ids: true,
    ...plainSampling,
  }),
  read: (answer, asked) => {
    const { choices } = inForm(form, answer);
    checkCount(choices.length, asked.length, "choices");
    const inOrder = [...choices].sort((a, b) => a.index - b.index);
    return inOrder.map(({ logprobs: { tokens, token_logprobs: values, top_logprobs: tops } }, i) => {
      const { ids, from } = asked[i]!;
      // A text whose next token ends it has none behind it.
      if (tokens.length !== ids.length) checkCount(tokens.length, ids.length + 1, `tokens in choice ${i}`);
      checkCount(values.length, tokens.length, `token_logprobs in choice ${i}`);
      return tokens.slice(from, ids.length).map((text, n) => ({
        id: idOf(text),
        text,
        logprob: given(values[from + n], `token ${from + n} of choice ${i}`),
        top: byId(tops?.[from + n]),
      }));
    });
  },
};

function idOf(text: string): number | undefined {
  const digits = named.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function byId(classes: Readonly<Record<string, number>> | null | undefined): [number, number][] | undefined {
  const pairs = Object.entries(classes ?? {}).flatMap(([text, value]): [number, number][] => {
    const id = idOf(text);
    return id === undefined ? [] : [[id, value]];
  });
  return pairs.length > 0 ? pairs : undefined;
}
