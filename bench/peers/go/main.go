// The benchmark's program for the Go client, v2. Its orders and its last line are described in work.ts.
//
// Tuned means: batches of 32 for a handler and wide limits of what is buffered; the garbage collector runs less often
// by GOGC, which peers.ts sets. Sends are calls of goroutines either way: there is nothing to tune.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type outcome struct {
	Count     int64   `json:"count"`
	Distinct  int64   `json:"distinct"`
	Seconds   float64 `json:"seconds"`
	Cpu       float64 `json:"cpu"`
	First     float64 `json:"first,omitempty"`
	StartedAt int64   `json:"startedAt,omitempty"`
	P50       float64 `json:"p50,omitempty"`
	P99       float64 `json:"p99,omitempty"`
}

type handler func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

var work = map[string]string{}

func text(name string) string { return work[name] }

func number(name string) int {
	value, err := strconv.Atoi(work[name])
	check(err)
	return value
}

func main() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for _, word := range os.Args[1:] {
		name, value, _ := strings.Cut(word, "=")
		work[name] = value
	}
	rlog.SetLogLevel("fatal")
	switch text("kind") {
	case "consume":
		consume()
	case "send":
		send()
	case "endToEnd":
		endToEnd()
	default:
		check(newConsumer(func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			return consumer.ConsumeSuccess, nil
		}).Start())
		write(outcome{})
	}
	select {}
}

func consume() {
	reception := newReception()
	check(newConsumer(func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			reception.add(string(message.Body))
		}
		return consumer.ConsumeSuccess, nil
	}).Start())
	<-reception.done
	write(reception.outcome())
}

func newConsumer(handle handler) rocketmq.PushConsumer {
	options := []consumer.Option{
		consumer.WithNameServer([]string{text("nameServer")}),
		consumer.WithGroupName(text("group")),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}
	if text("tuned") == "true" {
		options = append(
			options,
			consumer.WithConsumeMessageBatchMaxSize(32),
			consumer.WithPullThresholdForQueue(20_000),
			consumer.WithConsumeConcurrentlyMaxSpan(65_535),
		)
	}
	result, err := rocketmq.NewPushConsumer(options...)
	check(err)
	check(result.Subscribe(text("topic"), consumer.MessageSelector{}, handle))
	return result
}

func newProducer() rocketmq.Producer {
	result, err := rocketmq.NewProducer(
		producer.WithNameServer([]string{text("nameServer")}),
		producer.WithGroupName("bench-go"),
		producer.WithSendMsgTimeout(30*time.Second), // a busy machine is no failure
	)
	check(err)
	check(result.Start())
	return result
}

func send() {
	producer := newProducer()
	warmUp, count, batch := number("warmUp"), number("count"), number("batch")
	// The client looks a topic up for each of its first callers at once, and fails some of them.
	sendSome(producer, 0, batch, 1, make([]float64, warmUp))
	sendSome(producer, batch, warmUp, number("inFlight"), make([]float64, warmUp))
	times := make([]float64, (count+batch-1)/batch)
	span := newSpan()
	startedAt := time.Now().UnixMilli()
	sendSome(producer, 0, count, number("inFlight"), times)
	span.end()
	p50, p99 := percentiles(times)
	write(outcome{int64(count), int64(count), span.seconds, span.cpu, 0, startedAt, p50, p99})
}

func sendSome(producer rocketmq.Producer, from int, to int, callers int, times []float64) {
	batch, bytes, topic := number("batch"), number("bytes"), text("topic")
	oneway := text("oneway") == "true"
	var next atomic.Int64
	next.Store(int64(from))
	var workers sync.WaitGroup
	for range callers {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for {
				first := int(next.Add(int64(batch))) - batch
				if first >= to {
					return
				}
				messages := make([]*primitive.Message, min(batch, to-first))
				for i := range messages {
					messages[i] = primitive.NewMessage(topic, bodyOf(first+i, bytes))
				}
				begun := time.Now()
				var err error
				if oneway {
					err = producer.SendOneWay(context.Background(), messages...)
				} else {
					_, err = producer.SendSync(context.Background(), messages...)
				}
				check(err)
				times[first/batch] = milliseconds(time.Since(begun))
			}
		}()
	}
	workers.Wait()
}

