const width = 96;
const height = 20;

/** A curve without axes. */
export function Sparkline({ values }: { readonly values: readonly number[] }) {
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return null;
  const [least, most] = [Math.min(...finite), Math.max(...finite)];
  const y = (value: number) => height - 2 - ((value - least) / (most - least || 1)) * (height - 4);
  const points = finite.map((value, i) => `${((i / (finite.length - 1)) * width).toFixed(1)},${y(value).toFixed(1)}`);
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}
