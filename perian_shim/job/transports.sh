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

# explain HTTP_STATUS BODY LOG: sets shim_detail, and shim_final if trying again is of no use.
explain() {
    shim_detail='' shim_final=''
    if [ -n "$1" ]; then
        [ ! -s "$2" ] || shim_detail=$(s3_error "$2")
        [ -n "$shim_detail" ] || [ ! -s "$2" ] || shim_detail=$(without_tags "$2")
        case $1-$shim_detail in
            408-* | 429-* | 5??-* | 400-RequestTimeout*) ;;
            *) shim_final=1 ;;
        esac
        shim_detail="HTTP status $1${shim_detail:+ ($shim_detail)}"
    else
        shim_detail=$(without_notes "$3")
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
    shim_http=''
    read -r shim_http <"$shim_tmp/status"
    case $shim_code-$shim_http in
        0-2??) return 0 ;;
        *-[345]??) explain "$shim_http" "$shim_body" "$shim_tmp/log" ;;
        *) explain '' "$shim_body" "$shim_tmp/log" ;;
    esac
}

curl_get() {
    quote "$1"
    printf 'location\nurl = "%s"\n' "$shim_quoted" >"$shim_tmp/curl"
    curl_run "$2" /dev/null
}

# `file=@-` with the file itself as standard input: no name has to be quoted, and curl >= 7.56 asks
# for its size and streams it (7.29 to 7.55 read it into memory first). S3 replaces ${filename} in a
# key by the file's name; with that very name, a key that contains it stays as it is.
curl_put() {
    {
        quote "$1"
        printf 'url = "%s"\n' "$shim_quoted"
        quote "$2"
        printf 'form-string = "key=%s"\n' "$shim_quoted"
        printf '%s' "$shim_fields" | while IFS=$shim_tab read -r shim_name shim_value; do
            quote "$shim_value"
            printf 'form-string = "%s=%s"\n' "$shim_name" "$shim_quoted"
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
    last_status "$shim_tmp/log"
    case $shim_http in [345]*) ;; *) shim_http='' ;; esac
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

# busybox wget takes a URL from its arguments only, where every process can see it: what has a query, in
# which a signature may be, is fetched by busybox nc. wget is left with what is public, with redirects,
# and with proxies, which nc does not know. It does not show the body of an error either, and, built with
# busybox's own TLS, verifies no certificates: hence the last choice.
busybox_get() {
    case $1 in *\?*) ;; *) busybox_wget "$@" && return 0 || return 1 ;; esac
    if [ -n "${http_proxy:-}${https_proxy:-}" ]; then
        busybox_wget "$@" && return 0 || return 1
    fi
    split_url "$1"
    printf 'GET /%s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$shim_file" "$shim_host" >"$shim_tmp/request"
    busybox_talk "$2" "$shim_tmp/request"
    case $shim_http in
        200)
            shim_length=''
            while IFS= read -r shim_line; do
                case $shim_line in [Cc]ontent-[Ll]ength:*[0-9]*)
                    shim_length=${shim_line#"${shim_line%%[0-9]*}"}
                    shim_length=${shim_length%%[!0-9]*} ;;
                esac
            done <"$shim_tmp/answer"
            shim_size=$(($(wc -c <"$2")))
            [ "${shim_length:-$shim_size}" != "$shim_size" ] || return 0
            shim_detail="received $shim_size bytes of $shim_length" shim_final=''
            return 1 ;;
        30?) busybox_wget "$@" && return 0 || return 1 ;;
    esac
    explain "$shim_http" "$2" "$shim_tmp/log"
}

busybox_wget() {
    # shellcheck disable=SC2086  # words on purpose
    attend $shim_wget -q -O "$2" "$1" >/dev/null 2>"$shim_tmp/log" 3</dev/null
    shim_code=$?
    [ "$shim_code" != 0 ] || return 0
    last_status "$shim_tmp/log"
    explain "$shim_http" /dev/null "$shim_tmp/log"
}

