#!/bin/sh
# The layers as a check: who may include whom, no mutable global, no thread and no signal handler of the library's own.
# Arguments: the library's objects, compiled without position-independent code. Run in csrc/.
failed=0
rules=0

complain() {
    failed=$((failed + 1))
    echo "layering: $1" >&2
}

# layer, then what its files may include besides the system's headers
check_includes() {
    layer=$1
    shift
    rules=$((rules + 1))
    for file in "$layer"/*.[ch]; do
        for included in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file"); do
            ok=no
            for allowed in "$@"; do
                case $included in
                "$allowed"/*.h | "$allowed") ok=yes ;;
                esac
            done
            [ $ok = yes ] || complain "$file includes $included"
        done
    done
}

check_includes base base
check_includes wire base wire fields.def errors.def
check_includes log base log mqfast.h
check_includes queue base log queue mqfast.h
check_includes command base wire log queue command mqfast.h fields.def commands.def errors.def
check_includes net base wire log queue command net mqfast.h
check_includes include

rules=$((rules + 1))
for file in $(grep -l '^ *# *include *[<"]Python.h' */*.[ch]); do
    complain "$file includes Python.h"
done

rules=$((rules + 1))
for file in $(find base wire log queue command net include -name '*util*' -o -name '*common*' -o -name '*helper*' -o -name '*misc*' -o -name 'types*'); do
    complain "$file has a name that says nothing"
done

rules=$((rules + 1))
for object in "$@"; do
    for symbol in $(nm "$object" | sed -n 's/^[0-9a-f]* [bBdDcCgGsS] //p'); do
        complain "$object has the mutable global $symbol"
    done
    for symbol in $(nm -u "$object" | sed -n 's/^ *U \(pthread_create\|fork\|signal\|sigaction\|exit\|system\)$/\1/p'); do
        case "$object $symbol" in
        *queue/persist.o\ fork) ;; # the child writes a snapshot and ends
        *) complain "$object calls $symbol" ;;
        esac
    done
done

echo "layering: $rules passed, $failed failed"
[ $failed = 0 ]
