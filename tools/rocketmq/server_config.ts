/**
 * How the Java servers are configured for tests: small, quick to start, quick to react.
 *
 * @module
 */

import { join } from "node:path";

/** Opens what RocketMQ reaches for by reflection; Java 17 refuses otherwise. */
const ADD_OPENS = [
  "--add-opens=java.base/java.nio=ALL-UNNAMED",
  "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
  "--add-opens=java.base/java.util=ALL-UNNAMED",
  "--add-opens=java.base/java.lang=ALL-UNNAMED",
  "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
  "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
  "-XX:+IgnoreUnrecognizedVMOptions",
];

/** Compiles less and collects on one thread: a start takes half the processor time. */
const QUICK_START = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/** Without this, a server that starts makes up two RSA keys, which takes it seconds. */
const WITHOUT_TLS = "-Dtls.server.mode=disabled";

/** A program of a release, as its logging configuration is named. */
export type Program = "namesrv" | "broker" | "tools";

/**
 * The `java` arguments of a program that runs in a cluster's folder, without heap limits and main class.
 *
 * @param home A folder of its own, relative to the cluster's: some files go to `user.home` whatever is configured.
 */
export function javaArgs(release: string, program: Program, home: string): string[] {
  const file = logbackFile(program);
  const logging = [`-Drmq.logback.configurationFile=${file}`, `-Dlogback.configurationFile=${file}`]; // 5.3.3, 4.9.7
  const classPath = join(release, "lib", "*");
  return [...ADD_OPENS, ...QUICK_START, WITHOUT_TLS, ...logging, `-Duser.home=${home}`, "-cp", classPath];
}

/** Where a program's logging is configured, relative to `ROCKETMQ_HOME`. 4.9.7 does not start without the file. */
export function logbackFile(program: Program): string {
  return join("conf", `logback_${program}.xml`);
}

/** Logging for servers: warnings go where the process prints; their usual dozen of files costs time and disk. */
export const SERVER_LOGBACK = `<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %level %thread - %msg%n</pattern></encoder>
  </appender>
  <logger name="RocketmqTransaction" level="ERROR"/> <!-- it warns of every empty queue, every time it looks -->
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
`;

/** Logging for programs whose output is read: none. */
export const SILENT_LOGBACK = `<configuration><root level="OFF"/></configuration>\n`;

/** Heap limits by program. The name server holds a table, the broker maps its files. */
export const MEMORY: Record<Program, readonly string[]> = {
  namesrv: ["-Xms32m", "-Xmx128m"],
  broker: ["-Xms128m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m"],
  tools: ["-Xmx256m"],
};

/** What sets one broker apart from the others. */
export interface BrokerPlace {
  name: string;
  /** Where clients connect. The broker also takes port − 2 (for clients too busy to wait) and port + 1 (for slaves). */
  port: number;
  /** The name server's `host:port`. */
  nameServer: string;
  /** The folder of its store. */
  store: string;
}

/** The settings of a broker; a caller's own go on top. */
export function brokerSettings({ name, port, nameServer, store }: BrokerPlace): Record<string, string> {
  return {
    brokerClusterName: "DefaultCluster",
    brokerName: name,
    brokerId: "0",
    brokerIP1: "127.0.0.1",
    brokerIP2: "127.0.0.1", // for slaves; otherwise the first address of a network card
    listenPort: String(port),
    namesrvAddr: nameServer,
    storePathRootDir: store,
    storePathCommitLog: join(store, "commitlog"),

    autoCreateTopicEnable: "true",
    enablePropertyFilter: "true", // SQL92 expressions
    // 18 levels as in production, but the last is 2 s: retries (level 3 and up) come back at once.
    messageDelayLevel: [...Array(5).fill("1s"), ...Array(13).fill("2s")].join(" "),
    // An undecided transaction is asked about after two seconds, not a minute.
    transactionTimeOut: "2000",
    transactionCheckInterval: "2000",
    // POP retries scan two queues instead of eight, each with a thread that SIGTERM waits for.
    reviveQueueNum: "2",
    // The shortest allowed: brokers are back in a restarted name server after ten seconds.
    registerNameServerPeriod: "10000",

    // Small files are quick to map; the store still rolls over only in long tests.
    mappedFileSizeCommitLog: String(64 * 1024 * 1024),
    mappedFileSizeConsumeQueue: String(20 * 50_000), // must be a multiple of 20, the size of an entry
    mappedFileSizeTimerLog: String(16 * 1024 * 1024),
    maxHashSlotNum: "100000", // of an index file: 40 MB instead of 420 MB
    maxIndexNum: "400000",

    // Losing power is not tested; a killed process loses nothing, its mapped pages stay with the system.
    flushDiskType: "ASYNC_FLUSH",
    // Offsets are written to files by timer: a killed broker forgets at most the last second of them.
    flushConsumerOffsetInterval: "1000",
    flushDelayOffsetInterval: "1000",
    transientStorePoolEnable: "false",
    diskMaxUsedSpaceRatio: "98", // developers' disks are full

    // Two busy cores make requests wait: never answer SYSTEM_BUSY because of that.
    waitTimeMillsInSendQueue: "30000",
    waitTimeMillsInPullQueue: "30000",
    waitTimeMillsInHeartbeatQueue: "30000",
    waitTimeMillsInTransactionQueue: "30000",
    osPageCacheBusyTimeOutMills: "30000",
  };
}

/** The text of a `.conf` file, which Java reads as properties. */
export function properties(settings: Record<string, string>): string {
  return Object.entries(settings).map(([key, value]) => `${key}=${value.replaceAll("\\", "\\\\")}\n`).join("");
}
