import type { ComponentChildren } from "preact";
import { Component } from "preact";
import type { Source } from "../source/source.js";
import { link, route, theme, toggleTheme } from "../state.js";
import { CompareView } from "./compare-view.js";
import { LoginView } from "./login-view.js";
import { RunView } from "./run-view.js";
import { RunsView } from "./runs-view.js";
import { StartView } from "./start-view.js";
import { SummaryView } from "./summary-view.js";
import { Trouble } from "./trouble.js";

/** The page. */
export function App({ source }: { readonly source: Source }) {
  const place = route.value.length ? route.value : (source.home ?? ["runs"]);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        To the content
      </button>
      <header class="bar">
        <a class="name" href={link()}>
          Retort
        </a>
        <nav aria-label="Pages">
          {pagesOf(source).map(([name, words]) => (
            <a key={name} href={link(name)} aria-current={place[0] === name ? "page" : undefined}>
              {words}
            </a>
          ))}
        </nav>
        {source.login?.state.value === "unasked" && source.login.token && (
          <button type="button" class="plain" onClick={() => source.login?.leave()}>
            Log out
          </button>
        )}
        <button type="button" class="plain" onClick={toggleTheme}>
          {theme.value === "dark" ? "Light" : "Dark"}
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        <Guard key={place.slice(0, 2).join("/")}>
          {source.login && source.login.state.value !== "unasked" ? (
            <LoginView login={source.login} />
          ) : (
            <Place source={source} place={place} />
          )}
        </Guard>
      </main>
      {source.about && (
        <footer>
          {source.about.map(([name, value]) => (
            <span key={name}>
              {name} <b>{value}</b>
            </span>
          ))}
        </footer>
      )}
    </>
  );
}

/** The pages that the head of every page leads to. */
function pagesOf({ control, summary }: Source): (readonly [name: string, words: string])[] {
  return [...(summary ? [["summary", "Summary"] as const] : []), ["runs", "Runs"], ...(control ? [["start", "Start"] as const] : [])];
}

interface PlaceProps {
  readonly source: Source;
  readonly place: readonly string[];
}

function Place({ source, place: [name, first = "", tab = "overview"] }: PlaceProps) {
  if (name === "run") return <RunView source={source} runId={first} tab={tab} />;
  if (name === "compare") return <CompareView source={source} runIds={first.split(",").filter(Boolean)} />;
  if (name === "start" && source.control) return <StartView control={source.control} />;
  if (name === "summary" && source.summary) return <SummaryView source={source} summary={source.summary} />;
  return <RunsView source={source} />;
}

/** Shows what went wrong in a view, in its place. */
class Guard extends Component<{ readonly children: ComponentChildren }, { readonly error?: unknown }> {
  override state: { readonly error?: unknown } = {};

  override componentDidCatch(error: unknown): void {
    this.setState({ error });
  }

  override render() {
    return this.state.error === undefined ? this.props.children : <Trouble error={this.state.error} />;
  }
}
