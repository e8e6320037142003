import { uniform } from "../../../../../services/shared/base/random.js";
import { characterTokenizer } from "../../../../../services/shared/ml/text/character-tokenizer.js";
import { spelledLengths, tokensOf } from "../../../../../services/shared/ml/text/completion-tokens.js";
import { latin1, TokenCrossing } from "../../../../../services/shared/ml/text/crossing.js";
import { nextTokens, unwrittenLogprob } from "../../../../../services/shared/ml/text/next-tokens.js";
import type { Tokenizer } from "../../../../../services/shared/ml/text/tokenizer.js";
import { wordTokenizer } from "../../../../../services/shared/ml/text/word-tokenizer.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { fixtureTokenizer } from "../../../../support/models/encoder-fixtures.js";

/** The teacher's classes at one of its tokens, by their text. */
type Row = Readonly<Record<string, number>>;
const end = "</s>";

interface Case {
  readonly teacher: Tokenizer;
  readonly student: Tokenizer;
  readonly text: string;
  /** Of each of the teacher's tokens, those of the end last. */
  readonly rows: readonly Row[];
  readonly ended?: boolean;
}

/** What the student is expected to write, by text, at each of its tokens; `rest` is what isn't known. */
function expected({ teacher, student, text, rows, ended = false }: Case) {
  const k = Math.max(...rows.map((row) => Object.keys(row).length));
  const columns = Math.min(k, student.size);
  const idsOf = (tokenizer: Tokenizer) => [...tokenizer.encode(text), ...(ended ? [tokenizer.tokenToId(end)!] : [])];
  const lengthsOf = (tokenizer: Tokenizer) =>
    Uint16Array.of(...spelledLengths(tokenizer, tokenizer.encode(text), text), ...(ended ? [0] : []));
  const read = idsOf(teacher);
  const flat = rows.flatMap((row) => [
    ...Object.entries(row),
    ...Array.from({ length: k - Object.keys(row).length }, () => ["", 0] as const),
  ]);
  const classOf = (token: string) => teacher.tokenToId(token) ?? 0;
  const found = nextTokens(
    new TokenCrossing(teacher, student),
    {
      byteLengths: lengthsOf(teacher).subarray(0, rows.length),
      logprobs: Float32Array.from(rows, (row, m) => Math.log(row[teacher.idToToken(read[m]!)!] ?? 0)),
      ids: Int32Array.from(flat, ([token]) => classOf(token)),
      topLogprobs: Float32Array.from(flat, ([, p]) => Math.log(p)),
      tail: Float32Array.from(rows, (row) => Math.log(Math.max(0, 1 - Object.values(row).reduce((a, b) => a + b, 0)))),
      endId: teacher.tokenToId(end),
    },
    { text: latin1(Buffer.from(text)), byteLengths: lengthsOf(student), endId: student.tokenToId(end)! },
    idsOf(student).length,
    student.size,
  );
  return [...found.known].map((known, n) => {
    const own = Array.from({ length: columns }, (_, i) => [found.ids[n * columns + i]!, found.topLogprobs[n * columns + i]!] as const);
    expect([found.k, new Set(own.map(([id]) => id)).size]).toEqual([columns, columns]);
    const said = own.filter(([, logprob]) => logprob > Number.NEGATIVE_INFINITY);
    const entries = said.map(([id, logprob]) => [student.idToToken(id)!, Math.round(Math.exp(logprob) * 1e6) / 1e6] as const);
    return known ? { ...Object.fromEntries(entries), rest: Math.round(Math.exp(found.tail[n]!) * 1e6) / 1e6 } : undefined;
  });
}

const characters = characterTokenizer(" abcdefghijklmnopqrstuvwxyz");
const words = wordTokenizer(["six", "sixty", "ten", "a", "ab"]);

