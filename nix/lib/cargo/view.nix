# The files below a folder as the rest here looks at them, by relative path; a test can give a set instead of a folder.
# Only builtins.
let
  inherit (builtins)
    addErrorContext
    foldl'
    mapAttrs
    pathExists
    readDir
    readFile
    ;
  paths = import ./paths.nix;

  complete =
    {
      entries,
      leadsTo,
      read,
    }:
    let
      # Lazy, so that every folder is read once at most.
      node =
        path: type:
        let
          # What is behind a link; null when nothing is.
          kind = if type == "symlink" then leadsTo path else type;
          isFolder = kind == "directory";
          found = if isFolder then entries path else { };
          below = if path == "." then "" else "${path}/";
        in
        {
          inherit path type isFolder;
          isFile = kind != null && !isFolder;
          entries = found;
          children = mapAttrs (name: node "${below}${name}") found;
        };
      absent = {
        type = null;
        isFile = false;
        isFolder = false;
        entries = { };
        children = { };
      };
      top = node "." "directory";
      walk = from: path: foldl' (it: name: it.children.${name} or absent) from (paths.segments path);
      nodeAt = walk top;
    in
    {
      inherit read;
      entries = path: (nodeAt path).entries;
      typeOf = path: (nodeAt path).type;
      isFolder = path: (nodeAt path).isFolder;
      isFile = path: (nodeAt path).isFile;
      # `f` as a function of paths that works each out once.
      once =
        f:
        let
          valued = it: {
            value = f it.path;
            children = mapAttrs (_: valued) it.children;
          };
          values = valued top;
        in
        path: (walk values path).value or (f path);
    };
in
{
  # Of a folder on disk, given as a path.
  ofFolder =
    folder:
    let
      at = path: folder + "/${path}";
    in
    complete {
      entries = path: readDir (at path);
      # Only a text may end in /., which asks where a link leads.
      leadsTo =
        path:
        if pathExists (toString (at path) + "/.") then
          "directory"
        else if pathExists (at path) then
          "regular"
        else
          null;
      # This cannot be caught either: a file with a NUL byte is no text to Nix.
      read =
        path:
        addErrorContext "${path} of `src` cannot be read: if it holds a NUL byte, name it in `extraSources`, and it is taken unread" (
          readFile (at path)
        );
    };

  # Of a set: { "crates/api/Cargo.toml" = "[package]…"; }.
  ofSet =
    files:
    let
      names = builtins.attrNames files;
      below = folder: builtins.filter (paths.within folder) names;
      childOf = folder: path: builtins.head (paths.segments (paths.relative folder path));
    in
    complete {
      entries =
        folder:
        builtins.listToAttrs (
          map (path: {
            name = childOf folder path;
            value = if files ? ${paths.join folder (childOf folder path)} then "regular" else "directory";
          }) (below folder)
        );
      leadsTo = _: null;
      read = path: files.${path};
    };
}
