"use strict";
// Runs the scripts of one npm package among the packages that it depends on, and keeps what became of it: those that
// install it, or those that prepare a package of a repository for being packed.
//
// $jobPath is a JSON file, which devenv/derivations/npm_scripts.py describes. The environment is the one that npm gives
// to scripts (npm's manual, scripts(7), "Environment"), as far as that is the same on every machine.

const fs = require("fs");
const path = require("path");
const { spawn, spawnSync } = require("child_process");

const job = JSON.parse(fs.readFileSync(process.env.jobPath, "utf8"));
const build = process.env.NIX_BUILD_TOP;
const project = path.join(build, "project");
const own = path.join(project, job.place);
// A package of a repository: it is the project itself, and packed in the end.
const prepares = job.place === "";
const KEPT_LINES = 40;
const NETWORK = /\b(ENOTFOUND|EAI_AGAIN|ENETUNREACH|ECONNREFUSED)\b|resolve host|name resolution|Network is unreachable/;

function copy(source, target, skipped) {
  const stat = fs.lstatSync(source);
  if (stat.isSymbolicLink()) {
    fs.symlinkSync(fs.readlinkSync(source), target);
  } else if (stat.isDirectory()) {
    fs.mkdirSync(target, { recursive: true });
    for (const name of fs.readdirSync(source)) {
      const inner = path.join(source, name);
      if (!skipped.has(inner)) copy(inner, path.join(target, name), skipped);
    }
  } else if (stat.isFile()) {
    fs.copyFileSync(source, target, fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(target, stat.mode & 0o100 ? 0o755 : 0o644);
  }
}

function remove(place) {
  const stat = fs.lstatSync(place, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) return fs.unlinkSync(place);
  for (const name of fs.readdirSync(place)) remove(path.join(place, name));
  fs.rmdirSync(place);
}

function manifest(directory) {
  try {
    const found = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8").replace(/^\uFEFF/, ""));
    return found !== null && typeof found === "object" ? found : {};
  } catch (error) {
    return {};
  }
}

// The commands of a package in the .bin directory beside it.
function link(directory, name) {
  const bin = manifest(directory).bin;
  const commands = typeof bin === "string" ? { [name]: bin } : bin !== null && typeof bin === "object" ? bin : {};
  const modules = directory.slice(0, directory.length - name.length - 1);
  for (const command of Object.keys(commands)) {
    const file = path.join(directory, String(commands[command]));
    const place = path.join(modules, ".bin", path.posix.basename(command));
    if (!file.startsWith(directory + "/") || !fs.existsSync(file) || fs.existsSync(place)) continue;
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.chmodSync(file, 0o755);
    fs.symlinkSync(path.relative(path.dirname(place), file), place);
  }
}

// Packages lie as in the project, so that each finds what it finds there. Outer ones come before inner ones.
function arrange() {
  const places = Object.keys(job.packages).sort();
  for (const place of places) {
    const source = job.packages[place];
    if (fs.existsSync(path.join(source, job.failed))) continue;
    const target = path.join(project, place);
    remove(target);
    copy(source, target, new Set());
  }
  for (const place of places) {
    const target = path.join(project, place);
    if (place !== "" && fs.existsSync(target)) link(target, place.slice(place.lastIndexOf("node_modules/") + 13));
  }
}

// node-gyp's command is not in npm's own directory of commands.
function nodeGyp() {
  const candidates = [
    job.npm && path.join(job.npm, "node_modules/node-gyp/bin/node-gyp.js"),
    ...["/usr/local/lib/node_modules/npm/node_modules", "/usr/lib/node_modules/npm/node_modules", "/usr/share/nodejs"].map(
      (directory) => path.join(directory, "node-gyp/bin/node-gyp.js"),
    ),
  ];
  const found = candidates.find((file) => file && fs.existsSync(file));
  if (found === undefined) return undefined;
  const directory = path.join(build, "commands");
  fs.mkdirSync(directory);
  fs.writeFileSync(path.join(directory, "node-gyp"), `#!/bin/sh\nexec "${process.execPath}" "${found}" "$@"\n`, {
    mode: 0o755,
  });
  return { directory, file: found };
}

function environment(data) {
  const gyp = nodeGyp();
  const commands = [];
  for (let above = own; above !== build; above = path.dirname(above)) {
    if (path.basename(above) !== "node_modules") commands.push(path.join(above, "node_modules/.bin"));
  }
  if (gyp) commands.push(gyp.directory);
  if (job.compilers) commands.push(job.compilers);
  commands.push(path.dirname(process.execPath), "/usr/local/bin", "/usr/bin", "/bin");
  const headers = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  const home = path.join(build, "home");
  fs.mkdirSync(home);
  const found = {
    PATH: commands.join(":"),
    HOME: home,
    TMPDIR: process.env.TMPDIR,
    LC_ALL: "C.UTF-8",
    TZ: "UTC",
    SOURCE_DATE_EPOCH: "315532800",
    INIT_CWD: project,
    NODE: process.execPath,
    JOBS: process.env.NIX_BUILD_CORES || "1",
    npm_command: "ci",
    npm_node_execpath: process.execPath,
    npm_package_name: String(data.name || job.name),
    npm_package_version: String(data.version || job.version),
    npm_package_json: path.join(own, "package.json"),
    npm_config_cache: path.join(home, ".npm"),
    npm_config_user_agent: `npm/${job.npmVersion} node/${process.version} ${process.platform} ${process.arch} workspaces/false`,
  };
  if (job.npm) found.npm_execpath = path.join(job.npm, "bin/npm-cli.js");
  if (gyp) found.npm_config_node_gyp = gyp.file;
  if (fs.existsSync(path.join(headers, "include/node/node.h"))) found.npm_config_nodedir = headers;
  for (const name of ["http_proxy", "https_proxy", "no_proxy"]) {
    if (process.env[name]) found[name] = process.env[name];
  }
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("CCACHE_")) found[name] = process.env[name];
  }
  return { ...found, ...job.variables };
}

