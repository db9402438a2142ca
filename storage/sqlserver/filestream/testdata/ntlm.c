// A stand-in for NTLM, which Wine has only if a part of Samba is installed. (With Samba, NTLM needs a domain.)
// Wine loads this as a third-party security package, which scripts/wine registers under Negotiate, so that a
// program logs in as on Windows. It sends one empty message: the double of SQL Server accepts any Windows
// login.

#define SECURITY_WIN32
#include <windows.h>
#define InitSecurityInterfaceW imported // the header declares it as imported
#include <security.h>
#undef InitSecurityInterfaceW
#include <wchar.h>

static const BYTE message[] = {'N', 'T', 'L', 'M', 'S', 'S', 'P', 0, 1, 0, 0, 0, 0, 0, 0, 0,
                               0,   0,   0,   0,   0,   0,   0,   0, 0, 0, 0, 0, 0, 0, 0, 0};

static WCHAR name[] = L"NTLM", comment[] = L"A double for tests";
static SecPkgInfoW package = {SECPKG_FLAG_CONNECTION, 1, 10, sizeof message, name, comment};

static SECURITY_STATUS SEC_ENTRY enumerate(PULONG count, PSecPkgInfoW *list) {
	*count = 1;
	*list = &package;
	return SEC_E_OK;
}

static SECURITY_STATUS SEC_ENTRY acquire(SEC_WCHAR *principal, SEC_WCHAR *which, ULONG use, void *logon,
                                         void *identity, SEC_GET_KEY_FN get, void *key, PCredHandle credentials,
                                         PTimeStamp expiry) {
	(void)principal, (void)which, (void)logon, (void)get, (void)key;
	if (!(use & SECPKG_CRED_OUTBOUND) || identity != NULL) // the user's own login, as a client
		return SEC_E_NO_CREDENTIALS;
	credentials->dwLower = credentials->dwUpper = 1;
	if (expiry != NULL)
		memset(expiry, 0x7f, sizeof *expiry);
	return SEC_E_OK;
}

static SECURITY_STATUS SEC_ENTRY initialize(PCredHandle credentials, PCtxtHandle context, SEC_WCHAR *target,
                                            ULONG wanted, ULONG reserved, ULONG layout, PSecBufferDesc input,
                                            ULONG reserved2, PCtxtHandle made, PSecBufferDesc output, PULONG got,
                                            PTimeStamp expiry) {
	(void)credentials, (void)context, (void)wanted, (void)reserved, (void)layout, (void)input, (void)reserved2;
	if (target == NULL || wcsncmp(target, L"MSSQLSvc/", 9) != 0)
		return SEC_E_TARGET_UNKNOWN;
	if (output == NULL || output->cBuffers != 1 || output->pBuffers[0].BufferType != SECBUFFER_TOKEN ||
	    output->pBuffers[0].cbBuffer < sizeof message)
		return SEC_E_BUFFER_TOO_SMALL;
	memcpy(output->pBuffers[0].pvBuffer, message, sizeof message);
	output->pBuffers[0].cbBuffer = sizeof message;
	made->dwLower = made->dwUpper = 2;
	if (got != NULL)
		*got = 0;
	if (expiry != NULL)
		memset(expiry, 0x7f, sizeof *expiry);
	return SEC_I_CONTINUE_NEEDED;
}

static SECURITY_STATUS SEC_ENTRY forget(PSecHandle handle) {
	(void)handle;
	return SEC_E_OK;
}

// release has nothing to free: the package is static.
static SECURITY_STATUS SEC_ENTRY release(PVOID buffer) {
	(void)buffer;
	return SEC_E_OK;
}

static SecurityFunctionTableW table = {
    .dwVersion = SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION,
    .EnumerateSecurityPackagesW = enumerate,
    .AcquireCredentialsHandleW = acquire,
    .FreeCredentialsHandle = forget,
    .InitializeSecurityContextW = initialize,
    .DeleteSecurityContext = forget,
    .FreeContextBuffer = release,
};

__declspec(dllexport) PSecurityFunctionTableW SEC_ENTRY InitSecurityInterfaceW(void) { return &table; }
