/**
 * Finding the programs in a Markdown page.
 *
 * @module
 */

/** One block of TypeScript. */
export interface Block {
  /** The page it is on, as a path from the root. */
  file: string;
  /** The line that its first line of code is on, counted from 1. */
  line: number;
  code: string;
  /** What the last lines of its output have to be: its closing `// prints: …` comments. */
  prints: string[];
  /** Marked `ts ignore`: shown, never run. */
  ignored: boolean;
}

const PRINTS = /^\s*\/\/ prints: (.*)$/;

/** The blocks that are fenced and marked `ts`, in their order. */
export function blocksOf(file: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  let fence: { end: string; ts: boolean; ignored: boolean; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    if (fence === undefined) {
      const [, end, info = ""] = /^\s*(`{3,})(.*)$/.exec(line) ?? [];
      const words = info.trim().split(/[\s,]+/);
      if (end === undefined) continue;
      const ts = words[0] === "ts" || words[0] === "typescript";
      fence = { end, ts, ignored: words.includes("ignore"), line: index + 2, lines: [] };
    } else if (line.trim() === fence.end) {
      const { ts, ignored, lines } = fence;
      if (ts) blocks.push({ file, line: fence.line, ignored, code: lines.join("\n"), prints: printsOf(lines) });
      fence = undefined;
    } else {
      fence.lines.push(line);
    }
  }
  return blocks;
}

/** Whether a block could be run: ignoring is for fragments, and not for a program that is broken. */
export function isProgram(block: Block): boolean {
  return /^\s*import\s[^;]*from\s+["'](?:jsr:)?@denorocket\//m.test(block.code) && /\bawait\b/.test(block.code);
}

/**
 * The code as it is run: against this checkout, and against another broker than the reader's.
 *
 * Empty lines in front make the line numbers of errors those of the page.
 */
export function programOf(block: Block, nameServer: string): string {
  const code = block.code
    .replace(/(["'])jsr:(@denorocket\/rocketmq)(?:@[^/"']*)?/g, "$1$2")
    .replace(/\b(?:localhost|127\.0\.0\.1):9876\b/g, nameServer)
    .replace(/\bconnect\(\)/g, `connect("${nameServer}")`);
  return "\n".repeat(block.line - 1) + code + "\n";
}

/** The topics and groups that a program uses on the reader's broker; none if it has a broker of its own. */
export function namesOf(code: string): string[] {
  if (/\bEmbedded(?:Broker|Cluster)\.start\(/.test(code)) return [];
  const names = [...code.matchAll(/\b(topics?|group):\s*(?:\{\s*)?"?([\w%-]+)"?/g)];
  return [...new Set(names.map(([_, kind = "", name]) => `${kind.replace(/s$/, "")} ${name}`))];
}

function printsOf(lines: readonly string[]): string[] {
  const code = lines.filter((line) => line.trim() !== "");
  const first = code.findLastIndex((line) => !PRINTS.test(line)) + 1;
  return code.slice(first).map((line) => PRINTS.exec(line)?.[1] ?? "");
}
