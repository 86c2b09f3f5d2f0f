# IPv4 addresses and networks as numbers. Whoever asks has checked the form.
{ lib }:
let
  power = exponent: if exponent == 0 then 1 else 2 * power (exponent - 1);
  partsOf = network: lib.splitString "/" network;
  number =
    address: lib.foldl' (sum: part: sum * 256 + lib.toInt part) 0 (lib.splitString "." address);
in
rec {
  # Without the length of the network.
  addressOf = network: lib.head (partsOf network);
  lengthOf = network: lib.toInt (lib.last (partsOf network));
  # Whether the address is in the network of the other, such as 10.1.0.9 in that of 10.1.0.1/24.
  isWithin =
    network: address:
    let
      size = power (32 - lengthOf network);
    in
    number address / size == number (addressOf network) / size;
}
