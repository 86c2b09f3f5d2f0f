let
  may =
    host:
    ''slipway_floating_address{address="203.0.113.10",group="edge",host="${host}",instance="${host}/node",job="node"}'';
  has =
    host:
    ''node_network_address_info{address="203.0.113.10",device="eth0",host="${host}",instance="${host}/node",job="node"}'';
  own =
    host: address:
    ''node_network_address_info{address="${address}",device="eth0",host="${host}",instance="${host}/node",job="node"}'';
  labels = {
    address = "203.0.113.10";
    group = "edge";
  };
  members = {
    ${may "edge-1"} = "1x20";
    ${may "edge-2"} = "1x20";
    ${own "edge-1" "203.0.113.11"} = "1x20";
    ${own "edge-2" "203.0.113.12"} = "1x20";
  };
in
{
  AddressHeldByNobody = {
    fault.series = members // {
      # The host that had it let it go.
      ${has "edge-1"} = "1 stale";
    };
    fault.minutes = 4;
    fault.alerts = [
      {
        inherit labels;
        summary = "No host has the address 203.0.113.10 of edge.";
      }
    ];
    # It moves, and is nowhere for one question.
    healthy.series = members // {
      ${has "edge-1"} = "1x4 stale";
      ${has "edge-2"} = "_x6 1x14";
    };
  };
  AddressHeldByTwo = {
    fault.series = members // {
      ${has "edge-1"} = "1x20";
      ${has "edge-2"} = "_ 1x20";
    };
    fault.minutes = 5;
    fault.alerts = [
      {
        inherit labels;
        summary = "2 hosts have the address 203.0.113.10 of edge.";
      }
    ];
    # It moved, and one host was asked before and the other after. Another group has it on one host only.
    healthy.series = members // {
      ${has "edge-1"} = "1x5 stale";
      ${has "edge-2"} = "_x5 1x15";
    };
  };
}
