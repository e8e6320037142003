/** Writes the models of the benches as Hugging Face directories: `node dist/test/bench/peers/make-models.js DIR [tiny|medium …]`. */
import { join } from "node:path";
import { saveModel } from "../../../services/shared/ml/models/files/model-files.js";
import { benchModel, type Shape, shapes } from "../shapes.js";

const [directory, ...names] = process.argv.slice(2);
const unknown = names.find((name) => !shapes.includes(name as Shape));
if (!directory || unknown) {
  console.error(`usage: make-models DIR [${shapes.join("|")} …]`);
  process.exit(64);
}
for (const shape of names.length ? (names as Shape[]) : shapes) {
  for (const role of ["student", "teacher"] as const) {
    const path = join(directory, `${shape}-${role}`);
    await saveModel(path, benchModel(shape, role));
    console.log(path);
  }
}
