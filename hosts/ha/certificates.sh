#!/usr/bin/env bash
# certificates.sh KEYS [DAYS]: makes the cluster's authority and a certificate for each member. Run it at the root of the
# repository. Certificates go to hosts/ha/certificates, keys to the folder KEYS, which must be outside the repository: the
# authority's key for people, and a member's for that member. With authority.key in KEYS it signs by that authority.
# Needs openssl and nix.
set -euo pipefail
[ -e hosts/ha/cluster.nix ] || { echo "run it at the root of the repository" >&2; exit 1; }
[ -n "${1-}" ] || { echo "usage: certificates.sh KEYS [DAYS]" >&2; exit 1; }
mkdir -p "$1"
keys=$(cd "$1" && pwd)
case $keys/ in "$PWD"/*) echo "$keys is in the repository, where keys must not be" >&2; exit 1 ;; esac
days=${2:-365}
out=hosts/ha/certificates
mkdir -p "$out"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
umask 077

new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2> "$log" || { cat "$log" >&2; exit 1; }; }
of() { nix-instantiate --eval --strict --json --expr "let cluster = import ./hosts/ha/cluster.nix; in $1" | tr -d '"'; }

name=$(of cluster.name)
if [ ! -e "$keys/authority.key" ]; then
  echo "making a new authority: no member trusts another one until all have it" >&2
  new -keyout "$keys/authority.key" -out "$out/authority.pem" -days 3650 -subj "/CN=Slipway cluster $name" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign
fi
for member in $(of 'builtins.concatStringsSep " " (builtins.attrNames cluster.members)'); do
  address=$(of "cluster.members.$member.address")
  new -keyout "$keys/$member.key" -out "$out/$member.pem" -days "$days" -subj "/CN=$member" \
    -CA "$out/authority.pem" -CAkey "$keys/authority.key" \
    -addext "subjectAltName=DNS:$name.cluster.internal,IP:$address" -addext basicConstraints=critical,CA:FALSE \
    -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth,clientAuth
done
chmod 644 "$out"/*.pem
