import { useEffect, useRef } from "preact/hooks";
import type { Login } from "../source/login.js";

/** Asks for the controller's token. */
export function LoginView({ login }: { readonly login: Login }) {
  const wrong = login.state.value === "wrong";
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const enter = (event: SubmitEvent) => {
    event.preventDefault();
    login.enter(input.current?.value.trim() ?? "");
  };
  return (
    <form class="login" onSubmit={enter}>
      <h1>This controller asks for a token</h1>
      <p id="token-note">
        It is what the controller was started with: <code>RETORT_TOKEN</code>, <code>RETORT_RUN_TOKEN</code> or, to look only,{" "}
        <code>RETORT_READ_TOKEN</code>. The page keeps it until this tab is closed.
      </p>
      {wrong && (
        <p class="trouble" role="alert">
          The controller doesn't know this token.
        </p>
      )}
      <p class="buttons">
        <label>
          Token{" "}
          <input ref={input} name="token" type="password" autocomplete="off" required aria-describedby="token-note" aria-invalid={wrong} />
        </label>
        <button type="submit" class="primary">
          Go on
        </button>
      </p>
    </form>
  );
}
