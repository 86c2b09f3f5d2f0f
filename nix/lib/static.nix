# Files of the Nix store as nginx serves them. Their times say nothing, so what tells a client whether it still has a file
# is the package's hash: docs/decisions/0078.
{ lib, nginx }:
let
  inherit (nginx) lines;

  compressed = [
    "application/javascript"
    "application/json"
    "application/manifest+json"
    "application/wasm"
    "application/xml"
    "image/svg+xml"
    "text/css"
    "text/javascript"
    "text/plain"
    "text/xml"
  ];

  served =
    {
      route,
      folder,
      headers,
      immutable,
    }:
    let
      # The same package with another fallback is another answer.
      tag = lib.substring 0 32 (
        builtins.hashString "sha256" "${route.static} ${toString route.fallback}"
      );
      # A file that is missing must not be kept as another one for a year.
      fallback = if immutable then null else route.fallback;
    in
    lines (
      [
        "alias ${folder}/;"
        "absolute_redirect off;"
        "charset utf-8;"
        "gzip on;"
        "gzip_static on;"
        "gzip_vary on;"
        "gzip_types ${toString compressed};"
        "if ($request_method !~ \"^(GET|HEAD)$\") { return 405; }"
        "# Hidden files."
        "if ($uri ~ \"/\\.(?!well-known/)\") { return 404; }"
        "if (-d $request_filename) {"
        "    rewrite \"^(.*[^/])$\" $1/ permanent;"
        "    rewrite \"^(.*)$\" $1index.html last;"
        "}"
      ]
      ++ (
        if fallback == null then
          [ "if (!-f $request_filename) { return 404; }" ]
        else
          [ "try_files $uri ${lib.removePrefix "/" fallback} =404;" ]
      )
      ++ [
        "if ($http_if_none_match ~ \"${tag}\") { return 304; }"
        "etag off;"
        "if_modified_since off;"
      ]
      ++ headers
      ++ [
        "add_header Last-Modified \"\";"
        "add_header ETag 'W/\"${tag}\"';"
        "add_header Cache-Control \"${
          if immutable then "public, max-age=31536000, immutable" else "no-cache"
        }\";"
      ]
    );
in
{
  # The locations of one route: `folder` is where its files are, `headers` those of every answer.
  locations =
    {
      path,
      route,
      folder,
      headers,
    }:
    let
      below = lib.removeSuffix "/" path;
      at =
        part:
        lib.nameValuePair "^~ ${below}${part}/" (served {
          inherit route headers;
          folder = folder + part;
          immutable = true;
        });
    in
    lib.listToAttrs (map (part: at (lib.removeSuffix "/" part)) route.immutablePaths)
    // {
      ${if path == "/" then "/" else "^~ ${path}/"} = served {
        inherit route folder headers;
        immutable = false;
      };
    }
    // lib.optionalAttrs (path != "/") {
      "= ${path}" = lines [
        "absolute_redirect off;"
        "return 308 ${path}/$is_args$args;"
      ];
    };
}
