<#
.SYNOPSIS
Checks ingest against a real SQL Server on Windows, and prints what held and what did not.

.DESCRIPTION
The project's own checks have run under Wine and against a double of the server. This script is for a person who has
the real thing: it takes models into the rows of a database (in FILESTREAM, if the instance has it switched on),
verifies and exports them and compares SHA-256, takes them in again, kills a run in the middle and continues it.

An address without a database (sqlserver://HOST, sqlserver://HOST/INSTANCE) gets a scratch database, which is dropped
at the end. A database that the address names is used only with -Yes: it gets the tables of ingest if it lacks them,
and the ingested models stay there: `ingest rm` removes them.

The exit code is 1 if anything did not hold. Windows PowerShell 5.1 is enough. Where the computer lets no script run:
powershell -ExecutionPolicy Bypass -File .\windows-check.ps1 ...

.PARAMETER Catalog
Address of the server: sqlserver://HOST?database=NAME, sqlserver://HOST/INSTANCE, sqlserver://USER@HOST:PORT. Without a user,
Windows logs you in, which FILESTREAM through files needs. A password may come from INGEST_CATALOG_PASSWORD.

.PARAMETER Source
Folder of models; without it, the sample of this repository.

.PARAMETER Ingest
Path of ingest.exe; without it, the one on the PATH.

.PARAMETER KillMiB
Size of the file whose intake is killed. It must last long enough to be killed: more on a fast computer.

.PARAMETER Yes
Use the database that the address names.

.EXAMPLE
.\windows-check.ps1 -Catalog sqlserver://localhost -Ingest C:\Tools\ingest.exe
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)][string]$Catalog,
    [string]$Source = '',
    [string]$Ingest = 'ingest.exe',
    [ValidateRange(64, 65536)][int]$KillMiB = 2048,
    [switch]$Yes
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# Fail ends the script before anything was checked.
function Fail([string]$Wrong, [string]$Todo) {
    [Console]::Error.WriteLine("windows-check: $Wrong")
    [Console]::Error.WriteLine("  $Todo")
    exit 1
}

$script:table = @()

# Add-Row says how a check ended. "told" is a fact that is neither right nor wrong.
function Add-Row([string]$What, [string]$Result, [string]$Note = '') {
    $script:table += New-Object PSObject -Property @{ What = $What; Result = $Result; Note = $Note }
    Write-Host ('{0,-12} {1,-58} {2}' -f $Result, $What, $Note)
}

# Test-That runs a check: it holds if nothing is thrown. What the block returns is the note.
function Test-That([string]$What, [scriptblock]$Check) {
    try {
        $note = @(& $Check) -join '; '
        Add-Row $What 'held' $note
    } catch {
        Add-Row $What 'DID NOT HOLD' $_.Exception.Message
    }
}

# Assert throws if something is not so.
function Assert([bool]$Is, [string]$Else) {
    if (-not $Is) {
        throw $Else
    }
}

# Invoke-Ingest runs ingest with --json, and returns its exit code and the objects that it printed. What it
# says on stderr goes to the console.
function Invoke-Ingest([string[]]$Arguments) {
    $printed = @(& $program ($Arguments + '--json'))
    $code = $LASTEXITCODE
    $objects = @()
    foreach ($line in $printed) {
        if ([string]$line -ne '') {
            $objects += ConvertFrom-Json -InputObject ([string]$line)
        }
    }
    return New-Object PSObject -Property @{ Code = $code; Objects = $objects }
}

# Get-Field reads a field that an object may lack.
function Get-Field($Object, [string]$Name) {
    if ($null -ne $Object -and $Object.PSObject.Properties.Match($Name).Count -gt 0) {
        return $Object.$Name
    }
    return $null
}

# Get-Events gives what was printed of one event, to be looped over.
function Get-Events($Run, [string]$Name) {
    foreach ($object in $Run.Objects) {
        if ((Get-Field $object 'event') -eq $Name) {
            $object
        }
    }
}

# Get-Event gives the first one, which has to be there.
function Get-Event($Run, [string]$Name) {
    foreach ($object in (Get-Events $Run $Name)) {
        return $object
    }
    throw "ingest printed no $Name"
}

# Invoke-Must is Invoke-Ingest for a run that has to end with code 0.
function Invoke-Must([string[]]$Arguments) {
    $run = Invoke-Ingest $Arguments
    Assert ($run.Code -eq 0) "ingest $($Arguments -join ' '): exit code $($run.Code)"
    return $run
}

