// Answers questions about Kafka's wire formats with the classes inside Kafka's own clients jar. One question a line on standard input,
// one answer a line on standard output, both JSON, in order. oracle.ts starts it and has the types of questions and answers.
//
//   ask = encode    type, version, message, fields   -> hex            any message or header of the jar, by the name of its schema;
//                                                                      the message may have the fields of another version
//   ask = decode    type, version, hex               -> message        no byte may be left
//   ask = batch     records, producerId, ..., codec  -> hex            one batch, as MemoryRecordsBuilder makes it
//   ask = marker    producerId, producerEpoch, type  -> hex            the control batch that ends a transaction
//   ask = batches   hex                              -> batches        everything that can be read of them
//   ask = murmur2   keys                             -> hashes
//   ask = errors                                     -> errors
//
// A question that Kafka refuses is answered with {"refused": class, "because": text}.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.Utils;

public final class CodecOracle {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();
    private static final int LARGEST_BATCH = 4 << 20;

    public static void main(String[] args) throws Exception {
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        String line;
        while ((line = questions.readLine()) != null) {
            answers.print(JSON.writeValueAsString(answerOrRefusal(line)));
            answers.print('\n');
            // What is left in the pipe is answered first: thousands of short answers go out in few writes.
            if (!questions.ready()) answers.flush();
        }
        answers.flush();
    }

    private static ObjectNode answerOrRefusal(String line) {
        try {
            return answer(JSON.readTree(line));
        } catch (InvocationTargetException wrapped) {
            return refusal(wrapped.getCause());
        } catch (Exception refused) {
            return refusal(refused);
        }
    }

    private static ObjectNode refusal(Throwable refused) {
        return JSON.createObjectNode().put("refused", refused.getClass().getSimpleName()).put("because", refused.getMessage());
    }

    private static ObjectNode answer(JsonNode question) throws Exception {
        ObjectNode answer = JSON.createObjectNode();
        String ask = question.get("ask").asText();
        switch (ask) {
            case "encode": return answer.put("hex", encode(question));
            case "decode": return answer.set("message", decode(question));
            case "batch": return answer.put("hex", batch(question));
            case "marker": return answer.put("hex", marker(question));
            case "batches": return answer.set("batches", batches(fromHex(question.get("hex"))));
            case "murmur2": return answer.set("hashes", hashes(question.get("keys")));
            case "errors": return answer.set("errors", errors());
            default: throw new IllegalArgumentException("nobody answers " + ask);
        }
    }

