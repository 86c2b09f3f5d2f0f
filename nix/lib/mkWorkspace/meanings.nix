# What is wrong with arguments of the right kind: what they say of the workspace. Only builtins.
let
  inherit (builtins)
    attrNames
    compareVersions
    concatMap
    elem
    filter
    groupBy
    intersectAttrs
    isAttrs
    isList
    isPath
    map
    match
    pathExists
    ;
  inherit (import ./problems.nix)
    described
    isPackage
    list
    ofKind
    quote
    when
    ;
  inherit (import ./arguments.nix)
    isAbsent
    known
    notThere
    ;
  inherit (import ../cargo/config.nix) decoded;
  inherit (import ../cargo/paths.nix) within;
  inherit (import ./image-arguments.nix) imageNameProblems imageProblems;

  unknownNames =
    argument: known: names:
    map (
      name: "${quote argument} names ${quote name}, which is no crate here; there are ${list known}"
    ) (filter (name: !elem name known) names);

  compilerProblems =
    rustVersion: crates:
    let
      isTooNew =
        crate:
        rustVersion != null
        && crate.rustVersion != null
        && compareVersions crate.rustVersion rustVersion > 0;
      byVersion = groupBy (crate: crate.rustVersion) (filter isTooNew crates);
    in
    map (
      needed:
      "Rust ${needed} is needed by ${
        list (map (crate: crate.name) byVersion.${needed})
      }, and the compiler is ${rustVersion}: set `toolchain`, such as `p: p.rust-bin.stable.latest.default` of rust-overlay"
    ) (attrNames byVersion);

  binProblems =
    { makers, lacking, ... }:
    concatMap (
      bin:
      if makers ? ${bin} then
        [ ]
      else if lacking ? ${bin} then
        [
          "`bins` names ${quote bin}, which needs the features ${list lacking.${bin}}: set `features` to them"
        ]
      else
        [
          "`bins` names ${quote bin}, which no crate makes; there are ${
            list (attrNames makers ++ attrNames lacking)
          }"
        ]
    );

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
        attrNames (intersectAttrs knownOfPackage more)
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

  sourceProblems =
    base: crateNames: args:
    let
      extra = args.extraSources or [ ];
    in
    (
      if isList extra then
        pathProblems base "extraSources" extra
      else
        unknownNames "extraSources" crateNames (attrNames extra)
        ++ concatMap (name: pathProblems base "extraSources.${name}" extra.${name}) (attrNames extra)
    )
    ++ concatMap (argument: pathProblems base argument (args.${argument} or [ ])) [
      "dependencySources"
      "testSources"
    ]
    ++ pathProblems base "exclude" (filter (path: !isAbsent path) (args.exclude or [ ]));

  # Where Cargo.lock takes crates from.
  fetchProblems =
    { lock, registries }:
    outputHashes:
    let
      sources = attrNames (groupBy (entry: entry.source or "") lock.package);
      strangers = filter (
        source: match "(registry|sparse)[+].*" source != null && !registries ? ${source}
      ) sources;
      gitSources = map decoded (filter (source: match "git[+].*" source != null) sources);
    in
    map (
      source:
      "Cargo.lock takes crates from ${quote source}, which is not known: set `craneLib = lib: lib.appendCrateRegistries [ (lib.registryFromSparse { … }) ];`"
    ) strangers
    ++ map (
      source:
      "`outputHashes` names ${quote source}, and no crate in Cargo.lock has that `source`; there are ${list gitSources}"
    ) (filter (source: !elem (decoded source) gitSources) (attrNames outputHashes));
in
{
  base,
  selection,
  profiles,
  # Names of the crates that make something, of the checks but those of images, and what `packageArgs` gives.
  packageNames,
  checkNames,
  packageArgs,
  # Cargo.lock, and the registries that are known.
  lock,
  registries,
  # Crates that are certainly compiled, and the compiler's version, or null.
  compiled,
  rustVersion,
}:
args:
let
  orEmpty = value: if isList value then value else [ ];
  profile = args.profile or "release";
  bins = args.bins or null;
  images = args.images or { };
  wrongBins = binProblems selection (orEmpty bins);
in
unknownNames "crates" selection.crateNames (orEmpty (args.crates or null))
++ compilerProblems rustVersion compiled
++ wrongBins
++ map (
  feature:
  "`features` names ${quote feature}, which no crate has; there are ${list selection.featureNames}"
) selection.unknownFeatures
++ when (
  !elem profile profiles
) "`profile` is ${quote profile}, which `src` has no section for; there are ${list profiles}"
++ (
  if !isAttrs packageArgs then
    [ "`packageArgs` gives ${described packageArgs}: give a set by name of crate" ]
  else
    # With a wrong name in `bins` there are too few packages.
    map (
      name:
      "`packageArgs` names ${quote name}, which is no crate that makes a package; there are ${list packageNames}"
    ) (filter (name: wrongBins == [ ] && !elem name packageNames) (attrNames packageArgs))
    ++ concatMap (name: ofPackage name packageArgs.${name}) (attrNames packageArgs)
)
++ sourceProblems base selection.crateNames args
++ fetchProblems { inherit lock registries; } (args.outputHashes or { })
++ imageProblems {
  inherit (selection) lacking makers;
  inherit bins;
} images
++ imageNameProblems {
  packages = packageNames;
  checks = checkNames;
} images
