# Which files compiling a crate reads, beyond its own sources: looked up in what the code says. Only builtins.
let
  inherit (builtins)
    any
    attrNames
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    head
    isString
    length
    match
    replaceStrings
    split
    stringLength
    substring
    ;
  paths = import ./paths.nix;
  inherit (import ../lists.nix) known reach;

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
    match "([.].*|.*[.](md|nix)|(LICEN[CS]E|COPYING|NOTICE|AUTHORS|CHANGELOG|README).*|flake[.]lock|result(-.*)?)" name
    != null;
  settingsOfMacros = [
    "Tauri.toml"
    "askama.toml"
    "tauri.conf.json"
    "tauri.conf.json5"
  ];
  proseFolders = [
    "book"
    "doc"
    "docs"
  ];
  # Hidden, and read all the same: by builds, and by lints and tests besides.
  isRead =
    withTests: name:
    elem name (
      [
        ".cargo"
        ".sqlx"
      ]
      ++ (
        if withTests then
          [
            ".clippy.toml"
            ".config"
            ".rustfmt.toml"
          ]
        else
          [ ]
      )
    );
  # Whether a text ends a path with this name, and whether it goes on below it.
  endsWith =
    text: name:
    any (contains text) [
      "\"${name}\""
      "/${name}\""
    ];
  goesBelow =
    text: name:
    any (contains text) [
      "\"${name}/"
      "/${name}/"
    ];
  names' = text: name: endsWith text name || goesBelow text name;