    // The generated classes: SomethingData carries the fields, SomethingDataJsonConverter goes between them and JSON.
    private static String encode(JsonNode question) throws Exception {
        short version = (short) question.get("version").intValue();
        Message message = (Message) converter(question)
            .getMethod("read", JsonNode.class, short.class)
            .invoke(null, question.get("message"), (short) question.get("fields").intValue());
        ObjectSerializationCache sizes = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(sizes, version));
        message.write(new ByteBufferAccessor(buffer), sizes, version);
        buffer.flip();
        return toHex(buffer);
    }

    private static JsonNode decode(JsonNode question) throws Exception {
        short version = (short) question.get("version").intValue();
        Class<?> data = Class.forName(dataClassName(question));
        ByteBuffer buffer = fromHex(question.get("hex"));
        Message message = (Message) data.getDeclaredConstructor().newInstance();
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) throw new IllegalStateException(buffer.remaining() + " bytes were not read");
        return (JsonNode) converter(question).getMethod("write", data, short.class).invoke(null, message, version);
    }

    private static String dataClassName(JsonNode question) {
        return "org.apache.kafka.common.message." + question.get("type").asText() + "Data";
    }

    private static Class<?> converter(JsonNode question) throws ClassNotFoundException {
        return Class.forName(dataClassName(question) + "JsonConverter");
    }

    private static String batch(JsonNode question) {
        JsonNode appendTime = question.get("logAppendTimeMs");
        boolean broker = appendTime != null && !appendTime.isNull();
        ByteBuffer buffer = ByteBuffer.allocate(LARGEST_BATCH);
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            buffer,
            RecordBatch.MAGIC_VALUE_V2,
            Compression.of(CompressionType.forName(question.get("codec").asText())).build(),
            broker ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
            question.get("baseOffset").longValue(),
            broker ? appendTime.longValue() : RecordBatch.NO_TIMESTAMP,
            question.get("producerId").longValue(),
            (short) question.get("producerEpoch").intValue(),
            question.get("baseSequence").intValue(),
            question.get("isTransactional").booleanValue(),
            question.get("partitionLeaderEpoch").intValue());
        for (JsonNode record : question.get("records")) {
            builder.append(record.get("timestamp").longValue(), bytesOf(record.get("key")), bytesOf(record.get("value")), headersOf(record));
        }
        return toHex(builder.build().buffer());
    }

    private static Header[] headersOf(JsonNode record) {
        JsonNode headers = record.get("headers");
        Header[] made = new Header[headers.size()];
        for (int i = 0; i < made.length; i++) {
            made[i] = new RecordHeader(headers.get(i).get("key").asText(), bytesOf(headers.get(i).get("value")));
        }
        return made;
    }

    private static String marker(JsonNode question) {
        ControlRecordType type = ControlRecordType.valueOf(question.get("type").asText());
        return toHex(MemoryRecords.withEndTransactionMarker(
            question.get("producerId").longValue(),
            (short) question.get("producerEpoch").intValue(),
            new EndTransactionMarker(type, 0)).buffer());
    }

    private static ArrayNode batches(ByteBuffer bytes) {
        ArrayNode all = JSON.createArrayNode();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(bytes).batches()) {
            ObjectNode node = all.addObject();
            node.put("isValid", batch.isValid());
            node.put("crc", batch.checksum());
            node.put("codec", batch.compressionType().name);
            node.put("timestampType", batch.timestampType() == TimestampType.LOG_APPEND_TIME ? "append" : "create");
            node.put("baseOffset", batch.baseOffset());
            node.put("lastOffset", batch.lastOffset());
            node.put("maxTimestamp", batch.maxTimestamp());
            node.put("partitionLeaderEpoch", batch.partitionLeaderEpoch());
            node.put("producerId", batch.producerId());
            node.put("producerEpoch", batch.producerEpoch());
            node.put("baseSequence", batch.baseSequence());
            node.put("isTransactional", batch.isTransactional());
            node.put("isControl", batch.isControlBatch());
            node.put("sizeInBytes", batch.sizeInBytes());
            ArrayNode records = node.putArray("records");
            for (Record record : batch) records.add(read(record));
        }
        return all;
    }

    private static ObjectNode read(Record record) {
        ObjectNode node = JSON.createObjectNode();
        node.put("offset", record.offset());
        node.put("timestamp", record.timestamp());
        node.put("key", toHex(record.key()));
        node.put("value", toHex(record.value()));
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) {
            headers.addObject().put("key", header.key()).put("value", header.value() == null ? null : HEX.formatHex(header.value()));
        }
        return node;
    }

    private static ArrayNode hashes(JsonNode keys) {
        ArrayNode hashes = JSON.createArrayNode();
        for (JsonNode key : keys) hashes.add(Utils.murmur2(bytesOf(key)));
        return hashes;
    }

    private static ArrayNode errors() {
        ArrayNode all = JSON.createArrayNode();
        for (Errors error : Errors.values()) {
            all.addObject()
                .put("code", error.code())
                .put("name", error.name())
                .put("retriable", error.exception() instanceof RetriableException)
                .put("refreshMetadata", error.exception() instanceof InvalidMetadataException);
        }
        return all;
    }

    private static byte[] bytesOf(JsonNode hex) {
        return hex.isNull() ? null : HEX.parseHex(hex.asText());
    }

    private static ByteBuffer fromHex(JsonNode hex) {
        return ByteBuffer.wrap(bytesOf(hex));
    }

    private static String toHex(ByteBuffer bytes) {
        if (bytes == null) return null;
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return HEX.formatHex(copy);
    }
}
