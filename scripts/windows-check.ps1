<#
.SYNOPSIS
Tests ingest with a real SQL Server on Windows, and prints a table of results.

.DESCRIPTION
The project's tests use Wine and a double of the server. This script uses a real server: it ingests models into
rows of a database (in FILESTREAM, if it is enabled on the instance), verifies them, exports them and compares
SHA-256, ingests them again, and kills and resumes a run.

If the address names no database (sqlserver://HOST, sqlserver://HOST/INSTANCE), the script creates a scratch
database, and drops it at the end if all checks pass. If the address names a database, the script needs -Yes. It
creates the tables of ingest there if they are missing, and its models remain: `ingest rm` removes them.

The exit code is 1 if a check fails. The script needs Windows PowerShell 5.1 or later. If the computer does not
allow scripts: powershell -ExecutionPolicy Bypass -File .\windows-check.ps1 ...

.PARAMETER Catalog
Address of the server: sqlserver://HOST?database=NAME, sqlserver://HOST/INSTANCE, sqlserver://USER@HOST:PORT.
Without a user, the login is that of Windows, which FILESTREAM through files needs. The password may be in
INGEST_CATALOG_PASSWORD.

.PARAMETER Source
Folder of models. The default is the sample of this repository.

.PARAMETER Ingest
Path of ingest.exe. The default is the one on the PATH.

.PARAMETER KillMiB
Size of the file whose run is killed. A fast computer needs a larger file.

.PARAMETER Yes
Allow changes to the database that the address names.

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

# Fail prints the error and what to do, and ends the script.
function Fail([string]$Wrong, [string]$Todo) {
    [Console]::Error.WriteLine("windows-check: $Wrong")
    [Console]::Error.WriteLine("  $Todo")
    exit 1
}

$script:table = @()

# Add-Row adds a result to the table: ok, FAILED, or info for a fact.
function Add-Row([string]$What, [string]$Result, [string]$Note = '') {
    $script:table += New-Object PSObject -Property @{ What = $What; Result = $Result; Note = $Note }
    Write-Host ('{0,-12} {1,-58} {2}' -f $Result, $What, $Note)
}

# Test-That runs a check, which fails if it throws. Its output is the note in the table.
function Test-That([string]$What, [scriptblock]$Check) {
    try {
        $note = @(& $Check) -join '; '
        Add-Row $What 'ok' $note
    } catch {
        Add-Row $What 'FAILED' $_.Exception.Message
    }
}

# Assert throws if a condition is false.
function Assert([bool]$Is, [string]$Else) {
    if (-not $Is) {
        throw $Else
    }
}

# Invoke-Ingest runs ingest with --json, and returns its exit code and the printed objects. The console shows
# stderr.
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

# Get-Field returns a field of an object; $null if it has none.
function Get-Field($Object, [string]$Name) {
    if ($null -ne $Object -and $Object.PSObject.Properties.Match($Name).Count -gt 0) {
        return $Object.$Name
    }
    return $null
}

# Get-Events returns the printed objects of one event.
function Get-Events($Run, [string]$Name) {
    foreach ($object in $Run.Objects) {
        if ((Get-Field $object 'event') -eq $Name) {
            $object
        }
    }
}

# Get-Event returns the first object of an event, which must exist.
function Get-Event($Run, [string]$Name) {
    foreach ($object in (Get-Events $Run $Name)) {
        return $object
    }
    throw "ingest printed no $Name"
}

# Invoke-Must is Invoke-Ingest for a run that must end with code 0.
function Invoke-Must([string[]]$Arguments) {
    $run = Invoke-Ingest $Arguments
    Assert ($run.Code -eq 0) "ingest $($Arguments -join ' '): exit code $($run.Code)"
    return $run
}

function Get-Sum([string]$File) {
    return (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash.ToLowerInvariant()
}

# Read-Address parses the address for the script's own connection.
function Read-Address([string]$Text) {
    $address = $null
    if (-not [uri]::TryCreate($Text, [UriKind]::Absolute, [ref]$address) -or
        $address.Scheme -ne 'sqlserver' -or $address.Host -eq '') {
        Fail '-Catalog is not an address' 'Use sqlserver://HOST?database=NAME or sqlserver://HOST/INSTANCE.'
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
    # As in ingest: encrypted, except on this computer or if the address says otherwise.
    $local = @('localhost', '127.0.0.1', '[::1]', '.') -contains $address.Host.ToLowerInvariant()
    $builder['Encrypt'] = -not $local
    if ($fields.ContainsKey('encrypt')) {
        $on = @('true', 'strict', 'mandatory', 'yes', '1', 't')
        $builder['Encrypt'] = $on -contains $fields['encrypt'].ToLowerInvariant()
    }
    $database = ''
    if ($fields.ContainsKey('database')) {
        $database = $fields['database']
    }
    $integrated = $address.UserInfo -eq ''
    return New-Object PSObject -Property @{
        Builder = $builder; Server = $server; Database = $database; Integrated = $integrated
    }
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

# New-RandomFile writes a file of random bytes: no two segments are equal, and it does not compress.
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

# Get-Recorded returns how many bytes of the killed run's file are recorded; 0 before the first batch. Only this
# file has the folder's name in its path. READPAST skips locked rows.
function Get-Recorded {
    $folder = Split-Path -Leaf $work
    return [long](Invoke-Sql $database ('SELECT COALESCE(MAX(RecordedBytes), 0) FROM dbo.ModelFiles WITH (READPAST) ' +
            "WHERE CHARINDEX(N'$folder', SourcePath) > 0 AND ByteSize = $size"))
}

# Requirements of this script.
if ($env:OS -ne 'Windows_NT') {
    Fail 'this is not Windows' 'Run the script on Windows.'
}
$found = @(Get-Command -Name $Ingest -CommandType Application -ErrorAction SilentlyContinue)
if ($found.Count -eq 0) {
    Fail "$Ingest not found" 'Build it with `go build -o ingest.exe ./cmd/ingest`, and name it with -Ingest.'
}
$program = $found[0].Path
if ($Source -eq '') {
    $Source = Join-Path $PSScriptRoot 'sample\models'
}
if (-not (Test-Path -LiteralPath $Source -PathType Container)) {
    Fail "folder $Source does not exist" 'Name a folder of models with -Source.'
}
$Source = (Resolve-Path -LiteralPath $Source).ProviderPath.TrimEnd('\')
$target = Read-Address $Catalog
$database = $target.Database
$scratch = $database -eq ''
if (-not $scratch -and -not $Yes) {
    Fail "the script would add tables and models to the database $database" ('Add -Yes to allow that, or omit ' +
        'database= from the address to use a scratch database.')
}
$level = 0
try {
    $level = [int](Invoke-Sql 'master' "SELECT COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamEffectiveLevel')), 0)")
} catch {
    Fail "cannot log in to $($target.Server): $($_.Exception.Message)" ('Check that the server runs, that TCP/IP ' +
        'is enabled, and that you have a login.')
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
        Fail "cannot create a scratch database: $($_.Exception.Message)" ('Use a login with the role dbcreator, or ' +
            'name a database in the address and add -Yes.')
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
    # In the environment, because command lines are visible to other users.
    $env:INGEST_CATALOG = $address
    $env:INGEST_STORE = 'row'
    [Console]::OutputEncoding = New-Object Text.UTF8Encoding($false)

    # Facts for a report.
    $versionText = @(& $program '--version') -join ' '
    if ($LASTEXITCODE -ne 0) {
        throw "ingest --version: exit code $LASTEXITCODE"
    }
    Add-Row 'program' 'info' $versionText
    Add-Row 'server' 'info' ([string](Invoke-Sql 'master' (
                "SELECT CONCAT(CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), N' ', " +
                "CONVERT(nvarchar(128), SERVERPROPERTY('Edition')))")))
    Add-Row 'database' 'info' $database
    Add-Row 'Windows login' 'info' ([string]$target.Integrated)
    Add-Row 'FILESTREAM level of the instance' 'info' ([string]$level)
    $drivers = @('msoledbsql19.dll', 'msoledbsql.dll', 'sqlncli11.dll' |
            Where-Object { Test-Path -LiteralPath (Join-Path ([Environment]::SystemDirectory) $_) })
    if ($drivers.Count -eq 0) {
        $drivers = @('none')
    }
    Add-Row 'drivers with OpenSqlFilestream' 'info' ($drivers -join ', ')
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

    # The tables. Only enable-filestream.ps1 sets up FILESTREAM in a database that the address names.
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
                $data = [string](Invoke-Sql 'master' (
                        "SELECT CONVERT(nvarchar(512), SERVERPROPERTY('InstanceDefaultDataPath'))"))
                $folder = $data.TrimEnd('\') + '\' + $database + '_filestream'
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
            Add-Row "FILESTREAM, $($need.name)" 'info' $state
        }
    }
    $inFiles = [int](Invoke-Sql $database (
            "SELECT COUNT(*) FROM sys.columns WHERE is_filestream = 1 AND name = N'RawPayload' " +
            "AND object_id IN (OBJECT_ID(N'dbo.LayerTensorSegments'), OBJECT_ID(N'dbo.FileSegments'))"))
    Add-Row 'payload columns in FILESTREAM' 'info' "$inFiles of 2"

    # Ingest, verify, export.
    Test-That 'models --store row --jobs 2' {
        $summary = Get-Event (Invoke-Must @('models', $Source, '--jobs', '2')) 'summary'
        Assert ($summary.taken + $summary.skipped -gt 0) 'nothing was ingested'
        Assert ($summary.refused -eq 0) "$($summary.refused) refused"
        $seconds = [math]::Round($summary.seconds, 1)
        "$($summary.taken) ingested, $($summary.skipped) stored already, $($summary.bytes_read) bytes in $seconds s"
    }
    Test-That 'list has the SHA-256 of the files' {
        $listed = @((Invoke-Must @('list')).Objects | Where-Object { (Get-Field $_ 'object') -eq 'model' })
        foreach ($model in $listed) {
            $ours = $false
            foreach ($file in $model.files) {
                $from = [string](Get-Field $file 'path')
                if ($from.StartsWith($Source + '\', [StringComparison]::OrdinalIgnoreCase)) {
                    $ours = $true
                    $sum = Get-Sum $from
                    $script:sums[$sum] = $from
                    Assert ($file.sha256 -eq $sum) "${from}: listed as $($file.sha256), want $sum"
                }
            }
            if ($ours) {
                Assert ($model.state -eq 'complete') "model $($model.id) is $($model.state)"
                $script:models += $model
            }
        }
        Assert ($script:models.Count -gt 0) 'no model is from the folder'
        "$($script:models.Count) models, $($script:sums.Count) files"
    }
    Test-That 'verify' {
        $bytes = [long]0
        Assert ($script:models.Count -gt 0) 'no model to verify'
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
    Test-That 'export writes the same bytes' {
        $count = 0
        Assert ($script:models.Count -gt 0) 'no model to export'
        foreach ($model in $script:models) {
            $folder = Join-Path $work "model $($model.id)"
            [void](New-Item -ItemType Directory -Path $folder)
            foreach ($written in (Get-Events (Invoke-Must @('export', [string]$model.id, '-o', $folder)) 'exported')) {
                $sum = Get-Sum $written.path
                Assert ($sum -eq $written.sha256) "$($written.path): has $sum, reported as $($written.sha256)"
                if ($script:sums.ContainsKey($sum)) {
                    $count++
                }
            }
        }
        Assert ($count -ge $script:sums.Count) "$count of $($script:sums.Count) files were exported"
        "$count files"
    }
    Test-That 'models again reads nothing' {
        $summary = Get-Event (Invoke-Must @('models', $Source)) 'summary'
        Assert ($summary.taken -eq 0 -and $summary.skipped -gt 0 -and $summary.bytes_read -eq 0) (
            "$($summary.taken) ingested, $($summary.skipped) skipped, $($summary.bytes_read) bytes read")
    }

    # Each payload mode.
    if ($chooses) {
        $modes = @('tsql')
        if ($inFiles -eq 2 -and $target.Integrated -and $drivers[0] -ne 'none') {
            $modes += 'win32'
        } else {
            Add-Row 'models --filestream win32' 'info' 'skipped: needs FILESTREAM columns, a Windows login and a driver'
        }
        foreach ($mode in $modes) {
            Test-That "models --filestream $mode" {
                $one = Join-Path $work "$mode.bin"
                New-RandomFile $one 24
                $run = Invoke-Must @('models', $one, '--filestream', $mode, '--segment-size', '1MiB')
                $taken = Get-Event $run 'taken'
                $back = Join-Path $work "$mode.out"
                [void](Invoke-Must @('export', [string]$taken.id, '-o', $back))
                Assert ((Get-Sum $back) -eq (Get-Sum $one)) 'the exported file differs'
            }
        }
    }

    # Kill a run, and resume it.
    $big = Join-Path $work 'killed.bin'
    Write-Host "writing $KillMiB MiB to $big"
    New-RandomFile $big $KillMiB
    $size = (Get-Item -LiteralPath $big).Length
    Test-That 'a run is killed between batches' {
        # Start-Process does not quote arguments: the path may contain a space.
        $script:process = Start-Process -FilePath $program -PassThru -NoNewWindow `
            -ArgumentList @('models', ('"' + $big + '"'), '--json') `
            -RedirectStandardOutput (Join-Path $work 'killed.stdout') `
            -RedirectStandardError (Join-Path $work 'killed.stderr')
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
        Assert (-not $early) 'the run ended before it could be killed: use a larger -KillMiB'
        $script:recorded = Get-Recorded
        $state = "$($script:recorded) of $size bytes are recorded"
        Assert ($script:recorded -gt 0 -and $script:recorded -lt $size) $state
        $state
    }
    Test-That 'models resumes the killed run' {
        Assert ($script:recorded -gt 0) 'nothing was killed'
        $run = Invoke-Must @('models', $big)
        $summary = Get-Event $run 'summary'
        $taken = Get-Event $run 'taken'
        Assert ([bool]$summary.continued) 'it started a new job'
        Assert ($taken.bytes_resumed -ge $script:recorded) (
            "resumed after $($taken.bytes_resumed) bytes, but $($script:recorded) were recorded")
        "after $($taken.bytes_resumed) bytes"
    }
    Test-That 'the resumed file is complete' {
        $sum = Get-Sum $big
        [void](Invoke-Must @('verify', $sum))
        $back = Join-Path $work 'killed.out'
        [void](Invoke-Must @('export', $sum, '-o', $back))
        Assert ((Get-Sum $back) -eq $sum) 'the exported file differs'
    }
    Test-That 'no job of the file is interrupted' {
        $left = @((Invoke-Must @('status')).Objects |
                Where-Object { (Get-Field $_ 'object') -eq 'job' } |
                Where-Object { $_.state -ne 'complete' -and ($_.paths -join "`n").Contains($big) })
        Assert ($left.Count -eq 0) "$($left.Count) jobs are not complete"
    }
} catch {
    Add-Row 'this script' 'FAILED' "$($_.Exception.Message) $($_.InvocationInfo.PositionMessage)"
} finally {
    $env:INGEST_CATALOG = $keptCatalog
    $env:INGEST_STORE = $keptStore
    [Console]::OutputEncoding = $keptEncoding
    Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue
}

$wrong = @($script:table | Where-Object { $_.Result -eq 'FAILED' })
if ($scratch -and $wrong.Count -eq 0) {
    try {
        $quoted = Quote-Name $database
        [void](Invoke-Sql 'master' ("ALTER DATABASE $quoted SET SINGLE_USER WITH ROLLBACK IMMEDIATE; " +
                "DROP DATABASE $quoted"))
    } catch {
        Add-Row 'drop the scratch database' 'FAILED' $_.Exception.Message
        $wrong = @($script:table | Where-Object { $_.Result -eq 'FAILED' })
    }
}

Write-Host ''
Write-Host ($script:table | Format-Table -Property @('Result', 'What', 'Note') -AutoSize -Wrap | Out-String -Width 160)
if ($wrong.Count -gt 0) {
    Write-Host "$($wrong.Count) failed."
    if ($scratch) {
        Write-Host "Database $database is kept for inspection: DROP DATABASE $(Quote-Name $database) removes it."
    }
    exit 1
}
Write-Host 'All checks passed.'
exit 0
