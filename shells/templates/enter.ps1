# What PowerShell runs after the user's profile when it is started in an environment.
. ([IO.Path]::GetDirectoryName($PSCommandPath) + '/activate.ps1')
if ([string]::IsNullOrEmpty([Environment]::GetEnvironmentVariable('DEVENV_NO_PROMPT'))) {
    $global:__devenv_prompt = ${function:global:prompt}
    function global:prompt {
        $shown = & $global:__devenv_prompt
        if ((__devenv_depth) -eq 0) { return $shown }
        return LABEL + $shown
    }
}
