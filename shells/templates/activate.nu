const __devenv_file = path self
do --env {
    let place = $__devenv_file | path expand | path dirname
    let parts = $__devenv_file | split row "/.devenv/env/"
    let project = if ($env | get -o __devenv_project) != null {
        $env.__devenv_project
    } else if ($parts | length) > 1 {
        $parts | drop 1 | str join "/.devenv/env/" | path expand
    } else {
        $env.PWD
    }
    let enter = {identity: ID, place: $place, project: $project}
    __devenv_change null $enter [__devenv_project __devenv_spec __devenv_pure]
}
