# shellcheck shell=bash
# slipway-telemetry-door-files FOLDER CERTIFICATE KEY AUTHORITY: gives the door its files, and says what is wrong with them.
folder=$1
option=services.slipway.telemetry.door
refuse() {
  echo "$option.$1: $2 $3" >&2
  exit 1
}

certificate=$2 key=$3 authority=$4
for what in certificate key authority; do
  file=${!what}
  [ -e "$file" ] || refuse "$what" "$file" 'does not exist; put the PEM file there, or correct the option'
  [ -s "$file" ] || refuse "$what" "$file" 'is empty; write the PEM text into it'
done
public=$(openssl x509 -in "$certificate" -noout -pubkey) || refuse certificate "$certificate" 'is no certificate in PEM'
[ "$(openssl pkey -in "$key" -pubout)" = "$public" ] || refuse key "$key" "does not belong to $certificate; give both of one pair"
openssl x509 -in "$authority" -noout || refuse authority "$authority" 'is no certificate in PEM'

umask 077
for what in certificate key authority; do
  cat "${!what}" >"$folder/$what.new"
  # The account of the unit exists only while it runs; its folder is of that account.
  chown --reference="$folder" "$folder/$what.new"
  mv "$folder/$what.new" "$folder/$what.pem"
done
