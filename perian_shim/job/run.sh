#!/bin/sh
# Runs a container task's command in the user's own image, which holds nothing of ours.
#
#   /bin/sh <dir>/run.sh COMMAND [ARGUMENT...]    with plan and the other files of this folder in <dir>
#
# It makes the directories and downloads the inputs that the plan names, runs COMMAND (standard
# input /dev/null; arguments, environment and working directory as they came), uploads the declared
# outputs by form POST, then `_perian/result.json`, and exits with COMMAND's
# exit code. Outputs are uploaded only if COMMAND exited 0, left no error file, and no signal asked
# to stop. Its own exit codes: 64 unusable plan or image, 65 download failed, 66 upload failed.
#
# What it needs is looked for before COMMAND runs. With python3, this shell only starts the stages of
# stages.py and COMMAND, and waits; no other program of the image is used. Without, the functions below,
# in outputs.sh and in texts.sh do the same with some of coreutils (shim_tools below; neither find nor
# sed) and a transport of transports.sh.
#
# TERM, INT, HUP and QUIT reach COMMAND as TERM, USR1 and USR2 as they are. (A background child of a
# non-interactive shell ignores INT and QUIT: passed on, they would do nothing.)
#
# The plan is UTF-8 text, a record per line, fields separated by one TAB:
#   version 1 | dir PATH | copy NAME PATH | secret VARIABLE PATH | output NAME PATH [LEVELS] | error PATH | grant
# copy puts <dir>/NAME at PATH, secret what the variable holds, readable by the job's user only. LEVELS says that an output is a directory whose entries, so many levels
# deep, are its elements: the result then lists them as file, directory or other. Links are followed, but
# for those that lead back to a directory that they are in. A directory without any file becomes
# an empty object with a key that ends in a slash. What is neither file nor directory is an error.
#
# The grant, where there is one, says how data are reached now. Its first URL is in PERIAN_SHIM_GRANT;
# the pod that follows the job writes it anew in good time. It has the same form:
#   version 1 | renew SECONDS | lives SECONDS | next URL | get PATH URL | post URL | prefix KEY_PREFIX/
#   max_bytes N | piece N | field NAME VALUE | end
# It is read again every so many seconds, at the URL that the one before has named, and is kept in a
# directory that is private to the job's user. Without its last line it is not whole. Access that was
# refused is tried again if there is another grant by then; if it has expired, a new one is waited for.
# Files larger than max_bytes are uploaded in pieces, which the pod joins.
# COMMAND sees neither PERIAN_SHIM_GRANT nor the variables of secrets.
# PERIAN_SHIM_TRANSPORT forces python3, curl, wget (GNU) or busybox; PERIAN_SHIM_PAUSE is the first
# pause between attempts, in seconds (default 2, doubled each time); PERIAN_SHIM_PATIENCE, for how many
# seconds a new grant is waited for (default 900). A URL's query is never printed.
#
# The wrapper's own programs are looked for in PATH and PERIAN_SHIM_PATH (default: the usual
# directories); COMMAND has the PATH that the job was given. All variables begin with shim_: assigning to
# a name that is in the environment would change it for COMMAND.
#
# shellcheck disable=SC2034  # some variables are used in the other files only
# shellcheck disable=SC2317  # the trap's and attend's functions are reached by name
set -uf

