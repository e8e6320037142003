import { Code, ConnectError } from "@connectrpc/connect";
import { keepToken } from "../source/controller-source.js";

/** What went wrong, and what can be done. */
export function Trouble({ error }: { readonly error: unknown }) {
  const { code, rawMessage } = ConnectError.from(error);
  if (code === Code.Unauthenticated) return <TokenForm message={rawMessage} />;
  const lost = code === Code.Unavailable || rawMessage === "Failed to fetch";
  return (
    <p class="trouble" role="alert">
      {lost ? "The controller doesn't answer; the page goes on trying. Is `retort up` running?" : rawMessage}
    </p>
  );
}

function TokenForm({ message }: { readonly message: string }) {
  const enter = (event: SubmitEvent) => {
    event.preventDefault();
    keepToken(String(new FormData(event.currentTarget as HTMLFormElement).get("token")));
    location.reload();
  };
  return (
    <form class="trouble" onSubmit={enter}>
      <p role="alert">{message}</p>
      <label>
        Bearer token <input name="token" type="password" autocomplete="off" required />
      </label>{" "}
      <button type="submit">Go on</button>
    </form>
  );
}
