# Sourced by run.sh: how files come and go without python3, with the first of curl, GNU wget and busybox
# wget that works in this image. After choose_transport, `download` and `upload` move what a list names,
# with up to $shim_attempts attempts per file; they return 1 with the reason in shim_problem. A
# download appears under its name only when it is complete. Variables and conventions: see run.sh.
#
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154  # run.sh and these functions share variables

# ---- choice -----------------------------------------------------------------------------------

# Sets shim_transport (and shim_wget: wget's options or busybox's command) to the first that works, or fails.
choose_transport() {
    [ -z "$shim_transport" ] || return 0
    for shim_name in ${PERIAN_SHIM_TRANSPORT:-python3 curl wget busybox}; do
        case $shim_name in
            python3) false ;; # run.sh has found none that works
            curl) curl --version >/dev/null 2>&1 ;;
            wget) find_gnu_wget ;;
            busybox) find_busybox ;;
            *) fail 64 "PERIAN_SHIM_TRANSPORT is '$shim_name', expected python3, curl, wget or busybox" ;;
        esac && shim_transport=$shim_name && return 0
    done
    fail 64 "cannot reach the inputs and outputs: looked for ${PERIAN_SHIM_TRANSPORT:-python3 (3.6 or\
 newer, with ssl), curl, GNU wget, busybox wget with busybox nc} in PATH=${PATH:-}, and none works.\
 Add one of python3, curl or wget to the image"
}

# Not "GNU Wget2": it posts a form as something else. Without --no-iri, and in the C locale, wget decodes what a URL from a file has percent-encoded.
find_gnu_wget() {
    case $(wget --version 2>&1) in *"GNU Wget "*) ;; *) return 1 ;; esac
    shim_wget=--no-iri
    case $(wget --help 2>&1) in *--no-hsts*) shim_wget='--no-iri --no-hsts' ;; esac
}

find_busybox() {
    for shim_busybox in '' busybox; do
        case $($shim_busybox wget --help 2>&1) in *BusyBox*) ;; *) continue ;; esac
        case $($shim_busybox nc --help 2>&1) in *BusyBox*"-e PROG"*) ;; *) continue ;; esac
        shim_wget="$shim_busybox wget"
        case $($shim_wget --help 2>&1) in *"-T SEC"*) shim_wget="$shim_wget -T 30" ;; esac
        return 0
    done
    return 1
}

# Hides what follows a '?' and the parameters of a signature; at most 300 bytes, one line.
scrub() {
    LC_ALL=C tr '\001-\037\177' ' ' | LC_ALL=C sed -e 's/ *$//' -e "s/?[^ \"'<>]*/?(hidden)/g" \
        -e 's/[Xx]-\([Aa]mz\|[Gg]oog\)-[A-Za-z-]*=[^&[:space:]]*/(hidden)/g' | dd bs=300 count=1 2>/dev/null
}

shown_url() { printf '%s' "${1%%[?#]*}" | sed 's|//[^/@]*@|//|'; }
quoted() { printf '%s' "$1" | LC_ALL=C sed 's/[\\"]/\\&/g'; }

# explain HTTP_STATUS BODY LOG: sets shim_detail, and shim_final if trying again is of no use.
explain() {
    shim_detail='' shim_final=''
    if [ -n "$1" ]; then
        [ ! -s "$2" ] || shim_detail=$(dd if="$2" bs=2000 count=1 2>/dev/null | tr '\r\n' '  ' |
            LC_ALL=C sed -n 's|.*<Code>\([^<]*\)</Code>.*<Message>\([^<]*\)</Message>.*|\1: \2|p' | scrub)
        [ -n "$shim_detail" ] || [ ! -s "$2" ] ||
            shim_detail=$(dd if="$2" bs=300 count=1 2>/dev/null | LC_ALL=C sed 's/<[^>]*>/ /g' | scrub)
        case $1-$shim_detail in
            408-* | 429-* | 5??-* | 400-RequestTimeout*) ;;
            *) shim_final=1 ;;
        esac
        shim_detail="HTTP status $1${shim_detail:+ ($shim_detail)}"
    else
        shim_detail=$(sed '/: note: /d' "$3" | scrub)
        : "${shim_detail:="$shim_transport ended with exit code $shim_code and said nothing"}"
        case $shim_detail in
            *ertificate*) shim_detail="$shim_detail (does the image have ca-certificates?)" ;;
        esac
    fi
    return 1
}

# Each `_get URL TARGET` and `_put URL KEY FILE` is one attempt: 0, or 1 with shim_detail set.

