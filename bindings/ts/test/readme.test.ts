// Every snippet of the documents about this client compiles and runs as it stands, and says what its comments say.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { Daemon, ROOT } from "./daemon.js";

const PACKAGE = join(ROOT, "bindings/ts");
const run = promisify(execFile);

function snippetsOf(path: string): string[] {
  const text = readFileSync(join(ROOT, path), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]!);
}

const SNIPPETS = ["README.md", "bindings/ts/README.md"].flatMap((document) =>
  snippetsOf(document).map((text, index) => ({ name: `snippet ${index + 1} of ${document}`, text })),
);

describe("the documents", () => {
  let daemon: Daemon;
  let folder: string;

  before(async () => {
    daemon = await Daemon.start();
    // Inside of the package, so that it is found by its name.
    mkdirSync(join(PACKAGE, "build-test"), { recursive: true });
    folder = mkdtempSync(join(PACKAGE, "build-test", "readme-"));
    SNIPPETS.forEach(({ text }, index) => writeFileSync(join(folder, `${index}.ts`), text));
    const compilerOptions = { outDir: ".", rootDir: ".", noUnusedLocals: false, noUnusedParameters: false };
    const config = { extends: "../../tsconfig.test.json", include: ["*.ts"], exclude: [], compilerOptions };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const compiler = join(PACKAGE, "node_modules/.bin/tsc");
    await run(compiler, ["-p", folder]).catch((error: { stdout: string }) => assert.fail(error.stdout));
  });
  after(async () => {
    await daemon.stop();
    rmSync(folder, { recursive: true });
  });

  it("have snippets", () => {
    assert.ok(SNIPPETS.length >= 5);
  });

  SNIPPETS.forEach(({ name, text }, index) => {
    it(`${name} runs`, async () => {
      const path = join(folder, `${index}.js`);
      const command = process.versions["deno"] === undefined ? [path] : ["run", "-A", path];
      const environment = { ...process.env, MQ_URL: `mq://127.0.0.1:${daemon.port}` };
      const { stdout, stderr } = await run(process.execPath, command, { env: environment });
      assert.equal(stderr, "");
      for (const [, expected] of text.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)) {
        assert.ok(stdout.split("\n").includes(expected!), stdout);
      }
    });
  });
});
