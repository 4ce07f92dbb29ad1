#!/bin/bash
# Start Triton over a mounted bundle. Further arguments go to tritonserver.
set -euo pipefail
repository="${MODEL_REPOSITORY:-/models}"
# A bundle has folders that are no models, and need not have a Chinese tower: load what has a configuration.
models=()
for config in "$repository"/*/config.pbtxt; do
    [ -f "$config" ] || { echo "no */config.pbtxt in $repository; mount a bundle there" >&2; exit 2; }
    models+=("--load-model=$(basename "$(dirname "$config")")")
done
# Whoever may load a model may run code: without the key, nobody may.
key="${TRITON_ADMIN_KEY:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}"
# Gateways connect anew now and then, and so find servers that were added behind the same name.
exec tritonserver \
    --model-repository="$repository" --model-control-mode=explicit "${models[@]}" \
    --http-restricted-api="model-repository,shared-memory,logging,trace:admin-key=$key" \
    --grpc-restricted-protocol="model-repository,shared-memory,logging,trace:admin-key=$key" \
    --cache-config=local,size="${TRITON_CACHE_BYTES:-67108864}" \
    --grpc-max-connection-age=60000 --grpc-max-connection-age-grace=60000 --exit-timeout-secs=30 "$@"
