# pkgs.slipway-api and the others, built with the packages of whoever uses the overlay.
{ packagesOf }:
final: _prev: {
  inherit (packagesOf final)
    slipway
    slipway-agent
    slipway-api
    slipway-backup
    slipway-worker
    ;
}
