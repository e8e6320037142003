import { deferred } from "../../../../services/shared/base/deferred.js";

describe("deferred()", () => {
  it("is settled from outside, once", async () => {
    const { promise, resolve, reject } = deferred<number>();
    resolve(1);
    resolve(2);
    reject(new Error("too late"));
    expect(await promise).toBe(1);
  });

  it("rejects with what it is given", async () => {
    const { promise, reject } = deferred<number>();
    reject(new Error("lost"));
    await expect(promise).rejects.toThrow("lost");
  });
});
