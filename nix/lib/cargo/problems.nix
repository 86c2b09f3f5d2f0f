# What is wrong with the manifests of a workspace, as sentences that name the file and the cure. Only builtins.
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elemAt
    genList
    groupBy
    head
    length
    map
    match
    ;
  manifests = import ./manifest.nix;
  paths = import ./paths.nix;
  inherit (import ../lists.nix) optional;

  said = folder: if folder == "." then "`src`" else "`${folder}`";
  firstFive = list: genList (elemAt list) (if length list > 5 then 5 else length list);

  # Folders with a manifest, as deep as repositories keep them.
  foldersBelow =
    view: depth: folder:
    concatMap (
      name:
      let
        path = paths.join folder name;
      in
      if match "[.].*|target|node_modules" name != null then
        [ ]
      else if manifests.isIn view path then
        [ path ]
      else if depth > 1 then
        foldersBelow view (depth - 1) path
      else
        [ ]
    ) (attrNames (view.entries folder));

  # Of what a manifest names by path: { path, folder }.
  ofPath =
    view: who:
    { path, folder }:
    if folder == null then
      [
        "${who} names `${path}`, which is outside of `src`: give `src` the folder that holds both, and `cargoRoot`, the workspace's folder in it"
      ]
    else
      optional (!manifests.isIn view folder)
        "${who} names `${path}`, and ${said folder} has no Cargo.toml: mend the path, or `git add` the folder";

  ofNames =
    workspace:
    let
      byName = groupBy (folder: workspace.crates.${folder}.manifest.package.name or "") workspace.members;
    in
    concatMap (
      name:
      let
        folders = byName.${name};
      in
      if name == "" then
        [ "${manifests.fileIn (head folders)} has no `name` in [package]: give it one" ]
      else
        optional (length folders > 1)
          "the members ${concatStringsSep " and " (map said folders)} have one name, `${name}`: give each its own"
    ) (attrNames byName);
in
{
  # Where the workspace's manifest is not there.
  noRoot =
    view: at:
    let
      meant = firstFive (foldersBelow view 3 (if view.isFolder at then at else "."));
    in
    "`src` has no ${manifests.fileIn at}: "
    + (
      if meant == [ ] then
        "give the folder of a Cargo workspace${
          if at == "." then "" else " as `cargoRoot`"
        }, and `git add` its files, for a flake sees only those"
      else
        "set `cargoRoot` to the workspace's folder, such as ${
          concatStringsSep " or " (map (folder: "\"${folder}\"") meant)
        }"
    );

  # Of a workspace as workspace.nix reads it.
  of =
    view:
    workspace@{
      at,
      root,
      outer,
      ...
    }:
    let
      file = manifests.fileIn at;
    in
    optional (
      !root ? package && !root ? workspace
    ) "${file} has neither [package] nor [workspace]: give the folder of a crate or of a workspace"
    ++ optional (
      outer != null
    ) "${file} belongs to the workspace in ${said outer}: set `cargoRoot = \"${outer}\"`"
    ++ concatMap (
      path:
      ofPath view "`members` in ${file}" {
        inherit path;
        folder = paths.join at path;
      }
    ) workspace.named
    ++ concatMap (crate: concatMap (ofPath view (manifests.fileIn crate.folder)) crate.locals) (
      attrValues workspace.crates
    )
    ++ concatMap (ofPath view "[patch] in ${file}") workspace.patches
    ++ ofNames workspace;
}
