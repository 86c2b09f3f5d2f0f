# What an image holds besides its program: a tree of files, and who owns them.
{
  lib,
  pkgs,
  contract,
}:
let
  inherit (lib) escapeShellArg;

  isSet = item: lib.isAttrs item && !item ? outPath;
  # Of a package files are linked: what it says of its own place stays true. Folders are copied.
  isPackage = lib.isDerivation;

  # Without the folder's own name, so that what is built is the same wherever the checkout lies.
  stored =
    source:
    if lib.isPath source then
      builtins.path {
        path = source;
        name = "contents";
      }
    else
      "${source}";

  userOf =
    image:
    let
      given = image.user or { };
      uid = given.uid or contract.user.uid;
    in
    {
      inherit uid;
      gid = given.gid or (if given ? uid then uid else contract.user.gid);
      name = given.name or (if uid == 0 then "root" else contract.user.name);
    };

  accounts = user: {
    passwd = "${user.name}:x:${toString user.uid}:${toString user.gid}::/:/nonexistent";
    group = "${user.name}:x:${toString user.gid}:";
  };

  tree =
    {
      image,
      programs,
      user,
    }:
    let
      contents = image.contents or [ ];
      put = item: ''
        put ${
          if item ? text then
            pkgs.writeText "text" item.text
          else if item ? source then
            stored item.source
          else
            "-"
        } ${escapeShellArg item.path} ${item.mode or "-"}
      '';
      merge = item: "merge ${if isPackage item then "-rs" else "-r"} ${stored item}\n";
    in
    pkgs.buildPackages.runCommand "image-contents" { } ''
      fail() { echo "contents: $1" >&2; exit 1; }

      # All that is in a folder or a package, at the root.
      merge() {
        [ -d "$2" ] || fail "$2 is a file: say where it lies, such as { path = \"/etc/NAME\"; source = …; }"
        (cd "$2" && find . -path ./nix-support -prune -o ! -type d -print) > merged
        while IFS= read -r name; do
          [ ! -e "$out/$name" ] && [ ! -L "$out/$name" ] || fail "''${name#.} is given twice, the second time by $2"
        done < merged
        find "$2" -mindepth 1 -maxdepth 1 ! -name nix-support -exec cp "$1" --no-preserve=ownership -t $out {} +
        chmod -R u+w $out
      }

      # A file or a folder at its own place.
      put() {
        mkdir -p "$out$(dirname "$2")"
        if [ "$1" = - ]; then
          mkdir -p "$out$2"
        elif [ -d "$1" ]; then
          case $3 in
            *[46]*) fail "$2 is a folder, and with the mode $3 nobody can open what is in it: give an x beside each r" ;;
          esac
          mkdir -p "$out$2"
          cp -r --no-preserve=ownership "$1/." "$out$2/"
        else
          [ ! -e "$out$2" ] || fail "$2 is given twice, the second time by $1"
          cp --no-preserve=ownership "$1" "$out$2"
          [ "$3" = - ] || chmod "$3" "$out$2"
        fi
        chmod -R u+w "$out$2"
      }

      mkdir -p $out
      ${lib.concatMapStrings merge (lib.filter (item: !isSet item) contents)}
      ${lib.concatMapStrings put (sets contents)}
      ${lib.optionalString (user != contract.user) ''
        mkdir -p $out/etc
        echo ${escapeShellArg (accounts user).passwd} > $out/etc/passwd
        echo ${escapeShellArg (accounts user).group} > $out/etc/group
      ''}
      for program in ${lib.escapeShellArgs programs}; do
        [ ! -e "$out$program" ] || fail "$program is the image's own program"
      done
    '';

  # What lies in a folder comes after it.
  sets = contents: lib.sort (a: b: a.path < b.path) (lib.filter isSet contents);

  # How each is to lie there: what it inherits from the store is left out.
  files =
    image:
    map (item: {
      inherit (item) path;
      mode = item.mode or (if item ? source || item ? text then null else "0755");
      uid = item.uid or 0;
      gid = item.gid or item.uid or 0;
    }) (sets (image.contents or [ ]));

  tmp = {
    path = "/tmp";
    mode = "1777";
    uid = 0;
    gid = 0;
  };
  hasTmp =
    image: image.tmp or true && !lib.any (item: item.path == tmp.path) (sets (image.contents or [ ]));

  permsOf =
    user: tree: file:
    let
      nameOf =
        id:
        if id == 0 then
          "root"
        else if id == user.uid then
          user.name
        else
          toString id;
    in
    {
      path = tree;
      regex = "^${lib.escapeRegex "${tree}${file.path}"}${if file == tmp then "" else "(/.*)?"}$";
      inherit (file) uid gid;
      uname = nameOf file.uid;
      gname = nameOf file.gid;
    }
    // lib.optionalAttrs (file.mode != null) { inherit (file) mode; };
in
{
  inherit accounts userOf hasTmp;

  tmpPerms = tree: [ (permsOf contract.user tree tmp) ];

  # What the image's check looks for.
  wanted = image: files image ++ lib.optional (hasTmp image) tmp;

  # null when the image holds nothing besides.
  of =
    args@{ image, user, ... }:
    let
      made = tree args;
    in
    if image.contents or [ ] == [ ] && user == contract.user then
      null
    else
      {
        tree = made;
        # What lies below /tmp brings the folder along.
        perms = map (permsOf user made) (lib.optional (hasTmp image) tmp ++ files image);
      };
}
