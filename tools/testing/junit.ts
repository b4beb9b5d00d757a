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
  return { passed: tests - failed - ignored, failed: succeeded ? failed : Math.max(failed, 1) };
}

function numberIn(attributes: string, name: string): number {
  return Number(new RegExp(`\\b${name}="(\\d+)"`).exec(attributes)?.[1] ?? 0);
}
