# The code of a page, and its Nix above all: the blocks in order, each with the path that its first line names
# (`# hosts/web-1/default.nix`), if it names one. For files of a flake `resolved` puts absolute paths in place of relative
# ones, since a text in the store has no folder around it.
{ lib }:
rec {
  # The text of every block that begins so.
  ofLanguage =
    language: page:
    map (part: lib.head (lib.splitString "```" part)) (
      lib.tail (lib.splitString "```${language}\n" (builtins.readFile page))
    );

  # { path, text } of every block of Nix.
  blocks =
    page:
    map (
      text:
      let
        first = lib.trim (lib.head (lib.splitString "\n" text));
      in
      {
        inherit text;
        path = if lib.hasPrefix "# " first then lib.removePrefix "# " first else null;
      }
    ) (ofLanguage "nix" page);

  # The text of every block that names a file, by the file's path in the flake.
  files =
    page:
    lib.listToAttrs (
      map (block: lib.nameValuePair block.path block.text) (
        lib.filter (block: block.path != null) (blocks page)
      )
    );

  # `path` as seen from `folder`, both relative to the flake: hosts/web-1 and ../../secrets/a.age is secrets/a.age.
  from =
    folder: path:
    let
      step =
        done: part:
        if part == "." || part == "" then
          done
        else if part == ".." then
          lib.init done
        else
          done ++ [ part ];
    in
    lib.concatStringsSep "/" (lib.foldl' step [ ] (lib.splitString "/" "${folder}/${path}"));

  # The file at `path` with each relative path in it replaced by what `place` gives for it.
  resolved =
    place: path: text:
    lib.concatStrings (
      map (part: if lib.isList part then place (from (dirOf path) (lib.head part)) else part) (
        builtins.split "(\\.\\.?/[a-zA-Z0-9_./\${}-]+)" text
      )
    );
}
