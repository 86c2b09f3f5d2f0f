# What is wrong with the `contents` of an image. Only builtins.
#   at         the argument, as sentences name it
#   programs   paths that are the image's own
at: programs: contents:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    groupBy
    hasContext
    isAttrs
    isPath
    isString
    length
    map
    match
    pathExists
    ;
  inherit (import ./problems.nix)
    described
    isId
    quote
    shape
    typeAt
    when
    ;

  # A package, a filtered source, or a text that leads into one.
  isBuilt = value: isAttrs value && value ? outPath || isString value && hasContext value;
  isMode = value: isString value && match "[01]?[0-7]{3}" value != null;
  isPlace =
    value:
    isString value
    && match "(/[^/\n]+)+" value != null
    && match "(.*/)?[.][.]?(/.*)?" value == null
    && match "/nix(/.*)?" value == null;

  known = {
    path = {
      is = "where it lies in the image, such as \"/etc/app.toml\"; /nix is the store's";
      check = isPlace;
    };
    source = {
      is = "a file, a folder or a package";
      check = value: isPath value || isBuilt value;
    };
    text = {
      is = "what the file says";
      check = isString;
    };
    mode = {
      is = "three or four octal digits as text, such as \"0640\"; setuid and setgid do not belong into an image";
      check = isMode;
    };
    uid = {
      is = "a number: the owner";
      check = isId;
    };
    gid = {
      is = "a number: the group";
      check = isId;
    };
  };

  missing =
    path:
    "${at} names ${quote (toString path)}, which is not there: mend the path, or `git add` it, for a flake sees only such files";

  ofSet =
    item:
    let
      where = if isPlace (item.path or null) then quote item.path else "a set";
      source = item.source or null;
      hasNone = !item ? source && !item ? text;
    in
    map (problem: "${at}: ${problem}") (shape "" known [ "path" ] item)
    ++ when (item ? source && item ? text) "${at} gives ${where} `source` and `text`: give one of them"
    ++ when (elem (item.path or null
    ) programs) "${at} puts something at ${where}, where the image's program lies: take another path"
    ++ (
      if isPath source && !pathExists source then
        [ (missing source) ]
      else
        when
          (
            isMode (item.mode or null)
            && match "[01]?[0-7]*[46][0-7]*" item.mode != null
            && (hasNone || isPath source && typeAt source == "directory")
          )
          "${at} gives the folder ${where} the mode ${quote item.mode}, with which nobody can open what is in it: give an x beside each r, such as \"0750\""
    );

  ofItem =
    item:
    if isPath item then
      if !pathExists item then
        [ (missing item) ]
      else
        when (typeAt item == "regular")
          "${at} names the file ${quote (toString item)}: say where it lies, such as `{ path = \"/etc/${baseNameOf item}\"; source = ./${baseNameOf item}; }`"
    else if isBuilt item then
      [ ]
    else if isAttrs item then
      ofSet item
    else
      [
        "${at} holds ${described item}: give packages, folders, and sets such as `{ path = \"/etc/app.toml\"; source = ./app.toml; }`"
      ];

  placed = groupBy (item: item.path) (
    filter (item: isAttrs item && !isBuilt item && isPlace (item.path or null)) contents
  );
in
concatMap ofItem contents
++ map (path: "${at} gives ${quote path} twice: give it once") (
  filter (path: length placed.${path} > 1) (attrNames placed)
)
