// Builds the console into the package: `npm ci && npm run build` in this folder. Names have a hash of what they contain.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const HERE = import.meta.dirname;
const OUT = process.argv[2] ?? join(HERE, "../src/datawarehouse/server/console");
const BELOW = "/console/"; // where the server has these files

rmSync(OUT, { recursive: true, force: true });
mkdirSync(join(OUT, "assets"), { recursive: true });

const { metafile } = await build({
  absWorkingDir: HERE,
  entryPoints: { main: "src/main.js" },
  outdir: join(OUT, "assets"),
  bundle: true,
  splitting: true,
  preserveSymlinks: true, // the same names wherever the libraries are
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  metafile: true,
  logLevel: "warning",
});

copyFileSync(join(HERE, "src/favicon.svg"), join(OUT, "favicon.svg"));
const [main] = Object.entries(metafile.outputs).filter(([, { entryPoint }]) => entryPoint === "src/main.js");
const below = (path) => `${BELOW}assets/${basename(path)}`;
const needed = main[1].imports.filter(({ kind }) => kind === "import-statement");
const page = readFileSync(join(HERE, "src/index.html"), "utf8")
  .replace("{{script}}", below(main[0]))
  .replace("{{style}}", below(main[1].cssBundle))
  .replace("{{preloads}}", needed.map(({ path }) => `<link rel="modulepreload" href="${below(path)}">`).join("\n"))
  .replace("{{icon}}", BELOW + "favicon.svg");
writeFileSync(join(OUT, "index.html"), page);
writeFileSync(join(OUT, "LICENSES.txt"), licenses(metafile));

/** The licences of the libraries that are in what was built. */
function licenses({ inputs }) {
  const names = new Set(Object.keys(inputs).flatMap((path) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []));
  const texts = new Map();
  for (const name of [...names].sort()) {
    const folder = join(HERE, "node_modules", name);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : JSON.parse(readFileSync(join(folder, "package.json"))).license;
    texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  return [...texts].map(([text, of]) => `${of.join(", ")}\n\n${text}\n`).join("\n\n");
}
