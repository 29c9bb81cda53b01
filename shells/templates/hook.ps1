
# Before each prompt: be in the environment of the nearest project. No process is started while nothing changed. What a
# project's environment is, and when it is out of date, is said by files in the user's own state directory, never by
# the project.

# The time of the last change, in units of 100 ns; 0 where there is no such file.
function global:__devenv_hook_time([string] $Path) {
    if (-not (__devenv_exists $Path)) { return 0 }
    return [IO.File]::GetLastWriteTimeUtc((__devenv_real $Path)).Ticks
}

function global:__devenv_hook_current([string] $Root) {
    $link = [string]::Concat($global:__devenv_hook.Tree, $Root, '/=devenv=/current')
    if (-not [IO.Directory]::Exists($link)) { return '' }
    return __devenv_real $link
}

# The nearest directory with a devenv.toml, links resolved; empty if there is none.
function global:__devenv_hook_find([string] $Here) {
    $at = ''
    foreach ($part in $Here.Split('/', [StringSplitOptions]::RemoveEmptyEntries)) {
        $at = __devenv_real ($at + '/' + $part)
    }
    while (-not [string]::IsNullOrEmpty($at) -and -not [IO.File]::Exists($at + '/devenv.toml')) {
        $at = $at.Substring(0, $at.LastIndexOf('/'))
    }
    # What is known is kept in lines, under the directory's own name.
    if ($at.Contains("`n") -or ($at + '/').Contains('/=devenv=/')) { return '' }
    return $at
}

function global:__devenv_hook_differs($Watch) {
    if ($Watch.Kind -ceq 'absent') { return __devenv_exists $Watch.Path }
    $time = __devenv_hook_time $Watch.Path
    return $time -eq 0 -or $time -ne $Watch.Time
}

# Whether to look again, although the directory is the same.
function global:__devenv_hook_changed {
    $hook = $global:__devenv_hook
    if ($hook.Root.Length -eq 0) { return [IO.File]::Exists($hook.Pwd + '/devenv.toml') }
    if (-not (__devenv_same (__devenv_hook_current $hook.Root) $hook.Version)) { return $true }
    # After it was asked, only a new version can tell anything new.
    if ($hook.Version.Length -eq 0 -or (__devenv_same $hook.Asked $hook.Version)) { return $false }
    foreach ($watch in $hook.Watched) {
        if ($watch.Kind -cne 'look' -and (__devenv_hook_differs $watch)) { return $true }
    }
    return $false
}

# Read the newest version and be in its environment.
function global:__devenv_hook_load([string] $Root) {
    $hook = $global:__devenv_hook
    $inside = $hook.Version.Length -gt 0 -and (__devenv_same $Root $hook.Root)
    $version = __devenv_hook_current $Root
    $lines = @()
    if ($version.Length -gt 0 -and [IO.File]::Exists($version + '/entry')) {
        $lines = [IO.File]::ReadAllText($version + '/entry').Split("`n")
    }
    $hook.Root = $Root; $hook.Version = ''; $hook.Watched = @()
    if ($lines.Count -lt 8 -or -not (__devenv_same $lines[0] 'devenv-hook 1') -or -not (__devenv_same $lines[2] ('project ' + $Root))) {
        __devenv_hook_switch '' ''
        return
    }
    $hook.Version = $version
    $hook.Watched = @(for ($i = 7; $i -lt $lines.Count - 1; $i++) {
        $kind, $path = $lines[$i].Split(' ', 2)
        @{ Kind = $kind; Path = $path; Time = __devenv_hook_time ($version + '/' + ($i - 7)) }
    })
    __devenv_hook_switch $lines[4].Substring(5) $Root
    if (-not (__devenv_same $version $hook.Told)) {
        foreach ($text in @($lines[5].Substring(4), $(if ($inside) { $lines[6].Substring(5) } else { '' }))) {
            if ($text.Length -gt 0) { [Console]::Error.WriteLine('devenv: ' + $text) }
        }
        $hook.Told = $version
    }
}

