# Floating addresses, of which exactly one host must have each. Every member says which ones it may have; node_exporter,
# which addresses it has.
let
  has = ''node_network_address_info{job="node"}'';
in
{
  AddressHeldByNobody = {
    severity = "page";
    forSeconds = 60;
    summary = "No host has the address {{ $labels.address }} of {{ $labels.group }}.";
    expr =
      _: "count by (group, address) (slipway_floating_address{job=\"node\"}) unless on (address) ${has}";
  };
  AddressHeldByTwo = {
    severity = "page";
    # Hosts are asked each half a minute, and not at the same time.
    forSeconds = 90;
    summary = "{{ $value }} hosts have the address {{ $labels.address }} of {{ $labels.group }}.";
    expr =
      _:
      "count by (group, address) (slipway_floating_address{job=\"node\"} and on (host, address) ${has}) > 1";
  };
}
