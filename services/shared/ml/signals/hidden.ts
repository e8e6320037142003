// Dimensions: R rows (completion tokens), V vocabulary, E width of the teacher's hidden states.
import { RetortError } from "../../base/errors.js";
import type { Value } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, type Tensor } from "../graph/tensor.js";
import { headParts, type TeacherHead } from "../models/model.js";
import { cutRows } from "./answer-rows.js";
import { checkLength } from "./checks.js";
import { type DistributionForm, inputOf } from "./form.js";
import { largestIds } from "./largest.js";
import { floored, mixture } from "./logprobs.js";
import type { Answer, AnswerRows, SignalDefinition, SignalLayout } from "./signal.js";

/** In float16 all bits of the exponent are set in infinities and NaN. */
const isEndless = (bits: number): boolean => (bits & 0x7c00) === 0x7c00;

function answer(rows: AnswerRows): Answer {
  const width = rows.outputs.hidden?.dims[1] ?? 0;
  if (rows.outputs.hidden?.dtype === "float32") return { hidden: cutRows(rows, "hidden", Float32Array, width) };
  const states = cutRows(rows, "hidden", Uint16Array, width);
  if (states.some(isEndless))
    throw new RetortError("OutOfRange", "a hidden state is beyond what float16 can hold; ask for signal.hiddenDtype float32");
  return { hidden: states };
}

/** The name of a head's input. */
const headName = (m: number): string => (m === 0 ? "head" : `head${m}`);

/** The name of a head's products with the states. */
const productName = (m: number): string => `product${m}`;

const form: DistributionForm = {
  gives: "distribution",
  declare: (graph, rows, { vocab, hiddenDtype, heads = [{ share: 1 }] }) => ({
    perRow: { hidden: graph.input("signal.hidden", hiddenDtype, [rows, "E"]) },
    shared: Object.fromEntries(
      heads.map(({ width }, m) => [headName(m), graph.input(`signal.${headName(m)}`, "float32", [vocab, width ?? "E"])]),
    ),
  }),
  multiplied: (signal, { teacherTemperature, heads = [{ share: 1 }] }) => {
    const all_RE = op.cast(inputOf(signal, "hidden"), "float32");
    const widths = heads.map(({ width }) => width ?? 0);
    const states = heads.length === 1 ? [all_RE] : op.split(all_RE, 1, widths);
    const product = (states_RE: Value, m: number): Value => {
      // A cap belongs to the logits, before any temperature.
      const alpha = heads[m]!.softCap === undefined ? 1 / teacherTemperature : 1;
      return op.fusedMatMul(states_RE, inputOf(signal, headName(m)), { transB: true, alpha });
    };
    return { perRow: Object.fromEntries(states.map((own, m) => [productName(m), product(own, m)])), shared: {} };
  },
  classes: (signal, logits_RV, shape) => {
    const { teacherTemperature, heads = [{ share: 1 }] } = shape;
    const products = productName(0) in signal.perRow ? signal : form.multiplied!(signal, shape);
    const logps = heads.map(({ softCap }, m) => {
      const product_RV = inputOf(products, productName(m));
      return op.logSoftmax(softCap === undefined ? product_RV : capped(product_RV, softCap, teacherTemperature));
    });
    const shares = heads.map(({ share }) => share);
    return { logp_RC: floored(mixture(logps, shares)), logq_RC: op.logSoftmax(logits_RV) };
  },
  topIds: (_, logp_RC, k) => largestIds(logp_RC, k),
};

const capped = (logits_RV: Value, softCap: number, temperature: number): Value =>
  op.mul(op.tanh(op.div(logits_RV, softCap)), softCap / temperature);

/** The head of the micro-batch's scores, which all name the same one. */
function headOf({ parts, heads }: SignalLayout): TeacherHead {
  const { score, member } = parts[0]!;
  const head = heads.get(score.headDigest ?? "");
  if (head) return head;
  throw new RetortError(
    "InvalidArgument",
    `sequence ${member}: the score's hidden states belong to the head ${score.headDigest || "(none named)"}, and the learner has ${[...heads.keys()].join(", ") || "none"}; teacher and learner must read the same model directory`,
  );
}

function layout(layout: SignalLayout): Record<string, Tensor> {
  const { rows, parts, hiddenDtype } = layout;
  const heads = headParts(headOf(layout)).map(({ head }) => head);
  const width = heads.reduce((sum, { dims }) => sum + dims[1]!, 0);
  const half = hiddenDtype === "float16";
  const states = half ? new Uint16Array(rows * width) : new Float32Array(rows * width);
  for (const { score, member, row, count } of parts) {
    const own = checkLength(score.hidden, count * width, member, "hidden");
    if (half !== own instanceof Uint16Array)
      throw new RetortError("InvalidArgument", `sequence ${member}: score.hidden is not ${hiddenDtype}`);
    const bad = own.findIndex((x) => (half ? isEndless(x) : !Number.isFinite(x)));
    if (bad >= 0) throw new RetortError("InvalidArgument", `sequence ${member}: score.hidden[${bad}] is not finite`);
    states.set(own, row * width);
  }
  const dims = [rows, width];
  return {
    "signal.hidden": states instanceof Uint16Array ? { dtype: "float16", dims, data: states } : float32(states, dims),
    ...Object.fromEntries(heads.map((head, m) => [`signal.${headName(m)}`, head])),
  };
}

/** The teacher's last hidden states, from which its head makes the whole distribution in the learner: C = V. */
export const hidden: SignalDefinition = {
  largestK: undefined,
  studentChooses: false,
  needsHead: true,
  bytesPerToken: ({ hiddenDtype }, { hidden }) => (hiddenDtype === "float32" ? 4 : 2) * hidden,
  isSmall: false,
  outputs: ({ hidden_RD }, hiddenDtype) => ({ hidden: op.cast(hidden_RD, hiddenDtype) }),
  answer,
  form,
  layout,
};
