/**
 * Counting what a test run did.
 *
 * The counts come from the JUnit report and not from the printed summary, whose words and colours are made for people.
 *
 * @module
 */

import type { Tally } from "./step.ts";

/**
 * Counts the tests of a report, steps of tests included; ignored tests count as neither.
 *
 * Names and messages are escaped in it, so that `<testsuite` in the text is always an element.
 *
 * @param succeeded Whether the run exited with 0: what fails outside of a test, a file that does not compile or an
 * error after the last test, is in no report and counts as one failure.
 */
export function tallyOf(report: string, succeeded: boolean): Tally {
  let tests = 0;
  let failed = 0;
  let ignored = 0;
  for (const [, attributes = ""] of report.matchAll(/<testsuite\s([^>]*)>/g)) {
    tests += numberIn(attributes, "tests");
    failed += numberIn(attributes, "failures") + numberIn(attributes, "errors");
    ignored += numberIn(attributes, "disabled");
  }
  const failures = failuresOf(report);
  if (succeeded || failed > 0) return { passed: tests - failed - ignored, failed, failures };
  return { passed: tests - ignored, failed: 1, failures: [...failures, "outside of a test"] };
}

/** The name of each test that failed, and what its error said; a test whose step failed is not told beside it. */
function failuresOf(report: string): string[] {
  const found = report.matchAll(/<testcase\s+name="([^"]*)"[^>]*>\s*<(?:failure|error)\b[^>]*>([^<]*)</g);
  return [...found].filter(([, , said = ""]) => !/^\d+ test steps? failed\.$/.test(said))
    .map(([, name = "", said = ""]) => `${unescape(name)}\n${indented(unescape(said))}`);
}

/** What is escaped in a report: the five signs of XML. */
function unescape(text: string): string {
  const signs: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => signs[name]!);
}

function indented(text: string): string {
  return text.replace(/^/gm, "  ");
}

function numberIn(attributes: string, name: string): number {
  return Number(new RegExp(`\\b${name}="(\\d+)"`).exec(attributes)?.[1] ?? 0);
}
