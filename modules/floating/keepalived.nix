# keepalived: who has the addresses. All members have the same priority, so that an address moves when it must and never back
# by itself; what is wrong with a host lowers its own (docs/decisions/0108).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  contract = import ../../nix/contract.nix;
  groups = import ./groups.nix { inherit config lib; };
  on = groups != { };
  user = "slipway-floating";
  ip = "${pkgs.iproute2}/bin/ip";

  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  pings = map (stack: stack.proxy.pingPort) (
    lib.filter (stack: stack.proxy.ping) (lib.attrValues stacks)
  );
  ask = url: "${lib.getExe pkgs.curl} -fsS -o /dev/null -m 0.5 ${url}";
  program =
    name: commands:
    "${pkgs.writeShellScript "slipway-floating-${name}" (lib.concatLines ([ "set -e" ] ++ commands))}";

  # Less than half a second between two questions, or a frozen nginx would not be noticed in time. One that is killed is
  # back sooner than that.
  script = name: weight: every: commands: ''
    vrrp_script ${name} {
      script "${program name commands}"
      interval ${every}
      timeout 1
      fall 2
      rise 2
      weight -${toString weight}
      init_fail
    }
  '';
  scripts = [
    (script "nginx" 100 "0.4" [ (ask "http://127.0.0.1:${toString contract.ports.floating}/") ])
  ]
  # A stack that is down everywhere lowers all members alike, and nothing moves.
  ++ lib.optional (pings != [ ]) (
    script "stacks" 40 "1" (
      map (port: ask "http://127.0.0.1:${toString port}${contract.paths.ready}") pings
    )
  );
  scriptNames = [ "nginx" ] ++ lib.optional (pings != [ ]) "stacks";

  instance = name: group: ''
    track_file ${name} {
      file "${group.file}"
      weight 0
      init_file 0 overwrite
    }
    vrrp_instance ${name} {
      state BACKUP
      interface ${group.interface}
      virtual_router_id ${toString group.routerId}
      priority 200
      version 3
      advert_int 0.25
      garp_master_delay 1
      garp_master_refresh 10
      garp_lower_prio_repeat 5
      unicast_src_ip ${group.own}
      # Only from the same network: nothing that was routed arrives with the full count of hops.
      check_unicast_src
      unicast_peer {
    ${
      lib.concatMapStrings (address: "    ${address} min_ttl 255 max_ttl 255\n") (
        lib.attrValues group.peers
      )
    }  }
      virtual_ipaddress {
    ${lib.concatMapStrings (address: "    ${address} dev ${group.interface}\n") group.addresses}  }
      track_script {
    ${lib.concatMapStrings (script: "    ${script}\n") scriptNames}  }
      track_file {
        ${name}
      }
    }
  '';
in
{
  config = lib.mkIf on {
    services.keepalived = {
      enable = true;
      enableScriptSecurity = true;
      extraGlobalDefs = ''
        script_user ${user}
        # Late on a busy host it would lose the address for nothing.
        vrrp_priority -15
      '';
      extraConfig = lib.concatStrings (scripts ++ lib.mapAttrsToList instance groups);
    };
    users.users.${user} = {
      isSystemUser = true;
      group = user;
    };
    users.groups.${user} = { };
    networking.firewall = import ../allow.nix { inherit config lib; } {
      clients = lib.unique (lib.concatMap (group: lib.attrValues group.peers) (lib.attrValues groups));
      # VRRP, by number: the name is not known to every nft.
      protocol = 112;
      interface = null;
    };
    systemd = {
      tmpfiles.settings."10-slipway-floating"."/run/slipway-floating".d = {
        user = "root";
        group = "root";
        mode = "0755";
      };
      services.keepalived = {
        # It ends first, and the addresses go before what serves them.
        after = [ "nginx.service" ];
        serviceConfig = {
          KillMode = lib.mkForce "mixed";
          # It starts again at once, and waits longer after each further failure.
          RestartSec = lib.mkForce "100ms";
          RestartSteps = 10;
          RestartMaxDelaySec = 15;
          # Killed, it leaves the addresses behind, and two hosts would answer for them.
          ExecStopPost = lib.concatMap (
            group: map (address: "-${ip} address delete ${address} dev ${group.interface}") group.addresses
          ) (lib.attrValues groups);
          OOMScoreAdjust = -900;
          TimeoutStopSec = 5;
        };
        startLimitIntervalSec = lib.mkForce 0;
      };
    };
  };
}
