/**
 * The picture of a report: a panel for each of the rows that matter most, a bar for each client.
 *
 * @module
 */

import type { PeerId } from "../peers/peers.ts";
import type { Report, ReportRow } from "./report.ts";
import { format } from "./runner.ts";

/** The rows that are drawn, with short titles. */
const PANELS: readonly (readonly [row: string, title: string])[] = [
  ["backlog", "Consume a backlog, 256 B: messages a second"],
  ["backlog-4k", "Consume a backlog, 4 KiB: messages a second"],
  ["cpu", "CPU for a consumed message: µs, less is better"],
  ["send", "Send, 128 in flight: messages a second"],
  ["end-to-end-p99", "End to end, 99th percentile: ms, less is better"],
  ["idle-memory", "Idle consumer, 64 queues: MB, less is better"],
];

/** The clients that are drawn; of two settings the better one. */
const BARS: readonly (readonly [label: string, ids: readonly PeerId[]])[] = [
  ["denorocket", ["ours"]],
  ["Java", ["java", "java-tuned"]],
  ["Go", ["go", "go-tuned"]],
  ["ali-ons", ["ali-ons", "ali-ons-tuned"]],
];

const WIDTH = 860;
const COLUMN = 420;
const LABEL = 84;
const FIGURE = 76;
const BAR = 16;
const STEP = 24;
const TITLE = 30;
const PANEL = TITLE + BARS.length * STEP + 22;
const MARGIN = 10;

/** Greys and a blue that stand out from white and from black, for viewers that ignore what a page prefers. */
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #6e7781; }
.title { font-weight: 600; }
.note { font-size: 11px; }
.bar { fill: #8c959f; }
.ours { fill: #2f81f7; }
@media (prefers-color-scheme: dark) {
  text { fill: #adbac7; }
  .bar { fill: #768390; }
  .ours { fill: #539bf5; }
}`;

/** Draws a report. */
export function svg(report: Report): string {
  const panels = PANELS.flatMap(([id, title]) => {
    const row = report.rows.find((each) => each.id === id);
    return row?.figures.ours === undefined ? [] : [{ row, title }];
  });
  const drawn = panels.map(({ row, title }, i) =>
    panel(row, title, MARGIN + (i % 2) * COLUMN, MARGIN + Math.floor(i / 2) * PANEL)
  );
  const height = MARGIN + Math.ceil(panels.length / 2) * PANEL + 20;
  const { machine, date, rounds } = report.setting;
  const turns = rounds === 1 ? "one round" : `medians of ${rounds} rounds`;
  const note = `${machine}; one real broker, RocketMQ 5.3.3; ${turns}; each client's better settings; ${date}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">
<title>denorocket beside other RocketMQ clients</title>
<style>
${STYLE}
</style>
${drawn.join("\n")}
<text class="note" x="${MARGIN}" y="${height - MARGIN}">${escape(note)}</text>
</svg>
`;
}

function panel({ figures, more }: ReportRow, title: string, x: number, y: number): string {
  const bars = BARS.flatMap(([label, ids]) => {
    const medians = ids.flatMap((id) => figures[id] === undefined ? [] : [figures[id].median]);
    return medians.length === 0 ? [] : [{ label, figure: more ? Math.max(...medians) : Math.min(...medians) }];
  });
  const most = Math.max(...bars.map(({ figure }) => figure));
  const room = COLUMN - 2 * MARGIN - LABEL - FIGURE;
  const drawn = bars.map(({ label, figure }, i) => {
    const top = y + TITLE + i * STEP;
    const width = Math.max(1, Math.round(figure / most * room));
    const kind = label === "denorocket" ? "ours" : "bar";
    return `<text x="${x}" y="${top + 13}">${label}</text>
<rect class="${kind}" x="${x + LABEL}" y="${top}" width="${width}" height="${BAR}" rx="2"/>
<text x="${x + LABEL + width + 6}" y="${top + 13}">${format(figure)}</text>`;
  });
  return `<text class="title" x="${x}" y="${y + 16}">${escape(title)}</text>\n${drawn.join("\n")}`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
