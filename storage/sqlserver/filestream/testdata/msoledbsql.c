// A double of the driver's OpenSqlFilestream, to test the calls: the compiler checks it against the
// prototype in msoledbsql.h, and it checks the arguments of each call. Payloads are plain files. The server's
// state is in the folder INGEST_FILESTREAM_FOLDER, so that a test in any process can set it:
//
//	files\NAME   a payload, whose path is \\SERVER\SHARE\v02-...\NAME
//	tokens\ANY   holds the token of an open transaction
//	busy\ANY     makes one call of OpenSqlFilestream fail with a sharing violation, and is deleted
//	log          a line for each call: error, access, options, token in hex, allocation size, path, reason
//
// Unlike the server, a write takes effect at once, and the handle allows any call of a file.

#include <windows.h>
#include <initguid.h>
#include <oledb.h>
#include <msoledbsql.h>
#include <stdio.h>
#include <wchar.h>

#define MOST 128 // bytes of a token
#define ROOM 1024
#define MANY 4096 // opened files to track, the first ones of a process

static const wchar_t marker[] = L"\\v02-A60EC2F8-2B24-11DF-9CC3-AF2E56D89593\\";

// refusal is an error code and a reason.
struct refusal {
	DWORD error;
	const char *why;
};

static struct refusal refuse(DWORD error, const char *why) {
	struct refusal r = {error, why};
	return r;
}

static const struct refusal fine = {0, "-"};

// inside sets into to the path of a file in the folder.
static BOOL inside(wchar_t *into, const wchar_t *name) {
	DWORD n = GetEnvironmentVariableW(L"INGEST_FILESTREAM_FOLDER", into, ROOM);
	if (n == 0 || n + wcslen(name) + 2 > ROOM)
		return FALSE;
	into[n] = L'\\';
	wcscpy(into + n + 1, name);
	return TRUE;
}

