#!/usr/bin/env bash
# kafka-run-class.sh CLASS ARGUMENTS...
: "${KAFKA_HEAP_OPTS=-Xmx256M}" "${KAFKA_JVM_PERFORMANCE_OPTS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC}"
: "${KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/etc/kafka/docker/tools-log4j2.yaml}"
# shellcheck disable=SC2086 # options, to be split
exec java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS -Djava.awt.headless=true $KAFKA_LOG4J_OPTS ${KAFKA_OPTS-} -cp '/opt/kafka/libs/*' "$@"
