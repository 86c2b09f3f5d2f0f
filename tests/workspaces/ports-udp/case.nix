#
# build w.images.img
mk:
mk {
  src = ./.;
  images.img = {
    bin = "api";
    ports = [ "53/udp" ];
  };
}
