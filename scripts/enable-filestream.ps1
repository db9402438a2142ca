<#
.SYNOPSIS
Prepares a SQL Server instance and a database on this computer for payloads in FILESTREAM.

.DESCRIPTION
The script shows the current settings and what it would change. It changes them only with -Yes:

  1. the Windows settings of FILESTREAM for the instance (as in SQL Server Configuration Manager), and its share;
  2. a restart of the instance's service, if 1 changes anything: this closes all connections;
  3. sp_configure 'filestream access level', 2;
  4. tables, filegroup, file and columns in the database, with: ingest schema apply --with filestream.

The script keeps correct settings, so you can repeat it. It stops at the first error and says what to do.
It needs Windows PowerShell 5.1, started as administrator, and a login with the role sysadmin. If the computer
does not allow scripts: powershell -ExecutionPolicy Bypass -File .\enable-filestream.ps1 ...

The project's tests do not run this script, because they have no Windows.

.PARAMETER Instance
Name of the instance: MSSQLSERVER for the default instance, or the NAME of SERVER\NAME.

.PARAMETER Database
The database, which must exist.

.PARAMETER Path
Folder for the FILESTREAM data, on an NTFS or ReFS volume of this computer. It must not exist, and its parent must.

.PARAMETER Ingest
Path of ingest.exe. The default is the one on the PATH.

.PARAMETER Remote
Also allow programs on other computers to open the files (level 3 instead of 2). They need ports 139 and 445.

.PARAMETER Yes
Make the changes.

.EXAMPLE
.\enable-filestream.ps1 -Database Hartonomous -Path D:\FileStream\Hartonomous

.EXAMPLE
.\enable-filestream.ps1 -Instance SQL2022 -Database Hartonomous -Path D:\FileStream\Hartonomous -Yes
#>
[CmdletBinding()]
param(
    [string]$Instance = 'MSSQLSERVER',
    [Parameter(Mandatory = $true)][string]$Database,
    [Parameter(Mandatory = $true)][string]$Path,
    [string]$Ingest = 'ingest.exe',
    [switch]$Remote,
    [switch]$Yes
)

# Sources:
# - The steps and their order, and the levels of sp_configure: Microsoft's documentation, "Enable and configure
#   FILESTREAM" and "filestream access level (server configuration option)" (MicrosoftDocs/sql-docs,
#   docs/relational-databases/blob and docs/database-engine/configure-windows).
# - The class FilestreamSettings in root\Microsoft\SqlServer\ComputerManagementNN, where NN is the version of
#   SQL Server, its AccessLevel (0 off, 1 T-SQL, 2 also files, 3 also files from other computers) and its method
#   EnableFilestream(AccessLevel, ShareName): Microsoft does not document them. A script of Microsoft's engine
#   team for cscript, filestream_enable.vbs (kept as a gist by potatoqualitee), and the module dbatools use them
#   in this way.
# - The method returns 0 or an HRESULT. 0x80070BC3 is the Windows error 3011, ERROR_SUCCESS_RESTART_REQUIRED,
#   which is a success. dbatools accepts both.

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# Fail prints the error and what to do, and ends the script.
function Fail([string]$Wrong, [string]$Todo) {
    [Console]::Error.WriteLine("enable-filestream: $Wrong")
    [Console]::Error.WriteLine("  $Todo")
    exit 1
}

# Unexpected errors.
trap {
    [Console]::Error.WriteLine("enable-filestream: $($_.Exception.Message)")
    [Console]::Error.WriteLine("  $($_.InvocationInfo.PositionMessage)")
    [Console]::Error.WriteLine('  Completed steps are kept. Correct the error and run the same command again.')
    exit 1
}

