// Command vaultserver is HashiCorp Vault, the real one, with an in-memory store and only the engines and
// sign-in methods that the tests use. It initialises and unseals itself, and prints "root TOKEN" and
// "unseal KEY" (base64) so that a test can seal it and open it again. For tests alone: nothing is kept.
package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
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

func main() {
	address := flag.String("listen", "127.0.0.1:8200", "address to listen on")
	flag.Parse()
	if err := serve(*address); err != nil {
		log.Fatal(err)
	}
}

func serve(address string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	engines := map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory, "database": database.Factory}
	signIns := map[string]logical.Factory{"approle": approle.Factory, "userpass": userpass.Factory}
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
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		Logger:             logger,
		DisableMlock:       true,
		BuiltinRegistry:    builtin,
		LogicalBackends:    engines,
		CredentialBackends: signIns,
		AuditBackends:      map[string]audit.Factory{"file": audit.NewFileBackend},
	})
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
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("unseal", base64.StdEncoding.EncodeToString(made.SecretShares[0]))
	fmt.Println("root", made.RootToken)
	return http.Serve(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Address: address},
	}))
}
