// bcryptprimitives.dll for Wine before 9, which has none: programs in Go take their random
// bytes from its ProcessPrng. The same bytes come out of advapi32, whose SystemFunction036 is
// what RtlGenRandom is called in the DLL.

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
