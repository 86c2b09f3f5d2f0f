# services.slipway.floating: the groups of hosts that share an address.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  texts = import ../../nix/stack/texts.nix { inherit lib; };
  inherit (config.networking) hostName;
  checked =
    what: check:
    types.addCheck types.str check
    // {
      description = what;
      descriptionClass = "noun";
    };
  inherit (import ../../nix/lib/address.nix) isV6;
  address = checked "IPv4 address such as \"203.0.113.11\"" (text: texts.isHost text && !isV6 text);
  network = checked "IPv4 address with the length of its network, such as \"203.0.113.10/24\"" (
    text: texts.isNetwork text && !isV6 text
  );

  group =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          internal = true;
          readOnly = true;
          default = name;
          description = "The group's name.";
        };
        members = mkOption {
          type = types.attrsOf (
            types.submodule {
              options.address = mkOption {
                type = address;
                example = "203.0.113.11";
                description = "The host's own address in the network of the floating ones.";
              };
            }
          );
          example = {
            prod-edge-1.address = "203.0.113.11";
            prod-edge-2.address = "203.0.113.12";
          };
          description = "The hosts that share the addresses, by name. Give every member the same set.";
        };
        member = mkOption {
          type = types.str;
          default = hostName;
          defaultText = lib.literalExpression "config.networking.hostName";
          example = "prod-edge-1";
          description = "Which of the members this host is.";
        };
        addresses = mkOption {
          type = types.nonEmptyListOf network;
          example = [ "203.0.113.10/24" ];
          description = ''
            The addresses that one member has at a time, each with the length of its network. The domains' DNS records name
            them. All move together.
          '';
        };
        interface = mkOption {
          type = types.str;
          example = "eth0";
          description = "The interface with this host's address of `members`, which also gets the floating ones.";
        };
        routerId = mkOption {
          type = types.ints.between 1 255;
          example = 51;
          description = "The number of the group in VRRP. Every group of a network needs its own, also groups of others.";
        };
        handOver = {
          enable = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = ''
              Whether this host gives the addresses to another member before a rollout changes it. New connections wait
              meanwhile, for a second as a rule, and no request is lost.
            '';
          };
          drainSeconds = mkOption {
            type = types.ints.between 0 60;
            default = 10;
            example = 30;
            description = "How long requests that are under way may take to end before the addresses move. Longer ones are cut.";
          };
          onFailure = mkOption {
            type = types.enum [
              "fail"
              "continue"
            ];
            default = "fail";
            example = "continue";
            description = ''
              What a rollout does if no other member can take the addresses: `fail` leaves this host as it is, `continue`
              changes it nevertheless. Set `continue` while the other members are gone for longer.
            '';
          };
        };
      };
    };
in
{
  options.services.slipway.floating = mkOption {
    type = types.attrsOf (types.submodule group);
    default = { };
    example = {
      edge = {
        members = {
          prod-edge-1.address = "203.0.113.11";
          prod-edge-2.address = "203.0.113.12";
        };
        addresses = [ "203.0.113.10/24" ];
        interface = "eth0";
        routerId = 51;
      };
    };
    description = ''
      Addresses that several hosts with nginx share, by group. One member has a group's addresses at a time; when it dies,
      freezes or loses its nginx, another takes them. The members must be in one network (layer 2).
    '';
  };
}
