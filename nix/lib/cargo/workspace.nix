# Reads a workspace as cargo does: which crates belong to it, what each makes, and which of each other they need.
# The rules are those of "Workspaces" in the Cargo Book and of cargo's own src/cargo/core/workspace.rs; a test compares them
# with `cargo metadata`. Nothing is thrown: `problems` says what is wrong, and is to be looked at first. Only builtins.
let
  inherit (builtins)
    any
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    groupBy
    head
    length
    listToAttrs
    map
    ;
  configuration = import ./config.nix;
  glob = import ./glob.nix;
  manifests = import ./manifest.nix;
  paths = import ./paths.nix;
  targets = import ./targets.nix;
  toml = import ./toml.nix;
  inherit (import ../lists.nix) known reach unique;

  or' = fallback: value: if value == null then fallback else value;
  said = folder: if folder == "." then "`src`" else "`${folder}`";
in
{
  # `view` shows the files of `src`; `at` is the folder of the workspace's Cargo.toml in it.
  # => { root, at, configs, crates (by folder), members, defaults, patched, otherRoots, problems }
  read =
    view: at:
    let
      manifestIn = folder: paths.join folder "Cargo.toml";
      has = folder: folder != null && view.isFile (manifestIn folder);
      parse = view.once (
        folder:
        let
          manifest = toml.read (manifestIn folder) (view.read (manifestIn folder));
        in
        # The old name of the table.
        if manifest ? project && !manifest ? package then
          manifest // { package = manifest.project; }
        else
          manifest
      );
      present = filter has;

      root = parse at;
      config = root.workspace or { };

      # The nearest folder above with [workspace], or the one that the crate names; null when there is none.
      rootAbove =
        folder:
        let
          above =
            here:
            if has here && (parse here) ? workspace then
              here
            else if here == "." then
              null
            else
              above (paths.parent here);
          named = (parse folder).package.workspace or null;
        in
        if named == null then above folder else paths.join folder named;

      expand =
        pattern: filter (folder: !glob.isPattern pattern || has folder) (glob.expand view at pattern);
      plain = patterns: filter (pattern: !glob.isPattern pattern) patterns;
      # `members` wins over `exclude`; both mean a folder with everything below.
      covers = folders: folder: any (outer: paths.within outer folder) folders;
      named = map (paths.join at);
      isExcluded =
        folder:
        covers (known (named (config.exclude or [ ]))) folder
        && !covers (known (named (plain (config.members or [ ])))) folder;
      belongs = folder: !isExcluded folder && (paths.within at folder || rootAbove folder == at);

      # Path dependencies of a workspace's members are members without being listed.
      members =
        if root ? workspace then
          reach
            (
              filter (folder: !isExcluded folder) (present (concatMap expand (config.members or [ ])))
              ++ (if root ? package then [ at ] else [ ])
            )
            (
              folder:
              filter belongs (
                present (map (local: local.folder) (manifests.localsOf manifests.all at root folder (parse folder)))
              )
            )
        else
          [ at ];
      isMember = folder: elem folder members;

      rootFolderOf = folder: if isMember folder then at else or' folder (rootAbove folder);
      rootManifestOf = folder: if isMember folder then root else parse (rootFolderOf folder);
      # Of crates that are no members tests are not built, nor what only tests need.
      localsOf =
        folder:
        manifests.localsOf (
          if isMember folder then manifests.all else manifests.buildKinds
        ) (rootFolderOf folder) (rootManifestOf folder) folder (parse folder);
      configs = configuration.read view at;
      # cargo's configuration may patch as well.
      patches =
        manifests.patchesOf at root
        ++ concatMap (
          config:
          if config.base == null then
            [ ]
          else
            manifests.patchesOf config.base { patch = config.tables.patch or { }; }
        ) configs;

      # Everything that is compiled from `src`.
      folders = reach (members ++ present (map (patch: patch.folder) patches)) (
        folder: present (map (local: local.folder) (localsOf folder))
      );

      crate =
        folder:
        let
          manifest = parse folder;
          rootManifest = rootManifestOf folder;
          field = name: manifests.field name rootManifest manifest;
          edition = or' "2015" (field "edition");
          found = targets.of {
            inherit
              view
              folder
              manifest
              edition
              ;
          };
        in
        {
          inherit edition folder manifest;
          inherit (manifest.package) name;
          version = or' "0.0.0" (field "version");
          description = field "description";
          license = field "license";
          repository = field "repository";
          rustVersion = field "rust-version";
          # Of the workspace that it inherits from: its own, or another.
          rootFolder = rootFolderOf folder;
          inherit rootManifest;
          isMember = isMember folder;
          targets = found;
          crateTypes = targets.crateTypes found.lib;
          needs = unique (
            present (
              map (local: local.folder) (
                manifests.localsOf manifests.buildKinds (rootFolderOf folder) rootManifest folder manifest
              )
            )
          );
        };
      crates = listToAttrs (
        map (name: {
          inherit name;
          value = crate name;
        }) folders
      );

      beyond = "is outside of `src`: give `src` the folder that holds both, and `cargoRoot`, the workspace's folder in it";
      noManifest = "has no Cargo.toml: mend the path, or `git add` the folder";
      wrong =
        who: local:
        if local.folder == null then
          [ "${who} names `${local.path}`, which ${beyond}" ]
        else if !has local.folder then
          [ "${who} names `${local.path}`, and ${said local.folder} ${noManifest}" ]
        else
          [ ];

      outer = if root ? workspace then null else rootAbove at;
      outerExcludes = covers (known (map (paths.join outer) ((parse outer).workspace.exclude or [ ]))) at;
      # Folders that may have been meant, as deep as repositories keep them.
      below =
        depth: folder:
        concatMap (
          name:
          let
            path = paths.join folder name;
          in
          if builtins.match "[.].*|target|node_modules" name != null then
            [ ]
          else if has path then
            [ path ]
          else if depth > 1 then
            below (depth - 1) path
          else
            [ ]
        ) (attrNames (view.entries folder));
      meant =
        let
          found = below 3 (if view.isFolder at then at else ".");
        in
        builtins.genList (builtins.elemAt found) (if length found > 5 then 5 else length found);
      names = groupBy (folder: (parse folder).package.name or "") members;
    in
    if !has at then
      {
        problems = [
          (
            "`src` has no ${manifestIn at}: "
            + (
              if meant == [ ] then
                "give the folder of a Cargo workspace${
                  if at == "." then "" else " as `cargoRoot`"
                }, and `git add` its files, for a flake sees only those"
              else
                "set `cargoRoot` to the workspace's folder, such as ${
                  concatStringsSep " or " (map (folder: "\"${folder}\"") meant)
                }"
            )
          )
        ];
      }
    else
      {
        inherit
          at
          configs
          crates
          members
          root
          ;
        # What cargo works on when it is not told otherwise.
        defaults =
          if config ? default-members then
            filter isMember (unique (concatMap expand config.default-members))
          else if root ? package then
            [ at ]
          else
            members;
        # Every program may be built from these, through crates of a registry.
        patched = present (map (patch: patch.folder) patches);
        # Roots that crates beside the workspace inherit from.
        otherRoots = filter (folder: folder != at && !crates ? ${folder}) (
          unique (map (folder: crates.${folder}.rootFolder) folders)
        );
        problems =
          (
            if root ? package || root ? workspace then
              [ ]
            else
              [
                "${manifestIn at} has neither [package] nor [workspace]: give the folder of a crate or of a workspace"
              ]
          )
          ++ (
            if outer == null || outer == at || outerExcludes then
              [ ]
            else
              [ "${manifestIn at} belongs to the workspace in ${said outer}: set `cargoRoot = \"${outer}\"`" ]
          )
          ++ concatMap (
            pattern:
            wrong "`members` in ${manifestIn at}" {
              path = pattern;
              folder = paths.join at pattern;
            }
          ) (plain (config.members or [ ]))
          ++ concatMap (folder: concatMap (wrong (manifestIn folder)) (localsOf folder)) folders
          ++ concatMap (wrong "[patch] in ${manifestIn at}") patches
          ++ concatMap (
            name:
            if name == "" then
              [ "${manifestIn (head names.${name})} has no `name` in [package]: give it one" ]
            else if length names.${name} > 1 then
              [
                "the members ${
                  concatStringsSep " and " (map said names.${name})
                } have one name, `${name}`: give each its own"
              ]
            else
              [ ]
          ) (attrNames names);
      };

  # Folders of crates and of all that they are built from, in order.
  closure =
    workspace: folders: reach (folders ++ workspace.patched) (folder: workspace.crates.${folder}.needs);
}