shim_dir=${0%/*}
[ "$shim_dir" != "$0" ] || shim_dir=.
shim_tab=$(printf '\t')
shim_nl='
'
shim_tmp='' shim_transport='' shim_version='' shim_gets=0 shim_private='' shim_renewer='' shim_used='' shim_secrets=''
shim_post='' shim_prefix='' shim_max=5368709120 shim_piece=1073741824 shim_fields='' shim_outputs='' shim_error=''
shim_has_grant='' shim_next='' shim_listing='' shim_open='' shim_renew=60 shim_pieces='' shim_numbers=0 shim_said=''
shim_phase=transfer shim_child='' shim_pending='' shim_stopped=''
shim_json='' shim_has_error='false' shim_listed='' shim_found=0 shim_files=0 shim_bytes=0 shim_problem='' shim_detail='' shim_final=''
shim_connect=30 shim_total='' shim_attempts=4
shim_given=${PATH-} shim_has_path=${PATH+yes}
PATH=${PATH:+$PATH:}${PERIAN_SHIM_PATH-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
shim_tools='cat dd env ls mkdir mktemp mv od rm sleep tr wc'
shim_pause=${PERIAN_SHIM_PAUSE:-2}
case $shim_pause in '' | *[!0-9]*) shim_pause=2 ;; esac
shim_patience=${PERIAN_SHIM_PATIENCE:-900}
case $shim_patience in '' | *[!0-9]*) shim_patience=900 ;; esac

say() { printf '[perian-shim] %s\n' "$*" >&2; }

# fail CODE TEXT: says why, leaves a result if that is possible, and ends. What COMMAND did goes
# before what happened to its outputs.
fail() {
    shim_problem=$2 shim_json='' shim_code=$1
    if [ -n "$shim_stopped" ]; then
        shim_problem="stopped by $shim_stopped before all was done"
        stop_code
    fi
    [ "${shim_exit:-0}" = 0 ] || shim_code=$shim_exit
    finish "$shim_code"
}

stop_code() { case $shim_stopped in HUP) shim_code=129 ;; INT) shim_code=130 ;; QUIT) shim_code=131 ;; *) shim_code=143 ;; esac; }

# The name has no "/perian-shim" in it: a sandbox may rewrite that path in files sent with a job.
make_tmp() {
    for shim_base in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
        shim_tmp=$(mktemp -d "$shim_base/tmp-perian-shim.XXXXXX" 2>/dev/null) && return 0
    done
    shim_tmp=''
    shim_problem="no temporary directory can be made in ${TMPDIR:-/tmp}, /tmp, /var/tmp or /dev/shm"
    return 1
}

# cmdline PID: sets shim_cmdline. `read` leaves out the NULs between the arguments.
cmdline() { shim_cmdline='' && { read -r shim_cmdline <"/proc/$1/cmdline"; } 2>/dev/null; }

drop_tmp() { [ -z "$shim_tmp" ] || rm -rf "$shim_tmp"; shim_tmp=''; }

# stop_renewing: ends what reads the grant anew, and waits until it has ended. As with `send`, a fork of
# this shell that has not yet set its own trap would swallow the signal.
stop_renewing() {
    [ -n "$shim_renewer" ] || return 0
    shim_child=$shim_renewer shim_tries=50
    while [ -n "$shim_transport" ] && [ ! -d "$shim_private/renewing" ] && [ "$shim_tries" -gt 0 ]; do
        sleep 0.1 2>/dev/null || sleep 1
        shim_tries=$((shim_tries - 1))
    done
    if [ -n "$shim_transport" ]; then kill "$shim_renewer" 2>/dev/null; else send TERM; fi
    shim_child=''
    wait "$shim_renewer" 2>/dev/null
    shim_renewer=''
}

end_with_tools() {
    stop_renewing
    drop_tmp
    [ -z "$shim_private" ] || rm -rf "$shim_private"
}

# ---- processes and signals --------------------------------------------------------------------

on_signal() {
    case $1 in TERM | INT | HUP | QUIT)
        shim_stopped=$1 shim_connect=5 shim_total=10 shim_attempts=1 shim_patience=0
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
    while [ "$shim_tries" -gt 0 ]; do
        cmdline "$shim_child"
        [ "$shim_cmdline" = "$shim_own" ] || break
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
    # shellcheck disable=SC2086  # words on purpose
    unset PWD OLDPWD SHLVL PERIAN_SHIM_GRANT $shim_secrets
    shim_env='' shim_one=$(printf '\001') shim_env_tool=$(command -v env)
    [ -z "${BASH_VERSION:-}" ] || shim_env="$shim_env_tool -u SHLVL"
    IFS=$shim_nl
    # The colon keeps the process whose environment it is alive while tr reads.
    for shim_line in $({ LC_ALL=C tr '\n\000' '\001\n'; :; } 2>/dev/null </proc/self/environ); do
        case ${shim_line%%=*} in
            PWD | OLDPWD | SHLVL | IFS | [0-9]* | *[!A-Za-z0-9_]*)
                case $shim_line in *"$shim_one"*) continue ;; esac
                set -- "$shim_line" "$@"
                shim_env=${shim_env:-$shim_env_tool} ;;
        esac
    done
    unset IFS
    PATH=$shim_given
    [ -n "$shim_has_path" ] || unset PATH
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

# finish CODE: leaves the result and ends.
finish() {
    [ -z "$shim_problem" ] || say "$shim_problem; exit code $1"
    if [ -z "$shim_post" ] || [ -z "$shim_transport" ]; then exit "$1"; fi
    shim_phase=result
    if [ -n "$shim_tmp" ] || make_tmp; then
        {
            printf '{"version": 1, "exit_code": %s, "transport": "%s", "error": %s, "outputs": {%s}' \
                "$1" "$shim_transport" "$shim_has_error" "$shim_json"
            [ -z "$shim_json" ] || [ -z "$shim_pieces" ] || printf ', "pieces": [%s]' "$shim_pieces"
            quote "$shim_problem"
            [ -z "$shim_problem" ] ||
                printf ', "problem": "%s"' "$(printf '%s' "$shim_quoted" | LC_ALL=C tr '\001-\037\177-\377' '?')"
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
            grant) shim_has_grant=1 ;;
            secret)
                shim_secrets="$shim_secrets $shim_a"
                printf '%s\t%s\n' "$shim_a" "$shim_b" >>"$shim_tmp/secrets" ;;
            dir) printf '%s/\n' "$shim_a" >>"$shim_tmp/places" ;;
            copy) printf '%s\t%s\n' "$shim_b" "$shim_a" >>"$shim_tmp/places" ;;
            output) shim_outputs="$shim_outputs$shim_a$shim_tab$shim_b$shim_nl" ;;
            error) shim_error=$shim_a ;;
            *) fail 64 "the plan has a record '$shim_type', unknown here: a newer perian-shim made it" ;;
        esac
    done <"$1"
}

# read_grant: takes over what the newest grant says, but for what is to be fetched.
read_grant() {
    shim_fields=''
    while IFS=$shim_tab read -r shim_type shim_a shim_b; do
        case $shim_type in
            renew) shim_renew=$shim_a ;;
            next) shim_used=$shim_a ;;
            post) shim_post=$shim_a ;;
            prefix) shim_prefix=$shim_a ;;
            max_bytes) shim_max=$shim_a ;;
            piece) shim_piece=$shim_a ;;
            field) shim_fields="$shim_fields$shim_a$shim_tab$shim_b$shim_nl" ;;
        esac
    done <"$shim_private/grant"
}

# granted RECORD: sets shim_granted to what the newest grant says in its first record of that type.
granted() {
    shim_granted=''
    while IFS=$shim_tab read -r shim_type shim_a shim_b; do
        [ "$shim_type" != "$1" ] || { shim_granted=$shim_a && return 0; }
    done 2>/dev/null <"$shim_private/grant"
}

# first_grant: makes the private directory and fetches the grant with which the job begins.
first_grant() {
    shim_private=$(umask 077 && mktemp -d "${shim_tmp%/*}/tmp-perian-shim.XXXXXX") ||
        fail 64 "no private directory can be made in ${shim_tmp%/*}"
    retry 'the grant' next_grant main || fail 65 "$shim_problem"
    read_grant
    shim_listing=$shim_used
    while IFS=$shim_tab read -r shim_type shim_path shim_url; do
        [ "$shim_type" = get ] || continue
        printf '%s\t%s\n' "$shim_path" "$shim_url" >&6
        printf '%s\n' "$shim_path" >&7
        shim_gets=$((shim_gets + 1))
    done <"$shim_private/grant" 6>"$shim_tmp/gets" 7>>"$shim_tmp/places"
    renew_grant </dev/null >/dev/null 3<&- 4<&- &
    shim_renewer=$!
}

# place_secrets: writes the secrets that are to be files. printf is the shell's own: no process has
# their values among its arguments.
place_secrets() {
    while IFS=$shim_tab read -r shim_name shim_path; do
        make_parent "$shim_path" 'a secret' 'mount of the secret'
        rm -f "$shim_path" 2>/dev/null
        (umask 077 && eval "printf '%s' \"\${$shim_name-}\"" >"$shim_path") 2>"$shim_tmp/log" ||
            fail 64 "cannot write the secret $shim_path: $(scrub <"$shim_tmp/log")"
    done <"$shim_tmp/secrets"
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

# expect_tools: that the image has what is needed, also after COMMAND.
expect_tools() {
    shim_lacking=''
    for shim_name in $shim_tools; do
        command -v "$shim_name" >/dev/null 2>&1 || shim_lacking="$shim_lacking $shim_name"
    done
    [ -z "$shim_lacking" ] || fail 64 "without python3 (3.6 or newer) the wrapper needs further programs, and\
 the image lacks:$shim_lacking. Add python3 or these to it"
}

# expect_command NAME: that there is such a program, as far as that can be told.
expect_command() {
    case $1 in
        */*) if [ -e "$1" ] || [ -L "$1" ]; then return 0; fi && fail 64 "the command $1 does not exist" ;;
    esac
    [ -n "$shim_has_path" ] || return 0
    IFS=:
    for shim_path in $shim_given; do
        [ ! -f "${shim_path:-.}/$1" ] || { unset IFS && return 0; }
    done
    unset IFS
    shim_detail=''
    # shellcheck disable=SC2016  # literally $
    case $shim_given in *'$'*) shim_detail=', in which nobody expands $: environment= needs the whole value' ;; esac
    fail 64 "the command $1 is in no directory of PATH=$shim_given$shim_detail"
}

