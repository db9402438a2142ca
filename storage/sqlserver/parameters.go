package sqlserver

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// parameters are those that go-mssqldb reads in a URL: its own, those of package azuread, and those of
// its integrated authentication. It ignores others, and so a misspelt one.
var parameters = []string{msdsn.Database, msdsn.Encrypt, msdsn.Password, msdsn.ChangePassword, msdsn.UserID, msdsn.Port,
	msdsn.TrustServerCertificate, msdsn.Certificate, msdsn.ServerCertificate, msdsn.TLSMin, msdsn.PacketSize,
	msdsn.LogParam, msdsn.ConnectionTimeout, msdsn.HostNameInCertificate, msdsn.KeepAlive, msdsn.ServerSpn,
	msdsn.WorkstationID, msdsn.AppName, msdsn.ApplicationIntent, msdsn.FailoverPartner, msdsn.FailOverPort,
	msdsn.FailoverPartnerSpn, msdsn.DisableRetry, msdsn.Server, msdsn.Protocol, msdsn.DialTimeout, msdsn.Pipe,
	msdsn.MultiSubnetFailover, msdsn.NoTraceID, msdsn.GuidConversion, msdsn.Timezone, msdsn.EpaEnabled,
	"columnencryption", "fedauth", "applicationclientid", "clientassertion", "clientcertpath",
	"additionallyallowedtenants", "disableinstancediscovery",
	"resource id",
	"sendcertificatechain", "serviceconnectionid", "systemtoken",
	"tokenfilepath", "userassertion", "authenticator", "krb5-configfile", "krb5-keytabfile", "krb5-credcachefile",
	"krb5-dnslookupkdc", "krb5-udppreferencelimit", "krb5-realm"}

// harmless matches the name of a parameter that is no part of a password.
var harmless = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 _-]{0,39}$`)

// checkParameters refuses a parameter of a URL that go-mssqldb ignores. A list of name=value may come
// from .NET, and have parameters that only .NET knows.
func checkParameters(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "sqlserver" {
		return nil
	}
	var unknown []string
	for name := range u.Query() {
		if strings.ContainsAny(name, "@?") { // a password ended the host
			return errAddress
		}
		if !slices.Contains(parameters, strings.ToLower(name)) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	name := slices.Min(unknown)
	if !harmless.MatchString(name) {
		return errAddress
	}
	return fmt.Errorf("the catalogue's address has the unknown parameter %q: see the parameters of go-mssqldb, such "+
		"as encrypt, certificate, trustservercertificate, user id, connection timeout", name)
}
