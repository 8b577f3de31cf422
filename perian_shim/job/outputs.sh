# Sourced by run.sh: what COMMAND has left at the places of the outputs, without python3. list_output
# appends it to $shim_tmp/objects and, as JSON, to shim_listed. The shell itself looks through directories:
# an image need have no find, and a process per file would take too long. Variables: see run.sh. They
# hold from here on with LC_ALL=C, in which a character is a byte.
#
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154  # run.sh and these functions share variables

shim_controls=$(printf '[\001-\037\177]')

unreadable() { fail 66 "output $1: cannot read all of $2: $(scrub <"$shim_tmp/log")"; }

# walk NAME DIRECTORY LEVEL CHAIN COUNT: notes what is in a directory and below it: the paths of files go
# to descriptor 6, all others to 7, the elements of a list to 8. Its entries are so many levels below the
# output; CHAIN names the directories that the links on the way here are in, COUNT is how many files were
# noted before. A function's arguments are its own, so it can call itself; its variables are not.
walk() {
    [ -r "$2/" ] && [ -x "$2/" ] || {
        printf '%s: Permission denied' "$2" >"$shim_tmp/log"
        unreadable "$1" "$shim_root"
    }
    set +f
    for shim_path in "$2"/* "$2"/.[!.]* "$2"/..?*; do
        set -f
        case $shim_path in *$shim_controls*)
            fail 66 "output $1: a name has a control character: $(printf '%s' "$shim_path" | scrub)" ;;
        esac
        if [ -L "$shim_path" ]; then
            walk_link "$1" "$shim_path" "$3" "$4"
        elif [ -f "$shim_path" ]; then
            note_file "$shim_path" "$3"
        elif [ -d "$shim_path" ]; then
            note "$shim_path" directory "$3"
            walk "$1" "$shim_path" $(($3 + 1)) "$4" "$shim_seen"
        elif [ -e "$shim_path" ]; then
            note_other "$1" "$shim_path" "$3"
        else
            # A pattern that nothing matches stands for itself.
            case ${shim_path##*/} in
                '*' | '.[!.]*' | '..?*') ;;
                *) printf '%s: it is no longer there, or out of reach' "$shim_path" >"$shim_tmp/log" && unreadable "$1" "$shim_root" ;;
            esac
        fi
    done
    set -f
    # Down to the level of the elements the result has them.
    [ "$shim_seen" != "$5" ] || [ "$3" -le "$shim_depth" ] || keep_empty "$1${2#"$shim_root"}"
}

# walk_root NAME DIRECTORY LEVEL CHAIN: the same. A pattern does not tell that a directory cannot be read
# to its end, as ls does; it follows no link.
walk_root() {
    LC_ALL=C ls -AR "$2/" >/dev/null 2>"$shim_tmp/log" || unreadable "$1" "$shim_root"
    walk "$1" "$2" "$3" "$4" "$shim_seen"
}

# walk_link NAME LINK LEVEL CHAIN: a directory link is followed, unless it leads to a directory that one of
# the links before it, or it itself, is in.
walk_link() {
    if [ -d "$2" ]; then
        shim_in=$(cd -P "${2%/*}/" 2>"$shim_tmp/log" && pwd -P) &&
            shim_to=$(cd -P "$2/" 2>"$shim_tmp/log" && pwd -P) || unreadable "$1" "$shim_root"
        case ":$4:$shim_in/:" in
            *":$shim_to/"*) say "output $1: left out, as it leads back to what it is in: $2" ;;
            *)
                note "$2" directory "$3"
                walk_root "$1" "$2" $(($3 + 1)) "$4:$shim_in/" ;;
        esac
    elif [ -f "$2" ] && ! is_made_up "$2"; then
        note_file "$2" "$3"
    else
        note_other "$1" "$2" "$3"
    fi
}

