#!/bin/sh
# Runs a container task's command in the user's own image, which holds nothing of ours.
#
#   /bin/sh <dir>/run.sh COMMAND [ARGUMENT...]    with plan, transports.sh and transfer.py in <dir>
#
# It makes the directories and downloads the inputs that the plan names, runs COMMAND (standard
# input /dev/null; arguments, environment and working directory as they came), uploads the declared
# outputs with one presigned S3 POST policy, then `_perian/result.json`, and exits with COMMAND's
# exit code. Outputs are uploaded only if COMMAND exited 0, left no error file, and no signal asked
# to stop. Its own exit codes: 64 unusable plan or image, 65 download failed, 66 upload failed.
#
# TERM, INT, HUP and QUIT reach COMMAND as TERM, USR1 and USR2 as they are. (A background child of a
# non-interactive shell ignores INT and QUIT: passed on, they would do nothing.)
#
# The plan is UTF-8 text, a record per line, fields separated by one TAB:
#   version 1 | include URL | dir PATH | copy NAME PATH | get PATH URL | output NAME PATH [LEVELS]
#   error PATH | post URL | prefix KEY_PREFIX/ | max_bytes N | field NAME VALUE
# copy puts <dir>/NAME at PATH. LEVELS says that an output is a directory whose entries, so many levels
# deep, are its elements: the result then lists them as file, directory or other. An output directory
# without any file, and such an element, becomes an empty object with a key that ends in a slash.
# PERIAN_SHIM_TRANSPORT forces python3, curl, wget (GNU) or busybox; PERIAN_SHIM_PAUSE is the first
# pause between attempts, in seconds (default 2, doubled each time). A URL's query is never printed.
#
# Needs cat dd env find mkdir mktemp mv od rm sed sleep tr wc. All variables begin with shim_: assigning
# to a name that is in the environment would change it for COMMAND.
#
# shellcheck disable=SC2034  # some variables are used in transports.sh only
# shellcheck disable=SC2317  # the trap's and attend's functions are reached by name
set -uf

