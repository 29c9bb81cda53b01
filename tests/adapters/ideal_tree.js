// What npm itself would install: node ideal_tree.js DIRECTORY CPU LIBC OMITTED,KINDS
// Prints {place: {link, bundled, bins}} as JSON, from the library that npm uses, without network.
const { execFileSync } = require("node:child_process");
const path = require("node:path");

const [directory, cpu, libc, kinds] = process.argv.slice(2);
const modules = execFileSync("npm", ["root", "-g"], { encoding: "utf8" }).trim();
const Arborist = require(path.join(modules, "npm/node_modules/@npmcli/arborist"));
const omit = kinds.split(",").filter(Boolean);

async function main() {
  const tree = await new Arborist({
    path: directory,
    offline: true,
    os: "linux",
    cpu,
    libc,
    omit,
    nodeVersion: process.version,
  }).buildIdealTree();
  const left = (node) => node && (node.inert || node.shouldOmit(new Set(omit)) || left(node.parent));
  const found = {};
  for (const node of tree.inventory.values()) {
    if (node.isRoot || left(node) || !/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/.test(node.location)) continue;
    const bins = node.binPaths.map((bin) => path.relative(directory, bin));
    found[node.location] = { link: node.isLink, bundled: Boolean(node.inDepBundle), bins };
  }
  process.stdout.write(JSON.stringify(found));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
