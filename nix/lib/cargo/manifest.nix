# What a parsed Cargo.toml says: fields that it inherits, the crates that it depends on, its features. Only builtins.
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    filter
    isAttrs
    isString
    ;
  paths = import ./paths.nix;

  # Both spellings are cargo's.
  kinds = {
    normal = [ "dependencies" ];
    build = [
      "build-dependencies"
      "build_dependencies"
    ];
    dev = [
      "dev-dependencies"
      "dev_dependencies"
    ];
  };
  all = kinds.normal ++ kinds.build ++ kinds.dev;
  # What a program is made of; tests alone need dev-dependencies.
  buildKinds = kinds.normal ++ kinds.build;

  # The manifest's tables that name dependencies, those of single platforms included.
  tablesOf =
    wanted: manifest:
    concatMap (table: map (kind: table.${kind} or { }) wanted) (
      [ manifest ] ++ attrValues (manifest.target or { })
    );

  hasDefault = spec: spec.default-features or spec.default_features or true;

  # { name, spec } of each dependency; an inherited one is what the workspace's root says.
  dependenciesOf =
    wanted: root: manifest:
    let
      shared = root.workspace.dependencies or { };
      complete =
        name: spec:
        if isAttrs spec && spec.workspace or false then
          let
            said = shared.${name} or { };
          in
          (if isString said then { version = said; } else said)
          // removeAttrs spec [ "workspace" ]
          // {
            inherited = true;
            # Features add up, and default ones can only be turned on.
            features = said.features or [ ] ++ spec.features or [ ];
            default-features = hasDefault said || (spec.default-features or spec.default_features or false);
          }
        else if isString spec then
          { version = spec; }
        else
          spec;
    in
    concatMap (
      table:
      map (name: {
        inherit name;
        spec = complete name table.${name};
      }) (attrNames table)
    ) (tablesOf wanted manifest);
in
rec {
  inherit
    all
    buildKinds
    dependenciesOf
    hasDefault
    kinds
    tablesOf
    ;

  fileIn = folder: paths.join folder "Cargo.toml";
  isIn = view: folder: folder != null && view.isFile (fileIn folder);

  # Where the `path` of a dependency of the crate in `folder` leads: an inherited one is seen from the workspace's root. Null
  # when that is outside.
  folderOf =
    rootFolder: folder: spec:
    paths.join (if spec.inherited or false then rootFolder else folder) spec.path;

  # Folders that the manifest in `folder` names by `path`: [ { path, folder } ].
  localsOf =
    wanted: rootFolder: root: folder: manifest:
    map (
      { spec, ... }:
      {
        inherit (spec) path;
        folder = folderOf rootFolder folder spec;
      }
    ) (filter ({ spec, ... }: spec ? path) (dependenciesOf wanted root manifest));

  # What [patch] and [replace] of the root name by path.
  patchesOf =
    rootFolder: root:
    concatMap (
      table:
      concatMap (
        name:
        let
          spec = table.${name};
        in
        if isAttrs spec && spec ? path then
          [
            {
              inherit (spec) path;
              folder = paths.join rootFolder spec.path;
            }
          ]
        else
          [ ]
      ) (attrNames table)
    ) (attrValues (root.patch or { }) ++ [ (root.replace or { }) ]);

  # Whether a crate names `dependency` as something that it is built from, under whatever name.
  dependsOn =
    dependency: crate:
    builtins.any ({ name, spec }: spec.package or name == dependency) (
      dependenciesOf buildKinds crate.rootManifest crate.manifest
    );

  # A field of [package], from [workspace.package] where it says so; null when it is not there.
  field =
    name: root: manifest:
    let
      own = manifest.package.${name} or null;
    in
    if isAttrs own && own.workspace or false then root.workspace.package.${name} or null else own;
}
