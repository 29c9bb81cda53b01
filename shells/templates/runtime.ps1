# What is to be done is read from the files of the spec object; nothing of it is code. $global:__devenv holds the state:
# the layers, and a journal of steps. A step has its layer, kind, name, separator, value, and what was there before; Same says
# that it changed nothing. Leaving undoes the steps of one layer. Steps of later layers on the same names are undone
# before and done again after, so environments can be left in any order.
#
# .NET's own calls and full names of commands are used, for which no alias or function of the user's can stand. Texts are
# compared by their numbers (Ordinal): PowerShell's own comparison takes some different texts for equal. A strict mode of
# the user's, which holds in functions called from it, is turned off inside the functions that begin.

# Whether there is something of this name, links followed. (IO.Path's Exists is younger than some PowerShells.)
function global:__devenv_exists([string] $Path) {
    return [IO.File]::Exists($Path) -or [IO.Directory]::Exists($Path)
}

# The path that a link in the end leads to; of anything else the path as it is. Before .NET 6 only PowerShell could tell.
function global:__devenv_real([string] $Path) {
    $info = [IO.FileInfo]::new($Path)
    if (-not $info.Attributes.HasFlag([IO.FileAttributes]::ReparsePoint)) { return $Path }
    if ($null -ne [IO.FileInfo].GetMethod('ResolveLinkTarget')) { return $info.ResolveLinkTarget($true).FullName }
    return [string] [Microsoft.PowerShell.Commands.InternalSymbolicLinkLinkCodeMethods]::GetTarget($info)
}

function global:__devenv_look([string] $Target) {
    if ($Target.StartsWith('function:', [StringComparison]::Ordinal)) {
        $kind = [Management.Automation.CommandTypes]::Function
        $found = $ExecutionContext.SessionState.InvokeCommand.GetCommand($Target.Substring(9), $kind)
        if ($null -eq $found) { return $null }
        return $found.Definition
    }
    if (-not $Target.StartsWith('alias:', [StringComparison]::Ordinal)) {
        return [Environment]::GetEnvironmentVariable($Target)
    }
    $kind = [Management.Automation.CommandTypes]::Alias
    $found = $ExecutionContext.SessionState.InvokeCommand.GetCommand($Target.Substring(6), $kind)
    if ($null -eq $found) { return $null }
    return $found.Definition
}

function global:__devenv_put([string] $Target, $Text) {
    if ($Target.StartsWith('function:', [StringComparison]::Ordinal)) {
        $name = 'Function:' + $Target.Substring(9)
        if ($null -eq $Text) {
            Microsoft.PowerShell.Management\Remove-Item -LiteralPath $name -Force
        } else {
            # What cannot be read as code is an error here, before anything of it runs.
            try { $code = [scriptblock]::Create($Text) } catch {
                [Console]::Error.WriteLine("devenv: the $Target of the environment is not there: " + $_.Exception.Message)
                return
            }
            Microsoft.PowerShell.Management\Set-Item -LiteralPath ('Function:global:' + $Target.Substring(9)) -Value $code -Force
        }
        return
    }
    if ($Target.StartsWith('alias:', [StringComparison]::Ordinal)) {
        $name = $Target.Substring(6)
        if ($null -eq $Text) {
            Microsoft.PowerShell.Management\Remove-Item -LiteralPath ('Alias:' + $name) -Force
        } else {
            # An alias that is there in all scopes, as `cd`, must stay so.
            $options = [Management.Automation.ScopedItemOptions]::None
            $found = $ExecutionContext.SessionState.InvokeCommand.GetCommand($name, 'Alias')
            if ($null -ne $found) { $options = $found.Options -band [Management.Automation.ScopedItemOptions]::AllScope }
            Microsoft.PowerShell.Utility\Set-Alias -Name $name -Value $Text -Scope Global -Option $options -Force
        }
        return
    }
    if ($null -eq $Text) {
        # PowerShell would hand over null as an empty text.
        [Environment]::SetEnvironmentVariable($Target, [NullString]::Value)
        return
    }
    [Environment]::SetEnvironmentVariable($Target, $Text)
    if ($Text.Length -eq 0 -and $null -eq [Environment]::GetEnvironmentVariable($Target)) {
        [Console]::Error.WriteLine("devenv: PowerShell before 7.5 cannot hold the empty $Target, so it does not exist")
    }
}