function Get-Sum([string]$File) {
    return (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash.ToLowerInvariant()
}

# Read-Address takes an address apart: ingest takes it as it is, and this script needs its own connection.
function Read-Address([string]$Text) {
    $address = $null
    if (-not [uri]::TryCreate($Text, [UriKind]::Absolute, [ref]$address) -or $address.Scheme -ne 'sqlserver' -or $address.Host -eq '') {
        Fail 'the address cannot be read' 'Give it as sqlserver://HOST?database=NAME or sqlserver://HOST/INSTANCE.'
    }
    $fields = @{}
    foreach ($pair in $address.Query.TrimStart('?').Split('&')) {
        $parts = $pair.Split('=', 2)
        if ($parts.Length -eq 2) {
            $fields[$parts[0].ToLowerInvariant()] = [uri]::UnescapeDataString($parts[1].Replace('+', ' '))
        }
    }
    $builder = New-Object System.Data.SqlClient.SqlConnectionStringBuilder
    $builder['Pooling'] = $false
    $server = $address.Host
    $instance = [uri]::UnescapeDataString($address.AbsolutePath.Trim('/'))
    if ($address.Port -gt 0) {
        $server = "$server,$($address.Port)"
    } elseif ($instance -ne '') {
        $server = "$server\$instance"
    }
    $builder['Data Source'] = $server
    if ($address.UserInfo -ne '') {
        $parts = $address.UserInfo.Split(':', 2)
        $password = [string]$env:INGEST_CATALOG_PASSWORD
        if ($parts.Length -eq 2) {
            $password = [uri]::UnescapeDataString($parts[1])
        }
        $builder['User ID'] = [uri]::UnescapeDataString($parts[0])
        $builder['Password'] = $password
    } else {
        $builder['Integrated Security'] = $true
    }
    if ($fields.ContainsKey('trustservercertificate')) {
        $builder['TrustServerCertificate'] = $fields['trustservercertificate'] -eq 'true'
    }
    # As ingest does it: encrypted, but on this computer or if the address says otherwise.
    $local = @('localhost', '127.0.0.1', '[::1]', '.') -contains $address.Host.ToLowerInvariant()
    $builder['Encrypt'] = -not $local
    if ($fields.ContainsKey('encrypt')) {
        $builder['Encrypt'] = @('true', 'strict', 'mandatory', 'yes', '1', 't') -contains $fields['encrypt'].ToLowerInvariant()
    }
    $database = ''
    if ($fields.ContainsKey('database')) {
        $database = $fields['database']
    }
    return New-Object PSObject -Property @{ Builder = $builder; Server = $server; Database = $database; Integrated = ($address.UserInfo -eq '') }
}

# Invoke-Sql runs a statement in a database and returns the first value of its first row.
function Invoke-Sql([string]$In, [string]$Statement) {
    $target.Builder['Initial Catalog'] = $In
    $connection = New-Object System.Data.SqlClient.SqlConnection($target.Builder.ConnectionString)
    try {
        $connection.Open()
        $command = $connection.CreateCommand()
        $command.CommandText = $Statement
        $command.CommandTimeout = 600
        return $command.ExecuteScalar()
    } finally {
        $connection.Dispose()
    }
}

function Quote-Name([string]$Name) {
    return '[' + $Name.Replace(']', ']]') + ']'
}

# New-RandomFile writes a file that no two segments of which are equal, and that nothing can compress.
function New-RandomFile([string]$File, [int]$MiB) {
    $random = New-Object Random
    $buffer = New-Object 'byte[]' 1048576
    $stream = [IO.File]::Create($File)
    try {
        for ($i = 0; $i -lt $MiB; $i++) {
            $random.NextBytes($buffer)
            $stream.Write($buffer, 0, $buffer.Length)
        }
    } finally {
        $stream.Dispose()
    }
}

# Get-Recorded says how much of the file that is killed has its rows: 0 before the first batch. The name of the
# folder is in no other path. Rows that are being written are passed over.
function Get-Recorded {
    $folder = Split-Path -Leaf $work
    return [long](Invoke-Sql $database "SELECT COALESCE(MAX(RecordedBytes), 0) FROM dbo.ModelFiles WITH (READPAST) WHERE CHARINDEX(N'$folder', SourcePath) > 0 AND ByteSize = $size")
}

# What must be so before anything is checked.
if ($env:OS -ne 'Windows_NT') {
    Fail 'this is not Windows' 'Run it where ingest.exe runs.'
}
$found = @(Get-Command -Name $Ingest -CommandType Application -ErrorAction SilentlyContinue)
if ($found.Count -eq 0) {
    Fail "there is no $Ingest" 'Build it with: go build -o ingest.exe ./cmd/ingest    and name it with -Ingest.'
}
$program = $found[0].Path
if ($Source -eq '') {
    $Source = Join-Path $PSScriptRoot 'sample\models'
}
if (-not (Test-Path -LiteralPath $Source -PathType Container)) {
    Fail "there is no folder $Source" 'Name a folder of models with -Source.'
}
$Source = (Resolve-Path -LiteralPath $Source).ProviderPath.TrimEnd('\')
$target = Read-Address $Catalog
$database = $target.Database
$scratch = $database -eq ''
if (-not $scratch -and -not $Yes) {
    Fail "the address names the database $database, which would be changed: it gets tables, and models that stay" 'Add -Yes, or leave database= out of the address: then a scratch database is made and dropped.'
}
$level = 0
try {
    $level = [int](Invoke-Sql 'master' "SELECT COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamEffectiveLevel')), 0)")
} catch {
    Fail "cannot log in to $($target.Server): $($_.Exception.Message)" 'See that the server runs, that TCP/IP is switched on for it, and that you may log in.'
}
$address = $Catalog
if ($scratch) {
    $database = 'ingest_check_' + (Get-Date -Format 'yyyyMMddHHmmss')
    $join = '?'
    if ($Catalog.Contains('?')) {
        $join = '&'
    }
    $address = $Catalog + $join + "database=$database"
    try {
        [void](Invoke-Sql 'master' "CREATE DATABASE $(Quote-Name $database)")
    } catch {
        Fail "cannot make a scratch database: $($_.Exception.Message)" 'Log in as somebody with the role dbcreator, or name a database in the address and add -Yes.'
    }
}

$keptCatalog = $env:INGEST_CATALOG
$keptStore = $env:INGEST_STORE
$keptEncoding = [Console]::OutputEncoding
$work = Join-Path ([IO.Path]::GetTempPath()) ('ingest-check-' + [Guid]::NewGuid().ToString('N'))
$script:process = $null
$script:models = @()
$script:sums = @{}
$script:recorded = [long]0
$script:checked = $null
try {
    [void](New-Item -ItemType Directory -Path $work)
    # In the environment, where nobody who lists processes sees a password.
    $env:INGEST_CATALOG = $address
    $env:INGEST_STORE = 'row'
    [Console]::OutputEncoding = New-Object Text.UTF8Encoding($false)

    # Facts that a report needs.
    $versionText = @(& $program '--version') -join ' '
    if ($LASTEXITCODE -ne 0) {
        throw "ingest --version: exit code $LASTEXITCODE"
    }
    Add-Row 'program' 'told' $versionText
    Add-Row 'server' 'told' ([string](Invoke-Sql 'master' "SELECT CONCAT(CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), N' ', CONVERT(nvarchar(128), SERVERPROPERTY('Edition')))"))
    Add-Row 'database' 'told' $database
    Add-Row 'login by Windows' 'told' ([string]$target.Integrated)
    Add-Row 'FILESTREAM level of the instance' 'told' ([string]$level)
    $drivers = @('msoledbsql19.dll', 'msoledbsql.dll', 'sqlncli11.dll' | Where-Object { Test-Path -LiteralPath (Join-Path ([Environment]::SystemDirectory) $_) })
    if ($drivers.Count -eq 0) {
        $drivers = @('none')
    }
    Add-Row 'drivers with OpenSqlFilestream' 'told' ($drivers -join ', ')
    $help = @(& $program 'models' '--help') -join "`n"
    if ($LASTEXITCODE -ne 0) {
        throw "ingest models --help: exit code $LASTEXITCODE"
    }
    $chooses = $help.Contains('--filestream')
    $help = @(& $program 'verify' '--help') -join "`n"
    if ($LASTEXITCODE -ne 0) {
        throw "ingest verify --help: exit code $LASTEXITCODE"
    }
    $asks = $help.Contains('--server')

    # The tables. In a database that was named, FILESTREAM is set up by enable-filestream.ps1 alone.
    $parts = @()
    $file = Invoke-Sql $database 'SELECT TOP (1) physical_name FROM sys.database_files WHERE type = 2'
    if ($null -ne $file -or ($scratch -and $level -ge 2)) {
        $parts = @('--with', 'filestream')
    }
    Test-That 'schema apply' {
        $arguments = @('schema', 'apply') + $parts
        if ($parts.Count -gt 0) {
            $folder = $file
            if ($null -eq $folder) {
                $folder = ([string](Invoke-Sql 'master' "SELECT CONVERT(nvarchar(512), SERVERPROPERTY('InstanceDefaultDataPath'))")).TrimEnd('\') + '\' + $database + '_filestream'
            }
            $arguments += @('--filestream-path', $folder)
        }
        [void](Invoke-Must $arguments)
    }
    Test-That 'schema check' {
        $script:checked = Invoke-Ingest (@('schema', 'check') + $parts)
        Assert ($script:checked.Code -eq 0) "exit code $($script:checked.Code)"
    }
    if ($null -ne $script:checked) {
        foreach ($need in (Get-Events $script:checked 'prerequisite')) {
            $state = [string]$need.found
            if (-not $need.ok) {
                $state = "MISSING: $($need.found): $($need.do)"
            }
            Add-Row "FILESTREAM, $($need.name)" 'told' $state
        }
    }
    $inFiles = [int](Invoke-Sql $database "SELECT COUNT(*) FROM sys.columns WHERE is_filestream = 1 AND name = N'RawPayload' AND object_id IN (OBJECT_ID(N'dbo.LayerTensorSegments'), OBJECT_ID(N'dbo.FileSegments'))")
    Add-Row 'columns of payloads that are FILESTREAM' 'told' "$inFiles of 2"

    # The main job.
    Test-That 'models --store row --jobs 2' {
        $summary = Get-Event (Invoke-Must @('models', $Source, '--jobs', '2')) 'summary'
        Assert ($summary.taken + $summary.skipped -gt 0) 'nothing was taken in'
        Assert ($summary.refused -eq 0) "$($summary.refused) refused"
        "$($summary.taken) taken in, $($summary.skipped) there before, $($summary.bytes_read) bytes in $([math]::Round($summary.seconds, 1)) s"
    }
    Test-That 'list: SHA-256 is that of the files' {
        foreach ($model in (Invoke-Must @('list')).Objects) {
            $ours = $false
            foreach ($file in $model.files) {
                $from = [string](Get-Field $file 'path')
                if ($from.StartsWith($Source + '\', [StringComparison]::OrdinalIgnoreCase)) {
                    $ours = $true
                    $sum = Get-Sum $from
                    $script:sums[$sum] = $from
                    Assert ($file.sha256 -eq $sum) "${from}: listed as $($file.sha256), is $sum"
                }
            }
            if ($ours) {
                Assert ($model.state -eq 'complete') "model $($model.id) is $($model.state)"
                $script:models += $model
            }
        }
        Assert ($script:models.Count -gt 0) 'no model comes from the folder'
        "$($script:models.Count) models, $($script:sums.Count) files"
    }
    Test-That 'verify' {
        $bytes = [long]0
        Assert ($script:models.Count -gt 0) 'there is no model to verify'
        foreach ($model in $script:models) {
            $summary = Get-Event (Invoke-Must @('verify', [string]$model.id)) 'summary'
            Assert ($summary.models -eq 1 -and $summary.damaged -eq 0) "model $($model.id): $($summary.damaged) damaged"
            $bytes += $summary.bytes
        }
        "$bytes bytes read back"
    }
    if ($asks) {
        Test-That 'verify --server' {
            foreach ($model in $script:models) {
                [void](Invoke-Must @('verify', '--server', [string]$model.id))
            }
        }
    }
    Test-That 'export: the same bytes' {
        $count = 0
        Assert ($script:models.Count -gt 0) 'there is no model to export'
        foreach ($model in $script:models) {
            $folder = Join-Path $work "model $($model.id)"
            [void](New-Item -ItemType Directory -Path $folder)
            foreach ($written in (Get-Events (Invoke-Must @('export', [string]$model.id, '-o', $folder)) 'exported')) {
                $sum = Get-Sum $written.path
                Assert ($sum -eq $written.sha256) "$($written.path): has $sum, said to be $($written.sha256)"
                if ($script:sums.ContainsKey($sum)) {
                    $count++
                }
            }
        }
        Assert ($count -ge $script:sums.Count) "$count of $($script:sums.Count) files came back"
        "$count files"
    }
    Test-That 'models again reads nothing' {
        $summary = Get-Event (Invoke-Must @('models', $Source)) 'summary'
        Assert ($summary.taken -eq 0 -and $summary.skipped -gt 0 -and $summary.bytes_read -eq 0) "$($summary.taken) taken in, $($summary.skipped) skipped, $($summary.bytes_read) bytes read"
    }

    # Each way that the program can be told to take to the payloads.
    if ($chooses) {
        $ways = @('tsql')
        if ($inFiles -eq 2 -and $target.Integrated -and $drivers[0] -ne 'none') {
            $ways += 'win32'
        } else {
            Add-Row 'models --filestream win32' 'told' 'not tried: it wants FILESTREAM columns, a login by Windows and a driver'
        }
        foreach ($way in $ways) {
            Test-That "models --filestream $way" {
                $one = Join-Path $work "$way.bin"
                New-RandomFile $one 24
                $taken = Get-Event (Invoke-Must @('models', $one, '--filestream', $way, '--segment-size', '1MiB')) 'taken'
                $back = Join-Path $work "$way.out"
                [void](Invoke-Must @('export', [string]$taken.id, '-o', $back))
                Assert ((Get-Sum $back) -eq (Get-Sum $one)) 'other bytes came back'
            }
        }
    }

    # A run that is killed.
    $big = Join-Path $work 'killed.bin'
    Write-Host "writing $KillMiB MiB to $big"
    New-RandomFile $big $KillMiB
    $size = (Get-Item -LiteralPath $big).Length
    Test-That 'a run is killed in the middle' {
        # Start-Process joins arguments as they are: what may hold a space is quoted here.
        $script:process = Start-Process -FilePath $program -ArgumentList @('models', ('"' + $big + '"'), '--json') -PassThru -NoNewWindow `
            -RedirectStandardOutput (Join-Path $work 'killed.stdout') -RedirectStandardError (Join-Path $work 'killed.stderr')
        $early = $true
        try {
            while (-not $script:process.HasExited -and (Get-Recorded) -eq 0) {
                Start-Sleep -Milliseconds 50
            }
            $early = $script:process.HasExited
        } finally {
            if (-not $script:process.HasExited) {
                Stop-Process -Id $script:process.Id -Force
                $script:process.WaitForExit()
            }
        }
        Assert (-not $early) 'it ended before it could be killed: give more with -KillMiB'
        $script:recorded = Get-Recorded
        Assert ($script:recorded -gt 0 -and $script:recorded -lt $size) "$($script:recorded) of $size bytes have rows"
        "$($script:recorded) of $size bytes have rows"
    }
    Test-That 'models goes on where it was' {
        Assert ($script:recorded -gt 0) 'nothing was killed'
        $run = Invoke-Must @('models', $big)
        $summary = Get-Event $run 'summary'
        $taken = Get-Event $run 'taken'
        Assert ([bool]$summary.continued) 'it began anew'
        Assert ($taken.bytes_resumed -ge $script:recorded) "it went on after $($taken.bytes_resumed) bytes, and $($script:recorded) had rows"
        "after $($taken.bytes_resumed) bytes"
    }
    Test-That 'what was killed is whole' {
        $sum = Get-Sum $big
        [void](Invoke-Must @('verify', $sum))
        $back = Join-Path $work 'killed.out'
        [void](Invoke-Must @('export', $sum, '-o', $back))
        Assert ((Get-Sum $back) -eq $sum) 'other bytes came back'
    }
    Test-That 'resume has nothing left' {
        $left = @((Invoke-Must @('status')).Objects | Where-Object { $_.state -ne 'complete' -and ($_.paths -join "`n").Contains($big) })
        Assert ($left.Count -eq 0) "$($left.Count) jobs are not complete"
    }
} catch {
    Add-Row 'the check itself' 'DID NOT HOLD' "$($_.Exception.Message) $($_.InvocationInfo.PositionMessage)"
} finally {
    $env:INGEST_CATALOG = $keptCatalog
    $env:INGEST_STORE = $keptStore
    [Console]::OutputEncoding = $keptEncoding
    Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue
}

$wrong = @($script:table | Where-Object { $_.Result -eq 'DID NOT HOLD' })
if ($scratch -and $wrong.Count -eq 0) {
    try {
        [void](Invoke-Sql 'master' "ALTER DATABASE $(Quote-Name $database) SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE $(Quote-Name $database)")
    } catch {
        Add-Row 'the scratch database is dropped' 'DID NOT HOLD' $_.Exception.Message
        $wrong = @($script:table | Where-Object { $_.Result -eq 'DID NOT HOLD' })
    }
}

Write-Host ''
Write-Host ($script:table | Format-Table -Property @('Result', 'What', 'Note') -AutoSize -Wrap | Out-String -Width 160)
if ($wrong.Count -gt 0) {
    Write-Host "$($wrong.Count) did not hold."
    if ($scratch) {
        Write-Host "Database $database was kept for a look at it: DROP DATABASE $(Quote-Name $database) removes it."
    }
    exit 1
}
Write-Host 'All held.'
exit 0
