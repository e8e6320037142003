import { Login } from "../../../services/console/source/login.js";

function login(token?: string) {
  const kept = new Map(token === undefined ? [] : [["retort-token", token]]);
  return new Login({
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value),
    removeItem: (name) => void kept.delete(name),
  });
}

describe("Login", () => {
  it("asks once a call without a token was refused", () => {
    const mine = login();
    mine.refused(null);
    expect(mine.state.value).toBe("wanted");
    mine.enter("right");
    expect([mine.state.value, mine.token]).toEqual(["unasked", "right"]);
  });

  it("says that a token is wrong, forgets it, and isn't put off by calls without one", () => {
    const mine = login("old");
    mine.refused("old");
    mine.refused(null);
    expect([mine.state.value, mine.token]).toEqual(["wrong", null]);
  });

  it("keeps a token that was entered while a call with another one was under way", () => {
    const mine = login("old");
    mine.enter("right");
    mine.refused("old");
    expect([mine.state.value, mine.token]).toEqual(["unasked", "right"]);
    mine.leave();
    expect([mine.state.value, mine.token]).toEqual(["wanted", null]);
  });
});