# split_url URL: sets shim_host (with its port), shim_port, shim_file (what follows the slash), shim_tls.
split_url() {
    shim_rest=${1#*://} shim_port=80 shim_tls=''
    case $shim_rest in */*) ;; *) shim_rest=$shim_rest/ ;; esac
    shim_host=${shim_rest%%/*} shim_file=${shim_rest#*/}
    case $1 in https*) shim_port=443 shim_tls="$shim_busybox ssl_client -s 3 -n ${shim_host%:*}" ;; esac
    case $shim_host in *:*) shim_port=${shim_host##*:} ;; esac
}

# busybox nc carries any bytes, without a copy, and hands the connection to a program, which is where
# TLS comes in. It knows no proxy, and detects no stall. The answer's head and body come apart: `read`
# takes no byte more than its line.
# shellcheck disable=SC2016  # expanded by the shell that nc starts
shim_speak='head=$1 body=$2 tls=$3; shift 3; exec 3<&0; cr=$(printf "\r")
receive() {
    while IFS= read -r line; do
        printf "%s\n" "$line" >>"$head"
        case $line in "" | "$cr") break ;; esac
    done
    cat >"$body"
}
if [ -n "$tls" ]; then cat "$@" | $tls | receive; else cat "$@" && receive <&3; fi'

# busybox_talk BODY FILE...: sends the files and receives an answer; sets shim_http.
busybox_talk() {
    shim_body=$1
    shift
    : >"$shim_tmp/answer" && : >"$shim_body"
    # shellcheck disable=SC2086  # words on purpose
    attend $shim_busybox nc -w "$shim_connect" "${shim_host%:*}" "$shim_port" \
        -e sh -c "$shim_speak" sh "$shim_tmp/answer" "$shim_body" "$shim_tls" "$@" >"$shim_tmp/log" 2>&1 3</dev/null
    shim_code=$?
    shim_http='' shim_line=''
    read -r shim_line <"$shim_tmp/answer"
    http_status "$shim_line"
}

# busybox wget --post-file ends the body at its first NUL byte.
busybox_put() {
    make_form "$2"
    split_url "$1"
    {
        printf 'POST /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$shim_file" "$shim_host"
        printf 'Content-Type: multipart/form-data; boundary=%s\r\n' "$shim_boundary"
        printf 'Content-Length: %s\r\n\r\n' \
            $(($(wc -c <"$shim_tmp/head") + $(wc -c <"$3") + $(wc -c <"$shim_tmp/tail")))
    } >"$shim_tmp/request"
    busybox_talk "$shim_tmp/body" "$shim_tmp/request" "$shim_tmp/head" "$3" "$shim_tmp/tail"
    case $shim_http in 2??) return 0 ;; esac
    explain "$shim_http" "$shim_tmp/body" "$shim_tmp/log"
    [ -z "${http_proxy:-}${https_proxy:-}" ] || shim_detail="$shim_detail (busybox uploads use no proxy)"
    return 1
}

# ---- the grant --------------------------------------------------------------------------------

# next_grant WHO: fetches the next grant in place of the one that is here, at the URL that this names or
# at the first one; 1 with the reason in shim_detail. WHO names the file for what is not whole yet.
next_grant() {
    [ -d "$shim_private" ] || mkdir -m 700 "$shim_private" || return 1 # a program may clean up
    [ ! -f "$shim_private/grant" ] || { granted next && shim_next=$shim_granted; }
    for shim_from in $shim_next "$PERIAN_SHIM_GRANT"; do
        (umask 077 && : >"$shim_private/$1")
        if ! "${shim_transport}_get" "$shim_from" "$shim_private/$1"; then
            shim_detail="could not be read from $(shown_url "$shim_from"): $shim_detail"
        elif ! is_whole "$shim_private/$1"; then
            shim_detail='it is not whole' shim_final=''
        else
            mv -f "$shim_private/$1" "$shim_private/grant"
            return 0
        fi
    done
    return 1
}

