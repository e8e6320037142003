import { createRequire } from "node:module";
import { optionalPackage } from "../../../../services/shared/base/optional-package.js";

describe("optionalPackage()", () => {
  it("is the package, where it is installed", async () => {
    expect(await optionalPackage("commander", () => import("commander"))).toHaveProperty("Command");
  });

  it.each([
    ["imported", () => import("no-such-package" as string)],
    ["resolved", async () => createRequire(import.meta.url).resolve("no-such-package")],
  ])("that is missing when %s says how to install it", async (_, load) => {
    await expect(optionalPackage("no-such-package", load)).rejects.toMatchObject({
      code: "FailedPrecondition",
      retry: "never",
      message: expect.stringContaining("install it: npm install no-such-package"),
    });
  });

  it("that fails while it loads fails with its own error", async () => {
    const broken = new Error("a native library is broken");
    await expect(optionalPackage("broken", () => Promise.reject(broken))).rejects.toBe(broken);
  });
});
