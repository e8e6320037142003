import { signal } from "@preact/signals";
import type { Theme } from "../shared/base/colors.js";

/** Where the page is: the parts of its address behind `#/`. */
export const route = signal<readonly string[]>(routeNow());

/** How the page looks now: as the system wants it, until it is toggled. */
export const theme = signal<Theme>("light");

/** The address of a place in the page. */
export const link = (...parts: readonly string[]): string => `#/${parts.map(encodeURIComponent).join("/")}`;

/** Goes to a place in the page. */
export function go(...parts: readonly string[]): void {
  location.hash = link(...parts);
}

function routeNow(): readonly string[] {
  return location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
}

const kept = "retort-theme";

/** Follows the address and the system's colours. */
export function follow(): void {
  addEventListener("hashchange", () => {
    route.value = routeNow();
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => set((stored() as Theme | null) ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", show);
  show();
}

/** The other theme, from now on. */
export function toggleTheme(): void {
  set(theme.value === "dark" ? "light" : "dark");
  try {
    localStorage.setItem(kept, theme.value);
  } catch {
    // A page from a file may have no storage: the choice lasts as long as the page.
  }
}

function set(next: Theme): void {
  document.documentElement.dataset.theme = next;
  theme.value = next;
}

function stored(): string | null {
  try {
    return localStorage.getItem(kept);
  } catch {
    return null;
  }
}
