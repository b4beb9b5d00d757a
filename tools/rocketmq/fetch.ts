/**
 * Fetches the jars of a RocketMQ version from Maven Central, once, into a cache folder.
 *
 * @module
 */

import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/**
 * Every version the tests run against, newest first: the newest 5.x, the 5.x whose bytes are the golden ones, and the
 * newest 4.9.x. The servers of each are complete on Maven Central.
 */
export const ROCKETMQ_VERSIONS = ["5.5.0", "5.3.3", "4.9.7"] as const;

/** One of {@linkcode ROCKETMQ_VERSIONS}. */
export type RocketMQVersion = (typeof ROCKETMQ_VERSIONS)[number];

const ARTIFACTS = ["rocketmq-namesrv", "rocketmq-broker", "rocketmq-tools", "rocketmq-client"];

/** The oldest Java that the servers' flags and the launch of `Peer.java` are known to work on. */
const OLDEST_JAVA = 17;

/** A cold download takes about ten seconds on a good line. */
const MAVEN_TIMEOUT = 10 * 60_000;

/** What keeps this machine from running RocketMQ, as a sentence; undefined if Java and Maven are there. */
export function javaToolsMissing(): string | undefined {
  const java = spawnSync("java", ["-version"], { encoding: "utf8" });
  if (java.error || java.status !== 0) return `Java ${OLDEST_JAVA} or newer is missing: "java -version" does not run`;
  const [, major] = /version "(\d+)/.exec(java.stderr) ?? []; // Java 8 says "1.8.0"
  if (Number(major) < OLDEST_JAVA) return `Java is too old: it is ${major}, ${OLDEST_JAVA} or newer is needed`;
  const maven = spawnSync("mvn", ["-v"], { encoding: "utf8" });
  if (maven.error || maven.status !== 0) return `Maven is missing: "mvn -v" does not run`;
  return undefined;
}

/** The folder that holds everything fetched: `DENOROCKET_CACHE`, else the user's cache folder. */
export function cacheFolder(): string {
  const { DENOROCKET_CACHE, XDG_CACHE_HOME } = process.env;
  return DENOROCKET_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "denorocket");
}

/**
 * Makes sure that a version's jars are in the cache.
 *
 * A folder under its final name is complete: it is filled beside and renamed, so that an interrupted download
 * leaves nothing half done, and of two processes that race the second adopts what the first one made.
 *
 * @returns The folder whose `lib/` holds the jars.
 * @throws {Error} If Java or Maven is missing, or Maven fails: the message ends with Maven's last lines.
 */
export async function fetchRocketMQ(version: RocketMQVersion): Promise<string> {
  const cache = cacheFolder();
  const folder = join(cache, `rocketmq-${version}`);
  if (existsSync(folder)) return folder;
  const missing = javaToolsMissing();
  if (missing) throw new Error(`Cannot fetch RocketMQ ${version}: ${missing}`);

  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, `rocketmq-${version}.`));
  try {
    await writeFile(join(work, "pom.xml"), pom(version));
    await copyDependencies(version, work);
    await rename(work, folder).catch((error) => {
      if (!existsSync(folder)) throw error; // otherwise another process was first
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

function copyDependencies(version: RocketMQVersion, folder: string): Promise<void> {
  const goal = ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"];
  const args = [...goal, `-DoutputDirectory=${join(folder, "lib")}`];
  const options = { cwd: folder, timeout: MAVEN_TIMEOUT, maxBuffer: 64 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    execFile("mvn", args, options, (error, stdout, stderr) => {
      if (!error) return resolve();
      const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
      const message = `Cannot fetch RocketMQ ${version}: mvn failed\n${lines.slice(-15).join("\n")}`;
      reject(new Error(message, { cause: error }));
    });
  });
}

function pom(version: RocketMQVersion): string {
  const dependencies = ARTIFACTS.map((artifact) =>
    `<dependency><groupId>org.apache.rocketmq</groupId><artifactId>${artifact}</artifactId>` +
    `<version>${version}</version></dependency>`
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>denorocket</groupId>
  <artifactId>rocketmq-${version}</artifactId>
  <version>1</version>
  <dependencies>
    ${dependencies.join("\n    ")}
  </dependencies>
</project>
`;
}
