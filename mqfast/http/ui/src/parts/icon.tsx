// The few drawn icons: 20 px, of one line width, in the colour of the text around them.
const PATHS = {
  overview: "M3 9.5 10 3.5l7 6M5 8.5V16h10V8.5M8.5 16v-4h3v4",
  queues: "M3.5 5h13M3.5 10h13M3.5 15h8",
  failed: "M10 2.8 17.6 16H2.4zM10 8v4M10 13.8v.4",
  crons: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6v4.2l2.8 1.8",
  workers: "M3 4h14v5H3zM3 12h14v5H3zM6 6.5h.1M6 14.5h.1M9.5 6.5H14M9.5 14.5H14",
  search: "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12zM13.3 13.3 17 17",
  more: "M4.5 10h.1M10 10h.1M15.5 10h.1",
  close: "M5 5l10 10M15 5 5 15",
  chevron: "M7.5 4.5 13 10l-5.5 5.5",
  light: "M10 13.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM10 2v1.8M10 16.2V18M2 10h1.8M16.2 10H18M4.3 4.3l1.3 1.3M14.4 14.4l1.3 1.3M15.7 4.3l-1.3 1.3M5.6 14.4l-1.3 1.3",
  dark: "M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.5 8.5z",
  system: "M3 4h14v9.5H3zM7 17h6M10 13.5V17",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.1M8.5 8.5h.1M11.5 8.5h.1M14.5 8.5h.1M6 11.7h8",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  const dots = name === "more";
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width={dots ? 2.6 : 1.6} stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
