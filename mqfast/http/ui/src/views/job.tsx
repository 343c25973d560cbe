import { JobPanel } from "../parts/inspector";

export function JobView({ id }: { id: string }) {
  return (
    <div class="job-page">
      <div class="view-head">
        <h1 tabIndex={-1}>
          Job <span class="mono">{id}</span>
        </h1>
      </div>
      <JobPanel id={id} />
    </div>
  );
}
