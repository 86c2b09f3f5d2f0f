# Which files each derivation reads, so that an edit elsewhere rebuilds nothing.
{
  lib,
  pkgs,
  source,
  view,
  workspace,
  lock,
  lockText,
  cargoLock,
  dependencySources,
  exclude,
  extraSources,
  testSources,
}:
let
  inherit (lib) fileset;
  code = import ../cargo/code.nix;
  cargo = import ../cargo/workspace.nix;
  configuration = import ../cargo/config.nix;
  manifests = import ../cargo/manifest.nix;
  paths = import ../cargo/paths.nix;
  skeletons = import ../cargo/skeleton.nix;
  tree = import ../cargo/tree.nix;

  inherit (workspace) at;
  folders = lib.attrNames workspace.crates;
  path = relative: if relative == "." then source.path else source.path + "/${relative}";
  # What is not there adds nothing.
  existing = relative: fileset.maybeMissing (path relative);
  atRoot = name: existing (paths.join at name);

  # Everything, for what follows symbolic links.
  everything = fileset.difference (path ".") (
    fileset.unions (
      map (
        name:
        fileset.unions [
          (existing name)
          (atRoot name)
        ]
      ) tree.made
    )
  );

  # Files that are taken, or left out, whatever they say: one may hold what Nix cannot read.
  codeView =
    let
      relative = file: lib.removePrefix "${toString source.path}/" (toString file);
      taken = map relative (allExtra ++ testSources ++ dependencySources);
      left = map relative exclude;
      isUnread = file: lib.elem file taken || lib.any (folder: paths.within folder file) left;
    in
    view // { read = file: if isUnread file then "" else view.read file; };

  partsOf =
    withTests: folder:
    let
      crate = workspace.crates.${folder};
      found = code.of {
        inherit
          at
          folders
          crate
          withTests
          ;
        view = codeView;
      };
      files = fileset.difference (path folder) (fileset.unions (map existing found.without));
    in
    {
      stubs =
        if withTests || found.hasLinks then
          [ ]
        else
          code.stubsOf {
            inherit crate;
            inherit (found) without;
          };
      fileset =
        if found.hasLinks then everything else fileset.unions ([ files ] ++ map path found.outside);
    };
  # Each crate is looked at once.
  programParts = lib.genAttrs folders (partsOf false);

  # Files that a symbolic link leads to are laid in as texts: where the link leads cannot be read.
  linked = lib.genAttrs (lib.filter (tree.isLink view) (
    lib.filter view.isFile (
      [
        (paths.join at "Cargo.lock")
        (paths.join at "Cargo.toml")
      ]
      ++ map (config: config.file) workspace.configs
    )
  )) view.read;
  links = lib.filter (file: view.typeOf file == "symlink") (
    lib.concatMap paths.upwards (lib.attrNames linked)
  );
  withoutLinks =
    parts: fileset.difference (fileset.unions parts) (fileset.unions (map existing links));

  # What every build reads. cargo reads the configuration of each folder above the one that it is called in.
  named = lib.filter (file: !linked ? ${file}) (
    configuration.named {
      inherit at folders view;
      inherit (workspace) configs;
    }
  );
  always = withoutLinks (
    map (folder: existing (paths.join folder ".cargo")) (paths.upwards at)
    ++ map existing named
    ++ dependencySources
  );
  # Linkers and the like are started as they are, and a build has no /usr/bin/env.
  startable = lib.subtractLists (map (config: config.file) workspace.configs) (
    lib.filter view.isFile named
  );
  makeStartable = lib.optionalString (startable != [ ]) (
    "patchShebangs --build"
    + lib.concatMapStrings (
      file: " \"$NIX_BUILD_TOP\"/${lib.escapeShellArg "source/${file}"}"
    ) startable
    + "\n"
  );

  inheritedFrom = map (folder: path (paths.join folder "Cargo.toml")) workspace.otherRoots;
  rootManifest = withoutLinks (
    [
      (atRoot "Cargo.lock")
      always
    ]
    ++ lib.optional (!workspace.crates ? ${at}) (path (paths.join at "Cargo.toml"))
    ++ inheritedFrom
  );

  # The descriptions of queries, under their names since sqlx 0.7 and before, concern only what has queries.
  queries = map atRoot [
    ".sqlx"
    "sqlx-data.json"
  ];
  queriesOf =
    used:
    lib.optionals (lib.any (
      folder: manifests.dependsOn "sqlx" workspace.crates.${folder}
    ) used) queries;

  extraOf =
    used:
    if used == [ ] then
      [ ]
    else if lib.isList extraSources then
      extraSources
    else
      lib.concatMap (folder: extraSources.${workspace.crates.${folder}.name} or [ ]) used;

  # Variables with passwords, in whatever folder: taken only where an argument names the very file.
  secrets = fileset.difference (fileset.fileFilter (file: tree.isSecret file.name) source.path) (
    fileset.unions (
      lib.filter (file: tree.isSecret (baseNameOf file)) (allExtra ++ testSources ++ dependencySources)
    )
  );
  # Tokens of registries: cargo looks for them in its own home, and the store is no place for them.
  credentials = lib.concatMap (
    folder:
    map (name: existing (paths.join folder ".cargo/${name}")) [
      "credentials"
      "credentials.toml"
    ]
  ) (lib.unique (paths.upwards at ++ folders));

  toSource =
    parts:
    fileset.toSource {
      root = source.path;
      fileset = source.limit (
        fileset.difference (fileset.unions parts) (
          fileset.unions ([ secrets ] ++ credentials ++ map fileset.maybeMissing exclude)
        )
      );
    };

  # path -> text as a folder. Its name is the folder's in which sources are unpacked: compiled dependencies fit only there.
  written =
    files: extra:
    pkgs.buildPackages.runCommandLocal "source" { } (
      ''
        mkdir -p $out
      ''
      + lib.concatStrings (
        lib.mapAttrsToList (name: text: ''
          mkdir -p ${lib.escapeShellArg "${placeholder "out"}/${dirOf name}"}
          cp ${builtins.toFile "file" text} ${lib.escapeShellArg "${placeholder "out"}/${name}"}
        '') files
      )
      + extra
    );

  givenLock = lib.optionalAttrs (cargoLock != null) { ${paths.join at "Cargo.lock"} = lockText; };

  stubsOf =
    used:
    lib.listToAttrs (
      map (file: lib.nameValuePair file "fn main() {}\n") (
        lib.concatMap (folder: programParts.${folder}.stubs) used
      )
    );
  standIns = skeletons.some workspace;
  withCode = skeletons.compiledByRegistry workspace lock;

  # A source, and what is laid into it once it is unpacked: stand-ins of the crates that are not in it.
  laidOut =
    parts: used:
    let
      left = lib.subtractLists used folders;
      files = standIns left // stubsOf used // linked // givenLock;
    in
    {
      src = toSource parts;
      sourceRoot = paths.join "source" at;
      postUnpack = lib.optionalString (files != { } || startable != [ ]) (
        ''
          chmod -R u+w "$NIX_BUILD_TOP/source"
        ''
        + lib.optionalString (files != { }) ''
          cp -r --no-preserve=mode ${written files ""}/. "$NIX_BUILD_TOP/source"
        ''
        + makeStartable
      );
    };

  settings = map atRoot [
    ".clippy.toml"
    ".config"
    ".rustfmt.toml"
    ".taplo.toml"
    "clippy.toml"
    "deny.toml"
    "rustfmt.toml"
    "taplo.toml"
  ];

  # What lints and tests read.
  checked = [
    rootManifest
  ]
  ++ settings
  ++ queries
  ++ map (folder: (partsOf true folder).fileset) folders
  ++ allExtra;
  allExtra =
    if lib.isList extraSources then extraSources else lib.concatLists (lib.attrValues extraSources);