function Test-Administrator {
    $user = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal($user)
    return $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Get-FilestreamSettings returns the settings of the instance, from the newest namespace that has it.
function Get-FilestreamSettings {
    $namespaces = @()
    try {
        $namespaces = @(Get-WmiObject -Namespace 'root\Microsoft\SqlServer' -Class '__NAMESPACE')
    } catch {
        Fail "no SQL Server on this computer ($($_.Exception.Message))" 'Run this on the computer of SQL Server.'
    }
    $versions = @($namespaces | Where-Object { $_.Name -match '^ComputerManagement[0-9]+$' } |
            Sort-Object -Descending -Property { [int]($_.Name -replace '[^0-9]', '') })
    foreach ($version in $versions) {
        $all = @()
        try {
            $all = @(Get-WmiObject -Namespace ('root\Microsoft\SqlServer\' + $version.Name) -Class 'FilestreamSettings')
        } catch {
            continue # an uninstalled version leaves its namespace
        }
        foreach ($settings in $all) {
            if ($settings.InstanceName -eq $Instance) {
                return $settings
            }
        }
    }
    Fail "no instance $Instance on this computer" ('Name one with -Instance. Get-Service MSSQL* lists them ' +
        '(MSSQLSERVER, or MSSQL$NAME).')
}

# Get-Port returns the port that the instance listens on; 0 if it is unknown.
function Get-Port {
    $root = 'HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server'
    $names = Get-ItemProperty -Path "$root\Instance Names\SQL"
    $tcp = "$root\$($names.$Instance)\MSSQLServer\SuperSocketNetLib\Tcp"
    if ((Get-ItemProperty -Path $tcp).Enabled -ne 1) {
        Fail "TCP/IP is disabled on instance $Instance, and ingest needs it" ('Enable it: SQL Server Configuration ' +
            'Manager, SQL Server Network Configuration, Protocols, TCP/IP. Then restart the instance.')
    }
    $all = Get-ItemProperty -Path "$tcp\IPAll"
    foreach ($text in @($all.TcpPort, $all.TcpDynamicPorts)) {
        $port = 0
        if ([int]::TryParse(([string]$text -split ',')[0].Trim(), [ref]$port) -and $port -gt 0) {
            return $port
        }
    }
    return 0
}

# Set-Address sets the address of the instance: $server for this script, $catalog for ingest. A restart may
# change the port.
function Set-Address {
    $name = '?database=' + [uri]::EscapeDataString($Database)
    $port = Get-Port
    if ($port -ne 0) {
        $script:server = "localhost,$port"
        $script:catalog = "sqlserver://localhost:$port$name"
    } elseif ($Instance -eq 'MSSQLSERVER') {
        $script:server = 'localhost'
        $script:catalog = "sqlserver://localhost$name"
    } else {
        $script:server = "localhost\$Instance"
        $script:catalog = "sqlserver://localhost/$Instance$name"
    }
}

# Invoke-Sql runs a statement in a database and returns the first value of its first row.
function Invoke-Sql([string]$In, [string]$Statement, [hashtable]$Values = @{}) {
    $builder = New-Object System.Data.SqlClient.SqlConnectionStringBuilder
    $builder['Data Source'] = $server
    $builder['Initial Catalog'] = $In
    $builder['Integrated Security'] = $true
    $builder['Pooling'] = $false # a restart breaks pooled connections
    $connection = New-Object System.Data.SqlClient.SqlConnection($builder.ConnectionString)
    try {
        $connection.Open()
        $command = $connection.CreateCommand()
        $command.CommandText = $Statement
        foreach ($name in $Values.Keys) {
            [void]$command.Parameters.AddWithValue($name, $Values[$name])
        }
        return $command.ExecuteScalar()
    } finally {
        $connection.Dispose()
    }
}

# Invoke-Ingest runs ingest with the catalogue in its environment, shows its output, and returns its exit code.
function Invoke-Ingest([string[]]$Arguments) {
    $kept = $env:INGEST_CATALOG
    try {
        $env:INGEST_CATALOG = $catalog
        & $program $Arguments | Out-Host
        return $LASTEXITCODE
    } finally {
        $env:INGEST_CATALOG = $kept
    }
}

function Get-EffectiveLevel {
    return [int](Invoke-Sql 'master' "SELECT COALESCE(CONVERT(int, SERVERPROPERTY('FilestreamEffectiveLevel')), 0)")
}

# Restart-Instance restarts the service and the running services that depend on it. It waits until the server
# answers.
function Restart-Instance {
    $running = @(Get-Service -Name $service -DependentServices | Where-Object { $_.Status -eq 'Running' })
    Restart-Service -Name $service -Force
    foreach ($other in $running) {
        Start-Service -Name $other.Name
    }
    for ($i = 0; $i -lt 60; $i++) {
        try {
            Set-Address
            [void](Invoke-Sql $Database 'SELECT 1') # fails until the database is open
            return
        } catch {
            Start-Sleep -Seconds 2
        }
    }
    Fail "service $service does not answer after its restart" ('See its ERRORLOG. When the service runs, run the ' +
        'same command again.')
}

# Requirements of this script.
if (-not ($PSVersionTable.ContainsKey('PSEdition') -and $PSVersionTable.PSEdition -eq 'Desktop')) {
    Fail "this is PowerShell $($PSVersionTable.PSVersion)" ('Run the script in Windows PowerShell 5.1, which is ' +
        'part of Windows: powershell.exe.')
}
if (-not (Test-Administrator)) {
    Fail 'this shell is not elevated' 'Start Windows PowerShell with "Run as administrator".'
}
if ($Path -notmatch '^[A-Za-z]:\\.') {
    Fail "-Path ${Path}: no drive" 'Use a path with a drive: D:\FileStream\NAME.'
}
$Path = $Path.TrimEnd('\')
$found = @(Get-Command -Name $Ingest -CommandType Application -ErrorAction SilentlyContinue)
if ($found.Count -eq 0) {
    Fail "$Ingest not found" 'Name ingest.exe with -Ingest.'
}
$program = $found[0].Path

# The current settings.
$settings = Get-FilestreamSettings
$service = 'MSSQL$' + $Instance
if ($Instance -eq 'MSSQLSERVER') {
    $service = 'MSSQLSERVER'
}
if ((Get-Service -Name $service).Status -ne 'Running') {
    Fail "service $service is not running" "Start it: Start-Service -Name '$service'"
}
Set-Address
$sysadmin = 0
try {
    $sysadmin = Invoke-Sql 'master' "SELECT IS_SRVROLEMEMBER('sysadmin')"
} catch {
    Fail "cannot log in to ${server}: $($_.Exception.Message)" 'Log in to Windows as a user whom the instance knows.'
}
if ($sysadmin -ne 1) {
    Fail "your login lacks the role sysadmin on instance $Instance" 'Run this as a user with that role.'
}
if ((Invoke-Sql 'master' "SELECT CONVERT(int, SERVERPROPERTY('IsClustered'))") -eq 1) {
    Fail 'the instance is a failover cluster, which this script does not support' ('Enable FILESTREAM on each ' +
        'node and on the cluster resource, as the documentation of SQL Server describes.')
}
$exists = 'SELECT COALESCE((SELECT 1 FROM sys.databases WHERE name = @name), 0)'
if ([int](Invoke-Sql 'master' $exists @{ '@name' = $Database }) -ne 1) {
    Fail "instance $Instance has no database $Database" "Create it first: CREATE DATABASE [$Database]"
}
$configured = [int](Invoke-Sql 'master' ('SELECT CONVERT(int, value) FROM sys.configurations ' +
        "WHERE name = N'filestream access level'"))
$effective = Get-EffectiveLevel
$group = Invoke-Sql $Database ("SELECT TOP (1) name FROM sys.filegroups WHERE type = 'FD' " +
    'ORDER BY is_default DESC, data_space_id')
$file = Invoke-Sql $Database 'SELECT TOP (1) physical_name FROM sys.database_files WHERE type = 2'
if ($null -eq $file) {
    if (Test-Path -LiteralPath $Path) {
        Fail "$Path exists, and SQL Server must create it" 'Name a folder that does not exist.'
    }
    if (-not (Test-Path -LiteralPath (Split-Path -Parent $Path) -PathType Container)) {
        Fail "folder $(Split-Path -Parent $Path) does not exist" 'Create it on an NTFS or ReFS volume.'
    }
}

# The changes to make.
$level = 2
if ($Remote) {
    $level = 3
}
$share = [string]$settings.ShareName
if ($share -eq '') {
    $share = $Instance
}
$changeWindows = [int]$settings.AccessLevel -lt $level
$changeServer = $configured -lt 2
$restart = $changeWindows -or ($configured -ge 2 -and $effective -lt 2)

function Show([string]$What, [string]$Now, [string]$Then) {
    Write-Host ('{0,-40} {1,-24} {2}' -f $What, $Now, $Then)
}
function Or-None($Value) {
    if ($null -eq $Value -or [string]$Value -eq '') {
        return 'none'
    }
    return [string]$Value
}
function Change([bool]$Is, [string]$Text) {
    if ($Is) {
        return $Text
    }
    return '-'
}
Write-Host "Instance $Instance ($server, service $service), database $Database"
Write-Host ''
Show 'SETTING' 'NOW' 'CHANGE TO'
$oldShare = Or-None $settings.ShareName
$newShare = $changeWindows -and $oldShare -eq 'none'
Show 'FILESTREAM level of Windows' $settings.AccessLevel (Change $changeWindows "EnableFilestream($level, '$share')")
Show 'Windows share' $oldShare (Change $newShare "\\$env:COMPUTERNAME\$share")
Show 'service' 'running' (Change $restart 'restart: closes all connections')
Show "sp_configure 'filestream access level'" ([string]$configured) (Change $changeServer '2')
Show 'effective level' ([string]$effective) (Change ($effective -lt 2) '2 or more, by these changes')
Show 'filegroup for FILESTREAM' (Or-None $group) (Change ($null -eq $group) 'HartonomousFileStream')
Show 'its folder' (Or-None $file) (Change ($null -eq $file) $Path)
Write-Host ''
Write-Host 'The database now:'
$before = Invoke-Ingest @('schema', 'check', '--with', 'filestream')
if ($before -gt 1) {
    Fail "ingest schema check: exit code $before" 'See the errors above.'
}
if ($before -eq 0 -and -not ($changeWindows -or $changeServer -or $restart)) {
    Write-Host ''
    Write-Host 'Nothing to change.'
    exit 0
}
Write-Host ''
Write-Host 'The SQL for the database. Completed parts of it change nothing:'
$code = Invoke-Ingest @('schema', 'apply', '--dry-run', '--with', 'filestream', '--filestream-path', $Path)
if ($code -ne 0) {
    Fail "ingest schema apply --dry-run: exit code $code" 'See the errors above.'
}
if (-not $Yes) {
    Write-Host ''
    Write-Host 'Nothing was changed: add -Yes to change it.'
    exit 0
}

# Make the changes.
$byHand = 'Do this step in SQL Server Configuration Manager: SQL Server Services, properties of the instance, ' +
    'FILESTREAM. Then run the same command again.'
Write-Host ''
if ($changeWindows) {
    Write-Host "EnableFilestream($level, '$share')"
    $returned = [long]($settings.EnableFilestream($level, $share).ReturnValue)
    if ($returned -ne 0 -and ($returned -band 65535) -ne 3011) {
        $hex = '0x{0:X8}' -f ($returned -band [long]4294967295)
        $text = (New-Object ComponentModel.Win32Exception([int]($returned -band 65535))).Message
        Fail "EnableFilestream returned $hex (as a Windows error: $text)" $byHand
    }
    $now = [int](Get-FilestreamSettings).AccessLevel
    if ($now -lt $level) {
        Fail "EnableFilestream returned no error, but the level is $now" $byHand
    }
}
if ($restart) {
    Write-Host "restarting $service"
    Restart-Instance
}
if ($changeServer) {
    Write-Host "sp_configure 'filestream access level', 2"
    [void](Invoke-Sql 'master' "EXEC sp_configure N'filestream access level', 2; RECONFIGURE;")
    if ((Get-EffectiveLevel) -lt 2) {
        Write-Host "restarting $service"
        Restart-Instance
    }
}
$effective = Get-EffectiveLevel
if ($effective -lt 2) {
    Fail "all levels are set, but the effective level is $effective" ('Restart this computer, and run the same ' +
        'command again. If that does not help, see the messages about FILESTREAM in the ERRORLOG of the instance.')
}
$code = Invoke-Ingest @('schema', 'apply', '--with', 'filestream', '--filestream-path', $Path)
if ($code -ne 0) {
    Fail "ingest schema apply: exit code $code" ('See the errors above. Completed steps are kept: run the same ' +
        'command again.')
}
$code = Invoke-Ingest @('schema', 'check', '--with', 'filestream')
if ($code -ne 0) {
    Fail "ingest schema check: exit code $code" 'See above what is missing.'
}
Write-Host ''
Write-Host "Done. ingest models PATH --store row --catalog '$catalog' stores payloads in FILESTREAM."
exit 0
