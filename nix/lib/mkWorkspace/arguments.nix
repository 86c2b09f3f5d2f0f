# What mkWorkspace takes, and which arguments are missing or of the wrong kind: every mistake as a sentence that names the
# argument and the cure. meanings.nix judges the others. Only builtins.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatStringsSep
    elem
    filter
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    map
    match
    pathExists
    ;
  inherit (import ./problems.nix)
    isText
    listOf
    orNull
    quote
    shape
    textSet
    typeAt
    ;

  servicesText = "a list out of `postgres` and `redis`";
  serviceList = listOf (
    service:
    elem service [
      "postgres"
      "redis"
    ]
  );
  # What nixpkgs takes for one; it would say of no other what is wrong with it.
  packageList = listOf (
    value:
    value == null
    || isList value
    || isPath value
    || isAttrs value && value ? outPath
    || isString value && match "/.*" value != null
  );

  # name -> what it must be, in words, what it is by itself, and the check of it.
  known = {
    pkgs = {
      is = "a nixpkgs package set, such as `nixpkgs.legacyPackages.x86_64-linux`";
      check = value: isAttrs value && value ? stdenv;
    };
    src = {
      is = "a folder such as `./.`, a flake's input, or a filtered source; a text cannot be filtered";
      check =
        value:
        if isPath value then
          !pathExists value || typeAt value != "regular"
        else
          isAttrs value && (value ? outPath || value ? origSrc);
    };
    cargoRoot = {
      default = "\".\"";
      is = "the folder of the workspace's Cargo.toml below `src` as text, such as \"backend\"";
      check = value: isString value && match "/.*|(.*/)?[.][.](/.*)?" value == null;
    };
    cargoLock = {
      default = "null";
      is = "the path of a Cargo.lock for a `src` that has none, such as `./locks/Cargo.lock`";
      check = value: value == null || isPath value;
    };
    cargoVendorDir = {
      default = "null";
      is = "a folder of vendored crates as a path or a package, such as crane's `vendorCargoDeps` gives";
      check = value: value == null || isPath value || isAttrs value;
    };
    crates = listOf isString // {
      default = "null";
      is = "a list of names of crates, \"all\" for every member, or null for those that `cargo build` builds";
      check = value: value == null || value == "all" || (listOf isString).check value && value != [ ];
    };
    bins = orNull (listOf isString) // {
      default = "null";
      is = "a list of the names of programs, or null for all";
    };
    features = listOf isString // {
      default = "[ ]";
      is = "a list of features, such as [ \"tls\" \"api/metrics\" ]";
    };
    noDefaultFeatures = {
      default = "false";
      is = "true or false: whether default features are off";
      check = isBool;
    };
    unifyFeatures = {
      default = "true";
      is = "true or false: whether crates are compiled together, with the features of all of them";
      check = isBool;
    };
    toolchain = {
      default = "null";
      is = "a package with cargo and rustc, or a function from pkgs to one, such as `p: p.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml`";
      check = value: value == null || isFunction value || isAttrs value;
    };
    craneLib = {
      default = "null";
      is = "a crane library, or a function from ours to one, such as `lib: lib.appendCrateRegistries [ … ]`";
      check = value: value == null || isFunction value || isAttrs value && value ? buildPackage;
    };
    outputHashes = textSet // {
      default = "{ }";
      is = "a set from the `source` of git dependencies in Cargo.lock to their hashes";
    };
    images = {
      default = "{ }";
      is = "a set of images: `{ image = { bin = \"api\"; args = [ \"serve\" ]; }; }`";
      check = isAttrs;
    };
    exclude = {
      default = "[ ]";
      is = "a list of paths below `src` that no build reads, such as `[ ./frontend ]`";
      check = isList;
    };
    extraSources = {
      default = "[ ]";
      is = "a list of paths below `src` that compiling reads, such as `[ ./templates ]`, or a set of such lists by name of crate";
      check = value: isList value || isAttrs value && all isList (attrValues value);
    };
    testSources = {
      default = "[ ]";
      is = "a list of paths below `src` that only tests read";
      check = isList;
    };
    services = serviceList // {
      default = "[ ]";
      is = "${servicesText}, which run beside the tests";
    };
    compileServices = serviceList // {
      default = "[ ]";
      is = "${servicesText}, which run beside every compilation";
    };
    compileSetup = {
      default = "\"\"";
      is = "text: shell that runs before each compilation, such as `sqlx migrate run`";
      check = isString;
    };
    nativeBuildInputs = packageList // {
      default = "[ ]";
      is = "a list of packages that run while building, such as `[ pkgs.pkg-config ]`";
    };
    buildInputs = packageList // {
      default = "[ ]";
      is = "a list of libraries to link with, such as `[ pkgs.openssl ]`";
    };
    testInputs = packageList // {
      default = "[ ]";
      is = "a list of packages whose programs the tests start";
    };
    shellInputs = packageList // {
      default = "[ ]";
      is = "a list of packages for the development shell";
    };
    nextestArgs = {
      default = "\"\"";
      is = "text: what `cargo nextest run` is given besides, such as a filter";
      check = isString;
    };
    clippyArgs = {
      default = "\"--deny warnings\"";
      is = "text: what clippy is given after `--`, such as \"--deny warnings\"";
      check = isString;
    };
    dependencySources = {
      default = "[ ]";
      is = "a list of paths below `src` that compiling dependencies reads, such as `[ ./scripts/cc ]`";
      check = isList;
    };
    env = textSet // {
      default = "{ }";
      is = "a set of texts: the environment of every cargo call";
    };
    profile = {
      default = "\"release\"";
      is = "the name of the cargo profile that programs are built in, such as \"release\"";
      check = isString;
    };
    packageArgs = {
      default = "_: { }";
      is = "a function from pkgs to a set by crate name of what is added to its derivation";
      check = value: isFunction value || isAttrs value;
    };
    auditable = {
      default = "null";
      is = "true or false: whether programs carry the list of their crates for `cargo audit bin`";
      check = value: value == null || isBool value;
    };
    toolchainReferences = {
      default = "false";
      is = "true or false: whether programs may hold paths of the compiler";
      check = isBool;
    };
    version = {
      default = "null";
      is = "the version of programs and images as text, or null for that of each crate";
      check = isText;
    };
    revision = {
      default = "null";
      is = "the commit as text, such as `self.rev or self.dirtyRev or null`";
      check = isText;
    };
    lastModified = {
      default = "0";
      is = "the commit's time in seconds, such as `self.lastModified`";
      check = isInt;
    };
    source = {
      default = "null";
      is = "the repository's address as text, or null";
      check = isText;
    };
  };
  required = [
    "pkgs"
    "src"
  ];
  # Without these, and with defaults in their place, the workspace would be another.
  reading = required ++ [
    "cargoLock"
    "cargoRoot"
    "craneLib"
    "toolchain"
  ];

  notThere =
    argument: path:
    "${quote argument} names ${quote (toString path)}, which is not there: mend the path, or `git add` it, for a flake sees only such files";
  hasRightKind = args: name: known ? ${name} && known.${name}.check args.${name};
  isAbsent = value: isPath value && !pathExists value;