func endToEnd() {
	reception := newReception()
	count, bytes, topic := number("count"), number("bytes"), text("topic")
	sentAt := make([]time.Time, count)
	took := make([]float64, count)
	warmUp := number("warmUp")
	warm := make(chan struct{}, warmUp)
	producer := newProducer()
	check(newConsumer(func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			number := reception.add(string(message.Body))
			took[number] = milliseconds(time.Since(sentAt[number]))
			if number < warmUp {
				warm <- struct{}{}
			}
		}
		return consumer.ConsumeSuccess, nil
	}).Start())
	sendAtRate := func(from int, to int) {
		begun := time.Now()
		pause := time.Second / time.Duration(number("rate"))
		for i := from; i < to; i++ {
			time.Sleep(time.Until(begun.Add(time.Duration(i-from) * pause)))
			message := primitive.NewMessage(topic, bodyOf(i, bytes))
			sentAt[i] = time.Now()
			check(producer.SendAsync(context.Background(), func(_ context.Context, _ *primitive.SendResult, err error) {
				check(err)
			}, message))
		}
	}
	sendAtRate(0, warmUp)
	for range warmUp {
		<-warm
	}
	sendAtRate(warmUp, count)
	<-reception.done
	time.Sleep(100 * time.Millisecond) // the last message's time is written after it was entered
	result := reception.outcome()
	result.P50, result.P99 = percentiles(took[warmUp:])
	write(result)
}

// The ledger and its clock: the first message starts it, the last one stops it.
type reception struct {
	created  time.Time
	seen     []atomic.Bool
	entered  atomic.Int64
	distinct atomic.Int64
	bytes    int
	first    float64
	span     *span
	done     chan struct{}
}

func newReception() *reception {
	seen := make([]atomic.Bool, number("count"))
	return &reception{
		created: time.Now(), seen: seen, bytes: number("bytes"), span: newSpan(), done: make(chan struct{}),
	}
}

func (r *reception) add(text string) int {
	if r.entered.Add(1) == 1 {
		r.first = milliseconds(time.Since(r.created))
		r.span.begin()
	}
	if len(text) != r.bytes {
		check(fmt.Errorf("%d bytes", len(text)))
	}
	number := 0
	for at := range 10 {
		number = number*10 + int(text[at]-'0')
	}
	if !r.seen[number].Swap(true) && r.distinct.Add(1) == int64(len(r.seen)) {
		r.span.end()
		close(r.done)
	}
	return number
}

func (r *reception) outcome() outcome {
	return outcome{
		Count: r.entered.Load(), Distinct: r.distinct.Load(),
		Seconds: r.span.seconds, Cpu: r.span.cpu, First: r.first,
	}
}

type span struct {
	begun   time.Time
	spent   float64
	seconds float64
	cpu     float64
}

func newSpan() *span {
	result := &span{}
	result.begin()
	return result
}

func (s *span) begin() {
	s.begun = time.Now()
	s.spent = cpuSeconds()
}

func (s *span) end() {
	s.seconds = time.Since(s.begun).Seconds()
	s.cpu = cpuSeconds() - s.spent
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func bodyOf(number int, bytes int) []byte {
	body := make([]byte, bytes)
	for i := range body {
		body[i] = 'x'
	}
	for at, rest := 9, number; at >= 0; at, rest = at-1, rest/10 {
		body[at] = byte('0' + rest%10)
	}
	return body
}

func percentiles(times []float64) (float64, float64) {
	sort.Float64s(times)
	return times[len(times)/2], times[len(times)*99/100]
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration) / 1e6
}

func write(result outcome) {
	line, err := json.Marshal(result)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
