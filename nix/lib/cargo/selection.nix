# What is built of a workspace: which crates are compiled together, with which features, and which programs come of each.
# cargo unites the features of the crates that one call names, so crates that are compiled together share dependencies.
# Only builtins.
let
  inherit (builtins)
    any
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    groupBy
    head
    length
    listToAttrs
    map
    match
    ;
  manifests = import ./manifest.nix;
  resolution = import ./features.nix;
  targets = import ./targets.nix;
  inherit (import ../lists.nix) optional;

  hasDocTests =
    crate:
    crate.targets.lib.doctest or true
    && any (
      type:
      elem type [
        "lib"
        "rlib"
        "dylib"
        "proc-macro"
      ]
    ) crate.crateTypes;

  # A word for a shell, which must run nothing of it. What names may hold is for cargo and rustc to say.
  quoted =
    word:
    if match "[A-Za-z0-9_,./@+=-]+" word != null then
      word
    else
      "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] word}'";
in
{
  of =
    {
      workspace,
      # Names of the crates that Cargo.lock takes from elsewhere.
      lockNames ? [ ],
      # Names of crates; null for what cargo works on by itself, "all" for every member.
      crates ? null,
      features ? [ ],
      noDefaultFeatures ? false,
      # Whether crates are compiled together at all.
      unifyFeatures ? true,
      # Names of the programs that are wanted; null for all.
      bins ? null,
      # crate -> target -> whether only a nightly compiler takes it.
      needsNightly ? _: _: false,
    }:
    let
      members = map (folder: workspace.crates.${folder}) workspace.members;
      byName = listToAttrs (
        map (crate: {
          inherit (crate) name;
          value = crate;
        }) members
      );
      chosen =
        if crates == "all" then
          workspace.members
        else if crates == null then
          workspace.defaults
        else
          map (name: byName.${name}.folder) (filter (name: byName ? ${name}) crates);

      # "api/tls" names the crate `api`, or a dependency of crates that are selected.
      crateOf = feature: match "([^/]+)/(.+)" feature;
      hasFeature =
        feature: crate:
        let
          parts = crateOf feature;
          dependencies = concatMap attrNames (manifests.tablesOf manifests.buildKinds crate.manifest);
          hasOwn =
            name: crate.manifest.features or { } ? ${name} || elem name dependencies || name == "default";
        in
        if parts == null then
          hasOwn feature
        else if byName ? ${head parts} then
          crate.name == head parts && hasOwn (builtins.elemAt parts 1)
        else
          elem (head parts) dependencies;
      featuresFor = crates: filter (feature: any (hasFeature feature) crates) features;

      # folder -> feature -> whether it is on when these crates are compiled together.
      onIn =
        folders:
        resolution.of {
          inherit folders workspace;
          asked =
            folder:
            let
              crate = workspace.crates.${folder};
              forCrate =
                feature:
                let
                  parts = crateOf feature;
                in
                if parts != null && head parts == crate.name then builtins.elemAt parts 1 else feature;
            in
            optional (!noDefaultFeatures) "default" ++ map forCrate (featuresFor [ crate ]);
        };
      together = onIn chosen;
      isTogether = crate: unifyFeatures && elem crate.folder chosen;
      # As they are with the others, which says whether the crate is compiled with them.
      isOnAtFirst = crate: isIn (if isTogether crate then together else onIn [ crate.folder ]) crate;
      isOn = crate: isIn (if isAlone crate then onIn [ crate.folder ] else together) crate;
      isIn =
        on: crate: target:
        builtins.all (on crate.folder) (target.required-features or [ ]);

      # A name that other crates have too is not enough.
      specOf =
        crate: if length byAnyName.${crate.name} > 1 then "${crate.name}@${crate.version}" else crate.name;
      byAnyName = groupBy (name: name) (
        map (crate: crate.name) (attrValues workspace.crates) ++ lockNames
      );
      # The flags of cargo for a group of crates.
      flagsOf =
        folders:
        let
          group = map (folder: workspace.crates.${folder}) folders;
          on = featuresFor group;
        in
        concatStringsSep " " (
          (
            if length folders == length workspace.members then
              [ "--workspace" ]
            else
              map (crate: "--package ${quoted (specOf crate)}") group
          )
          ++ optional noDefaultFeatures "--no-default-features"
          ++ optional (on != [ ]) "--features ${quoted (concatStringsSep "," on)}"
        );
      flags = flagsOf chosen;

      programsOf =
        isOn: crate:
        map (bin: bin.name) (
          filter (bin: (bins == null || elem bin.name bins) && isOn crate bin) crate.targets.bins
        );
      makers = groupBy (item: item.name) (
        concatMap (
          crate:
          map (bin: {
            inherit (bin) name;
            crate = crate.name;
          }) (filter (isOnAtFirst crate) crate.targets.bins)
        ) members
      );
      # cargo would build both, and put one over the other.
      hasTwin = crate: any (name: length makers.${name} > 1) (programsOf isOnAtFirst crate);
      isAlone = crate: !isTogether crate || hasTwin crate || targets.isLoaded crate.crateTypes;

      checkGroups = if unifyFeatures then [ chosen ] else map (folder: [ folder ]) chosen;
      # All targets, but for benches that need a nightly compiler: `cargo test` leaves those alone.
      lintedIn =
        folders:
        let
          group = map (folder: workspace.crates.${folder}) folders;
          on = onIn folders;
          benches = concatMap (
            crate:
            map (bench: {
              inherit (bench) name;
              nightly = needsNightly crate bench;
            }) (filter (isIn on crate) crate.targets.benches)
          ) group;
          namesOf = nightly: map (bench: bench.name) (filter (bench: bench.nightly == nightly) benches);
          left = namesOf true;
        in
        if left == [ ] then
          "--all-targets"
        else
          concatStringsSep " " (
            optional (any (crate: crate.targets.lib != null) group) "--lib"
            ++ [ "--bins --examples --tests" ]
            ++ map (name: "--bench ${quoted name}") (filter (name: !elem name left) (namesOf false))
          );

      build =
        crate:
        let
          programs = programsOf isOn crate;
          alone = isAlone crate;
          isLoaded = bins == null && targets.isLoaded crate.crateTypes;
        in
        {
          inherit
            alone
            crate
            isLoaded
            programs
            ;
          flags = if alone then flagsOf [ crate.folder ] else flags;
          targets = concatStringsSep " " (
            optional isLoaded "--lib" ++ map (name: "--bin ${quoted name}") programs
          );
        };
      builds = filter (it: it.programs != [ ] || it.isLoaded) (map build members);
    in
    {
      inherit chosen flags;
      # Of checks: a call of cargo for each.
      checkFlags = map flagsOf checkGroups;
      # Of lints: the same, with what they look at.
      lintFlags = map (folders: "${flagsOf folders} ${lintedIn folders}") checkGroups;
      # The same, of those that have a library whose examples in comments are tests.
      docTestFlags =
        let
          withLibrary = filter (folder: hasDocTests workspace.crates.${folder}) chosen;
        in
        if withLibrary == [ ] then
          [ ]
        else if unifyFeatures then
          [ flags ]
        else
          map (folder: flagsOf [ folder ]) withLibrary;
      # One for each crate that makes something to run or to load.
      builds = listToAttrs (
        map (it: {
          inherit (it.crate) name;
          value = it;
        }) builds
      );
      # name -> [ crates ] of each program, wanted or not.
      makers = builtins.mapAttrs (_: items: map (item: item.crate) items) makers;
      # name -> features that it lacks.
      lacking = listToAttrs (
        concatMap (
          crate:
          map (bin: {
            inherit (bin) name;
            value = bin.required-features;
          }) (filter (bin: !isOn crate bin) crate.targets.bins)
        ) members
      );
      crateNames = attrNames byName;
      featureNames = attrNames (
        builtins.foldl' (all: crate: all // crate.manifest.features or { }) { } members
      );
      # Features that no crate has.
      unknownFeatures = filter (feature: !any (hasFeature feature) (attrValues byName)) features;
    };
}