# probe DIRECTORY: that something can be written to it: there is room, and it is not read-only.
probe() {
    shim_probe=$(mktemp "$1/.perian-shim.XXXXXX" 2>"$shim_tmp/log") &&
        { dd if=/dev/zero of="$shim_probe" bs=4096 count=1; } 2>"$shim_tmp/log" && rm -f "$shim_probe" && return 0
    [ -z "$shim_probe" ] || rm -f "$shim_probe"
    fail 64 "nothing can be written to $1: $(scrub <"$shim_tmp/log")"
}

prepare() {
    expect_tools
    [ -r "$shim_dir/plan" ] || fail 64 "cannot read the plan $shim_dir/plan"
    make_tmp || fail 64 "$shim_problem"
    probe "$shim_tmp"
    read_plan "$shim_dir/plan"
    [ -n "$shim_version" ] || fail 64 "the plan $shim_dir/plan is empty"
    if [ -n "$shim_has_grant" ]; then
        choose_transport
        first_grant
    fi
    [ ! -f "$shim_tmp/secrets" ] || place_secrets
    [ ! -f "$shim_tmp/places" ] || place_inputs
    [ -z "$shim_error" ] || make_parent "$shim_error" 'the error text' output_data_dir
    printf '%s' "$shim_outputs" >"$shim_tmp/outputs"
    while IFS=$shim_tab read -r shim_name shim_path shim_levels; do
        make_parent "$shim_path" "output $shim_name" output_data_dir
        probe "${shim_path%/*}"
    done <"$shim_tmp/outputs"
    [ "$shim_gets" = 0 ] || {
        say "downloading $shim_gets files with $shim_transport"
        download "$shim_tmp/gets" || fail 65 "$shim_problem"
    }
    expect_command "$1"
}

