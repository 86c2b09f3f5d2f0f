# shellcheck shell=bash disable=SC2154 # Nix gives $out
# A hook of the build: when it fails, says which argument of mkWorkspace cures what the compiler said. A test gives it what
# compilers print.

# slipwayCuresOf FILE: the cures of what stands in FILE, a line each.
slipwayCuresOf() {
  local log=$1 line path name base=${NIX_BUILD_TOP:-}/source
  # Files of a build of dependencies are named apart.
  local sources=${slipwaySources:-extraSources}
  # cargo may work in a folder below `src`.
  case $PWD/ in "$base"/*) ;; *) base=$PWD ;; esac
  # says REGEX…: whether each matches.
  says() {
    local regex
    for regex; do grep --quiet --extended-regexp -- "$regex" "$log" || return 1; done
  }
  # each REGEX: what matches, once each.
  each() {
    grep --extended-regexp --only-matching -- "$1" "$log" | sort --unique | head -n 20 || true
  }
  # named REGEX: what the matches have in their first backquotes.
  named() {
    each "$1" | sed 's/^[^`]*`\([^`]*\)`.*/\1/'
  }

  while read -r name; do
    path=$(realpath --canonicalize-missing --no-symlinks --relative-to="$base" -- "$name")
    echo "the code reads $path, which is not among the files of this build: set \`$sources = [ ./${path#./} ];\` (and \`git add\` it)"
  done < <(named "couldn't read \`[^\`]+\`")
  while read -r line; do
    path=${line#*\"}
    path=${path%%\"*}
    # Words about a file or a program are not its name.
    [[ $path != *' '* ]] || continue
    echo "$path was not found: if it is a file of the repository, set \`$sources = [ ./its-path ];\`"
  done < <(each '(No such file or directory|\bNotFound)[^"]{0,40}"[^"]+"|(reading|opening|open|read) "[^"]+"[^"]{0,80}(No such file|NotFound)')
  local missing='code: 2, kind: NotFound|No such file or directory \(os error 2\)'
  if says "$missing" 'failed to run custom build command'; then
    echo "a build script reads a file or starts a program that is not there: set \`$sources = [ ./path/of/the/file ];\`, or add the program's package to \`nativeBuildInputs\`"
  fi
  if says "$missing" 'proc(-| )macro (derive )?panicked|custom attribute panicked'; then
    echo "a macro reads a file that is not there: set \`$sources = [ ./path/of/the/file ];\`"
  fi
  if says 'No such file or directory \(os error 2\)|kind: NotFound' 'test run failed|tests? failed|FAIL \['; then
    echo "a test reads a file that is not among the files of this build: set \`testSources = [ ./path/of/the/file ];\`"
  fi
  while read -r line; do
    echo "$line: it is not among the files of this build: set \`$sources\` to it (and \`git add\` it)"
  done < <(each "can't find (\`[^\`]+\` (bin|example|test|bench) at path|(bin|example|test|bench) \`[^\`]+\` at path|\`[^\`]+\` (bin|example|test|bench) at) \`[^\`]+\`")
  while read -r line; do
    echo "$line: its file is not among the files of this build: \`git add\` it; if \`exclude\` names it, take it out; if a program writes it, run that in \`compileSetup\`"
  done < <(each 'file not found for module `[^`]+`')
  while read -r name; do
    echo "\`$name\` is not set while compiling: set \`env.$name = \"…\";\`"
  done < <(named 'environment variable `[^`]+` not defined at compile time')
  while read -r name; do
    echo "the linker $name is not there: add its package to \`nativeBuildInputs\`"
  done < <(named 'linker `[^`]+` not found')
  if says 'invalid linker name in argument|cannot find .ld.(lld|mold)|collect2: fatal error: cannot find'; then
    echo "the linker that .cargo/config.toml asks for is not there: set \`nativeBuildInputs = [ pkgs.mold ];\` or \`[ pkgs.lld ]\`"
  fi
  while read -r line; do
    echo "the linker finds no library \`${line#*-l}\`: add its package to \`buildInputs\`"
  done < <(each '(cannot find|unable to find library) -l[A-Za-z0-9_.+-]+')
  while read -r name; do
    echo "the library $name is not there: add its package to \`buildInputs\`, and \`pkgs.pkg-config\` to \`nativeBuildInputs\`"
  done < <(named 'The system library `[^`]+` required by crate')
  if says 'Could not find directory of OpenSSL|pkg-config. command could not be (found|run)|could not find `?pkg-config'; then
    echo "a crate looks for a library of the system: set \`nativeBuildInputs = [ pkgs.pkg-config ];\` and \`buildInputs = [ pkgs.openssl ];\`"
  fi
  if says 'Could not find `?protoc'; then
    echo "a build script runs protoc: set \`nativeBuildInputs = [ pkgs.protobuf ];\`"
  fi
  if says 'is `cmake` not installed|failed to execute command: No such file or directory'; then
    echo "a build script runs a program that is not there, such as cmake: add its package to \`nativeBuildInputs\`"
  fi
  if says '(Unable to find libclang|couldn.t find any valid shared libraries matching: .*libclang)'; then
    echo "bindgen looks for libclang: set \`nativeBuildInputs = [ pkgs.rustPlatform.bindgenHook ];\`"
  fi
  if says '`DATABASE_URL` (to|must be set to) use query macros|`DATABASE_URL` must be set, or|no cached data for this query|failed to find data for query'; then
    echo "sqlx has no description of a query: run \`cargo sqlx prepare\` and \`git add .sqlx\`, or set \`compileServices = [ \"postgres\" ];\`"
  fi
  while read -r line; do
    echo "the database of the build has no table ${line#*relation }: let \`compileSetup\` make the schema, such as by \`sqlx migrate run\`, and name its files in \`extraSources\` if they lie outside of the crate"
  done < <(each 'error returned from database: relation "[^"]+"')
  if says 'requires rustc [0-9]|is not supported by the following packages?|requires the Cargo feature|feature `[^`]+` is required' \
    || says 'may not be used on the stable release channel|`-?Z` (flag )?is only accepted on the nightly|requires a nightly version of Cargo' \
    || says 'this version of Cargo is older than|this version of Cargo does not understand this lock file'; then
    echo "the project needs another Rust: set \`toolchain\`, such as rust-overlay's \`p: p.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml\`"
  fi
  if says 'rust-lang[.]github[.]io/rust-clippy'; then
    echo "clippy refuses what \`clippyArgs\` denies: mend the code, or set \`clippyArgs = \"\";\` to be told only"
  fi
  if says 'error: could not document' 'implied by `-D warnings`'; then
    echo "rustdoc refuses what it would warn of: mend the comment, or set \`env.RUSTDOCFLAGS = \"\";\` to be told only"
  fi
  if says 'compile_error!'; then
    echo "if features exclude each other, do not unite those of several crates: set \`unifyFeatures = false;\`, or choose with \`features\` and \`noDefaultFeatures\`"
  fi
  if says 'lock file [^`]* needs to be updated|cannot update the lock file'; then
    echo "Cargo.lock does not fit the manifests: run \`cargo update --workspace\` and \`git add Cargo.lock\`"
  fi
  while read -r name; do
    echo "the target $name is not in this toolchain: set \`toolchain\` to one that has it, or take \`pkgs\` for that target"
  done < <(named "[tT]he \`[^\`]+\` target may not be installed")
}

slipwayCuresStart() {
  exec {slipwayStderr}>&2
  exec 2> >(tee "$NIX_BUILD_TOP/.slipway-stderr" >&"$slipwayStderr")
  slipwayTee=$!
}

slipwayCures() {
  [ -n "${slipwayTee:-}" ] || return 0
  # What is still on its way into the file belongs to it.
  exec 2>&"$slipwayStderr"
  wait "$slipwayTee" 2>/dev/null || true
  local cures
  cures=$(slipwayCuresOf "$NIX_BUILD_TOP/.slipway-stderr")
  [ -z "$cures" ] || {
    echo
    echo "mkWorkspace: what may help:"
    sed 's/^/  - /' <<<"$cures"
  } >&2
}

# The program must not hold a path of the compiler: an image would carry all of it.
slipwayReferences() {
  local path file
  for path in ${slipwayCompiler:-}; do
    while read -r file; do
      echo "mkWorkspace: ${file#"$out/"} holds the path $path, by env!(\"CARGO\") or the like: take it out of the code, or set \`toolchainReferences = true;\`" >&2
      return 1
    done < <(grep --recursive --files-with-matches --fixed-strings -- "$path" "$out" || true)
  done
}

preBuildHooks+=(slipwayCuresStart)
failureHooks+=(slipwayCures)
postFixupHooks+=(slipwayReferences)
