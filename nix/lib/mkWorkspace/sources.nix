# Which files each derivation reads, so that an edit elsewhere rebuilds nothing.
{
  lib,
  src,
  workspace,
  cargo,
  extraSources,
  testSources,
}:
let
  inherit (lib) fileset;
  at = path: src + "/${path}";
  existing = path: fileset.maybeMissing (at path);

  # All manifests are always there: cargo resolves the whole workspace, and `--locked` must find nothing changed.
  manifests = fileset.unions (
    [
      (at "Cargo.toml")
      (at "Cargo.lock")
      (existing ".cargo/config.toml")
    ]
    ++ map (folder: at "${folder}/Cargo.toml") workspace.members
  );

  # What compiling a crate reads. Tests, benches, examples and prose are not part of it.
  codeOf =
    folder:
    fileset.unions (
      map (part: existing "${folder}/${part}") [
        "src"
        "build.rs"
        "migrations"
        "templates"
      ]
    );

  everythingOf =
    folder: fileset.difference (at folder) (fileset.fileFilter (file: file.hasExt "md") (at folder));

  closureOf = crate: cargo.closure workspace.root workspace.manifests crate.folder;

  # The descriptions of queries concern only what has queries.
  queriesOf =
    folders:
    lib.optional (lib.any (folder: cargo.dependsOn "sqlx" workspace.manifests.${folder}) folders) (
      existing ".sqlx"
    );

  toSource =
    parts:
    fileset.toSource {
      root = src;
      fileset = fileset.unions parts;
    };

  whole = [
    manifests
    (existing ".sqlx")
    (existing ".config/nextest.toml")
    (existing "clippy.toml")
    (existing "rustfmt.toml")
    (existing "deny.toml")
  ]
  ++ map everythingOf workspace.members
  ++ extraSources;
in
{
  # Of one crate's programs: its code and that of the crates it is built from.
  program =
    crate:
    let
      folders = closureOf crate;
    in
    toSource ([ manifests ] ++ queriesOf folders ++ map codeOf folders ++ extraSources);

  # Shell that writes empty files for the crates whose code was left out: cargo wants their targets to be there.
  stubsFor =
    crate:
    let
      folders = closureOf crate;
      left = lib.filter (other: !lib.elem other.folder folders) (lib.attrValues workspace.crates);
      files = lib.concatMap (other: map (stub: "${other.folder}/${stub}") other.stubs) left;
    in
    lib.concatMapStrings (file: ''
      mkdir -p ${lib.escapeShellArg (dirOf file)}
      : > ${lib.escapeShellArg file}
    '') files;

  # Of lints, and of the dependencies' build, which keeps of it only what names dependencies.
  whole = toSource whole;

  # Of the documentation of the crates.
  documented = toSource (
    [
      manifests
      (existing ".sqlx")
    ]
    ++ map codeOf workspace.members
    ++ extraSources
  );

  # Of tests, which also read what they compare with.
  tested = toSource (whole ++ testSources);

  # Of the check of all TOML files.
  toml = toSource [
    (fileset.fileFilter (file: file.hasExt "toml") src)
    manifests
  ];
}