in
rec {
  inherit made;

  # Whether a file asks for what only a nightly compiler has.
  needsNightly = text: contains text "#![feature(";

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
    view: nested: folder: path: text:
    let
      # Cut at every quote: an expression for whole literals overflows the stack on a long line.
      literals = filter (part: isString part && contains part "../" && !contains part "\n") (
        split "\"" text
      );
      # Without what stands for the crate's folder, such as "$CARGO_MANIFEST_DIR/", and the folder alone of "../data/{}.txt".
      upwards =
        literal:
        let
          named = split "[{]" (substring (stringLength (head (split "[.][.]/" literal))) (-1) literal);
        in
        if length named == 1 then head named else paths.parent "${head named}_";
    in
    if contains text "../" then
      filter (leadsOut view nested folder) (
        concatMap (literal: [
          (paths.join (paths.parent path) (upwards literal))
          (paths.join folder (upwards literal))
        ]) literals
      )
    else
      [ ];

  # What code outside of the crate leads to: the modules beside it, and what its literals name.
  besides =
    view: nested: folder: path:
    if view.isFile path && match ".*[.]rs" path != null then
      let
        text = view.read path;
        inner = substring 0 (stringLength path - 3) path;
      in
      filter (leadsOut view nested folder) (
        (if match "(.*/)?(mod|main|lib)[.]rs" path != null then [ (paths.parent path) ] else [ inner ])
        # A file that #[path] names has its modules beside it, whatever it is called.
        ++ concatMap (
          part:
          if isString part then
            [ ]
          else
            map (paths.join (paths.parent path)) [
              "${elemAt part 1}.rs"
              (elemAt part 1)
            ]
        ) (split "mod[[:space:]]+(r#)?([A-Za-z0-9_]+)[[:space:]]*;" text)
        ++ beyond view nested folder path text
        # What it includes lies beside it as well.
        ++ filter (file: file != null && view.isFile file) (
          map (paths.join (paths.parent path)) (
            filter (part: isString part && stringLength part < 200 && match "[^\n]+" part != null) (
              split "\"" text
            )
          )
        )
      )
    else
      [ ];

  # A crate inside the folder is not part of the crate.
  leadsOut =
    view: nested: folder: target:
    target != null
    && target != "."
    && !elem (head (paths.segments target)) made
    && (!paths.within folder target || any (inner: paths.within inner target) nested)
    && !paths.within target folder
    && (view.isFile target || view.isFolder target);

  # => { without, outside, hasLinks }: paths in the crate's folder that compiling does not read, paths outside that it does,
  # and whether a symbolic link is among what it reads. `withTests`: as tests and lints see it.
  of =
    {
      view,
      # Folders of all crates, and of the workspace.
      folders,
      at,
      crate,
      withTests ? false,
    }:
    let
      inherit (crate) folder targets;
      nested = filter (other: other != folder && paths.within folder other) folders;
      entries = view.entries folder;
      names = attrNames entries;

      # What cannot be left out, whatever it is called.
      declared =
        map (target: target.path) (targets.bins ++ (if targets.lib == null then [ ] else [ targets.lib ]))
        ++ targets.build
        ++ (
          if withTests then
            map (target: target.path) (targets.examples ++ targets.tests ++ targets.benches)
          else
            [ ]
        );
      isNeeded =
        name: name == "Cargo.toml" || elem name (map (file: head (paths.segments file)) declared);
      # Beside a main file, any folder may be a module.
      isFlat = any (file: length (paths.segments file) == 1 && !elem file targets.build) declared;

      isDoubtful =
        name:
        isProse name
        ||
          !isFlat
          && entries.${name} == "directory"
          && (elem name proseFolders || !withTests && elem name testFolders);
      doubtful = filter (name: !isNeeded name && !isRead withTests name && isDoubtful name) names;

      # A module may be called as what cargo makes is, but at the top.
      isTop = path: paths.parent path == folder;
      isMade =
        path: name: isTop path && elem name made && !(isFlat && view.isFile (paths.join path "mod.rs"));
      skipAlways = path: name: elem path nested || isMade path name;
      files = filesOf view (path: name: skipAlways path name || isTop path && elem name doubtful) folder;
      code = map (file: file // { text = view.read file.path; }) (
        filter (file: file.type == "regular" && match ".*[.]rs" file.path != null) files
      );
      text = concatStringsSep "\n" (map (file: file.text) code);

      # A file is meant where a literal ends with its name, a folder where it stands as a part of a path: a font's
      # "OPEN-SANS-LICENSE.txt" is no word of the licence.
      isMentioned =
        name:
        endsWith text name
        || (elem name testFolders || entries.${name} != "regular") && goesBelow text name;
      left = filter (name: !isMentioned name) doubtful;

      # Paths are put together by build scripts, and where ".." is a part of its own: what the same file names of a folder above
      # is read. Of a folder that holds crates it is what the file names in it.
      joinedText = concatStringsSep "\n" (
        map view.read (filter view.isFile (known (map (paths.join folder) targets.build)))
        ++ filter (
          it:
          any (contains it) [
            "\"..\""
            "/..\""
          ]
        ) (map (file: file.text) code)
      );
      namedIn =
        top:
        concatMap (
          name:
          let
            path = paths.join top name;
          in
          if path == folder || elem name made || !names' joinedText name then
            [ ]
          else if any (paths.within path) folders then
            namedIn path
          else
            [ path ]
        ) (attrNames (view.entries top));
      joined =
        if joinedText == "" then
          [ ]
        else
          filter (leadsOut view nested folder) (
            concatMap namedIn ([ at ] ++ builtins.tail (paths.upwards folder))
          );

      # Macros have settings beside the manifest, and those name folders.
      settings = filter view.isFile (map (paths.join folder) settingsOfMacros);
      # Of what was doubtful and is read.
      more = filesOf view (
        path: name: skipAlways path name || isTop path && (!elem name doubtful || elem name left)
      ) folder;
      outside = reach (
        concatMap (file: beyond view nested folder file.path file.text) code
        ++ concatMap (file: beyond view nested folder file (view.read file)) settings
        ++ filter (leadsOut view nested folder) (map (paths.join folder) declared)
        ++ joined
      ) (besides view nested folder);
    in
    {
      without =
        nested
        ++ map (paths.join folder) (left ++ filter (name: isMade (paths.join folder name) name) names);
      inherit outside;
      hasLinks =
        any (file: file.type == "symlink") (files ++ more)
        || isLink view folder
        || any (
          path:
          isLink view path
          || any (file: file.type == "symlink") (filesOf view (path: _: elem path folders) path)
        ) outside;
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
