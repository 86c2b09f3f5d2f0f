# Reads a workspace as cargo does: which crates belong to it, what each makes, and which of each other they need.
# The rules are those of "Workspaces" in the Cargo Book and of cargo's own src/cargo/core/workspace.rs; a test compares them
# with `cargo metadata`. Nothing is thrown: `problems` says what is wrong, and is to be looked at first. Only builtins.
#
# What it reads from:  view (files), toml, manifest (one Cargo.toml), glob (patterns of `members`), targets, config, problems.
# What reads it:       selection (what is built together) with features, code (which files a crate reads) with literals,
#                      skeleton (what stands for crates whose code is not there).
let
  inherit (builtins)
    any
    concatMap
    elem
    filter
    listToAttrs
    map
    ;
  configuration = import ./config.nix;
  glob = import ./glob.nix;
  manifests = import ./manifest.nix;
  paths = import ./paths.nix;
  problems = import ./problems.nix;
  targets = import ./targets.nix;
  toml = import ./toml.nix;
  inherit (import ../lists.nix)
    known
    optional
    reach
    unique
    ;

  or' = fallback: value: if value == null then fallback else value;
in
{
  # `view` shows the files of `src`; `at` is the folder of the workspace's Cargo.toml in it.
  # => { root, at, outer, configs, crates (by folder), members, named, defaults, patches, patched, otherRoots, problems }
  read =
    view: at:
    let
      has = manifests.isIn view;
      parse = view.once (
        folder:
        let
          manifest = toml.read (manifests.fileIn folder) (view.read (manifests.fileIn folder));
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
              ++ optional (root ? package) at
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
      folders = reach (members ++ workspace.patched) (
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
          # What it names by path: [ { path, folder } ].
          locals = localsOf folder;
          targets = found;
          crateTypes = targets.crateTypes found.lib;
          # Folders of what it is built from.
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

      # The workspace above that the root belongs to; null when it is one of its own.
      outer =
        let
          above = if root ? workspace then null else rootAbove at;
          excluded = map (paths.join above) ((parse above).workspace.exclude or [ ]);
        in
        if above == at || above != null && covers (known excluded) at then null else above;

      workspace = {
        inherit
          at
          configs
          crates
          members
          outer
          patches
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
        # What `members` names without a pattern.
        named = plain (config.members or [ ]);
        problems = problems.of view workspace;
      };
    in
    if has at then workspace else { problems = [ (problems.noRoot view at) ]; };

  # Folders of crates and of all that they are built from, in order.
  closure =
    workspace: folders: reach (folders ++ workspace.patched) (folder: workspace.crates.${folder}.needs);
}
