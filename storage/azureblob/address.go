package azureblob

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// defaultContainer is the container of earlier versions.
const defaultContainer = "tensors"

// azureHosts are the suffixes of the service's host names. Only these, loopback, and the host of a
// connection string get a credential that is not in the address.
var azureHosts = []string{
	".blob.core.windows.net", ".blob.core.usgovcloudapi.net", ".blob.core.chinacloudapi.cn", ".blob.storage.azure.net",
}

var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	hostName      = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)
)

// place is a parsed address.
type place struct {
	endpoint  string // of the account: scheme and host, and the account if it is in the path
	host      string // with port
	account   string
	container string
	unnamed   bool   // the container is the default one
	sas       string // from the address
	short     bool   // azblob://: a connection string may have another endpoint
	loopback  bool
}

// url is the container's address, without secrets.
func (p *place) url() string { return p.endpoint + "/" + p.container }

// CheckAddress returns an error if Open cannot parse an address.
func CheckAddress(address string) error {
	_, err := parseAddress(address)
	return err
}

// parseAddress parses an address. Its errors do not quote the address: a mistyped one may have a
// SAS anywhere.
func parseAddress(address string) (*place, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the store's address is not a URL: want azblob://ACCOUNT/CONTAINER or " +
			"https://ACCOUNT.blob.core.windows.net/CONTAINER")
	}
	if u.User != nil {
		return nil, errors.New("the store's address has a user name or a password: put the key into AZURE_STORAGE_KEY")
	}
	if u.Fragment != "" || u.Opaque != "" {
		return nil, errors.New("the store's address is not one of Azure Blob Storage: want azblob://ACCOUNT/CONTAINER")
	}
	p := &place{host: u.Host, sas: u.RawQuery}
	path := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "azblob":
		err = p.fromAccount(u)
	case "https", "http":
		path, err = p.fromURL(u, path)
	default:
		err = fmt.Errorf("the scheme is %q: want azblob or https", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("store address: %w", err)
	}
	return p, p.finish(path)
}

// InContainer adds a container to an address without one.
func InContainer(address, container string) (string, error) {
	p, err := parseAddress(address)
	if err != nil || !p.unnamed {
		return address, err
	}
	before, query, isQuery := strings.Cut(address, "?")
	address = strings.TrimRight(before, "/") + "/" + container
	if isQuery {
		address += "?" + query
	}
	return address, nil
}

// fromAccount parses azblob://ACCOUNT/CONTAINER.
func (p *place) fromAccount(u *url.URL) error {
	p.account, p.short = u.Host, true
	if !accountName.MatchString(p.account) {
		return errAccount(p.account)
	}
	p.host = p.account + azureHosts[0]
	p.endpoint = "https://" + p.host
	return nil
}

// fromURL parses an https address, or the http address of an emulator, whose path begins with the
// account. It returns the rest of the path.
func (p *place) fromURL(u *url.URL, path string) (string, error) {
	if !hostName.MatchString(u.Host) {
		return "", errors.New("the host is not a valid host name or address")
	}
	p.loopback = isLoopback(u.Hostname())
	if u.Scheme == "http" && !p.loopback {
		return "", fmt.Errorf("plain http to %s would send keys and payloads unencrypted: use https", u.Host)
	}
	p.endpoint = u.Scheme + "://" + u.Host
	if p.loopback || net.ParseIP(u.Hostname()) != nil {
		p.account, path, _ = strings.Cut(path, "/")
		p.endpoint += "/" + p.account
	} else {
		p.account, _, _ = strings.Cut(u.Hostname(), ".")
	}
	if !accountName.MatchString(p.account) {
		return "", errAccount(p.account)
	}
	return path, nil
}

func (p *place) finish(path string) error {
	if p.container = path; path == "" {
		p.container, p.unnamed = defaultContainer, true
	}
	if n := len(p.container); n < 3 || n > 63 || !containerName.MatchString(p.container) {
		return fmt.Errorf("store address: %s is not the name of a container: want 3 to 63 lower-case letters, "+
			"digits and single hyphens, and nothing after it", mention(p.container))
	}
	if name := strayParameter(p.sas); name != "" {
		return fmt.Errorf("store address: %s is not a parameter of a shared access signature, which is all that the "+
			"query may be", name)
	}
	if p.sas != "" && !strings.Contains("&"+p.sas, "&sig=") {
		return errors.New("store address: the query is not a shared access signature: it has no sig=")
	}
	return nil
}

// sasParameters are the parameters of a SAS, of an account, a service or a user.
var sasParameters = strings.Fields("sv ss srt sp se st spr sip sig sr si sdd ses skoid sktid skt ske sks skv skdutid " +
	"saoid suoid scid sduoid srh srq rscc rscd rsce rscl rsct comp restype snapshot versionid")

// strayName matches the name of a parameter that is no part of a signature.
var strayName = regexp.MustCompile(`^[a-z][a-z_-]{0,19}$`)

// strayParameter returns the first parameter of a query that is not one of a SAS; empty if there is none,
// or if its name may be a secret.
func strayParameter(query string) string {
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if !slices.Contains(sasParameters, strings.ToLower(name)) && strayName.MatchString(name) {
			return fmt.Sprintf("%q", name)
		}
	}
	return ""
}

func errAccount(name string) error {
	return fmt.Errorf("%s is not the name of a storage account: want 3 to 24 lower-case letters and digits",
		mention(name))
}

// mention quotes a name, unless it may be a secret in the wrong place.
func mention(name string) string {
	if len(name) > 80 || strings.ContainsAny(name, "=&%+") {
		return "this value"
	}
	return fmt.Sprintf("%q", name)
}

// isAzure reports whether the host belongs to the service.
func (p *place) isAzure() bool {
	host, _, err := net.SplitHostPort(p.host)
	if err != nil {
		host = p.host
	}
	for _, end := range azureHosts {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
