# shellcheck shell=bash
# A hook of the build: when it fails, says which argument of mkWorkspace cures what the compiler said. A test gives it what
# compilers print.

# slipwayCuresOf FILE: the cures of what stands in FILE, a line each.
slipwayCuresOf() {
  local line path base=${NIX_BUILD_TOP:-}/source
  # cargo may work in a folder below `src`.
  case $PWD/ in "$base"/*) ;; *) base=$PWD ;; esac
  # each REGEX: what matches, once each.
  each() {
    grep --extended-regexp --only-matching -- "$1" "$log" | sort --unique | head -n 20 || true
  }
  local log=$1

  while read -r line; do
    path=${line#*\`}
    path=$(realpath --canonicalize-missing --no-symlinks --relative-to="$base" -- "${path%%\`*}")
    echo "the code reads $path, which is not among the files of this build: set \`extraSources = [ ./${path#./} ];\` (and \`git add\` it)"
  done < <(each "couldn't read \`[^\`]+\`")
  while read -r line; do
    path=${line#*\"}
    # What the system says of a file is not its name.
    [[ $path != 'No such file'* ]] || continue
    echo "${path%%\"*} was not found: if it is a file of the repository, set \`extraSources = [ ./its-path ];\`"
  done < <(each '(No such file or directory|NotFound)[^"]{0,40}"[^"]+"|(reading|opening|open|read) "[^"]+"[^"]{0,80}(No such file|NotFound)')
  if grep --quiet --extended-regexp 'code: 2, kind: NotFound|No such file or directory \(os error 2\)' "$log" \
    && grep --quiet --fixed-strings 'failed to run custom build command' "$log"; then
    echo "a build script reads a file or starts a program that is not there: set \`extraSources = [ ./path/of/the/file ];\`, or add the program's package to \`nativeBuildInputs\`"
  fi
  if grep --quiet --extended-regexp 'No such file or directory \(os error 2\)|kind: NotFound' "$log" \
    && grep --quiet --extended-regexp 'test run failed|tests? failed|FAIL \[' "$log"; then
    echo "a test reads a file that is not among the files of this build: set \`testSources = [ ./path/of/the/file ];\`"
  fi
  while read -r line; do
    echo "$line: it is not among the files of this build: set \`extraSources\` to it (and \`git add\` it)"
  done < <(each "can't find (\`[^\`]+\` (bin|example|test|bench) at path|(bin|example|test|bench) \`[^\`]+\` at path|\`[^\`]+\` (bin|example|test|bench) at) \`[^\`]+\`")
  while read -r line; do
    echo "$line: its file is not among the files of this build: \`git add\` it; if \`exclude\` names it, take it out; if a program writes it, run that in \`compileSetup\`"
  done < <(each 'file not found for module `[^`]+`')
  while read -r line; do
    path=${line#*\`}
    echo "\`${path%%\`*}\` is not set while compiling: set \`env.${path%%\`*} = \"…\";\`"
  done < <(each 'environment variable `[^`]+` not defined at compile time')
  while read -r line; do
    path=${line#*\`}
    echo "the linker ${path%%\`*} is not there: add its package to \`nativeBuildInputs\`"
  done < <(each 'linker `[^`]+` not found')
  if grep --quiet --extended-regexp 'invalid linker name in argument|cannot find .ld.(lld|mold)|collect2: fatal error: cannot find' "$log"; then
    echo "the linker that .cargo/config.toml asks for is not there: set \`nativeBuildInputs = [ pkgs.mold ];\` or \`[ pkgs.lld ]\`"
  fi
  while read -r line; do
    echo "the linker finds no library \`${line#*-l}\`: add its package to \`buildInputs\`"
  done < <(each '(cannot find|unable to find library) -l[A-Za-z0-9_.+-]+')
  while read -r line; do
    path=${line#*\`}
    echo "the library ${path%%\`*} is not there: add its package to \`buildInputs\`, and \`pkgs.pkg-config\` to \`nativeBuildInputs\`"
  done < <(each 'The system library `[^`]+` required by crate')
  if grep --quiet --extended-regexp 'Could not find directory of OpenSSL|pkg-config. command could not be (found|run)|could not find `?pkg-config' "$log"; then
    echo "a crate looks for a library of the system: set \`nativeBuildInputs = [ pkgs.pkg-config ];\` and \`buildInputs = [ pkgs.openssl ];\`"
  fi
  if grep --quiet --extended-regexp 'Could not find `?protoc' "$log"; then
    echo "a build script runs protoc: set \`nativeBuildInputs = [ pkgs.protobuf ];\`"
  fi
  if grep --quiet --extended-regexp 'is `cmake` not installed|failed to execute command: No such file or directory' "$log"; then
    echo "a build script runs a program that is not there, such as cmake: add its package to \`nativeBuildInputs\`"
  fi
  if grep --quiet --extended-regexp '(Unable to find libclang|couldn.t find any valid shared libraries matching: .*libclang)' "$log"; then
    echo "bindgen looks for libclang: set \`nativeBuildInputs = [ pkgs.rustPlatform.bindgenHook ];\`"
  fi
  if grep --quiet --extended-regexp 'set `DATABASE_URL` to use query macros|no cached data for this query' "$log"; then
    echo "sqlx has no description of a query: run \`cargo sqlx prepare\` and \`git add .sqlx\`, or set \`compileServices = [ \"postgres\" ];\`"
  fi
  if grep --quiet --extended-regexp 'requires rustc [0-9]|is not supported by the following packages?|requires the Cargo feature|feature `[^`]+` is required' "$log" \
    || grep --quiet --extended-regexp 'may not be used on the stable release channel|`-?Z` (flag )?is only accepted on the nightly|requires a nightly version of Cargo' "$log" \
    || grep --quiet --extended-regexp 'this version of Cargo is older than|this version of Cargo does not understand this lock file' "$log"; then
    echo "the project needs another Rust: set \`toolchain\`, such as rust-overlay's \`p: p.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml\`"
  fi
  if grep --quiet --fixed-strings 'rust-lang.github.io/rust-clippy' "$log"; then
    echo "clippy refuses what \`clippyArgs\` denies: mend the code, or set \`clippyArgs = \"\";\` to be told only"
  fi
  if grep --quiet --fixed-strings 'compile_error!' "$log"; then
    echo "if features exclude each other, do not unite those of several crates: set \`unifyFeatures = false;\`, or choose with \`features\` and \`noDefaultFeatures\`"
  fi
  if grep --quiet --extended-regexp 'lock file [^`]* needs to be updated|cannot update the lock file' "$log"; then
    echo "Cargo.lock does not fit the manifests: run \`cargo update --workspace\` and \`git add Cargo.lock\`"
  fi
  while read -r line; do
    path=${line#*\`}
    echo "the target ${path%%\`*} is not in this toolchain: set \`toolchain\` to one that has it, or take \`pkgs\` for that target"
  done < <(each "[tT]he \`[^\`]+\` target may not be installed")
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