function global:__devenv_same($One, $Other) {
    return [string]::Equals([object] $One, [object] $Other)
}

function global:__devenv_do($Step) {
    $now = __devenv_look $Step.Target
    $then = $Step.Value
    switch -CaseSensitive ($Step.Kind) {
        'unset' { $then = $null }
        'prepend' { if (-not [string]::IsNullOrEmpty($now)) { $then = [string]::Concat($Step.Value, $Step.Separator, $now) } }
        'append' { if (-not [string]::IsNullOrEmpty($now)) { $then = [string]::Concat($now, $Step.Separator, $Step.Value) } }
        'default' { if ($null -ne $now) { $then = $now } }
    }
    $Step.Old = $now
    $Step.Same = __devenv_same $then $now
    if (-not $Step.Same) { __devenv_put $Step.Target $then }
}

# Whether what the step did, or found done already, was still there.
function global:__devenv_undo($Step) {
    $now = __devenv_look $Step.Target
    if ($Step.Same) {
        if ($Step.Kind -ceq 'default') { return ($null -ne $now) }
        if ($Step.Kind -ceq 'unset') { return ($null -eq $now) }
        return ($Step.Kind -cne 'set' -or (__devenv_same $now $Step.Value))
    }
    $back = $Step.Old
    if ($Step.Kind -ceq 'prepend' -or $Step.Kind -ceq 'append') {
        if ($null -eq $now) { return $false }
        $sep = $Step.Separator
        $entry = [string]::Concat($sep, $Step.Value, $sep)
        $whole = [string]::Concat($sep, $now, $sep)
        if ($Step.Kind -ceq 'append') {
            $at = $whole.LastIndexOf($entry, [StringComparison]::Ordinal)
        } else {
            $at = $whole.IndexOf($entry, [StringComparison]::Ordinal)
        }
        if ($at -lt 0) { return $false }
        $rest = [string]::Concat($whole.Substring(0, $at), $sep, $whole.Substring($at + $entry.Length))
        if ($rest.StartsWith($sep, [StringComparison]::Ordinal)) { $rest = $rest.Substring($sep.Length) }
        if ($rest.EndsWith($sep, [StringComparison]::Ordinal)) { $rest = $rest.Substring(0, $rest.Length - $sep.Length) }
        if ($rest.Length -gt 0 -or $null -ne $back) { $back = $rest }
    } elseif ($Step.Kind -ceq 'unset') {
        if ($null -ne $now) { return $false }
    } elseif (-not (__devenv_same $now $Step.Value)) {
        return $false
    }
    __devenv_put $Step.Target $back
    return $true
}

