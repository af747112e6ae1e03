#!/bin/sh
# Pretends to be the command line of a platform. Values that are set get into the folder `store`, each in a file with the
# variable's name; the values that another service has are in the folder `other`.
#
# `list` is a function, and some lists of words are split on purpose.
# shellcheck disable=SC2283,SC2086,SC2046

# Stores the arguments of the form NAME=VALUE in a folder.
keep() {
    folder=$1
    shift
    for word; do
        word=${word#--from-literal=}
        case $word in
        -* | [!A-Za-z_]*) ;;
        *=*) printf %s "${word#*=}" >"$folder/${word%%=*}" ;;
        esac
    done
}

# Copies the named values from a folder to the store.
refer() {
    folder=$1
    shift
    for name; do cp "$folder/$name" "store/$name"; done
}

list() { for file in other/*; do printf '%s%s%s\n' "${file#other/}" "$1" "$(cat "$file")"; done; }

mkdir -p store created
all="${0##*/} $*"
case $all in
"railway variables "*" --kv" | "heroku config --shell "*) list = ;;
"railway variable set "*" --stdin"*) printf %s "$(cat)" >"store/$3" ;;
"railway variable set "*) keep store "$@" ;;
"fly ssh console "*) cat "other/${all##* }" ;;
"heroku config:get "*) cat "other/$2" ;;
"fly secrets set "* | "heroku config:set "*) keep store "$@" ;;
"fly secrets list "* | "kubectl describe secrets" | "gcloud secrets list "*) list : | sed 's/:.*/: 44 bytes/' ;;
"kubectl create secret "*) keep created "$@" ;;
"kubectl set env "*" --from=secret/<secret> --keys "*) IFS=,; refer other ${all##* } ;;
"kubectl set env "*" --from=secret/"*) refer created $(ls created) ;;
"kubectl set env "*) keep store "$@" ;;
"gcloud secrets create "*) cat >"created/$3" ;;
"gcloud run services update "*)
    while [ $# -gt 0 ]; do
        case $1 in
        --update-env-vars)
            IFS=,
            pairs=$2
            case $2 in ^?^*) IFS=$(printf %.2s "$2" | cut -c 2); pairs=${2#^?^} ;; esac
            set -f
            keep store $pairs
            ;;
        --update-secrets)
            IFS=,
            for pair in $2; do
                name=${pair%%=*}
                if [ -e "created/$name" ]; then refer created "$name"; else refer other "$name"; fi
            done
            ;;
        esac
        IFS=' '
        shift
    done
    ;;
"aws ecs "*) ;;
"openssl rand -base64 "*) head -c "$3" /dev/urandom | base64 ;;
"openssl rand -hex "*) head -c "$3" /dev/urandom | od -An -vtx1 | tr -d ' \n' ;;
*) echo "the fake platform does not know: $all" >&2; exit 1 ;;
esac
