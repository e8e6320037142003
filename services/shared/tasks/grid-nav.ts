import { deriveSeed, generator } from "../base/random.js";
import { characterTokenizer } from "../ml/text/character-tokenizer.js";
import type { Example, GeneratedTask } from "./task.js";

/** Columns and rows of the grid. */
const size = 6;
/** Most moves of an example's path. */
const longest = 16;
/** Share of an example's moves that go anywhere, so that the teacher learns to find back from wrong turns. */
const detours = 0.15;

const moves = { D: [0, -1], L: [-1, 0], R: [1, 0], U: [0, 1] } as const;
type Move = keyof typeof moves;
type Cell = readonly [column: number, row: number];

const nameOf = ([column, row]: Cell): string => "abcdef"[column]! + (row + 1);
const cellOf = (name: string): Cell => ["abcdef".indexOf(name[0]!), Number(name[1]) - 1];
const after = ([column, row]: Cell, move: Move): Cell => [column + moves[move][0], row + moves[move][1]];
const inside = (cell: Cell): boolean => cell.every((x) => x >= 0 && x < size);
const distance = (a: Cell, b: Cell): number => Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);
const read = (prompt: string): [Cell, Cell] => [cellOf(prompt.slice(0, 2)), cellOf(prompt.slice(3, 5))];

/** A random path that ends on the goal; a wrong turn is walked back from. */
function path(prompt: string, variant: number): string {
  const [start, goal] = read(prompt);
  const draw = generator(deriveSeed(1n, ...start, ...goal, variant));
  const chance = () => draw() / 2 ** 32;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(chance() * list.length)]!;
  let at = start;
  let walked = "";
  while (distance(at, goal) > 0) {
    const possible = (Object.keys(moves) as Move[]).filter((move) => inside(after(at, move)));
    const nearer = possible.filter((move) => distance(after(at, move), goal) < distance(at, goal));
    const spare = longest - walked.length - distance(at, goal) >= 2;
    const move = pick(spare && chance() < detours ? possible : nearer);
    at = after(at, move);
    walked += move;
  }
  return walked;
}

/**
 * Ways over a 6×6 grid: "a1>c2=" is completed to moves such as "RUR", which end on the goal. Positions on the way are
 * never written, every order of moves is as good as another, and a wrong turn can be walked back from. 1260 examples:
 * all pairs of different cells. Leaving the grid fails.
 */
export const gridNav: GeneratedTask = {
  name: "grid-nav",
  tokenizer: () => characterTokenizer("abcdef123456>=DLRU"),
  examples: () => {
    const cells = Array.from({ length: size * size }, (_, i): Cell => [i % size, Math.floor(i / size)]);
    const pairs = cells.flatMap((start) => cells.flatMap((goal) => (start === goal ? [] : [`${nameOf(start)}>${nameOf(goal)}=`])));
    return pairs.map((prompt): Example => ({ prompt, completion: path(prompt, 0) }));
  },
  vary: ({ prompt }, variant) => path(prompt, variant),
  check: (prompt, completion) => {
    let [at, goal] = read(prompt);
    for (const move of completion) {
      if (!(move in moves)) return 0;
      at = after(at, move as Move);
      if (!inside(at)) return 0;
    }
    return distance(at, goal) === 0 ? 1 : 0;
  },
};
