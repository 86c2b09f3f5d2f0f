#!/usr/bin/env bash
# measure.sh rebuilds        what is built again after a change, as a table (evaluation only, nothing is built)
# measure.sh images          layers and sizes of the images, as a table
# measure.sh reproducible    builds every package and image a second time and compares the bits
# measure.sh profiles        size and build time of the api under several release profiles; [TARGET] for another target
# measure.sh static          size of the api as a static musl program, built by nixpkgs' pkgsStatic
# measure.sh throughput API… processor time that each of several builds of the api needs for a request
# measure.sh project DIR ARG builds any Cargo project; ARG is what has to be set, such as 'buildInputs = [ pkgs.zlib ];'
# Run it in a checkout; it needs Nix with flakes, git and jq; `profiles` needs cargo instead, `throughput` wrk.
set -euo pipefail

system() { nix eval --raw --impure --expr builtins.currentSystem; }
outputs='outputs: builtins.mapAttrs (name: output: output.layer.drvPath or output.drvPath)
  (removeAttrs outputs [ "default" "images" ]) // { "all dependencies" = outputs.slipway.cargoArtifacts.drvPath; }'

derivations() {
  nix eval --json ".#packages.$(system)" --apply "$outputs"
}

# row WHAT COMMAND…: makes the change in a clone and says which outputs differ from $work/before.json.
row() {
  local what=$1
  shift
  git -C "$work/clone" reset --quiet --hard
  git -C "$work/clone" clean --quiet --force -d
  (cd "$work/clone" && "$@" && git add --all && derivations >"$work/after.json")
  jq --raw-output --arg what "$what" --slurpfile before "$work/before.json" \
    '. as $after | [keys[] | select($after[.] != $before[0][.])] | if . == [] then "nothing" else join(", ") end
     | "| \($what) | \(.) |"' "$work/after.json"
}

append() { printf '%s\n' "$1" >>"$2"; }
program() { mkdir -p "$(dirname "$1")" && append 'fn main() {}' "$1"; }
# As `cargo release` does it: in the manifest and in the lock.
next_version() {
  sed -i '0,/^version = ".*"/s//version = "9.9.9"/' Cargo.toml
  sed -i '/^name = "slipway/{n;s/^version = ".*"/version = "9.9.9"/}' Cargo.lock
}

rebuilds() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  git clone --quiet . "$work/clone"
  (cd "$work/clone" && derivations >"$work/before.json")
  echo '| after a change of | is built again |'
  echo '|---|---|'
  row 'README.md' append 'More words.' README.md
  row 'docs/architecture.md' append 'More words.' docs/architecture.md
  row 'a test of the api' append '// More.' crates/bin/api/tests/it/main.rs
  row "the command line's source" append '// More.' crates/bin/cli/src/main.rs
  row "the api's source" append '// More.' crates/bin/api/src/main.rs
  row "the store's source" append '// More.' crates/lib/store/src/lib.rs
  row "the domain's source" append '// More.' crates/lib/domain/src/lib.rs
  row "a comment in the api's Cargo.toml" append '# More.' crates/bin/api/Cargo.toml
  row "a description in the api's Cargo.toml" sed -i 's/^description = ".*"/description = "Another one."/' crates/bin/api/Cargo.toml
  row 'a new program of the api' program crates/bin/api/src/bin/more.rs
  row 'the version of the workspace' next_version
  row 'a query (.sqlx)' append '' "$(git ls-files .sqlx | head -n 1)"
  row 'a comment in nix/contract.nix' append '# More.' nix/contract.nix
  row 'a port in nix/contract.nix' sed -i 's/api = 8000;/api = 8001;/' nix/contract.nix
  row 'a dependency (Cargo.lock)' sed -i '0,/^checksum = "./s//checksum = "0/' Cargo.lock
}

images() {
  echo '| image | layer | MiB | holds |'
  echo '|---|---|---|---|'
  local image json
  for image in $(nix eval --json ".#images.entries" --apply builtins.attrNames | jq --raw-output '.[]'); do
    json=$(nix build --no-link --print-out-paths ".#$image")
    jq --raw-output --arg image "$image" \
      'def mib: . / 1048576 * 100 | round / 100;
       (.layers[] | "| \($image) | \(.History.created_by) | \(.size | mib) | \([.paths[].path | .[44:]] | join(", ")) |"),
       "| \($image) | all | \([.layers[].size] | add | mib) | |"' "$json"
  done
}

reproducible() {
  local output
  for output in $(nix eval --json ".#packages.$(system)" --apply builtins.attrNames | jq --raw-output '.[]'); do
    nix build --no-link ".#$output"
    nix build --no-link --rebuild ".#$output"
    echo "$output: the same bits"
  done
}

mebibytes() { stat --format=%s "$1" | awk '{ printf "%.2f", $1 / 1048576 }'; }

# Each compiles all dependencies from nothing. Processor minutes say more than minutes on a machine that does other things.
profiles() {
  local target=${1:-$(rustc --print host-tuple)} lto units folder status seconds user system
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  echo '| target | lto | codegen-units | MiB | minutes | processor minutes |'
  echo '|---|---|---|---|---|---|'
  while read -r lto units; do
    rm -rf "${folder:?}/target"
    TIMEFORMAT='%R %U %S' status=0
    { time CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_LTO=$lto CARGO_PROFILE_RELEASE_CODEGEN_UNITS=$units \
      cargo build --quiet --release --locked --workspace --bin slipway-api --target "$target" --target-dir "$folder/target" \
      </dev/null 2>"$folder/errors" || status=$?; } 2>"$folder/times"
    [ "$status" = 0 ] || { cat "$folder/errors" >&2; exit "$status"; }
    read -r seconds user system <"$folder/times"
    awk -v head="| $target | $lto | $units | $(mebibytes "$folder/target/$target/release/slipway-api") |" \
      -v seconds="$seconds" -v busy="$user $system" \
      'BEGIN { split(busy, part, " "); printf "%s %.1f | %.1f |\n", head, seconds / 60, (part[1] + part[2]) / 60 }'
  done <<'END'
false 16
false 1
thin 1
fat 1
END
}

