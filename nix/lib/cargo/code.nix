# Which files compiling a crate reads, beyond its own sources: looked up in what the code says. Only builtins.
let
  inherit (builtins)
    any
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    head
    isList
    match
    replaceStrings
    split
    ;
  paths = import ./paths.nix;

  contains = text: part: replaceStrings [ part ] [ "" ] text != text;

  # Never part of a build: what cargo and Nix themselves make, and the history.
  made = [
    ".direnv"
    ".git"
    ".jj"
    "node_modules"
    "target"
  ];
  testFolders = [
    "benches"
    "examples"
    "tests"
  ];

  isProse =
    name:
    match "([.].*|.*[.](md|nix)|(LICEN[CS]E|COPYING|NOTICE|AUTHORS|CHANGELOG|README).*|flake[.]lock|docs?|book|result.*)" name
    != null;
  # Hidden, and read by the build all the same.
  isRead =
    name:
    elem name [
      ".cargo"
      ".sqlx"
    ];
in
rec {
  inherit made;

  # All files below a crate's folder but those of crates inside it: [ { path, type } ].
  filesOf =
    view: skip: folder:
    let
      entries = view.entries folder;
    in
    concatMap (
      name:
      let
        path = paths.join folder name;
      in
      if skip path name then
        [ ]
      else if entries.${name} == "directory" then
        filesOf view skip path
      else
        [
          {
            inherit path;
            type = entries.${name};
          }
        ]
    ) (attrNames entries);

  # What literals such as "../../proto/a.proto" in a file lead to outside of its crate: of include_str!, of build scripts,
  # of #[path]. Folders above the crate are not meant by them.
  beyond =
    view: folder: path: text:
    let
      literals = concatMap (part: if isList part then [ (head part) ] else [ ]) (
        split "\"/?([.][.]/[^\"\n{}]*)\"" text
      );
      leadsOut =
        target:
        target != null
        && target != "."
        && !paths.within folder target
        && !paths.within target folder
        && (view.isFile target || view.isFolder target);
    in
    if contains text "\"../" || contains text "\"/../" then
      filter leadsOut (
        concatMap (literal: [
          (paths.join (paths.parent path) literal)
          (paths.join folder literal)
        ]) literals
      )
    else
      [ ];

  # => { without, outside, hasLinks }: paths in the crate's folder that compiling does not read, paths outside that it does,
  # and whether a symbolic link is among what it reads. `withTests`: as tests and lints see it.
  of =
    {
      view,
      # Folders of all crates.
      folders,
      crate,
      withTests ? false,
    }:
    let
      inherit (crate) folder targets;
      nested = filter (other: other != folder && paths.within folder other) folders;
      entries = view.entries folder;
      names = attrNames entries;

      # What cannot be left out, whatever it is called.
      declared = map (target: head (paths.segments target.path)) (
        targets.bins ++ (if targets.lib == null then [ ] else [ targets.lib ])
      );
      buildFiles =
        if targets.build == null then
          [ ]
        else if isList targets.build then
          targets.build
        else
          [ targets.build ];
      isNeeded =
        name: elem name (declared ++ map (file: head (paths.segments file)) buildFiles ++ [ "Cargo.toml" ]);

      isTests = name: !withTests && elem name testFolders;
      doubtful = filter (name: !isNeeded name && !isRead name && (isTests name || isProse name)) names;

      skipAlways = path: name: elem path nested || elem name made;
      files = filesOf view (
        path: name: skipAlways path name || (paths.parent path == folder && elem name doubtful)
      ) folder;
      code = map (file: file // { text = view.read file.path; }) (
        filter (file: match ".*[.]rs" file.path != null) files
      );
      text = concatStringsSep "\n" (map (file: file.text) code);

      # A folder is meant only where it stands as a part of a path.
      isMentioned =
        name:
        if elem name testFolders || entries.${name} == "directory" then
          any (contains text) [
            "\"${name}\""
            "\"${name}/"
            "/${name}/"
            "/${name}\""
          ]
        else
          contains text name;
      left = filter (name: !isMentioned name) doubtful;
      # Of what was doubtful and is read.
      more = filesOf view (
        path: name:
        skipAlways path name || (paths.parent path == folder && !elem name doubtful || elem name left)
      ) folder;
    in
    {
      without = nested ++ map (paths.join folder) (left ++ filter (name: elem name made) names);
      outside = builtins.attrNames (
        builtins.groupBy (it: it) (concatMap (file: beyond view folder file.path file.text) code)
      );
      hasLinks = any (file: file.type == "symlink") (files ++ more) || isLink view folder;
    };

  isLink =
    view: path: path != "." && (view.typeOf path == "symlink" || isLink view (paths.parent path));

  # Targets that the manifest names and whose files are left out: cargo wants the files to be there.
  stubsOf =
    { crate, without }:
    let
      declaredIn = section: crate.manifest.${section} or [ ] != [ ];
      all =
        section: field:
        if declaredIn section then
          map (target: paths.join crate.folder target.path) crate.targets.${field}
        else
          [ ];
    in
    filter (path: any (left: paths.within left path) without) (
      all "example" "examples" ++ all "test" "tests" ++ all "bench" "benches"
    );
}
