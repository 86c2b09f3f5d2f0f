# What is rendered, by its path below deploy/. Only builtins: the committed copies are compared without nixpkgs.
let
  contract = import ../contract.nix;
  yaml = import ../lib/yaml.nix;
  header = "# Made from nix/contract.nix; to change it, change that and run: nix run .#render\n";
  kubernetes = import ./kubernetes.nix { inherit contract; };

  example = ''
    # So that `docker compose` in this folder needs no --file.
    COMPOSE_FILE=docker-compose.prod.yml
    # Images by digest: the compose file does not start without. deploy/compose/README.md says how to get them.
    SLIPWAY_API_IMAGE=registry.example.org/slipway-api@sha256:0000000000000000000000000000000000000000000000000000000000000000
    SLIPWAY_WORKER_IMAGE=registry.example.org/slipway-worker@sha256:0000000000000000000000000000000000000000000000000000000000000000
    NGINX_IMAGE=nginxinc/nginx-unprivileged:1.29@sha256:0000000000000000000000000000000000000000000000000000000000000000
    POSTGRES_IMAGE=postgres:17@sha256:0000000000000000000000000000000000000000000000000000000000000000
    REDIS_IMAGE=redis:8@sha256:0000000000000000000000000000000000000000000000000000000000000000
  '';
in
{
  "compose/docker-compose.prod.yml" =
    header + yaml.document (import ./compose.nix { inherit contract; });
  "compose/nginx.conf" = header + import ./nginx.nix { inherit contract; };
  "compose/roles.sh" = header + import ./roles.nix { inherit contract; };
  "compose/example.env" = header + example;
}
// builtins.listToAttrs (
  map (name: {
    name = "kubernetes/${name}.yaml";
    value = header + yaml.documents kubernetes.${name};
  }) (builtins.attrNames kubernetes)
)
