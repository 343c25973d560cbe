// Builds mqfast/http/static: index.html, app.<hash>.js, theme.<hash>.js, style.<hash>.css, and a .gz beside each.
// node build.mjs; refuses a bundle over its budget.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "static");
const BUDGET = { js: 60 * 1024, css: 12 * 1024 };

// uPlot hangs its path builders on one object, so that none can be shaken off; the page draws straight lines only.
const UNUSED = ["(paths.stepped = stepped);", "(paths.bars    = bars);", "(paths.spline  = monotoneCubic);", "uPlot.join = join;"];
const straightLines = {
  name: "straight lines",
  setup({ onLoad }) {
    onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => {
      let contents = readFileSync(path, "utf8");
      for (const line of UNUSED) {
        if (!contents.includes(line)) throw new Error(`uPlot has changed: there is no ${line}`);
        contents = contents.replace(line, "");
      }
      return { contents };
    });
  },
};

async function script(entry, format) {
  const built = await build({
    entryPoints: [join(here, "src", entry)],
    bundle: true,
    minify: true,
    write: false,
    format,
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    plugins: [straightLines],
  });
  const options = { module: format === "esm", ecma: 2020, compress: { passes: 3, unsafe_arrows: true }, mangle: true };
  return Buffer.from((await minify(built.outputFiles[0].text, options)).code);
}

function style() {
  const scratch = mkdtempSync(join(here, ".build-"));
  try {
    const out = join(scratch, "style.css");
    const cli = join(here, "node_modules", "@tailwindcss", "cli", "dist", "index.mjs");
    execFileSync(process.execPath, [cli, "-i", join(here, "src", "style.css"), "-o", out, "--minify"], {
      cwd: here,
      stdio: ["ignore", "ignore", "pipe"],
    });
    return readFileSync(out);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const parts = {
  APP: ["app", "js", await script("main.tsx", "esm")],
  THEME: ["theme", "js", await script("theme_early.ts", "iife")],
  STYLE: ["style", "css", style()],
};
const files = new Map();
const sizes = { js: 0, css: 0 };
let shell = readFileSync(join(here, "index.html"), "utf8");
for (const [mark, [name, kind, body]] of Object.entries(parts)) {
  const hash = createHash("sha256").update(body).digest("hex").slice(0, 10);
  const packed = gzipSync(body, { level: 9 });
  files.set(`${name}.${hash}.${kind}`, body);
  files.set(`${name}.${hash}.${kind}.gz`, packed);
  sizes[kind] += packed.length;
  shell = shell.replace(mark, `${name}.${hash}.${kind}`);
}
files.set("index.html", Buffer.from(shell));
for (const [kind, most] of Object.entries(BUDGET)) {
  if (sizes[kind] > most) throw new Error(`${kind}: ${sizes[kind]} bytes gzipped are over the budget of ${most}`);
}

const fresh = `${target}.new`; // complete before it is seen
rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
for (const [name, body] of files) writeFileSync(join(fresh, name), body);
rmSync(target, { recursive: true, force: true });
renameSync(fresh, target);
console.log(`static: js ${(sizes.js / 1024).toFixed(1)} KiB, css ${(sizes.css / 1024).toFixed(1)} KiB gzipped`);
