// node unpack.js FROM TO: the browser and its drawing library out of the npm package @sparticuz/chromium.
const { brotliDecompressSync } = require("node:zlib"), fs = require("node:fs");
const [from, to] = process.argv.slice(2);
fs.writeFileSync(`${to}/headless_shell`, brotliDecompressSync(fs.readFileSync(`${from}/chromium.br`)), { mode: 0o755 });
fs.writeFileSync(`${to}/swiftshader.tar`, brotliDecompressSync(fs.readFileSync(`${from}/swiftshader.tar.br`)));
