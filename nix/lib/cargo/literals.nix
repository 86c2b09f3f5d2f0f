# What Rust code says of files: the literals in it, and the paths outside of its crate that these lead to. Only builtins.
let
  inherit (builtins)
    any
    concatMap
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
  tree = import ./tree.nix;
in
rec {
  contains = text: part: replaceStrings [ part ] [ "" ] text != text;

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
  mentions = text: name: endsWith text name || goesBelow text name;

  # Of the crate in `folder`, where `nested` are the folders of crates inside it.
  outsideOf =
    {
      view,
      folder,
      nested,
    }:
    rec {
      # A crate inside the folder is not part of the crate.
      isOutside =
        target:
        target != null
        && target != "."
        && !elem (head (paths.segments target)) tree.made
        && (!paths.within folder target || any (inner: paths.within inner target) nested)
        && !paths.within target folder
        && (view.isFile target || view.isFolder target);

      # What literals such as "../../proto/a.proto" in a file lead to outside of its crate: of include_str!, of build scripts,
      # of #[path]. Folders above the crate are not meant by them.
      named =
        path: text:
        let
          # Cut at every quote: an expression for whole literals overflows the stack on a long line.
          literals = filter (part: isString part && contains part "../" && !contains part "\n") (
            split "\"" text
          );
          # Without what stands for the crate's folder, such as "$CARGO_MANIFEST_DIR/", and the folder alone of "../data/{}.txt".
          fromAbove =
            literal:
            let
              cut = split "[{]" (substring (stringLength (head (split "[.][.]/" literal))) (-1) literal);
            in
            if length cut == 1 then head cut else paths.parent "${head cut}_";
        in
        if contains text "../" then
          filter isOutside (
            concatMap (literal: [
              (paths.join (paths.parent path) (fromAbove literal))
              (paths.join folder (fromAbove literal))
            ]) literals
          )
        else
          [ ];

      # What code outside of the crate leads to: the modules beside it, and what its literals name.
      besides =
        path:
        let
          text = view.read path;
          isRoot = match "(.*/)?(mod|main|lib)[.]rs" path != null;
          beside = paths.join (paths.parent path);
          # A file that #[path] names has its modules beside it, whatever it is called.
          modules = concatMap (
            part:
            if isString part then
              [ ]
            else
              map beside [
                "${elemAt part 1}.rs"
                (elemAt part 1)
              ]
          ) (split "mod[[:space:]]+(r#)?([A-Za-z0-9_]+)[[:space:]]*;" text);
          # What it includes lies beside it as well.
          included = filter (file: file != null && view.isFile file) (
            map beside (
              filter (part: isString part && stringLength part < 200 && match "[^\n]+" part != null) (
                split "\"" text
              )
            )
          );
        in
        if view.isFile path && match ".*[.]rs" path != null then
          filter isOutside (
            [ (if isRoot then paths.parent path else substring 0 (stringLength path - 3) path) ]
            ++ modules
            ++ named path text
            ++ included
          )
        else
          [ ];
    };
}
