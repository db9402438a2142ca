// bcryptprimitives.dll for Wine before 9, which lacks it: Go programs get random bytes from its
// ProcessPrng. advapi32 has the same: SystemFunction036 is the exported name of RtlGenRandom.

#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *data, SIZE_T length) {
	while (length > 0) {
		ULONG part = length > MAXLONG ? MAXLONG : (ULONG)length;
		if (!SystemFunction036(data, part))
			return FALSE;
		data += part;
		length -= part;
	}
	return TRUE;
}
