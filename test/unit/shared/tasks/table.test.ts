import { createHash } from "node:crypto";
import { compute } from "../../../../services/shared/tasks/arithmetic.js";
import { tasks } from "../../../../services/shared/tasks/table.js";

const digestOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);
const shown = 200;

describe.each(Object.values(tasks))("$name", (task) => {
  const examples = task.examples();
  const some = examples.filter((_, i) => i % Math.ceil(examples.length / shown) === 0);

  it("is the same every time", () => {
    expect(digestOf(task.examples())).toBe(digestOf(examples));
    if (task.vary) for (const example of some) expect(task.vary(example, 0)).toBe(example.completion);
  });

  it("passes its own examples and their variants", () => {
    const completions = some.flatMap((example) => [example.completion, ...(task.vary ? [1, 2].map((v) => task.vary!(example, v)) : [])]);
    const prompts = some.flatMap(({ prompt }) => Array(task.vary ? 3 : 1).fill(prompt) as string[]);
    expect(completions.map((completion, i) => task.check(prompts[i]!, completion))).toEqual(completions.map(() => 1));
  });

  it("fails its own mistakes", () => {
    const mistakes = task.corrupt
      ? some.flatMap((example) => [0, 1, 2].map((v) => task.check(example.prompt, task.corrupt!(example, v))))
      : [];
    expect(mistakes.filter((value) => value === 1)).toEqual([]);
  });

  it("fails the empty text, a text that goes on, and one with a strange end", () => {
    for (const { prompt, completion } of some.slice(0, 50)) {
      for (const wrong of ["", `${completion} ${completion}`, `${completion}?`]) expect(task.check(prompt, wrong)).toBeLessThan(1);
    }
  });

  it("has a tokenizer that knows every text and gives it back", () => {
    const tokenizer = task.tokenizer();
    for (const { prompt, completion } of some) {
      expect(tokenizer.decode(tokenizer.encode(completion))).toBe(completion);
      expect([...tokenizer.encode(prompt), ...tokenizer.encode(completion)]).not.toContain(tokenizer.specials.padId);
    }
  });
});

describe("check()", () => {
  const cases: readonly [task: string, prompt: string, completion: string, value: number][] = [
    ["calculator", "72+5*:", "7+2=9,9*5=5", 1],
    ["calculator", "72+5*:", "7+2=8!7+2=9,9*5=5", 1],
    ["calculator", "72+5*:", "7+2=8,8*5=0", 0],
    ["calculator", "72+5*:", "5", 0],
    ["grid-nav", "a1>c2=", "RUR", 1],
    ["grid-nav", "a1>c2=", "RULRR", 1],
    ["grid-nav", "a1>c2=", "RU", 0],
    ["grid-nav", "a1>c2=", "LRRRU", 0],
    ["instructions", "reverse the words : cat ant fox =", " fox ant cat", 1],
    ["instructions", "reverse the words : cat ant fox =", " fox cat ant", 0],
    ["instructions-held-out", "sort the list backwards : cat ant fox =", " fox cat ant", 1],
    ["names", "k>", "kolis", 0],
    ["names", "k>", "kadis", 1],
    ["names", "d>", "kadis", 0],
    ["names", "k>", "ka", 0],
    ["num2words", "347=", "three hundred forty seven", 1],
    ["num2words", "347=", "three hundred forty", 0],
    ["summaries", "eva ate soup . ben saw rain . eva lost keys . eva made a map . sum:", " eva mislaid keys and had soup", 1],
    ["summaries", "eva ate soup . ben saw rain . eva lost keys . eva made a map . sum:", " eva lost keys and noticed rain", 0.5],
    ["summaries", "eva ate soup . ben saw rain . eva lost keys . eva made a map . sum:", " eva lost keys and mislaid keys", 0],
    ["summaries", "eva ate soup . ben saw rain . eva lost keys . eva made a map . sum:", " ben saw rain and saw rain", 0],
  ];
  it.each(cases)("%s: %s -> %s is worth %d", (task, prompt, completion, value) => {
    expect(tasks[task]!.check(prompt, completion)).toBe(value);
  });
});

describe("tool-use", () => {
  const task = tasks["tool-use"]!;
  const some = task.examples().filter((_, i) => i % 20 === 0);

  it("is solved in two turns, behind calls that came to nothing where slips are asked for", () => {
    const tokenizer = task.tokenizer();
    let slips = 0;
    for (const example of some) {
      const [call, answer, ...others] = task.turns!(example, 0.5, 1);
      expect(others).toEqual([]);
      expect(answer!.completion).toBe(example.completion);
      const [question, ...before] = call!.prompt;
      expect(question).toEqual({ role: "user", content: example.prompt });
      const said = before.filter(({ role }) => role === "tool").map(({ content }) => content);
      slips += said.length;
      for (const content of said) expect(content).toMatch(/^error: /);
      expect(answer!.prompt.at(-1)).toEqual({ role: "tool", content: example.completion });
      expect(task.turns!(example, 0, 1)[0]).toEqual({ prompt: [question], completion: call!.completion });
      for (const { content } of answer!.prompt) expect(tokenizer.encode(content)).not.toContain(tokenizer.specials.padId);
    }
    expect(slips / some.length).toBeGreaterThan(0.7);
  });

  it("knows every word of the calculator's complaints", () => {
    const tokenizer = task.tokenizer();
    for (const wrong of ["", "(1", "1)", "1+", "1++2", "*1", "12+)", "()", "1-*2"]) {
      const computed = compute(wrong);
      const said = `error: ${"problem" in computed ? computed.problem : ""}`;
      expect([wrong, tokenizer.decode(tokenizer.encode(said))]).toEqual([wrong, said]);
    }
  });
});

describe("names", () => {
  it("are habits that can be learnt: open syllables are unequally likely", () => {
    const all = tasks.names!.examples().map(({ completion }) => completion);
    const share = (pattern: RegExp) => all.filter((name) => pattern.test(name)).length / all.length;
    expect(share(/ka/)).toBeGreaterThan(2 * share(/ki/));
    expect(new Set(all).size).toBe(all.length);
  });
});

describe("instructions", () => {
  it("are ten kinds, and the held-out ones are others in the same words", () => {
    const kinds = (name: string) => new Set(tasks[name]!.examples().map(({ kind }) => kind));
    const [taught, heldOut] = [kinds("instructions"), kinds("instructions-held-out")];
    expect(taught.size).toBe(10);
    expect([...heldOut].filter((kind) => taught.has(kind))).toEqual([]);
    const words = (name: string) => new Set(tasks[name]!.examples().flatMap(({ prompt }) => prompt.split(" ")));
    const known = words("instructions");
    expect([...words("instructions-held-out")].filter((word) => !known.has(word))).toEqual([]);
  });
});