# is_made_up FILE: whether the kernel makes it up, as far as this image can tell.
is_made_up() {
    case $(readlink -f "$1" 2>/dev/null) in /proc/* | /sys/*) return 0 ;; esac
    return 1
}

note_file() {
    printf '%s\n' "$1" >&6
    shim_seen=$((shim_seen + 1))
    [ "$2" -gt "$shim_depth" ] || element "$1" 'file'
}

note_other() {
    [ "$3" -le "$shim_depth" ] || fail 66 "output $1: $2 is neither a file nor a directory"
    note "$2" other "$3"
}

# note PATH KIND LEVEL: what is no file.
note() {
    printf '%s\n' "$1" >&7
    [ "$3" -gt "$shim_depth" ] || element "$1" "$2"
}

# element PATH KIND: as a member of a JSON object.
element() {
    quote "${1#"$shim_root"/}"
    printf ', "%s": "%s"' "$shim_quoted" "$2" >&8
}

# keep_empty NAME: S3 knows no directories, but what reads them takes such an object for an empty one.
keep_empty() { printf '0\t%s\t%s\n' "${shim_prefix}outputs/$1/" "$shim_tmp/nothing" >>"$shim_tmp/objects"; }

# foreign_name FILE: of its lines, the first that is not UTF-8. Each kind of byte becomes one ASCII letter
# (the ASCII of the line itself an a), so that what remains is a matter of patterns.
foreign_name() {
    [ "$(($(LC_ALL=C tr -d '\001-\177' <"$1" | wc -c)))" != 0 ] || return 0
    LC_ALL=C tr '\001-\011\013-\177' a <"$1" | LC_ALL=C tr '\200-\217' p | LC_ALL=C tr '\220-\237' q |
        LC_ALL=C tr '\240-\277' r | LC_ALL=C tr '\302-\337' 2 | LC_ALL=C tr '\340' e | LC_ALL=C tr '\355' d |
        LC_ALL=C tr '\341-\357' 3 | LC_ALL=C tr '\360' f | LC_ALL=C tr '\361-\363' 4 | LC_ALL=C tr '\364' g |
        LC_ALL=C tr '\200-\377' x >"$shim_tmp/kinds"
    while IFS= read -r shim_line && IFS= read -r shim_rest <&8; do
        is_utf_8 "$shim_rest" || { printf '%s\n' "$shim_line" && return 0; }
    done <"$1" 8<"$shim_tmp/kinds"
}

# is_utf_8 KINDS: whether a line is, given the kinds of its bytes.
is_utf_8() {
    shim_rest=$1
    while [ -n "$shim_rest" ]; do
        case $shim_rest in
            a*) shim_rest=${shim_rest#"${shim_rest%%[!a]*}"} ;;
            2[pqr]*) shim_rest=${shim_rest#??} ;;
            er[pqr]* | d[pq][pqr]* | 3[pqr][pqr]*) shim_rest=${shim_rest#???} ;;
            f[qr][pqr][pqr]* | 4[pqr][pqr][pqr]* | gp[pqr][pqr]*) shim_rest=${shim_rest#????} ;;
            *) return 1 ;;
        esac
    done
}

# list_directory NAME LEVELS: what is in shim_root.
list_directory() {
    shim_depth=${2:-0} shim_seen=0
    : >"$shim_tmp/nothing"
    walk_root "$1" "$shim_root" 1 '' 6>"$shim_tmp/files" 7>"$shim_tmp/names" 8>"$shim_tmp/elements"
    cat "$shim_tmp/files" >>"$shim_tmp/names"
    shim_bad=$(foreign_name "$shim_tmp/names" | LC_ALL=C tr '\200-\377' '?')
    [ -z "$shim_bad" ] || fail 66 "output $1: a name is not UTF-8, so it cannot be a key: $shim_bad"
    [ -z "$2" ] || shim_entries=$(cat "$shim_tmp/elements")
}

# list_pieces KEY FILE SIZE: prints the lines of a file's pieces, and appends to shim_pieces (JSON).
list_pieces() {
    shim_numbers=$((shim_numbers + 1)) shim_start=0 shim_count_of=0 shim_parts=''
    [ $((($3 + shim_piece - 1) / shim_piece)) -le 10000 ] ||
        fail 66 "$2 ($1) has $3 bytes, more than 10000 pieces of $shim_piece"
    while [ "$shim_start" -lt "$3" ]; do
        shim_count_of=$((shim_count_of + 1))
        shim_part=_perian/pieces/$shim_numbers/$(printf '%05d' "$shim_count_of")
        printf '%s\t%s\t%s\t%s\n' "$3" "$shim_prefix$shim_part" "$2" "$shim_start"
        shim_parts="$shim_parts${shim_parts:+, }\"$shim_part\"" shim_start=$((shim_start + shim_piece))
    done
    quote "$1"
    shim_pieces="$shim_pieces${shim_pieces:+, }{\"key\": \"$shim_quoted\", \"bytes\": $3, \"parts\": [$shim_parts]}"
}

# sizes: of the files whose paths it reads, a line "SIZE PATH" each; a process for a hundred of them.
sizes() {
    set --
    while IFS= read -r shim_path; do
        set -- "$@" "$shim_path"
        [ $# -lt 100 ] || { count "$@" && set --; } || return 1
    done
    [ $# = 0 ] || count "$@"
}

# count FILE...: with the same, without the last line, which is their sum.
count() {
    LC_ALL=C wc -c "$@" /dev/null >"$shim_tmp/counted" || return 1
    while IFS= read -r shim_line && [ $# -gt 0 ]; do printf '%s\n' "$shim_line" && shift; done <"$shim_tmp/counted"
}

# list_output NAME PATH LEVELS: appends to objects and to shim_listed (JSON).
list_output() {
    shim_kind=missing shim_count=0 shim_sum=0 shim_root=${2%/} shim_entries=''
    : >"$shim_tmp/files"
    if [ -d "$shim_root" ]; then
        shim_kind=directory
        list_directory "$1" "$3"
    elif [ -f "$shim_root" ]; then
        shim_kind='file'
        printf '%s\n' "$shim_root" >"$shim_tmp/files"
    elif [ -e "$shim_root" ] || [ -L "$shim_root" ]; then
        fail 66 "output $1: $shim_root is neither a file nor a directory"
    else
        say "output $1: there is nothing at $shim_root"
    fi
    sizes <"$shim_tmp/files" >"$shim_tmp/sizes" 2>"$shim_tmp/log" || unreadable "$1" "$shim_root"
    while IFS= read -r shim_line; do
        shim_line=${shim_line#"${shim_line%%[0-9]*}"}
        shim_size=${shim_line%% *} shim_path=${shim_line#* }
        if [ "$shim_size" -le "$shim_max" ]; then
            printf '%s\t%s\t%s\n' "$shim_size" "${shim_prefix}outputs/$1${shim_path#"$shim_root"}" "$shim_path"
        else
            list_pieces "outputs/$1${shim_path#"$shim_root"}" "$shim_path" "$shim_size"
        fi
        shim_count=$((shim_count + 1)) shim_sum=$((shim_sum + shim_size))
    done <"$shim_tmp/sizes" >>"$shim_tmp/objects"
    [ -z "$3" ] || shim_entries=", \"entries\": {${shim_entries#, }}"
    shim_files=$((shim_files + shim_count)) shim_bytes=$((shim_bytes + shim_sum))
    [ "$shim_kind" = missing ] || shim_found=$((shim_found + 1))
    quote "$1"
    shim_listed="$shim_listed${shim_listed:+, }\"$shim_quoted\":\
 {\"kind\": \"$shim_kind\", \"files\": $shim_count, \"bytes\": $shim_sum$shim_entries}"
}
