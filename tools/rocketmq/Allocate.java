import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMachineRoomNearby;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByConfig;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByMachineRoom;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Allocates by RocketMQ's own strategies: java -cp "lib/*" Allocate.java, a case per line of standard input.
 *
 * <pre>
 * {"strategy": NAME, "queues": [[topic, broker, queueId], …], "members": [clientId, …]}
 * </pre>
 *
 * The name is what getName() gives; CONSISTENT_HASH also takes "virtualNodes", MACHINE_ROOM "rooms", CONFIG
 * "configured", a list like "queues". For MACHINE_ROOM_NEARBY-… a room is what precedes the first dash of a broker's
 * name or a client id.
 *
 * Both lists are sorted first, as a Java client sorts them. Prints a line per case: for each member, in their order, the
 * places of its queues in theirs, [[0,1],[2]]; or the exception's class, if one was thrown, and nothing but that.
 */
public class Allocate {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(owned(JSON.parseObject(line)));
        }
    }

    static String owned(JSONObject given) {
        List<MessageQueue> queues = queues(given.getJSONArray("queues"));
        List<String> members = new ArrayList<>(given.getJSONArray("members").toJavaList(String.class));
        Collections.sort(queues);
        Collections.sort(members);
        AllocateMessageQueueStrategy strategy = strategy(given.getString("strategy"), given);
        List<List<Integer>> all = new ArrayList<>();
        try {
            for (String member : members) {
                List<Integer> places = new ArrayList<>();
                for (MessageQueue queue : strategy.allocate("group", member, queues, members)) {
                    places.add(Collections.binarySearch(queues, queue));
                }
                all.add(places);
            }
        } catch (RuntimeException e) {
            return e.getClass().getSimpleName();
        }
        return JSON.toJSONString(all);
    }

    static AllocateMessageQueueStrategy strategy(String name, JSONObject given) {
        String nearby = "MACHINE_ROOM_NEARBY-";
        if (name.startsWith(nearby)) {
            return new AllocateMachineRoomNearby(strategy(name.substring(nearby.length()), given), new Resolver());
        }
        switch (name) {
            case "AVG":
                return new AllocateMessageQueueAveragely();
            case "AVG_BY_CIRCLE":
                return new AllocateMessageQueueAveragelyByCircle();
            case "CONSISTENT_HASH":
                Integer nodes = given.getInteger("virtualNodes");
                return nodes == null
                    ? new AllocateMessageQueueConsistentHash()
                    : new AllocateMessageQueueConsistentHash(nodes);
            case "MACHINE_ROOM":
                AllocateMessageQueueByMachineRoom byRoom = new AllocateMessageQueueByMachineRoom();
                byRoom.setConsumeridcs(new HashSet<>(given.getJSONArray("rooms").toJavaList(String.class)));
                return byRoom;
            case "CONFIG":
                AllocateMessageQueueByConfig byConfig = new AllocateMessageQueueByConfig();
                byConfig.setMessageQueueList(queues(given.getJSONArray("configured")));
                return byConfig;
            default:
                throw new IllegalStateException("no such strategy: " + name);
        }
    }

    static List<MessageQueue> queues(JSONArray rows) {
        List<MessageQueue> queues = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            JSONArray row = rows.getJSONArray(i);
            queues.add(new MessageQueue(row.getString(0), row.getString(1), row.getIntValue(2)));
        }
        return queues;
    }

    static class Resolver implements AllocateMachineRoomNearby.MachineRoomResolver {
        @Override
        public String brokerDeployIn(MessageQueue queue) {
            return roomOf(queue.getBrokerName());
        }

        @Override
        public String consumerDeployIn(String clientId) {
            return roomOf(clientId);
        }

        private static String roomOf(String name) {
            return name.substring(0, Math.max(0, name.indexOf('-')));
        }
    }
}