describe("nextTokens()", () => {
  it("tells from the teacher's word what comes next, letter by letter, and at its end what it may yet have become", () => {
    const six = { " six": 0.2, " sixty": 0.3, " ten": 0.5 };
    expect(
      expected({ teacher: words, student: characters, text: " six", rows: [six, { [end]: 0.75, " ten": 0.25 }], ended: true }),
    ).toEqual([
      { " ": 1, rest: 0 },
      { s: 0.5, t: 0.5, rest: 0 },
      { i: 1, rest: 0 },
      { x: 1, rest: 0 },
      // Of ` six` and ` sixty`, two fifths have ended here.
      { t: 0.6, [end]: 0.3, " ": 0.1, rest: 0 },
    ]);
  });

  it("doesn't know what follows where the teacher would have ended its word, and went on", () => {
    const six = { " six": 0.2, " sixty": 0.3, " ten": 0.5 };
    const found = expected({ teacher: words, student: characters, text: " sixty", rows: [six] });
    expect(found[4]).toEqual({ t: 0.6, rest: 0.4 });
    expect(found[5]).toEqual({ y: 1, rest: 0 });
  });

  it("says nothing within a word that the rest of the classes may have begun as well, and counts it where a word begins", () => {
    const found = expected({ teacher: words, student: characters, text: " sixty", rows: [{ " sixty": 0.25, " ten": 0.25 }] });
    expect(found[0]).toEqual({ " ": 0.5, rest: 0.5 });
    expect(found[1]).toBeUndefined();
    expect(found.slice(2)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("leaves what a longer token of the student may write to the rest", () => {
    const [first] = expected({ teacher: characters, student: words, text: " six", rows: [{ " ": 0.5, a: 0.25, s: 0.25 }] });
    expect(first).toEqual({ a: 0.25, rest: 0.75 });
  });

  it("says nothing of what lies behind the text that the teacher has read", () => {
    const found = expected({ teacher: words, student: characters, text: " ten six", rows: [{ " ten": 1 }] });
    expect(found.map(Boolean)).toEqual([true, true, true, true, false, false, false, false]);
  });

  it.each(["bytes", "metaspace"] as const)("is the teacher's distribution as it is where both have the tokenizer %s", (kind) => {
    const tokenizer = fixtureTokenizer(kind);
    const text = " the weather in Paris is sunny; def f(x): 3+4*5";
    const { ids, byteLengths: lengths } = tokensOf(tokenizer, text);
    expect(lengths.reduce((a, b) => a + b, 0)).toBe(text.length);
    const k = 12;
    const crossing = new TokenCrossing(tokenizer, tokenizer);
    const usual = [...ids].map((id) => crossing.following(crossing.textOf(id) ?? "", 0));
    expect(usual).toEqual([...ids]);
    // Of each token the classes: itself, what goes on from it, and others.
    const longer = (id: number) =>
      Array.from({ length: tokenizer.size }, (_, other) => other).filter(
        (other) => other !== id && crossing.textOf(other)?.startsWith(crossing.textOf(id)!),
      );
    const classes = [...ids].map((id) => {
      const all = [id, ...longer(id).slice(0, 5)];
      for (let other = 300; all.length < k; other++) if (crossing.textOf(other) && !all.includes(other)) all.push(other);
      return all.filter((one) => crossing.following(crossing.textOf(one)!, 0) === one);
    });
    const width = Math.min(...classes.map((row) => row.length));
    const masses = classes.map((row, m) => row.slice(0, width).map((_, i) => uniform(2n ** 40n, m, i)));
    const topLogprobs = Float32Array.from(
      masses.flatMap((row) => row.map((mass) => Math.log(mass / (row.reduce((a, b) => a + b, 0) * 1.1)))),
    );
    const read = {
      byteLengths: lengths,
      logprobs: Float32Array.from(ids, (_, m) => topLogprobs[m * width]!),
      ids: Int32Array.from(classes.flatMap((row) => row.slice(0, width))),
      topLogprobs,
      tail: new Float32Array(ids.length).fill(Math.log(1 - 1 / 1.1)),
      endId: undefined,
    };
    const written = { text: latin1(Buffer.from(text)), byteLengths: lengths, endId: 0 };
    const next = nextTokens(crossing, read, written, ids.length, tokenizer.size);
    expect([...next.known]).toEqual([...ids].map(() => 1));
    const sorted = (all: { ids: Int32Array; topLogprobs: Float32Array }, n: number) =>
      Array.from({ length: width }, (_, i) => [all.ids[n * width + i]!, all.topLogprobs[n * width + i]!] as const).sort(
        ([a], [b]) => a - b,
      );
    for (const n of ids.keys()) {
      expect(sorted(next, n).map(([id]) => id)).toEqual(sorted(read, n).map(([id]) => id));
      expectAllClose(
        sorted(next, n).map(([, p]) => p),
        sorted(read, n).map(([, p]) => p),
        { rtol: 1e-5, atol: 1e-6 },
      );
    }
    expectAllClose(next.tail, read.tail, { rtol: 1e-5, atol: 1e-6 });
  });

  it("knows the token that the teacher has read, though it isn't among the most probable", () => {
    const { length } = " sixty";
    const read = {
      byteLengths: Uint16Array.of(length),
      logprobs: Float32Array.of(Math.log(0.3)),
      ids: Int32Array.of(words.tokenToId(" ten")!),
    };
    const classes = { topLogprobs: Float32Array.of(Math.log(0.5)), tail: Float32Array.of(Math.log(0.5)), endId: undefined };
    const written = { text: " sixty", byteLengths: new Uint16Array(length).fill(1), endId: 2 };
    const { known, ids, topLogprobs, tail } = nextTokens(
      new TokenCrossing(words, characters),
      { ...read, ...classes },
      written,
      length,
      characters.size,
    );
    expect([...known]).toEqual([1, 1, 1, 1, 1, 1]);
    // All begin with a space; the rest is what neither has.
    expect([ids[0], Math.exp(topLogprobs[0]!), Math.exp(tail[0]!)]).toEqual([
      characters.tokenToId(" "),
      expect.closeTo(0.8, 5),
      expect.closeTo(0.2, 5),
    ]);
    expect([...ids.subarray(2)].map((id) => characters.idToToken(id)).join("")).toBe("ixty");
  });

  it("names as many classes as the student has where the teacher has more", () => {
    const few = characterTokenizer("st");
    const row = { s: 0.1, six: 0.2, ten: 0.3, t: 0.1, a: 0.2, " ten": 0.1 };
    const teacher = wordTokenizer(["s", "six", "ten", "t", "a"]);
    expect(few.size).toBe(5);
    const [first] = expected({ teacher, student: few, text: "s", rows: [row] });
    expect(first).toEqual({ t: 0.4, s: 0.3, rest: 0.3 });
  });

  it("gives to what the teacher never writes as little as to a text that is none", () => {
    const crossing = new TokenCrossing(words, characters);
    const one = {
      byteLengths: Uint16Array.of(3),
      logprobs: Float32Array.of(0),
      ids: Int32Array.of(words.tokenToId("ten")!),
      endId: undefined,
    };
    const read = { ...one, topLogprobs: Float32Array.of(0), tail: Float32Array.of(Number.NEGATIVE_INFINITY) };
    const written = { text: "ten", byteLengths: Uint16Array.of(1, 1, 1), endId: 2 };
    const { tail, known } = nextTokens(crossing, read, written, 4, characters.size);
    expect([...tail]).toEqual([unwrittenLogprob, unwrittenLogprob, unwrittenLogprob, 0]);
    expect([...known]).toEqual([1, 1, 1, 0]);
  });
});
