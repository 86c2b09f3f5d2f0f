# Relative paths as text. Only builtins.
let
  inherit (builtins)
    concatStringsSep
    filter
    foldl'
    isString
    length
    split
    ;

  segments = path: filter (part: isString part && part != "" && part != ".") (split "/" path);

  init = list: builtins.genList (builtins.elemAt list) (length list - 1);

  step =
    done: part:
    if part != ".." then
      done ++ [ part ]
    else if done == [ ] then
      throw "a path leads out of the workspace; keep path dependencies inside it"
    else
      init done;
in
{
  inherit segments;

  # "crates/bin/api" "../../lib/store" -> "crates/lib/store"
  join = base: path: concatStringsSep "/" (foldl' step [ ] (segments base ++ segments path));
}
