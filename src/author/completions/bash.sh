# Completions of startup-guard for bash 4 or later.

_startup_guard() {
    local current=$2 option='' prefix='' subcommand=run kind='' names='' options='' subcommands='' i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            # The words after it are a command and its arguments.
            if ((i + 1 < COMP_CWORD)) || [[ $current == */* ]]; then
                compopt -o bashdefault -o default
            else
                mapfile -t COMPREPLY < <(compgen -c -- "$current")
            fi
            return
        fi
    done
    if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} != -* ]]; then
        subcommand=${COMP_WORDS[1]}
    fi
    # `--option=value` has three words, or one word if COMP_WORDBREAKS has no `=`.
    if [[ $current == --*=* ]]; then
        option=${current%%=*} prefix=${current%%=*}= current=${current#*=}
    elif ((COMP_CWORD > 2)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    else
        option=${COMP_WORDS[COMP_CWORD - 1]}
    fi
    _startup_guard_choices
    if [[ -n $options && ($current == -* || -z $kind) ]]; then
        kind=names names=$options
    fi
    case $kind in
    names) mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "$names" -- "$current") ;;
    files) compopt -o bashdefault -o default ;;
    folders) compopt -o dirnames ;;
    esac
}

