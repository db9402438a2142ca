package azureblob

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// transientCodes are transient errors whose status does not say so. A checksum mismatch is damage
// in transit.
var transientCodes = map[bloberror.Code]bool{
	bloberror.ContainerBeingDeleted: true, bloberror.AccountBeingCreated: true, bloberror.SystemInUse: true,
	bloberror.CRC64Mismatch: true, bloberror.MD5Mismatch: true,
}

var hints = map[bloberror.Code]string{
	bloberror.AuthorizationPermissionMismatch: "the identity lacks the role Storage Blob Data Contributor on the " +
		"account or the container, or the SAS does not allow this",
	bloberror.AuthorizationFailure: "the key or the SAS is wrong, or the account's network rules block this " +
		"computer",
	bloberror.AuthorizationProtocolMismatch: "the SAS is for https only",
	bloberror.AuthorizationSourceIPMismatch: "the SAS is for other IP addresses",
	bloberror.AuthenticationFailed: "the key or the SAS is wrong or has expired, or this computer's " +
		"clock is wrong",
	"KeyBasedAuthenticationNotPermitted": "the account does not accept keys: set " + envAuthMode + " to login",
	bloberror.InvalidAuthenticationInfo: "the token is of another tenant or has expired: sign in to the " +
		"account's tenant",
	bloberror.NoAuthenticationInformation:    noCredential,
	"PublicAccessNotPermitted":               noCredential,
	bloberror.InsufficientAccountPermissions: "the SAS does not allow this on the account",
	bloberror.AccountIsDisabled:              "the account is disabled",
	bloberror.ContainerNotFound:              "the container does not exist",
	bloberror.ContainerBeingDeleted:          "the container is being deleted; its name can be reused after a while",
	bloberror.BlobArchived:                   "the blob is in the archive tier: rehydrate it first",
	bloberror.BlobBeingRehydrated:            "the blob is being rehydrated from the archive tier: this takes hours",
	bloberror.BlobImmutableDueToPolicy:       "an immutability policy or a legal hold protects the blob",
	bloberror.SnapshotsPresent:               "the blob has snapshots: delete them first",
	bloberror.LeaseIDMissing:                 "the blob has a lease: break the lease",
	bloberror.InvalidBlobTier:                "this kind of account does not have this tier",
	bloberror.InvalidHeaderValue: "the service does not know a header or its value: the tier, or the version of the " +
		"protocol (Azurite accepts a newer one with --skipApiVersionCheck)",
	bloberror.BlockCountExceedsLimit: "the blob has 100,000 uncommitted blocks: the service removes them a week " +
		"after the last one",
}

// hint says what to do about an error.
func hint(status int, code bloberror.Code) string {
	if text, ok := hints[code]; ok {
		return text
	}
	switch {
	case status >= 300 && status < 400:
		return "the server redirects to another address, which does not get credentials: use the final address " +
			"as the store"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "the credential is not accepted, or does not allow this"
	}
	return ""
}

// isNoCredential reports whether azidentity found no credential. Not all of its errors have a type.
func isNoCredential(err error) bool {
	var none interface{ NonRetriable() }
	return errors.As(err, &none) && strings.Contains(err.Error(), "Credential")
}

// isCut reports whether the connection ended early.
func isCut(err error) bool {
	for _, cut := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ECONNREFUSED,
		syscall.EPIPE, syscall.ETIMEDOUT,
	} {
		if errors.Is(err, cut) {
			return true
		}
	}
	text := err.Error() // net/http has no error values for these
	return strings.Contains(text, "server closed idle connection") ||
		strings.Contains(text, "transport connection broken") ||
		strings.Contains(text, "connection was closed")
}
