"""confluent-kafka for the tests: a client that this project did not write. Driven by python-client.ts, one JSON object a line.

kafka_client.py consume  {"bootstrapServers", "topic", "partitions"?, "isolation"}              every record up to the present end
kafka_client.py verify   {"bootstrapServers", "topic", "count", "valueSize"?, "isolation"}      checks numbered values, prints a summary
kafka_client.py produce  {"bootstrapServers", "topic"} + records on standard input              prints partition and offset of each
"""

import base64
import json
import sys
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

TIMESTAMP_TYPES = {TIMESTAMP_CREATE_TIME: "CreateTime", TIMESTAMP_LOG_APPEND_TIME: "LogAppendTime"}
STALLED_S = 30.0


def encoded(data):
    return None if data is None else base64.b64encode(data).decode("ascii")


def decoded(text):
    return None if text is None else base64.b64decode(text)


def consumer_of(task):
    """Assigned partitions and no group: nothing to join, nothing to wait for. Every batch's CRC is checked."""
    return Consumer(
        {
            "bootstrap.servers": task["bootstrapServers"],
            "group.id": "never-joined",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": task["isolation"],
            "check.crcs": True,
            "queued.min.messages": 1000000,
            "fetch.message.max.bytes": 8388608,
            "broker.address.family": "any",
        }
    )


def batches(consumer, task):
    """Lists of messages from the beginning of each partition to its present end."""
    partitions = task.get("partitions")
    if partitions is None:
        metadata = consumer.list_topics(task["topic"], timeout=STALLED_S).topics[task["topic"]]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        partitions = sorted(metadata.partitions)
    consumer.assign([TopicPartition(task["topic"], partition, OFFSET_BEGINNING) for partition in partitions])
    unread = set(partitions)
    last_news = time.monotonic()
    while unread:
        # Returns when it has that many or when the time is over, whichever comes first.
        messages = consumer.consume(num_messages=10000, timeout=0.1)
        if messages:
            last_news = time.monotonic()
        elif time.monotonic() - last_news > STALLED_S:
            raise TimeoutError(f"nothing came for {STALLED_S} s, partitions {sorted(unread)} of {task['topic']} are not at their end")
        errors = [message for message in messages if message.error() is not None]
        for message in errors:
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            unread.discard(message.partition())
        yield messages if not errors else [message for message in messages if message.error() is None]


def consume(task):
    consumer = consumer_of(task)
    for messages in batches(consumer, task):
        for message in messages:
            kind, timestamp = message.timestamp()
            record = {
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "timestampType": TIMESTAMP_TYPES.get(kind),
                "timestamp": timestamp,
                "key": encoded(message.key()),
                "value": encoded(message.value()),
                "headers": [[name, encoded(value)] for name, value in message.headers() or []],
            }
            print(json.dumps(record))
    consumer.close()


def verify(task):
    """Values are "<number> xxx": each number below count exactly once, growing within each partition, offsets without a gap."""
    consumer = consumer_of(task)
    count = task["count"]
    size = task.get("valueSize")
    padding = b"x" * (size or 0)
    seen = bytearray(count)
    last = {}
    ends = {}
    counts = {}
    duplicates = strangers = out_of_order = damaged = gaps = 0
    examples = []

    def example(what, message):
        if len(examples) < 10:
            value = message.value()
            examples.append(f"{what}: partition {message.partition()} offset {message.offset()} value {value[:40] if value else value}")

    for messages in batches(consumer, task):
        for message in messages:
            value = message.value()
            partition = message.partition()
            offset = message.offset()
            if offset != ends.get(partition, offset):
                gaps += 1
                example("gap before", message)
            ends[partition] = offset + 1
            counts[partition] = counts.get(partition, 0) + 1
            head, _, _ = (value or b"").partition(b" ")
            if not head.isdigit() or int(head) >= count:
                strangers += 1
                example("stranger", message)
                continue
            number = int(head)
            if size is not None and value != (head + b" " + padding)[:size]:
                damaged += 1
                example("damaged", message)
            if seen[number]:
                duplicates += 1
                example("duplicate", message)
            elif number < last.get(partition, -1):
                out_of_order += 1
                example("out of order", message)
            seen[number] = 1
            last[partition] = max(number, last.get(partition, -1))
    consumer.close()
    summary = {
        "records": sum(counts.values()),
        "missing": seen.count(0),
        "duplicates": duplicates,
        "outOfOrder": out_of_order,
        "strangers": strangers,
        "damaged": damaged,
        "gaps": gaps,
        "partitions": {str(partition): counts[partition] for partition in sorted(counts)},
        "examples": examples,
    }
    print(json.dumps(summary))


def produce(task):
    producer = Producer({"bootstrap.servers": task["bootstrapServers"], "enable.idempotence": True, "linger.ms": 5})
    answers = []

    def delivered(error, message):
        if error is not None:
            raise KafkaException(error)
        answers.append({"partition": message.partition(), "offset": message.offset()})

    for line in sys.stdin:
        record = json.loads(line)
        where = {"partition": record["partition"]} if record.get("partition") is not None else {}
        headers = [(name, decoded(value)) for name, value in record.get("headers") or []]
        producer.produce(
            task["topic"],
            value=decoded(record["value"]),
            key=decoded(record.get("key")),
            headers=headers,
            on_delivery=delivered,
            **where,
        )
    left = producer.flush(STALLED_S)
    if left > 0:
        raise TimeoutError(f"{left} records were not acknowledged within {STALLED_S} s")
    for answer in answers:
        print(json.dumps(answer))


if __name__ == "__main__":
    {"consume": consume, "verify": verify, "produce": produce}[sys.argv[1]](json.loads(sys.argv[2]))
