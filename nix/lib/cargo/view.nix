# The files below a folder as the rest here looks at them, by relative path; a test can give a set instead of a folder.
# Only builtins.
let
  inherit (builtins)
    addErrorContext
    pathExists
    readDir
    readFile
    ;
  paths = import ./paths.nix;

  complete =
    {
      entries,
      exists,
      leadsToFolder,
      read,
    }:
    let
      typeOf =
        path:
        if path == "." then "directory" else (entriesOf (paths.parent path)).${baseNameOf path} or null;
      isFolder =
        path:
        let
          type = typeOf path;
        in
        type == "directory" || type == "symlink" && leadsToFolder path;
      entriesOf = path: if isFolder path then entries path else { };
    in
    {
      inherit read isFolder typeOf;
      entries = entriesOf;
      isFile = path: exists path && !isFolder path;
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
      exists = path: pathExists (at path);
      # Only a text may end in /., which asks where a link leads.
      leadsToFolder = path: pathExists (toString (at path) + "/.");
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
      exists = path: below path != [ ];
      leadsToFolder = _: false;
      read = path: files.${path};
    };
}
