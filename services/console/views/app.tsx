import type { ComponentChildren } from "preact";
import { Component } from "preact";
import type { Source } from "../source/source.js";
import { link, route, theme, toggleTheme } from "../state.js";
import { CompareView } from "./compare-view.js";
import { LoginView } from "./login-view.js";
import { RunView } from "./run-view.js";
import { RunsView } from "./runs-view.js";
import { StartView } from "./start-view.js";
import { Trouble } from "./trouble.js";

/** The page. */
export function App({ source }: { readonly source: Source }) {
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
          <a href={link()} aria-current={route.value.length === 0 ? "page" : undefined}>
            Runs
          </a>
          {source.control && (
            <a href={link("start")} aria-current={route.value[0] === "start" ? "page" : undefined}>
              Start
            </a>
          )}
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
        <Guard key={route.value.slice(0, 2).join("/")}>
          {source.login && source.login.state.value !== "unasked" ? <LoginView login={source.login} /> : <Place source={source} />}
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

function Place({ source }: { readonly source: Source }) {
  const [place, first = "", tab = "overview"] = route.value;
  if (place === "run") return <RunView source={source} runId={first} tab={tab} />;
  if (place === "compare") return <CompareView source={source} runIds={first.split(",").filter(Boolean)} />;
  if (place === "start" && source.control) return <StartView control={source.control} />;
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
