# shellcheck shell=bash
# NAME-files OPTION FOLDER WHAT=FILE…: gives a door the files that its option names, and says what is wrong with them.
option=$1 folder=$2
shift 2
declare -A files
for given; do files[${given%%=*}]=${given#*=}; done
refuse() {
  echo "$option.$1: ${files[$1]} $2" >&2
  exit 1
}

for what in "${!files[@]}"; do
  [ -e "${files[$what]}" ] || refuse "$what" 'does not exist; put the file there, or correct the option'
  [ -s "${files[$what]}" ] || refuse "$what" 'is empty; write its text into it'
done
public=$(openssl x509 -in "${files[certificate]}" -noout -pubkey) || refuse certificate 'is no certificate in PEM'
[ "$(openssl pkey -in "${files[key]}" -pubout)" = "$public" ] || refuse key "does not belong to ${files[certificate]}; give both of one pair"
if [ -n "${files[authority]:-}" ]; then
  openssl x509 -in "${files[authority]}" -noout || refuse authority 'is no certificate in PEM'
fi

umask 077
for what in "${!files[@]}"; do
  case $what in
    passwordsFile) into=$folder/passwords ;;
    *) into=$folder/$what.pem ;;
  esac
  cat "${files[$what]}" >"$into.new"
  # The account of the unit exists only while it runs; its folder is of that account.
  chown --reference="$folder" "$into.new"
  mv "$into.new" "$into"
done
