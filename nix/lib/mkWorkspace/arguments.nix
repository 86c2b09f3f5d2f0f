# What mkWorkspace takes, and what is wrong with what it was given: every mistake as a sentence that names the
# argument and the cure. Only builtins.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
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
    described
    isPackage
    isText
    list
    listOf
    ofKind
    orNull
    quote
    shape
    textSet
    typeAt
    when
    ;
  inherit (import ../cargo/config.nix) decoded;
  inherit (import ../cargo/paths.nix) within;
  inherit (import ./image-arguments.nix) imageNameProblems imageProblems;

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

  unknownNames =
    argument: known: names:
    map (
      name: "${quote argument} names ${quote name}, which is no crate here; there are ${list known}"
    ) (filter (name: !elem name known) names);

  notThere =
    argument: path:
    "${quote argument} names ${quote (toString path)}, which is not there: mend the path, or `git add` it, for a flake sees only such files";
  hasRightKind = args: name: known ? ${name} && known.${name}.check args.${name};
  isAbsent = value: isPath value && !pathExists value;

  # `more`: what `packageArgs` gives one crate.
  ofPackage =
    name: more:
    let
      at = argument: "packageArgs.${name}.${argument}";
      ofAll = filter (argument: known ? ${argument} && !elem argument ofDerivations) (attrNames more);
    in
    if !isAttrs more || isPackage more then
      [
        "${quote "packageArgs.${name}"} is ${described more}: give a set such as `{ nativeBuildInputs = [ pkgs.protobuf ]; }`"
      ]
    else
      concatMap (argument: ofKind (at argument) knownOfPackage.${argument} more.${argument}) (
        attrNames (builtins.intersectAttrs knownOfPackage more)
      )
      ++ map (
        argument:
        "${quote (at argument)} is an argument for all crates: set ${quote argument} beside `packageArgs`"
      ) ofAll;
  # Of the arguments those that a derivation has too.
  ofDerivations = [
    "buildInputs"
    "cargoLock"
    "cargoVendorDir"
    "env"
    "nativeBuildInputs"
    "outputHashes"
    "src"
    "version"
  ];
  knownOfPackage = {
    inherit (known) buildInputs nativeBuildInputs;
    env = {
      is = "a set: the environment of this crate's cargo calls";
      check = isAttrs;
    };
  };

  # `base`: the path of `src`.
  pathProblems =
    base: argument: paths:
    concatMap (
      path:
      if !isPath path then
        [
          "${quote argument} holds ${described path}: give a path without quotes, such as `./templates`"
        ]
      else if !pathExists path then
        [ (notThere argument path) ]
      else if !within (toString base) (toString path) then
        [
          "${quote argument} names ${quote (toString path)}, which is outside of `src`: give `src` the folder that holds both, and `cargoRoot`"
        ]
      else
        [ ]
    ) paths;

  # Mistakes of arguments that have the right kind: what they say of the workspace.
  meaning =
    {
      base,
      selection,
      profiles,
      # Names of the crates that make something, of the checks but those of images, and what `packageArgs` gives.
      packageNames,
      checkNames,
      packageArgs,
      lock,
      registries,
      # Crates that are certainly compiled, and the compiler's version, or null.
      compiled,
      rustVersion,
    }:
    args:
    let
      profile = args.profile or "release";
      bins = if args.bins or null == null then [ ] else args.bins;
      programs = attrNames selection.makers;
      crates = if isList (args.crates or null) then args.crates else [ ];
      extra = args.extraSources or [ ];
      images = args.images or { };
      binProblems = concatMap (
        bin:
        if selection.lacking ? ${bin} && !elem bin programs then
          [
            "`bins` names ${quote bin}, which needs the features ${list selection.lacking.${bin}}: set `features` to them"
          ]
        else
          when (!elem bin programs)
            "`bins` names ${quote bin}, which no crate makes; there are ${
              list (programs ++ attrNames selection.lacking)
            }"
      ) bins;
      # By the version that they need.
      tooNew = builtins.groupBy (crate: crate.rustVersion) (
        filter (
          crate:
          rustVersion != null
          && crate.rustVersion != null
          && builtins.compareVersions crate.rustVersion rustVersion > 0
        ) compiled
      );
      fetchedFrom = attrNames (builtins.groupBy (entry: entry.source or "") lock.package);
      strangers = filter (
        source: match "(registry|sparse)[+].*" source != null && !registries ? ${source}
      ) fetchedFrom;
      gitSources = map decoded (filter (source: match "git[+].*" source != null) fetchedFrom);
    in
    unknownNames "crates" selection.crateNames crates
    ++ map (
      needed:
      "Rust ${needed} is what ${
        list (map (crate: crate.name) tooNew.${needed})
      } asks for, and the compiler is ${rustVersion}: set `toolchain`, such as `p: p.rust-bin.stable.latest.default` of rust-overlay"
    ) (attrNames tooNew)
    ++ binProblems
    ++ map (
      feature:
      "`features` names ${quote feature}, which no crate has; there are ${list selection.featureNames}"
    ) selection.unknownFeatures
    ++ when (
      !elem profile profiles
    ) "`profile` is ${quote profile}, which `src` has no section for; there are ${list profiles}"
    ++ when (
      !isAttrs packageArgs
    ) "`packageArgs` gives ${described packageArgs}: give a set by name of crate"
    ++ (
      if isAttrs packageArgs then
        map
          (
            name:
            "`packageArgs` names ${quote name}, which is no crate that makes a package; there are ${list packageNames}"
          )
          (
            # With a wrong name in `bins` there are too few packages.
            filter (name: binProblems == [ ] && !elem name packageNames) (attrNames packageArgs)
          )
        ++ concatMap (name: ofPackage name packageArgs.${name}) (attrNames packageArgs)
      else
        [ ]
    )
    ++ (
      if isList extra then
        pathProblems base "extraSources" extra
      else
        unknownNames "extraSources" selection.crateNames (attrNames extra)
        ++ concatMap (name: pathProblems base "extraSources.${name}" extra.${name}) (attrNames extra)
    )
    ++ concatMap (argument: pathProblems base argument (args.${argument} or [ ])) [
      "dependencySources"
      "testSources"
    ]
    ++ pathProblems base "exclude" (filter (path: !isAbsent path) (args.exclude or [ ]))
    ++ map (
      source:
      "Cargo.lock takes crates from ${quote source}, which is not known: set `craneLib = lib: lib.appendCrateRegistries [ (lib.registryFromSparse { … }) ];`"
    ) strangers
    ++ map (
      source:
      "`outputHashes` names ${quote source}, and no crate in Cargo.lock has that `source`; there are ${list gitSources}"
    ) (filter (source: !elem (decoded source) gitSources) (attrNames (args.outputHashes or { })))
    ++ imageProblems {
      inherit (selection) lacking makers;
      bins = args.bins or null;
    } images
    ++ imageNameProblems {
      packages = packageNames;
      checks = checkNames;
    } images;
in
{
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

  meaningProblems = meaning;

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
      throw (
        concatStringsSep "\n" (concatLists [
          [ "mkWorkspace cannot use its arguments:" ]
          (map (problem: "  - ${problem}") problems)
        ])
      );
}
