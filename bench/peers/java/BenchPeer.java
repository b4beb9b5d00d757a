import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * The benchmark's program for RocketMQ's own Java client. Its orders and its last line are described in work.ts.
 *
 * Tuned means: batches of 32 for a listener, four threads (more only take turns on few cores), wide limits of what is
 * buffered; sends by callback instead of by blocked threads; single sends gathered by the client (autoBatch) where the
 * order has a linger. The JVM's and the remoting layer's settings are in peers.ts.
 */
public class BenchPeer {
    static final Map<String, String> WORK = new HashMap<>();
    static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    static boolean tuned;
    static int count;
    static int bytes;

    public static void main(String[] args) throws Exception {
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) continue;
            } catch (java.io.IOException error) {
                // It has ended all the same.
            }
            Runtime.getRuntime().halt(0);
        });
        input.setDaemon(true);
        input.start();
        for (String word : args) WORK.put(word.substring(0, word.indexOf('=')), word.substring(word.indexOf('=') + 1));
        tuned = text("tuned").equals("true");
        count = number("count");
        bytes = number("bytes");
        switch (text("kind")) {
            case "consume":
                consume();
                break;
            case "pull":
                pull();
                break;
            case "send":
                send();
                break;
            case "endToEnd":
                endToEnd();
                break;
            default:
                consumer((messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS).start();
                print(0, 0, new Span(), "");
        }
        Thread.sleep(Long.MAX_VALUE);
    }

    static void consume() throws Exception {
        Reception reception = new Reception();
        consumer((messages, context) -> {
            for (MessageExt message : messages) reception.add(new String(message.getBody(), StandardCharsets.UTF_8));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }).start();
        reception.done.await();
        reception.print("");
    }

    static DefaultMQPushConsumer consumer(MessageListenerConcurrently listener) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(text("group"));
        consumer.setNamesrvAddr(text("nameServer"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (tuned) {
            consumer.setConsumeMessageBatchMaxSize(32);
            consumer.setConsumeThreadMin(4);
            consumer.setConsumeThreadMax(4);
            consumer.setPullThresholdForQueue(20_000);
            consumer.setConsumeConcurrentlyMaxSpan(65_535);
        }
        consumer.subscribe(text("topic"), "*");
        consumer.registerMessageListener(listener);
        return consumer;
    }

    /** A thread for each queue that pulls it to its end: what the client does without listeners, offsets and limits. */
    static void pull() throws Exception {
        Reception reception = new Reception();
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(text("group"));
        consumer.setNamesrvAddr(text("nameServer"));
        consumer.start();
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(text("topic"))) {
            new Thread(() -> {
                try {
                    for (long offset = 0;;) {
                        PullResult result = consumer.pull(queue, "*", offset, number("pullBatch"));
                        if (result.getMsgFoundList() == null) return;
                        for (MessageExt message : result.getMsgFoundList()) {
                            reception.add(new String(message.getBody(), StandardCharsets.UTF_8));
                        }
                        offset = result.getNextBeginOffset();
                    }
                } catch (Exception error) {
                    fail(error);
                }
            }).start();
        }
        reception.done.await();
        reception.print("");
    }

    static void send() throws Exception {
        DefaultMQProducer producer = producer();
        if (number("linger") > 0) {
            producer.setAutoBatch(true);
            producer.batchMaxDelayMs(number("linger"));
        }
        producer.start();
        sendSome(producer, number("warmUp"), new long[number("warmUp")]);
        int sends = (count + number("batch") - 1) / number("batch");
        long[] times = new long[sends];
        Span span = new Span();
        long startedAt = System.currentTimeMillis();
        sendSome(producer, count, times);
        span.end();
        print(count, count, span, percentiles(times) + ",\"startedAt\":" + startedAt);
    }

    static void sendSome(DefaultMQProducer producer, int total, long[] times) throws Exception {
        int inFlight = number("inFlight");
        boolean oneway = text("oneway").equals("true");
        int batch = number("batch");
        // One caller waits for each answer whatever the settings; many can be callbacks.
        if (tuned && inFlight > 1 && !oneway && batch == 1) {
            sendByCallback(producer, total, times, inFlight);
            return;
        }
        AtomicInteger next = new AtomicInteger();
        Thread[] threads = new Thread[oneway ? 1 : inFlight];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                try {
                    for (int number; (number = next.getAndAdd(batch)) < total;) {
                        long begun = System.nanoTime();
                        if (oneway) producer.sendOneway(message(number));
                        else if (batch == 1) producer.send(message(number));
                        else producer.send(messages(number, Math.min(batch, total - number)));
                        times[number / batch] = System.nanoTime() - begun;
                    }
                } catch (Exception error) {
                    fail(error);
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) thread.join();
    }

    static void sendByCallback(DefaultMQProducer producer, int total, long[] times, int inFlight) throws Exception {
        Semaphore free = new Semaphore(inFlight);
        for (int number = 0; number < total; number++) {
            free.acquire();
            int at = number;
            long begun = System.nanoTime();
            producer.send(message(number), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    times[at] = System.nanoTime() - begun;
                    free.release();
                }

                @Override
                public void onException(Throwable error) {
                    fail(error);
                }
            });
        }
        free.acquire(inFlight);
    }

    static void endToEnd() throws Exception {
        Reception reception = new Reception();
        long[] sentAt = new long[count];
        long[] took = new long[count];
        CountDownLatch warm = new CountDownLatch(number("warmUp"));
        DefaultMQProducer producer = producer();
        producer.start();
        consumer((messages, context) -> {
            for (MessageExt message : messages) {
                int number = reception.add(new String(message.getBody(), StandardCharsets.UTF_8));
                took[number] = System.nanoTime() - sentAt[number];
                if (number < number("warmUp")) warm.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }).start();
        sendAtRate(producer, 0, number("warmUp"), sentAt);
        warm.await();
        sendAtRate(producer, number("warmUp"), count, sentAt);
        reception.done.await();
        Thread.sleep(100); // the last message's time is written after it was entered
        reception.print(percentiles(Arrays.copyOfRange(took, number("warmUp"), count)));
    }

    static void sendAtRate(DefaultMQProducer producer, int from, int to, long[] sentAt) throws Exception {
        long begun = System.nanoTime();
        long pause = 1_000_000_000L / number("rate");
        for (int number = from; number < to; number++) {
            for (long left; (left = begun + (number - from) * pause - System.nanoTime()) > 0;) LockSupport.parkNanos(left);
            Message message = message(number);
            sentAt[number] = System.nanoTime();
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                }

                @Override
                public void onException(Throwable error) {
                    fail(error);
                }
            });
        }
    }

    static DefaultMQProducer producer() {
        DefaultMQProducer producer = new DefaultMQProducer("bench-java");
        producer.setNamesrvAddr(text("nameServer"));
        producer.setSendMsgTimeout(30_000); // a busy machine is no failure
        return producer;
    }

    static Message message(int number) {
        return new Message(text("topic"), body(number));
    }

    static List<Message> messages(int number, int length) {
        List<Message> messages = new ArrayList<>(length);
        for (int i = 0; i < length; i++) messages.add(message(number + i));
        return messages;
    }

    static byte[] body(int number) {
        byte[] body = new byte[bytes];
        Arrays.fill(body, (byte) 'x');
        for (int at = 9, rest = number; at >= 0; at--, rest /= 10) body[at] = (byte) ('0' + rest % 10);
        return body;
    }

    /** The ledger and its clock: the first message starts it, the last one stops it. */
    static class Reception {
        final long created = System.nanoTime();
        final AtomicIntegerArray seen = new AtomicIntegerArray(count);
        final AtomicInteger entered = new AtomicInteger();
        final AtomicInteger distinct = new AtomicInteger();
        final CountDownLatch done = new CountDownLatch(1);
        final Span span = new Span();
        volatile double first;

        int add(String text) {
            if (entered.getAndIncrement() == 0) {
                first = (System.nanoTime() - created) / 1e6;
                span.begin();
            }
            if (text.length() != bytes) fail(new IllegalStateException(text.length() + " bytes"));
            int number = 0;
            for (int at = 0; at < 10; at++) number = number * 10 + text.charAt(at) - '0';
            if (seen.getAndSet(number, 1) == 0 && distinct.incrementAndGet() == count) {
                span.end();
                done.countDown();
            }
            return number;
        }

        void print(String more) {
            BenchPeer.print(entered.get(), distinct.get(), span, more + ",\"first\":" + first);
        }
    }

    static class Span {
        long begun;
        long spent;
        double seconds;
        double cpu;

        Span() {
            begin();
        }

        void begin() {
            begun = System.nanoTime();
            spent = SYSTEM.getProcessCpuTime();
        }

        void end() {
            seconds = (System.nanoTime() - begun) / 1e9;
            cpu = (SYSTEM.getProcessCpuTime() - spent) / 1e9;
        }
    }

    static String percentiles(long[] nanos) {
        Arrays.sort(nanos);
        String form = ",\"p50\":%.4f,\"p99\":%.4f";
        return String.format(Locale.ROOT, form, nanos[nanos.length / 2] / 1e6, nanos[nanos.length * 99 / 100] / 1e6);
    }

    static void print(int entered, int distinct, Span span, String more) {
        String form = "{\"count\":%d,\"distinct\":%d,\"seconds\":%.6f,\"cpu\":%.6f%s}%n";
        System.out.printf(Locale.ROOT, form, entered, distinct, span.seconds, span.cpu, more);
        System.out.flush();
    }

    static void fail(Throwable error) {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
    }

    static String text(String name) {
        return WORK.get(name);
    }

    static int number(String name) {
        return Integer.parseInt(WORK.get(name));
    }
}
