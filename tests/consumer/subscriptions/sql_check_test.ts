import { assertEquals } from "@std/assert";
import { misreadPart } from "../../../src/consumer/subscriptions/sql_check.ts";

Deno.test("misreadPart() takes what brokers understand, and leaves to them what they refuse", () => {
  const understood = [
    "price > 10 AND region = 'eu'",
    "price BETWEEN 5 AND 8 OR price = '12'",
    "price NOT BETWEEN -5 AND +8.5e3",
    "a IN ('x', 'it''s') AND b NOT IN ('y')",
    "a IS NULL OR b IS NOT NULL AND NOT (c <> TRUE)",
    "a STARTSWITH 'x' AND b NOT ENDSWITH 'y' AND c CONTAINS 'z'",
    "NOT TRUE OR (((a = FALSE)))",
    `a = 1 ${"/* x */ ".repeat(50)}`,
    "a = 10L -- all\n AND /* b */ b <= .5",
  ];
  const refused = ["price >", "price ! 3", "a IN (1)", "(a = 1", "= 1", "a == 1", `${"(".repeat(1_000)}a`, "'open"];
  for (const expression of [...understood, ...refused]) assertEquals(misreadPart(expression), undefined, expression);
});

Deno.test("misreadPart() finds everything that brokers would ignore", () => {
  const ignored = [
    "a LIKE 'x'",
    "a + 1 > 3",
    "a / 2 = 1",
    "a = 1 b",
    "a = 1)",
    "a = 007",
    "a like 'x'",
    "a = 1, b = 2",
  ];
  for (const expression of ignored) assertEquals(typeof misreadPart(expression), "string", expression);
});
