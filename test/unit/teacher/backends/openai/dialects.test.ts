import { echo } from "../../../../../services/teacher/backends/openai/echo.js";
import { scoreOf } from "../../../../../services/teacher/backends/openai/scores.js";
import { sglang } from "../../../../../services/teacher/backends/openai/sglang.js";
import { vllm } from "../../../../../services/teacher/backends/openai/vllm.js";

const asked = [{ ids: [1, 5, 9, 20], from: 2 }];
const topK = { kind: "top_k", k: 2, temperature: 1 } as const;

// What vLLM 0.32.0 answered on a CPU, for a model of random weights with 105 classes; without the fields that aren't read.
const vllmAnswer = {
  choices: [
    {
      index: 0,
      text: "w",
      logprobs: null,
      prompt_logprobs: [
        null,
        { "5": { logprob: -10.156983375549316, rank: 105, decoded_token: "a" }, "23": { logprob: -2.1970698833465576, rank: 1 } },
        {
          "9": { logprob: -5.117596626281738, rank: 32, decoded_token: "n" },
          "68": { logprob: -1.0727885961532593, rank: 1, decoded_token: "1" },
          "53": { logprob: -2.0046744346618652, rank: 2, decoded_token: "P" },
        },
        {
          "20": { logprob: -6.333310127258301, rank: 66, decoded_token: "p" },
          "65": { logprob: -2.202901840209961, rank: 1, decoded_token: "3" },
          "36": { logprob: -2.5913074016571045, rank: 2, decoded_token: "!" },
        },
      ],
    },
  ],
};
// The same, asked with `echo` and `return_tokens_as_token_ids`.
const echoAnswer = {
  choices: [
    {
      index: 0,
      text: "<s>anpé",
      logprobs: {
        text_offset: [0, 10, 20, 30, 41],
        token_logprobs: [null, -10.156983375549316, -5.117596626281738, -6.333310127258301, -3.847048044204712],
        tokens: ["token_id:1", "token_id:5", "token_id:9", "token_id:20", "token_id:78"],
        top_logprobs: [
          null,
          { "token_id:5": -10.156983375549316, "token_id:23": -2.1970698833465576, "token_id:44": -2.3060970306396484 },
          { "token_id:9": -5.117596626281738, "token_id:68": -1.0727885961532593, "token_id:53": -2.0046744346618652 },
          { "token_id:20": -6.333310127258301, "token_id:65": -2.202901840209961, "token_id:36": -2.5913074016571045 },
          { "token_id:78": -3.847048044204712, "token_id:87": -2.458212375640869, "token_id:36": -2.5589630603790283 },
        ],
      },
    },
  ],
};
// In the form of SGLang 0.5's tokenizer_manager.py; the numbers are vLLM's.
const sglangAnswer = [
  {
    text: "w",
    meta_info: {
      input_token_logprobs: [
        [null, 5, null],
        [-5.117596626281738, 9, null],
        [-6.333310127258301, 20, null],
      ],
      input_top_logprobs: [
        null,
        [
          [-1.0727885961532593, 68, null],
          [-2.0046744346618652, 53, null],
        ],
        [
          [-2.202901840209961, 65, null],
          [-2.5913074016571045, 36, null],
        ],
      ],
    },
  },
];

const answers = [
  ["vllm", vllm, vllmAnswer],
  ["echo", echo, echoAnswer],
  ["sglang", sglang, sglangAnswer],
] as const;

describe("dialects", () => {
  it.each(answers)("%s: what the server says becomes the score of the completion alone", (_, dialect, answer) => {
    const [told] = dialect.read(answer, asked);
    const { logprobs, ids, topLogprobs, tail } = scoreOf(told!, asked[0]!, topK, 105);
    expect([...logprobs!]).toEqual([-5.117596626281738, -6.333310127258301]);
    expect([...ids!]).toEqual([68, 53, 65, 36]);
    expect([...topLogprobs!]).toEqual([-1.0727885961532593, -2.0046744346618652, -2.202901840209961, -2.5913074016571045]);
    // log(1 − e^−1.0728 − e^−2.0047) and log(1 − e^−2.2029 − e^−2.5913).
    expect(tail![0]).toBeCloseTo(-0.64771, 4);
    expect(tail![1]).toBeCloseTo(-0.20506, 4);
  });

  it.each(answers)("%s: asks by ids, at temperature 1 and untruncated, for one token", (name, dialect) => {
    const body = JSON.stringify(dialect.body("m", asked, 2));
    for (const part of ["[[1,5,9,20]]", '"temperature":1', '"top_p":1', name === "sglang" ? '"max_new_tokens":1' : '"max_tokens":1'])
      expect(body).toContain(part);
  });

  it.each([
    ["vllm", vllm, { choices: [{ index: 0, prompt_logprobs: null }] }, "choices.0.prompt_logprobs"],
    ["vllm", vllm, { choices: [] }, "0 choices; it should have 1"],
    ["vllm", vllm, { choices: [{ index: 0, prompt_logprobs: [null] }] }, "1 prompt_logprobs of choice 0; it should have 4"],
    ["vllm", vllm, { choices: [{ index: 0, prompt_logprobs: [null, {}, {}, {}] }] }, "no log-probability of token 9"],
    ["echo", echo, { choices: [{ index: 0, logprobs: null }] }, "choices.0.logprobs"],
    ["sglang", sglang, { error: "x" }, "expected array"],
  ] as const)("%s: an answer of another form is named", (_, dialect, answer, words) => {
    expect(() => dialect.read(answer, asked)).toThrow(words);
  });
});

describe("scoreOf()", () => {
  const told = (logprob: number, top: readonly (readonly [number, number])[]) => [{ id: 9, logprob, top }];
  const one = { ids: [1, 9], from: 1 };
  const of = (logprob: number, top: readonly (readonly [number, number])[], rows = 105) => scoreOf(told(logprob, top), one, topK, rows);

  it("has no less for the rest than the given token has, or than is known of it", () => {
    const almost = Math.log(0.5 - 1e-9);
    expect(
      of(-5, [
        [3, almost],
        [4, almost],
      ]).tail![0],
    ).toBeCloseTo(-5, 6);
    expect(
      of(almost, [
        [9, almost],
        [4, almost],
      ]).tail![0],
    ).toBeCloseTo(Math.log(1e-6), 6);
    expect(
      of(
        almost,
        [
          [0, almost],
          [1, almost],
        ],
        2,
      ).tail![0],
    ).toBe(Number.NEGATIVE_INFINITY);
  });

  it.each([
    ["another token", () => scoreOf([{ id: 8, logprob: -1, top: [] }], one, topK, 105), "token 8, and 9 was sent"],
    ["a logit", () => of(3, []), "is 3, which isn't a log-probability"],
    ["too few classes", () => of(-1, [[9, -1]]), "gave 1 classes"],
    [
      "a class beyond the vocabulary",
      () =>
        of(-1, [
          [9, -1],
          [105, -2],
        ]),
      "class 105",
    ],
    [
      "a class twice",
      () =>
        of(-1, [
          [9, -1],
          [9, -1],
        ]),
      "a class twice",
    ],
    [
      "too much mass",
      () =>
        of(-0.1, [
          [9, -0.1],
          [4, -0.2],
        ]),
      "no distribution",
    ],
  ])("refuses %s", (_, score, words) => {
    expect(score).toThrow(words);
  });
});