shim_dir=${0%/*}
[ "$shim_dir" != "$0" ] || shim_dir=.
shim_tab=$(printf '\t')
shim_nl='
'
shim_tmp='' shim_transport='' shim_version='' shim_includes=0 shim_gets=0
shim_post='' shim_prefix='' shim_max=5368709120 shim_fields='' shim_outputs='' shim_error=''
shim_phase=transfer shim_child='' shim_pending='' shim_stopped=''
shim_json='' shim_has_error='false' shim_listed='' shim_found=0 shim_files=0 shim_bytes=0 shim_problem='' shim_detail='' shim_final=''
shim_connect=30 shim_total='' shim_attempts=4
shim_own=$(tr '\000' '\n' 2>/dev/null <"/proc/$$/cmdline")
shim_pause=${PERIAN_SHIM_PAUSE:-2}
case $shim_pause in '' | *[!0-9]*) shim_pause=2 ;; esac

say() { printf '[perian-shim] %s\n' "$*" >&2; }

# fail CODE TEXT: says why, leaves a result if that is possible, and ends. What COMMAND did goes
# before what happened to its outputs.
fail() {
    shim_problem=$2 shim_json='' shim_code=$1
    if [ -n "$shim_stopped" ]; then
        shim_problem="stopped by $shim_stopped before all was done"
        case $shim_stopped in HUP) shim_code=129 ;; INT) shim_code=130 ;; QUIT) shim_code=131 ;; TERM) shim_code=143 ;; esac
    fi
    [ "${shim_exit:-0}" = 0 ] || shim_code=$shim_exit
    finish "$shim_code"
}

# The name has no "/perian-shim" in it: a sandbox may rewrite that path in files sent with a job.
make_tmp() {
    for shim_base in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
        shim_tmp=$(mktemp -d "$shim_base/tmp-perian-shim.XXXXXX" 2>/dev/null) && return 0
    done
    shim_tmp=''
    shim_problem="no temporary directory can be made in ${TMPDIR:-/tmp}, /tmp, /var/tmp or /dev/shm"
    return 1
}

drop_tmp() { [ -z "$shim_tmp" ] || rm -rf "$shim_tmp"; shim_tmp=''; }

# ---- processes and signals --------------------------------------------------------------------

on_signal() {
    case $1 in TERM | INT | HUP | QUIT)
        shim_stopped=$1 shim_connect=5 shim_total=10 shim_attempts=1
        set -- TERM ;;
    esac
    case $shim_phase-$1 in
        command-* | transfer-TERM)
            if [ -n "$shim_child" ]; then send "$1"; else shim_pending="$shim_pending $1"; fi ;;
    esac
}

# send SIGNAL: to the child, but not before it is a program of its own: a fork of this shell that has
# not yet reset the traps would swallow the signal. Without /proc there is only a short pause.
send() {
    shim_tries=50
    while [ "$shim_tries" -gt 0 ] &&
        [ "$(tr '\000' '\n' 2>/dev/null <"/proc/$shim_child/cmdline")" = "$shim_own" ]; do
        shim_tries=$((shim_tries - 1))
    done
    kill -s "$1" "$shim_child" 2>/dev/null
}

# attend COMMAND...: runs it with descriptor 3 as standard input and returns its real exit code.
# In the background, because a trap waits for a foreground command to end but interrupts `wait`.
attend() {
    shim_child='' shim_pending=''
    case $shim_phase-$shim_stopped in command- | transfer- | result-*) ;; *) return 143 ;; esac
    "$@" <&3 3<&- 4<&- &
    shim_child=$!
    for shim_signal in $shim_pending; do send "$shim_signal"; done
    while :; do
        wait "$shim_child"
        shim_status=$?
        # Above 128: a `wait` cut short by a signal, or a command that died of one. Whether a trap has
        # run tells nothing: bash cuts a `wait` short for a signal whose trap ran before it, too.
        [ "$shim_status" -gt 128 ] || break
        kill -0 "$shim_child" 2>/dev/null && continue
        # It has ended, but this `wait` and the next ones may have been cut short: ask until the
        # answers agree, or until the shell has forgotten the command (127).
        shim_same=0
        while [ "$shim_status" -gt 128 ] && [ "$shim_same" -lt 20 ]; do
            wait "$shim_child" 2>/dev/null
            shim_again=$?
            [ "$shim_again" = 127 ] && break
            [ "$shim_again" = "$shim_status" ] || shim_same=0
            shim_same=$((shim_same + 1)) shim_status=$shim_again
        done
        break
    done
    shim_child=''
    return "$shim_status"
}

# Becomes COMMAND. `exec`, so that it is never one of this script's functions or a builtin. A shell
# sets PWD and SHLVL, and dash and ash drop names that are not theirs (a.b): the kernel's copy of the
# environment restores both, all but the value of such a name that has a newline in it.
start_command() {
    unset PWD OLDPWD SHLVL
    shim_env='' shim_one=$(printf '\001')
    [ -z "${BASH_VERSION:-}" ] || shim_env='env -u SHLVL'
    IFS=$shim_nl
    # The colon keeps the process whose environment it is alive while tr reads.
    for shim_line in $({ LC_ALL=C tr '\n\000' '\001\n'; :; } 2>/dev/null </proc/self/environ); do
        case ${shim_line%%=*} in
            PWD | OLDPWD | SHLVL | IFS | [0-9]* | *[!A-Za-z0-9_]*)
                case $shim_line in *"$shim_one"*) continue ;; esac
                set -- "$shim_line" "$@"
                shim_env=${shim_env:-env} ;;
        esac
    done
    unset IFS
    # shellcheck disable=SC2086  # words on purpose: nothing, `env`, or `env -u SHLVL`
    exec $shim_env "$@"
}

# ---- the work -----------------------------------------------------------------------------------

make_dir() {
    [ -d "${1:-/}" ] && return 0
    mkdir -p "$1" 2>"$shim_tmp/log" && return 0
    shim_problem="cannot make the directory $1 ($(scrub <"$shim_tmp/log"))"
    return 1
}

# foreign_names: of the lines that it reads, the first that is not UTF-8. Each kind of byte becomes
# one ASCII letter (the ASCII of the line itself an a), so that what is left is a matter of a pattern.
foreign_names() {
    LC_ALL=C tr '\001-\011\013-\177' a <"$1" | LC_ALL=C tr '\200-\217' p | LC_ALL=C tr '\220-\237' q |
        LC_ALL=C tr '\240-\277' r | LC_ALL=C tr '\302-\337' 2 | LC_ALL=C tr '\340' e | LC_ALL=C tr '\355' d |
        LC_ALL=C tr '\341-\357' 3 | LC_ALL=C tr '\360' f | LC_ALL=C tr '\361-\363' 4 | LC_ALL=C tr '\364' g |
        LC_ALL=C tr '\200-\377' x | sed -n -e 's/2[pqr]//g' -e 's/er[pqr]//g' -e 's/d[pq][pqr]//g' \
        -e 's/3[pqr][pqr]//g' -e 's/f[qr][pqr][pqr]//g' -e 's/4[pqr][pqr][pqr]//g' \
        -e 's/gp[pqr][pqr]//g' -e '/[^a]/{' -e '=' -e 'q' -e '}' >"$shim_tmp/foreign"
    read -r shim_line <"$shim_tmp/foreign" && LC_ALL=C sed -n "${shim_line}p" "$1"
}

# list_entries LEVELS: the entries of shim_root as members of a JSON object; an element without any
# file in it is added to objects.
list_entries() {
    shim_depth=$(($1 - 1)) shim_comma=''
    for shim_entry in 'directory -type d' 'file -type f' 'other ! -type f ! -type d'; do
        # shellcheck disable=SC2086  # words on purpose
        (cd -P "$shim_root" && LC_ALL=C find -L . ${shim_entry#* } 2>/dev/null) | LC_ALL=C sed -n \
            -e '/^\.$/d' -e "s|^\./\([^/]*\(/[^/]*\)\{0,$shim_depth\}\)\$|\1|p" >"$shim_tmp/names"
        LC_ALL=C sed -e 's/[\\"]/\\&/g' -e "s|.*|, \"&\": \"${shim_entry%% *}\"|" "$shim_tmp/names"
        [ "${shim_entry%% *}" = directory ] || continue
        LC_ALL=C sed -n "s|^[^/]*\(/[^/]*\)\{$shim_depth\}\$|&|p" "$shim_tmp/names" >"$shim_tmp/elements"
        while IFS= read -r shim_path; do
            [ -n "$(find -L "$shim_root/$shim_path" -type f 2>/dev/null | sed -n '1{p;q;}')" ] ||
                keep_empty "$2/$shim_path"
        done <"$shim_tmp/elements"
    done
}

# keep_empty NAME: S3 knows no directories, but what reads them takes such an object for an empty one.
keep_empty() {
    : >"$shim_tmp/nothing"
    printf '0\t%s\t%s\n' "${shim_prefix}outputs/$1/" "$shim_tmp/nothing" >>"$shim_tmp/objects"
}

# list_output NAME PATH LEVELS: appends to objects and to shim_listed (JSON).
list_output() {
    shim_kind=missing shim_count=0 shim_sum=0 shim_root=${2%/} shim_entries=''
    if [ -d "$shim_root" ]; then
        shim_kind=directory
        LC_ALL=C find -L "$shim_root" >"$shim_tmp/names" 2>/dev/null
        shim_bad=$(LC_ALL=C find -L "$shim_root" -name '*[[:cntrl:]]*' 2>/dev/null | scrub)
        [ -z "$shim_bad" ] || fail 66 "output $1: a name has a control character: $shim_bad"
        shim_bad=$(foreign_names "$shim_tmp/names" | LC_ALL=C tr '\200-\377' '?')
        [ -z "$shim_bad" ] || fail 66 "output $1: a name is not UTF-8, so it cannot be a key: $shim_bad"
        shim_odd=$(find -L "$shim_root" ! -type f ! -type d 2>/dev/null | sed -n 1p)
        [ -z "$shim_odd" ] || say "output $1: left out, as neither a file nor a directory: $shim_odd ..."
        [ -z "$3" ] || shim_entries=$(list_entries "$3" "$1")
    elif [ -f "$shim_root" ]; then
        shim_kind='file'
    elif [ -e "$shim_root" ]; then
        fail 66 "output $1: $shim_root is neither a file nor a directory"
    fi
    if [ "$shim_kind" = missing ]; then
        say "output $1: there is nothing at $shim_root"
    else
        LC_ALL=C find -L "$shim_root" -type f -exec wc -c {} + >"$shim_tmp/sizes" 2>"$shim_tmp/log" ||
            fail 66 "output $1: cannot read all of $shim_root: $(scrub <"$shim_tmp/log")"
        # With several files wc adds a line "N total"; only a path has a slash.
        LC_ALL=C sed -n "s|^ *\([0-9]*\) /|\1$shim_tab/|p" "$shim_tmp/sizes" >"$shim_tmp/files"
        while IFS=$shim_tab read -r shim_size shim_path; do
            [ "$shim_size" -le "$shim_max" ] ||
                fail 66 "output $1: $shim_path has $shim_size bytes, one upload takes at most $shim_max"
            printf '%s\t%s\t%s\n' "$shim_size" "${shim_prefix}outputs/$1${shim_path#"$shim_root"}" "$shim_path"
            shim_count=$((shim_count + 1)) shim_sum=$((shim_sum + shim_size))
        done <"$shim_tmp/files" >>"$shim_tmp/objects"
    fi
    [ "$shim_kind$shim_count$3" != directory0 ] || keep_empty "$1"
    [ -z "$3" ] || shim_entries=", \"entries\": {${shim_entries#, }}"
    shim_files=$((shim_files + shim_count)) shim_bytes=$((shim_bytes + shim_sum))
    [ "$shim_kind" = missing ] || shim_found=$((shim_found + 1))
    shim_listed="$shim_listed${shim_listed:+, }\"$(quoted "$1")\":\
 {\"kind\": \"$shim_kind\", \"files\": $shim_count, \"bytes\": $shim_sum$shim_entries}"
}

# finish CODE: leaves the result and ends.
finish() {
    [ -z "$shim_problem" ] || say "$shim_problem; exit code $1"
    if [ -z "$shim_post" ] || [ -z "$shim_transport" ]; then exit "$1"; fi
    shim_phase=result
    if [ -n "$shim_tmp" ] || make_tmp; then
        {
            printf '{"version": 1, "exit_code": %s, "transport": "%s", "error": %s, "outputs": {%s}' \
                "$1" "$shim_transport" "$shim_has_error" "$shim_json"
            [ -z "$shim_problem" ] ||
                printf ', "problem": "%s"' "$(quoted "$shim_problem" | LC_ALL=C tr '\001-\037\177-\377' '?')"
            printf '}\n'
        } >"$shim_tmp/result.json"
        printf '0\t%s\t%s\n' "${shim_prefix}_perian/result.json" "$shim_tmp/result.json" >"$shim_tmp/objects"
        upload && exit "$1"
    fi
    [ "$1" != 0 ] || set -- 66
    say "no result was left: $shim_problem; exit code $1"
    exit "$1"
}

# ---- the plan and the run ---------------------------------------------------------------------

read_plan() {
    while IFS=$shim_tab read -r shim_type shim_a shim_b || [ -n "$shim_type" ]; do
        case ${shim_version:-none}-$shim_type in
            none-version | 1-*) ;;
            *) fail 64 "the plan $1 does not begin with its version" ;;
        esac
        case $shim_type in
            version)
                shim_version=$shim_a
                [ "$shim_a" = 1 ] || fail 64 "the plan has version $shim_a; this run.sh reads version 1, an older one" ;;
            include)
                choose_transport
                shim_includes=$((shim_includes + 1))
                printf 'get\t%s\t%s\n' "$shim_tmp/plan$shim_includes" "$shim_a" >"$shim_tmp/include"
                download "$shim_tmp/include" || fail 65 "the plan's continuation: $shim_problem"
                read_plan "$shim_tmp/plan$shim_includes" ;;
            dir) printf '%s/\n' "$shim_a" >>"$shim_tmp/places" ;;
            copy) printf '%s\t%s\n' "$shim_b" "$shim_a" >>"$shim_tmp/places" ;;
            get)
                printf '%s\n' "$shim_a" >>"$shim_tmp/places"
                shim_gets=$((shim_gets + 1))
                printf 'get\t%s\t%s\n' "$shim_a" "$shim_b" >>"$shim_tmp/gets" ;;
            output) shim_outputs="$shim_outputs$shim_a$shim_tab$shim_b$shim_nl" ;;
            error) shim_error=$shim_a ;;
            post) shim_post=$shim_a ;;
            prefix) shim_prefix=$shim_a ;;
            max_bytes) shim_max=$shim_a ;;
            field) shim_fields="$shim_fields$shim_a$shim_tab$shim_b$shim_nl" ;;
            *) fail 64 "the plan has a record '$shim_type', unknown here: a newer perian-shim made it" ;;
        esac
    done <"$1"
}

# place_inputs: makes the directories of all inputs, and puts those that came along where they belong.
place_inputs() {
    while IFS=$shim_tab read -r shim_path shim_name; do
        make_parent "$shim_path" 'an input' input_data_dir
        [ -n "$shim_name" ] || continue
        { cat "$shim_dir/$shim_name" >"$shim_path"; } 2>"$shim_tmp/log" ||
            fail 64 "cannot write $shim_path: $(scrub <"$shim_tmp/log")"
    done <"$shim_tmp/places"
}

# make_parent PATH WHAT ARGUMENT: so that PATH can be written.
make_parent() {
    shim_problem=''
    make_dir "${1%/*}" && [ -w "${1%/*}/" ] && return 0
    fail 64 "$2 goes to $1, where the image's user may not write: choose another $3${shim_problem:+ ($shim_problem)}"
}

prepare() {
    [ -r "$shim_dir/plan" ] || fail 64 "cannot read the plan $shim_dir/plan"
    make_tmp || fail 64 "$shim_problem"
    read_plan "$shim_dir/plan"
    [ -n "$shim_version" ] || fail 64 "the plan $shim_dir/plan is empty"
    if [ -n "$shim_post" ] || [ "$shim_gets" -gt 0 ]; then choose_transport; fi
    [ ! -f "$shim_tmp/places" ] || place_inputs
    [ -z "$shim_error" ] || make_parent "$shim_error" 'the error text' output_data_dir
    printf '%s' "$shim_outputs" >"$shim_tmp/outputs"
    while IFS=$shim_tab read -r shim_name shim_path shim_levels; do
        make_parent "$shim_path" "output $shim_name" output_data_dir
    done <"$shim_tmp/outputs"
    [ "$shim_gets" = 0 ] || {
        say "downloading $shim_gets files with $shim_transport"
        download "$shim_tmp/gets" || fail 65 "$shim_problem"
    }
}

upload_error() {
    dd if="$shim_error" of="$shim_tmp/error" bs=65536 count=1 2>/dev/null || : >"$shim_tmp/error"
    printf '%s\t%s\t%s\n' "$(wc -c <"$shim_tmp/error")" "${shim_prefix}_perian/error" "$shim_tmp/error" >"$shim_tmp/objects"
    upload || fail 66 "$shim_problem"
    shim_has_error='true'
}

upload_outputs() {
    : >"$shim_tmp/objects"
    printf '%s' "$shim_outputs" >"$shim_tmp/outputs"
    while IFS=$shim_tab read -r shim_name shim_path shim_levels <&5; do
        list_output "$shim_name" "$shim_path" "$shim_levels"
    done 5<"$shim_tmp/outputs"
    upload || fail 66 "$shim_problem"
    shim_json=$shim_listed
    say "uploaded $shim_found outputs ($shim_files files, $shim_bytes bytes) with $shim_transport"
}

if [ ! -r "$shim_dir/transports.sh" ]; then
    say "$shim_dir/transports.sh is missing: it is sent along with run.sh; exit code 64"
    exit 64
fi
# shellcheck source=perian_shim/job/transports.sh
. "$shim_dir/transports.sh"
trap drop_tmp EXIT
for shim_signal in TERM INT HUP QUIT USR1 USR2; do
    # shellcheck disable=SC2064  # expanded now on purpose
    trap "on_signal $shim_signal" "$shim_signal"
done
[ $# -gt 0 ] || fail 64 'no command was given'
prepare
[ -z "$shim_stopped" ] || fail 65 ''
drop_tmp
shim_phase='command'
attend start_command "$@" 3</dev/null
shim_exit=$?
shim_phase=transfer
[ -n "$shim_post" ] || exit "$shim_exit"
make_tmp || fail 66 "$shim_problem"
shim_problem=''
if [ -n "$shim_stopped" ]; then
    shim_problem="stopped by $shim_stopped"
elif [ -n "$shim_error" ] && [ -f "$shim_error" ]; then
    upload_error
elif [ "$shim_exit" = 0 ]; then
    upload_outputs
fi
finish "$shim_exit"
