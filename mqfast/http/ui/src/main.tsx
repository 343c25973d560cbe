// The page: picks the view of the route, keeps the link up, and moves the focus where a reader expects it.
import { Component, render, type ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { unauthorized } from "./api";
import { listen } from "./keys";
import { begin } from "./link";
import { DialogHost } from "./parts/dialog";
import { openPalette } from "./parts/palette";
import { openSheet } from "./parts/sheet";
import { Shell } from "./parts/shell";
import { ErrorPanel } from "./parts/states";
import { Toasts } from "./parts/toast";
import { TokenForm } from "./parts/token";
import { route } from "./route";
import { isStale } from "./store";
import { visible } from "./format";
import { CronsView } from "./views/crons";
import { FailedView } from "./views/failed";
import { JobView } from "./views/job";
import { Overview } from "./views/overview";
import { QueueView } from "./views/queue";
import { QueuesView } from "./views/queues";
import { WorkersView } from "./views/workers";

const TITLES = { overview: "Overview", queues: "Queues", failed: "Failed", crons: "Crons", workers: "Workers", unknown: "Not found" } as const;

function title(): string {
  const { view, subject } = route.value;
  if (view === "queue") return visible(subject);
  return view === "job" ? `Job ${subject}` : TITLES[view];
}

function View() {
  const { view, subject } = route.value;
  switch (view) {
    case "overview":
      return <Overview />;
    case "queues":
      return <QueuesView />;
    case "queue":
      return <QueueView key={subject} name={subject} />;
    case "job":
      return <JobView key={subject} id={subject} />;
    case "failed":
      return <FailedView />;
    case "crons":
      return <CronsView />;
    case "workers":
      return <WorkersView />;
    default:
      return (
        <>
          <h1 tabIndex={-1}>Not found</h1>
          <p>
            There is no such view. <a href="#/">Overview</a>
          </p>
        </>
      );
  }
}

/** A view that fails leaves the shell standing. */
class Guard extends Component<{ children: ComponentChildren; place: string }, { error: unknown }> {
  override state = { error: null as unknown };
  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ error });
  }
  override componentDidUpdate(before: { place: string }): void {
    if (before.place !== this.props.place && this.state.error) this.setState({ error: null });
  }
  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <>
        <h1 tabIndex={-1}>This view failed</h1>
        <ErrorPanel error={this.state.error} again={() => this.setState({ error: null })} />
      </>
    );
  }
}

let first = true;

function App() {
  const { view, subject } = route.value;
  const place = `${view}/${subject}`;
  useEffect(() => {
    document.title = view === "overview" ? "mqfast" : `${title()} · mqfast`;
    if (!first) {
      scrollTo(0, 0);
      document.querySelector<HTMLElement>("#main h1")?.focus({ preventScroll: true });
    }
    first = false;
  }, [place]);
  return (
    <>
      <Shell>
        {unauthorized.value ? (
          <TokenForm />
        ) : (
          <div class={isStale.value ? "view is-stale" : "view"}>
            <Guard place={place}>
              <View />
            </Guard>
          </div>
        )}
      </Shell>
      <DialogHost />
      <Toasts />
    </>
  );
}

render(<App />, document.getElementById("app")!);
listen({ palette: openPalette, sheet: openSheet });
begin();
