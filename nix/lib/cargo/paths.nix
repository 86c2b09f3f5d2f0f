# Relative paths as text: "crates/api", and "." for the root. Only builtins.
let
  inherit (builtins)
    concatStringsSep
    elemAt
    filter
    genList
    isString
    length
    split
    substring
    stringLength
    ;

  segments = path: filter (part: isString part && part != "" && part != ".") (split "/" path);

  init = list: genList (elemAt list) (length list - 1);

  # null: the path leads out of the root.
  step =
    done: part:
    if done == null then
      null
    else if part != ".." then
      done ++ [ part ]
    else if done == [ ] then
      null
    else
      init done;

  render = parts: if parts == [ ] then "." else concatStringsSep "/" parts;
in
rec {
  inherit segments;

  # "crates/api" "../../lib/store" -> "lib/store"; null when the path is absolute or leads out of the root.
  join =
    base: path:
    let
      parts = builtins.foldl' step (segments base) (segments path);
    in
    if substring 0 1 path == "/" || parts == null then null else render parts;

  # The folder of a file.
  parent = path: render (init (segments path));

  # The folder, and each that holds it, up to the root.
  upwards = folder: [ folder ] ++ (if folder == "." then [ ] else upwards (parent folder));

  # Whether `path` is `folder` or lies in it.
  within =
    folder: path:
    folder == "." || path == folder || substring 0 (stringLength folder + 1) path == folder + "/";

  # "crates/api" "crates/api/src/x.rs" -> "src/x.rs"
  relative =
    folder: path:
    if folder == "." then
      path
    else if path == folder then
      "."
    else
      substring (stringLength folder + 1) (stringLength path) path;
}
