# Which files compiling a crate reads: its own but for prose and the like, and those outside that its code names. Only builtins.
let
  inherit (builtins)
    any
    attrNames
    concatMap
    concatStringsSep
    elem
    filter
    head
    length
    match
    ;
  literals = import ./literals.nix;
  paths = import ./paths.nix;
  tree = import ./tree.nix;
  inherit (import ../lists.nix) known optional reach;
  inherit (literals)
    contains
    endsWith
    goesBelow
    mentions
    ;

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
in
{
  # Whether a file asks for what only a nightly compiler has.
  needsNightly = text: contains text "#![feature(";

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
      leads = literals.outsideOf { inherit view folder nested; };
      entries = view.entries folder;
      names = attrNames entries;

      # What cannot be left out, whatever it is called.
      declared =
        map (target: target.path) (targets.bins ++ optional (targets.lib != null) targets.lib)
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
        path: name:
        isTop path && elem name tree.made && !(isFlat && view.isFile (paths.join path "mod.rs"));
      skipAlways = path: name: elem path nested || isMade path name;
      kept = tree.below view (
        path: name: skipAlways path name || isTop path && elem name doubtful
      ) folder;
      code = map (file: file // { text = view.read file.path; }) (
        filter (file: file.type == "regular" && match ".*[.]rs" file.path != null) kept
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
          if path == folder || elem name tree.made || !mentions joinedText name then
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
          filter leads.isOutside (concatMap namedIn ([ at ] ++ builtins.tail (paths.upwards folder)));

      # Macros have settings beside the manifest, and those name folders.
      settings = filter view.isFile (map (paths.join folder) settingsOfMacros);
      # Of what was doubtful and is read.
      more = tree.below view (
        path: name: skipAlways path name || isTop path && (!elem name doubtful || elem name left)
      ) folder;
      outside = reach (
        concatMap (file: leads.named file.path file.text) code
        ++ concatMap (file: leads.named file (view.read file)) settings
        ++ filter leads.isOutside (map (paths.join folder) declared)
        ++ joined
      ) leads.besides;
    in
    {
      without =
        nested
        ++ map (paths.join folder) (left ++ filter (name: isMade (paths.join folder name) name) names);
      inherit outside;
      hasLinks =
        any (file: file.type == "symlink") (kept ++ more)
        || tree.isLink view folder
        || any (
          path:
          tree.isLink view path
          || any (file: file.type == "symlink") (tree.below view (path: _: elem path folders) path)
        ) outside;
    };

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
