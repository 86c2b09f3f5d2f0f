# The patterns of `members`, as cargo's crate `glob` reads them: `*`, `?`, `[ab]`, `[!ab]` within a name, and `**` for any
# depth. Only builtins.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    head
    isString
    match
    replaceStrings
    split
    substring
    tail
    ;
  paths = import ./paths.nix;
  inherit (import ../lists.nix) unique;

  isPattern = text: match ".*[*?[].*" text != null;

  # Signs that mean something in Nix's regular expressions, and in a pattern do not.
  escape =
    replaceStrings
      [
        "."
        "+"
        "("
        ")"
        "{"
        "}"
        "|"
        "^"
        "$"
        "\\"
      ]
      [
        "[.]"
        "[+]"
        "[(]"
        "[)]"
        "[{]"
        "[}]"
        "[|]"
        "\\^"
        "[$]"
        "\\\\"
      ];

  # One name's pattern as a regular expression. Sets of characters are kept apart, for nothing is escaped in them.
  regex =
    pattern:
    let
      piece =
        part:
        if isString part then
          replaceStrings [ "*" "?" ] [ ".*" "." ] (escape part)
        else
          let
            first = substring 0 1 (head part);
            rest = substring 1 (-1) (head part);
          in
          if first == "!" then
            "[^${rest}]"
          else if first == "^" then
            (if rest == "" then "\\^" else "[${rest}^]")
          else
            "[${head part}]";
    in
    builtins.concatStringsSep "" (map piece (split "\\[(!?[]]?[^]]*)]" pattern));

  below =
    view: folder:
    let
      entries = view.entries folder;
    in
    filter (
      name:
      elem entries.${name} [
        "directory"
        "symlink"
      ]
      && view.isFolder (paths.join folder name)
    ) (attrNames entries);

  # All folders below; links are not followed.
  deep =
    view: folder:
    [ folder ]
    ++ concatMap (name: deep view (paths.join folder name)) (
      filter (name: (view.entries folder).${name} == "directory") (below view folder)
    );

  walk =
    view: folder: parts:
    if parts == [ ] then
      [ folder ]
    else
      let
        part = head parts;
        rest = tail parts;
      in
      if part == "**" then
        concatMap (found: walk view found rest) (deep view folder)
      else if isPattern part then
        concatMap (name: walk view (paths.join folder name) rest) (
          filter (name: match (regex part) name != null) (below view folder)
        )
      else
        let
          next = paths.join folder part;
        in
        if next != null && view.isFolder next then walk view next rest else [ ];
in
{
  inherit isPattern;

  # The folders that a pattern names, seen from `base`. A plain path stands for itself, whether it is there or not.
  expand =
    view: base: pattern:
    if isPattern pattern then
      let
        found = unique (walk view base (paths.segments pattern));
        plain = paths.join base pattern;
      in
      # As cargo does for a folder that is really called so.
      if found == [ ] && plain != null && view.isFolder plain then [ plain ] else found
    else
      [ (paths.join base pattern) ];
}
