// Command vaultserver is HashiCorp Vault, the real one, with an in-memory store and only the engines and
// sign-in methods that the tests use. It initialises and unseals itself, and prints "root TOKEN" and
// "unseal KEY" (base64) so that a test can seal it and open it again. -standby adds a second node, which
// redirects to the first. For tests alone: nothing is kept.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	aws "github.com/hashicorp/vault/builtin/credential/aws"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// plugins answers Vault's questions about what is built in.
type plugins map[consts.PluginType]map[string]any

func (p plugins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	found, ok := p[kind][name]
	return func() (any, error) {
		if create, isDatabase := found.(func() (any, error)); isDatabase {
			return create()
		}
		return found, nil
	}, ok
}

func (p plugins) Contains(name string, kind consts.PluginType) bool {
	_, ok := p[kind][name]
	return ok
}

func (p plugins) Keys(kind consts.PluginType) []string {
	names := make([]string, 0, len(p[kind]))
	for name := range p[kind] {
		names = append(names, name)
	}
	return names
}

func (p plugins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, p.Contains(name, kind)
}

func (plugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

// options are the command line.
type options struct {
	listen, listenTLS, cert, key, clientCA, standby string
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8200", "address to listen on, plain http")
	flag.StringVar(&o.listenTLS, "listen-tls", "", "a second address to listen on, with TLS")
	flag.StringVar(&o.cert, "tls-cert", "", "certificate for -listen-tls, a PEM file")
	flag.StringVar(&o.key, "tls-key", "", "key for -listen-tls, a PEM file")
	flag.StringVar(&o.clientCA, "tls-client-ca", "", "authority of client certificates, which are then required")
	flag.StringVar(&o.standby, "standby", "", "address of a second node, a standby of the first")
	flag.Parse()
	if err := serve(o); err != nil {
		log.Fatal(err)
	}
}

func serve(o options) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	var locks physical.HABackend
	if o.standby != "" {
		made, err := inmem.NewInmemHA(nil, logger)
		if err != nil {
			return err
		}
		storage, locks = made, made.(physical.HABackend)
	}
	core, err := newCore(storage, locks, o.listen, logger)
	if err != nil {
		return err
	}
	oneShare := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: oneShare})
	if err != nil {
		return err
	}
	if _, err := core.Unseal(made.SecretShares[0]); err != nil {
		return err
	}
	failures := make(chan error)
	listen := func(core *vault.Core, address string, secure *tls.Config) error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		if secure != nil {
			listener = tls.NewListener(listener, secure)
		}
		properties := &vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{Address: address}}
		go func() { failures <- http.Serve(listener, vaulthttp.Handler.Handler(properties)) }()
		return nil
	}
	if err := listen(core, o.listen, nil); err != nil {
		return err
	}
	if o.listenTLS != "" {
		secure, err := tlsConfig(o)
		if err != nil {
			return err
		}
		if err := listen(core, o.listenTLS, secure); err != nil {
			return err
		}
	}
	if o.standby != "" {
		if err := until(func() bool { waits, err := core.Standby(); return err == nil && !waits }); err != nil {
			return fmt.Errorf("the first node does not become active: %w", err)
		}
		second, err := newCore(storage, locks, o.standby, logger)
		if err != nil {
			return err
		}
		if _, err := second.Unseal(made.SecretShares[0]); err != nil {
			return err
		}
		if err := listen(second, o.standby, nil); err != nil {
			return err
		}
	}
	fmt.Println("unseal", base64.StdEncoding.EncodeToString(made.SecretShares[0]))
	fmt.Println("root", made.RootToken)
	return <-failures
}

func newCore(storage physical.Backend, locks physical.HABackend, address string, logger hclog.Logger) (*vault.Core, error) {
	engines := map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory, "database": database.Factory}
	signIns := map[string]logical.Factory{
		"approle":    approle.Factory,
		"aws":        aws.Factory,
		"cert":       cert.Factory,
		"jwt":        jwt.Factory,
		"kubernetes": kubernetes.Factory,
		"userpass":   userpass.Factory,
	}
	builtin := plugins{
		consts.PluginTypeSecrets:    {},
		consts.PluginTypeCredential: {},
		consts.PluginTypeDatabase:   {"postgresql-database-plugin": postgresql.New},
	}
	for name, factory := range engines {
		builtin[consts.PluginTypeSecrets][name] = factory
	}
	for name, factory := range signIns {
		builtin[consts.PluginTypeCredential][name] = factory
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		HAPhysical:         locks,
		RedirectAddr:       "http://" + address,
		Logger:             logger,
		DisableMlock:       true,
		BuiltinRegistry:    builtin,
		LogicalBackends:    engines,
		CredentialBackends: signIns,
		AuditBackends:      map[string]audit.Factory{"file": audit.NewFileBackend},
	})
}

func tlsConfig(o options) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if o.clientCA != "" {
		pem, err := os.ReadFile(o.clientCA)
		if err != nil {
			return nil, err
		}
		secure.ClientCAs = x509.NewCertPool()
		if !secure.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate in " + o.clientCA)
		}
		secure.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return secure, nil
}

// until waits for what takes a moment after unsealing.
func until(done func() bool) error {
	for range 200 {
		if done() {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("10 seconds have passed")
}
