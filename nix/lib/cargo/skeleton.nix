# Stands for crates whose code is not there: manifests that say what cargo resolves and compiles besides the crates
# themselves, and an empty library for each. Programs and lints of a crate never change it, nor do comments and
# descriptions, so what is compiled from it stays. Only builtins.
let
  inherit (builtins)
    any
    attrNames
    concatMap
    elem
    filter
    groupBy
    head
    intersectAttrs
    isAttrs
    length
    listToAttrs
    map
    mapAttrs
    replaceStrings
    split
    ;
  manifests = import ./manifest.nix;
  paths = import ./paths.nix;
  toml = import ./toml.nix;
  inherit (import ../lists.nix) reach;

  only =
    names: set:
    intersectAttrs (listToAttrs (
      map (name: {
        inherit name;
        value = null;
      }) names
    )) set;

  # The version of a path dependency says nothing that its folder does not.
  specs = mapAttrs (
    _: spec: if isAttrs spec && spec ? path then removeAttrs spec [ "version" ] else spec
  );

  dependencyTables =
    kinds: manifest:
    let
      here = table: mapAttrs (_: specs) (only kinds table);
    in
    here manifest
    // (if manifest ? target then { target = mapAttrs (_: here) manifest.target; } else { });

  libraryFile = "skeleton.rs";
  buildFile = "skeleton-build.rs";

  # A library without std compiles for every platform; what is linked needs std.
  libraryText =
    types:
    if
      any (
        type:
        !elem type [
          "lib"
          "rlib"
        ]
      ) types
    then
      ""
    else
      "#![no_std]\n";

  crateManifest =
    version: crate:
    let
      inherit (crate) manifest;
      buildDependencies = concatMap attrNames (manifests.tablesOf manifests.kinds.build manifest);
    in
    dependencyTables manifests.all manifest
    // only [ "cargo-features" "features" ] manifest
    // {
      package = {
        inherit (crate) edition name;
        inherit version;
        build = if buildDependencies == [ ] then false else buildFile;
        autobins = false;
        autoexamples = false;
        autotests = false;
        autobenches = false;
      }
      // only [ "resolver" "workspace" ] manifest.package
      # A compiler that is too old says so before it has compiled all dependencies.
      // (if crate.rustVersion == null then { } else { rust-version = crate.rustVersion; });
      lib = {
        # No name of a crate can be in the way of it.
        name = "skeleton_${replaceStrings [ "-" ] [ "_" ] crate.name}";
        path = libraryFile;
      }
      // (
        if crate.crateTypes == [ "proc-macro" ] then
          { proc-macro = true; }
        else if crate.crateTypes == [ ] then
          { }
        else
          { crate-type = crate.crateTypes; }
      );
    };

  # What holds for the whole workspace.
  settings = only [
    "cargo-features"
    "patch"
    "profile"
    "replace"
  ];
  full = root: settings root // only [ "workspace" ] root;
  # Without what only crates inherit whose code is there.
  resolution =
    root:
    settings root
    // (
      if root ? workspace then
        {
          workspace =
            only [ "default-members" "exclude" "members" "resolver" ] root.workspace
            // (
              if root.workspace ? dependencies then { dependencies = specs root.workspace.dependencies; } else { }
            );
        }
      else
        { }
    );

  # Of a dependency as a lock says it: "name", and where that is not enough "name version" or "name version (source)".
  nameOf = said: head (split " " said);

  # The files of one: [ { name, value } ], by path.
  standIn =
    workspace: versionOf: rootTables: folder:
    let
      crate = workspace.crates.${folder};
      version = versionOf folder;
      files = {
        ${libraryFile} = libraryText crate.crateTypes;
        ${buildFile} = "fn main() {}\n";
        "Cargo.toml" = toml.write (
          crateManifest version crate
          // (if folder == workspace.at then rootTables else only [ "workspace" ] crate.manifest)
        );
      };
    in
    map (name: {
      name = paths.join folder name;
      value = files.${name};
    }) (attrNames files);
in
rec {
  # A lock names crates of the workspace by version only when a name is not enough.
  isPlain =
    workspace: lock:
    let
      packages = lock.package or [ ];
      byName = groupBy (entry: entry.name or "") packages;
      byVersion = groupBy nameOf (
        filter (said: nameOf said != said) (concatMap (entry: entry.dependencies or [ ]) packages)
      );
      # cargo is told such a crate by its version.
      isSeveral = name: length (byName.${name} or [ ]) > 1;
    in
    !lock ? root
    && !any (
      folder:
      let
        inherit (workspace.crates.${folder}) name;
      in
      isSeveral name || byVersion ? ${name}
    ) workspace.members;

  # Folders of patched crates that crates of a registry are compiled from, with what those need themselves: a stand-in is not
  # enough for them, their code must be there.
  compiledByRegistry =
    workspace: lock:
    let
      spoken = groupBy nameOf (
        concatMap (entry: if entry ? source then entry.dependencies or [ ] else [ ]) (lock.package or [ ])
      );
      isSpoken = folder: spoken ? ${workspace.crates.${folder}.name};
    in
    reach (filter isSpoken workspace.patched) (folder: workspace.crates.${folder}.needs);

  # All crates stand-ins but these: path -> text. Members have the version 0.0.0, so that a release compiles no dependency again.
  whole =
    workspace: lockText:
    let
      lock = toml.readPlain "Cargo.lock" lockText;
      withCode = compiledByRegistry workspace lock;
      # Code has its manifest with it, which asks for the versions that there are.
      plain = withCode == [ ] && isPlain workspace lock;
      tables = (if withCode == [ ] then resolution else full) workspace.root;
      versionOf =
        folder: if plain && elem folder zeroed then "0.0.0" else workspace.crates.${folder}.version;
      zeroed = filter (folder: !elem folder workspace.patched) workspace.members;
      zeroedNames = map (folder: workspace.crates.${folder}.name) zeroed;
      lockFile =
        if plain then
          toml.write (
            lock
            // {
              package = map (
                entry:
                if !entry ? source && elem entry.name zeroedNames then entry // { version = "0.0.0"; } else entry
              ) (lock.package or [ ]);
            }
          )
        else
          lockText;
    in
    listToAttrs (
      concatMap (standIn workspace versionOf tables) (
        filter (folder: !elem folder withCode) (attrNames workspace.crates)
      )
    )
    // (
      if workspace.crates ? ${workspace.at} then
        { }
      else
        { ${paths.join workspace.at "Cargo.toml"} = toml.write tables; }
    )
    // {
      ${paths.join workspace.at "Cargo.lock"} = lockFile;
    };

  # Stand-ins of some crates, with their own versions: to lie beside the code of the others.
  some =
    workspace:
    let
      versionOf = folder: workspace.crates.${folder}.version;
      # Each is written once, however many builds take it.
      all = mapAttrs (
        folder: _: standIn workspace versionOf (full workspace.root) folder
      ) workspace.crates;
    in
    folders: listToAttrs (concatMap (folder: all.${folder}) folders);
}
