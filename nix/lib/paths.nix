# Paths of requests: what is below what, and which route of a domain answers.
{ lib }:
rec {
  # Whether `path` is `above` or below it: /api/v1 is below /api, /apix is not.
  within = above: path: path == above || lib.hasPrefix (lib.removeSuffix "/" above + "/") path;

  # The path of the route that answers, the longest that fits; null if none does.
  routeOf =
    routes: path:
    let
      fits = lib.filter (
        candidate: if routes.${candidate}.exact then candidate == path else within candidate path
      ) (lib.attrNames routes);
    in
    lib.foldl' (
      best: candidate:
      if best == null || lib.stringLength candidate > lib.stringLength best then candidate else best
    ) null fits;

  # What is closed: `closedPaths`, and where a prefix is taken off also what becomes one of them behind it.
  closedOf =
    { closedPaths, routes, ... }:
    closedPaths
    ++ lib.concatMap (
      prefix:
      lib.filter (path: routeOf routes path == prefix) (
        map (path: lib.removeSuffix "/" prefix + path) closedPaths
      )
    ) (lib.filter (path: path != "/" && routes.${path}.stripPrefix) (lib.attrNames routes));
}