function global:__devenv_steps([string] $Place, [string] $Project, [string] $Layer) {
    $escapes = @{ 't' = "`t"; 'n' = "`n"; 'p' = $Project; 's' = $Place }
    $whole = {
        param([string] $Text)
        $built = [Text.StringBuilder]::new()
        for ($i = 0; $i -lt $Text.Length; $i++) {
            if ([int] $Text[$i] -ne 92) { $null = $built.Append($Text[$i]); continue }
            $i++
            if ([int] $Text[$i] -eq 92) { $null = $built.Append('\') } else { $null = $built.Append($escapes[[string] $Text[$i]]) }
        }
        $built.ToString()
    }
    foreach ($line in [IO.File]::ReadAllText($Place + '/steps').Split("`n")) {
        if ($line.Length -eq 0) { continue }
        $words = $line.Split("`t")
        @{
            Layer = $Layer; Kind = $words[0]; Target = $words[1]; Separator = & $whole $words[2]
            Value = & $whole $words[3]; Old = $null; Same = $true
        }
    }
    # An alias of PowerShell's is another name of a program, and here programs have the words.
    if ([IO.Directory]::Exists($Place + '/aliases')) {
        foreach ($file in [IO.Directory]::GetFiles($Place + '/aliases')) {
            @{
                Layer = $Layer; Kind = 'alias'; Target = 'alias:' + [IO.Path]::GetFileName($file); Separator = ''
                Value = $file; Old = $null; Same = $true
            }
        }
    }
    $known = [Text.Json.JsonDocument]::Parse([IO.File]::ReadAllText($Place + '/env.json')).RootElement
    $functions = [Text.Json.JsonElement]::new()
    if (-not $known.TryGetProperty('functions', [ref] $functions)) { return }
    foreach ($function in $functions.EnumerateObject()) {
        $body = [Text.Json.JsonElement]::new()
        if ($function.Value.TryGetProperty('pwsh', [ref] $body)) {
            @{
                Layer = $Layer; Kind = 'function'; Target = 'function:' + $function.Name; Separator = ''
                Value = $body.GetString(); Old = $null; Same = $true
            }
        } elseif ($function.Value.TryGetProperty('sh', [ref] $body)) {
            @{
                Layer = $Layer; Kind = 'alias'; Target = 'alias:' + $function.Name; Separator = ''
                Value = [string]::Concat($Place, '/functions/sh/', $function.Name); Old = $null; Same = $true
            }
        }
    }
}

function global:__devenv_enter([string] $Identity, [string] $Place, [string] $Project) {
    Microsoft.PowerShell.Core\Set-StrictMode -Off
    $layer = $Identity + ' ' + $Project
    if ($null -eq $global:__devenv) { $global:__devenv = @{ Layers = @(); Journal = @() } }
    foreach ($known in $global:__devenv.Layers) { if (__devenv_same $known $layer) { return } }
    $steps = @(__devenv_steps $Place $Project $layer)
    foreach ($step in $steps) { __devenv_do $step }
    $global:__devenv.Layers = @($global:__devenv.Layers) + $layer
    $global:__devenv.Journal = @($global:__devenv.Journal) + $steps
}

# How many environments were entered.
function global:__devenv_depth {
    Microsoft.PowerShell.Core\Set-StrictMode -Off
    if ($null -eq $global:__devenv) { return 0 }
    return $global:__devenv.Layers.Count
}

# Leaves the environment entered last, the last one with this identity, or that of exactly this layer.
function global:__devenv_leave([string] $Wanted) {
    Microsoft.PowerShell.Core\Set-StrictMode -Off
    if ($null -eq $global:__devenv) { return }
    $left = $null
    foreach ($layer in $global:__devenv.Layers) {
        $begins = $layer.StartsWith($Wanted + ' ', [StringComparison]::Ordinal)
        if ($Wanted.Length -eq 0 -or (__devenv_same $layer $Wanted) -or $begins) { $left = $layer }
    }
    if ($null -eq $left) { return }
    $journal = @($global:__devenv.Journal)
    $touched = [Collections.Generic.Dictionary[string, int]]::new([StringComparer]::Ordinal)
    for ($i = 0; $i -lt $journal.Count; $i++) {
        if (__devenv_same $journal[$i].Layer $left) { $touched[$journal[$i].Target] = $i }
    }
    $kept = [Collections.ArrayList]::new()
    $again = [Collections.ArrayList]::new()
    for ($i = $journal.Count - 1; $i -ge 0; $i--) {
        $step = $journal[$i]
        if (__devenv_same $step.Layer $left) {
            $null = __devenv_undo $step
        } elseif ($touched.ContainsKey($step.Target) -and $touched[$step.Target] -lt $i) {
            # What the user has changed since is the user's, and not done again.
            if (__devenv_undo $step) { $kept.Insert(0, $step); $again.Insert(0, $step) }
        } else {
            $kept.Insert(0, $step)
        }
    }
    foreach ($step in $again) { __devenv_do $step }
    $global:__devenv.Layers = @(foreach ($layer in $global:__devenv.Layers) { if (-not (__devenv_same $layer $left)) { $layer } })
    $global:__devenv.Journal = @($kept)
    if ($global:__devenv.Layers.Count -eq 0) { $global:__devenv = $null }
}

# Leave the environment entered last.
function global:devenv_leave { __devenv_leave '' }
