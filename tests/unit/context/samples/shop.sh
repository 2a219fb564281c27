#!/usr/bin/env bash
source lib/prices.sh
. "./items.sh"

LIMIT=10
export SHOP=inkling

# What all of it costs.
total() {
    local sum=0
    for item in "$@"; do
        sum=$((sum + $(price_of "$item")))
    done
    echo "$sum"
}

function usage {
    cat <<EOF
usage: $0 item...
EOF
}

total "$@"
