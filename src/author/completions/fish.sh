# Completions of startup-guard for fish.

# Whether the command line has one of these subcommands, and no `--` before the cursor.
function __startup_guard_has
    set -l words (commandline -opc)
    set -l subcommand run
    if set -q words[2]; and not string match -q -- '-*' $words[2]
        set subcommand $words[2]
    end
    contains -- $subcommand $argv; and not contains -- -- $words
end

# Whether the cursor is in the first word after the program.
function __startup_guard_is_first
    test (count (commandline -opc)) -eq 1
end

# Whether the cursor is after `--`.
function __startup_guard_has_command
    contains -- -- (commandline -opc)
end

# The completions of the command after `--`.
function __startup_guard_complete_command
    set -l words (commandline -opc)
    set -l end (contains -i -- -- $words)
    set -l before (string escape -- $words[(math $end + 1)..-1])
    complete -C (string join ' ' -- $before (commandline -ct))
end

complete -c startup-guard -f
complete -c startup-guard -n __startup_guard_has_command -a '(__startup_guard_complete_command)'
complete -c startup-guard -n __startup_guard_is_first -a help -d 'print a help text'
complete -c startup-guard -n 'not __startup_guard_has_command' -s h -l help -d 'print the help text'
complete -c startup-guard -n 'not __startup_guard_has_command' -s V -l version -d 'print the version'