upload_error() {
    dd if="$shim_error" of="$shim_tmp/error" bs=65536 count=1 2>/dev/null || : >"$shim_tmp/error"
    printf '%s\t%s\t%s\n' "$(wc -c <"$shim_tmp/error")" "${shim_prefix}_perian/error" "$shim_tmp/error" >"$shim_tmp/objects"
    upload || fail 66 "$shim_problem"
    shim_has_error='true'
}

upload_outputs() {
    : >"$shim_tmp/objects"
    read_grant
    printf '%s' "$shim_outputs" >"$shim_tmp/outputs"
    while IFS=$shim_tab read -r shim_name shim_path shim_levels <&5; do
        list_output "$shim_name" "$shim_path" "$shim_levels"
    done 5<"$shim_tmp/outputs"
    upload || fail 66 "$shim_problem"
    shim_json=$shim_listed
    say "uploaded $shim_found outputs ($shim_files files, $shim_bytes bytes) with $shim_transport"
}

# ---- with python3 -----------------------------------------------------------------------------

has_python() {
    case ${PERIAN_SHIM_TRANSPORT:-python3} in *python3*) ;; *) return 1 ;; esac
    python3 -B -I -S "$shim_dir/stages.py" check </dev/null >/dev/null 2>&1
}

# stage NAME ARGUMENT...: runs a stage of stages.py that has limits.
stage() {
    shim_name=$1
    shift
    attend python3 -B -I -S "$shim_dir/stages.py" "$shim_name" "$shim_attempts" "$shim_pause" \
        "$shim_connect" "${shim_total:-120}" "$shim_patience" "$shim_private" "$@" 3</dev/null
}

