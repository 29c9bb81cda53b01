// What npm reads in a lock, whatever the platform: node virtual_tree.js DIRECTORY
// Prints {place: [name, version]} as JSON, from the library that npm uses, without network; links have no version.
const { execFileSync } = require("node:child_process");
const path = require("node:path");

const modules = execFileSync("npm", ["root", "-g"], { encoding: "utf8" }).trim();
const Arborist = require(path.join(modules, "npm/node_modules/@npmcli/arborist"));

async function main() {
  const tree = await new Arborist({ path: process.argv[2], offline: true }).loadVirtual();
  const found = {};
  for (const node of tree.inventory.values()) {
    if (node.isRoot || !/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/.test(node.location)) continue;
    if (node.location.startsWith("..")) continue;
    found[node.location] = [node.packageName || node.name, node.isLink ? null : node.version];
  }
  process.stdout.write(JSON.stringify(found));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
