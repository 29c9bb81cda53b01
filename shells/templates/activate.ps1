& {
    param([string] $File)
    $place = [IO.Path]::GetDirectoryName($File)
    $project = [Environment]::GetEnvironmentVariable('__devenv_project')
    $at = $File.LastIndexOf('/.devenv/env/', [StringComparison]::Ordinal)
    if ([string]::IsNullOrEmpty($project)) {
        if ($at -ge 0) { $project = $File.Substring(0, $at) } else { $project = [IO.Directory]::GetCurrentDirectory() }
    }
    $place = __devenv_real $place
    foreach ($name in '__devenv_project', '__devenv_spec', '__devenv_pure') {
        [Environment]::SetEnvironmentVariable($name, [NullString]::Value)
    }
    __devenv_enter ID $place $project
} $PSCommandPath
