# What the monitoring host asks from outside: every route of every domain that the world reaches.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.telemetry;
  contract = import ../../nix/contract.nix;
  inherit (import ../../nix/lib/paths.nix { inherit lib; }) closedOf routeOf within;
  stacks = lib.filterAttrs (
    # Not those that only another proxy reaches.
    _: stack: stack.enable && stack.proxy.served != { } && stack.proxy.listenAddresses == [ ]
  ) (config.services.slipway.stacks or { });

  # The path of a route's service that says whether it works, as the world sees it. Null: it has none, or it is closed.
  healthOf =
    stack: domain: route:
    let
      inherit (domain.routes.${route}) service stripPrefix exact;
      inherit (stack.services.${service}) preset health;
      own =
        if preset == "api" then
          contract.paths.ready
        else if health.ready ? http then
          health.ready.http
        else
          health.live.http or null;
      seen = if stripPrefix then lib.removeSuffix "/" route + own else own;
      reaches = if exact then seen == route else routeOf domain.routes seen == route;
    in
    if own != null && reaches && !lib.any (closed: within closed seen) (closedOf domain) then
      seen
    else
      null;

  # This host's own addresses beside those that it shares: a member without the shared one is asked as well.
  owned = lib.unique (
    lib.mapAttrsToList (_: group: group.members.${group.member}.address or "") (
      config.services.slipway.floating or { }
    )
  );

  ofRoute =
    name: stack: domainName: domain: path: route:
    let
      health = if route.service == null then null else healthOf stack domain path;
    in
    at: {
      url = "https://${domainName}${if health == null then path else health}";
      address = at;
      stack = name;
      domain = domainName;
      kind =
        if route.redirect != null then
          "redirect"
        else if health != null || route.static != null && route.fallback != null then
          "ok"
        else
          "answer";
    };

  ofDomain =
    name: stack: domainName: domain:
    lib.optionals (domain.tls.inUse.clientAuthority == null) (
      lib.concatMap (probe: map probe ([ null ] ++ owned)) (
        lib.mapAttrsToList (ofRoute name stack domainName domain) (
          lib.filterAttrs (_: route: !route.closed) domain.routes
        )
      )
    );
in
{
  options.services.slipway.telemetry.probes = mkOption {
    type = types.listOf (
      types.submodule {
        options = {
          url = mkOption {
            type = types.str;
            example = "https://shop.example.com/healthz";
            description = "What is asked for.";
          };
          address = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "203.0.113.11";
            description = "Where it is asked, instead of where the domain leads: for one of several hosts with the domain.";
          };
          stack = mkOption {
            type = types.str;
            example = "shop";
            description = "Whose it is: the label `stack`.";
          };
          domain = mkOption {
            type = types.str;
            example = "shop.example.com";
            description = "The label `domain`.";
          };
          kind = mkOption {
            type = types.enum [
              "ok"
              "answer"
              "redirect"
            ];
            default = "ok";
            example = "answer";
            description = "The right answer: a status from 200 to 299 (`ok`), any below 500 (`answer`), or one from 300 to 399 (`redirect`).";
          };
        };
      }
    );
    default = [ ];
    example = [
      {
        url = "https://shop.example.com/";
        stack = "shop";
        domain = "shop.example.com";
      }
    ];
    description = ''
      What the monitoring host asks from outside, with the days that the certificate is still good for. Each route of each
      domain is in it. A service with `health.ready.http` or `health.live.http` is asked there if the world can reach that path.
    '';
  };

  config.services.slipway.telemetry.probes = lib.mkIf cfg.enable (
    lib.unique (
      lib.concatLists (
        lib.mapAttrsToList (
          name: stack: lib.concatLists (lib.mapAttrsToList (ofDomain name stack) stack.proxy.served)
        ) stacks
      )
    )
  );
}
