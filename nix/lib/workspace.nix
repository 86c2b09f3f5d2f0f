# A Cargo workspace as data: its crates, the programs they make, and which of each other they need.
# Everything but `read` is a function of parsed manifests, and nothing needs nixpkgs.
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    elem
    filter
    fromTOML
    genericClosure
    head
    isAttrs
    lessThan
    listToAttrs
    map
    match
    pathExists
    readDir
    readFile
    sort
    ;
  paths = import ./paths.nix;

  optional = condition: value: if condition then [ value ] else [ ];
  unique =
    list:
    attrNames (
      listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) list
      )
    );

  # The folders that a member pattern names; `list` gives the folders below a folder.
  expand =
    list: pattern:
    let
      below = match "([^*]+)/[*]" pattern;
    in
    if below != null then
      map (name: "${head below}/${name}") (list (head below))
    else if match "[^*?[]+" pattern != null then
      [ pattern ]
    else
      throw "workspace member `${pattern}`: only a folder or FOLDER/* is understood; list the folders in Cargo.toml";

  # The programs of a crate as cargo finds them. `found` says which files there are: mainFile, binFiles.
  binsOf =
    manifest: found:
    let
      declared = map (bin: bin.name) (manifest.bin or [ ]);
      automatic = if manifest.package.autobins or true then found.binFiles else [ ];
      main = optional (found.mainFile && manifest.package.autobins or true) manifest.package.name;
      # A declared program with the path src/main.rs takes the place of the automatic one.
      takesMain = builtins.any (bin: bin.path or "" == "src/main.rs") (manifest.bin or [ ]);
    in
    unique (declared ++ automatic ++ (if takesMain then [ ] else main));

  # The dependency tables of a manifest of one kind, those of single platforms included.
  tablesOf =
    kinds: manifest:
    concatMap (table: map (kind: table.${kind} or { }) kinds) (
      [ manifest ] ++ attrValues (manifest.target or { })
    );

  # Folders of the workspace's own crates that `folder` names in the given kinds of dependencies.
  localDependencies =
    kinds: root: folder: manifest:
    let
      shared = root.workspace.dependencies or { };
      resolve =
        name: spec:
        if !isAttrs spec then
          [ ]
        else if spec ? path then
          [ (paths.join folder spec.path) ]
        else if (spec.workspace or false) && isAttrs (shared.${name} or null) && shared.${name} ? path then
          [ (paths.join "" shared.${name}.path) ]
        else
          [ ];
    in
    unique (
      concatMap (table: concatLists (map (name: resolve name table.${name}) (attrNames table))) (
        tablesOf kinds manifest
      )
    );

  # What a program is made of; tests alone need dev-dependencies.
  buildKinds = [
    "dependencies"
    "build-dependencies"
  ];

  # The folders of a crate and of all crates it is built from, in order.
  closure =
    root: manifests: folder:
    sort lessThan (
      map (item: item.key) (genericClosure {
        startSet = [ { key = folder; } ];
        operator =
          { key }:
          map (dependency: { key = dependency; }) (
            localDependencies buildKinds root key (
              manifests.${key} or (throw "${folder} needs ${key}, which is not a member of the workspace")
            )
          );
      })
    );

  # Whether a crate names `dependency` as something that it is built from.
  dependsOn =
    dependency: manifest: builtins.any (table: table ? ${dependency}) (tablesOf buildKinds manifest);

  field =
    name: root: manifest:
    let
      own = manifest.package.${name} or null;
      shared = root.workspace.package.${name} or null;
    in
    if isAttrs own && (own.workspace or false) then shared else own;
in
{
  inherit
    binsOf
    closure
    dependsOn
    expand
    field
    localDependencies
    ;

  # Reads the workspace at `src`: { root, members, crates }, each crate with folder, manifest, name, bins and the
  # files that stand for it when its code is left out.
  read =
    src:
    let
      at = path: src + "/${path}";
      root = fromTOML (readFile (at "Cargo.toml"));
      foldersBelow =
        folder:
        let
          entries = readDir (at folder);
        in
        filter (name: entries.${name} == "directory" && pathExists (at "${folder}/${name}/Cargo.toml")) (
          attrNames entries
        );
      excluded = root.workspace.exclude or [ ];
      members =
        filter (folder: !elem folder excluded) (
          concatMap (expand foldersBelow) (root.workspace.members or [ ])
        )
        ++ optional (root ? package) ".";
      programFiles =
        folder:
        let
          inside = if pathExists (at "${folder}/src/bin") then readDir (at "${folder}/src/bin") else { };
          stem = name: match "(.+)[.]rs" name;
        in
        concatMap (
          name:
          if inside.${name} == "directory" then
            optional (pathExists (at "${folder}/src/bin/${name}/main.rs")) name
          else if stem name != null then
            stem name
          else
            [ ]
        ) (attrNames inside);
      crate =
        folder:
        let
          manifest = fromTOML (readFile (at "${folder}/Cargo.toml"));
          has = file: pathExists (at "${folder}/${file}");
        in
        {
          inherit folder manifest;
          inherit (manifest.package) name;
          bins = binsOf manifest {
            mainFile = has "src/main.rs";
            binFiles = programFiles folder;
          };
          stubs =
            optional (manifest ? lib || has "src/lib.rs") (manifest.lib.path or "src/lib.rs")
            ++ optional (has "src/main.rs") "src/main.rs"
            ++ map (bin: bin.path) (filter (bin: bin ? path) (manifest.bin or [ ]));
        };
    in
    {
      inherit root members;
      manifests = listToAttrs (
        map (folder: {
          name = folder;
          value = (crate folder).manifest;
        }) members
      );
      crates = listToAttrs (
        map (folder: {
          inherit ((crate folder)) name;
          value = crate folder;
        }) members
      );
    };
}
