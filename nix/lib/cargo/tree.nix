# The files below a folder of a view. Only builtins.
let
  inherit (builtins) attrNames concatMap match;
  paths = import ./paths.nix;
in
rec {
  # Never part of a build: what cargo and Nix themselves make, and the history.
  made = [
    ".direnv"
    ".git"
    ".jj"
    "node_modules"
    "target"
  ];

  # Variables of one machine, which a program reads when it runs: the store is no place for its passwords.
  isSecret =
    name:
    match "[.]env(rc|[.].*)?" name != null && match ".*[.](dist|example|sample|template)" name == null;

  # All files below a folder, but what is skipped: [ { path, type } ].
  below =
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
        below view skip path
      else
        [
          {
            inherit path;
            type = entries.${name};
          }
        ]
    ) (attrNames entries);

  # Whether the path, or a folder that it lies in, is a symbolic link.
  isLink =
    view: path: path != "." && (view.typeOf path == "symlink" || isLink view (paths.parent path));
}
