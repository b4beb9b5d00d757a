/**
 * The clients that are compared: how their programs are built, from their registries, and how they are run.
 *
 * What is built goes to the cache folder of `tools/rocketmq`, below `bench/`.
 *
 * @module
 */

import { dirname, fromFileUrl, join } from "@std/path";
import { cacheFolder, fetchRocketMQ } from "../../tools/rocketmq/fetch.ts";

/** The name of a peer on the command line. */
export type PeerId = typeof PEER_IDS[number];

/** All peers, in the order in which they take their turns. */
export const PEER_IDS = [
  "ceiling",
  "bare",
  "ours",
  "ours-bun",
  "ours-node",
  "java",
  "java-tuned",
  "go",
  "go-tuned",
  "ali-ons",
  "ali-ons-tuned",
] as const;

/** One client with its settings. */
export interface Peer {
  readonly id: PeerId;
  /** How tables call it. */
  readonly label: string;
  /** The program and its first arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly tuned: boolean;
}

/** The version of each client that is built, and of what runs it. */
export interface Versions {
  readonly [name: string]: string;
}

const GO_CLIENT = "v2.1.2";
const ALI_ONS = "3.12.0";
const JAVA_CLIENT = "5.3.3";

const here = dirname(fromFileUrl(import.meta.url));

/** What Java 17 needs to let the client's Netty work, and a client that writes no logs. */
function javaArgs(folder: string, release: string): string[] {
  return [
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    `-Drmq.logback.configurationFile=${join(folder, "logback.xml")}`,
    `-Duser.home=${folder}`,
    "-cp",
    `${folder}:${join(release, "lib", "*")}`,
  ];
}

/** A fixed heap, the collector that costs least, binary headers, and as many oneway sends under way as one likes. */
const JAVA_TUNED = [
  "-Xms512m",
  "-Xmx512m",
  "-XX:+UseParallelGC",
  "-Drocketmq.serialize.type=ROCKETMQ",
  "-Dcom.rocketmq.remoting.clientOnewaySemaphoreValue=10000000",
];

/** A peer that runs as it stands. */
export function denoPeer(id: "ceiling" | "bare" | "ours"): Peer {
  return peerOf(id, inDeno[id]);
}

/** Builds what the chosen peers need; a peer whose tools are missing is told, and left out. */
export async function buildPeers(ids: readonly PeerId[]): Promise<{ peers: Peer[]; versions: Versions }> {
  const folder = join(cacheFolder(), "bench");
  await Deno.mkdir(folder, { recursive: true });
  const peers: Peer[] = [];
  const versions: Record<string, string> = { Deno: Deno.version.deno };
  for (const [family, build] of Object.entries(builders)) {
    const wanted = ids.filter((id) => id.replace("-tuned", "") === family);
    if (wanted.length === 0) continue;
    try {
      const built = await build(folder);
      peers.push(...wanted.map((id) => peerOf(id, built)));
      Object.assign(versions, built.versions);
    } catch (error) {
      console.error(`${wanted.join(" and ")} cannot be built, and is left out: ${error}`);
    }
  }
  return { peers: ids.flatMap((id) => peers.filter((peer) => peer.id === id)), versions };
}

/** A program that is ready to run. */
interface Built {
  readonly label: string;
  readonly command: readonly string[];
  readonly versions?: Versions;
  /** The same with its best settings. */
  readonly tuned?: { readonly command?: readonly string[]; readonly env?: Readonly<Record<string, string>> };
}

function peerOf(id: PeerId, built: Built): Peer {
  const tuned = id.endsWith("-tuned");
  return {
    id,
    label: tuned ? `${built.label}, tuned` : built.label,
    command: (tuned ? built.tuned?.command : undefined) ?? built.command,
    env: (tuned ? built.tuned?.env : undefined) ?? {},
    tuned,
  };
}

const inDeno = {
  ceiling: { label: "ceiling", command: denoCommand("ceiling.ts") },
  bare: { label: "bare Deno loop", command: denoCommand("bare.ts") },
  ours: { label: "denorocket", command: denoCommand("ours.ts") },
} as const satisfies Record<string, Built>;

const builders: Readonly<Record<string, (folder: string) => Promise<Built>>> = {
  ceiling: () => Promise.resolve(inDeno.ceiling),
  bare: () => Promise.resolve(inDeno.bare),
  ours: () => Promise.resolve(inDeno.ours),
  "ours-bun": buildBun,
  "ours-node": buildNode,
  java: buildJava,
  go: buildGo,
  "ali-ons": buildAliOns,
};

function denoCommand(file: string): string[] {
  return [Deno.execPath(), "run", "-A", "--no-prompt", join(here, file)];
}

async function buildBun(): Promise<Built> {
  const version = await output(["bun", "--version"]);
  return { label: "denorocket on Bun", command: ["bun", join(here, "ours.ts")], versions: { Bun: version } };
}

/** Node 20 runs no TypeScript, so that a bundle is made for it. */
async function buildNode(folder: string): Promise<Built> {
  const bundle = join(folder, "ours.mjs");
  await output([Deno.execPath(), "bundle", "--quiet", "-o", bundle, join(here, "ours.ts")]);
  return { label: "denorocket on Node", command: ["node", bundle], versions: { Node: await output(["node", "-v"]) } };
}

async function buildJava(folder: string): Promise<Built> {
  const release = await fetchRocketMQ(JAVA_CLIENT);
  const classes = join(folder, "java");
  await Deno.mkdir(classes, { recursive: true });
  await Deno.writeTextFile(join(classes, "logback.xml"), `<configuration><root level="OFF"/></configuration>\n`);
  await output(["javac", "-cp", join(release, "lib", "*"), "-d", classes, join(here, "java", "BenchPeer.java")]);
  const args = [...javaArgs(classes, release), "BenchPeer"];
  const [version = ""] = (await output(["java", "--version"])).split("\n");
  return {
    label: "Java",
    command: ["java", ...args],
    tuned: { command: ["java", ...JAVA_TUNED, ...args] },
    versions: { "Java client": JAVA_CLIENT, Java: version },
  };
}

async function buildGo(folder: string): Promise<Built> {
  const program = join(folder, "go-peer");
  await output(["go", "build", "-o", program, "."], join(here, "go"));
  return {
    label: "Go",
    command: [program],
    tuned: { env: { GOGC: "400" } },
    versions: { "Go client": GO_CLIENT, Go: (await output(["go", "env", "GOVERSION"])).replace("go", "") },
  };
}

async function buildAliOns(folder: string): Promise<Built> {
  const place = join(folder, `ali-ons-${ALI_ONS}`);
  const program = join(place, "peer.mjs");
  await Deno.mkdir(place, { recursive: true });
  await Deno.writeTextFile(join(place, "package.json"), `{ "private": true }\n`);
  if (!exists(join(place, "node_modules", "ali-ons"))) {
    await output(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", `ali-ons@${ALI_ONS}`], place);
  }
  await output([Deno.execPath(), "bundle", "--quiet", "-o", program, join(here, "ali_ons.ts")]);
  return {
    label: "ali-ons",
    command: ["node", program],
    versions: { "ali-ons": ALI_ONS, Node: await output(["node", "-v"]) },
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs a command to its end; returns what it printed. */
async function output([program = "", ...args]: readonly string[], cwd?: string): Promise<string> {
  const command = new Deno.Command(program, { args, stdin: "null", ...(cwd === undefined ? {} : { cwd }) });
  const { success, stdout, stderr } = await command.output();
  if (success) return new TextDecoder().decode(stdout).trim();
  throw new Error(`Cannot run "${program} ${args[0]}": ${new TextDecoder().decode(stderr).trim()}`);
}
