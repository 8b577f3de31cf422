# Sourced by run.sh: what is done with texts without python3, by the shell alone, as an image need have no
# sed. Variables and conventions: see run.sh. A text that may hold a signature is no program's argument.
#
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154  # run.sh and these functions share variables

shim_name_end='[!A-Za-z-]' shim_value_end='[&[:space:]]' shim_query_end="[ \"'<>]"

# replace TEXT THIS THAT: sets shim_replaced to TEXT with THAT in place of each THIS, as it stands.
replace() {
    shim_left=$1 shim_replaced=''
    while :; do
        case $shim_left in *"$2"*) ;; *) break ;; esac
        shim_replaced=$shim_replaced${shim_left%%"$2"*}$3
        shim_left=${shim_left#*"$2"}
    done
    shim_replaced=$shim_replaced$shim_left
}

# quote TEXT: sets shim_quoted to it, as it can stand between double quotes in JSON and in curl's files.
quote() {
    replace "$1" '\' '\\'
    replace "$shim_replaced" '"' '\"'
    shim_quoted=$shim_replaced
}

# http_status LINE: sets shim_http if a line has the beginning of an answer in it.
http_status() {
    case $1 in *HTTP/[0-9]*' '*) shim_rest=${1##*HTTP/} && shim_rest=${shim_rest#* } ;; *) return 0 ;; esac
    case $shim_rest in [1-5][0-9][0-9]*) shim_http=${shim_rest%"${shim_rest#???}"} ;; esac
}

# last_status LOG: sets shim_http to the status of the last answer that a log tells of.
last_status() {
    shim_http=''
    while IFS= read -r shim_line || [ -n "$shim_line" ]; do http_status "$shim_line"; done <"$1"
}

# The next ones run in a subshell, as in $(...), where LC_ALL is theirs: then a character is a byte.

# scrub: of the text that it reads, at most 300 bytes as one line, without what follows a '?' and without
# the parameters of a signature.
scrub() {
    LC_ALL=C
    shim_left=$(LC_ALL=C tr '\000-\037\177' ' ' | dd bs=8192 count=1 2>/dev/null) shim_text=''
    while :; do
        case $shim_left in *\?*) ;; *) break ;; esac
        shim_text="$shim_text${shim_left%%\?*}?(hidden)" shim_left=${shim_left#*\?}
        shim_gone=${shim_left%%$shim_query_end*} # the pattern in it, hence no quotes
        shim_left=${shim_left#"$shim_gone"}
    done
    shim_text=$shim_text$shim_left
    hide '[Xx]-[Aa]mz-'
    hide '[Xx]-[Gg]oog-'
    while [ "${shim_text% }" != "$shim_text" ]; do shim_text=${shim_text% }; done
    printf '%.300s' "$shim_text"
}

# hide PATTERN: in shim_text, the parameters whose names begin like this.
hide() {
    shim_left=$shim_text shim_text=''
    while :; do
        shim_head=${shim_left%%$1*}
        [ "$shim_head" != "$shim_left" ] || break
        shim_left=${shim_left#"$shim_head"}
        shim_param=${shim_left%%$shim_name_end*}
        shim_left=${shim_left#"$shim_param"}
        case $shim_left in =*) shim_param='(hidden)' shim_gone=${shim_left%%$shim_value_end*} ;; *) shim_gone='' ;; esac
        shim_text=$shim_text$shim_head$shim_param shim_left=${shim_left#"$shim_gone"}
    done
    shim_text=$shim_text$shim_left
}

# shown_url URL: it, without user, password and query.
shown_url() {
    LC_ALL=C shim_left=${1%%[?#]*}
    shim_rest=${shim_left#*//}
    shim_host=${shim_rest%%/*}
    case $shim_left in *//*) ;; *) shim_host='' ;; esac
    case $shim_host in
        *@*) printf '%s' "${shim_left%%//*}//${shim_host##*@}${shim_rest#"$shim_host"}" ;;
        *) printf '%s' "$shim_left" ;;
    esac
}

# first_line FILE BYTES: the file's beginning as one line.
first_line() { dd if="$1" bs="$2" count=1 2>/dev/null | LC_ALL=C tr '\000\r\n' '   '; }

# s3_error FILE: what storage says in an error's body, "Code: Message"; nothing if it is none of storage's.
s3_error() {
    LC_ALL=C shim_text=$(first_line "$1" 2000)
    case $shim_text in *'<Code>'*'</Code>'*'<Message>'*'</Message>'*) ;; *) return 0 ;; esac
    shim_code=${shim_text#*<Code>} shim_left=${shim_text#*<Message>}
    printf '%s: %s' "${shim_code%%<*}" "${shim_left%%<*}" | scrub
}

# without_tags FILE: the beginning of a page.
without_tags() {
    LC_ALL=C shim_left=$(first_line "$1" 300) shim_text=''
    while :; do
        case $shim_left in *'<'*'>'*) ;; *) break ;; esac
        shim_text="$shim_text${shim_left%%<*} " shim_left=${shim_left#*<}
        shim_left=${shim_left#*>}
    done
    printf '%s' "$shim_text$shim_left" | scrub
}

# without_notes FILE: what a program said, but for lines that only explain.
without_notes() {
    while IFS= read -r shim_line || [ -n "$shim_line" ]; do
        case $shim_line in *': note: '*) ;; *) printf '%s\n' "$shim_line" ;; esac
    done <"$1" | scrub
}
