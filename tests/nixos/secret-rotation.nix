# A rotated secret rolls the replicas of the stack that uses it, and restarts nothing else.
{ lib, ... }:
{
  nodes.machine =
    { pkgs, ... }:
    let
      app = import ./common/app.nix { inherit lib pkgs; };
    in
    {
      age.identityPaths = [ ./common/secrets/key.txt ];
      services.slipway = {
        stacks = {
          shop = app { };
          post = app { metrics.firstPort = 9400; };
        };
        agenix.stacks = {
          shop.secrets.SECRET_KEY = lib.mkDefault ./common/secrets/shop-1.age;
          post.secrets.SECRET_KEY = ./common/secrets/post.age;
        };
      };
      specialisation.rotated.configuration.services.slipway.agenix.stacks.shop.secrets.SECRET_KEY =
        ./common/secrets/shop-2.age;
      environment.systemPackages = [ pkgs.curl ];
    };

  testScript = ''
    units = ["shop-api-1", "shop-api-2", "shop-worker-1", "post-api-1", "post-api-2", "post-worker-1", "redis-shop", "redis-post"]

    def pids():
        return {unit: machine.succeed(f"systemctl show -P MainPID {unit}").strip() for unit in units}

    def answer(stack):
        return machine.succeed(f"curl -sf --unix-socket /run/slipway/{stack}/api-1.sock http://{stack}/")

    machine.wait_for_unit("shop.target")
    machine.wait_for_unit("post.target")
    machine.wait_until_succeeds("curl -sf --unix-socket /run/slipway/shop/api-1.sock http://shop/")
    assert "shop-1" in answer("shop"), answer("shop")
    before = pids()

    machine.succeed("/run/current-system/specialisation/rotated/bin/switch-to-configuration test")

    after = pids()
    changed = {unit for unit in units if before[unit] != after[unit]}
    assert changed == {"shop-api-1", "shop-api-2", "shop-worker-1"}, changed
    assert "shop-2" in answer("shop"), answer("shop")
    assert "post" in answer("post"), answer("post")
  '';
}
