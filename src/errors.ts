/**
 * Every class a caller may catch, in one tree under {@linkcode RocketMQError}.
 *
 * @module
 */

export {
  ConfigError,
  type Problem,
  RocketMQError,
  type RocketMQErrorOptions,
  TimeoutError,
  UnsupportedError,
  ValidationError,
} from "./errors/base.ts";
export * from "./errors/message.ts";
export * from "./errors/network.ts";
export * from "./errors/producer.ts";
export * from "./errors/consumer.ts";
export * from "./errors/subscription.ts";
