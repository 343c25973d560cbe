// A line the size of a word: what waited in a queue in each of the last 30 minutes.
export function Spark({ text }: { text: string }) {
  const values = [...text].map((c) => (c === " " ? null : parseInt(c, 36)));
  let path = "";
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) {
      pen = false;
      return;
    }
    path += `${pen ? "L" : "M"}${(i * 80) / 29},${(21 - (value * 19) / 35).toFixed(1)}`;
    if (!pen && values[i + 1] == null) path += "h.1";
    pen = true;
  });
  return (
    <svg class="spark" viewBox="-1 0 82 22" width="82" height="22" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      {path ? <path d={path} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" vector-effect="non-scaling-stroke" /> : null}
    </svg>
  );
}
