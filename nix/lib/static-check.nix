# The shell that ends a build when static files are not where their routes say: a page of 404 otherwise, or files that no
# client keeps. What a package holds is known only once it is built.
#
#   check PREFIX DOMAINS    PREFIX goes before the option
{ lib }:
prefix: domains:
let
  ofRoute =
    domain: path: route:
    let
      option = "${prefix}domains.\"${domain}\".routes.\"${path}\"";
      there =
        kind: what: part:
        "there ${kind} ${lib.escapeShellArg "${option}.${what}"} ${lib.escapeShellArg "${route.static}${part}"}";
    in
    lib.optionals (route.static != null) (
      [ (there "-d" "static" "") ]
      ++ lib.optional (route.fallback != null) (there "-f" "fallback" route.fallback)
      ++ map (there "-d" "immutablePaths") route.immutablePaths
    );
  checks = lib.concatLists (
    lib.concatLists (
      lib.mapAttrsToList (domain: asked: lib.mapAttrsToList (ofRoute domain) asked.routes) domains
    )
  );
in
lib.optionalString (checks != [ ]) ''
  there() { [ "$1" "$3" ] || { echo "$2: $3 is not there; correct the path, or what makes the package" >&2; missing=1; }; }
  missing=
  ${lib.concatStringsSep "\n" checks}
  [ -z "$missing" ]
''
