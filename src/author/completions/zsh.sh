#compdef startup-guard
# Completions of startup-guard for zsh.

_startup-guard() {
    local subcommand=run
    local -i end=${words[(i)--]}
    if (( end < CURRENT )); then
        # The words after `--` are a command and its arguments.
        shift $end words
        (( CURRENT -= end ))
        _normal
        return
    fi
    if [[ $words[2] != -* ]]; then
        if (( CURRENT == 2 )); then
            _startup-guard_subcommands
            return
        fi
        subcommand=$words[2]
        shift words
        (( CURRENT-- ))
    fi
    _startup-guard_arguments
}