// any reports whether is holds for any file in a subfolder.
static BOOL any(const wchar_t *within, BOOL (*is)(const wchar_t *file, const void *with, SSIZE_T length),
                const void *with, SSIZE_T length) {
	wchar_t pattern[ROOM], file[ROOM], name[300];
	WIN32_FIND_DATAW entry;
	BOOL found = FALSE;
	HANDLE search;
	_snwprintf(name, 300, L"%ls\\*", within);
	if (!inside(pattern, name) || (search = FindFirstFileW(pattern, &entry)) == INVALID_HANDLE_VALUE)
		return FALSE;
	do {
		if (entry.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
			continue;
		_snwprintf(name, 300, L"%ls\\%ls", within, entry.cFileName);
		found = inside(file, name) && is(file, with, length);
	} while (!found && FindNextFileW(search, &entry));
	FindClose(search);
	return found;
}

// holds reports whether a file contains the token.
static BOOL holds(const wchar_t *file, const void *token, SSIZE_T length) {
	BYTE content[MOST + 1];
	DWORD n = 0;
	HANDLE handle = CreateFileW(file, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
	                            OPEN_EXISTING, 0, NULL);
	if (handle == INVALID_HANDLE_VALUE)
		return FALSE;
	ReadFile(handle, content, sizeof content, &n, NULL);
	CloseHandle(handle);
	return n == (DWORD)length && memcmp(content, token, n) == 0;
}

// used deletes a file, and reports whether this call did so.
static BOOL used(const wchar_t *file, const void *with, SSIZE_T length) {
	(void)with, (void)length;
	return DeleteFileW(file);
}

static struct refusal check_token(const BYTE *token, SSIZE_T length) {
	if (token == NULL)
		return refuse(ERROR_INVALID_PARAMETER, "no token");
	if (length < 1 || length > MOST)
		return refuse(ERROR_INVALID_PARAMETER, "length of the token");
	if (!any(L"tokens", holds, token, length))
		return refuse(ERROR_INVALID_PARAMETER, "no transaction has this token");
	return fine;
}

// check_path finds the file of a path.
static struct refusal check_path(const wchar_t *path, wchar_t *file) {
	wchar_t name[ROOM] = L"files\\";
	const wchar_t *at, *last;
	if (path == NULL)
		return refuse(ERROR_INVALID_PARAMETER, "no path");
	at = wcsstr(path, marker);
	if (wcsncmp(path, L"\\\\", 2) != 0 || at == NULL)
		return refuse(ERROR_INVALID_PARAMETER, "not a path of PathName()");
	last = at + wcslen(marker);
	if (*last == 0 || wcschr(last, L'\\') != NULL || wcslen(last) > 255)
		return refuse(ERROR_INVALID_PARAMETER, "not one name at the end of the path");
	wcscat(name, last);
	return inside(file, name) ? fine : refuse(ERROR_INVALID_PARAMETER, "INGEST_FILESTREAM_FOLDER");
}

static struct refusal check_rest(SQL_FILESTREAM_DESIRED_ACCESS access, ULONG options, PLARGE_INTEGER size) {
	const ULONG known = SQL_FILESTREAM_OPEN_FLAG_NO_WRITE_THROUGH | SQL_FILESTREAM_OPEN_FLAG_SEQUENTIAL_SCAN |
	                    SQL_FILESTREAM_OPEN_FLAG_RANDOM_ACCESS;
	if (access != SQL_FILESTREAM_READ && access != SQL_FILESTREAM_WRITE && access != SQL_FILESTREAM_READWRITE)
		return refuse(ERROR_INVALID_PARAMETER, "access");
	if (options & (SQL_FILESTREAM_OPEN_FLAG_ASYNC | SQL_FILESTREAM_OPEN_FLAG_NO_BUFFERING))
		return refuse(ERROR_INVALID_PARAMETER, "an option with requirements for each read and write");
	if (options & ~known)
		return refuse(ERROR_INVALID_PARAMETER, "an undocumented option");
	if (size != NULL)
		return refuse(ERROR_INVALID_PARAMETER, "an allocation size");
	return fine;
}

// The files that were opened, for IngestOpenHandles. CloseHandle is not intercepted.
static SRWLOCK lock = SRWLOCK_INIT;
static struct {
	HANDLE handle;
	BY_HANDLE_FILE_INFORMATION file;
} opened[MANY];
static int openings;

static struct refusal open_file(const wchar_t *file, SQL_FILESTREAM_DESIRED_ACCESS access, HANDLE *handle) {
	DWORD rights = access == SQL_FILESTREAM_READ ? GENERIC_READ
	               : access == SQL_FILESTREAM_WRITE ? GENERIC_WRITE : GENERIC_READ | GENERIC_WRITE;
	// Readers share a file, a writer has it exclusively. Write access truncates it.
	DWORD share = access == SQL_FILESTREAM_READ ? FILE_SHARE_READ : 0;
	DWORD how = access == SQL_FILESTREAM_WRITE ? TRUNCATE_EXISTING : OPEN_EXISTING;
	*handle = CreateFileW(file, rights, share, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL);
	if (*handle == INVALID_HANDLE_VALUE)
		return refuse(GetLastError(), "the file");
	AcquireSRWLockExclusive(&lock);
	if (openings < MANY) {
		opened[openings].handle = *handle;
		GetFileInformationByHandle(*handle, &opened[openings].file);
		openings++;
	}
	ReleaseSRWLockExclusive(&lock);
	return fine;
}

// IngestOpenHandles counts the open files. A handle whose number Windows has reused does not count.
__declspec(dllexport) LONG WINAPI IngestOpenHandles(void) {
	LONG n = 0;
	AcquireSRWLockShared(&lock);
	for (int i = 0; i < openings; i++) {
		BY_HANDLE_FILE_INFORMATION now, *then = &opened[i].file;
		if (GetFileInformationByHandle(opened[i].handle, &now) &&
		    now.dwVolumeSerialNumber == then->dwVolumeSerialNumber &&
		    now.nFileIndexHigh == then->nFileIndexHigh && now.nFileIndexLow == then->nFileIndexLow)
			n++;
	}
	ReleaseSRWLockShared(&lock);
	return n;
}

static void note(struct refusal r, LPCWSTR path, DWORD access, ULONG options, const BYTE *token, SSIZE_T length,
                 PLARGE_INTEGER size) {
	wchar_t hex[2 * MOST + 1] = L"-", name[ROOM], wide[2 * ROOM];
	char line[6 * ROOM];
	DWORD written;
	HANDLE log;
	for (SSIZE_T i = 0; token != NULL && length <= MOST && i < length; i++)
		swprintf(hex + 2 * i, 3, L"%02x", token[i]);
	_snwprintf(wide, 2 * ROOM - 1, L"%lu %lu %lu %ls %ls %ls | %hs\n", r.error, access, options, hex,
	           size == NULL ? L"NULL" : L"size", path == NULL ? L"NULL" : path, r.why);
	wide[2 * ROOM - 1] = 0;
	int n = WideCharToMultiByte(CP_UTF8, 0, wide, -1, line, sizeof line, NULL, NULL);
	if (n < 2 || !inside(name, L"log"))
		return;
	log = CreateFileW(name, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS,
	                  FILE_ATTRIBUTE_NORMAL, NULL);
	WriteFile(log, line, n - 1, &written, NULL);
	CloseHandle(log);
}

__declspec(dllexport) HANDLE __stdcall OpenSqlFilestream(LPCWSTR path, SQL_FILESTREAM_DESIRED_ACCESS access,
                                                         ULONG options, LPBYTE token, SSIZE_T length,
                                                         PLARGE_INTEGER size) {
	HANDLE handle = INVALID_HANDLE_VALUE;
	wchar_t file[ROOM];
	struct refusal r = check_rest(access, options, size);
	if (r.error == 0)
		r = check_token(token, length);
	if (r.error == 0)
		r = check_path(path, file);
	if (r.error == 0 && any(L"busy", used, NULL, 0))
		r = refuse(ERROR_SHARING_VIOLATION, "busy");
	if (r.error == 0)
		r = open_file(file, access, &handle);
	note(r, path, access, options, token, length, size);
	SetLastError(r.error);
	return handle;
}
