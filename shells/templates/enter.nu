# What nushell runs after the user's files when it is started in an environment.
source activate.nu
# The hook reads it at the first prompt, where there is one.
if "__devenv_hook" not-in $env { hide-env --ignore-errors __devenv_start }
if "DEVENV_NO_PROMPT" not-in $env {
    let before = $env | get -o PROMPT_COMMAND
    $env.PROMPT_COMMAND = {||
        let shown = if $before == null { "" } else if ($before | describe) starts-with "closure" { do $before } else { $before }
        if "__devenv" in $env { LABEL + $shown } else { $shown }
    }
}
