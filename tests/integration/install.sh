#!/usr/bin/env bash
# Installs the servers and the browser that tests/integration talks to, from Debian's packages.
# Without root it installs nothing: the tests that need a missing program then say so and are skipped
# (or, where CI=true, fail).
set -euo pipefail

fetch_kafka() {
    # Apache Kafka from Maven's artifacts, beside the checkout's other local data; it needs Java.
    kafka_version=3.9.1
    kafka_home=$(cd "$(dirname "$0")/../.." && pwd)/data/kafka
    if [ ! -d "$kafka_home/lib" ] && command -v mvn >/dev/null && command -v java >/dev/null; then
        echo "fetching Apache Kafka $kafka_version"
        mkdir -p "$kafka_home"
        cat >"$kafka_home/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tocsin</groupId><artifactId>tests</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
POM
        if ! mvn -q -B -f "$kafka_home/pom.xml" dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$kafka_home/lib.partial"; then
            echo "not installed: Apache Kafka (Maven could not fetch it)" >&2
            [ "${CI:-}" != true ] || exit 1
        else
            mv "$kafka_home/lib.partial" "$kafka_home/lib"
        fi
    fi
}
trap fetch_kafka EXIT # after the packages, of which it needs two

declare -A package_of=(
    [prometheus]=prometheus
    [prometheus-alertmanager]=prometheus-alertmanager
    [prometheus-node-exporter]=prometheus-node-exporter
    [chromium]=chromium
    [mvn]=maven
    [java]=default-jre-headless
)
missing=()
for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done
# Screenshots of the Chinese console need its glyphs.
[ -d /usr/share/fonts/opentype/noto ] || missing+=(fonts-noto-cjk)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "not installed (no root here): ${missing[*]}" >&2
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "not installed (no apt-get here): ${missing[*]}" >&2
    exit 0
fi
echo "installing: ${missing[*]}"
log=$(mktemp)
# RUNLEVEL=1 keeps the packages from starting their services.
if ! { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    [ "${CI:-}" != true ] || exit 1
fi
rm -f "$log"