# Leave the environment that this hook entered, and enter this one, if any.
function global:__devenv_hook_switch([string] $Spec, [string] $Project) {
    $hook = $global:__devenv_hook
    if ((__devenv_same $Spec $hook.Meant) -and ($Spec.Length -eq 0 -or (__devenv_same $Project $hook.Place))) { return }
    if ($hook.Layer.Length -gt 0) { __devenv_leave $hook.Layer }
    $hook.Layer = ''; $hook.Meant = $Spec; $hook.Place = $Project
    if ($Spec.Length -eq 0 -or -not [IO.File]::Exists($Spec + '/id')) { return }
    # A shell that cannot hold the environment has code that says so.
    if (-not [IO.File]::Exists($Spec + '/activate.ps1')) { return }
    $identity = [IO.File]::ReadAllText($Spec + '/id').Trim()
    $before = __devenv_depth
    __devenv_enter $identity $Spec $Project
    if ((__devenv_depth) -gt $before) { $hook.Layer = $identity + ' ' + $Project }
}

# Have the project looked at in the background, once for each version.
function global:__devenv_hook_ask {
    $hook = $global:__devenv_hook
    $version = if ($hook.Version.Length -eq 0) { 'none' } else { $hook.Version }
    if (__devenv_same $hook.Asked $version) { return }
    $hook.Asked = $version
    $start = [Diagnostics.ProcessStartInfo]::new('/bin/sh')
    foreach ($word in @('-c', '"$@" </dev/null >/dev/null 2>&1 &', 'sh') + $hook.Program + @('hook', '--refresh', '--project', $hook.Root)) {
        $start.ArgumentList.Add($word)
    }
    [Diagnostics.Process]::Start($start).WaitForExit()
}

# Find the project, read what is known about it, enter or leave, ask for what is missing.
function global:__devenv_hook_look([string] $Here) {
    $hook = $global:__devenv_hook
    $moved = -not (__devenv_same $Here $hook.Pwd)
    if ($moved) { $hook.Pwd = $Here; $hook.Asked = '' }
    $root = __devenv_hook_find $Here
    if ($root.Length -eq 0) {
        $hook.Root = ''; $hook.Version = ''; $hook.Watched = @()
        __devenv_hook_switch '' ''
        return
    }
    if ($hook.Version.Length -eq 0 -or -not (__devenv_same $root $hook.Root) -or
        -not (__devenv_same (__devenv_hook_current $root) $hook.Version)) {
        __devenv_hook_load $root
    }
    $stale = $hook.Version.Length -eq 0 -or ($hook.Meant.Length -gt 0 -and -not [IO.File]::Exists($hook.Meant + '/id'))
    foreach ($watch in $hook.Watched) {
        if (($moved -or $watch.Kind -cne 'look') -and (__devenv_hook_differs $watch)) { $stale = $true }
    }
    if ($stale) { __devenv_hook_ask }
}

# What there is to do before a prompt. The exit status of the user's last program stays what it is.
function global:__devenv_hook_prompt {
    Microsoft.PowerShell.Core\Set-StrictMode -Off
    $status = $global:LASTEXITCODE
    $here = $ExecutionContext.SessionState.Path.CurrentFileSystemLocation.ProviderPath
    if (-not (__devenv_same $here $global:__devenv_hook.Pwd) -or (__devenv_hook_changed)) { __devenv_hook_look $here }
    $global:LASTEXITCODE = $status
}

if ($null -eq $ExecutionContext.SessionState.PSVariable.GetValue('global:__devenv_hook')) {
    $global:__devenv_hook = @{
        Tree = TREE; Program = @(PROGRAM); Pwd = ''; Root = ''; Version = ''; Watched = @(); Asked = ''; Told = ''
        Meant = ''; Place = ''; Layer = ''; Prompt = ${function:global:prompt}
    }
    function global:prompt {
        $succeeded = $?
        __devenv_hook_prompt
        # The user's prompt may show whether the last command succeeded.
        if (-not $succeeded) { Microsoft.PowerShell.Utility\Write-Error -Message 'no' -ErrorAction Ignore }
        & $global:__devenv_hook.Prompt
    }
    # Older ones have no event for going elsewhere: there it is seen at the next prompt.
    $calls = $ExecutionContext.SessionState.InvokeCommand
    if ($null -ne $calls.PSObject.Properties['LocationChangedAction']) {
        $moved = [EventHandler[Management.Automation.LocationChangedEventArgs]] { __devenv_hook_prompt }
        $calls.LocationChangedAction = [Delegate]::Combine($calls.LocationChangedAction, $moved)
    }
}
