# Who may talk to whom in the cluster. What nothing here allows is refused, in both directions.
{
  lib,
  name,
  named,
  config,
  programs,
  # Programs that requests from outside come to, and the namespace of the pods that they come through.
  entered,
  entrance,
  namespace,
  # What the pod of the proxy passes requests on to.
  passed,
  nameServers,
  monitoring,
  selector,
  component,
}:
let
  contract = import ../contract.nix;
  inherit (import ../lib/address.nix) single;
  inherit (contract) ports;
  tcp = port: {
    protocol = "TCP";
    inherit port;
  };
  pods = labels: { podSelector.matchLabels = labels; };
  # kubernetes.io/metadata.name is set by Kubernetes itself.
  inNamespace = namespace: {
    namespaceSelector.matchLabels."kubernetes.io/metadata.name" = namespace;
  };
  block = cidr: { ipBlock = { inherit cidr; }; };
  networksOf =
    address:
    if address == "any" then
      [
        (block "0.0.0.0/0")
        (block "::/0")
      ]
    else if lib.hasInfix "/" address then
      [ (block address) ]
    else
      [ (block (single address)) ];

  policy =
    policyName: labels: rules:
    named "NetworkPolicy" "networking.k8s.io/v1" policyName {
      spec = {
        podSelector = if labels == { } then { } else { matchLabels = labels; };
        policyTypes = lib.optional (rules ? ingress) "Ingress" ++ lib.optional (rules ? egress) "Egress";
      }
      // lib.filterAttrs (_: list: list != [ ]) rules;
    };

  ours = {
    "slipway.dev/backend-client" = "true";
    "app.kubernetes.io/part-of" = name;
  };
  # Many Gateways have their pods beside them, with this label.
  gatewayPods = "gateway.networking.k8s.io/gateway-name";
  isBeside = entrance == namespace;
  outside = port: {
    from = [
      (if isBeside then { podSelector.matchLabels.${gatewayPods} = name; } else inNamespace entrance)
    ];
    ports = [ (tcp port) ];
  };
  listeners = lib.filter (asked: asked.listen.type or "none" != "none") programs;
  to = asked: {
    to = [ (pods (selector asked.name)) ];
    ports = [ (tcp asked.listen.port) ];
  };
  # A name server in the cluster, or NodeLocal DNSCache on the node.
  names = {
    to = [ (inNamespace "kube-system") ] ++ lib.concatMap networksOf nameServers;
    ports = [
      (tcp 53)
      {
        protocol = "UDP";
        port = 53;
      }
    ];
  };
  backing =
    lib.optional config.database.enable {
      name = "database";
      port = ports.postgres;
    }
    ++ lib.optional config.cache.enable {
      name = "cache";
      port = ports.redis;
    };

  reached =
    asked:
    let
      ingress =
        lib.optional (lib.elem asked.name entered) (outside asked.listen.port)
        ++ lib.optional (asked.listen.type != "none") {
          from = [ (pods { "app.kubernetes.io/part-of" = name; }) ];
          ports = [ (tcp asked.listen.port) ];
        }
        ++ lib.optional (asked.metrics.port != null) {
          from = [ (inNamespace monitoring) ];
          ports = [ (tcp asked.metrics.port) ];
        };
    in
    lib.optional (ingress != [ ]) (
      policy "${name}-${asked.name}" (selector asked.name) { inherit ingress; }
    );
in
[
  (policy "default-deny" { } {
    ingress = [ ];
    egress = [ ];
  })
]
# They take requests from everywhere, and what tells them their routes may be anywhere.
++ lib.optional (isBeside && (entered != [ ] || passed != null)) (
  policy "${name}-gateway" { ${gatewayPods} = name; } {
    ingress = [ { } ];
    egress = [ { } ];
  }
)
++ lib.concatMap reached (lib.filter (asked: asked.kind == "services") programs)
++ [
  (policy "backend-clients" ours {
    egress = [
      names
    ]
    ++ map (server: {
      to = [ (pods (component server.name)) ];
      ports = [ (tcp server.port) ];
    }) backing
    ++ map to listeners;
  })
]
++ map (
  server:
  policy server.name (component server.name) {
    ingress = [
      {
        from = [ (pods ours) ];
        ports = [ (tcp server.port) ];
      }
    ];
  }
) backing
++ map (
  asked:
  policy "${name}-${asked.name}-outside" (selector asked.name) {
    egress = [ { to = lib.concatMap networksOf asked.outside; } ];
  }
) (lib.filter (asked: asked.outside != [ ]) programs)
++ lib.optional (passed != null) (
  policy "${name}-proxy" (selector "proxy") {
    ingress = [ (outside ports.proxyHttp) ];
    egress = [ names ] ++ map to (lib.filter (asked: lib.elem asked.name passed) listeners);
  }
)
