/** The font of every text. */
export const font = "DejaVu Sans";
/** The same, with what stands in for it. */
export const family = `${font}, sans-serif`;

/** Widths of bars, shares of a bar and of a group; the whiskers must agree with them. */
export const layout = { barGap: "20%", barCategoryGap: "24%" } as const;

/** Room that a name takes, with what is left free before it, in pixels. */
export const roomOf = (name: string): number => 16 + 7.2 * name.length;

/** Which bar of how many in a group. */
export interface Bar {
  readonly index: number;
  readonly count: number;
}

interface Drawing {
  value(dimension: number): number;
  coord(point: readonly number[]): number[];
  barLayout(options: typeof layout & { readonly count: number }): readonly { readonly offsetCenter: number }[];
}

const centreOf = (api: Drawing, { index, count }: Bar): number => api.barLayout({ ...layout, count })[index]?.offsetCenter ?? 0;

/**
 * A vertical line from one end of the error to the other at each point.
 *
 * @param bar which one it belongs to; absent for points of a line
 */
export function whiskers(name: string, stroke: string, data: readonly (readonly number[])[], bar?: Bar) {
  return {
    name,
    type: "custom" as const,
    z: bar ? 3 : 1,
    data: data.map((row) => [...row]),
    encode: { x: 0, y: [1, 2] },
    renderItem: (_: unknown, api: Drawing) => {
      const [at = Number.NaN, low] = api.coord([api.value(0), api.value(1)]);
      const [, high] = api.coord([api.value(0), api.value(2)]);
      const x = at + (bar ? centreOf(api, bar) : 0);
      return { type: "line" as const, shape: { x1: x, y1: low, x2: x, y2: high }, style: { stroke, fill: "none", lineWidth: 1.5 } };
    },
  };
}

/** The name of a series below each of its bars, above those of the groups. */
export function belowBars(name: string, groups: number, bar: Bar, { fill, y }: { readonly fill: string; readonly y: number }) {
  return {
    name,
    type: "custom" as const,
    data: Array.from({ length: groups }, (_, i) => [i, 0]),
    encode: { x: 0, y: [] },
    clip: false,
    renderItem: (_: unknown, api: Drawing) => {
      const [at = Number.NaN] = api.coord([api.value(0), 0]);
      const style = { text: name, fill, font: `10px ${family}`, align: "center" as const, verticalAlign: "top" as const };
      return { type: "text" as const, x: at + centreOf(api, bar), y, style };
    },
  };
}

/** A name that stands beside a point. */
export interface PointName {
  readonly name: string;
  readonly color: string;
  readonly x: number;
  readonly y: number;
}

/** How far a name may be moved from its place where another one stands, in pixels, the nearest first. */
const moves = [0, 14, -14, 28, -28, 42, -42];

/** Names at the right of points, each moved up or down where it would cover another. */
export function besidePoints(names: readonly PointName[]) {
  const placed: { readonly x: number; readonly end: number; readonly y: number }[] = [];
  return {
    type: "custom" as const,
    name: "",
    z: 4,
    data: names.map(({ x, y }) => [x, y]),
    clip: false,
    renderItem: ({ dataIndex }: { readonly dataIndex: number }, api: Drawing) => {
      const { name = "", color = "" } = names[dataIndex] ?? {};
      const [at = 0, height = 0] = api.coord([api.value(0), api.value(1)]);
      const x = at + 9;
      const end = x + roomOf(name);
      const covers = (y: number) => placed.some((one) => x < one.end && one.x < end && Math.abs(y - one.y) < 13);
      const y = height + (moves.find((move) => !covers(height + move)) ?? 0);
      placed.push({ x, end, y });
      const style = { text: name, fill: color, font: `12px ${family}`, verticalAlign: "middle" as const };
      return { type: "text" as const, x, y, style };
    },
  };
}
