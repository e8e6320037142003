import type { Message } from "@bufbuild/protobuf";
import { Fragment } from "preact";
import { useRef, useState } from "preact/hooks";
import { css, heat, ink } from "../../shared/base/colors.js";
import type { TrainingSample } from "../../shared/gen/retort/v1/events_pb.js";
import { number, visible } from "../model/format.js";
import type { Scale } from "../model/token-values.js";
import { theme } from "../state.js";

/** What of a sample tokens need. */
export type TokenSample = Pick<TrainingSample, "tokens"> & Partial<Omit<TrainingSample, keyof Message>>;

/** A completion, token by token, coloured by a measure. Hover, focus, arrow keys and touch give a token's values. */
export function Tokens({ sample, scale, name }: { readonly sample: TokenSample; readonly scale: Scale; readonly name: string }) {
  const [at, setAt] = useState<number>();
  const list = useRef<HTMLDivElement>(null);
  const { tokens, replies = [] } = sample;
  const before = new Map(replies.map(({ at, text }) => [at, text]));
  const move = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10, Home: -tokens.length, End: tokens.length }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = Math.min(tokens.length - 1, Math.max(0, (at ?? 0) + by));
    setAt(next);
    list.current?.querySelector<HTMLElement>(`[data-n="${next}"]`)?.focus();
  };
  const point = (event: Event) => {
    const n = (event.target as HTMLElement).dataset.n;
    if (n !== undefined) setAt(Number(n));
  };
  if (!tokens.length) return <p class="small">an empty completion</p>;
  return (
    <>
      <div
        ref={list}
        class="tokens"
        role="listbox"
        aria-label={name}
        aria-orientation="horizontal"
        tabIndex={-1}
        onKeyDown={move}
        onPointerOver={point}
        onPointerDown={point}
        onFocusIn={point}
      >
        {tokens.map((token, n) => (
          // The key: a token is its place
          <Fragment key={n}>
            {before.has(n) && (
              <span class="reply" role="presentation" title="said by the environment: read, and not learnt">
                {visible(before.get(n) ?? "")}
              </span>
            )}
            <span
              data-n={n}
              role="option"
              aria-selected={n === at}
              tabIndex={n === (at ?? 0) ? 0 : -1}
              style={colorOf(sample[scale.measure]?.[n], scale)}
            >
              {visible(token)}
            </span>
          </Fragment>
        ))}
      </div>
      <p class="token-values num" aria-live="polite">
        {at !== undefined && valuesOf(sample, at).join(" · ")}
      </p>
    </>
  );
}

function colorOf(value: number | undefined, { measure, most }: Scale): { background: string; color: string } | undefined {
  if (value === undefined || !Number.isFinite(value)) return undefined;
  const color = heat(theme.value, value / most, measure === "advantage" ? "zero" : "least");
  return { background: css(color), color: ink(color) };
}

const named = [
  ["divergence", "divergence"],
  ["entropy", "entropy"],
  ["advantage", "advantage"],
  ["samplerLogprobs", "sampler log-prob"],
  ["learnerLogprobs", "learner log-prob"],
  ["teacherLogprobs", "teacher log-prob"],
] as const;

function valuesOf(sample: TokenSample, n: number): string[] {
  const values = named.flatMap(([field, word]) => {
    const value = sample[field]?.[n];
    return value === undefined ? [] : [`${word} ${number(value)}`];
  });
  return [`token ${n + 1} of ${sample.tokens.length} “${visible(sample.tokens[n] ?? "")}”`, ...values];
}

/** The colours of a scale, with the numbers at its ends. */
export function ScaleLegend({ scale: { measure, most, unit } }: { readonly scale: Scale }) {
  const signed = measure === "advantage";
  const stops = Array.from({ length: 9 }, (_, i) => (signed ? i / 4 - 1 : i / 8));
  return (
    <span class="scale">
      <span class="num">{number(signed ? -most : 0)}</span>
      {stops.map((stop) => (
        <i key={stop} style={{ background: css(heat(theme.value, stop, signed ? "zero" : "least")) }} />
      ))}
      <span class="num">
        {number(most)} {unit} and more · point at a token, or go with the arrow keys
      </span>
    </span>
  );
}
