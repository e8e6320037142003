import { RetortError } from "./errors.js";

/**
 * Loads a package that an installation may lack.
 *
 *     const echarts = await optionalPackage("echarts", () => import("echarts"));
 *
 * @throws FailedPrecondition that says how to install it
 */
export async function optionalPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new RetortError(
      "FailedPrecondition",
      `charts need the package ${name}, which is not installed here (npm's --omit=optional and the image leave it out); install it: npm install ${name}`,
      { retry: "never", cause: error },
    );
  }
}

const codes: readonly unknown[] = ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"];

/** Whether Node has not found a package: imported, or resolved as by `require`. */
const isMissing = (error: unknown): boolean => typeof error === "object" && error !== null && "code" in error && codes.includes(error.code);
