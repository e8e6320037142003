import { signal } from "@preact/signals";

const kept = "retort-token";

/** `unasked` until a controller wants a token; then `wanted`, and `wrong` where it doesn't know the one it was shown. */
export type LoginState = "unasked" | "wanted" | "wrong";

/** Where a token is kept: what of the browser's `Storage` that needs. */
export interface TokenStore {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** The bearer token that a controller asks for. It is kept as long as the tab is open, and never leaves it but in calls. */
export class Login {
  readonly state = signal<LoginState>("unasked");
  readonly #store: TokenStore;

  constructor(store: TokenStore) {
    this.#store = store;
  }

  /** The token that calls show; null without one. */
  get token(): string | null {
    return this.#store.getItem(kept);
  }

  /** Shows this token from now on. */
  enter(token: string): void {
    this.#store.setItem(kept, token);
    this.state.value = "unasked";
  }

  /** Forgets the token. */
  leave(): void {
    this.#store.removeItem(kept);
    this.state.value = "wanted";
  }

  /** The controller wants another token than a call has shown. One that was entered meanwhile isn't meant. */
  refused(shown: string | null): void {
    if (shown !== this.token) return;
    this.#store.removeItem(kept);
    // A later call without a token says nothing about the one that was wrong.
    if (this.state.value !== "wrong") this.state.value = shown === null ? "wanted" : "wrong";
  }
}