end_with_python() {
    stop_renewing
    [ -z "$shim_private" ] || python3 -B -I -S "$shim_dir/stages.py" clean "$shim_private" </dev/null
}

# leave CODE PROBLEM: leaves a result without outputs and ends.
leave() {
    shim_phase=result
    stage leave "$1" "$2" || [ "$1" != 0 ] || exit 66
    exit "$1"
}

run_with_python() {
    trap end_with_python EXIT
    [ -z "${PERIAN_SHIM_GRANT-}" ] ||
        shim_private=$(python3 -B -I -S "$shim_dir/stages.py" private </dev/null) || exit 64
    stage before "$1"
    shim_code=$?
    if [ -n "$shim_stopped" ]; then
        stop_code
        leave "$shim_code" "stopped by $shim_stopped before all was done"
    fi
    case $shim_code in
        0) ;;
        64 | 65) exit "$shim_code" ;;
        *) leave 65 "python3 ended with code $shim_code before the command could run" ;;
    esac
    shim_phase='command'
    [ -z "$shim_private" ] || {
        python3 -B -I -S "$shim_dir/stages.py" renew "$shim_attempts" "$shim_pause" "$shim_connect" 120 0 \
            "$shim_private" </dev/null >/dev/null 3<&- 4<&- &
        shim_renewer=$!
    }
    attend python3 -B -I -S "$shim_dir/stages.py" start "$@" 3</dev/null
    shim_exit=$?
    stop_renewing
    [ -z "$shim_stopped" ] || leave "$shim_exit" "stopped by $shim_stopped"
    shim_phase=transfer
    stage after "$shim_exit"
    shim_code=$?
    [ "$shim_exit" = 0 ] || [ "$shim_code" = 0 ] || shim_code=$shim_exit
    if [ -n "$shim_stopped" ]; then
        stop_code
        [ "$shim_exit" = 0 ] || shim_code=$shim_exit
        leave "$shim_code" "stopped by $shim_stopped before all was done"
    fi
    case $shim_code in
        0) exit "$shim_exit" ;;
        66 | "$shim_exit") exit "$shim_code" ;;
        *) leave 66 "python3 ended with code $shim_code before all outputs were uploaded" ;;
    esac
}

# ---- the run ----------------------------------------------------------------------------------

for shim_signal in TERM INT HUP QUIT USR1 USR2; do
    # shellcheck disable=SC2064  # expanded now on purpose
    trap "on_signal $shim_signal" "$shim_signal"
done
cmdline "$$"
shim_own=$shim_cmdline
if [ $# -gt 0 ] && has_python; then run_with_python "$@"; fi
for shim_name in texts.sh outputs.sh transports.sh; do
    if [ ! -r "$shim_dir/$shim_name" ]; then
        say "$shim_dir/$shim_name is missing: it is sent along with run.sh; exit code 64"
        exit 64
    fi
    # shellcheck disable=SC1090  # one of these three
    . "$shim_dir/$shim_name"
done
trap end_with_tools EXIT
[ $# -gt 0 ] || fail 64 'no command was given'
prepare "$1"
[ -z "$shim_stopped" ] || fail 65 ''
drop_tmp
shim_phase='command'
attend start_command "$@" 3</dev/null
shim_exit=$?
shim_phase=transfer
LC_ALL=C # nothing of the user's runs any more
unset GLOBIGNORE
[ -n "$shim_post" ] || exit "$shim_exit"
make_tmp || fail 66 "$shim_problem"
shim_problem=''
[ -f "$shim_private/grant" ] || next_grant main || fail 66 "the grant $shim_detail"
read_grant
if [ -n "$shim_stopped" ]; then
    shim_problem="stopped by $shim_stopped"
elif [ -n "$shim_error" ] && [ -f "$shim_error" ]; then
    upload_error
elif [ "$shim_exit" = 0 ]; then
    upload_outputs
fi
finish "$shim_exit"