static() {
  local path
  path=$(nix build --no-link --print-out-paths --impure --expr "
    let flake = builtins.getFlake \"git+file://$PWD\"; in
    (flake.inputs.nixpkgs.legacyPackages.$(system).pkgsStatic.extend flake.overlays.default).slipway-api")
  echo "static musl: $(mebibytes "$path/bin/slipway-api") MiB"
}

# The api answers that it lives without a database. Five rounds in turn, so that what else the machine does meets all alike.
throughput() {
  local port=18080 url api pid before requests
  url=http://127.0.0.1:$port/api/v1/monitoring/live
  ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
  for _ in 1 2 3 4 5; do
    for api in "$@"; do
      env -i DATABASE_URL=postgres://nobody@127.0.0.1:1/none SECRET_KEY="$(printf '7f%.0s' {1..32})" \
        ADMIN_PASSWORD=of-this-measurement LOG_LEVEL=error API_PORT=$port "$api" serve &
      pid=$!
      curl --silent --fail --output /dev/null --retry 50 --retry-delay 1 --retry-connrefused "$url"
      wrk -t1 -c32 -d1s "$url" >/dev/null
      before=$(ticks "$pid")
      requests=$(wrk -t1 -c32 -d5s "$url" | awk '/requests in/ { print $1 }')
      echo "$api $(($(ticks "$pid") - before)) $requests $(awk '/VmHWM/ { print $2 }' "/proc/$pid/status")"
      kill "$pid"
      wait "$pid"
    done
  done | awk -v hertz="$(getconf CLK_TCK)" '
    !($1 in rounds) { order[++count] = $1 }
    { rounds[$1]++; cost[$1, rounds[$1]] = $2 / hertz / $3 * 1e6; if ($4 > memory[$1]) memory[$1] = $4 }
    END {
      print "| api | µs of processor time a request, median | of the first | MiB of memory at most |\n|---|---|---|---|"
      for (i = 1; i <= count; i++) {
        n = rounds[order[i]]
        for (a = 1; a <= n; a++) for (b = a + 1; b <= n; b++)
          if (cost[order[i], b] < cost[order[i], a]) { t = cost[order[i], a]; cost[order[i], a] = cost[order[i], b]; cost[order[i], b] = t }
        median = cost[order[i], int((n + 1) / 2)]
        if (i == 1) first = median
        printf "| %s | %.1f | %.2f | %.1f |\n", order[i], median, median / first, memory[order[i]] / 1024
      }
    }'
}

# project DIR [ARGUMENTS]: a row of what building the checkout of any Cargo project takes, from nothing. Processor seconds say
# more than seconds on a machine that does other things; they are known where Nix builds without its daemon.
project() {
  local folder arguments=${2:-} nixpkgs facts
  folder=$(realpath "$1")
  nixpkgs=$(nix flake archive --json --dry-run . | jq --raw-output .inputs.nixpkgs.path)
  facts=$(nix eval --json --impure .#lib.mkWorkspace --apply "make: let
    pkgs = (builtins.getFlake \"path:$nixpkgs\").legacyPackages.\${builtins.currentSystem};
    made = make ({ inherit pkgs; src = /. + \"$folder\"; } // { $arguments });
    outputs = if made.packages == { } then [ made.checks.rust-clippy ] else builtins.attrValues made.packages;
    paths = list: pkgs.lib.unique (pkgs.lib.concatMap (it: pkgs.lib.optional (it ? drvPath) it.drvPath) list);
  in {
    vendored = paths (map (it: it.cargoVendorDir) outputs);
    dependencies = paths (map (it: it.cargoArtifacts) outputs);
    programs = paths outputs;
  }")
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  realise() {
    jq --raw-output ".$1[]" <<<"$facts" | xargs --no-run-if-empty nix-store --realise >"$work/paths" 2>"$work/log" \
      || { cat "$work/log" >&2; exit 1; }
  }
  timed() {
    local TIMEFORMAT='%0R %0U %0S'
    { time { (realise "$1") 2>"$work/errors"; }; } 2>"$work/times" || { cat "$work/errors" >&2; exit 1; }
    if grep --quiet '^building ' "$work/log"; then
      awk '{ printf " %d (%d) |", $1, $2 + $3 }' "$work/times"
    else
      printf ' already built |'
    fi
  }
  realise vendored
  printf '| %s %s | %s |' "$(basename "$folder")" "$(git -C "$folder" log -1 --format=%h)" "${arguments:-nothing}"
  timed dependencies
  timed programs
  xargs nix-store --query --size <"$work/paths" | awk '{ bytes += $1 } END { printf " %.1f |\n", bytes / 1048576 }'
}

case "${1:-}" in
  rebuilds | images | reproducible | profiles | static | throughput | project) "$@" ;;
  *)
    sed -n '2,9s/^# //p' "$0" >&2
    exit 2
    ;;
esac
