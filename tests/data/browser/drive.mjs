// node drive.mjs COMMAND...: starts the browser by COMMAND, has it draw page.html, and leaves the picture as shot.png.
import { spawn } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
const [command, ...words] = process.argv.slice(2);
const port = 20000 + process.pid % 20000;
const own = [`--remote-debugging-port=${port}`, `--user-data-dir=${process.cwd()}/profile`, "--use-angle=swiftshader", "about:blank"];
const browser = spawn(command, [...words, ...own], { stdio: ["ignore", "inherit", "pipe"] });
let said = "";
browser.stderr.on("data", data => { said += data; });
const pause = time => new Promise(done => setTimeout(done, time));
let page;
for (let i = 0; i < 600 && !page && browser.exitCode === null; i++) {
  await pause(200);
  try { page = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()).find(each => each.type === "page"); } catch {}
}
if (!page) { console.error(said); process.exit(1); }
const socket = new WebSocket(page.webSocketDebuggerUrl);
await new Promise(done => { socket.onopen = done; });
const waiting = {};
socket.onmessage = message => { const answer = JSON.parse(message.data); waiting[answer.id]?.(answer.result); };
let number = 0;
const call = (method, params = {}) => new Promise(done => { waiting[++number] = done; socket.send(JSON.stringify({ id: number, method, params })); });
await call("Page.enable");
await call("Page.navigate", { url: `file://${process.cwd()}/page.html` });
await pause(3000);
console.log((await call("Runtime.evaluate", { expression: "document.title" })).result.value);
const shot = await call("Page.captureScreenshot");
writeFileSync("shot.png", Buffer.from(shot.data, "base64"));
// Its renderers are in process namespaces of their own, and behind its system call filter.
const pages = readdirSync("/proc").filter(each => /^[0-9]+$/.test(each)).filter(each => {
  try { return readFileSync(`/proc/${each}/cmdline`, "utf8").includes(process.cwd()) && readFileSync(`/proc/${each}/cmdline`, "utf8").includes("--type=renderer"); } catch { return false; }
});
const confined = pages.filter(each => /^NSpid:\t\d+\t\d+/m.test(readFileSync(`/proc/${each}/status`, "utf8")) && /^Seccomp:\t2/m.test(readFileSync(`/proc/${each}/status`, "utf8")));
console.log(pages.length && confined.length === pages.length ? "own sandbox" : `not confined: ${pages.length} ${confined.length}`);
const gone = new Promise(done => browser.on("exit", done));
call("Browser.close");
await gone;
