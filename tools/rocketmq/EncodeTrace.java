import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.TreeSet;
import org.apache.rocketmq.client.AccessChannel;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceTransferBean;
import org.apache.rocketmq.client.trace.TraceType;
import org.apache.rocketmq.common.message.MessageType;

/**
 * Encodes message trace by RocketMQ's own encoder: java -cp "lib/*" EncodeTrace.java, a context per line of standard
 * input, as src/telemetry/trace_records.ts has it.
 *
 * Prints a line per context, {"body": BASE64, "keys": [SORTED, …], "read": N}: its bytes, the keys that it is found by,
 * and how many records Java's decoder reads from the bytes.
 */
public class EncodeTrace {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            TraceTransferBean encoded = TraceDataEncoder.encoderFromContextBean(context(JSON.parseObject(line)));
            TreeSet<String> keys = new TreeSet<>();
            for (String key : encoded.getTransKey()) { // 4.9 leaves the keys of a message as they are
                for (String each : key.split(" ")) {
                    keys.add(each);
                }
            }
            byte[] bytes = encoded.getTransData().getBytes(StandardCharsets.UTF_8);
            JSONObject answer = new JSONObject();
            answer.put("body", Base64.getEncoder().encodeToString(bytes));
            answer.put("keys", keys);
            answer.put("read", TraceDataEncoder.decoderFromTraceDataString(encoded.getTransData()).size());
            System.out.println(answer.toJSONString());
        }
    }

    static TraceContext context(JSONObject given) {
        TraceContext context = new TraceContext();
        context.setTraceType(TraceType.valueOf(given.getString("type")));
        context.setAccessChannel(AccessChannel.LOCAL);
        context.setTimeStamp(given.getLongValue("timestamp"));
        context.setGroupName(given.getString("group"));
        context.setRegionId(given.getString("region"));
        context.setCostTime(given.getIntValue("cost"));
        context.setSuccess(given.getBooleanValue("success"));
        context.setRequestId(given.getString("requestId"));
        context.setContextCode(given.getIntValue("code"));
        List<TraceBean> beans = new ArrayList<>();
        if (context.getTraceType() == TraceType.Pub) {
            beans.add(sent(given));
        } else {
            JSONArray messages = given.getJSONArray("messages");
            for (int i = 0; i < messages.size(); i++) {
                beans.add(bean(messages.getJSONObject(i), given));
            }
        }
        context.setTraceBeans(beans);
        return context;
    }

    static TraceBean sent(JSONObject given) {
        TraceBean bean = bean(given, given);
        bean.setTags(given.getString("tags"));
        bean.setStoreHost(given.getString("storeHost"));
        bean.setBodyLength(given.getIntValue("bodyLength"));
        bean.setMsgType(MessageType.values()[given.getIntValue("messageType")]);
        bean.setOffsetMsgId(given.getString("offsetMessageId"));
        return bean;
    }

    static TraceBean bean(JSONObject message, JSONObject context) {
        TraceBean bean = new TraceBean();
        bean.setTopic(context.getString("topic"));
        bean.setMsgId(message.getString("messageId"));
        bean.setKeys(message.getString("keys"));
        bean.setRetryTimes(message.getIntValue("retryTimes"));
        return bean;
    }
}
