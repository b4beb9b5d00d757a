import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.serializer.SerializerFeature;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/**
 * What capture_golden.ts wants from RocketMQ's own client: java -cp "lib/*" CaptureGolden.java COMMAND ARGUMENTS.
 *
 * <pre>
 * tagged  namesrv topic     sends a message with everything: tag, keys, flag, property, text beyond ASCII
 * packed  namesrv topic     sends a message that the client packs, as -Drocketmq.message.compressType says
 * connect namesrv           sends to a topic, and so asks the name server for it; fails if nobody answers
 * records file...           prints what is in answers to pulls, as JSON: { file: [record, ...], ... }
 * frames  file...           prints what is in frames, as JSON: { file: frame, ... }
 * </pre>
 */
public class CaptureGolden {
    static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        Map<String, Object> found = new LinkedHashMap<>();
        switch (args[0]) {
            case "tagged":
                Message tagged = new Message(args[2], "created", "Grüße, 世界 🚀".getBytes(StandardCharsets.UTF_8));
                tagged.setKeys(List.of("key-1", "key-2"));
                tagged.setFlag(42);
                tagged.putUserProperty("city", "Zürich 🏔");
                send(args[1], tagged, "7F000001000100000000000000000001");
                break;
            case "packed":
                byte[] body = "packed by Java. ".repeat(40).getBytes(StandardCharsets.UTF_8);
                send(args[1], new Message(args[2], body), "7F000001000100000000000000000002");
                break;
            case "connect":
                send(args[1], new Message("golden", new byte[1]), "7F000001000100000000000000000003");
                break;
            case "records":
                for (String file : rest(args)) found.put(name(file), records(ByteBuffer.wrap(Files.readAllBytes(Path.of(file)))));
                print(found);
                break;
            case "frames":
                for (String file : rest(args)) found.put(name(file), frame(ByteBuffer.wrap(Files.readAllBytes(Path.of(file)))));
                print(found);
                break;
            default:
                throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    static void send(String nameServer, Message message, String uniqueKey) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("golden");
        producer.setNamesrvAddr(nameServer);
        producer.setCompressMsgBodyOverHowmuch(100);
        producer.start();
        MessageAccessor.putProperty(message, "UNIQ_KEY", uniqueKey); // else it tells this machine's address
        out.println(producer.send(message, 10_000).getOffsetMsgId());
    }

    /** As records are pulled: not unpacked, except for the text; an inner batch both as a record and as its messages. */
    static List<Object> records(ByteBuffer bytes) {
        List<Object> records = new ArrayList<>();
        while (bytes.hasRemaining()) {
            ByteBuffer again = bytes.duplicate();
            MessageExt stored = MessageDecoder.decode(bytes, true, false, true);
            MessageExt unpacked = MessageDecoder.decode(again, true, true, true);
            List<MessageExt> inner = new ArrayList<>();
            if ((stored.getSysFlag() & 0xc0) == 0xc0) {
                try {
                    MessageDecoder.class.getMethod("decodeMessage", MessageExt.class, List.class).invoke(null, stored, inner);
                } catch (ReflectiveOperationException error) { // not in 4.9
                    throw new IllegalStateException(error);
                }
            }
            Map<String, Object> record = record(stored, new String(unpacked.getBody(), StandardCharsets.UTF_8));
            record.put("offsetMessageId", ((MessageClientExt) stored).getOffsetMsgId());
            if (!inner.isEmpty()) record.put("text", null); // bytes
            record.put("inner", inner.stream().map(one -> record(one, new String(one.getBody(), StandardCharsets.UTF_8))).toList());
            records.add(record);
        }
        return records;
    }

    static Map<String, Object> record(MessageExt message, String text) {
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("storedTopic", message.getTopic());
        record.put("storedQueueId", message.getQueueId());
        record.put("queueOffset", message.getQueueOffset());
        record.put("commitLogOffset", message.getCommitLogOffset());
        record.put("size", message.getStoreSize());
        record.put("bodyCRC", message.getBodyCRC());
        record.put("flag", message.getFlag());
        record.put("sysFlag", message.getSysFlag());
        record.put("bornTimestamp", message.getBornTimestamp());
        record.put("bornHost", host(message.getBornHost()));
        record.put("storeTimestamp", message.getStoreTimestamp());
        record.put("storeHost", host(message.getStoreHost()));
        record.put("reconsumeTimes", message.getReconsumeTimes());
        record.put("preparedTransactionOffset", message.getPreparedTransactionOffset());
        record.put("tags", message.getTags());
        record.put("keys", message.getKeys());
        record.put("messageId", message.getMsgId());
        record.put("properties", new TreeMap<>(message.getProperties()));
        record.put("storedBodySize", message.getBody().length);
        record.put("text", text);
        return record;
    }

    static String host(SocketAddress address) {
        InetSocketAddress host = (InetSocketAddress) address;
        String text = host.getAddress().getHostAddress();
        return (text.contains(":") ? "[" + text + "]" : text) + ":" + host.getPort();
    }

    static Map<String, Object> frame(ByteBuffer bytes) throws Exception {
        bytes.getInt(); // the length, which the network layer takes off
        RemotingCommand command = RemotingCommand.decode(bytes);
        Map<String, Object> frame = new LinkedHashMap<>();
        frame.put("code", command.getCode());
        frame.put("language", command.getLanguage().name());
        frame.put("version", command.getVersion());
        frame.put("opaque", command.getOpaque());
        frame.put("flag", command.getFlag());
        frame.put("remark", command.getRemark());
        frame.put("fields", command.getExtFields() == null ? Map.of() : new TreeMap<>(command.getExtFields()));
        frame.put("bodySize", command.getBody() == null ? 0 : command.getBody().length);
        return frame;
    }

    /** All of it: else what is null is left out, and what is there twice becomes a reference. */
    static void print(Map<String, Object> found) {
        SerializerFeature[] all = {SerializerFeature.WriteMapNullValue, SerializerFeature.DisableCircularReferenceDetect};
        out.println(JSON.toJSONString(found, all));
    }

    static String name(String file) {
        return Path.of(file).getFileName().toString();
    }

    static List<String> rest(String[] args) {
        return List.of(args).subList(1, args.length);
    }
}
