# cargo's configuration, of the workspace's folder and of those above it: which files it names, and which crates it takes from
# the repository. Only builtins.
let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatMap
    elem
    filter
    head
    isAttrs
    isList
    isString
    map
    match
    replaceStrings
    split
    substring
    ;
  paths = import ./paths.nix;
  toml = import ./toml.nix;
  inherit (import ../lists.nix) known unique;

  asList = it: if isList it then it else [ it ];
  textsIn =
    it:
    if isString it then
      [ it ]
    else if isAttrs it || isList it then
      concatMap textsIn (if isAttrs it then attrValues it else it)
    else
      [ ];
  words = text: filter (word: isString word && word != "") (split "[[:space:]=,]+" text);
  # What a flag such as "-Tlink.x" or "@arguments" has behind its letter.
  behind =
    word:
    if match "-[A-Za-z].+" word != null then
      [ (substring 2 (-1) word) ]
    else if match "@.+" word != null then
      [ (substring 1 (-1) word) ]
    else
      [ ];
  mayBePaths = text: [ text ] ++ words text ++ concatMap behind (words text);

  # Where a build finds what it runs, links with and hands to the compiler.
  textsOf =
    tables:
    textsIn [
      (removeAttrs (tables.build or { }) [
        "build-dir"
        "target-dir"
      ])
      (tables.host or { })
      (tables.target or { })
      (map (it: if isAttrs it && it.relative or false then it.value or "" else "") (
        attrValues (tables.env or { })
      ))
    ];
  # Crates that the repository holds in place of others.
  foldersOf =
    tables:
    concatMap (source: filter isString (map (kind: source.${kind} or null) localKinds)) (
      attrValues (tables.source or { })
    )
    ++ tables.paths or [ ];
  localKinds = [
    "directory"
    "local-registry"
  ];

  # A source as Cargo.lock names it, without what is encoded.
  decoded = replaceStrings [ "%2F" "%2f" "%23" "%2B" "%2b" ] [ "/" "/" "#" "+" "+" ];
  cratesIo = "registry+https://github.com/rust-lang/crates.io-index";
in
{
  inherit decoded;

  # => [ { file, base, tables } ], base the folder that its paths are seen from, or null when that is outside.
  read =
    view: at:
    let
      # cargo takes the old name where both are there.
      inFolder =
        folder:
        let
          present = filter view.isFile (
            map (name: paths.join folder ".cargo/${name}") [
              "config"
              "config.toml"
            ]
          );
        in
        if present == [ ] then [ ] else [ (head present) ];
      look = file: {
        key = file;
        inherit file;
        base = paths.join (paths.parent file) "..";
        tables = toml.read file (view.read file);
      };
      included =
        { file, tables, ... }:
        filter (path: path != null && view.isFile path) (
          map (entry: paths.join (paths.parent file) (if isAttrs entry then entry.path else entry)) (
            asList (tables.include or [ ])
          )
        );
    in
    builtins.genericClosure {
      startSet = map look (concatMap inFolder (paths.upwards at));
      operator = config: map look (included config);
    };

  # Files and folders that compiling reads because of `configs`. `folders` are those of crates: what holds one is not meant.
  named =
    {
      view,
      at,
      folders,
      configs,
    }:
    let
      isMeant =
        path:
        path != null
        && path != "."
        && (view.isFile path || view.isFolder path)
        && all (folder: !paths.within path folder) folders;
      of =
        {
          base,
          tables,
          file,
          ...
        }:
        let
          join = from: if from == null then _: null else paths.join from;
          texts = concatMap mayBePaths (textsOf tables);
        in
        [ file ]
        ++ filter isMeant (map (join base) texts ++ map (paths.join at) texts)
        ++ known (map (join base) (foldersOf tables));
    in
    unique (concatMap of configs);

  # Whether a crate of Cargo.lock is one that the repository holds, by a source in the place of its own.
  isHeld =
    configs:
    let
      sources = builtins.foldl' (all: more: all // more) { } (
        map (config: config.tables.source or { }) configs
      );
      isLocal =
        name:
        let
          source = sources.${name} or { };
        in
        builtins.any (kind: source ? ${kind}) localKinds
        || source ? replace-with && source.replace-with != name && isLocal source.replace-with;
      local = filter isLocal (attrNames sources);
      stands =
        locked: name:
        let
          source = sources.${name};
          parts = filter isString (split "[?#&]" locked);
        in
        name == "crates-io" && locked == cratesIo
        ||
          source ? registry
          && elem locked [
            "registry+${source.registry}"
            source.registry
          ]
        ||
          source ? git
          && head parts == "git+${source.git}"
          &&
            all
              (
                kind:
                elem (source ? ${kind}) [
                  false
                  (elem "${kind}=${source.${kind} or ""}" parts)
                ]
              )
              [
                "branch"
                "rev"
                "tag"
              ];
    in
    entry: builtins.any (stands (decoded (entry.source or ""))) local;
}
