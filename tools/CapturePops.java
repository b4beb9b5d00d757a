import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.serializer.SerializerFeature;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.body.BatchAck;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;

/**
 * What RocketMQ's own client makes of answers to pops (5.x only): java -cp "lib/*" CapturePops.java pops FILE...
 *
 * Prints, as JSON, the receipt of each message by file, and the acks of some offsets as a request has them.
 */
public class CapturePops {
    public static void main(String[] args) throws Exception {
        Map<String, Object> files = new LinkedHashMap<>();
        for (String file : List.of(args).subList(1, args.length)) {
            files.put(Path.of(file).getFileName().toString(), messages(Files.readAllBytes(Path.of(file)), file.contains("ordered")));
        }
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("files", files);
        found.put("batchAck", batchAck());
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        out.println(JSON.toJSONString(found, SerializerFeature.DisableCircularReferenceDetect));
        System.exit(0);
    }

    static List<Object> messages(byte[] frame, boolean order) throws Exception {
        ByteBuffer bytes = ByteBuffer.wrap(frame);
        bytes.getInt(); // the length, which the network layer takes off
        RemotingCommand answer = RemotingCommand.decode(bytes);
        PopMessageRequestHeader header = new PopMessageRequestHeader();
        String topic = order ? "popped-in-order" : "popped";
        header.setTopic(topic);
        header.setOrder(order);
        MQClientAPIImpl client = new MQClientAPIImpl(new NettyClientConfig(), null, null, new ClientConfig());
        Method process = MQClientAPIImpl.class.getDeclaredMethod(
            "processPopResponse", String.class, RemotingCommand.class, String.class, CommandCustomHeader.class);
        process.setAccessible(true);
        List<Object> messages = new ArrayList<>();
        for (MessageExt message : ((PopResult) process.invoke(client, "broker-a", answer, topic, header)).getMsgFoundList()) {
            String receipt = message.getProperty("POP_CK");
            String[] fields = ExtraInfoUtil.split(receipt);
            Map<String, Object> seen = new LinkedHashMap<>();
            seen.put("receipt", receipt);
            seen.put("startOffset", ExtraInfoUtil.getCkQueueOffset(fields));
            seen.put("popTime", ExtraInfoUtil.getPopTime(fields));
            seen.put("invisibleTime", ExtraInfoUtil.getInvisibleTime(fields));
            seen.put("reviveQueueId", ExtraInfoUtil.getReviveQid(fields));
            seen.put("retry", Integer.parseInt(ExtraInfoUtil.getRetry(fields)));
            seen.put("broker", ExtraInfoUtil.getBrokerName(fields));
            seen.put("queueId", ExtraInfoUtil.getQueueId(fields));
            seen.put("queueOffset", ExtraInfoUtil.getQueueOffset(fields));
            seen.put("realTopic", ExtraInfoUtil.getRealTopic(fields, topic, "golden"));
            seen.put("firstPopTime", message.getProperty("1ST_POP_TIME"));
            seen.put("reconsumeTimes", message.getReconsumeTimes());
            messages.add(seen);
        }
        return messages;
    }

    static Object batchAck() {
        BatchAck ack = new BatchAck();
        ack.setConsumerGroup("golden");
        ack.setTopic("popped");
        ack.setRetry("1");
        ack.setStartOffset(100);
        ack.setQueueId(2);
        ack.setReviveQueueId(3);
        ack.setPopTime(1700000000123L);
        ack.setInvisibleTime(60000);
        BitSet bits = new BitSet();
        for (int bit : new int[] {0, 2, 9, 63, 64}) bits.set(bit);
        ack.setBitSet(bits);
        return JSON.parse(JSON.toJSONString(ack));
    }
}