function scripts(data) {
  const given = data.scripts !== null && typeof data.scripts === "object" ? data.scripts : {};
  const events = prepares
    ? ["prepack", "preprepare", "prepare", "postprepare"]
    : ["preinstall", "install", "postinstall"];
  const found = events
    .filter((event) => typeof given[event] === "string" && given[event] !== "")
    .map((event) => [event, given[event]]);
  const compiles = !prepares && fs.existsSync(path.join(own, "binding.gyp")) && data.gypfile !== false;
  if (compiles && !given.preinstall && !given.install) found.unshift(["install", "node-gyp rebuild"]);
  return found;
}

// Resolves to null, or to how the script failed and the last that it printed.
function run(event, script, env) {
  console.log(`> ${job.name}@${job.version} ${event}\n> ${script}`);
  return new Promise((resolve) => {
    const lines = [""];
    const child = spawn("/bin/sh", ["-c", script], {
      cwd: own,
      env: { ...env, npm_lifecycle_event: event, npm_lifecycle_script: script },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        process.stdout.write(data);
        const parts = data.toString("utf8").split("\n");
        lines[lines.length - 1] += parts.shift();
        lines.push(...parts);
        lines.splice(0, lines.length - KEPT_LINES);
      });
    }
    child.on("error", (error) => resolve({ event, how: error.message, lines }));
    child.on("close", (code, signal) => {
      const how = signal ? `was killed by ${signal}` : `ended with status ${code}`;
      resolve(code === 0 ? null : { event, how, lines });
    });
  });
}

// What npm would put into the package's tarball, and what its commands run.
function pack(env, data) {
  const cli = job.npm ? [process.execPath, path.join(job.npm, "bin/npm-cli.js")] : ["npm"];
  const argv = [...cli.slice(1), "pack", "--dry-run", "--json", "--ignore-scripts", "--offline", "--loglevel=error"];
  const done = spawnSync(cli[0], argv, { cwd: own, env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`npm pack failed: ${done.error ? done.error.message : done.stderr}`);
  const told = JSON.parse(done.stdout);
  const [packed] = Array.isArray(told) ? told : Object.values(told);
  const bin = typeof data.bin === "string" ? [data.bin] : Object.values(data.bin || {});
  const commands = new Set(bin.map((file) => path.posix.normalize(String(file))));
  for (const file of packed.files) {
    const target = path.join(process.env.out, file.path);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    copy(path.join(own, file.path), target, new Set());
    if (commands.has(path.posix.normalize(file.path))) fs.chmodSync(target, 0o755);
  }
}

function keep() {
  const out = process.env.out;
  const separate = Object.keys(job.packages).filter((place) => place.startsWith(job.place + "/"));
  copy(own, out, new Set(separate.map((place) => path.join(project, place))));
}

function explain(failure) {
  if (!failure.lines.some((line) => NETWORK.test(line)) || job.fixed) return;
  console.log(
    `The ${failure.event} script of ${job.name} wants the network, which install scripts do not have. In [lockfiles] of ` +
      `devenv.toml, npm = { scripts = { "${job.name}" = "HASH" } } gives it the network and pins what it makes ` +
      `("sha256-${"A".repeat(43)}=" at first: the error then tells the hash); false in place of "HASH" leaves it out.`,
  );
}

async function main() {
  arrange();
  const data = manifest(own);
  const env = environment(data);
  for (const [event, script] of scripts(data)) {
    const failure = await run(event, script, env);
    if (failure === null) continue;
    explain(failure);
    if (!job.optional) process.exit(1);
    fs.mkdirSync(process.env.out);
    fs.writeFileSync(path.join(process.env.out, job.failed), JSON.stringify(failure));
    return;
  }
  if (prepares) pack(env, data);
  else keep();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
