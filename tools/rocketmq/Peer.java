import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * RocketMQ's own client as the other side of a test: java -cp "lib/*" Peer.java COMMAND ARGUMENTS.
 *
 * <pre>
 * produce              namesrv topic count [tag=-] [batch=1]             prints an id per line, then "done N"
 * produce-keyed        namesrv topic key...                              prints key TAB broker TAB queue, by hash
 * consume              namesrv group topic count [from=first] [tags=*]   prints body TAB id TAB reconsumeTimes
 * consume-failing-once namesrv group topic count [from=first] [tags=*]   the same, having refused each message once
 * </pre>
 *
 * Bodies are message-0, message-1, …; keys are key-0, key-1, …; a tag of "-" is none; from is first or last. A batch may
 * print fewer ids than messages (5.3.3). Consuming ends with status 0 after count different messages (one that comes
 * twice is printed twice) or with 1 after -Dpeer.deadline milliseconds.
 */
public class Peer {
    public static void main(String[] args) throws Exception {
        switch (args.length == 0 ? "" : args[0]) {
            case "produce":
                int batch = Integer.parseInt(arg(args, 5, "1"));
                produce(args[1], args[2], Integer.parseInt(args[3]), arg(args, 4, "-"), batch);
                break;
            case "produce-keyed":
                produceKeyed(args[1], args[2], Arrays.asList(args).subList(3, args.length));
                break;
            case "consume":
            case "consume-failing-once":
                boolean failing = args[0].equals("consume-failing-once");
                boolean first = arg(args, 5, "first").equals("first");
                consume(args[1], args[2], args[3], Integer.parseInt(args[4]), first, arg(args, 6, "*"), failing);
                break;
            default:
                System.err.println("Usage: Peer.java (produce | produce-keyed | consume | consume-failing-once) ARGUMENTS");
                System.exit(2);
        }
    }

    static void produce(String nameServer, String topic, int count, String tag, int batch) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("java-peer");
        producer.setNamesrvAddr(nameServer);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        for (int from = 0; from < count; from += batch) {
            List<Message> messages = new ArrayList<>();
            for (int i = from; i < Math.min(from + batch, count); i++) {
                byte[] body = ("message-" + i).getBytes(StandardCharsets.UTF_8);
                messages.add(new Message(topic, tag.equals("-") ? null : tag, "key-" + i, body));
            }
            SendResult result = batch == 1 ? producer.send(messages.get(0)) : producer.send(messages);
            if (result.getSendStatus() != SendStatus.SEND_OK) throw new IllegalStateException(result.toString());
            for (String id : result.getMsgId().split(",")) System.out.println(id);
        }
        System.out.println("done " + count);
        producer.shutdown();
        System.exit(0);
    }

    static void produceKeyed(String nameServer, String topic, List<String> keys) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("java-peer");
        producer.setNamesrvAddr(nameServer);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        for (String key : keys) {
            Message message = new Message(topic, null, key, key.getBytes(StandardCharsets.UTF_8));
            MessageQueue queue = producer.send(message, new SelectMessageQueueByHash(), key).getMessageQueue();
            System.out.println(key + "\t" + queue.getBrokerName() + "\t" + queue.getQueueId());
        }
        producer.shutdown();
        System.exit(0);
    }

    static void consume(
        String nameServer, String group, String topic, int count, boolean first, String tags, boolean failing
    ) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        Set<String> seen = new HashSet<>();
        CountDownLatch left = new CountDownLatch(count);
        consumer.setNamesrvAddr(nameServer);
        consumer.setPollNameServerInterval(1_000); // the retry topic appears with the first consumer
        consumer.setPersistConsumerOffsetInterval(1_000);
        consumer.setAwaitTerminationMillisWhenShutdown(5_000); // the last message's result counts too
        consumer.setConsumeFromWhere(
            first ? ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET : ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET
        );
        consumer.subscribe(topic, tags);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0); // consumeMessageBatchMaxSize is 1
            if (failing && message.getReconsumeTimes() == 0) return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            String body = new String(message.getBody(), StandardCharsets.UTF_8);
            synchronized (seen) {
                System.out.println(body + "\t" + message.getMsgId() + "\t" + message.getReconsumeTimes());
                // The body as well: of a batch, 5.3.3 may give every message the same id.
                if (seen.add(message.getMsgId() + body)) left.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        boolean all = left.await(Long.getLong("peer.deadline", 60_000L), TimeUnit.MILLISECONDS);
        consumer.shutdown();
        System.exit(all ? 0 : 1);
    }

    static String arg(String[] args, int index, String absent) {
        return index < args.length ? args[index] : absent;
    }
}