# The URL and the form are in a file and not in the arguments, which every process can see.
curl_run() {
    shim_body=$1
    attend curl --silent --show-error --globoff --connect-timeout "$shim_connect" \
        --speed-limit 1 --speed-time 120 ${shim_total:+--max-time "$shim_total"} \
        --config "$shim_tmp/curl" --output "$shim_body" --write-out '%{http_code}' \
        >"$shim_tmp/status" 2>"$shim_tmp/log" 3<"$2"
    shim_code=$?
    shim_http=$(cat "$shim_tmp/status")
    case $shim_code-$shim_http in
        0-2??) return 0 ;;
        *-[345]??) explain "$shim_http" "$shim_body" "$shim_tmp/log" ;;
        *) explain '' "$shim_body" "$shim_tmp/log" ;;
    esac
}

curl_get() {
    printf 'location\nurl = "%s"\n' "$(quoted "$1")" >"$shim_tmp/curl"
    curl_run "$2" /dev/null
}

# `file=@-` with the file itself as standard input: no name has to be quoted, and curl >= 7.56 asks
# for its size and streams it (7.29 to 7.55 read it into memory first). S3 replaces ${filename} in a
# key by the file's name; with that very name, a key that contains it stays as it is.
curl_put() {
    {
        printf 'url = "%s"\nform-string = "key=%s"\n' "$(quoted "$1")" "$(quoted "$2")"
        printf '%s' "$shim_fields" | while IFS=$shim_tab read -r shim_name shim_value; do
            printf 'form-string = "%s=%s"\n' "$shim_name" "$(quoted "$shim_value")"
        done
        # shellcheck disable=SC2016  # literally ${filename}
        printf 'form = "file=@-;filename=${filename};type=application/octet-stream"\n'
    } >"$shim_tmp/curl"
    curl_run "$shim_tmp/answer" "$3"
}

wget_run() {
    shim_url=$1 shim_body=$2
    shift 2
    printf '%s\n' "$shim_url" >"$shim_tmp/url"
    # shellcheck disable=SC2086  # words on purpose
    attend wget --no-verbose --server-response --content-on-error --tries=1 $shim_wget \
        --connect-timeout="$shim_connect" --dns-timeout="$shim_connect" \
        --read-timeout="${shim_total:-120}" --input-file="$shim_tmp/url" \
        --output-document="$shim_body" --output-file="$shim_tmp/log" "$@" 3</dev/null
    shim_code=$?
    [ "$shim_code" != 0 ] || return 0
    shim_http=$(sed -n 's|.*HTTP/[0-9.]* \([345][0-9][0-9]\).*|\1|p' "$shim_tmp/log" | sed '$!d')
    explain "$shim_http" "$shim_body" "$shim_tmp/log"
}

wget_get() { wget_run "$1" "$2"; }

# wget cannot make a form: the whole body is written to a file first, so each upload needs space in
# the temporary directory for one more copy of the file, and the time to write it.
wget_put() {
    make_form "$2"
    if ! cat "$shim_tmp/head" "$3" "$shim_tmp/tail" >"$shim_tmp/form"; then
        shim_detail="cannot write the form to $shim_tmp: no space?" shim_final=1
        return 1
    fi
    wget_run "$1" "$shim_tmp/answer" --max-redirect=0 \
        --header="Content-Type: multipart/form-data; boundary=$shim_boundary" \
        --post-file="$shim_tmp/form"
}

# make_form KEY: what comes before and after the file in the body, as the files head and tail.
make_form() {
    shim_boundary=perian-shim-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    {
        printf 'key\t%s\n%s' "$1" "$shim_fields" | while IFS=$shim_tab read -r shim_name shim_value; do
            printf -- '--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' \
                "$shim_boundary" "$shim_name" "$shim_value"
        done
        # shellcheck disable=SC2016  # literally ${filename}, see curl_put
        printf -- '--%s\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n' "$shim_boundary"
        printf 'Content-Type: application/octet-stream\r\n\r\n'
    } >"$shim_tmp/head"
    printf '\r\n--%s--\r\n' "$shim_boundary" >"$shim_tmp/tail"
}

# busybox wget takes a URL from its arguments only, does not show the body of an error, and, built
# with busybox's own TLS, verifies no certificates: hence the last choice.
busybox_get() {
    # shellcheck disable=SC2086  # words on purpose
    attend $shim_wget -q -O "$2" "$1" >/dev/null 2>"$shim_tmp/log" 3</dev/null
    shim_code=$?
    [ "$shim_code" != 0 ] || return 0
    explain "$(sed -n 's|.*HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' "$shim_tmp/log")" /dev/null "$shim_tmp/log"
}

