import request from "supertest";
import { expect, test } from "vitest";
import { app } from "./server.js";

test("statistics come from numpy", async () => {
  const reply = await request(app).get("/api/summary?values=1,2,3,6");
  expect(reply.body).toEqual({ mean: 3, median: 2.5, std: expect.closeTo(1.8708) });
});
