# shellcheck shell=bash
# slipway-logs-door-files FOLDER WHAT=FILE…: gives the door its files, and says what is wrong with them.
folder=$1
shift
declare -A files
for given; do files[${given%%=*}]=${given#*=}; done
refuse() {
  echo "services.slipway.monitoring.logs.door.$1: ${files[$2]} $3" >&2
  exit 1
}
# The option of the passwords has a longer name.
named() { if [ "$1" = passwords ]; then echo passwordsFile; else echo "$1"; fi; }

for what in "${!files[@]}"; do
  [ -e "${files[$what]}" ] || refuse "$(named "$what")" "$what" 'does not exist; put the file there, or correct the option'
  [ -s "${files[$what]}" ] || refuse "$(named "$what")" "$what" 'is empty; write its text into it'
done
public=$(openssl x509 -in "${files[certificate]}" -noout -pubkey) || refuse certificate certificate 'is no certificate in PEM'
[ "$(openssl pkey -in "${files[key]}" -pubout)" = "$public" ] || refuse key key "does not belong to ${files[certificate]}; give both of one pair"

umask 077
for what in "${!files[@]}"; do
  into=$folder/$what
  [ "$what" = passwords ] || into=$into.pem
  cat "${files[$what]}" >"$into.new"
  # The account of the unit exists only while it runs; its folder is of that account.
  chown --reference="$folder" "$into.new"
  mv "$into.new" "$into"
done
