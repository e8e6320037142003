import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { specYaml } from "../model/spec-text.js";

/** A run's spec as YAML. */
export const SpecView = ({ run }: { readonly run: Run }) => (
  <section aria-label="Spec">
    <pre class="text" tabIndex={0}>
      {specYaml(run.spec)}
    </pre>
  </section>
);
