#!/usr/bin/env bash
# certificates.sh [DAYS]: creates the fleet's certificate authority and a certificate for each host. Run it in the
# repository's root. Certificates go to hosts/prod/certificates, keys encrypted to secrets/prod. The authority's key is
# encrypted as well, for the operators only; without it (the first time) a new authority is made. Needs openssl and
# agenix.
set -euo pipefail
[ -e hosts/prod/fleet.nix ] || { echo "run it at the root of the repository" >&2; exit 1; }
days=${1:-365}
out=hosts/prod/certificates
domain=$(nix eval --raw --file hosts/prod/fleet.nix domain)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

# The folder of secrets.nix, where agenix finds the readers of a file.
encrypt() { (cd secrets && agenix -e "prod/$1.age" < "$work/$2"); }

new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }; }

if [ -e secrets/prod/authority-key.age ] && (cd secrets && agenix -d prod/authority-key.age) > "$work/authority.key"; then
  echo "signing with the authority of $out/authority.pem"
else
  echo "making a new authority: every host needs the new configuration before they trust each other again" >&2
  new -keyout "$work/authority.key" -out "$out/authority.pem" -days 3650 -subj "/CN=Slipway fleet" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign
  rm -f secrets/prod/authority-key.age
  encrypt authority-key authority.key
fi

for host in edge app-1 app-2 db monitor; do
  names=DNS:$host.internal
  # App hosts answer in the edge host's name.
  case $host in app-*) names=$names,DNS:$domain ;; esac
  new -keyout "$work/$host.key" -out "$out/$host.pem" -days "$days" -subj "/CN=$host.internal" \
    -CA "$out/authority.pem" -CAkey "$work/authority.key" \
    -addext "subjectAltName=$names" -addext basicConstraints=critical,CA:FALSE \
    -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth,clientAuth
  rm -f "secrets/prod/$host-key.age"
  encrypt "$host-key" "$host.key"
done
chmod 644 "$out"/*.pem