in
{
  inherit isAbsent known notThere;

  # What docs/workspaces.md says of the arguments.
  table = concatStringsSep "\n" (
    map (
      name:
      "| `${name}` | ${builtins.replaceStrings [ "|" ] [ "\\|" ] known.${name}.is} | ${
        if known.${name} ? default then quote known.${name}.default else "must be given"
      } |"
    ) (attrNames known)
  );

  # Mistakes that show before the workspace is read.
  shapeProblems =
    args:
    shape "" known required args
    ++ map (name: notThere name args.${name}) (
      filter (name: hasRightKind args name && isAbsent args.${name}) (attrNames args)
    );

  # The arguments that have no such mistake, for what they mean is judged all the same. Null when the workspace cannot be
  # read without the others.
  sound =
    args:
    let
      isSound = name: hasRightKind args name && !isAbsent args.${name};
      unsound = filter (name: !isSound name) (attrNames args);
    in
    if all (name: args ? ${name}) required && !any (name: elem name reading) unsound then
      removeAttrs args unsound
    else
      null;

  notFetched =
    name: source:
    "the crate `${name}` comes from ${source} and cannot be fetched: try `git ls-remote` on it; where evaluation has no network or no key for it, set `outputHashes.\"${source}\" = \"sha256-…\"`, and it is fetched while building; or run `cargo vendor` and `git add` what it writes";

  noLock =
    at:
    "`src` has no ${at}: run `cargo generate-lockfile`, and `git add` it, for a flake sees only such files; or set `cargoLock` to one";

  # The value if there are no problems; all problems at once otherwise.
  orThrow =
    problems: value:
    if problems == [ ] then
      value
    else
      throw (concatStringsSep "\n  - " ([ "mkWorkspace cannot use its arguments:" ] ++ problems));
}