in
{
  # crate -> target -> whether only a nightly compiler takes it.
  needsNightly =
    crate: target:
    let
      file = paths.join crate.folder target.path;
    in
    file != null && view.isFile file && code.needsNightly (codeView.read file);

  # Of programs of the given crates: their code and that of the crates they are built from.
  program =
    crateFolders:
    let
      used = cargo.closure workspace crateFolders;
    in
    laidOut (
      [ rootManifest ]
      ++ queriesOf used
      ++ map (folder: programParts.${folder}.fileset) used
      ++ extraOf used
    ) used;

  # Of all dependencies: no code at all, but for crates that take the place of a registry's.
  skeleton = {
    src = written (linked // skeletons.whole workspace lockText // stubsOf withCode) ''
      cp -r ${
        toSource (
          [ always ]
          ++ inheritedFrom
          ++ map (folder: programParts.${folder}.fileset) withCode
          ++ extraOf withCode
        )
      }/. $out
      # The configuration may name programs beside it, which stay executable.
      chmod -R u+w $out
    '';
    sourceRoot = paths.join "source" at;
    postUnpack = makeStartable;
  };

  # Of lints: everything that belongs to the crates.
  whole = laidOut checked folders;

  # Of the documentation of the crates.
  documented = laidOut (
    [ rootManifest ] ++ queries ++ map (folder: programParts.${folder}.fileset) folders ++ allExtra
  ) folders;

  # Of tests, which also read what they compare with.
  tested = laidOut (checked ++ testSources) folders;

  # Of the check of all TOML files.
  toml = {
    src = toSource [
      (fileset.fileFilter (file: file.hasExt "toml") source.path)
      rootManifest
    ];
    sourceRoot = paths.join "source" at;
  };
}
