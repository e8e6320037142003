import type { ComponentChildren } from "preact";

interface ScrollProps {
  readonly name: string;
  readonly children: ComponentChildren;
}

/** What may be wider than the page. It takes the focus, so that the arrow keys scroll it. */
export const Scroll = ({ name, kind = "scroll", children }: ScrollProps & { readonly kind?: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1)
  <section class={kind} aria-label={name} tabIndex={0}>
    {children}
  </section>
);

/** Text of a program, as it is. */
export const Text = ({ name, children }: ScrollProps) => (
  <Scroll name={name} kind="scroll text">
    <pre>{children}</pre>
  </Scroll>
);