# is_whole GRANT: whether its last line is there.
is_whole() {
    shim_length=$(($(wc -c <"$1")))
    [ "$shim_length" -gt 5 ] &&
        [ "$(dd if="$1" bs=1 skip=$((shim_length - 5)) count=5 2>/dev/null)" = "${shim_nl}end" ]
}

# renew_grant: reads the grant anew in time, until it is ended; beside everything else. What it starts
# ends with it: no process is left that holds the log open.
renew_grant() {
    # shellcheck disable=SC2154  # assigned there
    trap '[ -z "$shim_child" ] || kill "$shim_child" 2>/dev/null; exit' TERM HUP
    shim_tmp=$shim_private/renewing shim_phase=result shim_stopped='' shim_failures=0
    mkdir -p "$shim_tmp" # says that it can be ended now
    while :; do
        shim_wait=$shim_renew
        [ "$shim_failures" = 0 ] || {
            shim_wait=$((shim_pause * shim_failures + 1))
            [ "$shim_wait" -le "$shim_renew" ] || shim_wait=$shim_renew
            [ "$shim_wait" -le 30 ] || shim_wait=30
        }
        while [ "$shim_wait" -gt 0 ]; do
            shim_slice=5
            [ "$shim_wait" -ge 5 ] || shim_slice=$shim_wait
            attend sleep "$shim_slice" 3</dev/null
            kill -0 "$$" 2>/dev/null || exit 0 # the wrapper was killed
            shim_wait=$((shim_wait - shim_slice))
        done
        mkdir -p "$shim_tmp"
        if next_grant next; then
            granted renew
            shim_failures=0 shim_said='' shim_renew=$shim_granted
        else
            shim_failures=$((shim_failures + 1))
            [ "$shim_said" = "$shim_detail" ] || say "the next grant $shim_detail; trying again"
            shim_said=$shim_detail
        fi
    done
}

# renewed: whether there is another grant than that with which access was refused. If access has
# expired, one is waited for.
renewed() {
    [ -n "$shim_private" ] && [ -n "$shim_used" ] || return 1
    shim_refusal=$shim_detail shim_waited=0 shim_why=', and nobody renews it'
    while :; do
        is_other && return 0
        if next_grant main; then
            is_other && return 0
        else
            shim_why="; the next grant $shim_detail"
        fi
        shim_detail=$shim_refusal shim_final=1
        case $shim_refusal in *[Ee]xpired*) ;; *) return 1 ;; esac
        if [ "$shim_waited" -ge "$shim_patience" ] || [ -n "$shim_stopped" ]; then
            shim_detail="access expired$shim_why: $shim_refusal"
            return 1
        fi
        shim_nap=$shim_renew
        [ "$shim_nap" -le 30 ] || shim_nap=30
        attend sleep "$shim_nap" 3</dev/null
        shim_waited=$((shim_waited + shim_nap))
    done
}

# is_other: whether the newest grant is another one than that in use; then it is.
is_other() {
    [ -f "$shim_private/grant" ] && granted next && [ "$shim_granted" != "$shim_used" ] && read_grant
}

# ---- many files -------------------------------------------------------------------------------

# retry WHAT COMMAND...: until it succeeds; shim_problem is why it did not, else empty.
retry() {
    shim_what=$1 shim_attempt=1 shim_wait=$shim_pause
    shift
    until "$@"; do
        if [ -n "$shim_final" ] && renewed; then continue; fi
        shim_problem="$shim_what: $shim_detail"
        if [ -n "$shim_final" ] || [ "$shim_attempt" -ge "$shim_attempts" ]; then return 1; fi
        say "$shim_problem (attempt $shim_attempt of $shim_attempts, the next in $shim_wait s)"
        attend sleep "$shim_wait" 3</dev/null
        shim_attempt=$((shim_attempt + 1)) shim_wait=$((shim_wait * 2))
    done
    shim_problem=''
}

