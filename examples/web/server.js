import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import compression from "compression";
import express from "express";

export const app = express();
app.use(compression());
app.use(express.static("dist"));

// The statistics come from Python, from the same environment.
app.get("/api/summary", (request, response) => {
  const values = String(request.query.values ?? "").split(",").map(Number);
  if (values.some(Number.isNaN)) {
    response.status(400).json({ error: "values must be numbers" });
    return;
  }
  const child = spawnSync("python", ["analysis.py"], { input: JSON.stringify(values), encoding: "utf8" });
  if (child.status !== 0) {
    response.status(500).json({ error: child.stderr });
    return;
  }
  response.type("json").send(child.stdout);
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const port = Number(process.env.PORT ?? 8080);
  app.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}`));
}
