import { join } from "node:path";

/** The small random models that test/golden/models.py writes, one for each trait of the supported decoders. */
export const modelFixtures = ["llama", "llama-linear", "llama-scaled", "qwen2", "qwen3"] as const;

/** Directory of a fixture; tests run from the project's root. */
export const modelFixture = (name: string): string => join(process.cwd(), "test", "golden", "fixtures", "models", name);

/** Directory of a classifier that test/golden/classifiers.py writes. */
export const classifierFixture = (name: string): string => join(process.cwd(), "test", "golden", "fixtures", "classifiers", name);

/** The PEFT adapters that test/golden/lora.py writes, on models of other fixtures. */
export const adapterFixtures = ["all-linear", "fused", "named", "pattern", "transposed"] as const;

/** Directory of an adapter that test/golden/lora.py writes. */
export const adapterFixture = (name: string): string => join(process.cwd(), "test", "golden", "fixtures", "lora", name);