# get_one PATH PART: fetches what belongs at PATH, from where the newest grant says that it is.
get_one() {
    [ "$shim_used" = "$shim_listing" ] || find_url "$1"
    "${shim_transport}_get" "$shim_url" "$2"
}

# find_url PATH: sets shim_url to where the newest grant says that PATH is. Each grant names the files in
# the order in which they are fetched: one is looked for from where the one before was, then from the top.
find_url() {
    shim_url=''
    for shim_turn in on anew; do
        if [ "$shim_turn" = anew ] || [ "$shim_open" != "$shim_used" ]; then
            shim_open=$shim_used
            [ -r "$shim_private/grant" ] || return 0
            exec 7<"$shim_private/grant"
        fi
        while IFS=$shim_tab read -r shim_type shim_a shim_b <&7; do
            [ "$shim_type $shim_a" != "get $1" ] || { shim_url=$shim_b && return 0; }
        done
    done
}

# download FILE: of paths and URLs
download() {
    while IFS=$shim_tab read -r shim_path shim_url <&4; do
        make_dir "${shim_path%/*}" || return 1
        if [ -d "$shim_path" ]; then
            shim_problem="cannot download to $shim_path: there is a directory of that name"
            return 1
        fi
        shim_part=${shim_path%/*}/.perian-shim.part
        if ! retry "could not download $shim_path from $(shown_url "$shim_url")" \
            get_one "$shim_path" "$shim_part" || ! mv -f "$shim_part" "$shim_path"; then
            rm -f "$shim_part"
            return 1
        fi
    done 4<"$1"
    exec 7<&-
}

# upload: what $shim_tmp/objects names, a line "SIZE KEY FILE" each; of a piece "SIZE KEY FILE START"
upload() {
    while IFS=$shim_tab read -r shim_size shim_key shim_path shim_start <&4; do
        is_other
        shim_what=put_whole
        [ -z "$shim_start" ] || shim_what=put_piece
        retry "could not upload $shim_path to $(shown_url "$shim_post")" \
            "$shim_what" "$shim_key" "$shim_path" "$shim_size" "$shim_start" || return 1
    done 4<"$shim_tmp/objects"
}

# put_piece KEY FILE SIZE START: one attempt at a piece; the file must stay as it was listed.
put_piece() {
    # shellcheck disable=SC3013  # dash, busybox ash and bash have -nt
    if [ "$(($(wc -c <"$2")))" != "$3" ] || [ "$2" -nt "$shim_tmp/objects" ]; then
        shim_detail='it was written to while it was uploaded: is something still running?' shim_final=''
        return 1
    fi
    if ! dd if="$2" of="$shim_tmp/piece" bs=1048576 skip=$(($4 / 1048576)) \
        count=$((shim_piece / 1048576)) 2>"$shim_tmp/log"; then
        shim_detail="cannot write a piece to $shim_tmp: $(scrub <"$shim_tmp/log")" shim_final=''
        return 1
    fi
    "${shim_transport}_put" "$shim_post" "$1" "$shim_tmp/piece" || return 1
    rm -f "$shim_tmp/piece"
}

# put_whole KEY FILE: one attempt; a file that was written to meanwhile is taken again.
put_whole() {
    : >"$shim_tmp/began"
    shim_before=$(wc -c <"$2")
    "${shim_transport}_put" "$shim_post" "$1" "$2" || return 1
    # shellcheck disable=SC3013  # dash, busybox ash and bash have -nt
    if [ "$(wc -c <"$2")" != "$shim_before" ] || [ "$2" -nt "$shim_tmp/began" ]; then
        shim_detail='it was written to while it was uploaded: is something still running?' shim_final=''
        return 1
    fi
}

