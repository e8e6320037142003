import { Code, ConnectError } from "@connectrpc/connect";

/** What went wrong, and what can be done. */
export function Trouble({ error }: { readonly error: unknown }) {
  const { code, rawMessage } = ConnectError.from(error);
  const lost = code === Code.Unavailable || rawMessage === "Failed to fetch";
  return (
    <p class="trouble" role="alert">
      {lost ? "The controller doesn't answer; the page goes on trying. Is `retort up` running?" : rawMessage}
    </p>
  );
}