# busybox wget --post-file ends the body at its first NUL byte. busybox nc carries any bytes, without
# a copy, and hands the connection to a program, which is where TLS comes in. It knows no proxy, and
# detects no stall.
# shellcheck disable=SC2016  # expanded by the shell that nc starts
shim_speak='answer=$1 tls=$2; shift 2; exec 3<&0
if [ -n "$tls" ]; then cat "$@" | $tls >"$answer"; else cat "$@" && cat <&3 >"$answer"; fi'

busybox_put() {
    make_form "$2"
    shim_url=${1#*://} shim_port=80 shim_tls=''
    case $shim_url in */*) ;; *) shim_url=$shim_url/ ;; esac
    shim_host=${shim_url%%/*}
    case $1 in https*) shim_port=443 shim_tls="$shim_busybox ssl_client -s 3 -n ${shim_host%:*}" ;; esac
    case $shim_host in *:*) shim_port=${shim_host##*:} ;; esac
    {
        printf 'POST /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "${shim_url#*/}" "$shim_host"
        printf 'Content-Type: multipart/form-data; boundary=%s\r\n' "$shim_boundary"
        printf 'Content-Length: %s\r\n\r\n' \
            $(($(wc -c <"$shim_tmp/head") + $(wc -c <"$3") + $(wc -c <"$shim_tmp/tail")))
    } >"$shim_tmp/request"
    : >"$shim_tmp/answer"
    # shellcheck disable=SC2086  # words on purpose
    attend $shim_busybox nc -w "$shim_connect" "${shim_host%:*}" "$shim_port" \
        -e sh -c "$shim_speak" sh "$shim_tmp/answer" "$shim_tls" \
        "$shim_tmp/request" "$shim_tmp/head" "$3" "$shim_tmp/tail" >"$shim_tmp/log" 2>&1 3</dev/null
    shim_code=$?
    shim_http=$(sed -n '1s|^HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' "$shim_tmp/answer")
    case $shim_http in 2??) return 0 ;; esac
    explain "$shim_http" "$shim_tmp/answer" "$shim_tmp/log"
    [ -z "${http_proxy:-}${https_proxy:-}" ] || shim_detail="$shim_detail (busybox uploads use no proxy)"
    return 1
}

# ---- many files -------------------------------------------------------------------------------

# retry WHAT COMMAND...: until it succeeds; shim_problem is why it did not, else empty.
retry() {
    shim_what=$1 shim_attempt=1 shim_wait=$shim_pause
    shift
    until "$@"; do
        shim_problem="$shim_what: $shim_detail"
        if [ -n "$shim_final" ] || [ "$shim_attempt" -ge "$shim_attempts" ]; then return 1; fi
        say "$shim_problem (attempt $shim_attempt of $shim_attempts, the next in $shim_wait s)"
        attend sleep "$shim_wait" 3</dev/null
        shim_attempt=$((shim_attempt + 1)) shim_wait=$((shim_wait * 2))
    done
    shim_problem=''
}

# download FILE: of get records
download() {
    while IFS=$shim_tab read -r shim_type shim_path shim_url <&4; do
        make_dir "${shim_path%/*}" || return 1
        if [ -d "$shim_path" ]; then
            shim_problem="cannot download to $shim_path: there is a directory of that name"
            return 1
        fi
        shim_part=${shim_path%/*}/.perian-shim.part
        if ! retry "could not download $shim_path from $(shown_url "$shim_url")" \
            "${shim_transport}_get" "$shim_url" "$shim_part" || ! mv -f "$shim_part" "$shim_path"; then
            rm -f "$shim_part"
            return 1
        fi
    done 4<"$1"
}

# upload: what $shim_tmp/objects names, a line "SIZE KEY FILE" each
upload() {
    while IFS=$shim_tab read -r shim_size shim_key shim_path <&4; do
        retry "could not upload $shim_path to $(shown_url "$shim_post")" \
            put_whole "$shim_post" "$shim_key" "$shim_path" || return 1
    done 4<"$shim_tmp/objects"
}

# put_whole URL KEY FILE: one attempt; a file that was written to meanwhile is taken again.
put_whole() {
    : >"$shim_tmp/began"
    shim_before=$(wc -c <"$3")
    "${shim_transport}_put" "$@" || return 1
    # shellcheck disable=SC3013  # dash, busybox ash and bash have -nt
    if [ "$(wc -c <"$3")" != "$shim_before" ] || [ "$3" -nt "$shim_tmp/began" ]; then
        shim_detail='it was written to while it was uploaded: is something still running?' shim_final=''
        return 1
    fi
}

