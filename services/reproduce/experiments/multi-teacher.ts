import { more } from "../plan/contrasts.js";
import type { Arm, Experiment } from "../plan/experiment.js";
import { numerals, quickTraining, training } from "../plan/recipes.js";

const arm = (name: string, objective: Readonly<Record<string, string>>): Arm => ({
  name,
  phase: { preset: "gkd", lambda: 1, objective: { divergence: "forward_kl", ...objective } },
});

const arms: readonly Arm[] = [
  arm("by tokens", { normalisation: "token" }),
  arm("by sequences", { normalisation: "sequence" }),
  arm("balanced, by tokens", { normalisation: "token", balance: "teachers" }),
  arm("balanced, by sequences", { normalisation: "sequence", balance: "teachers" }),
];

/** Two teachers, each of a domain: who has the tokens pulls, unless the teachers share the loss. */
export const multiTeacherExperiment: Experiment = {
  name: "multi-teacher",
  title: "Several teachers by domain",
  about:
    "One student, two teachers that have learnt a domain each: three prompts in four are numbers to be written in words, the fourth is the other way round, a completion of three digits. On-policy forward KL, where tokens count alike (objective.normalisation token), where sequences do, and where each teacher has half of every step's loss (objective.balance teachers). Recovered headroom of a domain: (student − SFT student) / (teacher − SFT student), greedy; 2608.19098 reports 35.6 % of it with plain mixing.",
  parts: [
    {
      recipe: numerals,
      training: { ...training, rows: 400 },
      quick: quickTraining,
      arms,
      columns: [
        { measure: "recovered@words", label: "recovered, words", format: "percent" },
        { measure: "recovered@digits", label: "recovered, digits", format: "percent" },
        { measure: "greedy@words", label: "greedy, words", format: "percent" },
        { measure: "greedy@digits", label: "greedy, digits", format: "percent" },
        { measure: "lossShare@digits", label: "digits' share of the loss", format: "percent" },
      ],
      figures: [
        {
          name: "recovered",
          title: "Recovered headroom by domain",
          kind: "bars",
          x: "",
          y: "recovered headroom",
          percent: true,
          series: ["words", "digits"].map((domain) => ({
            name: domain,
            points: arms.map(({ name }) => ({ arm: name, x: name, y: `recovered@${domain}` })),
          })),
        },
      ],
      orderings: [
        {
          id: "M1",
          says: "the domain with few tokens recovers more the more of the loss it has",
          contrasts: [
            more("by sequences", "by tokens", "recovered@digits"),
            more("balanced, by sequences", "by sequences", "recovered@digits"),
            more("balanced, by tokens", "by tokens", "recovered@digits"),
          ],
        },
        {
          id: "M2",
          says: "the domain with most tokens recovers less in exchange",
          contrasts: [
            more("by tokens", "balanced, by tokens", "recovered@words"),
            more("by sequences", "balanced, by sequences", "recovered@words"),
          ],
        },
        {
          id: "M3",
          says: "the domain that recovers least recovers more where the teachers share the loss",
          contrasts: [
            more("balanced, by tokens", "by tokens", "recoveredLeast"),
            more("balanced, by sequences", "by sequences", "recoveredLeast"),
          ],
        },
      ],
    },
  ],
};
